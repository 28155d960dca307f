/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handshake, from the arbiter's side: hello proves who it is (the link's descriptor does), welcome
 * answers, the first notify says that it is running. And the rest of what an actor says about itself.
 * Everything in these messages is hostile until checked. Called by the dispatcher: as commands, and where
 * the arbiter's own actor is asked whom it admits. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "wire/signature.h"

enum {
        HELLO_SIZE_MAX = 256 * 1024,
        HELLO_COMMANDS_MAX = 1024,
        /* then silence (Akka's defaults) */
        DEAD_LETTERS_LOGGED = 10,
        DEAD_LETTERS_USEC = 5 * 60 * 1000 * 1000,
};

/* What actors ask of the arbiter is small, and is read at once: it must not take long. Only a command of the
 * program around it may take more, and what it has asked for may come back so. Which lane it comes in is the
 * sender's word, and decides nothing. */
static bool may_be_large(arbiter_actor *a, const struct peer *p, const struct envelope *e) {
        const struct child *c = p->userdata;
        const arbiter_future *f;

        switch (e->kind) {
        case ENVELOPE_REQUEST:
        case ENVELOPE_CAST:
                if ((e->flags & ENVELOPE_SYSTEM) || !c->welcomed || !a->module)
                        return false;
                for (const arbiter_command *k = a->module->commands; k && k->name; k++)
                        if (streq(k->name, e->command))
                                return true;
                return false;
        case ENVELOPE_REPLY:
        case ENVELOPE_ERROR:
                f = call_find(a, e->id);
                return f && f->peer == p;
        default:
                return false;
        }
}

bool handshake_admits(arbiter_actor *a, struct peer *p, const struct envelope *e) {
        struct child *c = p->userdata;

        if (!c)
                return aid_equal(&p->aid, &a->aid); /* the arbiter's own loop to itself */
        if (!c->plain) /* what its stand-in says is no sign of its own life */
                child_heard(c);
        if (_unlikely_(e->body_size > HELLO_SIZE_MAX) && !may_be_large(a, p, e))
                return false;
        if (c->relink)
                return relink_admits(c, e);
        if (c->welcomed || e->kind == ENVELOPE_REPLY || e->kind == ENVELOPE_ERROR)
                return true;
        return (e->kind == ENVELOPE_REQUEST && streq(e->command, "hello")) ||
                (e->kind == ENVELOPE_CAST && (streq(e->command, "failed") || streq(e->command, "closed")));
}

void handshake_peer_lost(arbiter_actor *a, struct peer *p, int error) {
        struct child *c = p->userdata;

        if (!c) {
                peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
                return;
        }
        p->state = PEER_LOST;
        if (error == -EBADMSG || error == -EACCES)
                arbiter_log(c->arbiter, LOG_WARNING, c, "protocol", "%s has broken the protocol: %s",
                                c->name,
                                error == -EACCES ? "it spoke before the handshake, or said more than it may"
                                                 : "malformed message");
        child_link_lost(c, error);
}

void commands_table_free(void *p) {
        struct commands_table *t = p;

        if (!t)
                return;
        arbiter_message_unref(t->message);
        free(t->views);
        free(t);
}

static bool is_printable(const char *s) {
        for (; *s; s++)
                if (*s < ' ' || *s > '~')
                        return false;
        return true;
}

/* It is shown to people, and other actors' arguments are built by it. */
static bool view_is_valid(const struct command_view *v) {
        return *v->name && strlen(v->name) <= 255 && command_is_valid(v->name, strlen(v->name)) &&
                signature_string_is_valid(v->arguments) && signature_string_is_valid(v->result) &&
                is_printable(v->argument_names) && is_printable(v->result_names);
}

static int read_views(struct commands_table *t) {
        struct command_view v;
        int r;

        r = arbiter_message_skip(t->message, "usu");
        if (r < 0)
                return r;
        r = arbiter_message_enter_container(t->message, 'a', "(ssssst)");
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        while ((r = arbiter_message_read(t->message, "(ssssst)", &v.name, &v.arguments, &v.argument_names,
                                &v.result, &v.result_names, &v.flags)) > 0) {
                struct command_view *views;

                if (t->n_views >= HELLO_COMMANDS_MAX || !view_is_valid(&v))
                        return -EBADMSG;
                views = reallocarray(t->views, t->n_views + 1, sizeof(v));
                if (!views)
                        return -ENOMEM;
                t->views = views;
                t->views[t->n_views++] = v;
        }
        return r;
}

/* A copy: the message itself is a request, and ends with its answer. */
static int table_new(arbiter_message *m, struct commands_table **ret) {
        struct commands_table *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        r = arbiter_message_new(&t->message);
        if (r >= 0)
                r = arbiter_message_rewind(m, true);
        if (r >= 0)
                r = arbiter_message_append_message(t->message, m);
        if (r >= 0)
                r = message_seal(t->message);
        if (r >= 0)
                r = read_views(t);
        if (r < 0) {
                commands_table_free(t);
                return r;
        }
        *ret = t;
        return 0;
}

