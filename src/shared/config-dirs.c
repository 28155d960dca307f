/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The default configuration directories, for arbiterd and for `arbiterctl verify`, so that both look at the
 * same ones. */

#include <stdio.h>

#include "shared/config-dirs.h"
#include "shared/strv.h"

/* BASE/arbiter, of an instance BASE/arbiter/instance/NAME. */
static int add(char ***l, const char *base, const char *below, const char *instance) {
        char *path;

        if (asprintf(&path, "%s%s%s%s", base, below, instance ? "/instance/" : "", instance ?: "") < 0)
                path = NULL;
        return strv_take(l, path);
}

/* Below $VARIABLE, or $HOME/FALLBACK; neither set: nothing. */
static int add_home(char ***l, const char *variable, const char *fallback, const char *instance) {
        const char *e = getenv(variable), *home = getenv("HOME");
        _cleanup_free_ char *below = NULL;

        if (e && *e == '/')
                return add(l, e, "/arbiter", instance);
        if (!fallback || !home || *home != '/')
                return 0;
        if (asprintf(&below, "/%s/arbiter", fallback) < 0) {
                below = NULL;
                return -ENOMEM;
        }
        return add(l, home, below, instance);
}

int config_directories(bool system, const char *instance, char ***ret) {
        static const char *const bases[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib" };
        _cleanup_strv_free_ char **l = NULL;
        int r = 0;

        if (!system) {
                r = add_home(&l, "XDG_CONFIG_HOME", ".config", instance);
                if (r >= 0)
                        r = add_home(&l, "XDG_RUNTIME_DIR", NULL, instance);
                if (r >= 0)
                        r = add_home(&l, "XDG_DATA_HOME", ".local/share", instance);
        }
        for (size_t i = 0; i < ELEMENTSOF(bases) && r >= 0; i++)
                r = add(&l, bases[i], system ? "/arbiter" : "/arbiter/user", instance);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}
