/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signatures: the functions agree with each other, and a valid one is a sequence of complete types. */

#include "fuzz.h"
#include "wire/marshal.h"
#include "wire/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *exact = fuzz_copy(data, size), *s = NULL;
        size_t length = 0, n = 0, i = 0;
        bool valid = signature_is_valid(exact, size);

        s = calloc(1, size + 1);
        FUZZ_CHECK(s);
        memcpy(s, exact, size);
        if (memchr(s, 0, size)) {
                FUZZ_CHECK(!valid);
                size = strlen(s);
                valid = signature_is_valid(s, size);
        }
        FUZZ_CHECK(signature_string_is_valid(s) == valid);
        while (signature_element_length(s + i, &length) >= 0) {
                FUZZ_CHECK(length > 0 && length <= SIGNATURE_MAX && length <= size - i);
                FUZZ_CHECK(signature_is_valid(s + i, length));
                FUZZ_CHECK(signature_next(s + i) == s + i + length);
                FUZZ_CHECK(signature_type_alignment(s[i]) > 0);
                i += length;
                n++;
        }
        FUZZ_CHECK(valid == (i == size && size <= SIGNATURE_MAX));
        FUZZ_CHECK(signature_is_single(s) == (valid && n == 1));
        return 0;
}
