/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Entries of the state journal for tests: an example of each kind, and any entry decoded and encoded
 * again. */

#include "arbiter/state.h"

/* 0 or the decoder's error. STATE_SPAWN is not made of a struct: -EOPNOTSUPP. */
static inline int state_entry_again(const struct state_entry *e, uint32_t version,
                struct state_record *ret) {
        static union {
                struct state_arbiter arbiter;
                struct state_name name;
                struct state_dead_aid dead_aid;
                struct state_death death;
                struct state_child child;
                struct state_monitor monitor;
                struct state_set set;
                struct state_slot slot;
                struct state_place place;
                struct state_tree_child tree_child;
                struct state_rest rest;
                struct state_link link;
                struct state_exit exit;
        } s;
        int r;

#define AGAIN(KIND, what)                                        \
        case KIND:                                               \
                r = state_decode_##what(e, version, &s.what);    \
                if (r >= 0)                                      \
                        state_encode_##what(&s.what, ret);       \
                return r

        switch (e->kind) {
        case STATE_ARBITER:
                r = state_decode_arbiter(e, &s.arbiter);
                if (r >= 0)
                        state_encode_arbiter(&s.arbiter, ret);
                return r;
        AGAIN(STATE_NAME, name);
        AGAIN(STATE_DEAD_AID, dead_aid);
        AGAIN(STATE_DEATH, death);
        AGAIN(STATE_CHILD, child);
        AGAIN(STATE_MONITOR, monitor);
        AGAIN(STATE_SET, set);
        AGAIN(STATE_SLOT, slot);
        AGAIN(STATE_PLACE, place);
        AGAIN(STATE_TREE_CHILD, tree_child);
        AGAIN(STATE_REST, rest);
        AGAIN(STATE_LINK, link);
        AGAIN(STATE_EXIT, exit);
        default:
                return -EOPNOTSUPP;
        }
#undef AGAIN
}

static const struct state_arbiter EXAMPLE_ARBITER = {
        .takeovers = 3,
        .pid = 123,
        .instance = "sh\xc3\xb6p",
        .stopping = true,
        .settled = true,
        .exit_code = -2,
        .id_key = { 0x0102030405060708, 0x1112131415161718 },
        .seed = 5,
        .age_counter = 6,
        .leaf_counter = 8,
        .exit_counter = 9,
        .death_counter = 10,
        .next_dead_aid = 11,
        .started_usec = 12,
        .started_realtime_usec = 1700000000000000,
        .restarts = 14,
        .deaths = 15,
        .dead_letters = 16,
        .deaths_by = { [0] = 1, [14] = 2 },
};
static const struct state_name EXAMPLE_NAME = { "web.3", 9, ARBITER_REASON_SIGNAL, 11 };
static const struct state_dead_aid EXAMPLE_DEAD_AID = { 65535, { "deadbee0" }, { "spawner0" },
                ARBITER_REASON_EXIT_CODE, -1 };
static const struct state_death EXAMPLE_DEATH = {
        .serial = UINT64_MAX,
        .name = "web.3",
        .monitor = "web",
        .when_usec = 1,
        .lifetime_usec = 2,
        .id = { "abcdefgh" },
        .generation = 3,
        .pid = 4,
        .reason = ARBITER_REASON_OOM_KILL,
        .status = 9,
};
static const struct state_child EXAMPLE_CHILD = {
        .id = { "abcdefgh" },
        .name = "lone",
        .generation = 1,
        .slot = 1,
        .spawn = { { 1, 2 } },
        .start_until = USEC_INFINITY,
};
static const struct state_child EXAMPLE_FULL_CHILD = {
        .id = { "12345678" },
        .name = "web.3",
        .generation = 7,
        .age = 8,
        .role = STATE_ROLE_WORKER,
        .monitor = "web",
        .slot = 3,
        .set_generation = 10,
        .spawner = { "spawner0" },
        .payer = { "payer000" },
        .host = { "host0000" },
        .spawn = { { 11, 12 } },
        .concurrency = ARBITER_CONCURRENCY_UNIT,
        .state = ARBITER_STATE_STOPPING,
        .plain = true,
        .welcomed = true,
        .link_lost = true,
        .culprit = true,
        .policy = 3,
        .uid = UINT32_MAX,
        .pid = 4711,
        .own_group = true,
        .leaf = "web.3.12345678",
        .unit = "arbiter-shop-web-3.service",
        .invocation = "0123456789abcdef0123456789abcdef",
        .token = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .notify = "@00042",
        .created_usec = 15,
        .started_usec = 16,
        .start_until = 17,
        .stop_until = USEC_INFINITY,
        .watchdog_usec = 18,
        .stop_stage = 4,
        .stage_done = true,
        .reason_set = true,
        .closed = true,
        .reason = ARBITER_REASON_WATCHDOG,
        .closed_code = -1,
        .ended = true,
        .end_reason = ARBITER_REASON_UNKNOWN,
        .end_status = -9,
        .last_reason = ARBITER_REASON_KILLED,
        .last_status = 15,
        .spawn_tokens = 19,
        .dead_letters = 20,
        .spawn_tokens_usec = 21,
        .status = "all \xc3\xbc""ber",
        .failure = "no such file",
};
static const struct state_child EXAMPLE_HOST = {
        .id = { "host0000" },
        .name = "web-host",
        .generation = 1,
        .role = STATE_ROLE_HOST,
        .spawn = { { 11, 12 } },
};
static const struct state_monitor EXAMPLE_MONITOR = {
        .name = "web",
        .workers = 300,
        .configured = 200,
        .revision = 2,
        .stopping = true,
        .failed = true,
        .worker = { { 11, 12 } },
        .actor = { "actor000" },
        .host = { "host0000" },
        .n_definitions = 2,
        .definitions = { { 2, { { 11, 12 } } }, { 1, { { 13, 14 } } } },
};
static const struct state_set EXAMPLE_SET = {
        .monitor = "web",
        .restarts = 1,
        .starts = 2,
        .deaths = { [31] = 3 },
        .start_usec = 4,
        .cpu_usec = 5,
        .size = 3,
        .head = { 1, 2, 3 },
};
static const struct state_slot EXAMPLE_SLOT = { .slot = 65536, .size = 2, .data = { 9, 8 } };
static const struct state_place EXAMPLE_PLACE = { 1, { { 11, 12 } }, { "wanted00" }, { "spawner0" }, true };
static const struct state_tree_child EXAMPLE_TREE_CHILD = {
        .monitor = "shop",
        .name = "db",
        .slot = 3,
        .spawn = { { 11, 12 } },
        .wanted = { "wanted00" },
        .configured = true,
};
static const struct state_tree_child EXAMPLE_TREE_MONITOR = {
        .monitor = "shop",
        .name = "web",
        .slot = 4,
        .is_monitor = true,
};
static const struct state_rest EXAMPLE_REST = { "web", true };
static const struct state_link EXAMPLE_LINK = { { "abcdefgh" }, { "12345678" } };
static const struct state_exit EXAMPLE_EXIT = {
        .serial = 1,
        .to = { "abcdefgh" },
        .id = { "12345678" },
        .name = "web.3",
        .generation = 2,
        .reason = ARBITER_REASON_SILENT,
        .status = 0,
};
