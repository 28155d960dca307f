/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What faces may ask of an arbiter: see control.h. Views are made on demand from what is there; nothing
 * is kept for them. */

#include <signal.h>
#include <stdio.h>

#include "arbiter/internal.h"
#include "basic/parse.h"

enum { USAGE_USEC = 500 * 1000 };

static uint32_t restarts_of(const struct child *c) {
        return c->generation > 0 ? c->generation - 1 : 0;
}

static void fill_view(struct child *c, struct actor_view *v) {
        *v = (struct actor_view){
                .aid = c->aid_string.s,
                .name = c->name,
                .monitor = c->set && c->set->monitor ? c->set->monitor->name : "",
                .description = c->spawn && c->spawn->description ? c->spawn->description : "",
                .program = spawn_program(c->spawn),
                .concurrency = c->concurrency,
                .state = c->state,
                .generation = c->generation,
                .pid = c->process.pid,
                .started_usec = c->started_usec,
                .last_notified_usec = c->last_heard_usec,
                .restarts = restarts_of(c),
                .mailbox_queued = c->inline_actor ? c->inline_actor->n_queued : c->mailbox_queued,
                .status = c->status ? c->status : "",
                .requests_begun = c->load.report.begun,
                .requests_done = c->load.report.done,
                .draining = c->load.draining && c->state == ARBITER_STATE_RUNNING,
                .last_reason = c->last_reason,
                .last_status = c->last_status,
                .plain = c->plain,
                .ready = child_is_ready(c),
        };
}

int control_get_actor(arbiter *a, const char *aid_or_name, struct actor_view *ret) {
        struct child *c = child_find(a, aid_or_name);

        if (!c || c->monitor_actor)
                return -ESRCH;
        fill_view(c, ret);
        return 0;
}

void control_get_usage(arbiter *a, const char *id, struct actor_usage *ret) {
        struct cgroup_usage u = { .cpu_usec = CGROUP_UNKNOWN, .memory_current = CGROUP_UNKNOWN };
        struct child *c = child_find(a, id);
        usec_t now = now_usec();

        *ret = (struct actor_usage){ .memory_bytes = UINT64_MAX, .cpu_usec = UINT64_MAX };
        if (!c || !cgroup_leaf_exists(child_leaf(c)))
                return;
        if (c->usage_usec == 0 || now - c->usage_usec >= USAGE_USEC) {
                (void) cgroup_leaf_read_usage(child_leaf(c), &u);
                c->usage = (struct actor_usage){ .memory_bytes = u.memory_current, .cpu_usec = u.cpu_usec };
                c->usage_usec = now;
        }
        *ret = c->usage;
}

static const char *const breakers[] = {
        [SUPERVISE_BREAKER_CLOSED] = "closed",
        [SUPERVISE_BREAKER_OPEN] = "open",
        [SUPERVISE_BREAKER_HALF_OPEN] = "half-open",
};

static const char *roll_reason(const arbiter_roll *roll) {
        if (roll->failing == 0)
                return "";
        return roll->failing == roll->waiting ? "not-ready" : arbiter_reason_to_string(roll->reason);
}

static void fill_monitor(arbiter_monitor *m, struct monitor_view *v) {
        arbiter_roll roll = { .size = sizeof(roll) };
        supervise_info i = {};

        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        (void) arbiter_monitor_get_roll(m, &roll);
        *v = (struct monitor_view){
                        .aid = m->child ? m->child->aid_string.s : "",
                        .name = m->name,
                        .description = m->description ? m->description : "",
                        .state = tree_state(m),
                        .strategy = arbiter_strategy_to_string((arbiter_strategy) m->policy.strategy),
                        .parent = m->tree.place ? m->tree.place->parent->name : "",
                        .workers = monitor_is_pool(m) ? m->workers : i.n_wanted,
                        .running = i.n[SUPERVISE_SLOT_RUNNING],
                        .failed = i.n[SUPERVISE_SLOT_FAILED],
                        .backoff = i.n[SUPERVISE_SLOT_BACKOFF],
                        /* Of a pool also those of workers that have left it: what is counted never
                         * becomes less. */
                        .restarts = (uint32_t) (monitor_is_pool(m) ? m->set.sums.restarts : i.restarts),
                        .revision = (uint32_t) m->revision,
                        .draining = i.n[SUPERVISE_SLOT_DRAINING],
                        .load = m->load.percent,
                        .backlog = m->load.backlog,
                        .workers_min = m->policy.workers_min,
                        .workers_max = m->policy.workers_max,
                        .next_attempt_usec = i.n[SUPERVISE_SLOT_BACKOFF] > 0 && i.due != NSEC_INFINITY
                                                             ? i.due / NSEC_PER_USEC
                                                             : 0,
                        .roll_state = arbiter_roll_state_to_string(roll.state),
                        .roll_replaced = roll.replaced,
                        .roll_left = roll.left,
                        .roll_failing = roll.failing,
                        .roll_reason = roll_reason(&roll),
                        .roll_status = roll.failing > 0 ? roll.status : 0,
                        .roll_waiting = roll.waiting,
                        .roll_deadline_usec = roll.deadline_usec,
                        .breaker = breakers[i.breaker],
        };
}

