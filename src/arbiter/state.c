/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an arbiter's successor must know of it, kept in the state journal as things change: see state.h.
 * Called wherever something is decided; state-fill.c makes the entries. What is small and never changes
 * is staged at once, what changes is marked and written with the next commit, so that a thing that
 * changes ten times before that is written once. Must never be in the way of what it describes: when it
 * cannot be written, that is told, and the arbiter goes on. */

#include <syslog.h>

#include "arbiter/deaths.h"
#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "arbiter/state-fill.h"

#define REWRITE_USEC (10 * USEC_PER_SEC) /* between attempts to write everything anew */

/* Opening. */

/* -ENOENT: nothing has been written yet, or an arbiter that has ended in order has left nothing. */
static int read_left(const struct state_journal *j, struct state_arbiter *ret) {
        struct state_entry e;
        int r;

        r = state_journal_get(j, STATE_ARBITER, "", 0, &e);
        return r < 0 ? r : state_decode_arbiter(&e, ret);
}

static int open_left(arbiter *a, int fd, struct state_journal **ret) {
        _cleanup_(state_journal_freep) struct state_journal *j = NULL;
        struct state_arbiter *left;
        bool damaged;
        int r;

        r = state_journal_open(fd, &j);
        if (r < 0)
                return r;
        damaged = r > 0;
        if (damaged)
                arbiter_log(a, LOG_WARNING, NULL, NULL,
                                "the state that was left is damaged: the last of what was decided is lost");
        left = malloc(sizeof(*left));
        if (!left)
                return -ENOMEM;
        r = read_left(j, left);
        if (r < 0) {
                free(left);
                if (r != -ENOENT || damaged) /* then there was an arbiter, of which nothing is known */
                        return r == -ENOENT ? -EBADMSG : r;
                left = NULL;
        }
        free(a->state.left);
        a->state.left = left;
        *ret = TAKE_PTR(j);
        return left ? 1 : 0;
}

static int on_loose_end(sd_event_source *s, void *userdata) {
        state_commit(userdata);
        return 0;
}

static void on_old_death(uint64_t serial, void *userdata) {
        state_forget_number(userdata, STATE_DEATH, serial, 8);
}

static int init(arbiter *a) {
        struct state_keeping *k = &a->state;
        int r;

        if (k->spawns)
                return 0;
        r = map_new(&k->spawns);
        if (r >= 0)
                r = map_new(&k->rests);
        if (r >= 0)
                r = sd_event_add_defer(a->event, &k->source, on_loose_end, a);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        deaths_set_old(a->deaths, on_old_death, a);
        return 0;
}

_public_ int arbiter_set_state(arbiter *a, int fd) {
        struct state_journal *j = NULL;
        int r;

        if (!a || fd < -1)
                return -EINVAL;
        if (a->started)
                return -EBUSY;
        r = init(a);
        if (r >= 0)
                r = fd < 0 ? state_journal_new(STATE_JOURNAL_SIZE_DEFAULT, &j) : open_left(a, fd, &j);
        if (r < 0)
                return r;
        state_journal_free(a->state.journal);
        a->state.journal = j;
        a->state.held = r > 0;
        a->state.stale = r == 0; /* not even what is there without an arbiter's entry */
        state_mark_arbiter(a);
        state_mark_set(&a->root);
        return r;
}

_public_ int arbiter_get_state_fd(arbiter *a) {
        return a ? state_journal_fd(a->state.journal) : -EINVAL;
}

_public_ int arbiter_set_keep_handler(arbiter *a, arbiter_keep_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->keep_handler = handler;
        a->keep_userdata = userdata;
        return 0;
}

_public_ void arbiter_kept(arbiter *a) {
        if (a)
                relinks_kept(a);
}

void state_init(arbiter *a) {
        list_init(&a->state.children);
        list_init(&a->state.sets);
        list_init(&a->state.monitors);
        list_init(&a->state.told);
}

