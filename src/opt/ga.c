/* ga.c - genetic algorithm, as closed-loop experiments with neurons use it.
 *
 * The first `start` codes are uniform, every second one a reference code where there are
 * such. Then the best codes so far (elite.h) are the parents; they are carried over, and
 * shown again only where that says more: under noise, a share `again` of the proposals.
 *   parent i, from 0, is drawn with probability
 *       p_i ~ exp(-3 i/parents)                       select=rank                    (1)
 *       p_i ~ exp(clip(z_i, -2, 2)/0.5), z = (worth - mean)/s.d.   select=softmax    (2)
 *   child   of two parents a, b: c_j = a_j with probability mix, else b_j            (3)
 *   mutant  c_j becomes: where levels are ordered, with probability move,
 *           c_j + sigma N(0,1) in parts of the range, held in it                     (4)
 *           else, with probability mutate, another level, uniform, or half of the time
 *           one of the 16 that are nearest to it in the codebook, where there is one (5)
 * A child that was proposed before is drawn again, a few times, then changed.
 * Source: Ponce, Xiao, Schade, Hartmann, Kreiman, Livingstone, "Evolving images for visual
 * neurons using a deep generative network", 2019 (softmax of z-scores, parents 3:1, the
 * best carried over); Xiao and Kreiman, "XDream", 2020. Worth in place of the score is
 * ours. SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../base/rng.h"
#include "elite.h"

#define GA_RNG 0x47410001u
#define GA_REFERENCE 0x47410002u
#define GA_TRIES 8
#define GA_RANKS 3.0 /* (1) */
#define GA_CLIP 2.0  /* (2) */
#define GA_HEAT 0.5
#define GA_LEAST 1e-9 /* of a step: one level of a real mode */

enum {
    GA_NEAR = 16,           /* nearest levels kept of each */
    GA_NEAR_LEVELS = 4096,  /* in larger codebooks none */
    GA_SEEN = 1 << 14,      /* marks of codes proposed */
    GA_NOTES = 1 << 11      /* proposals whose origin is known */
};

static const mango_opt_spec ga_option[] = {
    {"k", "children of one ask", MANGO_OPT_INT, 1, 1 << 20, 20, 0, NULL, NULL},
    {"start", "codes drawn before the first children", MANGO_OPT_INT, 1, 1 << 20, 40, 0,
     NULL, NULL},
    {"parents", "codes carried over", MANGO_OPT_INT, 2, 4096, 20, 0, NULL, NULL},
    {"select", "parents by rank or by clipped score", MANGO_OPT_CHOICE, 0, 1, 1, 0,
     "rank|softmax", NULL},
    {"mix", "share of a child that is its first parent's", MANGO_OPT_REAL, 0, 1, 0.75, 0,
     NULL, NULL},
    {"mutate", "probability that an unordered mode mutates", MANGO_OPT_REAL, 0, 1, 0.02, 0,
     NULL, NULL},
    {"move", "probability that an ordered mode moves by a step", MANGO_OPT_REAL, 0, 1, 0.1,
     0, NULL, NULL},
    {"sigma", "step of ordered modes, in parts of their range", MANGO_OPT_REAL, 0, 1, 0.1,
     1, NULL, NULL},
    {"again", "share of proposals that show a code again, under noise", MANGO_OPT_REAL, 0,
     1, 0.3, 0, NULL, NULL},
    {"ordered", "modes that move by steps; known: real ones and, given a prior, all",
     MANGO_OPT_CHOICE, 0, 2, 0, 0, "known|none|all", NULL},
};

typedef enum ga_origin { GA_DRAWN, GA_KNOWN, GA_CHILD, GA_AGAIN } ga_origin;

typedef struct mgi_ga_note {
    uint64_t id; /* plus 1; 0: none */
    mango_idx a, b; /* ranks of its parents, or number of the reference code */
    ga_origin origin;
} mgi_ga_note;

typedef struct mgi_ga {
    mgi_elites elites;
    double *p;            /* (parents) running sum of (1) or (2) */
    mango_idx parents, live, start, drawn;
    double mix, mutate, move, sigma, again;
    int softmax, ordered;
    uint64_t *seen;       /* (GA_SEEN) hash of a code proposed, at hash % GA_SEEN */
    mgi_ga_note *note;    /* (GA_NOTES) of proposal id, at id % GA_NOTES */
    mango_idx *reference; /* (n_codes) their order */
    int16_t *near;        /* (n[0], n_near) the nearest levels of each, NULL: none */
    mango_idx n_near;
    mango_idx *parent;    /* (d) */
} mgi_ga;

static int ga_steps(const mango_opt *o, mango_idx j)
{
    const mgi_ga *p = o->state;
    if (p->ordered != 0)
        return p->ordered == 2;
    return o->n[j] == MANGO_REAL || o->facts.prior == MANGO_PRIOR_NORMAL;
}

