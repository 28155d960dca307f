/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top: the figures of actors as they change, on the whole terminal with keys as of systemd-cgtop, or one
 * sample after the other for scripts. Asks once in each interval, and nothing in between. */

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arbiterctl/screen.h"
#include "arbiterctl/top.h"
#include "arbiterctl/verb-util.h"
#include "shared/memstream.h"

#define DELAY_MIN (100 * USEC_PER_MSEC)
#define DELAY_STEP (500 * USEC_PER_MSEC)

struct top {
        struct context *c;
        char *const *patterns;
        sd_event *event;
        sd_event_source *timer;
        struct top_sample sample;
        enum top_order order;
        usec_t delay;
        uint64_t left; /* samples to come; 0: no limit */
        bool live, help;
};

static const char help_text[] = "\n"
                                "  c  by CPU          b  by mailbox      n  by name\n"
                                "  m  by memory       r  by restarts\n"
                                "\n"
                                "  +  slower          -  faster          Space  now\n"
                                "  q  quit            h  this help\n"
                                "\n"
                                "CPU% is that of one processor since the last look; 250 is two and a half.\n"
                                "The line of a monitor is the sum of all below it.\n"
                                "\n"
                                "Any key returns.\n";

static void print_head(const struct top *t, FILE *f) {
        char delay[DURATION_STRING_MAX], text[WHERE_STRING_MAX + 128], where[WHERE_STRING_MAX];
        size_t running = 0;

        for (size_t i = 0; i < t->sample.n_actors; i++)
                running += streq(t->sample.actors[i].state, "running");
        (void) snprintf(text, sizeof(text),
                        "%zu of %zu actors running, every %s; h: help, q: quit; arbiter %s", running,
                        t->sample.n_actors, format_duration(delay, t->delay), context_where(t->c, where));
        (void) fprintf(f, "%s\n\n", text_cut(text, sizeof(text), output_width()));
}

static void draw(struct top *t) {
        unsigned height = output_height();
        size_t size = 0;
        char *text = NULL;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return;
        if (t->help)
                (void) fputs(help_text, f);
        else {
                print_head(t, f);
                top_sample_print(&t->sample, t->order, output_width(), height > 3 ? height - 2 : 1, f);
        }
        if (memstream_finish(f, &text) >= 0) {
                if (size > 0 && text[size - 1] == '\n') /* the last one would move all up */
                        size--;
                screen_draw(text, size);
        }
        free(text);
}

static void print_plain(struct top *t) {
        struct json j;

        if (t->c->json == JSON_OFF) {
                top_sample_print(&t->sample, t->order, 0, 0, stdout);
                if (t->left != 1)
                        (void) putchar('\n');
                return;
        }
        json_init(&j, stdout, t->c->json);
        top_sample_to_json(&t->sample, &j);
}

static void show(struct top *t) {
        top_sample_sort(&t->sample, t->order);
        if (t->live)
                draw(t);
        else
                print_plain(t);
}

static int look(struct top *t) {
        struct top_sample next;
        int r;

        r = top_sample_take(t->c, &t->sample, t->patterns, &next);
        if (r != 0) {
                top_sample_done(&next);
                return r;
        }
        top_sample_done(&t->sample);
        t->sample = next;
        show(t);
        if (fflush(stdout) != 0)
                return EXIT_FAILURE;
        return 0;
}

static int on_time(sd_event_source *s, uint64_t usec, void *userdata) {
        struct top *t = userdata;
        int r;

        r = look(t);
        if (r != 0)
                return sd_event_exit(t->event, r);
        if (t->left > 0 && --t->left == 0)
                return sd_event_exit(t->event, 0);
        r = sd_event_source_set_time_relative(s, t->delay);
        return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void look_now(struct top *t) {
        (void) sd_event_source_set_time_relative(t->timer, 0);
}

static bool choose_order(struct top *t, char key) {
        static const char keys[] = { 'c', 'm', 'b', 'r', 'n' }; /* in the order of enum top_order */
        const char *found = memchr(keys, key, sizeof(keys));

        if (found)
                t->order = (enum top_order)(found - keys);
        return found;
}

static void on_key(struct top *t, char key) {
        if (key == 'q') {
                (void) sd_event_exit(t->event, 0);
                return;
        }
        if (t->help || key == 'h' || key == '?')
                t->help = !t->help;
        else if (key == ' ')
                look_now(t);
        else if (key == '+')
                t->delay += DELAY_STEP;
        else if (key == '-')
                t->delay = t->delay > DELAY_STEP + DELAY_MIN ? t->delay - DELAY_STEP : DELAY_MIN;
        else if (!choose_order(t, key))
                return;
        show(t);
}

static int on_input(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct top *t = userdata;
        char key;

        if (read(fd, &key, 1) != 1) /* the terminal is gone */
                return sd_event_exit(t->event, 0);
        on_key(t, key);
        return 0;
}

static int on_resize(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        show(userdata);
        return 0;
}

/* Ctrl-Z: gives the terminal back for as long as it is stopped. */
static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        screen_leave();
        (void) raise(SIGSTOP);
        screen_enter();
        show(userdata);
        return 0;
}

static int add_signal(struct top *t, int signo, sd_event_signal_handler_t handler) {
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, signo);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        return sd_event_add_signal(t->event, NULL, signo, handler, t);
}

static int add_terminal(struct top *t) {
        int r;

        r = add_signal(t, SIGHUP, NULL); /* ends the loop, as SIGINT and SIGTERM do */
        if (r >= 0)
                r = add_signal(t, SIGQUIT, NULL);
        if (r >= 0)
                r = add_signal(t, SIGWINCH, on_resize);
        if (r >= 0)
                r = add_signal(t, SIGTSTP, on_stop);
        if (r >= 0 && isatty(STDIN_FILENO))
                r = sd_event_add_io(t->event, NULL, STDIN_FILENO, EPOLLIN, on_input, t);
        return r;
}

static int run(struct top *t) {
        int r;

        r = event_loop_new(t->c, &t->event);
        if (r != 0)
                return r;
        r = t->live ? add_terminal(t) : 0;
        if (r >= 0)
                r = sd_event_add_time_relative(t->event, &t->timer, CLOCK_MONOTONIC, 0, 1, on_time, t);
        if (r >= 0) {
                if (t->live)
                        screen_enter();
                r = sd_event_loop(t->event);
                screen_leave();
        }
        (void) sd_bus_detach_event(t->c->bus);
        sd_event_source_unref(t->timer);
        sd_event_unref(t->event);
        return r < 0 ? complain_call(&SD_BUS_ERROR_NULL, r, NULL) : r;
}

int verb_top(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;
        struct top t = {
                .c = c,
                .patterns = argv + 1,
                .delay = c->delay,
                .left = c->iterations,
                .live = !c->batch && c->json == JSON_OFF && screen_is_possible(),
        };
        int r;

        if (t.left == 0 && c->lines != LINES_DEFAULT) /* -n, as of systemd-cgtop */
                t.left = c->lines;
        if (t.left == 0 && !t.live && !c->batch)
                t.left = 1;
        r = run(&t);
        top_sample_done(&t.sample);
        return r;
}
