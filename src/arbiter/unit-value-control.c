/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of units that control access: devices, addresses, and sets of bits (CPUs, capabilities,
 * namespaces). Called by unit-settings.c through its table. Pure, as unit-value.c. */

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "arbiter/unit-value.h"
#include "basic/parse.h"
#include "basic/time-util.h"
#include "basic/words.h"
#include "wire/message.h"

#define INDEX_MAX 8191 /* the most CPUs of a Linux kernel */

int unit_value_device(struct unit_value *v, const char *s) {
        _cleanup_free_ char *device = NULL, *access = NULL;
        int r;

        r = unit_value_word(v, &s, NULL, &device);
        if (r > 0)
                r = unit_value_word(v, &s, NULL, &access);
        if (r < 0)
                return r;
        if (!device || s[strspn(s, BLANKS)] || (access && access[strspn(access, "rwm")]) ||
            (*device != '/' && !startswith(device, "char-") && !startswith(device, "block-")))
                return unit_value_expected(v, "a device and its access; write for example DeviceAllow="
                                              "/dev/null rw, or char-pts r");
        return unit_value_put(v, 1U, device, access ? access : "rwm");
}

/* DEVICE VALUE */
static int device_value(struct unit_value *v, const char *s, int (*parse)(const char *, uint64_t *),
                        const char *expected) {
        _cleanup_free_ char *device = NULL, *value = NULL;
        uint64_t t = 0;
        int r;

        r = unit_value_word(v, &s, NULL, &device);
        if (r > 0)
                r = unit_value_word(v, &s, NULL, &value);
        if (r < 0)
                return r;
        if (!value || s[strspn(s, BLANKS)] || *device != '/' || parse(value, &t) < 0)
                return unit_value_expected(v, "a device or file by absolute path, and %s", expected);
        return unit_value_put(v, 1U, device, t);
}

static int parse_weight(const char *s, uint64_t *ret) {
        return parse_u64_range(s, 1, 10000, ret);
}

/* As systemd: powers of 1000, for that is how devices are sold. */
static int parse_rate(const char *s, uint64_t *ret) {
        static const char units[] = "KMGTP";
        size_t n = strspn(s, "0123456789");
        _cleanup_free_ char *number = strndup(s, n);
        const char *unit = s[n] ? strchr(units, s[n]) : NULL;
        uint64_t x;
        int r;

        if (!number)
                return -ENOMEM;
        if (streq(s, "infinity")) {
                *ret = UINT64_MAX;
                return 0;
        }
        r = parse_u64(number, &x);
        if (r < 0 || (s[n] && (!unit || s[n + 1])))
                return -EINVAL;
        for (const char *p = units; unit && p <= unit; p++)
                if (__builtin_mul_overflow(x, (uint64_t) 1000, &x))
                        return -ERANGE;
        *ret = x;
        return 0;
}

int unit_value_device_number(struct unit_value *v, const char *s) {
        return device_value(v, s, parse_weight, "a weight from 1 to 10000");
}

int unit_value_device_rate(struct unit_value *v, const char *s) {
        return device_value(v, s, parse_rate,
                            "a number, plain or with K, M, G (powers of 1000), or infinity");
}

int unit_value_device_time(struct unit_value *v, const char *s) {
        return device_value(v, s, parse_timespan, "a time span such as 25ms");
}

/* One address with the bits behind its prefix cleared. */
struct prefix {
        int32_t family;
        uint8_t bytes[16];
        uint32_t length;
};

static uint32_t address_bits(int family) {
        return family == AF_INET ? 32 : 128;
}

