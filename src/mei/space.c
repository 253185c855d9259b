/* space.c - what a multi-index means to a generator.
 * SPDX-License-Identifier: MIT */
#include "../base/text.h"
#include "../net/graph.h"
#include "reference.h"

#define SPACE_LEVELS 64 /* of a latent vector, the published grid */
#define SPACE_EDGE 4.0
#define SPACE_CLASSES "train.latent_classes" /* metadata of a generator */
#define SPACE_RANGE "mango.latent_range"
#define SPACE_STEPS "mango.latent_levels"
#define SPACE_PRIOR "mango.latent_prior"
#define SPACE_PRIORS "normal|uniform|none"
#define SPACE_FLAT 1.0 /* a uniform prior, told as a normal one cut here */

struct mango_space {
    mango_alloc al;
    mango_idx d, *n;
    mango_idx layer; /* that takes the latent, -1: the input */
    int codes;       /* levels are codes, not places on [lo, hi] */
    int latent;      /* a generator's                            */
    int prior;       /* of it: a word of SPACE_PRIORS            */
    mango_idx H, W;  /* grid of codes */
    mango_idx classes;
    double lo, hi;
    mgi_references ref;
    mango_idx level_dim; /* of the codebook, 0: none */
    float *levels;       /* (n[0],level_dim)         */
};

mango_status mango_space_create(mango_space **s, mango_idx d, const mango_idx *n, double lo,
                                double hi, const mango_alloc *al, mango_err *err)
{
    MGI_CHECK(err, s, "mango_space_create: a place for the space expected");
    *s = NULL;
    if (d < 1 || d > (mango_idx)1 << 20 || !n)
        return mgi_fail(err, MANGO_E_ARG, "space: %td modes, expected 1..2^20", d);
    for (mango_idx j = 0; j < d; j++)
        if (n[j] < 1 || n[j] > MANGO_REAL)
            return mgi_fail(err, MANGO_E_ARG,
                            "space: mode %td has %td levels, expected 1..2^30", j, n[j]);
    if (!(lo <= hi && lo >= -1e30 && hi <= 1e30))
        return mgi_fail(err, MANGO_E_ARG, "space: lo <= hi within 1e30 expected");
    const mango_alloc a = mgi_alloc_get(al);
    mango_space *x = mgi_new(&a, 1, sizeof *x);
    mango_idx *copy = mgi_new(&a, d, sizeof *copy);
    if (!x || !copy) {
        mgi_del(&a, x, 1, sizeof *x);
        mgi_del(&a, copy, d, sizeof *copy);
        return mgi_fail(err, MANGO_E_MEM, "space: out of memory for %td modes", d);
    }
    memcpy(copy, n, (size_t)d * sizeof *n);
    x->al = a;
    x->d = d;
    x->n = copy;
    x->lo = lo;
    x->hi = hi;
    x->layer = -1;
    *s = x;
    return MANGO_OK;
}

/* d equal modes. */
static mango_status space_uniform(mango_space **s, mango_idx d, mango_idx levels, double lo,
                                  double hi, const mango_alloc *al, mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    if (d < 1 || d > (mango_idx)1 << 20)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "generator: %td latent values, expected 1..2^20", d);
    mango_idx *n = mgi_new(&a, d, sizeof *n);
    if (!n)
        return mgi_fail(err, MANGO_E_MEM, "space: out of memory for %td modes", d);
    for (mango_idx j = 0; j < d; j++)
        n[j] = levels;
    const mango_status st = mango_space_create(s, d, n, lo, hi, al, err);
    mgi_del(&a, n, d, sizeof *n);
    return st;
}

/* How many of the d latents name a class; 0: none. */
static mango_idx space_classes(const mango_net *gen, mango_idx d)
{
    const char *text = mango_net_meta_get(gen, SPACE_CLASSES);
    int64_t k;
    return text && mgi_parse_int(text, 1, (int64_t)d, &k) ? (mango_idx)k : 0;
}

