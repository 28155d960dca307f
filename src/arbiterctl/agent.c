/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pkttyagent(1), as systemctl starts it: a child that registers itself with polkit for our process and
 * asks on the terminal. Called before work is asked for over the system bus. Its absence is no error:
 * polkit then refuses, and the refusal says so. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arbiterctl/agent.h"
#include "basic/fd.h"

#define AGENT_PROGRAM "pkttyagent"

/* It asks on the terminal, whatever our own output is. */
static void run_agent(int fd, int tty, pid_t parent) {
        char number[16];

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        (void) dup2(tty, STDOUT_FILENO);
        (void) dup2(tty, STDERR_FILENO);
        (void) fcntl(fd, F_SETFD, 0);
        (void) snprintf(number, sizeof(number), "%i", fd);
        (void) execlp(AGENT_PROGRAM, AGENT_PROGRAM, "--notify-fd", number, "--fallback", (char *) NULL);
        _exit(EXIT_FAILURE);
}

void agent_open(struct context *c) {
        _cleanup_close_ int reader = -EBADF, writer = -EBADF, tty = -EBADF;
        pid_t self = getpid();
        int fds[2];

        if (c->agent_pid > 0 || !c->ask_password || !c->destination || c->scope == SCOPE_USER ||
            !context_is_local(c) || geteuid() == 0 || !isatty(STDIN_FILENO))
                return;
        tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (tty < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return;
        reader = fds[0];
        writer = fds[1];
        c->agent_pid = fork();
        if (c->agent_pid == 0)
                run_agent(writer, tty, self);
        if (c->agent_pid < 0) {
                c->agent_pid = 0;
                return;
        }
        writer = close_fd(writer);
        /* It closes its end when it is registered, or when it fails. */
        while (poll(&(struct pollfd){ .fd = reader, .events = POLLHUP }, 1, -1) < 0 && errno == EINTR)
                ;
}

void agent_close(struct context *c) {
        pid_t pid = c->agent_pid;

        if (pid <= 0)
                return;
        c->agent_pid = 0;
        (void) kill(pid, SIGTERM);
        (void) kill(pid, SIGCONT);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
