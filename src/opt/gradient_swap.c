/* gradient_swap.c - ascent on codes of a codebook, by the swaps that promise most.
 *
 * At a code of value y, with g_j the derivative by the embedding of mode j's level:
 *     gain of level l in mode j = g_j . D - b |D|^2,  D = e_l - e_now                 (1)
 * Each mode has its best swap; the 32 best of them are tried: first the best 16, 8, 4 and
 * 2 of them at once, then one by one. The best candidate told is where it goes on, if it
 * is better than y, or as good with a better tie. b, the curvature, is learnt from what
 * candidates were told:
 *     b = the fading mean of (sum g_j . D - (y_told - y))/sum |D|^2, at least 0        (2)
 * When none was better, swaps are listed anew if b has changed much, else the climb goes
 * on from a fresh start.
 * Source: (1) without b: Ebrahimi, Rao, Lowd, Dou, "HotFlip", 2018.
 * SPDX-License-Identifier: MIT */
#include "../base/rng.h"
#include "gradient.h"

#define SWAP_RNG 0x47520002u
#define SWAP_FADE 0.2   /* (2) weight of what was told last */
#define SWAP_CHANGE 1.3 /* of b: listed anew */

enum { SWAP_JOINT = 4, SWAP_START = -1, SWAP_MUTANT = -2 }; /* 2^4, 2^3, 2^2, 2^1 at once */

/* ---- the swaps of a code --------------------------------------------------- */

/* b of (1). */
static double swap_bend(const mgi_ascent *p)
{
    return mgi_is_nan(p->bend) ? 0.0 : MGI_MAX(p->bend, 0.0);
}

/* Level l in place of `now` in mode j, by g (m). */
static mgi_swap swap_of(const mango_opt *o, mango_idx j, mango_idx now, mango_idx l,
                        const float *g)
{
    const mango_idx m = o->facts.level_dim;
    const float *e = o->facts.levels + l * m, *at = o->facts.levels + now * m;
    mgi_swap s = {j, l, 0.0, 0.0, 0.0};
    for (mango_idx c = 0; c < m; c++) {
        const double D = (double)e[c] - (double)at[c];
        s.slope += (double)g[c] * D;
        s.size += D * D;
    }
    s.gain = s.slope - swap_bend(o->state) * s.size;                            /* (1) */
    return s;
}

/* The best level of mode j. */
static mgi_swap swap_best(const mango_opt *o, mango_idx j, mango_idx now, const float *g)
{
    mgi_swap best = {j, now, 0.0, 0.0, 0.0};
    for (mango_idx l = 0; l < o->n[j]; l++) {
        const mgi_swap s = swap_of(o, j, now, l, g);
        best = s.gain > best.gain ? s : best;
    }
    return best;
}

/* Among the best of climb c, the best first. */
static void swap_keep(mgi_climb *c, const mgi_swap *s)
{
    mango_idx at = c->n_swaps;
    while (at > 0 && s->gain > c->swap[at - 1].gain)
        at--;
    if (at == MGI_SWAPS)
        return;
    c->n_swaps = MGI_MIN(c->n_swaps + 1, MGI_SWAPS);
    for (mango_idx i = c->n_swaps - 1; i > at; i--)
        c->swap[i] = c->swap[i - 1];
    c->swap[at] = *s;
}

static void swap_list(mango_opt *o, mgi_climb *c, const float *dy)
{
    mgi_ascent *p = o->state;
    const mango_idx m = o->facts.level_dim;
    const mango_idx cells = o->facts.H ? o->facts.H * o->facts.W : o->d;
    c->n_swaps = c->next = 0;
    c->ready = 1;
    c->version = ++p->versions; /* candidates of an earlier list are not these */
    c->bent = swap_bend(p);
    for (mango_idx j = 0; j < cells; j++) {
        const mgi_swap s = swap_best(o, j, c->I[j], dy + j * m);
        if (s.gain > 0.0)
            swap_keep(c, &s);
    }
}

/* The best candidate told is where climb c stands now. */
static void swap_move(mango_opt *o, mgi_climb *c)
{
    mgi_ascent *p = o->state;
    memcpy(c->I, c->better, (size_t)o->d * sizeof *c->I);
    c->y = c->better_y;
    c->tie = c->better_tie;
    c->better_y = MGI_NAN;
    c->ready = 0;
    c->version = ++p->versions;
}

/* Joint candidates come first, those that are not all swaps. */
static mango_idx swap_joint(const mgi_climb *c)
{
    mango_idx n = 0;
    while (n < SWAP_JOINT && 2 << n <= c->n_swaps)
        n++;
    return n;
}

static int swap_spent(const mgi_climb *c)
{
    return c->next == swap_joint(c) + c->n_swaps;
}

/* What became of climb c since the last ask. */
static void swap_learn(mango_opt *o, mgi_climb *c)
{
    const double b = swap_bend(o->state);
    if (!mgi_is_nan(c->better_y))
        swap_move(o, c);
    else if (mgi_is_nan(c->y) && c->shown) /* missing */
        mgi_climb_fresh(o, c);
    else if (c->ready && swap_spent(c)) {
        c->ready = 0;
        if (b <= SWAP_CHANGE * c->bent && c->bent <= SWAP_CHANGE * b)
            mgi_climb_fresh(o, c);
    }
}

