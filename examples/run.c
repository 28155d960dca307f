/* SPDX-License-Identifier: MIT-0 */
/* run: functions that another actor calls by name. A process never accepts code or an address from
 * another one: what may be called is what it has registered, with a signature that is checked before the
 * function sees the arguments. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* A function reads its arguments, and answers with one value inside a variant ("v"). */
static int add(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t x, y, sum;
        int r = arbiter_message_read(m, "(xx)", &x, &y);

        if (r < 0)
                return r;
        if (__builtin_add_overflow(x, y, &sum))
                return -ERANGE; /* becomes the application error System.Error.ERANGE */
        return arbiter_message_reply(m, "v", "x", sum);
}

static int where(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "v", "(su)", arbiter_actor_get_name(a), (uint32_t) getpid());
}

static const arbiter_command functions[] = {
        ARBITER_COMMAND("add", "(xx)", "numbers", "v", "sum", add, 0),
        ARBITER_COMMAND("where", "s", "ignored", "v", "name_and_pid", where, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module calculator = {
        ARBITER_MODULE_HEAD,
        .name = "calculator",
        .functions = functions,
};

static int spawn(arbiter *a, const char *name, const arbiter_module *module) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = arbiter_spawn_new(a, name, &s);
        if (r >= 0)
                r = arbiter_spawn_set_module(s, module);
        if (r >= 0)
                r = arbiter_spawn_start(s, &f);
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        return r < 0 ? r : arbiter_future_get_reply(f, NULL);
}

/* run(s function, v arguments) -> v */
static int ask_sum(arbiter_actor *self, int64_t x, int64_t y) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int64_t sum;
        int r;

        r = arbiter_call_async(self, &f, "abacus", "run", 0, "sv", "add", "(xx)", x, y);
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        if (r < 0)
                return r;
        r = arbiter_future_get(f, "v", "x", &sum);
        if (r < 0) /* and what went wrong is known exactly */
                printf("%lld + %lld: %s (%s)\n", (long long) x, (long long) y,
                                arbiter_future_get_error_name(f),
                                arbiter_outcome_to_string(arbiter_future_get_outcome(f)));
        else
                printf("%lld + %lld = %lld\n", (long long) x, (long long) y, (long long) sum);
        return 0;
}

static int ask_where(arbiter_actor *self) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        const char *name;
        uint32_t pid;
        int r;

        r = arbiter_call(self, &reply, "abacus", "run", 0, "sv", "where", "s", "");
        if (r >= 0)
                r = arbiter_message_read(reply, "v", "(su)", &name, &pid);
        if (r < 0)
                return r;
        printf("%s ran it, in %s process\n", name, pid == (uint32_t) getpid() ? "this" : "another");
        return 0;
}

static int run(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_start(a);
        if (r >= 0)
                r = spawn(a, "abacus", &calculator);
        if (r >= 0)
                r = ask_sum(arbiter_get_actor(a), 40, 2);
        if (r >= 0)
                r = ask_sum(arbiter_get_actor(a), INT64_MAX, 1);
        if (r >= 0)
                r = ask_where(arbiter_get_actor(a));
        if (r >= 0)
                r = arbiter_stop(a, 0);
        return r < 0 ? r : arbiter_run(a, true);
}

int main(void) {
        int r = run();

        if (r < 0)
                fprintf(stderr, "run: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
