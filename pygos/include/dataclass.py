# SPDX-License-Identifier: Apache-2.0
"""Slotted data classes that cost next to nothing at import.

``dataclass``, ``field`` and ``replace`` as in the standard library's module, for what the
kernel needs of them. That module imports ``inspect`` and compiles four or five methods per
class, about 0.4 ms each and 20 ms in all on the way to the first system call; here a class
costs some 15 us, and its ``__init__`` is compiled when the first instance is made.

All classes have slots. ``frozen`` classes refuse assignment; they are hashable, others aren't
unless made with ``eq=False``. They don't inherit fields from each other.
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Factory:
    """The default of a field made anew for each instance."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], T]) -> T:
    """A field whose default is made anew for each instance."""
    made: Any = Factory(default_factory)
    return made  # type: ignore[no-any-return]


@overload
def dataclass(cls: type[T]) -> type[T]: ...
@overload
def dataclass(
    *, slots: bool = True, frozen: bool = False, eq: bool = True
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def dataclass(
    cls: type[Any] | None = None, *, slots: bool = True, frozen: bool = False, eq: bool = True
) -> Any:
    """Make a class of its annotated fields. `slots` is taken for granted."""
    if cls is not None:
        return _make(cls, frozen, eq)
    return lambda kind: _make(kind, frozen, eq)


def _make(cls: type[Any], frozen: bool, eq: bool) -> type[Any]:
    """The class again, with slots."""
    ns = dict(cls.__dict__)
    names = tuple([n for n, h in ns["__annotations__"].items() if "ClassVar" not in str(h)])
    ns["__defaults__"] = {n: ns.pop(n) for n in names if n in ns}
    ns["__fields__"] = ns["__slots__"] = names
    ns.pop("__dict__", None)
    ns.pop("__weakref__", None)
    ns.setdefault("__init__", _first_init)
    ns.setdefault("__repr__", _repr)
    if eq and "__eq__" not in ns:
        ns["__eq__"] = _eq
        ns["__hash__"] = _hash if frozen else None
    if frozen:
        ns["__setattr__"] = ns["__delattr__"] = _refuse
        ns["__getstate__"], ns["__setstate__"] = _getstate, _setstate
    metaclass: Any = type(cls)
    made: type[Any] = metaclass(cls.__name__, cls.__bases__, ns)
    return made


def _first_init(self: Any, *args: Any, **named: Any) -> None:
    """Stands for ``__init__`` until the first instance is made."""
    cls = next(kind for kind in type(self).__mro__ if "__fields__" in kind.__dict__)
    setattr(cls, "__init__", _compile_init(cls))  # noqa: B010  mypy knows it as a method
    self.__init__(*args, **named)


def _compile_init(cls: Any) -> Any:
    params, lines = ["self"], []
    scope: dict[str, Any] = {}
    frozen = cls.__setattr__ is _refuse
    for name in cls.__fields__:
        value = name
        if name in cls.__defaults__:
            default = cls.__defaults__[name]
            params.append(f"{name}=d_{name}")
            scope[f"d_{name}"] = default
            if isinstance(default, Factory):
                scope[f"make_{name}"] = default.make
                value = f"make_{name}() if {name} is d_{name} else {name}"
        else:
            params.append(name)
        if frozen:
            scope[f"set_{name}"] = cls.__dict__[name].__set__
        lines.append(f" set_{name}(self, {value})" if frozen else f" self.{name} = {value}")
    source = "\n".join([f"def __init__({', '.join(params)}):", *lines])
    exec(compile(source, f"<dataclass {cls.__name__}>", "exec"), scope)
    return scope["__init__"]


def _repr(self: Any) -> str:
    values = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__fields__])
    return f"{type(self).__qualname__}({values})"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__fields__])


def _eq(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _refuse(self: Any, name: str, *value: Any) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: {name}")


def _getstate(self: Any) -> tuple[Any, ...]:
    return _values(self)


def _setstate(self: Any, state: tuple[Any, ...]) -> None:
    for name, value in zip(self.__fields__, state, strict=True):
        object.__setattr__(self, name, value)


def replace(instance: T, /, **changes: Any) -> T:
    """A copy with some fields changed. TypeError for a field that isn't there."""
    kind: Any = type(instance)
    for name in kind.__fields__:
        if name not in changes:
            changes[name] = getattr(instance, name)
    new: T = kind(**changes)
    return new
