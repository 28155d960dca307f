/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes of an embedded arbiter: of actors of each kind by their mailbox, what is refused, what changes
 * while they live, and what is left when an arbiter goes in the midst of it. Programs and servers are in
 * test-probes.py. */

#include <arpa/inet.h>
#include <sys/socket.h>

#include "actor-fixture.h"
#include "arbiter/control.h"

static bool is_ready(struct fixture *x, const char *name) {
        struct actor_view v;

        return control_get_actor(x->arbiter, name, &v) >= 0 && v.ready;
}

static uint64_t n_results(struct fixture *x, const char *name, const char *kind, bool good) {
        struct probe_view v[PROBE_VIEWS_MAX];
        size_t n = control_get_probes(x->arbiter, name, v);

        for (size_t i = 0; i < n; i++)
                if (streq(v[i].kind, kind))
                        return good ? v[i].n_good : v[i].n_bad;
        return 0;
}

#define RUN_UNTIL(x, condition)                                          \
        while (!(condition))                                             \
                assert_true(sd_event_run((x)->event, GUARD_USEC) > 0)

static arbiter_probe *ping(uint64_t interval) {
        arbiter_probe *p;

        assert_ok(arbiter_probe_new_ping(&p));
        assert_ok(arbiter_probe_set_times(p, interval, GUARD_USEC, 0));
        return p;
}

static arbiter_monitor *start_pool(struct fixture *x, arbiter_spawn *s, unsigned n) {
        arbiter_monitor *m;
        arbiter_future *f;

        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_start(m, n, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        return m;
}

/* All kinds at once: it has passed its start probe when it runs, becomes ready, and stays alive. */
static void test_ping(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "w");
        arbiter_probe *p = ping(10000);
        arbiter_monitor *m;

        for (unsigned kind = ARBITER_PROBE_START; kind <= ARBITER_PROBE_LIVENESS; kind++)
                assert_ok(arbiter_spawn_set_probe(s, (arbiter_probe_kind) kind, p));
        assert_int_equal(arbiter_probe_set_times(p, 1, 1, 1), -EBUSY);
        assert_int_equal(arbiter_probe_set_thresholds(p, 1, 1), -EBUSY);
        arbiter_probe_unref(p);
        m = start_pool(x, s, 2);
        assert_int_equal(n_results(x, "pool.1", "start", true), 1);
        assert_int_equal(n_results(x, "pool.2", "start", true), 1);
        RUN_UNTIL(x, is_ready(x, "pool.1") && is_ready(x, "pool.2"));
        RUN_UNTIL(x, n_results(x, "pool.2", "liveness", true) >= 3 &&
                                     n_results(x, "pool.2", "readiness", true) >= 3);
        assert_int_equal(n_results(x, "pool.2", "liveness", false), 0);
        assert_int_equal(fixture_do(x, "pool.1", "Work", 1), 2);
        arbiter_monitor_unref(m);
}

/* Given, exchanged and taken away while they live. */
static void test_set(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, fixture_describe(x, "w"), 2);
        arbiter_proxy *before = fixture_proxy_of(x, "pool.1"), *after;
        struct probe_view v[PROBE_VIEWS_MAX];
        arbiter_probe *p = ping(10000), *bad;

        assert_true(is_ready(x, "pool.1")); /* nobody asks */
        assert_ok(arbiter_set_probe(x->arbiter, "pool", ARBITER_PROBE_LIVENESS, p));
        RUN_UNTIL(x, n_results(x, "pool.1", "liveness", true) >= 2);
        /* believed to be ready until the probe says something else */
        assert_ok(arbiter_probe_new_tcp("@arbiter-test-nobody-%n", &bad, NULL));
        assert_ok(arbiter_probe_set_times(bad, 20000, 0, 0));
        assert_ok(arbiter_set_probe(x->arbiter, "pool", ARBITER_PROBE_READINESS, bad));
        assert_true(is_ready(x, "pool.1") && is_ready(x, "pool.2"));
        RUN_UNTIL(x, !is_ready(x, "pool.1") && !is_ready(x, "pool.2"));
        assert_ok(arbiter_set_probe(x->arbiter, "pool", ARBITER_PROBE_READINESS, p));
        assert_false(is_ready(x, "pool.1"));
        RUN_UNTIL(x, is_ready(x, "pool.1") && is_ready(x, "pool.2"));
        for (unsigned kind = ARBITER_PROBE_START; kind <= ARBITER_PROBE_LIVENESS; kind++)
                assert_ok(arbiter_set_probe(x->arbiter, "pool", (arbiter_probe_kind) kind, NULL));
        assert_int_equal(control_get_probes(x->arbiter, "pool.1", v), 0);
        assert_true(is_ready(x, "pool.1"));
        after = fixture_proxy_of(x, "pool.1");
        assert_string_equal(arbiter_proxy_get_aid(before), arbiter_proxy_get_aid(after));
        assert_int_equal(arbiter_set_probe(x->arbiter, "nobody", ARBITER_PROBE_START, p), -ESRCH);
        assert_int_equal(arbiter_set_probe(x->arbiter, "pool.1", ARBITER_PROBE_START, p), -ESRCH);
        arbiter_probe_unref(p);
        arbiter_probe_unref(bad);
        arbiter_proxy_unref(before);
        arbiter_proxy_unref(after);
        arbiter_monitor_unref(m);
}

