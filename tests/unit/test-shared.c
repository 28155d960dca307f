/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small modules of shared: exec-line, specifier, limits, strv, suggest, verbs, log. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test-util.h"

#include "basic/fd.h"
#include "basic/suggest.h"
#include "shared/exec-line.h"
#include "basic/limits.h"
#include "shared/log.h"
#include "shared/specifier.h"
#include "shared/strv.h"
#include "shared/verbs.h"

/* Joins with |, to compare lists at a glance. */
static const char *join(char *const *l) {
        static char buffer[1024];
        size_t n = 0;

        buffer[0] = 0;
        STRV_FOREACH(i, l)
                n += (size_t) snprintf(buffer + n, sizeof(buffer) - n, "%s%s", i == l ? "" : "|", *i);
        return buffer;
}

static void test_split_words(void **state) {
        static const char *const good[][2] = {
                { "", "" },
                { "  \t ", "" },
                { "a b", "a|b" },
                { "  a   b  ", "a|b" },
                { "\"a b\" 'c d'", "a b|c d" },
                { "a\"b c\"d", "ab cd" },
                { "'' x \"\"", "|x|" },
                { "\"it's\" 'say \"x\"'", "it's|say \"x\"" },
                { "a\\sb \\x41 \\101 \\u00e9 \\U0001f600", "a b|A|A|\303\251|\360\237\230\200" },
                { "a\\\\b \\\"q\\\"", "a\\b|\"q\"" },
                { "\\t\\n", "\t\n" },
        };
        static const char *const bad[] = { "\"a",   "'a",   "\\",      "a\\q",        "\\x4", "\\x00",
                                           "\\000", "\\18", "\\ud800", "\\U00110000", "\\400" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_strv_free_ char **l = NULL;
                const char *why = NULL;

                assert_ok(split_words(good[i][0], &l, &why));
                assert_string_equal(join(l), good[i][1]);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char **l = NULL;
                const char *why = NULL;

                assert_errno(split_words(bad[i], &l, &why), EINVAL);
                assert_non_null(why);
                assert_null(l);
        }
}

static void test_exec_line(void **state) {
        static const char *const bad[] = { "",           "-/bin/true", "@/bin/true x",
                                           "+/bin/true", "!/bin/true", ":/bin/true",
                                           "./x",        "bin/x",      "''",
                                           "/bin/",      "/" };
        _cleanup_strv_free_ char **l = NULL;
        const char *why;

        assert_ok(exec_line_parse("/bin/echo 'a b' c", &l, &why));
        assert_string_equal(join(l), "/bin/echo|a b|c");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char **none = NULL;

                why = NULL;
                assert_errno(exec_line_parse(bad[i], &none, &why), EINVAL);
                assert_non_null(why);
        }
}

static void test_exec_line_expand(void **state) {
        char *words[] = { (char *) "$A",
                          (char *) "$A",
                          (char *) "x${A}y",
                          (char *) "$$A",
                          (char *) "$NONE",
                          (char *) "${NONE}",
                          (char *) "a$A",
                          (char *) "${A",
                          (char *) "$",
                          (char *) "$Q",
                          NULL };
        char *environment[] = { (char *) "A=1 2", (char *) "Q='open", NULL };
        _cleanup_strv_free_ char **l = NULL;

        assert_ok(exec_line_expand(words, environment, &l));
        assert_string_equal(join(l), "$A|1|2|x1 2y|$A||a$A|${A|$|'open");
}

static void test_find_program(void **state) {
        char *path = NULL;

        assert_ok(exec_find_program("sh", &path));
        assert_true(path[0] == '/' && access(path, X_OK) == 0);
        free(path);
        path = NULL;
        assert_errno(exec_find_program("no-such-program-here", &path), ENOENT);
        assert_errno(exec_find_program("/etc/passwd", &path), EACCES);
        assert_errno(exec_find_program("/etc", &path), EACCES);
        assert_errno(exec_find_program("/etc/passwd/x", &path), ENOENT);
        assert_null(path);
}

