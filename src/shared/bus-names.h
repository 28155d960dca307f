/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names on D-Bus, in one place for the daemon and the command line: bus name, paths, interfaces, errors.
 * They are a contract (dbus/ has the interfaces); an incompatible change means Arbiter2 beside it. */

#define BUS_NAME "io.arbiter.Arbiter1"

#define BUS_PATH "/io/arbiter/Arbiter1"
#define BUS_PATH_ACTOR BUS_PATH "/actor"     /* + "/" + the aid, by sd_bus_path_encode() */
#define BUS_PATH_MONITOR BUS_PATH "/monitor" /* + "/" + the name, by sd_bus_path_encode() */

#define BUS_INTERFACE_MANAGER "io.arbiter.Arbiter1.Manager"
#define BUS_INTERFACE_MONITOR "io.arbiter.Arbiter1.Monitor"
#define BUS_INTERFACE_ACTOR "io.arbiter.Arbiter1.Actor"

/* What polkit is asked for on the system bus; reads are free. dbus/io.arbiter.Arbiter1.policy has the
 * texts. */
#define BUS_ACTION_MANAGE_ACTORS "io.arbiter.Arbiter1.manage-actors"
#define BUS_ACTION_SEND_MESSAGES "io.arbiter.Arbiter1.send-messages"
#define BUS_ACTION_RELOAD "io.arbiter.Arbiter1.reload"
#define BUS_ACTION_REEXECUTE "io.arbiter.Arbiter1.reexecute"

/* The socket in the arbiter's runtime directory on which the same objects are served without a bus daemon.
 */
#define BUS_PRIVATE_SOCKET "private"

/* Signatures of the tables that the manager hands out. */
#define BUS_LIST_ACTORS_SIGNATURE \
        "a(sssssuto)" /* aid, name, monitor, concurrency, state, pid, uptime in us, path */
#define BUS_LIST_MONITORS_SIGNATURE "a(ssuuuuo)" /* name, state, workers, running, failed, restarts, path \
                                                  */
#define BUS_LIST_COMMANDS_SIGNATURE "a(sssss)"   /* name, arguments and their names, result and its names */

/* when (CLOCK_REALTIME us), name, aid, monitor, generation, pid, reason, status, lifetime in us */
#define BUS_LIST_DEATHS_SIGNATURE "a(tsssuusit)"
#define BUS_PLAN_RELOAD_SIGNATURE "a(sss)" /* name, verb, what it means */
/* name, state, waiting for, since and until (CLOCK_MONOTONIC us), last reason, its status, attempts, text */
#define BUS_WHY_SIGNATURE "a(sssttsius)"

/* Errors. The outcomes of a request (the same names as outcome_to_error_name() of wire gives) ... */
#define BUS_ERROR_PREFIX "io.arbiter.Arbiter1.Error."
#define BUS_ERROR_APPLICATION_ERROR BUS_ERROR_PREFIX "ApplicationError"
#define BUS_ERROR_NO_PROC BUS_ERROR_PREFIX "NoProc"
#define BUS_ERROR_OVERLOAD BUS_ERROR_PREFIX "Overload"
#define BUS_ERROR_EXPIRED BUS_ERROR_PREFIX "Expired"
#define BUS_ERROR_RESTARTING BUS_ERROR_PREFIX "Restarting"
#define BUS_ERROR_DENIED BUS_ERROR_PREFIX "Denied"
#define BUS_ERROR_UNKNOWN_COMMAND BUS_ERROR_PREFIX "UnknownCommand"
#define BUS_ERROR_BAD_ARGUMENTS BUS_ERROR_PREFIX "BadArguments"
#define BUS_ERROR_DEADLOCK BUS_ERROR_PREFIX "Deadlock"
#define BUS_ERROR_TIMEOUT BUS_ERROR_PREFIX "Timeout"
#define BUS_ERROR_CANCELLED BUS_ERROR_PREFIX "Cancelled"
#define BUS_ERROR_CALLEE_DIED BUS_ERROR_PREFIX "CalleeDied"
#define BUS_ERROR_NO_CONNECTION BUS_ERROR_PREFIX "NoConnection"
#define BUS_ERROR_BROKEN_PROMISE BUS_ERROR_PREFIX "BrokenPromise"
#define BUS_ERROR_BREAKER_OPEN BUS_ERROR_PREFIX "BreakerOpen"
/* ... and what only the operator's verbs can meet. */
#define BUS_ERROR_NO_SUCH_DEFINITION BUS_ERROR_PREFIX "NoSuchDefinition"
#define BUS_ERROR_NAME_TAKEN BUS_ERROR_PREFIX "NameTaken"
#define BUS_ERROR_NOT_SUPPORTED BUS_ERROR_PREFIX "NotSupported"
#define BUS_ERROR_NOT_ROLLING BUS_ERROR_PREFIX "NotRolling"
#define BUS_ERROR_RELOAD_FAILED BUS_ERROR_PREFIX "ReloadFailed"
#define BUS_ERROR_REEXECUTE_FAILED BUS_ERROR_PREFIX "ReexecuteFailed"
#define BUS_ERROR_BUSY BUS_ERROR_PREFIX "Busy"
