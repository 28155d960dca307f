/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* log: the journal of an arbiter, of monitors, of actors, by journalctl(1) with the right matches, so that
 * both say the same and all that people know of journalctl holds. Needs no running arbiter: what happened
 * before it died is there. */

#include <unistd.h>

#include "arbiterctl/journal.h"
#include "arbiterctl/manager.h"
#include "basic/identity.h"
#include "basic/suggest.h"
#include "shared/strv.h"

static bool is_aid(const char *s) {
        return strlen(s) == AID_SIZE && aid_is_valid((const aid *) s);
}

/* From the directory of an arbiter: /run/arbiter is the system's. -ENOENT: its name does not say. */
static int instance_of_directory(const char *dir, char **ret, bool *ret_user) {
        const char *user = getenv("XDG_RUNTIME_DIR"), *slash = strrchr(dir, '/');
        bool of_system = slash && (size_t)(slash - dir) == strlen("/run") && startswith(dir, "/run/"),
             of_user = slash && user && *user && (size_t)(slash - dir) == strlen(user) &&
                       startswith(dir, user);

        if ((!of_system && !of_user) || !startswith(slash + 1, "arbiter"))
                return -ENOENT;
        slash += strlen("/arbiter");
        if (*slash && *slash != '-')
                return -ENOENT;
        *ret = strdup(*slash ? slash + 1 : of_user ? "user" : "system");
        *ret_user = of_user;
        return *ret ? 0 : -ENOMEM;
}

static int ask_instance(struct context *c, char **ret, bool *ret_user) {
        _cleanup_(manager_done) struct manager_object m = {};
        int r;

        r = manager_take(c, &m);
        if (r != 0)
                return r;
        if (!*m.instance)
                return complain(EXIT_FAILURE,
                                "The arbiter in %s does not write to the journal: it was not started by "
                                "systemd. What its workers print goes where its own output goes.",
                                c->runtime_dir);
        *ret = strdup(m.instance);
        *ret_user = false;
        return *ret ? 0 : out_of_memory();
}

/* Whether the user has an arbiter at all is seen from its directory. */
static bool user_has_one(void) {
        const char *e = getenv("XDG_RUNTIME_DIR");
        _cleanup_free_ char *path = NULL;

        if (geteuid() == 0 || !e || !*e || asprintf(&path, "%s/arbiter", e) < 0) {
                path = NULL;
                return false;
        }
        return access(path, F_OK) == 0;
}

static int find_instance(struct context *c, char **ret, bool *ret_user) {
        const char *dir = c->runtime_dir ? c->runtime_dir : getenv("ARBITER_RUNTIME_DIR");
        bool by_directory = dir && *dir &&
                (c->runtime_dir || (c->scope == SCOPE_DEFAULT && !c->machine && !c->instance));
        int r;

        if (by_directory) {
                r = instance_of_directory(dir, ret, ret_user);
                return r == -ENOENT ? ask_instance(c, ret, ret_user) : r < 0 ? out_of_memory() : 0;
        }
        *ret_user = c->scope == SCOPE_USER || (c->scope == SCOPE_DEFAULT && !c->machine && user_has_one());
        *ret = strdup(c->instance ? c->instance : *ret_user ? "user" : "system");
        return *ret ? 0 : out_of_memory();
}

static int complain_no_entries(const char *name, char *const *known) {
        struct suggestion near = {};

        STRV_FOREACH (k, known)
                suggest(&near, name, *k);
        if (near.word)
                return complain(EXIT_NO_SUCH, "The journal has nothing of '%s': did you mean '%s'?", name,
                                near.word);
        return complain(EXIT_NO_SUCH, "The journal has nothing of '%s'. See 'arbiterctl list-actors'.",
                        name);
}

/* Globs over all names that the journal knows. A name that it does not know is a slip, unless what is to
 * come is waited for; where the journal may not be read, journalctl is who says so. */
