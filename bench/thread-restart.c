/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-thread-restart: how long a thread actor is away that has to be started again, by the number of
 * actors in its monitor: of 10, of 1,000, in one program with an arbiter inside; from its exit hook, the
 * last that runs of the old one, to the start hook of the new one, and to its first sign of life. They
 * alternate, and beside both stands a thread that ends and is joined and made again by who waits for it. */

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <arbiter/arbiter.h>

#include "bench.h"

enum { FEW = 10, MANY = 1000 };

/* By all threads: one actor at a time ends, and nobody else starts then. */
static _Atomic double ended, started, running;
static _Atomic bool armed;

static int start(arbiter_actor *a, void *userdata) {
        if (armed)
                started = now_us();
        return 0;
}

static int periodic_task(arbiter_actor *a, void *userdata) {
        if (armed && started > 0 && !userdata)
                running = now_us();
        arbiter_actor_set_userdata(a, a);
        return 0;
}

static void leave(arbiter_actor *a, void *userdata) {
        if (armed)
                ended = now_us();
}

static int fail(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_actor_stop(a, 1);
}

static const arbiter_command commands[] = {
                ARBITER_COMMAND("fail", "", NULL, "", NULL, fail, 0),
                ARBITER_COMMANDS_END,
};
static const arbiter_module module = {ARBITER_MODULE_HEAD, .name = "worker", .commands = commands,
                .start = start, .exit = leave, .periodic_task = periodic_task};

struct set {
        arbiter *arbiter;
        unsigned n;
        struct samples started, running; /* medians of a round each */
};

static void check(int r, const char *what) {
        if (r < 0)
                bench_die(what, r);
}

static void set_up(struct set *s, unsigned n) {
        arbiter_monitor *m;
        arbiter_spawn *spawn;
        arbiter_future *f;

        *s = (struct set){.n = n};
        check(arbiter_new(NULL, NULL, &s->arbiter), "arbiter");
        check(arbiter_start(s->arbiter), "start");
        check(arbiter_spawn_new(s->arbiter, "w", &spawn), "spawn");
        check(arbiter_spawn_set_module(spawn, &module), "module");
        check(arbiter_spawn_set_concurrency(spawn, ARBITER_CONCURRENCY_THREAD), "concurrency");
        check(arbiter_monitor_new(s->arbiter, "w", spawn, NULL, &m), "monitor");
        (void)arbiter_spawn_unref(spawn);
        check(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0), "backoff");
        check(arbiter_monitor_set_intensity(m, 1000, 1000), "intensity");
        check(arbiter_monitor_start(m, n, &f), "workers");
        check(arbiter_future_wait(f, 0), "workers");
        check(arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY ? 0 : -ECHILD, "workers");
        (void)arbiter_future_unref(f);
        (void)arbiter_monitor_unref(m);
}

static void set_down(struct set *s) {
        check(arbiter_stop(s->arbiter, 0), "stop");
        check(arbiter_run(s->arbiter, false), "run");
        (void)arbiter_unref(s->arbiter);
}

/* Others of the same monitor, so that none comes to its limit of restarts. */
static void restart_one(struct set *s, unsigned number, struct histogram *starts, struct histogram *runs) {
        double end = now_us() + 10e6;
        char name[16];

        ended = started = running = 0;
        armed = true;
        (void)snprintf(name, sizeof(name), "w.%u", number);
        check(arbiter_send(arbiter_get_actor(s->arbiter), name, "fail", ""), "send");
        while (running == 0) {
                check(sd_event_run(arbiter_get_event(s->arbiter), 1000), "loop");
                if (now_us() > end)
                        bench_die(name, ETIMEDOUT);
        }
        armed = false;
        histogram_add(starts, (started - ended) * 1e3);
        histogram_add(runs, (running - ended) * 1e3);
        /* what is left to do of it */
        while (sd_event_run(arbiter_get_event(s->arbiter), 2000) > 0)
                ;
}

static void round_of(struct set *s, unsigned n, unsigned round) {
        struct histogram *starts = histogram_new(), *runs = histogram_new();

        for (unsigned i = 0; i < n; i++)
                restart_one(s, (round * n + i * 7) % s->n + 1, starts, runs);
        samples_add(&s->started, histogram_quantile(starts, 0.5) / 1e3);
        samples_add(&s->running, histogram_quantile(runs, 0.5) / 1e3);
        free(starts);
        free(runs);
}

/* The least: a thread says that it ends, somebody who sleeps joins it, and makes another one. */

static void *bare(void *fd) {
        uint64_t one = 1;

        if (armed)
                started = now_us();
        if (fd && read(((int *)fd)[0], &one, sizeof(one)) < 0)
                bench_die("eventfd", errno);
        ended = now_us();
        one = 1;
        if (fd && write(((int *)fd)[1], &one, sizeof(one)) < 0)
                bench_die("eventfd", errno);
        return NULL;
}

static void round_of_bare(unsigned n, struct samples *ret) {
        struct histogram *h = histogram_new();
        int fd[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
        pthread_t thread;
        uint64_t one = 1;

        for (unsigned i = 0; i < n; i++) {
                double t;

                check(-pthread_create(&thread, NULL, bare, fd), "thread");
                if (write(fd[0], &one, sizeof(one)) < 0 || read(fd[1], &one, sizeof(one)) < 0)
                        bench_die("eventfd", errno);
                check(-pthread_join(thread, NULL), "join");
                one = 1;
                t = ended;
                started = 0;
                armed = true;
                check(-pthread_create(&thread, NULL, bare, NULL), "thread");
                check(-pthread_join(thread, NULL), "join");
                armed = false;
                histogram_add(h, (started - t) * 1e3);
        }
        (void)close(fd[0]);
        (void)close(fd[1]);
        samples_add(ret, histogram_quantile(h, 0.5) / 1e3);
        free(h);
}

static void print(const char *what, const struct samples *value, const struct samples *raw,
                const char *raw_what, bool bound) {
        struct figure f = {.bench = "thread-restart",
                        .what = what,
                        .unit = "us",
                        .value = value,
                        .raw = raw,
                        .raw_what = raw_what};

        if (bound) {
                f.target = "<= 1.2 raw";
                f.missed = samples_ratio(value, raw) > 1.2;
        }
        figure_print(&f);
}

int main(int argc, char **argv) {
        struct samples floor = {};
        struct bench_options o;
        struct set few, many;
        unsigned n;

        bench_parse(argc, argv, &o);
        n = o.quick ? 10 : 50;
        set_up(&few, FEW);
        set_up(&many, MANY);
        for (unsigned i = 0; i < o.repetitions; i++) {
                round_of(&few, n, i);
                round_of(&many, n, i);
                round_of_bare(n, &floor);
        }
        print("of-10-to-start", &few.started, &floor, "a bare thread, joined and made again", false);
        print("of-10-to-running", &few.running, &floor, "a bare thread, joined and made again", false);
        print("of-1000-to-start", &many.started, &few.started, "of 10", true);
        print("of-1000-to-running", &many.running, &few.running, "of 10", true);
        set_down(&many);
        set_down(&few);
        return 0;
}
