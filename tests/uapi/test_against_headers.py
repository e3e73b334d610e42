# SPDX-License-Identifier: Apache-2.0
"""Our constants and structs have the values, sizes and offsets of the system's C headers.

Two C programs, one with the kernel's headers and one with the C library's, print what the
compiler makes of every name that pygos/include/uapi defines.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import pygos.include.uapi as uapi
from pygos.include.uapi.cstruct import CStruct

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


def words(text: str) -> list[str]:
    """The words of a list that is too long for quotes."""
    return text.split()


KERNEL_HEADERS = words(
    """
    linux/types.h linux/ioctl.h linux/fcntl.h linux/openat2.h linux/stat.h asm/stat.h asm/statfs.h
    linux/mman.h linux/mempolicy.h linux/sched.h linux/sched/types.h linux/wait.h linux/time.h
    linux/time_types.h linux/timerfd.h linux/timex.h linux/times.h linux/utime.h linux/resource.h
    linux/poll.h linux/eventpoll.h linux/eventfd.h linux/futex.h linux/utsname.h linux/auxvec.h
    asm/hwcap2.h linux/elf.h linux/elf-em.h linux/signal.h linux/signalfd.h asm/sigcontext.h
    asm/ucontext.h asm/processor-flags.h linux/sysinfo.h linux/limits.h linux/binfmts.h
    linux/random.h linux/prctl.h asm/prctl.h asm/termbits.h asm/termios.h asm/ioctls.h linux/tty.h
    linux/capability.h linux/securebits.h linux/fs.h linux/fiemap.h linux/blkpg.h
    linux/blktrace_api.h linux/falloc.h linux/fadvise.h linux/close_range.h linux/inotify.h
    linux/memfd.h linux/mount.h linux/personality.h linux/rseq.h linux/magic.h linux/membarrier.h
    linux/xattr.h linux/reboot.h linux/major.h linux/pidfd.h linux/seccomp.h linux/audit.h
    linux/filter.h linux/kcmp.h linux/ioprio.h linux/oom.h linux/module.h linux/kexec.h
    linux/nsfs.h linux/userfaultfd.h linux/aio_abi.h linux/kd.h linux/vt.h linux/sockios.h
    asm/sockios.h linux/ptrace.h asm/ptrace-abi.h linux/ipc.h linux/sem.h linux/msg.h linux/shm.h
    asm/ipcbuf.h asm/sembuf.h asm/msgbuf.h asm/shmbuf.h linux/mqueue.h linux/quota.h
    linux/landlock.h linux/keyctl.h linux/fanotify.h linux/uio.h asm/posix_types.h linux/un.h
"""
)

LIBC_HEADERS = words(
    """
    sys/types.h sys/socket.h netinet/in.h netinet/tcp.h sys/un.h asm/socket.h linux/netlink.h
    linux/if.h dirent.h unistd.h fcntl.h sys/stat.h sys/statvfs.h sys/mount.h sys/user.h sys/uio.h
    sys/wait.h sys/eventfd.h sys/timerfd.h sys/signalfd.h sys/select.h syslog.h sys/syslog.h ustat.h
    sys/sysmacros.h
