/* SPDX-License-Identifier: MIT-0 */
/* philosophers: five of them, each a process of its own, dine at a round table with five forks, and each
 * needs two to eat.
 *
 * The table is a monitor: it keeps the philosophers, and with a module of its own it has commands like
 * any other actor. A fork is state of the table, which nobody else can touch; a philosopher asks for one
 * and is answered when it is free. No lock is held anywhere. There is no deadlock because all ask for the
 * fork of the lower number first; and one that dies with a fork in his hand does not starve the others,
 * because the table watches who has one.
 *
 * usage: philosophers [MEALS]      MEALS: how often each eats, 10 by default */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define SEATS 5
#define EAT_USEC 1000

/* The table. It runs on the arbiter's own loop, in the program's own process: a plain variable will do. */

struct place_fork {
        arbiter_proxy *holder;
        uint64_t watch;
        arbiter_message *waiting[SEATS]; /* promises, in the order in which they came */
        unsigned n_waiting;
};

static struct {
        arbiter *arbiter;
        struct place_fork forks[SEATS];
        unsigned meals[SEATS], n_done;
} table;

static int give_to_next(arbiter_actor *a, struct place_fork *f);

static int lay_down(arbiter_actor *a, struct place_fork *f) {
        arbiter_actor_unwatch(a, f->watch);
        f->holder = arbiter_proxy_unref(f->holder);
        return give_to_next(a, f);
}

static void on_holder_down(arbiter_actor *a, const arbiter_down *down, void *userdata) {
        printf("%s died with a fork in his hand\n", down->name);
        lay_down(a, userdata);
}

static int give(arbiter_actor *a, struct place_fork *f, arbiter_message *m) {
        int r;

        r = arbiter_message_get_sender(m, &f->holder);
        if (r < 0)
                return r;
        r = arbiter_actor_watch(a, f->holder, on_holder_down, f, &f->watch);
        if (r < 0) {
                f->holder = arbiter_proxy_unref(f->holder);
                return r;
        }
        return arbiter_message_reply(m, "");
}

static int give_to_next(arbiter_actor *a, struct place_fork *f) {
        int r = 0;

        while (!f->holder && f->n_waiting > 0) {
                _cleanup_(arbiter_message_unrefp) arbiter_message *m = f->waiting[0];

                memmove(f->waiting, f->waiting + 1, --f->n_waiting * sizeof(f->waiting[0]));
                if (!arbiter_message_is_cancelled(m)) /* else he is gone: the next one, please */
                        r = give(a, f, m);
        }
        return r;
}

static int read_fork(arbiter_message *m, struct place_fork **ret) {
        uint32_t number;
        int r;

        r = arbiter_message_read(m, "u", &number);
        if (r < 0)
                return r;
        if (number >= SEATS)
                return -ERANGE;
        *ret = &table.forks[number];
        return 0;
}

static int pickup_fork(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct place_fork *f;
        int r;

        r = read_fork(m, &f);
        if (r < 0)
                return r;
        if (!f->holder)
                return give(a, f, m);
        if (f->n_waiting == SEATS)
                return -ENOBUFS;
        f->waiting[f->n_waiting++] = arbiter_message_ref(m); /* answered later */
        return 0;
}

static int putdown_fork(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *sender = NULL;
        struct place_fork *f;
        int r;

        r = read_fork(m, &f);
        if (r >= 0)
                r = arbiter_message_get_sender(m, &sender); /* who it is says the kernel, not the message */
        if (r < 0)
                return r;
        if (!f->holder || !arbiter_proxy_equal(f->holder, sender))
                return -EPERM;
        return lay_down(a, f);
}

static int finished(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint32_t seat, meals;
        int r;

        r = arbiter_message_read(m, "uu", &seat, &meals);
        if (r < 0)
                return r;
        if (seat >= SEATS)
                return -ERANGE;
        table.meals[seat] = meals;
        return ++table.n_done == SEATS ? arbiter_stop(table.arbiter, 0) : 0;
}

