/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the configuration: finds the files, reads each with its drop-ins, checks what needs more than one
 * key, brings the monitors into start order. Called by arbiterd at start and reload, and by `arbiterctl
 * verify`. Starts nothing and prints nothing; a bad file costs itself only. */

#include <stdio.h>
#include <unistd.h>

#include "arbiterd/config-internal.h"
#include "shared/conf-files.h"
#include "shared/exec-line.h"
#include "shared/strv.h"

static void done_daemon(struct daemon_config *d) {
        free(d->pid_file);
        free(d->process_name);
        *d = (struct daemon_config){};
}

static void done_actor(struct actor_config *a) {
        config_done_sockets(a);
        free(a->bind_to_device);
        free(a->fd_name);
        free(a->socket_user);
        free(a->socket_group);
        config_done_service(a->service, a->n_service);
        free(a->unit);
        free(a->name);
        free(a->path);
        free(a->description);
        strv_free(a->documentation);
        strv_free(a->exec);
        free(a->module);
        strv_free(a->params);
        free(a->user);
        free(a->group);
        free(a->home);
        free(a->shell);
        strv_free(a->group_names);
        free(a->groups);
        free(a->working_directory);
        strv_free(a->environment);
        strv_free(a->environment_files);
        free(a->process_name);
        free(a->syslog_identifier);
        strv_free(a->allow);
        for (unsigned i = 0; i < CONFIG_PROBES; i++)
                config_done_probe(&a->probes[i]);
        *a = (struct actor_config){};
}

static struct actor_config *free_actor(struct actor_config *a) {
        if (a)
                done_actor(a);
        free(a);
        return NULL;
}

static void done_monitor(struct monitor_config *m) {
        free(m->name);
        free(m->path);
        free(m->description);
        strv_free(m->after);
        free(m->after_file);
        strv_free(m->children);
        free(m->children_file);
        free(m->text);
        done_actor(&m->actor);
        *m = (struct monitor_config){};
}

struct monitor_config *config_free_monitor(struct monitor_config *m) {
        if (m)
                done_monitor(m);
        free(m);
        return NULL;
}

struct config *config_free(struct config *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_monitors; i++)
                config_free_monitor(c->monitors[i]);
        for (size_t i = 0; i < c->n_actors; i++)
                free_actor(c->actors[i]);
        free(c->monitors);
        free(c->actors);
        free(c->order);
        strv_free(c->claimed);
        strv_free(c->failed);
        done_daemon(&c->daemon);
        free(c);
        return NULL;
}

void config_complain_at(const struct load_context *l, enum conf_level level, enum place_key key,
                        const char *path, const char *text) {
        const struct place *p = &l->places[key];

        conf_message(&l->options->sink, level, p->file ? p->file : path, p->file ? p->line : 0, "%s", text);
}

static bool any_limit(const struct actor_config *a) {
        for (size_t i = 0; i < N_LIMITS; i++)
                if (a->limits[i].set)
                        return true;
        return false;
}

/* What a template says of its instances is not the arbiter's to change: nobody shall believe that it is. */
static void warn_template_keys(const struct actor_config *a, const struct load_context *l,
                               const char *path) {
        const struct {
                bool set;
                const char *key;
        } keys[] = {
                { a->group_names, "SupplementaryGroups" },
                { a->working_directory, "WorkingDirectory" },
                { a->environment, "Environment" },
                { a->environment_files, "EnvironmentFile" },
                { a->umask != 0022, "UMask" },
                { a->nice_set, "Nice" },
                { any_limit(a), "Limit..." },
                { a->process_name, "ProcessName" },
                { a->standard_output != CONFIG_OUTPUT_DEFAULT, "StandardOutput" },
                { a->standard_error != CONFIG_OUTPUT_DEFAULT, "StandardError" },
                { a->syslog_identifier, "SyslogIdentifier" },
                { a->kill_signal != SIGTERM, "KillSignal" },
                { a->watchdog_usec != USEC_INFINITY, "WatchdogSec" },
        };

        if (l->places[PLACE_USER].file)
                config_complain_at(l, CONF_WARNING, PLACE_USER, path,
                            "User= and Group= do nothing for instances of Unit=: write them into a drop-in "
                            "of the template (systemctl edit).");
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (keys[i].set)
                        conf_message(&l->options->sink, CONF_WARNING, path, 0,
                                     "%s= in section [Actor] does nothing for instances of Unit=: write it "
                                     "into a drop-in of the template (systemctl edit).",
                                     keys[i].key);
}

