/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arbiter's side of relinking: see relink.h. The order of things, for one actor:
 *
 *   1. a pair of sockets and a page; our end is the child's control link from now on, made anew: sequence
 *      and credit begin at nothing;
 *   2. our end is with the keeper. If we die from here on, the next arbiter finds all ends on which the
 *      actor may listen, and offers it a link of its own through each;
 *   3. what the actor said to the dead arbiter is looked through: of that, only what it said about its own
 *      life counts. Requests in there were never begun, and the actor sends them again;
 *   4. "relink" with the actor's end and the page goes out through the old end;
 *   5. the actor says "relinked" (or, without a welcome, "hello") as its first word on the new link. The old
 *      ends are closed, and the keeper forgets them.
 *
 * What a hostile actor gains: nothing is read of its old link but so many frames at a time, at three
 * moments; on the new one it may say nothing before "relinked"; and if it never does, it is silent, which
 * has its own end (on_silence_timer() in child.c). Called by src/arbiter/adopt*.c, child.c, launch.c. Never
 * waits. */

#include <stdio.h>
#include <sys/socket.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "transport/takeover.h"

enum {
        OLD_ENDS_MAX = 8, /* so many arbiters in a row have died in the midst of it */
        OLD_FRAMES_MAX = 1024,
        RETRY_USEC = 20 * 1000,
        /* for the keeper: an actor that has no arbiter is in greater danger than a link that is not kept */
        KEEP_USEC = 3 * 1000 * 1000,
};

/* One on which the actor may listen. */
struct old_end {
        struct child *child;
        int fd;
        unsigned number;
        bool offered, gone; /* "relink" is in it; or nobody reads there */
        sd_event_source *writable;
};

struct relink {
        struct list_node relinks;
        struct child *child;
        struct old_end old[OLD_ENDS_MAX];
        size_t n_old;
        int theirs, page_fd;
        bool asked, kept; /* our end: to be kept; it is */
        usec_t keep_until;
};

static void offer(struct relink *k);

/* Names. */

void child_link_format_name(const aid *id, unsigned number, char ret[static CHILD_LINK_NAME_SIZE]) {
        if (number == 1)
                (void) snprintf(ret, CHILD_LINK_NAME_SIZE, "c.%s", aid_to_string(id).s);
        else
                (void) snprintf(ret, CHILD_LINK_NAME_SIZE, "c.%s.%u", aid_to_string(id).s, number);
}

int child_link_parse_name(const char *name, aid *ret_aid, unsigned *ret_number) {
        char id_string[AID_SIZE + 1] = {};
        uint64_t number = 1;
        aid id;

        if (strlen(name) < 2 + AID_SIZE || name[0] != 'c' || name[1] != '.')
                return -EINVAL;
        memcpy(id_string, name + 2, AID_SIZE);
        name += 2 + AID_SIZE;
        if (aid_parse(id_string, &id) < 0)
                return -EINVAL;
        if (*name && (*name != '.' || parse_u64(name + 1, &number) < 0 || number < 2 || number > INT32_MAX))
                return -EINVAL;
        *ret_aid = id;
        *ret_number = (unsigned) number;
        return 0;
}

/* Keeping. */

int arbiter_keep(arbiter *a, const char *name, int fd) {
        int r = a->keep_handler ? a->keep_handler(a, name, fd, a->keep_userdata) : 0;

        if (r < 0)
                arbiter_log(a, LOG_WARNING, NULL, "keep-failed", "%s cannot be kept: %s", name,
                                strerror(-r));
        return r;
}

static int keep_link(struct child *c, unsigned number, int fd) {
        char name[CHILD_LINK_NAME_SIZE];

        child_link_format_name(&c->aid, number, name);
        return arbiter_keep(c->arbiter, name, fd);
}

void child_keep_link(struct child *c) {
        c->link_number = 1;
        (void) keep_link(c, 1, link_get_fd(c->peer->link));
}

/* Life. */

static void old_end_done(struct old_end *o) {
        o->writable = sd_event_source_disable_unref(o->writable);
        o->fd = close_fd(o->fd);
}

static void relink_free(struct relink *k) {
        struct child *c = k->child;

        for (size_t i = 0; i < k->n_old; i++) {
                (void) keep_link(c, k->old[i].number, -EBADF);
                old_end_done(&k->old[i]);
        }
        close_fd(k->theirs);
        close_fd(k->page_fd);
        list_remove(&k->relinks);
        c->relink = NULL;
        free(k);
}

void relink_forget(struct child *c) {
        if (c->relink)
                relink_free(c->relink);
        if (c->link_number > 0)
                (void) keep_link(c, c->link_number, -EBADF);
        c->link_number = 0;
}

