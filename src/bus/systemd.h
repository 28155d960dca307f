/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the spawner of units share: systemd.c the connection and the queue, systemd-unit.c
 * one unit, systemd-settle.c one that was not seen for a while, systemd-sweep.c those that are nobody's,
 * systemd-properties.c what systemd says of one, systemd-template.c the templates that users have. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "arbiter/units.h"
#include "basic/list.h"
#include "basic/map.h"
#include "basic/time-util.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_UNIT_PATH SYSTEMD_PATH "/unit"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"
#define SYSTEMD_UNIT SYSTEMD ".Unit"
#define SYSTEMD_SERVICE SYSTEMD ".Service"

enum {
        /* Starts that PID 1 has not got to a process yet, and stops that it has not answered: more of
         * them at a time do not make it faster (200 to 285 units a second), and others want to be heard,
         * too. */
        UNITS_IN_FLIGHT_MAX = 8,
        /* Units that are asked for at a time: a bus allows a connection so many calls without an answer
         * (dbus-daemon, of the system: 128), and each takes two. */
        UNITS_ASKED_MAX = 32,
        UNIT_CALL_USEC = 90 * 1000 * 1000,
        SYSTEMD_RETRY_MIN_USEC = 100 * 1000,
        SYSTEMD_RETRY_MAX_USEC = 5 * 1000 * 1000,
        TEMPLATE_CHECK_USEC = 5 * 1000 * 1000,
};

enum unit_state {
        UNIT_QUEUED,
        UNIT_CHECKING, /* of a template: is it fit? */
        UNIT_CALLING,  /* systemd has been asked to start it */
        UNIT_LOST,     /* and the connection was lost meanwhile */
        UNIT_ADOPTING, /* is it there, and is it the one? */
        UNIT_STARTING, /* its job is under way */
        UNIT_ACTIVE,
        UNIT_ENDING, /* it is down; its name is not free yet */
        UNIT_OVER,   /* that is to be told */
};

enum unit_activity { UNIT_DOWN, UNIT_UP, UNIT_GOING_DOWN };

/* What systemd has said of it last. */
struct unit_facts {
        enum unit_activity activity;
        bool activating, not_found, marked;
        bool unmet; /* Condition...= of it; then nothing is started, and that is no failure to systemd */
        char result[UNIT_RESULT_SIZE], job[64], invocation[33];
        int code, status;
        pid_t main_pid;
        uint64_t begun_usec; /* CLOCK_MONOTONIC */
        char status_text[UNIT_STATUS_SIZE];
};

struct systemd;

struct systemd_unit {
        struct list_node queue; /* of those that wait for their turn, or those that are over */
        struct list_node to_ask; /* of those that are to be asked for */
        struct systemd *systemd;
        char *name, *path, *mark;
        bool transient;              /* else an instance of a template */
        bool leaves;                 /* processes of it may go on when it is down */
        arbiter_message *properties; /* of a transient one that we start */
        const struct unit_events *events;
        void *userdata;
        enum unit_state state;
        bool in_flight;   /* counted among those that PID 1 has to do with */
        bool asked;       /* counted among those that are asked for */
        bool cleared;     /* what was left of another one of its name has been let go of */
        bool stop_wanted; /* by us */
        bool stop_called, told_process, told_stopping;
        bool foreign;      /* it goes down by a job of somebody else */
        bool foreign_life; /* another life is in its place: we stop that */
        char *job;         /* ours, which starts it */
        char *foreign_job; /* one of somebody else */
        unsigned check;    /* of a template: the question under way */
        unsigned n_queries;
        char invocation[33]; /* of the life that is ours */
        usec_t since;        /* of an adoption */
        struct unit_facts facts;
        struct unit_end end;
        char result[UNIT_RESULT_SIZE], *text; /* of end */
        sd_bus_slot *call, *stop_call, *queries[2];
};

struct systemd {
        arbiter *arbiter;
        sd_event *event;
        arbiter_bus kind;
        char *address; /* NULL: as the environment says */
        char *why_not; /* units cannot be had */
        char *trouble; /* why there is no connection, as told last */
        char *version; /* of systemd, for people; NULL: not known yet */
        sd_bus *bus;
        char *manager; /* its unique name on the bus; NULL: not known (yet) */
        bool direct; /* without a bus daemon: no names */
        bool bus_is_mute; /* it was there, and has not led to the manager */
        bool ready;  /* it answers, and tells us what happens */
        bool reloading; /* it forgets all that it knows, and reads it again: what it tells is not so */
        bool broken;
        bool compare; /* units were adopted: they are to be asked for */
        char *sweep_prefix, *sweep_mark; /* of what an arbiter before this one may have left; or NULL */
        bool sweep; /* asked for, and not begun yet */
        map *by_name, *by_path;
        struct list_node starts, stops, over, to_ask;
        unsigned n_in_flight, n_asked, n_units;
        usec_t delay;
        sd_event_source *again, *retry;
};

