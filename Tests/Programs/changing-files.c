// The file changes between served calls: by us, by another program, by name, through mappings, through the kernel.
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

#include "transcript.h"

static unsigned char buffer[1 << 20], written[1 << 20];
static long size_now;

// Reads and overwrites all over the file and around its end.
static void exercise(int fd)
{
    static const long places[] = {0, 8191, 500000, 1 << 20, (2 << 20) + 5, 3 << 20, (4 << 20) - 100, 5 << 20, 6 << 20};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        say_bytes("pread", buffer, CALL(pread(fd, buffer, 9000, places[i])));
        fill(written, 3, places[i], 5000);
        if (places[i] + 5000 <= size_now)
            for (int round = 0; round < 2; round++)
                CALL(pwrite(fd, written, 5000, places[i]));
    }
    CALL(lseek(fd, size_now - 100, SEEK_SET));
    say_bytes("read", buffer, CALL(read(fd, buffer, 4096)));
    OFFSET(fd);
    struct stat status;
    CALL(fstat(fd, &status));
    say("  size %ld", (long)status.st_size);
    truth("file");
}

static int start(int flags)
{
    int fd = open_file("file", 1, flags);
    size_now = FILE_SIZE;
    return fd;
}

#define RESIZE(call, size)                                                                                             \
    do {                                                                                                               \
        CALL(call);                                                                                                    \
        size_now = size;                                                                                               \
        exercise(fd);                                                                                                  \
    } while (0)

static void truncated_by_us(void)
{
    int fd = start(O_RDWR);
    RESIZE(ftruncate(fd, 5 << 20), 5 << 20);
    RESIZE(ftruncate(fd, FILE_SIZE), FILE_SIZE);
    RESIZE(truncate("file", (3 << 20) + 1), (3 << 20) + 1);
    RESIZE(truncate64("file", 4 << 20), 4 << 20);
    RESIZE(ftruncate64(fd, 100), 100);
    RESIZE(syscall(SYS_ftruncate, fd, 7l << 20), 7 << 20);
    RESIZE(syscall(SYS_truncate, "file", 2l << 20), 2 << 20);
    RESIZE(ftruncate(fd, 0), 0);
    CALL(ftruncate(fd, -1));
    CALL(ftruncate(-1, 0));
    CALL(truncate("nothing", 0));
    int reader = OPEN(open("file", O_RDONLY));
    CALL(ftruncate(reader, 5));
    RESIZE(ftruncate(fd, 8 << 20), 8 << 20);
}

static void truncated_on_another_descriptor(void)
{
    int fd = start(O_RDWR), other = OPEN(open("file", O_RDWR));
    for (int i = 0; i < 3; i++) {
        RESIZE(ftruncate(other, 3 << 20), 3 << 20);
        RESIZE(ftruncate(other, FILE_SIZE), FILE_SIZE);
        CALL(close(OPEN(open("file", O_WRONLY | O_TRUNC))));
        size_now = 0;
        exercise(fd);
        RESIZE(ftruncate(other, FILE_SIZE), FILE_SIZE);
        FILE *stream = fopen("file", "w");
        size_now = 0;
        exercise(fd);
        CALL(fclose(stream));
        CALL(creat("file", 0644) >= 0);
        make_file("file", 1, FILE_SIZE);
        size_now = FILE_SIZE;
        exercise(fd);
    }
}

static void truncated_by_another_program(void)
{
    int fd = start(O_RDWR);
    for (int i = 0; i < 3; i++) {
        MODIFY("truncate", "file", "3145729");
        size_now = 3145729;
        exercise(fd);
        MODIFY("truncate", "file", "7000000");
        size_now = 7000000;
        exercise(fd);
        MODIFY("truncate", "file", "0");
        size_now = 0;
        exercise(fd);
        MODIFY("recreate", "file", "6292233", "2");
        size_now = 6292233;
        exercise(fd);
    }
}

// The end moves into the page that is read or written next: nothing there faults, and yet the range is cut.
static void cut_inside_a_page(void)
{
    static const long cuts[] = {(5 << 20) + 1, (4 << 20) + 2000, (3 << 20) + 4095, (2 << 20) + 100, 8192 + 60, 100};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        for (int call = 0; call < 6; call++) {
            long at = cuts[i] - 50;
            struct iovec vector[] = {{buffer, 10}, {buffer + 10, 90}};
            int fd = start(O_RDWR);
            for (int j = 0; j < 4; j++) // until it is served there
                if (pread(fd, buffer, 4096, at & -4096) != 4096)
                    die("pread");
            fill(written, 4, at, 700);
            lseek(fd, at, SEEK_SET);
            for (int j = 0; j < 3; j++) { // the first of their tick are the kernel's
                pwrite(fd, buffer, 4096, at & -4096);
                pread(fd, buffer, 4096, at & -4096);
            }
            raw(SYS_truncate, (long)"file", cuts[i], 0, 0, 0, 0);
            switch (call) {
            case 0: say_origin("pread", buffer, CALL(pread(fd, buffer, 100, at)), at); break;
            case 1: say_origin("read", buffer, CALL(read(fd, buffer, 100)), at); break;
            case 2: say_origin("preadv", buffer, CALL(preadv(fd, vector, 2, at)), at); break;
            case 3: CALL(pwrite(fd, written, 700, at)); break;
            case 4: CALL(write(fd, written, 700)); break;
            case 5: say_origin("pread of all", buffer, CALL(pread(fd, buffer, 4096, at & -4096)), at & -4096); break;
            }
            OFFSET(fd);
            truth("file");
            close(fd);
        }
}

