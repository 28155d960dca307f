/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a roll is, for whom it waits or has halted, and why: as numbers, and in words. Called by
 * roll.c, by control-why.c, and from outside. Changes nothing. */

#include <stdio.h>

#include "arbiter/internal.h"

enum { UNREADY_TEXT_MAX = PROBE_TEXT_SIZE + 64 };

bool roll_is_on(const supervise_info *i) {
        return i->roll == SUPERVISE_ROLL_GOING || i->roll == SUPERVISE_ROLL_HALTED ||
               i->roll == SUPERVISE_ROLL_TURNING_BACK;
}

/* It lives, and may get ready. */
static bool lives(const supervise_slot_info *slot) {
        return slot->state == SUPERVISE_SLOT_STARTING || slot->state == SUPERVISE_SLOT_RUNNING;
}

static usec_t of_nsec(nsec_t t) {
        return t == NSEC_INFINITY ? 0 : t / NSEC_PER_USEC;
}

static const struct child *worker(const arbiter_monitor *m, uint32_t number) {
        return number < m->set.n_slots ? m->set.slots[number].child : NULL;
}

/* The probe that it has to pass next. */
static const struct probe_run *probe_of(const struct child *c) {
        if (!c)
                return NULL;
        return c->probes[c->state == ARBITER_STATE_RUNNING ? ARBITER_PROBE_READINESS : ARBITER_PROBE_START];
}

static usec_t unready_since(const arbiter_monitor *m, uint32_t number, const supervise_slot_info *slot) {
        const struct probe_run *run = probe_of(worker(m, number));

        return run && run->unready_usec > 0 ? run->unready_usec : of_nsec(slot->since);
}

/* The one for which it has halted: what fails, before what is not ready. */
static void find_culprit(const arbiter_monitor *m, const supervise_info *i, arbiter_roll *ret) {
        supervise_slot_info slot = {};

        if (i->roll != SUPERVISE_ROLL_HALTED || ret->failing > 0 || !i->roll_overdue ||
                        supervise_get_slot(m->set.supervise, i->roll_awaits, &slot) < 0)
                return;
        ret->failing = i->roll_awaits;
        if (lives(&slot))
                return;
        ret->reason = (arbiter_reason) slot.reason; /* of the definition before, and it does not come back */
        ret->status = slot.status;
}

static void fill_waiting(const arbiter_monitor *m, const supervise_info *i, arbiter_roll *ret) {
        supervise_slot_info slot = {};

        if (supervise_get_slot(m->set.supervise, i->roll_awaits, &slot) < 0 || !lives(&slot))
                return;
        ret->waiting = i->roll_awaits;
        ret->waiting_usec = unready_since(m, ret->waiting, &slot);
        ret->deadline_usec = of_nsec(i->roll_until);
}

void roll_count(const arbiter_monitor *m, const supervise_info *i, arbiter_roll *ret) {
        supervise_slot_info slot;
        nsec_t now = now_nsec();

        for (uint32_t k = 1; k <= i->slot_max; k++) {
                if (supervise_get_slot(m->set.supervise, k, &slot) < 0)
                        continue;
                if (slot.revision == i->revision) {
                        bool parked = slot.state == SUPERVISE_SLOT_FAILED,
                             fails = i->roll == SUPERVISE_ROLL_TURNING_BACK
                                             ? parked
                                             : i->roll == SUPERVISE_ROLL_HALTED &&
                                               (parked || slot.state == SUPERVISE_SLOT_BACKOFF);

                        ret->replaced += slot.ready && !slot.leaving &&
                                         slot.since + m->policy.min_ready <= now;
                        if (fails && ret->failing == 0) {
                                ret->failing = k;
                                ret->reason = (arbiter_reason) slot.reason;
                                ret->status = slot.status;
                        }
                } else
                        ret->left += slot.state == SUPERVISE_SLOT_STARTING ||
                                     slot.state == SUPERVISE_SLOT_RUNNING ||
                                     slot.state == SUPERVISE_SLOT_DRAINING ||
                                     slot.state == SUPERVISE_SLOT_STOPPING;
        }
        find_culprit(m, i, ret);
        fill_waiting(m, i, ret);
}

