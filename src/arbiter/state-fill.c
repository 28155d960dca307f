/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of the state journal from what they are about: an arbiter, a monitor, a set, a life. Called by
 * state.c with a commit, and with each thing that is staged at once. Must never change what it describes. */

#include <stdio.h>

#include "arbiter/deaths.h"
#include "arbiter/state-fill.h"
#include "basic/utf8.h"

_Static_assert(STATE_SUPERVISE_MAX >= SUPERVISE_ENCODED_MAX, "an entry holds what supervise writes");
_Static_assert((int) STATE_REASONS >= (int) N_REASONS, "an entry holds a count of each reason");
_Static_assert(STATE_TOKEN_MAX == TOKEN_LENGTH + 1, "an entry holds a token");

/* For text that may be somebody else's. */
static void copy_text(char *to, size_t size, const char *from) {
        (void) snprintf(to, size, "%s", from ? from : "");
        utf8_make_harmless(to, "");
}

/* What is shared. */

static struct state_key content_key(const arbiter *a, const void *data, size_t size) {
        const struct siphash_key *k = &a->actor->id_key;

        return (struct state_key){ { siphash24(data, size, k),
                        siphash24(data, size, &(struct siphash_key){ k->k1, ~k->k0 }) } };
}

static int use_new(arbiter *a, const struct state_key *key, struct state_use **ret) {
        struct state_use *u = calloc(1, sizeof(*u));
        int r;

        if (!u)
                return -ENOMEM;
        u->key = *key;
        r = map_put(a->state.spawns, key, sizeof(*key), u);
        if (r < 0) {
                free(u);
                return r;
        }
        *ret = u;
        return 0;
}

int state_use_spawn(arbiter *a, const arbiter_spawn *s, struct state_use **ret) {
        _cleanup_free_ uint8_t *data = NULL;
        struct state_key key;
        struct state_use *u;
        size_t size;
        int r;

        if (!a->state.journal || !s)
                return 0;
        r = state_encode_spawn(s, &data, &size);
        if (r < 0)
                return r;
        key = content_key(a, data, size);
        u = map_get(a->state.spawns, &key, sizeof(key));
        if (!u) {
                r = use_new(a, &key, &u);
                if (r < 0)
                        return r;
                state_put_value(a, STATE_SPAWN, &key, data, size);
        }
        u->n_ref++;
        state_release_spawn(a, ret);
        *ret = u;
        return 0;
}

int state_use_left(arbiter *a, const struct state_key *key, struct state_use **ret) {
        struct state_use *u;
        int r;

        if (!a->state.journal || state_key_is_null(key))
                return 0;
        u = map_get(a->state.spawns, key, sizeof(*key));
        r = u ? 0 : use_new(a, key, &u);
        if (r < 0)
                return r;
        u->n_ref++;
        state_release_spawn(a, ret);
        *ret = u;
        return 0;
}

void state_release_spawn(arbiter *a, struct state_use **use) {
        struct state_use *u = TAKE_PTR(*use);

        if (!u || --u->n_ref > 0)
                return;
        map_remove(a->state.spawns, &u->key, sizeof(u->key));
        state_forget(a, STATE_SPAWN, &u->key, sizeof(u->key));
        free(u);
}

static struct state_key key_of(const struct state_use *u) {
        return u ? u->key : (struct state_key){};
}

/* The arbiter. */

void state_fill_arbiter(arbiter *a, struct state_record *ret) {
        const struct state_arbiter *left = a->state.left;
        struct state_arbiter s = {
                .takeovers = left ? left->takeovers + 1 : 0,
                .pid = getpid(),
                .stopping = a->actor->state >= ARBITER_STATE_STOPPING,
                .settled = a->settled,
                .exit_code = a->exit_code,
                .id_key = a->actor->id_key,
                .seed = a->seed,
                .age_counter = a->age_counter,
                .leaf_counter = a->leaf_counter,
                .exit_counter = a->exit_counter,
                .death_counter = deaths_serial(a->deaths),
                .next_dead_aid = a->next_dead_aid,
                .started_usec = left ? left->started_usec : a->started_usec,
                .started_realtime_usec = left ? left->started_realtime_usec : a->started_realtime_usec,
                .restarts = a->counters.restarts,
                .deaths = a->counters.deaths,
                .dead_letters = a->counters.dead_letters,
        };

        copy_text(s.instance, sizeof(s.instance), a->instance);
        memcpy(s.deaths_by, a->counters.deaths_by, sizeof(a->counters.deaths_by));
        state_encode_arbiter(&s, ret);
}

