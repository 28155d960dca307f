/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory, counts, the heap of due restarts, the queue of actions, and the queries of a set. Called by the
 * other files of src/supervise. Decides nothing; allocates only where supervise.h says -ENOMEM. */

#include "supervise/state.h"

/* How many failures are remembered for people when nothing is judged by them. */
#define ROW_SIZE_INFINITY 8U
#define CACHE_LINE 64U
#define BLOCK_SLOTS_MIN 4U

static bool pool_policy_is_valid(const supervise_policy *p) {
        if (p->max_surge > SUPERVISE_SURGE_MAX ||
            p->max_unavailable > (p->max_surge > 0 ? SUPERVISE_SURGE_MAX : SUPERVISE_SLOTS_MAX))
                return false;
        if (p->max_surge == 0 && p->max_unavailable == 0)
                return false;
        if (p->min_ready > BACKOFF_LONGEST || p->drain > BACKOFF_LONGEST ||
            p->runtime_max > BACKOFF_LONGEST || p->recycle_spread > 100)
                return false;
        if (p->workers_max > 0 && (p->workers_min == 0 || p->workers_min > p->workers_max ||
                                   p->workers_max > SUPERVISE_SLOTS_MAX || p->scale_down >= p->scale_up))
                return false;
        if (p->breaker_failures == 0)
                return true;
        return p->breaker_failures <= SUPERVISE_INTENSITY_MAX && p->breaker_period > 0 &&
               p->breaker_min > 0 && p->breaker_min <= p->breaker_max && p->breaker_max <= BACKOFF_LONGEST;
}

bool policy_is_valid(const supervise_policy *p) {
        if ((unsigned) p->strategy >= _SUPERVISE_STRATEGY_MAX)
                return false;
        if ((unsigned) p->restart > SUPERVISE_TEMPORARY)
                return false;
        if ((unsigned) p->auto_shutdown > SUPERVISE_AUTO_SHUTDOWN_ALL)
                return false;
        if (p->strategy == SUPERVISE_POOL && (p->escalate || p->ordered || p->auto_shutdown > 0))
                return false;
        if (p->strategy >= SUPERVISE_ONE_FOR_ALL && !(p->escalate && p->ordered))
                return false;
        if (p->intensity > SUPERVISE_INTENSITY_MAX && p->intensity != SUPERVISE_INTENSITY_INFINITY)
                return false;
        if (p->period == 0 || p->backoff_min > p->backoff_max || (p->backoff_min == 0 && p->backoff_max > 0))
                return false;
        if (p->backoff_max > BACKOFF_LONGEST)
                return false;
        if (p->strategy == SUPERVISE_POOL && !pool_policy_is_valid(p))
                return false;
        return p->backoff_factor >= 1 && p->backoff_jitter <= 100;
}

static uint32_t row_size_of(const supervise_policy *p) {
        uint32_t n = p->intensity == SUPERVISE_INTENSITY_INFINITY ? ROW_SIZE_INFINITY : p->intensity + 1;

        return p->strategy == SUPERVISE_POOL ? MAX(n, p->breaker_failures) : n;
}

/* Points the arrays of s into a new block; the old one stays the caller's. An event queues at most three
 * actions a slot and a few for the set, so a queue of twice that always has room for one event after
 * another has been half pulled. */
