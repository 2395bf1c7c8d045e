#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "ps_thread.h"

#include "ps_placement.h"
#include "ps_sys.h"

#include <errno.h>
#include <link.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

__thread struct ps_thread ps_thread_state;

// The linker's: the start of the file this is part of, as it is in memory.
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));
static PS_TOUCHED_AT_START uintptr_t code_begin, code_end;

void ps_frames_prepare(void)
{
    const char *image = (const char *)&__ehdr_start;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(const void *)(image + __ehdr_start.e_phoff);
    for (int i = 0; i < __ehdr_start.e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X)) {
            code_begin = (uintptr_t)image + segments[i].p_vaddr; // ours is linked at 0
            code_end = code_begin + segments[i].p_memsz;
        }
}

bool ps_frame_may_live(uintptr_t frame)
{
    // Read by the kernel: the stack may be gone, and where this is asked a fault could not be caught.
    uintptr_t address = 0;
    const struct iovec here = {&address, sizeof address};
    const struct iovec there = {(void *)(frame + sizeof address), sizeof address};
    long r = ps_sys_call6(SYS_process_vm_readv, ps_sys_process(), (long)&here, 1, (long)&there, 1, 0);
    if (r != (long)sizeof address)
        return r != -EFAULT;
    return code_end == 0 || (address >= code_begin && address < code_end);
}

uint32_t ps_sys_thread_faults(void)
{
    struct rusage usage = {0};
    ps_sys_call2(SYS_getrusage, RUSAGE_THREAD, (long)&usage);
    return (uint32_t)usage.ru_minflt;
}
