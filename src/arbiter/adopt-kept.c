/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was kept for a re-adoption: descriptors, by life and kind. They come in before the start
 * (arbiter_add_kept()), adopt-child.c and relink.c take what they can use, and the rest is
 * forgotten. */

#include "arbiter/adoption.h"
#include "arbiter/relink.h"
#include "basic/fd.h"

struct kept *adopt_kept(arbiter *a, const aid *id) {
        return a->kept ? map_get(a->kept, id->c, AID_SIZE) : NULL;
}

static int make_kept(arbiter *a, const aid *id, struct kept **ret) {
        struct kept *k = adopt_kept(a, id);
        int r;

        if (k) {
                *ret = k;
                return 0;
        }
        r = a->kept ? 0 : map_new(&a->kept);
        if (r < 0)
                return r;
        k = calloc(1, sizeof(*k));
        if (!k)
                return -ENOMEM;
        *k = (struct kept){ .id = *id, .pidfd = -EBADF, .notify_fd = -EBADF };
        r = map_put(a->kept, id->c, AID_SIZE, k);
        if (r < 0) {
                free(k);
                return r;
        }
        *ret = k;
        return 0;
}

static void free_kept(void *p) {
        struct kept *k = p;

        close_fd(k->pidfd);
        close_fd(k->notify_fd);
        for (size_t i = 0; i < k->n_links; i++)
                close_fd(k->links[i].fd);
        free(k->links);
        free(k);
}

void adopt_free_kept(arbiter *a) {
        map_free(a->kept, free_kept);
        a->kept = NULL;
}

static int add_link(struct kept *k, unsigned number, int fd) {
        struct kept_link *links;
        size_t i = k->n_links;

        while (i > 0 && k->links[i - 1].number > number)
                i--;
        if (i > 0 && k->links[i - 1].number == number)
                return -EEXIST;
        if (k->n_links == KEPT_LINKS_MAX)
                return -E2BIG;
        links = reallocarray(k->links, k->n_links + 1, sizeof(*links));
        if (!links)
                return -ENOMEM;
        k->links = links;
        memmove(links + i + 1, links + i, (k->n_links++ - i) * sizeof(*links));
        links[i] = (struct kept_link){ .number = number, .fd = fd };
        return 0;
}

static int add_only(int *place, int fd) {
        if (*place >= 0)
                return -EEXIST;
        *place = fd;
        return 0;
}

/* "p.AID", "u.AID", "n.AID", "c.AID", "c.AID.2" */
static int parse_name(const char *name, aid *ret_id, unsigned *ret_number) {
        *ret_number = 1;
        if (name[0] == 'c')
                return child_link_parse_name(name, ret_id, ret_number);
        return (name[0] == 'p' || name[0] == 'u' || name[0] == 'n') && name[1] == '.'
                               ? aid_parse(name + 2, ret_id)
                               : -EINVAL;
}

_public_ int arbiter_add_kept(arbiter *a, const char *name, int fd) {
        struct kept *k;
        unsigned number;
        aid id;
        int r;

        if (!a || !name || fd < 0)
                return -EINVAL;
        if (a->started)
                return -EBUSY;
        if (streq(name, MAILBOX_SOCKET_KEPT))
                return mailbox_socket_adopt(a, fd);
        r = parse_name(name, &id, &number);
        if (r < 0 || aid_equal(&id, &AID_ARBITER))
                return -ENOENT;
        r = make_kept(a, &id, &k);
        if (r < 0)
                return r;
        if (name[0] == 'c')
                return add_link(k, number, fd);
        return add_only(name[0] == 'n' ? &k->notify_fd : &k->pidfd, fd);
}

void adopt_forget_link(arbiter *a, const aid *id, unsigned number) {
        char name[CHILD_LINK_NAME_SIZE];

        child_link_format_name(id, number, name);
        (void) arbiter_keep(a, name, -EBADF);
}

void adopt_forget_kept(arbiter *a) {
        void *position = NULL;
        struct kept *k;

        while (a->kept && (k = map_next(a->kept, &position))) {
                if (map_get(a->by_aid, k->id.c, AID_SIZE))
                        continue;
                if (k->pidfd >= 0) {
                        launch_keep(a, 'p', &k->id, -EBADF);
                        launch_keep(a, 'u', &k->id, -EBADF);
                }
                if (k->notify_fd >= 0)
                        launch_keep(a, 'n', &k->id, -EBADF);
                for (size_t i = 0; i < k->n_links; i++)
                        adopt_forget_link(a, &k->id, k->links[i].number);
        }
        adopt_free_kept(a);
}
