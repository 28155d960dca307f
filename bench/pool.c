/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See pool.h. */

#include "pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "announce.h"

enum { PATIENCE_MS = 60 * 1000 };

static void write_file(const struct pool *p, const char *name, const char *text) {
        char path[256];
        FILE *f;

        (void)snprintf(path, sizeof(path), "%s/%s", p->directory, name);
        f = fopen(path, "w");
        if (!f || fputs(text, f) < 0 || fclose(f) != 0)
                bench_die(path, errno);
}

static void open_fifo(struct pool *p) {
        (void)snprintf(p->directory, sizeof(p->directory), "/tmp/arbiter-bench-XXXXXX");
        if (!mkdtemp(p->directory))
                bench_die("mkdtemp", errno);
        (void)snprintf(p->fifo_path, sizeof(p->fifo_path), "%s/announce", p->directory);
        if (mkfifo(p->fifo_path, 0600) < 0)
                bench_die("mkfifo", errno);
        /* For writing, too: so that it has no end while there are no workers. */
        p->fifo = open(p->fifo_path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (p->fifo < 0 || fcntl(p->fifo, F_SETPIPE_SZ, 1 << 20) < 0)
                bench_die(p->fifo_path, errno);
}

static void write_configuration(
                struct pool *p, const struct pool_programs *programs, enum pool_kind kind, unsigned n) {
        static const char *const more[] = {
                [POOL_ARBITERD] = "\nType=exec",
                [POOL_ARBITERD_CRASH] = " crash\nType=exec",
                [POOL_ARBITERD_HANG_START] = "\nType=notify\nTimeoutStartSec=1h",
                [POOL_ARBITERD_HANG_STOP] = " deaf\nType=exec\nTimeoutStopSec=1h",
                [POOL_EMBEDDED] = NULL,
        };
        char text[1024];

        (void)snprintf(text, sizeof(text),
                        "[Monitor]\nWorkers=%u\n[Actor]\n%s%s%s%s%s\n%sStandardOutput=null\nStandardError="
                        "null\nEnvironment=BENCH_SOCKET=%s\n",
                        n, kind == POOL_ARBITERD_MODULE ? "Module=" : "Exec=",
                        kind == POOL_ARBITERD_MODULE ? programs->module : programs->worker,
                        kind == POOL_ARBITERD_MODULE ? "" : " ",
                        kind == POOL_ARBITERD_MODULE ? "" : p->fifo_path,
                        more[kind] ? more[kind] : "",
                        geteuid() == 0 ? "User=root\n" : "", p->fifo_path);
        write_file(p, "pool.monitor", text);
}

static void exec_manager(
                struct pool *p, const struct pool_programs *programs, enum pool_kind kind, unsigned n) {
        char number[16], runtime[128], config[128], host[512], log[128];
        int fd;

        (void)snprintf(log, sizeof(log), "%s/log", p->directory);
        (void)snprintf(number, sizeof(number), "%u", n);
        (void)snprintf(runtime, sizeof(runtime), "--runtime-dir=%s/run", p->directory);
        (void)snprintf(config, sizeof(config), "--config-dir=%s", p->directory);
        (void)snprintf(host, sizeof(host), "--host-program=%s", programs->arbiter_host);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
                _exit(1);
        if (kind == POOL_FLOOR)
                (void)execl(programs->floor, "floor", number, p->fifo_path, programs->worker, NULL);
        else if (kind == POOL_FLOOR_FORK)
                (void)execl(programs->floor, "floor", number, p->fifo_path, NULL);
        else if (kind == POOL_EMBEDDED)
                (void)execl(programs->embedded, "embedded", number, p->fifo_path, NULL);
        else
                (void)execl(programs->arbiterd, "arbiterd", runtime, config, host, NULL);
        _exit(127);
}

/* The time of the next announcement of this kind, or a negative number after the patience. */
static double receive(struct pool *p, char what, int timeout_ms) {
        struct pollfd fd = {.fd = p->fifo, .events = POLLIN};
        double end = now_us() + timeout_ms * 1e3;
        char text[ANNOUNCEMENT_SIZE];
        long long when;
        ssize_t n;
        int pid;

        while (poll(&fd, 1, (int)((end - now_us()) / 1e3) + 1) > 0) {
                n = read(p->fifo, text, sizeof(text));
                if (n != sizeof(text))
                        bench_die("read", errno);
                text[sizeof(text) - 1] = 0;
                if (text[0] == what && sscanf(text + 1, "%lld %d", &when, &pid) == 2) {
                        p->pids = reallocarray(p->pids, p->n + 1, sizeof(pid_t));
                        if (!p->pids)
                                bench_die("memory", ENOMEM);
                        p->pids[p->n++] = pid;
                        return (double)when / 1e3;
                }
                if (now_us() > end)
                        break;
        }
        return -1;
}

static double receive_many(struct pool *p, unsigned n, char what, double begin) {
        double last = begin, t;

        for (unsigned i = 0; i < n; i++) {
                t = receive(p, what, PATIENCE_MS);
                if (t < 0) {
                        fprintf(stderr, "%u of %u workers came; see %s/log\n", i, n, p->directory);
                        (void)kill(p->manager, SIGKILL);
                        bench_die("workers", ETIMEDOUT);
                }
                last = t > last ? t : last;
        }
        return last - begin;
}

double pool_up(struct pool *p, const struct pool_programs *programs, enum pool_kind kind, unsigned n,
                char what) {
        double begin;

        *p = (struct pool){};
        open_fifo(p);
        if (kind != POOL_FLOOR && kind != POOL_FLOOR_FORK && kind != POOL_EMBEDDED)
                write_configuration(p, programs, kind, n);
        begin = now_us();
        p->manager = fork();
        if (p->manager == 0)
                exec_manager(p, programs, kind, n);
        return receive_many(p, n, what, begin);
}

sd_bus *pool_connect(const struct pool *p) {
        char address[128];
        sd_bus *bus;

        (void)snprintf(address, sizeof(address), "unix:path=%s/run/private", p->directory);
        bench_check("sd_bus_new", sd_bus_new(&bus));
        bench_check("address", sd_bus_set_address(bus, address));
        bench_check("connect", sd_bus_start(bus));
        return bus;
}

double pool_kill(struct pool *p, unsigned first, unsigned n, char what) {
        double begin;

        while (receive(p, what, 0) >= 0)
                ;
        begin = now_us();
        for (unsigned i = first; i < first + n; i++)
                if (kill(p->pids[i], SIGKILL) < 0)
                        bench_die("kill", errno);
        return receive_many(p, n, what, begin);
}

void pool_kill_all(struct pool *p) {
        for (size_t i = 0; i < p->n; i++)
                (void)kill(p->pids[i], SIGKILL);
}

void pool_rest(struct pool *p, double seconds) {
        double end = now_us() + seconds * 1e6;

        while (now_us() < end)
                (void)receive(p, 0, (int)((end - now_us()) / 1e3));
}

unsigned pool_count(struct pool *p, double seconds) {
        double end = now_us() + seconds * 1e6;
        unsigned n = 0;

        while (now_us() < end && receive(p, 'S', (int)((end - now_us()) / 1e3)) >= 0)
                n++;
        return n;
}

double pool_next(struct pool *p, char what) {
        return receive_many(p, 1, what, now_us());
}

static void remove_directory(const char *path) {
        struct dirent *d;
        char inner[512];
        DIR *dir = opendir(path);

        while (dir && (d = readdir(dir))) {
                if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
                        continue;
                (void)snprintf(inner, sizeof(inner), "%s/%s", path, d->d_name);
                if (d->d_type == DT_DIR)
                        remove_directory(inner);
                else
                        (void)unlink(inner);
        }
        if (dir)
                (void)closedir(dir);
        (void)rmdir(path);
}

double pool_down(struct pool *p) {
        double begin = now_us(), duration;
        int status;

        (void)kill(p->manager, SIGTERM);
        if (waitpid(p->manager, &status, 0) < 0)
                bench_die("waitpid", errno);
        duration = now_us() - begin;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fprintf(stderr, "the manager ended with wait status %#x; see %s/log\n", (unsigned)status,
                                p->directory);
        else
                remove_directory(p->directory);
        (void)close(p->fifo);
        free(p->pids);
        return duration;
}

static unsigned long status_number(const char *text, const char *key) {
        const char *s = strstr(text, key);

        return s ? strtoul(s + strlen(key), NULL, 10) : 0;
}

static void read_proc(pid_t pid, const char *name, char *buffer, size_t size) {
        char path[64];
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        f = fopen(path, "r");
        if (!f)
                bench_die(path, errno);
        buffer[fread(buffer, 1, size - 1, f)] = 0;
        (void)fclose(f);
}

void pool_usage(const struct pool *p, struct usage *ret) {
        char text[8192], path[64];
        struct dirent *d;
        DIR *dir;

        *ret = (struct usage){};
        read_proc(p->manager, "schedstat", text, sizeof(text));
        ret->cpu_ms = strtod(text, NULL) / 1e6;
        read_proc(p->manager, "status", text, sizeof(text));
        ret->wakeups = status_number(text, "\nvoluntary_ctxt_switches:");
        ret->rss_kib = status_number(text, "\nVmRSS:");
        ret->private_kib = ret->rss_kib - status_number(text, "\nRssShmem:");
        (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)p->manager);
        dir = opendir(path);
        while (dir && (d = readdir(dir)))
                ret->fds += d->d_name[0] != '.';
        if (dir)
                (void)closedir(dir);
}

void pool_programs_from(const struct bench_options *o, struct pool_programs *ret) {
        if (o->n_arguments < 7) {
                fprintf(stderr, "usage: [OPTION...] ARBITERD ARBITER_HOST ARBITERCTL WORKER FLOOR EMBEDDED "
                                "MODULE\n");
                exit(2);
        }
        *ret = (struct pool_programs){
                        o->arguments[0],
                        o->arguments[1],
                        o->arguments[2],
                        o->arguments[3],
                        o->arguments[4],
                        o->arguments[5],
                        o->arguments[6],
        };
}
