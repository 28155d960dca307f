/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cases of OTP's own suite (lib/stdlib/test/supervisor_SUITE.erl) on real actors of each kind: one row,
 * or one function where a row cannot say it, for each, named as there. simple_one_for_one is a pool here, or
 * one-for-one with children added at run time; its cases are rows of the latter. What a row does is a small
 * language:
 *
 *         start start! stop  the monitor is started; and that fails; and stopped
 *         ABc                so the children say, in this order: capitals when they start, small ones when
 *                            their hook for stopping runs
 *         crash:a normal:a shutdown:a kill:a      how a child ends, when it runs; kill is SIGKILL
 *         busy:a             it does not return from a command, and says a full stop before
 *         add:d- remove:a terminate:a restart:a   a verb, until it is done; with =EEXIST it is refused so
 *         fail:a ignore:a fail-once:a well        how the starts of that child go from now on
 *         counts:SPECS/ACTIVE/SUPERVISORS/WORKERS children:abc is:a=terminated life:a=2
 *         says:escalated:a   the verdict of the monitor; gone: it is not there any more
 *
 * A child is a letter; behind it ? is transient, - temporary, ! significant, * killed at once when it is to
 * stop, ~ given all the time that it needs for that. Differences from OTP are those of
 * arbiter_monitor_add_actor(3): restart and remove stop one that runs. Not here: what is about processes of
 * Erlang (links, pids, memory of start parameters), and code_change, which is a reload of arbiterd. */

#include <ctype.h>
#include <limits.h>
#include <signal.h>

#include "actor-fixture.h"

#define OTP_PERIOD (3600ULL * 1000 * 1000)

/* Children. */

enum { STARTS_WELL, STARTS_FAIL, STARTS_FAIL_ONCE, STARTS_IGNORE, STARTS_HANG };

static char letter_of(arbiter_actor *a) {
        return arbiter_actor_get_name(a)[0];
}

/* Until it is killed. */
static _Noreturn void hang(void) {
        fixture_journal('.');
        for (;;)
                (void) pause();
}

/* shared->stages: whose start does not go as it should, and how. */
static int child_start(arbiter_actor *a, void *userdata) {
        uint64_t stage = atomic_load(&shared->stages);

        if ((char) stage != letter_of(a))
                stage = STARTS_WELL;
        switch (stage >> 8) {
        case STARTS_FAIL_ONCE:
                atomic_store(&shared->stages, 0);
                return -ENOENT;
        case STARTS_FAIL:
                return -ENOENT;
        case STARTS_IGNORE:
                return arbiter_actor_ignore(a);
        case STARTS_HANG:
                hang();
        default:
                fixture_journal((char) toupper(letter_of(a)));
                return 0;
        }
}

static int child_stopping(arbiter_actor *a, void *userdata) {
        fixture_journal(letter_of(a));
        return 0;
}

static int on_hang(arbiter_actor *a, arbiter_message *m, void *userdata) {
        hang();
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("End", "x", "reason", NULL, NULL, fixture_on_end, 0),
        ARBITER_COMMAND("Generation", "x", "", "x", "", fixture_on_generation, 0),
        ARBITER_COMMAND("Hang", "", "", NULL, NULL, on_hang, 0),
        ARBITER_COMMANDS_END,
};

static const arbiter_module child_module = {
        ARBITER_MODULE_HEAD,
        .name = "child",
        .commands = commands,
        .start = child_start,
        .stopping = child_stopping,
};

/* The monitor of a row. */

struct row {
        const char *name;
        arbiter_strategy strategy;
        unsigned intensity;
        const char *children, *script;
        arbiter_auto_shutdown auto_shutdown;
        unsigned kinds;
};

struct world {
        struct fixture *x;
        const char *row, *token;
        char verdicts[128];
};

static void on_verdict(arbiter_monitor *m, arbiter_verdict v, const char *culprit, void *userdata) {
        struct world *w = userdata;

        assert_string_equal(arbiter_monitor_get_name(m), "tree");
        snprintf(w->verdicts, sizeof(w->verdicts), "%s:%s", arbiter_verdict_to_string(v),
                        culprit ? culprit : "");
}

