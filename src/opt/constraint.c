/* constraint.c - what the codes of an optimizer must be.
 *
 * Masks: of each mode some levels are allowed. The method sees modes of these alone,
 * numbered anew in their order, and facts to match; its proposals are translated on the
 * way out, what it is told on the way in. Nothing of it can be broken.
 * A predicate: proposals that it refuses are told to the method as missing, and as many
 * are asked again, 10 times. What is still refused is mended: with a code A that is allowed
 * (the best told; another proposal; a reference code; one of 1,000 at random), mode j is
 * taken from A where u_j < s/8, u_j uniform, for s = 1, 2, ... 8 until the predicate is
 * content, at s = 8 by A itself. A mended proposal is no more the method's: its id is
 * MANGO_UNASKED.
 * SPDX-License-Identifier: MIT */
#include "constraint.h"
#include "../base/rng.h"

#define CONSTRAINT_RNG 0x434f4e01u
#define CONSTRAINT_ASKS 10
#define CONSTRAINT_DRAWS 1000
#define CONSTRAINT_STEPS 8
#define CONSTRAINT_LOOK ((mango_idx)1 << 16) /* levels of codes shown to a callback at once */

/* ---- translation ------------------------------------------------------------ */

MGI_FN void mgi_constraint_out(const mgi_constraint *c, mango_idx K, mango_idx *I)
{
    for (mango_idx k = 0; c->masked && k < K; k++)
        for (mango_idx j = 0; j < c->d; j++)
            I[k * c->d + j] = c->level[c->from[j] + I[k * c->d + j]];
}

/* The method's code of an allowed one. */
static void constraint_in(const mgi_constraint *c, const mango_idx *I, mango_idx *own)
{
    for (mango_idx j = 0; j < c->d; j++)
        own[j] = c->masked ? c->back[c->to[j] + I[j]] : I[j];
}

MGI_FN int mgi_constraint_allows(const mgi_constraint *c, const mango_idx *I)
{
    if (!c)
        return 1;
    for (mango_idx j = 0; c->masked && j < c->d; j++)
        if (c->back[c->to[j] + I[j]] < 0)
            return 0;
    return !c->allows || c->allows(c->allows_ud, I);
}

/* ---- create ----------------------------------------------------------------- */

/* Offsets of the modes, and which levels there are. */
static mango_status constraint_levels(mgi_constraint *c, const unsigned char *allowed,
                                      mango_err *err)
{
    for (mango_idx j = 0; j < c->d; j++) {
        c->to[j + 1] = c->to[j] + c->n[j];
        c->from[j + 1] = c->from[j];
        for (mango_idx l = 0; l < c->n[j]; l++) {
            const int yes = allowed[c->to[j] + l] != 0;
            c->back[c->to[j] + l] = yes ? c->from[j + 1] - c->from[j] : -1;
            c->level[c->from[j + 1]] = l;
            c->from[j + 1] += yes;
        }
        c->few[j] = c->from[j + 1] - c->from[j];
        MGI_CHECK(err, c->few[j] > 0, "facts: no level of mode %td is allowed", j);
    }
    return MANGO_OK;
}

static mango_status constraint_masks(mgi_constraint *c, const unsigned char *allowed,
                                     const mango_alloc *al, mango_err *err)
{
    mango_idx all = 0;
    for (mango_idx j = 0; j < c->d; j++)
        MGI_CHECK(err, c->n[j] != MANGO_REAL && mgi_add(all, c->n[j], &all),
                  "facts: masks go with modes of levels, mode %td is real", j);
    c->few = mgi_new(al, c->d, sizeof *c->few);
    c->from = mgi_new(al, c->d + 1, sizeof *c->from);
    c->to = mgi_new(al, c->d + 1, sizeof *c->to);
    c->level = mgi_new(al, all + 1, sizeof *c->level);
    c->back = mgi_new(al, all, sizeof *c->back);
    c->masked = 1;
    c->all = all;
    if (!c->few || !c->from || !c->to || !c->level || !c->back)
        return mgi_fail(err, MANGO_E_MEM, "optimizer: out of memory for the masks");
    c->to[0] = c->from[0] = 0;
    return constraint_levels(c, allowed, err);
}

