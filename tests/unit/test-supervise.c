/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The rules of src/supervise, one by one, at times chosen here. Random histories are in tests/simulation. */

#include "test-util.h"

#include "supervise/pool.h"

/* The n-th calloc() from now fails; 0: none. malloc() by a pointer that the compiler cannot see through,
 * or it would make a calloc() of what follows; public, so that libcmocka and sanitizers see the same one. */
static unsigned failing_calloc;
static void *(*volatile plain_malloc)(size_t) = malloc;

_public_ void *calloc(size_t n, size_t size);
void *calloc(size_t n, size_t size) {
        void *p;

        if (failing_calloc > 0 && --failing_calloc == 0) {
                errno = ENOMEM;
                return NULL;
        }
        if (size > 0 && n > SIZE_MAX / size)
                return NULL;
        p = plain_malloc(n * size);
        return p ? memset(p, 0, n * size) : NULL;
}

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

/* A set with its clock, and the actions of the last event. */
struct fixture {
        supervise *s;
        nsec_t now;
        supervise_action actions[64];
        size_t n_actions;
};

static supervise_policy plain_policy(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;

        p.backoff_jitter = 0;
        return p;
}

static supervise_policy verdict_policy(uint32_t intensity) {
        supervise_policy p = plain_policy();

        p.intensity = intensity;
        p.backoff_min = p.backoff_max = 0;
        return p;
}

static supervise_policy children_policy(void) {
        supervise_policy p = plain_policy();

        p.strategy = SUPERVISE_ONE_FOR_ONE;
        return p;
}

static void drain(struct fixture *f) {
        f->n_actions = 0;
        while (supervise_next_action(f->s, f->actions + f->n_actions)) {
                f->n_actions++;
                assert_true(f->n_actions < 64);
        }
}

static int handle(struct fixture *f, supervise_event e) {
        int r = supervise_handle(f->s, &e, f->now);

        drain(f);
        return r;
}

static void fixture_new(struct fixture *f, const supervise_policy *p, uint32_t n) {
        *f = (struct fixture){ .now = 1000 * SEC };
        assert_ok(supervise_new(p, n, 1, 42, &f->s));
}

static supervise_slot_info slot_of(const struct fixture *f, uint32_t number) {
        supervise_slot_info i;

        assert_ok(supervise_get_slot(f->s, number, &i));
        return i;
}

static supervise_slot_state state_of(const struct fixture *f, uint32_t number) {
        return slot_of(f, number).state;
}

static supervise_info info_of(const struct fixture *f) {
        supervise_info i;

        supervise_get_info(f->s, &i);
        return i;
}

static const supervise_action *find(const struct fixture *f, supervise_action_type type, uint32_t slot) {
        for (size_t i = 0; i < f->n_actions; i++)
                if (f->actions[i].type == type && f->actions[i].slot == slot)
                        return f->actions + i;
        return NULL;
}
#define assert_action(f, type, slot) assert_non_null(find(f, SUPERVISE_ACTION_##type, slot))
#define assert_no_action(f, type, slot) assert_null(find(f, SUPERVISE_ACTION_##type, slot))

static int simple(struct fixture *f, supervise_event_type type) {
        return handle(f, (supervise_event){ .type = type });
}
static int verb(struct fixture *f, supervise_event_type type, uint32_t slot) {
        return handle(f, (supervise_event){ .type = type, .slot = slot });
}
static int scale(struct fixture *f, uint32_t n) {
        return handle(f, (supervise_event){ .type = SUPERVISE_SCALE, .n = n, .by_operator = true });
}
static int add_child(struct fixture *f, supervise_restart restart) {
        return handle(f, (supervise_event){
                                 .type = SUPERVISE_ADD_CHILD,
                                 .restart = restart,
                                 .revision = 1,
                         });
}
static int report(struct fixture *f, supervise_event_type type, uint32_t slot) {
        return handle(f, (supervise_event){
                                 .type = type,
                                 .slot = slot,
                                 .generation = slot_of(f, slot).generation,
                                 .reason = 7,
                                 .status = 9,
                         });
}
static int started(struct fixture *f, uint32_t slot) {
        return report(f, SUPERVISE_STARTED, slot);
}
static int crashed(struct fixture *f, uint32_t slot) {
        return report(f, SUPERVISE_EXITED, slot);
}
static int exited_normally(struct fixture *f, uint32_t slot) {
        return handle(f, (supervise_event){ .type = SUPERVISE_EXITED,
                                            .slot = slot,
                                            .generation = slot_of(f, slot).generation,
                                            .normal = true });
}

