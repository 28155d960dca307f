/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See mail-fixture.h. Nothing in here sleeps, but for turns of the loop while another process works. */

#include "mail-fixture.h"

struct board *board;

void mail_board(void) {
        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(board != MAP_FAILED);
}

uint64_t mail_now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* The worker. */

static unsigned own_number(arbiter_actor *a) {
        const char *dot = strchr(arbiter_actor_get_name(a), '.');
        unsigned long n = dot ? strtoul(dot + 1, NULL, 10) : 0;

        return n <= WORKERS ? (unsigned) n : 0;
}

static int worker_start(arbiter_actor *a, void *userdata) {
        atomic_store(&board->pid[own_number(a)], getpid());
        atomic_fetch_add(&board->lives[own_number(a)], 1);
        return 0;
}

/* Of this process, and of this number: so that a run can be repeated. */
static uint32_t dice(uint32_t number) {
        uint32_t v = number * 2654435761U;

        return v ^ v >> 15;
}

static void misfortune(arbiter_actor *a, uint32_t number, bool before) {
        int kill_every = atomic_load(&board->kill_every), stop_every = atomic_load(&board->stop_every);

        if (kill_every > 0 && dice(number) % (unsigned) kill_every == 0 &&
                        (dice(number) >> 16 & 1) == before) {
                atomic_fetch_add(&board->kills, 1);
                (void) kill(getpid(), SIGKILL);
        }
        if (!before && stop_every > 0 && dice(number) % (unsigned) stop_every == 0)
                (void) arbiter_actor_stop(a, 1);
}

static int on_number(arbiter_actor *a, arbiter_message *m, void *userdata) {
        unsigned me = own_number(a);
        uint32_t number;
        int64_t last;
        int r;

        r = arbiter_message_read(m, "u", &number);
        if (r < 0)
                return r;
        misfortune(a, number, true);
        atomic_fetch_add(&board->ran[number], 1);
        board->by[number] = (uint8_t) me;
        atomic_fetch_add(&board->n_ran[me], 1);
        last = atomic_exchange(&board->last, number);
        if (last >= (int64_t) number)
                atomic_fetch_add(&board->order_errors, 1);
        misfortune(a, number, false);
        return arbiter_message_reply(m, "u", number);
}

static int on_block(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint32_t number;
        int r;

        r = arbiter_message_read(m, "u", &number);
        if (r < 0)
                return r;
        atomic_fetch_add(&board->ran[number], 1);
        atomic_store(&board->last, number);
        atomic_fetch_add(&board->entered, 1);
        while (atomic_load(&board->blocks))
                (void) poll(NULL, 0, 1);
        return arbiter_message_reply(m, "u", number);
}

static int on_stop_yourself(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_actor_stop(a, 1);
}

static void on_dead_letter(arbiter_actor *a, const arbiter_dead_letter *letter, void *userdata) {
        if (strcmp(letter->command, "Number") == 0)
                atomic_fetch_add(&board->dead_letters, 1);
}

/* Nothing else of the mailbox is begun until it is answered, which it never is; it counts dead letters. */
static int on_hold_up(arbiter_actor *a, arbiter_message *m, void *userdata) {
        static arbiter_message *kept;

        kept = arbiter_message_ref(m);
        return kept ? arbiter_actor_subscribe_dead_letters(a, on_dead_letter, NULL) : -ENOMEM;
}

static const arbiter_command worker_commands[] = {
        ARBITER_COMMAND("Number", "u", "number", "u", "number", on_number, 0),
        ARBITER_COMMAND("Block", "u", "number", "u", "number", on_block, 0),
        ARBITER_COMMAND("StopYourself", "", "", "", "", on_stop_yourself, 0),
        ARBITER_COMMAND("StopAtOnce", "", "", "", "", on_stop_yourself, ARBITER_COMMAND_SYSTEM),
        ARBITER_COMMAND("HoldUp", "", "", "", "", on_hold_up, ARBITER_COMMAND_EXCLUSIVE),
        ARBITER_COMMANDS_END,
};
const arbiter_module mail_worker = {
        ARBITER_MODULE_HEAD, .name = "worker", .commands = worker_commands, .start = worker_start };

/* The sender. */

struct stream {
        arbiter_message *request; /* to be answered at the end */
        arbiter_proxy *proxy;
        char target[80];
        uint32_t next, end, pending, first;
        uint32_t options;
};

struct sent {
        struct stream *stream;
        arbiter_actor *actor;
        uint32_t number;
};

static void pump(arbiter_actor *a, struct stream *s);

