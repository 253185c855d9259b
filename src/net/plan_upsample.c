/* plan_upsample.c - an upsampling and the convolution behind it as one step.
 *
 * A 1x1 convolution commutes with x2 upsampling, as both are linear, one mixes
 * channels and the other pixels, and the weights of an upsampling sum to 1, so
 * that a bias commutes, too: the convolution runs first, on a quarter of the
 * pixels, and what follows it (sum, batch-norm, ReLU) joins the upsampling.
 *
 * Nearest upsampling, then a k x k convolution of stride 1: repeating each
 * pixel is zero-stuffing and a 2x2 filter of ones. So the two are one
 * transposed convolution of stride 2 whose kernel is w times that filter,
 *     w'[a] = w[k-1-a] + w[k-a],  a = 0..k,   w = 0 outside 0..k-1
 * along each axis, with padding k-1-p: (k+1)^2/4 products per output, not k^2.
 *
 * Bilinear upsampling, then 3x3, is left as it is: each of the four phases sees
 * 3x3 inputs, as many products as before, while Winograd's form of the 3x3
 * convolution on the upsampled map has a quarter of them.
 *
 * Both round otherwise than the two layers one after the other. With n roundings
 * along the longest path of the plain form (k*k*C products, 6 of the mixing, a
 * bias) either form is off the exact value by at most (n + 4) u S, S the sum of
 * |w| |x| over all paths, u = 2^-24. The choice looks at the graph alone.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

#define UP_LOW 131072 /* values between a 1x1 convolution and its upsampling */

MGI_FN mgi_up_form mgi_plan_up_form(const mango_net *net, int conv)
{
    const mgi_node *g = &net->node[conv];
    const mgi_conv *c = &g->conv;
    if (g->kind != MGI_CONV || net->node[g->in[0]].kind != MGI_UPSAMPLE || c->sh != 1 ||
        c->sw != 1 || !mgi_conv_is_plain(c) || !mgi_resample_doubles(&net->node[g->in[0]].up))
        return MGI_UP_NONE;
    if (c->kh == 1 && c->kw == 1)
        return c->ph == 0 && c->pw == 0 ? MGI_UP_AFTER : MGI_UP_NONE;
    return net->node[g->in[0]].up.mode == MGI_NEAREST && c->kh > 1 && c->kw > 1 &&
                   c->ph < c->kh && c->pw < c->kw
               ? MGI_UP_SUBPIXEL
               : MGI_UP_NONE;
}

MGI_FN int mgi_plan_up_after(const mango_plan *p, int node)
{
    const mango_net *net = p->net;
    for (int e = node; p->node[e].link >= 0; e = p->node[e].link)
        if (net->node[e].kind == MGI_CONV)
            return mgi_plan_up_form(net, e) == MGI_UP_AFTER;
    return 0;
}

MGI_FN mgi_conv mgi_plan_up_conv(const mango_net *net, int conv)
{
    const mgi_node *up = &net->node[net->node[conv].in[0]], *in = &net->node[up->in[0]];
    mgi_conv c = net->node[conv].conv;
    c.H = in->H;
    c.W = in->W;
    if (mgi_plan_up_form(net, conv) == MGI_UP_AFTER) {
        c.OH = c.H;
        c.OW = c.W;
        return c;
    }
    c.transposed = 1;
    c.ph = c.kh - 1 - c.ph;
    c.pw = c.kw - 1 - c.pw;
    c.kh++;
    c.kw++;
    c.sh = c.sw = 2;
    return c;
}

/* w[y][x] of one k-kernel, 0 outside. */
static double up_tap(const mgi_conv *c, const float *w, int y, int x)
{
    return y < 0 || y >= c->kh || x < 0 || x >= c->kw ? 0.0 : (double)w[y * c->kw + x];
}

MGI_FN void mgi_plan_up_weights(const mgi_conv *c, const float *w, float *t)
{
    for (mango_idx i = 0; i < c->C; i++)
        for (mango_idx o = 0; o < c->O; o++) {
            const float *k = w + (o * c->C + i) * c->kh * c->kw;
            for (int a = c->kh; a >= 0; a--)
                for (int b = c->kw; b >= 0; b--)
                    *t++ = (float)((up_tap(c, k, a - 1, b - 1) + up_tap(c, k, a - 1, b)) +
                                   (up_tap(c, k, a, b - 1) + up_tap(c, k, a, b)));
        }
}

MGI_FN mango_idx mgi_up_maps(const mgi_up *u)
{
    return MGI_MAX(UP_LOW / (u->H * u->W * u->C), 1);
}

MGI_FN mgi_up mgi_step_up(const mango_plan *p, const mgi_step *s)
{
    const mgi_node *g = &p->net->node[s->up == MGI_UP_AFTER ? s->head : s->op];
    const mgi_node *in = &p->net->node[g->in[0]];
    mgi_up u = {.H = in->H, .W = in->W, .C = in->C, .relu = s->relu};
    u.bilinear = g->up.mode == MGI_BILINEAR;
    if (s->up == MGI_UP_AFTER) {
        u.C = s->conv.O;
        u.after_scale = s->after < 0 ? NULL : s->after_scale;
        u.after_shift = s->after_shift;
    } else {
        u.relu_before = s->relu_before;
        u.scale = s->bias_n ? s->scale : NULL;
        u.shift = s->bias;
    }
    return u;
}

/* A 1x1 convolution on the small map, then the upsampling, for so many maps at
 * a time that the values between the two stay in cache. */
MGI_FN void mgi_step_upsample_after(const mango_plan *p, const mgi_step *s, const float *x,
                                    float *y)
{
    const mango_idx N = mgi_step_maps(p, s);
    const mgi_epilogue e = {s->bias, NULL, 0};
    mgi_up u = mgi_step_up(p, s);
    const mango_idx in = u.H * u.W * s->conv.C, out = u.H * u.W * u.C;
    const mango_idx most = mgi_up_maps(&u);
    const float *res = s->residual < 0 ? NULL : mgi_plan_value(p, s->residual);
    float *low = mgi_step_scratch(p, s), *work = low + MGI_MIN(most, N) * out;
    for (mango_idx n = 0; n < N; n += most) {
        const mango_idx m = MGI_MIN(most, N - n);
        u.residual = res ? res + n * 4 * out : NULL;
        mgi_conv_forward(&s->conv, m, x + n * in, s->packed, &e, low, work);
        mgi_upsample(&u, m, low, y + n * 4 * out, work);
    }
}

#undef UP_LOW