static void start_all(struct fixture *f) {
        uint32_t n;

        assert_ok(simple(f, SUPERVISE_START));
        n = info_of(f).slot_max;
        for (uint32_t i = 1; i <= n; i++)
                assert_ok(started(f, i));
}

/* Moves to the armed time and lets it strike. */
static void next_tick(struct fixture *f) {
        nsec_t due = info_of(f).due;

        assert_true(due != NSEC_INFINITY);
        f->now = MAX(f->now, due);
        assert_ok(simple(f, SUPERVISE_TICK));
}

static void test_start(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 3);
        s = f.s;
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_DOWN);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_IDLE], 3);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(f.n_actions, 3);
        for (uint32_t i = 1; i <= 3; i++) {
                assert_int_equal(f.actions[i - 1].type, SUPERVISE_ACTION_SPAWN);
                assert_int_equal(f.actions[i - 1].slot, i);
                assert_int_equal(f.actions[i - 1].generation, i);
                assert_int_equal(f.actions[i - 1].revision, 1);
        }
        assert_ok(started(&f, 2));
        assert_ok(started(&f, 1));
        assert_no_action(&f, STARTED_ALL, 0);
        assert_ok(report(&f, SUPERVISE_START_FAILED, 3));
        assert_action(&f, STARTED_ALL, 0);
        next_tick(&f);
        assert_ok(started(&f, 3));
        assert_no_action(&f, STARTED_ALL, 0);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(f.n_actions, 0);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_RUNNING], 3);
}

static void test_empty_set(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        assert_action(&f, STARTED_ALL, 0);
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_action(&f, STOPPED, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_DOWN);
}

static void test_restart_types(void **state) {
        static const struct {
                supervise_restart restart;
                bool normal, restarts;
        } cases[] = {
                { SUPERVISE_PERMANENT, false, true }, { SUPERVISE_PERMANENT, true, true },
                { SUPERVISE_TRANSIENT, false, true }, { SUPERVISE_TRANSIENT, true, false },
                { SUPERVISE_TEMPORARY, false, false }, { SUPERVISE_TEMPORARY, true, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = plain_policy();
                struct fixture f;

                p.restart = cases[i].restart;
                fixture_new(&f, &p, 1);
                s = f.s;
                start_all(&f);
                assert_ok(cases[i].normal ? exited_normally(&f, 1) : crashed(&f, 1));
                assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1) != NULL, cases[i].restarts);
                assert_int_equal(state_of(&f, 1),
                                 cases[i].restarts ? SUPERVISE_SLOT_STARTING : SUPERVISE_SLOT_IDLE);
                assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
        }
}

/* A life that ends before STARTED did not end normally, whatever it says. */
static void test_early_normal_exit(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.restart = SUPERVISE_TRANSIENT;
        fixture_new(&f, &p, 1);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        assert_ok(exited_normally(&f, 1));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_BACKOFF);
}

static void test_temporary_child_is_forgotten(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = children_policy();
        supervise_slot_info i;
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        assert_int_equal(add_child(&f, SUPERVISE_TEMPORARY), 1);
        assert_int_equal(add_child(&f, SUPERVISE_TRANSIENT), 2);
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_action(&f, REMOVED, 1);
        assert_errno(supervise_get_slot(f.s, 1, &i), ENOENT);
        assert_ok(exited_normally(&f, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_IDLE);
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 1);
        assert_action(&f, SPAWN, 1);
}

