/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What faces may ask of a monitor of different children, and do to it: see control.h. Called by src/bus and
 * by the commands of the monitor's own actor. Answers are made from memory, whatever hangs. */

#include "arbiter/internal.h"

static int find_tree(arbiter *a, const char *monitor, arbiter_monitor **ret) {
        arbiter_monitor *m = arbiter_find_monitor(a, monitor);

        if (!m)
                return -ESRCH;
        *ret = m;
        return 0;
}

/* The workers of a pool, those included that do not live now; their names are behind the list. */
static int list_workers(arbiter_monitor *m, arbiter_child_info **ret, size_t *ret_n) {
        char (*names)[QUALIFIED_NAME_SIZE];
        supervise_info info = {};
        arbiter_child_info *list;
        size_t n = 0;

        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &info);
        list = calloc(info.slot_max + 1, sizeof(*list) + sizeof(*names));
        if (!list)
                return -ENOMEM;
        names = (void *) (list + info.slot_max + 1);
        for (uint32_t slot = 1; slot <= info.slot_max; slot++) {
                supervise_slot_info i;

                if (supervise_get_slot(m->set.supervise, slot, &i) < 0 ||
                                slot_name(&m->set, slot, names[n]) < 0)
                        continue;
                tree_worker_info(m, slot, names[n], list + n);
                n++;
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

int control_list_children(arbiter *a, const char *monitor, arbiter_child_info **ret, size_t *ret_n) {
        arbiter_child_info info = { .size = sizeof(info) }, *list;
        const char *after = NULL;
        arbiter_monitor *m;
        size_t n = 0;
        int r;

        r = find_tree(a, monitor, &m);
        if (r < 0)
                return r;
        if (monitor_is_pool(m))
                return list_workers(m, ret, ret_n);
        LIST_FOREACH(k, &m->tree.children, struct tree_child, children)
                n++;
        list = calloc(n + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        for (n = 0; arbiter_monitor_next_child(m, after, &info) > 0; after = info.name)
                list[n++] = info;
        *ret = list;
        *ret_n = n;
        return 0;
}

int control_count_children(arbiter *a, const char *monitor, arbiter_child_counts *ret) {
        arbiter_monitor *m;
        int r;

        r = find_tree(a, monitor, &m);
        return r < 0 ? r : arbiter_monitor_count_children(m, ret);
}

int control_add_child(arbiter *a, const char *monitor, const char *definition, const char *name,
                const char *before, arbiter_future **ret) {
        const arbiter_child_spec spec = { .size = sizeof(spec), .before = *before ? before : NULL };
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_spawn *d = map_get_string(a->definitions, definition);
        arbiter_monitor *m;
        int r;

        r = find_tree(a, monitor, &m);
        if (r >= 0 && monitor_is_pool(m))
                r = -EOPNOTSUPP;
        if (r >= 0)
                r = d ? spawn_instance(d, *name ? name : NULL, NULL, &s) : -ENOENT;
        if (r >= 0 && d->restart_set)
                r = arbiter_spawn_set_restart(s, d->restart);
        return r < 0 ? r : arbiter_monitor_add_actor(m, s, &spec, ret);
}

static int of_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret,
                int (*verb)(arbiter_monitor *m, const char *name, arbiter_future **ret)) {
        arbiter_monitor *m;
        int r;

        r = find_tree(a, monitor, &m);
        if (r >= 0 && monitor_is_pool(m))
                r = -EOPNOTSUPP;
        return r < 0 ? r : verb(m, child, ret);
}

int control_remove_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret) {
        return of_child(a, monitor, child, ret, arbiter_monitor_remove_child);
}

int control_terminate_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret) {
        return of_child(a, monitor, child, ret, arbiter_monitor_terminate_child);
}

int control_restart_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret) {
        return of_child(a, monitor, child, ret, arbiter_monitor_restart_child);
}
