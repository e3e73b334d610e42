# SPDX-License-Identifier: Apache-2.0
#
# Native code of the kernel side: what would be four ctypes calls per trap is one.
# Position independent, no data, no stack frames but pushed registers. Called through
# ctypes with the System V calling convention.
#
# Most routines take the address of a CPU block (512 bytes, one per guest thread):

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

        .text
        .globl run, start, fetch, flush, wait, cmpxchg32

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

# ---- u32 cmpxchg32(u32 *p, u32 old, u32 new): the value found
cmpxchg32:
        mov     eax, esi
        lock cmpxchg [rdi], edx
        ret
