/* SPDX-License-Identifier: MIT-0 */
/* spawn: who may make actors? The arbiter's program, of anything; and any actor, of what the arbiter has
 * defined (or of another one like itself). Shows both, and what futures are good for: wait for all, wait
 * for the first. */

#include <arbiter/arbiter.h>
#include <stdio.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define HELPERS 3

static const arbiter_module helper = { ARBITER_MODULE_HEAD, .name = "helper" };

/* The boss makes an actor on request. That takes a while, and a handler must not wait: it keeps the
 * message, which is the promise to answer it, and answers when the spawn's future resolves. Meanwhile the
 * boss serves others. */
static void on_hired(arbiter_future *f, void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = userdata;
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = NULL;

        if (arbiter_future_get_proxy(f, &p) < 0)
                arbiter_message_reply_error(m, "org.example.Error.NotHired",
                                arbiter_future_get_error_text(f));
        else
                arbiter_message_reply(m, "ss", arbiter_proxy_get_name(p), arbiter_future_get_aid(f));
}

static int hire(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        const char *name, *parameters[] = { "WAGE=12", NULL };
        int r;

        r = arbiter_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = arbiter_actor_spawn(a, "helper", name, parameters, &f);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_hired, m);
        if (r >= 0)
                arbiter_message_ref(m);
        return r;
}

static const arbiter_command boss_commands[] = {
        ARBITER_COMMAND("hire", "s", "name", "ss", "name aid", hire, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module boss = { ARBITER_MODULE_HEAD, .name = "boss", .commands = boss_commands };

static int new_spawn(arbiter *a, const char *name, const arbiter_module *module, arbiter_spawn **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        r = arbiter_spawn_new(a, name, &s);
        if (r >= 0)
                r = arbiter_spawn_set_module(s, module);
        if (r < 0)
                return r;
        *ret = s;
        s = NULL;
        return 0;
}

static int start(arbiter *a, const char *name, const arbiter_module *module, arbiter_future **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r = new_spawn(a, name, module, &s);

        return r < 0 ? r : arbiter_spawn_start(s, ret);
}

/* What actors may instantiate. */
static int define_helper(arbiter *a) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r = new_spawn(a, "helper", &helper, &s);

        return r < 0 ? r : arbiter_add_definition(a, s);
}

static int from_the_arbiter(arbiter *a) {
        arbiter_future *f[HELPERS] = {};
        _cleanup_(arbiter_future_unrefp) arbiter_future *first = NULL, *all = NULL;
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < HELPERS; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "helper-%u", i + 1);
                r = start(a, name, &helper, &f[i]);
        }
        if (r >= 0)
                r = arbiter_future_any(f, HELPERS, &first);
        if (r >= 0)
                r = arbiter_future_all(f, HELPERS, &all);
        if (r >= 0)
                r = arbiter_future_wait(first, 0);
        if (r >= 0)
                r = arbiter_future_get_reply(first, NULL);
        if (r >= 0)
                puts("one helper is running");
        if (r >= 0)
                r = arbiter_future_wait(all, 0);
        if (r >= 0)
                r = arbiter_future_get_reply(all, NULL); /* 0 only if all have started */
        if (r >= 0)
                puts("all helpers are running");
        for (unsigned i = 0; i < HELPERS; i++)
                arbiter_future_unref(f[i]);
        return r;
}

static int from_an_actor(arbiter *a) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *started = NULL, *hired = NULL;
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        const char *name, *aid, *wage;
        int r;

        r = start(a, "boss", &boss, &started);
        if (r >= 0)
                r = arbiter_future_wait(started, 0);
        if (r >= 0)
                r = arbiter_future_get_reply(started, NULL);
        if (r >= 0)
                r = arbiter_call_async(arbiter_get_actor(a), &hired, "boss", "hire", 0, "s", "apprentice");
        if (r >= 0)
                r = arbiter_future_wait(hired, 0);
        if (r >= 0)
                r = arbiter_future_get(hired, "ss", &name, &aid);
        if (r < 0)
                return r;
        printf("the boss has hired %s\n", name);

        /* It is known by its name to everybody, and has the parameters that it was given. */
        r = arbiter_call(arbiter_get_actor(a), &reply, name, "config", 0, "ssv", "get", "WAGE", "s", "");
        if (r >= 0)
                r = arbiter_message_read(reply, "v", "s", &wage);
        if (r >= 0)
                printf("%s is paid %s\n", name, wage);
        return r;
}

static int run(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_start(a);
        if (r >= 0)
                r = define_helper(a);
        if (r >= 0)
                r = from_the_arbiter(a);
        if (r >= 0)
                r = from_an_actor(a);
        if (r >= 0)
                r = arbiter_stop(a, 0);
        return r < 0 ? r : arbiter_run(a, true);
}

int main(void) {
        int r;

        setlinebuf(stdout); /* a process actor is a fork: what waits in a buffer would be there twice */
        r = run();
        if (r < 0)
                fprintf(stderr, "spawn: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
