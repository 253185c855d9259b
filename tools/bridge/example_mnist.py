#!/usr/bin/env python3
"""example_mnist.py - from a trained snnTorch network to the picture that one neuron likes best.

    python example_mnist.py ROOT [FOLDER]

ROOT holds the four archives of MNIST (train-images-idx3-ubyte.gz ..). Trains the network of
snnTorch's fifth tutorial and the decoder of a small autoencoder, a minute together, and writes
net.safetensors and gen.safetensors into FOLDER.  SPDX-License-Identifier: MIT
"""

import gzip
import os
import sys

import snntorch as snn
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mango_export import export  # noqa: E402

STEPS, LATENT = 25, 12


def idx(path, head):
    with gzip.open(path) as f:
        return torch.frombuffer(bytearray(f.read()[head:]), dtype=torch.uint8)


def digits(root, part):
    """(N,784) in [0,1] and the labels."""
    x = idx(os.path.join(root, part + "-images-idx3-ubyte.gz"), 16)
    y = idx(os.path.join(root, part + "-labels-idx1-ubyte.gz"), 8)
    return x.reshape(-1, 784).float() / 255, y.long()


class Net(nn.Module):
    """784 - 200 - 10 leaky neurons, as in the tutorial."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(784, 200), snn.Leaky(beta=0.95)
        self.fc2, self.lif2 = nn.Linear(200, 10), snn.Leaky(beta=0.95)

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spk_rec, mem_rec = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk_rec.append(spk2)
            mem_rec.append(mem2)
        return torch.stack(spk_rec), torch.stack(mem_rec)


class Autoencoder(nn.Module):
    """Codes near a normal distribution, so that random ones decode to something."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 2 * LATENT))
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, 256),
            nn.ReLU(),
            nn.Linear(256, 784),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def loss(self, x):
        mean, log_var = self.encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * torch.exp(log_var / 2)
        seen = F.binary_cross_entropy(self.decoder(z).flatten(1), x, reduction="sum")
        return (seen - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()) / len(x)


def train(model, loss, x, y, batch, epochs=1):
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for at in torch.randperm(len(x)).split(batch):
            opt.zero_grad()
            loss(x[at], y[at]).backward()
            opt.step()


def main(root, folder="."):
    torch.manual_seed(0)
    x, y = digits(root, "train")
    net, auto = Net(), Autoencoder()
    train(
        net,
        lambda a, b: sum(F.cross_entropy(m, b) for m in net(a)[1]) / STEPS,
        x[:30000],
        y,
        256,
    )
    train(auto, lambda a, b: auto.loss(a), x, y, 256, 2)
    tx, ty = digits(root, "t10k")
    with torch.no_grad():
        right = (net(tx)[0].sum(0).argmax(1) == ty).float().mean()
    print("test accuracy %.3f" % right)

    net_file, gen_file = [
        os.path.join(folder, n) for n in ("net.safetensors", "gen.safetensors")
    ]
    export(net, x[:1], net_file, picture=(1, 28, 28))
    export(auto.decoder, torch.randn(1, LATENT), gen_file)
    print("mango mei --gen %s --net %s --target lif2:3 --out mei-3" % (gen_file, net_file))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:3])
