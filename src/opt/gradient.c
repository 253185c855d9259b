/* gradient.c - ascent along the derivative of the objective: what a search that sees the
 * network inside reaches, the upper reference of those that do not.
 *
 * Ordered levels: the real levels z of a start, whose rounding is the code c, with g the
 * derivative at c by the number of the level (straight through the rounding):
 *     z_j = z_j + lr (n_j - 1) m_j/sqrt(v_j), held in 0 .. n_j - 1                    (1)
 *     m, v: means of g and g^2 that fade by 0.9 and 0.999, as Adam corrects them      (2)
 * until c is another code, which is the next proposal; one that was there before is jogged
 * by a level here and there. Several starts climb side by side;
 * one that got no better for `patience` steps begins anew, elsewhere.
 * Levels of a codebook: see gradient_swap.c.
 * Source: (2) Kingma and Ba, "Adam", 2015; the ascent to the preferred picture, Erhan,
 * Bengio, Courville, Vincent, "Visualizing higher-layer features", 2009; through a
 * generator, Nguyen et al., "Synthesizing the preferred inputs for neurons", 2016.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../base/rng.h"
#include "gradient.h"

#define ASCENT_RNG 0x47520001u
#define ASCENT_B1 0.9
#define ASCENT_B2 0.999
#define ASCENT_STILL 64 /* steps (1) until the code changes; then it is jogged */

static const mango_opt_spec ascent_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 8, 0, NULL, NULL},
    {"starts", "ascents side by side", MANGO_OPT_INT, 1, 1024, 4, 0, NULL, NULL},
    {"lr", "step, in parts of the range of a mode", MANGO_OPT_REAL, 0, 1, 0.02, 1, NULL,
     NULL},
    {"patience", "steps without getting better before a fresh start", MANGO_OPT_INT, 1,
     1 << 20, 60, 0, NULL, NULL},
};

/* ---- starts ----------------------------------------------------------------- */

/* Level of mode j for a fresh start. */
static mango_idx ascent_draw(const mango_opt *o, mango_idx j, mango_rng *rng)
{
    const mango_facts *f = &o->facts;
    if (f->prior != MANGO_PRIOR_NORMAL)
        return mango_rng_int(rng, o->n[j]);
    const double z = mango_rng_normal(rng), top = (double)(o->n[j] - 1);
    const double i = (z - f->prior_lo) / (f->prior_hi - f->prior_lo) * top;
    return (mango_idx)(MGI_MIN(MGI_MAX(i, 0.0), top) + 0.5);
}

MGI_FN void mgi_climb_draw(mango_opt *o, mango_idx *I)
{
    mgi_ascent *p = o->state;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, ASCENT_RNG, p->drawn++);
    const mango_idx codes = o->facts.n_codes, r = codes ? mango_rng_int(&rng, codes) : 0;
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = codes ? o->facts.codes[r * o->d + j] : ascent_draw(o, j, &rng);
}

MGI_FN void mgi_climb_fresh(mango_opt *o, mgi_climb *c)
{
    mgi_ascent *p = o->state;
    c->version = ++p->versions;
    c->y = c->best = c->better_y = MGI_NAN;
    c->tie = c->better_tie = 0.0;
    c->shown = c->ready = 0;
    c->steps = c->idle = c->n_swaps = c->next = 0;
    mgi_climb_draw(o, c->I);
    for (mango_idx j = 0; !p->swaps && j < o->d; j++) {
        c->z[j] = (double)c->I[j];
        c->m[j] = c->v[j] = 0.0;
    }
}

MGI_FN mango_status mgi_ascent_call(mango_opt *o, mango_idx n)
{
    mgi_ascent *p = o->state;
    if (n == 0)
        return MANGO_OK;
    const mango_status st = o->facts.gradient(o->facts.gradient_ud, n, p->I, p->y, p->dy);
    if (st < 0)
        return mgi_fail(&o->err, st, "gradient: the objective gave no derivative");
    for (mango_idx k = 0; k < n; k++)
        p->y[k] = !mgi_is_finite(p->y[k]) ? MGI_NAN : o->minimize ? -p->y[k] : p->y[k];
    for (mango_idx i = 0; i < n * o->d * p->m; i++) {
        const float g = o->minimize ? -p->dy[i] : p->dy[i];
        p->dy[i] = mgi_is_finite((double)g) ? g : 0.0f;
    }
    return MANGO_OK;
}

/* ---- steps ------------------------------------------------------------------ */

/* One step (1) along g (d); is the code another one? */
static int ascent_step(const mango_opt *o, mgi_climb *c, const float *g)
{
    const mgi_ascent *p = o->state;
    int moved = 0;
    c->steps++;
    const double t = (double)c->steps;
    const double b1 = 1.0 - mgi_pow(ASCENT_B1, t), b2 = 1.0 - mgi_pow(ASCENT_B2, t);
    for (mango_idx j = 0; j < o->d; j++) {
        const double dy = (double)g[j], top = (double)(o->n[j] - 1);
        c->m[j] = ASCENT_B1 * c->m[j] + (1.0 - ASCENT_B1) * dy;
        c->v[j] = ASCENT_B2 * c->v[j] + (1.0 - ASCENT_B2) * dy * dy;
        const double m = c->m[j] / b1, v = c->v[j] / b2;                        /* (2) */
        const double z = c->z[j] + (v > 0.0 ? p->lr * top * m / sqrt(v) : 0.0); /* (1) */
        c->z[j] = MGI_MIN(MGI_MAX(z, 0.0), top);
        const mango_idx i = (mango_idx)(c->z[j] + 0.5);
        moved |= i != c->I[j];
        c->I[j] = i;
    }
    return moved;
}

