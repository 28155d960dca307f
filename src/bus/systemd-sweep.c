/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transient units that an arbiter before this one has left, and of which its successor knows nothing: it had
 * no state, or could not read it. Called by systemd.c. A unit counts as left only by its mark, which the
 * arbiter has put there. Must never stop one by its name alone, nor one that is known. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/control.h"
#include "bus/systemd.h"

struct left {
        struct systemd *systemd;
        char *name;
};

static void free_left(void *userdata) {
        struct left *l = userdata;

        free(l->name);
        free(l);
}

/* Until it is back, or has less to do. */
static void put_off(struct systemd *s) {
        systemd_absent(s);
        systemd_sweep_again(s);
}

/* It has the mark of this arbiter, and not that of the life which is known by this name. */
static bool is_left(sd_bus_message *m, const char *mark, const struct systemd_unit *known) {
        const void *field;
        bool marked = false;
        size_t size;

        if (sd_bus_message_enter_container(m, 'v', "aay") < 0 ||
                        sd_bus_message_enter_container(m, 'a', "ay") < 0)
                return false;
        while (sd_bus_message_read_array(m, 'y', &field, &size) > 0)
                if (size == strlen(mark) && memcmp(field, mark, size) == 0)
                        marked = true;
                else if (known && size == strlen(known->mark) && memcmp(field, known->mark, size) == 0)
                        return false;
        return marked;
}

static int on_fields(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct left *l = userdata;
        struct systemd *s = l->systemd;

        if (sd_bus_error_has_names(sd_bus_message_get_error(m), SD_BUS_ERROR_LIMITS_EXCEEDED,
                            SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT)) {
                put_off(s);
                return 0;
        }
        if (sd_bus_message_get_error(m) || !is_left(m, s->sweep_mark, map_get_string(s->by_name, l->name)))
                return 0;
        control_log(s->arbiter, LOG_WARNING,
                        "%s is an actor's of an arbiter that has died, and nothing is known of it: it is "
                        "stopped",
                        l->name);
        systemd_tell(s, "StopUnit", "ss", l->name, "replace");
        systemd_tell(s, "ResetFailedUnit", "s", l->name);
        return 0;
}

static int ask(struct systemd *s, const char *name, const char *path) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct left *l = calloc(1, sizeof(*l));
        sd_bus_slot *slot = NULL;
        int r;

        if (!l)
                return -ENOMEM;
        l->systemd = s;
        l->name = strdup(name);
        r = l->name ? 0 : -ENOMEM;
        if (r >= 0)
                r = systemd_new_call(s, path, "org.freedesktop.DBus.Properties", "Get", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", SYSTEMD_SERVICE, "LogExtraFields");
        if (r >= 0)
                r = systemd_call(s, m, &slot, on_fields, l);
        if (r < 0) {
                free_left(l);
                return r;
        }
        (void) sd_bus_slot_set_destroy_callback(slot, free_left);
        (void) sd_bus_slot_set_floating(slot, true);
        sd_bus_slot_unref(slot);
        return 0;
}

/* What was taken over is known. What is started just now may find that one which is not known has its
 * name. */
static bool is_in_question(const struct systemd *s, const char *name, const char *state) {
        const struct systemd_unit *known = map_get_string(s->by_name, name);

        return !known || (known->transient && known->properties && !streq(state, "inactive") &&
                                         !streq(state, "failed"));
}

static int on_listed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const char *name, *path, *state;
        struct systemd *s = userdata;

        if (sd_bus_message_get_error(m)) {
                put_off(s);
                return 0;
        }
        if (sd_bus_message_enter_container(m, 'a', "(ssssssouso)") < 0)
                return 0;
        while (sd_bus_message_read(m, "(ssssssouso)", &name, NULL, NULL, &state, NULL, NULL, &path, NULL,
                               NULL, NULL) > 0)
                if (startswith(name, s->sweep_prefix) && is_in_question(s, name, state))
                        (void) ask(s, name, path);
        return 0;
}

void systemd_sweep_begin(struct systemd *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        s->sweep = false;
        r = systemd_new_call(s, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByPatterns", &m);
        /* The prefix may have characters that mean something in a pattern. */
        if (r >= 0)
                r = sd_bus_message_append(m, "asas", 0, 1, "arbiter-*.service");
        if (r >= 0)
                r = systemd_call(s, m, NULL, on_listed, s);
        if (r < 0)
                put_off(s);
}

void systemd_sweep_again(struct systemd *s) {
        s->sweep = s->sweep_mark;
        systemd_again(s);
}

void systemd_sweep(void *userdata, const char *prefix, const char *mark) {
        struct systemd *s = userdata;

        free(s->sweep_prefix);
        free(s->sweep_mark);
        s->sweep_prefix = strdup(prefix);
        s->sweep_mark = s->sweep_prefix ? strdup(mark) : NULL;
        systemd_sweep_again(s);
}
