#!/usr/bin/env python3
"""test_export.py - networks as people write them, through mango_export.py and back.

    python test_export.py [NAME ..]      all, or those whose names hold a word

Each is exported in one call, run by `mango` on a probe and compared layer by layer; what is
refused must say why. A network whose package is not installed is skipped. Without torch it
says so and ends with 0.  SPDX-License-Identifier: MIT
"""

import contextlib
import os
import sys
import tempfile
import traceback

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    print("bridge-test: torch is not installed, nothing to test")
    sys.exit(0)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mango_export  # noqa: E402

CASES = []
PICTURE = (1, 3, 32, 32)


def case(example, refused=None, **options):
    """A function that makes a module; `refused`: what the error says."""

    def put(f):
        CASES.append((f.__name__, f, example, refused, options))
        return f

    return put


class Of(nn.Module):
    """A module out of a function of (self, x), and its layers."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.run = forward
        for k, v in layers.items():
            setattr(self, k, v)

    def forward(self, x):
        return self.run(self, x)


def settled(module):
    """With statistics, scales and slopes as after some training."""
    g = torch.Generator().manual_seed(7)
    for m in module.modules():
        if getattr(m, "running_mean", None) is not None:
            m.running_mean.copy_(torch.randn(m.running_mean.shape, generator=g) * 0.1)
            m.running_var.copy_(torch.rand(m.running_var.shape, generator=g) + 0.5)
        if (
            isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm))
            and m.weight is not None
        ):
            m.weight.data.copy_(torch.rand(m.weight.shape, generator=g) + 0.5)
            if m.bias is not None:
                m.bias.data.copy_(torch.randn(m.bias.shape, generator=g) * 0.1)
    return module


# ---- torchvision ------------------------------------------------------------------------------


@case((1, 3, 64, 64))
def tv_resnet18():
    import torchvision

    return torchvision.models.resnet18(num_classes=10)


@case(PICTURE)
def tv_resnet18_small_stem():
    import torchvision

    m = torchvision.models.resnet18(num_classes=10)
    m.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    m.maxpool = nn.Identity()
    return m


@case((1, 3, 64, 64))
def tv_resnext50():
    import torchvision

    return torchvision.models.resnext50_32x4d(num_classes=10)


@case((1, 3, 64, 64))
def tv_mobilenet_v2():
    import torchvision

    return torchvision.models.mobilenet_v2(num_classes=10)


@case((1, 3, 64, 64))
def tv_mobilenet_v3_small():
    import torchvision

    return torchvision.models.mobilenet_v3_small(num_classes=10)


@case((1, 3, 64, 64))
def tv_efficientnet_b0():
    import torchvision

    return torchvision.models.efficientnet_b0(num_classes=10)


@case((1, 3, 64, 64))
def tv_densenet121():
    import torchvision

    return torchvision.models.densenet121(num_classes=10)


@case((1, 3, 64, 64))
def tv_squeezenet():
    import torchvision

    return torchvision.models.squeezenet1_1(num_classes=10)


@case(PICTURE)
def tv_vgg11_bn():
    import torchvision

    return torchvision.models.vgg11_bn(num_classes=10)


@case((1, 3, 64, 64))
def tv_shufflenet():
    import torchvision

    return torchvision.models.shufflenet_v2_x0_5(num_classes=10)


@case((1, 3, 64, 64))
def tv_convnext_tiny():
    import torchvision

    return torchvision.models.convnext_tiny(num_classes=10)


@case((1, 3, 75, 75))
def tv_googlenet():
    import torchvision

    return torchvision.models.googlenet(num_classes=10, aux_logits=False, init_weights=False)


@case((1, 3, 64, 64))
def tv_regnet():
    import torchvision

    return torchvision.models.regnet_y_400mf(num_classes=10)


@case((1, 3, 64, 64))
def tv_mnasnet():
    import torchvision

    return torchvision.models.mnasnet0_5(num_classes=10)


@case((1, 3, 64, 64), output="out")
def tv_fcn_segmentation():
    import torchvision

    return torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=4
    )


@case((1, 3, 32, 32), refused="attention")
def tv_vit():
    import torchvision

    return torchvision.models.VisionTransformer(32, 8, 1, 2, 32, 64, num_classes=4)


# ---- plain networks ---------------------------------------------------------------------------


@case(PICTURE)
def lenet_functional():
    def forward(s, x):
        x = F.max_pool2d(F.relu(s.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(s.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.dropout(F.relu(s.fc1(x)), training=s.training)
        return F.log_softmax(s.fc2(x), dim=1)

    return Of(
        forward,
        conv1=nn.Conv2d(3, 6, 5),
        conv2=nn.Conv2d(6, 16, 5),
        fc1=nn.Linear(400, 84),
        fc2=nn.Linear(84, 10),
    )


@case((1, 784), picture=(1, 28, 28), mean=0.1307, std=0.3081)
def mlp_of_flat_pictures():
    return nn.Sequential(
        nn.Linear(784, 64),
        nn.Tanh(),
        nn.Dropout(),
        nn.Linear(64, 32),
        nn.Sigmoid(),
        nn.Linear(32, 10),
        nn.Softmax(dim=1),
    )


@case((1, 1, 28, 28))
def mlp_that_flattens():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.LeakyReLU(0.2), nn.LayerNorm(64), nn.Linear(64, 10)
    )


@case((1, 28, 28))
def mlp_of_maps_without_channel():
    def forward(s, x):
        return s.fc(x.view(-1, 28 * 28))

    return Of(forward, fc=nn.Linear(784, 10))


@case(PICTURE)
def residual_se():
    class Block(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.conv1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(c)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Sequential(
                nn.Linear(c, c // 4), nn.ReLU(inplace=True), nn.Linear(c // 4, c), nn.Sigmoid()
            )

        def forward(self, x):
            y = self.bn1(self.conv1(x))
            b, c, _, _ = y.size()
            gate = self.fc(self.pool(y).view(b, c)).view(b, c, 1, 1)
            y = y * gate.expand_as(y)
            y += x
            return F.relu_(y)

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        Block(16),
        nn.MaxPool2d(2),
        Block(16),
        nn.AdaptiveAvgPool2d((2, 2)),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


@case(PICTURE)
def spatial_attention():
    def forward(s, x):
        x = F.silu(s.stem(x))
        both = torch.cat(
            [torch.mean(x, dim=1, keepdim=True), torch.max(x, dim=1, keepdim=True)[0]], 1
        )
        x = x * torch.sigmoid(s.gate(both))
        return s.head(x.mean([2, 3]))

    return Of(
        forward,
        stem=nn.Conv2d(3, 8, 3, 2, 1),
        gate=nn.Conv2d(2, 1, 7, padding=3),
        head=nn.Linear(8, 5),
    )


@case(PICTURE)
def convnext_block():
    class Block(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.dwconv = nn.Conv2d(d, d, 7, padding=3, groups=d)
            self.norm = nn.LayerNorm(d, eps=1e-6)
            self.pwconv1 = nn.Linear(d, 4 * d)
            self.pwconv2 = nn.Linear(4 * d, d)
            self.gamma = nn.Parameter(torch.rand(d))

        def forward(self, x):
            y = self.dwconv(x).permute(0, 2, 3, 1)
            y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
            return x + y.permute(0, 3, 1, 2)

    return nn.Sequential(
        nn.Conv2d(3, 12, 4, 4),
        Block(12),
        Block(12),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(192, 7),
    )


@case(PICTURE)
def unet():
    def double(i, o):
        return nn.Sequential(
            nn.Conv2d(i, o, 3, padding=1),
            nn.BatchNorm2d(o),
            nn.ReLU(True),
            nn.Conv2d(o, o, 3, padding=1),
            nn.BatchNorm2d(o),
            nn.ReLU(True),
        )

    def forward(s, x):
        a = s.a(x)
        b = s.b(F.max_pool2d(a, 2))
        c = s.c(F.max_pool2d(b, 2))
        b = s.d(torch.cat([s.up1(c), b], dim=1))
        up = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        return s.out(s.e(torch.cat((a, up), 1)))

    return Of(
        forward,
        a=double(3, 8),
        b=double(8, 16),
        c=double(16, 32),
        up1=nn.ConvTranspose2d(32, 16, 2, stride=2),
        d=double(32, 16),
        e=double(24, 8),
        out=nn.Conv2d(8, 2, 1),
    )


@case(PICTURE)
def norms():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.GroupNorm(4, 8),
        nn.ELU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.InstanceNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, dilation=2),
        nn.LayerNorm([8, 28, 28]),
        nn.Mish(),
        nn.Conv2d(8, 4, 3, stride=2),
        nn.InstanceNorm2d(4, affine=True),
        nn.SELU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
    )


@case(PICTURE)
def parametrizations():
    from torch.nn.utils import parametrizations as p

    return nn.Sequential(
        p.weight_norm(nn.Conv2d(3, 8, 3)),
        nn.Softplus(),
        p.spectral_norm(nn.Conv2d(8, 8, 3)),
        nn.Hardswish(),
        nn.utils.spectral_norm(nn.Conv2d(8, 4, 3, padding="same")),
        nn.Hardtanh(),
        nn.Flatten(),
        p.orthogonal(nn.Linear(4 * 28 * 28, 6)),
    )


@case(PICTURE)
def pools_and_pads():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.ReLU6(),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.ZeroPad2d((1, 2, 0, 1)),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.Hardsigmoid(),
        nn.ReplicationPad2d(1),
        nn.MaxPool2d(2, 1, dilation=2),
        nn.Conv2d(4, 4, 2, padding="same"),
        nn.CircularPad2d(1),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.AdaptiveAvgPool2d((3, 2)),
    )


@case((1, 1, 400))
def audio_1d():
    return nn.Sequential(
        nn.Conv1d(1, 8, 9, stride=4),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Conv1d(8, 16, 3, padding=1, dilation=1),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.ConstantPad1d((1, 1), 0.5),
        nn.Conv1d(16, 8, 3),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


@case((1, 2, 64))
def autoencoder_1d():
    return nn.Sequential(
        nn.Conv1d(2, 8, 4, 2, 1),
        nn.ReLU(),
        nn.Conv1d(8, 4, 4, 2, 1),
        nn.Tanh(),
        nn.ConvTranspose1d(4, 8, 4, 2, 1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv1d(8, 2, 3, padding=1),
    )


@case((1, 8, 8, 8))
def views_of_channels():
    def forward(s, x):
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)
        a, g = s.conv(x).chunk(2, dim=1)
        x = a * torch.sigmoid(g)
        x = torch.cat([x[:, :2], x[:, 2:] * 2 - 1, -x[:, ::2]], 1)
        x = F.pixel_shuffle(x[:, :8], 2)[:, :, 1:-1, ::2]
        x = x - x.mean(dim=(2, 3), keepdim=True)
        return F.pad(x, (1, 0, 2, -1)).flatten(1)

    return Of(forward, conv=nn.Conv2d(8, 16, 3, padding=1))


@case((1, 3, 16, 16))
def option_a_shortcut():
    def forward(s, x):
        y = s.conv(x)
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 3), "constant", 0)
        return F.relu(y + short).sum(dim=(2, 3)) / 64

    return Of(forward, conv=nn.Conv2d(3, 8, 3, 2, 1))


@case(PICTURE)
def mlp_mixer():
    class Mix(nn.Module):
        def __init__(self, n, d):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.tokens = nn.Sequential(nn.Linear(n, 16), nn.GELU(), nn.Linear(16, n))
            self.chans = nn.Sequential(nn.Linear(d, 24), nn.GELU(), nn.Linear(24, d))

        def forward(self, x):
            x = x + self.tokens(self.n1(x).transpose(1, 2)).transpose(1, 2)
            return x + self.chans(self.n2(x))

    def forward(s, x):
        x = s.patch(x).flatten(2).transpose(1, 2)
        x = s.mix(x + s.position)
        return s.head(x.mean(dim=1))

    return Of(
        forward,
        patch=nn.Conv2d(3, 12, 8, 8),
        mix=nn.Sequential(Mix(16, 12), Mix(16, 12)),
        position=nn.Parameter(torch.randn(1, 16, 12)),
        head=nn.Linear(12, 5),
    )


@case(PICTURE)
def shared_and_looped():
    def forward(s, x):
        x = s.stem(x)
        for i in range(3):
            x = s.act(s.conv(x)) + x if i % 2 else s.act(s.conv(x))
        outs = [pool(x) for pool in s.pools]
        return torch.cat([o.flatten(1) for o in outs], dim=-1)

    return Of(
        forward,
        stem=nn.Conv2d(3, 4, 3, 2),
        conv=nn.Conv2d(4, 4, 3, padding=1),
        act=nn.ReLU(),
        pools=nn.ModuleList([nn.AdaptiveAvgPool2d(k) for k in (1, 2, 4)]),
    )


@case(PICTURE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
def several_outputs():
    def forward(s, x):
        h = s.body(x)
        return {"logits": s.head(h), "features": h, "entropy": (h * h.exp()).sum()}

    return Of(
        forward,
        body=nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.CELU(0.5), nn.Flatten()),
        head=nn.Linear(196, 3),
    )


@case((1, 16, 100))
def wavenet_of_gates():
    class Block(nn.Module):
        def __init__(self, c, d):
            super().__init__()
            self.d = d
            self.conv = nn.Conv1d(c, 2 * c, 2, dilation=d)
            self.mix = nn.Conv1d(c, c, 1)

        def forward(self, x):
            y = F.glu(self.conv(F.pad(x, (self.d, 0))), dim=1)
            return x + self.mix(torch.tanh(y))

    return nn.Sequential(*[Block(16, 2**k) for k in range(4)], nn.Conv1d(16, 1, 1))


@case(PICTURE)
def pyramid():
    def forward(s, x):
        a = F.relu6(s.a(x))
        b = F.hardswish(s.b(a))
        c = F.tanhshrink(s.c(b))
        pooled = F.interpolate(
            F.adaptive_avg_pool2d(c, 1), size=c.shape[2:], mode="bilinear", align_corners=True
        )
        top = s.top(torch.cat([c, pooled, F.avg_pool2d(c, 3, 1, 1)], 1))
        up = s.lat(b) + F.interpolate(top, size=b.shape[-2:], mode="nearest")
        out = F.interpolate(up, scale_factor=1.5, mode="bilinear", align_corners=False)
        return F.softmax(s.head(out), dim=1)

    return Of(
        forward,
        a=nn.Conv2d(3, 8, 3, 2, 1),
        b=nn.Conv2d(8, 8, 3, 2, 2, dilation=2),
        c=nn.Conv2d(8, 8, 3, 2, 1, groups=8),
        top=nn.Conv2d(24, 8, 1),
        lat=nn.Conv2d(8, 8, 1),
        head=nn.Conv2d(8, 4, 3, padding=1),
    )


@case(PICTURE)
def window_partition():
    def forward(s, x):
        x = s.embed(x).permute(0, 2, 3, 1)
        b, h, w, c = x.shape
        x = torch.roll(x, shifts=(-1, -1), dims=(1, 2))
        x = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, -1, 4, c)
        x = F.softshrink(s.fc(x), 0.1).mean(dim=2)
        return s.head(s.norm(x).flatten(1))

    return Of(
        forward,
        embed=nn.Conv2d(3, 6, 4, 4),
        fc=nn.Linear(6, 8),
        norm=nn.LayerNorm(8),
        head=nn.Linear(128, 3),
    )


@case(PICTURE)
def standardized_weights():
    class Conv(nn.Conv2d):
        def forward(self, x):
            w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            w = w / (w.std((1, 2, 3), keepdim=True) + 1e-5)
            return F.conv2d(
                x, w, self.bias, self.stride, self.padding, self.dilation, self.groups
            )

    return nn.Sequential(
        Conv(3, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        Conv(16, 16, 3, stride=2),
        nn.GroupNorm(1, 16),
        nn.GELU(),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


@case((1, 2, 20, 20))
def highway():
    def forward(s, x):
        h, t = torch.tanh(s.h(x)), torch.sigmoid(s.t(x))
        a, b = torch.split(h * t + x.repeat(1, 2, 1, 1) * (1 - t), [2, 2], 1)
        y = F.max_pool2d(torch.maximum(a, b), 3, stride=2, padding=1)
        return s.fc(torch.flatten(y, 1)).tanh().mul(3).add(0.5).clamp(-1, 2)

    return Of(
        forward,
        h=nn.Conv2d(2, 4, 3, padding=1),
        t=nn.Conv2d(2, 4, 3, padding=1),
        fc=nn.Linear(200, 4),
    )


@case((1, 16, 10))
def gated_mlp_of_tokens():
    class Gate(nn.Module):
        def __init__(self, n, d):
            super().__init__()
            self.norm, self.mix = nn.LayerNorm(d), nn.Conv1d(n, n, 1)

        def forward(self, x):
            u, v = x.chunk(2, dim=-1)
            return u * self.mix(self.norm(v))

    class Block(nn.Module):
        def __init__(self, n, d):
            super().__init__()
            self.norm, self.a, self.b = (
                nn.LayerNorm(d),
                nn.Linear(d, 4 * d),
                nn.Linear(2 * d, d),
            )
            self.gate = Gate(n, 2 * d)

        def forward(self, x):
            y = F.gelu(self.a(self.norm(x)), approximate="tanh")
            return x + self.b(self.gate(y))

    return Of(
        lambda s, x: s.head(s.body(x).mean(1)),
        head=nn.Linear(10, 3),
        body=nn.Sequential(Block(16, 10), Block(16, 10)),
    )


@case(PICTURE)
def list_without_a_forward():
    return nn.ModuleList([nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Linear(900, 5)])


@case(PICTURE)
def very_deep():
    layers = [nn.Conv2d(3, 12, 3, padding=1)]
    for _ in range(60):
        layers += [nn.Conv2d(12, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))


@case(PICTURE)
def by_keyword():
    def forward(s, x):
        x = F.relu(input=F.conv2d(input=x, weight=s.conv.weight, bias=s.conv.bias, stride=2))
        x = torch.cat(tensors=[x, torch.sum(x, axis=1, keepdims=True)], dim=1)
        return s.fc(torch.flatten(input=F.max_pool2d(input=x, kernel_size=3), start_dim=1))

    return Of(forward, conv=nn.Conv2d(3, 4, 3), fc=nn.Linear(125, 5))


@case((3, 16, 16))
def without_a_batch():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2))


@case((1, 3, 16, 16))
def batch_of_one_in_the_code():
    return Of(
        lambda s, x: s.fc(s.conv(x).reshape(1, -1)),
        conv=nn.Conv2d(3, 2, 3),
        fc=nn.Linear(392, 4),
    )


# ---- generators -------------------------------------------------------------------------------


@case((1, 100, 1, 1))
def dcgan():
    def up(i, o, *a):
        return [nn.ConvTranspose2d(i, o, *a, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]

    return nn.Sequential(
        *up(100, 32, 4, 1, 0),
        *up(32, 16, 4, 2, 1),
        *up(16, 8, 4, 2, 1),
        nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False),
        nn.Tanh()
    )


@case((1, 16))
def vae_decoder():
    return nn.Sequential(
        nn.Linear(16, 128),
        nn.ReLU(),
        nn.Unflatten(1, (8, 4, 4)),
        nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1),
        nn.SiLU(),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(8, 4, 3, padding=1),
        nn.PixelShuffle(2),
        nn.ReLU(),
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Sigmoid(),
    )


@case((1, 32))
def gan_with_self_modulation():
    def forward(s, z):
        x = s.fc(z).view(-1, 16, 4, 4)
        for conv, scale, shift in zip(s.convs, s.scales, s.shifts):
            x = F.interpolate(x, scale_factor=2)
            g, b = scale(z)[:, :, None, None], shift(z)[:, :, None, None]
            x = F.leaky_relu((1 + g) * s.norm(conv(x)) + b, 0.2)
        return torch.tanh(s.rgb(x)) * 0.5 + 0.5

    convs = nn.ModuleList([nn.Conv2d(16, 16, 3, padding=1) for _ in range(2)])
    return Of(
        forward,
        fc=nn.Linear(32, 256),
        convs=convs,
        norm=nn.InstanceNorm2d(16),
        scales=nn.ModuleList([nn.Linear(32, 16) for _ in range(2)]),
        shifts=nn.ModuleList([nn.Linear(32, 16) for _ in range(2)]),
        rgb=nn.Conv2d(16, 3, 3, padding=1),
    )


@case((1, 12))
def stylegan_like():
    class Block(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.conv, self.style = nn.Conv2d(c, c, 3, padding=1), nn.Linear(12, 2 * c)
            self.norm, self.noise = nn.InstanceNorm2d(c), nn.Parameter(torch.randn(1, 1, 8, 8))

        def forward(self, x, w):
            s, b = self.style(w).unsqueeze(2).unsqueeze(3).chunk(2, 1)
            return F.leaky_relu(self.norm(self.conv(x) + self.noise) * (s + 1) + b, 0.2)

    def forward(s, z):
        w = s.mapping(z)
        x = s.const.repeat(z.shape[0], 1, 1, 1)
        for block in s.blocks:
            x = block(x, w)
        return torch.sigmoid(s.rgb(F.interpolate(x, size=(20, 20), mode="bicubic")))

    net = Of(
        forward,
        mapping=nn.Sequential(nn.Linear(12, 12), nn.LeakyReLU(0.2)),
        blocks=nn.ModuleList([Block(6), Block(6)]),
        rgb=nn.Conv2d(6, 3, 1),
    )
    net.const = nn.Parameter(torch.randn(1, 6, 8, 8))
    return net


@case((1, 16))
def progressive_gan():
    class PixelNorm(nn.Module):
        def forward(self, x):
            return x * torch.rsqrt(torch.mean(x * x, dim=1, keepdim=True) + 1e-8)

    class Old(nn.Module):
        def forward(self, x):
            return x / torch.sqrt((x**2).mean(dim=1, keepdim=True) + 1e-8)

    return nn.Sequential(
        PixelNorm(),
        nn.Linear(16, 128),
        nn.Unflatten(1, (8, 4, 4)),
        nn.LeakyReLU(0.2),
        Old(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.LeakyReLU(0.2),
        PixelNorm(),
        nn.Conv2d(8, 3, 1),
    )


@case((1, 10))
def normalized_vectors():
    return Of(
        lambda s, x: s.c(F.normalize(s.b(s.a(x)), dim=1)),
        a=nn.Linear(10, 12),
        b=nn.RMSNorm(12),
        c=nn.Linear(12, 3),
    )


@case((1, 20), constants=(torch.tensor([3]),))
def conditional_generator():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.label, self.fc = nn.Embedding(10, 6), nn.Linear(26, 64)
            self.up = nn.ConvTranspose2d(4, 1, 4, 2, 1)

        def forward(self, z, y):
            x = torch.relu(self.fc(torch.cat([z, self.label(y)], dim=1)))
            return torch.tanh(self.up(x.view(-1, 4, 4, 4)))

    return Net()


@case((1, 8, 8), integers=16)
def code_decoder():
    def forward(s, x):
        x = s.codes(x).permute(0, 3, 1, 2)
        return torch.sigmoid(s.up(x))

    return Of(forward, codes=nn.Embedding(16, 6), up=nn.ConvTranspose2d(6, 3, 4, 4))


# ---- snnTorch ---------------------------------------------------------------------------------


def spiking(module, gain=3.0):
    """Weights that make layers fire."""
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            m.weight.data *= gain
    return module


@case((1, 784), picture=(1, 28, 28))
def snn_tutorial_5():
    import snntorch as snn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(784, 50)
            self.lif1 = snn.Leaky(beta=0.95)
            self.fc2 = nn.Linear(50, 10)
            self.lif2 = snn.Leaky(beta=0.95)

        def forward(self, x):
            mem1 = self.lif1.init_leaky()
            mem2 = self.lif2.init_leaky()
            spk2_rec = []
            mem2_rec = []
            for step in range(25):
                cur1 = self.fc1(x)
                spk1, mem1 = self.lif1(cur1, mem1)
                cur2 = self.fc2(spk1)
                spk2, mem2 = self.lif2(cur2, mem2)
                spk2_rec.append(spk2)
                mem2_rec.append(mem2)
            return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)

    return spiking(Net())


@case((1, 784), picture=(1, 28, 28), output=1)
def snn_tutorial_5_membrane():
    return snn_tutorial_5()


@case((1, 1, 28, 28), T=20)
def snn_tutorial_6():
    import snntorch as snn
    from snntorch import surrogate

    grad = surrogate.fast_sigmoid(slope=25)
    return spiking(
        nn.Sequential(
            nn.Conv2d(1, 12, 5),
            nn.MaxPool2d(2),
            snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True),
            nn.Conv2d(12, 24, 5),
            nn.MaxPool2d(2),
            snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True),
            nn.Flatten(),
            nn.Linear(24 * 4 * 4, 10),
            snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True, output=True),
        )
    )


@case((1, 1, 28, 28))
def snn_tutorial_6_class():
    import snntorch as snn

    def forward(s, x):
        mem1, mem2, mem3 = s.lif1.init_leaky(), s.lif2.init_leaky(), s.lif3.init_leaky()
        out = []
        for _ in range(12):
            spk1, mem1 = s.lif1(F.max_pool2d(s.conv1(x), 2), mem1)
            spk2, mem2 = s.lif2(F.max_pool2d(s.conv2(spk1), 2), mem2)
            spk3, mem3 = s.lif3(s.fc1(spk2.view(x.size(0), -1)), mem3)
            out.append(spk3)
        return torch.stack(out).sum(0)

    return spiking(
        Of(
            forward,
            conv1=nn.Conv2d(1, 8, 5),
            lif1=snn.Leaky(beta=0.5, threshold=0.5),
            conv2=nn.Conv2d(8, 16, 5),
            lif2=snn.Leaky(beta=0.5, reset_mechanism="zero"),
            fc1=nn.Linear(256, 10),
            lif3=snn.Leaky(beta=0.9, reset_delay=False),
        )
    )


@case((1, 20))
def snn_learned_constants():
    import snntorch as snn

    return spiking(
        nn.Sequential(
            nn.Linear(20, 30),
            snn.Leaky(
                beta=torch.rand(30),
                threshold=torch.rand(30) + 0.5,
                learn_beta=True,
                init_hidden=True,
            ),
            nn.Linear(30, 24),
            snn.Synaptic(alpha=0.8, beta=torch.rand(24), init_hidden=True),
            nn.Linear(24, 16),
            snn.Lapicque(beta=0.7, threshold=0.6, init_hidden=True),
            nn.Linear(16, 12),
            snn.Leaky(beta=1.2, reset_mechanism="none", init_hidden=True),
        )
    ), dict(T=15)


@case((1, 3, 16, 16))
def snn_channels():
    import snntorch as snn

    return spiking(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            snn.Leaky(
                beta=torch.rand(6, 1, 1), threshold=torch.rand(6, 1, 1) + 0.3, init_hidden=True
            ),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 8, 3),
            snn.Synaptic(
                alpha=torch.rand(8, 1, 1), beta=0.8, reset_mechanism="zero", init_hidden=True
            ),
            nn.Flatten(),
            nn.Linear(288, 5),
            snn.Leaky(beta=torch.rand(5), init_hidden=True),
        )
    ), dict(T=10)


@case((1, 20))
def snn_synaptic_loop():
    import snntorch as snn

    def forward(s, x):
        syn1, mem1 = s.lif1.init_synaptic()
        syn2, mem2 = s.lif2.init_synaptic()
        spk_rec = torch.zeros(15, x.shape[0], 8)
        for t in range(15):
            spk1, syn1, mem1 = s.lif1(s.fc1(x), syn1, mem1)
            spk2, syn2, mem2 = s.lif2(s.fc2(spk1), syn2, mem2)
            spk_rec[t] = spk2
        return spk_rec.mean(0)

    return spiking(
        Of(
            forward,
            fc1=nn.Linear(20, 30),
            lif1=snn.Synaptic(alpha=0.9, beta=0.8),
            fc2=nn.Linear(30, 8),
            lif2=snn.Synaptic(alpha=0.5, beta=0.9),
        )
    )


@case((1, 20))
def snn_recurrent():
    import snntorch as snn

    def forward(s, x):
        spk1, mem1 = s.lif1.init_rleaky()
        spk2, syn2, mem2 = s.lif2.init_rsynaptic()
        spk3, mem3 = s.lif3.init_rleaky()
        out = 0
        for _ in range(12):
            spk1, mem1 = s.lif1(s.fc1(x), spk1, mem1)
            spk2, syn2, mem2 = s.lif2(s.fc2(spk1), spk2, syn2, mem2)
            spk3, mem3 = s.lif3(s.fc3(spk2), spk3, mem3)
            out = out + spk3
        return out / 12

    return spiking(
        Of(
            forward,
            fc1=nn.Linear(20, 30),
            fc2=nn.Linear(30, 16),
            fc3=nn.Linear(16, 6),
            lif1=snn.RLeaky(beta=0.8, linear_features=30),
            lif2=snn.RSynaptic(alpha=0.7, beta=0.8, linear_features=16),
            lif3=snn.RLeaky(beta=0.8, all_to_all=False, V=torch.rand(6)),
        )
    )


@case((1, 2, 12, 12))
def snn_recurrent_conv():
    import snntorch as snn

    return spiking(
        nn.Sequential(
            nn.Conv2d(2, 4, 3),
            snn.RLeaky(beta=0.6, conv2d_channels=4, kernel_size=3, init_hidden=True),
            nn.Flatten(),
            nn.Linear(400, 4),
            snn.RLeaky(beta=0.6, all_to_all=False, V=0.5, init_hidden=True),
        ),
        2.0,
    ), dict(T=8)


@case((1, 10))
def snn_residual_and_membrane():
    import snntorch as snn

    def forward(s, x):
        mem1, mem2, mem3 = s.lif1.reset_mem(), s.lif2.reset_mem(), s.out.reset_mem()
        rec = []
        for t in range(10):
            spk1, mem1 = s.lif1(s.fc1(x), mem1)
            spk2, mem2 = s.lif2(s.fc2(spk1) + spk1 * 0.5, mem2)
            _, mem3 = s.out(s.fc3(torch.cat([spk1, spk2], -1)), mem3)
            rec.append(mem3)
        return torch.stack(rec).mean(dim=0)

    return spiking(
        Of(
            forward,
            fc1=nn.Linear(10, 12),
            fc2=nn.Linear(12, 12),
            fc3=nn.Linear(24, 3),
            lif1=snn.Leaky(beta=0.8),
            lif2=snn.Leaky(beta=0.7),
            out=snn.Leaky(beta=0.9, reset_mechanism="none"),
        )
    )


@case((6, 1, 10))
def snn_input_over_time():
    import snntorch as snn

    def forward(s, x):
        mem, out = s.lif.init_leaky(), []
        for t in range(x.size(0)):
            spk, mem = s.lif(s.fc(x[t]), mem)
            out.append(spk)
        return torch.stack(out)

    return spiking(Of(forward, fc=nn.Linear(10, 6), lif=snn.Leaky(beta=0.9)))


@case((1, 1, 12, 12))
def snn_reset_inside():
    import snntorch as snn
    from snntorch import utils

    def forward(s, x):
        utils.reset(s.net)
        spk_rec, mem_rec = [], []
        for _ in range(9):
            spk, mem = s.net(x)
            spk_rec.append(spk)
            mem_rec.append(mem)
        return torch.stack(spk_rec).mean(0), torch.stack(mem_rec)

    net = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        snn.Leaky(beta=0.8, init_hidden=True),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(150, 4),
        snn.Leaky(beta=0.8, init_hidden=True, output=True),
    )
    return spiking(Of(forward, net=net))


@case((1, 1, 12, 12))
def sj_single_steps_inside():
    from spikingjelly.activation_based import functional, layer, neuron

    def forward(s, x):
        functional.reset_net(s)
        y = s.body(x)
        for _ in range(s.T - 1):
            y += s.body(x)
        return y / s.T

    body = nn.Sequential(
        layer.Conv2d(1, 6, 3),
        neuron.LIFNode(),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(150, 4),
        neuron.IFNode(v_reset=None),
    )
    return spiking(Of(forward, body=body, T=7))


@case((1, 9, 10))
def snn_batch_first_sequence():
    import snntorch as snn

    def forward(s, x):
        mem, out = s.lif.init_leaky(), []
        for t in range(x.shape[1]):
            spk, mem = s.lif(s.fc(x[:, t]), mem)
            out.append(spk)
        return torch.stack(out, dim=1)

    return spiking(Of(forward, fc=nn.Linear(10, 6), lif=snn.Leaky(beta=0.9)))


@case((1, 12, 10))
def snn_normalized_sequence():
    import snntorch as snn

    def forward(s, x):
        x = s.norm(x.transpose(1, 2)).permute(2, 0, 1)
        spk, mem = s.lif.init_rleaky()
        out, sum_of = s.out.init_leaky(), 0.0
        for x_t in x:
            spk, mem = s.lif(s.fc(x_t), spk, mem)
            _, out = s.out(s.fc2(spk), out)
            sum_of = sum_of + out
        return sum_of / x.shape[0]

    return spiking(
        Of(
            forward,
            norm=nn.BatchNorm1d(10),
            fc=nn.Linear(10, 8),
            lif=snn.RLeaky(beta=0.9, linear_features=8, reset_mechanism="zero"),
            fc2=nn.Linear(8, 4),
            out=snn.Leaky(beta=0.95, reset_mechanism="none"),
        )
    )


@case((1, 9, 10))
def snn_whole_sequence_first():
    import snntorch as snn

    def forward(s, x):
        x, mem, out = s.fc(x), s.lif.init_leaky(), []
        for t in range(x.shape[1]):
            spk, mem = s.lif(x[:, t], mem)
            out.append(spk)
        return torch.stack(out)

    return spiking(Of(forward, fc=nn.Linear(10, 6), lif=snn.Leaky(beta=0.9)))


@case((1, 10, 9))
def snn_time_last():
    import snntorch as snn

    def forward(s, x):
        mem, out = s.lif.init_leaky(), []
        for t in range(x.shape[-1]):
            spk, mem = s.lif(s.fc(x[..., t]), mem)
            out.append(spk)
        return torch.stack(out)

    return spiking(Of(forward, fc=nn.Linear(10, 6), lif=snn.Leaky(beta=0.9)))


@case((4, 7, 2, 8, 8))
def sj_events_batch_first():
    from spikingjelly.activation_based import functional, layer, neuron

    def forward(s, x):
        functional.reset_net(s)
        return s.net(x.transpose(0, 1)).mean(0)

    net = nn.Sequential(
        layer.Conv2d(2, 4, 3),
        neuron.LIFNode(),
        layer.Flatten(),
        layer.Linear(144, 5),
        neuron.LIFNode(),
    )
    functional.set_step_mode(net, "m")
    return spiking(Of(forward, net=net))


@case((1, 1, 28, 28))
def snn_population_code():
    import snntorch as snn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(784, 60), nn.Linear(60, 40)])
            self.lifs = nn.ModuleList(
                [
                    snn.Leaky(beta=0.9, learn_beta=True),
                    snn.Leaky(beta=torch.rand(40), learn_threshold=True),
                ]
            )

        def forward(self, x):
            x, rec = x.flatten(1), []
            mems = [lif.init_leaky() for lif in self.lifs]
            for _ in range(10):
                h = x
                for i, (fc, lif) in enumerate(zip(self.layers, self.lifs)):
                    h, mems[i] = lif(fc(h), mems[i])
                rec.append(h)
            return torch.stack(rec, dim=1).sum(dim=1).view(x.size(0), 10, 4).sum(-1)

    return spiking(Net())


@case((1, 1, 28, 28), T=20, flip=1)
def snn_one_spike_of_rounding():
    """A first probe on which one spike differs: the next one decides."""
    return snn_tutorial_6()


@case((1, 1, 28, 28), T=20, flip=1000, refused="DIFFERS")
def snn_many_spikes_differ():
    return snn_tutorial_6()


@case((1, 10), refused="step 8 alone, of 8")
def snn_last_membrane():
    import snntorch as snn

    def forward(s, x):
        mem = s.lif.init_leaky()
        for _ in range(8):
            spk, mem = s.lif(s.fc(x), mem)
        return mem

    return spiking(Of(forward, fc=nn.Linear(10, 6), lif=snn.Leaky(beta=0.9)))


@case((1, 9, 10), refused="step 9 alone, of 9")
def snn_last_step_of_a_sequence():
    import snntorch as snn

    def forward(s, x):
        mem, out = s.lif.init_leaky(), []
        for t in range(x.shape[1]):
            spk, mem = s.lif(s.fc(x[:, t]), mem)
            out.append(spk)
        return torch.stack(out)[-1]

    return spiking(Of(forward, fc=nn.Linear(10, 6), lif=snn.Leaky(beta=0.9)))


@case((1, 10), refused="Alpha")
def snn_alpha():
    import snntorch as snn

    return nn.Sequential(
        nn.Linear(10, 4), snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True)
    ), dict(T=4)


@case((1, 10), refused="change")
def snn_batchnorm_through_time():
    import snntorch as snn
    from snntorch import functional  # noqa: F401
    from snntorch._layers.bntt import BatchNormTT1d

    def forward(s, x):
        mem, out = s.lif.init_leaky(), []
        for t in range(4):
            spk, mem = s.lif(s.norm[t](s.fc(x)), mem)
            out.append(spk)
        return torch.stack(out)

    net = Of(forward, fc=nn.Linear(10, 6), norm=BatchNormTT1d(6, 4), lif=snn.Leaky(beta=0.9))
    for k, m in enumerate(net.norm):
        m.running_mean += k
    return net


@case((1, 10), refused="inhibition")
def snn_inhibition():
    import snntorch as snn

    return nn.Sequential(
        nn.Linear(10, 4), snn.Leaky(beta=0.9, inhibition=True, init_hidden=True)
    ), dict(T=4)


@case((1, 10))
def snn_feedback_by_hand():
    import snntorch as snn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.back, self.lif = (
                nn.Linear(10, 8),
                nn.Linear(8, 8),
                snn.Leaky(beta=0.9),
            )
            self.fc2, self.lif2 = nn.Linear(8, 6), snn.Leaky(beta=0.8)
            self.back2 = nn.Linear(6, 6, bias=False)

        def forward(self, x):
            mem, mem2 = self.lif.init_leaky(), self.lif2.init_leaky()
            spk, spk2 = torch.zeros(x.shape[0], 8), torch.zeros(x.shape[0], 6)
            out = []
            for _ in range(12):
                spk, mem = self.lif(self.fc(x) + self.back(spk), mem)
                spk2, mem2 = self.lif2(self.back2(spk2) + self.fc2(spk), mem2)
                out.append(mem2)
            return torch.stack(out)

    return spiking(Net())


@case((1, 2, 8, 8))
def snn_feedback_of_maps_and_own():
    import snntorch as snn

    def forward(s, x):
        mem, mem2 = s.lif.init_leaky(), s.lif2.init_leaky()
        spk, spk2, out = torch.zeros(x.shape[0], 4, 6, 6), torch.zeros(x.shape[0], 5), []
        for _ in range(9):
            spk, mem = s.lif(s.conv(x) + s.back(spk), mem)
            spk2, mem2 = s.lif2(s.fc(spk.flatten(1)) + spk2 * -0.5, mem2)
            out.append(spk2)
        return torch.stack(out).mean(0)

    return spiking(
        Of(
            forward,
            conv=nn.Conv2d(2, 4, 3),
            back=nn.Conv2d(4, 4, 3, padding=1),
            lif=snn.Leaky(beta=0.9),
            fc=nn.Linear(144, 5),
            lif2=snn.Leaky(beta=0.8),
        )
    )


@case((1, 10), refused="step before")
def snn_feedback_to_another_layer():
    import snntorch as snn

    def forward(s, x):
        mem, mem2 = s.lif.init_leaky(), s.lif2.init_leaky()
        spk2, out = torch.zeros(x.shape[0], 4), []
        for _ in range(4):
            spk, mem = s.lif(s.fc(x), mem)
            spk2, mem2 = s.lif2(torch.relu(s.fc2(spk) + s.back(spk2)), mem2)
            out.append(spk2)
        return torch.stack(out)

    return spiking(
        Of(
            forward,
            fc=nn.Linear(10, 4),
            fc2=nn.Linear(4, 4),
            back=nn.Linear(4, 4),
            lif=snn.Leaky(beta=0.9),
            lif2=snn.Leaky(beta=0.9),
        )
    )


@case((1, 10), refused="say how many")
def snn_without_T():
    import snntorch as snn

    return nn.Sequential(nn.Linear(10, 4), snn.Leaky(beta=0.9, init_hidden=True))


# ---- Norse ------------------------------------------------------------------------------------


@case((1, 1, 12, 12))
def norse_loop():
    import norse.torch as norse

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lif1 = nn.Conv2d(1, 6, 3), norse.LIFCell()
            self.fc, self.lif2 = nn.Linear(600, 8), norse.LIFBoxCell()
            self.out = norse.LICell()

        def forward(self, x):
            a = b = c = None
            seen = []
            for _ in range(15):
                z, a = self.lif1(self.conv(x) * 2, a)
                z, b = self.lif2(self.fc(z.flatten(1)), b)
                v, c = self.out(z, c)
                seen.append(v)
            return torch.stack(seen).mean(0)

    return spiking(Net(), 4.0)


@case((12, 1, 20))
def norse_sequence():
    import norse.torch as norse

    net = norse.SequentialState(nn.Linear(20, 16), norse.LIF(), nn.Linear(16, 4), norse.LIF())
    return spiking(net, 12.0)


# ---- SpikingJelly -----------------------------------------------------------------------------


@case((1, 1, 28, 28), T=10)
def sj_tutorial_lif_fc():
    from spikingjelly.activation_based import layer, neuron, surrogate

    return spiking(
        nn.Sequential(
            layer.Flatten(),
            layer.Linear(784, 10, bias=False),
            neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan()),
        )
    )


@case((1, 1, 28, 28))
def sj_tutorial_csnn():
    from spikingjelly.activation_based import functional, layer, neuron

    class CSNN(nn.Module):
        def __init__(self, T, channels):
            super().__init__()
            self.T = T
            self.conv_fc = nn.Sequential(
                layer.Conv2d(1, channels, kernel_size=3, padding=1, bias=False),
                layer.BatchNorm2d(channels),
                neuron.IFNode(),
                layer.MaxPool2d(2, 2),
                layer.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
                layer.BatchNorm2d(channels),
                neuron.IFNode(),
                layer.MaxPool2d(2, 2),
                layer.Flatten(),
                layer.Dropout(0.5),
                layer.Linear(channels * 7 * 7, channels * 4, bias=False),
                neuron.IFNode(),
                layer.Linear(channels * 4, 10, bias=False),
                neuron.IFNode(),
            )
            functional.set_step_mode(self, step_mode="m")

        def forward(self, x):
            x_seq = x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1)
            return self.conv_fc(x_seq).mean(0)

    return spiking(CSNN(4, 8))


@case((8, 1, 2, 16, 16))
def sj_dvs_net():
    from spikingjelly.activation_based import functional, layer, neuron

    net = nn.Sequential(
        layer.Conv2d(2, 8, 3, padding=1, bias=False),
        layer.BatchNorm2d(8),
        neuron.LIFNode(tau=1.5, decay_input=False, v_reset=None),
        layer.MaxPool2d(2, 2),
        layer.Flatten(),
        layer.Dropout(0.5),
        layer.Linear(512, 40),
        neuron.ParametricLIFNode(3.0),
        layer.Linear(40, 20),
        neuron.LIFNode(v_threshold=0.7, v_reset=-0.1),
        layer.VotingLayer(5),
    )
    functional.set_step_mode(net, "m")
    return spiking(net)


@case((1, 3, 16, 16))
def sj_containers():
    from spikingjelly.activation_based import layer, neuron

    def forward(s, x):
        x = s.stem(x)
        x = torch.stack([x] * 6)
        x = s.lif(s.body(x))
        return s.fc(x.flatten(2)).mean(0)

    return spiking(
        Of(
            forward,
            stem=nn.Conv2d(3, 6, 3),
            lif=neuron.ParametricLIFNode(step_mode="m"),
            body=layer.SeqToANNContainer(nn.Conv2d(6, 8, 3, 2), nn.BatchNorm2d(8)),
            fc=nn.Linear(8 * 36, 5),
        )
    )


@case((1, 3, 32, 32), T=3)
def sj_spiking_resnet18():
    from spikingjelly.activation_based import neuron, surrogate
    from spikingjelly.activation_based.model import spiking_resnet

    return spiking(
        settled(
            spiking_resnet.spiking_resnet18(
                spiking_neuron=neuron.LIFNode,
                surrogate_function=surrogate.ATan(),
                detach_reset=True,
            )
        ),
        4.0,
    )


@case((4, 1, 3, 32, 32))
def sj_sew_resnet18():
    from spikingjelly.activation_based import functional, neuron, surrogate
    from spikingjelly.activation_based.model import sew_resnet

    net = sew_resnet.sew_resnet18(
        cnf="ADD",
        spiking_neuron=neuron.IFNode,
        surrogate_function=surrogate.ATan(),
        num_classes=10,
    )
    functional.set_step_mode(net, "m")
    return spiking(settled(net), 1.5)


@case((1, 8), refused="QIFNode")
def sj_quadratic():
    from spikingjelly.activation_based import neuron

    return nn.Sequential(nn.Linear(8, 4), neuron.QIFNode()), dict(T=4)


# ---- NIR ----------------------------------------------------------------------------------------


def nir_case(refused=None, **options):
    """A function that makes a nir.NIRGraph from (nir, numpy)."""

    def put(f):
        CASES.append((f.__name__, f, None, refused, options))
        return f

    return put


@nir_case(dt=1e-4, T=30, reset="snntorch")
def nir_of_snntorch(nir, np):
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    net = spiking(
        nn.Sequential(
            nn.Linear(20, 30),
            snn.Leaky(beta=0.9 * torch.ones(30), threshold=torch.ones(30), init_hidden=True),
            nn.Linear(30, 8),
            snn.Synaptic(
                alpha=0.8 * torch.ones(8),
                beta=0.9 * torch.ones(8),
                threshold=torch.ones(8),
                init_hidden=True,
            ),
        )
    )
    return export_to_nir(net, torch.rand(20))


@nir_case(dt=1e-3, T=25)
def nir_conv(nir, np):
    r = np.random.default_rng(0)

    def few(*s):
        return (r.normal(size=s) * 0.4).astype(np.float32)

    one = np.ones((6, 14, 14))
    nodes = {
        "input": nir.Input(np.array([2, 16, 16])),
        "conv": nir.Conv2d((16, 16), few(6, 2, 3, 3), 1, 0, 1, 1, few(6)),
        "lif": nir.LIF(
            tau=one * 0.01,
            r=one * 8,
            v_leak=one * 0.1,
            v_threshold=one + 0.2 * few(6, 14, 14),
            v_reset=one * -0.1,
        ),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "conv2": nir.Conv2d((7, 7), few(6, 6, 3, 3), (2, 2), (1, 1), (1, 1), 1, few(6)),
        "if": nir.IF(r=np.full((6, 4, 4), 150.0), v_threshold=np.ones((6, 4, 4))),
        "avg": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten(np.array([6, 2, 2]), 0, -1),
        "fc": nir.Affine(few(5, 24), few(5)),
        "li": nir.LI(tau=np.full(5, 0.02), r=np.linspace(1, 2, 5), v_leak=np.zeros(5)),
        "output": nir.Output(np.array([5])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(zip(names, names[1:])), type_check=False)


@nir_case(dt=1e-3, T=25, reset="subtract")
def nir_recurrent(nir, np):
    r = np.random.default_rng(1)

    def few(*s):
        return r.normal(size=s).astype(np.float32)

    one = np.ones(12)
    nodes = {
        "input": nir.Input(np.array([7])),
        "fc": nir.Affine(few(12, 7), few(12)),
        "cuba": nir.CubaLIF(
            tau_syn=one * 0.005,
            tau_mem=one * np.linspace(0.01, 0.02, 12),
            r=one * 4,
            v_leak=one * 0,
            v_threshold=one,
            w_in=one * 2,
        ),
        "back": nir.Linear(few(12, 12) * 0.3),
        "scale": nir.Scale(np.linspace(0.5, 1, 12)),
        "fc2": nir.Linear(few(4, 12)),
        "lif": nir.LIF(np.full(4, 0.01), np.full(4, 5.0), np.zeros(4), np.ones(4)),
        "output": nir.Output(np.array([4])),
    }
    edges = [
        ("input", "fc"),
        ("fc", "cuba"),
        ("cuba", "back"),
        ("back", "cuba"),
        ("cuba", "scale"),
        ("scale", "fc2"),
        ("fc2", "lif"),
        ("lif", "lif"),
        ("lif", "output"),
    ]
    return nir.NIRGraph(nodes, edges, type_check=False)


@nir_case(dt=1e-3, T=12)
def nir_grouped_and_oblong(nir, np):
    """The package's own inference of shapes is wrong for both; it must not matter."""
    r = np.random.default_rng(5)

    def few(*s):
        return r.normal(size=s).astype(np.float32)

    nodes = {
        "input": nir.Input(np.array([2, 9, 11])),
        "conv": nir.Conv2d((9, 11), few(4, 1, 3, 2), (2, 1), (1, 0), (1, 2), 2, few(4)),
        "if": nir.IF(r=np.full((4, 5, 9), 200.0), v_threshold=np.ones((4, 5, 9))),
        "output": nir.Output(np.array([4, 5, 9])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(zip(names, names[1:])), type_check=False)


@nir_case(refused="continuous time")
def nir_without_dt(nir, np):
    return nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), type_check=False)


