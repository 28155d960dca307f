/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See systemd-fixture.h. */

#include "test-util.h"

#include <stdio.h>
#include <stdlib.h>

#include <arbiter/arbiter.h>

#include "systemd-fixture.h"
#include "wire/message.h"

static void on_begun(void *userdata) {
        ((struct seen *) userdata)->n_begun++;
}

static void on_process(pid_t pid, const char *invocation_id, void *userdata) {
        struct seen *x = userdata;

        x->n_process++;
        x->pid = pid;
        (void) snprintf(x->invocation, sizeof(x->invocation), "%s", invocation_id);
}

static void on_started(void *userdata) {
        ((struct seen *) userdata)->n_started++;
}

static void on_status(const char *text, void *userdata) {
}

static void on_stopping(bool by_others, void *userdata) {
        struct seen *x = userdata;

        x->n_stopping++;
        x->by_others = by_others;
}

static void on_ended(const struct unit_end *e, void *userdata) {
        struct seen *x = userdata;

        x->n_ended++;
        x->unit = NULL;
        x->end = *e;
        (void) snprintf(x->result, sizeof(x->result), "%s", e->result);
        (void) snprintf(x->text, sizeof(x->text), "%s", e->text ? e->text : "");
}

const struct unit_events events = {
        .begun = on_begun,
        .main_process = on_process,
        .started = on_started,
        .status = on_status,
        .stopping = on_stopping,
        .ended = on_ended,
};

int systemd_fixture_setup(void **state) {
        struct fixture *x = calloc(1, sizeof(*x));

        assert_ok(sd_event_new(&x->event));
        assert_ok(arbiter_new(x->event, NULL, &x->arbiter));
        fake_systemd_open(&x->manager, x->event);
        assert_ok(systemd_new(x->arbiter, x->event, ARBITER_BUS_SYSTEM, x->manager.address, &x->systemd));
        assert_ok(arbiter_message_new(&x->properties));
        assert_ok(arbiter_message_append(
                        x->properties, "a(sv)", 2U, "Description", "s", "x", "Type", "s", "exec"));
        assert_ok(message_seal(x->properties));
        *state = x;
        return 0;
}

int systemd_fixture_teardown(void **state) {
        struct fixture *x = *state;

        systemd_free(x->systemd);
        fake_systemd_close(&x->manager);
        arbiter_message_unref(x->properties);
        arbiter_unref(x->arbiter);
        sd_event_unref(x->event);
        free(x);
        return 0;
}

void settle(struct fixture *x) {
        for (unsigned idle = 0; idle < 3;) {
                int r = sd_event_run(x->event, 0);

                assert_ok(r);
                idle = r > 0 ? 0 : idle + 1;
        }
}

void start_named(struct fixture *x, unsigned n, const char *name, bool transient) {
        const struct unit_request q = { .name = name,
                .mark = "ARBITER_AID=a0000000",
                .properties = transient ? x->properties : NULL };

        assert_ok(systemd_ops.start(x->systemd, &q, &events, &x->seen[n], &x->seen[n].unit));
}

void start(struct fixture *x, unsigned n) {
        char name[64];

        (void) snprintf(name, sizeof(name), "arbiter-system-web-%u.service", n);
        start_named(x, n, name, true);
}

void start_all(struct fixture *x, unsigned n) {
        start(x, n);
        settle(x);
        fake_process(&x->manager, n, 100 + n, 1);
        fake_job_removed(&x->manager, n, "done");
        settle(x);
        assert_int_equal(x->seen[n].n_started, 1);
}

void wait_connection(struct fixture *x, unsigned n) {
        while (x->manager.n_connections < n)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        settle(x);
}
