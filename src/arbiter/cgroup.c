/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leaf cgroups of process actors: find the delegated subtree, make, kill, read and remove leaves. Called by
 * the process spawner and by status. Must never touch a cgroup outside the subtree that it was given, nor
 * wait. */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "arbiter/cgroup.h"
#include "basic/fd.h"
#include "basic/pidfd.h"

#define LEAF_PATH_MAX 4096 /* a unit is read by its path below the mount */
#define MOUNTINFO_MAX ((size_t) 4 << 20)
#define PROC_CGROUP_MAX 65536
#define PROCS_MAX ((size_t) 1 << 20)
#define ATTRIBUTE_MAX 4096
#define KILL_ROUNDS 64

/* Mount points and roots are written with \ooo for blanks and backslashes. */
static void unescape_octal(char *s) {
        char *to = s;

        while (*s) {
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
                                s[3] >= '0' && s[3] <= '7') {
                        *to++ = (char) ((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
                        s += 4;
                } else
                        *to++ = *s++;
        }
        *to = 0;
}

/* The rest of path below prefix ("" for the same), or NULL. */
static const char *path_below(const char *path, const char *prefix) {
        size_t n = strlen(prefix);

        while (n > 0 && prefix[n - 1] == '/')
                n--;
        if (strncmp(path, prefix, n) != 0 || (path[n] != '/' && path[n] != 0))
                return NULL;
        return streq(path + n, "/") ? "" : path + n;
}

/* One line of mountinfo, cut up in place. */
static bool parse_mount(char *line, char **ret_root, char **ret_point) {
        char *fields[5], *save = NULL, *separator;

        separator = strstr(line, " - ");
        if (!separator || !startswith(separator + 3, "cgroup2 "))
                return false;
        *separator = 0;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
                if (!fields[i])
                        return false;
        }
        unescape_octal(fields[3]);
        unescape_octal(fields[4]);
        *ret_root = fields[3];
        *ret_point = fields[4];
        return true;
}

/* Puts the directory of a cgroup and its path in the hierarchy together. Exactly one of cgroup (a path as in
 * /proc/self/cgroup) and dir is given. */
static int find_in_mounts(const char *cgroup, const char *dir, char **ret_dir, char **ret_path) {
        _cleanup_free_ char *text = NULL;
        char *save = NULL;
        int r;

        r = read_file_full(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *root, *point, *found_dir, *found_path;
                const char *rest;

                if (!parse_mount(line, &root, &point))
                        continue;
                rest = cgroup ? path_below(cgroup, root) : path_below(dir, point);
                if (!rest)
                        continue;
                if (asprintf(&found_dir, "%s%s", point, rest) < 0)
                        return -ENOMEM;
                if (asprintf(&found_path, "%s%s", streq(root, "/") ? "" : root, rest) < 0) {
                        free(found_dir);
                        return -ENOMEM;
                }
                *ret_dir = found_dir;
                *ret_path = found_path;
                return 0;
        }
        return -EOPNOTSUPP;
}

/* The cgroup2 path of a process ("self" or a pid), from its "0::" line. */
static int read_cgroup_path(const char *pid, char **ret) {
        _cleanup_free_ char *text = NULL;
        char file[64], *save = NULL;
        int r;

        (void) snprintf(file, sizeof(file), "/proc/%s/cgroup", pid);
        r = read_file_full(AT_FDCWD, file, PROC_CGROUP_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *path = startswith(line, "0::/");

                if (!path)
                        continue;
                /* outside of our cgroup namespace */
                if (startswith(path, "..") && (path[2] == '/' || path[2] == 0))
                        return -EOPNOTSUPP;
                *ret = strdup(path - 1);
                return *ret ? 0 : -ENOMEM;
        }
        return -EOPNOTSUPP;
}

static bool directory_is_delegated(const char *dir) {
        static const char *const names[] = { "user.delegate", "trusted.delegate" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char value[2];

                if (getxattr(dir, names[i], value, sizeof(value)) == 1 && value[0] == '1')
                        return true;
        }
        return false;
}