/* Keys that are harmless but do nothing in this combination. */
static void warn_idle_keys(const struct actor_config *a, const struct load_context *l, const char *path) {
        if (a->module && l->places[PLACE_TYPE].file)
                config_complain_at(l, CONF_WARNING, PLACE_TYPE, path,
                            "Type= is for Exec= and does nothing for a module, "
                            "which always reports when it is running.");
        if (a->unit && l->places[PLACE_TYPE].file && a->type != CONFIG_TYPE_MAILBOX)
                config_complain_at(l, CONF_WARNING, PLACE_TYPE, path,
                            "Of Unit= the template's Type= says when an instance runs; here only "
                            "Type=mailbox means something: that its program is linked with libarbiter.");
        if (a->module && a->concurrency != CONFIG_UNIT && l->places[PLACE_WATCHDOG].file)
                config_complain_at(l, CONF_WARNING, PLACE_WATCHDOG, path,
                            "WatchdogSec= is for Exec= and does nothing for a "
                            "module; TimeoutSec= watches its silence.");
        if (a->unit)
                warn_template_keys(a, l, path);
        if (!a->module && l->places[PLACE_PARAMS].file)
                config_complain_at(l, CONF_WARNING, PLACE_PARAMS, path,
                            "Params= is for Module= and does nothing for a "
                            "program; put arguments into Exec=.");
}

static void check_program(const struct actor_config *a, const struct load_context *l, const char *path) {
        _cleanup_free_ char *program = NULL;
        int r;

        if (!l->options->check_programs || !a->exec || strchr(a->exec[0], '%') || config_has_other_files(a))
                return;
        r = exec_find_program(a->exec[0], &program);
        if (r == -EACCES)
                conf_message(&l->options->sink, CONF_WARNING, path, 0,
                             "The program %s is not an executable file; check its mode (chmod +x).",
                             a->exec[0]);
        else if (r < 0)
                conf_message(&l->options->sink, CONF_WARNING, path, 0,
                             "The program %s is not there (%s); install it, or correct Exec=.", a->exec[0],
                             strerror(-r));
}

int config_module_path(const char *module, char **ret) {
        if (module[0] == '/')
                *ret = strdup(module);
        else if (asprintf(ret, "%s/%s", ARBITER_MODULE_DIRECTORY, module) < 0)
                *ret = NULL;
        return *ret ? 0 : -ENOMEM;
}

static void check_module(const struct actor_config *a, const struct load_context *l, const char *path) {
        _cleanup_free_ char *file = NULL;

        if (!l->options->check_programs || !a->module || config_module_path(a->module, &file) < 0)
                return;
        if (access(file, R_OK) < 0)
                conf_message(&l->options->sink, CONF_WARNING, path, 0,
                             "The module %s cannot be read (%s); install it, or correct Module=.", file,
                             strerror(errno));
}

/* What Concurrency=unit, Unit= and [Service] say together. */
static int check_unit(const struct actor_config *a, const struct load_context *l, const char *path) {
        int r = 0;

        if (a->n_service > 0 && a->concurrency != CONFIG_UNIT) {
                config_complain_at(l, CONF_ERROR, PLACE_SERVICE, path,
                                "Section [Service] needs Concurrency=unit; add it to section [Actor], or "
                                "remove "
                                "the section and use the keys of [Actor] such as LimitNOFILE= and "
                                "Environment=.");
                r = -EBADMSG;
        }
        if (a->unit && a->concurrency != CONFIG_UNIT) {
                config_complain_at(l, CONF_ERROR, PLACE_UNIT, path,
                            "Unit= needs Concurrency=unit; add it to section [Actor].");
                r = -EBADMSG;
        }
        if (a->unit && a->n_service > 0) {
                config_complain_at(l, CONF_ERROR, PLACE_SERVICE, path,
                            "Section [Service] is not for instances of Unit=, which have the settings of "
                            "their template; write a drop-in for it (systemctl edit).");
                r = -EBADMSG;
        }
        return r;
}

/* After the last drop-in: checks what depends on several keys and resolves the groups. -EBADMSG (told),
 * -ENOMEM. */