/* actors.md 3.1: n = intensity within the window survives, one more does not. */
static void test_intensity(void **state) {
        for (uint32_t intensity = 0; intensity < 4; intensity++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = verdict_policy(intensity);
                struct fixture f;

                fixture_new(&f, &p, 2);
                s = f.s;
                start_all(&f);
                for (uint32_t i = 0; i < intensity; i++) {
                        f.now += MS;
                        assert_ok(crashed(&f, 1));
                        assert_action(&f, SPAWN, 1);
                        assert_ok(started(&f, 1));
                }
                assert_ok(crashed(&f, 1));
                assert_action(&f, PARKED, 1);
                assert_no_action(&f, SPAWN, 1);
                assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_FAILED);
                assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_RUNNING);
                assert_int_equal(slot_of(&f, 1).n_failures, intensity + 1);
                assert_int_equal(slot_of(&f, 1).reason, 7);
                assert_int_equal(slot_of(&f, 1).status, 9);
        }
}

/* An entry aged exactly `period` still counts; one nanosecond more and it does not. */
static void test_intensity_boundary(void **state) {
        for (nsec_t more = 0; more <= 1; more++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = verdict_policy(1);
                struct fixture f;

                fixture_new(&f, &p, 1);
                s = f.s;
                start_all(&f);
                assert_ok(crashed(&f, 1));
                assert_ok(started(&f, 1));
                f.now += p.period + more;
                assert_ok(crashed(&f, 1));
                assert_int_equal(find(&f, SUPERVISE_ACTION_PARKED, 1) != NULL, more == 0);
        }
}

/* Without backoff a start that fails is tried intensity + 1 times, each time by way of the timer. */
static void test_failing_start(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(3);
        struct fixture f;
        int tries = 1;

        fixture_new(&f, &p, 1);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        for (;;) {
                assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
                if (state_of(&f, 1) == SUPERVISE_SLOT_FAILED)
                        break;
                assert_int_equal(f.actions[f.n_actions - 1].type, SUPERVISE_ACTION_ARM);
                assert_int_equal(f.actions[f.n_actions - 1].when, f.now);
                assert_no_action(&f, SPAWN, 1);
                next_tick(&f);
                assert_action(&f, SPAWN, 1);
                tries++;
        }
        assert_int_equal(tries, 4);
        assert_action(&f, GAVE_UP, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_FAILED);
}

static void test_intensity_infinity(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(SUPERVISE_INTENSITY_INFINITY);
        nsec_t times[3];
        struct fixture f;

        fixture_new(&f, &p, 1);
        s = f.s;
        start_all(&f);
        for (int i = 0; i < 1000; i++) {
                f.now++;
                assert_ok(crashed(&f, 1));
                assert_ok(started(&f, 1));
        }
        assert_int_equal(slot_of(&f, 1).restarts, 1000);
        assert_int_equal(supervise_failures(f.s, 1, times, 3), 3);
        assert_true(times[0] == f.now && times[1] == f.now - 1);
}

/* Runs a crash loop; returns how many starts fall into the first `span`. */
static unsigned crash_loop(struct fixture *f, nsec_t span, nsec_t *starts, unsigned max) {
        nsec_t begin = f->now;
        unsigned n = 0;

        assert_ok(simple(f, SUPERVISE_START));
        for (;;) {
                assert_true(n < max);
                starts[n++] = f->now - begin;
                assert_ok(started(f, 1));
                assert_ok(crashed(f, 1));
                if (find(f, SUPERVISE_ACTION_SPAWN, 1))
                        continue;
                if (state_of(f, 1) == SUPERVISE_SLOT_FAILED || info_of(f).due - begin > span)
                        return n;
                next_tick(f);
        }
}

/* The arithmetic of the rule in pool.h. The plain backoff would fail six times in 1.5 s, and, judged by
 * OTP's verdict alone, would park; the default waits for the window instead, and is still retrying after
 * an hour. */
