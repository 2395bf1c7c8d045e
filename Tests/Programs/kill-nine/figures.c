// The shim's statistics, while and after the processes that wrote them were killed.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill.h"
#include "ps_stats.h"

// `shimctl stats`, as text and as JSON in turns: ends in time, with status 0 and something to say.
bool statistics_answer(const struct settings *settings)
{
    static long number;
    char path[600];
    bool json = ++number % 2 == 0;
    snprintf(path, sizeof path, "%s/%ld.%s", settings->documents, number, json ? "json" : "txt");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
            _exit(126);
        setenv("PMEMSHIM_RUNTIME_DIR", settings->runtime, 1);
        execl(settings->shimctl, "shimctl", "stats", json ? "--json" : NULL, NULL);
        _exit(127);
    }
    int status = -1;
    for (long waited = 0; waitpid(child, &status, WNOHANG) == 0; waited++) {
        if (waited > settings->patience * 1000l) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            printf("shimctl stats hangs\n");
            return false;
        }
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    if (status != 0)
        printf("shimctl stats: status %#x, see %s\n", status, path);
    return status == 0;
}

static void add(struct figures *figures, const struct ps_stats_counters *counters)
{
    for (int family = PS_FAMILY_READ; family <= PS_FAMILY_PWRITEV; family++) {
        bool reads = family <= PS_FAMILY_PREADV;
        for (int outcome = 0; outcome < PS_OUTCOME_COUNT; outcome++) {
            uint64_t calls = counters->calls[family][outcome];
            if (outcome == PS_OUTCOME_SERVED)
                *(reads ? &figures->served_reads : &figures->served_writes) += calls;
            else
                *(reads ? &figures->passed_reads : &figures->passed_writes) += calls;
        }
    }
}

// By read, not by a mapping: to look at a hole of the file must not make memory of it.
struct figures read_figures(const struct settings *settings)
{
    struct figures figures = {0};
    static struct ps_stats_record record;
    struct ps_stats_ended ended;
    char path[600];
    snprintf(path, sizeof path, "%s/%s", settings->runtime, PS_STATS_FILE_NAME);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return figures;
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); // as ps_stats.h asks of readers
    for (int i = 0; i < PS_STATS_ENDED; i++) {
        long at = (long)offsetof(struct ps_stats_file, ended) + i * (long)sizeof ended;
        if (pread(fd, &ended, sizeof ended, at) == sizeof ended)
            add(&figures, &ended.counters);
    }
    for (int i = 0; i < PS_STATS_RECORDS; i++) {
        long at = (long)offsetof(struct ps_stats_file, records) + i * (long)sizeof record;
        if (pread(fd, &record, PAGE, at) != PAGE || record.state != PS_STATS_LIVE
            || pread(fd, &record, sizeof record, at) != sizeof record)
            continue;
        figures.live++;
        if (record.note[0] != '\0') {
            figures.notes++;
            printf("note of process %d: %.*s\n", record.pid, (int)sizeof record.note, record.note);
        }
        for (int shard = 0; shard < PS_STATS_SHARDS; shard++)
            for (int mount = 0; mount < PS_STATS_MOUNTS; mount++)
                add(&figures, &record.shards[shard].mounts[mount]);
    }
    close(fd);
    return figures;
}
