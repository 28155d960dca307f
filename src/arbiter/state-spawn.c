/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Spawns as entries of the state journal and back: see state.h. Called by state-fill.c for what lives are
 * started from, and by the next arbiter for those that it finds. Must never look anything up: who a user was
 * has been found out, and is written down. */

#include <sys/resource.h>

#include "arbiter/internal.h"
#include "arbiter/state-fields.h"
#include "basic/fd.h"

#define STRINGS_MAX 65536U

enum { OUTPUT_INHERITED, OUTPUT_NULL, OUTPUT_DESCRIPTOR, _OUTPUT_MAX };

/* Text of any length and in any encoding; NULL is not "". */
static void put_text(struct state_writer *w, const char *s) {
        if (s)
                state_put_bytes(w, s, strlen(s));
        else
                state_put(w, UINT32_MAX, 4);
}

static void put_texts(struct state_writer *w, char *const *v) {
        uint32_t n = 0;

        while (v && v[n])
                n++;
        state_put(w, v ? n : UINT32_MAX, 4);
        for (uint32_t i = 0; i < n; i++)
                put_text(w, v[i]);
}

static char *get_text(struct state_reader *r) {
        uint32_t n = (uint32_t) state_get(r, 4);
        const uint8_t *p;
        char *s;

        if (r->bad || n == UINT32_MAX)
                return NULL;
        p = state_get_raw(r, n);
        if (!p || (n > 0 && memchr(p, 0, n))) {
                r->bad = true;
                return NULL;
        }
        s = strndup((const char *) p, n);
        if (!s)
                r->bad = true;
        return s;
}

static char **get_texts(struct state_reader *r) {
        uint32_t n = (uint32_t) state_get(r, 4);
        char **v;

        if (r->bad || n == UINT32_MAX)
                return NULL;
        if (n > STRINGS_MAX || n > r->left / 4) {
                r->bad = true;
                return NULL;
        }
        v = calloc((size_t) n + 1, sizeof(*v));
        if (!v)
                r->bad = true;
        for (uint32_t i = 0; v && i < n; i++) {
                v[i] = get_text(r);
                if (!v[i]) {
                        r->bad = true;
                        break;
                }
        }
        return v;
}

/* Writing. */

static const char *definition_of(const arbiter_spawn *s) {
        return s->definition ? s->definition : s->name;
}

static void put_head(struct state_writer *w, const arbiter_spawn *s, bool named) {
        state_put_string(w, named ? s->name : "", NAME_MAX_LENGTH + 1);
        state_put_string(w, definition_of(s), NAME_MAX_LENGTH + 1);
        state_put_string(w, s->module ? s->module->name : "", STATE_TEXT_MAX);
        state_put(w, s->fingerprint, 8);
}

static void put_context(struct state_writer *w, const struct exec_context *c) {
        put_text(w, c->path);
        put_texts(w, c->argv);
        put_texts(w, c->environment);
        put_text(w, c->user);
        put_text(w, c->group);
        put_texts(w, c->supplementary_groups);
        put_text(w, c->working_directory);
        state_put_bool(w, c->has_umask);
        state_put(w, c->umask, 4);
        state_put_bool(w, c->has_nice);
        state_put(w, (uint32_t) c->nice, 4);
        state_put(w, RLIM_NLIMITS, 1);
        for (size_t i = 0; i < RLIM_NLIMITS; i++) {
                state_put_bool(w, c->limits[i].set);
                if (c->limits[i].set) {
                        state_put(w, c->limits[i].value.rlim_cur, 8);
                        state_put(w, c->limits[i].value.rlim_max, 8);
                }
        }
}

static void put_user(struct state_writer *w, const struct exec_context *c) {
        state_put_bool(w, c->has_uid);
        state_put(w, c->has_uid ? c->uid : 0, 4);
}

static void put_limits(struct state_writer *w, const arbiter_spawn *s) {
        state_put(w, s->silence_usec, 8);
        state_put(w, s->start_usec, 8);
        state_put(w, s->stop_usec, 8);
        state_put(w, s->watchdog_usec, 8);
        state_put(w, s->mailbox_messages, 8);
        state_put(w, s->mailbox_bytes, 8);
        state_put(w, s->mailbox_policy, 1);
        state_put(w, (uint32_t) s->kill_signal, 1);
        put_texts(w, s->allow);
}

