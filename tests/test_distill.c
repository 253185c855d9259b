/* test_distill.c - a classifier that learns from a trained one.
 * SPDX-License-Identifier: MIT */
#include "train_rig.h"

/* A teacher that knows the squares; NULL after a failed check. Its normalization
 * is not the students'. */
static mango_net *t_distill_teacher(int epochs)
{
    t_train_rig r;
    mango_net *net = NULL;
    if (t_train_open(&r, MANGO_TRAIN_NET, t_train_ann)) {
        for (int c = 0; c < 3; c++)
            r.net->mean[c] = 0.3f + 0.1f * (float)c, r.net->std[c] = 0.5f;
        r.o.epochs = epochs;
        r.o.ema = 0;
        if (t_train_make(&r, MANGO_TRAIN_NET) && t_train_run(&r)) {
            net = r.net;
            r.net = NULL;
        }
    }
    t_train_close(&r);
    return net;
}

/* All labels are wrong in the student's pictures: only the teacher knows. */
static void t_distill_knows(void)
{
    t_train_rig r;
    const int before = mango_threads();
    mango_set_threads(1);
    mango_net *teacher = t_distill_teacher(12);
    if (teacher && t_train_open(&r, MANGO_TRAIN_NET, t_train_snn)) {
        static unsigned char px[T_TR_N * 192];
        int label[T_TR_N];
        mango_train_row row = {0, 0, 0, 0, 0, 0, 0};
        memcpy(px, mango_data_pixels(r.data), sizeof px);
        for (int i = 0; i < T_TR_N; i++)
            label[i] = (mango_data_labels(r.data)[i] + 1) % 3;
        mango_data_destroy(r.data);
        T_OK(mango_data_make(&r.data, "wrong", T_TR_N, 3, T_TR_S, T_TR_S, 3, px, label,
                             NULL, &r.err),
             &r.err);
        r.o.epochs = 12;
        r.o.ema = 0;
        r.o.distill = 1;
        if (t_train_make(&r, MANGO_TRAIN_NET) &&
            T_OK(mango_trainer_teach(r.t, teacher, &r.err), &r.err))
            for (int e = 0; e < 12; e++)
                T_OK(t_train_epoch(r.t, &row, &r.err), &r.err);
        T_CHECK(row.val_score >= 0.9);
        t_train_close(&r);
    }
    mango_net_destroy(teacher);
    mango_set_threads(before);
}

/* The teacher reads what the student reads, each in its own normalization: one
 * that differs only by it answers alike, so nothing is left but (1-a) times the loss. */
static void t_distill_normalization(void)
{
    static const char plain[] =
        "mango-graph 1\nnet arch=t_plain mean=0.4,0.4,0.4 std=0.25,0.25,0.25\n"
        "input input - shape=3x8x8\nc1 conv input out=6 kernel=3 stride=1 pad=0 bias=1\n"
        "r relu c1\ng globalavg r\nf linear g out=3 bias=1\n";
    t_train_rig r;
    mango_net *teacher = t_train_parse(plain, MANGO_TRAIN_NET);
    if (teacher && t_train_open(&r, MANGO_TRAIN_NET, plain)) {
        mgi_param *w = &teacher->param[mgi_param_find(teacher, "c1.weight")];
        for (int c = 0; c < 3; c++) /* half the contrast, twice weighted */
            teacher->std[c] = 2 * teacher->std[c];
        for (mango_idx i = 0; i < w->count; i++)
            w->v[i] *= 2;
        r.o.mixup = 0.5;
        if (t_train_make(&r, MANGO_TRAIN_NET) &&
            T_OK(mango_trainer_teach(r.t, teacher, &r.err), &r.err) &&
            T_OK(mgi_trainer_batch(r.t, 16, &r.err), &r.err)) {
            double loss = 4;
            mango_idx n;
            mgi_tape_forward(r.t->tape, 16, r.t->batch.x);
            mgi_tape_value(r.t->tape, -1, &n);
            T_REQUIRE(n == 16);
            for (int i = 0; i < 48; i++)
                mgi_tape_dout(r.t->tape)[i] = 1;
            T_OK(mgi_distill_add(r.t, 16, &loss), NULL);
            T_NEAR(loss, 2, 1e-9);
            for (int i = 0; i < 48; i++)
                T_NEAR(mgi_tape_dout(r.t->tape)[i], 0.5, 1e-6);
        }
        t_train_close(&r);
    }
    mango_net_destroy(teacher);
}

/* A spiking teacher, interrupted: the same bits; another teacher, none, or
 * another share is refused. */
