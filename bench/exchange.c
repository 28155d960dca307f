/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is sent and counted, whatever carries it; see exchange.h. */

#include "exchange.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP UINT64_MAX

static void send_number(struct exchange *x, uint64_t number) {
        uint64_t message[MESSAGE_SIZE / sizeof(uint64_t)] = {
                        number, [MESSAGE_SIZE / sizeof(uint64_t) - 1] = ~number};

        x->send(x, message, sizeof(message));
}

static void pump(struct exchange *x) {
        while (!x->stopping && x->sent - x->acknowledged < CAST_WINDOW) {
                if (x->sent % 32 == 0 && now_us() >= x->end) {
                        x->stopping = true;
                        send_number(x, STOP);
                        return;
                }
                send_number(x, x->sent++);
        }
}

void exchange_begin(struct exchange *x, double seconds) {
        unsigned n = x->work == WORK_ROUND_TRIP ? 1 : PIPELINE;

        x->shared->ready++;
        while (x->shared->ready < 2)
                sched_yield();
        x->cpu_begin = cpu_us(x->threads);
        x->begin = x->last = now_us();
        x->warm = x->begin + seconds * 1e5;
        x->end = x->begin + seconds * 1e6;
        if (x->server)
                return;
        if (x->work == WORK_CASTS)
                pump(x);
        else
                while (n-- > 0)
                        send_number(x, x->sent++);
}

static void finish(struct exchange *x, uint64_t messages) {
        struct shared_ends *s = x->shared;

        x->done = true;
        s->cpu[x->server] = cpu_us(x->threads) - x->cpu_begin;
        if (x->server)
                return;
        s->messages = messages;
        s->rate = (double)messages / (now_us() - x->begin) * 1e6;
        if (x->work == WORK_ROUND_TRIP)
                s->p50_us = histogram_quantile(x->histogram, 0.5) / 1e3;
}

static void receive_server(struct exchange *x, const uint64_t *m) {
        uint64_t answer[MESSAGE_SIZE / sizeof(uint64_t)] = {
                        x->received, [MESSAGE_SIZE / sizeof(uint64_t) - 1] = ~x->received};

        if (m[0] == STOP) {
                send_number(x, STOP);
                finish(x, x->received);
                return;
        }
        if (m[0] != x->received)
                bench_die("a message was lost", EPROTO);
        x->received++;
        if (x->work != WORK_CASTS)
                x->send(x, m, MESSAGE_SIZE);
        else if (x->received % CAST_ACKNOWLEDGE == 0) {
                answer[0]++;
                answer[MESSAGE_SIZE / sizeof(uint64_t) - 1]--;
                x->send(x, answer, sizeof(answer));
        }
}

static void receive_client(struct exchange *x, const uint64_t *m) {
        double now;

        if (m[0] == STOP) {
                finish(x, x->sent);
                return;
        }
        if (x->work == WORK_CASTS) {
                x->acknowledged = m[0];
                pump(x);
                return;
        }
        if (m[0] != x->received)
                bench_die("an answer was lost", EPROTO);
        x->received++;
        now = now_us();
        if (x->work == WORK_ROUND_TRIP && now >= x->warm)
                histogram_add(x->histogram, (now - x->last) * 1e3);
        x->last = now;
        if (now < x->end)
                send_number(x, x->sent++);
        else if (x->received == x->sent)
                send_number(x, STOP);
}

void exchange_receive(struct exchange *x, const void *data, size_t size) {
        uint64_t message[MESSAGE_SIZE / sizeof(uint64_t)];

        if (size != sizeof(message))
                bench_die("a message of another size", EPROTO);
        memcpy(message, data, sizeof(message));
        if (message[MESSAGE_SIZE / sizeof(uint64_t) - 1] != ~message[0])
                bench_die("a damaged message", EBADMSG);
        (x->server ? receive_server : receive_client)(x, message);
}

struct end {
        struct exchange exchange;
        exchange_run_t run;
        void *userdata;
};

static void *run_end(void *p) {
        struct end *e = p;

        e->run(&e->exchange, e->userdata);
        return NULL;
}

void exchange_measure(enum work work, double seconds, bool threads, exchange_run_t run, void *userdata,
                struct measured *ret) {
        struct shared_ends *shared = mmap(
                        NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct end ends[2];
        pthread_t thread[2];
        pid_t pid[2];
        int status;

        if (shared == MAP_FAILED)
                bench_die("mmap", errno);
        for (unsigned i = 0; i < 2; i++) {
                ends[i] = (struct end){.run = run, .userdata = userdata};
                ends[i].exchange = (struct exchange){
                                .work = work, .server = i == 1, .threads = threads, .shared = shared};
                ends[i].exchange.histogram = histogram_new();
                if (threads)
                        (void)pthread_create(&thread[i], NULL, run_end, &ends[i]);
                else if ((pid[i] = fork()) == 0) {
                        alarm(60);
                        run_end(&ends[i]);
                        _exit(0);
                }
        }
        for (unsigned i = 0; i < 2; i++) {
                if (threads)
                        (void)pthread_join(thread[i], NULL);
                else if (waitpid(pid[i], &status, 0) < 0 || status != 0)
                        bench_die("an end has failed", ECHILD);
                free(ends[i].exchange.histogram);
        }
        *ret = (struct measured){
                        .p50_us = shared->p50_us,
                        .rate = shared->rate,
                        .cpu_us = (shared->cpu[0] + shared->cpu[1]) /
                                  ((double)shared->messages * (work == WORK_CASTS ? 1 : 2)),
        };
        (void)munmap(shared, sizeof(*shared));
}
