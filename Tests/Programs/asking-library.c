// A library that asks the loader on behalf of whoever calls it: where it stands in the loader's list decides what
// RTLD_NEXT is. Preloaded or loaded by names-ways.c. It defines nothing that it asks for.
#include <dlfcn.h>

void *asking_next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    __asm__ volatile("" : "+r"(found)); // no jump: the loader must see this library as the caller
    return found;
}

void *asking_next_version(const char *name, const char *version)
{
    void *found = dlvsym(RTLD_NEXT, name, version);
    __asm__ volatile("" : "+r"(found));
    return found;
}

void *asking_default_version(const char *name, const char *version)
{
    void *found = dlvsym(RTLD_DEFAULT, name, version);
    __asm__ volatile("" : "+r"(found));
    return found;
}
