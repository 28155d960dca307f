/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the functional tests of actors share: an embedded arbiter, one module with a command for each thing
 * that an actor can do, and helpers that wait for events (never for time). Each test runs once for each
 * concurrency. */

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arbiter/arbiter.h>
#include <systemd/sd-event.h>

#include "test-util.h"

enum { DOWNS_MAX = 64, SENDERS_MAX = 256, GUARD_USEC = 30 * 1000 * 1000 };

/* In memory that forked actors share with the test. */
struct shared {
        _Atomic uint64_t ran, received, order_errors, held, second_reply, stages, downs, down_slots, exits,
                        exit_reason, work_ran, periodic;
        pid_t pid;
        _Atomic char journal[64]; /* the hooks, one letter each */
        _Atomic uint32_t n_journal;
        struct {
                uint64_t watch;
                uint32_t reason, generation;
                int status;
                char aid[16], name[80];
                uint32_t resolved; /* outcome of a request to the name, sent from the DOWN handler */
                uint64_t received;
        } down[DOWNS_MAX];
};

extern struct shared *shared;
extern _Atomic uint8_t *fixture_marks; /* of the command Mark */
extern int entered_fd[2],
                release_fd[2]; /* a handler says that it runs; and goes on when there is a byte to read */

struct fixture {
        arbiter *arbiter;
        arbiter_actor *root;
        struct sd_event *event;
        arbiter_concurrency kind;
        unsigned log_gave_up, log_replaced;
        int exit_code; /* what the arbiter returns in the end */
        const void *data; /* of the test */
};

struct result {
        arbiter_outcome outcome;
        arbiter_executed executed;
        uint32_t reason;
        int status;
        char name[128], text[512];
        int64_t value;
        bool has_name;
};

extern const arbiter_module fixture_module;

/* state: a pointer to a struct fixture_case before, to the fixture after. */
struct fixture_case {
        arbiter_concurrency kind;
        const void *data;
};
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Runs the tests once for each of the kinds. */
struct fixture_test {
        const char *name;
        void (*run)(void **state);
        unsigned kinds; /* 1 << ARBITER_CONCURRENCY_..., 0: all three */
        const void *data;
};
int fixture_run(const char *group, const struct fixture_test *tests, size_t n);
enum {
        ON_PROCESS = 1 << ARBITER_CONCURRENCY_PROCESS,
        ON_THREAD = 1 << ARBITER_CONCURRENCY_THREAD,
        ON_INLINE = 1 << ARBITER_CONCURRENCY_INLINE,
        ON_ONE = ON_INLINE, /* where the kind makes no difference */
};

arbiter_spawn *fixture_describe(struct fixture *x, const char *name);
/* Takes the spawn. */
arbiter_proxy *fixture_start(struct fixture *x, arbiter_spawn *s);
/* With "KEY=VALUE" parameters, ends with NULL. */
arbiter_proxy *fixture_spawn(struct fixture *x, const char *name, ...) __attribute__((sentinel));
arbiter_proxy *fixture_spawn_kind(struct fixture *x, const char *name, arbiter_concurrency kind);
void fixture_wait(struct fixture *x, arbiter_future *f);
/* Runs the loop until a byte comes from a handler. */
void fixture_entered(struct fixture *x);
void fixture_release(unsigned n);
/* Runs the loop until the counter has this value at least. What counts says so by a byte on entered_fd, or
 * is on this loop. */
void fixture_until(struct fixture *x, _Atomic uint64_t *counter, uint64_t value);
void fixture_until_gone(struct fixture *x, arbiter_proxy *p);
/* Everything that is ready now. */
void fixture_settle(struct fixture *x);

/* A request by the arbiter (via NULL), or by the actor via. Its commands have the signature x → x. */
arbiter_future *fixture_ask_start(struct fixture *x, const char *via, const char *target,
                const char *command, uint64_t timeout, int64_t value);
struct result fixture_ask_finish(struct fixture *x, const char *via, arbiter_future *f);
struct result fixture_ask(struct fixture *x, const char *via, const char *target, const char *command,
                uint64_t timeout, int64_t value);
/* Commands of the fixture's module that answer at once. */
int64_t fixture_do(struct fixture *x, const char *target, const char *command, int64_t value);
void fixture_tell_proxy(struct fixture *x, const char *target, const char *command, const arbiter_proxy *p);
void fixture_stop(struct fixture *x, const char *target);

/* Whose life it is now. */
arbiter_proxy *fixture_proxy_of(struct fixture *x, const char *target);
/* Until the name is running (again). */
void fixture_until_answers(struct fixture *x, const char *target);

/* For modules of the tests' own: a letter into the journal of the hooks; the commands "End", x → (exits for
 * that reason), and "Generation", x → x. */
void fixture_journal(char letter);
int fixture_on_end(arbiter_actor *a, arbiter_message *m, void *userdata);
int fixture_on_generation(arbiter_actor *a, arbiter_message *m, void *userdata);
/* What the journal of the hooks says, in a buffer that the next call uses, too. */
const char *fixture_read_journal(void);
void fixture_clear_journal(void);
/* Until it says so; then it is empty again. */
void fixture_until_journal(struct fixture *x, const char *journal);
void fixture_until_text(struct fixture *x, const char *text, const char *expected);
/* Of a module with a command "Generation". */
void fixture_until_generation(struct fixture *x, const char *target, uint32_t generation);
void fixture_until_counts(struct fixture *x, arbiter_monitor *m, unsigned specs, unsigned active);
void fixture_until_no_monitor(struct fixture *x, const char *name);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

#define assert_outcome(r, o, e)                                                                             \
        do {                                                                                                \
                struct result _q = (r);                                                                     \
                if (_q.outcome != (o) || _q.executed != (e))                                                \
                        fail_msg("%s: %s (%d), text '%s', not %s", #r,                                      \
                                        arbiter_outcome_to_string(_q.outcome), (int)_q.executed, _q.text,   \
                                        #o);                                                                \
        } while (0)