static int block_new(supervise *s, uint32_t n, uint32_t row_size) {
        uint64_t slots = (uint64_t) n * sizeof(struct slot), ring_size = (uint64_t) n * 6 + 32,
                 ring = ring_size * sizeof(supervise_action),
                 failures = ((uint64_t) n + 1) * row_size * sizeof(nsec_t),
                 words = (uint64_t) n * 3 * sizeof(uint32_t);
        char *block;
        void *p;

        if (slots + ring + failures + words > SIZE_MAX / 2)
                return -ENOMEM;
        p = calloc(1, (size_t) (slots + ring + failures + words) + CACHE_LINE);
        if (!p)
                return -ENOMEM; /* s is as it was */

        s->block = p;
        block = (char *) (((uintptr_t) p + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
        s->n_allocated = n;
        s->row_size = row_size;
        s->slots = (struct slot *) block;
        s->ring = (supervise_action *) (block + slots);
        s->ring_size = (size_t) ring_size;
        s->failures = (nsec_t *) (block + slots + ring);
        s->heap = (uint32_t *) (block + slots + ring + failures);
        s->scratch = s->heap + n;
        s->dirty = s->scratch + n;
        for (uint32_t i = 0; i < n; i++) {
                s->slots[i].heap_index = HEAP_NONE;
                s->slots[i].until = NSEC_INFINITY;
        }
        return 0;
}

int supervise_allocate(const supervise_policy *policy, uint32_t n, supervise **ret) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->policy = *policy;
        s->breaker_until = s->stalled_since = NSEC_INFINITY;
        r = block_new(s, MAX(n, BLOCK_SLOTS_MIN), row_size_of(policy));
        if (r < 0)
                return r;
        supervise_derive(s);
        *ret = TAKE_PTR(s);
        return 0;
}

supervise *supervise_free(supervise *s) {
        if (!s)
                return NULL;
        free(s->block);
        free(s);
        return NULL;
}

/* The newest failures survive a shorter row. */
static uint32_t row_move(supervise *to, const supervise *from, uint32_t number, uint32_t n) {
        uint32_t keep = MIN(n, to->row_size);

        memcpy(slot_row(to, number), slot_row(from, number) + (n - keep), keep * sizeof(nsec_t));
        return keep;
}

static int supervise_move(supervise *s, uint32_t n, uint32_t row_size) {
        supervise old = *s;
        int r;

        r = block_new(s, n, row_size);
        if (r < 0)
                return r;
        memcpy(s->slots, old.slots, old.n_allocated * sizeof(struct slot));
        memcpy(s->heap, old.heap, old.n_heap * sizeof(uint32_t));
        memcpy(s->dirty, old.dirty, old.n_dirty * sizeof(uint32_t));
        s->n_failures = row_move(s, &old, 0, old.n_failures);
        for (uint32_t i = 1; i <= old.n_allocated; i++)
                slot_at(s, i)->n_failures = row_move(s, &old, i, slot_at(&old, i)->n_failures);
        for (size_t i = 0; i < old.ring_used; i++)
                s->ring[i] = old.ring[(old.ring_head + i) % old.ring_size];
        s->ring_head = 0;
        s->n[SUPERVISE_SLOT_UNUSED] += n - old.n_allocated;
        free(old.block);
        return 0;
}

int supervise_reserve(supervise *s, uint32_t n) {
        if (n <= s->n_allocated)
                return 0;
        return supervise_move(s, MAX(n, MIN(s->n_allocated * 2, SUPERVISE_SLOTS_MAX)), s->row_size);
}

/* The heap: slot numbers by (until, number), a total order, so that what is due first does not depend on
 * history. */
static bool heap_before(const supervise *s, uint32_t a, uint32_t b) {
        nsec_t x = slot_at(s, a)->until, y = slot_at(s, b)->until;

        return x != y ? x < y : a < b;
}

static void heap_set(supervise *s, uint32_t index, uint32_t number) {
        s->heap[index] = number;
        slot_at(s, number)->heap_index = index;
}

static void heap_fix(supervise *s, uint32_t index, uint32_t number) {
        uint32_t child;

        for (; index > 0 && heap_before(s, number, s->heap[(index - 1) / 2]); index = (index - 1) / 2)
                heap_set(s, index, s->heap[(index - 1) / 2]);
        for (; (child = index * 2 + 1) < s->n_heap; index = child) {
                if (child + 1 < s->n_heap && heap_before(s, s->heap[child + 1], s->heap[child]))
                        child++;
                if (!heap_before(s, s->heap[child], number))
                        break;
                heap_set(s, index, s->heap[child]);
        }
        heap_set(s, index, number);
}

static void heap_add(supervise *s, uint32_t number) {
        heap_fix(s, s->n_heap++, number);
}

static void heap_drop(supervise *s, uint32_t number) {
        uint32_t index = slot_at(s, number)->heap_index, last = s->heap[--s->n_heap];

        slot_at(s, number)->heap_index = HEAP_NONE;
        if (last != number)
                heap_fix(s, index, last);
}

static nsec_t supervise_due(const supervise *s) {
        nsec_t due = s->n_heap > 0 ? slot_at(s, s->heap[0])->until : NSEC_INFINITY;

        if (s->policy.strategy != SUPERVISE_POOL)
                return due;
        due = MIN(MIN(due, roll_due(s)), roll_until(s));
        return MIN(due, MIN(s->breaker_until, load_due(s)));
}

/* The list by order. before: 0 is the end; who comes later moves up by one. */
static void list_insert(supervise *s, uint32_t number, uint32_t before) {
        struct slot *slot = slot_at(s, number);

        slot->next = before;
        slot->prev = before > 0 ? slot_at(s, before)->prev : s->last;
        slot->order = before > 0 ? slot_at(s, before)->order : s->last > 0 ? slot_at(s,
                        s->last)->order + 1 : 1;
        for (uint32_t i = before; i > 0; i = slot_at(s, i)->next) {
                slot_at(s, i)->order++;
                slot_mark(s, i);
        }
        if (before > 0 && s->group > slot->order)
                s->group++;
        *(slot->prev > 0 ? &slot_at(s, slot->prev)->next : &s->first) = number;
        *(slot->next > 0 ? &slot_at(s, slot->next)->prev : &s->last) = number;
}

static void list_drop(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        if (s->stop_cursor == number)
                s->stop_cursor = slot->prev;
        if (s->start_cursor == number)
                s->start_cursor = slot->next;
        *(slot->prev > 0 ? &slot_at(s, slot->prev)->next : &s->first) = slot->next;
        *(slot->next > 0 ? &slot_at(s, slot->next)->prev : &s->last) = slot->prev;
        slot->prev = slot->next = 0;
}

void slot_move(supervise *s, uint32_t number, uint32_t before) {
        bool some_wait = s->start_cursor > 0;

        if (before == number || before == slot_at(s, number)->next)
                return; /* it is there */
        list_drop(s, number);
        list_insert(s, number, before);
        slot_mark(s, number);
        s->start_cursor = some_wait ? s->first : 0;
}

static int order_compare(const void *x, const void *y, void *userdata) {
        uint64_t a = slot_at(userdata, *(const uint32_t *) x)->order,
                 b = slot_at(userdata, *(const uint32_t *) y)->order;

        return a < b ? -1 : a > b;
}

static void list_derive(supervise *s) {
        uint32_t n = 0, last = 0;

        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_at(s, i)->state != SUPERVISE_SLOT_UNUSED)
                        s->scratch[n++] = i;
        qsort_r(s->scratch, n, sizeof(*s->scratch), order_compare, s);
        s->first = n > 0 ? s->scratch[0] : 0;
        for (uint32_t i = 0; i < n; i++) {
                struct slot *slot = slot_at(s, s->scratch[i]);

                slot->prev = last;
                slot->next = i + 1 < n ? s->scratch[i + 1] : 0;
                last = s->scratch[i];
        }
        s->last = last;
}

