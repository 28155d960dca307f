/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From bytes to frames: the input buffer, the scan that finds the frames of the system lane, and the
 * dispatch. Run by link_turn(). Every byte here is the peer's: sizes and counts are checked before use, and
 * a violation ends the link after what came before it has been dispatched. */

#include "basic/fd.h"
#include "transport/link-ops.h"

static int input_resize(struct input *in, size_t size) {
        uint8_t *data;

        data = malloc(size);
        if (!data)
                return -ENOMEM;
        if (input_size(in) > 0)
                memcpy(data, in->data + in->start, input_size(in));
        free(in->data);
        in->data = data;
        in->allocated = size;
        in->scanned -= in->start;
        in->end -= in->start;
        in->start = 0;
        return 0;
}

static void input_move_to_front(struct input *in) {
        if (in->start == 0)
                return;
        memmove(in->data, in->data + in->start, input_size(in));
        in->scanned -= in->start;
        in->end -= in->start;
        in->start = 0;
}

ssize_t input_prepare(struct input *in, size_t size, size_t room_min) {
        int r;

        if (!input_is_exhausted(in)) /* moving what is not dispatched would be quadratic */
                return in->allocated - in->end > MAX(room_min, (size_t) INPUT_SIZE_SMALL / 2)
                                       ? (ssize_t) (in->allocated - in->end)
                                       : 0;

        /* What is left is at most the front of a frame, and the scan has checked its size. */
        if (in->allocated < size) {
                r = input_resize(in, size);
                if (r < 0)
                        return r;
        } else
                input_move_to_front(in);
        if (in->allocated - in->end < MAX(room_min, (size_t)1))
                return 0;
        return (ssize_t) (in->allocated - in->end);
}

int input_make_room(struct input *in, size_t size) {
        return in->allocated - in->end >= size ? 0 : input_resize(in, input_size(in) + size);
}

static int input_grow_fds(struct input *in, size_t n_fds) {
        size_t live = in->n_fds - in->fds_start,
               allocated = MAX(in->fds_allocated * 2, (size_t) FRAME_FDS_MAX);
        int *fds;

        if (live > 0 && in->fds_start > 0)
                memmove(in->fds, in->fds + in->fds_start, live * sizeof(int));
        in->fds_scanned -= in->fds_start;
        in->fds_start = 0;
        in->n_fds = live;
        if (in->fds_allocated - live >= n_fds)
                return 0;

        while (allocated < live + n_fds)
                allocated *= 2;
        fds = realloc(in->fds, allocated * sizeof(int));
        if (!fds)
                return -ENOMEM;
        in->fds = fds;
        in->fds_allocated = allocated;
        return 0;
}

int input_reserve_fds(struct input *in, size_t n_fds) {
        return in->fds_allocated - in->n_fds >= n_fds ? 0 : input_grow_fds(in, n_fds);
}

int input_add_fds(struct input *in, const int *fds, size_t n_fds) {
        int r;

        if (in->fds_allocated - in->n_fds < n_fds) {
                r = input_grow_fds(in, n_fds);
                if (r < 0) {
                        close_many(fds, n_fds);
                        return r;
                }
        }
        memcpy(in->fds + in->n_fds, fds, n_fds * sizeof(int));
        in->n_fds += n_fds;
        return 0;
}

static void input_free_fds(struct input *in) {
        if (!in->fds)
                return;
        close_many(in->fds + in->fds_start, in->n_fds - in->fds_start);
        free(in->fds);
        in->fds = NULL;
        in->fds_start = in->fds_scanned = in->n_fds = in->fds_allocated = 0;
}

/* Forgets what lies behind the scanned frames: it will never be dispatched. */
static void truncate_input(struct input *in) {
        in->end = in->scanned;
}

void input_release(struct input *in) {
        if (in->fds_start == in->n_fds)
                input_free_fds(in);
        if (!in->data || input_size(in) > 0)
                return;
        if (in->end <= INPUT_SIZE_SMALL / 2)
                in->bulk = false;
        free(in->data);
        in->data = NULL;
        in->start = in->scanned = in->end = in->allocated = 0;
}

void input_done(struct input *in) {
        input_free_fds(in);
        free(in->data);
        *in = (struct input){};
}

void link_batch_begin(struct link_batch *b, bool bounded) {
        *b = (struct link_batch){
                        .bounded = bounded,
                        .end = bounded ? now_nsec() + LINK_BATCH_USEC * NSEC_PER_USEC : NSEC_INFINITY,
                        .bytes_left = LINK_OUTPUT_MAX,
        };
}

/* Asked after each message; the clock is read for every 16th only. */
static bool batch_is_full(struct link_batch *b, size_t size) {
        b->n++;
        if (b->bounded)
                b->full = b->n >= LINK_BATCH_MESSAGES || (b->n % 16 == 0 && now_nsec() >= b->end);
        else {
                b->full = b->bytes_left < size;
                b->bytes_left -= MIN(size, b->bytes_left);
        }
        return b->full;
}

static bool envelope_is_credit_signal(const struct envelope *e) {
        return e->kind == ENVELOPE_SIGNAL && (e->flags & ENVELOPE_SYSTEM) && e->command_length == 6 &&
               memcmp(e->command, "credit", 6) == 0;
}

/* Of one who knows no sequence: it is not counted. */
static bool is_takeover(const struct link *l, const struct envelope *e) {
        return e->sequence == 0 && l->takeover && e->kind == ENVELOPE_SIGNAL &&
               (e->flags & ENVELOPE_SYSTEM) && !envelope_is_credit_signal(e);
}