/* A copy of the codebook, where it has values. */
static mango_status space_codebook(mango_space *s, const mango_net *gen, const mgi_node *v,
                                   mango_err *err)
{
    const float *from = gen->param[v->weight].v;
    if (!from)
        return MANGO_OK;
    s->levels = mgi_new(&s->al, v->codes * v->C, sizeof *s->levels);
    if (!s->levels)
        return mgi_fail(err, MANGO_E_MEM, "space: out of memory for %td codes", v->codes);
    s->level_dim = v->C;
    memcpy(s->levels, from, (size_t)(v->codes * v->C) * sizeof *from);
    return MANGO_OK;
}

/* The space of vector quantizer, or embedding, i. */
static mango_status space_codes(mango_space **s, const mango_net *gen, int i,
                                const mango_alloc *al, mango_err *err)
{
    const mgi_node *v = gen->node + i;
    const int vq = v->kind == MGI_VQ;
    MGI_TRY(space_uniform(s, v->H * v->W, v->codes, -SPACE_EDGE, SPACE_EDGE, al, err));
    (*s)->codes = 1;
    (*s)->layer = vq ? i : -1; /* an embedding's codes are the input itself */
    (*s)->H = v->H;
    (*s)->W = v->W;
    return space_codebook(*s, gen, v, err);
}

/* ---- latents ---------------------------------------------------------------- */

/* What a generator says of its latents. */
typedef struct mgi_latents {
    double lo, hi;
    mango_idx levels;
    int prior, said; /* said: at least one of the three */
} mgi_latents;

/* "-4,4" */
static int latents_range(const char *text, double *lo, double *hi)
{
    const char *comma = strchr(text, ',');
    return comma && mgi_parse_real_n(text, (mango_idx)(comma - text), lo) &&
           mgi_parse_real(comma + 1, hi) && *lo < *hi && *lo >= -1e6 && *hi <= 1e6;
}

static mango_status latents_read(mgi_latents *l, const mango_net *gen, mango_err *err)
{
    const char *range = mango_net_meta_get(gen, SPACE_RANGE);
    const char *levels = mango_net_meta_get(gen, SPACE_STEPS);
    const char *prior = mango_net_meta_get(gen, SPACE_PRIOR);
    int64_t n = SPACE_LEVELS;
    l->lo = -SPACE_EDGE;
    l->hi = SPACE_EDGE;
    l->prior = prior ? mgi_word(SPACE_PRIORS, prior) : 0;
    l->said = range || levels || prior;
    if (range && !latents_range(range, &l->lo, &l->hi))
        return mgi_fail(err, MANGO_E_FORMAT, "generator: latent range '%.40s': LOW,HIGH within "
                        "1e6 expected, such as -4,4", range);
    if (levels && !mgi_parse_int(levels, 2, 65536, &n))
        return mgi_fail(err, MANGO_E_FORMAT, "generator: latent levels '%.40s': 2..65536 "
                        "expected", levels);
    if (l->prior < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "generator: latent prior '%.40s': normal, uniform "
                        "or none expected", prior);
    l->levels = (mango_idx)n;
    return MANGO_OK;
}

/* A vector, or, where the generator says what its latents are, a map of any shape. */
static mango_status space_latents(mango_space **s, const mango_net *gen,
                                  const mango_alloc *al, mango_err *err)
{
    const mgi_node *in = gen->node + gen->input;
    const int vector = (in->C == 1) + (in->H == 1) + (in->W == 1) >= 2;
    mgi_latents l;
    MGI_TRY(latents_read(&l, gen, err));
    if (!vector && !l.said)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "'%s' takes a picture of %tdx%tdx%td: a generator takes a latent "
                        "vector, has a vector quantizer, or says what its latents are "
                        "(" SPACE_RANGE ")",
                        in->name, in->C, in->H, in->W);
    MGI_TRY(space_uniform(s, in->C * in->H * in->W, l.levels, l.lo, l.hi, al, err));
    (*s)->latent = 1;
    (*s)->prior = l.prior;
    (*s)->classes = space_classes(gen, (*s)->d);
    return MANGO_OK;
}

