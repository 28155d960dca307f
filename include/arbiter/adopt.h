/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_ADOPT_H
#define ARBITER_ADOPT_H

#include <arbiter/_common.h>

ARBITER_BEGIN_DECLARATIONS

/* Taking over from an arbiter that has died, or was replaced: for programs that have somebody who keeps its
 * descriptors meanwhile, as arbiterd has arbiter-keeper. In this order:
 *
 *         arbiter_new(), settings as always (the same instance, cgroup and runtime directory as before it)
 *         arbiter_set_state()    with the state that the other one has left
 *         arbiter_add_kept()     for each descriptor that was kept
 *         arbiter_start()        nothing is started, stopped or judged yet
 *         arbiter_monitor_start(), arbiter_spawn_start() ...
 *                                for all that is to run, as on any start: what runs already goes on
 *         arbiter_adopt_done()   before the loop runs
 *
 * Lives go on with their aid, name, generation and process; so do monitors, with the number of workers that
 * was last wanted of them, their failures and their backoff. Whose definition is another one now is replaced
 * as after arbiter_monitor_restart(). Who has died meanwhile is mourned and replaced as ever. */

/* One descriptor that the keep handler was given (see arbiter_set_keep_handler()), under its name. It is
 * taken. Before the start. -ENOENT: no name of the arbiter's, and the descriptor stays the caller's, as
 * on any failure; -EEXIST: there is one of that name. */
int arbiter_add_kept(arbiter *a, const char *name, int fd);

typedef struct arbiter_adoption {
        size_t size;
        uint32_t takeovers; /* arbiters before this one; 0: there was nothing to take over */
        uint32_t monitors;  /* that go on */
        uint32_t actors;    /* lives that go on, those that are about to end included */
        uint32_t ended;     /* lives that had ended by themselves */
        uint32_t killed;    /* lives that could not be reached any more */
        uint32_t stopped;   /* monitors and lone actors of which there is no definition any more */
} arbiter_adoption;

/* All that is to run has been started: what the other arbiter has left besides is stopped, in order; what
 * was spawned at run time goes on. Restarts, stops and deaths that were under way go on now. ret (may be
 * NULL) has its size set by the caller. To be called in any case: 0 also where there was nothing to take
 * over. */
int arbiter_adopt_done(arbiter *a, arbiter_adoption *ret);
/* After some turns of the loop: 1 once all actors that go on have been heard from, so that what they are
 * asked from outside is as before; 0 until then. One that does not answer is a matter of its timeout: do not
 * wait for it for long. */
int arbiter_adopt_is_settled(arbiter *a);

ARBITER_END_DECLARATIONS

#endif
