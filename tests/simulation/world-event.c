/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A deterministic sd-event, as far as libarbiter uses it, with the meaning of its manual pages: sources have
 * priorities, among those of one priority and among loops the seed chooses. Descriptors are polled by one
 * epoll, so that edges are the kernel's. The clock moves as world_dispatch() and the history say. */

#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/fd.h"
#include "world.h"

#define EPOCH (1000 * USEC_PER_SEC)
#define EVENTS_PER_POLL 64
#define DISPATCH_USEC_MAX 20U

enum source_type { SOURCE_IO, SOURCE_TIME, SOURCE_DEFER, SOURCE_SIGNAL };

struct sd_event {
        unsigned n_ref;
        struct list_node loops, sources;
        struct worker *owner;
        usec_t paused_until;
        uint64_t iteration;
        bool exited;
};

struct sd_event_source {
        unsigned n_ref;
        struct list_node sources;
        sd_event *event;
        enum source_type type;
        bool floating, pending, registered, fd_own;
        int enabled, fd, signal;
        int64_t priority;
        uint32_t events, revents;
        usec_t time, held_until;
        uint64_t number;
        void *handler, *userdata;
};

struct world world = { .epoll_fd = -EBADF };

/* The clock, and random numbers. */

int clock_gettime(clockid_t clock, struct timespec *ret) {
        usec_t t = world.now;

        if (!world.sim)
                return (int) syscall(SYS_clock_gettime, clock, ret);
        world.now += world.reading_usec;
        if (clock == CLOCK_REALTIME)
                t += (usec_t) world.realtime_offset;
        *ret = (struct timespec){ .tv_sec = (time_t) (t / USEC_PER_SEC),
                                  .tv_nsec = (long) (t % USEC_PER_SEC * NSEC_PER_USEC) };
        return 0;
}

uint64_t world_random(void) {
        world.entropy ^= world.entropy >> 12;
        world.entropy ^= world.entropy << 25;
        world.entropy ^= world.entropy >> 27;
        return world.entropy * UINT64_C(0x2545f4914f6cdd1d);
}

ssize_t getrandom(void *buffer, size_t size, unsigned flags) {
        uint8_t *p = buffer;

        if (!world.sim)
                return (ssize_t) syscall(SYS_getrandom, buffer, size, flags);
        for (size_t i = 0; i < size; i++)
                p[i] = (uint8_t) (world_random() >> 32);
        return (ssize_t) size;
}

void world_trace(const char *format, ...) {
        char line[512];
        va_list ap;

        if (!world.sim->trace)
                return;
        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        for (const char *p = line; *p; p++)
                world.digest = (world.digest ^ (uint8_t) *p) * UINT64_C(0x100000001b3);
        printf("%3u %14.6f %s\n", world.sim->step,
               (double) (world.now - EPOCH) / (double) USEC_PER_SEC, line);
}

void world_begin(struct simulation *sim) {
        world = (struct world){ .sim = sim,
                                .now = EPOCH,
                                .entropy = sim->seed * 2 + 1,
                                .digest = UINT64_C(0xcbf29ce484222325),
                                .realtime_offset = INT64_C(1700000000) * (int64_t) USEC_PER_SEC };
        for (unsigned i = 0; i < 3; i++)
                (void) world_random();
        list_init(&world.loops);
        world.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        require(sim, world.epoll_fd >= 0, 0);
}

void world_end(void) {
        require(world.sim, list_is_empty(&world.loops), 0);
        world.epoll_fd = close_fd(world.epoll_fd);
        world.sim = NULL;
}

/* Loops. */

int sd_event_new(sd_event **ret) {
        sd_event *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        e->n_ref = 1;
        list_init(&e->sources);
        list_append(&world.loops, &e->loops);
        *ret = e;
        return 0;
}

sd_event *sd_event_ref(sd_event *e) {
        if (e)
                e->n_ref++;
        return e;
}

static void source_free(sd_event_source *s);

