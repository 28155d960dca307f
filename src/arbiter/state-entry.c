/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of the state journal as structs and back: see state.h. Pure: called by state.c to write, by
 * the next arbiter to read. Little-endian, field after field; text is its length and then its bytes. Must
 * never believe what it reads: each number is checked against what an encoder could have written. */

#include "arbiter/state.h"

#include <arbiter/error.h>
#include <arbiter/mailbox.h>

#include "arbiter/state-fields.h"

#define STOP_STAGES 5U /* of enum child_stop_stage */

/* Writing. */

static struct state_writer start(struct state_record *r, uint8_t kind, const void *key, size_t key_size) {
        r->kind = kind;
        r->key_size = key_size;
        memcpy(r->key, key, key_size);
        return (struct state_writer){ .p = r->value, .size = sizeof(r->value) };
}

static struct state_writer start_string(struct state_record *r, uint8_t kind, const char *key) {
        return start(r, kind, key, strlen(key));
}

/* Numbers in keys are little-endian, too. */
size_t state_number_key(uint64_t n, unsigned n_bytes, uint8_t ret[static STATE_KEY_MAX]) {
        for (unsigned i = 0; i < n_bytes; i++)
                ret[i] = (uint8_t) (n >> (8 * i));
        return n_bytes;
}

static struct state_writer start_number(struct state_record *r, uint8_t kind, uint64_t n, unsigned n_bytes) {
        uint8_t key[STATE_KEY_MAX];

        return start(r, kind, key, state_number_key(n, n_bytes, key));
}

static void finish(const struct state_writer *w, struct state_record *r) {
        assert(!w->full); /* record.value holds the longest */
        r->value_size = w->used;
}

static void put_reason(struct state_writer *w, arbiter_reason reason, int status) {
        state_put(w, (uint64_t) reason, 1);
        state_put(w, (uint32_t) status, 4);
}

static void put_counts(struct state_writer *w, const uint64_t counts[static STATE_REASONS]) {
        uint8_t n = STATE_REASONS;

        while (n > 0 && counts[n - 1] == 0)
                n--;
        state_put(w, n, 1);
        for (uint8_t i = 0; i < n; i++)
                state_put(w, counts[i], 8);
}

void state_encode_arbiter(const struct state_arbiter *s, struct state_record *ret) {
        struct state_writer w = start(ret, STATE_ARBITER, "", 0);

        state_put(&w, STATE_VERSION, 4);
        state_put(&w, s->takeovers, 4);
        state_put(&w, (uint32_t) s->pid, 4);
        state_put_string(&w, s->instance, STATE_TEXT_MAX);
        state_put_bool(&w, s->stopping);
        state_put_bool(&w, s->settled);
        state_put(&w, (uint32_t) s->exit_code, 4);
        state_put(&w, s->id_key.k0, 8);
        state_put(&w, s->id_key.k1, 8);
        state_put(&w, s->seed, 8);
        state_put(&w, s->age_counter, 8);
        state_put(&w, s->leaf_counter, 8);
        state_put(&w, s->exit_counter, 8);
        state_put(&w, s->death_counter, 8);
        state_put(&w, s->next_dead_aid, 4);
        state_put(&w, s->started_usec, 8);
        state_put(&w, s->started_realtime_usec, 8);
        state_put(&w, s->restarts, 8);
        state_put(&w, s->deaths, 8);
        state_put(&w, s->dead_letters, 8);
        put_counts(&w, s->deaths_by);
        finish(&w, ret);
}

void state_encode_name(const struct state_name *s, struct state_record *ret) {
        struct state_writer w = start_string(ret, STATE_NAME, s->name);

        state_put(&w, s->generation, 4);
        put_reason(&w, s->reason, s->status);
        finish(&w, ret);
}

void state_encode_dead_aid(const struct state_dead_aid *s, struct state_record *ret) {
        struct state_writer w = start_number(ret, STATE_DEAD_AID, s->index, 4);

        state_put_aid(&w, &s->id);
        state_put_aid(&w, &s->spawner);
        put_reason(&w, s->reason, s->status);
        finish(&w, ret);
}

