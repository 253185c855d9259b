/* spsa.c - simultaneous perturbation stochastic approximation: a gradient from two values.
 *
 * A point t, first 0, stands for the code at t (transition.h; a codebook is renamed).
 * Pair k = 0, 1, .. of proposals, with delta_j = 1 or -1 for each mode:
 *     x- = t - c_k delta, x+ = t + c_k delta,     c_k = c/(k + 1)^0.101                (1)
 *     t_j = t_j + a_k (y+ - y-)/(2 c_k) delta_j,  a_k = a/(k + 1 + A)^0.602            (2)
 * Where both are one code, they are parted by a level in each mode: x+ goes on by delta,
 * or, at the end of the range, x- goes back by it                                    (3)
 * t_j is held between the places of the first and the last level.
 * A step is taken when both values of a pair are there, in the order in which pairs get
 * complete; a pair with a missing value is left out. scaled=1 divides (2) by the root mean
 * square of the differences so far: a is then a length, whatever the values are like.
 * Source: Spall, "Multivariate stochastic approximation using a simultaneous perturbation
 * gradient approximation", 1992; his "Introduction to stochastic search", 2003, 7.5 for
 * the exponents; a, c, A as in Nevergrad for 1,000 queries. (3) is ours.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../base/rng.h"
#include "elite.h"
#include "transition.h"

#define SPSA_RNG 0x53505301u
#define SPSA_ALPHA 0.602
#define SPSA_GAMMA 0.101

enum { SPSA_PAIRS = 1 << 11 }; /* pairs that may wait for a value; an older one is lost */

static const mango_opt_spec spsa_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 2, 0, NULL, NULL},
    {"a", "length of a step", MANGO_OPT_REAL, 0, 1e6, 1e-5, 1, NULL, NULL},
    {"c", "perturbation", MANGO_OPT_REAL, 0, 8, 0.1, 1, NULL, NULL},
    {"A", "pairs after which steps get shorter: 5% of the queries", MANGO_OPT_INT, 0, 1 << 30,
     50, 0, NULL, NULL},
    {"scaled", "steps in units of the differences so far", MANGO_OPT_FLAG, 0, 1, 0, 0, NULL,
     NULL},
};

typedef struct mgi_spsa_pair {
    uint64_t number; /* plus 1; 0: none, or done with */
    uint64_t hash[2];
    double y[2];
    int told[2];
} mgi_spsa_pair;

typedef struct mgi_spsa {
    mgi_axes axes;
    double *t, *centre;  /* (d) now; when the pair that is asked last was opened */
    uint64_t first;      /* pair number 0 of (1) */
    uint64_t steps;      /* k of (2) */
    double a, c, A, square, count;
    int scaled;
    mgi_spsa_pair *pair; /* (SPSA_PAIRS) that of number i at i % SPSA_PAIRS */
} mgi_spsa;

/* ---- ask ------------------------------------------------------------------ */

static double spsa_c(const mgi_spsa *p, uint64_t pair)
{
    const double k = pair > p->first ? (double)(pair - p->first) : 0.0;
    return p->c / mgi_pow(k + 1.0, SPSA_GAMMA);                                 /* (1) */
}

/* The sign of mode j; words of 32 modes are drawn from the pair's stream. */
static int spsa_sign(mango_rng *rng, uint32_t *word, mango_idx j)
{
    if (j % 32 == 0)
        *word = mango_rng_u32(rng);
    return *word >> (j % 32) & 1 ? 1 : -1;
}

/* Half 0 (minus) or 1 (plus) of a pair from the centre, into I (d); 0: the other half is
 * the same code. */
static int spsa_half(const mango_opt *o, uint64_t number, int half, mango_idx *I)
{
    const mgi_spsa *p = o->state;
    const double c = spsa_c(p, number);
    mango_rng rng;
    uint32_t word = 0;
    int differs = 0;
    mango_rng_init(&rng, o->seed, SPSA_RNG, number);
    for (mango_idx j = 0; j < o->d; j++) {
        const double step = c * spsa_sign(&rng, &word, j);
        const mango_idx minus = mgi_axes_level(&p->axes, j, p->centre[j] - step);
        const mango_idx plus = mgi_axes_level(&p->axes, j, p->centre[j] + step);
        I[j] = half ? plus : minus;                                             /* (1) */
        differs |= minus != plus;
    }
    return differs;
}

