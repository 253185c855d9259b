/* selftest.c - a short fixed run and its hash.
 * SPDX-License-Identifier: MIT */
#include "selftest.h"
#include "../base/real.h"
#include "../base/rng.h"
#include "../net/net.h"
#include "../opt/opt.h"

/* FNV-1a over the lowest n bytes of v, lowest first on every machine. */
static uint64_t selftest_fnv(uint64_t h, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        h = (h ^ (v >> 8 * i & 255)) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t selftest_double(uint64_t h, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return selftest_fnv(h, bits, 8);
}

static uint64_t selftest_float(uint64_t h, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return selftest_fnv(h, bits, 4);
}

static uint64_t selftest_numbers(uint64_t h)
{
    mango_rng r;
    mango_rng_init(&r, 7, 1, 2);
    for (int i = 0; i < 1000; i++) {
        h = selftest_double(h, mango_rng_normal(&r));
        h = selftest_double(h, mgi_exp(0.01 * (i - 500)));
        h = selftest_double(h, mgi_log(0.1 + i));
        h = selftest_double(h, (double)mgi_tanhf(0.01f * (float)(i - 500)));
    }
    return h;
}

/* A quarter-width spiking ResNet-18 on two formula inputs, six steps. */
static mango_status selftest_network(uint64_t *h)
{
    mango_net *net = NULL;
    mango_plan *plan = NULL;
    mango_plan_options o;
    const mango_alloc al = mgi_alloc_get(NULL);
    float out[2][10], *x = mgi_new(&al, 2 * 3072, sizeof *x);
    mango_status st =
        x ? mango_net_zoo(&net, "spiking_resnet18,width=0.25", NULL, NULL) : MANGO_E_MEM;
    if (st >= 0)
        st = mango_net_fill(net, 7, 4.0);
    if (st >= 0) {
        mango_reading rd = {mango_net_layers(net) - 1, MANGO_READ_MEAN, &out[0][0]};
        mango_plan_defaults(&o);
        o.T = 6;
        o.batch = 2;
        o.raw = 1;
        mango_fill_u("input", 7, 2 * 3072, x);
        st = mango_plan_create(&plan, net, &o, 1, &rd, NULL, NULL);
    }
    if (st >= 0)
        st = mango_plan_run(plan, 2, x);
    for (int i = 0; st >= 0 && i < 20; i++)
        *h = selftest_float(*h, out[i / 10][i % 10]);
    mango_plan_destroy(plan);
    mango_net_destroy(net);
    mgi_del(&al, x, 2 * 3072, sizeof *x);
    return st;
}

/* PROTES on sum_j (I_j - j mod 8)^2: 30 batches, every code hashed. */
static mango_status selftest_search(uint64_t *h)
{
    mango_idx n[24], I[25 * 24], K;
    double y[25];
    mango_opt *opt = NULL;
    mango_opt_options o;
    for (int j = 0; j < 24; j++)
        n[j] = 8;
    const mango_modes modes = {24, n};
    mango_status st = mango_opt_defaults("tt-b", &o, NULL);
    if (st >= 0)
        st = mango_opt_create(&opt, &modes, NULL, &o, 7, NULL, NULL);
    for (int it = 0; it < 30 && st >= 0; it++) {
        K = 0;
        st = mango_opt_ask(opt, 25, &K, I);
        for (mango_idx k = 0; k < K && st >= 0; k++) {
            y[k] = 0;
            for (mango_idx j = 0; j < 24; j++)
                y[k] -= (double)((I[k * 24 + j] - j % 8) * (I[k * 24 + j] - j % 8));
            for (mango_idx j = 0; j < 24; j++)
                *h = selftest_fnv(*h, (uint64_t)I[k * 24 + j], 4);
        }
        if (st >= 0)
            st = mango_opt_tell(opt, K, I, y);
    }
    mango_opt_destroy(opt);
    return st;
}

mango_status mango_selftest(uint64_t *hash)
{
    MGI_REQUIRE(hash);
    *hash = selftest_numbers(UINT64_C(0xcbf29ce484222325));
    MGI_TRY(selftest_network(hash));
    return selftest_search(hash);
}