void state_encode_death(const struct state_death *s, struct state_record *ret) {
        struct state_writer w = start_number(ret, STATE_DEATH, s->serial, 8);

        state_put_string(&w, s->name, QUALIFIED_NAME_SIZE);
        state_put_string(&w, s->monitor, NAME_MAX_LENGTH + 1);
        state_put(&w, s->when_usec, 8);
        state_put(&w, s->lifetime_usec, 8);
        state_put_aid(&w, &s->id);
        state_put(&w, s->generation, 4);
        state_put(&w, (uint32_t) s->pid, 4);
        put_reason(&w, s->reason, s->status);
        finish(&w, ret);
}

static void put_place(struct state_writer *w, const struct state_child *s) {
        state_put_string(w, s->name, QUALIFIED_NAME_SIZE);
        state_put(w, s->generation, 4);
        state_put(w, s->age, 8);
        state_put(w, s->role, 1);
        state_put_string(w, s->monitor, NAME_MAX_LENGTH + 1);
        state_put(w, s->slot, 4);
        state_put(w, s->set_generation, 8);
        state_put_aid(w, &s->spawner);
        state_put_aid(w, &s->payer);
        state_put_aid(w, &s->host);
        state_put_key(w, &s->spawn);
}

static void put_process(struct state_writer *w, const struct state_child *s) {
        state_put(w, (uint32_t) s->pid, 4);
        state_put_bool(w, s->own_group);
        state_put_string(w, s->leaf, STATE_LEAF_MAX);
        state_put_string(w, s->unit, STATE_UNIT_MAX);
        state_put_string(w, s->invocation, STATE_INVOCATION_MAX);
        state_put_string(w, s->token, STATE_TOKEN_MAX);
        state_put_string(w, s->notify, STATE_TEXT_MAX);
}

static void put_course(struct state_writer *w, const struct state_child *s) {
        state_put(w, s->created_usec, 8);
        state_put(w, s->started_usec, 8);
        state_put(w, s->start_until, 8);
        state_put(w, s->stop_until, 8);
        state_put(w, s->watchdog_usec, 8);
        state_put(w, s->stop_stage, 1);
        state_put_bool(w, s->stage_done);
        state_put_bool(w, s->reason_set);
        state_put_bool(w, s->closed);
        put_reason(w, s->reason, s->closed_code);
        state_put_bool(w, s->ended);
        put_reason(w, s->end_reason, s->end_status);
        put_reason(w, s->last_reason, s->last_status);
}

void state_encode_child(const struct state_child *s, struct state_record *ret) {
        struct state_writer w = start(ret, STATE_CHILD, s->id.c, AID_SIZE);

        put_place(&w, s);
        state_put(&w, s->concurrency, 1);
        state_put(&w, s->state, 1);
        state_put_bool(&w, s->plain);
        state_put_bool(&w, s->welcomed);
        state_put_bool(&w, s->link_lost);
        state_put_bool(&w, s->culprit);
        state_put(&w, s->policy, 1);
        state_put(&w, s->uid, 4);
        put_process(&w, s);
        put_course(&w, s);
        state_put(&w, s->spawn_tokens, 8);
        state_put(&w, s->dead_letters, 8);
        state_put(&w, s->spawn_tokens_usec, 8);
        state_put_string(&w, s->status, STATE_TEXT_MAX);
        state_put_string(&w, s->failure, STATE_FAILURE_MAX);
        state_put_bool(&w, s->ignored);
        finish(&w, ret);
}

void state_encode_monitor(const struct state_monitor *s, struct state_record *ret) {
        struct state_writer w = start_string(ret, STATE_MONITOR, s->name);

        state_put(&w, s->workers, 4);
        state_put(&w, s->configured, 4);
        state_put(&w, s->revision, 8);
        state_put_bool(&w, s->stopping);
        state_put_bool(&w, s->failed);
        state_put_key(&w, &s->worker);
        state_put_aid(&w, &s->actor);
        state_put_aid(&w, &s->host);
        state_put(&w, s->n_definitions, 1);
        for (size_t i = 0; i < s->n_definitions; i++) {
                state_put(&w, s->definitions[i].revision, 8);
                state_put_key(&w, &s->definitions[i].spawn);
        }
        finish(&w, ret);
}

