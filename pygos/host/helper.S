# SPDX-License-Identifier: Apache-2.0
#
# Native code of the kernel side: what would be four ctypes calls per trap is one.
# Position independent, no data, no stack frames but pushed registers. Called through
# ctypes with the System V calling convention.
#
# Most routines take the address of a CPU block (1024 bytes, one per stub process):

        .intel_syntax noprefix
        .equ REGS,     0                # struct user_regs_struct, 216 bytes
        .equ R_R11,    6*8
        .equ R_RCX,    11*8
        .equ R_ORIG,   15*8
        .equ R_RIP,    16*8
        .equ R_CS,     17*8
        .equ R_EFLAGS, 18*8
        .equ LIST,     216              # kernel address of the space's list page
        .equ PID,      224
        .equ WHO,      232              # whom to wait for: PID, or minus the process group
        .equ STATUS,   240              # u32, wait status
        .equ COUNT,    248              # stops so far
        .equ BATCH,    256              # address of the registers that run a list
        .equ WPID,     264              # who stopped instead, for run() = OTHER
        .equ INFO,     272              # siginfo (128 bytes) or ptrace_syscall_info
        .equ REQUEST,  400              # how it is resumed: SYSEMU or SYSEMU_SINGLESTEP
# Further words for a guest thread that nobody traces:
        .equ SNAP,     512              # its registers as they were when it stopped, 216 bytes
        .equ AREA,     728              # kernel address of its area
        .equ UC,       736              # ... and of the ucontext in it
        .equ KEEPER,   744              # block of the process that changes mappings for it
        .equ KSPIN,    752              # how often to look before sleeping
        .equ PARKED,   760              # 1: it stopped at a patched site, the FPU isn't saved
        .equ T_SIGNO,  768
        .equ T_CODE,   776
        .equ T_ADDR,   784
        .equ T_ERR,    792
        .equ SLICE,    800              # struct timespec: the longest sleep
        .equ TRAPS,    816              # 4 | bits: which instructions fault from now on
        .equ AREA_VA,  824              # its area's address in the stub
# The control page of an area; see stub.S.
        .equ DEAD, 0
        .equ RUN, 1
        .equ REQ, 2
        .equ REQ_ASLEEP, 3
        .equ RUN_WATCHED, 4
        .equ C_KIND,   0x008
        .equ C_SIGNO,  0x00c
        .equ C_CODE,   0x010
        .equ C_ARCH,   0x014
        .equ C_ADDR,   0x018
        .equ C_CMD,    0x020
        .equ C_FS,     0x028
        .equ C_GS,     0x030
        .equ C_BASES,  0x038
        .equ C_TRAPS,  0x03c
        .equ C_ERR,    0x048
        .equ C_REGS,   0x080
        .equ CMD_RESULT, 0
        .equ CMD_FRAME, 1
        .equ CMD_SAVE, 2
        .equ CMD_RETURN, 3
        .equ SIGSYS, 31
        .equ R_RAX,    10*8
        .equ R_SS,     20*8
        .equ R_RSP,    19*8
        .equ R_FS,     21*8
        .equ R_GS,     22*8

        .equ NR_futex, 202
        .equ NR_futex_waitv, 449
        .equ FUTEX_WAIT, 0
        .equ FUTEX_WAKE, 1
        .equ EAGAIN, 11
        .equ PATIENCE, 4                # idle wake-ups, after which Python looks after the rest

        .equ NR_wait4, 61
        .equ NR_ptrace, 101
        .equ WALL, 0x40000000
        .equ PTRACE_CONT, 7
        .equ PTRACE_GETREGS, 12
        .equ PTRACE_SETREGS, 13
        .equ PTRACE_GETSIGINFO, 0x4202
        .equ PTRACE_GET_SYSCALL_INFO, 0x420e
        .equ EINTR, 4
        .equ ESRCH, 3