sd_event *sd_event_unref(sd_event *e) {
        if (!e || --e->n_ref > 0)
                return NULL;
        LIST_FOREACH(s, &e->sources, sd_event_source, sources) {
                assert(s->floating); /* any other keeps the loop */
                source_free(s);
        }
        list_remove(&e->loops);
        free(e);
        return NULL;
}

int sd_event_exit(sd_event *e, int code) {
        e->exited = true;
        return 0;
}

int sd_event_get_state(sd_event *e) {
        return e->exited ? SD_EVENT_FINISHED : SD_EVENT_INITIAL;
}

int sd_event_get_iteration(sd_event *e, uint64_t *ret) {
        *ret = e->iteration;
        return 0;
}

int sd_event_set_watchdog(sd_event *e, int on) {
        return 0;
}

int sd_event_now(sd_event *e, clockid_t clock, uint64_t *ret) {
        *ret = world.now;
        return 0;
}

/* Nobody may run a loop but the scheduler. */
int sd_event_run(sd_event *e, uint64_t timeout) {
        abort();
}

int sd_event_loop(sd_event *e) {
        abort();
}

/* Sources. */

static int source_new(sd_event *e, enum source_type type, void *handler, void *userdata,
                      sd_event_source **ret, sd_event_source **ret_made) {
        sd_event_source *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->n_ref = 1;
        s->type = type;
        s->handler = handler;
        s->userdata = userdata;
        s->fd = -EBADF;
        s->number = ++world.source_counter;
        s->event = e;
        s->floating = !ret;
        if (!s->floating)
                sd_event_ref(e);
        list_append(&e->sources, &s->sources);
        if (ret)
                *ret = s;
        *ret_made = s;
        return 0;
}

static int io_register(sd_event_source *s) {
        struct epoll_event e = { .events = s->events, .data.ptr = s };

        if (epoll_ctl(world.epoll_fd, s->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &e) < 0)
                return negative_errno();
        s->registered = true;
        return 0;
}

