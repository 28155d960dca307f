/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Actors that get a new control link and do not deserve one: they flood, lie, or never say that they have
 * it. Here the actor is the test itself, with the other end of the old link in its hand; the process that
 * stands for it does nothing but live. */

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "relink-fixture.h"
#include "test-hostile-util.h"

enum { SILENCE_USEC = 300 * 1000 };

/* One that had been started by an arbiter that is dead. */
struct victim {
        struct stage stage;
        struct child *child;
        aid id;
        struct raw old, new;
        bool has_new;
};

static pid_t live_on(void) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        return pid;
}

/* silence 0: the default, which no test comes near. */
static struct child *adopt_silent(struct stage *s, const char *name, usec_t silence) {
        arbiter_spawn *spawn = stage_describe(s, name);
        struct child *c;

        assert_ok(arbiter_spawn_set_timeouts(spawn, silence, 0, 100 * 1000, 0));
        assert_ok(child_new(s->arbiter, spawn, name, NULL, &c));
        arbiter_spawn_unref(spawn);
        c->process.pid = live_on();
        c->process.pidfd = (int)syscall(SYS_pidfd_open, c->process.pid, 0);
        assert_true(c->process.pidfd >= 0);
        assert_ok(child_watch_death(c));
        c->welcomed = true;
        c->started_usec = now_usec();
        child_set_state(c, ARBITER_STATE_RUNNING);
        assert_ok(actor_timer_set(s->root, &c->silence_timer, now_usec() + c->spawn->silence_usec));
        return c;
}

static struct child *adopt_process(struct stage *s, const char *name) {
        return adopt_silent(s, name, 0);
}

static void make_pair(int fds[static 2]) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

static void give_old_link(struct child *c, struct raw *ret) {
        int fds[2];

        memset(ret, 0, offsetof(struct raw, buffer));
        ret->n = 0;
        make_pair(fds);
        ret->fd = fds[1];
        assert_ok(child_relink(c, 1, fds[0]));
}

static void settle(struct stage *s) {
        while (sd_event_run(arbiter_get_event(s->arbiter), 0) > 0)
                ;
}

/* Takes what is offered. */
static void take_new_link(struct stage *s, struct raw *old, struct raw *ret) {
        arbiter_message *m;
        int fd, page_fd;

        settle(s);
        m = raw_signal(old, "relink");
        assert_non_null(m);
        assert_int_equal(m->envelope.sequence, 0);
        assert_true(arbiter_message_read(m, "hh", &fd, &page_fd) > 0);
        memset(ret, 0, offsetof(struct raw, buffer));
        ret->n = 0;
        ret->fd = fd_duplicate(fd);
        assert_true(ret->fd >= 0);
        arbiter_message_unref(m);
}

static void say_relinked(struct raw *r) {
        raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "relinked", raw_hello_message(ENVELOPE_VERSION, ""));
}

static void begin(struct victim *v, usec_t silence) {
        stage_begin_here(&v->stage);
        v->child = adopt_silent(&v->stage, "victim", silence);
        v->id = v->child->aid;
        give_old_link(v->child, &v->old);
        v->has_new = false;
}

static void begin_and_take(struct victim *v) {
        begin(v, 0);
        take_new_link(&v->stage, &v->old, &v->new);
        v->has_new = true;
}

static void end(struct victim *v) {
        stage_end_here(&v->stage);
        close_fd(v->old.fd);
        if (v->has_new)
                close_fd(v->new.fd);
}

static void expect_death(struct victim *v, arbiter_reason reason) {
        arbiter_reason how;
        int status;

        UNTIL(&v->stage, !stage_child(&v->stage, "victim"));
        how = names_how_ended(v->stage.arbiter, &v->id, &status);
        if (how != reason)
                fail_msg("it has ended by %s", arbiter_reason_to_string(how));
        end(v);
}

static size_t memory_in_use(void) {
        return mallinfo2().uordblks;
}

