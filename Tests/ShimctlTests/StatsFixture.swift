import Foundation
import TestSupport

/// A statistics file of a test's own making, in a runtime directory of its own.
///
/// It is written by a C program that is compiled against ps_stats.h: what shimctl reads is then held to the layout as
/// the C compiler has it.
final class StatsFixture {
    let directory: ScratchDirectory
    private var commands: [String] = []

    init() throws { directory = try ScratchDirectory() }

    var file: String { "\(directory.path)/stats" }
    var environment: [String: String] { ["PMEMSHIM_RUNTIME_DIR": directory.path] }

    func record(
        _ index: Int, pid: Int32, start: UInt64, claimed: UInt64 = 1_700_000_000_000_000_000, superseded: Int = 0,
        mounts: Int = 1, command: String = "program", note: String = "", state: Int = 1
    ) {
        commands.append(
            "record \(index) \(state) \(pid) \(start) \(claimed) \(superseded) \(mounts) \(command) \(note)")
    }

    func mount(
        _ record: Int, _ mount: Int, path: String, backing: Int = 2, windows: UInt64 = 0, bytes: UInt64 = 0,
        total: UInt64 = 0
    ) {
        commands.append("mount \(record) \(mount) \(backing) \(windows) \(bytes) \(total) \(path)")
    }

    /// A process with one mount, `/mnt/a`, of which so many reads were served.
    func process(_ record: Int, pid: Int32 = 1, start: UInt64 = 1, shard: Int = 0, reads: UInt64) {
        self.record(record, pid: pid, start: start)
        mount(record, 0, path: "/mnt/a")
        calls(record, shard: shard, "READ", "SERVED", reads)
    }

    /// Families and outcomes by their names in ps_stats.h, without prefix.
    func calls(_ record: Int, shard: Int = 0, mount: Int = 0, _ family: String, _ outcome: String, _ count: UInt64) {
        commands.append("calls \(record) \(shard) \(mount) \(family) \(outcome) \(count)")
    }

    func bytes(
        _ record: Int, shard: Int = 0, mount: Int = 0, servedRead: UInt64 = 0, servedWritten: UInt64 = 0,
        passedRead: UInt64 = 0, passedWritten: UInt64 = 0, faults: UInt64 = 0
    ) {
        commands.append(
            "bytes \(record) \(shard) \(mount) \(servedRead) \(servedWritten) \(passedRead) \(passedWritten) \(faults)")
    }

    func ended(_ line: Int, path: String, backing: Int = 2, processes: UInt64) {
        commands.append("ended \(line) \(backing) \(processes) \(path)")
    }

    func endedCalls(_ line: Int, _ family: String, _ outcome: String, _ count: UInt64) {
        commands.append("endedcalls \(line) \(family) \(outcome) \(count)")
    }

    /// One field of the header.
    func header(_ field: String, _ value: UInt64) { commands.append("header \(field) \(value)") }

    /// Fills the whole file behind the header with this byte.
    func fill(_ byte: UInt8) { commands.append("fill \(byte)") }

    /// Fills all of it behind the header with numbers that depend on `seed` only.
    func garbage(seed: UInt64) { commands.append("garbage \(seed)") }

    /// Writes what was described since; the file keeps what it had.
    func write() throws {
        let run = try spawn(
            Self.writer.get().path, [file], stdin: Array(commands.joined(separator: "\n").utf8))
        guard run.ending == .exited(0) else { throw SetupError("the writer of statistics: \(run.stderr)") }
        commands = []
    }

    /// The program that writes: commands on its standard input, the file as its argument.
    static var writerPath: String { get throws { try writer.get().path } }

    private static let writer = Result {
        try Compiled(source, ["-Wall", "-Wextra", "-Werror", "-I", "\(Shim.packageRoot)/Sources/CShimSys/include"])
            .keptUntilExit()
    }
}

extension StatsFixture {
    private static let source = #"""
        #include <fcntl.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <strings.h>
        #include <sys/mman.h>
        #include <sys/stat.h>
        #include <unistd.h>
        #include "ps_stats.h"

        static const struct { const char *name; int value; } names[] = {
            {"READ", PS_FAMILY_READ}, {"PREAD", PS_FAMILY_PREAD}, {"READV", PS_FAMILY_READV},
            {"PREADV", PS_FAMILY_PREADV}, {"WRITE", PS_FAMILY_WRITE}, {"PWRITE", PS_FAMILY_PWRITE},
            {"WRITEV", PS_FAMILY_WRITEV}, {"PWRITEV", PS_FAMILY_PWRITEV}, {"FSYNC", PS_FAMILY_FSYNC},
            {"FDATASYNC", PS_FAMILY_FDATASYNC}, {"SYNC_FILE_RANGE", PS_FAMILY_SYNC_FILE_RANGE},
            {"MSYNC", PS_FAMILY_MSYNC}, {"MMAP", PS_FAMILY_MMAP}, {"COPY", PS_FAMILY_COPY},
            {"RESIZE", PS_FAMILY_RESIZE},
            {"SERVED", PS_OUTCOME_SERVED}, {"COLD", PS_OUTCOME_COLD}, {"END", PS_OUTCOME_END},
            {"SMALL", PS_OUTCOME_SMALL}, {"TICK", PS_OUTCOME_TICK}, {"APPEND", PS_OUTCOME_APPEND},
            {"OFFSET", PS_OUTCOME_OFFSET}, {"FLAGS", PS_OUTCOME_FLAGS}, {"SPARSE", PS_OUTCOME_SPARSE},
            {"FAULT", PS_OUTCOME_FAULT}, {"LIMIT", PS_OUTCOME_LIMIT}, {"BUSY", PS_OUTCOME_BUSY},
            {"BACKING", PS_OUTCOME_BACKING}, {"ARGUMENT", PS_OUTCOME_ARGUMENT},
            {"GIVE_WAY", PS_OUTCOME_GIVE_WAY}, {"KERNEL", PS_OUTCOME_KERNEL},
        };