size_t state_set_key(const char *monitor, uint8_t ret[static STATE_KEY_MAX]) {
        size_t n = strlen(monitor);

        memcpy(ret, monitor, n);
        return n;
}

size_t state_slot_key(const char *monitor, uint32_t slot, uint8_t ret[static STATE_KEY_MAX]) {
        size_t n = strlen(monitor);

        memcpy(ret + state_number_key(slot, 4, ret), monitor, n);
        return 4 + n;
}

void state_encode_set(const struct state_set *s, struct state_record *ret) {
        struct state_writer w = start_string(ret, STATE_SET, s->monitor);

        state_put(&w, s->restarts, 8);
        state_put(&w, s->starts, 8);
        put_counts(&w, s->deaths);
        state_put(&w, s->start_usec, 8);
        state_put(&w, s->cpu_usec, 8);
        state_put_bytes(&w, s->head, s->size);
        finish(&w, ret);
}

void state_encode_slot(const struct state_slot *s, struct state_record *ret) {
        uint8_t key[STATE_KEY_MAX];
        size_t n = state_slot_key(s->monitor, s->slot, key);
        struct state_writer w = start(ret, STATE_SLOT, key, n);

        state_put_bytes(&w, s->data, s->size);
        finish(&w, ret);
}

void state_encode_place(const struct state_place *s, struct state_record *ret) {
        struct state_writer w = start_number(ret, STATE_PLACE, s->slot, 4);

        state_put_key(&w, &s->spawn);
        state_put_aid(&w, &s->wanted);
        state_put_aid(&w, &s->spawner);
        state_put_bool(&w, s->transient);
        finish(&w, ret);
}

void state_encode_tree_child(const struct state_tree_child *s, struct state_record *ret) {
        uint8_t key[STATE_KEY_MAX];
        size_t n = state_slot_key(s->monitor, s->slot, key);
        struct state_writer w = start(ret, STATE_TREE_CHILD, key, n);

        state_put_string(&w, s->name, NAME_MAX_LENGTH + 1);
        state_put_bool(&w, s->is_monitor);
        state_put_key(&w, &s->spawn);
        state_put_aid(&w, &s->wanted);
        state_put_bool(&w, s->configured);
        finish(&w, ret);
}

void state_encode_rest(const struct state_rest *s, struct state_record *ret) {
        struct state_writer w = start_string(ret, STATE_REST, s->name);

        state_put_bool(&w, s->monitor);
        finish(&w, ret);
}

size_t state_link_key(const struct state_link *s, uint8_t ret[static STATE_KEY_MAX]) {
        memcpy(ret, s->target.c, AID_SIZE);
        memcpy(ret + AID_SIZE, s->owner.c, AID_SIZE);
        return 2 * AID_SIZE;
}

void state_encode_link(const struct state_link *s, struct state_record *ret) {
        uint8_t key[STATE_KEY_MAX];
        size_t n = state_link_key(s, key);
        struct state_writer w = start(ret, STATE_LINK, key, n);

        finish(&w, ret);
}

void state_encode_exit(const struct state_exit *s, struct state_record *ret) {
        struct state_writer w = start_number(ret, STATE_EXIT, s->serial, 8);

        state_put_aid(&w, &s->to);
        state_put_aid(&w, &s->id);
        state_put_string(&w, s->name, QUALIFIED_NAME_SIZE);
        state_put(&w, s->generation, 4);
        put_reason(&w, s->reason, s->status);
        finish(&w, ret);
}

/* Reading. */

static struct state_reader open_entry(const struct state_entry *e, uint8_t kind, uint32_t version) {
        return (struct state_reader){
                .p = e->value,
                .left = e->value_size,
                .version = version,
                .bad = e->kind != kind || version == 0 || version > STATE_VERSION,
        };
}

static int close_entry(const struct state_reader *r) {
        return r->bad || r->left > 0 ? -EBADMSG : 0;
}

