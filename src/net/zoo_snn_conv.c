/* zoo_snn_conv.c - a small spiking convolutional network in snnTorch's style.
 *
 *   conv0 5x5 - pool0 3x3/2 - spiking0 - conv1 5x5 - pool1 2x2 - spiking1
 *   - linear1 - spiking2 - linear2 - relu0 - final_spiking
 *
 * The first pool is 3x3, stride 2, padding 1: in the source's definition its
 * name is used twice, and the later line replaces the earlier, in its place.
 * Parameters carry the prefix "features.".
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

static int snn_lif(mango_net *n, int x, const char *name, const mgi_zoo *z)
{
    return mgi_net_add1(n, name, MGI_LIF, x, "%s param=features.%s", z->lif, name);
}

MGI_FN void mgi_zoo_snn_conv(mango_net *n, const mgi_zoo *z)
{
    const mango_idx c0 = mgi_zoo_wide(z, 200), c1 = mgi_zoo_wide(z, 64);
    const mango_idx hidden = z->hidden ? z->hidden : mgi_zoo_wide(z, 100);
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "conv0", MGI_CONV, x, "out=%td kernel=5 param=features.conv0", c0);
    x = mgi_net_add1(n, "pool0", MGI_MAXPOOL, x, "kernel=3 stride=2 pad=1");
    x = snn_lif(n, x, "spiking0", z);
    x = mgi_net_add1(n, "conv1", MGI_CONV, x, "out=%td kernel=5 param=features.conv1", c1);
    x = mgi_net_add1(n, "pool1", MGI_MAXPOOL, x, "kernel=2");
    x = snn_lif(n, x, "spiking1", z);
    x = mgi_net_add1(n, "linear1", MGI_LINEAR, x, "out=%td param=features.linear1", hidden);
    x = snn_lif(n, x, "spiking2", z);
    x = mgi_net_add1(n, "linear2", MGI_LINEAR, x, "out=%td param=features.linear2", z->classes);
    x = mgi_net_plain(n, "relu0", MGI_RELU, x);
    snn_lif(n, x, "final_spiking", z);
}
