/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What arbiterd tells the journal, with fields. On stderr the same is a line of text. */

#include <arbiter/log.h>

#include "shared/conf-parser.h"

struct daemon;

/* Before anything else is logged: where to. */
void journal_open(void);
/* Was it the journal then? It stays so, wherever the messages are sent to later (LogControl1). */
bool journal_is_log(void);
/* d has an instance, if it is to have one. */
void journal_set_instance(const char *instance);
/* From now on what journald did not take at once follows by the loop. */
int journal_attach(struct daemon *d);
void journal_detach(void);
void journal_close(void);

/* An arbiter_log_handler_t does this. At most so much in some time that journald does not begin to drop
 * messages of ours by its own choice. */
void journal_log_entry(const arbiter_log_entry *e);

/* What a file of the configuration holds; an error refuses it. */
void journal_configuration(enum conf_level level, const char *file, unsigned line, const char *text);
/* The arbiter goes, and n actors go on; why. */
void journal_left(size_t n, const char *why);
/* The program on disk cannot take over; in words. */
void journal_reexecution_refused(const char *text);
/* What an arbiter before us has left cannot be read. */
void journal_state_refused(int error);
/* n_failed: files that could not be loaded. */
void journal_reloaded(size_t n_failed);
