/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text that is made as printf(3) makes it, to be freed. */

#include <stdarg.h>
#include <stdio.h>

#include "basic/macro.h"

/* NULL: there is no memory. (Of vasprintf() nothing is known then of what it was to fill.) */
static inline char *text_formatv(const char *format, va_list ap) _printf_(1, 0);
static inline char *text_formatv(const char *format, va_list ap) {
        char *text;

        return vasprintf(&text, format, ap) < 0 ? NULL : text;
}