static arbiter_monitor *new_tree(struct world *w, const char *name, arbiter_strategy strategy,
                unsigned intensity) {
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(w->x->arbiter, name, NULL, NULL, &m));
        assert_ok(arbiter_monitor_set_strategy(m, strategy));
        assert_ok(arbiter_monitor_set_failure_action(m, ARBITER_FAILURE_NONE, 0));
        assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        assert_ok(arbiter_monitor_set_intensity(m, intensity, OTP_PERIOD));
        return m;
}

/* "a?!": what stands behind the letter. */
static int add_child(struct world *w, arbiter_monitor *m, const char *text, arbiter_future **ret) {
        arbiter_child_spec spec = { .size = sizeof(spec) };
        arbiter_restart restart = strchr(text, '?') ? ARBITER_RESTART_TRANSIENT :
                                  strchr(text, '-') ? ARBITER_RESTART_TEMPORARY :
                                                      ARBITER_RESTART_PERMANENT;
        char name[2] = { text[0], 0 };
        arbiter_spawn *s = fixture_describe(w->x, name);
        int r;

        spec.significant = strchr(text, '!');
        spec.shutdown_usec = strchr(text, '*') ? ARBITER_SHUTDOWN_BRUTAL :
                             strchr(text, '~') ? ARBITER_SHUTDOWN_INFINITY :
                                                 ARBITER_SHUTDOWN_DEFAULT;
        assert_ok(arbiter_spawn_set_module(s, &child_module));
        assert_ok(arbiter_spawn_set_restart(s, restart));
        assert_ok(arbiter_spawn_set_timeouts(s, 0, 0, 300 * 1000, 0));
        r = arbiter_monitor_add_actor(m, s, &spec, ret);
        arbiter_spawn_unref(s);
        return r;
}

static void add_all(struct world *w, arbiter_monitor *m, const char *children) {
        char *all = strdup(children), *next = all, *child;

        while ((child = strsep(&next, " ")))
                if (*child)
                        assert_ok(add_child(w, m, child, NULL));
        free(all);
}

/* Waiting. What other processes do may have no event here. */

static void lap(struct world *w, unsigned *n) {
        if (++*n > GUARD_USEC / 1000)
                fail_msg("%s: nothing comes of \"%s\", the children say \"%s\"", w->row, w->token,
                                fixture_read_journal());
        assert_ok(sd_event_run(w->x->event, 1000));
}

static void until_says(struct world *w, const char *journal) {
        const char *said;
        unsigned n = 0;

        while (strcmp(said = fixture_read_journal(), journal) != 0) {
                if (strncmp(said, journal, strlen(said)) != 0)
                        fail_msg("%s: the children say \"%s\", not \"%s\"", w->row, said, journal);
                lap(w, &n);
        }
        fixture_clear_journal();
}

/* Of the life that runs, when there is one. */
static int64_t life_of(struct world *w, const char *name) {
        struct result q;
        unsigned n = 0;

        for (;; lap(w, &n)) {
                q = fixture_ask(w->x, NULL, name, "Generation", 0, 0);
                if (q.outcome == ARBITER_OUTCOME_REPLY)
                        return q.value;
        }
}

static bool get_child(arbiter_monitor *m, const char *name, arbiter_child_info *ret) {
        const char *after = NULL;

        *ret = (arbiter_child_info){ .size = sizeof(*ret) };
        while (arbiter_monitor_next_child(m, after, ret) > 0) {
                if (strcmp(ret->name, name) == 0)
                        return true;
                after = ret->name;
        }
        return false;
}

static bool is_in_state(arbiter_monitor *m, const char *name, const char *state) {
        arbiter_child_info i;

        return get_child(m, name, &i) && strcmp(i.state, state) == 0;
}

static bool are_children(arbiter_monitor *m, const char *names) {
        arbiter_child_info i = { .size = sizeof(i) };
        const char *after = NULL;
        char all[64] = "";

        while (arbiter_monitor_next_child(m, after, &i) > 0) {
                assert_true(strlen(all) + strlen(i.name) < sizeof(all));
                strcat(all, i.name);
                after = i.name;
        }
        return strcmp(all, names) == 0;
}

