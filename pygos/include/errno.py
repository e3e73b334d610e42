# SPDX-License-Identifier: Apache-2.0
"""Linux's error numbers as exceptions: ``raise ENOENT`` unwinds to the system call's entry.

Classes carry the number as a class attribute and are raised without arguments (measured:
half the cost of an instance with state). Only ``kernel/entry.py`` turns them into numbers.
Where the numbers are defined: errno(3), include/uapi/asm-generic/errno*.h.
"""

from __future__ import annotations

from typing import ClassVar


class Errno(Exception):
    """Base of all error numbers."""

    errno: ClassVar[int] = 0
    text: ClassVar[str] = ""

    def __str__(self) -> str:
        return self.text


class EPERM(Errno):
    errno = 1
    text = "Operation not permitted"


class ENOENT(Errno):
    errno = 2
    text = "No such file or directory"


class ESRCH(Errno):
    errno = 3
    text = "No such process"


class EINTR(Errno):
    errno = 4
    text = "Interrupted system call"


class EIO(Errno):
    errno = 5
    text = "Input/output error"


class ENXIO(Errno):
    errno = 6
    text = "No such device or address"


class E2BIG(Errno):
    errno = 7
    text = "Argument list too long"


class ENOEXEC(Errno):
    errno = 8
    text = "Exec format error"


class EBADF(Errno):
    errno = 9
    text = "Bad file descriptor"


class ECHILD(Errno):
    errno = 10
    text = "No child processes"


class EAGAIN(Errno):
    errno = 11
    text = "Resource temporarily unavailable"


class ENOMEM(Errno):
    errno = 12
    text = "Cannot allocate memory"


class EACCES(Errno):
    errno = 13
    text = "Permission denied"


class EFAULT(Errno):
    errno = 14
    text = "Bad address"


class ENOTBLK(Errno):
    errno = 15
    text = "Block device required"


class EBUSY(Errno):
    errno = 16
    text = "Device or resource busy"


class EEXIST(Errno):
    errno = 17
    text = "File exists"


class EXDEV(Errno):
    errno = 18
    text = "Invalid cross-device link"


class ENODEV(Errno):
    errno = 19
    text = "No such device"


class ENOTDIR(Errno):
    errno = 20
    text = "Not a directory"


class EISDIR(Errno):
    errno = 21
    text = "Is a directory"


class EINVAL(Errno):
    errno = 22
    text = "Invalid argument"


class ENFILE(Errno):
    errno = 23
    text = "Too many open files in system"


class EMFILE(Errno):
    errno = 24
    text = "Too many open files"


class ENOTTY(Errno):
    errno = 25
    text = "Inappropriate ioctl for device"


class ETXTBSY(Errno):
    errno = 26
    text = "Text file busy"


class EFBIG(Errno):
    errno = 27
    text = "File too large"


class ENOSPC(Errno):
    errno = 28
    text = "No space left on device"


class ESPIPE(Errno):
    errno = 29
    text = "Illegal seek"


class EROFS(Errno):
    errno = 30
    text = "Read-only file system"


class EMLINK(Errno):
    errno = 31
    text = "Too many links"


class EPIPE(Errno):
    errno = 32
    text = "Broken pipe"


class EDOM(Errno):
    errno = 33
    text = "Numerical argument out of domain"


class ERANGE(Errno):
    errno = 34
    text = "Numerical result out of range"


class EDEADLK(Errno):
    errno = 35
    text = "Resource deadlock avoided"


class ENAMETOOLONG(Errno):
    errno = 36
    text = "File name too long"


class ENOLCK(Errno):
    errno = 37
    text = "No locks available"


class ENOSYS(Errno):
    errno = 38
    text = "Function not implemented"


class ENOTEMPTY(Errno):
    errno = 39
    text = "Directory not empty"


class ELOOP(Errno):
    errno = 40
    text = "Too many levels of symbolic links"


class ENOMSG(Errno):
    errno = 42
    text = "No message of desired type"


class EIDRM(Errno):
    errno = 43
    text = "Identifier removed"


class ECHRNG(Errno):
    errno = 44
    text = "Channel number out of range"


class EL2NSYNC(Errno):
    errno = 45
    text = "Level 2 not synchronized"


class EL3HLT(Errno):
    errno = 46
    text = "Level 3 halted"