/* A lone actor that is unhealthy ends, for that reason. */
static void test_lone(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *proxy = fixture_spawn(x, "lone", NULL);
        arbiter_probe *bad;
        size_t n = 0;
        struct death_view *deaths;

        assert_ok(arbiter_probe_new_http("unix:@arbiter-test-nobody", NULL, &bad, NULL));
        assert_ok(arbiter_probe_set_times(bad, 10000, 0, 0));
        assert_ok(arbiter_probe_set_thresholds(bad, 2, 0));
        assert_ok(arbiter_set_probe(x->arbiter, "lone", ARBITER_PROBE_LIVENESS, bad));
        fixture_until_gone(x, proxy);
        assert_ok(control_list_deaths(x->arbiter, "lone", &deaths, &n));
        assert_int_equal(n, 1);
        assert_int_equal(deaths[0].reason, ARBITER_REASON_UNHEALTHY);
        free(deaths);
        arbiter_probe_unref(bad);
        arbiter_proxy_unref(proxy);
}

/* What cannot be asked. */
static void test_refused(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "w");
        arbiter_probe *p = NULL;
        char *text = NULL;

        assert_int_equal(arbiter_probe_new_exec((const char *const[]){ "true", NULL }, &p, &text), -EINVAL);
        assert_non_null(strstr(text, "absolute"));
        free(text);
        text = NULL;
        assert_int_equal(arbiter_probe_new_tcp("example.org:80", &p, &text), -EINVAL);
        assert_non_null(strstr(text, "not looked up"));
        free(text);
        text = NULL;
        assert_int_equal(arbiter_probe_new_http("80", "a\r\nb", &p, &text), -EINVAL);
        free(text);
        assert_int_equal(arbiter_probe_new_http("80/%x", NULL, &p, NULL), -EINVAL);
        assert_null(p);
        p = ping(1000);
        assert_ok(arbiter_probe_set_thresholds(p, 0, 2));
        assert_int_equal(arbiter_spawn_set_probe(s, ARBITER_PROBE_LIVENESS, p), -EINVAL);
        assert_int_equal(arbiter_spawn_set_probe(s, (arbiter_probe_kind) 3, p), -EINVAL);
        assert_ok(arbiter_spawn_set_probe(s, ARBITER_PROBE_READINESS, p));
        arbiter_probe_unref(p);
        arbiter_spawn_unref(s);
        assert_null(arbiter_probe_kind_to_string((arbiter_probe_kind) 3));
        /* a program without a mailbox */
        assert_ok(arbiter_spawn_new(x->arbiter, "plain", &s));
        assert_ok(arbiter_spawn_set_exec(s, (const char *const[]){ "/bin/true", NULL }, ARBITER_EXEC_EXEC));
        p = ping(1000);
        assert_ok(arbiter_spawn_set_probe(s, ARBITER_PROBE_START, p));
        assert_int_equal(arbiter_spawn_start(s, NULL), -EINVAL);
        arbiter_probe_unref(p);
        arbiter_spawn_unref(s);
}

/* The arbiter goes while a program hangs, and a server says nothing: nothing is left of either. */
static void test_end_in_the_midst(void **state) {
        struct fixture *x = *state;
        static const char *const sleep_1000[] = { "/bin/sleep", "1000", NULL };
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(a);
        arbiter_probe *hanging, *silent;
        arbiter_monitor *m;
        arbiter_spawn *s;
        char url[64];

        assert_true(server >= 0);
        assert_int_equal(bind(server, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(server, 8), 0);
        assert_int_equal(getsockname(server, (struct sockaddr *) &a, &size), 0);
        (void) snprintf(url, sizeof(url), "127.0.0.1:%d", ntohs(a.sin_port));
        assert_ok(arbiter_probe_new_http(url, NULL, &silent, NULL));
        assert_ok(arbiter_probe_set_times(silent, 10000, GUARD_USEC, 0));
        assert_ok(arbiter_probe_new_exec(sleep_1000, &hanging, NULL));
        assert_ok(arbiter_probe_set_times(hanging, 10000, GUARD_USEC, 0));
        s = fixture_describe(x, "w");
        assert_ok(arbiter_spawn_set_probe(s, ARBITER_PROBE_LIVENESS, silent));
        if (x->kind != ARBITER_CONCURRENCY_INLINE)
                assert_ok(arbiter_spawn_set_probe(s, ARBITER_PROBE_READINESS, hanging));
        arbiter_probe_unref(hanging);
        arbiter_probe_unref(silent);
        m = start_pool(x, s, 2);
        for (unsigned i = 0; i < 2; i++) { /* each has been asked */
                struct pollfd fd = { .fd = server, .events = POLLIN };

                RUN_UNTIL(x, poll(&fd, 1, 0) > 0);
                close(accept(server, NULL, NULL));
        }
        arbiter_monitor_unref(m);
        close(server); /* and the arbiter goes */
}

int main(void) {
        static const struct fixture_test tests[] = {
                { "ping", test_ping, 0 },
                { "set", test_set, 0 },
                { "lone", test_lone, 0 },
                { "refused", test_refused, ON_ONE },
                { "end in the midst", test_end_in_the_midst, 0 },
        };

        return fixture_run("probes", tests, ELEMENTS(tests));
}
