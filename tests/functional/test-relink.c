/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Actors whose arbiter dies, and gets a successor: they go on as if nothing had been, and what they had
 * asked of the dead has an outcome that is true. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "relink-fixture.h"

static int setup(void **state) {
        memset(board, 0, sizeof(*board));
        forget_all_kept(); /* of a test that has failed */
        return 0;
}

static struct child *adopt_until_told(struct stage *s, const char *name) {
        struct child *c = stage_adopt(s, name);

        UNTIL(s, !c->relink && !c->links_due);
        return c;
}

/* That it answers, as the one it was, and that nothing is left over. */
static void check_alive(struct stage *s, const char *name) {
        for (uint32_t i = 0; i < board->n_actors; i++)
                if (streq(board->actors[i].name, name))
                        assert_int_equal(stage_ask(s, name, "Pid", 0), board->actors[i].pid);
        assert_int_equal(count_kept_links(name), 1);
}

static void assert_result(unsigned i, arbiter_outcome outcome, arbiter_executed executed) {
        uint32_t n = atomic_load(&board->result[i].n), o = board->result[i].outcome;

        if (n != 1 || o != outcome || board->result[i].executed != executed)
                fail_msg("result %u: %u outcomes, %s, executed %u: %s", i, n, arbiter_outcome_to_string(o),
                                board->result[i].executed, board->result[i].text);
}

static void talk(struct stage *s) {
        stage_tell(s, "a", "Burst", "stt", "b", (uint64_t)atomic_load(&board->received) + 1, (uint64_t)100);
}

static void two_that_talk(struct stage *s) {
        stage_spawn(s, "a");
        stage_spawn(s, "b");
        talk(s);
        UNTIL(s, atomic_load(&board->received) == 100);
}

/* Both are there before either is heard: what one of them wants of the other is not refused. */
static void adopt_both(struct stage *s) {
        struct child *a, *b;

        relinks_hold(s->arbiter);
        a = stage_adopt(s, "a");
        stage_turn(s, 0);
        b = stage_adopt(s, "b");
        relinks_go(s->arbiter);
        UNTIL(s, !a->relink && !a->links_due && !b->relink && !b->links_due);
}

static void adopt_both_and_talk(struct stage *s) {
        uint32_t before = atomic_load(&board->received);

        adopt_both(s);
        talk(s);
        UNTIL(s, atomic_load(&board->received) == before + 100);
}

/* Four arbiters in a row. */
static void test_generations(void **state) {
        struct stage s = {};

        stage_begin(&s, two_that_talk);
        for (unsigned i = 0; i < 2; i++) {
                stage_kill(&s);
                stage_begin(&s, adopt_both_and_talk);
        }
        stage_kill(&s);
        stage_begin_here(&s);
        adopt_both_and_talk(&s);
        assert_int_equal(atomic_load(&board->received), 400);
        assert_int_equal(atomic_load(&board->order_errors), 0);
        check_alive(&s, "a");
        check_alive(&s, "b");
        /* The one direct link is the one from the beginning, and this arbiter knows it. */
        assert_int_equal(stage_ask(&s, "a", "Links", 0), 1);
        assert_int_equal(map_size(s.arbiter->pairs), 1);
        assert_int_equal(stage_child(&s, "a")->link_number, 4);
        stage_end_here(&s);
}

/* Its casts wait for it while it blocks, and are from the first arbiter. */
static void block(struct stage *s, const char *name) {
        stage_tell(s, name, "Block", "u", 0U);
        UNTIL(s, atomic_load(&board->entered[0]) == 1);
}

static void burst_behind_a_gate(struct stage *s) {
        two_that_talk(s);
        block(s, "a");
        talk(s);
}

/* What they send to each other while there is no arbiter arrives meanwhile. */
static void test_mail_flows(void **state) {
        struct stage s = {};

        stage_begin(&s, burst_behind_a_gate);
        stage_kill(&s);
        open_gate(0);
        wait_for(&board->received, 200);
        stage_begin_here(&s);
        adopt_both(&s);
        assert_int_equal(atomic_load(&board->order_errors), 0);
        stage_end_here(&s);
}

