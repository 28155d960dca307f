/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stop, kill, restart, scale, reload: what changes a running arbiter. Each answers before -> after; where
 * several targets are meant, the work is asked for at once and awaited together. */

#include <inttypes.h>

#include "arbiterctl/roll-watch.h"
#include "arbiterctl/verb-util.h"
#include "basic/parse.h"
#include "shared/bus-names.h"

/* One thing that was done, for a line and for JSON. */
struct change {
        const struct context *c;
        struct json j;
};

static void change_begin(struct change *h, const struct context *c) {
        *h = (struct change){ .c = c };
        json_list_begin(&h->j, c->json);
}

static bool change_is_told(const struct change *h) {
        return h->c->json == JSON_OFF && !h->c->quiet;
}

static int make_works(struct context *c, const char *method, const struct target *targets, size_t n,
                      struct work **ret) {
        struct work *works = calloc(n + 1, sizeof(*works));
        int r = 0;

        if (!works)
                return out_of_memory();
        for (size_t i = 0; i < n && r == 0; i++) {
                works[i].what = targets[i].name;
                r = new_manager_call(c, method, &works[i].message);
                if (r == 0 && sd_bus_message_append(works[i].message, "s", targets[i].name) < 0)
                        r = out_of_memory();
        }
        if (r != 0) {
                work_free(works, n);
                return r;
        }
        *ret = works;
        return 0;
}

static const char *state_of(const struct target *t) {
        return t->actor ? t->actor->state : t->monitor ? t->monitor->state : "-";
}

static void tell_stopped(struct change *h, const struct target *t) {
        const char *after = h->c->block ? "stopped" : "stopping";

        if (change_is_told(h))
                (void) printf("%s: %s %s %s\n", t->name, state_of(t), glyph(GLYPH_ARROW), after);
        if (h->c->json == JSON_OFF)
                return;
        json_open(&h->j, '{');
        json_key_string(&h->j, "name", t->name);
        json_key_string(&h->j, "aid", t->actor ? t->actor->aid : NULL);
        json_key_string(&h->j, "before", state_of(t));
        json_key_string(&h->j, "after", after);
        json_close(&h->j, '}');
}

int verb_stop(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        struct context *c = userdata;
        struct work *works = NULL;
        struct change h;
        int r, status;
        size_t n;

        r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, argv + 1, TARGET_MONITORS | TARGET_ACTORS, &targets, &n);
        r = make_works(c, "Stop", targets, n, &works);
        if (r != 0)
                return r;
        r = work_run(c, works, n);
        change_begin(&h, c);
        for (size_t i = 0; i < n; i++)
                if (works[i].status == 0 && (works[i].reply || !c->block))
                        tell_stopped(&h, targets + i);
        json_list_end(&h.j);
        work_free(works, n);
        return status != 0 ? status : r;
}

static void tell_killed(struct change *h, const struct target *t) {
        char buffer[SIGNAL_STRING_MAX];
        const char *name = format_signal(h->c->signal, buffer);

        if (change_is_told(h))
                (void) printf("%s: sent %s%s to pid %" PRIu32 "\n", t->name,
                              *name >= '0' && *name <= '9' ? "signal " : "SIG", name, t->actor->pid);
        if (h->c->json == JSON_OFF)
                return;
        json_open(&h->j, '{');
        json_key_string(&h->j, "name", t->name);
        json_key_string(&h->j, "aid", t->actor->aid);
        json_key_u64(&h->j, "pid", t->actor->pid);
        json_key(&h->j, "signal");
        json_i64(&h->j, h->c->signal);
        json_close(&h->j, '}');
}

/* By aid: never the successor of the one that the user saw. */
static int kill_one(struct context *c, const struct target *t, struct change *h) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = new_manager_call(c, "Kill", &m);
        if (r != 0)
                return r;
        if (sd_bus_message_append(m, "si", t->actor->aid, (int32_t) c->signal) < 0)
                return out_of_memory();
        r = call_for_work(c, m, t->name, &reply);
        if (r == 0)
                tell_killed(h, t);
        return r;
}

int verb_kill(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        struct context *c = userdata;
        struct change h;
        int r, status;
        size_t n;

        r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, argv + 1, TARGET_ACTORS | TARGET_WORKERS, &targets, &n);
        change_begin(&h, c);
        for (size_t i = 0; i < n; i++) {
                r = kill_one(c, targets + i, &h);
                status = status != 0 ? status : r;
        }
        json_list_end(&h.j);
        return status;
}

