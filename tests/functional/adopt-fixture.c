/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See adopt-fixture.h. The keeper's side. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adopt-fixture.h"
#include "basic/pidfd.h"

struct shared *shared;
static int shared_fd = -1;

/* What it says. */

static void keep(struct program *p, const char *name, int fd) {
        struct kept_fd *old = NULL;

        LIST_FOREACH(k, &p->kept, struct kept_fd, kept)
                if (streq(k->name, name))
                        old = k;
        if (streq(name, "state")) {
                close_fd(p->state_fd);
                p->state_fd = fd;
                return;
        }
        if (old) {
                list_remove(&old->kept);
                close_fd(old->fd);
                free(old);
                p->n_kept--;
        }
        if (fd < 0)
                return;
        old = calloc(1, sizeof(*old));
        (void) snprintf(old->name, sizeof(old->name), "%s", name);
        old->fd = fd;
        list_append(&p->kept, &old->kept);
        p->n_kept++;
}

static void add_line(struct program *p, const char *line) {
        if (p->n_lines < ROWS_MAX)
                (void) snprintf(p->lines[p->n_lines++], LINE_SIZE, "%s", line);
}

static void hear(struct program *p, const char *message, int fd) {
        pthread_mutex_lock(&p->lock);
        switch (message[0]) {
        case 'K':
                keep(p, message + 1, fd);
                fd = -EBADF;
                break;
        case 'F':
                keep(p, message + 1, -EBADF);
                break;
        case 'A':
                add_line(p, message + 1);
                break;
        case 'E':
                if (p->n_answers++ == 0)
                        p->first_answer = atoi(message + 1);
                add_line(p, message + 1);
                p->answered = true;
                break;
        default:
                p->n_events++;
        }
        close_fd(fd);
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
}

static void *read_all_of_it(void *userdata) {
        struct program *p = userdata;

        for (;;) {
                char message[LINE_SIZE] = {};
                uint8_t control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
                struct iovec iov = { message, sizeof(message) - 1 };
                struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                        .msg_controllen = sizeof(control) };
                struct cmsghdr *c;
                int fd = -EBADF;
                ssize_t n = recvmsg(p->fd, &mh, MSG_CMSG_CLOEXEC);

                /* It has died with our questions unread: that is told before what it had said. */
                if (n < 0 && (errno == EINTR || errno == ECONNRESET))
                        continue;
                if (n <= 0)
                        break;
                c = CMSG_FIRSTHDR(&mh);
                if (c)
                        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
                hear(p, message, fd);
        }
        pthread_mutex_lock(&p->lock);
        p->gone = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

ssize_t program_send(int socket, const char *message, int fd) {
        uint8_t control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {};
        struct iovec iov = { (void *) message, strlen(message) };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                struct cmsghdr *c = (struct cmsghdr *) control;

                mh.msg_control = control;
                mh.msg_controllen = sizeof(control);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(fd));
        }
        return sendmsg(socket, &mh, MSG_NOSIGNAL);
}

static void say(struct program *p, const char *message, int fd) {
        (void) program_send(p->fd, message, fd); /* it may have died: that shows */
}

/* Life. */

static void make_shared(void) {
        char path[64];

        if (shared)
                return;
        shared_fd = memfd_create("shared", 0);
        assert_true(shared_fd >= 0);
        assert_int_equal(ftruncate(shared_fd, sizeof(*shared)), 0);
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
        assert_true(shared != MAP_FAILED);
        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) getpid(), shared_fd);
        assert_int_equal(setenv("ADOPT_SHARED", path, 1), 0);
}

static void on_child(int signal) {
}

void program_init(struct program *p, const char *config) {
        /* Workers become ours when their arbiter dies, and nobody need wait for them. The handler is none of
         * theirs: they begin with the default. */
        struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_NOCLDWAIT | SA_RESTART };

        assert_int_equal(sigaction(SIGCHLD, &action, NULL), 0);
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        make_shared();
        memset((void *) shared, 0, sizeof(*shared));
        *p = (struct program){ .pidfd = -EBADF, .fd = -EBADF, .state_fd = -EBADF };
        list_init(&p->kept);
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->changed, NULL);
        (void) snprintf(p->config, sizeof(p->config), "%s", config);
        p->lines = calloc(ROWS_MAX, LINE_SIZE);
        p->cgroup = make_test_cgroup();
        alarm(GUARD_SECONDS);
}

static _noreturn_ void execute(const struct program *p, int fd) {
        char number[16], *argv[] = { (char *) "test-adopt", (char *) "arbiter", NULL };

        (void) snprintf(number, sizeof(number), "%d", fd);
        (void) setenv("ADOPT_FD", number, 1);
        if (p->cgroup)
                (void) setenv("ADOPT_CGROUP", p->cgroup, 1);
        (void) alarm(0);
        (void) fcntl(fd, F_SETFD, 0);
        (void) execv("/proc/self/exe", argv);
        _exit(1);
}

