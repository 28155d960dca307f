/* SPDX-License-Identifier: MIT-0 */
/* watch: to be told when another actor dies (a watch: one-way), and to die with it (a link: two-way).
 * "solo" is killed while it works on a request of ours; "left" and "right" are linked, and share their
 * fate. */

#include <arbiter/arbiter.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Never answers: it is killed while it runs. */
static int crash(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return raise(SIGKILL);
}

/* Links itself to the actor whose handle comes in the message: a proxy is a value, and travels. */
static int join(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *other = NULL;
        int r;

        r = arbiter_message_read_proxy(m, &other);
        if (r < 0)
                return r;
        return arbiter_actor_link(a, other); /* with an empty result, returning is the answer */
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("crash", "", NULL, "", NULL, crash, 0),
        ARBITER_COMMAND("join", "(ssu)", "actor", "", NULL, join, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module mortal = { ARBITER_MODULE_HEAD, .name = "mortal", .commands = commands };

static unsigned alive;

/* Exactly once for each watch, after all that the dead actor had sent, and after its name is free again. */
static void on_down(arbiter_actor *self, const arbiter_down *down, void *userdata) {
        printf("DOWN: %s: %s\n", down->name, arbiter_reason_to_string(down->reason));
        if (--alive == 0)
                arbiter_stop(userdata, 0);
}

static int spawn_watched(arbiter *a, const char *name, arbiter_proxy **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = arbiter_spawn_new(a, name, &s);
        if (r >= 0)
                r = arbiter_spawn_set_module(s, &mortal);
        if (r >= 0)
                r = arbiter_spawn_start(s, &f);
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        if (r >= 0)
                r = arbiter_future_get_proxy(f, ret);
        if (r >= 0)
                r = arbiter_actor_watch(arbiter_get_actor(a), *ret, on_down, a, NULL);
        if (r >= 0)
                alive++;
        return r;
}

static const char *executed_to_string(arbiter_executed e) {
        return e == ARBITER_EXECUTED_NO ? "no" : e == ARBITER_EXECUTED_MAYBE ? "maybe" : "yes";
}

/* A request always has an outcome, and the outcome says whether the callee may have run it. */
static int crash_and_tell(arbiter *a, const char *name) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = arbiter_call_async(arbiter_get_actor(a), &f, name, "crash", 0, "");
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        if (r >= 0)
                printf("%s: %s, executed: %s\n", name,
                                arbiter_outcome_to_string(arbiter_future_get_outcome(f)),
                                executed_to_string(arbiter_future_get_executed(f)));
        return r;
}

static int link_pair(arbiter *a, const char *left, arbiter_proxy *right) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_append_proxy(m, right);
        if (r >= 0)
                r = arbiter_send_message(arbiter_get_actor(a), left, NULL, "join", m, 0, &f);
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        return r < 0 ? r : arbiter_future_get_reply(f, NULL);
}

static int run(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *solo = NULL, *left = NULL, *right = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_start(a);
        if (r >= 0)
                r = spawn_watched(a, "solo", &solo);
        if (r >= 0)
                r = spawn_watched(a, "left", &left);
        if (r >= 0)
                r = spawn_watched(a, "right", &right);
        if (r >= 0)
                r = crash_and_tell(a, "solo");
        if (r >= 0)
                r = link_pair(a, "left", right);
        if (r >= 0)
                r = crash_and_tell(a, "right"); /* nobody kills left: its link does */
        return r < 0 ? r : arbiter_run(a, true);
}

int main(void) {
        int r = run();

        if (r < 0)
                fprintf(stderr, "watch: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
