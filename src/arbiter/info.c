/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "info" says of the arbiter and of a monitor: pulsar's tree. The arbiter's is server, workers (its own
 * actors) and monitors; a monitor adds its workers. Read now, not as of the last notify. */

#include <stdio.h>

#include "arbiter/internal.h"

static int append_worker(arbiter_message *m, const struct child *c) {
        int r;

        r = info_open_section(m, c->name);
        if (r >= 0)
                r = info_add(m, "actor_id", "s", c->aid_string.s);
        if (r >= 0)
                r = info_add(m, "state", "s", arbiter_state_to_string(c->state));
        if (r >= 0)
                r = info_add(m, "concurrency", "s", arbiter_concurrency_to_string(c->concurrency));
        if (r >= 0)
                r = info_add(m, "process_id", "u", (uint32_t) c->process.pid);
        if (r >= 0)
                r = info_add(m, "generation", "u", c->generation);
        if (r >= 0)
                r = info_add(m, "queued", "t", c->mailbox_queued);
        if (r >= 0)
                r = info_add(m, "dead_letters", "t", c->dead_letters);
        return r < 0 ? r : info_close_section(m);
}

/* monitor NULL: the lone ones. */
static int append_workers(arbiter *a, arbiter_message *m, const arbiter_monitor *monitor) {
        int r;

        r = info_open_section(m, "workers");
        if (r < 0)
                return r;
        LIST_FOREACH(c, &a->children, struct child, children) {
                if (c->monitor_actor || (c->set ? c->set->monitor : NULL) != monitor)
                        continue;
                r = append_worker(m, c);
                if (r < 0)
                        return r;
        }
        return info_close_section(m);
}

static int append_monitor(arbiter_monitor *monitor, arbiter_message *m) {
        struct monitor_view v;
        int r;

        r = control_get_monitor(monitor->arbiter, monitor->name, &v);
        if (r < 0)
                return r;
        r = info_add(m, "state", "s", v.state);
        if (r >= 0)
                r = info_add(m, "wanted", "u", v.workers);
        if (r >= 0)
                r = info_add(m, "running", "u", v.running);
        if (r >= 0)
                r = info_add(m, "failed", "u", v.failed);
        if (r >= 0)
                r = info_add(m, "restarts", "u", v.restarts);
        return r < 0 ? r : append_workers(monitor->arbiter, m, monitor);
}

static int append_server(arbiter *a, arbiter_message *m) {
        int r;

        r = info_open_section(m, "server");
        if (r >= 0)
                r = info_add(m, "name", "s", "arbiter");
        if (r >= 0)
                r = info_add(m, "version", "s", arbiter_version());
        if (r >= 0)
                r = info_add(m, "state", "s", arbiter_state_to_string(a->actor->state));
        if (r >= 0)
                r = info_add(m, "uptime", "d",
                                (double) (now_usec() - a->started_usec) / (double) USEC_PER_SEC);
        if (r >= 0)
                r = info_add(m, "process_id", "u", (uint32_t) getpid());
        if (r >= 0)
                r = info_add(m, "number_of_monitors", "u", (uint32_t) map_size(a->monitors_by_name));
        if (r >= 0)
                r = info_add(m, "number_of_actors", "u", (uint32_t) map_size(a->by_aid));
        if (r >= 0)
                r = info_add(m, "cgroup", "s", a->has_cgroup ? a->cgroup_root.path : "");
        if (r >= 0)
                r = info_add(m, "dead_letters", "t", a->actor->statistics.dead_letters);
        return r < 0 ? r : info_close_section(m);
}

int arbiter_append_info(arbiter_actor *actor, arbiter_message *m) {
        arbiter *a = actor->arbiter;
        int r;

        r = arbiter_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_server(a, m);
        if (r >= 0)
                r = append_workers(a, m, NULL);
        if (r >= 0)
                r = info_open_section(m, "monitors");
        LIST_FOREACH(monitor, &a->monitors, arbiter_monitor, monitors) {
                if (r >= 0)
                        r = info_open_section(m, monitor->name);
                if (r >= 0)
                        r = append_monitor(monitor, m);
                if (r >= 0)
                        r = info_close_section(m);
        }
        if (r >= 0)
                r = info_close_section(m);
        if (r >= 0 && a->module && a->module->on_info)
                r = a->module->on_info(actor, m, actor->userdata);
        return r < 0 ? r : arbiter_message_close_container(m);
}

/* A monitor without a module of its own. userdata is the monitor. */

static int on_info(arbiter_actor *a, arbiter_message *info, void *userdata) {
        return append_monitor(userdata, info);
}

/* scale(u workers) -> u before: for its arbiter only, as every change of a monitor. */
static int on_scale(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_monitor *monitor = userdata;
        uint32_t before = monitor->workers, n;
        int r;

        r = arbiter_message_read(m, "u", &n);
        if (r >= 0)
                r = arbiter_monitor_scale(monitor, n, NULL);
        return r < 0 ? r : arbiter_message_reply(m, "u", before);
}

enum { CHANGE = ARBITER_COMMAND_SYSTEM | ARBITER_COMMAND_ARBITER_ONLY };

static const arbiter_command commands[] = {
        ARBITER_COMMAND("scale", "u", "workers", "u", "before", on_scale,
                        CHANGE),
        ARBITER_COMMAND("which_children", "", "", "a(sssssubt)", "children", tree_on_which_children,
                        ARBITER_COMMAND_SYSTEM),
        ARBITER_COMMAND("count_children", "", "", "uuuu", "specs active supervisors workers",
                        tree_on_count_children, ARBITER_COMMAND_SYSTEM),
        ARBITER_COMMAND("add_child", "sss", "definition name before", "", "", tree_on_add_child, CHANGE),
        ARBITER_COMMAND("remove_child", "s", "child", "", "", tree_on_remove_child, CHANGE),
        ARBITER_COMMAND("terminate_child", "s", "child", "", "", tree_on_terminate_child, CHANGE),
        ARBITER_COMMAND("restart_child", "s", "child", "", "", tree_on_restart_child, CHANGE),
        ARBITER_COMMANDS_END,
};

const arbiter_module monitor_default_module = {
        ARBITER_MODULE_HEAD,
        .name = "monitor",
        .commands = commands,
        .on_info = on_info,
};
