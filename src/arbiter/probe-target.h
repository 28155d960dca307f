/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What people write of whom a probe asks, and what servers answer: text in, facts out. Pure. */

#include "basic/identity.h"
#include "basic/listen-socket.h"

enum {
        PROBE_TARGET_TEXT_MAX = 4096, /* expanded */
        PROBE_PATH_MAX = 1024,        /* of a URL, NUL included */
        PROBE_HOST_MAX = 256,
        PROBE_REPLY_MAX = 8192, /* so much of an HTTP reply is looked at */
        PROBE_STATUS_LINE_MAX = 1024,
};

/* To be connected to: the first that takes it. */
struct probe_address {
        struct listen_address addresses[2];
        size_t n;
};

struct probe_url {
        struct probe_address address;
        char path[PROBE_PATH_MAX]; /* "/health?full" */
        char host[PROBE_HOST_MAX]; /* as the header says it */
};

/* %n %N %i %% by the actor's name, "web.3" or "clock". -EINVAL: another one, or a single %; -E2BIG. */
int probe_expand(const char *s, const char *name, char ret[static PROBE_TARGET_TEXT_MAX]);

/* Expanded. -EINVAL, -ENAMETOOLONG, -ENODEV; *ret_why: what is wrong with it, static. */
int probe_parse_address(const char *s, struct probe_address *ret, const char **ret_why);
int probe_parse_url(const char *s, struct probe_url *ret, const char **ret_why);
bool probe_host_is_valid(const char *s);

/* The beginning of a reply, as far as it has come: 1 and the status of the final response, 0: more is
 * needed, -EBADMSG: this is no HTTP/1 reply, -EMSGSIZE: it is longer than is looked at. Strict: what a
 * hostile server may send is never more than a number. */
int probe_parse_reply(const char *p, size_t n, unsigned *ret_status);