_public_ int arbiter_monitor_get_roll(arbiter_monitor *m, arbiter_roll *ret) {
        arbiter_roll roll = { .size = sizeof(roll) };
        supervise_info i = {};

        if (!m || !ret || ret->size < sizeof(*ret))
                return -EINVAL;
        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        roll.state = (arbiter_roll_state) i.roll;
        if (roll_is_on(&i)) /* else it would cost as much as there are workers, with each change */
                roll_count(m, &i, &roll);
        *ret = roll;
        return 0;
}

_public_ int arbiter_monitor_is_outdated(arbiter_monitor *m, unsigned number) {
        supervise_slot_info slot;
        supervise_info i;

        if (!m)
                return -EINVAL;
        if (!m->set.supervise || supervise_get_slot(m->set.supervise, number, &slot) < 0)
                return -ENOENT;
        supervise_get_info(m->set.supervise, &i);
        return slot.leaving || (slot.generation > 0 && slot.revision != i.revision);
}

_Static_assert((int) ARBITER_ROLL_HALTED == (int) SUPERVISE_ROLL_HALTED &&
                               (int) ARBITER_ROLL_ABORTED == (int) SUPERVISE_ROLL_ABORTED,
                "the public names are those of src/supervise");

_public_ const char *arbiter_roll_state_to_string(arbiter_roll_state state) {
        static const char *const names[] = {
                [ARBITER_ROLL_NONE] = "none",
                [ARBITER_ROLL_GOING] = "going",
                [ARBITER_ROLL_HALTED] = "halted",
                [ARBITER_ROLL_TURNING_BACK] = "turning-back",
                [ARBITER_ROLL_DONE] = "done",
                [ARBITER_ROLL_ABORTED] = "aborted",
        };

        return (unsigned) state < ELEMENTSOF(names) ? names[state] : NULL;
}

/* What it has to pass yet. shared: for everybody, who need not know what a probe's program prints. */
static void describe_unready(const struct child *c, bool shared, char ret[static UNREADY_TEXT_MAX]) {
        const struct probe_run *run = probe_of(c);
        const char *said = run ? (shared ? probe_fact(run) : run->text) : "";

        if (!run)
                (void) snprintf(ret, UNREADY_TEXT_MAX, "it is still starting");
        else if (*said)
                (void) snprintf(ret, UNREADY_TEXT_MAX, "its %s probe says: %s",
                                arbiter_probe_kind_to_string(run->state.kind), said);
        else
                (void) snprintf(ret, UNREADY_TEXT_MAX, "its %s probe has not passed yet",
                                arbiter_probe_kind_to_string(run->state.kind));
}

/* "exit-code 3", or what it was in words. */
static void describe_failure(const arbiter_monitor *m, const supervise_slot_info *slot, uint32_t number,
                char *ret, size_t size) {
        const char *reason = arbiter_reason_to_string((arbiter_reason) slot->reason);

        if (m->pool.failed_slot == number && *m->pool.failed_text)
                (void) snprintf(ret, size, "%s", m->pool.failed_text);
        else if (slot->status != 0)
                (void) snprintf(ret, size, "%s %d", reason ? reason : "unknown", slot->status);
        else
                (void) snprintf(ret, size, "%s", reason ? reason : "unknown");
}

static unsigned n_serving(const arbiter_monitor *m) {
        supervise_slot_info slot;
        supervise_info i;
        unsigned n = 0;

        supervise_get_info(m->set.supervise, &i);
        for (uint32_t k = 1; k <= i.slot_max; k++)
                n += supervise_get_slot(m->set.supervise, k, &slot) >= 0 && slot.ready;
        return n;
}


