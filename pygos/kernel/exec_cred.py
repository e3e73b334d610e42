# SPDX-License-Identifier: Apache-2.0
"""Credentials after an exec (security/commoncap.c, prepare_binprm): setuid, setgid, ambient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.dataclass import replace
from pygos.include.linux.cred import CAP_FULL, Cred

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

_S_ISUID, _S_ISGID, _S_IXGRP = 0o4000, 0o2000, 0o010
_MNT_NOSUID = 0x02
_SECBIT_KEEP_CAPS = 0x10
_SECBIT_NOROOT = 1


def cred_for_exec(task: Task, file: File) -> tuple[Cred, bool]:
    """The credentials the program will have, and whether it is "secure" (AT_SECURE).

    capabilities(7), "Transformation of capabilities during execve()"; file capabilities
    are not supported.
    """
    old = task.cred
    euid, egid = _set_ids(task, file)
    setid = euid != old.euid or egid != old.egid
    is_root = not old.securebits & _SECBIT_NOROOT and (euid == 0 or old.uid == 0)
    ambient = 0 if setid else old.cap_ambient
    permitted = ambient
    if is_root:
        permitted = old.cap_inheritable | (CAP_FULL & old.cap_bset)
    root_effective = not old.securebits & _SECBIT_NOROOT and euid == 0
    effective = permitted if root_effective else ambient
    cred = replace(
        old, euid=euid, egid=egid, suid=euid, sgid=egid, fsuid=euid, fsgid=egid,
        cap_permitted=permitted, cap_effective=effective, cap_ambient=ambient,
        securebits=old.securebits & ~_SECBIT_KEEP_CAPS,
    )
    secure = old.uid != euid or old.gid != egid
    return (old if cred == old else cred), secure


def _set_ids(task: Task, file: File) -> tuple[int, int]:
    """Effective ids with the file's setuid and setgid bits applied."""
    old, inode = task.cred, file.f_inode
    mode = inode.i_mode
    if not mode & (_S_ISUID | _S_ISGID) or task.no_new_privs:
        return old.euid, old.egid
    if file.f_path.mnt.mnt_flags & _MNT_NOSUID:
        return old.euid, old.egid
    euid = inode.i_uid if mode & _S_ISUID else old.euid
    setgid = mode & (_S_ISGID | _S_IXGRP) == _S_ISGID | _S_IXGRP
    egid = inode.i_gid if setgid else old.egid
    return euid, egid