        static char line[4096], *rest;
        static char *word(void)
        {
            char *text = strsep(&rest, " ");
            if (!text) { fprintf(stderr, "a word is missing\n"); exit(1); }
            return text;
        }
        static unsigned long long number(void) { return strtoull(word(), NULL, 0); }
        static int named(void)
        {
            const char *text = word();
            for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (!strcasecmp(text, names[i].name)) return names[i].value;
            fprintf(stderr, "no name %s\n", text);
            exit(1);
        }
        static void copy(char *target, size_t size, const char *text)
        {
            memset(target, 0, size);
            memcpy(target, text, strlen(text) < size ? strlen(text) : size);
        }

        int main(int argc, char **argv)
        {
            int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;
            struct stat facts;
            if (fd < 0 || fstat(fd, &facts) || ftruncate(fd, sizeof(struct ps_stats_file))) return 1;
            struct ps_stats_file *file =
                mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (file == MAP_FAILED) return 1;
            if (facts.st_size == 0) {
                file->header.magic = PS_STATS_MAGIC;
                file->header.version = PS_STATS_VERSION;
                file->header.header_size = sizeof file->header;
                file->header.record_size = sizeof *file->records;
                file->header.record_count = PS_STATS_RECORDS;
                file->header.ended_count = PS_STATS_ENDED;
            }
            while (fgets(line, sizeof line, stdin)) {
                line[strcspn(line, "\n")] = 0;
                rest = line;
                const char *command = word();
                if (!strcmp(command, "record")) {
                    struct ps_stats_record *record = &file->records[number()];
                    record->state = number();
                    record->pid = number();
                    record->start_time = number();
                    record->claimed_ns = number();
                    record->superseded = number();
                    record->mount_count = number();
                    copy(record->command, sizeof record->command, word());
                    copy(record->note, sizeof record->note, rest ? rest : "");
                } else if (!strcmp(command, "mount")) {
                    struct ps_stats_record *record = &file->records[number()];
                    struct ps_stats_mount *mount = &record->mounts[number()];
                    struct ps_stats_counters *counters = &record->shards[0].mounts[mount - record->mounts];
                    mount->backing = number();
                    counters->windows = number();
                    counters->mapped_bytes = number();
                    counters->windows_total = number();
                    copy(mount->path, sizeof mount->path, rest);
                } else if (!strcmp(command, "calls")) {
                    struct ps_stats_record *record = &file->records[number()];
                    struct ps_stats_shard *shard = &record->shards[number()];
                    struct ps_stats_counters *counters = &shard->mounts[number()];
                    int family = named(), outcome = named();
                    counters->calls[family][outcome] = number();
                } else if (!strcmp(command, "bytes")) {
                    struct ps_stats_record *record = &file->records[number()];
                    struct ps_stats_shard *shard = &record->shards[number()];
                    struct ps_stats_counters *counters = &shard->mounts[number()];
                    counters->served_bytes_read = number();
                    counters->served_bytes_written = number();
                    counters->passed_bytes_read = number();
                    counters->passed_bytes_written = number();
                    counters->faults = number();
                } else if (!strcmp(command, "ended")) {
                    struct ps_stats_ended *ended = &file->ended[number()];
                    ended->backing = number();
                    ended->processes = number();
                    copy(ended->path, sizeof ended->path, rest);
                } else if (!strcmp(command, "endedcalls")) {
                    struct ps_stats_ended *ended = &file->ended[number()];
                    int family = named(), outcome = named();
                    ended->counters.calls[family][outcome] = number();
                } else if (!strcmp(command, "header")) {
                    const char *field = word();
                    if (!strcmp(field, "magic")) file->header.magic = number();
                    else if (!strcmp(field, "version")) file->header.version = number();
                    else if (!strcmp(field, "header_size")) file->header.header_size = number();
                    else if (!strcmp(field, "record_size")) file->header.record_size = number();
                    else if (!strcmp(field, "record_count")) file->header.record_count = number();
                    else if (!strcmp(field, "ended_count")) file->header.ended_count = number();
                    else return 1;
                } else if (!strcmp(command, "fill")) {
                    memset(file->ended, number(), sizeof *file - offsetof(struct ps_stats_file, ended));
                } else if (!strcmp(command, "garbage")) {
                    unsigned long long seed = number();
                    unsigned long long *at = (void *)file->ended, *end = (void *)(file + 1);
                    for (; at < end; at++) {
                        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
                        *at = seed;
                    }
                } else {
                    return 1;
                }
            }
            return 0;
        }
        """#
}
