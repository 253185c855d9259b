/* train_speed.c - how fast a training is.
 * SPDX-License-Identifier: MIT */
#include "train_speed.h"
#include <stdlib.h>
#include <string.h>

enum { SPEED_N = 1024, SPEED_TIMES = 8 };

void train_speed_begin(train_speed *s)
{
    s->begin = cli_now();
}

void train_speed_step(train_speed *s)
{
    const double now = cli_now();
    s->spent += now - s->begin;
    s->begin = now;
    s->updates++;
}

/* GFLOP/s of C = A B of SPEED_N^3 on the threads in use: the best of some. */
static mango_status speed_sgemm(double *rate)
{
    const mango_idx n = SPEED_N, size = n * n;
    float *a = calloc((size_t)(3 * size + mango_gemm_work(n, n, n) + 16), sizeof *a);
    if (!a)
        return MANGO_E_MEM;
    mango_fill_u("a", 1, 2 * size, a);
    *rate = 0;
    for (int k = 0; k < SPEED_TIMES; k++) {
        const double from = cli_now();
        mango_gemm(n, n, n, a, a + size, a + 2 * size, a + 3 * size);
        *rate = MGI_MAX(*rate, 2e-9 * (double)(n * size) / (cli_now() - from));
    }
    free(a);
    return MANGO_OK;
}

mango_status train_speed_report(const train_speed *s, cli *c, const mango_trainer *t,
                                mango_idx pictures, mgi_str *out, mango_err *err)
{
    double sgemm;
    if (!s->on || s->updates == 0)
        return MANGO_OK;
    if (speed_sgemm(&sgemm) < 0)
        return mgi_fail(err, MANGO_E_MEM, "no memory to measure SGEMM");
    mango_trainer_info info;
    memset(&info, 0, sizeof info);
    mango_trainer_get(t, &info);
    const double n = (double)s->updates, flops = info.flops;
    const double rate = n * (double)pictures / s->spent, gflops = 1e-9 * n * flops / s->spent;
    cli_print(c,
              "speed: %.1f pictures/s, %.1f GFLOP/s in updates of %.2f GFLOP, %.0f %% of "
              "SGEMM's %.1f\n",
              rate, gflops, 1e-9 * flops, 100 * gflops / sgemm, sgemm);
    const char *const name[] = {"pictures_per_s", "gflops", "gflop_per_update", "sgemm_gflops"};
    const double v[] = {rate, gflops, 1e-9 * flops, sgemm};
    for (int k = 0; k < 4; k++) {
        mgi_str_printf(out, ",\"%s\":", name[k]);
        mgi_str_float(out, v[k]);
    }
    return MANGO_OK;
}
