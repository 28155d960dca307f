/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operator's verbs on a target, as method calls: authorise, begin the work, answer when its future
 * resolves. Called by the methods of all three interfaces. Whether a target exists, and what a verb means
 * for it, is the arbiter's to say. */

#include <signal.h>

#include "bus/convert.h"
#include "bus/error.h"
#include "bus/send-options.h"
#include "bus/vtables.h"
#include "wire/message.h"

/* Authorised, and room for the answer: 1. 0: the message comes again. */
static int begin(struct bus_connection *c, sd_bus_message *m, const char *action,
                int (*answer)(struct bus_call *c, arbiter_future *f), sd_bus_error *error,
                struct bus_call **ret) {
        int r;

        r = bus_authorize(c, m, action, error);
        if (r <= 0)
                return r;
        r = bus_call_new(c, m, answer, error, ret);
        return r < 0 ? r : 1;
}

static int answer_ping(struct bus_call *call, arbiter_future *f) {
        return sd_bus_reply_method_return(call->message, "t", now_usec() - call->started_usec);
}

int bus_verb_ping(struct bus_connection *c, sd_bus_message *m, const char *target, sd_bus_error *error) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *request = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        int r;

        r = begin(c, m, BUS_ACTION_SEND_MESSAGES, answer_ping, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = arbiter_message_new(&request);
        if (r < 0)
                return r;
        r = message_seal(request);
        if (r < 0)
                return r;
        r = control_send(c->face->arbiter, target, "ping", request, NULL, &f);
        if (r < 0)
                return bus_error_set_verb(error, r, "ping", target);
        return bus_call_wait_cancel(TAKE_PTR(call), f);
}

/* What takes a target and nothing else, and is done with when its future is. */
static int manage(struct bus_connection *c, sd_bus_message *m, const char *verb, const char *target,
                int (*start)(arbiter *a, const char *target, arbiter_future **ret), sd_bus_error *error) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        int r;

        r = begin(c, m, BUS_ACTION_MANAGE_ACTORS, bus_call_answer_empty, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = start(c->face->arbiter, target, &f);
        if (r < 0)
                return bus_error_set_verb(error, r, verb, target);
        return bus_call_wait(TAKE_PTR(call), f);
}

int bus_verb_stop(struct bus_connection *c, sd_bus_message *m, const char *target, sd_bus_error *error) {
        return manage(c, m, "stop", target, control_stop, error);
}

int bus_verb_restart(struct bus_connection *c, sd_bus_message *m, const char *target, sd_bus_error *error) {
        return manage(c, m, "restart", target, control_restart, error);
}

int bus_verb_kill(struct bus_connection *c, sd_bus_message *m, const char *target, int signo,
                sd_bus_error *error) {
        int r;

        r = bus_authorize(c, m, BUS_ACTION_MANAGE_ACTORS, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        if (signo <= 0 || signo > SIGRTMAX)
                return bus_error_bad_arguments(
                                error, "A signal's number is 1 to %d, and %d came.", SIGRTMAX, signo);
        r = control_kill(c->face->arbiter, target, signo);
        if (r < 0)
                return bus_error_set_verb(error, r, "kill", target);
        return sd_bus_reply_method_return(m, NULL);
}

static int answer_scale(struct bus_call *call, arbiter_future *f) {
        return sd_bus_reply_method_return(call->message, "u", call->before);
}

/* As Workers= of the configuration. */
#define BUS_WORKERS_MAX 10000U

int bus_verb_scale(struct bus_connection *c, sd_bus_message *m, const char *monitor, uint32_t workers,
                sd_bus_error *error) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        int r;

        if (workers > BUS_WORKERS_MAX)
                return bus_error_bad_arguments(error,
                                "A monitor has 0 to %u workers, and %u were asked for.", BUS_WORKERS_MAX,
                                workers);
        r = begin(c, m, BUS_ACTION_MANAGE_ACTORS, answer_scale, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = control_scale(c->face->arbiter, monitor, workers, &call->before, &f);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_SUPPORTED,
                                "\"%s\" has children, and no workers whose number could change: scale a "
                                "pool among them, see \"arbiterctl list-children\".",
                                bus_quote(monitor).s);
        if (r < 0)
                return bus_error_set_verb(error, r, "scale", monitor);
        return bus_call_wait(TAKE_PTR(call), f);
}

