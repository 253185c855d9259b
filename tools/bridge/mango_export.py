#!/usr/bin/env python3
"""mango_export.py - a PyTorch module becomes a weights file of MANGO, in one call:

    from mango_export import export
    export(net, torch.rand(1, 3, 32, 32), "net.safetensors", T=25)

The module is run once, and every tensor function that it calls is written down: what it
computes is known then, whatever its Python looks like. Layers of neurons (snnTorch,
SpikingJelly) are taken as a whole, and the steps of a loop over time are folded into one
graph. The graph goes into the file's metadata (key mango.graph), the weights beside it.
Then the command `mango` (option mango=, environment MANGO, PATH) runs the file on a probe,
and every layer is compared with what torch computes; a file that differs is not left behind.

How shapes are told apart. A traced tensor is a view of one node's map (C,H,W): a list of
atoms, B (batch), T (time) and the factors of the map, and for each axis of the tensor the
atoms that it consists of. Reshaping and permuting only move atoms; a node is added when an
operator needs them in another order.

Needs torch alone; .nir files are mango_nir.py's.  SPDX-License-Identifier: MIT
"""

import argparse
import contextlib
import importlib
import importlib.util
import itertools
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary, WeakTensorKeyDictionary

NAME_BYTES = 90  # of a layer's name; mango reads 95
RARE = 1e-5  # of a layer's spikes: as many neurons may hang on the rounding of a sum
LEADS = {"batch": "B", "time": "TB", "batch-time": "BT", "time-last": "BT", "single": ""}


class ExportError(RuntimeError):
    """The module cannot be exported, or the file does not compute what the module does."""


class Unsupported(Exception):
    """One call that no node stands for. Becomes an error if the output depends on it."""


class Retrace(Exception):
    """The input is laid out otherwise than assumed: trace again."""

    def __init__(self, layout):
        super().__init__(layout)
        self.layout = layout


# ---- the graph ----------------------------------------------------------------------------


class Node:
    """One line of the graph text."""

    def __init__(self, name, kind, inputs, attrs, params, shape):
        self.name, self.kind, self.inputs, self.attrs = name, kind, inputs, attrs
        self.params, self.shape, self.prefix = params, tuple(shape), name
        self.timed = kind == "lif" or any(i.timed for i in inputs)
        self.steps = 0  # steps of a lif so far; of others see Tracer.steps_of
        self.owner = None  # lif: the module
        self.loop = None  # lif: the node by which its spikes come back
        self.shadow = None  # lif: the same with its membrane for readout
        self.seen = {}  # step, or None: spikes that torch computed, (B, C*H*W) or (T, ..)
        self.total = 0  # others: the sum over the steps seen, (B, C*H*W)

    @property
    def spikes(self):
        return self.kind == "lif" and self.attrs.get("readout") != "membrane"

    def line(self):
        words = [self.name, self.kind, ",".join(i.name for i in self.inputs) or "-"]
        words += ["%s=%s" % (k, text_of(v)) for k, v in self.attrs.items()]
        if self.prefix != self.name:
            words.append("param=" + self.prefix)
        return " ".join(words)


def text_of(v):
    """An attribute's value as the graph text spells it."""
    if isinstance(v, float):
        return shortest(v)
    if isinstance(v, (tuple, list)):
        return "x".join(str(int(k)) for k in v)
    return str(v)


def shortest(v):
    """The shortest decimal that is this 32-bit float again."""
    single = struct.unpack("<f", struct.pack("<f", v))[0]
    for digits in range(1, 10):
        z = "%.*g" % (digits, single)
        if struct.unpack("<f", struct.pack("<f", float(z)))[0] == single:
            return z
    return repr(single)


def count(sizes):
    return math.prod(int(s) for s in sizes)


class Atom:
    """B, T, X (an axis that is only repeated) or a factor of a map; its size is above 1,
    but for B."""

    def __init__(self, kind, size):
        self.kind, self.size = kind, size


class Value:
    """A traced tensor: a view of a node's map.

    base   factors of the map in memory order (C,H,W)
    dims   of each axis of the tensor its atoms
    t      the step that it belongs to; None: no time, or T is among its atoms
    scale  not None: it is scale times the mean over all steps
    part   not None: it is the sum over these steps
    state  (chain, step, which) of a neuron's hidden state
    squares  None, or (x, axis, eps): it is x^2, or its mean over an axis, and eps more
    """

    squares = None
    loop = None  # (value, node): the sum of this value and of what comes back by that node
    open = False  # of such a sum: its parts belong to different steps

    def __init__(self, node, base, dims, t=None, scale=None, part=None, state=None):
        self.node, self.base, self.dims = node, list(base), [tuple(d) for d in dims]
        self.t, self.scale, self.part, self.state = t, scale, part, state

    def like(self, **other):
        have = dict(
            node=self.node,
            base=self.base,
            dims=self.dims,
            t=self.t,
            scale=self.scale,
            part=self.part,
            state=self.state,
        )
        have.update(other)
        return Value(**have)

    @property
    def sizes(self):
        return tuple(count(a.size for a in d) for d in self.dims)

    @property
    def is_timed(self):
        return self.t is not None or any(a.kind == "T" for d in self.dims for a in d)


class Poison:
    """A tensor that no node stands for, and why.
    trailing  (what was done, to which Value) if it may be left out at the very end
    root      (x, axis, eps, inverse) of a root of mean squares"""

    def __init__(self, why, trailing=None, root=None):
        self.why, self.trailing, self.root = why, trailing, root


class Partial:
    """A buffer that the steps of one node are written into."""

    def __init__(self, value, steps):
        self.value, self.steps = value, steps


def is_data(atom):
    return atom.kind == "D"


def factors(shape):
    return [Atom("D", s) for s in shape if s > 1]


# ---- the tracer ---------------------------------------------------------------------------

OPS = {}  # name of a torch function: how it becomes nodes
LINEAR = set()  # those that may follow a mean over time
IN_PLACE = {"__i%s__" % n: n for n in ("add", "sub", "mul", "truediv", "pow")}
FACTORIES = {
    "zeros_like",
    "ones_like",
    "full_like",
    "empty_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
    "rand_like",
    "randn_like",
    "new_tensor",
}


def op(names, linear=False):
    def put(f):
        for n in names.split():
            OPS[n] = f
            if linear:
                LINEAR.add(n)
        return f

    return put


def bind(spec, args, kwargs):
    """Arguments by a signature "a b=1": their values in its order."""
    out, args, kwargs = [], list(args), dict(kwargs)
    for i, item in enumerate(spec.split()):
        name, _, default = item.partition("=")
        if i < len(args):
            out.append(args[i])
        elif name in kwargs:
            out.append(kwargs[name])
        else:
            out.append(eval(default, {}) if default else None)  # literals of this file
    return out


