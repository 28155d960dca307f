/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of re-adoption start: the arbiter program, which does as the test says, and its workers.
 * A line of its configuration is "monitor NAME WORKERS KIND [KEY=VALUE ...]", "actor NAME KIND [...]" or
 * "definition NAME KIND [...]"; "tree NAME STRATEGY PARENT INTENSITY" (PARENT "-": none), then in start
 * order "child PARENT NAME KIND [...]" and "pool PARENT NAME WORKERS KIND", and "start NAME". restart= and
 * stop= (milliseconds) are for the spawn, surge=, unavailable=, drain= and backoff= (milliseconds, and no
 * limit of restarts) for the monitor, all else are parameters. Never asserts: it is not the test. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "adopt-fixture.h"
#include "arbiter/control.h"
#include "state-check.h"

static int test_fd = -1;
static arbiter *the;

#define CHECK(expression)                                                                                   \
        do {                                                                                                \
                long _r = (long) (expression);                                                              \
                if (_r < 0) {                                                                               \
                        fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expression,                 \
                                        strerror((int) -_r));                                               \
                        _exit(17);                                                                          \
                }                                                                                           \
        } while (0)

/* Workers. */

static void map_shared(void) {
        const char *path = getenv("ADOPT_SHARED");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

        shared = fd < 0 ? MAP_FAILED
                        : mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared == MAP_FAILED)
                _exit(18);
        close(fd);
        atomic_fetch_add(&shared->starts, 1);
}

struct worker {
        sd_event_source *timer;
        unsigned pool, next;
        uint64_t waiting;
        bool quiet;
        arbiter_future *never;
        arbiter_message *held;
};

static int on_ping_pool(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        atomic_fetch_add(&shared->ran, 1);
        return arbiter_message_reply(m, "x", n + 1);
}

static void on_answer(arbiter_future *f, void *userdata) {
        struct worker *w = userdata;

        w->waiting--;
        switch (arbiter_future_get_executed(f)) {
        case ARBITER_EXECUTED_YES:
                atomic_fetch_add(&shared->replied, 1);
                break;
        case ARBITER_EXECUTED_NO:
                atomic_fetch_add(&shared->not_executed, 1);
                break;
        default:
                atomic_fetch_add(&shared->unknown, 1);
        }
        arbiter_future_unref(f);
}

/* By the name of a pool, or of one of its workers, and for as long as it takes to have one again. */
static int ask_and_hold(arbiter_actor *a, const char *target, int64_t n, arbiter_future **ret) {
        const arbiter_send_options o = {
                .size = sizeof(o), .flags = ARBITER_SEND_HOLD, .timeout_usec = 60 * 1000 * 1000 };
        arbiter_message *m;
        int r = arbiter_message_new(&m);

        if (r >= 0)
                r = arbiter_message_append(m, "x", n);
        if (r >= 0)
                r = arbiter_send_with(a, target, "Work", m, &o, ret);
        arbiter_message_unref(m);
        return r;
}

static int on_load_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        arbiter_actor *a = userdata;
        const char *pool = arbiter_actor_get_parameter(a, "pool");
        struct worker *w = arbiter_actor_get_userdata(a);
        bool pause = atomic_load(&shared->pause);
        char target[16];

        for (unsigned i = 0; i < 4 && !pause && w->waiting < 64; i++) {
                arbiter_future *f;

                (void) snprintf(target, sizeof(target), "web.%u", 1 + w->next++ % w->pool);
                if (pool) {
                        if (ask_and_hold(a, i % 2 ? pool : target, i, &f) < 0)
                                _exit(19);
                } else if (streq(target, arbiter_actor_get_name(a)) ||
                                arbiter_call_async(a, &f, target, "Work", 60 * 1000 * 1000, "x",
                                                (int64_t) i) < 0)
                        continue;
                atomic_fetch_add(&shared->sent, 1);
                w->waiting++;
                if (arbiter_future_then(f, on_answer, w) < 0)
                        _exit(19);
        }
        if (pause && w->waiting == 0 && !w->quiet) {
                w->quiet = true;
                atomic_fetch_add(&shared->loaded, 1);
        }
        (void) sd_event_source_set_time_relative(s, 500);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void on_exit_heard(arbiter_actor *a, const arbiter_down *down, void *userdata) {
        atomic_fetch_add(&shared->exits_heard, 1);
}

