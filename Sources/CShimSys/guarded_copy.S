// Guarded copies; contract in ps_copy.h. Only caller-saved registers, no stack: ps_guard_exit must be right from every
// instruction between ps_guard_begin and ps_guard_end.
#ifdef PS_CHECKED_COPIES // checked_copy.c stands in front of them
#define ps_copy ps_copy_unchecked
#define ps_copy_probed ps_copy_probed_unchecked
#define ps_copy_through ps_copy_through_unchecked
#endif
    .text
    .hidden ps_guard_begin, ps_guard_end, ps_guard_exit, ps_copy, ps_copy_probed, ps_copy_through, ps_probe, ps_wide_vectors
    .hidden ps_soft_load, ps_soft_store, ps_soft_exchange
    .globl ps_guard_begin, ps_guard_end, ps_guard_exit, ps_copy, ps_copy_probed, ps_copy_through, ps_probe
    .hidden ps_flush, ps_touch, ps_store_whole, ps_store_masks, ps_copy_lines, ps_flush_kind, ps_whole_lengths
    .globl ps_flush, ps_touch, ps_store_whole, ps_copy_lines
    .globl ps_soft_load, ps_soft_store, ps_soft_exchange
    .p2align 6
ps_guard_begin:

    .type ps_copy, @function
ps_copy:                                // rdi destination, rsi source, rdx count
    .cfi_startproc
    movq    %rsp, %r8                   // a byte that is always there
    jmp     .Lcopy
    .cfi_endproc
    .size ps_copy, . - ps_copy

    .type ps_copy_probed, @function
    .p2align 5
ps_copy_probed:                         // rcx: address of a byte to load when all is copied; rdi, rsi, rdx stay
    .cfi_startproc
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
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
.Lover32:
    cmpq    $64, %rdx
    ja      .Lover64
    movdqu  (%rsi), %xmm0
    movdqu  16(%rsi), %xmm1
    movdqu  -32(%rsi,%rdx), %xmm2
    movdqu  -16(%rsi,%rdx), %xmm3
    movdqu  %xmm0, (%rdi)
    movdqu  %xmm1, 16(%rdi)
    movdqu  %xmm2, -32(%rdi,%rdx)
    movdqu  %xmm3, -16(%rdi,%rdx)
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
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
    vmovdqu (%rsi,%rax), %ymm0
    vmovdqu 32(%rsi,%rax), %ymm1
    vmovdqu 64(%rsi,%rax), %ymm2
    vmovdqu 96(%rsi,%rax), %ymm3
    vmovdqu %ymm0, (%rdi,%rax)
    vmovdqu %ymm1, 32(%rdi,%rax)
    vmovdqu %ymm2, 64(%rdi,%rax)
    vmovdqu %ymm3, 96(%rdi,%rax)
    subq    $-128, %rax
    cmpq    %rcx, %rax
    jb      .Lavx
    vmovdqu (%rsi,%rcx), %ymm0
    vmovdqu 32(%rsi,%rcx), %ymm1
    vmovdqu 64(%rsi,%rcx), %ymm2
    vmovdqu 96(%rsi,%rcx), %ymm3
    vmovdqu %ymm0, (%rdi,%rcx)
    vmovdqu %ymm1, 32(%rdi,%rcx)
    vmovdqu %ymm2, 64(%rdi,%rcx)
    vmovdqu %ymm3, 96(%rdi,%rcx)
    vzeroupper
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
    .p2align 5
.Lover255:
    cmpq    $0x7ffff000, %rdx           // MAX_RW_COUNT: of more the kernel moves that much, and is asked
    ja      .Ltoomuch
    leaq    -256(%rdx), %rcx            // [0, count-256) rounded up; the last 256 bytes come last
    xorl    %eax, %eax
    cmpb    $0, ps_wide_vectors(%rip)
    je      .Lover255sse
