/* test_reference.c - reference codes in a generator: put in, saved, read back as facts,
 * and every kind of damage refused by name.
 * SPDX-License-Identifier: MIT */
#include "../src/net/graph.h"
#include "test.h"

#define T_REF_VQ "vqvae,in=1x28x28,hidden=16,codes=16,dim=4" /* 49 modes of 16 */
#define T_REF_GAN "sngan,width=0.05,latent=6,classes=3"      /* 6 modes of 64  */

enum { T_REF_N = 5, T_REF_D = 49, T_REF_DIM = 3 };

typedef struct t_ref {
    mango_net *gen;
    mango_space *space;
    mango_facts facts;
    mango_idx I[T_REF_N * T_REF_D];
    float f[T_REF_N * T_REF_DIM];
    mango_err err;
} t_ref;

static void t_ref_new(t_ref *r, const char *spec)
{
    memset(r, 0, sizeof *r);
    T_OK(mango_net_zoo(&r->gen, spec, NULL, &r->err), &r->err);
    T_STATUS(mango_net_fill(r->gen, 3, 1.0), MANGO_OK);
    for (mango_idx i = 0; i < T_REF_N * T_REF_D; i++)
        r->I[i] = i * 7 % 16;
    for (mango_idx i = 0; i < T_REF_N * T_REF_DIM; i++)
        r->f[i] = 0.25f * (float)i - 1.0f;
}

static void t_ref_free(t_ref *r)
{
    mango_space_destroy(r->space);
    mango_net_destroy(r->gen);
}

/* The facts of the generator as it is now. */
static mango_status t_ref_facts(t_ref *r)
{
    mango_space_destroy(r->space);
    const mango_status st = mango_space_of(&r->space, r->gen, NULL, &r->err);
    if (st == MANGO_OK)
        T_STATUS(mango_space_facts(r->space, &r->facts), MANGO_OK);
    return st;
}

static void t_ref_same(const t_ref *r, mango_idx d)
{
    T_EQ(r->facts.n_codes, T_REF_N);
    T_EQ(r->facts.code_dim, T_REF_DIM);
    T_REQUIRE(r->facts.codes && r->facts.code_features);
    T_MEM(r->facts.codes, r->I, (mango_idx)sizeof *r->I * T_REF_N * d);
    T_MEM(r->facts.code_features, r->f, (mango_idx)sizeof r->f);
}

/* Through a file and back; what else the facts hold. */
static void t_ref_file(void)
{
    const char *const spec[] = {T_REF_VQ, T_REF_GAN};
    const mango_idx d[] = {T_REF_D, 6};
    for (int k = 0; k < 2; k++) {
        t_ref r;
        char before[65], after[65];
        t_ref_new(&r, spec[k]);
        T_STATUS(mango_net_digest(r.gen, MANGO_DIGEST_ALL, before), MANGO_OK);
        T_OK(t_ref_facts(&r), &r.err);
        T_CHECK(r.facts.n_codes == 0 && !r.facts.codes && !r.facts.code_features);
        T_OK(mango_reference_set(r.gen, T_REF_N, r.I, T_REF_DIM, r.f, &r.err), &r.err);
        T_OK(t_ref_facts(&r), &r.err);
        t_ref_same(&r, d[k]);
        T_STATUS(mango_net_digest(r.gen, MANGO_DIGEST_ALL, after), MANGO_OK);
        T_STR(before, after);
        T_OK(mango_net_save(r.gen, t_tmp("ref.safetensors"), "F32", &r.err), &r.err);
        mango_net_destroy(r.gen);
        T_OK_OR_RETURN(mango_net_load(&r.gen, t_tmp("ref.safetensors"), NULL, &r.err), &r.err);
        T_OK(t_ref_facts(&r), &r.err);
        t_ref_same(&r, d[k]);
        t_ref_free(&r);
    }
}

