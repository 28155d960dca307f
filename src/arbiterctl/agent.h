/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The terminal's own polkit agent, so that somebody without a desktop can be asked for a password. */

#include "arbiterctl/ctl.h"

/* Before a call that may need authorisation. Does nothing where nobody would ask: for root, on a private
 * socket, off a terminal, after --no-ask-password. */
void agent_open(struct context *c);
void agent_close(struct context *c);
