/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fake-systemd.h. */

#include "test-util.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/systemd.h"
#include "fake-systemd.h"

static char *path_of(struct fake_systemd *f, unsigned n) {
        char *path;

        assert_ok(sd_bus_path_encode(SYSTEMD_UNIT_PATH, f->started[n], &path));
        return path;
}

static int reply_string(sd_bus_message *m, const char *s) {
        return sd_bus_reply_method_return(m, "v", "s", s);
}

static int reply_job(struct fake_systemd *f, sd_bus_message *m, unsigned n) {
        char job[64];

        const char *error = f->error;

        if (error && f->n_errors > 0 && --f->n_errors == 0)
                f->error = NULL;
        if (error)
                return sd_bus_reply_method_errorf(m, error, "no");
        (void) snprintf(job, sizeof(job), "%s/job/%u", SYSTEMD_PATH, n);
        return sd_bus_reply_method_return(m, "o", job);
}

static void remember_settings(struct fake_systemd *f, sd_bus_message *m) {
        const char *name;

        *f->settings = 0;
        assert_true(sd_bus_message_enter_container(m, 'a', "(sv)") > 0);
        while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
                assert_true(sd_bus_message_read_basic(m, 's', &name) > 0);
                assert_true(sd_bus_message_skip(m, "v") > 0);
                assert_true(sd_bus_message_exit_container(m) > 0);
                assert_true(strlen(f->settings) + strlen(name) + 2 < sizeof(f->settings));
                (void) strcat(strcat(f->settings, name), " ");
        }
        assert_true(sd_bus_message_exit_container(m) > 0);
}

static int on_start(struct fake_systemd *f, sd_bus_message *m, bool transient) {
        const char *name, *mode;

        assert_true(sd_bus_message_read(m, "ss", &name, &mode) > 0);
        assert_string_equal(mode, "fail");
        assert_true(f->n_starts < FAKE_UNITS_MAX);
        (void) snprintf(f->started[f->n_starts], sizeof(f->started[0]), "%s", name);
        if (transient)
                remember_settings(f, m);
        else
                f->n_instances++;
        f->n_starts++;
        return f->mute ? 1 : reply_job(f, m, f->n_starts - 1);
}

static int on_stop(struct fake_systemd *f, sd_bus_message *m) {
        const char *name, *mode;

        assert_true(sd_bus_message_read(m, "ss", &name, &mode) > 0);
        assert_true(f->n_stops < FAKE_UNITS_MAX);
        (void) snprintf(f->stopped[f->n_stops++], sizeof(f->stopped[0]), "%s", name);
        return f->mute ? 1 : sd_bus_reply_method_return(m, "o", SYSTEMD_PATH "/job/1000");
}

static int on_load(struct fake_systemd *f, sd_bus_message *m) {
        const char *name;

        assert_true(sd_bus_message_read(m, "s", &name) > 0);
        (void) snprintf(f->loaded, sizeof(f->loaded), "%s", name);
        return sd_bus_reply_method_return(m, "o", SYSTEMD_UNIT_PATH "/x");
}

static int on_kill(struct fake_systemd *f, sd_bus_message *m) {
        const char *name, *who;

        assert_true(sd_bus_message_read(m, "ssi", &name, &who, &f->kill_signal) > 0);
        (void) snprintf(f->killed, sizeof(f->killed), "%s", name);
        (void) snprintf(f->kill_who, sizeof(f->kill_who), "%s", who);
        f->n_kills++;
        return sd_bus_reply_method_return(m, NULL);
}

static void append_fields(struct fake_systemd *f, sd_bus_message *m) {
        assert_ok(sd_bus_message_open_container(m, 'v', "aay"));
        assert_ok(sd_bus_message_open_container(m, 'a', "ay"));
        assert_ok(sd_bus_message_append_array(m, 'y', f->all_mark, strlen(f->all_mark)));
        assert_ok(sd_bus_message_close_container(m));
        assert_ok(sd_bus_message_close_container(m));
}

