/* test_tool_reference.c - reference codes and their features, by `mango import` and
 * `mango train vqvae`, and what `mango info` says of them.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "../src/net/graph.h"
#include "tool.h"
#include <sys/stat.h>

/* ref/{cat,dog}/x.ppm, four different pictures each. */
static void t_tool_ref_data(void)
{
    static const char *const folder[] = {"ref", "ref/cat", "ref/dog"};
    unsigned char ppm[13 + 3072 + 1] = "P6\n32 32\n255\n";
    char name[64];
    for (mango_idx i = 0; i < MGI_COUNT(folder); i++)
        mkdir(t_work(folder[i]), 0777);
    for (int k = 0; k < 8; k++) {
        for (int i = 0; i < 3072; i++)
            ppm[13 + i] = (unsigned char)(i * (k + 3) / 7 + 11 * k * (i % 3));
        snprintf(name, sizeof name, "%s/%d.ppm", folder[1 + k % 2], k);
        t_write(t_work(name), ppm, 13 + 3072);
    }
}

static void t_tool_ref_net(const char *spec, const char *file)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_zoo(&net, spec, NULL, &err), &err);
    T_STATUS(mango_net_fill(net, 7, 1.0), MANGO_OK);
    T_STATUS(mango_net_meta_set(net, "note", "stays"), MANGO_OK);
    T_OK(mango_net_save(net, t_work(file), "F16", &err), &err);
    mango_net_destroy(net);
}

static void t_tool_ref_files(void)
{
    t_tool_ref_data();
    t_tool_ref_net("vqvae,width=0.125", "gen.safetensors");
    t_tool_ref_net("resnet18,width=0.05", "a.safetensors");
    t_tool_ref_net("snn_conv,width=0.05,T=3", "b.safetensors");
    t_tool_ref_net("sngan,width=0.05", "gan.safetensors");
}

/* The facts of a file: codes and features of each; every level within the codebook. */
static void t_tool_ref_holds(const char *file, mango_idx codes, mango_idx dim)
{
    mango_net *net = NULL;
    mango_space *s = NULL;
    mango_facts f;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_load(&net, t_work(file), NULL, &err), &err);
    T_OK_OR_RETURN(mango_space_of(&s, net, NULL, &err), &err);
    T_STATUS(mango_space_facts(s, &f), MANGO_OK);
    T_EQ(f.n_codes, codes);
    T_EQ(f.code_dim, dim);
    double q = 0;
    for (mango_idx i = 0; i < codes * dim; i++)
        q += (double)f.code_features[i] * (double)f.code_features[i];
    if (dim)
        T_CHECK(q > 0);
    T_STR(mango_net_meta_get(net, "note"), "stays");
    mango_space_destroy(s);
    mango_net_destroy(net);
}

static void t_tool_reference_import(void)
{
    if (!t_tool_works()) {
        t_tool_absent();
        return;
    }
    t_tool_ref_files();
    T_CHECK(t_tool_is("import gen.safetensors --reference folder --root ref --references 6 "
                      "--out one.safetensors",
                      0, "one.safetensors"));
    t_tool_ref_holds("one.safetensors", 6, 0);
    T_CHECK(t_tool_is("info one.safetensors", 0, "6 reference codes, 0 features"));
    T_CHECK(t_tool_is("import one.safetensors --features a.safetensors,b.safetensors "
                      "--out two.safetensors",
                      0, "two.safetensors"));
    t_tool_ref_holds("two.safetensors", 6, 64);
    T_CHECK(t_tool_is("info two.safetensors", 0, "6 reference codes, 64 features"));
    T_CHECK(t_tool_is("info two.safetensors", 0, "a.safetensors,b.safetensors"));
    T_CHECK(t_tool_is("import gen.safetensors --reference folder --root ref --references 6 "
                      "--features a.safetensors,b.safetensors --threads 1 "
                      "--out three.safetensors",
                      0, NULL));
    t_tool_ref_holds("three.safetensors", 6, 64);
    T_CHECK(t_tool_is("import one.safetensors --features a.safetensors,b.safetensors "
                      "--threads 2 --out again.safetensors",
                      0, NULL));
    T_CHECK(t_same_file("two.safetensors", "again.safetensors"));
}

static void t_tool_reference_refused(void)
{
    if (!t_tool_works()) {
        t_tool_absent();
        return;
    }
    t_tool_ref_files();
    T_CHECK(t_tool_is("import gen.safetensors --out same.safetensors", 0, "parameters of vqvae"));
    T_CHECK(t_tool_refuses("import gen.safetensors --reference folder --out x", 2,
                           "go together"));
    T_CHECK(t_tool_refuses("import gen.safetensors --features a.safetensors --out x", 3,
                           "0 reference codes"));
    T_CHECK(t_tool_refuses("import gan.safetensors --reference folder --root ref --out x", 3,
                           "no vector quantizer"));
    T_CHECK(t_tool_refuses("import gen.safetensors --reference folder --root ref "
                           "--features gan.safetensors --out x",
                           3, "it takes 128x1x1"));
    T_CHECK(t_tool_refuses("import gen.safetensors --reference folder --root ref "
                           "--features , --out x",
                           3, "1 to 8 networks"));
    T_CHECK(t_tool_refuses("train net --data folder --root ref --features a --out x", 2,
                           "of a vqvae"));
}

/* A damaged file: said by info, refused by whatever needs the space, mended by import. */
static void t_tool_reference_damaged(void)
{
    const mango_idx shape[2] = {1, 64};
    int16_t code[64] = {0};
    mango_net *net = NULL;
    mango_err err = {""};
    if (!t_tool_works()) {
        t_tool_absent();
        return;
    }
    t_tool_ref_files();
    T_OK_OR_RETURN(mango_net_load(&net, t_work("gen.safetensors"), NULL, &err), &err);
    code[5] = 5000;
    T_STATUS(mgi_net_extra_set(net, "reference_codes", MGI_I16, 2, shape, code), MANGO_OK);
    T_OK(mango_net_save(net, t_work("bad.safetensors"), "F16", &err), &err);
    mango_net_destroy(net);
    T_CHECK(t_tool_is("info bad.safetensors", 0, "damaged, tensor 'reference_codes'"));
    T_CHECK(t_tool_refuses("import bad.safetensors --features a.safetensors --out x", 3,
                           "tensor 'reference_codes': code 0 has level"));
    T_CHECK(t_tool_refuses("mei --gen bad.safetensors --net b.safetensors --target spiking1:3 "
                           "--budget 5",
                           3, "tensor 'reference_codes'"));
    T_CHECK(t_tool_is("import bad.safetensors --reference folder --root ref "
                      "--out mended.safetensors",
                      0, NULL));
    t_tool_ref_holds("mended.safetensors", 8, 0);
}

void t_tool_reference(void)
{
    T_CASE(t_tool_reference_import);
    T_CASE(t_tool_reference_refused);
    T_CASE(t_tool_reference_damaged);
}
