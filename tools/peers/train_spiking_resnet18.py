#!/usr/bin/env python3
"""train_spiking_resnet18.py - train spiking ResNet-18 on CIFAR-10 with PyTorch.

The peer of `mango train net --arch spiking_resnet18`: same graph, parameter names,
neurons and recipe; `mango import OUT --arch spiking_resnet18` reads the result.

  neuron      V += (x - V)/2, fires on V >= 1, then V = 0 (no gradient through it);
              surrogate 1/(1 + (pi (V - 1))^2)
  recipe      AdamW, decay on matrices only, label smoothing, half an epoch of warm-up,
              then a cosine; shifts by up to 4 pixels and flips; T steps by epoch

After each epoch OUT.ck holds all that is needed to go on: the same command resumes.
SPDX-License-Identifier: MIT
"""
import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

TAU = 2.0
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2471, 0.2435, 0.2616]).view(1, 3, 1, 1)


# ---- the network ---------------------------------------------------------------


class Fire(torch.autograd.Function):
    """All steps of a layer of neurons: x (T,N,...) to spikes of the same shape."""

    @staticmethod
    def forward(ctx, x):
        v = torch.zeros_like(x[0])
        h, s = torch.empty_like(x), torch.empty_like(x)
        for t in range(len(x)):
            torch.add(v, x[t] - v, alpha=1 / TAU, out=h[t])
            torch.ge(h[t], 1.0, out=s[t])
            v = h[t] * (1 - s[t])
        ctx.save_for_backward(h, s)
        return s

    @staticmethod
    def backward(ctx, g):
        h, s = ctx.saved_tensors
        gx, gv = torch.empty_like(g), torch.zeros_like(g[0])
        for t in range(len(g) - 1, -1, -1):
            surrogate = 1 / (1 + (math.pi * (h[t] - 1)).square_())
            gh = g[t] * surrogate + gv * (1 - s[t])
            gx[t] = gh / TAU
            gv = gh * (1 - 1 / TAU)
        return gx


class Lif(nn.Module):
    """Neurons on (T*N,...), t slowest. T is one for all layers: Lif.T."""

    T = 1

    def forward(self, x):
        return Fire.apply(x.view(Lif.T, -1, *x.shape[1:])).view(x.shape)


def conv(ci, co, size, stride):
    return nn.Conv2d(ci, co, size, stride, size // 2, bias=False)


class Block(nn.Module):
    def __init__(self, ci, co, stride):
        super().__init__()
        self.conv1, self.bn1, self.sn1 = conv(ci, co, 3, stride), nn.BatchNorm2d(co), Lif()
        self.conv2, self.bn2, self.sn2 = conv(co, co, 3, 1), nn.BatchNorm2d(co), Lif()
        self.downsample = None
        if stride != 1 or ci != co:
            self.downsample = nn.Sequential(conv(ci, co, 1, stride), nn.BatchNorm2d(co))

    def forward(self, x):
        way = x if self.downsample is None else self.downsample(x)
        return self.sn2(self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(x))))) + way)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.sn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64), Lif()
        c = 64
        for i in range(4):
            co = 64 << i
            blocks = nn.Sequential(Block(c, co, 2 if i else 1), Block(co, co, 1))
            setattr(self, f"layer{i + 1}", blocks)
            c = co
        self.fc = nn.Linear(c, 10)
        self.start()

    def start(self):
        """First values. Charge comes as x/tau: a gain of 2 lets 1 neuron in 6 fire at once."""
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        for name, m in self.named_modules():
            if isinstance(m, nn.BatchNorm2d) and "downsample" not in name:
                nn.init.constant_(m.weight, 2.0 if name.endswith("bn1") else 1.5)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).repeat(Lif.T, 1, 1, 1)
        x = F.max_pool2d(self.sn1(x), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3))).view(Lif.T, -1, 10).mean(0)


# ---- data ----------------------------------------------------------------------


