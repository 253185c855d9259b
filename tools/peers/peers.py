#!/usr/bin/env python3
"""peers.py - mango beside PyTorch, snnTorch, SpikingJelly, MKL, OpenBLAS and PROTES, and with
--runtimes ONNX Runtime and OpenVINO.

Each row first checks that both sides give the same (outputs within 1e-4 of the
largest, spikes of each layer but for 1 in 1,000), then times them in turns, A B A B, with the
same weights, inputs and threads, and takes the best time of each. `mango bench
speed` is a process of its own: its threads are gone while the peer runs. The
ratio is that of the best batch of each side. See README.md in this folder.
SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import networks
import runtimes

ROOT = Path(__file__).resolve().parents[2]
SEED = 7


@dataclass
class Row:
    """A network: `batches` are timed, the last one alone with --quick."""

    name: str
    build: object
    peer: str
    goal: float
    batches: tuple
    gain: float = 1.0
    T: int = 0
    shape: tuple = (3, 32, 32)
    input: str = "input"  # or latent, codes
    formats: tuple = ("default", "channels_last")


def tv(name, goal, batches):
    build = networks.torchvision_net(name)
    return Row(name, build, "torchvision", goal, batches, shape=(3, 224, 224))


NETS = [
    Row("sngan", networks.SnGan, "PyTorch", 2.5, (1, 25, 100, 10), 0.6, shape=(128,), input="latent"),
    Row("vqvae", networks.VqDecoder, "PyTorch", 2.0, (1, 10, 25, 100), shape=(64,), input="codes"),
    Row("snn_conv", networks.SnnConv, "snnTorch", 12.0, (1, 25, 10), 0.4, 100, formats=("default",)),
    Row("spiking_resnet18", networks.SpikingResNet18, "SpikingJelly", 5.0, (1, 5, 10), 3.0, 50,
        formats=("default",)),
    Row("resnet18", networks.ResNet18, "PyTorch", 1.8, (1, 10, 25)),
    Row("densenet", networks.densenet, "torchvision", 1.5, (1, 10)),
    tv("alexnet", 1.0, (1, 4)),
    tv("vgg16", 2.0, (1, 4)),
    tv("vgg19", 2.0, (1, 4)),
]
# M x N x K; after the two of the goals, pixels x outputs x window of a network's own layers:
# SN-GAN's last block, resnet18's first and last stage at batch 10, vgg's 56 x 56 maps
GEMMS = [(1024, 1024, 1024), (256, 1024, 2304), (1024, 256, 2304), (10240, 64, 576), (160, 512, 4608),
         (3136, 256, 2304)]
GEMM_GOAL = 0.95
# modes, levels, k, k_top of PROTES; the label of the same in `mango bench speed`; goal
PROTES = [
    (768, 2, 10, 1, "768 modes of 2, k 10, rank 5", 25.0),
    (768, 2, 25, 5, "128 of 64 levels, quantized, tt-b", 25.0),
    (576, 2, 10, 1, "64 of 512 levels, quantized, tt", 25.0),
    (64, 512, 10, 1, "64 of 512 levels, tt", 25.0),
]
OTHERS = ["sgemm", "protes", "start", "job"]


# ---- the mango side ------------------------------------------------------------


@dataclass
class Mango:
    exe: str
    threads: int
    dir: str
    weights: dict = field(default_factory=dict)

    def call(self, *args, threads=None):
        """One command; its last line is JSON. A failure ends this program."""
        cmd = [self.exe, *map(str, args), "--threads", str(threads or self.threads), "--json", "--quiet"]
        p = subprocess.run(cmd, capture_output=True, text=True)
        if p.returncode:
            raise SystemExit(f"peers: {' '.join(cmd)}\n{p.stderr.strip()}")
        return json.loads(p.stdout.strip().split("\n")[-1])

    def net(self, row):
        """--net and its weights, as arguments."""
        if row.name in self.weights:
            return ["--net", self.weights[row.name]]
        return ["--net", f"zoo:{row.name}", "--fill", f"{SEED},{row.gain}"]

    def run(self, row, path, T, spiking):
        from safetensors.numpy import load_file

        out = os.path.join(self.dir, "out.safetensors")
        args = ["run", *self.net(row), "--input", path, "--out", out]
        args += ["--T", T] if T else []
        args += ["--record", ",".join(spiking)] if spiking else []
        self.call(*args)
        return load_file(out)

    def bench(self, row, path, batch, T, seconds):
        args = ["bench", "speed", *self.net(row), "--input", path, "--batch", batch, "--seconds", seconds]
        return self.call(*args, *(["--T", T] if T else []))


# ---- inputs --------------------------------------------------------------------


def pictures(data, B, weights):
    """The first B test pictures of CIFAR-10 (test_batch.bin), normalized."""
    graph = networks.graph_of(weights).get("net", {}) if weights else {}

    def numbers(key, other):
        return np.array(graph.get(key, other).split(","), np.float32).reshape(3, 1, 1)

    raw = np.fromfile(os.path.join(data, "test_batch.bin"), np.uint8, B * 3073).reshape(B, 3073)
    x = raw[:, 1:].reshape(B, 3, 32, 32).astype(np.float32) / np.float32(255)
    return (x - numbers("mean", "0.4914,0.4822,0.4465")) / numbers("std", "0.2471,0.2435,0.2616")


def make_input(row, B, data, weights):
    """(array for the peer, tensor name for mango)"""
    if row.input == "input" and data and row.shape == (3, 32, 32):
        return pictures(data, B, weights), "input"
    u = networks.uniform(row.input, SEED, B * int(np.prod(row.shape))).reshape(B, *row.shape)
    if row.input == "codes":
        return np.floor(512 * (0.5 + 0.5 * u.astype(np.float64))).astype(np.int32), "codes"
    x = 2 * u if row.input == "latent" else np.float32(0.5) + np.float32(0.5) * u
    return np.ascontiguousarray(x, np.float32), "input"


def save_input(m, x, name):
    from safetensors.numpy import save_file

    path = os.path.join(m.dir, "in.safetensors")
    save_file({name: np.ascontiguousarray(x)}, path)
    return path


def to_torch(x):
    return torch.from_numpy(x).long() if x.dtype == np.int32 else torch.from_numpy(x)


# ---- networks ------------------------------------------------------------------


def check_net(m, row, peer, x, name, T):
    """Do both sides give the same? In each spiking layer 1 spike in 1,000 may differ, or 2."""
    want, rates = peer.rates(to_torch(x))
    got = m.run(row, save_input(m, x, name), T, list(rates))
    want = want.float().numpy()
    error = float(np.abs(got["output"].reshape(want.shape) - want).max() / np.abs(want).max())
    res = {"output_error": error, "rates": {}, "agree": error <= 1e-4}
    worst, agree = 0.0, True
    for layer, b in rates.items():
        a = got[layer + ".rate"].astype(np.float64)
        count = peer.net.T * layer_size(peer, layer)
        moved = float(np.abs(np.rint(a * count) - np.rint(b * count)).sum())
        spikes = max(float(np.rint(b * count).sum()), 1.0)
        worst = max(worst, moved / spikes)
        agree = agree and moved <= max(1e-3 * spikes, 2)
        res["rates"][layer] = [float(a.mean()), float(b.mean())]
    if rates:
        res["spikes_moved"], res["agree"] = worst, agree
    return res


def layer_size(peer, layer):
    """Neurons a channel, from the state that the last run left."""
    mod = peer.net.spiking[layer]
    v = mod.mem if hasattr(mod, "mem") else mod.v
    return int(np.prod(v.shape[2:])) if v.ndim == 4 else 1


def best_time(f, seconds):
    """The best time of a call, repeated for `seconds`, twice at least, after a warm-up."""
    f()
    best, n, since = float("inf"), 0, time.perf_counter()
    while n < 2 or time.perf_counter() - since < seconds:
        t0 = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - t0)
        n += 1
    return best


def peer_times(row, peer, x, seconds, quick):
    """Best over memory formats, ms an image."""
    best = float("inf")
    for fmt in row.formats[: 1 if quick else None]:
        layout = torch.channels_last if fmt == "channels_last" else torch.contiguous_format
        peer.net.to(memory_format=layout)
        y = to_torch(x)
        if y.ndim == 4:
            y = y.contiguous(memory_format=layout)
        best = min(best, 1e3 * best_time(lambda y=y: peer.run(y), seconds) / len(x))
    peer.net.to(memory_format=torch.contiguous_format)
    return best


def time_net(m, row, peer, x, name, T, o):
    """Rounds of A B over the batches: {batch: [peer ms, mango's best report]}."""
    seconds, out = (0.2 if o.quick else 1.0), {}
    batches = row.batches[-1:] if o.quick else row.batches
    path = save_input(m, x, name)
    for _ in range(o.rounds):
        for B in batches:
            a = peer_times(row, peer, x[:B], seconds, o.quick)
            b = m.bench(row, path, B, T, seconds)
            old = out.get(B)
            if old:
                a = min(a, old[0])
                b = min(b, old[1], key=lambda r: r["ms_per_image"])
            out[B] = [a, b]
    return out


def print_check(row, c, words):
    text = f"output within {c['output_error']:.1e}"
    if c["rates"]:
        text = f"spikes differ by {c['spikes_moved']:.1e}, output within {c['output_error']:.1e}"
    verdict = "agrees" if c["agree"] else "DISAGREES"
    print(f"{row.name}: {verdict} with {row.peer}: {text}; {words}", flush=True)
    for layer, (a, b) in c["rates"].items():
        print(f"    {layer:<16} fires in {a:.5f} of neuron-steps, peer {b:.5f}")


def in_turns(rounds, *calls):
    """Each call once a round, A B A B: the list of results of each."""
    out = [[] for _ in calls]
    for _ in range(rounds):
        for results, f in zip(out, calls):
            results.append(f())
    return out


def time_runtimes(m, row, peer, x, o):
    """{name: best ms an image over the batches}, in turns with the rest of the rounds."""
    seconds, best = (0.2 if o.quick else 1.0), {}
    for B in row.batches[-1:] if o.quick else row.batches:
        calls = runtimes.calls(peer, to_torch(x[:B]), m.dir, m.threads)
        for _ in range(o.rounds):
            for name, f in calls.items():
                best[name] = min(best.get(name, float("inf")), 1e3 * best_time(f, seconds) / B)
    return best


def print_runtimes(res):
    ms = res["mango"]["ms_per_image"]
    for name, a in res["runtimes"].items():
        print(f"    {name}: {a:9.3f} ms, mango {ms:9.3f} ms, ratio {a / ms:6.2f}", flush=True)


def print_times(row, res):
    for B, (a, b) in res["times"].items():
        ms = b["ms_per_image"]
        print(f"    batch {B:>3}: {row.peer} {a:9.3f} ms, mango {ms:9.3f} ms, ratio {a / ms:6.2f}")
    b = res["mango"]
    print(f"    best of each: ratio {res['ratio']:.2f}, goal {row.goal}; {b['gflops']:.1f} GFLOP/s needed, "
          f"{b['of_peak']:.2f} of the peak, {b['gflops_dense']:.1f} dense, {b['peak_rss_mib']:.0f} MiB", flush=True)


def do_net(m, row, o):
    weights = m.weights.get(row.name)
    T = o.T or row.T
    peer = networks.Peer(row.build, SEED, row.gain, weights, T)
    B = o.check_batch or 2
    x, name = make_input(row, B if o.check else max(B, *row.batches), o.data, weights)
    words = "given weights" if weights else "formula weights"
    words += ", test pictures" if o.data and row.shape == (3, 32, 32) else ", formula inputs"
    res = {"row": row.name, "peer": row.peer, "goal": row.goal, "T": T or 1, "with": words}
    res["check"] = check_net(m, row, peer, x[:B], name, T)
    print_check(row, res["check"], words)
    if not o.check:
        res["times"] = time_net(m, row, peer, x, name, T, o)
        res["peer_ms"] = min(a for a, _ in res["times"].values())
        res["mango"] = min((b for _, b in res["times"].values()), key=lambda r: r["ms_per_image"])
        res["ratio"] = res["peer_ms"] / res["mango"]["ms_per_image"]
        print_times(row, res)
        if o.runtimes and not T:
            res["runtimes"] = time_runtimes(m, row, peer, x, o)
            print_runtimes(res)
    return res


# ---- SGEMM ---------------------------------------------------------------------


def blas_rate(threads, a, b, seconds):
    """GFLOP/s of the faster of torch.mm and numpy's matmul (OpenBLAS)."""
    flop = 2e-9 * a.shape[0] * a.shape[1] * b.shape[1]
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    z, c = torch.empty(a.shape[0], b.shape[1]), np.empty((a.shape[0], b.shape[1]), np.float32)
    torch.set_num_threads(threads)
    rate = {"torch": flop / best_time(lambda: torch.mm(x, y, out=z), seconds)}
    try:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(threads, "blas"):
            rate["numpy"] = flop / best_time(lambda: np.matmul(a, b, out=c), seconds)
    except ImportError:
        pass
    return rate


def one_gemm(m, shape, threads, o):
    M, N, K = shape
    a = networks.uniform("a", 1, M * K).reshape(M, K)
    b = networks.uniform("b", 1, K * N).reshape(K, N)
    want = a.astype(np.float64) @ b.astype(np.float64)
    seconds = 0.01 if o.check else 0.15 if o.quick else 1.0
    rate, mine = {}, 0.0
    for _ in range(1 if o.check else o.rounds):
        for k, v in blas_rate(threads, a, b, seconds).items():
            rate[k] = max(v, rate.get(k, 0))
        s = m.call("bench", "speed", "--only", "gemm", "--shape", "x".join(map(str, shape)), "--seconds", seconds,
                   threads=threads)["sgemm"]
        s = next(g for g in s if g["threads"] == threads)
        mine = max(mine, s["gflops"])
    right = [want[0, 0], want[M // 2, N // 3], want[-1, -1]]
    error = float(np.abs(np.array(s["probe"]) - right).max() / np.abs(want).max())
    return {"row": f"sgemm {M}x{N}x{K}, {threads} thread{'s' * (threads > 1)}", "goal": GEMM_GOAL,
            "peer_gflops": rate, "mango_gflops": mine, "ratio": mine / max(rate.values()),
            "check": {"output_error": error, "agree": error <= 1e-5}}


def do_sgemm(m, o):
    out = []
    for shape in GEMMS:
        for threads in sorted({1, m.threads}):
            r = one_gemm(m, shape, threads, o)
            out.append(r)
            ok = "agrees" if r["check"]["agree"] else "DISAGREES"
            print(f"{r['row']}: {ok}, within {r['check']['output_error']:.1e}")
            if not o.check:
                peers = ", ".join(f"{k} {v:.1f}" for k, v in r["peer_gflops"].items())
                print(f"    {peers}, mango {r['mango_gflops']:.1f} GFLOP/s, "
                      f"ratio {r['ratio']:.2f}, goal {r['goal']}", flush=True)
            else:
                r.pop("ratio")
    torch.set_num_threads(m.threads)
    return out


# ---- PROTES, the start, the paper's job ------------------------------------------


def do_protes(m, o):
    """Overhead with a trivial objective: a whole call of the package, compiling included."""
    try:
        import protes
    except ImportError:
        print("protes: not installed (tools/peers/run.sh --protes), row left out")
        return []
    def mine():
        rows = m.call("bench", "speed", "--only", "opt", "--seconds", 0.05)["ask_tell"]
        return {r["what"]: r for r in rows}

    own, out = [] if o.check else [mine()], []
    for d, n, k, top, label, goal in PROTES[: 1 if o.check else None]:
        for queries in [100] if o.check else [1000] if o.quick else [1000, 10000]:
            t0 = time.perf_counter()
            best = protes.protes(lambda I: np.asarray(I).sum(axis=1), d, n, queries, k=k, k_top=top)[1]
            out.append({"row": f"protes {label}, {queries} queries", "goal": goal, "label": label,
                        "key": f"s_{queries}", "peer_s": time.perf_counter() - t0,
                        "check": {"agree": bool(np.isfinite(float(best)))}})
    if o.check:
        print("protes: runs")
        return out
    own.append(mine())  # all of mango's searches before and after those of PROTES
    for r in out:
        label, key = r.pop("label"), r.pop("key")
        r["mango_s"] = min(rows[label][key] for rows in own)
        r["ratio"] = r["peer_s"] / r["mango_s"]
        print(f"{r['row']}: {r['peer_s']:.2f} s, mango {r['mango_s']:.3f} s, ratio {r['ratio']:.1f}, "
              f"goal {r['goal']}", flush=True)
    return out


def resident(pid):
    """MiB resident at most so far. Not from wait4: that counts the parent before exec, too."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return next((int(l.split()[1]) / 1024 for l in f if l.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


def process(cmd):
    """(wall seconds, MiB resident at most) of one process; 0 MiB where there is no /proc."""
    t0 = time.perf_counter()
    p = subprocess.Popen(cmd, stdout=subprocess.DEVNULL)
    mib = 0.0
    while p.poll() is None:
        mib = resident(p.pid) or mib
        time.sleep(0.002)
    if p.returncode:
        raise SystemExit(f"peers: {' '.join(cmd)} ended with {p.returncode}")
    return time.perf_counter() - t0, mib


def do_start(m, o):
    """From the start of a process to its end, one query in between; Python: imports alone."""
    row = next(r for r in NETS if r.name == "snn_conv")
    x, name = make_input(row, 1, None, None)
    path, out = save_input(m, x, name), os.path.join(m.dir, "out.safetensors")
    mine = [m.exe, "run", *m.net(row), "--input", path, "--T", "1", "--out", out, "--quiet"]
    theirs = [sys.executable, "-c", "import torch, snntorch"]
    a, b = map(min, in_turns(1 if o.check else o.rounds, lambda: process(theirs), lambda: process(mine)))
    res = {"row": "start: a whole process with one query", "goal_s": 0.1, "peer_s": a[0], "mango_s": b[0], "mango_mib": b[1],
           "peer_mib": a[1], "check": {"agree": True}}
    if not o.check:
        print(f"start: Python's imports {a[0]:.2f} s, {a[1]:.0f} MiB; a whole mango run of one query "
              f"{b[0]:.3f} s, {b[1]:.0f} MiB; goal 0.1 s", flush=True)
    return [res]


def do_job(m, o):
    """The paper's job: 1,000 queries of TT, SN-GAN and spiking_resnet18 at T 50."""
    budget = 10 if o.check else 100 if o.quick else 1000
    names = ["sngan", "spiking_resnet18"]
    given = all(n in m.weights for n in names)
    nets = [m.weights[n] if given else f"zoo:{n}" for n in names]
    out = []
    for target, goal in [("layer4.1.sn2:17", 25.0), ("layer1.0.sn1:3", 8.0)]:
        cmd = [m.exe, "mei", "--gen", nets[0], "--net", nets[1], "--target", target, "--opt", "tt",
               "--budget", str(budget), "--T", "50", "--threads", str(m.threads), "--quiet",
               "--out", os.path.join(m.dir, "mei-" + target.replace(":", "-"))]
        took, mib = process(cmd + ([] if given else ["--fill", f"{SEED},3"]))
        goal *= budget / 1000
        out.append({"row": f"job: {budget} queries for {target}", "mango_s": took, "mango_mib": mib,
                    "goal_s": goal, "goal_mib": 150, "check": {"agree": True}})
        if not o.check:
            print(f"{out[-1]['row']}, {'given' if given else 'formula'} weights: {took:.1f} s, "
                  f"{mib:.0f} MiB resident; goal {goal:.1f} s, 150 MiB", flush=True)
    return out


# ---- the command -----------------------------------------------------------------


def options():
    a = argparse.ArgumentParser(description="Time mango beside its peers, after a check that both agree.")
    a.add_argument("--mango", default=str(ROOT / "build" / "mango"), help="the program (default build/mango)")
    a.add_argument("--rows", help="comma-separated: " + ", ".join([r.name for r in NETS] + OTHERS))
    a.add_argument("--weights", action="append", default=[], metavar="NAME=FILE", help="a mango weights file for a row")
    a.add_argument("--data", metavar="DIR", help="folder of CIFAR-10's test_batch.bin: test pictures as inputs")
    a.add_argument("--threads", type=int, default=0, help="for both sides (default: all)")
    a.add_argument("--rounds", type=int, default=0,
                   help="A B turns; the best of each side counts (default 3; 2 with --quick)")
    a.add_argument("--runtimes", action="store_true", help="dense rows beside ONNX Runtime and OpenVINO, too")
    a.add_argument("--T", type=int, default=0, help="steps of the spiking rows (default 100 and 50)")
    a.add_argument("--quick", action="store_true", help="two turns, one batch and layout, 1,000 queries, a tenth of the job; under 5 minutes")
    a.add_argument("--check", action="store_true", help="no timing: do both sides agree?")
    a.add_argument("--check-batch", type=int, default=0, metavar="B", help="inputs of the check (default 2)")
    a.add_argument("--json", metavar="FILE", help="write everything measured")
    o = a.parse_args()
    known = [r.name for r in NETS] + OTHERS
    o.rows = o.rows.split(",") if o.rows else known
    o.rounds = o.rounds or (2 if o.quick else 3)
    for name in o.rows:
        if name not in known:
            a.error(f"no row '{name}'; rows: {', '.join(known)}")
    o.weights = dict(w.split("=", 1) if "=" in w else a.error("--weights NAME=FILE") for w in o.weights)
    return o


def machine(m, o):
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as f:
            cpu = next((l.split(":")[1].strip() for l in f if l.startswith("model name")), cpu)
    load = os.getloadavg()[0]
    info = {"cpu": cpu, "threads": m.threads, "load": load, "torch": torch.__version__,
            "mango": m.call("bench", "speed", "--only", "peak", "--seconds", 0.3)}
    print(f"{cpu}, {m.threads} threads, PyTorch {torch.__version__}, mango's {info['mango']['kernels']} kernels, "
          f"peak {info['mango']['peak_gflops']:.0f} GFLOP/s")
    if load > 0.5 and not o.check:
        print(f"note: the machine is busy (load {load:.1f}); the ratios mean little")
    return info


def summary(results):
    def line(name, value, goal, met):
        print(f"{name:<58} {value:>10} {goal:>10} {'met' if met else 'not met'}")

    print(f"\n{'row':<58} {'here':>10} {'goal':>10}")
    for r in results:
        if "ratio" in r:
            line(r["row"] + ", ratio", f"{r['ratio']:.2f}", f"{r['goal']:.2f}", r["ratio"] >= r["goal"])
        if "goal_s" in r:
            line(r["row"], f"{r['mango_s']:.3g} s", f"{r['goal_s']:.3g} s", r["mango_s"] <= r["goal_s"])
        if "goal_mib" in r:
            line("    resident at most", f"{r['mango_mib']:.0f} MiB", f"{r['goal_mib']} MiB",
                 r["mango_mib"] <= r["goal_mib"])


def main():
    o = options()
    threads = o.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    results, since = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        m = Mango(o.mango, threads, folder, o.weights)
        info = machine(m, o)
        for row in NETS:
            if row.name in o.rows:
                results.append(do_net(m, row, o))
        for name, f in zip(OTHERS, (do_sgemm, do_protes, do_start, do_job)):
            if name in o.rows:
                results += f(m, o)
    if not o.check:
        summary(results)
        print(f"this Python process: {resident('self'):.0f} MiB resident at most; "
              f"all of it took {time.perf_counter() - since:.0f} s")
    if o.json:
        Path(o.json).write_text(json.dumps({"machine": info, "rows": results}, indent=1) + "\n")
    bad = [r["row"] for r in results if not r["check"]["agree"]]
    if bad:
        print("both sides disagree: " + ", ".join(bad), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
