/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake-control.h. Like the real one it calls back from the loop only, and checks little: what a face
 * lets through is the face's to prove. */

#include <stdio.h>

#include "fake-control.h"
#include "wire/message.h"

struct callback {
        struct callback *next;
        arbiter_future_callback_t function;
        void *userdata;
};

struct arbiter_future {
        unsigned n_ref;
        arbiter *arbiter;
        bool resolved;
        arbiter_outcome outcome;
        char *error_name, *error_text;
        arbiter_message *reply;
        char id[AID_SIZE + 1];
        struct callback *callbacks;
        sd_event_source *defer;
};

/* The made-up arbiter has memory, also where one allocation fails on purpose. */
static void *allocate(size_t size) {
        void *p = NULL;

        for (unsigned i = 0; i < 2 && !p; i++)
                p = calloc(1, size);
        if (!p)
                abort();
        return p;
}

static arbiter_future *future_new(arbiter *a) {
        arbiter_future *f = allocate(sizeof(*f));

        f->n_ref = 1;
        f->arbiter = a;
        a->n_futures++;
        return f;
}

arbiter_future *arbiter_future_ref(arbiter_future *f) {
        f->n_ref++;
        return f;
}

arbiter_future *arbiter_future_unref(arbiter_future *f) {
        if (!f || --f->n_ref > 0)
                return NULL;
        f->arbiter->n_futures--;
        sd_event_source_disable_unref(f->defer);
        arbiter_message_unref(f->reply);
        free(f->error_name);
        free(f->error_text);
        while (f->callbacks) {
                struct callback *next = f->callbacks->next;

                free(f->callbacks);
                f->callbacks = next;
        }
        free(f);
        return NULL;
}

bool arbiter_future_is_pending(arbiter_future *f) {
        return !f->resolved;
}

static int on_defer(sd_event_source *s, void *userdata) {
        arbiter_future *f = userdata;

        while (f->callbacks) {
                struct callback *c = f->callbacks;

                f->callbacks = c->next;
                c->function(f, c->userdata);
                free(c);
        }
        arbiter_future_unref(f); /* the loop's */
        return 0;
}

static void schedule(arbiter_future *f) {
        if (f->defer)
                return;
        if (sd_event_add_defer(f->arbiter->event, &f->defer, on_defer, f) < 0)
                abort();
        arbiter_future_ref(f);
}

int arbiter_future_then(arbiter_future *f, arbiter_future_callback_t callback, void *userdata) {
        struct callback *c = calloc(1, sizeof(*c)), **at = &f->callbacks;

        if (!c)
                return -ENOMEM;
        c->function = callback;
        c->userdata = userdata;
        while (*at)
                at = &(*at)->next;
        *at = c;
        if (f->resolved)
                schedule(f);
        return 0;
}

/* Its request goes from wherever it is in the list. */
int arbiter_future_cancel(arbiter_future *f) {
        arbiter *a = f->arbiter;

        if (f->resolved)
                return -EALREADY;
        for (struct fake_request **at = &a->requests; *at; at = &(*at)->next) {
                struct fake_request *q = *at;

                if (q->future != f)
                        continue;
                *at = q->next;
                q->next = a->requests;
                a->requests = q;
                for (a->last = q; a->last->next; a->last = a->last->next)
                        ;
                a->n_cancelled++;
                fake_fail(a, ARBITER_OUTCOME_CANCELLED, NULL, NULL);
                return 0;
        }
        return -EALREADY;
}

void control_log(arbiter *a, int level, const char *format, ...) {
        size_t size = strlen(a->log);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(a->log + size, sizeof(a->log) - size, format, ap);
        va_end(ap);
        size = strlen(a->log);
        (void) snprintf(a->log + size, sizeof(a->log) - size, "\n");
}

arbiter_outcome arbiter_future_get_outcome(arbiter_future *f) {
        return f->resolved ? f->outcome : ARBITER_OUTCOME_CANCELLED;
}

const char *arbiter_future_get_error_name(arbiter_future *f) {
        return f->error_name;
}

const char *arbiter_future_get_error_text(arbiter_future *f) {
        return f->error_text;
}

int arbiter_future_get_reply(arbiter_future *f, arbiter_message **ret) {
        if (!f->resolved)
                return -EBUSY;
        if (f->outcome != ARBITER_OUTCOME_REPLY)
                return arbiter_outcome_to_errno(f->outcome);
        *ret = f->reply;
        return 0;
}

const char *arbiter_future_get_aid(arbiter_future *f) {
        return f->id;
}

