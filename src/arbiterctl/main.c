/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterctl: the command line of a running arbiter. This file reads the options and picks the verb; verbs
 * are in verb-<family>.c. Results go to stdout, everything else to stderr. */

#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include <arbiter/version.h>

#include "arbiterctl/ctl.h"
#include "arbiterctl/pager.h"
#include "basic/parse.h"
#include "basic/suggest.h"
#include "shared/instance.h"
#include "shared/log.h"
#include "shared/strv.h"
#include "shared/verbs.h"

#define PROGRAM "arbiterctl"

static const struct verb verbs[] = {
        { NULL, .help = "Look:" },
        { "status", 0, VERB_ANY, VERB_DEFAULT, "[NAME...]",
          "The arbiter and all it runs as a tree, with the last lines of the journal; or a screen for each "
          "NAME",
          verb_status },
        { "top", 0, VERB_ANY, 0, "[NAME...]", "CPU, memory, mailboxes, restarts, as they change", verb_top },
        { "list-actors", 0, VERB_ANY, 0, "[NAME...]", "List actors", verb_list_actors },
        { "list-monitors", 0, VERB_ANY, 0, "[NAME...]", "List monitors", verb_list_monitors },
        { "list-children", 1, 1, 0, "MONITOR",
          "List the children of a monitor, in start order, or the workers of a pool",
          verb_list_children },
        { "show", 0, VERB_ANY, 0, "[NAME...]", "Properties as KEY=VALUE; without NAME, of the arbiter",
          verb_show },
        { "why", 0, VERB_ANY, 0, "[NAME...]",
          "What actors and monitors wait for; without NAME, all that wait", verb_why },
        { "deaths", 0, VERB_ANY, 0, "[NAME...]", "How and when lives ended, newest first", verb_deaths },
        { "log", 0, VERB_ANY, 0, "[NAME...]", "The journal of the arbiter, of monitors, of actors",
          verb_log },
        { "events", 0, VERB_ANY, 0, "[NAME...]", "Follow what happens, a line an event", verb_events },
        { "metrics", 0, 0, 0, NULL, "The arbiter's figures as OpenMetrics text", verb_metrics },
        { NULL, .help = "Talk:" },
        { "ping", 1, VERB_ANY, 0, "NAME...", "Measure round trips to actors", verb_ping },
        { "info", 1, VERB_ANY, 0, "NAME...", "What actors say of themselves", verb_info },
        { "introspect", 1, VERB_ANY, 0, "NAME...", "Commands of actors, with their signatures",
          verb_introspect },
        { "send", 2, VERB_ANY, 0, "NAME COMMAND [SIGNATURE ARG...]",
          "Send a command and print the reply; arguments as in busctl(1)", verb_send },
        { NULL, .help = "Change:" },
        { "spawn", 1, VERB_ANY, 0, "DEFINITION [NAME] [KEY=VALUE...]",
          "Start an actor from a definition; prints name, aid and pid. Or a program: spawn NAME -- PROGRAM "
          "ARG...",
          verb_spawn },
        { "stop", 1, VERB_ANY, 0, "NAME...", "Stop actors or monitors, in order", verb_stop },
        { "kill", 1, VERB_ANY, 0, "NAME...", "Send a signal to actors", verb_kill },
        { "restart", 1, VERB_ANY, 0, "NAME...", "Replace actors, or all workers of monitors", verb_restart },
        { "scale", 2, 2, 0, "MONITOR N|+N|-N", "Change the number of workers", verb_scale },
        { "add-child", 2, 3, 0, "MONITOR DEFINITION [NAME]",
          "Add an instance of a definition to the children of a monitor", verb_add_child },
        { "remove-child", 2, VERB_ANY, 0, "MONITOR NAME...", "Stop children of a monitor, and forget them",
          verb_remove_child },
        { "wait", 2, 2, 0, "NAME STATE", "Wait until something is running, failed, gone...", verb_wait },
        { NULL, .help = "Configure:" },
        { "cat", 1, VERB_ANY, 0, "NAME...", "Show configuration files with their drop-ins", verb_cat },
        { "verify", 0, VERB_ANY, 0, "[FILE...]", "Check configuration files; needs no running arbiter",
          verb_verify },
        { "daemon-reload", 0, VERB_ANY, 0, NULL, "Have the configuration read again", verb_reload },
        { "reload", 0, VERB_ANY, 0, "[MONITOR...]",
          "Read the files of monitors again and replace their workers bit by bit; without MONITOR, as "
          "daemon-reload",
          verb_reload },
        { "daemon-reexec", 0, 0, 0, NULL, "Have the arbiter replaced by its program on disk", verb_reexec },
        {},
};

