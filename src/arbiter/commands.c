/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What actors may ask of the arbiter, and who may. The caller is who its link says it is: nothing in a
 * message can make it somebody else. A refusal is "denied", with a reason. Called by the dispatcher, through
 * the table at its end. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"

struct child *caller_child(arbiter_message *m) {
        struct peer *p = message_get_peer(m);

        return p ? p->userdata : NULL;
}

static int refuse(arbiter_message *m, arbiter_outcome outcome, const char *format, const char *what) {
        incoming_refuse(m->context, outcome, format, what);
        return 0;
}

/* spawn: a definition, or another one of oneself; never anything with more rights than that. */

/* What is spawned by what was spawned is charged to the first of them that still lives: copies of copies
 * get no more. */
static struct child *spawn_payer(struct child *c) {
        struct child *spawner;

        while (!aid_is_null(&c->spawner) && (spawner = map_get(c->arbiter->by_aid, c->spawner.c, AID_SIZE)))
                c = spawner;
        return c;
}

void commands_charge(struct child *c) {
        struct child *payer = spawn_payer(c);

        if (payer == c) /* its spawner is dead */
                return;
        c->payer = payer->aid;
        payer->n_children++;
}

void commands_discharge(struct child *c) {
        struct child *payer = aid_is_null(&c->payer) ? NULL
                                                     : map_get(c->arbiter->by_aid, c->payer.c, AID_SIZE);

        if (payer)
                payer->n_children--;
        c->payer = (aid){};
}

static bool take_spawn_token(struct child *c) {
        usec_t now = now_usec();
        uint64_t earned = (now - c->spawn_tokens_usec) * CHILD_SPAWNS_PER_SEC / USEC_PER_SEC;

        if (earned > 0) {
                c->spawn_tokens = MIN(c->spawn_tokens + earned, (uint64_t) CHILD_SPAWNS_BURST);
                c->spawn_tokens_usec = now;
        }
        if (c->spawn_tokens == 0)
                return false;
        c->spawn_tokens--;
        state_mark_child(c);
        return true;
}

static arbiter_spawn *find_definition(struct child *c, const char *name) {
        arbiter_spawn *s = map_get_string(c->arbiter->definitions, name);

        if (s)
                return s;
        /* Itself: same module, same user, same limits. */
        if (c->spawn && !c->plain &&
                        (streq(name, c->spawn->name) ||
                                        (c->spawn->module && streq(name, c->spawn->module->name))))
                return c->spawn;
        return NULL;
}

static void on_spawned(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        arbiter_proxy *p = NULL;

        if (arbiter_future_get_proxy(f, &p) >= 0) {
                (void) arbiter_message_reply(m, "ssu", arbiter_proxy_get_aid(p), arbiter_proxy_get_name(p),
                                arbiter_proxy_get_generation(p));
                arbiter_proxy_unref(p);
        } else
                (void) arbiter_message_reply_error(m, "io.arbiter.Arbiter1.Error.SpawnFailed",
                                arbiter_future_get_error_text(f));
        arbiter_message_unref(m);
}

static int read_strings(arbiter_message *m, const char **ret, size_t max) {
        size_t n = 0;
        int r;

        r = arbiter_message_enter_container(m, 'a', "s");
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        while (n < max && (r = arbiter_message_read(m, "s", &ret[n])) > 0)
                n++;
        ret[n] = NULL;
        return n == max ? -E2BIG : r;
}

static int answer_when_running(arbiter_future *f, arbiter_message *m) {
        int r;

        arbiter_message_ref(m);
        r = future_then_now(f, on_spawned, m);
        if (r < 0)
                arbiter_message_unref(m);
        return r;
}

static int answer_with_life(struct child *life, arbiter_message *m) {
        int r = 0;

        if (life->state != ARBITER_STATE_STARTING)
                return arbiter_message_reply(m, "ssu", life->aid_string.s, life->name, life->generation);
        if (!life->proxy)
                r = arbiter_proxy_new(life->aid_string.s, life->name, life->generation, &life->proxy);
        if (r >= 0 && !life->future)
                r = future_new(life->arbiter->actor, &life->future);
        return r < 0 ? r : answer_when_running(life->future, m);
}

static int answer_with_end(const struct dead_aid *dead, arbiter_message *m) {
        char text[128];

        (void) snprintf(text, sizeof(text), "%s has been started, and has ended: %s",
                        aid_to_string(&dead->id).s, arbiter_reason_to_string(dead->reason));
        return arbiter_message_reply_error(m, "io.arbiter.Arbiter1.Error.SpawnFailed", text);
}

/* An arbiter has died before it could answer, and the caller asks the next one: the same request, the same
 * aid. -ENOENT: it is a new one. */
