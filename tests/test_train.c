/* test_train.c - batches, trainers: resume, threads, refusals.
 * SPDX-License-Identifier: MIT */
#include "train_rig.h"

/* ---- a small data set: bright squares in one of three places ------------------ */

mango_data *t_train_data(int seed, mango_idx C, int classes)
{
    static unsigned char px[T_TR_N * 3 * T_TR_S * T_TR_S];
    int label[T_TR_N];
    mango_data *d = NULL;
    mango_err e;
    for (mango_idx i = 0; i < T_TR_N; i++) {
        mango_rng r;
        mango_rng_init(&r, (uint64_t)seed, 1, (uint64_t)i);
        label[i] = (int)(i % classes);
        for (mango_idx k = 0; k < C * T_TR_S * T_TR_S; k++) {
            const mango_idx y = k / T_TR_S % T_TR_S, x = k % T_TR_S;
            const int in = y / 3 == label[i] % 3 && x > 2;
            px[i * C * T_TR_S * T_TR_S + k] =
                (unsigned char)(40 + mango_rng_int(&r, 60) + (in ? 120 : 0));
        }
    }
    T_OK(mango_data_make(&d, "squares", T_TR_N, C, T_TR_S, T_TR_S, classes, px, label, NULL,
                         &e),
         &e);
    return d;
}

const char t_train_ann[] =
    "mango-graph 1\nnet arch=t_ann mean=0.4,0.4,0.4 std=0.25,0.25,0.25\ninput input - "
    "shape=3x8x8\n"
    "c1 conv input out=6 kernel=3 stride=1 pad=1 bias=0\nb1 batchnorm c1 eps=1e-5 "
    "momentum=0.1\n"
    "r1 relu b1\nc2 conv r1 out=6 kernel=3 stride=1 pad=1 bias=0\n"
    "b2 batchnorm c2 eps=1e-5 momentum=0.1\na add b2,r1\nr2 relu a\ng globalavg r2\n"
    "m maxpool r2 kernel=2 stride=2 pad=0\nf linear m out=3 bias=1\n";
const char t_train_snn[] =
    "mango-graph 1\nnet arch=t_snn T=3 mean=0.4,0.4,0.4 std=0.25,0.25,0.25\ninput input - "
    "shape=3x8x8\n"
    "c1 conv input out=6 kernel=3 stride=1 pad=1 bias=0\nb1 batchnorm c1 eps=1e-5 "
    "momentum=0.1\n"
    "s1 lif b1 preset=spikingjelly\nc2 conv s1 out=6 kernel=3 stride=2 pad=1 bias=0\n"
    "b2 batchnorm c2 eps=1e-5 momentum=0.1\ns2 lif b2 preset=spikingjelly\n"
    "f linear s2 out=3 bias=1\n";
const char t_train_vae[] =
    "mango-graph 1\nnet arch=t_vae mean=0.5,0.5,0.5 std=0.5,0.5,0.5 out_scale=0.5 "
    "out_shift=0.5\n"
    "input input - shape=3x8x8\n"
    "e1 conv input out=8 kernel=4 stride=2 pad=1 bias=1\nr1 relu e1\n"
    "e2 conv r1 out=6 kernel=1 stride=1 pad=0 bias=1\nq vq e2 codes=16\n"
    "d1 conv q out=8 kernel=3 stride=1 pad=1 bias=1\nr2 relu d1\n"
    "d2 convt r2 out=3 kernel=4 stride=2 pad=1 bias=1\n";
static const char t_train_gen[] =
    "mango-graph 1\nnet arch=t_gen out_scale=0.5 out_shift=0.5\nlatent input - shape=8\n"
    "l1 linear latent out=128 bias=1\nre reshape l1 shape=8x4x4\n"
    "b1 batchnorm re eps=1e-5 momentum=0.1\nr1 relu b1\nup upsample r1 mode=bilinear\n"
    "c1 conv up out=3 kernel=3 stride=1 pad=1 bias=1\nth tanh c1\n";
