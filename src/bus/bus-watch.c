/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* inotify on the directory of a bus's socket, or, while that is not there either, on the nearest one
 * above. Called by client.c while it has no connection: so an arbiter whose bus is away costs nothing,
 * and is back in the moment that the bus is. What it tells is a hint; a socket may be there before
 * somebody listens. */

#include <sys/inotify.h>

#include "bus/bus-watch.h"

struct bus_watch {
        sd_event *event;
        sd_event_source *source;
        char *path, *component; /* what we wait for, and its name in the directory that is watched */
        void (*changed)(void *userdata);
        void *userdata;
};

static int hex(char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

/* The value, whose escapes are those of the D-Bus specification. */
static char *unescape(const char *s) {
        char *result = malloc(strlen(s) + 1), *to = result;

        while (result && *s && *s != ',' && *s != ';') {
                if (s[0] == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
                        *to++ = (char) (hex(s[1]) << 4 | hex(s[2]));
                        s += 3;
                } else
                        *to++ = *s++;
        }
        if (result)
                *to = 0;
        return result;
}

static int arm(struct bus_watch *w);

static int on_event(sd_event_source *s, const struct inotify_event *e, void *userdata) {
        struct bus_watch *w = userdata;
        bool ours = e->len > 0 && w->component && streq(e->name, w->component);

        if (!ours && !(e->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_Q_OVERFLOW)))
                return 0;
        (void) arm(w); /* it may be one directory further down, or up */
        w->changed(w->userdata);
        return 0;
}

/* On the directory of this path. */
static int watch_directory(struct bus_watch *w, char *path) {
        char *slash = strrchr(path, '/');
        sd_event_source *source;
        char *component;
        int r;

        component = strdup(slash + 1);
        if (!component)
                return -ENOMEM;
        *slash = 0;
        r = sd_event_add_inotify(w->event, &source, slash == path ? "/" : path,
                        IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
                        on_event, w);
        if (r < 0) {
                free(component);
                return r;
        }
        (void) sd_event_source_set_description(source, "arbiter-bus-watch");
        sd_event_source_disable_unref(w->source);
        w->source = source;
        free(w->component);
        w->component = component;
        return 0;
}

static int arm(struct bus_watch *w) {
        _cleanup_free_ char *path = strdup(w->path);
        int r = -ENOMEM;

        if (!path)
                return r;
        while (*path) {
                r = watch_directory(w, path);
                if (r >= 0 || (r != -ENOENT && r != -ENOTDIR))
                        break;
        }
        return r;
}

int bus_watch_new(sd_event *event, const char *address, void (*changed)(void *userdata), void *userdata,
                struct bus_watch **ret) {
        static const char key[] = "unix:path=";
        _cleanup_(bus_watch_freep) struct bus_watch *w = NULL;
        const char *at = strstr(address, key);
        int r;

        if (!at || at[strlen(key)] != '/')
                return -EINVAL;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->event = sd_event_ref(event);
        w->changed = changed;
        w->userdata = userdata;
        w->path = unescape(at + strlen(key));
        if (!w->path)
                return -ENOMEM;
        r = arm(w);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

struct bus_watch *bus_watch_free(struct bus_watch *w) {
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->source);
        sd_event_unref(w->event);
        free(w->path);
        free(w->component);
        free(w);
        return NULL;
}
