"""Writes pointwise.safetensors: values and gradients of operators on maps, by PyTorch.

    python3 tests/golden/pointwise.py tests/golden/pointwise.safetensors

A case is a graph text behind the input `in` of 4x2x4 and the same in PyTorch, in double.
Inputs and parameters are the formulas of README.md: `input` (2,4,2,4) is 2.5 u of seed 3,
the loss is sum(y * u("loss", seed 3)), parameters are filled with seed 5 and gain 1.
Stored: the text as metadata NN, tensors NN.y, NN.dx, NN.weight, NN.bias (gradients).
SPDX-License-Identifier: MIT
"""
import json
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

C, H, W = 4, 2, 4


def u(name, seed, n):
    golden, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    s = 0xCBF29CE484222325
    for b in name.encode():
        s = (s ^ b) * 0x100000001B3 & mask
    s ^= seed * golden & mask
    out = []
    for i in range(n):
        z = s + (i + 1) * golden & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        z ^= z >> 31
        out.append((z >> 40) / 8388608.0 - 1.0)
    return torch.tensor(out, dtype=torch.float64)


def fill(name, shape):
    n = int(np.prod(shape))
    v = u(name, 5, n).reshape(shape)
    if name.endswith("bias"):
        v = v * 0.1
    elif len(shape) == 1:
        v = 1 + 0.1 * v
    else:
        v = np.sqrt(6.0 / (n / shape[0])) * v
    return v.float().double().requires_grad_()



CASES = [
    ("z leakyrelu in slope=0.2", F.leaky_relu, dict(negative_slope=0.2)),
    ("z leakyrelu in", F.leaky_relu, {}),
    ("z elu in alpha=1.5", F.elu, dict(alpha=1.5)),
    ("z selu in", F.selu, {}),
    ("z silu in", F.silu, {}),
    ("z sigmoid in", torch.sigmoid, {}),
    ("z hardtanh in", F.hardtanh, {}),
    ("z hardtanh in lo=0 hi=6", F.relu6, {}),
    ("z softplus in", F.softplus, {}),
    ("z softplus in beta=2 threshold=3", F.softplus, dict(beta=2, threshold=3)),
    ("z hardsigmoid in", F.hardsigmoid, {}),
    ("z hardswish in", F.hardswish, {}),
    ("z mish in", F.mish, {}),
    ("z gelu in mode=tanh", F.gelu, dict(approximate="tanh")),
    ("z gelu in", F.gelu, {}),
    ("z affine in scale=-1.5 shift=0.25", lambda x: x * -1.5 + 0.25, {}),
    ("z prelu in", lambda x, weight: F.prelu(x, weight), dict(weight=(1,))),
    ("z prelu in slope=channel", lambda x, weight: F.prelu(x, weight), dict(weight=(C,))),
    ("z layernorm in", lambda x, weight, bias: F.layer_norm(x, (C, H, W), weight, bias),
     dict(weight=(C, H, W), bias=(C, H, W))),
    ("z layernorm in dims=2", lambda x, weight, bias: F.layer_norm(x, (H, W), weight, bias),
     dict(weight=(H, W), bias=(H, W))),
    ("z layernorm in dims=1 eps=0.01",
     lambda x, weight, bias: F.layer_norm(x, (W,), weight, bias, eps=0.01),
     dict(weight=(W,), bias=(W,))),
    ("z layernorm in over=channels eps=1e-06",
     lambda x, weight, bias: F.layer_norm(x.permute(0, 2, 3, 1), (C,), weight, bias,
                                          eps=1e-6).permute(0, 3, 1, 2),
     dict(weight=(C,), bias=(C,))),
    ("z groupnorm in groups=2", lambda x, weight, bias: F.group_norm(x, 2, weight, bias),
     dict(weight=(C,), bias=(C,))),
    ("z instancenorm in", F.instance_norm, {}),
    ("z instancenorm in weight=1 bias=1",
     lambda x, weight, bias: F.instance_norm(x, None, None, weight, bias),
     dict(weight=(C,), bias=(C,))),
    ("z pad in left=1 right=2 top=3 bottom=1 value=0.5",
     lambda x: F.pad(x, (1, 2, 3, 1), value=0.5), {}),
    ("z pad in left=3 right=2 top=1 bottom=1 mode=reflect",
     lambda x: F.pad(x, (3, 2, 1, 1), mode="reflect"), {}),
    ("z pad in left=5 right=1 top=3 mode=replicate",
     lambda x: F.pad(x, (5, 1, 3, 0), mode="replicate"), {}),
    ("z pad in left=4 right=2 bottom=2 mode=circular",
     lambda x: F.pad(x, (4, 2, 0, 2), mode="circular"), {}),
    ("z crop in top=1 left=2 size=1x2", lambda x: x[:, :, 1:2, 2:4], {}),
    ("z transpose in order=cwh", lambda x: x.permute(0, 1, 3, 2), {}),
    ("z transpose in order=hcw", lambda x: x.permute(0, 2, 1, 3), {}),
    ("z transpose in order=hwc", lambda x: x.permute(0, 2, 3, 1), {}),
    ("z transpose in order=wch", lambda x: x.permute(0, 3, 1, 2), {}),
    ("z transpose in order=whc", lambda x: x.permute(0, 3, 2, 1), {}),
    ("z flatten in", lambda x: x.flatten(1), {}),
    ("z flatten in order=hwc", lambda x: x.permute(0, 2, 3, 1).flatten(1), {}),
    ("z pixelshuffle in factor=2", lambda x: F.pixel_shuffle(x, 2), {}),
    ("z pixelunshuffle in factor=2", lambda x: F.pixel_unshuffle(x, 2), {}),
    ("z slice in from=1 to=3", lambda x: x[:, 1:3], {}),
    ("a tanh in\nz sub in,a", lambda x: x - torch.tanh(x), {}),
    ("a globalavg in\nb sigmoid a\nz mul in,b",
     lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)), {}),
    ("a slice in to=1\nz mul in,a,in", lambda x: x * x[:, :1] * x, {}),
    ("a globalavg in\nb slice in to=1\nz sub b,a",
     lambda x: x[:, :1] - x.mean((2, 3), keepdim=True), {}),
    ("a globalavg in\nb slice a to=1\nc slice in from=3 to=4\nz add a,in,b,c",
     lambda x: x + x.mean((2, 3), keepdim=True) + x.mean((2, 3), keepdim=True)[:, :1]
     + x[:, 3:], {}),
]


def run(text, f, kw):
    x = (2.5 * u("input", 3, 2 * C * H * W)).float().double().reshape(2, C, H, W)
    x.requires_grad_()
    params = {k: fill("z." + k, s) for k, s in kw.items() if isinstance(s, tuple)}
    y = f(x, **{k: params.get(k, v) for k, v in kw.items()})
    (y * u("loss", 3, y.numel()).reshape(y.shape)).sum().backward()
    out = {"y": y, "dx": x.grad}
    out.update({k: p.grad for k, p in params.items()})
    return {k: v.detach().float().contiguous().numpy() for k, v in out.items()}


def main(path):
    header, blob = {"__metadata__": {"torch": torch.__version__}}, b""
    for i, (text, f, kw) in enumerate(CASES):
        header["__metadata__"]["%02d" % i] = text + "\n"
        for k, v in run(text, f, kw).items():
            raw = v.astype("<f4").tobytes()
            header["%02d.%s" % (i, k)] = {"dtype": "F32", "shape": list(v.shape),
                                          "data_offsets": [len(blob), len(blob) + len(raw)]}
            blob += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + blob)


main(sys.argv[1])
