// Descriptions shared between descriptors, processes and streams: one offset, one set of flags.
#include <sched.h>
#include <spawn.h>
#include <sys/socket.h>

#include "transcript.h"

static unsigned char buffer[1 << 20];

#define STEP(fd)                                                                                                       \
    do {                                                                                                               \
        long offset_ = raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);                                                       \
        say_origin("read", buffer, CALL(read(fd, buffer, 5000)), offset_);                                             \
        fill(buffer, 1, offset_ + 5000, 3000);                                                                         \
        CALL(write(fd, buffer, 3000));                                                                                 \
        OFFSET(fd);                                                                                                    \
    } while (0)

static void duplicates(void)
{
    int fd = open_file("file", 1, O_RDWR);
    int copies[] = {OPEN(dup(fd)), OPEN(dup2(fd, 500)), OPEN(dup3(fd, 501, O_CLOEXEC)), OPEN(fcntl(fd, F_DUPFD, 100)),
                    OPEN(fcntl(fd, F_DUPFD_CLOEXEC, 100))};
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < 5; i++) {
            STEP(copies[i]);
            STEP(fd);
            if (round == 5)
                CALL(lseek(copies[i], 300000 * i, SEEK_SET));
        }
    CALL(close(fd));
    for (int i = 0; i < 5; i++) {
        STEP(copies[i]);
        CALL(close(copies[i]));
    }
    truth("file");
}

static void separate_opens(void)
{
    int first = open_file("file", 1, O_RDWR), second = OPEN(open("file", O_RDWR)),
        reader = OPEN(open("file", O_RDONLY));
    warm(second);
    warm(reader);
    for (int i = 0; i < 20; i++) {
        STEP(first);
        STEP(second);
        CALL(lseek(second, 10000, SEEK_CUR));
        say_origin("reader", buffer, CALL(read(reader, buffer, 4096)), i * 4096);
        CALL(pwrite(reader, buffer, 4096, 8192));
    }
    truth("file");
}

static void forked_child(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 10; i++) {
        STEP(fd);
        IN_CHILD({
            STEP(fd);
            STEP(fd);
            if (i == 7)
                CALL(lseek(fd, 500, SEEK_SET));
        });
        STEP(fd);
    }
    IN_CHILD(CALL(close(fd)));
    STEP(fd);
    truth("file");
}

// Parent and child at once: every byte is read by one of them, once.
static void forked_readers_at_once(void)
{
    int fd = open_file("file", 1, O_RDONLY), ends[2];
    uint64_t sums[2] = {0, 0};
    if (pipe(ends) != 0)
        die("pipe");
    fflush(stdout);
    pid_t child = fork();
    warm(fd);
    ssize_t count;
    while ((count = read(fd, buffer, 3000)) > 0) {
        sums[0] += hash_of(buffer, (size_t)count);
        sums[1] += (uint64_t)count;
    }
    if (child == 0) {
        write(ends[1], sums, sizeof sums);
        _exit(0);
    }
    uint64_t others[2];
    read(ends[0], others, sizeof others);
    waitpid(child, NULL, 0);
    say("%lu bytes, sum of chunks %016lx", sums[1] + others[1], sums[0] + others[0]);
    OFFSET(fd);
}

// A child that shares our memory, but has descriptors of its own.
static void vforked_child(void)
{
    int one = open_file("one", 1, O_RDWR), two = open_file("two", 2, O_RDWR);
    for (int i = 0; i < 5; i++) {
        fflush(stdout);
        pid_t child = vfork();
        if (child == 0) {
            dup2(two, one);
            for (int j = 0; j < 4; j++)
                pread(one, buffer, 8192, 40960);
            fill(buffer + 8192, 2, 81920, 4096);
            for (int j = 0; j < 3; j++)
                pwrite(one, buffer + 8192, 4096, 81920);
            close(two);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        say_origin("the child read", buffer, 8192, 40960);
        say_origin("the parent reads one", buffer, CALL(pread(one, buffer, 8192, 40960)), 40960);
        say_origin("the parent reads two", buffer, CALL(pread(two, buffer, 8192, 40960)), 40960);
    }
    truth("one");
    truth("two");
}

static int clone_ends[2];

static int cloned(void *argument)
{
    int *numbers = argument;
    close(numbers[0]);
    dup2(numbers[1], numbers[0]);
    for (int j = 0; j < 4; j++)
        pread(numbers[0], buffer, 8192, 40960);
    write(clone_ends[1], buffer, 8192);
    _exit(0);
}

static void cloned_child(void)
{
    int numbers[] = {open_file("one", 1, O_RDWR), open_file("two", 2, O_RDWR)};
    char *stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const int flags[] = {SIGCHLD, SIGCHLD | CLONE_VM | CLONE_VFORK, SIGCHLD | CLONE_FS};
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        if (pipe(clone_ends) != 0)
            die("pipe");
        pid_t child = clone(cloned, stack + (1 << 20), flags[i], numbers);
        waitpid(child, NULL, 0);
        say_origin("the child read", buffer, read(clone_ends[0], buffer, 8192), 40960);
        say_origin("the parent reads one", buffer, CALL(pread(numbers[0], buffer, 8192, 40960)), 40960);
        close(clone_ends[0]);
        close(clone_ends[1]);
    }
}

