#!/usr/bin/env python3
"""mango_nir.py - the Neuromorphic Intermediate Representation to MANGO's weights files and back.

    python mango_export.py net.nir --dt 1e-4 --T 100 --out net.safetensors
    python mango_nir.py net.safetensors --dt 1e-4 --out net.nir

NIR is written in continuous time. Here a step is dt seconds, by Euler's rule, as in the
simulators that write such files:

    LIF       v += dt/tau ((v_leak - v) + R I)       v[t] = beta v[t-1] + g I[t] + b
    CubaLIF   i += dt/tau_syn (w_in S - i), then v as above from i
    IF        v += dt R I        LI, CubaLI: the same without a threshold, v is given on

with beta = 1 - dt/tau, g = R dt/tau, b = v_leak dt/tau; a spike where v > v_threshold. A
recurrent matrix joins a step later. What NIR cannot say is asked for: dt, and whether a file
without v_reset means a reset to 0 or the subtraction of the threshold.
Needs torch and nir.  SPDX-License-Identifier: MIT
"""

import argparse
import inspect
import os
import sys

import torch

import mango_export as base
from mango_export import ExportError, Graph, Node, count

SPIKING = ("LIF", "CubaLIF", "IF")
NEURONS = SPIKING + ("LI", "CubaLI", "I")


def kind_of(node):
    return type(node).__name__


def array(x):
    return torch.as_tensor(x).to(torch.float64)


# ---- the graph of a file ------------------------------------------------------------------


def inlined(graph, prefix=""):
    """(nodes, edges) with the graphs that are nodes put in their place."""
    nodes, edges = {}, []
    enter, leave = {}, {}
    for name, node in graph.nodes.items():
        if kind_of(node) != "NIRGraph":
            nodes[prefix + name] = node
            enter[name] = leave[name] = prefix + name
            continue
        inner, inside = inlined(node, prefix + name + ".")
        doors = [
            [
                k
                for k, m in inner.items()
                if kind_of(m) == what and k.count(".") == (prefix + name).count(".") + 1
            ]
            for what in ("Input", "Output")
        ]
        if len(doors[0]) != 1 or len(doors[1]) != 1:
            raise ExportError(
                "%s: a graph inside the graph needs one input and one output" % name
            )
        nodes.update(inner)
        edges += inside
        enter[name], leave[name] = doors[0][0], doors[1][0]
    edges += [(leave[a], enter[b]) for a, b in graph.edges]
    return nodes, edges


def without_doors(nodes, edges):
    """Inputs and outputs of inner graphs are only wires."""
    for name in [k for k, m in nodes.items() if kind_of(m) in ("Input", "Output")]:
        into = [a for a, b in edges if b == name]
        out = [b for a, b in edges if a == name]
        if into and out:
            edges = [e for e in edges if name not in e] + [(a, b) for a in into for b in out]
            del nodes[name]
    return nodes, list(dict.fromkeys(edges))


def recurrences(nodes, edges):
    """{neuron: matrix or None} for the loops neuron - matrix - neuron and neuron - itself."""
    loops = {}
    for a, b in edges:
        if a == b and kind_of(nodes[a]) in SPIKING:
            loops[a] = None
        back = kind_of(nodes[a]) in SPIKING and kind_of(nodes[b]) in ("Linear", "Affine")
        if back and (b, a) in edges and [x for x, y in edges if y == b] == [a]:
            loops[a] = b
    return loops