static bool has_counts(arbiter_monitor *m, const char *text) {
        arbiter_child_counts n = { .size = sizeof(n) };
        char is[64];

        assert_ok(arbiter_monitor_count_children(m, &n));
        snprintf(is, sizeof(is), "%u/%u/%u/%u", n.specs, n.active, n.supervisors, n.workers);
        return strcmp(is, text) == 0;
}

/* The language. */

static bool finish(struct world *w, arbiter_future *f) {
        bool well;

        fixture_wait(w->x, f);
        well = arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY;
        arbiter_future_unref(f);
        return well;
}

static void start(struct world *w, arbiter_monitor *m, bool well) {
        arbiter_future *f;

        assert_ok(arbiter_monitor_start(m, 0, &f));
        assert_int_equal(finish(w, f), well);
}

static void end_child(struct world *w, arbiter_monitor *m, const char *how, const char *name) {
        arbiter_reason reason = strcmp(how, "normal") == 0   ? ARBITER_REASON_NORMAL :
                                strcmp(how, "shutdown") == 0 ? ARBITER_REASON_SHUTDOWN :
                                                               ARBITER_REASON_WATCHDOG;
        arbiter_child_info i;

        (void) life_of(w, name);
        assert_true(get_child(m, name, &i));
        if (strcmp(how, "kill") == 0)
                assert_int_equal(kill(i.pid, SIGKILL), 0);
        else
                assert_ok(arbiter_send(w->x->root, name, "End", "x", (int64_t) reason));
}

static void set_starts(const char *how, const char *name) {
        uint64_t kind = strcmp(how, "fail") == 0        ? STARTS_FAIL :
                        strcmp(how, "fail-once") == 0   ? STARTS_FAIL_ONCE :
                        strcmp(how, "hang") == 0        ? STARTS_HANG :
                                                          STARTS_IGNORE;

        atomic_store(&shared->stages, kind << 8 | (uint64_t) name[0]);
}

/* A verb: false if there is none of that name. refusal: what it must be refused with, or "". */
static bool verb(struct world *w, arbiter_monitor *m, const char *what, const char *child,
                const char *refusal) {
        arbiter_future *f = NULL;
        int r;

        if (strcmp(what, "add") == 0)
                r = add_child(w, m, child, &f);
        else if (strcmp(what, "remove") == 0)
                r = arbiter_monitor_remove_child(m, child, &f);
        else if (strcmp(what, "terminate") == 0)
                r = arbiter_monitor_terminate_child(m, child, &f);
        else if (strcmp(what, "restart") == 0)
                r = arbiter_monitor_restart_child(m, child, &f);
        else
                return false;
        if (*refusal) {
                assert_string_equal(strerrorname_np(-r), refusal);
                return true;
        }
        assert_ok(r);
        if (!finish(w, f))
                fail_msg("%s: \"%s\" has failed", w->row, w->token);
        return true;
}

/* Something that is to be so, sooner or later. */
static bool is_so(struct world *w, arbiter_monitor *m, const char *what, const char *name,
                const char *value) {
        if (strcmp(what, "counts") == 0)
                return has_counts(m, name);
        if (strcmp(what, "children") == 0)
                return are_children(m, name);
        if (strcmp(what, "is") == 0)
                return is_in_state(m, name, value);
        if (strcmp(what, "life") == 0)
                return life_of(w, name) == strtol(value, NULL, 10);
        if (strcmp(what, "says") == 0)
                return strcmp(w->verdicts, name) == 0;
        if (strcmp(what, "gone") == 0)
                return !arbiter_find_monitor(w->x->arbiter, "tree");
        fail_msg("%s: \"%s\" is not a word", w->row, w->token);
        return false;
}

static bool is_one_of(const char *word, const char *const *words) {
        for (; *words; words++)
                if (strcmp(word, *words) == 0)
                        return true;
        return false;
}