static void put_unit(struct state_writer *w, const arbiter_spawn *s) {
        put_text(w, s->unit_template);
        state_put(w, s->unit_properties.n, 4);
        for (size_t i = 0; i < s->unit_properties.n; i++) {
                const struct unit_property *p = &s->unit_properties.items[i];

                put_text(w, p->name);
                put_text(w, p->value->envelope.signature);
                state_put_bytes(w, p->value->body, p->value->envelope.body_size);
        }
}

static void put_parameters(struct state_writer *w, const arbiter_spawn *s) {
        uint32_t n = 0;

        LIST_FOREACH(p, &s->parameters, struct actor_parameter, parameters)
                n++;
        state_put(w, n, 4);
        LIST_FOREACH(p, &s->parameters, struct actor_parameter, parameters) {
                put_text(w, p->key);
                put_text(w, p->value);
        }
}

/* All but what exec_context_resolve() has found out, so that it compares. */
static void put_spawn(struct state_writer *w, const arbiter_spawn *s, bool named) {
        put_head(w, s, named);
        put_text(w, s->description);
        state_put(w, s->concurrency, 1);
        put_text(w, s->module_file);
        state_put_bool(w, s->exec);
        state_put(w, s->exec_type, 1);
        state_put(w, s->restart, 1);
        state_put_bool(w, s->restart_set);
        put_limits(w, s);
        put_texts(w, s->listen_names);
        put_context(w, &s->context);
        state_put_bool(w, s->context_changed);
        state_put_bool(w, s->user_set);
        for (unsigned i = 0; i < 2; i++)
                state_put(w, s->output[i] >= 0    ? OUTPUT_DESCRIPTOR
                             : s->output[i] == -2 ? OUTPUT_NULL
                                                  : OUTPUT_INHERITED, 1);
        state_put_bool(w, s->expected);
        state_put_bool(w, s->prepare);
        put_text(w, s->process_name);
        put_unit(w, s);
        put_parameters(w, s);
}

static int encode(const arbiter_spawn *s, bool named, uint8_t **ret, size_t *ret_size) {
        for (size_t size = 2048; size <= 2 * (size_t) STATE_VALUE_MAX; size *= 2) {
                struct state_writer w = { .p = malloc(size), .size = size };

                if (!w.p)
                        return -ENOMEM;
                put_spawn(&w, s, named);
                if (named) {
                        put_user(&w, &s->context);
                        put_text(&w, s->source);
                }
                state_put(&w, s->mail_on_restart, 1);
                if (!w.full && w.used <= STATE_VALUE_MAX) {
                        *ret = w.p;
                        *ret_size = w.used;
                        return 0;
                }
                free(w.p);
        }
        return -E2BIG;
}

int state_encode_spawn(const arbiter_spawn *s, uint8_t **ret, size_t *ret_size) {
        return encode(s, true, ret, ret_size);
}

int state_check_spawn(const arbiter_spawn *s) {
        _cleanup_free_ uint8_t *data = NULL;
        size_t size;

        return s->arbiter->state.journal ? state_encode_spawn(s, &data, &size) : 0;
}

bool state_spawn_same(const arbiter_spawn *a, const arbiter_spawn *b) {
        _cleanup_free_ uint8_t *p = NULL, *q = NULL;
        size_t m, n;

        if (a->fingerprint != 0 && b->fingerprint != 0)
                return a->fingerprint == b->fingerprint;
        return encode(a, false, &p, &m) >= 0 && encode(b, false, &q, &n) >= 0 && m == n &&
               memcmp(p, q, n) == 0;
}

/* Reading. */

static void get_head(struct state_reader *r, struct state_spawn *ret) {
        state_get_string(r, ret->name, sizeof(ret->name));
        state_get_string(r, ret->definition, sizeof(ret->definition));
        state_get_string(r, ret->module, sizeof(ret->module));
        ret->fingerprint = state_get(r, 8);
        if (!name_is_valid(ret->name) || !name_is_valid(ret->definition))
                r->bad = true;
}

static struct state_reader open_entry(const struct state_entry *e, uint32_t version, struct state_key *ret) {
        struct state_reader r = {
                .p = e->value,
                .left = e->value_size,
                .version = version,
                .bad = e->kind != STATE_SPAWN || version == 0 || version > STATE_VERSION,
        };
        struct state_reader key = { .p = e->key, .left = e->key_size };