static void changed_by_another_program(void)
{
    int fd = start(O_RDWR);
    for (int i = 0; i < 5; i++) {
        MODIFY("fill", "file", "500000", "20000", "9");
        say_origin("pread", buffer, CALL(pread(fd, buffer, 10000, 505000)), 505000);
        MODIFY("punch", "file", "1048576", "65536");
        say_bytes("pread", buffer, CALL(pread(fd, buffer, 65536, 1048576)));
        fill(written, 4, 1050000, 5000);
        CALL(pwrite(fd, written, 5000, 1050000));
        MODIFY("fill", "file", "6292000", "400000", "5");
        size_now = 6692000;
        exercise(fd);
        MODIFY("truncate", "file", "6292233");
        size_now = FILE_SIZE;
    }
}

#define ALLOCATE(mode, offset, length)                                                                                 \
    do {                                                                                                               \
        struct stat status_;                                                                                           \
        CALL(fallocate(fd, mode, offset, length));                                                                     \
        fstat(fd, &status_);                                                                                           \
        size_now = status_.st_size;                                                                                    \
        exercise(fd);                                                                                                  \
    } while (0)

static void fallocated(void)
{
    int fd = start(O_RDWR);
    for (int i = 0; i < 2; i++) {
        ALLOCATE(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 500001, 700000);
        ALLOCATE(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3l << 20, 2l << 20);
        ALLOCATE(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0l, 1l << 20);
        ALLOCATE(FALLOC_FL_ZERO_RANGE, 4l << 20, 3l << 20);
        ALLOCATE(FALLOC_FL_COLLAPSE_RANGE, 1l << 20, 1l << 20);
        ALLOCATE(FALLOC_FL_INSERT_RANGE, 1l << 20, 2l << 20);
        ALLOCATE(0, 6l << 20, 3l << 20);
        ALLOCATE(FALLOC_FL_KEEP_SIZE, 9l << 20, 1l << 20);
        CALL(posix_fallocate(fd, 0, 10 << 20));
        size_now = 10 << 20;
        exercise(fd);
        CALL(posix_fallocate64(fd, 0, 5 << 20));
        CALL(syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0l, 4l << 20));
        exercise(fd);
        CALL(fallocate(fd, 0, -1, 5));
        CALL(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 5));
        CALL(fallocate64(-1, 0, 0, 5));
        CALL(ftruncate(fd, FILE_SIZE));
        size_now = FILE_SIZE;
    }
}

static void reopened_with_truncation(void)
{
    int fd = start(O_RDWR);
    for (int i = 0; i < 3; i++) {
        int again = OPEN(open("file", O_RDWR | O_TRUNC));
        size_now = 0;
        exercise(fd);
        for (long at = 0; at < 5 << 20; at += 1 << 20) {
            fill(written, 6 + i, at, 1 << 20);
            CALL(write(again, written, 1 << 20));
        }
        size_now = 5 << 20;
        exercise(again);
        exercise(fd);
        CALL(close(again));
        exercise(fd);
    }
}

static void renamed_and_unlinked(void)
{
    int fd = start(O_RDWR), other;
    CALL(rename("file", "renamed"));
    make_file("file", 2, FILE_SIZE);
    exercise(fd);
    other = OPEN(open("file", O_RDWR));
    warm(other);
    exercise(other);
    truth("renamed");
    CALL(unlink("renamed"));
    exercise(fd);
    exercise(other);
    CALL(rename("file", "other"));
    CALL(link("other", "file"));
    exercise(other);
    exercise(fd);
    CALL(unlink("file"));
    CALL(unlink("other"));
    make_file("file", 4, FILE_SIZE);
    exercise(fd);
    exercise(other);
    CALL(close(fd));
    CALL(close(other));
    // A new file may get the inode number of an old one.
    for (int i = 0; i < 8; i++) {
        CALL(unlink("file"));
        fd = open_file("file", 5 + i % 3, O_RDWR);
        say_origin("new", buffer, CALL(pread(fd, buffer, 8192, 1 << 20)), 1 << 20);
        fill(written, 9, 1 << 20, 4096);
        CALL(pwrite(fd, written, 4096, 1 << 20));
        truth("file");
        CALL(close(fd));
    }
}

