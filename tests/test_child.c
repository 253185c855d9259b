/* test_child.c - optimizers as the parts of one: each is asked, and told what is its own
 * under its own ids, exactly as if it stood alone.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_CHILD_D = 12, T_CHILD_K = 8, T_CHILD_PARTS = 2 };

static double t_child_value(const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < T_CHILD_D; j++)
        s += (double)(I[j] * (j % 3 + 1));
    return s;
}

static mango_opt *t_child_opt(const char *preset, const mango_modes *m)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    T_STATUS(mango_opt_defaults(preset, &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&p, m, NULL, &o, 5, NULL, NULL), MANGO_OK);
    return p;
}

static mango_modes t_child_modes(void)
{
    static const mango_idx n[T_CHILD_D] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    const mango_modes m = {T_CHILD_D, n};
    return m;
}

/* The twin of a part, alone: the same preset, seed and space. */
static mango_opt *t_child_twin(const mango_opt *part)
{
    const mango_modes m = t_child_modes();
    mango_opt *p = NULL;
    T_STATUS(mango_opt_create(&p, &m, NULL, &part->opt, part->seed, NULL, NULL), MANGO_OK);
    return p;
}

/* Two parts in turn, values told in reverse order, one of them missing: each asks what
 * its twin asks, that was told the same by hand. */
static void t_child_alone(void)
{
    static const mgi_part part[T_CHILD_PARTS] = {{"tt-b", "k=8", 0}, {"one-plus-one", "k=8", 1}};
    const mango_modes m = t_child_modes();
    mango_opt *whole = t_child_opt("random", &m);
    mango_opt *twin[T_CHILD_PARTS];
    mgi_children c = {0};
    mango_idx I[T_CHILD_K * T_CHILD_D], J[T_CHILD_K * T_CHILD_D];
    mango_told told[T_CHILD_K], own[T_CHILD_K], shared[T_CHILD_K];
    uint64_t id[T_CHILD_K], first = 0;
    mango_err err = {""};
    whole->minimize = 1;
    T_OK_OR_RETURN(mgi_children_create(&c, whole, NULL, T_CHILD_PARTS, part, &err), &err);
    for (int i = 0; i < T_CHILD_PARTS; i++)
        twin[i] = t_child_twin(c.opt[i]);
    for (int round = 0; round < 12; round++, first += T_CHILD_K) {
        const int who = round % T_CHILD_PARTS;
        mango_idx K = T_CHILD_K;
        T_STATUS(mgi_children_ask(&c, who, first, T_CHILD_K, I), MANGO_OK);
        T_STATUS(mango_opt_ask_ids(twin[who], T_CHILD_K, &K, J, id), MANGO_OK);
        T_MEM(I, J, sizeof I);
        for (mango_idx r = 0; r < T_CHILD_K; r++) {
            const mango_idx k = T_CHILD_K - 1 - r;
            const double y = k == 3 ? NAN : t_child_value(I + k * T_CHILD_D);
            const mango_told row = {first + (uint64_t)k, I + k * T_CHILD_D, -y, NAN, 1, 0};
            T_EQ(mgi_children_whose(&c, &row, T_CHILD_D), who);
            told[r] = own[r] = shared[r] = row;
            own[r].y = shared[r].y = y;
            own[r].id = id[k];
            shared[r].id = MANGO_UNASKED;
        }
        const mgi_tells t = {T_CHILD_K, T_CHILD_D, told, NULL, NULL, 1};
        mgi_children_tell(&c, &t);
        T_STATUS(mango_opt_tell_all(twin[who], T_CHILD_K, own), MANGO_OK);
        if (who == 0) /* the second shares */
            T_STATUS(mango_opt_tell_all(twin[1], T_CHILD_K, shared), MANGO_OK);
    }
    for (int i = 0; i < T_CHILD_PARTS; i++)
        mango_opt_destroy(twin[i]);
    mgi_children_destroy(&c, &whole->al);
    mango_opt_destroy(whole);
}

/* More rows than one tell to a part holds; ids that nobody gave, or long ago. */
static void t_child_many(void)
{
    static const mgi_part part[T_CHILD_PARTS] = {{"random", NULL, 0}, {"tt", NULL, 1}};
    enum { K = 2 * MGI_CHILD_ROWS + 5 };
    const mango_modes m = t_child_modes();
    mango_opt *whole = t_child_opt("random", &m);
    mgi_children c = {0};
    mango_err err = {""};
    mango_idx *I = calloc((size_t)K * T_CHILD_D, sizeof *I);
    mango_told *told = calloc((size_t)K, sizeof *told);
    double y;
    T_OK_OR_RETURN(mgi_children_create(&c, whole, NULL, T_CHILD_PARTS, part, &err), &err);
    const mango_told first = {0, I, 0, NAN, 1, 0}, plain = {MANGO_UNASKED, I + (K - 1) * T_CHILD_D,
                      0, NAN, 1, 0};
    T_EQ(mgi_children_whose(&c, &first, T_CHILD_D), -1);
    T_EQ(mgi_children_whose(&c, &plain, T_CHILD_D), -1);
    T_STATUS(mgi_children_ask(&c, 0, 0, K, I), MANGO_OK);
    T_EQ((mango_idx)c.opt[0]->asked, K);
    T_EQ(mgi_children_whose(&c, &first, T_CHILD_D), 0);
    T_EQ(mgi_children_whose(&c, &plain, T_CHILD_D), 0); /* by its code */
    for (mango_idx k = 0; k < K; k++) {
        const mango_told row = {(uint64_t)k, I + k * T_CHILD_D, (double)k, NAN, 1, 0};
        told[k] = row;
    }
    const mgi_tells t = {K, T_CHILD_D, told, NULL, NULL, 0};
    mgi_children_tell(&c, &t);
    for (int i = 0; i < T_CHILD_PARTS; i++) {
        T_STATUS(mango_opt_best(c.opt[i], &y, NULL), MANGO_OK);
        T_CHECK(y == K - 1);
    }
    T_STATUS(mgi_children_ask(&c, 1, MGI_ROUTES, 1, I), MANGO_OK);
    const mango_told last = {MGI_ROUTES, I, 0, NAN, 1, 0};
    T_EQ(mgi_children_whose(&c, &last, T_CHILD_D), 1);
    T_EQ(mgi_children_whose(&c, &first, T_CHILD_D), -1); /* its place is the last one's */
    mgi_children_destroy(&c, &whole->al);
    mango_opt_destroy(whole);
    free(told);
    free(I);
}

void t_child(void)
{
    T_CASE(t_child_alone);
    T_CASE(t_child_many);
}