static int never(void *userdata) {
        pause();
        return 0;
}

static int on_start(arbiter_actor *a, void *userdata) {
        const char *pool = arbiter_actor_get_parameter(a, "load");
        struct worker *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, w);
        if (arbiter_actor_get_parameter(a, "never-starts")) {
                if (arbiter_actor_run_in_thread(a, never, NULL, &w->never) < 0)
                        return -EIO;
                return arbiter_actor_delay_start(a, w->never);
        }
        if (arbiter_actor_get_parameter(a, "never-stops"))
                (void) signal(SIGTERM, SIG_IGN);
        if (!pool)
                return 0;
        w->pool = (unsigned) atoi(pool);
        return sd_event_add_time_relative(arbiter_actor_get_event(a), &w->timer, CLOCK_MONOTONIC, 500, 1,
                        on_load_timer, a);
}

static int on_stopping(arbiter_actor *a, void *userdata) {
        struct worker *w = userdata;

        if (!arbiter_actor_get_parameter(a, "never-stops"))
                return 0;
        if (arbiter_actor_run_in_thread(a, never, NULL, &w->never) < 0)
                return -EIO;
        return arbiter_actor_delay_stop(a, w->never);
}

static void on_worker_exit(arbiter_actor *a, void *userdata) {
        struct worker *w = userdata;

        if (!w)
                return; /* it never came to start */
        sd_event_source_disable_unref(w->timer);
        arbiter_future_unref(w->never);
        arbiter_message_unref(w->held);
        free(w);
}

static int on_link_to(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = NULL;
        const char *id;
        int r = arbiter_message_read(m, "s", &id);

        if (r >= 0)
                r = arbiter_proxy_new(id, "", 1, &p);
        if (r >= 0)
                r = arbiter_actor_trap_exit(a, on_exit_heard, NULL);
        if (r >= 0)
                r = arbiter_actor_link(a, p);
        return r < 0 ? r : arbiter_message_reply(m, "");
}

/* Begun, and not answered before "Release". */
static int on_hold(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct worker *w = userdata;

        arbiter_message_unref(w->held);
        w->held = arbiter_message_ref(m);
        return 0;
}

static int on_release(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct worker *w = userdata;

        if (w->held)
                (void) arbiter_message_reply(w->held, "x", (int64_t) 1);
        w->held = arbiter_message_unref(w->held);
        return arbiter_message_reply(m, "x", (int64_t) 0);
}

/* Has somebody hold a request of ours. */
static int on_hold_at(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct worker *w = userdata;
        arbiter_future *f;
        const char *target;
        int r = arbiter_message_read(m, "s", &target);

        if (r >= 0)
                r = arbiter_call_async(a, &f, target, "Hold", UINT64_MAX, "x", (int64_t) 1);
        if (r < 0)
                return r;
        w->waiting++;
        if (arbiter_future_then(f, on_answer, w) < 0)
                _exit(19);
        return arbiter_message_reply(m, "");
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("Work", "x", "n", "x", "n", on_ping_pool, 0),
        ARBITER_COMMAND("LinkTo", "s", "aid", "", "", on_link_to, 0),
        ARBITER_COMMAND("Hold", "x", "n", "x", "n", on_hold, 0),
        ARBITER_COMMAND("Release", "x", "n", "x", "n", on_release, ARBITER_COMMAND_SYSTEM),
        ARBITER_COMMAND("HoldAt", "s", "target", "", "", on_hold_at, 0),
        ARBITER_COMMANDS_END,
};

static const arbiter_module worker_module = {
        ARBITER_MODULE_HEAD,
        .name = "worker",
        .commands = commands,
        .start = on_start,
        .stopping = on_stopping,
        .exit = on_worker_exit,
};

static _noreturn_ void run_plain(const char *kind) {
        if (streq(kind, "crash"))
                _exit(3);
        if (streq(kind, "notify"))
                (void) sd_notify(0, "READY=1\nSTATUS=at work");
        for (;;)
                pause();
}

/* The arbiter: what it says. */

static void say(const char *message, int fd) {
        if (program_send(test_fd, message, fd) < 0)
                _exit(20); /* the test has gone */
}

