/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What all benches share: clocks, medians, CPU affinity, and the line of JSON that is the result. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAMPLES_MAX = 64 };

/* One figure, measured several times. */
struct samples {
        double v[SAMPLES_MAX];
        size_t n;
};

struct figure {
        const char *bench, *what, *unit;
        const struct samples *value;
        const struct samples *raw; /* the limit, from the same run; NULL: there is none */
        const char *raw_what;
        /* NULL or "<= 1.3 raw", "<= 40" ...: what is promised, and whether it holds */
        const char *target;
        bool missed;
};

double now_us(void);
/* User and system time of this process, or of this thread, in microseconds. */
double cpu_us(bool thread);
void samples_add(struct samples *s, double v);
/* The median of the ratios of what was measured one after the other: the machine changes its mind between
 * repetitions. */
double samples_ratio(const struct samples *value, const struct samples *raw);
double samples_median(const struct samples *s);
double samples_min(const struct samples *s);
double samples_max(const struct samples *s);
/* Puts the calling thread on the n-th CPU that this process may use; does nothing where there is one
 * only. */
void pin_to_cpu(unsigned n);
/* "command" in each line. */
void bench_set_command(int argc, char **argv);
void figure_print(const struct figure *f);
/* --quick, --seconds S, --repetitions N, --only PART of a figure's name, --alone (nothing beside it: for
 * profiles). Exits on anything else. */
struct bench_options {
        double seconds;
        unsigned repetitions;
        bool quick, alone;
        const char *only;
        char **arguments;
        int n_arguments;
};
void bench_parse(int argc, char **argv, struct bench_options *ret);
/* Is this one asked for? */
bool bench_wants(const struct bench_options *o, const char *name);

/* Log-linear histogram of nanoseconds, exact to 1 %. */
struct histogram;
struct histogram *histogram_new(void);
void histogram_add(struct histogram *h, double nanoseconds);
double histogram_quantile(const struct histogram *h, double q);
/* Ends the bench: a measurement that failed has no figure. */
void bench_die(const char *what, int error) __attribute__((noreturn));
/* The same for a negative errno; else returns it. */
int bench_check(const char *what, int r);