extern const struct unit_ops systemd_ops;

/* systemd.c. address NULL: as the environment says; else that of a socket of systemd's own. */
int systemd_new(arbiter *a, sd_event *event, arbiter_bus kind, const char *address, struct systemd **ret);
struct systemd *systemd_free(struct systemd *s);
DEFINE_CLEANUP(struct systemd *, systemd_free);
/* Runs the queue, and tells what is to be told, in a turn of its own. */
void systemd_again(struct systemd *s);
/* The calls on the manager. */
int systemd_new_call(struct systemd *s, const char *path, const char *interface, const char *method,
                sd_bus_message **ret);
int systemd_call(struct systemd *s, sd_bus_message *m, sd_bus_slot **ret_slot, sd_bus_message_handler_t done,
                void *userdata);
/* For people, of this manager: "systemctl" or "systemctl --user", and so on. */
const char *systemd_option(arbiter_bus kind);
/* A call of its manager; no answer is wanted. */
void systemd_tell(struct systemd *s, const char *method, const char *signature, ...);
/* It is not known whether the call was carried out / it was not: there is nobody to ask. */
bool systemd_is_unanswered(const sd_bus_error *e);
bool systemd_is_absent(const sd_bus_error *e);
/* The connection, or systemd behind it, is not there. */
void systemd_absent(struct systemd *s);

/* systemd-unit.c */
int systemd_unit_new(struct systemd *s, const struct unit_request *q, const struct unit_events *events,
                void *userdata, struct systemd_unit **ret);
struct systemd_unit *systemd_unit_free(struct systemd_unit *u);
DEFINE_CLEANUP(struct systemd_unit *, systemd_unit_free);
int systemd_unit_new_adopted(struct systemd *s, const struct unit_adoption *q,
                const struct unit_events *events, void *userdata, struct systemd_unit **ret);
/* Its turn in the queue. */
void systemd_unit_start(struct systemd_unit *u);
void systemd_unit_call_stop(struct systemd_unit *u);
void systemd_unit_stop(struct systemd_unit *u);
int systemd_unit_kill(struct systemd_unit *u, int signal, bool all);
void systemd_unit_forget(struct systemd_unit *u);
/* What the manager tells. */
void systemd_unit_job_new(struct systemd_unit *u, const char *job);
void systemd_unit_job_removed(struct systemd_unit *u, const char *job, const char *result);
void systemd_unit_removed(struct systemd_unit *u);
void systemd_unit_changed(struct systemd_unit *u);
/* Its job that starts it has ended; it runs; it is down; that is to be told; its name is free of what is
 * left. */
void systemd_unit_foreign_job_ended(struct systemd_unit *u);
void systemd_unit_start_job_ended(struct systemd_unit *u, const char *result);
void systemd_unit_set_active(struct systemd_unit *u);
void systemd_unit_set_over(struct systemd_unit *u);
void systemd_unit_clear(struct systemd_unit *u);
/* It is down, and would stay: so that somebody could look at what has failed, which we have; or since
 * processes of it go on. But the next one needs its name. */
void systemd_unit_let_go(struct systemd_unit *u);
/* Another life, begun by somebody else, is in its place. */
void systemd_unit_end_foreign_life(struct systemd_unit *u);
/* It has never run: why, in words (may be NULL for want of memory). */
void systemd_unit_fail(struct systemd_unit *u, const char *format, ...) _printf_(2, 3);
void systemd_unit_begin(struct systemd_unit *u);

/* systemd-settle.c: after an outage, what has become of it? */
bool systemd_unit_is_known(const struct systemd_unit *u); /* to systemd, as far as we know */
void systemd_unit_ask(struct systemd_unit *u); /* its turn has come */
void systemd_unit_stop_asking(struct systemd_unit *u);
/* What a list of units says of it. Asks if that is not what we know. */
void systemd_unit_compare(struct systemd_unit *u, const char *load_state, const char *active_state);

/* systemd-sweep.c: what nobody knows any more is stopped, when systemd can be asked. */
void systemd_sweep(void *systemd, const char *prefix, const char *mark);
/* As was asked for before, if ever: one has come to light. */
void systemd_sweep_again(struct systemd *s);
void systemd_sweep_begin(struct systemd *s);

/* systemd-properties.c: an a{sv} at the cursor. mark: what LogExtraFields= of ours says. */
int unit_facts_read(struct unit_facts *f, sd_bus_message *m, const char *mark);

/* systemd-template.c */
void systemd_template_check(struct systemd_unit *u);
