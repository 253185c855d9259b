"""Networks: built, loaded, saved, asked, run.

SPDX-License-Identifier: MIT
"""
from __future__ import annotations

import ctypes
import warnings
from typing import Any, Mapping, Optional, Sequence

from ._arrays import Idx, Single, floats_out, pictures_in
from ._handle import Handle, Shared
from ._library import Error, Status, check, lib, new_error
from ._structs import Struct, encode, filled, layout
from .optimizer import seed_of, text_of

READS = ("mean", "rate", "spikes", "codes", "membrane")


class Net(Handle):
    """A network: Net.load(path), Net.zoo("vqvae"), Net.parse(text), Net.pixels(3, 32, 32)."""

    _error = staticmethod(lib.mango_net_error)

    def __init__(self, pointer: int) -> None:
        super().__init__(Shared(pointer, lib.mango_net_destroy))

    @classmethod
    def _made(cls, function: Any, *arguments: Any) -> "Net":
        out, err = ctypes.c_void_p(), new_error()
        check(function(ctypes.byref(out), *arguments, None, err), err)
        return cls(out.value or 0)

    @classmethod
    def load(cls, path: Any) -> "Net":
        """A weights file: safetensors with its graph."""
        return cls._made(lib.mango_net_load, encode(path))

    @classmethod
    def zoo(cls, spec: str) -> "Net":
        """An architecture without weights: "NAME" or "NAME,key=value,..."."""
        return cls._made(lib.mango_net_zoo, encode(spec))

    @classmethod
    def parse(cls, text: str) -> "Net":
        """A graph text (examples/graph.md)."""
        data = text.encode()
        return cls._made(lib.mango_net_parse, data, len(data))

    @classmethod
    def read(cls, path: Any, *, graph: Optional[str] = None, zoo: Optional[str] = None,
             key: Optional[str] = None, prefix: Optional[str] = None) -> "Net":
        """Weights of another program: PyTorch, safetensors, .npz, ONNX, by their content.

        graph   text of the architecture; zoo: a name of the zoo instead. Neither: the file
                holds its own (ONNX, mango_export.py)
        key     which of several state dicts; prefix: before all names, None: what fits
        What was clamped on the way is a warning.
        """
        with _Archive(path, key) as archive:
            graph = graph if graph or zoo else archive.graph()
            if graph is None and zoo is None:
                raise Error(Status.E_ARG, f"{path} tells no architecture: give graph or zoo")
            net = cls.parse(graph) if graph else cls.zoo(zoo or "")
            archive.into(net, prefix)
        return net

    @classmethod
    def pixels(cls, C: int, H: int, W: int, levels: int = 256) -> "Net":
        """A generator whose code is the picture itself."""
        return cls._made(lib.mango_net_pixels, C, H, W, levels)

    def _change(self, function: Any, *arguments: Any, err: Any = None) -> None:
        with self._shared.lock:
            if self._shared.users > 1:
                raise Error(Status.E_STATE, "something was made of this network: it must not "
                                            "change any more")
            self._call(function, *arguments, err=err)

    def fill(self, seed: int = 0, gain: float = 1.0) -> "Net":
        """Every parameter from its name and the seed: for measurements and tests."""
        self._change(lib.mango_net_fill, seed_of(seed), gain)
        return self

    def save(self, path: Any, dtype: str = "F32") -> None:
        """As a file that `load` reads; F32, F16 or BF16."""
        err = new_error()
        self._call(lib.mango_net_save, encode(path), encode(dtype), err, err=err)

    @property
    def text(self) -> str:
        """The graph in its text form."""
        with self._shared.lock:
            return text_of(lib.mango_net_text, self._pointer)

    def digest(self) -> str:
        """SHA-256 of graph and parameters."""
        hex_ = ctypes.create_string_buffer(65)
        self._call(lib.mango_net_digest, 0, hex_)
        return hex_.value.decode()

    @property
    def info(self) -> dict[str, Any]:
        """mango_net_info as a dict."""
        out = Struct("mango_net_info")
        self._call(lib.mango_net_get_sized, out.address, out.bytes)
        return out.as_dict()

    def layer(self, which: Any) -> dict[str, Any]:
        """A layer by index or name: name, kind, C, H, W, .."""
        out = Struct("mango_layer")
        self._call(lib.mango_net_layer_sized, self.find(which), out.address, out.bytes,
                   why=f"no layer {which}")
        return out.as_dict()

    @property
    def layers(self) -> list[dict[str, Any]]:
        """All layers, in graph order."""
        return [self.layer(i) for i in range(self.info["layers"])]

    def find(self, which: Any) -> int:
        """Index of a layer; a number is one already. An unknown name: near ones."""
        if not isinstance(which, str):
            return which.__index__()
        i, err = Idx(), new_error()
        self._call(lib.mango_net_find, encode(which), ctypes.byref(i), err, err=err)
        return i.value

    @property
    def params(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        out = {}
        for i in range(self.info["params"]):
            p = Struct("mango_param")
            self._call(lib.mango_net_param_at_sized, i, p.address, p.bytes)
            out[p.name] = tuple(p.shape[:p.rank])
        return out

    def _param(self, name: str) -> tuple[Any, tuple[int, ...]]:
        rank, shape = ctypes.c_int(), (Idx * 4)()
        with self._shared.lock:
            at = lib.mango_net_param(self._pointer, encode(name), ctypes.byref(rank), shape)
        if not at:
            raise Error(Status.E_NAME, f"no parameter {name!r} that has values")
        size = tuple(shape[:rank.value])
        n = 1
        for s in size:
            n *= s
        return (Single * n).from_address(at), size

    def get(self, name: str) -> Any:
        """A copy of a parameter's values."""
        values, shape = self._param(name)
        return floats_out(values, shape)

    def set(self, name: str, values: Any) -> None:
        """Other values for a parameter, of its shape."""
        with self._shared.lock:
            if self._shared.users > 1:
                raise Error(Status.E_STATE, "something was made of this network: it must not "
                                            "change any more")
            place, shape = self._param(name)
            given, n = pictures_in(values, shape)
            if n != 1:
                raise ValueError(f"{name}: {shape} numbers expected")
            ctypes.memmove(place, given, ctypes.sizeof(place))

    @property
    def meta(self) -> dict[str, str]:
        """The strings of the weights file."""
        out, key, value = {}, ctypes.c_char_p(), ctypes.c_char_p()
        for i in range(self.info["metas"]):
            self._call(lib.mango_net_meta_at, i, ctypes.byref(key), ctypes.byref(value))
            out[(key.value or b"").decode()] = (value.value or b"").decode("utf-8", "replace")
        return out

    def set_meta(self, key: str, value: str) -> None:
        """A string for the file, such as mango.latent_range (mango_space_of)."""
        self._change(lib.mango_net_meta_set, encode(key), encode(value))

    def run(self, x: Any, readings: Mapping[Any, str], **options: Any) -> dict[Any, Any]:
        """Run inputs x (B,C,H,W) and read layers: {"lif2": "rate", "conv0": "mean"}.
        See Plan for the options."""
        with Plan(self, readings, **options) as plan:
            return plan.run(x)


class Plan(Handle):
    """Some readings of a network, decided beforehand: {layer: what}, what one of
      mean      (B,C,H,W) over the steps
      rate      (B,C) over steps, height and width
      spikes    (T,B,C,H,W) the value at every step
      codes     (B,HW) of a quantizer
      membrane  (B,C,H,W) of a spiking layer, after the last step
    options: members of mango_plan_options: T, batch, raw=1 (x is normalized already), half,
    int8, memory, from_ (the layer whose value is fed)."""

    _error = staticmethod(lib.mango_plan_error)

    def __init__(self, net: Net, readings: Mapping[Any, str], **options: Any) -> None:
        if "from_" in options:
            options["from"] = net.find(options.pop("from_"))
        options.setdefault("batch", 16)
        if options.get("T") is None:
            options.pop("T", None)
        o = filled("mango_plan_options", lib.mango_plan_defaults_sized).fill(options)
        rows, self._raw = _readings(net, readings)
        out, err = ctypes.c_void_p(), new_error()
        check(lib.mango_plan_create(ctypes.byref(out), net._pointer, o.address, len(rows),
                                    self._raw, None, err), err)
        super().__init__(Shared(out.value or 0, lib.mango_plan_destroy, [net._shared]))
        info = Struct("mango_plan_info")
        self._call(lib.mango_plan_get_sized, info.address, info.bytes)
        self.T, self.batch = info.T, info.batch
        self._rows = rows
        from_ = getattr(o, "from")
        fed = net.layer(net.info["input"] if from_ < 0 else from_)
        codes = from_ >= 0 and fed["codes"] > 0
        self._shape = (fed["H"] * fed["W"],) if codes else (fed["C"], fed["H"], fed["W"])

    def _size(self, what: str, shape: Sequence[int], B: int) -> tuple[int, ...]:
        C, H, W = shape
        return {"mean": (B, C, H, W), "membrane": (B, C, H, W), "rate": (B, C),
                "codes": (B, H * W), "spikes": (self.T, B, C, H, W)}[what]

    def run(self, x: Any) -> dict[Any, Any]:
        """The readings of inputs x (B,C,H,W), any number of them."""
        data, B = pictures_in(x, self._shape)
        each = len(data) // B if B else 0
        parts = [self._part(data, b, min(self.batch, B - b), each)
                 for b in range(0, B, self.batch)]
        if len(parts) == 1:
            return parts[0]
        return {name: _joined([p[name] for p in parts], what, self.T)
                for name, what, _ in self._rows}

    def _part(self, data: Any, first: int, B: int, each: int) -> dict[Any, Any]:
        out = {}
        with self._shared.lock:
            for i, (name, what, shape) in enumerate(self._rows):
                size = self._size(what, shape, B)
                n = 1
                for s in size:
                    n *= s
                out[name] = ((Single * n)(), size)
                self._call(lib.mango_plan_output, i, out[name][0])
            at = ctypes.byref(data, first * each * ctypes.sizeof(Single))
            self._call(lib.mango_plan_run, B, at)
        return {name: floats_out(*pair) for name, pair in out.items()}


class _Archive(Handle):
    """A file of tensors."""

    def __init__(self, path: Any, key: Optional[str]) -> None:
        out, err = ctypes.c_void_p(), new_error()
        check(lib.mango_archive_open(ctypes.byref(out), encode(path), None, None, err), err)
        super().__init__(Shared(out.value or 0, lib.mango_archive_destroy))
        if key is not None:
            self._call(lib.mango_archive_select, encode(key), err, err=err)

    def graph(self) -> Optional[str]:
        info = Struct("mango_archive_info")
        self._call(lib.mango_archive_get_sized, info.address, info.bytes)
        text: Optional[str] = info.graph
        return text

    def into(self, net: Net, prefix: Optional[str]) -> None:
        """mango_archive_import; lines of the match become the error's, or warnings."""
        match, err = ctypes.c_void_p(), new_error()
        before = None if prefix is None else encode(prefix)
        status = lib.mango_archive_import(self._pointer, net._pointer, before,
                                          ctypes.byref(match), err)
        try:
            lines = [lib.mango_match_line(match, i).decode("utf-8", "replace")
                     for i in range(max(0, lib.mango_match_lines(match)))]
        finally:
            lib.mango_match_destroy(match)
        if status == Status.E_SHAPE:
            raise Error(status, "\n  ".join([err.value.decode("utf-8", "replace"), *lines]))
        check(status, err)
        for line in lines:
            warnings.warn(line, stacklevel=3)


def _readings(net: Net, readings: Mapping[Any, str]) -> tuple[list[Any], Any]:
    size, _ = layout("mango_reading")
    raw, rows = ctypes.create_string_buffer(max(1, size * len(readings))), []
    for i, (which, what) in enumerate(readings.items()):
        if what not in READS:
            raise ValueError(f"{which}: one of {', '.join(READS)} expected, not {what!r}")
        r, layer = Struct("mango_reading", raw, size * i), net.layer(which)
        r.layer, r.what = net.find(which), READS.index(what)
        rows.append((which, what, (layer["C"], layer["H"], layer["W"])))
    return rows, raw


def _joined(parts: list[Any], what: str, T: int) -> Any:
    from ._arrays import np
    if np is not None:
        return np.concatenate(parts, axis=1 if what == "spikes" else 0)
    out = parts[0][:0]
    if what != "spikes":
        for p in parts:
            out.extend(p)
        return out
    for t in range(T):
        for p in parts:
            n = len(p) // T
            out.extend(p[t * n:(t + 1) * n])
    return out