.Lavx256:
    vmovdqu (%rsi,%rax), %ymm0
    vmovdqu 32(%rsi,%rax), %ymm1
    vmovdqu 64(%rsi,%rax), %ymm2
    vmovdqu 96(%rsi,%rax), %ymm3
    vmovdqu 128(%rsi,%rax), %ymm4
    vmovdqu 160(%rsi,%rax), %ymm5
    vmovdqu 192(%rsi,%rax), %ymm6
    vmovdqu 224(%rsi,%rax), %ymm7
    vmovdqu %ymm0, (%rdi,%rax)
    vmovdqu %ymm1, 32(%rdi,%rax)
    vmovdqu %ymm2, 64(%rdi,%rax)
    vmovdqu %ymm3, 96(%rdi,%rax)
    vmovdqu %ymm4, 128(%rdi,%rax)
    vmovdqu %ymm5, 160(%rdi,%rax)
    vmovdqu %ymm6, 192(%rdi,%rax)
    vmovdqu %ymm7, 224(%rdi,%rax)
    addq    $256, %rax
    cmpq    %rcx, %rax
    jb      .Lavx256
    vmovdqu (%rsi,%rcx), %ymm0
    vmovdqu 32(%rsi,%rcx), %ymm1
    vmovdqu 64(%rsi,%rcx), %ymm2
    vmovdqu 96(%rsi,%rcx), %ymm3
    vmovdqu 128(%rsi,%rcx), %ymm4
    vmovdqu 160(%rsi,%rcx), %ymm5
    vmovdqu 192(%rsi,%rcx), %ymm6
    vmovdqu 224(%rsi,%rcx), %ymm7
    vmovdqu %ymm0, (%rdi,%rcx)
    vmovdqu %ymm1, 32(%rdi,%rcx)
    vmovdqu %ymm2, 64(%rdi,%rcx)
    vmovdqu %ymm3, 96(%rdi,%rcx)
    vmovdqu %ymm4, 128(%rdi,%rcx)
    vmovdqu %ymm5, 160(%rdi,%rcx)
    vmovdqu %ymm6, 192(%rdi,%rcx)
    vmovdqu %ymm7, 224(%rdi,%rcx)
    vzeroupper
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
.Ltoomuch:
    movl    $1, %eax
    ret
.Lover255sse:
    addq    $128, %rcx
    .p2align 5
.Lsse:
    movdqu  (%rsi,%rax), %xmm0
    movdqu  16(%rsi,%rax), %xmm1
    movdqu  32(%rsi,%rax), %xmm2
    movdqu  48(%rsi,%rax), %xmm3
    movdqu  %xmm0, (%rdi,%rax)
    movdqu  %xmm1, 16(%rdi,%rax)
    movdqu  %xmm2, 32(%rdi,%rax)
    movdqu  %xmm3, 48(%rdi,%rax)
    addq    $64, %rax
    cmpq    %rcx, %rax
    jb      .Lsse
    leaq    64(%rcx), %rax              // the last 128 bytes, overlapping what the loop did
    movdqu  (%rsi,%rcx), %xmm0
    movdqu  16(%rsi,%rcx), %xmm1
    movdqu  32(%rsi,%rcx), %xmm2
    movdqu  48(%rsi,%rcx), %xmm3
    movdqu  (%rsi,%rax), %xmm4
    movdqu  16(%rsi,%rax), %xmm5
    movdqu  32(%rsi,%rax), %xmm6
    movdqu  48(%rsi,%rax), %xmm7
    movdqu  %xmm0, (%rdi,%rcx)
    movdqu  %xmm1, 16(%rdi,%rcx)
    movdqu  %xmm2, 32(%rdi,%rcx)
    movdqu  %xmm3, 48(%rdi,%rcx)
    movdqu  %xmm4, (%rdi,%rax)
    movdqu  %xmm5, 16(%rdi,%rax)
    movdqu  %xmm6, 32(%rdi,%rax)
    movdqu  %xmm7, 48(%rdi,%rax)
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
.Lto128:                                // 65 to 128 bytes: both ends, overlapping in the middle
    movdqu  (%rsi), %xmm0
    movdqu  16(%rsi), %xmm1
    movdqu  32(%rsi), %xmm2
    movdqu  48(%rsi), %xmm3
    movdqu  -64(%rsi,%rdx), %xmm4
    movdqu  -48(%rsi,%rdx), %xmm5
    movdqu  -32(%rsi,%rdx), %xmm6
    movdqu  -16(%rsi,%rdx), %xmm7
    movdqu  %xmm0, (%rdi)
    movdqu  %xmm1, 16(%rdi)
    movdqu  %xmm2, 32(%rdi)
    movdqu  %xmm3, 48(%rdi)
    movdqu  %xmm4, -64(%rdi,%rdx)
    movdqu  %xmm5, -48(%rdi,%rdx)
    movdqu  %xmm6, -32(%rdi,%rdx)
    movdqu  %xmm7, -16(%rdi,%rdx)
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
.Lunder16:
    cmpl    $8, %edx
    jb      .Lunder8
    movq    (%rsi), %rax
    movq    -8(%rsi,%rdx), %rcx
    movq    %rax, (%rdi)
    movq    %rcx, -8(%rdi,%rdx)
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
.Lunder8:
    cmpl    $4, %edx
    jb      .Lunder4
    movl    (%rsi), %eax
    movl    -4(%rsi,%rdx), %ecx
    movl    %eax, (%rdi)
    movl    %ecx, -4(%rdi,%rdx)
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
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
    movzbl  (%r8), %eax
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_copy_probed, . - ps_copy_probed

    .type ps_copy_through, @function
    .p2align 5
