#include "ps_copy.h"

#include <cpuid.h>

// Read by guarded_copy.S. One byte, written once, before the first window.
uint8_t ps_wide_vectors;
// The same: 0 clflush, which every x86-64 has, 1 clflushopt, 2 clwb, 3 nothing.
uint8_t ps_flush_kind;
// See ps_stores_whole.
uint64_t ps_whole_lengths;

enum { NOTHING_TO_FLUSH = 3 };
void ps_flush_nothing(void) { ps_flush_kind = NOTHING_TO_FLUSH; }

static void ask_processor(void)
{
    unsigned a, b, c, d;
    if (ps_flush_kind != NOTHING_TO_FLUSH && __get_cpuid_count(7, 0, &a, &b, &c, &d))
        ps_flush_kind = b & bit_CLWB ? 2 : b & bit_CLFLUSHOPT ? 1 : 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
        return;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6) // the kernel saves xmm and ymm
        return;
    ps_wide_vectors = 1;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
        return;
    ps_whole_lengths = 0x88888888; // 4, 8, ... 32
    const unsigned masks = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_BMI2;
    if ((b & masks) == masks && (low & 0xe0) == 0xe0) // and masks, zmm, and the upper half of the registers
        ps_whole_lengths = UINT64_MAX;
}

// A forked child finds what its parent has asked.
void ps_copy_prepare(void)
{
    static bool asked;
    if (!asked)
        ask_processor();
    asked = true;
}
