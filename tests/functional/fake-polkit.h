/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A service that answers to polkit's name on the bus of the test, as the test says. */

#include "bus-daemon.h"

enum fake_polkit_answer {
        POLKIT_YES,
        POLKIT_NO,
        POLKIT_CHALLENGE,
        POLKIT_GARBAGE, /* another signature */
        POLKIT_ERROR,
        POLKIT_LATER, /* kept until fake_polkit_answer() */
};

enum { POLKIT_PENDING_MAX = 256 };

struct fake_polkit {
        struct bus_fixture *b;
        sd_bus *bus;
        enum fake_polkit_answer answer;
        unsigned n_asked, n_cancelled, n_pending;
        sd_bus_message *pending[POLKIT_PENDING_MAX];
        char sender[32], action[64], id[64], cancelled[64];
        uint32_t flags;
};

void fake_polkit_start(struct bus_fixture *b, struct fake_polkit *p);
void fake_polkit_stop(struct fake_polkit *p);
/* To the one that has waited longest. */
void fake_polkit_answer(struct fake_polkit *p, enum fake_polkit_answer answer);
