/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ping: round trips from the arbiter to actors, in the manner of ping(8). Rounds are sent on time whether or
 * not answers to earlier ones have come. */

#include <inttypes.h>

#include "arbiterctl/verb-util.h"
#include "shared/bus-names.h"

#define ANSWER_TIMEOUT (5 * USEC_PER_SEC) /* as of any request without a deadline */

struct ping;

struct ping_target {
        struct ping *ping;
        const char *name, *aid;
        uint64_t sent, received, min, max, sum;
        int status; /* of the last failure */
};

struct ping {
        struct context *c;
        sd_event *event;
        struct ping_target *targets;
        size_t n_targets, outstanding;
        uint64_t rounds;
};

/* Of one request: what its answer is counted for. */
struct ping_request {
        struct ping_target *target;
        uint64_t seq;
};

static bool is_last_round(const struct ping *p) {
        return p->c->ping_count > 0 && p->rounds >= p->c->ping_count;
}

static void received(struct ping_target *t, uint64_t seq, uint64_t usec) {
        t->min = t->received == 0 ? usec : MIN(t->min, usec);
        t->max = MAX(t->max, usec);
        t->sum += usec;
        t->received++;
        if (t->ping->c->quiet || t->ping->c->json != JSON_OFF)
                return;
        (void) printf("pong from %s", t->name);
        if (*t->aid) /* the arbiter itself has none */
                (void) printf(" (%s)", t->aid);
        (void) printf(": seq=%" PRIu64 " time=%" PRIu64 " %s\n", seq, usec, glyph(GLYPH_USEC));
        (void) fflush(stdout);
}

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct ping_request *request = userdata;
        struct ping_target *t = request->target;
        struct ping *p = t->ping;
        uint64_t usec;
        int r;

        p->outstanding--;
        if (sd_bus_message_is_method_error(m, NULL))
                t->status = complain_error_reply(m, t->name);
        else {
                r = sd_bus_message_read(m, "t", &usec);
                if (r < 0)
                        t->status = complain_reply(r);
                else
                        received(t, request->seq, usec);
        }
        if (p->outstanding == 0 && is_last_round(p))
                (void) sd_event_exit(p->event, 0);
        return 0;
}

static int ping_one(struct ping_target *t, uint64_t seq) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ struct ping_request *request = malloc(sizeof(*request));
        struct context *c = t->ping->c;
        int r;

        if (!request)
                return -ENOMEM;
        *request = (struct ping_request){ t, seq };
        r = sd_bus_message_new_method_call(c->bus, &m, c->destination, BUS_PATH, BUS_INTERFACE_MANAGER,
                                           "Ping");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", *t->aid ? t->aid : t->name);
        if (r >= 0)
                r = sd_bus_call_async(c->bus, &slot, m, on_pong, request,
                                      c->timeout > 0 ? c->timeout : ANSWER_TIMEOUT);
        if (r >= 0)
                r = sd_bus_slot_set_destroy_callback(slot, free);
        if (r < 0)
                return r;
        request = NULL;
        (void) sd_bus_slot_set_floating(slot, true);
        t->sent++;
        t->ping->outstanding++;
        return 0;
}

static int on_round(sd_event_source *s, uint64_t usec, void *userdata) {
        struct ping *p = userdata;
        int r;

        p->rounds++;
        for (size_t i = 0; i < p->n_targets; i++) {
                r = ping_one(p->targets + i, p->rounds);
                if (r < 0) /* the connection is gone, or memory: the summary says what was lost */
                        return sd_event_exit(p->event, complain_call(&SD_BUS_ERROR_NULL, r, NULL));
        }
        if (is_last_round(p))
                return 0;
        r = sd_event_source_set_time_relative(s, p->c->ping_interval);
        return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void print_summary(const struct ping_target *t) {
        uint64_t lost = t->sent - t->received;

        (void) printf("--- %s ping statistics ---\n%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64
                      "%% loss\n",
                      t->name, t->sent, t->received, t->sent > 0 ? 100 * lost / t->sent : 0);
        if (t->received > 0)
                (void) printf("round trip min/avg/max = %" PRIu64 "/%" PRIu64 "/%" PRIu64 " %s\n", t->min,
                              t->sum / t->received, t->max, glyph(GLYPH_USEC));
}

static void json_number(struct json *j, const char *key, bool known, uint64_t v) {
        json_key(j, key);
        if (known)
                json_u64(j, v);
        else
                json_null(j);
}

static void json_summary(const struct ping_target *t, struct json *j) {
        bool known = t->received > 0;

        json_open(j, '{');
        json_key_string(j, "name", t->name);
        json_key_string(j, "aid", t->aid);
        json_key_u64(j, "sent", t->sent);
        json_key_u64(j, "received", t->received);
        json_number(j, "min_usec", known, t->min);
        json_number(j, "avg_usec", known, known ? t->sum / t->received : 0);
        json_number(j, "max_usec", known, t->max);
        json_close(j, '}');
}

/* Like ping(8): a target that answered at all is there. */
static int summarize(const struct ping *p) {
        int status = 0;
        struct json j;

        json_list_begin(&j, p->c->json);
        for (size_t i = 0; i < p->n_targets; i++) {
                const struct ping_target *t = p->targets + i;

                if (p->c->json != JSON_OFF)
                        json_summary(t, &j);
                else
                        print_summary(t);
                if (t->received == 0 && status == 0)
                        status = t->status != 0 ? t->status : EXIT_FAILURE;
        }
        json_list_end(&j);
        return status;
}

static int run(struct ping *p) {
        int r;

        r = event_loop_new(p->c, &p->event);
        if (r != 0)
                return r;
        r = sd_event_add_time_relative(p->event, NULL, CLOCK_MONOTONIC, 0, 1, on_round, p);
        if (r >= 0)
                r = sd_event_loop(p->event);
        (void) sd_bus_detach_event(p->c->bus);
        p->event = sd_event_unref(p->event);
        if (r < 0)
                return complain_call(&SD_BUS_ERROR_NULL, r, NULL);
        return r;
}

int verb_ping(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct ping_target *pinged = NULL;
        _cleanup_free_ struct target *targets = NULL;
        struct context *c = userdata;
        struct ping p = { .c = c };
        int r, status;

        r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, argv + 1, TARGET_ACTORS | TARGET_WORKERS | TARGET_ARBITER, &targets,
                                  &p.n_targets);
        if (p.n_targets == 0)
                return status;
        p.targets = pinged = calloc(p.n_targets, sizeof(*pinged));
        if (!pinged)
                return out_of_memory();
        for (size_t i = 0; i < p.n_targets; i++)
                pinged[i] = (struct ping_target){ &p, targets[i].name,
                                                  targets[i].actor ? targets[i].actor->aid : "" };
        r = run(&p);
        status = status != 0 ? status : r;
        r = summarize(&p);
        return status != 0 ? status : r;
}