static const char t_train_gen3[] = /* with a branch for classes */
    "mango-graph 1\nnet arch=t_gen out_scale=0.5 out_shift=0.5\nlatent input - shape=8\n"
    "l1 linear latent out=128 bias=1\nclass linear latent out=3 bias=0\nsoft softmax "
    "class\n"
    "l1_class linear soft out=128 bias=0\nl1_add add l1,l1_class\nre reshape l1_add "
    "shape=8x4x4\n"
    "b1 batchnorm re eps=1e-5 momentum=0.1\nr1 relu b1\nup upsample r1 mode=bilinear\n"
    "c1 conv up out=3 kernel=3 stride=1 pad=1 bias=1\nth tanh c1\n";
static const char t_train_dsc[] =
    "mango-graph 1\nnet arch=t_dsc\ninput input - shape=3x8x8\n"
    "c1 conv input out=8 kernel=3 stride=1 pad=1 bias=1 sn=1\nr1 relu c1\n"
    "p1 avgpool r1 kernel=2 stride=2 pad=0\nc2 conv p1 out=8 kernel=3 stride=1 pad=1 "
    "bias=1 sn=1\n"
    "r2 relu c2\ns globalsum r2\nl5 linear s out=1 bias=1 sn=1\n";

static const char t_train_dsc3[] = /* an answer for each class */
    "mango-graph 1\nnet arch=t_dsc\ninput input - shape=3x8x8\n"
    "c1 conv input out=8 kernel=3 stride=1 pad=1 bias=1 sn=1\nr1 relu c1\n"
    "p1 avgpool r1 kernel=2 stride=2 pad=0\nf linear p1 out=16 bias=1 sn=1\n"
    "r2 relu f\nl5 linear r2 out=3 bias=1 sn=1\n";

mango_net *t_train_parse(const char *text, mango_train_kind kind)
{
    mango_net *n = NULL;
    mango_err e;
    if (T_OK(mango_net_parse(&n, text, (mango_idx)strlen(text), NULL, &e), &e))
        T_OK(mango_train_init(n, kind, 3, NULL), NULL);
    return n;
}

void t_train_close(t_train_rig *r)
{
    mango_trainer_destroy(r->t);
    mango_net_destroy(r->net);
    mango_net_destroy(r->dsc);
    mango_data_destroy(r->data);
    mango_data_destroy(r->val);
}

int t_train_open(t_train_rig *r, mango_train_kind kind, const char *text)
{
    memset(r, 0, sizeof *r);
    r->net = t_train_parse(text, kind);
    if (kind == MANGO_TRAIN_SNGAN)
        r->dsc = t_train_parse(t_train_dsc, kind);
    r->data = t_train_data(1, 3, 3);
    r->val = t_train_data(2, 3, 3);
    if (!r->net || !r->data || !r->val)
        return 0;
    T_OK(mango_train_defaults(kind, r->net, &r->o, NULL), NULL);
    r->o.epochs = 3;
    r->o.batch = 16;
    r->o.T = text == t_train_snn ? 3 : 1;
    r->o.crop_pad = 1;
    r->o.n_dis = kind == MANGO_TRAIN_SNGAN ? 2 : 1;
    r->o.grid = kind == MANGO_TRAIN_SNGAN ? 0.5 : 0;
    r->o.lr_dis = kind == MANGO_TRAIN_SNGAN ? 2 * r->o.lr : 0;
    r->o.ema = 0.9;
    r->o.flip = kind != MANGO_TRAIN_NET;
    return 1;
}

int t_train_make(t_train_rig *r, mango_train_kind kind)
{
    r->err.text[0] = 0;
    return T_OK(mango_trainer_create(&r->t, kind, r->net, r->dsc, r->data, r->val, &r->o, NULL,
                                     &r->err),
                &r->err);
}

/* ---- pieces ----------------------------------------------------------------------- */

