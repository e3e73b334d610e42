# SPDX-License-Identifier: Apache-2.0
"""kexec_load(2): linux/kexec.h."""

from __future__ import annotations

from typing import Final

KEXEC_ON_CRASH: Final = 0x00000001
KEXEC_PRESERVE_CONTEXT: Final = 0x00000002
KEXEC_FILE_UNLOAD: Final = 0x00000001
KEXEC_FILE_ON_CRASH: Final = 0x00000002
KEXEC_FILE_NO_INITRAMFS: Final = 0x00000004
KEXEC_SEGMENT_MAX: Final = 16

KEXEC_ARCH_DEFAULT: Final = 0
KEXEC_ARCH_386: Final = 0x30000
KEXEC_ARCH_X86_64: Final = 0x3E0000
KEXEC_ARCH_AARCH64: Final = 0xB70000