static void clear_host(struct prefix *p) {
        for (uint32_t bit = p->length; bit < address_bits(p->family); bit++)
                p->bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static int parse_prefix(const char *s, struct prefix *ret) {
        size_t n = strcspn(s, "/");
        _cleanup_free_ char *address = strndup(s, n);
        struct prefix p = { .family = AF_INET };

        if (!address)
                return -ENOMEM;
        if (inet_pton(AF_INET, address, p.bytes) <= 0) {
                p.family = AF_INET6;
                if (inet_pton(AF_INET6, address, p.bytes) <= 0)
                        return -EINVAL;
        }
        p.length = address_bits(p.family);
        if (s[n] && (parse_u32(s + n + 1, &p.length) < 0 || p.length > address_bits(p.family)))
                return -EINVAL;
        clear_host(&p);
        *ret = p;
        return 0;
}

static int put_prefix(arbiter_message *m, const char *s) {
        struct prefix p;
        int r;

        r = parse_prefix(s, &p);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'r', "iayu");
        if (r >= 0)
                r = arbiter_message_append_basic(m, 'i', &p.family);
        if (r >= 0)
                r = arbiter_message_append_array(m, 'y', p.bytes, address_bits(p.family) / 8);
        if (r >= 0)
                r = arbiter_message_append_basic(m, 'u', &p.length);
        return r < 0 ? r : arbiter_message_close_container(m);
}

static int put_addresses(arbiter_message *m, const char *word) {
        static const char *const names[][3] = {
                { "any", "0.0.0.0/0", "::/0" },
                { "localhost", "127.0.0.0/8", "::1/128" },
                { "link-local", "169.254.0.0/16", "fe80::/64" },
                { "multicast", "224.0.0.0/4", "ff00::/8" },
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(word, names[i][0])) {
                        int r = put_prefix(m, names[i][1]);

                        return r < 0 ? r : put_prefix(m, names[i][2]);
                }
        return put_prefix(m, word);
}