enum {
        OPTION_VERSION = 0x100,
        OPTION_SYSTEM,
        OPTION_USER,
        OPTION_INSTANCE,
        OPTION_NO_ASK_PASSWORD,
        OPTION_RUNTIME_DIR,
        OPTION_CONFIG_DIR,
        OPTION_JSON,
        OPTION_NO_PAGER,
        OPTION_NO_LEGEND,
        OPTION_NO_BLOCK,
        OPTION_DRY_RUN,
        OPTION_ABORT,
        OPTION_TIMEOUT,
        OPTION_VALUE,
        OPTION_SINCE,
        OPTION_UNTIL,
        OPTION_PRIORITY,
        OPTION_ITERATIONS,
        OPTION_HOLD,
        OPTION_KEY,
        OPTION_ROUTING,
        OPTION_TO,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "system", no_argument, NULL, OPTION_SYSTEM },
        { "user", no_argument, NULL, OPTION_USER },
        { "host", required_argument, NULL, 'H' },
        { "machine", required_argument, NULL, 'M' },
        { "instance", required_argument, NULL, OPTION_INSTANCE },
        { "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
        { "no-ask-password", no_argument, NULL, OPTION_NO_ASK_PASSWORD },
        { "config-dir", required_argument, NULL, OPTION_CONFIG_DIR },
        { "json", required_argument, NULL, OPTION_JSON },
        { "no-pager", no_argument, NULL, OPTION_NO_PAGER },
        { "no-legend", no_argument, NULL, OPTION_NO_LEGEND },
        { "no-block", no_argument, NULL, OPTION_NO_BLOCK },
        { "dry-run", no_argument, NULL, OPTION_DRY_RUN },
        { "abort", no_argument, NULL, OPTION_ABORT },
        { "quiet", no_argument, NULL, 'q' },
        { "timeout", required_argument, NULL, OPTION_TIMEOUT },
        { "property", required_argument, NULL, 'p' },
        { "value", no_argument, NULL, OPTION_VALUE },
        { "signal", required_argument, NULL, 's' },
        { "lines", required_argument, NULL, 'n' },
        { "full", no_argument, NULL, 'l' },
        { "follow", no_argument, NULL, 'f' },
        { "output", required_argument, NULL, 'o' },
        { "priority", required_argument, NULL, OPTION_PRIORITY },
        { "since", required_argument, NULL, OPTION_SINCE },
        { "until", required_argument, NULL, OPTION_UNTIL },
        { "catalog", no_argument, NULL, 'x' },
        { "batch", no_argument, NULL, 'b' },
        { "delay", required_argument, NULL, 'd' },
        { "iterations", required_argument, NULL, OPTION_ITERATIONS },
        { "count", required_argument, NULL, 'c' },
        { "interval", required_argument, NULL, 'i' },
        { "hold", no_argument, NULL, OPTION_HOLD },
        { "key", required_argument, NULL, OPTION_KEY },
        { "routing", required_argument, NULL, OPTION_ROUTING },
        { "to", required_argument, NULL, OPTION_TO },
        {},
};

