# SPDX-License-Identifier: Apache-2.0
"""Hostile programs for um-systrap, in C; tests/security/systrap.h goes before each."""

from __future__ import annotations

from pathlib import Path

_HEADER = Path(__file__).with_name("systrap.h").read_text()


def program(text: str) -> str:
    """The text of a whole program (but for conftest's headers)."""
    return _HEADER + text


#: Every dangerous call through a `syscall` of the stub.
CALLS = r"""
static char path[] = "/tmp/t-esc-05-from-the-stub";
static jmp_buf back;
static void caught(int sig) { siglongjmp(back, sig); }
static void check(const char *what, int fine) { printf("%s %s\n", what, fine ? "ok" : "BAD"); }
int main(void)
{
    find_sites();
    find_gadget();
    struct sigaction act = {.sa_handler = caught, .sa_flags = SA_NODEFER | SA_ONSTACK};
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, 0);
    sigaction(SIGSEGV, &act, 0);
    sigaction(SIGBUS, &act, 0);
    check("gadget", gadget != 0);
    /* RAM: no descriptor of that kind. (The guest's own 3 is a file that could be mapped.) */
    int fd = open("/etc/passwd", O_RDONLY);
    check("three", fd == 3);
    int maps = 0;
    char *at = mmap(0, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int prot = 0; prot < 8; prot++)
        for (ul offset = 0; offset < 1UL << 32; offset = offset ? offset << 1 : 4096)
            for (int flags = 0x11; flags <= 0x8011; flags += 0x8000)
                maps += stub_call(9, (ul)at, 4096, prot, flags, 3, offset) != -EBADF;
    check("mmap of the RAM", maps == 0);
    check("mmap over the stub", stub_call(9, STUB, 4096, 7, 0x11, 3, 0) == -EBADF
          && stub_call(9, STUB_LIST, 4096, 7, 0x11, 3, 0) == -EBADF
          && stub_call(9, area() + 4096, 4096, 3, 0x11, 3, 0) == -EBADF);
    maps = 0;
    for (int n = 0; n < 1024; n++) {
        if (n == 3)
            continue;
        long result = stub_call(9, (ul)at, 4096, 1, 0x11, n, 0);
        maps += result != -EBADF && result != -EACCES && result != -ENODEV;
    }
    check("mmap of other descriptors", maps == 0);
    /* These are answered by our kernel: as for any address above the guest's. */
    check("mprotect", stub_call(10, STUB, 4096, 7, 0, 0, 0) == -ENOMEM
          && stub_call(10, STUB_LIST, 4096, 3, 0, 0, -1UL) == -ENOMEM
          && stub_call(10, area() + 4096, 4096, 3, 0, 0, 1) == -ENOMEM);
    check("munmap", stub_call(11, STUB, 4096, 0, 0, 0, 0) == -EINVAL
          && stub_call(11, area(), 4096, 0, 0, 0, 0) == -EINVAL);
    check("getpid", stub_call(39, 0, 0, 0, 0, 0, 0) == getpid());
    check("getppid", stub_call(110, 0, 0, 0, 0, 0, 0) == getppid());
    check("openat", stub_call(257, AT_FDCWD, (ul)path, O_CREAT | O_WRONLY, 0600, 0, 0) == 4);
    check("ptrace", stub_call(101, PTRACE_ATTACH, getppid(), 0, 0, 0, 0) < 0);
    check("kill", stub_call(62, getpid(), 0, 0, 0, 0, 0) == 0
          && stub_call(62, 0x3fffffff, 9, 0, 0, 0, 0) == -ESRCH);
    char name[390];
    check("uname", stub_call(63, (ul)name, 0, 0, 0, 0, 0) == 0);
    check("process_vm", stub_call(311, getppid(), 0, 0, 0, 0, 0) <= 0);
    check("prctl", stub_call(157, PR_SET_PDEATHSIG, 0, 0, 0, 0, 0) == 0
          && stub_call(157, PR_SET_PDEATHSIG, 9, 0, 0, 0, 0) == 0
          && stub_call(157, PR_SET_DUMPABLE, 1, 0, 0, 0, 0) == 0);
    unsigned word = 1;
    check("futex of the guest", stub_call(202, (ul)&word, 0, 0, 0, 0, 0) == -EAGAIN
          && stub_call(202, (ul)&word, 1, 1, 0, 0, 0) == 0);
    struct timespec soon = {0, 1000};
    check("futex with a time", stub_call(202, (ul)&word, 0, 1, (ul)&soon, 0, 0) == -ETIMEDOUT);
    /* What may be changed stays what it was. */
    static const ul fixed[] = {STUB, STUB + 4095, STUB + 0x1000, STUB_LIST, STUB_LIST + 0x1000,
                               STUB_LIST + 64, STUB_LIST + 0x1ff8};
    int faults = 0;
    for (int i = 0; i < 7; i++) {
        if (!sigsetjmp(back, 1))
            *(volatile char *)fixed[i] = 1;
        else
            faults++;
    }
    if (!sigsetjmp(back, 1))
        *(volatile char *)(area() + 4096) = 1;
    else
        faults++;
    check("read-only pages", faults == 8);
    puts("end");
}
"""

