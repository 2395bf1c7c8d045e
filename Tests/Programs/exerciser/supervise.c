// The process that stays well whatever happens: it makes fresh directories, runs each sequence in a process of its own
// (what a shim remembers must be fresh), survives its crash or hang, cleans up, and sums up.
#include "exerciser.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    if (path[0] != '\0') nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

struct places {
    char served[400], reference[400], outside[400];
};

static bool places_make(const struct options *options, struct places *places)
{
    static unsigned number;
    memset(places, 0, sizeof *places);
    number++;
    snprintf(places->served, sizeof places->served, "%s/x-%d-%u", options->served, getpid(), number);
    snprintf(places->reference, sizeof places->reference, "%s/y-%d-%u", options->reference, getpid(), number);
    bool made = mkdir(places->served, 0755) == 0 && mkdir(places->reference, 0755) == 0;
    if (!made || options->outside == NULL) return made;
    char sides[2][450];
    snprintf(places->outside, sizeof places->outside, "%s/z-%d-%u", options->outside, getpid(), number);
    snprintf(sides[0], sizeof sides[0], "%s/served", places->outside);
    snprintf(sides[1], sizeof sides[1], "%s/reference", places->outside);
    return mkdir(places->outside, 0755) == 0 && mkdir(sides[0], 0755) == 0 && mkdir(sides[1], 0755) == 0;
}

static void places_remove(const struct places *places)
{
    remove_tree(places->served);
    remove_tree(places->reference);
    remove_tree(places->outside);
}

// A descriptor well above those the child finds its own under.
static int memory_file(const char *name)
{
    int low = memfd_create(name, MFD_CLOEXEC);
    int high = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, 20);
    if (low >= 0) close(low);
    return high;
}

static bool fill_memory(int fd, const struct sequence *sequence)
{
    int copy = dup(fd);
    FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
    if (out == NULL) return false;
    bool saved = sequence_save(out, sequence);
    fclose(out);
    return saved && lseek(fd, 0, SEEK_SET) == 0;
}

static pid_t child_start(const struct options *options, const struct places *places, int sequence, int report,
                         bool trace)
{
    char *arguments[24] = {"exerciser", "--internal-run", "--served", (char *)places->served, "--reference",
                           (char *)places->reference};
    int count = 6;
    if (options->outside != NULL) arguments[count++] = "--outside", arguments[count++] = (char *)places->outside;
    if (options->runtime != NULL) arguments[count++] = "--runtime", arguments[count++] = (char *)options->runtime;
    if (options->own_mount) arguments[count++] = "--own-mount";
    if (options->times) arguments[count++] = "--times";
    if (options->libc_reference) arguments[count++] = "--libc-reference";
    if (trace) arguments[count++] = "--trace";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, sequence, SEQUENCE_FD);
    posix_spawn_file_actions_adddup2(&actions, report, REPORT_FD);
    // A group of its own, so that all the processes of a sequence can be ended together.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    if (posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environ) != 0) pid = -1;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

// The processes of one sequence, as far as the supervisor has heard of them.
struct family {
    pid_t pids[ACTORS];
    struct pollfd ends[ACTORS];
};

static void look_for_new(struct family *family, const struct report *report)
{
    for (int index = 0; index < ACTORS; index++) {
        pid_t pid = report->actors.list[index].pid;
        if (pid == 0 || pid == family->pids[index]) continue;
        if (family->ends[index].fd >= 0) close(family->ends[index].fd);
        family->pids[index] = pid;
        family->ends[index] = (struct pollfd){.fd = pidfd_open(pid, 0), .events = POLLIN};
    }
}

// The first that has ended and should not have; 0 if there is none.
static pid_t ended_too_soon(struct family *family, const struct report *report)
{
    for (int index = 0; index < ACTORS; index++) {
        if ((family->ends[index].revents & POLLIN) == 0) continue;
        close(family->ends[index].fd);
        family->ends[index].fd = -1;
        family->ends[index].revents = 0;
        bool replaced = report->actors.list[index].pid != family->pids[index];
        if (!replaced && !report->actors.list[index].ended) return family->pids[index];
    }
    return 0;
}

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

