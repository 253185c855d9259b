"""onnx_models.py - ONNX models of many kinds, exported by PyTorch with random weights, run
here and by ONNX Runtime.

Each model is exported (by the older, TorchScript exporter or the newer one, dynamo; opsets 9
to 22), taken over by `mango import` with no architecture named, and run by `mango run` on
normal noise. A row says how many nodes became how many layers and the largest difference
over the largest value; the exit code is 1 when one is over 1e-5 or was refused.
Needs torch, torchvision, onnx, onnxscript, onnxruntime, numpy, safetensors.

    python tools/peers/onnx_models.py [--mango build/mango] [--threads N] [NAME ..]

SPDX-License-Identifier: MIT
"""
import argparse
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import onnx
    import onnxruntime
    import onnxscript  # noqa: F401  the newer exporter needs it
    import torch
    import torchvision.models as tv
    from safetensors.numpy import load_file, save_file
    from torch import nn
    from torch.nn import functional as F
except ImportError as missing:
    print("onnx_models.py: left out, %s" % missing if sys.stderr.isatty() else "", file=sys.stderr, end="")
    sys.exit(0)


class UNet(nn.Module):
    def __init__(self, up):
        super().__init__()

        def block(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.SiLU(),
                                 nn.Conv2d(o, o, 3, padding=1), nn.InstanceNorm2d(o, affine=True), nn.LeakyReLU(0.2))

        smooth = {"mode": "bilinear", "align_corners": up == "corners"}
        self.a, self.b, self.c = block(3, 16), block(16, 32), block(32, 64)
        self.u1 = nn.ConvTranspose2d(64, 32, 2, 2) if up == "conv" else nn.Sequential(
            nn.Upsample(scale_factor=2, **smooth), nn.Conv2d(64, 32, 1))
        self.u2 = nn.ConvTranspose2d(32, 16, 4, 2, 1) if up == "conv" else nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(32, 16, 1))
        self.d1, self.d2, self.o = block(64, 32), block(32, 16), nn.Conv2d(16, 3, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.avg_pool2d(b, 2))
        d = self.d1(torch.cat([self.u1(c), b], 1))
        return torch.sigmoid(self.o(self.d2(torch.cat([self.u2(d), a], 1))))


class Decoder(nn.Module):
    """Of a variational autoencoder."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(32, 128 * 4 * 4)
        self.net = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ELU(),
            nn.ConvTranspose2d(64, 32, 3, 2, 1, output_padding=1), nn.BatchNorm2d(32), nn.GELU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 5, padding=2), nn.PReLU(16),
            nn.Conv2d(16, 3, 3, padding=1), nn.Sigmoid())

    def forward(self, z):
        return self.net(self.fc(z).view(-1, 128, 4, 4))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.SELU(), nn.Conv2d(16, 32, 3, 2, 1), nn.Tanh(),
                                     nn.Flatten(), nn.Linear(32 * 8 * 8, 20), nn.Softplus())
        self.decoder = nn.Sequential(nn.Linear(20, 32 * 8 * 8), nn.Unflatten(1, (32, 8, 8)), nn.PixelShuffle(2),
                                     nn.ReplicationPad2d(1), nn.Conv2d(8, 12, 3), nn.Hardsigmoid(), nn.PixelShuffle(2))

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Dcgan(nn.Module):
    def __init__(self):
        super().__init__()
        c, layers = [100, 64, 32, 16, 8], []
        for i in range(4):
            layers += [nn.ConvTranspose2d(c[i], c[i + 1], 4, 2 if i else 1, 1 if i else 0, bias=False),
                       nn.BatchNorm2d(c[i + 1]), nn.ReLU(True)]
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z):
        return self.main(z)


class Line(nn.Sequential):
    """One axis of space."""

    def __init__(self):
        super().__init__(
            nn.Conv1d(2, 16, 7, 2, 3), nn.BatchNorm1d(16), nn.Softplus(), nn.MaxPool1d(3, 2, 1),
            nn.Conv1d(16, 32, 5, padding=4, dilation=2, groups=4), nn.Hardswish(), nn.AvgPool1d(2),
            nn.Conv1d(32, 32, 3, padding=1, padding_mode="reflect"), nn.SELU(), nn.AdaptiveAvgPool1d(1),
            nn.Flatten(), nn.Linear(32, 24), nn.LayerNorm(24), nn.Mish(), nn.Dropout(), nn.Linear(24, 5),
            nn.LogSoftmax(-1))


class Mixer(nn.Module):
    """Patches as a sequence, channels last."""

    def __init__(self):
        super().__init__()
        self.patch, self.place = nn.Conv2d(3, 32, 8, 8), nn.Parameter(torch.randn(1, 16, 32))
        self.n1, self.n2, self.head = nn.LayerNorm(32), nn.LayerNorm(32), nn.Linear(32, 10)
        self.tokens = nn.Sequential(nn.Linear(16, 24), nn.GELU(approximate="tanh"), nn.Linear(24, 16))
        self.channels = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.place
        x = x + self.tokens(self.n1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.n2(x))
        return self.head(x.mean(1))


class Gates(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.by_map, self.by_pixel = nn.Conv2d(3, 12, 3, padding=1), nn.Linear(12, 12), nn.Conv2d(12, 1, 1)

    def forward(self, x):
        x = self.conv(x)
        x = x * torch.sigmoid(self.by_map(x.mean((2, 3))))[:, :, None, None]
        return x * torch.sigmoid(self.by_pixel(x))


class Parts(nn.Module):
    """Cut, joined, framed, powers, and a last layer that reads channels last."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, stride=2, padding=(1, 0)), nn.Conv2d(4, 8, 1)
        self.shuffle, self.e, self.last = nn.PixelShuffle(2), nn.Conv2d(16, 8, 3), nn.Linear(8 * 6 * 6, 12)

    def forward(self, x):
        x = F.pad(F.relu6(self.a(x)), (1, 2, 0, 1))
        y = F.max_pool2d(self.b(self.shuffle(x[:, :, :16, :16])), 3, 2, ceil_mode=True)
        y = torch.cat([y, y * 0.5 + 1], 1)
        y = y - y.mean(dim=(2, 3), keepdim=True)
        y = self.e(F.avg_pool2d(y, 3, 1, 1, count_include_pad=False))
        a, b = y.chunk(2, 1)
        y = F.hardtanh(torch.cat([b, a.abs()], 1)[:, :, 1:7, 2:8], -2, 2) ** 2
        return self.last(y.permute(0, 2, 3, 1).reshape(y.shape[0], -1))


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.conv = nn.Embedding(40, 8), nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(self.table(x).permute(0, 3, 1, 2))


