/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the user's pager with our stdout as its input: $ARBITER_PAGER, $SYSTEMD_PAGER, $PAGER, else less
 * or more. Called by verbs before they print. Decisions about colours and width were taken before, when
 * stdout was the terminal. */

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arbiterctl/pager.h"
#include "basic/fd.h"

static const char *chosen_pager(void) {
        static const char *const variables[] = { "ARBITER_PAGER", "SYSTEMD_PAGER", "PAGER" };

        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                const char *e = getenv(variables[i]);

                if (e)
                        return e;
        }
        return NULL;
}

/* In the child. What less may do is limited when it runs with more rights than the one who looks. */
static void set_environment(void) {
        const char *options = getenv("SYSTEMD_LESS"), *charset = getenv("SYSTEMD_LESSCHARSET"),
                   *secure = getenv("SYSTEMD_PAGERSECURE");

        (void) setenv("LESS", options ? options : "FRSXMK", true);
        if (charset || output_is_utf8())
                (void) setenv("LESSCHARSET", charset ? charset : "utf-8", true);
        if (secure ? !streq(secure, "0") : getenv("SUDO_UID") || getuid() != geteuid())
                (void) setenv("LESSSECURE", "1", true);
}

static void run_pager(int fd, const char *pager, pid_t parent) {
        static const char *const usual[] = { "less", "more" };

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (dup2(fd, STDIN_FILENO) < 0 || getppid() != parent)
                _exit(EXIT_FAILURE);
        set_environment();
        if (pager) {
                (void) execlp("sh", "sh", "-c", pager, (char *) NULL);
                _exit(EXIT_FAILURE);
        }
        for (size_t i = 0; i < ELEMENTSOF(usual); i++)
                (void) execlp(usual[i], usual[i], (char *) NULL);
        /* Neither is there: the text still has to come out. */
        for (char buffer[4096];;) {
                ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));

                if (n <= 0 || write_all(STDOUT_FILENO, buffer, (size_t) n) < 0)
                        _exit(EXIT_SUCCESS);
        }
}

void pager_open(struct context *c) {
        const char *pager = chosen_pager();
        pid_t self = getpid();
        int fds[2];

        if (!c->pager || c->pager_pid > 0 || !isatty(STDOUT_FILENO) || !output_is_terminal() ||
            (pager && (!*pager || streq(pager, "cat"))))
                return;
        (void) fflush(stdout);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        c->pager_pid = fork();
        if (c->pager_pid == 0)
                run_pager(fds[0], pager, self);
        (void) close_fd(fds[0]);
        if (c->pager_pid > 0) {
                /* who has seen enough quits the pager, and that is no failure */
                (void) signal(SIGPIPE, SIG_IGN);
                (void) signal(SIGINT, SIG_IGN); /* is the pager's */
                (void) dup2(fds[1], STDOUT_FILENO);
        } else
                c->pager_pid = 0;
        (void) close_fd(fds[1]);
}

bool pager_close(struct context *c) {
        if (c->pager_pid <= 0)
                return false;
        (void) fflush(stdout);
        (void) close(STDOUT_FILENO);
        while (waitpid(c->pager_pid, NULL, 0) < 0 && errno == EINTR)
                ;
        c->pager_pid = 0;
        return true;
}
