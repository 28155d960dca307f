/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_ACTOR_H
#define ARBITER_ACTOR_H

#include <arbiter/future.h>
#include <arbiter/message.h>
#include <arbiter/proxy.h>

ARBITER_BEGIN_DECLARATIONS

struct sd_event;

/* An actor, seen from inside: one event loop, one mailbox, one state. Handlers and hooks get it as their
 * first argument; it is never a handle on another one (that is a proxy). Touch it on its own loop only. */

typedef enum arbiter_state {
        ARBITER_STATE_INITIAL = 0,
        ARBITER_STATE_INACTIVE = 1,
        ARBITER_STATE_STARTING = 2,
        ARBITER_STATE_RUNNING = 3,
        ARBITER_STATE_STOPPING = 4,
        ARBITER_STATE_CLOSED = 5,
        ARBITER_STATE_TERMINATED = 6
} arbiter_state;

const char *arbiter_state_to_string(arbiter_state state);

/* The actor whose loop runs on this thread (of several inline ones: whose handler is running), or NULL. */
arbiter_actor *arbiter_actor_current(void);

/* Borrowed strings, valid as long as the actor. */
const char *arbiter_actor_get_aid(arbiter_actor *a);
const char *arbiter_actor_get_name(arbiter_actor *a);
uint32_t arbiter_actor_get_generation(arbiter_actor *a);
arbiter_state arbiter_actor_get_state(arbiter_actor *a);
/* Its loop, borrowed: add sources to it as you like. */
struct sd_event *arbiter_actor_get_event(arbiter_actor *a);
/* A new proxy of itself. */
int arbiter_actor_get_proxy(arbiter_actor *a, arbiter_proxy **ret);
void *arbiter_actor_get_userdata(arbiter_actor *a);
void arbiter_actor_set_userdata(arbiter_actor *a, void *userdata);
/* A parameter given at spawn, or NULL. */
const char *arbiter_actor_get_parameter(arbiter_actor *a, const char *key);
/* Listening sockets that it inherited; borrowed. Returns their number. */
int arbiter_actor_get_listen_fds(arbiter_actor *a, const int **ret_fds, const char *const **ret_names);
/* A line of its own in "info" under "extra"; NULL removes it. */
int arbiter_actor_set_extra(arbiter_actor *a, const char *key, const char *value);

/* Asks itself to stop: stopping hook, then the loop ends, exit hook, and the process (or thread) leaves
 * with this exit code. Idempotent. */
int arbiter_actor_stop(arbiter_actor *a, int exit_code);
/* From inside the start (stopping) hook: do not go on before the future is resolved; if it fails, so does
 * the start. */
int arbiter_actor_delay_start(arbiter_actor *a, arbiter_future *f);
int arbiter_actor_delay_stop(arbiter_actor *a, arbiter_future *f);
/* While it starts: this actor is not needed. At the end of its start it ends, and that is no failure; it is
 * not started again by itself. The future of its spawn resolves without a proxy. */
int arbiter_actor_ignore(arbiter_actor *a);

/* Sending. target: "arbiter", "monitor" (one's own manager), a name (resolved when sent), or an aid. The
 * proxy forms go to one life. timeout_usec is relative: 0 the default (5 s), UINT64_MAX never; inside a
 * handler the deadline of the request that is being handled is inherited when it is earlier.
 *
 * A cast: no answer. 0 means "handed to the transport", which is all that at-most-once delivery can say;
 * -ENOBUFS is overload. */
int arbiter_send(arbiter_actor *a, const char *target, const char *command, const char *signature, ...);
int arbiter_proxy_send(
                arbiter_actor *a, const arbiter_proxy *p, const char *command, const char *signature, ...);
/* A request. Never fails for a reason that has an outcome: an unknown target is a future with noproc. */
int arbiter_call_async(arbiter_actor *a, arbiter_future **ret, const char *target, const char *command,
                uint64_t timeout_usec, const char *signature, ...);
int arbiter_proxy_call_async(arbiter_actor *a, arbiter_future **ret, const arbiter_proxy *p,
                const char *command, uint64_t timeout_usec, const char *signature, ...);
/* Blocks, running the loop. -EDEADLK inside a handler. The outcome as negative errno; ret_reply may be
 * NULL. */
int arbiter_call(arbiter_actor *a, arbiter_message **ret_reply, const char *target, const char *command,
                uint64_t timeout_usec, const char *signature, ...);
/* The general form. m is sealed; exactly one of target and p is given; ret NULL: a cast. */
int arbiter_send_message(arbiter_actor *a, const char *target, const arbiter_proxy *p, const char *command,
                arbiter_message *m, uint64_t timeout_usec, arbiter_future **ret);

/* Asks the arbiter for a new actor: an instance of one of its definitions, or of a module it has
 * registered, with this name (NULL: the definition's). The aid is known at once
 * (arbiter_future_get_aid()); resolves to a proxy when the new actor is running. The new actor is the
 * arbiter's, not ours: our death does not touch it. parameters: "KEY=VALUE" strings, NULL-terminated, or
 * NULL. */
int arbiter_actor_spawn(arbiter_actor *a, const char *definition, const char *name,
                const char *const *parameters, arbiter_future **ret);

ARBITER_END_DECLARATIONS

#endif