def load(root, names):
    """Pictures (N,3,32,32) of bytes and classes from CIFAR-10's binary files."""
    b = np.concatenate([np.fromfile(os.path.join(root, n), np.uint8).reshape(-1, 3073) for n in names])
    return torch.from_numpy(b[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(b[:, 0].astype(np.int64))


def ready(x):
    """Normalized, channels last."""
    return ((x.float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def augment(x, g):
    """Shifts with zeros (of the normalized picture) coming in, and flips."""
    n, p = len(x), F.pad(x, (4, 4, 4, 4))
    dy, dx = torch.randint(0, 9, (n,), generator=g), torch.randint(0, 9, (n,), generator=g)
    row, col = dy[:, None] + torch.arange(32), dx[:, None] + torch.arange(32)
    flip = torch.rand(n, generator=g) < 0.5
    col = torch.where(flip[:, None], col.flip(1), col)
    n, c = torch.arange(n)[:, None, None, None], torch.arange(3)[None, :, None, None]
    return p[n, c, row[:, None, :, None], col[:, None, None, :]]


# ---- training ------------------------------------------------------------------


def accuracy(net, x, y, T, batch=200):
    net.eval()
    Lif.T, right = T, 0
    with torch.no_grad():
        for i in range(0, len(x), batch):
            right += (net(ready(x[i : i + batch])).argmax(1) == y[i : i + batch]).sum().item()
    return right / len(x)


def learning_rate(step, total, warm, top):
    if step < warm:
        return top * step / warm
    return top * 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))


def train_epoch(net, opt, data, epoch, epochs, o):
    """One pass; returns (mean loss, accuracy on the way, last learning rate)."""
    x, y = data
    g = torch.Generator().manual_seed(1000 + epoch)
    order, steps = torch.randperm(len(x), generator=g), len(x) // o.batch
    loss_sum = right = lr = 0.0
    net.train()
    for s in range(steps):
        lr = learning_rate(epoch * steps + s, epochs * steps, steps // 2, o.lr)
        for group in opt.param_groups:
            group["lr"] = lr
        some = order[s * o.batch : (s + 1) * o.batch]
        xb = augment((x[some].float() / 255 - MEAN) / STD, g).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=o.bf16):
            out = net(xb)
            loss = F.cross_entropy(out.float(), y[some], label_smoothing=0.1)
        opt.zero_grad()
        loss.backward()
        opt.step()
        loss_sum += loss.item()
        right += (out.argmax(1) == y[some]).sum().item()
        if s % 25 == 24:
            print(f"  step {s + 1} loss {loss_sum / (s + 1):.4f} train {right / (s + 1) / o.batch:.4f}", flush=True)
    return loss_sum / steps, right / steps / o.batch, lr


def optimizer(net, lr):
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=lr)


def train(o):
    T = [int(t) for part in o.T.split(",") for t, n in [part.split(":")] for _ in range(int(n))]
    data = load(o.root, [f"data_batch_{i}.bin" for i in range(1, 6)])
    xt, yt = (v[: o.test] for v in load(o.root, ["test_batch.bin"]))
    net = Net().to(memory_format=torch.channels_last)
    opt, first, ck = optimizer(net, o.lr), 0, o.out + ".ck"
    if os.path.exists(ck):
        c = torch.load(ck, weights_only=True)
        net.load_state_dict(c["net"])
        opt.load_state_dict(c["opt"])
        first = c["epoch"]
        print(f"going on from {ck}: {first} of {len(T)} epochs done")
    for epoch in range(first, len(T)):
        since = time.time()
        Lif.T = T[epoch]
        loss, right, lr = train_epoch(net, opt, data, epoch, len(T), o)
        test = accuracy(net, xt, yt, T[epoch])
        print(f"epoch {epoch + 1}/{len(T)} T {T[epoch]} loss {loss:.4f} train {right:.4f} "
              f"test[{len(xt)}] {test:.4f} lr {lr:.4f} {time.time() - since:.0f}s", flush=True)
        torch.save({"net": net.state_dict(), "opt": opt.state_dict(), "epoch": epoch + 1}, o.out + ".tmp")
        os.replace(o.out + ".tmp", ck)
    torch.save(net.state_dict(), o.out + ".tmp")
    os.replace(o.out + ".tmp", o.out)
    print(f"{o.out}: T=50 on {len(xt)}: {accuracy(net, xt, yt, 50, 50):.4f}")


def main():
    a = argparse.ArgumentParser(description="Train spiking ResNet-18 on CIFAR-10; resumes from OUT.ck.")
    a.add_argument("--root", required=True, metavar="DIR", help="CIFAR-10's binary files")
    a.add_argument("--out", default="spiking_resnet18.pt", help="checkpoint to write (default spiking_resnet18.pt)")
    a.add_argument("--T", default="2:18,4:6", metavar="T:EPOCHS,..", help="steps by epoch (default 2:18,4:6)")
    a.add_argument("--lr", type=float, default=0.002, help="highest learning rate (default 0.002)")
    a.add_argument("--batch", type=int, default=128, help="pictures an update (default 128)")
    a.add_argument("--bf16", action="store_true", help="forward in bfloat16 where PyTorch allows")
    a.add_argument("--test", type=int, default=2000, help="test pictures (default 2000)")
    a.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all")
    o = a.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(o.threads)
    train(o)


if __name__ == "__main__":
    main()
