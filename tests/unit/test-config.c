/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterd/config: loading of whole directories, every error with its place. */

#include <arbiter/route.h>

#include "test-config-util.h"

/* What the file called web.monitor of this text is told; "" for nothing. */
static void expect(const char *text, int expected, const char *expected_messages) {
        messages[0] = 0;
        assert_int_equal(config_check_buffer(&options, "/etc/arbiter/web.monitor", text, strlen(text)),
                         expected);
        assert_string_equal(messages, expected_messages);
}

/* One line of [Actor], on line 3 behind a good Exec=, fails with this text. */
static void expect_bad(const char *line, const char *text) {
        char buffer[1024], expected[2048];

        (void) snprintf(buffer, sizeof(buffer), "[Actor]\nExec=/bin/true\n%s\n", line);
        (void) snprintf(expected, sizeof(expected), "3 web.monitor:3 %s\n", text);
        expect(buffer, -EBADMSG, expected);
}

static void expect_bad_monitor(const char *line, const char *text) {
        char buffer[1024], expected[2048];

        (void) snprintf(buffer, sizeof(buffer), "[Actor]\nExec=/bin/true\n[Monitor]\n%s\n", line);
        (void) snprintf(expected, sizeof(expected), "3 web.monitor:4 %s\n", text);
        expect(buffer, -EBADMSG, expected);
}

static void test_nothing(void **state) {
        struct config *c = load();

        assert_string_equal(messages, "");
        assert_int_equal(c->n_monitors + c->n_actors, 0);
        assert_int_equal(strv_length(c->failed), 0);
        assert_int_equal(c->daemon.default_timeout_stop_usec, 5 * USEC_PER_SEC);
        assert_int_equal(c->daemon.log_level, -1);
        config_free(c);
}

static void test_defaults(void **state) {
        const struct monitor_config *m;
        struct config *c;

        put(etc, "web.monitor", "[Actor]\nExec=/bin/true\n");
        c = load();
        assert_string_equal(messages, "");
        m = config_find_monitor(c, "web");
        assert_non_null(m);
        assert_string_equal(m->actor.name, "web");
        assert_int_equal(m->workers, 1);
        assert_int_equal(m->restart_intensity, 5);
        assert_int_equal(m->restart_period_usec, 10 * USEC_PER_SEC);
        assert_int_equal(m->backoff_min_usec, 100 * USEC_PER_MSEC);
        assert_int_equal(m->backoff_max_usec, 30 * USEC_PER_SEC);
        assert_int_equal(m->backoff_factor, 2);
        assert_int_equal(m->backoff_jitter_percent, 20);
        assert_int_equal(m->stable_usec, 10 * USEC_PER_SEC);
        assert_int_equal(m->actor.concurrency, CONFIG_PROCESS);
        assert_int_equal(m->actor.type, CONFIG_TYPE_EXEC);
        assert_int_equal(m->actor.restart, CONFIG_PERMANENT);
        assert_int_equal(m->actor.timeout_usec, 30 * USEC_PER_SEC);
        assert_int_equal(m->actor.timeout_start_usec, 90 * USEC_PER_SEC);
        assert_int_equal(m->actor.timeout_stop_usec, 5 * USEC_PER_SEC);
        assert_true(m->actor.watchdog_usec == USEC_INFINITY);
        assert_int_equal(m->actor.umask, 022);
        assert_int_equal(m->actor.kill_signal, SIGTERM);
        assert_int_equal(m->actor.listen.backlog, 4096);
        assert_int_equal(m->actor.listen.mode, 0666);
        assert_false(m->actor.user_set);
        assert_true(m->actor.uid == (uid_t) -1 && m->actor.gid == (gid_t) -1);
        assert_int_equal(m->actor.mailbox_messages, 0);
        config_free(c);
}

