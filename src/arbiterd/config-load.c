/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a pool makes of what its workers do: MaxRequests=, RuntimeMaxSec=, MaxMemory=, RecycleSpread=;
 * WorkersMin=, WorkersMax=, Scale...=. All of it is policy: a change touches no worker. Called by
 * config-parse.c, config.c, config-diff.c and plan.c. Must never touch anything but the struct being
 * filled. */

#include <inttypes.h>
#include <limits.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"

#define LOAD_PERCENT_MAX 1000000U

static void remember(const struct conf_context *c, enum place_key key) {
        const struct load_context *l = c->parser->options;

        l->places[key] = (struct place){ c->file, c->line };
}

int config_parse_workers(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_WORKERS);
        return conf_parse_unsigned(c, value, field);
}

int config_parse_worker_bound(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_SCALE);
        return conf_parse_unsigned(c, value, field);
}

int config_parse_scale_time(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_SCALE);
        return conf_parse_timespan(c, value, field);
}

/* "80%", and more than 100 of them. */
int config_parse_scale_load(const struct conf_context *c, const char *value, void *field) {
        char digits[16];
        size_t n = strlen(value);
        uint64_t percent;

        remember(c, PLACE_SCALE);
        if (conf_reset(c, value, field, sizeof(unsigned)))
                return 0;
        n -= n > 0 && value[n - 1] == '%';
        if (n >= sizeof(digits))
                n = 0;
        memcpy(digits, value, n);
        digits[n] = 0;
        if (parse_u64_range(digits, 0, LOAD_PERCENT_MAX, &percent) < 0)
                return conf_bad_value(c, value,
                                      "a load in percent of one worker, from 0%% to %u%%; write for example "
                                      "%s=80%%",
                                      LOAD_PERCENT_MAX, c->key);
        *(unsigned *) field = (unsigned) percent;
        return 0;
}

int config_parse_spread(const struct conf_context *c, const char *value, void *field) {
        config_note_pool_key(c, value);
        if (conf_reset(c, value, field, sizeof(unsigned)))
                return 0;
        if (parse_percent(value, field) < 0)
                return conf_bad_value(c, value,
                                      "a percentage from 0 to 100; write for example RecycleSpread=10%%");
        return 0;
}

int config_parse_requests(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_REQUESTS);
        return conf_parse_u64(c, value, field);
}

int config_parse_memory(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_MEMORY);
        return conf_parse_size(c, value, field);
}

void config_init_load(struct monitor_config *m) {
        m->load = (struct load_config){
                .runtime_max_usec = USEC_INFINITY,
                .recycle_spread_percent = 10,
                .workers_min = 1,
                .scale_up_percent = 80,
                .scale_down_percent = 30,
                .scale_up_usec = 5 * USEC_PER_SEC,
                .scale_down_usec = 60 * USEC_PER_SEC,
        };
}

static bool has_mailbox(const struct actor_config *a) {
        return a->module || a->type == CONFIG_TYPE_MAILBOX;
}

static int check_recycling(const struct monitor_config *m, const struct load_context *l, const char *path) {
        int r = 0;

        if (m->load.requests_max > 0 && !has_mailbox(&m->actor)) {
                config_complain_at(l, CONF_ERROR, PLACE_REQUESTS, path,
                                   "MaxRequests= counts messages, and a program without a mailbox has none; "
                                   "add Type=mailbox if it is linked with libarbiter, else write "
                                   "RuntimeMaxSec= or MaxMemory=.");
                r = -EBADMSG;
        }
        if (m->load.memory_max > 0 && m->actor.concurrency == CONFIG_THREAD) {
                config_complain_at(l, CONF_ERROR, PLACE_MEMORY, path,
                                   "MaxMemory= cannot be told apart for Concurrency=thread, since threads "
                                   "share the memory of their process; write Concurrency=process.");
                r = -EBADMSG;
        }
        return r;
}

static int check_size(struct monitor_config *m, const struct load_context *l, const char *path) {
        struct load_config *k = &m->load;

        if (k->workers_max == 0) {
                if (l->places[PLACE_SCALE].file)
                        config_complain_at(l, CONF_WARNING, PLACE_SCALE, path,
                                           "WorkersMin= and Scale...= have no effect without WorkersMax=.");
                return 0;
        }
        if (k->workers_min > k->workers_max) {
                config_complain_at(l, CONF_ERROR, PLACE_SCALE, path,
                                   "WorkersMin= is greater than WorkersMax=; raise the maximum or lower the "
                                   "minimum.");
                return -EBADMSG;
        }
        if (k->scale_down_percent >= k->scale_up_percent) {
                config_complain_at(l, CONF_ERROR, PLACE_SCALE, path,
                                   "ScaleDownLoad= is not below ScaleUpLoad=, so that the pool would never "
                                   "be of the right size; raise the one or lower the other.");
                return -EBADMSG;
        }
        if (!l->places[PLACE_WORKERS].file)
                m->workers = k->workers_min;
        if (m->workers < k->workers_min || m->workers > k->workers_max) {
                config_complain_at(l, CONF_ERROR, PLACE_WORKERS, path,
                                   "Workers=, with which the pool begins, is not from WorkersMin= to "
                                   "WorkersMax=; leave it out to begin with WorkersMin=.");
                return -EBADMSG;
        }
        return 0;
}

int config_finish_load(struct monitor_config *m, const struct load_context *l, const char *path) {
        int r = check_recycling(m, l, path);

        return check_size(m, l, path) < 0 ? -EBADMSG : r;
}

bool config_same_load(const struct monitor_config *a, const struct monitor_config *b) {
        const struct load_config *x = &a->load, *y = &b->load;

        return x->requests_max == y->requests_max && x->runtime_max_usec == y->runtime_max_usec &&
               x->memory_max == y->memory_max && x->recycle_spread_percent == y->recycle_spread_percent &&
               x->workers_min == y->workers_min && x->workers_max == y->workers_max &&
               x->scale_up_percent == y->scale_up_percent &&
               x->scale_down_percent == y->scale_down_percent && x->scale_up_usec == y->scale_up_usec &&
               x->scale_down_usec == y->scale_down_usec;
}

void config_put_load(FILE *f, const struct monitor_config *m) {
        const struct load_config *k = &m->load;

        (void) fprintf(f,
                       "max-requests=%" PRIu64 "\nruntime-max=%" PRIu64 "\nmax-memory=%" PRIu64
                       "\nrecycle-spread=%u\nworkers-min=%u\nworkers-max=%u\nscale-up-load=%u\n"
                       "scale-down-load=%u\nscale-up=%" PRIu64 "\nscale-down=%" PRIu64 "\n",
                       k->requests_max, k->runtime_max_usec, k->memory_max, k->recycle_spread_percent,
                       k->workers_min, k->workers_max, k->scale_up_percent, k->scale_down_percent,
                       k->scale_up_usec, k->scale_down_usec);
}
