/* test_tool_verbs.c - what run, decode, encode, eval, info, version and import give.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <sys/stat.h>

/* Is `name` in the file, with this shape (ends at -1)? */
static void t_verbs_shape(const mgi_tensors *f, const char *name, const mango_idx *shape)
{
    const mgi_tensor *t = mgi_tensors_find(f, name);
    if (!t_check(t != NULL, name, __FILE__, __LINE__))
        return;
    int rank = 0;
    for (; shape[rank] >= 0; rank++)
        if (rank < t->rank)
            t_eq(t->shape[rank], shape[rank], name, __FILE__, __LINE__);
    t_eq(t->rank, rank, name, __FILE__, __LINE__);
}

/* The mean of spikes (T,B,C,H,W) of one channel is its rate. */
static void t_verbs_rate(const mgi_tensors *f, mango_idx T, mango_idx B, mango_idx C,
                         mango_idx P)
{
    const mgi_tensor *s = mgi_tensors_find(f, "spiking1.spikes"),
                     *r = mgi_tensors_find(f, "spiking1.rate");
    T_REQUIRE(s && r && s->count == T * B * C * P && r->count == B * C);
    float *spikes = calloc((size_t)s->count, sizeof *spikes),
          *rate = calloc((size_t)r->count, sizeof *rate);
    T_STATUS(mgi_tensor_floats(s, 1, spikes, NULL), MANGO_OK);
    T_STATUS(mgi_tensor_floats(r, 1, rate, NULL), MANGO_OK);
    for (mango_idx i = 0; i < B * C; i++) {
        double sum = 0;
        for (mango_idx t = 0; t < T; t++)
            for (mango_idx k = 0; k < P; k++)
                sum += (double)spikes[(t * B * C + i) * P + k];
        T_NEAR(rate[i], sum / (double)(T * P), 1e-6);
    }
    free(spikes);
    free(rate);
}

static void t_verbs_run(void)
{
    mgi_tensors f;
    t_tool_is("run --net zoo:resnet18,width=0.0625 --fill 7,1 --fill-input 3 --T 5 --out y1", 0,
              "1 inputs, T 1\n"); /* nothing spikes: one step is made */
    t_tool_is("run --net zoo:resnet18,width=0.0625 --fill 7,1 --fill-input 3 --T 5 --out y1 "
              "--json",
              0, "\"T\":1,");
    t_tool_is("run --net " T_NET
              " --fill 7,1 --fill-input 3 --batch 3 --T 5 --record all,spiking1,sp* "
              "--spikes spiking1,spiking2,* --out y.safetensors",
              0, "3 inputs, T 5");
    T_REQUIRE(mgi_tensors_read(&f, t_work("y.safetensors"), NULL, NULL) >= 0);
    t_verbs_shape(&f, "spiking1.rate", (const mango_idx[]){3, 8, -1});
    t_verbs_shape(&f, "spiking1.spikes", (const mango_idx[]){5, 3, 8, 5, 5, -1});
    t_verbs_shape(&f, "spiking2.spikes", (const mango_idx[]){5, 3, 16, -1});
    t_verbs_shape(&f, "conv0", (const mango_idx[]){3, 24, 28, 28, -1});
    t_verbs_shape(&f, "linear1", (const mango_idx[]){3, 16, -1});
    t_verbs_shape(&f, "output", (const mango_idx[]){3, 10, -1});
    T_EQ(f.n, 12 + 4 + 1); /* layers, spikes, output */
    t_verbs_rate(&f, 5, 3, 8, 25);
    mgi_tensors_free(&f);
    t_tool_is("run --net " T_NET
              " --fill 7,1 --input y.safetensors --T 5 --record all --spikes "
              "spiking1,spiking2,* --threads 1 --out y2.safetensors",
              0, NULL); /* its `input` is an input */
    t_same_file("y.safetensors", "y2.safetensors");
    t_tool_is("run --net zoo:sngan,width=0.125 --fill 7,1 --fill-input 1 --batch 2 --out "
              "g.safetensors",
              0, NULL);
    T_REQUIRE(mgi_tensors_read(&f, t_work("g.safetensors"), NULL, NULL) >= 0);
    t_verbs_shape(&f, "output", (const mango_idx[]){2, 3, 32, 32, -1});
    T_EQ(f.n, 1);
    mgi_tensors_free(&f);
}

/* Codes drawn, encoded again, drawn again. */
static void t_verbs_codes(void)
{
    int32_t code[3 * 64];
    const mango_idx shape[2] = {3, 64};
    mango_npy a;
    for (int i = 0; i < 192; i++)
        code[i] = i * 37 % 512;
    T_STATUS(mango_npy_write(t_work("c.npy"), MANGO_NPY_I4, 2, shape, code, NULL),
             MANGO_OK);
    t_tool_is("decode --gen " T_GEN
              " --fill 7,3 --codes c.npy --out pics --sheet sheet.png",
              0, "3 pictures");
    t_tool_is("encode --gen " T_GEN " --fill 7,3 --images pics --out e1.npy", 0,
              "3 pictures");
    t_tool_is("encode --gen " T_GEN " --fill 7,3 --images pics/images.npy --out e2.npy", 0,
              "3 pictures");
    T_REQUIRE(mango_npy_read(&a, t_work("e1.npy"), NULL, NULL) >= 0);
    T_CHECK(a.rank == 2 && a.shape[0] == 3 && a.shape[1] == 64 && a.type == MANGO_NPY_I4);
    mango_npy_free(&a);
    t_same_file("e1.npy", "e2.npy");
    t_tool_is("decode --gen " T_GEN
              " --fill 7,3 --codes c.npy --limit 1 --out pics1 --json",
              0, "{\"pictures\":1,\"out\":\"pics1\"}");
    t_same("pics", "pics1", "000000.png");
    t_tool_is("run --net " T_NET
              " --fill 7,1 --input pics/images.npy --T 2 --out y.safetensors",
              0, "3 inputs");
    t_tool_is("run --net " T_NET
              " --fill 7,1 --input pics/000002.png --T 2 --out y.safetensors",
              0, "1 inputs");
    T_REQUIRE(mango_npy_read(&a, t_work("pics/images.npy"), NULL, NULL) >= 0);
    T_CHECK(a.rank == 4 && a.shape[0] == 3 && a.shape[1] == 3 && a.shape[3] == 32);
    for (mango_idx i = 0; i < a.count; i++) {
        const float v = ((const float *)a.data)[i];
        if (!T_CHECK(v >= 0 && v <= 1 && (float)(int)(v * 255.0f + 0.5f) / 255.0f == v))
            break;
    }
    mango_npy_free(&a);
}

