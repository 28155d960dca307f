/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ListenStream= and ListenDatagram=: text to address. Opens nothing and asks no name server. */

#include <netdb.h>
#include <stdio.h>
#include <sys/un.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"

void config_done_sockets(struct actor_config *a) {
        for (size_t i = 0; i < a->n_sockets; i++)
                free(a->sockets[i].text);
        free(a->sockets);
        a->sockets = NULL;
        a->n_sockets = 0;
}

static int parse_unix(const char *text, struct config_socket *s) {
        struct sockaddr_un *un = (struct sockaddr_un *) &s->address.storage;
        size_t n = strlen(text);
        bool abstract = text[0] == '@';

        /* A path keeps its final NUL; an abstract name begins with one and has its length as its end. */
        if (n < 2 || n + (abstract ? 0 : 1) > sizeof(un->sun_path))
                return -EINVAL;
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, text, n);
        if (abstract)
                un->sun_path[0] = 0;
        s->address_size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + (abstract ? 0 : 1));
        return 0;
}

static int resolve_numeric(const char *host, const char *port, struct config_socket *s) {
        const struct addrinfo hints = {
                .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                .ai_socktype = s->type,
        };
        struct addrinfo *info;
        uint64_t number;

        if (parse_u64_range(port, 1, 65535, &number) < 0)
                return -EINVAL;
        if (getaddrinfo(host, port, &hints, &info) != 0)
                return -EINVAL;
        if (info->ai_addrlen <= sizeof(s->address)) {
                memcpy(&s->address.storage, info->ai_addr, info->ai_addrlen);
                s->address_size = info->ai_addrlen;
        }
        freeaddrinfo(info);
        return s->address_size > 0 ? 0 : -EINVAL;
}

static int parse_internet(const char *text, struct config_socket *s) {
        _cleanup_free_ char *host = NULL;
        const char *colon = strrchr(text, ':');
        size_t n;

        if (!colon) { /* a port on all addresses */
                s->any = true;
                return resolve_numeric("::", text, s);
        }
        n = (size_t) (colon - text);
        if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
                text++;
                n -= 2;
                if (!memchr(text, ':', n))
                        return -EINVAL;
        } else if (memchr(text, ':', n)) /* an IPv6 address without brackets: where does the port begin? */
                return -EINVAL;
        host = strndup(text, n);
        if (!host)
                return -ENOMEM;
        return resolve_numeric(host, colon + 1, s);
}

static bool is_duplicate(const struct actor_config *a, const struct config_socket *s) {
        for (size_t i = 0; i < a->n_sockets; i++)
                if (a->sockets[i].type == s->type && a->sockets[i].address_size == s->address_size &&
                    memcmp(&a->sockets[i].address, &s->address, s->address_size) == 0)
                        return true;
        return false;
}

int config_parse_listen(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = &((struct monitor_config *) c->parser->data)->actor;
        struct config_socket s = { .type = *(const int *) c->item->parameter }, *bigger;
        _cleanup_free_ char *text = NULL;
        int r;

        if (!*value) {
                config_done_sockets(a);
                return 0;
        }
        r = config_specifiers(c, value, false, &text);
        if (r < 0)
                return r;
        r = text[0] == '/' || text[0] == '@' ? parse_unix(text, &s) : parse_internet(text, &s);
        if (r == -EINVAL)
                return conf_bad_value(
                        c, value,
                        "an address to listen on; write a port (8080), a numeric address and a port "
                        "(127.0.0.1:8080, [::1]:8080), an absolute path of at most 107 bytes, or an "
                        "abstract name (@web)");
        if (r < 0)
                return r;
        if (is_duplicate(a, &s))
                return conf_complain(c, CONF_ERROR, "%s=%s is there already; remove one of the two.", c->key,
                                     text);

        bigger = reallocarray(a->sockets, a->n_sockets + 1, sizeof(*bigger));
        if (!bigger)
                return -ENOMEM;
        s.text = TAKE_PTR(text);
        a->sockets = bigger;
        a->sockets[a->n_sockets++] = s;
        return 0;
}