static void test_everything(void **state) {
        const struct monitor_config *m;
        const struct actor_config *a;
        struct config *c;

        put(etc, "web.monitor",
            "[Monitor]\nDescription=Web of %N\nDocumentation=man:web(8) https://example.com\nWorkers=4\n"
            "RestartIntensity=3\nRestartPeriodSec=1min\nBackoffMinSec=50ms\nBackoffMaxSec=2s\nBackoffFactor="
            "3\n"
            "BackoffJitter=0%\nStableSec=3s\nRouting=consistent-hash\n"
            "[Actor]\nDescription=worker\nConcurrency=process\nExec=/usr/bin/env \"a b\" %i "
            "%n\nType=notify\n"
            "Restart=transient\nTimeoutSec=100ms\nTimeoutStartSec=infinity\nTimeoutStopSec=0\nWatchdogSec="
            "2s\n"
            "ListenStream=8080\nListenStream=127.0.0.1:81\nListenStream=[::1]:82\nListenStream=%t/web.sock\n"
            "ListenDatagram=@web\nBacklog=7\nUser=root\nGroup=0\nSupplementaryGroups=root "
            "7\nWorkingDirectory=-/srv/%i\n"
            "Environment=A=1 \"B=two "
            "words\"\nEnvironment=A=2\nEnvironmentFile=-/etc/default/web\nUMask=0077\nNice=-5\n"
            "LimitNOFILE=1024:4096\nLimitCORE=infinity\nLimitAS=2G\nLimitCPU=1min\nProcessName=web-%i\n"
            "StandardOutput=null\nKillSignal=SIGINT\nMailboxMessages=10\nMailboxBytes=1M\nMailboxPolicy="
            "drop-oldest\n"
            "MailOnRestart=drop\nAllow=store cache-*\n");
        c = load();
        assert_string_equal(messages, "");
        m = config_find_monitor(c, "web");
        assert_non_null(m);
        a = &m->actor;
        assert_string_equal(m->description, "Web of web");
        assert_int_equal(strv_length(m->actor.documentation), 2);
        assert_int_equal(m->workers, 4);
        assert_int_equal(m->backoff_factor, 3);
        assert_int_equal(m->backoff_jitter_percent, 0);
        assert_string_equal(a->exec[1], "a b");
        assert_string_equal(a->exec[2], "%i");
        assert_int_equal(a->type, CONFIG_TYPE_NOTIFY);
        assert_int_equal(a->restart, CONFIG_TRANSIENT);
        assert_int_equal(a->timeout_usec, 100 * USEC_PER_MSEC);
        assert_true(a->timeout_start_usec == USEC_INFINITY && a->timeout_stop_usec == USEC_INFINITY);
        assert_true(a->user_set && a->uid == 0 && a->gid == 0);
        assert_int_equal(a->groups[a->n_groups - 1], 7);
        assert_true(a->working_directory_optional);
        assert_int_equal(strv_length(a->environment), 2);
        assert_string_equal(a->environment[0], "A=2");
        assert_true(a->nice_set && a->nice == -5);
        assert_true(a->limits[RLIMIT_NOFILE].set && !a->limits[RLIMIT_DATA].set);
        assert_int_equal(a->limits[RLIMIT_NOFILE].value.rlim_cur, 1024);
        assert_int_equal(a->limits[RLIMIT_CPU].value.rlim_max, 60);
        assert_int_equal(a->standard_output, CONFIG_OUTPUT_NULL);
        assert_int_equal(a->standard_error, CONFIG_OUTPUT_DEFAULT);
        assert_int_equal(a->mailbox_policy, CONFIG_DROP_OLDEST);
        assert_int_equal(a->mail_on_restart, ARBITER_MAIL_DROP);
        assert_int_equal(m->routing, ARBITER_ROUTING_CONSISTENT_HASH);
        assert_int_equal(strv_length(a->allow), 2);
        assert_string_equal(a->allow[0], "store");
        assert_string_equal(a->allow[1], "cache-*");
        config_free(c);
}