class Reader:
    """From a NIR graph to nodes of MANGO."""

    def __init__(self, graph, dt, reset, unsaid):
        self.dt, self.reset, self.unsaid = dt, reset, unsaid
        self.nodes, self.edges = without_doors(*inlined(graph))
        self.loops = recurrences(self.nodes, self.edges)
        gone = [m for m in self.loops.values() if m]
        self.forward = [e for e in self.edges if e[0] != e[1] and not set(e) & set(gone)]
        self.out, self.made, self.names = [], {}, set()

    def build(self):
        for name in self.order():
            self.made[name] = self.convert(name, self.nodes[name])
        ends = [k for k, m in self.nodes.items() if kind_of(m) == "Output"] or [
            k for k in self.made if not any(a == k for a, _ in self.forward)
        ]
        if len(ends) != 1:
            raise ExportError("the graph has %d outputs, one is possible" % len(ends))
        return base.needed(self.out, self.made[ends[0]])

    def order(self):
        """Topological; a loop that no lif node can say is named."""
        done, left = [], [k for k in self.nodes if k not in self.loops.values()]
        while left:
            free = [k for k in left if all(a in done for a, b in self.forward if b == k)]
            if not free:
                raise ExportError(
                    "a recurrence through %s: only neuron - matrix - neuron and "
                    "neuron - itself are possible" % ", ".join(left)
                )
            done += free
            left = [k for k in left if k not in free]
        return done

    def add(self, name, kind, inputs, shape, attrs=None, params=None):
        shape = tuple(int(s) for s in shape) + (1,) * (3 - len(shape))
        params = {k: p.to(torch.float32).contiguous() for k, p in (params or {}).items()}
        base_name, k = name, 1
        while name in self.names:
            k += 1
            name = "%s_%d" % (base_name, k)
        self.names.add(name)
        node = Node(name, kind, inputs, attrs or {}, params, shape)
        self.out.append(node)
        return node

    def convert(self, name, m):
        sources = [self.made[a] for a, b in self.forward if b == name]
        if kind_of(m) == "Input":
            shape = [int(s) for s in next(iter(m.input_type.values()))]
            if len(shape) == 2:
                shape = [shape[0], 1, shape[1]]
            if len(shape) > 3:
                raise ExportError("%s: an input of %d axes, at most 3" % (name, len(shape)))
            shape = tuple(shape) + (1,) * (3 - len(shape))
            return self.add(name, "input", [], shape, {"shape": shape})
        if not sources:
            raise ExportError("%s: nothing leads to it" % name)
        x = sources[0]
        for k, other in enumerate(sources[1:]):
            x = self.add("%s.add%s" % (name, k or ""), "add", [x, other], x.shape)
        if kind_of(m) == "Output":
            return x
        make = getattr(self, "make_" + kind_of(m).lower(), None)
        if make is None:
            raise ExportError("%s: NIR's %s has no node in MANGO's graph" % (name, kind_of(m)))
        return make(name, m, x)

    # -- layers

    def matrix(self, name, w, b, x):
        w = array(w)
        if w.ndim != 2 or w.shape[1] != count(x.shape):
            raise ExportError(
                "%s: a matrix of shape %s on %s values" % (name, list(w.shape), count(x.shape))
            )
        params = {"weight": w} if b is None else {"weight": w, "bias": array(b)}
        return self.add(
            name,
            "linear",
            [x],
            (w.shape[0],),
            {"out": w.shape[0], "bias": int(b is not None)},
            params,
        )

    def make_linear(self, name, m, x):
        return self.matrix(name, m.weight, None, x)

    def make_affine(self, name, m, x):
        return self.matrix(name, m.weight, m.bias, x)

    def make_conv1d(self, name, m, x):
        return self.convolution(name, m, x, 1)

    def make_conv2d(self, name, m, x):
        return self.convolution(name, m, x, 2)

    def convolution(self, name, m, x, n):
        w, b = array(m.weight), array(m.bias)
        stride, dilation = [tuple(numbers(k, n)) for k in (m.stride, m.dilation)]
        pad = m.padding.decode() if isinstance(m.padding, bytes) else m.padding
        if isinstance(pad, str):
            pad = 0 if pad == "valid" else base.same_padding(w.shape[2:], list(dilation))
        if isinstance(pad, list):
            raise ExportError("%s: padding 'same' with an even kernel" % name)
        pad = tuple(numbers(pad, n))
        attrs = base.conv_attrs(
            n, w.shape[0], tuple(w.shape[2:]), stride, pad, dilation, int(m.groups), True
        )
        space = [
            base.out_size(s, k, t, p, d)
            for s, k, t, p, d in zip(x.shape[3 - n :], w.shape[2:], stride, pad, dilation)
        ]
        shape = (w.shape[0], *([1] if n == 1 else []), *space)
        return self.add(
            name,
            "conv",
            [x],
            shape,
            attrs,
            {"weight": w.unsqueeze(2) if n == 1 else w, "bias": b},
        )

    def make_avgpool2d(self, name, m, x):
        return self.window(name, "avgpool", m, x)

    def make_sumpool2d(self, name, m, x):
        return self.window(name, "sumpool", m, x)

    def window(self, name, kind, m, x):
        k, s, p = [tuple(numbers(v, 2)) for v in (m.kernel_size, m.stride, m.padding)]
        attrs = {"kernel": base.square(k), "stride": base.square(s), "pad": base.square(p)}
        if kind == "avgpool" and any(p):
            attrs["count_pad"] = 1
        space = [base.out_size(*v) for v in zip(x.shape[1:], k, s, p)]
        return self.add(name, kind, [x], (x.shape[0], *space), attrs)

    def make_flatten(self, name, m, x):
        return self.add(
            name, "reshape", [x], (count(x.shape),), {"shape": (count(x.shape), 1, 1)}
        )

    def make_scale(self, name, m, x):
        return self.scaled(name, x, array(m.scale), 0.0)

    def make_threshold(self, name, m, x):
        attrs, params = {"beta": 0.0}, {}
        self.each(name, attrs, params, "U_thr", array(m.threshold), x, "threshold")
        attrs.update(fires_on=">", reset="none", reset_delay=0)
        return self.add(name, "lif", [x], x.shape, attrs, params)

    def scaled(self, name, x, scale, shift):
        """scale x + shift with one value for all or one a neuron."""
        scale, shift = [alike(array(v)) for v in (scale, shift)]
        if scale.numel() == 1 and shift.numel() == 1:
            attrs = {"scale": float(scale), "shift": float(shift)}
            return (
                x
                if attrs == {"scale": 1.0, "shift": 0.0}
                else self.add(name, "affine", [x], x.shape, attrs)
            )
        n = count(x.shape)
        flat = (
            x
            if x.shape == (n, 1, 1)
            else self.add(name + ".flat", "reshape", [x], (n,), {"shape": (n, 1, 1)})
        )
        y = self.add(
            name,
            "batchnorm",
            [flat],
            (n,),
            {"eps": 1e-30},
            {
                "weight": full(scale, x),
                "bias": full(shift, x),
                "running_mean": torch.zeros(n),
                "running_var": torch.ones(n),
            },
        )
        return (
            y
            if flat is x
            else self.add(name + ".map", "reshape", [y], x.shape, {"shape": x.shape})
        )

    # -- neurons

    def each(self, name, attrs, params, key, value, x, param=None):
        """A number, or a parameter of one value a neuron."""
        value = alike(value)
        if value.numel() == 1:
            attrs[key] = float(value)
            return
        attrs[key] = "each"
        flat = full(value, x, name)
        params[param or key] = flat if x.shape[1:] == (1, 1) else flat.reshape(x.shape)

    def decay(self, name, tau):
        """1 - dt/tau"""
        tau = array(tau)
        if bool((tau < self.dt).any()):
            raise ExportError(
                "%s: a time constant of %g s is shorter than dt, %g s"
                % (name, float(tau.min()), self.dt)
            )
        return 1 - self.dt / tau

    def make_lif(self, name, m, x):
        beta = self.decay(name, m.tau)
        gain = array(m.r) * (1 - beta)
        return self.neuron(name, m, x, beta, gain, array(m.v_leak) * (1 - beta), None)

    def make_li(self, name, m, x):
        return self.make_lif(name, m, x)

    def make_if(self, name, m, x):
        one = torch.ones((), dtype=torch.float64)
        return self.neuron(name, m, x, one, array(m.r) * self.dt, one * 0, None)

    def make_i(self, name, m, x):
        return self.make_if(name, m, x)

    def make_cubalif(self, name, m, x):
        beta, alpha = self.decay(name, m.tau_mem), self.decay(name, m.tau_syn)
        gain = array(m.w_in) * (1 - alpha) * array(m.r) * (1 - beta)
        if bool((array(m.v_leak) != 0).any()):
            raise ExportError(
                "%s: v_leak other than 0 in a %s: the current's node has no place "
                "for it" % (name, kind_of(m))
            )
        return self.neuron(name, m, x, beta, gain, beta * 0, alpha)

    def make_cubali(self, name, m, x):
        return self.make_cubalif(name, m, x)

    def neuron(self, name, m, x, beta, gain, shift, alpha):
        attrs, params = {}, {}
        self.each(name, attrs, params, "beta", beta, x)
        if alpha is not None:
            self.each(name, attrs, params, "alpha", alpha, x)
        one = alike(gain)
        if one.numel() == 1 and not bool(shift.any()):
            attrs["input_gain"] = float(one)
        else:
            x = self.scaled(name + ".input", x, gain, shift)
        if kind_of(m) in SPIKING:
            self.set_reset(name, m, attrs)
            thr = array(m.v_threshold)
            if attrs["fires_on"] == ">=":
                thr = torch.nextafter(
                    thr.float(), torch.full_like(thr.float(), torch.inf)
                ).double()
            self.each(name, attrs, params, "U_thr", thr, x, "threshold")
        else:
            attrs.update(reset="none", readout="membrane", reset_delay=0)
        if name in self.loops:
            self.recurrence(name, gain, attrs, params, x)
        return self.add(name, "lif", [x], x.shape, attrs, params)

    def set_reset(self, name, m, attrs):
        said = (
            self.reset or text(m.metadata.get("reset"))
            if isinstance(m.metadata, dict)
            else self.reset
        )
        if said is None and name in self.unsaid:
            raise ExportError(
                "%s: the file has no v_reset for it: say reset=value (a reset to 0) "
                "or reset=subtract (the threshold is subtracted; reset=snntorch: "
                "at the next step, as snnTorch does)" % name
            )
        if said == "snntorch":  # U[t] = beta U[t-1] + g X[t] - S[t-1] U_thr
            attrs.update(reset="subtract", reset_delay=1, fires_on=">")
            return
        if said == "subtract":  # what is left above the threshold fires again: lif.h's rule
            attrs.update(reset="subtract", reset_delay=0, fires_on=">=")  # for >=, so that
            return  # v > v_threshold becomes v >= the next number above it
        value = alike(array(m.v_reset))
        if value.numel() > 1:
            raise ExportError(
                "%s: v_reset of one value a neuron; one for all is possible" % name
            )
        attrs.update(reset="value", U_reset=float(value), reset_delay=0, fires_on=">")

    def recurrence(self, name, gain, attrs, params, x):
        matrix = self.loops[name]
        n, g = count(x.shape), full(alike(gain), x)
        if matrix is None:
            attrs["recurrent"] = "one"
            self.each(name, attrs, params, "V", gain, x)
            return
        m = self.nodes[matrix]
        w = array(m.weight)
        if tuple(w.shape) != (n, n) or x.shape[1:] != (1, 1):
            raise ExportError("%s: a matrix of %s for %d neurons" % (matrix, list(w.shape), n))
        bias = array(m.bias) if kind_of(m) == "Affine" else torch.zeros(n, dtype=torch.float64)
        attrs["recurrent"] = "all"
        params["recurrent.weight"] = g[:, None] * w
        params["recurrent.bias"] = g * bias


