/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ListenStream= and its like, Sockets= and what goes with them: text to addresses and names. Called by the
 * loader through its tables. Opens nothing and asks no name server. */

#include <net/if.h>

#include "arbiterd/config-internal.h"
#include "arbiterd/notify.h"
#include "shared/exec-line.h"
#include "shared/strv.h"

#define SOCKETS_MAX 64 /* that an actor may inherit: arbiter_spawn_add_listen_fd() */

static struct actor_config *actor_of(const struct conf_context *c) {
        return &((struct monitor_config *) c->parser->data)->actor;
}

void config_done_sockets(struct actor_config *a) {
        for (size_t i = 0; i < a->n_sockets; i++)
                free(a->sockets[i].text);
        free(a->sockets);
        a->sockets = NULL;
        a->n_sockets = 0;
}

/* An empty value: of its kind, nothing above this line counts. */
static void take_back(struct actor_config *a, bool passed) {
        size_t n = 0;

        for (size_t i = 0; i < a->n_sockets; i++)
                if (a->sockets[i].passed == passed)
                        free(a->sockets[i].text);
                else
                        a->sockets[n++] = a->sockets[i];
        a->n_sockets = n;
}

static bool is_duplicate(const struct actor_config *a, const struct config_socket *s) {
        for (size_t i = 0; i < a->n_sockets; i++)
                if (a->sockets[i].passed == s->passed &&
                    (s->passed ? streq(a->sockets[i].text, s->text)
                               : listen_address_equal(&a->sockets[i].address, &s->address)))
                        return true;
        return false;
}

/* Takes s->text over. */
static int append(const struct conf_context *c, const struct config_socket *s) {
        const struct load_context *l = c->parser->options;
        struct actor_config *a = actor_of(c);
        struct config_socket *bigger;
        int r = 0;

        l->places[PLACE_SOCKETS] = (struct place){ c->file, c->line };
        if (is_duplicate(a, s))
                r = conf_complain(c, "%s=%s is there already; remove one of the two.", c->key,
                                  s->text);
        else if (a->n_sockets >= SOCKETS_MAX)
                r = conf_complain(c,
                                  "%s=%s is one too many: an actor may inherit %d sockets; leave some out.",
                                  c->key, s->text, SOCKETS_MAX);
        bigger = r < 0 ? NULL : reallocarray(a->sockets, a->n_sockets + 1, sizeof(*bigger));
        if (!bigger) {
                free(s->text);
                return r < 0 ? r : -ENOMEM;
        }
        a->sockets = bigger;
        a->sockets[a->n_sockets++] = *s;
        return 0;
}

static int complain_of_address(const struct conf_context *c, const char *value, int type) {
        if (type == LISTEN_FIFO)
                return conf_bad_value(c, value, "an absolute path of at most 107 bytes");
        if (type == SOCK_SEQPACKET)
                return conf_bad_value(c, value,
                                      "an absolute path of at most 107 bytes, or an abstract name (@web)");
        return conf_bad_value(
                c, value,
                "an address to listen on; write a port (8080), a numeric address and a port "
                "(127.0.0.1:8080, [::1]:8080), an absolute path of at most 107 bytes, or an "
                "abstract name (@web)");
}

int config_parse_listen(const struct conf_context *c, const char *value, void *field) {
        int type = *(const int *) c->item->parameter, r;
        _cleanup_free_ char *text = NULL;
        struct config_socket s = {};

        if (!*value) {
                take_back(actor_of(c), false);
                return 0;
        }
        r = config_specifiers(c, value, false, &text);
        if (r < 0)
                return r;
        r = listen_address_parse(text, type, &s.address);
        if (r == -ENODEV)
                return conf_bad_value(c, value, "an address of this machine: there is no such interface");
        if (r == -EINVAL && text[0] == '/' && text[1])
                return conf_bad_value(c, value, "the path of a file: it ends in /");
        if (r < 0)
                return complain_of_address(c, value, type);
        s.text = TAKE_PTR(text);
        return append(c, &s);
}

/* Which socket of that name would be whose is not known: see service.c. */
static bool is_of_arbiter(const char *name) {
        return streq(name, "metrics") || streq(name, NOTIFY_STORE_KEEPER) || streq(name, NOTIFY_STORE_STATE);
}

