/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What arbiterd tells who started it, by sd_notify(3): ready, reloading, stopping, how it is, that it is
 * alive. Without $NOTIFY_SOCKET each of these does nothing. */

#include <arbiter/log.h>

#include "basic/time-util.h"

struct daemon;

/* Before the arbiter runs: what it is at, which may last usec. */
void notify_starting(struct daemon *d, const char *what, usec_t usec);
/* In the middle of much work outside of the loop, at most once a second: it goes on. */
void notify_progress(struct daemon *d);
/* Follows the arbiter from now on: its status, its end, and the watchdog of its loop. */
int notify_attach(struct daemon *d);
/* The configuration has been applied and its sockets listen. What was started may still be starting. */
void notify_ready(struct daemon *d);
/* Around a reload, whoever asked for it and whatever came of it. */
void notify_reloading(struct daemon *d);
void notify_reloaded(struct daemon *d);
/* It stops. It is told by itself, unless there was so little to stop that nobody could hear of it. */
void notify_stopping(struct daemon *d);
/* From the arbiter's log: it says what keeps actors from running. */
void notify_log_entry(struct daemon *d, const arbiter_log_entry *e);
/* It ends before it was ready. */
void notify_failed(struct daemon *d, int error, const char *text);
void notify_done(struct daemon *d);

/* The fd store of our service, which outlives us (FileDescriptorStoreMax=), but not a stop: what is there
 * under that name is replaced, or removed. For few: systemd passes all names in one variable, and looks for
 * each in a list. service_take_fds() gets them back. */
#define NOTIFY_STORE_KEEPER "keeper" /* the connection to arbiter-keeper */
#define NOTIFY_STORE_STATE "state"   /* the journal of the arbiter's state */
void notify_store(const char *name, int fd);
void notify_store_remove(const char *name);
