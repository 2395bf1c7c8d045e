// Two users on one file, and one process that becomes the other. Needs root to begin with.
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "transcript.h"

enum { OWNER = 65534, OTHER = 65533 };

static unsigned char bytes[8192];
static int fd;

static void become(unsigned user)
{
    if (setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0)
        die("become");
}

static void use(const char *label, int descriptor, int tag)
{
    say("-- %s", label);
    for (int i = 0; i < 4; i++) {
        say_bytes("pread", bytes, CALL(pread(descriptor, bytes, sizeof bytes, 300000 * i)));
        fill(bytes, tag, 300000 * i, sizeof bytes);
        CALL(pwrite(descriptor, bytes, sizeof bytes, 300000 * i));
        CALL(pwrite(descriptor, bytes, sizeof bytes, 300000 * i));
        CALL(lseek(descriptor, 300000 * i, SEEK_SET));
        CALL(write(descriptor, bytes, sizeof bytes));
        say_origin("read", bytes, CALL(read(descriptor, bytes, sizeof bytes)), 300000 * i + 8192);
    }
    void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    say("mapped for writing: %d", map != MAP_FAILED);
    if (map != MAP_FAILED)
        munmap(map, PAGE);
}

// What a user may do who has no descriptor yet.
static void try_all(int tag)
{
    int reader = OPEN(open("file", O_RDONLY | O_CLOEXEC)), writer = OPEN(open("file", O_RDWR | O_CLOEXEC));
    int only = OPEN(open("file", O_WRONLY | O_CLOEXEC));
    if (reader >= 0)
        use("read-only", reader, tag);
    if (writer >= 0)
        use("for both", writer, tag + 1);
    if (only >= 0)
        use("write-only", only, tag + 2);
    if (reader >= 0)
        use("read-only again", reader, tag + 3);
    CALL(chmod("file", 0777));
    CALL(truncate("file", FILE_SIZE));
}

static void begin(unsigned mode)
{
    chmod(".", 0777);
    fd = open_file("file", 1, O_RDWR);
    if (fchown(fd, OWNER, OWNER) != 0 || fchmod(fd, mode) != 0)
        die("fchown");
}

// The owner's process has served windows; another user's, also with the shim, has the rights it has.
static void of_another_user(void)
{
    static const unsigned modes[] = {0600, 0644, 0622, 0666, 0640};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        say("-- mode %o", modes[i]);
        begin(modes[i]);
        use("root", fd, 2);
        IN_CHILD({
            become(OWNER);
            int own = OPEN(open("file", O_RDWR | O_CLOEXEC));
            use("owner", own, 3);
            fflush(stdout);
        });
        IN_CHILD({
            become(OTHER);
            try_all(5);
        });
        truth("file");
        close(fd);
    }
}

// Rights go with the descriptor, not with the user: inherited, kept over setresuid, received.
static void with_descriptors_of_root(void)
{
    begin(0600);
    int reader = OPEN(open("file", O_RDONLY | O_CLOEXEC));
    warm(reader);
    IN_CHILD({
        use("before", fd, 2);
        become(OTHER);
        use("inherited for both", fd, 3);
        use("inherited read-only", reader, 4);
        CALL(open("file", O_RDWR));
        CALL(open("file", O_RDONLY));
        // The window of the writable one must not serve the other's writes, nor outlive it.
        CALL(close(fd));
        use("read-only, alone", reader, 5);
    });
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        die("socketpair");
    char control[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 0;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &reader, sizeof(int));
    CALL(sendmsg(ends[0], &message, 0));
    IN_CHILD({
        close(fd);
        close(reader);
        become(OTHER);
        CALL(recvmsg(ends[1], &message, 0));
        int received;
        memcpy(&received, CMSG_DATA(header), sizeof received);
        use("received read-only", received, 6);
    });
    truth("file");
}

// One process that goes to and fro, as daemons do.
static void to_and_fro(void)
{
    begin(0644);
    for (int i = 0; i < 4; i++) {
        CALL(seteuid(i % 2 ? OWNER : OTHER));
        use("before", fd, 2 + i);
        int own = OPEN(open("file", O_RDWR | O_CLOEXEC)), reader = OPEN(open("file", O_RDONLY | O_CLOEXEC));
        use("own", own, 3 + i);
        use("read-only", reader, 4 + i);
        CALL(close(own));
        CALL(seteuid(0));
        use("after", reader, 5 + i);
        CALL(close(reader));
    }
    truth("file");
}

PROGRAM({"of-another-user", of_another_user}, {"with-descriptors-of-root", with_descriptors_of_root},
        {"to-and-fro", to_and_fro})
