/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of the state journal: each kind there and back, cut anywhere, with any bit flipped, of other
 * versions; and spawns with everything that setters set. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "arbiter/internal.h"
#include "basic/fd.h"
#include "state-entries.h"
#include "test-util.h"

static struct state_entry entry_of(const struct state_record *r) {
        return (struct state_entry){
                .kind = r->kind,
                .key = r->key,
                .key_size = r->key_size,
                .value = r->value,
                .value_size = r->value_size,
        };
}

static bool records_equal(const struct state_record *a, const struct state_record *b) {
        return a->kind == b->kind && a->key_size == b->key_size && a->value_size == b->value_size &&
               memcmp(a->key, b->key, a->key_size) == 0 && memcmp(a->value, b->value, a->value_size) == 0;
}

static int decode(const struct state_record *r, uint32_t version, struct state_record *ret_again) {
        struct state_entry e = entry_of(r);

        return state_entry_again(&e, version, ret_again);
}

/* The smallest and the fullest of each kind. */
static unsigned make_examples(struct state_record *ret) {
        unsigned n = 0;

        state_encode_arbiter(&(struct state_arbiter){}, &ret[n++]);
        state_encode_arbiter(&EXAMPLE_ARBITER, &ret[n++]);
        state_encode_name(&EXAMPLE_NAME, &ret[n++]);
        state_encode_dead_aid(&EXAMPLE_DEAD_AID, &ret[n++]);
        state_encode_death(&EXAMPLE_DEATH, &ret[n++]);
        state_encode_child(&EXAMPLE_CHILD, &ret[n++]);
        state_encode_child(&EXAMPLE_FULL_CHILD, &ret[n++]);
        state_encode_child(&EXAMPLE_HOST, &ret[n++]);
        state_encode_monitor(&EXAMPLE_MONITOR, &ret[n++]);
        state_encode_set(&EXAMPLE_SET, &ret[n++]);
        state_encode_slot(&EXAMPLE_SLOT, &ret[n++]);
        state_encode_place(&EXAMPLE_PLACE, &ret[n++]);
        state_encode_tree_child(&EXAMPLE_TREE_CHILD, &ret[n++]);
        state_encode_tree_child(&EXAMPLE_TREE_MONITOR, &ret[n++]);
        state_encode_rest(&EXAMPLE_REST, &ret[n++]);
        state_encode_link(&EXAMPLE_LINK, &ret[n++]);
        state_encode_exit(&EXAMPLE_EXIT, &ret[n++]);
        return n;
}

#define EXAMPLES_MAX 20
static struct state_record examples[EXAMPLES_MAX];

static void test_there_and_back(void **state) {
        static struct state_record again;
        unsigned n = make_examples(examples);

        assert_true(n <= EXAMPLES_MAX);
        for (unsigned i = 0; i < n; i++) {
                memset(&again, 0xee, sizeof(again));
                assert_ok(decode(&examples[i], STATE_VERSION, &again));
                assert_true(records_equal(&examples[i], &again));
        }
}