int control_get_monitor(arbiter *a, const char *name, struct monitor_view *ret) {
        arbiter_monitor *m = arbiter_find_monitor(a, name);

        if (!m)
                return -ESRCH;
        fill_monitor(m, ret);
        return 0;
}

int control_list_actors(arbiter *a, struct actor_view **ret, size_t *ret_n) {
        struct actor_view *v = calloc(map_size(a->by_aid) + 1, sizeof(*v));
        size_t n = 0;

        if (!v)
                return -ENOMEM;
        LIST_FOREACH(c, &a->children, struct child, children)
                if (!c->monitor_actor)
                        fill_view(c, &v[n++]);
        *ret = v;
        *ret_n = n;
        return 0;
}

bool control_next_actor(arbiter *a, void **position, struct actor_view *ret) {
        struct list_node *node = *position ? *position : &a->children;

        for (node = node->next; node != &a->children; node = node->next) {
                struct child *c = LIST_ENTRY(node, struct child, children);

                if (c->monitor_actor)
                        continue;
                fill_view(c, ret);
                *position = node;
                return true;
        }
        return false;
}

int control_list_monitors(arbiter *a, struct monitor_view **ret, size_t *ret_n) {
        struct monitor_view *v = calloc(map_size(a->monitors_by_name) + 1, sizeof(*v));
        size_t n = 0;

        if (!v)
                return -ENOMEM;
        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors)
                fill_monitor(m, &v[n++]);
        *ret = v;
        *ret_n = n;
        return 0;
}

int control_list_definitions(arbiter *a, const char ***ret, size_t *ret_n) {
        const char **names = calloc(map_size(a->definitions) + 1, sizeof(char *));
        void *position = NULL;
        arbiter_spawn *s;
        size_t n = 0;

        if (!names)
                return -ENOMEM;
        while ((s = map_next(a->definitions, &position)))
                names[n++] = s->name;
        *ret = names;
        *ret_n = n;
        return 0;
}

/* Verbs. */

/* A worker's place, or one that would be restarted, is held; a lone temporary one is forgotten with its
 * end. */
static bool stays_known(const struct child *c) {
        supervise_slot_info i;

        return c->set->monitor ||
               (supervise_get_slot(c->set->supervise, c->slot, &i) >= 0 && i.restart != SUPERVISE_TEMPORARY);
}

void control_wish(struct child *c, bool restart) {
        if (!c->set)
                return;
        (void) set_handle(c->set, &(supervise_event){
                                                 .type = restart          ? SUPERVISE_RESTART_CHILD
                                                         : stays_known(c) ? SUPERVISE_STOP_CHILD
                                                                          : SUPERVISE_REMOVE_CHILD,
                                                 .slot = c->slot,
                                 });
}

/* A slot by the name of whoever lives in it, or would: one that is held, failed or in backoff has nobody
 * at the moment. */
int control_find_slot(arbiter *a, const char *target, struct set **ret_set, uint32_t *ret_slot) {
        const char *dot = strchr(target, '.');
        struct child *c = child_find(a, target);
        supervise_slot_info info;
        const struct tree_child *k;
        struct set *s = &a->root;
        uint32_t slot = 0;

        if (!c && !qualified_name_is_valid(target))
                return -ESRCH;
        if (c && !c->set)
                return -EOPNOTSUPP; /* a monitor's own actor, a host */
        if (c) {
                *ret_set = c->set;
                *ret_slot = c->slot;
                return 0;
        }
        if (dot) {
                _cleanup_free_ char *name = strndup(target, (size_t) (dot - target));
                arbiter_monitor *m = name ? arbiter_find_monitor(a, name) : NULL;
                uint64_t n;

                if (!m || !m->started || parse_u64_range(dot + 1, 1, SUPERVISE_SLOTS_MAX, &n) < 0)
                        return -ESRCH;
                s = &m->set;
                slot = (uint32_t) n;
        }
        k = tree_find(a, target);
        if (k) {
                s = &k->parent->set;
                slot = k->slot;
        }
        if (!dot && !k)
                slot = root_find_slot(a, target);
        if (slot == 0 || supervise_get_slot(s->supervise, slot, &info) < 0)
                return -ESRCH;
        *ret_set = s;
        *ret_slot = slot;
        return 0;
}

