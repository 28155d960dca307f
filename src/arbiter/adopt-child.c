/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The re-adoption of one life: looks at what there is of it (process, leaf, descriptors), has adopt-decide.c
 * decide, and does that. Called by adopt-set.c and tree-adopt.c. What it takes up is as if this arbiter had
 * started it; nothing is sent, and nobody is told, before the loop runs. */

#include <poll.h>
#include <stdio.h>
#include <syslog.h>

#include "arbiter/adopt-decide.h"
#include "arbiter/adoption.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "basic/pidfd.h"

/* What was overdue before we came gets this long: the arbiter that it waited for was not there. */
#define GRACE_USEC (5 * USEC_PER_SEC)

struct made_spawn {
        struct list_node spawns;
        struct state_key key;
        arbiter_spawn *base, *spawn;
        bool same; /* as its base */
        bool whole;
};

/* What of the machine belongs to a life. */
struct ground {
        struct cgroup_leaf leaf;
        struct process process; /* its leaf is not set yet */
        struct kept *kept;
        bool was_kept; /* its process's descriptor */
};

/* Spawns. */

int adopt_find_spawn(struct adoption *x, const struct state_key *key, struct state_entry *ret) {
        uint8_t bytes[16];

        for (unsigned i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t) (key->k[i / 8] >> (8 * (i % 8)));
        return state_journal_get(x->arbiter->state.journal, STATE_SPAWN, bytes, sizeof(bytes), ret);
}

/* Enough of a description to stop what runs. */
static int make_stand_in(struct adoption *x, const struct state_spawn *s, arbiter_spawn **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;
        int r;

        r = arbiter_spawn_new(x->arbiter, s->name[0] ? s->name : "unknown", &spawn);
        if (r < 0)
                return r;
        spawn->exec = true;
        *ret = TAKE_PTR(spawn);
        return 0;
}

static int make_spawn(struct adoption *x, struct made_spawn *m) {
        arbiter_spawn *base = m->base;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *old = NULL;
        struct state_spawn s = {};
        struct state_entry e;
        int r;

        r = adopt_find_spawn(x, &m->key, &e);
        if (r >= 0)
                r = state_peek_spawn(&e, x->version, &s);
        if (r >= 0)
                r = state_decode_spawn(x->arbiter, &e, x->version, base, &old);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return make_stand_in(x, &s, &m->spawn);
        m->whole = r == 0;
        m->same = base && state_spawn_same(old, base);
        /* Where each life is prepared, that of this one is how it was. */
        m->spawn = m->same && !base->prepare ? arbiter_spawn_ref(base) : TAKE_PTR(old);
        if (m->same) /* they are not kept: who lives is asked as the definition says now */
                probe_set_copy(&base->probes, &m->spawn->probes);
        return 0;
}

static int find_made(struct adoption *x, const struct state_key *key, arbiter_spawn *base,
                struct made_spawn **ret) {
        struct made_spawn *m;
        int r;

        LIST_FOREACH(old, &x->spawns, struct made_spawn, spawns)
                if (old->base == base && state_key_equal(&old->key, key)) {
                        *ret = old;
                        return 0;
                }
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        *m = (struct made_spawn){ .key = *key, .base = base };
        r = make_spawn(x, m);
        if (r < 0) {
                free(m);
                return r;
        }
        arbiter_spawn_ref(base);
        list_prepend(&x->spawns, &m->spawns); /* those alike come one after the other */
        *ret = m;
        return 0;
}

int adopt_spawn(struct adoption *x, const struct state_key *key, arbiter_spawn *base, arbiter_spawn **ret) {
        struct made_spawn *m;
        int r;

        r = find_made(x, key, base, &m);
        if (r >= 0)
                *ret = arbiter_spawn_ref(m->spawn);
        return r;
}

bool adopt_spawn_is_same(struct adoption *x, const struct state_key *key, arbiter_spawn *base) {
        struct made_spawn *m;

        return find_made(x, key, base, &m) >= 0 && m->same;
}

bool adopt_spawn_is_whole(struct adoption *x, const struct state_key *key, arbiter_spawn *base) {
        struct made_spawn *m;

        return find_made(x, key, base, &m) >= 0 && m->whole;
}

void adopt_free_spawns(struct adoption *x) {
        LIST_FOREACH(m, &x->spawns, struct made_spawn, spawns) {
                list_remove(&m->spawns);
                arbiter_spawn_unref(m->base);
                arbiter_spawn_unref(m->spawn);
                free(m);
        }
}

