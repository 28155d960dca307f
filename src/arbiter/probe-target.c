/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parsers of probes: see probe-target.h. Called when a definition is made and before each question; the
 * last one for each piece that a server sends. Must believe nothing. */

#include <string.h>

#include "arbiter/probe-target.h"
#include "basic/macro.h"

static int append(char *ret, size_t *n, const char *s, size_t size) {
        if (size >= PROBE_TARGET_TEXT_MAX - *n)
                return -E2BIG;
        memcpy(ret + *n, s, size);
        *n += size;
        ret[*n] = 0;
        return 0;
}

int probe_expand(const char *s, const char *name, char ret[static PROBE_TARGET_TEXT_MAX]) {
        size_t head = strcspn(name, "."), n = 0;
        const char *number = name[head] ? name + head + 1 : "";
        int r = 0;

        ret[0] = 0;
        while (r >= 0 && *s) { /* behind a single % at the end there is nothing to be read */
                size_t plain = strcspn(s, "%");

                r = append(ret, &n, s, plain);
                s += plain;
                if (r < 0 || !*s)
                        break;
                if (s[1] == 'n')
                        r = append(ret, &n, name, strlen(name));
                else if (s[1] == 'N')
                        r = append(ret, &n, name, head);
                else if (s[1] == 'i')
                        r = append(ret, &n, number, strlen(number));
                else if (s[1] == '%')
                        r = append(ret, &n, "%", 1);
                else
                        r = -EINVAL;
                s += 2;
        }
        return r;
}

/* IPv4 first: what listens on both takes it, and most listen there. */
static void set_localhost(struct probe_address *a) {
        in_port_t port = a->addresses[0].u.in6.sin6_port;

        *a = (struct probe_address){ .n = 2 };
        a->addresses[0] = (struct listen_address){
                .type = SOCK_STREAM,
                .size = sizeof(struct sockaddr_in),
                .u.in = { .sin_family = AF_INET,
                          .sin_port = port,
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
        };
        a->addresses[1] = (struct listen_address){
                .type = SOCK_STREAM,
                .size = sizeof(struct sockaddr_in6),
                .u.in6 = { .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = in6addr_loopback },
        };
}

int probe_parse_address(const char *s, struct probe_address *ret, const char **ret_why) {
        static const char localhost[] = "localhost:", prefix[] = "unix:";
        struct probe_address a = { .n = 1 };
        bool local = strncmp(s, localhost, sizeof(localhost) - 1) == 0;
        int r;

        *ret_why = "it is no address: write PORT, localhost:PORT, IPV4:PORT, [IPV6]:PORT, /PATH or @NAME; "
                   "names of hosts are not looked up";
        if (strncmp(s, prefix, sizeof(prefix) - 1) == 0) {
                s += sizeof(prefix) - 1;
                if (*s != '/' && *s != '@')
                        return -EINVAL;
        }
        if (local)
                s += sizeof(localhost) - 1;
        r = listen_address_parse(s, SOCK_STREAM, &a.addresses[0]);
        if (r < 0)
                return r;
        if (local && !a.addresses[0].any)
                return -EINVAL;
        if (a.addresses[0].any)
                set_localhost(&a);
        *ret = a;
        return 0;
}

bool probe_host_is_valid(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]");

        return n > 0 && n < PROBE_HOST_MAX && s[n] == 0;
}

static bool path_is_valid(const char *s) {
        if (*s != '/')
                return false;
        for (; *s; s++)
                if (*s <= ' ' || *s >= 127 || *s == '#')
                        return false;
        return true;
}

/* "[fe80::1%eth0]:80" is for us; to others the interface means nothing. */
static void cut_scope(char *host) {
        char *scope = strchr(host, '%'), *end = scope ? strchr(scope, ']') : NULL;

        if (end)
                memmove(scope, end, strlen(end) + 1);
}

