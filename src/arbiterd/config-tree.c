/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitors of different children: the keys that say so, what contradicts them in their own file, and how the
 * files fit together. Called by config-parse.c, by config.c when all files are read, and by reload.c when
 * what had failed to load has been taken from the configuration before. Starts nothing. */

#include <stdio.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"
#include "shared/exec-line.h"
#include "shared/strv.h"

static void remember(const struct conf_context *c, enum place_key key) {
        const struct load_context *l = c->parser->options;

        l->places[key] = (struct place){ c->file, c->line };
}

static bool split_child(const char *child, char ret_name[static NAME_MAX_LENGTH + 1], bool *ret_monitor) {
        const char *dot = strrchr(child, '.');
        size_t n = dot ? (size_t) (dot - child) : 0;

        if (!dot || n > NAME_MAX_LENGTH || (!streq(dot, ".actor") && !streq(dot, ".monitor")))
                return false;
        memcpy(ret_name, child, n);
        ret_name[n] = 0;
        *ret_monitor = streq(dot, ".monitor");
        return name_is_valid(ret_name);
}

/* Keys. */

int config_parse_children(const struct conf_context *c, const char *value, void *field) {
        _cleanup_strv_free_ char **names = NULL;
        char ***children = field, name[NAME_MAX_LENGTH + 1];
        const char *why;
        bool monitor;
        int r;

        if (!*value) {
                *children = strv_free(*children);
                return 0;
        }
        remember(c, PLACE_CHILDREN);
        r = split_words(value, &names, &why);
        if (r == -EINVAL)
                return conf_bad_value(c, value, "a list of files: %s", why);
        STRV_FOREACH(i, names) {
                if (!split_child(*i, name, &monitor))
                        return conf_bad_value(c, *i, "the name of a file; write for example "
                                              "Children=db.actor cache.actor web.monitor");
                if (strv_contains(*children, *i))
                        return conf_complain(c, "Children= names %s twice; remove one.", *i);
                r = strv_add(children, *i);
                if (r < 0)
                        return r;
        }
        return r;
}

int config_parse_strategy(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_STRATEGY);
        return conf_parse_word(c, value, field);
}

int config_parse_auto_shutdown(const struct conf_context *c, const char *value, void *field) {
        if (*value)
                remember(c, PLACE_AUTO_SHUTDOWN);
        return conf_parse_word(c, value, field);
}

int config_parse_significant(const struct conf_context *c, const char *value, void *field) {
        remember(c, streq(c->section, "Monitor") ? PLACE_SIGNIFICANT : PLACE_ACTOR_SIGNIFICANT);
        return conf_parse_bool(c, value, field);
}

int config_parse_shutdown(const struct conf_context *c, const char *value, void *field) {
        static const struct conf_range range = { USEC_PER_MSEC, USEC_INFINITY, "brutal, infinity, 10s" };
        struct conf_item item = *c->item;
        struct conf_context ranged = *c;
        usec_t *shutdown = field;

        item.parameter = &range;
        ranged.item = &item;
        remember(c, PLACE_SHUTDOWN);
        if (streq(value, "brutal")) {
                *shutdown = CONFIG_SHUTDOWN_BRUTAL;
                return 0;
        }
        if (!*value || streq(value, "timeout")) {
                *shutdown = CONFIG_SHUTDOWN_TIMEOUT;
                return 0;
        }
        if (streq(value, "infinity")) {
                *shutdown = USEC_INFINITY;
                return 0;
        }
        return conf_parse_timeout(&ranged, value, field);
}

/* One file. */

static int complain(const struct load_context *l, enum place_key key, const char *path, const char *text) {
        config_complain_at(l, CONF_ERROR, key, path, text);
        return -EBADMSG;
}

