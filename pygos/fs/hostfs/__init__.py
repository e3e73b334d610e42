# SPDX-License-Identifier: Apache-2.0
"""hostfs: a directory tree of the host, read-only but for volumes given for writing.

The host is reached only through ``machine.host["files"]`` (``pygos.host.files.HostFiles``),
one name at a time from the handle of a directory, never through a link. What a guest sees:

* Directories, regular files and symbolic links, with the host's owners, modes and times.
  Links are followed by the guest's own path walk, so they can't lead out of the tree.
* FIFOs, sockets and devices appear in stat(2), but opening them gives EACCES; the host's are
  never opened. Set-uid and set-gid bits of files are taken away: what they would give on the
  host means nothing here. A directory's set-gid bit (inherit the group) stays.
* Secrets (``hidden.py``) look absent, /proc, /sys, /dev and the like look empty.
* What the host's user may not read is EACCES, whoever the guest's user is.

An inode stands for one (device, inode, type) of the host, so hard links share one. A cached
name is looked up again on the host when it is used more than a second later; an open within
that second is answered from the cache (close-to-open, as NFS has it). If size or mtime have
changed, the cached pages are dropped.

==========  ===============================================================
super.py    HostfsType, HostSuper: mounting, statfs, the table of inodes
inode.py    HostInode: lookup, attributes, links, revalidation
file.py     reading files and directories
hidden.py   what looks absent or empty
volume.py   writable trees: directories given with `-v HOST:GUEST`
==========  ===============================================================
"""

from __future__ import annotations

from pygos.fs.hostfs.super import HostfsType

__all__ = ["HostfsType"]
