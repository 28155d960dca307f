/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a spawn that is to be a unit may say. Called by spawn.c. Must never ask systemd: a spawn is made long
 * before it is started. */

#include "arbiter/internal.h"

_public_ int arbiter_check_units(arbiter *a, char **ret_text) {
        return a ? unit_check(a, ret_text) : -EINVAL;
}

const char *spawn_unit_contradiction(const arbiter_spawn *s) {
        if (s->concurrency != ARBITER_CONCURRENCY_UNIT)
                return NULL;
        if (s->expected)
                return "an actor that somebody else starts is no unit of the arbiter's";
        if (s->module)
                return "a module of this program cannot run as a unit: use a module file or a program";
        if (s->unit_template && s->n_listen_fds > 0)
                return "instances of a template get their sockets from systemd: write Sockets= into a "
                       "drop-in for it";
        return NULL;
}
