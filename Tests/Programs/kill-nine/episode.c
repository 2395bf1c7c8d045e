// Starts workers, kills one after the other, looks after those that go on.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill.h"

extern char **environ;

struct process {
    int pidfd;      // -1: none
    int life;       // reading end of the pipe that all its processes hold open; -1: none
    int lane, lanes; // the first, and how many
};

struct episode {
    const struct settings *settings;
    struct ledger *ledger;
    struct verdict *verdict;
    struct process process[LANES];
    int processes;
    uint64_t random;
    bool broken; // a hang or a worker that failed: what follows would tell nothing
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void pause_for(long nanoseconds)
{
    struct timespec time = {0, nanoseconds};
    nanosleep(&time, NULL);
}

static void execute(const struct settings *settings, int lane, int life)
{
    char number[12], program[600];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    snprintf(number, sizeof number, "%d", lane);
    if (settings->library != NULL) {
        setenv("LD_PRELOAD", settings->library, 1);
        setenv("PMEMSHIM_MOUNTS", settings->mounts, 1);
        setenv("PMEMSHIM_MAP_AFTER", "0", 1);
        setenv("PMEMSHIM_RUNTIME_DIR", settings->runtime, 1);
    }
    char *const arguments[] = {"kill-nine", "--worker", number, NULL};
    if (dup2(life, LIFE_DESCRIPTOR) != LIFE_DESCRIPTOR)
        _exit(126);
    program[length > 0 ? length : 0] = '\0';
    execv(program, arguments); // by its name, which the statistics show
    _exit(127);
}

static void start(struct episode *episode, int index, int lane, int lanes)
{
    struct process *process = &episode->process[index];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        die("pipe2");
    for (int i = lane; i < lane + lanes; i++) {
        atomic_fetch_add(&episode->ledger->lane[i].life, 1);
        atomic_store(&episode->ledger->lane[i].pid, 0);
    }
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        execute(episode->settings, lane, ends[1]);
    close(ends[1]);
    *process = (struct process){(int)syscall(SYS_pidfd_open, child, 0), ends[0], lane, lanes};
    if (process->pidfd < 0)
        die("pidfd_open");
    episode->verdict->starts++;
}

static bool readable(int fd, int milliseconds)
{
    struct pollfd item = {fd, POLLIN, 0};
    return poll(&item, 1, milliseconds) > 0;
}

static void failed(struct episode *episode, const struct process *process)
{
    episode->broken = true;
    episode->verdict->failed++;
    const char *complaint = episode->ledger->lane[process->lane].complaint;
    complain(episode->ledger, "the worker of lane %d ended by itself: %s", process->lane,
             complaint[0] != '\0' ? complaint : "no complaint");
}

static void hangs(struct episode *episode, const char *what, int lane)
{
    episode->broken = true;
    episode->verdict->hangs++;
    complain(episode->ledger, "lane %d: %s for %d s", lane, what, episode->settings->patience);
}

// Waits until the lane has done so many more operations. False, with the verdict, when it does nothing any more.
static bool await_progress(struct episode *episode, const struct process *process, int lane, uint64_t operations)
{
    _Atomic uint64_t *counter = &episode->ledger->lane[lane].operations;
    uint64_t seen = atomic_load(counter), goal = seen + operations;
    double deadline = now() + episode->settings->patience;
    while (atomic_load(counter) < goal) {
        if (readable(process->pidfd, 0)) {
            failed(episode, process);
            return false;
        }
        if (atomic_load(counter) != seen) {
            seen = atomic_load(counter);
            deadline = now() + episode->settings->patience;
        } else if (now() > deadline) {
            hangs(episode, "no progress", lane);
            return false;
        }
        pause_for(30000);
    }
    return true;
}

// A family's children are forked by its first worker; they are known once they say who they are.
static void adopt(struct episode *episode, int lane)
{
    struct lane_ledger *its = &episode->ledger->lane[lane];
    atomic_store(&its->pid, 0);
    atomic_fetch_add(&its->life, 1);
    atomic_store(&its->wanted, true);
    double deadline = now() + episode->settings->patience;
    while (atomic_load(&its->pid) == 0) {
        if (readable(episode->process[0].pidfd, 0)) {
            failed(episode, &episode->process[0]);
            return;
        }
        if (now() > deadline) {
            hangs(episode, "no forked child", lane);
            return;
        }
        pause_for(30000);
    }
    episode->process[lane] = (struct process){(int)syscall(SYS_pidfd_open, its->pid, 0), -1, lane, 1};
    episode->verdict->starts++;
    if (episode->process[lane].pidfd < 0)
        failed(episode, &episode->process[lane]);
}

static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

// Kills it and waits until nothing of it writes any more.
static void kill_process(struct episode *episode, struct process *process)
{
    if (process->pidfd < 0)
        return;
    if (syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
        die("pidfd_send_signal");
    int patience = episode->settings->patience * 1000;
    char byte;
    if (!readable(process->pidfd, patience)
        || (process->life >= 0 && (!readable(process->life, patience) || read(process->life, &byte, 1) != 0)))
        hangs(episode, "killed, but not gone", process->lane);
    close(process->pidfd);
    if (process->life >= 0)
        close(process->life);
    process->pidfd = process->life = -1;
    reap();
}

// Some kills come while the worker starts, the others somewhere in its work.
static bool await_the_moment(struct episode *episode, const struct process *process)
{
    const struct plan *plan = &episode->ledger->plan;
    if (below(&episode->random, 4) == 0) {
        long nanoseconds = (long)below(&episode->random, 6000000);
        if (episode->settings->trace)
            printf("%lu %s: lane %d after %ld ns\n", plan->seed, topology_names[plan->topology], process->lane,
                   nanoseconds);
        pause_for(nanoseconds);
        if (!readable(process->pidfd, 0))
            return true;
        failed(episode, process);
        return false;
    }
    int lane = process->lane + (int)below(&episode->random, (uint64_t)process->lanes);
    uint64_t operations = 1 + below(&episode->random, 1500), turns = below(&episode->random, 20000);
    if (episode->settings->trace)
        printf("%lu %s: lane %d after %lu operations and %lu turns\n", plan->seed, topology_names[plan->topology], lane,
               operations, turns);
    if (!await_progress(episode, process, lane, operations))
        return false;
    for (; turns > 0; turns--)
        __asm__ volatile("pause");
    return true;
}

static void check_lanes(struct episode *episode, const struct process *process)
{
    for (int lane = process->lane; lane < process->lane + process->lanes; lane++)
        check_slots(episode->ledger, lane, episode->verdict);
}

static int living(const struct episode *episode, int *indices)
{
    int count = 0;
    for (int i = 0; i < episode->processes; i++)
        if (episode->process[i].pidfd >= 0)
            indices[count++] = i;
    return count;
}

static void kill_one(struct episode *episode, bool start_again)
{
    int indices[LANES], count = living(episode, indices);
    int index = indices[below(&episode->random, (uint64_t)count)];
    struct process *process = &episode->process[index], was = *process;
    if (!await_the_moment(episode, process))
        return;
    kill_process(episode, process);
    episode->verdict->kills++;
    check_lanes(episode, &was);
    const struct settings *settings = episode->settings;
    static long kills; // in all episodes
    if (settings->shimctl != NULL && settings->library != NULL && ++kills % settings->every == 0
        && !statistics_answer(settings)) {
        episode->verdict->statistics++;
        complain(episode->ledger, "shimctl stats does not answer as it should");
    }
    // The others go on: each does something that it had not begun when the kill came.
    count = living(episode, indices);
    for (int i = 0; i < count && !episode->broken; i++) {
        const struct process *other = &episode->process[indices[i]];
        for (int lane = other->lane; lane < other->lane + other->lanes && !episode->broken; lane++)
            await_progress(episode, other, lane, 3);
    }
    if (!start_again || episode->broken)
        return;
    if (episode->ledger->plan.topology != FAMILY)
        start(episode, index, was.lane, was.lanes);
    else if (index > 0 && episode->process[0].pidfd >= 0)
        adopt(episode, index);
}

void run_episode(const struct settings *settings, struct ledger *ledger, long kills, struct verdict *verdict)
{
    const struct plan *plan = &ledger->plan;
    struct episode episode = {.settings = settings, .ledger = ledger, .verdict = verdict};
    int indices[LANES];
    episode.random = mix(plan->seed ^ 0x6b696c6c);
    for (int i = 0; i < LANES; i++)
        episode.process[i] = (struct process){-1, -1, i, 1};
    verdict->episodes++;
    make_files(ledger);
    episode.processes = plan->topology == SINGLE || plan->topology == THREADS ? 1 : plan->lanes;
    if (plan->topology == FAMILY) {
        start(&episode, 0, 0, 1);
        for (int lane = 1; lane < plan->lanes && !episode.broken; lane++)
            adopt(&episode, lane);
    } else {
        for (int i = 0; i < episode.processes; i++)
            start(&episode, i, i, plan->topology == THREADS ? plan->lanes : 1);
    }
    // The last ones are not started again: at the end nobody is left, and the logs can be read.
    for (long left = kills; left > 0 && !episode.broken && living(&episode, indices) > 0; left--)
        kill_one(&episode, left > episode.processes);
    for (int i = 0; i < episode.processes; i++) {
        struct process was = episode.process[i];
        kill_process(&episode, &episode.process[i]);
        if (was.pidfd >= 0)
            check_lanes(&episode, &was);
    }
    check_logs(ledger, verdict);
    for (int lane = 0; lane < plan->lanes; lane++) {
        verdict->acknowledged += (long)ledger->lane[lane].acknowledged;
        verdict->wrong_reads += (long)ledger->lane[lane].wrong_reads;
        if (ledger->lane[lane].wrong_reads > 0)
            complain(ledger, "lane %d: %lu reads of its own bytes were wrong", lane, ledger->lane[lane].wrong_reads);
    }
}
