/* auto.c - ours: the methods that fit what is known of the space, under a bandit.
 *
 *     a grid of codes          gp-codes: reference codes, crossover, a surrogate
 *     latents drawn from N     gp-latent beside sep-cma
 *     anything else            gp-modes beside one-plus-one;
 *                              real intervals: sep-cma beside one-plus-one
 *
 * The first part of a row proposes alone until `alone` values are known: a bandit that has
 * seen nothing would share evenly, and a surrogate is best when little is known. From then
 * on the bandit (bandit.h) says who proposes each batch; a part that shares is told all
 * values, whoever proposed the code.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "bandit.h"
#include "child.h"

typedef struct mgi_auto {
    mgi_children part;
    const char *name[MGI_CHILDREN];
    mgi_bandit bandit;
    mango_idx told;  /* values so far */
    mango_idx alone; /* of these the first part's alone */
    int held;        /* the part of the batch that is being given out, */
    mango_idx left;  /* and how many codes of it are left              */
} mgi_auto;

static const mango_opt_spec auto_option[] = {
    {"k", "codes of one batch", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
    {"alone", "values before the parts share; -1: as suits the space", MANGO_OPT_INT, -1,
     1 << 30, -1, 0, NULL, NULL},
    {"references", "use reference codes, where there are any", MANGO_OPT_FLAG, 0, 1, 1, 0,
     NULL, NULL},
    {"classes", "use the modes that name a class, where there are any", MANGO_OPT_FLAG, 0, 1, 1,
     0, NULL, NULL},
    {"gamma", "how much of an old reward is left a batch later", MANGO_OPT_REAL, 0, 1, 0.95, 1,
     NULL, NULL},
    {"c", "weight of an arm's uncertainty; -1: as suits the space", MANGO_OPT_REAL, -1, 100, -1,
     0, NULL, NULL},
};

/* ---- what fits the space -------------------------------------------------- */

typedef struct mgi_auto_row {
    int (*fits)(const mango_opt *o, const mango_facts *f);
    mango_idx alone;
    double c;
    int n;
    mgi_part part[4];
} mgi_auto_row;

static int auto_fits_grid(const mango_opt *o, const mango_facts *f)
{
    (void)o;
    return f->H > 0;
}

static int auto_fits_latent(const mango_opt *o, const mango_facts *f)
{
    (void)o;
    return f->prior == MANGO_PRIOR_NORMAL;
}

static int auto_fits_real(const mango_opt *o, const mango_facts *f)
{
    mango_idx real = 0;
    (void)f;
    for (mango_idx j = 0; j < o->d; j++)
        real += o->n[j] == MANGO_REAL;
    return 2 * real > o->d;
}

static int auto_fits_all(const mango_opt *o, const mango_facts *f)
{
    (void)o;
    (void)f;
    return 1;
}

/* sep-cma on latents is not told what others found: it would follow the model into the
 * class where that has settled, and be no second opinion. */
static const mgi_auto_row auto_row[] = {
    {auto_fits_grid, 200, 0.2, 1, {{"gp-codes", NULL, 1}}},
    {auto_fits_latent, 100, 0.5, 2, {{"gp-latent", NULL, 1}, {"sep-cma", NULL, 0}}},
    {auto_fits_real, 100, 0.7, 2, {{"sep-cma", NULL, 1}, {"one-plus-one", NULL, 1}}},
    {auto_fits_all, 100, 0.7, 2, {{"gp-modes", NULL, 1}, {"one-plus-one", NULL, 1}}},
};

/* What the parts may know. */
static mango_facts auto_facts(const mango_opt *o)
{
    mango_facts f = o->facts;
    if (!mgi_opt_int(o, "references"))
        f.n_codes = f.code_dim = 0;
    if (!mgi_opt_int(o, "classes"))
        f.class_first = f.classes = 0;
    return f;
}

/* ---- ask ------------------------------------------------------------------ */

static int auto_next(const mgi_auto *p)
{
    return p->told < p->alone ? 0 : mgi_bandit_next(&p->bandit);
}

static mango_status auto_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_auto *p = o->state;
    mango_idx done = 0;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    while (done < *K) {
        if (p->left == 0) {
            p->held = auto_next(p);
            p->left = o->batch;
        }
        const mango_idx n = MGI_MIN(p->left, *K - done);
        MGI_TRY(mgi_children_ask(&p->part, p->held, o->asked + (uint64_t)done, n,
                                 I + done * o->d));
        done += n;
        p->left -= n;
    }
    return MANGO_OK;
}

/* ---- tell ----------------------------------------------------------------- */

/* (1) of bandit.h, over the rows of each part. */
static void auto_reward(const mango_opt *o, mgi_auto *p, const mgi_tells *t)
{
    mango_idx n[MGI_CHILDREN] = {0}, in[MGI_CHILDREN] = {0};
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        const int who = mgi_children_whose(&p->part, &row, o->d);
        const int enters = mgi_bandit_enters(&p->bandit, &row);
        if (who < 0)
            continue;
        n[who]++;
        in[who] += enters;
    }
    for (int i = 0; i < p->part.n; i++)
        if (n[i] > 0)
            mgi_bandit_reward(&p->bandit, i, (double)n[i] / (double)o->batch,
                              (double)in[i] / (double)n[i]);
}

static void auto_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_auto *p = o->state;
    if (p->part.n > 1)
        auto_reward(o, p, t);
    mgi_children_tell(&p->part, t);
    p->told = t->n > PTRDIFF_MAX - p->told ? PTRDIFF_MAX : p->told + t->n;
}

/* ---- for people ----------------------------------------------------------- */

static void auto_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_auto *p = o->state;
    if (p->part.n > 1)
        mgi_bandit_explain(&p->bandit, p->name, s);
    mgi_children_explain(&p->part, s);
}

static void auto_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_auto *p = o->state;
    mgi_children_why(&p->part, o->asked - (uint64_t)(o->last - k), s);
}

/* ---- life ----------------------------------------------------------------- */

static void auto_restart(mango_opt *o, uint64_t epoch)
{
    mgi_auto *p = o->state;
    (void)epoch;
    mgi_children_restart(&p->part);
    p->left = 0;
}

static void auto_destroy(mango_opt *o)
{
    mgi_auto *p = o->state;
    if (!p)
        return;
    mgi_children_destroy(&p->part, &o->al);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status auto_create(mango_opt *o, mango_err *err)
{
    const mgi_auto_row *row = auto_row;
    const mango_facts f = auto_facts(o);
    mgi_auto *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "auto: out of memory");
    while (!row->fits(o, &f))
        row++;
    MGI_TRY(mgi_children_create(&p->part, o, &f, row->n, row->part, err));
    for (int i = 0; i < row->n; i++)
        p->name[i] = row->part[i].preset;
    const mango_idx alone = mgi_opt_int(o, "alone");
    const double c = mgi_opt_real(o, "c");
    mgi_bandit_init(&p->bandit, row->n, mgi_opt_real(o, "gamma"), c < 0.0 ? row->c : c);
    p->alone = alone < 0 ? row->alone : alone;
    o->batch = mgi_opt_int(o, "k");
    o->retell = o->ties = 1;
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_auto(void)
{
    static const mgi_method method = {
        .name = "auto",
        .option = auto_option,
        .n_options = MGI_COUNT(auto_option),
        .create = auto_create,
        .ask = auto_ask,
        .tell = auto_tell,
        .restart = auto_restart,
        .destroy = auto_destroy,
        .explain = auto_explain,
        .why = auto_why,
    };
    return &method;
}
