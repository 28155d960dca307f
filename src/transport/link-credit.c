/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Credit and begun: everything that reads or writes the shared page. What this end enforces is in private
 * counters; a value of the peer's side is a number to compare with, never an index or a size.
 *
 * A sender without credit writes a new number into "starved" and looks at the grant once more; a receiver
 * that grants more writes the grant and then looks at "starved". Both sequentially consistent, so one of the
 * two sees the other (Dekker), and no wake-up is lost. The receiver answers each number once, by a "credit"
 * signal on the system lane. */

#include "transport/link-ops.h"

/* More than anyone can have in flight; keeps sums of counters far from overflow whatever a peer grants. */
#define CREDIT_MAX (UINT64_C(1) << 40)

static struct link_page_side *own_side(const struct link *l) {
        return &l->page->side[l->side];
}

static struct link_page_side *peer_side(const struct link *l) {
        return &l->page->side[!l->side];
}

static bool credit_suffices(const struct link *l, size_t size) {
        return l->sent.messages < l->peer_granted.messages && l->peer_granted.bytes >= size &&
               l->sent.bytes <= l->peer_granted.bytes - size;
}

static void refresh_grant(struct link *l) {
        struct link_page_side *peer = peer_side(l);
        uint64_t messages = atomic_load(&peer->granted_messages), bytes = atomic_load(&peer->granted_bytes);

        /* each is read once: the peer may write another one in between */
        l->peer_granted.messages = MIN(messages, l->sent.messages + CREDIT_MAX);
        l->peer_granted.bytes = MIN(bytes, l->sent.bytes + CREDIT_MAX);
}

/* Takes the credit for one frame. The page is looked at only when what was known of it is used up. */
bool link_take_credit(struct link *l, size_t size) {
        if (!l->page)
                return true;
        if (_unlikely_(!credit_suffices(l, size)))
                refresh_grant(l);
        if (_unlikely_(!credit_suffices(l, size))) {
                if (!l->starving) {
                        l->starving = true;
                        if (++l->starved == 0)
                                l->starved = 1;
                        atomic_store(&own_side(l)->starved, l->starved);
                        refresh_grant(l);
                }
                if (!credit_suffices(l, size))
                        return false;
        }
        l->sent.messages++;
        l->sent.bytes += size;
        return true;
}

bool link_has_credit(struct link *l) {
        if (!l->page || credit_suffices(l, 1))
                return true;
        refresh_grant(l);
        return credit_suffices(l, 1) || (link_take_credit(l, 1) && (link_return_credit(l, 1), true));
}

/* The frame was not sent after all. */
void link_return_credit(struct link *l, size_t size) {
        if (!l->page)
                return;
        l->sent.messages--;
        l->sent.bytes -= size;
}

void link_get_credit(const struct link *l, uint64_t *ret_messages, uint64_t *ret_bytes) {
        uint64_t messages, bytes;

        if (!l->page) {
                *ret_messages = *ret_bytes = UINT64_MAX;
                return;
        }
        messages = atomic_load(&peer_side(l)->granted_messages);
        bytes = atomic_load(&peer_side(l)->granted_bytes);
        *ret_messages = messages > l->sent.messages ? MIN(messages - l->sent.messages, CREDIT_MAX) : 0;
        *ret_bytes = bytes > l->sent.bytes ? MIN(bytes - l->sent.bytes, CREDIT_MAX) : 0;
}

/* The peer's "credit" signal. */
void link_credit_arrived(struct link *l) {
        if (!l->starving || !l->page)
                return;
        l->starving = false;
        atomic_store(&own_side(l)->starved, 0);
        if (l->events.credit)
                l->events.credit(l, l->userdata);
}

void link_uncharge_received(struct link *l, size_t size) {
        if (!l->page)
                return;
        l->received.messages--;
        l->received.bytes -= size;
}

int link_charge_received(struct link *l, size_t size) {
        if (!l->page)
                return 0;
        l->received.messages++;
        l->received.bytes += size;
        if (_unlikely_(l->received.messages > l->granted.messages || l->received.bytes > l->granted.bytes))
                return -EBADMSG;
        return 0;
}

static void answer_starved(struct link *l) {
        struct envelope e = {
                        .kind = ENVELOPE_SIGNAL,
                        .flags = ENVELOPE_SYSTEM,
                        .deadline = UINT64_MAX,
                        .command = "credit",
                        .command_length = 6,
                        .signature = "",
        };
        uint32_t starved = atomic_load(&peer_side(l)->starved);

        if (starved == 0 || starved == l->answered)
                return;
        /* Without room the grant stands, and the signal follows when the peer has read. */
        l->signal_due = link_send(l, &e, NULL, NULL) < 0;
        if (!l->signal_due)
                l->answered = starved;
        if (!l->dispatching)
                (void) link_flush(l);
}