/* What it says to the dead is no sign of life, however much it says; and costs no more than a buffer. */
static void test_floods_and_never_confirms(void **state) {
        static struct victim v;
        size_t before;

        begin(&v, SILENCE_USEC);
        settle(&v.stage);
        before = memory_in_use();
        while (stage_child(&v.stage, "victim")) {
                for (unsigned i = 0; i < 50; i++) {
                        arbiter_message *m = raw_message(
                                        "ytt", ARBITER_STATE_RUNNING, (uint64_t)0, (uint64_t)0);
                        struct envelope e = {.kind = ENVELOPE_CAST,
                                        .flags = ENVELOPE_SYSTEM,
                                        .deadline = UINT64_MAX,
                                        .command = "notify"};
                        static uint8_t frame[FRAME_SIZE_MAX] __attribute__((aligned(8)));
                        size_t n = raw_encode(&v.old, &e, m, frame);

                        (void)send(v.old.fd, frame, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                        arbiter_message_unref(m);
                }
                assert_true(memory_in_use() < before + 1024 * 1024);
                stage_turn(&v.stage, 0);
        }
        expect_death(&v, ARBITER_REASON_SILENT);
}

/* It has the link, and something else to say first. */
static void test_speaks_too_soon(void **state) {
        static const struct {
                enum envelope_kind kind;
                const char *command;
        } first[] = {
                        {ENVELOPE_REQUEST, "list"},
                        {ENVELOPE_CAST, "links"},
                        {ENVELOPE_REQUEST, "relinked"},
                        {ENVELOPE_CAST, "hello"},
                        {ENVELOPE_CAST, "notify"},
                        {ENVELOPE_SIGNAL, "relink"},
                        {ENVELOPE_REPLY, ""},
        };
        static struct victim v;

        for (size_t i = 0; i < ELEMENTSOF(first); i++) {
                struct envelope e = {.kind = first[i].kind,
                                .flags = ENVELOPE_SYSTEM,
                                .id = first[i].kind == ENVELOPE_REQUEST || first[i].kind == ENVELOPE_REPLY,
                                .deadline = UINT64_MAX,
                                .command = first[i].command};

                begin_and_take(&v);
                assert_ok(raw_send_envelope(&v.new, &e, NULL));
                expect_death(&v, ARBITER_REASON_NO_CONNECTION);
        }
}

/* A takeover is the arbiter's to make. */
static void test_takes_over_the_arbiter(void **state) {
        static struct victim v;
        arbiter_message *m;
        uint8_t frame[512] __attribute__((aligned(8)));
        struct envelope e = {
                        .kind = ENVELOPE_SIGNAL,
                        .flags = ENVELOPE_SYSTEM,
                        .deadline = UINT64_MAX,
                        .command = "relink",
                        .command_length = 6,
                        .signature = "hh",
                        .signature_length = 2,
                        .n_fds = 2,
        };
        const int fds[2] = {STDERR_FILENO, STDERR_FILENO};

        begin_and_take(&v);
        say_relinked(&v.new);
        UNTIL(&v.stage, !v.child->relink);
        m = raw_message("hh", STDERR_FILENO, STDERR_FILENO);
        e.body_size = m->envelope.body_size;
        memcpy(envelope_encode(&e, frame), m->body, e.body_size);
        assert_ok(raw_write(v.new.fd, frame, envelope_frame_size(&e), fds, 2));
        arbiter_message_unref(m);
        expect_death(&v, ARBITER_REASON_NO_CONNECTION);
}

/* Once is enough; after that it is an actor like any. */
static void test_says_it_again(void **state) {
        static struct victim v;
        uint64_t id;

        begin_and_take(&v);
        for (unsigned i = 0; i < 3; i++)
                say_relinked(&v.new);
        raw_send(&v.new, ENVELOPE_CAST, ENVELOPE_SYSTEM, "notify",
                        raw_message("ytt", ARBITER_STATE_RUNNING, (uint64_t)0, (uint64_t)0));
        id = raw_send(&v.new, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "list", NULL);
        UNTIL(&v.stage, !v.child->relink);
        settle(&v.stage);
        assert_int_equal(raw_answer(&v.new, id, NULL), ARBITER_OUTCOME_REPLY);
        assert_int_equal(v.child->state, ARBITER_STATE_RUNNING);
        end(&v);
}

/* Of what lies in the old link only the few words about its life count, and nonsense costs nobody anything;
 * descriptors among it are closed. */
static void test_old_mail(void **state) {
        static struct victim v;
        arbiter_message *m;
        int memfd;
        unsigned fds;

        stage_begin_here(&v.stage);
        fds = count_fds();
        v.child = adopt_process(&v.stage, "victim");
        give_old_link(v.child, &v.old);
        v.has_new = false;
        memfd = memfd_create("test", MFD_CLOEXEC);
        raw_send(&v.old, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "spawn",
                        raw_message("sssas", "victim", "child", "abcdefgh", 0U));
        raw_send(&v.old, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "kill_actor", raw_message("s", "victim"));
        raw_send(&v.old, ENVELOPE_CAST, ENVELOPE_SYSTEM, "links", raw_message("a(ts)", 0U));
        raw_send(&v.old, ENVELOPE_CAST, ENVELOPE_SYSTEM, "notify", raw_message("h", memfd));
        raw_send(&v.old, ENVELOPE_CAST, ENVELOPE_SYSTEM, "notify", raw_message("s", "nonsense"));
        raw_send(&v.old, ENVELOPE_CAST, ENVELOPE_SYSTEM, "exiting", raw_message("u", 4711U));
        raw_send(&v.old, ENVELOPE_CAST, 0, "exiting", raw_message("u", (uint32_t)ARBITER_REASON_WATCHDOG));
        raw_send(&v.old, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "exiting",
                        raw_message("u", (uint32_t)ARBITER_REASON_WATCHDOG));
        assert_int_equal(send(v.old.fd, "nonsense", 8, 0), 8);
        raw_send(&v.old, ENVELOPE_CAST, ENVELOPE_SYSTEM, "exiting",
                        raw_message("u", (uint32_t)ARBITER_REASON_OOM_KILL));
        close_fd(memfd);
        settle(&v.stage);
        assert_null(stage_child(&v.stage, "child"));
        assert_true(v.child->links_due);
        m = raw_signal(&v.old, "relink"); /* the offer has been made all the same */
        assert_non_null(m);
        arbiter_message_unref(m);
        assert_int_equal(kill(v.child->process.pid, SIGKILL), 0);
        UNTIL(&v.stage, !stage_child(&v.stage, "victim"));
        close_fd(v.old.fd);
        assert_int_equal(count_fds(), fds);
        v.old.fd = -EBADF;
        v.child = NULL;
        assert_int_equal(v.stage.arbiter->dead_aids[0].reason, ARBITER_REASON_OOM_KILL);
        end(&v);
}

/* What was kept is not what its name says. */
static void test_not_a_socket(void **state) {
        static struct victim v;
        int fds[2];

        stage_begin_here(&v.stage);
        v.has_new = false;
        v.old.fd = -EBADF;
        v.child = adopt_process(&v.stage, "victim");
        v.id = v.child->aid;
        assert_ok(child_relink(v.child, 1, memfd_create("test", MFD_CLOEXEC)));
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_ok(child_relink(v.child, 2, fds[0]));
        close_fd(fds[1]);
        expect_death(&v, ARBITER_REASON_NO_CONNECTION);
}

/* So many arbiters in a row: the oldest of what they had kept is given up, the rest is tried. */
static void test_many_ends(void **state) {
        static struct victim v;
        static struct raw last;

        stage_begin_here(&v.stage);
        v.child = adopt_process(&v.stage, "victim");
        for (unsigned i = 1; i <= 20; i++) {
                int fds[2];

                make_pair(fds);
                assert_ok(child_relink(v.child, i, fds[0]));
                if (i < 20)
                        close_fd(fds[1]);
                else
                        last.fd = fds[1];
        }
        take_new_link(&v.stage, &last, &v.new);
        v.has_new = true;
        v.old.fd = last.fd;
        say_relinked(&v.new);
        UNTIL(&v.stage, !v.child->relink);
        assert_int_equal(v.child->link_number, 21);
        end(&v);
}

/* An actor that does not read has a full socket: the offer comes when there is room. */
static void test_full_socket(void **state) {
        static const char datagram[1024];
        static struct victim v;
        int fds[2];

        stage_begin_here(&v.stage);
        v.child = adopt_process(&v.stage, "victim");
        make_pair(fds);
        while (send(fds[0], datagram, sizeof(datagram), MSG_DONTWAIT) > 0)
                ;
        memset(&v.old, 0, sizeof(v.old));
        v.old.fd = fds[1];
        assert_ok(child_relink(v.child, 1, fds[0]));
        settle(&v.stage);
        for (char c[2048]; recv(v.old.fd, c, sizeof(c), MSG_DONTWAIT) == sizeof(datagram);)
                ;
        UNTIL(&v.stage, poll(&(struct pollfd){.fd = v.old.fd, .events = POLLIN}, 1, 0) == 1);
        take_new_link(&v.stage, &v.old, &v.new);
        v.has_new = true;
        say_relinked(&v.new);
        UNTIL(&v.stage, !v.child->relink);
        end(&v);
}

/* Lies about direct links. */

struct teller {
        struct child *child;
        struct raw old, new;
};

static void make_teller(struct stage *s, struct teller *t, const char *name) {
        t->child = adopt_process(s, name);
        give_old_link(t->child, &t->old);
        take_new_link(s, &t->old, &t->new);
        say_relinked(&t->new);
        UNTIL(s, !t->child->relink);
}

static void tell(struct stage *s, struct teller *t, unsigned n, ...) {
        arbiter_message *m;
        va_list ap;

        assert_ok(arbiter_message_new(&m));
        assert_ok(arbiter_message_open_container(m, 'a', "(ts)"));
        va_start(ap, n);
        for (unsigned i = 0; i < n; i++) {
                unsigned id = va_arg(ap, unsigned);
                const char *with = va_arg(ap, const char *);

                assert_ok(arbiter_message_append(m, "(ts)", (uint64_t)id, with));
        }
        va_end(ap);
        assert_ok(arbiter_message_close_container(m));
        assert_ok(message_seal(m));
        raw_send(&t->new, ENVELOPE_CAST, ENVELOPE_SYSTEM, "links", m);
        UNTIL(s, !t->child->links_due);
        settle(s);
}

static void free_teller(struct teller *t) {
        close_fd(t->old.fd);
        close_fd(t->new.fd);
}

#define ID(t) ((t)->child->aid_string.s)

static void test_links(void **state) {
        static struct teller x, y, z, w;
        struct stage s;
        map *pairs;

        stage_begin_here(&s);
        make_teller(&s, &x, "x");
        make_teller(&s, &y, "y");
        make_teller(&s, &z, "z");
        make_teller(&s, &w, "w");
        pairs = s.arbiter->pairs;
        /* with nobody, with itself, with the arbiter, with no aid; and with y twice, by two numbers */
        tell(&s, &x, 7, 1U, "zzzzzzzz", 2U, ID(&x), 3U, "arbiter", 4U, "nonsense and more", 5U, ID(&z), 6U,
                        ID(&y), 6U, ID(&y));
        assert_int_equal(map_size(pairs), 2);
        assert_int_equal(x.child->n_pairs, 2);
        /* y has the number of x and z for its own link with w: those are two links */
        tell(&s, &y, 2, 6U, ID(&x), 5U, ID(&w));
        assert_int_equal(map_size(pairs), 3);
        assert_int_equal(y.child->n_pairs, 2);
        /* z knows nothing of x, and speaks of another link with y, who has told already */
        tell(&s, &z, 1, 9U, ID(&y));
        assert_int_equal(map_size(pairs), 2);
        assert_int_equal(z.child->n_pairs, 0);
        /* w contradicts y: neither has both ends of one link; and only it can disconnect what is its own */
        tell(&s, &w, 1, 8U, ID(&y));
        assert_int_equal(map_size(pairs), 1);
        raw_send(&w.new, ENVELOPE_CAST, ENVELOPE_SYSTEM, "disconnect", raw_message("t", (uint64_t)6));
        settle(&s);
        assert_int_equal(map_size(pairs), 1);
        /* a second time it has no word */
        raw_send(&w.new, ENVELOPE_CAST, ENVELOPE_SYSTEM, "links",
                        raw_message("a(ts)", 1U, (uint64_t)7, ID(&z)));
        settle(&s);
        assert_int_equal(map_size(pairs), 1);
        raw_send(&x.new, ENVELOPE_CAST, ENVELOPE_SYSTEM, "disconnect", raw_message("t", (uint64_t)6));
        settle(&s);
        assert_int_equal(map_size(pairs), 0);
        stage_end_here(&s);
        free_teller(&x);
        free_teller(&y);
        free_teller(&z);
        free_teller(&w);
}

/* Each dead life that it speaks of is answered; but not any number of them. */
static void test_many_links(void **state) {
        static struct teller x;
        arbiter_message *m;
        unsigned n = 0;
        struct raw_frame f;
        struct stage s;

        stage_begin_here(&s);
        make_teller(&s, &x, "x");
        assert_ok(arbiter_message_new(&m));
        assert_ok(arbiter_message_open_container(m, 'a', "(ts)"));
        for (unsigned i = 0; i < 8000; i++) {
                char with[AID_SIZE + 1];

                (void)snprintf(with, sizeof(with), "%08u", i);
                assert_ok(arbiter_message_append(m, "(ts)", (uint64_t)i, with));
        }
        assert_ok(arbiter_message_close_container(m));
        assert_ok(message_seal(m));
        assert_true(m->envelope.body_size > BODY_INLINE_MAX);
        {
                struct envelope e = {.kind = ENVELOPE_CAST,
                                .flags = ENVELOPE_SYSTEM | ENVELOPE_MEMFD,
                                .deadline = UINT64_MAX,
                                .command = "links",
                                .command_length = 5,
                                .signature = "a(ts)",
                                .signature_length = 5,
                                .body_size = m->envelope.body_size,
                                .n_fds = 1,
                                .sequence = ++x.new.sequence[LANE_SYSTEM]};
                uint8_t frame[512] __attribute__((aligned(8)));
                int memfd = message_body_to_memfd(m);

                assert_true(memfd >= 0);
                (void)envelope_encode(&e, frame);
                assert_ok(raw_write(x.new.fd, frame, envelope_frame_size(&e), &memfd, 1));
                close_fd(memfd);
        }
        arbiter_message_unref(m);
        UNTIL(&s, !x.child->links_due);
        for (;;) {
                settle(&s);
                if (raw_receive(&x.new, &f, 0) <= 0)
                        break;
                n += f.e.kind == ENVELOPE_SIGNAL && strcmp(f.e.command, "down") == 0;
                arbiter_message_unref(f.message);
        }
        assert_int_equal(n, 2 * CHILD_LINKS_MAX);
        stage_end_here(&s);
        free_teller(&x);
}

/* A running actor that says hello has a welcome like a new one; it stays what it is. */
static void test_hello_of_one_that_runs(void **state) {
        static struct victim v;
        uint64_t id;

        begin_and_take(&v);
        id = raw_send(&v.new, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "hello",
                        raw_hello_message(ENVELOPE_VERSION, ""));
        UNTIL(&v.stage, !v.child->relink);
        settle(&v.stage);
        assert_int_equal(raw_answer(&v.new, id, NULL), ARBITER_OUTCOME_REPLY);
        assert_int_equal(v.child->state, ARBITER_STATE_RUNNING);
        assert_int_equal(v.child->generation, 1);
        end(&v);
}

static int setup(void **state) {
        memset(board, 0, sizeof(*board));
        forget_all_kept();
        return 0;
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_floods_and_never_confirms, setup),
                        cmocka_unit_test_setup(test_speaks_too_soon, setup),
                        cmocka_unit_test_setup(test_takes_over_the_arbiter, setup),
                        cmocka_unit_test_setup(test_says_it_again, setup),
                        cmocka_unit_test_setup(test_old_mail, setup),
                        cmocka_unit_test_setup(test_not_a_socket, setup),
                        cmocka_unit_test_setup(test_many_ends, setup),
                        cmocka_unit_test_setup(test_full_socket, setup),
                        cmocka_unit_test_setup(test_links, setup),
                        cmocka_unit_test_setup(test_many_links, setup),
                        cmocka_unit_test_setup(test_hello_of_one_that_runs, setup),
        };

        return RELINK_RUN("relink, hostile", tests);
}
