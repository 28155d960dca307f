/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a sealed message: a cursor over D-Bus bytes. Called by users' code. The body was validated when
 * it arrived (or was made by message-append.c), so only bounds are checked here. Must never change the
 * body, and leaves the cursor where it was when it fails. */

#include "wire/message-private.h"

/* A va_list that nested calls share. */
struct arguments {
        va_list ap;
};

struct savepoint {
        struct message_frame frame;
        uint32_t cursor;
        unsigned depth;
};

static struct savepoint save(const arbiter_message *m) {
        return (struct savepoint){ m->p.frame, m->p.cursor, m->p.depth };
}

static void restore(arbiter_message *m, const struct savepoint *s) {
        m->p.frame = s->frame;
        m->p.cursor = s->cursor;
        m->p.depth = s->depth;
}

static inline bool at_end(const arbiter_message *m) {
        const struct message_frame *f = &m->p.frame;

        return f->type == 'a' ? m->p.cursor >= f->end : f->index >= f->length;
}

static inline const char *next_type(const arbiter_message *m) {
        return frame_signature(m, &m->p.frame) + m->p.frame.index;
}

static inline void advance(arbiter_message *m, size_t length) {
        if (m->p.frame.type != 'a')
                m->p.frame.index = (uint8_t) (m->p.frame.index + length);
}

/* Aligns *position and moves it over size bytes, which start at *ret. */
static inline int take(
                const arbiter_message *m, size_t *position, size_t alignment, size_t size, size_t *ret) {
        size_t start = ALIGN_TO(*position, alignment), end = m->p.frame.end;

        if (start > end || size > end - start)
                return -EBADMSG;
        *position = start + size;
        *ret = start;
        return 0;
}

/* The string of a type s, o or g. */
static int take_string(const arbiter_message *m, size_t *position, char type, const char **ret) {
        size_t start, length, width = type == 'g' ? 1 : sizeof(uint32_t);
        int r;

        r = take(m, position, width, width, &start);
        if (r < 0)
                return r;
        length = type == 'g' ? m->body[start] : load_u32(m->body + start);
        r = take(m, position, 1, length + 1, &start);
        if (r < 0)
                return r;
        *ret = (const char *) m->body + start;
        return 0;
}

/* The length of an array; *position is then at its first element. */
static int take_array(const arbiter_message *m, size_t *position, char element, size_t *ret_size) {
        size_t start, size;
        int r;

        r = take(m, position, 4, 4, &start);
        if (r < 0)
                return r;
        size = load_u32(m->body + start);
        r = take(m, position, type_info(element)->alignment, 0, &start);
        if (r < 0)
                return r;
        if (size > m->p.frame.end - start)
                return -EBADMSG;
        *ret_size = size;
        return 0;
}

static inline void store_fixed(void *to, const uint8_t *from, size_t size) {
        switch (size) { /* constant sizes make moves of what would be calls */
        case 1:
                memcpy(to, from, 1);
                break;
        case 2:
                memcpy(to, from, 2);
                break;
        case 4:
                memcpy(to, from, 4);
                break;
        default:
                memcpy(to, from, 8);
        }
}

/* Reads the next value, whose type is known to be this one. */
static inline int read_basic(arbiter_message *m, char type, void *ret) {
        const struct type_info *info = type_info(type);
        size_t position = m->p.cursor, start;
        const char *string;
        int r;

        if (info->size == 0) {
                r = take_string(m, &position, type, &string);
                if (r < 0)
                        return r;
                if (ret)
                        *(const char **) ret = string;
        } else {
                r = take(m, &position, info->alignment, info->size, &start);
                if (r < 0)
                        return r;
                if (type == 'h') {
                        uint32_t i = load_u32(m->body + start);

                        if (i >= m->envelope.n_fds)
                                return -EBADMSG;
                        if (ret)
                                *(int *) ret = m->fds[i];
                } else if (ret)
                        store_fixed(ret, m->body + start, info->size);
        }
        m->p.cursor = (uint32_t) position;
        advance(m, 1);
        return 1;
}

_public_ int arbiter_message_read_basic(arbiter_message *m, char type, void *ret) {
        if (!m->sealed)
                return -EPERM;
        if (!type_info(type)->basic)
                return -EINVAL;
        if (at_end(m))
                return 0;
        if (*next_type(m) != type)
                return -ENXIO;
        return read_basic(m, type, ret);
}

_public_ int arbiter_message_read_array(arbiter_message *m, char type, const void **ret, size_t *ret_size) {
        size_t position = m->p.cursor, size;
        int r;

        if (!m->sealed)
                return -EPERM;
        if (!type_info(type)->trivial)
                return -EINVAL;
        if (at_end(m))
                return 0;
        if (next_type(m)[0] != 'a' || next_type(m)[1] != type)
                return -ENXIO;
        r = take_array(m, &position, type, &size);
        if (r < 0)
                return r;
        *ret = m->body + position;
        *ret_size = size;
        m->p.cursor = (uint32_t) (position + size);
        advance(m, 2);
        return 1;
}