void state_write_arbiter(arbiter *a) {
        struct state_record record;

        state_fill_arbiter(a, &record);
        state_put(a, &record);
}

void state_fill_name(const struct name_memory *n, struct state_record *ret) {
        struct state_name s = { .generation = n->generation, .reason = n->reason, .status = n->status };

        (void) snprintf(s.name, sizeof(s.name), "%s", n->name);
        state_encode_name(&s, ret);
}

void state_put_name(arbiter *a, const struct name_memory *n) {
        struct state_record record;

        if (!a->state.journal)
                return;
        state_fill_name(n, &record);
        state_put(a, &record);
}

void state_forget_name(arbiter *a, const struct name_memory *n) {
        state_forget(a, STATE_NAME, n->name, strlen(n->name));
}

/* The arbiter knows more of them; their places are those of its own ring, in turns. */
void state_fill_dead_aid(const arbiter *a, uint32_t i, struct state_record *ret) {
        const struct dead_aid *d = &a->dead_aids[i];
        struct state_dead_aid s = {
                .index = i % STATE_DEAD_AIDS,
                .id = d->id,
                .spawner = d->spawner,
                .reason = d->reason,
                .status = d->status,
        };

        state_encode_dead_aid(&s, ret);
}

void state_put_dead_aid(arbiter *a, uint32_t i) {
        struct state_record record;

        if (!a->state.journal)
                return;
        state_fill_dead_aid(a, i, &record);
        state_put(a, &record);
}

static void put_death(arbiter *a, const struct death_record *r) {
        struct state_record record;
        struct state_death s = {
                .serial = r->death->serial,
                .when_usec = r->death->when_usec,
                .lifetime_usec = r->death->lifetime_usec,
                .generation = r->death->generation,
                .pid = r->death->pid,
                .reason = r->death->reason,
                .status = r->death->status,
        };

        (void) snprintf(s.name, sizeof(s.name), "%s", r->name);
        (void) snprintf(s.monitor, sizeof(s.monitor), "%s", r->monitor);
        (void) aid_parse(r->death->aid.s, &s.id);
        state_encode_death(&s, &record);
        state_put(a, &record);
}

void state_put_death(arbiter *a, const char *name, const char *monitor, const struct death *death) {
        struct death with_serial = *death;

        if (!a->state.journal)
                return;
        with_serial.serial = deaths_serial(a->deaths);
        put_death(a, &(struct death_record){ name, monitor, &with_serial });
}

/* A life. */

static enum state_role role_of(const struct child *c) {
        if (c->monitor_actor)
                return STATE_ROLE_MONITOR;
        if (c->is_host)
                return STATE_ROLE_HOST;
        return c->set && c->set->monitor ? STATE_ROLE_WORKER : STATE_ROLE_LONE;
}

static const char *monitor_of(const struct child *c) {
        if (c->monitor_actor)
                return c->monitor_actor->name;
        if (c->is_host)
                return c->host_of;
        return c->set && c->set->monitor ? c->set->monitor->name : "";
}

static usec_t until(const struct actor_timer *t) {
        return heap_node_is_linked(&t->node) ? t->node.key : USEC_INFINITY;
}

static void fill_process(const struct child *c, struct state_child *s) {
        s->concurrency = c->concurrency;
        s->state = c->state;
        s->plain = c->plain;
        s->welcomed = c->welcomed;
        s->link_lost = c->link_lost;
        s->culprit = c->culprit;
        s->policy = c->peer ? c->peer->policy : ARBITER_MAILBOX_REJECT;
        s->uid = c->spawn && c->spawn->context.has_uid ? c->spawn->context.uid : UINT32_MAX;
        s->pid = c->process.pid;
        s->own_group = c->process.own_group;
        copy_text(s->leaf, sizeof(s->leaf), c->leaf.name);
        copy_text(s->unit, sizeof(s->unit), c->unit_name);
        copy_text(s->invocation, sizeof(s->invocation), c->unit_invocation);
        copy_text(s->token, sizeof(s->token), c->token);
        copy_text(s->notify, sizeof(s->notify), c->notify.address);
}