/* No way leads on, or back: each mode by a level, up or down or not at all. */
static void ascent_jog(mango_opt *o, mgi_climb *c)
{
    mgi_ascent *p = o->state;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, ASCENT_RNG, p->drawn++);
    for (mango_idx j = 0; j < o->d; j++) {
        const mango_idx to = c->I[j] + mango_rng_int(&rng, 3) - 1;
        c->I[j] = MGI_MIN(MGI_MAX(to, 0), o->n[j] - 1);
        c->z[j] = (double)c->I[j];
    }
}

/* Did a climb stand on I (d)? One does now. */
static int ascent_seen(mgi_ascent *p, mango_idx d, const mango_idx *I)
{
    const uint64_t h = mgi_code_hash(d, I) | 1;
    uint64_t *at = p->seen + (h >> 1) % MGI_CLIMB_SEEN;
    const int seen = *at == h;
    *at = h;
    return seen;
}

/* Climb c goes on from where it stands, of value y. */
static void ascent_go(mango_opt *o, mgi_climb *c, double y, const float *g)
{
    mgi_ascent *p = o->state;
    const int better = !mgi_is_nan(y) && (mgi_is_nan(c->best) || y > c->best);
    c->best = better ? y : c->best;
    c->idle = better ? 0 : c->idle + 1;
    if (c->idle >= p->patience) {
        mgi_climb_fresh(o, c);
        return;
    }
    int moved = 0;
    for (int i = 0; i < ASCENT_STILL && !moved; i++)
        moved = ascent_step(o, c, g);
    if (!moved || ascent_seen(p, o->d, c->I))
        ascent_jog(o, c);
}

/* All climbs but those whose start was not proposed yet make a step. */
static mango_status ascent_steps(mango_opt *o)
{
    mgi_ascent *p = o->state;
    mango_idx n = 0;
    for (mango_idx i = 0; i < p->starts; i++) {
        if (!p->climb[i].shown)
            continue;
        memcpy(p->I + n * o->d, p->climb[i].I, (size_t)o->d * sizeof *p->I);
        p->rows[n++] = i;
    }
    MGI_TRY(mgi_ascent_call(o, n));
    for (mango_idx k = 0; k < n; k++)
        ascent_go(o, p->climb + p->rows[k], p->y[k], p->dy + k * o->d);
    return MANGO_OK;
}

/* ---- ask and tell --------------------------------------------------------------- */

/* Proposal id of climb i into I (d). */
static void ascent_propose(mango_opt *o, uint64_t id, mango_idx i, mango_idx *I)
{
    mgi_ascent *p = o->state;
    mgi_climb_note *note = p->note + id % MGI_CLIMB_NOTES;
    mgi_climb *c = p->climb + i;
    note->id = id + 1;
    note->climb = i;
    note->what = -1;
    if (p->swaps)
        mgi_swap_propose(o, i, note, I);
    else {
        c->shown = 1;
        note->what = c->steps - 1;
        memcpy(I, c->I, (size_t)o->d * sizeof *I);
    }
    note->hash = mgi_code_hash(o->d, I);
}

static mango_status ascent_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_ascent *p = o->state;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    if (p->swaps)
        MGI_TRY(mgi_swap_ready(o));
    for (mango_idx k = 0; k < *K; k++) {
        const mango_idx i = (mango_idx)((o->asked + (uint64_t)k) % (uint64_t)p->starts);
        if (!p->swaps && i == 0)
            MGI_TRY(ascent_steps(o));
        ascent_propose(o, o->asked + (uint64_t)k, i, I + k * o->d);
    }
    return MANGO_OK;
}

static void ascent_tell(mango_opt *o, const mgi_tells *t)
{
    const mgi_ascent *p = o->state;
    for (mango_idx k = 0; p->swaps && k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        mgi_swap_tell(o, &told);
    }
}

static void ascent_restart(mango_opt *o, uint64_t epoch)
{
    mgi_ascent *p = o->state;
    (void)epoch; /* fresh starts go on with their numbers */
    p->bend = MGI_NAN;
    for (mango_idx i = 0; i < p->starts; i++)
        mgi_climb_fresh(o, p->climb + i);
}

/* ---- for people ------------------------------------------------------------------ */

static void ascent_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_ascent *p = o->state;
    for (mango_idx i = 0; i < MGI_MIN(p->starts, 8); i++) {
        const mgi_climb *c = p->climb + i;
        if (p->swaps)
            mgi_str_printf(s, "ascent %td: value %.4g, %td of %td swaps tried\n", i + 1, c->y,
                           c->next, c->n_swaps);
        else
            mgi_str_printf(s, "ascent %td: step %td, best %.4g\n", i + 1, c->steps, c->best);
    }
}

