// Workers: one process each, started with the preload or without, pinned, told what to do through a pipe.
#define _GNU_SOURCE
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

extern char **environ;

_Noreturn void driver_fail(const char *what)
{
    fprintf(stderr, "micro-driver: %s: %s\n", what, strerror(errno));
    exit(1);
}

char **driver_environment(const struct driver_options *options, const char *id, bool second)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **result = calloc(count + 5, sizeof *result);
    if (!result)
        driver_fail("calloc");
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 && strncmp(environ[i], "PMEMSHIM_", 9) != 0)
            result[kept++] = environ[i];
    }
    // An earlier library may have another layout of its files.
    const char *library = second ? options->library : options->before, *suffix = second ? "" : ".before";
    if (library
        && (asprintf(&result[kept++], "LD_PRELOAD=%s", library) < 0
            || asprintf(&result[kept++], "PMEMSHIM_MOUNTS=%s", options->directory) < 0
            || asprintf(&result[kept++], "PMEMSHIM_RUNTIME_DIR=%s.runtime/%s%s", options->directory, id, suffix) < 0))
        driver_fail("asprintf");
    if (library && options->setting)
        result[kept++] = (char *)options->setting;
    return result;
}

static void read_reply(const struct driver_worker *worker, struct micro_reply *reply)
{
    ssize_t result;
    do {
        result = read(worker->from, reply, sizeof *reply);
    } while (result < 0 && errno == EINTR);
    if (result != (ssize_t)sizeof *reply) {
        if (result >= 0)
            errno = EPIPE;
        driver_fail("the worker is gone");
    }
}

struct driver_worker driver_start(
    const struct driver_options *options, const struct micro_row *row, enum micro_mode mode, char **environment)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        driver_fail("pipe2");
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0)
        driver_fail("fork");
    if (pid == 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(options->cpu, &set);
        // A worker whose driver was interrupted must not stay behind.
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || dup2(to[0], STDIN_FILENO) < 0
            || dup2(from[1], STDOUT_FILENO) < 0 || sched_setaffinity(0, sizeof set, &set) != 0)
            driver_fail("preparing a worker");
        char *argv[] = {(char *)options->worker, (char *)options->directory, (char *)row->id,
                        mode == MICRO_MEMCPY ? "memcpy" : "calls", row->cost ? "20" : "60", NULL};
        execve(options->worker, argv, environment);
        driver_fail(options->worker);
    }
    close(to[0]);
    close(from[1]);
    struct driver_worker worker = {.pid = pid, .to = to[1], .from = from[0]};
    struct micro_reply warm;
    read_reply(&worker, &warm);
    worker.ns = (double)warm.wall_ns / (double)warm.operations;
    return worker;
}

struct micro_reply driver_slice(const struct driver_worker *worker, uint64_t operations)
{
    struct micro_command command = {operations};
    if (write(worker->to, &command, sizeof command) != sizeof command)
        driver_fail("telling a worker");
    struct micro_reply reply;
    read_reply(worker, &reply);
    return reply;
}

void driver_stop(const struct driver_worker *worker)
{
    struct micro_command command = {0};
    int status;
    if (write(worker->to, &command, sizeof command) != sizeof command || waitpid(worker->pid, &status, 0) < 0)
        driver_fail("ending a worker");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        errno = ECHILD;
        driver_fail("a worker failed");
    }
    close(worker->to);
    close(worker->from);
}
