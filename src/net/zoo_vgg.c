/* zoo_vgg.c - VGG-16 and VGG-19 without batch-norm, as torchvision has them.
 * Layers are numbered as there; the dropouts, which do nothing, are left out.
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

/* plan: channels of the 3x3 convolutions in order; 0 a max-pool, -1 the end. */
static void vgg_build(mango_net *n, const mgi_zoo *z, const int *plan)
{
    mgi_zoo_label b;
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    for (int k = 0; *plan >= 0; plan++) {
        const char *name = mgi_zoo_name(&b, "features.%d", k++);
        if (*plan == 0) {
            x = mgi_net_add1(n, name, MGI_MAXPOOL, x, "kernel=2");
            continue;
        }
        x = mgi_net_add1(n, name, MGI_CONV, x, "out=%d kernel=3 pad=1", *plan);
        x = mgi_net_plain(n, mgi_zoo_name(&b, "features.%d", k++), MGI_RELU, x);
    }
    x = mgi_net_add1(n, "avgpool", MGI_ADAPTIVEAVG, x, "size=7x7");
    x = mgi_net_add1(n, "classifier.0", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.1", MGI_RELU, x);
    x = mgi_net_add1(n, "classifier.3", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.4", MGI_RELU, x);
    mgi_net_add1(n, "classifier.6", MGI_LINEAR, x, "out=%td", z->classes);
}

MGI_FN void mgi_zoo_vgg16(mango_net *n, const mgi_zoo *z)
{
    static const int plan[] = {64,  64,  0,   128, 128, 0,   256, 256, 256, 0,
                               512, 512, 512, 0,   512, 512, 512, 0,   -1};
    vgg_build(n, z, plan);
}

MGI_FN void mgi_zoo_vgg19(mango_net *n, const mgi_zoo *z)
{
    static const int plan[] = {64, 64,  0,   128, 128, 0, 256, 256, 256, 256, 0,
                               512, 512, 512, 512, 0,   512, 512, 512, 512, 0, -1};
    vgg_build(n, z, plan);
}
