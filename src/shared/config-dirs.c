/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The default configuration directories, for arbiterd and for `arbiterctl verify`, so that both look at the
 * same ones. */

#include <stdio.h>

#include "shared/config-dirs.h"
#include "shared/strv.h"

/* $VARIABLE/arbiter, or $HOME/FALLBACK/arbiter; neither set: nothing. */
static int add_home(char ***l, const char *variable, const char *fallback) {
        const char *e = getenv(variable), *home = getenv("HOME");
        char *path = NULL;

        if (e && *e == '/') {
                if (asprintf(&path, "%s/arbiter", e) < 0)
                        path = NULL;
        } else if (fallback && home && *home == '/') {
                if (asprintf(&path, "%s/%s/arbiter", home, fallback) < 0)
                        path = NULL;
        } else
                return 0;
        return strv_take(l, path);
}

int config_directories(bool system, char ***ret) {
        static const char *const of_system[] = {
                "/etc/arbiter",
                "/run/arbiter",
                "/usr/local/lib/arbiter",
                "/usr/lib/arbiter",
        };
        static const char *const of_user[] = {
                "/etc/arbiter/user",
                "/run/arbiter/user",
                "/usr/local/lib/arbiter/user",
                "/usr/lib/arbiter/user",
        };
        _cleanup_strv_free_ char **l = NULL;
        int r = 0;

        if (!system) {
                r = add_home(&l, "XDG_CONFIG_HOME", ".config");
                if (r >= 0)
                        r = add_home(&l, "XDG_RUNTIME_DIR", NULL);
                if (r >= 0)
                        r = add_home(&l, "XDG_DATA_HOME", ".local/share");
        }
        for (size_t i = 0; i < ELEMENTSOF(of_system) && r >= 0; i++)
                r = strv_add(&l, system ? of_system[i] : of_user[i]);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}
