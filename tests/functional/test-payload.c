/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bodies of all sizes, inline and as memfd, and descriptors, between all kinds of actors: what arrives is
 * what was sent. */

#include <sys/mman.h>

#include "basic/siphash.h"
#include "state-check.h"
#include "test-hostile-util.h"

static const char *const receivers[] = { "inline_receiver", "thread_receiver", "process_receiver" };
static const char *const senders[] = { "inline_sender", "thread_sender", "process_sender" };
static const arbiter_concurrency kinds[] = {
        ARBITER_CONCURRENCY_INLINE,
        ARBITER_CONCURRENCY_THREAD,
        ARBITER_CONCURRENCY_PROCESS,
};
/* Around the bounds: nothing, inline, the last inline one, the first memfd, large. */
static const uint64_t sizes[] = { 0, 1, 1000, 65000, 65536, 65537, 1000000, 20000000 };

static uint64_t checksum(const uint8_t *p, size_t n) {
        return siphash24(p, n, &(struct siphash_key){ 1, 2 });
}

static void fill(uint8_t *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t) (i * 31 + (i >> 8));
}

/* A message with n bytes, and a file that holds the same. */
static int build(arbiter_message **ret, size_t n) {
        uint8_t *data = malloc(n + 1);
        int fd = memfd_create("test", MFD_CLOEXEC), r;

        if (!data || fd < 0)
                return -ENOMEM;
        fill(data, n);
        r = write_all(fd, data, n);
        if (r >= 0)
                r = arbiter_message_new(ret);
        if (r >= 0)
                r = arbiter_message_append_array(*ret, 'y', data, n);
        if (r >= 0)
                r = arbiter_message_append(*ret, "h", fd);
        free(data);
        close(fd);
        return r;
}

/* check(ay data, h file) -> ay data, t checksum of data, t checksum of file */
static int on_check(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_message *reply = NULL;
        const void *data;
        uint8_t *file;
        ssize_t n_file;
        size_t n;
        int fd, r;

        r = arbiter_message_read_array(m, 'y', &data, &n);
        if (r >= 0)
                r = arbiter_message_read(m, "h", &fd);
        if (r < 0)
                return r;
        file = malloc(n + 1);
        if (!file)
                return -ENOMEM;
        n_file = pread(fd, file, n + 1, 0);
        r = arbiter_message_new(&reply);
        if (r >= 0)
                r = arbiter_message_append_array(reply, 'y', data, n);
        if (r >= 0)
                r = arbiter_message_append(reply, "tt", checksum(data, n),
                                n_file >= 0 ? checksum(file, (size_t)n_file) : 0);
        if (r >= 0)
                r = arbiter_message_reply_message(m, reply);
        arbiter_message_unref(reply);
        free(file);
        return r;
}

static int check_answer(arbiter_future *f, uint64_t expected_size) {
        arbiter_message *reply = NULL;
        uint64_t of_data, of_file;
        const void *data;
        size_t n;
        int r;

        r = arbiter_future_get_reply(f, &reply);
        if (r >= 0)
                r = arbiter_message_read_array(reply, 'y', &data, &n);
        if (r >= 0)
                r = arbiter_message_read(reply, "tt", &of_data, &of_file);
        if (r < 0)
                return r;
        return n == expected_size && checksum(data, n) == of_data && of_data == of_file ? 0 : -EBADMSG;
}

static void on_answer(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        const char *target;
        uint64_t n;
        int r;

        r = arbiter_message_rewind(m, true);
        if (r >= 0)
                r = arbiter_message_read(m, "st", &target, &n);
        if (r >= 0)
                r = check_answer(f, n);
        (void) arbiter_message_reply(m, "i", (int32_t) MIN(r, 0));
        arbiter_message_unref(m);
}

/* forward(s target, t size) -> i: what came of check() there. */
static int on_forward(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_message *body = NULL;
        arbiter_future *f = NULL;
        const char *target;
        uint64_t n;
        int r;

        r = arbiter_message_read(m, "st", &target, &n);
        if (r >= 0)
                r = build(&body, n);
        if (r >= 0)
                r = arbiter_send_message(a, target, NULL, "check", body, 0, &f);
        arbiter_message_unref(body);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_answer, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("check", "ayh", "data file", "aytt", "data of_data of_file", on_check, 0),
        ARBITER_COMMAND("forward", "st", "target size", "i", "errno", on_forward, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module module = { ARBITER_MODULE_HEAD, .name = "payload", .commands = commands };

static void start(arbiter *a, const char *name, arbiter_concurrency kind) {
        arbiter_spawn *s = NULL;
        arbiter_future *f = NULL;

        assert_ok(arbiter_spawn_new(a, name, &s));
        assert_ok(arbiter_spawn_set_module(s, &module));
        assert_ok(arbiter_spawn_set_concurrency(s, kind));
        assert_ok(arbiter_spawn_start(s, &f));
        assert_ok(arbiter_future_wait(f, 0));
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        arbiter_spawn_unref(s);
}

static void from_arbiter(arbiter *a, const char *to, uint64_t size) {
        arbiter_message *body = NULL;
        arbiter_future *f = NULL;

        assert_ok(build(&body, size));
        assert_ok(arbiter_send_message(arbiter_get_actor(a), to, NULL, "check", body, 0, &f));
        assert_ok(arbiter_future_wait(f, 0));
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        assert_ok(check_answer(f, size));
        arbiter_future_unref(f);
        arbiter_message_unref(body);
}

static void from_actor(arbiter *a, const char *from, const char *to, uint64_t size) {
        arbiter_message *reply = NULL;
        int32_t result = -1;

        assert_ok(arbiter_call(arbiter_get_actor(a), &reply, from, "forward", 20000000, "st", to, size));
        assert_int_equal(arbiter_message_read(reply, "i", &result), 1);
        assert_int_equal(result, 0);
        arbiter_message_unref(reply);
}

static void test_payload(void **state) {
        unsigned fds = count_fds();
        arbiter *a = NULL;

        assert_ok(arbiter_new(NULL, NULL, &a));
        state_check_turns(a);
        assert_ok(arbiter_start(a));
        for (unsigned i = 0; i < ELEMENTSOF(kinds); i++) {
                start(a, receivers[i], kinds[i]);
                start(a, senders[i], kinds[i]);
        }
        for (unsigned s = 0; s < ELEMENTSOF(sizes); s++)
                for (unsigned to = 0; to < ELEMENTSOF(kinds); to++) {
                        from_arbiter(a, receivers[to], sizes[s]);
                        for (unsigned from = 0; from < ELEMENTSOF(kinds); from++)
                                from_actor(a, senders[from], receivers[to], sizes[s]);
                }
        assert_ok(arbiter_stop(a, 0));
        assert_int_equal(arbiter_run(a, false), 0);
        arbiter_unref(a);
        assert_int_equal(count_fds(), fds);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_payload) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