"""
)
#: Modules whose user-visible definitions are the C library's; all others are the kernel's.
LIBC_MODULES = {"dirent", "if_", "in_", "socket", "uio", "splice", "eventfd", "posix_types"}

#: Constants newer than the oldest headers that we test with (6.1).
NEWER = set(
    words(
        """
    IP_LOCAL_PORT_RANGE NS_GET_MNTNS_ID NS_GET_PID_FROM_PIDNS NS_GET_TGID_FROM_PIDNS
    NS_GET_PID_IN_PIDNS NS_GET_TGID_IN_PIDNS NS_MNT_GET_INFO NS_MNT_GET_NEXT NS_MNT_GET_PREV
    NS_GET_ID MNT_NS_INFO_SIZE_VER0 PIDFD_COREDUMPED PIDFD_COREDUMP_ROOT PIDFD_COREDUMP_SKIP
    PIDFD_COREDUMP_USER PIDFD_INFO_CGROUPID PIDFD_INFO_COREDUMP PIDFD_INFO_CREDS PIDFD_INFO_EXIT
    PIDFD_INFO_PID PIDFD_INFO_SIZE_VER0 PIDFS_IOCTL_MAGIC PIDFD_GET_INFO_NR
    F_SEAL_EXEC F_DUPFD_QUERY F_CREATED_QUERY AT_HANDLE_FID AT_HANDLE_MNT_ID_UNIQUE
    AT_HANDLE_CONNECTABLE AT_EXECVE_CHECK AT_RENAME_NOREPLACE AT_RENAME_EXCHANGE
    AT_RENAME_WHITEOUT STATX_MNT_ID_UNIQUE STATX_SUBVOL STATX_WRITE_ATOMIC STATX_DIO_READ_ALIGN
    STATX_ATTR_WRITE_ATOMIC MAP_ABOVE4G MAP_DROPPABLE MADV_GUARD_INSTALL MADV_GUARD_REMOVE
    SCHED_EXT EPIOCSPARAMS EPIOCGPARAMS FUTEX2_SIZE_U8 FUTEX2_SIZE_U16 FUTEX2_SIZE_U32
    FUTEX2_SIZE_U64 FUTEX2_NUMA FUTEX2_MPOL FUTEX2_PRIVATE FUTEX2_SIZE_MASK FUTEX_NO_NODE
    SECBIT_EXEC_RESTRICT_FILE SECBIT_EXEC_RESTRICT_FILE_LOCKED SECBIT_EXEC_DENY_INTERACTIVE
    SECBIT_EXEC_DENY_INTERACTIVE_LOCKED SECURE_ALL_UNPRIVILEGED
    AT_RSEQ_FEATURE_SIZE AT_RSEQ_ALIGN AT_HWCAP3 AT_HWCAP4 SEGV_CPERR PR_SET_MDWE PR_GET_MDWE
    PR_MDWE_REFUSE_EXEC_GAIN PR_MDWE_NO_INHERIT PR_SET_MEMORY_MERGE PR_GET_MEMORY_MERGE
    PR_RISCV_V_SET_CONTROL PR_RISCV_V_GET_CONTROL PR_GET_SHADOW_STACK_STATUS
    PR_SET_SHADOW_STACK_STATUS PR_LOCK_SHADOW_STACK_STATUS PR_TIMER_CREATE_RESTORE_IDS
    PR_TIMER_CREATE_RESTORE_IDS_OFF PR_TIMER_CREATE_RESTORE_IDS_ON PR_TIMER_CREATE_RESTORE_IDS_GET
    PR_GET_AUXV PR_FUTEX_HASH PR_FUTEX_HASH_SET_SLOTS PR_FUTEX_HASH_GET_SLOTS ARCH_GET_UNTAG_MASK
    ARCH_ENABLE_TAGGED_ADDR ARCH_GET_MAX_TAG_BITS ARCH_FORCE_TAGGED_SVA ARCH_SHSTK_ENABLE
    ARCH_SHSTK_DISABLE ARCH_SHSTK_LOCK ARCH_SHSTK_UNLOCK ARCH_SHSTK_STATUS FS_IOC_GETFSUUID
    FS_IOC_GETFSSYSFSPATH PAGEMAP_SCAN PROCMAP_QUERY RWF_ATOMIC RWF_DONTCACHE
    MFD_NOEXEC_SEAL MFD_EXEC MOVE_MOUNT_BENEATH FSCONFIG_CMD_CREATE_EXCL STATMOUNT_SB_BASIC
    STATMOUNT_MNT_BASIC STATMOUNT_PROPAGATE_FROM STATMOUNT_MNT_ROOT STATMOUNT_MNT_POINT
    STATMOUNT_FS_TYPE STATMOUNT_MNT_NS_ID STATMOUNT_MNT_OPTS STATMOUNT_FS_SUBTYPE
    STATMOUNT_SB_SOURCE STATMOUNT_OPT_ARRAY STATMOUNT_OPT_SEC_ARRAY STATMOUNT_SUPPORTED_MASK
    STATMOUNT_MNT_UIDMAP STATMOUNT_MNT_GIDMAP LSMT_ROOT LISTMOUNT_REVERSE PID_FS_MAGIC
    MEMBARRIER_CMD_GET_REGISTRATIONS PIDFD_THREAD PIDFD_SIGNAL_THREAD PIDFD_SIGNAL_THREAD_GROUP
    PIDFD_SIGNAL_PROCESS_GROUP PIDFD_SELF_THREAD PIDFD_SELF_THREAD_GROUP
    PIDFD_GET_CGROUP_NAMESPACE PIDFD_GET_IPC_NAMESPACE PIDFD_GET_MNT_NAMESPACE
    PIDFD_GET_NET_NAMESPACE PIDFD_GET_PID_NAMESPACE PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE
    PIDFD_GET_TIME_NAMESPACE PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE PIDFD_GET_USER_NAMESPACE
    PIDFD_GET_UTS_NAMESPACE SO_PASSPIDFD SO_PEERPIDFD SCM_TS_OPT_ID SO_RCVPRIORITY SO_PASSRIGHTS
    SCM_SECURITY SCM_PIDFD LANDLOCK_ACCESS_FS_TRUNCATE LANDLOCK_ACCESS_FS_IOCTL_DEV
    LANDLOCK_RULE_NET_PORT LANDLOCK_ACCESS_NET_BIND_TCP LANDLOCK_ACCESS_NET_CONNECT_TCP
    LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET LANDLOCK_SCOPE_SIGNAL
    LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON
    LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF
    """
    )
)
#: Names that grew or changed since then, so that an older header has another value.
CHANGED = {"RWF_SUPPORTED", "MOVE_MOUNT__MASK"}
#: Names that the headers define otherwise for programs than the kernel does for itself.
CHANGED |= {"NSIG", "_NSIG", "SIGRTMAX"}
#: Ours, or the kernel's own: no header for user programs has them.
INTERNAL = set(
    words(
        """
    MQUEUE_MAGIC
    CAP_FULL_SET DIRENT64_NAME DIRENT_NAME EFD_MAX O_PATH_FLAGS VALID_OPEN_FLAGS MINORBITS
    MINORMASK MAXSYMLINKS MEM_MINOR NULL_MINOR PORT_MINOR ZERO_MINOR FULL_MINOR RANDOM_MINOR
    URANDOM_MINOR KMSG_MINOR TTY_MINOR CONSOLE_MINOR PTMX_MINOR FUSE_MINOR KVM_MINOR TUN_MINOR
    LOOP_CTRL_MINOR VHOST_NET_MINOR MISC_DYNAMIC_MINOR MFD_NAME_MAX_LEN SIGSET_SIZE TASK_COMM_LEN
    ORIG_RSEQ_SIZE MAX_NICE MIN_NICE SIGFRAME_EFLAGS_CLEARED FIX_EFLAGS SA_IMMUTABLE SIGINFO_SIZE
    UNIX_PATH_MAX SPLICE_F_ALL S_IRWXUGO S_IALLUGO S_IRUGO S_IWUGO S_IXUGO ST_VALID
    ST_NOSYMFOLLOW SYSLOG_ACTION_CLOSE SYSLOG_ACTION_OPEN SYSLOG_ACTION_READ
    SYSLOG_ACTION_READ_ALL SYSLOG_ACTION_READ_CLEAR SYSLOG_ACTION_CLEAR SYSLOG_ACTION_CONSOLE_OFF
    SYSLOG_ACTION_CONSOLE_ON SYSLOG_ACTION_CONSOLE_LEVEL SYSLOG_ACTION_SIZE_UNREAD
    SYSLOG_ACTION_SIZE_BUFFER LOGLEVEL_EMERG LOGLEVEL_ALERT LOGLEVEL_CRIT LOGLEVEL_ERR
    LOGLEVEL_WARNING LOGLEVEL_NOTICE LOGLEVEL_INFO LOGLEVEL_DEBUG INIT_C_IFLAG INIT_C_OFLAG
    INIT_C_CFLAG INIT_C_LFLAG NSEC_PER_SEC NSEC_PER_MSEC NSEC_PER_USEC USEC_PER_SEC USER_HZ
    UIO_FASTIOV MAX_RW_COUNT UTS_LEN LINUX_VERSION_MAJOR LINUX_VERSION_PATCHLEVEL
    LINUX_VERSION_SUBLEVEL LINUX_VERSION_CODE W_CONTINUED SYSCTL_NR_OPEN
    """
    )
)

#: The C name of each struct; those not named here have no C counterpart in the headers.
STRUCTS = {
    "aio_abi": {"IoEvent": "struct io_event", "Iocb": "struct iocb"},
    "capability": {
        "CapUserHeader": "struct __user_cap_header_struct",
        "CapUserData": "struct __user_cap_data_struct",
        "VfsNsCapData": "struct vfs_ns_cap_data",
    },
    "elf": {
        "Elf64Ehdr": "Elf64_Ehdr",
        "Elf64Phdr": "Elf64_Phdr",
        "Elf64Shdr": "Elf64_Shdr",
        "Elf64Sym": "Elf64_Sym",
        "Elf64Nhdr": "Elf64_Nhdr",
    },
    "eventpoll": {"EpollEvent": "struct epoll_event"},
    "fcntl": {
        "Flock": "struct flock",
        "FOwnerEx": "struct f_owner_ex",
        "OpenHow": "struct open_how",
    },
    "fs": {
        "Fsxattr": "struct fsxattr",
        "FstrimRange": "struct fstrim_range",
        "FileCloneRange": "struct file_clone_range",
    },
    "futex": {
        "FutexWaitv": "struct futex_waitv",
        "RobustListHead": "struct robust_list_head",
    },
    "inotify": {"InotifyEvent": "struct inotify_event"},
    "ipc": {
        "Ipc64Perm": "struct ipc64_perm",
        "Semid64Ds": "struct semid64_ds",
        "Sembuf": "struct sembuf",
        "Msqid64Ds": "struct msqid64_ds",
        "Shmid64Ds": "struct shmid64_ds",
        "Shminfo64": "struct shminfo64",
        "ShmInfo": "struct shm_info",
        "Seminfo": "struct seminfo",
        "Msginfo": "struct msginfo",
    },
    "mount": {"MountAttr": "struct mount_attr"},
    "mqueue": {"MqAttr": "struct mq_attr"},
    "poll": {"Pollfd": "struct pollfd"},
    "prctl": {"PrctlMmMap": "struct prctl_mm_map"},
    "ptrace": {
        "UserRegs": "struct user_regs_struct",
        "PtracePeeksiginfoArgs": "struct ptrace_peeksiginfo_args",
        "PtraceRseqConfiguration": "struct ptrace_rseq_configuration",
    },
    "resource": {"Rlimit": "struct rlimit", "Rusage": "struct rusage"},
    "rseq": {"RseqCs": "struct rseq_cs", "Rseq": "struct rseq"},
    "sched": {
        "CloneArgs": "struct clone_args",
        "SchedParam": "struct sched_param",
        "SchedAttr": "struct sched_attr",
    },
    "seccomp": {
        "SeccompData": "struct seccomp_data",
        "SeccompNotifSizes": "struct seccomp_notif_sizes",
        "SockFprog": "struct sock_fprog",
        "SockFilter": "struct sock_filter",
    },
    "sigcontext": {
        "Sigcontext": "struct sigcontext",
        "Ucontext": "struct ucontext",
        "FpxSwBytes": "struct _fpx_sw_bytes",
    },
    "signal": {
        "Sigaction": "struct sigaction",
        "StackT": "stack_t",
        "Siginfo": "siginfo_t",
        "SiginfoChld": "siginfo_t",
        "SiginfoTimer": "siginfo_t",
        "SiginfoFault": "siginfo_t",
        "SiginfoPoll": "siginfo_t",
        "SiginfoSys": "siginfo_t",
        "Sigevent": "struct sigevent",
        "SignalfdSiginfo": "struct signalfd_siginfo",
    },
    "socket": {
        "Sockaddr": "struct sockaddr",
        "SockaddrUn": "struct sockaddr_un",
        "SockaddrIn": "struct sockaddr_in",
        "SockaddrIn6": "struct sockaddr_in6",
        "SockaddrNl": "struct sockaddr_nl",
        "Msghdr": "struct msghdr",
        "Mmsghdr": "struct mmsghdr",
        "Cmsghdr": "struct cmsghdr",
        "Ucred": "struct ucred",
        "Linger": "struct linger",
    },
    "stat": {
        "Stat": "struct stat",
        "StatxTimestamp": "struct statx_timestamp",
        "Statx": "struct statx",
    },
    "statfs": {"Statfs": "struct statfs"},
    "sysinfo": {"Sysinfo": "struct sysinfo"},
    "termios": {
        "Termios": "struct termios",
        "Termios2": "struct termios2",
        "Termio": "struct termio",
        "Winsize": "struct winsize",
    },
    "time": {
        "Timespec": "struct __kernel_timespec",
        "Timeval": "struct __kernel_old_timeval",
        "Timezone": "struct timezone",
        "Itimerspec": "struct __kernel_itimerspec",
        "Itimerval": "struct __kernel_old_itimerval",
        "Utimbuf": "struct utimbuf",
    },
    "times": {"Tms": "struct tms"},
    "timex": {"Timex": "struct __kernel_timex"},
    "uio": {"Iovec": "struct iovec"},
    "utsname": {"NewUtsname": "struct new_utsname"},
}
#: Structs that no header has, or only newer ones.
NO_C_STRUCT = {
    "LinuxDirent64", "LinuxDirent", "EpollParams", "CachestatRange", "Cachestat", "MntIdReq",
    "Ustat", "XattrArgs", "Sigset",
}  # fmt: skip
#: Structs whose definition is the C library's.
LIBC_STRUCTS = {"UserRegs"}
#: Our padding: no member of C.
PADDING = re.compile(
    r"pad\d*|unused\d*|rest|spare\d*|reserved\d*|[fr]?_?spare|sin_zero|padding|x?pad"
)
#: Members that C calls otherwise: those of unions and macros.
RENAMED = {
    ("Sigevent", "sigev_tid"): "sigev_notify_thread_id",
    ("RobustListHead", "next"): "list.next",
    ("SiginfoTimer", "si_timerid"): "si_tid",
    ("VfsNsCapData", "permitted_lo"): "data[0].permitted",
    ("VfsNsCapData", "inheritable_lo"): "data[0].inheritable",
    ("VfsNsCapData", "permitted_hi"): "data[1].permitted",
    ("VfsNsCapData", "inheritable_hi"): "data[1].inheritable",
}
#: Members that older headers have as padding.
NEWER_MEMBERS = set(
    words(
        """
    stx_subvol stx_atomic_write_unit_min stx_atomic_write_unit_max stx_atomic_write_segments_max
    stx_dio_read_offset_align stx_atomic_write_unit_max_opt node_id mm_cid
    """
    )
)


def modules() -> list[ModuleType]:
    names = sorted(m.name for m in pkgutil.iter_modules(uapi.__path__))
    return [importlib.import_module(f"{uapi.__name__}.{n}") for n in names if n != "cstruct"]


def short(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def constants(module: ModuleType) -> dict[str, int]:
    """The integer constants that a module itself defines."""
    hints = vars(module).get("__annotations__", {})
    return {n: v for n in hints if isinstance(v := getattr(module, n), int)}


def structs(module: ModuleType) -> dict[str, type[CStruct]]:
    return {
        n: v
        for n, v in vars(module).items()
        if isinstance(v, type) and issubclass(v, CStruct) and v.__module__ == module.__name__
    }


class Program:
    """A C program that prints the values of expressions, made with one set of headers."""

    def __init__(self, headers: list[str], folder: Path) -> None:
        self.folder = folder
        self.prelude = (
            "#define _GNU_SOURCE\n#define PAGE_SIZE 4096\n#define ULONG_MAX (~0ul)\n"
            "#include <stddef.h>\n"
            + "".join(f"#if __has_include(<{h}>)\n#include <{h}>\n#endif\n" for h in headers)
        )
        source = folder / "known.c"
        source.write_text(self.prelude)
        flags = ["-dD", "-E", "-P"]
        text = subprocess.run(
            ["gcc", *flags, str(source)], capture_output=True, text=True, check=True
        ).stdout
        #: Every identifier that the headers use, macros and enumerators among them.
        self.known = set(re.findall(r"[A-Za-z_]\w*", text))
        self.expressions: dict[str, str] = {}

    def run(self) -> dict[str, int]:
        """The value of each expression by its key."""
        lines = [
            f'show("{key}", (long long)({c}), ({c}) < 0);\n' for key, c in self.expressions.items()
        ]
        show = (
            "int printf(const char *, ...);\n"
            "static void show(const char *k, long long v, int neg)\n"
            '{ printf(neg ? "%s %lld\\n" : "%s %llu\\n", k, v); }\n'
        )
        source, binary = self.folder / "show.c", self.folder / "show"
        source.write_text(f"{self.prelude}{show}int main(void)\n{{\n{''.join(lines)}}}\n")
        subprocess.run(["gcc", "-w", "-O0", "-o", str(binary), str(source)], check=True)
        out = subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout
        return {key: int(value) for key, value in (line.split() for line in out.splitlines())}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Program]:
    kernel = Program(KERNEL_HEADERS, tmp_path_factory.mktemp("kernel"))
    libc = Program(LIBC_HEADERS, tmp_path_factory.mktemp("libc"))
    return kernel, libc


def choose(module: str, name: str, kernel: Program, libc: Program) -> Program | None:
    """The program whose headers define a constant of ours."""
    for program in (libc,) if module in LIBC_MODULES else (kernel, libc):
        if name in program.known:
            return program
    return None


def same(ours: int, theirs: int) -> bool:
    """Equal, or the same bits: C's type may be another, such as a negative int for 1 << 31."""
    return ours == theirs or abs(ours - theirs) in (1 << 32, 1 << 64)


