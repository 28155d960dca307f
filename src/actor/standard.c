/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands that every actor answers, with pulsar's names, arguments and results. They run in the system
 * lane, so that a flooded actor can still be asked and stopped. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"

static int on_ping(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "s", "pong");
}

static int on_echo(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        int r;

        r = arbiter_message_new(&reply);
        if (r < 0)
                return r;
        r = arbiter_message_append_message(reply, m);
        if (r < 0)
                return r;
        return arbiter_message_reply_message(m, reply);
}

static int on_info(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        int r;

        r = arbiter_message_new(&reply);
        if (r < 0)
                return r;
        r = a->arbiter_ops && a->arbiter_ops->info ? a->arbiter_ops->info(a, reply)
                                                   : actor_append_info(a, reply);
        if (r < 0)
                return r;
        return arbiter_message_reply_message(m, reply);
}

/* run(s name, v arguments) -> v: a function registered by name, never an address. */
static int on_run(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const arbiter_command *f = a->module ? a->module->functions : NULL;
        const char *name, *contents;
        char type;
        int r;

        r = arbiter_message_read(m, "s", &name);
        if (r < 0)
                return r;
        while (f && f->name && !streq(f->name, name))
                f++;
        if (!f || !f->name)
                return arbiter_message_reply_error(m, "io.arbiter.Arbiter1.Error.UnknownFunction",
                                "no function of that name is registered with this actor");
        r = arbiter_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (f->arguments && !streq(f->arguments, contents)) {
                struct incoming *i = m->context;

                incoming_refuse(i, ARBITER_OUTCOME_BAD_ARGUMENTS, "function '%s' takes '%s', not '%s'", name,
                                f->arguments, contents);
                return 0;
        }
        r = arbiter_message_enter_container(m, 'v', contents);
        if (r < 0)
                return r;
        return f->handler(a, m, userdata);
}

static int config_get(arbiter_actor *a, arbiter_message *m, const char *key) {
        if (streq(key, "timeout"))
                return arbiter_message_reply(m, "v", "t", a->silence_usec);
        if (streq(key, "concurrency"))
                return arbiter_message_reply(m, "v", "s", arbiter_concurrency_to_string(a->concurrency));
        if (streq(key, "mailbox_messages"))
                return arbiter_message_reply(m, "v", "t", a->mailbox_messages);
        if (streq(key, "mailbox_policy"))
                return arbiter_message_reply(
                                m, "v", "s", arbiter_mailbox_policy_to_string(a->mailbox_policy));
        if (streq(key, "thread_workers"))
                return arbiter_message_reply(m, "v", "u", (uint32_t) a->thread_workers);
        if (arbiter_actor_get_parameter(a, key))
                return arbiter_message_reply(m, "v", "s", arbiter_actor_get_parameter(a, key));
        return arbiter_message_reply_error(m, "io.arbiter.Arbiter1.Error.UnknownSetting",
                        "known are timeout, concurrency, mailbox_messages, mailbox_policy, thread_workers, "
                        "and the parameters given at spawn");
}

static bool may_command(arbiter_actor *a, arbiter_message *m) {
        const struct peer *p = message_get_peer(m);

        /* The arbiter, who spawned it, or the actor about itself. To the arbiter's own actor all are
         * subjects. */
        if (!p)
                return false;
        if (aid_equal(&p->aid, &a->aid) || (p->control && !a->arbiter_ops))
                return true;
        return !aid_is_null(&a->spawner) && aid_equal(&p->aid, &a->spawner);
}

static int config_set(arbiter_actor *a, arbiter_message *m, const char *key) {
        const char *s;
        uint32_t u;
        int r;

        if (!may_command(a, m)) {
                incoming_refuse(m->context, ARBITER_OUTCOME_DENIED, "only its arbiter may configure '%s'",
                                a->name);
                return 0;
        }
        if (streq(key, "thread_workers")) {
                r = arbiter_message_read(m, "v", "u", &u);
                if (r <= 0)
                        return r < 0 ? r : -ENXIO;
                r = arbiter_actor_set_thread_workers(a, u);
        } else {
                r = arbiter_message_read(m, "v", "s", &s);
                if (r <= 0)
                        return r < 0 ? r : -ENXIO;
                r = actor_set_parameter(a, key, s);
        }
        return r < 0 ? r : arbiter_message_reply(m, "v", "b", 1);
}

