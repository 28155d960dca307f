/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The definition before: see generation.h. Called by reload.c, and by definition.c and listener.c for what
 * workers of it are started with. Must never start anything. */

#include "arbiterd/daemon.h"
#include "arbiterd/generation.h"
#include "arbiterd/listener.h"
#include "shared/log.h"

static const struct monitor_config *find(const struct daemon *d, const char *name, uint64_t fingerprint) {
        for (size_t i = 0; i < d->n_older; i++)
                if (streq(d->older[i]->name, name) && d->older[i]->actor.fingerprint == fingerprint)
                        return d->older[i];
        return NULL;
}

const struct actor_config *generation_find(const struct daemon *d, const char *name, uint64_t fingerprint) {
        const struct monitor_config *m = config_find_monitor(d->config, name), *older;

        if (m && m->actor.fingerprint == fingerprint)
                return &m->actor;
        older = find(d, name, fingerprint);
        return older ? &older->actor : m ? &m->actor : NULL;
}

const struct monitor_config *generation_get(const struct daemon *d, size_t i) {
        return i < d->n_older ? d->older[i] : NULL;
}

static bool is_used(const struct daemon *d, const struct monitor_config *m) {
        arbiter_monitor *monitor = arbiter_find_monitor(d->arbiter, m->name);
        arbiter_spawn *s;

        for (unsigned i = 0; monitor && (s = arbiter_monitor_get_definition(monitor, i)); i++)
                if (arbiter_spawn_get_fingerprint(s) == m->actor.fingerprint)
                        return true;
        return false;
}

static int append(struct monitor_config ***list, size_t *n, struct monitor_config *m) {
        struct monitor_config **bigger = reallocarray(*list, *n + 1, sizeof(*bigger));

        if (!bigger)
                return -ENOMEM;
        *list = bigger;
        bigger[(*n)++] = m;
        return 0;
}

/* Takes it over on success. */
static int keep(struct daemon *d, struct monitor_config *m) {
        return append(&d->older, &d->n_older, m);
}

int generations_keep(struct daemon *d, struct config *old, const struct config *new) {
        int r = 0;

        for (size_t i = 0; r >= 0 && old && i < old->n_monitors; i++) {
                struct monitor_config *m = old->monitors[i];
                const struct monitor_config *now = m ? config_find_monitor(new, m->name) : NULL;

                if (!now || now->actor.fingerprint == m->actor.fingerprint || !is_used(d, m) ||
                    find(d, m->name, m->actor.fingerprint)) /* freed with the old ones, not before */
                        continue;
                r = keep(d, m);
                if (r >= 0)
                        old->monitors[i] = NULL;
        }
        return r;
}

/* Its sockets have been kept, too. */
static int recall(struct daemon *d, arbiter_monitor *monitor, unsigned i, arbiter_spawn *s) {
        const char *name = arbiter_monitor_get_name(monitor), *text = arbiter_spawn_get_source(s);
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *again = NULL;
        struct monitor_config *m = NULL;
        int r;

        if (!text)
                return -ENOENT;
        r = config_load_text(&d->options, &d->config->daemon, name, text, &m);
        if (r < 0)
                return r;
        r = m->actor.fingerprint == arbiter_spawn_get_fingerprint(s) ? 0 : -ESTALE;
        if (r >= 0)
                r = definition_new_worker(d, m, &again);
        if (r >= 0)
                r = arbiter_monitor_set_definition(monitor, i, again);
        if (r >= 0 && !find(d, name, m->actor.fingerprint)) {
                r = keep(d, m);
                m = r < 0 ? m : NULL;
        }
        config_free_monitor(m);
        return r;
}

static void recall_all(struct daemon *d, const struct monitor_config *now, arbiter_monitor *monitor) {
        arbiter_spawn *s;

        for (unsigned i = 0; (s = arbiter_monitor_get_definition(monitor, i)); i++) {
                int r;

                if (now->actor.fingerprint == arbiter_spawn_get_fingerprint(s))
                        continue;
                r = recall(d, monitor, i, s);
                if (r < 0)
                        log_warning_errno(r,
                                          "%s: the definition before the configured one cannot be had "
                                          "any more, so that nobody can go back to it: %m",
                                          arbiter_monitor_get_name(monitor));
        }
}

void generations_recall(struct daemon *d) {
        for (size_t i = 0; i < d->config->n_monitors; i++) {
                const struct monitor_config *m = d->config->monitors[i];
                arbiter_monitor *monitor = arbiter_find_monitor(d->arbiter, m->name);

                if (monitor)
                        recall_all(d, m, monitor);
        }
}

void generations_sweep(struct daemon *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_older; i++)
                if (is_used(d, d->older[i]) ||
                    (d->applying && append(&d->buried, &d->n_buried, d->older[i]) < 0))
                        d->older[n++] = d->older[i];
                else if (!d->applying)
                        config_free_monitor(d->older[i]);
        d->n_older = n;
}

void generations_begin(struct daemon *d) {
        d->applying = true;
}

void generations_end(struct daemon *d) {
        d->applying = false;
        for (size_t i = 0; i < d->n_buried; i++)
                config_free_monitor(d->buried[i]);
        free(d->buried);
        d->buried = NULL;
        d->n_buried = 0;
        generations_sweep(d);
}

void generations_log_entry(struct daemon *d, const arbiter_log_entry *e) {
        if (!e->event || (!streq(e->event, "rolled") && !streq(e->event, "roll-aborted")) || d->n_older == 0)
                return;
        generations_sweep(d);
        if (d->listeners_settled)
                listeners_sweep(d);
}

void generations_done(struct daemon *d) {
        for (size_t i = 0; i < d->n_older; i++)
                config_free_monitor(d->older[i]);
        free(d->older);
        d->older = NULL;
        d->n_older = 0;
}
