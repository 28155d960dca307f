/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* verify: reads configuration as arbiterd would and says what is wrong and where. Needs no arbiter and
 * starts nothing. */

#include <pwd.h>

#include "arbiterctl/verb-util.h"
#include "arbiterd/config.h"
#include "shared/strv.h"

struct verification {
        struct context *c;
        struct json j;
        unsigned errors, warnings;
};

static void on_message(void *userdata, enum conf_level level, const char *file, unsigned line,
                       const char *text) {
        struct verification *v = userdata;
        const char *word = level == CONF_ERROR ? "error" : "warning";

        if (level == CONF_DEBUG)
                return;
        if (level == CONF_ERROR)
                v->errors++;
        else
                v->warnings++;
        if (v->c->json != JSON_OFF) {
                json_open(&v->j, '{');
                json_key_string(&v->j, "file", file);
                json_key(&v->j, "line");
                if (line > 0)
                        json_u64(&v->j, line);
                else
                        json_null(&v->j);
                json_key_string(&v->j, "level", word);
                json_key_string(&v->j, "text", text);
                json_close(&v->j, '}');
        } else if (line > 0)
                (void) fprintf(stderr, "%s:%u: %s: %s\n", file, line, word, text);
        else
                (void) fprintf(stderr, "%s: %s: %s\n", file, word, text);
}

static int verify_directories(struct verification *v, const struct config_options *options, size_t *ret_n) {
        _cleanup_(config_freep) struct config *config = NULL;
        int r;

        r = config_load(options, &config);
        if (r < 0)
                return out_of_memory();
        *ret_n = config->n_monitors + config->n_actors + strv_length(config->failed);
        return 0;
}

static int verify_files(struct verification *v, const struct config_options *options, char *const *files) {
        int r;

        for (; *files; files++) {
                r = config_check_file(options, *files);
                if (r == -EINVAL)
                        return complain(EXIT_USAGE,
                                        "%s is no configuration file: their names are NAME.monitor, "
                                        "NAME.actor "
                                        "and arbiterd.conf.",
                                        *files);
                if (r == -ENOMEM)
                        return out_of_memory();
        }
        return 0;
}

static int summarize(struct verification *v, size_t n_files) {
        if (v->c->json != JSON_OFF)
                json_list_end(&v->j);
        else if (!v->c->quiet)
                (void) printf("%zu file%s, %u error%s, %u warning%s\n", n_files, n_files == 1 ? "" : "s",
                              v->errors, v->errors == 1 ? "" : "s", v->warnings,
                              v->warnings == 1 ? "" : "s");
        return v->errors > 0 ? EXIT_FAILURE : 0;
}

static const char *home_directory(void) {
        const char *e = getenv("HOME");
        struct passwd *pw;

        if (e && *e)
                return e;
        pw = getpwuid(geteuid());
        return pw ? pw->pw_dir : "/";
}

/* Would the arbiter that reads those directories run as root? One of the system's own, or one that root
 * starts with directories of his choice. */
static bool reader_is_root(const struct context *c) {
        return c->config_dirs ? geteuid() == 0 && c->scope != SCOPE_USER : context_is_system(c);
}

/* Or would it be a user's, which can only run actors as that user? */
static bool reader_is_of_user(const struct context *c) {
        return c->config_dirs ? c->scope == SCOPE_USER : !context_is_system(c);
}

int verb_verify(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;
        struct verification v = { .c = c };
        struct config_options options = {
                        .home = home_directory(),
                        .runtime = c->runtime_dir ? c->runtime_dir : "/run/arbiter",
                        .require_user = argc == 1 && reader_is_root(c),
                        .own_user = argc == 1 && reader_is_of_user(c),
                        .check_programs = true,
                        .sink = {on_message, &v},
        };
        size_t n = (size_t) argc - 1;
        int r;

        r = context_config_dirs(c);
        if (r != 0)
                return r;
        options.directories = (const char *const *) c->config_dirs;
        json_list_begin(&v.j, c->json);
        r = argc > 1 ? verify_files(&v, &options, argv + 1) : verify_directories(&v, &options, &n);
        return r != 0 ? r : summarize(&v, n);
}
