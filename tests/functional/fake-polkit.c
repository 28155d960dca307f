/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake-polkit.h. */

#include "fake-polkit.h"

#include <stdio.h>

#define POLKIT "org.freedesktop.PolicyKit1.Authority"

static void answer_check(sd_bus_message *m, enum fake_polkit_answer answer) {
        switch (answer) {
        case POLKIT_YES:
        case POLKIT_NO:
        case POLKIT_CHALLENGE:
                assert_ok(sd_bus_reply_method_return(m, "(bba{ss})", answer == POLKIT_YES,
                                answer == POLKIT_CHALLENGE, 1, "polkit.lockdown_enabled", "x"));
                return;
        case POLKIT_GARBAGE:
                assert_ok(sd_bus_reply_method_return(m, "bb", true, true));
                return;
        default:
                assert_ok(sd_bus_reply_method_errorf(
                                m, "org.freedesktop.PolicyKit1.Error.Failed", "Broken."));
        }
}

static int method_check(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *kind, *key, *sender, *action, *id;
        struct fake_polkit *p = userdata;

        p->n_asked++;
        assert_ok(sd_bus_message_read(m, "(sa{sv})s", &kind, 1, &key, "s", &sender, &action));
        assert_string_equal(kind, "system-bus-name");
        assert_string_equal(key, "name");
        assert_ok(sd_bus_message_skip(m, "a{ss}"));
        assert_ok(sd_bus_message_read(m, "us", &p->flags, &id));
        (void) snprintf(p->sender, sizeof(p->sender), "%s", sender);
        (void) snprintf(p->action, sizeof(p->action), "%s", action);
        (void) snprintf(p->id, sizeof(p->id), "%s", id);
        if (p->answer == POLKIT_LATER) {
                assert_true(p->n_pending < POLKIT_PENDING_MAX);
                p->pending[p->n_pending++] = sd_bus_message_ref(m);
        } else
                answer_check(m, p->answer);
        return 1;
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake_polkit *p = userdata;
        const char *id;

        assert_ok(sd_bus_message_read(m, "s", &id));
        (void) snprintf(p->cancelled, sizeof(p->cancelled), "%s", id);
        p->n_cancelled++;
        return sd_bus_reply_method_return(m, NULL);
}

/* No vtable: sd-bus would see to it that the answers are right. */
static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(m, POLKIT, "CheckAuthorization") > 0)
                return method_check(m, userdata, error);
        if (sd_bus_message_is_method_call(m, POLKIT, "CancelCheckAuthorization") > 0)
                return method_cancel(m, userdata, error);
        return 0;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        bool *done = userdata;

        *done = true;
        return 0;
}

void fake_polkit_start(struct bus_fixture *b, struct fake_polkit *p) {
        bool done = false;

        p->b = b;
        p->bus = bus_connect(b);
        assert_ok(sd_bus_add_object(p->bus, NULL, "/org/freedesktop/PolicyKit1/Authority", on_call, p));
        assert_ok(sd_bus_request_name_async(p->bus, NULL, "org.freedesktop.PolicyKit1", 0, on_name, &done));
        while (!done)
                turn(b->x);
}

void fake_polkit_stop(struct fake_polkit *p) {
        while (p->n_pending > 0)
                sd_bus_message_unref(p->pending[--p->n_pending]);
        sd_bus_close_unref(p->bus);
}

void fake_polkit_answer(struct fake_polkit *p, enum fake_polkit_answer answer) {
        assert_true(p->n_pending > 0);
        answer_check(p->pending[0], answer);
        sd_bus_message_unref(p->pending[0]);
        memmove(p->pending, p->pending + 1, --p->n_pending * sizeof(p->pending[0]));
}