static int make_page(int *ret_fd, struct link_page **ret) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = link_page_create(&fd);
        if (r >= 0)
                r = link_page_grant(fd, 0, CONTROL_WINDOW_MESSAGES, CONTROL_WINDOW_BYTES);
        if (r >= 0)
                r = link_page_map(fd, ret);
        if (r >= 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}

static int make_link(struct relink *k) {
        struct link_page *page;
        struct child *c = k->child;
        int r;

        r = make_page(&k->page_fd, &page);
        if (r < 0)
                return r;
        r = launch_make_control(c, &k->theirs);
        if (r < 0) {
                link_page_unmap(page);
                return r;
        }
        return link_set_page_granted(
                        c->peer->link, page, 0, CONTROL_WINDOW_MESSAGES, CONTROL_WINDOW_BYTES);
}

static int relink_new(struct child *c) {
        arbiter *a = c->arbiter;
        struct relink *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        k->child = c;
        k->theirs = k->page_fd = -EBADF;
        list_append(&a->relinks, &k->relinks);
        c->relink = k;
        c->links_due = true;
        r = make_link(k);
        if (r >= 0)
                r = actor_timer_set(a->actor, &a->relink_timer, 0);
        if (r < 0)
                relink_free(k);
        return r;
}

/* The oldest goes: the actor that still listens there has not looked up through so many arbiters. */
static void make_room(struct relink *k) {
        if (k->n_old < OLD_ENDS_MAX)
                return;
        (void) keep_link(k->child, k->old[0].number, -EBADF);
        old_end_done(&k->old[0]);
        memmove(k->old, k->old + 1, --k->n_old * sizeof(k->old[0]));
}

int child_relink(struct child *c, unsigned number, int old_fd) {
        struct relink *k;
        int r;

        r = c->relink ? 0 : relink_new(c);
        if (r < 0) {
                close_fd(old_fd);
                return r;
        }
        k = c->relink;
        make_room(k);
        k->old[k->n_old++] = (struct old_end){ .child = c, .fd = old_fd, .number = number };
        c->link_number = MAX(c->link_number, number + 1);
        if (c->welcomed)
                member_will_tell(&c->member);
        return 0;
}

/* What was said to the dead. */

static bool is_about_its_life(const struct envelope *e) {
        static const char *const commands[] = { "notify", "failed", "closed", "exiting" };

        if (e->kind != ENVELOPE_CAST || !(e->flags & ENVELOPE_SYSTEM) || (e->flags & ENVELOPE_MEMFD))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (streq(e->command, commands[i]))
                        return true;
        return false;
}

static void handle_old(struct child *c, const struct envelope *e, const uint8_t *body) {
        arbiter_actor *a = c->arbiter->actor;
        arbiter_message *m;
        struct incoming *i;

        if (!is_about_its_life(e) || message_from_frame(e, body, NULL, &m) < 0)
                return;
        if (incoming_new(a, c->peer, m, &i) >= 0) {
                if (streq(e->command, "notify"))
                        (void) handshake_notify(a, m, NULL);
                else if (streq(e->command, "failed"))
                        (void) handshake_failed(a, m, NULL);
                else if (streq(e->command, "closed"))
                        (void) handshake_closed(a, m, NULL);
                else
                        (void) handshake_exiting(a, m, NULL);
        }
        arbiter_message_unref(m);
}

static void read_old(struct child *c) {
        struct relink *k = c->relink;
        struct envelope e;
        const uint8_t *body;
        uint8_t *buffer;

        if (!k || !c->peer)
                return;
        buffer = malloc(FRAME_SIZE_MAX);
        if (!buffer)
                return; /* then its end has the reason that the kernel tells */
        for (size_t i = 0; i < k->n_old; i++)
                for (unsigned n = 0; n < OLD_FRAMES_MAX && k->old[i].fd >= 0; n++) {
                        int r = takeover_receive(k->old[i].fd, buffer, &e, &body);

                        if (r == -EAGAIN || r == -ECONNRESET)
                                break;
                        if (r >= 0)
                                handle_old(c, &e, body);
                }
        free(buffer);
}

void child_drain(struct child *c) {
        read_old(c);
        if (c->peer && c->peer->link)
                (void) link_drain(c->peer->link);
}

/* The offer. */

static void come_again(arbiter *a, usec_t at) {
        if (!heap_node_is_linked(&a->relink_timer.node) || a->relink_timer.node.key > at)
                (void) actor_timer_set(a->actor, &a->relink_timer, at);
}

static int send_relink(struct relink *k, int fd) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct child *c = k->child;
        struct envelope e = {
                .sender = AID_ARBITER,
                .target = c->aid,
                .target_generation = c->generation,
                .command = "relink",
                .command_length = strlen("relink"),
        };
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_append(m, "hh", k->theirs, k->page_fd);
        if (r >= 0)
                r = message_seal(m);
        if (r < 0)
                return -ENOBUFS;
        e.signature = m->envelope.signature;
        e.signature_length = m->envelope.signature_length;
        e.body_size = m->envelope.body_size;
        e.n_fds = m->envelope.n_fds;
        return takeover_send(fd, &e, m->body, m->fds);
}