static void test_sockets(void **state) {
        const struct config_socket *s;
        struct config *c;

        put(etc, "s.actor",
            "[Actor]\nExec=/bin/true\nListenStream=1\nListenStream=\nListenStream=8080\n"
            "ListenStream=127.0.0.1:81\nListenStream=[::1]:82\nListenStream=%t/"
            "%N.sock\nListenDatagram=@web\n");
        c = load();
        assert_string_equal(messages, "");
        assert_int_equal(c->actors[0]->n_sockets, 5);
        s = c->actors[0]->sockets;
        assert_true(s[0].address.any && s[0].address.type == SOCK_STREAM);
        assert_int_equal(s[0].address.u.in6.sin6_port, htons(8080));
        assert_int_equal(s[1].address.u.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        assert_false(s[1].address.any);
        assert_int_equal(s[2].address.u.in6.sin6_port, htons(82));
        assert_string_equal(s[3].address.u.un.sun_path, "/run/arbiter/s.sock");
        assert_string_equal(s[3].text, "/run/arbiter/s.sock");
        assert_int_equal(s[4].address.type, SOCK_DGRAM);
        assert_int_equal(s[4].address.size, offsetof(struct sockaddr_un, sun_path) + 4);
        assert_memory_equal(s[4].address.u.un.sun_path, "\0web", 4);
        config_free(c);
}

static void test_more_of_sockets(void **state) {
        const struct actor_config *a;
        struct config *c;

        put(etc, "s.actor",
            "[Actor]\nExec=/bin/true\nSockets=gone.socket\nListenFIFO=%t/%N.fifo\nSockets=\n"
            "Sockets=web.socket \"admin\"\nListenSequentialPacket=@s\nFileDescriptorName=fifo:packets\n"
            "ReusePort=yes\nListenStream=\nListenFIFO=/a\nListenStream=80\nBacklog=9\n"
            "BindIPv6Only=ipv6-only\nBindToDevice=lo\nFreeBind=yes\nKeepAlive=yes\nNoDelay=yes\n"
            "Broadcast=yes\nPassCredentials=yes\nReceiveBuffer=1M\nSendBuffer=2M\nPipeSize=64K\n"
            "SocketUser=root\nSocketGroup=7\nSocketMode=0660\nDirectoryMode=0750\n");
        c = load();
        assert_string_equal(messages, "");
        a = c->actors[0];
        assert_int_equal(a->n_sockets, 4);
        assert_true(a->sockets[0].passed && a->sockets[1].passed && !a->sockets[2].passed);
        assert_string_equal(a->sockets[0].text, "web.socket");
        assert_string_equal(a->sockets[1].text, "admin");
        assert_int_equal(a->sockets[2].address.type, LISTEN_FIFO);
        assert_string_equal(a->fd_name, "fifo:packets");
        assert_int_equal(a->listen.backlog, 9);
        assert_int_equal(a->listen.ipv6, LISTEN_IPV6_ONLY);
        assert_string_equal(a->listen.device, "lo");
        assert_true(a->listen.reuse_port && a->listen.free_bind && a->listen.keep_alive);
        assert_true(a->listen.no_delay && a->listen.broadcast && a->listen.pass_credentials);
        assert_int_equal(a->listen.receive_buffer, 1 << 20);
        assert_int_equal(a->listen.send_buffer, 2 << 20);
        assert_int_equal(a->listen.pipe_size, 64 << 10);
        assert_int_equal(a->listen.uid, 0);
        assert_int_equal(a->listen.gid, 7);
        assert_int_equal(a->listen.mode, 0660);
        assert_int_equal(a->listen.directory_mode, 0750);
        config_free(c);
}

static void test_dropins_and_masks(void **state) {
        struct config *c;

        put(usr, "web.monitor", "[Monitor]\nWorkers=1\n[Actor]\nExec=/bin/vendor\nEnvironment=A=1\n");
        put(etc, "web.monitor.d/10.conf", "[Monitor]\nWorkers=9\n[Actor]\nExec=\nExec=/bin/admin\n");
        put(usr, "web.monitor.d/20.conf", "[Actor]\nEnvironment=B=2\n");
        put(usr, "web.monitor.d/30.conf", "[Actor]\nEnvironment=C=3\n");
        put(etc, "web.monitor.d/30.conf", "");
        put(usr, "off.actor", "[Actor]\nExec=/bin/true\n");
        put(etc, "off.actor", "");
        put(etc, "orphan.monitor.d/10.conf", "[Monitor]\nWorkers=9\n");
        c = load();
        assert_string_equal(messages, "");
        assert_int_equal(c->n_monitors, 1);
        assert_int_equal(c->n_actors, 0);
        assert_int_equal(c->monitors[0]->workers, 9);
        assert_string_equal(c->monitors[0]->actor.exec[0], "/bin/admin");
        assert_int_equal(strv_length(c->monitors[0]->actor.environment), 2);
        config_free(c);

        put(etc, "web.monitor.d/15.conf", "[Monitor]\nWorkers=many\n");
        c = load(); /* a mistake in a drop-in stops the whole, at the drop-in's place */
        assert_string_equal(messages, "3 15.conf:2 Workers=many is not a whole number from 0 to 10000; "
                                      "write for example Workers=4.\n");
        assert_int_equal(c->n_monitors, 0);
        assert_string_equal(c->failed[0], "web.monitor");
        config_free(c);
}

static void test_bad_file_beside_good_ones(void **state) {
        struct config *c;

        put(etc, "a.monitor", "[Actor]\nExec=/bin/true\n");
        put(etc, "b.monitor", "[Monitor]\nWorkers=-1\n[Actor]\nExec=/bin/true\nNice=99\n");
        put(etc, "c.monitor", "[Actor]\nExec=/bin/true\nNiec=3\nRestartSec=5\n");
        put(etc, "a.actor", "[Actor]\nExec=/bin/true\n");
        put(etc, "d.actor", "[Actor]\nExec=/bin/true\n[Monitor]\nWorkers=3\n");
        put(etc, "9x.actor", "[Actor]\nExec=/bin/true\n");
        put(etc, "arbiter.actor", "[Actor]\nExec=/bin/true\n");
        put(etc, "z.actor", "[Actor]\nModule=z.so\n");
        c = load();
        assert_non_null(strstr(messages,
                               "3 b.monitor:2 Workers=-1 is not a whole number from 0 to 10000; write for "
                               "example Workers=4.\n"
                               "3 b.monitor:5 Nice=99 is not a nice level from -20 (favoured) to 19.\n"));
        assert_non_null(strstr(messages, "4 c.monitor:3 Unknown key Niec= in section [Actor], ignored; did "
                                         "you mean "
                                         "Nice=?\n"));
        assert_non_null(strstr(messages,
                               "4 c.monitor:4 Unknown key RestartSec= in section [Actor], ignored; "
                               "here that is BackoffMinSec= in section [Monitor].\n"));
        assert_non_null(strstr(messages, "3 a.actor:0 The name a is taken by "));
        assert_non_null(strstr(messages, "3 d.actor:4 Workers= in section [Monitor] has no meaning in a "
                                         ".actor file"));
        assert_non_null(strstr(messages, "3 9x.actor:0 The file's name is no name for an actor"));
        assert_non_null(strstr(messages, "3 arbiter.actor:0 The name \"arbiter\" is that of the arbiter "
                                         "itself"));
        assert_int_equal(c->n_monitors, 2);
        assert_int_equal(c->n_actors, 1);
        assert_non_null(config_find_monitor(c, "a"));
        assert_non_null(config_find_monitor(c, "c"));
        assert_non_null(config_find_actor(c, "z"));
        assert_int_equal(strv_length(c->failed), 5);
        config_free(c);
}

static void test_bad_lines(void **state) {
        expect_bad("Concurrency=fibre", "Concurrency=fibre is not process, thread or unit.");
        expect_bad("Exec=/bin/other", "Exec= is set already; write an empty Exec= above this line to "
                                      "replace it.");
        expect_bad("Module=x.so", "Module= and Exec= exclude each other, and Exec= is set already; keep "
                                  "one.");
}

static void test_bad_exec(void **state) {
        expect("[Actor]\nExec=-/bin/true\n", -EBADMSG,
               "3 web.monitor:2 Exec=-/bin/true is not a command line: the prefixes - @ : + ! of systemd's "
               "ExecStart= are not "
               "known here; begin with the program (for a failure that does not count write "
               "Restart=temporary).\n");
        expect("[Actor]\nExec=bin/true\n", -EBADMSG,
               "3 web.monitor:2 Exec=bin/true is not a command line: the program's path is relative; write "
               "the absolute "
               "path, or its plain name to have it looked for in /usr/local/bin, /usr/bin and the like.\n");
        expect("[Actor]\nExec=/bin/echo %q\n", -EBADMSG,
               "3 web.monitor:2 %q in Exec= is not a known specifier; known are %n %N %i %h %t, and %% is a "
               "percent "
               "sign.\n");
        expect("[Actor]\nExec=/bin/echo 100%\n", -EBADMSG,
               "3 web.monitor:2 Exec= has a single % that starts no specifier; write %% for a percent "
               "sign.\n");
        expect("[Actor]\nExec=/bin/echo 'a\n", -EBADMSG,
               "3 web.monitor:2 Exec=/bin/echo 'a is not a command line: a quote is opened and not "
               "closed.\n");
        expect("[Actor]\nModule=x.so\nExec=/bin/true\n", -EBADMSG,
               "3 web.monitor:3 Exec= and Module= exclude each other, and Module= is set already; keep "
               "one.\n");
        expect("[Actor]\nModule=sub/x.so\n", -EBADMSG,
               "3 web.monitor:2 Module=sub/x.so is not a module; write its file "
               "name (squares.so) or its absolute path.\n");
        expect("[Monitor]\nWorkers=1\n", -EBADMSG,
               "3 web.monitor:0 There is nothing to run; add Exec=PROGRAM, "
               "Module=FILE.so or Unit=TEMPLATE@.service to section [Actor].\n");
}

static void test_bad_values(void **state) {
        expect_bad("Type=simple", "Type=simple is not known here; use exec, which also notices a failing "
                                  "exec.");
        expect_bad("Restart=always", "Restart=always is systemd's word; write Restart=permanent.");
        expect_bad("TimeoutSec=99ms", "TimeoutSec=99ms is not within 100ms to infinity; write for example "
                                      "TimeoutSec=30s.");
        expect_bad("User=nobody-here",
                   "User=nobody-here is not a user of this machine; create it (useradd --system NAME), "
                   "or name another.");
        expect_bad("User=4294967295", "User=4294967295 is not the number of a user.");
        expect_bad("User=3999999999",
                   "User=3999999999 has no entry in the user database, so its group is unknown; add "
                   "Group=.");
        expect_bad("Group=nobody-here",
                   "Group=nobody-here is not a group of this machine; create it (groupadd --system "
                   "NAME), or name another.");
        expect_bad("WorkingDirectory=here",
                   "WorkingDirectory=here is not an absolute path, or ~ for the home directory of "
                   "User=; a - in front means that it may be missing.");
        expect_bad("Environment=A=1 2B=x",
                   "Environment=2B=x is not KEY=VALUE; write quotes around one with blanks, as in "
                   "Environment=\"KEY=two words\".");
        expect_bad("EnvironmentFile=etc/x",
                   "EnvironmentFile=etc/x is not an absolute path, with - in front if the file may "
                   "be missing.");
        expect_bad("UMask=1777", "UMask=1777 is not a mask from 0000 to 0777.");
        expect_bad("LimitNOFILE=lots", "LimitNOFILE=lots is not a number, infinity, or SOFT:HARD.");
        expect_bad("LimitAS=2G:1G", "LimitAS=2G:1G is not SOFT:HARD with a soft limit that is at most the "
                                    "hard one.");
        expect_bad("KillSignal=TREM", "KillSignal=TREM is not a signal; write its name, for example "
                                      "KillSignal=SIGTERM.");
        expect_bad("StandardOutput=tty", "StandardOutput=tty is not inherit, null or journal.");
        expect_bad("SyslogIdentifier=a b", "SyslogIdentifier=a b is not an identifier of at most 255 "
                                           "characters without blanks; write "
                                           "for example SyslogIdentifier=%n.");
        expect_bad("LogRateLimitBurst=-1",
                   "LogRateLimitBurst=-1 is not a whole number from 0 to 2147483647; write for example "
                   "LogRateLimitBurst=5000.");
        expect_bad("MailboxMessages=0",
                   "MailboxMessages=0 is not a whole number from 1 to 16777216; write for example "
                   "MailboxMessages=1000.");
        expect_bad("MailOnRestart=maybe", "MailOnRestart=maybe is not keep or drop.");
        expect_bad("MailboxPolicy=wait", "MailboxPolicy=wait is not reject, drop-new, drop-oldest or "
                                         "block.");
        expect_bad("Unit=x@.service", "Unit= and Exec= exclude each other, and Exec= is set already; keep "
                                      "one.");
        expect_bad("Concurrency=thread", "Concurrency=thread needs a Module=; a program (Exec=) runs with "
                                         "Concurrency=process.");
        expect_bad("ListenStream=/run/%i.sock",
                   "%i has no value in ListenStream=; it is the same for all workers, so leave "
                   "the number out.");
        expect_bad_monitor("BackoffFactor=0.5",
                           "BackoffFactor=0.5 is not a whole number from 1 to 100; write for example "
                           "BackoffFactor=2.");
        expect_bad_monitor("BackoffJitter=101%",
                           "BackoffJitter=101% is not a percentage from 0 to 100; write for example "
                           "BackoffJitter=20%.");
        expect_bad_monitor("MaxSurge=1025",
                           "MaxSurge=1025 is not a number of workers from 0 to 1024, or a percentage of "
                           "Workers=; write for example MaxSurge=1 or MaxSurge=25%.");
        expect_bad_monitor("MaxUnavailable=101%",
                           "MaxUnavailable=101% is not a percentage from 0% to 100% of Workers=.");
        expect_bad_monitor("MaxUnavailable=0%",
                           "MaxSurge= and MaxUnavailable= are both 0, so that no worker could ever be "
                           "replaced; write MaxSurge=1, or leave MaxUnavailable= out.");
        expect_bad_monitor("ProgressDeadlineSec=soon",
                           "ProgressDeadlineSec=soon is not a time span; write for example "
                           "ProgressDeadlineSec=10min, 500ms or 2min.");
        expect_bad_monitor("BreakerMinSec=1h",
                           "BreakerMinSec= is longer than BreakerMaxSec=; raise the maximum or lower the "
                           "minimum.");
        expect_bad_monitor("BackoffMinSec=1min",
                           "BackoffMinSec= is longer than BackoffMaxSec=; raise the maximum or lower "
                           "the minimum.");
        expect_bad_monitor("After=a/b", "After=a/b is not the name of a monitor.");
}

#define NO_POOL                                                                                            \
        "is for pools and does nothing here, as this monitor has children; write it into the .monitor "     \
        "file of a child."

/* What only workers could heed is told, each at its own line, and not what has been taken back. */
static void test_tree_pool_keys(void **state) {
        expect("[Monitor]\nStrategy=one-for-one\nChildren=a.actor\nRouting=broadcast\nMinReadySec=1s\n"
               "DrainSec=1s\n"
               "ProgressDeadlineSec=1min\nBreakerFailures=3\nBreakerPeriodSec=1min\nBreakerMinSec=1s\n"
               "BreakerMaxSec=2s\nRuntimeMaxSec=1h\nRecycleSpread=5%\n",
               0,
               "4 web.monitor:5 MinReadySec= " NO_POOL "\n4 web.monitor:7 ProgressDeadlineSec= " NO_POOL "\n"
               "4 web.monitor:6 DrainSec= " NO_POOL "\n4 web.monitor:8 BreakerFailures= " NO_POOL "\n"
               "4 web.monitor:9 BreakerPeriodSec= " NO_POOL "\n4 web.monitor:10 BreakerMinSec= " NO_POOL "\n"
               "4 web.monitor:11 BreakerMaxSec= " NO_POOL "\n4 web.monitor:12 RuntimeMaxSec= " NO_POOL "\n"
               "4 web.monitor:13 RecycleSpread= " NO_POOL "\n4 web.monitor:4 Routing= " NO_POOL "\n");
        expect("[Monitor]\nStrategy=one-for-one\nChildren=a.actor\nDrainSec=1s\nDrainSec=\n", 0, "");
        expect("[Monitor]\nDrainSec=1s\nRouting=broadcast\n[Actor]\nExec=/bin/true\n", 0, "");
}

/* How workers are replaced; and what a .monitor said is kept, so that it can be made again from that. */
static void test_pool(void **state) {
        struct monitor_config *again;
        const struct monitor_config *m;
        struct config *c;

        put(etc, "web.monitor",
            "[Monitor]\nMaxSurge=25%\nMaxUnavailable=0\nDrainSec=1min\nBreakerFailures=7\n"
            "[Actor]\nExec=/bin/true\nUser=root\nEnvironment=A=1 \\\n");
        put(etc, "web.monitor.d/10.conf", "[Actor]\nEnvironment=B=2\nType=notify");
        put(etc, "web.monitor.d/20.conf", "[Monitor]\nMaxSurge=2\n");
        c = load();
        assert_string_equal(messages, "");
        m = config_find_monitor(c, "web");
        assert_non_null(m);
        assert_int_equal(m->max_surge, 2);
        assert_int_equal(m->max_unavailable, 0);
        assert_true(m->drain_usec == 60 * USEC_PER_SEC && m->breaker_failures == 7);
        assert_true(m->progress_deadline_usec == 600 * USEC_PER_SEC);
        assert_true(m->min_ready_usec == 0); /* it says itself when it is ready */
        assert_true(m->actor.fingerprint != 0);
        assert_ok(config_load_text(&options, &c->daemon, "web", m->text, &again));
        assert_true(again->actor.fingerprint == m->actor.fingerprint);
        assert_int_equal(strv_length(again->actor.environment), 2);
        assert_string_equal(again->text, m->text);
        config_free_monitor(again);
        assert_errno(config_load_text(&options, &c->daemon, "web", "[Actor]\nExec=\n", &again), EBADMSG);
        config_free(c);

        put(etc, "web.monitor", "[Monitor]\nProgressDeadlineSec=0\n[Actor]\nExec=/bin/true\nUser=root\n");
        put(etc, "web.monitor.d/20.conf", "");
        assert_ok(config_load_one(&options, "web", &c));
        assert_int_equal(c->n_monitors, 1);
        assert_true(c->monitors[0]->progress_deadline_usec == USEC_INFINITY);
        config_free(c);
        assert_ok(config_load_one(&options, "nothing", &c));
        assert_int_equal(c->n_monitors + c->n_actors, 0);
        config_free(c);
}

#define UNIT "[Actor]\nExec=/bin/true\nConcurrency=unit\n"

static void test_bad_units(void **state) {
        expect("[Actor]\nExec=/bin/true\n[Service]\nMemoryMax=1G\nCPUWeight=5\n", -EBADMSG,
               "3 web.monitor:4 Section [Service] needs Concurrency=unit; add it to section [Actor], or "
               "remove the section and use the keys of [Actor] such as LimitNOFILE= and Environment=.\n");
        expect(UNIT "[Service]\nMemoryMax=lots\nFoo=1\nmemorymax=1\nSlice=x.slice\n", -EBADMSG,
               "3 web.monitor:5 MemoryMax=lots is not a size such as 500M, a percentage such as 20%, or "
               "infinity.\n"
               "3 web.monitor:6 Foo= is not a setting of systemd.exec(5), systemd.resource-control(5) or "
               "systemd.kill(5) that a unit can be given; remove it, or correct its name.\n"
               "3 web.monitor:7 memorymax= is not known; did you mean MemoryMax=?\n"
               "3 web.monitor:8 Slice= is the arbiter's to say: each monitor has a slice of its own, whose "
               "drop-ins may limit all of its workers.\n");
        expect(UNIT "[Service]\nDocumentation=man:x(1)\n", -EBADMSG,
               "3 web.monitor:5 Documentation= is not a setting of section [Service]; write it in section "
               "[Monitor].\n");
        expect("[Monitor]\nDocumentation=man:x(1) x.html\n[Actor]\nExec=/bin/true\n", -EBADMSG,
               "3 web.monitor:2 Documentation=man:x(1) x.html is not a list of URIs (http://, "
               "https://, file:/, info:, man:): \"x.html\".\n");
        expect(UNIT "[Service]\nSyslogIdentifier=%q\n", -EBADMSG,
               "3 web.monitor:5 %q in SyslogIdentifier= is not a known specifier; known are %n %N %i %h %t, "
               "and %% is a percent sign.\n");
        expect("[Actor]\nUnit=x@.service\n", -EBADMSG,
               "3 web.monitor:2 Unit= needs Concurrency=unit; add it to section [Actor].\n");
        expect("[Actor]\nConcurrency=unit\nUnit=x.service\n", -EBADMSG,
               "3 web.monitor:3 Unit=x.service is not a template of services; write its name with @, for "
               "example Unit=my-worker@.service.\n");
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\nModule=x.so\n", -EBADMSG,
                        "3 web.monitor:4 Module= and Unit= exclude each other, and Unit= is set already; "
                        "keep one.\n");
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\n[Service]\nNice=5\n", -EBADMSG,
               "3 web.monitor:5 Section [Service] is not for instances of Unit=, which have the settings of "
               "their template; write a drop-in for it (systemctl edit).\n");
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\nUser=root\n", 0,
               "4 web.monitor:4 User= and Group= do nothing for instances of Unit=: write them into a "
               "drop-in of the template (systemctl edit).\n");
}

