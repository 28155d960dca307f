/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values between D-Bus messages and arbiter messages, by type. Called by the Send methods of the face.
 * Both sides check what they are given (types, nesting, sizes), so nothing is checked twice here; a value
 * that one side refuses ends the copy with that side's error. Nothing here may look at what the values mean.
 */

#include <inttypes.h>
#include <stdio.h>

#include <arbiter/message.h>

#include "basic/dbus-basic.h"
#include "bus/convert.h"
#include "bus/error.h"
#include "wire/signature.h"

static bool type_is_string(char type) {
        return type == 's' || type == 'o' || type == 'g';
}

static int basic_from_bus(sd_bus_message *from, arbiter_message *to, char type) {
        union dbus_basic v = {};
        int r;

        r = sd_bus_message_read_basic(from, type, &v);
        if (r < 0)
                return r;
        return arbiter_message_append_basic(to, type, type_is_string(type) ? (const void *) v.s : &v);
}

static int convert_from_bus(sd_bus_message *from, arbiter_message *to);

static int value_from_bus(sd_bus_message *from, arbiter_message *to, char type, const char *contents) {
        const void *data;
        size_t size;
        int r;

        if (signature_type_is_basic(type))
                return basic_from_bus(from, to, type);

        if (type == 'a' && contents[1] == 0 && signature_type_is_trivial(contents[0])) {
                r = sd_bus_message_read_array(from, contents[0], &data, &size);
                if (r < 0)
                        return r;
                return arbiter_message_append_array(to, contents[0], data, size);
        }

        r = arbiter_message_open_container(to, type, contents);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(from, type, contents);
        if (r < 0)
                return r;
        r = convert_from_bus(from, to);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(from);
        if (r < 0)
                return r;
        return arbiter_message_close_container(to);
}

/* Copies what is left in the current container (or body). */
static int convert_from_bus(sd_bus_message *from, arbiter_message *to) {
        const char *contents;
        char type;
        int r;

        for (;;) {
                r = sd_bus_message_peek_type(from, &type, &contents);
                if (r <= 0)
                        return r;
                r = value_from_bus(from, to, type, contents);
                if (r < 0)
                        return r;
        }
}

static int basic_to_bus(arbiter_message *from, sd_bus_message *to, char type) {
        union dbus_basic v = {};
        int r;

        r = arbiter_message_read_basic(from, type, &v);
        if (r < 0)
                return r;
        return sd_bus_message_append_basic(to, type, type_is_string(type) ? (const void *) v.s : &v);
}

static int value_to_bus(arbiter_message *from, sd_bus_message *to, char type, const char *peeked) {
        char contents[SIGNATURE_MAX + 1];
        const void *data;
        size_t size;
        int r;

        if (signature_type_is_basic(type))
                return basic_to_bus(from, to, type);

        if (strlen(peeked) > SIGNATURE_MAX)
                return -EMSGSIZE;
        memcpy(contents, peeked, strlen(peeked) + 1); /* borrowed only until the next call */

        if (type == 'a' && contents[1] == 0 && signature_type_is_trivial(contents[0])) {
                r = arbiter_message_read_array(from, contents[0], &data, &size);
                if (r < 0)
                        return r;
                return sd_bus_message_append_array(to, contents[0], data, size);
        }

        r = sd_bus_message_open_container(to, type, contents);
        if (r < 0)
                return r;
        r = arbiter_message_enter_container(from, type, contents);
        if (r < 0)
                return r;
        r = convert_to_bus(from, to);
        if (r < 0)
                return r;
        r = arbiter_message_exit_container(from);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(to);
}

int convert_to_bus(arbiter_message *from, sd_bus_message *to) {
        const char *contents;
        char type;
        int r;

        for (;;) {
                r = arbiter_message_peek_type(from, &type, &contents);
                if (r <= 0)
                        return r;
                r = value_to_bus(from, to, type, contents);
                if (r < 0)
                        return r;
        }
}

