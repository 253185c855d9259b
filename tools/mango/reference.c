/* reference.c - reference codes of a generator: encoded pictures, and features of what it
 * draws for them.
 *
 *   x  mean over the picture (and time) of a channel, (x - mean)/s.d. over the codes,
 *      divided by sqrt(channels of the layer)
 *   f  of each network: PCA of all x of its layers of neurons, PCA of the x that its
 *      last linear layer reads, each divided by its root mean square length
 * SPDX-License-Identifier: MIT */
#include "reference.h"
#include "input.h"
#include "../../src/study/pca.h"
#include <math.h>
#include <stdlib.h>

enum { REFERENCE_NETS = 8, REFERENCE_BATCH = 32 };
#define REFERENCE_SD 1e-6 /* below: a channel that never differs */

/* ---- pictures of the codes ------------------------------------------------- */

typedef struct ref_job {
    cli *c;
    mango_net *gen;
    mango_drawing *draw;
    mango_drawing_info drawn;
    mango_facts facts;  /* the drawing's space has them       */
    mango_idx n, size;  /* codes; values of a picture         */
    float *rgb;         /* (batch,size)                       */
    float *f;           /* (n,REFERENCE_DIM)                  */
    mango_idx done;     /* columns of f that are filled       */
} ref_job;

static mango_status ref_open(ref_job *j, mango_err *err)
{
    mango_drawing_options o;
    MGI_TRY(mango_drawing_defaults(&o));
    o.batch = REFERENCE_BATCH;
    MGI_TRY(mango_drawing_create(&j->draw, j->gen, &o, NULL, err));
    MGI_TRY(mango_drawing_get(j->draw, &j->drawn));
    MGI_TRY(mango_space_facts(j->drawn.space, &j->facts));
    j->n = j->facts.n_codes;
    j->size = j->drawn.C * j->drawn.H * j->drawn.W;
    if (j->n < 2)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "--features: the generator has %td reference codes, expected 2 or "
                        "more (--reference)",
                        j->n);
    j->rgb = calloc((size_t)(REFERENCE_BATCH * j->size), sizeof *j->rgb);
    j->f = calloc((size_t)(j->n * REFERENCE_DIM), sizeof *j->f);
    return j->rgb && j->f ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "no memory for features");
}

static void ref_close(ref_job *j)
{
    mango_drawing_destroy(j->draw);
    free(j->rgb);
    free(j->f);
}

/* ---- what a network answers -------------------------------------------------- */

typedef struct ref_view {
    mango_net *net;
    mango_plan *plan;
    mango_idx layers, width; /* that are read; channels of all */
    mango_reading *r;        /* (layers)                       */
    mango_idx *C;            /* (layers)                       */
    float *batch;            /* the readings of a batch        */
    float *x;                /* (n,width) of all codes         */
} ref_view;

/* Layers of neurons: their channels' means describe a picture. */
static int ref_is_neurons(const mango_layer *l)
{
    static const char *const kinds[] = {"relu", "lif", "gelu", "tanh"};
    for (int k = 0; k < (int)MGI_COUNT(kinds); k++)
        if (!strcmp(l->kind, kinds[k]))
            return 1;
    return 0;
}

/* What the last linear layer reads; -1: there is none. */
static mango_idx ref_last(const mango_net *net)
{
    for (mango_idx i = mango_net_layers(net) - 1; i >= 0; i--)
        if (!strcmp(cli_layer(net, i).kind, "linear"))
            return mango_net_layer_input(net, i, 0);
    return -1;
}

/* The layers to read: those of neurons, or, last, the input of the last linear one. */
static mango_status ref_layers(ref_view *v, int last, mango_err *err)
{
    const mango_idx all = mango_net_layers(v->net);
    v->r = calloc((size_t)all, sizeof *v->r);
    v->C = calloc((size_t)all, sizeof *v->C);
    if (!v->r || !v->C)
        return mgi_fail(err, MANGO_E_MEM, "no memory for features");
    v->layers = v->width = 0;
    for (mango_idx i = 0; i < all; i++) {
        const mango_layer l = cli_layer(v->net, i);
        if (last ? i != ref_last(v->net) : !ref_is_neurons(&l))
            continue;
        v->r[v->layers].layer = i;
        v->r[v->layers].what = MANGO_READ_RATE;
        v->C[v->layers++] = l.C;
        v->width += l.C;
    }
    return MANGO_OK;
}

