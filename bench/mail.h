/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The actors of bench/roll, for a program with an arbiter inside; as modules they are in bench-mail.so. A
 * worker answers "work" at once and "later" after a while, without being blocked meanwhile. A sender (it has
 * the parameters "target" and "rate", and if it is to send to TARGET.1 to TARGET.N in turn by their
 * names, and not to that of the pool, "workers") sends so many a second, from "begin" on. "report" says what
 * has become of them since the one before; "rest" ends it, and does so when all have been answered. */

#include <arbiter/arbiter.h>

extern const arbiter_module mail_actor;
