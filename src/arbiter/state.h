/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the state journal (state-journal.h) says: one kind of entry for each kind of thing that an arbiter
 * has decided and its successor must know. This is the schema, and the pure way from structs to entries
 * and back (state-entry.c; state-spawn.c for spawns). state.c keeps the entries as things change.
 *
 * Meaning. The entries are what was decided, not what was carried out: they are committed before the
 * effect. So of each of them the effect may be missing (a child that was never forked, a SIGKILL that was
 * never sent), never the other way round: what runs without an entry is not ours, or of a life that was
 * over. Things that are derived are not written: supervise's actions come from supervise_resume(). Nor is
 * what each actor knows best, and tells the next arbiter anew (relink.h): its commands, its watches and
 * its direct links. What is known of one and the same life in two entries agrees, because they were
 * written in one transaction; but a link or a hosted thread may name a child that has none any more: its
 * end was committed in the midst of the news of it, and whoever is left is to be told, by STATE_DEAD_AID
 * of how it ended.
 *
 * Order. state_journal_next() gives each kind in the order in which its entries came to be: children and
 * monitors in start order, deaths and notices oldest first.
 *
 * Times are CLOCK_MONOTONIC in microseconds, USEC_INFINITY for none, as in struct child; those of
 * supervise are its own. Nothing survives a boot.
 *
 * Versions. STATE_VERSION is in the arbiter's entry, which is decoded first, and counts for all entries:
 * an older one is read (decoding is given the version), a newer one is refused. A new field goes to the
 * end of its entry with the version that has it; a field's meaning never changes.
 * tests/unit/state-journal-N is a journal as version N writes it.
 *
 * Decoding believes nothing: -EBADMSG for what no encoder would have written. It says nothing about the
 * entries together: that a monitor exists, that a pid lives. Structs hold all they say, nothing is
 * borrowed, except where it says so. */

#include <arbiter/spawn.h>

#include "arbiter/state-journal.h"
#include "basic/identity.h"
#include "basic/siphash.h"
#include "basic/time-util.h"

#define STATE_VERSION 2U

/* Numbers are for ever. */
enum state_kind {
        STATE_ARBITER = 1,  /* one: what there is only once */
        STATE_NAME = 2,     /* by name: what outlives the lives of a name */
        STATE_DEAD_AID = 3, /* by its place in a ring: no aid twice, and how that life ended */
        STATE_DEATH = 4,    /* by number: the last deaths of all, for people */
        STATE_SPAWN = 5,    /* by what it says: the description that lives are started from */
        STATE_CHILD = 6,    /* by aid: a life */
        STATE_MONITOR = 7,  /* by name */
        STATE_SET = 8,      /* by monitor: supervise's head of the set, and sums for the metrics */
        STATE_SLOT = 9,     /* by monitor and number: supervise's entry of a slot */
        STATE_PLACE = 10,   /* by number: what a slot of the root set runs */
        STATE_LINK = 11,    /* by both aids: one ends with the other */
        /* by number: an end that somebody, who had a link to it, may not have been told */
        STATE_EXIT = 12,
        STATE_REST = 13,    /* by name: what is configured, and is over all the same */
        /* by monitor and number: what a slot of a monitor of different children runs; version 2 */
        STATE_TREE_CHILD = 14,
        _STATE_KIND_MAX,
};

enum {
        STATE_REASONS = 32, /* room for reasons to come */
        STATE_TEXT_MAX = 256,
        STATE_FAILURE_MAX = 512,
        STATE_LEAF_MAX = 256, /* a directory's name, NUL included */
        STATE_UNIT_MAX = 256,
        STATE_TOKEN_MAX = 65,
        STATE_INVOCATION_MAX = 33,
        STATE_SUPERVISE_MAX = 8448,
        STATE_DEAD_AIDS = 1024, /* of the last that died */
        STATE_DEFINITIONS_MAX = 8,
};