/* The codebook is the facts' levels; a latent space has none, but a prior and classes. */
static void t_ref_levels(void)
{
    t_ref r;
    t_ref_new(&r, T_REF_VQ);
    T_OK(t_ref_facts(&r), &r.err);
    T_CHECK(r.facts.level_dim == 4 && r.facts.H == 7 && r.facts.W == 7);
    T_CHECK(r.facts.prior == MANGO_PRIOR_NONE);
    const int p = mgi_param_find(r.gen, "_vq_vae._embedding.weight");
    T_REQUIRE(p >= 0 && r.facts.levels);
    T_MEM(r.facts.levels, r.gen->param[p].v, 16 * 4 * (mango_idx)sizeof(float));
    t_ref_free(&r);
    t_ref_new(&r, T_REF_GAN);
    T_STATUS(mango_net_meta_set(r.gen, "train.latent_classes", "3"), MANGO_OK);
    T_OK(t_ref_facts(&r), &r.err);
    T_CHECK(r.facts.level_dim == 0 && !r.facts.levels && r.facts.H == 0);
    T_CHECK(r.facts.prior == MANGO_PRIOR_NORMAL && r.facts.classes == 3);
    t_ref_free(&r);
    memset(&r, 0, sizeof r); /* no values yet: no codebook, else the same */
    T_OK(mango_net_zoo(&r.gen, T_REF_VQ, NULL, &r.err), &r.err);
    T_OK(t_ref_facts(&r), &r.err);
    T_CHECK(r.facts.level_dim == 0 && !r.facts.levels && r.facts.H == 7);
    t_ref_free(&r);
}

/* An optimizer takes the facts as they come. */
static void t_ref_optimizer(void)
{
    t_ref r;
    mango_space_info info;
    mango_opt_options o;
    mango_opt *opt = NULL;
    t_ref_new(&r, T_REF_VQ);
    T_OK(mango_reference_set(r.gen, T_REF_N, r.I, T_REF_DIM, r.f, &r.err), &r.err);
    T_OK(t_ref_facts(&r), &r.err);
    T_STATUS(mango_space_get(r.space, &info), MANGO_OK);
    T_OK(mango_opt_defaults("random", &o, &r.err), &r.err);
    T_OK(mango_opt_create(&opt, &info.modes, &r.facts, &o, 1, NULL, &r.err), &r.err);
    mango_opt_destroy(opt);
    t_ref_free(&r);
}

/* What mango_reference_set refuses, and that nothing is left then. */
static void t_ref_set_bad(void)
{
    t_ref r;
    t_ref_new(&r, T_REF_VQ);
    T_OK(mango_reference_set(r.gen, T_REF_N, r.I, 0, NULL, &r.err), &r.err);
    T_OK(t_ref_facts(&r), &r.err);
    T_CHECK(r.facts.n_codes == T_REF_N && r.facts.code_dim == 0 && !r.facts.code_features);
    r.I[T_REF_D + 2] = 16;
    T_STATUS(mango_reference_set(r.gen, T_REF_N, r.I, 0, NULL, &r.err), MANGO_E_ARG);
    T_CHECK(strstr(r.err.text, "code 1") != NULL);
    T_OK(t_ref_facts(&r), &r.err);
    T_EQ(r.facts.n_codes, 0);
    r.I[T_REF_D + 2] = 15;
    r.f[4] = 70000.0f; /* more than a half holds */
    T_STATUS(mango_reference_set(r.gen, T_REF_N, r.I, T_REF_DIM, r.f, &r.err),
             MANGO_E_NONFINITE);
    T_CHECK(strstr(r.err.text, "feature 1 of reference code 1") != NULL);
    T_OK(t_ref_facts(&r), &r.err);
    T_EQ(r.facts.n_codes, 0);
    T_STATUS(mango_reference_set(r.gen, 100001, r.I, 0, NULL, &r.err), MANGO_E_ARG);
    T_STATUS(mango_reference_set(r.gen, -1, r.I, 0, NULL, &r.err), MANGO_E_ARG);
    T_STATUS(mango_reference_set(r.gen, 1, r.I, 4097, r.f, &r.err), MANGO_E_ARG);
    T_STATUS(mango_reference_set(r.gen, 1, NULL, 0, NULL, &r.err), MANGO_E_ARG);
    T_STATUS(mango_reference_set(NULL, 1, r.I, 0, NULL, &r.err), MANGO_E_ARG);
    T_OK(mango_reference_set(r.gen, 0, NULL, 0, NULL, &r.err), &r.err);
    t_ref_free(&r);
}

