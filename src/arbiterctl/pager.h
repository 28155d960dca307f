/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Long answers on a terminal go through a pager, as those of systemctl do. */

#include "arbiterctl/ctl.h"

/* Before the first byte of the answer, and after everything that may ask or complain. Does nothing off a
 * terminal, after --no-pager, and when it was called before. */
void pager_open(struct context *c);
/* Waits until the reader has quit. Returns true if there was a pager: what could not be written then
 * was not wanted. */
bool pager_close(struct context *c);
