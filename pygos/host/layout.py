# SPDX-License-Identifier: Apache-2.0
"""What lies above TASK_SIZE in the host process of a guest (see Documentation/platforms.rst).

All of it is the platform's; the guest's own page tables end at TASK_SIZE. stub.S has the same
numbers; a test compares them.
"""

from __future__ import annotations

from typing import Final

from pygos.include.linux.platform import PAGE_SIZE, TASK_SIZE, WINDOWS, WINDOWS_END

#: The code of stub.S, one page, read and execute.
STUB_CODE: Final = TASK_SIZE
#: Compiled code that answers calls in the stub, up to 15 pages, read and execute.
STUB_FAST: Final = TASK_SIZE + 0x1000
STUB_FAST_PAGES: Final = 15
#: The list of mapping changes: a page that only the kernel can write.
STUB_LIST: Final = TASK_SIZE + 0x1_0000
#: A page of the process that only the kernel can write; one that the guest can write too.
STUB_PROC: Final = TASK_SIZE + 0x1_1000
STUB_POS: Final = TASK_SIZE + 0x1_2000
STUB_END: Final = TASK_SIZE + 0x1_3000
#: Read-only windows onto frames of the page cache.
STUB_WINDOWS: Final = WINDOWS
#: Thread areas, 16 KiB each, aligned. All have the same bits above the 30 lowest.
STUB_AREAS: Final = WINDOWS_END
AREA_SIZE: Final = 0x4000
AREAS: Final = 0xFFF0
#: In an area: the control page (guest may write), the thread page (kernel only), the stack.
AREA_THREAD: Final = PAGE_SIZE
AREA_STACK: Final = 2 * PAGE_SIZE