// Until all have come to the end, one differs, one has died, or the time is over. Returns the one that has died.
static pid_t watch(const struct options *options, pid_t first, struct report *report)
{
    struct family family = {.pids = {first}};
    int64_t deadline = milliseconds() + options->timeout * 1000ll;
    pid_t dead = 0;
    for (int index = 0; index < ACTORS; index++) family.ends[index].fd = -1;
    family.ends[0] = (struct pollfd){.fd = pidfd_open(first, 0), .events = POLLIN};
    while (!report->done && !report->differs && dead == 0) {
        // New ones tell of themselves in the report only.
        poll(family.ends, ACTORS, 10);
        dead = ended_too_soon(&family, report);
        look_for_new(&family, report);
        if (milliseconds() < deadline) continue;
        report->differs = 1;
        snprintf(report->message, sizeof report->message, "no end after %d s", options->timeout);
    }
    for (int index = 0; index < ACTORS; index++)
        if (family.ends[index].fd >= 0) close(family.ends[index].fd);
    return dead;
}

static void child_wait(const struct options *options, pid_t first, struct report *report)
{
    pid_t dead = watch(options, first, report), pid;
    int status, last = 0;
    if (!report->done) kill(-first, SIGKILL);
    // As their subreaper, this process inherits those whose parents are gone: until there is none left.
    while ((pid = waitpid(-first, &status, 0)) > 0 || errno == EINTR)
        if (pid == dead) last = status;
    if (report->differs || report->done) return;
    if (WIFSIGNALED(last)) {
        report->differs = 1;
        snprintf(report->message, sizeof report->message, "killed by signal %d (%s)", WTERMSIG(last),
                 strsignal(WTERMSIG(last)));
    } else {
        report->differs = 2; // could not run at all, or ended itself
        snprintf(report->message, sizeof report->message, "ended with status %d", WEXITSTATUS(last));
    }
}

bool supervise_once(const struct options *options, const struct sequence *sequence, bool trace, struct report *report)
{
    struct places places;
    int text = memory_file("sequence"), shared = memory_file("report");
    struct report *view = MAP_FAILED;
    memset(report, 0, sizeof *report);
    if (text >= 0 && shared >= 0 && ftruncate(shared, sizeof *report) == 0 && fill_memory(text, sequence))
        view = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (view == MAP_FAILED || !places_make(options, &places)) {
        fprintf(stderr, "exerciser: cannot make directories below %s and %s: %s\n", options->served, options->reference,
                strerror(errno));
        exit(STATUS_USAGE);
    }
    // Every third sequence begins with what the one before has left there.
    if (options->runtime != NULL && sequence->seed % 3 != 0) runtime_clear(options->runtime);
    view->supervisor = getpid();
    fflush(stdout);
    pid_t pid = child_start(options, &places, text, shared, trace);
    if (pid > 0) child_wait(options, pid, view);
    else view->differs = 2;
    memcpy(report, view, sizeof *report);
    munmap(view, sizeof *report);
    close(text);
    close(shared);
    places_remove(&places);
    mounts_restore(options, sequence);
    return report->differs == 0;
}

static void add_up(struct report *total, const struct report *each)
{
    for (int kind = 0; kind < MAX_KINDS; kind++) {
        total->counts[kind] += each->counts[kind];
        total->successes[kind] += each->successes[kind];
    }
    total->skipped += each->skipped;
}

static void print_counts(const struct report *total)
{
    const struct kind *kind;
    for (size_t index = 0; (kind = kind_at(index)) != NULL; index++)
        printf("  %-16s %9" PRIu64 " %9" PRIu64 " succeeded\n", kind->name, total->counts[index],
               total->successes[index]);
}

static uint64_t operations(const struct report *total)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < MAX_KINDS; kind++) sum += total->counts[kind];
    return sum;
}

static void print_difference(const struct sequence *sequence, const struct report *report)
{
    printf("difference: seed %" PRIu64 ", step %u of %zu: %s\n", sequence->seed, report->step, sequence->count,
           report->message);
    if (report->step >= sequence->count) {
        printf("  at the end of the sequence\n");
        return;
    }
    printf("  ");
    op_print(stdout, &sequence->ops[report->step]);
}

