/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The three interfaces, and the operator's verbs that they share. */

#include "bus/face.h"

extern const sd_bus_vtable bus_manager_vtable[], bus_monitor_vtable[], bus_actor_vtable[];

/* Fallbacks and enumerators: objects exist because the arbiter has them, nothing is registered for each. */
int bus_actor_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *error);
int bus_monitor_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *error);
int bus_actor_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error);
int bus_monitor_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error);

/* Method calls with their target known; they return what the handler returns. target is used before anything
 * is called that could make it stale. */
int bus_verb_ping(struct bus_connection *c, sd_bus_message *m, const char *target, sd_bus_error *error);
int bus_verb_stop(struct bus_connection *c, sd_bus_message *m, const char *target, sd_bus_error *error);
int bus_verb_kill(struct bus_connection *c, sd_bus_message *m, const char *target, int signo,
                sd_bus_error *error);
int bus_verb_restart(struct bus_connection *c, sd_bus_message *m, const char *target, sd_bus_error *error);
int bus_verb_scale(struct bus_connection *c, sd_bus_message *m, const char *monitor, uint32_t workers,
                sd_bus_error *error);
int bus_verb_reload(struct bus_connection *c, sd_bus_message *m, const char *monitor, sd_bus_error *error);
int bus_verb_abort_roll(struct bus_connection *c, sd_bus_message *m, const char *monitor,
                sd_bus_error *error);
int bus_verb_reexecute(struct bus_connection *c, sd_bus_message *m, sd_bus_error *error);
/* The message's cursor is at the arguments: av, a{sv}. */
int bus_verb_send(struct bus_connection *c, sd_bus_message *m, const char *target, const char *command,
                sd_bus_error *error);
int bus_verb_spawn(struct bus_connection *c, sd_bus_message *m, sd_bus_error *error);

/* tree.c: of a monitor. */
int bus_method_list_children(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_count_children(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_add_child(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_remove_child(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_terminate_child(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_restart_child(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* report.c: of the manager. */
/* Answers with an array, whose elements append() makes of rows of this size. */
int bus_reply_rows(sd_bus_message *m, const char *type, const void *rows, size_t n, size_t size,
                int (*append)(sd_bus_message *reply, const void *row));
int bus_method_list_deaths(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_why(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_get_arbiter_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* log-control.c: org.freedesktop.LogControl1. A Set by way of a bus is authorised before sd-bus sees it: a
 * setter cannot wait. */
int bus_log_control_register(struct bus_connection *c);
bool bus_log_control_is_set(sd_bus_message *m);

/* signals.c: what the arbiter's changes say to all connections. */
int bus_signals_start(struct bus_face *f);
void bus_signals_stop(struct bus_face *f);