# Results of run() and fetch(): below zero an errno.
        .equ SYSCALL, 0                 # stopped at a 64-bit system call
        .equ BAD_SYSCALL, 1             # ... at int 0x80, sysenter or in 32-bit mode
        .equ OTHER, 2                   # another child stopped: see WPID and STATUS
        .equ STOPPED, 0x1000000         # or-ed with the wait status: anything else
        .equ BAD_LIST, -1000            # a mapping change failed
        .equ DIED, -ESRCH
        .equ TRAPPED, 3                 # as SYSCALL, by a signal: the site isn't patched
        .equ VSYSCALL, 4                # a call into the vsyscall page
        .equ SIGNALLED, 5               # see T_SIGNO and so on
        .equ EVENT, 6                   # go_any(): something else happened

        .text
        .globl run, start, fetch, flush, wait, cmpxchg32
        .globl go, go_any, give, take, save, await_, wait_any, answer

# ---- long run(block): start, wait for one stop, fetch.
run:
        push    rbx
        mov     rbx, rdi
        call    do_start
        test    rax, rax
        js      9f
        mov     rdi, [rbx + WHO]
        lea     rsi, [rbx + STATUS]
        mov     edx, WALL
        xor     r10d, r10d
        mov     eax, NR_wait4
        syscall
        test    rax, rax
        js      9f
        cmp     eax, [rbx + PID]
        je      do_fetch
        mov     [rbx + WPID], rax
        mov     eax, OTHER
9:      pop     rbx
        ret

# ---- long fetch(block): after a wait that left the status in STATUS, read the registers
# and say what kind of stop it is.
fetch:
        push    rbx
        mov     rbx, rdi
do_fetch:
        mov     eax, [rbx + STATUS]
        cmp     al, 0x7f
        jne     4f                      # exited or killed: nothing to read
        mov     edi, PTRACE_GETREGS
        xor     edx, edx
        lea     r10, [rbx + REGS]
        call    do_ptrace
        test    rax, rax
        js      9f
        inc     qword ptr [rbx + COUNT]
        mov     eax, [rbx + STATUS]
        cmp     eax, 0x857f             # SIGTRAP|0x80: a system call (TRACESYSGOOD)
        jne     2f
        # The `syscall` instruction leaves rip in rcx and the flags in r11; int 0x80 and
        # sysenter don't. A forged pair only makes int 0x80 mean what `syscall` means.
        cmp     dword ptr [rbx + R_CS], 0x33
        jne     1f
        mov     rax, [rbx + R_RIP]
        cmp     rax, [rbx + R_RCX]
        jne     1f
        mov     rax, [rbx + R_EFLAGS]
        cmp     rax, [rbx + R_R11]
        jne     1f
        xor     eax, eax                # SYSCALL
        pop     rbx
        ret
1:      mov     edi, PTRACE_GET_SYSCALL_INFO
        mov     edx, 88
        lea     r10, [rbx + INFO]
        call    do_ptrace
        test    rax, rax
        js      9f
        mov     eax, BAD_SYSCALL
        cmp     dword ptr [rbx + R_CS], 0x33
        jne     9f
        cmp     dword ptr [rbx + INFO + 4], 0xc000003e
        jne     9f
        xor     eax, eax
        jmp     9f
2:      cmp     eax, 0x7fff             # ptrace events carry no siginfo of interest
        ja      4f
        mov     edi, PTRACE_GETSIGINFO
        xor     edx, edx
        lea     r10, [rbx + INFO]
        call    do_ptrace
        mov     eax, [rbx + STATUS]
4:      or      eax, STOPPED
9:      pop     rbx
        ret

# ---- long start(block): flush queued mapping changes, then let the guest run until it
# makes a system call or faults.
start:
        push    rbx
        mov     rbx, rdi
        call    do_start
        pop     rbx
        ret
do_start:
        mov     rax, [rbx + LIST]
        cmp     qword ptr [rax + 8], 0
        je      1f
        call    do_flush
        test    rax, rax
        js      9f
