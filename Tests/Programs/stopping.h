// Stops a process at one of its writes and has something done meanwhile: what a scheduler may do at any moment, made to
// happen.
//
// The watcher is made before all else, since it must not have the preload and a fork in between would change what is
// tested. It traces its parent from watcher_begins() on until that asks for its parent's id; by the system calls it
// counts how often the inode was looked at before the write and after it.
#ifndef STOPPING_H
#define STOPPING_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int watcher_ears[2], watcher_mouth[2];

// Runs PROGRAM --watch PLACE ACTION FILE, which calls watch(). PLACE: "before" the
// kernel's write, "after" it, or before the first "look" at the inode behind it (without one, behind all).
static void watcher_made(const char *program, const char *place, const char *action, const char *file)
{
    if (pipe(watcher_ears) != 0 || pipe(watcher_mouth) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        unsetenv("LD_PRELOAD");
        dup2(watcher_ears[0], 3);
        dup2(watcher_mouth[1], 4);
        closefrom(5);
        execl(program, program, "--watch", place, action, file, (char *)NULL);
        _exit(127);
    }
    close(watcher_ears[0]);
    close(watcher_mouth[1]);
}

static void watcher_begins(void)
{
    char byte = 0;
    // Where Yama is, only a parent may trace otherwise.
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    if (write(watcher_ears[1], &byte, 1) != 1 || read(watcher_mouth[0], &byte, 1) != 1) {
        fprintf(stderr, "the watcher does not trace\n");
        exit(1);
    }
}

// How often the inode was looked at before the write, and after it.
static void watcher_ends(int looks[2])
{
    syscall(SYS_getppid);
    if (read(watcher_mouth[0], looks, 2 * sizeof *looks) != 2 * sizeof *looks) {
        fprintf(stderr, "the watcher has met no write\n");
        exit(1);
    }
}

// In the watcher. `act` does what is to be done, to its end.
static int watch(const char *place, void (*act)(void))
{
    pid_t parent = getppid();
    int status, inside = 0, written = 0, acted = 0, looks[2] = {0, 0};
    char byte;
    if (read(3, &byte, 1) != 1 || ptrace(PTRACE_SEIZE, parent, 0, PTRACE_O_TRACESYSGOOD) != 0
        || ptrace(PTRACE_INTERRUPT, parent, 0, 0) != 0 || waitpid(parent, &status, 0) != parent
        || write(4, &byte, 1) != 1)
        return 1;
    for (;;) {
        if (ptrace(PTRACE_SYSCALL, parent, 0, 0) != 0 || waitpid(parent, &status, 0) != parent || !WIFSTOPPED(status))
            return 1;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
            continue;
        struct user_regs_struct registers;
        if (ptrace(PTRACE_GETREGS, parent, 0, &registers) != 0)
            return 1;
        // The read of the pipe was under way when we came: its end looks like a beginning. RAX tells, -ENOSYS at one.
        inside = (long)registers.rax == -ENOSYS;
        switch (registers.orig_rax) {
        case SYS_pwrite64:
            if (!acted && strcmp(place, inside ? "before" : "after") == 0)
                act(), acted = 1;
            written |= !inside;
            break;
        case SYS_fstat:
        case SYS_newfstatat:
        case SYS_statx:
            if (!acted && written)
                act(), acted = 1;
            looks[written] += inside;
            break;
        case SYS_getppid:
            if (!acted)
                act();
            ptrace(PTRACE_DETACH, parent, 0, 0);
            return !written || write(4, looks, sizeof looks) != sizeof looks;
        }
    }
}

#endif