static int spawn_again(struct child *c, const char *name, const aid *wanted, arbiter_message *m) {
        arbiter *a = c->arbiter;
        struct child *life = map_get(a->by_aid, wanted->c, AID_SIZE);
        const struct dead_aid *dead = names_find_dead(a, wanted);
        int r = 0;

        if (life)
                return aid_equal(&life->spawner, &c->aid) && streq(life->name, name)
                                       ? answer_with_life(life, m)
                                       : -ENOENT;
        if (dead)
                return aid_equal(&dead->spawner, &c->aid) ? answer_with_end(dead, m) : -ENOENT;
        for (uint32_t i = 1; i < a->root.n_slots; i++) {
                struct set_slot *s = &a->root.slots[i];

                if (!aid_equal(&s->wanted_aid, wanted) || !aid_equal(&s->spawner, &c->aid))
                        continue;
                if (!s->future)
                        r = future_new(a->actor, &s->future);
                return r < 0 ? r : answer_when_running(s->future, m);
        }
        return -ENOENT;
}

static int on_spawn(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        struct child *c = caller_child(m), *payer;
        const char *definition, *name, *id, *parameters[64];
        arbiter_spawn *d;
        aid wanted = {};
        int r;

        if (!c)
                return -ESRCH;
        r = arbiter_message_read(m, "sss", &definition, &name, &id);
        if (r >= 0)
                r = read_strings(m, parameters, ELEMENTSOF(parameters) - 1);
        if (r < 0)
                return r;
        d = find_definition(c, definition);
        if (d && aid_parse(id, &wanted) >= 0) {
                r = spawn_again(c, *name ? name : d->name, &wanted, m);
                if (r != -ENOENT)
                        return r;
        }
        payer = spawn_payer(c);
        if (!take_spawn_token(payer))
                return refuse(m, ARBITER_OUTCOME_OVERLOAD, "%s spawns too fast", c->name);
        if (payer->n_children >= a->arbiter->children_max)
                return refuse(m, ARBITER_OUTCOME_OVERLOAD, "%s has too many children already", payer->name);
        if (!state_has_room(a->arbiter))
                return refuse(m, ARBITER_OUTCOME_OVERLOAD,
                                "'%s' is not started: what is known of all that runs takes too much room",
                                definition);
        if (!d)
                return refuse(m, ARBITER_OUTCOME_DENIED,
                                "'%s' is neither a definition of this arbiter nor what the caller is itself",
                                definition);
        if (aid_is_null(&wanted) || aid_equal(&wanted, &AID_ARBITER) ||
                        !names_aid_is_fresh(c->arbiter, &wanted))
                return refuse(m, ARBITER_OUTCOME_BAD_ARGUMENTS, "'%s' is not a free aid", id);
        r = spawn_instance(d, *name ? name : NULL, parameters, &s);
        if (r >= 0)
                r = spawn_start_as(s, &wanted, &c->aid, true, &f);
        if (r == -EEXIST)
                return arbiter_message_reply_error(
                                m, "io.arbiter.Arbiter1.Error.NameTaken", "an actor of that name is alive");
        return r < 0 ? r : answer_when_running(f, m);
}

/* kill_actor(s target, u timeout in ms) -> "killed AID": a stop that escalates, of one's own children
 * only. */

static void on_killed(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        char text[64];
        const char *name;

        if (f->outcome != ARBITER_OUTCOME_REPLY)
                (void) arbiter_message_reply_error(
                                m, arbiter_future_get_error_name(f), arbiter_future_get_error_text(f));
        else if (arbiter_message_rewind(m, true) >= 0 && arbiter_message_read(m, "s", &name) > 0) {
                (void) snprintf(text, sizeof(text), "killed %s", f->spawn_aid_string.s);
                (void) arbiter_message_reply(m, "s", text);
        }
        arbiter_message_unref(m);
}

static bool may_kill(const struct child *caller, const struct child *target) {
        return caller == target || aid_equal(&target->spawner, &caller->aid);
}

static int on_kill_actor(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct child *c = caller_child(m), *target;
        const char *name;
        int r;

        if (!c)
                return -ESRCH;
        r = arbiter_message_read(m, "s", &name);
        if (r < 0)
                return r;
        target = child_find(c->arbiter, name);
        if (!target)
                return refuse(m, ARBITER_OUTCOME_NOPROC, "no actor '%s'", name);
        if (!may_kill(c, target))
                return refuse(m, ARBITER_OUTCOME_DENIED, "'%s' is not a child of the caller", name);
        r = future_new(a, &f);
        if (r < 0)
                return r;
        f->spawn_aid_string = target->aid_string;
        arbiter_message_ref(m);
        r = future_then_now(f, on_killed, m);
        if (r < 0) {
                arbiter_message_unref(m);
                return r;
        }
        r = child_stop(target, f);
        if (r < 0)
                future_fail_errno(f, r, NULL); /* answers, and lets go of the message */
        return 0;
}

