/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd says of a unit, by PropertiesChanged or when it is asked: the few properties of which a life
 * is made, and nothing else. Called by systemd.c and systemd-settle.c. Decides nothing. */

#include <stdio.h>

#include "bus/systemd.h"

static int read_string(sd_bus_message *m, const char **ret) {
        return sd_bus_message_read(m, "v", "s", ret);
}

static int copy_string(sd_bus_message *m, char *to, size_t size) {
        const char *s;
        int r;

        r = read_string(m, &s);
        if (r >= 0)
                (void) snprintf(to, size, "%s", s);
        return r;
}

static int read_activity(struct unit_facts *f, sd_bus_message *m) {
        const char *s;
        int r;

        r = read_string(m, &s);
        if (r < 0)
                return r;
        f->activating = streq(s, "activating");
        f->activity = streq(s, "inactive") || streq(s, "failed") ? UNIT_DOWN
                      : streq(s, "deactivating")                 ? UNIT_GOING_DOWN
                                                                 : UNIT_UP;
        return 0;
}

static int read_load_state(struct unit_facts *f, sd_bus_message *m) {
        const char *s;
        int r;

        r = read_string(m, &s);
        if (r >= 0)
                f->not_found = streq(s, "not-found");
        return r;
}

static int read_job(struct unit_facts *f, sd_bus_message *m) {
        const char *path;
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "v", "(uo)", &id, &path);
        if (r >= 0)
                (void) snprintf(f->job, sizeof(f->job), "%s", id > 0 ? path : "");
        return r;
}

static int read_invocation(struct unit_facts *f, sd_bus_message *m) {
        const uint8_t *bytes;
        size_t size;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'y', (const void **) &bytes, &size);
        if (r < 0)
                return r;
        f->invocation[0] = 0;
        for (size_t i = 0; size == 16 && i < size; i++)
                (void) snprintf(f->invocation + 2 * i, 3, "%02x", bytes[i]);
        return sd_bus_message_exit_container(m);
}

static int read_begin(struct unit_facts *f, sd_bus_message *m) {
        return sd_bus_message_read(m, "v", "t", &f->begun_usec);
}

static int read_main_pid(struct unit_facts *f, sd_bus_message *m) {
        uint32_t pid;
        int r;

        r = sd_bus_message_read(m, "v", "u", &pid);
        if (r >= 0)
                f->main_pid = (pid_t) pid;
        return r;
}

static int read_condition(struct unit_facts *f, sd_bus_message *m) {
        int met, r;

        r = sd_bus_message_read(m, "v", "b", &met);
        if (r >= 0)
                f->unmet = !met;
        return r;
}

static int read_mark(struct unit_facts *f, sd_bus_message *m, const char *mark) {
        const void *field;
        size_t size;
        int r;

        f->marked = false;
        r = sd_bus_message_enter_container(m, 'v', "aay");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "ay");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read_array(m, 'y', &field, &size)) > 0)
                if (mark && size == strlen(mark) && memcmp(field, mark, size) == 0)
                        f->marked = true;
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_one(struct unit_facts *f, sd_bus_message *m, const char *name, const char *mark) {
        if (streq(name, "ActiveState"))
                return read_activity(f, m);
        if (streq(name, "LoadState"))
                return read_load_state(f, m);
        if (streq(name, "Job"))
                return read_job(f, m);
        if (streq(name, "InvocationID"))
                return read_invocation(f, m);
        if (streq(name, "InactiveExitTimestampMonotonic"))
                return read_begin(f, m);
        if (streq(name, "ConditionResult"))
                return read_condition(f, m);
        if (streq(name, "Result"))
                return copy_string(m, f->result, sizeof(f->result));
        if (streq(name, "StatusText"))
                return copy_string(m, f->status_text, sizeof(f->status_text));
        if (streq(name, "ExecMainCode"))
                return sd_bus_message_read(m, "v", "i", &f->code);
        if (streq(name, "ExecMainStatus"))
                return sd_bus_message_read(m, "v", "i", &f->status);
        if (streq(name, "MainPID"))
                return read_main_pid(f, m);
        if (streq(name, "LogExtraFields"))
                return read_mark(f, m, mark);
        return sd_bus_message_skip(m, "v");
}

int unit_facts_read(struct unit_facts *f, sd_bus_message *m, const char *mark) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = read_one(f, m, name, mark);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
