# SPDX-License-Identifier: Apache-2.0
#
# The only native code that lives in a stub process: one read-and-execute page at
# STUB_CODE, shared by every guest address space. The kernel steers a stopped stub here
# by writing its registers. Each routine ends in a trap, which stops the stub again:
# int3 means success, ud2 failure with -errno in rax.
#
# Assemble: tools/um/assemble.py writes stub and helper into machine_code.py.

        .intel_syntax noprefix
        # Addresses: pygos/host/layout.py.
        .equ STUB_CODE,    0x7fff80000000
        .equ STUB_LIST,    0x7fff80010000       # list page, then the process page: read-only
        .equ STUB_POS,     0x7fff80012000       # the process's own page
        .equ STUB_WINDOWS, 0x7fff81000000       # windows, then thread areas
        .equ AREAS_30,     0x1ffff              # address of any area >> 30
        .equ AREA_SIZE,    0x4000
        .equ CODE_SIZE,    0x10000
        .equ FAST,         0x1000               # offset of the compiled code
        .equ USER_TOP,     0x7ffffffff000       # end of the 47-bit user half
        .equ RAM_FD,       3
        .equ EVENT_FD,     4

        .equ NR_poll, 7
        .equ NR_mmap, 9
        .equ NR_munmap, 11
        .equ NR_rt_sigaction, 13
        .equ NR_rt_sigprocmask, 14
        .equ NR_rt_sigreturn, 15
        .equ NR_close, 3
        .equ NR_setitimer, 38
        .equ NR_clone, 56
        .equ NR_ptrace, 101
        .equ NR_getppid, 110
        .equ NR_sigaltstack, 131
        .equ NR_prctl, 157
        .equ NR_arch_prctl, 158
        .equ NR_setrlimit, 160
        .equ NR_futex, 202
        .equ NR_exit_group, 231
        .equ NR_seccomp, 317
        .equ NR_close_range, 436

        .equ PROT_READ, 1
        .equ PROT_READ_WRITE, 3
        .equ PROT_ALL, 7
        .equ MAP_SHARED_FIXED, 0x11
        .equ MAP_POPULATE, 0x8000
        .equ PR_SET_PDEATHSIG, 1
        .equ PR_SET_NAME, 15
        .equ PR_SET_TSC, 26
        .equ PR_SET_NO_NEW_PRIVS, 38
        .equ ARCH_SET_CPUID, 0x1012
        .equ RLIMIT_CORE, 4
        .equ SIGKILL, 9
        .equ ITIMER_VIRTUAL, 1
        .equ CLONE_FORK,   0x00008011           # CLONE_PARENT|SIGCHLD
        .equ CLONE_GUEST,  0x00a08111           # filter.py has them all
        .equ TICK_US, 20000
        .equ FUTEX_WAIT, 0
        .equ FUTEX_WAKE, 1
        .equ SIGILL, 4
        .equ SIGTRAP, 5
        .equ SIGBUS, 7
        .equ SIGFPE, 8
        .equ SIGSEGV, 11
        .equ SIGURG, 23
        .equ SIGSYS, 31

        # The state word of a thread area (pygos/arch/um/area.py): who may go on.
        .equ DEAD, 0                            # written by the host when the thread ends
        .equ RUN, 1                             # the guest
        .equ REQ, 2                             # the kernel; the stub spins
        .equ REQ_ASLEEP, 3                      # ... or sleeps
        .equ RUN_WATCHED, 4                     # the guest; the kernel sleeps
        # The control page of an area. All of it may be forged by the guest.
        .equ C_STATE,  0x000
        .equ C_SPIN,   0x004
        .equ C_KIND,   0x008                    # 0 registers in a signal frame, 1 in C_REGS
        .equ C_SIGNO,  0x00c
        .equ C_CODE,   0x010
        .equ C_ARCH,   0x014
        .equ C_ADDR,   0x018
        .equ C_CMD,    0x020                    # how to go on: below
        .equ C_KICKED, 0x024
        .equ C_FS,     0x028
        .equ C_GS,     0x030
        .equ C_BASES,  0x038                    # 1: set fs base, 2: set gs base, 4: set traps
        .equ C_TRAPS,  0x03c                    # bit 0: rdtsc faults, bit 1: cpuid faults
        .equ C_XMASK,  0x040                    # u64, what XSAVE saves
        .equ C_ERR,    0x048
        .equ C_FRAME,  0x050                    # ucontext of the last signal
        .equ C_SLOWIP, 0x058                    # where a fault in compiled code goes on
        .equ C_SLOWSP, 0x060
        .equ C_STACK,  0x068                    # stack_t
        .equ C_REGS,   0x080                    # struct user_regs_struct
        .equ C_SAMPLE, 0x160                    # calls to answer here before one is handed over
        .equ C_PERIOD, 0x164                    # and then again
        .equ C_STACK_TOP, 0x1000                # stack of the patched path
        .equ THREAD_FAST, 0x1000                # first word of the thread page
        .equ CMD_RESULT, 0                      # patched path: only rax changed
        .equ CMD_FRAME, 1                       # patched path: save the FPU, load the frame
        .equ CMD_SAVE, 2                        # patched path: save the FPU, ask again
        .equ CMD_RETURN, 3                      # load the frame
        .equ SLOW_HI, 0xc0000000                # upper half of -(1 << 62)

        .equ R_R15, C_REGS
        .equ R_R14, C_REGS + 1*8
        .equ R_R13, C_REGS + 2*8
        .equ R_R12, C_REGS + 3*8
        .equ R_RBP, C_REGS + 4*8
        .equ R_RBX, C_REGS + 5*8
        .equ R_R11, C_REGS + 6*8
        .equ R_R10, C_REGS + 7*8
        .equ R_R9,  C_REGS + 8*8
        .equ R_R8,  C_REGS + 9*8
        .equ R_RAX, C_REGS + 10*8
        .equ R_RCX, C_REGS + 11*8
        .equ R_RDX, C_REGS + 12*8
        .equ R_RSI, C_REGS + 13*8
        .equ R_RDI, C_REGS + 14*8
        .equ R_RIP, C_REGS + 16*8
        .equ R_RSP, C_REGS + 19*8

        # struct ucontext, from its beginning
        .equ UC_R8,  0x28
        .equ UC_R9,  0x30
        .equ UC_R10, 0x38
        .equ UC_R12, 0x48
        .equ UC_RDI, 0x68
        .equ UC_RSI, 0x70
        .equ UC_RBX, 0x80
        .equ UC_RDX, 0x88
        .equ UC_RAX, 0x90
        .equ UC_RSP, 0xa0
        .equ UC_RIP, 0xa8
        .equ UC_ERR, 0xc0
        .equ UC_FPSTATE, 0xe0

        .text
        .globl _start, setup, confine, batch, fork, thread, watch, patched, on_signal, born_done, p_exit, p_end, rest