/* What the fields are, and not only that they come back. */
static void test_child(void **state) {
        struct state_record r;
        struct state_entry e;
        struct state_child c;

        state_encode_child(&EXAMPLE_FULL_CHILD, &r);
        e = entry_of(&r);
        assert_ok(state_decode_child(&e, STATE_VERSION, &c));
        assert_memory_equal(&c.id, &EXAMPLE_FULL_CHILD.id, sizeof(c.id));
        assert_string_equal(c.name, EXAMPLE_FULL_CHILD.name);
        assert_string_equal(c.monitor, EXAMPLE_FULL_CHILD.monitor);
        assert_string_equal(c.leaf, EXAMPLE_FULL_CHILD.leaf);
        assert_string_equal(c.unit, EXAMPLE_FULL_CHILD.unit);
        assert_string_equal(c.invocation, EXAMPLE_FULL_CHILD.invocation);
        assert_string_equal(c.token, EXAMPLE_FULL_CHILD.token);
        assert_string_equal(c.notify, EXAMPLE_FULL_CHILD.notify);
        assert_string_equal(c.status, EXAMPLE_FULL_CHILD.status);
        assert_string_equal(c.failure, EXAMPLE_FULL_CHILD.failure);
        assert_int_equal(c.generation, 7);
        assert_int_equal(c.role, STATE_ROLE_WORKER);
        assert_int_equal(c.slot, 3);
        assert_int_equal(c.pid, 4711);
        assert_true(c.own_group && c.plain && c.welcomed && c.link_lost && c.culprit && c.ended);
        assert_int_equal(c.stop_stage, CHILD_STOP_STUCK);
        assert_int_equal(c.closed_code, -1);
        assert_int_equal(c.end_reason, ARBITER_REASON_UNKNOWN);
        assert_int_equal(c.end_status, -9);
        assert_true(c.stop_until == USEC_INFINITY);
        assert_true(state_key_equal(&c.spawn, &EXAMPLE_FULL_CHILD.spawn));
}

static void test_cut_and_flipped(void **state) {
        static struct state_record r, again;
        unsigned n = make_examples(examples);

        for (unsigned i = 0; i < n; i++) {
                for (size_t size = 0; size < examples[i].value_size; size++) {
                        r = examples[i];
                        r.value_size = size;
                        assert_errno(decode(&r, STATE_VERSION, &again), EBADMSG);
                }
                r = examples[i];
                r.value[r.value_size++] = 0;
                assert_errno(decode(&r, STATE_VERSION, &again), EBADMSG);
                for (size_t bit = 0; bit < 8 * (examples[i].key_size + examples[i].value_size); bit++) {
                        uint8_t *p;
                        int q;

                        r = examples[i];
                        p = bit / 8 < r.key_size ? r.key + bit / 8 : r.value + bit / 8 - r.key_size;
                        *p ^= (uint8_t) (1U << bit % 8);
                        q = decode(&r, STATE_VERSION, &again);
                        assert_true(q == -EBADMSG || q == -EPROTONOSUPPORT ||
                                        (q == 0 && records_equal(&r, &again)) ||
                                        /* an older version writes the present one */
                                        (q == 0 && r.kind == STATE_ARBITER));
                }
        }
}

static void test_versions(void **state) {
        static struct state_record r, again;
        unsigned n = make_examples(examples);

        for (unsigned i = 0; i < n; i++) {
                if (examples[i].kind == STATE_ARBITER)
                        continue;
                assert_errno(decode(&examples[i], STATE_VERSION + 1, &again), EBADMSG);
                assert_errno(decode(&examples[i], 0, &again), EBADMSG);
        }
        r = examples[1];
        r.value[0] = STATE_VERSION + 1;
        assert_errno(decode(&r, STATE_VERSION, &again), EPROTONOSUPPORT);
        r.value[0] = 0;
        assert_errno(decode(&r, STATE_VERSION, &again), EBADMSG);
}

static void refuse_child(const struct state_child *c) {
        static struct state_record r, again;

        state_encode_child(c, &r);
        assert_errno(decode(&r, STATE_VERSION, &again), EBADMSG);
}