def text(v):
    return v.decode() if isinstance(v, bytes) else v


def alike(v):
    """One value instead of many equal ones."""
    v = v.reshape(-1)
    return v[:1] if bool((v == v[0]).all()) else v


def full(v, x, name=""):
    n = count(x.shape)
    if v.numel() not in (1, n):
        raise ExportError("%s: %d constants for %d neurons" % (name, v.numel(), n))
    return v.reshape(-1).expand(n).clone()


def numbers(v, n):
    v = torch.as_tensor(v).flatten().tolist()
    return [int(k) for k in (v * n if len(v) == 1 else v)]


def unsaid_resets(path):
    """Neurons for which the file has no v_reset (nir puts zeros there)."""
    import h5py

    out = set()

    def look(group, prefix):
        for name, node in group["nodes"].items():
            kind = text(node["type"][()])
            if kind == "NIRGraph":
                look(node, prefix + name + ".")
            elif kind in SPIKING and "v_reset" not in node:
                out.add(prefix + name)

    with h5py.File(path, "r") as f:
        look(f["node"], "")
    return out


# ---- the same equations, plainly, for the comparison ----------------------------------------


def simulate(reader, x, T):
    """{node: (T, B, values)} by the equations above, on x shown at all steps."""
    state, record = {}, {k: [] for k in reader.made}
    names = list(reader.made)
    for _ in range(T):
        now = {}
        for name in names:
            m, kind = reader.nodes[name], kind_of(reader.nodes[name])
            sources = [now[a] for a, b in reader.forward if b == name]
            now[name] = (
                x
                if kind == "Input"
                else step(reader, name, m, kind, sum(sources[1:], sources[0]), state)
            )
            record[name].append(now[name].flatten(1))
    return {k: torch.stack(v) for k, v in record.items()}


