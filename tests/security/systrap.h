/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile program knows of um-systrap: the stub's code and its own thread area. */
#define STUB 0x7fff80000000UL
#define STUB_LIST (STUB + 0x10000)
#define STUB_AREAS (STUB + 0x40000000UL)
#define AREA_SIZE 0x4000
#define C_STATE 0x000
#define C_KIND 0x008
#define C_SIGNO 0x00c
#define C_CMD 0x020
#define C_FRAME 0x050
#define C_REGS 0x080
#define FORKS_MAX 16

typedef unsigned long ul;

/* Where in the stub's page there is a `syscall`, at any byte. */
static ul sites[64];
static int nsites;
static void find_sites(void)
{
    const unsigned char *code = (void *)STUB;
    for (int i = 0; i < 4095; i++)
        if (code[i] == 0x0f && code[i + 1] == 0x05)
            sites[nsites++] = STUB + i;
}

static ul area(void)
{
    ul base;
    asm volatile("rdgsbase %0" : "=r"(base));
    return base;
}

/* The `syscall` of hand_over's last futex call: what follows it, with rbx at a zero, is a return. */
static ul gadget;
static void find_gadget(void)
{
    static const unsigned char after[] = {0x0f, 0x05, 0x83, 0x3b, 0x03, 0x74};
    for (int i = 0; i < nsites; i++)
        if (!memcmp((void *)sites[i], after, sizeof after))
            gadget = sites[i];
}

static long stub_call(ul nr, ul a0, ul a1, ul a2, ul a3, ul a4, ul a5)
{
    static unsigned zero[64];
    register ul r10 asm("r10") = a3;
    register ul r8 asm("r8") = a4;
    register ul r9 asm("r9") = a5;
    ul result;
    asm volatile("sub $128, %%rsp\n mov %[zero], %%rbx\n call *%[at]\n add $128, %%rsp"
                 : "=a"(result)
                 : "a"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9),
                   [zero] "r"((ul)zero), [at] "r"(gadget)
                 : "rcx", "r11", "rbx", "memory");
    return result;
}

/* Jump somewhere with every register chosen: r[0..15] in the numbering of the CPU. */
static void __attribute__((noreturn)) jump(ul to, ul *r)
{
    static __thread ul target;
    static __thread ul regs[16];
    memcpy(regs, r, sizeof regs);
    target = to;
    ul *at = regs;
    /* The address to jump to goes onto the new stack, if there is one, else into r11. */
    at[11] = to;
    asm volatile("mov %0, %%rax\n"
                 "mov 8(%%rax), %%rcx\n mov 16(%%rax), %%rdx\n mov 24(%%rax), %%rbx\n"
                 "mov 32(%%rax), %%rsp\n mov 40(%%rax), %%rbp\n mov 48(%%rax), %%rsi\n"
                 "mov 56(%%rax), %%rdi\n mov 64(%%rax), %%r8\n mov 72(%%rax), %%r9\n"
                 "mov 80(%%rax), %%r10\n mov 88(%%rax), %%r11\n mov 96(%%rax), %%r12\n"
                 "mov 104(%%rax), %%r13\n mov 112(%%rax), %%r14\n mov 120(%%rax), %%r15\n"
                 "mov (%%rax), %%rax\n jmp *%%r11"
                 : : "r"(at) : "memory");
    __builtin_unreachable();
}

static uint64_t seed = 88172645463325252ULL;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Another process with memory of its own; `unharmed` asks it whether it is as it was. */
static int victim_in[2], victim_out[2];
static pid_t victim;
#define PATTERN_SIZE (4 << 20)
static void start_victim(void)
{
    pipe(victim_in);
    pipe(victim_out);
    if ((victim = fork()) != 0)
        return;
    setpgid(0, 0);
    uint64_t *memory = mmap(0, PATTERN_SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int file = memfd_create("pattern", 0);
    ftruncate(file, PATTERN_SIZE);
    uint64_t *shared = mmap(0, PATTERN_SIZE, 3, MAP_SHARED, file, 0);
    for (ul i = 0; i < PATTERN_SIZE / 8; i++)
        memory[i] = shared[i] = i * 0x9e3779b97f4a7c15ULL;
    char c;
    while (read(victim_in[0], &c, 1) == 1) {
        c = 'y';
        for (ul i = 0; i < PATTERN_SIZE / 8; i++)
            if (memory[i] != i * 0x9e3779b97f4a7c15ULL || shared[i] != memory[i])
                c = 'n';
        /* New frames come empty. */
        char *fresh = mmap(0, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < 1 << 20; i++)
            if (fresh[i])
                c = 'n';
        memset(fresh, 0x5a, 1 << 20);
        munmap(fresh, 1 << 20);
        write(victim_out[1], &c, 1);
    }
    _exit(0);
}

static int unharmed(void)
{
    char c = 0;
    write(victim_in[1], "?", 1);
    read(victim_out[0], &c, 1);
    return c == 'y';
}

/* Let several children attack at a time; each gets `ms` and is then killed. How many were there. */
static int attack_all(void (*attack)(int), int count, int ms)
{
    int next = 0, running = 0, done = 0;
    while (done < count) {
        while (running < FORKS_MAX && next < count) {
            pid_t pid = fork();
            if (pid == 0) {
                setpgid(0, 0);
                struct itimerval limit = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};
                seed += next * 0x9e3779b97f4a7c15ULL;
                rnd();
                setitimer(ITIMER_REAL, &limit, 0);
                attack(next);
                _exit(0);
            }
            if (pid < 0)
                return -errno;
            next++, running++;
        }
        int status;
        if (waitpid(-1, &status, 0) > 0)
            running--, done++;
    }
    return done;
}