#: All pages above the guest's: which can be written? One child per page that can be read.
PAGES = r"""
static volatile ul where;
static void write_there(void) { *(volatile char *)where = 0; }
static void read_there(void) { (void)*(volatile char *)where; }
int main(void)
{
    ul mine = area(), base = mine & ~(AREA_SIZE - 1UL);
    for (where = STUB; where < STUB + 0x14000; where += 4096) {
        int reads = in_child(read_there) == 0;
        int writes = in_child(write_there) == 0;
        if (reads | writes)
            printf("stub+%lx %d%d\n", where - STUB, reads, writes);
    }
    for (where = base - 4096; where <= base + AREA_SIZE; where += 4096) {
        int reads = in_child(read_there) == 0;
        int writes = in_child(write_there) == 0;
        if (reads | writes)
            printf("area+%lx %d%d\n", where - base, reads, writes);
    }
}
"""

#: A jump to every byte of the stub's page, with registers that make sense and others.
OFFSETS = r"""
static char path[] = "/tmp/t-esc-07-offsets";
static char *scratch;
static ul pick(void)
{
    switch (rnd() % 16) {
    case 0: return area();
    case 1: return area() + rnd() % AREA_SIZE;
    case 2: return (ul)scratch + rnd() % 65536;
    case 3: return STUB_LIST + rnd() % 0x3000;
    case 4: return STUB + rnd() % 4096;
    case 5: return rnd() % 512;
    case 6: return 3;
    case 7: return rnd();
    case 8: return (ul)path;
    case 9: return STUB_AREAS + (rnd() & 0x3fffffff & ~3UL);
    case 10: return 0;
    case 11: return -1UL;
    case 12: return 0x11;
    case 13: return 0x8011;
    case 14: return 0xa08111;
    default: return 1UL << rnd() % 64;
    }
}
static const int calls[] = {9, 10, 11, 13, 14, 15, 25, 38, 41, 56, 57, 59, 62, 101, 131, 157, 158,
                            202, 257, 310, 311, 317, 319, 321, 424, 434, 435, 436, 437, 438, 449};
static void attack(int n)
{
    scratch = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ul r[16];
    for (int i = 0; i < 16; i++)
        r[i] = pick();
    r[0] = calls[rnd() % (sizeof calls / sizeof *calls)];
    if (rnd() % 4)
        r[3] = rnd() % 2 ? area() : (ul)scratch + 4096;
    if (rnd() % 4)
        r[4] = rnd() % 2 ? (ul)scratch + 32768 : area() + 0x3800;
    jump(STUB + (n * 8 + rnd() % 8) % 4096, r);
}
int main(int argc, char **argv)
{
    start_victim();
    int rounds = atoi(argv[1]);
    seed ^= strtoul(argv[2], 0, 0) * 0x2545f4914f6cdd1dULL;
    printf("%d\n", attack_all(attack, 512 * rounds, 300) == 512 * rounds);
    puts(unharmed() ? "unharmed" : "HARMED");
}
"""

