// read-stats FILE: prints what is in a statistics file of the shim, one figure a line, for TestSupport.
//
//   call FAMILY OUTCOME NUMBER
//   bytes READ WRITTEN          (moved by the shim)
//   faults NUMBER
//   note TEXT
//
// A file that does not exist holds nothing: exit status 0, no output.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ps_stats.h"

static const char *const families[PS_FAMILY_COUNT] = {
    [PS_FAMILY_READ] = "read",
    [PS_FAMILY_PREAD] = "pread",
    [PS_FAMILY_READV] = "readv",
    [PS_FAMILY_PREADV] = "preadv",
    [PS_FAMILY_WRITE] = "write",
    [PS_FAMILY_PWRITE] = "pwrite",
    [PS_FAMILY_WRITEV] = "writev",
    [PS_FAMILY_PWRITEV] = "pwritev",
    [PS_FAMILY_FSYNC] = "fsync",
    [PS_FAMILY_FDATASYNC] = "fdatasync",
    [PS_FAMILY_SYNC_FILE_RANGE] = "sync_file_range",
    [PS_FAMILY_MSYNC] = "msync",
    [PS_FAMILY_MMAP] = "mmap",
    [PS_FAMILY_COPY] = "copy",
    [PS_FAMILY_RESIZE] = "resize",
};

static const char *const outcomes[PS_OUTCOME_COUNT] = {
    [PS_OUTCOME_SERVED] = "served",   [PS_OUTCOME_COLD] = "cold",         [PS_OUTCOME_END] = "end",
    [PS_OUTCOME_SMALL] = "small",     [PS_OUTCOME_TICK] = "tick",         [PS_OUTCOME_APPEND] = "append",
    [PS_OUTCOME_OFFSET] = "offset",   [PS_OUTCOME_FLAGS] = "flags",       [PS_OUTCOME_SPARSE] = "sparse",
    [PS_OUTCOME_FAULT] = "fault",     [PS_OUTCOME_LIMIT] = "limit",       [PS_OUTCOME_BUSY] = "busy",
    [PS_OUTCOME_BACKING] = "backing", [PS_OUTCOME_ARGUMENT] = "argument", [PS_OUTCOME_GIVE_WAY] = "give_way",
    [PS_OUTCOME_KERNEL] = "kernel",
};

static void print(const struct ps_stats_counters *counters)
{
    for (int family = 0; family < PS_FAMILY_COUNT; family++)
        for (int outcome = 0; outcome < PS_OUTCOME_COUNT; outcome++)
            if (counters->calls[family][outcome] != 0 && families[family] != NULL)
                printf("call %s %s %lu\n", families[family], outcomes[outcome], counters->calls[family][outcome]);
    if (counters->served_bytes_read != 0 || counters->served_bytes_written != 0)
        printf("bytes %lu %lu\n", counters->served_bytes_read, counters->served_bytes_written);
    if (counters->faults != 0)
        printf("faults %lu\n", counters->faults);
}

int main(int argc, char **argv)
{
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 && argc == 2 && errno == ENOENT)
        return 0;
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        perror(argc == 2 ? argv[1] : "usage: read-stats FILE");
        return 2;
    }
    if (status.st_size == 0)
        return 0;
    if ((size_t)status.st_size < sizeof(struct ps_stats_file)) {
        fprintf(stderr, "%s: too short: %ld bytes\n", argv[1], (long)status.st_size);
        return 1;
    }
    // By read, not by a mapping: to look at a hole of the file must not make memory of it.
    static struct ps_stats_header header;
    static struct ps_stats_ended ended;
    static struct ps_stats_record record;
    if (pread(fd, &header, sizeof header, 0) != sizeof header || header.magic != PS_STATS_MAGIC
        || header.version != PS_STATS_VERSION) {
        fprintf(stderr, "%s: not a statistics file of this version\n", argv[1]);
        return 1;
    }
    for (int i = 0; i < PS_STATS_ENDED; i++)
        if (pread(fd, &ended, sizeof ended, PS_STATS_AT_ENDED + i * (long)sizeof ended) == sizeof ended)
            print(&ended.counters);
    for (int i = 0; i < PS_STATS_RECORDS; i++) {
        const long at = PS_STATS_AT_RECORDS + i * (long)sizeof record;
        if (pread(fd, &record, 4096, at) != 4096 || record.state == PS_STATS_FREE
            || pread(fd, &record, sizeof record, at) != sizeof record)
            continue;
        if (record.note[0] != '\0')
            printf("note %.*s\n", (int)sizeof record.note, record.note);
        for (int shard = 0; shard < PS_STATS_SHARDS; shard++)
            for (int mount = 0; mount < PS_STATS_MOUNTS; mount++)
                print(&record.shards[shard].mounts[mount]);
    }
    return 0;
}
