/* test_train_faults.c - trainings at their limits: channels, layers, pictures that fail.
 * SPDX-License-Identifier: MIT */
#include "train_rig.h"
#include <sys/stat.h>

/* Pictures of more than three channels: each has its part in the error. */
static void t_train_faults_channels(void)
{
    static const char text[] =
        "mango-graph 1\nnet arch=t_vae mean=0.5,0.4,0.3 std=0.5,0.4,0.25\n"
        "input input - shape=5x8x8\n"
        "e1 conv input out=8 kernel=4 stride=2 pad=1 bias=1\nr1 relu e1\n"
        "e2 conv r1 out=6 kernel=1 stride=1 pad=0 bias=1\nq vq e2 codes=16\n"
        "d2 convt q out=5 kernel=4 stride=2 pad=1 bias=1\n";
    static unsigned char px[T_TR_N * 5 * 64];
    static float rgb[4 * 5 * 64], source[4 * 5 * 64];
    mango_train_row row = {0, 0, 0, 0, 0, 0, 0};
    t_train_rig r;
    for (int i = 0; i < T_TR_N * 5 * 64; i++)
        px[i] = (unsigned char)(40 * (i / 64 % 5) + i * 7 % 31);
    if (t_train_open(&r, MANGO_TRAIN_VQVAE, text)) {
        mango_data_destroy(r.data);
        mango_data_destroy(r.val);
        r.val = NULL;
        T_OK(mango_data_make(&r.data, "five", T_TR_N, 5, 8, 8, 0, px, NULL, NULL, &r.err),
             &r.err);
        T_OK(mango_data_make(&r.val, "five", T_TR_N, 5, 8, 8, 0, px, NULL, NULL, &r.err),
             &r.err);
        r.o.ema = 0;
        if (t_train_make(&r, MANGO_TRAIN_VQVAE) &&
            T_OK(t_train_epoch(r.t, &row, &r.err), &r.err) &&
            T_OK(mango_trainer_sample(r.t, 4, rgb, source, NULL), NULL)) {
            double error = 0; /* of the rebuilt pictures, by hand */
            for (int i = 0; i < 4 * 5 * 64; i++) {
                error += ((double)rgb[i] - (double)source[i]) *
                         ((double)rgb[i] - (double)source[i]);
                T_NEAR(source[i], px[i] / 255.0, 1e-6);
            }
            T_REL(row.val_score, error / (4 * 5 * 64), 0.5);
        }
    }
    t_train_close(&r);
}

/* A tape holds the codes of one quantizer: others are refused, not mixed up. */
static void t_train_faults_quantizers(void)
{
    static const char *const text[] = {
        "mango-graph 1\nnet arch=t_two\ninput input - shape=3x8x8\nq vq input codes=16\n"
        "p vq q codes=8\nd conv p out=3 kernel=1 stride=1 pad=0 bias=1\n",
        "mango-graph 1\nnet arch=t_none\ninput input - shape=3x8x8\n"
        "d conv input out=3 kernel=1 stride=1 pad=0 bias=1\n"};
    static const char *const says[] = {"t_two has 2 vq layers", "t_none has 0 vq layers"};
    for (int k = 0; k < 2; k++) {
        t_train_rig r;
        if (t_train_open(&r, MANGO_TRAIN_VQVAE, text[k])) {
            T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_VQVAE, r.net, NULL, r.data,
                                          NULL, &r.o, NULL, &r.err),
                     MANGO_E_SHAPE);
            T_CHECK(strstr(r.err.text, says[k]) != NULL);
        }
        t_train_close(&r);
    }
}

/* Decodes "pictures" of one byte, the grey of 8x8 pixels. */
static int t_train_faults_grey(void *ud, const unsigned char *in, mango_idx n, mango_idx *W,
                               mango_idx *H, unsigned char *rgb, mango_err *err)
{
    (void)ud, (void)err;
    if (n != 1)
        return -1;
    *W = *H = 8;
    if (rgb)
        memset(rgb, in[0], 192);
    return 0;
}

