/* test_tool_narrow.c - weights in fewer bits from outside: `mango mei` and `mango eval
 * --compare` against what `mango run` tells.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define T_TNAR_MEI                                                                         \
    "mei --gen " T_GEN " --net " T_NET " --fill 7,2 --target spiking1:3 --T 20 --opt tt-b " \
    "--budget 60 --quiet --json "
enum { T_TNAR_N = 8, T_TNAR_T = 12 };

/* What `run` tells of a layer: rates (n,C) into v; false when they are not n*C <= cap. */
static int t_tnar_run(const char *options, const char *rate, mango_idx cap, float *v)
{
    char command[400];
    mgi_tensors f;
    snprintf(command, sizeof command,
             "run --net " T_NET " --fill 7,2 %s --record spiking0,spiking1,spiking2 --out "
             "narrow.safetensors",
             options);
    if (!t_tool_is(command, 0, NULL) ||
        !T_CHECK(mgi_tensors_read(&f, t_work("narrow.safetensors"), NULL, NULL) >= 0))
        return 0;
    const mgi_tensor *t = mgi_tensors_find(&f, rate);
    const int ok = T_CHECK(t && t->count <= cap && mgi_tensor_floats(t, 1, v, NULL) >= 0);
    mgi_tensors_free(&f);
    return ok;
}

/* A search with weights in 8 bits: the best is what `run` tells with such weights, and
 * best_as_is what it tells without; the same bits for other kernels and threads. */
static void t_tool_narrow_mei(void)
{
    float narrow[64], as_is[64];
    mgi_json j;
    t_ran r = t_tool_run(T_TNAR_MEI "--int8-weights --out n8");
    T_REQUIRE(t_json(&r, &j));
    T_REQUIRE(t_tnar_run("--T 20 --input n8/best.png --int8-weights", "spiking1.rate", 64,
                         narrow));
    T_REQUIRE(t_tnar_run("--T 20 --input n8/best.png", "spiking1.rate", 64, as_is));
    T_CHECK(t_json_number(&j, "best") == (double)narrow[3] && narrow[3] > 0.0f);
    T_CHECK(t_json_number(&j, "best_as_is") == (double)as_is[3]);
    T_CHECK(memcmp(narrow, as_is, 8 * sizeof *narrow) != 0);
    mgi_json_free(&j);
    t_ran_free(&r);
    t_tool_is("MANGO_SIMD=ref OMP_NUM_THREADS=1 " T_TNAR_MEI "--int8-weights --out n8r", 0,
              "best_as_is");
    t_same("n8", "n8r", "codes.npy");
    t_same("n8", "n8r", "scores.tsv");
    r = t_tool_run(T_TNAR_MEI "--out n32");
    T_REQUIRE(t_json(&r, &j));
    T_CHECK(!mgi_json_get(&j, j.v, "best_as_is"));
    mgi_json_free(&j);
    t_ran_free(&r);
    t_tool_is("mei --gen " T_GEN " --net " T_NET " --fill 7,2 --target spiking1:3 --T 20 --opt "
              "tt-b --budget 70 --quiet --resume --out n8",
              3, "weights");
    t_tool_is("bench speed --net " T_NET
              " --fill 7,2 --T 5 --seconds 0.01 --int8-weights --json",
              0, "\"int8_weights\":1");
}

static void t_tnar_save(const char *path, uint64_t seed)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_zoo(&net, strchr(T_NET, ':') + 1, NULL, &err), &err);
    T_STATUS(mango_net_fill(net, seed, 2.0), MANGO_OK);
    T_OK(mango_net_save(net, path, "F32", &err), &err);
    mango_net_destroy(net);
}

/* The network's file is replaced while the search runs: the best picture is not told by
 * the other network as if it were the one that was searched. */
static void t_tool_narrow_replaced(void)
{
    char here[1024], other[1024];
    int there = 0;
    mgi_copy(here, sizeof here, t_work("searched.safetensors"));
    mgi_copy(other, sizeof other, t_work("other.safetensors"));
    t_tnar_save(here, 7);
    t_tnar_save(other, 8);
    const long pid =
        t_tool_start("mei --gen " T_GEN " --fill 7,2 --net searched.safetensors --target "
                     "spiking1:3 --T 20 --budget 1000000 --quiet --int8-weights --out swap");
    for (int i = 0; i < 400 && !there; i++) {
        const struct timespec t = {0, 25000000};
        nanosleep(&t, NULL);
        there = t_exists(t_work("swap/run.json"));
    }
    T_CHECK(there);
    T_CHECK(rename(other, here) == 0);
    t_tool_signal(pid, SIGINT);
    t_ran r = t_tool_end(pid);
    T_CHECK(r.rc == 1 || r.rc == 3);
    T_CHECK(r.err && strstr(r.err, "was replaced by another network") != NULL);
    T_CHECK(t_exists(t_work("swap/best.npy"))); /* what was found is there */
    t_ran_free(&r);
}