/* Everything that an actor asks of its arbiter, said while it blocks; so it is asked when the gate opens. */
static void ask_behind_a_gate(struct stage *s) {
        stage_spawn(s, "a");
        stage_spawn(s, "b");
        block(s, "a");
        stage_tell(s, "a", "Ask", "sstu", "arbiter", "Serve", (uint64_t)GUARD_USEC, 0U);
        stage_tell(s, "a", "Ask", "sstu", "arbiter", "ping", (uint64_t)GUARD_USEC, 1U);
        stage_tell(s, "a", "Ask", "sstu", "b", "Echo", (uint64_t)GUARD_USEC, 2U);
        stage_tell(s, "a", "Spawn", "ssu", "definition", "c", 3U);
        stage_tell(s, "a", "Ask", "sstu", "arbiter", "Serve", (uint64_t)1000, 4U);
        stage_tell(s, "a", "Ask", "sstu", "nobody", "Echo", (uint64_t)GUARD_USEC, 5U);
}

static void define(struct stage *s) {
        arbiter_spawn *definition = stage_describe(s, "definition");

        assert_ok(arbiter_add_definition(s->arbiter, definition));
        arbiter_spawn_unref(definition);
}

static void check_asked(struct stage *s) {
        for (unsigned i = 0; i < 6; i++)
                UNTIL(s, atomic_load(&board->result[i].n) == 1);
        assert_result(0, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_result(1, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_result(2, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_result(3, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_result(5, ARBITER_OUTCOME_NOPROC, ARBITER_EXECUTED_NO);
        check_alive(s, "a");
        assert_non_null(stage_child(s, "c"));
}

/* Asked while there is no arbiter. */
static void test_requests_wait(void **state) {
        struct stage s = {};

        stage_begin(&s, ask_behind_a_gate);
        stage_kill(&s);
        open_gate(0);
        wait_for(&board->asked, 6);
        wait_for(&board->result[4].n, 1); /* its deadline needs no arbiter */
        stage_begin_here(&s);
        define(&s);
        adopt_both(&s);
        check_asked(&s);
        assert_result(4, ARBITER_OUTCOME_EXPIRED, ARBITER_EXECUTED_NO);
        assert_int_equal(atomic_load(&board->served), 2); /* one of Serve, one of Echo */
        stage_end_here(&s);
}

/* Asked when the next one has offered its link already. */
static void test_requests_at_the_change(void **state) {
        struct stage s = {};
        struct child *a;

        stage_begin(&s, ask_behind_a_gate);
        stage_kill(&s);
        stage_begin_here(&s);
        define(&s);
        a = stage_adopt(&s, "a");
        (void)adopt_until_told(&s, "b");
        assert_non_null(a->relink);
        open_gate(0);
        check_asked(&s);
        assert_null(a->relink);
        stage_end_here(&s);
}

static void begun_and_not(struct stage *s) {
        stage_spawn(s, "a");
        stage_tell(s, "a", "Ask", "sstu", "arbiter", "Hold", (uint64_t)GUARD_USEC, 0U);
        UNTIL(s, atomic_load(&board->entered[6]) == 1);
        block(s, "a");
        stage_tell(s, "a", "Ask", "sstu", "arbiter", "Serve", (uint64_t)GUARD_USEC, 1U);
}

/* The dead arbiter was about to introduce two to each other, and came as far as one of them. */
static void introduce_by_halves(struct stage *s) {
        struct child *a, *b;
        int fds[2], page;

        stage_spawn(s, "a");
        stage_spawn(s, "b");
        a = stage_child(s, "a");
        b = stage_child(s, "b");
        block(s, "a");
        stage_tell(s, "a", "Ask", "sstu", b->aid_string.s, "Echo", (uint64_t)GUARD_USEC, 0U);
        stage_tell(s, "a", "Ask", "sstu", "b", "Echo", (uint64_t)GUARD_USEC, 1U);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_ok(link_page_create(&page));
        assert_ok(actor_signal_peer(a->peer, ENVELOPE_SYSTEM, "peer", "ssutyyhh", b->aid_string.s, "b", 1U,
                        (uint64_t)4711, (uint8_t)0, (uint8_t)0, fds[0], page));
        UNTIL(s, link_get_buffered(a->peer->link) == 0);
}

static void test_half_a_link(void **state) {
        struct stage s;

        stage_begin(&s, introduce_by_halves);
        stage_kill(&s);
        open_gate(0);
        wait_for(&board->asked, 2);
        stage_begin_here(&s);
        adopt_both(&s);
        UNTIL(&s, atomic_load(&board->result[0].n) == 1 && atomic_load(&board->result[1].n) == 1);
        assert_result(0, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_result(1, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_int_equal(map_size(s.arbiter->pairs), 1);
        stage_end_here(&s);
}

/* What the dead had begun may have run; what it had not runs once. */
static void test_begun(void **state) {
        struct stage s = {};

        stage_begin(&s, begun_and_not);
        stage_kill(&s);
        open_gate(0);
        wait_for(&board->asked, 2);
        stage_begin_here(&s);
        (void)adopt_until_told(&s, "a");
        UNTIL(&s, atomic_load(&board->result[0].n) == 1 && atomic_load(&board->result[1].n) == 1);
        assert_result(0, ARBITER_OUTCOME_NO_CONNECTION, ARBITER_EXECUTED_MAYBE);
        assert_result(1, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_int_equal(atomic_load(&board->entered[6]), 1);
        assert_int_equal(atomic_load(&board->served), 1);
        stage_end_here(&s);
}

/* A spawn that was under way: its outcome comes from the next arbiter, and there is one life. */

static void define_slow(struct stage *s) {
        arbiter_spawn *definition = stage_describe(s, "slow");

        assert_ok(arbiter_add_definition(s->arbiter, definition));
        arbiter_spawn_unref(definition);
}

static void start_slowly(struct stage *s) {
        define_slow(s);
        stage_spawn(s, "a");
        stage_tell(s, "a", "Spawn", "ssu", "slow", "", 0U);
        UNTIL(s, atomic_load(&board->entered[7]) == 1);
        stage_note(s, "slow");
}

static void test_spawn_goes_on(void **state) {
        struct stage s = {};

        stage_begin(&s, start_slowly);
        stage_kill(&s);
        stage_begin_here(&s);
        define_slow(&s);
        (void)stage_adopt_starting(&s, "slow", "a", true);
        (void)adopt_until_told(&s, "a");
        assert_int_equal(atomic_load(&board->result[0].n), 0);
        open_gate(7);
        UNTIL(&s, atomic_load(&board->result[0].n) == 1);
        assert_result(0, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_int_equal(atomic_load(&board->entered[7]), 1);
        check_alive(&s, "slow");
        stage_end_here(&s);
}

/* ... also when it is over, one way or the other, before its spawner is there again. */
static void test_spawn_has_ended(void **state) {
        struct child *c;
        struct stage s = {};

        stage_begin(&s, start_slowly);
        stage_kill(&s);
        stage_begin_here(&s);
        define_slow(&s);
        c = stage_adopt_starting(&s, "slow", "a", true);
        assert_int_equal(kill(c->process.pid, SIGKILL), 0);
        UNTIL(&s, !stage_child(&s, "slow"));
        (void)adopt_until_told(&s, "a");
        UNTIL(&s, atomic_load(&board->result[0].n) == 1);
        assert_result(0, ARBITER_OUTCOME_APPLICATION_ERROR, ARBITER_EXECUTED_YES);
        assert_non_null(strstr(board->result[0].text, "has ended: signal"));
        assert_int_equal(atomic_load(&board->entered[7]), 1);
        stage_end_here(&s);
}

/* An actor whose hello nobody has read. */
static void stop_when_it_says_hello(struct stage *s) {
        arbiter_spawn *spawn = stage_describe(s, "slow");
        arbiter_future *f;

        assert_ok(arbiter_spawn_start(spawn, &f));
        arbiter_spawn_unref(spawn);
        UNTIL(s, stage_child(s, "slow") && stage_child(s, "slow")->process.pid > 0);
        stage_note(s, "slow");
}

static void test_hello_anew(void **state) {
        struct child *c;
        struct stage s = {};

        stage_begin(&s, stop_when_it_says_hello);
        stage_kill(&s);
        stage_begin_here(&s);
        c = stage_adopt_starting(&s, "slow", NULL, false);
        UNTIL(&s, atomic_load(&board->entered[7]) > 0);
        open_gate(7);
        UNTIL(&s, c->state == ARBITER_STATE_RUNNING);
        assert_non_null(c->commands);
        check_alive(&s, "slow");
        stage_end_here(&s);
}

/* Watches and links. */

static void tell_of(struct stage *s, const char *name, const char *command, const char *whom) {
        struct child *c = stage_child(s, whom);

        if (streq(command, "Watch"))
                stage_tell(s, name, command, "ssuu", c->aid_string.s, c->name, c->generation, 0U);
        else
                stage_tell(s, name, command, "ssu", c->aid_string.s, c->name, c->generation);
}

static void watch_each_other(struct stage *s) {
        stage_spawn(s, "a");
        stage_spawn(s, "b");
        tell_of(s, "a", "Watch", "b");
        block(s, "a");
        tell_of(s, "a", "Link", "b"); /* seen by the next arbiter only */
}

/* One that dies with nobody there to see it. */
static void test_down(void **state) {
        struct stage s = {};

        stage_begin(&s, watch_each_other);
        stage_kill(&s);
        assert_int_equal(kill(board->actors[1].pid, SIGKILL), 0);
        stage_begin_here(&s);
        (void)stage_adopt(&s, "b");
        UNTIL(&s, !stage_child(&s, "b"));
        (void)stage_adopt(&s, "a");
        open_gate(0);
        UNTIL(&s, atomic_load(&board->down[0].n) == 1 && atomic_load(&board->exits.n) == 1);
        assert_int_equal(board->down[0].reason, ARBITER_REASON_SIGNAL);
        assert_int_equal(board->down[0].status, SIGKILL);
        assert_int_equal(board->exits.reason, ARBITER_REASON_NOPROC);
        check_alive(&s, "a");
        assert_int_equal(atomic_load(&board->down[0].n), 1);
        stage_end_here(&s);
}

/* One that dies when the next arbiter knows both, and has yet to be told of the watch. */
static void test_down_later(void **state) {
        struct child *b;
        struct stage s = {};

        stage_begin(&s, watch_each_other);
        stage_kill(&s);
        stage_begin_here(&s);
        b = adopt_until_told(&s, "b");
        open_gate(0);
        (void)adopt_until_told(&s, "a");
        UNTIL(&s, !list_is_empty(&b->watches)); /* the link, from both sides */
        assert_int_equal(kill(b->process.pid, SIGKILL), 0);
        UNTIL(&s, atomic_load(&board->down[0].n) == 1 && atomic_load(&board->exits.n) == 1);
        assert_int_equal(board->down[0].reason, ARBITER_REASON_SIGNAL);
        assert_int_equal(board->exits.reason, ARBITER_REASON_SIGNAL);
        stage_end_here(&s);
}

/* A notice that the dead arbiter may have sent or not is sent again. */
static void link_and_die(struct stage *s) {
        stage_spawn(s, "a");
        stage_spawn(s, "b");
        tell_of(s, "a", "Link", "b");
        UNTIL(s, !list_is_empty(&stage_child(s, "b")->watches));
        assert_int_equal(kill(stage_child(s, "b")->process.pid, SIGKILL), 0);
        UNTIL(s, atomic_load(&board->exits.n) == 1);
}

static void test_exit_once(void **state) {
        const char *b;
        struct stage s;
        struct child *a;

        stage_begin(&s, link_and_die);
        stage_kill(&s);
        stage_begin_here(&s);
        a = adopt_until_told(&s, "a");
        b = board->actors[1].aid;
        assert_ok(actor_signal_peer(a->peer, ENVELOPE_SYSTEM, "exit", "ssuui", b, "b", 1U,
                        (uint32_t)ARBITER_REASON_SIGNAL, SIGKILL));
        check_alive(&s, "a");
        assert_int_equal(atomic_load(&board->exits.n), 1);
        /* To a link that is made anew it is no old news. */
        stage_tell(&s, "a", "Link", "ssu", b, "b", 1U);
        UNTIL(&s, atomic_load(&board->exits.n) == 2);
        assert_int_equal(board->exits.reason, ARBITER_REASON_NOPROC);
        stage_end_here(&s);
}

/* A request to one that dies while there is no arbiter has the outcome that its page says. */
static void wait_for_each_other(struct stage *s) {
        two_that_talk(s);
        stage_tell(s, "b", "Block", "u", 1U);
        UNTIL(s, atomic_load(&board->entered[1]) == 1);
        stage_tell(s, "a", "Ask", "sstu", "b", "Echo", UINT64_MAX, 0U);
        UNTIL(s, atomic_load(&board->asked) == 1);
}

static void test_callee_dies(void **state) {
        struct stage s = {};

        stage_begin(&s, wait_for_each_other);
        stage_kill(&s);
        assert_int_equal(kill(board->actors[1].pid, SIGKILL), 0);
        stage_begin_here(&s);
        (void)stage_adopt(&s, "b");
        (void)adopt_until_told(&s, "a");
        UNTIL(&s, atomic_load(&board->result[0].n) == 1);
        assert_result(0, ARBITER_OUTCOME_NOPROC, ARBITER_EXECUTED_NO);
        assert_int_equal(map_size(s.arbiter->pairs), 0);
        stage_end_here(&s);
}

/* Threads that live together in arbiter-host have a link each, and so has their process. */
static void start_thread(struct stage *s) {
        stage_start(s, stage_describe_file(s, "thread", ARBITER_CONCURRENCY_THREAD));
        stage_note(s, "thread-host");
}

static void test_hosted_thread(void **state) {
        struct child *host, *thread;
        struct stage s;

        if (!host_program)
                skip();
        stage_begin(&s, start_thread);
        stage_kill(&s);
        stage_begin_here(&s);
        host = stage_adopt_host(&s, "thread-host");
        thread = stage_adopt_thread(&s, "thread", host);
        UNTIL(&s, !host->relink && !thread->relink);
        assert_int_equal(stage_ask(&s, "thread", "square", 12), 144);
        assert_int_equal(count_kept_links("thread"), 1);
        assert_int_equal(count_kept_links("thread-host"), 1);
        /* When its last thread ends, the host does. */
        assert_ok(child_stop(thread, NULL));
        UNTIL(&s, !stage_child(&s, "thread") && !stage_child(&s, "thread-host"));
        stage_end_here(&s);
}

/* Its last words were to the dead. */
static void exit_behind_a_gate(struct stage *s) {
        stage_spawn(s, "a");
        block(s, "a");
        stage_tell(s, "a", "Exit", "u", (uint32_t)ARBITER_REASON_OOM_KILL);
}

static void test_last_words(void **state) {
        struct stage s = {};
        siginfo_t info;
        int status;
        aid id;

        stage_begin(&s, exit_behind_a_gate);
        stage_kill(&s);
        open_gate(0);
        assert_int_equal(waitid(P_PID, (id_t)board->actors[0].pid, &info, WEXITED | WNOWAIT), 0);
        stage_begin_here(&s);
        id = stage_adopt(&s, "a")->aid;
        UNTIL(&s, !stage_child(&s, "a"));
        assert_int_equal(names_how_ended(s.arbiter, &id, &status), ARBITER_REASON_OOM_KILL);
        stage_end_here(&s);
}

/* Arbiters that die in the midst of it. */

static void settle(struct stage *s) {
        while (sd_event_run(arbiter_get_event(s->arbiter), 0) > 0)
                ;
}

static void one_that_blocks(struct stage *s) {
        stage_spawn(s, "a");
        block(s, "a");
}

static void adopt_and_offer(struct stage *s) {
        (void)stage_adopt(s, "a");
        settle(s);
}

static void adopt_and_only_keep(struct stage *s) {
        s->slow_keeper = true;
        (void)stage_adopt(s, "a");
        settle(s);
}

/* in_between: the actor looks up when the second arbiter is dead and the third is not there yet. */
static void run_chain(void (*second)(struct stage *s), unsigned n_kept_links, bool in_between) {
        struct child *c;
        struct stage s = {};

        memset(board, 0, sizeof(*board));
        stage_begin(&s, one_that_blocks);
        stage_kill(&s);
        stage_begin(&s, second);
        stage_kill(&s);
        assert_int_equal(count_kept_links("a"), n_kept_links);
        if (in_between)
                open_gate(0);
        stage_begin_here(&s);
        c = stage_adopt(&s, "a");
        settle(&s);
        open_gate(0);
        UNTIL(&s, !c->relink);
        assert_int_equal(c->link_number, n_kept_links + 1);
        check_alive(&s, "a");
        stage_end_here(&s);
}

static void test_chain(void **state) {
        for (unsigned i = 0; i < 5; i++) { /* the moment at which it looks up is not ours to choose */
                run_chain(adopt_and_offer, 2, false);
                run_chain(adopt_and_offer, 2, true);
        }
        run_chain(adopt_and_only_keep, 2, false);
        run_chain(adopt_and_only_keep, 2, true);
}

/* The actor is not told of a link that the next arbiter would not find. */
static void just_one(struct stage *s) {
        stage_spawn(s, "a");
}

static void test_slow_keeper(void **state) {
        struct child *c;
        struct stage s = {};

        stage_begin(&s, just_one);
        stage_kill(&s);
        stage_begin_here(&s);
        s.slow_keeper = true;
        c = stage_adopt(&s, "a");
        settle(&s);
        assert_int_equal(s.promised, 1);
        assert_non_null(c->relink); /* it has to be kept before it is offered */
        s.slow_keeper = false;
        arbiter_kept(s.arbiter);
        UNTIL(&s, !c->relink);
        check_alive(&s, "a");
        stage_end_here(&s);
}

static void test_names(void **state) {
        static const char *const bad[] = {"", "c", "c.", "c.abcdefg", "p.abcdefgh", "c.abcdefghi",
                        "c.abcdefgh.", "c.abcdefgh.1", "c.abcdefgh.0", "c.abcdefgh.-2", "c.abcdefgh.2x",
                        "c.abcdefgh.99999999999", "c.ABCDEFGH", "c.arbiter", "state"};
        char name[CHILD_LINK_NAME_SIZE];
        unsigned number;
        aid id, parsed;

        assert_ok(aid_random(&id));
        for (unsigned i = 1; i < 12; i++) {
                child_link_format_name(&id, i, name);
                assert_ok(child_link_parse_name(name, &parsed, &number));
                assert_true(aid_equal(&id, &parsed));
                assert_int_equal(number, i);
        }
        child_link_format_name(&id, INT32_MAX, name);
        assert_ok(child_link_parse_name(name, &parsed, &number));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_errno(child_link_parse_name(bad[i], &parsed, &number), EINVAL);
}

/* Groups and locks are what actors say that they have: nobody is told who the members are, or given a lock,
 * before all have said it. */

static void join_and_lock(struct stage *s) {
        stage_spawn(s, "a");
        stage_spawn(s, "b");
        stage_tell(s, "a", "Join", "s", "group");
        UNTIL(s, atomic_load(&board->changes) == 1);
        stage_tell(s, "b", "Join", "s", "group");
        UNTIL(s, atomic_load(&board->changes) == 4);
        stage_tell(s, "a", "Lock", "s", "lock");
        UNTIL(s, atomic_load(&board->locked) == 1);
        stage_tell(s, "b", "Lock", "s", "lock"); /* it waits, over the change */
        (void) stage_ask(s, "b", "Links", 0);
}

static void test_groups_and_locks(void **state) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *members = NULL, *lock = NULL;
        arbiter_message *m;
        struct stage s = {};
        unsigned n = 0;

        stage_begin(&s, join_and_lock);
        stage_kill(&s);
        stage_begin_here(&s);
        relinks_hold(s.arbiter);
        (void) stage_adopt(&s, "a");
        (void) stage_adopt(&s, "b");
        assert_ok(arbiter_actor_get_members(s.root, "group", &members));
        assert_ok(arbiter_actor_try_lock(s.root, "lock", 0, &lock));
        stage_turn(&s, 0);
        stage_turn(&s, 0);
        assert_true(arbiter_future_is_pending(members));
        assert_true(arbiter_future_is_pending(lock));
        relinks_go(s.arbiter);
        UNTIL(&s, !arbiter_future_is_pending(members) && !arbiter_future_is_pending(lock));
        assert_ok(arbiter_future_get_reply(members, &m));
        assert_ok(arbiter_message_enter_container(m, 'a', "(ssu)"));
        while (arbiter_message_skip(m, "(ssu)") > 0)
                n++;
        assert_int_equal(n, 2);
        assert_string_equal(arbiter_future_get_error_name(lock), "io.arbiter.Arbiter1.Error.Locked");
        assert_non_null(strstr(arbiter_future_get_error_text(lock), "held by a"));
        assert_int_equal(atomic_load(&board->changes), 4); /* nothing has changed */
        assert_int_equal(atomic_load(&board->locked), 1);

        assert_int_equal(kill(board->actors[0].pid, SIGKILL), 0);
        UNTIL(&s, atomic_load(&board->changes) == 5 && atomic_load(&board->locked) == 2);
        stage_end_here(&s);
}

/* A member of a group that many watch dies while there is no arbiter: each of them is told once, and of
 * nothing else. */

enum { WATCHERS = 24 };

static const char *watcher(unsigned i) {
        static char name[16];

        (void) snprintf(name, sizeof(name), "w%u", i);
        return name;
}

static void join_all(struct stage *s) {
        for (unsigned i = 0; i < WATCHERS; i++) {
                stage_spawn(s, watcher(i));
                stage_tell(s, watcher(i), "Join", "s", "group");
                UNTIL(s, atomic_load(&board->changes) == (i + 1) * (i + 1));
        }
}

static void test_member_dies_meanwhile(void **state) {
        struct stage s = {};

        stage_begin(&s, join_all);
        stage_kill(&s);
        assert_int_equal(kill(board->actors[3].pid, SIGKILL), 0);
        stage_begin_here(&s);
        relinks_hold(s.arbiter);
        for (unsigned i = 0; i < WATCHERS; i++)
                (void) stage_adopt(&s, watcher(i));
        relinks_go(s.arbiter);
        UNTIL(&s, atomic_load(&board->changes) >= WATCHERS * WATCHERS + WATCHERS - 1);
        for (unsigned i = 0; i < WATCHERS; i++)
                if (i != 3)
                        (void) stage_ask(&s, watcher(i), "Links", 0);
        assert_int_equal(atomic_load(&board->changes), WATCHERS * WATCHERS + WATCHERS - 1);
        assert_null(stage_child(&s, watcher(3)));
        stage_end_here(&s);
}

int main(int argc, char *argv[]) {
        static const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_names, setup),
                        cmocka_unit_test_setup(test_generations, setup),
                        cmocka_unit_test_setup(test_mail_flows, setup),
                        cmocka_unit_test_setup(test_requests_wait, setup),
                        cmocka_unit_test_setup(test_requests_at_the_change, setup),
                        cmocka_unit_test_setup(test_half_a_link, setup),
                        cmocka_unit_test_setup(test_begun, setup),
                        cmocka_unit_test_setup(test_spawn_goes_on, setup),
                        cmocka_unit_test_setup(test_spawn_has_ended, setup),
                        cmocka_unit_test_setup(test_hello_anew, setup),
                        cmocka_unit_test_setup(test_down, setup),
                        cmocka_unit_test_setup(test_down_later, setup),
                        cmocka_unit_test_setup(test_exit_once, setup),
                        cmocka_unit_test_setup(test_callee_dies, setup),
                        cmocka_unit_test_setup(test_hosted_thread, setup),
                        cmocka_unit_test_setup(test_last_words, setup),
                        cmocka_unit_test_setup(test_chain, setup),
                        cmocka_unit_test_setup(test_slow_keeper, setup),
                        cmocka_unit_test_setup(test_groups_and_locks, setup),
                        cmocka_unit_test_setup(test_member_dies_meanwhile, setup),
        };

        if (argc > 2) {
                host_program = realpath(argv[1], NULL);
                module_file = realpath(argv[2], NULL);
        }
        return RELINK_RUN("relink", tests);
}
