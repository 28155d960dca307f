/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of units: lines of NAME=VALUE into one set of properties. What is taken must be a complete value
 * of the signature that it says; what is refused must change nothing and be told in one printable line. */

#include <arbiter/message.h>

#include "arbiter/unit-settings.h"
#include "basic/utf8.h"
#include "fuzz.h"
#include "wire/signature.h"

static void check_text(const char *text) {
        FUZZ_CHECK(text && *text && utf8_is_valid(text, strlen(text)));
        for (const char *p = text; *p; p++)
                FUZZ_CHECK((unsigned char) *p >= ' ' && *p != 127);
}

static void check_properties(const struct unit_properties *p) {
        for (size_t i = 0; i < p->n; i++) {
                struct unit_property *u = &p->items[i];

                FUZZ_CHECK(signature_is_single(u->signature));
                FUZZ_CHECK(streq(arbiter_message_get_signature(u->value), u->signature));
                FUZZ_CHECK(arbiter_message_rewind(u->value, true) >= 0);
                FUZZ_CHECK(arbiter_message_skip(u->value, u->signature) > 0);
                FUZZ_CHECK(arbiter_message_at_end(u->value, true) > 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = calloc(1, size + 1);
        struct unit_properties p = {}, copy = {};
        char *line, *next = text;

        FUZZ_CHECK(text);
        if (size > 0)
                memcpy(text, data, size);
        while ((line = strsep(&next, "\n"))) {
                char *equals = strchr(line, '='), *why = NULL;
                size_t before = p.n;
                int r;

                if (!equals)
                        continue;
                *equals = 0;
                r = unit_properties_assign(&p, line, equals + 1, &why);
                FUZZ_CHECK(r == 0 || r == -EINVAL);
                FUZZ_CHECK((r == 0) == !why);
                if (why)
                        check_text(why);
                if (r < 0)
                        FUZZ_CHECK(p.n == before);
                free(why);
        }
        check_properties(&p);
        FUZZ_CHECK(unit_properties_copy(&p, &copy) == 0 && copy.n == p.n);
        unit_properties_done(&p);
        check_properties(&copy);
        unit_properties_done(&copy);
        return 0;
}