static void t_verbs_folders(void)
{
    unsigned char ppm[15 + 3072] = "P6\n32 32\n255\n";
    const size_t n = 13 + 3072;
    mkdir(t_work("set"), 0777);
    mkdir(t_work("set/cat"), 0777);
    mkdir(t_work("set/dog"), 0777);
    for (int i = 0; i < 5; i++) {
        char name[64];
        memset(ppm + 13, 40 * i, 3072);
        snprintf(name, sizeof name, "set/%s/%d.ppm", i % 2 ? "dog" : "cat", i);
        t_write(t_work(name), ppm, n);
    }
    mgi_json j;
    t_ran r =
        t_tool_run("eval --net " T_NET " --fill 7,1 --data folder --root set --T 3 --json");
    T_REQUIRE(t_json(&r, &j));
    T_EQ(t_json_number(&j, "pictures"), 5);
    T_CHECK(t_json_number(&j, "accuracy") >= 0 && t_json_number(&j, "accuracy") <= 1);
    mgi_json_free(&j);
    t_ran_free(&r);
    r = t_tool_run("eval --gen " T_GEN
                   " --fill 7,1 --data folder --root set --json --batch 2");
    T_REQUIRE(t_json(&r, &j));
    T_CHECK(t_json_number(&j, "mse") > 0 && t_json_number(&j, "perplexity") >= 1 &&
            t_json_number(&j, "psnr") == t_json_number(&j, "psnr"));
    mgi_json_free(&j);
    t_ran_free(&r);
    t_tool_refuses("eval --gen " T_NET " --fill 7,1 --data folder --root set", 3,
                   "does not draw");
    t_tool_refuses("eval --net " T_GEN " --fill 7,1 --data folder --root set", 3,
                   "no classifier");
    t_write(t_work("set/dog/9.ppm"), ppm, n - 1);
    t_tool_refuses("eval --net " T_NET " --fill 7,1 --data folder --root set", 3, "9.ppm");
    remove(t_work("set/dog/9.ppm"));
    mkdir(t_work("set/eel"), 0777);
    t_tool_refuses("eval --net " T_NET " --fill 7,1 --data folder --root set", 3, "eel");
    remove(t_work("set/eel"));
}

/* Every verb: one object, nothing else on stdout, nothing on stderr with --quiet. */
static void t_verbs_json(void)
{
    static const char *const command[] = {
        "version",
        "version --selftest",
        "info " T_NET,
        "info zoo:spiking_resnet18,width=0.125",
        "info zoo:vqvae",
        "info zoo:sngan",
        "info c.npy",
        "info y.safetensors",
        "run --net " T_NET " --fill 7,1 --fill-input 1 --T 2 --out y.safetensors",
        "decode --gen " T_GEN " --fill 7,1 --codes c.npy --out pics",
        "encode --gen " T_GEN " --fill 7,1 --images pics --out c.npy",
        "eval --net " T_NET " --fill 7,1 --data folder --root set --T 2 --limit 2",
        T_MEI " --budget 11 --out json",
        T_MEI " --budget 12 --out json --resume",
        T_MEI " --budget 12 --out least --minimize --opt random",
        T_MEI " --budget 500 --out early --stop-at 0.5 --opt protes",
    };
    char line[400];
    for (mango_idx i = 0; i < MGI_COUNT(command); i++) {
        mgi_json j;
        snprintf(line, sizeof line, "%s --json --quiet", command[i]);
        t_ran r = t_tool_run(line);
        if (t_check(t_json(&r, &j), line, __FILE__, __LINE__))
            mgi_json_free(&j);
        T_STR(r.err, "");
        t_ran_free(&r);
        snprintf(line, sizeof line, "%s --quiet", command[i]);
        if (!strstr(line, T_MEI)) {
            r = t_tool_run(line);
            T_CHECK(r.rc == 0 && r.n_out > 0 && r.n_err == 0);
            t_ran_free(&r);
        }
    }
}

static void t_verbs_info(void)
{
    t_tool_is("info " T_NET " --graph", 0, "conv1 conv spiking0 out=8 kernel=5");
    t_tool_is("info " T_NET " --plan spiking1 --T 20", 0, NULL);
    t_tool_refuses("info " T_NET " --plan spikin1", 3, "near: spiking1");
    t_tool_is("info " T_NET, 0,
              "beta 0.9 gain 1, fires on U > 1, reset subtract a step later");
    t_tool_is("info zoo:vgg19 --quiet", 0, "trained values");
}

void t_tool_verbs(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_verbs_run);
    T_CASE(t_verbs_codes);
    T_CASE(t_verbs_folders);
    T_CASE(t_verbs_json);
    T_CASE(t_verbs_info);
}
