/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See simulation.h. */

#include "simulation.h"

#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Three programs of so many make more than a million in a minute; builds for debugging do a part of it. */
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define HISTORIES 400000U
#else
#define HISTORIES 50000U
#endif

static const char *program;
static bool quiet; /* a try of the shrinker: only the exit status counts */

static void seed_step(struct simulation *sim, unsigned i) {
        sim->random = (sim->seed * 2 + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
                      (i + UINT64_C(1)) * UINT64_C(0xbf58476d1ce4e5b9);
        for (int k = 0; k < 3; k++)
                (void) draw(sim);
}

bool begin_step(struct simulation *sim, unsigned i) {
        sim->step = i;
        seed_step(sim, i + 1);
        return !sim->skip[i];
}

/* A crash and a failed assert are findings, too; and what a sanitizer ends the program for. */
static struct simulation *running;

static void on_crash(int signal) {
        (void) sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
        violated(running, strsignal(signal), 0);
}

static void on_death(void) {
        if (running) /* not of what is found at the end */
                violated(running, "a sanitizer's finding, see above", 0);
}

extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void catch_crashes(void) {
        static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };

        if (__sanitizer_set_death_callback)
                __sanitizer_set_death_callback(on_death);
        /* a sanitizer says more about all but the first */
        for (size_t i = 0; i < (__sanitizer_set_death_callback ? 1 : ELEMENTSOF(signals)); i++)
                (void) sigaction(signals[i],
                                &(struct sigaction){ .sa_handler = on_crash, .sa_flags = SA_NODEFER }, NULL);
}

static void run(struct simulation *sim) {
        running = sim;
        sim->event = sim->step = 0;
        seed_step(sim, 0);
        history(sim);
        running = NULL;
}

static bool still_fails(const struct simulation *from) {
        struct simulation sim = *from;
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                quiet = true;
                sim.trace = false;
                (void) alarm(10);
                run(&sim);
                _exit(EXIT_SUCCESS);
        }
        return pid > 0 && waitpid(pid, &status, 0) == pid &&
               (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS);
}

/* Leaves out ever shorter runs of steps, as long as what is left still fails. */
static void shrink(struct simulation *sim) {
        for (unsigned length = STEPS_MAX / 2; length > 0; length /= 2)
                for (unsigned first = 0; first < STEPS_MAX; first += length) {
                        struct simulation shorter = *sim;
                        bool anything = false;

                        for (unsigned i = first; i < first + length; i++) {
                                anything = anything || !shorter.skip[i];
                                shorter.skip[i] = true;
                        }
                        if (anything && still_fails(&shorter))
                                *sim = shorter;
                }
}

static void print_replay(const struct simulation *sim) {
        const char *separator = " --steps=";

        printf("replay: %s --seed=%" PRIu64 "%s", program, sim->seed,
               sim->only_oracle ? " --only-oracle" : "");
        for (unsigned i = 0; i < STEPS_MAX; i++) {
                unsigned first = i;

                if (sim->skip[i])
                        continue;
                while (i + 1 < STEPS_MAX && !sim->skip[i + 1])
                        i++;
                printf(first < i ? "%s%u-%u" : "%s%u", separator, first, i);
                separator = ",";
        }
        printf("%s\n", *separator == ',' ? "" : separator); /* no step is needed */
}

_noreturn_ void violated(struct simulation *sim, const char *what, unsigned slot) {
        bool replayed = sim->trace;

        if (quiet)
                _exit(EXIT_FAILURE);
        printf("seed %" PRIu64 ", step %u, slot %u: %s\n", sim->seed, sim->step, slot, what);
        fflush(stdout);
        if (!replayed) {
                shrink(sim);
                print_replay(sim);
        }
        fflush(stdout);
        _exit(EXIT_FAILURE);
}

static const char *const event_names[] = {
        "START", "STOP", "STARTED", "START_FAILED", "IGNORED", "EXITED", "SCALE", "ADD_CHILD",
        "REMOVE_CHILD", "RESTART_CHILD", "STOP_CHILD", "DEFINITION_CHANGED", "TICK",
        "READY", "UNHEALTHY", "RECYCLE", "LOAD", "ROLL_ABORT", "MOVE_CHILD",
};
static const char *const action_names[] = {
        "SPAWN", "STOP", "PARKED", "REMOVED", "STARTED_ALL", "GAVE_UP", "ESCALATE", "START_FAILED",
        "SHUTDOWN", "STOPPED", "ARM", "DRAIN", "SERVE", "ROLL_HALTED", "ROLL_DONE", "ROLL_ABORTED", "SCALED",
        "BREAKER_OPEN", "BREAKER_CLOSED",
};
static_assert(ELEMENTSOF(event_names) == _SUPERVISE_EVENT_MAX, "a name for each event");
static_assert(ELEMENTSOF(action_names) == _SUPERVISE_ACTION_MAX, "a name for each action");