void supervise_derive(supervise *s) {
        memset(s->n, 0, sizeof(s->n));
        s->n_leaving = s->n_first = s->n_heap = s->slot_max = s->n_recycle = 0;
        s->hot_since = s->cold_since = NSEC_INFINITY;
        s->mixed = false;
        s->n_restarts = 0;
        for (uint32_t i = 1; i <= s->n_allocated; i++) {
                const struct slot *slot = slot_at(s, i);

                s->n[slot->state]++;
                s->n_leaving += slot_is_leaving(slot);
                s->n_first += slot->first;
                s->n_recycle += slot->recycle;
                s->mixed = s->mixed || (state_is_alive(slot->state) && slot->revision != s->revision);
                if (slot->state != SUPERVISE_SLOT_UNUSED) {
                        s->slot_max = i;
                        s->n_restarts += slot_restarts(slot);
                }
                if (slot->until != NSEC_INFINITY)
                        heap_add(s, i);
        }
        s->mixed = s->mixed || roll_is_active(s);
        list_derive(s);
        s->free_hint = 1;
        s->stop_cursor = s->last;
        s->start_cursor = s->first;
        s->awaited = roll_awaits(s);
        s->armed = supervise_due(s);
}

struct slot *slot_find(const supervise *s, uint32_t number) {
        if (number == 0 || number > s->slot_max || slot_at(s, number)->state == SUPERVISE_SLOT_UNUSED)
                return NULL;
        return slot_is_leaving(slot_at(s, number)) ? NULL : slot_at(s, number);
}

