/* noisy_bandit.c - a bandit with ever more arms: each is one code, shown again and again.
 *
 * Proposal number N, counted from 0, with m arms so far:
 *     a new arm, a uniform code,                        if 20 N >= m^3                 (1)
 *     else, with probability 1/2, one of the arms, uniformly                           (2)
 *     else the arm of the highest  mean + 0.1 sqrt(var/(1 + n))                        (3)
 * mean and var are of the arm's n presentations. An arm shown once has the pooled variance
 * of the others; before there is one, an arm shown once goes before the rest.
 * It is made for noise: without, showing an arm again tells nothing new.
 * Source: Nevergrad's NoisyBandit (Rapin and Teytaud, 2018), after upper confidence bounds
 * of infinitely many arms (Wang, Audibert, Munos, 2008). The pooled variance, in place of
 * the constant 10^6, is ours. SPDX-License-Identifier: MIT */
#include "../base/rng.h"
#include "elite.h"

#define BANDIT_RNG 0x4e420001u
#define BANDIT_GROW 20.0
#define BANDIT_BONUS 0.1

enum {
    BANDIT_ARMS = 512,       /* no more than this, and */
    BANDIT_CELLS = 1 << 24,  /* no more than this many levels in all, but 16 arms: then the
                                worst gives way to a new one */
    BANDIT_NOTES = 1 << 11   /* proposals whose arm is known */
};

static const mango_opt_spec bandit_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 1, 0, NULL, NULL},
};

typedef struct mgi_arm {
    uint64_t hash;
    mango_idx n;         /* presentations told; 0: none yet */
    double mean, square; /* square: sum of (y - mean)^2 */
} mgi_arm;

typedef struct mgi_bandit_note {
    uint64_t id; /* plus 1; 0: none */
    mango_idx arm;
    int told, how;
} mgi_bandit_note;

typedef struct mgi_noisy_bandit {
    mgi_arm *arm;
    int32_t *code; /* (cap, d) */
    mango_idx cap, n;
    uint64_t since;        /* proposal number 0 of (1) */
    double arms;           /* m of (1): also those that gave way */
    mgi_bandit_note *note; /* (BANDIT_NOTES) of proposal id at id % BANDIT_NOTES */
} mgi_noisy_bandit;

/* ---- arms ----------------------------------------------------------------- */

/* Pooled variance of one presentation; NaN: no arm was told twice. */
static double bandit_pooled(const mgi_noisy_bandit *p)
{
    double square = 0.0, weight = 0.0;
    for (mango_idx i = 0; i < p->n; i++)
        if (p->arm[i].n >= 2) {
            square += p->arm[i].square;
            weight += (double)(p->arm[i].n - 1);
        }
    return weight > 0.0 ? square / weight : MGI_NAN;
}

static double bandit_hope(const mgi_arm *a, double pooled)
{
    const double n = (double)a->n;
    const double var = a->n >= 2 ? a->square / (n - 1.0) : pooled;
    if (mgi_is_nan(var))
        return a->n >= 2 ? a->mean : INFINITY;
    return a->mean + BANDIT_BONUS * sqrt(var / (1.0 + n));                      /* (3) */
}

/* The arm of (3); -1: none has a value. */
static mango_idx bandit_best(const mgi_noisy_bandit *p)
{
    const double pooled = bandit_pooled(p);
    mango_idx best = -1;
    double most = 0.0;
    for (mango_idx i = 0; i < p->n; i++) {
        if (p->arm[i].n == 0)
            continue;
        const double hope = bandit_hope(p->arm + i, pooled);
        if (best < 0 || hope > most) {
            best = i;
            most = hope;
        }
    }
    return best;
}

/* A free arm, or the place of the worst: one without a value, else of the least mean. */
static mango_idx bandit_room(mgi_noisy_bandit *p)
{
    if (p->n < p->cap)
        return p->n++;
    mango_idx worst = 0;
    for (mango_idx i = 1; i < p->n && p->arm[worst].n > 0; i++)
        if (p->arm[i].n == 0 || p->arm[i].mean < p->arm[worst].mean)
            worst = i;
    return worst;
}

static mango_idx bandit_new(mango_opt *o, const mango_idx *I)
{
    mgi_noisy_bandit *p = o->state;
    const mango_idx i = bandit_room(p);
    const mgi_arm fresh = {mgi_code_hash(o->d, I), 0, 0.0, 0.0};
    p->arm[i] = fresh;
    for (mango_idx j = 0; j < o->d; j++)
        p->code[i * o->d + j] = (int32_t)I[j];
    return i;
}

static int bandit_is(const mango_opt *o, mango_idx i, uint64_t hash, const mango_idx *I)
{
    const mgi_noisy_bandit *p = o->state;
    if (p->arm[i].hash != hash)
        return 0;
    for (mango_idx j = 0; j < o->d; j++)
        if (p->code[i * o->d + j] != I[j])
            return 0;
    return 1;
}

/* The arm of a code; -1: there is none. */
static mango_idx bandit_find(const mango_opt *o, const mango_idx *I)
{
    const mgi_noisy_bandit *p = o->state;
    const uint64_t hash = mgi_code_hash(o->d, I);
    for (mango_idx i = 0; i < p->n; i++)
        if (bandit_is(o, i, hash, I))
            return i;
    return -1;
}

/* ---- ask ------------------------------------------------------------------ */

enum { BANDIT_NEW, BANDIT_ANY, BANDIT_BEST };

