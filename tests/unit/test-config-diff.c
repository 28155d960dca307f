/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterd/config-diff: what a reload finds changed. Each key that there is counts. */

#include "test-config-util.h"

static enum config_change change_of(const struct config_difference *d, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(d[i].name, name))
                        return d[i].change;
        fail_msg("%s is not in the diff", name);
        return CONFIG_UNCHANGED;
}

static void test_diff(void **state) {
        struct config_difference *d;
        struct config *old, *new;
        size_t n;

        put(etc, "same.monitor", "[Actor]\nExec=/bin/true a\n");
        put(etc, "scaled.monitor", "[Monitor]\nWorkers=1\n[Actor]\nExec=/bin/true\n");
        put(etc, "changed.monitor", "[Actor]\nExec=/bin/true a b\n");
        put(etc, "gone.monitor", "[Actor]\nExec=/bin/true\n");
        put(etc, "broken.monitor", "[Actor]\nExec=/bin/true\n");
        put(etc, "lone.actor", "[Actor]\nExec=/bin/true\n");
        put(etc, "kind.actor", "[Actor]\nExec=/bin/true\n");
        old = load();
        assert_ok(config_diff(NULL, old, &d, &n));
        assert_int_equal(n, 7);
        assert_int_equal(change_of(d, n, "same"), CONFIG_ADDED);
        free(d);

        put(etc, "same.monitor",
            "# a comment\n[Monitor]\nWorkers = 1\n[Actor]\nExec=\"/bin/true\"   a\nTimeoutSec=30s\n");
        put(etc, "scaled.monitor", "[Monitor]\nWorkers=2\n[Actor]\nExec=/bin/true\n");
        put(etc, "changed.monitor", "[Monitor]\nWorkers=2\n[Actor]\nExec=/bin/true 'a b'\n");
        put(etc, "gone.monitor", "");
        put(etc, "broken.monitor", "[Actor]\nExec=/bin/true\nNice=x\n");
        put(etc, "lone.actor", "[Actor]\nExec=/bin/true\nNice=1\n");
        put(etc, "new.monitor", "[Actor]\nExec=/bin/true\n");
        new = load();
        assert_ok(config_diff(old, new, &d, &n));
        assert_int_equal(n, 8);
        assert_int_equal(change_of(d, n, "same"), CONFIG_UNCHANGED);
        assert_int_equal(change_of(d, n, "scaled"), CONFIG_SCALED);
        assert_int_equal(change_of(d, n, "changed"), CONFIG_CHANGED);
        assert_int_equal(change_of(d, n, "gone"), CONFIG_REMOVED);
        assert_int_equal(change_of(d, n, "broken"), CONFIG_UNCHANGED);
        assert_int_equal(change_of(d, n, "lone"), CONFIG_CHANGED);
        assert_int_equal(change_of(d, n, "kind"), CONFIG_UNCHANGED);
        assert_int_equal(change_of(d, n, "new"), CONFIG_ADDED);
        assert_string_equal(d[0].name, "broken");
        assert_null(d[0].new_monitor);
        assert_ptr_equal(d[0].old_monitor, old->monitors[0]);
        free(d);
        config_free(old);
        config_free(new);
}

