/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiter/process.h over made-up processes: each is an actor of the real runtime on a loop of its own, or
 * something that holds a descriptor and says nothing, or nonsense. What goes wrong is its plan's. */

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "world.h"

#define SIGNAL_USEC_MAX 200U
#define EXIT_USEC_MAX 500U
#define FIRST_PID 1000

struct list_node workers;
static uint64_t n_workers;

void workers_begin(void) {
        list_init(&workers);
        n_workers = 0;
}

static void worker_free(struct worker *w) {
        list_remove(&w->workers);
        free(w);
}

void workers_end(void) {
        LIST_FOREACH(w, &workers, struct worker, workers) {
                require(world.sim, !w->alive && w->reaped, (unsigned) w->id);
                worker_free(w);
        }
}

struct worker *worker_of(pid_t pid) {
        LIST_FOREACH(w, &workers, struct worker, workers)
                if (w->pid == pid)
                        return w;
        return NULL;
}

/* What it runs. */

static void on_never(arbiter_future *f, void *userdata) {
}

static int hang(arbiter_actor *a, int (*delay)(arbiter_actor *, arbiter_future *)) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = future_new(a, &f);
        if (r >= 0)
                r = arbiter_future_then(f, on_never, NULL);
        return r < 0 ? r : delay(a, f);
}

static int on_start(arbiter_actor *a, void *userdata) {
        struct worker *w = userdata;

        if (!w)
                return world_start_inline(a);
        switch (w->plan) {
        case PLAN_START_FAILS:
                return -EIO;
        case PLAN_START_HANGS:
                return hang(a, arbiter_actor_delay_start);
        case PLAN_START_SLOW:
                loop_pause(w->event, world.now + w->due_usec);
                return 0;
        case PLAN_IGNORES:
                return arbiter_actor_ignore(a);
        default:
                return 0;
        }
}

static int on_stopping(arbiter_actor *a, void *userdata) {
        struct worker *w = userdata;

        if (!w)
                return 0;
        w->stopping = true;
        if (w->plan == PLAN_STOP_HANGS)
                return hang(a, arbiter_actor_delay_stop);
        if (w->plan == PLAN_DEAF)
                loop_pause(w->event, USEC_INFINITY);
        w->doomed = w->plan == PLAN_STOP_CRASHES;
        return 0;
}

static void drop_promises(struct worker *w) {
        for (size_t i = 0; i < ELEMENTSOF(w->promises); i++)
                w->promises[i] = arbiter_message_unref(w->promises[i]);
}

static void on_exit_hook(arbiter_actor *a, void *userdata) {
        struct worker *w = userdata;

        if (w)
                drop_promises(w);
}

static int on_answer_now(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint64_t id;
        int r;

        r = arbiter_message_read(m, "t", &id);
        if (r < 0)
                return r;
        world_ran(id);
        return arbiter_message_reply(m, "t", id);
}

/* Answers when the next one comes to its place, or never. */
static int on_promise(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct worker *w = userdata;
        arbiter_message **place;
        uint64_t id;
        int r;

        r = arbiter_message_read(m, "t", &id);
        if (r < 0)
                return r;
        world_ran(id);
        if (!w)
                return arbiter_message_reply(m, "t", id);
        place = &w->promises[id % ELEMENTSOF(w->promises)];
        if (*place && arbiter_message_rewind(*place, true) >= 0 &&
            arbiter_message_read(*place, "t", &id) >= 0)
                (void) arbiter_message_reply(*place, "t", id);
        arbiter_message_unref(*place);
        *place = arbiter_message_ref(m);
        return 0;
}

static const arbiter_command worker_commands[] = {
        ARBITER_COMMAND("answer", "t", "request", "t", "request", on_answer_now, 0),
        ARBITER_COMMAND("promise", "t", "request", "t", "request", on_promise, 0),
        ARBITER_COMMANDS_END,
};

const arbiter_module worker_module = { ARBITER_MODULE_HEAD,
                                       .name = "worker",
                                       .commands = worker_commands,
                                       .start = on_start,
                                       .stopping = on_stopping,
                                       .exit = on_exit_hook };

static int on_sigterm(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        return arbiter_actor_stop(userdata, (int) si->ssi_signo);
}

/* As actor_run_with() begins. */
static int boot_actor(struct worker *w) {
        struct actor_options o = { .module = &worker_module,
                                   .event = w->event,
                                   .concurrency = ARBITER_CONCURRENCY_PROCESS,
                                   .own_loop = true };
        int r;

        r = actor_new(&o, &w->actor);
        if (r < 0)
                return r;
        w->actor->userdata = w;
        r = sd_event_add_signal(w->event, NULL, SIGTERM, on_sigterm, w->actor);
        if (r < 0)
                return r;
        r = link_new(w->event, LINK_SEQPACKET, TAKE_FD(w->mailbox), NULL, 1, &actor_link_events, NULL,
                     &w->link);
        if (r >= 0)
                r = actor_attach_control(w->actor, w->link);
        if (r >= 0)
                actor_flush(w->actor);
        return r;
}

