/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree of status: monitors with their workers, and actors without monitor, a line each. */

#include <inttypes.h>

#include "arbiterctl/status.h"
#include "arbiterctl/table.h"
#include "arbiterctl/verb-util.h"

const char *format_unless_unknown(char buffer[static DURATION_STRING_MAX], usec_t t, usec_t unknown) {
        return t == unknown ? "-" : format_duration(buffer, t);
}

/* It has no work for what a probe says. */
static bool is_held_back(const struct actor_object *a) {
        return !a->ready && *a->probe_status;
}

static enum colour actor_colour(const struct actor_object *a) {
        return is_held_back(a) ? COLOUR_YELLOW : state_colour(a->state);
}

/* What is to be known of an actor beyond the numbers: what holds it back, its own words, else how its last
 * life ended. */
static void actor_detail(const struct actor_object *a, char *buffer, size_t size) {
        char reason[REASON_STRING_MAX];

        if (is_held_back(a))
                (void) snprintf(buffer, size, "%s", a->probe_status);
        else if (*a->status)
                (void) snprintf(buffer, size, "%s", a->status);
        else if (a->restarts > 0 && *a->last_reason)
                (void) snprintf(buffer, size, "last life: %s",
                                format_reason(reason, a->last_reason, a->last_status));
        else
                (void) snprintf(buffer, size, "%s", a->description);
}

static int add_actor(struct table *t, struct libscols_line *parent, const struct actor_object *a) {
        char uptime[DURATION_STRING_MAX], cpu[DURATION_STRING_MAX], memory[BYTES_STRING_MAX], numbers[3][24],
                        detail[160];

        if (a->empty)
                return table_add_child(t, parent, state_colour(a->state),
                                       (const char *[]){ glyph(GLYPH_DOT), a->name, a->state, "-", "-", "-",
                                                         "-", "-", "-", a->status },
                                       NULL);
        (void) snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu32, a->pid);
        (void) snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu32, a->restarts);
        (void) snprintf(numbers[2], sizeof(numbers[2]), "%" PRIu64, a->mailbox_queued);
        actor_detail(a, detail, sizeof(detail));
        return table_add_child(
                        t, parent, actor_colour(a),
                        (const char *[]){ glyph(GLYPH_DOT), a->name, a->state,
                                          a->pid > 0 ? numbers[0] : "-",
                                          format_unless_unknown(uptime, a->uptime_usec, 0), numbers[1],
                                          a->plain ? "-" : numbers[2], format_bytes(memory, a->memory_bytes),
                                          format_unless_unknown(cpu, a->cpu_usec, UINT64_MAX), detail },
                        NULL);
}

/* "": nothing is being replaced, and workers are started when they should be. */
static void monitor_roll(const struct monitor_object *m, char *buffer, size_t size) {
        char reason[REASON_STRING_MAX];

        buffer[0] = 0;
        if (streq(m->roll_state, "going"))
                (void) snprintf(buffer, size, "being replaced: %" PRIu32 " new, %" PRIu32 " old%s%s%s",
                                m->roll_replaced, m->roll_left, *m->roll_waiting ? ", waits for " : "",
                                m->roll_waiting, *m->roll_waiting ? " to get ready" : "");
        else if (streq(m->roll_state, "halted") && streq(m->roll_reason, "not-ready"))
                (void) snprintf(buffer, size,
                                "replacing has halted, %s does not get ready: %" PRIu32 " new, %" PRIu32
                                " old",
                                m->roll_failing, m->roll_replaced, m->roll_left);
        else if (streq(m->roll_state, "halted"))
                (void) snprintf(buffer, size,
                                "replacing has halted, %s fails (%s): %" PRIu32 " new, %" PRIu32 " old",
                                *m->roll_failing ? m->roll_failing : "a new worker",
                                format_reason(reason, m->roll_reason, m->roll_status), m->roll_replaced,
                                m->roll_left);
        else if (streq(m->roll_state, "turning-back"))
                (void) snprintf(buffer, size,
                                "turning back: %" PRIu32 " of the definition before, %" PRIu32 " left",
                                m->roll_replaced, m->roll_left);
        else if (!streq(m->breaker, "closed") && *m->breaker)
                (void) snprintf(buffer, size, "too many fail: %s",
                                streq(m->breaker, "open") ? "none is started for a while" : "one is tried");
}

void monitor_detail(const struct monitor_object *m, char *buffer, size_t size) {
        char duration[DURATION_STRING_MAX], attempt[DURATION_STRING_MAX + 32] = "", failed[32] = "",
                                                                              waiting[32] = "";
        char draining[32] = "", load[128] = "";
        usec_t now = now_usec();
        char roll[192];

        if (m->draining > 0)
                (void) snprintf(draining, sizeof(draining), ", %" PRIu32 " draining", m->draining);
        if (m->workers_max > 0)
                (void) snprintf(load, sizeof(load),
                                ", load %" PRIu64 "%% (%" PRIu32 " to %" PRIu32 " workers)", m->load,
                                m->workers_min, m->workers_max);
        if (m->failed > 0)
                (void) snprintf(failed, sizeof(failed), ", %" PRIu32 " failed", m->failed);
        if (m->backoff > 0)
                (void) snprintf(waiting, sizeof(waiting), ", %" PRIu32 " waiting", m->backoff);
        if (m->next_attempt_usec > now)
                (void) snprintf(attempt, sizeof(attempt), ", next attempt in %s",
                                format_duration(duration, m->next_attempt_usec - now));
        monitor_roll(m, roll, sizeof(roll));
        (void) snprintf(buffer, size, "%" PRIu32 " of %" PRIu32 " running%s%s%s%s%s%s%s", m->running,
                        m->workers, draining, failed, waiting, attempt, load, *roll ? "; " : "", roll);
}