/* The same for those of probes. */
static const char *sample_of_probe(const char *key) {
        static const char *const samples[][2] = {
                { "ProbeExec", "/bin/true" }, { "ProbeTcp", "7" },         { "ProbeHttp", "7/x" },
                { "ProbeHttpHost", "x" },     { "ProbePing", "yes" },      { "IntervalSec", "7s" },
                { "InitialDelaySec", "7s" },  { "FailureThreshold", "7" }, { "SuccessThreshold", "7" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                if (streq(samples[i][0], key))
                        return samples[i][1];
        return NULL;
}

static const char *sample_of_pool(const char *key) {
        static const char *const samples[][2] = {
                { "MaxSurge", "7" },
                { "MaxUnavailable", "7%" },
                { "DrainSec", "7s" },
                { "MinReadySec", "7s" },
                { "ProgressDeadlineSec", "7s" },
                { "BreakerFailures", "7" },
                { "BreakerPeriodSec", "7s" },
                { "BreakerMinSec", "7ms" },
                { "BreakerMaxSec", "7min" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                if (streq(samples[i][0], key))
                        return samples[i][1];
        return NULL;
}

/* A value that is not the default, for each key. */
static const char *const samples[][2] = {
                { "Description", "other" },
                { "Documentation", "man:x(1)" },
                { "Unit", "x@.service" },
                { "Workers", "7" },
                { "Strategy", "one-for-all" },
                { "Children", "b.actor" },
                { "AutoShutdown", "any" },
                { "FailureAction", "exit" },
                { "FailureActionExitStatus", "7" },
                { "Significant", "yes" },
                { "Shutdown", "brutal" },
                { "RestartIntensity", "7" },
                { "RestartPeriodSec", "7s" },
                { "BackoffMinSec", "7ms" },
                { "BackoffMaxSec", "7s" },
                { "BackoffFactor", "7" },
                { "BackoffJitter", "7" },
                { "StableSec", "7s" },
                { "MaxRequests", "7" },
                { "RuntimeMaxSec", "7s" },
                { "MaxMemory", "7M" },
                { "RecycleSpread", "7" },
                { "WorkersMin", "7" },
                { "WorkersMax", "7" },
                { "ScaleUpLoad", "700%" },
                { "ScaleDownLoad", "7" },
                { "ScaleUpSec", "7s" },
                { "ScaleDownSec", "7s" },
                { "After", "a" },
                { "Concurrency", "thread" },
                { "Exec", "/bin/sh" },
                { "Type", "notify" },
                { "Module", "other.so" },
                { "Params", "A=1" },
                { "Restart", "temporary" },
                { "TimeoutSec", "7s" },
                { "TimeoutStartSec", "7s" },
                { "TimeoutStopSec", "7s" },
                { "WatchdogSec", "7s" },
                { "ListenStream", "7" },
                { "ListenDatagram", "7" },
                { "ListenSequentialPacket", "@x" },
                { "ListenFIFO", "/x" },
                { "Sockets", "x.socket" },
                { "FileDescriptorName", "x" },
                { "ReusePort", "yes" },
                { "Backlog", "7" },
                { "BindIPv6Only", "both" },
                { "BindToDevice", "lo" },
                { "FreeBind", "yes" },
                { "NonBlocking", "yes" },
                { "KeepAlive", "yes" },
                { "NoDelay", "yes" },
                { "Broadcast", "yes" },
                { "PassCredentials", "yes" },
                { "ReceiveBuffer", "7K" },
                { "SendBuffer", "7K" },
                { "PipeSize", "7K" },
                { "SocketUser", "root" },
                { "SocketGroup", "root" },
                { "SocketMode", "0600" },
                { "DirectoryMode", "0700" },
                { "User", "root" },
                { "Group", "root" },
                { "SupplementaryGroups", "root" },
                { "WorkingDirectory", "/x" },
                { "Environment", "A=1" },
                { "EnvironmentFile", "/x" },
                { "UMask", "0077" },
                { "Nice", "7" },
                { "ProcessName", "x" },
                { "StandardOutput", "null" },
                { "StandardError", "null" },
                { "SyslogIdentifier", "x" },
                { "SyslogLevelPrefix", "no" },
                { "LogRateLimitIntervalSec", "7s" },
                { "LogRateLimitBurst", "7" },
                { "KillSignal", "INT" },
                { "MailboxMessages", "7" },
                { "MailboxBytes", "7M" },
                { "MailboxPolicy", "block" },
                { "MailOnRestart", "drop" },
                { "Routing", "broadcast" },
                { "Allow", "a" },
};

static const char *sample(const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                if (streq(samples[i][0], key))
                        return samples[i][1];
        if (startswith(key, "Limit"))
                return "7";
        if (sample_of_pool(key))
                return sample_of_pool(key);
        if (sample_of_probe(key))
                return sample_of_probe(key);
        fail_msg("%s= has no sample value in this test: add one", key);
        return NULL;
}

/* How it is asked without the key: somehow, and otherwise than with it. */
static const char *probe_before(const char *section, const char *key) {
        if (!strstr(section, "Probe"))
                return "";
        if (streq(key, "ProbeHttpHost"))
                return "ProbeHttp=1\n";
        return startswith(key, "Probe") ? "" : "ProbeTcp=1\n";
}

/* What must be there besides, before and after. */
static const char *context_of(const char *section, const char *key) {
        if (streq(key, "Exec") || streq(key, "Module"))
                return "";
        if (streq(key, "Unit"))
                return "Concurrency=unit\n";
        if (streq(key, "Strategy") || streq(key, "Children") || streq(key, "AutoShutdown"))
                return "[Monitor]\nStrategy=one-for-one\nChildren=a.actor\n";
        if (streq(key, "Significant") && streq(section, "Monitor"))
                return "Module=x.so\n[Monitor]\nRestart=transient\n";
        return "Module=x.so\n";
}

/* No key may be forgotten by config_diff(): each is changed alone, and must be seen. */
static void test_diff_sees_every_key(void **state) {
        const char *section, *key;
        unsigned n_keys = 0;

        put(etc, "a.actor", "[Actor]\nModule=x.so\n");
        put(etc, "b.actor", "[Actor]\nModule=x.so\n");

        for (unsigned i = 0; config_key(i, &section, &key); i++) {
                struct config_difference *d;
                struct config *old, *new;
                char text[256];
                size_t n;

                if (streq(section, "Arbiter"))
                        continue;
                if (streq(key, "Significant") && streq(section, "Actor"))
                        continue; /* of an actor only, see test_diff() */
                (void) snprintf(text, sizeof(text), "[Actor]\n%s",
                                *context_of(section, key) ? context_of(section, key) : "Module=x.so\n");
                if (streq(key, "Unit"))
                        (void) snprintf(text, sizeof(text), "[Actor]\nModule=x.so\n");
                if (streq(section, "LivenessProbe") && streq(key, "SuccessThreshold"))
                        continue; /* 1, or an error */
                if (*probe_before(section, key))
                        (void) snprintf(text, sizeof(text), "[Actor]\nModule=x.so\n[%s]\n%s", section,
                                        probe_before(section, key));
                put(etc, "web.monitor", text);
                old = load();
                (void) snprintf(text, sizeof(text), "[Actor]\n%s[%s]\n%s%s=%s\n",
                                context_of(section, key), section, probe_before(section, key), key,
                                sample(key));
                put(etc, "web.monitor", text);
                new = load();
                if (new->n_monitors != 1)
                        fail_msg("%s", messages);
                assert_ok(config_diff(old, new, &d, &n));
                assert_true(n >= 1);
                if (d[0].change != (streq(key, "Workers") ? CONFIG_SCALED : CONFIG_CHANGED))
                        fail_msg("a change of %s= is not seen", key);
                free(d);
                config_free(old);
                config_free(new);
                n_keys++;
        }
        assert_true(n_keys > 50);
}

/* What the first version has said of a definition is said of it by each later one: else its fingerprint is
 * another one, and all that runs is replaced by an upgrade. */
static void test_upgrade(void **state) {
        static const char expected[] =
                "name=3:web\nconcurrency=0\nexec=9:/bin/true\ntype=0\nrestart=0\ntimeout=30000000\n"
                "timeout-start=90000000\ntimeout-stop=5000000\nwatchdog=18446744073709551615\n"
                "backlog=4096\nbind-ipv6-only=0\nreuse-port=0\nfree-bind=0\nnon-blocking=0\n"
                "keep-alive=0\nno-delay=0\nbroadcast=0\npass-credentials=0\nreceive-buffer=0\n"
                "send-buffer=0\npipe-size=0\nsocket-mode=438\ndirectory-mode=493\n"
                "socket-uid=4294967295\nsocket-gid=4294967295\nuser-set=0\nuid=4294967295\n"
                "gid=4294967295\nworking-directory-optional=0\numask=18\nnice-set=0\nnice=0\n"
                "standard-output=0\nstandard-error=0\nsyslog-level-prefix=1\n"
                "log-rate-interval=30000000\nlog-rate-burst=5000\nkill-signal=15\n"
                "mailbox-messages=0\nmailbox-bytes=0\nmailbox-policy=0\n";
        struct config *c;
        char *text;

        put(etc, "web.monitor", "[Actor]\nExec=/bin/true\n");
        c = load();
        assert_ok(actor_config_serialize(&c->monitors[0]->actor, &text));
        assert_string_equal(text, expected);
        free(text);
        config_free(c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_diff),
                TEST(test_diff_sees_every_key),
                TEST(test_upgrade),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
