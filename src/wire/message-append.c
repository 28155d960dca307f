/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling a message: values to D-Bus bytes. Called by users' code, mostly through
 * arbiter_message_append(). Each function that fails leaves body, signature and descriptors as they were.
 * Must never write what body_validate() would refuse. */

#include "basic/fd.h"
#include "wire/message-private.h"

/* A va_list that nested calls share. */
struct arguments {
        va_list ap;
};

struct savepoint {
        struct message_frame frame;
        uint32_t size;
        uint8_t signature_length, n_fds;
};

static struct savepoint save(const arbiter_message *m) {
        return (struct savepoint){
                .frame = m->p.frame,
                .size = m->envelope.body_size,
                .signature_length = m->envelope.signature_length,
                .n_fds = m->envelope.n_fds,
        };
}

static int roll_back(arbiter_message *m, const struct savepoint *s, int error) {
        m->p.frame = s->frame;
        m->envelope.body_size = s->size;
        m->envelope.signature_length = s->signature_length;
        m->p.signature[s->signature_length] = 0;
        if (m->envelope.n_fds > s->n_fds)
                close_many(m->fds + s->n_fds, (size_t) m->envelope.n_fds - s->n_fds);
        m->envelope.n_fds = s->n_fds;
        return error;
}

static _noinline_ int grow(arbiter_message *m, size_t size) {
        size_t allocated = m->p.body_allocated > 0 ? m->p.body_allocated : MESSAGE_INLINE_BODY;
        uint8_t *p;

        while (allocated < size)
                allocated *= 2;
        p = realloc(m->p.body_allocated > 0 ? m->body : NULL, allocated);
        if (!p)
                return -ENOMEM;
        if (m->p.body_allocated == 0)
                memcpy(p, m->p.inline_body, m->envelope.body_size);
        m->body = p;
        m->p.body_allocated = (uint32_t) allocated;
        return 0;
}

/* Grows the body by padding (zeroed) and size bytes. */
static inline int reserve(arbiter_message *m, size_t alignment, size_t size, uint8_t **ret) {
        size_t old = m->envelope.body_size, start = ALIGN_TO(old, alignment);
        int r;

        if (start > m->p.frame.end || size > m->p.frame.end - start)
                return -EMSGSIZE;
        if (start + size > MAX(m->p.body_allocated, (size_t) MESSAGE_INLINE_BODY)) {
                r = grow(m, start + size);
                if (r < 0)
                        return r;
        }
        while (old < start)
                m->body[old++] = 0;
        m->envelope.body_size = (uint32_t) (start + size);
        *ret = m->body + start;
        return 0;
}

/* Takes the complete type from what the innermost open container still wants; at the top, the message's
 * signature grows by it. */
static inline int expect(arbiter_message *m, const char *type, size_t length) {
        struct message_frame *f = &m->p.frame;

        if (m->p.depth == 0) {
                size_t old = m->envelope.signature_length;

                if (*type == '{')
                        return -ENXIO;
                if (old + length > SIGNATURE_MAX)
                        return -E2BIG;
                memcpy(m->p.signature + old, type, length);
                m->p.signature[old + length] = 0;
                m->envelope.signature_length = (uint8_t) (old + length);
                return 0;
        }
        if ((size_t) f->length - f->index < length ||
                        memcmp(frame_signature(m, f) + f->index, type, length) != 0)
                return -ENXIO;
        if (f->type != 'a')
                f->index = (uint8_t) (f->index + length);
        return 0;
}

static int write_string(arbiter_message *m, char type, const char *s, size_t length) {
        uint8_t *p;
        int r;

        r = reserve(m, 4, sizeof(uint32_t) + length + 1, &p);
        if (r < 0)
                return r;
        if (!(type == 's' ? string_is_valid(s, length) : object_path_is_valid(s, length)))
                return -EINVAL;
        store_u32(p, (uint32_t) length);
        memcpy(p + sizeof(uint32_t), s, length);
        p[sizeof(uint32_t) + length] = 0;
        return 0;
}

static int write_signature(arbiter_message *m, const char *s, size_t length) {
        uint8_t *p;
        int r;

        if (!signature_is_valid(s, length))
                return -EINVAL;
        r = reserve(m, 1, length + 2, &p);
        if (r < 0)
                return r;
        p[0] = (uint8_t) length;
        memcpy(p + 1, s, length);
        p[1 + length] = 0;
        return 0;
}