# ---- entry after execve: ask to be traced, then stop. Exits with errno if refused.
_start:
        xor     edi, edi                        # PTRACE_TRACEME
        mov     eax, NR_ptrace
        syscall
        test    eax, eax
        jz      1f
        mov     edi, eax
        neg     edi
        mov     eax, NR_exit_group
        syscall
1:      int3

# ---- first half of the set-up: leave nothing in the process but this page, fd 3 and 4.
setup:
        xor     edi, edi
        mov     rsi, STUB_CODE
        mov     eax, NR_munmap
        syscall
        test    rax, rax
        js      fail
        mov     rdi, STUB_LIST
        mov     rsi, USER_TOP - STUB_LIST
        mov     eax, NR_munmap
        syscall
        test    rax, rax
        js      fail
        mov     edi, EVENT_FD + 1
        mov     esi, -1
        xor     edx, edx
        mov     eax, NR_close_range
        syscall
        test    rax, rax
        js      fail
        xor     edi, edi
        mov     esi, RAM_FD - 1
        xor     edx, edx
        mov     eax, NR_close_range
        syscall
        test    rax, rax
        js      fail
        mov     edi, RLIMIT_CORE                # a guest's crash never dumps on the host
        lea     rsi, [rip + zeros]
        mov     eax, NR_setrlimit
        syscall
        test    rax, rax
        js      fail
        mov     edi, PR_SET_NAME
        lea     rsi, [rip + name]
        mov     eax, NR_prctl
        syscall
        mov     edi, PR_SET_PDEATHSIG
        mov     esi, SIGKILL
        mov     eax, NR_prctl
        syscall
        test    rax, rax
        js      fail
        # Handlers for guest threads that nobody traces. A traced stub never gets to them.
        lea     r12, [rip + signals]