/* ---- parents ---------------------------------------------------------------- */

static double ga_clip(double z)
{
    return MGI_MIN(MGI_MAX(z, -GA_CLIP), GA_CLIP);
}

/* Mean and standard deviation of the parents' worth. */
static void ga_spread(const mgi_ga *p, double *mean, double *sd)
{
    const double n = (double)p->live;
    *mean = *sd = 0.0;
    for (mango_idx i = 0; i < p->live; i++)
        *mean += p->elites.row[i].worth / n;
    for (mango_idx i = 0; i < p->live; i++) {
        const double off = p->elites.row[i].worth - *mean;
        *sd += off * off / n;
    }
    *sd = sqrt(*sd);
}

/* Who is a parent now, and how often. */
static void ga_weigh(mgi_ga *p)
{
    double mean, sd, sum = 0.0;
    mgi_elites_rank(&p->elites);
    p->live = MGI_MIN(p->elites.n, p->parents);
    ga_spread(p, &mean, &sd);
    const int flat = !(sd > 0.0) || !mgi_is_finite(sd);
    for (mango_idx i = 0; i < p->live; i++) {
        const double worth = p->elites.row[i].worth;
        if (!p->softmax)
            sum += mgi_exp(-GA_RANKS * (double)i / (double)p->parents);         /* (1) */
        else
            sum += flat ? 1.0 : mgi_exp(ga_clip((worth - mean) / sd) / GA_HEAT); /* (2) */
        p->p[i] = sum;
    }
}

static mango_idx ga_parent(const mgi_ga *p, mango_rng *rng)
{
    const double u = mango_rng_uniform(rng) * p->p[p->live - 1];
    mango_idx i = 0;
    while (i < p->live - 1 && p->p[i] <= u)
        i++;
    return i;
}

/* ---- children ----------------------------------------------------------------- */

static mango_idx ga_step(double sigma, mango_idx n, mango_idx i, mango_rng *rng)
{
    const double top = (double)(n - 1);
    const double x = (double)i / top + sigma * mango_rng_normal(rng);           /* (4) */
    return (mango_idx)(MGI_MIN(MGI_MAX(x, 0.0), 1.0) * top + 0.5);
}

/* Another of n >= 2 levels of mode j. */
static mango_idx ga_other(const mango_opt *o, mango_idx j, mango_idx i, mango_rng *rng)
{
    const mgi_ga *p = o->state;
    const mango_idx cells = o->facts.H ? o->facts.H * o->facts.W : o->d;
    if (p->near && j < cells && mango_rng_int(rng, 2))
        return p->near[i * p->n_near + mango_rng_int(rng, p->n_near)];          /* (5) */
    const mango_idx to = mango_rng_int(rng, o->n[j] - 1);
    return to + (to >= i);
}

static mango_idx ga_mutant(const mango_opt *o, mango_idx j, mango_idx i, mango_rng *rng)
{
    const mgi_ga *p = o->state;
    return ga_steps(o, j) ? ga_step(p->sigma, o->n[j], i, rng) : ga_other(o, j, i, rng);
}

/* A child of parents a and b into I (d). */
static void ga_child(const mango_opt *o, mango_rng *rng, mango_idx a, mango_idx b,
                     mango_idx *I)
{
    const mgi_ga *p = o->state;
    mgi_elites_code(&p->elites, a, I);
    mgi_elites_code(&p->elites, b, p->parent);
    for (mango_idx j = 0; j < o->d; j++) {
        if (mango_rng_uniform(rng) >= p->mix)
            I[j] = p->parent[j];                                                /* (3) */
        if (mango_rng_uniform(rng) < (ga_steps(o, j) ? p->move : p->mutate) && o->n[j] >= 2)
            I[j] = ga_mutant(o, j, I[j], rng);
    }
}

/* One mode, uniformly, to another level; of ordered ones to the next. */
static void ga_least(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    const mango_idx first = mango_rng_int(rng, o->d);
    for (mango_idx i = 0; i < o->d; i++) {
        const mango_idx j = (first + i) % o->d;
        if (o->n[j] < 2)
            continue;
        if (!ga_steps(o, j))
            I[j] = ga_other(o, j, I[j], rng);
        else
            I[j] += I[j] == 0 || (I[j] < o->n[j] - 1 && mango_rng_int(rng, 2)) ? 1 : -1;
        return;
    }
}

/* Was I (d) proposed lately? It is now. */
static int ga_seen(mgi_ga *p, mango_idx d, const mango_idx *I)
{
    const uint64_t h = mgi_code_hash(d, I) | 1;
    uint64_t *at = p->seen + (h >> 1) % GA_SEEN;
    const int seen = *at == h;
    *at = h;
    return seen;
}

