/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What servers answer to probes, and what people write of them: the first byte says which. A reply gives the
 * same in pieces as in one; texts that are taken for an address or a URL are of a bounded length and without
 * anything that a request could be split by. */

#include <arbiter/probe.h>

#include "arbiter/probe-target.h"
#include "fuzz.h"

static void fuzz_reply(const char *p, size_t n) {
        unsigned status = 0, other = 0;
        int r = probe_parse_reply(p, n, &status), q = 0;

        FUZZ_CHECK(r == 0 || r == 1 || r == -EBADMSG || r == -EMSGSIZE);
        FUZZ_CHECK(r != 1 || (status >= 101 && status <= 599));
        FUZZ_CHECK(n < PROBE_REPLY_MAX || r != 0);
        for (size_t i = 0; i <= n && q == 0; i++)
                q = probe_parse_reply(p, i, &other);
        if (n >= PROBE_REPLY_MAX || r == -EBADMSG)
                return; /* a piece may have been good, and all of it too long; or good up to there */
        FUZZ_CHECK(q == r && (r != 1 || other == status));
}

static void check_plain(const char *s, size_t max) {
        FUZZ_CHECK(strlen(s) < max);
        for (; *s; s++)
                FUZZ_CHECK((unsigned char) *s > ' ' && *s != 127);
}

static void fuzz_text(const char *s) {
        char text[PROBE_TARGET_TEXT_MAX];
        struct probe_address a;
        struct probe_url u;
        const char *why = NULL;
        arbiter_probe *p;

        if (probe_expand(s, "web.3", text) < 0)
                return;
        if (probe_parse_address(text, &a, &why) >= 0)
                FUZZ_CHECK(a.n >= 1 && a.n <= 2);
        else
                FUZZ_CHECK(why);
        why = NULL;
        if (probe_parse_url(text, &u, &why) >= 0) {
                check_plain(u.path, PROBE_PATH_MAX);
                FUZZ_CHECK(u.path[0] == '/');
                check_plain(u.host, PROBE_HOST_MAX);
        } else
                FUZZ_CHECK(why);
        if (probe_host_is_valid(text))
                check_plain(text, PROBE_HOST_MAX);
        if (arbiter_probe_new_http(s, NULL, &p, NULL) >= 0)
                arbiter_probe_unref(p);
        if (arbiter_probe_new_tcp(s, &p, NULL) >= 0)
                arbiter_probe_unref(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *exact = NULL, *s = NULL;

        if (size == 0)
                return 0;
        if (data[0] == 'r') {
                exact = fuzz_copy(data + 1, size - 1);
                fuzz_reply(exact, size - 1);
                return 0;
        }
        s = calloc(1, size);
        FUZZ_CHECK(s);
        memcpy(s, data + 1, size - 1);
        fuzz_text(s);
        return 0;
}