static void test_default_never_parks(void **state) {
        static const nsec_t plain[] = { 0, 0, 100, 300, 700, 1500 };
        _cleanup_(supervise_freep) supervise *s = NULL, *t = NULL;
        supervise_policy p = plain_policy();
        nsec_t starts[256];
        struct fixture f, g;
        unsigned n;

        p.period = p.backoff_max + 1; /* the backoff cannot wait so long: a verdict */
        fixture_new(&f, &p, 1);
        s = f.s;
        assert_int_equal(crash_loop(&f, 60 * SEC, starts, 256), 6);
        for (size_t i = 0; i < ELEMENTSOF(plain); i++)
                assert_true(starts[i] == plain[i] * MS);
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_FAILED);

        p = plain_policy();
        fixture_new(&g, &p, 1);
        t = g.s;
        n = crash_loop(&g, 3600 * SEC, starts, 256);
        assert_int_equal(state_of(&g, 1), SUPERVISE_SLOT_BACKOFF);
        for (size_t i = 0; i + 1 < ELEMENTSOF(plain); i++)
                assert_true(starts[i] == plain[i] * MS);
        assert_true(starts[5] == 10 * SEC + 1);
        for (unsigned i = 5; i < n; i++) /* each start here is a failure too: never more than 5 in 10 s */
                assert_true(starts[i] - starts[i - 5] > p.period);
        assert_true(starts[n - 1] - starts[n - 2] == 30 * SEC);
        assert_true(n > 100);
}

static void test_backoff_stable(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.intensity = SUPERVISE_INTENSITY_INFINITY;
        fixture_new(&f, &p, 1);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1)); /* at once */
        assert_action(&f, SPAWN, 1);
        for (unsigned k = 0; k < 12; k++) {
                assert_ok(started(&f, 1));
                f.now += p.backoff_stable - 1; /* not quite stable */
                assert_ok(crashed(&f, 1));
                assert_true(info_of(&f).due - f.now == MIN((100 * MS) << k, 30 * SEC));
                next_tick(&f);
        }
        assert_ok(started(&f, 1)); /* k is 9 by now */
        f.now += p.backoff_stable;
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_ok(crashed(&f, 1));
        assert_true(info_of(&f).due - f.now == 1600 * MS); /* halved to 4 */
        next_tick(&f);
        assert_ok(started(&f, 1)); /* 5 */
        f.now += 3 * p.backoff_stable;
        assert_ok(crashed(&f, 1));
        assert_ok(crashed(&f, 1));
        assert_true(info_of(&f).due - f.now == 100 * MS); /* halved three times */
}

static void test_jitter(void **state) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        nsec_t least = NSEC_INFINITY, most = 0;

        for (uint64_t seed = 0; seed < 200; seed++) {
                nsec_t delays[2];

                for (int again = 0; again < 2; again++) {
                        _cleanup_(supervise_freep) supervise *s = NULL;
                        struct fixture f = { .now = SEC };

                        assert_ok(supervise_new(&p, 1, 1, seed, &f.s));
                        s = f.s;
                        start_all(&f);
                        assert_ok(crashed(&f, 1));
                        assert_ok(crashed(&f, 1));
                        delays[again] = info_of(&f).due - f.now;
                }
                assert_true(delays[0] == delays[1]);
                least = MIN(least, delays[0]);
                most = MAX(most, delays[0]);
        }
        assert_true(least >= 100 * MS && most <= 120 * MS);
        assert_true(least < 103 * MS && most > 117 * MS);
}