class EL3RST(Errno):
    errno = 47
    text = "Level 3 reset"


class ELNRNG(Errno):
    errno = 48
    text = "Link number out of range"


class EUNATCH(Errno):
    errno = 49
    text = "Protocol driver not attached"


class ENOCSI(Errno):
    errno = 50
    text = "No CSI structure available"


class EL2HLT(Errno):
    errno = 51
    text = "Level 2 halted"


class EBADE(Errno):
    errno = 52
    text = "Invalid exchange"


class EBADR(Errno):
    errno = 53
    text = "Invalid request descriptor"


class EXFULL(Errno):
    errno = 54
    text = "Exchange full"


class ENOANO(Errno):
    errno = 55
    text = "No anode"


class EBADRQC(Errno):
    errno = 56
    text = "Invalid request code"


class EBADSLT(Errno):
    errno = 57
    text = "Invalid slot"


class EBFONT(Errno):
    errno = 59
    text = "Bad font file format"


class ENOSTR(Errno):
    errno = 60
    text = "Device not a stream"


class ENODATA(Errno):
    errno = 61
    text = "No data available"


class ETIME(Errno):
    errno = 62
    text = "Timer expired"


class ENOSR(Errno):
    errno = 63
    text = "Out of streams resources"


class ENONET(Errno):
    errno = 64
    text = "Machine is not on the network"


class ENOPKG(Errno):
    errno = 65
    text = "Package not installed"


class EREMOTE(Errno):
    errno = 66
    text = "Object is remote"


class ENOLINK(Errno):
    errno = 67
    text = "Link has been severed"


class EADV(Errno):
    errno = 68
    text = "Advertise error"


class ESRMNT(Errno):
    errno = 69
    text = "Srmount error"


class ECOMM(Errno):
    errno = 70
    text = "Communication error on send"


class EPROTO(Errno):
    errno = 71
    text = "Protocol error"


class EMULTIHOP(Errno):
    errno = 72
    text = "Multihop attempted"


class EDOTDOT(Errno):
    errno = 73
    text = "RFS specific error"


class EBADMSG(Errno):
    errno = 74
    text = "Bad message"


class EOVERFLOW(Errno):
    errno = 75
    text = "Value too large for defined data type"


class ENOTUNIQ(Errno):
    errno = 76
    text = "Name not unique on network"


class EBADFD(Errno):
    errno = 77
    text = "File descriptor in bad state"


class EREMCHG(Errno):
    errno = 78
    text = "Remote address changed"


class ELIBACC(Errno):
    errno = 79
    text = "Can not access a needed shared library"


class ELIBBAD(Errno):
    errno = 80
    text = "Accessing a corrupted shared library"


class ELIBSCN(Errno):
    errno = 81
    text = ".lib section in a.out corrupted"


class ELIBMAX(Errno):
    errno = 82
    text = "Attempting to link in too many shared libraries"


class ELIBEXEC(Errno):
    errno = 83
    text = "Cannot exec a shared library directly"


class EILSEQ(Errno):
    errno = 84
    text = "Invalid or incomplete multibyte or wide character"


class ERESTART(Errno):
    errno = 85
    text = "Interrupted system call should be restarted"


class ESTRPIPE(Errno):
    errno = 86
    text = "Streams pipe error"


class EUSERS(Errno):
    errno = 87
    text = "Too many users"


class ENOTSOCK(Errno):
    errno = 88
    text = "Socket operation on non-socket"


class EDESTADDRREQ(Errno):
    errno = 89
    text = "Destination address required"


class EMSGSIZE(Errno):
    errno = 90
    text = "Message too long"


class EPROTOTYPE(Errno):
    errno = 91
    text = "Protocol wrong type for socket"


class ENOPROTOOPT(Errno):
    errno = 92
    text = "Protocol not available"


class EPROTONOSUPPORT(Errno):
    errno = 93
    text = "Protocol not supported"


class ESOCKTNOSUPPORT(Errno):
    errno = 94
    text = "Socket type not supported"


class EOPNOTSUPP(Errno):
    errno = 95
    text = "Operation not supported"


class EPFNOSUPPORT(Errno):
    errno = 96
    text = "Protocol family not supported"


class EAFNOSUPPORT(Errno):
    errno = 97
    text = "Address family not supported by protocol"


class EADDRINUSE(Errno):
    errno = 98
    text = "Address already in use"


