/* test_opt_codes.c - the codes of every optimizer stay what they were, bit for bit:
 * told whole, in part, twice, with holes, minimizing, with restarts and other options.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* The sequence of asks, tells and restarts follows from a small generator. */
static uint32_t t_codes_next(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 16;
}

static double t_codes_value(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += (double)((I[j] * (3 + j % 5) + j) % 101);
    return s;
}

static uint64_t t_codes_hash(uint64_t h, mango_idx n, const mango_idx *I)
{
    for (mango_idx i = 0; i < n; i++)
        h = (h ^ (uint64_t)I[i]) * 0x100000001b3u;
    return h;
}

/* Tell K codes: all in order, or in pieces, some missing, some dropped, some twice. */
static void t_codes_tell(mango_opt *p, uint32_t *x, int partly, mango_idx K, mango_idx d,
                          const mango_idx *I)
{
    double y[200];
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_codes_value(d, I + k * d);
    if (!partly) {
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        return;
    }
    for (mango_idx k = 0; k < K; k++)
        if (t_codes_next(x) % 5 == 0)
            y[k] = t_codes_next(x) % 2 ? NAN : INFINITY;
    for (mango_idx at = 0; at < K;) {
        const mango_idx some = 1 + (mango_idx)(t_codes_next(x) % 90), n = MGI_MIN(K - at, some);
        const int often = t_codes_next(x) % 8 == 0;
        const mango_idx times = often ? (mango_idx)(t_codes_next(x) % 3) : 1;
        for (mango_idx i = 0; i < times; i++)
            T_STATUS(mango_opt_tell(p, n, I + at * d, y + at), MANGO_OK);
        at += n;
    }
}

static uint64_t t_codes_trace(mango_opt *p, mango_idx d, int partly)
{
    enum { ROUNDS = 14 };
    uint64_t h = 0xcbf29ce484222325u;
    uint32_t x = 12345u;
    mango_idx *I = calloc((size_t)(200 * d), sizeof *I);
    for (int round = 0; p && I && round < ROUNDS; round++) {
        const int few = partly && t_codes_next(&x) % 3 == 0;
        mango_idx K = few ? 1 + (mango_idx)(t_codes_next(&x) % 200) : 0;
        T_STATUS(mango_opt_ask(p, 200, &K, I), MANGO_OK);
        h = t_codes_hash(h, 1, &K);
        h = t_codes_hash(h, K * d, I);
        t_codes_tell(p, &x, partly, K, d, I);
        if (partly && round % 6 == 5)
            T_STATUS(mango_opt_restart(p), MANGO_OK);
    }
    free(I);
    return h;
}