static void test_units(void **state) {
        struct config_expanded e = {};
        struct actor_config *a;
        struct config *c;

        put(etc, "web.monitor",
            UNIT "[Service]\nMemoryMax=50%\nReadWritePaths=/srv/%i\nNice=5\nEnvironment=A=100%%\n");
        put(etc, "web.monitor.d/10.conf", "[Service]\nNice=\nReadWritePaths=%h\n");
        put(etc, "own.monitor", "[Actor]\nConcurrency=unit\nUnit=%N@.service\n");
        c = load();
        assert_string_equal(messages, "");
        assert_string_equal(c->monitors[0]->actor.unit, "own@.service");
        a = &c->monitors[1]->actor;
        assert_int_equal(a->concurrency, CONFIG_UNIT);
        assert_ok(config_expand(a, 3, "/home/ada", "/run/arbiter", NULL, &e, NULL));
        assert_int_equal(e.n_service, 5);
        assert_string_equal(e.service[0].key, "MemoryMax");
        assert_string_equal(e.service[0].value, "50%");
        assert_string_equal(e.service[1].value, "/srv/3");
        assert_string_equal(e.service[2].key, "Environment");
        assert_string_equal(e.service[2].value, "A=100%");
        assert_string_equal(e.service[3].key, "Nice"); /* what empty means is for the library to know */
        assert_string_equal(e.service[3].value, "");
        assert_string_equal(e.service[4].value, "/home/ada");
        config_expanded_done(&e);
        config_free(c);
}