MGI_FN void mgi_space_text(const mango_space *s, mgi_str *text)
{
    if (!s->latent || (s->lo == -SPACE_EDGE && s->hi == SPACE_EDGE && s->prior == 0))
        return;
    mgi_str_puts(text, "range ");
    mgi_str_float(text, s->lo);
    mgi_str_puts(text, "..");
    mgi_str_float(text, s->hi);
    mgi_str_puts(text, ", prior ");
    mgi_str_word(text, SPACE_PRIORS, s->prior);
}

/* The node that takes codes: a vector quantizer, or an embedding of the input; -1: none. */
static int space_quantizer(const mango_net *gen)
{
    for (int i = 0; i < gen->n_nodes; i++) {
        const mgi_node *n = gen->node + i;
        const int embeds = strcmp(mgi_kind_name(n->kind), "embedding") == 0;
        if (n->kind == MGI_VQ || (embeds && n->in[0] == gen->input))
            return i;
    }
    return -1;
}

mango_status mango_space_of(mango_space **s, const mango_net *gen, const mango_alloc *al,
                            mango_err *err)
{
    MGI_CHECK(err, s, "mango_space_of: a place for the space expected");
    *s = NULL;
    MGI_CHECK(err, gen, "mango_space_of: a generator expected");
    mango_space *x = NULL;
    const int vq = space_quantizer(gen);
    mango_status st =
        vq >= 0 ? space_codes(&x, gen, vq, al, err) : space_latents(&x, gen, al, err);
    if (st == MANGO_OK)
        st = mgi_references_read(&x->ref, gen, x->d, x->n, &x->al, err);
    if (st < 0)
        mango_space_destroy(x);
    else
        *s = x;
    return st;
}

mango_status mango_space_get_sized(const mango_space *s, mango_space_info *info,
                                   size_t size)
{
    MGI_REQUIRE(s && info);
    const mango_space_info own = {
        .modes = {s->d, s->n},
        .layer = s->layer,
        .codebook = s->codes,
        .H = s->H,
        .W = s->W,
        .lo = s->lo,
        .hi = s->hi,
        .classes = s->classes,
    };
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_space_facts_sized(const mango_space *s, mango_facts *f, size_t size)
{
    mango_facts own;
    MGI_REQUIRE(s && f);
    MGI_TRY(mango_facts_defaults(&own));
    own.H = s->H;
    own.W = s->W;
    own.classes = s->classes;
    if (s->latent && s->prior != 2) {
        own.prior = MANGO_PRIOR_NORMAL;
        own.prior_lo = s->prior == 0 ? s->lo : -SPACE_FLAT;
        own.prior_hi = s->prior == 0 ? s->hi : SPACE_FLAT;
    }
    own.n_codes = s->ref.n;
    own.codes = s->ref.codes;
    own.code_dim = s->ref.dim;
    own.code_features = s->ref.features;
    own.level_dim = s->level_dim;
    own.levels = s->levels;
    return mgi_options_out(f, size, &own, sizeof own);
}

mango_status mango_space_latent(const mango_space *s, mango_idx K, const mango_idx *I,
                                float *z)
{
    MGI_REQUIRE(s && K >= 0 && (K == 0 || (I && z)));
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 0; j < s->d; j++) {
            const mango_idx i = I[k * s->d + j], n = s->n[j];
            double x = (double)i;
            if (i < 0 || i >= n)
                return MANGO_E_ARG;
            if (!s->codes && n == 1)
                x = 0.5 * (s->lo + s->hi);
            else if (!s->codes)
                x = s->lo + x * (s->hi - s->lo) / (double)(n - 1);
            z[k * s->d + j] = (float)x;
        }
    return MANGO_OK;
}

void mango_space_destroy(mango_space *s)
{
    if (!s)
        return;
    const mango_alloc al = s->al;
    mgi_references_free(&s->ref, s->d, &al);
    mgi_del(&al, s->levels, s->levels ? s->n[0] * s->level_dim : 0, sizeof *s->levels);
    mgi_del(&al, s->n, s->d, sizeof *s->n);
    mgi_del(&al, s, 1, sizeof *s);
}

#undef SPACE_LEVELS
#undef SPACE_EDGE
#undef SPACE_CLASSES
#undef SPACE_RANGE
#undef SPACE_STEPS
#undef SPACE_PRIOR
#undef SPACE_PRIORS
#undef SPACE_FLAT