MGI_FN mango_status mgi_swap_ready(mango_opt *o)
{
    mgi_ascent *p = o->state;
    mango_idx n = 0;
    for (mango_idx i = 0; i < p->starts; i++) {
        mgi_climb *c = p->climb + i;
        swap_learn(o, c);
        if (c->ready || mgi_is_nan(c->y))
            continue;
        memcpy(p->I + n * o->d, c->I, (size_t)o->d * sizeof *c->I);
        p->rows[n++] = i;
    }
    MGI_TRY(mgi_ascent_call(o, n));
    for (mango_idx k = 0; k < n; k++)
        swap_list(o, p->climb + p->rows[k], p->dy + k * o->d * p->m);
    return MANGO_OK;
}

/* ---- proposals -------------------------------------------------------------- */

/* The swaps of candidate `what`: from *first to before the end, which is returned. */
static mango_idx swap_range(const mgi_climb *c, mango_idx what, mango_idx *first)
{
    const mango_idx joint = swap_joint(c);
    *first = what < joint ? 0 : what - joint;
    return what < joint ? (mango_idx)1 << (joint - what) : *first + 1;
}

/* The code with a mode or two at random: there are no swaps left to try. */
static void swap_mutate(mango_opt *o, uint64_t id, mango_idx *I)
{
    mango_rng rng;
    mango_rng_init(&rng, o->seed, SWAP_RNG, id);
    for (int i = 0; i < 2; i++) {
        const mango_idx j = mango_rng_int(&rng, o->d);
        I[j] = mango_rng_int(&rng, o->n[j]);
    }
}

MGI_FN void mgi_swap_propose(mango_opt *o, mango_idx i, mgi_climb_note *note, mango_idx *I)
{
    mgi_climb *c = ((mgi_ascent *)o->state)->climb + i;
    mango_idx first, end;
    note->version = c->version;
    note->what = SWAP_START;
    if (mgi_is_nan(c->y) && c->shown) { /* one more to start from: the best will be it */
        mgi_climb_draw(o, I);
        return;
    }
    memcpy(I, c->I, (size_t)o->d * sizeof *I);
    if (mgi_is_nan(c->y)) {
        c->shown = 1;
        return;
    }
    if (!c->ready || swap_spent(c)) {
        note->what = SWAP_MUTANT;
        swap_mutate(o, note->id - 1, I);
        return;
    }
    note->what = c->next++;
    end = swap_range(c, note->what, &first);
    for (mango_idx k = first; k < end; k++)
        I[c->swap[k].mode] = c->swap[k].level;
}

/* ---- tell ------------------------------------------------------------------- */

/* The proposal of a row: by its id, else the latest of that code. */
static const mgi_climb_note *swap_note(const mango_opt *o, const mango_told *t)
{
    const mgi_ascent *p = o->state;
    const uint64_t end = o->asked;
    const uint64_t first = end > MGI_CLIMB_NOTES ? end - MGI_CLIMB_NOTES : 0;
    if (t->id != MANGO_UNASKED) {
        const mgi_climb_note *n = p->note + t->id % MGI_CLIMB_NOTES;
        return n->id == t->id + 1 ? n : NULL;
    }
    const uint64_t hash = mgi_code_hash(o->d, t->I);
    for (uint64_t id = end; id-- > first;) {
        const mgi_climb_note *n = p->note + id % MGI_CLIMB_NOTES;
        if (n->id == id + 1 && n->hash == hash)
            return n;
    }
    return NULL;
}

/* (2), from candidate `what` of climb c. */
static void swap_bends(mgi_ascent *p, const mgi_climb *c, mango_idx what, double y)
{
    mango_idx first, end = swap_range(c, what, &first);
    double slope = 0.0, size = 0.0;
    for (mango_idx k = first; k < end; k++) {
        slope += c->swap[k].slope;
        size += c->swap[k].size;
    }
    const double b = (slope - (y - c->y)) / size;
    if (mgi_is_finite(b))
        p->bend = mgi_is_nan(p->bend) ? b : p->bend + SWAP_FADE * (b - p->bend); /* (2) */
}

static void swap_start(mgi_climb *c, const mango_opt *o, const mango_told *t)
{
    const mango_told now = {.y = c->y, .tie = c->tie};
    if (!mgi_told_better(t, &now))
        return;
    memcpy(c->I, t->I, (size_t)o->d * sizeof *t->I);
    c->y = t->y;
    c->tie = t->tie;
    c->ready = 0;
}

MGI_FN void mgi_swap_tell(mango_opt *o, const mango_told *t)
{
    mgi_ascent *p = o->state;
    const mgi_climb_note *n = swap_note(o, t);
    mgi_climb *c = n ? p->climb + n->climb : NULL;
    if (!n || mgi_is_nan(t->y) || c->version != n->version)
        return;
    if (n->what == SWAP_START) {
        swap_start(c, o, t);
        return;
    }
    if (n->what >= 0)
        swap_bends(p, c, n->what, t->y);
    const int first = mgi_is_nan(c->better_y);
    const mango_told best = {.y = first ? c->y : c->better_y,
                             .tie = first ? c->tie : c->better_tie};
    if (mgi_told_better(t, &best)) {
        memcpy(c->better, t->I, (size_t)o->d * sizeof *t->I);
        c->better_y = t->y;
        c->better_tie = t->tie;
    }
}

#undef SWAP_RNG
#undef SWAP_FADE
#undef SWAP_CHANGE
