/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The settings of a transient unit (Concurrency=unit): text as in a unit file in, D-Bus properties of
 * systemd 252 out. Pure: it asks neither systemd nor the file system, so that a definition is judged the
 * same wherever it is read. */

#include <arbiter/message.h>

#include "basic/macro.h"

struct unit_setting; /* a row of the table */

/* value is sealed and holds one value of this signature. Several may come of one setting, and of a list one
 * with each assignment: systemd takes them in this order. */
struct unit_property {
        char *name, *signature;
        arbiter_message *value;
        const struct unit_setting *setting; /* that it comes from */
};

struct unit_properties {
        struct unit_property *items;
        size_t n;
};

/* NAME=VALUE, as a further line of a unit file: of a list more members, else instead of what was set
 * before. An empty value takes back all that was set by this name, but where systemd has a meaning for it:
 * no capability (CapabilityBoundingSet=), no controller (Delegate=). -EINVAL with a sentence that says what
 * is expected (to be freed; ret_text may be NULL), -ENOMEM; then nothing has changed. */
int unit_properties_assign(struct unit_properties *p, const char *name, const char *value, char **ret_text);
/* The values are shared: nobody changes them. */
int unit_properties_copy(const struct unit_properties *from, struct unit_properties *to);
void unit_properties_done(struct unit_properties *p);
/* As it was, from the bytes of its value. -EBADMSG. */
int unit_properties_append(struct unit_properties *p, const char *name, const char *signature,
                const void *body, size_t size);

/* The table, for tests and documentation. */
struct unit_setting_info {
        const char *name;
        const char *example; /* a value; NULL: it is refused */
        const char *refusal; /* why, and what to write instead */
};
bool unit_setting_get(unsigned i, struct unit_setting_info *ret);