static uint64_t number_of_key(const uint8_t *key, unsigned n_bytes) {
        uint64_t n = 0;

        for (unsigned i = 0; i < n_bytes; i++)
                n |= (uint64_t) key[i] << (8 * i);
        return n;
}

static uint64_t read_number_key(struct state_reader *r, const struct state_entry *e, unsigned n_bytes) {
        if (e->key_size != n_bytes) {
                r->bad = true;
                return 0;
        }
        return number_of_key(e->key, n_bytes);
}

static void read_string_key(struct state_reader *r, const void *key, size_t key_size, char *ret,
                size_t size) {
        if (key_size >= size || memchr(key, 0, key_size)) {
                r->bad = true;
                key_size = 0;
        }
        memcpy(ret, key, key_size);
        ret[key_size] = 0;
}

/* "" or a name without a dot. */
static void check_monitor(struct state_reader *r, const char *name, bool may_be_empty) {
        if (*name ? !name_is_valid(name) : !may_be_empty)
                r->bad = true;
}

/* A host has a name that only looks like one: "web-host". */
static void check_name(struct state_reader *r, const char *name) {
        if (!qualified_name_is_valid(name))
                r->bad = true;
}

static void get_reason(struct state_reader *r, arbiter_reason *ret_reason, int *ret_status) {
        *ret_reason = (arbiter_reason) state_get_below(r, 1, ARBITER_REASON_UNHEALTHY + 1);
        *ret_status = (int32_t) (uint32_t) state_get(r, 4);
}

static void get_counts(struct state_reader *r, uint64_t ret[static STATE_REASONS]) {
        uint8_t n = (uint8_t) state_get_below(r, 1, STATE_REASONS + 1);

        memset(ret, 0, STATE_REASONS * sizeof(*ret));
        for (uint8_t i = 0; i < n; i++)
                ret[i] = state_get(r, 8);
        if (n > 0 && ret[n - 1] == 0)
                r->bad = true;
}

static pid_t get_pid(struct state_reader *r) {
        return (pid_t) state_get_below(r, 4, (uint64_t) INT32_MAX + 1);
}

int state_decode_arbiter(const struct state_entry *e, struct state_arbiter *ret) {
        struct state_reader r = open_entry(e, STATE_ARBITER, STATE_VERSION);

        *ret = (struct state_arbiter){};
        if (e->key_size > 0)
                r.bad = true;
        ret->version = (uint32_t) state_get(&r, 4);
        if (r.bad || ret->version == 0)
                return -EBADMSG;
        if (ret->version > STATE_VERSION)
                return -EPROTONOSUPPORT;
        r.version = ret->version;
        ret->takeovers = (uint32_t) state_get(&r, 4);
        ret->pid = get_pid(&r);
        state_get_string(&r, ret->instance, sizeof(ret->instance));
        ret->stopping = state_get_bool(&r);
        ret->settled = state_get_bool(&r);
        ret->exit_code = (int32_t) (uint32_t) state_get(&r, 4);
        ret->id_key.k0 = state_get(&r, 8);
        ret->id_key.k1 = state_get(&r, 8);
        ret->seed = state_get(&r, 8);
        ret->age_counter = state_get(&r, 8);
        ret->leaf_counter = state_get(&r, 8);
        ret->exit_counter = state_get(&r, 8);
        ret->death_counter = state_get(&r, 8);
        ret->next_dead_aid = (uint32_t) state_get(&r, 4);
        ret->started_usec = state_get(&r, 8);
        ret->started_realtime_usec = state_get(&r, 8);
        ret->restarts = state_get(&r, 8);
        ret->deaths = state_get(&r, 8);
        ret->dead_letters = state_get(&r, 8);
        get_counts(&r, ret->deaths_by);
        return close_entry(&r);
}

int state_decode_name(const struct state_entry *e, uint32_t version, struct state_name *ret) {
        struct state_reader r = open_entry(e, STATE_NAME, version);

        *ret = (struct state_name){};
        read_string_key(&r, e->key, e->key_size, ret->name, sizeof(ret->name));
        check_name(&r, ret->name);
        ret->generation = (uint32_t) state_get(&r, 4);
        get_reason(&r, &ret->reason, &ret->status);
        return close_entry(&r);
}

