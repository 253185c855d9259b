/* broadcast.c - sums, differences and products of maps of which some are repeated along
 * an axis, see rearrange.h.
 *
 * A row of BROADCAST_LANES channels of a pixel is taken at a time. An input steps through
 * its own row with its channels, or stands still where it has one only.
 * SPDX-License-Identifier: MIT */
#include "rearrange.h"
#include "../base/threads.h"

#define BROADCAST_LANES 64

/* Where channel c of pixel (y,x) of map i of an input lies. */
static const float *broadcast_at(const mgi_merge_input *p, mango_idx i, mango_idx y,
                                 mango_idx x, mango_idx c)
{
    const mango_idx row = i % p->n * p->H + (p->H == 1 ? 0 : y);
    return p->x + (row * p->W + (p->W == 1 ? 0 : x)) * p->C + (p->C == 1 ? 0 : c);
}

/* m values of an input into v, the first one again and again where it is alone. */
static void broadcast_load(const mgi_merge_input *p, const float *from, mango_idx m, float *v)
{
    for (mango_idx j = 0; j < m; j++)
        v[j] = from[p->C == 1 ? 0 : j];
}

static void broadcast_join(mgi_merge_op op, mango_idx m, const float *v, float *y)
{
    if (op == MGI_MERGE_ADD)
        for (mango_idx j = 0; j < m; j++)
            y[j] += v[j];
    else if (op == MGI_MERGE_SUB)
        for (mango_idx j = 0; j < m; j++)
            y[j] -= v[j];
    else
        for (mango_idx j = 0; j < m; j++)
            y[j] *= v[j];
}

MGI_FN void mgi_merge(mgi_merge_op op, mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                      int n_in, const mgi_merge_input *in, float *y)
{
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * H; r++)
        for (mango_idx x = 0; x < W; x++)
            for (mango_idx c = 0; c < C; c += BROADCAST_LANES) {
                float v[BROADCAST_LANES];
                const mango_idx m = MGI_MIN(BROADCAST_LANES, C - c);
                float *to = y + (r * W + x) * C + c;
                broadcast_load(&in[0], broadcast_at(&in[0], r / H, r % H, x, c), m, to);
                for (int k = 1; k < n_in; k++) {
                    broadcast_load(&in[k], broadcast_at(&in[k], r / H, r % H, x, c), m, v);
                    broadcast_join(op, m, v, to);
                }
            }
}

/* ---- backward ---------------------------------------------------------------------- */

typedef struct broadcast_back {
    mgi_merge_op op;
    mango_idx N, H, W, C;
    int n_in, k;
    const mgi_merge_input *in;
    const float *dy;
} broadcast_back;

/* What m channels of one pixel of dy give input k: times the others for a product. */
static void broadcast_share(const broadcast_back *b, mango_idx i, mango_idx y, mango_idx x,
                            mango_idx c, mango_idx m, float *g)
{
    float v[BROADCAST_LANES];
    const float *dy = b->dy + ((i * b->H + y) * b->W + x) * b->C + c;
    const float sign = b->op == MGI_MERGE_SUB && b->k > 0 ? -1.0f : 1.0f;
    for (mango_idx j = 0; j < m; j++)
        g[j] = sign * dy[j];
    for (int k = 0; b->op == MGI_MERGE_MUL && k < b->n_in; k++)
        if (k != b->k) {
            broadcast_load(&b->in[k], broadcast_at(&b->in[k], i, y, x, c), m, v);
            broadcast_join(MGI_MERGE_MUL, m, v, g);
        }
}

/* All pixels of dy that pixel (y0,x0) of the input was repeated into, channels c.., of all
 * the maps that map i0 was; sum (m), or its first alone when the channels were repeated. */
static void broadcast_sum(const broadcast_back *b, mango_idx i0, mango_idx y0, mango_idx x0,
                          mango_idx c, mango_idx m, double *sum)
{
    const mgi_merge_input *p = &b->in[b->k];
    const mango_idx y1 = p->H == 1 ? b->H : y0 + 1, x1 = p->W == 1 ? b->W : x0 + 1;
    float g[BROADCAST_LANES];
    for (mango_idx i = i0; i < b->N; i += p->n)
        for (mango_idx y = y0; y < y1; y++)
            for (mango_idx x = x0; x < x1; x++) {
                broadcast_share(b, i, y, x, c, m, g);
                for (mango_idx j = 0; j < m; j++)
                    sum[p->C == 1 ? 0 : j] += (double)g[j];
            }
}

/* The gradient of pixel q of map i of input k, q = y W + x of its own sizes. */
static void broadcast_pixel(const broadcast_back *b, mango_idx i, mango_idx q, int add,
                            float *dx)
{
    const mgi_merge_input *p = &b->in[b->k];
    double alone = 0.0;
    for (mango_idx c = 0; c < b->C; c += BROADCAST_LANES) {
        double sum[BROADCAST_LANES] = {0.0};
        const mango_idx m = MGI_MIN(BROADCAST_LANES, b->C - c);
        broadcast_sum(b, i, q / p->W, q % p->W, c, m, sum);
        alone += sum[0];
        for (mango_idx j = 0; p->C > 1 && j < m; j++)
            dx[c + j] = add ? dx[c + j] + (float)sum[j] : (float)sum[j];
    }
    if (p->C == 1)
        dx[0] = add ? dx[0] + (float)alone : (float)alone;
}

MGI_FN void mgi_merge_backward(mgi_merge_op op, mango_idx N, mango_idx H, mango_idx W,
                               mango_idx C, int n_in, const mgi_merge_input *in, int k,
                               const float *dy, int add, float *dx)
{
    const broadcast_back b = {op, N, H, W, C, n_in, k, in, dy};
    const mango_idx S = in[k].H * in[k].W;
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < in[k].n * S; r++)
        broadcast_pixel(&b, r / S, r % S, add, dx + r * in[k].C);
}

#undef BROADCAST_LANES
