/* texture.c - (1) to (6) of texture.h.
 * SPDX-License-Identifier: MIT */
#include "texture.h"
#include "../base/real.h"
#include "../base/rng.h"
#include "../math/eigen.h"

#define TEX_RNG 0x54455854u
#define TEX_LEVELS 4096   /* of a table                           */
#define TEX_AXES 256      /* numbers of a level that are looked at */
#define TEX_MODES 4096    /* of (6)                               */
#define TEX_SAMPLE 200    /* codes that sizes and means come from */
#define TEX_LENGTH 1.0    /* of the kernel of patches             */
#define TEX_TURN 6.283185307179586
#define TEX_CELLS 9       /* of a patch, at most                  */
#define TEX_HELD 60       /* waves of at most 512 in 16 bits      */

enum { TEX_RNG_LEVEL, TEX_RNG_WAVE, TEX_RNG_SAMPLE = TEX_RNG_WAVE + 2 };

/* ---- (1) levels as a few numbers -------------------------------------------- */

/* How often each level stands in the grid of the reference codes, and once each. */
static void tex_counts(const mango_opt *o, mango_idx cells, mango_idx n, double *count)
{
    for (mango_idx i = 0; i < n; i++)
        count[i] = o->facts.n_codes > 0 ? 1e-3 : 1.0;
    for (mango_idx r = 0; r < o->facts.n_codes; r++)
        for (mango_idx j = 0; j < cells; j++)
            count[o->facts.codes[r * o->d + j]] += 1.0;
}

/* Mean (m) and covariance C (m,m) of the first m numbers of the levels. */
static void tex_moments(const mango_opt *o, mango_idx n, mango_idx m, const double *count,
                        double *mean, double *C)
{
    const mango_idx dim = o->facts.level_dim;
    double sum = 0.0;
    for (mango_idx i = 0; i < n; i++) {
        sum += count[i];
        for (mango_idx a = 0; a < m; a++)
            mean[a] += count[i] * (double)o->facts.levels[i * dim + a];
    }
    for (mango_idx a = 0; a < m; a++)
        mean[a] /= sum;
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx a = 0; a < m; a++) {
            const double x = (double)o->facts.levels[i * dim + a] - mean[a];
            for (mango_idx b = 0; b <= a; b++)
                C[a * m + b] += count[i] / sum * x *
                                ((double)o->facts.levels[i * dim + b] - mean[b]);
        }
    for (mango_idx a = 0; a < m; a++)
        for (mango_idx b = 0; b < a; b++)
            C[b * m + a] = C[a * m + b];
}

/* e (n,q): the levels along the q leading axes, mean 0 and, over the axes, variance 1. */
static void tex_project(mgi_texture *t, const mango_opt *o, mango_idx m, const double *mean,
                        const double *w, const double *V)
{
    double total = 0.0;
    for (mango_idx c = 0; c < t->q; c++)
        total += MGI_MAX(w[m - 1 - c], 0.0);
    const double scale = total > 0.0 ? 1.0 / sqrt(total / (double)t->q) : 0.0;
    for (mango_idx i = 0; i < t->levels; i++)
        for (mango_idx c = 0; c < t->q; c++) {
            const double *v = V + (m - 1 - c) * m;
            double x = 0.0;
            for (mango_idx a = 0; a < m; a++)
                x += v[a] * ((double)o->facts.levels[i * o->facts.level_dim + a] - mean[a]);
            t->e[i * t->q + c] = (float)(x * scale);
        }
}

static mango_status tex_axes(mgi_texture *t, const mango_opt *o)
{
    const mango_idx m = MGI_MIN(TEX_AXES, o->facts.level_dim), n = t->levels;
    const mango_idx all = n + m + 2 * m * m + 5 * m;
    double *work = mgi_new(&o->al, all, sizeof *work);
    if (!work)
        return MANGO_E_MEM;
    double *count = work, *mean = count + n, *C = mean + m, *V = C + m * m, *w = V + m * m;
    tex_counts(o, t->H * t->W, n, count);
    tex_moments(o, n, m, count, mean, C);
    const mango_status st = mgi_eigen(m, C, w, V, w + m);
    if (st >= 0)
        tex_project(t, o, m, mean, w, V);
    mgi_del(&o->al, work, all, sizeof *work);
    return MANGO_OK; /* numbers too large for sums of squares: e is zeros */
}

