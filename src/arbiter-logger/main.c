/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiter-logger: reads what the workers of an arbiter write on stdout and stderr, and sends it to the
 * journal, a line an entry, with the fields of that worker's life. Started by arbiterd, which is its
 * standard input; does nothing until it is told of a stream. It outlives arbiterd as long as there are
 * workers, and ends when both are gone. Must never interpret what it reads, but for lines and priorities. */

#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "arbiter-logger/logger.h"
#include "basic/fd.h"
#include "shared/log.h"

#define PROGRAM "arbiter-logger"

/* A descriptor a stream. */
static void raise_nofile(void) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return;
        l.rlim_cur = l.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &l);
}

/* Of root's powers it needs what lets it say whose a line is (unix(7), SCM_CREDENTIALS). Without them it
 * works as well, and says so by fields alone. */
static void drop_capabilities(void) {
        static const uint32_t keep =
                        1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_SYS_ADMIN;
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

        (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (syscall(SYS_capget, &header, data) < 0)
                return;
        data[0].effective = data[0].permitted &= keep;
        data[0].inheritable = 0;
        data[1] = (struct __user_cap_data_struct){};
        (void) syscall(SYS_capset, &header, data);
}

static int take_link(int *ret) {
        int type = 0, fd;
        socklen_t size = sizeof(type);

        if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
                return -ENOTSOCK;
        fd = fd_duplicate(STDIN_FILENO);
        if (fd < 0)
                return fd;
        close_fd(STDIN_FILENO);
        *ret = fd;
        return 0;
}

int main(int argc, char *argv[]) {
        struct logger *l = NULL;
        int link = -EBADF, r;

        log_open(PROGRAM);
        if (argc > 1) {
                log_error("It is started by arbiterd, and takes no arguments.");
                return 2;
        }
        r = take_link(&link);
        if (r < 0) {
                log_error("It is started by arbiterd: its standard input is no link to one.");
                return 2;
        }
        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGINT, SIG_IGN); /* of a terminal: the workers end, and then it does */
        (void) signal(SIGHUP, SIG_IGN);
        raise_nofile();
        drop_capabilities();
        r = logger_new(link, journal_socket_path(), &l);
        if (r < 0)
                close_fd(link);
        else {
                r = logger_run(l);
                logger_free(l);
        }
        if (r < 0)
                log_error_errno(r, "It has failed: %m");
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