static mango_status ref_plan(ref_view *v, mango_err *err)
{
    mango_plan_options o;
    mango_idx at = 0;
    v->batch = calloc((size_t)(REFERENCE_BATCH * v->width), sizeof *v->batch);
    if (!v->batch)
        return mgi_fail(err, MANGO_E_MEM, "no memory for features");
    for (mango_idx i = 0; i < v->layers; i++) {
        v->r[i].out = v->batch + at;
        at += REFERENCE_BATCH * v->C[i];
    }
    MGI_TRY(mango_plan_defaults(&o));
    o.batch = REFERENCE_BATCH;
    return mango_plan_create(&v->plan, v->net, &o, v->layers, v->r, NULL, err);
}

/* Rows at .. at+B-1 of x, from the readings of a batch. */
static void ref_gather(ref_view *v, mango_idx at, mango_idx B)
{
    for (mango_idx i = 0, column = 0; i < v->layers; column += v->C[i++])
        for (mango_idx b = 0; b < B; b++)
            memcpy(v->x + (at + b) * v->width + column, v->r[i].out + b * v->C[i],
                   (size_t)v->C[i] * sizeof *v->x);
}

static mango_status ref_look(ref_job *j, ref_view *v, mango_err *err)
{
    mango_space_info space;
    MGI_TRY(mango_space_get(j->drawn.space, &space));
    const mango_idx d = space.modes.d;
    v->x = calloc((size_t)(j->n * v->width), sizeof *v->x);
    if (!v->x)
        return mgi_fail(err, MANGO_E_MEM, "no memory for features");
    for (mango_idx at = 0; at < j->n; at += REFERENCE_BATCH) {
        const mango_idx B = MGI_MIN(REFERENCE_BATCH, j->n - at);
        if (mango_drawing_codes(j->draw, B, j->facts.codes + at * d, j->rgb) < 0)
            return mgi_fail(err, MANGO_E_STATE, "%s", mango_drawing_error(j->draw));
        const mango_status st = mango_plan_run(v->plan, B, j->rgb);
        if (st < 0)
            return mgi_fail(err, st, "features: %s", mango_plan_error(v->plan));
        ref_gather(v, at, B);
    }
    return MANGO_OK;
}

static void ref_view_free(ref_view *v)
{
    mango_plan_destroy(v->plan);
    free(v->r);
    free(v->C);
    free(v->batch);
    free(v->x);
}

/* ---- from answers to features ------------------------------------------------ */

/* Column c of x (n,width): mean 0 and length `size` sqrt(n), or zeros where it hardly
 * differs. */
static void ref_standard(mango_idx n, mango_idx width, mango_idx c, double size, float *x)
{
    double m = 0, q = 0;
    for (mango_idx i = 0; i < n; i++)
        m += (double)x[i * width + c];
    m /= (double)n;
    for (mango_idx i = 0; i < n; i++)
        q += ((double)x[i * width + c] - m) * ((double)x[i * width + c] - m);
    const double sd = sqrt(q / (double)n);
    for (mango_idx i = 0; i < n; i++)
        x[i * width + c] =
            sd > REFERENCE_SD ? (float)(((double)x[i * width + c] - m) / sd * size) : 0.0f;
}

/* y (n,k) of root mean square length 1 into the next columns of f. */
static void ref_store(ref_job *j, mango_idx k, const float *y)
{
    double q = 0;
    for (mango_idx i = 0; i < j->n * k; i++)
        q += (double)y[i] * (double)y[i];
    const double scale = q > 0 ? 1.0 / sqrt(q / (double)j->n) : 0.0;
    for (mango_idx i = 0; i < j->n; i++)
        for (mango_idx c = 0; c < k; c++)
            j->f[i * REFERENCE_DIM + j->done + c] = (float)((double)y[i * k + c] * scale);
    j->done += k;
}

/* k features of one kind: of all layers of neurons, or of the last layer's input. */
static mango_status ref_part(ref_job *j, mango_net *net, int last, mango_idx k,
                             mango_err *err)
{
    ref_view v;
    mango_status st = MANGO_OK;
    float *y = calloc((size_t)(j->n * k), sizeof *y);
    memset(&v, 0, sizeof v);
    v.net = net;
    if (!y)
        st = mgi_fail(err, MANGO_E_MEM, "no memory for features");
    if (st >= 0)
        st = ref_layers(&v, last, err);
    if (st >= 0 && v.layers == 0) /* a network without such layers: the other part does */
        goto done;
    MGI_TRY_TO(ref_plan(&v, err));
    MGI_TRY_TO(ref_look(j, &v, err));
    for (mango_idx i = 0, c = 0; i < v.layers; i++)
        for (mango_idx u = 0; u < v.C[i]; u++)
            ref_standard(j->n, v.width, c++, 1.0 / sqrt((double)v.C[i]), v.x);
    MGI_TRY_TO(mango_pca(j->n, v.width, v.x, k, y, NULL, err));
    ref_store(j, k, y);
done:
    ref_view_free(&v);
    free(y);
    return st;
}

