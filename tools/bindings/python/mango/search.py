"""Drawings, objectives and searches: generator, network and target together.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
import weakref
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from ._arrays import Idx, Real, Single, code_out, codes_in, floats_out, pictures_in, reals_out
from ._callbacks import observer, picture_values
from ._handle import Calls, Handle, Shared
from ._library import Status, check, lib, new_error
from ._structs import Struct, Structs, encode, filled
from .network import Net
from .session import Session, session_options


def _with_controls(o: Struct, settings: Mapping[str, Any]) -> Struct:
    settings = dict(settings)
    controls = settings.pop("controls", None)
    o.fill(settings)
    if controls:
        o.controls = filled("mango_controls", lib.mango_controls_defaults_sized).fill(controls)
    return o


def _objective_options(settings: Mapping[str, Any]) -> Struct:
    o = filled("mango_objective_options", lib.mango_objective_defaults_sized)
    return _with_controls(o, settings)


def _drawing_options(settings: Mapping[str, Any]) -> Struct:
    o = filled("mango_drawing_options", lib.mango_drawing_defaults_sized)
    return _with_controls(o, settings)


def _modes(space: Optional[int]) -> list[int]:
    """The numbers of levels of a space."""
    if not space:
        return []
    m = filled("mango_space_info", lib.mango_space_get_sized, space).modes
    return list((Idx * m.d).from_address(m.n))


def _modes_of_generator(gen: Net) -> list[int]:
    """Levels of its codes; nothing is planned."""
    out, err = ctypes.c_void_p(), new_error()
    check(lib.mango_space_of(ctypes.byref(out), gen._pointer, None, err), err)
    try:
        return _modes(out.value)
    finally:
        lib.mango_space_destroy(out)


def _targets(net: Net, texts: Sequence[str]) -> Structs:
    """The targets, each with its text, which an objective copies."""
    out, err = Structs("mango_target", len(texts)), new_error()
    for t, text in zip(out.each, texts):
        t._keep[0] = data = ctypes.create_string_buffer(encode(text))
        check(lib.mango_target_parse(t.address, net._pointer,
                                     ctypes.cast(data, ctypes.c_char_p), err), err)
    return out


class Drawing(Handle):
    """From codes to pictures. settings: members of mango_drawing_options (batch, half, C, H,
    W), and controls={"grey": 1, "contrast": .15, ..} (members of mango_controls)."""

    _error = staticmethod(lib.mango_drawing_error)

    def __init__(self, gen: Net, **settings: Any) -> None:
        out, err, o = ctypes.c_void_p(), new_error(), _drawing_options(settings)
        check(lib.mango_drawing_create(ctypes.byref(out), gen._pointer, o.address, None, err),
              err)
        super().__init__(Shared(out.value or 0, lib.mango_drawing_destroy, [gen._shared]))
        info = Struct("mango_drawing_info")
        self._call(lib.mango_drawing_get_sized, info.address, info.bytes)
        self.shape = (info.C, info.H, info.W)  #: of a picture
        self.modes = _modes(info.space)  #: levels of each number of a code
        self.info = info.as_dict()

    def draw(self, codes: Any) -> Any:
        """Pictures (K,C,H,W) in [0,1] of codes (K,d)."""
        I, K = codes_in(codes, len(self.modes))
        rgb = (Single * (K * self.shape[0] * self.shape[1] * self.shape[2]))()
        self._call(lib.mango_drawing_codes, K, I, rgb)
        return floats_out(rgb, (K, *self.shape))


class Objective(Handle):
    """A target's value as a function of codes, or of pictures.

    gen       the generator; None: the objective is one of pictures alone (`look`)
    target    "spiking1:3", "class:7", "a:3 - 0.5*a:5", .. (mango_target); a list of them:
              values are (K,n), pictures drawn once
    settings  members of mango_objective_options (T, batch, half, int8, elite, ..), and
              controls={..}
    """

    _error = staticmethod(lib.mango_objective_error)

    def __init__(self, gen: Optional[Net], net: Net, target: Union[str, Sequence[str]],
                 **settings: Any) -> None:
        out, err, o = ctypes.c_void_p(), new_error(), _objective_options(settings)
        self.many = not isinstance(target, str)  #: values are (K,n)
        t = _targets(net, [target] if isinstance(target, str) else target)
        check(lib.mango_objective_create_many(ctypes.byref(out), gen and gen._pointer,
                                              net._pointer, len(t.each), t.raw, o.address,
                                              None, err), err)
        self._n = len(t.each)
        needs = [net._shared] + ([gen._shared] if gen else [])
        super().__init__(Shared(out.value or 0, lib.mango_objective_destroy, needs))
        info = self._info()
        self.shape = (info.C, info.H, info.W)  #: of a picture
        self.modes = _modes(info.space)  #: levels of each number of a code

    def _info(self) -> Struct:
        out = Struct("mango_objective_info")
        self._call(lib.mango_objective_get_sized, out.address, out.bytes)
        return out

    @property
    def info(self) -> dict[str, Any]:
        """mango_objective_info as a dict."""
        with self._shared.lock:
            return self._info().as_dict()

    def __call__(self, codes: Any) -> Any:
        """Values (K), or (K,n), of codes (K,d)."""
        I, K = codes_in(codes, len(self.modes))
        y = (Real * (K * self._n))()
        self._call(lib.mango_objective_eval_many if self.many else lib.mango_objective_eval,
                   K, I, y)
        return reals_out(y, (K, self._n) if self.many else (K,))

    def picture(self, code: Any) -> Any:
        """The picture (C,H,W) of one code."""
        I, K = codes_in(code, len(self.modes))
        if K != 1:
            raise ValueError("one code expected")
        rgb = (Single * (self.shape[0] * self.shape[1] * self.shape[2]))()
        self._call(lib.mango_objective_picture, I, rgb)
        return floats_out(rgb, self.shape)

    def look(self, pictures: Any) -> Any:
        """Values (K), or (K,n), of pictures (K,C,H,W) in [0,1]."""
        rgb, K = pictures_in(pictures, self.shape)
        y = (Real * (K * self._n))()
        self._call(lib.mango_objective_look, K, rgb, y)
        return reals_out(y, (K, self._n) if self.many else (K,))


class Search(Handle):
    """The whole search: generator, network, target and optimizer, made to fit.

    net, target  a network and what is wanted of it; or net a function of pictures
                 (K,C,H,W) that answers K values, and target its name
    preset       of mango.presets()
    objective    members of mango_objective_options (of a function: mango_drawing_options),
                 and controls={..}
    options, facts, notes, observe, settings: see Session; observe is called with its session

        search = mango.Search(gen, net, "spiking1:3", budget=1000, seed=1)
        search.run()
        value, code, picture = search.best
    """

    _error = staticmethod(lib.mango_search_error)

    def __init__(self, gen: Net, net: Any, target: str, preset: str = "auto", *,
                 objective: Optional[Mapping[str, Any]] = None,
                 options: Optional[Mapping[str, Any]] = None,
                 notes: Optional[Mapping[str, str]] = None, start: Any = None,
                 observe: Optional[Callable[[Session], Any]] = None, **settings: Any) -> None:
        self.modes = _modes_of_generator(gen)
        d = len(self.modes)
        if not isinstance(net, Net):
            with Drawing(gen, **_size_only(objective)) as drawing:
                self.shape = drawing.shape
        calls = Calls()
        me: list[Any] = [lambda: None]
        so = session_options(preset, calls, d, options, None, notes, start, settings)
        if observe is not None:
            so.observe = observer(lambda: observe(me[0]().session), calls)
        pointer, f = self._make(gen, net, target, objective or {}, so, calls)
        needs = [gen._shared] + ([net._shared] if isinstance(net, Net) else [])
        super().__init__(Shared(pointer, lib.mango_search_destroy, needs))
        self._calls, self._keep = calls, (so, f)
        self.stopped: Optional[Status] = None  #: why it is over; None: it is not
        if isinstance(net, Net):
            self._look()
        me[0] = weakref.ref(self)

    def _make(self, gen: Net, net: Any, target: str, objective: Mapping[str, Any], so: Struct,
              calls: Calls) -> tuple[int, Any]:
        out, err, f = ctypes.c_void_p(), new_error(), None
        if isinstance(net, Net):
            o = _objective_options(objective)
            status = lib.mango_search_create(ctypes.byref(out), gen._pointer, net._pointer,
                                             encode(target), o.address, so.address, None, err)
        else:
            f, o = picture_values(net, self.shape, calls), _drawing_options(objective)
            status = lib.mango_search_create_pictures(ctypes.byref(out), gen._pointer, f, None,
                                                      encode(target), o.address, so.address,
                                                      None, err)
        if status < 0:
            calls.again()
        check(status, err)
        return out.value or 0, f

    def _look(self) -> None:
        """The picture has the size that the network takes."""
        info = Struct("mango_objective_info")
        check(lib.mango_objective_get_sized(lib.mango_search_objective(self._pointer),
                                            info.address, info.bytes))
        self.shape = (info.C, info.H, info.W)

    @property
    def session(self) -> Session:
        """The session in it: info, queries, elites."""
        with self._shared.lock:
            at = lib.mango_search_session(self._pointer)
            return Session._inside(at, self, len(self.modes), self._keep)

    def step(self) -> Status:
        """One batch."""
        status = self._call(lib.mango_search_step)
        self.stopped = status if status > 0 else None
        return status

    def run(self) -> Status:
        """Steps until it stops; why. Between steps Python sees its signals."""
        status = self.step()
        while status == Status.OK:
            status = self.step()
        return status

    @property
    def best(self) -> tuple[float, Any, Any]:
        """Value, code (d) and picture (C,H,W) of the best so far."""
        y, code = ctypes.c_double(), (Idx * len(self.modes))()
        rgb = (Single * (self.shape[0] * self.shape[1] * self.shape[2]))()
        self._call(lib.mango_search_best, ctypes.byref(y), code, rgb)
        return y.value, code_out(code, len(self.modes)), floats_out(rgb, self.shape)


def _size_only(objective: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    """What the size of a drawing's pictures depends on."""
    return {k: v for k, v in (objective or {}).items() if k in ("C", "H", "W")} | {"batch": 1}
