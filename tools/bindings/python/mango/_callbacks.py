"""Functions of Python that the library calls. ctypes holds the GIL while they run and lets go
of it while the library computes; an exception waits until the library has returned.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
from typing import Any, Callable, Sequence

from ._arrays import code_out, codes_out, floats_out, values_in
from ._handle import Calls
from ._library import EVALUATOR, OBSERVER, PICTURES, RULE, Status


class Stop(Exception):
    """Raised by a function of codes: the search ends here, as the caller asked."""


def _answered(calls: Calls, work: Callable[[], Any]) -> int:
    if calls.raised is not None:
        return int(Status.E_CALLBACK)
    try:
        work()
        return 0
    except Stop:
        return int(Status.STOP_USER)
    except BaseException as e:  # KeyboardInterrupt too: raised again after the call
        calls.raised = e
        return int(Status.E_CALLBACK)


def _put(y: Any, values: Any, K: int) -> None:
    ctypes.memmove(y, values_in(values, K), K * ctypes.sizeof(ctypes.c_double))


def evaluator(function: Callable[[Any], Any], d: int, calls: Calls) -> Any:
    """A mango_evaluator: values of codes (K,d)."""
    def called(_: Any, K: int, I: Any, y: Any) -> int:
        return _answered(calls, lambda: _put(y, function(codes_out(I, K, d)), K))
    return EVALUATOR(called)


def picture_values(function: Callable[[Any], Any], shape: Sequence[int], calls: Calls) -> Any:
    """A mango_picture_values: values of pictures (K,C,H,W)."""
    def called(_: Any, K: int, rgb: Any, y: Any) -> int:
        return _answered(calls, lambda: _put(y, function(floats_out(rgb, (K, *shape))), K))
    return PICTURES(called)


def observer(function: Callable[[], Any], calls: Calls) -> Any:
    """`observe` of a session; a true answer stops it."""
    def called(_: Any, __: Any) -> int:
        try:
            return 1 if function() else 0
        except BaseException as e:
            calls.raised = e
            return 1
    return OBSERVER(called)


def rule(function: Callable[[Any], Any], d: int, calls: Calls) -> Any:
    """`allows` of the facts."""
    def called(_: Any, I: Any) -> int:
        try:
            return 1 if function(code_out(I, d)) else 0
        except BaseException as e:
            calls.raised = e
            return 0
    return RULE(called)
