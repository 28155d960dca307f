/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Spawns: descriptions of actors to be. Setters copy and check each value; spawn_check() what they say
 * together. Called by the program, and by whatever starts an actor. */

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "arbiter/internal.h"
#include "basic/fd.h"
#include "basic/listen-socket.h"

enum {
        START_TIMEOUT_DEFAULT_USEC = 90 * 1000 * 1000,
        SOURCE_MAX = 64 * 1024,
};

static const char *const concurrency_names[] = {
        [ARBITER_CONCURRENCY_PROCESS] = "process",
        [ARBITER_CONCURRENCY_THREAD] = "thread",
        [ARBITER_CONCURRENCY_INLINE] = "inline",
        [ARBITER_CONCURRENCY_UNIT] = "unit",
};

static const char *const restart_names[] = {
        [ARBITER_RESTART_PERMANENT] = "permanent",
        [ARBITER_RESTART_TRANSIENT] = "transient",
        [ARBITER_RESTART_TEMPORARY] = "temporary",
};

_public_ const char *arbiter_concurrency_to_string(arbiter_concurrency c) {
        return (unsigned) c < ELEMENTSOF(concurrency_names) ? concurrency_names[c] : NULL;
}

_public_ const char *arbiter_restart_to_string(arbiter_restart r) {
        return (unsigned) r < ELEMENTSOF(restart_names) ? restart_names[r] : NULL;
}

static int replace_string(char **p, const char *value) {
        char *copy = NULL;

        if (value) {
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        free(*p);
        *p = copy;
        return 0;
}

static void free_strings(char **v) {
        for (char **i = v; i && *i; i++)
                free(*i);
        free(v);
}

static int copy_strings(const char *const *v, char ***ret) {
        size_t n = 0;
        char **copy;

        while (v[n])
                n++;
        copy = calloc(n + 1, sizeof(char *));
        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                copy[i] = strdup(v[i]);
                if (!copy[i]) {
                        free_strings(copy);
                        return -ENOMEM;
                }
        }
        *ret = copy;
        return 0;
}

static int append_string(char ***v, const char *value) {
        size_t n = 0;
        char **bigger;

        while (*v && (*v)[n])
                n++;
        bigger = reallocarray(*v, n + 2, sizeof(char *));
        if (!bigger)
                return -ENOMEM;
        *v = bigger;
        bigger[n] = strdup(value);
        bigger[n + 1] = NULL;
        return bigger[n] ? 0 : -ENOMEM;
}

