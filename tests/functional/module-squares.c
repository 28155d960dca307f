/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module for test-arbiterd. */

#include <arbiter/arbiter.h>

static int square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

static int parameter(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *key, *value;
        int r = arbiter_message_read(m, "s", &key);

        if (r < 0)
                return r;
        value = arbiter_actor_get_parameter(a, key);
        return arbiter_message_reply(m, "s", value ? value : "");
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", square, 0),
        ARBITER_COMMAND("parameter", "s", "key", "s", "value", parameter, 0),
        ARBITER_COMMANDS_END
};

#ifdef WRONG_ABI
ARBITER_MODULE_EXPORT const struct arbiter_module arbiter_module_definition;
const struct arbiter_module arbiter_module_definition = {
        .size = sizeof(struct arbiter_module),
        .abi = ARBITER_MODULE_ABI + 1,
        .name = "squares",
        .commands = commands,
};
#else
ARBITER_MODULE(.name = "squares", .commands = commands);
#endif
