/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What clients may send to arbiter-keeper, over several connections, with descriptors that belong to it or
 * not: none of it is kept that was not asked for by a good packet, no descriptor is lost, what is listed is
 * what there is, and nothing blocks. The input is a row of steps: whose it is and what (a packet; read what
 * has come; hang up), how many descriptors, how many bytes, the bytes. */

#include <fcntl.h>
#include <sys/socket.h>

#include "arbiter-keeper/keeper.h"
#include "fuzz.h"

#define CLIENTS 3U
#define TABLE_MAX 20U
#define STEPS_MAX 200U

struct step {
        uint8_t who, n_fds;
        uint16_t size;
};

struct fuzz {
        struct keeper *keeper;
        int clients[CLIENTS];
        int end; /* of a pipe: all descriptors that are sent are copies of it */
};

static void run(struct fuzz *f) {
        int r;

        do
                r = sd_event_run(f->keeper->event, 0);
        while (r > 0);
        FUZZ_CHECK(r == 0);
}

static void check_table(const struct fuzz *f) {
        size_t n = 0;

        LIST_FOREACH(k, &f->keeper->table.list, struct kept, list) {
                FUZZ_CHECK(k->fd >= 0 && fcntl(k->fd, F_GETFD) == FD_CLOEXEC);
                FUZZ_CHECK(keeper_name_is_valid(k->name, sizeof(k->name)));
                FUZZ_CHECK(map_get_string(f->keeper->table.names, k->name) == k);
                n++;
        }
        FUZZ_CHECK(n == table_size(&f->keeper->table) && n <= TABLE_MAX);
}

static void hang_up(struct fuzz *f, unsigned who) {
        int fds[2];

        close_fd(f->clients[who]);
        FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        f->clients[who] = fds[0];
        run(f); /* there are no more than there are clients */
        FUZZ_CHECK(keeper_add(f->keeper, fds[1]) == 0);
}

/* The keeper says only what is a packet. */
static void read_all(struct fuzz *f, unsigned who) {
        int fds[KEEPER_BATCH_MAX], r;
        struct keeper_packet p;
        size_t n_fds;

        while ((r = keeper_receive(f->clients[who], &p, fds, &n_fds)) > 0) {
                FUZZ_CHECK(p.head.op == KEEPER_HELLO || p.head.op == KEEPER_KEPT);
                close_many(fds, n_fds);
                run(f);
        }
        FUZZ_CHECK(r == 0 || r == -EAGAIN);
}

static void say(struct fuzz *f, unsigned who, const void *data, size_t size, size_t n_fds) {
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int) * UINT8_MAX)];
        } control = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        int *fds = (int *) (void *) CMSG_DATA(&control.head);

        n_fds = MIN(n_fds, (size_t) 253);
        if (n_fds > 0) {
                control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
                for (size_t i = 0; i < n_fds; i++)
                        fds[i] = f->end;
                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        (void) sendmsg(f->clients[who], &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void play(struct fuzz *f, const char *data, size_t size) {
        struct step s;

        for (unsigned n = 0; n < STEPS_MAX && size >= sizeof(s); n++) {
                size_t length;

                memcpy(&s, data, sizeof(s));
                data += sizeof(s);
                size -= sizeof(s);
                length = MIN((size_t) s.size, size);
                if (s.who & 0x80)
                        hang_up(f, s.who % CLIENTS);
                else if (s.who & 0x40)
                        read_all(f, s.who % CLIENTS);
                else {
                        say(f, s.who % CLIENTS, data, length, s.n_fds);
                        data += length;
                        size -= length;
                }
                if (!(s.who & 0x20)) /* else more comes before the keeper looks */
                        run(f);
                check_table(f);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *copy = fuzz_copy(data, size);
        struct fuzz f = {};
        int fds[2];
        char c;

        FUZZ_CHECK(pipe2(fds, O_CLOEXEC) == 0);
        f.end = fds[1];
        FUZZ_CHECK(keeper_new(NULL, NULL, TABLE_MAX, &f.keeper) == 0);
        for (unsigned i = 0; i < CLIENTS; i++) {
                f.clients[i] = -EBADF;
                hang_up(&f, i);
        }
        play(&f, copy, size);
        run(&f);
        keeper_free(f.keeper);
        close_many(f.clients, CLIENTS);
        close_fd(f.end);
        FUZZ_CHECK(read(fds[0], &c, 1) == 0); /* nobody has one any more */
        close_fd(fds[0]);
        return 0;
}
