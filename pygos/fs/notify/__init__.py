# SPDX-License-Identifier: Apache-2.0
"""Telling programs what happens to files (fs/notify).

fsnotify.py  where events come from: marks on inodes, and the hooks of the VFS
inotify.py   inotify(7): its system calls, queues and descriptors

Nothing here is imported, and no path of the VFS is longer, until the first inotify_init(2):
``machine.fsnotify`` is None until then, and the calls that move data are wrapped by it.
"""
