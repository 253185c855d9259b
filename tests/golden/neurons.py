# Makes neurons.safetensors: spikes of snnTorch's and SpikingJelly's own classes in small
# networks, T = 50, two inputs. Run with torch, snntorch, spikingjelly, safetensors, numpy:
#     python tests/golden/neurons.py tests/golden/neurons.safetensors
# Weights are multiples of 1/64 and inputs of 1/16, so that every sum of a matrix product is
# exact and only the neurons' own arithmetic is compared. For each NAME the metadata hold the
# graph text; the tensors are input.KIND, KIND.LAYER.weight (KIND: vector, map), NAME.LAYER.x
# for the neurons' parameters, NAME.a and NAME.b: bits of the spikes (T,2,n) of the two layers
# of neurons, NAME.mem: (T,2,n) where membranes are read; NAME.grad.input and NAME.grad.LAYER.x:
# gradients, by autograd, of the sum over b's values y_i, in this order, of y_i (37 i mod 17 - 8)/16.
# SPDX-License-Identifier: MIT
import sys

import numpy as np
import torch
import snntorch as snn
from safetensors.torch import save_file
from spikingjelly.activation_based import neuron as sj, surrogate

T = 50
SUR = "surrogate=atan slope=2"
rng = np.random.default_rng(17)
out, meta = {}, {}


def grid(shape, size, scale, shift=0.0):
    v = np.floor(rng.uniform(-1, 1, shape) * scale * size + shift * size) / size
    return torch.tensor(v, dtype=torch.float32)


def uniform(shape, lo, hi):
    return torch.tensor(rng.uniform(lo, hi, shape), dtype=torch.float32)


IN = {"vector": (12,), "map": (2, 4, 4)}
WEIGHT = {"vector": ((16, 12), (14, 16)), "map": ((5, 2, 3, 3), (5, 5, 1, 1))}
NEURONS = {"vector": ((16,), (14,)), "map": ((5, 2, 2), (5, 2, 2))}
TEXT = {
    "vector": ("shape=12x1x1", "linear input out=16 bias=0", "linear a out=14 bias=0"),
    "map": ("shape=2x4x4", "conv input out=5 kernel=3 bias=0", "conv a out=5 kernel=1 bias=0"),
}
for kind in IN:
    out["input." + kind] = grid((2,) + IN[kind], 16, 0.5, 0.5)
    for name, shape in zip(("l1", "l2"), WEIGHT[kind]):
        fan = int(np.prod(shape[1:]))
        out[f"{kind}.{name}.weight"] = grid(shape, 64, 1.6 / fan**0.5, 0.12 if name == "l2" else 0.05)


def act(kind, w, x):
    return torch.nn.functional.linear(x, w) if kind == "vector" else torch.nn.functional.conv2d(x, w)


def spk(v):
    return v[0] if isinstance(v, tuple) else v


def leaf(m, name):
    """A parameter of a module as a leaf that gets a gradient, and dw/d(ours)."""
    for part in name.split(".")[:-1]:
        m = getattr(m, part)
    name = name.split(".")[-1]
    if name not in m._parameters:
        m._buffers[name] = m._buffers[name].detach().clone().requires_grad_()
    v = getattr(m, name)
    return v, (lambda w: -torch.exp(w)) if name == "w" else lambda w: 1