/* Well-formed, and still nothing that an arbiter could have written. */
static void test_hostile(void **state) {
        static const char *const leaves[] = { "..", ".", "../../system.slice", "/", "a/b" };
        struct state_child c;

        for (size_t i = 0; i < ELEMENTSOF(leaves); i++) {
                c = EXAMPLE_FULL_CHILD;
                (void) snprintf(c.leaf, sizeof(c.leaf), "%s", leaves[i]);
                refuse_child(&c);
        }
        c = EXAMPLE_FULL_CHILD;
        (void) snprintf(c.unit, sizeof(c.unit), "../x.service");
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        (void) snprintf(c.name, sizeof(c.name), "web.");
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        c.slot = 0;
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        (void) snprintf(c.monitor, sizeof(c.monitor), "a.b");
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        c.token[3] = 0;
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        c.id = AID_ARBITER;
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        (void) snprintf(c.status, sizeof(c.status), "\xff\xfe");
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        c.pid = -1;
        refuse_child(&c);
        c = EXAMPLE_FULL_CHILD;
        c.stop_stage = CHILD_STOP_STUCK + 1;
        refuse_child(&c);
        c = EXAMPLE_HOST;
        c.host = EXAMPLE_FULL_CHILD.id; /* hosts of hosts, perhaps in a circle */
        refuse_child(&c);
}

/* Text that is too long is cut between characters. */
static void test_long_text(void **state) {
        struct state_child c = EXAMPLE_FULL_CHILD, d;
        struct state_record r;
        struct state_entry e;

        memset(c.status, 'x', sizeof(c.status));
        /* not terminated, and a character on the edge */
        memcpy(c.status + sizeof(c.status) - 2, "\xc3\xa4", 2);
        state_encode_child(&c, &r);
        e = entry_of(&r);
        assert_ok(state_decode_child(&e, STATE_VERSION, &d));
        assert_int_equal(strlen(d.status), sizeof(c.status) - 2);
}

/* Spawns. */

static const arbiter_module module = { ARBITER_MODULE_HEAD, .name = "squares" };

static int prepare(arbiter_spawn *s, const arbiter_life *life, char **ret_text, void *userdata) {
        return 0;
}

static struct state_entry spawn_entry(const arbiter_spawn *s, uint8_t **ret_data) {
        static const struct state_key key = { { 1, 2 } };
        struct state_entry e = { .kind = STATE_SPAWN, .key = &key, .key_size = sizeof(key) };

        assert_ok(state_encode_spawn(s, ret_data, &e.value_size));
        e.value = *ret_data;
        return e;
}

static void make_spawn(arbiter *a, const char *name, arbiter_spawn **ret) {
        const char *const allow[] = { "db", "cache*", NULL };
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        arbiter_spawn *s;

        assert_true(null >= 0);
        assert_ok(arbiter_spawn_new(a, name, &s));
        assert_ok(arbiter_spawn_set_description(s, "it squares \xc3\xa4"));
        assert_ok(arbiter_spawn_set_concurrency(s, ARBITER_CONCURRENCY_PROCESS));
        assert_ok(arbiter_spawn_set_module(s, &module));
        assert_ok(arbiter_spawn_set_parameter(s, "Base", "10"));
        assert_ok(arbiter_spawn_set_parameter(s, "Empty", ""));
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_TRANSIENT));
        assert_ok(arbiter_spawn_set_timeouts(s, 1000000, 2000000, 3000000, 4000000));
        assert_ok(arbiter_spawn_set_mailbox(s, 10, 20000, ARBITER_MAILBOX_BLOCK));
        assert_ok(arbiter_spawn_set_allow(s, allow));
        assert_ok(arbiter_spawn_add_listen_fd(s, null, "http"));
        assert_ok(arbiter_spawn_add_listen_fd(s, STDERR_FILENO, "http")); /* two of one name */
        assert_ok(arbiter_spawn_set_user(s, "4242"));
        assert_ok(arbiter_spawn_set_group(s, "4243"));
        assert_ok(arbiter_spawn_add_supplementary_group(s, "4244"));
        assert_ok(arbiter_spawn_set_working_directory(s, "/tmp"));
        assert_ok(arbiter_spawn_set_environment(s, "KEY", "\xff is no UTF-8"));
        assert_ok(arbiter_spawn_set_umask(s, 027));
        assert_ok(arbiter_spawn_set_nice(s, -3));
        assert_ok(arbiter_spawn_set_limit(s, RLIMIT_NOFILE, 100, RLIM_INFINITY));
        assert_ok(arbiter_spawn_set_process_name(s, "square"));
        assert_ok(arbiter_spawn_set_prepare(s, prepare, &null));
        assert_ok(arbiter_spawn_set_kill_signal(s, SIGINT));
        assert_ok(arbiter_spawn_set_output(s, null, -2));
        assert_ok(arbiter_spawn_set_unit_property(s, "MemoryMax", "500M"));
        assert_ok(arbiter_spawn_set_unit_property(s, "ProtectSystem", "strict"));
        close_fd(null);
        *ret = s;
}