enum colour monitor_colour(const struct monitor_object *m) {
        enum colour state = state_colour(m->state);

        if (state != COLOUR_GREEN)
                return state;
        if (m->failed > 0 || streq(m->roll_state, "halted") || streq(m->breaker, "open"))
                return COLOUR_RED;
        return m->running < m->workers || streq(m->roll_state, "going") ||
                               streq(m->roll_state, "turning-back")
                       ? COLOUR_YELLOW
                       : state;
}

/* What is not known of one is not known of all. */
static void add_known(uint64_t *sum, uint64_t n) {
        if (n != UINT64_MAX)
                *sum = *sum == UINT64_MAX ? n : time_add(*sum, n);
}

#define DEPTH_MAX 64 /* of monitors in monitors: an arbiter that says more is not to be believed */

static void add_sums(const struct objects *o, const struct monitor_object *m, unsigned depth,
                     struct sums *ret) {
        for (size_t i = 0; i < o->n_actors; i++) {
                const struct actor_object *a = o->actors + i;

                if (!streq(a->monitor, m->name))
                        continue;
                ret->mailbox_queued += a->mailbox_queued;
                add_known(&ret->memory_bytes, a->memory_bytes);
                add_known(&ret->cpu_usec, a->cpu_usec);
        }
        for (size_t i = 0; i < o->n_monitors && depth < DEPTH_MAX; i++)
                if (streq(o->monitors[i].parent, m->name))
                        add_sums(o, o->monitors + i, depth + 1, ret);
}

void monitor_sums(const struct objects *o, const struct monitor_object *m, struct sums *ret) {
        *ret = (struct sums){ .memory_bytes = UINT64_MAX, .cpu_usec = UINT64_MAX };
        add_sums(o, m, 0, ret);
}

static int add_monitor(struct table *t, struct libscols_line *parent, const struct objects *o,
                       const struct monitor_object *m, unsigned depth) {
        char restarts[16], queued[24], memory[BYTES_STRING_MAX], cpu[DURATION_STRING_MAX], detail[400];
        struct libscols_line *line = NULL;
        struct sums sums;
        int r;

        monitor_sums(o, m, &sums);
        monitor_detail(m, detail, sizeof(detail));
        (void) snprintf(restarts, sizeof(restarts), "%" PRIu32, m->restarts);
        (void) snprintf(queued, sizeof(queued), "%" PRIu64, sums.mailbox_queued);
        r = table_add_child(t, parent, monitor_colour(m),
                        (const char *[]){glyph(GLYPH_DOT), m->name, m->state, "-", "-", restarts, queued,
                                        format_bytes(memory, sums.memory_bytes),
                                        format_unless_unknown(cpu, sums.cpu_usec, UINT64_MAX), detail},
                        &line);
        for (size_t i = 0; r >= 0 && i < o->n_actors; i++)
                if (streq(o->actors[i].monitor, m->name))
                        r = add_actor(t, line, o->actors + i);
        for (size_t i = 0; r >= 0 && i < o->n_monitors && depth < DEPTH_MAX; i++)
                if (streq(o->monitors[i].parent, m->name))
                        r = add_monitor(t, line, o, o->monitors + i, depth + 1);
        return r;
}

static bool has_monitor(const struct objects *o, const char *name) {
        for (size_t i = 0; *name && i < o->n_monitors; i++)
                if (streq(o->monitors[i].name, name))
                        return true;
        return false;
}

static int add_all(struct table *t, const struct objects *o) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < o->n_monitors; i++)
                if (!has_monitor(o, o->monitors[i].parent))
                        r = add_monitor(t, NULL, o, o->monitors + i, 0);
        for (size_t i = 0; r >= 0 && i < o->n_actors; i++)
                if (!has_monitor(o, o->actors[i].monitor))
                        r = add_actor(t, NULL, o->actors + i);
        return r;
}

int status_print_tree(const struct context *c, const struct objects *o, const struct monitor_object *m) {
        static const struct table_column columns[] = {
                { "", .by_state = true },
                { "NAME", .tree = true },
                { "STATE", .by_state = true },
                { "PID", .right = true },
                { "UPTIME", .right = true },
                { "RESTARTS", .right = true },
                { "MAILBOX", .right = true },
                { "MEMORY", .right = true },
                { "CPU", .right = true },
                { "DETAIL", .cut = true },
                {},
        };
        _cleanup_(table_done) struct table t = {};
        int r;

        r = table_init(&t, columns, c->legend);
        if (r >= 0)
                r = m ? add_monitor(&t, NULL, o, m, 0) : add_all(&t, o);
        if (r < 0)
                return out_of_memory();
        table_set_width(&t, c->full ? 0 : output_width());
        return table_print(&t) < 0 ? out_of_memory() : 0;
}
