/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of arbiterd/config have in common: two directories of files, and what was told about
 * them. */

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "test-util.h"

#include "arbiterd/config.h"
#include "basic/fd.h"
#include "shared/strv.h"

static char root[64], etc[80], usr[80];
static const char *const directories[] = { etc, usr, NULL };
static char messages[64 * 1024]; /* "LEVEL FILE:LINE TEXT" a line, the file without its directory */

static inline void collect(void *userdata, enum conf_level level, const char *file, unsigned line,
                    const char *text) {
        const char *slash = strrchr(file, '/');
        size_t n = strlen(messages);

        assert_null(strchr(text, '\n'));
        (void) snprintf(messages + n, sizeof(messages) - n, "%d %s:%u %s\n", (int) level,
                        slash ? slash + 1 : file, line, text);
}

static struct config_options options = {
        .directories = directories,
        .home = "/home/ada",
        .runtime = "/run/arbiter",
        .sink = { collect, NULL },
};

static inline int setup(void **state) {
        (void) snprintf(root, sizeof(root), "/tmp/arbiter-test-XXXXXX");
        if (!mkdtemp(root))
                return -1;
        (void) snprintf(etc, sizeof(etc), "%s/etc", root);
        (void) snprintf(usr, sizeof(usr), "%s/usr", root);
        messages[0] = 0;
        return mkdir(etc, 0755) < 0 || mkdir(usr, 0755) < 0 ? -1 : 0;
}

static inline int teardown(void **state) {
        char command[128];

        (void) snprintf(command, sizeof(command), "rm -rf %s", root);
        return system(command);
}

static inline void put(const char *directory, const char *name, const char *text) {
        char path[256];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        for (char *p = strchr(path + strlen(directory) + 1, '/'); p; p = NULL) {
                *p = 0;
                (void) mkdir(path, 0755);
                *p = '/';
        }
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, strlen(text)));
        close_fd(fd);
}

static inline struct config *load(void) {
        struct config *c = NULL;

        messages[0] = 0;
        assert_ok(config_load(&options, &c));
        return c;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