@nir_case(dt=1e-3, refused="no v_reset", drop="v_reset")
def nir_without_reset(nir, np):
    return nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), nir.IF(np.ones(2), np.ones(2)))


@nir_case(dt=1e-3, refused="Delay")
def nir_delay(nir, np):
    return nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), nir.Delay(np.ones(2)))


def run_nir(name, build, refused, options, folder):
    """The graph as a file, to MANGO, to NIR again and once more to MANGO: the same text."""
    options = dict(options)
    try:
        import mango_nir
        import nir
        import numpy as np

        graph = build(nir, np)
    except ImportError as e:
        return "skip (%s)" % e
    first, out, second = [
        os.path.join(folder, name + z) for z in (".nir", ".safetensors", ".2.nir")
    ]
    nir.write(first, graph)
    drop = options.pop("drop", None)
    if drop:
        import h5py

        with h5py.File(first, "r+") as f:
            for node in f["node/nodes"].values():
                if drop in node:
                    del node[drop]
    try:
        r = mango_nir.from_nir(first, out, quiet=True, **options)
    except mango_export.ExportError as e:
        return "ok, refused: %s" % e if refused and refused in str(e) else "FAIL %s" % e
    if refused or not r["checked"]:
        return "FAIL %s" % ("it should be refused" if refused else "not compared: no `mango`")
    if r["spikes"] and not r["fired"]:
        return "FAIL nothing fires: it shows nothing"
    said = "ok %4d layers  T %-3d  difference %.1e  %d of %d fire, %d differ" % (
        r["layers"],
        r["T"],
        r["difference"],
        r["fired"],
        r["spikes"],
        r["flipped"],
    )
    try:
        mango_nir.to_nir(out, second, options["dt"], soft=True)
        mango_nir.from_nir(second, out, T=r["T"], quiet=True)
        return said + "; and back"
    except mango_export.ExportError as e:
        return said + "; back: %s" % e