/* Axes, normalization; a crop is a shift, a flip a mirror; mixup blends labels. */
static void t_train_batches(void)
{
    mango_data *d = t_train_data(1, 3, 3);
    mango_train_options o;
    float x[4 * 192], y[4 * 192], tmp[192];
    int a[4], b[4];
    const mango_idx index[4] = {5, 6, 7, 8};
    const float scale[3] = {2, 2, 2}, shift[3] = {-1, -1, -1};
    mgi_batch B = {4, 3, 8, 8, x, a, b, 1, NULL};
    T_REQUIRE(d != NULL);
    T_OK(mango_train_defaults(MANGO_TRAIN_VQVAE, NULL, &o, NULL), NULL);
    o.mixup = 0.5;
    o.flip = 0;
    T_REQUIRE(mgi_batch_fill(&B, d, index, &o, 1, 0, scale, shift, NULL) == MANGO_OK);
    const unsigned char *px = mango_data_pixels(d) + 5 * 192;
    T_NEAR(x[(2 * 8 + 3) * 3 + 1], px[64 + 2 * 8 + 3] / 255.0 * 2 - 1, 1e-6);
    T_EQ(a[1], 0);
    memcpy(y, x, sizeof x);
    mgi_batch_mixup(&B, &o, 3, tmp);
    T_CHECK(B.lam >= 0 && B.lam <= 1);
    T_EQ(b[0], a[1]);
    T_EQ(b[3], a[0]);
    for (int i = 0; i < 4; i++)
        T_NEAR(x[i * 192 + 7],
               B.lam * (double)y[i * 192 + 7] +
                   (1 - B.lam) * (double)y[(i + 1) % 4 * 192 + 7],
               1e-6);
    o.crop_pad = 2;
    o.flip = 1;
    o.cutout = 3;
    T_REQUIRE(mgi_batch_fill(&B, d, index, &o, 1, 0, scale, shift, NULL) == MANGO_OK);
    memcpy(y, x, sizeof x);
    T_REQUIRE(mgi_batch_fill(&B, d, index, &o, 1, 0, scale, shift, NULL) == MANGO_OK);
    T_MEM(x, y, sizeof x); /* the same epoch: the same changes */
    T_REQUIRE(mgi_batch_fill(&B, d, index, &o, 1, 1, scale, shift, NULL) == MANGO_OK);
    T_CHECK(memcmp(x, y, sizeof x) != 0);
    mango_data_destroy(d);
}

/* ---- whole trainings --------------------------------------------------------------- */

static void t_train_learns(mango_train_kind kind, const char *text, double at_least)
{
    t_train_rig r;
    mango_train_row row;
    const int before = mango_threads();
    memset(&row, 0, sizeof row);
    mango_set_threads(1); /* tiny layers */
    if (t_train_open(&r, kind, text)) {
        r.o.epochs = 12;
        r.o.ema = 0;
        r.o.lr = kind == MANGO_TRAIN_VQVAE ? 0.01 : r.o.lr;
        if (t_train_make(&r, kind))
            for (int e = 0; e < 12; e++)
                T_OK(t_train_epoch(r.t, &row, &r.err), &r.err);
        if (kind == MANGO_TRAIN_NET)
            T_CHECK(row.val_score >= at_least);
        else
            T_CHECK(row.val_score <= at_least && row.extra > 1.5);
    }
    mango_set_threads(before);
    t_train_close(&r);
}

static void t_train_classifier(void)
{
    t_train_learns(MANGO_TRAIN_NET, t_train_ann, 0.9);
}

static void t_train_spiking(void)
{
    t_train_learns(MANGO_TRAIN_NET, t_train_snn, 0.9);
}

static void t_train_vqvae(void)
{
    t_train_learns(MANGO_TRAIN_VQVAE, t_train_vae, 0.03);
}

/* Where it stands. */
static mango_trainer_info t_train_at(const mango_trainer *t)
{
    mango_trainer_info s;
    memset(&s, 0, sizeof s);
    T_STATUS(mango_trainer_get(t, &s), MANGO_OK);
    return s;
}

mango_status t_train_epoch(mango_trainer *t, mango_train_row *row, mango_err *err)
{
    const mango_status st = mango_trainer_epoch(t, NULL, NULL, err);
    if (st == MANGO_OK)
        T_STATUS(mango_trainer_row(t, mango_trainer_rows(t) - 1, row), MANGO_OK);
    return st;
}