static void on_outcome(arbiter_future *f, void *userdata) {
        struct sent *sent = userdata;
        uint32_t n = sent->number;

        board->outcome[n] = (uint8_t) arbiter_future_get_outcome(f);
        board->executed[n] = (uint8_t) arbiter_future_get_executed(f);
        if (getenv("ARBITER_TEST_LOG") && board->outcome[n] != ARBITER_OUTCOME_REPLY)
                (void) fprintf(stderr, "# %u: %s\n", n, arbiter_future_get_error_text(f));
        atomic_fetch_add(&board->outcomes[n], 1);
        if (--sent->stream->pending == 0)
                pump(sent->actor, sent->stream);
        free(sent);
}

static int send_one(arbiter_actor *a, struct stream *s, uint32_t number, arbiter_future **ret) {
        arbiter_message *m;
        arbiter_send_options o = {
                .size = sizeof(o),
                .timeout_usec = GUARD_USEC,
                .flags = s->options & MAIL_HOLD ? ARBITER_SEND_HOLD : 0,
        };
        uint32_t key = number % 1000;
        const char *command = number == s->first && atomic_load(&board->blocks) ? "Block" : "Number";
        int r;

        if (s->options & MAIL_KEYS) {
                o.key = &key;
                o.key_size = sizeof(key);
        }
        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_append(m, "u", number);
        if (r >= 0)
                r = s->proxy ? arbiter_send_message(a, NULL, s->proxy, command, m, GUARD_USEC, ret)
                             : arbiter_send_with(a, s->target, command, m, &o, ret);
        arbiter_message_unref(m);
        return r;
}

static void send_number(arbiter_actor *a, struct stream *s, uint32_t number) {
        bool cast = s->options & MAIL_CASTS ? true : s->options & MAIL_REQUESTS ? false : number % 2;
        arbiter_future *f = NULL;
        struct sent *sent;

        if (cast) {
                (void) send_one(a, s, number, NULL);
                return;
        }
        sent = calloc(1, sizeof(*sent));
        if (!sent || send_one(a, s, number, &f) < 0)
                _exit(99);
        *sent = (struct sent){ .stream = s, .actor = a, .number = number };
        s->pending++;
        if (arbiter_future_then(f, on_outcome, sent) < 0)
                _exit(98);
        arbiter_future_unref(f);
}

static void finish(struct stream *s) {
        (void) arbiter_message_reply(s->request, "u", s->end);
        arbiter_message_unref(s->request);
        arbiter_proxy_unref(s->proxy);
        free(s);
}

static void pump(arbiter_actor *a, struct stream *s) {
        while (s->pending == 0 && s->next < s->end)
                for (unsigned i = 0; i < BURST && s->next < s->end; i++)
                        send_number(a, s, s->next++);
        if (s->pending == 0)
                finish(s);
}

static int on_stream(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct stream *s = calloc(1, sizeof(*s));
        const char *target, *aid, *name;
        uint32_t n, generation;
        int r;

        if (!s)
                return -ENOMEM;
        r = arbiter_message_read(
                        m, "suuussu", &target, &s->first, &n, &s->options, &aid, &name, &generation);
        if (r >= 0 && *aid)
                r = arbiter_proxy_new(aid, name, generation, &s->proxy);
        if (r < 0) {
                free(s);
                return r;
        }
        (void) snprintf(s->target, sizeof(s->target), "%s", target);
        s->next = s->first;
        s->end = s->first + n;
        s->request = arbiter_message_ref(m);
        pump(a, s);
        return 0;
}

static int sender_start(arbiter_actor *a, void *userdata) {
        return arbiter_actor_subscribe_dead_letters(a, on_dead_letter, NULL);
}

static const arbiter_command sender_commands[] = {
        ARBITER_COMMAND("Stream", "suuussu", "target first n options aid name generation", "u", "end",
                        on_stream, 0),
        ARBITER_COMMANDS_END,
};
const arbiter_module mail_sender = {
        ARBITER_MODULE_HEAD, .name = "sender", .commands = sender_commands, .start = sender_start };

/* The arbiter. */

static void on_log(const arbiter_log_entry *e, void *userdata) {
        if (getenv("ARBITER_TEST_LOG"))
                (void) fprintf(stderr, "# %s: %s\n", e->event ? e->event : "", e->text);
}

void mail_setup(struct mail *x, arbiter_concurrency kind) {
        *x = (struct mail){ .kind = kind };
        memset(board, 0, sizeof(*board));
        atomic_store(&board->last, -1);
        assert_ok(arbiter_new(NULL, NULL, &x->arbiter));
        x->root = arbiter_get_actor(x->arbiter);
        x->event = arbiter_get_event(x->arbiter);
        assert_ok(arbiter_set_log_handler(x->arbiter, on_log, x));
        assert_ok(arbiter_start(x->arbiter));
}

void mail_teardown(struct mail *x) {
        if (x->pool)
                arbiter_monitor_unref(x->pool);
        assert_ok(arbiter_stop(x->arbiter, 0));
        assert_int_equal(arbiter_run(x->arbiter, false), 0);
        arbiter_unref(x->arbiter);
}

