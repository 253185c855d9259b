"""Sessions: a search with a cache, a budget and a journal that survives a kill.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
import weakref
from typing import Any, Callable, Mapping, Optional, Sequence

from ._arrays import Id, Idx, code_out, codes_in, codes_out, ids_in, ids_out, values_in
from ._callbacks import evaluator, observer
from ._facts import check_allowed, facts_of, modes_of
from ._handle import Calls, Handle, Shared
from ._library import Status, check, lib, new_error
from ._structs import Struct, Structs, encode, filled, layout
from .optimizer import room_of, seed_of, set_options


_NONE = "best: no finite value was told yet"


def session_options(preset: str, calls: Calls, d: int, options: Optional[Mapping[str, Any]],
                    facts: Optional[Mapping[str, Any]], notes: Optional[Mapping[str, str]],
                    start: Any, settings: Mapping[str, Any]) -> Struct:
    """mango_session_options of a preset, filled by name."""
    err = new_error()
    so = filled("mango_session_options", lib.mango_session_defaults_sized, encode(preset),
                err=err)
    set_options(so.o, options or {})
    settings = dict(settings)
    if "seed" in settings:
        settings["seed"] = seed_of(settings["seed"])
    for name in ("journal", "noise"):
        if settings.get(name) is None:
            settings.pop(name, None)
    for pointer in ("o", "facts", "notes", "start", "observe", "observe_ud", "ties", "ties_ud"):
        if pointer in settings:
            raise TypeError(f"{pointer} is not set so")
    so.fill(settings)
    so.facts = facts_of(facts, d, calls)
    if notes:
        so.notes, so.n_notes = _notes(notes), len(notes)
    if start is not None:
        so.start, so.n_start = codes_in(start, d)
    return so


def _notes(notes: Mapping[str, str]) -> Structs:
    a = Structs("mango_note", len(notes))
    for note, (key, value) in zip(a.each, notes.items()):
        note.key, note.value = key, value
    return a


class Session(Handle):
    """A search of any function of codes, by a function or by ask and tell.

    function  values (K) of codes (K,d), called with whole batches; it may raise mango.Stop.
              None: values come by `tell` alone
    journal   path; with resume=True a search goes on where it was killed
    observe   called with the session after each step and each tell; true: stop
    options   of the preset; facts: see Optimizer; notes: texts that the journal keeps
    settings  any other member of mango_session_options: budget, seed, stop_at, repeat,
              shows, noise, race, stagnate, seconds, sync, stall, ahead, ..

        session = mango.Session([16] * 8, "auto", budget=500, journal="a.jsonl", resume=True)
        while not session.stopped:
            ids, codes = session.ask(20)
            session.tell(ids, show(codes))
    """

    _error = staticmethod(lib.mango_session_error)

    def __init__(self, modes: Sequence[int], preset: str = "auto",
                 function: Optional[Callable[[Any], Any]] = None, *,
                 options: Optional[Mapping[str, Any]] = None,
                 facts: Optional[Mapping[str, Any]] = None,
                 notes: Optional[Mapping[str, str]] = None, start: Any = None,
                 observe: Optional[Callable[["Session"], Any]] = None,
                 **settings: Any) -> None:
        d, calls, err, out = len(modes), Calls(), new_error(), ctypes.c_void_p()
        check_allowed(facts, modes)
        so = session_options(preset, calls, d, options, facts, notes, start, settings)
        me: list[Any] = [lambda: None]
        if observe is not None:
            so.observe = observer(lambda: observe(me[0]()), calls)
        f = None if function is None else evaluator(function, d, calls)
        m = modes_of(modes)
        status = lib.mango_session_create(ctypes.byref(out), m.address, so.address, f, None,
                                          None, err)
        if status < 0:
            calls.again()
        check(status, err)
        self._begin(Shared(out.value or 0, lib.mango_session_destroy), calls, d)
        self._keep = (so, f)
        me[0] = weakref.ref(self)

    def _begin(self, shared: Shared, calls: Calls, d: int) -> None:
        Handle.__init__(self, shared)
        self._calls, self.d = calls, d
        self.stopped: Optional[Status] = None  #: why the search is over; None: it is not

    @classmethod
    def _inside(cls, pointer: int, owner: Handle, d: int, keep: Any) -> "Session":
        """The session of a search."""
        self = cls.__new__(cls)
        shared = Shared(pointer, lambda _: None, [owner._shared])
        shared.lock = owner._shared.lock
        self._begin(shared, owner._calls, d)
        self._keep = keep
        return self

    def _stop(self, status: Status) -> Status:
        self.stopped = status if status > 0 else None
        return status

    def ask(self, cap: int = 100) -> tuple[Any, Any]:
        """What is to be shown next: ids (K) and codes (K,d), K <= cap. K = 0: values must be
        told first, or the search is over and `stopped` says why."""
        K, room = Idx(0), room_of(cap)
        buffer, ids = (Idx * (room * self.d))(), (Id * room)()
        self._stop(self._call(lib.mango_session_ask, room, ctypes.byref(K), ids, buffer))
        return ids_out(ids, K.value), codes_out(buffer, K.value, self.d)

    def tell(self, ids: Any, values: Any) -> None:
        """Values (n) of ids (n): any order, late, again; NaN or None: missing."""
        which = ids_in(ids)
        self._call(lib.mango_session_tell, len(which), which, values_in(values, len(which)))

    def offer(self, codes: Any) -> Any:
        """Codes of one's own, to be shown as if proposed; their ids."""
        buffer, K = codes_in(codes, self.d)
        ids = (Id * K)()
        self._call(lib.mango_session_offer, K, buffer, ids)
        return ids_out(ids, K)

    def again(self, ids: Any = None) -> None:
        """Give out anew what was given out and not told; None: all of it."""
        which = None if ids is None else ids_in(ids)
        self._call(lib.mango_session_again, 0 if which is None else len(which), which)

    def note(self, key: str, value: str) -> None:
        """A line of one's own in the journal."""
        self._call(lib.mango_session_note, encode(key), encode(value))

    def extend(self, budget: int) -> None:
        """A new total budget."""
        self._call(lib.mango_session_extend, budget)
        self.stopped = None

    def step(self) -> Status:
        """One batch by the session's function."""
        return self._stop(self._call(lib.mango_session_step))

    def run(self) -> Status:
        """Steps until it stops; why. Between steps Python sees its signals."""
        status = self.step()
        while status == Status.OK:
            status = self.step()
        return status

    @property
    def best(self) -> tuple[float, Any]:
        """Best value and its code."""
        y, code = ctypes.c_double(), (Idx * self.d)()
        self._call(lib.mango_session_best, ctypes.byref(y), code, why=_NONE)
        return y.value, code_out(code, self.d)

    def query(self, q: int) -> tuple[float, Any]:
        """Value and code of query q, in the order in which values came."""
        y, code = ctypes.c_double(), (Idx * self.d)()
        self._call(lib.mango_session_query, q, ctypes.byref(y), code, why=f"no query {q}")
        return y.value, code_out(code, self.d)

    def code(self, id: int) -> Any:
        """The code of an id."""
        code = (Idx * self.d)()
        self._call(lib.mango_session_code, seed_of(id), code, why=f"no code has the id {id}")
        return code_out(code, self.d)

    def _told(self, why: str, struct: str, function: Any, *before: Any) -> dict[str, Any]:
        out = Struct(struct)
        self._call(function, *before, out.address, out.bytes, why=why)
        return out.as_dict()

    @property
    def info(self) -> dict[str, Any]:
        """mango_session_info as a dict."""
        return self._told("info", "mango_session_info", lib.mango_session_get_sized)

    def value(self, q: int) -> dict[str, Any]:
        """All that is known of query q."""
        return self._told(f"no query {q}", "mango_value", lib.mango_session_value_sized, q)

    def improvement(self, i: int) -> dict[str, Any]:
        """When another code became the best, i = 0 .. info["improvements"] - 1."""
        return self._told(f"no improvement {i}", "mango_improvement",
                          lib.mango_session_improved_sized, i)

    def estimate(self, id: int) -> dict[str, Any]:
        """What all presentations of an id's code say of it."""
        return self._told(f"no code has the id {id}", "mango_estimate",
                          lib.mango_session_estimate_sized, seed_of(id))

    def found(self) -> dict[str, Any]:
        """The same of the best."""
        return self._told(_NONE, "mango_estimate", lib.mango_session_found_sized)

    def elites(self, most: int, distance: int = 1) -> list[dict[str, Any]]:
        """The best codes that differ in `distance` modes from all better ones taken."""
        a, n = Structs("mango_estimate", max(most, 0)), Idx(0)
        self._call(lib.mango_session_elites_sized, most, distance, ctypes.byref(n), a.raw,
                   layout("mango_estimate")[0],
                   why="elites: numbers of 0 and more expected, for most and distance")
        return [e.as_dict() for e in a.each[:n.value]]
