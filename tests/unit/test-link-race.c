/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links between threads and processes: begun against the clock, starved senders, killed writers. */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "test-link-fixture.h"

/* The receiver publishes begun, then reads the clock, then runs if the deadline has not passed. The caller,
 * whose clock says that it has, reads begun. "Not begun" must mean "never runs". */
struct race {
        struct link *receiver;
        _Atomic uint64_t offered, done; /* sequence numbers */
        uint64_t deadline;
        bool ran;
};

#define RACE_OVER UINT64_MAX

enum { RACES = 1000000 };
/* On a machine that is busy, or under a sanitizer: as many as there is time for. */
#define RACE_TIME (20 * USEC_PER_SEC)

static void relax(unsigned *spins) {
        if (++*spins % 1024 == 0)
                (void)sched_yield();
}

static void *race_receiver(void *userdata) {
        struct race *r = userdata;
        unsigned spins = 0;

        for (uint64_t i = 1;; i++) {
                while (atomic_load(&r->offered) < i)
                        relax(&spins);
                if (atomic_load(&r->offered) == RACE_OVER)
                        return NULL;
                for (volatile unsigned delay = 0; delay < i * 7919 % 61; delay++)
                        ;
                link_publish_begun(r->receiver, LANE_USER, i);
                r->ran = now_nsec() < r->deadline;
                atomic_store(&r->done, i);
        }
}

static void test_begun_race(void **state) {
        uint64_t n_expired = 0, n_ran = 0, n_wrong = 0, end = now_usec() + RACE_TIME;
        struct race race = {};
        unsigned spins = 0;
        pthread_t thread;

        make_pair(kind_of(state), 0);
        race.receiver = ends[1]->l;
        assert_int_equal(pthread_create(&thread, NULL, race_receiver, &race), 0);
        for (uint64_t i = 1; i <= RACES && now_usec() < end; i++) {
                bool begun;

                race.deadline = now_nsec() + 100 + i * 104729 % 500;
                atomic_store(&race.offered, i);
                while (now_nsec() < race.deadline)
                        ;
                begun = link_has_begun(ends[0]->l, LANE_USER, i);
                while (atomic_load(&race.done) < i)
                        relax(&spins);
                n_expired += !begun;
                n_ran += race.ran;
                n_wrong += !begun && race.ran;
        }
        atomic_store(&race.offered, RACE_OVER);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(n_wrong, 0);
        assert_true(n_expired + n_ran > 0);
}

/* A tiny window, a sender that stops at each refusal and goes on at the credit callback: no wake-up is ever
 * lost. */
struct starver {
        struct link *l;
        sd_event *event;
        uint64_t next, n;
        int result;
};

static void starver_send(struct link *l, void *userdata) {
        struct starver *s = userdata;

        while (s->next < s->n && cast(l, s->next) >= 0)
                s->next++;
        (void)link_flush(l);
}

static int starver_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                void *userdata) {
        return -EPROTO;
}

static void starver_closed(struct link *l, int error, void *userdata) {
        struct starver *s = userdata;

        s->result = error;
        (void)sd_event_exit(s->event, 0);
}

static void run_starver(enum link_kind kind, int fd, int page_fd, uint64_t n) {
        static const struct link_events starver_events = {starver_frame, NULL, starver_send, starver_closed};
        struct starver s = {.n = n, .result = 1};
        struct link_page *page;

        if (sd_event_new(&s.event) < 0 || link_page_map(page_fd, &page) < 0 ||
                        link_new(s.event, kind, fd, page, 1, &starver_events, &s, &s.l) < 0)
                _exit(1);
        starver_send(s.l, &s);
        (void)sd_event_loop(s.event);
        _exit(s.next == n && s.result == 0 ? 0 : 2);
}

static void test_starved_process(void **state) {
        enum link_kind kind = kind_of(state);
        enum { N = 60000 };
        struct link_page *page;
        int page_fd, sv[2], status;
        pid_t pid;

        assert_int_equal(socketpair(AF_UNIX, socket_type(kind), 0, sv), 0);
        assert_ok(link_page_create(&page_fd));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                close_fd(sv[0]);
                run_starver(kind, sv[1], page_fd, N);
        }
        close_fd(sv[1]);
        assert_ok(link_page_map(page_fd, &page));
        close_fd(page_fd);
        assert_ok(link_new(event, kind, sv[0], page, 0, &events, ends[0], &ends[0]->l));
        ends[0]->consume = true;
        link_set_window(ends[0]->l, 3, 3 * 96);
        await_frames(ends[0], N);
        assert_int_equal(ends[0]->n_frames, N);
        link_close(ends[0]->l);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_writer(int fd, unsigned seed) {
        static const struct link_events none = {starver_frame, NULL, NULL, NULL};
        struct link *l;
        sd_event *e;

        if (sd_event_new(&e) < 0 || link_new(e, LINK_STREAM, fd, NULL, 0, &none, NULL, &l) < 0)
                _exit(1);
        for (uint64_t i = 0;; i++) {
                seed = seed * 1103515245 + 12345;
                if (send_frame(l, ENVELOPE_CAST, 0, i, MARK_SIZE + (seed >> 8) % (i % 10 ? 300 : 60000),
                                    NULL, 0) < 0)
                        _exit(2);
                (void)link_flush(l);
                while (link_get_buffered(l) > LINK_FLUSH_SIZE)
                        (void)sd_event_run(e, UINT64_MAX);
        }
}

/* Killed anywhere, also in the middle of a frame: whole frames only, in order, and one end. */
static void test_killed_writer(void **state) {
        for (unsigned round = 0; round < 200; round++) {
                unsigned n = 1 + round * 37 % 300;
                pid_t pid;
                int sv[2];

                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        close_fd(sv[0]);
                        run_writer(sv[1], round);
                }
                close_fd(sv[1]);
                assert_ok(link_new(event, LINK_STREAM, sv[0], NULL, 0, &events, ends[0], &ends[0]->l));
                ends[0]->has_pattern = true;
                await_frames(ends[0], n);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                await_frames(ends[0], UINT32_MAX);
                assert_int_equal(ends[0]->n_closed, 1);
                assert_true(ends[0]->error == 0 || ends[0]->error == -ECONNRESET);
                assert_true(ends[0]->n_frames >= n);
                for (unsigned i = 0; i < MIN(ends[0]->n_frames, (unsigned)LOG_MAX); i++)
                        assert_int_equal(ends[0]->log[i], i);
                again();
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST_KIND(test_begun_race, LINK_STREAM),
                        TEST_SOCKETS(test_starved_process),
                        TEST(test_killed_writer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