void set_revive(supervise *s) {
        if (s->phase != SUPERVISE_PHASE_FAILED)
                return;
        s->phase = SUPERVISE_PHASE_UP;
        s->n_failures = 0;
}

bool supervise_is_lost(const supervise *s) {
        uint32_t n_failed = s->n[SUPERVISE_SLOT_FAILED];

        return s->policy.strategy == SUPERVISE_POOL && n_failed > 0 &&
               n_failed + s->n[SUPERVISE_SLOT_IDLE] + s->n_leaving == supervise_n_slots(s);
}

/* The lowest free number. The caller has reserved it. */
uint32_t slot_take(supervise *s, uint32_t before, supervise_restart restart, uint64_t revision) {
        uint32_t number = s->free_hint;
        bool dirty;

        while (slot_at(s, number)->state != SUPERVISE_SLOT_UNUSED)
                number++;
        dirty = slot_at(s, number)->dirty; /* of the one before it, not yet written off */
        s->free_hint = number + 1;
        *slot_at(s, number) = (struct slot){
                .restart = restart,
                .credit = true,
                .revision_wanted = revision,
                .until = NSEC_INFINITY,
                .heap_index = HEAP_NONE,
                .dirty = dirty,
        };
        list_insert(s, number, before);
        slot_set_state(s, number, SUPERVISE_SLOT_IDLE, NSEC_INFINITY);
        s->slot_max = MAX(s->slot_max, number);
        return number;
}

void slot_had_outcome(supervise *s, uint32_t number) {
        if (!slot_at(s, number)->first)
                return;
        slot_mark(s, number);
        slot_at(s, number)->first = false;
        s->n_first--;
}

/* From where on order_go_on() has to look: what one restart costs does not depend on how many children there
 * are. */
static void start_cursor_note(supervise *s, uint32_t number) {
        if (s->policy.strategy == SUPERVISE_POOL)
                return;
        if (s->n[SUPERVISE_SLOT_WAITING] + s->n[SUPERVISE_SLOT_STARTING] + s->n[SUPERVISE_SLOT_STOPPING] +
                            s->n[SUPERVISE_SLOT_BACKOFF] == 0)
                s->start_cursor = 0;
        else if (!state_is_settled(slot_at(s, number)->state) &&
                 (s->start_cursor == 0 || slot_at(s, number)->order < slot_at(s, s->start_cursor)->order))
                s->start_cursor = number;
}

void slot_set_state(supervise *s, uint32_t number, supervise_slot_state state, nsec_t until) {
        struct slot *slot = slot_at(s, number);

        if (slot->heap_index != HEAP_NONE)
                heap_drop(s, number);
        if (!state_is_ending(state))
                slot_set_then(s, number, THEN_END);
        if (state != SUPERVISE_SLOT_STARTING && state != SUPERVISE_SLOT_WAITING &&
            !(state == SUPERVISE_SLOT_STOPPING && s->policy.ordered))
                slot_had_outcome(s, number);

        if (state != SUPERVISE_SLOT_RUNNING) {
                s->n_recycle -= slot->recycle;
                slot->recycle = false;
        }
        slot->ready = slot->ready && (state == SUPERVISE_SLOT_RUNNING || state == SUPERVISE_SLOT_DRAINING);
        slot_mark(s, number);
        s->n[slot->state]--;
        s->n[state]++;
        slot->state = state;
        slot->since = s->clock;
        slot->until = until;
        start_cursor_note(s, number);
        if (until != NSEC_INFINITY)
                heap_add(s, number);
        if (state != SUPERVISE_SLOT_UNUSED)
                return;

        list_drop(s, number);
        if (s->culprit == number)
                s->culprit = 0;
        s->n_restarts -= slot_restarts(slot);
        s->free_hint = MIN(s->free_hint, number);
        while (s->slot_max > 0 && slot_at(s, s->slot_max)->state == SUPERVISE_SLOT_UNUSED)
                s->slot_max--;
}

