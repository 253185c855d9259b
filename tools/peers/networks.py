"""networks.py - the zoo's networks in PyTorch, snnTorch and SpikingJelly.

Parameter names are those of tests/golden/state_dict_keys.json, so that one
weights file, or the test formula of tests/golden/README.md, fills both sides.
Every network is an object of class Peer: `run(x)` gives what `mango run` calls
`output`, `rates(x)` the mean spikes per step and channel of each spiking layer.
SPDX-License-Identifier: MIT
"""
import json
import math
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# ---- the test formula --------------------------------------------------------

CHUNK = 1 << 14  # values at a time: they stay in cache


def fnv1a64(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & (2**64 - 1)
    return h


def uniform(name, seed, n):
    """n values in [-1, 1) that depend on the tensor's name, the seed and the index."""
    golden, wrap = 0x9E3779B97F4A7C15, 2**64 - 1
    s = fnv1a64(name) ^ (seed * golden & wrap)
    steps = np.arange(1, CHUNK + 1, dtype=np.uint64) * np.uint64(golden)
    z, t, out = np.empty_like(steps), np.empty_like(steps), np.empty(n, np.float32)
    for i in range(0, n, CHUNK):
        m = min(CHUNK, n - i)
        a, b = z[:m], t[:m]
        np.add(steps[:m], np.uint64((s + i * golden) & wrap), out=a)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            np.right_shift(a, np.uint64(shift), out=b)
            np.bitwise_xor(a, b, out=a)
            np.multiply(a, np.uint64(factor), out=a)
        np.right_shift(a, np.uint64(40), out=a)
        out[i : i + m] = a.astype(np.int64)  # below 2^24: exact
    out -= np.float32(2**23)
    out *= np.float32(2.0**-23)
    return out


def formula(name, shape, seed, gain, transposed):
    """The value of parameter `name`."""
    n = math.prod(shape)
    u = uniform(name, seed, n)
    if name.endswith(("running_mean", "bias")):
        u *= np.float32(0.1)
    elif name.endswith("running_var"):
        u = 1 + np.float32(0.25) * u
    elif name.endswith("_embedding.weight"):
        pass
    elif len(shape) == 1:
        u = 1 + np.float32(0.1) * u
    else:
        fan_in = shape[0] * math.prod(shape[2:]) if transposed else n // shape[0]
        u = (gain * math.sqrt(6 / fan_in) * u).astype(np.float32)
    return torch.from_numpy(u.reshape(shape))


def fill(net, seed, gain):
    """Every parameter and running statistic of net by the formula; neuron constants stay."""
    transposed = {n for n, m in net.named_modules() if isinstance(m, nn.ConvTranspose2d)}
    for name, value in net.state_dict().items():
        if value.ndim and not name.endswith("num_batches_tracked"):
            at = name.rpartition(".")[0] in transposed
            value.copy_(formula(name, tuple(value.shape), seed, gain, at))


def graph_of(path):
    """What a weights file says of itself: {layer: {attribute: text}}; the network: 'net'."""
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    lines = head.get("__metadata__", {}).get("mango.graph", "").split("\n")[1:]
    return {w[0]: dict(a.split("=", 1) for a in w[1:] if "=" in a) for w in map(str.split, lines) if w}


def load(net, path):
    """Weights of a mango weights file, by name. What net has and the file lacks is an error."""
    from safetensors.torch import load_file

    have = load_file(path)
    for name, value in net.state_dict().items():
        if name in have and have[name].numel() == value.numel():
            value.copy_(have[name].float().reshape(value.shape))
        elif value.ndim and not name.endswith("num_batches_tracked"):
            raise SystemExit(f"peers: {path}: no tensor {name} of shape {tuple(value.shape)}")


# ---- generators --------------------------------------------------------------


class GenBlock(nn.Module):
    """Batch-norm, ReLU, x2, 3x3; batch-norm, ReLU, 3x3; plus 1x1 of the x2 input."""

    def __init__(self, c):
        super().__init__()
        self.b1, self.b2 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
        self.c1, self.c2 = nn.Conv2d(c, c, 3, 1, 1), nn.Conv2d(c, c, 3, 1, 1)
        self.c_sc = nn.Conv2d(c, c, 1)

    @staticmethod
    def up(x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x):
        h = self.c1(self.up(F.relu(self.b1(x))))
        return self.c2(F.relu(self.b2(h))) + self.c_sc(self.up(x))


class SnGan(nn.Module):
    """Latent (B,128) to pictures (B,3,32,32) in [-1,1]."""

    def __init__(self, c=256):
        super().__init__()
        self.c = c
        self.l1 = nn.Linear(128, 16 * c)
        self.block2, self.block3, self.block4 = GenBlock(c), GenBlock(c), GenBlock(c)
        self.b5, self.c5 = nn.BatchNorm2d(c), nn.Conv2d(c, 3, 3, 1, 1)

    def forward(self, z):
        x = self.l1(z).view(-1, self.c, 4, 4)
        x = self.block4(self.block3(self.block2(x)))
        return torch.tanh(self.c5(F.relu(self.b5(x))))


class Residual(nn.Module):
    """relu(x) + conv1x1(relu(conv3x3(relu(x))))"""

    def __init__(self, c, r):
        super().__init__()
        self._block = nn.ModuleDict(
            {"1": nn.Conv2d(c, r, 3, 1, 1, bias=False), "3": nn.Conv2d(r, c, 1, bias=False)}
        )

    def forward(self, x):
        x = F.relu(x)
        return x + self._block["3"](F.relu(self._block["1"](x)))


class Stack(nn.Module):
    def __init__(self, c, r):
        super().__init__()
        self._layers = nn.ModuleList([Residual(c, r), Residual(c, r)])

    def forward(self, x):
        for layer in self._layers:
            x = layer(x)
        return F.relu(x)


class VqDecoder(nn.Module):
    """Codes (B,64) of an 8x8 grid to pictures (B,3,32,32)."""

    def __init__(self, codes=512, dim=64, c=128):
        super().__init__()
        self.dim = dim
        self._vq_vae = nn.ModuleDict({"_embedding": nn.Embedding(codes, dim)})
        self._decoder = nn.ModuleDict({
            "_conv_1": nn.Conv2d(dim, c, 3, 1, 1),
            "_residual_stack": Stack(c, c // 4),
            "_conv_trans_1": nn.ConvTranspose2d(c, c // 2, 4, 2, 1),
            "_conv_trans_2": nn.ConvTranspose2d(c // 2, 3, 4, 2, 1),
        })

    def forward(self, codes):
        d = self._decoder
        x = self._vq_vae["_embedding"](codes).view(-1, 8, 8, self.dim).permute(0, 3, 1, 2)
        x = d["_residual_stack"](d["_conv_1"](x))
        return d["_conv_trans_2"](F.relu(d["_conv_trans_1"](x)))


# ---- classifiers -------------------------------------------------------------


class Basic(nn.Module):
    """ResNet's block of two 3x3 convolutions."""

    def __init__(self, ci, co, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(ci, co, 3, stride, 1, bias=False), nn.BatchNorm2d(co)
        self.conv2, self.bn2 = nn.Conv2d(co, co, 3, 1, 1, bias=False), nn.BatchNorm2d(co)
        self.shortcut = nn.Sequential()
        if stride != 1 or ci != co:
            self.shortcut = nn.Sequential(
                nn.Conv2d(ci, co, 1, stride, bias=False), nn.BatchNorm2d(co)
            )

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(h + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18 with a 3x3 stem, for 32x32 pictures."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        c = 64
        for i in range(4):
            co = 64 << i
            blocks = nn.Sequential(Basic(c, co, 2 if i else 1), Basic(co, co, 1))
            setattr(self, f"layer{i + 1}", blocks)
            c = co
        self.linear = nn.Linear(c, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(x.mean((2, 3)))


def densenet():
    """torchvision's DenseNet-161 with a 3x3 stem and 10 classes."""
    from torchvision.models import DenseNet

    net = DenseNet(48, (6, 12, 36, 24), 96, num_classes=10)
    net.features.conv0 = nn.Conv2d(3, 96, 3, 1, 1, bias=False)
    return net


def torchvision_net(name):
    """Built without values: drawing 140 million random ones takes longer than all the rest."""

    def build():
        import torchvision

        with torch.device("meta"):
            net = getattr(torchvision.models, name)(weights=None)
        return net.to_empty(device="cpu")

    return build


# ---- spiking -----------------------------------------------------------------


class SnnConv(nn.Module):
    """snnTorch: the whole network once a step; spikes of the last layer, mean over T."""

    T = 100
    multi_step = False

    def __init__(self):
        super().__init__()
        import snntorch as snn

        def leaky():
            return snn.Leaky(beta=0.9, init_hidden=True)

        self.features = nn.Sequential()
        for name, m in [
            ("conv0", nn.Conv2d(3, 200, 5)), ("pool0", nn.MaxPool2d(3, 2, 1)),
            ("spiking0", leaky()),
            ("conv1", nn.Conv2d(200, 64, 5)), ("pool1", nn.MaxPool2d(2, 2)),
            ("spiking1", leaky()), ("flatten", nn.Flatten()),
            ("linear1", nn.Linear(1600, 100)), ("spiking2", leaky()),
            ("linear2", nn.Linear(100, 10)), ("relu0", nn.ReLU()), ("final_spiking", leaky()),
        ]:
            self.features.add_module(name, m)
        self.spiking = {n: m for n, m in self.features.named_children() if "spiking" in n}

    def neurons(self, graph):
        """The neurons' constants as the weights file states them."""
        for name, m in self.spiking.items():
            rule = graph.get(name, {})
            if rule.get("reset") != "subtract" or rule.get("reset_delay") != "1":
                raise SystemExit(f"peers: {name}: not a neuron rule that this row knows")
            m.beta.fill_(float(rule["beta"]))
            m.threshold.fill_(float(rule["U_thr"]))

    def forward(self, x):
        for m in self.spiking.values():
            m.reset_mem()
        total = 0
        for _ in range(self.T):
            total = total + self.features(x)
        return total / self.T


class SpikingResNet18(nn.Module):
    """SpikingJelly's network in multi-step mode: (T,B,...) through every layer at once."""

    T = 50
    multi_step = True

    def __init__(self):
        super().__init__()
        from spikingjelly.activation_based import functional, neuron, surrogate
        from spikingjelly.activation_based.model import spiking_resnet

        self.reset_net = functional.reset_net
        net = spiking_resnet.spiking_resnet18(
            spiking_neuron=neuron.LIFNode, num_classes=10,
            surrogate_function=surrogate.ATan(), detach_reset=True,
        )
        functional.set_step_mode(net, "m")
        self.inner = [net]  # kept from the names: they have no prefix
        for name, m in net.named_children():
            self.add_module(name, m)
        self.spiking = {n: m for n, m in net.named_modules() if isinstance(m, neuron.LIFNode)}

    def neurons(self, graph):
        for name, m in self.spiking.items():
            rule = graph.get(name, {})
            if rule.get("decay_input") != "1" or rule.get("reset") != "value":
                raise SystemExit(f"peers: {name}: not a neuron rule that this row knows")
            m.tau, m.v_threshold = float(rule["tau"]), float(rule["U_thr"])
            m.v_reset = float(rule.get("U_reset", 0))

    def forward(self, x):
        self.reset_net(self.inner[0])
        return self.inner[0](x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1)).mean(0)


# ---- what the rows call ------------------------------------------------------


class Peer:
    """A network of the other side, filled and ready."""

    def __init__(self, build, seed, gain, weights, T):
        self.net = build().eval().requires_grad_(False)
        if T and hasattr(self.net, "T"):
            self.net.T = T
        with torch.no_grad():
            if weights:
                load(self.net, weights)
                if hasattr(self.net, "neurons"):
                    self.net.neurons(graph_of(weights))
            else:
                fill(self.net, seed, gain)

    def run(self, x):
        with torch.inference_mode():
            return self.net(x)

    def rates(self, x):
        """(output, {layer: spikes per step, mean over space (B,C)})"""
        sums, hooks = {}, []
        for name, m in getattr(self.net, "spiking", {}).items():
            def count(_m, _in, out, name=name):
                s = out.sum(0) if self.net.multi_step else out
                s = s.flatten(2).mean(2) if s.ndim == 4 else s
                sums[name] = sums.get(name, 0) + s.double() / self.net.T

            hooks.append(m.register_forward_hook(count))
        y = self.run(x)
        for h in hooks:
            h.remove()
        return y, {k: v.numpy() for k, v in sums.items()}
