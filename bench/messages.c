/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-messages: what a message between two actors costs, through the whole product (names, command
 * dispatch, typed arguments, deadlines, credit), beside the raw socket and ZeroMQ in the same run. An
 * embedded arbiter starts "ping" and "pong"; ping does the work of exchange.h and answers with what it
 * has measured. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange.h"

/* With the number and its length: a body of 64 bytes. */
#define TEXT "fifty-one characters, as a small record might carry"
_Static_assert(8 + 4 + sizeof(TEXT) == MESSAGE_SIZE, "the body has the size of the raw message");

/* pong */

static struct {
        uint64_t received;
        bool threads;
} pong;

static int pong_echo(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *text;
        uint64_t number;
        int r;

        r = arbiter_message_read(m, "ts", &number, &text);
        return r < 0 ? r : arbiter_message_reply(m, "ts", number, text);
}

static int pong_cast(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *text;
        uint64_t number;
        int r;

        r = arbiter_message_read(m, "ts", &number, &text);
        if (r < 0)
                return r;
        if (number != pong.received)
                bench_die("a message was lost", EPROTO);
        if (++pong.received % CAST_ACKNOWLEDGE == 0)
                return arbiter_send(a, "ping", "acknowledge", "t", pong.received);
        return 0;
}

/* How many have come since the last time, and the CPU time so far. */
static int pong_usage(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint64_t n = pong.received;

        pong.received = 0;
        return arbiter_message_reply(m, "td", n, cpu_us(pong.threads));
}

static int pong_start(arbiter_actor *a, void *userdata) {
        if (arbiter_actor_get_parameter(a, "pin"))
                pin_to_cpu(1);
        return 0;
}

static const arbiter_command pong_commands[] = {
                ARBITER_COMMAND("ask", "ts", "number text", "ts", "number text", pong_echo, 0),
                ARBITER_COMMAND("cast", "ts", "number text", "", "", pong_cast, 0),
                ARBITER_COMMAND("usage", "", "", "td", "received cpu", pong_usage, 0),
                ARBITER_COMMANDS_END,
};
static const arbiter_module pong_module = {
                ARBITER_MODULE_HEAD,
                .name = "pong",
                .commands = pong_commands,
                .start = pong_start,
};

/* ping */

static struct {
        struct exchange exchange;
        arbiter_actor *actor;
        arbiter_message *request; /* "measure", answered at the end */
} ping;

static void on_echo(arbiter_future *f, void *userdata);

static void check(int r, const char *what) {
        if (r < 0)
                bench_die(what, r);
}

static void ping_call(void) {
        struct exchange *x = &ping.exchange;
        arbiter_future *f;

        check(arbiter_call_async(ping.actor, &f, "pong", "ask", 0, "ts", x->sent, TEXT), "call");
        x->sent++;
        check(arbiter_future_then(f, on_echo, NULL), "then");
        arbiter_future_unref(f);
}

static void on_counted(arbiter_future *f, void *userdata) {
        struct exchange *x = &ping.exchange;
        double now = now_us(), cpu;
        uint64_t received;

        check(arbiter_future_get(f, "td", &received, &cpu), "usage");
        if (x->work == WORK_CASTS && received != x->sent)
                bench_die("a cast was lost", EPROTO);
        check(arbiter_message_reply(ping.request, "tddd", x->sent, now - x->begin,
                              cpu_us(x->threads) - x->cpu_begin + cpu,
                              x->work == WORK_ROUND_TRIP ? histogram_quantile(x->histogram, 0.5) : NAN),
                        "reply");
        ping.request = arbiter_message_unref(ping.request);
        free(x->histogram);
}

/* In order behind everything sent: when it is answered, all has arrived. */
static void ping_count(arbiter_future_callback_t callback) {
        arbiter_future *f;

        check(arbiter_call_async(ping.actor, &f, "pong", "usage", 0, ""), "call");
        check(arbiter_future_then(f, callback, NULL), "then");
        arbiter_future_unref(f);
}

static void on_echo(arbiter_future *f, void *userdata) {
        struct exchange *x = &ping.exchange;
        const char *text;
        uint64_t number;
        double now;

        check(arbiter_future_get(f, "ts", &number, &text),
                        arbiter_outcome_to_string(arbiter_future_get_outcome(f)));
        if (number != x->received++)
                bench_die("an answer was lost", EPROTO);
        now = now_us();
        if (x->work == WORK_ROUND_TRIP && now >= x->warm)
                histogram_add(x->histogram, (now - x->last) * 1e3);
        x->last = now;
        if (now < x->end)
                ping_call();
        else if (x->received == x->sent)
                ping_count(on_counted);
}