static int check_tree(const struct monitor_config *m, const struct load_context *l, const char *path) {
        static const struct {
                enum place_key key;
                const char *text;
        } of_pools[] = {
                { PLACE_SCALE, "WorkersMin=, WorkersMax= and Scale...= are for pools, and this monitor has "
                               "children; write them into the .monitor file of a child." },
                { PLACE_REQUESTS, "MaxRequests= is for pools, and this monitor has children; write it into "
                                  "the .monitor file of a child." },
                { PLACE_MEMORY, "MaxMemory= is for pools, and this monitor has children; write it into the "
                                ".monitor file of a child." },
                { PLACE_ROLL, "MaxSurge= and MaxUnavailable= are for pools, and this monitor has children; "
                              "write them into the .monitor file of a child." },
        };
        const struct actor_config *a = &m->actor;
        int r = 0;

        if (l->places[PLACE_WORKERS].file)
                r = complain(l, PLACE_WORKERS, path,
                             "Workers= is for pools, and this monitor has children of its own; remove it.");
        for (size_t i = 0; i < ELEMENTSOF(of_pools); i++)
                if (l->places[of_pools[i].key].file)
                        r = complain(l, of_pools[i].key, path, of_pools[i].text);
        for (unsigned i = 0; i < CONFIG_PROBES; i++)
                if (l->places[PLACE_PROBES + i].file)
                        r = complain(l, (enum place_key) (PLACE_PROBES + i), path,
                                     "Probes ask workers and lone actors, and this monitor has children; "
                                     "write the section into their files.");
        config_warn_pool_keys(l, path);
        if (!m->children)
                r = complain(l, PLACE_STRATEGY, path,
                             "Strategy= is for monitors of different children, and none is named; add "
                             "Children=, or write Strategy=pool.");
        if (a->exec || a->module || a->unit)
                r = complain(l, PLACE_CHILDREN, path,
                             "Children= are run by their own files; remove Exec=, Module= or Unit= from "
                             "section [Actor], or put it into a .actor file that Children= names.");
        return r;
}

static int check_pool(const struct monitor_config *m, const struct load_context *l, const char *path) {
        int r = 0;

        if (m->children)
                r = complain(l, PLACE_CHILDREN, path,
                             "Children= needs a strategy; add Strategy=one-for-one, one-for-all or "
                             "rest-for-one to section [Monitor].");
        if (l->places[PLACE_AUTO_SHUTDOWN].file)
                r = complain(l, PLACE_AUTO_SHUTDOWN, path,
                             "AutoShutdown= is for monitors with Children=; remove it.");
        if (l->pool && l->places[PLACE_ACTOR_SIGNIFICANT].file)
                r = complain(l, PLACE_ACTOR_SIGNIFICANT, path,
                             "Significant= of a worker means nothing, as all are alike; write it into "
                             "section [Monitor] if the pool is a child, and is meant.");
        return r;
}

int config_finish_tree(const struct monitor_config *m, const struct load_context *l, const char *path) {
        bool tree = m->strategy != CONFIG_POOL;
        int restart = l->pool ? m->restart : m->actor.restart, r;
        enum place_key key = l->pool ? PLACE_SIGNIFICANT : PLACE_ACTOR_SIGNIFICANT;

        r = tree ? check_tree(m, l, path) : check_pool(m, l, path);
        if ((l->pool ? m->significant : m->actor.significant) && restart == CONFIG_PERMANENT)
                r = complain(l, key, path,
                             "Significant= is for children that may end for good; add Restart=transient or "
                             "Restart=temporary, or remove it.");
        return r;
}

/* All files together. */

enum { MONITORS_NESTED_MAX = 32 }; /* what the arbiter takes */

struct claim {
        const char **slot; /* where the child has its parent's name */
        bool significant;
        struct monitor_config *monitor; /* NULL: an actor */
        const char *path;
};

static bool find_child(const struct config *c, const char *child, struct claim *ret) {
        char name[NAME_MAX_LENGTH + 1];
        struct actor_config *a;
        bool monitor;

        if (!split_child(child, name, &monitor))
                return false;
        *ret = (struct claim){};
        if (monitor) {
                ret->monitor = config_find_monitor(c, name);
                if (!ret->monitor)
                        return false;
                ret->slot = &ret->monitor->parent;
                ret->path = ret->monitor->path;
                ret->significant = ret->monitor->significant;
                return true;
        }
        a = config_find_actor(c, name);
        if (!a)
                return false;
        ret->slot = &a->parent;
        ret->path = a->path;
        ret->significant = a->significant;
        return true;
}