/* The own cgroup, or the one above it: systemd's DelegateSubgroup= puts the mark there. */
static int find_own_subtree(char **ret_dir, char **ret_path) {
        _cleanup_free_ char *cgroup = NULL, *dir = NULL, *path = NULL;
        char *slash;
        int r;

        r = read_cgroup_path("self", &cgroup);
        if (r < 0)
                return r;
        for (int level = 0; level < 2; level++) {
                r = find_in_mounts(cgroup, NULL, &dir, &path);
                if (r < 0)
                        return r;
                if (directory_is_delegated(dir)) {
                        *ret_dir = TAKE_PTR(dir);
                        *ret_path = TAKE_PTR(path);
                        return 0;
                }
                slash = strrchr(cgroup, '/');
                if (!slash || slash == cgroup)
                        break;
                *slash = 0;
                free(TAKE_PTR(dir));
                free(TAKE_PTR(path));
        }
        return -EOPNOTSUPP;
}

static bool subtree_is_writable(int fd) {
        return faccessat(fd, ".", W_OK, AT_EACCESS) == 0 &&
                faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) == 0;
}

int cgroup_root_open(const char *dir, struct cgroup_root *ret) {
        _cleanup_free_ char *found = NULL, *path = NULL, *real = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct statfs fs;
        int r;

        if (dir) {
                real = realpath(dir, NULL);
                if (!real)
                        return negative_errno();
        }
        r = real ? find_in_mounts(NULL, real, &found, &path) : find_own_subtree(&found, &path);
        if (r < 0)
                return r;
        fd = open(real ?: found, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();
        if (fstatfs(fd, &fs) < 0)
                return negative_errno();
        if ((unsigned long) fs.f_type != CGROUP2_SUPER_MAGIC || !subtree_is_writable(fd))
                return -EOPNOTSUPP;
        *ret = (struct cgroup_root){ .fd = TAKE_FD(fd), .path = TAKE_PTR(path) };
        return 0;
}

void cgroup_root_done(struct cgroup_root *root) {
        close_fd(root->fd);
        free(root->path);
        *root = CGROUP_ROOT_INIT;
}

/* The shape of a cgroup core or controller file, with which a leaf must not collide. */
static bool name_is_reserved(const char *name) {
        static const char *const prefixes[] = {
                "blkio", "cgroup", "cpu",     "cpuacct",  "cpuset",     "devices", "freezer", "hugetlb",
                "io",    "irq",    "memory",  "misc",     "net_cls",    "net_prio", "perf_event", "pids",
                "rdma",  "dmem",
        };
        const char *dot = strchr(name, '.');

        if (name[0] == '_' || name[0] == '.')
                return true;
        if (streq(name, "notify_on_release") || streq(name, "release_agent") || streq(name, "tasks"))
                return true;
        for (size_t i = 0; dot && i < ELEMENTSOF(prefixes); i++)
                if (strlen(prefixes[i]) == (size_t) (dot - name) && startswith(name, prefixes[i]))
                        return true;
        return false;
}

int cgroup_escape(const char *name, char **ret) {
        char *escaped;

        if (name[0] == 0 || strchr(name, '/') || strchr(name, '\n'))
                return -EINVAL;
        if (asprintf(&escaped, "%s%s", name_is_reserved(name) ? "_" : "", name) < 0)
                return -ENOMEM;
        if (strlen(escaped) > CGROUP_LEAF_NAME_MAX) {
                free(escaped);
                return -ENAMETOOLONG;
        }
        *ret = escaped;
        return 0;
}

int cgroup_leaf_attach(const struct cgroup_root *root, const char *name, struct cgroup_leaf *ret) {
        char *escaped;
        int r;

        r = cgroup_escape(name, &escaped);
        if (r < 0)
                return r;
        *ret = (struct cgroup_leaf){ .root = root, .name = escaped };
        return 0;
}

int cgroup_leaf_make(const struct cgroup_root *root, const char *name, struct cgroup_leaf *ret) {
        struct cgroup_leaf leaf;
        int r;

        r = cgroup_leaf_attach(root, name, &leaf);
        if (r < 0)
                return r;
        if (mkdirat(root->fd, leaf.name, 0755) < 0) {
                r = negative_errno();
                cgroup_leaf_done(&leaf);
                return r;
        }
        *ret = leaf;
        return 0;
}

static void free_names(char **names, size_t n) {
        while (n > 0)
                free(names[--n]);
        free(names);
}

static int add_name(char ***names, size_t *n, const char *directory) {
        char **grown = reallocarray(*names, *n + 2, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        *names = grown;
        grown[*n] = strdup(directory + (directory[0] == '_')); /* cgroup_escape() */
        if (!grown[*n])
                return -ENOMEM;
        grown[++*n] = NULL;
        return 0;
}

int cgroup_root_list(const struct cgroup_root *root, char ***ret) {
        char **names = calloc(1, sizeof(*names));
        struct dirent *e;
        size_t n = 0;
        int fd, r = 0;
        DIR *d;

        if (!names)
                return -ENOMEM;
        fd = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                r = negative_errno();
                close_fd(fd);
                free(names);
                return r;
        }
        while (r >= 0 && (e = readdir(d)))
                if (e->d_type == DT_DIR && e->d_name[0] != '.')
                        r = add_name(&names, &n, e->d_name);
        (void) closedir(d);
        if (r < 0) {
                free_names(names, n);
                return r;
        }
        *ret = names;
        return 0;
}

void cgroup_leaf_done(struct cgroup_leaf *leaf) {
        free(leaf->name);
        *leaf = CGROUP_LEAF_INIT;
}

static int leaf_open_file(const struct cgroup_leaf *leaf, const char *file, int flags) {
        char path[LEAF_PATH_MAX];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", leaf->name, file);
        fd = openat(leaf->root->fd, path, flags | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? negative_errno() : fd;
}

static int leaf_read_file(const struct cgroup_leaf *leaf, const char *file, size_t max, char **ret) {
        char path[LEAF_PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/%s", leaf->name, file);
        return read_file_full(leaf->root->fd, path, max, ret, NULL);
}

static int leaf_write_file(const struct cgroup_leaf *leaf, const char *file, const char *value) {
        _cleanup_close_ int fd = leaf_open_file(leaf, file, O_WRONLY);

        if (fd < 0)
                return fd;
        return write_all(fd, value, strlen(value));
}

int cgroup_leaf_open(const struct cgroup_leaf *leaf) {
        return leaf_open_file(leaf, ".", O_PATH | O_DIRECTORY);
}

int cgroup_leaf_open_procs(const struct cgroup_leaf *leaf) {
        return leaf_open_file(leaf, "cgroup.procs", O_WRONLY);
}

static int compare_pids(const void *a, const void *b) {
        pid_t x = *(const pid_t *) a, y = *(const pid_t *) b;

        return (x > y) - (x < y);
}

int cgroup_leaf_list_pids(const struct cgroup_leaf *leaf, pid_t **ret, size_t *ret_n) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        pid_t *pids;
        char *p;
        int r;

        r = leaf_read_file(leaf, "cgroup.procs", PROCS_MAX, &text);
        if (r < 0)
                return r;
        pids = calloc(strlen(text) / 2 + 1, sizeof(*pids));
        if (!pids)
                return -ENOMEM;
        p = text;
        while (*p) {
                char *end;
                long pid = strtol(p, &end, 10);

                if (end == p)
                        break;
                if (pid > 0) /* 0: a process outside of our pid namespace */
                        pids[n++] = (pid_t) pid;
                p = end + (*end == '\n');
        }
        qsort(pids, n, sizeof(*pids), compare_pids);
        *ret = pids;
        *ret_n = n;
        return 0;
}

/* Holds the process by a pidfd first and then looks again whether it is in the leaf: the pid may be somebody
 * else's by now. */
static void leaf_kill_pid(const struct cgroup_leaf *leaf, pid_t pid) {
        _cleanup_close_ int pidfd = pidfd_open_pid(pid);

        if (pidfd >= 0 && cgroup_leaf_contains(leaf, pid) > 0)
                (void) pidfd_signal(pidfd, SIGKILL);
}

int cgroup_leaf_kill_by_pidfds(const struct cgroup_leaf *leaf) {
        _cleanup_free_ pid_t *previous = NULL;
        size_t n_previous = 0;
        int r;

        for (int round = 0; round < KILL_ROUNDS; round++) {
                pid_t *pids;
                size_t n, n_new = 0;

                r = cgroup_leaf_list_pids(leaf, &pids, &n);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n; i++) {
                        if (n_previous > 0 &&
                                        bsearch(&pids[i], previous, n_previous, sizeof(pid_t), compare_pids))
                                continue;
                        leaf_kill_pid(leaf, pids[i]);
                        n_new++;
                }
                free(previous);
                previous = pids;
                n_previous = n;
                if (n_new == 0)
                        return 0;
        }
        return -EAGAIN;
}

int cgroup_leaf_kill(const struct cgroup_leaf *leaf) {
        int r;

        r = leaf_write_file(leaf, "cgroup.kill", "1");
        if (r == -ENOENT && faccessat(leaf->root->fd, leaf->name, F_OK, 0) == 0)
                return cgroup_leaf_kill_by_pidfds(leaf);
        return r;
}

/* The number after "key " at the start of a line. */
static uint64_t find_number(const char *text, const char *key) {
        size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += line[0] == '\n';
                if (strncmp(line, key, n) == 0 && line[n] == ' ' && line[n + 1] >= '0' && line[n + 1] <= '9')
                        return strtoull(line + n + 1, NULL, 10);
        }
        return CGROUP_UNKNOWN;
}

