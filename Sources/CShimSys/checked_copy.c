// Guarded copies as AddressSanitizer sees them; only in the build of `scripts/test --sanitize` (PS_CHECKED_COPIES).
//
// The copies are assembly, which no compiler instruments, and they move every byte that the engine moves. Here each
// asks the sanitizer about both of its ranges first, so that an overrun of the application's buffer, of a vector's room
// on the stack or of anything else is reported at the copy that does it, with the stack that led to it.
#ifdef PS_CHECKED_COPIES

#include "ps_copy.h"

#include <stdbool.h>

// Under these names guarded_copy.S defines them in this build.
int ps_copy_unchecked(void *destination, const void *source, size_t count);
int ps_copy_probed_unchecked(void *destination, const void *source, size_t count, uintptr_t probe);
int ps_copy_through_unchecked(void *destination, const void *source, size_t count);
int ps_copy_either_unchecked(void *destination, const void *source, size_t count, bool stays_cached);

// The sanitizer's own entries for an access of any length: they return, or report and end the process.
void __asan_loadN(uintptr_t address, size_t count);
void __asan_storeN(uintptr_t address, size_t count);
void __asan_get_shadow_mapping(size_t *scale, size_t *offset); // <sanitizer/asan_interface.h>

// x86-64 without five-level page tables. In the last page nothing is ever mapped (TASK_SIZE_MAX).
#define LAST_ADDRESS 0x7fffffffffffull
#define LAST_MAPPED (LAST_ADDRESS - 4096)

// A buffer may be no memory at all: that is a fault to be survived, and the sanitizer has no shadow for it. Everything
// below its shadow is memory, and everything above.
static bool has_shadow(uintptr_t address, size_t count)
{
    size_t scale, offset;
    __asan_get_shadow_mapping(&scale, &offset);
    const uintptr_t last = address + count - 1, high = (LAST_ADDRESS >> scale) + offset + 1;
    return last >= address && (last < offset || (address >= high && last <= LAST_MAPPED));
}

static void check(const void *destination, const void *source, size_t count)
{
    if (count == 0)
        return;
    if (has_shadow((uintptr_t)source, count))
        __asan_loadN((uintptr_t)source, count);
    if (has_shadow((uintptr_t)destination, count))
        __asan_storeN((uintptr_t)destination, count);
}

int ps_copy(void *destination, const void *source, size_t count)
{
    check(destination, source, count);
    return ps_copy_unchecked(destination, source, count);
}

int ps_copy_probed(void *destination, const void *source, size_t count, uintptr_t probe)
{
    check(destination, source, count);
    return ps_copy_probed_unchecked(destination, source, count, probe);
}

int ps_copy_through(void *destination, const void *source, size_t count)
{
    check(destination, source, count);
    return ps_copy_through_unchecked(destination, source, count);
}

int ps_copy_either(void *destination, const void *source, size_t count, bool stays_cached)
{
    check(destination, source, count);
    return ps_copy_either_unchecked(destination, source, count, stays_cached);
}

#else
typedef int ps_checked_copies_are_not_built; // ISO C wants a declaration in every file
#endif
