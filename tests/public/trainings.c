/* trainings.c - arrays on disk, a data set, a short training.
 * SPDX-License-Identifier: MIT */
#include "public.h"

enum { P_PICTURES = 96, P_SIDE = 8, P_PIXELS = 3 * P_SIDE * P_SIDE };

static void p_npy(void)
{
    const mango_idx shape[2] = {2, 3};
    const float x[6] = {1, 2, 3, 4, 5, 6.5f};
    float back[6] = {0};
    mango_npy a;
    P_OK(mango_npy_write(p_file("x.npy"), MANGO_NPY_F4, 2, shape, x, &p_err));
    P_OK(mango_npy_read(&a, p_file("x.npy"), NULL, &p_err));
    P_CHECK(a.rank == 2 && a.shape[1] == 3 && a.count == 6);
    P_OK(mango_npy_floats(&a, back, &p_err));
    P_CHECK(memcmp(x, back, sizeof x) == 0);
    mango_npy_free(&a);
}

/* Noise, and a bright bar in one of three places: its class. */
static mango_data *p_data(void)
{
    static unsigned char px[P_PICTURES * P_PIXELS];
    static int label[P_PICTURES];
    mango_data *d = NULL;
    mango_data_info info;
    mango_rng r;
    mango_rng_init(&r, 1, 1, 1);
    for (int i = 0; i < P_PICTURES; i++) {
        label[i] = i % 3;
        for (int k = 0; k < P_PIXELS; k++)
            px[i * P_PIXELS + k] = (unsigned char)(mango_rng_int(&r, 60) +
                                                   (k / P_SIDE % P_SIDE / 3 == i % 3) * 150);
    }
    P_OK(mango_data_make(&d, "bars", P_PICTURES, 3, P_SIDE, P_SIDE, 3, px, label, NULL, &p_err));
    P_OK(mango_data_get(d, &info));
    P_CHECK(info.count == P_PICTURES && info.classes == 3 && info.W == P_SIDE);
    label[4] = 9;
    mango_data *bad = NULL;
    P_CHECK(mango_data_make(&bad, "bars", P_PICTURES, 3, P_SIDE, P_SIDE, 3, px, label, NULL,
                            &p_err) < 0);
    P_CHECK(bad == NULL && p_err.text[0]);
    return d;
}

static void p_train(const mango_data *data)
{
    const char *graph = "mango-graph 1\nnet arch=p\ninput input - shape=3x8x8\n"
                        "c1 conv input out=6 kernel=3 stride=1 pad=1 bias=1\nr1 relu c1\n"
                        "f linear r1 out=3 bias=1\n";
    mango_net *net = NULL;
    mango_train_options o;
    mango_trainer *t = NULL;
    mango_train_row row;
    P_OK(mango_net_parse(&net, graph, (mango_idx)strlen(graph), NULL, &p_err));
    P_OK(mango_train_init(net, MANGO_TRAIN_NET, 3, &p_err));
    P_OK(mango_train_defaults(MANGO_TRAIN_NET, net, &o, &p_err));
    o.epochs = 6;
    o.batch = 16;
    o.crop_pad = 0;
    P_OK(mango_train_check(&o, MANGO_TRAIN_NET, &p_err));
    P_OK(mango_trainer_create(&t, MANGO_TRAIN_NET, net, NULL, data, NULL, &o, NULL, &p_err));
    for (int e = 0; e < 6; e++)
        P_OK(mango_trainer_epoch(t, NULL, NULL, &p_err));
    P_OK(mango_trainer_finish(t, &p_err));
    P_CHECK(mango_trainer_rows(t) == 6);
    P_OK(mango_trainer_row(t, 5, &row));
    P_CHECK(row.epoch == 6 && row.score > 0.9);
    P_OK(mango_trainer_save(t, p_file("resume"), &p_err));
    mango_trainer_destroy(t);
    P_CHECK(mango_trainer_create(&t, MANGO_TRAIN_NET, NULL, NULL, data, NULL, &o, NULL, &p_err) ==
            MANGO_E_ARG);
    mango_net_destroy(net);
}

void p_trainings(void)
{
    mango_data *data = p_data();
    p_npy();
    p_train(data);
    mango_data_destroy(data);
}