/* What is in another root directory only its unit can see. */
static void test_other_files(void **state) {
        struct config_expanded e = {};
        struct config *c;

        put(etc, "web.monitor",
            "[Actor]\nConcurrency=unit\nExec=/nonexistent/%i $A\nEnvironment=A=1\n[Service]\n"
            "RootDirectory=/srv\n");
        c = load();
        assert_ok(config_expand(&c->monitors[0]->actor, 3, "/home/ada", "/run/arbiter", NULL, &e, NULL));
        assert_string_equal(e.program, "/nonexistent/3");
        assert_string_equal(e.argv[1], "1");
        config_expanded_done(&e);
        config_free(c);
}

static void test_bad_addresses(void **state) {
        static const char *const bad[] = {
                "0",   "65536", "::1:80", "[::1]",        "[127.0.0.1]:80", "localhost:80", "1.2.3.4:",
                ":80", "/",     "@",      "1.2.3.4:http", "[::1]:",         "[]:80"
        };
        char path[256], line[300], expected[600];

        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[108] = 0; /* one more than fits with its NUL */
        for (size_t i = 0; i <= ELEMENTSOF(bad); i++) {
                const char *value = i < ELEMENTSOF(bad) ? bad[i] : path;

                (void) snprintf(line, sizeof(line), "[Actor]\nExec=/bin/true\nListenStream=%s\n", value);
                (void) snprintf(expected, sizeof(expected), "3 web.monitor:3 ListenStream=%.20s", value);
                messages[0] = 0;
                assert_errno(config_check_buffer(&options, "web.monitor", line, strlen(line)), EBADMSG);
                assert_memory_equal(messages, expected, strlen(expected));
                assert_non_null(strstr(messages, "is not an address to listen on; write a port (8080)"));
        }
        expect("[Actor]\nExec=/bin/true\nListenStream=/run/x/\n", -EBADMSG,
               "3 web.monitor:3 ListenStream=/run/x/ is not the path of a file: it ends in /.\n");
        path[107] = 0;
        (void) snprintf(line, sizeof(line), "[Actor]\nExec=/bin/true\nListenStream=%s\n", path);
        expect(line, 0, "");
        expect("[Actor]\nExec=/bin/true\nListenFIFO=@x\n", -EBADMSG,
               "3 web.monitor:3 ListenFIFO=@x is not an absolute path of at most 107 bytes.\n");
        expect("[Actor]\nExec=/bin/true\nListenSequentialPacket=80\n", -EBADMSG,
               "3 web.monitor:3 ListenSequentialPacket=80 is not an absolute path of at most 107 bytes, or "
               "an abstract name (@web).\n");
        expect("[Actor]\nExec=/bin/true\nSockets=a a\n", -EBADMSG,
               "3 web.monitor:3 Sockets=a is there already; remove one of the two.\n");
        expect("[Actor]\nExec=/bin/true\nSockets=a:b\n", -EBADMSG,
               "3 web.monitor:3 Sockets=a:b is not the name of a socket; write what its unit has as "
               "FileDescriptorName=, or else the unit's own name (web.socket).\n");
        expect("[Actor]\nExec=/bin/true\nSockets=metrics\n", -EBADMSG,
               "3 web.monitor:3 Sockets=metrics is not a name that an actor's socket may have: it is one of "
               "the arbiter's own; write another FileDescriptorName= into its socket unit.\n");
        expect("[Actor]\nExec=/bin/true\nListenStream=80\nFileDescriptorName=a:b\n", -EBADMSG,
               "3 web.monitor:4 FileDescriptorName= has not as many names as there are sockets; write one "
               "for all, or one for each Listen...= in their order.\n");
        expect("[Actor]\nModule=x.so\nConcurrency=thread\nListenStream=80\nReusePort=yes\n", -EBADMSG,
               "3 web.monitor:4 Threads are given no sockets; use Concurrency=process.\n");
        expect("[Actor]\nModule=x.so\nConcurrency=thread\nSockets=web\n", -EBADMSG,
               "3 web.monitor:4 Threads are given no sockets; use Concurrency=process.\n");
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\nListenStream=80\n", -EBADMSG,
               "3 web.monitor:4 Instances of Unit= get their sockets from systemd; write a socket unit, and "
               "Sockets= into a drop-in of the template (systemctl edit).\n");
        expect("[Actor]\nExec=/bin/true\nListenStream=/x\nReusePort=yes\n", 0,
               "4 web.monitor:4 ReusePort= does nothing here: there is no ListenStream= or ListenDatagram= "
               "with a port.\n");
        expect("[Actor]\nExec=/bin/true\nSocketMode=1777\nDirectoryMode=9\n", -EBADMSG,
               "3 web.monitor:3 SocketMode=1777 is not an access mode from 0000 to 0777; write for example "
               "0660.\n"
               "3 web.monitor:4 DirectoryMode=9 is not an access mode from 0000 to 0777; write for example "
               "0660.\n");
        expect("[Actor]\nExec=/bin/true\nListenStream=80\nListenStream=[::]:80\n", -EBADMSG,
               "3 web.monitor:4 ListenStream=[::]:80 is there already; remove one of the two.\n");
}

