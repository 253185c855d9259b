"""MANGO: find the code, or the picture, that makes a neuron fire most, without gradients.

    import mango
    opt = mango.Optimizer([16] * 8, "protes", seed=7)   # ask and tell
    mango.Session(..)                                   # with cache, budget and journal
    mango.Search(gen, net, "spiking1:3").run()          # generator, network and target

All calls raise mango.Error with the library's message when they fail. Arrays are NumPy's
where it is installed; without it codes are lists of lists and floats are array.array.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

from ._callbacks import Stop
from ._library import Error, Status, lib as _lib
from .network import Net, Plan
from .optimizer import Optimizer, options_of, presets
from .search import Drawing, Objective, Search
from .session import Session
from .tables import read_journal, read_table

__all__ = ["Drawing", "Error", "Net", "Objective", "Optimizer", "Plan", "Search", "Session",
           "Status", "Stop", "options_of", "presets", "read_journal", "read_table",
           "set_threads", "threads", "version"]


def version() -> str:
    """Of the library."""
    n = _lib.mango_version_number()
    return f"{n // 10000}.{n // 100 % 100}.{n % 100}"


def set_threads(n: int) -> None:
    """Threads that calls of this thread may use; 0: all. Results do not depend on it."""
    _lib.mango_set_threads(n)


def threads() -> int:
    """The number in force."""
    return _lib.mango_threads()