static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *format, ...) {
        char text[LINE_SIZE] = "A";
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text + 1, sizeof(text) - 1, format, ap);
        va_end(ap);
        say(text, -1);
}

static void answer_end(int r) {
        char text[16];

        (void) snprintf(text, sizeof(text), "E%d", r);
        say(text, -1);
}

static int on_keep(arbiter *a, const char *name, int fd, void *userdata) {
        char text[80];

        (void) snprintf(text, sizeof(text), "%c%s", fd < 0 ? 'F' : 'K', name);
        say(text, fd);
        return 0;
}

static void tell_event(void) {
        say("V", -1);
}

static void on_actor(const struct actor_view *v, void *userdata) {
        tell_event();
}

static void on_actor_gone(const struct actor_view *v, arbiter_reason reason, int status, void *userdata) {
        tell_event();
}

static void on_monitor(const struct monitor_view *v, void *userdata) {
        tell_event();
}

static void on_monitor_gone(const char *name, void *userdata) {
        tell_event();
}

static struct control_observer observer = {
        .actor_new = on_actor,
        .actor_changed = on_actor,
        .actor_gone = on_actor_gone,
        .monitor_new = on_monitor,
        .monitor_changed = on_monitor,
        .monitor_gone = on_monitor_gone,
};

static void on_log(const arbiter_log_entry *e, void *userdata) {
        if (getenv("ADOPT_VERBOSE"))
                fprintf(stderr, "[%d] <%d> %s\n", (int) getpid(), e->level, e->text);
}

/* Its configuration. */

struct monitor_options {
        unsigned surge, unavailable, drain, backoff;
};

static bool set_monitor_option(struct monitor_options *o, const char *key, const char *value) {
        unsigned *to = streq(key, "surge")     ? &o->surge :
                       streq(key, "unavailable") ? &o->unavailable :
                       streq(key, "drain")       ? &o->drain :
                       streq(key, "backoff")     ? &o->backoff :
                                                   NULL;

        if (to)
                *to = (unsigned) atoi(value);
        return to;
}

static void set_option(arbiter_spawn *s, struct monitor_options *o, const char *option) {
        const char *value = strchr(option, '=');
        char key[64];

        if (!value)
                return;
        (void) snprintf(key, sizeof(key), "%.*s", (int) (value - option), option);
        value++;
        if (streq(key, "restart"))
                CHECK(arbiter_spawn_set_restart(s, streq(value, "permanent") ? ARBITER_RESTART_PERMANENT
                                                : streq(value, "transient")  ? ARBITER_RESTART_TRANSIENT
                                                                             : ARBITER_RESTART_TEMPORARY));
        else if (streq(key, "stop"))
                CHECK(arbiter_spawn_set_timeouts(s, 0, 0, strtoull(value, NULL, 10) * 1000, 0));
        else if (!set_monitor_option(o, key, value))
                CHECK(arbiter_spawn_set_parameter(s, key, value));
}

static arbiter_spawn *make_spawn(const char *name, const char *kind, char *options,
                struct monitor_options *ret) {
        const char *const worker[] = { "/proc/self/exe", "worker", NULL },
                          *const plain[] = { "/proc/self/exe", "plain", kind, NULL };
        arbiter_spawn *s;
        char self[256] = {}, *save = NULL;
        const char *argv[4];
        bool mailbox = streq(kind, "mailbox"), module = streq(kind, "forked") || streq(kind, "inline"),
             thread = streq(kind, "thread");

        CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1));
        CHECK(arbiter_spawn_new(the, name, &s));
        memcpy(argv, mailbox ? worker : plain, mailbox ? sizeof(worker) : sizeof(plain));
        argv[0] = self;
        if (module)
                CHECK(arbiter_spawn_set_module(s, &worker_module));
        else if (thread)
                CHECK(arbiter_spawn_set_module_file(s, getenv("ADOPT_MODULE")));
        else
                CHECK(arbiter_spawn_set_exec(s, argv,
                                mailbox                  ? ARBITER_EXEC_MAILBOX
                                : streq(kind, "notify") ? ARBITER_EXEC_NOTIFY
                                                         : ARBITER_EXEC_EXEC));
        if (thread || streq(kind, "inline"))
                CHECK(arbiter_spawn_set_concurrency(s,
                                thread ? ARBITER_CONCURRENCY_THREAD : ARBITER_CONCURRENCY_INLINE));
        if (!module)
                CHECK(arbiter_spawn_set_environment(s, "ADOPT_SHARED", getenv("ADOPT_SHARED")));
        for (char *o = strtok_r(options, " ", &save); o; o = strtok_r(NULL, " ", &save))
                set_option(s, ret, o);
        return s;
}