static void test_tick(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;
        nsec_t due;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        for (uint32_t i = 1; i <= 2; i++) {
                assert_ok(crashed(&f, i));
                assert_ok(crashed(&f, i));
                f.now += MS;
        }
        due = info_of(&f).due;
        f.now = due - 1;
        assert_ok(simple(&f, SUPERVISE_TICK)); /* too early: nothing but armed again */
        assert_int_equal(f.n_actions, 1);
        assert_true(f.actions[0].type == SUPERVISE_ACTION_ARM && f.actions[0].when == due);
        next_tick(&f);
        assert_action(&f, SPAWN, 1);
        assert_no_action(&f, SPAWN, 2);
        assert_true(f.actions[1].type == SUPERVISE_ACTION_ARM && f.actions[1].when == due + MS);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 2));
        assert_action(&f, SPAWN, 2);
        assert_true(f.actions[1].type == SUPERVISE_ACTION_ARM && f.actions[1].when == NSEC_INFINITY);
        f.now += 100 * SEC;
        assert_ok(simple(&f, SUPERVISE_TICK));
        assert_int_equal(f.n_actions, 0);
}

static void test_stale_reports(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        supervise_event e = { .type = SUPERVISE_EXITED, .slot = 1, .generation = 1 };
        struct fixture f;

        fixture_new(&f, &p, 1);
        s = f.s;
        assert_errno(handle(&f, e), ESTALE);
        start_all(&f);
        assert_ok(handle(&f, e));
        assert_errno(handle(&f, e), ESTALE);
        e.slot = 9;
        assert_errno(handle(&f, e), ESTALE);
        e.slot = 0;
        assert_errno(handle(&f, e), ESTALE);
        assert_errno(verb(&f, SUPERVISE_RESTART_CHILD, 2), ENOENT);
        assert_errno(verb(&f, SUPERVISE_STOP_CHILD, 0), ENOENT);
        assert_errno(verb(&f, _SUPERVISE_EVENT_MAX, 0), EINVAL);
        assert_errno(add_child(&f, SUPERVISE_PERMANENT), EOPNOTSUPP);
        assert_errno(scale(&f, SUPERVISE_SLOTS_MAX + 1), EINVAL);
        assert_int_equal(slot_of(&f, 1).restarts, 1);
}

static void test_operator_verbs(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 1));
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_int_equal(slot_of(&f, 1).n_failures, 0); /* asked for: no failure */
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1)); /* while it starts */
        assert_ok(started(&f, 1));                    /* said too late */
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_STOPPING);
        assert_ok(crashed(&f, 1));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_HELD);
        assert_ok(scale(&f, 2));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_HELD);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_action(&f, SPAWN, 1);
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1));
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 1));
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_ok(crashed(&f, 1)); /* backoff */
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_HELD);
        assert_true(info_of(&f).due == NSEC_INFINITY);
}

static void test_give_up_and_revive(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(0);
        struct fixture f;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_action(&f, PARKED, 1);
        assert_no_action(&f, GAVE_UP, 0);
        assert_ok(scale(&f, 3)); /* a verb clears `failed` */
        assert_action(&f, SPAWN, 1);
        assert_action(&f, SPAWN, 3);
        assert_int_equal(slot_of(&f, 1).n_failures, 0);
        for (uint32_t i = 1; i <= 3; i++)
                assert_ok(crashed(&f, i));
        assert_action(&f, GAVE_UP, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_FAILED);
        assert_errno(verb(&f, SUPERVISE_STOP_CHILD, 1), ESHUTDOWN);
        assert_errno(handle(&f, (supervise_event){ .type = SUPERVISE_SCALE, .n = 4 }), ESHUTDOWN);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 2));
        assert_action(&f, SPAWN, 2);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_FAILED], 2);
        assert_ok(crashed(&f, 2));
        assert_action(&f, GAVE_UP, 0);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 3);
}

static void test_escalate(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(1);
        struct fixture f;

        p.strategy = SUPERVISE_ONE_FOR_ONE;
        p.escalate = true;
        fixture_new(&f, &p, 0);
        s = f.s;
        for (int i = 1; i <= 3; i++)
                assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), i);
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_ok(started(&f, 1));
        assert_ok(crashed(&f, 2)); /* one window for the set */
        assert_action(&f, PARKED, 2);
        assert_action(&f, STOP, 3);
        assert_no_action(&f, STOP, 1);
        assert_ok(crashed(&f, 3));
        assert_action(&f, STOP, 1);
        assert_errno(add_child(&f, SUPERVISE_PERMANENT), ESHUTDOWN);
        assert_ok(crashed(&f, 1));
        assert_action(&f, ESCALATE, 0);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 3);
}

