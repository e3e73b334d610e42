# SPDX-License-Identifier: Apache-2.0
#
# The kernel's side of the clocks that programs read in the vDSO (pygos/arch/x86/vdso/vdso.S):
# the same lines over the time stamp counter, kept in a page of the kernel's own, with a copy
# in the page that programs see. tools/um/vdso.py assembles this into clock_code.py.
#
# The page follows the code. Its layout is that of the time page, with parameters of update()
# from 0x800 on. Only one thread at a time is in here (the caller holds the GIL).

        .intel_syntax noprefix
        .text

        .set    SEQ, 0x00
        .set    TSC, 0x08
        .set    CLOCKS, 0x40            # 32 bytes each:
        .set    MULT, 0                 #   ns * 2**64 in a cycle
        .set    SEC, 8                  #   the time at TSC
        .set    NSEC, 16
        .set    END, CLOCKS + 12 * 32
        .set    COPY, 0x800             # the page that programs see, or 0
        .set    MONO_MULT, 0x808        # what update() sets the rates to
        .set    WALL_MULT, 0x810
        .set    STEP, 0x818             # ns to add to all clocks
        .set    WALL_STEP, 0x820        # ns to add to the wall clocks besides
        .set    TAI_STEP, 0x828         # ns to add to CLOCK_TAI besides

        .set    WALL, 0x821             # REALTIME, REALTIME_COARSE, TAI
        .set    TAI, 11
        .set    BILLION, 1000000000

_text:
        .set    PAGE, _text + 0x1000

# ---- rax = cycles since TSC
        .macro  CYCLES
        rdtscp
        shl     rdx, 32
        or      rax, rdx
        xor     ecx, ecx
        sub     rax, [rip + PAGE + TSC]
        cmovb   rax, rcx
        .endm

# ---- u64 tsc(void)
        .globl  tsc
tsc:    rdtscp
        shl     rdx, 32
        or      rax, rdx
        ret

# ---- s64 realtime(void), s64 boottime(void): ns
        .globl  realtime
realtime:
        CYCLES
        mul     qword ptr [rip + PAGE + CLOCKS + MULT]
        imul    rax, [rip + PAGE + CLOCKS + SEC], BILLION
        add     rax, [rip + PAGE + CLOCKS + NSEC]
        add     rax, rdx
        ret

        .globl  boottime
boottime:
        CYCLES
        mul     qword ptr [rip + PAGE + CLOCKS + 32 + MULT]
        imul    rax, [rip + PAGE + CLOCKS + 32 + SEC], BILLION
        add     rax, [rip + PAGE + CLOCKS + 32 + NSEC]
        add     rax, rdx
        ret

# ---- u64 update(void): from now on the clocks go at the rates given, from where they are (and
# the steps). Readers wait meanwhile, so that none sees the old line after another has seen the
# new one. Returns the counter.
        .globl  update
update:
        push    rbx
        lea     rdi, [rip + PAGE]
        mov     rsi, [rdi + COPY]
        test    rsi, rsi
        jz      1f
        lock inc dword ptr [rsi + SEQ]  # odd; before the counter is read
1:      CYCLES
        mov     r8, rax
        add     [rdi + TSC], rax
        xor     ecx, ecx
        lea     r9, [rdi + CLOCKS]
2:      mov     rax, r8
        mul     qword ptr [r9 + MULT]
        imul    rax, [r9 + SEC], BILLION
        add     rax, [r9 + NSEC]
        add     rax, rdx
        add     rax, [rdi + STEP]
        mov     r10, [rdi + MONO_MULT]
        mov     r11d, WALL
        bt      r11d, ecx
        jnc     3f
        mov     r10, [rdi + WALL_MULT]
        add     rax, [rdi + WALL_STEP]
        cmp     ecx, TAI
        jne     3f
        add     rax, [rdi + TAI_STEP]
3:      mov     [r9 + MULT], r10
        xor     edx, edx
        mov     ebx, BILLION
        div     rbx
        mov     [r9 + SEC], rax
        mov     [r9 + NSEC], rdx
        inc     ecx
        add     r9, 32
        cmp     ecx, TAI
        jbe     2b
        xor     eax, eax
        mov     [rdi + STEP], rax
        mov     [rdi + WALL_STEP], rax
        mov     [rdi + TAI_STEP], rax
        test    rsi, rsi
        jz      5f
        mov     rax, [rdi + TSC]
        mov     [rsi + TSC], rax
        mov     ecx, CLOCKS
4:      mov     rax, [rdi + rcx]
        mov     [rsi + rcx], rax
        add     ecx, 8
        cmp     ecx, END
        jb      4b
        inc     dword ptr [rsi + SEQ]
5:      mov     rax, [rdi + TSC]
        pop     rbx
        ret
