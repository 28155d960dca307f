/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arbiter of the functional tests, and helpers that run its loop until something has happened;
 * actor-module.c has the actors. Nothing in here sleeps. */

#include "actor-fixture.h"
#include "state-check.h"

struct shared *shared;
int entered_fd[2] = {-1, -1}, release_fd[2] = {-1, -1};

static void on_log(const arbiter_log_entry *e, void *userdata) {
        struct fixture *x = userdata;

        if (e->event && strcmp(e->event, "gave-up") == 0)
                x->log_gave_up++;
        if (e->event && strcmp(e->event, "replaced") == 0)
                x->log_replaced++;
        if (getenv("ARBITER_TEST_LOG"))
                fprintf(stderr, "# %s: %s\n", e->event ? e->event : "", e->text);
}

int fixture_setup(void **state) {
        const struct fixture_case *c = *state;
        struct fixture *x = calloc(1, sizeof(*x));

        x->kind = c->kind;
        x->data = c->data;
        memset(shared, 0, sizeof(*shared));
        shared->pid = getpid();
        if (pipe2(entered_fd, O_CLOEXEC) < 0 || pipe2(release_fd, O_CLOEXEC) < 0)
                return -1;
        (void)fcntl(entered_fd[0], F_SETFL, O_NONBLOCK);
        (void)fcntl(entered_fd[1], F_SETFL, O_NONBLOCK); /* nobody may be listening */
        if (arbiter_new(NULL, NULL, &x->arbiter) < 0)
                return -1;
        x->root = arbiter_get_actor(x->arbiter);
        x->event = arbiter_get_event(x->arbiter);
        (void)arbiter_set_log_handler(x->arbiter, on_log, x);
        state_check_turns(x->arbiter);
        if (arbiter_start(x->arbiter) < 0)
                return -1;
        *state = x;
        return 0;
}

int fixture_teardown(void **state) {
        struct fixture *x = *state;
        int r, expected = x->exit_code;

        if (expected == 0)
                state_check(x->arbiter);
        close(release_fd[1]); /* who still waits goes on */
        (void)arbiter_stop(x->arbiter, 0);
        r = arbiter_run(x->arbiter, false);
        arbiter_unref(x->arbiter);
        close(release_fd[0]);
        close(entered_fd[0]);
        close(entered_fd[1]);
        free(x);
        return r == expected ? 0 : -1;
}

int fixture_run(const char *group, const struct fixture_test *tests, size_t n) {
        static arbiter_concurrency kinds[] = {
                        ARBITER_CONCURRENCY_INLINE,
                        ARBITER_CONCURRENCY_THREAD,
                        ARBITER_CONCURRENCY_PROCESS,
        };
        const char *only = getenv("ARBITER_TEST_KIND");
        int failed = 0;

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                return 1;
        for (size_t k = 0; k < 3; k++) {
                struct CMUnitTest *t = calloc(n, sizeof(*t));
                struct fixture_case *cases = calloc(n, sizeof(*cases));
                char *name = NULL;
                size_t m = 0;

                if (only && strcmp(only, arbiter_concurrency_to_string(kinds[k])) != 0) {
                        free(t);
                        free(cases);
                        continue;
                }
                for (size_t i = 0; i < n; i++)
                        if (tests[i].kinds == 0 || (tests[i].kinds & (1U << kinds[k]))) {
                                cases[m] = (struct fixture_case){kinds[k], tests[i].data};
                                t[m] = (struct CMUnitTest){tests[i].name, tests[i].run, fixture_setup,
                                                fixture_teardown, cases + m};
                                m++;
                        }
                if (asprintf(&name, "%s as %s", group, arbiter_concurrency_to_string(kinds[k])) < 0)
                        return 1;
                if (m > 0)
                        failed += _cmocka_run_group_tests(name, t, m, NULL, NULL);
                free(name);
                free(t);
                free(cases);
        }
        munmap(shared, sizeof(*shared));
        return failed;
}

/* Waiting. */

void fixture_wait(struct fixture *x, arbiter_future *f) {
        assert_ok(arbiter_future_wait(f, GUARD_USEC));
}

static int on_readable(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        *(bool *)userdata = true;
        return sd_event_source_set_enabled(s, SD_EVENT_OFF);
}

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void turn(struct fixture *x, uint64_t end) {
        uint64_t now = now_usec();

        if (now >= end)
                fail_msg("nothing has happened for %d s", GUARD_USEC / 1000000);
        assert_ok(sd_event_run(x->event, end - now));
}

void fixture_entered(struct fixture *x) {
        uint64_t end = now_usec() + GUARD_USEC;
        sd_event_source *s = NULL;
        bool readable = false;
        char c;

        while (read(entered_fd[0], &c, 1) != 1) {
                readable = false;
                assert_ok(sd_event_add_io(x->event, &s, entered_fd[0], EPOLLIN, on_readable, &readable));
                while (!readable)
                        turn(x, end);
                sd_event_source_disable_unref(s);
        }
}