static void test_one_for_one_parks(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(0);
        struct fixture f;

        p.strategy = SUPERVISE_ONE_FOR_ONE;
        fixture_new(&f, &p, 0);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 1);
        assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
        assert_action(&f, PARKED, 1);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 2);
        assert_ok(verb(&f, SUPERVISE_REMOVE_CHILD, 2));
        assert_action(&f, STOP, 2);
        assert_errno(verb(&f, SUPERVISE_RESTART_CHILD, 2), ENOENT); /* it is leaving */
        assert_ok(crashed(&f, 2));
        assert_action(&f, REMOVED, 2);
        assert_ok(verb(&f, SUPERVISE_REMOVE_CHILD, 1));
        assert_action(&f, REMOVED, 1);
        assert_int_equal(info_of(&f).slot_max, 0);
        assert_errno(scale(&f, 1), EOPNOTSUPP);
}

/* What serves nobody leaves before what runs, and of that the oldest. */
static void test_scale_down(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 5);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1)); /* the youngest now */
        assert_ok(started(&f, 1));
        assert_ok(crashed(&f, 4));
        assert_ok(crashed(&f, 4));
        assert_int_equal(state_of(&f, 4), SUPERVISE_SLOT_BACKOFF);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 5)); /* on its way down anyway */
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_SCALE, .n = 2 }));
        assert_action(&f, REMOVED, 4);
        assert_true(slot_of(&f, 5).leaving);
        assert_action(&f, STOP, 2);
        assert_int_equal(info_of(&f).n_wanted, 2);
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_RUNNING);
        assert_int_equal(state_of(&f, 3), SUPERVISE_SLOT_RUNNING);

        /* Back to 5: the two that are leaving come back after their end, the free number is taken. */
        assert_ok(scale(&f, 5));
        assert_action(&f, SPAWN, 4);
        assert_int_equal(f.n_actions, 1);
        assert_ok(crashed(&f, 2));
        assert_action(&f, SPAWN, 2);
        assert_ok(crashed(&f, 5));
        assert_action(&f, SPAWN, 5);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 3);
        assert_ok(scale(&f, 0));
        for (uint32_t i = 1; i <= 5; i++)
                assert_ok(crashed(&f, i));
        assert_int_equal(info_of(&f).slot_max, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
}

static void test_stop_pool(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 3);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_ok(crashed(&f, 1)); /* in backoff: nothing to wait for */
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_action(&f, STOP, 2);
        assert_action(&f, STOP, 3);
        assert_true(info_of(&f).due == NSEC_INFINITY);
        assert_errno(simple(&f, SUPERVISE_START), ESHUTDOWN);
        assert_errno(scale(&f, 1), ESHUTDOWN);
        assert_errno(verb(&f, SUPERVISE_RESTART_CHILD, 2), ESHUTDOWN);
        assert_ok(exited_normally(&f, 3));
        assert_no_action(&f, STOPPED, 0);
        assert_ok(crashed(&f, 2));
        assert_action(&f, STOPPED, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_DOWN);
        assert_ok(scale(&f, 1)); /* a set that is down is scaled on paper */
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_IDLE], 1);
        assert_no_action(&f, SPAWN, 1);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 1);
}

static void test_stop_children_in_reverse(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = children_policy();
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        for (int i = 1; i <= 4; i++)
                assert_int_equal(add_child(&f, i == 3 ? SUPERVISE_TEMPORARY : SUPERVISE_PERMANENT), i);
        start_all(&f);
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_int_equal(f.n_actions, 1);
        assert_action(&f, STOP, 4);
        assert_ok(crashed(&f, 2)); /* out of turn: stays down */
        assert_int_equal(f.n_actions, 0);
        assert_ok(crashed(&f, 4));
        assert_action(&f, STOP, 3);
        assert_ok(crashed(&f, 3));
        assert_action(&f, REMOVED, 3);
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_action(&f, STOPPED, 0);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_IDLE], 3);
}

