/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct daemon;

/* Stops what units of actors are left of this instance, and waits for their end: told what fails. */
int unit_sweep(struct daemon *d);
