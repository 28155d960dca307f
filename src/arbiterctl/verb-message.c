/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* send and introspect: a command to an actor with its reply, and which commands there are. */

#include "arbiterctl/agent.h"
#include "arbiterctl/pager.h"
#include "arbiterctl/table.h"
#include "arbiterctl/value.h"
#include "arbiterctl/verb-util.h"
#include "shared/bus-names.h"

/* Beyond the time that the command may take, for the arbiter's own answer that it took longer. */
#define ANSWER_MARGIN USEC_PER_SEC

static int complain_arguments(const struct value_error *e, int r, const char *signature) {
        if (r != -EINVAL || !e->why) {
                errno = -r;
                return complain(EXIT_FAILURE, "Cannot build the message: %m");
        }
        if (!e->argument)
                return complain(EXIT_USAGE, "Too few arguments for signature '%s': expected %s.", signature,
                                e->why);
        return complain(EXIT_USAGE, "'%s' does not fit signature '%s': expected %s.", e->argument, signature,
                        e->why);
}

static int append_options(struct context *c, sd_bus_message *m) {
        const char *const texts[][2] = { { "Key", c->key }, { "Routing", c->routing }, { "To", c->to } };
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && c->timeout > 0)
                r = sd_bus_message_append(m, "{sv}", "Timeout", "t", (uint64_t) c->timeout);
        if (r >= 0 && c->hold)
                r = sd_bus_message_append(m, "{sv}", "Hold", "b", 1);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                if (texts[i][1])
                        r = sd_bus_message_append(m, "{sv}", texts[i][0], "s", texts[i][1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* argv: COMMAND [SIGNATURE ARG...] */
static int append_command(struct context *c, sd_bus_message *m, const char *target, char *const *argv) {
        const char *command = argv[0], *signature = argv[1] ? argv[1] : "";
        char *const *arguments = argv[1] ? argv + 2 : argv + 1;
        struct value_error e = {};
        int r;

        r = sd_bus_message_append(m, "ss", target, command);
        if (r == -EINVAL)
                return complain(EXIT_USAGE,
                                "'%s' is no name of a command. 'arbiterctl introspect %s' lists them.",
                                command, target);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "v");
        if (r < 0)
                return out_of_memory();
        r = value_append_variants(m, signature, &arguments, &e);
        if (r < 0)
                return complain_arguments(&e, r, signature);
        if (*arguments)
                return complain(EXIT_USAGE, "Too many arguments for signature '%s': '%s' is left over.",
                                signature, *arguments);
        r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = append_options(c, m);
        return r < 0 ? out_of_memory() : 0;
}

static int print_reply(sd_bus_message *reply) {
        const char *contents;
        int r;

        r = sd_bus_message_peek_type(reply, NULL, &contents);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'v', contents);
        if (r < 0)
                return r;
        (void) printf("%s ", contents);
        r = value_print(reply, stdout);
        (void) putchar('\n');
        return r;
}

static int json_reply(sd_bus_message *reply, struct json *j, const struct target *t) {
        const char *contents;
        int r;

        r = sd_bus_message_peek_type(reply, NULL, &contents);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'v', contents);
        if (r < 0)
                return r;
        json_open(j, '{');
        if (t) {
                json_key_string(j, "name", t->name);
                json_key_string(j, "aid", t->actor ? t->actor->aid : NULL);
        }
        json_key_string(j, "type", contents);
        json_key(j, "data");
        r = value_to_typed_json(reply, j);
        if (r < 0)
                return r;
        json_close(j, '}');
        return 0;
}

/* argv: COMMAND [SIGNATURE ARG...]; several: each answer bears its name. */
static int send_to(struct context *c, const struct target *t, char *const *argv, struct json *j,
                   bool several) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        usec_t timeout = query_timeout(c);
        int r;

        r = new_manager_call(c, "Send", &m);
        if (r == 0)
                r = append_command(c, m, t->name, argv);
        if (r != 0)
                return r;
        agent_open(c);
        if (c->agent_pid > 0) /* a password takes its time; the command has a deadline of its own */
                timeout = USEC_INFINITY;
        r = sd_bus_call(c->bus, m, time_add(timeout, ANSWER_MARGIN), &error, &reply);
        if (r < 0 && sd_bus_error_has_name(&error, BUS_ERROR_CALLEE_DIED))
                return complain(EXIT_FAILURE, "%s. It had begun: outcome callee-died, executed maybe.",
                                error.message);
        if (r < 0)
                return complain_call(&error, r, t->name);
        if (c->json != JSON_OFF)
                r = json_reply(reply, j, several ? t : NULL);
        else {
                if (several)
                        (void) printf("%s: ", t->name);
                r = print_reply(reply);
        }
        return r < 0 ? complain_reply(r) : 0;
}