# ---- what is refused, and how -----------------------------------------------------------------


@case((1, 3, 8, 8))
def autograd_function():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

    def forward(s, x):
        return s.conv(Double.apply(x))

    return Of(forward, conv=nn.Conv2d(3, 4, 3))


@torch.jit.script
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2 + 1


@case((1, 3, 8, 8))
def scripted_function():
    return Of(lambda s, x: s.conv(twice(x)), conv=nn.Conv2d(3, 4, 3))


@case((1, 3, 8, 8), refused="not the same for another input")
def computed_by_numpy():
    def forward(s, x):
        y = s.conv(x)
        return y + torch.from_numpy(y.numpy().mean((0, 2, 3)))[:, None, None]

    return Of(forward, conv=nn.Conv2d(3, 4, 3))


@case((1, 3, 8, 8), refused="another way")
def scaled_by_a_number():
    def forward(s, x):
        y = s.conv(x)
        return y / float(y.max())

    return Of(forward, conv=nn.Conv2d(3, 4, 3))


@case((1, 3, 8, 8), refused="conv (Of): sort")
def unknown_function():
    def inner(s, x):
        return torch.sort(x, dim=1)[0]

    return Of(lambda s, x: s.conv(x), conv=Of(inner))


@case((1, 3, 8, 8), refused="batch itself")
def batch_statistics():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))