int cgroup_leaf_is_populated(const struct cgroup_leaf *leaf) {
        _cleanup_free_ char *text = NULL;
        uint64_t populated;
        int r;

        r = leaf_read_file(leaf, "cgroup.events", ATTRIBUTE_MAX, &text);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        populated = find_number(text, "populated");
        return populated == CGROUP_UNKNOWN ? -EIO : populated != 0;
}

int cgroup_leaf_remove(const struct cgroup_leaf *leaf) {
        if (unlinkat(leaf->root->fd, leaf->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return negative_errno();
        return 0;
}

/* One number, or a "key number" line if a key is given. */
static int leaf_read_number(
                const struct cgroup_leaf *leaf, const char *file, const char *key, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = leaf_read_file(leaf, file, ATTRIBUTE_MAX, &text);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (key)
                *ret = find_number(text, key);
        else if (text[0] >= '0' && text[0] <= '9')
                *ret = strtoull(text, NULL, 10);
        return 0;
}

int cgroup_leaf_read_usage(const struct cgroup_leaf *leaf, struct cgroup_usage *ret) {
        struct cgroup_usage usage = { CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN };
        int r;

        r = leaf_read_number(leaf, "cpu.stat", "usage_usec", &usage.cpu_usec);
        if (r >= 0)
                r = leaf_read_number(leaf, "memory.current", NULL, &usage.memory_current);
        if (r >= 0)
                r = leaf_read_number(leaf, "memory.peak", NULL, &usage.memory_peak);
        if (r >= 0)
                r = leaf_read_number(leaf, "memory.events", "oom_kill", &usage.oom_kill);
        if (r < 0)
                return r;
        *ret = usage;
        return 0;
}

int cgroup_leaf_read_cpu(const struct cgroup_leaf *leaf, uint64_t *ret_usec) {
        uint64_t usec = CGROUP_UNKNOWN;
        int r;

        r = leaf_read_number(leaf, "cpu.stat", "usage_usec", &usec);
        if (r < 0)
                return r;
        *ret_usec = usec;
        return 0;
}

int cgroup_leaf_contains(const struct cgroup_leaf *leaf, pid_t pid) {
        _cleanup_free_ char *path = NULL;
        const char *rest;
        char text[32];
        size_t n;
        int r;

        (void) snprintf(text, sizeof(text), "%ld", (long) pid);
        r = read_cgroup_path(text, &path);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        rest = leaf->root->path[0] == 0 ? path : path_below(path, leaf->root->path);
        if (!rest || rest[0] != '/')
                return 0;
        rest++;
        n = strlen(leaf->name);
        return strncmp(rest, leaf->name, n) == 0 && (rest[n] == 0 || rest[n] == '/');
}
