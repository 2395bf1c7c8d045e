// Preloaded behind libpmemshim.so, so that its constructor runs first: the environment becomes one string that ends
// without a NUL at the end of its block. The engine reads its settings there, and must be caught doing so: overruns.c
// tells why.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void shorten(void)
{
    static const char text[] = "PMEMSHIM_PARANOID=1";
    char **block = calloc(2, sizeof *block);
    if (block && (block[0] = malloc(sizeof text - 1))) {
        memcpy(block[0], text, sizeof text - 1);
        environ = block;
    }
}