MGI_FN mango_status mgi_constraint_create(mgi_constraint **out, const mango_modes *modes,
                                          const mango_facts *facts, const mango_alloc *al,
                                          mango_err *err)
{
    *out = NULL;
    if (!facts->allowed && !facts->allows)
        return MANGO_OK;
    mgi_constraint *c = mgi_new(al, 1, sizeof *c);
    *out = c;
    if (!c)
        return mgi_fail(err, MANGO_E_MEM, "optimizer: out of memory");
    c->d = modes->d;
    c->n = mgi_new(al, c->d, sizeof *c->n);
    c->look_rows = MGI_MAX(CONSTRAINT_LOOK / c->d, 1);
    c->look = mgi_new(al, c->look_rows * c->d, sizeof *c->look);
    if (!c->n || !c->look)
        return mgi_fail(err, MANGO_E_MEM, "optimizer: out of memory for %td modes", c->d);
    memcpy(c->n, modes->n, (size_t)c->d * sizeof *c->n);
    c->allows = facts->allows;
    c->allows_ud = facts->allows_ud;
    if (facts->allows_name)
        mgi_copy(c->name, sizeof c->name, facts->allows_name);
    return facts->allowed ? constraint_masks(c, facts->allowed, al, err) : MANGO_OK;
}

MGI_FN void mgi_constraint_free(mgi_constraint *c, const mango_alloc *al)
{
    if (!c)
        return;
    mgi_del(al, c->n, c->d, sizeof *c->n);
    mgi_del(al, c->few, c->d, sizeof *c->few);
    mgi_del(al, c->from, c->d + 1, sizeof *c->from);
    mgi_del(al, c->level, c->all + 1, sizeof *c->level);
    mgi_del(al, c->back, c->all, sizeof *c->back);
    mgi_del(al, c->to, c->d + 1, sizeof *c->to);
    mgi_del(al, c->look, c->look_rows * c->d, sizeof *c->look);
    mgi_del(al, c->I, c->rows * c->d, sizeof *c->I);
    mgi_del(al, c->told, c->rows, sizeof *c->told);
    mgi_del(al, c, 1, sizeof *c);
}

/* ---- facts ------------------------------------------------------------------ */

/* Are the levels of modes a and b the same ones? */
static int constraint_alike(const mgi_constraint *c, mango_idx a, mango_idx b)
{
    return c->n[a] == c->n[b] && c->few[a] == c->few[b] &&
           memcmp(c->level + c->from[a], c->level + c->from[b],
                  (size_t)c->few[a] * sizeof *c->level) == 0;
}

/* Modes first .. end-1: 2: all levels, or one alone; 1: one range, the same in all; else 0.
 * `whole`: all levels. */
static int constraint_range(const mgi_constraint *c, mango_idx first, mango_idx end,
                            int *whole)
{
    int plain = 1, range = 1;
    *whole = 1;
    for (mango_idx j = first; j < end; j++) {
        const mango_idx *l = c->level + c->from[j];
        *whole &= c->few[j] == c->n[j];
        plain &= c->few[j] == c->n[j] || c->few[j] == 1;
        range &= l[c->few[j] - 1] - l[0] == c->few[j] - 1 && constraint_alike(c, first, j);
    }
    return plain ? 2 : range;
}

/* What the callbacks of the space tell of the method's codes, some at a time. */
static mango_status constraint_features(void *ud, mango_idx K, const mango_idx *I, float *f)
{
    mgi_constraint *c = ud;
    for (mango_idx k = 0; k < K; k += c->look_rows) {
        const mango_idx n = MGI_MIN(c->look_rows, K - k);
        memcpy(c->look, I + k * c->d, (size_t)(n * c->d) * sizeof *I);
        mgi_constraint_out(c, n, c->look);
        MGI_TRY(c->facts.features(c->facts.features_ud, n, c->look,
                                  f + k * c->facts.features_dim));
    }
    return MANGO_OK;
}