void state_done(arbiter *a) {
        struct state_keeping *k = &a->state;

        k->source = sd_event_source_disable_unref(k->source);
        k->journal = state_journal_free(k->journal);
        k->spawns = map_free(k->spawns, free);
        k->rests = map_free(k->rests, free);
        free(k->left);
}

/* Marking and staging. */

/* Every callback of the loop's ends in a commit; what is done outside of one gets a turn of its own. */
static void touch(arbiter *a) {
        struct state_keeping *k = &a->state;

        if (k->touched)
                return;
        k->touched = true;
        if (a->actor->batch_depth == 0)
                (void) sd_event_source_set_enabled(k->source, SD_EVENT_ONESHOT);
}

/* What was marked and staged is in no transaction any more: all of it is to be written again. */
void state_failed(arbiter *a, int error) {
        struct state_keeping *k = &a->state;

        state_journal_cancel(k->journal);
        k->open = false;
        if (!k->broken)
                arbiter_log(a, LOG_ERR, NULL, "state-failed",
                                "what is decided cannot be written down: %s. An arbiter that took over now "
                                "would not know of it",
                                strerror(-error));
        k->broken = true;
        status_changed(a, 0);
        k->rewrite_usec = now_usec() + REWRITE_USEC;
}

static bool begin(arbiter *a) {
        struct state_keeping *k = &a->state;

        if (!k->journal || k->broken)
                return false;
        touch(a);
        if (!k->open)
                (void) state_journal_begin(k->journal);
        k->open = true;
        return true;
}

void state_put(arbiter *a, const struct state_record *r) {
        int q;

        if (!begin(a))
                return;
        q = state_journal_put(a->state.journal, r->kind, r->key, r->key_size, r->value, r->value_size);
        if (q < 0)
                state_failed(a, q);
}

void state_put_value(arbiter *a, uint8_t kind, const struct state_key *key, const void *value, size_t size) {
        int r;

        if (!begin(a))
                return;
        r = state_journal_put(a->state.journal, kind, key, sizeof(*key), value, size);
        if (r < 0)
                state_failed(a, r);
}

void state_forget(arbiter *a, uint8_t kind, const void *key, size_t key_size) {
        int r;

        if (!begin(a))
                return;
        r = state_journal_remove(a->state.journal, kind, key, key_size);
        if (r < 0)
                state_failed(a, r);
}

void state_forget_number(arbiter *a, uint8_t kind, uint64_t n, unsigned n_bytes) {
        uint8_t key[STATE_KEY_MAX];

        if (a->state.journal)
                state_forget(a, kind, key, state_number_key(n, n_bytes, key));
}

static void mark(arbiter *a, struct list_node *list, struct list_node *node) {
        if (list_is_linked(node))
                return;
        list_append(list, node);
        touch(a);
}

void state_mark_arbiter(arbiter *a) {
        if (!a->state.journal)
                return;
        a->state.marked = true;
        touch(a);
}

void state_mark_child(struct child *c) {
        if (c->arbiter->state.journal && c->registered)
                mark(c->arbiter, &c->arbiter->state.children, &c->marked);
}

void state_mark_set(struct set *s) {
        if (s->arbiter->state.journal)
                mark(s->arbiter, &s->arbiter->state.sets, &s->marked);
}

void state_mark_monitor(arbiter_monitor *m) {
        if (m->arbiter && m->arbiter->state.journal && m->started)
                mark(m->arbiter, &m->arbiter->state.monitors, &m->marked);
}

/* What is no more. */

void state_forget_child(struct child *c) {
        arbiter *a = c->arbiter;

        list_remove(&c->marked);
        if (!a->state.journal)
                return;
        state_forget(a, STATE_CHILD, c->aid.c, AID_SIZE);
        state_release_spawn(a, &c->state_spawn);
        state_mark_arbiter(a); /* what it was counted for */
}

static void forget_set(struct set *s) {
        uint8_t key[STATE_KEY_MAX];
        arbiter *a = s->arbiter;

        list_remove(&s->marked);
        if (!a || !a->state.journal || !s->monitor || !s->supervise)
                return;
        state_forget(a, STATE_SET, key, state_set_key(s->monitor->name, key));
        for (uint32_t i = 1; i < s->n_slots; i++)
                state_forget(a, STATE_SLOT, key, state_slot_key(s->monitor->name, i, key));
}