/* One tensor as a file may bring it: refused, with its name. */
static void t_ref_damage(const char *name, mgi_dtype type, int rank, const mango_idx *shape,
                         const void *raw, mango_status expected)
{
    t_ref r;
    t_ref_new(&r, T_REF_VQ);
    T_OK(mango_reference_set(r.gen, T_REF_N, r.I, T_REF_DIM, r.f, &r.err), &r.err);
    T_STATUS(mgi_net_extra_set(r.gen, name, type, rank, shape, raw), MANGO_OK);
    T_STATUS(t_ref_facts(&r), expected);
    T_CHECK(expected == MANGO_OK || strstr(r.err.text, name) != NULL);
    T_CHECK(expected == MANGO_OK || r.space == NULL);
    mango_drawing *d = NULL; /* everything that needs the space says the same */
    T_STATUS(mango_drawing_create(&d, r.gen, NULL, NULL, &r.err), expected);
    mango_drawing_destroy(d);
    T_OK(mango_reference_set(r.gen, T_REF_N, r.I, T_REF_DIM, r.f, &r.err), &r.err);
    T_OK(t_ref_facts(&r), &r.err); /* and new ones mend it */
    t_ref_same(&r, T_REF_D);
    t_ref_free(&r);
}

static void t_ref_damaged(void)
{
    enum { CELLS = T_REF_N * T_REF_D };
    const mango_idx three[] = {T_REF_N, 7, 7}, two[] = {T_REF_N, T_REF_D}, one[] = {CELLS},
                    narrow[] = {T_REF_N, 48}, few[] = {T_REF_N - 1, T_REF_DIM},
                    own[] = {T_REF_N, T_REF_DIM}, empty[] = {T_REF_N, 0};
    int16_t code[CELLS] = {0};
    float f[CELLS] = {0};
    const char *const C = "reference_codes", *const F = "reference_features";
    t_ref_damage(C, MGI_I16, 3, three, code, MANGO_OK);
    t_ref_damage(C, MGI_I16, 2, two, code, MANGO_OK);
    t_ref_damage(C, MGI_I16, 1, one, code, MANGO_E_SHAPE);
    t_ref_damage(C, MGI_I16, 2, narrow, code, MANGO_E_SHAPE);
    t_ref_damage(C, MGI_I16, 0, one, code, MANGO_E_SHAPE);
    t_ref_damage(C, MGI_F32, 2, two, f, MANGO_E_FORMAT);
    code[60] = 16;
    t_ref_damage(C, MGI_I16, 3, three, code, MANGO_E_FORMAT);
    code[60] = -1;
    t_ref_damage(C, MGI_I16, 3, three, code, MANGO_E_FORMAT);
    t_ref_damage(F, MGI_F32, 2, own, f, MANGO_OK);
    t_ref_damage(F, MGI_F32, 2, empty, f, MANGO_OK);
    t_ref_damage(F, MGI_F32, 2, few, f, MANGO_E_SHAPE);
    t_ref_damage(F, MGI_F32, 1, one, f, MANGO_E_SHAPE);
    t_ref_damage(F, MGI_F32, 0, one, f, MANGO_E_SHAPE);
    t_ref_damage(F, MGI_I16, 2, own, code, MANGO_E_FORMAT);
    f[7] = NAN;
    t_ref_damage(F, MGI_F32, 2, own, f, MANGO_E_NONFINITE);
    f[7] = -INFINITY;
    t_ref_damage(F, MGI_F32, 2, own, f, MANGO_E_NONFINITE);
}

