/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of Send. Called by verbs.c with what a client has sent. */

#include "bus/send-options.h"

#include "bus/error.h"

static int refuse_type(sd_bus_error *error, const char *key, const char *expected, const char *contents) {
        return bus_error_bad_arguments(error, "Option \"%s\" must be of type \"%s\", and \"%s\" came.", key,
                        expected, contents);
}

/* *ret_type: what it has to be. */
static int check_type(sd_bus_message *m, const char *key, const char **ret_type, sd_bus_error *error) {
        static const char *const types[][2] = {
                { "Timeout", "t" }, { "Hold", "b" }, { "Key", "s" }, { "Routing", "s" }, { "To", "s" } };
        const char *contents;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                if (!streq(types[i][0], key))
                        continue;
                r = sd_bus_message_peek_type(m, NULL, &contents);
                if (r < 0)
                        return r;
                if (!streq(contents, types[i][1]))
                        return refuse_type(error, key, types[i][1], contents);
                *ret_type = types[i][1];
                return 0;
        }
        return bus_error_bad_arguments(error,
                        "There is no option \"%s\": there are \"Timeout\", \"Hold\", \"Key\", \"Routing\" "
                        "and \"To\".",
                        bus_quote(key).s);
}

static int take_routing(arbiter_send_options *o, const char *s, sd_bus_error *error) {
        if (arbiter_routing_from_string(s, &o->routing) >= 0)
                return 0;
        return bus_error_bad_arguments(error,
                        "\"%s\" is none of round-robin, least-outstanding, consistent-hash and broadcast.",
                        bus_quote(s).s);
}

static int take_to(arbiter_send_options *o, const char *s, sd_bus_error *error) {
        o->flags &= ~(uint64_t) (ARBITER_SEND_TO_MONITOR | ARBITER_SEND_TO_POOL);
        if (streq(s, "monitor"))
                o->flags |= ARBITER_SEND_TO_MONITOR;
        else if (streq(s, "pool"))
                o->flags |= ARBITER_SEND_TO_POOL;
        else
                return bus_error_bad_arguments(
                                error, "\"%s\" is neither monitor nor pool.", bus_quote(s).s);
        return 0;
}

static int read_option(sd_bus_message *m, arbiter_send_options *o, sd_bus_error *error) {
        const char *key, *type = NULL, *s;
        int hold, r;

        r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0)
                r = check_type(m, key, &type, error);
        if (r < 0)
                return r;
        if (*type == 't')
                return sd_bus_message_read(m, "v", "t", &o->timeout_usec);
        if (*type == 'b') {
                r = sd_bus_message_read(m, "v", "b", &hold);
                if (r >= 0 && hold)
                        o->flags |= ARBITER_SEND_HOLD;
                return r;
        }
        r = sd_bus_message_read(m, "v", "s", &s);
        if (r < 0)
                return r;
        if (streq(key, "Routing"))
                return take_routing(o, s, error);
        if (streq(key, "To"))
                return take_to(o, s, error);
        o->key = s; /* as long as the message */
        o->key_size = strlen(s);
        return 0;
}

int bus_read_send_options(sd_bus_message *m, arbiter_send_options *ret, sd_bus_error *error) {
        arbiter_send_options o = { .size = sizeof(o) };
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(m, &o, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = o;
        return 0;
}
