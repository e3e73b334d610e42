# SPDX-License-Identifier: Apache-2.0
"""HostEvents: one epoll with a timer in it, and who waits for which host descriptor."""

from __future__ import annotations

import ctypes
import os
import select
import time

from pygos.host import libc
from pygos.host.ram import high_fd
from pygos.include.linux.platform import HostWaiter

_TFD_NONBLOCK_CLOEXEC = 0o2004000
_TFD_TIMER_ABSTIME = 1
_ANY = select.EPOLLIN | select.EPOLLOUT | select.EPOLLPRI | select.EPOLLRDHUP
_ALWAYS = select.EPOLLERR | select.EPOLLHUP


class HostEvents:
    """Descriptors to watch and one deadline.

    `fd` is readable (for poll) when dispatch() has something to do. `count`: how many
    descriptors are watched. `files`: those that epoll refuses as they are always ready.
    """

    __slots__ = (
        "_armed", "_epoll", "_spec", "_spec_addr", "_timer", "_watches", "count", "fd",
        "files",
    )  # fmt: skip

    def __init__(self) -> None:
        low = select.epoll()
        self._epoll = select.epoll.fromfd(high_fd(os.dup(low.fileno())))
        low.close()
        self.fd = self._epoll.fileno()
        self._timer = libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        self._spec = (ctypes.c_long * 4)()
        self._spec_addr = ctypes.addressof(self._spec)
        self._armed = 0
        self._epoll.register(self._timer, select.EPOLLIN)
        self._watches: dict[int, list[tuple[int, HostWaiter]]] = {}
        self.files: dict[int, int] = {}  # descriptors epoll refuses: always ready
        self.count = 0

    def arm(self, deadline: int | None) -> None:
        """Make `fd` readable at `deadline` (monotonic ns); None for never."""
        when = deadline or 0
        if when != self._armed:
            self._spec[2], self._spec[3] = divmod(when, 1_000_000_000)
            libc.timerfd_settime(self._timer, _TFD_TIMER_ABSTIME, self._spec_addr)
            self._armed = when

    def watch(self, fd: int, events: int, waiter: HostWaiter) -> None:
        """Tell `waiter` once when `fd` is ready. Several may watch one descriptor."""
        waiters = self._watches.setdefault(fd, [])
        waiters.append((events, waiter))
        self.count += 1
        self._program(fd, waiters, len(waiters) == 1)

    def _program(self, fd: int, waiters: list[tuple[int, HostWaiter]], new: bool) -> None:
        events = select.EPOLLONESHOT
        for wanted, _ in waiters:
            events |= wanted & _ANY
        try:
            if new and fd not in self.files:
                self._epoll.register(fd, events)
            elif fd in self.files:
                self.files[fd] = events
            else:
                self._epoll.modify(fd, events)
        except FileExistsError:
            self._epoll.modify(fd, events)
        except FileNotFoundError:  # closed behind our back and opened again
            self._epoll.register(fd, events)
        except PermissionError:  # a regular file: never blocks
            self.files[fd] = events

    def unwatch(self, fd: int, waiter: HostWaiter) -> None:
        """Forget all watches of `waiter` on `fd`."""
        waiters = self._watches.get(fd)
        if waiters is None:
            return
        kept = [entry for entry in waiters if entry[1] is not waiter]
        self.count -= len(waiters) - len(kept)
        if kept:
            self._watches[fd] = kept
            self._program(fd, kept, False)
        else:
            self._forget(fd)

    def _forget(self, fd: int) -> None:
        del self._watches[fd]
        if self.files.pop(fd, None) is None:
            try:
                self._epoll.unregister(fd)
            except OSError:  # already closed: the host forgot it by itself
                pass

    def dispatch(self, block: bool) -> bool:
        """Tell the waiters of all ready descriptors; with `block` sleep until there is one
        or the armed deadline is there. True if anything happened."""
        happened = False
        for fd, events in list(self.files.items()):
            self._tell(fd, events & (select.EPOLLIN | select.EPOLLOUT))
            happened = True
        for fd, events in self._epoll.poll(-1 if block and not happened else 0):
            happened = True
            if fd == self._timer:
                self.arm(None)
            else:
                self._tell(fd, events)
        return happened

    def _tell(self, fd: int, events: int) -> None:
        waiters = self._watches.get(fd)
        if waiters is None:
            return
        ready = [entry for entry in waiters if (entry[0] | _ALWAYS) & events]
        kept = [entry for entry in waiters if not (entry[0] | _ALWAYS) & events]
        self.count -= len(ready)
        if kept:
            self._watches[fd] = kept
            self._program(fd, kept, False)
        else:
            self._forget(fd)
        for _, waiter in ready:
            waiter.host_ready(events)

    def close(self) -> None:
        """Close the epoll and the timer; watched descriptors stay their owners'."""
        self._watches.clear()
        self._epoll.close()
        os.close(self._timer)