static void ping_pump(void) {
        struct exchange *x = &ping.exchange;

        while (!x->stopping && x->sent - x->acknowledged < CAST_WINDOW) {
                if (x->sent % 32 == 0 && now_us() >= x->end) {
                        x->stopping = true;
                        ping_count(on_counted);
                        return;
                }
                check(arbiter_send(ping.actor, "pong", "cast", "ts", x->sent, TEXT), "send");
                x->sent++;
        }
}

static int ping_acknowledge(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int r = arbiter_message_read(m, "t", &ping.exchange.acknowledged);

        if (r < 0)
                return r;
        ping_pump();
        return 0;
}

/* The link is there, and pong's counters are reset. */
static void on_connected(arbiter_future *f, void *userdata) {
        struct exchange *x = &ping.exchange;
        double seconds = x->end, cpu;
        uint64_t received;

        check(arbiter_future_get(f, "td", &received, &cpu), "usage");
        x->cpu_begin = cpu_us(x->threads) + cpu;
        x->begin = x->last = now_us();
        x->warm = x->begin + seconds * 1e5;
        x->end = x->begin + seconds * 1e6;
        if (x->work == WORK_CASTS)
                ping_pump();
        else
                for (unsigned n = x->work == WORK_ROUND_TRIP ? 1 : PIPELINE; n > 0; n--)
                        ping_call();
}

static int ping_measure(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint32_t work;
        double seconds;
        int r;

        r = arbiter_message_read(m, "ud", &work, &seconds);
        if (r < 0)
                return r;
        ping.actor = a;
        ping.request = arbiter_message_ref(m);
        ping.exchange = (struct exchange){.work = (enum work)work, .end = seconds, .threads = pong.threads};
        ping.exchange.histogram = histogram_new();
        if (arbiter_actor_get_parameter(a, "pin"))
                pin_to_cpu(0);
        ping_count(on_connected);
        return 0;
}

static const arbiter_command ping_commands[] = {
                ARBITER_COMMAND("measure", "ud", "work seconds", "tddd", "messages duration cpu p50",
                                ping_measure, 0),
                ARBITER_COMMAND("acknowledge", "t", "number", "", "", ping_acknowledge, 0),
                ARBITER_COMMANDS_END,
};
static const arbiter_module ping_module = {ARBITER_MODULE_HEAD, .name = "ping", .commands = ping_commands};

/* The arbiter */