static int finish_actor(struct monitor_config *m, const struct load_context *l, const char *path) {
        struct actor_config *a = &m->actor;
        int r = 0;

        if (config_finish_tree(m, l, path) < 0) {
                if (m->children)
                        return -EBADMSG; /* what else would be said of it is said as of a pool */
                r = -EBADMSG;
        }
        if (!a->exec && !a->module && !a->unit && m->strategy == CONFIG_POOL) {
                conf_message(&l->options->sink, CONF_ERROR, path, 0,
                             "There is nothing to run; add Exec=PROGRAM, Module=FILE.so or "
                             "Unit=TEMPLATE@.service to section [Actor].");
                r = -EBADMSG;
        }
        if (a->exec && a->concurrency == CONFIG_THREAD) {
                config_complain_at(l, CONF_ERROR, PLACE_CONCURRENCY, path,
                            "Concurrency=thread needs a Module=; a program "
                            "(Exec=) runs with Concurrency=process.");
                r = -EBADMSG;
        }
        if (check_unit(a, l, path) < 0 || config_finish_sockets(a, l, path) < 0 ||
            config_finish_probes(a, l, path) < 0)
                r = -EBADMSG;
        if (config_finish_load(m, l, path) < 0 || config_finish_pool(m, l, path) < 0)
                r = -EBADMSG;
        if (m->backoff_min_usec > m->backoff_max_usec) {
                config_complain_at(l, CONF_ERROR, PLACE_BACKOFF, path,
                            "BackoffMinSec= is longer than BackoffMaxSec=; raise "
                            "the maximum or lower the minimum.");
                r = -EBADMSG;
        }
        /* of Unit= the template says it */
        if (l->options->require_user && m->strategy == CONFIG_POOL && !a->user_set && !a->unit &&
            !config_has_dynamic_user(a)) {
                conf_message(&l->options->sink, CONF_ERROR, path, 0,
                             "This arbiter is root and runs an actor as root "
                             "only when told so; add User=NAME to section [Actor], or User=root.");
                r = -EBADMSG;
        }
        if (r < 0)
                return r;
        warn_idle_keys(a, l, path);
        check_program(a, l, path);
        check_module(a, l, path);
        return config_resolve_groups(a, l, path);
}

/* Reads the main file and its drop-ins into one object. All are read, so that all mistakes are told. */
static int parse_files(const struct conf_parser *p, const struct conf_files *f) {
        int result = f->path ? conf_parse_file(p, f->path) : 0;

        if (result < 0 && result != -EBADMSG)
                return result;
        STRV_FOREACH(i, f->dropins) {
                int r = conf_parse_file(p, *i);

                if (r < 0 && r != -EBADMSG)
                        return r;
                result = r < 0 ? r : result;
        }
        return result;
}

/* What is to be parsed: files, or (for config_check_buffer()) text under the name of a file. */
struct source {
        const struct conf_files *files;
        const char *path; /* of the main file, or the name of the text */
        const char *text;
        size_t size;
};

static int parse_source(const struct conf_parser *p, const struct source *s) {
        return s->files ? parse_files(p, s->files) : conf_parse_buffer(p, s->path, s->text, s->size);
}

static int load_daemon(const struct config_options *o, const struct source *s, struct daemon_config *ret) {
        struct place places[N_PLACES] = {};
        struct load_context l = { o, "arbiter", true, places };
        struct daemon_config d, defaults;
        struct conf_parser p = { config_daemon_items, &d, &defaults, &l, o->sink, NULL };
        int r;

        config_init_daemon(&d);
        config_init_daemon(&defaults);
        r = parse_source(&p, s);
        if (r < 0) {
                done_daemon(&d);
                return r;
        }
        *ret = d;
        return 0;
}

static bool split_name(const char *file_name, char **ret_name, bool *ret_pool) {
        const char *dot = strrchr(file_name, '.');

        if (!dot || (!streq(dot, ".monitor") && !streq(dot, ".actor")))
                return false;
        *ret_name = strndup(file_name, (size_t) (dot - file_name));
        *ret_pool = streq(dot, ".monitor");
        return true;
}

