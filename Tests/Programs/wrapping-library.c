// Another preload, which wraps close: what it calls is what the loader names as the next one, or what libc's own handle
// has under that name. Counts how often it is called, and tells names-ways.c.
#include <dlfcn.h>
#include <stdlib.h>

static int depth, deepest, calls;

int wrapping_calls(void) { return calls; }
int wrapping_depth(void) { return deepest; }

static int (*real_close(void))(int)
{
    if (getenv("WRAPPING_BY_HANDLE"))
        return (int (*)(int))dlsym(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), "close");
    return (int (*)(int))dlsym(RTLD_NEXT, "close");
}

int close(int fd)
{
    static int (*next)(int);
    calls++;
    if (++depth > deepest)
        deepest = depth;
    if (depth > 8)
        abort(); // it has come back to itself
    if (!next)
        next = real_close();
    int result = next(fd);
    depth--;
    return result;
}