static void test_warnings(void **state) {
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\nType=mailbox\n", 0, "");
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\nType=notify\n", 0,
               "4 web.monitor:4 Of Unit= the template's Type= says when an instance runs; here only "
               "Type=mailbox means something: that its program is linked with libarbiter.\n");
        expect("[Actor]\nModule=x.so\nType=notify\nWatchdogSec=1s\n", 0,
               "4 web.monitor:3 Type= is for Exec= and does nothing for a module, which always reports when "
               "it is "
               "running.\n"
               "4 web.monitor:4 WatchdogSec= is for Exec= and does nothing for a module; TimeoutSec= "
               "watches its "
               "silence.\n");
        expect("[Actor]\nModule=x.so\nConcurrency=unit\nWatchdogSec=1s\n", 0, ""); /* its loop feeds it */
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\nEnvironment=A=1\nLimitNOFILE=5\nUMask=0022\n", 0,
               "4 web.monitor:0 Environment= in section [Actor] does nothing for instances of Unit=: write "
               "it into a drop-in of the template (systemctl edit).\n"
               "4 web.monitor:0 Limit...= in section [Actor] does nothing for instances of Unit=: write it "
               "into a drop-in of the template (systemctl edit).\n");
        expect("[Actor]\nExec=/bin/true\nParams=A=1\n", 0,
               "4 web.monitor:3 Params= is for Module= and does nothing for a program; put arguments into "
               "Exec=.\n");
        expect("[Actor]\nExec=/bin/true\nWorkers=3\n", 0,
               "4 web.monitor:3 Workers= belongs in section [Monitor], not in [Actor], and is ignored "
               "here.\n");
        options.check_programs = true;
        expect("[Actor]\nExec=/nonexistent/x\n", 0,
               "4 web.monitor:0 The program /nonexistent/x is not there (No such file or directory); "
               "install it, or "
               "correct Exec=.\n");
        expect("[Actor]\nExec=/etc/passwd\n", 0,
               "4 web.monitor:0 The program /etc/passwd is not an executable file; check "
               "its mode (chmod +x).\n");
        expect("[Actor]\nExec=sh -c true\n", 0, "");
        expect("[Actor]\nExec=/nonexistent/x\nConcurrency=unit\n[Service]\nRootDirectory=/srv\n", 0, "");
        expect("[Actor]\nModule=/nonexistent/x.so\n", 0,
               "4 web.monitor:0 The module /nonexistent/x.so cannot be read (No such file or directory); "
               "install it, or correct Module=.\n");
        expect("[Actor]\nModule=/etc/passwd\n", 0, ""); /* what it is shows when it is loaded */
        options.check_programs = false;
}

