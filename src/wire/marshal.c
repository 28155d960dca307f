/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The validity of D-Bus bodies: one linear pass over bytes that came from outside. message_from_frame()
 * calls it once a message, so that reading needs no more than bounds. Must never read outside the body,
 * and never allocate. */

#include "wire/marshal.h"

#include "basic/utf8.h"
#include "wire/signature.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)
#define LOW_BITS UINT64_C(0x0101010101010101)

bool string_is_valid(const char *s, size_t length) {
        const uint8_t *p = (const uint8_t *) s;
        size_t i = 0;

        while (i < length) {
                size_t n;

                if (length - i >= sizeof(uint64_t)) {
                        uint64_t w;

                        memcpy(&w, p + i, sizeof(w));
                        if (((w | (w - LOW_BITS)) & HIGH_BITS) == 0) { /* eight times 0x01..0x7F */
                                i += sizeof(w);
                                continue;
                        }
                }
                if (p[i] == 0)
                        return false;
                n = utf8_sequence_size(p + i, length - i);
                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}

bool object_path_is_valid(const char *s, size_t length) {
        bool slash = true;

        if (length == 0 || s[0] != '/')
                return false;
        if (length == 1)
                return true;

        for (size_t i = 1; i < length; i++) {
                char c = s[i];

                if (c == '/') {
                        if (slash)
                                return false;
                        slash = true;
                        continue;
                }
                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
                                c != '_')
                        return false;
                slash = false;
        }
        return !slash;
}

struct pass {
        const uint8_t *body;
        size_t position, end;
        unsigned n_fds;
};

static int check_value(struct pass *p, const char *type, unsigned depth);

/* Skips padding, which must be zero, and makes sure that size bytes follow. */
static inline bool check_room(struct pass *p, size_t alignment, size_t size) {
        size_t start = ALIGN_TO(p->position, alignment);

        if (start > p->end || p->end - start < size)
                return false;
        while (p->position < start)
                if (p->body[p->position++] != 0)
                        return false;
        return true;
}

static int check_string(struct pass *p, char type) {
        const char *s;
        size_t length;

        if (!check_room(p, 4, 4))
                return -EBADMSG;
        length = load_u32(p->body + p->position);
        p->position += 4;
        if (p->end - p->position <= length)
                return -EBADMSG;
        s = (const char *) p->body + p->position;
        if (s[length] != 0 || !(type == 's' ? string_is_valid(s, length) : object_path_is_valid(s, length)))
                return -EBADMSG;
        p->position += length + 1;
        return 0;
}

static int check_signature(struct pass *p, const char **ret) {
        const char *s;
        size_t length;

        if (!check_room(p, 1, 1))
                return -EBADMSG;
        length = p->body[p->position++];
        if (p->end - p->position <= length)
                return -EBADMSG;
        s = (const char *) p->body + p->position;
        if (s[length] != 0 || !signature_is_valid(s, length))
                return -EBADMSG;
        p->position += length + 1;
        *ret = s;
        return 0;
}

static int check_fixed(struct pass *p, char type, const struct type_info *info) {
        if (!check_room(p, info->alignment, info->size))
                return -EBADMSG;
        if (type == 'b' && load_u32(p->body + p->position) > 1)
                return -EBADMSG;
        if (type == 'h' && load_u32(p->body + p->position) >= p->n_fds)
                return -EBADMSG;
        p->position += info->size;
        return 0;
}

static int check_array(struct pass *p, const char *element, unsigned depth) {
        const struct type_info *info = type_info(*element);
        size_t length, outer = p->end;
        int r;

        if (!check_room(p, 4, 4))
                return -EBADMSG;
        length = load_u32(p->body + p->position);
        p->position += 4;
        if (length > ARRAY_SIZE_MAX || !check_room(p, info->alignment, length))
                return -EBADMSG;

        if (info->trivial) {
                if (length % info->size != 0)
                        return -EBADMSG;
                p->position += length;
                return 0;
        }

        p->end = p->position + length;
        while (p->position < p->end) {
                r = check_value(p, element, depth);
                if (r < 0)
                        return r;
        }
        p->end = outer;
        return 0;
}

static int check_variant(struct pass *p, unsigned depth) {
        const char *s;
        int r;

        r = check_signature(p, &s);
        if (r < 0)
                return r;
        if (!*s || *signature_next(s))
                return -EBADMSG;
        return check_value(p, s, depth);
}

/* Members end at the closing bracket of their struct or dict entry. */
static int check_members(struct pass *p, const char *s, unsigned depth) {
        int r;

        if (!check_room(p, 8, 0))
                return -EBADMSG;
        for (; *s != ')' && *s != '}'; s = signature_next(s)) {
                r = check_value(p, s, depth);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_container(struct pass *p, const char *type, unsigned depth) {
        if (depth >= BODY_DEPTH_MAX)
                return -EBADMSG;
        if (*type == 'a')
                return check_array(p, type + 1, depth + 1);
        if (*type == 'v')
                return check_variant(p, depth + 1);
        return check_members(p, type + 1, depth + 1);
}

static inline int check_value(struct pass *p, const char *type, unsigned depth) {
        const struct type_info *info = type_info(*type);
        const char *s;

        if (info->size > 0)
                return check_fixed(p, *type, info);
        if (*type == 's' || *type == 'o')
                return check_string(p, *type);
        if (*type == 'g')
                return check_signature(p, &s);
        return check_container(p, type, depth);
}

int body_validate(const char *signature, size_t signature_length, const uint8_t *body, size_t size,
                unsigned n_fds) {
        struct pass p = { .body = body, .end = size, .n_fds = n_fds };
        const char *s = signature, *end = signature + signature_length;
        int r;

        while (s < end) {
                r = check_value(&p, s, 0);
                if (r < 0)
                        return r;
                s = type_info(*s)->basic ? s + 1 : signature_next(s);
        }
        return p.position == p.end ? 0 : -EBADMSG;
}
