// More descriptors than most programs have, up to numbers that the shim has no room for.
#include <sys/resource.h>

#include "transcript.h"

#define FILES 10000

static void allow(rlim_t descriptors)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("getrlimit");
    limit.rlim_cur = descriptors;
    if (limit.rlim_max < descriptors)
        limit.rlim_max = descriptors; // only root may
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
}

static long files_are_right(const int *fds, int count, int step)
{
    unsigned char bytes[PAGE];
    long wrong = 0;
    for (int i = 0; i < count; i += step) {
        bool good = pread(fds[i], bytes, 700, 100) == 700;
        for (int k = 0; good && k < 700; k++)
            good = bytes[k] == pattern(i, 100 + k);
        if (!good)
            wrong++;
    }
    return wrong;
}

static void ten_thousand_files(void)
{
    static int fds[FILES];
    allow(FILES + 100);
    mkdir("many", 0755);
    for (int i = 0; i < FILES; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%d", i);
        make_file(name, i, 2 * PAGE);
        fds[i] = open(name, O_RDWR | O_CLOEXEC);
        if (fds[i] < 0)
            die(name);
    }
    say("%ld wrong", files_are_right(fds, FILES, 1));
    unsigned char bytes[PAGE];
    long failed = 0;
    for (int i = 0; i < FILES; i++) {
        fill(bytes, i, 0, PAGE);
        failed += pwrite(fds[i], bytes, PAGE, 0) != PAGE;
    }
    say("%ld failed, %ld wrong", failed, files_are_right(fds, FILES, 1));
    // Each second one goes, and its number becomes another's.
    for (int i = 1; i < FILES; i += 2)
        close(fds[i]);
    say("%ld wrong", files_are_right(fds, FILES, 2));
    for (int i = 1; i < FILES; i += 2) {
        char name[32];
        snprintf(name, sizeof name, "many/%d", FILES - i);
        fds[FILES - i] = open(name, O_RDWR | O_CLOEXEC);
    }
    say("%ld wrong", files_are_right(fds, FILES, 1));
    for (int i = 0; i < FILES; i++)
        close(fds[i]);
}

static void limit_raised_at_run_time(void)
{
    allow(64);
    int fd = open_file("file", 1, O_RDWR), last = -1, fds[4096], count = 0;
    while ((fds[count] = dup(fd)) >= 0)
        last = fds[count++];
    say("%s, last %d", strerrorname_np(errno), last);
    unsigned char bytes[9000];
    say_origin("last", bytes, CALL(pread(last, bytes, sizeof bytes, 1 << 20)), 1 << 20);
    allow(4000);
    while ((fds[count] = dup(fd)) >= 0)
        last = fds[count++];
    say("%s, last %d", strerrorname_np(errno), last);
    say_origin("last", bytes, CALL(pread(last, bytes, sizeof bytes, 1 << 20)), 1 << 20);
    lseek(fd, 4096, SEEK_SET);
    for (int i = 0; i < count; i += 100)
        say_origin("read", bytes, CALL(read(fds[i], bytes, 1000)), 4096 + i / 100 * 1000l);
    OFFSET(last);
    // Lowered below what is open: those stay.
    allow(32);
    say_origin("last", bytes, CALL(pread(last, bytes, sizeof bytes, 1 << 20)), 1 << 20);
    CALL(dup(fd));
    CALL(close(last));
    CALL(pread(last, bytes, sizeof bytes, 0));
}

// Numbers at, below and above the shim's own bound, of one description.
static void above_the_table(void)
{
    static const int places[] = {65534, 65535, 65536, 65537, 70000, 1000000};
    allow(1000100);
    unsigned char bytes[9000], other[9000];
    int fd = open_file("file", 1, O_RDWR);
    make_file("other", 2, FILE_SIZE);
    int second = open("other", O_RDWR);
    warm(second);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int high = places[i];
        CALL(dup2(fd, high) == high);
        say_origin("pread", bytes, CALL(pread(high, bytes, sizeof bytes, 1 << 20)), 1 << 20);
        CALL(lseek(fd, 8192 * (long)i, SEEK_SET));
        say_origin("read", bytes, CALL(read(high, bytes, 5000)), 8192 * (long)i);
        OFFSET(fd);
        fill(other, 3, 100000 * (long)i, sizeof other);
        CALL(pwrite(high, other, sizeof other, 100000 * (long)i));
        say_origin("by the first number", bytes, CALL(pread(fd, bytes, sizeof bytes, 100000 * (long)i)),
                   100000 * (long)i);
        CALL(write(high, other, 3000));
        CALL(fdatasync(high));
        CALL(dup2(second, high) == high);
        say_origin("other", bytes, CALL(pread(high, bytes, sizeof bytes, 1 << 20)), 1 << 20);
        CALL(fcntl(fd, F_DUPFD, high) > high);
        say_origin("next", bytes, CALL(pread(high + 1, bytes, sizeof bytes, 2 << 20)), 2 << 20);
        CALL(close_range((unsigned)high, (unsigned)high + 1, 0));
        CALL(pread(high, bytes, sizeof bytes, 0));
        CALL(close(high));
    }
    CALL(pread(INT_MAX, bytes, 100, 0));
    CALL(pread(-1, bytes, 100, 0));
    CALL(pread(INT_MIN, bytes, 100, 0));
    CALL(close(INT_MIN));
    truth("file");
    truth("other");
}

PROGRAM({"ten-thousand-files", ten_thousand_files}, {"limit-raised-at-run-time", limit_raised_at_run_time},
        {"above-the-table", above_the_table})
