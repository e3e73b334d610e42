# SPDX-License-Identifier: Apache-2.0
"""What the host's CPU offers to programs: words of their auxiliary vector, /proc/cpuinfo."""

from __future__ import annotations

import ctypes

_AT_HWCAP, _AT_HWCAP2 = 16, 26


def hwcaps() -> tuple[int, int]:
    """AT_HWCAP and AT_HWCAP2 as the host gives them. getauxval(3)."""
    libc = ctypes.CDLL(None)
    libc.getauxval.restype = ctypes.c_ulong
    libc.getauxval.argtypes = [ctypes.c_ulong]
    return int(libc.getauxval(_AT_HWCAP)), int(libc.getauxval(_AT_HWCAP2))


class HostCpu:
    """The CPU's description for /proc/cpuinfo; programs can ask cpuid for the same."""

    #: Of the host alone: how many CPUs it has and how they are numbered and clocked.
    _OWN = frozenset((
        "processor", "physical id", "siblings", "core id", "cpu cores", "apicid",
        "initial apicid",
    ))  # fmt: skip

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: dict[str, str] | None = None

    def describe(self) -> dict[str, str]:
        """The fields of one CPU, in order; read at the first use."""
        if self._fields is None:
            self._fields = self._read()
        return self._fields

    def _read(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        try:
            with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
                for line in file:
                    name, colon, value = line.partition(":")
                    if not colon:
                        break
                    if name.strip() not in self._OWN:
                        fields[name.strip()] = value.strip()
        except OSError:
            fields["model name"] = "unknown"
        return fields
