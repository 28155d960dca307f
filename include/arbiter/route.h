/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_ROUTE_H
#define ARBITER_ROUTE_H

#include <arbiter/monitor.h>

ARBITER_BEGIN_DECLARATIONS

/* Messages to the name of a pool, and messages to a name whose owner dies.
 *
 * A monitor's name is that of its own actor, and of its pool. What every actor answers (ping, info, config,
 * stop ...) and the commands of the monitor's own module go to the monitor; everything else goes to a
 * worker. "monitor", one's own, is always the actor. The sender's own runtime knows the workers, and is told
 * of changes: no message passes through the arbiter. Workers that are not running, not ready, or that drain
 * get no new work; without any the outcome is noproc, at once. */
typedef enum arbiter_routing {
        ARBITER_ROUTING_DEFAULT = 0,       /* as the pool is set up; of a pool: round-robin */
        ARBITER_ROUTING_ROUND_ROBIN = 1,
        ARBITER_ROUTING_LEAST_OUTSTANDING = 2, /* of this sender's: the fewest unanswered requests and casts
                                                * not begun; in turn among equals */
        /* Of a key: the same worker for the same key, whoever sends. A worker that comes or goes moves its
         * own keys only (rendezvous hashing, by the workers' names). Without a key: the sender's own. */
        ARBITER_ROUTING_CONSISTENT_HASH = 3,
        ARBITER_ROUTING_BROADCAST = 4      /* to each */
} arbiter_routing;

/* "round-robin" ...; NULL for an unknown value. */
const char *arbiter_routing_to_string(arbiter_routing routing);
int arbiter_routing_from_string(const char *s, arbiter_routing *ret);
/* At any time: those who send are told. */
int arbiter_monitor_set_routing(arbiter_monitor *m, arbiter_routing routing);

/* What was sent by name to one who dies, or ends in order, and who had not begun it. keep: its sender sends
 * it again, in order, to the next life of that name, or to another worker if it was sent to a pool; what
 * had begun never, nor what was sent to a proxy. While the arbiter restarts it, it waits, and its deadline
 * goes on counting; if nobody restarts it: noproc. drop: noproc, and of casts dead letters. */
typedef enum arbiter_mail_on_restart {
        ARBITER_MAIL_KEEP = 0,
        ARBITER_MAIL_DROP = 1
} arbiter_mail_on_restart;

/* Default keep. */
int arbiter_spawn_set_mail_on_restart(arbiter_spawn *s, arbiter_mail_on_restart mail);

enum {
        /* While there is nobody, but will be (it is between two lives): waits, until its deadline. */
        ARBITER_SEND_HOLD = 1 << 0,
        ARBITER_SEND_TO_MONITOR = 1 << 1, /* whatever the command is */
        ARBITER_SEND_TO_POOL = 1 << 2     /* whatever the command is */
};

typedef struct arbiter_send_options {
        size_t size;             /* in: sizeof of this struct */
        uint64_t timeout_usec;   /* as of arbiter_call_async(); of a cast: UINT64_MAX or 0, it has none */
        uint64_t flags;          /* ARBITER_SEND_... */
        arbiter_routing routing; /* for this message */
        const void *key;         /* of consistent-hash; borrowed for the call */
        size_t key_size;
} arbiter_send_options;

/* As arbiter_send_message(), by name. A request to all of a pool resolves when each has answered: as
 * arbiter_future_all(), and its reply, if all have replied, is a{sv}: by name, what each has answered
 * (several values as a struct, none as true). */
int arbiter_send_with(arbiter_actor *a, const char *target, const char *command, arbiter_message *m,
                const arbiter_send_options *options, arbiter_future **ret);
/* The i-th future that a composite, or a request to all of a pool, waits for (borrowed). -ENODATA: it has
 * not so many. */
int arbiter_future_get_member(arbiter_future *f, size_t i, arbiter_future **ret);

ARBITER_END_DECLARATIONS

#endif
