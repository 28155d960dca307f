/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Leaf cgroups: one directory per process actor in a delegated cgroup2 subtree. A leaf holds no descriptor:
 * all is done by name relative to the root's directory descriptor, which nobody else renames in. */

#include "basic/time-util.h"

#define CGROUP_LEAF_NAME_MAX 255 /* NAME_MAX, after escaping */

struct cgroup_root {
        int fd;     /* O_PATH directory of the subtree; -EBADF: closed */
        char *path; /* below the mount, as in /proc/PID/cgroup; "" for the top of the hierarchy */
};
#define CGROUP_ROOT_INIT ((struct cgroup_root){ .fd = -EBADF })

struct cgroup_leaf {
        const struct cgroup_root *root; /* borrowed, outlives the leaf; NULL: no leaf */
        char *name;                     /* escaped: the name of the directory */
};
#define CGROUP_LEAF_INIT ((struct cgroup_leaf){})

#define CGROUP_UNKNOWN UINT64_MAX
struct cgroup_usage {
        uint64_t cpu_usec; /* each CGROUP_UNKNOWN where the kernel or a missing controller has no figure */
        uint64_t memory_current;
        uint64_t memory_peak;
        uint64_t oom_kill; /* processes of this leaf that the OOM killer has ended */
};

/* The subtree at dir (an absolute path on a cgroup2 mount), or with NULL the cgroup of this process if
 * systemd marked it or its parent as delegated (user.delegate, trusted.delegate). -EOPNOTSUPP when there is
 * no such subtree or it is not writable: the caller then uses process groups and says so in its status. */
int cgroup_root_open(const char *dir, struct cgroup_root *ret);
void cgroup_root_done(struct cgroup_root *root);

/* A directory name as systemd's cg_escape(): "cpu.1", "_x", ".x", "cgroup.y", "tasks" get a "_" in front.
 * -EINVAL for "" and "/", -ENAMETOOLONG. */
int cgroup_escape(const char *name, char **ret);

/* Makes the directory. -EEXIST where a leaf of this name is left over: cgroup_leaf_kill() it, and
 * cgroup_leaf_remove() it (attach). */
int cgroup_leaf_make(const struct cgroup_root *root, const char *name, struct cgroup_leaf *ret);
/* The same without making it: for what an earlier life left. */
int cgroup_leaf_attach(const struct cgroup_root *root, const char *name, struct cgroup_leaf *ret);
/* The names of all leaves, as they were given to cgroup_leaf_make(): an array that ends in NULL, to be freed
 * with its strings. */
int cgroup_root_list(const struct cgroup_root *root, char ***ret);
/* The processes in it, sorted: to be freed. A pid is only worth what its pidfd confirms. */
int cgroup_leaf_list_pids(const struct cgroup_leaf *leaf, pid_t **ret, size_t *ret_n);
/* Forgets the leaf; does not remove the directory. */
void cgroup_leaf_done(struct cgroup_leaf *leaf);

static inline bool cgroup_leaf_exists(const struct cgroup_leaf *leaf) {
        return leaf && leaf->root;
}

/* An O_PATH directory descriptor for CLONE_INTO_CGROUP, and a writable cgroup.procs for a process that moves
 * itself. */
int cgroup_leaf_open(const struct cgroup_leaf *leaf);
int cgroup_leaf_open_procs(const struct cgroup_leaf *leaf);

/* SIGKILLs every process in it, forks in flight included. Does not wait. Without cgroup.kill (kernel < 5.14)
 * it does as cgroup_leaf_kill_by_pidfds(): rounds over cgroup.procs until no new process shows up, -EAGAIN
 * after 64. */
int cgroup_leaf_kill(const struct cgroup_leaf *leaf);
int cgroup_leaf_kill_by_pidfds(const struct cgroup_leaf *leaf);
/* 1: there are live processes in it (zombies do not count); 0: none. */
int cgroup_leaf_is_populated(const struct cgroup_leaf *leaf);
/* rmdir. 0 also when it is gone already; -EBUSY while a process (or a zombie not yet reaped by its parent in
 * some kernels) is in it. */
int cgroup_leaf_remove(const struct cgroup_leaf *leaf);
int cgroup_leaf_read_usage(const struct cgroup_leaf *leaf, struct cgroup_usage *ret);
/* Its CPU time alone. */
int cgroup_leaf_read_cpu(const struct cgroup_leaf *leaf, uint64_t *ret_usec);
/* 1 if pid is in this leaf or below it, 0 if not, -ESRCH. The caller makes sure that pid is who he
 * thinks. */
int cgroup_leaf_contains(const struct cgroup_leaf *leaf, pid_t pid);
