/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the benches; see bench.h. */

#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char command[512];

double now_us(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double timeval_us(struct timeval t) {
        return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

double cpu_us(bool thread) {
        struct rusage r;

        (void)getrusage(thread ? RUSAGE_THREAD : RUSAGE_SELF, &r);
        return timeval_us(r.ru_utime) + timeval_us(r.ru_stime);
}

void samples_add(struct samples *s, double v) {
        if (s->n < SAMPLES_MAX)
                s->v[s->n++] = v;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double rank(const struct samples *s, size_t i) {
        struct samples copy = *s;

        if (s->n == 0)
                return NAN;
        qsort(copy.v, copy.n, sizeof(copy.v[0]), compare);
        return copy.v[i];
}

double samples_median(const struct samples *s) {
        return s->n % 2 || s->n == 0 ? rank(s, s->n / 2) : (rank(s, s->n / 2 - 1) + rank(s, s->n / 2)) / 2;
}

double samples_ratio(const struct samples *value, const struct samples *raw) {
        struct samples ratios = {};

        if (value->n != raw->n)
                return samples_median(value) / samples_median(raw);
        for (size_t i = 0; i < value->n; i++)
                samples_add(&ratios, value->v[i] / raw->v[i]);
        return samples_median(&ratios);
}

double samples_min(const struct samples *s) {
        return rank(s, 0);
}

double samples_max(const struct samples *s) {
        return rank(s, s->n - 1);
}

void pin_to_cpu(unsigned n) {
        cpu_set_t all, one;

        if (sched_getaffinity(getpid(), sizeof(all), &all) < 0 || CPU_COUNT(&all) < 2)
                return;
        n %= (unsigned)CPU_COUNT(&all);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, &all) && n-- == 0) {
                        CPU_ZERO(&one);
                        CPU_SET(cpu, &one);
                        (void)sched_setaffinity(0, sizeof(one), &one);
                        return;
                }
}

void bench_set_command(int argc, char **argv) {
        size_t n = 0;

        for (int i = 0; i < argc && n < sizeof(command); i++)
                n += (size_t)snprintf(command + n, sizeof(command) - n, "%s%s", i ? " " : "", argv[i]);
}

static void print_number(const char *key, double v) {
        if (isfinite(v))
                printf(", \"%s\": %.4g", key, v);
        else
                printf(", \"%s\": null", key);
}

void figure_print(const struct figure *f) {
        double value = samples_median(f->value), raw = f->raw ? samples_median(f->raw) : NAN;

        printf("{\"bench\": \"%s\", \"what\": \"%s\"", f->bench, f->what);
        print_number("value", value);
        printf(", \"unit\": \"%s\"", f->unit);
        print_number("raw", raw);
        print_number("ratio", f->raw ? samples_ratio(f->value, f->raw) : NAN);
        print_number("spread", value != 0 ? (samples_max(f->value) - samples_min(f->value)) / value : 0);
        printf(", \"samples\": %zu", f->value->n);
        if (f->raw_what)
                printf(", \"raw_what\": \"%s\"", f->raw_what);
        if (f->target)
                printf(", \"target\": \"%s\", \"met\": %s", f->target, f->missed ? "false" : "true");
        printf(", \"command\": \"%s\"}\n", command);
        (void)fflush(stdout);
}

void bench_parse(int argc, char **argv, struct bench_options *ret) {
        static const struct option options[] = {
                        {"quick", no_argument, NULL, 'q'},
                        {"seconds", required_argument, NULL, 's'},
                        {"repetitions", required_argument, NULL, 'r'},
                        {"only", required_argument, NULL, 'o'},
                        {"alone", no_argument, NULL, 'a'},
                        {},
        };
        int c;

        bench_set_command(argc, argv);
        *ret = (struct bench_options){.seconds = 0.25, .repetitions = 11};
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'q':
                        ret->quick = true;
                        ret->seconds = 0.1;
                        ret->repetitions = 3;
                        break;
                case 's':
                        ret->seconds = atof(optarg);
                        break;
                case 'r':
                        ret->repetitions = (unsigned)atoi(optarg);
                        break;
                case 'o':
                        ret->only = optarg;
                        break;
                case 'a':
                        ret->alone = true;
                        break;
                default:
                        exit(2);
                }
        if (ret->seconds <= 0 || ret->repetitions < 1 || ret->repetitions > SAMPLES_MAX) {
                fprintf(stderr, "%s: seconds must be positive, repetitions 1 to %d\n", argv[0], SAMPLES_MAX);
                exit(2);
        }
        ret->arguments = argv + optind;
        ret->n_arguments = argc - optind;
}

bool bench_wants(const struct bench_options *o, const char *name) {
        return !o->only || strstr(name, o->only);
}

enum { SUB_BITS = 7, BUCKETS = 64 << SUB_BITS };

struct histogram {
        uint64_t n;
        uint32_t count[BUCKETS];
};

struct histogram *histogram_new(void) {
        return calloc(1, sizeof(struct histogram));
}

void histogram_add(struct histogram *h, double nanoseconds) {
        uint64_t v = (uint64_t)nanoseconds;
        unsigned i = (unsigned)v;

        if (v >= 1U << SUB_BITS) {
                unsigned e = 63 - (unsigned)__builtin_clzll(v) - SUB_BITS;

                i = ((e + 1) << SUB_BITS) + (unsigned)((v >> e) & ((1U << SUB_BITS) - 1));
        }
        h->n++;
        h->count[i]++;
}

double histogram_quantile(const struct histogram *h, double q) {
        uint64_t sum = 0;

        for (unsigned i = 0; i < BUCKETS; i++) {
                sum += h->count[i];
                if ((double)sum <= q * (double)h->n)
                        continue;
                if (i < 1U << SUB_BITS)
                        return i;
                return ldexp((double)((i & ((1U << SUB_BITS) - 1)) | (1U << SUB_BITS)) + 0.5,
                                (int)(i >> SUB_BITS) - 1);
        }
        return NAN;
}

void bench_die(const char *what, int error) {
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
                        strerror(error < 0 ? -error : error));
        _exit(1);
}

int bench_check(const char *what, int r) {
        if (r < 0)
                bench_die(what, -r);
        return r;
}