void slot_set_then(supervise *s, uint32_t number, enum slot_then then) {
        struct slot *slot = slot_at(s, number);

        slot_mark(s, number);
        s->n_leaving -= slot_is_leaving(slot);
        slot->then = then;
        s->n_leaving += slot_is_leaving(slot);
}

void slot_recycle(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        if (slot->recycle)
                return;
        if (slot->heap_index != HEAP_NONE)
                heap_drop(s, number);
        slot->until = NSEC_INFINITY;
        slot->recycle = true;
        s->n_recycle++;
        slot_mark(s, number);
}

void slot_mark(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        if (slot->dirty)
                return;
        slot->dirty = true;
        s->dirty[s->n_dirty++] = number;
}

void supervise_mark_all(supervise *s) {
        s->head_dirty = true;
        for (uint32_t i = 1; i <= s->slot_max; i++)
                slot_mark(s, i);
}

bool supervise_is_dirty(const supervise *s) {
        return s->head_dirty || s->n_dirty > 0;
}

bool supervise_next_dirty(supervise *s, uint32_t *ret) {
        if (!supervise_is_dirty(s))
                return false;
        *ret = 0;
        if (s->n_dirty > 0) {
                *ret = s->dirty[--s->n_dirty];
                slot_at(s, *ret)->dirty = false;
        } else
                s->head_dirty = false;
        return true;
}

/* What an operator's verb or a new definition does to the past. */
void slot_forgive(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        slot_mark(s, number);
        slot->n_failures = 0;
        slot->exponent = 0;
        slot->credit = true;
}

bool action_has_room(const supervise *s) {
        return s->ring_size - s->ring_used >= (size_t) s->n_allocated * 3 + 16;
}

static bool action_is_of_set(supervise_action_type type) {
        return type == SUPERVISE_ACTION_ESCALATE || type == SUPERVISE_ACTION_START_FAILED;
}

void action_push(supervise *s, supervise_action_type type, uint32_t number) {
        supervise_action *a = s->ring + (s->ring_head + s->ring_used) % s->ring_size;

        assert(s->ring_used < s->ring_size);
        s->ring_used++;
        *a = (supervise_action){ .type = type,
                                 .slot = number,
                                 .generation = s->life,
                                 .revision = s->revision,
                                 .when = NSEC_INFINITY };
        if (number == 0 || action_is_of_set(type))
                return;
        a->generation = slot_at(s, number)->generation;
        if (type == SUPERVISE_ACTION_ROLL_HALTED)
                a->overdue = s->overdue;
        else
                a->revision = slot_at(s, number)->revision;
        a->shutdown = slot_at(s, number)->shutdown;
}

bool supervise_next_action(supervise *s, supervise_action *ret) {
        nsec_t due;

        if (s->ring_used > 0) {
                *ret = s->ring[s->ring_head];
                s->ring_used--; /* empty, it begins anew: going round would push all else out of the cache */
                s->ring_head = s->ring_used > 0 ? (s->ring_head + 1) % s->ring_size : 0;
                return true;
        }
        due = supervise_due(s);
        if (due == s->armed)
                return false;
        s->armed = due;
        *ret = (supervise_action){ .type = SUPERVISE_ACTION_ARM, .when = due };
        return true;
}

/* The days of those who run are counted by the new limit, from when they began; whose turn it is already has
 * it all the same. */
static void recycle_anew(supervise *s) {
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                struct slot *slot = slot_at(s, i);

                if (slot->state != SUPERVISE_SLOT_RUNNING || slot->recycle)
                        continue;
                if (slot->heap_index != HEAP_NONE)
                        heap_drop(s, i);
                slot->until = recycle_time(s, slot, slot->since);
                if (slot->until != NSEC_INFINITY)
                        heap_add(s, i);
        }
}