#: Threads rewrite their siblings' areas while these run, wait, and are at rest.
FORGE = r"""
#include <pthread.h>
static ul areas[8];
static volatile int ready;
static ul pick(int offset)
{
    switch (rnd() % 10) {
    case 0: return rnd() % 6;
    case 1: return rnd();
    case 2: return STUB + rnd() % 4096;
    case 3: return STUB_LIST;
    case 4: return areas[rnd() % 4] + rnd() % AREA_SIZE;
    case 5: return 0x8000000000000000UL >> rnd() % 64;
    case 6: return rnd() % 40;
    case 7: return -rnd() % 600;
    case 8: return 0x7ffffffff000UL + (rnd() % 16 << 12);
    default: return 0;
    }
}
static void *forger(void *arg)
{
    for (;;) {
        ul at = areas[rnd() % 4];
        ul offset;
        switch (rnd() % 4) {
        case 0: offset = 0; break;
        case 1: offset = (rnd() % 32) * 4; break;
        case 2: offset = C_REGS + (rnd() % 27) * 8; break;
        default: offset = 0x2000 + (rnd() % 0x400) * 8;
        }
        if (rnd() % 2)
            *(volatile unsigned *)(at + offset) = pick(offset);
        else if (offset % 8 == 0)
            *(volatile ul *)(at + offset) = pick(offset);
    }
}
static void *worker(void *arg)
{
    areas[(long)arg] = area();
    __sync_fetch_and_add(&ready, 1);
    char buffer[64];
    for (;;) {
        int fds[2];
        getppid();
        if (pipe(fds) == 0) {
            write(fds[1], buffer, 64);
            read(fds[0], buffer, 64);
            close(fds[0]);
            close(fds[1]);
        }
        char *p = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED) {
            memset(p, 1, 65536);
            munmap(p, 65536);
        }
        usleep(10);
    }
}
static void attack(int n)
{
    pthread_t thread;
    areas[3] = area();
    for (long i = 0; i < 3; i++)
        pthread_create(&thread, 0, worker, (void *)i);
    while (ready < 3)
        sched_yield();
    if (n % 2)
        pthread_create(&thread, 0, forger, 0);
    forger(0);
}
int main(int argc, char **argv)
{
    start_victim();
    seed ^= strtoul(argv[2], 0, 0) * 0x2545f4914f6cdd1dULL;
    int count = atoi(argv[1]);
    printf("%d\n", attack_all(attack, count, 500) == count);
    puts(unharmed() ? "unharmed" : "HARMED");
}
"""

#: One field of the thread's own control page is forged before a call.
FIELDS = r"""
static const ul values[] = {
    0, 1, 2, 3, 4, 5, 0xff, 0xffffffff, 1UL << 31, -1UL, 1UL << 63, STUB, STUB_LIST, 0x7fffffffffff,
    0x800000000000, 0xffff800000000000UL, 11, 31, 23, 5, 80, 0xc000003e,
};
#define NVALUES (sizeof values / sizeof *values)
static void *other(void *arg)
{
    ul *target = arg;
    for (;;)
        *(volatile ul *)target[0] = target[1];
}
static int step;
static void attack(int n)
{
    pthread_t thread;
    static ul target[2];
    n = (n * step + rnd() % step) % (NVALUES * (0x80 + 27 * 8) / 8);
    target[0] = area() + n / NVALUES * 8;
    target[1] = values[n % NVALUES];
    pthread_create(&thread, 0, other, target);
    for (int i = 0; i < 50; i++) {
        getppid();
        kill(getpid(), 0);
        *(volatile char *)mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
    }
}
int main(int argc, char **argv)
{
    start_victim();
    step = atoi(argv[1]);
    seed ^= strtoul(argv[2], 0, 0) * 0x2545f4914f6cdd1dULL;
    int count = NVALUES * (0x80 + 27 * 8) / 8 / step;
    printf("%d\n", attack_all(attack, count, 150) == count);
    puts(unharmed() ? "unharmed" : "HARMED");
}
"""