def step(reader, name, m, kind, x, state):
    F = torch.nn.functional

    def f32(v):
        return array(v).to(torch.float32)

    if kind in ("Linear", "Affine"):
        return F.linear(x.flatten(1), f32(m.weight), f32(m.bias) if kind == "Affine" else None)
    if kind in ("Conv1d", "Conv2d"):
        n = int(kind[4])
        pad = text(m.padding)
        conv = F.conv1d if n == 1 else F.conv2d
        y = conv(
            x.squeeze(2) if n == 1 and x.ndim == 4 else x,
            f32(m.weight),
            f32(m.bias),
            numbers(m.stride, n),
            pad if isinstance(pad, str) else numbers(pad, n),
            numbers(m.dilation, n),
            int(m.groups),
        )
        return y.unsqueeze(2) if n == 1 else y
    if kind in ("AvgPool2d", "SumPool2d"):
        k = numbers(m.kernel_size, 2)
        y = F.avg_pool2d(x, k, numbers(m.stride, 2), numbers(m.padding, 2))
        return y * (k[0] * k[1]) if kind == "SumPool2d" else y
    if kind == "Scale":
        return x * shaped_as(f32(m.scale), x)
    if kind == "Threshold":
        return (x > shaped_as(f32(m.threshold), x)).float()
    if kind in NEURONS:
        return neuron_step(reader, name, m, kind, x, state)
    return x.flatten(1) if kind == "Flatten" else x


