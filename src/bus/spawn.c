/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.Spawn: a dictionary of properties to a new lone actor. Called by the manager's vtable. A key that
 * is not known is refused, never ignored: it may be what makes the actor safe to run. */

#include <stdio.h>

#include "bus/error.h"
#include "bus/vtables.h"

struct spawn_request {
        char *definition, *name;
        char **parameters; /* KEY=VALUE */
        char **exec;
        size_t n_parameters, n_exec;
};

static void free_strings(char **strings) {
        for (char **s = strings; s && *s; s++)
                free(*s);
        free(strings);
}

static void spawn_request_done(struct spawn_request *q) {
        free(q->definition);
        free(q->name);
        free_strings(q->parameters);
        free_strings(q->exec);
}

static int read_string(sd_bus_message *m, char **ret) {
        const char *s;
        int r;

        r = sd_bus_message_read_basic(m, 's', &s);
        if (r < 0)
                return r;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int read_definition(sd_bus_message *m, struct spawn_request *q, sd_bus_error *error) {
        return read_string(m, &q->definition);
}

static int read_name(sd_bus_message *m, struct spawn_request *q, sd_bus_error *error) {
        int r;

        r = read_string(m, &q->name);
        if (r < 0)
                return r;
        if (!name_is_valid(q->name))
                return bus_error_bad_arguments(error,
                                "\"%s\" is no name of an actor: a letter or _ and then up to 63 letters, "
                                "digits, _ and -.",
                                bus_quote(q->name).s);
        return 0;
}

/* Takes the string (NULL: there was no memory for it). Doubled at powers of two: a client may send many. */
static int add_string(char ***strings, size_t *n, char *string) {
        char **grown;

        if (!string)
                return -ENOMEM;
        if ((*n & (*n + 1)) == 0) {
                grown = reallocarray(*strings, (*n + 1) * 2, sizeof(*grown));
                if (!grown) {
                        free(string);
                        return -ENOMEM;
                }
                *strings = grown;
        }
        (*strings)[(*n)++] = string;
        (*strings)[*n] = NULL;
        return 0;
}

/* sd_bus_message_read_strv() counts its strings anew for each one: a million would take minutes. */
static int read_exec(sd_bus_message *m, struct spawn_request *q, sd_bus_error *error) {
        const char *s;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read_basic(m, 's', &s)) > 0) {
                r = add_string(&q->exec, &q->n_exec, strdup(s));
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        if (!q->exec || !q->exec[0][0])
                return bus_error_bad_arguments(
                                error, "Exec is empty: its first string is the path of the program.");
        return sd_bus_message_exit_container(m);
}

static int add_parameter(struct spawn_request *q, const char *key, const char *value, sd_bus_error *error) {
        char *parameter;

        if (!*key || strchr(key, '='))
                return bus_error_bad_arguments(error,
                                "\"%s\" is no name of a parameter: it is empty or has a \"=\".",
                                bus_quote(key).s);
        if (asprintf(&parameter, "%s=%s", key, value) < 0)
                return -ENOMEM;
        return add_string(&q->parameters, &q->n_parameters, parameter);
}

static int read_parameters(sd_bus_message *m, struct spawn_request *q, sd_bus_error *error) {
        const char *key, *value;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{ss}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0) {
                r = add_parameter(q, key, value, error);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static const struct spawn_key {
        const char *name, *type;
        int (*read)(sd_bus_message *m, struct spawn_request *q, sd_bus_error *error);
} keys[] = {
        { "Definition", "s", read_definition },
        { "Name", "s", read_name },
        { "Parameters", "a{ss}", read_parameters },
        { "Exec", "as", read_exec },
};

static int read_value(sd_bus_message *m, const struct spawn_key *key, struct spawn_request *q,
                sd_bus_error *error) {
        const char *contents;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq(contents, key->type))
                return bus_error_bad_arguments(error,
                                "Property \"%s\" must be of type \"%s\", and \"%s\" came.", key->name,
                                key->type, contents);
        r = sd_bus_message_enter_container(m, 'v', key->type);
        if (r < 0)
                return r;
        r = key->read(m, q, error);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

/* Inside one entry. seen: a bit for each key. */
static int read_entry(sd_bus_message *m, unsigned *seen, struct spawn_request *q, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (!streq(keys[i].name, name))
                        continue;
                if (*seen & 1U << i)
                        return bus_error_bad_arguments(error, "Property \"%s\" came twice.", name);
                *seen |= 1U << i;
                return read_value(m, &keys[i], q, error);
        }
        return bus_error_bad_arguments(error,
                        "There is no property \"%s\": what can be given is Definition, Name, Parameters, "
                        "Exec.",
                        bus_quote(name).s);
}

static int check_request(const struct spawn_request *q, sd_bus_error *error) {
        if (!q->definition == !q->exec)
                return bus_error_bad_arguments(error,
                                "Give either Definition (one of the property Definitions) or Exec (a "
                                "program), and %s came.",
                                q->exec ? "both" : "neither");
        if (q->exec && !q->name)
                return bus_error_bad_arguments(error, "With Exec the actor needs a Name.");
        return 0;
}

static int read_request(sd_bus_message *m, struct spawn_request *q, sd_bus_error *error) {
        unsigned seen = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, &seen, q, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : check_request(q, error);
}

static int answer_spawn(struct bus_call *call, arbiter_future *f) {
        const char *id = arbiter_future_get_aid(f);
        char path[ACTOR_PATH_SIZE];

        if (!id)
                return -ENODATA;
        bus_actor_path(id, path);
        return sd_bus_reply_method_return(call->message, "so", id, path);
}

int bus_verb_spawn(struct bus_connection *c, sd_bus_message *m, sd_bus_error *error) {
        _cleanup_(spawn_request_done) struct spawn_request q = {};
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        int r;

        r = bus_authorize(c, m, BUS_ACTION_MANAGE_ACTORS, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = read_request(m, &q, error);
        if (r < 0)
                return r;
        r = bus_call_new(c, m, answer_spawn, error, &call);
        if (r < 0)
                return r;
        r = control_spawn(c->face->arbiter, q.definition, q.name, (const char *const *) q.parameters,
                        (const char *const *) q.exec, &f);
        if (r < 0)
                return bus_error_set_verb(error, r, "spawn", r == -ENOENT && q.definition ? q.definition :
                                                                           q.name ?: q.definition);
        return bus_call_wait(TAKE_PTR(call), f);
}