static void spawn(arbiter *a, const char *name, const arbiter_module *module,
                arbiter_concurrency concurrency) {
        arbiter_spawn *s;
        arbiter_future *f;

        check(arbiter_spawn_new(a, name, &s), "spawn");
        check(arbiter_spawn_set_module(s, module), "module");
        check(arbiter_spawn_set_concurrency(s, concurrency), "concurrency");
        if (concurrency != ARBITER_CONCURRENCY_INLINE)
                check(arbiter_spawn_set_parameter(s, "pin", "yes"), "parameter");
        if (geteuid() == 0 && concurrency == ARBITER_CONCURRENCY_PROCESS)
                check(arbiter_spawn_set_user(s, "root"), "user");
        check(arbiter_spawn_start(s, &f), "start");
        check(arbiter_future_wait(f, 0), "wait");
        check(arbiter_future_get_reply(f, NULL), arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
        arbiter_spawn_unref(s);
}

static void measure(enum work work, arbiter_concurrency concurrency, double seconds, struct measured *ret) {
        arbiter_message *m;
        arbiter *a;
        uint64_t messages;
        double duration, cpu, p50;

        pong.received = 0;
        pong.threads = concurrency == ARBITER_CONCURRENCY_THREAD;
        check(arbiter_new(NULL, NULL, &a), "arbiter");
        check(arbiter_start(a), "start");
        spawn(a, "pong", &pong_module, concurrency);
        spawn(a, "ping", &ping_module, concurrency);
        check(arbiter_call(arbiter_get_actor(a), &m, "ping", "measure", 60 * 1000 * 1000, "ud",
                              (uint32_t)work, seconds),
                        "measure");
        check(arbiter_message_read(m, "tddd", &messages, &duration, &cpu, &p50), "result");
        arbiter_message_unref(m);
        check(arbiter_stop(a, 0), "stop");
        check(arbiter_run(a, false), "run");
        arbiter_unref(a);
        *ret = (struct measured){
                        .p50_us = p50 / 1e3,
                        .rate = (double)messages / duration * 1e6,
                        .cpu_us = cpu / ((double)messages * (work == WORK_CASTS ? 1 : 2)),
        };
}

/* One kind of actor, all works. */

enum { PRODUCT, RAW, ZEROMQ, SYSTEMS };

struct results {
        struct samples value[WORK_COUNT][SYSTEMS], cpu[WORK_COUNT][SYSTEMS];
};

static void add(struct results *r, enum work work, unsigned system, const struct measured *m) {
        samples_add(&r->value[work][system], work == WORK_ROUND_TRIP ? m->p50_us : m->rate);
        samples_add(&r->cpu[work][system], m->cpu_us);
}

static const char *const work_names[] = {"round-trip", "pipelined-100", "casts"};
static const char *const work_units[] = {"us", "round trips/s", "messages/s"};

static void print_one(enum work work, const char *between, const char *suffix, const char *unit,
                const struct samples *value, const struct samples *raw, const char *raw_what, double bound) {
        char what[64], target[32];
        double ratio = samples_ratio(value, raw);
        struct figure f = {.bench = "messages", .what = what, .unit = unit, .value = value};

        if (raw->n > 0) {
                f.raw = raw;
                f.raw_what = raw_what;
        }
        (void)snprintf(what, sizeof(what), "%s-%s%s", work_names[work], between, suffix);
        (void)snprintf(target, sizeof(target), "%s %.2f raw", work == WORK_ROUND_TRIP ? "<=" : ">=", bound);
        if (bound > 0 && f.raw) {
                f.target = target;
                f.missed = work == WORK_ROUND_TRIP ? ratio > bound : ratio < bound;
        }
        figure_print(&f);
}

static void print_results(struct results *r, const char *between, const double *bounds) {
        for (enum work w = 0; w < WORK_COUNT; w++) {
                if (r->value[w][PRODUCT].n == 0)
                        continue;
                print_one(w, between, "", work_units[w], &r->value[w][PRODUCT], &r->value[w][RAW],
                                "sd-event stream", bounds[w]);
                print_one(w, between, "-cpu", "us/message", &r->cpu[w][PRODUCT], &r->cpu[w][RAW],
                                "sd-event stream", 0);
                if (r->value[w][ZEROMQ].n == 0)
                        continue;
                print_one(w, between, "-beside-zeromq", work_units[w], &r->value[w][PRODUCT],
                                &r->value[w][ZEROMQ], "ZeroMQ ipc", 1);
                print_one(w, between, "-cpu-beside-zeromq", "us/message", &r->cpu[w][PRODUCT],
                                &r->cpu[w][ZEROMQ], "ZeroMQ ipc", 0);
        }
}

/* Between processes, or threads: alternating with the raw socket, and with ZeroMQ between processes. */
static void bench_between(const struct bench_options *o, arbiter_concurrency concurrency,
                const char *between, const double *bounds) {
        bool threads = concurrency == ARBITER_CONCURRENCY_THREAD;
        struct results r = {};
        struct measured m;

        for (unsigned i = 0; i < o->repetitions; i++)
                for (enum work w = 0; w < WORK_COUNT; w++) {
                        if (!bench_wants(o, work_names[w]))
                                continue;
                        measure(w, concurrency, o->seconds, &m);
                        add(&r, w, PRODUCT, &m);
                        if (o->alone)
                                continue;
                        raw_measure(w, o->seconds, threads, &m);
                        add(&r, w, RAW, &m);
#if HAVE_ZEROMQ
                        if (threads)
                                continue;
                        zeromq_measure(w, o->seconds, &m);
                        add(&r, w, ZEROMQ, &m);
#endif
                }
        print_results(&r, between, bounds);
}

/* On one loop there is no socket to compare with. The mark is Erlang's message and answer within one VM. */
static void bench_inline(const struct bench_options *o) {
        struct samples erlang = {.v = {0.85}, .n = 1};
        char what[64];

        for (enum work w = 0; w < WORK_COUNT; w++) {
                struct figure f = {.bench = "messages", .what = what, .unit = work_units[w]};
                struct samples value = {};
                struct measured m;

                if (!bench_wants(o, work_names[w]))
                        continue;
                for (unsigned i = 0; i < o->repetitions; i++) {
                        measure(w, ARBITER_CONCURRENCY_INLINE, o->seconds, &m);
                        samples_add(&value, w == WORK_ROUND_TRIP ? m.p50_us : m.rate);
                }
                (void)snprintf(what, sizeof(what), "%s-inline", work_names[w]);
                f.value = &value;
                if (w == WORK_ROUND_TRIP) {
                        f.raw = &erlang;
                        f.raw_what = "Erlang within one VM, measured once";
                }
                figure_print(&f);
        }
}

int main(int argc, char **argv) {
        static const double process_bounds[] = {1.3, 0.3, 0.15}, no_bounds[WORK_COUNT] = {};
        struct bench_options o;
        const char *between;

        bench_parse(argc, argv, &o);
        between = o.n_arguments > 0 ? o.arguments[0] : "";
        if (!*between || strcmp(between, "processes") == 0)
                bench_between(&o, ARBITER_CONCURRENCY_PROCESS, "processes", process_bounds);
        if (!*between || strcmp(between, "threads") == 0)
                bench_between(&o, ARBITER_CONCURRENCY_THREAD, "threads", no_bounds);
        if (!*between || strcmp(between, "inline") == 0)
                bench_inline(&o);
        return 0;
}
