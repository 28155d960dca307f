/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of units that are lists of words, paths, tuples or commands. Called by unit-settings.c through
 * its table; one call is one line of a unit file. Pure, as unit-value.c. */

#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>

#include "arbiter/unit-value.h"
#include "basic/parse.h"
#include "basic/words.h"
#include "wire/message.h"

/* What splits into fields keeps its escapes of these. */
#define FIELD_ESCAPES ":\\"

int unit_value_strings(struct unit_value *v, const char *s) {
        const struct unit_check *check = v->setting->parameter;
        arbiter_message *m;
        char *word;
        int r;

        r = unit_value_open(v, NULL, "as", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        while (r >= 0 && (r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;

                if (check && !check->is_good(w))
                        return unit_value_expected(v, "%s: \"%s\"", check->expected, w);
                r = arbiter_message_append_basic(m, 's', w);
        }
        return r < 0 ? r : arbiter_message_close_container(m);
}

int unit_value_colons(struct unit_value *v, const char *s) {
        arbiter_message *m;
        int r;

        r = unit_value_open(v, NULL, "as", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        while (r >= 0 && *s) {
                size_t n = strcspn(s, ":");
                _cleanup_free_ char *path = strndup(s, n);

                if (!path)
                        return -ENOMEM;
                if (!unit_path_is_good(path, ""))
                        return unit_value_expected(v, "a list of absolute paths, separated by colons");
                r = arbiter_message_append_basic(m, 's', path);
                s += n + (s[n] == ':');
        }
        return r < 0 ? r : arbiter_message_close_container(m);
}

/* Names that are allowed, or after ~ those that are not. */
int unit_value_filter(struct unit_value *v, const char *s) {
        const struct unit_check *check = v->setting->parameter;
        bool allow = *s != '~', none = check->none && streq(s, "none");
        int b = allow, r;
        arbiter_message *m;
        char *word;

        s += !allow;
        r = unit_value_open(v, NULL, "(bas)", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'r', "bas");
        if (r >= 0)
                r = arbiter_message_append_basic(m, 'b', &b);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        while (r >= 0 && !none && (r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;

                if (!check->is_good(w))
                        return unit_value_expected(v, "%s: \"%s\"", check->expected, w);
                if (allow && strchr(w, ':'))
                        return unit_value_expected(v, "a list with ~ in front: what is allowed has no error "
                                                      "number");
                r = arbiter_message_append_basic(m, 's', w);
        }
        if (r >= 0)
                r = arbiter_message_close_container(m);
        return r < 0 ? r : arbiter_message_close_container(m);
}

int unit_value_environment_file(struct unit_value *v, const char *s) {
        if (!unit_path_is_good(s, "") && !(*s == '-' && unit_path_is_good(s + 1, "")))
                return unit_value_expected(v,
                                           "an absolute path, with - in front if the file may be missing");
        return unit_value_put(v, 1U, s + (*s == '-'), *s == '-');
}

static bool credential_name_is_good(const char *s) {
        return *s && strlen(s) < 256 && !strchr(s, '/') && !streq(s, ".") && !streq(s, "..");
}

int unit_value_credential(struct unit_value *v, const char *s) {
        size_t n = strcspn(s, ":");
        _cleanup_free_ char *id = strndup(s, n);
        const char *path = s[n] ? s + n + 1 : s;

        if (!id)
                return -ENOMEM;
        if (!credential_name_is_good(id) || !*path)
                return unit_value_expected(v, "NAME:PATH of a credential");
        return unit_value_put(v, 1U, id, path);
}

static int base64_digit(char c) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *p = c ? strchr(digits, c) : NULL;

        return p ? (int) (p - digits) : -EINVAL;
}

/* In place. */
static int decode_base64(char *s, size_t *ret_size) {
        unsigned pending = 0; /* bits that make no byte yet */
        uint32_t bits = 0;
        size_t n = 0;
        char *p = s;

        for (; *p && *p != '='; p++) {
                int digit = base64_digit(*p);

                if (*p == ' ' || *p == '\t')
                        continue;
                if (digit < 0)
                        return digit;
                bits = bits << 6 | (uint32_t) digit;
                pending += 6;
                if (pending >= 8) {
                        pending -= 8;
                        s[n++] = (char) (bits >> pending);
                }
        }
        for (; *p; p++)
                if (*p != '=')
                        return -EINVAL;
        *ret_size = n;
        return pending >= 6 || n == 0 ? -EINVAL : 0;
}

/* C escapes, which here may make any byte. */
static int unescape_bytes(const char *s, char **ret, size_t *ret_size, const char **ret_why) {
        _cleanup_free_ char *quoted = malloc(2 * strlen(s) + 1);
        const char *p;
        char *to = quoted;
        int r;

        if (!quoted)
                return -ENOMEM;
        for (p = s; *p; p++) { /* blanks and quotes are ordinary here */
                if (*p == '\\' && p[1])
                        *to++ = *p++;
                else if (strchr(BLANKS "\"'", *p))
                        *to++ = '\\';
                *to++ = *p == ' ' ? 's' : *p == '\t' ? 't' : *p;
        }
        *to = 0;
        p = quoted;
        r = word_scan(&p, NULL, ret, ret_why);
        if (r >= 0)
                *ret_size = strlen(*ret);
        return r;
}

int unit_value_set_credential(struct unit_value *v, const char *s) {
        size_t n = strcspn(s, ":"), size = 0;
        _cleanup_free_ char *id = strndup(s, n), *data = NULL;
        bool encrypted = v->setting->parameter;
        const char *why = "it must be base64";
        arbiter_message *m;
        int r;

        if (!id)
                return -ENOMEM;
        if (!credential_name_is_good(id) || !s[n] || !s[n + 1])
                return unit_value_expected(v, "NAME:DATA of a credential");
        if (encrypted) {
                data = strdup(s + n + 1);
                r = data ? decode_base64(data, &size) : -ENOMEM;
        } else
                r = unescape_bytes(s + n + 1, &data, &size, &why);
        if (r == -EINVAL)
                return unit_value_expected(v, "NAME:DATA of a credential: %s", why);
        if (r >= 0)
                r = unit_value_open(v, NULL, "a(say)", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "(say)");
        if (r >= 0)
                r = arbiter_message_open_container(m, 'r', "say");
        if (r >= 0)
                r = arbiter_message_append_basic(m, 's', id);
        if (r >= 0)
                r = arbiter_message_append_array(m, 'y', data, size);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        return r < 0 ? r : arbiter_message_close_container(m);
}

static bool relative_path_is_good(const char *s) {
        for (const char *p = s; *p;) {
                size_t n = strcspn(p, "/");

                if (n == 0 || n > 255 || (n == 1 && *p == '.') || (n == 2 && startswith(p, "..")))
                        return false;
                p += n;
                p += *p == '/' && p[1];
        }
        return *s && strlen(s) < 4096 && s[strlen(s) - 1] != '/' && !startswith(s, "private/") &&
               !streq(s, "private");
}

/* The words with a colon if links, else those without. */
static int put_directories(struct unit_value *v, const char *s, bool links) {
        arbiter_message *m;
        unsigned n = 0;
        char *word;
        int r;

        r = unit_value_open(v, links ? "Symlink" : NULL, links ? "a(sst)" : "as", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', links ? "(sst)" : "s");
        while (r >= 0 && (r = unit_value_word(v, &s, FIELD_ESCAPES, &word)) > 0) {
                _cleanup_free_ char *w = word;
                char *fields[2];
                size_t n_fields = unit_value_fields(w, fields, 2);

                if (n_fields > (v->setting->parameter ? 2 : 1) || !relative_path_is_good(fields[0]) ||
                    (n_fields == 2 && !relative_path_is_good(fields[1])))
                        return unit_value_expected(v, "a list of relative paths%s",
                                                   v->setting->parameter ? ", each with :LINK if it is to "
                                                                           "have a symbolic link"
                                                                         : "");
                if ((n_fields == 2) != links)
                        continue;
                r = links ? arbiter_message_append(m, "(sst)", fields[0], fields[1], (uint64_t) 0)
                          : arbiter_message_append(m, "s", fields[0]);
                n++;
        }
        if (r >= 0)
                r = arbiter_message_close_container(m);
        if (r >= 0 && n == 0) { /* an empty list would take back what was set before */
                v->n--;
                v->properties[v->n].m = arbiter_message_unref(m);
        }
        return r;
}

int unit_value_directories(struct unit_value *v, const char *s) {
        int r = put_directories(v, s, false);

        return r < 0 || !v->setting->parameter ? r : put_directories(v, s, true);
}

static int put_bind(struct unit_value *v, arbiter_message *m, char *word) {
        char *fields[3];
        size_t n = unit_value_fields(word, fields, 3);
        bool optional = fields[0][0] == '-';
        const char *source = fields[0] + optional, *options = n > 2 ? fields[2] : "";

        if (n > 3 || !unit_path_is_good(source, "") || (n > 1 && !unit_path_is_good(fields[1], "")) ||
            (*options && !streq(options, "rbind") && !streq(options, "norbind")))
                return unit_value_expected(v, "a list of SOURCE[:DESTINATION[:rbind|norbind]] with absolute "
                                              "paths; a - in front means that it may be missing");
        return arbiter_message_append(m, "(ssbt)", source, n > 1 ? fields[1] : source, (int) optional,
                                      (uint64_t) (streq(options, "norbind") ? 0 : MS_REC));
}

static int put_temporary(struct unit_value *v, arbiter_message *m, char *word) {
        char *colon = strchr(word, ':');

        if (colon)
                *colon = 0;
        if (!unit_path_is_good(word, ""))
                return unit_value_expected(v, "a list of PATH[:OPTIONS] with absolute paths");
        return arbiter_message_append(m, "(ss)", word, colon ? colon + 1 : "");
}

static int each_word(struct unit_value *v, const char *s, const char *contents, const char *keep,
                     int (*put)(struct unit_value *v, arbiter_message *m, char *word)) {
        arbiter_message *m;
        char *word;
        int r;

        r = unit_value_open(v, NULL, v->setting->signature, &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', contents);
        while (r >= 0 && (r = unit_value_word(v, &s, keep, &word)) > 0) {
                _cleanup_free_ char *w = word;

                r = put(v, m, w);
        }
        return r < 0 ? r : arbiter_message_close_container(m);
}

int unit_value_binds(struct unit_value *v, const char *s) {
        return each_word(v, s, "(ssbt)", FIELD_ESCAPES, put_bind);
}

int unit_value_temporary(struct unit_value *v, const char *s) {
        return each_word(v, s, "(ss)", NULL, put_temporary);
}

static const char *const partitions[] = { "root", "usr",  "home",        "srv", "esp",       "xbootldr",
                                          "swap", "tmp",  "root-verity", "var", "usr-verity" };

static bool is_partition(const char *s) {
        for (size_t i = 0; i < ELEMENTSOF(partitions); i++)
                if (streq(partitions[i], s))
                        return true;
        return false;
}

/* [PARTITION:]OPTIONS, and of several PARTITION:OPTIONS:PARTITION:OPTIONS... */
static int put_image_options(arbiter_message *m, char **fields, size_t n) {
        int r = arbiter_message_open_container(m, 'a', "(ss)");

        if (r >= 0 && n == 1)
                r = arbiter_message_append(m, "(ss)", "root", fields[0]);
        for (size_t i = 0; r >= 0 && n > 1 && i < n; i += 2)
                r = is_partition(fields[i]) && i + 1 < n
                            ? arbiter_message_append(m, "(ss)", fields[i], fields[i + 1])
                            : -EINVAL;
        return r < 0 ? r : arbiter_message_close_container(m);
}

static int put_image(struct unit_value *v, arbiter_message *m, char *word) {
        bool mount = v->setting->signature[2] == 's' && v->setting->signature[3] == 's';
        char *fields[2 + 2 * ELEMENTSOF(partitions)];
        size_t n = unit_value_fields(word, fields, ELEMENTSOF(fields)), first = mount ? 2 : 1;
        int optional = fields[0][0] == '-', r = -EINVAL;

        if (n >= first && n <= ELEMENTSOF(fields) && unit_path_is_good(fields[0] + optional, "") &&
            (!mount || unit_path_is_good(fields[1], ""))) {
                r = arbiter_message_open_container(m, 'r', mount ? "ssba(ss)" : "sba(ss)");
                if (r >= 0)
                        r = mount ? arbiter_message_append(
                                                    m, "ssb", fields[0] + optional, fields[1], optional)
                                  : arbiter_message_append(m, "sb", fields[0] + optional, optional);
                if (r >= 0)
                        r = put_image_options(m, fields + first, n - first);
                if (r >= 0)
                        r = arbiter_message_close_container(m);
        }
        if (r == -EINVAL)
                return unit_value_expected(v, "a list of IMAGE%s[:[PARTITION:]OPTIONS] with absolute paths",
                                           mount ? ":DIRECTORY" : "");
        return r;
}

int unit_value_images(struct unit_value *v, const char *s) {
        return each_word(v, s, v->setting->signature + 1, FIELD_ESCAPES, put_image);
}

static int put_root_options(struct unit_value *v, arbiter_message *m, char *word) {
        char *colon = strchr(word, ':');

        if (!colon)
                return arbiter_message_append(m, "(ss)", "root", word);
        *colon = 0;
        if (!is_partition(word))
                return unit_value_expected(v, "a list of [PARTITION:]OPTIONS");
        return arbiter_message_append(m, "(ss)", word, colon + 1);
}

int unit_value_image_options(struct unit_value *v, const char *s) {
        return each_word(v, s, "(ss)", NULL, put_root_options);
}

static bool log_field_is_good(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

        return n > 0 && n <= 64 && s[n] == '=' && *s != '_' && (*s < '0' || *s > '9');
}

static int put_log_field(struct unit_value *v, arbiter_message *m, char *word) {
        if (!log_field_is_good(word))
                return unit_value_expected(v, "a list of FIELD=VALUE; a field is of A-Z, 0-9 and _, and "
                                              "begins with a letter");
        if (startswith(word, "ARBITER_"))
                return unit_value_expected(v,
                                           "free: fields that begin with ARBITER_ are set by the arbiter");
        return arbiter_message_append_array(m, 'y', word, strlen(word));
}

int unit_value_log_fields(struct unit_value *v, const char *s) {
        return each_word(v, s, "ay", NULL, put_log_field);
}

static const struct command_prefix {
        char character;
        const char *flag;
} command_prefixes[] = { { '-', "ignore-failure" }, { ':', "no-env-expand" }, { '+', "privileged" } };

/* Appends the flags of the prefixes at *s, which is moved behind them; true for @. */
static int put_flags(const char **s, char **flags, bool *ret_at) {
        size_t n = 0, bangs = 0;

        for (; **s && strchr("-@:+!", **s); (*s)++) {
                if (**s == '@') {
                        if (*ret_at)
                                return -EINVAL;
                        *ret_at = true;
                }
                bangs += **s == '!';
                for (size_t i = 0; i < ELEMENTSOF(command_prefixes); i++)
                        if (command_prefixes[i].character == **s) {
                                for (size_t j = 0; j < n; j++)
                                        if (streq(flags[j], command_prefixes[i].flag))
                                                return -EINVAL;
                                flags[n++] = (char *) command_prefixes[i].flag;
                        }
        }
        if (bangs > 2)
                return -EINVAL;
        if (bangs > 0)
                flags[n++] = (char *) (bangs == 2 ? "ambient" : "no-setuid");
        return 0;
}

static bool program_is_good(const char *s) {
        return *s == '/' ? s[strlen(s) - 1] != '/' && strlen(s) < 4096 : *s && !strchr(s, '/');
}

/* The words from s on as one array. */
static int put_words(struct unit_value *v, arbiter_message *m, const char *s) {
        char *word;
        int r;

        r = arbiter_message_open_container(m, 'a', "s");
        while (r >= 0 && (r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;

                if (streq(w, ";"))
                        return unit_value_expected(v, "one command; write a line for each");
                r = arbiter_message_append_basic(m, 's', w);
        }
        return r < 0 ? r : arbiter_message_close_container(m);
}

int unit_value_command(struct unit_value *v, const char *s) {
        char *flags[ELEMENTSOF(command_prefixes) + 2] = {};
        _cleanup_free_ char *program = NULL;
        const char *arguments;
        arbiter_message *m;
        bool at = false;
        int r;

        r = put_flags(&s, flags, &at);
        if (r < 0)
                return unit_value_expected(v, "a command: its prefixes contradict each other");
        arguments = s;
        r = unit_value_word(v, &s, NULL, &program);
        if (r < 0)
                return r;
        if (r == 0 || !program_is_good(program))
                return unit_value_expected(v, "a command; begin with the absolute path of the program");
        if (at)
                arguments = s;
        r = unit_value_open(v, NULL, "a(sasas)", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "(sasas)");
        if (r >= 0)
                r = arbiter_message_open_container(m, 'r', "sasas");
        if (r >= 0)
                r = arbiter_message_append_basic(m, 's', program);
        if (r >= 0)
                r = put_words(v, m, arguments);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        for (char **f = flags; r >= 0 && *f; f++)
                r = arbiter_message_append_basic(m, 's', *f);
        for (unsigned i = 0; r >= 0 && i < 3; i++) /* the flags, the command, all of them */
                r = arbiter_message_close_container(m);
        return r;
}

/* Exit statuses by the names of systemd.exec(5), and signals. */
static int parse_status(const char *s, bool *ret_signal, int32_t *ret) {
        static const struct unit_word names[] = {
                { "SUCCESS", 0 },      { "FAILURE", 1 },      { "INVALIDARGUMENT", 2 },
                { "NOTIMPLEMENTED", 3 }, { "NOPERMISSION", 4 }, { "NOTINSTALLED", 5 },
                { "NOTCONFIGURED", 6 }, { "NOTRUNNING", 7 },  { "USAGE", 64 },
                { "DATAERR", 65 },     { "NOINPUT", 66 },     { "NOUSER", 67 },
                { "NOHOST", 68 },      { "UNAVAILABLE", 69 }, { "SOFTWARE", 70 },
                { "OSERR", 71 },       { "OSFILE", 72 },      { "CANTCREAT", 73 },
                { "IOERR", 74 },       { "TEMPFAIL", 75 },    { "PROTOCOL", 76 },
                { "NOPERM", 77 },      { "CONFIG", 78 },      {},
        };
        uint32_t number;
        int signal;

        *ret_signal = false;
        for (const struct unit_word *w = names; w->word; w++)
                if (streq(w->word, s)) {
                        *ret = (int32_t) w->value;
                        return 0;
                }
        if (parse_u32(s, &number) >= 0 && number <= 255) {
                *ret = (int32_t) number;
                return 0;
        }
        if (*s < 'A' || parse_signal(s, &signal) < 0)
                return -EINVAL;
        *ret_signal = true;
        *ret = signal;
        return 0;
}

static int put_statuses(struct unit_value *v, arbiter_message *m, const char *s, bool signals) {
        char *word;
        int r;

        r = arbiter_message_open_container(m, 'a', "i");
        while (r >= 0 && (r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;
                bool is_signal;
                int32_t n;

                if (parse_status(w, &is_signal, &n) < 0)
                        return unit_value_expected(v, "a list of exit statuses from 0 to 255, their names "
                                                      "such as TEMPFAIL, and signals such as SIGUSR1");
                if (is_signal == signals)
                        r = arbiter_message_append_basic(m, 'i', &n);
        }
        return r < 0 ? r : arbiter_message_close_container(m);
}

int unit_value_statuses(struct unit_value *v, const char *s) {
        arbiter_message *m;
        int r;

        r = unit_value_open(v, NULL, "(aiai)", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'r', "aiai");
        if (r >= 0)
                r = put_statuses(v, m, s, false);
        if (r >= 0)
                r = put_statuses(v, m, s, true);
        return r < 0 ? r : arbiter_message_close_container(m);
}
