/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The broker: introduces two actors to each other once, and then is out of the way. A link is keyed by the
 * unordered pair, so that two simultaneous connects yield one. A connect to an actor that is still starting
 * waits for it. Commands of actors; called by routes.c, too, and by child.c when a life begins and ends.
 * Must never pass a message on. */

#include <fnmatch.h>
#include <stdio.h>
#include <sys/socket.h>

#include "arbiter/internal.h"
#include "basic/fd.h"

struct parked {
        struct list_node parked;
        arbiter_message *message;
};

struct pair_key {
        aid low, high;
};

static struct pair_key pair_key(const struct child *a, const struct child *b) {
        bool swap = memcmp(a->aid.c, b->aid.c, AID_SIZE) > 0;

        return (struct pair_key){ swap ? b->aid : a->aid, swap ? a->aid : b->aid };
}

static void pair_free(struct pair *p) {
        arbiter *a = p->a->arbiter;
        struct pair_key key = pair_key(p->a, p->b);

        map_remove(a->pairs, &key, sizeof(key));
        list_remove(&p->pairs_a);
        list_remove(&p->pairs_b);
        p->a->n_pairs--;
        p->b->n_pairs--;
        free(p->notice);
        free(p);
}

void broker_forget(struct child *c) {
        struct pair *p;

        while ((p = LIST_FIRST(&c->pairs_a, struct pair, pairs_a)))
                pair_free(p);
        while ((p = LIST_FIRST(&c->pairs_b, struct pair, pairs_b)))
                pair_free(p);
}

void broker_child_gone(struct child *c, arbiter_reason reason, int status) {
        /* Before its name can lead to anybody else: a name resolves when it is said, and an end that has
         * not looked at its link yet would say it to the dead. */
        LIST_FOREACH(p, &c->pairs_a, struct pair, pairs_a)
                relations_tell_down(p->b, TAKE_PTR(p->notice), c, reason, status);
        LIST_FOREACH(p, &c->pairs_b, struct pair, pairs_b)
                relations_tell_down(p->a, TAKE_PTR(p->notice), c, reason, status);
        broker_forget(c);
}

static int pair_new(struct child *x, struct child *y, struct pair **ret) {
        struct pair_key key = pair_key(x, y);
        arbiter *a = x->arbiter;
        struct pair *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *p = (struct pair){ .a = x, .b = y, .link_id = ++a->link_counter };
        p->notice = calloc(1, sizeof(*p->notice));
        r = p->notice ? map_put(a->pairs, &key, sizeof(key), p) : -ENOMEM;
        if (r < 0) {
                free(p->notice);
                free(p);
                return r;
        }
        list_append(&x->pairs_a, &p->pairs_a);
        list_append(&y->pairs_b, &p->pairs_b);
        x->n_pairs++;
        y->n_pairs++;
        *ret = p;
        return 0;
}

static int tell(struct child *c, struct child *other, const struct pair *p, uint8_t side, int socket_fd,
                int page_fd) {
        return actor_signal_peer(c->peer, ENVELOPE_SYSTEM, "peer", "ssutyyhhy", other->aid_string.s,
                        other->name, other->generation, p->link_id, side,
                        (uint8_t) (other->peer ? other->peer->policy : ARBITER_MAILBOX_REJECT), socket_fd,
                        page_fd, (uint8_t) child_drops_mail(other));
}

static int introduce(struct child *to, struct child *other, const struct pair *p, struct link *l,
                struct peer **ret) {
        return peer_introduce(to->inline_actor, l,
                        &(struct peer_introduction){
                                        .id = &other->aid,
                                        .name = other->name,
                                        .generation = other->generation,
                                        .link_id = p->link_id,
                                        .policy = other->peer->policy,
                                        .drops_mail = child_drops_mail(other),
                        },
                        ret);
}

/* Two actors on our own loop need no socket. */
static int make_local(struct child *x, struct child *y, const struct pair *pair) {
        _cleanup_(link_unrefp) struct link *lx = NULL, *ly = NULL;
        struct peer *px, *py;
        int r;

        r = link_new_local(x->arbiter->event, &lx, &ly);
        if (r < 0)
                return r;
        r = introduce(x, y, pair, lx, &px);
        if (r < 0)
                return r;
        r = introduce(y, x, pair, ly, &py);
        if (r < 0)
                peer_free(px, ARBITER_OUTCOME_NO_CONNECTION);
        return r;
}

