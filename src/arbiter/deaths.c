/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of deaths: see deaths.h. Called by control-report.c when a life ends and for who asks, by set.c
 * and monitor.c when a name is given up. One list of all in order, whose newest part is the last DEATHS_MAX,
 * and a list for each name; a record goes when neither wants it. It must never grow with the number of
 * deaths. */

#include "arbiter/deaths.h"
#include "basic/map.h"

struct name {
        char *name, *monitor;  /* one allocation */
        size_t size;           /* of that */
        struct list_node last; /* struct record: at most DEATHS_PER_NAME, none if it is forgotten */
        size_t n_last, n_records;
};

struct record {
        struct list_node all, of_name;
        struct name *name;
        struct death death;
        bool recent;
};

struct deaths {
        map *names;
        struct list_node all;  /* struct record, oldest first */
        struct record *oldest; /* of the recent ones, which are the end of the list */
        size_t n_recent, n_records, names_bytes;
        uint64_t serial;
        void (*old)(uint64_t serial, void *userdata);
        void *userdata;
};

int deaths_new(struct deaths **ret) {
        struct deaths *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        list_init(&d->all);
        r = map_new(&d->names);
        if (r < 0) {
                free(d);
                return r;
        }
        *ret = d;
        return 0;
}

static void free_name(void *p) {
        struct name *n = p;

        free(n->name);
        free(n);
}

struct deaths *deaths_free(struct deaths *d) {
        if (!d)
                return NULL;
        LIST_FOREACH(r, &d->all, struct record, all)
                free(r);
        map_free(d->names, free_name);
        free(d);
        return NULL;
}

static int name_new(struct deaths *d, const char *name, const char *monitor, struct name **ret) {
        size_t length = strlen(name) + 1;
        struct name *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        n->size = length + strlen(monitor) + 1;
        n->name = malloc(n->size);
        r = n->name ? map_put_string(d->names, name, n) : -ENOMEM;
        if (r < 0) {
                free_name(n);
                return r;
        }
        memcpy(n->name, name, length);
        n->monitor = n->name + length;
        memcpy(n->monitor, monitor, strlen(monitor) + 1);
        list_init(&n->last);
        d->names_bytes += sizeof(*n) + n->size;
        *ret = n;
        return 0;
}

static void name_done(struct deaths *d, struct name *n) {
        map_remove_string(d->names, n->name);
        d->names_bytes -= sizeof(*n) + n->size;
        free_name(n);
}

/* Its name goes with the last record. */
static void drop_if_unwanted(struct deaths *d, struct record *r) {
        struct name *n = r->name;

        if (r->recent || list_is_linked(&r->of_name))
                return;
        list_remove(&r->all);
        d->n_records--;
        free(r);
        if (--n->n_records == 0)
                name_done(d, n);
}

static void add_recent(struct deaths *d, struct record *r) {
        struct record *first = d->oldest;

        r->recent = true;
        if (!first)
                d->oldest = r;
        if (++d->n_recent <= DEATHS_MAX)
                return;
        d->n_recent--;
        first->recent = false;
        if (d->old)
                d->old(first->death.serial, d->userdata);
        d->oldest = LIST_ENTRY(first->all.next, struct record, all);
        drop_if_unwanted(d, first);
}

int deaths_add(struct deaths *d, const char *name, const char *monitor, const struct death *death) {
        struct name *n = map_get_string(d->names, name);
        struct record *record = calloc(1, sizeof(*record)), *first;
        int r;

        if (!record)
                return -ENOMEM;
        r = n ? 0 : name_new(d, name, monitor, &n);
        if (r < 0) {
                free(record);
                return r;
        }
        record->name = n;
        record->death = *death;
        if (death->serial == 0)
                record->death.serial = d->serial + 1;
        d->serial = record->death.serial;
        list_append(&d->all, &record->all);
        list_append(&n->last, &record->of_name);
        n->n_records++;
        d->n_records++;
        if (++n->n_last > DEATHS_PER_NAME) {
                first = LIST_FIRST(&n->last, struct record, of_name);
                list_remove(&first->of_name);
                n->n_last--;
                drop_if_unwanted(d, first);
        }
        add_recent(d, record);
        return 0;
}

static void forget(struct deaths *d, struct name *n) {
        size_t left = n->n_last;

        n->n_last = 0;
        for (; left > 0; left--) { /* the name itself may go with the last of them */
                struct record *r = LIST_FIRST(&n->last, struct record, of_name);

                list_remove(&r->of_name);
                drop_if_unwanted(d, r);
        }
}

void deaths_forget(struct deaths *d, const char *name) {
        struct name *n = map_get_string(d->names, name);

        if (n)
                forget(d, n);
}

void deaths_forget_monitor(struct deaths *d, const char *monitor) {
        void *position = NULL;
        struct name *n;

        while ((n = map_next(d->names, &position)))
                if (streq(n->monitor, monitor))
                        forget(d, n);
}

uint64_t deaths_serial(const struct deaths *d) {
        return d->serial;
}

bool deaths_next(const struct deaths *d, void **position, struct death_record *ret) {
        struct record *last = *position;
        struct list_node *i = last ? last->all.next : d->oldest ? &d->oldest->all : NULL;
        struct record *r;

        if (!i || i == &d->all)
                return false;
        *position = r = LIST_ENTRY(i, struct record, all);
        *ret = (struct death_record){ r->name->name, r->name->monitor, &r->death };
        return true;
}

void deaths_set_old(struct deaths *d, void (*old)(uint64_t serial, void *userdata), void *userdata) {
        d->old = old;
        d->userdata = userdata;
}

static bool is_of(const struct record *r, const char *target) {
        if (!*target)
                return r->recent;
        return streq(r->death.aid.s, target) || streq(r->name->name, target) ||
               streq(r->name->monitor, target);
}

size_t deaths_list(const struct deaths *d, const char *target, struct death_view *ret, size_t max) {
        size_t n = 0;

        for (const struct list_node *i = d->all.prev; i != &d->all && n < max; i = i->prev) {
                const struct record *r = LIST_ENTRY(i, struct record, all);

                if (!is_of(r, target))
                        continue;
                ret[n++] = (struct death_view){
                        .when_usec = r->death.when_usec,
                        .aid = r->death.aid.s,
                        .name = r->name->name,
                        .monitor = r->name->monitor,
                        .generation = r->death.generation,
                        .pid = r->death.pid,
                        .reason = r->death.reason,
                        .status = r->death.status,
                        .lifetime_usec = r->death.lifetime_usec,
                };
        }
        return n;
}

size_t deaths_alike(const struct deaths *d, const char *name) {
        const struct name *n = map_get_string(d->names, name);
        const struct record *last = n ? LIST_LAST(&n->last, struct record, of_name) : NULL;
        size_t alike = 0;

        if (!last)
                return 0;
        for (const struct list_node *i = n->last.prev; i != &n->last; i = i->prev) {
                const struct record *r = LIST_ENTRY(i, struct record, of_name);

                if (r->death.reason != last->death.reason || r->death.status != last->death.status)
                        break;
                alike++;
        }
        return alike;
}

size_t deaths_size(const struct deaths *d, size_t *ret_bytes) {
        *ret_bytes = sizeof(*d) + d->n_records * sizeof(struct record) + d->names_bytes;
        return d->n_records;
}
