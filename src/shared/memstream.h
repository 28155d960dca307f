/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "basic/macro.h"

/* Closes a stream of open_memstream(3). 0, or -ENOMEM with *buffer freed and NULL: when a write was lost,
 * and also when glibc, out of memory in fclose(), reports success and leaves no buffer (tried with 2.36). */
static inline int memstream_finish(FILE *f, char **buffer) {
        bool lost = ferror(f) != 0;

        if (fclose(f) == 0 && !lost && *buffer)
                return 0;
        free(*buffer);
        *buffer = NULL;
        return -ENOMEM;
}
