/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The figures of top: a sample, its order, and how it is laid out. Called by verb-top.c only, which knows of
 * time and of keys; here is no terminal. */

#include <inttypes.h>

#include "arbiterctl/status.h"
#include "arbiterctl/top.h"

static void add_known(uint64_t *sum, uint64_t n) {
        if (n != UINT64_MAX)
                *sum = *sum == UINT64_MAX ? n : time_add(*sum, n);
}

static int compare_aids(const void *a, const void *b) {
        return strcmp(((const struct top_row *) a)->aid, ((const struct top_row *) b)->aid);
}

/* Of one life only: another aid begins anew. */
static void find_cpu(struct top_row *a, const struct top_sample *before, usec_t now) {
        const struct top_row *old;

        if (before->n_actors == 0 || a->cpu_usec == UINT64_MAX || now <= before->time)
                return;
        old = bsearch(a, before->actors, before->n_actors, sizeof(*a), compare_aids);
        if (old && old->cpu_usec <= a->cpu_usec)
                a->cpu_permille = (a->cpu_usec - old->cpu_usec) * 1000 / (now - before->time);
}

static void add_actor(struct top_sample *s, const struct actor_object *a, const struct top_sample *before) {
        struct top_row *row = s->actors + s->n_actors++;

        *row = (struct top_row){
                .name = a->name,
                .aid = a->aid,
                .monitor = a->monitor,
                .state = a->state,
                .pid = a->pid,
                .restarts = a->restarts,
                .uptime_usec = a->uptime_usec,
                .memory_bytes = a->memory_bytes,
                .mailbox_queued = a->mailbox_queued,
                .mailbox_known = !a->plain,
                .cpu_usec = a->cpu_usec,
                .cpu_permille = UINT64_MAX,
        };
        find_cpu(row, before, s->time);
}

static void add_monitor(struct top_sample *s, const struct monitor_object *m) {
        s->monitors[s->n_monitors++] = (struct top_row){
                .name = m->name,
                .aid = m->aid,
                .monitor = m->parent,
                .state = m->state,
                .restarts = m->restarts,
                .memory_bytes = UINT64_MAX,
                .cpu_usec = UINT64_MAX,
                .cpu_permille = UINT64_MAX,
        };
}

static void add_to_monitor(struct top_row *m, const struct top_row *a) {
        m->workers++;
        m->mailbox_queued += a->mailbox_queued;
        m->mailbox_known |= a->mailbox_known;
        add_known(&m->memory_bytes, a->memory_bytes);
        add_known(&m->cpu_usec, a->cpu_usec);
        add_known(&m->cpu_permille, a->cpu_permille);
}

static struct top_row *find_monitor(struct top_sample *s, const char *name) {
        for (size_t i = 0; *name && i < s->n_monitors; i++)
                if (streq(s->monitors[i].name, name))
                        return s->monitors + i;
        return NULL;
}

#define DEPTH_MAX 64 /* of monitors in monitors: an arbiter that says more is not to be believed */

/* The monitor of this name, or one of those above it. */
static bool monitor_matches(const struct objects *o, char *const *patterns, const char *name) {
        for (unsigned depth = 0; *name && depth < DEPTH_MAX; depth++) {
                const char *parent = "";

                if (name_matches(patterns, name))
                        return true;
                for (size_t i = 0; i < o->n_monitors; i++)
                        if (streq(o->monitors[i].name, name))
                                parent = o->monitors[i].parent;
                name = parent;
        }
        return false;
}

static bool is_wanted(const struct objects *o, char *const *patterns, const struct actor_object *a) {
        return !*patterns || name_matches(patterns, a->name) || name_matches(patterns, a->aid) ||
                monitor_matches(o, patterns, a->monitor);
}

/* To its monitor, and to those above that. */
static void add_to_monitors(struct top_sample *s, const struct top_row *a) {
        struct top_row *m = find_monitor(s, a->monitor);

        for (unsigned depth = 0; m && depth < DEPTH_MAX; depth++) {
                add_to_monitor(m, a);
                m = find_monitor(s, m->monitor);
        }
}

int top_sample_take(struct context *c, struct top_sample *before, char *const *patterns,
                    struct top_sample *ret) {
        const struct objects *o = &ret->objects;
        int r;

        *ret = (struct top_sample){};
        r = objects_take(c, &ret->objects);
        if (r != 0)
                return r;
        ret->time = now_usec();
        ret->actors = calloc(o->n_actors + 1, sizeof(*ret->actors));
        ret->monitors = calloc(o->n_monitors + 1, sizeof(*ret->monitors));
        if (!ret->actors || !ret->monitors)
                return out_of_memory();
        if (before->n_actors > 0)
                qsort(before->actors, before->n_actors, sizeof(*before->actors), compare_aids);
        for (size_t i = 0; i < o->n_monitors; i++)
                if (!*patterns || monitor_matches(o, patterns, o->monitors[i].name))
                        add_monitor(ret, o->monitors + i);
        for (size_t i = 0; i < o->n_actors; i++)
                if (is_wanted(o, patterns, o->actors + i)) {
                        add_actor(ret, o->actors + i, before);
                        add_to_monitors(ret, ret->actors + ret->n_actors - 1);
                }
        return 0;
}

