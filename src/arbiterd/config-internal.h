/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the configuration loader share. */

#include <stdio.h>

#include "arbiterd/config.h"

/* Where a key was last assigned, for checks that need more than one key. */
enum place_key {
        PLACE_CONCURRENCY,
        PLACE_TYPE,
        PLACE_PARAMS,
        PLACE_WATCHDOG,
        PLACE_BACKOFF,
        PLACE_AFTER,
        PLACE_SERVICE,
        PLACE_UNIT,
        PLACE_USER,
        PLACE_SOCKETS,
        PLACE_REUSE_PORT,
        PLACE_FD_NAME,
        PLACE_WORKERS,
        PLACE_SCALE,
        PLACE_REQUESTS,
        PLACE_MEMORY,
        PLACE_STRATEGY,
        PLACE_CHILDREN,
        PLACE_AUTO_SHUTDOWN,
        PLACE_SIGNIFICANT,
        PLACE_ACTOR_SIGNIFICANT,
        PLACE_SHUTDOWN,
        PLACE_ROLL,
        PLACE_BREAKER,
        PLACE_POOL_KEYS, /* and so on, those that mean nothing without workers: config-pool.c */
        PLACE_POOL_KEYS_END = PLACE_POOL_KEYS + 10,
        PLACE_PROBES = PLACE_POOL_KEYS_END, /* and so on, by kind */
        N_PLACES = PLACE_PROBES + CONFIG_PROBES
};

struct place {
        const char *file; /* borrowed; NULL: not assigned */
        unsigned line;
};

/* What the parse functions find in parser->options. */
struct load_context {
        const struct config_options *options;
        const char *name;     /* "web" */
        bool pool;            /* a .monitor */
        struct place *places; /* N_PLACES */
};

/* Every file of workers is read into a monitor_config; of a .actor only ->actor counts. */
extern const struct conf_item config_monitor_items[], config_actor_items[], config_daemon_items[];

void config_init_daemon(struct daemon_config *d);
void config_init_monitor(struct monitor_config *m, const struct daemon_config *d);

/* With the place of that key. */
void config_complain_at(const struct load_context *l, enum conf_level level, enum place_key key,
                        const char *path, const char *text);

/* config-tree.c: monitors of different children */
int config_parse_strategy(const struct conf_context *c, const char *value, void *field);
extern const struct conf_foreign config_foreign[];

int config_parse_children(const struct conf_context *c, const char *value, void *field);
int config_parse_auto_shutdown(const struct conf_context *c, const char *value, void *field);
int config_parse_significant(const struct conf_context *c, const char *value, void *field);
int config_parse_shutdown(const struct conf_context *c, const char *value, void *field);
/* What contradicts itself in one file; -EBADMSG (told). */
int config_finish_tree(const struct monitor_config *m, const struct load_context *l, const char *path);
/* How all files fit together: a monitor whose children cannot be is not loaded. */
int config_check_trees(struct config *c, const struct config_options *o);
/* These are children of a monitor that has errors. */
int config_claim(struct config *c, char *const *children);

/* credentials, config-user.c */
int config_parse_user(const struct conf_context *c, const char *value, void *field);
int config_parse_group(const struct conf_context *c, const char *value, void *field);
int config_parse_groups(const struct conf_context *c, const char *value, void *field);
int config_parse_socket_user(const struct conf_context *c, const char *value, void *field);
int config_parse_socket_group(const struct conf_context *c, const char *value, void *field);
int config_resolve_groups(struct actor_config *a, const struct load_context *l, const char *path);

/* Of Exec=, Module= and Unit= there is one: c->key must be it, or is told to be one too many. */
int config_check_exclusive(const struct conf_context *c);

/* settings of units, config-service.c */
int config_parse_unit(const struct conf_context *c, const char *value, void *field);
int config_parse_documentation(const struct conf_context *c, const char *value, void *field);
int config_parse_service(const struct conf_context *c, const char *value, void *field);
/* "20%", which is not a specifier. */
bool config_is_percentage(const char *value);
void config_done_service(struct config_assignment *service, size_t n);
/* Has it other files than the arbiter sees (RootDirectory= and its like)? */
bool config_has_other_files(const struct actor_config *a);
/* Does the definition say that systemd shall find a user for it? */
bool config_has_dynamic_user(const struct actor_config *a);

/* probes, config-probe.c */
int config_parse_probe_exec(const struct conf_context *c, const char *value, void *field);
int config_parse_probe_tcp(const struct conf_context *c, const char *value, void *field);
int config_parse_probe_http(const struct conf_context *c, const char *value, void *field);
int config_parse_probe_host(const struct conf_context *c, const char *value, void *field);
int config_parse_probe_ping(const struct conf_context *c, const char *value, void *field);
int config_parse_probe_time(const struct conf_context *c, const char *value, void *field);
int config_parse_probe_threshold(const struct conf_context *c, const char *value, void *field);
/* What they say together. -EBADMSG (told). */
int config_finish_probes(struct actor_config *a, const struct load_context *l, const char *path);
void config_done_probe(struct config_probe *p);

/* sockets, config-socket.c */
int config_parse_listen(const struct conf_context *c, const char *value, void *field);
int config_parse_passed(const struct conf_context *c, const char *value, void *field);
int config_parse_fd_name(const struct conf_context *c, const char *value, void *field);
int config_parse_device(const struct conf_context *c, const char *value, void *field);
/* What they say together. -EBADMSG (told). */
int config_finish_sockets(struct actor_config *a, const struct load_context *l, const char *path);
void config_done_sockets(struct actor_config *a);

/* what workers do, config-load.c */
int config_parse_workers(const struct conf_context *c, const char *value, void *field);
int config_parse_worker_bound(const struct conf_context *c, const char *value, void *field);
int config_parse_scale_load(const struct conf_context *c, const char *value, void *field);
int config_parse_scale_time(const struct conf_context *c, const char *value, void *field);
int config_parse_requests(const struct conf_context *c, const char *value, void *field);
int config_parse_memory(const struct conf_context *c, const char *value, void *field);
int config_parse_spread(const struct conf_context *c, const char *value, void *field);
void config_init_load(struct monitor_config *m);
/* What they say together; Workers= follows WorkersMin=. -EBADMSG (told). */
int config_finish_load(struct monitor_config *m, const struct load_context *l, const char *path);
void config_put_load(FILE *f, const struct monitor_config *m);

/* pools, config-pool.c */
int config_parse_share(const struct conf_context *c, const char *value, void *field);
int config_parse_breaker(const struct conf_context *c, const char *value, void *field);
int config_parse_pool_span(const struct conf_context *c, const char *value, void *field);
int config_parse_pool_timeout(const struct conf_context *c, const char *value, void *field);
int config_parse_pool_number(const struct conf_context *c, const char *value, void *field);
int config_parse_pool_word(const struct conf_context *c, const char *value, void *field);
/* A monitor of children says what only a pool heeds. */
void config_warn_pool_keys(const struct load_context *l, const char *path);
/* It is one of those: notes where it stands. */
void config_note_pool_key(const struct conf_context *c, const char *value);
int config_finish_pool(struct monitor_config *m, const struct load_context *l, const char *path);
struct conf_files;
int config_read_text(const struct conf_files *f, char **ret);

/* Expands, or says with place which specifier is wrong. numbered: %i is the number of a worker; else it is
 * refused. */
int config_specifiers(const struct conf_context *c, const char *value, bool numbered, char **ret);
