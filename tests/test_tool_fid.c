/* test_tool_fid.c - `mango eval --features` and `mango train` from outside.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <sys/stat.h>

#define T_TOOL_FID "eval --features " T_NET " --fill 7,1 --data folder --T 3 "

enum { T_TOOL_FID_N = 12, T_TOOL_FID_SIZE = 3072 };

/* Value i of picture k of a split, in (H,W,3) order. */
static unsigned char t_tool_fid_value(int split, int k, int i)
{
    return (unsigned char)((i * (k + 3) / 7 + 11 * k * (i % 3) + split * (i / 96) * k) %
                           256);
}

/* set/SPLIT/{cat,dog}/xx.ppm, twelve different pictures each. */
static void t_tool_fid_make(void)
{
    static const char *const split[] = {"test", "train"}, *const class[] = {"cat", "dog"};
    unsigned char ppm[13 + T_TOOL_FID_SIZE + 1] = "P6\n32 32\n255\n";
    char name[64];
    mkdir(t_work("fid"), 0777);
    for (int s = 0; s < 2; s++) {
        snprintf(name, sizeof name, "fid/%s", split[s]);
        mkdir(t_work(name), 0777);
        for (int c = 0; c < 2; c++) {
            snprintf(name, sizeof name, "fid/%s/%s", split[s], class[c]);
            mkdir(t_work(name), 0777);
        }
        for (int k = 0; k < T_TOOL_FID_N; k++) {
            for (int i = 0; i < T_TOOL_FID_SIZE; i++)
                ppm[13 + i] = t_tool_fid_value(s, k, i);
            snprintf(name, sizeof name, "fid/%s/%s/%02d.ppm", split[s], class[k % 2], k);
            t_write(t_work(name), ppm, 13 + T_TOOL_FID_SIZE);
        }
    }
}

/* The distance that the tool gives; NaN on failure. */
static double t_tool_fid_get(const char *options, int pictures)
{
    char command[400];
    mgi_json j;
    snprintf(command, sizeof command, T_TOOL_FID "--quiet --json %s", options);
    t_ran r = t_tool_run(command);
    double fid = (double)NAN;
    if (T_CHECK(r.rc == 0 && r.n_err == 0) && T_CHECK(t_json(&r, &j))) {
        fid = t_json_number(&j, "fid");
        T_EQ(t_json_number(&j, "pictures"), pictures);
        T_EQ(t_json_number(&j, "features"), 16);
        mgi_json_free(&j);
    }
    t_ran_free(&r);
    return fid;
}

/* The same distance between the two splits, through the library. */
static double t_tool_fid_direct(void)
{
    static float x[T_TOOL_FID_N * T_TOOL_FID_SIZE];
    float y[T_TOOL_FID_N * 16];
    mango_net *net = NULL;
    mango_moments *m[2] = {NULL, NULL};
    mango_plan *plan = NULL;
    mango_plan_options o;
    mango_reading rd = {0, MANGO_READ_RATE, y};
    double fid = (double)NAN;
    mango_plan_defaults(&o);
    o.T = 3, o.batch = T_TOOL_FID_N;
    T_STATUS(mango_net_zoo(&net, &T_NET[4], NULL, NULL), MANGO_OK);
    T_STATUS(mango_net_fill(net, 7, 1.0), MANGO_OK);
    T_STATUS(mango_net_find(net, "spiking2", &rd.layer, NULL), MANGO_OK);
    T_STATUS(mango_plan_create(&plan, net, &o, 1, &rd, NULL, NULL), MANGO_OK);
    for (int s = 0; s < 2; s++) {
        for (int k = 0; k < T_TOOL_FID_N; k++)
            for (int i = 0; i < T_TOOL_FID_SIZE; i++)
                x[k * T_TOOL_FID_SIZE + i % 3 * 1024 + i / 3] =
                    (float)t_tool_fid_value(s, k, i) / 255.0f;
        T_STATUS(mango_moments_create(&m[s], 16, NULL, NULL), MANGO_OK);
        T_STATUS(mango_plan_run(plan, T_TOOL_FID_N, x), MANGO_OK);
        T_STATUS(mango_moments_add(m[s], T_TOOL_FID_N, y, NULL), MANGO_OK);
    }
    T_STATUS(mango_fid(m[0], m[1], NULL, &fid, NULL, NULL), MANGO_OK);
    mango_plan_destroy(plan);
    mango_net_destroy(net);
    mango_moments_destroy(m[0]);
    mango_moments_destroy(m[1]);
    return fid;
}

