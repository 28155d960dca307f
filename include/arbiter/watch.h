/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_WATCH_H
#define ARBITER_WATCH_H

#include <arbiter/actor.h>

ARBITER_BEGIN_DECLARATIONS

/* Death notices (the rules are Erlang's). A watch is one-way and on one life. DOWN comes exactly once, after
 * the name is free, and after all mail that the dead actor had sent us. Watching what is dead already gives
 * DOWN with reason noproc. */

typedef struct arbiter_down {
        size_t size;
        uint64_t watch; /* which watch this is */
        const char *aid, *name;
        uint32_t generation;
        arbiter_reason reason;
        int status; /* exit code or signal */
} arbiter_down;

typedef void (*arbiter_down_handler_t)(arbiter_actor *a, const arbiter_down *down, void *userdata);

int arbiter_actor_watch(arbiter_actor *a, const arbiter_proxy *p, arbiter_down_handler_t handler,
                void *userdata, uint64_t *ret_watch);
/* No DOWN for this watch is delivered afterwards. -ENOENT if it is over. */
int arbiter_actor_unwatch(arbiter_actor *a, uint64_t watch);

/* Links: two-way fate sharing, idempotent. When one end dies with a reason that is not normal, the other
 * dies with the same reason, unless it traps exits: then its exit handler is called. Unlinking means that
 * no exit arrives afterwards. */
typedef void (*arbiter_exit_handler_t)(arbiter_actor *a, const arbiter_down *exit, void *userdata);

int arbiter_actor_link(arbiter_actor *a, const arbiter_proxy *p);
int arbiter_actor_unlink(arbiter_actor *a, const arbiter_proxy *p);
/* handler NULL: do not trap (the default). */
int arbiter_actor_trap_exit(arbiter_actor *a, arbiter_exit_handler_t handler, void *userdata);
/* Ends this actor with a reason that its links and watchers see. */
int arbiter_actor_exit(arbiter_actor *a, arbiter_reason reason);

/* Dead letters: what could not be delivered, or whose answer came too late. Counted exactly; the handler
 * is called for each. */
typedef struct arbiter_dead_letter {
        size_t size;
        const char *sender, *target; /* name or aid */
        const char *command;
        uint64_t id;
        arbiter_outcome outcome; /* noproc, overload, expired, cancelled (late answer) ... */
} arbiter_dead_letter;

typedef void (*arbiter_dead_letter_handler_t)(
                arbiter_actor *a, const arbiter_dead_letter *letter, void *userdata);

int arbiter_actor_subscribe_dead_letters(
                arbiter_actor *a, arbiter_dead_letter_handler_t handler, void *userdata);
uint64_t arbiter_actor_get_dead_letters(arbiter_actor *a);

ARBITER_END_DECLARATIONS

#endif