static void print_help(void) {
        static const char *const options[][2] = {
                { "-h, --help", "Show this help" },
                { "    --version", "Show the version" },
                { "    --system", "The system's arbiter, by the system bus" },
                { "    --user", "The user's arbiter, by the user bus" },
                { "-H, --host=[USER@]HOST", "The system's arbiter of another host, by ssh" },
                { "-M, --machine=NAME", "The arbiter in a container" },
                { "    --instance=NAME", "The arbiter of arbiter@NAME.service" },
                { "    --runtime-dir=DIR",
                  "The arbiter whose directory this is, by its socket; default: $ARBITER_RUNTIME_DIR" },
                { "    --json=MODE", "pretty, short or off" },
                { "    --no-legend", "No column titles, no totals" },
                { "    --no-pager", "Do not run a pager on a terminal" },
                { "-q, --quiet", "Results only" },
                { "    --no-block", "Do not wait until the work is done" },
                { "    --abort", "reload, restart: go back to the definition before" },
                { "    --dry-run", "daemon-reload: only show what it would do" },
                { "    --no-ask-password", "Do not ask for a password; be refused" },
                { "    --timeout=SEC",
                  "How long to wait for an answer (25s; work, and wait, for as long as it takes)" },
                { "-n, --lines=N", "status, log: lines of the journal (status: 10)" },
                { "-l, --full", "status: do not cut lines to the terminal" },
                { "-f, --follow", "log: go on as lines come" },
                { "-o, --output=FORMAT", "log: short, cat, json... as journalctl(1)" },
                { "-p, --priority=LEVEL", "log: this important and more: err, warning..." },
                { "    --since=TIME", "log: not older: \"-5min\", \"yesterday\"..." },
                { "    --until=TIME", "log: not newer" },
                { "-x, --catalog", "log: explain messages" },
                { "-b, --batch", "top: one table after the other, no keys" },
                { "-d, --delay=SEC", "top: time between looks (1s)" },
                { "-n, --iterations=N", "top: so many looks" },
                { "-p, --property=NAME", "show: only these properties" },
                { "    --value", "show: values without their names" },
                { "-s, --signal=SIGNAL", "kill: which one (TERM)" },
                { "-c, --count=N", "ping: how many rounds (3); 0: until interrupted" },
                { "-i, --interval=SEC", "ping: time between rounds (1s)" },
                { "    --hold", "send: wait for one who is restarted" },
                { "    --key=TEXT", "send: the same worker of a pool for the same key" },
                { "    --routing=POLICY", "send: to which worker: broadcast, least-outstanding..." },
                { "    --to=monitor|pool", "send: to which of the two that have the name" },
                { "    --config-dir=DIR", "cat, verify: read this directory; may be given several times" },
        };

        (void) printf(PROGRAM " [OPTIONS...] VERB\n\nTalk to a running arbiter.\n\n");
        verbs_print_help(stdout, verbs);
        (void) printf("\nOptions:\n");
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                help_print_line(stdout, options[i][0], options[i][1]);
        (void) printf("\nNAME is an actor's name, its aid, a monitor's name, or a glob over them.\n"
                      "Exit status: 0 done, 1 failed, 2 usage, 3 not running, 4 no such actor, 124\n"
                      "wait timed out.\n");
}

static int usage(const char *format, const char *value) {
        return complain(EXIT_USAGE, format, value);
}

static int parse_time_option(const char *value, const char *option, usec_t *ret) {
        usec_t t;

        if (parse_timespan(value, &t) < 0 || t == 0)
                return complain(EXIT_USAGE,
                                "%s=%s is no span of time above 0. Write for example 5, 500ms or 1min.",
                                option, value);
        *ret = t;
        return 0;
}

static int replace_string(char **field, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return out_of_memory();
        free(*field);
        *field = copy;
        return 0;
}

/* One of a few words; `expected` names them for people. */
static int take_word(char **field, const char *option, const char *value, const char *const *words,
                     const char *expected) {
        struct suggestion near = {};

        for (const char *const *i = words; *i; i++) {
                if (streq(*i, value))
                        return replace_string(field, value);
                suggest(&near, value, *i);
        }
        if (near.word)
                return complain(EXIT_USAGE, "%s=%s: did you mean %s? Expected %s.", option, value, near.word,
                                expected);
        return complain(EXIT_USAGE, "%s=%s: expected %s.", option, value, expected);
}

static int take_routing(struct context *c, const char *value) {
        static const char *const words[] = { "round-robin", "least-outstanding", "consistent-hash",
                                             "broadcast", NULL };

        return take_word(&c->routing, "--routing", value, words,
                         "round-robin, least-outstanding, consistent-hash or broadcast");
}

static int take_to(struct context *c, const char *value) {
        static const char *const words[] = { "monitor", "pool", NULL };

        return take_word(&c->to, "--to", value, words, "monitor or pool");
}

static int add_properties(struct context *c, const char *value) {
        _cleanup_free_ char *copy = strdup(value);
        char *state = NULL;

        if (!copy)
                return out_of_memory();
        for (char *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state))
                if (strv_add(&c->properties, word) < 0)
                        return out_of_memory();
        return 0;
}