static void test_spawn(void **state) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL, *base = NULL, *again = NULL, *bare = NULL;
        _cleanup_free_ uint8_t *data = NULL, *data_again = NULL;
        struct state_entry e, f;
        struct state_spawn head;

        assert_ok(arbiter_new(NULL, NULL, &a));
        make_spawn(a, "squares", &base);
        assert_ok(spawn_instance(base, "nine", NULL, &s));
        e = spawn_entry(s, &data);

        assert_ok(state_peek_spawn(&e, STATE_VERSION, &head));
        assert_string_equal(head.name, "nine");
        assert_string_equal(head.definition, "squares");
        assert_string_equal(head.module, "squares");

        assert_int_equal(state_decode_spawn(a, &e, STATE_VERSION, base, &again), 0);
        assert_true(state_spawn_same(s, again));
        assert_true(state_spawn_same(base, s)); /* the name is none of it */
        assert_ptr_equal(again->module, &module);
        assert_ptr_equal(again->prepare, prepare);
        assert_int_equal(again->n_listen_fds, 2);
        for (unsigned i = 0; i < 2; i++) {
                struct stat x, y;

                assert_int_equal(fstat(again->listen_fds[i], &x), 0);
                assert_int_equal(fstat(base->listen_fds[i], &y), 0);
                assert_true(x.st_dev == y.st_dev && x.st_ino == y.st_ino);
        }
        assert_true(again->output[0] >= 0 && again->output[1] == -2);
        assert_string_equal(again->name, "nine");
        assert_string_equal(again->definition, "squares");
        assert_string_equal(again->prepare_definition, "squares");
        assert_string_equal(again->context.environment[0], "KEY=\xff is no UTF-8");
        assert_int_equal(again->unit_properties.n, 2);
        f = spawn_entry(again, &data_again);
        assert_int_equal(e.value_size, f.value_size);
        assert_memory_equal(e.value, f.value, e.value_size);

        /* Enough to end it by. */
        assert_int_equal(state_decode_spawn(a, &e, STATE_VERSION, NULL, &bare), 1);
        assert_null(bare->module);
        assert_int_equal(bare->kill_signal, SIGINT);
        assert_int_equal(bare->stop_usec, 3000000);
}

static void test_spawn_cut(void **state) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        arbiter_spawn *again = NULL;
        struct state_entry e;
        size_t size;

        assert_ok(arbiter_new(NULL, NULL, &a));
        make_spawn(a, "squares", &s);
        e = spawn_entry(s, &data);
        size = e.value_size;
        for (e.value_size = 0; e.value_size < size; e.value_size++)
                assert_errno(state_decode_spawn(a, &e, STATE_VERSION, s, &again), EBADMSG);
        for (size_t bit = 0; bit < 8 * size; bit++) {
                int r;

                data[bit / 8] ^= (uint8_t) (1U << bit % 8);
                r = state_decode_spawn(a, &e, STATE_VERSION, s, &again);
                assert_true(r >= 0 || r == -EBADMSG);
                if (r >= 0)
                        again = arbiter_spawn_unref(again);
                data[bit / 8] ^= (uint8_t) (1U << bit % 8);
        }
        assert_errno(state_decode_spawn(a, &e, STATE_VERSION + 1, s, &again), EBADMSG);
}

