/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every actor answers, its hooks and its start and stop, with what pulsar's tests ask of them. */

#include <signal.h>
#include <sys/socket.h>

#include "actor-fixture.h"

static arbiter_future *call(struct fixture *x, const char *target, const char *command) {
        arbiter_future *f;

        assert_ok(arbiter_call_async(x->root, &f, target, command, 0, ""));
        fixture_wait(x, f);
        return f;
}

static void assert_text(struct fixture *x, const char *target, const char *command, const char *expected) {
        arbiter_future *f = call(x, target, command);
        const char *s = NULL;

        assert_ok(arbiter_future_get(f, "s", &s));
        assert_string_equal(s, expected);
        arbiter_future_unref(f);
}

static void test_ping_status(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p = fixture_spawn(x, "alice", NULL);
        arbiter_future *f;
        const char *s;

        assert_text(x, "alice", "ping", "pong");
        assert_text(x, arbiter_proxy_get_aid(p), "ping", "pong");
        assert_text(x, "arbiter", "ping", "pong");
        assert_text(x, "alice", "status", "running");
        assert_ok(arbiter_proxy_call_async(x->root, &f, p, "ping", 0, ""));
        fixture_wait(x, f);
        assert_ok(arbiter_future_get(f, "s", &s));
        assert_string_equal(s, "pong");
        arbiter_future_unref(f);
        arbiter_proxy_unref(p);
}

static void test_echo(void **state) {
        struct fixture *x = *state;
        const char *name, *inner;
        arbiter_future *f;
        int64_t n, m;
        double d;

        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        assert_ok(arbiter_call_async(x->root, &f, "alice", "echo", 0, "v", "(sa{sv}axd)", "name", 1, "key",
                        "(sx)", "inner", (int64_t)9, 2, (int64_t)5, (int64_t)-6, 0.25));
        fixture_wait(x, f);
        arbiter_message *r;
        assert_ok(arbiter_future_get_reply(f, &r));
        assert_string_equal(arbiter_message_get_signature(r), "v");
        assert_true(arbiter_message_enter_container(r, 'v', "(sa{sv}axd)") > 0);
        assert_true(arbiter_message_enter_container(r, 'r', "sa{sv}axd") > 0);
        assert_true(arbiter_message_read(r, "s", &name) > 0);
        assert_string_equal(name, "name");
        assert_true(arbiter_message_enter_container(r, 'a', "{sv}") > 0);
        assert_true(arbiter_message_enter_container(r, 'e', "sv") > 0);
        assert_true(arbiter_message_read(r, "s", &name) > 0);
        assert_true(arbiter_message_read(r, "v", "(sx)", &inner, &n) > 0);
        assert_string_equal(inner, "inner");
        assert_int_equal(n, 9);
        assert_ok(arbiter_message_exit_container(r));
        assert_ok(arbiter_message_exit_container(r));
        assert_true(arbiter_message_enter_container(r, 'a', "x") > 0);
        assert_true(arbiter_message_read(r, "x", &n) > 0);
        assert_true(arbiter_message_read(r, "x", &m) > 0);
        assert_int_equal(n, 5);
        assert_int_equal(m, -6);
        assert_ok(arbiter_message_exit_container(r));
        assert_true(arbiter_message_read(r, "d", &d) > 0);
        assert_true(d == 0.25);
        arbiter_future_unref(f);
}

/* A body that does not fit into a frame. */
static void test_echo_large(void **state) {
        struct fixture *x = *state;
        size_t size = 1 << 20;
        char *text = malloc(size + 1);
        arbiter_future *f;
        const char *s;

        memset(text, 'a', size);
        text[size] = 0;
        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        for (size_t n = 1024; n <= size; n *= 4) {
                assert_ok(arbiter_call_async(x->root, &f, "alice", "echo", 0, "v", "s", text + size - n));
                fixture_wait(x, f);
                assert_true(arbiter_future_get(f, "v", "s", &s) > 0);
                assert_int_equal(strlen(s), n);
                arbiter_future_unref(f);
        }
        free(text);
}

