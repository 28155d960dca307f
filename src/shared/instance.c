/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names that follow from the name of an instance. Used by arbiterd for itself and by arbiterctl for the
 * one that it is to talk to, so that both mean the same. Looks at nothing but its arguments and
 * $XDG_RUNTIME_DIR. */

#include <stdio.h>
#include <string.h>

#include "shared/bus-names.h"
#include "shared/instance.h"

#define INSTANCE_NAME_MAX 64

static bool is_alphanumeric(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool instance_is_main(const char *instance) {
        return streq(instance, INSTANCE_SYSTEM) || streq(instance, INSTANCE_USER);
}

bool instance_name_is_valid(const char *name) {
        size_t n = strlen(name);

        if (n == 0 || n > INSTANCE_NAME_MAX || instance_is_main(name))
                return false;
        for (const char *p = name; *p; p++)
                if (!is_alphanumeric(*p) && *p != '_' && (p == name || !strchr(".:-", *p)))
                        return false;
        return true;
}

/* Each character that keep() does not want, as prefix and two hexadecimal digits. */
static char *escape(const char *s, const char *prefix, bool (*keep)(const char *s, const char *p)) {
        char *escaped = malloc(strlen(s) * (strlen(prefix) + 2) + 1), *to = escaped;

        for (const char *p = s; escaped && *p; p++)
                if (keep(s, p))
                        *to++ = *p;
                else
                        to += sprintf(to, "%s%02x", prefix, (unsigned char)*p);
        if (escaped)
                *to = 0;
        return escaped;
}

static bool is_kept_in_unit(const char *s, const char *p) {
        return is_alphanumeric(*p) || *p == '_' || *p == ':' || (*p == '.' && p > s);
}

static bool is_kept_in_label(const char *s, const char *p) {
        return is_alphanumeric(*p) && (p > s || *p < '0' || *p > '9');
}

int instance_bus_name(const char *instance, char **ret) {
        _cleanup_free_ char *label = NULL;
        char *name;

        if (instance_is_main(instance))
                name = strdup(BUS_NAME);
        else {
                label = escape(instance, "_", is_kept_in_label);
                if (!label || asprintf(&name, BUS_NAME ".%s", label) < 0)
                        name = NULL;
        }
        if (!name)
                return -ENOMEM;
        *ret = name;
        return 0;
}

int instance_unit_name(const char *instance, const char *rest, char **ret) {
        _cleanup_free_ char *escaped = escape(instance, "\\x", is_kept_in_unit);
        char *name;

        if (!escaped || asprintf(&name, "arbiter-%s%s", escaped, rest) < 0)
                return -ENOMEM;
        *ret = name;
        return 0;
}

int instance_service_name(const char *instance, char **ret) {
        char *name;

        if (instance_is_main(instance))
                name = strdup("arbiter.service");
        else if (asprintf(&name, "arbiter@%s.service", instance) < 0)
                name = NULL;
        if (!name)
                return -ENOMEM;
        *ret = name;
        return 0;
}

static const char *runtime_base(bool system) {
        const char *base = system ? "/run" : getenv("XDG_RUNTIME_DIR");

        return base && *base == '/' ? base : NULL;
}

int instance_runtime_directory(const char *instance, bool system, char **ret) {
        const char *base = runtime_base(system);
        bool is_main = instance_is_main(instance);
        char *path;

        if (!base)
                return -ENXIO;
        if (asprintf(&path, "%s/arbiter%s%s", base, is_main ? "" : "-", is_main ? "" : instance) < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}

int instance_keeper_socket(const char *instance, bool system, char **ret) {
        const char *base = runtime_base(system);
        char *path;

        if (!base)
                return -ENXIO;
        if (asprintf(&path, "%s/arbiter.keeper/%s/socket", base, instance) < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}

int instance_keeper_units(const char *socket, char **ret) {
        const char *end = strrchr(socket, '/');
        char *path;

        if (asprintf(&path, "%.*sunits", end ? (int) (end + 1 - socket) : 0, socket) < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}