class EADDRNOTAVAIL(Errno):
    errno = 99
    text = "Cannot assign requested address"


class ENETDOWN(Errno):
    errno = 100
    text = "Network is down"


class ENETUNREACH(Errno):
    errno = 101
    text = "Network is unreachable"


class ENETRESET(Errno):
    errno = 102
    text = "Network dropped connection on reset"


class ECONNABORTED(Errno):
    errno = 103
    text = "Software caused connection abort"


class ECONNRESET(Errno):
    errno = 104
    text = "Connection reset by peer"


class ENOBUFS(Errno):
    errno = 105
    text = "No buffer space available"


class EISCONN(Errno):
    errno = 106
    text = "Transport endpoint is already connected"


class ENOTCONN(Errno):
    errno = 107
    text = "Transport endpoint is not connected"


class ESHUTDOWN(Errno):
    errno = 108
    text = "Cannot send after transport endpoint shutdown"


class ETOOMANYREFS(Errno):
    errno = 109
    text = "Too many references: cannot splice"


class ETIMEDOUT(Errno):
    errno = 110
    text = "Connection timed out"


class ECONNREFUSED(Errno):
    errno = 111
    text = "Connection refused"


class EHOSTDOWN(Errno):
    errno = 112
    text = "Host is down"


class EHOSTUNREACH(Errno):
    errno = 113
    text = "No route to host"


class EALREADY(Errno):
    errno = 114
    text = "Operation already in progress"


class EINPROGRESS(Errno):
    errno = 115
    text = "Operation now in progress"


class ESTALE(Errno):
    errno = 116
    text = "Stale file handle"


class EUCLEAN(Errno):
    errno = 117
    text = "Structure needs cleaning"


class ENOTNAM(Errno):
    errno = 118
    text = "Not a XENIX named type file"


class ENAVAIL(Errno):
    errno = 119
    text = "No XENIX semaphores available"


class EISNAM(Errno):
    errno = 120
    text = "Is a named type file"


class EREMOTEIO(Errno):
    errno = 121
    text = "Remote I/O error"


class EDQUOT(Errno):
    errno = 122
    text = "Disk quota exceeded"


class ENOMEDIUM(Errno):
    errno = 123
    text = "No medium found"


class EMEDIUMTYPE(Errno):
    errno = 124
    text = "Wrong medium type"


class ECANCELED(Errno):
    errno = 125
    text = "Operation canceled"


class ENOKEY(Errno):
    errno = 126
    text = "Required key not available"


class EKEYEXPIRED(Errno):
    errno = 127
    text = "Key has expired"


class EKEYREVOKED(Errno):
    errno = 128
    text = "Key has been revoked"


class EKEYREJECTED(Errno):
    errno = 129
    text = "Key was rejected by service"


class EOWNERDEAD(Errno):
    errno = 130
    text = "Owner died"


class ENOTRECOVERABLE(Errno):
    errno = 131
    text = "State not recoverable"


class ERFKILL(Errno):
    errno = 132
    text = "Operation not possible due to RF-kill"


class Restart(Errno):
    """Not seen by users: an interrupted call and how it goes on after the signal, signal(7)."""

    text = "Interrupted system call should be restarted"


class ERESTARTSYS(Restart):
    """Restarted if no handler runs or the handler has SA_RESTART, else EINTR."""

    errno = 512


class ERESTARTNOINTR(Restart):
    """Always restarted."""

    errno = 513


class ERESTARTNOHAND(Restart):
    """Restarted only if no handler runs, else EINTR."""

    errno = 514


class ENOIOCTLCMD(Errno):
    """No ioctl command: becomes ENOTTY."""

    errno = 515
    text = "No ioctl command"


class ERESTART_RESTARTBLOCK(Restart):
    """Continued with what ``task.restart`` keeps (a deadline) if no handler runs, else EINTR."""

    errno = 516


EWOULDBLOCK = EAGAIN
EDEADLOCK = EDEADLK
ENOTSUP = EOPNOTSUPP

_BY_NUMBER: dict[int, type[Errno]] = {
    cls.errno: cls for cls in (*Errno.__subclasses__(), *Restart.__subclasses__())
}


def errno_class(number: int) -> type[Errno]:
    """The exception class of an error number; EIO for a number that Linux doesn't have."""
    return _BY_NUMBER.get(number, EIO)