static mango_status constraint_gradient(void *ud, mango_idx K, const mango_idx *I, double *y,
                                        float *dy)
{
    mgi_constraint *c = ud;
    const mango_idx row = c->d * MGI_MAX(c->facts.level_dim, 1);
    for (mango_idx k = 0; k < K; k += c->look_rows) {
        const mango_idx n = MGI_MIN(c->look_rows, K - k);
        memcpy(c->look, I + k * c->d, (size_t)(n * c->d) * sizeof *I);
        mgi_constraint_out(c, n, c->look);
        MGI_TRY(c->facts.gradient(c->facts.gradient_ud, n, c->look, y + k, dy + k * row));
    }
    return MANGO_OK;
}

/* Facts that hold for the levels that are left; others are not known. */
static void constraint_keep(mgi_constraint *c, mango_facts *f)
{
    int whole;
    const int all = constraint_range(c, 0, c->d, &whole);
    const double step = c->n[0] > 1 ? (f->prior_hi - f->prior_lo) / (double)(c->n[0] - 1) : 0;
    if (all == 1 && c->few[0] > 1) {
        f->prior_hi = f->prior_lo + step * (double)c->level[c->few[0] - 1];
        f->prior_lo += step * (double)c->level[0];
    } else if (all != 2) {
        f->prior = MANGO_PRIOR_NONE;
    }
    const int class_range =
        constraint_range(c, f->class_first, f->class_first + f->classes, &whole);
    if (f->classes > 0 && !whole && class_range != 1)
        f->classes = f->class_first = 0;
    for (mango_idx j = 1; f->level_dim > 0 && j < (f->H ? f->H * f->W : c->d); j++)
        f->level_dim = constraint_alike(c, 0, j) ? f->level_dim : 0;
    if (f->level_dim == 0)
        f->levels = NULL;
    if (f->features) {
        f->features = constraint_features;
        f->features_ud = c;
    }
    const int numbers = c->facts.level_dim == 0 && all > 0;
    const int points = c->facts.level_dim > 0 && f->level_dim > 0;
    f->gradient = f->gradient && (numbers || points) ? constraint_gradient : NULL;
    f->gradient_ud = f->gradient ? c : NULL;
}

/* Reference codes that are allowed, in the method's levels, and the points of the levels. */
static mango_status constraint_arrays(const mgi_constraint *c, mango_facts *f,
                                      mango_idx *codes, float *features, float *levels,
                                      const mango_facts *full)
{
    f->n_codes = 0;
    for (mango_idx i = 0; i < full->n_codes; i++) {
        if (!mgi_constraint_allows(c, full->codes + i * c->d))
            continue;
        constraint_in(c, full->codes + i * c->d, codes + f->n_codes * c->d);
        if (full->code_dim > 0)
            memcpy(features + f->n_codes * full->code_dim,
                   full->code_features + i * full->code_dim,
                   (size_t)full->code_dim * sizeof *features);
        f->n_codes++;
    }
    f->codes = codes;
    f->code_features = features;
    for (mango_idx i = 0; c->masked && f->level_dim > 0 && i < c->few[0]; i++)
        memcpy(levels + i * f->level_dim, full->levels + c->level[i] * f->level_dim,
               (size_t)f->level_dim * sizeof *levels);
    if (c->masked && f->level_dim > 0)
        f->levels = levels;
    return MANGO_OK;
}

