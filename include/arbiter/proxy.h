/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_PROXY_H
#define ARBITER_PROXY_H

#include <arbiter/_common.h>

ARBITER_BEGIN_DECLARATIONS

/* A proxy: the only handle on a remote actor. A value, aid + name + generation: one life. To a dead life
 * it answers noproc, never its successor; for whoever has the name now, send to the name. May be sent in
 * messages as "(ssu)". Immutable; may be used from any thread. */

int arbiter_proxy_new(const char *aid, const char *name, uint32_t generation, arbiter_proxy **ret);
arbiter_proxy *arbiter_proxy_ref(arbiter_proxy *p);
arbiter_proxy *arbiter_proxy_unref(arbiter_proxy *p);
ARBITER_CLEANUP_DEFINE(arbiter_proxy, unref);

/* Borrowed. */
const char *arbiter_proxy_get_aid(const arbiter_proxy *p);
const char *arbiter_proxy_get_name(const arbiter_proxy *p);
uint32_t arbiter_proxy_get_generation(const arbiter_proxy *p);
/* Same life? */
bool arbiter_proxy_equal(const arbiter_proxy *a, const arbiter_proxy *b);

/* As "(ssu)": aid, name, generation. */
int arbiter_message_append_proxy(arbiter_message *m, const arbiter_proxy *p);
int arbiter_message_read_proxy(arbiter_message *m, arbiter_proxy **ret);

ARBITER_END_DECLARATIONS

#endif