int bus_verb_reload(struct bus_connection *c, sd_bus_message *m, const char *monitor, sd_bus_error *error) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = begin(c, m, BUS_ACTION_RELOAD, bus_call_answer_empty, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        if (control_get_actor(c->face->arbiter, monitor, &(struct actor_view){}) >= 0)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_SUPPORTED,
                                "\"%s\" is an actor, and no monitor whose workers could be replaced by new "
                                "ones bit by bit. \"arbiterctl daemon-reload\" reads all of the "
                                "configuration.",
                                bus_quote(monitor).s);
        r = arbiter_reload_monitor(c->face->arbiter, monitor, &f, &text);
        if (r == -EOPNOTSUPP && !text)
                return sd_bus_error_set(error, BUS_ERROR_NOT_SUPPORTED,
                                "This arbiter has no configuration that it could read again.");
        if (r < 0 && text && bus_utf8_is_valid(text))
                return sd_bus_error_setf(error, BUS_ERROR_RELOAD_FAILED, "%s", text);
        if (r < 0)
                return bus_error_set_verb(error, r, "reload", monitor);
        return f ? bus_call_wait(TAKE_PTR(call), f) : sd_bus_reply_method_return(m, NULL);
}

int bus_verb_abort_roll(struct bus_connection *c, sd_bus_message *m, const char *monitor,
                sd_bus_error *error) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        int r;

        r = begin(c, m, BUS_ACTION_MANAGE_ACTORS, bus_call_answer_empty, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = control_abort_roll(c->face->arbiter, monitor, &f);
        if (r == -ENOENT)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_ROLLING,
                                "The workers of \"%s\" are not being replaced just now: there is nothing to "
                                "turn back.",
                                bus_quote(monitor).s);
        if (r < 0)
                return bus_error_set_verb(error, r, "turn back", monitor);
        return bus_call_wait(TAKE_PTR(call), f);
}

int bus_verb_reexecute(struct bus_connection *c, sd_bus_message *m, sd_bus_error *error) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        int r;

        r = begin(c, m, BUS_ACTION_REEXECUTE, bus_call_answer_empty, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = arbiter_reexecute(c->face->arbiter, &f);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_set(error, BUS_ERROR_NOT_SUPPORTED,
                                "Nobody would keep the actors of this arbiter meanwhile: only one that is a "
                                "service of systemd can be executed anew. Nothing was done.");
        if (r == -ESHUTDOWN)
                return sd_bus_error_set(error, BUS_ERROR_BUSY, "The arbiter is stopping.");
        if (r < 0)
                return sd_bus_error_setf(error, BUS_ERROR_REEXECUTE_FAILED,
                                "The program on disk cannot be tried: %s. Nothing was done.", strerror(-r));
        return bus_call_wait(TAKE_PTR(call), f);
}

static int answer_send(struct bus_call *call, arbiter_future *f) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        arbiter_message *result = NULL;
        int r;

        r = arbiter_future_get_reply(f, &result);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(call->message, &reply);
        if (r < 0)
                return r;
        r = convert_result(result, reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int read_request(struct bus_connection *c, sd_bus_message *m, const char *target, const char *command,
                arbiter_message **ret, arbiter_send_options *ret_options, sd_bus_error *error) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *request = NULL;
        const char *arguments, *result;
        int r;

        r = control_get_command(c->face->arbiter, target, command, &arguments, &result);
        if (r == -ENOENT)
                return sd_bus_error_setf(error, BUS_ERROR_UNKNOWN_COMMAND,
                                "\"%s\" has no command \"%s\". \"arbiterctl introspect\" shows those that "
                                "it has.",
                                bus_quote(target).s, bus_quote(command).s);
        if (r < 0)
                return bus_error_set_verb(error, r, "send to", target);
        r = arbiter_message_new(&request);
        if (r < 0)
                return r;
        r = convert_arguments(m, command, arguments ?: "", request, error);
        if (r < 0)
                return r;
        r = bus_read_send_options(m, ret_options, error);
        if (r < 0)
                return r;
        r = message_seal(request);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(request);
        return 0;
}

int bus_verb_send(struct bus_connection *c, sd_bus_message *m, const char *target, const char *command,
                sd_bus_error *error) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *request = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        arbiter_send_options options;
        int r;

        r = begin(c, m, BUS_ACTION_SEND_MESSAGES, answer_send, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = read_request(c, m, target, command, &request, &options, error);
        if (r < 0)
                return r;
        r = control_send(c->face->arbiter, target, command, request, &options, &f);
        if (r < 0)
                return bus_error_set_verb(error, r, "send to", target);
        return bus_call_wait_cancel(TAKE_PTR(call), f);
}