int unit_value_addresses(struct unit_value *v, const char *s) {
        arbiter_message *m;
        char *word;
        int r;

        r = unit_value_open(v, NULL, "a(iayu)", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "(iayu)");
        while (r >= 0 && (r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;

                r = put_addresses(m, w);
                if (r == -EINVAL)
                        return unit_value_expected(v, "a list of addresses with or without /PREFIX, or any, "
                                                      "localhost, link-local, multicast: \"%s\"",
                                                   w);
        }
        return r < 0 ? r : arbiter_message_close_container(m);
}

int unit_value_bpf_program(struct unit_value *v, const char *s) {
        static const char *const types[] = {
                "egress", "ingress", "sock_create", "sock_ops", "device", "bind4",   "bind6",
                "connect4", "connect6", "post_bind4", "post_bind6", "sendmsg4", "sendmsg6", "sysctl",
                "recvmsg4", "recvmsg6", "getsockopt", "setsockopt",
        };
        size_t n = strcspn(s, ":");
        _cleanup_free_ char *type = strndup(s, n);

        if (!type)
                return -ENOMEM;
        for (size_t i = 0; s[n] && unit_path_is_good(s + n + 1, "") && i < ELEMENTSOF(types); i++)
                if (streq(types[i], type))
                        return unit_value_put(v, 1U, type, s + n + 1);
        return unit_value_expected(v, "TYPE:PATH of a BPF program, for example egress:/sys/fs/bpf/filter");
}

/* "80" or "1024-65535". */
static bool parse_ports(const char *s, uint16_t *ret_n, uint16_t *ret_first) {
        const char *dash = strchr(s, '-');
        _cleanup_free_ char *first = dash ? strndup(s, (size_t) (dash - s)) : strdup(s);
        uint64_t a, b;

        if (!first || parse_u64_range(first, 1, 65535, &a) < 0)
                return false;
        b = a;
        if (dash && parse_u64_range(dash + 1, a, 65535, &b) < 0)
                return false;
        *ret_n = (uint16_t) (b - a + 1);
        *ret_first = (uint16_t) a;
        return true;
}

/* [ipv4|ipv6:][tcp|udp:]PORTS, or any for all ports. */
int unit_value_socket_bind(struct unit_value *v, const char *s) {
        int32_t family = AF_UNSPEC, protocol = 0;
        uint16_t n = 0, first = 0;
        const char *p = s, *q;

        q = startswith(p, "ipv4");
        if (!q)
                q = startswith(p, "ipv6");
        if (q && (*q == 0 || *q == ':')) {
                family = p[3] == '4' ? AF_INET : AF_INET6;
                p = q + (*q == ':');
                if (!*q)
                        return unit_value_put(v, 1U, family, protocol, n, first);
        }
        q = startswith(p, "tcp");
        if (!q)
                q = startswith(p, "udp");
        if (q && (*q == 0 || *q == ':')) {
                protocol = *p == 't' ? IPPROTO_TCP : IPPROTO_UDP;
                p = q + (*q == ':');
                if (!*q)
                        return unit_value_put(v, 1U, family, protocol, n, first);
        }
        if (!streq(p, "any") && !parse_ports(p, &n, &first))
                return unit_value_expected(v, "[ipv4:|ipv6:][tcp:|udp:]PORT, a range of ports, or any");
        return unit_value_put(v, 1U, family, protocol, n, first);
}

static int parse_indexes(const char *word, uint8_t bits[], size_t *size) {
        const char *dash = strchr(word, '-');
        _cleanup_free_ char *first = dash ? strndup(word, (size_t) (dash - word)) : strdup(word);
        uint64_t a, b;

        if (!first)
                return -ENOMEM;
        if (parse_u64_range(first, 0, INDEX_MAX, &a) < 0)
                return -EINVAL;
        b = a;
        if (dash && parse_u64_range(dash + 1, a, INDEX_MAX, &b) < 0)
                return -EINVAL;
        for (; a <= b; a++) {
                bits[a / 8] |= (uint8_t) (1 << a % 8);
                *size = MAX(*size, (size_t) (a / 8 + 1));
        }
        return 0;
}

/* What was set before by this name stays set. */
static int previous_indexes(struct unit_value *v, uint8_t bits[static INDEX_MAX / 8 + 1], size_t *ret_size) {
        const void *p;
        int r;

        if (!v->previous)
                return 0;
        r = arbiter_message_rewind(v->previous, true);
        if (r >= 0)
                r = arbiter_message_read_array(v->previous, 'y', &p, ret_size);
        if (r >= 0 && *ret_size > 0)
                memcpy(bits, p, *ret_size);
        return r;
}

int unit_value_indexes(struct unit_value *v, const char *s) {
        uint8_t bits[INDEX_MAX / 8 + 1] = {};
        size_t size = 0;
        arbiter_message *m;
        char *words, *save = NULL;
        int r;

        if (v->setting->parameter && streq(s, "numa")) {
                r = unit_value_open(v, "FromNUMA", "b", &m);
                return r < 0 ? r : arbiter_message_append(m, "b", 1);
        }
        r = previous_indexes(v, bits, &size);
        if (r < 0)
                return r;
        words = strdup(s);
        if (!words)
                return -ENOMEM;
        for (char *w = strtok_r(words, BLANKS ",", &save); w && r >= 0;
                        w = strtok_r(NULL, BLANKS ",", &save))
                r = parse_indexes(w, bits, &size);
        free(words);
        if (r == -EINVAL || (r >= 0 && size == 0))
                return unit_value_expected(v, "a list of numbers and ranges, for example 0-3,8");
        if (r >= 0)
                r = unit_value_open(v, NULL, "ay", &m);
        return r < 0 ? r : arbiter_message_append_array(m, 'y', bits, size);
}

/* Sets of names as bits. all: what ~ is the rest of; initial: before the first assignment. */
struct bit_set {
        const struct unit_word *names;
        uint64_t all, initial;
        const char *prefix; /* that a name may be written without */
        bool any_case;
};

static bool find_bit(const struct bit_set *set, const char *word, uint64_t *ret) {
        for (const struct unit_word *w = set->names; w->word; w++) {
                const char *name = w->word;

                if (set->any_case ? strcasecmp(name, word) == 0 : streq(name, word)) {
                        *ret = (uint64_t) w->value;
                        return true;
                }
        }
        return false;
}

static int previous_bits(struct unit_value *v, uint64_t *ret) {
        int r;

        if (!v->previous)
                return 0;
        r = arbiter_message_rewind(v->previous, true);
        return r < 0 ? r : arbiter_message_read(v->previous, "t", ret);
}

/* As systemd merges lines: NAMES adds, ~NAMES takes away, and the first one says where it starts from. */
static int bits(struct unit_value *v, const char *s, const struct bit_set *set, uint64_t *ret) {
        bool invert = *s == '~';
        uint64_t sum = 0, before = set->initial, bit;
        char *word;
        int r;

        r = previous_bits(v, &before);
        s += invert;
        while (r >= 0 && (r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;

                if (!find_bit(set, w, &bit))
                        return unit_value_expected(v, "a list of names, or ~ and a list: \"%s\" is unknown",
                                                   w);
                sum |= bit;
        }
        if (r < 0)
                return r;
        if (before == set->initial || sum == 0)
                *ret = invert ? set->all & ~sum : sum;
        else
                *ret = invert ? before & ~sum : before | sum;
        return 0;
}

#define CAPABILITY(name, number) { "CAP_" name, (int64_t) 1 << number }
static const struct unit_word capabilities[] = {
        CAPABILITY("CHOWN", 0), CAPABILITY("DAC_OVERRIDE", 1), CAPABILITY("DAC_READ_SEARCH", 2),
        CAPABILITY("FOWNER", 3), CAPABILITY("FSETID", 4), CAPABILITY("KILL", 5), CAPABILITY("SETGID", 6),
        CAPABILITY("SETUID", 7), CAPABILITY("SETPCAP", 8), CAPABILITY("LINUX_IMMUTABLE", 9),
        CAPABILITY("NET_BIND_SERVICE", 10), CAPABILITY("NET_BROADCAST", 11), CAPABILITY("NET_ADMIN", 12),
        CAPABILITY("NET_RAW", 13), CAPABILITY("IPC_LOCK", 14), CAPABILITY("IPC_OWNER", 15),
        CAPABILITY("SYS_MODULE", 16), CAPABILITY("SYS_RAWIO", 17), CAPABILITY("SYS_CHROOT", 18),
        CAPABILITY("SYS_PTRACE", 19), CAPABILITY("SYS_PACCT", 20), CAPABILITY("SYS_ADMIN", 21),
        CAPABILITY("SYS_BOOT", 22), CAPABILITY("SYS_NICE", 23), CAPABILITY("SYS_RESOURCE", 24),
        CAPABILITY("SYS_TIME", 25), CAPABILITY("SYS_TTY_CONFIG", 26), CAPABILITY("MKNOD", 27),
        CAPABILITY("LEASE", 28), CAPABILITY("AUDIT_WRITE", 29), CAPABILITY("AUDIT_CONTROL", 30),
        CAPABILITY("SETFCAP", 31), CAPABILITY("MAC_OVERRIDE", 32), CAPABILITY("MAC_ADMIN", 33),
        CAPABILITY("SYSLOG", 34), CAPABILITY("WAKE_ALARM", 35), CAPABILITY("BLOCK_SUSPEND", 36),
        CAPABILITY("AUDIT_READ", 37), CAPABILITY("PERFMON", 38), CAPABILITY("BPF", 39),
        CAPABILITY("CHECKPOINT_RESTORE", 40), {},
};

int unit_value_capabilities(struct unit_value *v, const char *s) {
        bool ambient = v->setting->parameter;
        const struct bit_set set = { capabilities, UINT64_MAX, ambient ? 0 : UINT64_MAX, NULL, true };
        uint64_t t;
        int r;

        r = bits(v, s, &set, &t);
        return r < 0 ? r : unit_value_put(v, t);
}

int unit_value_namespaces(struct unit_value *v, const char *s) {
        static const struct unit_word names[] = {
                { "cgroup", CLONE_NEWCGROUP }, { "ipc", CLONE_NEWIPC }, { "net", CLONE_NEWNET },
                { "mnt", CLONE_NEWNS },        { "pid", CLONE_NEWPID }, { "user", CLONE_NEWUSER },
                { "uts", CLONE_NEWUTS },       {},
        };
        struct bit_set set = { .names = names, .initial = UINT64_MAX };
        uint64_t t;
        bool yes;
        int r;

        for (const struct unit_word *w = names; w->word; w++)
                set.all |= (uint64_t) w->value;
        if (parse_bool(s, &yes) >= 0)
                return unit_value_put(v, yes ? (uint64_t) 0 : set.all);
        r = bits(v, s, &set, &t);
        return r < 0 ? r : unit_value_put(v, t);
}

int unit_value_secure_bits(struct unit_value *v, const char *s) {
        static const struct unit_word names[] = {
                { "noroot", 1 },        { "noroot-locked", 2 },         { "no-setuid-fixup", 4 },
                { "keep-caps", 16 },    { "no-setuid-fixup-locked", 8 }, { "keep-caps-locked", 32 },
                {},
        };
        uint64_t bit, sum = 0;
        char *word;
        int r;

        while ((r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;

                if (!find_bit(&(struct bit_set){ .names = names }, w, &bit))
                        return unit_value_expected(v, "a list of keep-caps, no-setuid-fixup and noroot, "
                                                      "each with or without -locked");
                sum |= bit;
        }
        return r < 0 ? r : unit_value_put(v, (int32_t) sum);
}

int unit_value_coredump_filter(struct unit_value *v, const char *s) {
        static const struct unit_word names[] = {
                { "private-anonymous", 1 << 0 },   { "shared-anonymous", 1 << 1 },
                { "private-file-backed", 1 << 2 }, { "shared-file-backed", 1 << 3 },
                { "elf-headers", 1 << 4 },         { "private-huge", 1 << 5 },
                { "shared-huge", 1 << 6 },         { "private-dax", 1 << 7 },
                { "shared-dax", 1 << 8 },          { "default", 0x33 },
                { "all", UINT32_MAX },                     {},
        };
        uint64_t bit, sum = 0;
        char *word;
        int r;

        while ((r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;
                size_t digits = strspn(w, "0123456789abcdefABCDEF");

                if (!find_bit(&(struct bit_set){ .names = names }, w, &bit)) {
                        if (w[digits] || digits > 8)
                                return unit_value_expected(
                                        v, "a list of private-anonymous, shared-anonymous and the like, "
                                           "default, all, or a hexadecimal mask");
                        bit = strtoull(w, NULL, 16);
                }
                sum |= bit;
        }
        return r < 0 ? r : unit_value_put(v, sum);
}

int unit_value_delegate(struct unit_value *v, const char *s) {
        static const char *const controllers[] = { "cpu", "cpuacct", "cpuset", "io", "blkio", "memory",
                                                   "devices", "pids", "bpf-firewall", "bpf-devices" };
        arbiter_message *m;
        char *word;
        bool yes;
        int r;

        if (parse_bool(s, &yes) >= 0)
                return unit_value_put(v, (int) yes);
        r = unit_value_open(v, "Controllers", "as", &m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        while (r >= 0 && (r = unit_value_word(v, &s, NULL, &word)) > 0) {
                _cleanup_free_ char *w = word;
                size_t i = 0;

                while (i < ELEMENTSOF(controllers) && !streq(controllers[i], w))
                        i++;
                if (i == ELEMENTSOF(controllers))
                        return unit_value_expected(v, "yes, no, or a list of controllers such as cpu memory "
                                                      "pids");
                r = arbiter_message_append_basic(m, 's', w);
        }
        return r < 0 ? r : arbiter_message_close_container(m);
}