sd_event *arbiter_get_event(arbiter *a) {
        return a->event;
}

const char *arbiter_version(void) {
        return "1.2.3";
}

const char *arbiter_state_to_string(arbiter_state state) {
        return state == ARBITER_STATE_RUNNING    ? "running"
               : state == ARBITER_STATE_STOPPING ? "stopping"
                                                 : "starting";
}

const char *arbiter_concurrency_to_string(arbiter_concurrency c) {
        return c == ARBITER_CONCURRENCY_PROCESS ? "process" : "thread";
}

int arbiter_routing_from_string(const char *s, arbiter_routing *ret) {
        if (!streq(s, "broadcast"))
                return -EINVAL;
        *ret = ARBITER_ROUTING_BROADCAST;
        return 0;
}

int arbiter_plan_reload(arbiter *a, arbiter_message *plan) {
        a->n_plans++;
        return a->reload_result < 0 ? a->reload_result
                                    : arbiter_message_append(plan, "a(sss)", 1, "web", "scale", "2 to 3");
}

int arbiter_reload(arbiter *a, char **ret_text) {
        a->n_reloads++;
        if (a->reload_result < 0)
                *ret_text = strdup("web.monitor:3: no such key \"Wrokers\".");
        return a->reload_result;
}

arbiter *fake_new(size_t n_actors) {
        arbiter *a = calloc(1, sizeof(*a));

        if (!a || sd_event_new(&a->event) < 0)
                abort();
        list_init(&a->observers);
        a->actors = calloc(n_actors + 1, sizeof(*a->actors));
        a->n_actors = n_actors;
        for (size_t i = 0; i < n_actors; i++) {
                struct fake_actor *f = &a->actors[i];

                (void) snprintf(f->id, sizeof(f->id), i % 2 == 0 ? "a%07zu" : "7%07zu", i % 10000000);
                (void) snprintf(f->name, sizeof(f->name), "web.%zu", i + 1);
                f->view = (struct actor_view){
                        .aid = f->id,
                        .name = f->name,
                        .monitor = "web",
                        .description = "Web worker",
                        .program = "/bin/web",
                        .concurrency = ARBITER_CONCURRENCY_PROCESS,
                        .state = ARBITER_STATE_RUNNING,
                        .generation = 2,
                        .pid = (pid_t) (1000 + i),
                        .started_usec = now_usec(),
                        .last_notified_usec = 7,
                        .restarts = 1,
                        .mailbox_queued = 3,
                        .status = "",
                        .last_reason = ARBITER_REASON_SIGNAL,
                        .last_status = 9,
                        .plain = true,
                };
        }
        static const char *const no_files[] = { NULL };

        a->view = (struct arbiter_view){
                .state = "running", .instance = "system", .cgroup = "/x", .failed_files = no_files
        };
        for (size_t i = 0; i < ELEMENTSOF(a->deaths); i++)
                a->deaths[a->n_deaths++] = (struct death_view){
                        .when_usec = 1700000000000000 - i,
                        .aid = "a0000000",
                        .name = "web.1",
                        .monitor = "web",
                        .generation = 9 - (uint32_t) i,
                        .pid = 77,
                        .reason = ARBITER_REASON_EXIT_CODE,
                        .status = 1,
                        .lifetime_usec = 1500000,
                };
        a->monitor = (struct monitor_view){
                .aid = "m0000000",
                .name = "my-web",
                .description = "Web",
                .state = "running",
                .workers = 4,
                .running = 3,
                .failed = 1,
                .backoff = 0,
                .restarts = 12,
                .revision = 1,
                .next_attempt_usec = 99,
                .roll_state = "halted",
                .roll_replaced = 1,
                .roll_left = 3,
                .roll_failing = 4,
                .roll_reason = "exit-code",
                .roll_status = 7,
                .roll_waiting = 5,
                .roll_deadline_usec = 77,
                .breaker = "closed",
        };
        return a;
}

static struct fake_request *take_request(arbiter *a) {
        struct fake_request *q = a->requests;

        if (!q)
                return NULL;
        a->requests = q->next;
        if (!q->next)
                a->last = NULL;
        a->n_requests--;
        return q;
}