void top_sample_done(struct top_sample *s) {
        free(s->actors);
        free(s->monitors);
        objects_done(&s->objects);
        *s = (struct top_sample){};
}

/* What is not known comes last. */
static uint64_t weight(const struct top_row *row, enum top_order order) {
        uint64_t n = order == TOP_BY_CPU ? row->cpu_permille :
                order == TOP_BY_MEMORY   ? row->memory_bytes :
                order == TOP_BY_MAILBOX  ? row->mailbox_queued :
                order == TOP_BY_RESTARTS ? row->restarts :
                                           0;

        return n == UINT64_MAX ? 0 : n;
}

static int compare_rows(const void *pa, const void *pb, void *userdata) {
        const struct top_row *a = pa, *b = pb;
        enum top_order order = *(const enum top_order *) userdata;
        uint64_t wa = weight(a, order), wb = weight(b, order);

        /* while there is no use of CPU since the last look yet: that of all time */
        if (wa == wb && order == TOP_BY_CPU && a->cpu_usec != b->cpu_usec) {
                wa = a->cpu_usec + 1;
                wb = b->cpu_usec + 1;
        }
        return wa > wb ? -1 : wa < wb ? 1 : strverscmp(a->name, b->name);
}

/* Moves row i, and then those below it, in the order in which they stand, to the end of *to. */
static void nest(struct top_sample *s, size_t i, unsigned depth, struct top_row *to, size_t *n) {
        struct top_row *row = s->monitors + i;
        const char *name = row->name;

        row->depth = depth;
        to[(*n)++] = *row;
        row->name = NULL;
        for (size_t k = 0; depth + 1 < DEPTH_MAX && k < s->n_monitors; k++)
                if (s->monitors[k].name && streq(s->monitors[k].monitor, name))
                        nest(s, k, depth + 1, to, n);
}

static bool has_parent(const struct top_sample *s, const struct top_row *m) {
        for (size_t i = 0; *m->monitor && i < s->n_monitors; i++)
                if (s->monitors[i].name && streq(s->monitors[i].name, m->monitor))
                        return true;
        return false;
}

/* Each below its parent, and the order among those of one parent as it is. Without memory for that they
 * stay side by side. */
static void nest_monitors(struct top_sample *s) {
        struct top_row *to = calloc(s->n_monitors + 1, sizeof(*to));
        size_t n = 0;

        if (!to)
                return;
        for (size_t i = 0; i < s->n_monitors; i++)
                s->monitors[i].depth = has_parent(s, s->monitors + i);
        for (size_t i = 0; i < s->n_monitors; i++)
                if (s->monitors[i].name && s->monitors[i].depth == 0)
                        nest(s, i, 0, to, &n);
        for (size_t i = 0; i < s->n_monitors; i++) /* in a circle: not to be believed, but shown */
                if (s->monitors[i].name)
                        nest(s, i, 0, to, &n);
        free(s->monitors);
        s->monitors = to;
}

void top_sample_sort(struct top_sample *s, enum top_order order) {
        if (s->n_actors > 0)
                qsort_r(s->actors, s->n_actors, sizeof(*s->actors), compare_rows, &order);
        if (s->n_monitors > 0)
                qsort_r(s->monitors, s->n_monitors, sizeof(*s->monitors), compare_rows, &order);
        nest_monitors(s);
}

enum { INDENT = 2 }; /* of each level of monitors */

struct layout {
        enum top_order order;
        unsigned width, name_width, left; /* left: lines; UINT_MAX: no limit */
        FILE *f;
};

/* The text may be cut, but it is all ASCII except names. */
static void print_line(struct layout *l, const char *start, char *text, size_t size) {
        if (l->left == 0)
                return;
        if (l->left != UINT_MAX)
                l->left--;
        if (l->width > 0)
                (void) text_cut(text, size, l->width);
        (void) fprintf(l->f, "%s%s%s\n", start, text, *start ? colour(COLOUR_NORMAL) : "");
}

static void print_title(struct layout *l, const char *name, const char *pid) {
        static const char *const marks[] = { "CPU%", "MEMORY", "MAILBOX", "RESTARTS" };
        char titles[4][16], text[256];

        for (size_t i = 0; i < ELEMENTSOF(marks); i++)
                (void) snprintf(titles[i], sizeof(titles[i]), "%s%s", marks[i],
                                l->order == (enum top_order) i ? "*" : "");
        (void) snprintf(text, sizeof(text), "%-*s %-11s %8s %7s %8s %9s %9s %9s", (int) l->name_width, name,
                        "STATE", pid, titles[0], titles[1], titles[2], titles[3], "UPTIME");
        print_line(l, colour(COLOUR_BOLD), text, sizeof(text));
}