#: rt_sigreturn with frames of the attacker's making, from the stub and by our kernel.
FRAMES = r"""
#include <ucontext.h>
struct frame { void *restorer; ucontext_t uc; char fpu[4096]; } __attribute__((aligned(64)));
static volatile int turns;
static void spin(void)
{
    for (;;)
        turns++;
}
static void calls(void)
{
    for (;;)
        syscall(SYS_getppid);
}
static void faults(void) { *(volatile int *)0 = 0; }
static void attack(int n)
{
    static char stack[65536];
    struct frame *f = aligned_alloc(64, sizeof *f);
    memset(f, 0, sizeof *f);
    greg_t *g = f->uc.uc_mcontext.gregs;
    static void (*const goals[])(void) = {spin, calls, faults};
    g[REG_RIP] = (greg_t)goals[n % 3];
    g[REG_RSP] = (greg_t)(stack + 65000);
    static const ul selectors[] = {0x33, 0x23, 0x10, 0x1b, 0, 0x2b, 7, 0xffff};
    g[REG_CSGSFS] = selectors[n / 3 % 8] | 0x2bUL << 48;
    g[REG_EFL] = n / 24 % 2 ? 0x202 : -1L;
    f->uc.uc_stack.ss_sp = n / 48 % 2 ? (void *)STUB_LIST : stack;
    f->uc.uc_stack.ss_size = 32768;
    memset(&f->uc.uc_sigmask, n / 96 % 2 ? 0xff : 0, 8);
    if (n / 192 % 2) {
        for (int i = 0; i < 4096; i++)
            f->fpu[i] = rnd();
        *(unsigned *)(f->fpu + 464) = 0x46505853;
        f->uc.uc_mcontext.fpregs = (void *)f->fpu;
        f->uc.uc_flags = 1;
    }
    find_sites();
    ul r[16] = {15};
    r[4] = (ul)&f->uc;
    jump(sites[n % nsites], r);
}
int main(int argc, char **argv)
{
    start_victim();
    printf("%d\n", attack_all(attack, 384, 200) == 384);
    puts(unharmed() ? "unharmed" : "HARMED");
}
"""

#: Blocks every signal of the host's, by a forged frame, and then computes, or sleeps, for ever.
DEAF = r"""
#include <ucontext.h>
struct frame { void *restorer; ucontext_t uc; } __attribute__((aligned(64)));
static int how;
static void after(void)
{
    if (how)
        stub_call(202, area(), 0, 1, 0, 0, 0);
    for (;;)
        ;
}
int main(int argc, char **argv)
{
    start_victim();
    unharmed();
    find_sites();
    find_gadget();
    how = atoi(argv[1]);
    static char stack[65536];
    pid_t pid = fork();
    if (pid == 0) {
        struct frame *f = aligned_alloc(64, sizeof *f);
        memset(f, 0, sizeof *f);
        greg_t *g = f->uc.uc_mcontext.gregs;
        g[REG_RIP] = (greg_t)after;
        g[REG_RSP] = (greg_t)(stack + 65000);
        g[REG_CSGSFS] = 0x33 | 0x2bUL << 48;
        g[REG_EFL] = 0x202;
        memset(&f->uc.uc_sigmask, 0xff, 8);
        ul r[16] = {15};
        r[4] = (ul)&f->uc;
        jump(gadget, r);
    }
    for (int i = 0; i < 5; i++)
        if (!unharmed())
            puts("HARMED");
    usleep(20000);
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    printf("%d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
"""

#: Wakes the kernel for nothing, and changes the word that it waits for, for ever.
NOISE = r"""
#include <pthread.h>
static ul target;
static void *noisy(void *arg)
{
    if (arg)
        for (;;)
            for (unsigned state = 0; state < 6; state++)
                *(volatile unsigned *)target = state == 2 || state == 3 || !state ? 1 : state;
    for (;;)
        stub_call(202, target, 1, 0x7fffffff, 0, 0, 0);
}
static void *quiet(void *arg)
{
    target = area();
    for (;;)
        ;
}
int main(int argc, char **argv)
{
    find_sites();
    find_gadget();
    start_victim();
    unharmed();
    int how = atoi(argv[1]);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        target = area();
        if (how & 2) {
            pthread_create(&thread, 0, quiet, 0);
            usleep(1000);
        }
        noisy((void *)(long)(how & 1));
    }
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 5; i++)
        usleep(100000); /* longer than a slice */
    clock_gettime(CLOCK_MONOTONIC, &after);
    printf("%s\n", after.tv_sec - before.tv_sec > 3 ? "LATE" : "in time");
    puts(unharmed() ? "unharmed" : "HARMED");
    kill(pid, SIGKILL);
    int status;
    waitpid(pid, &status, 0);
    printf("%d\n", WIFSIGNALED(status));
}
"""

