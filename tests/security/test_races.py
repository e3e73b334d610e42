# SPDX-License-Identifier: Apache-2.0
"""T-RACE: a second thread changes what a call reads, or takes it away, while the call runs.

``PYGOS_RACES=N make test`` tries N times as often.
"""

from __future__ import annotations

import os

import pytest

import pygos
from tests.security.conftest import Compiler

pytestmark = pytest.mark.boots

_TIMES = int(os.environ.get("PYGOS_RACES", "1"))

_REWRITE = r"""
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
static volatile int stop;
static int tries;
/* All these are changed by single stores, so whoever reads once sees one or the other. */
static volatile unsigned long path __attribute__((aligned(8)));
static struct iovec vec[2];
static struct msghdr msg;
static char *args[3];
static struct sockaddr_un address;
static unsigned long word(const char *text)
{
    unsigned long value = 0;
    memcpy(&value, text, strlen(text));
    return value;
}
static void *rewrite(void *arg)
{
    unsigned long a = word("/tmp/aa"), b = word("/tmp/bb");
    char *good = args[1];
    while (!stop) {
        path = a;
        ((volatile struct iovec *)vec)->iov_len = 4;
        *(volatile size_t *)&msg.msg_controllen = 0;
        *(char *volatile *)&args[1] = good;
        path = b;
        ((volatile struct iovec *)vec)->iov_len = 8;
        *(volatile size_t *)&msg.msg_controllen = 1UL << 62;
        *(char *volatile *)&args[1] = 0;
        ((volatile struct iovec *)vec)->iov_len = 1UL << 63;
    }
    return arg;
}
static void opens(void)
{
    int bad = 0, a = 0, b = 0;
    struct stat st, sa, sb;
    stat("/tmp/aa", &sa);
    stat("/tmp/bb", &sb);
    for (int i = 0; i < tries; i++) {
        int fd = open((char *)&path, O_RDONLY);
        if (fd < 0 || fstat(fd, &st) || (st.st_ino != sa.st_ino && st.st_ino != sb.st_ino))
            bad++;
        a += st.st_ino == sa.st_ino;
        b += st.st_ino == sb.st_ino;
        close(fd);
    }
    printf("opens: %d bad\n", bad);
}
static void writes(void)
{
    int p[2], bad = 0;
    static char data[64];
    pipe2(p, O_NONBLOCK);
    vec[0].iov_base = data;
    vec[1].iov_base = data;
    vec[1].iov_len = 4;
    for (int i = 0; i < tries; i++) {
        errno = 0;
        long put = writev(p[1], vec, 2);
        long got = put > 0 ? read(p[0], data, 64) : 0;
        if (!(put == 8 && got == 8) && !(put == 12 && got == 12) && !(put < 0 && errno == EINVAL))
            bad++;
    }
    printf("writes: %d bad\n", bad);
}
static void messages(void)
{
    int s[2], bad = 0;
    char data[4], control[64];
    struct iovec one = {data, 4};
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s);
    msg.msg_iov = &one;
    msg.msg_iovlen = 1;
    msg.msg_control = control;
    for (int i = 0; i < tries; i++) {
        long put = sendmsg(s[0], &msg, 0);
        long got = put > 0 ? recv(s[1], data, 4, 0) : 0;
        if (!(put == 4 && got == 4) && !(put < 0 && (errno == ENOBUFS || errno == EINVAL)))
            bad++;
    }
    printf("messages: %d bad\n", bad);
}
static void programs(void)
{
    /* The argument array loses or keeps its second string; nothing else may happen. */
    int bad = 0;
    for (int i = 0; i < tries / 100 + 3; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execve("/bin/true", args, 0);
            _exit(99);
        }
        int status;
        waitpid(pid, &status, 0);
        bad += status != 0;
    }
    printf("programs: %d bad\n", bad);
}
int main(int argc, char **argv)
{
    pthread_t thread;
    tries = atoi(argv[1]);
    close(open("/tmp/aa", O_CREAT | O_WRONLY, 0644));
    close(open("/tmp/bb", O_CREAT | O_WRONLY, 0644));
    path = word("/tmp/aa");
    args[0] = "true";
    args[1] = "argument";
    pthread_create(&thread, 0, rewrite, 0);
    opens();
    writes();
    messages();
    programs();
    stop = 1;
    pthread_join(thread, 0);
    puts("alive");
}
"""


