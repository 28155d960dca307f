/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An arbiter's face on D-Bus: what the arbiter keeps and calls. The arbiter owns one face, made when it
 * first listens, and frees it before it goes. */

#include <arbiter/arbiter.h>

#include "basic/macro.h"

struct bus_face;

/* Subscribes to the arbiter and serves nothing yet. The arbiter must outlive it. */
int bus_face_new(arbiter *a, struct bus_face **ret);
/* Closes all connections and the socket, without answering what is pending. Never inside a call from this
 * face. */
struct bus_face *bus_face_free(struct bus_face *f);
DEFINE_CLEANUP(struct bus_face *, bus_face_free);

/* Serves peer to peer on an AF_UNIX socket of mode 0600, in a directory that is made with mode 0711 if it is
 * missing. -EADDRINUSE: another one listens there; -EEXIST: the path is no socket; -EPERM: others may write
 * to the directory; -EALREADY: the face listens already. */
int bus_face_listen(struct bus_face *f, const char *path);
/* See arbiter_listen_bus() and arbiter_set_log_control(). address NULL: as the environment says. */
int bus_face_listen_bus(struct bus_face *f, arbiter_bus bus, const char *name, const char *address);
/* See arbiter_bus_is_settled(). */
bool bus_face_is_settled(struct bus_face *f);
int bus_face_set_log_control(struct bus_face *f, const arbiter_log_control *control, void *userdata);