        state_get_key(&key, ret);
        if (key.bad || key.left > 0 || state_key_is_null(ret))
                r.bad = true;
        return r;
}

int state_peek_spawn(const struct state_entry *e, uint32_t version, struct state_spawn *ret) {
        struct state_reader r;

        *ret = (struct state_spawn){};
        r = open_entry(e, version, &ret->key);
        get_head(&r, ret);
        return r.bad ? -EBADMSG : 0;
}

static void get_limits_of_process(struct state_reader *r, struct exec_context *c) {
        uint64_t n = state_get_below(r, 1, RLIM_NLIMITS + 1);

        for (size_t i = 0; i < n; i++) {
                c->limits[i].set = state_get_bool(r);
                if (!c->limits[i].set)
                        continue;
                c->limits[i].value.rlim_cur = state_get(r, 8);
                c->limits[i].value.rlim_max = state_get(r, 8);
                if (c->limits[i].value.rlim_cur > c->limits[i].value.rlim_max)
                        r->bad = true;
        }
}

static void get_context(struct state_reader *r, struct exec_context *c) {
        c->path = get_text(r);
        c->argv = get_texts(r);
        c->environment = get_texts(r);
        c->user = get_text(r);
        c->group = get_text(r);
        c->supplementary_groups = get_texts(r);
        c->working_directory = get_text(r);
        c->has_umask = state_get_bool(r);
        c->umask = (mode_t) state_get_below(r, 4, 01000);
        c->has_nice = state_get_bool(r);
        c->nice = (int32_t) (uint32_t) state_get(r, 4);
        get_limits_of_process(r, c);
        if ((c->path && *c->path != '/') || (c->argv && !c->argv[0]) ||
                        (c->working_directory && *c->working_directory != '/') || c->nice < -20 ||
                        c->nice > 19)
                r->bad = true;
}

static void get_limits(struct state_reader *r, arbiter_spawn *s) {
        s->silence_usec = state_get(r, 8);
        s->start_usec = state_get(r, 8);
        s->stop_usec = state_get(r, 8);
        s->watchdog_usec = state_get(r, 8);
        s->mailbox_messages = state_get(r, 8);
        s->mailbox_bytes = state_get(r, 8);
        s->mailbox_policy = (arbiter_mailbox_policy) state_get_below(r, 1, ARBITER_MAILBOX_BLOCK + 1);
        s->kill_signal = (int) state_get_below(r, 1, 65);
        s->allow = get_texts(r);
        if (s->kill_signal == 0)
                r->bad = true;
}

static void get_property(struct state_reader *r, arbiter_spawn *s) {
        _cleanup_free_ char *name = get_text(r), *signature = get_text(r);
        uint32_t n = (uint32_t) state_get(r, 4);
        const uint8_t *body = state_get_raw(r, n);

        if (!r->bad && name && signature && body &&
                        unit_properties_append(&s->unit_properties, name, signature, body, n) >= 0)
                return;
        r->bad = true;
}

static void get_unit(struct state_reader *r, arbiter_spawn *s) {
        uint32_t n;

        s->unit_template = get_text(r);
        if (s->unit_template && !unit_template_is_valid(s->unit_template))
                r->bad = true;
        n = (uint32_t) state_get(r, 4);
        for (uint32_t i = 0; i < n && !r->bad; i++)
                get_property(r, s);
}

static void get_parameters(struct state_reader *r, arbiter_spawn *s) {
        uint32_t n = (uint32_t) state_get(r, 4);

        for (uint32_t i = 0; i < n && !r->bad; i++) {
                _cleanup_free_ char *key = get_text(r), *value = get_text(r);

                if (!key || !value || arbiter_spawn_set_parameter(s, key, value) < 0)
                        r->bad = true;
        }
}

/* What only this process can say. false: something of it is missing. */
struct wants {
        char **listen_names;
        bool outputs[2], prepare;
};

/* Several may have one name: the n-th stays the n-th. */
static int find_socket(const arbiter_spawn *base, const char *name, size_t n) {
        for (size_t i = 0; base && i < base->n_listen_fds; i++)
                if (streq(base->listen_names[i], name) && n-- == 0)
                        return base->listen_fds[i];
        return -EBADF;
}

