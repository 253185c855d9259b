"""Optimizers: ask for codes, tell what they gave.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
from typing import Any, Mapping, Optional, Sequence

from ._arrays import Id, Idx, code_out, codes_in, codes_out, ids_out, values_in
from ._facts import check_allowed, facts_of, modes_of
from ._handle import Calls, Handle, Shared
from ._library import check, lib, new_error
from ._structs import Struct, encode, filled


def presets() -> dict[str, str]:
    """The optimizers that there are, each with a line about it."""
    out = {}
    for i in range(lib.mango_opt_presets()):
        p = filled("mango_opt_preset_info", lib.mango_opt_preset_sized, i)
        out[p.name] = p.meaning
    return out


def options_of(preset: str) -> dict[str, dict[str, Any]]:
    """The options of a preset: meaning, range, default."""
    out = {}
    for i in range(max(0, lib.mango_opt_option_count(encode(preset)))):
        o = filled("mango_opt_spec", lib.mango_opt_option_sized, encode(preset), i).as_dict()
        out[o.pop("name")] = o
    return out


def set_options(o: Struct, options: Mapping[str, Any]) -> None:
    """Options by name: numbers, or words of a choice."""
    err = new_error()
    for name, value in options.items():
        if isinstance(value, str):
            text = encode(f"{name}={value}")
            check(lib.mango_opt_parse(o.address, text, err), err)
        else:
            check(lib.mango_opt_set(o.address, encode(name), float(value), err), err)


def text_of(function: Any, *before: Any) -> str:
    """A text whose length the library tells first."""
    n = function(*before, None, 0)
    if n < 0:
        return ""
    buffer = ctypes.create_string_buffer(n + 1)
    function(*before, buffer, n + 1)
    return buffer.value.decode("utf-8", "replace")


class Optimizer(Handle):
    """A black-box optimizer over codes: mode j has the levels 0 .. modes[j] - 1.

    modes    the numbers of levels
    preset   one of presets()
    seed     the same seed proposes the same codes, on every machine and in every language
    facts    what else is known of the space, see mango._facts.facts_of
    options  of the preset by name, see options_of(preset); minimize=1 is one of all

        opt = mango.Optimizer([16] * 8, "protes", seed=7)
        codes = opt.ask(20)
        opt.tell(codes, values)
        value, code = opt.best
    """

    _error = staticmethod(lib.mango_opt_error)

    def __init__(self, modes: Sequence[int], preset: str = "auto", *, seed: int = 0,
                 facts: Optional[Mapping[str, Any]] = None, **options: Any) -> None:
        calls, err, out = Calls(), new_error(), ctypes.c_void_p()
        o = filled("mango_opt_options", lib.mango_opt_defaults_sized, encode(preset), err=err)
        set_options(o, options)
        check_allowed(facts, modes)
        m, f = modes_of(modes), facts_of(facts, len(modes), calls)
        status = lib.mango_opt_create(ctypes.byref(out), m.address,
                                      None if f is None else f.address, o.address,
                                      seed_of(seed), None, err)
        if status < 0:
            calls.again()
        check(status, err)
        super().__init__(Shared(out.value or 0, lib.mango_opt_destroy))
        self._calls, self._facts, self.modes = calls, f, list(modes)
        self.d = len(self.modes)

    def ask(self, cap: Optional[int] = None) -> Any:
        """Proposals (K,d): `cap` of them, or as many as the method likes."""
        return self.ask_ids(cap)[1]

    def ask_ids(self, cap: Optional[int] = None) -> tuple[Any, Any]:
        """The same with their ids (K): numbers of the proposals, counted from 0."""
        room = self.info["batch"] if cap is None else room_of(cap)
        K = Idx(0 if cap is None else room)
        buffer, ids = (Idx * (room * self.d))(), (Id * room)()
        self._call(lib.mango_opt_ask_ids, room, ctypes.byref(K), buffer, ids)
        return ids_out(ids, K.value), codes_out(buffer, K.value, self.d)

    def tell(self, codes: Any, values: Any) -> None:
        """Values (K) of codes (K,d), any codes; NaN or None: missing."""
        buffer, K = codes_in(codes, self.d)
        self._call(lib.mango_opt_tell, K, buffer, values_in(values, K))

    def restart(self) -> None:
        """Forget what was learnt but keep the best."""
        self._call(lib.mango_opt_restart)

    @property
    def best(self) -> tuple[float, Any]:
        """Best value told and its code."""
        y, code = ctypes.c_double(), (Idx * self.d)()
        self._call(lib.mango_opt_best, ctypes.byref(y), code,
                   why="best: nothing finite was told yet")
        return y.value, code_out(code, self.d)

    @property
    def info(self) -> dict[str, Any]:
        """mango_opt_info as a dict."""
        out = Struct("mango_opt_info")
        self._call(lib.mango_opt_get_sized, out.address, out.bytes)
        return out.as_dict()

    def explain(self) -> str:
        """What it has learnt, in words; empty where the method says nothing."""
        with self._shared.lock:
            return text_of(lib.mango_opt_explain, self._pointer)


def room_of(cap: int) -> int:
    """A number of codes to ask for."""
    if not 1 <= cap.__index__() <= 1 << 24:
        raise ValueError(f"ask: 1 .. 2^24 codes expected, not {cap}")
    return cap.__index__()


def seed_of(seed: int) -> int:
    """A seed that fits, or an OverflowError: ctypes would cut it."""
    seed = seed.__index__()
    if not 0 <= seed < 1 << 64:
        raise OverflowError(f"seed: 0 .. 2^64 - 1 expected, not {seed}")
    return seed