void commands_table_unref(arbiter *a, struct commands_table *t) {
        if (!t || --t->n_ref > 0)
                return;
        map_remove(a->commands, t->key, sizeof(t->key));
        commands_table_free(t);
}

/* A thousand workers alike say the same thousand times: it is kept once, as long as one of them is there. */
static int intern_commands(arbiter *a, arbiter_message *m, struct commands_table **ret) {
        const size_t head = 16; /* version, token, pid: those differ */
        struct commands_table *t;
        const void *body;
        uint64_t key[2];
        size_t size;
        int r;

        r = arbiter_message_get_body(m, &body, &size);
        if (r < 0)
                return r;
        if (size < head)
                return -EBADMSG;
        key[0] = siphash24((const uint8_t *) body + head, size - head, &a->actor->id_key);
        key[1] = size;
        t = map_get(a->commands, key, sizeof(key));
        if (!t) {
                r = table_new(m, &t);
                if (r < 0)
                        return r;
                r = map_put(a->commands, key, sizeof(key), t);
                if (r < 0) {
                        commands_table_free(t);
                        return r;
                }
                memcpy(t->key, key, sizeof(key));
        }
        t->n_ref++;
        *ret = t;
        return 0;
}

int handshake_take_commands(struct child *c, arbiter_message *m) {
        commands_table_unref(c->arbiter, TAKE_PTR(c->commands));
        return intern_commands(c->arbiter, m, &c->commands);
}

static int append_parameters(const arbiter_spawn *s, arbiter_message *m) {
        int r;

        r = arbiter_message_open_container(m, 'a', "{ss}");
        if (r < 0)
                return r;
        if (s)
                LIST_FOREACH(p, &s->parameters, struct actor_parameter, parameters) {
                        r = arbiter_message_append(m, "{ss}", p->key, p->value);
                        if (r < 0)
                                return r;
                }
        return arbiter_message_close_container(m);
}

static const char *manager_of(const struct child *c) {
        return c->set && c->set->monitor ? c->set->monitor->name : "arbiter";
}

static int reply_welcome(struct child *c, arbiter_message *m, int page_fd) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        arbiter_spawn *s = c->spawn;
        int r;

        r = arbiter_message_new(&reply);
        if (r < 0)
                return r;
        r = arbiter_message_append(reply, "ssssuttttyy", aid_to_string(&c->spawner).s, c->aid_string.s,
                        c->name, manager_of(c), c->generation,
                        s ? s->silence_usec : (usec_t) SILENCE_DEFAULT_USEC,
                        s ? s->stop_usec : (usec_t) STOP_TIMEOUT_DEFAULT_USEC,
                        s ? s->mailbox_messages : (uint64_t) MAILBOX_MESSAGES_DEFAULT,
                        s ? s->mailbox_bytes : (uint64_t) MAILBOX_BYTES_DEFAULT,
                        (uint8_t) (s ? s->mailbox_policy : ARBITER_MAILBOX_REJECT),
                        (uint8_t) c->concurrency);
        if (r >= 0)
                r = append_parameters(s, reply);
        if (r >= 0)
                r = arbiter_message_append(reply, "h", page_fd);
        return r < 0 ? r : arbiter_message_reply_message(m, reply);
}

static int welcome(struct child *c, arbiter_message *m) {
        _cleanup_close_ int page_fd = -EBADF;
        struct link_page *page;
        int r = 0;

        if (c->relink)
                page_fd = relink_said_hello(c);
        if (page_fd < 0)
                r = link_page_create(&page_fd);
        if (r >= 0 && !link_has_page(c->peer->link))
                r = link_page_grant(page_fd, 0, CONTROL_WINDOW_MESSAGES, CONTROL_WINDOW_BYTES);
        if (r >= 0)
                r = reply_welcome(c, m, page_fd);
        if (r < 0)
                return r;
        c->welcomed = true;
        c->waiting_usec = now_usec();
        state_mark_child(c);
        if (link_get_kind(c->peer->link) == LINK_LOCAL) {
                link_set_window(c->peer->link, CONTROL_WINDOW_MESSAGES, CONTROL_WINDOW_BYTES);
                return 0;
        }
        if (link_has_page(c->peer->link))
                return 0;
        r = link_page_map(page_fd, &page);
        if (r < 0)
                return r;
        return link_set_page_granted(c->peer->link, page, 0, CONTROL_WINDOW_MESSAGES, CONTROL_WINDOW_BYTES);
}