static void do_token(struct world *w, arbiter_monitor *m, char *token) {
        static const char *const ends[] = { "crash", "normal", "shutdown", "kill", NULL },
                                 *const starts[] = { "fail", "fail-once", "ignore", "hang", NULL };
        char *value = strchr(token, '='), *name = strchr(token, ':'), text[64];
        unsigned n = 0;

        assert_true(strlen(token) < sizeof(text));
        w->token = strcpy(text, token);
        if (value)
                *value++ = 0;
        if (name)
                *name++ = 0;
        if (strcmp(token, "start") == 0 || strcmp(token, "start!") == 0)
                start(w, m, !strchr(token, '!'));
        else if (strcmp(token, "well") == 0)
                atomic_store(&shared->stages, 0);
        else if (strcmp(token, "stop") == 0)
                assert_ok(arbiter_monitor_stop(m, NULL));
        else if (!name && strcmp(token, "gone") != 0)
                until_says(w, token);
        else if (is_one_of(token, ends))
                end_child(w, m, token, name);
        else if (is_one_of(token, starts))
                set_starts(token, name);
        else if (strcmp(token, "busy") == 0) {
                (void) life_of(w, name);
                assert_ok(arbiter_send(w->x->root, name, "Hang", ""));
                until_says(w, ".");
        }
        else if (!name || !verb(w, m, token, name, value ? value : ""))
                while (!is_so(w, m, token, name ? name : "", value ? value : ""))
                        lap(w, &n);
}

static void play(struct world *w, arbiter_monitor *m, const char *script) {
        char *all = strdup(script), *next = all, *token;

        while ((token = strsep(&next, " ")))
                if (*token)
                        do_token(w, m, token);
        free(all);
        fixture_settle(w->x);
        if (shared->journal[0])
                fail_msg("%s: and then the children say \"%s\"", w->row, fixture_read_journal());
}

static void stop(struct world *w, arbiter_monitor *m) {
        arbiter_future *f;

        if (arbiter_find_monitor(w->x->arbiter, arbiter_monitor_get_name(m))) {
                assert_ok(arbiter_monitor_stop(m, &f));
                assert_true(finish(w, f));
        }
        arbiter_monitor_unref(m);
}

/* The table. */

#define ONE ARBITER_STRATEGY_ONE_FOR_ONE
#define ALL ARBITER_STRATEGY_ONE_FOR_ALL
#define REST ARBITER_STRATEGY_REST_FOR_ONE
#define ANY_SIGNIFICANT ARBITER_AUTO_SHUTDOWN_ANY
#define ALL_SIGNIFICANT ARBITER_AUTO_SHUTDOWN_ALL