static void resolve(arbiter *a, arbiter_outcome outcome, const char *name, const char *text,
                arbiter_message *reply) {
        struct fake_request *q = take_request(a);
        arbiter_future *f;

        if (!q)
                abort();
        f = q->future;
        f->resolved = true;
        f->outcome = outcome;
        f->error_name = name ? strdup(name) : NULL;
        f->error_text = text ? strdup(text) : NULL;
        f->reply = reply ? arbiter_message_ref(reply) : NULL;
        if (f->callbacks)
                schedule(f);
        arbiter_future_unref(f);
        arbiter_message_unref(q->message);
        free(q);
}

arbiter *fake_free(arbiter *a) {
        while (a->requests)
                fake_fail(a, ARBITER_OUTCOME_CANCELLED, NULL, NULL);
        while (sd_event_run(a->event, 0) > 0)
                ;
        sd_event_unref(a->event);
        free(a->actors);
        free(a);
        return NULL;
}

void fake_reply(arbiter *a, arbiter_message *reply) {
        if (reply && message_seal(reply) < 0) /* what has arrived is sealed */
                abort();
        resolve(a, ARBITER_OUTCOME_REPLY, NULL, NULL, reply);
}

void fake_echo(arbiter *a) {
        fake_reply(a, a->requests->message);
}

void fake_fail(arbiter *a, arbiter_outcome outcome, const char *name, const char *text) {
        resolve(a, outcome, name, text, NULL);
}

static struct fake_request *add_request(
                arbiter *a, const char *verb, const char *target, arbiter_future **ret) {
        struct fake_request *q = allocate(sizeof(*q));

        (void) snprintf(q->verb, sizeof(q->verb), "%s", verb);
        (void) snprintf(q->target, sizeof(q->target), "%s", target ?: "");
        q->future = future_new(a);
        *ret = arbiter_future_ref(q->future);
        if (a->last)
                a->last->next = q;
        else
                a->requests = q;
        a->last = q;
        a->n_requests++;
        return q;
}

int control_get_actor(arbiter *a, const char *aid_or_name, struct actor_view *ret) {
        a->n_lookups++;
        for (size_t i = 0; i < a->n_actors; i++)
                if (streq(a->actors[i].id, aid_or_name) || streq(a->actors[i].name, aid_or_name)) {
                        *ret = a->actors[i].view;
                        return 0;
                }
        return -ESRCH;
}

void control_get_usage(arbiter *a, const char *id, struct actor_usage *ret) {
        a->n_usages++;
        *ret = (struct actor_usage){ .memory_bytes = UINT64_MAX, .cpu_usec = 5 };
}

size_t control_get_probes(arbiter *a, const char *id, struct probe_view ret[static PROBE_VIEWS_MAX]) {
        ret[0] = (struct probe_view){
                .kind = "readiness",
                .how = "http 8080/",
                .verdict = "bad",
                .n_good = 3,
                .n_bad = 4,
                .last_usec = 5,
                .text = "status \xff",
                .fact = "status",
        };
        return a->n_probes;
}

void control_format_probes(const struct probe_view *v, size_t n, char *buffer, size_t size) {
        buffer[0] = 0;
        if (n > 0)
                (void) snprintf(buffer, size, "%s: %s", v[0].kind, v[0].verdict);
}

int control_get_monitor(arbiter *a, const char *name, struct monitor_view *ret) {
        if (!a->monitor.name || !streq(a->monitor.name, name))
                return -ESRCH;
        *ret = a->monitor;
        return 0;
}

static int check_target(arbiter *a, const char *target) {
        struct actor_view actor;
        struct monitor_view monitor;

        return control_get_actor(a, target, &actor) >= 0 ? 0 : control_get_monitor(a, target, &monitor);
}

