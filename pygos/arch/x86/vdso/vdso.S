# SPDX-License-Identifier: Apache-2.0
#
# The vDSO: clocks that a program reads without a system call. vdso(7).
#
# tools/um/vdso.py assembles this and puts it into an ELF image (image.py). The text has no
# relocations and no data; it finds the time pages, [vvar], right below the image, at a fixed
# distance (pygos/include/vdso/datapage.py has their layout):
#
#   page 0  of the program's time namespace: which clocks may be read here, offsets
#   page 1  of the machine: for each clock a straight line over the time stamp counter
#
# All functions are leaves that never move the stack pointer, so one unwind rule covers them.
# What can't be answered here is left to the system call of the same name.

        .intel_syntax noprefix
        .text

        .set    IMAGE, _text - TEXT_OFFSET
        .set    NS, IMAGE - 0x2000
        .set    VD, IMAGE - 0x1000
        .set    SEQ, 0x00
        .set    MASK, 0x04
        .set    TSC, 0x08
        .set    ZONE, 0x10
        .set    NR_CPUS, 0x18
        .set    CLOCKS, 0x40            # 32 bytes each:
        .set    MULT, CLOCKS            #   ns * 2**64 in a cycle (not in page 0)
        .set    SEC, CLOCKS + 8         #   the time at TSC, or what is added to it
        .set    NSEC, CLOCKS + 16

        .set    NR_gettimeofday, 96
        .set    NR_time, 201
        .set    NR_clock_gettime, 228
        .set    NR_clock_getres, 229
        .set    NR_getcpu, 309
        .set    HRES, 0x893             # REALTIME, MONOTONIC, MONOTONIC_RAW, BOOTTIME, TAI
        .set    COARSE, 0x60
        .set    LAST, 11
        .set    GRAIN, 4000000          # ns, of the coarse clocks
        .set    BILLION, 1000000000

_text:

# ---- carry set: the clock `id` can be read here; eax is lost.
        .macro  READABLE id
        mov     eax, [rip + NS + MASK]
        and     eax, [rip + VD + MASK]
        bt      eax, \id
        .endm

# ---- The clock whose number is in edx: seconds in r9, ns (below BILLION) in rdx; eax, ecx, r8,
# r10 and r11 are lost. What follows the counter in time is kept short: rdtscp lets nothing
# before it overlap, so the time of a call is the sum of both parts. `coarse`: whole ticks.
        .macro  READ coarse=0
        lea     r8, [rip + NS]
        shl     edx, 5
        add     r8, rdx
1:      mov     r10d, [rip + VD + SEQ]
        test    r10b, 1
        jnz     5f
        mov     r9, [r8 + 0x1000 + SEC]
        mov     r11, [r8 + 0x1000 + NSEC]
        .if     !\coarse
        add     r9, [r8 + SEC]
        add     r11, [r8 + NSEC]
        .endif
        rdtscp                          # after all loads before it
        shl     rdx, 32
        or      rax, rdx
        sub     rax, [rip + VD + TSC]
        jb      6f
        mul     qword ptr [r8 + 0x1000 + MULT]
2:      add     rdx, r11
        cmp     r10d, [rip + VD + SEQ]
        jne     1b
        .if     \coarse
        # Ticks are of the machine's clock; what a namespace adds comes after.
        movabs  rcx, 0x431bde82d7b634db # n / 4000000 = n * this / 2**84
        mov     rax, rdx
        mul     rcx
        shr     rdx, 20
        imul    rdx, rdx, GRAIN
        add     r9, [r8 + SEC]
        add     rdx, [r8 + NSEC]
        .endif
        cmp     rdx, BILLION
        jae     7f
3:
        .endm

# ---- What READ seldom needs.
        .macro  SELDOM
5:      pause                           # the page is being written: for some 50 ns
        jmp     1b
6:      xor     edx, edx                # another CPU's counter, some cycles behind
        jmp     2b
