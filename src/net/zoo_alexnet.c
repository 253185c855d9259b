/* zoo_alexnet.c - AlexNet in its one-tower form, as torchvision has it.
 * Layers are numbered as there; the dropouts, which do nothing, are left out.
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

/* features.K = conv, features.K+1 = its ReLU. */
static int alexnet_conv(mango_net *n, int x, int k, const char *attrs)
{
    mgi_zoo_label b;
    x = mgi_net_add1(n, mgi_zoo_name(&b, "features.%d", k), MGI_CONV, x, "%s", attrs);
    return mgi_net_plain(n, mgi_zoo_name(&b, "features.%d", k + 1), MGI_RELU, x);
}

static int alexnet_pool(mango_net *n, int x, int k)
{
    mgi_zoo_label b;
    return mgi_net_add1(n, mgi_zoo_name(&b, "features.%d", k), MGI_MAXPOOL, x,
                        "kernel=3 stride=2");
}

MGI_FN void mgi_zoo_alexnet(mango_net *n, const mgi_zoo *z)
{
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = alexnet_conv(n, x, 0, "out=64 kernel=11 stride=4 pad=2");
    x = alexnet_pool(n, x, 2);
    x = alexnet_conv(n, x, 3, "out=192 kernel=5 pad=2");
    x = alexnet_pool(n, x, 5);
    x = alexnet_conv(n, x, 6, "out=384 kernel=3 pad=1");
    x = alexnet_conv(n, x, 8, "out=256 kernel=3 pad=1");
    x = alexnet_conv(n, x, 10, "out=256 kernel=3 pad=1");
    x = alexnet_pool(n, x, 12);
    x = mgi_net_add1(n, "avgpool", MGI_ADAPTIVEAVG, x, "size=6x6");
    x = mgi_net_add1(n, "classifier.1", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.2", MGI_RELU, x);
    x = mgi_net_add1(n, "classifier.4", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.5", MGI_RELU, x);
    mgi_net_add1(n, "classifier.6", MGI_LINEAR, x, "out=%td", z->classes);
}