def shaped_as(v, x):
    return v if v.numel() == 1 else v.reshape(x.shape[1:])


def neuron_step(reader, name, m, kind, x, state):
    dt = reader.dt
    tau = getattr(m, "tau_mem", getattr(m, "tau", None))
    part = 1.0 * dt if tau is None else dt / array(tau)
    v, i, s = state.get(name, (torch.zeros_like(x),) * 3)
    if name in reader.loops:
        w = reader.loops[name]
        x = x + (
            s
            if w is None
            else step(reader, w, reader.nodes[w], kind_of(reader.nodes[w]), s, {})
        )

    def f(c):
        return shaped_as(torch.as_tensor(c).to(torch.float32), x)

    if kind.startswith("Cuba"):
        syn = dt / array(m.tau_syn)
        i = f(1 - syn) * i + f(array(m.w_in) * syn * array(m.r) * part) * x
        v = f(1 - part) * v + i + f(array(m.v_leak) * part)
    elif tau is None:
        v = v + f(array(m.r) * part) * x
    else:
        v = f(1 - part) * v + (f(array(m.r) * part) * x + f(array(m.v_leak) * part))
    if kind not in SPIKING:
        state[name] = (v, i, s)
        return v
    over = f(m.v_threshold)
    s = (v > over).float()
    attrs = reader.made[name].attrs
    if attrs["reset_delay"]:
        state[name] = (v - s * over / f(1 - part), i, s)  # taken whole: before it decays
        return s
    if attrs["reset"] == "subtract":
        v = v - s * over
    else:
        v = torch.where(s > 0, torch.full_like(v, attrs["U_reset"]), v)
    state[name] = (v, i, s)
    return s


# ---- the calls ------------------------------------------------------------------------------


def read_nir(nir, path):
    """The graph without the package's own inference of shapes: it is wrong for grouped and
    for oblong kernels, and MANGO infers them itself."""
    try:
        if "type_check" in inspect.signature(nir.read).parameters:
            return nir.read(path, type_check=False)
        return nir.read(path)
    except Exception as e:
        raise ExportError(
            "%s: the package nir cannot read it: %s: %s" % (path, type(e).__name__, e)
        ) from e


def from_nir(
    source,
    path,
    dt=None,
    T=100,
    reset=None,
    name=None,
    mean=None,
    std=None,
    mango=None,
    check=True,
    tolerance=1e-5,
    quiet=False,
):
    """Write a .nir file (or a nir.NIRGraph) as a weights file of MANGO.

    dt     seconds a step; else the file's metadata must have it under the key dt
    T      steps by default
    reset  "value" (to v_reset, or 0), "subtract" (the threshold, at once) or "snntorch" (the
           threshold, whole, at the next step), for files that cannot say it
    Compared with the equations above on a probe. Returns a dict, raises ExportError."""
    import nir

    say = (lambda *a: None) if quiet else (lambda *a: print("mango_nir:", *a))
    unsaid = unsaid_resets(source) if isinstance(source, (str, os.PathLike)) else set()
    graph = read_nir(nir, source) if isinstance(source, (str, os.PathLike)) else source
    if dt is None:
        dt = graph.metadata.get("dt") if isinstance(graph.metadata, dict) else None
    if dt is None:
        raise ExportError(
            "NIR is in continuous time: say dt=, the seconds of a step (1e-4 for "
            "files of snnTorch)"
        )
    reader = Reader(graph, float(dt), reset, unsaid)
    nodes = reader.build()
    out = Graph(
        nodes,
        T if any(n.kind == "lif" for n in nodes) else 1,
        name
        or (
            os.path.splitext(os.path.basename(str(source)))[0]
            if isinstance(source, (str, os.PathLike))
            else "nir"
        ),
        mean,
        std,
    )
    part = str(path) + ".part"
    try:
        out.write(part, {"source": "NIR, dt %g s" % dt})
        report = compared(
            reader, out, part, base.find_mango(mango) if check else None, tolerance
        )
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
    say("%s: %d layers, T %d, dt %g s" % (path, len(nodes), out.T, dt))
    say(
        "compared: largest relative difference %.2g, %d of %d fire, %d differ"
        % tuple(report[k] for k in ("difference", "fired", "spikes", "flipped"))
        if report["checked"]
        else "NOT COMPARED: no command `mango` (mango=, $MANGO, PATH)"
    )
    return dict(report, graph=out.text(), layers=len(nodes), T=out.T)


