/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterd/config-expand: what a definition comes to for one worker. */

#include "test-config-util.h"

static void test_expand(void **state) {
        char *base[] = { (char *) "PATH=/bin", (char *) "A=base", NULL };
        struct config_expanded e = {};
        char text[512], *why = NULL;
        struct config *c;

        put(root, "env", "# comment\nC=from file\nexport_me=\"a \\\"quoted\\\" one\"\n  D='x y' \nA=file\n");
        (void) snprintf(text, sizeof(text),
                        "[Actor]\nExec=sh -c '%%n %%N %%i %%h %%t 100%%%%' ${C} $LIST $$x ${UNSET} "
                        "$UNSET\nUser=root\n"
                        "Environment=A=env WHO=%%n \"LIST=one 'two three'\"\nEnvironmentFile=%s/env\n"
                        "EnvironmentFile=-/nonexistent\nProcessName=w-%%i\nWorkingDirectory=~\n",
                        root);
        put(etc, "web.monitor", text);
        c = load();
        assert_string_equal(messages, "");
        assert_ok(config_expand(&c->monitors[0]->actor, 3, "/home/ada", "/run/arbiter", base, &e, &why));
        assert_null(why);
        assert_non_null(strstr(e.program, "/sh"));
        assert_string_equal(e.argv[0], "sh");
        assert_string_equal(e.argv[2], "web.3 web 3 /home/ada /run/arbiter 100%");
        assert_string_equal(e.argv[3], "from file");
        assert_string_equal(e.argv[4], "one");
        assert_string_equal(e.argv[5], "two three");
        assert_string_equal(e.argv[6], "$x");
        assert_string_equal(e.argv[7], "");
        assert_null(e.argv[8]);
        assert_string_equal(strv_get_environment(e.environment, "PATH", 4), "/bin");
        assert_string_equal(strv_get_environment(e.environment, "A", 1), "file");
        assert_string_equal(strv_get_environment(e.environment, "D", 1), "x y");
        assert_string_equal(strv_get_environment(e.environment, "export_me", 9), "a \"quoted\" one");
        assert_string_equal(strv_get_environment(e.environment, "WHO", 3), "web.3");
        assert_string_equal(strv_get_environment(e.environment, "USER", 4), "root");
        assert_string_equal(strv_get_environment(e.environment, "HOME", 4), "/root");
        assert_string_equal(e.process_name, "w-3");
        assert_string_equal(e.working_directory, "/root");
        config_expanded_done(&e);
        config_free(c);
}

static void expect_expand_failure(const char *text, int expected, const char *expected_why) {
        struct config_expanded e = {};
        struct config *c;
        char *why = NULL;

        put(etc, "a.actor", text);
        c = load();
        assert_int_equal(c->n_actors, 1);
        assert_int_equal(config_expand(c->actors[0], 0, "/home/ada", "/run", NULL, &e, &why), expected);
        assert_string_equal(why, expected_why);
        assert_null(e.argv);
        free(why);
        config_free(c);
}

static void test_expand_failures(void **state) {
        char text[256], expected[256];

        expect_expand_failure("[Actor]\nExec=/nonexistent/x\n", -ENOENT,
                              "/nonexistent/x cannot be run: No such file or directory; install it, or "
                              "correct Exec=.");
        expect_expand_failure("[Actor]\nExec=/etc/passwd\n", -EACCES,
                              "/etc/passwd is not an executable file; check its mode (chmod +x).");
        expect_expand_failure("[Actor]\nExec=no-such-program-here\n", -ENOENT,
                              "no-such-program-here cannot be run: No such file or directory; install it, "
                              "or correct "
                              "Exec=.");
        expect_expand_failure("[Actor]\nExec=/bin/sh\nEnvironmentFile=/nonexistent\n", -ENOENT,
                              "EnvironmentFile=/nonexistent cannot be read: No such file or directory.");
        put(root, "env", "A=1\n\nnothing here\n");
        (void) snprintf(text, sizeof(text), "[Actor]\nExec=/bin/sh\nEnvironmentFile=%s/env\n", root);
        (void) snprintf(expected, sizeof(expected),
                        "EnvironmentFile=%s/env, line 3, is no assignment of the form NAME=VALUE.", root);
        expect_expand_failure(text, -EBADMSG, expected);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_expand),
                TEST(test_expand_failures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
