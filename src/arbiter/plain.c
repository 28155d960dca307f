/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that know nothing of arbiter: made on first demand, a stand-in actor on the arbiter's loop,
 * with the program's aid and name, answers "ping", "info" and "status" for it; "stop" and "signal" reach
 * the process. A thousand plain workers that nobody talks to cost no stand-in. */

#include <signal.h>

#include "arbiter/internal.h"

static int on_signal(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = userdata;
        struct peer *p = message_get_peer(m);
        int32_t signal;
        int r;

        r = arbiter_message_read(m, "i", &signal);
        if (r < 0)
                return r;
        if (!p || !p->control)
                return arbiter_message_reply_errno(m, -EACCES);
        if (signal <= 0 || signal > SIGRTMAX)
                return arbiter_message_reply_errno(m, -EINVAL);
        r = c->unit ? unit_signal(c, signal) : process_signal(&c->process, signal);
        return r < 0 ? r : arbiter_message_reply(m, "");
}

static int on_info(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = userdata;

        return arbiter_message_append(m, "{sv}", "program", "a{sv}", 3U,
                        "process_id", "u", (uint32_t) c->process.pid,
                        "path", "s", spawn_program(c->spawn),
                        "status", "s", c->status ? c->status : "");
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("signal", "i", "signal", "", "", on_signal, ARBITER_COMMAND_SYSTEM),
        ARBITER_COMMANDS_END,
};

static const arbiter_module stub = {
                ARBITER_MODULE_HEAD, .name = "plain", .commands = commands, .on_info = on_info};

int plain_ensure_stub(struct child *c) {
        if (!c->plain || c->inline_actor)
                return 0;
        return launch_inline(c, &stub, c);
}