static bool find_section(arbiter_message *m, const char *wanted) {
        const char *key;

        assert_ok(arbiter_message_rewind(m, true));
        assert_true(arbiter_message_enter_container(m, 'a', "{sv}") > 0);
        while (arbiter_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(arbiter_message_read(m, "s", &key) > 0);
                if (strcmp(key, wanted) == 0)
                        return true;
                assert_ok(arbiter_message_skip(m, "v"));
                assert_ok(arbiter_message_exit_container(m));
        }
        return false;
}

static void test_info(void **state) {
        struct fixture *x = *state;
        arbiter_future *f;
        arbiter_message *m;
        uint32_t n = 0;
        const char *key, *text;
        int is_process = -1;

        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        f = call(x, "alice", "info");
        assert_ok(arbiter_future_get_reply(f, &m));
        assert_int_equal(find_section(m, "system"),
                        x->kind != ARBITER_CONCURRENCY_INLINE); /* its process is the arbiter's */
        assert_true(find_section(m, "extra"));
        assert_true(find_section(m, "fixture")); /* on_info */
        assert_true(arbiter_message_read(m, "v", "u", &n) > 0);
        assert_int_equal(n, 7);
        assert_true(find_section(m, "actor"));
        assert_true(arbiter_message_enter_container(m, 'v', "a{sv}") > 0);
        assert_true(arbiter_message_enter_container(m, 'a', "{sv}") > 0);
        while (arbiter_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(arbiter_message_read(m, "s", &key) > 0);
                if (strcmp(key, "is_process") == 0)
                        assert_true(arbiter_message_read(m, "v", "b", &is_process) > 0);
                else if (strcmp(key, "name") == 0) {
                        assert_true(arbiter_message_read(m, "v", "s", &text) > 0);
                        assert_string_equal(text, "alice");
                } else if (strcmp(key, "state") == 0) {
                        assert_true(arbiter_message_read(m, "v", "s", &text) > 0);
                        assert_string_equal(text, "running");
                } else
                        assert_ok(arbiter_message_skip(m, "v"));
                assert_ok(arbiter_message_exit_container(m));
        }
        assert_int_equal(is_process, x->kind == ARBITER_CONCURRENCY_PROCESS);
        arbiter_future_unref(f);

        f = call(x, "arbiter", "info");
        assert_ok(arbiter_future_get_reply(f, &m));
        assert_true(find_section(m, "server"));
        arbiter_future_unref(f);
}

static void test_run(void **state) {
        struct fixture *x = *state;
        arbiter_future *f;
        const char *name;
        int64_t n;

        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        assert_ok(arbiter_call_async(
                        x->root, &f, "alice", "run", 0, "sv", "add", "(xx)", (int64_t)1, (int64_t)3));
        fixture_wait(x, f);
        assert_true(arbiter_future_get(f, "v", "(sx)", &name, &n) > 0);
        assert_string_equal(name, "alice");
        assert_int_equal(n, 4);
        arbiter_future_unref(f);
        assert_ok(arbiter_call_async(x->root, &f, "alice", "run", 0, "sv", "add", "s", "one"));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_BAD_ARGUMENTS);
        arbiter_future_unref(f);
        assert_ok(arbiter_call_async(x->root, &f, "alice", "run", 0, "sv", "0x7fff12345678", "(xx)",
                        (int64_t)1, (int64_t)3));
        fixture_wait(x, f);
        assert_string_equal(arbiter_future_get_error_name(f), "io.arbiter.Arbiter1.Error.UnknownFunction");
        arbiter_future_unref(f);
}