MGI_FN mango_status mgi_constraint_facts(mgi_constraint *c, mango_facts *to,
                                         const mango_facts *facts, const mango_modes *modes,
                                         const mango_alloc *al, mango_err *err)
{
    mango_facts f = *facts;
    const mango_idx cells = f.n_codes * c->d, numbers = f.n_codes * f.code_dim;
    const mango_idx points = f.level_dim > 0 ? c->n[0] * f.level_dim : 0;
    mango_idx *codes = mgi_new(al, cells, sizeof *codes);
    float *features = mgi_new(al, numbers, sizeof *features);
    float *levels = mgi_new(al, points, sizeof *levels);
    mango_status st = MANGO_OK;
    c->facts = *facts;
    f.allowed = NULL;
    f.allows = NULL;
    if (!codes || !features || !levels)
        st = mgi_fail(err, MANGO_E_MEM, "facts: out of memory for the masks");
    if (st >= 0 && c->masked)
        constraint_keep(c, &f);
    if (st >= 0)
        st = constraint_arrays(c, &f, codes, features, levels, facts);
    if (st >= 0)
        st = mgi_facts_copy(to, &f, modes, al, err);
    mgi_del(al, codes, cells, sizeof *codes);
    mgi_del(al, features, numbers, sizeof *features);
    mgi_del(al, levels, points, sizeof *levels);
    return st;
}

/* ---- ask -------------------------------------------------------------------- */

static mango_status constraint_room(mango_opt *o, mango_idx n)
{
    mgi_constraint *c = o->constraint;
    mango_idx cells;
    if (n <= c->rows)
        return MANGO_OK;
    if (!mgi_mul(n, c->d, &cells))
        return mgi_fail(&o->err, MANGO_E_MEM, "optimizer: %td codes are too many", n);
    mango_idx *I = mgi_new(&o->al, cells, sizeof *I);
    mango_told *told = mgi_new(&o->al, n, sizeof *told);
    const int ok = I && told;
    mgi_del(&o->al, ok ? c->I : I, ok ? c->rows * c->d : cells, sizeof *I);
    mgi_del(&o->al, ok ? c->told : told, ok ? c->rows : n, sizeof *told);
    if (!ok)
        return mgi_fail(&o->err, MANGO_E_MEM, "optimizer: out of memory for %td codes", n);
    c->I = I;
    c->told = told;
    c->rows = n;
    return MANGO_OK;
}

/* The method hears of the proposals that were refused: their numbers are in told[].n, and
 * their ids. How many. */
static mango_idx constraint_refused(mango_opt *o, mango_idx n, const mango_idx *I,
                                    const uint64_t *id)
{
    mgi_constraint *c = o->constraint;
    mango_idx m = 0;
    for (mango_idx k = 0; k < n; k++) {
        if (id[k] == MANGO_UNASKED || c->allows(c->allows_ud, I + k * c->d))
            continue;
        constraint_in(c, I + k * c->d, c->I + m * c->d);
        const mango_told t = {id[k], c->I + m * c->d, MGI_NAN, MGI_NAN, 1, 0.0};
        c->told[m++] = t;
    }
    const mgi_tells t = {m, c->d, c->told, NULL, NULL, o->minimize};
    if (m > 0 && o->method->tell)
        o->method->tell(o, &t);
    return m;
}

/* As many proposals more, in the place of those that were refused. */
static mango_status constraint_again(mango_opt *o, mango_idx n, mango_idx m, mango_idx *I,
                                     uint64_t *id)
{
    mgi_constraint *c = o->constraint;
    mango_idx got = m, used = 0;
    MGI_TRY(o->method->ask(o, m, &got, c->I));
    mgi_constraint_out(c, got, c->I);
    for (mango_idx k = 0; k < n && used < got; k++) {
        if (c->allows(c->allows_ud, I + k * c->d))
            continue;
        memcpy(I + k * c->d, c->I + used * c->d, (size_t)c->d * sizeof *I);
        id[k] = o->asked + (uint64_t)used++;
    }
    o->asked += (uint64_t)got;
    return MANGO_OK;
}

/* An allowed code, not among those to be mended; 0: none was found. */
static int constraint_anchor(mango_opt *o, mango_idx n, const mango_idx *I, mango_idx *A)
{
    mgi_constraint *c = o->constraint;
    mango_rng rng;
    const size_t size = (size_t)c->d * sizeof *A;
    if (o->has_best) {
        memcpy(A, o->best_I, size);
        return 1;
    }
    for (mango_idx k = 0; k < n; k++)
        if (c->allows(c->allows_ud, I + k * c->d)) {
            memcpy(A, I + k * c->d, size);
            return 1;
        }
    if (o->facts.n_codes > 0) {
        memcpy(A, o->facts.codes, size);
        mgi_constraint_out(c, 1, A);
        return 1;
    }
    mango_rng_init(&rng, o->seed, CONSTRAINT_RNG, o->asked);
    for (int i = 0; i < CONSTRAINT_DRAWS; i++) {
        for (mango_idx j = 0; j < c->d; j++)
            A[j] = mango_rng_int(&rng, o->n[j]);
        mgi_constraint_out(c, 1, A);
        if (c->allows(c->allows_ud, A))
            return 1;
    }
    return 0;
}