static void test_require_user(void **state) {
        options.require_user = true;
        expect("[Actor]\nExec=/bin/true\n", -EBADMSG,
               "3 web.monitor:0 This arbiter is root and runs an actor as root only when told so; add "
               "User=NAME to section "
               "[Actor], or User=root.\n");
        expect("[Actor]\nExec=/bin/true\nUser=root\n", 0, "");
        expect(UNIT "[Service]\nDynamicUser=yes\n", 0, "");
        expect(UNIT "[Service]\nDynamicUser=yes\nDynamicUser=no\n", -EBADMSG,
               "3 web.monitor:0 This arbiter is root and runs an actor as root only when told so; add "
               "User=NAME to section [Actor], or User=root.\n");
        expect("[Actor]\nConcurrency=unit\nUnit=x@.service\n", 0, "");
        expect("[Actor]\nExec=/bin/true\nUser=root\nUser=\n", -EBADMSG,
               "3 web.monitor:0 This arbiter is root and runs an actor as root only when told so; add "
               "User=NAME to section "
               "[Actor], or User=root.\n");
        options.require_user = false;
}

static void test_order(void **state) {
        static const char *const expected[] = { "z", "a", "a-b", "m", "x", "y" };
        struct config *c;

        put(etc, "a.monitor", "[Monitor]\nAfter=z.monitor\n[Actor]\nExec=/bin/true\n");
        put(etc, "a-b.monitor", "[Actor]\nExec=/bin/true\n");
        put(etc, "m.monitor", "[Monitor]\nAfter=nothing\n[Actor]\nExec=/bin/true\n");
        put(etc, "x.monitor", "[Monitor]\nAfter=\n[Actor]\nExec=/bin/true\n");
        put(etc, "y.monitor", "[Monitor]\nAfter=x\n[Actor]\nExec=/bin/true\n");
        put(etc, "z.monitor", "[Monitor]\nAfter=a\n[Actor]\nExec=/bin/true\n");
        c = load();
        assert_string_equal(messages, "4 z.monitor:2 After=a closes a circle of After=; the ordering is "
                                      "ignored, remove it from one "
                                      "of the files.\n"
                                      "4 m.monitor:2 After=nothing names no monitor that is loaded; the "
                                      "ordering is ignored.\n");
        assert_int_equal(c->n_monitors, 6);
        for (size_t i = 0; i < 6; i++)
                assert_string_equal(c->order[i]->name, expected[i]);
        assert_string_equal(c->monitors[0]->name, "a"); /* by name, not by file name */
        assert_string_equal(c->monitors[1]->name, "a-b");
        config_free(c);
}