static void test_environment_file(void **state) {
        static const struct {
                const char *text;
                unsigned line;
        } bad[] = {
                { "A", 1 },  { "\n1A=x", 2 }, { "A=1\nB=\"open\n\n", 2 },  { "A=\377", 1 },
                { "=x", 1 }, { "A =x", 1 },   { "A='two\nlines'\nno", 3 }, { "A=joined\\\nline\nno", 3 },
        };
        static const char text[] = "# c\n; c\n\n A=1 \r\nB=two  words  # kept\nC='single \"$x\" \\n'\nD=\"d "
                                   "\\\" \\\\ \\$ \\q\"\n"
                                   "E=a\\ b\\\nc\nF=\nA=again\nG='x''y'\nH=\"l1\nl2\"";
        _cleanup_strv_free_ char **l = NULL;
        unsigned line = 99;

        assert_ok(environment_file_parse(text, sizeof(text) - 1, &l, &line));
        assert_string_equal(join(l), "A=again|B=two  words  # kept|C=single \"$x\" \\n|D=d \" \\ $ \\q|E=a "
                                     "bc|F=|G=xy|H=l1\nl2");
        assert_ok(environment_file_parse("", 0, &l, &line));
        assert_int_equal(line, 99);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_errno(environment_file_parse(bad[i].text, strlen(bad[i].text), &l, &line), EBADMSG);
                assert_int_equal(line, bad[i].line);
        }
        assert_errno(environment_file_parse("A\0=x", 4, &l, &line), EBADMSG);
        assert_int_equal(strv_length(l), 8);
        assert_true(environment_assignment_is_valid("_A9="));
        assert_false(environment_assignment_is_valid("9A="));
        assert_false(environment_assignment_is_valid("A"));
}

static void test_specifiers(void **state) {
        const struct specifier_values v = { "web", "3", "/home/ada", "/run/arbiter" },
                                      lone = { "clock", "", NULL, NULL },
                                      shared = { "web", NULL, NULL, NULL };
        char *s = NULL, bad = 'x', *big;

        assert_ok(specifier_expand("%n %N %i %h %t %% %%n", &v, &s, &bad));
        assert_string_equal(s, "web.3 web 3 /home/ada /run/arbiter % %n");
        free(s);
        assert_ok(specifier_expand("%n %N [%i]", &lone, &s, &bad));
        assert_string_equal(s, "clock clock []");
        free(s);
        s = NULL;
        assert_errno(specifier_expand("%h", &lone, &s, &bad), EINVAL);
        assert_int_equal(bad, 'h');
        assert_errno(specifier_expand("%i", &shared, &s, &bad), EINVAL);
        assert_errno(specifier_expand("%n", &shared, &s, &bad), EINVAL);
        assert_int_equal(bad, 'n');
        assert_errno(specifier_expand("x%q", &v, &s, &bad), EINVAL);
        assert_int_equal(bad, 'q');
        assert_errno(specifier_expand("x%", &v, &s, &bad), EINVAL);
        assert_int_equal(bad, 0);

        /* the result is bounded, whatever the factor */
        big = malloc(20001);
        assert_non_null(big);
        for (size_t i = 0; i < 20000; i += 2)
                memcpy(big + i, "%t", 2);
        big[20000] = 0;
        assert_errno(specifier_expand(big, &v, &s, &bad), E2BIG);
        assert_null(s);
        free(big);
}