static int reply_fields(struct fake_systemd *f, sd_bus_message *m) {
        sd_bus_message *reply = NULL;
        int r;

        assert_ok(sd_bus_message_new_method_return(m, &reply));
        append_fields(f, reply);
        r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int on_get(struct fake_systemd *f, sd_bus_message *m) {
        const char *interface, *name;

        assert_true(sd_bus_message_read(m, "ss", &interface, &name) > 0);
        if (strcmp(name, "Version") == 0)
                return reply_string(m, "249.11");
        if (strcmp(name, "LogExtraFields") == 0)
                return reply_fields(f, m);
        if (strcmp(name, "LoadState") == 0)
                return reply_string(m, f->load_state);
        if (strcmp(name, "ActiveState") == 0)
                return reply_string(m, f->active_state);
        if (strcmp(name, "Id") == 0)
                return reply_string(m, f->id ? f->id : f->loaded);
        if (strcmp(name, "Type") == 0)
                return reply_string(m, f->type);
        if (strcmp(name, "RemainAfterExit") == 0)
                return sd_bus_reply_method_return(m, "v", "b", f->remain_after_exit);
        assert_string_equal(name, "Restart");
        return reply_string(m, f->restart);
}

static void append_invocation(sd_bus_message *m, unsigned life) {
        const uint8_t invocation[16] = { (uint8_t) life };

        assert_ok(sd_bus_message_open_container(m, 'e', "sv"));
        assert_ok(sd_bus_message_append(m, "s", "InvocationID"));
        assert_ok(sd_bus_message_open_container(m, 'v', "ay"));
        assert_ok(sd_bus_message_append_array(m, 'y', invocation, life > 0 ? sizeof(invocation) : 0));
        assert_ok(sd_bus_message_close_container(m));
        assert_ok(sd_bus_message_close_container(m));
}

const char *fake_invocation(unsigned life) {
        static char text[33];

        (void) snprintf(text, sizeof(text), "%02x%030d", life & 0xff, 0);
        return text;
}

static int on_get_all_unit(struct fake_systemd *f, sd_bus_message *m) {
        const char *job = f->all_has_job ? SYSTEMD_PATH "/job/0" : "/";
        sd_bus_message *reply = NULL;
        int r;

        assert_ok(sd_bus_message_new_method_return(m, &reply));
        assert_ok(sd_bus_message_open_container(reply, 'a', "{sv}"));
        assert_ok(sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}", "LoadState", "s", f->all_load_state,
                        "ActiveState", "s", f->all_active_state, "Job", "(uo)",
                        (uint32_t) f->all_has_job, job, "InactiveExitTimestampMonotonic", "t",
                        f->all_begun_usec, "Following", "s", ""));
        append_invocation(reply, f->all_life);
        assert_ok(sd_bus_message_close_container(reply));
        r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* An array of bytes in an array cannot be appended by one call. */
static int on_get_all_service(struct fake_systemd *f, sd_bus_message *m) {
        sd_bus_message *reply = NULL;
        int r;

        assert_ok(sd_bus_message_new_method_return(m, &reply));
        assert_ok(sd_bus_message_open_container(reply, 'a', "{sv}"));
        assert_ok(sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}", "Result", "s", f->all_result, "MainPID",
                        "u", f->all_pid, "ExecMainCode", "i", f->all_code, "ExecMainStatus", "i",
                        f->all_status));
        assert_ok(sd_bus_message_open_container(reply, 'e', "sv"));
        assert_ok(sd_bus_message_append(reply, "s", "LogExtraFields"));
        append_fields(f, reply);
        assert_ok(sd_bus_message_close_container(reply));
        assert_ok(sd_bus_message_close_container(reply));
        r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* All that there is. */
