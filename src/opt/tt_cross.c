/* tt_cross.c - index sets, entries and values of a cross approximation; see tt_cross.h.
 * SPDX-License-Identifier: MIT */
#include "tt_cross.h"
#include "../base/rng.h"

#define TTC_RNG_SETS 0x43525301u
#define TTC_RNG_CODE 0x43525302u
#define TTC_CORE ((mango_idx)1 << 16) /* entries of a core at most */
#define TTC_ALL ((mango_idx)1 << 24)  /* numbers kept of all cores */
#define TTC_SEEN ((mango_idx)1 << 17) /* codes remembered */
#define TTC_TAU 1.001                 /* maxvol's bound on |B| */
#define TTC_SWAPS 1000

/* ---- modes ----------------------------------------------------------------------- */

static int ttc_bits(mango_idx n)
{
    return n >= 2 && (n & (n - 1)) == 0;
}

/* Levels of each mode that are looked at, where ranks may be c->most; the most levels
 * of a core. kept: are all cores kept? */
static mango_idx ttc_coarse(mgi_ttc *c, int kept)
{
    const mango_opt *o = c->o;
    const mango_idx r2 = c->most * c->most, all = TTC_ALL / (r2 * o->d);
    const mango_idx one = TTC_CORE / r2, few = MGI_MAX(2, kept ? MGI_MIN(one, all) : one);
    mango_idx top = 1;
    for (mango_idx j = 0; j < o->d; j++) {
        const int bits = c->quantized && ttc_bits(o->n[j]);
        c->coarse[j] = bits ? o->n[j] : MGI_MIN(o->n[j], few);
        top = MGI_MAX(top, bits ? 2 : c->coarse[j]);
    }
    c->d = c->quantized ? mgi_qtt_modes(o->d, c->coarse, NULL) : o->d;
    return top;
}

/* Modes and ranks, so that a core, and what is kept of all, stays within its limit. */
static void ttc_plan(mgi_ttc *c, int kept)
{
    mango_idx top = ttc_coarse(c, kept);
    while (kept && c->most > 1 && 2 * c->d > TTC_ALL / (c->most * c->most)) {
        c->most--;
        top = ttc_coarse(c, kept);
    }
    c->size = c->most * c->most * top;
}

MGI_FN void mgi_ttc_code(mgi_ttc *c, mango_idx *I)
{
    const mango_opt *o = c->o;
    if (c->quantized)
        mgi_qtt_join(o->d, c->coarse, c->Iq, I);
    else
        memcpy(I, c->Iq, (size_t)o->d * sizeof *I);
    for (mango_idx j = 0; j < o->d; j++) {
        const mango_idx n = o->n[j], m = c->coarse[j];
        if (m < n) /* m levels evenly spaced among n, the first and the last included */
            I[j] = (mango_idx)((int64_t)I[j] * (n - 1) / MGI_MAX(m - 1, 1));
    }
}

/* ---- sets ------------------------------------------------------------------------ */

static mango_idx ttc_entries(const mgi_ttc *c, mango_idx core)
{
    return c->rl[core] * c->n[core] * c->rr[core + 1];
}

MGI_FN mango_idx mgi_ttc_size(const mgi_ttc *c)
{
    return ttc_entries(c, c->now.core);
}

/* A set that was renewed may have fewer rows than one made from its old ones refers to. */
MGI_FN void mgi_ttc_entry(mgi_ttc *c, mango_idx core, mango_idx q)
{
    const mango_idx r1 = c->rl[core], n = c->n[core];
    mango_idx a = q % r1, b = q / r1 / n;
    c->Iq[core] = q / r1 % n;
    for (mango_idx j = core; j > 0; j--) {
        const mango_idx at = j * c->most + MGI_MIN(a, c->rl[j] - 1);
        c->Iq[j - 1] = c->Ll[at];
        a = c->Lp[at];
    }
    for (mango_idx j = core + 1; j < c->d; j++) {
        const mango_idx at = j * c->most + MGI_MIN(b, c->rr[j] - 1);
        c->Iq[j] = c->Rl[at];
        b = c->Rp[at];
    }
}