static int write_fd(arbiter_message *m, int fd) {
        uint8_t *p;
        int copy, r;

        if (m->envelope.n_fds >= MESSAGE_FDS_MAX)
                return -E2BIG;
        if (m->envelope.n_fds >= m->p.n_fds_allocated) {
                uint8_t n = (uint8_t) MAX(4, 2 * m->p.n_fds_allocated);
                int *fds = realloc(m->fds, n * sizeof(int));

                if (!fds)
                        return -ENOMEM;
                m->fds = fds;
                m->p.n_fds_allocated = n;
        }
        r = reserve(m, 4, sizeof(uint32_t), &p);
        if (r < 0)
                return r;
        copy = fd_duplicate(fd);
        if (copy < 0)
                return copy;
        store_u32(p, m->envelope.n_fds);
        m->fds[m->envelope.n_fds++] = copy;
        return 0;
}

static int write_basic(arbiter_message *m, char type, const void *value) {
        const struct type_info *info = type_info(type);
        uint8_t *p;
        int r;

        if (type == 's' || type == 'g') {
                const char *s = value ?: "";

                return type == 's' ? write_string(m, type, s, strlen(s)) :
                                     write_signature(m, s, strnlen(s, SIGNATURE_MAX + 1));
        }
        if (!value)
                return -EINVAL;
        if (type == 'o')
                return write_string(m, type, value, strlen(value));
        if (type == 'h')
                return write_fd(m, *(const int *) value);

        r = reserve(m, info->alignment, info->size, &p);
        if (r < 0)
                return r;
        if (type == 'b')
                store_u32(p, *(const int *) value != 0);
        else
                memcpy(p, value, info->size);
        return 0;
}

static int write_argument(arbiter_message *m, char type, struct arguments *a) {
        union {
                uint8_t y;
                uint16_t q;
                uint32_t u;
                uint64_t t;
                double d;
                int i;
        } v;

        switch (type) {
        case 'y':
                v.y = (uint8_t) va_arg(a->ap, int);
                break;
        case 'n':
        case 'q':
                v.q = (uint16_t) va_arg(a->ap, int);
                break;
        case 'b':
        case 'i':
        case 'h':
                v.i = va_arg(a->ap, int);
                break;
        case 'u':
                v.u = va_arg(a->ap, uint32_t);
                break;
        case 'x':
        case 't':
                v.t = va_arg(a->ap, uint64_t);
                break;
        case 'd':
                v.d = va_arg(a->ap, double);
                break;
        default: /* s o g */
                return write_basic(m, type, va_arg(a->ap, const char *));
        }
        return write_basic(m, type, &v);
}

struct array {
        uint32_t length_at, begin, outer_end;
};

static int begin_array(arbiter_message *m, char element, struct array *ret) {
        struct array a = { .outer_end = m->p.frame.end };
        uint8_t *p;
        int r;

        r = reserve(m, 4, sizeof(uint32_t), &p);
        if (r < 0)
                return r;
        store_u32(p, 0);
        a.length_at = m->envelope.body_size - (uint32_t) sizeof(uint32_t);
        r = reserve(m, type_info(element)->alignment, 0, &p); /* also before no element at all */
        if (r < 0)
                return r;
        a.begin = m->envelope.body_size;
        m->p.frame.end = MIN(a.outer_end, a.begin + ARRAY_SIZE_MAX);
        *ret = a;
        return 0;
}

static void end_array(arbiter_message *m, const struct array *a) {
        store_u32(m->body + a->length_at, m->envelope.body_size - a->begin);
        m->p.frame.end = a->outer_end;
}

static int write_value(arbiter_message *m, const char *type, struct arguments *a, unsigned depth);

static int write_array(arbiter_message *m, const char *element, struct arguments *a, unsigned depth) {
        unsigned n = va_arg(a->ap, unsigned);
        struct array array;
        int r;

        r = begin_array(m, *element, &array);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < n; i++) {
                r = write_value(m, element, a, depth);
                if (r < 0)
                        return r;
        }
        end_array(m, &array);
        return 0;
}

static int write_variant(arbiter_message *m, struct arguments *a, unsigned depth) {
        const char *s = va_arg(a->ap, const char *);
        int r;

        if (!s || !signature_is_single(s))
                return -EINVAL;
        r = write_signature(m, s, strlen(s));
        if (r < 0)
                return r;
        return write_value(m, s, a, depth);
}