static void json_life(struct json *j, const char *key, const struct actor_row *a) {
        json_key(j, key);
        if (!a) {
                json_null(j);
                return;
        }
        json_open(j, '{');
        json_key_string(j, "aid", a->aid);
        json_key_u64(j, "pid", a->pid);
        json_close(j, '}');
}

static void print_life(const struct actor_row *a) {
        if (!a)
                (void) printf("-");
        else if (a->pid > 0)
                (void) printf("%s (pid %" PRIu32 ")", a->aid, a->pid);
        else
                (void) printf("%s", a->aid);
}

/* Either may be NULL: there was, or is, no such life. */
static void tell_restarted(struct change *h, const char *name, const struct actor_row *before,
                           const struct actor_row *after) {
        if (change_is_told(h)) {
                (void) printf("%s: ", name);
                print_life(before);
                (void) printf(" %s ", glyph(GLYPH_ARROW));
                print_life(after);
                (void) putchar('\n');
        }
        if (h->c->json == JSON_OFF)
                return;
        json_open(&h->j, '{');
        json_key_string(&h->j, "name", name);
        json_life(&h->j, "before", before);
        json_life(&h->j, "after", after);
        json_close(&h->j, '}');
}

static void tell_target_restarted(struct change *h, const struct target *t, const struct snapshot *before,
                                  const struct snapshot *after) {
        const struct actor_row *actor = snapshot_find_actor(after, t->name);
        size_t n_told = 0;

        if (t->actor || actor) {
                tell_restarted(h, t->name, t->actor, actor);
                return;
        }
        for (size_t i = 0; i < after->n_actors; i++)
                if (streq(after->actors[i].monitor, t->name)) {
                        tell_restarted(h, after->actors[i].name,
                                       snapshot_find_actor(before, after->actors[i].name),
                                       after->actors + i);
                        n_told++;
                }
        if (n_told == 0 && change_is_told(h)) /* no workers are wanted, or they have ended again */
                (void) printf("%s: restarted, but no worker is there now: 'arbiterctl why %s' knows\n",
                              t->name, t->name);
}

/* Those that had other numbers, which a surge takes. */
static void tell_gone(struct change *h, const struct target *t, const struct snapshot *before,
                      const struct snapshot *after) {
        for (size_t i = 0; t->monitor && i < before->n_actors; i++)
                if (streq(before->actors[i].monitor, t->name) &&
                    !snapshot_find_actor(after, before->actors[i].name))
                        tell_restarted(h, before->actors[i].name, before->actors + i, NULL);
}

static int tell_restarts(struct context *c, const char *what, const struct snapshot *before,
                         const struct target *targets, const struct work *works, size_t n) {
        _cleanup_(snapshot_done) struct snapshot after = {};
        struct change h;
        int r;

        if (!c->block) {
                for (size_t i = 0; i < n && !c->quiet && c->json == JSON_OFF; i++)
                        if (works[i].status == 0)
                                (void) printf("%s: %s asked for\n", works[i].what, what);
                return 0;
        }
        r = snapshot_take_actors(c, &after);
        if (r != 0)
                return r;
        change_begin(&h, c);
        for (size_t i = 0; i < n; i++)
                if (works[i].reply) {
                        tell_gone(&h, targets + i, before, &after);
                        tell_target_restarted(&h, targets + i, before, &after);
                }
        json_list_end(&h.j);
        return 0;
}

static const char *failing_worker(const struct work *w) {
        return roll_watch_failing(w->userdata, w->what);
}

/* The old ones serve on, and it is for the operator to say what comes next. */
static void tell_halted(const struct context *c, const struct work *works, size_t n) {
        for (size_t i = 0; i < n && !c->quiet; i++) {
                bool failed = works[i].status != 0 && works[i].failing;
                const char *failing = failed ? failing_worker(works + i) : NULL;

                if (failing)
                        (void) fprintf(stderr,
                                       "%s%s. Or go back: 'arbiterctl reload --abort %s'; or mend it: "
                                       "'arbiterctl reload %s'.\n",
                                       failing,
                                       roll_watch_is_unready(works[i].userdata, works[i].what)
                                                       ? " goes on running, and the roll goes on when it "
                                                         "is ready"
                                                       : " is tried again, and the roll goes on when it "
                                                         "starts",
                                       works[i].what, works[i].what);
        }
}

