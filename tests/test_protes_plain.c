/* test_protes_plain.c - PROTES written to be read gives the codes of the fast one.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_PLAIN_CAP = 128, T_PLAIN_D = 600 };

static mango_opt *t_plain_new(const char *name, const char *set, const mango_modes *m)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults(name, &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, m, NULL, &o, 5, NULL, &err), &err);
    return p;
}

/* Values that reward some levels and pairs, with holes. */
static double t_plain_value(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += (double)((I[j] * (3 + j % 5) + (j ? I[j - 1] : 0)) % 7);
    return I[0] % 5 == 3 ? (double)NAN : s;
}

/* Rounds of ask and tell, in part and with restarts, of both: every code the same. */
static void t_plain_compare(const mango_modes *m, const char *set)
{
    static mango_idx I[T_PLAIN_CAP * T_PLAIN_D], J[T_PLAIN_CAP * T_PLAIN_D];
    mango_opt *p = t_plain_new("protes", set, m), *q = t_plain_new("protes-plain", set, m);
    for (int round = 0; p && q && round < (t_fast() ? 15 : 60); round++) {
        double y[T_PLAIN_CAP];
        mango_idx K = round % 4 == 3 ? 33 : 0, L = K;
        T_STATUS(mango_opt_ask(p, T_PLAIN_CAP, &K, I), MANGO_OK);
        T_STATUS(mango_opt_ask(q, T_PLAIN_CAP, &L, J), MANGO_OK);
        if (!T_CHECK(K == L && !memcmp(I, J, (size_t)(K * m->d) * sizeof *I)))
            break;
        for (mango_idx k = 0; k < K; k++)
            y[k] = t_plain_value(m->d, I + k * m->d);
        const mango_idx n = round % 5 == 2 ? K / 2 : K;
        T_STATUS(mango_opt_tell(p, n, I, y), MANGO_OK);
        T_STATUS(mango_opt_tell(q, n, I, y), MANGO_OK);
        if (round == 10) {
            T_STATUS(mango_opt_restart(p), MANGO_OK);
            T_STATUS(mango_opt_restart(q), MANGO_OK);
        }
    }
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

static void t_plain_same(void)
{
    static const mango_idx equal[7] = {16, 16, 16, 16, 16, 16, 16};
    static const mango_idx mixed[7] = {2, 3, 5, 1, 7, 64, 512}, wide[2] = {5000, 2};
    static const mango_idx one[1] = {9};
    static mango_idx bits[T_PLAIN_D];
    for (mango_idx j = 0; j < T_PLAIN_D; j++)
        bits[j] = 2;
    const mango_modes modes[] = {{7, equal}, {7, mixed}, {50, bits}, {T_PLAIN_D, bits},
                                 {2, wide},  {1, one}};
    static const char *const set[] = {"", "k=20,k_top=3", "r=3,k_gd=3,lr=0.3,minimize=1",
                                      "k=10,k_top=2", "k=30", "lr=2,k=20,k_top=1"};
    for (mango_idx i = 0; i < MGI_COUNT(modes); i++)
        t_plain_compare(modes + i, set[i]);
}

void t_protes_plain(void)
{
    T_CASE(t_plain_same);
}
