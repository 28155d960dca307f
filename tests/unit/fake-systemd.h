/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A manager that speaks as systemd does, on a socket of its own and on the caller's loop, and does what the
 * test says: nothing happens to a unit by itself but the answer to a call. */

#include <stdbool.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

enum { FAKE_UNITS_MAX = 64 };

struct fake_systemd {
        sd_event *event;
        sd_event_source *source;
        sd_bus *bus;
        char directory[32], address[64];
        int fd;
        bool mute;             /* calls are taken, and not answered */
        const char *error;     /* what StartTransientUnit and StartUnit answer; NULL: a job */
        unsigned n_errors;     /* only so many times; 0: always */
        const char *query_error; /* what GetAll answers, once */
        bool query_mute;         /* it does not */
        const char *load_state, *active_state, *restart; /* of a template's instance */
        const char *id; /* NULL: the name by which it was asked for */
        const char *type;
        bool remain_after_exit;
        char loaded[64];
        unsigned n_connections, n_starts, n_instances, n_stops, n_kills, n_resets, n_lists, n_queries;
        char started[FAKE_UNITS_MAX][64], stopped[FAKE_UNITS_MAX][64], killed[64];
        char kill_who[16];
        int kill_signal;
        /* what GetAll says of any unit */
        const char *all_load_state, *all_active_state, *all_result, *all_mark;
        bool all_has_job;
        unsigned all_pid, all_life; /* the latter as of fake_process(); 0: none has been */
        uint64_t all_begun_usec;
        int all_code, all_status;
        char settings[4096]; /* names of the properties of the last start, each followed by a blank */
};

void fake_systemd_open(struct fake_systemd *f, sd_event *event);
void fake_systemd_close(struct fake_systemd *f);
/* The connection ends; the next one is accepted. */
void fake_systemd_hang_up(struct fake_systemd *f);

/* n: of the n-th start, from 0. */
/* As if it had been started: by an arbiter that is dead. Returns n. */
unsigned fake_existing(struct fake_systemd *f, const char *name);
/* life: of which number; its invocation id is fake_invocation() of it. */
const char *fake_invocation(unsigned life);
void fake_process(struct fake_systemd *f, unsigned n, unsigned pid, unsigned life);
void fake_job_removed(struct fake_systemd *f, unsigned n, const char *result);
void fake_state(struct fake_systemd *f, unsigned n, const char *state);
void fake_end(struct fake_systemd *f, unsigned n, const char *state, const char *result, int code,
                int status);
void fake_removed(struct fake_systemd *f, unsigned n);
void fake_reloading(struct fake_systemd *f, bool active);
/* By somebody else. */
void fake_job_new(struct fake_systemd *f, unsigned n, const char *job);
void fake_foreign_job_removed(struct fake_systemd *f, unsigned n, const char *job);
