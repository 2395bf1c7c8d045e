// Guarded copies; contract in ps_copy.h. Only caller-saved registers, no stack: ps_guard_exit must be right from every
// instruction between ps_guard_begin and ps_guard_end.
#ifdef PS_CHECKED_COPIES // checked_copy.c stands in front of them
#define ps_copy ps_copy_unchecked
#define ps_copy_probed ps_copy_probed_unchecked
#define ps_copy_through ps_copy_through_unchecked
#define ps_copy_either ps_copy_either_unchecked
#endif

// ---- macros: each stands for the instructions in it, and nothing else -------------------------------------------

// A function that only this library sees, its first instruction on a multiple of 2^alignment bytes.
.macro FUNCTION name, alignment=0
    .globl  \name
    .hidden \name
    .type   \name, @function
    .p2align \alignment
\name:
    .cfi_startproc
.endm
.macro END name
    .cfi_endproc
    .size   \name, . - \name
.endm

// All is copied, or done.
.macro RETURN_0
    xorl    %eax, %eax
    ret
.endm
// It faulted, or is not for this function.
.macro RETURN_1
    movl    $1, %eax
    ret
.endm
// All is copied: the byte that must still be there is loaded, then 0.
.macro PROBED_RETURN
    movzbl  (%r8), %eax
    RETURN_0
.endm

// How vectors move: SSE's of 16 bytes, AVX's of 32.
#define SSE movdqu, 16, xmm
#define AVX vmovdqu, 32, ymm
// The same, with stores past the caches, which need a fence.
#define SSE_STREAM movdqu, movntdq, 16, xmm
#define AVX_STREAM vmovdqu, vmovntdq, 32, ymm

// Moves between registers `first` to `last` and as many places in memory, one behind the other, the first at `address`:
// always a displacement and what is in parentheses.
.macro LOADS move, size, register, first, last, address:vararg
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    .if (\n >= \first) && (\n <= \last)
    \move  \size * (\n - \first) + \address, %\register\n
    .endif
    .endr
.endm
.macro STORES move, size, register, first, last, address:vararg
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    .if (\n >= \first) && (\n <= \last)
    \move  %\register\n, \size * (\n - \first) + \address
    .endif
    .endr
.endm
// As much as registers 0 to `last` hold, from rsi to rdi; with ",%rax" so many bytes behind them.
.macro BLOCK move, size, register, last, index
    LOADS   \move, \size, \register, 0, \last, 0(%rsi\index)
    STORES  \move, \size, \register, 0, \last, 0(%rdi\index)
.endm
// The first 16 * `half` of rdx bytes and as many at the end, which overlap: all are loaded before one is stored.
.macro BOTH_ENDS half
    LOADS   SSE, 0, \half-1, 0(%rsi)
    LOADS   SSE, \half, 2*\half-1, -16*\half(%rsi,%rdx)
    STORES  SSE, 0, \half-1, 0(%rdi)
    STORES  SSE, \half, 2*\half-1, -16*\half(%rdi,%rdx)
.endm
// The same with a word of `size` bytes at each end.
.macro WORD_ENDS move, size, first, last
    \move  (%rsi), \first
    \move  -\size(%rsi,%rdx), \last
    \move  \first, (%rdi)
    \move  \last, -\size(%rdi,%rdx)
.endm
// As much as registers 0 to `last` hold, past the caches; rsi and rdi move on.
.macro STREAM load, store, size, register, last
    LOADS   \load, \size, \register, 0, \last, 0(%rsi)
    STORES  \store, \size, \register, 0, \last, 0(%rdi)
    addq    $\size * (\last + 1), %rsi
    addq    $\size * (\last + 1), %rdi
.endm
// Flushes the lines from rdi up to rsi: at least one.
.macro FLUSH_LINES instruction
.Lline\@:
    \instruction (%rdi)
    addq    $64, %rdi
    cmpq    %rsi, %rdi
    jb      .Lline\@
.endm

// ---- the copies -------------------------------------------------------------------------------------------------

    .text
    .hidden ps_guard_begin, ps_guard_end, ps_wide_vectors, ps_flush_kind, ps_whole_lengths, ps_store_masks
    .globl  ps_guard_begin, ps_guard_end
    .p2align 6
ps_guard_begin:

    FUNCTION ps_copy                    // rdi destination, rsi source, rdx count
    movq    %rsp, %r8                   // a byte that is always there
    jmp     .Lcopy
    END ps_copy

    FUNCTION ps_copy_probed, 5          // rcx: address of a byte to load when all is copied; rdi, rsi, rdx stay
    movq    %rcx, %r8
