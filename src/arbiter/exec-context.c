/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program runs as, and the words for what failed on the way there. Filled by configuration, used by
 * the process spawner. Must never look anything up while a process is being spawned: NSS may block. */

#include <ctype.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>

#include "arbiter/exec-context.h"
#include "basic/limits.h"

#define EXIT_STATUS_BASE 200
#define NSS_BUFFER_MAX ((size_t) 1 << 20)
#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */
#define OBJECT_SIZE 24   /* "LimitSIGPENDING" */

static void free_strings(char **strings) {
        for (char **s = strings; s && *s; s++)
                free(*s);
        free(strings);
}

void exec_context_init(struct exec_context *c) {
        *c = (struct exec_context){};
}

void exec_context_free(struct exec_context *c) {
        free(c->path);
        free_strings(c->argv);
        free_strings(c->environment);
        free(c->user);
        free(c->group);
        free_strings(c->supplementary_groups);
        free(c->working_directory);
        free(c->groups);
        exec_context_init(c);
}

static bool env_name_is_valid(const char *name) {
        if (!isalpha((unsigned char) name[0]) && name[0] != '_')
                return false;
        for (const char *p = name; *p; p++)
                if (!isalnum((unsigned char) *p) && *p != '_')
                        return false;
        return true;
}

static char **find_env(const struct exec_context *c, const char *name) {
        size_t n = strlen(name);

        for (char **e = c->environment; e && *e; e++)
                if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
                        return e;
        return NULL;
}

int exec_context_set_env(struct exec_context *c, const char *name, const char *value) {
        _cleanup_free_ char *assignment = NULL;
        char **found, **bigger;
        size_t n = 0;

        if (!env_name_is_valid(name))
                return -EINVAL;
        if (asprintf(&assignment, "%s=%s", name, value) < 0)
                return -ENOMEM;
        found = find_env(c, name);
        if (found) {
                free(*found);
                *found = TAKE_PTR(assignment);
                return 0;
        }
        while (c->environment && c->environment[n])
                n++;
        bigger = reallocarray(c->environment, n + 2, sizeof(*bigger));
        if (!bigger)
                return -ENOMEM;
        bigger[n] = TAKE_PTR(assignment);
        bigger[n + 1] = NULL;
        c->environment = bigger;
        return 0;
}

/* A number that may stand for a user or group; (uid_t) -1 and its 16-bit twin are "no change" to the kernel.
 * */
static bool parse_id(const char *s, uint32_t *ret) {
        unsigned long id;
        char *end;

        if (!isdigit((unsigned char) s[0]))
                return false;
        errno = 0;
        id = strtoul(s, &end, 10);
        if (errno != 0 || *end != 0 || id >= UINT32_MAX || id == UINT16_MAX)
                return false;
        *ret = (uint32_t) id;
        return true;
}

/* getpwnam_r() and friends want a buffer of a size that nobody knows. NULL with *r 0: no such entry. */
static void *grow_buffer(void **buffer, size_t *size) {
        void *bigger;

        if (*size >= NSS_BUFFER_MAX)
                return NULL;
        *size = *size == 0 ? 2048 : *size * 2;
        bigger = realloc(*buffer, *size);
        if (bigger)
                *buffer = bigger;
        return bigger;
}

static int find_user(const char *user, void **buffer, struct passwd *storage, struct passwd **ret) {
        size_t size = 0;
        uint32_t uid;
        int r;

        do {
                if (!grow_buffer(buffer, &size))
                        return -ENOMEM;
                r = parse_id(user, &uid) ? getpwuid_r(uid, storage, *buffer, size, ret)
                                         : getpwnam_r(user, storage, *buffer, size, ret);
        } while (r == ERANGE || r == EINTR);
        /* the ways in which modules say "not here" */
        if (r == ENOENT || r == ESRCH || r == EBADF || r == EPERM) {
                *ret = NULL;
                r = 0;
        }
        return -r;
}