static void test_daemon(void **state) {
        struct config *c;

        put(etc, "arbiterd.conf",
            "[Arbiter]\nPidFile=%t/pid\nProcessName=arb\nLogLevel=debug\nDefaultTimeoutStopSec=9s\n");
        put(etc, "arbiterd.conf.d/x.conf", "[Arbiter]\nDefaultTimeoutSec=1s\n");
        put(etc, "a.actor", "[Actor]\nExec=/bin/true\nTimeoutStopSec=1\nTimeoutStopSec=\n");
        c = load();
        assert_string_equal(messages, "");
        assert_string_equal(c->daemon.pid_file, "/run/arbiter/pid");
        assert_string_equal(c->daemon.process_name, "arb");
        assert_int_equal(c->daemon.log_level, 7);
        assert_int_equal(c->actors[0]->timeout_stop_usec, 9 * USEC_PER_SEC);
        assert_int_equal(c->actors[0]->timeout_usec, USEC_PER_SEC);
        config_free(c);

        put(etc, "arbiterd.conf", "[Arbiter]\nLogLevel=loud\n");
        c = load();
        assert_string_equal(messages, "3 arbiterd.conf:2 LogLevel=loud is not a log level: emerg, alert, "
                                      "crit, err, warning, "
                                      "notice, info or debug.\n");
        assert_string_equal(c->failed[0], "arbiterd.conf");
        assert_int_equal(c->daemon.default_timeout_stop_usec, 5 * USEC_PER_SEC);
        assert_int_equal(c->n_actors, 1);
        config_free(c);
}

static void test_check_file(void **state) {
        char path[128];

        put(etc, "web.monitor", "[Actor]\nExec=/bin/true\n");
        put(etc, "web.monitor.d/x.conf", "[Actor]\nNice=x\n");
        (void) snprintf(path, sizeof(path), "%s/web.monitor", etc);
        messages[0] = 0;
        assert_errno(config_check_file(&options, path), EBADMSG);
        assert_string_equal(messages, "3 x.conf:2 Nice=x is not a nice level from -20 (favoured) to 19.\n");
        put(etc, "web.monitor.d/x.conf", "");
        messages[0] = 0;
        assert_ok(config_check_file(&options, path));
        assert_string_equal(messages, "");
        (void) snprintf(path, sizeof(path), "%s/missing.actor", etc);
        assert_errno(config_check_file(&options, path), EBADMSG);
        assert_non_null(strstr(messages, "3 missing.actor:0 The file cannot be read: No such file or "
                                         "directory."));
        assert_errno(config_check_file(&options, "/etc/passwd"), EINVAL);
        assert_errno(config_check_buffer(&options, "x.service", "", 0), EINVAL);
        assert_ok(config_check_buffer(&options, "arbiterd.conf", "", 0));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_nothing),
                TEST(test_defaults),
                TEST(test_everything),
                TEST(test_sockets),
                TEST(test_more_of_sockets),
                TEST(test_dropins_and_masks),
                TEST(test_bad_file_beside_good_ones),
                TEST(test_bad_lines),
                TEST(test_bad_exec),
                TEST(test_bad_values),
                TEST(test_pool),
                TEST(test_tree_pool_keys),
                TEST(test_bad_units),
                TEST(test_units),
                TEST(test_other_files),
                TEST(test_bad_addresses),
                TEST(test_warnings),
                TEST(test_require_user),
                TEST(test_order),
                TEST(test_daemon),
                TEST(test_check_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