static int make_socket(struct child *x, struct child *y, const struct pair *pair) {
        _cleanup_close_ int fx = -EBADF, fy = -EBADF, page = -EBADF;
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return negative_errno();
        fx = fds[0];
        fy = fds[1];
        r = link_page_create(&page);
        if (r < 0)
                return r;
        r = tell(x, y, pair, 0, fx, page);
        return r < 0 ? r : tell(y, x, pair, 1, fy, page);
}

static int make_link(struct child *x, struct child *y) {
        struct pair *p;
        int r;

        r = pair_new(x, y, &p);
        if (r < 0)
                return r;
        r = x->inline_actor && y->inline_actor ? make_local(x, y, p) : make_socket(x, y, p);
        if (r < 0)
                pair_free(p);
        return r;
}

bool broker_is_allowed(const struct child *c, const char *name) {
        if (!c->spawn || !c->spawn->allow)
                return true;
        for (char **p = c->spawn->allow; *p; p++)
                if (fnmatch(*p, name, 0) == 0)
                        return true;
        return false;
}

static int park(struct child *target, arbiter_message *m) {
        struct parked *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->message = arbiter_message_ref(m);
        list_append(&target->parked, &p->parked);
        return 0;
}

/* Is there a name that has no life just now, but will have? */
bool broker_is_restarting(arbiter *a, const char *name) {
        const char *dot = strchr(name, '.');
        supervise_slot_info slot;
        uint32_t n;

        if (dot) {
                char monitor[QUALIFIED_NAME_SIZE];
                arbiter_monitor *m;

                (void) snprintf(monitor, sizeof(monitor), "%.*s", (int) (dot - name), name);
                m = map_get_string(a->monitors_by_name, monitor);
                return m && m->started &&
                       supervise_get_slot(m->set.supervise, (uint32_t) strtoul(dot + 1, NULL, 10), &slot) >=
                                       0 &&
                       slot.state != SUPERVISE_SLOT_FAILED && slot.state != SUPERVISE_SLOT_HELD &&
                       slot.state != SUPERVISE_SLOT_UNUSED;
        }
        n = root_find_slot(a, name);
        return n > 0 && supervise_get_slot(a->root.supervise, n, &slot) >= 0 &&
               slot.state == SUPERVISE_SLOT_BACKOFF;
}

static int refuse(arbiter_message *m, arbiter_outcome outcome, const char *format, const char *name) {
        incoming_refuse(m->context, outcome, format, name);
        return 0;
}

int broker_connect_child(struct child *caller, struct child *target, arbiter_message *m) {
        struct pair_key key = pair_key(caller, target);
        struct pair *p = map_get(caller->arbiter->pairs, &key, sizeof(key));
        int r;

        if (!p) {
                if (caller->n_pairs >= CHILD_LINKS_MAX || target->n_pairs >= CHILD_LINKS_MAX)
                        return refuse(m, ARBITER_OUTCOME_OVERLOAD, "too many links to connect to '%s'",
                                        target->name);
                r = make_link(caller, target);
                if (r == -ENOTCONN)
                        return r;
                if (r < 0)
                        return refuse(m, ARBITER_OUTCOME_OVERLOAD, "no link can be made: %s", strerror(-r));
                p = map_get(caller->arbiter->pairs, &key, sizeof(key));
        }
        if (streq(m->envelope.command, "route"))
                return arbiter_message_reply(m, "yssut", (uint8_t) ROUTE_TO_LIFE, target->aid_string.s,
                                target->name, target->generation, p->link_id);
        return arbiter_message_reply(
                        m, "ssut", target->aid_string.s, target->name, target->generation, p->link_id);
}

/* A pool's name stands for its workers. */
bool broker_may_connect(const struct child *c, const struct child *target) {
        return broker_is_allowed(c, target->name) ||
               (target->set && target->set->monitor && broker_is_allowed(c, target->set->monitor->name));
}

int broker_connect_name(struct child *caller, const char *name, arbiter_message *m) {
        arbiter *a = caller->arbiter;
        struct child *target = child_find(a, name);
        int r;

        if (!target)
                return broker_is_restarting(a, name)
                                       ? refuse(m, ARBITER_OUTCOME_RESTARTING, "'%s' is between two lives",
                                                         name)
                                       : refuse(m, ARBITER_OUTCOME_NOPROC, "no actor '%s'", name);
        if (!broker_may_connect(caller, target))
                return refuse(m, ARBITER_OUTCOME_DENIED, "Allow= does not let it connect to '%s'", name);
        if (target == caller)
                return refuse(m, ARBITER_OUTCOME_DENIED, "'%s' is itself", name);
        if (target->plain && plain_ensure_stub(target) < 0)
                return refuse(m, ARBITER_OUTCOME_OVERLOAD, "no memory for '%s'", name);
        if (target->link_lost || !target->peer || !target->peer->link || !link_can_send(target->peer->link))
                return refuse(m, ARBITER_OUTCOME_NOPROC, "'%s' is about to end", name);
        if (!target->welcomed)
                return park(target, m) < 0 ? -ENOMEM : 0;
        r = broker_connect_child(caller, target, m);
        return r == -ENOTCONN ? refuse(m, ARBITER_OUTCOME_NOPROC, "'%s' is about to end", name) : r;
}

