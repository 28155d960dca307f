/* SPDX-License-Identifier: MIT-0 */
/* ping: the smallest program with an arbiter in it. Starts one actor in a process of its own, asks it
 * something, stops. */

#include <arbiter/arbiter.h>
#include <stdio.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* A module says what an actor is made of: commands and hooks. This one adds nothing: every actor answers
 * "ping". */
static const arbiter_module quiet = { ARBITER_MODULE_HEAD, .name = "quiet" };

static int run(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *started = NULL;
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *bob = NULL;
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        const char *answer;
        int r;

        r = arbiter_new(NULL, NULL, &a); /* a loop of its own, no hooks */
        if (r < 0)
                return r;
        r = arbiter_start(a);
        if (r < 0)
                return r;

        /* Describe the actor, start it, wait until it runs. Without more words it is a process. */
        r = arbiter_spawn_new(a, "bob", &spawn);
        if (r < 0)
                return r;
        r = arbiter_spawn_set_module(spawn, &quiet);
        if (r < 0)
                return r;
        r = arbiter_spawn_start(spawn, &started);
        if (r < 0)
                return r;
        r = arbiter_future_wait(started, 0);
        if (r < 0)
                return r;
        r = arbiter_future_get_proxy(started, &bob); /* the outcome: a handle on it, or why there is none */
        if (r < 0)
                return r;
        printf("%s is running\n", arbiter_proxy_get_name(bob));

        /* The blocking form of a request: fine in main(), never in a handler. 0 is the default timeout, 5
         * s. */
        r = arbiter_call(arbiter_get_actor(a), &reply, "bob", "ping", 0, "");
        if (r < 0)
                return r;
        r = arbiter_message_read(reply, "s", &answer);
        if (r < 0)
                return r;
        printf("bob answers: %s\n", answer);

        /* Stops bob first, then the arbiter; runs the loop until both have ended. The exit code is the
         * one given here. */
        r = arbiter_stop(a, 0);
        if (r < 0)
                return r;
        return arbiter_run(a, false);
}

int main(void) {
        int r = run();

        if (r < 0)
                fprintf(stderr, "ping: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
