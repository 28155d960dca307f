/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the properties of the manager object, and the process that it is in. Called by status and by
 * those who look into the journal. Properties that it does not know are skipped, so that a newer arbiterd
 * can be asked. */

#include "arbiterctl/manager.h"
#include "arbiterctl/verb-util.h"
#include "shared/bus-names.h"
#include "shared/strv.h"

static int read_files(sd_bus_message *m, char ***ret) {
        const char *s;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &s)) > 0)
                r = strv_add(ret, s);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_property(sd_bus_message *m, const char *name, struct manager_object *o) {
        const struct {
                const char *name, *type;
                void *field;
        } properties[] = {
                { "Version", "s", &o->version },          { "State", "s", &o->state },
                { "Instance", "s", &o->instance },        { "ControlGroup", "s", &o->control_group },
                { "StartedUsec", "t", &o->started_usec }, { "DeadLetters", "t", &o->dead_letters },
                { "NFailed", "u", &o->failed },           { "Takeovers", "u", &o->takeovers },
        };

        if (streq(name, "FailedFiles"))
                return read_files(m, &o->failed_files);
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (streq(name, properties[i].name))
                        return sd_bus_message_read(m, "v", properties[i].type, properties[i].field);
        return sd_bus_message_skip(m, "v");
}

static int read_properties(sd_bus_message *m, struct manager_object *o) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = read_property(m, name, o);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static pid_t find_pid(struct context *c) {
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        pid_t pid;
        int r;

        if (c->destination)
                r = sd_bus_get_name_creds(c->bus, c->destination, SD_BUS_CREDS_PID, &creds);
        else
                r = sd_bus_get_owner_creds(c->bus, SD_BUS_CREDS_PID, &creds);
        return r >= 0 && sd_bus_creds_get_pid(creds, &pid) >= 0 ? pid : 0;
}

int manager_take(struct context *c, struct manager_object *ret) {
        int r;

        *ret = (struct manager_object){ .version = "", .state = "", .instance = "", .control_group = "" };
        r = get_all_properties(c, BUS_PATH, BUS_INTERFACE_MANAGER, &ret->reply);
        if (r != 0)
                return r;
        r = read_properties(ret->reply, ret);
        if (r < 0)
                return complain_reply(r);
        ret->pid = find_pid(c);
        return 0;
}

void manager_done(struct manager_object *m) {
        m->reply = sd_bus_message_unref(m->reply);
        m->failed_files = strv_free(m->failed_files);
}
