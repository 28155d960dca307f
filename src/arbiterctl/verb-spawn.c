/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* spawn: one more actor, from a definition that the arbiter has read, or of any program. */

#include <inttypes.h>

#include "arbiterctl/verb-util.h"
#include "basic/identity.h"
#include "shared/bus-names.h"
#include "shared/exec-line.h"

struct request {
        const char *definition, *name;
        char *const *parameters; /* KEY=VALUE, up to NULL or "--" */
        size_t n_parameters;
        char *const *exec; /* NULL: the definition's */
};

static int complain_name(const char *name) {
        return complain(EXIT_USAGE,
                        "'%s' cannot be the name of an actor: a letter or _, then letters, digits, _ and -, "
                        "at "
                        "most %i.",
                        name, NAME_MAX_LENGTH);
}

/* argv: verb, NAME, ... ; the arguments after "--" are a program's. */
static int parse_request(const struct context *c, int argc, char *argv[], struct request *ret) {
        int n = c->n_before_dashes >= 0 ? c->n_before_dashes : argc, i = 2;
        bool program = n < argc;

        if (n < 2)
                return complain(EXIT_USAGE,
                                "What is it to be called? Write 'arbiterctl spawn NAME -- PROGRAM ARG...'.");
        if (c->n_before_dashes >= 0 && !program)
                return complain(EXIT_USAGE, "There is no program after '--'.");
        *ret = (struct request){ .definition = program ? NULL : argv[1], .name = program ? argv[1] : NULL };
        if (!program && i < n && !strchr(argv[i], '='))
                ret->name = argv[i++];
        if (ret->name && !name_is_valid(ret->name))
                return complain_name(ret->name);
        ret->parameters = argv + i;
        for (; i < n; i++, ret->n_parameters++)
                if (!strchr(argv[i], '=') || argv[i][0] == '=')
                        return complain(EXIT_USAGE, "'%s' is no KEY=VALUE. A program goes after '--'.",
                                        argv[i]);
        if (program)
                ret->exec = argv + n;
        return 0;
}

/* The arbiter's working directory and PATH are not ours. */
static int find_program(const char *name, char **ret) {
        int r;

        if (!strchr(name, '/')) {
                r = exec_find_program(name, ret);
                if (r < 0) {
                        errno = -r;
                        return complain(EXIT_FAILURE,
                                        "No program '%s' in the usual directories (%m). Write its whole "
                                        "path.",
                                        name);
                }
                return 0;
        }
        if (*name == '/')
                *ret = strdup(name);
        else {
                _cleanup_free_ char *directory = get_current_dir_name();

                if (!directory || asprintf(ret, "%s/%s", directory, name) < 0)
                        *ret = NULL;
        }
        return *ret ? 0 : out_of_memory();
}

static int append_exec(sd_bus_message *m, char *const *exec) {
        _cleanup_free_ char *program = NULL;
        int r;

        r = find_program(exec[0], &program);
        if (r != 0)
                return r;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Exec");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", program);
        for (exec++; r >= 0 && *exec; exec++)
                r = sd_bus_message_append(m, "s", *exec);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r < 0 ? out_of_memory() : 0;
}

static int append_parameters(sd_bus_message *m, char *const *parameters, size_t n) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Parameters");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                const char *value = strchr(parameters[i], '=');
                _cleanup_free_ char *key = strndup(parameters[i], (size_t) (value - parameters[i]));

                r = key ? sd_bus_message_append(m, "{ss}", key, value + 1) : -ENOMEM;
        }
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r < 0 ? out_of_memory() : 0;
}

static int append_request(sd_bus_message *m, const struct request *q) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && q->definition)
                r = sd_bus_message_append(m, "{sv}", "Definition", "s", q->definition);
        if (r >= 0 && q->name)
                r = sd_bus_message_append(m, "{sv}", "Name", "s", q->name);
        if (r < 0)
                return complain(EXIT_USAGE, "Names must be UTF-8 text.");
        r = q->exec ? append_exec(m, q->exec) : 0;
        if (r == 0 && q->n_parameters > 0)
                r = append_parameters(m, q->parameters, q->n_parameters);
        if (r != 0)
                return r;
        return sd_bus_message_close_container(m) < 0 ? out_of_memory() : 0;
}

/* Name and pid as the arbiter has them. An actor that has ended meanwhile was started all the same. */
static uint32_t pid_of(struct context *c, const char *path) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        uint32_t pid = 0;

        if (sd_bus_get_property_trivial(c->bus, c->destination, path, BUS_INTERFACE_ACTOR, "PID", &error,
                                        'u', &pid) < 0)
                return 0;
        return pid;
}

static void tell_spawned(const struct context *c, const char *name, const char *id, uint32_t pid,
                         const char *path) {
        struct json j;

        if (c->json == JSON_OFF) {
                if (pid > 0)
                        (void) printf("%s %s %" PRIu32 "\n", name, id, pid);
                else
                        (void) printf("%s %s -\n", name, id);
                return;
        }
        json_list_begin(&j, c->json);
        json_open(&j, '{');
        json_key_string(&j, "name", name);
        json_key_string(&j, "aid", id);
        json_key_u64(&j, "pid", pid);
        json_key_string(&j, "path", path);
        json_close(&j, '}');
        json_list_end(&j);
}

int verb_spawn(int argc, char *argv[], void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *id, *path, *name;
        struct context *c = userdata;
        struct request q = {};
        int r;

        r = parse_request(c, argc, argv, &q);
        if (r == 0)
                r = new_manager_call(c, "Spawn", &m);
        if (r == 0)
                r = append_request(m, &q);
        if (r != 0)
                return r;
        name = q.name ? q.name : q.definition;
        r = call_for_work(c, m, name, &reply);
        if (r != 0)
                return r;
        if (!reply) {
                if (!c->quiet)
                        (void) printf("%s: spawn asked for\n", name);
                return 0;
        }
        r = sd_bus_message_read(reply, "so", &id, &path);
        if (r < 0)
                return complain_reply(r);
        if (!c->quiet || c->json != JSON_OFF)
                tell_spawned(c, name, id, pid_of(c, path), path);
        return 0;
}
