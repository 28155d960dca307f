/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The listening end of the private socket. */

#include "bus/face.h"

struct private_socket;

int private_socket_new(struct bus_face *f, const char *path, struct private_socket **ret);
/* Closes it, and removes its name if it still is ours. */
struct private_socket *private_socket_free(struct private_socket *s);
DEFINE_CLEANUP(struct private_socket *, private_socket_free);
