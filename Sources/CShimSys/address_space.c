// Reservations and mappings. Declared in ps_sys.h.
#include "ps_sys.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static long map(uintptr_t address, size_t length, int protection, int flags, int fd)
{
    return ps_sys_call6(SYS_mmap, (long)address, (long)length, protection, flags, fd, 0);
}

long ps_sys_reserve(size_t length)
{
    return map(0, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}
long ps_sys_map_file(uintptr_t address, size_t length, bool writable, int fd)
{
    return map(address, length, writable ? PROT_READ | PROT_WRITE : PROT_READ,
               MAP_SHARED | MAP_NORESERVE | (address ? MAP_FIXED : 0), fd);
}
long ps_sys_map_file_to_read(uintptr_t address, size_t length, int fd)
{
    return map(address, length, PROT_READ, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd);
}
long ps_sys_map_file_sync(uintptr_t address, size_t length, bool writable, int fd)
{
    return map(address, length, writable ? PROT_READ | PROT_WRITE : PROT_READ,
               MAP_SHARED_VALIDATE | MAP_SYNC | MAP_NORESERVE | MAP_FIXED, fd);
}
bool ps_sys_maps_synchronously(int fd)
{
    long r = ps_sys_call6(SYS_mmap, 0, 4096, PROT_NONE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    if (r < 0 && r > -4096)
        return false;
    ps_sys_unmap((uintptr_t)r, 4096);
    return true;
}
long ps_sys_map_shared_file(size_t length, int fd, int64_t offset)
{
    return ps_sys_call6(SYS_mmap, 0, (long)length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}
long ps_sys_map_shared_over(uintptr_t address, size_t length, int fd, int64_t offset)
{
    return ps_sys_call6(SYS_mmap, (long)address, (long)length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                        offset);
}
long ps_sys_map_closed(uintptr_t address, size_t length, int fd)
{
    return map(address, length, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd);
}
bool ps_sys_set_readable(uintptr_t page, bool readable)
{
    return ps_sys_call3(SYS_mprotect, (long)page, 4096, readable ? PROT_READ : PROT_NONE) == 0;
}
long ps_sys_cover(uintptr_t address, size_t length)
{
    return map(address, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1);
}
long ps_sys_unmap(uintptr_t address, size_t length) { return ps_sys_call2(SYS_munmap, (long)address, (long)length); }
void ps_sys_private_to_process(uintptr_t address, size_t length)
{
    ps_sys_call3(SYS_madvise, (long)address, (long)length, MADV_DONTFORK);
    ps_sys_call3(SYS_madvise, (long)address, (long)length, MADV_DONTDUMP);
}

void *ps_sys_arena(size_t length)
{
    long address = map(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (address < 0 && address > -4096)
        return NULL;
    // Without the kernel's own wiping a child would trust what its parent knew.
    if (ps_sys_call3(SYS_madvise, address, (long)length, MADV_WIPEONFORK) < 0) {
        ps_sys_unmap((uintptr_t)address, length);
        return NULL;
    }
    ps_sys_call3(SYS_madvise, address, (long)length, MADV_DONTDUMP);
    return (void *)address;
}