void state_forget_monitor(arbiter_monitor *m) {
        list_remove(&m->marked);
        if (!m->arbiter->state.journal)
                return;
        forget_set(&m->set);
        state_forget(m->arbiter, STATE_MONITOR, m->name, strlen(m->name));
        state_release_spawn(m->arbiter, &m->state_spawn);
        for (size_t i = 0; i < m->pool.n_definitions; i++)
                state_release_spawn(m->arbiter, &m->pool.definitions[i].state_spawn);
}

void state_end(arbiter *a) {
        if (!a->state.journal)
                return;
        a->state.marked = false;
        state_forget(a, STATE_ARBITER, "", 0);
        state_commit(a);
        a->state.held = true;
}

/* Exits: kept until they have left for sure. */

bool state_exit_sent(struct notice *n) {
        if (!n->to->arbiter->state.journal)
                return false;
        list_append(&n->to->arbiter->state.told, &n->notices);
        n->to->n_told++;
        return true;
}

static bool has_left(const struct notice *n) {
        return !n->to->peer || !n->to->peer->link || link_get_buffered(n->to->peer->link) == 0;
}

static void forget_told(arbiter *a) {
        LIST_FOREACH(n, &a->state.told, struct notice, notices)
                if (has_left(n)) {
                        list_remove(&n->notices);
                        n->to->n_told--;
                        state_forget_exit(n);
                        free(n);
                }
}

/* Committing. */

static int write_marked(arbiter *a) {
        struct state_keeping *k = &a->state;
        int r = 0;

        LIST_FOREACH(m, &k->monitors, arbiter_monitor, marked) {
                r = state_write_monitor(m);
                if (r < 0)
                        return r;
                list_remove(&m->marked);
        }
        LIST_FOREACH(s, &k->sets, struct set, marked) {
                r = state_write_set(s);
                if (r < 0)
                        return r;
                list_remove(&s->marked);
        }
        LIST_FOREACH(c, &k->children, struct child, marked) {
                r = state_write_child(c);
                if (r < 0)
                        return r;
                list_remove(&c->marked);
        }
        if (k->marked)
                state_write_arbiter(a);
        k->marked = false;
        return r;
}

/* After a failure, or when the journal holds what was not ours. What is stale goes first: there may be no
 * room for both. */
static int rewrite(arbiter *a) {
        struct state_keeping *k = &a->state;

        k->broken = k->stale = false;
        state_sweep(a);
        if (!k->broken && k->open)
                state_journal_commit(k->journal);
        k->open = false;
        if (!k->broken)
                state_mark_all(a);
        return k->broken ? -ENOSPC : 0;
}

void state_commit(arbiter *a) {
        struct state_keeping *k = &a->state;
        bool was_broken = k->broken;
        int r = 0;

        if (!k->journal || k->held || (!k->touched && list_is_empty(&k->told)))
                return;
        if (k->broken && now_usec() < k->rewrite_usec)
                return;
        if (k->broken || k->stale)
                r = rewrite(a);
        forget_told(a);
        if (r >= 0 && k->touched) {
                (void) begin(a);
                r = write_marked(a);
        }
        if (r < 0 && !k->broken)
                state_failed(a, r);
        if (k->broken)
                return;
        state_journal_commit(k->journal);
        k->open = k->touched = false;
        (void) sd_event_source_set_enabled(k->source, SD_EVENT_OFF);
        if (was_broken) {
                arbiter_log(a, LOG_NOTICE, NULL, NULL, "what is decided can be written down again");
                status_changed(a, 0);
        }
}

bool state_has_room(arbiter *a) {
        struct state_journal_usage usage;

        state_journal_get_usage(a->state.journal, &usage);
        return usage.used <= usage.size / 2 || state_journal_get_alive(a->state.journal) <= usage.size / 2;
}

void state_release(arbiter *a) {
        a->state.held = false;
        state_commit(a);
}