def case(name, kind, make, attrs, mem=False):
    """make(layer, shape) -> (module, {parameter: tensor}); attrs: of both neurons' lines."""
    layers, names = [], []
    for layer, shape in zip("ab", NEURONS[kind]):
        m, params = make(layer, shape)
        layers.append(m)
        names.append(["w"] if name == "plif" else list(params))
        for k, v in params.items():
            out[f"{name}.{layer}.{k}"] = v.detach().clone().contiguous().float()
    shape, l1, l2 = TEXT[kind]
    meta[name] = (f"mango-graph 1\nnet arch={name} T={T}\ninput input - {shape}\nl1 {l1}\n"
                  f"a lif l1 {attrs} {SUR}\nl2 {l2}\nb lif l2 {attrs} {SUR}\n")
    leaves = {}
    for layer, m, own in zip("ab", layers, names):
        for k in own:
            leaves[f"{layer}.{k}"] = leaf(m, k)
    a, b, rec, mems = out[f"{kind}.l1.weight"], out[f"{kind}.l2.weight"], ([], []), []
    x = out["input." + kind].clone().requires_grad_()
    for _ in range(T):
        s = act(kind, a, x)
        for k, w in ((0, None), (1, b)):
            r = layers[k](act(kind, w, s) if k else s)
            s = spk(r)
            rec[k].append(s.reshape(2, -1))
            if mem and k:
                mems.append(r[-1].reshape(2, -1))
    y = torch.stack(mems if mem else rec[1])
    i = torch.arange(y.numel()).reshape(y.shape)
    (y * ((37 * i % 17 - 8) / 16)).sum().backward()
    out[f"{name}.grad.input"] = x.grad
    for k, (v, factor) in leaves.items():
        out[f"{name}.grad.{k.replace('.w', '.tau') if name == 'plif' else k}"] = (v.grad * factor(v)).detach()
    for k in (0, 1):
        bits = torch.stack(rec[k]).detach().numpy().astype(np.uint8)
        rate = bits.mean()
        out[f"{name}.{'ab'[k]}"] = torch.tensor(np.packbits(bits.reshape(-1), bitorder="little"))
        print(f"{name:20s} {'ab'[k]} rate {rate:.3f}, {int((bits.sum((0, 1)) > 0).sum())} of {bits.shape[2]} fire")
    if mem:
        out[name + ".mem"] = torch.stack(mems).detach()


def keep(m, *names):
    return {n: getattr(m, n) for n in names}


def simple(make, *names):
    def f(layer, shape):
        m = make(shape)
        return m, keep(m, *names)
    return f


ATAN = surrogate.ATan()
H = dict(init_hidden=True)
SUB = "reset=subtract"
case("leaky_each", "vector", simple(lambda s: snn.Leaky(beta=uniform(s, -0.3, 1.3), threshold=uniform(s, 0.5, 1.5), **H), "beta", "threshold"),
     f"beta=each U_thr=each {SUB}")
case("leaky_now", "vector", simple(lambda s: snn.Leaky(beta=uniform(s, 0.5, 1), threshold=0.75, reset_delay=False, **H), "beta"),
     f"beta=each U_thr=0.75 {SUB} reset_delay=0 detach_reset=0")
case("leaky_now_zero", "vector", simple(lambda s: snn.Leaky(beta=uniform((), 0.5, 1), threshold=0.75, reset_delay=False, reset_mechanism="zero", **H), "beta"),
     "beta=layer U_thr=0.75 reset=zero reset_delay=0 detach_reset=0")
case("leaky_maps", "map", simple(lambda s: snn.Leaky(beta=uniform((s[0], 1, 1), 0.5, 1.1), threshold=uniform(s, 0.5, 1.5), **H), "beta", "threshold"),
     f"beta=channel U_thr=each {SUB}")
case("synaptic_subtract", "vector", simple(lambda s: snn.Synaptic(alpha=0.7, beta=0.85, **H)), f"beta=0.85 alpha=0.7 {SUB}")
case("synaptic_zero", "vector", simple(lambda s: snn.Synaptic(alpha=0.6, beta=0.9, threshold=1.25, reset_mechanism="zero", **H)),
     "beta=0.9 alpha=0.6 U_thr=1.25 reset=zero reset_after=1")
case("synaptic_each", "vector", simple(lambda s: snn.Synaptic(alpha=uniform(s, -0.2, 1.1), beta=uniform(s, 0.3, 1.2), threshold=uniform(s, 0.5, 2), **H), "alpha", "beta", "threshold"),
     f"beta=each alpha=each U_thr=each {SUB}")