static void fill_course(const struct child *c, struct state_child *s) {
        s->created_usec = c->created_usec;
        s->started_usec = c->up && c->state == ARBITER_STATE_STARTING ? c->created_usec : c->started_usec;
        s->start_until = until(&c->start_timer);
        s->stop_until = until(&c->stop_timer);
        s->watchdog_usec = c->watchdog_usec;
        s->stop_stage = (uint8_t) c->stop_stage;
        s->stage_done = c->stage_done;
        s->reason_set = c->reason_set;
        s->closed = c->closed;
        s->reason = c->reason;
        s->closed_code = c->closed_code;
        s->ended = c->ended;
        s->end_reason = c->end_reason;
        s->end_status = c->end_status;
        s->last_reason = c->last_reason;
        s->last_status = c->last_status;
        s->spawn_tokens = c->spawn_tokens;
        s->spawn_tokens_usec = c->spawn_tokens_usec;
        s->dead_letters = c->dead_letters;
        copy_text(s->status, sizeof(s->status), c->status);
        copy_text(s->failure, sizeof(s->failure), c->failure);
        s->ignored = c->ignored;
}

void state_fill_child(const struct child *c, struct state_record *ret) {
        struct state_child s = {
                .id = c->aid,
                .generation = c->generation,
                .age = c->age,
                .role = role_of(c),
                .slot = c->slot,
                .set_generation = c->set_generation,
                .spawner = c->spawner,
                .payer = c->payer,
                .host = c->host ? c->host->aid : (aid){},
                .spawn = key_of(c->state_spawn),
        };
        copy_text(s.name, sizeof(s.name), c->name);
        copy_text(s.monitor, sizeof(s.monitor), monitor_of(c));
        fill_process(c, &s);
        fill_course(c, &s);
        state_encode_child(&s, ret);
}

int state_write_child(struct child *c) {
        struct state_record record;
        int r;

        r = c->state_spawn ? 0 : state_use_spawn(c->arbiter, c->spawn, &c->state_spawn);
        if (r < 0)
                return r;
        state_fill_child(c, &record);
        state_put(c->arbiter, &record);
        return 0;
}

/* Monitors and sets. */

void state_fill_monitor(const arbiter_monitor *m, struct state_record *ret) {
        struct state_monitor s = {
                .workers = m->workers,
                .configured = m->configured,
                .revision = m->revision,
                .stopping = m->stopping,
                .failed = m->failed,
                .worker = key_of(m->state_spawn),
                .actor = m->child ? m->child->aid : (aid){},
                .host = m->host ? m->host->aid : (aid){},
        };
        copy_text(s.name, sizeof(s.name), m->name);
        for (size_t i = 0; i < m->pool.n_definitions; i++)
                if (m->pool.definitions[i].state_spawn)
                        s.definitions[s.n_definitions++] = (struct state_definition){
                                m->pool.definitions[i].revision, key_of(m->pool.definitions[i].state_spawn)
                        };
        state_encode_monitor(&s, ret);
}

int state_write_monitor(arbiter_monitor *m) {
        struct state_record record;
        int r;

        r = state_use_spawn(m->arbiter, m->worker, &m->state_spawn);
        for (size_t i = 0; r >= 0 && i < m->pool.n_definitions; i++)
                r = state_use_spawn(m->arbiter, m->pool.definitions[i].spawn,
                                &m->pool.definitions[i].state_spawn);
        if (r < 0)
                return r;
        state_fill_monitor(m, &record);
        state_put(m->arbiter, &record);
        return 0;
}

static const char *name_of(const struct set *s) {
        return s->monitor ? s->monitor->name : "";
}

bool state_fill_slot(const struct set *s, uint32_t number, struct state_record *ret) {
        struct state_slot slot;
        int n;

        n = supervise_encode_slot(s->supervise, number, slot.data, sizeof(slot.data));
        if (n <= 0) /* it has the room: see above */
                return false;
        slot.slot = number;
        slot.size = (size_t) n;
        copy_text(slot.monitor, sizeof(slot.monitor), name_of(s));
        state_encode_slot(&slot, ret);
        return true;
}

