/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The whole terminal, for a live table: its other screen, keys without Enter. */

#include "arbiterctl/output.h"

/* Is there a terminal that can do it? */
bool screen_is_possible(void);
void screen_enter(void);
/* As it was before; harmless when it is so. Is called by complain(), too. */
void screen_leave(void);
/* Shows the text from the upper left; nothing of what was there is left. */
void screen_draw(const char *text, size_t size);