static int find_group(const char *group, gid_t *ret) {
        _cleanup_free_ void *buffer = NULL;
        struct group storage, *found = NULL;
        size_t size = 0;
        uint32_t gid;
        int r;

        if (parse_id(group, &gid)) {
                *ret = gid;
                return 0;
        }
        do {
                if (!grow_buffer(&buffer, &size))
                        return -ENOMEM;
                r = getgrnam_r(group, &storage, buffer, size, &found);
        } while (r == ERANGE || r == EINTR);
        if (!found)
                return r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM ? -ENOENT : -r;
        *ret = found->gr_gid;
        return 0;
}

/* initgroups(3) without the effect. */
static int find_user_groups(const char *name, gid_t gid, gid_t **ret, size_t *ret_n) {
        gid_t *groups = NULL;
        int n = 32;

        for (;;) {
                gid_t *bigger = reallocarray(groups, (size_t) n, sizeof(*groups));
                int n_found = n;

                if (!bigger) {
                        free(groups);
                        return -ENOMEM;
                }
                groups = bigger;
                if (getgrouplist(name, gid, groups, &n_found) >= 0) {
                        *ret = groups;
                        *ret_n = (size_t) n_found;
                        return 0;
                }
                if (n >= GROUPS_MAX) {
                        free(groups);
                        return -E2BIG;
                }
                n = MIN(MAX(n_found, n * 2), GROUPS_MAX);
        }
}

static int add_group(gid_t gid, gid_t **groups, size_t *n) {
        gid_t *bigger;

        for (size_t i = 0; i < *n; i++)
                if ((*groups)[i] == gid)
                        return 0;
        if (*n >= GROUPS_MAX)
                return -E2BIG;
        bigger = reallocarray(*groups, *n + 1, sizeof(**groups));
        if (!bigger)
                return -ENOMEM;
        bigger[(*n)++] = gid;
        *groups = bigger;
        return 0;
}

static int failed(struct exec_failure *ret_failure, enum exec_step step, int r) {
        if (ret_failure)
                *ret_failure = (struct exec_failure){ .step = step, .error = -r };
        return r;
}

static int set_default_env(struct exec_context *c, const char *name, const char *value) {
        if (!value || value[0] == 0 || find_env(c, name))
                return 0;
        return exec_context_set_env(c, name, value);
}

static int set_user_env(struct exec_context *c, const struct passwd *p) {
        int r;

        r = set_default_env(c, "USER", p->pw_name);
        if (r >= 0)
                r = set_default_env(c, "LOGNAME", p->pw_name);
        if (r >= 0)
                r = set_default_env(c, "HOME", p->pw_dir);
        if (r >= 0)
                r = set_default_env(c, "SHELL", p->pw_shell);
        return r;
}

struct resolved {
        bool has_uid, has_gid;
        uid_t uid;
        gid_t gid;
        gid_t *groups;
        size_t n_groups;
};

static int resolve_user(struct exec_context *c, struct resolved *v) {
        _cleanup_free_ void *buffer = NULL;
        struct passwd storage, *p = NULL;
        uint32_t uid;
        int r;

        r = find_user(c->user, &buffer, &storage, &p);
        if (r < 0)
                return r;
        if (!p) {
                /* a number without an entry is a user all the same; its group must then be said */
                if (!parse_id(c->user, &uid) || !c->group)
                        return -ESRCH;
                v->uid = uid;
                v->has_uid = true;
                return 0;
        }
        v->uid = p->pw_uid;
        v->gid = p->pw_gid;
        v->has_uid = v->has_gid = true;
        r = find_user_groups(p->pw_name, p->pw_gid, &v->groups, &v->n_groups);
        if (r < 0)
                return r;
        return set_user_env(c, p);
}

static int resolve_groups(const struct exec_context *c, struct resolved *v) {
        gid_t gid;
        int r;

        if (c->group) {
                r = find_group(c->group, &v->gid);
                if (r < 0)
                        return r;
                v->has_gid = true;
                r = add_group(v->gid, &v->groups, &v->n_groups);
                if (r < 0)
                        return r;
        }
        for (char **g = c->supplementary_groups; g && *g; g++) {
                r = find_group(*g, &gid);
                if (r < 0)
                        return r;
                if (!v->has_gid) {
                        v->gid = getgid();
                        v->has_gid = true;
                }
                r = add_group(gid, &v->groups, &v->n_groups);
                if (r < 0)
                        return r;
        }
        return 0;
}

