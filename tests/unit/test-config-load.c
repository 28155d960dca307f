/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterd/config-load: what a pool makes of what its workers do. */

#include "test-config-util.h"

static const struct monitor_config *load_web(struct config **ret, const char *monitor, const char *actor) {
        char text[1024];

        (void) snprintf(text, sizeof(text), "[Monitor]\n%s[Actor]\n%s", monitor, actor);
        put(etc, "web.monitor", text);
        *ret = load();
        return (*ret)->n_monitors > 0 ? (*ret)->monitors[0] : NULL;
}

static void test_values(void **state) {
        struct config *c;
        const struct monitor_config *m = load_web(&c, "", "Module=x.so\n");

        assert_int_equal(m->load.workers_max, 0);
        assert_int_equal(m->load.recycle_spread_percent, 10);
        config_free(c);
        m = load_web(&c,
                     "MaxRequests=1000\nRuntimeMaxSec=1d\nMaxMemory=1M\nRecycleSpread=25%\nWorkersMin=2\n"
                     "WorkersMax=8\nScaleUpLoad=150%\nScaleDownLoad=40\nScaleUpSec=2s\nScaleDownSec=2min\n",
                     "Module=x.so\n");
        assert_string_equal(messages, "");
        assert_int_equal(m->load.requests_max, 1000);
        assert_int_equal(m->load.runtime_max_usec, 86400 * USEC_PER_SEC);
        assert_int_equal(m->load.memory_max, 1024 * 1024);
        assert_int_equal(m->load.recycle_spread_percent, 25);
        assert_int_equal(m->load.workers_min, 2);
        assert_int_equal(m->load.workers_max, 8);
        assert_int_equal(m->load.scale_up_percent, 150);
        assert_int_equal(m->load.scale_down_percent, 40);
        assert_int_equal(m->load.scale_up_usec, 2 * USEC_PER_SEC);
        assert_int_equal(m->load.scale_down_usec, 120 * USEC_PER_SEC);
        assert_int_equal(m->workers, 2); /* it is not written: the least */
        config_free(c);
        m = load_web(&c, "Workers=5\nWorkersMax=8\nMaxRequests=\nScaleUpLoad=\n", "Module=x.so\n");
        assert_int_equal(m->workers, 5);
        assert_int_equal(m->load.scale_up_percent, 80);
        config_free(c);
}

static void assert_refused(const char *monitor, const char *actor, const char *said) {
        struct config *c;

        if (load_web(&c, monitor, actor))
                fail_msg("it is taken: %s", monitor);
        if (!strstr(messages, said))
                fail_msg("'%s' is not said, but: %s", said, messages);
        config_free(c);
}

static void test_contradictions(void **state) {
        const char *module = "Module=x.so\n", *program = "Exec=/bin/true\n";
        struct config *c;

        assert_refused("MaxRequests=5\n", program, "web.monitor:2 MaxRequests= counts messages");
        assert_refused("MaxMemory=5M\n", "Module=x.so\nConcurrency=thread\n", "web.monitor:2 MaxMemory=");
        assert_refused("WorkersMax=4\nWorkersMin=5\n", module, "web.monitor:3 WorkersMin= is greater");
        assert_refused("WorkersMax=4\nScaleDownLoad=80%\n", module, "ScaleDownLoad= is not below");
        assert_refused("WorkersMax=4\nWorkers=5\n", module, "web.monitor:3 Workers=, with which");
        assert_refused("WorkersMin=2\nWorkersMax=4\nWorkers=1\n", module, "leave it out");
        assert_refused("ScaleUpLoad=80.5%\n", module, "write for example ScaleUpLoad=80%");
        assert_refused("ScaleUpLoad=%\n", module, "a load in percent");
        assert_refused("ScaleUpLoad=1111111111111111111111%\n", module, "a load in percent");
        assert_refused("RecycleSpread=101%\n", module, "from 0 to 100");
        assert_refused("WorkersMin=0\n", module, "WorkersMin=2");
        assert_refused("MaxMemory=x\n", module, "MaxMemory=512M");
        assert_non_null(load_web(&c, "WorkersMin=2\n", module));
        assert_non_null(strstr(messages, "have no effect without WorkersMax="));
        config_free(c);
        assert_non_null(load_web(&c, "MaxRequests=5\n", "Exec=/bin/true\nType=mailbox\n"));
        config_free(c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_values),
                TEST(test_contradictions),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