/* Z as the matrix whose rows are to be chosen among, into A: rows (level, row of the set
 * before), columns the rows of the set on the other side. */
static void ttc_matrix(mgi_ttc *c, mango_idx R, mango_idx C)
{
    for (mango_idx p = 0; p < R; p++)
        for (mango_idx k = 0; k < C; k++)
            c->A[p * C + k] = c->now.right ? c->Z[k * R + p] : c->Z[p * C + k];
}

/* The row that holds the largest |Z|. */
static mango_idx ttc_largest(const mgi_ttc *c, mango_idx R, mango_idx C)
{
    mango_idx at = 0;
    for (mango_idx q = 1; q < R * C; q++)
        if (fabs(c->Z[q]) > fabs(c->Z[at]))
            at = q;
    return c->now.right ? at % R : at / C;
}

/* Rows of the (R,C) matrix; returns how many. */
static mango_idx ttc_rows(mgi_ttc *c, mango_idx R, mango_idx C)
{
    memset(c->B, 0, (size_t)(R * c->most) * sizeof *c->B);
    if (R <= C) {
        for (mango_idx p = 0; p < R; p++) {
            c->rows[p] = p;
            c->B[p * c->most + p] = 1.0;
        }
        return R;
    }
    ttc_matrix(c, R, C);
    mgi_qr(R, C, c->A, c->Q);
    for (mango_idx p = 0; p < R; p++)
        memcpy(c->B + p * c->most, c->Q + p * C, (size_t)C * sizeof *c->B);
    mgi_maxvol(R, C, c->most, c->B, TTC_TAU, TTC_SWAPS, c->rows, c->used);
    const mango_idx best = ttc_largest(c, R, C);
    if (!c->used[best])
        mgi_maxvol_force(R, C, c->most, c->B, best, c->rows, c->used);
    const mango_idx more = MGI_MIN(c->grow, MGI_MIN(c->most, R) - C);
    return mgi_maxvol_grow(R, C, c->most, c->B, more, c->rows, c->used, c->v);
}

/* The shape of this core's matrix: rows to choose among, columns. */
static mango_idx ttc_shape(const mgi_ttc *c, mango_idx *C)
{
    const mango_idx j = c->now.core;
    *C = c->now.right ? c->rr[j + 1] : c->rl[j];
    return c->n[j] * (c->now.right ? c->rl[j] : c->rr[j + 1]);
}

/* The first r of c->rows become the set. */
static void ttc_keep(mgi_ttc *c, mango_idx r)
{
    const mango_idx j = c->now.core, n = c->n[j], r1 = c->rl[j], most = c->most;
    for (mango_idx k = 0; k < r; k++) {
        const int32_t row = (int32_t)c->rows[k];
        if (c->now.right) {
            c->Ll[(j + 1) * most + k] = row / (int32_t)r1;
            c->Lp[(j + 1) * most + k] = row % (int32_t)r1;
        } else {
            c->Rl[j * most + k] = row % (int32_t)n;
            c->Rp[j * most + k] = row / (int32_t)n;
        }
    }
    *(c->now.right ? c->rl + j + 1 : c->rr + j) = r;
}

MGI_FN void mgi_ttc_choose(mgi_ttc *c)
{
    mango_idx C;
    const mango_idx R = ttc_shape(c, &C);
    ttc_keep(c, ttc_rows(c, R, C));
}

/* The best code of this round as cores have it; false: it has levels that are not looked at. */
static int ttc_best(mgi_ttc *c)
{
    const mango_opt *o = c->o;
    if (mgi_is_nan(c->round_best))
        return 0;
    for (mango_idx j = 0; j < o->d; j++) {
        const mango_idx n = o->n[j], m = c->coarse[j];
        const int64_t i = c->best_I[j];
        c->Ic[j] = m < n ? (mango_idx)((i * (m - 1) + n - 2) / (n - 1)) : c->best_I[j];
    }
    if (c->quantized)
        mgi_qtt_split(o->d, c->coarse, c->Ic, c->Iq);
    else
        memcpy(c->Iq, c->Ic, (size_t)o->d * sizeof *c->Iq);
    mgi_ttc_code(c, c->Ic);
    return memcmp(c->Ic, c->best_I, (size_t)o->d * sizeof *c->Ic) == 0;
}