/* Ordered levels: one number each; others: random ones. */
static void tex_names(mgi_texture *t)
{
    for (mango_idx i = 0; i < t->levels; i++) {
        mango_rng rng;
        mango_rng_init(&rng, TEX_RNG, TEX_RNG_LEVEL, (uint64_t)i);
        for (mango_idx c = 0; c < t->q; c++)
            t->e[i * t->q + c] =
                t->ordered ? (float)(3.4641016151377544 *
                                     ((double)i / (double)MGI_MAX(t->levels - 1, 1) - 0.5))
                           : (float)mango_rng_normal(&rng);
    }
}

/* ---- (2) the tables ------------------------------------------------------------ */

/* s turns, without the whole ones, in 2^-16. */
static uint16_t tex_turn(double s)
{
    const double part = s - floor(s);
    return (uint16_t)((uint32_t)(part * 65536.0) & 0xffffu);
}

static mango_status tex_waves(mgi_waves *p, const mgi_texture *t, mango_idx side, mango_idx n,
                              uint32_t purpose, const mango_alloc *al)
{
    mango_rng rng;
    p->h = MGI_MIN(side, t->H);
    p->w = MGI_MIN(side, t->W);
    p->n = n;
    p->levels = t->levels;
    const mango_idx cells = p->h * p->w;
    const double scale = 1.0 / (TEX_TURN * TEX_LENGTH * sqrt((double)(cells * t->q)));
    p->row = mgi_new(al, cells * p->levels * n, sizeof *p->row);
    if (!p->row)
        return MANGO_E_MEM;
    for (mango_idx a = 0; a < n; a++) {
        mango_rng_init(&rng, TEX_RNG, purpose, (uint64_t)a);
        const double b = mango_rng_uniform(&rng);
        for (mango_idx o = 0; o < cells; o++) {
            double w[MGI_TEXTURE_Q] = {0.0};
            for (mango_idx c = 0; c < t->q; c++)
                w[c] = scale * mango_rng_normal(&rng);
            for (mango_idx i = 0; i < p->levels; i++) {
                double s = o == 0 ? b : 0.0;
                for (mango_idx c = 0; c < t->q; c++)
                    s += w[c] * (double)t->e[i * t->q + c];
                p->row[(o * p->levels + i) * n + a] = tex_turn(s);
            }
        }
    }
    return MANGO_OK;
}

/* wave(t) = 8 t - 16 t |t| of t less the nearest whole number, within .06 of the sine; here
 * 1 is 512, and what is negative is its two's complement. */
static inline uint16_t tex_wave(uint16_t turn)
{
    const uint16_t sign = (uint16_t)(0 - (turn >> 15));     /* all ones: t < 0 */
    const uint16_t t = (uint16_t)(turn ^ sign);             /* |t|, 2^-16 turns */
    const uint16_t rest = (uint16_t)(0x7fff - t);           /* 1/2 - |t|       */
    const uint16_t wave = (uint16_t)((uint32_t)t * rest >> 16);
    return (uint16_t)((wave >> 3 ^ sign) - sign);
}

/* sum (n) += the waves of a patch of nine cells, of four, of any number: r are the rows of
 * its cells. What a number of a patch sums up stays in a register. */
static inline void tex_nine(mango_idx n, const uint16_t *const *r, uint16_t *restrict sum)
{
    const uint16_t *a = r[0], *b = r[1], *c = r[2], *d = r[3], *e = r[4], *f = r[5];
    const uint16_t *g = r[6], *h = r[7], *k = r[8];
    for (mango_idx i = 0; i < n; i++) {
        const uint16_t s = (uint16_t)(a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i] + h[i] +
                                      k[i]);
        sum[i] = (uint16_t)(sum[i] + tex_wave(s));
    }
}

static inline void tex_four(mango_idx n, const uint16_t *const *r, uint16_t *restrict sum)
{
    const uint16_t *a = r[0], *b = r[1], *c = r[2], *d = r[3];
    for (mango_idx i = 0; i < n; i++) {
        const uint16_t s = (uint16_t)(a[i] + b[i] + c[i] + d[i]);
        sum[i] = (uint16_t)(sum[i] + tex_wave(s));
    }
}

