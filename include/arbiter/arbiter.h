/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_ARBITER_H
#define ARBITER_ARBITER_H

/* The umbrella header: everything of libarbiter, and the arbiter itself. */

#include <arbiter/_common.h>
#include <arbiter/actor.h>
#include <arbiter/adopt.h>
#include <arbiter/breaker.h>
#include <arbiter/command.h>
#include <arbiter/error.h>
#include <arbiter/future.h>
#include <arbiter/group.h>
#include <arbiter/load.h>
#include <arbiter/lock.h>
#include <arbiter/log.h>
#include <arbiter/mailbox.h>
#include <arbiter/message.h>
#include <arbiter/module.h>
#include <arbiter/monitor.h>
#include <arbiter/pool.h>
#include <arbiter/probe.h>
#include <arbiter/proxy.h>
#include <arbiter/route.h>
#include <arbiter/spawn.h>
#include <arbiter/status.h>
#include <arbiter/supervisor.h>
#include <arbiter/version.h>
#include <arbiter/watch.h>

ARBITER_BEGIN_DECLARATIONS

/* The arbiter: the actor that owns all others. Usually one per program, on the main thread. event may be
 * NULL (a new loop). module (may be NULL) gives it hooks and commands of its own. Several in one process
 * are independent. */
int arbiter_new(struct sd_event *event, const arbiter_module *module, arbiter **ret);
arbiter *arbiter_ref(arbiter *a);
/* The last reference kills, at once and without hooks, whatever has not been stopped. */
arbiter *arbiter_unref(arbiter *a);
ARBITER_CLEANUP_DEFINE(arbiter, unref);

/* The arbiter as an actor: to send and call from. Borrowed. */
arbiter_actor *arbiter_get_actor(arbiter *a);
struct sd_event *arbiter_get_event(arbiter *a);

/* Before the start. The directory for its sockets (made if missing, 0711); without one nothing listens. */
int arbiter_set_runtime_directory(arbiter *a, const char *path);
/* A cgroup v2 directory that is delegated to us, for a leaf of each process; NULL: find our own and use
 * it if it is delegated. After the start only in place of one that has been removed, else -EBUSY. */
int arbiter_set_cgroup(arbiter *a, const char *path);
/* For modules in shared objects: the path of arbiter-host. Default: as installed. */
int arbiter_set_host_program(arbiter *a, const char *path);
/* arbiterd: take over orphaned descendants (PR_SET_CHILD_SUBREAPER) and reap them. Not for a program with
 * children of its own. */
int arbiter_set_subreaper(arbiter *a, bool on);
/* What actors may instantiate by the "spawn" command, besides the arbiter itself; the spawn's name is the
 * definition's name. */
int arbiter_add_definition(arbiter *a, arbiter_spawn *definition);
int arbiter_remove_definition(arbiter *a, const char *name);
/* Stops an actor that is no worker of a pool (one that arbiter_spawn_start() or "spawn" made, or a child of
 * a monitor) and forgets it: nothing replaces it, and its name is free when the future (may be NULL)
 * resolves. -ESRCH. */
int arbiter_remove_actor(arbiter *a, const char *name, arbiter_future **ret);
/* Called for Reload (the D-Bus method, and the daemon's own SIGHUP): 0, or a negative errno and a text to
 * be freed. */
typedef int (*arbiter_reload_handler_t)(arbiter *a, char **ret_text, void *userdata);
int arbiter_set_reload_handler(arbiter *a, arbiter_reload_handler_t handler, void *userdata);
int arbiter_reload(arbiter *a, char **ret_text);
/* What a reload would do: the handler appends one "a(sss)" to the plan, for each thing that would be done
 * the name, a verb, and what that means for people; and does nothing of it. -EOPNOTSUPP: there is no
 * handler. */
typedef int (*arbiter_plan_handler_t)(arbiter *a, arbiter_message *plan, void *userdata);
int arbiter_set_plan_handler(arbiter *a, arbiter_plan_handler_t handler, void *userdata);
int arbiter_plan_reload(arbiter *a, arbiter_message *plan);
/* Called for Reexecute (the D-Bus method): the program is to be replaced by the one on disk while its actors
 * go on. 0: that is being looked at, and arbiter_reexecute_done() follows; or a negative errno. */
typedef int (*arbiter_reexecute_handler_t)(arbiter *a, void *userdata);
int arbiter_set_reexecute_handler(arbiter *a, arbiter_reexecute_handler_t handler, void *userdata);
/* -EOPNOTSUPP: no handler is set; -ESHUTDOWN: it stops. All who ask meanwhile wait for the same outcome. */
int arbiter_reexecute(arbiter *a, arbiter_future **ret);
/* error 0: it is about to happen; the answers leave in the turns of the loop that follow. Negative: it does
 * not, and the text says why. -ESRCH: nobody waits for it. */