int control_list_actors(arbiter *a, struct actor_view **ret, size_t *ret_n) {
        *ret = calloc(a->n_actors + 1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        for (size_t i = 0; i < a->n_actors; i++)
                (*ret)[i] = a->actors[i].view;
        *ret_n = a->n_actors;
        return 0;
}

bool control_next_actor(arbiter *a, void **position, struct actor_view *ret) {
        struct fake_actor *next = *position ? (struct fake_actor *) *position + 1 : a->actors;

        if (next == a->actors + a->n_actors)
                return false;
        *ret = next->view;
        *position = next;
        return true;
}

int control_list_monitors(arbiter *a, struct monitor_view **ret, size_t *ret_n) {
        *ret = calloc(1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        **ret = a->monitor;
        *ret_n = a->monitor.name ? 1 : 0;
        return 0;
}

int control_list_deaths(arbiter *a, const char *target, struct death_view **ret, size_t *ret_n) {
        if (*target && check_target(a, target) < 0)
                return -ESRCH;
        *ret = calloc(a->n_deaths + 1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        for (*ret_n = 0; *ret_n < a->n_deaths && (!*target || streq(target, "web.1")); (*ret_n)++)
                (*ret)[*ret_n] = a->deaths[*ret_n];
        return 0;
}

int control_list_why(arbiter *a, const char *target, struct why_view **ret, size_t *ret_n) {
        struct why_view *v;

        if (*target && check_target(a, target) < 0)
                return -ESRCH;
        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        *v = (struct why_view){ .state = "backoff",
                .waiting_for = "backoff",
                .since = 1000000,
                .until = 4200000,
                .last_reason = "exit-code",
                .last_status = 1,
                .attempts = 4 };
        (void) snprintf(v->name, sizeof(v->name), "%s", *target ? target : "web.1");
        (void) snprintf(v->text, sizeof(v->text),
                        "%s waits 3.2 s more before its next start: it exited with status 1 four times in "
                        "10 s.",
                        v->name);
        *ret = v;
        *ret_n = 1;
        return 0;
}

int control_get_metrics(arbiter *a, char **ret, size_t *ret_size) {
        *ret = strdup("# TYPE arbiter_monitors gauge\narbiter_monitors 1\n# EOF\n");
        if (!*ret)
                return -ENOMEM;
        *ret_size = strlen(*ret);
        return 0;
}

void control_get_arbiter(arbiter *a, struct arbiter_view *ret) {
        *ret = a->view;
}

int control_list_definitions(arbiter *a, const char ***ret, size_t *ret_n) {
        *ret = calloc(2, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        (*ret)[0] = "clock";
        (*ret)[1] = "web";
        *ret_n = 2;
        return 0;
}

int control_stop(arbiter *a, const char *target, arbiter_future **ret) {
        if (check_target(a, target) < 0)
                return -ESRCH;
        add_request(a, "stop", target, ret);
        return 0;
}

int control_kill(arbiter *a, const char *target, int signal) {
        if (check_target(a, target) < 0)
                return -ESRCH;
        a->kill_signal = signal;
        return 0;
}

int control_restart(arbiter *a, const char *target, arbiter_future **ret) {
        if (check_target(a, target) < 0)
                return -ESRCH;
        add_request(a, "restart", target, ret);
        return 0;
}

int arbiter_reexecute(arbiter *a, arbiter_future **ret) {
        if (a->reexecute_result < 0)
                return a->reexecute_result;
        add_request(a, "reexecute", "arbiter", ret);
        return 0;
}

int control_abort_roll(arbiter *a, const char *monitor, arbiter_future **ret) {
        if (!a->monitor.name || !streq(a->monitor.name, monitor))
                return -ESRCH;
        if (!streq(a->monitor.roll_state, "halted"))
                return -ENOENT;
        add_request(a, "abort", monitor, ret);
        return 0;
}

int arbiter_reload_monitor(arbiter *a, const char *name, arbiter_future **ret, char **ret_text) {
        if (!a->monitor.name || !streq(a->monitor.name, name)) {
                *ret_text = strdup("it has errors");
                return -EBADMSG;
        }
        add_request(a, "reload", name, ret);
        return 0;
}

int control_scale(arbiter *a, const char *monitor, uint32_t workers, uint32_t *ret_before,
                arbiter_future **ret) {
        if (!a->monitor.name || !streq(a->monitor.name, monitor))
                return -ESRCH;
        *ret_before = a->monitor.workers;
        a->monitor.workers = workers;
        add_request(a, "scale", monitor, ret);
        return 0;
}

int control_spawn(arbiter *a, const char *definition, const char *name, const char *const *parameters,
                const char *const *exec, arbiter_future **ret) {
        struct fake_request *q;
        int n;

        if (definition && !streq(definition, "clock"))
                return -ENOENT;
        q = add_request(a, "spawn", name, ret);
        n = snprintf(q->text, sizeof(q->text), "%s|", definition ?: "");
        for (const char *const *p = parameters; p && *p; p++)
                n += snprintf(q->text + n, sizeof(q->text) - (size_t) n, "%s;", *p);
        for (const char *const *p = exec; p && *p; p++)
                n += snprintf(q->text + n, sizeof(q->text) - (size_t) n, "<%s>", *p);
        (void) snprintf(q->future->id, sizeof(q->future->id), "%s", "9spawned");
        return 0;
}

static const struct command_view commands[] = {
        { "ping", "", "", "s", "answer", 0 },
        { "echo", "v", "value", "v", "value", 0 },
        { "square", "x", "n", "x", "result", 0 },
        { "byte", "y", "n", "y", "n", 0 },
        { "short", "n", "n", "n", "n", 0 },
        { "big", "t", "n", "t", "n", 0 },
        { "pair", "yq", "a b", "yq", "a b", 0 },
        { "note", "s", "text", "", "", 0 },
        { "none", "", "", "", "", 0 },
        { "info", "", "", "a{sv}", "info", 0 },
        { "file", "h", "file", "h", "file", 0 },
        { "all", "ybnqiuxtdsoga(nv)a{sv}ayab(u(s))aax", NULL, "ybnqiuxtdsoga(nv)a{sv}ayab(u(s))aax", NULL,
                        0 },
};

int control_list_commands(arbiter *a, const char *target, struct command_view **ret, size_t *ret_n) {
        if (check_target(a, target) < 0)
                return -ESRCH;
        *ret = malloc(sizeof(commands));
        if (!*ret)
                return -ENOMEM;
        memcpy(*ret, commands, sizeof(commands));
        *ret_n = ELEMENTSOF(commands);
        return 0;
}

int control_get_command(arbiter *a, const char *target, const char *command, const char **ret_arguments,
                const char **ret_result) {
        if (check_target(a, target) < 0)
                return -ESRCH;
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (streq(commands[i].name, command)) {
                        *ret_arguments = commands[i].arguments;
                        *ret_result = commands[i].result;
                        return 0;
                }
        return -ENOENT;
}

int control_send(arbiter *a, const char *target, const char *command, arbiter_message *m,
                const arbiter_send_options *options, arbiter_future **ret) {
        struct fake_request *q;

        if (check_target(a, target) < 0)
                return -ESRCH;
        q = add_request(a, "send", target, ret);
        (void) snprintf(q->command, sizeof(q->command), "%s", command);
        q->message = arbiter_message_ref(m);
        q->timeout = options ? options->timeout_usec : 0;
        if (options) {
                q->flags = options->flags;
                q->routing = options->routing;
                (void) snprintf(q->key, sizeof(q->key), "%.*s", (int) options->key_size,
                                options->key ? (const char *) options->key : "");
        }
        return 0;
}

void control_turn_begin(arbiter *a) {
        if (a->turn_depth++ != 0)
                abort();
}

void control_turn_end(arbiter *a) {
        if (--a->turn_depth != 0)
                abort();
}

void control_subscribe(arbiter *a, struct control_observer *o) {
        list_append(&a->observers, &o->observers);
}

void control_unsubscribe(struct control_observer *o) {
        list_remove(&o->observers);
}

void fake_actor_new(arbiter *a, size_t i) {
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                o->actor_new(&a->actors[i].view, o->userdata);
}

void fake_actor_changed(arbiter *a, size_t i) {
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                o->actor_changed(&a->actors[i].view, o->userdata);
}

void fake_actor_gone(arbiter *a, size_t i, arbiter_reason reason, int status) {
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                o->actor_gone(&a->actors[i].view, reason, status, o->userdata);
}

void fake_monitor_new(arbiter *a) {
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                o->monitor_new(&a->monitor, o->userdata);
}

void fake_monitor_changed(arbiter *a) {
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                o->monitor_changed(&a->monitor, o->userdata);
}

void fake_monitor_gone(arbiter *a) {
        const char *name = a->monitor.name;

        a->monitor.name = NULL;
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                o->monitor_gone(name, o->userdata);
}

void fake_arbiter_changed(arbiter *a, unsigned changes) {
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                o->arbiter_changed(changes, o->userdata);
}

/* Children: the one monitor is a pool. */

const char *arbiter_restart_to_string(arbiter_restart r) {
        return "permanent";
}

int control_list_children(arbiter *a, const char *monitor, arbiter_child_info **ret, size_t *ret_n) {
        *ret = calloc(1, sizeof(**ret));
        *ret_n = 0;
        return *ret ? 0 : -ENOMEM;
}

int control_count_children(arbiter *a, const char *monitor, arbiter_child_counts *ret) {
        return -EOPNOTSUPP;
}

int control_add_child(arbiter *a, const char *monitor, const char *definition, const char *name,
                const char *before, arbiter_future **ret) {
        return -EOPNOTSUPP;
}

int control_remove_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret) {
        return -EOPNOTSUPP;
}

int control_terminate_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret) {
        return -EOPNOTSUPP;
}

int control_restart_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret) {
        return -EOPNOTSUPP;
}
