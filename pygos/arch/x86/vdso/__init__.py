# SPDX-License-Identifier: Apache-2.0
"""The vDSO: a small shared library that the kernel maps into every program, vdso(7).

``vdso.S`` is its code, ``elf.py`` makes a shared library of that, ``image.py`` is the result
(tools/um/vdso.py writes it). ``vma.py`` maps it, with the time pages ``[vvar]`` before it; who
keeps these up to date is the machine's Clock (pygos/host/tsc.py).
"""
