/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of a monitor's own actor about its children, in OTP's words: who is there may be asked by
 * everybody, changes are for its arbiter, and so for an operator. Called by the dispatcher. */

#include "arbiter/internal.h"

static int append_child(arbiter_message *m, const arbiter_child_info *i) {
        return arbiter_message_append(m, "(sssssubt)", i->name, i->is_monitor ? "monitor" : "actor",
                        arbiter_restart_to_string(i->restart), i->state, i->aid, (uint32_t) i->pid,
                        (int) i->significant, i->restarts);
}

int tree_on_which_children(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        _cleanup_free_ arbiter_child_info *children = NULL;
        const arbiter_monitor *monitor = userdata;
        size_t n = 0;
        int r;

        r = control_list_children(monitor->arbiter, monitor->name, &children, &n);
        if (r >= 0)
                r = arbiter_message_new(&reply);
        if (r >= 0)
                r = arbiter_message_open_container(reply, 'a', "(sssssubt)");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_child(reply, children + i);
        if (r >= 0)
                r = arbiter_message_close_container(reply);
        return r < 0 ? r : arbiter_message_reply_message(m, reply);
}

int tree_on_count_children(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_child_counts n = { .size = sizeof(n) };
        int r;

        r = arbiter_monitor_count_children(userdata, &n);
        return r < 0 ? r : arbiter_message_reply(m, "uuuu", n.specs, n.active, n.supervisors, n.workers);
}

static void on_done(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;

        if (f->outcome == ARBITER_OUTCOME_REPLY)
                (void) arbiter_message_reply(m, "");
        else
                (void) arbiter_message_reply_error(m, arbiter_future_get_error_name(f),
                                arbiter_future_get_error_text(f));
        arbiter_message_unref(m);
}

static int answer_when_done(arbiter_future *f, arbiter_message *m) {
        int r;

        arbiter_message_ref(m);
        r = future_then_now(f, on_done, m);
        if (r < 0)
                arbiter_message_unref(m);
        return r;
}

int tree_on_add_child(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        const char *definition, *name, *before;
        arbiter_monitor *monitor = userdata;
        int r;

        r = arbiter_message_read(m, "sss", &definition, &name, &before);
        if (r >= 0)
                r = control_add_child(monitor->arbiter, monitor->name, definition, name, before, &f);
        return r < 0 ? r : answer_when_done(f, m);
}

static int on_verb(arbiter_message *m, arbiter_monitor *monitor,
                int (*verb)(arbiter_monitor *m, const char *name, arbiter_future **ret)) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        const char *name;
        int r;

        r = arbiter_message_read(m, "s", &name);
        if (r >= 0)
                r = verb(monitor, name, &f);
        return r < 0 ? r : answer_when_done(f, m);
}

int tree_on_remove_child(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return on_verb(m, userdata, arbiter_monitor_remove_child);
}

int tree_on_terminate_child(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return on_verb(m, userdata, arbiter_monitor_terminate_child);
}

int tree_on_restart_child(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return on_verb(m, userdata, arbiter_monitor_restart_child);
}
