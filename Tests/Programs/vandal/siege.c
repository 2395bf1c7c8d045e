// Programs at once, one after the other, until the time is over; each watched, and compared with its native run.
#include "vandal.h"

#include <sys/mman.h>

struct result {
    int status;
    char *output[2];
    size_t length[2];
};

static struct result native[MOST_WORKLOADS];

struct program {
    pid_t pid; // 0: none
    int workload, number;
    int64_t deadline;
    char directory[700], settings[300];
    int files[2];
    bool late;
};

static bool chosen(int index)
{
    return setting.only == NULL || strcmp(workloads[index].name, setting.only) == 0;
}

static int file_for_output(void)
{
    return open(setting.out, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
}

// A small environment: nobody else's settings.
static void become(const struct program *program, bool served, uint64_t seed)
{
    char text[16][1200];
    char *environment[20];
    int count = 0;
    static const char *const after[] = {NULL, "0", "0", "3"};
    snprintf(text[0], sizeof text[0], "PATH=/usr/bin:/bin:/usr/sbin:/sbin");
    snprintf(text[1], sizeof text[1], "LC_ALL=C");
    snprintf(text[2], sizeof text[2], "INPUT=%s", setting.input);
    snprintf(text[3], sizeof text[3], "PROGRAMS=%s", setting.programs);
    snprintf(text[4], sizeof text[4], "SELF=%s/vandal", setting.programs);
    snprintf(text[5], sizeof text[5], "SEED=%llu", (unsigned long long)(seed % 1000000));
    snprintf(text[6], sizeof text[6], "HOME=%s", program->directory);
    // What it says does not depend on how long it lasts.
    snprintf(text[12], sizeof text[12], "SHORT=%d", served ? 4 : 1);
    snprintf(text[13], sizeof text[13], "LONG=%d", served ? 12 : 1);
    for (count = 0; count < 7; count++) environment[count] = text[count];
    if (served) {
        snprintf(text[7], sizeof text[7], "LD_PRELOAD=%s", setting.library);
        snprintf(text[8], sizeof text[8], "PMEMSHIM_MOUNTS=%s", setting.data);
        snprintf(text[9], sizeof text[9], "PMEMSHIM_RUNTIME_DIR=%s", setting.runtime);
        for (; count < 10; count++) environment[count] = text[count];
        const char *map_after = after[seed / 7 % 4];
        if (map_after != NULL) {
            snprintf(text[10], sizeof text[10], "PMEMSHIM_MAP_AFTER=%s", map_after);
            environment[count++] = text[10];
        }
        if (seed / 31 % 2 == 0) {
            const char *directory = seed / 63 % 2 == 0 ? setting.run : setting.runtime;
            snprintf(text[11], sizeof text[11], "PMEMSHIM_LOG=%s/log", directory);
            environment[count++] = text[11];
        }
    }
    environment[count++] = text[12];
    environment[count++] = text[13];
    environment[count] = NULL;
    char command[8192];
    snprintf(command, sizeof command, "set -euo pipefail; %s", workloads[program->workload].command);
    setpgid(0, 0);
    int nothing = open("/dev/null", O_RDONLY);
    if (chdir(program->directory) != 0 || dup2(nothing, 0) < 0 || dup2(program->files[0], 1) < 0 ||
        dup2(program->files[1], 2) < 0)
        _exit(99);
    // So that paths in messages are the same: only relative ones are used.
    execle("/bin/bash", "bash", "-c", command, NULL, environment);
    _exit(99);
}

static bool start(struct program *program, int workload, bool served, uint64_t seed)
{
    static int number;
    static const char *const after[] = {"default", "0", "0", "3"};
    program->workload = workload;
    program->number = ++number;
    program->late = false;
    snprintf(program->directory, sizeof program->directory, "%s/w-%d", setting.data, program->number);
    snprintf(program->settings, sizeof program->settings, "MAP_AFTER %s, log %s", after[seed / 7 % 4],
             seed / 31 % 2 != 0 ? "none" : seed / 63 % 2 == 0 ? "beside" : "inside");
    program->files[0] = file_for_output();
    program->files[1] = file_for_output();
    if (mkdir(program->directory, 0755) != 0 || program->files[0] < 0 || program->files[1] < 0) return false;
    program->deadline = now_ms() + WATCHDOG_MS;
    program->pid = fork();
    if (program->pid == 0) become(program, served, seed);
    return program->pid > 0;
}

static char *whole(int fd, size_t *length)
{
    struct stat status;
    if (fstat(fd, &status) != 0) return NULL;
    char *text = calloc((size_t)status.st_size + 1, 1);
    ssize_t got = text == NULL ? 0 : pread(fd, text, (size_t)status.st_size, 0);
    *length = got < 0 ? 0 : (size_t)got;
    return text;
}

static void remove_directory(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/rm", "rm", "-rf", path, NULL);
        _exit(1);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
}

static struct result finish(struct program *program, int status)
{
    struct result result = {.status = status};
    kill(-program->pid, SIGKILL);
    for (int each = 0; each < 2; each++) {
        result.output[each] = whole(program->files[each], &result.length[each]);
        close(program->files[each]);
    }
    remove_directory(program->directory);
    program->pid = 0;
    return result;
}

static void release(struct result *result)
{
    free(result->output[0]);
    free(result->output[1]);
}

static void print_some(const char *what, const char *text, size_t length)
{
    if (length == 0) return;
    printf("    %s: %.*s%s\n", what, (int)(length > 600 ? 600 : length), text, length > 600 ? " ..." : "");
}

static bool same_output(const struct result *a, const struct result *b, int which)
{
    return a->length[which] == b->length[which] && memcmp(a->output[which], b->output[which], a->length[which]) == 0;
}

static unsigned late, killed; // of the failures

// True: as natively.
static bool judge(const struct program *program, const struct result *result, unsigned reported)
{
    const struct workload *workload = &workloads[program->workload];
    const struct result *expected = &native[program->workload];
    const char *what = NULL;
    char text[100];
    if (program->late) what = "no end within 60 s";
    else if (WIFSIGNALED(result->status))
        snprintf(text, sizeof text, "killed by signal %d", WTERMSIG(result->status)), what = text;
    else if (result->status != expected->status)
        snprintf(text, sizeof text, "exit status %d, natively %d", WEXITSTATUS(result->status),
                 WEXITSTATUS(expected->status)), what = text;
    else if (!workload->only_status && !same_output(result, expected, 0)) what = "it said something else";
    else if (!workload->only_status && !same_output(result, expected, 1)) what = "it complained of something else";
    if (what == NULL) return true;
    late += program->late;
    // A shell tells of a program it started.
    killed += !program->late && (WIFSIGNALED(result->status) || WEXITSTATUS(result->status) > 128);
    if (reported < 12) {
        printf("failure: %s, program %d (%s): %s\n", workload->name, program->number, program->settings, what);
        print_some("output", result->output[0], result->length[0]);
        print_some("natively", expected->output[0], expected->length[0]);
        print_some("errors", result->output[1], result->length[1]);
        fflush(stdout);
    }
    return false;
}

static bool run_natively(void)
{
    bool good = true;
    for (int index = 0; index < workload_count && good; index++) {
        if (!chosen(index)) continue;
        struct program program;
        int status = 0;
        if (!start(&program, index, false, 1)) return false;
        while (waitpid(program.pid, &status, 0) < 0 && errno == EINTR) continue;
        native[index] = finish(&program, status);
        if (status == 0) continue;
        printf("vandal: %s does not work natively: status %x\n", workloads[index].name, (unsigned)status);
        print_some("output", native[index].output[0], native[index].length[0]);
        print_some("errors", native[index].output[1], native[index].length[1]);
        good = false;
    }
    return good;
}

static struct program *program_of(struct program *programs, pid_t pid)
{
    for (int index = 0; index < setting.at_once; index++)
        if (programs[index].pid == pid) return &programs[index];
    return NULL;
}

static void look_at_the_time(struct program *programs)
{
    for (int index = 0; index < setting.at_once; index++) {
        if (programs[index].pid == 0 || programs[index].late || now_ms() < programs[index].deadline) continue;
        programs[index].late = true;
        kill(-programs[index].pid, SIGKILL);
    }
}

// Every kind once in a random order, and again.
static int next_workload(uint64_t *state)
{
    static int order[MOST_WORKLOADS], count, at;
    if (at == count) {
        count = at = 0;
        for (int index = 0; index < workload_count; index++)
            if (chosen(index)) order[count++] = index;
        for (int index = count - 1; index > 0; index--) {
            int other = (int)(random_of(state) % (uint64_t)(index + 1)), kept = order[index];
            order[index] = order[other];
            order[other] = kept;
        }
    }
    return order[at++];
}

int siege(void)
{
    static struct program programs[64];
    static unsigned done[MOST_WORKLOADS], failed[MOST_WORKLOADS];
    unsigned all = 0, wrong = 0, running = 0;
    uint64_t state = setting.seed;
    bool vandal_died = false;
    struct damages *damages = mmap(NULL, sizeof *damages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (damages == MAP_FAILED || !run_natively()) return 2;
    damage_undo();
    pid_t vandal = setting.harmless ? 0 : fork();
    if (vandal == 0 && !setting.harmless) damage_for_ever(setting.seed * 31 + 7, damages);
    int64_t end = now_ms() + setting.seconds * 1000;
    while (now_ms() < end || running > 0) {
        for (int index = 0; index < setting.at_once && now_ms() < end; index++) {
            if (programs[index].pid != 0) continue;
            if (!start(&programs[index], next_workload(&state), true, random_of(&state))) {
                perror("vandal: cannot start a program");
                return 2;
            }
            running++;
        }
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        vandal_died |= pid > 0 && pid == vandal;
        struct program *program = pid > 0 ? program_of(programs, pid) : NULL;
        if (program != NULL) {
            int workload = program->workload;
            struct program was = *program;
            struct result result = finish(program, status);
            bool good = judge(&was, &result, wrong);
            release(&result);
            running--;
            all++;
            done[workload]++;
            wrong += !good;
            failed[workload] += !good;
        }
        look_at_the_time(programs);
        if (pid <= 0) usleep(2000);
    }
    if (vandal > 0) kill(vandal, SIGKILL);
    for (int index = 0; index < workload_count; index++)
        if (done[index] > 0) printf("  %-20s %5u run %5u failed\n", workloads[index].name, done[index], failed[index]);
    for (int index = 0; damage_name(index) != NULL; index++)
        printf("  %-20s %6lu times, refused %lu\n", damage_name(index), damages->done[index], damages->failed[index]);
    printf("vandal: seed %llu: %u programs, %u failed (%u killed by a signal, %u without an end)\n",
           (unsigned long long)setting.seed, all, wrong, killed, late);
    if (vandal_died) puts("vandal: it has died itself");
    return vandal_died ? 2 : wrong == 0 ? 0 : 1;
}