static void io_unregister(sd_event_source *s) {
        if (s->registered)
                (void) epoll_ctl(world.epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
        s->registered = false;
}

static void source_free(sd_event_source *s) {
        if (s->type == SOURCE_IO) {
                io_unregister(s);
                if (s->fd_own)
                        close_fd(s->fd);
        }
        list_remove(&s->sources);
        free(s);
}

sd_event_source *sd_event_source_ref(sd_event_source *s) {
        if (s)
                s->n_ref++;
        return s;
}

sd_event_source *sd_event_source_unref(sd_event_source *s) {
        if (s && --s->n_ref == 0) {
                sd_event *e = s->event;
                bool floating = s->floating;

                source_free(s);
                if (!floating)
                        sd_event_unref(e);
        }
        return NULL;
}

int sd_event_source_set_enabled(sd_event_source *s, int enabled) {
        int r = 0;

        if (s->enabled == enabled)
                return 0;
        if (s->type != SOURCE_DEFER && (enabled == SD_EVENT_OFF || s->enabled == SD_EVENT_OFF))
                s->pending = false;
        if (s->type == SOURCE_IO && enabled == SD_EVENT_OFF)
                io_unregister(s);
        if (s->type == SOURCE_IO && s->enabled == SD_EVENT_OFF)
                r = io_register(s);
        if (r >= 0)
                s->enabled = enabled;
        return r;
}

sd_event_source *sd_event_source_disable_unref(sd_event_source *s) {
        if (s)
                (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
        return sd_event_source_unref(s);
}

int sd_event_add_io(sd_event *e, sd_event_source **ret, int fd, uint32_t events,
                    sd_event_io_handler_t handler, void *userdata) {
        sd_event_source *s;
        int r;

        r = source_new(e, SOURCE_IO, (void *) handler, userdata, ret, &s);
        if (r < 0)
                return r;
        s->fd = fd;
        s->events = events;
        s->enabled = SD_EVENT_ON;
        r = io_register(s);
        if (r < 0) {
                if (ret)
                        *ret = NULL;
                sd_event_source_unref(s);
        }
        return r;
}

int sd_event_add_time(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t usec, uint64_t accuracy,
                      sd_event_time_handler_t handler, void *userdata) {
        sd_event_source *s;
        int r;

        assert(clock == CLOCK_MONOTONIC); /* nothing is decided by another one */
        r = source_new(e, SOURCE_TIME, (void *) handler, userdata, ret, &s);
        if (r < 0)
                return r;
        s->time = usec;
        s->enabled = SD_EVENT_ONESHOT;
        return 0;
}

int sd_event_add_time_relative(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t usec,
                               uint64_t accuracy, sd_event_time_handler_t handler, void *userdata) {
        return sd_event_add_time(e, ret, clock, time_add(world.now, usec), accuracy, handler, userdata);
}

int sd_event_add_defer(sd_event *e, sd_event_source **ret, sd_event_handler_t handler, void *userdata) {
        sd_event_source *s;
        int r;

        r = source_new(e, SOURCE_DEFER, (void *) handler, userdata, ret, &s);
        if (r < 0)
                return r;
        s->pending = true; /* always: only whether it is enabled counts */
        s->enabled = SD_EVENT_ONESHOT;
        return 0;
}

int sd_event_add_signal(sd_event *e, sd_event_source **ret, int signal, sd_event_signal_handler_t handler,
                        void *userdata) {
        sd_event_source *s;
        int r;

        r = source_new(e, SOURCE_SIGNAL, (void *) handler, userdata, ret, &s);
        if (r < 0)
                return r;
        s->signal = signal;
        s->enabled = SD_EVENT_ON;
        return 0;
}

int sd_event_source_set_priority(sd_event_source *s, int64_t priority) {
        s->priority = priority;
        return 0;
}

int sd_event_source_set_description(sd_event_source *s, const char *text) {
        return 0;
}

int sd_event_source_set_ratelimit(sd_event_source *s, uint64_t usec, unsigned n) {
        return 0;
}

int sd_event_source_set_io_events(sd_event_source *s, uint32_t events) {
        int r = 0;

        if (s->events == events && !(events & EPOLLET))
                return 0;
        s->pending = false;
        s->events = events;
        if (s->registered)
                r = io_register(s);
        return r;
}

int sd_event_source_set_io_fd_own(sd_event_source *s, int on) {
        s->fd_own = on;
        return 0;
}

int sd_event_source_set_time(sd_event_source *s, uint64_t usec) {
        s->pending = false;
        s->time = usec;
        return 0;
}

int sd_event_source_set_time_relative(sd_event_source *s, uint64_t usec) {
        return sd_event_source_set_time(s, time_add(world.now, usec));
}

/* What the history does to loops. */

void loop_pause(sd_event *e, usec_t until) {
        e->paused_until = until;
}

bool loop_is_paused(const sd_event *e) {
        return e->paused_until > world.now;
}

bool loop_has_exited(const sd_event *e) {
        return e->exited;
}

void loop_set_owner(sd_event *e, struct worker *w) {
        e->owner = w;
}

void loop_hold_one(sd_event *e, usec_t until) {
        unsigned n = 0;

        LIST_FOREACH(s, &e->sources, sd_event_source, sources)
                n += s->type == SOURCE_IO;
        if (n == 0)
                return;
        n = below(world.sim, n);
        LIST_FOREACH(s, &e->sources, sd_event_source, sources)
                if (s->type == SOURCE_IO && n-- == 0)
                        s->held_until = until;
}

void loop_raise(sd_event *e, int signal) {
        LIST_FOREACH(s, &e->sources, sd_event_source, sources)
                if (s->type == SOURCE_SIGNAL && s->signal == signal)
                        s->pending = true;
}

void loop_cut(sd_event *e) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                abort();
        close_fd(fds[1]);
        LIST_FOREACH(s, &e->sources, sd_event_source, sources)
                if (s->type == SOURCE_IO) {
                        io_unregister(s);
                        if (dup3(fds[0], s->fd, O_CLOEXEC) < 0)
                                abort();
                }
        close_fd(fds[0]);
        e->exited = true;
}

/* The scheduler. */

static void poll_all(void) {
        struct epoll_event events[EVENTS_PER_POLL];
        int n;

        /* what there is besides comes next time */
        n = epoll_wait(world.epoll_fd, events, EVENTS_PER_POLL, 0);
        for (int i = 0; i < n; i++) {
                sd_event_source *s = events[i].data.ptr;

                s->revents = s->pending ? s->revents | events[i].events : events[i].events;
                s->pending = true;
        }
}

static bool is_ready(sd_event_source *s) {
        if (s->enabled == SD_EVENT_OFF || s->held_until > world.now)
                return false;
        return s->type == SOURCE_TIME ? s->time <= world.now : s->pending;
}

/* One of those of the first priority that has any. */
static sd_event_source *choose_source(sd_event *e) {
        sd_event_source *chosen = NULL;
        uint32_t n = 0;

        LIST_FOREACH(s, &e->sources, sd_event_source, sources) {
                if (!is_ready(s) || (chosen && s->priority > chosen->priority))
                        continue;
                if (chosen && s->priority < chosen->priority)
                        n = 0;
                if (below(world.sim, ++n) == 0)
                        chosen = s;
        }
        return chosen;
}

static bool loop_is_ready(sd_event *e) {
        if (e->exited || loop_is_paused(e))
                return false;
        LIST_FOREACH(s, &e->sources, sd_event_source, sources)
                if (is_ready(s))
                        return true;
        return false;
}

static int call(sd_event_source *s) {
        struct signalfd_siginfo info = { .ssi_signo = (uint32_t) s->signal };
        uint32_t revents = s->revents;

        switch (s->type) {
        case SOURCE_IO:
                return ((sd_event_io_handler_t) s->handler)(s, s->fd, revents, s->userdata);
        case SOURCE_TIME:
                return ((sd_event_time_handler_t) s->handler)(s, s->time, s->userdata);
        case SOURCE_DEFER:
                return ((sd_event_handler_t) s->handler)(s, s->userdata);
        default:
                return ((sd_event_signal_handler_t) s->handler)(s, &info, s->userdata);
        }
}

static void dispatch(sd_event *e, sd_event_source *s) {
        static const char *const names[] = { "io", "time", "defer", "signal" };

        world_trace("loop %" PRIu64 ": %s %" PRIu64, e->owner ? e->owner->id : 0, names[s->type], s->number);
        world.n_dispatched++;
        e->iteration++;
        sd_event_ref(e);
        sd_event_source_ref(s);
        if (s->type != SOURCE_DEFER)
                s->pending = false;
        if (s->enabled == SD_EVENT_ONESHOT)
                (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
        if (call(s) < 0 && s->n_ref > 1)
                (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
        sd_event_source_unref(s);
        if (e->owner)
                worker_dispatched(e->owner);
        sd_event_unref(e);
}

bool world_dispatch(void) {
        sd_event *chosen = NULL;
        uint32_t n = 0;

        if (workers_run())
                return true;
        poll_all();
        LIST_FOREACH(e, &world.loops, sd_event, loops)
                if (loop_is_ready(e) && below(world.sim, ++n) == 0)
                        chosen = e;
        if (!chosen)
                return false;
        world.now += below(world.sim, DISPATCH_USEC_MAX) + 1;
        dispatch(chosen, choose_source(chosen));
        return true;
}

static usec_t source_next(const sd_event_source *s) {
        usec_t t = s->type == SOURCE_TIME ? s->time : s->pending ? 0 : USEC_INFINITY;

        return s->enabled == SD_EVENT_OFF ? USEC_INFINITY : MAX(t, s->held_until);
}

usec_t world_next(void) {
        usec_t next = workers_next();

        LIST_FOREACH(e, &world.loops, sd_event, loops)
                if (!e->exited)
                        LIST_FOREACH(s, &e->sources, sd_event_source, sources)
                                next = MIN(next, MAX(source_next(s), e->paused_until));
        return next;
}