static arbiter_outcome config(
                struct fixture *x, const char *verb, const char *key, const char *value, char *ret) {
        arbiter_outcome outcome;
        arbiter_future *f;
        const char *s = "";
        int b;

        assert_ok(arbiter_call_async(x->root, &f, "alice", "config", 0, "ssv", verb, key, "s", value));
        fixture_wait(x, f);
        outcome = arbiter_future_get_outcome(f);
        if (outcome == ARBITER_OUTCOME_REPLY && strcmp(verb, "set") == 0)
                assert_true(arbiter_future_get(f, "v", "b", &b) > 0 && b);
        else if (outcome == ARBITER_OUTCOME_REPLY)
                assert_true(arbiter_future_get(f, "v", "s", &s) > 0);
        strcpy(ret, s);
        arbiter_future_unref(f);
        return outcome;
}

static void test_config(void **state) {
        struct fixture *x = *state;
        char s[128];

        arbiter_proxy_unref(fixture_spawn(x, "alice", "color=red", NULL));
        assert_int_equal(config(x, "get", "concurrency", "", s), ARBITER_OUTCOME_REPLY);
        assert_string_equal(s, arbiter_concurrency_to_string(x->kind));
        assert_int_equal(config(x, "get", "color", "", s), ARBITER_OUTCOME_REPLY);
        assert_string_equal(s, "red");
        assert_int_equal(config(x, "set", "max_requests", "1000", s), ARBITER_OUTCOME_REPLY);
        assert_int_equal(config(x, "get", "max_requests", "", s), ARBITER_OUTCOME_REPLY);
        assert_string_equal(s, "1000");
        assert_int_equal(config(x, "get", "nothing", "", s), ARBITER_OUTCOME_APPLICATION_ERROR);
        assert_int_equal(config(x, "frobnicate", "color", "", s), ARBITER_OUTCOME_APPLICATION_ERROR);
        assert_int_equal(config(x, "set", "thread_workers", "many", s), ARBITER_OUTCOME_BAD_ARGUMENTS);
}

static void test_introspect_trace(void **state) {
        struct fixture *x = *state;
        const char *name, *arguments, *argument_names, *result, *result_names;
        unsigned n = 0, found = 0;
        arbiter_future *f;
        arbiter_message *m;
        uint64_t flags;
        int before;

        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        f = call(x, "alice", "introspect");
        assert_ok(arbiter_future_get_reply(f, &m));
        assert_true(arbiter_message_enter_container(m, 'a', "(ssssst)") > 0);
        while (arbiter_message_read(m, "(ssssst)", &name, &arguments, &argument_names, &result,
                               &result_names, &flags) > 0) {
                n++;
                if (strcmp(name, "ping") == 0 || strcmp(name, "Work") == 0)
                        found++;
                if (strcmp(name, "Relay") == 0) {
                        assert_string_equal(arguments, "sstx");
                        assert_string_equal(result, "yyuissx");
                        found++;
                }
        }
        assert_int_equal(found, 3);
        assert_true(n > 20);
        arbiter_future_unref(f);
        for (int i = 0; i < 2; i++) {
                assert_ok(arbiter_call_async(x->root, &f, "alice", "trace", 0, "b", !i));
                fixture_wait(x, f);
                assert_true(arbiter_future_get(f, "b", &before) > 0);
                assert_int_equal(before, i);
                arbiter_future_unref(f);
        }
}

static void test_parameters_and_extra(void **state) {
        struct fixture *x = *state;
        int fds[2], fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        arbiter_spawn *s = fixture_describe(x, "alice");
        arbiter_future *f;
        const char *v;

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t)), 0);
        assert_int_equal(listen(fd, 1), 0);
        assert_ok(arbiter_spawn_set_parameter(s, "color", "blue"));
        assert_ok(arbiter_spawn_add_listen_fd(s, fd, "web"));
        assert_ok(arbiter_spawn_add_listen_fd(s, fd, "admin"));
        (void)fds;
        arbiter_proxy_unref(fixture_start(x, s));
        close(fd);
        assert_int_equal(fixture_do(x, "alice", "Number", 6), x->kind == ARBITER_CONCURRENCY_INLINE ? 2 : 2);
        assert_ok(arbiter_call_async(x->root, &f, "alice", "Parameter", 0, "s", "color"));
        fixture_wait(x, f);
        assert_true(arbiter_future_get(f, "s", &v) > 0);
        assert_string_equal(v, "blue");
        arbiter_future_unref(f);
        f = call(x, "alice", "Sender");
        assert_true(arbiter_future_get(f, "s", &v) > 0);
        assert_string_equal(v, "arbiter");
        arbiter_future_unref(f);
}

