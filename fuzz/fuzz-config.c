/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: the first byte chooses the kind of file, the rest is its text; then, as an environment
 * file and as a command line, the same text again. Every message must be one printable line, and a refusal
 * must have been told. */

#include "arbiterd/config.h"
#include "basic/utf8.h"
#include "fuzz.h"
#include "shared/exec-line.h"
#include "shared/strv.h"

struct told {
        unsigned errors;
};

static void check_message(void *userdata, enum conf_level level, const char *file, unsigned line,
                          const char *text) {
        struct told *told = userdata;

        FUZZ_CHECK(utf8_is_valid(text, strlen(text)));
        for (const char *p = text; *p; p++)
                FUZZ_CHECK((unsigned char) *p >= ' ' && *p != 127);
        if (level <= CONF_ERROR)
                told->errors++;
}

static void fuzz_config(const char *file_name, const char *text, size_t size) {
        struct told told = {};
        const struct config_options options = {
                .home = "/root", .runtime = "/run/arbiter", .sink = { check_message, &told },
        };
        int r = config_check_buffer(&options, file_name, text, size);

        FUZZ_CHECK(r == 0 || r == -EBADMSG);
        FUZZ_CHECK((r == -EBADMSG) == (told.errors > 0));
}

static void fuzz_words(const char *text, size_t size) {
        _cleanup_strv_free_ char **environment = NULL, **words = NULL, **expanded = NULL;
        _cleanup_free_ char *s = calloc(1, size + 1);
        const char *why = NULL;
        unsigned line = 0;
        int r;

        FUZZ_CHECK(s);
        memcpy(s, text, size);
        r = environment_file_parse(text, size, &environment, &line);
        FUZZ_CHECK(r == 0 || r == -EBADMSG);
        STRV_FOREACH(i, environment)
                FUZZ_CHECK(environment_assignment_is_valid(*i));
        r = exec_line_parse(s, &words, &why);
        FUZZ_CHECK(r == 0 || (r == -EINVAL && why));
        if (r == 0)
                FUZZ_CHECK(exec_line_expand(words, environment, &expanded) == 0 &&
                           strv_length(expanded) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const names[] = { "web.monitor", "clock.actor", "arbiterd.conf" };
        _cleanup_free_ char *text = NULL;

        if (size == 0)
                return 0;
        text = fuzz_copy(data + 1, size - 1);
        fuzz_config(names[data[0] % ELEMENTSOF(names)], text, size - 1);
        fuzz_words(text, size - 1);
        return 0;
}
