/* SPDX-License-Identifier: MIT-0 */
/* routing: a pool under one name. Questions go to its workers in turn, by a key, or to all of them; and the
 * death of a worker costs only the question that it was at: what waited behind is asked again by the one
 * who had asked. */

#include <arbiter/arbiter.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

enum { QUESTIONS = 6 };

/* A clerk. */

static int answer(arbiter_actor *self, arbiter_message *m, void *userdata) {
        const char *question;
        int r;

        r = arbiter_message_read(m, "s", &question);
        if (r < 0)
                return r;
        if (strcmp(question, "a very hard one") == 0)
                (void) raise(SIGKILL);
        return arbiter_message_reply(m, "s", arbiter_actor_get_name(self));
}

static const arbiter_command clerk_commands[] = {
        ARBITER_COMMAND("answer", "s", "question", "s", "name", answer, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module clerk = { ARBITER_MODULE_HEAD, .name = "clerk", .commands = clerk_commands };

/* Who asks. */

static int ask(arbiter *a, const char *target, const char *question, const arbiter_send_options *options,
                arbiter_future **ret) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_append(m, "s", question);
        return r < 0 ? r : arbiter_send_with(arbiter_get_actor(a), target, "answer", m, options, ret);
}

static int ask_and_print(arbiter *a, const char *question, const arbiter_send_options *options) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_future *one;
        int r;

        r = ask(a, "desk", question, options, &f);
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        if (r >= 0)
                printf("%s:", question);
        for (size_t i = 0; r >= 0 && arbiter_future_get_member(f, i, &one) >= 0; i++)
                printf(" %s", arbiter_outcome_to_string(arbiter_future_get_outcome(one)));
        if (r >= 0)
                printf(" %s\n", arbiter_outcome_to_string(arbiter_future_get_outcome(f)));
        return r;
}

/* All at once, to one clerk: the first kills it. */
static int ask_a_hard_one(arbiter *a) {
        const arbiter_send_options hold = { .size = sizeof(hold), .flags = ARBITER_SEND_HOLD };
        arbiter_future *f[QUESTIONS] = { NULL };
        int r = 0;

        for (unsigned i = 0; i < QUESTIONS && r >= 0; i++)
                r = ask(a, "desk.1", i == 0 ? "a very hard one" : "an easy one", &hold, &f[i]);
        for (unsigned i = 0; i < QUESTIONS && r >= 0; i++) {
                r = arbiter_future_wait(f[i], 0);
                if (r >= 0)
                        printf("%u: %s\n", i + 1,
                                        arbiter_outcome_to_string(arbiter_future_get_outcome(f[i])));
        }
        for (unsigned i = 0; i < QUESTIONS; i++)
                arbiter_future_unref(f[i]);
        return r;
}

static int start_desk(arbiter *a) {
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        r = arbiter_spawn_new(a, "clerk", &s);
        if (r >= 0)
                r = arbiter_spawn_set_module(s, &clerk);
        if (r >= 0)
                r = arbiter_monitor_new(a, "desk", s, NULL, &m);
        if (r >= 0)
                r = arbiter_monitor_set_routing(m, ARBITER_ROUTING_LEAST_OUTSTANDING);
        if (r >= 0)
                r = arbiter_monitor_start(m, 3, &f);
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        return r < 0 ? r : arbiter_future_get_reply(f, NULL);
}

static int run(void) {
        const arbiter_send_options
                by_name = { .size = sizeof(by_name), .routing = ARBITER_ROUTING_CONSISTENT_HASH,
                            .key = "alice", .key_size = strlen("alice") },
                to_all = { .size = sizeof(to_all), .routing = ARBITER_ROUTING_BROADCAST };
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_start(a);
        if (r >= 0)
                r = start_desk(a);
        if (r >= 0)
                r = ask_and_print(a, "who has time", NULL);
        if (r >= 0)
                r = ask_and_print(a, "who knows alice", &by_name);
        if (r >= 0)
                r = ask_and_print(a, "who is there", &to_all);
        if (r >= 0)
                r = ask_a_hard_one(a);
        if (r >= 0)
                r = arbiter_stop(a, 0);
        return r < 0 ? r : arbiter_run(a, false);
}

int main(void) {
        int r = run();

        if (r < 0)
                fprintf(stderr, "routing: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
