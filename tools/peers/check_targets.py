#!/usr/bin/env python3
"""check_targets.py - targets and controls of `mango mei`, checked from outside.

Each search is run by the command. Then the picture that it saved, best.png, is read with
Pillow and put through the spiking network here: weights from the safetensors file, layers in
PyTorch, neurons by the equations of snnTorch's Leaky,

    U[t] = beta U[t-1] + X[t] - S[t-1] U_thr,   S[t] = (U[t] > U_thr)

and the target is worked out from the spikes in NumPy. Printed: what the search reports, what
comes out here, and the largest difference of what the controls were to keep.

    python tools/peers/check_targets.py build/mango weights [--budget 300] [--T 20] [--out DIR]

Exit code 1 when a value differs by more than 1e-6 of it, plus one spike.
SPDX-License-Identifier: MIT
"""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

LUMA = np.array([0.299, 0.587, 0.114])


def read_safetensors(path):
    blob = Path(path).read_bytes()
    n = struct.unpack("<Q", blob[:8])[0]
    header = json.loads(blob[8:8 + n])
    meta = header.pop("__metadata__")
    kinds = {"F16": "<f2", "F32": "<f4"}
    weights = {}
    for name, t in header.items():
        a, b = t["data_offsets"]
        if t["dtype"] not in kinds:
            continue
        values = np.frombuffer(blob[8 + n + a:8 + n + b], kinds[t["dtype"]])
        weights[name] = torch.from_numpy(values.astype(np.float32).reshape(t["shape"]))
    return meta["mango.graph"], weights


class Network:
    """The layers that snn_conv is made of, from the graph in its file."""

    def __init__(self, path):
        text, self.w = read_safetensors(path)
        lines = [line.split() for line in text.splitlines() if line.strip()]
        self.nodes = []
        for words in lines[1:]:
            keys = dict(word.split("=", 1) for word in words if "=" in word)
            if words[0] == "net":
                self.mean = np.array([float(v) for v in keys["mean"].split(",")])
                self.std = np.array([float(v) for v in keys["std"].split(",")])
            else:
                self.nodes.append((words[0], words[1], words[2], keys))

    def weights(self, name, keys):
        name = keys.get("param", name)
        return self.w[name + ".weight"], self.w.get(name + ".bias")

    def step(self, kind, name, keys, x, U, S):
        if kind == "conv":
            w, b = self.weights(name, keys)
            return F.conv2d(x, w, b, int(keys.get("stride", 1)), int(keys.get("pad", 0)))
        if kind == "linear":
            w, b = self.weights(name, keys)
            return F.linear(x.flatten(1), w, b)[:, :, None, None]
        if kind == "maxpool":
            return F.max_pool2d(x, int(keys["kernel"]), int(keys["stride"]),
                                int(keys.get("pad", 0)))
        if kind == "relu":
            return F.relu(x)
        assert kind == "lif" and keys.get("reset", "subtract") == "subtract", (kind, keys)
        thr = float(keys.get("U_thr", 1))
        U[name] = float(keys["beta"]) * U.get(name, 0.0) + x - S.get(name, 0.0) * thr
        S[name] = (U[name] > thr).float()
        return S[name]

    def run(self, rgb, T):
        """rgb (3,H,W) in [0,1] -> spikes and membranes by layer, each (T,C,H,W)."""
        x = (rgb - self.mean[:, None, None]) / self.std[:, None, None]
        x = torch.from_numpy(x.astype(np.float32))[None]
        U, S, spikes, membranes = {}, {}, {}, {}
        with torch.no_grad():
            for _ in range(T):
                value = {self.nodes[0][0]: x}
                for name, kind, source, keys in self.nodes[1:]:
                    value[name] = self.step(kind, name, keys, value[source], U, S)
                    if kind == "lif":
                        spikes.setdefault(name, []).append(value[name][0].numpy())
                        membranes.setdefault(name, []).append(U[name][0].numpy())
                self.last = self.nodes[-1][0]
        return ({k: np.stack(v) for k, v in spikes.items()},
                {k: np.stack(v) for k, v in membranes.items()})


def softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


def latency(s):
    """1 - L/T of spikes (T,...), L the first step with one."""
    fired = s.reshape(len(s), -1).any(1)
    return (len(s) - (np.argmax(fired) if fired.any() else len(s))) / len(s)


