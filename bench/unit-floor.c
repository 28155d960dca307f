/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The least that it takes to have systemd start N units of a program: StartTransientUnit, so many jobs at a
 * time, and no more than what a unit needs. For bench/units, in a booted systemd, as root.
 *
 *   unit-floor N WINDOW PROGRAM [ARGUMENT...]
 *
 * prints how many microseconds it took until all ran; ends them at EOF. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "bench.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define MANAGER SYSTEMD ".Manager"

static unsigned n_done;

static int check(int r, const char *what) {
        if (r < 0)
                bench_die(what, r);
        return r;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const char *job, *unit, *result;
        uint32_t id;

        check(sd_bus_message_read(m, "uoss", &id, &job, &unit, &result), "JobRemoved");
        if (strncmp(unit, "bench-floor-", strlen("bench-floor-")) != 0)
                return 0;
        if (strcmp(result, "done") != 0)
                bench_die(unit, -EPROTO);
        n_done++;
        return 0;
}

static void append_command(sd_bus_message *m, char **argv) {
        check(sd_bus_message_open_container(m, 'r', "sv"), "message");
        check(sd_bus_message_append(m, "s", "ExecStart"), "message");
        check(sd_bus_message_open_container(m, 'v', "a(sasb)"), "message");
        check(sd_bus_message_open_container(m, 'a', "(sasb)"), "message");
        check(sd_bus_message_open_container(m, 'r', "sasb"), "message");
        check(sd_bus_message_append(m, "s", argv[0]), "message");
        check(sd_bus_message_append_strv(m, argv), "message");
        check(sd_bus_message_append(m, "b", 0), "message");
        for (unsigned i = 0; i < 4; i++)
                check(sd_bus_message_close_container(m), "message");
}

static void start(sd_bus *bus, unsigned n, char **argv) {
        sd_bus_message *m = NULL;
        char name[64];

        (void) snprintf(name, sizeof(name), "bench-floor-%u.service", n);
        check(sd_bus_message_new_method_call(bus, &m, SYSTEMD, PATH, MANAGER, "StartTransientUnit"),
                        "message");
        check(sd_bus_message_append(m, "ss", name, "fail"), "message");
        check(sd_bus_message_open_container(m, 'a', "(sv)"), "message");
        check(sd_bus_message_append(m, "(sv)(sv)(sv)", "Type", "s", "exec", "CollectMode", "s",
                        "inactive-or-failed", "Slice", "s", "bench-floor.slice"),
                        "message");
        append_command(m, argv);
        check(sd_bus_message_close_container(m), "message");
        check(sd_bus_message_append(m, "a(sa(sv))", 0), "message");
        check(sd_bus_call_async(bus, NULL, m, NULL, NULL, 0), "StartTransientUnit");
        sd_bus_message_unref(m);
}

static void stop_all(sd_bus *bus) {
        char byte;

        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
        check(sd_bus_call_method(bus, SYSTEMD, PATH, MANAGER, "StopUnit", NULL, NULL, "ss",
                        "bench-floor.slice", "replace"),
                        "StopUnit");
}

int main(int argc, char **argv) {
        unsigned n, window, n_started = 0;
        sd_bus *bus = NULL;
        double t;

        if (argc < 4)
                bench_die("N WINDOW PROGRAM [ARGUMENT...]", -EINVAL);
        n = (unsigned) atoi(argv[1]);
        window = (unsigned) atoi(argv[2]);
        check(sd_bus_open_system(&bus), "bus");
        check(sd_bus_match_signal(bus, NULL, SYSTEMD, PATH, MANAGER, "JobRemoved", on_job_removed, NULL),
                        "match");
        check(sd_bus_call_method(bus, SYSTEMD, PATH, MANAGER, "Subscribe", NULL, NULL, NULL), "Subscribe");
        t = now_us();
        while (n_done < n) {
                int r;

                while (n_started < n && n_started - n_done < window)
                        start(bus, n_started++, argv + 3);
                r = check(sd_bus_process(bus, NULL), "bus");
                if (r == 0)
                        check(sd_bus_wait(bus, UINT64_MAX), "bus");
        }
        printf("%.0f\n", now_us() - t);
        (void) fflush(stdout);
        stop_all(bus);
        sd_bus_flush_close_unref(bus);
        return 0;
}
