// Which pages of a file the file system has given it, as the kernel tells without moving an offset, opening a
// descriptor or allocating anything.
#ifndef PS_ALLOCATION_H
#define PS_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

// Pages [first, first + count) of a file on tmpfs that hold something, one bit each; `count` at most 64. Of a page that
// is swapped out, or was preallocated and has never been written, it may say that it holds nothing; with `written_only`
// it does say so. 0 as well where the kernel does not tell this process.
//
// `window`: where page 0 of the file is mapped; pages `first`... must lie in the mapping. `beyond`: address of a page
// in the same mapping that lies past the end of the file: a kernel that will not tell claims that even this page is
// there.
uint64_t ps_sys_memory_pages(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, unsigned count,
                             bool written_only);
// Whether all of them are there, of any number.
bool ps_sys_all_memory_pages(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, uint64_t count,
                             bool written_only);
// Whether some of them, at most 64, are known to be preallocated and never written: there is memory for them, and what
// is in it is nobody's yet.
bool ps_sys_some_memory_unwritten(int fd, uintptr_t window, uintptr_t beyond, uint64_t first, unsigned count);

// Where on its block device a file system keeps a part of a file (FS_IOC_FIEMAP, without the flag that forces
// writeback).
struct ps_extent {
    uint64_t offset;   // in the file, bytes
    uint64_t physical; // on the block device, bytes
    uint64_t length;   // bytes; 0: none that is to be had
    uint32_t written;  // 0: preallocated, and reads as zeros
    uint32_t reserved;
};

// The extent that holds byte `offset` of the file; some file systems tell of no more of it than the `length` bytes that
// are asked for. None for a hole, and where the blocks are not, or not yet, the bytes of the file: delayed, encoded,
// encrypted, inline, packed with others. 0, or -errno.
long ps_sys_extent(int fd, uint64_t offset, uint64_t length, struct ps_extent *_Nonnull extent);
// As ps_sys_memory_pages, and ps_sys_all_memory_pages, of a file system with extents: what has been written.
uint64_t ps_sys_extent_pages(int fd, uint64_t first, unsigned count);
bool ps_sys_all_extent_pages(int fd, uint64_t first, uint64_t count);

// Whether at least half of the first `size` bytes of the file lies in groups of 2 MiB whose place on the device is a
// multiple of 2 MiB away from their place in the file: such a group of a DAX file can be mapped as one page. As far as
// the kernel tells in four answers; the rest counts as the part that was looked at does.
bool ps_sys_lies_in_groups(int fd, uint64_t size);

// Whether all of [start, start + length) of the file has space of its own that has been written to: no hole, nothing
// that is only preallocated, shared or encoded (FIEMAP). False as well where the file is in too many pieces to look at.
bool ps_sys_is_written(int fd, int64_t start, int64_t length);

#endif