static const struct integer {
        char type;
        const char *description;
        uint64_t max, min_magnitude; /* of the smallest value */
} integers[] = {
        { 'y', "0 to 255", UINT8_MAX, 0 },
        { 'n', "-32768 to 32767", INT16_MAX, (uint64_t) INT16_MAX + 1 },
        { 'q', "0 to 65535", UINT16_MAX, 0 },
        { 'i', "-2147483648 to 2147483647", INT32_MAX, (uint64_t) INT32_MAX + 1 },
        { 'u', "0 to 4294967295", UINT32_MAX, 0 },
        { 'x', "-9223372036854775808 to 9223372036854775807", INT64_MAX, (uint64_t) INT64_MAX + 1 },
        { 't', "0 to 18446744073709551615", UINT64_MAX, 0 },
};

static const struct integer *find_integer(const char *type) {
        if (type[0] == 0 || type[1] != 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(integers); i++)
                if (integers[i].type == type[0])
                        return &integers[i];
        return NULL;
}

/* An integer of any type: two's complement in 64 bits, and whether it is below zero. */
struct number {
        uint64_t value;
        bool negative;
};

static struct number number_load(char type, const union dbus_basic *v) {
        int64_t s;

        switch (type) {
        case 'y':
                return (struct number){ v->y, false };
        case 'q':
                return (struct number){ v->q, false };
        case 'u':
                return (struct number){ v->u, false };
        case 't':
                return (struct number){ v->t, false };
        case 'n':
                s = v->n;
                break;
        case 'i':
                s = v->i;
                break;
        default:
                s = v->x;
                break;
        }
        return (struct number){ (uint64_t) s, s < 0 };
}

static union dbus_basic number_store(char type, struct number n) {
        union dbus_basic v = {};

        switch (type) {
        case 'y':
                v.y = (uint8_t) n.value;
                break;
        case 'n':
                v.n = (int16_t) n.value;
                break;
        case 'q':
                v.q = (uint16_t) n.value;
                break;
        case 'i':
                v.i = (int32_t) n.value;
                break;
        case 'u':
                v.u = (uint32_t) n.value;
                break;
        default:
                v.t = n.value;
                break;
        }
        return v;
}

static bool number_fits(const struct integer *type, struct number n) {
        if (n.negative)
                return (uint64_t) 0 - n.value <= type->min_magnitude;
        return n.value <= type->max;
}

/* Where we are, for the texts. */
struct argument {
        const char *command;
        unsigned index; /* from 1 */
        const char *expected;
};

static int append_integer(sd_bus_message *from, const struct argument *a, const struct integer *type,
                char came, arbiter_message *to, sd_bus_error *error) {
        union dbus_basic v = {};
        struct number n;
        int r;

        r = sd_bus_message_read_basic(from, came, &v);
        if (r < 0)
                return r;
        n = number_load(came, &v);
        if (!number_fits(type, n)) {
                char text[24];

                if (n.negative)
                        (void) snprintf(text, sizeof(text), "%" PRId64, (int64_t) n.value);
                else
                        (void) snprintf(text, sizeof(text), "%" PRIu64, n.value);
                return bus_error_bad_arguments(error,
                                "Argument %u of \"%s\" must fit its type \"%c\" (%s), and %s came.",
                                a->index, bus_quote(a->command).s, type->type, type->description, text);
        }
        v = number_store(type->type, n);
        return arbiter_message_append_basic(to, type->type, &v);
}

static int append_in_variant(sd_bus_message *from, const char *came, arbiter_message *to) {
        int r;

        r = arbiter_message_open_container(to, 'v', came);
        if (r < 0)
                return r;
        r = convert_from_bus(from, to);
        if (r < 0)
                return r;
        return arbiter_message_close_container(to);
}

