/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings that section [Service] of a definition may have: a row for each that systemd 252 knows in
 * [Service] of a unit file (systemd --dump-configuration-items) and for the plain ones of its successors,
 * with what it is on D-Bus, and those that the arbiter owns with what to write instead; and Documentation=
 * of [Unit], which workers have of their monitor. Called by the setters of spawns and by who checks
 * configuration. Pure; must never pass on a value that it has not understood. */

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "arbiter/unit-value.h"
#include "basic/parse.h"
#include "basic/suggest.h"
#include "basic/text.h"
#include "basic/utf8.h"
#include "basic/words.h"
#include "wire/message.h"
#include "wire/signature.h"

#define VALUE_MAX ((size_t) 64 * 1024)
#define SHOWN_MAX 80 /* bytes of a value in a message */

/* What members of lists must be. */

static bool is_path(const char *s) {
        return unit_path_is_good(s, "");
}

static bool is_optional_path(const char *s) {
        return unit_path_is_good(s + (*s == '-'), "");
}

static bool is_prefixed_path(const char *s) {
        s += *s == '-';
        s += *s == '+';
        return unit_path_is_good(s, "");
}

static size_t variable_span(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

        return *s >= '0' && *s <= '9' ? 0 : n;
}

static bool is_variable(const char *s) {
        size_t n = variable_span(s);

        return n > 0 && s[n] == 0;
}

static bool is_assignment(const char *s) {
        size_t n = variable_span(s);

        return n > 0 && s[n] == '=';
}

static bool is_unset_variable(const char *s) {
        return is_variable(s) || is_assignment(s);
}

static bool is_address_family(const char *s) {
        const char *name = startswith(s, "AF_");

        return name && *name && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == 0;
}

static bool is_file_system(const char *s) {
        s += *s == '@';
        return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-")] == 0;
}