static int t_train_stop_at(void *ud, const mango_trainer *t)
{
    const mango_trainer_info s = t_train_at(t);
    return s.epoch == 1 && s.step == *(const int *)ud;
}

int t_train_run(t_train_rig *r)
{
    mango_train_row row;
    const mango_idx epochs = t_train_at(r->t).epochs;
    while (mango_trainer_rows(r->t) < epochs)
        if (!T_OK(t_train_epoch(r->t, &row, &r->err), &r->err))
            return 0;
    return T_OK(mango_trainer_finish(r->t, &r->err), &r->err);
}

int t_train_equal(const mango_net *a, const mango_net *b)
{
    int same = a->n_params == b->n_params;
    for (int p = 0; same && p < a->n_params; p++)
        same = !memcmp(a->param[p].v, b->param[p].v, (size_t)a->param[p].count * sizeof(float));
    return same;
}

/* Another discriminator. */
static void t_train_judge(t_train_rig *r, const char *dsc)
{
    mango_net_destroy(r->dsc);
    r->dsc = t_train_parse(dsc, MANGO_TRAIN_SNGAN);
}

/* Stopped inside the second epoch, saved, resumed in a fresh trainer with
 * another number of threads: the same bits as a run never interrupted. */
static void t_train_resume_kind(mango_train_kind kind, const char *text, const char *dsc,
                                int stop)
{
    t_train_rig whole, first, second;
    mango_train_row row;
    const int before = mango_threads();
    const char *path = t_tmp("train.ckpt");
    const int ok = t_train_open(&whole, kind, text) & t_train_open(&first, kind, text) &
                   t_train_open(&second, kind, text);
    if (ok && dsc) {
        t_train_judge(&whole, dsc);
        t_train_judge(&first, dsc);
        t_train_judge(&second, dsc);
    }
    if (ok && t_train_make(&whole, kind) && t_train_make(&first, kind)) {
        mango_set_threads(2);
        t_train_run(&whole);
        mango_set_threads(1);
        T_OK(t_train_epoch(first.t, &row, &first.err), &first.err);
        T_STATUS(mango_trainer_epoch(first.t, t_train_stop_at, &stop, &first.err),
                 MANGO_STOP_USER);
        T_OK(mango_trainer_save(first.t, path, &first.err), &first.err);
        /* What the fresh networks hold is overwritten. */
        second.net->param[0].v[0] += 1;
        if (t_train_make(&second, kind) &&
            T_OK(mango_trainer_resume(second.t, path, &second.err), &second.err))
            t_train_run(&second);
        T_CHECK(t_train_equal(whole.net, second.net));
        if (kind == MANGO_TRAIN_VQVAE) {
            const mgi_tensor *codes = t_net_extra(second.net, "reference_codes");
            T_CHECK(codes && codes->rank == 3 && codes->shape[0] == T_TR_N &&
                    codes->dtype == MGI_I16);
        }
        if (kind == MANGO_TRAIN_SNGAN)
            T_CHECK(t_train_equal(whole.dsc, second.dsc));
        T_EQ(mango_trainer_rows(whole.t), mango_trainer_rows(second.t));
        for (mango_idx e = 0; e < mango_trainer_rows(whole.t); e++) {
            mango_train_row a, b;
            T_STATUS(mango_trainer_row(whole.t, e, &a), MANGO_OK);
            T_STATUS(mango_trainer_row(second.t, e, &b), MANGO_OK);
            T_CHECK(a.loss == b.loss && a.score == b.score && a.extra == b.extra);
        }
    }
    mango_set_threads(before);
    t_train_close(&whole);
    t_train_close(&first);
    t_train_close(&second);
}

static void t_train_resume_ann(void)
{
    t_train_resume_kind(MANGO_TRAIN_NET, t_train_ann, NULL, 2);
}

static void t_train_resume_snn(void)
{
    t_train_resume_kind(MANGO_TRAIN_NET, t_train_snn, NULL, 4);
}

