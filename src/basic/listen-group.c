/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See listen-group.h. Called by arbiterd for ReusePort=. Must not be needed: where the kernel refuses,
 * connections are lost that a worker which ends has not accepted. */

#include <linux/bpf.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/listen-group.h"

/* "Whoever the kernel would choose", for new connections and for those of a socket that is closed. */
static int load_program(int *ret_fd) {
        static const struct bpf_insn program[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS },
                { .code = BPF_JMP | BPF_EXIT },
        };
        union bpf_attr a;
        long fd;

        memset(&a, 0, sizeof(a)); /* the kernel looks at all of it */
        a.prog_type = BPF_PROG_TYPE_SK_REUSEPORT;
        a.expected_attach_type = BPF_SK_REUSEPORT_SELECT_OR_MIGRATE;
        a.insns = (uint64_t) (uintptr_t) program;
        a.insn_cnt = ELEMENTSOF(program);
        a.license = (uint64_t) (uintptr_t) "";
        fd = syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a)); /* O_CLOEXEC, always */
        if (fd < 0)
                return negative_errno();
        *ret_fd = (int) fd;
        return 0;
}

int listen_group_migrate(int fd) {
        _cleanup_close_ int program = -EBADF;
        int r;

        r = load_program(&program);
        if (r < 0)
                return r;
        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program)) < 0
                               ? negative_errno()
                               : 0;
}

void listen_group_leave(int fd) {
        (void) shutdown(fd, SHUT_RD);
}

/* Linux puts what it hands over into the queue and tells nobody, in most versions. To a socket that listens
 * the end of writing means nothing, but it wakes all. */
void listen_group_wake(int fd) {
        (void) shutdown(fd, SHUT_WR);
}