static int append_row(arbiter_message *m, const struct child *c) {
        usec_t now = now_usec();

        return arbiter_message_append(m, "(sssssut)", c->aid_string.s, c->name,
                        c->set && c->set->monitor ? c->set->monitor->name : "",
                        arbiter_concurrency_to_string(c->concurrency), arbiter_state_to_string(c->state),
                        (uint32_t) c->process.pid,
                        (uint64_t) (c->started_usec > 0 ? now - c->started_usec : 0));
}

static int on_list(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        int r;

        r = arbiter_message_new(&reply);
        if (r >= 0)
                r = arbiter_message_open_container(reply, 'a', "(sssssut)");
        if (r < 0)
                return r;
        LIST_FOREACH(c, &a->arbiter->children, struct child, children) {
                r = append_row(reply, c);
                if (r < 0)
                        return r;
        }
        r = arbiter_message_close_container(reply);
        return r < 0 ? r : arbiter_message_reply_message(m, reply);
}

enum { SYSTEM = ARBITER_COMMAND_SYSTEM };

const arbiter_command arbiter_commands[] = {
                ARBITER_COMMAND("hello", "usua(ssssst)", "version token pid commands", NULL, NULL,
                                handshake_hello, SYSTEM),
                ARBITER_COMMAND("relinked", "usua(ssssst)", "version token pid commands", "", "",
                                relink_relinked, SYSTEM),
                ARBITER_COMMAND("links", "a(ts)", "links", "", "", broker_links, SYSTEM),
                ARBITER_COMMAND("notify", "ytt", "state queued dead_letters", "", "", handshake_notify,
                                SYSTEM),
                ARBITER_COMMAND("load", "tutttb", "queued begun done busy work draining", "", "",
                                load_report, SYSTEM),
                ARBITER_COMMAND("mailbox", "y", "policy", "", "", handshake_mailbox, SYSTEM),
                ARBITER_COMMAND("failed", "is", "errno text", "", "", handshake_failed, SYSTEM),
                ARBITER_COMMAND("ignored", "", "", "", "", handshake_ignored, SYSTEM),
                ARBITER_COMMAND("closed", "i", "exit_code", "", "", handshake_closed, SYSTEM),
                ARBITER_COMMAND("exiting", "u", "reason", "", "", handshake_exiting, SYSTEM),
                ARBITER_COMMAND("traced", "ss", "sender command", "", "", handshake_traced, SYSTEM),
                ARBITER_COMMAND("connect", "s", "target", "ssut", "aid name generation link", broker_connect,
                                SYSTEM),
                ARBITER_COMMAND("route", "su", "name flags", NULL, NULL, route_route, SYSTEM),
                ARBITER_COMMAND("disconnect", "t", "link", "", "", broker_disconnect, SYSTEM),
                ARBITER_COMMAND("watch", "su", "aid generation", "", "", relations_watch, SYSTEM),
                ARBITER_COMMAND("lost", "su", "aid generation", "", "", relations_lost, SYSTEM),
                ARBITER_COMMAND("unwatch", "s", "aid", "", "", relations_unwatch, SYSTEM),
                ARBITER_COMMAND("link", "su", "aid generation", "", "", relations_link, SYSTEM),
                ARBITER_COMMAND("unlink", "su", "aid generation", "", "", relations_unlink, SYSTEM),
                ARBITER_COMMAND("spawn", "sssas", "definition name aid parameters", "ssu",
                                "aid name generation", on_spawn, SYSTEM),
                ARBITER_COMMAND("kill_actor", "s", "target", "s", "result", on_kill_actor, SYSTEM),
                ARBITER_COMMAND("join", "su", "group times", "", "", groups_join, SYSTEM),
                ARBITER_COMMAND("members", "s", "group", "a(ssu)", "members", groups_members, SYSTEM),
                ARBITER_COMMAND("watch_group", "s", "group", "a(ssu)", "members", groups_watch, SYSTEM),
                ARBITER_COMMAND("unwatch_group", "s", "group", "", "", groups_unwatch, SYSTEM),
                ARBITER_COMMAND("lock", "stt", "name hold patience", "tt", "number until", locks_lock,
                                SYSTEM),
                ARBITER_COMMAND("unlock", "st", "name number", "", "", locks_unlock, SYSTEM),
                ARBITER_COMMAND("locks", "a(stt)", "locks", "", "", locks_held, SYSTEM),
                ARBITER_COMMAND("list", "", "", "a(sssssut)", "actors", on_list, SYSTEM),
                ARBITER_COMMANDS_END,
};