static void t_tool_fid_data(void)
{
    t_tool_fid_make();
    const double fid = t_tool_fid_get("--gen data --root fid", T_TOOL_FID_N);
    T_CHECK(fid > 0.0);
    T_REL(fid, t_tool_fid_direct(), 1e-9); /* another order of the pictures */
    T_REL(t_tool_fid_get("--gen data --root fid --split train", T_TOOL_FID_N), fid, 1e-6);
    T_NEAR(t_tool_fid_get("--gen data --root fid/test", T_TOOL_FID_N), 0.0, 1e-9);
    T_CHECK(t_tool_fid_get("--gen data --root fid --limit 7", 7) >= 0.0);
}

static void t_tool_fid_generators(void)
{
    t_tool_fid_make();
    static const char *const gen[] = {T_GEN, "zoo:sngan,width=0.125",
                                      "zoo:sngan,width=0.125 --codes uniform"};
    double fid[3];
    for (int g = 0; g < 3; g++) {
        char options[200];
        snprintf(options, sizeof options, "--root fid --gen %s", gen[g]);
        fid[g] = t_tool_fid_get(options, T_TOOL_FID_N);
        T_CHECK(fid[g] > 0.0);
        snprintf(options, sizeof options, "--root fid --batch 5 --threads 1 --gen %s",
                 gen[g]);
        T_CHECK(t_tool_fid_get(options, T_TOOL_FID_N) == fid[g]);
        snprintf(options, sizeof options, "--root fid --seed 1 --gen %s", gen[g]);
        T_CHECK(t_tool_fid_get(options, T_TOOL_FID_N) != fid[g]);
    }
    T_CHECK(fid[1] != fid[2]);
}

static void t_tool_fid_refuses(void)
{
    t_tool_fid_make();
    static const struct {
        const char *command, *says;
        int rc;
    } bad[] = {
        {T_TOOL_FID "--root fid --gen data --codes normal", "--codes", 2},
        {T_TOOL_FID "--root fid --gen " T_GEN " --codes odd", "odd", 2},
        {T_TOOL_FID "--root fid --net " T_NET, "--gen", 2},
        {"eval --root fid --data folder --net x --layer y", "--features", 2},
        {T_TOOL_FID "--root fid --gen " T_GEN " --codes normal", "codebook", 3},
        {T_TOOL_FID "--root fid --gen data --layer spikin1", "near: spiking1", 3},
        {T_TOOL_FID "--root fid --gen data --limit 1", "2 pictures", 3},
        {T_TOOL_FID "--root fid --gen " T_NET, "a generator takes", 3},
        {T_TOOL_FID "--root fid --gen zoo:vqvae,in=1x28x28", "draws 1x28x28", 3},
        {T_TOOL_FID "--root nowhere --gen data", "nowhere", 3},
        {"eval --features " T_GEN " --fill 7,1 --root fid --data folder --gen data",
         "no linear layer", 3},
        {"eval --features data --fill 7,1 --root fid --data folder --gen data", "--fill",
         3},
    };
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++)
        t_tool_refuses(bad[i].command, bad[i].rc, bad[i].says);
}