int exec_context_resolve(struct exec_context *c, struct exec_failure *ret_failure) {
        struct resolved v = {};
        enum exec_step step = EXEC_STEP_USER;
        int r = 0;

        if (c->user)
                r = resolve_user(c, &v);
        if (r >= 0) {
                step = EXEC_STEP_GROUP;
                r = resolve_groups(c, &v);
        }
        if (r < 0) {
                free(v.groups);
                return failed(ret_failure, step, r);
        }
        /* User= of a user arbiter that names itself must not fail for want of CAP_SETGID */
        if (geteuid() != 0 && v.has_uid && v.uid == geteuid() && (!v.has_gid || v.gid == getegid()) &&
            !c->supplementary_groups)
                v.has_uid = v.has_gid = false;
        free(c->groups);
        c->has_uid = v.has_uid;
        c->has_gid = v.has_gid;
        c->uid = v.uid;
        c->gid = v.gid;
        c->groups = v.groups;
        c->n_groups = v.n_groups;
        return 0;
}

static const char *const step_names[_EXEC_STEP_MAX] = {
        [EXEC_STEP_NONE] = "none",
        [EXEC_STEP_USER] = "user",
        [EXEC_STEP_GROUP] = "group",
        [EXEC_STEP_ARGUMENTS] = "arguments",
        [EXEC_STEP_MEMORY] = "memory",
        [EXEC_STEP_CLONE] = "clone",
        [EXEC_STEP_CGROUP] = "cgroup",
        [EXEC_STEP_SESSION] = "session",
        [EXEC_STEP_STDIN] = "stdin",
        [EXEC_STEP_STDOUT] = "stdout",
        [EXEC_STEP_STDERR] = "stderr",
        [EXEC_STEP_FDS] = "fds",
        [EXEC_STEP_NICE] = "nice",
        [EXEC_STEP_LIMITS] = "limits",
        [EXEC_STEP_SETGROUPS] = "setgroups",
        [EXEC_STEP_SETGID] = "setgid",
        [EXEC_STEP_SETUID] = "setuid",
        [EXEC_STEP_CHDIR] = "chdir",
        [EXEC_STEP_PDEATHSIG] = "pdeathsig",
        [EXEC_STEP_EXEC] = "exec",
        [EXEC_STEP_TIMEOUT] = "timeout",
};

const char *exec_step_to_string(enum exec_step step) {
        return (unsigned) step < _EXEC_STEP_MAX ? step_names[step] : "unknown";
}

int exec_step_to_exit_status(enum exec_step step) {
        return EXIT_STATUS_BASE + (int) step;
}

/* The object of the step: what the reader of the message would ask next. */
static const char *failure_object(
                const struct exec_failure *f, const struct exec_context *c, char made[static OBJECT_SIZE]) {
        switch (f->step) {
        case EXEC_STEP_USER:
        case EXEC_STEP_SETUID:
                return c ? c->user : NULL;
        case EXEC_STEP_GROUP:
        case EXEC_STEP_SETGID:
                return c && c->group ? c->group : c ? c->user : NULL;
        case EXEC_STEP_CHDIR:
                return c && c->working_directory ? c->working_directory : "/";
        case EXEC_STEP_EXEC:
                return c ? c->path : NULL;
        case EXEC_STEP_LIMITS:
                (void) snprintf(made, OBJECT_SIZE, "Limit%s", limit_to_string(f->detail));
                return made;
        case EXEC_STEP_FDS:
                (void) snprintf(made, OBJECT_SIZE, "%d", f->detail);
                return made;
        default:
                return NULL;
        }
}

char *exec_failure_format(
                const struct exec_failure *f,
                const struct exec_context *c,
                char *buffer,
                size_t size) {

        char made[OBJECT_SIZE];
        const char *object = failure_object(f, c, made), *text = strerrordesc_np(f->error);
        bool to = f->step == EXEC_STEP_SETUID || f->step == EXEC_STEP_SETGID || f->step == EXEC_STEP_CHDIR;

        (void) snprintf(buffer, size, "%s%s%s%s failed: %s", exec_step_to_string(f->step),
                        !object ? "" : to ? " to '" : " '", object ?: "", object ? "'" : "",
                        text ?: "Unknown error");
        return buffer;
}