static bool closes_circle(const struct config *c, const struct monitor_config *m) {
        const struct monitor_config *i = m;

        for (size_t n = 0; i && i->parent && n <= c->n_monitors; n++) {
                if (streq(i->parent, m->name))
                        return true;
                i = config_find_monitor(c, i->parent);
        }
        return false;
}

static void link_children(struct config *c, struct monitor_config *m) {
        STRV_FOREACH(child, m->children) {
                struct claim x;

                if (!find_child(c, *child, &x) || *x.slot)
                        continue;
                *x.slot = m->name;
                if (x.monitor && closes_circle(c, m))
                        *x.slot = NULL;
        }
}

/* Both are what they were before. */
static const char *parent_as_before(const struct config *c, const struct monitor_config *m) {
        const struct monitor_config *p = m->parent && config_has_failed(c, m->name, ".monitor")
                                                         ? config_find_monitor(c, m->parent)
                                                         : NULL;
        char file[NAME_MAX_LENGTH + 16];

        (void) snprintf(file, sizeof(file), "%s.monitor", m->name);
        return p && config_has_failed(c, p->name, ".monitor") && strv_contains(p->children, file) ? p->name
                                                                                                  : NULL;
}

/* Files that were not read together, because one has errors and is what it was before, may claim the same
 * child, or each other: then it is as it runs. */
void config_link(struct config *c) {
        for (size_t i = 0; i < c->n_monitors; i++)
                c->monitors[i]->parent = parent_as_before(c, c->monitors[i]);
        for (size_t i = 0; i < c->n_actors; i++)
                c->actors[i]->parent = NULL;
        for (size_t i = 0; i < c->n_monitors; i++)
                if (config_has_failed(c, c->monitors[i]->name, ".monitor"))
                        link_children(c, c->monitors[i]);
        for (size_t i = 0; i < c->n_monitors; i++)
                link_children(c, c->monitors[i]); /* of those again: nothing */
}

/* Is it the child of a monitor that could not be loaded? Then it waits for that. */
static bool is_claimed(const struct config *c, const char *name, bool monitor) {
        char file[NAME_MAX_LENGTH + 16];

        (void) snprintf(file, sizeof(file), "%s%s", name, monitor ? ".monitor" : ".actor");
        return strv_contains(c->claimed, file);
}

bool config_waits(const struct config *c, const char *name) {
        const struct monitor_config *m = config_find_monitor(c, name);
        const struct actor_config *a = config_find_actor(c, name);

        return (m || a) && is_claimed(c, name, m) && !(m ? m->parent : a->parent);
}

static int tell(const struct config_options *o, const struct monitor_config *m, const char *format,
                const char *child, const char *other) {
        conf_message(&o->sink, CONF_ERROR, m->children_file ? m->children_file : m->path, m->children_line,
                     format, child, other);
        return -EBADMSG;
}

static unsigned count_above(const struct config *c, const struct monitor_config *m) {
        unsigned n = 0;

        for (; m && n < MONITORS_NESTED_MAX; m = m->parent ? config_find_monitor(c, m->parent) : NULL)
                n++;
        return n;
}

/* It, and those that are known to be below it, take no more than so many levels. */
static bool fits(const struct config *c, const struct monitor_config *m, unsigned levels) {
        if (levels == 0)
                return false;
        STRV_FOREACH(child, m->children) {
                struct claim x;

                if (find_child(c, *child, &x) && x.monitor && *x.slot == m->name &&
                    !fits(c, x.monitor, levels - 1))
                        return false;
        }
        return true;
}

