/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_VERSION_H
#define ARBITER_VERSION_H

#include <arbiter/_common.h>

ARBITER_BEGIN_DECLARATIONS

/* The version these headers belong to. While it is 0.x, a minor release may change the ABI, and says so. */
#define ARBITER_VERSION_MAJOR 0
#define ARBITER_VERSION_MINOR 1
#define ARBITER_VERSION_MICRO 0
#define ARBITER_VERSION_STRING "0.1.0"

/* What a module must have been built for; raised when struct arbiter_module or arbiter_command changes. */
#define ARBITER_MODULE_ABI 1

/* The version of the library that runs. */
const char *arbiter_version(void);

ARBITER_END_DECLARATIONS

#endif
