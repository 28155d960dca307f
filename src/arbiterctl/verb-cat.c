/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cat: the configuration files of monitors and actors with their drop-ins, as systemctl cat shows units.
 * Reads files; needs no arbiter, and what a running one has loaded may be older. */

#include <fcntl.h>
#include <fnmatch.h>

#include "arbiterctl/pager.h"
#include "arbiterctl/verb-util.h"
#include "basic/fd.h"
#include "basic/suggest.h"
#include "shared/conf-files.h"
#include "shared/strv.h"

#define FILE_SIZE_MAX ((size_t) 1 << 20)

static const char *const suffixes[] = { ".monitor", ".actor", "arbiterd.conf" };

struct cat {
        struct context *c;
        const char *const *directories;
        char **files; /* all names there are */
        struct json j;
        bool again, given; /* given: where, by --config-dir= */
};

static int list_files(struct cat *k) {
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_strv_free_ char **names = NULL;
                int r;

                /* arbiterd.conf is no suffix of anything: it is asked for by name */
                if (*suffixes[i] != '.') {
                        if (strv_add(&k->files, suffixes[i]) < 0)
                                return out_of_memory();
                        continue;
                }
                r = conf_files_list(k->directories, suffixes[i], &names, NULL);
                if (r == -ENOMEM)
                        return out_of_memory();
                STRV_FOREACH (name, names)
                        if (strv_add(&k->files, *name) < 0)
                                return out_of_memory();
        }
        return 0;
}

static int print_file(struct cat *k, const char *name, const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_file_full(AT_FDCWD, path, FILE_SIZE_MAX, &text, &size);
        if (r < 0) {
                errno = -r;
                return complain(EXIT_FAILURE, "Cannot read %s: %m", path);
        }
        if (k->c->json != JSON_OFF) {
                json_open(&k->j, '{');
                json_key_string(&k->j, "name", name);
                json_key_string(&k->j, "path", path);
                json_key_string(&k->j, "text", text);
                json_close(&k->j, '}');
                return 0;
        }
        (void) printf("%s%s# %s%s\n", k->again ? "\n" : "", colour(COLOUR_GREY), path,
                      colour(COLOUR_NORMAL));
        k->again = true;
        (void) fwrite(text, 1, size, stdout);
        if (size > 0 && text[size - 1] != '\n')
                (void) putchar('\n');
        return 0;
}

/* Returns an exit status; EXIT_NO_SUCH without a complaint if there is no such file. */
static int cat_one(struct cat *k, const char *name) {
        struct conf_files f = {};
        int r, status;

        r = conf_files_find(k->directories, name, &f);
        if (r < 0) {
                errno = -r;
                return complain(EXIT_FAILURE, "Cannot look for %s: %m", name);
        }
        if (f.masked)
                status = complain(EXIT_FAILURE,
                                "%s is masked: a link to /dev/null, or an empty file, hides it.", name);
        else if (!f.path)
                status = EXIT_NO_SUCH;
        else {
                status = print_file(k, name, f.path);
                STRV_FOREACH (dropin, f.dropins) {
                        r = print_file(k, name, *dropin);
                        status = status != 0 ? status : r;
                }
        }
        conf_files_done(&f);
        return status;
}

/* "web" is web.monitor or web.actor, "web.1" a worker of web, "web*" all that match. */
static bool is_meant(const char *pattern, const char *file) {
        _cleanup_free_ char *stem = strndup(file, strcspn(file, ".")),
                            *monitor = strndup(pattern, strcspn(pattern, "."));
        const char *after = pattern + strcspn(pattern, ".");

        if (!stem || !monitor)
                return false;
        if (fnmatch(pattern, file, 0) == 0 || fnmatch(pattern, stem, 0) == 0)
                return true;
        return after[0] && after[1] && after[1 + strspn(after + 1, "0123456789")] == 0 &&
               streq(monitor, stem) && !streq(file, "arbiterd.conf");
}

static int complain_no_file(const struct cat *k, const char *pattern) {
        struct suggestion near = {};
        bool user = !context_is_system(k->c), private = k->c->runtime_dir || getenv("ARBITER_RUNTIME_DIR");

        STRV_FOREACH (file, k->files) {
                char *stem = strndupa(*file, strcspn(*file, "."));

                suggest(&near, pattern, stem);
                if (near.word == stem)
                        near.word = *file;
        }
        if (streq(pattern, "arbiterd.conf"))
                return complain(EXIT_NO_SUCH, "There is no arbiterd.conf in %s or the directories after it: "
                                "all settings have their defaults.", k->directories[0]);
        if (near.word)
                return complain(EXIT_NO_SUCH, "No configuration of '%s': did you mean %s?", pattern,
                                near.word);
        return complain(EXIT_NO_SUCH,
                        "No configuration of '%s' in %s or the directories after it: no %s.monitor, no "
                        "%s.actor. An actor that was spawned by hand has none.%s",
                        pattern, k->directories[0], pattern, pattern,
                        k->given ? ""
                        : private ? " Was the arbiter started with --config-dir=? cat needs that, too."
                        : user ? " That of the system's arbiter: 'arbiterctl --system cat'." : "");
}

static int cat_pattern(struct cat *k, const char *pattern) {
        int r, status = 0;
        bool found = false;

        STRV_FOREACH (file, k->files) {
                if (!is_meant(pattern, *file))
                        continue;
                r = cat_one(k, *file);
                if (r == EXIT_NO_SUCH) /* arbiterd.conf is optional */
                        continue;
                found = true;
                status = status != 0 ? status : r;
        }
        return found ? status : complain_no_file(k, pattern);
}

int verb_cat(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;
        struct cat k = { .c = c, .given = c->config_dirs };
        int r, status = 0;

        r = context_config_dirs(c);
        if (r != 0)
                return r;
        k.directories = (const char *const *) c->config_dirs;
        r = list_files(&k);
        if (r == 0) {
                pager_open(c);
                json_list_begin(&k.j, c->json);
                for (char **pattern = argv + 1; *pattern; pattern++) {
                        r = cat_pattern(&k, *pattern);
                        status = status != 0 ? status : r;
                }
                json_list_end(&k.j);
                r = status;
        }
        strv_free(k.files);
        return r;
}
