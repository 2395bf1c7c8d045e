// exec: the program replaces itself in the middle of a sequence and goes on with the descriptors that it kept.
// Mappings, streams, threads, handlers and all that a shim remembered are gone.
#include "exerciser.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

char **own_arguments;
bool was_resumed;

// What the next image is told: as it lies in memory, since both are the same program.
struct resume {
    unsigned actor;
    bool unseen;
    struct context context;
    struct helper helper;
    struct side sides[2];
    int stream_fds[2][STREAMS];
};

enum how { BY_EXECV, BY_EXECVE, BY_EXECVP, BY_FEXECVE, BY_EXECVEAT, AFTER_A_FAILED_ONE, HOW_COUNT };

static void keep_open(int fd, bool keep)
{
    if (fd >= 0) fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static void keep_all_open(struct comparison *comparison, bool keep)
{
    keep_open(SEQUENCE_FD, keep);
    keep_open(REPORT_FD, keep);
    keep_open(comparison->helper->to, keep);
    keep_open(comparison->helper->from, keep);
}

static int save(struct comparison *comparison)
{
    static struct resume resume;
    struct side *sides[2] = {comparison->served, comparison->reference};
    resume = (struct resume){.actor = actor_self, .unseen = comparison->unseen, .context = context,
                             .helper = *comparison->helper};
    for (int each = 0; each < 2; each++) {
        resume.sides[each] = *sides[each];
        for (int index = 0; index < STREAMS; index++) {
            FILE *stream = sides[each]->stream[index];
            resume.stream_fds[each][index] = stream == NULL ? -1 : fileno(stream);
        }
    }
    int fd = memfd_create("resume", 0);
    if (fd >= 0 && raw_calls.write(0, fd, &resume, sizeof resume) == (long)sizeof resume &&
        raw_calls.lseek(0, fd, 0, SEEK_SET) == 0)
        return fd;
    return -1;
}

static void replace(int how, char **arguments)
{
    static char *const nothing[] = {"nothing", NULL};
    char self[1024];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = '\0';
    switch (how % HOW_COUNT) {
    case BY_EXECVE: execve("/proc/self/exe", arguments, environ); break;
    case BY_EXECVP: execvp(self, arguments); break;
    case BY_FEXECVE: fexecve(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), arguments, environ); break;
    case BY_EXECVEAT: syscall(SYS_execveat, AT_FDCWD, self, arguments, environ, 0); break;
    case AFTER_A_FAILED_ONE: execv("/dev/null", nothing); // fall through
    default: execv(self, arguments); break;
    }
}

void resume_save_and_exec(struct comparison *comparison, int how, struct result *result)
{
    char *arguments[64], number[32];
    int count = 0;
    for (; own_arguments[count] != NULL && count < 60; count++) {
        if (strcmp(own_arguments[count], "--internal-resume") == 0) break;
        arguments[count] = own_arguments[count];
    }
    int state = save(comparison);
    snprintf(number, sizeof number, "%d", state);
    arguments[count++] = "--internal-resume";
    arguments[count++] = number;
    arguments[count] = NULL;
    keep_all_open(comparison, true);
    fflush(stdout);
    if (state >= 0) replace(how, arguments);
    keep_all_open(comparison, false);
    result_set(result, -1);
    result->wrong = "exec failed";
}

static bool restore_side(struct side *side, const struct resume *resume, int each, const struct calls *calls, bool huge)
{
    const struct side *was = &resume->sides[each];
    if (!side_prepare(side, calls, each == 0 ? "served" : "reference", was->directory, was->outside, huge, false))
        return false;
    side->holes = was->holes;
    side->seeks = was->seeks;
    memcpy(side->letters, was->letters, sizeof side->letters);
    memcpy(side->fd, was->fd, sizeof side->fd);
    for (int slot = 0; slot < SLOTS; slot++)
        if (side->fd[slot] >= 0 && fcntl(side->fd[slot], F_GETFD) < 0) side->fd[slot] = -1;
    // Numbers that only the image before knew of: closed without ever having been used here.
    for (int index = 0; index < STREAMS; index++)
        if (resume->stream_fds[each][index] >= 0) calls->close(index, resume->stream_fds[each][index]);
    return true;
}