void fixture_release(unsigned n) {
        while (n-- > 0)
                assert_int_equal(write(release_fd[1], "x", 1), 1);
}

void fixture_until(struct fixture *x, _Atomic uint64_t *counter, uint64_t value) {
        uint64_t end = now_usec() + GUARD_USEC;
        sd_event_source *s = NULL;
        bool readable = false;
        char c[256];

        while (atomic_load(counter) < value) {
                uint64_t now = now_usec();

                if (now >= end)
                        fail_msg("the counter is %llu, not %llu", (unsigned long long)atomic_load(counter),
                                        (unsigned long long)value);
                assert_ok(sd_event_add_io(x->event, &s, entered_fd[0], EPOLLIN, on_readable, &readable));
                assert_ok(sd_event_run(x->event, 1000)); /* what counts elsewhere may have no event */
                        s = sd_event_source_disable_unref(s);
                (void)!read(entered_fd[0], c, sizeof(c));
        }
}

static void on_down(arbiter_actor *a, const arbiter_down *down, void *userdata) {
        *(bool *)userdata = true;
}

void fixture_until_gone(struct fixture *x, arbiter_proxy *p) {
        uint64_t end = now_usec() + GUARD_USEC;
        bool gone = false;

        assert_ok(arbiter_actor_watch(x->root, p, on_down, &gone, NULL));
        while (!gone)
                turn(x, end);
}

void fixture_settle(struct fixture *x) {
        while (sd_event_run(x->event, 0) > 0)
                ;
}

/* Spawning. */

arbiter_spawn *fixture_describe(struct fixture *x, const char *name) {
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(x->arbiter, name, &s));
        assert_ok(arbiter_spawn_set_module(s, &fixture_module));
        assert_ok(arbiter_spawn_set_concurrency(s, x->kind));
        if (x->kind == ARBITER_CONCURRENCY_PROCESS && geteuid() == 0)
                assert_ok(arbiter_spawn_set_user(s, "root"));
        return s;
}

arbiter_proxy *fixture_start(struct fixture *x, arbiter_spawn *s) {
        arbiter_future *f;
        arbiter_proxy *p;

        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        fixture_wait(x, f);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                fail_msg("spawn: %s", arbiter_future_get_error_text(f));
        assert_ok(arbiter_future_get_proxy(f, &p));
        arbiter_future_unref(f);
        return p;
}

arbiter_proxy *fixture_spawn(struct fixture *x, const char *name, ...) {
        arbiter_spawn *s = fixture_describe(x, name);
        const char *p;
        va_list ap;

        va_start(ap, name);
        while ((p = va_arg(ap, const char *))) {
                char *key = strdup(p), *equals = strchr(key, '=');

                *equals = 0;
                assert_ok(arbiter_spawn_set_parameter(s, key, equals + 1));
                free(key);
        }
        va_end(ap);
        return fixture_start(x, s);
}

arbiter_proxy *fixture_spawn_kind(struct fixture *x, const char *name, arbiter_concurrency kind) {
        arbiter_concurrency before = x->kind;
        arbiter_proxy *p;

        x->kind = kind;
        p = fixture_spawn(x, name, NULL);
        x->kind = before;
        return p;
}

/* Asking. */

arbiter_future *fixture_ask_start(struct fixture *x, const char *via, const char *target,
                const char *command, uint64_t timeout, int64_t value) {
        arbiter_future *f;

        if (via)
                assert_ok(arbiter_call_async(x->root, &f, via, "Relay", UINT64_MAX, "sstx", target, command,
                                timeout, value));
        else
                assert_ok(arbiter_call_async(x->root, &f, target, command, timeout, "x", value));
        return f;
}

struct result fixture_ask_finish(struct fixture *x, const char *via, arbiter_future *f) {
        struct result q = {};
        const char *name, *text;
        uint8_t outcome, executed;

        fixture_wait(x, f);
        if (via) {
                int r = arbiter_future_get(f, "yyuissx", &outcome, &executed, &q.reason, &q.status, &name,
                                &text, &q.value);

                if (r <= 0)
                        fail_msg("the relay '%s' itself: %s %s", via, strerror(-r),
                                        arbiter_future_get_error_text(f));
                q.outcome = outcome;
                q.executed = executed;
                q.has_name = *name;
                snprintf(q.name, sizeof(q.name), "%s", name);
                snprintf(q.text, sizeof(q.text), "%s", text);
        } else {
                q.outcome = arbiter_future_get_outcome(f);
                q.executed = arbiter_future_get_executed(f);
                q.reason = arbiter_future_get_reason(f, &q.status);
                q.has_name = arbiter_future_get_error_name(f);
                snprintf(q.name, sizeof(q.name), "%s", q.has_name ? arbiter_future_get_error_name(f) : "");
                snprintf(q.text, sizeof(q.text), "%s", q.has_name ? arbiter_future_get_error_text(f) : "");
                if (q.outcome == ARBITER_OUTCOME_REPLY)
                        assert_ok(arbiter_future_get(f, "x", &q.value));
        }
        arbiter_future_unref(f);
        return q;
}

