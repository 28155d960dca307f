/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both sides of a control link against an enemy, in this process and without a fork. The first byte
 * chooses: the arbiter's end of a child's link, or of the new link of a child that another arbiter had
 * started (and of its old one), or an actor's end with a false arbiter. The rest are
 * datagrams: a length (two bytes) and as many bytes; or, with a length from 0xff00 on, a good frame whose
 * command the low byte chooses and whose body the bytes after it are. */

#include <sys/socket.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "fuzz.h"

static const arbiter_module module = { ARBITER_MODULE_HEAD, .name = "fuzz" };

static const struct {
        const char *command, *signature;
        uint8_t kind;
} known[] = {
        { "hello", "usua(ssssst)", ENVELOPE_REQUEST }, { "notify", "ytt", ENVELOPE_CAST }, { "failed", "is",
                        ENVELOPE_CAST },
        { "closed", "i", ENVELOPE_CAST }, { "exiting", "u", ENVELOPE_CAST }, { "connect", "s",
                        ENVELOPE_REQUEST },
        { "disconnect", "t", ENVELOPE_CAST }, { "watch", "su", ENVELOPE_CAST }, { "unwatch", "s",
                        ENVELOPE_CAST },
        { "link", "su", ENVELOPE_CAST }, { "unlink", "su", ENVELOPE_REQUEST }, { "spawn", "sssas",
                        ENVELOPE_REQUEST },
        { "kill_actor", "s", ENVELOPE_REQUEST }, { "list", "", ENVELOPE_REQUEST }, { "stop", "",
                        ENVELOPE_CAST },
        { "config", "ssv", ENVELOPE_REQUEST }, { "down", "ssuui", ENVELOPE_SIGNAL }, { "exit", "ssuui",
                        ENVELOPE_SIGNAL },
        { "peer", "ssutyyhh", ENVELOPE_SIGNAL }, { "delegated", "ts", ENVELOPE_SIGNAL }, { "fin", "",
                        ENVELOPE_SIGNAL },
        { "fin-ack", "", ENVELOPE_SIGNAL }, { "credit", "", ENVELOPE_SIGNAL }, { "info", "",
                        ENVELOPE_REQUEST },
        { "relinked", "usua(ssssst)", ENVELOPE_CAST }, { "links", "a(ts)", ENVELOPE_CAST },
        { "lost", "su", ENVELOPE_REQUEST }, { "relink", "hh", ENVELOPE_SIGNAL },
};

static void transmit_known(int fd, unsigned which, const uint8_t *body, size_t size, uint64_t *sequence) {
        static uint8_t frame[FRAME_SIZE_MAX] __attribute__((aligned(8)));
        struct envelope e = {
                .kind = known[which % ELEMENTSOF(known)].kind,
                .flags = ENVELOPE_SYSTEM,
                .deadline = UINT64_MAX,
                .command = known[which % ELEMENTSOF(known)].command,
                .signature = known[which % ELEMENTSOF(known)].signature,
                .body_size = (uint32_t) size,
        };

        e.sequence = streq(e.command, "relink") ? 0 : ++*sequence;
        e.id = e.kind == ENVELOPE_REQUEST ? e.sequence : 0;
        e.command_length = (uint8_t) strlen(e.command);
        e.signature_length = (uint8_t) strlen(e.signature);
        memcpy(envelope_encode(&e, frame), body, size);
        (void) send(fd, frame, envelope_frame_size(&e), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void settle(sd_event *event) {
        for (unsigned i = 0; i < 100 && sd_event_run(event, 0) > 0; i++)
                ;
}

static void drain(int fd) {
        uint8_t b[4096];

        while (recv(fd, b, sizeof(b), MSG_DONTWAIT) > 0)
                ;
}

static void play(const uint8_t *data, size_t size, int fd, sd_event *event) {
        uint64_t sequence = 0;

        while (size > 2) {
                unsigned length = data[0] | data[1] << 8;
                size_t n;

                data += 2;
                size -= 2;
                n = length < 0xff00 ? length : MIN(size, (size_t) data[0] + 1);
                n = MIN(n, size);
                if (length < 0xff00)
                        (void) send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                else if (n > 0)
                        transmit_known(fd, length & 0xff, data + 1, n - 1, &sequence);
                data += n;
                size -= n;
                settle(event);
                drain(fd);
        }
}

static void attach_link(struct child *c, int fd) {
        struct link *l;

        FUZZ_CHECK(link_new(c->arbiter->event, LINK_SEQPACKET, fd, NULL, 0, &actor_link_events, NULL, &l) >=
                        0);
        FUZZ_CHECK(child_attach_link(c, l) >= 0);
        link_unref(l);
}

/* By its old link it gets a new one, and that is where it goes on. */
static int take_new_link(struct child *c, int fd) {
        char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))), frame[512];
        struct iovec iov = { frame, sizeof(frame) };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                .msg_controllen = sizeof(control) };
        int fds[2];

        settle(c->arbiter->event);
        FUZZ_CHECK(recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) > 0);
        FUZZ_CHECK(mh.msg_controllen >= sizeof(control));
        memcpy(fds, CMSG_DATA((struct cmsghdr *) control), sizeof(fds));
        close_fd(fds[1]);
        close_fd(fd);
        return fds[0];
}