static const char *row_colour(const struct top_row *row) {
        enum colour c = state_colour(row->state);

        return c == COLOUR_GREEN ? "" : colour(c);
}

static void print_row(struct layout *l, const struct top_row *row, uint32_t number) {
        char memory[BYTES_STRING_MAX], uptime[DURATION_STRING_MAX], cpu[32] = "-", pid[16] = "-",
                                                                    mailbox[24] = "-", text[512];
        unsigned indent = INDENT * row->depth;

        if (number > 0)
                (void) snprintf(pid, sizeof(pid), "%" PRIu32, number);
        if (row->cpu_permille != UINT64_MAX)
                (void) snprintf(cpu, sizeof(cpu), "%" PRIu64 ".%" PRIu64, row->cpu_permille / 10,
                                row->cpu_permille % 10);
        if (row->mailbox_known)
                (void) snprintf(mailbox, sizeof(mailbox), "%" PRIu64, row->mailbox_queued);
        (void) snprintf(text, sizeof(text), "%*s%-*s %-11s %8s %7s %8s %9s %9" PRIu32 " %9s",
                        (int) indent, "", (int) (l->name_width - indent), row->name, row->state, pid, cpu,
                        format_bytes(memory, row->memory_bytes), mailbox, row->restarts,
                        format_unless_unknown(uptime, row->uptime_usec, 0));
        print_line(l, row_colour(row), text, sizeof(text));
}

static unsigned find_name_width(const struct top_sample *s) {
        size_t width = strlen("MONITOR");

        for (size_t i = 0; i < s->n_monitors; i++)
                width = MAX(width, INDENT * s->monitors[i].depth + strlen(s->monitors[i].name));
        for (size_t i = 0; i < s->n_actors; i++)
                width = MAX(width, strlen(s->actors[i].name));
        return (unsigned) width;
}

static void print_more(struct layout *l, size_t n, const char *kind) {
        char text[64];

        (void) snprintf(text, sizeof(text), "%zu more %s", n, kind);
        print_line(l, colour(COLOUR_GREY), text, sizeof(text));
}

/* At most n lines, the last of which says how many there are more. */
static void print_rows(struct layout *l, const struct top_row *rows, size_t n_rows, size_t n,
                       bool monitors) {
        size_t shown = n_rows <= n ? n_rows : n > 0 ? n - 1 : 0;

        for (size_t i = 0; i < shown; i++)
                print_row(l, rows + i, monitors ? rows[i].workers : rows[i].pid);
        if (shown < n_rows)
                print_more(l, n_rows - shown, monitors ? "monitors" : "actors");
}

void top_sample_print(const struct top_sample *s, enum top_order order, unsigned width, unsigned height,
                      FILE *f) {
        struct layout l = {
                .order = order,
                .width = width,
                .name_width = find_name_width(s),
                .left = height > 0 ? height : UINT_MAX,
                .f = f,
        };

        if (s->n_monitors > 0) {
                print_title(&l, "MONITOR", "WORKERS");
                print_rows(&l, s->monitors, s->n_monitors, height > 0 ? MAX(height / 3, 1U) : SIZE_MAX,
                           true);
                print_line(&l, "", (char[4]){ "" }, 4);
        }
        print_title(&l, "ACTOR", "PID");
        print_rows(&l, s->actors, s->n_actors, l.left == UINT_MAX ? SIZE_MAX : l.left, false);
}

static void json_known(struct json *j, const char *key, uint64_t n) {
        json_key(j, key);
        if (n == UINT64_MAX)
                json_null(j);
        else
                json_u64(j, n);
}

static void row_to_json(const struct top_row *row, const char *kind, struct json *j) {
        json_open(j, '{');
        json_key_string(j, "kind", kind);
        json_key_string(j, "name", row->name);
        json_key_string(j, "aid", row->aid);
        json_key_string(j, "monitor", row->monitor);
        json_key_string(j, "state", row->state);
        json_key_u64(j, "pid", row->pid);
        json_key(j, "cpu_percent");
        if (row->cpu_permille == UINT64_MAX)
                json_null(j);
        else
                json_double(j, (double) row->cpu_permille / 10);
        json_known(j, "cpu_usec", row->cpu_usec);
        json_known(j, "memory_bytes", row->memory_bytes);
        json_known(j, "mailbox_queued", row->mailbox_known ? row->mailbox_queued : UINT64_MAX);
        json_key_u64(j, "restarts", row->restarts);
        json_key_u64(j, "uptime_usec", row->uptime_usec);
        json_close(j, '}');
}

void top_sample_to_json(const struct top_sample *s, struct json *j) {
        json_open(j, '[');
        for (size_t i = 0; i < s->n_monitors; i++)
                row_to_json(s->monitors + i, "monitor", j);
        for (size_t i = 0; i < s->n_actors; i++)
                row_to_json(s->actors + i, "actor", j);
        json_close(j, ']');
        json_end(j);
}