static void constraint_mend(mango_opt *o, mango_idx k, const mango_idx *A, mango_idx *I)
{
    const mgi_constraint *c = o->constraint;
    for (int s = 1; s <= CONSTRAINT_STEPS; s++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, CONSTRAINT_RNG + 1u, o->asked + (uint64_t)k);
        for (mango_idx j = 0; j < c->d; j++)
            if (mango_rng_uniform(&rng) < (double)s / CONSTRAINT_STEPS)
                I[j] = A[j];
        if (c->allows(c->allows_ud, I))
            return;
    }
}

/* Ask again; id (n) is filled. */
static mango_status constraint_ask(mango_opt *o, mango_idx n, mango_idx *I, uint64_t *id)
{
    mgi_constraint *c = o->constraint;
    mango_idx m = constraint_refused(o, n, I, id);
    for (int i = 0; m > 0 && i < CONSTRAINT_ASKS; i++) {
        MGI_TRY(constraint_again(o, n, m, I, id));
        m = constraint_refused(o, n, I, id);
    }
    if (m == 0)
        return MANGO_OK;
    if (!constraint_anchor(o, n, I, c->I))
        return mgi_fail(&o->err, MANGO_E_STATE,
                        "optimizer: no code that '%s' allows was found", c->name);
    for (mango_idx k = 0; k < n; k++)
        if (!c->allows(c->allows_ud, I + k * c->d)) {
            constraint_mend(o, k, c->I, I + k * c->d);
            id[k] = MANGO_UNASKED;
        }
    return MANGO_OK;
}

MGI_FN mango_status mgi_constraint_ask(mango_opt *o, mango_idx n, mango_idx *I, uint64_t *id)
{
    mgi_constraint *c = o->constraint;
    mgi_constraint_out(c, n, I);
    if (!c->allows)
        return MANGO_OK;
    MGI_TRY(constraint_room(o, n));
    uint64_t *own = id ? id : mgi_new(&o->al, n, sizeof *own);
    if (!own)
        return mgi_fail(&o->err, MANGO_E_MEM, "optimizer: out of memory for %td codes", n);
    for (mango_idx k = 0; k < n; k++)
        own[k] = o->asked - (uint64_t)(n - k);
    const mango_status st = constraint_ask(o, n, I, own);
    if (!id)
        mgi_del(&o->al, own, n, sizeof *own);
    return st;
}

/* ---- tell ------------------------------------------------------------------- */

MGI_FN mango_status mgi_constraint_tell(mango_opt *o, const mgi_tells *t, mgi_tells *out)
{
    mgi_constraint *c = o->constraint;
    mango_idx n = 0;
    MGI_TRY(constraint_room(o, t->n));
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told plain = {MANGO_UNASKED, t->told ? NULL : t->I + k * t->d,
                                  t->told ? 0.0 : t->y[k], MGI_NAN, 1, 0.0};
        const mango_told row = t->told ? t->told[k] : plain;
        if (!mgi_constraint_allows(c, row.I))
            continue;
        constraint_in(c, row.I, c->I + n * c->d);
        c->told[n] = row;
        c->told[n].I = c->I + n * c->d;
        n++;
    }
    const mgi_tells own = {n, t->d, c->told, NULL, NULL, t->minimize};
    *out = own;
    return MANGO_OK;
}

#undef CONSTRAINT_RNG
#undef CONSTRAINT_ASKS
#undef CONSTRAINT_DRAWS
#undef CONSTRAINT_STEPS
#undef CONSTRAINT_LOOK
