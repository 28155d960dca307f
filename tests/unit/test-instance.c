/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shared/instance and shared/config-dirs: the names that follow from an instance, and where it is
 * configured. */

#include <stdlib.h>
#include <systemd/sd-bus.h>

#include "test-util.h"

#include "shared/bus-names.h"
#include "shared/config-dirs.h"
#include "shared/instance.h"
#include "shared/strv.h"

static void assert_taken(int r, char *got, const char *expected) {
        assert_int_equal(r, 0);
        assert_string_equal(got, expected);
        free(got);
}

static void test_names(void **state) {
        static const char *const good[] = { "blue", "a", "7", "_x", "foo-bar", "foo.bar", "a:b", "System" };
        static const char *const bad[] = { "", "system", "user", "-a", ".a", ":a", "a/b", "a b", "a\\x2db",
                "\xc3\xbc", "a\n", "01234567890123456789012345678901234567890123456789012345678901234" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(instance_name_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(instance_name_is_valid(bad[i]));
        assert_true(instance_name_is_valid(bad[11] + 1)); /* 64 */
        assert_true(instance_is_main("system"));
        assert_true(instance_is_main("user"));
        assert_false(instance_is_main("blue"));
}

static void test_units(void **state) {
        char *s = NULL;
        int r;

        r = instance_unit_name("system", "-actors.scope", &s);
        assert_taken(r, s, "arbiter-system-actors.scope");
        r = instance_unit_name("foo-bar.x:1_2", ".slice", &s);
        assert_taken(r, s, "arbiter-foo\\x2dbar.x:1_2.slice");
        r = instance_service_name("user", &s);
        assert_taken(r, s, "arbiter.service");
        r = instance_service_name("foo-bar", &s);
        assert_taken(r, s, "arbiter@foo-bar.service");
}

/* The label is what sd-bus makes of it, and the whole a name that it takes. */
static void test_bus_name(void **state) {
        static const char *const names[] = { "blue", "7", "foo-bar", "a.b", "_x", "x_y", "a:1" };
        char *s = NULL;
        int r;

        r = instance_bus_name("system", &s);
        assert_taken(r, s, BUS_NAME);
        r = instance_bus_name("user", &s);
        assert_taken(r, s, BUS_NAME);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char *path = NULL;

                assert_int_equal(instance_bus_name(names[i], &s), 0);
                assert_true(sd_bus_path_encode("/x", names[i], &path) >= 0);
                assert_string_equal(s + strlen(BUS_NAME ".") , path + strlen("/x/"));
                assert_true(sd_bus_service_name_is_valid(s) > 0);
                free(path);
                free(s);
        }
}

static void test_runtime_directory(void **state) {
        char *s = NULL;
        int r;

        assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
        r = instance_runtime_directory("system", true, &s);
        assert_taken(r, s, "/run/arbiter");
        r = instance_runtime_directory("blue", true, &s);
        assert_taken(r, s, "/run/arbiter-blue");
        assert_int_equal(instance_runtime_directory("user", false, &s), -ENXIO);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
        r = instance_runtime_directory("user", false, &s);
        assert_taken(r, s, "/run/user/7/arbiter");
        r = instance_runtime_directory("blue", false, &s);
        assert_taken(r, s, "/run/user/7/arbiter-blue");
}

static void test_config_directories(void **state) {
        char **l = NULL;

        assert_int_equal(config_directories(true, NULL, &l), 0);
        assert_int_equal(strv_length(l), 4);
        assert_string_equal(l[0], "/etc/arbiter");
        assert_string_equal(l[3], "/usr/lib/arbiter");
        strv_free(l);
        assert_int_equal(config_directories(true, "blue", &l), 0);
        assert_string_equal(l[1], "/run/arbiter/instance/blue");
        strv_free(l);

        assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
        assert_int_equal(setenv("HOME", "/home/x", 1), 0);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
        assert_int_equal(setenv("XDG_DATA_HOME", "/data", 1), 0);
        assert_int_equal(config_directories(false, "blue", &l), 0);
        assert_int_equal(strv_length(l), 7);
        assert_string_equal(l[0], "/home/x/.config/arbiter/instance/blue");
        assert_string_equal(l[1], "/run/user/7/arbiter/instance/blue");
        assert_string_equal(l[2], "/data/arbiter/instance/blue");
        assert_string_equal(l[3], "/etc/arbiter/user/instance/blue");
        strv_free(l);
        assert_int_equal(config_directories(false, NULL, &l), 0);
        assert_string_equal(l[3], "/etc/arbiter/user");
        strv_free(l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_units),
                cmocka_unit_test(test_bus_name),
                cmocka_unit_test(test_runtime_directory),
                cmocka_unit_test(test_config_directories),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