@case((1, 3, 8, 8), refused="another way")
def decided_by_values():
    def forward(s, x):
        return torch.relu(s.conv(x)) if float(x[0, 0, 0, 0]) > 0.5 else s.conv(x) * 0.5

    return Of(forward, conv=nn.Conv2d(3, 4, 3))


@case((1, 3, 8, 8), refused="another way")
def halved_until_small():
    """Bright inputs, as random ones are, all take the same number of rounds."""

    def forward(s, x):
        y = s.conv(x)
        while y.abs().mean() > 0.05:
            y = y * 0.5
        return y

    net = Of(forward, conv=nn.Conv2d(3, 4, 3, padding=1))
    net.conv.bias.data.zero_()
    return net


@case((1, 10), refused="lstm")
def recurrent_lstm():
    def forward(s, x):
        return s.lstm(x.unsqueeze(1))[0]

    return Of(forward, lstm=nn.LSTM(10, 4, batch_first=True))


# ---- the run ----------------------------------------------------------------------------------


@contextlib.contextmanager
def flipped(spikes):
    """The command's first answer with so many spikes of one layer turned over."""
    real, calls = mango_export.run_mango, []

    def wrong(*args):
        have = real(*args)
        if not calls:
            name = [k for k in have if k.endswith(".spikes")][0]
            x = have[name] = have[name].clone()
            x.view(-1)[:spikes] = 1 - x.view(-1)[:spikes]
        calls.append(1)
        return have

    mango_export.run_mango = wrong if spikes else real
    try:
        yield
    finally:
        mango_export.run_mango = real


