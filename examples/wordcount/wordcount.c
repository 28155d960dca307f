/* SPDX-License-Identifier: MIT-0 */
/* wordcount: counts the words of the files on its command line, by a pool of four workers that run the
 * module in words.c. Prints what "wc -w" of Debian 12 prints in the C.UTF-8 locale, without its padding.
 * A request goes to the worker with the fewest outstanding; one that certainly was not executed is sent
 * again, to whoever is free then. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define WORKERS 4
#define WINDOW 8 /* files at a worker at a time: more would only wait in its mailbox */
#define RETRY_USEC 10000
#define ATTEMPTS 500

/* What ARBITER_MODULE() in words.c defines: the same module runs here, and under arbiterd from words.so. */
extern const arbiter_module arbiter_module_definition;

struct file {
        struct file *next; /* in the queue */
        const char *path;
        unsigned worker, attempts;
        uint64_t words, bytes;
};

static struct {
        arbiter *arbiter;
        sd_event_source *retry;
        struct file *files, *queue, **queue_end;
        unsigned n_files, n_left, outstanding[WORKERS];
        int exit_code;
} state = { .queue_end = &state.queue };

static int send_some(void);

static void enqueue(struct file *f) {
        f->next = NULL;
        *state.queue_end = f;
        state.queue_end = &f->next;
}

static struct file *dequeue(void) {
        struct file *f = state.queue;

        state.queue = f->next;
        if (!state.queue)
                state.queue_end = &state.queue;
        return f;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        return send_some();
}

/* A worker that has died is being replaced: give it a moment. */
static int retry_soon(void) {
        int r = sd_event_source_set_time_relative(state.retry, RETRY_USEC);

        return r < 0 ? r : sd_event_source_set_enabled(state.retry, SD_EVENT_ONESHOT);
}

static void complain(const struct file *f, arbiter_future *answer) {
        static const char *const executed[] = { "no", "maybe", "yes" };

        fprintf(stderr, "wordcount: %s: %s: %s (executed: %s)\n", f->path,
                        arbiter_outcome_to_string(arbiter_future_get_outcome(answer)),
                        arbiter_future_get_error_text(answer),
                        executed[arbiter_future_get_executed(answer)]);
        state.exit_code = 1;
}

/* Once more is safe if it certainly did not run. (Counting twice would do no harm either, but most things
 * do.) */
static bool may_retry(struct file *f, arbiter_future *answer) {
        return arbiter_future_get_executed(answer) == ARBITER_EXECUTED_NO && ++f->attempts < ATTEMPTS;
}

static void on_counted(arbiter_future *answer, void *userdata) {
        struct file *f = userdata;
        int r;

        state.outstanding[f->worker]--;
        r = arbiter_future_get(answer, "tt", &f->words, &f->bytes);
        if (r < 0 && may_retry(f, answer)) {
                enqueue(f);
                r = retry_soon();
                if (r >= 0)
                        return;
        }
        if (r < 0)
                complain(f, answer);
        if (--state.n_left == 0)
                arbiter_stop(state.arbiter, state.exit_code);
        else if (send_some() < 0)
                arbiter_stop(state.arbiter, 1);
}

static unsigned least_loaded(void) {
        unsigned best = 0;

        for (unsigned i = 1; i < WORKERS; i++)
                if (state.outstanding[i] < state.outstanding[best])
                        best = i;
        return best;
}

/* As many as the workers' windows allow. */
static int send_some(void) {
        unsigned worker;
        int r;

        while (state.queue && state.outstanding[worker = least_loaded()] < WINDOW) {
                _cleanup_(arbiter_future_unrefp) arbiter_future *answer = NULL;
                struct file *f = dequeue();
                char target[16];

                /* A name, not a proxy: it means whoever bears it when the request is sent. */
                (void) snprintf(target, sizeof(target), "words.%u", worker + 1);
                r = arbiter_call_async(arbiter_get_actor(state.arbiter), &answer, target, "count",
                                UINT64_MAX, "s", f->path);
                if (r >= 0)
                        r = arbiter_future_then(answer, on_counted, f);
                if (r < 0)
                        return r;
                f->worker = worker;
                state.outstanding[worker]++;
        }
        return 0;
}

static int start_pool(arbiter *a) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *worker = NULL;
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *started = NULL;
        int r;

        r = arbiter_spawn_new(a, "words", &worker);
        if (r >= 0)
                r = arbiter_spawn_set_module(worker, &arbiter_module_definition);
        if (r >= 0)
                r = arbiter_monitor_new(a, "words", worker, NULL, &m);
        if (r >= 0)
                r = arbiter_monitor_start(m, WORKERS, &started);
        if (r >= 0)
                r = arbiter_future_wait(started, 0);
        return r < 0 ? r : arbiter_future_get_reply(started, NULL);
}

static void print_counts(void) {
        uint64_t words = 0;

        for (unsigned i = 0; i < state.n_files; i++) {
                words += state.files[i].words;
                printf("%llu %s\n", (unsigned long long) state.files[i].words, state.files[i].path);
        }
        if (state.n_files > 1)
                printf("%llu total\n", (unsigned long long) words);
}

static int run(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r < 0)
                return r;
        state.arbiter = a;
        r = arbiter_start(a);
        if (r >= 0)
                r = sd_event_add_time_relative(arbiter_get_event(a), &state.retry, CLOCK_MONOTONIC,
                                RETRY_USEC, 1000, on_retry, NULL);
        if (r >= 0)
                r = sd_event_source_set_enabled(state.retry, SD_EVENT_OFF);
        if (r >= 0)
                r = start_pool(a);
        if (r >= 0)
                r = send_some();
        if (r >= 0)
                r = arbiter_run(a, true);
        state.retry = sd_event_source_disable_unref(state.retry);
        if (r >= 0 && state.n_left == 0)
                print_counts();
        return r;
}

int main(int argc, char *argv[]) {
        int r;

        if (argc < 2) {
                fputs("usage: wordcount FILE...\n", stderr);
                return 2;
        }
        state.n_files = state.n_left = (unsigned) argc - 1;
        state.files = calloc(state.n_files, sizeof(*state.files));
        if (!state.files)
                return 1;
        for (unsigned i = 0; i < state.n_files; i++) {
                state.files[i].path = argv[i + 1];
                enqueue(&state.files[i]);
        }
        r = run();
        if (r < 0)
                fprintf(stderr, "wordcount: %s\n", strerror(-r));
        free(state.files);
        return r < 0 ? 1 : r;
}