def noise(*shape):
    return torch.randn(*shape)


# name: (what makes it, shape of the input, exporter, opset); a batch over 1 is left open
MODELS = {
    "alexnet": (tv.alexnet, (1, 3, 224, 224), "torchscript", 13),
    "squeezenet1_1": (tv.squeezenet1_1, (1, 3, 96, 96), "torchscript", 11),
    "mobilenet_v2": (tv.mobilenet_v2, (2, 3, 64, 64), "torchscript", 17),
    "resnet18": (tv.resnet18, (1, 3, 64, 64), "dynamo", 18),
    "vae_decoder": (Decoder, (2, 32), "torchscript", 17),
    "vae_decoder'": (Decoder, (2, 32), "dynamo", 18),
    "dcgan": (Dcgan, (2, 100, 1, 1), "torchscript", 9),
    "densenet121": (tv.densenet121, (1, 3, 64, 64), "torchscript", 9),
    "vgg11_bn": (tv.vgg11_bn, (1, 3, 224, 224), "torchscript", 17),
    "googlenet": (lambda: tv.googlenet(aux_logits=False, init_weights=False), (2, 3, 64, 64), "torchscript", 13),
    "inception_v3": (lambda: tv.inception_v3(aux_logits=False, init_weights=False), (1, 3, 96, 96), "torchscript", 17),
    "shufflenet_v2": (tv.shufflenet_v2_x0_5, (1, 3, 64, 64), "torchscript", 11),
    "shufflenet_v2'": (tv.shufflenet_v2_x0_5, (2, 3, 64, 64), "dynamo", 20),
    "mnasnet0_5": (tv.mnasnet0_5, (1, 3, 64, 64), "torchscript", 9),
    "regnet_y_400mf": (tv.regnet_y_400mf, (1, 3, 64, 64), "dynamo", 22),
    "efficientnet_b0": (tv.efficientnet_b0, (1, 3, 64, 64), "torchscript", 17),
    "mobilenet_v3": (tv.mobilenet_v3_small, (1, 3, 64, 64), "torchscript", 13),
    "convnext_tiny": (tv.convnext_tiny, (1, 3, 64, 64), "torchscript", 17),
    "convnext_tiny'": (tv.convnext_tiny, (1, 3, 64, 64), "dynamo", 20),
    "resnext50": (tv.resnext50_32x4d, (1, 3, 64, 64), "dynamo", 18),
    "unet": (lambda: UNet("conv"), (1, 3, 32, 40), "torchscript", 13),
    "unet_bilinear": (lambda: UNet("half"), (2, 3, 32, 32), "torchscript", 11),
    "unet_corners": (lambda: UNet("corners"), (1, 3, 32, 32), "dynamo", 20),
    "autoencoder": (Autoencoder, (2, 3, 32, 32), "torchscript", 16),
    "line": (Line, (3, 2, 200), "torchscript", 14),
    "line'": (Line, (3, 2, 200), "dynamo", 22),
    "mixer": (Mixer, (2, 3, 32, 32), "torchscript", 13),
    "mixer'": (Mixer, (2, 3, 32, 32), "dynamo", 18),
    "gates": (Gates, (2, 3, 16, 16), "torchscript", 11),
    "parts": (Parts, (1, 3, 34, 34), "torchscript", 17),
    "parts'": (Parts, (2, 3, 34, 34), "dynamo", 20),
    "embedding": (Embedding, (2, 8, 8), "torchscript", 13),
}


