// ps_on_own_stack: contract in ps_own_stack.h.
    .text
    .hidden ps_switch_stack
    .globl ps_switch_stack
    .type ps_switch_stack, @function
ps_switch_stack:                        // rdi: function, rsi: its argument, rdx: the end of the stack, 16-byte aligned
    .cfi_startproc
    // A thread's stack may lie below this one. gdb takes a caller further down for a broken stack and stops there,
    // except where a signal frame is between: it shows this frame as "<signal handler called>". Unwinders then look
    // the caller up by the return address itself, not by the byte before it: the call must not be its last instruction.
    .cfi_signal_frame
    pushq   %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq    %rsp, %rbp                  // by which unwinders find the caller's stack
    .cfi_def_cfa_register %rbp
    movq    %rdx, %rsp
    movq    %rdi, %rax
    movq    %rsi, %rdi
    callq   *%rax
    movq    %rbp, %rsp
    popq    %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size ps_switch_stack, . - ps_switch_stack
    .section .note.GNU-stack, "", @progbits