/* The same pictures as a folder of two classes and as an array. */
static void t_tnar_pictures(void)
{
    static float x[T_TNAR_N * 3072];
    unsigned char ppm[13 + 3072 + 1] = "P6\n32 32\n255\n";
    const mango_idx shape[4] = {T_TNAR_N, 3, 32, 32};
    char name[64];
    mkdir(t_work("nar"), 0777);
    mkdir(t_work("nar/a"), 0777);
    mkdir(t_work("nar/b"), 0777);
    for (int k = 0; k < T_TNAR_N; k++) {
        for (int i = 0; i < 3072; i++) { /* pixel i/3, colour i%3 */
            const int v = (i * (k + 3) / 7 + 13 * k * (i % 3) + i / 96 * k) % 256;
            ppm[13 + i] = (unsigned char)v;
            x[k * 3072 + i % 3 * 1024 + i / 3] = (float)v / 255.0f;
        }
        snprintf(name, sizeof name, "nar/%s/%d.ppm", k < T_TNAR_N / 2 ? "a" : "b", k);
        t_write(t_work(name), ppm, 13 + 3072);
    }
    T_STATUS(mango_npy_write(t_work("nar.npy"), MANGO_NPY_F4, 4, shape, x, NULL), MANGO_OK);
}

/* Mean and least correlation, and the mean change, of rates a and b (N,C): in two passes. */
static void t_tnar_figures(mango_idx C, const float *a, const float *b, double f[5])
{
    mango_idx units = 0;
    for (int i = 0; i < 5; i++)
        f[i] = i == 4;
    for (mango_idx c = 0; c < C; c++) {
        double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
        for (mango_idx n = 0; n < T_TNAR_N; n++) {
            ma += (double)a[n * C + c] / T_TNAR_N;
            mb += (double)b[n * C + c] / T_TNAR_N;
            f[2] += fabs((double)b[n * C + c] - (double)a[n * C + c]) / (double)(T_TNAR_N * C);
        }
        for (mango_idx n = 0; n < T_TNAR_N; n++) {
            const double p = (double)a[n * C + c] - ma, q = (double)b[n * C + c] - mb;
            aa += p * p, bb += q * q, ab += p * q;
        }
        f[0] += ma / (double)C, f[1] += mb / (double)C;
        if (aa <= 1e-9 || bb <= 1e-9)
            continue;
        f[3] += ab / sqrt(aa * bb);
        f[4] = fmin(f[4], ab / sqrt(aa * bb));
        units++;
    }
    f[3] /= (double)units;
}

static void t_tool_narrow_compare(void)
{
    static const char *const key[] = {"rate_as_is", "rate", "change", "correlation",
                                      "correlation_least"};
    static float a[T_TNAR_N * 64], b[T_TNAR_N * 64];
    mgi_json j;
    double f[5];
    t_tnar_pictures();
    t_ran r = t_tool_run("eval --net " T_NET " --fill 7,2 --data folder --root nar --T 12 "
                         "--int8-weights --compare --batch 3 --json");
    T_REQUIRE(t_json(&r, &j));
    const mgi_json_value *k = mgi_json_get(&j, j.v, "compare");
    const mgi_json_value *layers = k ? mgi_json_get(&j, k, "layers") : NULL;
    T_REQUIRE(layers && layers->n == 4);
    T_CHECK(mgi_json_get(&j, k, "accuracy")->d <= 1.0);
    T_CHECK(mgi_json_get(&j, k, "agreement")->d <= 1.0);
    for (int i = 0; i < 3; i++) {
        char name[32];
        const mgi_json_value *l = mgi_json_at(&j, layers, i);
        snprintf(name, sizeof name, "spiking%d.rate", i);
        T_REQUIRE(t_tnar_run("--T 12 --input nar.npy", name, MGI_COUNT(a), a));
        T_REQUIRE(t_tnar_run("--T 12 --input nar.npy --int8-weights", name, MGI_COUNT(b), b));
        t_tnar_figures((mango_idx)mgi_json_get(&j, l, "units")->i, a, b, f);
        for (int q = 0; q < 5; q++)
            T_NEAR(mgi_json_get(&j, l, key[q])->d, f[q], 1e-6);
        T_EQ(f[2] > 0.0, i > 0); /* the first layer meets pixels, the others spikes */
    }
    mgi_json_free(&j);
    t_ran_free(&r);
    t_tool_is("eval --net " T_NET " --fill 7,2 --data folder --root nar --T 12 --half-weights "
              "--compare",
              0, "spiking2");
    t_tool_refuses("eval --net " T_NET " --fill 7,2 --data folder --root nar --compare", 2,
                   "--int8-weights");
    t_tool_refuses("eval --gen " T_GEN " --fill 7,2 --data folder --root nar --compare "
                   "--int8-weights",
                   2, "--net");
    t_tool_refuses("eval --net zoo:resnet18,width=0.0625 --fill 7,2 --data folder --root nar "
                   "--compare --int8-weights",
                   3, "no spiking layer");
    t_tool_is("eval --net zoo:resnet18,width=0.0625 --fill 7,2 --data folder --root nar --T 12",
              0, ", T 1\n"); /* nothing spikes: one step is made */
}

void t_tool_narrow(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_tool_narrow_mei);
    T_CASE(t_tool_narrow_replaced);
    T_CASE(t_tool_narrow_compare);
}
