/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where names lead: see routes.c, and pool-members.c for the names of pools. */

#include <arbiter/arbiter.h>

struct actor_timer;
struct child;
struct member;

/* routes.c */
int route_route(arbiter_actor *a, arbiter_message *m, void *userdata);
/* Nobody lives by this name, but somebody will. */
bool route_has_future(arbiter *a, const char *name);
/* A name has another life, or none: who waits for one is answered in a turn of its own. */
void routes_reconsider(arbiter *a);
void routes_on_timer(arbiter_actor *a, struct actor_timer *t);
void routes_forget_held(arbiter *a);
/* pool-members.c. A monitor whose workers get what is sent to its name; NULL: there is none. */
arbiter_monitor *pool_find(arbiter *a, const char *name);
/* A worker of it that has said which commands it has: they are alike. NULL: none has. */
struct child *pool_spokesman(arbiter *a, const char *name);
/* Without workers now, there will be some. */
bool pool_has_hope(const arbiter_monitor *m);
/* Answers "route"; from then on the asker is told. */
int pool_answer(arbiter_monitor *pool, arbiter_message *m);
/* It gets new work, or none any more. */
void route_member_changed(struct child *c, bool serves);
/* Something was decided: is there still hope for workers, when there are none? */
void pool_members_reconsider(arbiter_monitor *m);
void pool_members_gone(arbiter_monitor *m);
void pool_members_forget(arbiter_monitor *m); /* nobody is told */
void pool_watcher_gone(struct member *member);
void pool_members_retry(arbiter_actor *a, struct actor_timer *t);

/* What was sent to its name is not sent again when it dies. */
bool child_drops_mail(const struct child *c);