static void write_slot(struct set *s, uint32_t number) {
        struct state_record record;

        if (state_fill_slot(s, number, &record))
                state_put(s->arbiter, &record);
        else
                state_forget(s->arbiter, STATE_SLOT, record.key,
                                state_slot_key(name_of(s), number, record.key));
}

void state_fill_set(const struct set *s, struct state_record *ret) {
        struct state_set head;
        int n;

        n = supervise_encode_head(s->supervise, head.head, sizeof(head.head));
        head.size = (size_t) MAX(n, 0);
        copy_text(head.monitor, sizeof(head.monitor), name_of(s));
        head.restarts = s->sums.restarts;
        head.starts = s->sums.starts;
        memset(head.deaths, 0, sizeof(head.deaths));
        memcpy(head.deaths, s->sums.deaths, sizeof(s->sums.deaths));
        head.start_usec = s->sums.start_usec;
        head.cpu_usec = s->sums.cpu_usec - MIN(s->sums.cpu_usec, s->sums.live_cpu_usec);
        state_encode_set(&head, ret);
}

/* The head goes with the slots of its time, and has the sums besides. */
int state_write_set(struct set *s) {
        struct state_record record;
        uint32_t number;

        if (!s->supervise || (s->monitor && !s->monitor->started))
                return 0;
        while (supervise_next_dirty(s->supervise, &number))
                if (number > 0)
                        write_slot(s, number);
        state_fill_set(s, &record);
        state_put(s->arbiter, &record);
        return 0;
}

void state_fill_place(const struct set *s, uint32_t slot, struct state_record *ret) {
        const struct set_slot *k = &s->slots[slot];
        struct state_place place = {
                .slot = slot,
                .spawn = key_of(k->state_spawn),
                .wanted = k->wanted_aid,
                .spawner = k->spawner,
                .transient = k->transient,
        };
        state_encode_place(&place, ret);
}

void state_fill_tree_child(const struct set *s, uint32_t slot, struct state_record *ret) {
        const struct set_slot *k = &s->slots[slot];
        struct state_tree_child t = {
                .slot = slot,
                .is_monitor = k->tree->monitor,
                .spawn = key_of(k->state_spawn),
                .wanted = k->wanted_aid,
                .configured = k->tree->configured,
        };
        copy_text(t.monitor, sizeof(t.monitor), s->monitor->name);
        copy_text(t.name, sizeof(t.name), tree_child_name(k->tree));
        state_encode_tree_child(&t, ret);
}

static void put_tree_child(struct set *s, uint32_t slot) {
        struct set_slot *k = &s->slots[slot];
        struct state_record record;
        int r;

        if (!k->tree)
                return;
        r = k->spawn ? state_use_spawn(s->arbiter, k->spawn, &k->state_spawn) : 0;
        if (r < 0)
                state_failed(s->arbiter, r);
        state_fill_tree_child(s, slot, &record);
        state_put(s->arbiter, &record);
}

void state_put_place(struct set *s, uint32_t slot) {
        struct state_record record;
        int r;

        if (!s->arbiter->state.journal)
                return;
        if (s->monitor) {
                put_tree_child(s, slot);
                return;
        }
        if (!s->slots[slot].spawn)
                return;
        r = state_use_spawn(s->arbiter, s->slots[slot].spawn, &s->slots[slot].state_spawn);
        if (r < 0)
                state_failed(s->arbiter, r);
        state_fill_place(s, slot, &record);
        state_put(s->arbiter, &record);
}

void state_forget_place(struct set *s, uint32_t slot) {
        uint8_t key[STATE_KEY_MAX];

        if (!s->arbiter->state.journal || (s->monitor && !s->slots[slot].tree))
                return;
        if (s->monitor) {
                state_forget(s->arbiter, STATE_TREE_CHILD, key, state_slot_key(s->monitor->name, slot, key));
                state_release_spawn(s->arbiter, &s->slots[slot].state_spawn);
                return;
        }
        state_forget_number(s->arbiter, STATE_PLACE, slot, 4);
        state_release_spawn(s->arbiter, &s->slots[slot].state_spawn);
}

/* Links and their ends. */

static struct state_link link_of(const struct relation *r) {
        return (struct state_link){ .target = r->target->aid, .owner = r->owner->aid };
}