_public_ int arbiter_spawn_new(arbiter *a, const char *name, arbiter_spawn **ret) {
        arbiter_spawn *s;

        if (!a || !name || !ret || !name_is_valid(name))
                return -EINVAL;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->n_ref = 1;
        s->arbiter = a;
        s->silence_usec = SILENCE_DEFAULT_USEC;
        s->start_usec = START_TIMEOUT_DEFAULT_USEC;
        s->stop_usec = STOP_TIMEOUT_DEFAULT_USEC;
        s->mailbox_messages = MAILBOX_MESSAGES_DEFAULT;
        s->mailbox_bytes = MAILBOX_BYTES_DEFAULT;
        s->kill_signal = SIGTERM;
        s->output[0] = s->output[1] = -1;
        list_init(&s->parameters);
        exec_context_init(&s->context);
        s->name = strdup(name);
        if (!s->name) {
                free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

_public_ arbiter_spawn *arbiter_spawn_ref(arbiter_spawn *s) {
        if (s)
                s->n_ref++;
        return s;
}

static void free_parameter(struct actor_parameter *p) {
        list_remove(&p->parameters);
        free(p->key);
        free(p->value);
        free(p);
}

_public_ arbiter_spawn *arbiter_spawn_unref(arbiter_spawn *s) {
        if (!s || --s->n_ref > 0)
                return NULL;
        LIST_FOREACH(p, &s->parameters, struct actor_parameter, parameters)
                free_parameter(p);
        close_many(s->listen_fds, s->n_listen_fds);
        free(s->listen_fds);
        free_strings(s->listen_names);
        free(s->listen_names_joined);
        free_strings(s->allow);
        exec_context_free(&s->context);
        spawn_close_output(s);
        free(s->module_file);
        free(s->process_name);
        unit_properties_done(&s->unit_properties);
        probe_set_done(&s->probes);
        free(s->unit_template);
        free(s->prepare_definition);
        free(s->source);
        free(s->definition);
        free(s->description);
        free(s->name);
        free(s);
        return NULL;
}

_public_ int arbiter_spawn_set_description(arbiter_spawn *s, const char *description) {
        return s ? replace_string(&s->description, description) : -EINVAL;
}

_public_ int arbiter_spawn_set_concurrency(arbiter_spawn *s, arbiter_concurrency concurrency) {
        if (!s || !arbiter_concurrency_to_string(concurrency))
                return -EINVAL;
        s->concurrency = concurrency;
        return 0;
}

_public_ int arbiter_spawn_set_module(arbiter_spawn *s, const arbiter_module *module) {
        int r;

        if (!s || !module)
                return -EINVAL;
        r = module_check(module);
        if (r < 0)
                return r;
        s->module = module;
        return 0;
}

_public_ int arbiter_spawn_set_module_file(arbiter_spawn *s, const char *path) {
        if (!s || !path || *path != '/')
                return -EINVAL;
        return replace_string(&s->module_file, path);
}

_public_ int arbiter_spawn_set_exec(arbiter_spawn *s, const char *const *argv, arbiter_exec_type type) {
        char **copy;
        int r;

        if (!s || !argv || !argv[0] || argv[0][0] != '/' || (unsigned) type > ARBITER_EXEC_EXEC)
                return -EINVAL;
        r = copy_strings(argv, &copy);
        if (r < 0)
                return r;
        r = replace_string(&s->context.path, argv[0]);
        if (r < 0) {
                free_strings(copy);
                return r;
        }
        free_strings(s->context.argv);
        s->context.argv = copy;
        s->exec = true;
        s->exec_type = type;
        return 0;
}

_public_ int arbiter_spawn_set_mail_on_restart(arbiter_spawn *s, arbiter_mail_on_restart mail) {
        if (!s || (mail != ARBITER_MAIL_KEEP && mail != ARBITER_MAIL_DROP))
                return -EINVAL;
        s->mail_on_restart = mail;
        return 0;
}

static int set_parameter(arbiter_spawn *s, const char *key, size_t key_length, const char *value) {
        struct actor_parameter *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        list_init(&p->parameters);
        p->key = strndup(key, key_length);
        p->value = strdup(value);
        if (!p->key || !p->value) {
                free_parameter(p);
                return -ENOMEM;
        }
        LIST_FOREACH(old, &s->parameters, struct actor_parameter, parameters)
                if (streq(old->key, p->key))
                        free_parameter(old);
        list_append(&s->parameters, &p->parameters);
        return 0;
}

_public_ int arbiter_spawn_set_parameter(arbiter_spawn *s, const char *key, const char *value) {
        if (!s || !key || !*key || !value || strchr(key, '='))
                return -EINVAL;
        return set_parameter(s, key, strlen(key), value);
}

_public_ int arbiter_spawn_set_restart(arbiter_spawn *s, arbiter_restart restart) {
        if (!s || !arbiter_restart_to_string(restart))
                return -EINVAL;
        s->restart = restart;
        s->restart_set = true;
        return 0;
}

_public_ int arbiter_spawn_set_timeouts(
                arbiter_spawn *s, uint64_t silence, uint64_t start, uint64_t stop, uint64_t watchdog) {
        if (!s || (silence > 0 && silence < SILENCE_MIN_USEC))
                return -EINVAL;
        if (silence > 0)
                s->silence_usec = silence == UINT64_MAX ? 0 : silence;
        if (start > 0)
                s->start_usec = start;
        if (stop > 0)
                s->stop_usec = stop;
        if (watchdog > 0)
                s->watchdog_usec = watchdog;
        return 0;
}

_public_ int arbiter_spawn_set_mailbox(
                arbiter_spawn *s, uint64_t messages, uint64_t bytes, arbiter_mailbox_policy policy) {
        if (!s || !arbiter_mailbox_policy_to_string(policy))
                return -EINVAL;
        if (messages > 0)
                s->mailbox_messages = messages;
        if (bytes > 0)
                s->mailbox_bytes = bytes;
        s->mailbox_policy = policy;
        return 0;
}

_public_ int arbiter_spawn_set_allow(arbiter_spawn *s, const char *const *patterns) {
        char **copy = NULL;
        int r;

        if (!s)
                return -EINVAL;
        if (patterns) {
                r = copy_strings(patterns, &copy);
                if (r < 0)
                        return r;
        }
        free_strings(s->allow);
        s->allow = copy;
        return 0;
}

static int join_names(arbiter_spawn *s) {
        size_t size = 1;
        char *p;

        for (size_t i = 0; i < s->n_listen_fds; i++)
                size += strlen(s->listen_names[i]) + 1;
        free(s->listen_names_joined);
        s->listen_names_joined = p = malloc(size);
        if (!p)
                return -ENOMEM;
        *p = 0;
        for (size_t i = 0; i < s->n_listen_fds; i++)
                p = stpcpy(stpcpy(p, i > 0 ? ":" : ""), s->listen_names[i]);
        return 0;
}

_public_ int arbiter_spawn_add_listen_fd(arbiter_spawn *s, int fd, const char *name) {
        int *fds, copy, r;

        if (!s || fd < 0 || s->n_listen_fds >= 64 || (name && !listen_fd_name_is_valid(name)))
                return -EINVAL;
        fds = reallocarray(s->listen_fds, s->n_listen_fds + 1, sizeof(int));
        if (!fds)
                return -ENOMEM;
        s->listen_fds = fds;
        r = append_string(&s->listen_names, name ? name : "unknown");
        if (r < 0)
                return r;
        copy = fd_duplicate(fd);
        if (copy < 0)
                return copy;
        fds[s->n_listen_fds++] = copy;
        return join_names(s);
}

_public_ int arbiter_listen_socket(const char *address, int type, int backlog, int *ret_fd) {
        struct listen_options o = LISTEN_OPTIONS_INIT;
        struct listen_address a;
        int r;

        if (!address || !ret_fd || backlog < 0 || type == LISTEN_FIFO)
                return -EINVAL;
        o.backlog = (unsigned) backlog;
        r = listen_address_parse(address, type, &a);
        return r < 0 ? r : listen_open(&a, &o, ret_fd);
}

_public_ int arbiter_spawn_set_user(arbiter_spawn *s, const char *user) {
        if (!s || !user)
                return -EINVAL;
        s->user_set = s->context_changed = true;
        s->resolved = false;
        return replace_string(&s->context.user, user);
}

_public_ int arbiter_spawn_set_group(arbiter_spawn *s, const char *group) {
        if (!s || !group)
                return -EINVAL;
        s->context_changed = true;
        s->resolved = false;
        return replace_string(&s->context.group, group);
}

_public_ int arbiter_spawn_add_supplementary_group(arbiter_spawn *s, const char *group) {
        if (!s || !group)
                return -EINVAL;
        s->context_changed = true;
        s->resolved = false;
        return append_string(&s->context.supplementary_groups, group);
}

_public_ int arbiter_spawn_set_working_directory(arbiter_spawn *s, const char *path) {
        if (!s || !path || *path != '/')
                return -EINVAL;
        s->context_changed = true;
        return replace_string(&s->context.working_directory, path);
}

_public_ int arbiter_spawn_set_environment(arbiter_spawn *s, const char *key, const char *value) {
        return s && key && value ? exec_context_set_env(&s->context, key, value) : -EINVAL;
}

_public_ int arbiter_spawn_set_umask(arbiter_spawn *s, unsigned mask) {
        if (!s || mask > 0777)
                return -EINVAL;
        s->context_changed = s->context.has_umask = true;
        s->context.umask = (mode_t) mask;
        return 0;
}

_public_ int arbiter_spawn_set_nice(arbiter_spawn *s, int nice) {
        if (!s || nice < -20 || nice > 19)
                return -EINVAL;
        s->context_changed = s->context.has_nice = true;
        s->context.nice = nice;
        return 0;
}

_public_ int arbiter_spawn_set_limit(arbiter_spawn *s, int resource, uint64_t soft, uint64_t hard) {
        if (!s || resource < 0 || resource >= (int) RLIM_NLIMITS || soft > hard)
                return -EINVAL;
        s->context_changed = true;
        s->context.limits[resource] =
                        (struct exec_limit){.set = true, .value = {.rlim_cur = soft, .rlim_max = hard}};
        return 0;
}

_public_ int arbiter_spawn_set_process_name(arbiter_spawn *s, const char *name) {
        return s && name && *name ? replace_string(&s->process_name, name) : -EINVAL;
}

_public_ int arbiter_spawn_set_prepare(arbiter_spawn *s, arbiter_spawn_prepare_t prepare, void *userdata) {
        int r;

        if (!s)
                return -EINVAL;
        r = replace_string(&s->prepare_definition, prepare ? s->name : NULL);
        if (r < 0)
                return r;
        s->prepare = prepare;
        s->prepare_userdata = userdata;
        return 0;
}

_public_ uint64_t arbiter_spawn_get_fingerprint(arbiter_spawn *s) {
        return s ? s->fingerprint : 0;
}

_public_ int arbiter_spawn_set_source(arbiter_spawn *s, const char *text) {
        if (!s)
                return -EINVAL;
        if (text && strlen(text) > SOURCE_MAX)
                return -E2BIG;
        return replace_string(&s->source, text);
}

_public_ const char *arbiter_spawn_get_source(arbiter_spawn *s) {
        return s ? s->source : NULL;
}

_public_ int arbiter_spawn_set_fingerprint(arbiter_spawn *s, uint64_t fingerprint) {
        if (!s)
                return -EINVAL;
        s->fingerprint = fingerprint;
        return 0;
}

_public_ int arbiter_spawn_set_kill_signal(arbiter_spawn *s, int signal) {
        if (!s || signal <= 0 || signal > SIGRTMAX)
                return -EINVAL;
        s->kill_signal = signal;
        return 0;
}

_public_ int arbiter_spawn_set_output(arbiter_spawn *s, int stdout_fd, int stderr_fd) {
        const int fds[2] = { stdout_fd, stderr_fd };

        if (!s || stdout_fd < -2 || stderr_fd < -2)
                return -EINVAL;
        for (unsigned i = 0; i < 2; i++) {
                int fd = fds[i] >= 0 ? fd_duplicate(fds[i]) : fds[i];

                if (fds[i] >= 0 && fd < 0)
                        return fd;
                if (s->output[i] >= 0)
                        close_fd(s->output[i]);
                s->output[i] = fd;
        }
        return 0;
}

_public_ int arbiter_spawn_set_unit_property(arbiter_spawn *s, const char *name, const char *value) {
        if (!s || !name || !value)
                return -EINVAL;
        return unit_properties_assign(&s->unit_properties, name, value, NULL);
}

_public_ int arbiter_check_unit_property(const char *name, const char *value, char **ret_text) {
        struct unit_properties p = {};
        int r;

        if (!name || !value)
                return -EINVAL;
        r = unit_properties_assign(&p, name, value, ret_text);
        unit_properties_done(&p);
        return r;
}

_public_ int arbiter_spawn_set_unit_template(arbiter_spawn *s, const char *name, arbiter_exec_type type) {
        int r;

        if (!s || !name || !unit_template_is_valid(name) || (unsigned) type > ARBITER_EXEC_EXEC)
                return -EINVAL;
        r = replace_string(&s->unit_template, name);
        if (r >= 0)
                s->exec_type = type;
        return r;
}

const char *spawn_program(const arbiter_spawn *s) {
        if (!s)
                return "";
        return s->module         ? s->module->name
               : s->module_file  ? s->module_file
               : s->unit_template ? s->unit_template
               : s->context.path ? s->context.path
                                 : "";
}

static int complain(char **ret_text, int error, const char *text) {
        if (ret_text)
                *ret_text = strdup(text);
        return error;
}

int spawn_check(arbiter_spawn *s, char **ret_text) {
        const char *contradiction = spawn_unit_contradiction(s);
        struct exec_failure failure = {};
        int n, r;

        n = (s->module != NULL) + (s->module_file != NULL) + s->exec + (s->unit_template != NULL);
        if (!s->expected && n != 1)
                return complain(ret_text, -EINVAL,
                                "exactly one of a module, a module file, a program and a template of units "
                                "is needed");
        if ((s->unit_template || s->unit_properties.n > 0) && s->concurrency != ARBITER_CONCURRENCY_UNIT)
                return complain(ret_text, -EINVAL,
                                "settings of units and templates need the concurrency unit");
        if (s->unit_template && s->unit_properties.n > 0)
                return complain(ret_text, -EINVAL,
                                "instances of a template have its settings: write a drop-in for it");
        if (!contradiction)
                contradiction = probe_contradiction(s);
        if (contradiction)
                return complain(ret_text, -EINVAL, contradiction);
        if (s->concurrency == ARBITER_CONCURRENCY_UNIT) {
                r = unit_check(s->arbiter, ret_text);
                if (r < 0)
                        return r;
        }
        if (s->concurrency == ARBITER_CONCURRENCY_INLINE && !s->module)
                return complain(ret_text, -EINVAL, "an inline actor needs a module of this program");
        if (s->concurrency == ARBITER_CONCURRENCY_THREAD && s->exec)
                return complain(ret_text, -EINVAL, "a program cannot run as a thread: use process");
        if (s->resolved)
                return 0;
        r = state_check_spawn(s);
        if (r < 0)
                return complain(ret_text, r,
                                "what it is to be started with is more than can be written down");
        r = exec_context_resolve(&s->context, &failure);
        if (r < 0) {
                char text[EXEC_FAILURE_STRING_MAX];

                return complain(ret_text, r, exec_failure_format(&failure, &s->context, text, sizeof(text)));
        }
        s->resolved = true;
        return 0;
}

static int copy_context(const arbiter_spawn *from, arbiter_spawn *to) {
        const struct exec_context *c = &from->context;
        int r = 0;

        for (char **e = c->environment; r >= 0 && e && *e; e++)
                r = append_string(&to->context.environment, *e);
        if (r >= 0 && c->argv)
                r = copy_strings((const char *const *) c->argv, &to->context.argv);
        if (r >= 0 && c->path)
                r = replace_string(&to->context.path, c->path);
        if (r >= 0)
                r = replace_string(&to->context.user, c->user);
        if (r >= 0)
                r = replace_string(&to->context.group, c->group);
        if (r >= 0 && c->supplementary_groups)
                r = copy_strings((const char *const *)c->supplementary_groups,
                                &to->context.supplementary_groups);
        if (r >= 0)
                r = replace_string(&to->context.working_directory, c->working_directory);
        to->context.has_umask = c->has_umask;
        to->context.umask = c->umask;
        to->context.has_nice = c->has_nice;
        to->context.nice = c->nice;
        memcpy(to->context.limits, c->limits, sizeof(c->limits));
        return r;
}

static int copy_rest(const arbiter_spawn *from, arbiter_spawn *to) {
        int r;

        to->concurrency = from->concurrency;
        to->module = from->module;
        to->exec = from->exec;
        to->exec_type = from->exec_type;
        to->restart = from->restart;
        to->restart_set = from->restart_set;
        to->silence_usec = from->silence_usec;
        to->start_usec = from->start_usec;
        to->stop_usec = from->stop_usec;
        to->watchdog_usec = from->watchdog_usec;
        to->kill_signal = from->kill_signal;
        to->mail_on_restart = from->mail_on_restart;
        to->context_changed = from->context_changed;
        to->user_set = from->user_set;
        to->fingerprint = from->fingerprint;
        probe_set_copy(&from->probes, &to->probes);
        r = arbiter_spawn_set_mailbox(to, from->mailbox_messages, from->mailbox_bytes, from->mailbox_policy);
        if (r >= 0)
                r = replace_string(&to->module_file, from->module_file);
        if (r >= 0)
                r = replace_string(&to->process_name, from->process_name);
        if (r >= 0)
                r = unit_properties_copy(&from->unit_properties, &to->unit_properties);
        if (r >= 0)
                r = replace_string(&to->unit_template, from->unit_template);
        to->prepare = from->prepare;
        to->prepare_userdata = from->prepare_userdata;
        to->unprepared = from->unprepared;
        if (r >= 0)
                r = replace_string(&to->prepare_definition, from->prepare_definition);
        if (r >= 0)
                r = replace_string(&to->definition, from->definition ? from->definition : from->name);
        if (r >= 0)
                r = replace_string(&to->description, from->description);
        if (r >= 0)
                r = arbiter_spawn_set_allow(to, (const char *const *) from->allow);
        if (r >= 0)
                r = arbiter_spawn_set_output(to, from->output[0], from->output[1]);
        for (size_t i = 0; r >= 0 && i < from->n_listen_fds; i++)
                r = arbiter_spawn_add_listen_fd(to, from->listen_fds[i], from->listen_names[i]);
        LIST_FOREACH(p, &from->parameters, struct actor_parameter, parameters)
                if (r >= 0)
                        r = set_parameter(to, p->key, strlen(p->key), p->value);
        return r;
}

int spawn_instance(arbiter_spawn *s, const char *name, const char *const *parameters, arbiter_spawn **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *new = NULL;
        int r;

        r = arbiter_spawn_new(s->arbiter, name ? name : s->name, &new);
        if (r >= 0)
                r = copy_context(s, new);
        if (r >= 0)
                r = copy_rest(s, new);
        for (; r >= 0 && parameters && *parameters; parameters++) {
                const char *equals = strchr(*parameters, '=');

                r = equals && equals > *parameters
                                    ? set_parameter(new, *parameters, (size_t) (equals - *parameters),
                                                      equals + 1)
                                    : -EINVAL;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(new);
        return 0;
}

void spawn_close_output(arbiter_spawn *s) {
        for (unsigned i = 0; i < 2; i++)
                if (s->output[i] >= 0)
                        s->output[i] = close_fd(s->output[i]);
}

int spawn_prepare(arbiter_spawn *s, arbiter_life *life, arbiter_spawn **ret, char **ret_text) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *copy = NULL;
        int r;

        if (s && s->unprepared)
                return complain(ret_text, -ENOENT, "there is no definition of it any more");
        if (!s || !s->prepare) {
                r = s ? spawn_check(s, ret_text) : 0; /* one that was left has not been looked at yet */
                if (r >= 0)
                        *ret = arbiter_spawn_ref(s);
                return r;
        }
        r = spawn_instance(s, NULL, NULL, &copy);
        if (r < 0)
                return r;
        copy->prepared = true;
        life->definition = s->prepare_definition;
        r = s->prepare(copy, life, ret_text, s->prepare_userdata);
        if (r >= 0)
                r = spawn_check(copy, ret_text);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(copy);
        return 0;
}
