// A library that has descriptors of its own: opens one file when it is loaded, and closes it when it is unloaded, or
// when it is asked to. Loaded by stale-closes.c.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int fd = -1;
static FILE *stream;

__attribute__((constructor)) static void loaded(void) { fd = open("one", O_RDWR | O_CLOEXEC); }
__attribute__((destructor)) static void unloaded(void)
{
    if (stream != NULL)
        fclose(stream);
    else
        close(fd);
}

int library_descriptor(void) { return fd; }
void library_replace(int other) { dup2(other, fd); }
void library_make_stream(void) { stream = fdopen(fd, "r+"); }