/* A picture that cannot be read any more is named, with its reason, with no other split too. */
static void t_train_faults_unread(void)
{
    const char *dir = t_tmp("unread_greys");
    char path[512];
    mango_data_options o;
    t_train_rig r;
    mango_data_defaults(&o);
    o.codecs.picture = t_train_faults_grey;
    o.resize = o.crop = 8;
    mkdir(dir, 0777);
    for (int i = 0; i < 20; i++) {
        const unsigned char grey = (unsigned char)(10 * i);
        snprintf(path, sizeof path, "%s/n%08d_grey.JPEG", dir, i % 2);
        snprintf(path + strlen(path) - 5, 16, "%d.JPEG", i);
        t_write(path, &grey, 1);
    }
    if (t_train_open(&r, MANGO_TRAIN_VQVAE, t_train_vae)) {
        mango_data_destroy(r.data);
        r.data = NULL;
        T_OK(mango_data_open(&r.data, "folder", dir, NULL, &o, NULL, &r.err), &r.err);
        t_write(path, "no", 2);
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_VQVAE, r.net, NULL, r.data, NULL,
                                      &r.o, NULL, &r.err),
                 MANGO_E_FORMAT);
        T_CHECK(strstr(r.err.text, path) != NULL && r.err.text[strlen(path)] == ':');
    }
    t_train_close(&r);
}

/* Every refused call says why; structs of the caller may be shorter than ours. */
static void t_train_faults_calls(void)
{
    t_train_rig r;
    mango_train_options none;
    mango_train_kind_info is[2];
    mango_train_row row;
    mango_idx kinds = 0;
    memset(&none, 0, sizeof none);
    memset(is, 7, sizeof is);
    while (mango_train_kind_get((mango_train_kind)kinds, is) >= 0)
        kinds++;
    T_EQ(kinds, 3);
    T_STR(is[0].name, "sngan");
    T_STATUS(mango_train_kind_get_sized(MANGO_TRAIN_NET, &is[1], sizeof is[1].name),
             MANGO_OK);
    T_STR(is[1].name, "net");
    T_CHECK(((unsigned char *)&is[1])[sizeof is[1].name] == 7); /* no further than asked */
    if (t_train_open(&r, MANGO_TRAIN_NET, t_train_ann)) {
        const mango_status st[] = {
            mango_train_defaults(MANGO_TRAIN_NET, NULL, &none, &r.err),
            mango_train_check(&none, MANGO_TRAIN_NET, &r.err),
            mango_trainer_create(&r.t, MANGO_TRAIN_NET, r.net, NULL, r.data, NULL, &none,
                                 NULL, &r.err),
            mango_trainer_create(&r.t, MANGO_TRAIN_SNGAN, r.net, NULL, r.data, NULL, &r.o,
                                 NULL, &r.err),
            mango_trainer_epoch(NULL, NULL, NULL, &r.err),
            mango_trainer_save(NULL, "x", &r.err)};
        for (mango_idx k = 0; k < MGI_COUNT(st); k++)
            T_EQ(st[k], MANGO_E_ARG);
        T_CHECK(strstr(r.err.text, "mango_trainer_save") != NULL);
        if (t_train_make(&r, MANGO_TRAIN_NET)) {
            float rgb[192];
            T_STATUS(mango_trainer_sample(r.t, 1, rgb, NULL, &r.err), MANGO_E_UNSUPPORTED);
            T_CHECK(strstr(r.err.text, "kind net draws no pictures") != NULL);
            T_STATUS(mango_trainer_row(r.t, 0, &row), MANGO_E_ARG);
            T_CHECK(mango_trainer_rows(r.t) == 0 && mango_trainer_rows(NULL) == -1);
        }
    }
    t_train_close(&r);
}

void t_train_faults(void)
{
    T_CASE(t_train_faults_channels);
    T_CASE(t_train_faults_quantizers);
    T_CASE(t_train_faults_unread);
    T_CASE(t_train_faults_calls);
}
