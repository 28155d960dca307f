/* SPDX-License-Identifier: MIT-0 */
/* groups: three caches under one name. What one of them is told to forget, all forget; each of them
 * writes the report, but never two at a time; and a service that is not there is asked twice, and then
 * left alone. */

#include <arbiter/arbiter.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define SECOND 1000000U

/* The caches. */

static void on_change(arbiter_actor *self, const arbiter_group_change *change, void *userdata) {
        /* arbiter_send_group() sends to those that a watch knows. */
}

static int start(arbiter_actor *self, void *userdata) {
        int r;

        r = arbiter_actor_join(self, "caches", NULL);
        return r < 0 ? r : arbiter_actor_watch_group(self, "caches", on_change, NULL, NULL);
}

static int forget_all(arbiter_actor *self, arbiter_message *m, void *userdata) {
        return arbiter_send_group(self, "caches", "forget", "");
}

static int forget(arbiter_actor *self, arbiter_message *m, void *userdata) {
        return arbiter_send(self, "arbiter", "forgotten", "s", arbiter_actor_get_name(self));
}

static void on_locked(arbiter_future *f, void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = userdata;
        uint64_t number;

        /* The number is greater each time: a file could carry it, and refuse a writer that comes late. */
        if (arbiter_future_get(f, "t", &number) < 0)
                (void) arbiter_message_reply_error(
                                m, arbiter_future_get_error_name(f), arbiter_future_get_error_text(f));
        else if (arbiter_actor_unlock(arbiter_actor_current(), "report") >= 0)
                (void) arbiter_message_reply(m, "t", number);
}

static int report(arbiter_actor *self, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = arbiter_actor_lock(self, "report", 10 * SECOND, 0, &f);
        return r < 0 ? r : arbiter_future_then(f, on_locked, arbiter_message_ref(m)); /* a promise */
}

static const arbiter_command cache_commands[] = {
        ARBITER_COMMAND("forget_all", "", NULL, "", NULL, forget_all, 0),
        ARBITER_COMMAND("forget", "", NULL, "", NULL, forget, 0),
        ARBITER_COMMAND("report", "", NULL, "t", "number", report, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module cache = {
        ARBITER_MODULE_HEAD, .name = "cache", .commands = cache_commands, .start = start };

/* The arbiter. */

static unsigned n_forgotten;

static int forgotten(arbiter_actor *self, arbiter_message *m, void *userdata) {
        const char *name;
        int r;

        r = arbiter_message_read(m, "s", &name);
        if (r < 0)
                return r;
        printf("%s has forgotten\n", name);
        n_forgotten++;
        return 0;
}

static const arbiter_command root_commands[] = {
        ARBITER_COMMAND("forgotten", "s", "name", "", NULL, forgotten, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module root = { ARBITER_MODULE_HEAD, .name = "root", .commands = root_commands };

static int spawn_cache(arbiter *a, const char *name) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = arbiter_spawn_new(a, name, &s);
        if (r >= 0)
                r = arbiter_spawn_set_module(s, &cache);
        if (r >= 0)
                r = arbiter_spawn_start(s, &f);
        if (r >= 0)
                r = arbiter_future_wait(f, 0);
        return r < 0 ? r : arbiter_future_get_reply(f, NULL);
}

static int call(arbiter *a, const char *target, const char *command) {
        return arbiter_call(arbiter_get_actor(a), NULL, target, command, 0, "");
}

/* All three want the lock at once; all three have it, one after the other. */
static int report_thrice(arbiter *a, const char *const *names) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *all = NULL;
        arbiter_future *f[3] = { NULL, NULL, NULL };
        int r = 0;

        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = arbiter_call_async(arbiter_get_actor(a), &f[i], names[i], "report", 0, "");
        if (r >= 0)
                r = arbiter_future_all(f, 3, &all);
        if (r >= 0)
                r = arbiter_future_wait(all, 0);
        if (r >= 0)
                printf("reports: %s\n", arbiter_outcome_to_string(arbiter_future_get_outcome(all)));
        for (unsigned i = 0; i < 3; i++)
                arbiter_future_unref(f[i]);
        return r;
}

static int try_thrice(arbiter *a) {
        _cleanup_(arbiter_breaker_unrefp) arbiter_breaker *b = NULL;
        int r;

        r = arbiter_breaker_new(arbiter_get_actor(a), "printer", NULL, &b);
        if (r >= 0)
                r = arbiter_breaker_set_max_failures(b, 2);
        for (unsigned i = 0; i < 3 && r >= 0; i++) {
                _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

                r = arbiter_breaker_call_async(b, &f, "print", 0, "");
                if (r >= 0)
                        r = arbiter_future_wait(f, 0);
                if (r >= 0)
                        printf("printer: %s\n", arbiter_outcome_to_string(arbiter_future_get_outcome(f)));
        }
        return r;
}

static int run(void) {
        static const char *const names[] = { "red", "green", "blue" };
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        int r;

        r = arbiter_new(NULL, &root, &a);
        if (r >= 0)
                r = arbiter_start(a);
        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = spawn_cache(a, names[i]);
        if (r >= 0)
                r = call(a, "green", "forget_all");
        while (r >= 0 && n_forgotten < 3)
                r = sd_event_run(arbiter_get_event(a), UINT64_MAX);
        if (r >= 0)
                r = report_thrice(a, names);
        if (r >= 0)
                r = try_thrice(a);
        if (r >= 0)
                r = arbiter_stop(a, 0);
        return r < 0 ? r : arbiter_run(a, false);
}

int main(void) {
        int r = run();

        if (r < 0)
                fprintf(stderr, "groups: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
