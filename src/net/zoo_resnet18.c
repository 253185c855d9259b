/* zoo_resnet18.c - residual networks (He 2015) and their spiking twins.
 *
 *   resnet18, 34          blocks of two 3x3; 50, 101, 152: of 1x1, 3x3, 1x1 to 4 C
 *   resnetN               stem 3x3; blocks with ReLU; global average; linear
 *   resnetN,stem=7        stem 7x7/2 and max-pool 3x3/2, names as in torchvision
 *   spiking_resnetN       the same (SpikingJelly's), a LIF layer in place of each
 *                         ReLU; fc, read as mean over T; stem=3: 3x3 and no pool
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

/* What differs between the two. */
typedef struct resnet_style {
    int spiking;
    const char *shortcut; /* name of a block's 1x1 path: PREFIX.SHORTCUT.0 and .1 */
    const char *lif;      /* attributes of LIF layers                             */
} resnet_style;

/* ReLU or LIF, named PREFIX + relu1 or sn1. */
static int resnet_act(mango_net *n, int x, const char *p, const char *k,
                      const resnet_style *s)
{
    mgi_zoo_label b;
    return s->spiking
               ? mgi_net_add1(n, mgi_zoo_name(&b, "%ssn%s", p, k), MGI_LIF, x, "%s", s->lif)
               : mgi_net_plain(n, mgi_zoo_name(&b, "%srelu%s", p, k), MGI_RELU, x);
}

static int resnet_shortcut(mango_net *n, int x, const char *p, mango_idx C, int stride,
                           const resnet_style *s)
{
    mgi_zoo_label b;
    if (stride == 1 && (x < 0 || n->node[x].C == C))
        return x;
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s%s.0", p, s->shortcut), MGI_CONV, x,
                     "out=%td kernel=1 stride=%d bias=0", C, stride);
    return mgi_net_plain(n, mgi_zoo_name(&b, "%s%s.1", p, s->shortcut), MGI_BATCHNORM, x);
}

/* The two ways to C channels: 3x3, 3x3, or 1x1, 3x3, 1x1 to four times as many. */
static int resnet_conv(mango_net *n, int x, const char *p, int k, mango_idx C, int kernel,
                       int stride)
{
    mgi_zoo_label b;
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%sconv%d", p, k), MGI_CONV, x,
                     "out=%td kernel=%d stride=%d pad=%d bias=0", C, kernel, stride,
                     kernel / 2);
    return mgi_net_plain(n, mgi_zoo_name(&b, "%sbn%d", p, k), MGI_BATCHNORM, x);
}

static int resnet_bottleneck(mango_net *n, int x, const char *p, mango_idx C, int stride,
                             const resnet_style *s)
{
    mgi_zoo_label b;
    int h = resnet_act(n, resnet_conv(n, x, p, 1, C, 1, 1), p, "1", s);
    h = resnet_act(n, resnet_conv(n, h, p, 2, C, 3, stride), p, "2", s);
    h = resnet_conv(n, h, p, 3, 4 * C, 1, 1);
    x = resnet_shortcut(n, x, p, 4 * C, stride, s);
    h = mgi_zoo_join(n, mgi_zoo_name(&b, "%sadd", p), MGI_ADD, h, x);
    return resnet_act(n, h, p, "3", s);
}

static int resnet_block(mango_net *n, int x, const char *p, mango_idx C, int stride,
                        const resnet_style *s)
{
    mgi_zoo_label b;
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%sconv1", p), MGI_CONV, x,
                         "out=%td kernel=3 stride=%d pad=1 bias=0", C, stride);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%sbn1", p), MGI_BATCHNORM, h);
    h = resnet_act(n, h, p, "1", s);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%sconv2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 bias=0", C);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%sbn2", p), MGI_BATCHNORM, h);
    x = resnet_shortcut(n, x, p, C, stride, s);
    h = mgi_zoo_join(n, mgi_zoo_name(&b, "%sadd", p), MGI_ADD, h, x);
    return resnet_act(n, h, p, "2", s);
}

/* layer1..layer4; all but the first halve the size. plan: blocks of each, then 1 for
 * bottlenecks. */
static int resnet_layers(mango_net *n, int x, const mgi_zoo *z, const resnet_style *s)
{
    mgi_zoo_label b;
    for (int layer = 1; layer <= 4; layer++)
        for (int k = 0; k < z->plan[layer - 1]; k++) {
            const char *p = mgi_zoo_name(&b, "layer%d.%d.", layer, k);
            const mango_idx C = mgi_zoo_wide(z, 32 << layer);
            const int stride = layer > 1 && k == 0 ? 2 : 1;
            x = z->plan[4] ? resnet_bottleneck(n, x, p, C, stride, s)
                           : resnet_block(n, x, p, C, stride, s);
        }
    return x;
}

/* Stem of 7x7/2 and max-pool 3x3/2, or of 3x3, before the blocks, fc behind them. */
static void resnet_torchvision(mango_net *n, const mgi_zoo *z, const resnet_style *s)
{
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    if (z->stem == 3)
        x = mgi_net_add1(n, "conv1", MGI_CONV, x, "out=%td kernel=3 pad=1 bias=0",
                         mgi_zoo_wide(z, 64));
    else
        x = mgi_net_add1(n, "conv1", MGI_CONV, x, "out=%td kernel=7 stride=2 pad=3 bias=0",
                         mgi_zoo_wide(z, 64));
    x = mgi_net_plain(n, "bn1", MGI_BATCHNORM, x);
    x = s->spiking ? resnet_act(n, x, "", "1", s) : mgi_net_plain(n, "relu", MGI_RELU, x);
    if (z->stem != 3)
        x = mgi_net_add1(n, "maxpool", MGI_MAXPOOL, x, "kernel=3 stride=2 pad=1");
    x = resnet_layers(n, x, z, s);
    x = mgi_net_plain(n, "avgpool", MGI_GLOBALAVG, x);
    mgi_net_add1(n, "fc", MGI_LINEAR, x, "out=%td", z->classes);
}

MGI_FN void mgi_zoo_resnet(mango_net *n, const mgi_zoo *z)
{
    const resnet_style small = {0, "shortcut", ""}, large = {0, "downsample", ""};
    if (z->stem == 7) {
        resnet_torchvision(n, z, &large);
        return;
    }
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "conv1", MGI_CONV, x, "out=%td kernel=3 pad=1 bias=0",
                     mgi_zoo_wide(z, 64));
    x = mgi_net_plain(n, "bn1", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "relu", MGI_RELU, x);
    x = resnet_layers(n, x, z, &small);
    x = mgi_net_plain(n, "avgpool", MGI_GLOBALAVG, x);
    mgi_net_add1(n, "linear", MGI_LINEAR, x, "out=%td", z->classes);
}

MGI_FN void mgi_zoo_spiking_resnet(mango_net *n, const mgi_zoo *z)
{
    const resnet_style s = {1, "downsample", z->lif};
    resnet_torchvision(n, z, &s);
}