/* Looking. */

/* By its number, which counts for nothing before the pidfd is there and the leaf still has it. */
static int open_in_leaf(const struct cgroup_leaf *leaf, pid_t pid) {
        _cleanup_close_ int pidfd = pidfd_open_pid(pid);

        if (pidfd < 0)
                return pidfd;
        if (cgroup_leaf_contains(leaf, pid) <= 0 || pidfd_signal(pidfd, 0) < 0)
                return -ESRCH;
        return TAKE_FD(pidfd);
}

/* Its descriptor was not kept. The one whose pid is known; or the only one that there is. */
static int find_in_leaf(const struct cgroup_leaf *leaf, pid_t pid, pid_t *ret_pid) {
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;
        int r;

        if (pid == 0) {
                r = cgroup_leaf_list_pids(leaf, &pids, &n);
                if (r < 0)
                        return r;
                if (n != 1)
                        return -ESRCH;
                pid = pids[0];
        }
        *ret_pid = pid;
        return open_in_leaf(leaf, pid);
}

static void look_for_process(struct ground *g, const struct state_child *s) {
        pid_t pid = s->pid;
        int fd = g->kept ? TAKE_FD(g->kept->pidfd) : -EBADF;

        g->was_kept = fd >= 0 && process_adopt(fd, s->pid, s->own_group, &g->process) >= 0;
        if (g->was_kept)
                return;
        close_fd(fd); /* not what it should be */
        if (!cgroup_leaf_exists(&g->leaf))
                return;
        fd = find_in_leaf(&g->leaf, s->pid, &pid);
        if (fd >= 0 && process_adopt(fd, pid, s->own_group, &g->process) < 0)
                close_fd(fd);
}

static int look(struct adoption *x, const struct state_child *s, struct ground *ret) {
        int r = 0;

        *ret = (struct ground){
                .leaf = CGROUP_LEAF_INIT,
                .process = PROCESS_INIT,
                .kept = adopt_kept(x->arbiter, &s->id),
        };
        if (s->leaf[0] && arbiter_open_cgroup(x->arbiter) >= 0)
                r = cgroup_leaf_attach(&x->arbiter->cgroup_root, s->leaf, &ret->leaf);
        if (r >= 0)
                look_for_process(ret, s);
        return r;
}

static bool is_readable(int fd, short events) {
        struct pollfd p = { .fd = fd, .events = events };

        return poll(&p, 1, 0) > 0;
}

static enum adopt_leaf leaf_of(const struct ground *g) {
        if (!cgroup_leaf_exists(&g->leaf))
                return ADOPT_LEAF_NONE;
        if (faccessat(g->leaf.root->fd, g->leaf.name, F_OK, 0) < 0)
                return ADOPT_LEAF_GONE;
        return cgroup_leaf_is_populated(&g->leaf) > 0 ? ADOPT_LEAF_POPULATED : ADOPT_LEAF_EMPTY;
}

/* Nobody has its other end. POLLHUP comes unasked. */
static bool is_closed(const struct kept_link *l) {
        return is_readable(l->fd, 0);
}

static enum adopt_link link_of(const struct ground *g) {
        if (!g->kept || g->kept->n_links == 0)
                return ADOPT_LINK_LOST;
        for (size_t i = 0; i < g->kept->n_links; i++)
                if (!is_closed(&g->kept->links[i]))
                        return ADOPT_LINK_KEPT;
        return ADOPT_LINK_CLOSED;
}

static enum adopt_kind kind_of(const struct state_child *s) {
        if (s->unit[0])
                return ADOPT_UNIT;
        if (s->concurrency == ARBITER_CONCURRENCY_PROCESS)
                return ADOPT_PROCESS;
        if (s->concurrency == ARBITER_CONCURRENCY_THREAD && !aid_is_null(&s->host))
                return ADOPT_THREAD;
        return s->concurrency == ARBITER_CONCURRENCY_UNIT ? ADOPT_UNIT : ADOPT_INSIDE;
}

