/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The same from C++11: the headers are C++, the symbols are C. */

#include <arbiter/arbiter.h>

#include <cstring>
#include <iostream>

int main() {
        arbiter_message *m = nullptr;
        int r;

        if (std::strcmp(arbiter_version(), ARBITER_VERSION_STRING) != 0) {
                std::cerr << "the library is " << arbiter_version() << "\n";
                return 1;
        }
        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_append(m, "su", "forty-two", 42U);
        if (r < 0 || std::strcmp(arbiter_message_get_signature(m), "su") != 0) {
                std::cerr << "failed: " << r << "\n";
                arbiter_message_unref(m);
                return 1;
        }
        arbiter_message_unref(m);
        std::cout << arbiter_outcome_to_string(ARBITER_OUTCOME_REPLY) << "\n";
        return 0;
}