1:      movzx   edi, byte ptr [r12]
        test    edi, edi
        jz      2f
        lea     rsi, [rip + action]
        xor     edx, edx
        mov     r10d, 8
        mov     eax, NR_rt_sigaction
        syscall
        test    rax, rax
        js      fail
        inc     r12
        jmp     1b
2:      mov     edi, 2                          # SIG_SETMASK: what others send is ignored
        lea     rsi, [rip + blocked]
        xor     edx, edx
        mov     r10d, 8
        mov     eax, NR_rt_sigprocmask
        syscall
        test    rax, rax
        js      fail
        int3

# ---- second half, after the watcher was cloned: give up the event descriptor, then install
# the seccomp filter that lies in the control page at offset r12 of the RAM memfd
# (struct sock_fprog first; pygos/host/filter.py). Nobody else ever maps that page.
confine:
        mov     edi, EVENT_FD
        mov     eax, NR_close
        syscall
        mov     edx, PROT_READ
        mov     rdi, STUB_LIST
        mov     esi, 4096
        mov     r10d, MAP_SHARED_FIXED
        mov     r8d, RAM_FD
        mov     r9, r12
        mov     eax, NR_mmap
        syscall
        test    rax, rax
        js      fail
        mov     edi, PR_SET_NO_NEW_PRIVS
        mov     esi, 1
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
        mov     eax, NR_prctl
        syscall
        test    rax, rax
        js      fail
        mov     edi, 1                          # SECCOMP_SET_MODE_FILTER
        mov     esi, 4                          # SECCOMP_FILTER_FLAG_SPEC_ALLOW
        mov     rdx, STUB_LIST
        mov     eax, NR_seccomp
        syscall
        test    rax, rax
        js      fail
        int3
fail:   ud2

# ---- run the list of mapping changes at r15. One entry is 32 bytes:
#   u64 address, u64 length (0 ends the list), u32 protection, u32 syscall number,
#   u64 offset into the RAM memfd. MAP_POPULATE may be added to the protection of an mmap.
#   r13: the pass. rbp: 1 to go on to `thread`. Stops at the first error, r15 at the bad entry.
batch:
        mov     rdi, [r15]
        mov     rsi, [r15 + 8]
        test    rsi, rsi
        jz      1f
        mov     edx, [r15 + 16]
        mov     eax, [r15 + 20]
        mov     r9, [r15 + 24]
        mov     r10d, edx
        and     edx, PROT_ALL
        and     r10d, MAP_POPULATE
        or      r10d, MAP_SHARED_FIXED          # munmap and mprotect ignore these two
        mov     r8d, RAM_FD
        cmp     eax, NR_mmap
        cmovne  r9, r13                         # the others need the pass (filter.py)
        syscall
        test    rax, rax
        js      fail
        add     r15, 32
        jmp     batch
1:      test    ebp, ebp                        # the child of a fork goes on
        mov     edi, CLONE_GUEST
        jnz     thread
        int3

# ---- clone this stub. rdi: CLONE_FORK or CLONE_THREAD; r12: offset of the child's control
# pages in the RAM memfd, or -1 to share the parent's; r13: the pass; r14: the kernel's pid, or 0
# for a child that runs guest code under ptrace. The parent stops with the child's pid in rax; the
# child maps its pages and, under ptrace, starts its time slice timer; else it drops the areas of the
# parent's threads. With rbp 1 it then runs its list and starts a thread in the area rbx, and stops
# with that one's pid.
fork:
        xor     esi, esi
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
        mov     r9, r13
        mov     eax, NR_clone
        syscall
        test    rax, rax
        js      fail
        jz      1f
        int3
