// A number is given to another file while a call at its offset is in the middle of its copy, and stays there: the page
// of the program's buffer that comes next is not there until this program says so (userfaultfd). The call must go on in
// its own file, which it keeps open to its end, however long that takes.
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/ioctl.h>

#include "transcript.h"

#define ROUNDS 8
#define COUNT (2 * PAGE)

static int faults;
static int number;
static unsigned char *buffer;
static ssize_t result;

// A buffer of two pages, of which the second is missing until it is delivered.
static void missing_page(void)
{
    buffer = mmap(NULL, COUNT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uintptr_t)buffer + PAGE, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (buffer == MAP_FAILED || ioctl(faults, UFFDIO_REGISTER, &range) != 0)
        die("a page that is missing");
}

// Waits until somebody has come to the page.
static void await_fault(void)
{
    struct uffd_msg message;
    if (raw(SYS_read, faults, (long)&message, sizeof message, 0, 0, 0) != sizeof message
        || message.event != UFFD_EVENT_PAGEFAULT)
        die("no fault");
}

static void deliver(const void *page)
{
    struct uffdio_copy copy = {.dst = (uintptr_t)buffer + PAGE, .src = (uintptr_t)page, .len = PAGE};
    if (ioctl(faults, UFFDIO_COPY, &copy) != 0)
        die("UFFDIO_COPY");
}

static void *call_read(void *unused)
{
    (void)unused;
    result = read(number, buffer, COUNT);
    return NULL;
}

static void *call_write(void *unused)
{
    (void)unused;
    result = write(number, buffer, COUNT);
    return NULL;
}

// Whether others may lock the file: not while a description that has locked it is open, or a call goes on in it.
static void say_lock(const char *when)
{
    int fd = open("old", O_RDWR);
    say("  %s: %s", when, flock(fd, LOCK_EX | LOCK_NB) == 0 ? "not locked" : "locked");
    close(fd);
}

static void replaced(bool writes, bool duplicated)
{
    faults = (int)raw(SYS_userfaultfd, O_CLOEXEC, 0, 0, 0, 0, 0);
    struct uffdio_api api = {.api = UFFD_API};
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api) != 0)
        die("userfaultfd");
    unsigned char page[PAGE];
    for (int round = 0; round < ROUNDS; round++) {
        long at = (round + 1) * 16 * PAGE;
        number = open_file("old", 1, O_RDWR);
        int twin = duplicated ? dup(number) : -1, other = open_file("new", 2, O_RDWR);
        if (duplicated)
            warm(twin);
        CALL(flock(number, LOCK_EX));
        CALL(lseek(number, at, SEEK_SET));
        CALL(lseek(other, at, SEEK_SET));
        missing_page();
        if (writes) {
            fill(buffer, 3, at, PAGE);
            // The first write of a tick is the kernel's.
            pwrite(number, page, PAGE, 0);
        }
        fill(page, 3, at + PAGE, PAGE);
        pthread_t thread;
        if (pthread_create(&thread, NULL, writes ? call_write : call_read, NULL) != 0)
            die("pthread_create");
        await_fault();
        say("replaced in the middle: %d", dup2(other, number) == number);
        say_lock("meanwhile");
        deliver(page);
        pthread_join(thread, NULL);
        say("moved %zd", result);
        say_origin("the program's", buffer, COUNT, at);
        if (duplicated)
            CALL(lseek(twin, 0, SEEK_CUR));
        else
            say_lock("afterwards");
        int old = (int)raw(SYS_openat, AT_FDCWD, (long)"old", O_RDONLY, 0, 0, 0);
        unsigned char bytes[COUNT];
        say_origin("the old file's", bytes, raw(SYS_pread64, old, (long)bytes, COUNT, at, 0, 0), at);
        say_origin("the new file's", bytes, read(number, bytes, COUNT), at);
        CALL(lseek(other, 0, SEEK_CUR));
        raw(SYS_close, old, 0, 0, 0, 0, 0);
        close(number);
        close(other);
        if (duplicated)
            close(twin);
        munmap(buffer, COUNT);
    }
}

static void read_goes_on(void) { replaced(false, false); }
static void read_of_two_goes_on(void) { replaced(false, true); }
static void write_goes_on(void) { replaced(true, false); }
static void write_of_two_goes_on(void) { replaced(true, true); }

PROGRAM({"read-goes-on", read_goes_on}, {"read-of-two-goes-on", read_of_two_goes_on},
        {"write-goes-on", write_goes_on}, {"write-of-two-goes-on", write_of_two_goes_on})