static const struct row rows[] = {
        /* sup_start */
        { "sup_start_normal", ONE, 2, "", "start counts:0/0/0/0 children: stop gone" },
        { "sup_start_ignore_child", ONE, 2, "",
          "start ignore:a add:a add:b B children:ab is:a=inactive counts:2/1/0/2" },
        { "sup_start_ignore_temporary_child", ONE, 2, "a- b-", "ignore:a start B counts:1/1/0/1" },
        { "sup_start_ignore_temporary_child_start_child", ONE, 2, "",
          "start ignore:a add:a- add:b- B children:b counts:1/1/0/1" },
        { "sup_start_fail", ONE, 2, "a b c", "fail:b start! Aa says:start-failed:b counts:3/0/0/3" },
        { "faulty_application_shutdown", ALL, 2, "a", "fail:a start! says:start-failed:a" },
        { "sup_start_map", ONE, 1, "a b* c?", "start ABC children:abc counts:3/3/0/3" },

        /* sup_stop */
        { "sup_stop_infinity", ONE, 2, "a~ b~", "start AB stop ba gone" },
        { "sup_stop_timeout", ONE, 2, "a b", "start AB busy:b stop a gone", .kinds = ON_PROCESS },
        { "sup_stop_brutal_kill", ONE, 2, "a b*", "start AB stop a gone", .kinds = ON_PROCESS },

        /* child_adm; restart_child and delete_child of one that runs are refused there, and done here */
        { "child_adm", ONE, 2, "a",
          "start A children:a counts:1/1/0/1 add:a=EEXIST terminate:x=ENOENT terminate:a a is:a=terminated "
          "counts:1/0/0/1 terminate:a add:a=EEXIST restart:a A counts:1/1/0/1 restart:b=ENOENT "
          "remove:x=ENOENT "
          "terminate:a a remove:a restart:a=ENOENT children: counts:0/0/0/0 add:a A children:a "
          "counts:1/1/0/1" },
        { "extra_return", ONE, 2, "a", "start A restart:a aA life:a=2 remove:a a counts:0/0/0/0 add:a A" },
        { "child_specs", ONE, 2, "", "start add:a!=EINVAL add:a?!=EINVAL add:a A add:a-=EEXIST" },
        { "child_unlink", ONE, 2, "a", "start A busy:a terminate:a is:a=terminated", .kinds = ON_PROCESS },

        /* restart types and reasons */
        { "permanent_normal", ONE, 2, "", "start add:a A normal:a aA life:a=2 counts:1/1/0/1" },
        { "transient_normal", ONE, 2, "", "start add:a? A normal:a a is:a=inactive counts:1/0/0/1" },
        { "temporary_normal", ONE, 2, "", "start add:a- A normal:a a children: counts:0/0/0/0" },
        { "permanent_shutdown", ONE, 2, "", "start add:a A shutdown:a aA life:a=2 shutdown:a aA life:a=3" },
        { "transient_shutdown", ONE, 2, "",
          "start add:a? A shutdown:a a is:a=inactive counts:1/0/0/1 restart:a A shutdown:a a "
          "counts:1/0/0/1" },
        { "temporary_shutdown", ONE, 2, "",
          "start add:a- A shutdown:a a counts:0/0/0/0 add:a- A shutdown:a a children: counts:0/0/0/0" },
        { "permanent_abnormal", ONE, 2, "", "start add:a A crash:a aA life:a=2 counts:1/1/0/1" },
        { "transient_abnormal", ONE, 2, "", "start add:a? A crash:a aA life:a=2 counts:1/1/0/1" },
        { "temporary_abnormal", ONE, 2, "", "start add:a- A crash:a a children: counts:0/0/0/0" },
        { "temporary_bystander", ALL, 2, "",
          "start add:a A add:b- B normal:a abA children:a counts:1/1/0/1" },
        { "temporary_bystander", REST, 2, "",
          "start add:a A add:b- B normal:a abA children:a counts:1/1/0/1" },
        { "permanent_killed", ONE, 2, "a", "start A kill:a A life:a=2", .kinds = ON_PROCESS },
        { "transient_killed", ONE, 2, "a?", "start A kill:a A life:a=2", .kinds = ON_PROCESS },
        { "temporary_killed", ONE, 2, "", "start add:a- A kill:a children: add:a- A", .kinds = ON_PROCESS },

        /* strategies */
        { "one_for_one", ONE, 2, "",
          "start add:a A add:b B crash:a aA life:b=1 counts:2/2/0/2 crash:b bB life:b=2 crash:a ab "
          "says:escalated:a counts:2/0/0/2" },
        { "one_for_one_escalation", ONE, 4, "", "start add:a A add:b B fail:a crash:a ab says:escalated:a" },
        { "one_for_all", ALL, 2, "",
          "start add:a A add:b B crash:a abAB life:b=2 counts:2/2/0/2 crash:b baAB life:b=3 crash:b ba "
          "says:escalated:b" },
        { "one_for_all_escalation", ALL, 4, "",
          "start add:a A add:b B fail:b crash:a abAaAaAaAa says:escalated:b" },
        { "one_for_all_other_child_fails_restart", ALL, 3, "a b",
          "start AB fail-once:b crash:a abAaAB life:a=3 counts:2/2/0/2" },
        { "rest_for_one", REST, 2, "",
          "start add:a A add:b B add:c C counts:3/3/0/3 crash:b bcBC life:a=1 life:c=2 counts:3/3/0/3 "
          "crash:c cC "
          "life:c=3 crash:b bca says:escalated:b" },
        { "rest_for_one_escalation", REST, 4, "",
          "start add:a A add:b B fail:b crash:a abAa says:escalated:b" },
        { "rest_for_one_other_child_fails_restart", REST, 3, "a b",
          "start AB fail-once:b crash:a abAB life:a=2 counts:2/2/0/2" },
        { "who is not to be restarted takes nobody along", ALL, 2, "a b? c-",
          "start ABC normal:b b crash:c c counts:2/1/0/2 life:a=1" },
        { "a transient bystander that had ended rises with the others", ALL, 2, "a b?",
          "start AB normal:b b is:b=inactive crash:a aAB life:b=2" },

        /* specifications that are kept, and those that are not, after the end by terminate_child */
        { "do_not_save_child_specs_for_temporary_children", ONE, 2, "",
          "start add:a A terminate:a a add:a=EEXIST restart:a A add:b? B terminate:b b add:b=EEXIST "
          "restart:b B "
          "add:c- C terminate:c c add:c- C" },
        { "do_not_save_child_specs_for_temporary_children", ALL, 2, "",
          "start add:a? A normal:a a is:a=inactive add:a=EEXIST restart:a A add:c- C normal:c c children:a "
          "add:c- C crash:c c children:a add:c- C" },
        { "do_not_save_child_specs_for_temporary_children", REST, 2, "",
          "start add:a? A normal:a a is:a=inactive add:a=EEXIST restart:a A add:c- C normal:c c children:a "
          "add:c- C crash:c c children:a add:c- C" },

        /* auto_shutdown, from OTP 24 on */
        { "any_significant, transient normal", ONE, 2, "a b?! c?!",
          "start ABC normal:b bca says:shutdown: gone",
          ANY_SIGNIFICANT },
        { "any_significant, transient abnormal", ONE, 2, "a b?!",
          "start AB crash:b bB life:b=2", ANY_SIGNIFICANT },
        { "any_significant, temporary abnormal", ONE, 2, "a b-!", "start AB crash:b ba says:shutdown: gone",
          ANY_SIGNIFICANT },
        { "any_significant, terminate_child", ONE, 2, "a b?!",
          "start AB terminate:b b is:b=terminated life:a=1 restart:b B", ANY_SIGNIFICANT },
        { "any_significant, bystander", ALL, 2, "a b-! c",
          "start ABC crash:a acbAC life:c=2", ANY_SIGNIFICANT },
        { "all_significant", ONE, 2, "a b?! c-!",
          "start ABC normal:b b counts:3/2/0/3 life:a=1 crash:c ca says:shutdown: gone", ALL_SIGNIFICANT },
        { "all_significant, one is restarted", REST, 2, "a b?! c?!",
          "start ABC normal:c c is:c=inactive crash:b bBC life:c=2 normal:c c is:c=inactive normal:b ba "
          "says:shutdown: gone", ALL_SIGNIFICANT },
};