void program_spawn(struct program *p) {
        int fds[2], size = 4 * 1024 * 1024;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        for (unsigned i = 0; i < 2; i++)
                (void) setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
        p->pid = fork();
        if (p->pid == 0)
                execute(p, fds[1]);
        assert_true(p->pid > 0);
        close_fd(fds[1]);
        p->fd = fds[0];
        p->pidfd = pidfd_open_pid(p->pid);
        assert_ok(p->pidfd);
        p->gone = false;
        p->answered = false;
        p->n_lines = 0;
}

static void await_answer(struct program *p) {
        pthread_mutex_lock(&p->lock);
        while (!p->answered && !p->gone)
                pthread_cond_wait(&p->changed, &p->lock);
        pthread_mutex_unlock(&p->lock);
}

static void give_all(struct program *p) {
        char text[sizeof(p->config) + 8];

        if (p->state_fd >= 0)
                say(p, "s", p->state_fd);
        LIST_FOREACH(k, &p->kept, struct kept_fd, kept) {
                (void) snprintf(text, sizeof(text), "k%s", k->name);
                say(p, text, k->fd);
        }
        (void) snprintf(text, sizeof(text), "g%s", p->config);
        say(p, text, -EBADF);
        assert_int_equal(pthread_create(&p->reader, NULL, read_all_of_it, p), 0);
        p->reading = true;
}

void program_greet_traced(struct program *p, unsigned n_lists) {
        give_all(p);
        for (; n_lists > 0; n_lists--)
                program_tell(p, "list");
}

void program_greet(struct program *p, arbiter_adoption *ret) {
        unsigned n[6] = {};

        give_all(p);
        await_answer(p);
        if (p->gone)
                return; /* who wants to know looks */
        assert_int_equal(sscanf(p->lines[0], "%u %u %u %u %u %u", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]),
                        6);
        if (ret)
                *ret = (arbiter_adoption){ sizeof(*ret), n[0], n[1], n[2], n[3], n[4], n[5] };
}

void program_start(struct program *p, arbiter_adoption *ret) {
        alarm(GUARD_SECONDS);
        program_spawn(p);
        program_greet(p, ret);
        if (p->gone)
                fail_msg("the arbiter did not start");
}

static void await_end(struct program *p) {
        struct pollfd fd = { .fd = p->pidfd, .events = POLLIN };

        while (poll(&fd, 1, -1) < 0)
                assert_int_equal(errno, EINTR);
        if (p->reading) { /* all that it had said has been heard */
                assert_int_equal(pthread_join(p->reader, NULL), 0);
                p->reading = false;
        }
        p->pidfd = close_fd(p->pidfd);
        p->fd = close_fd(p->fd);
        p->pid = 0;
}

void program_kill(struct program *p) {
        assert_ok(pidfd_signal(p->pidfd, SIGKILL));
        await_end(p);
}

void program_stop(struct program *p) {
        if (program_ask(p, "check") < 0)
                fail_msg("the state is not what the arbiter is like");
        (void) program_ask(p, "exit");
        await_end(p);
}

void program_done(struct program *p) {
        if (!p->lines)
                return; /* skipped */
        if (p->pid > 0)
                program_stop(p);
        if (p->cgroup)
                assert_int_equal(count_processes(), 0);
        LIST_FOREACH(k, &p->kept, struct kept_fd, kept) {
                list_remove(&k->kept);
                close_fd(k->fd);
                free(k);
        }
        close_fd(p->state_fd);
        free(p->lines);
        p->lines = NULL;
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
        remove_test_cgroup();
        alarm(0);
}

bool program_lose(struct program *p, const char *name) {
        LIST_FOREACH(k, &p->kept, struct kept_fd, kept)
                if (streq(k->name, name)) {
                        keep(p, name, -EBADF);
                        return true;
                }
        return false;
}

/* Asking. */

void program_tell(struct program *p, const char *text) {
        char message[LINE_SIZE];

        (void) snprintf(message, sizeof(message), "c%s", text);
        say(p, message, -EBADF);
}

int program_ask(struct program *p, const char *format, ...) {
        char text[LINE_SIZE] = "c";
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text + 1, sizeof(text) - 1, format, ap);
        va_end(ap);
        pthread_mutex_lock(&p->lock);
        p->answered = false;
        p->n_lines = 0;
        pthread_mutex_unlock(&p->lock);
        say(p, text, -EBADF);
        await_answer(p);
        if (!p->answered)
                return -ECONNRESET;
        return atoi(p->lines[--p->n_lines]); /* the last line is how it went */
}

