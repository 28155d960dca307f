/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds configuration files by systemd's rules. Called by the loader and by `arbiterctl cat` and `verify`.
 * Reads directories and file types only, never contents; never follows into a mask. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "shared/conf-files.h"
#include "shared/strv.h"

DEFINE_CLEANUP(DIR *, closedir)
#define _cleanup_closedir_ _cleanup_(closedirp)

void conf_files_done(struct conf_files *f) {
        free(f->path);
        strv_free(f->dropins);
        *f = (struct conf_files){};
}

static const char *ends_with(const char *s, const char *suffix) {
        size_t n = strlen(s), m = strlen(suffix);

        return n > m && streq(s + n - m, suffix) ? s + n - m : NULL;
}

static char *join(const char *directory, const char *name) {
        char *path;

        return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

enum found { FOUND_NOT, FOUND_MASK, FOUND_FILE };

/* What is at this path? A file of any type but a directory counts as found: what is wrong with it is for the
 * reader to say. /dev/null, by link or by bind mount, and the empty file are masks. */
static enum found look(int dir_fd, const char *path) {
        struct stat st, null;

        if (fstatat(dir_fd, path, &st, 0) < 0)
                /* a dangling link is there, too: reading it tells */
                return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? FOUND_NOT : FOUND_FILE;
        if (S_ISDIR(st.st_mode))
                return FOUND_NOT;
        if (S_ISREG(st.st_mode) && st.st_size == 0)
                return FOUND_MASK;
        if (S_ISCHR(st.st_mode) && stat("/dev/null", &null) == 0 && S_ISCHR(null.st_mode) &&
            st.st_rdev == null.st_rdev)
                return FOUND_MASK;
        return FOUND_FILE;
}

/* Calls handle for each entry of a directory that ends in suffix, in no order. */
static int each_entry(const char *directory, const char *suffix,
                      int (*handle)(const char *directory, const char *name, enum found found,
                                    void *userdata),
                      void *userdata) {
        _cleanup_closedir_ DIR *d = opendir(directory);
        struct dirent *e;
        int r;

        if (!d)
                return errno == ENOENT || errno == ENOTDIR ? 0 : negative_errno();
        while ((errno = 0, e = readdir(d))) {
                enum found found;

                if (e->d_name[0] == '.' || !ends_with(e->d_name, suffix))
                        continue;
                found = look(dirfd(d), e->d_name);
                if (found == FOUND_NOT)
                        continue;
                r = handle(directory, e->d_name, found, userdata);
                if (r < 0)
                        return r;
        }
        return errno > 0 ? -errno : 0;
}

static int collect_name(const char *directory, const char *name, enum found found, void *userdata) {
        char ***names = userdata;

        return strv_contains(*names, name) ? 0 : strv_add(names, name);
}

int conf_files_list(const char *const *directories, const char *suffix, char ***ret,
                    const char **ret_directory) {
        _cleanup_strv_free_ char **names = calloc(1, sizeof(char *));
        const char *where = NULL;
        int failure = 0;

        if (!names)
                return -ENOMEM;
        for (const char *const *d = directories; d && *d; d++) {
                int r = each_entry(*d, suffix, collect_name, &names);

                if (r == -ENOMEM)
                        return r;
                if (r < 0 && failure == 0) {
                        failure = r;
                        where = *d;
                }
        }
        strv_sort(names);
        *ret = TAKE_PTR(names);
        if (ret_directory)
                *ret_directory = where;
        return failure;
}

struct dropins {
        char **names; /* in parallel with paths; an empty path is a mask */
        char **paths;
};

static int collect_dropin(const char *directory, const char *name, enum found found, void *userdata) {
        struct dropins *d = userdata;
        int r;

        if (strv_contains(d->names, name))
                return 0;
        r = strv_add(&d->names, name);
        if (r < 0)
                return r;
        return strv_take(&d->paths, found == FOUND_MASK ? strdup("") : join(directory, name));
}

/* The paths in the order of their names, without masks. */
static int sort_dropins(const struct dropins *d, char ***ret) {
        _cleanup_strv_free_ char **sorted = NULL, **paths = NULL;
        int r;

        r = strv_copy(d->names, &sorted);
        if (r < 0)
                return r;
        strv_sort(sorted);
        STRV_FOREACH(name, sorted)
                for (size_t i = 0; d->names[i]; i++)
                        if (streq(d->names[i], *name) && *d->paths[i]) {
                                r = strv_add(&paths, d->paths[i]);
                                if (r < 0)
                                        return r;
                        }
        *ret = TAKE_PTR(paths);
        return 0;
}

static int find_dropins(const char *const *directories, const char *file_name, char ***ret) {
        struct dropins found = {};
        int r = 0;

        for (const char *const *d = directories; d && *d && r >= 0; d++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s.d", *d, file_name) < 0) {
                        path = NULL;
                        r = -ENOMEM;
                        break;
                }
                r = each_entry(path, ".conf", collect_dropin, &found);
        }
        if (r >= 0)
                r = sort_dropins(&found, ret);
        strv_free(found.names);
        strv_free(found.paths);
        return r;
}

int conf_files_find(const char *const *directories, const char *file_name, struct conf_files *ret) {
        struct conf_files f = {};
        int r;

        for (const char *const *d = directories; d && *d && !f.path; d++) {
                _cleanup_free_ char *path = join(*d, file_name);
                enum found found;

                if (!path)
                        return -ENOMEM;
                found = look(AT_FDCWD, path);
                if (found == FOUND_MASK) {
                        f.masked = true;
                        break;
                }
                if (found == FOUND_FILE)
                        f.path = TAKE_PTR(path);
        }
        if (!f.masked) {
                r = find_dropins(directories, file_name, &f.dropins);
                if (r < 0) {
                        conf_files_done(&f);
                        return r;
                }
        }
        *ret = f;
        return 0;
}
