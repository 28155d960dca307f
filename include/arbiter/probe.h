/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_PROBE_H
#define ARBITER_PROBE_H

#include <arbiter/spawn.h>

ARBITER_BEGIN_DECLARATIONS

/* A probe: a question that the arbiter asks an actor again and again, from outside. Of each kind an actor
 * has at most one.
 *
 * START: the actor is running only when it has passed; until then none of the others is asked, and the
 * start timeout counts on. When it has failed for good the start has failed, with the probe's last words.
 * READINESS: a worker of a monitor serves only while it is good: its work is routed to others, and a roll
 * waits for it. It fails before it has passed once, too.
 * LIVENESS: when it has failed for good the actor is stopped, its reason is ARBITER_REASON_UNHEALTHY, and
 * whether it is started again is its restart type's to say. */
typedef enum arbiter_probe_kind {
        ARBITER_PROBE_START = 0,
        ARBITER_PROBE_READINESS,
        ARBITER_PROBE_LIVENESS
} arbiter_probe_kind;

typedef struct arbiter_probe arbiter_probe;

/* "start", "readiness", "liveness": static; NULL for an unknown value. */
const char *arbiter_probe_kind_to_string(arbiter_probe_kind kind);

/* In what follows %n is the actor's name (web.3), %N the same without its number, %i the number, %% a
 * percent sign. -EINVAL: it makes no sense, and *ret_text (may be NULL), to be freed, is a sentence that
 * says why.
 *
 * A program that exits with 0, run as the actor is: user, limits, environment, directory, with MAINPID set;
 * argv[0] is its path. What is left of it at its end, or at the timeout, is killed. */
int arbiter_probe_new_exec(const char *const *argv, arbiter_probe **ret, char **ret_text);
/* A connection is taken: "8080" and "localhost:8080" (127.0.0.1, then ::1), "127.0.0.1:8080", "[::1]:8080",
 * "/run/x.sock", "@abstract". Names are not looked up. */
int arbiter_probe_new_tcp(const char *address, arbiter_probe **ret, char **ret_text);
/* GET by HTTP/1.1 is answered with a status of 200 to 399: "ADDRESS[/PATH]" or "unix:SOCKET[:/PATH]", with
 * http:// in front or not. host (may be NULL): what the header Host says. No TLS, no redirections. */
int arbiter_probe_new_http(const char *url, const char *host, arbiter_probe **ret, char **ret_text);
/* The mailbox answers "ping": its loop turns. Not of programs that know nothing of arbiter. */
int arbiter_probe_new_ping(arbiter_probe **ret);
arbiter_probe *arbiter_probe_ref(arbiter_probe *p);
arbiter_probe *arbiter_probe_unref(arbiter_probe *p);
ARBITER_CLEANUP_DEFINE(arbiter_probe, unref);

/* Relative microseconds; 0 keeps the default. interval (10 s; of a start probe 1 s): from one begin to the
 * next, up to a tenth less; timeout (1 s): of one; delay (none): before the first. Before it is given to an
 * actor: -EBUSY. */
int arbiter_probe_set_times(arbiter_probe *p, uint64_t interval, uint64_t timeout, uint64_t delay);
/* So many in a row fail it (3; of a start probe 30), and make it good again (1). 0 keeps the default. */
int arbiter_probe_set_thresholds(arbiter_probe *p, unsigned failures, unsigned successes);

/* probe NULL: none. */
int arbiter_spawn_set_probe(arbiter_spawn *s, arbiter_probe_kind kind, arbiter_probe *probe);
/* Of a monitor or a lone actor by name, from now on, of those that live, too: nobody is stopped for it. Who
 * was ready, or serves because nobody asked, is so until the new one says otherwise. -ESRCH. */
int arbiter_set_probe(arbiter *a, const char *name, arbiter_probe_kind kind, arbiter_probe *probe);

ARBITER_END_DECLARATIONS

#endif