7:      inc     r9
        sub     rdx, BILLION
        cmp     rdx, BILLION
        jb      3b
        # n / 10**9 = (n / 2**9) * 0x44b82fa09b5a53 / 2**75 for all 64-bit n.
        mov     rcx, rdx
        mov     rax, rdx
        movabs  r11, 0x44b82fa09b5a53
        shr     rax, 9
        mul     r11
        shr     rdx, 11
        add     r9, rdx
        imul    rdx, rdx, BILLION
        sub     rcx, rdx
        mov     rdx, rcx
        jmp     3b
        .endm

# ---- int clock_gettime(clockid_t edi, struct timespec *rsi)
        .balign 64
        .globl  __vdso_clock_gettime
        .type   __vdso_clock_gettime, @function
__vdso_clock_gettime:
        mov     edx, edi
        cmp     edi, LAST
        ja      8f
        READABLE edi
        jnc     8f
        cmp     edi, 5
        je      9f
        cmp     edi, 6
        je      9f
        READ
        mov     [rsi], r9
        mov     [rsi + 8], rdx
        xor     eax, eax
        ret
        SELDOM
8:      mov     eax, NR_clock_gettime
        syscall
        ret
9:      READ    coarse=1
        mov     [rsi], r9
        mov     [rsi + 8], rdx
        xor     eax, eax
        ret
        SELDOM
        .size   __vdso_clock_gettime, . - __vdso_clock_gettime

# ---- int gettimeofday(struct timeval *rdi, struct timezone *rsi)
        .balign 32
        .globl  __vdso_gettimeofday
        .type   __vdso_gettimeofday, @function
__vdso_gettimeofday:
        READABLE 0
        jnc     8f
        test    rdi, rdi
        jz      4f
        xor     edx, edx
        READ
        mov     [rdi], r9
        imul    rdx, rdx, 274877907     # n / 1000 = n * this / 2**38 for n < 10**9
        shr     rdx, 38
        mov     [rdi + 8], rdx
4:      test    rsi, rsi
        jz      9f
        mov     rax, [rip + VD + ZONE]
        mov     [rsi], rax
9:      xor     eax, eax
        ret
        SELDOM
8:      mov     eax, NR_gettimeofday
        syscall
        ret
        .size   __vdso_gettimeofday, . - __vdso_gettimeofday

# ---- time_t time(time_t *rdi)
        .balign 32
        .globl  __vdso_time
        .type   __vdso_time, @function
__vdso_time:
        READABLE 0
        jnc     8f
        xor     edx, edx
        READ
        mov     rax, r9
        test    rdi, rdi
        jz      4f
        mov     [rdi], rax
4:      ret
        SELDOM
8:      mov     eax, NR_time
        syscall
        ret
        .size   __vdso_time, . - __vdso_time

# ---- int clock_getres(clockid_t edi, struct timespec *rsi)
        .balign 32
        .globl  __vdso_clock_getres
        .type   __vdso_clock_getres, @function
__vdso_clock_getres:
        cmp     edi, LAST
        ja      8f
        mov     ecx, 1
        mov     eax, HRES
        bt      eax, edi
        jc      4f
        mov     ecx, GRAIN
        mov     eax, COARSE
        bt      eax, edi
        jnc     8f
4:      test    rsi, rsi
        jz      5f
        mov     qword ptr [rsi], 0
        mov     [rsi + 8], rcx
5:      xor     eax, eax
        ret
8:      mov     eax, NR_clock_getres
        syscall
        ret
        .size   __vdso_clock_getres, . - __vdso_clock_getres

# ---- int getcpu(unsigned *rdi, unsigned *rsi, void *)
        .balign 32
        .globl  __vdso_getcpu
        .type   __vdso_getcpu, @function
__vdso_getcpu:
        xor     eax, eax
        cmp     dword ptr [rip + VD + NR_CPUS], 1
        jne     8f
        test    rdi, rdi
        jz      4f
        mov     [rdi], eax
4:      test    rsi, rsi
        jz      5f
        mov     [rsi], eax
5:      ret
8:      mov     eax, NR_getcpu
        syscall
        ret
        .size   __vdso_getcpu, . - __vdso_getcpu