static void t_train_resume_vqvae(void)
{
    t_train_resume_kind(MANGO_TRAIN_VQVAE, t_train_vae, NULL, 3);
}

static void t_train_resume_sngan(void)
{
    t_train_resume_kind(MANGO_TRAIN_SNGAN, t_train_gen, NULL, 1);
}

static void t_train_resume_classes(void)
{
    t_train_resume_kind(MANGO_TRAIN_SNGAN, t_train_gen, t_train_dsc3, 1);
    t_train_resume_kind(MANGO_TRAIN_SNGAN, t_train_gen3, t_train_dsc3, 1);
}

/* Mean of drawn picture i in rows 0-2, 3-5 and 6-7, right of the dark border:
 * is place k the brightest? */
static int t_train_bar(const float *rgb, int k)
{
    double sum[3] = {0};
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 8; y++)
            for (int x = 3; x < 8; x++)
                sum[y / 3] += (double)rgb[(c * 8 + y) * 8 + x] / (y < 6 ? 3 : 2);
    return sum[k] > sum[(k + 1) % 3] && sum[k] > sum[(k + 2) % 3];
}

/* A generator learns what its latent's first values ask for: picture i of the
 * sheet is of class i mod 3. */
static void t_train_classes_of(const char *gen)
{
    t_train_rig r;
    float rgb[15 * 192];
    int right = 0;
    if (t_train_open(&r, MANGO_TRAIN_SNGAN, gen)) {
        t_train_judge(&r, t_train_dsc3);
        r.o.epochs = 150;
        r.o.n_dis = 1;
        r.o.lr = 3e-3;
        r.o.lr_dis = 6e-3;
        r.o.crop_pad = r.o.flip = 0;
        if (t_train_make(&r, MANGO_TRAIN_SNGAN) && t_train_run(&r) &&
            T_OK(mango_trainer_sample(r.t, 15, rgb, NULL, NULL), NULL))
            for (int i = 0; i < 15; i++)
                right += t_train_bar(rgb + i * 192, i % 3);
        if (!T_CHECK(right >= 13))
            printf("  %d of 15 pictures are of their class\n", right);
    }
    t_train_close(&r);
}

static void t_train_classes_refused(const char *gen, const char *dsc, int classes,
                                    const char *part)
{
    t_train_rig r;
    if (t_train_open(&r, MANGO_TRAIN_SNGAN, gen)) {
        mango_data_destroy(r.data);
        r.data = t_train_data(1, 3, classes);
        t_train_judge(&r, dsc);
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_SNGAN, r.net, r.dsc, r.data, NULL,
                                      &r.o, NULL, &r.err),
                 MANGO_E_SHAPE);
        T_CHECK(strstr(r.err.text, part) != NULL);
    }
    t_train_close(&r);
}

static void t_train_classes(void)
{
    const int before = mango_threads();
    mango_set_threads(1);
    t_train_classes_of(t_train_gen);
    t_train_classes_of(t_train_gen3);
    mango_set_threads(before);
    /* As many answers as the data and the branch have classes. */
    t_train_classes_refused(t_train_gen, t_train_dsc3, 2, "each of 3 classes; squares has 2");
    t_train_classes_refused(t_train_gen3, t_train_dsc3, 2, "each of 3 classes; squares has 2");
    t_train_classes_refused(t_train_gen3, t_train_dsc, 3,
                            "t_gen draws 3 classes, t_dsc answers for 1");
}

/* Running statistics estimated again at other T change only these. */
static void t_train_renorm(void)
{
    t_train_rig r;
    if (t_train_open(&r, MANGO_TRAIN_NET, t_train_snn)) {
        r.o.bn_T = 7;
        r.o.ema = 0;
        r.o.epochs = 1;
        if (t_train_make(&r, MANGO_TRAIN_NET)) {
            mango_train_row row;
            T_OK(t_train_epoch(r.t, &row, &r.err), &r.err);
            const float w = r.net->param[mgi_param_find(r.net, "c2.weight")].v[0];
            const float v = r.net->param[mgi_param_find(r.net, "b2.running_var")].v[0];
            T_OK(mango_trainer_finish(r.t, &r.err), &r.err);
            T_CHECK(r.net->param[mgi_param_find(r.net, "c2.weight")].v[0] == w);
            T_CHECK(r.net->param[mgi_param_find(r.net, "b2.running_var")].v[0] != v);
        }
    }
    t_train_close(&r);
}