1:      # With orig_rax >= 0 the host would take a guest's result such as -512 for a
        # request to restart its own system call.
        mov     qword ptr [rbx + R_ORIG], -1
        mov     edi, PTRACE_SETREGS
        xor     edx, edx
        lea     r10, [rbx + REGS]
        call    do_ptrace
        test    rax, rax
        js      9f
        mov     edi, [rbx + REQUEST]
        xor     edx, edx
        xor     r10d, r10d
        call    do_ptrace
9:      ret

# ---- long flush(block): run the list of mapping changes in the stub, then wipe it.
flush:
        push    rbx
        mov     rbx, rdi
        xor     eax, eax
        mov     rdx, [rbx + LIST]
        cmp     qword ptr [rdx + 8], 0
        je      1f
        call    do_flush
1:      pop     rbx
        ret
do_flush:
        mov     edi, PTRACE_SETREGS
        xor     edx, edx
        mov     r10, [rbx + BATCH]
        call    do_ptrace
        test    rax, rax
        js      9f
1:      mov     edi, PTRACE_CONT
        xor     edx, edx
        xor     r10d, r10d
        call    do_ptrace
        test    rax, rax
        js      9f
2:      mov     rdi, [rbx + PID]
        lea     rsi, [rbx + STATUS]
        mov     edx, WALL
        xor     r10d, r10d
        mov     eax, NR_wait4
        syscall
        cmp     rax, -EINTR
        je      2b
        test    rax, rax
        js      9f
        mov     eax, [rbx + STATUS]
        cmp     eax, 0x57f              # int3: done
        je      3f
        cmp     al, 0x7f
        mov     ecx, DIED
        jne     8f
        # A tick or a kick that came while the stub was stopped: drop it, carry on. (They
        # are the only signals that are not a fault of the list itself.)
        cmp     ah, 26                  # SIGVTALRM
        je      1b
        cmp     ah, 23                  # SIGURG
        je      1b
        mov     ecx, BAD_LIST
        cmp     ah, 4                   # ud2: a call failed
        je      8f
        cmp     ah, 11
        je      8f
        cmp     ah, 7
        je      8f
        cmp     ah, 31
        je      8f
        jmp     1b                      # someone's kill(1): of no concern to the guest
8:      movsxd  rax, ecx
9:      ret
3:      mov     rax, [rbx + LIST]
        xor     ecx, ecx
4:      cmp     qword ptr [rax + 8], 0
        je      5f
        mov     [rax], rcx
        mov     [rax + 8], rcx
        mov     [rax + 16], rcx
        mov     [rax + 24], rcx
        add     rax, 32
        jmp     4b
5:      xor     eax, eax
        ret

# ---- do_ptrace: ptrace(edi, block->PID, rdx, r10)
do_ptrace:
        mov     rsi, [rbx + PID]
        mov     eax, NR_ptrace
        syscall
        ret

# ---- long wait(u64 w[3]): wait4(w[0], &w[1], __WALL | w[2])
wait:
        mov     rdx, [rdi + 16]
        or      edx, WALL
        lea     rsi, [rdi + 8]
        mov     rdi, [rdi]
        xor     r10d, r10d
        mov     eax, NR_wait4
        syscall
        ret

# ==== Guest threads that nobody traces ====================================================

# ---- long go(block): let it run, wait until it stops, take its registers.
go:
        push    rbx
        mov     rbx, rdi
        call    do_give
        test    rax, rax
        js      9f
        call    do_await
        test    rax, rax
        js      9f
        call    do_take
9:      pop     rbx
        ret

# ---- long give(block): flush mapping changes, hand registers over, let it run.
give:
        push    rbx
        mov     rbx, rdi
        call    do_give
        pop     rbx
        ret

# ---- long take(block): it has stopped: what it wants, with its registers copied.
take:
        push    rbx
        mov     rbx, rdi
        call    do_take
        pop     rbx
        ret

# ---- long await_(block): 0 as soon as it stops.
await_:
        push    rbx
        mov     rbx, rdi
        call    do_await
        pop     rbx
        ret