static void test_limits(void **state) {
        struct rlimit l;

        assert_ok(limit_parse(RLIMIT_NOFILE, "1024:4096", &l));
        assert_true(l.rlim_cur == 1024 && l.rlim_max == 4096);
        assert_ok(limit_parse(RLIMIT_NOFILE, "7", &l));
        assert_true(l.rlim_cur == 7 && l.rlim_max == 7);
        assert_ok(limit_parse(RLIMIT_CORE, "0:infinity", &l));
        assert_true(l.rlim_cur == 0 && l.rlim_max == RLIM_INFINITY);
        assert_ok(limit_parse(RLIMIT_AS, "1.5G", &l));
        assert_true(l.rlim_cur == 3ULL << 29);
        assert_ok(limit_parse(RLIMIT_CPU, "1min:2min", &l));
        assert_true(l.rlim_cur == 60 && l.rlim_max == 120);
        assert_ok(limit_parse(RLIMIT_CPU, "1500ms", &l));
        assert_int_equal(l.rlim_cur, 2);
        assert_ok(limit_parse(RLIMIT_RTTIME, "5000", &l));
        assert_int_equal(l.rlim_cur, 5000);
        assert_ok(limit_parse(RLIMIT_RTTIME, "5ms", &l));
        assert_int_equal(l.rlim_cur, 5000);
        assert_ok(limit_parse(RLIMIT_NICE, "-5", &l));
        assert_int_equal(l.rlim_cur, 25);
        assert_ok(limit_parse(RLIMIT_NICE, "30", &l));
        assert_int_equal(l.rlim_cur, 30);
        assert_errno(limit_parse(RLIMIT_NICE, "-21", &l), ERANGE);
        assert_errno(limit_parse(RLIMIT_NOFILE, "", &l), EINVAL);
        assert_errno(limit_parse(RLIMIT_NOFILE, "1:", &l), EINVAL);
        assert_errno(limit_parse(RLIMIT_NOFILE, ":1", &l), EINVAL);
        assert_errno(limit_parse(RLIMIT_NOFILE, "1:2:3", &l), EINVAL);
        assert_errno(limit_parse(RLIMIT_NOFILE, "1K", &l), EINVAL);
        assert_errno(limit_parse(RLIMIT_NOFILE, "2:1", &l), EILSEQ);
        assert_errno(limit_parse(RLIMIT_NOFILE, "18446744073709551615", &l),
                     ERANGE); /* infinity has a name */
        for (int i = 0; i < (int) N_LIMITS; i++)
                assert_non_null(limit_to_string(i));
        assert_null(limit_to_string(-1));
        assert_null(limit_to_string((int) N_LIMITS));
}

static void test_strv(void **state) {
        _cleanup_strv_free_ char **l = NULL, **copy = NULL;

        assert_int_equal(strv_length(NULL), 0);
        assert_ok(strv_add(&l, "c"));
        assert_ok(strv_add(&l, "a"));
        assert_errno(strv_take(&l, NULL), ENOMEM);
        assert_ok(strv_copy(l, &copy));
        strv_sort(copy);
        assert_string_equal(join(copy), "a|c");
        assert_string_equal(join(l), "c|a");
        assert_true(strv_contains(l, "a"));
        assert_false(strv_contains(l, "b"));
        assert_ok(strv_set_environment(&l, "AB=1"));
        assert_ok(strv_set_environment(&l, "A=2"));
        assert_ok(strv_set_environment(&l, "AB=3"));
        assert_string_equal(join(l), "c|a|AB=3|A=2");
        assert_null(strv_get_environment(l, "a", 1));
        assert_string_equal(strv_get_environment(l, "A", 1), "2");
}

static const char *nearest(const char *typed) {
        static const char *const candidates[] = { "Restart", "RestartPeriodSec", "User", "Umask", "Exec" };
        struct suggestion s = {};

        for (size_t i = 0; i < ELEMENTSOF(candidates); i++)
                suggest(&s, typed, candidates[i]);
        return s.word;
}

static void test_suggest(void **state) {
        char longest[100];

        assert_string_equal(nearest("Resart"), "Restart");
        assert_string_equal(nearest("restart"), "Restart");
        assert_string_equal(nearest("Rsetart"), "Restart");
        assert_string_equal(nearest("Usre"), "User");
        assert_string_equal(nearest("ExecStart"), "Exec");
        assert_null(nearest("Quite"));
        assert_null(nearest(""));
        memset(longest, 'x', sizeof(longest));
        longest[99] = 0;
        assert_null(nearest(longest));
}

static int run_verb(int argc, char *argv[], void *userdata) {
        *(const char **) userdata = argv[0];
        return argc;
}

static const struct verb verbs[] = {
        { NULL, 0, 0, 0, NULL, "First Commands:" },
        { "status", 0, VERB_ANY, VERB_DEFAULT, "[NAME...]", "Show the tree", run_verb },
        { "scale", 2, 2, 0, "MONITOR N",
          "Change the number of workers of a pool, and wait until that many are running, or "
          "until one of them has failed",
          run_verb },
        { "secret", 0, 0, VERB_HIDDEN, NULL, "Not shown", run_verb },
        { NULL, 0, 0, 0, NULL, "Second Commands:" },
        { "a-verb-with-a-long-name", 1, 1, 0, "AND ARGUMENT", "Folds", run_verb },
        {},
};

