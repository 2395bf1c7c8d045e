// Options, the loop over episodes, and the table of verdicts.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kill.h"

static void usage(FILE *where)
{
    fputs("usage: kill-nine --directory DIR\n"
          "                 [--library SO --mounts ITEMS --runtime DIR\n"
          "                  [--shimctl FILE --documents DIR [--stats-every N]]]\n"
          "                 [--seed N] [--kills N] [--patience SECONDS] [--topology NAME] [--sabotage NAME] [--trace]\n"
          "Kills writers at random points and compares the files in DIR with what they had acknowledged. Without a\n"
          "library: the same without the shim. The seed fixes workloads, victims and the points at which the wait for\n"
          "each kill ends; the instruction a kill meets is the machine's.\n"
          "Exit status: 0, or 1 where something is lost, torn, foreign or hangs; 2 if it could not be found out.\n"
          "Topologies:", where);
    for (int i = 0; i < TOPOLOGIES; i++)
        fprintf(where, " %s", topology_names[i]);
    fputs("\nSabotage of the workers, which must be found:", where);
    for (int i = 0; i < SABOTAGES; i++)
        fprintf(where, " %s", sabotage_names[i]);
    fputs("\n", where);
}

static int named(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fprintf(stderr, "kill-nine: unknown: %s\n", name);
    exit(2);
}

static struct settings parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"directory", 1, NULL, 'd'}, {"library", 1, NULL, 'l'},  {"mounts", 1, NULL, 'm'},
        {"runtime", 1, NULL, 'r'},   {"shimctl", 1, NULL, 's'},  {"documents", 1, NULL, 'o'},
        {"stats-every", 1, NULL, 'e'}, {"seed", 1, NULL, 'S'},   {"kills", 1, NULL, 'k'},
        {"patience", 1, NULL, 'p'},  {"topology", 1, NULL, 't'}, {"sabotage", 1, NULL, 'x'},
        {"trace", 0, NULL, 'T'},     {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct settings settings = {.seed = 1, .kills = 60, .every = 1, .patience = 30, .only = -1};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'd': settings.directory = optarg; break;
        case 'l': settings.library = optarg; break;
        case 'm': settings.mounts = optarg; break;
        case 'r': settings.runtime = optarg; break;
        case 's': settings.shimctl = optarg; break;
        case 'o': settings.documents = optarg; break;
        case 'S': settings.seed = strtoul(optarg, NULL, 0); break;
        case 'k': settings.kills = strtol(optarg, NULL, 0); break;
        case 'e': settings.every = strtol(optarg, NULL, 0); break;
        case 'T': settings.trace = true; break;
        case 'p': settings.patience = atoi(optarg); break;
        case 'x': settings.sabotage = (enum sabotage)named(sabotage_names, SABOTAGES, optarg); break;
        case 't': settings.only = named(topology_names, TOPOLOGIES, optarg); break;
        case 'h': usage(stdout); exit(0);
        default: usage(stderr); exit(2);
        }
    bool shim = settings.library != NULL;
    if (settings.directory == NULL || strlen(settings.directory) >= sizeof ((struct ledger *)NULL)->directory
        || (shim && (settings.mounts == NULL || settings.runtime == NULL))
        || settings.every < 1 || (settings.shimctl != NULL && settings.documents == NULL)) {
        usage(stderr);
        exit(2);
    }
    return settings;
}

static struct ledger *make_ledger(void)
{
    int fd = memfd_create("ledger", 0);
    if (fd < 0 || dup2(fd, LEDGER_DESCRIPTOR) < 0 || ftruncate(fd, sizeof(struct ledger)) != 0)
        die("memfd_create");
    struct ledger *ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED)
        die("mmap");
    close(fd);
    return ledger;
}

static void add(struct verdict *sum, const struct verdict *verdict)
{
    // A struct of longs and nothing else.
    for (size_t i = 0; i < sizeof *sum / sizeof(long); i++)
        ((long *)sum)[i] += ((const long *)verdict)[i];
}