/* Level i of mode j among the levels as they lie on t, and back. */
static mango_idx spsa_rank(const mgi_axes *a, mango_idx j, mango_idx i)
{
    return j < a->cells ? a->rank[i] : i;
}

static mango_idx spsa_named(const mgi_axes *a, mango_idx j, mango_idx rank)
{
    return j < a->cells ? a->level[rank] : rank;
}

/* Halves that are one code, parted by a level in each mode. */
static void spsa_part(const mango_opt *o, uint64_t number, int half, mango_idx *I)
{
    const mgi_axes *a = &((const mgi_spsa *)o->state)->axes;
    mango_rng rng;
    uint32_t word = 0;
    mango_rng_init(&rng, o->seed, SPSA_RNG, number);
    for (mango_idx j = 0; j < o->d; j++) {
        const int sign = spsa_sign(&rng, &word, j);
        const mango_idx rank = spsa_rank(a, j, I[j]);
        const int ends = rank + sign < 0 || rank + sign >= o->n[j];
        if (o->n[j] >= 2 && ends != half)
            I[j] = spsa_named(a, j, rank + (half ? sign : -sign));              /* (3) */
    }
}

static void spsa_propose(mango_opt *o, uint64_t id, mango_idx *I)
{
    mgi_spsa *p = o->state;
    const uint64_t number = id / 2;
    const int half = (int)(id % 2);
    mgi_spsa_pair *pair = p->pair + number % SPSA_PAIRS;
    if (half == 0) {
        memset(pair, 0, sizeof *pair);
        pair->number = number + 1;
        memcpy(p->centre, p->t, (size_t)o->d * sizeof *p->t);
    }
    if (!spsa_half(o, number, half, I))
        spsa_part(o, number, half, I);
    pair->hash[half] = mgi_code_hash(o->d, I);
}

static mango_status spsa_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++)
        spsa_propose(o, o->asked + (uint64_t)k, I + k * o->d);
    return MANGO_OK;
}

/* ---- tell ----------------------------------------------------------------- */

/* The proposal that a row is about: by its id; else the oldest of that code that waits. */
static uint64_t spsa_find(const mango_opt *o, const mango_told *t)
{
    const mgi_spsa *p = o->state;
    const uint64_t end = o->asked, most = 2 * SPSA_PAIRS;
    if (t->id != MANGO_UNASKED)
        return t->id;
    const uint64_t hash = mgi_code_hash(o->d, t->I);
    for (uint64_t id = end > most ? end - most : 0; id < end; id++) {
        const mgi_spsa_pair *pair = p->pair + id / 2 % SPSA_PAIRS;
        if (pair->number == id / 2 + 1 && !pair->told[id % 2] && pair->hash[id % 2] == hash)
            return id;
    }
    return MANGO_UNASKED;
}

/* a_k/(2 c_k) times the difference, or 0 where it is too large for a number. */
static double spsa_length(mgi_spsa *p, uint64_t number, double off)
{
    const double k = (double)p->steps++;
    const double a = p->a / mgi_pow(k + 1.0 + p->A, SPSA_ALPHA);                /* (2) */
    p->square += off * off;
    p->count += 1.0;
    const double unit = p->scaled ? sqrt(p->square / p->count) : 1.0;
    const double length = unit > 0.0 ? a * (off / unit) / (2.0 * spsa_c(p, number)) : 0.0;
    return mgi_is_finite(length) ? length : 0.0;
}