/* An SN-GAN keeps its discriminator, which a further training starts from. */
static void t_tool_fid_train(void)
{
    const char *const train =
        "train sngan --data folder --root fid --batch 4 --n-dis 1 --epochs 1 "
        "--no-test --quiet";
    char command[400];
    t_tool_fid_make();
    snprintf(command, sizeof command,
             "%s --arch sngan,width=0.04 --dsc sngan_dsc,width=0.07 --out g.st", train);
    t_tool_is(command, 0, NULL);
    snprintf(command, sizeof command,
             "%s --from g.st --from-dsc g.st.dsc --grid 1 --lr-dis 1e-4 --out h.st", train);
    t_tool_is(command, 0, NULL);
    T_CHECK(t_exists(t_work("h.st.dsc")));
    t_tool_is("info h.st.dsc", 0, "sngan_dsc");
    snprintf(command, sizeof command,
             "%s --arch sngan,width=0.04 --dsc sngan_dsc,width=0.07,classes=2 --widen "
             "--from g.st --from-dsc g.st.dsc --out l.st",
             train);
    t_tool_is(command, 0, NULL);
    t_tool_is("info l.st", 0, "train.latent_classes");
    t_tool_is("eval --features zoo:resnet18,width=0.05,classes=2 --fill 7,1 --data folder "
              "--root fid --gen l.st --json",
              0, "\"named\":");
    t_tool_is("eval --features zoo:resnet18,width=0.05,classes=2 --fill 7,1 --data folder "
              "--root fid --gen l.st",
              0, "% of the drawn pictures are named as the class");
    snprintf(command, sizeof command,
             "%s --arch sngan,width=0.04,classes=2 --dsc sngan_dsc,width=0.07,classes=2 "
             "--from l.st --out n.st",
             train);
    t_tool_is(command, 0, NULL);
    t_tool_is("info n.st", 0, "class_softmax");
    t_tool_is("eval --features zoo:resnet18,width=0.05,classes=2 --fill 7,1 --data folder "
              "--root fid --gen n.st --json",
              0, "\"named\":");
    snprintf(command, sizeof command, "%s --from n.st --from-dsc g.st.dsc --out m.st", train);
    t_tool_refuses(command, 3, "sngan draws 2 classes, sngan_dsc answers for 1");
    snprintf(command, sizeof command,
             "%s --from g.st --dsc sngan_dsc,width=0.07,classes=3 --out m.st", train);
    t_tool_refuses(command, 3, "each of 3 classes; folder has 2");
    snprintf(command, sizeof command, "%s --from g.st --from-dsc nothing.dsc --out i.st",
             train);
    t_tool_refuses(command, 3, "nothing.dsc");
    snprintf(
        command, sizeof command,
        "%s --arch sngan,width=0.07 --widen --from g.st --from-dsc g.st.dsc --out j.st",
        train);
    t_tool_is(command, 0, NULL);
    snprintf(command, sizeof command,
             "%s --arch sngan,width=0.04 --widen --from j.st --out k.st", train);
    t_tool_refuses(command, 3, "is not a widened one");
    snprintf(command, sizeof command, "%s --arch sngan,width=0.04 --widen --out k.st", train);
    t_tool_refuses(command, 3, "--widen needs");
}

/* A spiking network learns from a trained one; what cannot teach is refused. */
static void t_tool_fid_taught(void)
{
    const char *const train = "train net --data folder --root fid --batch 4 --epochs 1 --quiet";
    static const struct {
        const char *options, *says;
    } bad[] = {{"--distill 0.5", "--distill is of no use without --teacher"},
               {"--temperature 4", "--temperature is of no use without --teacher"},
               {"--teacher zoo:resnet18,width=0.05,classes=2",
                "has no weights; expected a trained network"},
               {"--from zoo:resnet18", "--from zoo:resnet18: has no weights"},
               {"--teacher nothing.st", "nothing.st"},
               {"--teacher weights.st", "weights.st"}};
    char command[400];
    t_tool_fid_make();
    t_write(t_work("weights.st"), "no weights", 10);
    snprintf(command, sizeof command, "%s --arch resnet18,width=0.05,classes=2 --out a.st",
             train);
    t_tool_is(command, 0, NULL);
    snprintf(command, sizeof command,
             "%s --arch snn_conv,width=0.05,classes=2 --T 2 --teacher a.st --distill 0.7 "
             "--out b.st",
             train);
    t_tool_is(command, 0, NULL);
    t_tool_is("info b.st", 0, "--teacher a.st --distill 0.7");
    mango_net *b = NULL; /* what was measured on b is not said of its child */
    if (T_OK(mango_net_load(&b, t_work("b.st"), NULL, NULL), NULL)) {
        T_OK(mango_net_meta_set(b, "eval.accuracy", "0.987654"), NULL);
        T_OK(mango_net_save(b, t_work("b.st"), "F16", NULL), NULL);
    }
    mango_net_destroy(b);
    snprintf(command, sizeof command, "%s --from b.st --T 2 --out d.st", train);
    t_tool_is(command, 0, NULL);
    T_OK(mango_net_load(&b, t_work("d.st"), NULL, NULL), NULL);
    const char *said = b ? mango_net_meta_get(b, "eval.accuracy") : NULL;
    T_CHECK(said && !strcmp(said, "not measured"));
    mango_net_destroy(b);
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        snprintf(command, sizeof command,
                 "%s --arch snn_conv,width=0.05,classes=2 %s --out c.st", train,
                 bad[i].options);
        t_tool_refuses(command, 3, bad[i].says);
    }
}

void t_tool_fid(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_tool_fid_data);
    T_CASE(t_tool_fid_generators);
    T_CASE(t_tool_fid_refuses);
    T_CASE(t_tool_fid_train);
    T_CASE(t_tool_fid_taught);
}

#undef T_TOOL_FID
