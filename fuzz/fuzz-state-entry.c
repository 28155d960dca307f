/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One entry of a state journal that somebody else has written: its kind, the length of its key, the key,
 * and the rest is the value. What is accepted is what an encoder would have written. */

#include "arbiter/internal.h"
#include "fuzz.h"
#include "state-entries.h"

static void check_spawn(const struct state_entry *e) {
        static arbiter *a;
        arbiter_spawn *s = NULL, *again = NULL;
        struct state_spawn head;
        struct state_entry f = *e;
        uint8_t *data;

        if (!a)
                FUZZ_CHECK(arbiter_new(NULL, NULL, &a) >= 0);
        if (state_decode_spawn(a, e, STATE_VERSION, NULL, &s) < 0)
                return;
        FUZZ_CHECK(state_peek_spawn(e, STATE_VERSION, &head) >= 0);
        FUZZ_CHECK(state_encode_spawn(s, &data, &f.value_size) >= 0);
        f.value = data;
        FUZZ_CHECK(state_decode_spawn(a, &f, STATE_VERSION, NULL, &again) >= 0);
        FUZZ_CHECK(state_spawn_same(s, again));
        arbiter_spawn_unref(s);
        arbiter_spawn_unref(again);
        free(data);
}

static void check(const struct state_entry *e) {
        static struct state_record again;
        int r = state_entry_again(e, STATE_VERSION, &again);

        FUZZ_CHECK(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -EOPNOTSUPP);
        if (r < 0 || e->kind == STATE_ARBITER)
                return; /* of that one the version is the present one again */
        FUZZ_CHECK(again.kind == e->kind && again.key_size == e->key_size);
        FUZZ_CHECK(memcmp(again.key, e->key, e->key_size) == 0);
        FUZZ_CHECK(again.value_size == e->value_size && memcmp(again.value, e->value, e->value_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct state_entry e = {};
        void *key, *value;

        if (size < 2 || data[1] > STATE_KEY_MAX || data[1] > size - 2 || data[0] == 0)
                return 0;
        e.kind = data[0];
        e.key_size = data[1];
        e.value_size = size - 2 - e.key_size;
        e.key = key = fuzz_copy(data + 2, e.key_size);
        e.value = value = fuzz_copy(data + 2 + e.key_size, e.value_size);
        if (e.kind == STATE_SPAWN)
                check_spawn(&e);
        else
                check(&e);
        free(key);
        free(value);
        return 0;
}
