/* zoo_densenet.c - DenseNet (Huang 2016): 121, 161, 169, 201, names as in torchvision.
 * Each dense layer appends `growth` channels to what it was given. The stem is 3x3, for
 * pictures of 32x32; stem=7: 7x7/2, torchvision's.
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

/* x joined with conv2(relu(norm2(conv1(relu(norm1(x)))))). */
static int densenet_layer(mango_net *n, int x, const char *p, mango_idx growth)
{
    mgi_zoo_label b;
    int h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.norm1", p), MGI_BATCHNORM, x);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu1", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.conv1", p), MGI_CONV, h,
                     "out=%td kernel=1 bias=0", 4 * growth);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.norm2", p), MGI_BATCHNORM, h);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu2", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.conv2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 bias=0", growth);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.cat", p), MGI_CONCAT, x, h);
}

/* Halves channels and size. */
static int densenet_transition(mango_net *n, int x, const char *p)
{
    mgi_zoo_label b;
    const mango_idx C = x < 0 ? 1 : n->node[x].C;
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s.norm", p), MGI_BATCHNORM, x);
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu", p), MGI_RELU, x);
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.conv", p), MGI_CONV, x,
                     "out=%td kernel=1 bias=0", C / 2);
    return mgi_net_add1(n, mgi_zoo_name(&b, "%s.pool", p), MGI_AVGPOOL, x, "kernel=2");
}

MGI_FN void mgi_zoo_densenet(mango_net *n, const mgi_zoo *z)
{
    const int *layers = z->plan;
    const mango_idx growth = mgi_zoo_wide(z, z->plan[4]);
    mgi_zoo_label b;
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "features.conv0", MGI_CONV, x,
                     z->stem == 7 ? "out=%td kernel=7 stride=2 pad=3 bias=0"
                                  : "out=%td kernel=3 pad=1 bias=0",
                     2 * growth);
    x = mgi_net_plain(n, "features.norm0", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "features.relu0", MGI_RELU, x);
    x = mgi_net_add1(n, "features.pool0", MGI_MAXPOOL, x, "kernel=3 stride=2 pad=1");
    for (int i = 1; i <= 4; i++) {
        for (int k = 1; k <= layers[i - 1]; k++)
            x = densenet_layer(
                n, x, mgi_zoo_name(&b, "features.denseblock%d.denselayer%d", i, k), growth);
        if (i < 4)
            x = densenet_transition(n, x, mgi_zoo_name(&b, "features.transition%d", i));
    }
    x = mgi_net_plain(n, "features.norm5", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "relu", MGI_RELU, x);
    x = mgi_net_plain(n, "avgpool", MGI_GLOBALAVG, x);
    mgi_net_add1(n, "classifier", MGI_LINEAR, x, "out=%td", z->classes);
}