/* One whole frame, to the runtime. first_fd: where its descriptors are in the queue. */
static int deliver(struct link *l, const uint8_t *frame, size_t size, size_t first_fd) {
        const uint8_t *body = NULL; /* gcc's LTO loses sight of who sets it */
        struct envelope e;
        int fds[FRAME_FDS_MAX];
        enum link_lane lane;
        int r;

        if (envelope_decode(frame, size, &e, &body) != (ssize_t) size)
                return -EBADMSG;
        lane = envelope_lane(&e);
        if (_likely_(e.sequence == l->sequence_received[lane] + 1))
                l->sequence_received[lane]++;
        else if (!is_takeover(l, &e))
                return -EBADMSG;
        l->statistics.frames_received++;
        if (envelope_is_credited(&e)) {
                r = link_charge_received(l, size);
                if (r < 0)
                        return r;
        }
        if (_unlikely_(envelope_is_credit_signal(&e))) {
                if (e.n_fds > 0)
                        return -EBADMSG;
                link_credit_arrived(l);
                return 0;
        }
        if (_unlikely_(e.n_fds > 0)) {
                assert(e.n_fds <= FRAME_FDS_MAX);
                memcpy(fds, l->input.fds + first_fd, e.n_fds * sizeof(int));
                for (size_t i = 0; i < e.n_fds; i++)
                        l->input.fds[first_fd + i] = -EBADF;
        }
        r = l->events.frame(l, &e, body, fds, l->userdata);
        if (_unlikely_(r == -EAGAIN && !l->closed)) { /* as if it had not arrived yet */
                l->sequence_received[lane] -= e.sequence > 0;
                l->statistics.frames_received--;
                if (envelope_is_credited(&e))
                        link_uncharge_received(l, size);
                l->no_memory = true;
        }
        return r;
}

/* Looks at what has arrived since the last time. Frames of the system lane are dispatched here, ahead of the
 * user lane's, which is why dispatch_user() passes over them. */
static int scan(struct link *l, struct link_batch *b) {
        struct input *in = &l->input;
        int r;

        while (in->end - in->scanned >= sizeof(uint64_t)) {
                const uint8_t *frame = in->data + in->scanned;
                uint64_t prefix = frame_prefix(frame);
                size_t size = frame_prefix_size(prefix), n_fds = frame_prefix_n_fds(prefix);

                if (_unlikely_(!frame_size_is_valid(size) || n_fds > FRAME_FDS_MAX))
                        return -EBADMSG;
                if (size > in->end - in->scanned)
                        break;
                if (_unlikely_(n_fds > in->n_fds - in->fds_scanned))
                        return -EBADMSG;
                if (_unlikely_(frame_prefix_is_system(prefix))) {
                        r = deliver(l, frame, size, in->fds_scanned);
                        if (r < 0)
                                return r == -EAGAIN ? 0 : r;
                }
                in->scanned += size;
                in->fds_scanned += n_fds;
                if (_unlikely_(frame_prefix_is_system(prefix) && (l->closed || batch_is_full(b, size))))
                        break;
        }
        return 0;
}

static int dispatch_user(struct link *l, struct link_batch *b) {
        struct input *in = &l->input;

        while (in->start < in->scanned) {
                const uint8_t *frame = in->data + in->start;
                uint64_t prefix = frame_prefix(frame);
                size_t size = frame_prefix_size(prefix), first_fd = in->fds_start;
                int r;

                in->start += size;
                in->fds_start += frame_prefix_n_fds(prefix);
                if (_unlikely_(frame_prefix_is_system(prefix)))
                        continue;
                r = deliver(l, frame, size, first_fd);
                if (_unlikely_(l->closed))
                        break;
                if (_unlikely_(r == -EAGAIN)) {
                        in->start -= size;
                        in->fds_start = first_fd;
                        break;
                }
                if (_unlikely_(r < 0)) {
                        /* The descriptors that deliver() did not hand out stay ours to close. */
                        in->fds_start = first_fd;
                        in->scanned = in->start;
                        return r;
                }
                if (batch_is_full(b, size))
                        break;
                if (_unlikely_(b->n % LINK_FLUSH_MESSAGES == 0 && l->events.batch_end)) {
                        l->events.batch_end(l, l->userdata);
                        if (l->closed)
                                break;
                }
        }
        return 0;
}

/* Descriptors travel with the first byte of their frame: once every whole frame is gone, only the one that
 * has begun to arrive may own any. */
static bool has_surplus_fds(const struct input *in) {
        size_t n_fds = in->n_fds - in->fds_start;

        if (n_fds == 0)
                return false;
        if (input_size(in) >= sizeof(uint64_t))
                return n_fds > frame_prefix_n_fds(frame_prefix(in->data + in->start));
        return input_size(in) == 0 || n_fds > FRAME_FDS_MAX;
}

void link_dispatch(struct link *l, struct link_batch *b) {
        int r;

        r = scan(l, b);
        if (l->closed)
                return;
        if (r < 0) {
                truncate_input(&l->input);
                link_fail_reading(l, r);
        }
        if (b->full)
                return;
        r = dispatch_user(l, b);
        if (l->closed)
                return;
        if (r < 0) {
                truncate_input(&l->input);
                link_fail_reading(l, r);
        } else if (!b->full && !l->no_memory && has_surplus_fds(&l->input))
                link_fail_reading(l, -EBADMSG);
}
