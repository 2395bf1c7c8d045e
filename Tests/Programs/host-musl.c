// A program with another libc: linked against musl, dynamically. Uses one of everything that the library takes part in
// under glibc, and says what came of it. Run as `host-musl DIRECTORY`.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (1 << 20)
static unsigned char buffer[65536];

static void say(const char *what, long result)
{
    printf("%s %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
    fflush(stdout);
}

static unsigned sum(const void *bytes, long count)
{
    unsigned hash = 0;
    for (long i = 0; i < count; i++)
        hash = hash * 31 + ((const unsigned char *)bytes)[i];
    return hash;
}

static void look(const char *what, int fd, long position)
{
    memset(buffer, 0, sizeof buffer);
    long count = pread(fd, buffer, 9000, position);
    say(what, count);
    printf("  %08x at %ld\n", sum(buffer, 9000), (long)lseek(fd, 0, SEEK_CUR));
}

static int made(const char *name, int seed)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (long i = 0; i < SIZE / (long)sizeof buffer; i++) {
        for (unsigned j = 0; j < sizeof buffer; j++)
            buffer[j] = (unsigned char)(seed * 37 + i * 11 + j * 7 + (j >> 8));
        if (write(fd, buffer, sizeof buffer) != sizeof buffer)
            say("write", -1);
    }
    return fd;
}

static void files(void)
{
    int one = made("one", 1), two = made("two", 2);
    for (int i = 0; i < 100; i++)
        pread(one, buffer, 4096, i * 4096), pwrite(two, buffer, 4096, i * 4096);
    look("one", one, 40960);
    say("lseek", lseek(one, 4000, SEEK_SET));
    struct iovec parts[] = {{buffer, 3000}, {buffer + 5000, 4000}};
    say("readv", readv(one, parts, 2));
    say("pwritev", pwritev(two, parts, 2, 8192));
    say("writev", writev(one, parts, 2));
    look("two", two, 8192);
    say("dup2", dup2(two, one) == one);
    look("one is two", one, 40960);
    int again = fcntl(one, F_DUPFD_CLOEXEC, 50);
    say("fcntl", again);
    say("append", fcntl(again, F_SETFL, O_APPEND));
    say("appended", write(one, buffer, 5000));
    say("no append", fcntl(again, F_SETFL, 0));
    say("ftruncate", ftruncate(two, 100000));
    look("cut", again, 98000);
    say("close", close(one));
    say("closed", pread(one, buffer, 10, 0));
    say("punch", fallocate(two, 3, 0, 8192));
    look("hole", two, 4096);
    say("fsync", fsync(two) + fdatasync(two));
    unsigned char *map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, two, 0);
    map[10000] ^= 1;
    say("msync", msync(map, 65536, MS_SYNC));
    say("munmap", munmap(map, 65536));
    say("copy", copy_file_range(two, &(off_t){20000}, two, &(off_t){0}, 5000, 0));
    look("copied", two, 0);
    say("bad buffer", pread(two, (void *)16, 4096, 0));
    close(two);
    close(again);
}

static void streams(void)
{
    FILE *stream = fopen("lines", "w+");
    for (int i = 0; i < 5000; i++)
        fprintf(stream, "line %d\n", i);
    rewind(stream);
    say("fread", (long)fread(buffer, 1, 20000, stream));
    stream = freopen("lines", "a+", stream);
    fputs("one more\n", stream);
    say("fclose", fclose(stream));
    stream = fdopen(open("lines", O_RDONLY), "r");
    int count = 0;
    while (fgets((char *)buffer, sizeof buffer, stream))
        count++;
    say("lines", count);
    fclose(stream);
    stream = popen("echo from a shell", "r");
    say("popen", fgets((char *)buffer, sizeof buffer, stream) != NULL);
    printf("%s", (char *)buffer);
    say("pclose", pclose(stream));
    stream = tmpfile();
    say("tmpfile", stream != NULL && fclose(stream) == 0);
    DIR *directory = opendir(".");
    for (count = 0; readdir(directory);)
        count++;
    say("entries", count);
    say("closedir", closedir(directory));
    char name[] = "made-XXXXXX";
    int fd = mkstemp(name);
    say("mkstemp", fd >= 0 && close(fd) == 0 && unlink(name) == 0);
}

