// Programs of every kind, whose output does not depend on time, place or process ids.
#include "vandal.h"

#include <pthread.h>
#include <sys/syscall.h>

#define INPUT_SIZE (3l << 20)

// Lines of text: sort and grep have something to do.
void input_make(const char *path)
{
    uint64_t state = 12;
    FILE *out = fopen(path, "we");
    for (long at = 0; out != NULL && at < INPUT_SIZE; at += 32)
        fprintf(out, "%015llx %015llu\n", (unsigned long long)(random_of(&state) >> 4),
                (unsigned long long)(random_of(&state) % 1000000007));
    if (out == NULL || fclose(out) != 0) {
        perror(path);
        exit(2);
    }
}

#define SQL                                                                                                            \
    "create table t(a integer primary key, b text); "                                                                  \
    "with recursive c(x) as (select 1 union all select x+1 from c where x<3000) "                                      \
    "insert into t select x, hex(x*2654435761) || x from c; "                                                          \
    "update t set b = b || a where a % 3 = 0; delete from t where a % 7 = 0; "                                         \
    "select count(*), sum(length(b)) from t; pragma integrity_check;"

#define EXERCISER                                                                                                      \
    "mkdir s r o; EXERCISER_ARRAYS_DAMAGED=1 \"$PROGRAMS/exerciser\" --served $PWD/s --reference $PWD/r "              \
    "--outside $PWD/o --sequences 1000 --seconds $SHORT --ops 500 --seed $SEED --timeout 40 --quiet --no-minimise "    \
    "--save failed.ops"

const struct workload workloads[] = {
    {"cat", "cat \"$INPUT\" | cksum; cat \"$INPUT\" > copy; cmp copy \"$INPUT\"; tail -c 100000 copy | cksum", false},
    {"cp", "for i in 1 2 3; do cp \"$INPUT\" c$i; done; cp -r . ../copy-$$; cksum ../copy-$$/c2 | cut -d' ' -f1,2; "
           "rm -r ../copy-$$", false},
    {"sort", "head -n 30000 \"$INPUT\" > i; sort -S 512K -T . i > s; sort -k2 i | cksum; cksum < s; "
             "grep -c 7a s", false},
    {"dd", "dd if=\"$INPUT\" of=d bs=4096 count=400 status=none; dd if=\"$INPUT\" of=d bs=8192 skip=10 seek=3 count=50 "
           "conv=notrunc status=none; cksum d", false},
    {"exec-storm", "for i in {1..120}; do head -c 40960 < \"$INPUT\" > h; cksum h; done | sort -u", false},
    {"many-short", "for i in {1..40}; do \"$SELF\" --reader \"$INPUT\" 0; done", false},
    {"tar", "mkdir t; for i in {1..20}; do head -c $((i * 9000)) \"$INPUT\" > t/$i; done; tar cf a.tar --sort=name "
            "--mtime=@0 --owner=0 --group=0 --mode=0644 t; mkdir u; tar xf a.tar -C u; diff -r t u/t; "
            "cksum < a.tar", false},
    {"sqlite-delete", "sqlite3 db 'pragma journal_mode=delete; " SQL "'; sqlite3 db 'select sum(a) from t'", false},
    {"sqlite-wal", "sqlite3 db 'pragma journal_mode=wal; " SQL "'; sqlite3 db 'select sum(a) from t'", false},
    {"sqlite-mmap", "sqlite3 db 'pragma mmap_size=1000000; " SQL "'; cksum < db", false},
    {"python", "/usr/bin/python3 -SE -c '\n"
               "import os, zlib, mmap, threading, sqlite3\n"
               "f = os.open(os.environ[\"INPUT\"], os.O_RDONLY); c = 0\n"
               "for i in range(600): c = zlib.crc32(os.pread(f, 4096, i * 4096), c)\n"
               "g = os.open(\"g\", os.O_RDWR | os.O_CREAT)\n"
               "os.pwrite(g, b\"x\" * 400000, 0)\n"
               "for i in range(200): os.pwrite(g, bytes([i % 251]) * 1500, i * 1900)\n"
               "def work(n):\n"
               "  for i in range(100): assert len(os.pread(g, 1000, i * 900)) == 1000\n"
               "ts = [threading.Thread(target=work, args=(n,)) for n in range(6)]\n"
               "[t.start() for t in ts]; [t.join() for t in ts]\n"
               "for n in range(4):\n"
               "  p = os.fork()\n"
               "  if p == 0:\n"
               "    work(n); os._exit(0)\n"
               "  assert os.waitpid(p, 0)[1] == 0\n"
               "print(c, zlib.crc32(os.pread(g, 400000, 0)))'", false},
    {"threads-many", "ulimit -n 12000 || true; \"$PROGRAMS/threads-many\" ten-thousand-files .", false},
    {"threads", "\"$PROGRAMS/descriptor-threads\" > list; for c in $(head -n 2 list); do mkdir d-$c; "
                "\"$PROGRAMS/descriptor-threads\" $c d-$c; done", true},
    {"forks", "\"$PROGRAMS/process-children\" forked-by-every-way .", false},
    {"children", "\"$PROGRAMS/process-children\" children-of-children .", false},
    {"vforks", "\"$PROGRAMS/process-children\" vforked-child-that-works .", false},
    {"spawns", "\"$PROGRAMS/process-exec\" posix-spawn .", false},
    {"exec-threads", "\"$PROGRAMS/process-exec\" exec-among-threads .", false},
    {"reader", "\"$SELF\" --reader \"$INPUT\" $SHORT", false},
    {"long-reader", "\"$SELF\" --reader \"$INPUT\" $LONG", false},
    {"limited", "ulimit -f 2000; head -c 900000 \"$INPUT\" > l; cksum l; \"$SELF\" --reader \"$INPUT\" 1; "
                "sort l | cksum", false},
    {"limited-hard", "(ulimit -f 1; cksum < \"$INPUT\"; \"$SELF\" --reader \"$INPUT\" 1) | cat", false},
    {"limited-to-nothing", "(ulimit -f 0; cksum < \"$INPUT\"; \"$SELF\" --reader \"$INPUT\" 0) | cat", false},
    {"over-the-limit", "set +e; trap '' XFSZ; ulimit -f 100; head -c 900000 \"$INPUT\" > l; echo $?; cksum l", false},
    {"other-user", "chmod 777 .; setpriv --reuid=65534 --regid=65534 --clear-groups bash -c 'set -e; "
                   "cksum < \"$INPUT\"; head -c 200000 \"$INPUT\" > o; cksum o'", false},
    {"exerciser", EXERCISER, true},
    {"exerciser-modes", EXERCISER " --modes threads,fork,exec", true},
};