def add_struct(program: Program, name: str, kind: type[CStruct], c_name: str) -> list[str]:
    """Ask for a struct's size and offsets; returns members that C does not know."""
    program.expressions[f"{name}.sizeof"] = f"sizeof({c_name})"
    missing = []
    for field in kind.FIELDS:
        member = RENAMED.get((name, field.name), field.name)
        if PADDING.fullmatch(field.name):
            continue
        if re.split(r"\W", member)[0] in program.known:
            key = f"{name}.{field.name}"
            program.expressions[key] = f"offsetof({c_name}, {member})"
        else:
            missing.append(field.name)
    return missing


def test_constants_and_structs_are_those_of_the_headers(
    programs: tuple[Program, Program],
) -> None:
    kernel, libc = programs
    ours: dict[str, int] = {}
    missing: set[str] = set()
    missing_members: set[str] = set()
    for module in modules():
        for name, value in constants(module).items():
            program = choose(short(module), name, kernel, libc)
            if program is None:
                missing.add(name)
            elif name not in CHANGED:
                key = f"{short(module)}.{name}"
                ours[key] = value
                program.expressions[key] = name
        names = STRUCTS.get(short(module), {})
        for name, kind in structs(module).items():
            if name not in names:
                assert name in NO_C_STRUCT, f"no C name for {name}"
                continue
            program = libc if short(module) in LIBC_MODULES or name in LIBC_STRUCTS else kernel
            missing_members.update(add_struct(program, name, kind, names[name]))
            ours[f"{name}.sizeof"] = kind.SIZE
            ours.update({f"{name}.{f.name}": f.offset for f in kind.FIELDS})
    theirs = kernel.run() | libc.run()
    wrong = {key: (ours[key], value) for key, value in theirs.items() if not same(ours[key], value)}
    assert wrong == {}
    assert sorted(missing - NEWER - INTERNAL) == []
    assert missing_members - NEWER_MEMBERS == set()
    assert len(theirs) > 2500