static bool is_good(const struct verdict *verdict)
{
    return verdict->lost == 0 && verdict->torn == 0 && verdict->foreign == 0 && verdict->wrong_reads == 0
        && verdict->hangs == 0 && verdict->failed == 0 && verdict->statistics == 0;
}

static void print_table(const struct verdict *verdicts, const struct verdict *sum)
{
    printf("\n%-9s %6s %7s %12s %9s %5s %5s %6s %8s %6s %6s   %s\n", "", "kills", "starts", "acknowledged", "checked",
           "lost", "torn", "hangs", "foreign", "reads", "stats", "in flight: absent/whole/to a page/in a page, gaps");
    for (int i = 0; i <= TOPOLOGIES; i++) {
        const struct verdict *it = i < TOPOLOGIES ? &verdicts[i] : sum;
        if (it->episodes > 0)
            printf("%-9s %6ld %7ld %12ld %9ld %5ld %5ld %6ld %8ld %6ld %6ld   %ld/%ld/%ld/%ld, %ld\n",
                   i < TOPOLOGIES ? topology_names[i] : "all", it->kills, it->starts, it->acknowledged, it->checked,
                   it->lost, it->torn, it->hangs, it->foreign, it->wrong_reads, it->statistics, it->in_flight.absent,
                   it->in_flight.whole, it->in_flight.at_page, it->in_flight.in_page, it->in_flight.gap);
    }
}

static double percent(uint64_t part, uint64_t rest)
{
    return part + rest == 0 ? 0 : 100.0 * (double)part / (double)(part + rest);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--worker") == 0)
        return worker(atoi(argv[2]));
    struct settings settings = parse(argc, argv);
    static struct verdict verdicts[TOPOLOGIES];
    struct verdict sum = {0};
    uint64_t served_before = 0;
    bool shrunk = false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    // Children of a killed worker become ours.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        die("prctl");
    struct ledger *ledger = make_ledger();
    printf("kill-nine: seed %lu, %ld kills, %s\n", settings.seed, settings.kills,
           settings.library != NULL ? "under the shim" : "without the shim");
    for (long number = 0; sum.kills < settings.kills && sum.hangs + sum.failed == 0; number++) {
        enum topology topology = (enum topology)(settings.only >= 0 ? settings.only : number % TOPOLOGIES);
        struct verdict verdict = {0};
        memset(ledger, 0, sizeof *ledger);
        make_plan(&ledger->plan, settings.seed + (uint64_t)number, topology);
        ledger->supervisor = getpid();
        ledger->sabotage = settings.sabotage;
        strcpy(ledger->directory, settings.directory);
        long left = settings.kills - sum.kills;
        run_episode(&settings, ledger, left < 8 ? left : 8, &verdict);
        add(&verdicts[topology], &verdict);
        add(&sum, &verdict);
        if (settings.sabotage != SABOTAGE_NONE && !is_good(&sum))
            break; // found
        if (settings.library != NULL) {
            struct figures figures = read_figures(&settings);
            shrunk |= figures.served_writes < served_before;
            served_before = figures.served_writes;
        }
    }
    print_table(verdicts, &sum);
    struct figures figures = {0};
    if (settings.library != NULL) {
        figures = read_figures(&settings);
        printf("served: %lu of %lu writes (%.1f %%), %lu of %lu reads (%.1f %%); statistics: %d records of processes, "
               "%d notes%s\n",
               figures.served_writes, figures.served_writes + figures.passed_writes,
               percent(figures.served_writes, figures.passed_writes), figures.served_reads,
               figures.served_reads + figures.passed_reads, percent(figures.served_reads, figures.passed_reads),
               figures.live, figures.notes,
               shrunk ? "; FIGURES OF KILLED PROCESSES ARE GONE" : "");
    }
    bool good = is_good(&sum) && !shrunk && figures.notes == 0;
    printf("%s: %ld kills, %ld acknowledged writes, %ld checked, %ld lost, %ld torn, %ld hangs\n",
           good ? "good" : "BAD", sum.kills, sum.acknowledged, sum.checked, sum.lost, sum.torn,
           sum.hangs);
    return good ? 0 : 1;
}
