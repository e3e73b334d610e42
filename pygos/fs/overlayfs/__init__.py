# SPDX-License-Identifier: Apache-2.0
"""overlayfs: a writable tree (upper) laid over read-only ones (lower), as Linux's.

What is only below is shown from there; the first change copies it up. A name removed from a
lower directory becomes a whiteout above (character device 0/0); a directory that hides what
is below it has ``trusted.overlay.opaque``; one that was moved remembers where its lower half
is in ``trusted.overlay.redirect``, so that directories can be renamed.

* A directory's inode is always an ``OvlInode``, which knows its upper dentry and its lower
  ones and mirrors the attributes of the topmost.
* A file that is only below has an ``OvlInode`` too, sharing the page cache of the lower file.
* A file above is the upper file system's own inode: after the copy-up nothing stands between
  a program and tmpfs. The copy-up puts it into the overlay's dentry. A file that was opened
  before for reading keeps the lower data, as on Linux.

Inode numbers survive the copy-up, and all files have one st_dev, if the upper file system is
the overlay's own (mount_overlay at boot). Mounted by a program over directories of its own,
files above show the upper file system's numbers. Link counts of merged directories are 1.

===========  ==============================================================
super.py     mounting, options, statfs
inode.py     OvlInode, look-up, attributes and links
copy_up.py   copying files and directories up
dir.py       making, removing, linking, renaming
readdir.py   merged listings
file.py      opening files
===========  ==============================================================
"""

from __future__ import annotations

from pygos.fs.overlayfs.super import OverlayType, mount_overlay

__all__ = ["OverlayType", "mount_overlay"]