static int tell_turned_back(struct context *c, const struct work *works, size_t n) {
        struct change h;

        change_begin(&h, c);
        for (size_t i = 0; i < n; i++) {
                if (works[i].status != 0)
                        continue;
                if (change_is_told(&h))
                        (void) printf("%s: %s\n", works[i].what,
                                      c->block ? "turned back, all workers are of the definition before"
                                               : "turning back asked for");
                if (c->json != JSON_OFF) {
                        json_open(&h.j, '{');
                        json_key_string(&h.j, "name", works[i].what);
                        json_close(&h.j, '}');
                }
        }
        json_list_end(&h.j);
        return 0;
}

static int replace(struct context *c, char *names[], const char *what, const char *method, unsigned kinds) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_(roll_watch_done) struct roll_watch watch = {};
        _cleanup_free_ struct target *targets = NULL;
        struct work *works = NULL;
        int r, status;
        size_t n;

        r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, names, kinds, &targets, &n);
        r = make_works(c, c->abort ? "AbortRoll" : method, targets, n, &works);
        if (r == 0)
                r = roll_watch_begin(&watch, c, targets, n);
        for (size_t i = 0; r == 0 && i < n; i++)
                if (targets[i].monitor) {
                        works[i].failing = failing_worker;
                        works[i].userdata = &watch;
                }
        if (r == 0)
                r = work_run(c, works, n);
        status = status != 0 ? status : r;
        if (works && !c->abort)
                tell_halted(c, works, n);
        if (works)
                r = c->abort ? tell_turned_back(c, works, n) : tell_restarts(c, what, &s, targets, works, n);
        work_free(works, n);
        return status != 0 ? status : r;
}

int verb_restart(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;

        return replace(c, argv + 1, "restart", "Restart",
                       c->abort ? TARGET_MONITORS : TARGET_MONITORS | TARGET_ACTORS | TARGET_UNKNOWN);
}

#define WORKERS_MAX 10000U /* as of Workers= */

static int parse_size_argument(const char *s, uint32_t before, uint32_t *ret) {
        bool relative = *s == '+' || *s == '-';
        uint64_t n;

        if (parse_u64_range(s + relative, 0, UINT32_MAX, &n) < 0)
                return complain(EXIT_USAGE,
                                "'%s' is no number of workers. Write a whole number, or +N or -N to change "
                                "it.",
                                s);
        if (*s == '+')
                n += before;
        else if (relative)
                n = n > before ? 0 : before - n;
        if (n > WORKERS_MAX)
                return complain(EXIT_USAGE,
                                "A monitor has %u workers at most, and '%s' would be %" PRIu64 ".",
                                WORKERS_MAX, s, n);
        *ret = (uint32_t) n;
        return 0;
}

static void tell_workers(struct change *h, const char *name, uint32_t before, uint32_t after) {
        if (change_is_told(h))
                (void) printf("%s: %" PRIu32 " %s %" PRIu32 " workers%s\n", name, before, glyph(GLYPH_ARROW),
                              after, h->c->block ? "" : " asked for");
        if (h->c->json == JSON_OFF)
                return;
        json_open(&h->j, '{');
        json_key_string(&h->j, "name", name);
        json_key_u64(&h->j, "before", before);
        json_key_u64(&h->j, "after", after);
        json_close(&h->j, '}');
}

static int add_scale(struct context *c, const struct monitor_row *monitor, const char *size,
                     struct work *w) {
        uint32_t after = 0;
        int r;

        w->what = monitor->name;
        r = parse_size_argument(size, monitor->workers, &after);
        if (r == 0)
                r = new_manager_call(c, "Scale", &w->message);
        if (r != 0)
                return r;
        return sd_bus_message_append(w->message, "su", monitor->name, after) < 0 ? out_of_memory() : 0;
}

static int tell_scaled(struct change *h, const struct monitor_row *monitor, const char *size,
                       const struct work *w) {
        uint32_t before = monitor->workers, after;
        int r;

        if (w->status != 0 || (h->c->block && !w->reply))
                return 0;
        (void) parse_size_argument(size, before, &after); /* add_scale() has done so before */
        if (w->reply) {
                r = sd_bus_message_read(w->reply, "u", &before);
                if (r < 0)
                        return complain_reply(r);
        }
        tell_workers(h, monitor->name, before, after);
        return 0;
}

