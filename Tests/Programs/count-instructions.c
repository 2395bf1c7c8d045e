// How many instructions a served call takes, from the program's call instruction to the one behind it: counted by
// single-stepping a child that has read a file often enough to be served. Says "pread 64: N", for each call and length,
// and "at pread 64: A B ...": where in the object that exports pread they lie.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char buffer[65536];

struct measured {
    const char *name;
    size_t length;
};
static const struct measured all[] = {{"pread", 64}, {"pread", 4096}, {"pwrite", 4096}, {"read", 4096}};

static long call(const struct measured *each, int fd)
{
    switch (each->name[1] == 'w' ? 'w' : each->name[0]) {
    case 'w': return pwrite(fd, buffer, each->length, 8192);
    case 'p': return pread(fd, buffer, each->length, 8192);
    default: return read(fd, buffer, each->length);
    }
}

// Between two breakpoints in line, as bare as the compiler makes it.
static void measured_call(const struct measured *each, int fd)
{
    if (each->name[1] == 'w') {
        __asm__ volatile("int3");
        (void)!pwrite(fd, buffer, each->length, 8192);
        __asm__ volatile("int3");
    } else if (each->name[0] == 'p') {
        __asm__ volatile("int3");
        (void)!pread(fd, buffer, each->length, 8192);
        __asm__ volatile("int3");
    } else {
        __asm__ volatile("int3");
        (void)!read(fd, buffer, each->length);
        __asm__ volatile("int3");
    }
}

static void child(const char *path, const struct measured *each)
{
    int fd = open(path, O_RDWR);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    // Otherwise it might be at its first breakpoint before the parent lets it go, and each second one were the first.
    raise(SIGSTOP);
    for (int i = 0; i < 3000; i++) {
        if (call(each, fd) != (long)each->length) _exit(1);
        if (each->name[0] == 'r') lseek(fd, 8192, SEEK_SET);
    }
    // A write is served in the tick of one that the kernel did: the fastest of some is a served one.
    for (int i = 0; i < 8; i++) {
        (void)!call(each, fd);
        if (each->name[0] == 'r') lseek(fd, 8192, SEEK_SET);
        measured_call(each, fd);
    }
    _exit(0);
}

enum { MOST = 1000000 };
static uintptr_t addresses[MOST + 1], of_least[MOST + 1];

// Parent and child are the same program: what lies where in one, does so in the other.
static void tell_addresses(const struct measured *each, long steps)
{
    Dl_info ours, info;
    if (!dladdr(dlsym(RTLD_DEFAULT, "pread"), &ours)) return;
    printf("at %s %zu:", each->name, each->length);
    for (long i = 0; i < steps; i++)
        if (dladdr((void *)of_least[i], &info) && info.dli_fbase == ours.dli_fbase)
            printf(" %lx", of_least[i] - (uintptr_t)info.dli_fbase);
    printf("\n");
}

// Steps from one breakpoint to the next; -1 at the end of the child.
static long steps(pid_t pid)
{
    int status;
    ptrace(PTRACE_CONT, pid, 0, 0);
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) return -1;
    for (long count = 0;; count++) {
        struct user_regs_struct registers;
        ptrace(PTRACE_GETREGS, pid, 0, &registers);
        addresses[count] = registers.rip;
        long word = ptrace(PTRACE_PEEKTEXT, pid, (void *)registers.rip, 0);
        if (count > 0 && (word & 0xff) == 0xcc) {
            // Over it.
            registers.rip++;
            ptrace(PTRACE_SETREGS, pid, 0, &registers);
            return count;
        }
        if (count >= MOST || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) != 0 || waitpid(pid, &status, 0) != pid ||
            !WIFSTOPPED(status))
            return -1;
    }
}

int main(int count, char **arguments)
{
    if (count != 2) return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/counted", arguments[1]);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || write(fd, buffer, sizeof buffer) != (ssize_t)sizeof buffer) return 2;
    close(fd);
    for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) child(path, &all[index]);
        long least = -1, seen;
        int status;
        waitpid(pid, &status, 0);
        while ((seen = steps(pid)) >= 0)
            if (least < 0 || seen < least) {
                least = seen;
                memcpy(of_least, addresses, (size_t)seen * sizeof *addresses);
            }
        printf("%s %zu: %ld\n", all[index].name, all[index].length, least);
        tell_addresses(&all[index], least);
    }
    unlink(path);
    return 0;
}
