/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Groups of TCP sockets that listen on one port (SO_REUSEPORT). The kernel deals connections out to them. It
 * resets those that wait at one when that is closed, unless the group, or the machine
 * (net.ipv4.tcp_migrate_req), says that they go to the others. */

#include "basic/macro.h"

/* That they go to the others: of the group that this socket is in, from when it listens on. In place of a
 * program that the group may have. -EPERM: it takes CAP_BPF; -EINVAL: Linux before 5.14. */
int listen_group_migrate(int fd);
/* Ends it for all who have it open, and hands over what waits there, if that is how it is. */
void listen_group_leave(int fd);
/* Who waits for connections there looks anew. */
void listen_group_wake(int fd);