def compared(reader, graph, part, command, tolerance):
    if not command:
        return {"checked": False, "difference": None, "spikes": 0, "fired": 0, "flipped": 0}
    shape = graph.nodes[0].shape
    g = torch.Generator().manual_seed(1)
    x = torch.rand(2, *shape, generator=g)
    spiking = any(n.spikes for n in graph.nodes)
    have = base.run_mango(
        command, part, x.flatten(1) if shape[1:] == (1, 1) else x, graph.T, spiking
    )
    want, c = simulate(reader, x, graph.T), base.Comparison(tolerance)
    for name, node in reader.made.items():
        if node not in graph.nodes or kind_of(reader.nodes[name]) in ("Input", "Output"):
            continue
        if node.spikes:
            c.steps(name, want[name].to(torch.uint8), have[node.name + ".spikes"])
        elif node.name in have:
            c.values(name, want[name].double().mean(0), have[node.name])
    if c.first:
        raise ExportError(
            "DIFFERS from NIR's equations; first layer: %s; no file is left" % c.first
        )
    return {
        "checked": True,
        "difference": c.worst,
        "spikes": c.spikes,
        "fired": c.fired,
        "flipped": c.flipped,
    }


# ---- and back -------------------------------------------------------------------------------


def parsed(text_form):
    """[(name, kind, inputs, {key: value})] of a graph's text, and its net line's keys."""
    lines = [z.split("#")[0].split() for z in text_form.splitlines()]
    lines = [z for z in lines if z]
    out = []
    for name, kind, inputs, *words in lines[2:]:
        attrs = dict(w.split("=", 1) for w in words)
        out.append((name, kind, [] if inputs == "-" else inputs.split(","), attrs))
    return out, dict(w.split("=", 1) for w in lines[1][1:])