static void test_spawn_same(void **state) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL, *t = NULL;

        assert_ok(arbiter_new(NULL, NULL, &a));
        make_spawn(a, "squares", &s);
        assert_ok(spawn_instance(s, NULL, NULL, &t));
        assert_true(state_spawn_same(s, t));
        assert_ok(arbiter_spawn_set_parameter(t, "Base", "11"));
        assert_false(state_spawn_same(s, t));
        assert_ok(arbiter_spawn_set_fingerprint(t, 5));
        assert_false(state_spawn_same(s, t)); /* the other has none */
        assert_ok(arbiter_spawn_set_fingerprint(s, 5));
        assert_true(state_spawn_same(s, t));
        assert_ok(arbiter_spawn_set_fingerprint(s, 6));
        assert_false(state_spawn_same(s, t));
}

/* The functions of the library. */

static void test_set_state(void **state) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        struct state_journal *j;
        struct state_record r;
        int fd;

        assert_ok(arbiter_new(NULL, NULL, &a));
        assert_errno(arbiter_set_state(NULL, -1), EINVAL);
        assert_errno(arbiter_set_state(a, -2), EINVAL);
        assert_errno(arbiter_get_state_fd(a), EBADF);
        assert_int_equal(arbiter_set_state(a, -1), 0);
        assert_true(arbiter_get_state_fd(a) >= 0);

        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        assert_errno(arbiter_set_state(a, fd), EBADMSG);
        close_fd(fd);

        /* one that was never used; one of another arbiter; one of a newer version */
        assert_ok(state_journal_new(STATE_JOURNAL_SIZE_MIN, &j));
        assert_int_equal(arbiter_set_state(a, state_journal_fd(j)), 0);
        state_encode_arbiter(&EXAMPLE_ARBITER, &r);
        assert_ok(state_journal_begin(j));
        assert_ok(state_journal_put(j, r.kind, r.key, r.key_size, r.value, r.value_size));
        state_journal_commit(j);
        assert_int_equal(arbiter_set_state(a, state_journal_fd(j)), 1);
        r.value[0] = STATE_VERSION + 1;
        assert_ok(state_journal_begin(j));
        assert_ok(state_journal_put(j, r.kind, r.key, r.key_size, r.value, r.value_size));
        state_journal_commit(j);
        assert_errno(arbiter_set_state(a, state_journal_fd(j)), EPROTONOSUPPORT);
        state_journal_free(j);

        assert_int_equal(arbiter_set_state(a, -1), 0);
        assert_ok(arbiter_start(a));
        assert_errno(arbiter_set_state(a, -1), EBUSY);
}

/* Journals as versions of this program have written them: state-journal-N, of version N. */

#define IMAGE_SIZE STATE_JOURNAL_SIZE_MIN

static struct state_entry spawn_example(uint8_t **ret_data) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;

        assert_ok(arbiter_new(NULL, NULL, &a));
        make_spawn(a, "squares", &s);
        return spawn_entry(s, ret_data);
}

static int make_image(void) {
        _cleanup_free_ uint8_t *data = NULL;
        unsigned n = make_examples(examples);
        struct state_entry e = spawn_example(&data);
        struct state_journal *j;
        int fd;

        assert_ok(state_journal_new(IMAGE_SIZE, &j));
        assert_ok(state_journal_begin(j));
        for (unsigned i = 1; i < n; i++)
                assert_ok(state_journal_put(j, examples[i].kind, examples[i].key, examples[i].key_size,
                                examples[i].value, examples[i].value_size));
        assert_ok(state_journal_put(j, e.kind, e.key, e.key_size, e.value, e.value_size));
        state_journal_commit(j);
        fd = fd_duplicate(state_journal_fd(j));
        state_journal_free(j);
        return fd;
}