/* What a row cannot say. */

/* Restarts that stay below the intensity, as often as one likes. */
static void test_multiple_restarts(void **state) {
        struct world w = { .x = *state, .row = "multiple_restarts" };
        arbiter_monitor *m = new_tree(&w, "tree", ONE, 1);

        assert_ok(arbiter_monitor_set_intensity(m, 1, 1)); /* a microsecond */
        add_all(&w, m, "a");
        play(&w, m,
             "start A crash:a aA life:a=2 crash:a aA life:a=3 crash:a aA life:a=4 crash:a aA life:a=5");
        stop(&w, m);
}

static void test_sup_flags(void **state) {
        struct world w = { .x = *state, .row = "sup_flags" };
        arbiter_monitor *m = new_tree(&w, "tree", ONE, 1);

        assert_errno(arbiter_monitor_set_strategy(m, (arbiter_strategy) 99), EINVAL);
        assert_errno(arbiter_monitor_set_strategy(m, ARBITER_STRATEGY_POOL), EINVAL);
        assert_errno(arbiter_monitor_set_intensity(m, UINT_MAX - 1, 1), EINVAL);
        assert_errno(arbiter_monitor_set_auto_shutdown(m, (arbiter_auto_shutdown) 99), EINVAL);
        play(&w, m, "start");
        assert_errno(arbiter_monitor_set_strategy(m, ALL), EBUSY);
        stop(&w, m);
}

