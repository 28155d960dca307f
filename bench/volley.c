/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The module of bench/adoption: an actor that keeps requests under way to another one, and remembers when
 * they were answered; so that it can be asked later how fast it was while there was no arbiter. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IN_FLIGHT = 32, BUCKET_USEC = 10 * 1000, BUCKETS = 8192 };

struct volley {
        arbiter_actor *actor;
        const char *target;
        uint32_t answered[BUCKETS]; /* a ring, by time */
        uint64_t last, failed;
};

static uint64_t bucket_now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return ((uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000) / BUCKET_USEC;
}

static int serve(struct volley *v);

static void on_answer(arbiter_future *f, void *userdata) {
        struct volley *v = userdata;
        uint64_t now = bucket_now();

        for (; v->last < now; v->last++)
                v->answered[(v->last + 1) % BUCKETS] = 0;
        if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY)
                v->answered[now % BUCKETS]++;
        else
                v->failed++;
        (void) serve(v);
}

static int serve(struct volley *v) {
        arbiter_future *f = NULL;
        int r;

        r = arbiter_call_async(v->actor, &f, v->target, "echo", UINT64_MAX, "v", "t", UINT64_C(1));
        if (r >= 0)
                r = arbiter_future_then(f, on_answer, v);
        (void) arbiter_future_unref(f);
        return r;
}

static int start(arbiter_actor *a, void *userdata) {
        struct volley *v = calloc(1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, v);
        v->actor = a;
        v->target = arbiter_actor_get_parameter(a, "target");
        v->last = bucket_now();
        return 0;
}

static int begin(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < IN_FLIGHT; i++)
                r = serve(userdata);
        return r;
}

/* From one time to another, in whole buckets between them: answers a second; and all that failed so far. */
static int rate(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct volley *v = userdata;
        uint64_t from, to, n = 0;
        int r;

        r = arbiter_message_read(m, "tt", &from, &to);
        if (r < 0)
                return r;
        from = from / BUCKET_USEC + 1;
        to /= BUCKET_USEC;
        if (to <= from || from + BUCKETS <= bucket_now() || to > bucket_now())
                return -ERANGE;
        for (uint64_t i = from; i < to; i++)
                n += i <= v->last ? v->answered[i % BUCKETS] : 0;
        return arbiter_message_reply(
                        m, "dt", (double) n * 1e6 / (double) ((to - from) * BUCKET_USEC), v->failed);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("begin", "", NULL, "", NULL, begin, 0),
        ARBITER_COMMAND("rate", "tt", "from to", "dt", "rate failed", rate, 0),
        ARBITER_COMMANDS_END,
};
ARBITER_MODULE(.name = "volley", .commands = commands, .start = start);