# ---- long save(block): have the FPU saved into the frame, if it isn't.
save:
        push    rbx
        mov     rbx, rdi
        xor     eax, eax
        cmp     qword ptr [rbx + PARKED], 0
        je      9f
        mov     rdx, [rbx + AREA]
        mov     dword ptr [rdx + C_CMD], CMD_SAVE
        call    do_answer
        call    do_await
        test    rax, rax
        js      9f
        mov     qword ptr [rbx + PARKED], 0
9:      pop     rbx
        ret

do_give:
        mov     rax, [rbx + LIST]
        cmp     qword ptr [rax + 8], 0
        je      1f
        push    rbx
        mov     rbx, [rbx + KEEPER]
        call    do_flush
        pop     rbx
        test    rax, rax
        js      9f
1:      mov     rdx, [rbx + AREA]
        cmp     qword ptr [rbx + PARKED], 0
        mov     eax, CMD_RETURN
        je      3f
        # At a patched site. Is the result all that changed?
        mov     rax, [rbx + R_RAX]
        mov     [rbx + SNAP + R_RAX], rax
        mov     rcx, [rbx + R_ORIG]
        mov     [rbx + SNAP + R_ORIG], rcx
        lea     rsi, [rbx + REGS]
        lea     rdi, [rbx + SNAP]
        mov     ecx, 27
        repe    cmpsq
        jne     2f
        cmp     qword ptr [rbx + TRAPS], 0
        jne     2f
        mov     [rdx + C_REGS + R_RAX], rax
        mov     dword ptr [rdx + C_CMD], CMD_RESULT
        jmp     do_answer
2:      mov     eax, CMD_FRAME
3:      mov     [rdx + C_CMD], eax
        mov     rdi, [rbx + UC]
        .macro  GIVE reg, uc
        mov     rax, [rbx + \reg*8]
        mov     [rdi + \uc], rax
        .endm
        GIVE 0, 0x60                    # r15
        GIVE 1, 0x58
        GIVE 2, 0x50
        GIVE 3, 0x48
        GIVE 4, 0x78                    # rbp
        GIVE 5, 0x80
        GIVE 6, 0x40                    # r11
        GIVE 7, 0x38
        GIVE 8, 0x30
        GIVE 9, 0x28
        GIVE 10, 0x90                   # rax
        GIVE 11, 0x98
        GIVE 12, 0x88
        GIVE 13, 0x70
        GIVE 14, 0x68
        GIVE 16, 0xa8                   # rip
        GIVE 18, 0xb0                   # flags
        GIVE 19, 0xa0
        mov     ax, [rbx + R_CS]
        mov     [rdi + 0xb8], ax
        mov     ax, [rbx + R_SS]
        mov     [rdi + 0xbe], ax
        xor     ecx, ecx
        mov     rax, [rbx + R_FS]
        cmp     rax, [rbx + SNAP + R_FS]
        je      4f
        mov     [rdx + C_FS], rax
        or      ecx, 1
4:      mov     rax, [rbx + R_GS]
        cmp     rax, [rbx + SNAP + R_GS]
        je      6f
        test    rax, rax
        jnz     5f
        mov     rax, [rbx + AREA_VA]
5:      mov     [rdx + C_GS], rax
        or      ecx, 2
6:      mov     rax, [rbx + TRAPS]
        test    eax, eax
        jz      7f
        mov     [rdx + C_TRAPS], eax
        mov     qword ptr [rbx + TRAPS], 0
        or      ecx, 4
7:      mov     [rdx + C_BASES], ecx
do_answer:                              # rdx: the word of who waits
        mov     eax, RUN
        xchg    [rdx], eax
        cmp     eax, REQ_ASLEEP
        jne     8f
        mov     rdi, rdx
        mov     esi, FUTEX_WAKE
        mov     edx, 0x7fffffff         # one that is killed but not gone may wait there, too
        xor     r10d, r10d
        mov     eax, NR_futex
        syscall
8:      xor     eax, eax
9:      ret

# ---- long answer(u32 *word): let who waits at the word go on.
answer:
        mov     rdx, rdi
        jmp     do_answer