void state_put_link(const struct relation *r) {
        struct state_record record;
        struct state_link s;

        if (!r->link || !r->owner || !r->owner->arbiter->state.journal)
                return;
        s = link_of(r);
        state_encode_link(&s, &record);
        state_put(r->owner->arbiter, &record);
}

void state_forget_link(const struct relation *r) {
        uint8_t key[STATE_KEY_MAX];
        struct state_link s;

        if (!r->link || !r->owner || !r->owner->arbiter->state.journal)
                return;
        s = link_of(r);
        state_forget(r->owner->arbiter, STATE_LINK, key, state_link_key(&s, key));
}

void state_put_exit(struct notice *n) {
        arbiter *a = n->to->arbiter;
        struct state_record record;
        struct state_exit s = {
                .to = n->to->aid,
                .generation = n->generation,
                .reason = n->reason,
                .status = n->status,
        };

        if (!n->exit || !a->state.journal)
                return;
        if (n->serial == 0) {
                n->serial = ++a->exit_counter;
                state_mark_arbiter(a);
        }
        s.serial = n->serial;
        (void) aid_parse(n->aid.s, &s.id);
        copy_text(s.name, sizeof(s.name), n->name);
        state_encode_exit(&s, &record);
        state_put(a, &record);
}

void state_forget_exit(const struct notice *n) {
        if (n->exit && n->serial > 0)
                state_forget_number(n->to->arbiter, STATE_EXIT, n->serial, 8);
}

void state_mark_rest(arbiter *a, const char *name, bool monitor, bool on) {
        struct state_rest *s, *old;
        struct state_record record;

        if (!a->state.journal)
                return;
        old = map_get_string(a->state.rests, name);
        if (!on) {
                if (!old)
                        return;
                map_remove_string(a->state.rests, name);
                free(old);
                state_forget(a, STATE_REST, name, strlen(name));
                return;
        }
        if (!old && map_size(a->state.rests) >= NAMES_KEPT_MAX)
                return; /* nobody configures so many: they have names of their own each time */
        s = old ? old : calloc(1, sizeof(*s));
        if (!s || (!old && map_put_string(a->state.rests, name, s) < 0)) {
                free(s);
                state_failed(a, -ENOMEM);
                return;
        }
        copy_text(s->name, sizeof(s->name), name);
        s->monitor = monitor;
        state_encode_rest(s, &record);
        state_put(a, &record);
}

/* All of it. */

static void put_rests(arbiter *a) {
        struct state_record record;
        void *position = NULL;
        struct state_rest *s;

        while ((s = map_next(a->state.rests, &position))) {
                state_encode_rest(s, &record);
                state_put(a, &record);
        }
}

static void mark_set(struct set *s) {
        if (!s->supervise)
                return;
        supervise_mark_all(s->supervise);
        state_mark_set(s);
}

static void mark_life(struct child *c) {
        state_release_spawn(c->arbiter, &c->state_spawn);
        state_mark_child(c);
        LIST_FOREACH(r, &c->watches, struct relation, of_owner)
                state_put_link(r);
}

static void mark_places(struct set *s) {
        for (uint32_t i = 1; i < s->n_slots; i++) {
                state_release_spawn(s->arbiter, &s->slots[i].state_spawn);
                state_put_place(s, i);
        }
}

void state_mark_all(arbiter *a) {
        struct death_record death;
        struct name_memory *n;
        void *position = NULL;

        state_mark_arbiter(a);
        while ((n = map_next(a->names, &position)))
                state_put_name(a, n);
        for (uint32_t i = MIN(a->n_dead_aids, (uint32_t) STATE_DEAD_AIDS); i > 0; i--)
                state_put_dead_aid(a, (a->next_dead_aid + a->n_dead_aids - i) % a->n_dead_aids);
        for (position = NULL; deaths_next(a->deaths, &position, &death);)
                put_death(a, &death);
        mark_set(&a->root);
        mark_places(&a->root);
        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors) {
                state_release_spawn(a, &m->state_spawn);
                for (size_t i = 0; i < m->pool.n_definitions; i++)
                        state_release_spawn(a, &m->pool.definitions[i].state_spawn);
                state_mark_monitor(m);
                if (m->started)
                        mark_set(&m->set);
                mark_places(&m->set);
        }
        LIST_FOREACH(c, &a->children, struct child, children)
                mark_life(c);
        LIST_FOREACH(e, &a->notices, struct notice, notices)
                state_put_exit(e);
        LIST_FOREACH(e, &a->state.told, struct notice, notices)
                state_put_exit(e);
        put_rests(a);
}

