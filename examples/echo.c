/* SPDX-License-Identifier: MIT-0 */
/* echo: values of several types to an actor and back, without waiting for one before the next is sent.
 * The answers arrive as callbacks on the loop, each exactly once, also if the actor dies. */

#include <arbiter/arbiter.h>
#include <stdio.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static const arbiter_module quiet = { ARBITER_MODULE_HEAD, .name = "quiet" };

/* What the callbacks share; all of them run on the loop of the actor that asked: here, the arbiter's own. */
static struct {
        arbiter *arbiter;
        unsigned waiting;
        int failed;
} state;

static void answered(arbiter_future *f, int r) {
        if (r < 0) {
                fprintf(stderr, "echo: %s: %s\n", arbiter_outcome_to_string(arbiter_future_get_outcome(f)),
                                arbiter_future_get_error_text(f));
                state.failed = 1;
        }
        if (--state.waiting == 0)
                arbiter_stop(state.arbiter, state.failed);
}

static void on_text(arbiter_future *f, void *userdata) {
        const char *text;
        int r = arbiter_future_get(f, "v", "s", &text);

        if (r >= 0)
                printf("text: %s\n", text);
        answered(f, r);
}

static void on_point(arbiter_future *f, void *userdata) {
        int32_t x, y;
        const char *label;
        int r = arbiter_future_get(f, "v", "(iis)", &x, &y, &label);

        if (r >= 0)
                printf("point: %d %d %s\n", x, y, label);
        answered(f, r);
}

/* The same by hand: enter a container, read until there is no more, leave it. */
static void on_primes(arbiter_future *f, void *userdata) {
        arbiter_message *m;
        uint64_t n, sum = 0;
        int r = arbiter_future_get_reply(f, &m); /* the message is the future's */

        if (r >= 0)
                r = arbiter_message_enter_container(m, 'v', "at");
        if (r >= 0)
                r = arbiter_message_enter_container(m, 'a', "t");
        while (r > 0 && (r = arbiter_message_read(m, "t", &n)) > 0)
                sum += n;
        if (r >= 0)
                printf("sum: %llu\n", (unsigned long long) sum);
        answered(f, r);
}

/* Whoever does not need the future any more drops it: the callback runs all the same. */
static int then(arbiter_future *f, arbiter_future_callback_t callback) {
        int r = arbiter_future_then(f, callback, NULL);

        arbiter_future_unref(f);
        if (r >= 0)
                state.waiting++;
        return r;
}

static int ask(arbiter_actor *self) {
        arbiter_future *f;
        int r;

        /* Signatures are D-Bus's, and so are the bytes: s string, i int32, (...) struct, at array of
         * uint64. echo takes and returns one value of any type, a variant: v, then its signature, then
         * its values. */
        r = arbiter_call_async(self, &f, "alice", "echo", 0, "v", "s", "good morning");
        if (r >= 0)
                r = then(f, on_text);
        if (r >= 0)
                r = arbiter_call_async(self, &f, "alice", "echo", 0, "v", "(iis)", 3, -4, "a point");
        if (r >= 0)
                r = then(f, on_point);
        /* 64-bit constants need the cast: the compiler cannot see the signature. */
        if (r >= 0)
                r = arbiter_call_async(self, &f, "alice", "echo", 0, "v", "at", 3,
                                (uint64_t) 2, (uint64_t) 3, (uint64_t) 5);
        if (r >= 0)
                r = then(f, on_primes);
        return r;
}

static int run(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *started = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r < 0)
                return r;
        state.arbiter = a;
        r = arbiter_start(a);
        if (r >= 0)
                r = arbiter_spawn_new(a, "alice", &spawn);
        if (r >= 0)
                r = arbiter_spawn_set_module(spawn, &quiet);
        if (r >= 0)
                /* in this process, on a loop of its own */
                r = arbiter_spawn_set_concurrency(spawn, ARBITER_CONCURRENCY_THREAD);
        if (r >= 0)
                r = arbiter_spawn_start(spawn, &started);
        if (r >= 0)
                r = arbiter_future_wait(started, 0);
        if (r >= 0)
                r = arbiter_future_get_reply(started, NULL); /* did it start? */
        if (r >= 0)
                r = ask(arbiter_get_actor(a));
        return r < 0 ? r : arbiter_run(a, true);
}

int main(void) {
        int r = run();

        if (r < 0)
                fprintf(stderr, "echo: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
