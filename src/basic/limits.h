/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Resource limits under systemd's names: LimitNOFILE=1024:4096, LimitCORE=infinity, LimitAS=2G,
 * LimitCPU=10min. */

#include <sys/resource.h>

#include "basic/macro.h"

struct limit {
        bool set;
        struct rlimit value;
};

#define N_LIMITS RLIM_NLIMITS

/* "NOFILE" for RLIMIT_NOFILE; NULL for a number that this version does not know. */
const char *limit_to_string(int resource);
/* "SOFT:HARD" or one value for both. -EINVAL: not of that kind, -ERANGE: does not fit, -EILSEQ: soft above
 * hard. */
int limit_parse(int resource, const char *s, struct rlimit *ret);
/* What values of this limit look like: "a number, infinity, or SOFT:HARD". */
const char *limit_kind(int resource);