#: Says that it is at rest, runs on, and looks for memory of others in pages it has given back.
LIAR = r"""
#include <pthread.h>
#define PAGES 256
static volatile ul *pages;
static ul mine;
static volatile int found, looking;
static __thread sigjmp_buf here;
static void caught(int sig) { siglongjmp(here, 1); }
static void *look(void *arg)
{
    for (;;) {
        if (sigsetjmp(here, 1))
            continue;
        for (;;) {
            looking++;
            for (int i = 0; i < PAGES; i++) {
                ul value = pages[i * 512];
                if (value && value != 0x1111111111111111UL)
                    found = 1;
                pages[i * 512 + 1] = 0x1111111111111111UL;
            }
        }
    }
}
/* Ask for munmap, madvise and the like by a forged request, while running on. */
static void forge(ul nr, ul a0, ul a1, ul a2)
{
    volatile ul *regs = (void *)(mine + C_REGS);
    regs[14] = a0, regs[13] = a1, regs[12] = a2, regs[10] = nr, regs[16] = (ul)forge;
    *(volatile unsigned *)(mine + C_SIGNO) = 31;
    *(volatile unsigned *)(mine + C_KIND) = 1;
    __sync_synchronize();
    *(volatile unsigned *)mine = 2;
    stub_call(202, mine, 1, 1, 0, 0, 0);
    for (int i = 0; i < 20000 && *(volatile unsigned *)mine == 2; i++)
        (void)pages[rnd() % PAGES * 512];
}
static void attack(int n)
{
    struct sigaction act = {.sa_handler = caught, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &act, 0);
    sigaction(SIGBUS, &act, 0);
    find_sites();
    find_gadget();
    mine = area();
    pages = mmap(0, PAGES * 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset((void *)pages, 0x11, PAGES * 4096);
    pthread_t thread;
    if (n % 2)
        pthread_create(&thread, 0, look, 0);
    for (int i = 0; i < 200; i++) {
        if (!sigsetjmp(here, 1)) {
            forge(n % 4 < 2 ? 28 : 11, (ul)pages, PAGES * 4096, MADV_DONTNEED);
            for (int j = 0; j < PAGES; j++) {
                ul value = pages[j * 512];
                if (value && value != 0x1111111111111111UL)
                    found = 1;
                pages[j * 512 + 1] = 0x1111111111111111UL;
            }
        } else
            mmap((void *)pages, PAGES * 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (found) {
            *(int *)victim = 1;
            break;
        }
    }
    if (found)
        write(victim_out[1], "!", 1);
}
int main(int argc, char **argv)
{
    start_victim();
    int count = atoi(argv[1]);
    /* The victim is kept busy with fresh memory. */
    pid_t asker = fork();
    if (asker == 0) {
        int fine = 1;
        for (int i = 0; i < 60 && fine; i++)
            fine = unharmed();
        _exit(!fine);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, 0);
    int done = 0, status, asked = 0;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct itimerval limit = {{0, 0}, {0, 300000}};
            setitimer(ITIMER_REAL, &limit, 0);
            attack(i);
            _exit(found);
        }
        waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status))
            puts("SAW OTHERS' MEMORY");
        done++;
    }
    waitpid(asker, &asked, 0);
    printf("%d %d\n", done == count, asked);
}
"""

#: gs and fs anywhere, with calls through patched and unpatched sites.
BASES = r"""
static const ul bases[] = {
    0, 1, 8, 0x7fffbfffffffUL, 0x7fffc0000000UL, 0x7fffc0000001UL, 0x7fffc0004000UL,
    0x7ffffffffff8UL, 0x7fffffffffffUL, 0xffff800000000000UL, 0xffffffffff600000UL, -1UL,
    STUB, STUB_LIST, STUB_LIST + 0x1000, STUB_AREAS + 0x3fffc000UL,
};
static void attack(int n)
{
    for (int i = 0; i < 20; i++)
        getppid();
    ul base = n < 16 ? bases[n] : rnd() >> rnd() % 64;
    if ((long)(base << 16) >> 16 != (long)base)
        base &= 0x7fffffffffffUL;
    if (n % 3 == 0)
        base = area() + rnd() % 16384;
    asm volatile("wrgsbase %0" : : "r"(base));
    for (int i = 0; i < 20; i++)
        getppid();
    ul r[16];
    for (int i = 0; i < 16; i++)
        r[i] = rnd() % 3 ? rnd() : area() + rnd() % 16384;
    r[0] = rnd() % 450;
    jump(PATCHED, r);
}
int main(int argc, char **argv)
{
    start_victim();
    printf("%d\n", attack_all(attack, 160, 200) == 160);
    puts(unharmed() ? "unharmed" : "HARMED");
}
"""