1:      cmp     r12, -1
        je      2f
        mov     edx, PROT_READ
        mov     rdi, STUB_LIST
        mov     esi, 2*4096
        mov     r10d, MAP_SHARED_FIXED
        mov     r8d, RAM_FD
        mov     r9, r12
        mov     eax, NR_mmap
        syscall
        test    rax, rax
        js      fail
        test    r14d, r14d
        jz      2f
        mov     edx, PROT_READ_WRITE
        mov     rdi, STUB_POS
        mov     esi, 4096
        add     r9, 2*4096
        mov     eax, NR_mmap
        syscall
        test    rax, rax
        js      fail
        mov     rdi, STUB_WINDOWS
        mov     rsi, USER_TOP - STUB_WINDOWS
        mov     r9, r13
        mov     eax, NR_munmap
        syscall
        test    rax, rax
        js      fail
        jmp     3f
2:      mov     edi, ITIMER_VIRTUAL
        lea     rsi, [rip + slice]
        xor     edx, edx
        mov     eax, NR_setitimer
        syscall
        test    rax, rax
        js      fail
3:      mov     edi, PR_SET_PDEATHSIG
        mov     esi, SIGKILL
        mov     eax, NR_prctl
        syscall
        test    rax, rax
        js      fail
        mov     r15, STUB_LIST
        test    ebp, ebp
        jnz     batch
        int3

# ---- start a guest thread that nobody traces: a clone of this stub in the same address space,
# but without any descriptor. rdi: CLONE_GUEST; rbx: its area; r13: the pass; r14: the kernel's
# pid. The parent stops with the child's pid in rax. The child comes to rest with a genuine
# signal frame in its area, from which the kernel lets it start.
thread:
        xor     esi, esi
        xor     edx, edx
        lea     r10, [rbx + C_STATE]            # the host tells the end of the thread there
        xor     r8d, r8d
        mov     r9, r13
        mov     eax, NR_clone
        syscall
        test    rax, rax
        js      fail
        jz      1f
        int3
1:      xor     edi, edi
        mov     esi, -1
        xor     edx, edx
        mov     eax, NR_close_range
        syscall
        test    rax, rax
        js      fail
        mov     edi, PR_SET_PDEATHSIG
        mov     esi, SIGKILL
        mov     eax, NR_prctl
        syscall
        test    rax, rax
        js      fail
        mov     eax, NR_getppid                 # has the kernel gone before that?
        syscall
        cmp     eax, r14d
        jne     fail
        lea     rdi, [rbx + C_STACK]
        xor     esi, esi
        mov     eax, NR_sigaltstack
        syscall
        test    rax, rax
        js      fail
        xor     r9d, r9d                        # the pass never gets near guest code
        xor     r13d, r13d
        xor     r14d, r14d
        wrgsbase rbx
        lea     rsp, [rbx + C_STACK_TOP]
        int3
born_done:
        ud2

# ---- every signal of a guest thread that nobody traces. edi: number, rsi: siginfo,
# rdx: ucontext. The stack lies in the thread's area. The host restores all that changes here.
on_signal:
        mov     rbx, rsp
        and     rbx, -AREA_SIZE
        mov     r12, rdx
        mov     r13, [rdx + UC_RIP]
        mov     rax, STUB_CODE
        sub     r13, rax
        cmp     r13, CODE_SIZE
        jb      in_stub
report: mov     [rbx + C_SIGNO], edi
        mov     eax, [rsi + 8]                  # si_code
        mov     [rbx + C_CODE], eax
        mov     rax, [rsi + 16]                 # si_addr, si_call_addr
        mov     [rbx + C_ADDR], rax
        mov     eax, [rsi + 28]                 # si_arch
        mov     [rbx + C_ARCH], eax
        mov     rax, [r12 + UC_ERR]
        mov     [rbx + C_ERR], rax
        mov     [rbx + C_FRAME], r12
        rdfsbase rax
        mov     [rbx + C_FS], rax
        rdgsbase rax
        mov     [rbx + C_GS], rax
        mov     dword ptr [rbx + C_KIND], 0
        cmp     edi, SIGSYS
        je      try_trapped
