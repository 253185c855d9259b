"""Structs of the library, laid out as the library says: no layout is written down here.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
import difflib
import functools
import os
from typing import Any, Mapping, NamedTuple

from ._library import check, lib

_INT, _UINT, _REAL, _TEXT, _CHARS, _POINTER, _STRUCT = range(7)
_NUMBERS: dict[tuple[int, int], Any] = {
    (_INT, 1): ctypes.c_int8, (_INT, 2): ctypes.c_int16, (_INT, 4): ctypes.c_int32,
    (_INT, 8): ctypes.c_int64, (_UINT, 1): ctypes.c_uint8, (_UINT, 2): ctypes.c_uint16,
    (_UINT, 4): ctypes.c_uint32, (_UINT, 8): ctypes.c_uint64,
    (_REAL, 4): ctypes.c_float, (_REAL, 8): ctypes.c_double,
}


class Field(NamedTuple):
    """One member, as mango_struct_field tells it."""

    offset: int
    size: int
    many: int
    kind: int
    type: str


@functools.lru_cache(maxsize=None)
def layout(name: str) -> tuple[int, Mapping[str, Field]]:
    """Size and members of a struct."""
    fields = {}
    field, kind = ctypes.c_char_p(), ctypes.c_int()
    offset, size, count = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_ssize_t()
    outputs = [ctypes.byref(x) for x in (field, offset, size, count, kind)]
    encoded, i = name.encode(), 0
    while lib.mango_struct_field(encoded, i, *outputs) == 0:
        spelled = lib.mango_struct_type(encoded, i).decode()
        name_ = (field.value or b"").decode()
        fields[name_] = Field(offset.value, size.value, count.value, kind.value, spelled)
        i += 1
    total = lib.mango_struct_size(encoded)
    if not total:
        raise ImportError(f"mango: this library does not tell the layout of {name}")
    return total, fields


class Struct:
    """One struct: members are attributes. It owns its bytes, or is a part of `raw`."""

    __slots__ = ("_name", "_raw", "_at", "_keep")

    def __init__(self, name: str, raw: Any = None, at: int = 0, keep: Any = None) -> None:
        size, _ = layout(name)
        put = object.__setattr__
        put(self, "_name", name)
        put(self, "_raw", raw if raw is not None else ctypes.create_string_buffer(size))
        put(self, "_at", at)
        put(self, "_keep", {} if keep is None else keep)

    @property
    def bytes(self) -> int:
        """sizeof"""
        return layout(self._name)[0]

    @property
    def address(self) -> int:
        """Where it is; valid as long as this object."""
        return ctypes.addressof(self._raw) + self._at

    def _field(self, name: str) -> Field:
        fields = layout(self._name)[1]
        if name in fields:
            return fields[name]
        near = difflib.get_close_matches(name, fields, 3)
        raise AttributeError(f"{self._name} has no {name!r}; it has "
                             + ", ".join(near or list(fields)))

    def _one(self, f: Field, k: int) -> Any:
        at = self._at + f.offset + k * f.size
        if f.kind == _STRUCT:
            return Struct(f.type, self._raw, at, self._keep)
        if f.kind == _POINTER:
            return ctypes.c_void_p.from_buffer(self._raw, at).value
        if f.kind == _TEXT:
            text = ctypes.c_char_p.from_buffer(self._raw, at).value
            return None if text is None else text.decode("utf-8", "replace")
        return _NUMBERS[f.kind, f.size].from_buffer(self._raw, at).value

    def __getattr__(self, name: str) -> Any:
        f = self._field(name)
        if f.kind == _CHARS:
            at = self._at + f.offset
            return self._raw.raw[at:at + f.many].split(b"\0")[0].decode("utf-8", "replace")
        if f.many == 1:
            return self._one(f, 0)
        return [self._one(f, k) for k in range(f.many)]

    def __setattr__(self, name: str, value: Any) -> None:
        f = self._field(name)
        at = self._at + f.offset
        if f.many != 1 or f.kind in (_CHARS, _STRUCT):
            raise AttributeError(f"{self._name}.{name} is not set as a whole")
        if f.kind == _TEXT:
            self._keep[at] = text = None if value is None else encode(value)
            ctypes.c_char_p.from_buffer(self._raw, at).value = text
        elif f.kind == _POINTER:
            self._keep[at] = value
            pointer = value if value is None or isinstance(value, int) else address_of(value)
            ctypes.c_void_p.from_buffer(self._raw, at).value = pointer
        else:
            self._number(name, f, at, value)

    def _number(self, name: str, f: Field, at: int, value: Any) -> None:
        place = _NUMBERS[f.kind, f.size].from_buffer(self._raw, at)
        before = place.value
        try:
            place.value = float(value) if f.kind == _REAL else value.__index__()
        except (AttributeError, TypeError, ValueError):
            kind = "number" if f.kind == _REAL else "whole number"
            raise TypeError(f"{name}: a {kind} expected, not {value!r}") from None
        if f.kind != _REAL and place.value != value.__index__():
            place.value = before
            raise OverflowError(f"{name}: {value!r} is out of range")

    def fill(self, values: Mapping[str, Any]) -> "Struct":
        """Set several members; an unknown name is a TypeError with near ones."""
        for name, value in values.items():
            if name == "size":
                raise TypeError("size is the library's own")
            try:
                setattr(self, name, value)
            except AttributeError as e:
                raise TypeError(str(e)) from None
        return self

    def as_dict(self) -> dict[str, Any]:
        """All that is no pointer, copied."""
        fields = layout(self._name)[1]
        out = {}
        for name, f in fields.items():
            if f.kind == _STRUCT:
                out[name] = getattr(self, name).as_dict()
            elif f.kind != _POINTER and name != "size":
                out[name] = getattr(self, name)
        return out


class Structs:
    """An array of them, each kept with what it points to; `raw` is the C array."""

    def __init__(self, name: str, n: int) -> None:
        size, _ = layout(name)
        self.raw = ctypes.create_string_buffer(max(1, size * n))
        self.each = [Struct(name, self.raw, size * i) for i in range(n)]


def encode(text: Any) -> bytes:
    """A string or a path for the library; a zero byte in it would cut it short."""
    data = os.fsencode(text) if not isinstance(text, str) else text.encode()
    if b"\0" in data:
        raise ValueError("a text with a zero byte in it")
    return data


def address_of(value: Any) -> int:
    """The address that a ctypes array, function or Struct stands for."""
    if isinstance(value, Struct):
        return value.address
    if isinstance(value, Structs):
        value = value.raw
    return ctypes.cast(value, ctypes.c_void_p).value or 0


def filled(struct: str, function: Any, *before: Any, err: Any = None) -> Struct:
    """A struct from its ..._get_sized or ..._defaults_sized call."""
    out = Struct(struct)
    extra = () if err is None else (err,)
    check(function(*before, out.address, out.bytes, *extra), err)
    return out
