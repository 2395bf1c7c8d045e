// memcpy and its kin, which compilers call by themselves. Our own, hidden: a program may define them as it likes.
//
// What the engine moves goes by its guarded copies (ps_copy.h); these see a vector's room of half a KiB, and names. One
// instruction each, which no compiler takes for a loop that is a memcpy.
#include <stddef.h>

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer) // whose own check what these are given

#define PS_OWN __attribute__((visibility("hidden")))

PS_OWN void *memcpy(void *restrict to, const void *restrict from, size_t count);
PS_OWN void *memmove(void *to, const void *from, size_t count);
PS_OWN void *memset(void *at, int value, size_t count);
PS_OWN int memcmp(const void *left, const void *right, size_t count);
PS_OWN size_t strlen(const char *text);

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    if ((size_t)((char *)to - (const char *)from) >= count)
        return memcpy(to, from, count);
    char *at = (char *)to + count - 1;
    const char *last = (const char *)from + count - 1;
    __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(at), "+S"(last), "+c"(count) : : "memory");
    return to;
}

void *memset(void *at, int value, size_t count)
{
    void *next = at;
    __asm__ volatile("rep stosb" : "+D"(next), "+c"(count) : "a"(value) : "memory");
    return at;
}

int memcmp(const void *left, const void *right, size_t count)
{
    const unsigned char *a = left, *b = right;
    for (; count; a++, b++, count--)
        if (*a != *b)
            return *a - *b;
    return 0;
}

size_t strlen(const char *text)
{
    const char *end = text;
    while (*end)
        end++;
    return (size_t)(end - text);
}

#endif