ps_copy_through:
    .cfi_startproc
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
2:  movdqu  (%rsi), %xmm0
    movdqu  16(%rsi), %xmm1
    movdqu  32(%rsi), %xmm2
    movdqu  48(%rsi), %xmm3
    movntdq %xmm0, (%rdi)
    movntdq %xmm1, 16(%rdi)
    movntdq %xmm2, 32(%rdi)
    movntdq %xmm3, 48(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
    decq    %rax
    jne     2b
3:  movl    %edx, %ecx
    testl   %ecx, %ecx
    je      4f
    rep movsb
4:  sfence
    xorl    %eax, %eax
    ret
    .p2align 5
5:  vmovdqu (%rsi), %ymm0
    vmovdqu 32(%rsi), %ymm1
    vmovntdq %ymm0, (%rdi)
    vmovntdq %ymm1, 32(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
    decq    %rax
    jne     5b
    vzeroupper
    jmp     3b
    .cfi_endproc
    .size ps_copy_through, . - ps_copy_through

    .type ps_probe, @function
ps_probe:
    .cfi_startproc
    movzbl  (%rdi), %eax
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_probe, . - ps_probe

    .type ps_flush, @function
    .p2align 5
ps_flush:                               // rdi address, rsi count: the lines they lie in leave the caches; then a fence
    .cfi_startproc
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
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_flush, . - ps_flush

    .type ps_store_whole, @function
    .p2align 5
ps_store_whole:                         // rdi destination, rsi source, rdx count: by one instruction, or 1
    .cfi_startproc
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
    xorl    %eax, %eax
    ret
3:  vmovdqu8 (%rsi), %zmm0{%k1}{z}
    vmovdqu8 %zmm0, (%rdi){%k1}
    vzeroupper
    xorl    %eax, %eax
    ret
2:  leaq    ps_store_masks+32(%rip), %rcx
    subq    %rdx, %rcx                  // as many words of ones as the count has
    vmovdqu (%rcx), %ymm1
    vpmaskmovd (%rsi), %ymm1, %ymm0
    vpmaskmovd %ymm0, %ymm1, (%rdi)
    vzeroupper
    xorl    %eax, %eax
    ret
1:  movl    $1, %eax
    ret
    .cfi_endproc
    .size ps_store_whole, . - ps_store_whole

    .type ps_copy_lines, @function
    .p2align 5
ps_copy_lines:                          // rdi destination, on a line; rsi source; rdx count, whole lines; no fence
    .cfi_startproc
    cmpb    $0, ps_wide_vectors(%rip)
    je      4f
    subq    $256, %rdx
    jb      2f
    .p2align 5
1:  vmovdqu (%rsi), %ymm0
    vmovdqu 32(%rsi), %ymm1
    vmovdqu 64(%rsi), %ymm2
    vmovdqu 96(%rsi), %ymm3
    vmovdqu 128(%rsi), %ymm4
    vmovdqu 160(%rsi), %ymm5
    vmovdqu 192(%rsi), %ymm6
    vmovdqu 224(%rsi), %ymm7
    vmovntdq %ymm0, (%rdi)
    vmovntdq %ymm1, 32(%rdi)
    vmovntdq %ymm2, 64(%rdi)
    vmovntdq %ymm3, 96(%rdi)
    vmovntdq %ymm4, 128(%rdi)
    vmovntdq %ymm5, 160(%rdi)
    vmovntdq %ymm6, 192(%rdi)
    vmovntdq %ymm7, 224(%rdi)
    addq    $256, %rsi
    addq    $256, %rdi
    subq    $256, %rdx
    jae     1b
2:  addq    $256, %rdx
    je      3f
    vmovdqu (%rsi), %ymm0
    vmovdqu 32(%rsi), %ymm1
    vmovntdq %ymm0, (%rdi)
    vmovntdq %ymm1, 32(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
    subq    $320, %rdx                  // 64, and the 256 that come back
    jmp     2b
3:  vzeroupper
    xorl    %eax, %eax
    ret
4:  testq   %rdx, %rdx
    je      6f
5:  movdqu  (%rsi), %xmm0
    movdqu  16(%rsi), %xmm1
    movdqu  32(%rsi), %xmm2
    movdqu  48(%rsi), %xmm3
    movntdq %xmm0, (%rdi)
    movntdq %xmm1, 16(%rdi)
    movntdq %xmm2, 32(%rdi)
    movntdq %xmm3, 48(%rdi)
    addq    $64, %rsi
    addq    $64, %rdi
    subq    $64, %rdx
    jne     5b
6:  xorl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_copy_lines, . - ps_copy_lines

    .type ps_touch, @function
    .p2align 4
ps_touch:                               // rdi address: a store that changes nothing, whoever else writes there
    .cfi_startproc
    lock orb $0, (%rdi)
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_touch, . - ps_touch

    .type ps_soft_load, @function
ps_soft_load:                           // rdi word, rsi where its value goes
    .cfi_startproc
    movq    (%rdi), %rax
    movq    %rax, (%rsi)
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_soft_load, . - ps_soft_load

    .type ps_soft_store, @function
ps_soft_store:                          // rdi word, rsi value
    .cfi_startproc
    movq    %rsi, (%rdi)
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_soft_store, . - ps_soft_store

    .type ps_soft_exchange, @function
ps_soft_exchange:                       // rdi word, rsi what it should hold, then what it held, rdx what it is to hold
    .cfi_startproc
    movq    (%rsi), %rax
    lock cmpxchgq %rdx, (%rdi)
    movq    %rax, (%rsi)
    setne   %al
    movzbl  %al, %eax
    addl    %eax, %eax
    ret
    .cfi_endproc
    .size ps_soft_exchange, . - ps_soft_exchange

ps_guard_end:

    .type ps_guard_exit, @function
ps_guard_exit:
    .cfi_startproc
    cmpb    $0, ps_wide_vectors(%rip)
    je      1f
    vzeroupper                          // the copy may have been between its wide loads
1:  sfence                              // order what non-temporal stores it had done
    movl    $1, %eax
    ret
    .cfi_endproc
    .size ps_guard_exit, . - ps_guard_exit

    .section .rodata
    .p2align 5
    .type ps_store_masks, @object
ps_store_masks:
    .long -1, -1, -1, -1, -1, -1, -1, -1
    .long 0, 0, 0, 0, 0, 0, 0, 0
    .size ps_store_masks, . - ps_store_masks

    .section .note.GNU-stack, "", @progbits
