"""Arrays in and out: NumPy's where it is installed, else lists and array.array.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
import math
import operator
import sys
from array import array
from typing import Any, Sequence

try:
    import numpy as np
except ImportError:  # all works without
    np = None  # type: ignore[assignment]

Idx, Id, Real, Single = ctypes.c_ssize_t, ctypes.c_uint64, ctypes.c_double, ctypes.c_float


def _whole(value: Any) -> int:
    i = operator.index(value)
    if not -sys.maxsize - 1 <= i <= sys.maxsize:
        raise OverflowError(f"{i} is no level")
    return i


def codes_in(codes: Any, d: int) -> tuple[Any, int]:
    """(K,d) levels as a C array, and K; one code alone counts as K = 1."""
    if np is not None:
        a = np.asarray(codes)
        if a.size and a.dtype.kind not in "iu":
            raise TypeError(f"codes: whole numbers expected, not {a.dtype}")
        if a.dtype.kind == "u" and a.size and int(a.max()) > sys.maxsize:
            raise OverflowError("codes: a level is out of range")
        _shape(a.shape, d)
        flat = np.ascontiguousarray(a, dtype=np.intp).ravel()
        buffer = (Idx * flat.size)()
        ctypes.memmove(buffer, flat.ctypes.data, ctypes.sizeof(buffer))
        return buffer, flat.size // d
    rows = list(codes)
    if rows and not hasattr(rows[0], "__len__"):
        rows = [rows]
    for row in rows:
        _shape((len(rows), len(row)), d)
    levels = [_whole(v) for row in rows for v in row]
    return (Idx * len(levels))(*levels), len(rows)


def _shape(shape: Sequence[int], d: int) -> None:
    if (len(shape) in (1, 2) and shape[-1] == d) or 0 in shape:
        return
    raise ValueError(f"codes: (K,{d}) expected, not {tuple(shape)}")


def codes_out(buffer: Any, K: int, d: int) -> Any:
    """A copy of K codes (K,d), from an array or a pointer."""
    if np is not None:
        out = np.empty((K, d), dtype=np.intp)
        ctypes.memmove(out.ctypes.data, buffer, out.nbytes)
        return out
    return [list(buffer[k * d:(k + 1) * d]) for k in range(K)]


def code_out(buffer: Any, d: int) -> Any:
    """One code (d)."""
    return codes_out(buffer, 1, d)[0]


def _numbers(values: Any) -> list[float]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not hasattr(values, "__iter__"):
        values = [values]
    return [math.nan if v is None else float(v) for v in values]


def values_in(values: Any, n: int) -> Any:
    """(n) numbers; None is a missing one."""
    out = _numbers(values)
    if len(out) != n:
        raise ValueError(f"{n} values expected, one for each code, not {len(out)}")
    return (Real * n)(*out)


def ids_in(ids: Any) -> Any:
    """(n) ids."""
    if not hasattr(ids, "__iter__"):
        ids = [ids]
    out = [operator.index(i) for i in ids]
    if any(i < 0 or i >= 1 << 64 for i in out):
        raise OverflowError("ids: one is out of range")
    return (Id * len(out))(*out)


def ids_out(buffer: Any, n: int) -> Any:
    """A copy of n ids."""
    ids = list(buffer[:n])
    return ids if np is None else np.array(ids, dtype=np.uint64)


def reals_out(buffer: Any, shape: Sequence[int]) -> Any:
    """A copy of doubles."""
    if np is not None:
        return np.array(buffer[:], dtype=np.float64).reshape(shape)
    if len(shape) == 1:
        return list(buffer[:])
    n = shape[1]
    return [list(buffer[k * n:(k + 1) * n]) for k in range(shape[0])]


def pictures_in(pictures: Any, shape: Sequence[int]) -> tuple[Any, int]:
    """(K,..) floats as a C array, and K. Without NumPy, flat sequences or nested lists."""
    each = math.prod(shape)
    if np is not None:
        a = np.asarray(pictures)
        if a.dtype.kind not in "fiub" or a.shape[-len(shape):] != tuple(shape) or \
                a.ndim - len(shape) not in (0, 1):
            raise ValueError(f"(K,{','.join(map(str, shape))}) numbers expected, "
                             f"not {a.shape} {a.dtype}")
        flat = np.ascontiguousarray(a, dtype=np.float32).ravel()
        buffer = (Single * flat.size)()
        ctypes.memmove(buffer, flat.ctypes.data, ctypes.sizeof(buffer))
        return buffer, flat.size // each
    flat = _flat(pictures)
    if len(flat) % each:
        raise ValueError(f"a multiple of {each} numbers expected, not {len(flat)}")
    return (Single * len(flat))(*flat), len(flat) // each


def _flat(values: Any) -> list[float]:
    out: list[float] = []
    for v in values:
        if hasattr(v, "__iter__"):
            out.extend(_flat(v))
        else:
            out.append(float(v))
    return out


def floats_out(buffer: Any, shape: Sequence[int]) -> Any:
    """A copy of floats: of this shape with NumPy, flat without."""
    n = math.prod(shape)
    if np is not None:
        out = np.empty(tuple(shape), dtype=np.float32)
        ctypes.memmove(out.ctypes.data, buffer, out.nbytes)
        return out
    return array("f", buffer[:n])
