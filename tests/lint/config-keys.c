/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints all directives of the configuration, a section and a key a line. Called by check-man, which looks
 * for them in the manual pages. */

#include <stdio.h>

#include "arbiterd/config.h"

int main(void) {
        const char *section, *key;

        for (unsigned i = 0; config_key(i, &section, &key); i++)
                (void) printf("%s %s\n", section, key);
        return 0;
}