int probe_parse_url(const char *s, struct probe_url *ret, const char **ret_why) {
        char address[PROBE_TARGET_TEXT_MAX];
        struct probe_url u = {};
        const char *path;
        size_t n;
        bool local;
        int r;

        *ret_why = "https is not spoken: ask by ProbeExec= with a program that does";
        if (strncmp(s, "https:", strlen("https:")) == 0)
                return -EINVAL;
        if (strncmp(s, "http://", strlen("http://")) == 0)
                s += strlen("http://");
        *ret_why = "of a socket in the file system write unix:/PATH/OF/SOCKET:/path/of/url";
        local = strncmp(s, "unix:", strlen("unix:")) == 0;
        if (*s == '/' || *s == '@')
                return -EINVAL;
        path = local ? strstr(s + strlen("unix:"), ":/") : strchr(s, '/');
        n = path ? (size_t) (path - s) : strlen(s);
        if (n >= sizeof(address))
                return -ENAMETOOLONG;
        memcpy(address, s, n);
        address[n] = 0;
        r = probe_parse_address(address, &u.address, ret_why);
        if (r < 0)
                return r;
        path = !path ? "/" : path + local;
        *ret_why = "its path holds what a URL cannot, or is too long";
        if (!path_is_valid(path) || strlen(path) >= sizeof(u.path))
                return -EINVAL;
        memcpy(u.path, path, strlen(path) + 1);
        *ret_why = "its address is too long";
        if (n >= sizeof(u.host))
                return -ENAMETOOLONG;
        if (local || u.address.n == 2)
                memcpy(u.host, "localhost", sizeof("localhost"));
        else
                memcpy(u.host, address, n + 1);
        cut_scope(u.host);
        *ret = u;
        return 0;
}

/* HTTP. */

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK": a minor version, a status, and if there is more, a blank and text without control
 * characters. As far as it has come: 1, all of it; 0, so far so good. */
static int check_status_line(const char *p, size_t n, bool whole, unsigned *ret_status) {
        static const char pattern[] = "HTTP/1.d ddd";
        size_t length = sizeof(pattern) - 1;

        for (size_t i = 0; i < MIN(n, length); i++)
                if (pattern[i] == 'd' ? !is_digit(p[i]) : p[i] != pattern[i])
                        return -EBADMSG;
        for (size_t i = length; i < n; i++)
                if ((i == length && p[i] != ' ') || ((unsigned char) p[i] < ' ' && p[i] != '\t') ||
                                p[i] == 127)
                        return -EBADMSG;
        if (!whole)
                return 0;
        if (n < length)
                return -EBADMSG;
        *ret_status = (unsigned) (p[9] - '0') * 100 + (unsigned) (p[10] - '0') * 10 +
                      (unsigned) (p[11] - '0');
        return *ret_status >= 100 && *ret_status <= 599 ? 1 : -EBADMSG;
}

/* A line without its end, and where the next one begins; false: its end has not come. */
static bool get_line(const char *p, size_t n, size_t *ret_length, size_t *ret_next) {
        const char *end = n > 0 ? memchr(p, '\n', n) : NULL;

        *ret_length = end ? (size_t) (end - p) : n;
        *ret_next = *ret_length + (end != NULL);
        if (*ret_length > 0 && p[*ret_length - 1] == '\r') /* without its \n, what follows will show */
                (*ret_length)--;
        return end;
}

/* Behind the headers of an interim response; 0: they have not come to their end. */
static size_t skip_headers(const char *p, size_t n) {
        for (size_t i = 0; i < n;) {
                size_t length, next;

                if (!get_line(p + i, n - i, &length, &next))
                        return 0;
                i += next;
                if (length == 0)
                        return i;
        }
        return 0;
}

int probe_parse_reply(const char *p, size_t n, unsigned *ret_status) {
        bool full = n >= PROBE_REPLY_MAX;

        for (;;) {
                size_t length, next, body;
                bool whole = get_line(p, n, &length, &next);
                unsigned status;
                int r;

                if (length > PROBE_STATUS_LINE_MAX)
                        return -EBADMSG;
                r = check_status_line(p, length, whole, &status);
                if (r <= 0)
                        return r == 0 && full ? -EMSGSIZE : r;
                if (status >= 200 || status == 101) { /* and that is nothing that we have asked for */
                        *ret_status = status;
                        return 1;
                }
                body = skip_headers(p + next, n - next);
                if (body == 0)
                        return full ? -EMSGSIZE : 0;
                p += next + body;
                n -= next + body;
        }
}