static int check_name(const struct config_options *o, const char *name, const char *path) {
        if (!name_is_valid(name)) {
                conf_message(&o->sink, CONF_ERROR, path, 0,
                             "The file's name is no name for an actor; use a letter or _ "
                             "first, then letters, digits, - and _, %d characters at most.",
                             NAME_MAX_LENGTH);
                return -EBADMSG;
        }
        if (streq(name, "arbiter")) {
                conf_message(&o->sink, CONF_ERROR, path, 0,
                             "The name \"arbiter\" is that of the arbiter itself; "
                             "rename the file.");
                return -EBADMSG;
        }
        return 0;
}

/* Where a list was last assigned: what is wrong with it shows only when all files are there. */
static int remember_place(const struct place *p, char *const *list, char **ret_file, unsigned *ret_line) {
        if (!list)
                return 0;
        *ret_line = p->line;
        *ret_file = strdup(p->file);
        return *ret_file ? 0 : -ENOMEM;
}

/* Of a .actor, the result's ->actor is what counts. claimed (may be NULL): of a file with errors, its
 * children. */
static int load_workers(const struct config_options *o, const struct daemon_config *d, const char *name,
                        bool pool, const struct source *s, struct monitor_config **ret, char ***claimed) {
        struct place places[N_PLACES] = {};
        struct load_context l = { o, name, pool, places };
        struct monitor_config defaults, *m = malloc(sizeof(*m));
        struct conf_parser p = { pool ? config_monitor_items : config_actor_items, m, &defaults, &l,
                                 o->sink, config_foreign };
        int r;

        if (!m)
                return -ENOMEM;
        config_init_monitor(m, d);
        config_init_monitor(&defaults, d);
        m->name = strdup(name);
        m->path = strdup(s->path);
        m->actor.name = strdup(name);
        m->actor.path = strdup(s->path);
        r = m->name && m->path && m->actor.name && m->actor.path ? check_name(o, name, s->path) : -ENOMEM;
        if (r >= 0)
                r = parse_source(&p, s);
        /* The whole is judged only when each line is good: the bad line may be what it misses. */
        if (r >= 0)
                r = finish_actor(m, &l, s->path);
        if (r >= 0)
                r = remember_place(&places[PLACE_AFTER], m->after, &m->after_file, &m->after_line);
        if (r >= 0)
                r = remember_place(&places[PLACE_CHILDREN], m->children, &m->children_file,
                                   &m->children_line);
        if (r >= 0)
                r = config_fingerprint(&m->actor, &m->actor.fingerprint);
        if (r >= 0 && pool && s->files && config_read_text(s->files, &m->text) == -ENOMEM)
                r = -ENOMEM;
        if (r < 0) {
                if (claimed)
                        *claimed = TAKE_PTR(m->children);
                config_free_monitor(m);
                return r;
        }
        *ret = m;
        return 0;
}

static int append_pointer(void *array, size_t *n, void *element) {
        void ***a = array, **bigger = reallocarray(*a, *n + 1, sizeof(void *));

        if (!bigger)
                return -ENOMEM;
        bigger[(*n)++] = element;
        *a = bigger;
        return 0;
}

/* Takes m over in any case. */
static int add_workers(struct config *c, const struct config_options *o, struct monitor_config *m,
                       bool pool) {
        struct actor_config *a;
        int r;

        if (pool) {
                r = append_pointer(&c->monitors, &c->n_monitors, m);
                if (r < 0)
                        config_free_monitor(m);
                return r;
        }
        if (config_find_monitor(c, m->name)) {
                conf_message(&o->sink, CONF_ERROR, m->path, 0,
                             "The name %s is taken by %s; rename one of the two.", m->name,
                             config_find_monitor(c, m->name)->path);
                config_free_monitor(m);
                return -EBADMSG;
        }
        a = malloc(sizeof(*a));
        if (a) {
                *a = m->actor;
                m->actor = (struct actor_config){};
        }
        config_free_monitor(m);
        r = a ? append_pointer(&c->actors, &c->n_actors, a) : -ENOMEM;
        if (r < 0)
                free_actor(a);
        return r;
}