static const arbiter_command table_commands[] = {
        ARBITER_COMMAND("pickup_fork", "u", "fork", "", NULL, pickup_fork, 0),
        ARBITER_COMMAND("putdown_fork", "u", "fork", "", NULL, putdown_fork, 0),
        ARBITER_COMMAND("finished", "uu", "seat meals", "", NULL, finished, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module table_module = {
        ARBITER_MODULE_HEAD,
        .name = "table",
        .commands = table_commands,
};

/* A philosopher: asks for a fork, for the other one, eats, lays both down, and begins anew. Each step is
 * begun by the outcome of the one before, so his loop never waits and he can always be asked and stopped. */

struct philosopher {
        arbiter_actor *actor;
        sd_event_source *timer;
        uint32_t seat, forks[2];
        unsigned held, meals, wanted;
};

static int ask_for_fork(struct philosopher *p);

static int on_eaten(sd_event_source *s, uint64_t usec, void *userdata) {
        struct philosopher *p = userdata;
        int r = 0;

        p->timer = sd_event_source_disable_unref(p->timer);
        p->meals++;
        /* Casts: nobody waits for an answer. */
        while (r >= 0 && p->held > 0)
                r = arbiter_send(p->actor, "monitor", "putdown_fork", "u", p->forks[--p->held]);
        if (r < 0)
                return r;
        if (p->meals < p->wanted)
                return ask_for_fork(p);
        r = arbiter_send(p->actor, "monitor", "finished", "uu", p->seat, p->meals);
        return r < 0 ? r : arbiter_actor_stop(p->actor, 0);
}

static int eat(struct philosopher *p) {
        /* An accuracy of 1 us: 0 would be the default, a quarter of a second. */
        return sd_event_add_time_relative(arbiter_actor_get_event(p->actor), &p->timer, CLOCK_MONOTONIC,
                        EAT_USEC, 1, on_eaten, p);
}

static void on_fork(arbiter_future *f, void *userdata) {
        struct philosopher *p = userdata;
        int r;

        r = arbiter_future_get_reply(f, NULL);
        if (r == -ECANCELED)
                return; /* he is being stopped, and p may be gone */
        if (r >= 0)
                r = ++p->held < 2 ? ask_for_fork(p) : eat(p);
        if (r < 0)
                arbiter_actor_stop(p->actor, 1); /* and his replacement tries again */
}

static int ask_for_fork(struct philosopher *p) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        /* "monitor" is whoever keeps us. The wait may be long: no deadline. */
        r = arbiter_call_async(p->actor, &f, "monitor", "pickup_fork", UINT64_MAX, "u", p->forks[p->held]);
        return r < 0 ? r : arbiter_future_then(f, on_fork, p);
}

static int sit_down(arbiter_actor *a, void *userdata) {
        const char *number = strrchr(arbiter_actor_get_name(a), '.'); /* table.1 to table.5 */
        const char *meals = arbiter_actor_get_parameter(a, "meals");
        struct philosopher *p;
        uint32_t left, right;

        if (!number || !meals)
                return -EINVAL;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, p);
        p->actor = a;
        p->wanted = (unsigned) strtoul(meals, NULL, 10);
        p->seat = (uint32_t) strtoul(number + 1, NULL, 10) - 1;
        left = p->seat;
        right = (p->seat + 1) % SEATS;
        /* the lower first: no circle of five who wait for each other */
        p->forks[0] = left < right ? left : right;
        p->forks[1] = left < right ? right : left;
        return ask_for_fork(p);
}

static void stand_up(arbiter_actor *a, void *userdata) {
        struct philosopher *p = userdata;

        if (p)
                sd_event_source_disable_unref(p->timer);
        free(p);
}

static const arbiter_module philosopher = {
        ARBITER_MODULE_HEAD,
        .name = "philosopher",
        .start = sit_down,
        .exit = stand_up,
};

static int lay_table(arbiter *a, const char *meals) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *worker = NULL;
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = NULL;
        int r;

        r = arbiter_spawn_new(a, "philosopher", &worker);
        if (r >= 0)
                r = arbiter_spawn_set_module(worker, &philosopher);
        if (r >= 0)
                r = arbiter_spawn_set_parameter(worker, "meals", meals);
        if (r >= 0) /* replaced when he dies, not when he is done */
                r = arbiter_spawn_set_restart(worker, ARBITER_RESTART_TRANSIENT);
        if (r >= 0)
                r = arbiter_monitor_new(a, "table", worker, &table_module, &m);
        return r < 0 ? r : arbiter_monitor_start(m, SEATS, NULL);
}

static int run(const char *meals) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r < 0)
                return r;
        table.arbiter = a;
        r = arbiter_start(a);
        if (r >= 0)
                r = lay_table(a, meals);
        if (r >= 0)
                r = arbiter_run(a, true);
        if (r < 0)
                return r;
        puts("philosopher  meals");
        for (unsigned i = 0; i < SEATS; i++)
                printf("table.%u      %5u\n", i + 1, table.meals[i]);
        return r;
}

int main(int argc, char *argv[]) {
        const char *meals = argc > 1 ? argv[1] : "10";
        int r;

        setvbuf(stdout, NULL, _IOLBF, 0); /* nothing half-written when a process is forked */
        if (argc > 2 || strspn(meals, "0123456789") != strlen(meals) || strtoul(meals, NULL, 10) == 0) {
                fputs("usage: philosophers [MEALS]\n", stderr);
                return 2;
        }
        r = run(meals);
        if (r < 0)
                fprintf(stderr, "philosophers: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