static inline void tex_any(mango_idx n, mango_idx cells, const uint16_t *const *r,
                           uint16_t *restrict sum)
{
    for (mango_idx i = 0; i < n; i++) {
        uint16_t s = 0;
        for (mango_idx o = 0; o < cells; o++)
            s = (uint16_t)(s + r[o][i]);
        sum[i] = (uint16_t)(sum[i] + tex_wave(s));
    }
}

/* The patch whose first cell is I[0]: (2), (3). */
static inline void tex_patch(const mgi_waves *p, mango_idx W, const mango_idx *I, mango_idx n,
                             uint16_t *restrict sum)
{
    const uint16_t *row[TEX_CELLS];
    const mango_idx cells = p->h * p->w;
    for (mango_idx o = 0; o < cells; o++)
        row[o] = p->row + (o * p->levels + I[o / p->w * W + o % p->w]) * n;
    if (cells == 9)
        tex_nine(n, row, sum);
    else if (cells == 4)
        tex_four(n, row, sum);
    else
        tex_any(n, cells, row, sum);
}

/* x (n) += sums, which become 0. */
static inline void tex_flush(mango_idx n, uint16_t *sum, float *x)
{
    for (mango_idx a = 0; a < n; a++) {
        x[a] += (float)((int32_t)(sum[a] ^ 0x8000u) - 0x8000);
        sum[a] = 0;
    }
}

/* x (n), zeros: the mean wave over the patches that begin in a box. */
static inline void tex_box(const mgi_waves *p, mango_idx W, const mango_idx *I, mango_idx n,
                           const mango_idx *box, float *x)
{
    uint16_t sum[MGI_TEXTURE_A] = {0};
    mango_idx held = 0;
    for (mango_idx y = box[0]; y < box[0] + box[2]; y++)
        for (mango_idx u = box[1]; u < box[1] + box[3]; u++) {
            tex_patch(p, W, I + y * W + u, n, sum);
            if (++held < TEX_HELD)
                continue;
            tex_flush(n, sum, x);
            held = 0;
        }
    tex_flush(n, sum, x);
    const float r = 1.0f / (512.0f * (float)(box[2] * box[3]));
    for (mango_idx a = 0; a < n; a++)
        x[a] *= r;
}

/* ---- the parts of a code --------------------------------------------------------- */

/* x (A): (3). */
static void tex_texture(const mgi_texture *t, const mango_idx *I, float *x)
{
    const mgi_waves *p = &t->wide;
    const mango_idx box[4] = {0, 0, t->H - p->h + 1, t->W - p->w + 1};
    tex_box(p, t->W, I, MGI_TEXTURE_A, box, x);
}

/* x (4,B): (4). The quarters of an odd number of places share the middle ones. */
static void tex_layout(const mgi_texture *t, const mango_idx *I, float *x)
{
    const mgi_waves *p = &t->small;
    const mango_idx rows = t->H - p->h + 1, cols = t->W - p->w + 1;
    const mango_idx h = (rows + 1) / 2, w = (cols + 1) / 2;
    for (mango_idx q = 0; q < 4; q++) {
        const mango_idx box[4] = {q / 2 * (rows - h), q % 2 * (cols - w), h, w};
        tex_box(p, t->W, I, MGI_TEXTURE_B, box, x + q * MGI_TEXTURE_B);
    }
}

/* x (fields, each): (5). */
static void tex_cells(const mgi_texture *t, const mango_idx *I, float *x)
{
    const float part = (float)(t->fields_h * t->fields_w) / (float)(t->H * t->W);
    for (mango_idx y = 0; y < t->H; y++)
        for (mango_idx u = 0; u < t->W; u++) {
            const mango_idx at = y * t->fields_h / t->H * t->fields_w + u * t->fields_w / t->W;
            const float *e = t->e + I[y * t->W + u] * t->q;
            for (mango_idx c = 0; c < t->each; c++)
                x[at * t->each + c] += e[c] * part;
        }
}