/* What nothing stands for any more. */

static bool has_slot(const struct set *s, uint32_t slot) {
        supervise_slot_info i;

        return s && s->supervise && supervise_get_slot(s->supervise, slot, &i) >= 0;
}

static struct set *find_set(arbiter *a, const char *monitor) {
        arbiter_monitor *m = *monitor ? map_get_string(a->monitors_by_name, monitor) : NULL;

        if (!*monitor)
                return &a->root;
        return m && m->started ? &m->set : NULL;
}

static bool has_tree_child(arbiter *a, const char *monitor, uint32_t slot) {
        arbiter_monitor *m = map_get_string(a->monitors_by_name, monitor);

        return m && slot < m->set.n_slots && m->set.slots[slot].tree;
}

static bool has_exit(const struct list_node *list, uint64_t serial) {
        LIST_FOREACH(n, list, struct notice, notices)
                if (n->exit && n->serial == serial)
                        return true;
        return false;
}

static bool has_link(arbiter *a, const struct state_link *s) {
        const struct child *owner = map_get(a->by_aid, s->owner.c, AID_SIZE);

        if (owner)
                LIST_FOREACH(r, &owner->watches, struct relation, of_owner)
                        if (r->link && aid_equal(&r->target->aid, &s->target))
                                return true;
        return false;
}

static uint64_t number_of(const struct state_entry *e) {
        const uint8_t *key = e->key;
        uint64_t n = 0;

        for (size_t i = 0; i < e->key_size && i < 8; i++)
                n |= (uint64_t) key[i] << (8 * i);
        return n;
}

/* Both are in the order of their numbers. */
struct death_walk {
        void *position;
        uint64_t serial;
};

static bool has_death(arbiter *a, struct death_walk *w, uint64_t serial) {
        struct death_record r;

        while (w->serial < serial && deaths_next(a->deaths, &w->position, &r))
                w->serial = r.death->serial;
        return w->serial == serial;
}

/* The key says whose it is: entries that were damaged are known, too. */
static bool is_alive(arbiter *a, struct death_walk *deaths, const struct state_entry *e) {
        char name[STATE_KEY_MAX + 1];
        struct state_link link;

        memcpy(name, e->key, e->key_size);
        name[e->key_size] = 0;
        switch (e->kind) {
        case STATE_ARBITER:
                return e->key_size == 0;
        case STATE_NAME:
                return map_get_string(a->names, name);
        case STATE_DEAD_AID:
                return number_of(e) < MIN(a->n_dead_aids, (uint32_t) STATE_DEAD_AIDS);
        case STATE_DEATH:
                return has_death(a, deaths, number_of(e));
        case STATE_SPAWN:
                return map_get(a->state.spawns, e->key, e->key_size);
        case STATE_CHILD:
                return map_get(a->by_aid, e->key, e->key_size);
        case STATE_MONITOR:
                return *name && find_set(a, name);
        case STATE_SET:
                return find_set(a, name);
        case STATE_SLOT:
                return e->key_size >= 4 && has_slot(find_set(a, name + 4), (uint32_t) number_of(e));
        case STATE_TREE_CHILD:
                return e->key_size >= 4 && has_tree_child(a, name + 4, (uint32_t) number_of(e));
        case STATE_PLACE:
                return number_of(e) < a->root.n_slots && a->root.slots[number_of(e)].spawn;
        case STATE_LINK:
                return state_decode_link(e, STATE_VERSION, &link) >= 0 && has_link(a, &link);
        case STATE_EXIT:
                return has_exit(&a->notices, number_of(e)) || has_exit(&a->state.told, number_of(e));
        case STATE_REST:
                return map_get_string(a->state.rests, name);
        default:
                return false;
        }
}

void state_sweep(arbiter *a) {
        struct death_walk deaths = {};
        struct state_entry e;
        void *position = NULL;

        while (state_journal_next(a->state.journal, 0, &position, &e))
                if (!is_alive(a, &deaths, &e))
                        state_forget(a, e.kind, e.key, e.key_size);
}
