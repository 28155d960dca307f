/* SPDX-License-Identifier: MIT-0 */
/* words: a module that counts the words of files as "wc -w" of Debian 12 does in the C.UTF-8 locale.
 * Counting is done by the actor's thread pool, so that it answers ping, info, stop and further requests
 * while it counts a file of gigabytes; a module that did it in the handler would be deaf for as long.
 * arbiterd runs it (words.monitor), and so does wordcount.c. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define BUFFER_SIZE (128 * 1024)

struct job {
        locale_t locale;
        arbiter_message *message; /* the promise to answer it */
        int fd;
        uint64_t n_words, n_bytes;
};

/* What is carried from one buffer to the next. */
struct scan {
        bool in_word;
        mbstate_t state;
};

/* White space ends a word, what can be printed is part of one, and everything else changes nothing. */
static bool is_separator(wint_t c) {
        return iswspace(c) || c == 0x00a0 || c == 0x2007 || c == 0x202f || c == 0x2060;
}

static uint64_t scan_character(struct scan *s, wint_t c) {
        bool space = c < 0x80 ? c == ' ' || (c >= '\t' && c <= '\r') : iswprint(c) && is_separator(c);

        if (space) {
                uint64_t n = s->in_word;

                s->in_word = false;
                return n;
        }
        if (c < 0x80 ? c > ' ' && c < 0x7f : iswprint(c))
                s->in_word = true;
        return 0;
}

/* A character that the end of the buffer cuts in two is kept in s->state. */
static uint64_t scan_buffer(struct scan *s, const char *p, size_t size) {
        uint64_t n = 0;

        while (size > 0) {
                wchar_t c = (unsigned char) *p;
                size_t length = 1;

                if (c >= 0x80 || !mbsinit(&s->state)) {
                        length = mbrtowc(&c, p, size, &s->state);
                        if (length == (size_t) -2)
                                break;
                        if (length == (size_t) -1) { /* no character: skipped */
                                s->state = (mbstate_t){};
                                p++, size--;
                                continue;
                        }
                        if (length == 0)
                                length = 1;
                }
                n += scan_character(s, (wint_t) c);
                p += length;
                size -= length;
        }
        return n;
}

/* In a thread of the pool: it may block and compute, and must not touch the actor. */
static int count_file(struct job *j) {
        char *buffer = malloc(BUFFER_SIZE);
        struct scan s = {};
        ssize_t n;

        if (!buffer)
                return -ENOMEM;
        while ((n = read(j->fd, buffer, BUFFER_SIZE)) > 0) {
                if (arbiter_work_is_cancelled()) { /* the actor ends: it would wait for the last byte */
                        free(buffer);
                        return -ECANCELED;
                }
                j->n_bytes += (uint64_t) n;
                j->n_words += scan_buffer(&s, buffer, (size_t) n);
        }
        j->n_words += s.in_word;
        free(buffer);
        return n < 0 ? -errno : 0;
}

static int work(void *userdata) {
        struct job *j = userdata;
        locale_t old = uselocale(j->locale); /* of this thread only */
        int r = count_file(j);

        uselocale(old);
        return r;
}

static struct job *job_free(struct job *j) {
        if (!j)
                return NULL;
        arbiter_message_unref(j->message);
        close(j->fd);
        free(j);
        return NULL;
}

/* Back on the actor's loop. */
static void on_counted(arbiter_future *f, void *userdata) {
        struct job *j = userdata;

        if (arbiter_future_get_reply(f, NULL) < 0)
                arbiter_message_reply_error(j->message, arbiter_future_get_error_name(f),
                                arbiter_future_get_error_text(f));
        else
                arbiter_message_reply(j->message, "tt", j->n_words, j->n_bytes);
        job_free(j);
}

static int open_file(const char *path) {
        struct stat st;
        int fd;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not hold us up */
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) >= 0 && S_ISREG(st.st_mode))
                return fd;
        close(fd);
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

static int count(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        const char *path;
        struct job *j;
        int fd, r;

        r = arbiter_message_read(m, "s", &path);
        if (r < 0)
                return r;
        fd = open_file(path);
        if (fd < 0)
                return arbiter_message_reply_errno(m, fd);
        j = calloc(1, sizeof(*j));
        if (!j) {
                close(fd);
                return -ENOMEM;
        }
        j->locale = userdata;
        j->fd = fd;
        j->message = arbiter_message_ref(m);
        r = arbiter_actor_run_in_thread(a, work, j, &f);
        if (r < 0) {
                job_free(j);
                return r;
        }
        /* out of memory: the job is lost, but its thread may still use it */
        return arbiter_future_then(f, on_counted, j);
}

static int start(arbiter_actor *a, void *userdata) {
        locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);

        if (!locale)
                return -errno;
        arbiter_actor_set_userdata(a, locale);
        return 0;
}

static void leave(arbiter_actor *a, void *userdata) {
        if (userdata)
                freelocale(userdata);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("count", "s", "path", "tt", "words bytes", count, 0),
        ARBITER_COMMANDS_END,
};

ARBITER_MODULE(.name = "words", .description = "Counts the words of files", .commands = commands,
               .start = start, .exit = leave);