static void start_monitor(const char *name, unsigned n, arbiter_spawn *s, const struct monitor_options *o) {
        arbiter_monitor *m;

        CHECK(arbiter_monitor_new(the, name, s, NULL, &m));
        CHECK(arbiter_monitor_set_roll(m, o->surge, o->unavailable, o->drain * 1000ULL));
        if (o->backoff > 0) {
                CHECK(arbiter_monitor_set_intensity(m, UINT32_MAX, 0));
                CHECK(arbiter_monitor_set_backoff(m, o->backoff * 1000ULL, o->backoff * 4000ULL, 2, 0, 0));
        }
        if (arbiter_monitor_start(m, n, NULL) == -ECANCELED)
                (void) arbiter_monitor_stop(m, NULL);
        arbiter_monitor_unref(m);
}

static void add_monitor(const char *parent, arbiter_monitor *m, unsigned workers) {
        const arbiter_child_spec spec = { .size = sizeof(spec), .workers = workers };

        CHECK(arbiter_monitor_add_monitor(arbiter_find_monitor(the, parent), m, &spec, NULL));
}

static void make_tree(const char *name, const char *rest) {
        char strategy[16], parent[64];
        unsigned intensity;
        arbiter_monitor *m;

        if (sscanf(rest, "%15s %63s %u", strategy, parent, &intensity) != 3)
                _exit(24);
        CHECK(arbiter_monitor_new(the, name, NULL, NULL, &m));
        for (int s = ARBITER_STRATEGY_ONE_FOR_ONE; s <= ARBITER_STRATEGY_REST_FOR_ONE; s++)
                if (streq(strategy, arbiter_strategy_to_string(s)))
                        CHECK(arbiter_monitor_set_strategy(m, s));
        CHECK(arbiter_monitor_set_failure_action(m, ARBITER_FAILURE_NONE, 0));
        CHECK(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        CHECK(arbiter_monitor_set_intensity(m, intensity, 3600ULL * 1000 * 1000));
        if (!streq(parent, "-"))
                add_monitor(parent, m, 0);
        arbiter_monitor_unref(m);
}

/* "NAME KIND ..." or, of a pool, "NAME WORKERS KIND ..." */
static void add_child(const char *parent, char *rest, bool pool) {
        char name[64], kind[16];
        struct monitor_options options = { .unavailable = 1 };
        arbiter_monitor *m;
        arbiter_spawn *s;
        unsigned n = 0;
        int end = 0;

        if (pool ? sscanf(rest, "%63s %u %15s%n", name, &n, kind, &end) != 3
                 : sscanf(rest, "%63s %15s%n", name, kind, &end) != 2)
                _exit(25);
        s = make_spawn(name, kind, rest + end, &options);
        if (pool) {
                CHECK(arbiter_monitor_new(the, name, s, NULL, &m));
                add_monitor(parent, m, n);
                arbiter_monitor_unref(m);
        } else {
                if (!strstr(rest + end, "restart="))
                        CHECK(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
                CHECK(arbiter_monitor_add_actor(arbiter_find_monitor(the, parent), s, NULL, NULL));
        }
        arbiter_spawn_unref(s);
}

static bool apply_tree_line(const char *what, const char *name, char *rest) {
        if (streq(what, "tree"))
                make_tree(name, rest);
        else if (streq(what, "child") || streq(what, "pool"))
                add_child(name, rest, streq(what, "pool"));
        else if (streq(what, "start")) {
                if (arbiter_monitor_start(arbiter_find_monitor(the, name), 0, NULL) == -ECANCELED)
                        (void) arbiter_monitor_stop(arbiter_find_monitor(the, name), NULL);
        } else
                return false;
        return true;
}

static void apply_line(char *line) {
        char what[16], name[64], kind[16];
        struct monitor_options options = { .unavailable = 1 };
        arbiter_spawn *s;
        unsigned n = 0;
        int end = 0, r;

        if (sscanf(line, "%15s %63s %n", what, name, &end) != 2)
                return;
        line += end;
        if (apply_tree_line(what, name, line))
                return;
        if (streq(what, "monitor")) {
                n = (unsigned) strtoul(line, &line, 10);
                line++;
        }
        if (sscanf(line, "%15s%n", kind, &end) != 1)
                return;
        s = make_spawn(name, kind, line + end, &options);
        if (streq(what, "monitor"))
                start_monitor(name, n, s, &options);
        else if (streq(what, "definition"))
                CHECK(arbiter_add_definition(the, s));
        else {
                r = arbiter_spawn_start(s, NULL);
                if (r != -ECANCELED)
                        CHECK(r);
        }
        arbiter_spawn_unref(s);
}

static void apply(char *config) {
        char *save = NULL;

        for (char *line = strtok_r(config, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                apply_line(line);
}

/* What it is asked. */

static int list_actors(void) {
        struct actor_view *v;
        size_t n;
        int r = control_list_actors(the, &v, &n);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                answer("%s %s %u %d %s", v[i].name, v[i].aid, v[i].generation, (int) v[i].pid,
                                arbiter_state_to_string(v[i].state));
        free(v);
        return 0;
}

static int show_monitor(const char *name) {
        struct monitor_view v;
        int r = control_get_monitor(the, name, &v);

        if (r >= 0)
                answer("%s %s %u %u %u %u %u %u", v.aid, v.state, v.workers, v.running, v.failed, v.backoff,
                                v.restarts, v.revision);
        return r;
}

static int show_roll(const char *name) {
        arbiter_roll roll = { .size = sizeof(roll) };
        int r = arbiter_monitor_get_roll(arbiter_find_monitor(the, name), &roll);

        if (r >= 0)
                answer("%s", arbiter_roll_state_to_string(roll.state));
        return r;
}

static int show_load(const char *name) {
        struct actor_view v;
        int r = control_get_actor(the, name, &v);

        if (r >= 0)
                answer("%u %llu %u", v.requests_begun, (unsigned long long) v.requests_done, v.draining);
        return r;
}

static int list_deaths(const char *target) {
        struct death_view *v;
        size_t n;
        int r = control_list_deaths(the, target, &v, &n);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                answer("%s %u %s %d", v[i].name, v[i].generation, arbiter_reason_to_string(v[i].reason),
                                v[i].status);
        free(v);
        return 0;
}

static void drop(arbiter_future *f, void *userdata) {
        answer_end(arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY ? 0 : -EIO);
        arbiter_future_unref(f);
}

/* Answers when it is done. */
static int defer(int r, arbiter_future **f) {
        if (r >= 0)
                r = arbiter_future_then(*f, drop, NULL);
        return r < 0 ? r : 1;
}

static int ask(const char *target, const char *command, const char *argument) {
        arbiter_future *f;
        int r;

        r = streq(command, "LinkTo") || streq(command, "HoldAt")
                        ? arbiter_call_async(arbiter_get_actor(the), &f, target, command, 0, "s", argument)
                        : arbiter_call_async(arbiter_get_actor(the), &f, target, command, 0, "x",
                                          (int64_t) atoi(argument));
        return defer(r, &f);
}

/* What it has written is what it is. In a turn of its own: it has to have been written. */
static int on_check(sd_event_source *s, void *userdata) {
        state_check(the);
        answer_end(0);
        return 0;
}

static int check_state(void) {
        int r = sd_event_add_defer(arbiter_get_event(the), NULL, on_check, NULL);

        return r < 0 ? r : 1;
}

static int do_command(const char *command) {
        char word[16] = "", x[80] = "", y[80] = "", z[80] = "";
        uint32_t before;
        arbiter_future *f = NULL;

        (void) sscanf(command, "%15s %79s %79s %79s", word, x, y, z);
        if (streq(word, "list"))
                return list_actors();
        if (streq(word, "monitor"))
                return show_monitor(x);
        if (streq(word, "load"))
                return show_load(x);
        if (streq(word, "deaths"))
                return list_deaths(x);
        if (streq(word, "scale"))
                return defer(control_scale(the, x, (uint32_t) atoi(y), &before, &f), &f);
        if (streq(word, "begin-scale")) /* and do not wait for it */
                return control_scale(the, x, (uint32_t) atoi(y), &before, &f);
        if (streq(word, "stop"))
                return defer(control_stop(the, x, &f), &f);
        if (streq(word, "begin-stop"))
                return control_stop(the, x, &f);
        if (streq(word, "restart"))
                return defer(control_restart(the, x, &f), &f);
        if (streq(word, "begin-restart"))
                return control_restart(the, x, &f);
        if (streq(word, "begin-abort"))
                return arbiter_monitor_abort_roll(arbiter_find_monitor(the, x), NULL);
        if (streq(word, "roll"))
                return show_roll(x);
        if (streq(word, "spawn"))
                return defer(control_spawn(the, x, y, NULL, NULL, &f), &f);
        if (streq(word, "begin-spawn"))
                return control_spawn(the, x, y, NULL, NULL, &f);
        if (streq(word, "ask"))
                return ask(x, y, z);
        if (streq(word, "check"))
                return check_state();
        if (streq(word, "exit"))
                return arbiter_stop(the, 0);
        return -EINVAL;
}

static int on_test(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        char text[LINE_SIZE] = {};
        ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
        int r;

        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n <= 0)
                _exit(21);
        control_turn_begin(the);
        r = do_command(text + 1);
        control_turn_end(the); /* what it has decided is written by now */
        if (r <= 0)
                answer_end(r);
        return 0;
}

/* Its start. */

static int receive(char *text, size_t size, int *ret_fd) {
        uint8_t control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
        struct iovec iov = { text, size - 1 };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                .msg_controllen = sizeof(control) };
        struct cmsghdr *c;
        ssize_t n = recvmsg(test_fd, &mh, MSG_CMSG_CLOEXEC);

        if (n <= 0)
                _exit(22);
        text[n] = 0;
        *ret_fd = -1;
        c = CMSG_FIRSTHDR(&mh);
        if (c)
                memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
        return text[0];
}

static _noreturn_ void run_arbiter(void) {
        static char text[8192];
        arbiter_adoption report = { .size = sizeof(report) };
        int fd, what, r = 0;

        test_fd = atoi(getenv("ADOPT_FD"));
        (void) fcntl(test_fd, F_SETFD, FD_CLOEXEC);
        map_shared();
        CHECK(arbiter_new(NULL, NULL, &the));
        CHECK(arbiter_set_log_handler(the, on_log, NULL));
        CHECK(arbiter_set_cgroup(the, getenv("ADOPT_CGROUP")));
        CHECK(arbiter_set_keep_handler(the, on_keep, NULL));
        if (getenv("ADOPT_HOST"))
                CHECK(arbiter_set_host_program(the, getenv("ADOPT_HOST")));
        while ((what = receive(text, sizeof(text), &fd)) != 'g')
                if (what == 's') {
                        r = arbiter_set_state(the, fd);
                        if (r != -EBADMSG && r != -EPROTONOSUPPORT)
                                CHECK(r);
                        close(fd);
                        r = r >= 0; /* what cannot be read is as if there were none */
                } else
                        CHECK(arbiter_add_kept(the, text + 1, fd));
        if (r == 0) {
                CHECK(arbiter_set_state(the, -1));
                (void) on_keep(the, "state", arbiter_get_state_fd(the), NULL);
        }
        CHECK(arbiter_start(the));
        apply(text + 1);
        CHECK(arbiter_adopt_done(the, &report));
        control_subscribe(the, &observer);
        CHECK(sd_event_add_io(arbiter_get_event(the), NULL, test_fd, EPOLLIN, on_test, NULL));
        answer("%u %u %u %u %u %u", report.takeovers, report.monitors, report.actors, report.ended,
                        report.killed, report.stopped);
        answer_end(0);
        r = arbiter_run(the, false);
        arbiter_unref(the);
        exit(r); /* with what a sanitizer has to say */
}

void run_program(int argc, char *argv[]) {
        if (argc < 2)
                return;
        if (streq(argv[1], "arbiter"))
                run_arbiter();
        if (streq(argv[1], "worker")) {
                map_shared();
                _exit(arbiter_actor_main(&worker_module));
        }
        if (streq(argv[1], "plain")) {
                map_shared();
                run_plain(argv[2]);
        }
}