/* Tensors of any type, shape and bytes: read, or refused with a message that names one. */
static void t_ref_any(void)
{
    static const mgi_dtype types[] = {MGI_F32, MGI_F16, MGI_BF16, MGI_F64, MGI_I8,
                                      MGI_U8,  MGI_I16, MGI_I32,  MGI_I64, MGI_BOOL};
    static const mango_idx sizes[] = {0, 1, 3, 5, 7, 48, 49, 50};
    static unsigned char raw[50 * 50 * 50 * 8];
    const char *const name[2] = {"reference_codes", "reference_features"};
    mango_rng r;
    mango_idx good = 0, bad = 0;
    mango_rng_init(&r, 9, 0x8EF, 0);
    t_ref x;
    t_ref_new(&x, T_REF_VQ);
    for (int k = 0; k < 400; k++) {
        mango_idx shape[3], n = 8;
        const int fits = k % 4 == 0, rank = fits ? 3 : (int)mango_rng_int(&r, 4);
        for (int i = 0; i < rank; i++) {
            shape[i] = fits || k % 2 ? (i ? 7 : 5) : sizes[mango_rng_int(&r, MGI_COUNT(sizes))];
            n *= shape[i];
        }
        for (mango_idx i = 0; i < MGI_MIN(n, 4000); i++)
            raw[i] = (unsigned char)mango_rng_int(&r, k % 8 ? 256 : 16);
        const mgi_dtype type = types[mango_rng_int(&r, MGI_COUNT(types))];
        T_STATUS(mgi_net_extra_set(x.gen, name[fits ? 0 : mango_rng_int(&r, 2)],
                                   fits ? MGI_U8 : type, rank, shape, raw),
                 MANGO_OK);
        x.err.text[0] = '\0';
        const mango_status st = t_ref_facts(&x);
        good += st == MANGO_OK;
        bad += st < 0 && strstr(x.err.text, "tensor 'reference_") != NULL;
        if (k % 5 == 4)
            T_OK(mango_reference_set(x.gen, 0, NULL, 0, NULL, &x.err), &x.err);
    }
    T_EQ(good + bad, 400);
    T_CHECK(good > 10 && bad > 10);
    t_ref_free(&x);
}

/* Features without codes. */
static void t_ref_orphan(void)
{
    const mango_idx none[] = {0, T_REF_D};
    t_ref r;
    t_ref_new(&r, T_REF_VQ);
    T_OK(mango_reference_set(r.gen, T_REF_N, r.I, T_REF_DIM, r.f, &r.err), &r.err);
    T_STATUS(mgi_net_extra_set(r.gen, "reference_codes", MGI_I16, 2, none, r.I), MANGO_OK);
    T_STATUS(t_ref_facts(&r), MANGO_E_SHAPE);
    T_CHECK(strstr(r.err.text, "reference_features") != NULL);
    mgi_net_extra_drop(r.gen, "reference_features");
    T_OK(t_ref_facts(&r), &r.err);
    T_EQ(r.facts.n_codes, 0);
    t_ref_free(&r);
}

static mango_status t_ref_oom_once(void *ud, const mango_alloc *al)
{
    mango_space *s = NULL;
    const mango_status st = mango_space_of(&s, ud, al, NULL);
    mango_space_destroy(s);
    return st;
}

static void t_ref_oom(void)
{
    t_ref r;
    t_ref_new(&r, T_REF_VQ);
    T_OK(mango_reference_set(r.gen, T_REF_N, r.I, T_REF_DIM, r.f, &r.err), &r.err);
    T_CHECK(t_oom_sweep(t_ref_oom_once, r.gen) > 5);
    t_ref_free(&r);
}

void t_reference(void)
{
    T_CASE(t_ref_file);
    T_CASE(t_ref_levels);
    T_CASE(t_ref_optimizer);
    T_CASE(t_ref_set_bad);
    T_CASE(t_ref_damaged);
    T_CASE(t_ref_any);
    T_CASE(t_ref_orphan);
    T_CASE(t_ref_oom);
}