/* Inside the variant that holds the argument, whose contents have the signature came. */
static int append_argument(sd_bus_message *from, const struct argument *a, const char *came,
                arbiter_message *to, sd_bus_error *error) {
        const struct integer *wanted = find_integer(a->expected);

        if (streq(a->expected, came))
                return convert_from_bus(from, to);
        if (streq(a->expected, "v"))
                return append_in_variant(from, came, to);
        if (wanted && find_integer(came))
                return append_integer(from, a, wanted, came[0], to, error);
        return bus_error_bad_arguments(error,
                        "Argument %u of \"%s\" must be of type \"%s\"%s%s%s, and \"%s\" came.", a->index,
                        bus_quote(a->command).s, a->expected, wanted ? " (" : "",
                        wanted ? wanted->description : "", wanted ? ")" : "", came);
}

static int convert_argument(
                sd_bus_message *from, const struct argument *a, arbiter_message *to, sd_bus_error *error) {
        const char *contents;
        char came[SIGNATURE_MAX + 1], type;
        int r;

        r = sd_bus_message_peek_type(from, &type, &contents);
        if (r <= 0)
                return r;
        if (strlen(contents) > SIGNATURE_MAX)
                return -EBADMSG;
        memcpy(came, contents, strlen(contents) + 1);
        r = sd_bus_message_enter_container(from, 'v', came);
        if (r < 0)
                return r;
        r = append_argument(from, a, came, to, error);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(from);
        return r < 0 ? r : 1;
}

static unsigned count_types(const char *signature) {
        unsigned n = 0;
        size_t length;

        while (*signature && signature_element_length(signature, &length) >= 0) {
                signature += length;
                n++;
        }
        return n;
}

static int wrong_number(
                const char *command, const char *signature, bool more, unsigned came, sd_bus_error *error) {
        unsigned wanted = count_types(signature);

        return bus_error_bad_arguments(error, "\"%s\" takes %u argument%s (\"%s\"), and %s%u came.",
                        bus_quote(command).s, wanted, wanted == 1 ? "" : "s", signature,
                        more ? "more than " : "", came);
}

int convert_arguments(sd_bus_message *from, const char *command, const char *signature, arbiter_message *to,
                sd_bus_error *error) {
        unsigned index = 0;
        int r;

        r = sd_bus_message_enter_container(from, 'a', "v");
        if (r < 0)
                return r;
        for (const char *s = signature; *s;) {
                char expected[SIGNATURE_MAX + 1];
                size_t length;

                r = signature_element_length(s, &length);
                if (r < 0)
                        return r;
                if (length > SIGNATURE_MAX)
                        return -EINVAL;
                memcpy(expected, s, length);
                expected[length] = 0;

                r = convert_argument(from, &(struct argument){ command, index + 1, expected }, to, error);
                if (r < 0)
                        return r;
                if (r == 0)
                        return wrong_number(command, signature, false, index, error);
                index++;
                s += length;
        }
        if (sd_bus_message_at_end(from, false) == 0)
                return wrong_number(command, signature, true, index, error);
        return sd_bus_message_exit_container(from);
}

/* Room for the brackets around a signature of full length, which sd-bus then refuses. */
static int convert_several(arbiter_message *from, sd_bus_message *to, const char *signature) {
        char wrapped[SIGNATURE_MAX + 3];
        int r;

        (void) snprintf(wrapped, sizeof(wrapped), "(%s)", signature);
        r = sd_bus_message_open_container(to, 'v', wrapped);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(to, 'r', signature);
        if (r < 0)
                return r;
        r = convert_to_bus(from, to);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(to);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(to);
}

int convert_result(arbiter_message *from, sd_bus_message *to) {
        const char *signature = from ? arbiter_message_get_signature(from) : "";
        int r;

        if (!signature || !*signature)
                return sd_bus_message_append(to, "v", "b", 1);

        r = arbiter_message_rewind(from, true);
        if (r < 0)
                return r;
        if (streq(signature, "v"))
                return convert_to_bus(from, to);
        if (!signature_is_single(signature))
                return convert_several(from, to, signature);

        r = sd_bus_message_open_container(to, 'v', signature);
        if (r < 0)
                return r;
        r = convert_to_bus(from, to);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(to);
}