int verb_send(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        char *patterns[] = { argv[1], NULL };
        struct context *c = userdata;
        bool several = strpbrk(argv[1], "*?[");
        int r, status;
        struct json j;
        size_t n;

        json_init(&j, stdout, c->json);
        if (c->hold && !several) { /* perhaps nobody has the name just now */
                r = send_to(c, &(struct target){ .name = argv[1] }, argv + 2, &j, false);
                if (c->json != JSON_OFF && r == 0)
                        json_end(&j);
                return r;
        }
        r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, patterns,
                                  several ? TARGET_ACTORS : TARGET_MONITORS | TARGET_ACTORS | TARGET_ARBITER,
                                  &targets, &n);
        if (c->json != JSON_OFF && several)
                json_open(&j, '[');
        for (size_t i = 0; i < n; i++) {
                r = send_to(c, targets + i, argv + 2, &j, several);
                status = status != 0 ? status : r;
                if (r == EXIT_USAGE)
                        return r;
        }
        if (c->json != JSON_OFF && several && j.depth == 1)
                json_close(&j, ']');
        if (c->json != JSON_OFF && (several || status == 0) && j.depth == 0)
                json_end(&j);
        return status;
}

struct command_row {
        const char *name, *arguments, *argument_names, *result, *result_names;
};

static int read_command(sd_bus_message *m, struct command_row *row) {
        return sd_bus_message_read(m, ROW(BUS_LIST_COMMANDS_SIGNATURE), &row->name, &row->arguments,
                                   &row->argument_names, &row->result, &row->result_names);
}

static int json_names(struct json *j, const char *key, const char *names) {
        _cleanup_free_ char *copy = strdup(names);
        char *state = NULL;

        if (!copy)
                return -ENOMEM;
        json_key(j, key);
        json_open(j, '[');
        for (char *word = strtok_r(copy, " ", &state); word; word = strtok_r(NULL, " ", &state))
                json_string(j, word);
        json_close(j, ']');
        return 0;
}

static int json_commands(sd_bus_message *m, struct json *j, const char *actor) {
        struct command_row row;
        int r;

        r = sd_bus_message_enter_container(m, 'a', ROW(BUS_LIST_COMMANDS_SIGNATURE));
        while (r >= 0 && (r = read_command(m, &row)) > 0) {
                json_open(j, '{');
                json_key_string(j, "actor", actor);
                json_key_string(j, "name", row.name);
                json_key_string(j, "arguments", row.arguments);
                r = json_names(j, "argument_names", row.argument_names);
                if (r < 0)
                        return r;
                json_key_string(j, "result", row.result);
                r = json_names(j, "result_names", row.result_names);
                if (r < 0)
                        return r;
                json_close(j, '}');
        }
        return r;
}

static int table_commands(sd_bus_message *m, bool legend) {
        static const struct table_column columns[] = {
                { "COMMAND" }, { "SIGNATURE" }, { "ARGUMENTS" }, { "RESULT" }, { "RESULTS" }, {},
        };
        _cleanup_(table_done) struct table t = {};
        struct command_row row;
        int r;

        r = table_init(&t, columns, legend);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', ROW(BUS_LIST_COMMANDS_SIGNATURE));
        while (r >= 0 && (r = read_command(m, &row)) > 0)
                r = table_add(&t, COLOUR_NORMAL,
                              (const char *[]){ row.name, *row.arguments ? row.arguments : "-",
                                                *row.argument_names ? row.argument_names : "-",
                                                *row.result ? row.result : "-",
                                                *row.result_names ? row.result_names : "-" });
        return r < 0 ? r : table_print(&t);
}

/* The workers of a monitor are alike: one speaks for all. */
static const char *spokesman(const struct snapshot *s, const struct target *t) {
        for (size_t i = 0; t->monitor && i < s->n_actors; i++)
                if (streq(s->actors[i].monitor, t->name))
                        return s->actors[i].name;
        return t->monitor ? NULL : t->name;
}

static int introspect(struct context *c, const char *name, struct json *j, bool several) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_manager(c, "ListCommands", name, &reply, "s", name);
        if (r != 0)
                return r;
        pager_open(c);
        if (c->json != JSON_OFF)
                r = json_commands(reply, j, name);
        else {
                if (several)
                        (void) printf("%s:\n", name);
                r = table_commands(reply, c->legend);
        }
        return r < 0 ? complain_reply(r) : 0;
}

int verb_introspect(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        struct context *c = userdata;
        int r, status;
        struct json j;
        size_t n;

        r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, argv + 1, TARGET_MONITORS | TARGET_ACTORS | TARGET_ARBITER, &targets,
                                  &n);
        json_list_begin(&j, c->json);
        for (size_t i = 0; i < n; i++) {
                const char *name = spokesman(&s, targets + i);

                r = name ? introspect(c, name, &j, n > 1)
                         : complain(EXIT_NOT_RUNNING,
                                    "'%s' has no workers that could be asked. 'arbiterctl scale %s N' "
                                    "starts some.",
                                    targets[i].name, targets[i].name);
                status = status != 0 ? status : r;
        }
        json_list_end(&j);
        return status;
}