do_await:                               # -EINTR if it was woken too often for nothing
        mov     rdx, [rbx + AREA]
        mov     rcx, [rbx + KSPIN]
        mov     r8d, PATIENCE
1:      mov     eax, [rdx]
        cmp     eax, RUN
        jne     3f
        dec     rcx
        js      2f
        pause
        jmp     1b
2:      mov     eax, RUN
        mov     ecx, RUN_WATCHED
        lock cmpxchg [rdx], ecx
        jne     3f
4:      mov     rdi, [rbx + AREA]
        mov     esi, FUTEX_WAIT
        mov     edx, RUN_WATCHED
        lea     r10, [rbx + SLICE]
        mov     eax, NR_futex
        syscall
        mov     rdx, [rbx + AREA]
        test    rax, rax
        jz      5f
        cmp     rax, -EAGAIN
        jne     6f
5:      mov     rax, -EINTR             # a guest may wake us, or change the word, for ever
        dec     r8d
        js      8f
        mov     eax, [rdx]
3:      cmp     eax, RUN_WATCHED
        je      4b
        cmp     eax, RUN                # forged
        je      9f
        cmp     eax, REQ
        je      7f
        cmp     eax, REQ_ASLEEP
        mov     rax, DIED
        jne     8f
7:      xor     eax, eax
8:      ret
9:      mov     rax, -EINTR
        dec     r8d
        js      8b
        jmp     2b
6:      mov     ecx, [rdx]
        cmp     ecx, RUN_WATCHED
        je      8b                      # interrupted, or the slice is over
        jmp     5b

do_take:
        mov     rdx, [rbx + AREA]
        inc     qword ptr [rbx + COUNT]
        mov     r8d, [rdx + C_SIGNO]
        mov     eax, [rdx + C_KIND]
        cmp     eax, 1
        jne     1f
        # At a patched site.
        mov     [rbx + PARKED], rax
        lea     rsi, [rdx + C_REGS]
        lea     rdi, [rbx + REGS]
        mov     ecx, 27
        rep     movsq
        mov     rax, [rbx + R_RIP]
        mov     [rbx + R_RCX], rax
        mov     qword ptr [rbx + R_EFLAGS], 0x246
        mov     qword ptr [rbx + R_R11], 0x246
        mov     qword ptr [rbx + R_CS], 0x33
        mov     qword ptr [rbx + R_SS], 0x2b
        jmp     2f
1:      mov     qword ptr [rbx + PARKED], 0
        mov     rsi, [rbx + UC]
        .macro  TAKE reg, uc
        mov     rax, [rsi + \uc]
        mov     [rbx + \reg*8], rax
        .endm
        TAKE 0, 0x60
        TAKE 1, 0x58
        TAKE 2, 0x50
        TAKE 3, 0x48
        TAKE 4, 0x78
        TAKE 5, 0x80
        TAKE 6, 0x40
        TAKE 7, 0x38
        TAKE 8, 0x30
        TAKE 9, 0x28
        TAKE 10, 0x90
        TAKE 11, 0x98
        TAKE 12, 0x88
        TAKE 13, 0x70
        TAKE 14, 0x68
        TAKE 16, 0xa8
        TAKE 18, 0xb0
        TAKE 19, 0xa0
        movzx   eax, word ptr [rsi + 0xb8]
        mov     [rbx + R_CS], rax
        movzx   eax, word ptr [rsi + 0xbe]
        mov     [rbx + R_SS], rax
2:      mov     rax, [rdx + C_FS]
        mov     [rbx + R_FS], rax
        mov     rax, [rdx + C_GS]
        cmp     rax, [rbx + AREA_VA]
        jne     3f
        xor     eax, eax