void roll_describe_halt(
                const arbiter_monitor *m, uint32_t number, bool overdue, char *text, size_t size) {
        char name[QUALIFIED_NAME_SIZE] = "", why[UNREADY_TEXT_MAX], time[TIMESPAN_STRING_MAX];
        usec_t now = now_usec(), lasted = of_nsec(m->policy.progress_deadline);
        supervise_slot_info slot = {};

        (void) supervise_get_slot(m->set.supervise, number, &slot);
        (void) slot_name(&m->set, number, name);
        if (!overdue || slot.state == SUPERVISE_SLOT_BACKOFF || slot.state == SUPERVISE_SLOT_FAILED) {
                describe_failure(m, &slot, number, why, sizeof(why));
                (void) snprintf(text, size,
                                "the roll of '%s' has halted: %s fails (%s). %u of %u workers serve, and no "
                                "other is replaced unless it starts",
                                m->name, name, why, n_serving(m), m->workers);
                return;
        }
        if (lives(&slot)) /* else it is stopped already, as another definition waits */
                lasted = now - MIN(now, unready_since(m, number, &slot));
        describe_unready(worker(m, number), false, why);
        (void) snprintf(text, size,
                        "the roll of '%s' has halted: %s has not been ready for %s (%s). %u of %u workers "
                        "serve, and no other is replaced unless it gets ready",
                        m->name, name, format_timespan_rounded(time, sizeof(time), lasted), why,
                        n_serving(m), m->workers);
}

/* ", which has not been ready for 12.3 s (its readiness probe says: status 503)" */
static void describe_waiting(const arbiter_monitor *m, const arbiter_roll *roll, char *text, size_t size) {
        char why[UNREADY_TEXT_MAX], time[TIMESPAN_STRING_MAX];
        usec_t now = now_usec();

        describe_unready(worker(m, roll->waiting), true, why);
        (void) snprintf(text, size, "%s.%u, which has not been ready for %s (%s)", m->name, roll->waiting,
                        format_timespan_rounded(time, sizeof(time),
                                        now - MIN(now, roll->waiting_usec)),
                        why);
}

static void add_waiting(const arbiter_monitor *m, const arbiter_roll *roll, char *text, size_t size) {
        char waiting[WHY_TEXT_SIZE], time[TIMESPAN_STRING_MAX];
        size_t n = strlen(text);
        usec_t now = now_usec();

        describe_waiting(m, roll, waiting, sizeof(waiting));
        (void) snprintf(text + n, size - n, " It waits for %s", waiting);
        n = strlen(text);
        if (roll->deadline_usec > 0)
                (void) snprintf(text + n, size - n, ", and halts in %s unless it gets ready",
                                format_timespan_rounded(time, sizeof(time),
                                                roll->deadline_usec - MIN(now, roll->deadline_usec)));
        n = strlen(text);
        (void) snprintf(text + n, size - n, ".");
}

static void describe_halted(const arbiter_monitor *m, const arbiter_roll *roll, char *text, size_t size) {
        char waiting[WHY_TEXT_SIZE];

        if (roll->failing > 0 && roll->failing == roll->waiting) {
                describe_waiting(m, roll, waiting, sizeof(waiting));
                (void) snprintf(text, size,
                                "%s does not go on replacing its workers: it has waited too long for %s; "
                                "%u old ones are left.",
                                m->name, waiting, roll->left);
        } else if (roll->failing > 0)
                (void) snprintf(text, size,
                                "%s does not go on replacing its workers, since %s.%u, a new one, fails; "
                                "%u old ones are left.",
                                m->name, m->name, roll->failing, roll->left);
        else
                (void) snprintf(text, size,
                                "%s does not go on replacing its workers until a new one that has failed "
                                "serves; %u old ones are left.",
                                m->name, roll->left);
}

void roll_describe(arbiter_monitor *m, char *text, size_t size) {
        arbiter_roll roll = { .size = sizeof(roll) };

        (void) arbiter_monitor_get_roll(m, &roll);
        if (roll.state == ARBITER_ROLL_GOING)
                (void) snprintf(text, size,
                                "%s replaces its workers: %u of %u are new, %u old ones are left.", m->name,
                                roll.replaced, m->workers, roll.left);
        else if (roll.state == ARBITER_ROLL_HALTED)
                describe_halted(m, &roll, text, size);
        else if (roll.state == ARBITER_ROLL_TURNING_BACK)
                (void) snprintf(text, size,
                                "%s goes back to the definition before: %u of %u workers have it, %u are "
                                "left.",
                                m->name, roll.replaced, m->workers, roll.left);
        if (roll.waiting > 0 && roll.state != ARBITER_ROLL_HALTED)
                add_waiting(m, &roll, text, size);
}