.Lcopy:
    cmpq    $32, %rdx
    ja      .Lover32
    cmpq    $16, %rdx
    jb      .Lunder16
    BOTH_ENDS 1
    PROBED_RETURN
.Lover32:
    cmpq    $64, %rdx
    ja      .Lover64
    BOTH_ENDS 2
    PROBED_RETURN
.Lover64:
    cmpq    $256, %rdx
    jae     .Lover255
    cmpq    $128, %rdx
    jbe     .Lto128
    leaq    -128(%rdx), %rcx            // the loop copies [0, count-128) rounded up; the last 128 bytes come last
    xorl    %eax, %eax
    cmpb    $0, ps_wide_vectors(%rip)
    je      .Lsse
    .p2align 5
.Lavx:
    BLOCK   AVX, 3, ",%rax"
    subq    $-128, %rax
    cmpq    %rcx, %rax
    jb      .Lavx
    BLOCK   AVX, 3, ",%rcx"
    vzeroupper
    PROBED_RETURN
    .p2align 5
.Lover255:
    cmpq    $0x7ffff000, %rdx           // MAX_RW_COUNT: of more the kernel moves that much, and is asked
    ja      .Ltoomuch
    leaq    -256(%rdx), %rcx            // [0, count-256) rounded up; the last 256 bytes come last
    xorl    %eax, %eax
    cmpb    $0, ps_wide_vectors(%rip)
    je      .Lover255sse
.Lavx256:
    BLOCK   AVX, 7, ",%rax"
    addq    $256, %rax
    cmpq    %rcx, %rax
    jb      .Lavx256
    BLOCK   AVX, 7, ",%rcx"
    vzeroupper
    PROBED_RETURN
.Ltoomuch:
    RETURN_1
.Lover255sse:
    addq    $128, %rcx
    .p2align 5
.Lsse:
    BLOCK   SSE, 3, ",%rax"
    addq    $64, %rax
    cmpq    %rcx, %rax
    jb      .Lsse
    leaq    64(%rcx), %rax              // the last 128 bytes, overlapping what the loop did
    LOADS   SSE, 0, 3, 0(%rsi,%rcx)
    LOADS   SSE, 4, 7, 0(%rsi,%rax)
    STORES  SSE, 0, 3, 0(%rdi,%rcx)
    STORES  SSE, 4, 7, 0(%rdi,%rax)
    PROBED_RETURN
.Lto128:                                // 65 to 128 bytes: both ends, overlapping in the middle
    BOTH_ENDS 4
    PROBED_RETURN
.Lunder16:
    cmpl    $8, %edx
    jb      .Lunder8
    WORD_ENDS movq, 8, %rax, %rcx
    PROBED_RETURN
.Lunder8:
    cmpl    $4, %edx
    jb      .Lunder4
    WORD_ENDS movl, 4, %eax, %ecx
    PROBED_RETURN
.Lunder4:
    testl   %edx, %edx
    je      .Lnone
    movzbl  (%rsi), %eax
    movb    %al, (%rdi)
    cmpl    $1, %edx
    je      .Lnone
    movzbl  1(%rsi), %eax
    movzbl  -1(%rsi,%rdx), %ecx
    movb    %al, 1(%rdi)
    movb    %cl, -1(%rdi,%rdx)
.Lnone:
    PROBED_RETURN
    END ps_copy_probed

    FUNCTION ps_copy_through, 5
    movq    %rdi, %rcx                  // bytes up to the next cache line: plain stores, rep movsb needs no stack
    negq    %rcx
    andq    $63, %rcx
    cmpq    %rdx, %rcx
    cmovaq  %rdx, %rcx
    subq    %rcx, %rdx
    testq   %rcx, %rcx
    je      1f
    rep movsb
1:  movq    %rdx, %rax
    shrq    $6, %rax
    andl    $63, %edx
    testq   %rax, %rax
    je      3f
    cmpb    $0, ps_wide_vectors(%rip)   // two stores per line instead of four: measured 290 ns for 4 KiB against 470
    jne     5f
    .p2align 5
2:  STREAM  SSE_STREAM, 3
    decq    %rax
    jne     2b
3:  movl    %edx, %ecx
    testl   %ecx, %ecx
    je      4f
    rep movsb
4:  sfence
    RETURN_0
    .p2align 5