static int on_patterns(struct fake_systemd *f, sd_bus_message *m) {
        sd_bus_message *reply = NULL;
        int r;

        assert_ok(sd_bus_message_new_method_return(m, &reply));
        assert_ok(sd_bus_message_open_container(reply, 'a', "(ssssssouso)"));
        for (unsigned i = 0; i < f->n_starts; i++) {
                char *path = path_of(f, i);

                assert_ok(sd_bus_message_append(reply, "(ssssssouso)", f->started[i], "", f->all_load_state,
                                f->all_active_state, "", "", path, 0U, "", "/"));
                free(path);
        }
        assert_ok(sd_bus_message_close_container(reply));
        r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int on_list(struct fake_systemd *f, sd_bus_message *m) {
        sd_bus_message *reply = NULL;
        const char *name;
        int r;

        assert_ok(sd_bus_message_new_method_return(m, &reply));
        assert_ok(sd_bus_message_open_container(reply, 'a', "(ssssssouso)"));
        assert_true(sd_bus_message_enter_container(m, 'a', "s") > 0);
        while (sd_bus_message_read_basic(m, 's', &name) > 0)
                assert_ok(sd_bus_message_append(reply, "(ssssssouso)", name, "", f->all_load_state,
                                f->all_active_state, "", "", "/", 0U, "", "/"));
        assert_ok(sd_bus_message_close_container(reply));
        r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        f->n_lists++;
        return r < 0 ? r : 1;
}

static int dispatch(struct fake_systemd *f, sd_bus_message *m, const char *member) {
        const char *interface;

        if (strcmp(member, "StartTransientUnit") == 0)
                return on_start(f, m, true);
        if (strcmp(member, "StartUnit") == 0)
                return on_start(f, m, false);
        if (strcmp(member, "StopUnit") == 0)
                return on_stop(f, m);
        if (strcmp(member, "KillUnit") == 0)
                return on_kill(f, m);
        if (strcmp(member, "Get") == 0)
                return on_get(f, m);
        if (strcmp(member, "GetAll") == 0) {
                f->n_queries++;
                if (f->query_mute)
                        return 1;
                if (f->query_error)
                        return sd_bus_reply_method_errorf(m, TAKE_PTR(f->query_error), "no");
                assert_true(sd_bus_message_read(m, "s", &interface) > 0);
                return strcmp(interface, SYSTEMD_UNIT) == 0 ? on_get_all_unit(f, m)
                                                            : on_get_all_service(f, m);
        }
        if (strcmp(member, "ListUnitsByPatterns") == 0)
                return on_patterns(f, m);
        if (strcmp(member, "ListUnitsByNames") == 0)
                return on_list(f, m);
        if (strcmp(member, "LoadUnit") == 0)
                return on_load(f, m);
        if (strcmp(member, "ResetFailedUnit") == 0)
                f->n_resets++;
        return sd_bus_reply_method_return(m, NULL); /* Subscribe */
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *member = sd_bus_message_get_member(m);
        uint8_t type;

        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL || !member)
                return 0;
        return dispatch(userdata, m, member);
}

static int on_accept(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct fake_systemd *f = userdata;
        sd_id128_t id;
        int peer;

        peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(peer >= 0);
        sd_bus_close_unref(f->bus);
        f->n_connections++;
        assert_ok(sd_id128_randomize(&id));
        assert_ok(sd_bus_new(&f->bus));
        assert_ok(sd_bus_set_fd(f->bus, peer, peer));
        assert_ok(sd_bus_set_server(f->bus, 1, id));
        assert_ok(sd_bus_set_anonymous(f->bus, 1));
        assert_ok(sd_bus_negotiate_fds(f->bus, 1));
        assert_ok(sd_bus_add_filter(f->bus, NULL, on_message, f));
        assert_ok(sd_bus_start(f->bus));
        assert_ok(sd_bus_attach_event(f->bus, f->event, SD_EVENT_PRIORITY_NORMAL));
        return 0;
}

void fake_systemd_open(struct fake_systemd *f, sd_event *event) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        *f = (struct fake_systemd){
                .event = event,
                .load_state = "loaded",
                .active_state = "inactive",
                .restart = "no",
                .type = "simple",
                .all_load_state = "loaded",
                .all_active_state = "active",
                .all_result = "success",
                .all_mark = "",
        };
        (void) strcpy(f->directory, "/tmp/test-systemd-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void) snprintf(f->address, sizeof(f->address), "unix:path=%s/private", f->directory);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/private", f->directory);
        f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(f->fd >= 0);
        assert_int_equal(bind(f->fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(f->fd, 4), 0);
        assert_ok(sd_event_add_io(event, &f->source, f->fd, EPOLLIN, on_accept, f));
}

void fake_systemd_close(struct fake_systemd *f) {
        char path[64];

        sd_bus_close_unref(f->bus);
        sd_event_source_disable_unref(f->source);
        (void) close(f->fd);
        (void) snprintf(path, sizeof(path), "%s/private", f->directory);
        (void) unlink(path);
        assert_int_equal(rmdir(f->directory), 0);
}

