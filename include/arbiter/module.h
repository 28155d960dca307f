/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_MODULE_H
#define ARBITER_MODULE_H

#include <arbiter/command.h>
#include <arbiter/version.h>

ARBITER_BEGIN_DECLARATIONS

/* A module: what an actor is made of. Commands, and hooks, the user code that is called at the points of its
 * life. All hooks are optional and run on the actor's loop; userdata is what arbiter_actor_set_userdata()
 * set, NULL before. An embedded arbiter takes a pointer to it; arbiterd loads it from a shared object that
 * was built with ARBITER_MODULE().
 *
 *   start          before the actor is running. Negative: the spawn fails with the errno. To wait for
 *                  something: arbiter_actor_delay_start()
 *   stopping       the actor has been asked to stop; bounded by its stop timeout. To wait for something:
 *                  arbiter_actor_delay_stop()
 *   exit           the last call, after which userdata must be gone
 *   periodic_task  with each notify
 *   on_info        info is an open a{sv}: append {sv} entries to it
 *   on_params      before a monitor or arbiter with this module spawns: edit the spawn */
struct arbiter_module {
        size_t size;  /* sizeof(struct arbiter_module) */
        unsigned abi; /* ARBITER_MODULE_ABI */
        const char *name;
        const char *description;
        const arbiter_command *commands;
        /* What the standard command "run" may call, by name. The handler finds the cursor of the message
         * inside the variant that holds the arguments, and answers with one value:
         * arbiter_message_reply(m, "v", "x", n). */
        const arbiter_command *functions;
        int (*start)(arbiter_actor *a, void *userdata);
        int (*stopping)(arbiter_actor *a, void *userdata);
        void (*exit)(arbiter_actor *a, void *userdata);
        int (*periodic_task)(arbiter_actor *a, void *userdata);
        int (*on_info)(arbiter_actor *a, arbiter_message *info, void *userdata);
        int (*on_params)(arbiter_actor *a, arbiter_spawn *spawn, void *userdata);
};

/* The head of a module, for static ones in an embedded program:
 *         static const arbiter_module squares = {
 *                 ARBITER_MODULE_HEAD, .name = "squares", .commands = commands,
 *         }; */
#define ARBITER_MODULE_HEAD .size = sizeof(struct arbiter_module), .abi = ARBITER_MODULE_ABI

#ifdef __cplusplus
#define ARBITER_MODULE_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define ARBITER_MODULE_EXPORT __attribute__((visibility("default")))
#endif

/* Defines the one symbol that the host looks for in a shared object:
 *         ARBITER_MODULE(.name = "squares", .commands = commands); */
#define ARBITER_MODULE_SYMBOL "arbiter_module_definition"
#define ARBITER_MODULE(...)                                                                                 \
        ARBITER_MODULE_EXPORT const struct arbiter_module arbiter_module_definition;                        \
        const struct arbiter_module arbiter_module_definition = {ARBITER_MODULE_HEAD, __VA_ARGS__}

/* The whole main() of a program that is an actor (Exec= of a program linked with libarbiter): takes the
 * control link from the environment that the arbiter set, shakes hands, runs until it is stopped, and
 * returns the exit status to leave main() with. Without an arbiter it says so: -ENOTCONN. A process that
 * did not inherit its control link (see arbiter_spawn_expect()) finds the socket by
 * $ARBITER_MAILBOX_SOCKET and its token in the file $ARBITER_TOKEN_FILE. */
int arbiter_actor_main(const arbiter_module *module);
/* The same for a process that hosts threads: each time the arbiter asks, another thread becomes an actor
 * of this module. arbiter-host --threads is this; a program seldom needs it. */
int arbiter_host_main(const arbiter_module *module);
/* Loads a module from a shared object and keeps it loaded. -ENOENT; -ENOEXEC: no module;
 * -EPROTONOSUPPORT: wrong ABI. ret_text (may be NULL) gets a text to free that says more, on error only. */
int arbiter_module_load(const char *path, const arbiter_module **ret, char **ret_text);

ARBITER_END_DECLARATIONS

#endif