/* Nobody to stop just now: it stays down, and that is all. */
static int hold_slot(arbiter *a, struct set *s, uint32_t slot, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = future_new(a->actor, &f);
        if (r < 0)
                return r;
        r = set_handle(s, &(supervise_event){ .type = SUPERVISE_STOP_CHILD, .slot = slot });
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        set_slot_settle(s, slot, "it was stopped before it was started");
        future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
        *ret = TAKE_PTR(f);
        return 0;
}

int control_stop(arbiter *a, const char *target, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_monitor *m = arbiter_find_monitor(a, target);
        struct set *s;
        struct child *c;
        uint32_t slot;
        int r;

        if (m && m->tree.place)
                return tree_terminate(m->tree.place, ret);
        if (m) {
                state_mark_rest(a, m->name, true, true);
                return arbiter_monitor_stop(m, ret);
        }
        c = child_find(a, target);
        if (!c) {
                r = control_find_slot(a, target, &s, &slot);
                return r < 0 ? r : hold_slot(a, s, slot, ret);
        }
        r = future_new(a->actor, &f);
        if (r < 0)
                return r;
        r = child_stop(c, f); /* first who waits; then the decision that it stays down */
        if (r >= 0 && c->set) {
                set_slot_settle(c->set, c->slot, "it was stopped before it was started");
                control_wish(c, false);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

static int kill_one(struct child *c, int signal) {
        if (signal == SIGKILL) {
                child_kill(c, ARBITER_REASON_KILLED);
                return 0;
        }
        if (c->unit)
                return unit_signal(c, signal);
        return c->process.pid > 0 ? process_signal(&c->process, signal) : -EOPNOTSUPP;
}

int control_kill(arbiter *a, const char *target, int signal) {
        arbiter_monitor *m = arbiter_find_monitor(a, target);
        struct child *c;
        int r = 0;

        if (signal <= 0 || signal > SIGRTMAX)
                return -EINVAL;
        if (!m) {
                c = child_find(a, target);
                return c ? kill_one(c, signal) : -ESRCH;
        }
        for (uint32_t i = 1; i < m->set.n_slots; i++) {
                const struct set_slot *k = &m->set.slots[i];
                int q = 0;

                if (k->tree && k->tree->monitor)
                        q = control_kill(a, k->tree->monitor->name, signal);
                else if (k->child)
                        q = kill_one(k->child, signal);
                if (r >= 0)
                        r = q;
        }
        return r;
}

/* Why it cannot be started is the handler's to say: as the outcome, for all other errors have words of their
 * own. */
static int start_unknown(arbiter *a, const char *target, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_free_ char *text = NULL;
        int r, q;

        r = a->start_handler(a, target, ret, &text, a->start_userdata);
        if (r >= 0 || r == -ESRCH || !text)
                return r;
        q = future_new(a->actor, &f);
        if (q < 0)
                return q;
        future_fail(f, ARBITER_OUTCOME_CANCELLED, "%s", text);
        *ret = TAKE_PTR(f);
        return 0;
}

int control_restart(arbiter *a, const char *target, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_monitor *m = arbiter_find_monitor(a, target);
        struct set_slot *k;
        struct set *s;
        uint32_t slot;
        int r;

        if (m && m->stopping && a->actor->state < ARBITER_STATE_STOPPING)
                return -EBUSY; /* it goes: who asks when it is gone has it started */
        if (m)
                return arbiter_monitor_restart(m, NULL, ret);
        r = control_find_slot(a, target, &s, &slot);
        if (r == -ESRCH && a->start_handler)
                return start_unknown(a, target, ret);
        if (r >= 0)
                r = set_reserve(s, slot);
        if (r < 0)
                return r;
        if (s->monitor && !tree_is_up(s->monitor))
                return -ESHUTDOWN;
        /* For the next life in this slot: all who ask for it wait for the same. */
        k = &s->slots[slot];
        if (!k->future) {
                r = future_new(a->actor, &k->future);
                if (r < 0)
                        return r;
        }
        f = arbiter_future_ref(k->future);
        r = set_handle(s, &(supervise_event){ .type = SUPERVISE_RESTART_CHILD, .slot = slot });
        if (r < 0) {
                set_slot_settle(s, slot, "it cannot be restarted");
                return r == -ENOENT ? -ESRCH : r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

int control_abort_roll(arbiter *a, const char *monitor, arbiter_future **ret) {
        arbiter_monitor *m = arbiter_find_monitor(a, monitor);

        return m ? arbiter_monitor_abort_roll(m, ret) : -ESRCH;
}

int control_scale(arbiter *a, const char *monitor, uint32_t workers, uint32_t *ret_before,
                arbiter_future **ret) {
        arbiter_monitor *m = arbiter_find_monitor(a, monitor);
        uint32_t before;
        int r;

        if (!m)
                return -ESRCH;
        before = m->workers;
        r = arbiter_monitor_scale(m, workers, ret);
        if (r >= 0)
                *ret_before = before;
        return r;
}

int control_spawn(arbiter *a, const char *definition, const char *name, const char *const *parameters,
                const char *const *exec, arbiter_future **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_spawn *d;
        int r;

        if (exec) {
                r = name ? arbiter_spawn_new(a, name, &s) : -EINVAL;
                if (r >= 0)
                        r = arbiter_spawn_set_exec(s, exec, ARBITER_EXEC_EXEC);
                for (; r >= 0 && parameters && *parameters; parameters++) {
                        _cleanup_free_ char *copy = strdup(*parameters);
                        char *equals = copy ? strchr(copy, '=') : NULL;

                        if (!equals)
                                return copy ? -EINVAL : -ENOMEM;
                        *equals = 0;
                        r = arbiter_spawn_set_environment(s, copy, equals + 1);
                }
        } else {
                d = definition ? map_get_string(a->definitions, definition) : NULL;
                if (!d)
                        return -ENOENT;
                r = spawn_instance(d, name, parameters, &s);
        }
        return r < 0 ? r : spawn_start_as(s, NULL, NULL, true, ret);
}

int control_send(arbiter *a, const char *target, const char *command, arbiter_message *m,
                const arbiter_send_options *options, arbiter_future **ret) {
        return arbiter_send_with(a->actor, target, command, m, options, ret);
}

/* Commands. */

static const arbiter_command *find_in(const arbiter_command *c, const char *name) {
        for (; c && c->name; c++)
                if (streq(c->name, name))
                        return c;
        return NULL;
}

static const arbiter_command *own_table(const arbiter *a, const struct child *c) {
        if (!c)
                return a->module ? a->module->commands : NULL;
        return c->inline_actor && c->inline_actor->module ? c->inline_actor->module->commands : NULL;
}

static int find_target(arbiter *a, const char *target, struct child **ret) {
        *ret = NULL;
        if (streq(target, "arbiter"))
                return 0;
        *ret = child_find(a, target);
        if (!*ret)
                return -ESRCH;
        return (*ret)->plain ? plain_ensure_stub(*ret) : 0;
}

/* What the actor has said that it has, or a worker of the pool; if nobody is there, one who was. */
static const struct commands_table *find_commands(arbiter *a, const char *target, const struct child *c) {
        const struct child *spokesman = pool_spokesman(a, target);
        const arbiter_monitor *pool = pool_find(a, target);
        const struct commands_table *t = NULL;

        if (spokesman)
                return spokesman->commands;
        if (!pool)
                return c ? c->commands : names_get_commands(a, target);
        for (uint32_t i = 1; !t && i < pool->set.n_slots; i++) {
                char name[QUALIFIED_NAME_SIZE];

                (void) snprintf(name, sizeof(name), "%s.%" PRIu32, target, i);
                t = names_get_commands(a, name);
        }
        return t;
}

/* Why a command is not known: nobody has it, or nobody is there to ask. */
static int explain_unknown(arbiter *a, const char *target, const struct child *c) {
        arbiter_monitor *pool = pool_find(a, target);

        if (c && c->relink)
                return -ETIMEDOUT; /* it has not told us what it has yet */
        if (pool && !pool_spokesman(a, target))
                return pool_has_hope(pool) ? -EAGAIN : -EHOSTDOWN;
        return c && c->state >= ARBITER_STATE_RUNNING ? -ENOENT : -EAGAIN;
}

int control_get_command(arbiter *a, const char *target, const char *command, const char **ret_arguments,
                const char **ret_result) {
        const struct commands_table *t;
        const arbiter_command *k;
        bool is_arbiter;
        struct child *c;
        int r;

        r = find_target(a, target, &c);
        is_arbiter = r >= 0 && !c;
        if (r == -ESRCH && route_has_future(a, target))
                r = 0;
        if (r < 0)
                return r;
        k = find_in(actor_standard_commands, command);
        if (!k && (c || is_arbiter))
                k = find_in(own_table(a, c), command);
        if (!k && is_arbiter)
                k = find_in(arbiter_commands, command);
        if (k) {
                *ret_arguments = k->arguments ? k->arguments : "";
                *ret_result = k->result ? k->result : "";
                return 0;
        }
        if (is_arbiter)
                return -ENOENT;
        t = find_commands(a, target, c);
        for (size_t i = 0; t && i < t->n_views; i++)
                if (streq(t->views[i].name, command)) {
                        *ret_arguments = t->views[i].arguments;
                        *ret_result = t->views[i].result;
                        return 0;
                }
        return t ? -ENOENT : explain_unknown(a, target, c);
}

static size_t add_table(struct command_view *v, size_t n, const arbiter_command *c) {
        for (; c && c->name; c++)
                v[n++] = (struct command_view){
                        .name = c->name,
                        .arguments = c->arguments ? c->arguments : "",
                        .argument_names = c->argument_names ? c->argument_names : "",
                        .result = c->result ? c->result : "",
                        .result_names = c->result_names ? c->result_names : "",
                        .flags = c->flags,
                };
        return n;
}

static size_t table_size(const arbiter_command *c) {
        size_t n = 0;

        while (c && c[n].name)
                n++;
        return n;
}

int control_list_commands(arbiter *a, const char *target, struct command_view **ret, size_t *ret_n) {
        const arbiter_command *own, *arbiters;
        struct command_view *v;
        struct child *c;
        size_t n, told;
        int r;

        r = find_target(a, target, &c);
        if (r < 0)
                return r;
        own = own_table(a, c);
        arbiters = c ? NULL : arbiter_commands;
        told = c && c->commands && !own ? c->commands->n_views : 0;
        v = calloc(table_size(actor_standard_commands) + table_size(own) + table_size(arbiters) + told + 1,
                        sizeof(*v));
        if (!v)
                return -ENOMEM;
        n = add_table(v, 0, actor_standard_commands);
        n = add_table(v, n, arbiters);
        n = add_table(v, n, own);
        for (size_t i = 0; i < told; i++)
                v[n++] = c->commands->views[i];
        *ret = v;
        *ret_n = n;
        return 0;
}

void control_turn_begin(arbiter *a) {
        a->actor->batch_depth++;
}

void control_turn_end(arbiter *a) {
        a->actor->batch_depth--;
        actor_turn_end(a->actor);
}

/* Observers. */

void control_subscribe(arbiter *a, struct control_observer *o) {
        list_append(&a->observers, &o->observers);
}

void control_unsubscribe(struct control_observer *o) {
        list_remove(&o->observers);
}

void control_actor_new(struct child *c) {
        struct actor_view v;

        status_count_start(c);
        if (c->monitor_actor || list_is_empty(&c->arbiter->observers))
                return;
        fill_view(c, &v);
        LIST_FOREACH(o, &c->arbiter->observers, struct control_observer, observers)
                if (o->actor_new)
                        o->actor_new(&v, o->userdata);
}

void control_actor_changed(struct child *c) {
        struct actor_view v;

        if (c->counted && c->counted_state != c->state)
                status_count_child(c, true);
        if (c->monitor_actor || list_is_empty(&c->arbiter->observers))
                return;
        fill_view(c, &v);
        LIST_FOREACH(o, &c->arbiter->observers, struct control_observer, observers)
                if (o->actor_changed)
                        o->actor_changed(&v, o->userdata);
}

void control_actor_gone(struct child *c, arbiter_reason reason, int status) {
        struct actor_view v;

        if (c->monitor_actor || list_is_empty(&c->arbiter->observers))
                return;
        fill_view(c, &v);
        LIST_FOREACH(o, &c->arbiter->observers, struct control_observer, observers)
                if (o->actor_gone)
                        o->actor_gone(&v, reason, status, o->userdata);
}

static void each_monitor(arbiter_monitor *m, bool new) {
        struct monitor_view v;

        if (!m->arbiter || list_is_empty(&m->arbiter->observers))
                return;
        fill_monitor(m, &v);
        LIST_FOREACH(o, &m->arbiter->observers, struct control_observer, observers) {
                void (*tell)(const struct monitor_view *, void *) =
                                new ? o->monitor_new : o->monitor_changed;

                if (tell)
                        tell(&v, o->userdata);
        }
}

void control_monitor_new(arbiter_monitor *m) {
        each_monitor(m, true);
}

void control_monitor_changed(arbiter_monitor *m) {
        each_monitor(m, false);
}

void control_monitor_gone(arbiter *a, const char *name) {
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                if (o->monitor_gone)
                        o->monitor_gone(name, o->userdata);
}

void control_log(arbiter *a, int level, const char *format, ...) {
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        arbiter_log(a, level, NULL, NULL, "%s", text);
}