class Writer:
    """From a weights file's graph to NIR."""

    def __init__(self, text_form, tensors, dt, soft):
        self.lines, _ = parsed(text_form)
        self.tensors, self.dt, self.soft = tensors, dt, soft
        self.nodes, self.edges, self.shape, self.ends = {}, [], {}, {}

    def param(self, name, attrs, suffix):
        x = self.tensors.get(attrs.get("param", name) + "." + suffix)
        return None if x is None else x.float()

    def build(self):
        import nir

        for name, kind, inputs, attrs in self.lines:
            make = getattr(self, "make_" + kind, None)
            if make is None:
                raise ExportError("%s: NIR has nothing for a %s" % (name, kind))
            made = make(nir, name, inputs, attrs)
            if made is None:  # a wire: what reads it reads its inputs
                continue
            self.nodes[name] = made
            self.edges += [(a, name) for i in inputs for a in self.ends[i]]
            self.ends[name] = [name]
        last = self.lines[-1][0]
        self.nodes["output"] = nir.Output(output_type={"output": self.size(last)})
        self.edges += [(a, "output") for a in self.ends[last]]
        return nir.NIRGraph(self.nodes, self.edges, metadata={"dt": self.dt}, type_check=False)

    def size(self, name):
        import numpy

        C, H, W = self.shape[name]
        return numpy.array([C] if (H, W) == (1, 1) else [C, H, W])

    def make_input(self, nir, name, inputs, a):
        shape = [int(k) for k in a["shape"].split("x")]
        self.shape[name] = tuple(shape + [1] * (3 - len(shape)))
        return nir.Input(input_type={"input": self.size(name)})

    def make_linear(self, nir, name, inputs, a):
        w, b = self.param(name, a, "weight"), self.param(name, a, "bias")
        self.shape[name] = (w.shape[0], 1, 1)
        return nir.Linear(w.numpy()) if b is None else nir.Affine(w.numpy(), b.numpy())

    def make_conv(self, nir, name, inputs, a):
        w, b = self.param(name, a, "weight"), self.param(name, a, "bias")
        stride, pad, dilation = [
            pair(a.get(k, d)) for k, d in (("stride", "1"), ("pad", "0"), ("dilation", "1"))
        ]
        x = self.shape[inputs[0]]
        self.shape[name] = (
            w.shape[0],
            *[base.out_size(*v) for v in zip(x[1:], w.shape[2:], stride, pad, dilation)],
        )
        b = torch.zeros(w.shape[0]) if b is None else b
        return nir.Conv2d(
            x[1:], w.numpy(), stride, pad, dilation, int(a.get("groups", 1)), b.numpy()
        )

    def make_avgpool(self, nir, name, inputs, a):
        if int(a.get("ceil", 0)) or (
            pair(a.get("pad", "0")) != (0, 0) and not int(a.get("count_pad", 0))
        ):
            raise ExportError("%s: NIR's pools count their padding and round down" % name)
        return self.window(nir.AvgPool2d, name, inputs, a)

    def make_sumpool(self, nir, name, inputs, a):
        return self.window(nir.SumPool2d, name, inputs, a)

    def window(self, cls, name, inputs, a):
        import numpy

        k = pair(a["kernel"])
        s, p = pair(a.get("stride", a["kernel"])), pair(a.get("pad", "0"))
        x = self.shape[inputs[0]]
        self.shape[name] = (x[0], *[base.out_size(*v) for v in zip(x[1:], k, s, p)])
        return cls(*[numpy.array(v) for v in (k, s, p)])

    def make_reshape(self, nir, name, inputs, a):
        shape = [int(k) for k in a["shape"].split("x")]
        self.shape[name] = tuple(shape + [1] * (3 - len(shape)))
        if self.shape[name][1:] != (1, 1):
            raise ExportError("%s: NIR flattens, and does not reshape otherwise" % name)
        before = self.size(inputs[0])
        return nir.Flatten(input_type={"input": before}, start_dim=0, end_dim=-1)

    def make_flatten(self, nir, name, inputs, a):
        if a.get("order", "chw") != "chw":
            raise ExportError("%s: NIR flattens in the order chw" % name)
        return self.make_reshape(
            nir, name, inputs, {"shape": str(count(self.shape[inputs[0]]))}
        )

    def make_add(self, nir, name, inputs, a):
        self.shape[name] = self.shape[inputs[0]]
        self.ends[name] = [e for i in inputs for e in self.ends[i]]

    def make_affine(self, nir, name, inputs, a):
        if float(a.get("shift", 0)):
            raise ExportError("%s: NIR has no shift beside a matrix" % name)
        self.shape[name] = self.shape[inputs[0]]
        return nir.Scale(
            (torch.ones(tuple(self.size(name))) * float(a.get("scale", 1))).numpy()
        )

    def make_batchnorm(self, nir, name, inputs, a):
        """A scale; with a shift, into the matrix or convolution before it."""
        self.shape[name] = self.shape[inputs[0]]
        scale = self.param(name, a, "weight") / torch.sqrt(
            self.param(name, a, "running_var") + float(a.get("eps", 1e-5))
        )
        shift = self.param(name, a, "bias") - self.param(name, a, "running_mean") * scale
        before = self.nodes.get(inputs[0])
        alone = sum(inputs[0] in i for _, _, i, _ in self.lines) == 1
        if alone and type(before).__name__ in ("Conv2d", "Affine", "Linear"):
            w = torch.as_tensor(before.weight)
            b = getattr(before, "bias", None)
            b = shift if b is None else torch.as_tensor(b) * scale + shift
            w = (w * scale.reshape(-1, *[1] * (w.ndim - 1))).numpy()
            if type(before).__name__ == "Conv2d":
                before.weight, before.bias = w, b.numpy()
            else:
                self.nodes[inputs[0]] = nir.Affine(w, b.numpy())
            self.ends[name] = self.ends[inputs[0]]
            return None
        if bool(shift.any()):
            raise ExportError("%s: NIR has no shift beside a matrix" % name)
        size = tuple(self.size(name))
        scale = scale.reshape(-1, *[1] * (len(size) - 1)).expand(size)
        return nir.Scale(scale.contiguous().numpy())

    def make_lif(self, nir, name, inputs, a):
        self.shape[name] = self.shape[inputs[0]]
        a = lif_defaults(a)
        self.refuse(name, a)
        gain = self.each(name, a, "input_gain")
        beta, thr = self.each(name, a, "beta"), self.each(name, a, "U_thr", "threshold")
        if a["fires_on"] == ">=":  # NIR fires above its threshold
            thr = torch.nextafter(
                thr.float(), torch.full_like(thr.float(), -torch.inf)
            ).double()
        if "tau" in a:
            tau = self.each(name, a, "tau")
            beta, gain = 1 - 1 / tau, gain / tau if int(a["decay_input"]) else gain
        one = torch.ones_like(thr)
        reset = float(a["U_reset"]) if a["reset"] == "value" else 0.0
        soft = "snntorch" if a["reset_delay"] == "1" else "subtract"
        meta = {"reset": soft} if a["reset"] == "subtract" else {}
        more = (
            {}
            if a["readout"] == "membrane"
            else {"v_threshold": thr.numpy(), "v_reset": (one * reset).numpy()}
        )
        if meta:
            more["metadata"] = meta
        if bool((beta == 1).all()) and "alpha" not in a:
            cls = nir.I if a["readout"] == "membrane" else nir.IF
            return cls(r=(gain / self.dt).numpy(), **more)
        if bool((beta >= 1).any()):
            raise ExportError("%s: neurons with and without a leak in one layer" % name)
        tau = self.dt / (1 - beta)
        if "alpha" not in a:
            cls = nir.LI if a["readout"] == "membrane" else nir.LIF
            return cls(
                tau=tau.numpy(), r=(gain / (1 - beta)).numpy(), v_leak=(0 * one).numpy(), **more
            )
        alpha = self.each(name, a, "alpha")
        cls = nir.CubaLI if a["readout"] == "membrane" else nir.CubaLIF
        return cls(
            tau_syn=(self.dt / (1 - alpha)).numpy(),
            tau_mem=tau.numpy(),
            r=(1 / (1 - beta)).numpy(),
            v_leak=(0 * one).numpy(),
            w_in=(gain / (1 - alpha)).numpy(),
            **more
        )

    def refuse(self, name, a):
        """What NIR cannot say."""
        wrong = None
        if a.get("recurrent", "none") != "none":
            wrong = "its recurrence (NIR has it as a graph of its own; not written here)"
        elif a["readout"] != "membrane" and a["reset"] == "none":
            wrong = "neurons that fire without a reset"
        elif a["readout"] != "membrane" and a["reset"] == "subtract" and not self.soft:
            wrong = (
                "a reset by subtraction; soft=True writes it as metadata, which other "
                "programs may not read"
            )
        elif "tau" in a and (float(a.get("U_leak", a["U_reset"])) != 0):
            wrong = "a leak to another value than 0 (not written here)"
        elif (
            a["readout"] != "membrane" and a["reset"] != "subtract" and a["reset_delay"] == "1"
        ):
            wrong = "a reset to a value at the next step"
        if wrong:
            raise ExportError("%s: NIR cannot say %s" % (name, wrong))

    def each(self, name, a, key, param=None):
        import numpy

        size = tuple(int(k) for k in numpy.atleast_1d(self.size(name)))
        z = a.get(key)
        if z is None:
            return torch.zeros(size, dtype=torch.float64)
        if z not in ("layer", "channel", "each"):
            return torch.full(size, float(z), dtype=torch.float64)
        x = self.param(name, a, param or key).double()
        x = x.clamp(0, 1) if key in ("alpha", "beta") else x
        return (
            (x.reshape(-1, 1, 1) if z == "channel" and len(size) == 3 else x)
            .expand(size)
            .clone()
        )


