/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests of re-adoption: the test is the keeper. It starts an arbiter program (itself, as "PROGRAM
 * arbiter"), holds what that has kept, kills it, and starts the next one with it. Workers are this
 * program, too ("PROGRAM worker" and others); they outlive the arbiter as children of the test, which
 * reaps them. Nobody waits for time: what changes is told, and looked at again. */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <arbiter/arbiter.h>

#include "basic/fd.h"
#include "basic/list.h"
#include "test-util.h"

enum { LINE_SIZE = 512, ROWS_MAX = 1024, GUARD_SECONDS = 120 };

/* In memory that workers share with the test. */
struct shared {
        /* of requests between workers: each sent has one outcome, and one that was not executed did not
         * run */
        _Atomic uint64_t sent, replied, not_executed, unknown, wrong, ran;
        _Atomic uint64_t loaded; /* workers that have stopped sending, and wait for nothing */
        _Atomic bool pause;
        _Atomic uint64_t starts; /* of processes, whatever they are */
        _Atomic uint64_t exits_heard;
};
extern struct shared *shared;

struct kept_fd {
        struct list_node kept;
        char name[64];
        int fd;
};

struct program {
        pid_t pid;
        int pidfd, fd; /* fd: to it */
        struct list_node kept;
        unsigned n_kept;
        int state_fd;
        char config[4096];
        const char *cgroup;
        /* of the thread that reads what it says */
        pthread_t reader;
        bool reading;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        char (*lines)[LINE_SIZE]; /* of the answer that is awaited */
        size_t n_lines;
        _Atomic bool answered, gone;
        uint64_t n_events, n_answers;
        int first_answer; /* since n_answers was made 0 */
};

struct row {
        char name[80], aid[16], state[16];
        unsigned generation;
        int pid;
};

/* What the two say to each other, with a descriptor (fd >= 0) or without. Waits for room. */
ssize_t program_send(int socket, const char *message, int fd);

/* config: lines as adopt-program.c reads them. */
void program_init(struct program *p, const char *config);
/* Starts the next one; answers what arbiter_adopt_done() has reported. */
void program_start(struct program *p, arbiter_adoption *ret);
void program_spawn(struct program *p);
void program_greet(struct program *p, arbiter_adoption *ret);
/* While it is traced: all it needs, and so many questions, so that it always has something to do. */
void program_greet_traced(struct program *p, unsigned n_lists);
/* SIGKILL; nothing of it is left when it returns, but for what is kept. */
void program_kill(struct program *p);
/* It is asked to stop all, and ends; all is gone by then. */
void program_stop(struct program *p);
void program_done(struct program *p);

/* Tells it something, and does not wait for the answer. */
void program_tell(struct program *p, const char *text);
/* Asks it something; the answer's lines are in p->lines until the next time. 0, or what it has failed
 * with. */
int program_ask(struct program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t program_list(struct program *p, struct row *ret);
bool program_find(struct program *p, const char *name, struct row *ret);
/* Looks again each time that something has changed, until it is so. */
void program_until(struct program *p, bool (*is_so)(struct program *p, void *userdata), void *userdata);
void program_until_running(struct program *p, const char *name, struct row *ret);
/* All of n lives in their states "running", nothing else about. */
void program_until_settled(struct program *p, unsigned n);
/* What is in the list is in the cgroup, and nothing besides. */
void program_until_alone(struct program *p);
void program_until_gone(struct program *p, const char *name);
/* Until this life is over. */
void program_until_gone_or_new(struct program *p, const struct row *life);
/* What the keeper has: so that something can be lost. */
bool program_lose(struct program *p, const char *name);

void kill_and_wait(int pid);
/* The cgroup for all of this, or NULL: there are none to be had. */
const char *make_test_cgroup(void);
void remove_test_cgroup(void);
/* Processes in it. */
unsigned count_processes(void);

#define assert_row_equal(a, b)                                                                              \
        do {                                                                                                \
                const struct row *_a = (a), *_b = (b);                                                      \
                assert_string_equal(_a->name, _b->name);                                                    \
                assert_string_equal(_a->aid, _b->aid);                                                      \
                assert_int_equal(_a->generation, _b->generation);                                           \
                assert_int_equal(_a->pid, _b->pid);                                                         \
        } while (0)

/* adopt-program.c: main() of what the test starts; returns if it was not asked for. */
void run_program(int argc, char *argv[]);
