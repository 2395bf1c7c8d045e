// Guarded copies; contract in ps_copy.h. Only caller-saved registers, no stack: ps_guard_exit must be right from every
// instruction between ps_guard_begin and ps_guard_end.
#ifdef PS_CHECKED_COPIES // checked_copy.c stands in front of them
#define ps_copy ps_copy_unchecked
#define ps_copy_probed ps_copy_probed_unchecked
#define ps_copy_through ps_copy_through_unchecked
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

// Moves between registers `first` to `last` and as many places in memory, one behind the other, the first at `address`:
// always a displacement and what is in parentheses. 16 bytes each by SSE (XMM), 32 by AVX (YMM). STREAM stores past the
// caches, and needs a fence.
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
.macro LOAD_XMM first, last, address:vararg
    LOADS   movdqu, 16, xmm, \first, \last, \address
.endm
.macro LOAD_YMM first, last, address:vararg
    LOADS   vmovdqu, 32, ymm, \first, \last, \address
.endm
.macro STORE_XMM first, last, address:vararg
    STORES  movdqu, 16, xmm, \first, \last, \address
.endm
.macro STORE_YMM first, last, address:vararg
    STORES  vmovdqu, 32, ymm, \first, \last, \address
.endm
.macro STREAM_XMM first, last, address:vararg
    STORES  movntdq, 16, xmm, \first, \last, \address
.endm
.macro STREAM_YMM first, last, address:vararg
    STORES  vmovntdq, 32, ymm, \first, \last, \address
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
    movdqu  (%rsi), %xmm0
    movdqu  -16(%rsi,%rdx), %xmm1
    movdqu  %xmm0, (%rdi)
    movdqu  %xmm1, -16(%rdi,%rdx)
    PROBED_RETURN
.Lover32:
    cmpq    $64, %rdx
    ja      .Lover64
    LOAD_XMM   0, 1, 0(%rsi)
    LOAD_XMM   2, 3, -32(%rsi,%rdx)
    STORE_XMM  0, 1, 0(%rdi)
    STORE_XMM  2, 3, -32(%rdi,%rdx)
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
    LOAD_YMM   0, 3, 0(%rsi,%rax)
    STORE_YMM  0, 3, 0(%rdi,%rax)
    subq    $-128, %rax
    cmpq    %rcx, %rax
    jb      .Lavx
    LOAD_YMM   0, 3, 0(%rsi,%rcx)
    STORE_YMM  0, 3, 0(%rdi,%rcx)
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
    LOAD_YMM   0, 7, 0(%rsi,%rax)
    STORE_YMM  0, 7, 0(%rdi,%rax)
    addq    $256, %rax
    cmpq    %rcx, %rax
    jb      .Lavx256
    LOAD_YMM   0, 7, 0(%rsi,%rcx)
    STORE_YMM  0, 7, 0(%rdi,%rcx)
    vzeroupper
    PROBED_RETURN
.Ltoomuch:
    RETURN_1
.Lover255sse:
    addq    $128, %rcx
    .p2align 5
.Lsse:
    LOAD_XMM   0, 3, 0(%rsi,%rax)
    STORE_XMM  0, 3, 0(%rdi,%rax)
    addq    $64, %rax
    cmpq    %rcx, %rax
    jb      .Lsse
    leaq    64(%rcx), %rax              // the last 128 bytes, overlapping what the loop did
    LOAD_XMM   0, 3, 0(%rsi,%rcx)
    LOAD_XMM   4, 7, 0(%rsi,%rax)
    STORE_XMM  0, 3, 0(%rdi,%rcx)
    STORE_XMM  4, 7, 0(%rdi,%rax)
    PROBED_RETURN
.Lto128:                                // 65 to 128 bytes: both ends, overlapping in the middle
    LOAD_XMM   0, 3, 0(%rsi)
    LOAD_XMM   4, 7, -64(%rsi,%rdx)
    STORE_XMM  0, 3, 0(%rdi)
    STORE_XMM  4, 7, -64(%rdi,%rdx)
    PROBED_RETURN
.Lunder16:
    cmpl    $8, %edx
    jb      .Lunder8
    movq    (%rsi), %rax
    movq    -8(%rsi,%rdx), %rcx
    movq    %rax, (%rdi)
    movq    %rcx, -8(%rdi,%rdx)
    PROBED_RETURN
.Lunder8:
    cmpl    $4, %edx
    jb      .Lunder4
    movl    (%rsi), %eax
    movl    -4(%rsi,%rdx), %ecx
    movl    %eax, (%rdi)
    movl    %ecx, -4(%rdi,%rdx)
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
2:  LOAD_XMM   0, 3, 0(%rsi)
    STREAM_XMM 0, 3, 0(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
    decq    %rax
    jne     2b
3:  movl    %edx, %ecx
    testl   %ecx, %ecx
    je      4f
    rep movsb
4:  sfence
    RETURN_0
    .p2align 5
5:  LOAD_YMM   0, 1, 0(%rsi)
    STREAM_YMM 0, 1, 0(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
    decq    %rax
    jne     5b
    vzeroupper
    jmp     3b
    END ps_copy_through

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
0:  clflush (%rdi)
    addq    $64, %rdi
    cmpq    %rsi, %rdi
    jb      0b
    jmp     4f
1:  clflushopt (%rdi)
    addq    $64, %rdi
    cmpq    %rsi, %rdi
    jb      1b
    jmp     4f
2:  cmpl    $2, %eax
    jne     4f                          // the caches themselves are kept: nothing but the fence
3:  clwb    (%rdi)
    addq    $64, %rdi
    cmpq    %rsi, %rdi
    jb      3b
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
1:  LOAD_YMM   0, 7, 0(%rsi)
    STREAM_YMM 0, 7, 0(%rdi)
    addq    $256, %rsi
    addq    $256, %rdi
    subq    $256, %rdx
    jae     1b
2:  addq    $256, %rdx
    je      3f
    LOAD_YMM   0, 1, 0(%rsi)
    STREAM_YMM 0, 1, 0(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
    subq    $320, %rdx                  // 64, and the 256 that come back
    jmp     2b
3:  vzeroupper
    RETURN_0
4:  testq   %rdx, %rdx
    je      6f
5:  LOAD_XMM   0, 3, 0(%rsi)
    STREAM_XMM 0, 3, 0(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
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