struct result fixture_ask(struct fixture *x, const char *via, const char *target, const char *command,
                uint64_t timeout, int64_t value) {
        return fixture_ask_finish(x, via, fixture_ask_start(x, via, target, command, timeout, value));
}

int64_t fixture_do(struct fixture *x, const char *target, const char *command, int64_t value) {
        struct result q = fixture_ask(x, NULL, target, command, GUARD_USEC, value);

        if (q.outcome != ARBITER_OUTCOME_REPLY)
                fail_msg("%s of %s: %s '%s'", command, target, arbiter_outcome_to_string(q.outcome), q.text);
        return q.value;
}

void fixture_tell_proxy(struct fixture *x, const char *target, const char *command, const arbiter_proxy *p) {
        arbiter_future *f;

        assert_ok(arbiter_call_async(x->root, &f, target, command, GUARD_USEC, "ssu",
                        arbiter_proxy_get_aid(p), arbiter_proxy_get_name(p),
                        arbiter_proxy_get_generation(p)));
        fixture_wait(x, f);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                fail_msg("%s of %s: %s", command, target, arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
}

void fixture_stop(struct fixture *x, const char *target) {
        assert_ok(arbiter_send(x->root, target, "stop", ""));
}

arbiter_proxy *fixture_proxy_of(struct fixture *x, const char *target) {
        const char *aid, *name;
        uint32_t generation;
        arbiter_message *m;
        arbiter_proxy *p;

        assert_ok(arbiter_call(x->root, &m, target, "Self", 0, ""));
        assert_ok(arbiter_message_read(m, "ssu", &aid, &name, &generation));
        assert_ok(arbiter_proxy_new(aid, name, generation, &p));
        arbiter_message_unref(m);
        return p;
}

void fixture_until_answers(struct fixture *x, const char *target) {
        uint64_t end = now_usec() + GUARD_USEC;

        while (fixture_ask(x, NULL, target, "Number", 0, 0).outcome != ARBITER_OUTCOME_REPLY)
                turn(x, end);
}

/* Until something is so; what is written in other processes may have no event here. */

static bool is_text(struct fixture *x, const char *text, const char *expected, uint64_t end) {
        if (strcmp(text, expected) == 0)
                return true;
        if (now_usec() >= end || strncmp(text, expected, strlen(text)) != 0)
                fail_msg("\"%s\", not \"%s\"", text, expected);
        assert_ok(sd_event_run(x->event, 1000));
        return false;
}

void fixture_until_text(struct fixture *x, const char *text, const char *expected) {
        uint64_t end = now_usec() + GUARD_USEC;

        while (!is_text(x, text, expected, end))
                ;
}

void fixture_journal(char letter) {
        uint32_t n = atomic_fetch_add(&shared->n_journal, 1);

        if (n < sizeof(shared->journal) - 1)
                shared->journal[n] = letter;
        (void) !write(entered_fd[1], "x", 1);
}

const char *fixture_read_journal(void) {
        static char text[sizeof(shared->journal)];

        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = shared->journal[i];
        return text;
}

void fixture_clear_journal(void) {
        for (size_t i = 0; i < sizeof(shared->journal); i++)
                shared->journal[i] = 0;
        atomic_store(&shared->n_journal, 0);
}

int fixture_on_end(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t reason;
        int r = arbiter_message_read(m, "x", &reason);

        return r < 0 ? r : arbiter_actor_exit(a, (arbiter_reason) reason);
}

int fixture_on_generation(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "x", (int64_t) arbiter_actor_get_generation(a));
}

void fixture_until_journal(struct fixture *x, const char *journal) {
        uint64_t end = now_usec() + GUARD_USEC;

        while (!is_text(x, fixture_read_journal(), journal, end))
                ;
        fixture_clear_journal();
}

void fixture_until_generation(struct fixture *x, const char *target, uint32_t generation) {
        uint64_t end = now_usec() + GUARD_USEC;
        struct result q;

        do {
                turn(x, end);
                q = fixture_ask(x, NULL, target, "Generation", 0, 0);
        } while (q.outcome != ARBITER_OUTCOME_REPLY || q.value != generation);
}

void fixture_until_counts(struct fixture *x, arbiter_monitor *m, unsigned specs, unsigned active) {
        arbiter_child_counts n = { .size = sizeof(n) };
        uint64_t end = now_usec() + GUARD_USEC;

        while (arbiter_monitor_count_children(m, &n) >= 0 && (n.specs != specs || n.active != active))
                turn(x, end);
        assert_int_equal(n.specs, specs);
}

void fixture_until_no_monitor(struct fixture *x, const char *name) {
        uint64_t end = now_usec() + GUARD_USEC;

        while (arbiter_find_monitor(x->arbiter, name))
                turn(x, end);
}
