/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-supervision: how fast dead workers are replaced, pools started and stopped; beside the least that
 * any supervisor can do, alternating in the same run. Each worker is killed once: restart limits are the
 * product's defaults. And how long a supervisor takes to say how its children are while all of them hang,
 * beside an empty call on the same socket. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

static struct pool_programs programs;

static void report(const char *what, const char *unit, const struct samples *value,
                const struct samples *raw, const char *raw_what, double bound, double bound_ratio) {
        struct figure f = {.bench = "supervision",
                        .what = what,
                        .unit = unit,
                        .value = value,
                        .raw = raw,
                        .raw_what = raw_what};
        double v = samples_median(value), limit = bound;
        char target[64];

        if (bound_ratio > 0)
                limit = fmax(isfinite(bound) ? bound : 0, bound_ratio * samples_median(raw));
        if (bound_ratio > 0 && isfinite(bound))
                (void)snprintf(target, sizeof(target), "<= %g %s or %g raw", bound, unit, bound_ratio);
        else if (bound_ratio > 0)
                (void)snprintf(target, sizeof(target), "<= %g raw", bound_ratio);
        else
                (void)snprintf(target, sizeof(target), "<= %g %s", bound, unit);
        if (isfinite(bound) || bound_ratio > 0) {
                f.target = target;
                f.missed = v > limit;
        }
        figure_print(&f);
}

/* A pool of 20, one killed at a time. */
static void respawn(enum pool_kind kind, char what, unsigned n, struct samples *ret) {
        struct pool p;

        (void)pool_up(&p, &programs, kind, 20, what);
        pool_rest(&p, 0.3);
        for (unsigned i = 0; i < n; i++) {
                samples_add(ret, pool_kill(&p, i, 1, what) / 1e3);
                pool_rest(&p, 0.02 + i * 0.001); /* no phase lock with whoever polls */
        }
        (void)pool_down(&p);
}

static void bench_respawn(const struct bench_options *o) {
        struct samples floor = {}, floor_fork = {}, exec = {}, fork = {}, module = {}, running = {};
        unsigned n = o->quick ? 5 : 15;

        for (unsigned i = 0; i < (o->quick ? 1 : 2); i++) {
                respawn(POOL_FLOOR, 'S', n, &floor);
                respawn(POOL_ARBITERD, 'S', n, &exec);
                respawn(POOL_FLOOR_FORK, 'S', n, &floor_fork);
                respawn(POOL_EMBEDDED, 'S', n, &fork);
                respawn(POOL_EMBEDDED, 'R', n, &running);
                respawn(POOL_ARBITERD_MODULE, 'R', n, &module);
        }
        report("respawn-exec", "ms", &exec, &floor, "posix_spawn supervisor", 1.2, 1.5);
        report("respawn-fork", "ms", &fork, &floor_fork, "fork supervisor", 0.8, 0);
        report("respawn-fork-to-running", "ms", &running, &floor_fork, "fork supervisor", INFINITY, 0);
        report("respawn-module-to-running", "ms", &module, &floor, "posix_spawn supervisor", 2.5, 0);
}

static void storm(enum pool_kind kind, struct samples *ret) {
        struct pool p;

        (void)pool_up(&p, &programs, kind, 100, 'S');
        pool_rest(&p, 0.5);
        samples_add(ret, pool_kill(&p, 0, 100, 'S') / 1e3);
        (void)pool_down(&p);
}

static void bench_storm(const struct bench_options *o) {
        struct samples floor = {}, exec = {}, floor_fork = {}, fork = {};

        for (unsigned i = 0; i < (o->quick ? 1 : 5); i++) {
                storm(POOL_FLOOR, &floor);
                storm(POOL_ARBITERD, &exec);
                storm(POOL_FLOOR_FORK, &floor_fork);
                storm(POOL_EMBEDDED, &fork);
        }
        report("storm-100-exec", "ms", &exec, &floor, "posix_spawn supervisor", 40, 0);
        report("storm-100-fork", "ms", &fork, &floor_fork, "fork supervisor", 40, 0);
}

static void start_and_stop(enum pool_kind kind, unsigned n, struct samples *start, struct samples *stop) {
        struct pool p;

        samples_add(start, pool_up(&p, &programs, kind, n, 'S') / 1e3);
        pool_rest(&p, 0.5);
        samples_add(stop, pool_down(&p) / 1e3);
}

static void bench_start(const struct bench_options *o) {
        struct samples start[4] = {}, stop[4] = {};
        unsigned n = o->quick ? 100 : 1000;
        static const enum pool_kind kinds[] = {POOL_FLOOR, POOL_ARBITERD, POOL_FLOOR_FORK, POOL_EMBEDDED};

        for (unsigned i = 0; i < (o->quick ? 1 : 5); i++)
                for (unsigned k = 0; k < 4; k++)
                        start_and_stop(kinds[k], n, &start[k], &stop[k]);
        report(o->quick ? "start-100-exec" : "start-1000-exec", "ms", &start[1], &start[0],
                        "posix_spawn supervisor", INFINITY, 1.5);
        report(o->quick ? "stop-100-exec" : "stop-1000-exec", "ms", &stop[1], &stop[0],
                        "posix_spawn supervisor", 100, 0);
        report(o->quick ? "start-100-fork" : "start-1000-fork", "ms", &start[3], &start[2],
                        "fork supervisor", INFINITY, 0);
        report(o->quick ? "stop-100-fork" : "stop-1000-fork", "ms", &stop[3], &stop[2], "fork supervisor",
                        INFINITY, 0);
}

