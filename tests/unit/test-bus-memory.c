/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The n-th allocation of the face fails, for every n, while a caller connects and asks: it has an answer, an
 * error or the end of its connection, never nothing; nothing leaks; and the next caller is served. The
 * caller is a thread, which has memory. */

#include "bus-fixture.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "test-failing-malloc.h"

#if !FAILING_MALLOC

int main(void) {
        return 77; /* the sanitizer's own allocator is not ours to break */
}

#else

struct question {
        const char *path, *interface, *member, *signature, *argument;
};

struct caller {
        const struct fixture *x;
        const struct question *q;
        int connected, go, done; /* eventfds */
        int result;
};

static void notify(int fd) {
        uint64_t one = 1;

        (void) !write(fd, &one, sizeof(one));
}

static void await(int fd) {
        uint64_t n;

        (void) !read(fd, &n, sizeof(n));
}

static int ask(struct caller *c, sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const struct question *q = c->q;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, q->path, q->interface, q->member);
        if (r >= 0 && *q->signature)
                r = streq(q->signature, "ssava{sv}") ? sd_bus_message_append(m, "ssava{sv}", q->argument,
                                                                       "echo", 1, "v", "s", "a", 0)
                                                     : sd_bus_message_append(m, q->signature, q->argument);
        return r < 0 ? r : sd_bus_call(bus, m, 2 * USEC_PER_SEC, NULL, &reply);
}

static void *run_caller(void *userdata) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        struct caller *c = userdata;
        char address[80];
        int r;

        (void) snprintf(address, sizeof(address), "unix:path=%s", c->x->path);
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_start(bus);
        while (r >= 0 && (r = sd_bus_is_ready(bus)) == 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        notify(c->connected);
        await(c->go);
        c->result = r < 0 ? r : ask(c, bus);
        bus = sd_bus_flush_close_unref(bus);
        notify(c->done);
        return NULL;
}

static int on_event(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        await(fd);
        *(bool *) userdata = true;
        return 0;
}

/* Turns the loop until the caller says so. What the arbiter is asked for meanwhile, it has no time for. */
static void run_until(struct fixture *x, const bool *what) {
        while (!*what) {
                turn(x);
                while (x->arbiter->requests) {
                        long left = countdown;

                        countdown = -1; /* the made-up arbiter has memory */
                        fake_fail(x->arbiter, ARBITER_OUTCOME_OVERLOAD, NULL, NULL);
                        countdown = left;
                }
        }
}

/* An error that libsystemd itself says for a handler, and cannot for want of memory, it drops: so none of
 * the questions is one that is refused at once. And what it keeps when a vtable cannot be added makes it
 * abort: so the fault is ahead only once the connection stands. What came of the question, with the n-th
 * allocation failing; n < 0: none. */
static int call(struct fixture *x, const struct question *q, long n) {
        struct caller c = { .x = x, .q = q };
        sd_event_source *sources[2] = {};
        bool connected = false, done = false;
        pthread_t thread;

        c.connected = eventfd(0, EFD_CLOEXEC);
        c.go = eventfd(0, EFD_CLOEXEC);
        c.done = eventfd(0, EFD_CLOEXEC);
        assert_true(c.connected >= 0 && c.go >= 0 && c.done >= 0);
        assert_ok(sd_event_add_io(
                        x->arbiter->event, &sources[0], c.connected, EPOLLIN, on_event, &connected));
        assert_ok(sd_event_add_io(x->arbiter->event, &sources[1], c.done, EPOLLIN, on_event, &done));
        assert_int_equal(pthread_create(&thread, NULL, run_caller, &c), 0);
        run_until(x, &connected);
        fired = false;
        notify(c.go);
        countdown = n;
        run_until(x, &done);
        countdown = -1;
        assert_int_equal(pthread_join(thread, NULL), 0);
        for (unsigned i = 0; i < 2; i++)
                sd_event_source_unref(sources[i]);
        close(c.connected);
        close(c.go);
        close(c.done);
        settle(x);
        return c.result;
}

static const struct question questions[] = {
        { BUS_PATH, BUS_INTERFACE_MANAGER, "ListActors", "", NULL },
        { BUS_PATH, BUS_INTERFACE_MANAGER, "ListMonitors", "", NULL },
        { BUS_PATH, BUS_INTERFACE_MANAGER, "GetActor", "s", "web.1" },
        { BUS_PATH, BUS_INTERFACE_MANAGER, "ListCommands", "s", "web.1" },
        { BUS_PATH, BUS_INTERFACE_MANAGER, "ListDeaths", "s", "web.1" },
        { BUS_PATH, BUS_INTERFACE_MANAGER, "Ping", "s", "web.1" },
        { BUS_PATH, BUS_INTERFACE_MANAGER, "Stop", "s", "web.1" },
        { BUS_PATH, BUS_INTERFACE_MANAGER, "Send", "ssava{sv}", "web.1" },
        { BUS_PATH, "org.freedesktop.DBus.Properties", "GetAll", "s", BUS_INTERFACE_MANAGER },
        { BUS_PATH_ACTOR "/a0000000", "org.freedesktop.DBus.Properties", "GetAll", "s",
          BUS_INTERFACE_ACTOR },
        { BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", NULL },
        { BUS_PATH_ACTOR, "org.freedesktop.DBus.Introspectable", "Introspect", "", NULL },
};

static void test_every_allocation(void **state) {
        struct fixture *x = *state;
        static const struct question next = { BUS_PATH, BUS_INTERFACE_MANAGER, "GetActor", "s", "web.1" };

        for (size_t i = 0; i < ELEMENTSOF(questions); i++) {
                const struct question *q = &questions[i];
                int good = call(x, q, -1);
                long n = 0;

                for (;; n++) {
                        int r = call(x, q, n);

                        assert_true(n < 5000);
                        if (!fired)
                                break;
                        if (r == -ETIMEDOUT)
                                fail_msg("%s: no answer when allocation %ld fails", q->member, n);
                        assert_ok(call(x, &next, -1));
                }
                assert_true(n > 0);
                assert_int_equal(call(x, q, -1), good);
        }
}

/* Not a byte more after any number of failures. */
static void test_no_leak(void **state) {
        struct fixture *x = *state;
        size_t used = 0;

        for (unsigned round = 0; round < 12; round++) {
                for (size_t i = 0; i < ELEMENTSOF(questions); i++)
                        for (long n = 0; n < 40; n += 3)
                                (void) call(x, &questions[i], n);
                if (round == 4)
                        used = mallinfo2().uordblks;
        }
        assert_true(mallinfo2().uordblks < used + 16 * 1024);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_every_allocation, bus_setup, bus_teardown),
                cmocka_unit_test_setup_teardown(test_no_leak, bus_setup, bus_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
