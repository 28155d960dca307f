/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts transient units with settings as arbiter types them. Called by test-unit-settings.py, in the box.
 *
 * transient-unit table: the table, a line each: NAME, tab, example; or NAME, tab, tab, refusal.
 * transient-unit start: of each line UNIT, then tab and NAME=VALUE any number of times, starts a unit that
 * sleeps; a line each: UNIT, tab, "ok" or the error. */

#include <stdio.h>

#include <systemd/sd-bus.h>

#include "arbiter/unit-settings.h"
#include "bus/convert.h"

static int print_table(void) {
        struct unit_setting_info s;

        for (unsigned i = 0; unit_setting_get(i, &s); i++)
                (void)printf("%s\t%s\t%s\n", s.name, s.example ? s.example : "", s.refusal ? s.refusal : "");
        return 0;
}

static int append(sd_bus_message *m, const struct unit_property *p) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', p->name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', p->signature);
        if (r >= 0)
                r = arbiter_message_rewind(p->value, true);
        if (r >= 0)
                r = convert_to_bus(p->value, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int start(sd_bus *bus, const char *unit, const struct unit_properties *p, sd_bus_error *error) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                           "org.freedesktop.systemd1.Manager", "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)", "ExecStart", "a(sasb)", 1, "/bin/sleep", 2,
                                "/bin/sleep", "1000", 0);
        for (size_t i = 0; r >= 0 && i < p->n; i++)
                r = append(m, &p->items[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_call(bus, m, 0, error, NULL);
        sd_bus_message_unref(m);
        return r;
}

static void start_line(sd_bus *bus, char *line) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct unit_properties p = {};
        char *save = NULL, *unit = strtok_r(line, "\t", &save), *text = NULL;
        int r = 0;

        for (char *s = strtok_r(NULL, "\t", &save); s && r >= 0; s = strtok_r(NULL, "\t", &save)) {
                char *equals = strchr(s, '=');

                *equals = 0;
                r = unit_properties_assign(&p, s, equals + 1, &text);
        }
        if (r >= 0)
                r = start(bus, unit, &p, &error);
        (void) printf("%s\t%s\n", unit,
                      r >= 0          ? "ok"
                      : text          ? text
                      : error.message ? error.message
                                      : strerror(-r));
        free(text);
        unit_properties_done(&p);
        sd_bus_error_free(&error);
}

int main(int argc, char *argv[]) {
        char *line = NULL;
        size_t size = 0;
        sd_bus *bus;
        ssize_t n;

        if (argc != 2 || (!streq(argv[1], "table") && !streq(argv[1], "start")))
                return EXIT_FAILURE;
        if (streq(argv[1], "table"))
                return print_table();
        if (sd_bus_open_system(&bus) < 0)
                return EXIT_FAILURE;
        while ((n = getline(&line, &size, stdin)) > 0) {
                line[n - 1] = 0;
                start_line(bus, line);
        }
        free(line);
        sd_bus_flush_close_unref(bus);
        return EXIT_SUCCESS;
}
