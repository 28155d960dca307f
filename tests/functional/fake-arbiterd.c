/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fake-arbiterd DIR [N]: the D-Bus face of an arbiter with N actors in one monitor that exist in a table
 * only, on DIR/private. For test-arbiterctl: what arbiterctl says to exact answers, and how long it takes
 * for a thousand actors. Does at once what it is asked to. Says "ready" on stdout; ends by SIGTERM, or when
 * stdin closes. */

#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "bus/bus.h"
#include "fake-control.h"
#include "shared/bus-names.h"
#include "wire/message.h"

static bool leaves; /* not sd_event_exit(): fake_free() needs the loop for what is pending */

static struct fake_actor *find(arbiter *a, const char *target) {
        for (size_t i = 0; i < a->n_actors; i++)
                if (streq(a->actors[i].id, target) || streq(a->actors[i].name, target))
                        return a->actors + i;
        return NULL;
}

/* The next life of an actor: its aid begins with another letter, its pid is another. */
static void restart(arbiter *a, struct fake_actor *f) {
        size_t i = (size_t) (f - a->actors);

        fake_actor_gone(a, i, ARBITER_REASON_SIGNAL, SIGTERM);
        f->id[0] = (char) (f->id[0] == 'z' ? 'b' : 'z');
        f->view.pid += 5000;
        f->view.restarts++;
        fake_actor_new(a, i);
        fake_actor_changed(a, i);
}

static void reply_info(arbiter *a, const char *name) {
        arbiter_message *m;

        if (arbiter_message_new(&m) < 0 ||
            arbiter_message_append(m, "a{sv}", 2, "actor", "a{sv}", 2, "name", "s", name, "uptime", "d", 0.5,
                                   "extra", "a{sv}", 0) < 0 ||
            message_seal(m) < 0)
                abort();
        fake_reply(a, m);
        arbiter_message_unref(m);
}

/* False: no answer comes, now or later. */
static bool serve(arbiter *a) {
        struct fake_request *q = a->requests;
        struct fake_actor *f = find(a, q->target);

        if (streq(q->verb, "stop") && streq(q->target, "web.3"))
                return false;
        if (streq(q->verb, "stop") && streq(q->target, "web.4")) {
                leaves = true;
                return false;
        }
        if (streq(q->verb, "restart"))
                for (size_t i = 0; i < a->n_actors; i++)
                        if (!f || f == a->actors + i)
                                restart(a, a->actors + i);
        if (streq(q->verb, "scale"))
                fake_monitor_changed(a);
        if (streq(q->verb, "reexecute")) {
                fake_fail(a, ARBITER_OUTCOME_APPLICATION_ERROR, BUS_ERROR_REEXECUTE_FAILED,
                          "The new program cannot read the state.");
                return true;
        }
        if (streq(q->verb, "send") && streq(q->command, "byte"))
                fake_fail(a, ARBITER_OUTCOME_CALLEE_DIED, NULL,
                          "web.1 died of signal KILL before it answered.");
        else if (streq(q->command, "info"))
                reply_info(a, f->name);
        else if (q->message)
                fake_echo(a);
        else
                fake_reply(a, NULL);
        return true;
}

static int on_turn(sd_event_source *s, void *userdata) {
        arbiter *a = userdata;

        while (a->requests && serve(a))
                ;
        return 0;
}

static int on_stdin(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        leaves = true;
        return sd_event_source_set_enabled(s, SD_EVENT_OFF); /* or it is ready for ever */
}

int main(int argc, char *argv[]) {
        struct bus_face *face = NULL;
        char path[4096];
        arbiter *a;
        int r;

        if (argc < 2)
                return EXIT_FAILURE;
        a = fake_new(argc > 2 ? strtoul(argv[2], NULL, 10) : 4);
        a->monitor.name = "web";
        a->monitor.workers = (uint32_t) a->n_actors;
        if (a->n_actors > 0)
                a->actors[0].view.status = "serving";
        (void) snprintf(path, sizeof(path), "%s/private", argv[1]);
        r = bus_face_new(a, &face);
        if (r >= 0)
                r = bus_face_listen(face, path);
        if (r >= 0)
                r = sd_event_add_post(a->event, NULL, on_turn, a);
        if (r >= 0)
                r = sd_event_add_io(a->event, NULL, STDIN_FILENO, EPOLLIN | EPOLLHUP, on_stdin, NULL);
        if (r >= 0) {
                (void) puts("ready");
                (void) fflush(stdout);
                while (r >= 0 && !leaves)
                        r = sd_event_run(a->event, UINT64_MAX);
        }
        bus_face_free(face);
        fake_free(a);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