/* Start and stop. */

static arbiter_future *start_with(struct fixture *x, const char *name, const char *key, const char *value,
                uint64_t start_usec) {
        arbiter_spawn *s = fixture_describe(x, name);
        arbiter_future *f;

        assert_ok(arbiter_spawn_set_parameter(s, key, value));
        assert_ok(arbiter_spawn_set_timeouts(s, 0, start_usec, 0, 0));
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        assert_non_null(arbiter_future_get_aid(f));
        assert_int_equal(strlen(arbiter_future_get_aid(f)), 8);
        fixture_wait(x, f);
        return f;
}

static void assert_start_fails(struct fixture *x, const char *how, arbiter_reason reason, const char *text) {
        arbiter_future *f = start_with(x, "alice", "start", how, 150 * 1000);
        arbiter_proxy *p;
        int status;

        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_CALLEE_DIED);
        assert_int_equal(arbiter_future_get_reason(f, &status), reason);
        if (!strstr(arbiter_future_get_error_text(f), text))
                fail_msg("'%s' does not say '%s'", arbiter_future_get_error_text(f), text);
        assert_true(arbiter_future_get_proxy(f, &p) < 0);
        arbiter_future_unref(f);
}

static void test_start(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p;
        arbiter_future *f;

        arbiter_proxy_unref(fixture_spawn_kind(x, "keeper", ARBITER_CONCURRENCY_INLINE));
        assert_start_fails(x, "fail", ARBITER_REASON_HANDSHAKE, "Numerical argument out of domain");
        assert_start_fails(x, "delay-fail", ARBITER_REASON_HANDSHAKE, "nobody");
        assert_start_fails(x, "never", ARBITER_REASON_START_TIMEOUT, "start timeout");

        /* The name is free after each of these; and a start that waits for something that comes is a start.
         */
        f = start_with(x, "alice", "start", "delay", 0);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        assert_ok(arbiter_future_get_proxy(f, &p));
        assert_string_equal(arbiter_proxy_get_aid(p), arbiter_future_get_aid(f));
        arbiter_future_unref(f);
        assert_text(x, "alice", "status", "running");

        /* A name has one life at a time. */
        arbiter_spawn *s = fixture_describe(x, "alice");
        assert_errno(arbiter_spawn_start(s, &f), EEXIST);
        arbiter_spawn_unref(s);
        arbiter_proxy_unref(p);
}

static void test_stop(void **state) {
        struct fixture *x = *state;
        const char *hows[] = {"delay", "never"};
        arbiter_proxy *p;
        arbiter_future *f;

        arbiter_proxy_unref(fixture_spawn_kind(x, "keeper", ARBITER_CONCURRENCY_INLINE));
        fixture_clear_journal();
        p = fixture_spawn(x, "alice", NULL);
        f = call(x, "alice", "stop"); /* as a request: an empty answer, at once */
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        fixture_until_gone(x, p);
        assert_string_equal(fixture_read_journal(), "ste");
        arbiter_proxy_unref(p);

        for (unsigned i = 0; i < 2; i++) {
                char parameter[64];

                snprintf(parameter, sizeof(parameter), "stopping=%s", hows[i]);
                fixture_clear_journal();
                arbiter_spawn *s = fixture_describe(x, "alice");
                assert_ok(arbiter_spawn_set_parameter(s, "stopping", hows[i]));
                assert_ok(arbiter_spawn_set_timeouts(s, 0, 0, 300 * 1000, 0));
                p = fixture_start(x, s);
                fixture_stop(x, "alice");
                fixture_until_gone(x, p);
                /* bounded, and the exit hook runs all the same */
                assert_string_equal(fixture_read_journal(), "ste");
                arbiter_proxy_unref(p);
        }
        /* By itself, with a code. */
        p = fixture_spawn(x, "alice", NULL);
        assert_int_equal(fixture_do(x, "alice", "Quit", 3), 3);
        fixture_until_gone(x, p);
        arbiter_proxy_unref(p);
}