static struct adopt_facts facts_of(const struct state_child *s, const struct ground *g,
                const struct orphan *host, const struct set *set) {
        return (struct adopt_facts){
                .kind = kind_of(s),
                .state = s->state,
                .mailbox = !s->plain,
                .launched = s->pid > 0,
                .has_place = set,
                .needs_notify = s->notify[0] && (s->state == ARBITER_STATE_STARTING || s->watchdog_usec > 0),
                .has_notify = g->kept && g->kept->notify_fd >= 0,
                .has_host = host && host->child,
                .host_lives = host && host->lives,
                .process = g->process.pidfd < 0                   ? ADOPT_PROCESS_UNKNOWN
                        : is_readable(g->process.pidfd, POLLIN) ? ADOPT_PROCESS_DEAD
                                                                  : ADOPT_PROCESS_LIVES,
                .leaf = leaf_of(g),
                .link = link_of(g),
        };
}

/* Doing. */

static void arm_timers(struct child *c, const struct state_child *s) {
        arbiter_actor *a = c->arbiter->actor;
        usec_t now = now_usec(), soonest = now + MIN((usec_t) GRACE_USEC, c->spawn->stop_usec);

        usec_t silence = c->plain ? c->watchdog_usec : c->spawn->silence_usec;

        c->last_heard_usec = now; /* it may have spoken when nobody heard it */
        if (c->state == ARBITER_STATE_RUNNING && silence > 0)
                (void) actor_timer_set(a, &c->silence_timer, time_add(now, silence));
        if (c->state == ARBITER_STATE_STARTING)
                (void) actor_timer_set(a, &c->start_timer, MAX(s->start_until, now + GRACE_USEC));
        if (c->stop_stage != CHILD_STOP_NONE)
                (void) actor_timer_set(a, &c->stop_timer, MAX(s->stop_until, soonest));
}

static int take_notify(struct child *c, struct kept *k, const struct state_child *s) {
        if (!k || k->notify_fd < 0 || !s->notify[0])
                return 0;
        c->notify.address = strdup(s->notify);
        if (!c->notify.address)
                return -ENOMEM;
        c->notify.fd = TAKE_FD(k->notify_fd);
        c->notify.uid = s->uid == UINT32_MAX ? geteuid() : s->uid;
        return child_watch_notify(c);
}

/* Those that no actor was given are nothing to it: their arbiters have died in the midst of that. Of a
 * dead one all are closed, and its last words are in one of them. */
static int take_links(struct child *c, struct ground *g) {
        bool all = link_of(g) == ADOPT_LINK_CLOSED;
        struct kept *k = g->kept;
        int r = 0;

        for (size_t i = 0; k && r >= 0 && i < k->n_links; i++) {
                struct kept_link *l = &k->links[i];

                if (all || !is_closed(l))
                        r = child_relink(c, l->number, TAKE_FD(l->fd));
                else
                        adopt_forget_link(c->arbiter, &c->aid, l->number);
        }
        return r;
}

/* It has ended, or as good as: told from the loop, as ever. */
static void end_soon(struct child *c, arbiter_reason reason, int status) {
        if (!c->reason_set) {
                c->reason = reason;
                c->reason_set = true;
        }
        c->closed_code = status;
        (void) actor_timer_set(c->arbiter->actor, &c->end_timer, 0);
}

static int join_host(struct child *c, struct orphan *host, bool again) {
        c->host = host->child;
        list_append(&host->child->hosted, &c->hosted);
        return again ? host_start_thread(c) : 0;
}

static int take_up(struct child *c, struct orphan *o, struct ground *g, struct orphan *host,
                const struct adopt_decision *d) {
        const struct state_child *s = &o->s;
        int r = 0;

        c->leaf = g->leaf;
        g->leaf = CGROUP_LEAF_INIT;
        if (g->process.pidfd >= 0) {
                c->process = g->process;
                g->process = PROCESS_INIT;
                c->process.leaf = cgroup_leaf_exists(&c->leaf) ? &c->leaf : NULL;
                if (!g->was_kept)
                        launch_keep_process(c, c->process.pidfd);
        }
        if (host && host->child)
                r = join_host(c, host, d->verdict == ADOPT_REHOST);
        if (r >= 0)
                r = take_notify(c, g->kept, s);
        if (r >= 0 && !c->plain && d->verdict != ADOPT_REHOST)
                r = take_links(c, g);
        if (r >= 0 && c->unit_name)
                r = unit_adopt(c);
        else if (r >= 0 && c->process.pidfd >= 0)
                r = child_watch_death(c);
        if (r >= 0 && s->token[0])
                r = mailbox_socket_expect(c, s->token);
        if (r >= 0)
                arm_timers(c, s);
        return r;
}