static void redefine(struct fixture *f, uint64_t revision) {
        supervise_event e = { .type = SUPERVISE_DEFINITION_CHANGED, .revision = revision };

        assert_ok(handle(f, e));
}

static void test_roll(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 3);
        s = f.s;
        start_all(&f);
        redefine(&f, 1); /* nothing new */
        assert_int_equal(f.n_actions, 0);
        redefine(&f, 2);
        for (uint32_t i = 1; i <= 3; i++) {
                assert_int_equal(info_of(&f).rolling, i);
                assert_int_equal(f.n_actions, 1);
                assert_action(&f, STOP, i);
                assert_ok(exited_normally(&f, i));
                assert_int_equal(f.n_actions, 1);
                assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, i)->revision, 2);
                assert_ok(started(&f, i));
        }
        assert_false(info_of(&f).outdated);
        assert_int_equal(slot_of(&f, 3).n_failures, 0);
}

/* A definition that fails halts the roll; the rest goes on serving, and the next definition is tried at
 * once. */
static void test_roll_halts(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(0);
        struct fixture f;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        redefine(&f, 2);
        assert_ok(crashed(&f, 1));
        assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
        assert_action(&f, PARKED, 1);
        assert_true(info_of(&f).outdated && info_of(&f).rolling == 1);
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_RUNNING);
        redefine(&f, 3);
        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->revision, 3);
        redefine(&f, 4); /* before that one has started */
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->revision, 4);
        assert_ok(started(&f, 1));
        assert_action(&f, STOP, 2);
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 2)); /* taken out of the roll */
        assert_false(info_of(&f).outdated);
        assert_ok(crashed(&f, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_HELD);
}

static void test_redefine_child(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = children_policy();
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 1);
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 2);
        start_all(&f);
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED,
                                                .slot = 2,
                                                .restart = SUPERVISE_TRANSIENT,
                                                .revision = 5 }));
        assert_action(&f, STOP, 2);
        assert_ok(crashed(&f, 2));
        assert_ok(started(&f, 2));
        assert_int_equal(slot_of(&f, 2).revision, 5);
        assert_int_equal(slot_of(&f, 1).revision, 1);
        assert_ok(exited_normally(&f, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_IDLE);
}

static void test_set_policy(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(5), bad;
        nsec_t times[8];
        struct fixture f;

        fixture_new(&f, &p, 1);
        s = f.s;
        start_all(&f);
        for (int i = 0; i < 4; i++) {
                f.now += MS;
                assert_ok(crashed(&f, 1));
                assert_ok(started(&f, 1));
        }
        p.intensity = 2;
        assert_ok(supervise_set_policy(f.s, &p));
        assert_int_equal(supervise_failures(f.s, 1, times, 8), 3);
        assert_true(times[0] == f.now && times[2] == f.now - 2 * MS);
        p.intensity = 100;
        assert_ok(supervise_set_policy(f.s, &p));
        assert_int_equal(slot_of(&f, 1).n_failures, 3);

        bad = p, bad.strategy = SUPERVISE_ONE_FOR_ONE;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.escalate = true;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.intensity = SUPERVISE_INTENSITY_MAX + 1;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.backoff_min = 2, bad.backoff_max = 1;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.period = 0;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.backoff_factor = 0;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.backoff_jitter = 101;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
}