/* The child hangs in its start, again and again; status is answered, and it can be stopped, and all can. */
static void test_hanging_restart_loop(void **state) {
        struct world w = { .x = *state, .row = "hanging_restart_loop" };
        arbiter_monitor *m = new_tree(&w, "tree", ONE, 8);

        add_all(&w, m, "a* b");
        play(&w, m,
             "start AB hang:a kill:a . is:a=starting counts:2/2/0/2 add:a=EEXIST life:b=1 terminate:a "
             "is:a=terminated counts:2/1/0/2 well restart:a A hang:a kill:a . is:a=starting stop b gone");
        stop(&w, m);
}

/* It fails in its start, again and again, with a backoff between. */
static void test_failing_restart_loop(void **state) {
        struct world w = { .x = *state, .row = "hanging_restart_loop" };
        arbiter_monitor *m = new_tree(&w, "tree", ONE, 1000);

        assert_ok(arbiter_monitor_set_backoff(m, OTP_PERIOD, OTP_PERIOD, 1, UINT_MAX, 0));
        add_all(&w, m, "a b");
        play(&w, m,
             "start AB fail:a crash:a a is:a=backoff counts:2/1/0/2 add:a=EEXIST life:b=1 terminate:a "
             "is:a=terminated well restart:a A fail:a crash:a a is:a=backoff stop b gone");
        stop(&w, m);
}

static arbiter_monitor *add_supervisor(struct world *w, arbiter_monitor *top, const char *name,
                arbiter_strategy strategy, unsigned intensity) {
        arbiter_monitor *m = new_tree(w, name, strategy, intensity);

        assert_ok(arbiter_monitor_add_monitor(top, m, NULL, NULL));
        return m;
}

/* "Test a basic supervison tree": what dies alone is restarted alone; a supervisor that gives up takes all
 * with it by one_for_all, and its children that were added at run time are not there again. */
static void test_tree(void **state) {
        struct world w = { .x = *state, .row = "tree" };
        arbiter_monitor *top = new_tree(&w, "top", ALL, 4), *first, *second;

        first = add_supervisor(&w, top, "first", ONE, 4);
        second = add_supervisor(&w, top, "second", ONE, 4);
        add_all(&w, first, "a b");
        play(&w, top, "start AB counts:2/2/2/0");
        play(&w, first, "children:ab counts:2/2/0/2");
        play(&w, second,
             "counts:0/0/0/0 add:c C add:d D counts:2/2/0/2 crash:d dD life:d=2 life:c=1 life:a=1");
        play(&w, second, "fail:c crash:c cdbaAB counts:0/0/0/0 children:");
        play(&w, top, "counts:2/2/2/0 life:a=2");
        play(&w, first, "children:ab counts:2/2/0/2");
        arbiter_monitor_unref(first);
        arbiter_monitor_unref(second);
        stop(&w, top);
}

/* A supervisor in the middle, and one worker below it. */
static void test_9212(void **state) {
        struct world w = { .x = *state, .row = "simple_global_supervisor" };
        arbiter_monitor *top = new_tree(&w, "top", ALL, 3), *middle;

        middle = add_supervisor(&w, top, "middle", ALL, 3);
        add_all(&w, middle, "a");
        play(&w, top, "start A counts:1/1/1/0");
        play(&w, middle, "crash:a aA life:a=2 normal:a aA life:a=3 terminate:a a restart:a A life:a=4");
        if (w.x->kind == ARBITER_CONCURRENCY_PROCESS)
                play(&w, middle, "kill:a A life:a=5");
        play(&w, top, "restart:middle aA counts:1/1/1/0");
        arbiter_monitor_unref(middle);
        stop(&w, top);
}