bool resume_restore(int fd, struct comparison *comparison, const struct calls *const calls[2], bool huge)
{
    static struct resume resume;
    if (raw_calls.read(0, fd, &resume, sizeof resume) != (long)sizeof resume) return false;
    close(fd);
    was_resumed = true;
    actor_self = resume.actor;
    *comparison->helper = resume.helper;
    comparison->unseen = resume.unseen;
    context = resume.context;
    context.handler = HANDLER_NONE;
    context.blocked[0] = context.blocked[context.worker];
    context.worker = 0;
    context.memory_locked = false;
    if (!restore_side(comparison->served, &resume, 0, calls[0], huge) ||
        !restore_side(comparison->reference, &resume, 1, calls[1], huge))
        return false;
    keep_all_open(comparison, false);
    // A program started so finds SIGBUS and SIGSEGV unblocked under the shim (docs/limitations.md); the rest of the
    // mask is inherited. From here on both are as they say they are.
    return context_block(0, 0);
}

static void run_exec(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)side, (void)place;
    resume_save_and_exec(running, op->variant, result);
}

// A child that is another program from its first moment: it reads on, or writes on, at the inherited offset.
static void run_spawn(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char length[32], reading[8];
    int status = 0, fd = side_fd(side, op->slot), answer[2];
    struct stat file;
    if (!slot_stat(side, op->slot, &file) || !S_ISREG(file.st_mode) || pipe2(answer, O_CLOEXEC) != 0) {
        result->skipped = true;
        return;
    }
    snprintf(length, sizeof length, "%zu", place->length);
    snprintf(reading, sizeof reading, "%d", place->value);
    char *arguments[] = {"exerciser", "--internal-spawned", reading, length, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 0);
    posix_spawn_file_actions_adddup2(&actions, answer[1], 1);
    pid_t pid = -1;
    int error = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(answer[1]);
    int64_t reply[2] = {-1, 0};
    if (error == 0 && read(answer[0], reply, sizeof reply) != (ssize_t)sizeof reply) reply[0] = -2;
    close(answer[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    result->ret = reply[0];
    result->extra = error != 0 ? error : status;
    result->hash = (uint64_t)reply[1];
}

// The spawned program: what it does with descriptor 0, through libc.
int spawned_main(int argc, char **argv)
{
    static unsigned char bytes[300 << 10];
    if (argc != 4) return STATUS_USAGE;
    size_t length = strtoull(argv[3], NULL, 10);
    if (length > sizeof bytes) length = sizeof bytes;
    int64_t reply[2] = {0, 0};
    if (atoi(argv[2]) != 0) {
        reply[0] = read(0, bytes, length);
        for (int64_t index = 0; index < reply[0]; index++) reply[1] = reply[1] * 31 + bytes[index];
    } else {
        pattern_fill(bytes, length, (uint32_t)length + 5);
        reply[0] = write(0, bytes, length);
    }
    return write(1, reply, sizeof reply) == (ssize_t)sizeof reply ? STATUS_EQUAL : STATUS_USAGE;
}

static const struct choice directions[] = {{"reads", 1, 1}, {"writes", 0, 1}, {NULL, 0, 0}};

static const struct kind kinds[] = {
    {"exec", 5, VARIANT, ONCE | CONTROL, NULL, run_exec},
    {"spawn", 3, SLOT | LENGTH | CHOICE, IMPLICIT | EXTENDS | UNSEEN | UNTIMED, directions, run_spawn},
};

const struct group exec_group = {"exec", kinds, sizeof kinds / sizeof *kinds};
