// CRC-32C of pages, which are checked by the million. By the instruction of SSE 4.2, which every x86-64 processor with
// such memory has; three pages at once, because the instruction's result takes three cycles to come. Not by a library:
// Debian has Intel's (libisal2) as a shared one only, which every server would then need for this one function.
#include "cmirror.h"

static uint32_t bit_by_bit(uint32_t crc, const uint8_t *at, size_t count)
{
    while (count--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

// The compiler's own memcpy: this package is built with -fno-builtin, where the other one is a call for each word.
static inline uint64_t word(const uint8_t *at)
{
    uint64_t word;
    __builtin_memcpy(&word, at, 8);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t one(uint32_t start, const uint8_t *at, size_t count)
{
    uint64_t crc = start;
    for (; count >= 8; at += 8, count -= 8)
        crc = __builtin_ia32_crc32di(crc, word(at));
    for (; count > 0; at++, count--)
        crc = __builtin_ia32_crc32qi((uint32_t)crc, *at);
    return (uint32_t)crc;
}

__attribute__((target("sse4.2"))) static void three(const uint8_t *at, size_t size, uint32_t *checksums)
{
    uint64_t first = ~0u, second = ~0u, third = ~0u;
#pragma unroll 8
    for (size_t place = 0; place < size; place += 8) {
        first = __builtin_ia32_crc32di(first, word(at + place));
        second = __builtin_ia32_crc32di(second, word(at + size + place));
        third = __builtin_ia32_crc32di(third, word(at + 2 * size + place));
    }
    checksums[0] = ~(uint32_t)first;
    checksums[1] = ~(uint32_t)second;
    checksums[2] = ~(uint32_t)third;
}

uint32_t cmirror_checksum(const void *bytes, size_t size)
{
    if (!__builtin_cpu_supports("sse4.2"))
        return ~bit_by_bit(~0u, bytes, size);
    return ~one(~0u, bytes, size);
}

void cmirror_checksums(const void *pages, size_t size, size_t count, uint32_t *checksums)
{
    const uint8_t *at = pages;
    size_t done = 0;
    if (__builtin_cpu_supports("sse4.2"))
        for (; done + 3 <= count; done += 3)
            three(at + done * size, size, checksums + done);
    for (; done < count; done++)
        checksums[done] = cmirror_checksum(at + done * size, size);
}
