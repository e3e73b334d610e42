# SPDX-License-Identifier: Apache-2.0
"""The virtual file system, the file systems in memory, and files without a name.

Here live: names (dcache, walk, namei, permission), inodes and attributes (inode, attr, stat,
utimes, xattr), open files (file_table, open, read_write, readdir, fcntl, ioctl, locks, sync),
mounts (namespace, super, statfs, fs_struct), pipes and event files, program loading (exec,
binfmt_*), and below them tmpfs, hostfs, overlayfs, proc. Types are in include/linux/fs.py.

Who may call: everything above fs (drivers, net, init). The kernel and mm below reach it only
through ``machine.fs_hooks`` and the operations of objects they were given.
Who owns what: a hashed positive dentry and an open File own one reference on their inode; a
descriptor, a mapping and an exe_file own one on their File; mounts and super blocks belong to
the machine. Walks and holders of dentries own nothing (see dcache).
"""

from __future__ import annotations

from typing import Final

#: Modules with system call handlers of the VFS core, for boot.
SYSCALL_MODULES: Final = (
    "pygos.fs.namei_calls",
    "pygos.fs.open",
    "pygos.fs.file_table",
    "pygos.fs.read_write",
    "pygos.fs.stat",
    "pygos.fs.readdir",
    "pygos.fs.chmod",
    "pygos.fs.statfs",
    "pygos.fs.fs_struct",
    "pygos.fs.fcntl",
    "pygos.fs.ioctl",
    "pygos.fs.locks",
)
#: Calls whose modules are imported at their first use.
_LAZY: Final = {
    "pygos.fs.eventfd": "eventfd2 eventfd",
    "pygos.fs.eventpoll": (
        "epoll_create1 epoll_create epoll_ctl epoll_wait epoll_pwait epoll_pwait2"
    ),
    "pygos.fs.fsopen": "fsopen fsconfig fsmount fspick",
    "pygos.fs.memfd": "memfd_create",
    "pygos.fs.mount": "mount",
    "pygos.fs.notify.inotify": "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch",
    "pygos.fs.open_tree": "open_tree move_mount mount_setattr",
    "pygos.fs.pidfs": "pidfd_open pidfd_send_signal pidfd_getfd",
    "pygos.fs.sendfile": "sendfile copy_file_range",
    "pygos.fs.signalfd": "signalfd4 signalfd",
    "pygos.fs.splice": "splice tee vmsplice",
    "pygos.fs.statmount": "statmount listmount",
    "pygos.fs.sync": "sync syncfs fsync fdatasync sync_file_range",
    "pygos.fs.timerfd": "timerfd_create timerfd_settime timerfd_gettime",
    "pygos.fs.truncate": "truncate ftruncate fallocate",
    "pygos.fs.umount": "umount2 pivot_root",
    "pygos.fs.utimes": "utimensat futimesat utimes utime",
    "pygos.fs.xattr": (
        "setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr "
        "flistxattr removexattr lremovexattr fremovexattr setxattrat getxattrat listxattrat "
        "removexattrat"
    ),
}
SYSCALLS_LAZY: Final = {name: module for module, names in _LAZY.items() for name in names.split()}
#: Starting programs.
SYSCALL_MODULES_EXEC: Final = ("pygos.fs.exec",)
#: Waiting for files, and files to wait for.
SYSCALL_MODULES_POLL: Final = (
    "pygos.fs.pipe",
    "pygos.fs.select",
)