const int workload_count = sizeof workloads / sizeof *workloads;
_Static_assert(sizeof workloads / sizeof *workloads <= MOST_WORKLOADS, "results for all of them");

// ---- a program that reads for a long time, with threads and children that come and go

static int input_fd, own_fd;
static unsigned char *expected; // the whole input
static volatile bool over;

static void fail(const char *what)
{
    dprintf(2, "reader: %s: %s\n", what, strerror(errno));
    _exit(1);
}

// The instruction itself, which no preload sees.
static long read_past_all(void *buffer, long length)
{
    register long offset __asm__("r10") = 0;
    long value;
    __asm__ volatile("syscall"
                     : "=a"(value)
                     : "a"((long)SYS_pread64), "D"((long)input_fd), "S"(buffer), "d"(length), "r"(offset)
                     : "rcx", "r11", "memory");
    return value;
}

static void forty_reads(uint64_t seed)
{
    unsigned char buffer[8192];
    for (int call = 0; call < 40; call++) {
        size_t length = 1 + random_of(&seed) % sizeof buffer;
        off_t at = (off_t)(random_of(&seed) % (INPUT_SIZE - sizeof buffer));
        ssize_t got = pread(input_fd, buffer, length, at);
        if (got != (ssize_t)length) fail("a short read");
        if (memcmp(buffer, expected + at, length) != 0) fail("wrong bytes");
    }
}

static void twenty_writes(uint64_t seed, off_t base)
{
    unsigned char buffer[4096], back[4096];
    for (int call = 0; call < 20; call++) {
        off_t at = base + (off_t)(random_of(&seed) % 16) * 4096;
        memset(buffer, (int)random_of(&seed), sizeof buffer);
        if (pwrite(own_fd, buffer, sizeof buffer, at) != sizeof buffer) fail("a short write");
        if (pread(own_fd, back, sizeof back, at) != sizeof back || memcmp(buffer, back, sizeof back) != 0)
            fail("what was written is not there");
    }
}

static void *short_thread(void *argument)
{
    forty_reads((uint64_t)(uintptr_t)argument);
    return NULL;
}

static void *long_thread(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    off_t base = (off_t)(seed % 4) * 65536;
    for (unsigned turn = 0; !over; turn++) {
        pthread_t thread;
        forty_reads(seed + turn);
        if (own_fd >= 0) twenty_writes(seed + turn, base);
        if (turn % 16 == 0 && pthread_create(&thread, NULL, short_thread, (void *)(uintptr_t)(seed + turn)) == 0)
            pthread_join(thread, NULL);
        usleep(500);
    }
    return NULL;
}

int reader_main(int argc, char **argv)
{
    if (argc != 4 || (input_fd = open(argv[2], O_RDONLY)) < 0 || (expected = malloc(INPUT_SIZE)) == NULL) return 2;
    if (read_past_all(expected, INPUT_SIZE) != INPUT_SIZE) return 2;
    int64_t end = now_ms() + atol(argv[3]) * 1000;
    own_fd = -1;
    forty_reads(1);
    if (atol(argv[3]) > 0) {
        pthread_t threads[3];
        char zeros[4096] = {0};
        own_fd = open("own", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        // Where a limit forbids it, it only reads.
        signal(SIGXFSZ, SIG_IGN);
        for (off_t at = 0; own_fd >= 0 && at < 4 * 65536; at += 4096)
            if (pwrite(own_fd, zeros, sizeof zeros, at) != sizeof zeros) own_fd = -1;
        for (uintptr_t index = 0; index < 3; index++)
            if (pthread_create(&threads[index], NULL, long_thread, (void *)(index + 1)) != 0) fail("pthread_create");
        for (unsigned turn = 0; now_ms() < end; turn++) {
            int status = 0;
            pid_t child = fork();
            if (child == 0) {
                forty_reads(turn);
                _exit(0);
            }
            while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
            if (child < 0 || status != 0) fail("a child has died");
            usleep(20000);
        }
        over = true;
        for (int index = 0; index < 3; index++) pthread_join(threads[index], NULL);
    }
    puts("read");
    return 0;
}