/* config(s verb, s key, v value) -> v: "get" ignores the value, "set" answers true. */
static int on_config(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *verb, *key;
        int r;

        r = arbiter_message_read(m, "ss", &verb, &key);
        if (r < 0)
                return r;
        if (streq(verb, "get"))
                return config_get(a, m, key);
        if (streq(verb, "set"))
                return config_set(a, m, key);
        return arbiter_message_reply_error(
                        m, "io.arbiter.Arbiter1.Error.InvalidArgs", "the verb is 'get' or 'set'");
}

static int on_stop(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct peer *p = message_get_peer(m);

        if (!may_command(a, m)) {
                actor_dead_letter(a, p ? p->name : "", a->name, "stop", 0, ARBITER_OUTCOME_DENIED);
                return 0;
        }
        return arbiter_actor_stop(a, 0);
}

static int on_status(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "s", arbiter_state_to_string(a->state));
}

static int append_table(arbiter_message *m, const arbiter_command *c) {
        int r;

        for (; c && c->name; c++) {
                r = arbiter_message_append(m, "(ssssst)", c->name, c->arguments ? c->arguments : "",
                                c->argument_names ? c->argument_names : "", c->result ? c->result : "",
                                c->result_names ? c->result_names : "", c->flags);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_introspect(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        const arbiter_command *tables[] = {
                actor_standard_commands,
                a->arbiter_ops ? a->arbiter_ops->commands : NULL,
                a->module ? a->module->commands : NULL,
        };
        int r;

        r = arbiter_message_new(&reply);
        if (r < 0)
                return r;
        r = arbiter_message_open_container(reply, 'a', "(ssssst)");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(tables); i++)
                r = append_table(reply, tables[i]);
        if (r >= 0)
                r = arbiter_message_close_container(reply);
        return r < 0 ? r : arbiter_message_reply_message(m, reply);
}

static int on_trace(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int on, before = a->trace, r;

        r = arbiter_message_read(m, "b", &on);
        if (r < 0)
                return r;
        if (!may_command(a, m)) {
                incoming_refuse(m->context, ARBITER_OUTCOME_DENIED, "only its arbiter may trace '%s'",
                                a->name);
                return 0;
        }
        a->trace = on;
        return arbiter_message_reply(m, "b", before);
}

const arbiter_command actor_standard_commands[] = {
                ARBITER_COMMAND("ping", "", "", "s", "pong", on_ping, ARBITER_COMMAND_SYSTEM),
                ARBITER_COMMAND("echo", "v", "value", "v", "value", on_echo, 0),
                ARBITER_COMMAND("info", "", "", "a{sv}", "info", on_info, ARBITER_COMMAND_SYSTEM),
                ARBITER_COMMAND("run", "sv", "function arguments", "v", "result", on_run, 0),
                ARBITER_COMMAND("config", "ssv", "verb key value", "v", "value", on_config,
                                ARBITER_COMMAND_SYSTEM),
                ARBITER_COMMAND("stop", "", "", "", "", on_stop,
                                ARBITER_COMMAND_SYSTEM | ARBITER_COMMAND_NO_REPLY),
                ARBITER_COMMAND("status", "", "", "s", "state", on_status, ARBITER_COMMAND_SYSTEM),
                ARBITER_COMMAND("introspect", "", "", "a(ssssst)", "commands", on_introspect,
                                ARBITER_COMMAND_SYSTEM),
                ARBITER_COMMAND("trace", "b", "on", "b", "before", on_trace, ARBITER_COMMAND_SYSTEM),
                ARBITER_COMMANDS_END,
};
