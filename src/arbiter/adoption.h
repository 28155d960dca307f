/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking over from another arbiter: what its journal says, and what of it has not been taken up yet.
 * Exists between arbiter_start() and arbiter_adopt_done(), and only if there is something to take over.
 * adopt.c has the whole of it, adopt-kept.c the descriptors, adopt-read.c the journal, adopt-set.c monitors
 * and lone actors, adopt-child.c one life; adopt-decide.c decides.
 *
 * Until it is done nothing is carried out and nothing is removed from the journal: if this arbiter dies,
 * too, the next one finds what this one has found. */

#include <arbiter/adopt.h>

#include "arbiter/internal.h"
#include "arbiter/state.h"

/* A life that the journal has. */
struct orphan {
        struct list_node orphans; /* of its set */
        struct state_child s;
        struct child *child; /* once it is taken up, and until arbiter_adopt_done() at least */
        bool taken, killed, lives;
};

/* What supervise has to say of one slot. */
struct old_slot {
        struct list_node slots;
        uint32_t slot;
        size_t size;
        uint8_t data[];
};

/* A set: of a monitor, or the root set. */
struct legacy {
        struct list_node legacies;
        struct state_monitor s; /* "": root */
        struct list_node slots, orphans;
        arbiter_monitor *monitor; /* that has it now */
        bool taken, changed, unwanted;
        uint32_t wanted; /* workers, if the configuration says another number than it did */
};

/* What the root set runs in a slot. */
struct vacancy {
        struct list_node vacancies;
        struct state_place s;
        struct state_spawn spawn;
        bool taken, changed, unwanted;
};

/* What a slot of a monitor of different children runs. */
struct old_child {
        struct list_node children;
        struct state_tree_child s;
};

struct rest {
        struct state_rest s;
        bool configured; /* it still is */
};

struct adoption {
        arbiter *arbiter;
        uint32_t version;
        map *orphans; /* by aid */
        map *lone;    /* those of the root set, by slot */
        struct list_node legacies;
        map *legacies_by_name;
        struct legacy root;
        struct list_node vacancies;
        map *vacancies_by_name;
        struct list_node children; /* struct old_child, in start order */
        map *rests; /* struct rest, by name: what is over, though it may be configured */
        struct list_node spawns; /* struct made_spawn: lives alike share one */
        bool was_stopping;       /* the arbiter that left all this */
        arbiter_adoption report;
};

/* Is there anything left to be taken up? */
static inline bool adopt_is_under_way(const arbiter *a) {
        return a->adoption;
}

/* By arbiter_start(), before its root set is started: what there is only once, and the root set. 1: there is
 * a root set, which runs. */
int adopt_begin(arbiter *a);
void adopt_free(struct adoption *x);

/* By arbiter_monitor_start(), with its set made: 1 if there was one of its name, whose set it has now.
 * actor: the aid of its own actor, or null. */
int adopt_monitor(arbiter_monitor *m, unsigned workers, aid *ret_actor);
/* And when its actor is there. */
int adopt_workers(arbiter_monitor *m);
/* It was stopped by somebody, or has ended for good: it is not started only because this arbiter is new. */
bool adopt_is_over(arbiter *a, const char *name, bool monitor);
/* By spawn_start_as(): 1 if there was a lone actor of this name, which goes on. */
int adopt_lone(arbiter_spawn *s, arbiter_future **ret);
/* f is that of a start: of this one, which may run already. */
int adopt_promise_life(struct child *c, arbiter_future *f);

/* adopt-kept.c. What was kept of one life; -EBADF: nothing. Of control links there are several if an
 * arbiter died while it made a new one (see relink.h). Whoever uses one puts -EBADF in its place. */
enum { KEPT_LINKS_MAX = 1024 };
struct kept {
        aid id;
        int pidfd, notify_fd;
        struct kept_link {
                unsigned number;
                int fd;
        } *links; /* by number */
        size_t n_links;
};
/* Its control link of this number is not worth being kept any more. */
void adopt_forget_link(arbiter *a, const aid *id, unsigned number);
struct kept *adopt_kept(arbiter *a, const aid *id);
/* What nobody needs is kept no more. */
void adopt_forget_kept(arbiter *a);
void adopt_free_kept(arbiter *a);

/* adopt-read.c. The arbiter's own entry; all others but the relations, which are between lives that are
 * there. */
void adopt_restore_arbiter(arbiter *a, const struct state_arbiter *s);
int adopt_read(struct adoption *x);
void adopt_restore_relations(struct adoption *x);
void adopt_init_legacy(struct legacy *l);

/* adopt-set.c */
int adopt_root(struct adoption *x);
/* What nobody has claimed. */
void adopt_rest(struct adoption *x);
/* What the sets want done goes on. */
void adopt_resume(struct adoption *x);

/* adopt-child.c */
int adopt_child(struct adoption *x, struct orphan *o, arbiter_spawn *base, struct set *set);
/* Is nobody's: it is killed, and forgotten. */
void adopt_discard(struct adoption *x, struct orphan *o);
/* The stage of its stop was decided by an arbiter that may not have come to carry it out. */
void adopt_stop_again(struct child *c);
/* What lives are started from, as the journal has it. base (may be NULL) is what is configured in its place:
 * *ret is that if both are alike. Where it cannot be made, e.g. because it needs a base, it is a description
 * that is good for stopping alone. */
bool adopt_spawn_is_same(struct adoption *x, const struct state_key *key, arbiter_spawn *base);
int adopt_spawn(struct adoption *x, const struct state_key *key, arbiter_spawn *base, arbiter_spawn **ret);
/* Lives can be started from it. */
bool adopt_spawn_is_whole(struct adoption *x, const struct state_key *key, arbiter_spawn *base);
void adopt_free_spawns(struct adoption *x);
int adopt_find_spawn(struct adoption *x, const struct state_key *key, struct state_entry *ret);
