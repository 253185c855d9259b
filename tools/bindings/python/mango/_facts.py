"""Modes and facts of a space, for optimizer and session.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
from typing import Any, Mapping, Optional, Sequence

from ._arrays import Idx, codes_in, _flat
from ._callbacks import rule
from ._handle import Calls
from ._library import lib
from ._structs import Struct, filled

PRIORS = {"none": 0, "normal": 1}


def modes_of(modes: Sequence[int]) -> Struct:
    """A mango_modes of the numbers of levels."""
    n, _ = codes_in([list(modes)], len(modes)) if len(modes) else ((Idx * 0)(), 0)
    return Struct("mango_modes").fill({"d": len(modes), "n": n})


def facts_of(facts: Optional[Mapping[str, Any]], d: int, calls: Calls) -> Optional[Struct]:
    """A mango_facts from names and values:
    grid=(H, W), prior=("normal", lo, hi), classes=(first, n), noisy=True, codes=(n,d) good
    ones, allowed=0/1 for each level of mode 0, 1, .., allows=function of a code,
    allows_name="its name"."""
    if facts is None:
        return None
    out = filled("mango_facts", lib.mango_facts_defaults_sized)
    for name, value in facts.items():
        if name not in _SETTERS:
            raise TypeError(f"facts: no {name!r}; there are {', '.join(_SETTERS)}")
        _SETTERS[name](out, value, d, calls)
    return out


def _grid(f: Struct, value: Any, d: int, calls: Calls) -> None:
    f.H, f.W = value


def _prior(f: Struct, value: Any, d: int, calls: Calls) -> None:
    name, f.prior_lo, f.prior_hi = value
    if name not in PRIORS:
        raise ValueError(f"prior: {' or '.join(PRIORS)} expected, not {name!r}")
    f.prior = PRIORS[name]


def _classes(f: Struct, value: Any, d: int, calls: Calls) -> None:
    f.class_first, f.classes = value


def _noisy(f: Struct, value: Any, d: int, calls: Calls) -> None:
    f.noisy = int(bool(value))


def _codes(f: Struct, value: Any, d: int, calls: Calls) -> None:
    f.codes, f.n_codes = codes_in(value, d)


def _allowed(f: Struct, value: Any, d: int, calls: Calls) -> None:
    marks = [int(v) for v in _flat(value)]
    if set(marks) - {0, 1}:
        raise ValueError("allowed: 0 or 1 for each level expected")
    f.allowed = (ctypes.c_ubyte * len(marks))(*marks)


def _allows(f: Struct, value: Any, d: int, calls: Calls) -> None:
    f.allows = rule(value, d, calls)


def _allows_name(f: Struct, value: Any, d: int, calls: Calls) -> None:
    f.allows_name = value


_SETTERS = {"grid": _grid, "prior": _prior, "classes": _classes, "noisy": _noisy,
            "codes": _codes, "allowed": _allowed, "allows": _allows,
            "allows_name": _allows_name}


def check_allowed(facts: Optional[Mapping[str, Any]], modes: Sequence[int]) -> None:
    """The library reads one byte for each level: there must be so many."""
    if facts and "allowed" in facts and len(_flat(facts["allowed"])) != sum(modes):
        raise ValueError(f"allowed: {sum(modes)} marks expected, one for each level of each "
                         f"mode, not {len(_flat(facts['allowed']))}")


__all__ = ["modes_of", "facts_of", "check_allowed"]
