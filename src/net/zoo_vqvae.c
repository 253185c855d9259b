/* zoo_vqvae.c - VQ-VAE (van den Oord 2017): encoder, codebook, decoder in one graph.
 *
 *   input -> _encoder (quarter size) -> _pre_vq_conv -> _vq_vae -> _decoder -> image
 *
 * The residual blocks' first ReLU works in place in the source, so what is
 * added back is relu(x): x = relu(x) + block(relu(x)).
 * SPDX-License-Identifier: MIT */
#include "zoo.h"

static int vqvae_residual(mango_net *n, int x, const char *p, int k, mango_idx C, mango_idx R)
{
    mgi_zoo_label b;
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s._layers.%d._block.0", p, k), MGI_RELU, x);
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%s._layers.%d._block.1", p, k), MGI_CONV, x,
                         "out=%td kernel=3 pad=1 bias=0", R);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s._layers.%d._block.2", p, k), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s._layers.%d._block.3", p, k), MGI_CONV, h,
                     "out=%td kernel=1 bias=0", C);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s._layers.%d.add", p, k), MGI_ADD, h, x);
}

/* Two residual blocks and a last ReLU. */
static int vqvae_stack(mango_net *n, int x, const char *p, mango_idx C, mango_idx R)
{
    mgi_zoo_label b;
    x = vqvae_residual(n, x, p, 0, C, R);
    x = vqvae_residual(n, x, p, 1, C, R);
    return mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu", p), MGI_RELU, x);
}

MGI_FN void mgi_zoo_vqvae(mango_net *n, const mgi_zoo *z)
{
    const mango_idx C = z->hidden ? z->hidden : mgi_zoo_wide(z, 128);
    const mango_idx R = MGI_MAX(C / 4, 1), half = (C + 1) / 2;
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "_encoder._conv_1", MGI_CONV, x, "out=%td kernel=4 stride=2 pad=1",
                     half);
    x = mgi_net_plain(n, "_encoder._relu_1", MGI_RELU, x);
    x = mgi_net_add1(n, "_encoder._conv_2", MGI_CONV, x, "out=%td kernel=4 stride=2 pad=1", C);
    x = mgi_net_plain(n, "_encoder._relu_2", MGI_RELU, x);
    x = mgi_net_add1(n, "_encoder._conv_3", MGI_CONV, x, "out=%td kernel=3 pad=1", C);
    x = vqvae_stack(n, x, "_encoder._residual_stack", C, R);
    x = mgi_net_add1(n, "_pre_vq_conv", MGI_CONV, x, "out=%td kernel=1", z->dim);

    x = mgi_net_add1(n, "_vq_vae", MGI_VQ, x, "codes=%td", z->codes);

    x = mgi_net_add1(n, "_decoder._conv_1", MGI_CONV, x, "out=%td kernel=3 pad=1", C);
    x = vqvae_stack(n, x, "_decoder._residual_stack", C, R);
    x = mgi_net_add1(n, "_decoder._conv_trans_1", MGI_CONVT, x,
                     "out=%td kernel=4 stride=2 pad=1", half);
    x = mgi_net_plain(n, "_decoder._relu_1", MGI_RELU, x);
    mgi_net_add1(n, "_decoder._conv_trans_2", MGI_CONVT, x, "out=%td kernel=4 stride=2 pad=1",
                 z->C);
}