/* Time never runs backwards here, and a caller who does not pull is told, before anything is lost. */
static void test_clock_and_queue(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(SUPERVISE_INTENSITY_INFINITY);
        supervise_event e = { .type = SUPERVISE_START };
        struct fixture f;
        uint64_t generation = 1, spawned = 0;
        int r;

        fixture_new(&f, &p, 1);
        s = f.s;
        assert_ok(supervise_handle(f.s, &e, f.now));
        e.type = SUPERVISE_STARTED, e.slot = 1, e.generation = generation;
        assert_ok(supervise_handle(f.s, &e, 0));
        assert_true(slot_of(&f, 1).since == f.now);
        for (;;) {
                e.type = SUPERVISE_EXITED;
                r = supervise_handle(f.s, &e, f.now);
                if (r == -EBUSY)
                        break;
                assert_ok(r);
                e.type = SUPERVISE_STARTED, e.generation = ++generation;
                r = supervise_handle(f.s, &e, f.now);
                if (r == -EBUSY)
                        break;
                assert_ok(r);
                assert_true(generation < 1000);
        }
        drain(&f);
        for (size_t i = 0; i < f.n_actions; i++)
                if (f.actions[i].type == SUPERVISE_ACTION_SPAWN)
                        assert_int_equal(f.actions[i].generation, ++spawned);
        assert_true(spawned > 4);
        assert_ok(supervise_handle(f.s, &e, f.now));
}

/* -ENOMEM comes before any change. */
static void test_no_memory(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL, *t = NULL;
        _cleanup_free_ uint8_t *before = NULL, *after = NULL;
        supervise_policy p = plain_policy();
        size_t before_size, after_size;
        void *(*volatile any_calloc)(size_t, size_t) = calloc;
        struct fixture f;
        void *probe;

        failing_calloc = 1;
        probe = any_calloc(1, 1);
        free(probe);
        failing_calloc = 0;
        if (probe)
                skip(); /* valgrind has put its own in place of ours */

        for (unsigned n = 1; n <= 2; n++) {
                failing_calloc = n;
                assert_errno(supervise_new(&p, 3, 1, 1, &t), ENOMEM);
                assert_null(t);
        }
        fixture_new(&f, &p, 3);
        s = f.s;
        start_all(&f);
        assert_ok(supervise_encode(f.s, &before, &before_size));
        f.now += SEC;
        failing_calloc = 1;
        assert_errno(scale(&f, 50), ENOMEM);
        failing_calloc = 1;
        p.intensity = 7;
        assert_errno(supervise_set_policy(f.s, &p), ENOMEM);
        assert_int_equal(f.n_actions, 0);
        assert_ok(supervise_encode(f.s, &after, &after_size));
        assert_int_equal(before_size, after_size);
        assert_memory_equal(before, after, before_size);
        for (unsigned n = 1; n <= 2; n++) {
                failing_calloc = n;
                assert_errno(supervise_decode(before, before_size, &t), ENOMEM);
                assert_null(t);
        }
        assert_ok(supervise_decode(before, before_size, &t));
        assert_ok(scale(&f, 50));
        assert_int_equal(f.n_actions, 47);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_empty_set),
                cmocka_unit_test(test_restart_types),
                cmocka_unit_test(test_early_normal_exit),
                cmocka_unit_test(test_temporary_child_is_forgotten),
                cmocka_unit_test(test_intensity),
                cmocka_unit_test(test_intensity_boundary),
                cmocka_unit_test(test_failing_start),
                cmocka_unit_test(test_intensity_infinity),
                cmocka_unit_test(test_default_never_parks),
                cmocka_unit_test(test_backoff_stable),
                cmocka_unit_test(test_jitter),
                cmocka_unit_test(test_tick),
                cmocka_unit_test(test_stale_reports),
                cmocka_unit_test(test_operator_verbs),
                cmocka_unit_test(test_give_up_and_revive),
                cmocka_unit_test(test_escalate),
                cmocka_unit_test(test_one_for_one_parks),
                cmocka_unit_test(test_scale_down),
                cmocka_unit_test(test_stop_pool),
                cmocka_unit_test(test_stop_children_in_reverse),
                cmocka_unit_test(test_roll),
                cmocka_unit_test(test_roll_halts),
                cmocka_unit_test(test_redefine_child),
                cmocka_unit_test(test_set_policy),
                cmocka_unit_test(test_clock_and_queue),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