static void t_distill_resume(void)
{
    t_train_rig a, b, c;
    mango_train_row row;
    const int before = mango_threads();
    const char *path = t_tmp("taught.ckpt");
    mango_net *teacher = t_train_parse(t_train_snn, MANGO_TRAIN_NET),
              *other = t_distill_teacher(1);
    const int ok = t_train_open(&a, MANGO_TRAIN_NET, t_train_ann) &
                   t_train_open(&b, MANGO_TRAIN_NET, t_train_ann) &
                   t_train_open(&c, MANGO_TRAIN_NET, t_train_ann);
    if (ok && teacher && other && t_train_make(&a, MANGO_TRAIN_NET) &&
        t_train_make(&b, MANGO_TRAIN_NET) && t_train_make(&c, MANGO_TRAIN_NET)) {
        T_OK(mango_trainer_teach(a.t, teacher, &a.err), &a.err);
        mango_set_threads(2);
        T_OK(t_train_epoch(a.t, &row, &a.err), &a.err);
        T_OK(mango_trainer_save(a.t, path, &a.err), &a.err);
        t_train_run(&a);
        mango_set_threads(1);
        T_STATUS(mango_trainer_resume(b.t, path, &b.err), MANGO_E_ARG);
        T_CHECK(strstr(b.err.text, "teacher=") != NULL);
        T_OK(mango_trainer_teach(c.t, other, &c.err), &c.err);
        T_STATUS(mango_trainer_resume(c.t, path, &c.err), MANGO_E_ARG);
        T_CHECK(strstr(c.err.text, "teacher=") != NULL);
        T_OK(mango_trainer_teach(b.t, teacher, &b.err), &b.err);
        b.t->o.distill = 0.25;
        T_STATUS(mango_trainer_resume(b.t, path, &b.err), MANGO_E_ARG);
        T_CHECK(strstr(b.err.text, "distill=") != NULL);
        b.t->o.distill = a.t->o.distill;
        if (T_OK(mango_trainer_resume(b.t, path, &b.err), &b.err))
            t_train_run(&b);
        T_CHECK(t_train_equal(a.net, b.net));
    }
    mango_set_threads(before);
    t_train_close(&a);
    t_train_close(&b);
    t_train_close(&c);
    mango_net_destroy(teacher);
    mango_net_destroy(other);
}

static void t_distill_refuses(void)
{
    static const char four[] = "mango-graph 1\nnet arch=t_four\ninput input - shape=3x8x8\n"
                               "g globalavg input\nf linear g out=4 bias=1\n";
    static const char gray[] = "mango-graph 1\nnet arch=t_gray\ninput input - shape=1x8x8\n"
                               "g globalavg input\nf linear g out=3 bias=1\n";
    t_train_rig r, v;
    mango_net *t4 = t_train_parse(four, MANGO_TRAIN_NET),
              *t1 = t_train_parse(gray, MANGO_TRAIN_NET);
    mango_net *good = t_train_parse(t_train_snn, MANGO_TRAIN_NET), *empty = NULL;
    T_OK(mango_net_parse(&empty, t_train_snn, (mango_idx)strlen(t_train_snn), NULL, NULL),
         NULL);
    if (t_train_open(&r, MANGO_TRAIN_NET, t_train_ann) &
            t_train_open(&v, MANGO_TRAIN_VQVAE, t_train_vae) &&
        t_train_make(&r, MANGO_TRAIN_NET) && t_train_make(&v, MANGO_TRAIN_VQVAE)) {
        T_STATUS(mango_trainer_teach(r.t, t4, &r.err), MANGO_E_SHAPE);
        T_CHECK(strstr(r.err.text, "t_four answers with 4x1x1 values, expected 3") != NULL);
        T_STATUS(mango_trainer_teach(r.t, t1, &r.err), MANGO_E_SHAPE);
        T_CHECK(strstr(r.err.text, "t_gray reads pictures of 1x8x8, expected 3x8x8") != NULL);
        T_STATUS(mango_trainer_teach(r.t, empty, &r.err), MANGO_E_STATE);
        T_STATUS(mango_trainer_teach(v.t, good, &v.err), MANGO_E_ARG);
        T_OK(mango_trainer_teach(r.t, good, &r.err), &r.err);
        T_STATUS(mango_trainer_teach(r.t, good, &r.err), MANGO_E_STATE);
        r.o.distill = 1.5;
        T_STATUS(mango_train_check(&r.o, MANGO_TRAIN_NET, &r.err), MANGO_E_ARG);
        r.o.distill = 1;
        r.o.temperature = 0;
        T_STATUS(mango_train_check(&r.o, MANGO_TRAIN_NET, &r.err), MANGO_E_ARG);
    }
    t_train_close(&r);
    t_train_close(&v);
    mango_net_destroy(t4);
    mango_net_destroy(t1);
    mango_net_destroy(good);
    mango_net_destroy(empty);
}

typedef struct t_distill_oom_ud {
    t_train_rig *r;
    const mango_net *teacher;
} t_distill_oom_ud;

static mango_status t_distill_oom(void *ud, const mango_alloc *al)
{
    const t_distill_oom_ud *u = ud;
    mango_trainer *t = NULL;
    mango_status st = mango_trainer_create(&t, MANGO_TRAIN_NET, u->r->net, NULL, u->r->data,
                                           NULL, &u->r->o, al, &u->r->err);
    if (st >= 0)
        st = mango_trainer_teach(t, u->teacher, &u->r->err);
    mango_trainer_destroy(t);
    return st;
}

static void t_distill_no_memory(void)
{
    t_train_rig r;
    mango_net *teacher = t_train_parse(t_train_snn, MANGO_TRAIN_NET);
    const t_distill_oom_ud u = {&r, teacher};
    if (teacher && t_train_open(&r, MANGO_TRAIN_NET, t_train_ann))
        T_CHECK(t_oom_sweep(t_distill_oom, (void *)(uintptr_t)&u) > 10);
    t_train_close(&r);
    mango_net_destroy(teacher);
}

void t_distill(void)
{
    T_CASE(t_distill_knows);
    T_CASE(t_distill_normalization);
    T_CASE(t_distill_resume);
    T_CASE(t_distill_refuses);
    T_CASE(t_distill_no_memory);
}