ask:    call    hand_over
        jmp     load
rest:   call    resting                         # the kernel has said REQ itself
load:   # Bases and traps that were changed, then the whole frame.
        mov     eax, [rbx + C_BASES]
        test    eax, eax
        jz      9f
        mov     dword ptr [rbx + C_BASES], 0
        mov     r13d, eax
        test    r13d, 1
        jz      1f
        mov     rax, [rbx + C_FS]
        wrfsbase rax
1:      test    r13d, 2
        jz      2f
        mov     rax, [rbx + C_GS]
        wrgsbase rax
2:      test    r13d, 4
        jz      9f
        mov     edi, PR_SET_TSC
        mov     esi, [rbx + C_TRAPS]
        and     esi, 1
        inc     esi                             # PR_TSC_ENABLE 1, PR_TSC_SIGSEGV 2
        mov     eax, NR_prctl
        syscall
        mov     edi, ARCH_SET_CPUID
        mov     esi, [rbx + C_TRAPS]
        shr     esi, 1
        and     esi, 1
        xor     esi, 1
        mov     eax, NR_arch_prctl
        syscall
9:      mov     rsp, r12
        mov     eax, NR_rt_sigreturn
        syscall
        ud2

# A call that trapped: can it be answered here?
try_trapped:
        cmp     qword ptr [rbx + THREAD_FAST], 0
        je      ask
        cmp     dword ptr [rsi + 28], 0xc000003e
        jne     ask
        dec     dword ptr [rbx + C_SAMPLE]      # the kernel sees some: it may patch the site
        js      2f
        lea     rax, [rip + 1f]
        mov     [rbx + C_SLOWIP], rax
        mov     rdi, rbx
        mov     rsi, [r12 + UC_RAX]
        mov     rdx, [r12 + UC_RDI]
        mov     rcx, [r12 + UC_RSI]
        mov     r8, [r12 + UC_RDX]
        mov     r9, [r12 + UC_R10]
        sub     rsp, 8
        and     rsp, -16
        push    qword ptr [r12 + UC_R9]
        push    qword ptr [r12 + UC_R8]
        mov     [rbx + C_SLOWSP], rsp
        call    compiled
        mov     rcx, rax
        shr     rcx, 32
        cmp     ecx, SLOW_HI
        je      1f
        mov     [r12 + UC_RAX], rax
        jmp     load
1:      mov     rsp, r12                        # r12 and rbx are as they were
        sub     rsp, 0x80
        and     rsp, -16
        jmp     ask
2:      mov     eax, [rbx + C_PERIOD]
        mov     [rbx + C_SAMPLE], eax
        jmp     ask

# The signal hit the stub's own code.
in_stub:
        cmp     edi, SIGURG
        je      kicked
        cmp     edi, SIGTRAP
        je      3f
        cmp     edi, SIGSYS
        je      report
        cmp     r13, FAST
        jb      report
        # A fault in compiled code: the kernel shall answer the call instead.
        mov     rax, [rbx + C_SLOWIP]
        mov     [r12 + UC_RIP], rax
        mov     rax, [rbx + C_SLOWSP]
        mov     [r12 + UC_RSP], rax
        mov     [r12 + UC_RBX], rbx
        mov     rax, [rbx + C_FRAME]
        mov     [r12 + UC_R12], rax
        jmp     9b
3:      lea     rax, [rip + born_done]          # a thread begins, or the guest has set TF
        cmp     [r12 + UC_RIP], rax
        je      report
        jmp     9b
kicked: mov     dword ptr [rbx + C_KICKED], 1
        mov     rcx, [r12 + UC_RIP]
        lea     rax, [rip + p_exit]
        cmp     rcx, rax
        jb      9b
        lea     rax, [rip + p_end]
        cmp     rcx, rax
        jae     9b
        lea     rax, [rip + p_exit]             # look at C_KICKED again
        mov     [r12 + UC_RIP], rax
        mov     [r12 + UC_RBX], rbx
        jmp     9b

