# SPDX-License-Identifier: Apache-2.0

#: Modules of this package with system calls about waiting for files and files to wait for.
SYSCALL_MODULES_POLL = (
    "pygos.fs.eventfd",
    "pygos.fs.eventpoll",
    "pygos.fs.pipe",
    "pygos.fs.select",
    "pygos.fs.signalfd",
    "pygos.fs.splice",
    "pygos.fs.timerfd",
)
