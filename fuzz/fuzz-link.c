/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hostile peer of a link. The input is a script: the first byte chooses stream or seqpacket; then steps of
 * an opcode and what it needs. Whatever happens, the link ends exactly once, frames are whole and in
 * sequence, and no more credited ones come than were granted. */

#include <sys/socket.h>

#include "basic/fd.h"
#include "fuzz.h"
#include "transport/link.h"

enum {
        STEP_RAW,
        STEP_FRAME,
        STEP_RAW_WITH_FD,
        STEP_FRAME_WITH_FD,
        STEP_RUN,
        STEP_CONSUME,
        STEP_SEND,
        STEP_DRAIN,
        STEP_MAX,
};
enum { WINDOW = 64 };

struct script {
        const uint8_t *data;
        size_t size;
};

struct witness {
        struct link *l;
        uint64_t sequence[LANE_COUNT], n_credited, n_consumed, n_closed;
};

static uint8_t next_byte(struct script *s) {
        if (s->size == 0)
                return 0;
        s->size--;
        return *s->data++;
}

static int on_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                void *userdata) {
        struct witness *w = userdata;
        enum link_lane lane = e->flags & ENVELOPE_SYSTEM ? LANE_SYSTEM : LANE_USER;
        uint8_t sum = 0;

        FUZZ_CHECK(w->n_closed == 0);
        FUZZ_CHECK(e->sequence > w->sequence[lane]); /* the link keeps credit signals to itself */
        w->sequence[lane] = e->sequence;
        if (lane == LANE_USER && e->kind <= ENVELOPE_CAST)
                FUZZ_CHECK(++w->n_credited <= w->n_consumed + WINDOW);
        for (size_t i = 0; body && i < e->body_size; i++)
                sum += body[i];
        for (size_t i = 0; i < e->n_fds; i++)
                FUZZ_CHECK(close(fds[i]) == 0);
        link_publish_begun(l, lane, e->sequence);
        return sum == 0xff ? -EPROTO : 0;
}

static void on_closed(struct link *l, int error, void *userdata) {
        struct witness *w = userdata;

        FUZZ_CHECK(++w->n_closed == 1 && error <= 0 && !link_is_open(l));
}

static const struct link_events events = {on_frame, NULL, NULL, on_closed};

static void transmit(int fd, const uint8_t *data, size_t size, bool with_fd) {
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(sizeof(int))];
        } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
        struct iovec iov = {(void *)data, size};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        if (with_fd) {
                memcpy(CMSG_DATA(&control.header), &(int){STDERR_FILENO}, sizeof(int));
                mh.msg_control = &control;
                mh.msg_controllen = sizeof(control);
        }
        (void)sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A frame that is good as far as the script wants it. */
static void transmit_frame(struct script *s, int fd, uint64_t sequence[], bool with_fd) {
        uint8_t buffer[512] __attribute__((aligned(8))) = {}, *body;
        struct envelope e = {
                        .kind = 1 + next_byte(s) % 6,
                        .flags = next_byte(s) & ENVELOPE_SYSTEM,
                        .n_fds = with_fd,
                        .deadline = UINT64_MAX,
                        .signature = "ay",
                        .signature_length = 2,
                        .body_size = next_byte(s),
        };

        e.id = e.kind == ENVELOPE_CAST || e.kind == ENVELOPE_SIGNAL ? 0 : 1;
        e.command = e.kind == ENVELOPE_REPLY || e.kind == ENVELOPE_CANCEL ? "" : "credit";
        e.command_length = (uint8_t)strlen(e.command);
        e.sequence = ++sequence[e.flags & ENVELOPE_SYSTEM ? LANE_SYSTEM : LANE_USER];
        body = envelope_encode(&e, buffer);
        memset(body, next_byte(s), e.body_size);
        transmit(fd, buffer, envelope_frame_size(&e), with_fd);
}

static void settle(sd_event *event) {
        while (sd_event_run(event, 0) > 0)
                ;
}

static void step(struct script *s, struct witness *w, sd_event *event, int fd, uint64_t sequence[]) {
        uint8_t op = next_byte(s) % STEP_MAX;
        struct envelope e = {.kind = ENVELOPE_REPLY, .id = 1, .command = "", .signature = ""};
        size_t n;

        switch (op) {
        case STEP_RAW:
        case STEP_RAW_WITH_FD:
                n = next_byte(s);
                n = MIN(n, s->size);
                transmit(fd, s->data, n, op == STEP_RAW_WITH_FD);
                s->data += n;
                s->size -= n;
                break;
        case STEP_FRAME:
        case STEP_FRAME_WITH_FD:
                transmit_frame(s, fd, sequence, op == STEP_FRAME_WITH_FD);
                break;
        case STEP_RUN:
                settle(event);
                break;
        case STEP_CONSUME:
                if (w->n_consumed < w->n_credited) {
                        w->n_consumed++;
                        link_consumed(w->l, 1, 64);
                }
                break;
        case STEP_SEND:
                (void)link_send(w->l, &e, NULL, &fd);
                (void)link_flush(w->l);
                break;
        case STEP_DRAIN:
                (void)link_drain(w->l);
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct script s = {data, size};
        struct witness w = {};
        uint64_t sequence[LANE_COUNT] = {};
        struct link_page *page;
        sd_event *event;
        enum link_kind kind;
        int sv[2], type;

        kind = next_byte(&s) % 2 ? LINK_SEQPACKET : LINK_STREAM;
        FUZZ_CHECK(sd_event_new(&event) >= 0);
        FUZZ_CHECK(link_page_map_local(&page) >= 0);
        type = (kind == LINK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC;
        FUZZ_CHECK(socketpair(AF_UNIX, type, 0, sv) == 0);
        FUZZ_CHECK(link_new(event, kind, sv[0], page, 0, &events, &w, &w.l) >= 0);
        link_set_window(w.l, WINDOW, UINT64_C(1) << 30);

        while (s.size > 0)
                step(&s, &w, event, sv[1], sequence);
        close_fd(sv[1]);
        settle(event);
        FUZZ_CHECK(w.n_closed == 1);
        link_unref(w.l);
        sd_event_unref(event);
        return 0;
}