#: Pages of the kernel's that every process shows: the clocks' and the code that reads them.
VVAR = r"""
static unsigned char before[65536], now[65536];
static ul lo, hi, code, end;
static void find(const char *name, ul *from, ul *to)
{
    char line[256];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, name))
            sscanf(line, "%lx-%lx", from, to);
    fclose(maps);
}
static void attack(int n)
{
    ul at = n % 2 ? code : lo, size = n % 2 ? end - code : hi - lo;
    struct iovec mine = {"XXXXXXXX", 8}, theirs = {(void *)at, 8};
    int mem = open("/proc/self/mem", O_RDWR), zero = open("/dev/zero", O_RDONLY), fds[2];
    pipe(fds);
    write(fds[1], "XXXXXXXX", 8);
    mprotect((void *)at, size, PROT_READ | PROT_WRITE | PROT_EXEC);
    mprotect((void *)at, 4096, PROT_READ | PROT_WRITE);
    pwrite(mem, "XXXXXXXX", 8, at);
    process_vm_writev(getpid(), &mine, 1, &theirs, 1, 0);
    read(fds[0], (void *)at, 8);
    read(zero, (void *)at, 4096);
    madvise((void *)at, size, MADV_REMOVE);
    madvise((void *)at, size, MADV_DONTNEED);
    madvise((void *)at, size, MADV_FREE);
    remap_file_pages((void *)at, 4096, 0, 0, 0);
    void *moved = mremap((void *)at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, 0x200000000UL);
    if (moved != MAP_FAILED) {
        mprotect(moved, size, PROT_READ | PROT_WRITE);
        pwrite(mem, "XXXXXXXX", 8, (ul)moved);
        pid_t child = fork();
        if (!child) {
            *(volatile long *)moved = 0;
            _exit(0);
        }
        waitpid(child, 0, 0);
        /* A system call of the code's own, often enough to be patched. */
        unsigned char *text = moved;
        for (ul i = 0; n % 2 && i + 2 < size; i++)
            if (text[i] == 0x0f && text[i + 1] == 5 && text[i + 2] == 0xc3)
                for (int turn = 0; turn < 20; turn++)
                    asm volatile("call *%1" : : "a"(39), "r"(text + i) : "rcx", "r11", "memory");
        *(volatile long *)moved = 0;
    } else
        *(volatile long *)at = 0;
}
int main(void)
{
    find("[vvar]", &lo, &hi);
    find("[vdso]", &code, &end);
    memcpy(before, (void *)code, end - code);
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    attack_all(attack, 8, 500);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    memcpy(now, (void *)code, end - code);
    printf("%d %d\n", lo != 0 && code != 0, !memcmp(before, now, end - code));
    printf("%d\n", t1.tv_sec - t0.tv_sec >= 0 && t1.tv_sec - t0.tv_sec < 60);
}
"""

#: Code in pages that others see too: a file, mapped shared and private, and shared memory.
PATCHES = r"""
static unsigned char code[] = {0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x90, 0x90, 0xc3,
                               0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3};
static void calls(unsigned char *at)
{
    for (int i = 0; i < 50; i++) {
        ul result;
        asm volatile("call *%2" : "=a"(result) : "a"(39), "r"(at) : "rcx", "r11", "memory");
        if (result != getpid())
            puts("BAD");
    }
}
int main(void)
{
    int file = open("/tmp/text", O_CREAT | O_RDWR, 0700);
    ftruncate(file, 4096);
    pwrite(file, code, sizeof code, 64);
    int again = open("/tmp/text", O_RDONLY), memory = memfd_create("text", 0);
    ftruncate(memory, 4096);
    pwrite(memory, code, sizeof code, 64);
    int fds[] = {file, again, memory}, flags[] = {MAP_SHARED, MAP_PRIVATE};
    for (int i = 0; i < 6; i++) {
        unsigned char *at = mmap(0, 4096, PROT_READ | PROT_EXEC, flags[i % 2], fds[i / 2], 0);
        calls(at + 64);
        unsigned char seen[sizeof code];
        pread(fds[i / 2], seen, sizeof code, 64);
        printf("%d", !memcmp(seen, code, sizeof code));
    }
    close(file);
    unsigned char *at = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, again, 0), c[32];
    calls(at + 64);
    pread(again, c, sizeof code, 64);
    printf("%d\n", !memcmp(c, code, sizeof code));
}
"""