int state_decode_dead_aid(const struct state_entry *e, uint32_t version, struct state_dead_aid *ret) {
        struct state_reader r = open_entry(e, STATE_DEAD_AID, version);

        *ret = (struct state_dead_aid){ .index = (uint32_t) read_number_key(&r, e, 4) };
        state_get_aid(&r, &ret->id, false);
        state_get_aid(&r, &ret->spawner, true);
        get_reason(&r, &ret->reason, &ret->status);
        return close_entry(&r);
}

int state_decode_death(const struct state_entry *e, uint32_t version, struct state_death *ret) {
        struct state_reader r = open_entry(e, STATE_DEATH, version);

        *ret = (struct state_death){ .serial = read_number_key(&r, e, 8) };
        state_get_string(&r, ret->name, sizeof(ret->name));
        check_name(&r, ret->name);
        state_get_string(&r, ret->monitor, sizeof(ret->monitor));
        check_monitor(&r, ret->monitor, true);
        ret->when_usec = state_get(&r, 8);
        ret->lifetime_usec = state_get(&r, 8);
        state_get_aid(&r, &ret->id, false);
        ret->generation = (uint32_t) state_get(&r, 4);
        ret->pid = get_pid(&r);
        get_reason(&r, &ret->reason, &ret->status);
        return close_entry(&r);
}

static void get_place(struct state_reader *r, struct state_child *ret) {
        state_get_string(r, ret->name, sizeof(ret->name));
        check_name(r, ret->name);
        ret->generation = (uint32_t) state_get(r, 4);
        ret->age = state_get(r, 8);
        ret->role = (enum state_role) state_get_below(r, 1, _STATE_ROLE_MAX);
        state_get_string(r, ret->monitor, sizeof(ret->monitor));
        check_monitor(r, ret->monitor, ret->role == STATE_ROLE_LONE || ret->role == STATE_ROLE_HOST);
        ret->slot = (uint32_t) state_get(r, 4);
        ret->set_generation = state_get(r, 8);
        if ((ret->role == STATE_ROLE_LONE || ret->role == STATE_ROLE_WORKER) != (ret->slot > 0))
                r->bad = true;
        if (ret->role == STATE_ROLE_LONE && *ret->monitor)
                r->bad = true;
        state_get_aid(r, &ret->spawner, true);
        state_get_aid(r, &ret->payer, true);
        state_get_aid(r, &ret->host, true);
        if (ret->role == STATE_ROLE_HOST && !aid_is_null(&ret->host)) /* who looks for it would not end */
                r->bad = true;
        state_get_key(r, &ret->spawn);
        if ((ret->role == STATE_ROLE_MONITOR) != state_key_is_null(&ret->spawn))
                r->bad = true;
}

static void get_process(struct state_reader *r, struct state_child *ret) {
        ret->pid = get_pid(r);
        ret->own_group = state_get_bool(r);
        state_get_string(r, ret->leaf, sizeof(ret->leaf));
        state_get_string(r, ret->unit, sizeof(ret->unit));
        /* They become names of directories below ours. */
        if (strchr(ret->leaf, '/') || streq(ret->leaf, ".") || streq(ret->leaf, "..") ||
                        strchr(ret->unit, '/'))
                r->bad = true;
        state_get_string(r, ret->invocation, sizeof(ret->invocation));
        state_get_string(r, ret->token, sizeof(ret->token));
        if (*ret->token && strlen(ret->token) != STATE_TOKEN_MAX - 1)
                r->bad = true;
        state_get_string(r, ret->notify, sizeof(ret->notify));
}