/* ---- refusals ------------------------------------------------------------------------ */

static void t_train_sizes(void)
{
    t_train_rig r;
    if (t_train_open(&r, MANGO_TRAIN_NET, t_train_ann)) {
        mango_data *grey = t_train_data(1, 1, 3), *many = t_train_data(1, 3, 4);
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_NET, r.net, NULL, grey, NULL, &r.o,
                                      NULL, &r.err),
                 MANGO_E_SHAPE);
        T_CHECK(strstr(r.err.text, "1x8x8") && strstr(r.err.text, "3x8x8") && r.t == NULL);
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_NET, r.net, NULL, many, NULL, &r.o,
                                      NULL, &r.err),
                 MANGO_E_SHAPE);
        T_CHECK(strstr(r.err.text, "4 classes") != NULL);
        r.o.batch = 200;
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_NET, r.net, NULL, r.data, NULL,
                                      &r.o, NULL, &r.err),
                 MANGO_E_ARG);
        r.o.batch = 0;
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_NET, r.net, NULL, r.data, NULL,
                                      &r.o, NULL, &r.err),
                 MANGO_E_ARG);
        T_CHECK(strstr(r.err.text, "batch") != NULL);
        r.o.batch = 16;
        r.o.memory = 5000;
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_NET, r.net, NULL, r.data, NULL,
                                      &r.o, NULL, &r.err),
                 MANGO_E_MEM);
        r.o.memory = 0;
        snprintf(r.o.readout, sizeof r.o.readout, "nowhere");
        T_STATUS(mango_trainer_create(&r.t, MANGO_TRAIN_NET, r.net, NULL, r.data, NULL,
                                      &r.o, NULL, &r.err),
                 MANGO_E_NAME);
        mango_data_destroy(grey);
        mango_data_destroy(many);
    }
    t_train_close(&r);
}

static void t_train_labels(void)
{
    static unsigned char px[6 * 192];
    const int low[6] = {0, 1, 2, 0, 1, 3}, gap[6] = {0, 1, 0, 1, 0, 1};
    mango_data *d = NULL;
    mango_err e;
    T_CHECK(mango_data_make(&d, "bad", 6, 3, 8, 8, 3, px, low, NULL, &e) < 0);
    T_CHECK(mango_data_make(&d, "gap", 6, 3, 8, 8, 3, px, gap, NULL, &e) < 0);
}

/* A weight that overflows: the step and the layer are named, nothing is saved. */
static void t_train_nan(void)
{
    t_train_rig r;
    if (t_train_open(&r, MANGO_TRAIN_NET, t_train_ann) && t_train_make(&r, MANGO_TRAIN_NET)) {
        const char *path = t_tmp("nan.ckpt");
        T_OK(mango_trainer_step(r.t, &r.err), &r.err);
        r.net->param[mgi_param_find(r.net, "c2.weight")].v[0] = NAN;
        T_STATUS(mango_trainer_step(r.t, &r.err), MANGO_E_NONFINITE);
        T_CHECK(strstr(r.err.text, "step 2 of epoch 1") && strstr(r.err.text, "layer c2"));
        T_STATUS(mango_trainer_save(r.t, path, &r.err), MANGO_E_NONFINITE);
        T_CHECK(!t_exists(path));
    }
    t_train_close(&r);
}