def test_t_race_01_what_is_rewritten_is_read_once(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    tries = str(2000 * _TIMES)
    result = machine.run([compile_c(_REWRITE), tries], timeout=60 + 60 * _TIMES)
    expected = b"opens: 0 bad\nwrites: 0 bad\nmessages: 0 bad\nprograms: 0 bad\nalive\n"
    assert result.stdout == expected, result.stderr
    assert "Oops" not in machine.dmesg()


_UNMAP = r"""
#include <pthread.h>
#define SIZE 16384
static volatile int stop;
static char *area;
static void *unmap(void *arg)
{
    char *other = mmap(0, SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(other, SIZE);
    while (!stop) {
        munmap(area + 4096, 8192);
        mmap(area + 4096, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        madvise(area, SIZE, MADV_DONTNEED);
        mprotect(area + 8192, 4096, PROT_READ);
        mprotect(area + 8192, 4096, PROT_READ | PROT_WRITE);
        if (mremap(area, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other)
            mremap(other, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, area);
    }
    return arg;
}
static int fine(long result, long most)
{
    return (result >= 0 && result <= most) || (result < 0 && (errno == EFAULT || errno == EAGAIN));
}
int main(int argc, char **argv)
{
    pthread_t thread;
    int tries = atoi(argv[1]), bad = 0, p[2];
    long in = 0, out = 0;
    static char sink[65536];
    int file = open("/tmp/data", O_CREAT | O_RDWR | O_TRUNC, 0644);
    ftruncate(file, SIZE);
    area = mmap(0, SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pipe2(p, O_NONBLOCK);
    pthread_create(&thread, 0, unmap, 0);
    for (int i = 0; i < tries; i++) {
        struct iovec vec[3] = {{area, 5000}, {area + 5000, 5000}, {area + 10000, 6384}};
        struct stat *st = (struct stat *)(area + 4096 + 4000);
        bad += !fine(pread(file, area, SIZE, 0), SIZE);
        bad += !fine(preadv(file, vec, 3, 0), SIZE);
        long put = i % 2 ? write(p[1], area, SIZE) : writev(p[1], vec, 3);
        bad += !fine(put, SIZE);
        in += put > 0 ? put : 0;
        for (long got; (got = read(p[0], sink, sizeof sink)) > 0;)
            out += got;
        bad += !fine(fstat(file, st), 0);
        bad += !fine(syscall(SYS_getcwd, area + 8190, 100), 100);
        bad += !fine(readlink("/proc/self/exe", area + 4090, 100), 100);
    }
    stop = 1;
    pthread_join(thread, 0);
    printf("%d bad, %ld lost\nalive\n", bad, in - out);
}
"""


def test_t_race_02_what_is_unmapped_gives_efault(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """Nothing goes into a pipe that the writer wasn't told of, or the other way."""
    result = machine.run([compile_c(_UNMAP), str(1500 * _TIMES)], timeout=60 + 60 * _TIMES)
    assert result.stdout == b"0 bad, 0 lost\nalive\n", result.stderr
    assert "Oops" not in machine.dmesg()


_LISTENER = r"""
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
static int listener(unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &prog);
}
"""

_RECYCLED = (
    _LISTENER
    + r"""
static void next_pid(int pid)
{
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
    dprintf(fd, "%d", pid - 1);
    close(fd);
}
int main(void)
{
    int fd = listener(0), again = 0, valid = 0, answered = 0;
    for (int i = 0; i < 20; i++) {
        struct seccomp_notif req = {0};
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            syscall(SYS_getpgid, 1);
            _exit(0);
        }
        ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        next_pid(pid);
        pid_t other = fork();
        if (other == 0) {
            syscall(SYS_getpgid, 2);
            _exit(0);
        }
        again += other == pid;
        struct seccomp_notif_resp resp = {req.id, 7};
        valid += ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id) == 0;
        answered += ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) == 0;
        struct seccomp_notif second = {0};
        ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &second);
        valid += second.id == req.id;
        resp.id = second.id;
        ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
        waitpid(other, &status, 0);
    }
    printf("%d %d %d\n", again, valid, answered);
}
"""
)


def test_t_race_03_ids_of_the_dead_are_not_valid(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """The number of a killed process is used again at once: its notification stays dead."""
    result = machine.run([compile_c(_RECYCLED)], timeout=60)
    assert result.stdout == b"20 0 0\n"


_STORM = (
    _LISTENER
    + r"""
static volatile int signals;
static void on_alarm(int signo) { signals++; }
static int calls(int tries, int killable)
{
    int fd = listener(killable ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0), bad = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        /* Answers count up; the caller must see each of them once. */
        for (long n = 1;; ) {
            struct seccomp_notif req = {0};
            struct seccomp_notif_resp resp = {0};
            if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req))
                continue;
            resp.id = req.id;
            resp.val = n;
            if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) == 0 || killable)
                n++;
        }
    }
    for (long n = 1; n <= tries; n++)
        bad += syscall(SYS_getpgid, 0) != n;
    kill(pid, SIGKILL);
    waitpid(pid, 0, 0);
    return bad;
}
int main(int argc, char **argv)
{
    struct itimerval timer = {{0, 100}, {0, 100}};
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    int tries = atoi(argv[1]), p[2], bad = 0;
    char byte;
    sigaction(SIGALRM, &sa, 0);
    setitimer(ITIMER_REAL, &timer, 0);
    pipe(p);
    for (int i = 0; i < tries; i++) {
        byte = i;
        bad += write(p[1], &byte, 1) != 1;
        bad += read(p[0], &byte, 1) != 1 || byte != (char)i;
        if (i % 64 == 0) {
            pid_t pid = fork();
            if (pid == 0)
                _exit(0);
            bad += waitpid(pid, 0, 0) != pid;
        }
    }
    bad += calls(tries / 4, 1);
    printf("%d bad, %d signals\n", bad, signals > 10);
}
"""
)


def test_t_race_04_a_storm_of_signals_loses_and_doubles_no_call(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """SIGALRM at 10 kHz while calls block, fork, and wait for a listener."""
    result = machine.run([compile_c(_STORM), str(2000 * _TIMES)], timeout=60 + 60 * _TIMES)
    assert result.stdout == b"0 bad, 1 signals\n"