MGI_FN void mgi_ttc_plant(mgi_ttc *c)
{
    if (!ttc_best(c))
        return;
    for (mango_idx j = 1; j < c->d; j++) {
        const mango_idx l = c->rl[j] - 1, r = c->rr[j] - 1;
        if (c->now.right) {
            c->Ll[j * c->most + l] = (int32_t)c->Iq[j - 1];
            c->Lp[j * c->most + l] = (int32_t)(c->rl[j - 1] - 1);
        } else {
            c->Rl[j * c->most + r] = (int32_t)c->Iq[j];
            c->Rp[j * c->most + r] = (int32_t)(c->rr[j + 1] - 1);
        }
    }
}

/* One core on; at either end the direction turns and the core comes again. */
static void ttc_step(const mgi_ttc *c, mgi_ttc_at *at)
{
    const mango_idx to = at->core + (at->right ? 1 : -1);
    at->next = 0;
    if (to >= 0 && to < c->d)
        at->core = to;
    else
        at->right = !at->right;
}

/* r of R rows, each choice of them equally likely. Source: R. W. Floyd, in J. Bentley,
 * "Programming pearls: a sample of brilliance", 1987. */
static void ttc_some(mgi_ttc *c, mango_idx r, mango_idx R, mango_rng *rng)
{
    memset(c->used, 0, (size_t)R);
    for (mango_idx k = 0; k < r; k++) {
        const mango_idx i = R - r + k, p = mango_rng_int(rng, i + 1);
        c->rows[k] = c->used[p] ? i : p;
        c->used[c->rows[k]] = 1;
    }
}

/* Random sets of one direction, up to r rows each. */
static void ttc_draw(mgi_ttc *c, int right, mango_rng *rng)
{
    c->now.right = right;
    for (mango_idx i = 0; i + 1 < c->d; i++) {
        mango_idx C;
        c->now.core = right ? i : c->d - 1 - i;
        const mango_idx R = ttc_shape(c, &C), r = MGI_MIN(c->r, R);
        ttc_some(c, r, R, rng);
        ttc_keep(c, r);
    }
}

static void ttc_sets(mgi_ttc *c)
{
    mango_rng rng;
    mango_rng_init(&rng, c->o->seed, TTC_RNG_SETS, c->round++);
    c->round_best = MGI_NAN;
    c->renew = 0;
    for (mango_idx j = 0; j <= c->d; j++)
        c->rl[j] = c->rr[j] = 1;
    ttc_draw(c, 1, &rng);
    ttc_draw(c, 0, &rng);
    c->now.core = c->d - 1;
    c->now.right = 0;
    c->now.next = 0;
}

MGI_FN void mgi_ttc_restart(mgi_ttc *c, uint64_t round)
{
    c->round = round;
    c->told = 0;
    c->best = c->worst = 0.0;
    mgi_seen_clear(&c->seen);
    ttc_sets(c);
}

/* ---- values ---------------------------------------------------------------------- */

MGI_FN mango_idx mgi_ttc_gather(mgi_ttc *c)
{
    const mango_idx size = mgi_ttc_size(c);
    mango_idx n = 0;
    for (mango_idx q = 0; q < size; q++) {
        mgi_ttc_entry(c, c->now.core, q);
        mgi_ttc_code(c, c->Ic);
        const double *y = mgi_seen_find(&c->seen, mgi_seen_key(c->o->d, c->Ic));
        c->Z[q] = y ? *y : MGI_NAN;
        n += !mgi_is_nan(c->Z[q]);
    }
    return n;
}