/* Grants what the window allows now, if that is more than before. */
void link_publish_credit(struct link *l) {
        uint64_t messages = time_add(l->consumed.messages, l->window.messages);
        uint64_t bytes = time_add(l->consumed.bytes, l->window.bytes);

        if (!l->page || l->closed)
                return;
        if (messages > l->granted.messages || bytes > l->granted.bytes) {
                l->granted.messages = MAX(messages, l->granted.messages);
                l->granted.bytes = MAX(bytes, l->granted.bytes);
                atomic_store(&own_side(l)->granted_bytes, l->granted.bytes);
                atomic_store(&own_side(l)->granted_messages, l->granted.messages);
                answer_starved(l);
        } else if (_unlikely_(l->signal_due))
                answer_starved(l);
}

void link_set_window(struct link *l, uint64_t messages, uint64_t bytes) {
        l->window.messages = messages;
        l->window.bytes = bytes;
        link_publish_credit(l);
}

void link_consumed(struct link *l, uint64_t messages, uint64_t bytes) {
        uint64_t new_messages, new_bytes;

        l->consumed.messages += messages;
        l->consumed.bytes += bytes;
        new_messages = time_add(l->consumed.messages, l->window.messages);
        new_bytes = time_add(l->consumed.bytes, l->window.bytes);

        /* Within a batch its end publishes the rest; outside of one, an empty mailbox does. Else the last
         * eighth would stay here, and a frame as large as the window would wait for it forever. */
        if ((new_messages > l->granted.messages &&
                            new_messages - l->granted.messages > l->window.messages / 8) ||
                        (new_bytes > l->granted.bytes &&
                                        new_bytes - l->granted.bytes > l->window.bytes / 8) ||
                        (!l->dispatching && l->consumed.messages == l->received.messages))
                link_publish_credit(l);
}

bool link_has_begun(const struct link *l, enum link_lane lane, uint64_t sequence) {
        /* Without a page nothing is known; what is not known may have run. */
        return !l->page || atomic_load(&peer_side(l)->begun[lane]) >= sequence;
}

void link_publish_begun(struct link *l, enum link_lane lane, uint64_t sequence) {
        if (sequence <= l->begun[lane])
                return;
        l->begun[lane] = sequence;
        if (l->page)
                atomic_store(&own_side(l)->begun[lane], sequence);
}

/* No clock is read after it, and no reader of the page waits for it: that it is written before what the
 * handler does is all that the one asks who reads the page of the dead. */
void link_publish_begun_cast(struct link *l, uint64_t sequence) {
        if (sequence <= l->begun[LANE_USER])
                return;
        l->begun[LANE_USER] = sequence;
        if (!l->page)
                return;
        atomic_store_explicit(&own_side(l)->begun[LANE_USER], sequence, memory_order_release);
        atomic_thread_fence(memory_order_release);
}

uint64_t link_get_begun(const struct link *l) {
        return l->page ? atomic_load(&peer_side(l)->begun[LANE_USER]) : UINT64_MAX;
}

bool link_peer_knows(const struct link *l, enum link_feature feature) {
        return l->page && (atomic_load(&peer_side(l)->features) & feature);
}

static int attach_page(struct link *l, struct link_page *page, unsigned side) {
        if (l->page || side > 1) {
                link_page_unmap(page);
                return l->page ? -EBUSY : -EINVAL;
        }
        l->page = page;
        l->side = side;
        return 0;
}

int link_set_page(struct link *l, struct link_page *page, unsigned side) {
        int r;

        r = attach_page(l, page, side);
        if (r < 0)
                return r;
        for (unsigned lane = 0; lane < LANE_COUNT; lane++)
                if (l->begun[lane] > 0)
                        atomic_store(&own_side(l)->begun[lane], l->begun[lane]);
        atomic_store(&own_side(l)->features, LINK_KNOWS_KEPT);
        link_publish_credit(l);
        return 0;
}

int link_set_page_granted(
                struct link *l, struct link_page *page, unsigned side, uint64_t messages, uint64_t bytes) {
        int r;

        /* What had begun before, a hello, has been answered before: nobody asks the page for it. */
        r = attach_page(l, page, side);
        if (r < 0)
                return r;
        l->window.messages = l->granted.messages = messages;
        l->window.bytes = l->granted.bytes = bytes;
        return 0;
}
