// A vfork child shares its parent's memory, and with it the shim's tables and locks. It is killed while it closes
// served descriptors, which takes the lock of the slow paths; the parent, which has not yet waited for it, must get on.
#include <pthread.h>
#include <signal.h>

#include "transcript.h"

#define FILES 12
#define ROUNDS 40

static volatile pid_t child_shown; // by the child to the thread that kills it
static volatile bool finished;

// Spins, so that the kill comes a random number of nanoseconds after the child began to close.
static void *killer(void *unused)
{
    uint32_t random = 12345;
    (void)unused;
    while (!finished) {
        pid_t child = child_shown;
        if (child == 0) {
            raw(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
            continue;
        }
        random = random * 1664525 + 1013904223;
        for (uint32_t turns = (random >> 16) % 4000; turns > 0; turns--)
            __asm__ volatile("pause");
        child_shown = 0;
        kill(child, SIGKILL);
    }
    return NULL;
}

static void killed_while_it_closes(void)
{
    static unsigned char buffer[PAGE];
    int files[FILES];
    char name[FILES][8];
    static long wrong, killed; // not in registers, which a vfork child shares
    for (int i = 0; i < FILES; i++) {
        snprintf(name[i], sizeof name[i], "file%d", i);
        make_file(name[i], i, FILE_SIZE);
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, killer, NULL) != 0)
        die("pthread_create");
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < FILES; i++) {
            files[i] = open(name[i], O_RDWR | O_CLOEXEC);
            wrong += pread(files[i], buffer, PAGE, 40960) != PAGE; // served from now on, from a window of its own
        }
        pid_t child = vfork();
        if (child == 0) {
            child_shown = (pid_t)raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
            for (int i = 1; i < FILES; i++)
                close(files[i]);
            for (;;)
                raw(SYS_pause, 0, 0, 0, 0, 0, 0);
        }
        // The child is a zombie until it is waited for. A number that is new to the cache needs the lock to be learnt,
        // and to be forgotten.
        int other = open(name[0], O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 20; i++)
            wrong += pread(other, buffer, PAGE, i * PAGE) != PAGE || buffer[7] != pattern(0, i * PAGE + 7);
        close(other);
        int status;
        killed += waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        for (int i = 0; i < FILES; i++) {
            wrong += pread(files[i], buffer, PAGE, 40960) != PAGE || buffer[7] != pattern(i, 40967);
            close(files[i]);
        }
    }
    finished = true;
    pthread_join(thread, NULL);
    say("%ld children killed, %ld wrong reads", killed, wrong);
}

PROGRAM({"killed-while-it-closes", killed_while_it_closes})