MGI_FN void mgi_ttc_tell(mgi_ttc *c, const mgi_tells *t)
{
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        double *y = mgi_seen_put(&c->seen, mgi_seen_key(t->d, row.I));
        if (mgi_is_nan(row.y))
            continue;
        *y = row.y;
        if (mgi_is_nan(c->round_best) || row.y > c->round_best) {
            c->round_best = row.y;
            memcpy(c->best_I, row.I, (size_t)t->d * sizeof *c->best_I);
        }
        c->best = c->told == 0 ? row.y : MGI_MAX(c->best, row.y);
        c->worst = c->told == 0 ? row.y : MGI_MIN(c->worst, row.y);
        c->told++;
    }
}

/* ---- ask ------------------------------------------------------------------------- */

/* The next entry of the core at `at` that was not seen, into I; 0: none is left. */
static int ttc_next(mgi_ttc *c, mgi_ttc_at *at, mango_idx *I, int take)
{
    const mango_idx size = ttc_entries(c, at->core);
    for (; at->next < size; at->next++) {
        mgi_ttc_entry(c, at->core, at->next);
        mgi_ttc_code(c, I);
        const uint64_t key = mgi_seen_key(c->o->d, I);
        if (mgi_seen_find(&c->seen, key))
            continue;
        if (take)
            mgi_seen_put(&c->seen, key);
        return 1;
    }
    return 0;
}

/* Learn from cores whose entries were all asked, until one has some that were not. Where
 * a sweep there and back has none, all sets are drawn anew. */
MGI_FN void mgi_ttc_advance(mgi_ttc *c)
{
    for (int again = 0; again < 3; again++) {
        for (mango_idx i = 0; i < 2 * c->d + 2; i++) {
            if (ttc_next(c, &c->now, c->Ic, 0))
                return;
            c->learn((mango_opt *)c->o);
            ttc_step(c, &c->now);
            if (c->renew)
                ttc_sets(c);
        }
        ttc_sets(c);
    }
}

/* A uniform code, for one that was not seen several tries. */
static void ttc_random(mgi_ttc *c, uint64_t number, mango_idx *I)
{
    mango_rng rng;
    mango_rng_init(&rng, c->o->seed, TTC_RNG_CODE, number);
    for (int i = 0; i < 4; i++) {
        for (mango_idx j = 0; j < c->o->d; j++)
            I[j] = mango_rng_int(&rng, c->o->n[j]);
        const uint64_t key = mgi_seen_key(c->o->d, I);
        const int fresh = !mgi_seen_find(&c->seen, key);
        mgi_seen_put(&c->seen, key);
        if (fresh)
            return;
    }
}

MGI_FN void mgi_ttc_ask(mgi_ttc *c, mango_idx cap, mango_idx *K, mango_idx *I)
{
    const int own = *K == 0;
    mango_idx k = 0, ahead = 0;
    *K = mgi_opt_wanted(c->batch, cap, *K);
    mgi_ttc_advance(c);
    mgi_ttc_at at = c->last = c->now;
    while (k < *K) {
        if (ahead <= 2 * c->d && ttc_next(c, &at, I + k * c->o->d, 1)) {
            k++;
            continue;
        }
        if (own && k > 0 && ahead == 0)
            break;
        c->straight = ahead == 0 ? k : c->straight;
        if (ahead++ < 2 * c->d) {
            ttc_step(c, &at);
        } else {
            ttc_random(c, c->o->asked + (uint64_t)k, I + k * c->o->d);
            k++;
        }
    }
    if (ahead == 0) {
        c->straight = k;
        c->now.next = at.next;
    }
    *K = k;
}

/* ---- words ----------------------------------------------------------------------- */

MGI_FN void mgi_ttc_explain(const mgi_ttc *c, mgi_str *s)
{
    mgi_str_printf(s, "core %td of %td, going %s; %td values told", c->now.core + 1, c->d,
                   c->now.right ? "right" : "left", c->told);
    mgi_str_printf(s, "\nmode: levels and rows kept on its left | on its right\n");
    for (mango_idx j = 0; j < MGI_MIN(c->d, 24); j++) {
        mgi_str_printf(s, "%4td:", j);
        for (mango_idx k = 0; j + 1 < c->d && k < c->rl[j + 1]; k++)
            mgi_str_printf(s, " %d", (int)c->Ll[(j + 1) * c->most + k]);
        mgi_str_puts(s, " |");
        for (mango_idx k = 0; j > 0 && k < c->rr[j]; k++)
            mgi_str_printf(s, " %d", (int)c->Rl[j * c->most + k]);
        mgi_str_puts(s, "\n");
    }
    if (c->d > 24)
        mgi_str_printf(s, "and %td modes more\n", c->d - 24);
}

