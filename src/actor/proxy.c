/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proxies: immutable values, so that they may be shared between threads; hence the atomic count. Called by
 * the program, from any thread. */

#include <stdatomic.h>
#include <stdio.h>

#include "actor/actor.h"

struct arbiter_proxy {
        atomic_uint n_ref;
        uint32_t generation;
        aid_string aid;
        char name[QUALIFIED_NAME_SIZE];
};

_public_ int arbiter_proxy_new(const char *id, const char *name, uint32_t generation, arbiter_proxy **ret) {
        arbiter_proxy *p;
        aid parsed;

        if (!id || !name || aid_parse(id, &parsed) < 0 || (!qualified_name_is_valid(name) && *name))
                return -EINVAL;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        atomic_init(&p->n_ref, 1);
        p->generation = generation;
        p->aid = aid_to_string(&parsed);
        (void) snprintf(p->name, sizeof(p->name), "%s", name);
        *ret = p;
        return 0;
}

_public_ arbiter_proxy *arbiter_proxy_ref(arbiter_proxy *p) {
        if (p)
                atomic_fetch_add_explicit(&p->n_ref, 1, memory_order_relaxed);
        return p;
}

_public_ arbiter_proxy *arbiter_proxy_unref(arbiter_proxy *p) {
        if (p && atomic_fetch_sub_explicit(&p->n_ref, 1, memory_order_acq_rel) == 1)
                free(p);
        return NULL;
}

_public_ const char *arbiter_proxy_get_aid(const arbiter_proxy *p) {
        return p->aid.s;
}

_public_ const char *arbiter_proxy_get_name(const arbiter_proxy *p) {
        return p->name;
}

_public_ uint32_t arbiter_proxy_get_generation(const arbiter_proxy *p) {
        return p->generation;
}

_public_ bool arbiter_proxy_equal(const arbiter_proxy *a, const arbiter_proxy *b) {
        return streq(a->aid.s, b->aid.s) && a->generation == b->generation;
}

_public_ int arbiter_message_append_proxy(arbiter_message *m, const arbiter_proxy *p) {
        return arbiter_message_append(m, "(ssu)", p->aid.s, p->name, p->generation);
}

_public_ int arbiter_message_read_proxy(arbiter_message *m, arbiter_proxy **ret) {
        const char *id, *name;
        uint32_t generation;
        int r;

        r = arbiter_message_read(m, "(ssu)", &id, &name, &generation);
        if (r <= 0)
                return r;
        r = arbiter_proxy_new(id, name, generation, ret);
        return r < 0 ? r : 1;
}