/* As they were with version 0.2.0: whole; partly; partly, minimizing; other options. */
static const struct { const char *name; int space; uint64_t h[4]; } t_codes[] = {
    {"tt", 0, {0xfd129d57bcba1460u, 0xb0b897c73c9e4323u,
     0x1fba1e779b42498fu, 0x85ffd43483c86481u}},
    {"tt", 1, {0x7e5d6faf8d76529fu, 0x2b4a518dd13fc321u,
     0x7a141e597ff46239u, 0xe3f884818c834f08u}},
    {"tt", 2, {0x457f9b847f275d4eu, 0x9a028a8aadeffc78u,
     0x03c85ebe37d21d50u, 0x528f76697de0ee0fu}},
    {"tt-s", 0, {0x4d3ac692d4f34136u, 0xa54d4251fa8e4660u,
     0xf483cdf159bedf5cu, 0x85ffd43483c86481u}},
    {"tt-s", 1, {0x784ca7894e988ba8u, 0x6d91311d636f02afu,
     0x7e1cd592a328017eu, 0xe3f884818c834f08u}},
    {"tt-s", 2, {0x4029f326c938a946u, 0x1cfdba8317904b54u,
     0x65d7a62483680220u, 0x528f76697de0ee0fu}},
    {"tt-b", 0, {0x0dcd10205989e743u, 0xc6c424c38aeead61u,
     0x3119f0080f4a469du, 0x85ffd43483c86481u}},
    {"tt-b", 1, {0x2092f6e1f7bfa19eu, 0x684c0fcb310922f7u,
     0xf392168685cb9183u, 0xe3f884818c834f08u}},
    {"tt-b", 2, {0x1e17f004bb80ce59u, 0xc5d68db95f33111du,
     0xe5553476d6ce8f87u, 0x528f76697de0ee0fu}},
    {"tt-exp", 0, {0xb3127e0937311354u, 0xd0e38283ff40fd7du,
     0x9c72bed5f57c1c93u, 0x85ffd43483c86481u}},
    {"tt-exp", 1, {0x7c13c1f6b237efb6u, 0x29f71a3ca80fc0bcu,
     0xc5bf2a98c90e5d49u, 0xe3f884818c834f08u}},
    {"tt-exp", 2, {0x316aced2fee44586u, 0xbc2012ea53bcde27u,
     0xac807837dc8437f9u, 0x528f76697de0ee0fu}},
    {"protes", 0, {0x8c4cf6dc5cad67abu, 0x0300ab80c6e66c85u,
     0xdf8df6e699d67028u, 0x19b8c9196109b85fu}},
    {"protes", 1, {0x782306c32561d14bu, 0x7e8d58fef358e6e6u,
     0xbd526caa59b4f0fbu, 0xf05305fcf997069cu}},
    {"protes", 2, {0xbed7d5df687a3e21u, 0x684d5c722857a614u,
     0xdb32b370b49bed0du, 0x528f76697de0ee0fu}},
    {"random", 0, {0x8cdce31489c16e61u, 0x69430bde085dad4du,
     0x0ffaeb7abbc2187eu, 0x571dd81b2f9e1174u}},
    {"random", 1, {0xe54204a89718eaf8u, 0x7f13e5d3fd727278u,
     0xc885d0b2dbde1567u, 0x58eeb2ae38e4e6aeu}},
    {"random", 2, {0x847bee1b1644d8c8u, 0x4c5eea0e549ca175u,
     0xe31919e13b24c885u, 0x10199a8cb70c43e1u}},
};

static mango_opt *t_codes_new(const char *name, const mango_modes *m, int variant)
{
    static const char *const set[4] = {"", "", "minimize=1",
                                       "k=30,k_top=4,k_gd=3,lr=0.2,r=3"};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    double quantized;
    const uint64_t seed = variant == 2 ? ((uint64_t)1 << 40) + 3 : (uint64_t)variant;
    T_OK(mango_opt_defaults(name, &o, &err), &err);
    if (strcmp(name, "random") == 0)
        T_OK(mango_opt_parse(&o, variant == 3 ? "k=30" : set[variant], &err), &err);
    else {
        T_OK(mango_opt_parse(&o, set[variant], &err), &err);
        T_OK(mango_opt_value(&o, "quantized", &quantized, &err), &err);
        if (variant == 3)
            T_OK(mango_opt_set(&o, "quantized", m->d == 4 || quantized == 0, &err), &err);
    }
    T_OK(mango_opt_create(&p, m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

static void t_codes_same(void)
{
    static const mango_idx same[12] = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8};
    static const mango_idx mixed[9] = {16, 3, 1, 2, 5, 8, 64, 100, 300};
    static const mango_idx wide[4] = {512, 512, 5000, 2};
    const mango_modes modes[3] = {{12, same}, {9, mixed}, {4, wide}};
    for (mango_idx i = 0; i < MGI_COUNT(t_codes); i++)
        for (int variant = 0; variant < 4; variant++) {
            const mango_modes *m = modes + t_codes[i].space;
            mango_opt *p = t_codes_new(t_codes[i].name, m, variant);
            T_CHECK(t_codes_trace(p, m->d, variant > 0) == t_codes[i].h[variant]);
            mango_opt_destroy(p);
        }
}

void t_opt_golden(void)
{
    T_CASE(t_codes_same);
}
