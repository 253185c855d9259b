/* plain.c - entries of the kernel table in plain C that several sets use: the ends of
 * tiles, loops over elements, maps of bits, weights of 8 bits, panels of halves.
 * SPDX-License-Identifier: MIT */
#include "../spikes.h"

#define PLAIN_WIDE 1024 /* floats widened at a time */

MGI_FN void mgi_ref_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                       const mango_idx *off, const float *bias, const float *res, int relu,
                       float *y)
{
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < n; j++) {
            float v = acc[i * ldacc + j];
            if (bias)
                v += bias[j];
            if (res)
                v += res[off[i] + j];
            y[off[i] + j] = relu && !(v > 0.0f) ? 0.0f : v;
        }
}

MGI_FN void mgi_ref_add(mango_idx n, const float *x, const float *y, float *z)
{
    for (mango_idx i = 0; i < n; i++)
        z[i] = x[i] + y[i];
}

MGI_FN void mgi_ref_relu(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i++)
        y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

MGI_FN void mgi_ref_maximum(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

MGI_FN void mgi_ref_mix(mango_idx n, const float *x, const float *y, float *z)
{
    for (mango_idx i = 0; i < n; i++)
        z[i] = 0.75f * x[i] + 0.25f * y[i];
}

/* ---- panels of halves ------------------------------------------------------- */
/* Rows of a panel are widened, some at a time, for the tile of floats. */
MGI_FN void mgi_ref_tile_half(const mgi_kernels *k, mango_idx m, mango_idx n,
                              const float *const *a, mango_idx ntap, const mgi_tap *tap,
                              const uint16_t *b, float *c, mango_idx ldc, int load)
{
    float wide[PLAIN_WIDE];
    const mango_idx nr = k->nr, rows = PLAIN_WIDE / nr;
    for (mango_idx i = 0; !load && i < m; i++)
        memset(c + i * ldc, 0, (size_t)n * sizeof *c);
    for (mango_idx t = 0; t < ntap; t++)
        for (mango_idx i = 0; i < tap[t].n; i += rows) {
            const mgi_tap run = {tap[t].a + i, 0, MGI_MIN(rows, tap[t].n - i)};
            mgi_from_halves(run.n * nr, b + (tap[t].b + i) * nr, wide);
            k->tile(m, n, a, 1, &run, wide, c, ldc, 1);
        }
}

/* ---- maps of bits ------------------------------------------------------------ */
MGI_FN void mgi_ref_gather(mango_idx nr, mango_idx panels, const mgi_active *a,
                           const float *b, mango_idx pitch, float *acc)
{
    for (mango_idx i = 0; i < a->m; i++)
        for (mango_idx c = 0; c < 64; c++) {
            float *s = acc + a->row[i] * panels * nr;
            for (mango_idx p = 0; p < panels && (a->x[i] >> c & 1); p++)
                for (mango_idx j = 0; j < nr; j++)
                    s[p * nr + j] += b[p * pitch + c * nr + j];
        }
}

MGI_FN void mgi_ref_lif_part(mango_idx j, const mgi_lif_rule *r, const mgi_lif_run *q)
{
    for (mango_idx t = 0; t < q->T && j < q->n; t++) {
        const float *X = q->X + (q->row ? q->row[t] : t) * q->ldX;
        uint64_t *S = q->S + t * q->ldS;
        *S = j == 0 ? 0 : *S & (((uint64_t)1 << j) - 1);
        for (mango_idx i = j; i < q->n; i++) {
            float x = q->bias ? X[i] + q->bias[i] : X[i];
            if (q->res)
                x += q->res[t * q->ldres + i];
            if (q->bits)
                x += (float)(q->bits[t * q->ldbits] >> i & 1);
            const float H = mgi_lif_charge(r, q->U[i], x);
            *S |= (uint64_t)mgi_lif_fires(r, H) << i;
            q->U[i] = mgi_lif_leave(r, q->U[i], H);
        }
    }
}

MGI_FN void mgi_ref_lif_bits(const mgi_lif_rule *r, const mgi_lif_run *q)
{
    mgi_ref_lif_part(0, r, q);
}

/* ---- weights of 8 bits ------------------------------------------------------- */
MGI_FN void mgi_ref_gather_int8(const mgi_active *a, const int8_t *b, int16_t *acc)
{
    for (mango_idx i = 0; i < a->m; i++)
        for (uint64_t w = a->x[i]; w; w &= w - 1) {
            const int8_t *q = b + mgi_bits_first(w) * MGI_INT8_OUT;
            int16_t *s = acc + a->row[i] * MGI_INT8_OUT;
            for (mango_idx j = 0; j < MGI_INT8_OUT; j++)
                s[j] = (int16_t)(s[j] + q[j]);
        }
}

MGI_FN void mgi_ref_drain(mango_idx n, int16_t *h, float *acc)
{
    for (mango_idx i = 0; i < n; i++) {
        acc[i] += (float)h[i];
        h[i] = 0;
    }
}

#undef PLAIN_WIDE