void trace_event(const struct simulation *sim, unsigned set, const supervise_event *e, nsec_t now, int r) {
        if (sim->trace)
                printf("%3u %12.6f set %u: %s slot=%u generation=%" PRIu64 "%s n=%u -> %d\n", sim->step,
                       (double) now / 1e9, set, event_names[e->type], e->slot, e->generation,
                       e->normal ? " normal" : "", e->n, r);
}

void trace_action(const struct simulation *sim, unsigned set, const supervise_action *a) {
        if (sim->trace)
                printf("      set %u: %s slot=%u generation=%" PRIu64 " %.6f\n", set, action_names[a->type],
                       a->slot, a->generation, a->when == NSEC_INFINITY ? -1.0 : (double) a->when / 1e9);
}

static int encode(struct simulation *sim, const supervise *s, uint32_t number, uint8_t *to, size_t size) {
        int r = number > 0 ? supervise_encode_slot(s, number, to, size) : supervise_encode_head(s, to, size);

        require(sim, r >= 0, number);
        return r;
}

void image_commit(struct simulation *sim, struct image *image, supervise *s) {
        uint32_t number;

        while (supervise_next_dirty(s, &number)) {
                require(sim, number <= IMAGE_SLOTS, number);
                image->sizes[number] = (size_t) encode(sim, s, number, image->data[number],
                                                       sizeof(image->data[number]));
        }
}

void image_check(struct simulation *sim, const struct image *image, const supervise *s) {
        uint8_t data[sizeof(image->data[0])];

        for (uint32_t i = 0; i <= IMAGE_SLOTS; i++) {
                require(sim, encode(sim, s, i, data, sizeof(data)) == (int) image->sizes[i], i);
                require(sim, memcmp(data, image->data[i], image->sizes[i]) == 0, i);
        }
}

supervise *image_load(struct simulation *sim, const struct image *image) {
        supervise *s;

        require(sim, supervise_decode_begin(image->data[0], image->sizes[0], &s) >= 0, 0);
        for (unsigned i = 1; i <= IMAGE_SLOTS; i++)
                if (image->sizes[i] > 0)
                        require(sim, supervise_decode_slot(s, i, image->data[i], image->sizes[i]) >= 0, i);
        require(sim, supervise_decode_finish(s) >= 0, 0);
        image_check(sim, image, s);
        return s;
}

static uint64_t parse_number(const char *s, char **end) {
        unsigned long long n;

        errno = 0;
        n = strtoull(s, end, 10);
        if (errno != 0 || *end == s) {
                fprintf(stderr, "not a number: %s\n", s);
                exit(2);
        }
        return n;
}

static uint64_t parse_whole(const char *s) {
        char *end;
        uint64_t n = parse_number(s, &end);

        if (*end != 0) {
                fprintf(stderr, "not a number: %s\n", s);
                exit(2);
        }
        return n;
}

static void parse_steps(struct simulation *sim, const char *s) {
        memset(sim->skip, true, sizeof(sim->skip));
        while (*s) {
                char *end;
                uint64_t first = parse_number(s, &end), last = *end == '-' ? parse_number(end + 1, &end) :
                                first;

                for (uint64_t i = first; i <= last && i < STEPS_MAX; i++)
                        sim->skip[i] = false;
                s = *end == ',' ? end + 1 : "";
        }
}

static void print_counts(const struct simulation *sim, uint64_t n, uint64_t first) {
        printf("%" PRIu64 " histories, from seed %" PRIu64, n, first);
        for (unsigned i = 0; i < ELEMENTSOF(sim->counts) && count_names[i]; i++)
                printf(", %" PRIu64 " %s", sim->counts[i], count_names[i]);
        printf("\n");
}

int simulate(int argc, char *argv[]) {
        static const struct option options[] = { { "histories", required_argument, NULL, 'n' },
                                                 { "first", required_argument, NULL, 'f' },
                                                 { "seed", required_argument, NULL, 's' },
                                                 { "steps", required_argument, NULL, 't' },
                                                 { "only-oracle", no_argument, NULL, 'o' },
                                                 {} };
        uint64_t n = (getenv("ARBITER_TEST_LONG") ? 5000000 : HISTORIES) / history_cost, first = 1;
        struct simulation sim = {};
        int c;

        program = program_invocation_short_name;
        catch_crashes();
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'n':
                        n = parse_whole(optarg);
                        break;
                case 'f':
                        first = parse_whole(optarg);
                        break;
                case 's':
                        sim.seed = parse_whole(optarg);
                        sim.trace = true;
                        break;
                case 't':
                        parse_steps(&sim, optarg);
                        break;
                case 'o':
                        sim.only_oracle = true;
                        break;
                default:
                        return 2;
                }
        if (sim.trace) {
                run(&sim);
                return EXIT_SUCCESS;
        }
        for (uint64_t i = 0; i < n; i++) {
                sim.seed = first + i;
                run(&sim);
        }
        print_counts(&sim, n, first);
        return EXIT_SUCCESS;
}