/* s is behind the opening bracket. */
static int write_members(arbiter_message *m, const char *s, struct arguments *a, unsigned depth) {
        uint8_t *p;
        int r;

        r = reserve(m, 8, 0, &p);
        if (r < 0)
                return r;
        for (; *s != ')' && *s != '}'; s = signature_next(s)) {
                r = write_value(m, s, a, depth);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int write_value(arbiter_message *m, const char *type, struct arguments *a, unsigned depth) {
        if (type_info(*type)->basic)
                return write_argument(m, *type, a);
        if (depth >= BODY_DEPTH_MAX)
                return -E2BIG;
        if (*type == 'a')
                return write_array(m, type + 1, a, depth + 1);
        if (*type == 'v')
                return write_variant(m, a, depth + 1);
        return write_members(m, type + 1, a, depth + 1);
}

_public_ int arbiter_message_appendv(arbiter_message *m, const char *signature, va_list ap) {
        struct savepoint s = save(m);
        struct arguments a;
        int r = 0;

        if (m->sealed)
                return -EPERM;
        if (!message_types_are_valid(signature, strnlen(signature, SIGNATURE_MAX + 1)))
                return -EINVAL;

        va_copy(a.ap, ap);
        for (const char *next; *signature; signature = next) {
                next = type_info(*signature)->basic ? signature + 1 : signature_next(signature);
                r = expect(m, signature, (size_t) (next - signature));
                if (r < 0)
                        break;
                r = write_value(m, signature, &a, m->p.depth);
                if (r < 0)
                        break;
        }
        va_end(a.ap);
        return r < 0 ? roll_back(m, &s, r) : 0;
}

_public_ int arbiter_message_append(arbiter_message *m, const char *signature, ...) {
        va_list ap;
        int r;

        va_start(ap, signature);
        r = arbiter_message_appendv(m, signature, ap);
        va_end(ap);
        return r;
}

_public_ int arbiter_message_append_basic(arbiter_message *m, char type, const void *p) {
        struct savepoint s = save(m);
        int r;

        if (m->sealed)
                return -EPERM;
        if (!type_info(type)->basic)
                return -EINVAL;
        r = expect(m, &type, 1);
        if (r >= 0)
                r = write_basic(m, type, p);
        return r < 0 ? roll_back(m, &s, r) : 0;
}

_public_ int arbiter_message_append_array(arbiter_message *m, char type, const void *p, size_t size) {
        const char signature[2] = { 'a', type };
        struct savepoint s = save(m);
        struct array array;
        uint8_t *to;
        int r;

        if (m->sealed)
                return -EPERM;
        if (!type_info(type)->trivial || size % type_info(type)->size != 0 || (size > 0 && !p))
                return -EINVAL;
        r = m->p.depth >= BODY_DEPTH_MAX ? -E2BIG : expect(m, signature, sizeof(signature));
        if (r >= 0)
                r = begin_array(m, type, &array);
        if (r >= 0)
                r = reserve(m, 1, size, &to);
        if (r < 0)
                return roll_back(m, &s, r);
        if (size > 0)
                memcpy(to, p, size);
        end_array(m, &array);
        return 0;
}

/* The type in full, as signatures have it: "(su)" for 'r' and "su". Its length, or negative errno. */
static int spell_container(char type, const char *contents, char buffer[static SIGNATURE_MAX + 1]) {
        size_t length = strnlen(contents, SIGNATURE_MAX + 1), brackets = type == 'r' || type == 'e' ? 2 : 1;
        char *p = buffer;

        if (type == 'v') {
                if (!signature_is_single(contents))
                        return -EINVAL;
                buffer[0] = 'v';
                return 1;
        }
        if ((type != 'a' && brackets == 1) || length + brackets > SIGNATURE_MAX)
                return -EINVAL;
        *p++ = type == 'a' ? 'a' : type == 'r' ? '(' : '{';
        memcpy(p, contents, length);
        p += length;
        if (brackets == 2)
                *p++ = type == 'r' ? ')' : '}';
        *p = 0;

        /* A dict entry is valid only as the element of an array. */
        if (type == 'e') {
                char array[SIGNATURE_MAX + 2] = "a";

                memcpy(array + 1, buffer, length + 3);
                return signature_is_single(array) ? (int) length + 2 : -EINVAL;
        }
        return signature_is_single(buffer) ? (int) (length + brackets) : -EINVAL;
}

static int write_container(arbiter_message *m, char type, const char *contents, struct message_frame *f) {
        struct array array;
        uint8_t *p;
        int r;

        if (type == 'a') {
                r = begin_array(m, *contents, &array);
                if (r < 0)
                        return r;
                f->begin = array.begin;
                f->length_at = array.length_at;
                f->end = m->p.frame.end;
                m->p.frame.end = array.outer_end;
                return 0;
        }
        f->end = m->p.frame.end;
        if (type != 'v')
                return reserve(m, 8, 0, &p);
        f->in_body = true;
        f->signature = m->envelope.body_size + 1;
        return write_signature(m, contents, f->length);
}

_public_ int arbiter_message_open_container(arbiter_message *m, char type, const char *contents) {
        struct message_frame f = { .type = type };
        struct savepoint s = save(m);
        char spelt[SIGNATURE_MAX + 1];
        int length, r;

        if (m->sealed)
                return -EPERM;
        if (!contents)
                return -EINVAL;
        length = spell_container(type, contents, spelt);
        if (length < 0)
                return length;

        f.in_body = m->p.frame.in_body;
        f.signature = 1 + (m->p.depth == 0 ? m->envelope.signature_length :
                                             m->p.frame.signature + m->p.frame.index);
        f.length = (uint8_t) strlen(contents);
        r = expect(m, spelt, (size_t) length);
        if (r >= 0)
                r = write_container(m, type, contents, &f);
        if (r >= 0)
                r = message_push(m, &f);
        return r < 0 ? roll_back(m, &s, r) : 0;
}

_public_ int arbiter_message_close_container(arbiter_message *m) {
        const struct message_frame *f = &m->p.frame;

        if (m->sealed)
                return -EPERM;
        if (m->p.depth == 0 || (f->type != 'a' && f->index != f->length))
                return -EINVAL;
        if (f->type == 'a')
                store_u32(m->body + f->length_at, m->envelope.body_size - f->begin);
        message_pop(m);
        return 0;
}

/* A position in a message that is copied from; its body is valid. */
struct source {
        arbiter_message *m;
        size_t position;
};

static int copy_value(arbiter_message *m, const char *type, struct source *s, unsigned depth);

static int copy_basic(arbiter_message *m, char type, struct source *s) {
        const struct type_info *info = type_info(type);
        const char *string;
        const uint8_t *p;

        s->position = ALIGN_TO(s->position, info->alignment);
        p = s->m->body + s->position;
        if (info->size > 0) {
                s->position += info->size;
                return type == 'h' ? write_fd(m, s->m->fds[load_u32(p)]) : write_basic(m, type, p);
        }
        string = (const char *) p + (type == 'g' ? 1 : sizeof(uint32_t));
        s->position = (size_t) ((const uint8_t *) string - s->m->body);
        s->position += (type == 'g' ? p[0] : load_u32(p)) + 1;
        return write_basic(m, type, string);
}

static int copy_array(arbiter_message *m, const char *element, struct source *s, unsigned depth) {
        const struct type_info *info = type_info(*element);
        struct array array;
        size_t length;
        uint8_t *to;
        int r;

        s->position = ALIGN_TO(s->position, 4);
        length = load_u32(s->m->body + s->position);
        s->position = ALIGN_TO(s->position + 4, info->alignment);
        r = begin_array(m, *element, &array);
        if (r < 0)
                return r;
        if (info->trivial) {
                r = reserve(m, 1, length, &to);
                if (r < 0)
                        return r;
                memcpy(to, s->m->body + s->position, length);
                s->position += length;
        } else
                for (size_t end = s->position + length; s->position < end;) {
                        r = copy_value(m, element, s, depth);
                        if (r < 0)
                                return r;
                }
        end_array(m, &array);
        return 0;
}

static int copy_value(arbiter_message *m, const char *type, struct source *s, unsigned depth) {
        uint8_t *p;
        int r;

        if (type_info(*type)->basic)
                return copy_basic(m, *type, s);
        if (depth >= BODY_DEPTH_MAX)
                return -E2BIG;
        if (*type == 'a')
                return copy_array(m, type + 1, s, depth + 1);
        if (*type == 'v') {
                const char *contents = (const char *) s->m->body + s->position + 1;

                r = copy_basic(m, 'g', s);
                return r < 0 ? r : copy_value(m, contents, s, depth + 1);
        }
        r = reserve(m, 8, 0, &p);
        s->position = ALIGN_TO(s->position, 8);
        for (const char *t = type + 1; r >= 0 && *t != ')' && *t != '}'; t = signature_next(t))
                r = copy_value(m, t, s, depth + 1);
        return r;
}

_public_ int arbiter_message_append_message(arbiter_message *m, arbiter_message *source) {
        struct savepoint saved = save(m);
        struct message_frame source_frame = source->p.frame;
        uint32_t source_cursor = source->p.cursor;
        int r;

        if (m->sealed || !source->sealed)
                return -EPERM;
        for (;;) {
                const struct message_frame *f = &source->p.frame;
                const char *type = frame_signature(source, f) + f->index;
                struct source s = { source, source->p.cursor };

                if (f->type == 'a' ? source->p.cursor >= f->end : f->index >= f->length)
                        return 0;
                r = expect(m, type, (size_t) (signature_next(type) - type));
                if (r >= 0)
                        r = copy_value(m, type, &s, m->p.depth);
                if (r >= 0)
                        r = arbiter_message_skip(source, NULL);
                if (r < 0) {
                        source->p.frame = source_frame;
                        source->p.cursor = source_cursor;
                        return roll_back(m, &saved, r);
                }
        }
}