case("synaptic_now", "vector", simple(lambda s: snn.Synaptic(alpha=0.5, beta=0.8, reset_delay=False, **H)), f"beta=0.8 alpha=0.5 {SUB} reset_delay=0 detach_reset=0")
case("synaptic_maps", "map", simple(lambda s: snn.Synaptic(alpha=uniform((s[0], 1, 1), 0.2, 0.8), beta=0.8, reset_mechanism="none", threshold=2.5, **H), "alpha"),
     "beta=0.8 alpha=channel U_thr=2.5 reset=none")
case("rleaky_one", "vector", simple(lambda s: snn.RLeaky(beta=0.8, V=-0.375, all_to_all=False, **H), "V"), f"beta=0.8 {SUB} recurrent=one")
case("rleaky_one_zero", "vector", simple(lambda s: snn.RLeaky(beta=0.8, V=uniform(s, -1, 0.5), all_to_all=False, reset_mechanism="zero", **H), "V"),
     "beta=0.8 reset=zero reset_after=1 recurrent=one V=each")


def linear(make):
    def f(layer, shape):
        m = make(shape)
        m.recurrent.weight.data = grid(m.recurrent.weight.shape, 64, 0.5, -0.05)
        m.recurrent.bias.data = grid(m.recurrent.bias.shape, 64, 0.2)
        return m, {"recurrent.weight": m.recurrent.weight, "recurrent.bias": m.recurrent.bias}
    return f


case("rleaky_all", "vector", linear(lambda s: snn.RLeaky(beta=0.8, linear_features=s[0], **H)), f"beta=0.8 {SUB} recurrent=all")
case("rleaky_all_now", "vector", linear(lambda s: snn.RLeaky(beta=0.8, linear_features=s[0], reset_delay=False, **H)), f"beta=0.8 {SUB} reset_delay=0 detach_reset=0 recurrent=all")
case("rleaky_conv", "map", linear(lambda s: snn.RLeaky(beta=0.8, conv2d_channels=s[0], kernel_size=3, **H)), f"beta=0.8 {SUB} recurrent=conv kernel=3")
case("rsynaptic_all", "vector", linear(lambda s: snn.RSynaptic(alpha=0.6, beta=0.7, linear_features=s[0], reset_mechanism="zero", **H)),
     "beta=0.7 alpha=0.6 reset=zero reset_after=1 recurrent=all")
case("rsynaptic_one", "map", simple(lambda s: snn.RSynaptic(alpha=0.6, beta=0.7, V=-0.25, all_to_all=False, **H), "V"),
     f"beta=0.7 alpha=0.6 {SUB} recurrent=one")


def lapicque():
    return snn.Lapicque(R=2.0, C=4.0, time_step=1.0, reset_mechanism="zero", threshold=0.25, **H)


case("lapicque", "vector", simple(lambda s: lapicque()), "beta=0.875 input_gain=0.25 U_thr=0.25 reset=zero reset_after=1")
case("if_hard", "vector", simple(lambda s: sj.IFNode(surrogate_function=ATAN)), "beta=1 reset=value fires_on=>= reset_delay=0 detach_reset=0")
case("if_soft", "vector", simple(lambda s: sj.IFNode(v_reset=None, surrogate_function=ATAN)), "beta=1 reset=subtract fires_on=>= reset_delay=0 detach_reset=0")


def plif(layer, shape):
    m = sj.ParametricLIFNode(init_tau=3.0, v_threshold=0.25, v_reset=-0.25, surrogate_function=ATAN)
    m.w.data = uniform((), -1.5, 1)
    return m, {"tau": (1 + torch.exp(-m.w.double())).float()}


case("plif", "vector", plif, "preset=spikingjelly tau=layer U_thr=0.25 U_reset=-0.25")
case("leaky_mem", "vector", simple(lambda s: snn.Leaky(beta=uniform(s, 0.5, 1), **H, output=True), "beta"), f"beta=each {SUB}", mem=True)
for k in meta:
    meta[k] = meta[k].replace("b lif l2 ", "b lif l2 readout=membrane ") if k == "leaky_mem" else meta[k]
save_file(out, sys.argv[1], metadata=meta)
