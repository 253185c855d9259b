/* verb_version.c - `mango version`: build, kernels in use, and a hash of a
 * short fixed run that is the same on every machine.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "../../src/base/real.h"
#include "../../src/base/rng.h"
#include "../../src/math/kernel/kernels.h"
#include "../../src/opt/opt.h"
#include <stdlib.h>

static const cli_doc version_doc = {
    "version", "print the version; --selftest hashes a short run",
    "mango version [--selftest]",
    "The self-test draws random numbers, runs a small spiking network and lets PROTES "
    "search a\n"
    "toy landscape, and hashes every bit of the results. Any machine, thread count and "
    "kernel\n"
    "set must print the same hash; it fails (exit code 1) when the hash is not the known "
    "one.\n",
    "  mango version --selftest\n  MANGO_SIMD=ref mango version --selftest --threads 1\n"};

#define VERSION_HASH UINT64_C(0x2ee9914b16e8d4af) /* of a right self-test */

static uint64_t version_fnv(uint64_t h, const void *p, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t version_numbers(uint64_t h)
{
    mango_rng r;
    mango_rng_init(&r, 7, 1, 2);
    for (int i = 0; i < 1000; i++) {
        double v[4] = {mango_rng_normal(&r), mgi_exp(0.01 * (i - 500)), mgi_log(0.1 + i),
                       0};
        float f = mgi_tanhf(0.01f * (float)(i - 500));
        v[3] = (double)f;
        h = version_fnv(h, v, sizeof v);
    }
    return h;
}

/* A quarter-width spiking ResNet-18 on two formula inputs, six steps. */
static mango_status version_network(uint64_t *h)
{
    mango_net *net = NULL;
    mango_plan *plan = NULL;
    mango_plan_options o;
    float out[2][10], *x = calloc(2 * 3072, sizeof *x);
    mango_status st =
        x ? mango_net_zoo(&net, "spiking_resnet18,width=0.25", NULL, NULL) : MANGO_E_MEM;
    if (st >= 0)
        st = mango_net_fill(net, 7, 4.0);
    if (st >= 0) {
        mango_reading rd = {mango_net_layers(net) - 1, MANGO_READ_MEAN, &out[0][0]};
        mango_plan_defaults(&o, sizeof o);
        o.T = 6;
        o.batch = 2;
        o.raw = 1;
        mango_fill_u("input", 7, 2 * 3072, x);
        st = mango_plan_create(&plan, net, &o, 1, &rd, NULL, NULL);
    }
    if (st >= 0)
        st = mango_plan_run(plan, 2, x);
    if (st >= 0)
        *h = version_fnv(*h, out, sizeof out);
    mango_plan_destroy(plan);
    mango_net_destroy(net);
    free(x);
    return st;
}

/* PROTES on sum_j (I_j - j mod 8)^2: 30 batches, every code hashed. */
static mango_status version_search(uint64_t *h)
{
    mango_idx n[24], I[25 * 24], K;
    double y[25];
    mango_opt *opt = NULL;
    mango_opt_options o;
    for (int j = 0; j < 24; j++)
        n[j] = 8;
    const mango_modes modes = {24, n};
    mango_status st = mango_opt_defaults("tt-b", &o, sizeof o, NULL);
    if (st >= 0)
        st = mango_opt_create(&opt, &modes, NULL, &o, 7, NULL, NULL);
    for (int it = 0; it < 30 && st >= 0; it++) {
        K = 0;
        st = mango_opt_ask(opt, 25, &K, I);
        for (mango_idx k = 0; k < K && st >= 0; k++) {
            y[k] = 0;
            for (mango_idx j = 0; j < 24; j++)
                y[k] -= (double)((I[k * 24 + j] - j % 8) * (I[k * 24 + j] - j % 8));
            for (mango_idx j = 0; j < 24; j++) {
                int32_t v = (int32_t)I[k * 24 + j];
                *h = version_fnv(*h, &v, sizeof v);
            }
        }
        if (st >= 0)
            st = mango_opt_tell(opt, K, I, y);
    }
    mango_opt_destroy(opt);
    return st;
}

static int version_selftest(cli *c, mgi_str *s)
{
    uint64_t h = version_numbers(UINT64_C(0xcbf29ce484222325));
    mango_status st = version_network(&h);
    if (st >= 0)
        st = version_search(&h);
    if (st < 0)
        return cli_fail(c, st, NULL);
    cli_print(c, "selftest %016llx %s\n", (unsigned long long)h,
              h == VERSION_HASH ? "as it should be" : "NOT the known hash");
    mgi_str_printf(s, ",\"selftest\":\"%016llx\",\"selftest_ok\":%s", (unsigned long long)h,
                   h == VERSION_HASH ? "true" : "false");
    return h == VERSION_HASH ? CLI_OK : CLI_FAILURE;
}

int verb_version(int argc, char **argv)
{
    cli c;
    mgi_str s;
    int selftest = 0;
    const cli_opt opt[] = {
        {"--selftest", CLI_FLAG, &selftest, 0, 0, NULL, "run it and print the hash", 0}};
    int rc = cli_parse(&c, &version_doc, opt, 1, 0, argc, argv);
    if (rc >= 0)
        return rc;
    const char *kernels = mgi_kernels_get()->name;
    mgi_str_init(&s, NULL);
    cli_print(&c, "mango %s\nkernels  %s\nthreads  %d\ncompiler %s\n", MANGO_VERSION,
              kernels, mango_threads(), __VERSION__);
    mgi_str_printf(&s,
                   "{\"version\":\"%s\",\"kernels\":\"%s\",\"threads\":%d,\"compiler\":",
                   MANGO_VERSION, kernels, mango_threads());
    mgi_json_quote(&s, __VERSION__, (mango_idx)strlen(__VERSION__));
    rc = selftest ? version_selftest(&c, &s) : CLI_OK;
    mgi_str_puts(&s, "}");
    cli_json(&c, &s);
    mgi_str_free(&s);
    return rc;
}
