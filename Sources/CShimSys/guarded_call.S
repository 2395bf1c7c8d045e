// A call of a function that is not ours and may fault; contract in ps_pmem.h.
    .text
    .hidden ps_call_guarded, ps_call_returned, ps_call_exit, ps_call_frame
    .globl ps_call_guarded, ps_call_returned, ps_call_exit

    .type ps_call_guarded, @function
    .p2align 5
ps_call_guarded:                        // rdi function; rsi, rdx, rcx, r8 its arguments
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    movq    ps_call_frame@gottpoff(%rip), %r11
    pushq   %fs:(%r11)                  // the call of ours that a signal handler has interrupted to make this one
    .cfi_adjust_cfa_offset 8
    movq    %rdi, %rax
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    movq    %r8, %rcx
    movq    %rsp, %fs:(%r11)            // from here on a fault in the function resumes at ps_call_exit, with this stack
    call    *%rax
ps_call_returned:
    xorl    %eax, %eax
1:  movq    ps_call_frame@gottpoff(%rip), %r11
    popq    %fs:(%r11)
    .cfi_adjust_cfa_offset -8
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    ret
    .cfi_endproc
    .size ps_call_guarded, . - ps_call_guarded

    .type ps_call_exit, @function
ps_call_exit:                           // the stack is as it was before the call
    .cfi_startproc
    .cfi_def_cfa_offset 64
    .cfi_offset %rbp, -16
    .cfi_offset %rbx, -24
    .cfi_offset %r12, -32
    .cfi_offset %r13, -40
    .cfi_offset %r14, -48
    .cfi_offset %r15, -56
    cld
    cmpb    $0, ps_wide_vectors(%rip)
    je      2f
    vzeroupper
2:  sfence
    movl    $1, %eax
    jmp     1b
    .cfi_endproc
    .size ps_call_exit, . - ps_call_exit

    .hidden ps_wide_vectors
    .section .note.GNU-stack, "", @progbits
