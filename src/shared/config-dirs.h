/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where configuration is looked for when nobody says: the system's directories, or the user's. */

#include "basic/macro.h"

/* In the order of precedence. system: /etc/arbiter, /run/arbiter, /usr/local/lib/arbiter, /usr/lib/arbiter;
 * else the same below $XDG_CONFIG_HOME, /etc/arbiter/user and so on. instance: NULL, or the NAME of
 * arbiter@NAME.service, which has instance/NAME below each of these. To be freed as a strv. -ENOMEM. */
int config_directories(bool system, const char *instance, char ***ret);
