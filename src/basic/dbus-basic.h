/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* A value of a basic type of D-Bus, as sd_bus_message_read_basic(3) stores it. */
union dbus_basic {
        uint8_t y;
        int b, h;
        int16_t n;
        uint16_t q;
        int32_t i;
        uint32_t u;
        int64_t x;
        uint64_t t;
        double d;
        const char *s; /* and o, g */
};
