# SPDX-License-Identifier: Apache-2.0
"""How the arguments of single calls are shown where their kinds don't say enough.

One line a call: its name, then one word for each argument register in the order of the ABI.

    .            as the handler's signature says; a plain number in hex without a handler
    SEEK         a name of uapi.symbols, or of one of the tables below
    PROT|        the same, as an or of flags
    <mod.Struct  a struct of uapi.mod going in, > coming out
    word         a function of ``args`` or ``special`` (the naming rule is in ``args``)
    word@2       the same, asked about another register (the order of clone's arguments)
    +word        no comma before it
    =word        at the end: how a result is shown

A test checks that each word exists and that each line fits the handler's signature.
"""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.symbols import Symbols

EFD: Final = Symbols("eventfd", "EFD_ - EFD_MAX")
EPOLL_CREATE: Final = Symbols("eventpoll", "EPOLL_CLOEXEC")
SFD: Final = Symbols("signal", "SFD_")
TFD: Final = Symbols("time", "TFD_CLOEXEC TFD_NONBLOCK")
TFD_SET: Final = Symbols("time", "TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET")
TIMER_FLAGS: Final = Symbols("time", "TIMER_ABSTIME")
MFD: Final = Symbols("memfd", "MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB MFD_NOEXEC_SEAL MFD_EXEC")
MCL: Final = Symbols("mman", "MCL_")
MLOCK: Final = Symbols("mman", "MLOCK_")
PRIO: Final = Symbols("resource", "PRIO_PROCESS PRIO_PGRP PRIO_USER")
SYSLOG: Final = Symbols("syslog", "SYSLOG_ACTION_")
SPLICE: Final = Symbols("splice", "SPLICE_F_ - SPLICE_F_ALL")
XATTR: Final = Symbols("xattr", "XATTR_CREATE XATTR_REPLACE")
IN: Final = Symbols("inotify", "IN_ - IN_CLOEXEC IN_NONBLOCK")
IN_INIT: Final = Symbols("inotify", "IN_CLOEXEC IN_NONBLOCK")
FALLOC: Final = Symbols("fs", "FALLOC_FL_")
RWF: Final = Symbols("fs", "RWF_ - RWF_SUPPORTED")
PIDFD: Final = Symbols("pidfd", "PIDFD_NONBLOCK PIDFD_THREAD")
MEMBARRIER: Final = Symbols("membarrier", "MEMBARRIER_CMD_ - MEMBARRIER_CMD_FLAG_CPU")
AT_FLAGS: Final = Symbols("fcntl", "AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH")
AT_STATX: Final = Symbols(
    "fcntl",
    "AT_STATX_ AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH - AT_STATX_SYNC_TYPE",
    0x6000,
)
AT_EXEC: Final = Symbols("fcntl", "AT_EMPTY_PATH AT_SYMLINK_NOFOLLOW AT_EXECVE_CHECK")
SHUT: Final = Symbols("socket", "SHUT_")

