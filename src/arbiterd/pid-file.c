/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pid file, and the lock of the runtime directory, which is one, too. Called once at the start and at
 * the end. Never believes a number in a file: only the lock says that somebody is alive. It is one of
 * fcntl(2), which is the process's: one of flock(2) would outlive it with each child that it had forked, and
 * that is still on its way to its program. Such a lock ends when its process closes any descriptor of the
 * file: nobody else here may open it. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "arbiterd/pid-file.h"
#include "basic/fd.h"
#include "basic/parse.h"

static pid_t read_pid(int fd) {
        char text[32] = "";
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
        uint64_t pid;

        if (n <= 0)
                return 0;
        text[strcspn(text, "\n")] = 0;
        return parse_u64_range(text, 1, INT32_MAX, &pid) >= 0 ? (pid_t) pid : 0;
}

/* Who holds it, 0 if it is not known: one in another PID namespace has no number here. */
static pid_t find_holder(int fd) {
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        return fcntl(fd, F_GETLK, &l) >= 0 && l.l_type != F_UNLCK && l.l_pid > 0 ? l.l_pid : read_pid(fd);
}

/* Is what we have locked still what the path names? */
static bool is_current(int fd, const char *path) {
        struct stat a, b;

        return fstat(fd, &a) >= 0 && lstat(path, &b) >= 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_locked(const char *path, int *ret_fd, pid_t *ret_pid) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        for (;;) {
                _cleanup_close_ int fd = -EBADF;
                struct stat st;

                fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
                if (fd < 0 || fstat(fd, &st) < 0)
                        return negative_errno();
                if (!S_ISREG(st.st_mode))
                        return -EINVAL;
                if (fcntl(fd, F_SETLK, &lock) < 0) {
                        if (errno != EAGAIN && errno != EACCES)
                                return negative_errno();
                        *ret_pid = find_holder(fd);
                        return -EBUSY;
                }
                if (is_current(fd, path)) {
                        *ret_fd = TAKE_FD(fd);
                        return 0;
                }
        }
}

int pid_file_take(const char *path, struct pid_file *ret, pid_t *ret_pid) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *copy = strdup(path);
        char text[32];
        int r;

        if (!copy)
                return -ENOMEM;
        r = open_locked(path, &fd, ret_pid);
        if (r < 0)
                return r;
        if (ftruncate(fd, 0) < 0 || fchmod(fd, 0644) < 0)
                return negative_errno();
        (void) snprintf(text, sizeof(text), "%d\n", (int) getpid());
        r = write_all(fd, text, strlen(text));
        if (r < 0)
                return r;
        *ret = (struct pid_file){ .fd = TAKE_FD(fd), .path = TAKE_PTR(copy) };
        return 0;
}

void pid_file_done(struct pid_file *p) {
        if (p->fd >= 0 && is_current(p->fd, p->path))
                (void) unlink(p->path);
        close_fd(p->fd);
        free(p->path);
        *p = PID_FILE_INIT;
}