int handshake_hello(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        const char *token;
        uint32_t version, pid;
        int r;

        if (!c || (c->welcomed && !c->relink))
                return -EALREADY;
        r = arbiter_message_read(m, "usu", &version, &token, &pid);
        if (r < 0)
                return r;
        if (version != ENVELOPE_VERSION || (*token && !c->spawn->expected)) {
                child_fail_start(c, ARBITER_REASON_HANDSHAKE,
                                *token ? "it sent a token that it was never given"
                                       : "it speaks version %u of the protocol, this arbiter %d",
                                version, ENVELOPE_VERSION);
                return -EPROTO;
        }
        r = handshake_take_commands(c, m);
        if (r >= 0)
                r = welcome(c, m);
        if (r >= 0 && c->plain) /* a stand-in, made because somebody waits for it */
                broker_unpark(c, ARBITER_OUTCOME_REPLY);
        if (r < 0)
                child_fail_start(c, ARBITER_REASON_HANDSHAKE, "the handshake failed: %s", strerror(-r));
        return r;
}

/* Counted exactly, told of at a limited rate. */
static void tell_dead_letters(struct child *c, uint64_t count) {
        usec_t now = actor_now(c->arbiter->actor);

        if (count <= c->dead_letters)
                return;
        status_count_dead_letters(c->arbiter, count - c->dead_letters);
        c->dead_letters = count;
        state_mark_child(c);
        if (count > DEAD_LETTERS_LOGGED && now < time_add(c->dead_letters_usec, DEAD_LETTERS_USEC))
                return;
        arbiter_log(c->arbiter, LOG_NOTICE, c, "dead-letters",
                        "%s: %llu messages could not be delivered (%llu more than told before)", c->name,
                        (unsigned long long)count, (unsigned long long)(count - c->dead_letters_told));
        c->dead_letters_told = count;
        c->dead_letters_usec = now;
}

/* Said again and again; the first time it means "running". */
int handshake_notify(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        uint64_t queued, dead_letters;
        uint8_t state;
        int r;

        if (!c || c->plain) /* a stand-in runs before its program does */
                return 0;
        r = arbiter_message_read(m, "ytt", &state, &queued, &dead_letters);
        if (r < 0)
                return r;
        c->mailbox_queued = queued;
        tell_dead_letters(c, dead_letters);
        if (c->state == ARBITER_STATE_STARTING)
                child_running(c);
        else if (state == ARBITER_STATE_STOPPING && c->state == ARBITER_STATE_RUNNING)
                child_stops_itself(c);
        return 0;
}

/* Somebody's words, to be logged and shown: one line, of a bounded length. */
static void copy_printable(char *text, size_t size, const char *s) {
        size_t n = 0;

        for (; *s && n + 1 < size; s++)
                text[n++] = (unsigned char) *s < ' ' || *s == 127 ? '?' : *s;
        while (*s && n > 0 && (text[n - 1] & 0x80))
                n--; /* not in the midst of a character */
        text[n] = 0;
}

/* Its start hook has chosen another policy than its spawn. */
int handshake_mailbox(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        uint8_t policy;
        int r;

        if (!c || !c->peer)
                return 0;
        r = arbiter_message_read(m, "y", &policy);
        if (r < 0)
                return r;
        if (policy <= ARBITER_MAILBOX_BLOCK)
                c->peer->policy = policy;
        state_mark_child(c);
        return 0;
}

int handshake_failed(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        char text[FAILURE_TEXT_MAX];
        const char *said;
        int32_t error;
        int r;

        if (!c || c->state != ARBITER_STATE_STARTING)
                return 0;
        r = arbiter_message_read(m, "is", &error, &said);
        if (r < 0)
                return r;
        copy_printable(text, sizeof(text), said);
        if (!c->failure && asprintf(&c->failure, "its start hook failed: %s", text) < 0)
                c->failure = NULL;
        arbiter_log(c->arbiter, LOG_WARNING, c, "start-failed", "%s: its start hook failed: %s", c->name,
                        text);
        /* It ends by itself now; if it does not, the start timeout applies. */
        if (!c->reason_set) {
                c->reason = ARBITER_REASON_HANDSHAKE;
                c->reason_set = true;
        }
        state_mark_child(c);
        return 0;
}

/* OTP's `ignore`: its start was good, and there is nothing to look after. */
int handshake_ignored(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);

        if (!c || c->state != ARBITER_STATE_STARTING)
                return 0;
        c->ignored = true;
        state_mark_child(c);
        return 0;
}

int handshake_closed(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        int32_t code;
        int r;

        if (!c)
                return 0;
        r = arbiter_message_read(m, "i", &code);
        if (r < 0)
                return r;
        c->closed = true;
        c->closed_code = code;
        state_mark_child(c);
        return 0;
}

int handshake_exiting(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        uint32_t reason;
        int r;

        if (!c)
                return 0;
        r = arbiter_message_read(m, "u", &reason);
        if (r < 0)
                return r;
        if (arbiter_reason_to_string(reason) && !c->reason_set) {
                c->reason = reason;
                c->reason_set = true;
                state_mark_child(c);
        }
        return 0;
}

/* What a traced actor begins. */
int handshake_traced(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        const char *sender, *command;
        int r;

        if (!c)
                return 0;
        r = arbiter_message_read(m, "ss", &sender, &command);
        if (r < 0)
                return r;
        arbiter_log(c->arbiter, LOG_DEBUG, c, "trace", "%s: %s from %s", c->name, command, sender);
        return 0;
}
