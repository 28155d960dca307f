/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workers write, and what is made of it for the journal: lines lose and add no byte, are bounded,
 * and end where they must; a field comes out of the native protocol as it went in, whatever it holds;
 * encodings that are no such are refused. */

#include "arbiter-logger/line.h"
#include "fuzz.h"
#include "shared/journal.h"

static void fuzz_lines(const char *data, size_t size) {
        size_t at = 0;

        while (at < size) {
                struct line l;
                int priority = -1;

                FUZZ_CHECK(line_next(data + at, size - at, 0, LINE_BREAK_EOF, &l));
                FUZZ_CHECK(l.length <= LINE_LENGTH_MAX && l.consumed > 0 && l.consumed <= size - at);
                FUZZ_CHECK(!memchr(data + at, '\n', l.length) && !memchr(data + at, 0, l.length));
                FUZZ_CHECK((l.line_break == LINE_BREAK_EOF) == (at + l.length == size));
                FUZZ_CHECK(l.consumed - l.length == (l.line_break <= LINE_BREAK_NUL));
                if (line_priority(data + at, l.length, &priority) > 0)
                        FUZZ_CHECK(priority >= 0 && priority <= 7);
                at += l.consumed;
        }
}

static void fuzz_field(const char *data, size_t size) {
        struct journal_fields f = {};
        struct journal_field x;
        const char *p;

        FUZZ_CHECK(journal_add(&f, "MESSAGE", data, size) == 0);
        FUZZ_CHECK(journal_add_string(&f, "PRIORITY", "6") == 0);
        p = f.data;
        FUZZ_CHECK(journal_next(&p, f.data + f.size, &x) == 1);
        FUZZ_CHECK(x.value_size == size && memcmp(x.value, data, size) == 0);
        FUZZ_CHECK(journal_next(&p, f.data + f.size, &x) == 1);
        FUZZ_CHECK(x.name_size == 8 && x.value_size == 1);
        FUZZ_CHECK(journal_next(&p, f.data + f.size, &x) == 0);
        free(f.data);
}

static void fuzz_encoding(const char *data, size_t size) {
        const char *p = data;
        struct journal_field x;
        int r;

        while ((r = journal_next(&p, data + size, &x)) > 0)
                FUZZ_CHECK(x.value >= data && x.value + x.value_size < data + size && x.name_size > 0);
        FUZZ_CHECK(r == 0 || r == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *copy = fuzz_copy(data, size);

        fuzz_lines(copy, size);
        fuzz_field(copy, size);
        fuzz_encoding(copy, size);
        return 0;
}