int supervise_set_policy(supervise *s, const supervise_policy *policy) {
        bool other_days = policy->runtime_max != s->policy.runtime_max ||
                          policy->recycle_spread != s->policy.recycle_spread;
        int r;

        if (!policy_is_valid(policy) || policy->strategy != s->policy.strategy)
                return -EINVAL;
        if (policy->strategy == SUPERVISE_POOL) {
                r = supervise_reserve(s, supervise_n_slots(s) + policy->max_surge);
                if (r < 0)
                        return r;
        }
        if (row_size_of(policy) != s->row_size) {
                r = supervise_move(s, s->n_allocated, row_size_of(policy));
                if (r < 0)
                        return r;
        }
        s->policy = *policy;
        if (policy->strategy == SUPERVISE_POOL && other_days)
                recycle_anew(s);
        s->hot_since = s->cold_since = NSEC_INFINITY;
        if (policy->breaker_failures == 0) {
                breaker_close(s);
                s->n_failures = policy->strategy == SUPERVISE_POOL ? 0 : s->n_failures;
        }
        if (policy->strategy == SUPERVISE_POOL)
                for (uint32_t i = 1; i <= s->slot_max; i++)
                        slot_at(s, i)->restart = policy->restart;
        supervise_mark_all(s); /* rows may have been cut */
        return 0;
}

const supervise_policy *supervise_get_policy(const supervise *s) {
        return &s->policy;
}

void supervise_get_info(const supervise *s, supervise_info *ret) {
        *ret = (supervise_info){
                .phase = s->phase,
                .n_wanted = s->policy.strategy == SUPERVISE_POOL ? s->n_target :
                                                                   supervise_n_slots(s) - s->n_leaving,
                .slot_max = s->slot_max,
                .rolling = s->rolling,
                .restarts = s->n_restarts,
                .outdated = s->outdated || roll_is_active(s),
                .roll = s->roll,
                .revision_from = s->revision_from,
                .revision_next = s->has_next ? s->revision_next : 0,
                .roll_awaits = s->awaited,
                .roll_until = roll_until(s),
                .roll_overdue = s->overdue,
                .breaker = s->breaker,
                .breaker_until = s->breaker_until,
                .breaker_probe = s->breaker_probe,
                .revision = s->revision,
                .culprit = s->culprit,
                .life = s->life,
                .due = supervise_due(s),
        };
        memcpy(ret->n, s->n, sizeof(ret->n));
        ret->n[SUPERVISE_SLOT_UNUSED] = 0; /* how much memory waits is nobody's business */
}

int supervise_get_slot(const supervise *s, uint32_t number, supervise_slot_info *ret) {
        const struct slot *slot;

        if (number == 0 || number > s->slot_max || slot_at(s, number)->state == SUPERVISE_SLOT_UNUSED)
                return -ENOENT;
        slot = slot_at(s, number);
        *ret = (supervise_slot_info){
                .state = slot->state,
                .restart = slot->restart,
                .generation = slot->generation,
                .revision = slot->revision,
                .revision_wanted = slot->revision_wanted,
                .restarts = slot_restarts(slot),
                .since = slot->since,
                .until = slot->until,
                .ended = slot->ended,
                .reason = slot->reason,
                .status = slot->status,
                .ended_at = slot->ended_at,
                .n_failures = slot->n_failures,
                .significant = slot->significant,
                .shutdown = slot->shutdown,
                .leaving = slot_is_leaving(slot),
                .ready = slot_is_ready(s, slot),
                .busy = slot->busy,
        };
        recycle_limits(s, slot, ret);
        return 0;
}

uint32_t supervise_next_child(const supervise *s, uint32_t number) {
        if (number == 0)
                return s->first;
        return number <= s->slot_max ? slot_at(s, number)->next : 0;
}

size_t supervise_failures(const supervise *s, uint32_t number, nsec_t *ret, size_t max) {
        uint32_t n;

        if (number == 0 || number > s->slot_max)
                return 0;
        n = slot_at(s, number)->n_failures;
        max = MIN(max, (size_t) n);
        for (size_t i = 0; i < max; i++)
                ret[i] = slot_row(s, number)[n - 1 - i];
        return max;
}
