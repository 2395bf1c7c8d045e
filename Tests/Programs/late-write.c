// late-write FILE SECONDS: one write(2) of 4 KiB of the letter N to the start of FILE, whose bytes are there only after
// so long: it has set the file's times by then, and has copied nothing.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int file;
static char *late;

static void *write_it(void *result)
{
    *(ssize_t *)result = pwrite(file, late, PAGE, 0);
    return NULL;
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    ssize_t written = -1;
    pthread_t thread;
    struct uffdio_api api = {.api = UFFD_API};
    int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    file = open(arguments[1], O_RDWR);
    late = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(unsigned long)late, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (file < 0 || faults < 0 || ioctl(faults, UFFDIO_API, &api) != 0 || ioctl(faults, UFFDIO_REGISTER, &range) != 0 ||
        pthread_create(&thread, NULL, write_it, &written) != 0)
        return 1;
    usleep((useconds_t)(atof(arguments[2]) * 1e6));
    static char bytes[PAGE] __attribute__((aligned(PAGE)));
    memset(bytes, 'N', PAGE);
    struct uffdio_copy copy = {.dst = (unsigned long)late, .src = (unsigned long)bytes, .len = PAGE};
    if (ioctl(faults, UFFDIO_COPY, &copy) != 0)
        return 1;
    pthread_join(thread, NULL);
    return written == PAGE ? 0 : 1;
}
