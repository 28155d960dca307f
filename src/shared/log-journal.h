/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* log.c's way to the journal: what journald does not take at once waits in a queue with a bound, so that a
 * program that logs never stands still because journald does. What does not fit is counted, and told when
 * there is room again. */

#include "shared/journal.h"

/* -errno: there is no journald; nothing is opened. The strings stay. */
int log_journal_open(const char *path, const char *identifier);
void log_journal_close(void);
bool log_journal_is_open(void);
/* Sends it, or keeps a copy. */
void log_journal_send(const struct journal_fields *f);
/* Sends what waits. True: all of it has gone. */
bool log_journal_flush(void);
int log_journal_fd(void); /* to be polled for EPOLLOUT while something waits; -EBADF: try again later */
bool log_journal_is_waiting(void);
/* Called when something begins to wait, and from then on before each try to send it, and when it is given
 * up: it stops polling the descriptor, which may be about to be closed, calls log_journal_flush(), and
 * polls what is the descriptor then if something still waits. */
void log_journal_on_wait(void (*callback)(void *userdata), void *userdata);
