/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One message to each worker of a pool, and, of a request, all the answers in one future. Each copy is
 * for the life that it was sent to: a next one has not missed it, it was not there. Called by pool.c. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"
#include "actor/pool.h"

/* The answer as one value: what a variant can hold. */
static int append_value(arbiter_message *m, arbiter_message *answer) {
        const char *signature = answer ? answer->envelope.signature : "", *contents;
        char type, structure[sizeof(answer->p.signature) + 2];
        size_t n = 0;
        int r;

        if (!*signature)
                return arbiter_message_append(m, "v", "b", 1);
        r = arbiter_message_rewind(answer, true);
        while (r >= 0 && arbiter_message_peek_type(answer, &type, &contents) > 0 &&
                        (r = arbiter_message_skip(answer, NULL)) >= 0)
                n++;
        if (r >= 0)
                r = arbiter_message_rewind(answer, true);
        if (r < 0)
                return r;
        (void) snprintf(structure, sizeof(structure), n > 1 ? "(%s)" : "%s", signature);
        r = arbiter_message_open_container(m, 'v', structure);
        if (r >= 0 && n > 1)
                r = arbiter_message_open_container(m, 'r', signature);
        if (r >= 0)
                r = arbiter_message_append_message(m, answer);
        if (r >= 0 && n > 1)
                r = arbiter_message_close_container(m);
        return r < 0 ? r : arbiter_message_close_container(m);
}

static int append_answer(arbiter_message *m, arbiter_future *member) {
        int r;

        r = arbiter_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = arbiter_message_append(m, "s", arbiter_proxy_get_name(member->proxy));
        if (r >= 0)
                r = append_value(m, member->reply);
        return r < 0 ? r : arbiter_message_close_container(m);
}

static int collect(arbiter_future *const *members, size_t n, arbiter_message **ret) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_answer(m, members[i]);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        if (r >= 0)
                r = message_seal(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/* A request of its own, with what the one to all of them has: its deadline and its callers. */
static int ask_member(arbiter_actor *a, const struct pool_member *to, const struct envelope *all,
                arbiter_message *m, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        uint8_t chain[CHAIN_MAX * AID_SIZE];
        struct envelope e = *all;
        usec_t now = now_usec(), left;
        int r;

        left = all->deadline == UINT64_MAX ? UINT64_MAX : all->deadline > now ? all->deadline - now : 1;
        r = future_new(a, &f);
        if (r >= 0)
                r = arbiter_proxy_new(aid_to_string(&to->aid).s, to->name, to->generation, &f->proxy);
        if (r >= 0)
                r = call_register(a, f, &e, chain, left, false);
        if (r < 0)
                return r;
        e.chain = all->chain;
        e.n_chain = all->n_chain;
        r = route_send(a, NULL, &to->aid, &e, m, f, NULL);
        if (r < 0)
                future_fail_errno(f, r, NULL);
        *ret = TAKE_PTR(f);
        return 0;
}

static int ask_all(struct known_pool *p, arbiter_actor *a, const struct envelope *e, arbiter_message *m,
                arbiter_future *f) {
        const struct pool_member *to;
        arbiter_future **members;
        size_t n = 0, sent = 0;
        int r = 0;

        while (pool_get_member(p, n))
                n++;
        members = calloc(n, sizeof(*members));
        if (!members)
                return -ENOMEM;
        for (; r >= 0 && sent < n && (to = pool_get_member(p, sent)); sent += r >= 0)
                r = ask_member(a, to, e, m, &members[sent]);
        if (r >= 0)
                r = future_gather(f, members, sent, collect);
        for (size_t i = 0; i < sent; i++)
                arbiter_future_unref(members[i]);
        free(members);
        return r;
}

static int tell_all(struct known_pool *p, arbiter_actor *a, const struct envelope *e, arbiter_message *m) {
        const struct pool_member *to;
        bool any = false;
        int r = 0;

        for (size_t i = 0; (to = pool_get_member(p, i)); i++) {
                struct envelope copy = *e;

                r = route_send(a, NULL, &to->aid, &copy, m, NULL, NULL);
                any = any || r >= 0;
        }
        return any ? 0 : r;
}

int pool_broadcast(struct known_pool *p, arbiter_actor *a, struct envelope *e, arbiter_message *m,
                arbiter_future *f) {
        int r;

        if (!f)
                return tell_all(p, a, e, m);
        r = ask_all(p, a, e, m, f);
        if (r < 0)
                future_fail_errno(f, r, NULL);
        return 0;
}