# ---- hand over to the kernel and wait until it has answered. rbx: area.
# Changes rax, rcx, rdx, rsi, rdi, r10, r11.
hand_over:
        mov     eax, REQ
        xchg    [rbx + C_STATE], eax
        cmp     eax, RUN_WATCHED
        jne     1f
        lea     rdi, [rbx + C_STATE]
        mov     esi, FUTEX_WAKE
        mov     edx, 0x7fffffff         # one that is killed but not gone may wait there, too
        xor     r10d, r10d
        mov     eax, NR_futex
        syscall
1:
resting:
        mov     ecx, [rbx + C_SPIN]
2:      cmp     dword ptr [rbx + C_STATE], REQ
        jne     4f
        dec     ecx
        js      3f
        pause
        jmp     2b
3:      mov     eax, REQ
        mov     ecx, REQ_ASLEEP
        lock cmpxchg [rbx + C_STATE], ecx
        jne     4f
5:      lea     rdi, [rbx + C_STATE]
        mov     esi, FUTEX_WAIT
        mov     edx, REQ_ASLEEP
        xor     r10d, r10d
        mov     eax, NR_futex
        syscall
4:      cmp     dword ptr [rbx + C_STATE], REQ_ASLEEP
        je      5b
        ret

# ---- a patched call site comes here: rax the call, rcx where to go on; r11 is free, the guest's
# stack is not touched. gs is the thread's area unless the guest has set it: then the real
# `syscall` before the return address traps.
patched:
        rdgsbase r11
        shr     r11, 30
        cmp     r11d, AREAS_30
        jne     1f
        mov     gs:[R_RBX], rbx
        rdgsbase rbx
        mov     [rbx + R_RSP], rsp
        mov     [rbx + R_RAX], rax
        mov     [rbx + R_RIP], rcx
        mov     [rbx + R_RDI], rdi
        mov     [rbx + R_RSI], rsi
        mov     [rbx + R_RDX], rdx
        mov     [rbx + R_R10], r10
        mov     [rbx + R_R8], r8
        mov     [rbx + R_R9], r9
        mov     [rbx + R_R15], r15
        mov     [rbx + R_R14], r14
        mov     [rbx + R_R13], r13
        mov     [rbx + R_R12], r12
        mov     [rbx + R_RBP], rbp
        lea     rsp, [rbx + C_STACK_TOP - 64]
        cmp     qword ptr [rbx + THREAD_FAST], 0
        jne     2f
p_ask:  mov     rsp, [rbx + C_FRAME]            # below the frame that the kernel may fill in:
        sub     rsp, 0x80                       # a signal that comes now must not take its place
        and     rsp, -16
        rdfsbase rax
        mov     [rbx + C_FS], rax
        mov     [rbx + C_GS], rbx
        mov     dword ptr [rbx + C_SIGNO], SIGSYS
        mov     dword ptr [rbx + C_KIND], 1
p_again:
        call    hand_over
        mov     eax, [rbx + C_CMD]
        test    eax, eax
        jnz     3f
p_exit: cmp     dword ptr [rbx + C_KICKED], 0
        jne     p_kicked
        mov     rdi, [rbx + R_RDI]
        mov     rsi, [rbx + R_RSI]
        mov     rdx, [rbx + R_RDX]
        mov     r10, [rbx + R_R10]
        mov     r8, [rbx + R_R8]
        mov     r9, [rbx + R_R9]
        mov     rcx, [rbx + R_RIP]
        mov     rax, [rbx + R_RAX]
        mov     rsp, [rbx + R_RSP]
        mov     rbx, [rbx + R_RBX]
        jmp     rcx
p_end:
1:      sub     rcx, 2
        jmp     rcx