/* The frame for the container that is next, whose type code is 'a', 'v', 'r' or 'e'; its contents are
 * still to be reached: *ret_position. */
static int describe_container(const arbiter_message *m, struct message_frame *ret, size_t *ret_position) {
        const struct message_frame *f = &m->p.frame;
        const char *type = next_type(m), *contents;
        struct message_frame inner = {
                        .in_body = f->in_body, .signature = f->signature + f->index + 1, .end = f->end};
        size_t position = m->p.cursor, start, size;
        int r;

        switch (*type) {
        case 'a':
                r = take_array(m, &position, type[1], &size);
                if (r < 0)
                        return r;
                inner.type = 'a';
                inner.length = (uint8_t) (signature_next(type) - type - 1);
                inner.end = (uint32_t) (position + size);
                break;
        case 'v':
                r = take_string(m, &position, 'g', &contents);
                if (r < 0)
                        return r;
                inner.type = 'v';
                inner.in_body = true;
                inner.signature = (uint32_t) (contents - (const char *) m->body);
                inner.length = (uint8_t) (position - inner.signature - 1);
                break;
        default:
                r = take(m, &position, 8, 0, &start);
                if (r < 0)
                        return r;
                inner.type = *type == '(' ? 'r' : 'e';
                inner.length = (uint8_t) (signature_next(type) - type - 2);
        }
        inner.begin = (uint32_t) position;
        *ret = inner;
        *ret_position = position;
        return 0;
}

static char container_code(char c) {
        return c == '(' ? 'r' : c == '{' ? 'e' : c;
}

_public_ int arbiter_message_enter_container(arbiter_message *m, char type, const char *contents) {
        struct message_frame inner;
        size_t position;
        int r;

        if (!m->sealed)
                return -EPERM;
        if (type != 'a' && type != 'v' && type != 'r' && type != 'e')
                return -EINVAL;
        if (at_end(m))
                return 0;
        if (container_code(*next_type(m)) != type)
                return -ENXIO;
        r = describe_container(m, &inner, &position);
        if (r < 0)
                return r;
        if (contents && (strnlen(contents, SIGNATURE_MAX + 1) != inner.length ||
                                        memcmp(contents, frame_signature(m, &inner), inner.length) != 0))
                return -ENXIO;
        r = message_push(m, &inner);
        if (r < 0)
                return r;
        m->p.cursor = (uint32_t) position;
        return 1;
}

_public_ int arbiter_message_exit_container(arbiter_message *m) {
        const char *type;

        if (!m->sealed)
                return -EPERM;
        if (m->p.depth == 0)
                return -ENXIO;
        if (!at_end(m))
                return -EBUSY;
        message_pop(m);
        type = next_type(m);
        advance(m, (size_t) (signature_next(type) - type));
        return 1;
}

_public_ int arbiter_message_peek_type(arbiter_message *m, char *ret_type, const char **ret_contents) {
        const char *contents = NULL;
        char type = 0;
        int r;

        if (!m->sealed)
                return -EPERM;
        if (!at_end(m)) {
                type = container_code(*next_type(m));
                if (!type_info(type)->basic) {
                        struct message_frame inner;
                        size_t position;

                        r = describe_container(m, &inner, &position);
                        if (r < 0)
                                return r;
                        r = message_need_stack(m);
                        if (r < 0)
                                return r;
                        memcpy(m->p.stack->contents, frame_signature(m, &inner), inner.length);
                        m->p.stack->contents[inner.length] = 0;
                        contents = m->p.stack->contents;
                }
        }
        if (ret_type)
                *ret_type = type;
        if (ret_contents)
                *ret_contents = contents;
        return type != 0;
}

static int skip_value(const arbiter_message *m, const char *type, size_t *position) {
        const struct type_info *info = type_info(*type);
        const char *string;
        size_t start, size;
        int r;

        if (info->size > 0)
                return take(m, position, info->alignment, info->size, &start);
        if (info->basic)
                return take_string(m, position, *type, &string);
        if (*type == 'a') {
                r = take_array(m, position, type[1], &size);
                if (r >= 0)
                        *position += size;
                return r;
        }
        if (*type == 'v') {
                r = take_string(m, position, 'g', &string);
                return r < 0 ? r : skip_value(m, string, position);
        }
        r = take(m, position, 8, 0, &start);
        for (const char *t = type + 1; r >= 0 && *t != ')' && *t != '}'; t = signature_next(t))
                r = skip_value(m, t, position);
        return r;
}

/* Skips the next value, which there is. */
static int skip_next(arbiter_message *m) {
        const char *type = next_type(m);
        size_t position = m->p.cursor;
        int r;

        r = skip_value(m, type, &position);
        if (r < 0)
                return r;
        m->p.cursor = (uint32_t) position;
        advance(m, (size_t) (signature_next(type) - type));
        return 1;
}