static void spawned_child(void)
{
    int one = open_file("one", 1, O_RDONLY), two = open_file("two", 2, O_RDONLY), zero = dup(0);
    extern char **environ;
    dup2(one, 0);
    for (int i = 0; i < 4; i++) {
        STEP(one);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, i % 2 ? two : one, 0);
        posix_spawn_file_actions_adddup2(&actions, two, one);
        posix_spawn_file_actions_addclose(&actions, two);
        char *arguments[] = {"head", "-c", "1", NULL};
        pid_t child;
        fflush(stdout);
        if (posix_spawnp(&child, "head", &actions, NULL, arguments, environ) != 0)
            die("posix_spawnp");
        waitpid(child, NULL, 0);
        say("spawned");
        STEP(one);
        say_origin("stdin", buffer, CALL(pread(0, buffer, 4096, 8192)), 8192);
    }
    dup2(zero, 0);
}

// The description survives exec: the new program goes on where the old one was.
static void over_exec(void)
{
    int fd = open_file("file", 1, O_RDWR);
    STEP(fd);
    dup2(fd, 200);
    char program[PATH_MAX + 32];
    snprintf(program, sizeof program, "%s/sharing", programs_directory);
    IN_CHILD(execl(program, program, "after-exec", ".", NULL));
    STEP(fd);
    truth("file");
}

static void after_exec(void)
{
    warm(200);
    for (int i = 0; i < 5; i++)
        STEP(200);
}

static int passed(int fd)
{
    int ends[2], received = -1;
    char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || sendmsg(ends[0], &message, 0) != 1 ||
        recvmsg(ends[1], &message, 0) != 1)
        die("SCM_RIGHTS");
    memcpy(&received, CMSG_DATA(header), sizeof received);
    close(ends[0]);
    close(ends[1]);
    return received;
}

static void passed_by_message(void)
{
    int fd = open_file("file", 1, O_RDWR), received = passed(fd);
    for (int i = 0; i < 6; i++) {
        STEP(fd);
        STEP(received);
    }
    CALL(close(fd));
    STEP(received);
    truth("file");
}

// Flags belong to the description: set on one descriptor, they hold on all, in the other process too.
static void append_set_on_a_duplicate(void)
{
    int fd = open_file("file", 1, O_RDWR), copy = OPEN(dup(fd));
    fill(buffer, 2, 0, 8192);
    for (int i = 0; i < 4; i++) {
        CALL(fcntl(copy, F_SETFL, O_APPEND));
        CALL(pwrite(fd, buffer, 4096, 8192));
        CALL(write(fd, buffer, 4096));
        OFFSET(fd);
        CALL(fcntl(copy, F_SETFL, 0));
        CALL(pwrite(fd, buffer, 4096, 16384));
        CALL(lseek(fd, 40000, SEEK_SET));
        CALL(write(fd, buffer, 4096));
        OFFSET(fd);
        truth("file");
        CALL(syscall(SYS_fcntl, copy, F_SETFL, O_APPEND));
        CALL(pwrite(fd, buffer, 4096, 8192));
        CALL(fcntl64(copy, F_SETFL, 0));
        CALL(pwrite(fd, buffer, 4096, 8192));
        truth("file");
    }
}

static void streams_and_raw_calls(void)
{
    int fd = open_file("file", 1, O_RDWR);
    FILE *stream = fdopen(dup(fd), "r+"), *other = fopen("file", "r+");
    char small[16];
    for (int i = 0; i < 12; i++) {
        CALL(fseek(stream, 100000 * i + 7, SEEK_SET));
        say_origin("fread", buffer, CALL(fread(buffer, 1, 70000, stream)), 100000 * i + 7);
        CALL(ftell(stream));
        OFFSET(fd);
        STEP(fd);
        CALL(fseek(stream, 0, SEEK_CUR));
        say_origin("fread", buffer, CALL(fread(buffer, 1, 100, stream)), ftell(stream) - 100);
        fill(buffer, 1, 200000 * i, 9000);
        CALL(fseek(other, 200000 * i, SEEK_SET));
        CALL(fwrite(buffer, 1, 9000, other));
        CALL(fflush(other));
        say_origin("read after fwrite", buffer, CALL(pread(fd, buffer, 9000, 200000 * i)), 200000 * i);
        fill(buffer, 2, 200000 * i, 9000);
        CALL(pwrite(fd, buffer, 9000, 200000 * i));
        CALL(fseek(other, 200000 * i, SEEK_SET));
        setvbuf(other, NULL, i % 2 ? _IONBF : _IOFBF, 4096);
        say_origin("fread after pwrite", buffer, CALL(fread(buffer, 1, 5000, other)), 200000 * i);
        CALL(fscanf(other, "%15c", small));
        CALL(ftello(other));
        CALL(ungetc('x', other));
        CALL(fgetc(other));
    }
    CALL(fseek(other, 0, SEEK_END));
    CALL(fprintf(other, "%s %d\n", "at the end", 42));
    CALL(dprintf(fd, "%s\n", "here"));
    CALL(fclose(other));
    CALL(fclose(stream));
    truth("file");
}

PROGRAM({"duplicates", duplicates}, {"separate-opens", separate_opens}, {"forked-child", forked_child},
        {"forked-readers-at-once", forked_readers_at_once}, {"vforked-child", vforked_child},
        {"cloned-child", cloned_child}, {"spawned-child", spawned_child}, {"over-exec", over_exec},
        {"after-exec", after_exec}, {"passed-by-message", passed_by_message},
        {"append-set-on-a-duplicate", append_set_on_a_duplicate}, {"streams-and-raw-calls", streams_and_raw_calls})