static int scale(struct context *c, const struct target *targets, size_t n, const char *size) {
        struct work *works = calloc(n + 1, sizeof(*works));
        int r = 0, told = 0, status = 0;
        struct change h;

        if (!works)
                return out_of_memory();
        for (size_t i = 0; r == 0 && i < n; i++)
                r = add_scale(c, targets[i].monitor, size, works + i);
        if (r == 0) {
                status = work_run(c, works, n);
                change_begin(&h, c);
                for (size_t i = 0; told == 0 && i < n; i++)
                        told = tell_scaled(&h, targets[i].monitor, size, works + i);
                json_list_end(&h.j);
        }
        work_free(works, n);
        return r != 0 ? r : status != 0 ? status : told;
}

int verb_scale(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        char *patterns[] = { argv[1], NULL };
        struct context *c = userdata;
        uint32_t ignored;
        int r, status;
        size_t n;

        r = parse_size_argument(argv[2], 0, &ignored); /* a slip is told before anything is looked for */
        if (r == 0)
                r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, patterns, TARGET_MONITORS, &targets, &n);
        if (!targets)
                return status;
        r = scale(c, targets, n, argv[2]);
        return status != 0 ? status : r;
}

static const struct monitor_row *find_monitor(const struct snapshot *s, const char *name) {
        for (size_t i = 0; i < s->n_monitors; i++)
                if (streq(s->monitors[i].name, name))
                        return s->monitors + i;
        return NULL;
}

/* Its file has gone, or it is started anew when it has ended: which of them is not known here. */
static bool tell_stopping(struct change *h, const struct monitor_row *old, const struct monitor_row *m) {
        if (!streq(m->state, "stopping") || (old && streq(old->state, m->state)))
                return false;
        if (change_is_told(h))
                (void) printf("%s: %s %s %s\n", m->name, old ? old->state : "-", glyph(GLYPH_ARROW),
                              m->state);
        return true;
}

static void tell_reloaded(struct change *h, const struct snapshot *before, const struct snapshot *after) {
        size_t n = 0;

        for (size_t i = 0; i < after->n_monitors; i++) {
                const struct monitor_row *m = after->monitors + i, *old = find_monitor(before, m->name);

                if (tell_stopping(h, old, m)) {
                        n++;
                        continue;
                }
                if (old && old->workers == m->workers)
                        continue;
                tell_workers(h, m->name, old ? old->workers : 0, m->workers);
                n++;
        }
        for (size_t i = 0; i < before->n_monitors; i++)
                if (!find_monitor(after, before->monitors[i].name)) {
                        tell_workers(h, before->monitors[i].name, before->monitors[i].workers, 0);
                        n++;
                }
        if (change_is_told(h))
                (void) printf("Configuration reloaded%s.\n", n == 0 ? ", no pool changed its size" : "");
}

int verb_reload(int argc, char *argv[], void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(snapshot_done) struct snapshot before = {}, after = {};
        struct context *c = userdata;
        struct change h;
        int r;

        if (argc > 1 && streq(argv[0], "daemon-reload"))
                return complain(EXIT_USAGE,
                                "daemon-reload reads all of the configuration again and takes no names. To "
                                "have the file of '%s' read again, and its workers replaced: 'arbiterctl "
                                "reload %s'.",
                                argv[1], argv[1]);
        if (argc > 1 && c->dry_run)
                return complain(EXIT_USAGE,
                                "--dry-run shows what 'arbiterctl daemon-reload' would do; 'arbiterctl "
                                "reload %s' replaces all workers in any case.",
                                argv[1]);
        if (argc > 1)
                return replace(c, argv + 1, "reload", "ReloadMonitor", TARGET_MONITORS);
        if (c->abort)
                return complain(EXIT_USAGE, "Of which monitor is the roll to be turned back? Write "
                                            "'arbiterctl reload --abort MONITOR'.");
        if (c->dry_run)
                return verb_plan_reload(c);
        r = snapshot_take_monitors(c, &before);
        if (r == 0)
                r = call_manager_for_work(c, "Reload", "Reload", &reply);
        if (r != 0 || !c->block)
                return r;
        r = snapshot_take_monitors(c, &after);
        if (r != 0)
                return r;
        change_begin(&h, c);
        tell_reloaded(&h, &before, &after);
        json_list_end(&h.j);
        return 0;
}