def targets(folder):
    """Each: its text, what it is here, and options."""
    rng = np.random.default_rng(1)
    channels = folder / "channels.npy"
    neurons = folder / "neurons.npy"
    v = rng.standard_normal(64).astype(np.float32)
    w = rng.standard_normal((64, 5, 5)).astype(np.float32)
    np.save(channels, v)
    np.save(neurons, w)
    a, b = "spiking1", "spiking2"
    return [
        (f"{a}:3 - {a}:5", lambda s, u: s[a][:, 3].mean() - s[a][:, 5].mean(), []),
        (f"{a}@'{channels}'", lambda s, u: s[a].mean((0, 2, 3)) @ v.astype(float), []),
        (f"{a}@'{neurons}'", lambda s, u: (s[a].mean(0) * w).sum(dtype=float), []),
        ("latency(final_spiking:3)", lambda s, u: latency(s["final_spiking"][:, 3]), []),
        (f"latency({a}:9:2:2) - 0.1*{a}:9",
         lambda s, u: latency(s[a][:, 9, 2, 2]) - 0.1 * s[a][:, 9].mean(), []),
        (f"{a}:3[5..15]", lambda s, u: s[a][5:16, 3].mean(), []),
        (f"membrane({b}:4)", lambda s, u: u[b][:, 4].mean(dtype=float), []),
        (f"max({a}:1,{a}:2) - mean({a})",
         lambda s, u: max(s[a][:, 1].mean(), s[a][:, 2].mean()) - s[a].mean(), []),
        ("class:3", lambda s, u: softmax(s["final_spiking"].mean((0, 2, 3)))[3], []),
        (f"{a}:3 - {a}:5", lambda s, u: s[a][:, 3].mean() - s[a][:, 5].mean(),
         ["--grey", "--luminance", "0.5", "--contrast", "0.15", "--mask", "0.9"]),
        (f"{a}:3", lambda s, u: s[a][:, 3].mean(),
         ["--luminance", "0.4", "--contrast", "0.12", "--tv", "0.03"]),
        (f"{a}:3", lambda s, u: s[a][:, 3].mean(), ["--size", "20", "--surround", "0.3"]),
    ]


def kept(rgb, options):
    """How far the saved picture is from what its controls say; "" without such."""
    said = dict(zip(options, options[1:] + [""]))
    n = rgb.shape[1]
    y, x = np.mgrid[:n, :n] + 0.5 - n / 2
    m = np.ones((n, n))
    if "--mask" in said:
        m = np.clip(float(said["--mask"]) * n / 2 + 0.5 - np.hypot(y, x), 0, 1)
    light = np.tensordot(LUMA, rgb, 1)
    inside = m == 1
    words = []
    if "--luminance" in said:
        words.append(f"luminance {light[inside].mean():.4f}")
    if "--contrast" in said:
        words.append(f"contrast {light[inside].std():.4f}")
    if "--grey" in said:
        words.append(f"colour {np.abs(rgb - rgb[0]).max():.4f}")
    if "--tv" in said:
        tv = np.abs(np.diff(rgb, axis=1)).sum() + np.abs(np.diff(rgb, axis=2)).sum()
        words.append(f"tv {tv / rgb.size:.4f}")
    if "--size" in said:
        edge = (n - int(said["--size"])) // 2
        words.append(f"surround {rgb[:, :edge].mean():.4f}")
    return ", ".join(words)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("mango")
    p.add_argument("weights")
    p.add_argument("--budget", default="300")
    p.add_argument("--T", type=int, default=20)
    p.add_argument("--threads", default="1")
    p.add_argument("--out")
    o = p.parse_args()
    folder = Path(o.out or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    weights = Path(o.weights)
    net = Network(weights / "snn_conv_cifar10.safetensors")
    bad = 0
    print("reported      here          queries  target")
    for i, (text, value, options) in enumerate(targets(folder)):
        out = folder / f"run{i}"
        run = subprocess.run(
            [o.mango, "mei", "--gen", str(weights / "vqvae_cifar10.safetensors"), "--net",
             str(weights / "snn_conv_cifar10.safetensors"), "--target", text, "--budget",
             o.budget, "--T", str(o.T), "--out", str(out), "--quiet", "--json", "--threads",
             o.threads, *options], capture_output=True, text=True, check=True)
        told = json.loads(run.stdout.splitlines()[-1])
        recorded = json.loads((out / "run.json").read_text())
        assert recorded["target"] == text
        png = np.asarray(Image.open(out / "best.png").convert("RGB"), dtype=float)
        rgb = png.transpose(2, 0, 1) / 255
        here = float(value(*net.run(rgb, o.T)))
        right = abs(here - told["best"]) <= 1e-6 * max(1.0, abs(here))
        bad += not right
        print(f"{told['best']:<13.8g} {here:<13.8g} {told['queries']:>7}  {text}  "
              f"{' '.join(options)}  {kept(rgb, options)}{'' if right else '  DIFFERS'}",
              flush=True)
    print(f"{bad} differ")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