static int load_file(struct config *c, const struct config_options *o, const char *file_name) {
        struct conf_files files = {};
        struct monitor_config *m = NULL;
        _cleanup_strv_free_ char **claimed = NULL;
        _cleanup_free_ char *name = NULL;
        bool pool = false;
        int r;

        if (!split_name(file_name, &name, &pool))
                return 0;
        if (!name)
                return -ENOMEM;
        r = conf_files_find(o->directories, file_name, &files);
        if (r < 0 && r != -ENOMEM) {
                conf_message(&o->sink, CONF_ERROR, file_name, 0, "Its drop-ins cannot be read: %s.",
                             strerror(-r));
                r = -EBADMSG;
        }
        if (r >= 0 && files.path) {
                struct source s = { &files, files.path, NULL, 0 };

                r = load_workers(o, &c->daemon, name, pool, &s, &m, &claimed);
                if (r == -EBADMSG && config_claim(c, claimed) < 0)
                        r = -ENOMEM;
                if (r >= 0)
                        r = add_workers(c, o, m, pool);
        }
        conf_files_done(&files);
        return r == -EBADMSG ? strv_add(&c->failed, file_name) : r;
}

static int load_suffix(struct config *c, const struct config_options *o, const char *suffix) {
        _cleanup_strv_free_ char **names = NULL;
        const char *directory = NULL;
        int r;

        r = conf_files_list(o->directories, suffix, &names, &directory);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                conf_message(&o->sink, CONF_ERROR, directory, 0, "The directory cannot be read: %s.",
                             strerror(-r));
        STRV_FOREACH(i, names) {
                r = load_file(c, o, *i);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_main_file(struct config *c, const struct config_options *o) {
        struct conf_files files = {};
        struct source s = { .files = &files };
        int r;

        config_init_daemon(&c->daemon);
        r = conf_files_find(o->directories, CONFIG_DAEMON_FILE, &files);
        if (r < 0 && r != -ENOMEM) {
                conf_message(&o->sink, CONF_ERROR, CONFIG_DAEMON_FILE, 0, "Its drop-ins cannot be read: %s.",
                             strerror(-r));
                return strv_add(&c->failed, CONFIG_DAEMON_FILE);
        }
        if (r < 0)
                return r;
        s.path = files.path ? files.path : CONFIG_DAEMON_FILE;
        r = load_daemon(o, &s, &c->daemon);
        conf_files_done(&files);
        return r == -EBADMSG ? strv_add(&c->failed, CONFIG_DAEMON_FILE) : r;
}

struct ordering {
        struct config *config;
        const struct config_options *options;
        uint8_t *marks; /* by index in monitors: 0 not seen, 1 being placed, 2 placed */
        size_t n;
};

/* Depth first, as deep as the longest chain of After=. */
static void place_monitor(struct ordering *o, size_t i) {
        struct config *c = o->config;
        struct monitor_config *m = c->monitors[i];

        o->marks[i] = 1;
        STRV_FOREACH(name, m->after) {
                size_t j = 0;

                while (j < c->n_monitors && !streq(c->monitors[j]->name, *name))
                        j++;
                if (j == c->n_monitors)
                        conf_message(&o->options->sink, CONF_WARNING, m->after_file, m->after_line,
                                     "After=%s names no monitor that is "
                                     "loaded; the ordering is ignored.",
                                     *name);
                else if (o->marks[j] == 1)
                        conf_message(&o->options->sink, CONF_WARNING, m->after_file, m->after_line,
                                     "After=%s closes a circle of After=; "
                                     "the ordering is ignored, remove it from one of the files.",
                                     *name);
                else if (o->marks[j] == 0)
                        place_monitor(o, j);
        }
        o->marks[i] = 2;
        c->order[o->n++] = m;
}

static int order_monitors(struct config *c, const struct config_options *options) {
        _cleanup_free_ uint8_t *marks = calloc(c->n_monitors + 1, 1);
        struct ordering o = { c, options, marks, 0 };

        c->order = calloc(c->n_monitors + 1, sizeof(*c->order));
        if (!marks || !c->order)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_monitors; i++)
                if (marks[i] == 0)
                        place_monitor(&o, i);
        return 0;
}

static int compare_monitors(const void *a, const void *b) {
        return strcmp((*(struct monitor_config *const *) a)->name,
                      (*(struct monitor_config *const *) b)->name);
}

static int compare_actors(const void *a, const void *b) {
        return strcmp((*(struct actor_config *const *) a)->name, (*(struct actor_config *const *) b)->name);
}

/* The files came in the order of their file names, in which "a-b.monitor" is before "a.monitor". */
static void sort_by_name(struct config *c) {
        if (c->n_monitors > 1)
                qsort(c->monitors, c->n_monitors, sizeof(*c->monitors), compare_monitors);
        if (c->n_actors > 1)
                qsort(c->actors, c->n_actors, sizeof(*c->actors), compare_actors);
}

int config_load(const struct config_options *options, struct config **ret) {
        struct config *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        r = load_main_file(c, options);
        if (r >= 0)
                r = load_suffix(c, options, ".monitor");
        if (r >= 0)
                r = load_suffix(c, options, ".actor");
        if (r >= 0) {
                sort_by_name(c);
                r = config_check_trees(c, options);
        }
        if (r >= 0)
                r = order_monitors(c, options);
        if (r < 0) {
                config_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

int config_load_one(const struct config_options *options, const char *name, struct config **ret) {
        static const char *const suffixes[] = { "monitor", "actor" };
        struct config *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        r = load_main_file(c, options);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(suffixes); i++) {
                char file_name[NAME_MAX_LENGTH + 16];

                (void) snprintf(file_name, sizeof(file_name), "%.*s.%s", NAME_MAX_LENGTH, name, suffixes[i]);
                r = load_file(c, options, file_name);
        }
        if (r < 0) {
                config_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

static void tell_nobody(void *userdata, enum conf_level level, const char *file, unsigned line,
                        const char *text) {
}

int config_load_text(const struct config_options *options, const struct daemon_config *d, const char *name,
                     const char *text, struct monitor_config **ret) {
        const struct source s = { .path = name, .text = text, .size = strlen(text) };
        struct config_options o = *options;
        int r;

        o.sink = (struct conf_sink){ tell_nobody, NULL };
        r = load_workers(&o, d, name, true, &s, ret, NULL);
        if (r < 0)
                return r;
        (*ret)->text = strdup(text);
        if ((*ret)->text)
                return 0;
        config_free_monitor(*ret);
        return -ENOMEM;
}

static int check_source(const struct config_options *o, const char *file_name, const struct source *s) {
        _cleanup_free_ char *name = NULL;
        struct monitor_config *m = NULL;
        struct daemon_config d;
        bool pool = false;
        int r;

        if (streq(file_name, CONFIG_DAEMON_FILE)) {
                r = load_daemon(o, s, &d);
                if (r >= 0)
                        done_daemon(&d);
                return r;
        }
        if (!split_name(file_name, &name, &pool))
                return -EINVAL;
        if (!name)
                return -ENOMEM;
        config_init_daemon(&d);
        r = load_workers(o, &d, name, pool, s, &m, NULL);
        config_free_monitor(m);
        return r;
}

static const char *file_name_of(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

int config_check_buffer(const struct config_options *options, const char *file_name, const char *text,
                        size_t size) {
        const struct source s = { .path = file_name, .text = text, .size = size };

        return check_source(options, file_name_of(file_name), &s);
}

int config_check_file(const struct config_options *options, const char *path) {
        const char *file_name = file_name_of(path);
        _cleanup_free_ char *directory = NULL;
        const char *directories[] = { NULL, NULL };
        struct conf_files files = {};
        struct source s = { &files, path, NULL, 0 };
        int r;

        directory = file_name == path ? strdup(".") : strndup(path, (size_t) (file_name - path));
        if (!directory)
                return -ENOMEM;
        directories[0] = directory;
        r = conf_files_find(directories, file_name, &files);
        if (r < 0 && r != -ENOMEM) {
                conf_message(&options->sink, CONF_ERROR, path, 0, "Its drop-ins cannot be read: %s.",
                             strerror(-r));
                return -EBADMSG;
        }
        if (r < 0)
                return r;
        if (!files.masked) { /* messages name the path as the user wrote it; a missing file is told by the
                                parser */
                free(files.path);
                files.path = strdup(path);
                r = files.path ? check_source(options, file_name, &s) : -ENOMEM;
        }
        conf_files_done(&files);
        return r;
}

struct monitor_config *config_find_monitor(const struct config *c, const char *name) {
        for (size_t i = 0; i < c->n_monitors; i++)
                if (streq(c->monitors[i]->name, name))
                        return c->monitors[i];
        return NULL;
}

struct actor_config *config_find_actor(const struct config *c, const char *name) {
        for (size_t i = 0; i < c->n_actors; i++)
                if (streq(c->actors[i]->name, name))
                        return c->actors[i];
        return NULL;
}