/* Another architecture, other options, another kind, damage. */
static void t_train_strangers(void)
{
    t_train_rig a, b;
    const char *path = t_tmp("a.ckpt"), *cut = t_tmp("cut.ckpt");
    if (t_train_open(&a, MANGO_TRAIN_NET, t_train_ann) &
        t_train_open(&b, MANGO_TRAIN_NET, t_train_snn)) {
        if (t_train_make(&a, MANGO_TRAIN_NET) && t_train_make(&b, MANGO_TRAIN_NET) &&
            T_OK(mango_trainer_save(a.t, path, &a.err), &a.err)) {
            const float w = b.net->param[0].v[0];
            T_STATUS(mango_trainer_resume(b.t, path, &b.err), MANGO_E_SHAPE);
            T_CHECK(strstr(b.err.text, "another architecture") && b.net->param[0].v[0] == w);
            a.t->o.lr *= 2;
            T_STATUS(mango_trainer_resume(a.t, path, &a.err), MANGO_E_ARG);
            T_CHECK(strstr(a.err.text, "lr=") != NULL);
            a.t->o.lr /= 2;
            T_OK(mango_trainer_resume(a.t, path, &a.err), &a.err);
            unsigned char *p = NULL;
            mango_idx n = 0;
            const mango_alloc al = mgi_alloc_get(NULL);
            if (T_OK(mgi_file_read(path, 1 << 24, &al, &p, &n, &a.err), &a.err)) {
                t_write(cut, p, (size_t)n - 100);
                T_CHECK(mango_trainer_resume(a.t, cut, &a.err) < 0);
                mgi_del(&al, p, n, 1);
            }
            T_CHECK(mango_trainer_resume(a.t, t_tmp("nothing.ckpt"), &a.err) < 0);
        }
    }
    t_train_close(&a);
    t_train_close(&b);
}

static mango_status t_train_oom(void *ud, const mango_alloc *al)
{
    t_train_rig *r = ud;
    mango_trainer *t = NULL;
    const mango_status st = mango_trainer_create(&t, MANGO_TRAIN_NET, r->net, NULL, r->data,
                                                 NULL, &r->o, al, &r->err);
    mango_trainer_destroy(t);
    return st;
}

static void t_train_no_memory(void)
{
    t_train_rig r;
    if (t_train_open(&r, MANGO_TRAIN_NET, t_train_ann))
        T_CHECK(t_oom_sweep(t_train_oom, &r) > 10);
    t_train_close(&r);
}

/* Multiply-adds of a picture, counted by hand: taps inside the map, what does
 * not depend on time once, no gradient by the pictures. */
static void t_train_flops(void)
{
    static const struct {
        mango_train_kind kind;
        const char *text;
        double macs;
    } want[] = {
        {MANGO_TRAIN_NET, t_train_snn, 2 * 18.0 * 484 + 3 * 3 * (36.0 * 121 + 288)},
        {MANGO_TRAIN_VQVAE, t_train_vae, 2 * 24.0 * 196 + 3 * (768 + 48.0 * 100 + 24.0 * 196)},
        {MANGO_TRAIN_SNGAN, t_train_gen,
         2 * (1024 + 24.0 * 484 + 2 * (2 * 24.0 * 484 + 3 * (6400 + 8))) + 2 * 1024 +
             3 * 24.0 * 484 + 2 * (24.0 * 484 + 6400 + 8)}};
    for (mango_idx k = 0; k < MGI_COUNT(want); k++) {
        t_train_rig r;
        if (t_train_open(&r, want[k].kind, want[k].text) && t_train_make(&r, want[k].kind))
            T_NEAR(t_train_at(r.t).flops, 2 * 16 * want[k].macs, 0);
        t_train_close(&r);
    }
}

void t_train(void)
{
    T_CASE(t_train_flops);
    T_CASE(t_train_batches);
    T_CASE(t_train_classifier);
    T_CASE(t_train_spiking);
    T_CASE(t_train_vqvae);
    T_CASE(t_train_resume_ann);
    T_CASE(t_train_resume_snn);
    T_CASE(t_train_resume_vqvae);
    T_CASE(t_train_resume_sngan);
    T_CASE(t_train_resume_classes);
    T_CASE(t_train_classes);
    T_CASE(t_train_renorm);
    T_CASE(t_train_sizes);
    T_CASE(t_train_labels);
    T_CASE(t_train_nan);
    T_CASE(t_train_strangers);
    T_CASE(t_train_no_memory);
}
