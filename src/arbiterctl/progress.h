/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A line on the terminal while something takes its time; it is gone when there is something to say. */

#include "arbiterctl/ctl.h"

/* From now on; not shown before a second is over, nor off a terminal. */
void progress_start(const struct context *c);
/* Shows the text if it is time to, and returns how long to wait until it is again. */
usec_t progress_show(const char *text);
/* At once. False: nobody would see it. */
bool progress_tell(const char *text);
/* Is called by complain(), too. */
void progress_clear(void);
