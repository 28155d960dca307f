/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Units of systemd as the arbiter sees them (Concurrency=unit): what it asks for, and what it is told.
 * Implemented by src/bus/systemd.c, which alone speaks to systemd; used by launch-unit.c. All of it is
 * asynchronous: nothing here waits, and no event but `begun` is told from within a call. */

#include <sys/types.h>

#include <arbiter/arbiter.h>

#include "basic/identity.h"
#include "basic/time-util.h"

enum {
        UNIT_NAME_SIZE = 256, /* systemd's UNIT_NAME_MAX, and a NUL */
        UNIT_RESULT_SIZE = 24,
        UNIT_STATUS_SIZE = 256,
};

/* One life of one unit: the implementation's. */
struct systemd_unit;

struct unit_request {
        const char *name;
        const char *mark; /* the one of its LogExtraFields= that no other unit has */
        /* Of a transient unit: "a(sv)", sealed. NULL: an instance of a template that is there already. */
        arbiter_message *properties;
        bool leaves; /* its KillMode= lets processes of it go on when it is down */
};

/* One that an arbiter before this one has asked for. */
struct unit_adoption {
        const char *name, *mark;
        bool transient; /* else an instance of a template */
        bool leaves;
        /* Of the life that is meant, as main_process() told it; "": that arbiter did not live to hear it. */
        const char *invocation_id;
        usec_t since_usec; /* CLOCK_MONOTONIC: the life cannot have begun before */
};

enum unit_wish { /* of somebody else: neither ours, nor the end of the program by itself */
        UNIT_WISH_NONE,
        UNIT_WISH_STOP,
        UNIT_WISH_RESTART,
};

struct unit_end {
        bool started;       /* a process of it has run, or may have */
        bool absent;        /* of an adoption: systemd has never heard of it, it may be started again */
        const char *result; /* Result= as systemd has it; "": systemd does not know it any more */
        int code, status;   /* of its main process: CLD_*, and exit code or signal; 0: none */
        enum unit_wish wish;
        const char *text; /* why it did not start, for people; or NULL */
};

/* Told from the loop. After `ended` there is no unit any more. */
struct unit_events {
        void (*begun)(void *userdata); /* its turn has come: systemd is asked */
        void (*main_process)(pid_t pid, const char *invocation_id, void *userdata);
        void (*started)(void *userdata); /* its job is done: it has sent READY=1, or has been executed */
        void (*status)(const char *text, void *userdata); /* its STATUS= */
        void (*stopping)(bool by_others, void *userdata); /* it goes down; by_others: by their wish */
        void (*ended)(const struct unit_end *e, void *userdata);
};

struct unit_ops {
        /* NULL: units can be had; else what is missing, for people. */
        const char *(*why_not)(void *systemd);
        /* The manager is that of the machine, not of a user. */
        bool (*is_of_system)(void *systemd);
        /* Queues a start: `begun` is told from within if it is its turn. The request is copied. */
        int (*start)(void *systemd, const struct unit_request *q, const struct unit_events *events,
                        void *userdata, struct systemd_unit **ret);
        /* The same for a unit that is there already, if it is the one that is meant: what has become of
         * it since then is told as if it had been started by start(), but for `begun`. Of a unit of that
         * name that is not the one it is told that it has ended, and nothing is done to it. The adoption
         * is copied. */
        int (*adopt)(void *systemd, const struct unit_adoption *q, const struct unit_events *events,
                        void *userdata, struct systemd_unit **ret);
        /* systemd stops it by the unit's own rules: KillSignal=, TimeoutStopSec=, SIGKILL. Idempotent. */
        void (*stop)(struct systemd_unit *u);
        /* all: every process of it, else the main one. */
        int (*kill)(struct systemd_unit *u, int signal, bool all);
        /* Nobody wants to hear of it any more; it is stopped if it runs. */
        void (*forget)(struct systemd_unit *u);
        /* Of which unit of this manager a process is, by its cgroup: only the manager puts it there.
         * -ENXIO: of none. Without asking anybody. */
        int (*unit_of)(void *systemd, pid_t pid, char **ret);
        /* Stops transient units of this prefix that bear this mark (a field of LogExtraFields=), and are
         * none of those that were started or adopted here: their arbiter is dead, and nothing is known of
         * them. */
        void (*sweep)(void *systemd, const char *prefix, const char *mark);
        /* None of its units is left. */
        void (*release_slice)(void *systemd, const char *slice);
        void (*free)(void *systemd);
};

/* unit-name.c: "arbiter-INSTANCE-MONITOR-N.service" in "arbiter-INSTANCE-MONITOR.slice", of a lone actor
 * "arbiter-INSTANCE-NAME.service" in "arbiter-INSTANCE.slice". name is the actor's, monitor NULL for a lone
 * one. -ENAMETOOLONG. */
int unit_name_of(const char *instance, const char *monitor, const char *name,
                char ret[static UNIT_NAME_SIZE]);
int unit_slice_of(const char *instance, const char *monitor, char ret[static UNIT_NAME_SIZE]);
/* "my-worker@.service" and "3": "my-worker@3.service". */
int unit_instance_of(const char *template, const char *instance, char ret[static UNIT_NAME_SIZE]);

/* What a Result= means, unless the arbiter knows better. running: it was; stopping: it was asked to. */
arbiter_reason unit_reason_of(const struct unit_end *e, bool running, bool stopping, int *ret_status);