3:      mov     [rbx + R_GS], rax
        xor     eax, eax                # ds, es, fs, gs
        mov     [rbx + 23*8], rax
        mov     [rbx + 24*8], rax
        mov     [rbx + 25*8], rax
        mov     [rbx + 26*8], rax
        cmp     r8d, SIGSYS
        jne     6f
        cmp     qword ptr [rbx + PARKED], 0
        mov     r9d, SYSCALL
        jne     5f
        mov     eax, [rdx + C_CODE]
        cmp     eax, 1                  # SYS_SECCOMP
        jne     6f
        mov     r9d, TRAPPED
        cmp     dword ptr [rdx + C_ARCH], 0xc000003e
        jne     4f
        cmp     dword ptr [rdx + C_ADDR + 4], 0xffffffff
        jne     5f
        mov     r9d, VSYSCALL
        jmp     5f
4:      mov     r9d, BAD_SYSCALL
5:      mov     rax, [rbx + R_RAX]
        mov     [rbx + R_ORIG], rax
        mov     qword ptr [rbx + R_RAX], -38
        jmp     7f
6:      mov     qword ptr [rbx + R_ORIG], -1
        mov     [rbx + T_SIGNO], r8
        movsxd  rax, dword ptr [rdx + C_CODE]
        mov     [rbx + T_CODE], rax
        mov     rax, [rdx + C_ADDR]
        mov     [rbx + T_ADDR], rax
        mov     rax, [rdx + C_ERR]
        mov     [rbx + T_ERR], rax
        mov     r9d, SIGNALLED
7:      lea     rsi, [rbx + REGS]
        lea     rdi, [rbx + SNAP]
        mov     ecx, 27
        rep     movsq
        mov     eax, r9d
        ret

# ---- long wait_any(struct futex_waitv *vec, long n, struct timespec *until): the index of a
# word that says that its owner doesn't run, or -errno. `until`: absolute, CLOCK_MONOTONIC; 0:
# for ever; -1: don't wait (-EAGAIN). -EAGAIN also if it was woken too often for nothing.
wait_any:
do_wait_any:
        push    rbx
        mov     ebx, PATIENCE
        mov     r10, rdx
1:      mov     rax, -EAGAIN
        dec     ebx
        js      9f
        xor     r8d, r8d
        mov     r9, rdi
2:      mov     rdx, [r9 + 8]
        mov     eax, RUN
        mov     ecx, RUN_WATCHED
        lock cmpxchg [rdx], ecx
        je      3f
        cmp     eax, RUN_WATCHED
        jne     8f
3:      add     r9, 24
        inc     r8
        cmp     r8, rsi
        jb      2b
        mov     rax, -EAGAIN
        cmp     r10, -1
        je      9f
        xor     edx, edx
        mov     r8d, 1                  # CLOCK_MONOTONIC
        mov     eax, NR_futex_waitv
        syscall
        test    rax, rax
        jns     1b
        cmp     rax, -EAGAIN
        je      1b
9:      pop     rbx
        ret
8:      mov     rax, r8
        pop     rbx
        ret

# ---- long go_any(block, struct futex_waitv vec[2], struct timespec *until): as go(), but vec[0] or
# the time may end it too: EVENT, or -errno; the thread goes on running then. vec[1]: its own word.
go_any:
        push    rbx
        push    r12
        push    r13
        mov     rbx, rdi
        mov     r12, rsi
        mov     r13, rdx
        call    do_give
        test    rax, rax
        js      9f
        mov     rdx, [rbx + AREA]
        mov     rcx, [rbx + KSPIN]
1:      cmp     dword ptr [rdx], RUN
        jne     2f
        dec     rcx
        js      2f
        pause
        jmp     1b
2:      mov     rdi, r12
        mov     esi, 2
        mov     rdx, r13
        call    do_wait_any
        test    rax, rax
        js      9f
        mov     ecx, EVENT
        jz      8f
        mov     rdx, [rbx + AREA]
        mov     eax, [rdx]
        mov     rcx, DIED
        cmp     eax, REQ
        je      3f
        cmp     eax, REQ_ASLEEP
        jne     8f
3:      call    do_take
        jmp     9f
8:      mov     rax, rcx
9:      pop     r13
        pop     r12
        pop     rbx
        ret

# ---- u32 cmpxchg32(u32 *p, u32 old, u32 new): the value found
cmpxchg32:
        mov     eax, esi
        lock cmpxchg [rdi], edx
        ret
