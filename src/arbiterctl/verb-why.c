/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* why, deaths, metrics: what something waits for, how lives ended, and the figures. The arbiter knows and
 * words it; here it is asked and laid out. */

#include <inttypes.h>

#include "arbiterctl/pager.h"
#include "arbiterctl/table.h"
#include "arbiterctl/verb-util.h"
#include "arbiterctl/waiting.h"
#include "shared/bus-names.h"

static bool is_glob(const char *s) {
        return strpbrk(s, "*?[");
}

static void json_time(struct json *j, const char *key, uint64_t usec) {
        json_key(j, key);
        if (usec > 0)
                json_u64(j, usec);
        else
                json_null(j);
}

static void json_waiting(struct json *j, const struct waiting_row *w) {
        usec_t now = now_usec();

        json_open(j, '{');
        json_key_string(j, "name", w->name);
        json_key_string(j, "state", w->state);
        json_key_string(j, "waiting_for", w->waiting_for);
        json_time(j, "waited_usec", w->since_usec > 0 && w->since_usec < now ? now - w->since_usec : 0);
        json_time(j, "left_usec", w->until_usec > now ? w->until_usec - now : 0);
        json_key_string(j, "last_reason", *w->last_reason ? w->last_reason : NULL);
        json_key(j, "last_status");
        json_i64(j, w->last_status);
        json_key_u64(j, "attempts", w->attempts);
        json_key_string(j, "text", w->text);
        json_close(j, '}');
}

static enum colour waiting_colour(const struct waiting_row *w) {
        if (streq(w->waiting_for, "intensity"))
                return COLOUR_RED;
        return streq(w->waiting_for, "nothing") ? state_colour(w->state) : COLOUR_YELLOW;
}

static void print_waiting(const struct waiting_row *w) {
        (void) printf("%s%s%s %s\n", colour(waiting_colour(w)), glyph(GLYPH_DOT), colour(COLOUR_NORMAL),
                      w->text);
}

/* pattern NULL: all. Returns an exit status; EXIT_NO_SUCH with a complaint if a glob matches nothing. */
static int why_one(struct context *c, const char *pattern, struct json *j) {
        bool all = !pattern || is_glob(pattern);
        _cleanup_(waiting_done) struct waiting w = {};
        size_t shown = 0;
        int r;

        r = waiting_take(c, all ? "" : pattern, &w);
        if (r != 0)
                return r;
        for (size_t i = 0; i < w.n_rows; i++) {
                if (pattern && all && !name_matches((char *[]){ (char *) pattern, NULL }, w.rows[i].name))
                        continue;
                shown++;
                if (c->json == JSON_OFF)
                        print_waiting(w.rows + i);
                else
                        json_waiting(j, w.rows + i);
        }
        if (shown == 0 && all && !c->quiet && c->json == JSON_OFF)
                (void) printf(pattern ? "Nothing that matches '%s' waits for anything.\n" :
                                        "Nothing waits for anything.\n",
                              pattern);
        return 0;
}

int verb_why(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;
        int r, status = 0;
        struct json j;

        r = context_connect(c);
        if (r != 0)
                return r;
        pager_open(c);
        json_list_begin(&j, c->json);
        if (argc == 1)
                status = why_one(c, NULL, &j);
        for (int i = 1; i < argc; i++) {
                r = why_one(c, argv[i], &j);
                status = status != 0 ? status : r;
        }
        json_list_end(&j);
        return status;
}

struct death {
        uint64_t time_usec, lifetime_usec;
        const char *name, *aid, *monitor, *reason;
        uint32_t generation, pid;
        int32_t status;
};

static void json_death(struct json *j, const struct death *d) {
        json_open(j, '{');
        json_key_u64(j, "time_usec", d->time_usec);
        json_key_string(j, "name", d->name);
        json_key_string(j, "aid", d->aid);
        json_key_string(j, "monitor", d->monitor);
        json_key_u64(j, "generation", d->generation);
        json_key_u64(j, "pid", d->pid);
        json_key_string(j, "reason", d->reason);
        json_key(j, "status");
        json_i64(j, d->status);
        json_key_u64(j, "lifetime_usec", d->lifetime_usec);
        json_close(j, '}');
}