static int check_child(struct config *c, const struct config_options *o, struct monitor_config *m,
                       const char *child) {
        struct claim x;

        if (!find_child(c, child, &x))
                return strv_contains(c->failed, child)
                               ? 0 /* that is told; it starts without it, or with what it was before */
                               : tell(o, m, "Children= names %s, and there is no such file%s; write it, or "
                                      "remove the name.", child, "");
        if (*x.slot)
                return tell(o, m, "Children= names %s, which is a child of %s already; remove it from one "
                            "of the two.", child, *x.slot);
        if (x.monitor && x.monitor->after)
                conf_message(&o->sink, CONF_WARNING, x.monitor->after_file, x.monitor->after_line,
                             "After= does nothing for a child of %s, which starts where Children= has it.",
                             m->name);
        *x.slot = m->name;
        if (x.monitor && (x.monitor == m || closes_circle(c, m))) {
                *x.slot = NULL;
                return tell(o, m, "Children= names %s, of which %s is a child itself, or which is the same: "
                            "that closes a circle; remove it from one of the files.", child, m->name);
        }
        if (x.monitor && !fits(c, x.monitor, MONITORS_NESTED_MAX - count_above(c, m))) {
                *x.slot = NULL;
                return tell(o, m, "Children= names %s, and with that more than 32 monitors would be in each "
                            "other%s; take some out of between.", child, "");
        }
        if (x.significant && m->auto_shutdown == CONFIG_AUTO_SHUTDOWN_NEVER)
                conf_message(&o->sink, CONF_WARNING, x.path, 0,
                             "Significant= means nothing as long as %s has no AutoShutdown=.", m->path);
        return 0;
}

/* Also true if not all of its children are known. */
static bool may_have_significant(const struct config *c, const struct monitor_config *m) {
        STRV_FOREACH(child, m->children) {
                struct claim x;

                if (!find_child(c, *child, &x) || x.significant)
                        return true;
        }
        return false;
}

static int check_children(struct config *c, const struct config_options *o, struct monitor_config *m) {
        int r = 0;

        if (m->auto_shutdown != CONFIG_AUTO_SHUTDOWN_NEVER && !may_have_significant(c, m))
                conf_message(&o->sink, CONF_WARNING, m->path, 0,
                             "AutoShutdown= does nothing as long as no child is significant; add "
                             "Significant=yes and Restart=transient to the file of one.");

        STRV_FOREACH(child, m->children) {
                int q = check_child(c, o, m, *child);

                r = q < 0 ? q : r;
        }
        return r;
}

int config_claim(struct config *c, char *const *children) {
        int r = 0;

        STRV_FOREACH(child, children)
                if (r >= 0 && !strv_contains(c->claimed, *child))
                        r = strv_add(&c->claimed, *child);
        return r;
}

/* It is not loaded, and what it wanted to run is not run by itself instead. */
static int drop_monitor(struct config *c, size_t i) {
        struct monitor_config *m = c->monitors[i];
        char file[NAME_MAX_LENGTH + 16];
        int r;

        (void) snprintf(file, sizeof(file), "%s.monitor", m->name);
        r = config_claim(c, m->children);
        if (r >= 0)
                r = strv_add(&c->failed, file);
        if (r < 0)
                return r;
        memmove(c->monitors + i, c->monitors + i + 1, (--c->n_monitors - i) * sizeof(*c->monitors));
        config_free_monitor(m);
        return 0;
}

int config_check_trees(struct config *c, const struct config_options *o) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->n_monitors;) {
                if (check_children(c, o, c->monitors[i]) >= 0) {
                        i++;
                        continue;
                }
                r = drop_monitor(c, i);
                config_link(c);
                for (size_t k = i; k < c->n_monitors; k++) /* their turn is yet to come */
                        STRV_FOREACH(child, c->monitors[k]->children) {
                                struct claim x;

                                if (find_child(c, *child, &x) && *x.slot &&
                                    streq(*x.slot, c->monitors[k]->name))
                                        *x.slot = NULL;
                        }
        }
        return r;
}

bool config_has_moved(const struct config_difference *d) {
        const char *from, *to;

        if ((!d->old_monitor && !d->old_actor) || (!d->new_monitor && !d->new_actor))
                return false;
        from = d->old_monitor ? d->old_monitor->parent : d->old_actor->parent;
        to = d->new_monitor ? d->new_monitor->parent : d->new_actor->parent;
        if (!to && d->parent_failed)
                return false;
        return from && to ? !streq(from, to) : from != to;
}