static void mapped_by_the_program(void)
{
    int fd = start(O_RDWR);
    unsigned char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *copy = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    unsigned char *offset = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 3 << 20);
    if (map == MAP_FAILED || copy == MAP_FAILED || offset == MAP_FAILED)
        die("mmap");
    for (int i = 0; i < 20; i++) {
        long at = 300000l * i;
        fill(map + at, 2 + i % 3, at, 10000);
        say_origin("pread", buffer, CALL(pread(fd, buffer, 9999, at)), at);
        fill(written, 5 + i % 3, at + 3000, 6000);
        CALL(pwrite(fd, written, 6000, at + 3000));
        say_origin("map", map + at + 3000, 6000, at + 3000);
    }
    say_bytes("map", map, FILE_SIZE);
    say_bytes("offset", offset, 1 << 20);
    memset(copy, 7, 100000);
    say_bytes("pread", buffer, CALL(pread(fd, buffer, 100000, 0)));
    CALL(msync(map, FILE_SIZE, MS_SYNC));
    CALL(msync(map, FILE_SIZE, MS_ASYNC));
    CALL(msync(map + 1, FILE_SIZE, MS_SYNC));
    CALL(msync(map, FILE_SIZE, 99));
    CALL(munmap(map, FILE_SIZE));
    CALL(msync(map, FILE_SIZE, MS_SYNC));
    exercise(fd);
    CALL(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
    CALL(mmap(NULL, 4096, PROT_READ, MAP_SHARED, -1, 0) == MAP_FAILED);
    CALL(mmap64(NULL, 4096, PROT_READ, MAP_SHARED, fd, 77) == MAP_FAILED);
    int reader = OPEN(open("file", O_RDONLY));
    CALL(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED);
    truth("file");
}

static void synced(void)
{
    int fd = start(O_RDWR), reader = OPEN(open("file", O_RDONLY)), ends[2];
    for (int i = 0; i < 4; i++) {
        exercise(fd);
        CALL(fsync(fd));
        CALL(fdatasync(fd));
        CALL(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
        CALL(sync_file_range(fd, 4096, 1 << 20, 7));
        CALL(syncfs(fd));
        CALL(fsync(reader));
        CALL(fdatasync(reader));
    }
    CALL(sync_file_range(fd, -1, 0, 7));
    CALL(sync_file_range(fd, 0, -1, 7));
    CALL(sync_file_range(fd, 0, 0, 99));
    CALL(fsync(-1));
    CALL(fdatasync(12345));
    CALL(sync_file_range(-1, 0, 0, 7));
    if (pipe(ends) != 0)
        die("pipe");
    CALL(fsync(ends[0]));
    CALL(fdatasync(ends[1]));
    CALL(sync_file_range(ends[0], 0, 0, 7));
    int directory = OPEN(open(".", O_RDONLY)), path = OPEN(open("file", O_PATH));
    CALL(fsync(directory));
    CALL(fsync(path));
    CALL(close(fd));
    CALL(fsync(fd));
}

static void copied_by_the_kernel(void)
{
    int one = start(O_RDWR);
    make_file("two", 2, FILE_SIZE);
    int two = OPEN(open("two", O_RDWR));
    warm(two);
    for (int i = 0; i < 4; i++) {
        off_t in = 100000 + i, out = 200000;
        CALL(lseek(one, 5000, SEEK_SET));
        CALL(lseek(two, 9000, SEEK_SET));
        CALL(copy_file_range(one, NULL, two, NULL, 70000, 0));
        OFFSET(one);
        OFFSET(two);
        CALL(copy_file_range(one, &in, two, &out, 70000, 0));
        say("  %ld %ld", (long)in, (long)out);
        say_bytes("pread", buffer, CALL(pread(two, buffer, 500000, 0)));
        in = FILE_SIZE - 1000;
        out = FILE_SIZE - 500;
        CALL(copy_file_range(one, &in, two, &out, 70000, 0));
        say("  %ld %ld", (long)in, (long)out);
        in = 0;
        out = 100;
        CALL(copy_file_range(one, &in, one, &out, 5000, 0));
        out = 1 << 20;
        CALL(copy_file_range(one, &in, one, &out, 50000, 0));
        CALL(copy_file_range(one, NULL, two, NULL, 10, 1));
        CALL(copy_file_range(-1, NULL, two, NULL, 10, 0));
        in = 300000 + i;
        CALL(sendfile(two, one, &in, 60000));
        CALL(sendfile(two, one, NULL, 60000));
        CALL(sendfile64(two, one, NULL, 60000));
        OFFSET(one);
        OFFSET(two);
        say_bytes("pread", buffer, CALL(pread(two, buffer, 500000, 3)));
        exercise(one);
        truth("two");
        CALL(ftruncate(two, FILE_SIZE));
        int ends[2];
        if (pipe(ends) != 0)
            die("pipe");
        in = 400000;
        CALL(splice(one, &in, ends[1], NULL, 8192, 0));
        out = 500000;
        CALL(splice(ends[0], NULL, two, &out, 8192, 0));
        say_bytes("pread", buffer, CALL(pread(two, buffer, 8192, 500000)));
        close(ends[0]);
        close(ends[1]);
    }
}

// Another thread shrinks and grows the file while this one reads: what a read says it read is old bytes, new bytes or
// zeros, never a signal.
static int racing;
static bool over;

static void *resizer(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++) {
        raw(SYS_ftruncate, racing, i % 2 ? FILE_SIZE : 100 + i * 1000, 0, 0, 0, 0);
        for (int j = 0; j < 20; j++)
            sched_yield();
    }
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    return NULL;
}