/* What child_new() cannot know. */
static int restore_life(struct adoption *x, struct orphan *o, arbiter_spawn *spawn, struct child **ret) {
        const struct state_child *s = &o->s;
        struct name_memory *n;
        struct child *c;
        int r;

        r = child_new(x->arbiter, spawn, s->name, &s->id, &c);
        if (r < 0)
                return r;
        x->arbiter->age_counter--; /* it has its own */
        n = map_get_string(x->arbiter->names, s->name);
        if (n) { /* child_new() has given one more */
                n->generation = MAX(n->generation - 1, s->generation);
                state_put_name(x->arbiter, n);
        }
        c->adopted = true;
        c->generation = s->generation;
        c->age = s->age;
        c->slot = s->slot;
        c->set_generation = s->set_generation;
        c->spawner = s->spawner;
        c->concurrency = s->concurrency;
        c->state = s->state;
        c->plain = s->plain;
        c->welcomed = s->welcomed && !s->plain; /* its stand-in was the dead arbiter's */
        c->culprit = s->culprit;
        c->created_usec = s->created_usec;
        c->up = s->state == ARBITER_STATE_STARTING && s->started_usec > 0;
        c->started_usec = c->up ? 0 : s->started_usec;
        c->watchdog_usec = s->watchdog_usec;
        c->stop_stage = s->stop_stage;
        c->stage_done = s->stage_done;
        c->reason_set = s->reason_set;
        c->reason = s->reason;
        c->closed = s->closed;
        c->closed_code = s->closed_code;
        c->last_reason = s->last_reason;
        c->last_status = s->last_status;
        c->spawn_tokens = s->spawn_tokens;
        c->spawn_tokens_usec = s->spawn_tokens_usec;
        c->dead_letters = c->dead_letters_told = s->dead_letters;
        c->ignored = s->ignored;
        *ret = c;
        return 0;
}

static int restore_texts(struct child *c, const struct state_child *s) {
        if (*s->status) {
                c->status = strdup(s->status);
                if (!c->status)
                        return -ENOMEM;
        }
        if (*s->failure) {
                c->failure = strdup(s->failure);
                if (!c->failure)
                        return -ENOMEM;
        }
        if (*s->unit) {
                c->unit_name = strdup(s->unit);
                if (!c->unit_name)
                        return -ENOMEM;
        }
        (void) snprintf(c->unit_invocation, sizeof(c->unit_invocation), "%s", s->invocation);
        if (s->role == STATE_ROLE_HOST) {
                c->is_host = true;
                (void) snprintf(c->host_of, sizeof(c->host_of), "%s", s->monitor);
        }
        return 0;
}

static void carry_out(struct adoption *x, struct orphan *o, const struct adopt_decision *d, int error) {
        struct child *c = o->child;

        if (error < 0) {
                arbiter_log(x->arbiter, LOG_ERR, c, "adopted", "%s cannot be taken over: %s", c->name,
                                strerror(-error));
                o->killed = true;
        } else if (d->verdict == ADOPT_KILL) {
                arbiter_log(x->arbiter, LOG_WARNING, c, "adopted",
                                "%s is killed: it cannot be reached any more, because what it is reached by "
                                "was not kept",
                                c->name);
                o->killed = true;
        }
        x->report.killed += o->killed;
        o->lives = !o->killed && d->verdict == ADOPT_RESUME;
        if (o->killed) {
                child_set_state(c, ARBITER_STATE_STOPPING);
                (void) process_kill_all(&c->process);
                if (cgroup_leaf_exists(&c->leaf))
                        (void) cgroup_leaf_kill(&c->leaf);
                if (c->unit || c->process.pidfd >= 0)
                        child_kill(c, error < 0 ? ARBITER_REASON_NO_CONNECTION : d->reason);
                else
                        end_soon(c, error < 0 ? ARBITER_REASON_NO_CONNECTION : d->reason, 0);
        } else if (d->verdict == ADOPT_END)
                end_soon(c, d->reason, o->s.ended ? o->s.end_status : 0);
}

/* As if nothing had been: the same life is started when its set says so. */
static int start_afresh(struct adoption *x, struct orphan *o, struct set *set) {
        struct name_memory *n = map_get_string(x->arbiter->names, o->s.name);

        if (n && n->generation == o->s.generation)
                n->generation--;
        set->slots[o->s.slot].wanted_aid = o->s.id;
        o->taken = true;
        return 0;
}