/* Somebody asked for it, or not. */
static enum colour death_colour(const struct death *d) {
        return streq(d->reason, "normal") || streq(d->reason, "shutdown") ? COLOUR_NORMAL : COLOUR_RED;
}

static int table_death(struct table *t, const struct death *d) {
        char when[32] = "-", pid[16], reason[REASON_STRING_MAX], lifetime[DURATION_STRING_MAX],
             age[DURATION_STRING_MAX], ago[DURATION_STRING_MAX + 8];
        time_t died = (time_t) (d->time_usec / USEC_PER_SEC), now = time(NULL);
        struct tm tm;

        if (localtime_r(&died, &tm))
                (void) strftime(when, sizeof(when), "%F %T", &tm);
        (void) snprintf(ago, sizeof(ago), "%s ago",
                        now > died ? format_duration(age, (usec_t) (now - died) * USEC_PER_SEC) : "0s");
        (void) snprintf(pid, sizeof(pid), "%" PRIu32, d->pid);
        return table_add(t, death_colour(d),
                         (const char *[]){ when, ago, d->name, d->aid, d->pid > 0 ? pid : "-",
                                           format_duration(lifetime, d->lifetime_usec),
                                           format_reason(reason, d->reason, d->status) });
}

struct deaths {
        struct context *c;
        struct table table;
        struct json j;
        size_t shown;
};

/* target: "", or a name; filter: a glob, or NULL. */
static int add_deaths(struct deaths *s, const char *target, const char *filter) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct death d;
        int r;

        r = call_manager(s->c, "ListDeaths", *target ? target : NULL, &reply, "s", target);
        if (r != 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', ROW(BUS_LIST_DEATHS_SIGNATURE));
        while (r >= 0 && s->shown < s->c->lines) {
                r = sd_bus_message_read(reply, ROW(BUS_LIST_DEATHS_SIGNATURE), &d.time_usec, &d.name, &d.aid,
                                        &d.monitor, &d.generation, &d.pid, &d.reason, &d.status,
                                        &d.lifetime_usec);
                if (r <= 0)
                        break;
                if (filter && !name_matches((char *[]){ (char *) filter, NULL }, d.name))
                        continue;
                s->shown++;
                if (s->c->json != JSON_OFF)
                        json_death(&s->j, &d);
                else if (table_death(&s->table, &d) < 0)
                        return out_of_memory();
        }
        return r < 0 ? complain_reply(r) : 0;
}

static int print_deaths(struct deaths *s) {
        if (s->c->json != JSON_OFF) {
                json_list_end(&s->j);
                return 0;
        }
        if (s->shown == 0 && !s->c->quiet)
                (void) printf("No deaths.\n");
        else {
                pager_open(s->c);
                table_set_width(&s->table, s->c->full ? 0 : output_width());
                if (table_print(&s->table) < 0)
                        return out_of_memory();
        }
        return 0;
}

int verb_deaths(int argc, char *argv[], void *userdata) {
        static const struct table_column columns[] = {
                { "WHEN" },
                { "", .cut = true },
                { "NAME" },
                { "AID" },
                { "PID", .right = true },
                { "LIFETIME", .right = true },
                { "REASON", .by_state = true },
                {},
        };
        struct deaths s = { .c = userdata };
        int r, status = 0;

        if (table_init(&s.table, columns, s.c->legend) < 0)
                return out_of_memory();
        json_list_begin(&s.j, s.c->json);
        if (argc == 1)
                status = add_deaths(&s, "", NULL);
        for (int i = 1; i < argc; i++) {
                r = is_glob(argv[i]) ? add_deaths(&s, "", argv[i]) : add_deaths(&s, argv[i], NULL);
                status = status != 0 ? status : r;
        }
        r = status != 0 && s.shown == 0 ? 0 : print_deaths(&s);
        table_done(&s.table);
        return status != 0 ? status : r;
}

int verb_metrics(int argc, char *argv[], void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct context *c = userdata;
        const char *text;
        int r;

        r = call_manager(c, "GetMetrics", NULL, &reply, NULL);
        if (r != 0)
                return r;
        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return complain_reply(r);
        pager_open(c);
        (void) fputs(text, stdout);
        return 0;
}
