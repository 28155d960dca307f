/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon-reexec: has the arbiter replaced by its program on disk, waits until the new one answers, and says
 * whether the actors have gone on. */

#include <inttypes.h>
#include <time.h>

#include "arbiterctl/manager.h"
#include "arbiterctl/progress.h"
#include "arbiterctl/verb-util.h"
#include "shared/bus-names.h"

#define BACK_USEC (60 * USEC_PER_SEC)
#define LOOK_NSEC (20 * 1000 * 1000) /* there is no event that says so on each way to an arbiter */

/* Is it another one than before? Without a complaint: it may just be going. */
static bool is_back(struct context *c, const struct manager_object *before) {
        uint64_t started = 0;

        if (context_reconnect(c) < 0)
                return false;
        return sd_bus_get_property_trivial(c->bus, c->destination, BUS_PATH, BUS_INTERFACE_MANAGER,
                               "StartedUsec", NULL, 't', &started) >= 0 &&
                started != before->started_usec;
}

static int wait_until_back(struct context *c, const struct manager_object *before) {
        usec_t deadline = time_add(now_usec(), c->timeout > 0 ? c->timeout : BACK_USEC);
        char command[WHERE_STRING_MAX];
        bool back = false;

        progress_start(c);
        while (!back && now_usec() < deadline) {
                back = is_back(c, before);
                if (back)
                        break;
                (void) progress_show("Waiting for the new arbiter");
                (void) nanosleep(&(struct timespec){ .tv_nsec = LOOK_NSEC }, NULL);
        }
        progress_clear();
        if (back)
                return 0;
        return complain(EXIT_FAILURE,
                        "The arbiter was executed anew, and does not answer yet. Its log says more; if it "
                        "does not run: '%s'.",
                        context_start_command(c, command));
}

static size_t count_gone_on(const struct snapshot *before, const struct snapshot *after) {
        size_t n = 0;

        for (size_t i = 0; i < before->n_actors; i++)
                n += snapshot_find_actor(after, before->actors[i].aid) != NULL;
        return n;
}

static void tell_json(const struct context *c, const struct manager_object *before,
                      const struct manager_object *after, size_t n_actors, size_t n_ended) {
        struct json j;

        json_init(&j, stdout, c->json);
        json_open(&j, '{');
        json_key_string(&j, "version_before", before->version);
        json_key_string(&j, "version", after->version);
        json_key_u64(&j, "pid", (uint64_t) after->pid);
        json_key_u64(&j, "actors", n_actors);
        json_key_u64(&j, "ended", n_ended);
        json_close(&j, '}');
        json_end(&j);
}

static int tell(struct context *c, const struct manager_object *before, const struct snapshot *actors) {
        _cleanup_(manager_done) struct manager_object after = {};
        _cleanup_(snapshot_done) struct snapshot now = {};
        size_t n, ended;
        int r;

        r = manager_take(c, &after);
        if (r == 0)
                r = snapshot_take_actors(c, &now);
        if (r != 0)
                return r;
        n = count_gone_on(actors, &now);
        ended = actors->n_actors - n;
        if (c->json != JSON_OFF)
                tell_json(c, before, &after, n, ended);
        else if (!c->quiet) {
                (void) printf("arbiter: %s %s %s (pid %d), %zu actor%s went on", before->version,
                              glyph(GLYPH_ARROW), after.version, (int) after.pid, n, n == 1 ? "" : "s");
                if (ended > 0)
                        (void) printf(", %zu ended meanwhile: 'arbiterctl deaths' knows", ended);
                (void) putchar('\n');
        }
        return 0;
}

int verb_reexec(int argc, char *argv[], void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(manager_done) struct manager_object before = {};
        _cleanup_(snapshot_done) struct snapshot actors = {};
        struct context *c = userdata;
        int r;

        r = manager_take(c, &before);
        if (r == 0)
                r = snapshot_take_actors(c, &actors);
        if (r == 0)
                r = call_manager_for_work(c, "Reexecute", "Execution of the new program", &reply);
        if (r != 0 || !c->block)
                return r;
        r = wait_until_back(c, &before);
        return r == 0 ? tell(c, &before, &actors) : r;
}