/* The host that a thread lives in, taken up before it. */
static int find_host(struct adoption *x, const struct orphan *o, struct orphan **ret) {
        struct orphan *host = aid_is_null(&o->s.host)
                        ? NULL
                        : map_get(x->orphans, o->s.host.c, AID_SIZE);

        *ret = host && host->s.role == STATE_ROLE_HOST ? host : NULL;
        return *ret && !host->taken ? adopt_child(x, host, NULL, NULL) : 0;
}

static int adopt_with(struct adoption *x, struct orphan *o, arbiter_spawn *base, struct set *set,
                struct ground *g, struct orphan *host) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;
        struct adopt_facts f = facts_of(&o->s, g, host, set);
        struct adopt_decision d = adopt_decide(&f);
        struct child *c;
        int r;

        if (o->s.ended) /* it was known how, and only the news of it is missing */
                d = (struct adopt_decision){ .verdict = ADOPT_END, .reason = o->s.end_reason };
        else if (o->s.token[0])
                d = (struct adopt_decision){ .verdict = ADOPT_RESUME };
        if (d.verdict == ADOPT_START)
                return start_afresh(x, o, set);
        r = adopt_spawn(x, &o->s.spawn, base, &spawn);
        if (r >= 0)
                r = restore_life(x, o, spawn, &c);
        if (r < 0)
                return r;
        o->child = c;
        o->taken = true;
        c->set = set;
        if (set)
                set->slots[c->slot].child = c;
        r = restore_texts(c, &o->s);
        if (r >= 0)
                r = state_use_left(x->arbiter, &o->s.spawn, &c->state_spawn);
        if (r >= 0)
                r = take_up(c, o, g, host, &d);
        if (c->peer)
                c->peer->policy = o->s.policy;
        status_count_child(c, true);
        state_mark_child(c);
        carry_out(x, o, &d, r);
        x->report.actors++;
        x->report.ended += d.verdict == ADOPT_BURY || d.verdict == ADOPT_END;
        arbiter_log(x->arbiter, LOG_DEBUG, c, "adopted", "%s is taken over", c->name);
        return 0;
}

int adopt_child(struct adoption *x, struct orphan *o, arbiter_spawn *base, struct set *set) {
        struct orphan *host;
        struct ground g;
        int r;

        r = find_host(x, o, &host);
        if (r >= 0)
                r = look(x, &o->s, &g);
        if (r < 0)
                return r;
        r = adopt_with(x, o, base, set, &g, host);
        process_done(&g.process);
        cgroup_leaf_done(&g.leaf);
        return r;
}

static void kill_raw(struct adoption *x, struct orphan *o) {
        struct ground g;

        if (look(x, &o->s, &g) < 0)
                return;
        g.process.leaf = cgroup_leaf_exists(&g.leaf) ? &g.leaf : NULL;
        if (g.process.pidfd >= 0)
                (void) process_kill_all(&g.process);
        else if (g.process.leaf)
                (void) cgroup_leaf_kill(&g.leaf);
        process_done(&g.process);
        leaf_dispose(x->arbiter, &g.leaf);
        cgroup_leaf_done(&g.leaf);
}

void adopt_discard(struct adoption *x, struct orphan *o) {
        if (o->taken)
                return;
        o->taken = true;
        if (o->s.role == STATE_ROLE_MONITOR)
                return; /* it went with its arbiter */
        x->report.killed++;
        arbiter_log(x->arbiter, LOG_WARNING, NULL, "adopted", "%s is killed: it has no place any more",
                        o->s.name);
        if (o->s.unit[0] && adopt_child(x, o, NULL, NULL) >= 0 && o->child)
                child_kill(o->child, ARBITER_REASON_NO_CONNECTION);
        else
                kill_raw(x, o);
}

/* Once more: it is harmless for who has heard it, and the only hope for who has not. */
void adopt_stop_again(struct child *c) {
        int signal = c->spawn ? c->spawn->kill_signal : SIGTERM;

        if (c->stage_done)
                return;
        if (c->stop_stage == CHILD_STOP_ASKED && c->peer && c->welcomed && !c->plain)
                (void) child_ask_to_stop(c);
        else if (c->stop_stage == CHILD_STOP_SIGNALED && !c->unit && c->process.pidfd >= 0) {
                (void) process_signal(&c->process, signal);
                (void) process_signal(&c->process, SIGCONT);
        } else if (c->stop_stage == CHILD_STOP_KILLED)
                child_kill(c, c->reason);
}