/* A network that takes what the generator draws. */
static mango_status ref_net(const mango_net *gen, const char *name, mango_net **net,
                            mango_err *err)
{
    MGI_TRY(cli_net(net, name, NULL, err));
    const mango_layer in = cli_layer(*net, cli_info(*net).input), out = cli_layer(gen, -1);
    if (in.C == out.C && in.H == out.H && in.W == out.W)
        return MANGO_OK;
    mango_net_destroy(*net);
    *net = NULL;
    return mgi_fail(err, MANGO_E_SHAPE,
                    "--features %s: it takes %tdx%tdx%td, the generator draws %tdx%tdx%td",
                    name, in.C, in.H, in.W, out.C, out.H, out.W);
}

/* The features by one network, `share` of them. */
static mango_status ref_network(ref_job *j, const char *name, mango_idx share, mango_err *err)
{
    mango_net *net = NULL;
    const mango_idx before = j->done;
    mango_status st = ref_net(j->gen, name, &net, err);
    for (int last = 0; last < 2 && st >= 0; last++)
        st = ref_part(j, net, last, share / 2, err);
    if (st >= 0 && j->done == before)
        st = mgi_fail(err, MANGO_E_SHAPE, "--features %s: no layers of neurons to read", name);
    mango_net_destroy(net);
    return st;
}

/* "NET,NET" cut at its commas. */
typedef struct ref_list {
    int n;
    char text[1024], *name[REFERENCE_NETS];
} ref_list;

static mango_status ref_names(ref_list *l, const char *nets, mango_err *err)
{
    int ok = mgi_copy(l->text, (mango_idx)sizeof l->text, nets);
    l->n = 0;
    for (char *p = ok ? strtok(l->text, ",") : NULL; p && ok; p = strtok(NULL, ",")) {
        ok = l->n < REFERENCE_NETS;
        if (ok)
            l->name[l->n++] = p;
    }
    return ok && l->n ? MANGO_OK
                      : mgi_fail(err, MANGO_E_ARG,
                                 "--features %.80s: 1 to %d networks expected", nets,
                                 REFERENCE_NETS);
}

mango_status reference_check(const mango_net *gen, const char *nets, mango_err *err)
{
    ref_list l;
    MGI_TRY(ref_names(&l, nets, err));
    for (int i = 0; i < l.n; i++) {
        mango_net *net = NULL;
        MGI_TRY(ref_net(gen, l.name[i], &net, err));
        mango_net_destroy(net);
    }
    return MANGO_OK;
}

/* Which networks, without their folders, into the metadata. */
static mango_status ref_names_kept(ref_job *j, const ref_list *l)
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    for (int i = 0; i < l->n; i++) {
        const char *base = strrchr(l->name[i], '/');
        mgi_str_printf(&s, "%s%s", i ? "," : "", base ? base + 1 : l->name[i]);
    }
    const mango_status st =
        s.bad ? MANGO_E_MEM : mango_net_meta_set(j->gen, REFERENCE_META, s.p);
    mgi_str_free(&s);
    return st;
}

/* What is stored, close together: columns done of REFERENCE_DIM. */
static mango_status ref_set(ref_job *j, const ref_list *l, mango_err *err)
{
    for (mango_idx i = 0; i < j->n; i++)
        memmove(j->f + i * j->done, j->f + i * REFERENCE_DIM,
                (size_t)j->done * sizeof *j->f);
    MGI_TRY(mango_reference_set(j->gen, j->n, j->facts.codes, j->done, j->f, err));
    cli_note(j->c, "%td features of each of %td reference codes", j->done, j->n);
    return ref_names_kept(j, l);
}

mango_status reference_features(cli *c, mango_net *gen, const char *nets, mango_err *err)
{
    ref_list l;
    ref_job j;
    memset(&j, 0, sizeof j);
    j.c = c;
    j.gen = gen;
    MGI_TRY(ref_names(&l, nets, err));
    mango_status st = ref_open(&j, err);
    for (int i = 0; i < l.n && st >= 0; i++)
        st = ref_network(&j, l.name[i], REFERENCE_DIM / l.n, err);
    if (st >= 0)
        st = ref_set(&j, &l, err);
    ref_close(&j);
    return st;
}
