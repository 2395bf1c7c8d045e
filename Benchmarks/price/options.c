// The options of `pattern`.
#define _GNU_SOURCE
#include "pattern.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct option options[] = {
    {"directory", required_argument, NULL, 'd'}, {"files", required_argument, NULL, 'f'},
    {"size", required_argument, NULL, 's'},      {"rounds", required_argument, NULL, 'r'},
    {"calls", required_argument, NULL, 'c'},     {"length", required_argument, NULL, 'l'},
    {"writes", required_argument, NULL, 'w'},    {"in-order", no_argument, NULL, 'o'},
    {"at-offset", no_argument, NULL, 'O'},       {"keep", no_argument, NULL, 'k'},
    {"journal", no_argument, NULL, 'j'},         {"sparse", no_argument, NULL, 'S'},
    {"preallocated", no_argument, NULL, 'P'},    {"warm", no_argument, NULL, 'W'},
    {"close", no_argument, NULL, 'C'},           {"threads", required_argument, NULL, 't'},
    {"life", required_argument, NULL, 'L'},      {"resize", required_argument, NULL, 'R'},
    {"every", required_argument, NULL, 'e'},     {"help", no_argument, NULL, 'h'},
    {0}};

static const char *const resizes[] = {"none", "same", "grow", "down-up", "keep", "allocate", "flags", NULL};
static const char *const lives[] = {"one", "threads", "children", NULL};

_Noreturn static void usage(void)
{
    fputs("usage: pattern --directory D [--files N] [--size BYTES] [--rounds N] [--calls N] [--length BYTES]\n"
          "  [--writes PERCENT] [--in-order] [--at-offset] [--keep] [--journal] [--sparse] [--preallocated] [--warm]\n"
          "  [--close] [--threads N] [--life one|threads|children]\n"
          "  [--resize none|same|grow|down-up|keep|allocate|flags] [--every CALLS]\n",
          stderr);
    exit(2);
}

static long number(const char *text, long least, long most)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || value < least || value > most) usage();
    return value;
}

static int word(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) return i;
    usage();
}

struct pattern pattern_of(int count, char **arguments)
{
    struct pattern p = {.files = 32, .size = 1 << 20, .rounds = 1000, .calls = 16, .length = 4096, .threads = 1};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;)
        switch (option) {
        case 'd': p.directory = optarg; break;
        case 'f': p.files = (int)number(optarg, 1, MOST_FILES); break;
        case 's': p.size = number(optarg, 1, 1L << 40); break;
        case 'r': p.rounds = number(optarg, 1, 1L << 40); break;
        case 'c': p.calls = number(optarg, 0, 1L << 40); break;
        case 'l': p.length = number(optarg, 1, 1L << 30); break;
        case 'w': p.writes = number(optarg, 0, 100); break;
        case 'o': p.in_order = 1; break;
        case 'O': p.at_offset = 1; break;
        case 'k': p.keep = 1; break;
        case 'j': p.journal = 1; break;
        case 'S': p.sparse = 1; break;
        case 'P': p.preallocated = 1; break;
        case 'W': p.warm = 1; break;
        case 'C': p.close_inside = 1; break;
        case 't': p.threads = (int)number(optarg, 1, MOST_THREADS); break;
        case 'L': p.life = (enum life)word(optarg, lives); break;
        case 'R': p.resize = (enum resize)word(optarg, resizes); break;
        case 'e': p.every = number(optarg, 0, 1L << 40); break;
        default: usage();
        }
    if (!p.directory || optind != count) usage();
    // Both make the files differ between rounds that run side by side.
    if (p.threads > 1 && (p.journal || p.resize != RESIZE_NONE)) usage();
    return p;
}

double children_cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    return ((double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec) * 1e9
        + ((double)used.ru_utime.tv_usec + (double)used.ru_stime.tv_usec) * 1e3;
}
