/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/bus: long tables go past sd-bus where that can be, and are the same where it cannot. Which way an
 * answer came shows in its serial. */

#include "bus-fixture.h"

#include "bus/bulk-reply.h"

enum { N_MANY = 1000, N_TOO_MANY = 3000 };

static int setup_many(void **state) {
        return bus_setup_actors(state, N_MANY);
}

static int setup_too_many(void **state) {
        return bus_setup_actors(state, N_TOO_MANY);
}

static int setup_none(void **state) {
        return bus_setup_actors(state, 0);
}

/* Reads the table to its end; was it written past sd-bus? */
static bool check_table(struct fixture *x, struct call *c) {
        const char *id, *name, *monitor, *concurrency, *actor_state, *path;
        uint64_t uptime, cookie;
        uint32_t pid;

        expect_reply(x, c, "a(sssssuto)");
        assert_ok(sd_bus_message_enter_container(c->reply, 'a', "(sssssuto)"));
        for (size_t i = 0; i < x->arbiter->n_actors; i++) {
                _cleanup_free_ char *expected = NULL;

                assert_int_equal(sd_bus_message_read(c->reply, "(sssssuto)", &id, &name, &monitor,
                                                 &concurrency, &actor_state, &pid, &uptime, &path),
                                1);
                assert_string_equal(id, x->arbiter->actors[i].id);
                assert_string_equal(name, x->arbiter->actors[i].name);
                assert_string_equal(monitor, x->arbiter->actors[i].view.monitor);
                assert_string_equal(concurrency,
                                arbiter_concurrency_to_string(x->arbiter->actors[i].view.concurrency));
                assert_string_equal(actor_state,
                                arbiter_state_to_string(x->arbiter->actors[i].view.state));
                assert_int_equal(pid, 1000 + i);
                assert_true(uptime < 100 * USEC_PER_SEC);
                assert_ok(sd_bus_path_encode(BUS_PATH_ACTOR, id, &expected));
                assert_string_equal(path, expected);
        }
        assert_ok(sd_bus_message_exit_container(c->reply));
        assert_int_equal(sd_bus_message_at_end(c->reply, true), 1);
        assert_ok(sd_bus_message_get_cookie(c->reply, &cookie));
        free_call(c);
        return cookie == UINT32_MAX;
}

static bool list_actors(struct fixture *x) {
        struct call c = {};

        manager_call(x, &c, "ListActors", "");
        return check_table(x, &c);
}

static void test_past_sd_bus(void **state) {
        struct fixture *x = *state;

        /* words that differ from row to row, and come again */
        for (size_t i = 0; i < x->arbiter->n_actors; i++) {
                struct actor_view *v = &x->arbiter->actors[i].view;

                if (i % 3 == 0)
                        v->monitor = "";
                if (i % 5 == 0)
                        v->concurrency = ARBITER_CONCURRENCY_UNIT;
                if (i % 7 < 2)
                        v->state = ARBITER_STATE_STOPPING;
        }
        assert_true(list_actors(x));
        assert_true(list_actors(x)); /* the same memory again */
        x->arbiter->n_actors = MIN(x->arbiter->n_actors, (size_t) 3);
        assert_true(list_actors(x));
}

static void test_too_long(void **state) {
        struct fixture *x = *state;

        assert_false(list_actors(x));
        x->arbiter->n_actors = 10; /* what was not sent leaves nothing behind */
        assert_true(list_actors(x));
}

/* One that does not read what came before has it in order, whole, each by whatever way. */
static void test_unread(void **state) {
        enum { N = 12 };
        struct fixture *x = *state;
        struct call calls[N] = {}, ping = {};
        unsigned n_bulk = 0;

        for (size_t i = 0; i < N; i++)
                manager_call(x, &calls[i], "ListActors", "");
        send_call(x->client, &ping, BUS_PATH, "org.freedesktop.DBus.Peer", "Ping", "");
        assert_ok(sd_bus_flush(x->client));
        assert_ok(sd_bus_detach_event(x->client));
        settle(x);
        assert_ok(sd_bus_attach_event(x->client, x->arbiter->event, 0));
        for (size_t i = 0; i < N; i++)
                n_bulk += check_table(x, &calls[i]);
        expect_empty(x, &ping);
        assert_int_equal(n_bulk, 1); /* the first */
        assert_true(list_actors(x));
}

/* Nobody waits for it. */
static void test_no_reply_expected(void **state) {
        struct fixture *x = *state;
        sd_bus_message *m;

        assert_ok(sd_bus_message_new_method_call(x->client, &m, NULL, BUS_PATH, BUS_INTERFACE_MANAGER,
                        "ListActors"));
        assert_ok(sd_bus_message_set_expect_reply(m, false));
        assert_ok(sd_bus_send(x->client, m, NULL));
        sd_bus_message_unref(m);
        settle(x);
        assert_true(list_actors(x));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_past_sd_bus, setup_many, bus_teardown),
                cmocka_unit_test_setup_teardown(test_past_sd_bus, setup_none, bus_teardown),
                cmocka_unit_test_setup_teardown(test_too_long, setup_too_many, bus_teardown),
                cmocka_unit_test_setup_teardown(test_unread, setup_many, bus_teardown),
                cmocka_unit_test_setup_teardown(test_no_reply_expected, setup_many, bus_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