static void ga_breed(const mango_opt *o, mango_rng *rng, mgi_ga_note *note, mango_idx *I)
{
    mgi_ga *p = o->state;
    int old = 1;
    for (int i = 0; i < GA_TRIES && old; i++) {
        note->a = ga_parent(p, rng);
        note->b = ga_parent(p, rng);
        ga_child(o, rng, note->a, note->b, I);
        old = ga_seen(p, o->d, I);
    }
    for (int i = 0; i < GA_TRIES && old; i++) {
        ga_least(o, rng, I);
        old = ga_seen(p, o->d, I);
    }
}

/* ---- ask ------------------------------------------------------------------------ */

/* A code of the first ones: every second is a reference code, as long as they last. */
static void ga_draw(const mango_opt *o, mango_rng *rng, mgi_ga_note *note, mango_idx *I)
{
    mgi_ga *p = o->state;
    const mango_idx number = p->drawn++;
    if (number % 2 == 0 && number / 2 < o->facts.n_codes) {
        note->origin = GA_KNOWN;
        note->a = p->reference[number / 2];
        memcpy(I, o->facts.codes + note->a * o->d, (size_t)o->d * sizeof *I);
    } else
        for (mango_idx j = 0; j < o->d; j++)
            I[j] = mango_rng_int(rng, o->n[j]);
    ga_seen(p, o->d, I);
}

static void ga_again(const mango_opt *o, mgi_ga_note *note, mango_idx *I)
{
    mgi_ga *p = o->state;
    note->origin = GA_AGAIN;
    note->a = mgi_elites_unsure(&p->elites);
    p->elites.row[note->a].again++;
    mgi_elites_code(&p->elites, note->a, I);
}

/* Each proposal has its own stream: how many are asked at once does not matter. */
static void ga_propose(mango_opt *o, uint64_t id, mango_idx *I)
{
    mgi_ga *p = o->state;
    mango_rng rng;
    mgi_ga_note *note = p->note + id % GA_NOTES;
    const mgi_ga_note fresh = {id + 1, 0, 0, GA_DRAWN};
    *note = fresh;
    mango_rng_init(&rng, o->seed, GA_RNG, id);
    if (p->drawn < p->start || p->live < 2) {
        ga_draw(o, &rng, note, I);
        return;
    }
    if (o->facts.noisy && mango_rng_uniform(&rng) < p->again) {
        ga_again(o, note, I);
        return;
    }
    note->origin = GA_CHILD;
    ga_breed(o, &rng, note, I);
}

static mango_status ga_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    ga_weigh(o->state);
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++)
        ga_propose(o, o->asked + (uint64_t)k, I + k * o->d);
    return MANGO_OK;
}

/* ---- tell ----------------------------------------------------------------------- */

static void ga_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_ga *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        if (!mgi_is_nan(told.y))
            mgi_elites_tell(&p->elites, &told);
    }
}

static void ga_restart(mango_opt *o, uint64_t epoch)
{
    mgi_ga *p = o->state;
    mango_rng rng;
    mgi_elites_clear(&p->elites);
    p->drawn = p->live = 0;
    mango_rng_init(&rng, o->seed, GA_REFERENCE, epoch);
    if (o->facts.n_codes > 0)
        mango_rng_perm(&rng, o->facts.n_codes, p->reference);
}

/* ---- for people ------------------------------------------------------------------- */

static void ga_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_ga *p = o->state;
    const mgi_elites *e = &p->elites;
    mgi_str_printf(s, "%td codes carried over, the best %td are parents\n", e->n, p->live);
    if (e->weight > 0.0)
        mgi_str_printf(s, "variance of one presentation %.4g\n", e->s2 / e->weight);
    for (mango_idx i = 0; i < MGI_MIN(e->n, 5); i++)
        mgi_str_printf(s, "parent %td: worth %.4g, value %.4g of %td presentations\n", i + 1,
                       e->row[i].worth, e->row[i].y, e->row[i].n);
}

static void ga_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_ga *p = o->state;
    const uint64_t id = o->asked - (uint64_t)(o->last - k);
    const mgi_ga_note *note = p->note + id % GA_NOTES;
    if (note->id != id + 1)
        return;
    if (note->origin == GA_DRAWN)
        mgi_str_puts(s, "drawn uniformly");
    else if (note->origin == GA_KNOWN)
        mgi_str_printf(s, "reference code %td", note->a);
    else if (note->origin == GA_AGAIN)
        mgi_str_printf(s, "parent %td again", note->a + 1);
    else
        mgi_str_printf(s, "child of parents %td and %td", note->a + 1, note->b + 1);
}

/* ---- life ------------------------------------------------------------------------- */