/* An entry to be: what state_journal_put() takes. */
struct state_record {
        uint8_t kind;
        size_t key_size, value_size;
        uint8_t key[STATE_KEY_MAX];
        uint8_t value[STATE_SUPERVISE_MAX + 1024];
};

/* The key of an entry that is known by what it says. All zero: none. */
struct state_key {
        uint64_t k[2];
};

static inline bool state_key_is_null(const struct state_key *k) {
        return k->k[0] == 0 && k->k[1] == 0;
}
static inline bool state_key_equal(const struct state_key *a, const struct state_key *b) {
        return a->k[0] == b->k[0] && a->k[1] == b->k[1];
}

struct state_arbiter {
        uint32_t version;         /* of the schema; encoded is always STATE_VERSION */
        uint32_t takeovers;       /* how many arbiters have had this state before the one that wrote it */
        pid_t pid;                /* of that one */
        char instance[STATE_TEXT_MAX];
        bool stopping, settled;   /* arbiter_stop() is under way; the first starts have had their outcome */
        int exit_code;            /* of that stop */
        struct siphash_key id_key; /* state_key is made with it, and ids of requests */
        uint64_t seed, age_counter, leaf_counter, exit_counter, death_counter;
        uint32_t next_dead_aid;   /* in the ring */
        usec_t started_usec;      /* the first of them all */
        uint64_t started_realtime_usec;
        uint64_t restarts, deaths, dead_letters, deaths_by[STATE_REASONS];
};

struct state_name {
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation; /* the last one given */
        arbiter_reason reason; /* how the last one that has ended did */
        int status;
};

struct state_dead_aid {
        uint32_t index;
        aid id, spawner; /* the latter may be null */
        arbiter_reason reason;
        int status;
};

struct state_death {
        uint64_t serial; /* rising */
        char name[QUALIFIED_NAME_SIZE];
        char monitor[NAME_MAX_LENGTH + 1]; /* "": a lone actor */
        uint64_t when_usec, lifetime_usec; /* CLOCK_REALTIME; a duration */
        aid id;
        uint32_t generation;
        pid_t pid;
        arbiter_reason reason;
        int status;
};

enum state_role {
        STATE_ROLE_LONE,    /* in the root set, slot */
        STATE_ROLE_WORKER,  /* of a monitor, slot */
        STATE_ROLE_MONITOR, /* the monitor's own actor, which was inline and went with the arbiter */
        STATE_ROLE_HOST,    /* runs threads: of the monitor, or of a lone actor if that is "" */
        _STATE_ROLE_MAX,
};

/* Committed before the process is forked, the unit is asked for, or the token is given away; then again with
 * what is known of it (pid), and before each step of its stop. */
struct state_child {
        aid id;
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        uint64_t age;
        enum state_role role;
        char monitor[NAME_MAX_LENGTH + 1];
        uint32_t slot;
        uint64_t set_generation; /* supervise's, of its slot */
        aid spawner, payer;      /* or null */
        aid host;                /* of a thread in arbiter-host; or null */
        struct state_key spawn;  /* STATE_SPAWN, as prepared for this life; null: a monitor's actor */

        arbiter_concurrency concurrency;
        arbiter_state state;
        bool plain, welcomed, link_lost, culprit;
        uint8_t policy; /* arbiter_mailbox_policy, which its start hook may have chosen */
        uint32_t uid;   /* whose it is; UINT32_MAX: the arbiter's own user */

        pid_t pid;      /* 0: not forked, or not known yet: look into the leaf, or ask systemd */
        bool own_group; /* leads a process group */
        char leaf[STATE_LEAF_MAX];             /* its cgroup below the arbiter's root, or "" */
        char unit[STATE_UNIT_MAX];             /* or "" */
        char invocation[STATE_INVOCATION_MAX]; /* of the unit, once systemd has said it */
        char token[STATE_TOKEN_MAX]; /* somebody else starts it; it has not come yet */
        char notify[STATE_TEXT_MAX]; /* its NOTIFY_SOCKET, or "" */

