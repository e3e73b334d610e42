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
    "pygos.fs.truncate",
    "pygos.fs.utimes",
    "pygos.fs.statfs",
    "pygos.fs.fs_struct",
    "pygos.fs.fcntl",
    "pygos.fs.ioctl",
    "pygos.fs.locks",
    "pygos.fs.xattr",
    "pygos.fs.sync",
    "pygos.fs.sendfile",
    "pygos.fs.memfd",
)
#: Calls whose modules are imported at their first use.
SYSCALLS_LAZY: Final = {
    "inotify_init": "pygos.fs.notify.inotify", "inotify_init1": "pygos.fs.notify.inotify",
    "mount": "pygos.fs.mount", "umount2": "pygos.fs.umount", "pivot_root": "pygos.fs.umount",
    "fsopen": "pygos.fs.fsopen", "fsconfig": "pygos.fs.fsopen", "fsmount": "pygos.fs.fsopen",
    "fspick": "pygos.fs.fsopen", "open_tree": "pygos.fs.open_tree",
    "statmount": "pygos.fs.statmount", "listmount": "pygos.fs.statmount",
    "move_mount": "pygos.fs.open_tree", "mount_setattr": "pygos.fs.open_tree",
    "inotify_add_watch": "pygos.fs.notify.inotify", "inotify_rm_watch": "pygos.fs.notify.inotify",
}  # fmt: skip
#: Starting programs.
SYSCALL_MODULES_EXEC: Final = ("pygos.fs.exec",)
#: Waiting for files, and files to wait for.
SYSCALL_MODULES_POLL: Final = (
    "pygos.fs.eventfd",
    "pygos.fs.eventpoll",
    "pygos.fs.pidfs",
    "pygos.fs.pipe",
    "pygos.fs.select",
    "pygos.fs.signalfd",
    "pygos.fs.splice",
    "pygos.fs.timerfd",
)