/* A hello that is none; or bytes that are no frame. */
static int say_nonsense(struct worker *w) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct envelope e = { .kind = ENVELOPE_REQUEST,
                              .flags = ENVELOPE_SYSTEM,
                              .id = 1,
                              .deadline = UINT64_MAX,
                              .target = AID_ARBITER,
                              .command = "hello",
                              .signature = "usu" };
        uint32_t version = one_in(world.sim, 2) ? 99 : ENVELOPE_VERSION;
        uint8_t bytes[64];
        const void *body;
        size_t size;
        int r;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t) world_random();
        switch (below(world.sim, 4)) {
        case 0:
                return send(w->mailbox, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0 ? negative_errno() : 0;
        case 1:
                e.kind = ENVELOPE_CAST;
                e.command = "notify";
                e.signature = "ytt";
                break;
        default:
                break;
        }
        r = arbiter_message_new(&m);
        if (r >= 0 && e.kind == ENVELOPE_CAST)
                r = arbiter_message_append(m, "ytt", (uint8_t) ARBITER_STATE_RUNNING, UINT64_C(0),
                                           UINT64_C(0));
        else if (r >= 0)
                r = arbiter_message_append(m, "usu", version, "token", (uint32_t) 1);
        if (r >= 0)
                r = message_seal(m);
        if (r >= 0)
                r = arbiter_message_get_body(m, &body, &size);
        if (r < 0)
                return r;
        e.body_size = (uint32_t) size;
        e.command_length = (uint8_t) strlen(e.command);
        e.signature_length = 3;
        r = link_new(w->event, LINK_SEQPACKET, TAKE_FD(w->mailbox), NULL, 1, &(struct link_events){}, NULL,
                     &w->link);
        if (r >= 0)
                r = link_send(w->link, &e, body, NULL);
        return r < 0 ? r : link_flush(w->link);
}

static void boot(struct worker *w) {
        int r = 0;

        w->boot_usec = USEC_INFINITY;
        if (w->mailbox < 0 || w->plan == PLAN_MUTE)
                return;
        require(world.sim, sd_event_new(&w->event) >= 0, 0);
        loop_set_owner(w->event, w);
        r = w->plan == PLAN_GARBAGE ? say_nonsense(w) : boot_actor(w);
        require(world.sim, r >= 0 || r == -ECONNRESET || r == -EPIPE, (unsigned) w->id);
        if (w->plan == PLAN_GARBAGE)
                loop_pause(w->event, USEC_INFINITY);
}

/* Its ends. */

static void leave(struct worker *w, enum process_end end, int status) {
        static const char *const names[] = { "exits", "is killed" };

        world_trace("worker %" PRIu64 " (%s) %s: %d", w->id, w->name, names[end], status);
        w->alive = false;
        w->exit = (struct process_exit){ .end = end, .status = status };
        w->exit_usec = world.now + below(world.sim, EXIT_USEC_MAX);
        w->boot_usec = w->due_usec = w->signal_usec = USEC_INFINITY;
        drop_promises(w);
        if (w->actor)
                dispatch_refuse_all(w->actor); /* what is queued holds it */
        w->actor = actor_unref(w->actor);
        w->link = link_unref(w->link);
        if (w->event)
                loop_set_owner(w->event, NULL);
        w->event = sd_event_unref(w->event);
        w->mailbox = close_fd(w->mailbox);
}

void worker_crash(struct worker *w, int signal) {
        if (!w->alive)
                return;
        if (w->event)
                loop_cut(w->event);
        leave(w, PROCESS_SIGNALED, signal);
}

static void come_to_light(struct worker *w) {
        static const uint64_t one = 1;

        w->exit_usec = USEC_INFINITY;
        w->exited = true;
        require(world.sim, write(w->pidfd, &one, sizeof(one)) == sizeof(one), 0);
        w->pidfd = close_fd(w->pidfd);
}

void worker_dispatched(struct worker *w) {
        if (!w->alive)
                return;
        if (w->doomed) {
                worker_crash(w, SIGSEGV);
                return;
        }
        if (w->actor && loop_has_exited(w->event)) {
                leave(w, PROCESS_EXITED, w->actor->exit_code & 0xff);
                return;
        }
        if (++w->turn != w->turns)
                return;
        if (w->plan == PLAN_CRASHES)
                worker_crash(w, SIGSEGV);
        else if (w->plan == PLAN_HANGS)
                loop_pause(w->event, USEC_INFINITY);
        else if (w->plan == PLAN_EXITS && w->actor)
                (void) arbiter_actor_stop(w->actor, w->exit_code);
}

static void take_signal(struct worker *w) {
        int signal = w->signal;

        w->signal_usec = USEC_INFINITY;
        world_trace("worker %" PRIu64 " (%s) has signal %d", w->id, w->name, signal);
        if (signal == SIGKILL)
                worker_crash(w, SIGKILL);
        else if (signal == SIGCONT || w->plan == PLAN_DEAF)
                return;
        else if (w->actor && signal == SIGTERM)
                loop_raise(w->event, SIGTERM);
        else
                worker_crash(w, signal);
}

