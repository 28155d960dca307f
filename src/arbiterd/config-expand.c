/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From an actor's configuration to what one worker is started with: specifiers, environment, variables,
 * program. Called by arbiterd before each spawn. Changes neither the configuration nor the process. */

#include <stdarg.h>
#include <stdio.h>

#include "arbiterd/config-internal.h"
#include "basic/text.h"
#include "shared/exec-line.h"
#include "shared/specifier.h"
#include "shared/strv.h"

enum { ENVIRONMENT_FILE_MAX = 1024 * 1024 };

struct expansion {
        const struct actor_config *actor;
        struct specifier_values values;
        struct config_expanded result;
        char *why;
};

static int fail(struct expansion *e, int error, const char *format, ...) _printf_(3, 4);
static int fail(struct expansion *e, int error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        e->why = text_formatv(format, ap);
        va_end(ap);
        return error;
}

static int expand_string(struct expansion *e, const char *s, char **ret) {
        int r = specifier_expand(s, &e->values, ret, NULL);

        return r < 0 && r != -ENOMEM ? fail(e, r, "\"%s\" cannot be expanded: %s.", s, strerror(-r)) : r;
}

static int expand_list(struct expansion *e, char *const *l, char ***ret) {
        _cleanup_strv_free_ char **result = NULL;
        int r;

        STRV_FOREACH(i, l) {
                char *s = NULL;

                r = expand_string(e, *i, &s);
                if (r >= 0)
                        r = strv_take(&result, s);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(result);
        return 0;
}

static int set_variable(char ***environment, const char *name, const char *value) {
        _cleanup_free_ char *assignment = NULL;

        if (!value)
                return 0;
        if (asprintf(&assignment, "%s=%s", name, value) < 0) {
                assignment = NULL;
                return -ENOMEM;
        }
        return strv_set_environment(environment, assignment);
}

static int add_user_variables(struct expansion *e) {
        const struct actor_config *a = e->actor;
        int r = 0;

        if (!a->user_set || !a->home) /* a bare number has no home to tell of */
                return 0;
        r = set_variable(&e->result.environment, "USER", a->user);
        if (r >= 0)
                r = set_variable(&e->result.environment, "LOGNAME", a->user);
        if (r >= 0)
                r = set_variable(&e->result.environment, "HOME", a->home);
        if (r >= 0)
                r = set_variable(&e->result.environment, "SHELL", a->shell);
        return r;
}

static int add_environment_file(struct expansion *e, const char *setting) {
        bool optional = *setting == '-';
        _cleanup_free_ char *path = NULL, *text = NULL;
        unsigned line = 0;
        size_t size;
        int r;

        r = expand_string(e, setting + optional, &path);
        if (r < 0)
                return r;
        r = conf_read_file(path, ENVIRONMENT_FILE_MAX, &text, &size);
        if (r == -ENOENT && optional)
                return 0;
        if (r == -ENOMEM)
                return r;
        if (r == -EINVAL)
                return fail(e, r, "EnvironmentFile=%s is not a regular file.", path);
        if (r < 0)
                return fail(e, r, "EnvironmentFile=%s cannot be read: %s.", path, strerror(-r));
        r = environment_file_parse(text, size, &e->result.environment, &line);
        if (r == -EBADMSG)
                return fail(e, r, "EnvironmentFile=%s, line %u, is no assignment of the form NAME=VALUE.",
                            path, line);
        return r;
}

static int expand_environment(struct expansion *e, char *const *base) {
        _cleanup_strv_free_ char **own = NULL;
        int r;

        r = strv_copy(base, &e->result.environment);
        if (r >= 0)
                r = add_user_variables(e);
        if (r >= 0)
                r = expand_list(e, e->actor->environment, &own);
        STRV_FOREACH(i, own)
                if (r >= 0)
                        r = strv_set_environment(&e->result.environment, *i);
        STRV_FOREACH(i, e->actor->environment_files)
                if (r >= 0)
                        r = add_environment_file(e, *i);
        return r;
}

static int expand_program(struct expansion *e) {
        _cleanup_strv_free_ char **words = NULL;
        int r;

        if (!e->actor->exec)
                return 0;
        r = expand_list(e, e->actor->exec, &words);
        if (r < 0)
                return r;
        if (words[0][0] == '/' && config_has_other_files(e->actor)) {
                e->result.program = strdup(words[0]);
                return e->result.program ? exec_line_expand(words, e->result.environment, &e->result.argv)
                                         : -ENOMEM;
        }
        r = exec_find_program(words[0], &e->result.program);
        if (r == -EACCES)
                return fail(e, r, "%s is not an executable file; check its mode (chmod +x).", words[0]);
        if (r < 0 && r != -ENOMEM)
                return fail(e, r, "%s cannot be run: %s; install it, or correct Exec=.", words[0],
                            strerror(-r));
        if (r < 0)
                return r;
        return exec_line_expand(words, e->result.environment, &e->result.argv);
}

static int expand_directory(struct expansion *e) {
        const struct actor_config *a = e->actor;
        const char *directory = a->working_directory;

        if (directory && streq(directory, "~")) {
                directory = a->user_set ? a->home : e->values.home;
                if (!directory)
                        return fail(e, -ENOENT,
                                    "WorkingDirectory=~ has no home directory to stand for; write the path "
                                    "itself.");
                e->result.working_directory = strdup(directory);
                return e->result.working_directory ? 0 : -ENOMEM;
        }
        return expand_string(e, directory ? directory : "/", &e->result.working_directory);
}

static int expand_service(struct expansion *e) {
        const struct actor_config *a = e->actor;
        struct config_assignment *l = calloc(a->n_service + 1, sizeof(*l));
        int r = l ? 0 : -ENOMEM;

        e->result.service = l;
        for (size_t i = 0; r >= 0 && i < a->n_service; i++) {
                e->result.n_service = i + 1;
                l[i].key = strdup(a->service[i].key);
                if (!l[i].key)
                        return -ENOMEM;
                if (!config_is_percentage(a->service[i].value))
                        r = expand_string(e, a->service[i].value, &l[i].value);
                else if (!(l[i].value = strdup(a->service[i].value)))
                        r = -ENOMEM;
        }
        return r;
}

void config_expanded_done(struct config_expanded *e) {
        config_done_service(e->service, e->n_service);
        free(e->program);
        strv_free(e->argv);
        strv_free(e->environment);
        strv_free(e->params);
        free(e->working_directory);
        free(e->process_name);
        free(e->syslog_identifier);
        *e = (struct config_expanded){};
}

int config_expand(const struct actor_config *a, unsigned instance, const char *home, const char *runtime,
                  char *const *base, struct config_expanded *ret, char **ret_why) {
        char number[16] = "";
        struct expansion e = { .actor = a, .values = { a->name, number, home, runtime } };
        int r;

        if (instance > 0)
                (void) snprintf(number, sizeof(number), "%u", instance);
        r = expand_environment(&e, base);
        if (r >= 0)
                r = expand_program(&e);
        if (r >= 0)
                r = expand_list(&e, a->params, &e.result.params);
        if (r >= 0)
                r = expand_directory(&e);
        if (r >= 0 && a->process_name)
                r = expand_string(&e, a->process_name, &e.result.process_name);
        if (r >= 0 && a->syslog_identifier)
                r = expand_string(&e, a->syslog_identifier, &e.result.syslog_identifier);
        if (r >= 0)
                r = expand_service(&e);
        if (r < 0) {
                config_expanded_done(&e.result);
                if (ret_why)
                        *ret_why = TAKE_PTR(e.why);
                free(e.why);
                return r;
        }
        *ret = e.result;
        return 0;
}