static int parse_verb_option(struct context *c, int option, const char *value) {
        switch (option) {
        case 'p': /* of show; with log, the priority */
                return replace_string(&c->priority, value) ?: add_properties(c, value);
        case 's':
                if (parse_signal(value, &c->signal) < 0)
                        return usage("'%s' is no signal. Write for example KILL, SIGHUP or 15.", value);
                return 0;
        case 'c':
                if (parse_u64(value, &c->ping_count) < 0)
                        return usage("-c %s is no number of rounds. Write a whole number; 0 is until "
                                     "interrupted.",
                                     value);
                return 0;
        case 'n':
                if (parse_u32(value, &c->lines) < 0 || c->lines == LINES_DEFAULT)
                        return usage("--lines=%s is no number of lines. Write a whole number; 0 is none.",
                                     value);
                return 0;
        case 'i':
                return parse_time_option(value, "--interval", &c->ping_interval);
        case OPTION_HOLD:
                c->hold = true;
                return 0;
        case OPTION_KEY:
                return replace_string(&c->key, value);
        case OPTION_ROUTING:
                return take_routing(c, value);
        case OPTION_TO:
                return take_to(c, value);
        default:
                return strv_add(&c->config_dirs, value) < 0 ? out_of_memory() : 0;
        }
}

static int parse_connection_option(struct context *c, int option, const char *value) {
        switch (option) {
        case OPTION_SYSTEM:
        case OPTION_USER:
                c->scope = option == OPTION_USER ? SCOPE_USER : SCOPE_SYSTEM;
                return 0;
        case OPTION_RUNTIME_DIR:
                return replace_string(&c->runtime_dir, value);
        case OPTION_INSTANCE:
                if (!instance_name_is_valid(value))
                        return usage("--instance=%s: expected the NAME of arbiter@NAME.service: "
                                     INSTANCE_NAME_EXPECTED ".",
                                     value);
                return replace_string(&c->instance, value);
        case 'H':
                return replace_string(&c->host, value);
        case 'M':
                return replace_string(&c->machine, value);
        default:
                c->ask_password = false;
                return 0;
        }
}

static int parse_look_option(struct context *c, int option, const char *value) {
        switch (option) {
        case 'l':
                c->full = true;
                return 0;
        case 'f':
                c->follow = true;
                return 0;
        case 'x':
                c->catalog = true;
                return 0;
        case 'b':
                c->batch = true;
                return 0;
        case 'd':
                return parse_time_option(value, "--delay", &c->delay);
        case OPTION_ITERATIONS:
                if (parse_u64(value, &c->iterations) < 0 || c->iterations == 0)
                        return usage("--iterations=%s is no number of looks. Write a whole number above 0.",
                                     value);
                return 0;
        case 'o':
                return replace_string(&c->output, value);
        case OPTION_SINCE:
                return replace_string(&c->since, value);
        case OPTION_UNTIL:
                return replace_string(&c->until, value);
        case OPTION_PRIORITY:
                return replace_string(&c->priority, value);
        case OPTION_VALUE:
                c->value_only = true;
                return 0;
        default:
                return parse_verb_option(c, option, value);
        }
}

/* Returns 0, or an exit status; -1: all is said and done. */
static int parse_option(struct context *c, int option, const char *value) {
        switch (option) {
        case 'h':
                pager_open(c);
                print_help();
                return -1;
        case OPTION_VERSION:
                (void) puts(PROGRAM " " ARBITER_VERSION_STRING);
                return -1;
        case OPTION_SYSTEM:
        case OPTION_USER:
        case OPTION_INSTANCE:
        case OPTION_RUNTIME_DIR:
        case OPTION_NO_ASK_PASSWORD:
        case 'H':
        case 'M':
                return parse_connection_option(c, option, value);
        case OPTION_JSON:
                if (json_mode_from_string(value, &c->json) < 0)
                        return usage("--json=%s: expected pretty, short or off.", value);
                return 0;
        case OPTION_NO_PAGER:
                c->pager = false;
                return 0;
        case OPTION_NO_LEGEND:
                c->legend = false;
                return 0;
        case OPTION_NO_BLOCK:
                c->block = false;
                return 0;
        case OPTION_DRY_RUN:
                c->dry_run = true;
                return 0;
        case OPTION_ABORT:
                c->abort = true;
                return 0;
        case OPTION_TIMEOUT:
                return parse_time_option(value, "--timeout", &c->timeout);
        case 'q':
                c->quiet = true;
                return 0;
        default:
                return parse_look_option(c, option, value);
        }
}