static int load_image(const char *directory, uint32_t version) {
        static uint8_t buffer[IMAGE_SIZE];
        char path[1024];
        int fd, copy;

        (void) snprintf(path, sizeof(path), "%s/state-journal-%u", directory, version);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                fail_msg("%s: %s", path, strerror(errno));
        assert_int_equal(read(fd, buffer, sizeof(buffer)), sizeof(buffer));
        close_fd(fd);
        copy = make_image(); /* for its seals */
        assert_int_equal(pwrite(copy, buffer, sizeof(buffer), 0), sizeof(buffer));
        return copy;
}

static void check_old_spawn(const struct state_entry *e, uint32_t version) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL, *now = NULL;

        assert_ok(arbiter_new(NULL, NULL, &a));
        make_spawn(a, "squares", &now);
        assert_int_equal(state_decode_spawn(a, e, version, now, &s), 0);
        assert_true(state_spawn_same(s, now)); /* whoever upgrades need not restart anything */
}

/* Each version that there was can be read; and the present one still writes what it wrote when it was
 * made: a change of an encoding is a new version. */
static void test_images(void **state) {
        static struct state_record again;
        unsigned n = make_examples(examples);

        for (uint32_t version = 1; version <= STATE_VERSION; version++) {
                int fd = load_image(STATE_IMAGE_DIR, version);
                struct state_arbiter head;
                struct state_journal *j;
                void *position = NULL;
                struct state_entry e;
                unsigned i = 1;

                assert_int_equal(state_journal_open(fd, &j), 0);
                assert_ok(state_journal_get(j, STATE_ARBITER, "", 0, &e));
                assert_ok(state_decode_arbiter(&e, &head));
                assert_int_equal(head.version, version);
                while (state_journal_next(j, 0, &position, &e)) {
                        if (e.kind == STATE_SPAWN) {
                                check_old_spawn(&e, version);
                                continue;
                        }
                        assert_ok(state_entry_again(&e, version, &again));
                        if (version < STATE_VERSION)
                                continue;
                        assert_int_equal(e.value_size, examples[i].value_size);
                        assert_memory_equal(e.value, examples[i].value, e.value_size);
                        i++;
                }
                assert_true(version < STATE_VERSION || i == n);
                state_journal_free(j);
                close_fd(fd);
        }
}

/* For a new version: state-journal-N, and the first inputs of the fuzzer. */

static void write_file(const char *directory, const char *name, const void *data, size_t size) {
        char path[1024];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        f = fopen(path, "we");
        if (!f || fwrite(data, size, 1, f) != 1 || fclose(f) != 0)
                abort();
}

static void write_examples(const char *directory) {
        _cleanup_free_ uint8_t *data = NULL;
        static uint8_t buffer[IMAGE_SIZE];
        unsigned n = make_examples(examples);
        int fd = make_image();
        char name[64];

        assert_int_equal(pread(fd, buffer, sizeof(buffer), 0), sizeof(buffer));
        (void) snprintf(name, sizeof(name), "state-journal-%u", STATE_VERSION);
        write_file(directory, name, buffer, sizeof(buffer));
        for (unsigned i = 0; i <= n; i++) {
                struct state_entry e = i < n ? entry_of(&examples[i]) : spawn_example(&data);

                buffer[0] = e.kind;
                buffer[1] = (uint8_t) e.key_size;
                memcpy(buffer + 2, e.key, e.key_size);
                memcpy(buffer + 2 + e.key_size, e.value, e.value_size);
                (void) snprintf(name, sizeof(name), "kind-%u-%u", e.kind, i);
                write_file(directory, name, buffer, 2 + e.key_size + e.value_size);
        }
}

/* "write" and a directory: see above. */
int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_images),
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_child),
                cmocka_unit_test(test_cut_and_flipped),
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_hostile),
                cmocka_unit_test(test_long_text),
                cmocka_unit_test(test_spawn),
                cmocka_unit_test(test_spawn_cut),
                cmocka_unit_test(test_spawn_same),
                cmocka_unit_test(test_set_state),
        };

        if (argc == 3 && streq(argv[1], "write")) {
                write_examples(argv[2]);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