int config_parse_passed(const struct conf_context *c, const char *value, void *field) {
        _cleanup_strv_free_ char **words = NULL;
        _cleanup_free_ char *text = NULL;
        const char *why;
        int r;

        if (!*value) {
                take_back(actor_of(c), true);
                return 0;
        }
        r = config_specifiers(c, value, false, &text);
        if (r >= 0)
                r = split_words(text, &words, &why);
        if (r == -EINVAL)
                return conf_bad_value(c, value, "a list of names: %s", why);
        STRV_FOREACH(i, words) {
                struct config_socket s = { .passed = true, .text = strdup(*i) };

                if (r < 0 || !s.text) {
                        free(s.text);
                        return r < 0 ? r : -ENOMEM;
                }
                if (!listen_fd_name_is_valid(s.text)) {
                        free(s.text);
                        return conf_bad_value(c, *i,
                                              "the name of a socket; write what its unit has as "
                                              "FileDescriptorName=, or else the unit's own name "
                                              "(web.socket)");
                }
                if (is_of_arbiter(s.text)) {
                        free(s.text);
                        return conf_bad_value(c, *i,
                                              "a name that an actor's socket may have: it is one of the "
                                              "arbiter's own; write another FileDescriptorName= into its "
                                              "socket unit");
                }
                r = append(c, &s);
        }
        return r;
}

int config_parse_fd_name(const struct conf_context *c, const char *value, void *field) {
        const struct load_context *l = c->parser->options;
        _cleanup_free_ char *text = NULL, *names = NULL;
        char *rest, *name;
        int r;

        if (!*value)
                return conf_parse_string(c, value, field);
        r = config_specifiers(c, value, false, &text);
        if (r < 0)
                return r;
        rest = names = strdup(text);
        if (!names)
                return -ENOMEM;
        while ((name = strsep(&rest, ":")))
                if (!listen_fd_name_is_valid(name))
                        return conf_bad_value(c, value,
                                              "a name of at most 255 printable characters without blanks, "
                                              "or such a name for each socket with : between them");
        l->places[PLACE_FD_NAME] = (struct place){ c->file, c->line };
        return conf_parse_string(c, text, field);
}

int config_parse_device(const struct conf_context *c, const char *value, void *field) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = config_specifiers(c, value, false, &text);
        if (r < 0)
                return r;
        if (strlen(text) >= IFNAMSIZ)
                return conf_bad_value(c, value, "the name of a network interface; write for example eth0");
        r = conf_parse_string(c, text, field);
        actor_of(c)->listen.device = *(char **) field;
        return r;
}

/* What is written of one socket, and those that are ours to open. */
static size_t count(const struct actor_config *a, bool internet) {
        size_t n = 0;

        for (size_t i = 0; i < a->n_sockets; i++)
                n += !a->sockets[i].passed &&
                     (!internet || listen_address_is_internet(&a->sockets[i].address));
        return n;
}

int config_finish_sockets(struct actor_config *a, const struct load_context *l, const char *path) {
        size_t n_names = 1;
        int r = 0;

        for (const char *p = a->fd_name; p && (p = strchr(p, ':')); p++)
                n_names++;
        if (n_names > 1 && n_names != count(a, false)) {
                config_complain_at(l, CONF_ERROR, PLACE_FD_NAME, path,
                                   "FileDescriptorName= has not as many names as there are sockets; write "
                                   "one for all, or one for each Listen...= in their order.");
                r = -EBADMSG;
        }
        if (a->unit && a->n_sockets > 0) {
                config_complain_at(l, CONF_ERROR, PLACE_SOCKETS, path,
                                   "Instances of Unit= get their sockets from systemd; write a socket unit, "
                                   "and Sockets= into a drop-in of the template (systemctl edit).");
                r = -EBADMSG;
        }
        if (a->concurrency == CONFIG_THREAD && a->n_sockets > 0) {
                config_complain_at(l, CONF_ERROR, PLACE_SOCKETS, path,
                                   "Threads are given no sockets; use Concurrency=process.");
                r = -EBADMSG;
        }
        if (a->listen.reuse_port && count(a, true) == 0)
                config_complain_at(l, CONF_WARNING, PLACE_REUSE_PORT, path,
                                   "ReusePort= does nothing here: there is no ListenStream= or "
                                   "ListenDatagram= with a port.");
        return r;
}