def lif_defaults(a):
    """With what the graph text may leave out."""
    out = {
        "input_gain": "1",
        "U_thr": "1",
        "reset": "subtract",
        "U_reset": "0",
        "readout": "spikes",
        "decay_input": "0",
        "reset_delay": "1",
        "fires_on": ">",
    }
    if a.get("preset") == "spikingjelly":
        out.update(tau="2", decay_input="1", reset="value", reset_delay="0", fires_on=">=")
    elif "preset" in a:
        out["beta"] = "0.9"
    if "beta" in a:
        out.pop("tau", None)
    out.update(a)
    return out


def pair(z):
    v = [int(k) for k in z.split("x")]
    return (v[0], v[-1])


def to_nir(path, out, dt=1e-4, soft=False):
    """Write a weights file of MANGO as .nir, where NIR can say it. dt: seconds of a step.
    soft: a reset by subtraction goes into the metadata of its node (reset=subtract)."""
    import nir

    tensors, meta = base.read_safetensors(path)
    if "mango.graph" not in meta:
        raise ExportError("%s: no graph in its metadata (mango.graph)" % path)
    nir.write(out, Writer(meta["mango.graph"], tensors, float(dt), soft).build())


def main(argv=None):
    p = argparse.ArgumentParser(prog="mango_nir.py", description="NIR to MANGO, and back.")
    p.add_argument("source", help="a .nir, or a weights file of MANGO")
    p.add_argument("--out", required=True)
    p.add_argument("--dt", type=float, help="seconds of a step")
    p.add_argument("--T", type=int, default=100)
    p.add_argument(
        "--reset",
        choices=["value", "subtract", "snntorch"],
        help="where the file cannot say it",
    )
    p.add_argument(
        "--soft", action="store_true", help="write a reset by subtraction as metadata"
    )
    p.add_argument("--mean", type=base.numbers)
    p.add_argument("--std", type=base.numbers)
    p.add_argument("--mango", help="the command; default $MANGO, then PATH")
    a = p.parse_args(argv)
    try:
        if a.source.endswith(".safetensors"):
            to_nir(a.source, a.out, a.dt or 1e-4, a.soft)
        else:
            from_nir(a.source, a.out, a.dt, a.T, a.reset, mean=a.mean, std=a.std, mango=a.mango)
    except (ExportError, OSError, ImportError) as e:
        print("mango_nir: %s" % e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
