// Which pages of a file the file system has given it, as the kernel tells without moving an offset, opening a descriptor or
// allocating anything.
#ifndef PS_ALLOCATION_H
#define PS_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

// Pages [first, first + count) of a file on tmpfs that hold something, one bit each; `count` at most 64. Of a page that is
// swapped out, or was preallocated and has never been written, it may say that it holds nothing. 0 as well where the kernel
// does not tell this process.
//
// `window`: where page 0 of the file is mapped; pages `first`... must lie in the mapping. `beyond`: address of a page in the
// same mapping that lies past the end of the file: a kernel that will not tell claims that even this page is there.
uint64_t ps_sys_memory_pages(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, unsigned count);
// Whether all of them are there, of any number.
bool ps_sys_all_memory_pages(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, uint64_t count);

#endif