p_kicked:
        mov     dword ptr [rbx + C_KICKED], 0
        mov     rsp, [rbx + C_FRAME]
        sub     rsp, 0x80
        and     rsp, -16
        rdfsbase rax
        mov     [rbx + C_FS], rax
        mov     [rbx + C_GS], rbx
        mov     dword ptr [rbx + C_SIGNO], SIGURG
        mov     dword ptr [rbx + C_KIND], 1
        jmp     p_again
2:      # Answered here?
        push    r9
        push    r8
        lea     r11, [rip + 5f]
        mov     [rbx + C_SLOWIP], r11
        mov     [rbx + C_SLOWSP], rsp
        mov     r9, r10
        mov     r8, rdx
        mov     rcx, rsi
        mov     rdx, rdi
        mov     rsi, rax
        mov     rdi, rbx
        call    compiled
        mov     rcx, rax
        shr     rcx, 32
        cmp     ecx, SLOW_HI
        je      5f
        mov     [rbx + R_RAX], rax
        jmp     p_exit
5:      lea     rsp, [rbx + C_STACK_TOP - 64]
        mov     r15, [rbx + R_R15]              # if a fault ended it they are lost
        mov     r14, [rbx + R_R14]
        mov     r13, [rbx + R_R13]
        mov     r12, [rbx + R_R12]
        mov     rbp, [rbx + R_RBP]
        jmp     p_ask
3:      mov     r12, [rbx + C_FRAME]
        cmp     eax, CMD_RETURN
        je      load
        mov     edi, eax
        mov     rcx, [r12 + UC_FPSTATE]
        mov     eax, [rbx + C_XMASK]
        mov     edx, [rbx + C_XMASK + 4]
        xsave64 [rcx]
        cmp     edi, CMD_FRAME
        je      load
        jmp     p_again
compiled:
        mov     rax, STUB_CODE + FAST
        jmp     rax

# ---- the watcher: a clone of the zygote that never runs guest code. It sleeps in poll()
# on the kernel's epoll descriptor and stops when that becomes readable, so that one
# wait4() in the kernel sees guests, timers and host descriptors alike.
# r12: offset of its page, which holds one struct pollfd.
watch:
        xor     esi, esi
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
        mov     edi, CLONE_FORK
        mov     eax, NR_clone
        syscall
        test    rax, rax
        js      fail
        jz      1f
        int3
1:      mov     rdi, STUB_LIST
        mov     esi, 4096
        mov     edx, PROT_READ_WRITE
        mov     r10d, MAP_SHARED_FIXED
        mov     r8d, RAM_FD
        mov     r9, r12
        mov     eax, NR_mmap
        syscall
        test    rax, rax
        js      fail
        mov     edi, PR_SET_PDEATHSIG
        mov     esi, SIGKILL
        mov     eax, NR_prctl
        syscall
        mov     edi, RAM_FD
        mov     eax, NR_close
        syscall
        test    r14d, r14d
        jnz     3f
2:      int3
        mov     rdi, STUB_LIST
        mov     esi, 1
        mov     edx, -1
        mov     eax, NR_poll
        syscall
        jmp     2b
        # Nobody traces it: it tells by the word behind the pollfd, as thread areas do.
3:      mov     rbx, STUB_LIST
        int3
4:      mov     rdi, rbx
        mov     esi, 1
        mov     edx, -1
        mov     eax, NR_poll
        syscall
        test    eax, eax
        jle     4b
        lea     rbx, [rbx + 64]
        lea     rsp, [rbx + 1024]
        call    hand_over
        lea     rbx, [rbx - 64]
        jmp     4b

# ---- constants
        .balign 8
slice:  .quad   0, TICK_US, 0, TICK_US          # struct itimerval
zeros:  .quad   0, 0
name:   .asciz  "pygos-guest"
        .balign 8
action: .quad   STUB_CODE + (on_signal - _start), 0x4c000004   # SIGINFO|ONSTACK|NODEFER|RESTORER
        .quad   STUB_CODE + (born_done - _start), 1 << (SIGURG - 1)
blocked: .quad  0xffffffffbdbffb27         # all but these
signals: .byte  SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGURG, SIGSYS, 0
