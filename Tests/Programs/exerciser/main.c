// exerciser: the same random file operations in a served and in an unserved directory, compared step by step.
#include "exerciser.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: exerciser --served DIR --reference DIR [options]\n"
    "Runs random file operations in fresh subdirectories of both and compares them after each one. The two should lie\n"
    "in the same file system; run it under LD_PRELOAD with PMEMSHIM_MOUNTS naming the first and not the second.\n"
    "  --outside DIR         a third directory, unserved: names move between it and the others\n"
    "  --seed N              first seed (default: from the clock; printed)\n"
    "  --ops N               operations in a sequence (default 2000)\n"
    "  --sequences N         sequences, each with the next seed and in a process of its own (default 1)\n"
    "  --seconds N           begin no further one after so long\n"
    "  --huge                files of several MiB that cross 2 MiB borders\n"
    "  --modes LIST          of threads, fork, exec, kill, truncation, faults, jumps, vectors, counts, handles,\n"
    "                        runtime, huge, seals, sync, aio; or all (default none)\n"
    "  --own-mount           the file system of both is the exerciser's own: modes huge and sync may remount it\n"
    "  --beside              another program opens the files now and then: a lease is asked for again for 50 ms\n"
    "  --runtime DIR         the shim's runtime directory, for mode runtime: what is there is damaged\n"
    "  --times               also compare whether mtime and ctime move, to the clock tick\n"
    "  --libc-reference      the reference side too goes through libc, not past it\n"
    "  --load FILE           run the sequence in FILE\n"
    "  --save FILE           where a failing sequence goes (default /tmp/exerciser-SEED-PID.ops)\n"
    "  --no-minimise         do not shorten it\n"
    "  --tries N             runs of a shortened sequence before it counts as passing (default 2)\n"
    "  --minimise-seconds N  time for shortening (default 60)\n"
    "  --timeout N           seconds after which a sequence hangs (default 120)\n"
    "  --print               print the sequence and run nothing\n"
    "  --trace               print every step with its numbers\n"
    "  --quiet               no counts by kind of operation\n"
    "Exit status: 0 no difference, 1 a difference, 2 could not run.\n"
    "EXERCISER_SABOTAGE=NAME breaks the served side on purpose:\n";

enum long_option {
    SERVED = 1000, REFERENCE, OUTSIDE_DIRECTORY, SEED, OPS, SEQUENCES, HUGE_FILES, TIMES, LIBC_REFERENCE, LOAD, SAVE,
    MINIMISE, NO_MINIMISE, TRIES, MINIMISE_SECONDS, TIMEOUT, PRINT, TRACE, QUIET, INTERNAL_RUN, INTERNAL_RESUME, HELP,
    MODES, SECONDS, RUNTIME, OWN_MOUNT, BESIDE_OTHERS,
};

static const struct option long_options[] = {
    {"served", required_argument, NULL, SERVED}, {"reference", required_argument, NULL, REFERENCE},
    {"outside", required_argument, NULL, OUTSIDE_DIRECTORY}, {"seed", required_argument, NULL, SEED},
    {"ops", required_argument, NULL, OPS}, {"sequences", required_argument, NULL, SEQUENCES},
    {"huge", no_argument, NULL, HUGE_FILES}, {"times", no_argument, NULL, TIMES},
    {"libc-reference", no_argument, NULL, LIBC_REFERENCE}, {"load", required_argument, NULL, LOAD},
    {"save", required_argument, NULL, SAVE}, {"minimise", no_argument, NULL, MINIMISE},
    {"no-minimise", no_argument, NULL, NO_MINIMISE}, {"tries", required_argument, NULL, TRIES},
    {"minimise-seconds", required_argument, NULL, MINIMISE_SECONDS}, {"timeout", required_argument, NULL, TIMEOUT},
    {"print", no_argument, NULL, PRINT}, {"trace", no_argument, NULL, TRACE}, {"quiet", no_argument, NULL, QUIET},
    {"internal-resume", required_argument, NULL, INTERNAL_RESUME}, {"modes", required_argument, NULL, MODES},
    {"seconds", required_argument, NULL, SECONDS}, {"runtime", required_argument, NULL, RUNTIME},
    {"own-mount", no_argument, NULL, OWN_MOUNT}, {"beside", no_argument, NULL, BESIDE_OTHERS},
    {"internal-run", no_argument, NULL, INTERNAL_RUN}, {"help", no_argument, NULL, HELP}, {NULL, 0, NULL, 0},
};

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno != 0 || text[0] == '-') {
        fprintf(stderr, "exerciser: not a number: %s\n", text);
        exit(STATUS_USAGE);
    }
    return value;
}