int broker_connect(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *caller = caller_child(m);
        const char *name;
        int r;

        if (!caller)
                return -ESRCH;
        r = arbiter_message_read(m, "s", &name);
        return r < 0 ? r : broker_connect_name(caller, name, m);
}

static struct pair *find_own(struct child *c, uint64_t id) {
        LIST_FOREACH(p, &c->pairs_a, struct pair, pairs_a)
                if (p->link_id == id)
                        return p;
        LIST_FOREACH(p, &c->pairs_b, struct pair, pairs_b)
                if (p->link_id == id)
                        return p;
        return NULL;
}

int broker_disconnect(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *caller = caller_child(m);
        struct pair *p;
        uint64_t id;

        if (!caller || arbiter_message_read(m, "t", &id) <= 0)
                return 0;
        /* Among its own: what an actor has told of links before our time cannot touch those of others. */
        p = find_own(caller, id);
        if (p)
                pair_free(p);
        return 0;
}

/* links(a(ts) id aid): of an actor that an earlier arbiter had started, the direct links that it has. Each
 * end tells once. A pair lives on if both tell of it, or until the other one has: an end that does not know
 * of a link has closed it, or was never told. What is new, of ours, is on its way to it still. */

static bool both_may_know(const struct child *c, const struct child *other) {
        return other != c && other->links_due && broker_may_connect(c, other) &&
               c->n_pairs < CHILD_LINKS_MAX && other->n_pairs < CHILD_LINKS_MAX;
}

static void take_link(struct child *c, uint64_t id, const aid *with) {
        struct child *other = map_get(c->arbiter->by_aid, with->c, AID_SIZE);
        struct pair_key key;
        struct pair *p;

        if (aid_equal(with, &AID_ARBITER))
                return;
        if (!other) { /* it has ended, and whoever knew of the link is dead, too */
                relations_tell_ended(c, with);
                return;
        }
        key = pair_key(c, other);
        p = map_get(c->arbiter->pairs, &key, sizeof(key));
        if (p && p->adopted && p->link_id != id) {
                pair_free(p); /* they speak of two links, so one end of each is gone */
                return;
        }
        if (!p && both_may_know(c, other) && pair_new(c, other, &p) >= 0) {
                p->adopted = true;
                p->link_id = id;
        }
        if (p && p->adopted)
                p->told |= p->a == c ? 1 : 2;
}

static void forget_untold(struct child *c) {
        LIST_FOREACH(p, &c->pairs_a, struct pair, pairs_a)
                if (p->adopted && !(p->told & 1))
                        pair_free(p);
        LIST_FOREACH(p, &c->pairs_b, struct pair, pairs_b)
                if (p->adopted && !(p->told & 2))
                        pair_free(p);
}

int broker_links(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        const char *with;
        uint64_t id;
        unsigned n;
        aid other;
        int r;

        if (!c || !c->links_due)
                return -EALREADY;
        c->links_due = false;
        r = arbiter_message_enter_container(m, 'a', "(ts)");
        for (n = 0; n < 2 * CHILD_LINKS_MAX && r > 0 &&
                        (r = arbiter_message_read(m, "(ts)", &id, &with)) > 0; n++)
                if (aid_parse(with, &other) >= 0)
                        take_link(c, id, &other);
        forget_untold(c);
        return r;
}

static void connect_parked(struct child *caller, struct child *c, arbiter_message *m) {
        if (broker_connect_child(caller, c, m) == -ENOTCONN)
                (void) refuse(m, ARBITER_OUTCOME_NOPROC, "'%s' is about to end", c->name);
}

void broker_unpark(struct child *c, arbiter_outcome outcome) {
        struct parked *p;

        while ((p = LIST_FIRST(&c->parked, struct parked, parked))) {
                struct child *caller = caller_child(p->message);

                list_remove(&p->parked);
                if (outcome != ARBITER_OUTCOME_REPLY)
                        refuse(p->message, outcome, "'%s' did not start", c->name);
                else if (caller)
                        connect_parked(caller, c, p->message);
                arbiter_message_unref(p->message);
                free(p);
        }
}