/* Many temporary children come and go; none of them leaves anything. */
static void many(struct world *w, arbiter_monitor *m, unsigned first, unsigned n) {
        arbiter_future *f = NULL;
        char name[16];

        for (unsigned i = first; i < first + n; i++) {
                arbiter_spawn *s;

                snprintf(name, sizeof(name), "x%u", i);
                s = fixture_describe(w->x, name);
                assert_ok(arbiter_spawn_set_module(s, &child_module));
                assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_TEMPORARY));
                arbiter_future_unref(f);
                assert_ok(arbiter_monitor_add_actor(m, s, NULL, &f));
                arbiter_spawn_unref(s);
        }
        assert_true(finish(w, f)); /* they start in order: so do all others */
}

static void test_count_children(void **state) {
        struct world w = { .x = *state, .row = "count_children" };
        arbiter_monitor *m = new_tree(&w, "tree", ONE, 2);
        unsigned n = w.x->kind == ARBITER_CONCURRENCY_INLINE ? 250 : 50;
        char text[64], name[16];

        play(&w, m, "start");
        for (unsigned round = 1; round <= 2; round++) {
                many(&w, m, (round - 1) * n, n);
                snprintf(text, sizeof(text), "%u/%u/0/%u", round * n, round * n, round * n);
                assert_true(has_counts(m, text));
        }
        for (unsigned i = 0; i < 2 * n; i++) {
                snprintf(name, sizeof(name), "x%u", i);
                assert_ok(arbiter_send(w.x->root, name, "End", "x", (int64_t) ARBITER_REASON_WATCHDOG));
        }
        shared->journal[0] = 0;
        for (unsigned i = 0; !has_counts(m, "0/0/0/0");)
                lap(&w, &i);
        assert_true(are_children(m, ""));
        shared->journal[0] = 0;
        stop(&w, m);
}

static void test_many_temporary(void **state) {
        struct world w = { .x = *state, .row = "simple_one_for_one_scale_many_temporary_children" };
        arbiter_monitor *m = new_tree(&w, "tree", ONE, 2);
        unsigned n = w.x->kind == ARBITER_CONCURRENCY_INLINE ? 800 : 100;
        arbiter_future *f;
        char name[16];

        play(&w, m, "start");
        many(&w, m, 0, n);
        for (unsigned i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "x%u", i);
                assert_ok(arbiter_monitor_terminate_child(m, name, &f));
                assert_true(finish(&w, f));
        }
        assert_true(has_counts(m, "0/0/0/0"));
        shared->journal[0] = 0;
        stop(&w, m);
}

static const struct fixture_test functions[] = {
        { "multiple_restarts", test_multiple_restarts },
        { "sup_flags", test_sup_flags, ON_ONE },
        { "hanging_restart_loop", test_hanging_restart_loop, ON_PROCESS },
        { "hanging_restart_loop, failing", test_failing_restart_loop },
        { "tree", test_tree },
        { "simple_global_supervisor", test_9212 },
        { "count_children", test_count_children },
        { "simple_one_for_one_scale_many_temporary_children", test_many_temporary },
};

static void test_row(void **state) {
        struct world w = { .x = *state };
        const struct row *row = w.x->data;
        arbiter_monitor *m;

        assert_ok(arbiter_set_verdict_handler(w.x->arbiter, on_verdict, &w));
        w.row = row->name;
        m = new_tree(&w, "tree", row->strategy, row->intensity);
        if (row->auto_shutdown != ARBITER_AUTO_SHUTDOWN_NEVER)
                assert_ok(arbiter_monitor_set_auto_shutdown(m, row->auto_shutdown));
        add_all(&w, m, row->children);
        play(&w, m, row->script);
        stop(&w, m);
}

int main(void) {
        struct fixture_test tests[ELEMENTS(rows) + ELEMENTS(functions)] = {};
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTS(rows); i++)
                tests[n++] = (struct fixture_test){ rows[i].name, test_row, rows[i].kinds, rows + i };
        for (size_t i = 0; i < ELEMENTS(functions); i++)
                tests[n++] = functions[i];
        return fixture_run("supervisor_SUITE", tests, n);
}
