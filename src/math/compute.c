/* compute.c - the public names of the arithmetic below the networks.
 * SPDX-License-Identifier: MIT */
#include "compute.h"
#include "../base/real.h"
#include "conv_geometry.h"
#include "kernel/kernels.h"
#include "ops.h"
#include "spikes.h"

#define COMPUTE_K 128      /* inputs of a product that measures the peak */
#define COMPUTE_ROWS 32    /* of the largest register tile */
#define COMPUTE_COLUMNS 64
#define COMPUTE_MAPS 4096

double mango_exp(double x)
{
    return mgi_exp(x);
}

double mango_log(double x)
{
    return mgi_log(x);
}

mango_status mango_kernels_get_sized(mango_kernels_info *info, size_t size)
{
    MGI_REQUIRE(info);
    const mgi_kernels *k = mgi_kernels_get();
    const mango_kernels_info own = {k->name, k->mr, k->nr};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

const char *mango_kernels_name(mango_idx i)
{
    return i < 0 || i > INT_MAX ? NULL : mgi_kernels_name((int)i);
}

/* ---- products --------------------------------------------------------------- */

typedef struct compute_tile {
    float a[COMPUTE_ROWS][COMPUTE_K], b[COMPUTE_COLUMNS * COMPUTE_K];
    float c[COMPUTE_ROWS * COMPUTE_COLUMNS];
} compute_tile;

static void compute_tile_run(const mgi_kernels *k, mango_idx rounds, compute_tile *t)
{
    const mgi_tap tap = {0, 0, COMPUTE_K};
    const float *row[COMPUTE_ROWS];
    for (mango_idx i = 0; i < COMPUTE_ROWS * COMPUTE_K; i++)
        t->a[i / COMPUTE_K][i % COMPUTE_K] = (float)(i % 7) - 3.0f;
    for (mango_idx i = 0; i < COMPUTE_COLUMNS * COMPUTE_K; i++)
        t->b[i] = (float)(i % 5) - 2.0f;
    for (int i = 0; i < k->mr; i++)
        row[i] = t->a[i];
    for (mango_idx r = 0; r < rounds; r++)
        k->tile(k->mr, k->nr, row, 1, &tap, t->b, t->c, k->nr, 0);
}

double mango_peak(mango_idx rounds)
{
    const mgi_kernels *k = mgi_kernels_get();
    const mango_alloc al = mgi_alloc_get(NULL);
    const int n = mango_threads();
    if (rounds < 1 || k->mr > COMPUTE_ROWS || k->nr > COMPUTE_COLUMNS)
        return -1;
    compute_tile *tile = mgi_new(&al, n, sizeof *tile);
    if (!tile)
        return -1;
    MGI_OMP(parallel for schedule(static, 1))
    for (int i = 0; i < n; i++)
        compute_tile_run(k, rounds, tile + i);
    mgi_del(&al, tile, n, sizeof *tile);
    return (double)k->mr * k->nr * COMPUTE_K * (double)rounds * n;
}

/* Do all of the three matrices fit? */
static int compute_fits(mango_idx M, mango_idx N, mango_idx K)
{
    mango_idx n;
    return M > 0 && N > 0 && K > 0 && mgi_mul(M, K, &n) && mgi_mul(K, N, &n) &&
           mgi_mul(M, N, &n);
}

mango_idx mango_gemm_work(mango_idx M, mango_idx N, mango_idx K)
{
    return compute_fits(M, N, K) ? mgi_gemm_work(M, N, K, 'n', 'n') : -1;
}

mango_status mango_gemm(mango_idx M, mango_idx N, mango_idx K, const float *A, const float *B,
                        float *C, float *work)
{
    MGI_REQUIRE(compute_fits(M, N, K) && A && B && C && work);
    mgi_gemm('n', 'n', M, N, K, A, K, B, N, C, N, 0, work);
    return MANGO_OK;
}

/* ---- convolution ------------------------------------------------------------ */

struct mango_conv {
    mango_alloc al;
    mgi_conv conv;
    mango_idx N, n_packed, n_work;
    float *packed, *work;
};

/* Does the shape make sense, with numbers that stay far from overflow? */
static int compute_shape_ok(const mango_conv_shape *s, mango_idx N)
{
    const mango_idx size[] = {s->C, s->H, s->W, s->O, s->kh, s->kw, s->sh, s->sw, N};
    for (mango_idx i = 0; i < MGI_COUNT(size); i++)
        if (size[i] < 1 || size[i] > COMPUTE_MAPS)
            return 0;
    return s->ph >= 0 && s->pw >= 0 && s->ph <= COMPUTE_MAPS && s->pw <= COMPUTE_MAPS;
}

static mango_status compute_conv_memory(mango_conv *c)
{
    const mango_idx dense = mgi_conv_work(&c->conv, c->N),
                    bits = mgi_bits_conv_work(&c->conv, c->N);
    c->n_packed = mgi_conv_packed(&c->conv);
    c->n_work = MGI_MAX(dense, bits) + 16;
    c->packed = mgi_new(&c->al, c->n_packed, sizeof *c->packed);
    c->work = mgi_new(&c->al, c->n_work, sizeof *c->work);
    return c->packed && c->work ? MANGO_OK : MANGO_E_MEM;
}

mango_status mango_conv_create(mango_conv **out, const mango_conv_shape *s, mango_idx N,
                               const float *weights, const mango_alloc *al, mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    MGI_CHECK(err, out, "mango_conv_create: no place for the result");
    *out = NULL;
    MGI_CHECK(err, s && weights, "mango_conv_create: shape or weights are NULL");
    MGI_CHECK(err, compute_shape_ok(s, N), "mango_conv_create: sizes of 1 to %d expected",
              COMPUTE_MAPS);
    mango_conv *c = mgi_new(&a, 1, sizeof *c);
    if (!c)
        return mgi_fail(err, MANGO_E_MEM, "mango_conv_create: out of memory");
    c->al = a;
    c->N = N;
    c->conv = (mgi_conv){.C = s->C, .H = s->H, .W = s->W, .O = s->O, .kh = s->kh, .kw = s->kw,
                         .sh = s->sh, .sw = s->sw, .ph = s->ph, .pw = s->pw};
    mango_status st = mgi_conv_shape(&c->conv) ? compute_conv_memory(c) : MANGO_E_SHAPE;
    if (st < 0) {
        mango_conv_destroy(c);
        return mgi_fail(err, st, "mango_conv_create: %s", mango_status_text(st));
    }
    mgi_conv_pack(&c->conv, weights, c->packed);
    *out = c;
    return MANGO_OK;
}

/* Places of the window that lie inside the map, over all outputs along one axis. */
static double compute_inside(mango_idx places, mango_idx s, mango_idx p, mango_idx k,
                             mango_idx size)
{
    double sum = 0;
    for (mango_idx t = 0; t < places; t++) {
        mango_idx lo, hi;
        mgi_conv_clip(t, s, p, k, size, &lo, &hi);
        sum += (double)(hi - lo);
    }
    return sum;
}

mango_status mango_conv_get_sized(const mango_conv *c, mango_conv_info *info, size_t size)
{
    MGI_REQUIRE(c && info);
    const mgi_conv *g = &c->conv;
    const mango_conv_info own = {
        g->OH, g->OW,
        (double)g->C * (double)g->O * compute_inside(g->OH, g->sh, g->ph, g->kh, g->H) *
            compute_inside(g->OW, g->sw, g->pw, g->kw, g->W)};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_conv_run(mango_conv *c, const float *x, float *y)
{
    const mgi_epilogue e = {NULL, NULL, 0};
    MGI_REQUIRE(c && x && y);
    mgi_conv_forward(&c->conv, c->N, x, c->packed, &e, y, c->work);
    return MANGO_OK;
}

mango_status mango_conv_spikes(mango_conv *c, const uint64_t *x, float *y)
{
    const mgi_bits_epilogue e = {NULL, NULL, NULL, 0};
    MGI_REQUIRE(c && x && y);
    mgi_bits_conv(&c->conv, c->N, x, c->packed, &e, y, c->work);
    return MANGO_OK;
}

void mango_conv_destroy(mango_conv *c)
{
    if (!c)
        return;
    const mango_alloc al = c->al;
    mgi_del(&al, c->packed, c->n_packed, sizeof *c->packed);
    mgi_del(&al, c->work, c->n_work, sizeof *c->work);
    mgi_del(&al, c, 1, sizeof *c);
}

#undef COMPUTE_K
#undef COMPUTE_ROWS
#undef COMPUTE_COLUMNS
#undef COMPUTE_MAPS