5:  STREAM  AVX_STREAM, 1
    decq    %rax
    jne     5b
    vzeroupper
    jmp     3b
    END ps_copy_through

    FUNCTION ps_copy_either
    testb   %cl, %cl
    jz      ps_copy_through
    jmp     ps_copy
    END ps_copy_either

    FUNCTION ps_probe
    movzbl  (%rdi), %eax
    RETURN_0
    END ps_probe

    FUNCTION ps_flush, 5                // rdi address, rsi count: the lines they lie in leave the caches; then a fence
    addq    %rdi, %rsi
    andq    $-64, %rdi
    movzbl  ps_flush_kind(%rip), %eax
    cmpq    %rsi, %rdi
    jae     4f
    cmpl    $1, %eax
    ja      2f
    je      1f
    FLUSH_LINES clflush
    jmp     4f
1:  FLUSH_LINES clflushopt
    jmp     4f
2:  cmpl    $2, %eax
    jne     4f                          // the caches themselves are kept: nothing but the fence
    FLUSH_LINES clwb
4:  sfence
    RETURN_0
    END ps_flush

    FUNCTION ps_store_whole, 5          // rdi destination, rsi source, rdx count: by one instruction, or 1
    leaq    -1(%rdx), %rcx
    cmpq    $63, %rcx
    ja      1f
    movq    ps_whole_lengths(%rip), %rax
    btq     %rcx, %rax
    jnc     1f
    testb   $1, %al                     // single bytes, so any length
    je      2f
    movq    $-1, %rax
    bzhi    %rdx, %rax, %rax
    kmovq   %rax, %k1
    cmpq    $32, %rdx
    ja      3f
    vmovdqu8 (%rsi), %ymm0{%k1}{z}
    vmovdqu8 %ymm0, (%rdi){%k1}
    vzeroupper
    RETURN_0
3:  vmovdqu8 (%rsi), %zmm0{%k1}{z}
    vmovdqu8 %zmm0, (%rdi){%k1}
    vzeroupper
    RETURN_0
2:  leaq    ps_store_masks+32(%rip), %rcx
    subq    %rdx, %rcx                  // as many words of ones as the count has
    vmovdqu (%rcx), %ymm1
    vpmaskmovd (%rsi), %ymm1, %ymm0
    vpmaskmovd %ymm0, %ymm1, (%rdi)
    vzeroupper
    RETURN_0
1:  RETURN_1
    END ps_store_whole

    FUNCTION ps_copy_lines, 5           // rdi destination, on a line; rsi source; rdx count, whole lines; no fence
    cmpb    $0, ps_wide_vectors(%rip)
    je      4f
    subq    $256, %rdx
    jb      2f
    .p2align 5
1:  STREAM  AVX_STREAM, 7
    subq    $256, %rdx
    jae     1b
2:  addq    $256, %rdx
    je      3f
    STREAM  AVX_STREAM, 1
    subq    $320, %rdx                  // 64, and the 256 that come back
    jmp     2b
3:  vzeroupper
    RETURN_0
4:  testq   %rdx, %rdx
    je      6f
5:  STREAM  SSE_STREAM, 3
    subq    $64, %rdx
    jne     5b
6:  RETURN_0
    END ps_copy_lines

    FUNCTION ps_touch, 4                // rdi address: a store that changes nothing, whoever else writes there
    lock orb $0, (%rdi)
    RETURN_0
    END ps_touch

    FUNCTION ps_soft_load               // rdi word, rsi where its value goes
    movq    (%rdi), %rax
    movq    %rax, (%rsi)
    RETURN_0
    END ps_soft_load

    FUNCTION ps_soft_store              // rdi word, rsi value
    movq    %rsi, (%rdi)
    RETURN_0
    END ps_soft_store

    FUNCTION ps_soft_exchange           // rdi word, rsi what it should hold, then what it held, rdx what it is to hold
    movq    (%rsi), %rax
    lock cmpxchgq %rdx, (%rdi)
    movq    %rax, (%rsi)
    setne   %al
    movzbl  %al, %eax
    addl    %eax, %eax
    ret
    END ps_soft_exchange

ps_guard_end:

    FUNCTION ps_guard_exit
    cmpb    $0, ps_wide_vectors(%rip)
    je      1f
    vzeroupper                          // the copy may have been between its wide loads
1:  sfence                              // order what non-temporal stores it had done
    RETURN_1
    END ps_guard_exit

    .section .rodata
    .p2align 5
    .type ps_store_masks, @object
ps_store_masks:
    .long -1, -1, -1, -1, -1, -1, -1, -1
    .long 0, 0, 0, 0, 0, 0, 0, 0
    .size ps_store_masks, . - ps_store_masks

    .section .note.GNU-stack, "", @progbits