static void print_replay(const struct options *options, const char *file)
{
    static const char *const names[] = {"LD_PRELOAD", "PMEMSHIM_MOUNTS", "PMEMSHIM_MAP_AFTER", "PMEMSHIM_RUNTIME_DIR",
                                        "EXERCISER_SABOTAGE"};
    char self[1024];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = '\0';
    printf("replay:");
    for (size_t index = 0; index < sizeof names / sizeof *names; index++)
        if (getenv(names[index]) != NULL) printf(" %s=%s", names[index], getenv(names[index]));
    printf(" %s --load %s --trace --served %s --reference %s", self, file, options->served, options->reference);
    if (options->outside != NULL) printf(" --outside %s", options->outside);
    if (options->runtime != NULL) printf(" --runtime %s", options->runtime);
    if (options->own_mount) printf(" --own-mount");
    if (options->times) printf(" --times");
    if (options->libc_reference) printf(" --libc-reference");
    printf("\n");
}

static void explain(const struct options *options, struct sequence *sequence, struct report *report)
{
    char file[512];
    print_difference(sequence, report);
    if (report->differs == 2) return;
    if (options->minimise) sequence_minimise(options, sequence, report);
    if (options->save != NULL) snprintf(file, sizeof file, "%s", options->save);
    else snprintf(file, sizeof file, "/tmp/exerciser-%" PRIu64 "-%d.ops", sequence->seed, getpid());
    FILE *out = fopen(file, "we");
    bool saved = out != NULL && sequence_save(out, sequence);
    if (out != NULL) fclose(out);
    if (!saved) fprintf(stderr, "exerciser: cannot write %s: %s\n", file, strerror(errno));
    printf("%s: %zu operations, saved in %s\n", options->minimise ? "shortened" : "sequence", sequence->count, file);
    if (options->minimise && sequence->count <= 200) {
        supervise_once(options, sequence, true, report);
        if (report->differs) print_difference(sequence, report);
        else printf("  (this last run showed no difference: it depends on timing; replay it several times)\n");
    }
    print_replay(options, file);
}

static bool load(const struct options *options, struct sequence *sequence)
{
    FILE *in = fopen(options->load, "re");
    if (in == NULL) fprintf(stderr, "exerciser: cannot read %s: %s\n", options->load, strerror(errno));
    bool loaded = in != NULL && sequence_load(in, sequence);
    if (in != NULL) fclose(in);
    return loaded;
}

static int save_only(const struct options *options, const struct sequence *sequence)
{
    FILE *out = options->save != NULL ? fopen(options->save, "we") : stdout;
    return out != NULL && sequence_save(out, sequence) ? STATUS_EQUAL : STATUS_USAGE;
}

int supervise(const struct options *options)
{
    static struct report total, report;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    mounts_note(options);
    size_t sequences = options->load != NULL ? 1 : options->sequences, equal = 0;
    int status = STATUS_EQUAL;
    int64_t deadline = options->seconds == 0 ? INT64_MAX : milliseconds() + options->seconds * 1000ll;
    size_t index = 0;
    for (; index < sequences && status == STATUS_EQUAL && (index == 0 || milliseconds() < deadline); index++) {
        struct sequence sequence;
        if (options->load == NULL) {
            sequence_generate(&sequence, options->seed + index, options->operations, options->huge, options->modes);
        } else if (!load(options, &sequence)) {
            return STATUS_USAGE;
        }
        if (options->print) return save_only(options, &sequence);
        bool same = supervise_once(options, &sequence, options->trace, &report);
        add_up(&total, &report);
        if (!same) {
            status = report.differs == 2 ? STATUS_USAGE : STATUS_DIFFERS;
            explain(options, &sequence, &report);
        }
        equal += same;
        free(sequence.ops);
    }
    if (!options->quiet) print_counts(&total);
    printf("seeds %" PRIu64 "..%" PRIu64 ": %zu sequences, %" PRIu64 " operations (%" PRIu64 " skipped), "
           "differences %d\n", options->seed, options->seed + (index == 0 ? 0 : index - 1),
           equal + (status != STATUS_EQUAL), operations(&total), total.skipped, status == STATUS_DIFFERS);
    return status;
}
