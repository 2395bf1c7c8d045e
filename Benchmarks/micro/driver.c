// The micro benchmark's driver: measures rows and prints one JSON object per line. scripts/bench makes a table of it.
#define _GNU_SOURCE
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void make_data(const struct driver_options *options)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", options->directory, MICRO_DATA_NAME);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        driver_fail(path);
    // At once: a tmpfs with huge=always gives huge pages only to what is allocated in large pieces (since 6.14).
    int error = posix_fallocate(fd, 0, MICRO_FILE_SIZE);
    if (error != 0) {
        errno = error;
        driver_fail(path);
    }
    uint64_t block[1 << 13], random = 1;
    for (uint64_t done = 0; done < MICRO_FILE_SIZE; done += sizeof block) {
        for (size_t i = 0; i < sizeof block / sizeof *block; i++)
            block[i] = random = random * 6364136223846793005ull + 1442695040888963407ull;
        if (write(fd, block, sizeof block) != sizeof block)
            driver_fail(path);
    }
    close(fd);
}

static double spawn_true(char **environment)
{
    struct timespec begin, end;
    char *argv[] = {"/bin/true", NULL};
    pid_t pid;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int error = posix_spawn(&pid, argv[0], NULL, NULL, argv, environment);
    if (error != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        errno = error ? error : ECHILD;
        driver_fail("/bin/true");
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
}

void driver_measure_exec(const struct driver_options *options, unsigned count, FILE *out)
{
    char **environments[2] = {
        driver_environment(options, "exec", false), driver_environment(options, "exec", true)};
    cpu_set_t before, set;
    CPU_ZERO(&set);
    CPU_SET(options->cpu, &set);
    if (sched_getaffinity(0, sizeof before, &before) != 0 || sched_setaffinity(0, sizeof set, &set) != 0)
        driver_fail("sched_setaffinity");
    double *ms[2] = {calloc(count, sizeof(double)), calloc(count, sizeof(double))};
    double *difference = calloc(count, sizeof(double));
    if (!ms[0] || !ms[1] || !difference)
        driver_fail("calloc");
    for (unsigned i = 0; i < 20; i++)
        spawn_true(environments[i % 2]);
    for (unsigned i = 0; i < count; i++) {
        const int first = (int)(i % 2);
        ms[first][i] = spawn_true(environments[first]);
        ms[!first][i] = spawn_true(environments[!first]);
        difference[i] = ms[1][i] - ms[0][i];
    }
    sched_setaffinity(0, sizeof before, &before);
    fprintf(out, "{\"kind\":\"exec\",\"id\":\"exec\",\"title\":\"exec of /bin/true\",\"count\":%u", count);
    fprintf(out, ",\"native_ms\":%.6g,\"shim_ms\":%.6g,\"difference_ms\":%.6g", driver_median(ms[0], count),
        driver_median(ms[1], count), driver_median(difference, count));
    // They are sorted now: bounds of their median, 95 %, by order statistics.
    const unsigned away = (unsigned)(0.98 * sqrt(count)) + 1;
    if (count > 2 * away)
        fprintf(out, ",\"difference_interval\":[%.6g,%.6g]", difference[count / 2 - away],
            difference[count / 2 + away]);
    fprintf(out, "}\n");
    fflush(out);
}

static _Noreturn void usage(void)
{
    fprintf(stderr,
        "usage: micro-driver --directory DIR --worker PATH [--library SO] [--label TEXT] [--cpu N] [--rounds N]\n"
        "                    [--incarnations N] [--slice-ms X] [--cpu-clock] [--before SO]\n"
        "                    [--set PMEMSHIM_NAME=VALUE] ROW|exec|all...\n"
        "       micro-driver --list\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"directory", required_argument, NULL, 'd'},    {"worker", required_argument, NULL, 'w'},
        {"library", required_argument, NULL, 'l'},      {"label", required_argument, NULL, 'n'},
        {"cpu", required_argument, NULL, 'c'},          {"rounds", required_argument, NULL, 'r'},
        {"incarnations", required_argument, NULL, 'i'}, {"slice-ms", required_argument, NULL, 's'},
        {"cpu-clock", no_argument, NULL, 'k'},          {"list", no_argument, NULL, 'L'},
        {"set", required_argument, NULL, 'S'},          {"before", required_argument, NULL, 'b'},
        {NULL, 0, NULL, 0},
    };
    struct driver_options options = {.label = "", .cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 'd': options.directory = optarg; break;
        case 'w': options.worker = optarg; break;
        case 'l': options.library = optarg; break;
        case 'b': options.before = optarg; break;
        case 'n': options.label = optarg; break;
        case 'c': options.cpu = atoi(optarg); break;
        case 'r': options.rounds = (unsigned)atoi(optarg); break;
        case 'i': options.incarnations = (unsigned)atoi(optarg); break;
        case 's': options.slice_ms = atof(optarg); break;
        case 'S': options.setting = optarg; break;
        case 'k': options.cpu_clock = true; break;
        case 'L':
            for (size_t i = 0; i < micro_row_count; i++)
                printf("%-18s %s\n", micro_rows[i].id, micro_rows[i].title);
            return 0;
        default: usage();
        }
    }
    if (!options.directory || !options.worker || optind == argc
        || (options.setting && strncmp(options.setting, "PMEMSHIM_", 9) != 0))
        usage();
    make_data(&options);
    char runtime[4096];
    snprintf(runtime, sizeof runtime, "%s.runtime", options.directory);
    if (mkdir(runtime, 0700) != 0 && errno != EEXIST)
        driver_fail(runtime);
    for (int i = optind; i < argc; i++) {
        const bool all = strcmp(argv[i], "all") == 0;
        const struct micro_row *one = micro_find_row(argv[i]);
        if (!all && !one && strcmp(argv[i], "exec") != 0)
            usage();
        for (size_t n = 0; n < micro_row_count; n++) {
            if (all || one == &micro_rows[n])
                driver_measure_row(&options, &micro_rows[n], stdout);
        }
        if (all || strcmp(argv[i], "exec") == 0)
            driver_measure_exec(&options, 1000, stdout);
    }
    return 0;
}
