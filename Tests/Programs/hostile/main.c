// hostile [--seconds N] [--seed N] [--huge] [--remount] [--library SO --mounts ITEM --runtime DIR] DIRECTORY
//
// One process reads and writes a file in DIRECTORY while another cuts it short and extends it, as fast as it can or
// with pauses. With --huge a third one has the file's pages joined to huge ones, by MADV_COLLAPSE and, as that likes,
// by khugepaged; --remount: DIRECTORY is a tmpfs of the loop's own, whose huge= is changed as well. The first runs
// natively, then with the shim; the others always natively. Counts results that are impossible without a shim, and
// prints them side by side. Exit status 1: a native count is not 0, so that the judge is wrong; or one of the shim's
// that docs/limitations.md does not tell of is not 0.
#include "board.h"

#include "transcript.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static const char *const names[COUNTS] = {
    "reads and writes of the subject",
    "cuts and extensions by the other",
    "mappings of the file in huge pages, made by the third",
    "of the first, met by one of the second",
    "bytes that were never at that place",
    "bytes that had been cut off before the read began",
    "other bytes than the file has, with nobody changing it",
    "wrong counts",
    "wrong offsets",
    "acknowledged writes that are not there",
    "writes whose front was cut off and whose back is there",
    "calls that failed",
    "killed by a signal",
};

static struct board *map_board(int memory)
{
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (board == MAP_FAILED)
        die("mmap");
    return board;
}

static pid_t start_subject(int memory, const char *path, const char *library, const char *mounts, const char *runtime)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    char number[16];
    snprintf(number, sizeof number, "%d", memory);
    if (library != NULL) {
        setenv("LD_PRELOAD", library, 1);
        setenv("PMEMSHIM_MOUNTS", mounts, 1);
        setenv("PMEMSHIM_MAP_AFTER", "0", 1);
        setenv("PMEMSHIM_RUNTIME_DIR", runtime, 1);
    }
    execl("/proc/self/exe", "hostile", "--subject", number, path, NULL);
    _exit(127);
}

enum joining { NONE, JOINED_BY_PAGES, JOINED_BY_MOUNT };

static void run(struct board *counts, uint64_t seed, double seconds, enum joining joining, const char *directory,
                const char *library, const char *mounts, const char *runtime)
{
    char path[PATH_MAX];
    int memory = memfd_create("board", 0);
    if (memory < 0 || ftruncate(memory, sizeof(struct board)) != 0)
        die("memfd_create");
    struct board *board = map_board(memory);
    board->seed = seed * 0x9e3779b97f4a7c15ull | 1;
    snprintf(path, sizeof path, "%s/file", directory);
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, LONGEST) != 0 || close(fd) != 0)
        die(path);
    pid_t subject = start_subject(memory, path, library, mounts, runtime);
    pid_t resizer = fork();
    if (resizer == 0) {
        resize_until_stopped(board, path);
        _exit(0);
    }
    pid_t joiner = joining == NONE ? 0 : fork();
    if (joining != NONE && joiner == 0) {
        join_until_stopped(board, path, joining == JOINED_BY_MOUNT ? directory : NULL);
        _exit(0);
    }
    if (subject < 0 || resizer < 0 || joiner < 0)
        die("fork");
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
    atomic_store(&board->stop, true);
    int of_subject, of_resizer, of_joiner = 0;
    if (waitpid(subject, &of_subject, 0) != subject || waitpid(resizer, &of_resizer, 0) != resizer)
        die("waitpid");
    if (joiner > 0 && waitpid(joiner, &of_joiner, 0) != joiner)
        die("waitpid");
    if (of_resizer != 0 || of_joiner != 0 || (WIFEXITED(of_subject) && WEXITSTATUS(of_subject) != 0))
        die("a process of the hostile loop could not do its work");
    board->counts[DIED] += WIFSIGNALED(of_subject) != 0;
    *counts = *board;
    unlink(path);
    munmap(board, sizeof *board);
    close(memory);
}

static bool is_known(int count) { return count == TORN; }

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--subject") == 0) {
        read_and_write_until_stopped(map_board(atoi(argv[2])), argv[3]);
        return 0;
    }
    double seconds = 5;
    enum joining joining = NONE;
    uint64_t seed = 1;
    const char *library = NULL, *mounts = NULL, *directory = NULL, *runtime = "/nonexistent";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--library") == 0 && i + 1 < argc)
            library = argv[++i];
        else if (strcmp(argv[i], "--mounts") == 0 && i + 1 < argc)
            mounts = argv[++i];
        else if (strcmp(argv[i], "--runtime") == 0 && i + 1 < argc)
            runtime = argv[++i];
        else if (strcmp(argv[i], "--huge") == 0)
            joining = joining == NONE ? JOINED_BY_PAGES : joining;
        else if (strcmp(argv[i], "--remount") == 0)
            joining = JOINED_BY_MOUNT;
        else if (directory == NULL && argv[i][0] != '-')
            directory = argv[i];
        else
            return 2;
    }
    if (directory == NULL || (library == NULL) != (mounts == NULL)) {
        fprintf(stderr, "usage: hostile [--seconds N] [--seed N] [--huge] [--remount] "
                        "[--library SO --mounts ITEM --runtime DIR] DIRECTORY\n");
        return 2;
    }
    static struct board native, shimmed;
    run(&native, seed, seconds, joining, directory, NULL, NULL, NULL);
    if (library != NULL)
        run(&shimmed, seed, seconds, joining, directory, library, mounts, runtime);
    int status = 0;
    printf("%-56s %10s %10s\n", "", "native", library != NULL ? "shim" : "");
    for (int i = 0; i < COUNTS; i++) {
        printf("%-56s %10lu", names[i], native.counts[i]);
        if (library != NULL)
            printf(" %10lu", shimmed.counts[i]);
        putchar('\n');
        if (i >= FOREIGN && (native.counts[i] != 0 || (shimmed.counts[i] != 0 && !is_known(i))))
            status = 1;
    }
    return status;
}
