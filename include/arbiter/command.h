/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_COMMAND_H
#define ARBITER_COMMAND_H

#include <arbiter/message.h>

ARBITER_BEGIN_DECLARATIONS

/* A command: a named action of an actor. The table is static and constant; names are D-Bus member names,
 * signatures are D-Bus's, and a request whose body has another signature is answered bad-arguments before
 * the handler is called.
 *
 * The handler runs on the actor's loop; the next user message starts when it has returned. It answers by
 * arbiter_message_reply(), or, later, by keeping a reference to the message (a promise): dropping the
 * last reference unanswered answers broken-promise. It returns 0 or more when it is done or has promised;
 * with an empty result signature and no answer sent, 0 is answered for it. A negative errno becomes the
 * answer: -ENXIO and -EBADMSG (from reading) bad-arguments, anything else the application error
 * "System.Error.E...", as sd-bus does. userdata is the actor's, arbiter_actor_set_userdata(). */
typedef int (*arbiter_command_handler_t)(arbiter_actor *a, arbiter_message *m, void *userdata);

enum {
        /* While its answer is outstanding no other user message is dispatched. */
        ARBITER_COMMAND_EXCLUSIVE = 1 << 0,
        /* Runs in the system lane: before all queued user messages, and while an exclusive command is
         * pending. */
        ARBITER_COMMAND_SYSTEM = 1 << 1,
        /* A cast only: a request for it gets an empty answer at once, before it runs (as pulsar's
         * "stop"). */
        ARBITER_COMMAND_NO_REPLY = 1 << 2,
        /* Only the arbiter may send it. */
        ARBITER_COMMAND_ARBITER_ONLY = 1 << 3
};

struct arbiter_command {
        const char *name;
        const char *arguments;      /* signature */
        /* separated by spaces, one for each complete type of arguments; or NULL */
        const char *argument_names;
        const char *result;
        const char *result_names;
        arbiter_command_handler_t handler;
        uint64_t flags;
};

#define ARBITER_COMMAND(name_, arguments_, argument_names_, result_, result_names_, handler_, flags_)       \
        { (name_), (arguments_), (argument_names_), (result_), (result_names_), (handler_), (flags_) }
#define ARBITER_COMMANDS_END { NULL, NULL, NULL, NULL, NULL, NULL, 0 }

/* The answer. Exactly one: a second gives -EALREADY. -EINVAL when the values do not match the command's
 * result signature (the caller then gets an application error). An answer to a cast, or to a caller that
 * is gone or no longer waits, is dropped and counted: 0. */
int arbiter_message_reply(arbiter_message *m, const char *signature, ...);
/* Takes over nothing: reply is sealed and sent, the reference stays the caller's. */
int arbiter_message_reply_message(arbiter_message *m, arbiter_message *reply);
/* An application error; name is a D-Bus error name ("com.example.Error.NoSuchWord"), text says what
 * happened. */
int arbiter_message_reply_error(arbiter_message *m, const char *name, const char *text);
int arbiter_message_reply_errno(arbiter_message *m, int error);
/* Delegation: another actor answers this request straight to the caller, under the caller's id and
 * deadline; we drop out. The body goes along unread; command NULL keeps the command. */
int arbiter_message_delegate(arbiter_message *m, const arbiter_proxy *to, const char *command);
/* True once the caller has cancelled, died, or its deadline has passed: stop working. */
bool arbiter_message_is_cancelled(arbiter_message *m);

ARBITER_END_DECLARATIONS

#endif