static int dispatch(const char *const *argv, const char **ret_ran) {
        char *copy[8];
        int argc = 0, saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC), r;

        for (; argv[argc]; argc++)
                copy[argc] = (char *) argv[argc];
        copy[argc] = NULL;
        *ret_ran = NULL;
        assert_true(dup2(null, STDERR_FILENO) >= 0);
        r = verbs_dispatch(argc, copy, verbs, "test", ret_ran);
        assert_true(dup2(saved, STDERR_FILENO) >= 0);
        close_fd(saved);
        close_fd(null);
        return r;
}

static void test_verbs(void **state) {
        const char *ran;

        assert_int_equal(dispatch((const char *[]){ NULL }, &ran), 1);
        assert_string_equal(ran, "status");
        assert_int_equal(dispatch((const char *[]){ "scale", "web", "3", NULL }, &ran), 3);
        assert_string_equal(ran, "scale");
        assert_int_equal(dispatch((const char *[]){ "secret", NULL }, &ran), 1);
        assert_int_equal(dispatch((const char *[]){ "scale", "web", NULL }, &ran), EXIT_USAGE);
        assert_null(ran);
        assert_int_equal(dispatch((const char *[]){ "scale", "web", "3", "4", NULL }, &ran), EXIT_USAGE);
        assert_int_equal(dispatch((const char *[]){ "sacle", NULL }, &ran), EXIT_USAGE);
        assert_null(ran);
}

static void test_help(void **state) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        verbs_print_help(f, verbs);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(
                text, "First Commands:\n"
                      "  status [NAME...]        Show the tree\n"
                      "  scale MONITOR N         Change the number of workers of a pool, and wait until\n"
                      "                          that many are running, or until one of them has failed\n"
                      "\nSecond Commands:\n"
                      "  a-verb-with-a-long-name AND ARGUMENT\n"
                      "                          Folds\n");
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
                assert_true(strcspn(line, "\n") <= 80);
        free(text);
}

/* What a message looks like on a stderr that is this file. */
static void log_to(FILE *f, bool journal, char *buffer, size_t size) {
        int saved = dup(STDERR_FILENO);
        char stream[64];
        struct stat st;

        assert_int_equal(fstat(fileno(f), &st), 0);
        (void) snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_ino);
        if (journal)
                assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
        else
                assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
        assert_int_equal(ftruncate(fileno(f), 0), 0);
        assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
        assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);

        log_open("test");
        log_info("two\nlines");
        log_debug("not shown");
        errno = EPERM;
        assert_int_equal(log_error_errno(-ENOENT, "opening: %m"), -ENOENT);
        assert_int_equal(errno, EPERM);

        assert_true(dup2(saved, STDERR_FILENO) >= 0);
        close_fd(saved);
        memset(buffer, 0, size);
        assert_true(pread(fileno(f), buffer, size - 1, 0) > 0);
}

static void test_log(void **state) {
        char buffer[256];
        FILE *f = tmpfile();

        assert_non_null(f);
        assert_int_equal(unsetenv("ARBITER_LOG_LEVEL"), 0);
        log_set_level(LOG_INFO);
        log_to(f, false, buffer, sizeof(buffer));
        assert_string_equal(buffer, "test: two lines\ntest: opening: No such file or directory\n");
        log_to(f, true, buffer, sizeof(buffer));
        assert_string_equal(buffer, "<6>two\n<6>lines\n<3>opening: No such file or directory\n");
        assert_int_equal(setenv("ARBITER_LOG_LEVEL", "err", 1), 0);
        log_to(f, false, buffer, sizeof(buffer));
        assert_string_equal(buffer, "test: opening: No such file or directory\n");
        assert_int_equal(log_get_level(), LOG_ERR);
        (void) fclose(f);

        assert_int_equal(log_level_from_string("debug"), LOG_DEBUG);
        assert_int_equal(log_level_from_string("4"), LOG_WARNING);
        assert_int_equal(log_level_from_string("8"), -EINVAL);
        assert_int_equal(log_level_from_string(""), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_split_words),
                cmocka_unit_test(test_exec_line),
                cmocka_unit_test(test_exec_line_expand),
                cmocka_unit_test(test_find_program),
                cmocka_unit_test(test_environment_file),
                cmocka_unit_test(test_specifiers),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_strv),
                cmocka_unit_test(test_suggest),
                cmocka_unit_test(test_verbs),
                cmocka_unit_test(test_help),
                cmocka_unit_test(test_log),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
