/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Arbiters that die and are replaced: the test is the keeper. Each arbiter but the last is a process of its
 * own (a fork of the test), which runs a script, is killed, and leaves what it had kept; the last one runs
 * in the test. Actors are forks of the first arbiter, and tell by shared memory what they have seen. Taking
 * over is by hand here: it is the control link that is tested, not adoption. */

#include <stdatomic.h>

#include <arbiter/arbiter.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "basic/time-util.h"
#include "test-util.h"

enum { GATES = 8, RESULTS = 64, ACTORS = 64, KEPT = 256, GUARD_USEC = 30 * 1000 * 1000 };

struct board {
        /* an actor in "block" says that it is there, and waits for its gate to open */
        _Atomic uint32_t entered[GATES], open[GATES];
        struct {
                _Atomic uint32_t n; /* how often there was an outcome */
                uint32_t outcome, executed;
                char text[160];
        } result[RESULTS];
        struct {
                _Atomic uint32_t n;
                uint32_t reason;
                int status;
        } down[GATES], exits;
        _Atomic uint32_t received, order_errors, served, asked, changes, locked;
        struct {
                char name[64];
                char aid[AID_SIZE + 1];
                uint32_t generation;
                pid_t pid;
        } actors[ACTORS];
        uint32_t n_actors;
};
extern struct board *board;
extern const char *host_program, *module_file; /* set by a test that has them */

/* The keeper. */
struct kept {
        char name[64];
        int fd;
};
extern struct kept kept[KEPT];
extern unsigned n_kept;
void forget_all_kept(void);
/* How many control links of this actor are kept. */
unsigned count_kept_links(const char *actor);

/* One arbiter. */
struct stage {
        arbiter *arbiter;
        arbiter_actor *root;
        pid_t pid;  /* of its process; 0: it is the test's */
        int socket; /* between the two */
        bool slow_keeper; /* it only promises, until somebody calls arbiter_kept() */
        unsigned promised;
};

/* Runs the script in a process of its own, and returns when that has come to its end; the arbiter runs
 * on. */
void stage_begin(struct stage *s, void (*script)(struct stage *s));
void stage_kill(struct stage *s);
/* In this process. */
void stage_begin_here(struct stage *s);
/* Stops what runs, and is no more. */
void stage_end_here(struct stage *s);

/* In an arbiter's own process. */
arbiter_spawn *stage_describe(struct stage *s, const char *name);
void stage_spawn(struct stage *s, const char *name);
/* The same for one of the module file: alone in a process by arbiter-host, or a thread of such a one. */
arbiter_spawn *stage_describe_file(struct stage *s, const char *name, arbiter_concurrency c);
void stage_start(struct stage *s, arbiter_spawn *spawn);
/* Has the next arbiter know it; stage_spawn() does. */
void stage_note(struct stage *s, const char *name);
struct child *stage_adopt(struct stage *s, const char *name);
/* A thread of a host that is adopted already. */
struct child *stage_adopt_host(struct stage *s, const char *name);
struct child *stage_adopt_thread(struct stage *s, const char *name, struct child *host);
/* One that has not come to run yet. */
struct child *stage_adopt_starting(struct stage *s, const char *name, const char *spawner, bool welcomed);
void stage_tell(struct stage *s, const char *name, const char *command, const char *signature, ...);
int64_t stage_ask(struct stage *s, const char *name, const char *command, int64_t value);
void stage_turn(struct stage *s, uint64_t end);
struct child *stage_child(struct stage *s, const char *name);
/* Runs the loop until something is so. */
#define UNTIL(s, condition)                                                                                 \
        do {                                                                                                \
                uint64_t _end = now_usec() + GUARD_USEC;                                                    \
                while (!(condition)) {                                                                      \
                        if (now_usec() > _end)                                                              \
                                fail_msg("%s:%d: not so in %d s: %s", __FILE__, __LINE__,                   \
                                                (int)(GUARD_USEC / 1000000), #condition);                   \
                        stage_turn(s, _end);                                                                \
                }                                                                                           \
        } while (0)

/* The actors: commands Join (and watch it), Lock, Ask, Spawn, Watch, Link, Block, Quit, Exit, Sequence,
 * Burst, Echo. */
extern const arbiter_module relink_module;
/* The arbiter's own: Hold never answers. */
extern const arbiter_module arbiter_module_of_test;
void open_gate(unsigned n);
/* While there is no arbiter: until an actor has counted so far. */
void wait_for(_Atomic uint32_t *counter, uint32_t value);

int relink_run(const char *group, const struct CMUnitTest *tests, size_t n);
#define RELINK_RUN(group, tests) relink_run(group, tests, sizeof(tests) / sizeof((tests)[0]))