static void ascent_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_ascent *p = o->state;
    const uint64_t id = o->asked - (uint64_t)(o->last - k);
    const mgi_climb_note *n = p->note + id % MGI_CLIMB_NOTES;
    if (n->id != id + 1)
        return;
    mgi_str_printf(s, "ascent %td, ", n->climb + 1);
    if (n->what < 0)
        mgi_str_puts(s, n->what == -1 ? "a start" : "a mutant");
    else
        mgi_str_printf(s, "%s %td", p->swaps ? "candidate" : "step", n->what + 1);
}

/* ---- life -------------------------------------------------------------------------- */

static void ascent_destroy(mango_opt *o)
{
    mgi_ascent *p = o->state;
    const mango_alloc *al = &o->al;
    if (!p)
        return;
    for (mango_idx i = 0; p->climb && i < p->starts; i++) {
        mgi_climb *c = p->climb + i;
        mgi_del(al, c->I, o->d, sizeof *c->I);
        mgi_del(al, c->better, o->d, sizeof *c->better);
        mgi_del(al, c->z, 3 * o->d, sizeof *c->z);
    }
    mgi_del(al, p->climb, p->starts, sizeof *p->climb);
    mgi_del(al, p->rows, p->starts, sizeof *p->rows);
    mgi_del(al, p->note, MGI_CLIMB_NOTES, sizeof *p->note);
    mgi_del(al, p->seen, MGI_CLIMB_SEEN, sizeof *p->seen);
    mgi_del(al, p->I, p->starts * o->d, sizeof *p->I);
    mgi_del(al, p->y, p->starts, sizeof *p->y);
    mgi_del(al, p->dy, p->starts * o->d * p->m, sizeof *p->dy);
    mgi_del(al, p, 1, sizeof *p);
}

static mango_status ascent_climbs(mango_opt *o)
{
    mgi_ascent *p = o->state;
    for (mango_idx i = 0; i < p->starts; i++) {
        mgi_climb *c = p->climb + i;
        c->I = mgi_new(&o->al, o->d, sizeof *c->I);
        if (p->swaps)
            c->better = mgi_new(&o->al, o->d, sizeof *c->better);
        else
            c->z = mgi_new(&o->al, 3 * o->d, sizeof *c->z);
        if (!c->I || (p->swaps ? !c->better : !c->z))
            return MANGO_E_MEM;
        c->m = c->z ? c->z + o->d : NULL;
        c->v = c->z ? c->m + o->d : NULL;
    }
    return MANGO_OK;
}

static mango_status ascent_memory(mango_opt *o)
{
    mgi_ascent *p = o->state;
    mango_idx cells;
    if (!mgi_prod(3, (const mango_idx[3]){p->starts, o->d, p->m}, &cells))
        return MANGO_E_MEM;
    p->climb = mgi_new(&o->al, p->starts, sizeof *p->climb);
    p->rows = mgi_new(&o->al, p->starts, sizeof *p->rows);
    p->note = mgi_new(&o->al, MGI_CLIMB_NOTES, sizeof *p->note);
    p->seen = mgi_new(&o->al, MGI_CLIMB_SEEN, sizeof *p->seen);
    p->I = mgi_new(&o->al, p->starts * o->d, sizeof *p->I);
    p->y = mgi_new(&o->al, p->starts, sizeof *p->y);
    p->dy = mgi_new(&o->al, cells, sizeof *p->dy);
    if (!p->climb || !p->rows || !p->note || !p->seen || !p->I || !p->y || !p->dy)
        return MANGO_E_MEM;
    return ascent_climbs(o);
}

static mango_status ascent_create(mango_opt *o, mango_err *err)
{
    if (!o->facts.gradient)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "gradient: needs a differentiable objective (facts.gradient)");
    mgi_ascent *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "gradient: out of memory");
    o->batch = mgi_opt_int(o, "k");
    p->starts = mgi_opt_int(o, "starts");
    p->patience = mgi_opt_int(o, "patience");
    p->lr = mgi_opt_real(o, "lr");
    p->swaps = o->facts.level_dim > 0;
    o->elite = p->swaps ? 0 : 1; /* steps do not look at values told */
    o->ties = p->swaps;
    p->m = MGI_MAX(o->facts.level_dim, 1);
    if (ascent_memory(o) < 0)
        return mgi_fail(err, MANGO_E_MEM, "gradient: out of memory for %td starts of %td modes",
                        p->starts, o->d);
    ascent_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_gradient(void)
{
    static const mgi_method method = {
        .name = "gradient",
        .option = ascent_option,
        .n_options = MGI_COUNT(ascent_option),
        .white = 1,
        .create = ascent_create,
        .ask = ascent_ask,
        .tell = ascent_tell,
        .restart = ascent_restart,
        .destroy = ascent_destroy,
        .explain = ascent_explain,
        .why = ascent_why,
    };
    return &method;
}

#undef ASCENT_RNG
#undef ASCENT_B1
#undef ASCENT_B2
#undef ASCENT_STILL