static int on_writable(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct old_end *o = userdata;

        offer(o->child->relink);
        return 0;
}

static int wait_until_writable(arbiter *a, struct old_end *o) {
        if (o->writable)
                return sd_event_source_set_enabled(o->writable, SD_EVENT_ONESHOT);
        return sd_event_add_io(a->event, &o->writable, o->fd, EPOLLOUT, on_writable, o) < 0
                               ? -ENOBUFS
                               : sd_event_source_set_enabled(o->writable, SD_EVENT_ONESHOT);
}

static void offer_through(struct relink *k, struct old_end *o) {
        arbiter *a = k->child->arbiter;
        int r;

        if (o->offered || o->gone)
                return;
        r = send_relink(k, o->fd);
        if (r == -EAGAIN)
                r = wait_until_writable(a, o);
        else if (r >= 0)
                o->offered = true;
        if (r == -ENOBUFS)
                come_again(a, now_usec() + RETRY_USEC);
        o->gone = r == -ECONNRESET;
}

/* Through all of the old ends; and if none is left, nobody has the other end of the new link: it is lost
 * like any. */
static void offer(struct relink *k) {
        bool done = true;

        for (size_t i = 0; i < k->n_old; i++) {
                offer_through(k, &k->old[i]);
                done = done && (k->old[i].offered || k->old[i].gone);
        }
        if (done)
                k->theirs = close_fd(k->theirs);
}

static void have_it_kept(struct relink *k) {
        struct child *c = k->child;

        if (!k->asked) {
                k->asked = true;
                k->keep_until = now_usec() + KEEP_USEC;
                k->kept = keep_link(c, c->link_number, link_get_fd(c->peer->link)) <= 0;
        }
        if (!k->kept && now_usec() >= k->keep_until) {
                arbiter_log(c->arbiter, LOG_WARNING, c, "keep-failed",
                                "nobody keeps the new control link of %s: it goes on without that", c->name);
                k->kept = true;
        }
        if (!k->kept)
                come_again(c->arbiter, k->keep_until);
}

static void go_on(struct relink *k) {
        have_it_kept(k);
        if (!k->kept || k->theirs < 0)
                return;
        read_old(k->child);
        offer(k);
}

void relinks_on_timer(arbiter_actor *actor, struct actor_timer *t) {
        arbiter *a = CONTAINER_OF(t, arbiter, relink_timer);

        if (!a->relinks_held)
                LIST_FOREACH(k, &a->relinks, struct relink, relinks)
                        go_on(k);
}

static void go_on_soon(arbiter *a) {
        if (!list_is_empty(&a->relinks))
                come_again(a, 0);
}

void relinks_hold(arbiter *a) {
        a->relinks_held = true;
}

void relinks_go(arbiter *a) {
        a->relinks_held = false;
        go_on_soon(a);
}

void relinks_kept(arbiter *a) {
        LIST_FOREACH(k, &a->relinks, struct relink, relinks)
                k->kept = k->asked;
        /* From the loop: whoever tells this is in the midst of something else. */
        go_on_soon(a);
}

_public_ int arbiter_adopt_is_settled(arbiter *a) {
        return !a || list_is_empty(&a->relinks);
}

/* The answer. */

bool relink_admits(const struct child *c, const struct envelope *e) {
        if (!(e->flags & ENVELOPE_SYSTEM))
                return false;
        return (e->kind == ENVELOPE_CAST && streq(e->command, "relinked")) ||
               (e->kind == ENVELOPE_REQUEST && streq(e->command, "hello"));
}

static void confirmed(struct child *c) {
        read_old(c);
        relink_free(c->relink);
        arbiter_log(c->arbiter, LOG_DEBUG, c, "relinked", "%s has the new control link", c->name);
}

int relink_said_hello(struct child *c) {
        int page_fd = TAKE_FD(c->relink->page_fd);

        confirmed(c);
        return page_fd;
}

/* relinked(...): as hello, of one who had its welcome from a dead arbiter. */
int relink_relinked(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        const char *token;
        uint32_t version, pid;
        int r;

        if (!c || !c->relink)
                return -EALREADY;
        r = arbiter_message_read(m, "usu", &version, &token, &pid);
        if (r >= 0)
                r = handshake_take_commands(c, m);
        if (r < 0)
                return r;
        c->welcomed = true;
        state_mark_child(c);
        relations_forget_watches(c); /* it tells them anew */
        confirmed(c);
        load_ask(c);
        routes_reconsider(c->arbiter);
        return 0;
}