/* 64 signs for a mode and a level. */
static uint64_t tex_signs(mango_idx j, mango_idx level, mango_idx word)
{
    uint64_t h = (uint64_t)j * 0x9e3779b97f4a7c15u + (uint64_t)level * 0xd1b54a32d192ed03u +
                 (uint64_t)word * 0x8cb92ba72f3d8dd7u + 1;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

/* x (n): (6) over the modes from the grid's last on. */
static void tex_behind(const mgi_texture *t, const mango_idx *I, mango_idx n, float *x)
{
    const mango_idx first = t->H * t->W;
    for (mango_idx j = first; j < t->d; j++) {
        const int line = t->ordered || t->n[j] == MANGO_REAL;
        const double top = (double)MGI_MAX(t->n[j] - 1, 1);
        const float v = line ? (float)(3.4641016151377544 * ((double)I[j] / top - 0.5)) : 1.0f;
        for (mango_idx a = 0; a < n; a += 32) {
            const uint64_t bits = tex_signs(j, line ? 0 : I[j], a / 32);
            for (mango_idx i = 0; i < 32; i++)
                x[a + i] += bits >> i & 1 ? v : -v;
        }
    }
}

/* All parts, unweighted. */
MGI_FN void mgi_texture_raw(const mgi_texture *t, const mango_idx *I, float *x)
{
    for (mango_idx a = 0; a < t->dim; a++)
        x[a] = 0.0f;
    if (t->part[0] > 0) {
        tex_texture(t, I, x);
        tex_layout(t, I, x + t->part[0]);
        tex_cells(t, I, x + t->part[0] + t->part[1]);
    }
    if (t->part[3] > 0)
        tex_behind(t, I, t->part[3], x + t->dim - t->part[3]);
}

MGI_FN void mgi_texture_weighted(const mgi_texture *t, const float *raw, float *x)
{
    mango_idx a = 0;
    for (int p = 0; p < MGI_TEXTURE_PARTS; p++)
        for (const mango_idx end = a + t->part[p]; a < end; a++)
            x[a] = (raw[a] - t->mean[a]) * t->weight[p];
}

MGI_FN void mgi_texture_of(const mgi_texture *t, const mango_idx *I, float *x)
{
    mgi_texture_raw(t, I, x);
    mgi_texture_weighted(t, x, x);
}

MGI_FN void mgi_texture_weigh(mgi_texture *t, const double *share)
{
    for (int p = 0; p < MGI_TEXTURE_PARTS; p++)
        t->weight[p] = t->size[p] > 0.0 ? (float)(share[p] / t->size[p]) : 0.0f;
}

/* ---- sizes ----------------------------------------------------------------------- */

/* Sample number k: a reference code or a uniform one. */
static void tex_sample(const mango_opt *o, mango_idx k, mango_idx *I)
{
    mango_rng rng;
    if (k < o->facts.n_codes) {
        memcpy(I, o->facts.codes + k * o->d, (size_t)o->d * sizeof *I);
        return;
    }
    mango_rng_init(&rng, TEX_RNG, TEX_RNG_SAMPLE, (uint64_t)k);
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = mango_rng_int(&rng, o->n[j]);
}

/* Means, and the standard deviation of each part as a whole, over a sample of codes. */
static mango_status tex_sizes(mgi_texture *t, const mango_opt *o)
{
    const mango_idx m = o->facts.n_codes > 0 ? MGI_MIN(o->facts.n_codes, TEX_SAMPLE)
                                             : TEX_SAMPLE;
    mango_idx *I = mgi_new(&o->al, t->d, sizeof *I);
    float *x = mgi_new(&o->al, m * t->dim, sizeof *x);
    if (I && x) {
        for (mango_idx k = 0; k < m; k++) {
            tex_sample(o, k, I);
            mgi_texture_raw(t, I, x + k * t->dim);
            for (mango_idx a = 0; a < t->dim; a++)
                t->mean[a] += x[k * t->dim + a] / (float)m;
        }
        mango_idx a = 0;
        for (int p = 0; p < MGI_TEXTURE_PARTS; p++) {
            for (const mango_idx end = a + t->part[p]; a < end; a++)
                for (mango_idx k = 0; k < m; k++) {
                    const double off = (double)x[k * t->dim + a] - (double)t->mean[a];
                    t->size[p] += off * off / (double)m;
                }
            t->size[p] = sqrt(t->size[p]);
        }
    }
    const mango_status st = I && x ? MANGO_OK : MANGO_E_MEM;
    mgi_del(&o->al, I, t->d, sizeof *I);
    mgi_del(&o->al, x, m * t->dim, sizeof *x);
    return st;
}

/* ---- life -------------------------------------------------------------------------- */

static mango_status tex_grid(mgi_texture *t, const mango_opt *o)
{
    t->q = o->facts.level_dim > 0 ? MGI_MIN(MGI_TEXTURE_Q, o->facts.level_dim)
           : t->ordered           ? 1
                                  : MGI_TEXTURE_Q;
    t->fields_h = MGI_MIN(MGI_TEXTURE_FIELDS, t->H);
    t->fields_w = MGI_MIN(MGI_TEXTURE_FIELDS, t->W);
    t->part[0] = MGI_TEXTURE_A;
    t->part[1] = 4 * MGI_TEXTURE_B;
    t->each = MGI_MIN(MGI_TEXTURE_C, t->q);
    t->part[2] = t->fields_h * t->fields_w * t->each;
    t->e = mgi_new(&o->al, t->levels * t->q, sizeof *t->e);
    if (!t->e)
        return MANGO_E_MEM;
    if (o->facts.level_dim > 0)
        MGI_TRY(tex_axes(t, o));
    else
        tex_names(t);
    MGI_TRY(tex_waves(&t->wide, t, 3, MGI_TEXTURE_A, TEX_RNG_WAVE, &o->al));
    return tex_waves(&t->small, t, 2, MGI_TEXTURE_B, TEX_RNG_WAVE + 1, &o->al);
}

MGI_FN mango_status mgi_texture_init(mgi_texture *t, const mango_opt *o)
{
    static const double even[MGI_TEXTURE_PARTS] = {1.0, 0.5, 0.3, 0.5};
    const mgi_texture none = {.d = o->d, .n = o->n};
    mango_idx alike = 1;
    *t = none;
    t->ordered = o->facts.prior == MANGO_PRIOR_NORMAL;
    while (alike < o->facts.H * o->facts.W && o->n[alike] == o->n[0])
        alike++;
    if (o->facts.H > 0 && alike == o->facts.H * o->facts.W && o->n[0] <= TEX_LEVELS) {
        t->H = o->facts.H;
        t->W = o->facts.W;
        t->levels = o->n[0];
        MGI_TRY(tex_grid(t, o));
    }
    const mango_idx behind = t->d - t->H * t->W;
    if (behind > 0 && behind <= TEX_MODES)
        t->part[3] = t->H > 0 ? MGI_TEXTURE_FEW : MGI_TEXTURE_MANY;
    for (int p = 0; p < MGI_TEXTURE_PARTS; p++)
        t->dim += t->part[p];
    t->mean = mgi_new(&o->al, t->dim, sizeof *t->mean);
    if (!t->mean)
        return MANGO_E_MEM;
    if (t->dim > 0)
        MGI_TRY(tex_sizes(t, o));
    mgi_texture_weigh(t, even);
    return MANGO_OK;
}

MGI_FN void mgi_texture_free(mgi_texture *t, const mango_alloc *al)
{
    mgi_del(al, t->e, t->levels * t->q, sizeof *t->e);
    mgi_del(al, t->wide.row, t->wide.h * t->wide.w * t->wide.levels * t->wide.n,
            sizeof(uint16_t));
    mgi_del(al, t->small.row, t->small.h * t->small.w * t->small.levels * t->small.n,
            sizeof(uint16_t));
    mgi_del(al, t->mean, t->dim, sizeof *t->mean);
    t->wide.row = t->small.row = NULL;
    t->e = t->mean = NULL;
}

#undef TEX_RNG
#undef TEX_LEVELS
#undef TEX_AXES
#undef TEX_MODES
#undef TEX_SAMPLE
#undef TEX_LENGTH
#undef TEX_TURN
#undef TEX_CELLS
#undef TEX_HELD