static void get_course(struct state_reader *r, struct state_child *ret) {
        ret->created_usec = state_get(r, 8);
        ret->started_usec = state_get(r, 8);
        ret->start_until = state_get(r, 8);
        ret->stop_until = state_get(r, 8);
        ret->watchdog_usec = state_get(r, 8);
        ret->stop_stage = (uint8_t) state_get_below(r, 1, STOP_STAGES);
        ret->stage_done = state_get_bool(r);
        ret->reason_set = state_get_bool(r);
        ret->closed = state_get_bool(r);
        get_reason(r, &ret->reason, &ret->closed_code);
        ret->ended = state_get_bool(r);
        get_reason(r, &ret->end_reason, &ret->end_status);
        get_reason(r, &ret->last_reason, &ret->last_status);
}

int state_decode_child(const struct state_entry *e, uint32_t version, struct state_child *ret) {
        struct state_reader r = open_entry(e, STATE_CHILD, version);

        *ret = (struct state_child){};
        if (e->key_size != AID_SIZE)
                return -EBADMSG;
        memcpy(ret->id.c, e->key, AID_SIZE);
        if (!aid_is_valid(&ret->id) || aid_equal(&ret->id, &AID_ARBITER))
                r.bad = true;
        get_place(&r, ret);
        ret->concurrency = (arbiter_concurrency) state_get_below(&r, 1, ARBITER_CONCURRENCY_UNIT + 1);
        ret->state = (arbiter_state) state_get_below(&r, 1, ARBITER_STATE_TERMINATED + 1);
        ret->plain = state_get_bool(&r);
        ret->welcomed = state_get_bool(&r);
        ret->link_lost = state_get_bool(&r);
        ret->culprit = state_get_bool(&r);
        ret->policy = (uint8_t) state_get_below(&r, 1, ARBITER_MAILBOX_BLOCK + 1);
        ret->uid = (uint32_t) state_get(&r, 4);
        get_process(&r, ret);
        get_course(&r, ret);
        ret->spawn_tokens = state_get(&r, 8);
        ret->dead_letters = state_get(&r, 8);
        ret->spawn_tokens_usec = state_get(&r, 8);
        state_get_string(&r, ret->status, sizeof(ret->status));
        state_get_string(&r, ret->failure, sizeof(ret->failure));
        ret->ignored = version >= 2 && state_get_bool(&r);
        return close_entry(&r);
}

static void get_definitions(struct state_reader *r, struct state_monitor *ret) {
        if (r->version < 2) {
                ret->definitions[0] = (struct state_definition){ ret->revision, ret->worker };
                ret->n_definitions = 1;
                return;
        }
        ret->n_definitions = state_get_below(r, 1, STATE_DEFINITIONS_MAX + 1);
        for (size_t i = 0; i < ret->n_definitions; i++) {
                ret->definitions[i].revision = state_get(r, 8);
                state_get_key(r, &ret->definitions[i].spawn);
                if (state_key_is_null(&ret->definitions[i].spawn))
                        r->bad = true;
        }
}

int state_decode_monitor(const struct state_entry *e, uint32_t version, struct state_monitor *ret) {
        struct state_reader r = open_entry(e, STATE_MONITOR, version);

        *ret = (struct state_monitor){};
        read_string_key(&r, e->key, e->key_size, ret->name, sizeof(ret->name));
        check_monitor(&r, ret->name, false);
        ret->workers = (uint32_t) state_get(&r, 4);
        ret->configured = (uint32_t) state_get(&r, 4);
        ret->revision = state_get(&r, 8);
        ret->stopping = state_get_bool(&r);
        ret->failed = state_get_bool(&r);
        state_get_key(&r, &ret->worker);
        state_get_aid(&r, &ret->actor, true);
        state_get_aid(&r, &ret->host, true);
        get_definitions(&r, ret);
        return close_entry(&r);
}

int state_decode_set(const struct state_entry *e, uint32_t version, struct state_set *ret) {
        struct state_reader r = open_entry(e, STATE_SET, version);

        read_string_key(&r, e->key, e->key_size, ret->monitor, sizeof(ret->monitor));
        check_monitor(&r, ret->monitor, true);
        ret->restarts = state_get(&r, 8);
        ret->starts = state_get(&r, 8);
        get_counts(&r, ret->deaths);
        ret->start_usec = state_get(&r, 8);
        ret->cpu_usec = state_get(&r, 8);
        ret->size = state_get_bytes(&r, ret->head, sizeof(ret->head));
        return close_entry(&r);
}

