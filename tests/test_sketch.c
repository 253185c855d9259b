/* test_sketch.c - cheap features of pictures: known pictures, codes in any batch, through a
 * search's facts.
 * SPDX-License-Identifier: MIT */
#include "../src/mei/objective.h"
#include "../src/mei/session.h"
#include "test.h"

#define T_SKETCH_GEN "vqvae,width=0.125" /* 64 codes, 3x32x32 */

enum { T_SKETCH_K = 9, T_SKETCH_D = 64, T_SKETCH_DIM = 3 * 64 + 4 * 16 };

typedef struct t_sketch_all {
    mango_net *gen;
    mango_drawing *drawing;
    mango_sketch *sketch;
} t_sketch_all;

static void t_sketch_open(t_sketch_all *s, mango_idx batch)
{
    mango_drawing_options o;
    mango_err err = {""};
    memset(s, 0, sizeof *s);
    T_OK(mango_net_zoo(&s->gen, T_SKETCH_GEN, NULL, &err), &err);
    T_STATUS(mango_net_fill(s->gen, 3, 2.0), MANGO_OK);
    T_STATUS(mango_drawing_defaults(&o), MANGO_OK);
    o.batch = batch;
    T_OK(mango_drawing_create(&s->drawing, s->gen, &o, NULL, &err), &err);
    T_OK(mango_sketch_create(&s->sketch, s->drawing, NULL, &err), &err);
    T_EQ(mango_sketch_dim(s->sketch), T_SKETCH_DIM);
}

static void t_sketch_close(t_sketch_all *s)
{
    mango_sketch_destroy(s->sketch);
    mango_drawing_destroy(s->drawing);
    mango_net_destroy(s->gen);
}

/* A plain colour has its means and no edges; stripes have edges of one orientation. */
static void t_sketch_known(void)
{
    static float rgb[3 * 32 * 32], f[T_SKETCH_DIM];
    t_sketch_all s;
    t_sketch_open(&s, 4);
    for (int i = 0; i < 1024; i++) {
        rgb[i] = 0.25f;
        rgb[1024 + i] = 0.5f;
        rgb[2048 + i] = 1.0f;
    }
    T_STATUS(mango_sketch_pictures(s.sketch, 1, rgb, f), MANGO_OK);
    for (int g = 0; g < 64; g++)
        T_CHECK(f[g] == 0.25f && f[64 + g] == 0.5f && f[128 + g] == 1.0f);
    for (int g = 192; g < T_SKETCH_DIM; g++)
        T_CHECK(f[g] == 0.0f);
    for (int i = 0; i < 3072; i++) /* columns 0 0 1 1 0 0 ...: half of them change */
        rgb[i] = (float)(i % 4 / 2);
    T_STATUS(mango_sketch_pictures(s.sketch, 1, rgb, f), MANGO_OK);
    for (int g = 0; g < 16; g++) {
        const float *e = f + 192 + 4 * g;
        T_CHECK(e[0] > 0.9f && e[1] == 0.0f);
        T_NEAR(e[2], e[0] / sqrt(2.0), 1e-6);
        T_NEAR(e[3], e[2], 1e-6);
    }
    t_sketch_close(&s);
}

/* Of codes: the same as of their pictures, in any batch. */
static void t_sketch_codes(void)
{
    static float rgb[T_SKETCH_K * 3072], want[T_SKETCH_K * T_SKETCH_DIM],
        got[T_SKETCH_K * T_SKETCH_DIM];
    mango_idx I[T_SKETCH_K * T_SKETCH_D];
    for (mango_idx i = 0; i < T_SKETCH_K * T_SKETCH_D; i++)
        I[i] = i * 37 % 512;
    for (mango_idx batch = 1; batch <= 16; batch += 5) {
        t_sketch_all s;
        t_sketch_open(&s, batch);
        T_STATUS(mango_drawing_codes(s.drawing, T_SKETCH_K, I, rgb), MANGO_OK);
        T_STATUS(mango_sketch_pictures(s.sketch, T_SKETCH_K, rgb, want), MANGO_OK);
        T_STATUS(mango_sketch_codes(s.sketch, T_SKETCH_K, I, got), MANGO_OK);
        T_MEM(got, want, (mango_idx)sizeof want);
        T_CHECK(memcmp(got, got + T_SKETCH_DIM, T_SKETCH_DIM * sizeof *got) != 0);
        I[3] = 512;
        T_STATUS(mango_sketch_codes(s.sketch, T_SKETCH_K, I, got), MANGO_E_ARG);
        I[3] = 3 * 37;
        t_sketch_close(&s);
    }
}

/* What the optimizer of a search knows, asked to sketch or not. */
static void t_sketch_known_to(int asked)
{
    mango_objective_options o;
    mango_session_options so;
    mango_search *s = NULL;
    mango_net *gen = NULL, *net = NULL;
    mango_err err = {""};
    float f[T_SKETCH_DIM] = {0};
    const mango_idx I[T_SKETCH_D] = {1, 2, 3};
    T_OK(mango_net_zoo(&gen, T_SKETCH_GEN, NULL, &err), &err);
    T_OK(mango_net_zoo(&net, "snn_conv,width=0.125", NULL, &err), &err);
    T_STATUS(mango_net_fill(gen, 3, 2.0), MANGO_OK);
    T_STATUS(mango_net_fill(net, 7, 1.0), MANGO_OK);
    mango_net_give(gen); /* no second plan of it is needed */
    T_STATUS(mango_objective_defaults(&o), MANGO_OK);
    T_EQ(o.sketch, 0);
    o.T = 3;
    o.sketch = asked;
    T_OK(mango_session_defaults("random", &so, &err), &err);
    so.budget = 20;
    T_OK_OR_RETURN(mango_search_create(&s, gen, net, "spiking1:3", &o, &so, NULL, &err), &err);
    const mango_facts *known = &mango_search_session(s)->opt->facts;
    T_EQ(known->features_dim, asked ? T_SKETCH_DIM : 0);
    T_CHECK((known->features != NULL) == asked);
    if (asked) {
        T_STATUS(known->features(known->features_ud, 1, I, f), MANGO_OK);
        T_CHECK(f[0] >= 0.0f && f[0] <= 1.0f && f[192] > 0.0f);
    }
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    mango_search_destroy(s);
    mango_net_destroy(gen);
    mango_net_destroy(net);
}

static void t_sketch_search(void)
{
    t_sketch_known_to(0);
    t_sketch_known_to(1);
}

static void t_sketch_refused(void)
{
    mango_sketch *s = NULL;
    float f[4] = {0};
    mango_idx I[4] = {0};
    mango_err err = {""};
    T_STATUS(mango_sketch_create(&s, NULL, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_sketch_create(NULL, NULL, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_sketch_codes(NULL, 1, I, f), MANGO_E_ARG);
    T_STATUS(mango_sketch_pictures(NULL, 1, f, f), MANGO_E_ARG);
    T_EQ(mango_sketch_dim(NULL), -1);
    mango_sketch_destroy(NULL);
}

void t_sketch(void)
{
    T_CASE(t_sketch_known);
    T_CASE(t_sketch_codes);
    T_CASE(t_sketch_search);
    T_CASE(t_sketch_refused);
}
