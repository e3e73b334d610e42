# SPDX-License-Identifier: Apache-2.0
"""The boot image: the compiled code of all modules that a start imports, in one file.

Python looks for each module in several places and opens two files for it; with several hundred
modules that is a fourth of a cold start. So the command line keeps a copy of what they hold,
``__pycache__/boot.*.image`` in the package, which is made, checked and trusted as the .pyc files
beside it are: by the time and size of each source, by the same version of the same Python.

The file: MAGIC, the lengths of the index and of the code (4 bytes each), the index, the code. The
index is (identity, {name: (source, is a package, mtime, size, offset, length)}).
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    Entry = tuple[str, bool, int, int, int, int]

_MAGIC = b"pygos boot image 1\n"
#: So many modules that aren't in the image make a new one worth its time.
_MISSED = 8
_ROOT = os.path.dirname(os.path.abspath(__file__))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))


def path() -> str:
    """The file for this Python."""
    optimized = f".opt-{sys.flags.optimize}" if sys.flags.optimize else ""
    return f"{_ROOT}/__pycache__/boot.{sys.implementation.cache_tag}{optimized}.image"


def _identity() -> str:
    return f"{sys.version}\n{_LIBRARY}\n{_ROOT}"


class Image:
    """A finder and loader of modules: the first that Python asks."""

    __slots__ = ("_data", "_index", "_start", "missed", "stale")

    def __init__(self) -> None:
        self._data: Any = b""
        self._index: dict[str, Entry] = {}
        self._start = 0
        #: Modules that it should have but hasn't, and those that have changed since.
        self.missed: list[str] = []
        self.stale = False

    def open(self) -> None:
        """Read the file, if there is a good one."""
        import mmap

        try:
            with open(path(), "rb") as file:
                data = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
        except (OSError, ValueError):
            return
        magic, head = len(_MAGIC), len(_MAGIC) + 8
        size = int.from_bytes(data[magic : magic + 4], "little")
        code = int.from_bytes(data[magic + 4 : head], "little")
        if data[:magic] != _MAGIC or head + size + code != len(data):
            return
        identity, index = marshal.loads(data[head : head + size])
        if identity == _identity():
            self._data, self._index, self._start = memoryview(data), index, head + size

    def find_spec(self, name: str, places: object = None, target: object = None) -> Any:
        """importlib's protocol for finders."""
        entry = self._index.get(name)
        if entry is None:
            self.missed.append(name)
            return None
        source, package, mtime, size, _, _ = entry
        try:
            st = os.stat(source)
        except OSError:
            self.stale = True
            return None
        if st.st_mtime_ns != mtime or st.st_size != size:
            self.stale = True
            return None
        spec = ModuleSpec(name, self, origin=source, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [os.path.dirname(source)]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """importlib's protocol for loaders: nothing special."""

    def exec_module(self, module: ModuleType) -> None:
        """importlib's protocol for loaders."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        """The code of a module of ours."""
        _, _, _, _, offset, length = self._index[name]
        at = self._start + offset
        code: CodeType = marshal.loads(self._data[at : at + length])
        return code

    def get_source(self, name: str) -> str:
        """For tracebacks."""
        with open(self._index[name][0], encoding="utf-8") as file:
            return file.read()

    def worth_writing(self) -> bool:
        """Would a new image be much better? Only if Python may write compiled code at all."""
        if sys.dont_write_bytecode:
            return False
        missed = [name for name in self.missed if _belongs(sys.modules.get(name))]
        return self.stale or len(missed) >= _MISSED

    def write(self) -> None:
        """Make a new image, of all that is loaded and what was in the old one. OSError."""
        found = {n: self._entry(n, m) for n, m in list(sys.modules.items()) if _belongs(m)}
        for name in self._index.keys() - sys.modules.keys():
            if self.find_spec(name) is not None:  # it hasn't changed
                found[name] = self._old_entry(name)
        index: dict[str, Entry] = {}
        pieces: list[bytes] = []
        at = 0
        for name, (source, package, mtime, size, code) in found.items():
            index[name] = source, package, mtime, size, at, len(code)
            pieces.append(code)
            at += len(code)
        head = marshal.dumps((_identity(), index))
        lengths = len(head).to_bytes(4, "little"), at.to_bytes(4, "little")
        _replace(path(), [_MAGIC, *lengths, head, *pieces])

    def _entry(self, name: str, module: Any) -> tuple[str, bool, int, int, bytes]:
        """What the image has of a module. The source's time is taken before the code is read: if
        it changes between, the entry is stale at once."""
        loader = module.__spec__.loader
        if isinstance(loader, Image):
            return self._old_entry(name)
        source: str = module.__file__
        st = os.stat(source)
        code = marshal.dumps(loader.get_code(name))
        return source, hasattr(module, "__path__"), st.st_mtime_ns, st.st_size, code

    def _old_entry(self, name: str) -> tuple[str, bool, int, int, bytes]:
        source, package, mtime, size, offset, length = self._index[name]
        at = self._start + offset
        return source, package, mtime, size, bytes(self._data[at : at + length])


def _belongs(module: Any) -> bool:
    """Is that a module of pygos or of Python's library, read from a file?"""
    source = getattr(module, "__file__", None)
    spec = getattr(module, "__spec__", None)
    if not source or spec is None or spec.name != module.__name__:
        return False
    if not isinstance(spec.loader, Image) and getattr(spec.loader, "path", "") != source:
        return False  # the interpreter's own
    if not source.endswith(".py") or "site-packages" in source:
        return False
    return bool(source.startswith((_ROOT + os.sep, _LIBRARY + os.sep)))


def _replace(name: str, pieces: list[bytes]) -> None:
    """Put a file in its place at once, so that nobody ever reads half of one."""
    own = f"{name}.{os.getpid()}"
    fd = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "wb") as file:
            file.writelines(pieces)
        os.replace(own, name)
    except BaseException:
        os.unlink(own)
        raise


def install() -> Image:
    """Import from the image from now on."""
    image = Image()
    try:
        image.open()
    except (ValueError, TypeError, EOFError):
        pass  # damaged
    sys.meta_path.insert(0, image)
    return image


def update(image: Image) -> None:
    """Make a new image for the next start, if that is worth it and allowed."""
    sys.meta_path.remove(image)
    if image.worth_writing():
        try:
            image.write()
        except (OSError, ValueError, ImportError):
            pass
