/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Long tables past sd-bus: bulk-reply.h says why, and when. Called by the methods that list. What must not
 * happen here is half a message: it is written only into a socket that is empty and takes all of it. */

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bus/bulk-reply.h"
#include "bus/face.h"

enum {
        BULK_SIZE_MIN = 4096,
        HEADER_SIZE_MAX = 64,
        PADDING = 8, /* see bulk_align() */
        TYPE_METHOD_RETURN = 2,
        FLAG_NO_REPLY_EXPECTED = 1,
        PROTOCOL_VERSION = 1,
        FIELD_REPLY_SERIAL = 5,
        FIELD_SIGNATURE = 8,
};

/* Of an answer nobody says it again, and sd-bus counts from the other end. */
#define SERIAL UINT32_MAX

bool bulk_reserve(struct bulk *b, size_t wanted) {
        size_t size = wanted + PADDING;
        size_t allocated = MAX(MAX(b->allocated * 2, b->size + size), (size_t) BULK_SIZE_MIN);
        uint8_t *data;

        if (b->error < 0)
                return false;
        if (b->allocated - b->size >= size)
                return true;
        if (b->size > BULK_SIZE_MAX) {
                b->error = -EAGAIN;
                return false;
        }
        data = realloc(b->data, allocated);
        if (!data) {
                b->error = -ENOMEM;
                return false;
        }
        b->data = data;
        b->allocated = allocated;
        return true;
}

/* D-Bus Specification, "Message Format". */
static void append_header(struct bulk *b, const char *signature, uint32_t body_size, uint32_t reply_serial) {
        const uint8_t fixed[] = { 'l', TYPE_METHOD_RETURN, FLAG_NO_REPLY_EXPECTED, PROTOCOL_VERSION };
        const uint8_t serial_field[] = { FIELD_REPLY_SERIAL, 1, 'u', 0 };
        const uint8_t signature_field[] = { FIELD_SIGNATURE, 1, 'g', 0 };
        uint8_t length = (uint8_t) strlen(signature);
        size_t fields;

        bulk_put(b, fixed, sizeof(fixed));
        bulk_append_u32(b, body_size);
        bulk_append_u32(b, SERIAL);
        fields = bulk_open_array(b);
        bulk_put(b, serial_field, sizeof(serial_field));
        bulk_append_u32(b, reply_serial);
        bulk_open_struct(b);
        bulk_put(b, signature_field, sizeof(signature_field));
        bulk_put(b, &length, 1);
        bulk_put(b, signature, length + 1U);
        bulk_close_array(b, fields);
        bulk_align(b, 8);
}

/* The descriptor of sd-bus, where nothing waits to be sent; or -errno. */
static int idle_fd(const struct bus_connection *c) {
        uint64_t queued;
        int fd, unsent;

        if (c->client || c->doomed || sd_bus_get_n_queued_write(c->bus, &queued) < 0 || queued > 0)
                return -EAGAIN;
        fd = sd_bus_get_fd(c->bus);
        return fd < 0 || ioctl(fd, SIOCOUTQ, &unsent) < 0 || unsent > 0 ? -EAGAIN : fd;
}

bool bulk_begin(struct bulk *b, const struct bus_connection *c) {
        b->size = 0;
        b->error = 0;
        return idle_fd(c) >= 0;
}

int bulk_reply(struct bus_connection *c, sd_bus_message *m, const char *signature, const struct bulk *body) {
        uint8_t buffer[HEADER_SIZE_MAX];
        struct bulk header = { .data = buffer, .allocated = sizeof(buffer) };
        struct iovec iov[2];
        struct msghdr mh = { .msg_iov = iov, .msg_iovlen = ELEMENTSOF(iov) };
        uint64_t cookie;
        ssize_t n;
        int fd, r;

        if (body->error < 0)
                return body->error;
        if (sd_bus_message_get_expect_reply(m) <= 0)
                return 0;
        fd = idle_fd(c);
        r = sd_bus_message_get_cookie(m, &cookie);
        if (fd < 0 || r < 0 || body->size > BULK_SIZE_MAX)
                return -EAGAIN;

        append_header(&header, signature, (uint32_t) body->size, (uint32_t) cookie);
        iov[0] = (struct iovec){ header.data, header.size };
        iov[1] = (struct iovec){ body->data, body->size };
        n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
                return -EAGAIN; /* sd-bus will find out, too */
        if ((size_t) n < header.size + body->size)
                bus_connection_doom(c); /* the kernel had no memory in the middle: there is no way on */
        return 1;
}