void mail_wait(struct mail *x, arbiter_future *f) {
        assert_ok(arbiter_future_wait(f, GUARD_USEC));
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                fail_msg("%s", arbiter_future_get_error_text(f));
}

arbiter_spawn *mail_describe(struct mail *x, const char *name, const arbiter_module *module) {
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(x->arbiter, name, &s));
        assert_ok(arbiter_spawn_set_module(s, module));
        assert_ok(arbiter_spawn_set_concurrency(s, x->kind));
        if (x->kind == ARBITER_CONCURRENCY_PROCESS && geteuid() == 0)
                assert_ok(arbiter_spawn_set_user(s, "root"));
        return s;
}

void mail_start_pool(struct mail *x, unsigned n, arbiter_routing routing, arbiter_mail_on_restart mail) {
        arbiter_spawn *s = mail_describe(x, "web", &mail_worker);
        arbiter_future *f;

        assert_ok(arbiter_spawn_set_mail_on_restart(s, mail));
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        assert_ok(arbiter_monitor_new(x->arbiter, "web", s, NULL, &x->pool));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_intensity(x->pool, UINT_MAX, 0));
        assert_ok(arbiter_monitor_set_backoff(x->pool, UINT64_MAX, 0, 0, UINT_MAX, 0));
        assert_ok(arbiter_monitor_set_routing(x->pool, routing));
        assert_ok(arbiter_monitor_start(x->pool, n, &f));
        mail_wait(x, f);
        arbiter_future_unref(f);
}

void mail_start_sender(struct mail *x, const char *name) {
        arbiter_spawn *s = mail_describe(x, name, &mail_sender);
        arbiter_future *f;

        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        mail_wait(x, f);
        arbiter_future_unref(f);
}

/* Whose life it is now. */
static void find_aid(struct mail *x, const char *target, char ret[static 16]) {
        const char *aid, *name, *monitor, *concurrency, *state;
        arbiter_message *m;
        uint64_t uptime;
        uint32_t pid;

        assert_ok(arbiter_call(x->root, &m, "arbiter", "list", 0, ""));
        assert_true(arbiter_message_enter_container(m, 'a', "(sssssut)") > 0);
        *ret = 0;
        while (arbiter_message_read(m, "(sssssut)", &aid, &name, &monitor, &concurrency, &state, &pid,
                               &uptime) > 0)
                if (strcmp(name, target) == 0)
                        (void) snprintf(ret, 16, "%s", aid);
        arbiter_message_unref(m);
        assert_true(*ret);
}

arbiter_future *mail_stream(struct mail *x, const char *sender, const char *target, uint32_t first,
                uint32_t n, unsigned options) {
        arbiter_future *f;
        char aid[16] = "";

        assert_true(first + n <= NUMBERS);
        if (options & MAIL_BY_PROXY)
                find_aid(x, target, aid);
        assert_ok(arbiter_call_async(x->root, &f, sender, "Stream", UINT64_MAX, "suuussu", target, first, n,
                        (uint32_t) options, aid, target, (uint32_t) 1));
        return f;
}

void mail_finish(struct mail *x, arbiter_future *f) {
        mail_wait(x, f);
        arbiter_future_unref(f);
}

unsigned mail_check(uint32_t first, uint32_t n) {
        unsigned failed = 0;

        for (uint32_t i = first; i < first + n; i++) {
                unsigned ran = atomic_load(&board->ran[i]), outcomes = atomic_load(&board->outcomes[i]);

                if (ran > 1)
                        fail_msg("%u has run %u times", i, ran);
                if (outcomes > 1)
                        fail_msg("%u has had %u outcomes", i, outcomes);
                if (outcomes == 0)
                        continue; /* a cast */
                failed += board->outcome[i] != ARBITER_OUTCOME_REPLY;
                if ((board->executed[i] == ARBITER_EXECUTED_YES && ran == 0) ||
                                (board->executed[i] == ARBITER_EXECUTED_NO && ran > 0))
                        fail_msg("%u: %s, but it has run %u times", i,
                                        arbiter_outcome_to_string(board->outcome[i]), ran);
        }
        return failed;
}

unsigned mail_count_not_run(uint32_t first, uint32_t n) {
        unsigned not_run = 0;

        for (uint32_t i = first; i < first + n; i++)
                not_run += atomic_load(&board->ran[i]) == 0;
        return not_run;
}

unsigned mail_count_lost_casts(uint32_t first, uint32_t n) {
        unsigned lost = 0;

        for (uint32_t i = first; i < first + n; i++)
                lost += atomic_load(&board->outcomes[i]) == 0 && atomic_load(&board->ran[i]) == 0;
        return lost;
}