void fake_systemd_hang_up(struct fake_systemd *f) {
        f->bus = sd_bus_close_unref(f->bus);
}

/* What it tells. */

static sd_bus_message *new_change(struct fake_systemd *f, unsigned n, const char *interface) {
        char *path = path_of(f, n);
        sd_bus_message *m;

        assert_ok(sd_bus_message_new_signal(
                        f->bus, &m, path, "org.freedesktop.DBus.Properties", "PropertiesChanged"));
        assert_ok(sd_bus_message_append(m, "s", interface));
        free(path);
        return m;
}

static void send_change(struct fake_systemd *f, sd_bus_message *m) {
        assert_ok(sd_bus_message_append(m, "as", 0));
        assert_ok(sd_bus_send(f->bus, m, NULL));
        sd_bus_message_unref(m);
}

unsigned fake_existing(struct fake_systemd *f, const char *name) {
        assert_true(f->n_starts < FAKE_UNITS_MAX);
        (void) snprintf(f->started[f->n_starts], sizeof(f->started[0]), "%s", name);
        return f->n_starts++;
}

void fake_process(struct fake_systemd *f, unsigned n, unsigned pid, unsigned life) {
        sd_bus_message *m;

        m = new_change(f, n, SYSTEMD_SERVICE);
        assert_ok(sd_bus_message_append(m, "a{sv}", 2, "MainPID", "u", pid, "Result", "s", "success"));
        send_change(f, m);
        m = new_change(f, n, SYSTEMD_UNIT);
        assert_ok(sd_bus_message_open_container(m, 'a', "{sv}"));
        assert_ok(sd_bus_message_append(m, "{sv}", "ActiveState", "s", "active"));
        append_invocation(m, life);
        assert_ok(sd_bus_message_close_container(m));
        send_change(f, m);
}

void fake_state(struct fake_systemd *f, unsigned n, const char *state) {
        sd_bus_message *m = new_change(f, n, SYSTEMD_UNIT);

        assert_ok(sd_bus_message_append(m, "a{sv}", 1, "ActiveState", "s", state));
        send_change(f, m);
}

void fake_end(struct fake_systemd *f, unsigned n, const char *state, const char *result, int code,
                int status) {
        sd_bus_message *m = new_change(f, n, SYSTEMD_SERVICE);

        assert_ok(sd_bus_message_append(m, "a{sv}", 4, "MainPID", "u", 0U, "Result", "s", result,
                        "ExecMainCode", "i", code, "ExecMainStatus", "i", status));
        send_change(f, m);
        fake_state(f, n, state);
}

static void emit_job(struct fake_systemd *f, const char *member, const char *job, const char *unit,
                const char *result) {
        sd_bus_message *m;

        assert_ok(sd_bus_message_new_signal(f->bus, &m, SYSTEMD_PATH, SYSTEMD_MANAGER, member));
        assert_ok(sd_bus_message_append(m, "uos", 1U, job, unit));
        if (result)
                assert_ok(sd_bus_message_append(m, "s", result));
        assert_ok(sd_bus_send(f->bus, m, NULL));
        sd_bus_message_unref(m);
}

void fake_job_removed(struct fake_systemd *f, unsigned n, const char *result) {
        char job[64];

        (void) snprintf(job, sizeof(job), "%s/job/%u", SYSTEMD_PATH, n);
        emit_job(f, "JobRemoved", job, f->started[n], result);
}

void fake_job_new(struct fake_systemd *f, unsigned n, const char *job) {
        emit_job(f, "JobNew", job, f->started[n], NULL);
}

void fake_foreign_job_removed(struct fake_systemd *f, unsigned n, const char *job) {
        emit_job(f, "JobRemoved", job, f->started[n], "done");
}

void fake_reloading(struct fake_systemd *f, bool active) {
        assert_ok(sd_bus_emit_signal(f->bus, SYSTEMD_PATH, SYSTEMD_MANAGER, "Reloading", "b", (int)active));
}

void fake_removed(struct fake_systemd *f, unsigned n) {
        char *path = path_of(f, n);

        assert_ok(sd_bus_emit_signal(
                        f->bus, SYSTEMD_PATH, SYSTEMD_MANAGER, "UnitRemoved", "so", f->started[n], path));
        free(path);
}