static void truncated_while_read(void)
{
    racing = start(O_RDWR);
    pthread_t thread;
    if (pthread_create(&thread, NULL, resizer, NULL) != 0)
        die("pthread_create");
    long strange = 0;
    for (long at = 0; !__atomic_load_n(&over, __ATOMIC_ACQUIRE); at = (at + 50021) % FILE_SIZE) {
        ssize_t count = pread(racing, buffer, 9000, at);
        for (long i = 0; i < count; i++)
            strange += buffer[i] != 0 && buffer[i] != pattern(1, at + i);
        if (count < 0)
            strange++;
    }
    pthread_join(thread, NULL);
    say("%ld strange bytes", strange);
    CALL(fstat(racing, &(struct stat){0}));
    say_bytes("pread", buffer, CALL(pread(racing, buffer, 50, 20)));
}

static void directly(void)
{
    make_file("file", 1, FILE_SIZE);
    int plain = OPEN(open("file", O_RDWR)), direct = OPEN(open("file", O_RDWR | O_DIRECT));
    if (direct < 0)
        return;
    unsigned char *aligned = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_now = FILE_SIZE;
    for (int i = 0; i < 4; i++) {
        exercise(plain);
        say_bytes("direct", aligned, CALL(pread(direct, aligned, 65536, 65536)));
        fill(aligned, 5 + i, 131072, 65536);
        CALL(pwrite(direct, aligned, 65536, 131072));
        say_origin("plain", buffer, CALL(pread(plain, buffer, 65536, 131072)), 131072);
        fill(written, 8, 131072, 8192);
        CALL(pwrite(plain, written, 8192, 131072));
        say_bytes("direct", aligned, CALL(pread(direct, aligned, 65536, 131072)));
        say_bytes("unaligned", aligned, CALL(pread(direct, aligned + 1, 1000, 131073)));
        CALL(fcntl(plain, F_SETFL, O_DIRECT));
        CALL(pread(plain, aligned + 1, 1000, 131073));
        CALL(fcntl(plain, F_SETFL, 0));
    }
    truth("file");
}

static void sealed_and_immutable(void)
{
    int fd = start(O_RDWR), flags = 0;
    CALL(ioctl(fd, FS_IOC_GETFLAGS, &flags));
    int none = flags;
    flags |= FS_IMMUTABLE_FL;
    fill(written, 4, 0, 4096);
    CALL(fchmod(fd, 0));
    exercise(fd);
    if (CALL(ioctl(fd, FS_IOC_SETFLAGS, &flags)) == 0) {
        usleep(12000); // what another hand forbids, holds from the next clock tick on
        CALL(pwrite(fd, written, 4096, 8192));
        CALL(pwrite(fd, written, 4096, 8192));
        truth("file");
        CALL(ioctl(fd, FS_IOC_SETFLAGS, &none));
    }
    CALL(pwrite(fd, written, 4096, 8192));
    CALL(pwrite(fd, written, 4096, 8192));
    truth("file");
}

PROGRAM({"truncated-by-us", truncated_by_us}, {"truncated-on-another-descriptor", truncated_on_another_descriptor},
        {"truncated-by-another-program", truncated_by_another_program}, {"cut-inside-a-page", cut_inside_a_page},
        {"changed-by-another-program", changed_by_another_program}, {"fallocated", fallocated},
        {"reopened-with-truncation", reopened_with_truncation}, {"renamed-and-unlinked", renamed_and_unlinked},
        {"mapped-by-the-program", mapped_by_the_program}, {"synced", synced},
        {"copied-by-the-kernel", copied_by_the_kernel}, {"truncated-while-read", truncated_while_read},
        {"directly", directly}, {"sealed-and-immutable", sealed_and_immutable})