bool workers_run(void) {
        LIST_FOREACH(w, &workers, struct worker, workers) {
                if (w->boot_usec <= world.now)
                        boot(w);
                else if (w->signal_usec <= world.now)
                        take_signal(w);
                else if (!w->event && w->due_usec <= world.now)
                        leave(w, w->plan == PLAN_EXITS ? PROCESS_EXITED : PROCESS_SIGNALED,
                              w->plan == PLAN_EXITS ? w->exit_code : SIGSEGV);
                else if (w->exit_usec <= world.now)
                        come_to_light(w);
                else
                        continue;
                return true;
        }
        return false;
}

usec_t workers_next(void) {
        usec_t next = USEC_INFINITY;

        LIST_FOREACH(w, &workers, struct worker, workers) {
                next = MIN(next, MIN(MIN(w->boot_usec, w->signal_usec), w->exit_usec));
                if (!w->event)
                        next = MIN(next, w->due_usec);
        }
        return next;
}

/* arbiter/process.h */

static int refuse(struct exec_failure *ret, enum exec_step step, int error) {
        if (ret)
                *ret = (struct exec_failure){ .step = step, .error = error };
        return -error;
}

int process_spawn(const struct exec_context *c, const struct process_fds *fds,
                  const struct cgroup_leaf *leaf, struct process *ret, struct exec_failure *ret_failure) {
        struct worker *w = calloc(1, sizeof(*w));
        int pidfd;

        require(world.sim, w, 0);
        w->id = ++n_workers;
        w->mailbox = -EBADF;
        w->due_usec = w->exit_usec = w->signal_usec = USEC_INFINITY;
        world_plan(w, c->argv[1]);
        if (w->plan == PLAN_SPAWN_FAILS) {
                free(w);
                return one_in(world.sim, 2) ? refuse(ret_failure, EXEC_STEP_CLONE, EAGAIN)
                                            : refuse(ret_failure, EXEC_STEP_EXEC, ENOENT);
        }
        pidfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        w->pidfd = fd_duplicate(pidfd);
        if (fds->mailbox >= 0)
                w->mailbox = fd_duplicate(fds->mailbox);
        require(world.sim, pidfd >= 0 && w->pidfd >= 0 && (w->mailbox >= 0) == (fds->mailbox >= 0), 0);
        w->pid = FIRST_PID + (pid_t) w->id;
        w->alive = true;
        list_append(&workers, &w->workers);
        *ret = (struct process){ .pid = w->pid, .pidfd = pidfd, .own_group = true };
        return 0;
}

/* Modules of the program itself would be copies of this process: they run inline here. */
int process_fork(const struct exec_context *c, const struct process_fds *fds, const struct cgroup_leaf *leaf,
                 struct process *ret, int *ret_mailbox, struct exec_failure *ret_failure) {
        return refuse(ret_failure, EXEC_STEP_CLONE, EAGAIN);
}

int process_adopt(int pidfd, pid_t pid, bool own_group, struct process *ret) {
        return -ENOTTY;
}

static struct worker *of(const struct process *p) {
        struct worker *w = p->pid > 0 && p->pidfd >= 0 ? worker_of(p->pid) : NULL;

        require(world.sim, !w || !w->reaped, (unsigned) p->pid); /* nobody acts on a stale pid */
        return w;
}

int process_peek(const struct process *p, struct process_exit *ret) {
        struct worker *w = of(p);

        require(world.sim, w, 0);
        if (!w->exited)
                return -EAGAIN;
        *ret = w->exit;
        return 0;
}

void process_done(struct process *p) {
        p->pidfd = close_fd(p->pidfd);
        p->pid = 0;
}

int process_reap(struct process *p, struct process_exit *ret) {
        int r;

        r = process_peek(p, ret);
        if (r < 0)
                return r;
        of(p)->reaped = true;
        process_done(p);
        return 0;
}

int process_signal(const struct process *p, int signal) {
        struct worker *w = of(p);

        if (!w)
                return -ESRCH;
        if (w->alive && (w->signal_usec == USEC_INFINITY || (signal != SIGCONT && w->signal != SIGKILL))) {
                w->signal = signal;
                w->signal_usec = world.now + below(world.sim, SIGNAL_USEC_MAX);
        }
        return 0;
}

int process_kill_all(const struct process *p) {
        return process_signal(p, SIGKILL);
}

void process_end(struct process *p) {
        struct worker *w = of(p);
        struct process_exit e;

        if (!w)
                return;
        worker_crash(w, SIGKILL);
        if (!w->exited)
                come_to_light(w);
        (void) process_reap(p, &e);
}

int process_read_usage(const struct process *p, struct cgroup_usage *ret) {
        struct worker *w = of(p);

        if (!w || !w->alive)
                return -ESRCH;
        *ret = (struct cgroup_usage){ .cpu_usec = w->turn, .memory_current = 4096 * w->id };
        return 0;
}

int process_become_subreaper(void) {
        return 0;
}

int process_reap_orphans(bool (*known)(pid_t pid, void *userdata), void *userdata) {
        return 0;
}
