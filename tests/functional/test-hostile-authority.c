/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Authority: a worker running as nobody under a root arbiter finds no way to more, and what it may
 * do works. */

#include <grp.h>
#include <sys/resource.h>

#include "arbiter/internal.h"
#include "state-check.h"
#include "test-hostile-util.h"

enum { NOBODY = 65534 };

/* What the workers can do for us: ask, and tell who they are. */

static void on_asked(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        arbiter_outcome o = arbiter_future_get_outcome(f);

        (void) arbiter_message_reply(m, "u", (uint32_t) o);
        arbiter_message_unref(m);
}

static int answer_by(arbiter_future *f, arbiter_message *m, int r) {
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_asked, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static int on_spawn(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *definition, *name;
        arbiter_future *f;
        int r = arbiter_message_read(m, "ss", &definition, &name);

        if (r < 0)
                return r;
        r = arbiter_actor_spawn(a, definition, name, NULL, &f);
        return answer_by(f, m, r);
}

static int on_ask(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *target, *command, *signature;
        arbiter_future *f;
        int r = arbiter_message_read(m, "sss", &target, &command, &signature);

        if (r < 0)
                return r;
        if (strcmp(signature, "config") == 0)
                r = arbiter_call_async(a, &f, target, command, 0, "ssv", "set", "colour", "s", "red");
        else if (strcmp(signature, "b") == 0)
                r = arbiter_call_async(a, &f, target, command, 0, "b", 1);
        else if (*signature)
                r = arbiter_call_async(a, &f, target, command, 0, "s", signature);
        else
                r = arbiter_call_async(a, &f, target, command, 0, "");
        return answer_by(f, m, r);
}

/* With a parameter of that length. */
static int on_spawn_large(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_free_ char *parameter = NULL;
        const char *name;
        arbiter_future *f;
        uint32_t length;
        int r = arbiter_message_read(m, "su", &name, &length);

        if (r < 0)
                return r;
        parameter = malloc(length + 3);
        if (!parameter)
                return -ENOMEM;
        memset(parameter, 'x', length + 2);
        parameter[1] = '=';
        parameter[length + 2] = 0;
        r = arbiter_actor_spawn(a, "definition", name, (const char *const[]){ parameter, NULL }, &f);
        return answer_by(f, m, r);
}

static int on_claim(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *name, *id;
        arbiter_future *f;
        int r = arbiter_message_read(m, "ss", &name, &id);

        if (r < 0)
                return r;
        r = arbiter_call_async(a, &f, "arbiter", "spawn", 0, "sssas", "definition", name, id, 0U);
        return answer_by(f, m, r);
}

static int on_link(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_proxy *p;
        const char *id;
        int r = arbiter_message_read(m, "s", &id);

        if (r < 0)
                return r;
        r = arbiter_proxy_new(id, "somebody", 1, &p);
        if (r < 0)
                return r;
        r = arbiter_actor_link(a, p);
        arbiter_proxy_unref(p);
        return r < 0 ? r : arbiter_message_reply(m, "");
}

static int on_die(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_actor_exit(a, ARBITER_REASON_KILLED);
}

static int on_identity(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct rlimit l = {};
        gid_t groups[64];
        uid_t ruid, euid, suid;
        int n = getgroups(64, groups);

        (void) getresuid(&ruid, &euid, &suid);
        (void) getrlimit(RLIMIT_CORE, &l);
        /* Also: it cannot go back. */
        return arbiter_message_reply(m, "uuutbu", euid == ruid && ruid == suid ? euid : 0,
                        (uint32_t) getegid(), (uint32_t) MAX(n, 0),
                        (uint64_t) l.rlim_max, setuid(0) == 0, (uint32_t) (n > 0 ? groups[0] : 0));
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("spawn_it", "ss", "definition name", "u", "outcome", on_spawn, 0),
        ARBITER_COMMAND("spawn_large", "su", "name length", "u", "outcome", on_spawn_large, 0),
        ARBITER_COMMAND("ask", "sss", "target command argument", "u", "outcome", on_ask, 0),
        ARBITER_COMMAND("claim", "ss", "name aid", "u", "outcome", on_claim, 0),
        ARBITER_COMMAND("link_to", "s", "aid", "", "", on_link, 0),
        ARBITER_COMMAND("die", "", "", "", "", on_die, 0),
        ARBITER_COMMAND("identity", "", "", "uuutbu", "uid gid n_groups core root group", on_identity, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module worker = { ARBITER_MODULE_HEAD, .name = "worker", .commands = commands };
static const arbiter_module secret = { ARBITER_MODULE_HEAD, .name = "secret", .commands = commands };

static arbiter *the;

static arbiter_spawn *new_spawn(const char *name, const arbiter_module *m, const char *user) {
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_module(s, m));
        assert_ok(arbiter_spawn_set_limit(s, RLIMIT_CORE, 0, 4096));
        if (user) {
                assert_ok(arbiter_spawn_set_user(s, user));
                assert_ok(arbiter_spawn_set_group(s, "nogroup"));
        }
        return s;
}

static void start(arbiter_spawn *s) {
        arbiter_future *f;

        assert_ok(arbiter_spawn_start(s, &f));
        wait_future(f);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                fail_msg("%s", arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
        arbiter_spawn_unref(s);
}

static int set_up(void **state) {
        arbiter_spawn *s;

        alarm(60);
        if (geteuid() != 0)
                return 0;
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_start(the));
        start(new_spawn("evil", &worker, "nobody"));
        start(new_spawn("victim", &secret, "root"));
        s = new_spawn("definition", &worker, "nobody");
        assert_ok(arbiter_add_definition(the, s));
        arbiter_spawn_unref(s);
        return 0;
}

static int tear_down(void **state) {
        if (geteuid() != 0)
                return 0;
        stop_arbiter(the);
        assert_no_children();
        return 0;
}

#define NEED_ROOT()                                                                                        \
        do {                                                                                               \
                if (geteuid() != 0)                                                                        \
                        skip();                                                                            \
        } while (0)

static arbiter_outcome ask(const char *who, const char *target, const char *command, const char *argument) {
        arbiter_message *m;
        uint32_t o;
        int r = arbiter_call(arbiter_get_actor(the), &m, who, "ask", 10 * 1000 * 1000, "sss", target,
                        command, argument);

        if (r < 0)
                fail_msg("%s: %s", who, strerror(-r));
        assert_true(arbiter_message_read(m, "u", &o) > 0);
        arbiter_message_unref(m);
        return o;
}

static arbiter_outcome spawn_by(const char *who, const char *definition, const char *name) {
        arbiter_message *m;
        uint32_t o;

        assert_ok(arbiter_call(arbiter_get_actor(the), &m, who, "spawn_it", 10 * 1000 * 1000, "ss",
                        definition, name));
        assert_true(arbiter_message_read(m, "u", &o) > 0);
        arbiter_message_unref(m);
        return o;
}

static arbiter_outcome spawn_large(const char *name, uint32_t length) {
        arbiter_message *m;
        uint32_t o;

        assert_ok(arbiter_call(arbiter_get_actor(the), &m, "evil", "spawn_large", 10 * 1000 * 1000, "su",
                        name, length));
        assert_true(arbiter_message_read(m, "u", &o) > 0);
        arbiter_message_unref(m);
        return o;
}

static void assert_is_nobody(const char *who) {
        uint32_t uid, gid, n_groups, group;
        arbiter_message *m;
        uint64_t core;
        int root;

        assert_ok(arbiter_call(arbiter_get_actor(the), &m, who, "identity", 10 * 1000 * 1000, ""));
        assert_true(arbiter_message_read(m, "uuutbu", &uid, &gid, &n_groups, &core, &root, &group) > 0);
        assert_int_equal(uid, NOBODY);
        assert_int_equal(gid, NOBODY);
        assert_true(n_groups == 0 || (n_groups == 1 && group == NOBODY));
        assert_int_equal(core, 4096);
        assert_false(root);
        arbiter_message_unref(m);
}

static void test_spawn(void **state) {
        NEED_ROOT();
        assert_is_nobody("evil");
        assert_int_equal(spawn_by("evil", "secret", "x1"), ARBITER_OUTCOME_DENIED);
        assert_int_equal(spawn_by("evil", "victim", "x1"), ARBITER_OUTCOME_DENIED);
        assert_int_equal(spawn_by("evil", "no_such", "x1"), ARBITER_OUTCOME_DENIED);
        assert_int_equal(spawn_by("evil", "definition", "victim"),
                        ARBITER_OUTCOME_APPLICATION_ERROR); /* the name is taken */
        assert_int_equal(spawn_by("evil", "definition", "x1"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_by("evil", "evil", "x2"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_by("x2", "worker", "x3"),
                        ARBITER_OUTCOME_REPLY); /* what its module is called */
        assert_is_nobody("x1");
        assert_is_nobody("x2");
        assert_is_nobody("x3");
}

/* What an arbiter after this one is told has a limit, and they must not keep others from being written
 * down. */
static void test_state(void **state) {
        char name[16];
        unsigned n = 0;

        NEED_ROOT();
        do
                (void) snprintf(name, sizeof(name), "y%u", ++n);
        while (n < 200 && spawn_large(name, 200 * 1000) == ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_large("x1", 200 * 1000), ARBITER_OUTCOME_OVERLOAD);
        assert_false(the->state.broken);
        start(new_spawn("another", &worker, "nobody"));
        assert_false(the->state.broken);
        assert_int_equal(ask("evil", "arbiter", "kill_actor", "y1"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_large("x1", 200 * 1000), ARBITER_OUTCOME_REPLY);
}

static void test_kill(void **state) {
        NEED_ROOT();
        assert_int_equal(ask("evil", "arbiter", "kill_actor", "victim"), ARBITER_OUTCOME_DENIED);
        assert_int_equal(ask("evil", "arbiter", "kill_actor", "arbiter"), ARBITER_OUTCOME_NOPROC);
        assert_int_equal(spawn_by("evil", "definition", "mine"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_by("mine", "definition", "grandchild"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask("mine", "arbiter", "kill_actor", "evil"), ARBITER_OUTCOME_DENIED);
        assert_int_equal(ask("evil", "arbiter", "kill_actor", "mine"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(arbiter_call(arbiter_get_actor(the), NULL, "mine", "ping", 0, ""), -ESRCH);
        assert_answers(the, "victim");
        assert_answers(the, "grandchild");
}

static void test_orders(void **state) {
        static const char *const others[] = { "victim", "arbiter" };

        NEED_ROOT();
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                assert_int_equal(ask("evil", others[i], "config", "config"), ARBITER_OUTCOME_DENIED);
                assert_int_equal(ask("evil", others[i], "trace", "b"), ARBITER_OUTCOME_DENIED);
                (void) ask("evil", others[i], "stop", "");
                assert_answers(the, "victim");
        }
        assert_int_equal(spawn_by("evil", "definition", "mine"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask("evil", "mine", "config", "config"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask("evil", "mine", "trace", "b"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask("mine", "evil", "config", "config"), ARBITER_OUTCOME_DENIED);
        assert_int_equal(ask("evil", "mine", "stop", ""), ARBITER_OUTCOME_REPLY);
        run_for(the, 200 * 1000);
        assert_int_equal(arbiter_call(arbiter_get_actor(the), NULL, "mine", "ping", 0, ""), -ESRCH);
        assert_int_equal(arbiter_actor_get_state(arbiter_get_actor(the)), ARBITER_STATE_RUNNING);
}

/* To share one's fate with another one is to hold it in one's hands. */
static void test_link(void **state) {
        arbiter_future *f;
        arbiter_spawn *s;
        static struct death d;
        arbiter_proxy *p;
        char victim[9];

        NEED_ROOT();
        s = new_spawn("target", &secret, "root");
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        wait_future(f);
        memcpy(victim, arbiter_future_get_aid(f), 9);
        arbiter_future_unref(f);
        assert_int_equal(spawn_by("evil", "definition", "killer"), ARBITER_OUTCOME_REPLY);
        assert_ok(arbiter_call(arbiter_get_actor(the), NULL, "killer", "link_to", 0, "s", victim));
        assert_ok(arbiter_proxy_new(victim, "target", 1, &p));
        assert_ok(arbiter_actor_watch(arbiter_get_actor(the), p, on_death, &d, NULL));
        arbiter_proxy_unref(p);
        (void) arbiter_call(arbiter_get_actor(the), NULL, "killer", "die", 0, "");
        run_for(the, 300 * 1000);
        assert_int_equal(d.n, 0);
        assert_answers(the, "target");
}

static void test_allow(void **state) {
        static const char *const patterns[] = { "open-*", NULL };
        arbiter_spawn *s;

        NEED_ROOT();
        s = new_spawn("narrow", &worker, "nobody");
        assert_ok(arbiter_spawn_set_allow(s, patterns));
        start(s);
        start(new_spawn("open-1", &worker, "nobody"));
        assert_int_equal(ask("narrow", "open-1", "ping", ""), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask("narrow", "victim", "ping", ""), ARBITER_OUTCOME_DENIED);
        assert_int_equal(ask("narrow", "evil", "ping", ""), ARBITER_OUTCOME_DENIED);
        assert_int_equal(ask("narrow", "arbiter", "ping", ""), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask("evil", "narrow", "ping", ""), ARBITER_OUTCOME_REPLY);
        /* Its child is as narrow as itself. */
        assert_int_equal(spawn_by("narrow", "narrow", "child"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask("child", "victim", "ping", ""), ARBITER_OUTCOME_DENIED);
}

/* Children of children count, too; the dead do not. */
static void test_children(void **state) {
        static const char *const by[] = { "parent", "parent", "c0", "c1" };
        uint32_t max;
        char name[8];

        NEED_ROOT();
        max = the->children_max;
        start(new_spawn("parent", &worker, "nobody"));
        the->children_max = ELEMENTSOF(by);
        for (unsigned i = 0; i < ELEMENTSOF(by); i++) {
                (void) snprintf(name, sizeof(name), "c%u", i);
                assert_int_equal(spawn_by(by[i], "definition", name), ARBITER_OUTCOME_REPLY);
        }
        assert_int_equal(spawn_by("parent", "definition", "more"), ARBITER_OUTCOME_OVERLOAD);
        assert_int_equal(spawn_by("c3", "definition", "more"), ARBITER_OUTCOME_OVERLOAD);
        assert_int_equal(ask("c1", "arbiter", "kill_actor", "c3"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_by("c0", "definition", "more"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_by("c0", "definition", "again"), ARBITER_OUTCOME_OVERLOAD);
        the->children_max = max;
}

/* The aid of the dead is not to be had again: their callers would come with it. */
static void test_aid(void **state) {
        arbiter_spawn *s;
        arbiter_future *f;
        static struct death d;
        arbiter_proxy *p;
        char id[9], name[16] = "thief";

        NEED_ROOT();
        s = new_spawn("mortal", &secret, "root");
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        wait_future(f);
        memcpy(id, arbiter_future_get_aid(f), 9);
        assert_ok(arbiter_future_get_proxy(f, &p));
        arbiter_future_unref(f);
        assert_ok(arbiter_actor_watch(arbiter_get_actor(the), p, on_death, &d, NULL));
        for (unsigned i = 0; i < 2; i++) {
                arbiter_message *m;
                uint32_t o;

                /* i 0: of the living; 1: of the dead. "spawn" by hand, since the library chooses an aid
                 * by itself. */
                assert_ok(arbiter_call(arbiter_get_actor(the), &m, "evil", "claim", 0, "ss", name, id));
                assert_true(arbiter_message_read(m, "u", &o) > 0);
                assert_int_equal(o, ARBITER_OUTCOME_BAD_ARGUMENTS);
                arbiter_message_unref(m);
                if (i == 0) {
                        assert_ok(arbiter_send(arbiter_get_actor(the), "mortal", "stop", ""));
                        run_until(the, &d.n, 1);
                }
        }
        assert_int_equal(arbiter_call(arbiter_get_actor(the), NULL, id, "ping", 0, ""), -ESRCH);
        arbiter_proxy_unref(p);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_spawn, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_state, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_kill, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_orders, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_allow, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_children, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_aid, set_up, tear_down),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