size_t program_list(struct program *p, struct row *ret) {
        size_t n = 0;

        if (program_ask(p, "list") < 0)
                return 0;
        for (size_t i = 0; i < p->n_lines; i++) {
                struct row *r = &ret[n];

                if (sscanf(p->lines[i], "%79s %15s %u %d %15s", r->name, r->aid, &r->generation, &r->pid,
                                    r->state) == 5)
                        n++;
        }
        return n;
}

bool program_find(struct program *p, const char *name, struct row *ret) {
        static struct row rows[ROWS_MAX];
        size_t n = program_list(p, rows);

        for (size_t i = 0; i < n; i++)
                if (streq(rows[i].name, name)) {
                        if (ret)
                                *ret = rows[i];
                        return true;
                }
        return false;
}

void program_until(struct program *p, bool (*is_so)(struct program *p, void *userdata), void *userdata) {
        for (;;) {
                uint64_t seen;

                pthread_mutex_lock(&p->lock);
                seen = p->n_events;
                pthread_mutex_unlock(&p->lock);
                if (is_so(p, userdata))
                        return;
                pthread_mutex_lock(&p->lock);
                while (p->n_events == seen && !p->gone)
                        pthread_cond_wait(&p->changed, &p->lock);
                pthread_mutex_unlock(&p->lock);
                if (p->gone)
                        fail_msg("the arbiter has ended");
        }
}

struct wanted {
        const char *name;
        struct row *ret;
        unsigned n;
};

static bool is_running(struct program *p, void *userdata) {
        struct wanted *w = userdata;

        return program_find(p, w->name, w->ret) && streq(w->ret->state, "running");
}

void program_until_running(struct program *p, const char *name, struct row *ret) {
        struct row row;

        program_until(p, is_running, &(struct wanted){ .name = name, .ret = ret ? ret : &row });
}

static bool is_settled(struct program *p, void *userdata) {
        static struct row rows[ROWS_MAX];
        struct wanted *w = userdata;
        size_t n = program_list(p, rows);

        for (size_t i = 0; i < n; i++)
                if (!streq(rows[i].state, "running"))
                        return false;
        return n == w->n;
}

void program_until_settled(struct program *p, unsigned n) {
        program_until(p, is_settled, &(struct wanted){ .n = n });
}

static bool is_gone(struct program *p, void *userdata) {
        return !program_find(p, userdata, NULL);
}

void program_until_gone(struct program *p, const char *name) {
        program_until(p, is_gone, (void *) name);
}

void program_until_alone(struct program *p) {
        static struct row rows[ROWS_MAX];
        size_t n;

        if (!p->cgroup)
                return;
        do
                n = program_list(p, rows); /* a turn of the loop, in which what is dead is reaped */
        while (count_processes() != n);
}

static bool is_over(struct program *p, void *userdata) {
        const struct row *life = userdata;
        struct row now;

        return !program_find(p, life->name, &now) || !streq(now.aid, life->aid);
}

void program_until_gone_or_new(struct program *p, const struct row *life) {
        program_until(p, is_over, (void *) life);
}

/* Processes. */

void kill_and_wait(int pid) {
        struct pollfd fd = { .fd = pidfd_open_pid(pid), .events = POLLIN };

        if (fd.fd < 0)
                return;
        (void) pidfd_signal(fd.fd, SIGKILL);
        do
                (void) poll(&fd, 1, -1);
        while (!(fd.revents & POLLIN));
        close_fd(fd.fd);
}

static char cgroup[256];

const char *make_test_cgroup(void) {
        static const char *const mounts[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
        char path[128];

        cgroup[0] = 0;
        for (size_t i = 0; i < ELEMENTSOF(mounts) && cgroup[0] == 0; i++) {
                (void) snprintf(path, sizeof(path), "%s/cgroup.procs", mounts[i]);
                (void) snprintf(cgroup, sizeof(cgroup), "%s/arbiter-adopt-%ld", mounts[i], (long) getpid());
                if (access(path, W_OK) < 0 || mkdir(cgroup, 0755) < 0)
                        cgroup[0] = 0;
        }
        return cgroup[0] ? cgroup : NULL;
}

void remove_test_cgroup(void) {
        if (cgroup[0])
                assert_int_equal(rmdir(cgroup), 0); /* no leaf is left */
        cgroup[0] = 0;
}

static unsigned count_in(const char *directory) {
        char path[1024], line[32];
        unsigned n = 0;
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
        f = fopen(path, "re");
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f))
                n++;
        (void) fclose(f);
        return n;
}

unsigned count_processes(void) {
        char path[512 + 256];
        struct dirent *e;
        unsigned n = 0;
        DIR *d = opendir(cgroup);

        if (!d)
                return 0;
        while ((e = readdir(d)))
                if (e->d_type == DT_DIR && e->d_name[0] != '.') {
                        (void) snprintf(path, sizeof(path), "%s/%s", cgroup, e->d_name);
                        n += count_in(path);
                }
        (void) closedir(d);
        return n;
}