/* 20 workers that exit at once, with the default backoff; and how long after that the next try comes. */
static void bench_crash(const struct bench_options *o) {
        struct samples cpu = {}, starts = {}, next = {};
        double seconds = o->quick ? 2 : 10, t;
        struct usage before, after;
        struct pool p;

        (void)pool_up(&p, &programs, POOL_ARBITERD_CRASH, 20, 'S');
        pool_usage(&p, &before);
        samples_add(&starts, pool_count(&p, seconds));
        pool_usage(&p, &after);
        t = pool_next(&p, 'S');
        (void)pool_down(&p);
        samples_add(&cpu, after.cpu_ms - before.cpu_ms);
        samples_add(&next, t / 1e6);
        report("crash-20-cpu", "ms", &cpu, NULL, NULL, 20, 0);
        report("crash-20-starts", "starts", &starts, NULL, NULL, INFINITY, 0);
        report("crash-20-next-start", "s", &next, NULL, NULL, 30, 0);
}

/* Children that hang. */

enum { N_HANGING = 100 };
#define POOL_PATH "/io/arbiter/Arbiter1/monitor/pool"
#define CHILD "(sssssubt)"

static sd_bus_message *call(sd_bus *bus, const char *path, const char *interface, const char *member) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method(bus, NULL, path, interface, member, &error, &reply, NULL);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", member, error.message ? error.message : strerror(-r));
                bench_die(member, -r);
        }
        return reply;
}

/* How each of them is: how many are in this state. */
static unsigned ask_children(sd_bus *bus, const char *state) {
        sd_bus_message *reply = call(bus, POOL_PATH, "io.arbiter.Arbiter1.Monitor", "ListChildren");
        uint64_t restarts;
        const char *s[5];
        int significant;
        unsigned n = 0;
        uint32_t pid;

        bench_check("children", sd_bus_message_enter_container(reply, 'a', CHILD));
        while (bench_check("child", sd_bus_message_read(reply, CHILD, &s[0], &s[1], &s[2], &s[3], &s[4],
                                                    &pid, &significant, &restarts)) > 0)
                n += strcmp(s[3], state) == 0;
        sd_bus_message_unref(reply);
        return n;
}

/* The median of as many as fit into the time, in microseconds. state: NULL asks nothing. */
static double ask(sd_bus *bus, const char *state, double seconds) {
        struct histogram *h = histogram_new();
        double end = now_us() + seconds * 1e6, begin, now = now_us(), p50;

        while (now < end) {
                begin = now;
                if (!state)
                        sd_bus_message_unref(call(bus, "/", "org.freedesktop.DBus.Peer", "Ping"));
                else if (ask_children(bus, state) != N_HANGING)
                        bench_die(state, ERANGE);
                now = now_us();
                histogram_add(h, (now - begin) * 1e3);
        }
        p50 = histogram_quantile(h, 0.5) / 1e3;
        free(h);
        return p50;
}

static void hang(const struct bench_options *o, enum pool_kind kind, const char *state, const char *what) {
        struct samples value = {}, raw = {};
        struct pool p;
        sd_bus *bus;

        (void)pool_up(&p, &programs, kind, N_HANGING, 'S');
        bus = pool_connect(&p);
        if (kind == POOL_ARBITERD_HANG_STOP) {
                while (ask_children(bus, "running") < N_HANGING)
                        ;
                bench_check("Stop", sd_bus_call_method_async(bus, NULL, NULL, POOL_PATH,
                                              "io.arbiter.Arbiter1.Monitor", "Stop", NULL, NULL, NULL));
        }
        while (ask_children(bus, state) < N_HANGING)
                ;
        for (unsigned i = 0; i < (o->quick ? 3 : 9); i++) {
                samples_add(&raw, ask(bus, NULL, o->quick ? 0.1 : 0.5));
                samples_add(&value, ask(bus, state, o->quick ? 0.1 : 0.5));
        }
        report(what, "us", &value, &raw, "empty call on the same socket", 1000, 0);
        if (kind == POOL_ARBITERD_HANG_STOP)
                pool_kill_all(&p);
        sd_bus_close_unref(bus);
        (void)pool_down(&p);
}

static void bench_hang(const struct bench_options *o) {
        hang(o, POOL_ARBITERD_HANG_START, "starting", "status-while-100-hang-in-start");
        hang(o, POOL_ARBITERD_HANG_STOP, "stopping", "status-while-100-hang-in-stop");
}

int main(int argc, char **argv) {
        struct bench_options o;

        bench_parse(argc, argv, &o);
        pool_programs_from(&o, &programs);
        if (bench_wants(&o, "respawn"))
                bench_respawn(&o);
        if (bench_wants(&o, "storm"))
                bench_storm(&o);
        if (bench_wants(&o, "start"))
                bench_start(&o);
        if (bench_wants(&o, "crash"))
                bench_crash(&o);
        if (bench_wants(&o, "hang"))
                bench_hang(&o);
        return 0;
}
