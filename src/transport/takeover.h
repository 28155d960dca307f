/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The end of a seqpacket link in the hands of a successor: its maker is dead, somebody has kept the
 * descriptor. The successor knows neither sequence nor credit, so it makes no link of it. It may say one
 * kind of thing, by which it offers the other end a new link, and it may look through what that end had
 * sent to the dead. The receiver's side of this is link_allow_takeover(). Neither function blocks. */

#include "wire/envelope.h"

/* One signal, with sequence 0, which no link would send. e: command, signature, body_size and n_fds; the
 * body is inline. The descriptors stay the caller's. -EAGAIN: the socket is full: at EPOLLOUT; -ENOBUFS: the
 * kernel has no room for it or for its descriptors: later; -ECONNRESET: nobody reads there any more. */
int takeover_send(int fd, struct envelope *e, const void *body, const int *fds);

/* The next frame that waits there, decoded; its sequence is of a count that nobody knows. Descriptors that
 * came with it are closed. buffer: FRAME_SIZE_MAX bytes, 8-aligned; *ret and *ret_body point into it.
 * -EAGAIN: nothing now; -ECONNRESET: nothing ever; -EBADMSG: this one makes no sense, or is of no use
 * without its descriptors, but the next may. */
int takeover_receive(int fd, uint8_t *buffer, struct envelope *ret, const uint8_t **ret_body);
