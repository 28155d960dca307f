/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* User=, Group= and SupplementaryGroups=: names to numbers, at load time, so that a mistake has a place and
 * a spawn never waits for a name service. Changes no credentials. Called by config-parse.c. */

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"
#include "shared/exec-line.h"
#include "shared/strv.h"

enum { GROUPS_MAX = 65536 };

static struct actor_config *actor_of(const struct conf_context *c) {
        return &((struct monitor_config *) c->parser->data)->actor;
}

/* -1 (in 16 and in 32 bits) means "leave as it is" to the kernel and is nobody's number. */
static bool number_is_valid(uint64_t x) {
        return x < UINT32_MAX && x != UINT16_MAX;
}

static int replace(char **field, const char *value) {
        char *copy = NULL;

        if (value) {
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        free(*field);
        *field = copy;
        return 0;
}

static int set_user(struct actor_config *a, const char *name, const struct passwd *pw, uid_t uid) {
        int r = replace(&a->user, name);

        if (r >= 0)
                r = replace(&a->home, pw ? pw->pw_dir : NULL);
        if (r >= 0)
                r = replace(&a->shell, pw ? pw->pw_shell : NULL);
        if (r < 0)
                return r;
        a->user_set = name != NULL;
        a->uid = uid;
        if (!a->group)
                a->gid = pw ? pw->pw_gid : (gid_t) -1;
        return 0;
}

/* *ret_entry is NULL for a number that nobody has. */
static int find_user(const struct conf_context *c, const char *value, uid_t *ret,
                     const struct passwd **ret_entry) {
        const struct passwd *pw;
        uint64_t number;
        bool numeric;

        numeric = parse_u64(value, &number) >= 0;
        if (numeric && !number_is_valid(number))
                return conf_bad_value(c, value, "the number of a user");

        pw = numeric ? getpwuid((uid_t) number) : getpwnam(value);
        if (!pw && !numeric)
                return conf_bad_value(c, value,
                                      "a user of this machine; create it (useradd --system NAME), or name "
                                      "another");
        *ret = pw ? pw->pw_uid : (uid_t) number;
        *ret_entry = pw;
        return 0;
}

int config_parse_user(const struct conf_context *c, const char *value, void *field) {
        const struct load_context *l = c->parser->options;
        const struct passwd *pw = NULL;
        uid_t uid = (uid_t) -1;
        int r;

        if (!*value)
                return set_user(actor_of(c), NULL, NULL, (uid_t) -1);
        l->places[PLACE_USER] = (struct place){ c->file, c->line };
        r = find_user(c, value, &uid, &pw);
        return r < 0 ? r : set_user(actor_of(c), value, pw, uid);
}

static int find_group(const struct conf_context *c, const char *value, gid_t *ret) {
        const struct group *gr;
        uint64_t number;

        if (parse_u64(value, &number) >= 0) {
                if (!number_is_valid(number))
                        return conf_bad_value(c, value, "the number of a group");
                *ret = (gid_t) number;
                return 0;
        }
        gr = getgrnam(value);
        if (!gr)
                return conf_bad_value(c, value,
                                      "a group of this machine; create it (groupadd --system NAME), or "
                                      "name another");
        *ret = gr->gr_gid;
        return 0;
}

int config_parse_group(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = actor_of(c);
        gid_t gid = (gid_t) -1;
        int r;

        if (!*value) {
                const struct passwd *pw = a->user_set ? getpwuid(a->uid) : NULL;

                a->gid = pw ? pw->pw_gid : (gid_t) -1;
                return replace(&a->group, NULL);
        }
        r = find_group(c, value, &gid);
        if (r >= 0)
                r = replace(&a->group, value);
        if (r < 0)
                return r;
        a->gid = gid;
        return 0;
}

/* As in systemd: the group of the user's, unless another one is written. */
int config_parse_socket_user(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = actor_of(c);
        const struct passwd *pw = NULL;
        uid_t uid = (uid_t) -1;
        int r;

        r = *value ? find_user(c, value, &uid, &pw) : 0;
        if (r >= 0)
                r = replace(&a->socket_user, *value ? value : NULL);
        if (r < 0)
                return r;
        a->listen.uid = uid;
        if (!a->socket_group)
                a->listen.gid = pw ? pw->pw_gid : (gid_t) -1;
        return 0;
}

int config_parse_socket_group(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = actor_of(c);
        const struct passwd *pw = a->socket_user ? getpwuid(a->listen.uid) : NULL;
        gid_t gid = pw ? pw->pw_gid : (gid_t) -1;
        int r;

        r = *value ? find_group(c, value, &gid) : 0;
        if (r >= 0)
                r = replace(&a->socket_group, *value ? value : NULL);
        if (r < 0)
                return r;
        a->listen.gid = gid;
        return 0;
}

int config_parse_groups(const struct conf_context *c, const char *value, void *field) {
        _cleanup_strv_free_ char **names = NULL;
        struct actor_config *a = actor_of(c);
        const char *why;
        gid_t gid;
        int r;

        if (!*value) {
                a->group_names = strv_free(a->group_names);
                return 0;
        }
        r = split_words(value, &names, &why);
        if (r == -EINVAL)
                return conf_bad_value(c, value, "a list of groups: %s", why);
        STRV_FOREACH(i, names) {
                r = find_group(c, *i, &gid);
                if (r >= 0 && !strv_contains(a->group_names, *i))
                        r = strv_add(&a->group_names, *i);
                if (r < 0)
                        return r;
        }
        return r;
}

static int compare_gid(const void *a, const void *b) {
        gid_t x = *(const gid_t *) a, y = *(const gid_t *) b;

        return (x > y) - (x < y);
}

/* The groups of the user database for User=, room for extra more behind them. */
static int user_groups(const struct actor_config *a, size_t extra, gid_t **ret, size_t *ret_n) {
        const struct passwd *pw = a->user_set ? getpwuid(a->uid) : NULL;
        _cleanup_free_ gid_t *groups = NULL;
        int n = 0;

        if (pw)
                (void) getgrouplist(pw->pw_name, a->gid, NULL, &n); /* only counts */
        n = CLAMP(n, 0, GROUPS_MAX);
        groups = calloc((size_t) n + extra + 1, sizeof(gid_t));
        if (!groups)
                return -ENOMEM;
        if (pw && getgrouplist(pw->pw_name, a->gid, groups, &n) < 0)
                return -EBADMSG; /* it grew in between, or beyond reason */
        *ret = TAKE_PTR(groups);
        *ret_n = pw ? (size_t) n : 0;
        return 0;
}

/* What says no more than what is so anyway is dropped: only root can change users, if only to themselves. */
static int check_own_user(struct actor_config *a, const struct load_context *l, const char *path) {
        const struct place *place = &l->places[PLACE_USER];

        if ((a->user_set && a->uid != geteuid()) || (a->group && a->gid != getegid()) || a->group_names) {
                conf_message(&l->options->sink, CONF_ERROR, place->file ?: path, place->line,
                             "A user's arbiter runs actors as that user only; remove User=, Group= and "
                             "SupplementaryGroups=, or give the file to the arbiter of the system "
                             "(/etc/arbiter).");
                return -EBADMSG;
        }
        a->gid = (gid_t) -1;
        return a->group && replace(&a->group, NULL) < 0 ? -ENOMEM : set_user(a, NULL, NULL, (uid_t) -1);
}

int config_resolve_groups(struct actor_config *a, const struct load_context *l, const char *path) {
        const struct place *place = &l->places[PLACE_USER];
        size_t n, unique = 0;
        int r;

        if (l->options->own_user && (a->user_set || a->group || a->group_names))
                return check_own_user(a, l, path);
        if (!a->user_set && !a->group_names)
                return 0;
        if (a->user_set && a->gid == (gid_t) -1) {
                conf_message(&l->options->sink, CONF_ERROR, place->file, place->line,
                             "User=%s has no entry in the user database, so its group is unknown; add "
                             "Group=.",
                             a->user);
                return -EBADMSG;
        }
        r = user_groups(a, strv_length(a->group_names), &a->groups, &n);
        if (r == -EBADMSG)
                conf_message(&l->options->sink, CONF_ERROR, path, 0,
                             "The groups of User=%s cannot be read from the "
                             "user database; try again.",
                             a->user);
        if (r < 0)
                return r;
        STRV_FOREACH(i, a->group_names) {
                const struct group *gr;
                uint64_t number;

                if (parse_u64(*i, &number) >= 0)
                        a->groups[n++] = (gid_t) number;
                else if ((gr = getgrnam(*i)))
                        a->groups[n++] = gr->gr_gid;
        }
        /* sorted and without repetitions, so that equal sets compare equal */
        if (n > 0)
                qsort(a->groups, n, sizeof(gid_t), compare_gid);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || a->groups[i] != a->groups[unique - 1])
                        a->groups[unique++] = a->groups[i];
        a->n_groups = unique;
        return 0;
}