static bool take_sockets(arbiter_spawn *s, const struct wants *w, const arbiter_spawn *base) {
        bool whole = true;

        for (char **name = w->listen_names; name && *name; name++) {
                size_t n = 0;
                int fd;

                for (char **p = w->listen_names; p < name; p++)
                        n += streq(*p, *name);
                fd = find_socket(base, *name, n);
                if (fd >= 0)
                        whole = arbiter_spawn_add_listen_fd(s, fd, *name) >= 0 && whole;
                else if (!w->prepare) /* else each life gets its own */
                        whole = false;
        }
        return whole;
}

static bool take_from_base(arbiter_spawn *s, const struct state_spawn *head, const struct wants *w,
                const arbiter_spawn *base) {
        bool whole = true;

        if (base && base->module && *head->module && streq(base->module->name, head->module))
                s->module = base->module;
        else if (*head->module)
                whole = false;
        if (base && base->prepare && w->prepare) {
                s->prepare = base->prepare;
                s->prepare_userdata = base->prepare_userdata;
                s->prepare_definition = strdup(head->definition);
                whole = whole && s->prepare_definition;
        } else if (w->prepare) {
                s->unprepared = true;
                whole = false;
        }
        for (unsigned i = 0; i < 2; i++)
                if (w->outputs[i] && base && base->output[i] >= 0)
                        s->output[i] = fd_duplicate(base->output[i]);
                else if (w->outputs[i] && !w->prepare) /* else each life has its own */
                        whole = false;
        return take_sockets(s, w, base) && whole;
}

static void free_texts(char **v) {
        for (char **p = v; p && *p; p++)
                free(*p);
        free(v);
}

static void get_spawn(struct state_reader *r, arbiter_spawn *s, struct wants *w) {
        s->description = get_text(r);
        s->concurrency = (arbiter_concurrency) state_get_below(r, 1, ARBITER_CONCURRENCY_UNIT + 1);
        s->module_file = get_text(r);
        s->exec = state_get_bool(r);
        s->exec_type = (arbiter_exec_type) state_get_below(r, 1, ARBITER_EXEC_EXEC + 1);
        s->restart = (arbiter_restart) state_get_below(r, 1, ARBITER_RESTART_TEMPORARY + 1);
        s->restart_set = state_get_bool(r);
        get_limits(r, s);
        w->listen_names = get_texts(r);
        get_context(r, &s->context);
        s->context_changed = state_get_bool(r);
        s->user_set = state_get_bool(r);
        for (unsigned i = 0; i < 2; i++) {
                uint64_t output = state_get_below(r, 1, _OUTPUT_MAX);

                w->outputs[i] = output == OUTPUT_DESCRIPTOR;
                s->output[i] = output == OUTPUT_NULL ? -2 : -1;
        }
        s->expected = state_get_bool(r);
        w->prepare = state_get_bool(r);
        s->process_name = get_text(r);
        get_unit(r, s);
        get_parameters(r, s);
        s->context.has_uid = state_get_bool(r);
        s->context.uid = (uid_t) state_get(r, 4);
        s->source = r->version >= 2 ? get_text(r) : NULL;
        if (r->version >= 2)
                s->mail_on_restart = (arbiter_mail_on_restart) state_get_below(r, 1, ARBITER_MAIL_DROP + 1);
        if ((s->module_file && *s->module_file != '/') || (s->exec && !s->context.path) ||
                        (s->process_name && !*s->process_name))
                r->bad = true;
}

int state_decode_spawn(arbiter *a, const struct state_entry *e, uint32_t version, arbiter_spawn *base,
                arbiter_spawn **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        struct state_spawn head = {};
        struct state_reader r;
        struct wants w = {};
        bool whole = false;
        int k;

        r = open_entry(e, version, &head.key);
        get_head(&r, &head);
        if (r.bad)
                return -EBADMSG;
        k = arbiter_spawn_new(a, head.name, &s);
        if (k < 0)
                return k;
        s->fingerprint = head.fingerprint;
        get_spawn(&r, s, &w);
        if (!r.bad && r.left == 0)
                whole = take_from_base(s, &head, &w, base);
        else
                r.bad = true;
        free_texts(w.listen_names);
        if (r.bad)
                return -EBADMSG;
        if (!streq(head.name, head.definition)) {
                s->definition = strdup(head.definition);
                if (!s->definition)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(s);
        return whole ? 0 : 1;
}