MGI_FN void mgi_ttc_why(const mgi_ttc *c, mango_idx k, mgi_str *s)
{
    if (k < c->straight)
        mgi_str_printf(s, "an entry of core %td, going %s: a level between the codes of its "
                       "index sets", c->last.core + 1, c->last.right ? "right" : "left");
    else
        mgi_str_puts(s, "an entry of a later core, asked ahead; at random when none is left");
}

/* ---- life ------------------------------------------------------------------------ */

static mango_status ttc_alloc(mgi_ttc *c)
{
    const mango_idx d = c->d, rows = c->size / c->most;
    mango_idx sets;
    if (!mgi_mul(d + 1, c->most, &sets))
        return MANGO_E_MEM;
    const mgi_piece piece[] = {
        {&c->n, d, sizeof *c->n},          {&c->Iq, d, sizeof *c->Iq},
        {&c->Ic, c->o->d, sizeof *c->Ic},  {&c->best_I, c->o->d, sizeof *c->best_I},
        {&c->rl, d + 1, sizeof *c->rl},    {&c->rr, d + 1, sizeof *c->rr},
        {&c->Ll, sets, sizeof *c->Ll},     {&c->Lp, sets, sizeof *c->Lp},
        {&c->Rl, sets, sizeof *c->Rl},     {&c->Rp, sets, sizeof *c->Rp},
        {&c->Z, c->size, sizeof *c->Z},    {&c->A, c->size, sizeof *c->A},
        {&c->Q, c->size, sizeof *c->Q},    {&c->B, c->size, sizeof *c->B},
        {&c->v, rows, sizeof *c->v},       {&c->rows, c->most, sizeof *c->rows},
        {&c->used, rows, sizeof *c->used},
    };
    return mgi_arena_all(&c->arena, MGI_COUNT(piece), piece);
}

MGI_FN mango_status mgi_ttc_init(mgi_ttc *c, mango_opt *o, mango_idx most, int quantized,
                                   int kept, mango_err *err)
{
    c->o = o;
    c->most = most;
    c->quantized = quantized;
    mgi_arena_init(&c->arena, &o->al);
    c->coarse = mgi_new(&o->al, o->d, sizeof *c->coarse);
    mango_status st = c->coarse ? mgi_seen_init(&c->seen, TTC_SEEN, &o->al) : MANGO_E_MEM;
    if (st == MANGO_OK) {
        ttc_plan(c, kept);
        st = ttc_alloc(c);
    }
    if (st < 0)
        return mgi_fail(err, st, "%s: out of memory for %td cores of rank %td",
                        o->opt.preset, c->d, c->most);
    if (quantized)
        mgi_qtt_modes(o->d, c->coarse, c->n);
    else
        memcpy(c->n, c->coarse, (size_t)o->d * sizeof *c->n);
    c->r = MGI_MIN(mgi_opt_int(o, "r"), c->most);
    c->batch = o->batch = mgi_opt_int(o, "k");
    o->retell = 1;
    return MANGO_OK;
}

MGI_FN void mgi_ttc_free(mgi_ttc *c)
{
    if (!c->o)
        return;
    if (c->coarse)
        mgi_del(&c->o->al, c->coarse, c->o->d, sizeof *c->coarse);
    mgi_seen_free(&c->seen);
    mgi_arena_free(&c->arena);
}

#undef TTC_RNG_SETS
#undef TTC_RNG_CODE
#undef TTC_CORE
#undef TTC_ALL
#undef TTC_SEEN
#undef TTC_TAU
#undef TTC_SWAPS