int state_decode_slot(const struct state_entry *e, uint32_t version, struct state_slot *ret) {
        struct state_reader r = open_entry(e, STATE_SLOT, version);

        if (e->key_size < 4)
                return -EBADMSG;
        ret->slot = (uint32_t) number_of_key(e->key, 4);
        read_string_key(&r, (const uint8_t *) e->key + 4, e->key_size - 4, ret->monitor,
                        sizeof(ret->monitor));
        check_monitor(&r, ret->monitor, true);
        if (ret->slot == 0)
                r.bad = true;
        ret->size = state_get_bytes(&r, ret->data, sizeof(ret->data));
        return close_entry(&r);
}

int state_decode_place(const struct state_entry *e, uint32_t version, struct state_place *ret) {
        struct state_reader r = open_entry(e, STATE_PLACE, version);

        *ret = (struct state_place){ .slot = (uint32_t) read_number_key(&r, e, 4) };
        state_get_key(&r, &ret->spawn);
        state_get_aid(&r, &ret->wanted, true);
        state_get_aid(&r, &ret->spawner, true);
        ret->transient = state_get_bool(&r);
        if (ret->slot == 0 || state_key_is_null(&ret->spawn))
                r.bad = true;
        return close_entry(&r);
}

int state_decode_tree_child(const struct state_entry *e, uint32_t version, struct state_tree_child *ret) {
        struct state_reader r = open_entry(e, STATE_TREE_CHILD, version);

        if (e->key_size < 4)
                return -EBADMSG;
        *ret = (struct state_tree_child){ .slot = (uint32_t) number_of_key(e->key, 4) };
        read_string_key(&r, (const uint8_t *) e->key + 4, e->key_size - 4, ret->monitor,
                        sizeof(ret->monitor));
        check_monitor(&r, ret->monitor, false);
        state_get_string(&r, ret->name, sizeof(ret->name));
        check_monitor(&r, ret->name, false);
        ret->is_monitor = state_get_bool(&r);
        state_get_key(&r, &ret->spawn);
        state_get_aid(&r, &ret->wanted, true);
        ret->configured = state_get_bool(&r);
        if (ret->slot == 0 || ret->is_monitor != state_key_is_null(&ret->spawn))
                r.bad = true;
        return close_entry(&r);
}

int state_decode_rest(const struct state_entry *e, uint32_t version, struct state_rest *ret) {
        struct state_reader r = open_entry(e, STATE_REST, version);

        *ret = (struct state_rest){};
        read_string_key(&r, e->key, e->key_size, ret->name, sizeof(ret->name));
        check_monitor(&r, ret->name, false);
        ret->monitor = state_get_bool(&r);
        return close_entry(&r);
}

int state_decode_link(const struct state_entry *e, uint32_t version, struct state_link *ret) {
        struct state_reader r = open_entry(e, STATE_LINK, version);
        const uint8_t *key = e->key;

        *ret = (struct state_link){};
        if (e->key_size != 2 * AID_SIZE)
                return -EBADMSG;
        memcpy(ret->target.c, key, AID_SIZE);
        memcpy(ret->owner.c, key + AID_SIZE, AID_SIZE);
        if (!aid_is_valid(&ret->target) || !aid_is_valid(&ret->owner))
                r.bad = true;
        return close_entry(&r);
}

int state_decode_exit(const struct state_entry *e, uint32_t version, struct state_exit *ret) {
        struct state_reader r = open_entry(e, STATE_EXIT, version);

        *ret = (struct state_exit){ .serial = read_number_key(&r, e, 8) };
        state_get_aid(&r, &ret->to, false);
        state_get_aid(&r, &ret->id, false);
        state_get_string(&r, ret->name, sizeof(ret->name));
        if (*ret->name)
                check_name(&r, ret->name);
        ret->generation = (uint32_t) state_get(&r, 4);
        get_reason(&r, &ret->reason, &ret->status);
        return close_entry(&r);
}