_LINES: Final = """
access path access_mode
arch_prctl ARCH_PRCTL fin_arch_prctl
brk addr =ret_hex
chmod path mode
chown path uid uid
clock_adjtime CLOCK .
clock_getres CLOCK >time.Timespec
clock_gettime CLOCK >time.Timespec
clock_nanosleep CLOCK TIMER_FLAGS| <time.Timespec fin_rem
clock_settime CLOCK <time.Timespec
clone clone_stack@1 clone_named_flags@0 opt_clone_parent_tid@2 clone_tls@4 clone_child_tid@3
clone3 clone3_args +opt_clone3_tid@0 lu@1
close_range u u x32
copy_file_range d offset d offset lu x32
creat path mode
dup3 . . OPEN|
epoll_create1 EPOLL_CREATE|
epoll_ctl . EPOLL_CTL . <eventpoll.EpollEvent
epoll_pwait . out_epoll_events d d sigset .
epoll_pwait2 . out_epoll_events d <time.Timespec sigset .
epoll_wait . out_epoll_events d d
eventfd2 . EFD|
execve path argv envp
execveat dirfd path argv envp AT_EXEC|
faccessat dirfd path access_mode
faccessat2 dirfd path access_mode AT_FACCESS|
fadvise64 d ld lu advice
fallocate . FALLOC| ld ld
fchmod . mode
fchmodat dirfd path mode
fchown . uid uid
fchownat dirfd path uid uid AT_FLAGS|
fcntl . FCNTL opt_fcntl =ret_fcntl
flock . LOCK|
fstat . >stat.Stat
fstatfs . >statfs.Statfs
futex addr FUTEX| futex_value futex_timeout futex_second futex_third
futimesat dirfd path timeval_pair
getcwd out_cwd lu
getdents . out_dents lu
getdents64 . out_dents lu
getgroups d out_groups
getitimer ITIMER >time.Itimerval
getpriority PRIO .
getrandom out_random lu GRND|
getresgid out_int out_int out_int
getresuid out_int out_int out_int
getrlimit RLIMIT >resource.Rlimit
getrusage RUSAGE >resource.Rusage
getxattr path string out_names lu
lgetxattr path string out_names lu
fgetxattr d string out_names lu
inotify_add_watch . path IN|
inotify_init1 IN_INIT|
ioctl . ioctl_command opt_ioctl
kill . signal
lchown path uid uid
linkat dirfd path dirfd path AT_LINK|
listxattr path out_names lu
llistxattr path out_names lu
flistxattr d out_names lu
lseek . ld SEEK
lstat path >stat.Stat
madvise addr lu MADV
membarrier MEMBARRIER x32 .
memfd_create string MFD|
mknod path file_mode device
mknodat dirfd path file_mode device
mlock2 addr lu MLOCK|
mlockall MCL|
mmap addr lu PROT| MAP| d x =ret_hex
mount path path string MOUNT| mount_data
mprotect addr lu PROT|
mremap addr lu lu MREMAP| mremap_address =ret_hex
msync addr lu MS|
munmap addr lu
nanosleep <time.Timespec fin_rem
newfstatat dirfd path >stat.Stat AT_FLAGS|
open path open_flags creat_mode
openat dirfd path open_flags creat_mode
openat2 dirfd path <fcntl.OpenHow lu
pidfd_open . PIDFD|
pidfd_send_signal . signal <signal.Siginfo x32
pipe out_pipe
pipe2 out_pipe PIPE|
poll pollfds u d =ret_poll
ppoll pollfds u <time.Timespec sigset lu =ret_poll
prctl PRCTL opt_prctl prctl_more prctl_more prctl_more =ret_prctl
preadv2 . . . ld x RWF|
prlimit64 . RLIMIT <resource.Rlimit >resource.Rlimit
pselect6 d fdset fdset fdset <time.Timespec sigset6 =ret_select
ptrace PTRACE d x x
pwritev2 . . . ld x RWF|
reboot x32 x32 REBOOT x
renameat2 dirfd path dirfd path RENAME|
rseq addr x x32 x32
rt_sigaction signal <signal.Sigaction >signal.Sigaction lu
rt_sigpending out_sigset lu
rt_sigprocmask SIGMASK_HOW sigset out_sigset lu
rt_sigqueueinfo . signal <signal.Siginfo
rt_sigreturn sigreturn_mask
rt_sigsuspend sigset lu
rt_sigtimedwait sigset >signal.Siginfo <time.Timespec lu
rt_tgsigqueueinfo . . signal <signal.Siginfo
sched_getaffinity d lu out_cpuset
sched_getparam d >sched.SchedParam
sched_getscheduler d =ret_scheduler
sched_get_priority_max sched_policy
sched_get_priority_min sched_policy
sched_rr_get_interval d >time.Timespec
sched_setaffinity d lu cpuset
sched_setparam d <sched.SchedParam
sched_setscheduler d sched_policy <sched.SchedParam
select d fdset fdset fdset <time.Timeval =ret_select
sendfile d d fin_offset lu
set_robust_list addr lu
set_tid_address addr
setgroups d groups
sethostname buffer lu
setdomainname buffer lu
setitimer ITIMER <time.Itimerval >time.Itimerval
setpriority PRIO d d
setrlimit RLIMIT <resource.Rlimit
setxattr path string buffer lu XATTR|
lsetxattr path string buffer lu XATTR|
fsetxattr d string buffer lu XATTR|
setregid uid uid
setresgid uid uid uid
setresuid uid uid uid
setreuid uid uid
shutdown d SHUT
sigaltstack <signal.StackT >signal.StackT
signalfd d sigset lu
signalfd4 d sigset lu SFD|
socket AF SOCK| d
socketpair AF SOCK| d out_pipe
splice d offset d offset lu SPLICE|
stat path >stat.Stat
statfs path >statfs.Statfs
statx dirfd path AT_STATX| STATX| >stat.Statx
symlinkat path dirfd path
sync_file_range d ld ld x32
sysinfo >sysinfo.Sysinfo
syslog SYSLOG addr d
tee d d lu SPLICE|
tgkill . . signal
time out_long
timer_create CLOCK <signal.Sigevent out_int
timer_gettime d >time.Itimerspec
timer_settime d TIMER_FLAGS| <time.Itimerspec >time.Itimerspec
timerfd_create CLOCK TFD|
timerfd_gettime d >time.Itimerspec
timerfd_settime d TFD_SET| <time.Itimerspec >time.Itimerspec
times >times.Tms
tkill . signal
umask mode =ret_octal
umount2 path UMOUNT|
uname >utsname.NewUtsname
unlinkat dirfd path AT_UNLINK|
unshare clone_flags
setns d clone_flags
utime path <time.Utimbuf
utimensat dirfd path timespec_pair AT_FLAGS|
utimes path timeval_pair
vmsplice d iov lu SPLICE|
wait4 . out_wait_status WAIT| >resource.Rusage
waitid WAIT_ID d >signal.Siginfo WAIT| >resource.Rusage
"""

#: call -> words
WORDS: Final[dict[str, list[str]]] = {
    line.split()[0]: line.split()[1:] for line in _LINES.strip().split("\n")
}