static void against_arbiter(const uint8_t *data, size_t size, bool taken_over) {
        struct child *c;
        arbiter_spawn *s;
        arbiter *a;
        int sv[2];

        FUZZ_CHECK(arbiter_new(NULL, NULL, &a) >= 0);
        FUZZ_CHECK(arbiter_start(a) >= 0);
        FUZZ_CHECK(arbiter_spawn_new(a, "child", &s) >= 0);
        FUZZ_CHECK(arbiter_spawn_set_module(s, &module) >= 0);
        FUZZ_CHECK(arbiter_spawn_set_concurrency(s,
                        ARBITER_CONCURRENCY_INLINE) >= 0); /* so that it spawns no process */
        FUZZ_CHECK(arbiter_add_definition(a, s) >= 0);
        FUZZ_CHECK(child_new(a, s, "child", NULL, &c) >= 0);
        c->state = ARBITER_STATE_STARTING;
        FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == 0);
        if (taken_over) {
                play(data, size / 2, sv[1], a->event); /* to the dead */
                data += size / 2;
                size -= size / 2;
                FUZZ_CHECK(child_relink(c, 1, sv[0]) >= 0);
                sv[1] = take_new_link(c, sv[1]);
        } else
                attach_link(c, sv[0]);
        play(data, size, sv[1], a->event);
        close_fd(sv[1]);
        settle(a->event);
        FUZZ_CHECK(a->actor->state == ARBITER_STATE_RUNNING); /* nobody but its owner stops it */
        arbiter_spawn_unref(s);
        arbiter_unref(a);
}

static void against_actor(const uint8_t *data, size_t size) {
        struct actor_options o = { .module = &module, .concurrency = ARBITER_CONCURRENCY_PROCESS };
        struct link *l;
        arbiter_actor *a;
        sd_event *event;
        int sv[2];

        FUZZ_CHECK(sd_event_new(&event) >= 0);
        o.event = event;
        FUZZ_CHECK(actor_new(&o, &a) >= 0);
        FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == 0);
        FUZZ_CHECK(link_new(event, LINK_SEQPACKET, sv[0], NULL, 1, &actor_link_events, NULL, &l) >= 0);
        FUZZ_CHECK(actor_attach_control(a, l) >= 0);
        link_unref(l);
        actor_flush(a);
        play(data, size, sv[1], event);
        close_fd(sv[1]);
        settle(event);
        FUZZ_CHECK(a->state >= ARBITER_STATE_STOPPING); /* its arbiter is gone */
        actor_unref(a);
        sd_event_unref(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < 1)
                return 0;
        if (data[0] % 2)
                against_actor(data + 1, size - 1);
        else
                against_arbiter(data + 1, size - 1, data[0] & 2);
        return 0;
}