_public_ int arbiter_message_skip(arbiter_message *m, const char *signature) {
        struct savepoint s = save(m);
        int r = 0;

        if (!m->sealed)
                return -EPERM;
        if (!signature)
                return at_end(m) ? 0 : skip_next(m);
        if (!message_types_are_valid(signature, strnlen(signature, SIGNATURE_MAX + 1)))
                return -EINVAL;

        for (const char *t = signature, *next; *t; t = next) {
                next = signature_next(t);
                if (at_end(m))
                        r = t == signature ? 0 : -ENXIO;
                else if (strncmp(next_type(m), t, (size_t) (next - t)) != 0)
                        r = -ENXIO;
                else
                        r = skip_next(m);
                if (r <= 0)
                        break;
        }
        if (r < 0)
                restore(m, &s);
        return r;
}

_public_ int arbiter_message_rewind(arbiter_message *m, bool complete) {
        if (!m->sealed)
                return -EPERM;
        if (complete)
                message_rewind_all(m);
        else {
                m->p.frame.index = 0;
                m->p.cursor = m->p.frame.begin;
        }
        return 0;
}

_public_ int arbiter_message_at_end(arbiter_message *m, bool complete) {
        if (!m->sealed)
                return -EPERM;
        return at_end(m) && (!complete || m->p.depth == 0);
}

static int read_value(arbiter_message *m, const char *type, size_t length, struct arguments *a, bool dry);

/* The complete types of signature, one after the other; of none but the first may it be that there is no
 * more. */
static int read_values(
                arbiter_message *m, const char *signature, size_t length, struct arguments *a, bool dry) {
        int r = 1;

        for (const char *t = signature, *next; t < signature + length; t = next) {
                next = type_info(*t)->basic ? t + 1 : signature_next(t);
                r = read_value(m, t, (size_t) (next - t), a, dry);
                if (r == 0 && t != signature)
                        return -ENXIO;
                if (r <= 0)
                        return r;
        }
        return r;
}

static int read_container(
                arbiter_message *m, const char *type, size_t length, struct arguments *a, bool dry) {
        char code = container_code(*type), contents[SIGNATURE_MAX + 1];
        unsigned n = code == 'a' ? va_arg(a->ap, unsigned) : 1;
        int r;

        if (code == 'v') {
                const char *s = va_arg(a->ap, const char *);

                if (!s || !signature_is_single(s))
                        return -EINVAL;
                length = strlen(s);
                memcpy(contents, s, length);
        } else {
                length -= code == 'a' ? 1 : 2;
                memcpy(contents, type + 1, length);
        }
        contents[length] = 0;

        r = arbiter_message_enter_container(m, code, contents);
        if (r <= 0)
                return r;
        for (unsigned i = 0; i < n; i++) {
                r = read_values(m, contents, length, a, dry);
                if (r <= 0)
                        return r < 0 ? r : -ENXIO;
        }
        return arbiter_message_exit_container(m);
}

static int read_value(arbiter_message *m, const char *type, size_t length, struct arguments *a, bool dry) {
        void *p;

        if (!type_info(*type)->basic)
                return read_container(m, type, length, a, dry);
        p = va_arg(a->ap, void *);
        return arbiter_message_read_basic(m, *type, dry ? NULL : p);
}

/* The usual case: all of a message that has not been read yet, and no containers. The body is known to be
 * what its signature says, so that nothing can fail half-way. */
static bool is_all_and_basic(const arbiter_message *m, const char *signature, size_t length) {
        if (m->p.depth > 0 || m->p.cursor > 0 || m->p.frame.index > 0 || length == 0 ||
            length != m->envelope.signature_length || memcmp(signature, m->envelope.signature, length) != 0)
                return false;
        for (size_t i = 0; i < length; i++)
                if (!type_info(signature[i])->basic)
                        return false;
        return true;
}

static int read_some(arbiter_message *m, const char *signature, size_t length, va_list ap) {
        struct savepoint s = save(m);
        struct arguments a;
        int r;

        if (!message_types_are_valid(signature, length))
                return -EINVAL;

        /* Outputs stay untouched on failure: what could fail half-way is tried without writing first. */
        if (length != 1) {
                va_copy(a.ap, ap);
                r = read_values(m, signature, length, &a, true);
                va_end(a.ap);
                restore(m, &s);
                if (r <= 0)
                        return r;
        }
        va_copy(a.ap, ap);
        r = read_values(m, signature, length, &a, false);
        va_end(a.ap);
        if (r < 0)
                restore(m, &s);
        return r;
}

_public_ int arbiter_message_readv(arbiter_message *m, const char *signature, va_list ap) {
        size_t length = strnlen(signature, SIGNATURE_MAX + 1);
        struct arguments a;
        int r;

        if (!m->sealed)
                return -EPERM;
        if (!is_all_and_basic(m, signature, length))
                return read_some(m, signature, length, ap);
        va_copy(a.ap, ap);
        r = read_values(m, signature, length, &a, false);
        va_end(a.ap);
        return r;
}

_public_ int arbiter_message_read(arbiter_message *m, const char *signature, ...) {
        va_list ap;
        int r;

        va_start(ap, signature);
        r = arbiter_message_readv(m, signature, ap);
        va_end(ap);
        return r;
}
