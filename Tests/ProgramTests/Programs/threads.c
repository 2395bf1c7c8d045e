// For valgrind's thread checkers: threads that use one file and share nothing else but a lock and a sum.
// Usage: threads DIRECTORY
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, THREADS = 3, PART = 60 };

static int fd;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long sum;

// Each rewrites its own part, and reads what nobody writes.
static void *work(void *argument)
{
    long thread = (long)argument;
    char *page = malloc(PAGE);
    for (int round = 0; round < 300; round++) {
        off_t own = (off_t)(thread * PART + round % PART) * PAGE;
        memset(page, round, PAGE);
        if (round % 2 && pwrite(fd, page, PAGE, own) != PAGE)
            exit(1);
        memset(page, 0, PAGE);
        if (pread(fd, page, PAGE, own) != PAGE || (round % 2 && page[77] != (char)round))
            exit(2);
        if (pread(fd, page, PAGE, (off_t)(THREADS * PART + round % 20) * PAGE) != PAGE || page[99] != round % 20)
            exit(3);
        pthread_mutex_lock(&lock);
        sum += page[99];
        pthread_mutex_unlock(&lock);
    }
    free(page);
    return NULL;
}

int main(int count, char **arguments)
{
    if (count != 2 || chdir(arguments[1]) != 0)
        return 64;
    fd = open("threads", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char page[PAGE];
    for (int number = 0; number < THREADS * PART + 21; number++) {
        memset(page, number - THREADS * PART, PAGE);
        if (write(fd, page, PAGE) != PAGE)
            return 4;
    }
    pthread_t threads[THREADS];
    for (long thread = 0; thread < THREADS; thread++)
        pthread_create(&threads[thread], NULL, work, (void *)thread);
    for (int thread = 0; thread < THREADS; thread++)
        pthread_join(threads[thread], NULL);
    printf("%ld\n", sum);
    return 0;
}