static int complain_option(char *argv[], int option, int at) {
        char letter[] = { '-', (char) optopt, 0 };
        bool is_long = startswith(argv[at], "--");
        const char *name = is_long ? argv[at] : letter;
        struct suggestion s = {};

        if (option == ':')
                return usage("Option %s needs a value. '" PROGRAM " --help' lists all options.", name);
        if (is_long && optopt != 0)
                return usage("Option %s: it takes no value. '" PROGRAM " --help' lists all options.", name);
        for (const struct option *o = long_options; o->name && is_long; o++)
                suggest(&s, name + 2, o->name);
        if (s.word)
                return complain(EXIT_USAGE, "Unknown option %s: did you mean --%s?", name, s.word);
        return usage("Unknown option %s. '" PROGRAM " --help' lists all options.", name);
}

/* A negative number is an argument wherever it stands ("scale web -1", "send web.1 add i -5"). */
static bool is_negative_number(const char *s) {
        return s && s[0] == '-' && s[1] >= '0' && s[1] <= '9';
}

static int check_connection_options(const struct context *c) {
        bool elsewhere = c->host || c->machine;

        if (c->host && c->machine)
                return complain(EXIT_USAGE, "Which one: --host=%s or --machine=%s? Give one of them.",
                                c->host, c->machine);
        if (c->runtime_dir && (elsewhere || c->scope != SCOPE_DEFAULT || c->instance))
                return complain(EXIT_USAGE,
                                "--runtime-dir=%s names an arbiter already: leave out --system, --user, "
                                "--host=, --machine= and --instance=.",
                                c->runtime_dir);
        if (c->host && c->scope == SCOPE_USER)
                return complain(EXIT_USAGE,
                                "--user does not go with --host=. Try 'ssh %s arbiterctl --user ...'.",
                                c->host);
        return 0;
}

/* Moves the arguments that are no options to the front of argv, from 1, and their number to *ret_n. */
static int parse_arguments(struct context *c, int argc, char *argv[], int *ret_n) {
        int n = 0, option, r;

        for (;;) {
                int at = optind;

                if (is_negative_number(argv[optind])) {
                        argv[++n] = argv[optind++];
                        continue;
                }
                option = getopt_long(argc, argv, "-:bhqlfxd:H:M:n:o:p:s:c:i:", long_options, NULL);
                if (option == -1)
                        break;
                if (option == 1) {
                        argv[++n] = optarg;
                        continue;
                }
                if (option == '?' || option == ':')
                        return complain_option(argv, option, at);
                r = parse_option(c, option, optarg);
                if (r != 0)
                        return r;
        }
        if (optind < argc || (optind > 1 && optind == argc && streq(argv[argc - 1], "--") && n < argc - 1))
                c->n_before_dashes = n;
        while (optind < argc)
                argv[++n] = argv[optind++];
        argv[++n] = NULL;
        *ret_n = n - 1;
        return check_connection_options(c);
}

int main(int argc, char *argv[]) {
        _cleanup_(context_done) struct context c = {
                .legend = true,
                .block = true,
                .ask_password = true,
                .pager = true,
                .delay = USEC_PER_SEC,
                .lines = LINES_DEFAULT,
                .signal = SIGTERM,
                .ping_count = 3,
                .ping_interval = USEC_PER_SEC,
                .n_before_dashes = -1,
        };
        bool failed;
        int n = 0, r;

        log_open(PROGRAM);
        output_init();
        r = parse_arguments(&c, argc, argv, &n);
        if (r == 0)
                r = verbs_dispatch(n, argv + 1, verbs, PROGRAM, &c);
        if (r < 0)
                r = EXIT_SUCCESS;
        if (pager_close(&c))
                return r;
        failed = ferror(stdout); /* earlier: what is left may find a place all the same */
        if (fflush(stdout) != 0)
                (void) log_error_errno(errno, "Cannot write the answer: %m");
        else if (failed)
                log_error("Cannot write all of the answer. Is the disk full?");
        else
                return r;
        return r == EXIT_SUCCESS ? EXIT_FAILURE : r;
}