def function_name(func):
    """(name, in place): Tensor.add_ is ("add", True)."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        return "." + getattr(func.__self__, "__name__", "?"), False
    if name in IN_PLACE:
        return IN_PLACE[name], True
    name = name if name.startswith(".") else name.partition(".")[0]  # add.Scalar, when scripted
    if name.startswith("__") and name.endswith("__"):
        return (
            name if name in ("__getitem__", "__setitem__", "__iter__") else name[2:-2]
        ), False
    if name.endswith("_") and not name.startswith("_"):
        return name[:-1], True
    return name, False


class Taint(TorchDispatchMode):
    """Marks every tensor that depends on the input, beneath all Python: so that one which
    the tracer lost is never taken for a constant."""

    def __init__(self, tracer):
        super().__init__()
        self.tracer = tracer

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        flat = torch.utils._pytree.tree_leaves
        tensors = [x for x in flat((args, kwargs)) if isinstance(x, torch.Tensor)]
        if any(x in self.tracer.tainted for x in tensors):
            if "_local_scalar_dense" in str(func) and not self.tracer.paused:
                self.tracer.decisions.add(self.tracer.where())
            for y in flat(out):
                if isinstance(y, torch.Tensor):
                    self.tracer.tainted[y] = True
        return out


class Tracer(TorchFunctionMode):
    def __init__(self, root, layout, picture, example):
        super().__init__()
        self.root, self.layout, self.picture, self.example = root, layout, picture, example
        self.values = WeakIdKeyDictionary()
        self.tainted = WeakTensorKeyDictionary()
        self.nodes, self.by_key, self.names = [], {}, set()
        self.stack, self.paused, self.notes, self.T = [], 0, [], None
        self.picks = set()  # places of axis 1 that single values were taken from
        self.spikes = any(neuron_family(m) for m in root.modules())
        self.decisions = set()  # where Python looked at a value
        named = root.module if isinstance(root, (Applied, InOrder)) else root
        self.paths = {id(m): n for n, m in named.named_modules()}
        self.named = named
        self.chains, self.B = {}, None
        self.own = {p.data_ptr() for p in itertools.chain(root.parameters(), root.buffers())}

    # -- where we are

    def where(self, what=""):
        path, kind = self.stack[-1] if self.stack else ("", type(self.root).__name__)
        return "%s (%s)%s" % (path or "the module itself", kind, what and ": " + what)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def fresh(self, base):
        """A layer's name, clean and not used yet."""
        bad = set(",=#:*?[] ")
        base = "".join("_" if c in bad or not " " < c < "\x7f" else c for c in base)
        base = base[-NAME_BYTES + 8 :].strip(".") or "layer"
        name, k = base, 1
        while name in self.names or name == "-":
            k += 1
            name = "%s_%d" % (base, k)
        self.names.add(name)
        return name

    # -- nodes

    def add(
        self, kind, inputs, shape, attrs=None, params=None, helper=False, key=(), name=None
    ):
        """A node, or the equal one that is there."""
        attrs, params = attrs or {}, params or {}
        ident = (
            kind,
            tuple(id(i) for i in inputs),
            tuple((k, text_of(v)) for k, v in attrs.items()),
            tuple((k, self.identity(p)) for k, p in params.items()),
            key,
        )
        if ident in self.by_key:
            return self.by_key[ident]
        if name is None:
            path, _ = self.stack[-1] if self.stack else ("", "")
            leaf = self.stack and self.stack[-1] and not helper and self.is_leaf(path)
            name = path if leaf else (path + "." if path else "") + kind
        node = Node(self.fresh(name), kind, inputs, attrs, params, shape)
        self.by_key[ident] = node
        self.nodes.append(node)
        return node

    def identity(self, p):
        """Parameters of the module by their place, computed ones by their values."""
        if p.data_ptr() in self.own:
            return (p.data_ptr(), tuple(p.shape), p.stride())
        x = p.detach().double().flatten()
        return (
            tuple(p.shape),
            float(x.sum()),
            float((x * torch.arange(1.0, len(x) + 1)).sum()),
        )

    def is_leaf(self, path):
        m = self.named.get_submodule(path) if path else self.named
        return bool(path) and not any(k != "parametrizations" for k, _ in m.named_children())

    def input(self, x):
        """The input node, of the tensor's own shape or of `picture`."""
        lead, last = LEADS[self.layout], self.layout == "time-last"
        shape = list(x.movedim(-1, 1).shape if last else x.shape)
        data = shape[len(lead) :]
        for k, letter in enumerate(lead):
            if letter == "B":
                self.B = shape[k]
            else:
                self.T = shape[k]
        given, shape = shape, self.input_shape(data)
        node = Node(self.fresh("input"), "input", [], {"shape": shape}, {}, shape)
        self.nodes.append(node)
        base = factors(shape)
        atoms = {"B": Atom("B", self.B), "T": Atom("T", self.T)}
        self.batch, self.time = atoms["B"], atoms["T"]
        v = Value(node, base, [(self.atom(c),) for c in lead] + [tuple(base)])
        v = self.reshape(v, given)
        v = v.like(dims=[v.dims[0], *v.dims[2:], v.dims[1]]) if last else v
        self.put(x, v)
        self.tainted[x] = True
        return node

    def atom(self, letter):
        return self.batch if letter == "B" else self.time

    def input_shape(self, data):
        if self.picture:
            if count(self.picture) != count(data):
                raise ExportError(
                    "picture=%s has %d values, the module's input has %d"
                    % (text_of(self.picture), count(self.picture), count(data))
                )
            return tuple(self.picture)
        if len(data) > 3:
            if self.layout == "batch":
                raise Retrace("time")
            raise ExportError(
                "an input of %d axes beside the batch: at most 3, (C,H,W), are "
                "possible" % len(data)
            )
        if len(data) == 2:
            return (1, *data) if data[0] == data[1] else (data[0], 1, data[1])
        return tuple(data + [1] * (3 - len(data)))

    # -- tensors

    def put(self, tensor, value):
        self.values[tensor] = value

    def get(self, x, linear=False):
        """The Value of a tensor, None for a constant."""
        if not isinstance(x, torch.Tensor):
            return None
        v = self.values.get(x)
        if v is None:
            if x in self.tainted:
                raise Unsupported(
                    "a tensor that depends on the input was made where the "
                    "tracer cannot see (a custom autograd.Function, a scripted "
                    "function, or numpy)"
                )
            return None
        if isinstance(v, Poison):
            raise Deeper(v.why)
        if isinstance(v, Partial):
            raise Unsupported("a buffer of steps is read before all steps are in it")
        if v.open:
            raise Unsupported(
                "spikes that come back from the step before may only go into "
                "the neurons that they come from"
            )
        if v.state is not None:
            v = self.membrane(v)
        if v.part is not None:
            v = self.whole(v)
        if v.scale is not None and not linear:
            raise Unsupported(
                "it follows the mean (or sum) over time, after which MANGO "
                "takes only linear layers: the mean over time is its readout, "
                "made last"
            )
        return v

    def whole(self, v):
        """A sum over all steps."""
        n = self.steps_of(v.node)
        if v.part != frozenset(range(n)):
            raise Unsupported(
                "a sum over the steps %s of %s, of which there are %d"
                % (sorted(v.part), v.node.name, n)
            )
        return v.like(part=None, scale=float(n), t=None)

    def steps_of(self, node):
        if node.kind == "lif" and node.steps:
            return node.steps
        steps = [self.steps_of(i) for i in node.inputs if i.timed]
        return max(steps, default=self.T or 1)

    def settle(self, v):
        """The mean over time with the factor in a node: what comes next may not be
        homogeneous."""
        if v.scale in (None, 1.0):
            return v
        return self.affine(v.like(scale=1.0), v.scale, 0.0)

    def membrane(self, v):
        """The hidden state of a neuron layer as a node of its own."""
        chain, t, which = v.state
        if which != "mem":
            raise Unsupported(
                "the state '%s' of neuron layer %s: only its spikes and its "
                "membrane can be read" % (which, chain.name)
            )
        attrs = dict(chain.attrs, readout="membrane")
        node = self.add(
            "lif",
            chain.inputs,
            chain.shape,
            attrs,
            chain.params,
            key=("membrane", id(chain)),
            name=chain.name + ".membrane",
        )
        node.prefix, node.owner, chain.shadow = chain.prefix, chain.owner, node
        node.steps = max(node.steps, t + 1)
        return v.like(node=node, t=t, state=None)

    def together(self, values):
        """The step that several operands belong to."""
        steps = {v.t for v in values if v.t is not None}
        if len(steps) > 1:
            a, b = [next(v for v in values if v.t == s) for s in sorted(steps)[:2]]
            raise Unsupported(
                "step %d of %s meets step %d of %s: a graph knows the steps of "
                "neuron layers only, no other recurrence" % (a.t, a.node.name, b.t, b.node.name)
            )
        scaled = {v.scale is not None for v in values if v.node.timed}
        if len(scaled) > 1:
            raise Unsupported("a mean over time meets single steps")
        return steps.pop() if steps else None

    # -- views

    def reshape(self, v, shape):
        """The same values in another shape; factors are split where they must be."""
        shape = [int(s) for s in shape]
        tokens = [a for d in v.dims for a in d]
        base, dims = list(v.base), []
        for axis, s in enumerate(shape):
            need, group = s, []
            if need == 1 and tokens and tokens[0].kind in "BT" and tokens[0].size == 1:
                group.append(tokens.pop(0))
            while need > 1:
                if not tokens:
                    raise Unsupported("a reshape to %s" % (shape,))
                a = tokens.pop(0)
                if a.size == 1:
                    group.append(a)
                elif need % a.size == 0:
                    group.append(a)
                    need //= a.size
                elif is_data(a) and a.size % need == 0:
                    first, rest = Atom("D", need), Atom("D", a.size // need)
                    k = base.index(a)
                    base[k : k + 1] = [first, rest]
                    group.append(first)
                    tokens.insert(0, rest)
                    need = 1
                else:
                    raise Unsupported(
                        "a reshape of %s to %s, which cuts across the %s"
                        % (
                            list(v.sizes),
                            shape,
                            {"B": "batch", "T": "steps"}.get(a.kind, "axes"),
                        )
                    )
            dims.append(tuple(group))
        if any(a.size > 1 for a in tokens):
            raise Unsupported("a reshape of %s to %s" % (list(v.sizes), shape))
        return v.like(base=base, dims=dims)

    def data_dims(self, v):
        """Axes that hold factors of the map; an axis that mixes them with others: error."""
        out = []
        for k, d in enumerate(v.dims):
            kinds = {a.kind for a in d}
            if "X" in kinds:
                raise Unsupported("a repeated axis")
            if is_mixed(kinds):
                raise Unsupported(
                    "the batch (or time) is part of an axis of the layer's input, "
                    "of shape %s" % list(v.sizes)
                )
            if not kinds & {"B", "T"}:
                out.append(k)
        return out

    def ordered(self, node, base, order, shape):
        """A node with the factors of node, base, in another order, and of another shape."""
        order = [a for a in order if a.size > 1]
        at, now = node, [a for a in base if a.size > 1]
        if set(now) != set(order):
            raise Unsupported("an axis is lost or repeated")
        if now != order:
            for group in reversed(runs(now, order)):  # each to the front, the last one first
                k = now.index(group[0])
                before, after = now[:k], now[k + len(group) :]
                if before:
                    at = self.swap(
                        at,
                        count(a.size for a in before),
                        count(a.size for a in group),
                        count(a.size for a in after),
                    )
                now = group + before + after
                if now == order:
                    break
        return self.shaped(at, shape)

    def swap(self, node, a, b, c):
        """(a,b,c) to (b,a,c)."""
        node = self.shaped(node, (a, b, c))
        return self.add("transpose", [node], (b, a, c), {"order": "hcw"}, helper=True)

    def shaped(self, node, shape):
        shape = tuple(shape) + (1,) * (3 - len(shape))
        if node.shape == shape:
            return node
        if node.kind == "reshape":
            return self.shaped(node.inputs[0], shape)
        return self.add("reshape", [node], shape, {"shape": shape}, helper=True)

    def as_map(self, v, groups):
        """A node of the shape that three groups of axes give, and the other axes' atoms."""
        self.data_dims(v)
        atoms = [[a for k in g for a in v.dims[k]] for g in groups]
        for a in itertools.chain(*atoms):
            if not is_data(a):
                raise Retrace("time" if self.layout == "batch" else "single")
        shape = [count(a.size for a in g) for g in atoms]
        return self.ordered(v.node, v.base, [a for g in atoms for a in g], shape)

    def plain(self, v):
        """The same value with its factors in the order of its axes, one factor an axis."""
        axes = self.data_dims(v)
        order = [a for k in axes for a in v.dims[k]]
        sizes = [v.sizes[k] for k in axes]
        node = self.ordered(v.node, v.base, order, map_shape(sizes))
        return self.viewed(v, node, axes, sizes)

    def viewed(self, v, node, axes, sizes):
        """node as the map of v, with `sizes` for its axes."""
        atoms = [(Atom("D", s),) if s > 1 else () for s in sizes]
        dims = list(v.dims)
        for k, a in zip(axes, atoms):
            dims[k] = a
        return v.like(node=node, base=[a for d in atoms for a in d], dims=dims)

    def spatial(self, v, n):
        """The node (C,H,W) of a tensor whose last n+1 axes are C and n axes of space."""
        nd = len(v.dims)
        if n == 1:
            return self.as_map(v, [[nd - 2], [], [nd - 1]])
        return self.as_map(v, [[nd - 3], [nd - 2], [nd - 1]])

    def spatial_out(self, v, node, n):
        nd = len(v.dims)
        shape = node.shape if n == 2 else (node.shape[0], node.shape[2])
        return self.viewed(v, node, range(nd - n - 1, nd), shape)

    def channels(self, v, axis):
        """(node with this axis as channels, how its outcome is put back)."""
        axis %= len(v.dims)
        if axis not in self.data_dims(v):
            raise Retrace("time" if self.layout == "batch" else "single")
        rest = [k for k in self.data_dims(v) if k != axis]
        atoms = [a for k in rest for a in v.dims[k]]
        in_base = [a for a in v.base if a in atoms]
        sizes = [a.size for a in in_base]
        shape = (v.sizes[axis], *rest_shape(sizes, v.node.shape))
        node = self.ordered(v.node, v.base, list(v.dims[axis]) + in_base, shape)

        def back(out):
            new = (Atom("D", out.shape[0]),) if out.shape[0] > 1 else ()
            dims = list(v.dims)
            dims[axis] = new
            return v.like(node=out, base=list(new) + in_base, dims=dims)

        return node, back

    # -- small operators that many functions come to

    def same(self, v, kind, attrs=None, params=None, helper=False):
        """Point by point."""
        node = self.add(kind, [v.node], v.node.shape, attrs, params, helper)
        return v.like(node=node)

    def affine(self, v, scale, shift):
        if scale == 1 and shift == 0:
            return v
        return self.same(
            v, "affine", {"scale": float(scale), "shift": float(shift)}, helper=True
        )

    def spread(self, v, const):
        """A constant tensor as one of the node's shape."""
        const = const.detach().to(torch.float32)
        while const.ndim < len(v.dims):
            const = const.unsqueeze(0)
        if const.ndim > len(v.dims):
            raise Unsupported("a constant of more axes than the value")
        sizes, index, groups = v.sizes, [], []
        for k, d in enumerate(v.dims):
            lead = any(a.kind in "BT" for a in d)
            if lead and const.shape[k] > 1 and not (const == const.narrow(k, 0, 1)).all():
                raise Unsupported("a constant that differs along the batch or the steps")
            if not lead and const.shape[k] not in (1, sizes[k]):
                raise Unsupported("a constant of shape %s" % list(const.shape))
            index.append(0 if lead else slice(None))
            if not lead:
                groups.append(d)
        const = const[tuple(index)].expand([count(a.size for a in g) for g in groups])
        flat = [a for g in groups for a in g]
        const = const.reshape([a.size for a in flat])
        const = const.permute([flat.index(a) for a in v.base if a.size > 1]) if flat else const
        return const.reshape(v.node.shape)

    def widened(self, v, const):
        """v with its axes of size 1 repeated as far as the constant has them."""
        const = const.reshape((1,) * (len(v.dims) - const.ndim) + tuple(const.shape))
        axes = [k for k in self.data_dims(v)]
        if all(const.shape[k] in (1, v.sizes[k]) for k in axes):
            return v
        size = [max(v.sizes[k], const.shape[k]) for k in axes]
        node = grouped(self, v, axes, size)
        full = map_shape(size) if len(axes) < 3 else (*size[:2], count(size[2:]))
        return self.viewed(v, as_operand(self, node, tuple(full), True), axes, size)

    def scale_shift(self, v, scale, shift):
        """scale v + shift, of numbers or constant tensors."""
        v = without_repeats(v)
        for c in (scale, shift):
            v = self.widened(v, c) if isinstance(c, torch.Tensor) and c.numel() > 1 else v
        full = [
            self.spread(v, c) if isinstance(c, torch.Tensor) and c.numel() > 1 else float(c)
            for c in (scale, shift)
        ]
        full = [
            (
                float(c.flatten()[0])
                if isinstance(c, torch.Tensor) and bool((c == c.flatten()[0]).all())
                else c
            )
            for c in full
        ]
        if all(isinstance(c, float) for c in full):
            return self.affine(v, *full)
        node = v.node
        full = [c if isinstance(c, torch.Tensor) else torch.full(node.shape, c) for c in full]
        if any(bool((c != c[:, :1, :1]).any()) for c in full):  # one a neuron, not a channel
            node = self.shaped(node, (count(node.shape), 1, 1))
            full = [c.reshape(-1, 1, 1) for c in full]
        s, b = [c[:, 0, 0].contiguous() for c in full]
        C = node.shape[0]
        params = {
            "weight": s,
            "bias": b,
            "running_mean": torch.zeros(C),
            "running_var": torch.ones(C),
        }
        key = (tuple(s.tolist()), tuple(b.tolist()))
        ident = ("scale", id(node), key)
        if ident not in self.by_key:
            self.by_key[ident] = self.add(
                "batchnorm", [node], node.shape, {"eps": 1e-30}, params, helper=True
            )
        return v.like(node=self.shaped(self.by_key[ident], v.node.shape))

    # -- recording

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if self.paused:
            return out
        name, in_place = function_name(func)
        if name == "__iter__":
            out = list(args[0].unbind(0))
        self.see(name, in_place, args, kwargs, out)
        return iter(out) if name == "__iter__" else out

    def see(self, name, in_place, args, kwargs, out):
        outs = (
            [out]
            if isinstance(out, torch.Tensor)
            else (
                [y for y in out if isinstance(y, torch.Tensor)]
                if isinstance(out, (tuple, list))
                else []
            )
        )
        if name == "__setitem__":
            outs = [args[0]]
        if not outs or name in FACTORIES or not self.touches(args, kwargs):
            for y in outs if name in FACTORIES else []:
                self.tainted.pop(y, None)
            return
        self.paused += 1
        try:
            got = self.understand(name, args, kwargs, out)
        except Retrace:
            raise
        except Exception as e:  # told if the output depends on it
            got = [self.poison(e, name) for _ in outs]
        finally:
            self.paused -= 1
        got = got if isinstance(got, list) else [got]
        for y, v in itertools.zip_longest(outs, got):
            if v is None:
                v = Poison(self.where(name) + ": its further results are not known here")
            if isinstance(v, Value) and v.sizes != tuple(y.shape):
                v = Poison(
                    self.where(name) + ": shape %s was expected, not %s (an error of "
                    "mango_export.py)" % (list(y.shape), list(v.sizes))
                )
            self.put(y, v)
            self.remember(y, v)

    def poison(self, e, what=""):
        trailing = (e.what, e.value) if isinstance(e, Trailing) else None
        root = e.root if isinstance(e, Root) else None
        why = str(e) if isinstance(e, Deeper) else self.where(what) + ": " + str(e)
        if not isinstance(e, Unsupported):
            why += " (%s, an error of mango_export.py)" % type(e).__name__
        return Poison(why, trailing, root)

    def touches(self, args, kwargs):
        for x in torch.utils._pytree.tree_leaves((args, kwargs)):
            if isinstance(x, torch.Tensor) and (
                x in self.tainted or self.values.get(x) is not None
            ):
                return True
        return False

    def understand(self, name, args, kwargs, out):
        if name not in OPS:
            raise Unsupported(
                NEEDS.get(
                    name,
                    "no node of a graph does this; it needs an "
                    "operator of its own in src/net",
                )
            )
        for x in tensors_of((args, kwargs)):
            v = self.values.get(x)
            if isinstance(v, Poison) and not v.root:
                raise Deeper(v.why)
        return OPS[name](Call(self, name, args, kwargs, out))

    def remember(self, tensor, v):
        """What torch has at a node, for the comparison."""
        if not isinstance(v, Value) or v.part is not None or v.scale is not None or v.state:
            return
        node = v.node
        if v.t in node.seen or not (node is self.nodes[-1] or node.kind == "lif" or v.t):
            return
        x = self.laid_out(tensor, v)
        if node.spikes:
            node.seen[v.t] = x.to(torch.uint8)
            return
        node.seen[v.t] = x.shape[0] if x.ndim == 3 else 1
        node.total = node.total + (x.double().sum(0) if x.ndim == 3 else x.double())

    def laid_out(self, tensor, v):
        """(B, C*H*W), or (T, B, C*H*W), in the node's order; B is 1 without a batch."""
        tokens = [a for d in v.dims for a in d]
        x = tensor.detach().reshape([a.size for a in tokens])
        lead = [k for c in "TB" for k, a in enumerate(tokens) if a.kind == c]
        if any(a.kind == "X" for a in tokens):
            x = x[tuple(0 if a.kind == "X" else slice(None) for a in tokens)]
            tokens = [a for a in tokens if a.kind != "X"]
            lead = [k for c in "TB" for k, a in enumerate(tokens) if a.kind == c]
        order = lead + [tokens.index(a) for a in v.base if a in tokens]
        x = x.permute(order)
        x = x.reshape([tokens[k].size for k in lead] + [-1])
        x = x if any(tokens[k].kind == "B" for k in lead) else x.unsqueeze(-2)
        return x

    # -- modules

    @contextlib.contextmanager
    def watching(self):
        call = torch.nn.Module.__call__
        tracer = self

        def watched(module, *args, **kwargs):
            if tracer.paused:
                return call(module, *args, **kwargs)
            path = tracer.paths.get(id(module))
            inside = path is not None
            if inside:
                tracer.stack.append((path, type(module).__name__))
            try:
                if neuron_family(module):
                    return tracer.neuron(module, call, args, kwargs)
                return call(module, *args, **kwargs)
            finally:
                if inside:
                    tracer.stack.pop()

        torch.nn.Module.__call__ = watched
        try:
            with torch.no_grad(), Taint(self), self:
                yield
        finally:
            torch.nn.Module.__call__ = call

    def neuron(self, module, call, args, kwargs):
        """A layer of neurons, as a whole."""
        self.paused += 1
        try:
            given = tensors_of((args, kwargs))
            before = [self.values.get(x) for x in given]
            zero = [not bool(x.any()) for x in given]
            out = call(module, *args, **kwargs)
            outs = tensors_of(out)
            try:
                for v in before:
                    if isinstance(v, Poison):
                        raise Deeper(v.why)
                got = self.neuron_values(module, given, before, zero)
            except Retrace:
                raise
            except Exception as e:
                got = [self.poison(e)] * len(outs)
            for y, v in zip(outs, got):
                self.put(y, v)
                self.remember(y, v)
            return out
        finally:
            self.paused -= 1

    def neuron_values(self, module, given, before, zero):
        """Of its results: the spikes, then the states as the rule names them."""
        v = (
            before[0]
            if before and getattr(before[0], "open", False)
            else self.get(given[0]) if given else None
        )
        if v is None:
            raise Unsupported("its input does not depend on the module's input")
        rule = neuron_family(module)(self, module, v)
        if rule.get("multi"):
            return self.neuron_steps(module, v, rule)
        chain, t = self.chain_of(
            module, [b for b in before[1:] if b is not None], zero[1:], rule
        )
        if v.loop and chain is not None and (v.open or v.t == t - 1):
            v = self.looped(chain, v, rule)
        node = self.neuron_node(module, v, rule, chain, t)
        got = [self.graded(v.like(node=node, t=t), rule)]
        return got + [v.like(node=node, t=t, state=(node, t, s)) for s in rule["states"]]

    def chain_of(self, module, given, zero, rule):
        """Which layer this call is a step of, and which step."""
        states = [v.state for v in given if isinstance(v, Value) and v.state]
        if states:
            if len({(id(s[0]), s[1]) for s in states}) > 1:
                raise Unsupported("its states come from different layers or steps")
            return states[0][0], states[0][1] + 1
        if any(isinstance(v, (Value, Partial)) for v in given):
            spikes = [v for v in given if isinstance(v, Value) and v.node.kind == "lif"]
            if len(spikes) != len(given):
                raise Unsupported("its state was computed by something else than the layer")
        if zero:
            if not all(zero):
                raise Unsupported("its state begins with other values than 0")
            return None, 0
        chain = None if rule.get("forgets") else self.chains.get(id(module))
        return (chain, chain.steps) if chain else (None, 0)

    def neuron_node(self, module, v, rule, chain, t):
        if v.t is not None and v.t != t:
            raise Unsupported(
                "step %d of its input %s reaches it at its step %d: a recurrence "
                "made by hand; take snnTorch's RLeaky or RSynaptic" % (v.t, v.node.name, t)
            )
        if chain is None:
            chain = self.add(
                "lif",
                [v.node],
                v.node.shape,
                rule["attrs"],
                rule["params"],
                key=("chain", id(module), len(self.nodes)),
                name=self.paths.get(id(module)) or "lif",
            )
            chain.prefix, chain.owner = chain.name, module
            self.chains[id(module)] = chain
        if chain.inputs[0] is not v.node:
            raise Unsupported(
                "it reads %s at step %d and %s at step 0: layers that change "
                "from step to step are not in a graph" % (v.node.name, t, chain.inputs[0].name)
            )
        chain.steps = t + 1
        return chain

    def looped(self, chain, v, rule):
        """A recurrence written by hand, cur + back(spk), becomes the layer's own."""
        x, back = v.loop
        if back is chain.loop:
            return x
        first = chain.inputs[0]
        began = first is x.node or (
            first.kind in ("affine", "batchnorm") and first.inputs[0] is x.node
        )
        known = recurrent_rule(chain, back)
        if chain.loop or not began or known is None or "recurrent" in rule["attrs"]:
            raise Unsupported(
                "a recurrence made by hand that no lif node has; take snnTorch's "
                "RLeaky or RSynaptic"
            )
        attrs, params = known
        bias = params.get("recurrent.bias")
        if first is x.node and bias is not None and bool(bias.any()):
            raise Unsupported("a recurrence whose bias is not there at the first step")
        chain.loop = back
        for n in (chain, chain.shadow):
            if n is not None:
                n.inputs = [x.node]
                n.attrs.update(attrs)
                n.params.update(params)
        return x

    def graded(self, spikes, rule):
        return (
            spikes
            if rule.get("graded", 1.0) == 1.0
            else self.affine(spikes, rule["graded"], 0.0)
        )

    def neuron_steps(self, module, v, rule):
        """All steps in one call: the first axis is time."""
        if not v.dims or v.dims[0] == () or v.dims[0][0].kind != "T" or len(v.dims[0]) > 1:
            if self.layout == "batch":
                first = v.dims[0] if v.dims else ()
                raise Retrace("time" if any(a.kind == "B" for a in first) else "batch-time")
            raise Unsupported("the first axis of its input is not time")
        node = self.neuron_node(module, v, rule, None, 0)
        node.steps = v.dims[0][0].size
        self.T = node.steps
        return [self.graded(v.like(node=node), rule)]


class Deeper(Unsupported):
    """The cause lies in an operand, and is told there."""


def tensors_of(tree):
    return [x for x in torch.utils._pytree.tree_leaves(tree) if isinstance(x, torch.Tensor)]


def is_mixed(kinds):
    return bool(kinds & {"B", "T"}) and "D" in kinds


def map_shape(sizes):
    """(C,H,W) for data of so many axes."""
    sizes = list(sizes)
    if len(sizes) <= 1:
        return (sizes + [1, 1, 1])[:3]
    if len(sizes) == 2:
        return [sizes[0], 1, sizes[1]]
    return sizes[:2] + [count(sizes[2:])]


def rest_shape(sizes, shape):
    """(H,W) for what is beside the channels; that of the map if it fits."""
    n = count(sizes)
    if n == shape[1] * shape[2]:
        return shape[1:]
    if len(sizes) == 2:
        return tuple(sizes)
    return (1, n)


def runs(now, order):
    """order, cut into the longest pieces that lie together in now."""
    out = []
    for a in order:
        if out and now.index(a) == now.index(out[-1][-1]) + 1:
            out[-1].append(a)
        else:
            out.append([a])
    return out


# ---- functions of torch -------------------------------------------------------------------


class Call:
    """One call: its operands as Values, and what it gave."""

    def __init__(self, tracer, name, args, kwargs, out):
        self.tr, self.name, self.out = tracer, name, out
        names = {"axis": "dim", "keepdims": "keepdim", "self": "input", "x": "input"}
        kwargs = {names.get(k, k): v for k, v in kwargs.items()}
        if not args:
            args = [kwargs.pop(k) for k in ("input", "tensors") if k in kwargs][:1]
        self.args, self.kwargs = tuple(args), kwargs

    def bind(self, spec):
        return bind(spec, self.args, self.kwargs)

    def value(self, x):
        v = self.tr.get(x, self.name in LINEAR)
        if v is None:
            raise Unsupported("the operand must depend on the input")
        return v

    def const(self, x, what):
        if x is not None and self.tr.get(x) is not None:
            raise Unsupported("its %s depends on the input" % what)
        return None if x is None else x.detach().float()


NEEDS = {
    "scaled_dot_product_attention": "attention multiplies two activations as matrices; it needs "
    "such an operator in src/net",
    "multi_head_attention_forward": "attention multiplies two activations as matrices; it needs "
    "such an operator in src/net",
    "conv3d": "maps have two axes of space; 3-d convolution needs a third",
    "lstm": "recurrence other than that of neuron layers is not in a graph",
    "gru": "recurrence other than that of neuron layers is not in a graph",
    "rnn_tanh": "recurrence other than that of neuron layers is not in a graph",
    "bernoulli": "random numbers in the module: code the input outside of it, please",
    "gt": "a comparison of activations: neurons (and random coding) written by hand are not "
    "recognised; take the layers of snnTorch or SpikingJelly",
}
for _name in ("ge", "lt", "le", "heaviside", "sign"):
    NEEDS[_name] = NEEDS["gt"]


@op(
    "clone contiguous detach to float double type type_as cpu cuda dropout dropout1d dropout2d "
    "dropout3d alpha_dropout feature_dropout feature_alpha_dropout requires_grad identity .data "
    "positive alias",
    linear=True,
)
def same_value(c):
    if "dropout" in c.name and c.bind("input p=0.5 training=True")[2]:
        raise Unsupported("dropout is on: call with the module in eval mode")
    v = c.tr.values.get(c.args[0])
    return v if isinstance(v, Value) else c.value(c.args[0])


@op("reshape view view_as reshape_as flatten unflatten ravel", linear=True)
def reshapes(c):
    return c.tr.reshape(c.value(c.args[0]), c.out.shape)


@op("squeeze unsqueeze", linear=True)
def squeezes(c):
    v, dim = c.value(c.args[0]), c.bind("input dim")[1]
    dims = list(v.dims)
    if c.name == "unsqueeze":
        dims.insert(dim % (len(dims) + 1), ())
        return v.like(dims=dims)
    chosen = range(len(dims)) if dim is None else [dim] if isinstance(dim, int) else dim
    chosen = {k % len(dims) for k in chosen}
    return v.like(
        dims=[d for k, d in enumerate(dims) if k not in chosen or count(a.size for a in d) != 1]
    )


@op("permute transpose swapaxes swapdims movedim moveaxis t .T .mT adjoint", linear=True)
def permutes(c):
    v = c.value(c.args[0])
    n = len(v.dims)
    fake = torch.empty([k + 2 for k in range(n)], device="meta")  # sizes tell where axes go
    moved = {".T": lambda f: f.permute(*reversed(range(n))), ".mT": lambda f: f.mT}.get(c.name)
    moved = moved(fake) if moved else getattr(fake, c.name)(*c.args[1:], **c.kwargs)
    order = [s - 2 for s in moved.shape]
    return v.like(dims=[v.dims[k] for k in order])


@op("expand expand_as repeat tile broadcast_to", linear=True)
def repeats(c):
    v, shape = c.value(c.args[0]), c.out.shape
    dims = [()] * (len(shape) - len(v.dims)) + list(v.dims)
    for k, d in enumerate(dims):
        have = count(a.size for a in d)
        if have == shape[k]:
            continue
        if have != 1:
            if shape[k] % have or any(a.kind in "BT" for a in d):
                raise Unsupported("values repeated along an axis of size %d" % have)
            v = join(c, [v.like(dims=dims)] * (shape[k] // have), k)
            dims = list(v.dims)
            continue
        if (
            k == 0
            and not v.node.timed
            and c.tr.B is not None
            and any(a.kind == "B" for e in dims for a in e)
            and c.tr.T in (None, shape[k])
        ):
            c.tr.T = shape[k]
            c.tr.time = Atom("T", shape[k])
            dims[k] = (c.tr.time,)
        else:
            dims[k] = (Atom("X", shape[k]),)
    return v.like(dims=dims)


def without_repeats(v):
    return v.like(dims=[tuple(a for a in d if a.kind != "X") for d in v.dims])


# -- point by point

CURVES = {
    "relu": ("relu", "input", {}),
    "tanh": ("tanh", "input", {}),
    "sigmoid": ("sigmoid", "input", {}),
    "silu": ("silu", "input", {}),
    "selu": ("selu", "input", {}),
    "mish": ("mish", "input", {}),
    "hardsigmoid": ("hardsigmoid", "input", {}),
    "hardswish": ("hardswish", "input", {}),
    "leaky_relu": ("leakyrelu", "input negative_slope=0.01", {"negative_slope": "slope"}),
    "elu": ("elu", "input alpha=1.0", {"alpha": "alpha"}),
    "softplus": (
        "softplus",
        "input beta=1 threshold=20",
        {"beta": "beta", "threshold": "threshold"},
    ),
    "hardtanh": (
        "hardtanh",
        "input min_val=-1.0 max_val=1.0",
        {"min_val": "lo", "max_val": "hi"},
    ),
}


@op(" ".join(CURVES))
def curve(c):
    kind, spec, names = CURVES[c.name]
    got = dict(zip([s.partition("=")[0] for s in spec.split()], c.bind(spec)))
    return c.tr.same(c.value(got["input"]), kind, {n: float(got[k]) for k, n in names.items()})


@op("relu6")
def relu6(c):
    return c.tr.same(c.value(c.args[0]), "hardtanh", {"lo": 0.0, "hi": 6.0})


@op("gelu")
def gelu(c):
    mode = "none"
    if len(c.args) > 1 or "approximate" in c.kwargs:
        mode = c.bind("input approximate='none'")[1]
    return c.tr.same(c.value(c.args[0]), "gelu", {"mode": "tanh"} if mode == "tanh" else {})


@op("celu")
def celu(c):
    x, a = c.bind("input alpha=1.0")
    v = c.tr.affine(c.value(x), 1 / float(a), 0.0)
    return c.tr.affine(c.tr.same(v, "elu", {"alpha": 1.0}), float(a), 0.0)


@op("tanhshrink")
def tanhshrink(c):
    v = c.value(c.args[0])
    return pair(c.tr, "sub", v, c.tr.same(v, "tanh"))


@op("softshrink")
def softshrink(c):
    x, lam = c.bind("input lambd=0.5")
    v = c.value(x)
    below = c.tr.same(c.tr.affine(v, -1.0, -float(lam)), "relu")
    return pair(c.tr, "sub", c.tr.same(c.tr.affine(v, 1.0, -float(lam)), "relu"), below)


@op("glu")
def glu(c):
    x, dim = c.bind("input dim=-1")
    v = c.value(x)
    dim %= len(v.dims)
    n = v.sizes[dim] // 2
    gate = c.tr.same(part(c.tr, v, dim, n, n), "sigmoid")
    return pair(c.tr, "mul", part(c.tr, v, dim, 0, n), gate)


@op("rrelu")
def rrelu(c):
    x, lo, hi = c.bind("input lower=0.125 upper=0.3333333333333333")
    return c.tr.same(c.value(x), "leakyrelu", {"slope": (lo + hi) / 2})


@op("logsigmoid")
def logsigmoid(c):
    v = c.tr.affine(c.value(c.args[0]), -1.0, 0.0)
    return c.tr.affine(c.tr.same(v, "softplus"), -1.0, 0.0)


@op("prelu _prelu_kernel")
def prelu(c):
    x, w = c.bind("input weight")
    v, w = c.value(x), c.const(w, "slope")
    if w.numel() == 1:
        return c.tr.same(v, "prelu", {"slope": "one"}, {"weight": w.reshape(1)})
    node, back = c.tr.channels(v, 1)
    return back(
        c.tr.add("prelu", [node], node.shape, {"slope": "channel"}, {"weight": w.reshape(-1)})
    )


@op("clamp clip clamp_min clamp_max")
def clamp(c):
    if c.name == "clamp_max":
        x, hi = c.bind("input max")
        lo = None
    else:
        x, lo, hi = (
            (c.bind("input min") + [None])
            if c.name == "clamp_min"
            else c.bind("input min=None max=None")
        )
    if any(isinstance(b, torch.Tensor) for b in (lo, hi)):
        raise Unsupported("bounds that are tensors")
    if lo == 0 and hi is None:
        return c.tr.same(c.value(x), "relu")
    return c.tr.same(
        c.value(x),
        "hardtanh",
        {"lo": float(-1e30 if lo is None else lo), "hi": float(1e30 if hi is None else hi)},
    )


@op("abs absolute")
def absolute(c):
    v = c.value(c.args[0])
    minus = c.tr.same(c.tr.affine(v, -1.0, 0.0), "relu")
    return pair(c.tr, "add", c.tr.same(v, "relu"), minus)


@op("neg negative", linear=True)
def negative(c):
    return c.tr.affine(c.value(c.args[0]), -1.0, 0.0)


@op("pow square")
def power(c):
    n = c.bind("input exponent=2")[1]
    v = c.value(c.args[0])
    if n not in (1, 2, 3):
        raise Unsupported("a power of %s" % n)
    out = v
    for _ in range(int(n) - 1):
        out = pair(c.tr, "mul", out, v)
    if n == 2:
        out.squares = (v, None, 0.0)
    return out


class Root(Unsupported):
    """1/sqrt(mean(x^2) + eps) is possible only where it scales x itself."""

    def __init__(self, root):
        super().__init__(
            "a root: only x/sqrt(mean(x^2) + eps) along the channels is understood"
        )
        self.root = root


@op("sqrt rsqrt")
def root(c):
    v = c.value(c.args[0])
    if not v.squares or v.squares[1] is None:
        raise Unsupported("it needs an operator of its own in src/net")
    raise Root((*v.squares, c.name == "rsqrt"))


def by_root(c, a, b, inverse):
    """x times (or over) the root of its own mean square, None: it is something else."""
    v, p = [c.tr.values.get(x) if isinstance(x, torch.Tensor) else None for x in (a, b)]
    if not isinstance(p, Poison) or not p.root or not isinstance(v, Value):
        return None
    x, axis, eps, inverted = p.root
    if (
        inverted != inverse
        or x.node is not v.node
        or layout_of(x) != layout_of(v)
        or x.t != v.t
    ):
        return None
    return root_mean_square(c.tr, v, axis, eps)


def root_mean_square(tr, v, axis, eps):
    """x/sqrt(mean(x^2) + eps): x and -x have the mean 0, so it is their layer norm."""
    node, back = tr.channels(v, axis)
    C, H, W = node.shape
    minus = tr.add("affine", [node], node.shape, {"scale": -1.0, "shift": 0.0}, helper=True)
    both = tr.add("concat", [node, minus], (2 * C, H, W), helper=True)
    attrs = {"over": "channels", "eps": max(float(eps), 1e-30), "weight": 0, "bias": 0}
    norm = tr.add("layernorm", [both], both.shape, attrs)
    return back(tr.add("slice", [norm], node.shape, {"from": 0, "to": C}, helper=True))


@op("rms_norm")
def rms_norm(c):
    x, shape, w, eps = c.bind("input normalized_shape weight=None eps=None")
    if len(shape) != 1:
        raise Unsupported("over %d axes" % len(shape))
    eps = torch.finfo(torch.float32).eps if eps is None else eps
    v = root_mean_square(c.tr, c.value(x), -1, eps)
    return v if w is None else c.tr.scale_shift(v, c.const(w, "weight"), 0.0)


@op("normalize")
def normalize(c):
    """x/sqrt(sum(x^2)), for vectors that are not about 0"""
    x, p, dim = c.bind("input p=2.0 dim=1")
    if p != 2 or not isinstance(dim, int):
        raise Unsupported("another norm than the Euclidean of one axis")
    v = c.value(x)
    return c.tr.affine(root_mean_square(c.tr, v, dim, 0.0), v.sizes[dim] ** -0.5, 0.0)


# -- two operands


def layout_of(v):
    """Two values with the same answer hold their factors alike."""
    where = {id(a): k for k, a in enumerate(v.base)}
    return (
        [a.size for a in v.base],
        [[where.get(id(a), a.kind) for a in d] for d in v.dims],
        v.node.shape,
    )


def recurrent_rule(chain, back):
    """(attributes, parameters) of a lif node whose spikes come back by this node, or None."""
    if back is chain:
        return {"recurrent": "one", "V": 1.0}, {}
    if back.inputs[:1] != [chain]:
        return None
    w, C = back.params.get("weight"), chain.shape[0]
    bias = back.params.get("bias", torch.zeros(C))
    if back.kind == "affine" and back.attrs["shift"] == 0:
        return {"recurrent": "one", "V": back.attrs["scale"]}, {}
    if back.kind == "linear" and chain.shape[1:] == (1, 1) and tuple(w.shape) == (C, C):
        return {"recurrent": "all"}, {"recurrent.weight": w, "recurrent.bias": bias}
    if back.kind == "conv" and back.shape == chain.shape and "groups" not in back.attrs:
        k = tuple(w.shape[2:])
        plain = dict(out=C, kernel=square(k), stride=1, pad=square((k[0] // 2, k[1] // 2)))
        if (
            all(back.attrs[n] == v for n, v in plain.items())
            and k[0] % 2
            and k[1] % 2
            and "dilation" not in back.attrs
        ):
            return (
                {"recurrent": "conv", "kernel": square(k)},
                {"recurrent.weight": w, "recurrent.bias": bias},
            )
    return None


def comes_back(a, b):
    """a + b, where b is made of spikes of the step before: a Value that says so, or None."""
    for x, y in ((a, b), (b, a)):
        spikes = y.node if y.node.kind == "lif" else (y.node.inputs or [None])[0]
        if (
            y.t is None
            or x.t not in (None, y.t + 1)
            or x.scale
            or y.scale
            or spikes is None
            or not spikes.spikes
            or recurrent_rule(spikes, y.node) is None
        ):
            continue
        if layout_of(x)[1:] != layout_of(y)[1:]:
            continue
        out = x.like()
        out.loop, out.open = (x, y.node), x.t is not None
        return out
    return None


def pair(tr, kind, a, b):
    """a + b, a - b or a b; sizes of 1 are repeated."""
    back = comes_back(a, b) if kind == "add" else None
    if back is not None and back.open:
        return back
    out = pair_of(tr, kind, a, b)
    out.loop = back.loop if back is not None else None
    return out


def pair_of(tr, kind, a, b):
    t = tr.together([a, b])
    scale = a.scale if a.scale is not None else b.scale
    if scale is not None:
        if kind == "mul":
            raise Unsupported("a product of means over time")
        a, b = tr.settle(a), tr.settle(b)
        scale = 1.0
    a, b = without_repeats(a), without_repeats(b)
    if layout_of(a) == layout_of(b):
        node = tr.add(kind, [a.node, b.node], a.node.shape)
        return a.like(node=node, t=t, scale=scale)
    n = max(len(a.dims), len(b.dims))
    a, b = [v.like(dims=[()] * (n - len(v.dims)) + v.dims) for v in (a, b)]
    axes = [k for k in range(n) if not any(x.kind in "BT" for v in (a, b) for x in v.dims[k])]
    size = [max(a.sizes[k], b.sizes[k]) for k in axes]
    na, nb = [grouped(tr, v, axes, size) for v in (a, b)]
    full = tuple(max(p, q) for p, q in zip(na.shape, nb.shape))
    na, nb = [as_operand(tr, m, full, m is nb and na.shape != full) for m in (na, nb)]
    minus = kind == "sub" and na.shape != full  # the larger one comes first
    first, second = (na, nb) if na.shape == full else (nb, na)
    node = tr.add(kind, [first, second], full)
    out = tr.viewed(a if len(a.dims) >= len(b.dims) else b, node, axes, size)
    wide = [a.dims[k] or b.dims[k] if k not in axes else out.dims[k] for k in range(n)]
    out = out.like(dims=wide, t=t, scale=scale)
    return tr.affine(out, -1.0, 0.0) if minus else out


def grouped(tr, v, axes, size):
    """The node (C,H,W) of v, by the axes that both operands have."""
    if len(axes) <= 1:
        groups = [axes, [], []]
    elif len(axes) == 2:
        groups = [axes[:1], [], axes[1:]]
    else:
        groups = [axes[:1], axes[1:2], axes[2:]]
        if (
            len(axes) > 3
            and [v.sizes[k] for k in axes[2:]] != size[2:]
            and any(v.sizes[k] > 1 for k in axes[2:])
        ):
            raise Unsupported("operands of more than three axes that are repeated")
    return tr.as_map(v, groups)


def as_operand(tr, node, full, spread):
    """A node that the operator repeats by itself, or one that is spread out."""
    C, H, W = node.shape
    if node.shape == full:
        return node
    if not spread and (node.shape in ((full[0], 1, 1), (1, 1, 1), (1, full[1], full[2]))):
        return node
    if (H, W) != full[1:]:
        if (H not in (1, full[1])) or (W not in (1, full[2])):
            raise Unsupported("operands of shapes %s and %s" % (node.shape, full))
        node = tr.add(
            "upsample",
            [node],
            (C, *full[1:]),
            {"mode": "nearest", "size": full[1:]},
            helper=True,
        )
    if C != full[0]:
        if spread:
            ones = torch.ones(full[0], 1, 1, 1)
            node = tr.add(
                "conv",
                [node],
                full,
                {"out": full[0], "kernel": 1, "bias": 0},
                {"weight": ones},
                helper=True,
            )
    return node


def over_time(c, a, b):
    """A sum that goes over the steps of one node: out = out + spk. None: it is no such sum."""
    tr = c.tr
    va, vb = [tr.values.get(x) if isinstance(x, torch.Tensor) else None for x in (a, b)]
    if not (isinstance(va, Value) and isinstance(vb, Value)):
        return None
    va, vb = [tr.membrane(v) if v.state is not None else v for v in (va, vb)]
    if va.node is not vb.node or not va.node.timed or layout_of(va) != layout_of(vb):
        return None
    sets = [v.part or (frozenset([v.t]) if v.t is not None else None) for v in (va, vb)]
    if None in sets or sets[0] & sets[1]:
        return None
    return va.like(t=None, part=sets[0] | sets[1])


@op("add radd", linear=True)
def add(c):
    a, b, alpha = c.bind("input other alpha=1")
    if alpha == 1:
        total = over_time(c, a, b)
        if total is not None:
            return total
    return sum_of(c, a, b, alpha)


@op("sub rsub subtract", linear=True)
def subtract(c):
    a, b, alpha = c.bind("input other alpha=1")
    if c.name == "rsub":
        a, b = b, a
    return sum_of(c, a, b, -alpha)


def sum_of(c, a, b, alpha):
    """a + alpha b"""
    tr = c.tr
    va, vb = [tr.get(x, True) for x in (a, b)]
    if va is not None and vb is not None:
        if alpha in (1, -1):
            return pair(tr, "add" if alpha == 1 else "sub", va, vb)
        return pair(tr, "add", va, tr.affine(vb, float(alpha), 0.0))
    if vb is None:
        shift = b * alpha
        if not bool(torch.as_tensor(shift).any()):
            return broadened(c, va)
        out = tr.scale_shift(tr.settle(broadened(c, va)), 1.0, shift)
        if va.squares and va.squares[1] is not None and not isinstance(shift, torch.Tensor):
            out.squares = (*va.squares[:2], va.squares[2] + shift)
        return out
    return tr.scale_shift(tr.settle(broadened(c, vb)), float(alpha), a)


def broadened(c, v):
    """A value that a constant is larger than only by axes of size 1."""
    return v.like(dims=[()] * (c.out.ndim - len(v.dims)) + v.dims)


@op("mul multiply rmul", linear=True)
def multiply(c):
    a, b = c.bind("input other")
    scaled = by_root(c, a, b, True) or by_root(c, b, a, True)
    if scaled is not None:
        return scaled
    va, vb = [c.tr.get(x, True) for x in (a, b)]
    if va is not None and vb is not None:
        out = pair(c.tr, "mul", va, vb)
        out.squares = (va, None, 0.0) if a is b else None
        return out
    return times(c, va if va is not None else vb, b if va is not None else a)


@op("div divide true_divide truediv", linear=True)
def divide(c):
    a, b = c.bind("input other")
    if c.kwargs.get("rounding_mode"):
        raise Unsupported("a division that rounds")
    scaled = by_root(c, a, b, False)
    if scaled is not None:
        return scaled
    va = c.tr.get(a, True)
    if c.tr.get(b) is not None:
        raise Unsupported("a division by an activation needs an operator of its own in src/net")
    if isinstance(b, torch.Tensor) and b.numel() > 1:
        return times(c, va, 1.0 / b)
    return times(c, va, 1.0 / float(b))


def times(c, v, k):
    number = not isinstance(k, torch.Tensor) or k.numel() == 1
    if v.scale is not None and number:
        return broadened(c, v).like(scale=v.scale * float(k))
    return c.tr.scale_shift(broadened(c, v), float(k) if number else k, 0.0)


@op("maximum max_pair minimum")
def maximum(c):
    """max(a,b) = b + relu(a - b)"""
    a, b = [c.value(x) for x in c.bind("input other")]
    tr = c.tr
    if c.name == "minimum":
        return pair(tr, "sub", b, tr.same(pair(tr, "sub", b, a), "relu"))
    return pair(tr, "add", b, tr.same(pair(tr, "sub", a, b), "relu"))


# -- matrices


def two(x):
    return (
        (int(x), int(x))
        if isinstance(x, int)
        else tuple(int(k) for k in x) * (3 - len(x)) if len(x) < 2 else tuple(int(k) for k in x)
    )


def square(p):
    return p[0] if p[0] == p[1] else p


def conv_attrs(n, out, kernel, stride, pad, dilation, groups, bias):
    """Attributes, with height 1 for sequences; what is the default is left out."""

    def wide(x, one):
        x = (x,) if isinstance(x, int) else tuple(x)
        x = x * n if len(x) == 1 else x
        return square((one, int(x[0]))) if n == 1 else square(tuple(int(k) for k in x))

    attrs = {
        "out": out,
        "kernel": wide(kernel, 1),
        "stride": wide(stride, 1),
        "pad": wide(pad, 0),
        "bias": int(bias),
    }
    if wide(dilation, 1) != 1:
        attrs["dilation"] = wide(dilation, 1)
    if groups != 1:
        attrs["groups"] = groups
    return attrs


def out_size(size, k, s, p, d=1, ceil=False):
    rest = size + 2 * p - d * (k - 1) - 1
    n = (-(-rest // s) if ceil else rest // s) + 1
    return n - 1 if ceil and (n - 1) * s >= size + p else n


@op("conv1d conv2d", linear=True)
def convolution(c):
    x, w, b, stride, pad, dilation, groups = c.bind(
        "input weight bias=None stride=1 padding=0 dilation=1 groups=1"
    )
    n = 1 if c.name == "conv1d" else 2
    tr, v = c.tr, c.value(x)
    w, b = c.const(w, "weight"), c.const(b, "bias")
    v = tr.settle(v) if b is not None else v
    node = tr.spatial(v, n)
    kernel = w.shape[2:]
    pad = same_padding(kernel, dilation) if pad == "same" else 0 if pad == "valid" else pad
    if isinstance(pad, list):  # more behind than before
        node = pad_node(tr, node, n, pad)
        pad = 0
    attrs = conv_attrs(
        n, w.shape[0], tuple(kernel), stride, pad, dilation, groups, b is not None
    )
    params = {"weight": w.unsqueeze(2) if n == 1 else w}
    if b is not None:
        params["bias"] = b
    space = c.out.shape[-n:]
    shape = (w.shape[0], *((1, *space) if n == 1 else space))
    return tr.spatial_out(v, tr.add("conv", [node], shape, attrs, params), n)


def same_padding(kernel, dilation):
    """The number a side; a list (before, after) an axis when they differ."""
    d = [dilation] * len(kernel) if isinstance(dilation, int) else list(dilation) * len(kernel)
    total = [(k - 1) * e for k, e in zip(kernel, d)]
    if all(t % 2 == 0 for t in total):
        return tuple(t // 2 for t in total)
    return [(t // 2, t - t // 2) for t in total]


def pad_node(tr, node, n, pads, mode="constant", value=0.0):
    """pads: (before, after) of the last n axes, the first of them first."""
    rows = (pads[0], pads[1]) if n == 2 else ((0, 0), pads[0])
    (top, bottom), (left, right) = rows
    at = {"left": left, "right": right, "top": top, "bottom": bottom}
    C, H, W = node.shape
    cut = {k: max(0, -p) for k, p in at.items()}
    if any(cut.values()):
        node = crop_node(
            tr,
            node,
            cut["top"],
            cut["left"],
            H - cut["top"] - cut["bottom"],
            W - cut["left"] - cut["right"],
        )
        C, H, W = node.shape
    at = {k: max(0, p) for k, p in at.items()}
    if not any(at.values()):
        return node
    attrs = dict({k: p for k, p in at.items() if p}, mode=mode)
    if value:
        attrs["value"] = float(value)
    shape = (C, H + at["top"] + at["bottom"], W + at["left"] + at["right"])
    return tr.add("pad", [node], shape, attrs, helper=True)


def crop_node(tr, node, top, left, H, W):
    if (H, W) == node.shape[1:]:
        return node
    return tr.add(
        "crop",
        [node],
        (node.shape[0], H, W),
        {"top": top, "left": left, "size": (H, W)},
        helper=True,
    )


@op("conv_transpose1d conv_transpose2d", linear=True)
def transposed(c):
    x, w, b, stride, pad, extra, groups, dilation = c.bind(
        "input weight bias=None stride=1 padding=0 output_padding=0 groups=1 dilation=1"
    )
    n = 1 if c.name == "conv_transpose1d" else 2
    tr, v = c.tr, c.value(x)
    w, b = c.const(w, "weight"), c.const(b, "bias")
    v = tr.settle(v) if b is not None else v
    out = w.shape[1] * groups
    attrs = conv_attrs(n, out, tuple(w.shape[2:]), stride, pad, dilation, groups, b is not None)
    extra = (extra,) if isinstance(extra, int) else tuple(extra)
    extra = extra * n if len(extra) == 1 else extra
    if any(extra):
        attrs["out_pad"] = square(tuple(extra)) if n == 2 else (0, extra[0])
    params = {"weight": w.unsqueeze(2) if n == 1 else w}
    if b is not None:
        params["bias"] = b
    space = c.out.shape[-n:]
    shape = (out, *((1, *space) if n == 1 else space))
    node = tr.spatial(v, n)
    return tr.spatial_out(v, tr.add("convt", [node], shape, attrs, params), n)


@op("linear", linear=True)
def linear(c):
    x, w, b = c.bind("input weight bias=None")
    return matrix(c, c.value(x), c.const(w, "weight"), c.const(b, "bias"))


def matrix(c, v, w, b):
    """The last axis through a matrix (out, in)."""
    tr = c.tr
    v = tr.settle(v) if b is not None else v
    O, last = w.shape[0], len(v.dims) - 1
    params = {"weight": w} if b is None else {"weight": w, "bias": b}
    if [k for k in tr.data_dims(v) if v.dims[k]] in ([last], []):
        node = tr.ordered(v.node, v.base, v.dims[last], v.node.shape)
        out = tr.add(
            "linear", [node], (O, 1, 1), {"out": O, "bias": int(b is not None)}, params
        )
        return tr.viewed(v, out, [last], [O])
    node, back = tr.channels(v, last)
    params["weight"] = w.reshape(*w.shape, 1, 1)
    attrs = {"out": O, "kernel": 1, "bias": int(b is not None)}
    return back(tr.add("conv", [node], (O, *node.shape[1:]), attrs, params))


@op("matmul mm bmm", linear=True)
def matmul(c):
    a, b = c.bind("input other")
    if c.tr.get(b) is not None:
        raise Unsupported(
            "two activations are multiplied as matrices (as in attention); it "
            "needs such an operator in src/net"
        )
    if c.tr.get(a, True) is None or b.ndim != 2:
        raise Unsupported("a matrix product other than x @ W")
    return matrix(c, c.value(a), c.const(b, "matrix").t(), None)


@op("addmm", linear=True)
def addmm(c):
    bias, x, w = c.bind("input mat1 mat2")
    return matrix(c, c.value(x), c.const(w, "matrix").t(), c.const(bias, "bias"))


@op("embedding")
def embedding(c):
    x, w = c.bind("input weight")
    tr, v, w = c.tr, c.value(x), c.const(w, "table")
    axes = [k for k in tr.data_dims(v)]
    sizes = [v.sizes[k] for k in axes]
    grid = sizes if len(sizes) == 2 else [1, count(sizes)]
    node = tr.ordered(v.node, v.base, [a for k in axes for a in v.dims[k]], (1, *grid))
    out = tr.add(
        "embedding",
        [node],
        (w.shape[1], *grid),
        {"codes": w.shape[0], "dim": w.shape[1]},
        {"weight": w},
    )
    chan, rest = Atom("D", w.shape[1]), [a for k in axes for a in v.dims[k]]
    return v.like(node=out, base=[chan] + rest, dims=list(v.dims) + [(chan,)])


# -- norms


@op("batch_norm", linear=True)
def batch_norm(c):
    x, mean, var, w, b, training, _, eps = c.bind(
        "input running_mean running_var weight=None bias=None training=False momentum=0.1 "
        "eps=1e-05"
    )
    if training or mean is None:
        raise Unsupported(
            "it normalizes by the batch itself (no running statistics, or in "
            "training mode); a graph has fixed statistics"
        )
    tr = c.tr
    v = tr.settle(c.value(x))
    C = mean.shape[0]
    params = {
        "weight": torch.ones(C) if w is None else c.const(w, "weight"),
        "bias": torch.zeros(C) if b is None else c.const(b, "bias"),
        "running_mean": mean.float(),
        "running_var": var.float(),
    }
    node, back = tr.channels(v, 1)
    return back(tr.add("batchnorm", [node], node.shape, {"eps": float(eps)}, params))


@op("layer_norm")
def layer_norm(c):
    x, shape, w, b, eps = c.bind("input normalized_shape weight=None bias=None eps=1e-05")
    tr, v = c.tr, c.value(x)
    k = len(shape)
    params = {n: c.const(p, n) for n, p in (("weight", w), ("bias", b)) if p is not None}
    flags = {"weight": int(w is not None), "bias": int(b is not None)}
    attrs = dict(eps=float(eps), **flags)
    axes = tr.data_dims(v)
    if len(axes) > k:  # the last axis at each place: as channels
        if k > 1:
            raise Unsupported("layer norm over %d of %d axes" % (k, len(axes)))
        node, back = tr.channels(v, -1)
        return back(
            tr.add("layernorm", [node], node.shape, dict(over="channels", **attrs), params)
        )
    p = tr.plain(v)
    shape = (p.node.shape[0], p.node.shape[1], p.node.shape[2])
    params = {n: q.reshape(shape) for n, q in params.items()}
    node = tr.add("layernorm", [p.node], shape, dict(dims=3, **attrs), params)
    return p.like(node=node)


@op("group_norm")
def group_norm(c):
    x, groups, w, b, eps = c.bind("input num_groups weight=None bias=None eps=1e-05")
    params = {n: c.const(p, n) for n, p in (("weight", w), ("bias", b)) if p is not None}
    attrs = {
        "groups": groups,
        "eps": float(eps),
        "weight": int(w is not None),
        "bias": int(b is not None),
    }
    node, back = c.tr.channels(c.value(x), 1)
    return back(c.tr.add("groupnorm", [node], node.shape, attrs, params))


@op("instance_norm")
def instance_norm(c):
    x, mean, var, w, b, by_input, _, eps = c.bind(
        "input running_mean=None running_var=None weight=None bias=None use_input_stats=True "
        "momentum=0.1 eps=1e-05"
    )
    if not by_input:
        return batch_norm(Call(c.tr, c.name, (x, mean, var, w, b, False, 0.1, eps), {}, c.out))
    params = {n: c.const(p, n) for n, p in (("weight", w), ("bias", b)) if p is not None}
    attrs = {"eps": float(eps), "weight": int(w is not None), "bias": int(b is not None)}
    node, back = c.tr.channels(c.value(x), 1)
    return back(c.tr.add("instancenorm", [node], node.shape, attrs, params))


@op("softmax log_softmax")
def softmax(c):
    v = c.tr.values.get(c.args[0])
    dim = c.bind("input dim=None")[1]
    if c.name == "log_softmax":
        raise Trailing("log_softmax", v)
    if isinstance(v, Value) and (v.scale is not None or v.part is not None):
        raise Trailing("softmax after the mean over time", v)
    v = c.value(c.args[0])
    node, back = c.tr.channels(v, 1 if dim is None else dim)
    return back(c.tr.add("softmax", [node], node.shape))


class Trailing(Unsupported):
    """What may be left out if nothing comes after it."""

    def __init__(self, what, value):
        super().__init__(
            "%s is possible only as the last thing that a module does, where it is "
            "left out" % what
        )
        self.what, self.value = what, value


# -- windows


def pool(c, kind, n, kernel, stride, pad, **more):
    def wide(x, one):
        x = (x,) if isinstance(x, int) else tuple(x)
        x = x * n if len(x) == 1 else x
        return square((one, int(x[0]))) if n == 1 else square(tuple(int(k) for k in x))

    v = c.value(c.args[0] if c.args else c.kwargs["input"])
    stride = (
        kernel if stride in (None, []) or (isinstance(stride, tuple) and not stride) else stride
    )
    attrs = {"kernel": wide(kernel, 1), "stride": wide(stride, 1), "pad": wide(pad, 0)}
    attrs.update({k: x for k, x in more.items() if x is not None})
    out = c.out[0] if isinstance(c.out, tuple) else c.out
    node = c.tr.spatial(v, n)
    space = out.shape[-n:]
    shape = (node.shape[0], *((1, *space) if n == 1 else space))
    return c.tr.spatial_out(v, c.tr.add(kind, [node], shape, attrs), n)


@op("max_pool1d max_pool2d max_pool1d_with_indices max_pool2d_with_indices")
def max_pool(c):
    _, kernel, stride, pad, dilation, ceil = c.bind(
        "input kernel_size stride=None padding=0 dilation=1 ceil_mode=False"
    )[:6]
    n = 1 if "1d" in c.name else 2
    d = two(dilation)
    d = (1, d[0]) if n == 1 else d
    return pool(
        c,
        "maxpool",
        n,
        kernel,
        stride,
        pad,
        ceil=1 if ceil else None,
        dilation=square(d) if d != (1, 1) else None,
    )


@op("boolean_dispatch fn")
def dispatched(c):
    return max_pool(c)


@op("avg_pool1d avg_pool2d", linear=True)
def avg_pool(c):
    _, kernel, stride, pad, ceil, counted, divisor = c.bind(
        "input kernel_size stride=None padding=0 ceil_mode=False count_include_pad=True "
        "divisor_override=None"
    )
    n = 1 if c.name == "avg_pool1d" else 2
    padded = any(two(pad)) if not isinstance(pad, int) else pad
    if divisor:
        if ceil or (padded and not counted):
            raise Unsupported("divisor_override with ceil_mode or uncounted padding")
        k = two(kernel)
        v = pool(c, "avgpool", n, kernel, stride, pad, count_pad=1 if padded else None)
        return c.tr.affine(v, (k[0] * (k[1] if n == 2 else 1)) / divisor, 0.0)
    return pool(
        c,
        "avgpool",
        n,
        kernel,
        stride,
        pad,
        ceil=1 if ceil else None,
        count_pad=int(bool(counted)) if padded or ceil else None,
    )


@op("adaptive_avg_pool1d adaptive_avg_pool2d", linear=True)
def adaptive_avg(c):
    return adaptive(c, "globalavg", "adaptiveavg")


@op("adaptive_max_pool1d adaptive_max_pool2d")
def adaptive_max(c):
    return adaptive(c, "globalmax", "adaptivemax")


def adaptive(c, whole, parts):
    n = 1 if "1d" in c.name else 2
    v = c.value(c.args[0] if c.args else c.kwargs["input"])
    node = c.tr.spatial(v, n)
    out = c.out[0] if isinstance(c.out, tuple) else c.out
    H, W = (1, out.shape[-1]) if n == 1 else out.shape[-2:]
    if (H, W) == (1, 1):
        made = c.tr.add(whole, [node], (node.shape[0], 1, 1))
    elif (H, W) == node.shape[1:]:
        made = node
    else:
        made = c.tr.add(parts, [node], (node.shape[0], H, W), {"size": (H, W)})
    return c.tr.spatial_out(v, made, n)


@op("mean sum amax max", linear=True)
def reduce(c):
    x, dim, keep = c.bind("input dim=None keepdim=False")
    if c.name == "max" and isinstance(dim, torch.Tensor):
        return maximum(c)
    tr, v = c.tr, c.value(x)
    n = len(v.dims)
    if dim is None or dim == ():
        raise Unsupported("it reduces all axes, the batch among them")
    axes = {d % n for d in ([dim] if isinstance(dim, int) else dim)}
    time = {k for k in axes if [a.kind for a in v.dims[k]] == ["T"]}
    if time:
        v = after_steps(c, v, min(time))
    if c.name in ("amax", "max") and v.scale is not None:
        raise Unsupported("a maximum over time; MANGO's readout is the mean")
    axes -= time
    v = tr.settle(v) if axes else v
    if any(v.dims[k] for k in axes):
        v = reduced(
            tr, v, axes, {"mean": "globalavg", "sum": "globalsum"}.get(c.name, "globalmax")
        )
    gone = axes | time
    squares = tr.get(x, True).squares if c.name == "mean" and len(axes) == 1 else None
    if squares and squares[1] is None:
        v = (
            v.like()
            if keep
            else v.like(dims=[d for k, d in enumerate(v.dims) if k not in gone])
        )
        v.squares = (squares[0], min(axes), 0.0)
        return v
    return v if keep else v.like(dims=[d for k, d in enumerate(v.dims) if k not in gone])


def after_steps(c, v, axis):
    """The mean or the sum over the axis T, which becomes one of size 1."""
    steps = v.dims[axis][0].size
    if c.name in ("amax", "max"):
        raise Unsupported("a maximum over time; MANGO's readout is the mean")
    dims = [() if k == axis else d for k, d in enumerate(v.dims)]
    if not v.node.timed:  # the same at all steps
        return c.tr.affine(v.like(dims=dims), float(steps) if c.name == "sum" else 1.0, 0.0)
    return v.like(dims=dims, scale=float(steps) if c.name == "sum" else 1.0)


def reduced(tr, v, axes, kind):
    """Means, sums or maxima over axes: they become H x W, the others channels."""
    kept = [k for k in tr.data_dims(v) if k not in axes]
    if axes - set(tr.data_dims(v)):
        raise Unsupported("it reduces the batch")
    gone = [a for k in sorted(axes) for a in v.dims[k]]
    stay = [a for k in kept for a in v.dims[k]]
    in_base = [a for a in v.base if a in stay]
    tail = [a for a in v.base if a in gone]
    C, H, W = v.node.shape
    shape = (
        (C, H, W)
        if count(a.size for a in stay) == C and H * W == count(a.size for a in tail)
        else (count(a.size for a in stay), 1, count(a.size for a in tail))
    )
    node = tr.ordered(v.node, v.base, in_base + tail, shape)
    out = tr.add(kind, [node], (shape[0], 1, 1))
    return v.like(
        node=out, base=in_base, dims=[() if k in axes else d for k, d in enumerate(v.dims)]
    )


# -- parts and joins


def three(tr, v, axis):
    """The map as (before, axis, after), in the order of the axes; for cutting an axis."""
    p = tr.plain(v)
    axes = tr.data_dims(p)
    k = axes.index(axis)
    sizes = [p.sizes[a] for a in axes]
    return p, axes, sizes, k


def cut(tr, v, axis, start, length, step=1):
    """start, start+step .. of one axis."""
    n = v.sizes[axis]
    if (start, length, step) == (0, n, 1):
        return v
    p, axes, sizes, k = three(tr, v, axis)
    span = (length - 1) * step + 1
    before, after = count(sizes[:k]), count(sizes[k + 1 :])
    if before == 1 and step == 1:
        node = tr.shaped(p.node, map_shape([n, *sizes[k + 1 :]]))
        node = tr.add(
            "slice",
            [node],
            (length, *node.shape[1:]),
            {"from": start, "to": start + length},
            helper=True,
        )
    else:
        node = crop_node(tr, tr.shaped(p.node, (before, n, after)), start, 0, span, after)
        if step > 1:
            node = tr.add(
                "maxpool",
                [node],
                (before, length, after),
                {"kernel": 1, "stride": (step, 1)},
                helper=True,
            )
    sizes[k] = length
    return tr.viewed(p, tr.shaped(node, map_shape(sizes)), axes, sizes)


def part(tr, v, axis, start, length, step=1):
    """Part of an axis, or of the steps."""
    kinds = [a.kind for a in v.dims[axis]]
    if "B" in kinds and (start, length, step) != (0, v.sizes[axis], 1):
        if tr.layout == "batch" and v.node.kind == "input" and tr.example[0] > 1:
            raise Retrace("time")
        raise Unsupported("it takes part of the batch")
    if "T" in kinds and (start, length, step) != (0, v.sizes[axis], 1):
        raise Unsupported("it takes part of the steps")
    if "X" in kinds:
        return v.like(
            dims=[(Atom("X", length),) if k == axis else d for k, d in enumerate(v.dims)]
        )
    return v if kinds == [] and length == 1 else cut(tr, v, axis, start, length, step)


def pick(tr, v, axis, index):
    """One place of an axis, which goes; of T: a step."""
    kinds = [a.kind for a in v.dims[axis]]
    rest = [d for k, d in enumerate(v.dims) if k != axis]
    if kinds == ["T"]:
        step = index % v.dims[axis][0].size
        return v.like(dims=rest, t=step if v.node.timed else None)
    if kinds == ["B"]:
        if tr.layout == "batch" and v.node.kind == "input" and tr.example[0] > 1:
            raise Retrace("time")
        raise Unsupported("it takes one example out of the batch")
    if tr.layout == "batch" and v.node.kind == "input" and axis == 1 and kinds:
        tr.picks.add(index)
        if tr.picks == set(range(v.sizes[1])) and tr.spikes:
            raise Retrace("batch-time")
    v = part(tr, v, axis, index % v.sizes[axis], 1)
    return v.like(dims=[d for k, d in enumerate(v.dims) if k != axis])


@op("select", linear=True)
def select(c):
    x, dim, index = c.bind("input dim index")
    v = c.value(x)
    return pick(c.tr, v, dim % len(v.dims), int(index))


@op("narrow", linear=True)
def narrow(c):
    x, dim, start, length = c.bind("input dim start length")
    v = c.value(x)
    dim %= len(v.dims)
    return part(c.tr, v, dim, int(start) % v.sizes[dim], int(length))


@op("chunk split tensor_split split_with_sizes unsafe_chunk unsafe_split", linear=True)
def pieces(c):
    at = 2 if len(c.args) > 2 else None
    dim = c.args[2] if at else c.kwargs.get("dim", 0)
    v = c.value(c.args[0])
    dim %= len(v.dims)
    out, start = [], 0
    for y in c.out:
        out.append(part(c.tr, v, dim, start, y.shape[dim]))
        start += y.shape[dim]
    return out


@op("unbind", linear=True)
def unbind(c):
    x, dim = c.bind("input dim=0")
    v = c.value(x)
    dim %= len(v.dims)
    return [pick(c.tr, v, dim, k) for k in range(len(c.out))]


@op("__getitem__", linear=True)
def getitem(c):
    x, index = c.args
    v = c.value(x)
    index = list(index) if isinstance(index, tuple) else [index]
    used = sum(1 for i in index if i is not None and i is not Ellipsis)
    if Ellipsis in index:
        k = index.index(Ellipsis)
        index[k : k + 1] = [slice(None)] * (len(v.dims) - used)
    axis = 0
    for i in index:
        if i is None:
            v = v.like(dims=v.dims[:axis] + [()] + v.dims[axis:])
            axis += 1
        elif isinstance(i, slice):
            start, stop, step = i.indices(v.sizes[axis])
            if step < 1:
                raise Unsupported("a slice that goes backwards")
            v = part(c.tr, v, axis, start, max(0, -(-(stop - start) // step)), step)
            axis += 1
        elif isinstance(i, int) or (isinstance(i, torch.Tensor) and i.ndim == 0):
            v = pick(c.tr, v, axis, int(i))
        else:
            raise Unsupported("an index that is a list or a tensor")
    return v


@op("__setitem__")
def setitem(c):
    """A buffer of steps: out[t] = spikes."""
    buffer, index, x = c.args
    v = c.value(x)
    have = c.tr.values.get(buffer)
    if (
        have is not None
        and not isinstance(have, Partial)
        or v.t is None
        or not isinstance(index, int)
        or tuple(buffer.shape[1:]) != v.sizes
    ):
        raise Unsupported(
            "values written into a part of a tensor; only a buffer of steps, "
            "out[t] = spikes, is understood"
        )
    if have is not None and have.value.node is not v.node or index != v.t:
        raise Unsupported("a buffer of the steps of several layers, or in another order")
    steps = (have.steps if have else frozenset()) | {index}
    if len(steps) < buffer.shape[0]:
        return [Partial(v, steps)]
    return [timed(c.tr, v, 0, buffer.shape[0])]


def timed(tr, v, axis, steps):
    """The value of one step, standing for all of them along a new axis."""
    tr.time = Atom("T", steps)
    dims = list(v.dims)
    dims.insert(axis, (tr.time,))
    return v.like(dims=dims, t=None)


@op("stack", linear=True)
def stack(c):
    tensors, dim = c.bind("tensors dim=0")
    tr = c.tr
    values = [c.value(x) for x in tensors]
    dim %= len(values[0].dims) + 1
    v = values[0]
    if all(w.node is v.node and layout_of(w) == layout_of(v) for w in values):
        steps = [w.t for w in values]
        if steps == list(range(len(values))) or (not v.node.timed and len(values) > 1):
            return timed(tr, v, dim, len(values))
    values = [w.like(dims=w.dims[:dim] + [()] + w.dims[dim:]) for w in values]
    return join(c, values, dim)


@op("cat concat concatenate", linear=True)
def cat(c):
    tensors, dim = c.bind("tensors dim=0")
    tensors = [x for x in tensors if not (c.tr.get(x, True) is None and x.numel() == 0)]
    values = [c.tr.get(x, True) for x in tensors]
    n = c.out.ndim
    dim %= n
    if any(v is None for v in values):
        return with_constants(c, tensors, values, dim)
    v = values[0]
    if len(values) == 1:
        return v
    if all(
        w.node is v.node and w.dims[dim] == () and layout_of(w) == layout_of(v) for w in values
    ) and [w.t for w in values] == list(range(len(values))):
        return timed(c.tr, v.like(dims=v.dims[:dim] + v.dims[dim + 1 :]), dim, len(values))
    return join(c, values, dim)


def join(c, values, dim):
    """Along an axis of the maps: it is made the channels of all."""
    tr = c.tr
    t = tr.together(values)
    if any(a.kind in "BT" for v in values for a in v.dims[dim]):
        raise Unsupported("it joins along the batch or the steps")
    scale = None
    if any(v.scale is not None for v in values):
        values, scale = [tr.settle(v) for v in values], 1.0
    nodes, first = [], None
    for v in values:
        if [
            tuple(a.kind for a in d)
            for k, d in enumerate(v.dims)
            if k != dim and any(a.kind in "BT" for a in d)
        ] != [
            tuple(a.kind for a in d)
            for k, d in enumerate(values[0].dims)
            if k != dim and any(a.kind in "BT" for a in d)
        ]:
            raise Unsupported("values with and without time are joined")
        p = (
            v
            if natural(v, dim)
            else tr.plain(
                v.like(dims=[v.dims[dim]] + [d for k, d in enumerate(v.dims) if k != dim])
            )
        )
        p = (
            p
            if natural(v, dim)
            else p.like(dims=p.dims[1 : dim + 1] + [p.dims[0]] + p.dims[dim + 1 :])
        )
        first = first or p
        rest = first.node.shape[1:] if p is first else nodes[0].shape[1:]
        nodes.append(
            tr.shaped(
                p.node,
                (
                    v.sizes[dim],
                    *(
                        rest
                        if count(rest) * v.sizes[dim] == count(p.node.shape)
                        else p.node.shape[1:]
                    ),
                ),
            )
        )
    C = sum(m.shape[0] for m in nodes)
    nodes = [tr.shaped(m, (m.shape[0], *nodes[0].shape[1:])) for m in nodes]
    node = joined(tr, nodes, (C, *nodes[0].shape[1:]))
    chan = Atom("D", C)
    others = [a for a in first.base if a not in first.dims[dim]]
    dims = [(chan,) if k == dim else d for k, d in enumerate(first.dims)]
    return first.like(node=node, base=[chan] + others, dims=dims, t=t, scale=scale)


def joined(tr, nodes, shape):
    """concat, by 64 at most."""
    while len(nodes) > 64:
        groups = [nodes[k : k + 64] for k in range(0, len(nodes), 64)]
        nodes = [
            (
                g[0]
                if len(g) == 1
                else tr.add("concat", g, (sum(m.shape[0] for m in g), *shape[1:]), helper=True)
            )
            for g in groups
        ]
    return tr.add("concat", nodes, shape)


def natural(v, dim):
    """Is this axis the map's channels, and are all others in order behind it?"""
    order = [a for a in v.dims[dim]] + [
        a for k, d in enumerate(v.dims) if k != dim for a in d if is_data(a)
    ]
    return order == v.base and v.node.shape[0] == v.sizes[dim]


def with_constants(c, tensors, values, dim):
    """torch.cat with constant tensors: zeros are made by padding, to which they are added."""
    done, before = [], 0
    for x, v in zip(tensors, values):
        n = x.shape[dim]
        if v is not None:
            done.append(pad_axis(c.tr, v, dim, before, 0, "constant", 0.0))
            before = 0
        elif done:
            done[-1] = pad_axis(c.tr, done[-1], dim, 0, n, "constant", 0.0)
        else:
            before += n
    v = done[0] if len(done) == 1 else join(c, done, dim)
    shift = torch.cat(
        [
            x.detach().float() if v is None else torch.zeros(x.shape)
            for x, v in zip(tensors, values)
        ],
        dim,
    )
    return c.tr.scale_shift(c.tr.settle(v), 1.0, shift) if bool(shift.any()) else v


def pad_axis(tr, v, axis, before, after, mode, value):
    """Any axis: as the rows of a map."""
    if not before and not after:
        return v
    if any(a.kind in "BT" for a in v.dims[axis]):
        raise Unsupported("padding of the batch or the steps")
    p, axes, sizes, k = three(tr, v, axis)
    node = tr.shaped(p.node, (count(sizes[:k]), sizes[k], count(sizes[k + 1 :])))
    node = pad_node(tr, node, 2, [(before, after), (0, 0)], mode, value)
    sizes[k] = node.shape[1]
    return tr.viewed(p, tr.shaped(node, map_shape(sizes)), axes, sizes)


@op("pad", linear=True)
def pad(c):
    x, pads, mode, value = c.bind("input pad mode='constant' value=None")
    tr, v = c.tr, c.value(x)
    if value:
        v = tr.settle(v)
    pads = [int(p) for p in pads]
    pairs = [(pads[k], pads[k + 1]) for k in range(0, len(pads), 2)]  # the last axis first
    data = tr.data_dims(v)
    if len(pairs) == 2 and len(data) == 3 or len(data) == 2 and len(pairs) == 1:
        n = len(pairs)
        node = pad_node(tr, tr.spatial(v, n), n, list(reversed(pairs)), mode, value or 0.0)
        return tr.spatial_out(v, node, n)
    for k, (before, after) in enumerate(pairs):
        v = pad_axis(tr, v, len(v.dims) - 1 - k, before, after, mode, value or 0.0)
    return v


@op("roll")
def roll(c):
    x, shifts, dims = c.bind("input shifts dims")
    v = c.value(x)
    shifts, dims = [(s,) if isinstance(s, int) else s for s in (shifts, dims)]
    for s, d in zip(shifts, dims):
        d %= len(v.dims)
        n = v.sizes[d]
        if s % n:
            v = join(c, [part(c.tr, v, d, n - s % n, s % n), part(c.tr, v, d, 0, n - s % n)], d)
    return v


# -- sizes of maps


@op("interpolate upsample upsample_nearest upsample_bilinear", linear=True)
def interpolate(c):
    x, size, factor, mode, corners = c.bind(
        "input size=None scale_factor=None mode='nearest' align_corners=None"
    )[:5]
    mode = {"upsample_bilinear": "bilinear", "upsample_nearest": "nearest"}.get(c.name, mode)
    corners = corners or c.name == "upsample_bilinear"
    v = c.value(x)
    n = c.out.ndim - 2
    if mode == "area":
        return adaptive(
            Call(c.tr, "adaptive_avg_pool%dd" % n, (x,), {}, c.out), "globalavg", "adaptiveavg"
        )
    mode = {"linear": "bilinear"}.get(mode, mode)
    if n > 2 or mode not in ("nearest", "bilinear", "bicubic"):
        raise Unsupported("mode %s; nearest, bilinear, bicubic and area are possible" % mode)
    node = c.tr.spatial(v, n)
    H, W = (1, c.out.shape[-1]) if n == 1 else c.out.shape[-2:]
    check_factor(
        node,
        H,
        W,
        n,
        size,
        factor,
        c.bind(
            "input size=None scale_factor=None mode=0 align_corners=None "
            "recompute_scale_factor=None"
        )[5],
    )
    attrs = {"mode": mode}
    if (H, W) != (2 * node.shape[1], 2 * node.shape[2]) or mode == "bicubic" or corners:
        attrs["size"] = (H, W)
    if corners:
        attrs["align_corners"] = 1
    made = c.tr.add("upsample", [node], (node.shape[0], H, W), attrs)
    return c.tr.spatial_out(v, made, n)


def check_factor(node, H, W, n, size, factor, recompute):
    """torch samples by the factor that is given, MANGO by the two sizes."""
    if size is not None or factor is None or recompute:
        return
    factor = [float(f) for f in (factor if isinstance(factor, (tuple, list)) else [factor] * n)]
    for f, a, b in zip(factor, node.shape[3 - n :], (H, W)[2 - n :]):
        if abs(f * a - b) > 1e-6:
            raise Unsupported("a factor %g that makes %d of %d; give size= instead" % (f, b, a))


@op("pixel_shuffle pixel_unshuffle", linear=True)
def shuffle(c):
    x, r = c.bind("input factor")
    v = c.value(x)
    node = c.tr.spatial(v, 2)
    kind = c.name.replace("_", "")
    return c.tr.spatial_out(v, c.tr.add(kind, [node], c.out.shape[-3:], {"factor": int(r)}), 2)


@op("channel_shuffle native_channel_shuffle", linear=True)
def channel_shuffle(c):
    x, groups = c.bind("input groups")
    v = c.value(x)
    s = list(v.sizes)
    v = c.tr.reshape(v, s[:1] + [groups, s[1] // groups] + s[2:])
    dims = list(v.dims)
    dims[1], dims[2] = dims[2], dims[1]
    return c.tr.reshape(v.like(dims=dims), s)


# ---- layers of neurons --------------------------------------------------------------------


def neuron_family(module):
    """The function that reads this layer's rule, None: it is no layer of neurons."""
    for cls in type(module).__mro__:
        room = cls.__module__.partition(".")[0]
        if room == "snntorch" and cls.__name__ == "SpikingNeuron":
            return snntorch_rule
        if room == "spikingjelly" and cls.__name__ in (
            "BaseNode",
            "SimpleBaseNode",
            "NonSpikingBaseNode",
        ):
            return spikingjelly_rule
        if room == "norse" and cls.__name__ in (
            "SNNCell",
            "SNN",
            "SNNRecurrentCell",
            "SNNRecurrent",
        ):
            return norse_rule
    return None


def class_of(module, room):
    """The name of the nearest class that the package itself defines."""
    return next(c.__name__ for c in type(module).__mro__ if c.__module__.startswith(room + "."))


class Rule:
    """Attributes and parameters of a lif node under way."""

    def __init__(self, tracer, view):
        self.tr, self.view, self.attrs, self.params = tracer, view, {}, {}

    def set(self, key, value, param=None):
        """A number; or, when neurons differ, a parameter of one value a channel or each."""
        if isinstance(value, torch.Tensor) and value.numel() > 1:
            full = self.tr.spread(self.view, value)
            if bool((full != full.flatten()[0]).any()):
                alike = not bool((full != full[:, :1, :1]).any())
                self.attrs[key] = "channel" if alike else "each"
                self.params[param or key] = (
                    full[:, 0, 0] if alike or full.shape[1:] == (1, 1) else full
                )
                return
            value = full.flatten()[0]
        self.attrs[key] = float(value)

    def done(self, states, **more):
        return dict(
            attrs=self.attrs,
            params={k: p.contiguous() for k, p in self.params.items()},
            states=states,
            **more
        )


SNNTORCH = {
    "Leaky": ["mem"],
    "Lapicque": ["mem"],
    "Synaptic": ["syn", "mem"],
    "RLeaky": ["mem"],
    "RSynaptic": ["syn", "mem"],
}


def snntorch_rule(tr, m, v):
    kind = class_of(m, "snntorch")
    if kind not in SNNTORCH:
        raise Unsupported(
            "snnTorch's %s has no rule in MANGO's lif node (its equations are "
            "others); %s have" % (kind, ", ".join(SNNTORCH))
        )
    if m.inhibition:
        raise Unsupported(
            "inhibition=True (only the strongest neuron fires) is not in a lif node"
        )
    if m.state_quant:
        raise Unsupported("state_quant: membranes are not quantized in a lif node")
    r = Rule(tr, v)
    if kind == "Lapicque":
        lapicque(r, m)
    else:
        r.set("beta", m.beta.detach().clamp(0, 1))
    if "Synaptic" in kind:
        r.set("alpha", m.alpha.detach().clamp(0, 1))
    r.set("U_thr", m.threshold.detach(), "threshold")
    r.attrs.update(
        fires_on=">",
        reset=m.reset_mechanism,
        reset_delay=int(bool(getattr(m, "reset_delay", True))),
    )
    if m.reset_mechanism == "zero" and kind != "Leaky":
        r.attrs["reset_after"] = 1
    if kind.startswith("R"):
        recurrence(r, m)
    surrogate(r, m.spike_grad)
    graded = m.graded_spikes_factor.detach()
    if graded.numel() > 1:
        raise Unsupported("graded_spikes_factor of one value a neuron")
    return r.done(SNNTORCH[kind], graded=float(graded))


def lapicque(r, m):
    """U[t] = (1 - dt/(R C)) U[t-1] + (dt/C) X[t]"""
    time = m.R * m.C
    r.set("beta", (1 - m.time_step / time).detach())
    gain = (m.R * (1 / time) * m.time_step).detach()
    if gain.numel() > 1:
        raise Unsupported("R and C of one value a neuron")
    r.attrs["input_gain"] = float(gain)


def recurrence(r, m):
    """The spikes of the step before, through V, a matrix or a convolution."""
    inner = m.recurrent
    if hasattr(inner, "V"):
        r.attrs["recurrent"] = "one"
        r.set("V", inner.V.detach())
        return
    conv = isinstance(inner, torch.nn.Conv2d)
    r.attrs["recurrent"] = "conv" if conv else "all"
    if conv:
        r.attrs["kernel"] = square(tuple(inner.kernel_size))
    r.params["recurrent.weight"] = inner.weight.detach()
    bias = inner.bias
    r.params["recurrent.bias"] = (
        torch.zeros(inner.weight.shape[0]) if bias is None else bias.detach()
    )


def surrogate(r, grad):
    """Of no use forward; kept for training and for the gradient optimizer."""
    name = getattr(grad, "__qualname__", "")
    cells = [
        k.cell_contents
        for k in getattr(grad, "__closure__", None) or ()
        if isinstance(k.cell_contents, (int, float))
    ]
    if name.startswith("fast_sigmoid") and cells:
        r.attrs.update(surrogate="fast_sigmoid", slope=float(cells[0]))
    else:
        r.attrs.update(
            surrogate="atan",
            slope=float(cells[0]) if name.startswith("atan") and cells else 2.0,
        )


def spikingjelly_rule(tr, m, v):
    kind = class_of(m, "spikingjelly")
    if kind not in ("IFNode", "LIFNode", "ParametricLIFNode", "SimpleIFNode", "SimpleLIFNode"):
        raise Unsupported(
            "SpikingJelly's %s has no rule in MANGO's lif node; IFNode, LIFNode "
            "and ParametricLIFNode have" % kind
        )
    r = Rule(tr, v)
    if kind.endswith("IFNode") and "LIF" not in kind:
        r.attrs["beta"] = 1.0
    else:
        r.attrs["tau"] = (
            float(m.tau)
            if hasattr(m, "tau")
            else float(1.0 / torch.sigmoid(m.w.detach().double()))
        )
        r.attrs["decay_input"] = int(bool(m.decay_input))
    r.attrs["U_thr"] = float(m.v_threshold)
    r.attrs["fires_on"] = ">="
    r.attrs["reset"] = "subtract" if m.v_reset is None else "value"
    r.attrs["U_reset"] = 0.0 if m.v_reset is None else float(m.v_reset)
    r.attrs.update(
        reset_delay=0,
        detach_reset=int(bool(m.detach_reset)),
        surrogate="atan",
        slope=float(getattr(m.surrogate_function, "alpha", 2.0)),
    )
    if kind.endswith("IFNode") and "LIF" not in kind and m.v_reset:
        raise Unsupported(
            "an IFNode that begins at v_reset=%g: MANGO's begins at 0" % m.v_reset
        )
    return r.done([], multi=m.step_mode == "m")


def norse_rule(tr, m, v):
    """i[t] = (1 - dt/tau_syn) i[t-1] + X[t];  v += dt/tau_mem ((v_leak - v) + i)"""
    kind = class_of(m, "norse")
    spiking = {
        "LIFCell": 1,
        "LIF": 1,
        "LIFBoxCell": 1,
        "IAFCell": 1,
        "IAF": 1,
        "LICell": 0,
        "LI": 0,
    }
    if kind not in spiking:
        raise Unsupported(
            "Norse's %s has no rule in MANGO's lif node; %s have" % (kind, ", ".join(spiking))
        )
    p, r = m.p, Rule(tr, v)
    if kind.startswith("IAF"):
        r.attrs["beta"] = 1.0
    else:
        leak = m.dt * torch.as_tensor(p.tau_mem_inv)
        if bool((torch.as_tensor(p.v_leak) != 0).any()) or leak.numel() > 1:
            raise Unsupported("v_leak other than 0, or one tau_mem a neuron")
        r.set("beta", 1 - leak)
        r.attrs["input_gain"] = float(leak)
        if hasattr(p, "tau_syn_inv"):
            r.set("alpha", 1 - m.dt * torch.as_tensor(p.tau_syn_inv))
    if not spiking[kind]:
        r.attrs.update(reset="none", readout="membrane", reset_delay=0)
        return r.done(["mem", "syn"], multi=not kind.endswith("Cell"), forgets=True)
    if torch.as_tensor(p.v_reset).numel() > 1:
        raise Unsupported("v_reset of one value a neuron")
    if getattr(getattr(p, "reset_method", None), "__name__", "reset_value") != "reset_value":
        raise Unsupported("another reset than to v_reset")
    r.set("U_thr", torch.as_tensor(p.v_th), "threshold")
    r.attrs.update(fires_on=">", reset="value", U_reset=float(p.v_reset), reset_delay=0)
    return r.done(["mem", "syn"], multi=not kind.endswith("Cell"), forgets=True)


def reset_states(module):
    """Every layer of neurons as before its first step."""
    for m in module.modules():
        room = {c.__module__.partition(".")[0] for c in type(m).__mro__}
        if "snntorch" in room and hasattr(m, "reset_mem"):
            m.reset_mem()
        elif "spikingjelly" in room and hasattr(m, "reset") and hasattr(m, "_memories"):
            m.reset()


# ---- from the module to the file ----------------------------------------------------------


class Graph:
    """What is written: nodes in order, and the net line."""

    def __init__(
        self, nodes, T=1, name="", mean=None, std=None, out_scale=None, out_shift=None
    ):
        self.nodes, self.T, self.name = nodes, T, name
        self.mean, self.std, self.out_scale, self.out_shift = mean, std, out_scale, out_shift

    def text(self):
        line = "net"
        if self.name:
            line += " arch=" + clean_name(self.name)
        if self.T > 1:
            line += " T=%d" % self.T
        if self.mean is not None or self.std is not None:
            for key, v, unset in (("mean", self.mean, 0.0), ("std", self.std, 1.0)):
                v = [unset] if v is None else v if isinstance(v, (tuple, list)) else [v]
                line += " %s=%s" % (key, ",".join(shortest(float(k)) for k in v))
        for key, v in (("out_scale", self.out_scale), ("out_shift", self.out_shift)):
            if v is not None:
                line += " %s=%s" % (key, shortest(float(v)))
        return "mango-graph 1\n%s\n%s\n" % (line, "\n".join(n.line() for n in self.nodes))

    def tensors(self):
        """(name, tensor) of every parameter, once."""
        out = {}
        for n in self.nodes:
            for suffix, p in n.params.items():
                out.setdefault(n.prefix + "." + suffix, p.detach().to("cpu", torch.float32))
        return out

    def write(self, path, meta=None):
        write_safetensors(
            path, self.tensors(), dict({"mango.graph": self.text()}, **(meta or {}))
        )


def clean_name(z):
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in z)[:31]


def raw_bytes(x):
    """float32 values, little-endian."""
    x = x.contiguous().flatten()
    out = bytearray(4 * x.numel())
    if len(out):
        torch.frombuffer(out, dtype=torch.float32).copy_(x)
        if sys.byteorder == "big":
            out = bytearray(struct.pack("<%df" % x.numel(), *x.tolist()))
    return bytes(out)


def write_safetensors(path, tensors, meta=None):
    """8 bytes of header length, the header as JSON, the values without a gap."""
    header, at = {}, 0
    if meta:
        header["__metadata__"] = meta
    for name, x in tensors.items():
        size = 4 * x.numel()
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for x in tensors.values():
            f.write(raw_bytes(x))


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header, out = json.loads(data[8 : 8 + n]), {}
    kinds = {"F32": torch.float32, "F16": torch.float16, "U8": torch.uint8}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        a, b = t["data_offsets"]
        raw = bytearray(data[8 + n + a : 8 + n + b])
        x = torch.frombuffer(raw, dtype=kinds[t["dtype"]]) if raw else torch.empty(0)
        out[name] = x.reshape(t["shape"])
    return out, header.get("__metadata__", {})


def unwrapped(module):
    """Without DataParallel and torch.compile around it."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and type(module).__name__ in (
            "DataParallel",
            "DistributedDataParallel",
        ):
            inner = module.module
        if inner is None:
            return module
        module = inner


def make_probe(example, layout, seed):
    """Random values as the example has them, for a batch of 2, the same at all steps."""
    shape = list(example.shape)
    lead, steps = LEADS[layout], axis_of_steps(layout)
    if layout != "single" and example.ndim > lead.index("B"):
        shape[lead.index("B")] = 2
    one = list(shape)
    if steps is not None and example.ndim > 1:
        one[steps] = 1
    g = torch.Generator().manual_seed(seed)
    if not example.is_floating_point():
        top = max(int(example.max()) + 1, 2) if example.numel() else 2
        return (
            torch.randint(0, top, one, generator=g, dtype=example.dtype).expand(shape).clone()
        )
    x = example.detach().float().cpu()
    if x.numel() and float(x.min()) >= 0 and float(x.max()) <= 1:
        return torch.rand(one, generator=g).expand(shape).clone()
    spread = float(x.std()) if x.numel() > 1 else 1.0
    noise = torch.randn(one, generator=g) * (spread or 1.0) + (
        float(x.mean()) if x.numel() else 0
    )
    return noise.expand(shape).clone()


def axis_of_steps(layout):
    return {"time": 0, "batch-time": 1, "time-last": -1}.get(layout)


class Trace:
    """One run of the module, written down."""

    def __init__(self, module, x, layout, picture, steps, output, example):
        self.example = tuple(example)
        self.x, self.layout, self.stepped, self.output = x, layout, steps, output
        tr = self.tracer = Tracer(module, layout, picture, self.example)
        reset_states(module)
        with tr.watching():
            tr.paused += 1
            self.input = tr.input(x)
            tr.paused -= 1
            if steps:
                self.y = torch.stack([chosen(module(x), output) for _ in range(steps)])
            else:
                self.y = chosen(module(x), output)
            tr.paused += 1
            self.finish()

    def finish(self):
        """The output's Value, and the nodes that it needs."""
        tr, y = self.tracer, self.y
        v = tr.values.get(y)
        self.left_out = None
        if isinstance(v, Poison) and v.trailing and isinstance(v.trailing[1], Value):
            self.left_out, v = v.trailing
            tr.note(
                "%s, the last thing that the module does, is left out: the output is what "
                "comes before it" % self.left_out
            )
            if v.part is not None or v.state is not None:
                v = tr.whole(v) if v.part is not None else tr.membrane(v)
        else:
            try:
                v = tr.get(y, True)
            except Unsupported as e:
                raise ExportError(str(e)) from None
        if v is None:
            raise ExportError("the output does not depend on the input")
        v = without_repeats(tr.settle(v))
        if v.node.kind == "input":
            raise ExportError("the module gives its input back, nothing else")
        self.value = v = shown(tr, v)
        self.nodes = needed(tr.nodes, v.node)
        spiking = [n for n in self.nodes if n.kind == "lif"]
        self.steps = max((n.steps for n in spiking), default=1)
        uneven = [n for n in spiking if n.steps != self.steps]
        if uneven:
            raise ExportError(
                "%s makes %d steps, others %d: all layers of neurons make a step "
                "each" % (uneven[0].name, uneven[0].steps, self.steps)
            )
        if v.t is not None and self.steps > 1:
            raise ExportError(
                "the output is that of step %d alone, of %d: MANGO's readout is the mean over "
                "the steps; let the module return all steps or their mean, or say output="
                % (v.t + 1, self.steps)
            )

    def expected(self):
        """The module's own output as MANGO reads it, (B, C*H*W): the mean over time. None:
        that is not what the module gives."""
        v, y = self.value, self.y.detach().double()
        if self.left_out:
            return None
        x = self.tracer.laid_out(y, v.like(state=None))
        return x.mean(0) if x.ndim == 3 else x


def shown(tr, v):
    """The output with the map (C,H,W) that its axes have, if there are three at most."""
    axes = tr.data_dims(v)
    if len(axes) > 3:
        return v
    p = tr.plain(v)
    return tr.viewed(
        p,
        tr.shaped(p.node, map_shape([v.sizes[k] for k in axes])),
        axes,
        [v.sizes[k] for k in axes],
    )


def chosen(y, output):
    """The tensor to export out of what a module returns."""
    if isinstance(y, dict) or hasattr(y, "keys"):
        return y[output] if output in y else y[next(iter(y.keys()))]
    if isinstance(y, (tuple, list)):
        return chosen(y[output if isinstance(output, int) else 0], 0)
    if not isinstance(y, torch.Tensor):
        raise ExportError("the module returns a %s, not a tensor" % type(y).__name__)
    return y


def needed(nodes, last):
    keep, todo = set(), [last]
    while todo:
        n = todo.pop()
        if id(n) not in keep:
            keep.add(id(n))
            todo += n.inputs
    kept = [n for n in nodes if id(n) in keep and n is not last]
    return kept + [last]


def follow(module, example, picture, T, output, seed, gain):
    """Trace; where that fails and the axes allow it, with time at the input's second axis,
    then at its last."""
    more = (picture, T, output, seed, gain)
    try:
        return follow_from("batch", module, example, *more)
    except ExportError as e:
        first = e
    possible = example.ndim > 2 and not picture and any(map(neuron_family, module.modules()))
    for layout in ("batch-time", "time-last") if possible else ():
        try:
            got = follow_from(layout, module, example, *more)
        except ExportError:
            continue
        steps = example.shape[axis_of_steps(layout)]
        if got.layout == layout and got.steps == steps > 1 and not got.stepped:
            return got
    raise first


def follow_from(layout, module, example, picture, T, output, seed, gain):
    """Trace, with the layout of the input that turns out to be right, and T steps; the probe's
    values are multiplied by `gain`."""
    tried, steps, own, first = set(), None, False, None
    while True:
        x = example_like(example, seed) if own else make_probe(example, layout, seed)
        x = x if gain == 1 else x * gain
        try:
            got = Trace(module, x, layout, picture, steps, output, example.shape)
        except Retrace as r:
            tried.add((layout, own))
            layout = "single" if own and example.ndim <= 3 else r.layout
            if (layout, own) in tried:
                raise ExportError(
                    "the axes of the input cannot be told apart: the batch is "
                    "expected first, then (C,H,W), or (T,batch,C,H,W)"
                ) from first
            continue
        except ExportError:
            raise
        except Exception as e:
            if own or x.shape == example.shape:
                e = first or e
                raise ExportError(
                    "the module fails on an input of shape %s: %s: %s"
                    % (list(x.shape), type(e).__name__, e)
                ) from e
            first, own = e, True  # perhaps it wants its very batch
            continue
        one_step = any(n.kind == "lif" for n in got.nodes) and got.steps == 1 and steps is None
        if one_step and T is None:
            raise ExportError("the module makes one step of time a call: say how many, T=25")
        if not one_step or T == 1:
            if steps is None and T not in (None, got.steps):
                got.tracer.note(
                    "the module makes %d steps itself; T=%d is not used" % (got.steps, T)
                )
            return got
        steps = T


def example_like(example, seed):
    """Of the example's very shape."""
    g = torch.Generator().manual_seed(seed)
    flat = example.flatten()
    return flat[torch.randperm(len(flat), generator=g)].reshape(example.shape).clone()


# ---- both sides on a probe ----------------------------------------------------------------


def find_mango(given=None):
    """The command: as given, $MANGO, on PATH, or built beside this file. None: none."""
    here = os.path.dirname(os.path.abspath(__file__))
    for path in (given, os.environ.get("MANGO")):
        if path:
            found = os.path.abspath(path) if os.path.isfile(path) else shutil.which(path)
            if not found:
                raise ExportError("%s: no such command" % path)
            return found
    built = os.path.join(here, "..", "..", "build", "mango")
    return shutil.which("mango") or (os.path.abspath(built) if os.path.isfile(built) else None)


def run_mango(mango, path, x, T, spikes):
    """Every layer's values, and spikes."""
    with tempfile.TemporaryDirectory() as d:
        given, made = os.path.join(d, "x.safetensors"), os.path.join(d, "y.safetensors")
        write_safetensors(given, {"input": x})
        words = [
            mango,
            "run",
            "--net",
            path,
            "--input",
            given,
            "--record",
            "all",
            "--quiet",
            "--out",
            made,
            "--memory",
            "8192",
        ]
        words += ["--T", str(T)] if T > 1 else []
        words += ["--spikes", "all"] if spikes else []
        r = subprocess.run(words, capture_output=True, text=True)
        if r.returncode:
            raise ExportError(
                "mango refuses the file: " + (r.stderr.strip() or r.stdout.strip())
            )
        return read_safetensors(made)[0]


class Comparison:
    """Layers in order; what differs first, and what differs most."""

    def __init__(self, tolerance):
        self.tolerance, self.layers, self.worst, self.worst_at = tolerance, 0, 0.0, ""
        self.spikes = self.flipped = self.fired = 0
        self.first = None
        self.rare = False  # the first that differs is a layer in which a few spikes do

    def values(self, name, want, have):
        want, have = want.double(), have.double().reshape(want.shape)
        top = float(want.abs().max())
        d = float((want - have).abs().max()) / (top or 1.0)
        d = d if math.isfinite(d) else math.inf
        self.layers += 1
        if d > self.worst:
            self.worst, self.worst_at = d, name
        if d > self.tolerance and not self.first:
            self.first = "%s (relative difference %.2g)" % (name, d)

    def steps(self, name, want, have):
        have = have.reshape(want.shape).to(torch.uint8)
        n = int((want != have).sum())
        self.layers += 1
        self.spikes += want.numel()
        self.flipped += n
        self.fired += int(want.sum())
        if n and not self.first:
            self.first = "%s (%d of %d spikes differ)" % (name, n, want.numel())
            neurons = int((want != have).flatten(1).any(0).sum())
            self.rare = neurons <= max(1, RARE * want.numel())


def compare(trace, have, tolerance):
    """torch's record of each layer against mango's."""
    c = Comparison(tolerance)
    for n in trace.nodes:
        if n.kind == "input" or not n.seen:
            continue
        if n.spikes:
            want = spikes_of(n)
            if want is not None:
                c.steps(n.name, want, have[n.name + ".spikes"])
        elif n.name in have:
            steps = sum(k for k in n.seen.values())
            whole = steps in (1, trace.steps) if not n.timed else steps == trace.steps
            if whole:
                c.values(n.name, n.total / steps, have[n.name])
    want = trace.expected()
    if want is not None:
        c.values("the output", want, have["output"])
    return c


def spikes_of(n):
    """(T, B, C*H*W), None: not all steps were seen."""
    if None in n.seen:
        x = n.seen[None]
        return x if x.ndim == 3 else None
    if sorted(n.seen) != list(range(n.steps)):
        return None
    return torch.stack([n.seen[t] for t in range(n.steps)])


def probe_of(trace):
    """The input as mango takes it: (B, C, H, W)."""
    x, lead = trace.x.float(), axis_of_steps(trace.layout)
    if lead is not None:
        x = x.select(lead, 0)
    x = x.unsqueeze(0) if trace.layout == "single" else x
    vector = trace.input.shape[1:] == (1, 1)
    return x.reshape(x.shape[0], *trace.input.shape[: 1 if vector else 3])


def in_double(trace):
    """The same run in double precision; None: the module does not take it."""
    import copy

    try:
        other = copy.deepcopy(trace.tracer.root).double()
        picture, more = trace.tracer.picture, (trace.stepped, trace.output, trace.example)
        return Trace(other, trace.x.double(), trace.layout, picture, *more)
    except Exception:  # then there is nothing to excuse a difference with
        return None


def torch_itself(trace, double):
    """(spikes of torch that change in double precision, largest relative difference)."""
    flips, worst = 0, 0.0
    for a, b in zip(trace.nodes, double.nodes) if double else ():
        if a.spikes:
            x, y = spikes_of(a), spikes_of(b)
            flips += int((x != y).sum()) if x is not None and y is not None else 0
        elif a.seen and isinstance(b.total, torch.Tensor):
            top = float(b.total.abs().max()) or 1.0
            worst = max(worst, float((a.total - b.total).abs().max()) / top)
    return flips, worst


# ---- the call -----------------------------------------------------------------------------


def export(
    module,
    example_input,
    path="net.safetensors",
    mean=None,
    std=None,
    T=None,
    picture=None,
    name=None,
    output=0,
    out_scale=None,
    out_shift=None,
    latent_range=None,
    latent_levels=None,
    latent_prior=None,
    mango=None,
    check=True,
    tolerance=1e-5,
    quiet=False,
    meta=None,
    seed=1,
):
    """Write a module as a weights file of MANGO, and compare both on a probe.

    module         any torch.nn.Module; used in eval mode, left as it was
                   (of several inputs: example_input a tuple, all but the first are constants)
    example_input  one input as the module takes it, (batch, C, H, W), (batch, features),
                   (batch, C, length), or with time first; its values say how the probe's
                   are distributed
    path           file to write
    mean, std      of the normalization of input pictures, one number or three
    T              steps, for a module that makes one step a call
    picture        (C,H,W): the input's values are those of such a picture, flattened
    name           goes into the net line as arch=
    output         which of several returned tensors: an index, or a key
    out_scale, out_shift   generators: rgb = y*out_scale + out_shift is in [0,1]
    latent_range, latent_levels, latent_prior   generators: what codes mean, (-4, 4) by default,
                   64 places on it, "normal" ("uniform", "none")
    mango          the command; default $MANGO, then PATH
    check          False: write only
    tolerance      largest relative difference of a layer that passes
    Returns a dict: layers, T, difference, spikes, checked. Raises ExportError, and leaves no
    file, when something is not supported or when the two sides differ."""
    say = (lambda *a: None) if quiet else (lambda *a: print("mango_export:", *a))
    module = unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise ExportError(
            "a scripted module hides its Python: export the module that it was " "made of"
        )
    if type(module).forward is torch.nn.Module.forward:
        say("note: a %s has no forward: its layers are taken in order" % type(module).__name__)
        module = InOrder(module)
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        job = dict(module=module, example=example_input, picture=picture, T=T, output=output)
        trace = traced(job, seed)
        graph = graph_of(
            trace, name or type(module).__name__, mean, std, out_scale, out_shift, say
        )
        for text in trace.tracer.notes:
            say("note:", text)
        meta = dict(latent_meta(latent_range, latent_levels, latent_prior), **(meta or {}))
        return deliver(job, trace, graph, path, mango, check, tolerance, say, meta, seed)
    finally:
        for m, on in modes.items():
            m.training = on
        reset_states(module)


def latent_meta(ends, levels, prior):
    """What a generator's file says of its codes."""
    meta = {}
    if ends is not None:
        meta["mango.latent_range"] = "%s,%s" % tuple(shortest(float(k)) for k in ends)
    if levels is not None:
        meta["mango.latent_levels"] = str(int(levels))
    if prior is not None:
        if prior not in ("normal", "uniform", "none"):
            raise ExportError("latent_prior=%s: normal, uniform or none expected" % prior)
        meta["mango.latent_prior"] = prior
    return meta


def traced(job, seed, gain=1):
    module, example = job["module"], job["example"]
    if isinstance(example, (tuple, list)):
        module, example = Applied(module, example[1:], len(example[0])), example[0]
    p = next(itertools.chain(module.parameters(), module.buffers()), None)
    if p is not None and (
        p.device.type != "cpu" or p.dtype in (torch.float16, torch.bfloat16, torch.float64)
    ):
        import copy

        module = job["module"] = copy.deepcopy(module).cpu().float()
    more = (job["picture"], job["T"], job["output"], seed, gain)
    return follow(module, example.cpu(), *more)


class Applied(torch.nn.Module):
    """A module with all inputs but the first held."""

    def __init__(self, module, others, batch):
        super().__init__()
        self.module, self.others, self.batch = module, list(others), batch

    def forward(self, x):
        def fit(y):
            if (
                isinstance(y, torch.Tensor)
                and y.ndim
                and y.shape[0] == self.batch != x.shape[0]
            ):
                return y[:1].expand(x.shape[0], *y.shape[1:])
            return y

        return self.module(x, *[fit(y) for y in self.others])


class InOrder(torch.nn.Module):
    """For a container without a forward: its layers one after the other."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        for layer in self.module.children():
            if isinstance(layer, torch.nn.Linear) and x.ndim > 2:
                x = x.flatten(1)
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x


def graph_of(trace, name, mean, std, out_scale, out_shift, say):
    """The net line's guesses are said aloud."""
    last, shape = trace.nodes[-1], trace.input.shape
    C, H, W = last.shape
    while last.kind in ("reshape", "transpose", "crop"):
        last = last.inputs[0]
    generates = shape[1:] == (1, 1) and H * W > 1 and C in (1, 3)
    if generates and out_scale is None and last.kind in ("tanh", "sigmoid"):
        out_scale, out_shift = (0.5, 0.5) if last.kind == "tanh" else (1.0, 0.0)
        say(
            "a generator: pictures are y*%g + %g, as its last layer is a %s"
            % (out_scale, out_shift, last.kind)
        )
    elif generates and out_scale is None:
        say("a generator? Say out_scale= and out_shift= so that its pictures are in [0,1]")
    return Graph(trace.nodes, trace.steps, name, mean, std, out_scale, out_shift)


def deliver(job, trace, graph, path, mango, check, tolerance, say, meta, seed):
    """Write beside, compare, and only then give the file its name."""
    report = {
        "layers": len(graph.nodes),
        "T": graph.T,
        "checked": False,
        "difference": None,
        "spikes": 0,
        "graph": graph.text(),
    }
    part = path + ".part"
    meta = dict({"source": "mango_export.py, torch %s" % torch.__version__}, **(meta or {}))
    command = find_mango(mango) if check else None
    try:
        graph.write(part, meta)
        for k in range(1, 5 if trace.tracer.decisions else 2):
            last = again(job, graph, seed + k)
        if trace.tracer.decisions:
            other_ways(job, graph, seed)
            say(
                "note: Python looks at values of activations (%s): the graph holds for inputs "
                "that it treats as those here" % ", ".join(sorted(trace.tracer.decisions))
            )
        if command:
            check_file(job, last, graph, part, command, tolerance, say, report, seed)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
    say("%s: %d layers%s" % (path, len(graph.nodes), ", T %d" % graph.T if graph.T > 1 else ""))
    if not command:
        say(
            "NOT COMPARED: %s"
            % ("check=False" if not check else "no command `mango` (mango=, $MANGO, PATH)")
        )
    return report


def again(job, graph, seed):
    """The module on another input: it must come to the same graph and weights."""
    trace = traced(job, seed)
    mine, other = graph.tensors(), same_graph(trace, graph)
    for name, x in other.tensors().items():
        if not torch.equal(x, mine[name]):
            raise ExportError(
                "%s is not the same for another input: it is computed from the "
                "input where the tracer cannot see, or at random" % name
            )
    return trace


def same_graph(trace, graph):
    other = Graph(trace.nodes, trace.steps)
    if [n.line() for n in other.nodes] != [n.line() for n in graph.nodes]:
        raise ExportError(
            "another input takes another way through the module: its graph depends "
            "on the values of its input (%s)" % ", ".join(trace.tracer.decisions)
        )
    return other


def other_ways(job, graph, seed):
    """A module that decides by values: black and faint inputs, and others of the example's
    range, must come to this graph, too. One that the module does not take says nothing."""
    x = job["example"]
    x = x[0] if isinstance(x, (tuple, list)) else x
    if not x.is_floating_point():
        return
    for gain in (0.0, 0.01, -1.0) if float(x.min()) < 0 else (0.0, 0.01, 0.3):
        try:
            trace = traced(job, seed, gain)
        except ExportError:
            continue
        same_graph(trace, graph)


def check_file(job, trace, graph, part, command, tolerance, say, report, seed):
    """Three probes at most: one on which spikes hang on the rounding of a sum says nothing.
    Values may differ by more than the tolerance where torch does from double precision."""
    spiking = any(n.spikes for n in graph.nodes)
    flips = 0
    for k in range(3):
        trace = again(job, graph, seed + 10 + k) if k else trace
        have = run_mango(command, part, probe_of(trace), graph.T, spiking)
        c = compare(trace, have, tolerance)
        if not c.first:
            break
        double = in_double(trace)
        flips, own = torch_itself(trace, double)
        if not c.flipped and double and compare(double, have, tolerance).worst <= 2 * own:
            say("torch itself is %.2g off double precision here, MANGO is not further" % own)
            c.first = None
        if not c.first or not (flips or c.rare):
            break
        why = "torch's own spikes change with its rounding (%d)" % flips
        say("probe %d: %s: another input" % (k + 1, why if flips else c.first))
    if c.first and not (flips and c.flipped <= 4 * flips):
        raise ExportError(
            "DIFFERS from torch; first layer: %s; largest relative difference %.2g "
            "at %s; no file is left" % (c.first, c.worst, c.worst_at or "-")
        )
    found = dict(difference=c.worst, spikes=c.spikes, flipped=c.flipped, fired=c.fired)
    report.update(checked=True, **found)
    say(told(c, spiking))


def told(c, spiking):
    text = "compared: %d layers, largest relative difference %.2g" % (c.layers, c.worst)
    text += " (%s)" % c.worst_at if c.worst_at else ""
    if not spiking:
        return text
    if c.flipped:
        return text + ", %d of %d spikes differ, where torch's own rounding decides" % (
            c.flipped,
            c.spikes,
        )
    none = "" if c.fired else ", but NOTHING FIRES on this input: that shows little"
    return text + ", %d spikes, all equal%s" % (c.spikes, none)


# ---- the command --------------------------------------------------------------------------


def load_module(spec, words):
    """FILE.py:NAME or PACKAGE.MODULE:NAME; NAME is a module, or is called to make one."""
    room, _, name = spec.rpartition(":")
    if not room:
        raise ExportError("%s: expected FILE.py:NAME" % spec)
    if room.endswith(".py"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(room)))
        found = importlib.util.spec_from_file_location("exported", room)
        if not found or not os.path.exists(room):
            raise ExportError("%s: no such file" % room)
        made = importlib.util.module_from_spec(found)
        found.loader.exec_module(made)
    else:
        made = importlib.import_module(room)
    thing = getattr(made, name, None)
    if thing is None:
        raise ExportError("%s has no %s" % (room, name))
    if not isinstance(thing, torch.nn.Module):
        thing = thing(**dict(w.split("=", 1) for w in words or []))
    return thing


def load_weights(module, path):
    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model", "net"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    module.load_state_dict(
        {k.removeprefix("module.").removeprefix("_orig_mod."): v for k, v in state.items()}
    )


def numbers(z):
    v = [float(k) for k in z.split(",")]
    return v[0] if len(v) == 1 else v


def sizes(z):
    return tuple(int(k) for k in z.split("x"))


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="mango_export.py",
        description="A PyTorch module as a weights file of MANGO.",
        epilog="example: mango_export.py mynet.py:build --weights net.pt --input 1x3x32x32 "
        "--out net.safetensors",
    )
    p.add_argument("module", help="FILE.py:NAME, a module or what makes one")
    p.add_argument("--input", type=sizes, help="shape of an input, 1x3x32x32")
    p.add_argument("--out", required=True, help="file to write")
    p.add_argument("--weights", help="a state dict to load first")
    p.add_argument("--set", nargs="*", metavar="K=V", help="arguments of NAME, as strings")
    p.add_argument("--mean", type=numbers)
    p.add_argument("--std", type=numbers)
    p.add_argument("--T", type=int, help="steps, for a module that makes one a call")
    p.add_argument("--picture", type=sizes, help="CxHxW of a flattened input")
    p.add_argument("--mango", help="the command; default $MANGO, then PATH")
    argv = sys.argv[1:] if argv is None else argv
    if any(z.endswith(".nir") for z in argv[:1]):
        sys.modules.setdefault("mango_export", sys.modules[__name__])
        return importlib.import_module("mango_nir").main(argv)
    a = p.parse_args(argv)
    try:
        if not a.input:
            p.error("--input is needed, as 1x3x32x32")
        module = load_module(a.module, a.set)
        if a.weights:
            load_weights(module, a.weights)
        export(
            module,
            torch.rand(a.input),
            a.out,
            mean=a.mean,
            std=a.std,
            T=a.T,
            picture=a.picture,
            mango=a.mango,
        )
    except (ExportError, OSError) as e:
        print("mango_export: %s" % e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
