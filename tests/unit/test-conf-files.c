/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shared/conf-files: which files count, which hide which, what masks. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test-util.h"

#include "basic/fd.h"
#include "shared/conf-files.h"
#include "shared/strv.h"

static char root[] = "/tmp/arbiter-test-XXXXXX";
static char etc[64], run[64], usr[64];
static const char *const directories[] = { etc, run, "/nonexistent/arbiter", usr, NULL };

static const char *path_of(const char *directory, const char *name) {
        static char path[256];

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        return path;
}

static void put(const char *directory, const char *name, const char *text) {
        int fd = open(path_of(directory, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_ok(write_all(fd, text, strlen(text)));
        close_fd(fd);
}

static void make_directory(const char *directory, const char *name) {
        assert_int_equal(mkdir(path_of(directory, name), 0755), 0);
}

static int setup(void **state) {
        static const char *const dropin_directory = "web.monitor.d";

        if (!mkdtemp(root))
                return -1;
        (void) snprintf(etc, sizeof(etc), "%s/etc", root);
        (void) snprintf(run, sizeof(run), "%s/run", root);
        (void) snprintf(usr, sizeof(usr), "%s/usr", root);
        make_directory(root, "etc");
        make_directory(root, "run");
        make_directory(root, "usr");
        put(etc, "web.monitor", "x");
        put(usr, "web.monitor", "y");
        put(usr, "late.monitor", "z");
        put(usr, "nulled.monitor", "z");
        assert_int_equal(symlink("/dev/null", path_of(etc, "nulled.monitor")), 0);
        put(usr, "emptied.monitor", "z");
        put(run, "emptied.monitor", "");
        put(etc, ".hidden.monitor", "x");
        put(etc, ".monitor", "x");
        put(etc, "web.monitor~", "x");
        make_directory(etc, "folder.monitor");
        put(etc, "clock.actor", "x");
        make_directory(etc, dropin_directory);
        make_directory(run, dropin_directory);
        make_directory(usr, dropin_directory);
        put(etc, "web.monitor.d/20-b.conf", "x");
        put(usr, "web.monitor.d/10-a.conf", "x");
        put(usr, "web.monitor.d/20-b.conf", "hidden");
        put(usr, "web.monitor.d/30-c.conf", "masked");
        assert_int_equal(symlink("/dev/null", path_of(run, "web.monitor.d/30-c.conf")), 0);
        put(run, "web.monitor.d/05-d.conf", "x");
        put(run, "web.monitor.d/40-e.txt", "x");
        make_directory(run, "web.monitor.d/50-f.conf");
        return 0;
}

static int teardown(void **state) {
        char command[128];

        (void) snprintf(command, sizeof(command), "rm -rf %s", root);
        return system(command);
}

static void test_list(void **state) {
        _cleanup_strv_free_ char **names = NULL;
        const char *where = "unset";

        assert_ok(conf_files_list(directories, ".monitor", &names, &where));
        assert_null(where);
        assert_int_equal(strv_length(names), 4);
        assert_string_equal(names[0], "emptied.monitor");
        assert_string_equal(names[1], "late.monitor");
        assert_string_equal(names[2], "nulled.monitor");
        assert_string_equal(names[3], "web.monitor");
}

static void test_list_nothing(void **state) {
        static const char *const none[] = { "/nonexistent/arbiter", NULL };
        _cleanup_strv_free_ char **names = NULL;

        assert_ok(conf_files_list(none, ".monitor", &names, NULL));
        assert_non_null(names);
        assert_int_equal(strv_length(names), 0);
}

static void test_find_first_wins(void **state) {
        struct conf_files f = {};

        assert_ok(conf_files_find(directories, "web.monitor", &f));
        assert_string_equal(f.path, path_of(etc, "web.monitor"));
        assert_false(f.masked);
        conf_files_done(&f);
        assert_ok(conf_files_find(directories, "late.monitor", &f));
        assert_string_equal(f.path, path_of(usr, "late.monitor"));
        assert_int_equal(strv_length(f.dropins), 0);
        conf_files_done(&f);
}

static void test_dropins(void **state) {
        struct conf_files f = {};

        assert_ok(conf_files_find(directories, "web.monitor", &f));
        assert_int_equal(strv_length(f.dropins), 3);
        assert_string_equal(f.dropins[0], path_of(run, "web.monitor.d/05-d.conf"));
        assert_string_equal(f.dropins[1], path_of(usr, "web.monitor.d/10-a.conf"));
        assert_string_equal(f.dropins[2], path_of(etc, "web.monitor.d/20-b.conf"));
        conf_files_done(&f);
}

static void test_masks(void **state) {
        struct conf_files f = {};

        assert_ok(conf_files_find(directories, "nulled.monitor", &f));
        assert_null(f.path);
        assert_true(f.masked);
        conf_files_done(&f);
        assert_ok(conf_files_find(directories, "emptied.monitor", &f));
        assert_null(f.path);
        assert_true(f.masked);
        conf_files_done(&f);
        assert_ok(conf_files_find(directories, "folder.monitor", &f));
        assert_null(f.path);
        assert_false(f.masked);
        conf_files_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_list),
                cmocka_unit_test(test_list_nothing),
                cmocka_unit_test(test_find_first_wins),
                cmocka_unit_test(test_dropins),
                cmocka_unit_test(test_masks),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