static mango_idx bandit_draw(mango_opt *o, mango_rng *rng, mango_idx *I)
{
    mgi_noisy_bandit *p = o->state;
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = mango_rng_int(rng, o->n[j]);
    p->arms += 1.0;
    const mango_idx known = bandit_find(o, I);
    return known >= 0 ? known : bandit_new(o, I);
}

static void bandit_propose(mango_opt *o, uint64_t id, mango_idx *I)
{
    mgi_noisy_bandit *p = o->state;
    mgi_bandit_note *note = p->note + id % BANDIT_NOTES;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, BANDIT_RNG, id);
    note->id = id + 1;
    note->told = 0;
    note->arm = bandit_best(p);
    note->how = mango_rng_int(&rng, 2) ? BANDIT_ANY : BANDIT_BEST;
    const double N = (double)(id - p->since);
    if (note->arm < 0 || BANDIT_GROW * N >= p->arms * p->arms * p->arms) {      /* (1) */
        note->how = BANDIT_NEW;
        note->arm = bandit_draw(o, &rng, I);
        return;
    }
    if (note->how == BANDIT_ANY)
        note->arm = mango_rng_int(&rng, p->n);                                  /* (2) */
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = p->code[note->arm * o->d + j];
}

static mango_status bandit_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++)
        bandit_propose(o, o->asked + (uint64_t)k, I + k * o->d);
    return MANGO_OK;
}

/* ---- tell ----------------------------------------------------------------- */

/* One presentation more. */
static void bandit_add(mgi_arm *a, double y)
{
    const double off = y - a->mean;
    a->n++;
    a->mean += off / (double)a->n;
    a->square += off * (y - a->mean);
}

/* All that is known of the arm's presentations. */
static void bandit_set(mgi_arm *a, const mango_told *t)
{
    a->mean = t->y;
    a->n = t->n;
    a->square = mgi_is_finite(t->var) ? t->var * (double)(t->n - 1) : 0.0;
}

/* The value of a new proposal of one presentation adds to its arm; any other is the mean
 * of all of the code's presentations. */
static void bandit_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_noisy_bandit *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        if (mgi_is_nan(told.y))
            continue;
        mango_idx i = bandit_find(o, told.I);
        if (i < 0)
            i = bandit_new(o, told.I);
        mgi_bandit_note *note = p->note + told.id % BANDIT_NOTES;
        const int known = told.id != MANGO_UNASKED && note->id == told.id + 1;
        if (told.n == 1 && (!known || !note->told))
            bandit_add(p->arm + i, told.y);
        else
            bandit_set(p->arm + i, &told);
        if (known)
            note->told = 1;
    }
}

static void bandit_restart(mango_opt *o, uint64_t epoch)
{
    mgi_noisy_bandit *p = o->state;
    (void)epoch; /* the streams of the proposals go on */
    p->n = 0;
    p->arms = 0.0;
    p->since = o->asked;
}

/* ---- for people ----------------------------------------------------------- */

static void bandit_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_noisy_bandit *p = o->state;
    const mango_idx i = bandit_best(p);
    mgi_str_printf(s, "%td arms\n", p->n);
    if (i >= 0)
        mgi_str_printf(s, "the most promising: mean %.4g of %td presentations\n",
                       p->arm[i].mean, p->arm[i].n);
}

static void bandit_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    static const char *const how[] = {"new arm", "arm by chance", "most promising arm"};
    const mgi_noisy_bandit *p = o->state;
    const uint64_t id = o->asked - (uint64_t)(o->last - k);
    const mgi_bandit_note *note = p->note + id % BANDIT_NOTES;
    if (note->id == id + 1)
        mgi_str_printf(s, "%s %td", how[note->how], note->arm);
}

/* ---- life ----------------------------------------------------------------- */

static void bandit_destroy(mango_opt *o)
{
    mgi_noisy_bandit *p = o->state;
    if (!p)
        return;
    mgi_del(&o->al, p->arm, p->cap, sizeof *p->arm);
    mgi_del(&o->al, p->code, p->cap * o->d, sizeof *p->code);
    mgi_del(&o->al, p->note, BANDIT_NOTES, sizeof *p->note);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status bandit_create(mango_opt *o, mango_err *err)
{
    mgi_noisy_bandit *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (p) {
        p->cap = MGI_MIN(BANDIT_ARMS, MGI_MAX(BANDIT_CELLS / o->d, 16));
        p->arm = mgi_new(&o->al, p->cap, sizeof *p->arm);
        p->code = mgi_new(&o->al, p->cap * o->d, sizeof *p->code);
        p->note = mgi_new(&o->al, BANDIT_NOTES, sizeof *p->note);
    }
    if (!p || !p->arm || !p->code || !p->note)
        return mgi_fail(err, MANGO_E_MEM, "noisy-bandit: out of memory for %td modes", o->d);
    o->batch = mgi_opt_int(o, "k");
    o->retell = 1;
    bandit_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_noisy_bandit(void)
{
    static const mgi_method method = {
        .name = "noisy-bandit",
        .option = bandit_option,
        .n_options = MGI_COUNT(bandit_option),
        .create = bandit_create,
        .ask = bandit_ask,
        .tell = bandit_tell,
        .restart = bandit_restart,
        .destroy = bandit_destroy,
        .explain = bandit_explain,
        .why = bandit_why,
    };
    return &method;
}

#undef BANDIT_RNG
#undef BANDIT_GROW
#undef BANDIT_BONUS