static void test_periodic(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "alice");

        assert_ok(arbiter_spawn_set_timeouts(s, 100 * 1000, 0, 0, 0));
        arbiter_proxy_unref(fixture_start(x, s));
        fixture_until(x, &shared->periodic, 5);
        assert_text(x, "alice", "ping", "pong"); /* and it has not been silent */
}

/* B5: ignores everything, is silent: SIGTERM, SIGKILL, gone. */
static void test_silent(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "alice");
        arbiter_proxy *p;

        arbiter_proxy_unref(fixture_spawn(x, "watcher", NULL));
        assert_ok(arbiter_spawn_set_timeouts(s, 200 * 1000, 0, 200 * 1000, 0));
        p = fixture_start(x, s);
        fixture_tell_proxy(x, "watcher", "Watch", p);
        assert_ok(arbiter_send(x->root, "alice", "Block", "x", (int64_t)1));
        fixture_until(x, &shared->downs, 1);
        assert_int_equal(shared->down[0].reason, ARBITER_REASON_SILENT);
        arbiter_proxy_unref(p);
}

static int edit(arbiter_actor *a, arbiter_spawn *s, void *userdata) {
        return arbiter_spawn_set_parameter(s, "color", "green");
}

static void test_on_params(void **state) {
        static const arbiter_module pool = {ARBITER_MODULE_HEAD, .name = "pool", .on_params = edit};
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "w");
        arbiter_monitor *m;
        arbiter_future *f;
        const char *v;

        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, &pool, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_start(m, 1, &f));
        fixture_wait(x, f);
        arbiter_future_unref(f);
        assert_ok(arbiter_call_async(x->root, &f, "pool.1", "Parameter", 0, "s", "color"));
        fixture_wait(x, f);
        assert_true(arbiter_future_get(f, "s", &v) > 0);
        assert_string_equal(v, "green");
        arbiter_future_unref(f);
        assert_text(x, "pool", "ping", "pong"); /* the monitor is an actor, too */
        arbiter_monitor_unref(m);
}

/* C2: the order of results is kept, whatever else happens. */
static void test_together(void **state) {
        struct fixture *x = *state;
        arbiter_future *f[8];

        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        for (unsigned i = 0; i < 8; i++)
                f[i] = fixture_ask_start(x, NULL, "alice", i % 2 ? "Work" : "Square", 0, i);
        for (unsigned i = 0; i < 8; i++)
                assert_int_equal(fixture_ask_finish(x, NULL, f[i]).value, i % 2 ? i + 1 : i * i);
}

static const struct fixture_test tests[] = {
                {"ping, status", test_ping_status},
                {"echo", test_echo},
                {"echo, large", test_echo_large},
                {"info", test_info},
                {"run", test_run},
                {"config", test_config},
                {"introspect, trace", test_introspect_trace},
                {"parameters, listening sockets, sender", test_parameters_and_extra},
                {"start", test_start},
                {"stop", test_stop},
                {"periodic task", test_periodic},
                {"silent", test_silent, ON_PROCESS},
                {"on_params", test_on_params},
                {"together", test_together},
};

int main(void) {
        return fixture_run("commands", tests, ELEMENTS(tests));
}
