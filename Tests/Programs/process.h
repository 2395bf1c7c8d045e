// What the programs about processes and stale entries share: a step on a descriptor, and ways to make a child.
//
// Whoever forks here writes out what it has said before, and so does the child before it ends: a line is never said
// twice, and the order of a transcript is that of the calls.
#ifndef PROCESS_H
#define PROCESS_H

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>

#include <sys/socket.h>

#include "transcript.h"

static unsigned char buffer[1 << 20];

// Every step writes bytes no other step writes: a lost or misplaced write shows in the truth.
static int generation = 20;

// Reads and overwrites at the implicit offset and at a position, each large enough to be served.
__attribute__((unused)) static void step(const char *who, int fd)
{
    say("%s", who);
    OFFSET(fd);
    say_bytes("read", buffer, CALL(read(fd, buffer, 5000)));
    fill(buffer, generation++, 0, 3000);
    CALL(write(fd, buffer, 3000));
    OFFSET(fd);
    say_bytes("pread", buffer, CALL(pread(fd, buffer, 9000, 600000)));
    fill(buffer, generation++, 0, 3000);
    CALL(pwrite(fd, buffer, 3000, 700000 + generation * 512l));
}

// Which file is behind the number, by position: tags tell (transcript.h). Twice, so that what the first call learns is
// used by the second.
__attribute__((unused)) static void look(const char *who, int fd)
{
    for (int i = 0; i < 2; i++) {
        fill(buffer, 15, 40960, 8192);
        errno = UNTOUCHED;
        long count = pread(fd, buffer, 8192, 40960);
        say("%s: %ld %s", who, count, count < 0 ? strerrorname_np(errno) : "");
        say_origin("looked at", buffer, count, 40960);
    }
}

__attribute__((unused)) static void wait_for(pid_t child)
{
    int status = 0;
    if (child < 0 || waitpid(child, &status, __WALL) != child)
        die("child");
    if (WIFSIGNALED(status))
        say("  child died of %s", sigabbrev_np(WTERMSIG(status)));
    else
        say("  child exited with %d", WEXITSTATUS(status));
}

// Ends a child without its parent's atexit handlers.
__attribute__((unused, noreturn)) static void end_child(void)
{
    fflush(stdout);
    _exit(0);
}

// Another description or another descriptor, with a number that nothing else here takes.
__attribute__((unused)) static int numbered(int fd, int number)
{
    int moved = (int)raw(SYS_dup3, fd, number, O_CLOEXEC, 0, 0, 0);
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    if (moved != number)
        die("dup3");
    return moved;
}

// ---- children by program: process-helper.c ----------------------------------------------------------------------
enum { WITH_SHIM, WITHOUT_SHIM };
__attribute__((unused)) static const char *const shim_names[] = {"with the shim", "without the shim"};
static char *const no_shim[] = {"LC_ALL=C", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", NULL};
extern char **environ;

__attribute__((unused)) static const char *helper(void)
{
    static char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/process-helper", programs_directory);
    return path;
}

// Becomes process-helper ACTION ARGUMENTS...
#define EXEC_HELPER(shim, ...)                                                                                         \
    do {                                                                                                               \
        fflush(stdout);                                                                                                \
        execve(helper(), (char *const[]){(char *)helper(), __VA_ARGS__, NULL},                                         \
               (shim) == WITH_SHIM ? environ : no_shim);                                                               \
        _exit(127);                                                                                                    \
    } while (0)

// The decimal of a descriptor's number, for the helper.
__attribute__((unused)) static char *text_of(int number)
{
    static char texts[16][16];
    static int turn;
    char *text = texts[turn++ & 15];
    snprintf(text, sizeof texts[0], "%d", number);
    return text;
}

// ---- descriptors through sockets --------------------------------------------------------------------------------
__attribute__((unused)) static void send_descriptors(int socket, const int *fds, int count)
{
    char byte = 'x', control[CMSG_SPACE(16 * sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN((unsigned)count * sizeof(int))};
    memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
    if (sendmsg(socket, &message, 0) != 1)
        die("sendmsg");
}

// How many came, of at most `room`.
__attribute__((unused)) static int receive_descriptors(int socket, int *fds, int room, int flags)
{
    char byte, control[CMSG_SPACE(16 * sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(room * sizeof(int))};
    if (recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC) != 1)
        die("recvmsg");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS)
        return 0;
    int count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), (size_t)count * sizeof(int));
    return count;
}

#endif
