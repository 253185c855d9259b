/* zoo_sngan.c - SN-GAN (Miyato 2018): residual generator and discriminator.
 *
 *   generator       z -> l1 -> (ngf,4,4) -> block2..4, each x2 -> b5 relu c5 tanh
 *                   classes=K: plus l1_class of softmax(class z), which is nearly
 *                   one-hot: the class at the place of the largest of the first
 *                   K latents, so that no picture is of a class in between
 *   discriminator   image -> block1 (half size) -> block2 (half size) -> block3
 *                   -> block4 -> relu -> sum over space -> l5; spectral norm
 *                   on every weight: W/sigma, sigma from one power iteration
 *                   that starts at the stored vector sn_u; classes=K: K answers;
 *                   sn=0: weights that are divided already, as they are
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

/* x2 bilinear upsampling comes before c1, and before c_sc of the shortcut. */
static int sngan_gblock(mango_net *n, int x, const char *p, mango_idx C)
{
    mgi_zoo_label b;
    int h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.b1", p), MGI_BATCHNORM, x);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu1", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.up", p), MGI_UPSAMPLE, h, "mode=bilinear");
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), MGI_CONV, h, "out=%td kernel=3 pad=1",
                     C);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.b2", p), MGI_BATCHNORM, h);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu2", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c2", p), MGI_CONV, h, "out=%td kernel=3 pad=1",
                     C);
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.sc_up", p), MGI_UPSAMPLE, x, "mode=bilinear");
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c_sc", p), MGI_CONV, x, "out=%td kernel=1", C);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.add", p), MGI_ADD, h, x);
}

MGI_FN void mgi_zoo_sngan(mango_net *n, const mgi_zoo *z)
{
    const mango_idx C = mgi_zoo_wide(z, 256), H = z->H / 8, W = z->W / 8;
    mango_err e;
    if (z->H % 8 || z->W % 8) {
        n->failed =
            mgi_fail(&e, MANGO_E_ARG, "zoo:sngan: out=%tdx%tdx%td, expected multiples of 8",
                     z->C, z->H, z->W);
        n->err = e;
        return;
    }
    if (z->classes && (z->classes < 2 || z->classes >= z->latent)) {
        n->failed = mgi_fail(&e, MANGO_E_ARG,
                             "zoo:sngan: classes=%td of %td latents, expected 2..%td",
                             z->classes, z->latent, z->latent - 1);
        n->err = e;
        return;
    }
    const int latent = mgi_net_input(n, "latent", z->latent, 1, 1);
    int x = mgi_net_add1(n, "l1", MGI_LINEAR, latent, "out=%td", C * H * W);
    if (z->classes) {
        int k = mgi_net_add1(n, "class", MGI_LINEAR, latent, "out=%td bias=0", z->classes);
        k = mgi_net_plain(n, "class_softmax", MGI_SOFTMAX, k);
        k = mgi_net_add1(n, "l1_class", MGI_LINEAR, k, "out=%td bias=0", C * H * W);
        x = mgi_zoo_join(n, "l1_add", MGI_ADD, x, k);
    }
    x = mgi_net_add1(n, "reshape", MGI_RESHAPE, x, "shape=%tdx%tdx%td", C, H, W);
    x = sngan_gblock(n, x, "block2", C);
    x = sngan_gblock(n, x, "block3", C);
    x = sngan_gblock(n, x, "block4", C);
    x = mgi_net_plain(n, "b5", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "relu5", MGI_RELU, x);
    x = mgi_net_add1(n, "c5", MGI_CONV, x, "out=%td kernel=3 pad=1", z->C);
    mgi_net_plain(n, "tanh", MGI_TANH, x);
}

/* The first block: no activation in front, its shortcut pools before c_sc. */
static int sngan_first(mango_net *n, int x, const char *p, mango_idx C, int sn)
{
    mgi_zoo_label b;
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), MGI_CONV, x,
                         "out=%td kernel=3 pad=1 sn=%d", C, sn);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 sn=%d", C, sn);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.pool", p), MGI_AVGPOOL, h, "kernel=2");
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.sc_pool", p), MGI_AVGPOOL, x, "kernel=2");
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c_sc", p), MGI_CONV, x,
                     "out=%td kernel=1 sn=%d", C, sn);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.add", p), MGI_ADD, h, x);
}

/* The first activation works in place in the source, so the shortcut too
 * starts from relu(x); with down both paths end in a 2x2 average. */
static int sngan_dblock(mango_net *n, int x, const char *p, mango_idx C, int down, int sn)
{
    mgi_zoo_label b;
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu1", p), MGI_RELU, x);
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), MGI_CONV, x,
                         "out=%td kernel=3 pad=1 sn=%d", C, sn);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu2", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 sn=%d", C, sn);
    if (down) {
        h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.pool", p), MGI_AVGPOOL, h, "kernel=2");
        x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c_sc", p), MGI_CONV, x,
                         "out=%td kernel=1 sn=%d", C, sn);
        x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.sc_pool", p), MGI_AVGPOOL, x, "kernel=2");
    }
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.add", p), MGI_ADD, h, x);
}

MGI_FN void mgi_zoo_sngan_dsc(mango_net *n, const mgi_zoo *z)
{
    const mango_idx C = mgi_zoo_wide(z, 128);
    const int sn = z->divide;
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = sngan_first(n, x, "block1", C, sn);
    x = sngan_dblock(n, x, "block2", C, 1, sn);
    x = sngan_dblock(n, x, "block3", C, 0, sn);
    x = sngan_dblock(n, x, "block4", C, 0, sn);
    x = mgi_net_plain(n, "relu5", MGI_RELU, x);
    x = mgi_net_plain(n, "sum", MGI_GLOBALSUM, x);
    mgi_net_add1(n, "l5", MGI_LINEAR, x, "out=%td sn=%d", MGI_MAX(z->classes, 1), sn);
}