#: Processes that block every signal and compute, or sleep on the host.
UNDEAD = r"""
#include <ucontext.h>
struct frame { void *restorer; ucontext_t uc; } __attribute__((aligned(64)));
static char stack[65536];
static void after(ul how)
{
    write(1, "up\n", 3);
    if (how % 2)
        stub_call(202, area(), 0, 1, 0, 0, 0);
    for (;;)
        ;
}
int main(void)
{
    find_sites();
    find_gadget();
    for (ul how = 0; how < 4; how++) {
        if (fork())
            continue;
        struct frame *f = aligned_alloc(64, sizeof *f);
        memset(f, 0, sizeof *f);
        greg_t *g = f->uc.uc_mcontext.gregs;
        g[REG_RIP] = (greg_t)after;
        g[REG_RSP] = (greg_t)(stack + 65000);
        g[REG_RDI] = how;
        g[REG_CSGSFS] = 0x33 | 0x2bUL << 48;
        g[REG_EFL] = 0x202;
        memset(&f->uc.uc_sigmask, 0xff, 8);
        sigdelset(&f->uc.uc_sigmask, SIGSYS); /* it still makes a call */
        ul r[16] = {15};
        r[4] = (ul)&f->uc;
        jump(gadget, r);
    }
    pause();
}
"""

#: What is left to see in windows above the guest's memory after their file is gone.
WINDOWS = r"""
static sigjmp_buf back;
static void caught(int sig) { siglongjmp(back, 1); }
#define WINDOWS (STUB + 0x1000000UL)
/* Pages of the first 1024 above WINDOWS that can be read; those that have the word `what`. */
static void look(const char *what, int *there, int *found)
{
    *there = *found = 0;
    for (int i = 0; i < 1024; i++)
        if (!sigsetjmp(back, 1)) {
            volatile char *page = (char *)WINDOWS + i * 4096;
            char first = *page;
            ++*there;
            *found += !memcmp((char *)page, what, 8);
        }
}
static int writable(void)
{
    int count = 0;
    for (int i = 0; i < 64; i++)
        if (!sigsetjmp(back, 1)) {
            *((volatile char *)WINDOWS + i * 4096) = 'X';
            count++;
        }
    return count;
}
static char buffer[4096];
static int make(const char *name, const char *word, int pages)
{
    int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);
    for (int i = 0; i < pages; i++) {
        memset(buffer, 0, 4096);
        strcpy(buffer, word);
        write(fd, buffer, 4096);
    }
    return fd;
}
static void reads(int fd)
{
    for (int i = 0; i < 200; i++)
        pread(fd, buffer, 4096, i % 16 * 4096);
}
int main(void)
{
    struct sigaction act = {.sa_handler = caught, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &act, 0);
    sigaction(SIGBUS, &act, 0);
    int there, found;
    setvbuf(stdout, 0, _IONBF, 0);
    int fd = make("/tmp/win", "public..", 16);
    reads(fd);
    look("public..", &there, &found);
    printf("window %d\n", there > 0);
    printf("writable %d\n", writable());
    /* The frames serve another: a file of somebody else's, and another process. */
    ftruncate(fd, 0);
    int other = make("/tmp/other", "private.", 64);
    look("private.", &there, &found);
    printf("truncated %d\n", found);
    look("public..", &there, &found);
    printf("old %d\n", found);
    close(other);
    /* Unlinked and closed. */
    fd = make("/tmp/win", "public..", 16);
    reads(fd);
    unlink("/tmp/win");
    close(fd);
    make("/tmp/other2", "private.", 64);
    look("private.", &there, &found);
    printf("closed %d\n", found);
    /* A child has no windows of its parent's. */
    fd = make("/tmp/win", "public..", 16);
    reads(fd);
    if (!fork()) {
        look("public..", &there, &found);
        printf("child %d\n", found);
        fflush(stdout);
        _exit(0);
    }
    wait(0);
    /* The position page says what it likes. */
    reads(fd);
    ul *positions = (ul *)(STUB_LIST + 0x2000);
    int wrong = 0;
    for (int i = 0; i < 2000; i++) {
        if (!sigsetjmp(back, 1))
            positions[fd] = i % 3 ? rnd() : 1UL << i % 64 | positions[fd] & 0xffff000000000000UL;
        ssize_t got = read(fd, buffer, 64);
        off_t at = lseek(fd, 0, SEEK_CUR);
        if (got < 0 || got > 64 || at < 0)
            wrong++;
        getppid();
        for (int turn = 0; turn < 5; turn++)
            pread(fd, buffer, 4096, 0);
    }
    printf("positions %d\n", wrong);
}
"""
