/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A set as the child of a set: what it says of itself, as an event of its parent. Called by src/arbiter
 * between the two. Knows no state. */

#include "supervise/state.h"

/* A set that has gone down for whatever cause has ended by OTP's reason `shutdown`, which is normal: a
 * parent restarts it if it is permanent. */
static const supervise_event_type events[] = {
        [SUPERVISE_ACTION_STARTED_ALL] = SUPERVISE_STARTED,
        [SUPERVISE_ACTION_START_FAILED] = SUPERVISE_START_FAILED,
        [SUPERVISE_ACTION_GAVE_UP] = SUPERVISE_EXITED,
        [SUPERVISE_ACTION_ESCALATE] = SUPERVISE_EXITED,
        [SUPERVISE_ACTION_SHUTDOWN] = SUPERVISE_EXITED,
        [SUPERVISE_ACTION_STOPPED] = SUPERVISE_EXITED,
};

bool supervise_to_parent(const supervise_action *action, uint32_t slot, supervise_event *ret) {
        if ((size_t) action->type >= ELEMENTSOF(events) || events[action->type] == SUPERVISE_START)
                return false;
        *ret = (supervise_event){
                .type = events[action->type],
                .slot = slot,
                .generation = action->generation,
                .normal = events[action->type] == SUPERVISE_EXITED,
        };
        return true;
}