static sigjmp_buf jump;
static volatile int caught;
static void on_signal(int number)
{
    caught = number;
    if (number != SIGUSR1)
        siglongjmp(jump, number);
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}, old;
    sigset_t set, before;
    say("sigaction", sigaction(SIGUSR1, &action, NULL) + sigaction(SIGSEGV, &action, &old));
    say("sigaction", sigaction(SIGBUS, &action, NULL));
    say("default", old.sa_handler == SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGBUS);
    say("sigprocmask", sigprocmask(SIG_BLOCK, &set, &before));
    raise(SIGUSR1);
    say("held", caught);
    sigpending(&set);
    say("pending", sigismember(&set, SIGUSR1));
    say("sigsuspend", sigsuspend(&before));
    say("caught", caught);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (sigsetjmp(jump, 1) == 0)
        *(volatile int *)16 = 1;
    say("jumped", caught);
    int fd = made("cut", 3);
    unsigned char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    ftruncate(fd, 0);
    if (sigsetjmp(jump, 1) == 0)
        buffer[0] = map[40960];
    say("jumped", caught);
    sigprocmask(SIG_BLOCK, NULL, &set);
    say("blocked", sigismember(&set, SIGBUS) + sigismember(&set, SIGSEGV));
    munmap(map, SIZE);
    close(fd);
    struct timespec short_time = {0, 1000000};
    say("pselect", pselect(0, NULL, NULL, NULL, &short_time, &before));
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    say("sigtimedwait", sigtimedwait(&set, NULL, &short_time));
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
}

static int shared;
static void *writes(void *argument)
{
    for (int i = 0; i < 200; i++)
        pwrite(shared, argument, 8, (long)*(char *)argument * 8192 + i * 8);
    return argument;
}
static int cleaned;
static void clean(void *number) { cleaned = *(int *)number; }
static void *waits(void *ends)
{
    char byte;
    pthread_cleanup_push(clean, &(int){3});
    read(*(int *)ends, &byte, 1); // until it is cancelled
    pthread_cleanup_pop(0);
    return NULL;
}

static void threads(void)
{
    static char names[4][9] = {"\1aaaaaaa", "\2bbbbbbb", "\3ccccccc", "\4ddddddd"};
    pthread_t thread[4];
    shared = made("shared", 4);
    for (int i = 0; i < 4; i++)
        say("pthread_create", pthread_create(&thread[i], NULL, writes, names[i]));
    for (int i = 0; i < 4; i++)
        say("pthread_join", pthread_join(thread[i], NULL));
    for (int i = 1; i < 5; i++)
        look("written", shared, i * 8192);
    int ends[2];
    void *result = NULL;
    say("pipe", pipe(ends));
    pthread_create(thread, NULL, waits, ends);
    usleep(10000);
    say("pthread_cancel", pthread_cancel(*thread));
    pthread_join(*thread, &result);
    say("cancelled", result == PTHREAD_CANCELED);
    say("cleaned up", cleaned);
    close(shared), close(ends[0]), close(ends[1]);
}

static void passing(int fd)
{
    int ends[2], status;
    char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    say("sendmsg", sendmsg(ends[0], &message, 0));
    pid_t child = fork();
    if (child == 0) {
        int got = -1;
        say("recvmsg", recvmsg(ends[1], &message, 0));
        memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
        look("passed", got, 12288);
        _exit(7);
    }
    waitpid(child, &status, 0);
    say("child", status);
    close(ends[0]), close(ends[1]);
}

static void processes(void)
{
    int status, fd = made("inherited", 5);
    pid_t child = fork();
    if (child == 0) {
        pwrite(fd, "from the child", 14, 4096);
        look("in the child", fd, 4096);
        _exit(5);
    }
    waitpid(child, &status, 0);
    say("forked", status);
    look("after it", fd, 4096);
    child = vfork();
    if (child == 0) {
        dup2(1, 60);
        execl("/bin/echo", "echo", "by vfork", NULL);
        _exit(9);
    }
    waitpid(child, &status, 0);
    say("vforked", status);
    extern char **environ;
    int result = posix_spawn(&child, "/bin/echo", NULL, NULL, (char *[]){"echo", "spawned", NULL}, environ);
    waitpid(child, &status, 0);
    say("spawned", status + result);
    say("system", system("echo by system"));
    passing(fd);
    close(fd);
}

static void rest(void)
{
    int (*close_it)(int) = (int (*)(int))dlsym(RTLD_DEFAULT, "close");
    void *self = dlopen(NULL, RTLD_NOW), *missing = dlsym(self, "no_such_name");
    say("dlsym", close_it != NULL && close_it(-1) == -1);
    say("missing", missing == NULL && dlerror() != NULL);
    say("dlopen", dlopen("/nonexistent.so", RTLD_NOW) == NULL);
    say("syscall", syscall(SYS_getpid) == getpid());
    int fd = syscall(SYS_openat, AT_FDCWD, "one", O_RDONLY, 0);
    say("syscall", syscall(SYS_pread64, fd, buffer, 4096l, 8192l));
    printf("  %08x\n", sum(buffer, 4096));
    say("syscall", syscall(SYS_close, fd));
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    say("setrlimit", setrlimit(RLIMIT_FSIZE, &limit));
    say("prctl", prctl(PR_SET_NAME, "host"));
    say("mlockall", mlockall(MCL_CURRENT) <= 0);
    say("munlockall", munlockall());
    errno = 0;
    say("errors", open("/nonexistent", O_RDONLY));
}

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]) != 0)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); // a child has nothing of it to write once more
    files();
    streams();
    signals();
    threads();
    processes();
    rest();
    puts("end");
    return 0;
}
