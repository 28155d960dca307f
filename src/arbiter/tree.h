/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Monitors of named, different children: include/arbiter/supervisor.h. What is decided is decided in
 * src/supervise, one set for each monitor; here is what lies between two sets, and who lives in which slot.
 *
 *   tree.c        the life of a monitor that is a child: begun by its parent's SPAWN, ended by its STOP, and
 *                 what it says of itself as events of its parent; verdicts, up to the root's
 *   tree-child.c  child specifications: added, removed, found, brought into accord with the set
 *   tree-adopt.c  what another arbiter has left of it
 *   tree-verb.c   what may be asked of a monitor about its children; tree-command.c by messages to its actor
 *
 * A monitor that is a child has one life after the other in its slot, each with an actor of its own; its set
 * lasts as long as its place. A life is over when all its children are down and its actor has ended, and
 * only then its parent hears of it. */

#include <arbiter/supervisor.h>

#include "basic/list.h"
#include "supervise/supervise.h"

struct set;
struct child;

enum { TREE_DEPTH_MAX = 32 }; /* of monitors in monitors: each level is some frames of the stack */

/* A child specification, in the list of its monitor. Exactly one of spawn and monitor. */
struct tree_child {
        struct list_node children;
        arbiter_monitor *parent;
        arbiter_spawn *spawn;
        arbiter_monitor *monitor;
        supervise_restart restart;
        bool significant, configured;
        bool removed; /* it is forgotten when it is down */
        nsec_t shutdown;
        uint64_t revision;
        uint32_t slot;             /* 0: it has no place in the set now */
        struct list_node removals; /* waiters.h: until it is forgotten */
        struct list_node stops;    /* waiters.h: until it is down; of a monitor */
        /* while another arbiter is taken over from */
        arbiter_future *promised; /* of its start */
        bool changed, over;       /* it is another description; it has ended for good */
};

/* Of each monitor. */
struct tree {
        struct list_node children; /* struct tree_child, in start order */
        struct tree_child *place;  /* its own in its parent; NULL: it is nobody's child */
        uint64_t life;             /* the generation that it has to its parent */
        bool alive;                /* between its parent's SPAWN and the report of its end */
        bool ending;               /* all are down; its actor is to end, and then `end` is told */
        bool abnormal;             /* its actor has ended by itself */
        bool unstarted;            /* it has failed, already in its start */
        supervise_event end;
        arbiter_failure_action failure_action;
        int exit_status;
        unsigned workers; /* of a pool that is a child: what it starts with */
        bool stand_in;    /* for one that is configured no more, until it is stopped */
};

/* tree.c */
bool monitor_is_pool(const arbiter_monitor *m);
/* The pool that it is a worker of, or NULL. */
arbiter_monitor *child_pool(const struct child *c);
void tree_init(struct tree *t, bool pool);
/* What a monitor that is a child is told by its parent's set. False: the slot has no monitor. */
bool tree_spawn(struct set *s, const supervise_action *action);
bool tree_stop(struct set *s, const supervise_action *action);
/* The action of a monitor's set is about what it is in the tree: true if that was all. */
bool tree_acted(arbiter_monitor *m, const supervise_action *action);
/* Its own actor has ended. False: it is nobody's child. */
bool tree_actor_ended(arbiter_monitor *m);
/* arbiter_monitor_restart() of one that does not roll: it is stopped as a whole, and then started again. */
int tree_restart(arbiter_monitor *m, arbiter_spawn *worker, arbiter_future **ret);
/* May it be started, scaled, or have its children restarted, or is that for its parent to decide? */
bool tree_is_up(const arbiter_monitor *m);
/* "running", "starting", "stopping", "failed", "stopped" */
const char *tree_state(const arbiter_monitor *m);
/* Its policy, as a monitor of children has it. */
int tree_make_set(arbiter_monitor *m);

/* tree-child.c */
struct tree_child *tree_find(arbiter *a, const char *name);
/* Of this monitor, and to stay. -EINVAL: there is no name, or no monitor; -ESHUTDOWN, -ENOENT. */
int tree_find_child(const arbiter_monitor *m, const char *name, struct tree_child **ret);
const char *tree_child_name(const struct tree_child *k);
/* Before a new life: those that were added at run time are forgotten, and those that are configured are
 * there again. */
void tree_renew(arbiter_monitor *m);
void tree_free_child(struct tree_child *k);
/* -EINVAL: what is said of it contradicts itself, or its monitor. */
int tree_read_spec(const arbiter_monitor *m, const arbiter_child_spec *spec, struct tree_child *k);
/* The slot is no more. */
void tree_forget_slot(struct set *s, uint32_t slot);
/* The monitor is no more: so are its children. */
void tree_dismiss(arbiter_monitor *m);
/* At the end, and without a place yet. References of its own. */
int tree_append(arbiter_monitor *m, arbiter_spawn *spawn, arbiter_monitor *child, struct tree_child **ret);
/* Those that are configured, and have no place, get one. */
void tree_add_missing(arbiter_monitor *m);
/* That of the set becomes that of the list: another arbiter had another. */
void tree_order(arbiter_monitor *m);
supervise_restart tree_restart_of(const struct tree_child *k);
/* It is down. */
void tree_child_is_down(struct tree_child *k);

/* tree-adopt.c, by adopt-set.c. With its set as it was left: who lives where. */
struct adoption;
int tree_adopt_set(struct adoption *x, arbiter_monitor *m);
/* And then its children that are monitors. */
int tree_adopt_children(arbiter_monitor *m);
void tree_resume(arbiter_monitor *m);
/* Does the monitor in this slot live, with this generation? */
bool tree_lives(const struct set *s, uint32_t slot, uint64_t generation);

/* tree-verb.c: as the public functions, by who has found it. ret is wanted, but by tree_remove(). */
int tree_remove(struct tree_child *k, arbiter_future **ret);
int tree_terminate(struct tree_child *k, arbiter_future **ret);
int tree_restart_child(struct tree_child *k, arbiter_future **ret);
/* A worker of a pool as its child, living or not. */
void tree_worker_info(const arbiter_monitor *m, uint32_t slot, const char *name, arbiter_child_info *ret);

/* tree-command.c: of a monitor's own actor */
int tree_on_which_children(arbiter_actor *a, arbiter_message *m, void *userdata);
int tree_on_count_children(arbiter_actor *a, arbiter_message *m, void *userdata);
int tree_on_add_child(arbiter_actor *a, arbiter_message *m, void *userdata);
int tree_on_remove_child(arbiter_actor *a, arbiter_message *m, void *userdata);
int tree_on_terminate_child(arbiter_actor *a, arbiter_message *m, void *userdata);
int tree_on_restart_child(arbiter_actor *a, arbiter_message *m, void *userdata);