int arbiter_reexecute_done(arbiter *a, int error, const char *text);
/* Called when an operator restarts a name that nobody has: starts what was stopped. 0, and a future of the
 * start; -ESRCH: there is no such; else *ret_text, to be freed by the arbiter, may say why it cannot be. */
typedef int (*arbiter_start_handler_t)(
                arbiter *a, const char *name, arbiter_future **ret, char **ret_text, void *userdata);
int arbiter_set_start_handler(arbiter *a, arbiter_start_handler_t handler, void *userdata);

/* For an arbiter whose actors outlive it. Before the start. Everything that it decides is written to a
 * memfd, before it is done; whoever holds that and the descriptors that the keep handler was given can
 * hand them to the next arbiter, in another process, once this one is dead. fd is what the one before has
 * left (it is duplicated), or -1: a new one. 1: there is something to take over; 0: there is not.
 * -EPROTONOSUPPORT: a newer version of arbiter has written it; -EBADMSG: it is not one, or damaged:
 * nothing can be taken over. */
int arbiter_set_state(arbiter *a, int fd);
/* Borrowed. -EBADF: it has none. */
int arbiter_get_state_fd(arbiter *a);
/* Called with each descriptor that must outlive the arbiter: keep a duplicate under this name, instead of
 * one that it had; negative fd: forget it. Must not block. 0: it is kept; 1: it will be, and
 * arbiter_kept() says when; a negative errno is logged. */
typedef int (*arbiter_keep_handler_t)(arbiter *a, const char *name, int fd, void *userdata);
int arbiter_set_keep_handler(arbiter *a, arbiter_keep_handler_t handler, void *userdata);
/* All that the handler was given so far is kept. */
void arbiter_kept(arbiter *a);

/* Starts it: sockets, start hook. arbiter_run() does it when needed. */
int arbiter_start(arbiter *a);
/* Runs the loop until the arbiter has stopped; returns the exit code (>= 0). SIGTERM and SIGINT stop it
 * in order if they were blocked in all threads before and handle_signals is set. */
int arbiter_run(arbiter *a, bool handle_signals);
/* Stops everything in order: monitors and lone actors in reverse start order, each by its shutdown rule;
 * then exit hooks. */
int arbiter_stop(arbiter *a, int exit_code);

/* The D-Bus face (interfaces .Manager, .Monitor, .Actor) peer to peer on an AF_UNIX socket, for
 * arbiterctl; default path: RUNTIME_DIRECTORY/private. Only the arbiter's own user and root may connect. */
int arbiter_listen_private(arbiter *a, const char *path);
/* The same on a bus, under a well-known name (NULL: io.arbiter.Arbiter1). Connects, waits for the name if
 * another one has it, and connects again when the bus daemon comes back, all from the loop: it never blocks,
 * actors do not notice, and what fails is logged and tried again. On the system bus root and whom polkit
 * allows it may change something, on the user's own bus that user; reads are free. -EALREADY: it listens
 * there already; -EINVAL: no well-known name; -ENOMEDIUM: this user has no bus ($XDG_RUNTIME_DIR);
 * -EPROTONOSUPPORT: the bus has another address than that of an AF_UNIX socket. */
typedef enum arbiter_bus {
        ARBITER_BUS_SYSTEM,
        ARBITER_BUS_USER,
} arbiter_bus;
int arbiter_listen_bus(arbiter *a, arbiter_bus bus, const char *name);
/* 1: each bus has given its name, or it is known by now that it does not yet; 0: not so, look again after a
 * turn of the loop. For programs that say when they are ready: whoever hears it looks for the name. */
int arbiter_bus_is_settled(arbiter *a);

/* Lets actors be units (ARBITER_CONCURRENCY_UNIT) of the system's systemd, or of this user's. Before the
 * start, after arbiter_set_instance(): their units are named after the instance. Nothing is connected before
 * the first of them starts, and nothing blocks. 0 also where there is no such systemd: actors that are to be
 * units are then refused, and arbiter_check_units() says what is missing (-EOPNOTSUPP, and a text to be
 * freed). -EALREADY; -EINVAL: no instance. */
int arbiter_use_systemd(arbiter *a, arbiter_bus bus);
int arbiter_check_units(arbiter *a, char **ret_text);
/* For who loads a configuration: can instances of this template be an arbiter's? Asks systemd, and blocks
 * for it, 5 s at most. -ENOENT: there is none; -EPERM: masked; -EBUSY: its Restart= is not "no", and two
 * must not supervise one process; else systemd cannot be asked. *ret_text (to be freed): what to do. */
int arbiter_check_unit_template(arbiter_bus bus, const char *unit_template, char **ret_text);

ARBITER_END_DECLARATIONS

#endif