static int expand_names(const struct context *c, char *const *patterns, char ***ret) {
        _cleanup_strv_free_ char **known = NULL;
        int r;

        r = c->machine ? 0 : journal_names(NULL, &known); /* that of a container is not here */
        if (r == -ENOMEM)
                return out_of_memory();
        for (; *patterns; patterns++) {
                bool glob = strpbrk(*patterns, "*?["), found = false;

                STRV_FOREACH (k, known)
                        if (name_matches((char *[]){ *patterns, NULL }, *k)) {
                                found = true;
                                if (!strv_contains(*ret, *k) && strv_add(ret, *k) < 0)
                                        return out_of_memory();
                        }
                if (!found && (glob || (known && !c->follow && !is_aid(*patterns))))
                        return complain_no_entries(*patterns, known);
                if (!found && strv_add(ret, *patterns) < 0)
                        return out_of_memory();
        }
        return 0;
}

/* One alternative: what all entries have in common, and FIELD=value. */
static int add_alternative(
                char ***l, const char *instance, bool user, const char *field, const char *value) {
        char *s;
        int r;

        r = *l ? strv_add(l, "+") : 0;
        if (r >= 0)
                r = strv_take(l, asprintf(&s, "ARBITER_INSTANCE=%s", instance) < 0 ? NULL : s);
        if (r >= 0 && user)
                r = strv_take(l, asprintf(&s, "_UID=%u", (unsigned) getuid()) < 0 ? NULL : s);
        if (r >= 0 && field)
                r = strv_take(l, asprintf(&s, "%s=%s", field, value) < 0 ? NULL : s);
        return r;
}

static int add_matches(char ***l, const char *instance, bool user, char *const *names) {
        int r = 0;

        if (!names)
                return add_alternative(l, instance, user, NULL, NULL);
        STRV_FOREACH (name, names) {
                r = add_alternative(l, instance, user, "ARBITER_MONITOR", *name);
                if (r >= 0)
                        r = add_alternative(l, instance, user, "ARBITER_NAME", *name);
                if (r >= 0 && is_aid(*name))
                        r = add_alternative(l, instance, user, "ARBITER_AID", *name);
                if (r < 0)
                        return r;
        }
        return r;
}

static int add_option(char ***l, const char *option, const char *value) {
        char *s;

        if (!value)
                return 0;
        return strv_take(l, asprintf(&s, "%s=%s", option, value) < 0 ? NULL : s);
}

static const char *output_format(const struct context *c) {
        if (c->output)
                return c->output;
        return c->json == JSON_SHORT ? "json" : c->json == JSON_PRETTY ? "json-pretty" : NULL;
}

static int add_options(char ***l, const struct context *c) {
        const struct {
                bool given;
                const char *option;
        } flags[] = {
                { c->follow, "--follow" },
                { !c->pager, "--no-pager" },
                { c->quiet, "--quiet" },
                { c->catalog, "--catalog" },
                { c->full, "--full" },
        };
        char lines[16];
        int r;

        (void) snprintf(lines, sizeof(lines), "%u", c->lines);
        r = strv_add(l, "journalctl");
        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (r >= 0 && flags[i].given)
                        r = strv_add(l, flags[i].option);
        if (r >= 0)
                r = add_option(l, "--lines", c->lines == LINES_DEFAULT ? NULL : lines);
        if (r >= 0)
                r = add_option(l, "--output", output_format(c));
        if (r >= 0)
                r = add_option(l, "--since", c->since);
        if (r >= 0)
                r = add_option(l, "--until", c->until);
        if (r >= 0)
                r = add_option(l, "--priority", c->priority);
        return r < 0 ? r : add_option(l, "--machine", c->machine);
}

int verb_log(int argc, char *argv[], void *userdata) {
        _cleanup_strv_free_ char **command = NULL, **names = NULL, **matches = NULL;
        _cleanup_free_ char *instance = NULL;
        struct context *c = userdata;
        bool user = false;
        int r;

        if (c->host)
                return complain(EXIT_USAGE,
                                "The journal of another host is read there: try 'ssh %s arbiterctl log'.",
                                c->host);
        r = find_instance(c, &instance, &user);
        if (r == 0 && argc > 1)
                r = expand_names(c, argv + 1, &names);
        if (r != 0)
                return r;
        r = add_options(&command, c);
        if (r >= 0)
                r = add_matches(&matches, instance, user, names);
        STRV_FOREACH (match, matches)
                r = r < 0 ? r : strv_add(&command, *match);
        if (r < 0)
                return out_of_memory();
        (void) execvp(command[0], command);
        return complain(EXIT_FAILURE, "Cannot run journalctl: %m. It comes with systemd; is it in $PATH?");
}
