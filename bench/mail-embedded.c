/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-mail-embedded KIND WORKERS RATE SURGE UNAVAILABLE: a program with an arbiter inside, a pool of
 * workers and a sender, each a process or a thread (KIND). Not both: the allocator of a sanitizer may be
 * locked for ever in a process that is forked beside threads. For each line on stdin, "roll" or "report", a
 * line of JSON; at its end another report, when all is answered. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bench.h"
#include "mail.h"

enum { DRAIN_US = 5 * 1000 * 1000 };

struct program {
        arbiter *arbiter;
        arbiter_monitor *pool;
        bool told;
};

static void check(int r, const char *what) {
        if (r < 0)
                bench_die(what, r);
}

static void wait_for(arbiter_future *f, const char *what) {
        check(arbiter_future_wait(f, 0), what);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY) {
                fprintf(stderr, "%s: %s\n", what, arbiter_future_get_error_text(f));
                exit(1);
        }
        (void)arbiter_future_unref(f);
}

static void tell(struct program *p, const char *command, arbiter_message **ret) {
        check(arbiter_call(arbiter_get_actor(p->arbiter), ret, "load", command, 0, ""), command);
}

static arbiter_spawn *describe(arbiter *a, const char *name, arbiter_concurrency concurrency) {
        arbiter_spawn *s;

        check(arbiter_spawn_new(a, name, &s), "spawn");
        check(arbiter_spawn_set_module(s, &mail_actor), "module");
        check(arbiter_spawn_set_concurrency(s, concurrency), "concurrency");
        if (geteuid() == 0 && concurrency == ARBITER_CONCURRENCY_PROCESS)
                check(arbiter_spawn_set_user(s, "root"), "user");
        return s;
}

static void start(struct program *p, char **argv) {
        arbiter_concurrency kind = strcmp(argv[1], "thread") == 0 ? ARBITER_CONCURRENCY_THREAD
                                                                  : ARBITER_CONCURRENCY_PROCESS;
        arbiter_future *f;
        arbiter_spawn *s;

        check(arbiter_new(NULL, NULL, &p->arbiter), "arbiter");
        check(arbiter_start(p->arbiter), "start");
        s = describe(p->arbiter, "web", kind);
        check(arbiter_monitor_new(p->arbiter, "web", s, NULL, &p->pool), "monitor");
        (void)arbiter_spawn_unref(s);
        check(arbiter_monitor_set_roll(p->pool, (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]), DRAIN_US),
                        "roll");
        check(arbiter_monitor_start(p->pool, (unsigned)atoi(argv[2]), &f), "pool");
        wait_for(f, "pool");
        s = describe(p->arbiter, "load", kind);
        check(arbiter_spawn_set_parameter(s, "target", "web"), "target");
        check(arbiter_spawn_set_parameter(s, "rate", argv[3]), "rate");
        check(arbiter_spawn_start(s, &f), "load");
        (void)arbiter_spawn_unref(s);
        wait_for(f, "load");
        tell(p, "begin", NULL);
}

/* How many wait yet. */
static uint64_t report(struct program *p, bool all) {
        uint64_t requests, failed, waiting;
        double seconds, p50, p99, most;
        arbiter_message *m;
        const char *failure;

        tell(p, all ? "rest" : "report", &m);
        check(arbiter_message_read(m, "tttdddds", &requests, &failed, &waiting, &seconds, &p50, &p99, &most,
                              &failure),
                        "report");
        printf("{\"requests\": %lu, \"failed\": %lu, \"waiting\": %lu, \"seconds\": %.3f, \"p50_us\": %.1f, "
               "\"p99_us\": %.1f, \"max_us\": %.1f, \"failure\": \"%s\"}\n",
                        requests, failed, waiting, seconds, p50, p99, most, failure);
        (void)fflush(stdout);
        (void)arbiter_message_unref(m);
        return waiting;
}

static void roll(struct program *p) {
        double begin = now_us();
        arbiter_future *f;

        check(arbiter_monitor_restart(p->pool, NULL, &f), "roll");
        wait_for(f, "roll");
        printf("{\"seconds\": %.4f}\n", (now_us() - begin) / 1e6);
        (void)fflush(stdout);
}

static int on_input(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        ((struct program *)userdata)->told = true;
        return 0;
}

/* Not in a callback, where nothing may be waited for. */
static void serve(struct program *p) {
        sd_event *event = arbiter_get_event(p->arbiter);
        sd_event_source *source;
        char line[64];
        ssize_t n;

        check(sd_event_add_io(event, &source, 0, EPOLLIN, on_input, p), "stdin");
        for (;;) {
                while (!p->told)
                        check(sd_event_run(event, UINT64_MAX), "loop");
                p->told = false;
                n = read(0, line, sizeof(line));
                if (n <= 0)
                        break;
                if (line[0] == 'r' && line[1] == 'o')
                        roll(p);
                else
                        (void)report(p, false);
        }
        sd_event_source_disable_unref(source);
        (void)report(p, true);
}

int main(int argc, char **argv) {
        struct program p = {};

        if (argc < 6)
                return 2;
        start(&p, argv);
        serve(&p);
        check(arbiter_stop(p.arbiter, 0), "stop");
        check(arbiter_run(p.arbiter, false), "run");
        (void)arbiter_monitor_unref(p.pool);
        (void)arbiter_unref(p.arbiter);
        return 0;
}
