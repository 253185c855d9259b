/* zoo_vgg.c - VGG-11, 13, 16 and 19 (Simonyan 2014), with and without batch-norm, as
 * torchvision has them. Layers are numbered as there; the dropouts, which do nothing, are
 * left out. hidden=0: one linear layer, `classifier`, as in small pictures' VGGs; pool: what
 * the last maps are averaged to.
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

/* The convolutions; plan: channels in order, 0 a max-pool, -1 the end. */
static int vgg_features(mango_net *n, int x, const mgi_zoo *z)
{
    mgi_zoo_label b;
    int k = 0;
    for (const int *plan = z->plan; *plan >= 0; plan++) {
        const char *name = mgi_zoo_name(&b, "features.%d", k++);
        if (*plan == 0) {
            x = mgi_net_add1(n, name, MGI_MAXPOOL, x, "kernel=2");
            continue;
        }
        x = mgi_net_add1(n, name, MGI_CONV, x, "out=%td kernel=3 pad=1",
                         mgi_zoo_wide(z, *plan));
        if (z->norm)
            x = mgi_net_plain(n, mgi_zoo_name(&b, "features.%d", k++), MGI_BATCHNORM, x);
        x = mgi_net_plain(n, mgi_zoo_name(&b, "features.%d", k++), MGI_RELU, x);
    }
    return x;
}

MGI_FN void mgi_zoo_vgg(mango_net *n, const mgi_zoo *z)
{
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = vgg_features(n, x, z);
    x = mgi_net_add1(n, "avgpool", MGI_ADAPTIVEAVG, x, "size=%tdx%td", z->pool, z->pool);
    if (z->hidden == 0) {
        mgi_net_add1(n, "classifier", MGI_LINEAR, x, "out=%td", z->classes);
        return;
    }
    x = mgi_net_add1(n, "classifier.0", MGI_LINEAR, x, "out=%td", z->hidden);
    x = mgi_net_plain(n, "classifier.1", MGI_RELU, x);
    x = mgi_net_add1(n, "classifier.3", MGI_LINEAR, x, "out=%td", z->hidden);
    x = mgi_net_plain(n, "classifier.4", MGI_RELU, x);
    mgi_net_add1(n, "classifier.6", MGI_LINEAR, x, "out=%td", z->classes);
}