def run(name, build, example, refused, options, folder):
    """ "ok ..", "skip ..", or "FAIL .."."""
    torch.manual_seed(1)
    options = dict(options)
    try:
        made = build()
    except ImportError as e:
        return "skip (%s)" % e
    if isinstance(made, tuple):
        made, more = made
        options.update(more)
    integers, spikes = options.pop("integers", None), options.pop("flip", 0)
    x = torch.randint(0, integers, example) if integers else torch.rand(example)
    constants = options.pop("constants", ())
    x = (x, *constants) if constants else x
    path = os.path.join(folder, name + ".safetensors")
    try:
        with flipped(spikes):
            r = mango_export.export(settled(made), x, path, quiet=True, **options)
    except mango_export.ExportError as e:
        if refused and refused in str(e) and not os.path.exists(path):
            return "ok, refused: %s" % e
        return "FAIL %s" % e
    if refused:
        return "FAIL exported, but it should be refused (%s)" % refused
    if not r["checked"]:
        return "FAIL not compared: no command `mango`"
    if r["spikes"] and not r["fired"]:
        return "FAIL nothing fires: it shows nothing"
    return "ok %4d layers  T %-3d  difference %.1e  %s" % (
        r["layers"],
        r["T"],
        r["difference"],
        (
            "%d of %d fire, %d differ" % (r["fired"], r["spikes"], r["flipped"])
            if r["spikes"]
            else ""
        ),
    )


def main(words):
    torch.set_num_threads(1)
    failed = skipped = passed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, *rest in CASES:
            if words and not any(w in name for w in words):
                continue
            try:
                if name.startswith("nir_"):
                    said = run_nir(name, rest[0], rest[2], rest[3], folder)
                else:
                    said = run(name, *rest, folder)
            except Exception:
                said = "FAIL " + traceback.format_exc()
            failed += said.startswith("FAIL")
            skipped += said.startswith("skip")
            passed += said.startswith("ok")
            print("%-28s %s" % (name, said), flush=True)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed + skipped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
