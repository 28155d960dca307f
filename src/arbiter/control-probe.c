/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What faces are shown of the probes of an actor. Made on demand; nothing is kept for it. Called by
 * src/bus. */

#include <stdio.h>

#include "arbiter/internal.h"

static const char *verdict_of(const struct probe_run *run) {
        if (!run->state.known)
                return "unknown";
        return run->state.good ? "good" : "bad";
}

size_t control_get_probes(arbiter *a, const char *id, struct probe_view ret[static PROBE_VIEWS_MAX]) {
        const struct child *c = child_find(a, id);
        size_t n = 0;

        for (unsigned kind = 0; c && kind < PROBE_KINDS; kind++) {
                const struct probe_run *run = c->probes[kind];

                if (!run)
                        continue;
                ret[n] = (struct probe_view){
                        .kind = arbiter_probe_kind_to_string((arbiter_probe_kind) kind),
                        .verdict = verdict_of(run),
                        .n_good = run->n_results[PROBE_GOOD],
                        .n_bad = run->n_results[PROBE_BAD],
                        .last_usec = run->last_usec,
                        .text = run->text,
                        .fact = probe_fact(run),
                };
                probe_describe(run->probe, ret[n].how, sizeof(ret[n].how));
                n++;
        }
        return n;
}

/* "readiness: bad (status 503); liveness: good". What is good needs no words. */
void control_format_probes(const struct probe_view *v, size_t n, char *buffer, size_t size) {
        size_t used = 0;

        buffer[0] = 0;
        for (size_t i = 0; i < n && used < size; i++) {
                bool quiet = streq(v[i].verdict, "good") || !*v[i].text;
                int k = snprintf(buffer + used, size - used, "%s%s: %s%s%s%s", i > 0 ? "; " : "", v[i].kind,
                                v[i].verdict, quiet ? "" : " (", quiet ? "" : v[i].text, quiet ? "" : ")");

                used += k > 0 ? (size_t) k : 0;
        }
}