static void ga_destroy(mango_opt *o)
{
    mgi_ga *p = o->state;
    if (!p)
        return;
    mgi_elites_destroy(&p->elites, &o->al);
    mgi_del(&o->al, p->p, p->parents, sizeof *p->p);
    mgi_del(&o->al, p->seen, GA_SEEN, sizeof *p->seen);
    mgi_del(&o->al, p->note, GA_NOTES, sizeof *p->note);
    mgi_del(&o->al, p->reference, o->facts.n_codes, sizeof *p->reference);
    mgi_del(&o->al, p->near, o->n[0] * p->n_near, sizeof *p->near);
    mgi_del(&o->al, p->parent, o->d, sizeof *p->parent);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static double ga_distance(const mango_facts *f, mango_idx a, mango_idx b)
{
    const float *x = f->levels + a * f->level_dim, *y = f->levels + b * f->level_dim;
    double s = 0.0;
    for (mango_idx i = 0; i < f->level_dim; i++)
        s += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return s;
}

/* The nearest levels of level i, nearest first, of equal ones the lower. */
static void ga_nearest(const mango_opt *o, mango_idx i)
{
    mgi_ga *p = o->state;
    double far[GA_NEAR];
    int16_t *near = p->near + i * p->n_near;
    mango_idx have = 0;
    for (mango_idx c = 0; c < o->n[0]; c++) {
        const double x = c == i ? 0.0 : ga_distance(&o->facts, i, c);
        if (c == i || (have == p->n_near && !(x < far[have - 1])))
            continue;
        mango_idx at = have < p->n_near ? have++ : have - 1;
        for (; at > 0 && x < far[at - 1]; at--) {
            far[at] = far[at - 1];
            near[at] = near[at - 1];
        }
        far[at] = x;
        near[at] = (int16_t)c;
    }
}

static mango_status ga_codebook(mango_opt *o)
{
    mgi_ga *p = o->state;
    if (o->facts.level_dim == 0 || o->n[0] < 2 || o->n[0] > GA_NEAR_LEVELS)
        return MANGO_OK;
    p->n_near = MGI_MIN(GA_NEAR, o->n[0] - 1);
    p->near = mgi_new(&o->al, o->n[0] * p->n_near, sizeof *p->near);
    if (!p->near)
        return MANGO_E_MEM;
    for (mango_idx i = 0; i < o->n[0]; i++)
        ga_nearest(o, i);
    return MANGO_OK;
}

static mango_status ga_memory(mango_opt *o)
{
    mgi_ga *p = o->state;
    MGI_TRY(mgi_elites_create(&p->elites, o->d, 2 * p->parents, &o->al));
    p->p = mgi_new(&o->al, p->parents, sizeof *p->p);
    p->seen = mgi_new(&o->al, GA_SEEN, sizeof *p->seen);
    p->note = mgi_new(&o->al, GA_NOTES, sizeof *p->note);
    p->reference = mgi_new(&o->al, o->facts.n_codes, sizeof *p->reference);
    p->parent = mgi_new(&o->al, o->d, sizeof *p->parent);
    if (!p->p || !p->seen || !p->note || !p->reference || !p->parent)
        return MANGO_E_MEM;
    return ga_codebook(o);
}

static mango_status ga_create(mango_opt *o, mango_err *err)
{
    mgi_ga *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "ga: out of memory");
    o->batch = mgi_opt_int(o, "k");
    o->retell = o->ties = 1;
    p->start = mgi_opt_int(o, "start");
    p->parents = mgi_opt_int(o, "parents");
    p->softmax = mgi_opt_int(o, "select") == 1;
    p->mix = mgi_opt_real(o, "mix");
    p->mutate = mgi_opt_real(o, "mutate");
    p->move = mgi_opt_real(o, "move");
    p->sigma = MGI_MAX(mgi_opt_real(o, "sigma"), GA_LEAST);
    p->again = mgi_opt_real(o, "again");
    p->ordered = (int)mgi_opt_int(o, "ordered");
    if (ga_memory(o) < 0)
        return mgi_fail(err, MANGO_E_MEM, "ga: out of memory for %td parents of %td modes",
                        p->parents, o->d);
    ga_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_ga(void)
{
    static const mgi_method method = {
        .name = "ga",
        .option = ga_option,
        .n_options = MGI_COUNT(ga_option),
        .create = ga_create,
        .ask = ga_ask,
        .tell = ga_tell,
        .restart = ga_restart,
        .destroy = ga_destroy,
        .explain = ga_explain,
        .why = ga_why,
    };
    return &method;
}

#undef GA_RNG
#undef GA_REFERENCE
#undef GA_TRIES
#undef GA_RANKS
#undef GA_CLIP
#undef GA_HEAT
#undef GA_LEAST
