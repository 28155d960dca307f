/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What user code may ask an actor about itself, and set. Getters, setters, nothing that acts. Called by
 * modules, and by what runs an actor before it does. */

#include <stdio.h>

#include "actor/actor.h"
#include "actor/call.h"
#include "actor/peer.h"
#include "basic/fd.h"

_public_ const char *arbiter_actor_get_aid(arbiter_actor *a) {
        return a->aid_string.s;
}

_public_ const char *arbiter_actor_get_name(arbiter_actor *a) {
        return a->name;
}

_public_ uint32_t arbiter_actor_get_generation(arbiter_actor *a) {
        return a->generation;
}

_public_ arbiter_state arbiter_actor_get_state(arbiter_actor *a) {
        return a->state;
}

_public_ struct sd_event *arbiter_actor_get_event(arbiter_actor *a) {
        return a->event;
}

_public_ int arbiter_actor_get_proxy(arbiter_actor *a, arbiter_proxy **ret) {
        return arbiter_proxy_new(a->aid_string.s, a->name, a->generation, ret);
}

_public_ void *arbiter_actor_get_userdata(arbiter_actor *a) {
        return a->userdata;
}

_public_ void arbiter_actor_set_userdata(arbiter_actor *a, void *userdata) {
        a->userdata = userdata;
}

static struct actor_parameter *find(struct list_node *head, const char *key) {
        LIST_FOREACH(p, head, struct actor_parameter, parameters)
                if (streq(p->key, key))
                        return p;
        return NULL;
}

static void remove_parameter(struct actor_parameter *p) {
        list_remove(&p->parameters);
        free(p->key);
        free(p->value);
        free(p);
}

static int set(struct list_node *head, const char *key, const char *value) {
        struct actor_parameter *p = find(head, key), *new;

        if (!value) {
                if (p)
                        remove_parameter(p);
                return 0;
        }
        new = calloc(1, sizeof(*new));
        if (!new)
                return -ENOMEM;
        list_init(&new->parameters);
        new->key = strdup(key);
        new->value = strdup(value);
        if (!new->key || !new->value) {
                remove_parameter(new);
                return -ENOMEM;
        }
        if (p)
                remove_parameter(p);
        list_append(head, &new->parameters);
        return 0;
}

int actor_set_parameter(arbiter_actor *a, const char *key, const char *value) {
        return set(&a->parameters, key, value);
}

_public_ const char *arbiter_actor_get_parameter(arbiter_actor *a, const char *key) {
        struct actor_parameter *p = find(&a->parameters, key);

        return p ? p->value : NULL;
}

_public_ int arbiter_actor_set_extra(arbiter_actor *a, const char *key, const char *value) {
        if (!a || !key || !*key)
                return -EINVAL;
        return set(&a->extra, key, value);
}

int actor_set_listen_fds(arbiter_actor *a, const int *fds, const char *const *names, size_t n) {
        if (n == 0)
                return 0;
        a->listen_fds = calloc(n, sizeof(int));
        a->listen_names = calloc(n + 1, sizeof(char *));
        if (!a->listen_fds || !a->listen_names)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                a->listen_names[i] = strdup(names && names[i] ? names[i] : "");
                if (!a->listen_names[i])
                        return -ENOMEM;
                a->listen_fds[a->n_listen_fds++] = fds[i];
        }
        return 0;
}

_public_ int arbiter_actor_get_listen_fds(
                arbiter_actor *a, const int **ret_fds, const char *const **ret_names) {
        if (ret_fds)
                *ret_fds = a->listen_fds;
        if (ret_names)
                *ret_names = (const char *const *) a->listen_names;
        return (int) a->n_listen_fds;
}

_public_ int arbiter_actor_set_mailbox(
                arbiter_actor *a, uint64_t messages, uint64_t bytes, arbiter_mailbox_policy policy) {
        if (!a || policy > ARBITER_MAILBOX_BLOCK)
                return -EINVAL;
        if (a->state >= ARBITER_STATE_RUNNING)
                return -EBUSY;
        if (messages > 0)
                a->mailbox_messages = messages;
        if (bytes > 0)
                a->mailbox_bytes = bytes;
        a->mailbox_policy = policy;
        /* It hands the policy to those that connect. */
        return a->control ? actor_cast_arbiter(a, "mailbox", "y", (uint8_t) policy) : 0;
}

_public_ int arbiter_actor_get_statistics(arbiter_actor *a, arbiter_mailbox_statistics *ret) {
        if (!a || !ret || ret->size < sizeof(*ret))
                return -EINVAL;
        *ret = (arbiter_mailbox_statistics){
                .size = sizeof(*ret),
                .queued = a->n_queued,
                .queued_bytes = a->queued_bytes,
                .begun = a->statistics.begun,
                .expired = a->statistics.expired,
                .late_replies = a->statistics.late_replies,
                .dead_letters = a->statistics.dead_letters,
                .links = a->n_links,
        };
        return 0;
}

void actor_dead_letter(arbiter_actor *a, const char *sender, const char *target, const char *command,
                uint64_t id, arbiter_outcome outcome) {
        arbiter_dead_letter letter = {
                .size = sizeof(letter),
                .sender = sender,
                .target = target,
                .command = command,
                .id = id,
                .outcome = outcome,
        };

        a->statistics.dead_letters++;
        if (a->arbiter_ops)
                a->arbiter_ops->dead_letter(a);
        if (a->dead_letter_handler)
                a->dead_letter_handler(a, &letter, a->dead_letter_userdata);
}

_public_ int arbiter_actor_subscribe_dead_letters(
                arbiter_actor *a, arbiter_dead_letter_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->dead_letter_handler = handler;
        a->dead_letter_userdata = userdata;
        return 0;
}

_public_ uint64_t arbiter_actor_get_dead_letters(arbiter_actor *a) {
        return a->statistics.dead_letters;
}

_public_ int arbiter_actor_set_thread_workers(arbiter_actor *a, unsigned n) {
        if (!a || n == 0 || n > 1024)
                return -EINVAL;
        a->thread_workers = n;
        return 0;
}

static const char *const policy_names[] = {
        [ARBITER_MAILBOX_REJECT] = "reject",
        [ARBITER_MAILBOX_DROP_NEW] = "drop-new",
        [ARBITER_MAILBOX_DROP_OLDEST] = "drop-oldest",
        [ARBITER_MAILBOX_BLOCK] = "block",
};

_public_ const char *arbiter_mailbox_policy_to_string(arbiter_mailbox_policy policy) {
        return (unsigned) policy < ELEMENTSOF(policy_names) ? policy_names[policy] : NULL;
}

_public_ int arbiter_mailbox_policy_from_string(const char *s, arbiter_mailbox_policy *ret) {
        for (unsigned i = 0; i < ELEMENTSOF(policy_names); i++)
                if (streq(policy_names[i], s)) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}
