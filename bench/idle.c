/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-idle: what an arbiter costs that has nothing to do: wake-ups, CPU, memory, descriptors; and what
 * arbiterctl takes to list a thousand actors, process start included. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool.h"

static struct pool_programs programs;

static void report(const char *what, const char *unit, double value, const char *target, bool met) {
        struct samples s = {.v = {value}, .n = 1};

        figure_print(&(struct figure){.bench = "idle",
                        .what = what,
                        .unit = unit,
                        .value = &s,
                        .target = target,
                        .missed = !met});
}

static void watch(const struct pool *p, double seconds, struct usage *ret) {
        struct usage before;

        pool_usage(p, &before);
        (void)usleep((useconds_t)(seconds * 1e6));
        pool_usage(p, ret);
        ret->cpu_ms -= before.cpu_ms;
        ret->wakeups -= before.wakeups;
}

static double run_program(const char *path, char *const *arguments) {
        double begin = now_us();
        pid_t pid = fork();
        int fd, status;

        if (pid == 0) {
                fd = open("/dev/null", O_WRONLY);
                (void)dup2(fd, 1);
                (void)execv(path, arguments);
                _exit(127);
        }
        if (waitpid(pid, &status, 0) < 0 || status != 0)
                bench_die(path, ECHILD);
        return (now_us() - begin) / 1e3;
}

static void bench_list(const struct pool *p) {
        char directory[128];
        char *list[] = {(char *)"arbiterctl", directory, (char *)"list-actors", NULL};
        char *version[] = {(char *)"arbiterctl", (char *)"--version", NULL};
        struct samples value = {}, raw = {};
        struct figure f = {
                        .bench = "ctl",
                        .what = "list-actors-1000",
                        .unit = "ms",
                        .value = &value,
                        .raw = &raw,
                        .raw_what = "arbiterctl --version",
                        .target = "<= 30 ms",
        };

        (void)snprintf(directory, sizeof(directory), "--runtime-dir=%s/run", p->directory);
        for (unsigned i = 0; i < 15; i++) {
                samples_add(&raw, run_program(programs.arbiterctl, version));
                samples_add(&value, run_program(programs.arbiterctl, list));
        }
        f.missed = samples_median(&value) > 30;
        figure_print(&f);
}

static void bench_plain(const struct bench_options *o) {
        double seconds = o->quick ? 2 : 10;
        unsigned n = 1000;
        struct usage u;
        struct pool p;

        (void)pool_up(&p, &programs, POOL_ARBITERD, n, 'S');
        pool_rest(&p, o->quick ? 2 : 4);
        watch(&p, seconds, &u);
        report("plain-1000-wakeups", "wakeups", (double)u.wakeups, "0", u.wakeups == 0);
        report("plain-1000-cpu", "ms", u.cpu_ms, "0.0 ms", u.cpu_ms < 0.05);
        report("plain-1000-rss", "KiB", (double)u.rss_kib, "<= 5120 + 4 n KiB", u.rss_kib <= 5120 + 4 * n);
        report("plain-1000-fds", "fds/actor", (double)u.fds / n, "<= 3 fds/actor", u.fds <= 3 * n + 32);
        bench_list(&p);
        (void)pool_down(&p);
}

static void bench_mailbox(const struct bench_options *o) {
        double seconds = o->quick ? 2 : 20; /* two notify periods */
        unsigned n = 1000;
        struct usage u;
        struct pool p;

        (void)pool_up(&p, &programs, POOL_EMBEDDED, n, 'R');
        pool_rest(&p, o->quick ? 2 : 4);
        watch(&p, seconds, &u);
        report("mailbox-1000-cpu", "% of one CPU", u.cpu_ms / seconds / 10, "<= 0.5 %",
                        u.cpu_ms / seconds / 10 <= 0.5);
        report("mailbox-1000-wakeups", "wakeups/s", (double)u.wakeups / seconds, NULL, true);
        report("mailbox-1000-rss", "KiB", (double)u.rss_kib, "<= 5120 + 4 n KiB", u.rss_kib <= 5120 + 4 * n);
        report("mailbox-1000-rss-without-link-pages", "KiB", (double)u.private_kib, "<= 5120 + 4 n KiB",
                        u.private_kib <= 5120 + 4 * n);
        report("mailbox-1000-fds", "fds/actor", (double)u.fds / n, "<= 3 fds/actor", u.fds <= 3 * n + 32);
        (void)pool_down(&p);
}

int main(int argc, char **argv) {
        struct bench_options o;

        bench_parse(argc, argv, &o);
        pool_programs_from(&o, &programs);
        if (bench_wants(&o, "plain"))
                bench_plain(&o);
        if (bench_wants(&o, "mailbox"))
                bench_mailbox(&o);
        return 0;
}
