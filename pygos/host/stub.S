# SPDX-License-Identifier: Apache-2.0
#
# The only native code that lives in a stub process: one read-and-execute page at
# STUB_CODE, shared by every guest address space. The kernel steers a stopped stub here
# by writing its registers. Each routine ends in a trap, which stops the stub again:
# int3 means success, ud2 failure with -errno in rax.
#
# Assemble: tools/um/assemble.py writes stub and helper into machine_code.py.

        .intel_syntax noprefix
        .equ STUB_CODE,    0x7fff80000000       # the addresses of pygos/host/layout.py
        .equ STUB_LIST,    0x7fff80010000       # list page, read-only for the guest
        .equ STUB_END,     0x7fff80013000
        .equ USER_TOP,     0x7ffffffff000       # end of the 47-bit user half
        .equ RAM_FD,       3
        .equ EVENT_FD,     4

        .equ NR_poll, 7
        .equ NR_mmap, 9
        .equ NR_mprotect, 10
        .equ NR_munmap, 11
        .equ NR_close, 3
        .equ NR_setitimer, 38
        .equ NR_clone, 56
        .equ NR_ptrace, 101
        .equ NR_prctl, 157
        .equ NR_arch_prctl, 158
        .equ NR_setrlimit, 160
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
        .equ ARCH_CPUID_SET, 0x1012
        .equ RLIMIT_CORE, 4
        .equ SIGKILL, 9
        .equ ITIMER_VIRTUAL, 1
        .equ CLONE_FORK,   0x00008011           # CLONE_PARENT|SIGCHLD
        .equ CLONE_THREAD_, 0x00008511          # + CLONE_VM|CLONE_FILES
        .equ TICK_US, 20000

        .text
        .globl _start, setup, confine, batch, fork, watch
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
        int3

# ---- second half, after the watcher was cloned: give up the event descriptor, then
# allow only the system calls below, and only from this page.
confine:
        mov     edi, EVENT_FD
        mov     eax, NR_close
        syscall
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
        lea     rdx, [rip + fprog]
        mov     eax, NR_seccomp
        syscall
        test    rax, rax
        js      fail
        int3
fail:   ud2

# ---- run the list of mapping changes at r15. One entry is 32 bytes:
#   u64 address, u64 length (0 ends the list), u32 protection, u32 syscall number,
#   u64 offset into the RAM memfd. MAP_POPULATE may be added to the protection of an mmap.
#   Stops at the first error, r15 at the bad entry.
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
        syscall
        test    rax, rax
        js      fail
        add     r15, 32
        jmp     batch
1:      int3

# ---- clone this stub. rdi: CLONE_FORK or CLONE_THREAD_; r12: offset of the child's list
# page in the RAM memfd, or -1 to share the parent's. The parent stops with the child's
# pid in rax; the child maps its list page and starts its time slice timer.
fork:
        xor     esi, esi
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
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
        mov     esi, 4096
        mov     r10d, MAP_SHARED_FIXED
        mov     r8d, RAM_FD
        mov     r9, r12
        mov     eax, NR_mmap
        syscall
        test    rax, rax
        js      fail
2:      mov     edi, ITIMER_VIRTUAL
        lea     rsi, [rip + slice]
        xor     edx, edx
        mov     eax, NR_setitimer
        syscall
        test    rax, rax
        js      fail
        mov     edi, PR_SET_PDEATHSIG
        mov     esi, SIGKILL
        mov     eax, NR_prctl
        syscall
        test    rax, rax
        js      fail
        int3

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
2:      int3
        mov     rdi, STUB_LIST
        mov     esi, 1
        mov     edx, -1
        mov     eax, NR_poll
        syscall
        jmp     2b

# ---- constants
        .balign 8
slice:  .quad   0, TICK_US, 0, TICK_US          # struct itimerval
zeros:  .quad   0, 0
name:   .asciz  "pygos-guest"
        .balign 8
fprog:  .quad   (filter_end - filter) / 8       # struct sock_fprog
        .quad   STUB_CODE + (filter - _start)

# ---- the seccomp filter. The first line of defence is SYSEMU: a guest's system call stops
# before seccomp sees it. This one holds if the tracer ever lets a stub run plainly.
        .macro  LD off
        .short  0x20
        .byte   0, 0
        .long   \off
        .endm
        .macro  AND_ k
        .short  0x54
        .byte   0, 0
        .long   \k
        .endm
        .macro  JEQ k, yes, no                  # labels
        .short  0x15
        .byte   (\yes - . - 6) / 8, (\no - . - 5) / 8
        .long   \k
        .endm
        .macro  RET k
        .short  0x06
        .byte   0, 0
        .long   \k
        .endm
        .equ DATA_NR, 0
        .equ DATA_ARCH, 4
        .equ DATA_IP, 8
        .equ DATA_ARGS, 16

        .balign 8
filter: LD      DATA_ARCH
        JEQ     0xc000003e, f1, kill            # x86-64 only: no i386
f1:     LD      DATA_IP + 4
        JEQ     0x7fff, f_stub, f2
f2:     JEQ     0xffffffff, f3, kill            # the vsyscall page cannot be unmapped,
f3:     LD      DATA_IP                         # so a call into it becomes SIGSYS
        AND_    0xfffff000
        JEQ     0xff600000, trap, kill
f_stub: LD      DATA_IP
        AND_    0xfffff000
        JEQ     0x80000000, f4, kill
f4:     LD      DATA_NR
        JEQ     NR_mmap, f_map, f5
f5:     JEQ     NR_mprotect, allow, f6
f6:     JEQ     NR_munmap, allow, f7
f7:     JEQ     NR_clone, f_clone, f8
f8:     JEQ     NR_setitimer, allow, f9
f9:     JEQ     NR_prctl, f_prctl, f10
f10:    JEQ     NR_arch_prctl, f_arch, kill
f_map:  LD      DATA_ARGS + 3*8
        AND_    0xffff7fff                      # with or without MAP_POPULATE
        JEQ     MAP_SHARED_FIXED, f11, kill
f11:    LD      DATA_ARGS + 4*8
        JEQ     RAM_FD, allow, kill
f_clone: LD     DATA_ARGS
        JEQ     CLONE_FORK, allow, f12
f12:    JEQ     CLONE_THREAD_, allow, kill
f_prctl: LD     DATA_ARGS
        JEQ     PR_SET_TSC, allow, f13
f13:    JEQ     PR_SET_PDEATHSIG, f14, kill
f14:    LD      DATA_ARGS + 8
        JEQ     SIGKILL, allow, kill
f_arch: LD      DATA_ARGS
        JEQ     ARCH_CPUID_SET, allow, kill
allow:  RET     0x7fff0000
trap:   RET     0x00030000
kill:   RET     0x80000000
filter_end:
