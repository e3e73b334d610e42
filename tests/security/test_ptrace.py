# SPDX-License-Identifier: Apache-2.0
"""Debugging inside as an attack: T-ENT-07, T-RACE-05 to 08, T-ESC-02."""

from __future__ import annotations

import pygos
from tests.security.conftest import Compiler

_TRACE = r"""
#include <sys/user.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/audit.h>
#include <stddef.h>
#include <pthread.h>
static long pt(long request, pid_t pid, long addr, long data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}
"""


def _run(machine: pygos.Machine, program: str, *args: str) -> str:
    oopses = machine.dmesg().count("Oops:")
    result = machine.run([program, *args], timeout=60)
    assert machine.dmesg().count("Oops:") == oopses, machine.dmesg()[-3000:]
    assert result.returncode == 0, (result.returncode, result.stdout[-500:], result.stderr[-500:])
    return result.stdout.decode()


_FLAGS_AND_EDGES = r"""
static volatile int traps, segvs;
static void *resume_at;
static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    if (sig == SIGTRAP) {
        traps++;
        uc->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
    } else {
        segvs++;
        uc->uc_mcontext.gregs[REG_RIP] = (long)resume_at;
    }
}
int main(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, 0);
    sigaction(SIGSEGV, &action, 0);
    long rax, ac = 0x40000, tf = 0x100;
    __asm__ volatile("pushf\norq %1, (%%rsp)\npopf\nmov $39, %%eax\nsyscall\n"
                     "pushf\nandq $-0x40001, (%%rsp)\npopf"
                     : "=a"(rax) : "r"(ac) : "rcx", "r11", "memory");
    printf("AC %d\n", rax == getpid());
    __asm__ volatile("mov $39, %%eax\npushf\norq %1, (%%rsp)\npopf\nsyscall\nnop\nnop"
                     : "=a"(rax) : "r"(tf) : "rcx", "r11", "memory");
    printf("TF %d traps %d\n", rax == getpid(), traps > 0);
    /* A call in the last two bytes of the last mapped page: it returns into nothing. */
    char *page = mmap(0, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    page[4094] = 0x0f;
    page[4095] = 0x05;
    resume_at = &&after;
    __asm__ volatile("" ::: "memory");
    void *target = page + 4094;
    __asm__ volatile("mov $39, %%eax\njmp *%0"
                     :: "r"(target) : "rax", "rcx", "r11", "memory");
after:
    printf("page end: segvs %d\n", segvs);
    return 0;
}
"""


def test_t_ent_07_calls_at_odd_places(machine: pygos.Machine, compile_c: Compiler) -> None:
    """The trap and alignment flags and the end of memory change nothing for the kernel."""
    assert _run(machine, compile_c(_FLAGS_AND_EDGES)) == "AC 1\nTF 1 traps 1\npage end: segvs 1\n"


_KILLED_TRACEES = (
    _TRACE
    + r"""
static pid_t victim;
static void *killer(void *arg)
{
    usleep((long)arg);
    kill(victim, SIGKILL);
    return 0;
}
int main(void)
{
    struct user_regs_struct regs;
    long ended = 0, word;
    for (int round = 0; round < 60; round++) {
        pthread_t thread;
        victim = fork();
        if (victim == 0) {
            pt(PTRACE_TRACEME, 0, 0, 0);
            raise(SIGSTOP);
            for (;;)
                syscall(SYS_getppid);
        }
        int status;
        waitpid(victim, &status, 0);
        pt(PTRACE_SETOPTIONS, victim, 0,
           PTRACE_O_TRACESYSGOOD | (round & 1 ? PTRACE_O_TRACEEXIT : 0));
        pthread_create(&thread, 0, killer, (void *)(long)(round * 37 % 2000));
        for (;;) {
            static const int requests[] = {PTRACE_SYSCALL, PTRACE_SINGLESTEP, PTRACE_CONT,
                PTRACE_SYSEMU};
            if (pt(requests[round & 3], victim, 0, 0) < 0 && errno != ESRCH)
                return 2;
            if (waitpid(victim, &status, __WALL) < 0 || !WIFSTOPPED(status))
                break;
            if (pt(PTRACE_GETREGS, victim, 0, (long)&regs) < 0 && errno != ESRCH)
                return 3;
            if (pt(PTRACE_PEEKDATA, victim, regs.rsp, (long)&word) < 0 && errno != ESRCH)
                return 4;
        }
        ended += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        pthread_join(thread, 0);
        if (pt(PTRACE_CONT, victim, 0, 0) != -1 || errno != ESRCH)
            return 5;
    }
    printf("ended %ld\n", ended);
    return 0;
}
"""
)


def test_t_race_05_killed_between_stop_and_resume(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """Whatever the tracer does with a tracee that is just being killed, it ends; ESRCH."""
    assert _run(machine, compile_c(_KILLED_TRACEES)) == "ended 60\n"


_EXEC_MIX = (
    _TRACE
    + r"""
static void *spin(void *arg) { for (;;) syscall(SYS_getppid); return arg; }
static void *execs(void *arg)
{
    usleep((long)arg);
    execl("/bin/true", "true", (char *)0);
    return 0;
}
static void child(long delay)
{
    pthread_t thread;
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, 0, spin, 0);
    pthread_create(&thread, 0, execs, (void *)delay);
    for (;;)
        pause();
}
int main(void)
{
    int exits = 0, kills = 0;
    for (int round = 0; round < 24; round++) {
        pid_t pid = fork(), got;
        if (pid == 0)
            child(round * 997 % 5000);
        int status, traced = round & 1;
        if (traced)
            pt(PTRACE_SEIZE, pid, 0,
               PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
        pid_t teaser = fork();
        if (teaser == 0) {
            for (int i = 0; i < 6; i++) {
                usleep(700);
                kill(pid, i & 1 ? SIGCONT : SIGSTOP);
            }
            if (round % 4 >= 2)
                kill(pid, SIGKILL);
            kill(pid, SIGCONT);
            _exit(0);
        }
        int left = 2;
        while (left && (got = waitpid(-1, &status, __WALL)) > 0) {
            if (WIFSTOPPED(status)) {
                int event = status >> 16, sig = WSTOPSIG(status);
                pt(PTRACE_CONT, got, 0, event || sig == SIGTRAP ? 0 : sig);
            } else if (got == pid || got == teaser) {
                left--;
                if (got == pid && WIFEXITED(status))
                    exits++;
                else if (got == pid)
                    kills++;
            }
        }
        if (left)
            return 1;
    }
    printf("all %d\n", exits + kills);
    return 0;
}
"""
)


def test_t_race_06_exec_in_a_thread_with_stops_and_kills(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """Each process ends, once, whatever order stops, continuations, exec and kill take."""
    assert _run(machine, compile_c(_EXEC_MIX)) == "all 24\n"


_CLONES = (
    _TRACE
    + r"""
static volatile long *ran;
int main(void)
{
    static const unsigned long bits[] = {CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND,
        CLONE_THREAD, CLONE_VFORK, CLONE_PTRACE, CLONE_PARENT, CLONE_UNTRACED};
    int checked = 0, bad = 0;
    ran = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int mask = 0; mask < 512; mask += 7) {
        unsigned long flags = 0;
        for (int i = 0; i < 9; i++)
            if (mask >> i & 1)
                flags |= bits[i];
        for (int sig = 0; sig < 2; sig++) {
            *ran = 0;
            pid_t pid = fork();
            if (pid == 0) {
                char *stack = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                raise(SIGSTOP);
                /* The child's first instruction counts; then it ends. */
                register long r10 __asm__("r10") = 0;
                register long r8 __asm__("r8") = 0;
                long out;
                __asm__ volatile("syscall\ntest %%eax, %%eax\njnz 1f\nlock incq (%%rbx)\n"
                                 "mov $60, %%eax\nxor %%edi, %%edi\nsyscall\n1:"
                                 : "=a"(out) : "a"(SYS_clone), "D"(flags | (sig ? SIGCHLD : 0)),
                                   "S"(stack + 65536), "d"(0), "r"(r10), "r"(r8), "b"(ran)
                                 : "rcx", "r11", "memory");
                _exit(out < 0 ? 1 : 0);
            }
            int status;
            waitpid(pid, &status, WUNTRACED);
            pt(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
               PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
            kill(pid, SIGCONT);
            pid_t got;
            int seen = 0;
            while ((got = waitpid(-1, &status, __WALL)) > 0) {
                if (!WIFSTOPPED(status))
                    continue;
                if (got != pid && !seen) {
                    seen = 1;
                    checked++;
                    if (*ran)
                        bad++; /* it ran before its tracer saw it */
                }
                int sig2 = WSTOPSIG(status);
                if (status >> 16 || sig2 == SIGTRAP || sig2 == SIGSTOP)
                    sig2 = 0;
                pt(PTRACE_CONT, got, 0, sig2);
            }
            if (!seen && *ran && !(flags & CLONE_UNTRACED && !(flags & CLONE_PTRACE)))
                bad++;
        }
    }
    printf("%s, bad %d\n", checked > 40 ? "checked" : "too few", bad);
    return 0;
}
"""
)


def test_t_race_07_no_child_runs_untraced(machine: pygos.Machine, compile_c: Compiler) -> None:
    """clone with masks of flags: the tracer has the child before its first instruction."""
    assert _run(machine, compile_c(_CLONES)) == "checked, bad 0\n"


_FIRST_INSTRUCTION = (
    _TRACE
    + r"""
static void *first(void *arg)
{
    return (void *)syscall(SYS_getppid); /* denied by the filter */
}
static void child(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, code};
    pthread_t thread;
    void *result;
    int denied = 0;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, 2, &prog);
    for (int i = 0; i < 20; i++) {
        pthread_create(&thread, 0, first, 0);
        pthread_join(thread, &result);
        denied += (long)result == -1;
        pid_t pid = fork();
        if (pid == 0)
            _exit(syscall(SYS_getppid) == -1 && errno == 77);
        int status;
        waitpid(pid, &status, 0);
        denied += WEXITSTATUS(status);
    }
    _exit(denied);
}
int main(void)
{
    int status, tasks = 0, late = 0, denied = -1;
    pid_t got, pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        child();
    }
    waitpid(pid, &status, WUNTRACED);
    pt(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD);
    kill(pid, SIGCONT);
    while ((got = waitpid(-1, &status, __WALL)) > 0) {
        struct user_regs_struct regs;
        if (!WIFSTOPPED(status)) {
            if (got == pid)
                denied = WEXITSTATUS(status);
            continue;
        }
        if (status >> 16 == PTRACE_EVENT_STOP && got != pid) {
            unsigned char insn[8];
            tasks++;
            pt(PTRACE_GETREGS, got, 0, (long)&regs);
            pt(PTRACE_PEEKTEXT, got, regs.rip - 2, (long)insn);
            late += insn[0] != 0x0f || insn[1] != 0x05 || regs.rax != 0;
        }
        int sig = WSTOPSIG(status);
        pt(PTRACE_CONT, got, 0, status >> 16 || sig == SIGTRAP || sig == SIGSTOP ? 0 : sig);
    }
    printf("tasks %d late %d denied %d\n", tasks, late, denied);
    return 0;
}
"""
)


def test_t_race_08_the_first_instruction_is_confined(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """New threads and processes have tracer and filter before they execute anything."""
    text = _run(machine, compile_c(_FIRST_INSTRUCTION))
    assert text == "tasks 40 late 0 denied 40\n"


_STUB_PAGES = (
    _TRACE
    + r"""
int main(void)
{
    static const unsigned long places[] = {0x7fff80000000, 0x7fff80000100, 0x7fff80010000,
        0x7fff80011000, 0xffffffffff600000, 0x800000000000, 0xffff800000000000};
    int status, word, refused = 0, faults = 0;
    char path[64];
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        struct user_regs_struct regs;
        struct iovec mine = {&word, 4}, theirs = {(void *)places[i], 4};
        pid_t pid = fork();
        if (pid == 0) {
            struct rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
            pt(PTRACE_TRACEME, 0, 0, 0);
            raise(SIGSTOP);
            for (;;)
                syscall(SYS_getppid);
        }
        waitpid(pid, &status, 0);
        refused += pt(PTRACE_PEEKDATA, pid, places[i], (long)&word) == -1 && errno == EIO;
        refused += pt(PTRACE_POKEDATA, pid, places[i], 0) == -1 && errno == EIO;
        refused += process_vm_readv(pid, &mine, 1, &theirs, 1, 0) == -1 && errno == EFAULT;
        sprintf(path, "/proc/%d/mem", pid);
        int fd = open(path, O_RDWR);
        refused += pread(fd, &word, 4, places[i]) == -1;
        refused += pwrite(fd, &word, 4, places[i]) == -1;
        close(fd);
        /* Debug registers there, the program counter there, stepping there. */
        refused += pt(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg), places[i]) == -1 ||
                   pt(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 1) == -1;
        pt(PTRACE_GETREGS, pid, 0, (long)&regs);
        regs.rip = places[i];
        regs.orig_rax = -1;
        pt(PTRACE_SETREGS, pid, 0, (long)&regs);
        pt(i & 1 ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, 0, 0);
        waitpid(pid, &status, 0);
        if (WIFSTOPPED(status))
            faults += WSTOPSIG(status) == SIGSEGV;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    printf("refused %d faults %d\n", refused, faults);
    return 0;
}
"""
)


def test_t_esc_02_a_debugger_inside_reaches_the_program_only(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """The stub's pages can't be read, written or watched by way of a debugger.

    They can be executed, like any code: the first one's calls then count as the program's.
    """
    assert _run(machine, compile_c(_STUB_PAGES)) == "refused 42 faults 6\n"


_FUZZ = (
    _TRACE
    + r"""
static unsigned long state;
static unsigned long rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
static char area[65536];
static void handler(int sig) { (void)sig; }
static void *worker(void *arg)
{
    for (;;) {
        syscall(SYS_getppid);
        usleep(100);
    }
    return arg;
}
static void victim(void)
{
    pthread_t thread;
    signal(SIGUSR1, handler);
    signal(SIGALRM, handler);
    pthread_create(&thread, 0, worker, 0);
    for (;;) {
        pid_t pid = rnd() & 1 ? fork() : vfork();
        if (pid == 0)
            _exit(rnd() & 1 ? 0 : (execl("/bin/true", "true", (char *)0), 1));
        usleep(rnd() % 300);
        while (waitpid(-1, 0, WNOHANG | __WALL) > 0)
            ;
        raise(SIGUSR1);
    }
}
static long some(pid_t pid)
{
    switch (rnd() % 9) {
    case 0: return 0;
    case 1: return (long)area + rnd() % sizeof area;
    case 2: return rnd();
    case 3: return rnd() % 130;
    case 4: return 0x7fff80000000 + rnd() % 8192;
    case 5: return 1UL << (rnd() & 63);
    case 6: return (long)victim + rnd() % 64;
    case 7: return -1 - (long)(rnd() % 4096);
    default: return (long)area & -8;
    }
}
static int request(void)
{
    static const int common[] = {PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP, PTRACE_SYSEMU,
        PTRACE_SYSEMU_SINGLESTEP, PTRACE_INTERRUPT, PTRACE_LISTEN, PTRACE_CONT, PTRACE_SETOPTIONS};
    switch (rnd() % 4) {
    case 0: return rnd() % 36;
    case 1: return 0x4200 + rnd() % 0x16;
    default: return common[rnd() % 9];
    }
}
int main(int argc, char **argv)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for (int round = 0; round < atoi(argv[2]); round++) {
        state = atoi(argv[1]) * 7919L + round + 1;
        for (int i = 0; i < 20; i++)
            rnd();
        pid_t pids[1024] = {0};
        int known = 1, status;
        pids[0] = fork();
        if (pids[0] == 0)
            victim();
        pt(rnd() & 1 ? PTRACE_SEIZE : PTRACE_ATTACH, pids[0], 0, 0x1000ff & rnd() & ~0x100000);
        for (int i = 0; i < 400; i++) {
            pid_t pid = pids[rnd() % known], got;
            int what = request();
            if (what == PTRACE_TRACEME)
                continue;
            long addr = some(pid), data = some(pid);
            if (what == PTRACE_SETOPTIONS)
                data = rnd() & 0xff;
            if (rnd() % 3 && (what < 36 && what != PTRACE_POKEUSER))
                data = rnd() % 3 ? 0 : SIGUSR1;
            ((long *)area)[0] = (long)area + 64;
            ((long *)area)[1] = rnd() % 512 & -8;
            pt(what, pid, addr, data);
            if (rnd() % 16 == 0)
                kill(pid, (int[]){SIGSTOP, SIGCONT, SIGUSR1, SIGALRM, SIGTRAP}[rnd() % 5]);
            while ((got = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
                int j;
                for (j = 0; j < known && pids[j] != got; j++)
                    ;
                if (j == known && known < 1024)
                    pids[known++] = got;
                if (WIFSTOPPED(status) && rnd() & 1)
                    pt(PTRACE_CONT, got, 0, 0);
            }
        }
        for (int i = 0; i < known; i++) {
            kill(pids[i], SIGKILL);
            pt(PTRACE_CONT, pids[i], 0, 0); /* from an exit stop seen before */
        }
        for (int spins = 0; spins < 4000; spins++) {
            pid_t got = waitpid(-1, &status, WNOHANG | __WALL);
            if (got < 0)
                break;
            if (got == 0)
                usleep(500);
            else if (WIFSTOPPED(status)) {
                kill(got, SIGKILL);
                pt(PTRACE_CONT, got, 0, 0); /* in its exit stop it is beyond killing */
            }
        }
        if (waitpid(-1, &status, WNOHANG | __WALL) != -1)
            return 9; /* somebody can't be killed */
    }
    puts("alive");
    return 0;
}
"""
)


def test_t_race_05_requests_by_chance(machine: pygos.Machine, compile_c: Compiler) -> None:
    """Random requests to tracees that fork, exec, catch signals and die: all can be killed."""
    assert _run(machine, compile_c(_FUZZ), "1", "6") == "alive\n"