        /* 0: does not run yet; else, of one that is starting: only its start probe is missing */
        usec_t created_usec, started_usec;
        usec_t start_until, stop_until;    /* the timers that are armed */
        usec_t watchdog_usec;              /* 0: off */
        uint8_t stop_stage;                /* enum child_stop_stage */
        bool stage_done;                   /* what that stage is for was sent */
        bool reason_set, closed;
        arbiter_reason reason; /* decided before the process tells */
        int closed_code;
        bool ended; /* it is dead, and this is how; its zombie may be gone */
        arbiter_reason end_reason;
        int end_status;
        arbiter_reason last_reason; /* of the life before */
        int last_status;

        uint64_t spawn_tokens, dead_letters;
        usec_t spawn_tokens_usec;
        char status[STATE_TEXT_MAX]; /* STATUS=, cut */
        char failure[STATE_FAILURE_MAX]; /* why its start has failed, in words, or "" */
        bool ignored;                    /* version 2: it has said that it is not needed */
};

struct state_monitor {
        char name[NAME_MAX_LENGTH + 1];
        uint32_t workers, configured; /* wanted; the number that it was started with */
        uint64_t revision;
        bool stopping, failed;
        struct state_key worker; /* STATE_SPAWN: what the next worker is started from */
        aid actor, host;         /* or null */
        /* version 2: what a roll goes from and to, by supervise's revisions; before: `worker` alone */
        size_t n_definitions;
        struct state_definition {
                uint64_t revision;
                struct state_key spawn;
        } definitions[STATE_DEFINITIONS_MAX];
};

struct state_set {
        char monitor[NAME_MAX_LENGTH + 1]; /* "": root */
        uint64_t restarts, starts, deaths[STATE_REASONS];
        usec_t start_usec, cpu_usec; /* the latter of the dead */
        size_t size;
        uint8_t head[STATE_SUPERVISE_MAX]; /* for supervise_decode_begin() */
};

struct state_slot {
        char monitor[NAME_MAX_LENGTH + 1];
        uint32_t slot;
        size_t size;
        uint8_t data[STATE_SUPERVISE_MAX]; /* for supervise_decode_slot() */
};

struct state_place {
        uint32_t slot;
        struct state_key spawn;
        aid wanted;  /* of the next life; null: any. Somebody may ask for it by await_spawn */
        aid spawner; /* or null */
        bool transient; /* made at run time, not by the program's own arbiter_spawn_start() */
};

struct state_tree_child {
        char monitor[NAME_MAX_LENGTH + 1], name[NAME_MAX_LENGTH + 1];
        uint32_t slot;
        bool is_monitor;        /* of which STATE_MONITOR and STATE_SET tell; else: */
        struct state_key spawn; /* null: a monitor */
        aid wanted;             /* as of a place */
        bool configured;        /* not made at run time */
};

/* A monitor that was stopped, or a lone actor that has ended for good, though the configuration has it: who
 * takes over must not start it only because it is not there. */
struct state_rest {
        char name[NAME_MAX_LENGTH + 1];
        bool monitor;
};

/* Of each link there are two, one each way. */
struct state_link {
        aid target, owner;
};

/* Told at least once: what was sent may have got lost with the arbiter until its link was flushed. Receivers
 * drop what they know. */
struct state_exit {
        uint64_t serial;
        aid to;
        aid id;
        char name[QUALIFIED_NAME_SIZE]; /* or "" */
        uint32_t generation;
        arbiter_reason reason;
        int status;
};

/* Never fail: the caller has kept the limits (longer text is cut). */
void state_encode_arbiter(const struct state_arbiter *s, struct state_record *ret);
void state_encode_name(const struct state_name *s, struct state_record *ret);
void state_encode_dead_aid(const struct state_dead_aid *s, struct state_record *ret);
void state_encode_death(const struct state_death *s, struct state_record *ret);
void state_encode_child(const struct state_child *s, struct state_record *ret);
void state_encode_monitor(const struct state_monitor *s, struct state_record *ret);
void state_encode_set(const struct state_set *s, struct state_record *ret);
void state_encode_slot(const struct state_slot *s, struct state_record *ret);
void state_encode_place(const struct state_place *s, struct state_record *ret);
void state_encode_tree_child(const struct state_tree_child *s, struct state_record *ret);
void state_encode_rest(const struct state_rest *s, struct state_record *ret);
void state_encode_link(const struct state_link *s, struct state_record *ret);
void state_encode_exit(const struct state_exit *s, struct state_record *ret);

/* 0 or -EBADMSG; of the arbiter also -EPROTONOSUPPORT. version: the arbiter's entry's. */
int state_decode_arbiter(const struct state_entry *e, struct state_arbiter *ret);
int state_decode_name(const struct state_entry *e, uint32_t version, struct state_name *ret);
int state_decode_dead_aid(const struct state_entry *e, uint32_t version, struct state_dead_aid *ret);
int state_decode_death(const struct state_entry *e, uint32_t version, struct state_death *ret);
int state_decode_child(const struct state_entry *e, uint32_t version, struct state_child *ret);
int state_decode_monitor(const struct state_entry *e, uint32_t version, struct state_monitor *ret);
int state_decode_set(const struct state_entry *e, uint32_t version, struct state_set *ret);
int state_decode_slot(const struct state_entry *e, uint32_t version, struct state_slot *ret);
int state_decode_place(const struct state_entry *e, uint32_t version, struct state_place *ret);
int state_decode_tree_child(const struct state_entry *e, uint32_t version, struct state_tree_child *ret);
int state_decode_rest(const struct state_entry *e, uint32_t version, struct state_rest *ret);
int state_decode_link(const struct state_entry *e, uint32_t version, struct state_link *ret);
int state_decode_exit(const struct state_entry *e, uint32_t version, struct state_exit *ret);

/* The keys alone, for who removes an entry. Each returns its size. */
size_t state_set_key(const char *monitor, uint8_t ret[static STATE_KEY_MAX]);
size_t state_slot_key(const char *monitor, uint32_t slot, uint8_t ret[static STATE_KEY_MAX]);
size_t state_link_key(const struct state_link *s, uint8_t ret[static STATE_KEY_MAX]);
size_t state_number_key(uint64_t n, unsigned n_bytes, uint8_t ret[static STATE_KEY_MAX]);

/* Spawns (state-spawn.c). Everything that setters have set, but for what only means something in one
 * process: descriptors (listening sockets, output) and functions (a module of the program, which is kept by
 * name, and prepare). Those a decoded spawn has from `base`, the definition that it is an instance of, or
 * the worker that is configured now. */
struct state_spawn {
        struct state_key key;
        char name[NAME_MAX_LENGTH + 1];
        char definition[NAME_MAX_LENGTH + 1]; /* it is an instance of that, or that itself */
        char module[STATE_TEXT_MAX];          /* of the program, or "": it needs a base with that module */
        uint64_t fingerprint;                 /* arbiter_spawn_set_fingerprint() */
};
/* To be freed. */
int state_encode_spawn(const arbiter_spawn *s, uint8_t **ret, size_t *ret_size);
/* -E2BIG: it is more than one entry holds, which would be in the way of all others. */
int state_check_spawn(const arbiter_spawn *s);
/* What it is about, without making it. */
int state_peek_spawn(const struct state_entry *e, uint32_t version, struct state_spawn *ret);
/* base may be NULL. -ENOENT: it needs one, or one with another module. */
int state_decode_spawn(arbiter *a, const struct state_entry *e, uint32_t version, arbiter_spawn *base,
                arbiter_spawn **ret);
/* Would lives of it be alike? By fingerprints if both have one, else by all that is encoded but the name. */
bool state_spawn_same(const arbiter_spawn *a, const arbiter_spawn *b);
