/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state journal compared with what it is about: see the header. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "arbiter/deaths.h"
#include "arbiter/state-fill.h"
#include "state-check.h"
#include "test-util.h"

static struct state_record record;
static size_t n_expected;

/* What record says is there, and says the same. */
static void check(arbiter *a, const char *what) {
        struct state_entry e = {};
        size_t at = 0;

        n_expected++;
        if (state_journal_get(a->state.journal, record.kind, record.key, record.key_size, &e) < 0)
                fail_msg("there is no entry of %s", what);
        if (e.value_size == record.value_size && memcmp(e.value, record.value, e.value_size) == 0)
                return;
        while (at < e.value_size && at < record.value_size &&
                        ((const uint8_t *) e.value)[at] == record.value[at])
                at++;
        fail_msg("the entry of %s (kind %u) is an old one: byte %zu", what, record.kind, at);
}

static void check_set(struct set *s, const char *name) {
        supervise_info i;

        state_fill_set(s, &record);
        check(s->arbiter, name);
        supervise_get_info(s->supervise, &i);
        for (uint32_t n = 1; n <= i.slot_max; n++)
                if (state_fill_slot(s, n, &record))
                        check(s->arbiter, name);
}

static void check_lives(arbiter *a) {
        LIST_FOREACH(c, &a->children, struct child, children) {
                state_fill_child(c, &record);
                check(a, c->name);
                LIST_FOREACH(r, &c->watches, struct relation, of_owner)
                        if (r->link) {
                                state_encode_link(&(struct state_link){ r->target->aid, c->aid }, &record);
                                check(a, c->name);
                        }
        }
}

static void check_past(arbiter *a) {
        struct death_record r;
        struct name_memory *n;
        void *position = NULL;

        while ((n = map_next(a->names, &position))) {
                state_fill_name(n, &record);
                check(a, n->name);
        }
        for (uint32_t i = MIN(a->n_dead_aids, (uint32_t) STATE_DEAD_AIDS); i > 0; i--) {
                state_fill_dead_aid(a, (a->next_dead_aid + a->n_dead_aids - i) % a->n_dead_aids, &record);
                check(a, "a dead aid");
        }
        for (position = NULL; deaths_next(a->deaths, &position, &r);) {
                struct state_death s = {
                        .serial = r.death->serial,
                        .when_usec = r.death->when_usec,
                        .lifetime_usec = r.death->lifetime_usec,
                        .generation = r.death->generation,
                        .pid = r.death->pid,
                        .reason = r.death->reason,
                        .status = r.death->status,
                };

                (void) snprintf(s.name, sizeof(s.name), "%s", r.name);
                (void) snprintf(s.monitor, sizeof(s.monitor), "%s", r.monitor);
                assert_ok(aid_parse(r.death->aid.s, &s.id));
                state_encode_death(&s, &record);
                check(a, r.name);
        }
}

/* By those that it is written for. */
static void check_spawns(arbiter *a) {
        struct state_entry e;
        struct state_use *u;
        void *position = NULL;

        while ((u = map_next(a->state.spawns, &position))) {
                arbiter_spawn *s = NULL;

                n_expected++;
                assert_true(u->n_ref > 0);
                assert_ok(state_journal_get(a->state.journal, STATE_SPAWN, &u->key, sizeof(u->key), &e));
                assert_ok(state_decode_spawn(a, &e, STATE_VERSION, NULL, &s));
                arbiter_spawn_unref(s);
        }
}

static void check_rests(arbiter *a) {
        struct state_rest *s;
        void *position = NULL;

        while ((s = map_next(a->state.rests, &position))) {
                state_encode_rest(s, &record);
                check(a, s->name);
        }
}

static size_t count_exits(const struct list_node *list) {
        size_t n = 0;

        LIST_FOREACH(i, list, struct notice, notices)
                n += i->exit;
        return n;
}

/* The memory as another arbiter would find it. */
static void check_readable(arbiter *a) {
        size_t size = (size_t) lseek(arbiter_get_state_fd(a), 0, SEEK_END), n = 0;
        int copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct state_journal *j = NULL;
        struct state_journal_usage usage;
        void *position = NULL;
        struct state_entry e, there;
        off_t at = 0;

        assert_ok(ftruncate(copy, (off_t) size));
        assert_ok(fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
        while ((at = lseek(arbiter_get_state_fd(a), at, SEEK_DATA)) >= 0) {
                static char buffer[65536];
                ssize_t k = pread(arbiter_get_state_fd(a), buffer, sizeof(buffer), at);

                if (k <= 0)
                        break;
                assert_int_equal(pwrite(copy, buffer, (size_t) k, at), k);
                at += k;
        }
        assert_int_equal(state_journal_open(copy, &j), 0);
        while (state_journal_next(a->state.journal, 0, &position, &e)) {
                assert_ok(state_journal_get(j, e.kind, e.key, e.key_size, &there));
                assert_int_equal(e.value_size, there.value_size);
                assert_memory_equal(e.value, there.value, e.value_size);
                n++;
        }
        assert_int_equal(n, n_expected);
        state_journal_get_usage(j, &usage);
        assert_int_equal(usage.entries, n);
        state_journal_free(j);
        (void) close(copy);
}

static void check_children(arbiter_monitor *m) {
        for (uint32_t i = 1; i < m->set.n_slots; i++)
                if (m->set.slots[i].tree) {
                        state_fill_tree_child(&m->set, i, &record);
                        check(m->arbiter, tree_child_name(m->set.slots[i].tree));
                }
}

static void check_all(arbiter *a) {
        assert_false(a->state.open || a->state.broken);
        n_expected = 0;
        state_fill_arbiter(a, &record);
        check(a, "the arbiter");
        check_past(a);
        check_set(&a->root, "the root set");
        for (uint32_t i = 1; i < a->root.n_slots; i++)
                if (a->root.slots[i].spawn) {
                        state_fill_place(&a->root, i, &record);
                        check(a, a->root.slots[i].spawn->name);
                }
        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors)
                check_children(m);
        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors)
                if (m->started) {
                        state_fill_monitor(m, &record);
                        check(a, m->name);
                        check_set(&m->set, m->name);
                }
        check_lives(a);
        check_spawns(a);
        n_expected += count_exits(&a->notices) + count_exits(&a->state.told);
        check_rests(a);
        state_sweep(a);
        assert_false(a->state.open); /* nothing stale */
}

void state_check(arbiter *a) {
        if (!a->state.journal || a->state.held)
                return;
        /* What was done outside of the loop is committed by its next turn, without anybody's help. */
        for (unsigned i = 0; a->state.touched && i < 10; i++)
                assert_ok(sd_event_run(a->event, 0));
        assert_false(a->state.touched);
        check_all(a);
        check_readable(a);
}

/* The more there is, the rarer. */
static int on_turn(sd_event_source *s, void *userdata) {
        static size_t turns;
        struct state_journal_usage u;
        arbiter *a = userdata;

        state_journal_get_usage(a->state.journal, &u);
        if (a->state.touched || a->state.held || ++turns < u.entries / 32)
                return 0;
        turns = 0;
        check_all(a);
        return 0;
}

void state_check_turns(arbiter *a) {
        sd_event_source *s;

        assert_ok(arbiter_set_state(a, -1));
        assert_ok(sd_event_add_post(a->event, &s, on_turn, a));
        assert_ok(sd_event_source_set_floating(s, true));
        sd_event_source_unref(s);
}