static bool is_system_call(const char *s) {
        const char *colon = strchr(s, ':');

        s += *s == '@';
        if (*s == 0 || s == colon || (colon && colon[1] == 0))
                return false;
        s += strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-");
        return *s == 0 ||
               (s == colon && s[1 + strspn(s + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789kil")] == 0);
}

static bool is_lower_case(const char *s) {
        return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == 0;
}

/* As systemd has it: of another one it would refuse the whole unit. (But without quotes.) */
static bool is_uri(const char *s) {
        static const char *const schemes[] = { "http://", "https://", "file:/", "info:", "man:" };
        size_t n = 0;

        for (size_t i = 0; n == 0 && i < ELEMENTSOF(schemes); i++)
                if (startswith(s, schemes[i]))
                        n = strlen(schemes[i]);
        if (n == 0 || !s[n])
                return false;
        for (; s[n]; n++)
                if (s[n] <= ' ' || s[n] >= 127 || strchr("\"'\\", s[n]))
                        return false;
        return true;
}

static bool is_interface(const char *s) {
        return *s && strlen(s) < 16 && !strpbrk(s, "/:% \t") && !streq(s, ".") && !streq(s, "..");
}

static const struct unit_check
                paths = {is_path, "a list of absolute paths"},
                optional_paths = {is_optional_path, "a list of absolute paths, with or without - in front"},
                prefixed_paths = {is_prefixed_path,
                                "a list of absolute paths, with or without - and + in front"},
                variables = {is_variable, "a list of names of variables"},
                unset_variables = {is_unset_variable, "a list of names or assignments of variables"},
                assignments = {is_assignment, "a list of NAME=VALUE; write quotes around one with blanks"},
                address_families = {is_address_family,
                                "a list of address families such as AF_UNIX, ~ and a list, or none", true},
                file_systems = {is_file_system,
                                "a list of file systems such as ext4 or @common-block, or ~ and a list"},
                system_calls = {is_system_call,
                                "a list of system calls or groups such as @system-service, or ~ and a list"},
                architectures = {is_lower_case, "a list of architectures such as native"},
                controllers = {is_lower_case, "a list of controllers such as memory"},
                interfaces = {is_interface, "a list of network interfaces, or ~ and a list"},
                uris = {is_uri, "a list of URIs (http://, https://, file:/, info:, man:)"};

static const struct unit_range range_nice = { -20, 19 }, range_oom_score = { -1000, 1000 },
        range_realtime = { 0, 99 }, range_io_priority = { 0, 7 }, range_weight = { 1, 10000 },
        range_shares = { 2, 262144 }, range_block_weight = { 10, 1000 },
        range_quota_period = { 1000, 1000000 };

#define LIMIT(name) limit_##name = { RLIMIT_##name, 0 }
static const struct unit_range LIMIT(CPU), LIMIT(FSIZE), LIMIT(DATA), LIMIT(STACK), LIMIT(CORE), LIMIT(RSS),
        LIMIT(NOFILE), LIMIT(AS), LIMIT(NPROC), LIMIT(MEMLOCK), LIMIT(LOCKS), LIMIT(SIGPENDING),
        LIMIT(MSGQUEUE), LIMIT(NICE), LIMIT(RTPRIO), LIMIT(RTTIME);

/* Words. Where the first is "yes", any boolean will do. */
static const struct unit_word words_protect_proc[] = { { "noaccess" }, { "invisible" }, { "ptraceable" },
                                                       { "default" },  {} },
        words_proc_subset[] = { { "all" }, { "pid" }, {} },
        words_keyring[] = { { "inherit" }, { "private" }, { "shared" }, {} },
        words_protect_system[] = { { "yes" }, { "no" }, { "full" }, { "strict" }, {} },
        words_protect_home[] = { { "yes" }, { "no" }, { "read-only" }, { "tmpfs" }, {} },
        words_preserve[] = { { "yes" }, { "no" }, { "restart" }, {} },
        words_utmp[] = { { "init" }, { "login" }, { "user" }, {} },
        words_device_policy[] = { { "auto" }, { "closed" }, { "strict" }, {} },
        words_oom[] = { { "auto" }, { "kill" }, {} },
        words_oom_preference[] = { { "none" }, { "avoid" }, { "omit" }, {} },
        words_oom_policy[] = { { "continue" }, { "stop" }, { "kill" }, {} },
        words_kill_mode[] = { { "control-group" }, { "mixed" }, { "process" }, { "none" }, {} },
        words_private_pids[] = { { "yes" }, { "no" }, {} },
        words_pressure_watch[] = { { "auto" }, { "on" }, { "off" }, { "skip" }, {} },
        words_failure_mode[] = { { "terminate" }, { "abort" }, { "kill" }, {} };

/* Words with their numbers. */
static const struct unit_word words_scheduling[] = { { "other", SCHED_OTHER }, { "batch", SCHED_BATCH },
                                                     { "idle", SCHED_IDLE },   { "fifo", SCHED_FIFO },
                                                     { "rr", SCHED_RR },       {} },
        words_numa[] = { { "default", 0 }, { "preferred", 1 }, { "bind", 2 }, { "interleave", 3 },
                         { "local", 4 },   {} },
        words_io_class[] = { { "none", 0 }, { "realtime", 1 }, { "best-effort", 2 }, { "idle", 3 }, {} },
        words_mount[] = { { "shared", MS_SHARED }, { "slave", MS_SLAVE }, { "private", MS_PRIVATE }, {} },
        words_level[] = { { "emerg", 0 },   { "alert", 1 },  { "crit", 2 }, { "err", 3 },
                          { "warning", 4 }, { "notice", 5 }, { "info", 6 }, { "debug", 7 }, {} },
        words_facility[] = {
                { "kern", 0 },    { "user", 1 },    { "mail", 2 },    { "daemon", 3 },  { "auth", 4 },
                { "syslog", 5 },  { "lpr", 6 },     { "news", 7 },    { "uucp", 8 },    { "cron", 9 },
                { "authpriv", 10 }, { "ftp", 11 },  { "local0", 16 }, { "local1", 17 }, { "local2", 18 },
                { "local3", 19 }, { "local4", 20 }, { "local5", 21 }, { "local6", 22 }, { "local7", 23 },
                {},
        };

#define ROW(name, parse, property, signature, kind, parameter, example)                                     \
        { name, parse, property, signature, UNIT_SETTING_##kind, parameter, example }
#define ONE(name, parse, property, signature, parameter, example)                                           \
        ROW(name, unit_value_##parse, property, signature, ONE, parameter, example)
#define LIST(name, parse, property, signature, parameter, example)                                          \
        ROW(name, unit_value_##parse, property, signature, LIST, parameter, example)
#define PLAIN(name, parse, signature, example) ONE(name, parse, NULL, signature, NULL, example)
#define EMPTY(name, parse, signature, example)                                                              \
        ROW(name, unit_value_##parse, NULL, signature, ONE_EMPTY, NULL, example)
#define REFUSED(name, text) ROW(name, NULL, NULL, NULL, ONE, NULL, text)

/* clang-format off: a row a setting; the last column is an example (tests assign it to a real unit), or the
 * refusal */
static const struct unit_setting settings[] = {
        /* systemd.unit(5) */
        LIST("Documentation", strings, NULL, "as", &uris, "man:worker(8) https://example.com/"),
        /* systemd.exec(5) */
        PLAIN("WorkingDirectory", working_directory, "s", "-/tmp"),
        PLAIN("RootDirectory", path, "s", "/srv/root"),
        PLAIN("RootImage", path, "s", "/srv/root.raw"),
        LIST("RootImageOptions", image_options, NULL, "a(ss)", NULL, "root:ro home:rw,noexec"),
        PLAIN("RootHash", hash, NULL, "0123456789abcdef0123456789abcdef"),
        ONE("RootHashSignature", hash, NULL, NULL, "path", "/srv/root.p7s"),
        PLAIN("RootVerity", path, "s", "/srv/root.verity"),
        LIST("ExtensionDirectories", strings, NULL, "as", &optional_paths, "/srv/a -/srv/b"),
        LIST("ExtensionImages", images, NULL, "a(sba(ss))", NULL, "-/srv/extension.raw:root:ro"),
        LIST("MountImages", images, NULL, "a(ssba(ss))", NULL,
             "/srv/data.raw:/srv/data:ro -/srv/b.raw:/srv/b"),
        PLAIN("MountAPIVFS", boolean, "b", "yes"),
        ONE("ProtectProc", one_word, NULL, "s", words_protect_proc, "invisible"),
        ONE("ProcSubset", one_word, NULL, "s", words_proc_subset, "pid"),
        LIST("BindPaths", binds, NULL, "a(ssbt)", NULL, "/srv:/mnt -/opt:/media:norbind"),
        LIST("BindReadOnlyPaths", binds, NULL, "a(ssbt)", NULL, "/etc:/srv/etc:rbind /usr"),
        PLAIN("DynamicUser", boolean, "b", "yes"),
        PLAIN("PAMName", string, "s", "arbiter"),
        EMPTY("CapabilityBoundingSet", capabilities, "t", "CAP_NET_BIND_SERVICE CAP_SYS_NICE"),
        ONE("AmbientCapabilities", capabilities, NULL, "t", "ambient", "CAP_NET_BIND_SERVICE"),
        PLAIN("NoNewPrivileges", boolean, "b", "yes"),
        PLAIN("SecureBits", secure_bits, "i", "keep-caps noroot-locked"),
        PLAIN("SELinuxContext", label, "s", "system_u:system_r:worker_t:s0"),
        PLAIN("AppArmorProfile", label, "(bs)", "-worker"),
        PLAIN("SmackProcessLabel", label, "(bs)", "-worker"),
        ONE("LimitCPU", limit, NULL, "t", &limit_CPU, "1min:2min"),
        ONE("LimitFSIZE", limit, NULL, "t", &limit_FSIZE, "1G"),
        ONE("LimitDATA", limit, NULL, "t", &limit_DATA, "2G:4G"),
        ONE("LimitSTACK", limit, NULL, "t", &limit_STACK, "8M:16M"),
        ONE("LimitCORE", limit, NULL, "t", &limit_CORE, "infinity"),
        ONE("LimitRSS", limit, NULL, "t", &limit_RSS, "1G"),
        ONE("LimitNOFILE", limit, NULL, "t", &limit_NOFILE, "1024:4096"),
        ONE("LimitAS", limit, NULL, "t", &limit_AS, "4G"),
        ONE("LimitNPROC", limit, NULL, "t", &limit_NPROC, "100"),
        ONE("LimitMEMLOCK", limit, NULL, "t", &limit_MEMLOCK, "64K"),
        ONE("LimitLOCKS", limit, NULL, "t", &limit_LOCKS, "50"),
        ONE("LimitSIGPENDING", limit, NULL, "t", &limit_SIGPENDING, "100:200"),
        ONE("LimitMSGQUEUE", limit, NULL, "t", &limit_MSGQUEUE, "400K"),
        ONE("LimitNICE", limit, NULL, "t", &limit_NICE, "+5"),
        ONE("LimitRTPRIO", limit, NULL, "t", &limit_RTPRIO, "10"),
        ONE("LimitRTTIME", limit, NULL, "t", &limit_RTTIME, "200ms"),
        PLAIN("UMask", mode, "u", "0027"),
        PLAIN("CoredumpFilter", coredump_filter, "t", "default shared-huge"),
        ONE("KeyringMode", one_word, NULL, "s", words_keyring, "inherit"),
        ONE("OOMScoreAdjust", integer, NULL, "i", &range_oom_score, "500"),
        PLAIN("TimerSlackNSec", nsec, "t", "100us"),
        PLAIN("Personality", string, "s", "x86-64"),
        PLAIN("IgnoreSIGPIPE", boolean, "b", "no"),
        ONE("Nice", integer, NULL, "i", &range_nice, "5"),
        ONE("CPUSchedulingPolicy", code, NULL, "i", words_scheduling, "batch"),
        ONE("CPUSchedulingPriority", integer, NULL, "i", &range_realtime, "10"),
        PLAIN("CPUSchedulingResetOnFork", boolean, "b", "yes"),
        ONE("CPUAffinity", indexes, NULL, "ay", "numa", "0-1"),
        ONE("NUMAPolicy", code, NULL, "i", words_numa, "interleave"),
        PLAIN("NUMAMask", indexes, "ay", "0"),
        ONE("IOSchedulingClass", code, NULL, "i", words_io_class, "idle"),
        ONE("IOSchedulingPriority", integer, NULL, "i", &range_io_priority, "3"),
        ONE("ProtectSystem", one_word, NULL, "s", words_protect_system, "strict"),
        ONE("ProtectHome", one_word, NULL, "s", words_protect_home, "read-only"),
        LIST("RuntimeDirectory", directories, NULL, NULL, "links",
             "arbiter-test arbiter-test/b:arbiter-link"),
        PLAIN("RuntimeDirectoryMode", mode, "u", "0750"),
        LIST("StateDirectory", directories, NULL, NULL, "links", "arbiter-test arbiter-test/b:arbiter-link"),
        PLAIN("StateDirectoryMode", mode, "u", "0750"),
        LIST("CacheDirectory", directories, NULL, NULL, "links", "arbiter-test arbiter-test/b:arbiter-link"),
        PLAIN("CacheDirectoryMode", mode, "u", "0750"),
        LIST("LogsDirectory", directories, NULL, NULL, "links", "arbiter-test arbiter-test/b:arbiter-link"),
        PLAIN("LogsDirectoryMode", mode, "u", "0750"),
        LIST("ConfigurationDirectory", directories, NULL, NULL, NULL, "arbiter-test arbiter-test/b"),
        PLAIN("ConfigurationDirectoryMode", mode, "u", "0750"),
        ONE("RuntimeDirectoryPreserve", one_word, NULL, "s", words_preserve, "restart"),
        LIST("ReadWritePaths", strings, NULL, "as", &prefixed_paths, "/srv -/opt +/mnt"),
        LIST("ReadOnlyPaths", strings, NULL, "as", &prefixed_paths, "/srv -/opt +/mnt"),
        LIST("InaccessiblePaths", strings, NULL, "as", &prefixed_paths, "/srv -/opt +/mnt"),
        LIST("ExecPaths", strings, NULL, "as", &prefixed_paths, "/srv -/opt +/mnt"),
        LIST("NoExecPaths", strings, NULL, "as", &prefixed_paths, "/srv -/opt +/mnt"),
        LIST("ReadWriteDirectories", strings, "ReadWritePaths", "as", &prefixed_paths, "/srv"),
        LIST("ReadOnlyDirectories", strings, "ReadOnlyPaths", "as", &prefixed_paths, "/srv"),
        LIST("InaccessibleDirectories", strings, "InaccessiblePaths", "as", &prefixed_paths, "/srv"),
        LIST("TemporaryFileSystem", temporary, NULL, "a(ss)", NULL, "/mnt:ro,size=10M /media"),
        PLAIN("PrivateTmp", boolean, "b", "yes"),
        PLAIN("PrivateDevices", boolean, "b", "yes"),
        PLAIN("PrivateNetwork", boolean, "b", "yes"),
        PLAIN("NetworkNamespacePath", path, "s", "/run/netns/worker"),
        PLAIN("PrivateIPC", boolean, "b", "yes"),
        PLAIN("IPCNamespacePath", path, "s", "/proc/1/ns/ipc"),
        PLAIN("PrivateUsers", boolean, "b", "yes"),
        PLAIN("ProtectHostname", boolean, "b", "yes"),
        PLAIN("ProtectClock", boolean, "b", "yes"),
        PLAIN("ProtectKernelTunables", boolean, "b", "yes"),
        PLAIN("ProtectKernelModules", boolean, "b", "yes"),
        PLAIN("ProtectKernelLogs", boolean, "b", "yes"),
        PLAIN("ProtectControlGroups", boolean, "b", "yes"),
        LIST("RestrictAddressFamilies", filter, NULL, "(bas)", &address_families, "AF_UNIX AF_INET"),
        LIST("RestrictFileSystems", filter, NULL, "(bas)", &file_systems, "~tracefs debugfs"),
        PLAIN("RestrictNamespaces", namespaces, "t", "~user net"),
        PLAIN("LockPersonality", boolean, "b", "yes"),
        PLAIN("MemoryDenyWriteExecute", boolean, "b", "yes"),
        PLAIN("RestrictRealtime", boolean, "b", "yes"),
        PLAIN("RestrictSUIDSGID", boolean, "b", "yes"),
        PLAIN("RemoveIPC", boolean, "b", "yes"),
        PLAIN("PrivateMounts", boolean, "b", "yes"),
        ONE("MountFlags", code, NULL, "t", words_mount, "slave"),
        LIST("SystemCallFilter", filter, NULL, "(bas)", &system_calls, "~@mount reboot:EPERM"),
        PLAIN("SystemCallErrorNumber", error_number, "i", "EPERM"),
        LIST("SystemCallArchitectures", strings, NULL, "as", &architectures, "native"),
        LIST("SystemCallLog", filter, NULL, "(bas)", &system_calls, "~@mount"),
        LIST("Environment", strings, NULL, "as", &assignments, "A=1 \"B=two words\""),
        LIST("EnvironmentFile", environment_file, "EnvironmentFiles", "a(sb)", NULL, "-/etc/default/worker"),
        LIST("PassEnvironment", strings, NULL, "as", &variables, "LANG TZ"),
        LIST("UnsetEnvironment", strings, NULL, "as", &unset_variables, "LANG A=1"),
        LIST("ExecSearchPath", colons, NULL, "as", NULL, "/usr/local/bin:/usr/bin"),
        PLAIN("StandardOutput", output, "s", "append:/var/log/worker"),
        PLAIN("StandardError", output, "s", "journal"),
        ONE("LogLevelMax", code, NULL, "i", words_level, "notice"),
        LIST("LogExtraFields", log_fields, NULL, "aay", NULL, "WORKER_KIND=test \"B=two words\""),
        ONE("LogRateLimitIntervalSec", timespan, "LogRateLimitIntervalUSec", "t", NULL, "10s"),
        PLAIN("LogRateLimitBurst", unsigned, "u", "500"),
        PLAIN("LogNamespace", string, "s", "workers"),
        PLAIN("SyslogIdentifier", string, "s", "worker"),
        ONE("SyslogFacility", code, NULL, "i", words_facility, "local3"),
        ONE("SyslogLevel", code, NULL, "i", words_level, "warning"),
        PLAIN("SyslogLevelPrefix", boolean, "b", "no"),
        PLAIN("TTYPath", path, "s", "/dev/tty7"),
        PLAIN("TTYReset", boolean, "b", "yes"),
        PLAIN("TTYVHangup", boolean, "b", "yes"),
        PLAIN("TTYRows", unsigned, "u", "50"),
        PLAIN("TTYColumns", unsigned, "u", "132"),
        PLAIN("TTYVTDisallocate", boolean, "b", "yes"),
        LIST("LoadCredential", credential, NULL, "a(ss)", NULL, "key:/etc/hostname"),
        LIST("LoadCredentialEncrypted", credential, NULL, "a(ss)", NULL, "secret:/etc/worker.cred"),
        LIST("SetCredential", set_credential, NULL, "a(say)", NULL, "greeting:hello\\x20\\xffworld"),
        LIST("SetCredentialEncrypted", set_credential, NULL, "a(say)", "base64", "sealed:aGVsbG8gd29ybGQ="),
        PLAIN("UtmpIdentifier", string, "s", "wk"),
        ONE("UtmpMode", one_word, NULL, "s", words_utmp, "user"),
        /* systemd.resource-control(5) */
        PLAIN("CPUAccounting", boolean, "b", "no"),
        PLAIN("MemoryAccounting", boolean, "b", "no"),
        PLAIN("TasksAccounting", boolean, "b", "no"),
        PLAIN("IOAccounting", boolean, "b", "yes"),
        PLAIN("IPAccounting", boolean, "b", "yes"),
        PLAIN("BlockIOAccounting", boolean, "b", "yes"),
        PLAIN("CPUWeight", cpu_weight, "t", "200"),
        PLAIN("StartupCPUWeight", cpu_weight, "t", "idle"),
        ONE("CPUQuota", quota, "CPUQuotaPerSecUSec", "t", NULL, "150%"),
        ONE("CPUQuotaPeriodSec", timespan, "CPUQuotaPeriodUSec", "t", &range_quota_period, "10ms"),
        PLAIN("AllowedCPUs", indexes, "ay", "0"),
        PLAIN("StartupAllowedCPUs", indexes, "ay", "0"),
        PLAIN("AllowedMemoryNodes", indexes, "ay", "0"),
        PLAIN("StartupAllowedMemoryNodes", indexes, "ay", "0"),
        PLAIN("MemoryMin", amount, "t", "10M"),
        PLAIN("MemoryLow", amount, "t", "5%"),
        PLAIN("MemoryHigh", amount, "t", "1.5G"),
        PLAIN("MemoryMax", amount, "t", "50%"),
        PLAIN("MemorySwapMax", amount, "t", "1G"),
        PLAIN("MemoryLimit", amount, "t", "2G"),
        PLAIN("DefaultMemoryMin", amount, "t", "1M"),
        PLAIN("DefaultMemoryLow", amount, "t", "2M"),
        PLAIN("TasksMax", number, "t", "20%"),
        ONE("IOWeight", u64, NULL, "t", &range_weight, "300"),
        ONE("StartupIOWeight", u64, NULL, "t", &range_weight, "400"),
        LIST("IODeviceWeight", device_number, NULL, "a(st)", NULL, "/srv 200"),
        LIST("IOReadBandwidthMax", device_rate, NULL, "a(st)", NULL, "/srv 5M"),
        LIST("IOWriteBandwidthMax", device_rate, NULL, "a(st)", NULL, "/srv 6M"),
        LIST("IOReadIOPSMax", device_rate, NULL, "a(st)", NULL, "/srv 1K"),
        LIST("IOWriteIOPSMax", device_rate, NULL, "a(st)", NULL, "/srv 100"),
        LIST("IODeviceLatencyTargetSec", device_time, "IODeviceLatencyTargetUSec", "a(st)", NULL,
             "/srv 25ms"),
        LIST("IPAddressAllow", addresses, NULL, "a(iayu)", NULL, "127.0.0.0/8 fd00::/8 10.1.2.3/16"),
        LIST("IPAddressDeny", addresses, NULL, "a(iayu)", NULL, "any"),
        LIST("IPIngressFilterPath", strings, NULL, "as", &paths, "/sys/fs/bpf/in"),
        LIST("IPEgressFilterPath", strings, NULL, "as", &paths, "/sys/fs/bpf/out"),
        LIST("BPFProgram", bpf_program, NULL, "a(ss)", NULL, "egress:/sys/fs/bpf/out"),
        LIST("SocketBindAllow", socket_bind, NULL, "a(iiqq)", NULL, "ipv6:tcp:1024-65535"),
        LIST("SocketBindDeny", socket_bind, NULL, "a(iiqq)", NULL, "any"),
        LIST("RestrictNetworkInterfaces", filter, NULL, "(bas)", &interfaces, "~eth0 eth1"),
        LIST("DeviceAllow", device, NULL, "a(ss)", NULL, "/dev/null rw"),
        ONE("DevicePolicy", one_word, NULL, "s", words_device_policy, "closed"),
        EMPTY("Delegate", delegate, "b", "cpu memory"),
        LIST("DisableControllers", strings, NULL, "as", &controllers, "memory pids"),
        ONE("ManagedOOMSwap", one_word, NULL, "s", words_oom, "kill"),
        ONE("ManagedOOMMemoryPressure", one_word, NULL, "s", words_oom, "kill"),
        PLAIN("ManagedOOMMemoryPressureLimit", pressure, "u", "12.5%"),
        ONE("ManagedOOMPreference", one_word, NULL, "s", words_oom_preference, "avoid"),
        ONE("CPUShares", u64, NULL, "t", &range_shares, "1024"),
        ONE("StartupCPUShares", u64, NULL, "t", &range_shares, "2048"),
        ONE("BlockIOWeight", u64, NULL, "t", &range_block_weight, "500"),
        ONE("StartupBlockIOWeight", u64, NULL, "t", &range_block_weight, "600"),
        LIST("BlockIODeviceWeight", device_number, NULL, "a(st)", NULL, "/srv 500"),
        LIST("BlockIOReadBandwidth", device_rate, NULL, "a(st)", NULL, "/srv 5M"),
        LIST("BlockIOWriteBandwidth", device_rate, NULL, "a(st)", NULL, "/srv 6M"),
        /* systemd.kill(5) */
        ONE("KillMode", one_word, NULL, "s", words_kill_mode, "mixed"),
        PLAIN("KillSignal", signal, "i", "SIGINT"),
        PLAIN("RestartKillSignal", signal, "i", "SIGUSR1"),
        PLAIN("FinalKillSignal", signal, "i", "SIGABRT"),
        PLAIN("WatchdogSignal", signal, "i", "RTMIN+3"),
        PLAIN("SendSIGHUP", boolean, "b", "yes"),
        PLAIN("SendSIGKILL", boolean, "b", "no"),
        /* systemd.service(5) */
        LIST("ExecStartPre", command, "ExecStartPreEx", "a(sasas)", NULL, "-/bin/true --flag \"two words\""),
        LIST("ExecStartPost", command, "ExecStartPostEx", "a(sasas)", NULL, "+/bin/true"),
        LIST("ExecReload", command, "ExecReloadEx", "a(sasas)", NULL, "@/bin/kill reload-it -HUP $MAINPID"),
        LIST("ExecStop", command, "ExecStopEx", "a(sasas)", NULL, ":!/bin/true ${A}"),
        LIST("ExecStopPost", command, "ExecStopPostEx", "a(sasas)", NULL, "!!/bin/true"),
        ONE("TimeoutAbortSec", timespan, "TimeoutAbortUSec", "t", NULL, "20s"),
        ONE("TimeoutStartFailureMode", one_word, NULL, "s", words_failure_mode, "abort"),
        ONE("TimeoutStopFailureMode", one_word, NULL, "s", words_failure_mode, "kill"),
        ONE("RuntimeMaxSec", timespan, "RuntimeMaxUSec", "t", NULL, "1h"),
        ONE("RuntimeRandomizedExtraSec", timespan, "RuntimeRandomizedExtraUSec", "t", NULL, "5min"),
        LIST("SuccessExitStatus", statuses, NULL, "(aiai)", NULL, "75 TEMPFAIL 2 SIGUSR1"),
        PLAIN("RootDirectoryStartOnly", boolean, "b", "yes"),
        ONE("OOMPolicy", one_word, NULL, "s", words_oom_policy, "kill"),
        /* newer than systemd 252, up to 257, which an older one refuses when the unit is started */
        PLAIN("RootEphemeral", boolean, "b", "yes"),
        PLAIN("RootImagePolicy", string, "s", "root=verity"),
        PLAIN("MountImagePolicy", string, "s", "root=verity"),
        PLAIN("ExtensionImagePolicy", string, "s", "root=verity"),
        PLAIN("SetLoginEnvironment", boolean, "b", "yes"),
        PLAIN("MemoryKSM", boolean, "b", "yes"),
        PLAIN("BindLogSockets", boolean, "b", "yes"),
        ONE("PrivatePIDs", one_word, NULL, "s", words_private_pids, "yes"),
        LIST("ImportCredential", strings, NULL, "as", NULL, "worker.*"),
        PLAIN("MemoryZSwapMax", amount, "t", "1G"),
        PLAIN("MemoryZSwapWriteback", boolean, "b", "no"),
        PLAIN("StartupMemoryLow", amount, "t", "10M"),
        PLAIN("StartupMemoryHigh", amount, "t", "1G"),
        PLAIN("StartupMemoryMax", amount, "t", "2G"),
        PLAIN("StartupMemorySwapMax", amount, "t", "1G"),
        PLAIN("StartupMemoryZSwapMax", amount, "t", "1G"),
        PLAIN("DefaultStartupMemoryLow", amount, "t", "10M"),
        ONE("MemoryPressureWatch", one_word, NULL, "s", words_pressure_watch, "skip"),
        ONE("MemoryPressureThresholdSec", timespan, "MemoryPressureThresholdUSec", "t", NULL, "100ms"),
        PLAIN("CoredumpReceive", boolean, "b", "yes"),
        PLAIN("DelegateSubgroup", string, "s", "main"),
        /* what the arbiter owns */
        REFUSED("Type", "is the arbiter's to say; write Type= in section [Actor]"),
        REFUSED("ExecStart", "is the arbiter's to say; write Exec= or Module= in section [Actor]"),
        REFUSED("Restart",
                "would have two supervisors act on one process; write Restart= in section [Actor]"),
        REFUSED("RestartSec",
                "would have two supervisors act on one process; write BackoffMinSec= and "
                "BackoffMaxSec= in section [Monitor]"),
        REFUSED("RestartPreventExitStatus",
                "would have two supervisors act on one process; write Restart= in section [Actor]"),
        REFUSED("RestartForceExitStatus",
                "would have two supervisors act on one process; write Restart= in section [Actor]"),
        REFUSED("StartLimitInterval",
                "would have two supervisors act on one process; write RestartPeriodSec= in "
                "section [Monitor]"),
        REFUSED("StartLimitBurst",
                "would have two supervisors act on one process; write RestartIntensity= in "
                "section [Monitor]"),
        REFUSED("TimeoutStartSec", "is the arbiter's to know; write TimeoutStartSec= in section [Actor]"),
        REFUSED("TimeoutStopSec", "is the arbiter's to know; write TimeoutStopSec= in section [Actor]"),
        REFUSED("WatchdogSec", "is the arbiter's to know; write WatchdogSec= in section [Actor]"),
        REFUSED("User", "is the arbiter's to know; write User= in section [Actor]"),
        REFUSED("Group", "is the arbiter's to know; write Group= in section [Actor]"),
        REFUSED("SupplementaryGroups",
                "is the arbiter's to know; write SupplementaryGroups= in section [Actor]"),
        REFUSED("TimeoutSec",
                "is the arbiter's to know; write TimeoutStartSec= and TimeoutStopSec= in section [Actor]"),
        REFUSED("NotifyAccess",
                "is the arbiter's to say; write Type=notify or Type=mailbox in section [Actor]"),
        REFUSED("Slice",
                "is the arbiter's to say: each monitor has a slice of its own, whose drop-ins "
                "may limit all of its workers"),
        REFUSED("StandardInput",
                "is not passed through: standard input is the mailbox of an actor; write "
                "Params=, Environment= or arguments of Exec="),
        REFUSED("StandardInputText",
                "is not passed through: standard input is the mailbox of an actor; write "
                "Params=, Environment= or arguments of Exec="),
        REFUSED("StandardInputData",
                "is not passed through: standard input is the mailbox of an actor; write "
                "Params=, Environment= or arguments of Exec="),
        REFUSED("Sockets",
                "is not passed through: workers get sockets by ListenStream= and its like, and by "
                "Sockets=, in section [Actor]"),
        REFUSED("NonBlocking",
                "is not passed through: the sockets of a worker are opened by the arbiter; write "
                "NonBlocking= in section [Actor]"),
        REFUSED("PIDFile",
                "is not passed through: an actor is the process that Exec= or Module= names, and "
                "ends with it"),
        REFUSED("GuessMainPID",
                "is not passed through: an actor is the process that Exec= or Module= names, and "
                "ends with it"),
        REFUSED("RemainAfterExit",
                "is not passed through: an actor is the process that Exec= or Module= names, and "
                "ends with it"),
        REFUSED("ExitType",
                "is not passed through: an actor is the process that Exec= or Module= names, and "
                "ends with it"),
        REFUSED("BusName",
                "is not passed through: an actor is the process that Exec= or Module= names, and "
                "ends with it"),
        REFUSED("ExecCondition",
                "is not passed through: it would be tried again and again; write Workers=0 in "
                "section [Monitor] for none"),
        REFUSED("StartLimitAction",
                "is not passed through: the arbiter decides what a failure means; see "
                "RestartIntensity= in section [Monitor]"),
        REFUSED("FailureAction",
                "is not passed through: the arbiter decides what a failure means; see "
                "RestartIntensity= in section [Monitor]"),
        REFUSED("RebootArgument",
                "is not passed through: the arbiter decides what a failure means; see "
                "RestartIntensity= in section [Monitor]"),
        REFUSED("TimeoutCleanSec", "is not passed through: systemd takes it from unit files only"),
        REFUSED("FileDescriptorStoreMax",
                "is not passed through: nothing outlives a worker for the next one"),
        REFUSED("FileDescriptorStorePreserve",
                "is not passed through: nothing outlives a worker for the next one"),
        REFUSED("PermissionsStartOnly", "is not passed through: write + in front of the command instead"),
        REFUSED("USBFunctionDescriptors", "is not passed through: it is for USB gadgets"),
        REFUSED("USBFunctionStrings", "is not passed through: it is for USB gadgets"),
};
/* clang-format on */

bool unit_setting_get(unsigned i, struct unit_setting_info *ret) {
        const struct unit_setting *s = &settings[i];

        if (i >= ELEMENTSOF(settings))
                return false;
        *ret = (struct unit_setting_info){
                .name = s->name,
                .example = s->parse ? s->example : NULL,
                .refusal = s->parse ? NULL : s->example,
        };
        return true;
}

static void done_property(struct unit_property *p) {
        free(p->name);
        free(p->signature);
        arbiter_message_unref(p->value);
        *p = (struct unit_property){};
}

void unit_properties_done(struct unit_properties *p) {
        for (size_t i = 0; i < p->n; i++)
                done_property(&p->items[i]);
        free(p->items);
        *p = (struct unit_properties){};
}

/* Takes the reference over in any case. */
static int add_property(struct unit_properties *p, const struct unit_setting *setting, const char *name,
                        const char *signature, arbiter_message *value) {
        struct unit_property n = { strdup(name), strdup(signature), value, setting },
                             *bigger = reallocarray(p->items, p->n + 1, sizeof(*bigger));

        if (bigger)
                p->items = bigger;
        if (!bigger || !n.name || !n.signature) {
                done_property(&n);
                return -ENOMEM;
        }
        p->items[p->n++] = n;
        return 0;
}

int unit_properties_copy(const struct unit_properties *from, struct unit_properties *to) {
        struct unit_properties copy = {};

        for (size_t i = 0; i < from->n; i++) {
                const struct unit_property *p = &from->items[i];

                int r = add_property(&copy, p->setting, p->name, p->signature,
                                     arbiter_message_ref(p->value));

                if (r < 0) {
                        unit_properties_done(&copy);
                        return r;
                }
        }
        unit_properties_done(to);
        *to = copy;
        return 0;
}

int unit_properties_append(struct unit_properties *p, const char *name, const char *signature,
                const void *body, size_t size) {
        struct envelope e = { .kind = ENVELOPE_CAST, .command = "", .signature = signature };
        _cleanup_free_ void *aligned = malloc(size + 1);
        arbiter_message *value = NULL;
        int r;

        if (!signature_string_is_valid(signature) || !signature_is_single(signature) || size > BODY_SIZE_MAX)
                return -EBADMSG;
        if (!aligned)
                return -ENOMEM;
        if (size > 0)
                memcpy(aligned, body, size);
        e.signature_length = (uint8_t) strlen(signature);
        e.body_size = (uint32_t) size;
        r = message_from_frame(&e, aligned, NULL, &value);
        if (r < 0)
                return r;
        r = message_own(value);
        if (r < 0) {
                arbiter_message_unref(value);
                return r;
        }
        return add_property(p, NULL, name, signature, value);
}

/* Of the first n. */
static void remove_setting(struct unit_properties *p, size_t n, const struct unit_setting *s) {
        size_t kept = 0;

        for (size_t i = 0; i < p->n; i++)
                if (i < n && p->items[i].setting == s)
                        done_property(&p->items[i]);
                else
                        p->items[kept++] = p->items[i];
        p->n = kept;
}

static int complain(char **ret_text, const char *format, ...) _printf_(2, 3);
static int complain(char **ret_text, const char *format, ...) {
        va_list ap;

        if (!ret_text)
                return -EINVAL;
        va_start(ap, format);
        *ret_text = text_formatv(format, ap);
        va_end(ap);
        return *ret_text ? -EINVAL : -ENOMEM;
}

static int find_setting(const char *name, const struct unit_setting **ret, char **ret_text) {
        struct suggestion near = {};
        char shown[SHOWN_MAX];

        for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
                const struct unit_setting *s = &settings[i];

                if (streq(s->name, name) && !s->parse)
                        return complain(ret_text, "%s= %s.", name, s->example);
                if (streq(s->name, name)) {
                        *ret = s;
                        return 0;
                }
        }
        for (size_t i = 0; i < ELEMENTSOF(settings); i++)
                suggest(&near, name, settings[i].name);
        utf8_make_printable(name, strlen(name), shown, sizeof(shown));
        if (near.word)
                return complain(ret_text, "%s= is not known; did you mean %s=?", shown, near.word);
        return complain(ret_text,
                        "%s= is not a setting of systemd.exec(5), systemd.resource-control(5) or "
                        "systemd.kill(5) that a unit can be given; remove it, or correct its name.",
                        shown);
}

static int complain_of_value(const struct unit_setting *s, const char *value, const char *expected,
                             char **ret_text) {
        char shown[SHOWN_MAX], wanted[4 * SHOWN_MAX];

        utf8_make_printable(value, strlen(value), shown, sizeof(shown));
        utf8_make_printable(expected, strlen(expected), wanted, sizeof(wanted)); /* it may quote a word */
        return complain(ret_text, "%s=%s is not %s.", s->name, shown, wanted);
}

/* Trimmed; NULL with *ret_error if it is no line of a unit file. */
static char *read_line(const char *value, const char **ret_why) {
        size_t n;

        value += strspn(value, BLANKS);
        n = strlen(value);
        while (n > 0 && strchr(BLANKS, value[n - 1]))
                n--;
        if (n > VALUE_MAX)
                *ret_why = "short enough: it is over 64 KiB";
        else if (!utf8_is_valid(value, n))
                *ret_why = "valid UTF-8";
        else
                for (size_t i = 0; i < n; i++)
                        if (((unsigned char) value[i] < ' ' && value[i] != '\t') || value[i] == 127)
                                *ret_why = "free of control characters; write them as escapes such as \\n";
        return *ret_why ? NULL : strndup(value, n);
}

static arbiter_message *find_previous(const struct unit_properties *p, const struct unit_setting *s) {
        for (size_t i = p->n; i > 0; i--)
                if (p->items[i - 1].setting == s && streq_ptr(s->signature, p->items[i - 1].signature))
                        return p->items[i - 1].value;
        return NULL;
}

/* Added first: if there is no room, nothing has changed. */
static int commit(struct unit_properties *p, struct unit_value *v) {
        size_t before = p->n;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < v->n; i++) {
                struct unit_value_property *n = &v->properties[i];

                r = message_seal(n->m);
                if (r >= 0)
                        r = add_property(p, v->setting, n->name, n->signature, TAKE_PTR(n->m));
        }
        if (r < 0)
                while (p->n > before)
                        done_property(&p->items[--p->n]);
        else if (v->setting->kind != UNIT_SETTING_LIST)
                remove_setting(p, before, v->setting);
        return r;
}

static int assign(struct unit_properties *p, const struct unit_setting *s, const char *value,
                  char **ret_text) {
        struct unit_value v = { .setting = s, .previous = find_previous(p, s) };
        int r;

        r = s->parse(&v, value);
        if (r >= 0)
                r = commit(p, &v);
        if (r < 0 && r != -ENOMEM)
                r = complain_of_value(s, value, v.expected ? v.expected : "what systemd takes", ret_text);
        for (size_t i = 0; i < v.n; i++)
                arbiter_message_unref(v.properties[i].m);
        free(v.expected);
        return r < 0 ? r : 0;
}

int unit_properties_assign(struct unit_properties *p, const char *name, const char *value, char **ret_text) {
        const struct unit_setting *s = NULL;
        _cleanup_free_ char *line = NULL;
        const char *why = NULL;
        int r;

        r = find_setting(name, &s, ret_text);
        if (r < 0)
                return r;
        line = read_line(value, &why);
        if (why)
                return complain_of_value(s, value, why, ret_text);
        if (!line)
                return -ENOMEM;
        if (!*line && s->kind != UNIT_SETTING_ONE_EMPTY) {
                remove_setting(p, p->n, s);
                return 0;
        }
        return assign(p, s, line, ret_text);
}
