// The kernel's requests for programs that run within it (bpf(2)), as far as `WriteBitmap` needs them. Each returns a
// descriptor or 0, or -errno.
#ifndef CMIRROR_BPF_H
#define CMIRROR_BPF_H

#include <stddef.h>
#include <stdint.h>

// An array of `count` elements of `size` bytes (a multiple of 8) that can be mapped: all of it is zero.
int cmirror_bpf_array(uint32_t size, uint32_t count);

// A program of `count` instructions for the event whose type (a typedef, "btf_trace_" and its name) has the number
// `event` among the kernel's types.
int cmirror_bpf_load(const uint64_t *_Nonnull instructions, uint32_t count, uint32_t event);

// Has it run at each such event until the descriptor that is returned is closed, or its process ends.
int cmirror_bpf_attach(int program);

// How often it was not run because it was at work already on the same processor.
int cmirror_bpf_missed(int program, uint64_t *_Nonnull missed);

// Moves `count` words to `taken`, and leaves zeros; bits that are set meanwhile are in one of the two.
void cmirror_take_words(uint64_t *_Nonnull words, size_t count, uint64_t *_Nonnull taken);

#endif