static uint64_t fresh_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t state = (uint64_t)now.tv_sec * 1000000007ull + (uint64_t)now.tv_nsec + (uint64_t)getpid();
    return random_next(&state) % 1000000000;
}

// The child's side: the sequence and the shared report come as descriptors, which stay for an image after exec.
static int internal_run(const struct options *options)
{
    struct sequence sequence;
    struct report *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, REPORT_FD, 0);
    int copy = fcntl(SEQUENCE_FD, F_DUPFD_CLOEXEC, 5);
    lseek(SEQUENCE_FD, 0, SEEK_SET);
    FILE *in = copy < 0 ? NULL : fdopen(copy, "r");
    if (in == NULL || report == MAP_FAILED || !sequence_load(in, &sequence)) return STATUS_USAGE;
    fclose(in);
    fcntl(SEQUENCE_FD, F_SETFD, FD_CLOEXEC);
    fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC);
    return run_sequence(options, &sequence, report);
}

static void set_option(struct options *options, int option, const char *argument)
{
    switch (option) {
    case SERVED: options->served = argument; break;
    case REFERENCE: options->reference = argument; break;
    case OUTSIDE_DIRECTORY: options->outside = argument; break;
    case SEED: options->seed = number(argument); break;
    case OPS: options->operations = (size_t)number(argument); break;
    case SEQUENCES: options->sequences = (size_t)number(argument); break;
    case HUGE_FILES: options->huge = true; break;
    case TIMES: options->times = true; break;
    case RUNTIME: options->runtime = argument; break;
    case OWN_MOUNT: options->own_mount = true; break;
    case BESIDE_OTHERS: options->beside = true; break;
    case SECONDS: options->seconds = (int)number(argument); break;
    case INTERNAL_RESUME: options->resume = (int)number(argument); break;
    case MODES:
        if (modes_parse(argument, &options->modes)) break;
        fprintf(stderr, "exerciser: not a list of modes: %s; see --help\n", argument);
        exit(STATUS_USAGE);
    case LIBC_REFERENCE: options->libc_reference = true; break;
    case LOAD: options->load = argument; break;
    case SAVE: options->save = argument; break;
    case MINIMISE: options->minimise = true; break;
    case NO_MINIMISE: options->minimise = false; break;
    case TRIES: options->tries = (int)number(argument); break;
    case MINIMISE_SECONDS: options->minimise_seconds = (int)number(argument); break;
    case TIMEOUT: options->timeout = (int)number(argument); break;
    case PRINT: options->print = true; break;
    case TRACE: options->trace = true; break;
    case QUIET: options->quiet = true; break;
    default: break;
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--internal-helper") == 0) return helper_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--internal-spawned") == 0) return spawned_main(argc, argv);
    own_arguments = argv;
    struct options options = {
        .seed = fresh_seed(), .operations = 2000, .sequences = 1, .minimise = true, .tries = 2, .timeout = 120,
        .minimise_seconds = 60, .resume = -1,
    };
    bool internal = false, help = false;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == '?') return STATUS_USAGE;
        internal |= option == INTERNAL_RUN;
        help |= option == HELP;
        set_option(&options, option, optarg);
    }
    bool complete = options.print || (options.served != NULL && options.reference != NULL);
    if (help || !complete || optind != argc) {
        if (help) {
            fputs(usage, stdout);
            sabotage_list(stdout);
            return STATUS_EQUAL;
        }
        fputs("exerciser: --served DIR and --reference DIR are needed; see --help\n", stderr);
        return STATUS_USAGE;
    }
    if (internal) return internal_run(&options);
    return supervise(&options);
}
