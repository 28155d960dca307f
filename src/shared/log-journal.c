/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue between a program and journald. Called by log.c, and by arbiterd's loop when there is room
 * again. Must never block, and never grow beyond its bounds. */

#include <inttypes.h>
#include <syslog.h>

#include "basic/fd.h"
#include "basic/list.h"
#include "shared/log-journal.h"

#define WAITING_MAX 1024
#define WAITING_SIZE_MAX (512 * 1024)

struct waiting {
        struct list_node waiting;
        size_t size;
        char data[];
};

static struct {
        const char *path; /* NULL: not open */
        const char *identifier;
        int fd;
        struct list_node queue;
        size_t n, size;
        uint64_t n_lost;
        void (*on_wait)(void *userdata);
        void *userdata;
} journal = { .fd = -EBADF };

int log_journal_open(const char *path, const char *identifier) {
        int r;

        if (journal.path)
                return 0;
        r = journal_socket_open(path, &journal.fd);
        if (r < 0)
                return r;
        journal.path = path;
        journal.identifier = identifier;
        list_init(&journal.queue);
        return 0;
}

static void drop_first(void) {
        struct waiting *w = LIST_FIRST(&journal.queue, struct waiting, waiting);

        list_remove(&w->waiting);
        journal.n--;
        journal.size -= w->size;
        free(w);
}

void log_journal_close(void) {
        if (!journal.path)
                return;
        (void) log_journal_flush();
        while (journal.n > 0)
                drop_first();
        journal.path = NULL;
        journal.n_lost = 0;
        if (journal.on_wait)
                journal.on_wait(journal.userdata);
        journal.fd = close_fd(journal.fd);
}

bool log_journal_is_open(void) {
        return journal.path != NULL;
}

bool log_journal_is_waiting(void) {
        return journal.n > 0 || journal.n_lost > 0;
}

int log_journal_fd(void) {
        return journal.fd;
}

void log_journal_on_wait(void (*callback)(void *userdata), void *userdata) {
        journal.on_wait = callback;
        journal.userdata = userdata;
}

/* 0, or -EAGAIN: it has to wait, for room or for another journald. What can never be sent counts as lost. */
static int send_now(const char *data, size_t size) {
        struct iovec iov = { (void *) data, size };
        int r = -EBADF;

        for (unsigned tries = 0; tries < 2; tries++) {
                if (journal.fd < 0 && journal_socket_open(journal.path, &journal.fd) < 0)
                        return -EAGAIN;
                r = journal_socket_send(journal.fd, &iov, 1, NULL);
                if (!journal_socket_is_gone(r))
                        break;
                journal.fd = close_fd(journal.fd);
        }
        if (r == -EAGAIN || journal_socket_is_gone(r))
                return -EAGAIN;
        if (r < 0)
                journal.n_lost++;
        return 0;
}

static int keep(const char *data, size_t size) {
        struct waiting *w;

        if (journal.n >= WAITING_MAX || size > WAITING_SIZE_MAX - journal.size)
                return -ENOBUFS;
        w = malloc(sizeof(*w) + size);
        if (!w)
                return -ENOMEM;
        w->size = size;
        memcpy(w->data, data, size);
        list_append(&journal.queue, &w->waiting);
        journal.n++;
        journal.size += size;
        return 0;
}

static int tell_lost(void) {
        _cleanup_(freep) void *data = NULL;
        struct journal_fields f = {};
        uint64_t n = journal.n_lost;
        int r;

        r = journal_add_format(&f, "PRIORITY", "%d", LOG_WARNING);
        if (r >= 0)
                r = journal_add_string(&f, "SYSLOG_IDENTIFIER", journal.identifier);
        if (r >= 0)
                r = journal_add_format(&f, "MESSAGE",
                                "%" PRIu64
                                " messages of the arbiter have been lost: the journal did not take "
                                "them in time.",
                                n);
        data = f.data;
        if (r >= 0)
                r = send_now(f.data, f.size);
        if (r >= 0)
                journal.n_lost -= n;
        return r;
}

bool log_journal_flush(void) {
        struct waiting *w;

        if (!journal.path)
                return true;
        while ((w = LIST_FIRST(&journal.queue, struct waiting, waiting))) {
                if (send_now(w->data, w->size) < 0)
                        return false;
                drop_first();
        }
        return journal.n_lost == 0 || tell_lost() >= 0;
}

void log_journal_send(const struct journal_fields *f) {
        bool waits;

        /* A descriptor that is closed while it is polled would be another one's by the time that the poll
         * ends. */
        if (log_journal_is_waiting() && journal.on_wait)
                journal.on_wait(journal.userdata);
        else
                (void) log_journal_flush();
        waits = log_journal_is_waiting();
        if (!waits && send_now(f->data, f->size) >= 0)
                return;
        if (keep(f->data, f->size) < 0)
                journal.n_lost++;
        if (!waits && journal.on_wait)
                journal.on_wait(journal.userdata);
}