static void spsa_step(mango_opt *o, const mgi_spsa_pair *pair)
{
    mgi_spsa *p = o->state;
    const uint64_t number = pair->number - 1;
    const double length = spsa_length(p, number, pair->y[1] - pair->y[0]);
    mango_rng rng;
    uint32_t word = 0;
    mango_rng_init(&rng, o->seed, SPSA_RNG, number);
    for (mango_idx j = 0; j < o->d; j++) {
        const mgi_axes *x = &p->axes;
        const double to = p->t[j] + length * spsa_sign(&rng, &word, j);         /* (2) */
        const double lo = mgi_axes_place(x, j, spsa_named(x, j, 0));
        const double hi = mgi_axes_place(x, j, spsa_named(x, j, o->n[j] - 1));
        p->t[j] = MGI_MIN(MGI_MAX(to, lo), hi);
    }
}

static void spsa_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_spsa *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        const uint64_t id = spsa_find(o, &told);
        mgi_spsa_pair *pair = p->pair + id / 2 % SPSA_PAIRS;
        if (id == MANGO_UNASKED || pair->number != id / 2 + 1)
            continue;
        pair->y[id % 2] = told.y;
        pair->told[id % 2] = 1;
        if (!pair->told[0] || !pair->told[1])
            continue;
        if (!mgi_is_nan(pair->y[0]) && !mgi_is_nan(pair->y[1]))
            spsa_step(o, pair);
        pair->number = 0;
    }
}

static void spsa_restart(mango_opt *o, uint64_t epoch)
{
    mgi_spsa *p = o->state;
    (void)epoch; /* the streams of the pairs go on */
    memset(p->t, 0, (size_t)o->d * sizeof *p->t);
    memset(p->centre, 0, (size_t)o->d * sizeof *p->centre);
    memset(p->pair, 0, SPSA_PAIRS * sizeof *p->pair);
    p->first = (o->asked + 1) / 2;
    p->steps = 0;
    p->square = p->count = 0.0;
}

/* ---- for people ----------------------------------------------------------- */

static void spsa_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_spsa *p = o->state;
    double far = 0.0;
    for (mango_idx j = 0; j < o->d; j++)
        far = MGI_MAX(far, fabs(p->t[j]));
    mgi_str_printf(s, "%.0f pairs learnt; t is at most %.4g from the middle\n",
                   (double)p->steps, far);
}

static void spsa_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const uint64_t id = o->asked - (uint64_t)(o->last - k);
    mgi_str_printf(s, "pair %.0f, %s", (double)(id / 2), id % 2 ? "plus" : "minus");
}

/* ---- life ----------------------------------------------------------------- */

static void spsa_destroy(mango_opt *o)
{
    mgi_spsa *p = o->state;
    if (!p)
        return;
    mgi_axes_free(&p->axes);
    mgi_del(&o->al, p->t, o->d, sizeof *p->t);
    mgi_del(&o->al, p->centre, o->d, sizeof *p->centre);
    mgi_del(&o->al, p->pair, SPSA_PAIRS, sizeof *p->pair);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status spsa_create(mango_opt *o, mango_err *err)
{
    mgi_spsa *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (p) {
        p->t = mgi_new(&o->al, o->d, sizeof *p->t);
        p->centre = mgi_new(&o->al, o->d, sizeof *p->centre);
        p->pair = mgi_new(&o->al, SPSA_PAIRS, sizeof *p->pair);
    }
    if (!p || !p->t || !p->centre || !p->pair)
        return mgi_fail(err, MANGO_E_MEM, "spsa: out of memory for %td modes", o->d);
    MGI_TRY(mgi_axes_create(&p->axes, o, 1, err));
    o->batch = mgi_opt_int(o, "k");
    p->a = mgi_opt_real(o, "a");
    p->c = mgi_opt_real(o, "c");
    p->A = mgi_opt_real(o, "A");
    p->scaled = mgi_opt_int(o, "scaled") != 0;
    spsa_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_spsa(void)
{
    static const mgi_method method = {
        .name = "spsa",
        .option = spsa_option,
        .n_options = MGI_COUNT(spsa_option),
        .create = spsa_create,
        .ask = spsa_ask,
        .tell = spsa_tell,
        .restart = spsa_restart,
        .destroy = spsa_destroy,
        .explain = spsa_explain,
        .why = spsa_why,
    };
    return &method;
}

#undef SPSA_RNG
#undef SPSA_ALPHA
#undef SPSA_GAMMA