def prepare(model):
    """Statistics and scales of batch-norms that are not those of a new model."""
    for q in model.modules():
        if isinstance(q, (nn.BatchNorm1d, nn.BatchNorm2d)):
            q.running_mean.normal_(0, 0.1)
            q.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(q.weight, 0.8, 1.2)
            nn.init.normal_(q.bias, 0, 0.1)
    return model.eval()


def export(model, x, exporter, opset, path):
    names = {"input_names": ["x"], "output_names": ["y"], "opset_version": opset}
    free = x.shape[0] > 1
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        if exporter == "torchscript":
            torch.onnx.export(model, (x,), path, dynamo=False,
                              dynamic_axes={"x": {0: "batch"}} if free else None, **names)
        else:
            batch = torch.export.Dim("batch", min=1, max=64)
            torch.onnx.export(model, (x,), path, dynamo=True, verbose=False,
                              dynamic_shapes=({0: batch},) if free else None, **names)


def theirs(path, x, threads):
    o = onnxruntime.SessionOptions()
    o.log_severity_level, o.intra_op_num_threads = 4, threads
    return onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def ours(mango, folder, path, x, threads):
    """The output and the number of layers; an error's line instead of it."""
    net, given, out = (os.path.join(folder, f) for f in ("net.safetensors", "x.safetensors", "y.safetensors"))
    for line in (["import", path, "--out", net], ["info", net, "--json"],
                 ["run", "--net", net, "--input", given, "--out", out, "--threads", str(threads)]):
        r = subprocess.run([mango, *line], capture_output=True, text=True)
        if r.returncode:
            return r.stderr.strip() or r.stdout.strip(), 0
        if line[0] == "info":
            layers = json.loads(r.stdout)["layers"]
            C, H, W = layers[0]["shape"]
            maps = x.astype(np.float32).reshape((-1, C) if H * W == 1 else (-1, C, H, W))
            save_file({"input": np.ascontiguousarray(maps)}, given)
    return load_file(out)["output"], len(layers)


def row(name, args, folder):
    make, shape, exporter, opset = MODELS[name]
    torch.manual_seed(3)
    model = prepare(make())
    x = torch.randint(0, 40, shape) if make is Embedding else noise(*shape)
    path = os.path.join(folder, "net.onnx")
    export(model, x, exporter, opset, path)
    nodes = len(onnx.load(path, load_external_data=False).graph.node)
    want = theirs(path, x.numpy(), args.threads)
    got, layers = ours(args.mango, folder, path, x.numpy(), args.threads)
    if isinstance(got, str):
        print("%-16s %-11s %5d %6d  %s" % (name, exporter, opset, nodes, got), flush=True)
        return False
    if got.size != want.size:
        print("%-16s %-11s %5d %6d  shape %s, not %s" % (name, exporter, opset, nodes, got.shape, want.shape), flush=True)
        return False
    worst = float(np.abs(got.ravel() - want.ravel()).max() / np.abs(want).max())
    print("%-16s %-11s %5d %6d %6d  %.1e%s" % (name, exporter, opset, nodes, layers, worst,
                                              "" if worst <= 1e-5 else "  over 1e-5"), flush=True)
    return worst <= 1e-5


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mango", default=os.path.join(root, "build", "mango"))
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("names", nargs="*", help="of these: " + " ".join(MODELS))
    args = p.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(args.threads)
    good = 0
    names = args.names or list(MODELS)
    print("%-16s %-11s %5s %6s %6s  %s" % ("model", "exporter", "opset", "nodes", "layers", "largest difference"))
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            good += row(name, args, folder)
    print("%d of %d within 1e-5" % (good, len(names)))
    return good < len(names)


if __name__ == "__main__":
    sys.exit(main())
