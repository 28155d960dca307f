/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program outside of the tree: C99, installed headers, pkg-config. An arbiter of its own, an actor in a
 * process, one question and its answer, an orderly stop. */

#include <arbiter/arbiter.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        (void) a;
        (void) userdata;
        if (r < 0)
                return r;
        return arbiter_message_reply(m, "x", n * n);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", square, 0),
        ARBITER_COMMANDS_END
};
static const arbiter_module squares = { ARBITER_MODULE_HEAD, .name = "squares", .commands = commands };

static int ask(arbiter *a, arbiter_spawn *s) {
        arbiter_message *reply = NULL;
        arbiter_future *f = NULL;
        int64_t n = 0;
        int r;

        r = arbiter_spawn_set_module(s, &squares);
        if (r >= 0 && geteuid() == 0)
                r = arbiter_spawn_set_user(s, "root"); /* a root arbiter runs nothing as root unasked */
        if (r >= 0)
                r = arbiter_spawn_start(s, &f);
        if (r >= 0)
                r = arbiter_future_wait(f, 30 * 1000000ULL);
        arbiter_future_unref(f);
        if (r >= 0)
                r = arbiter_call(arbiter_get_actor(a), &reply, "squares", "square", 0, "x", (int64_t) 12);
        if (r >= 0)
                r = arbiter_message_read(reply, "x", &n);
        arbiter_message_unref(reply);
        if (r < 0)
                return r;
        return n == 144 ? 0 : -1;
}

int main(void) {
        arbiter_spawn *s = NULL;
        arbiter *a = NULL;
        int r;

        if (strcmp(arbiter_version(), ARBITER_VERSION_STRING) != 0) {
                fprintf(stderr, "the library is %s, the headers are %s\n", arbiter_version(),
                                ARBITER_VERSION_STRING);
                return 1;
        }
        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_start(a);
        if (r >= 0)
                r = arbiter_spawn_new(a, "squares", &s);
        if (r >= 0)
                r = ask(a, s);
        arbiter_spawn_unref(s);
        if (r >= 0)
                r = arbiter_stop(a, 0);
        if (r >= 0)
                r = arbiter_run(a, false);
        arbiter_unref(a);
        if (r != 0) {
                fprintf(stderr, "failed: %d (%s)\n", r, r < 0 ? strerror(-r) : "exit code");
                return 1;
        }
        puts("144");
        return 0;
}
