/* test_layers.c - grouped, depth-wise and dilated convolutions, pools, resampling and
 * embeddings as layers of a network: values and gradients of PyTorch
 * (tests/golden/conv_layers.safetensors), the same bits from plan and tape.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* ---- one layer against PyTorch -------------------------------------------------- */

typedef struct t_layers_rig {
    const char *name;
    const mgi_tensors *f;
    mango_net *net;
    mango_idx N, nx, ny;
    float *x, *y, *dy, *dx; /* (N,C,H,W); x of levels in the embedding's case */
    float *maps;            /* room for one of them, channels last            */
} t_layers_rig;

static const mgi_node *t_layers_in(const t_layers_rig *r)
{
    return &r->net->node[r->net->input];
}

static const mgi_node *t_layers_out(const t_layers_rig *r)
{
    return &r->net->node[r->net->output];
}

/* "CxHxW KIND ATTRIBUTES" as a network. */
static int t_layers_parse(t_layers_rig *r, const char *layer)
{
    char text[512];
    mango_err e;
    const int shape = (int)strcspn(layer, " ");
    const int kind = (int)strcspn(layer + shape + 1, " ");
    snprintf(text, sizeof text, "mango-graph 1\nnet arch=t\nin input - shape=%.*s\nop %.*s in%s\n",
             shape, layer, kind, layer + shape + 1, layer + shape + 1 + kind);
    return T_OK(mango_net_parse(&r->net, text, (mango_idx)strlen(text), NULL, &e), &e);
}

/* Values by name, of the formula of tests/golden. */
static void t_layers_fill(const t_layers_rig *r, const char *what, mango_idx n, float *v)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", r->name, what);
    mango_fill_u(name, 7, n, v);
}

static float *t_layers_room(mango_idx n)
{
    float *p = malloc((size_t)(n + 1) * sizeof *p);
    for (mango_idx i = 0; p && i < n; i++)
        p[i] = 7e7f;
    return p;
}

static int t_layers_open(t_layers_rig *r, const char *layer)
{
    if (!t_layers_parse(r, layer))
        return 0;
    const mgi_node *in = t_layers_in(r), *out = t_layers_out(r);
    r->N = 2;
    r->nx = r->N * in->C * in->H * in->W;
    r->ny = r->N * out->C * out->H * out->W;
    r->x = t_layers_room(r->nx);
    r->dx = t_layers_room(r->nx);
    r->y = t_layers_room(r->ny);
    r->dy = t_layers_room(r->ny);
    r->maps = t_layers_room(MGI_MAX(r->nx, r->ny));
    if (mgi_net_alloc_params(r->net) < 0)
        return 0;
    for (int p = 0; p < r->net->n_params; p++)
        t_layers_fill(r, strchr(r->net->param[p].name, '.') + 1, r->net->param[p].count,
                           r->net->param[p].v);
    t_layers_fill(r, "input", r->nx, r->x);
    t_layers_fill(r, "dy", r->ny, r->dy);
    for (mango_idx i = 0; out->kind == MGI_EMBEDDING && i < r->nx; i++)
        r->x[i] = (float)(mango_idx)((0.5f + 0.5f * r->x[i]) * (float)out->codes);
    return 1;
}

static void t_layers_close(t_layers_rig *r)
{
    free(r->x);
    free(r->y);
    free(r->dx);
    free(r->dy);
    free(r->maps);
    mango_net_destroy(r->net);
}

/* n values against those of the file; a tensor that is not there is a failure. */
static void t_layers_same(const t_layers_rig *r, const char *what, mango_idx n,
                               const float *got)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", r->name, what);
    const mgi_tensor *t = mgi_tensors_find(r->f, name);
    T_REQUIRE(t && t->count == n);
    float *want = t_layers_room(n);
    if (T_OK(mgi_tensor_floats(t, 1, want, NULL), NULL) && !T_CLOSE(got, want, n, 2e-6))
        printf("  %s\n", name);
    free(want);
}

static int t_layers_run(t_layers_rig *r)
{
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_err e;
    const mango_reading read = {r->net->output, MANGO_READ_MEAN, r->y};
    mango_plan_defaults(&o);
    o.batch = r->N;
    const int ok = T_OK(mango_plan_create(&p, r->net, &o, 1, &read, NULL, &e), &e) &&
                   T_STATUS(mango_plan_run(p, r->N, r->x), MANGO_OK);
    mango_plan_destroy(p);
    return ok;
}

/* Forward and backward on a tape; the forward values must be those of the plan. */
static int t_layers_tape(t_layers_rig *r, mgi_grads *g)
{
    const mgi_node *in = t_layers_in(r), *out = t_layers_out(r);
    mgi_tape *t = NULL;
    mgi_tape_options o;
    mango_err e;
    mgi_tape_defaults(&o);
    o.B = r->N;
    o.input_grad = 1;
    if (!T_OK(mgi_tape_new(&t, r->net, &o, NULL, &e), &e))
        return 0;
    mgi_tape_set_grads(t, g);
    float *x = t_layers_room(r->nx);
    mgi_to_nhwc(r->N, in->C, in->H * in->W, r->x, x);
    mgi_tape_forward(t, r->N, x);
    mgi_to_nchw(r->N, out->C, out->H * out->W, mgi_tape_value(t, -1, NULL), r->maps);
    T_CHECK(!memcmp(r->maps, r->y, (size_t)r->ny * sizeof(float)));
    mgi_to_nhwc(r->N, out->C, out->H * out->W, r->dy, mgi_tape_dout(t));
    mgi_grads_zero(g);
    mgi_tape_backward(t);
    mgi_to_nchw(r->N, in->C, in->H * in->W, mgi_tape_input_grad(t), r->dx);
    free(x);
    mgi_tape_free(t);
    return 1;
}

static void t_layers_one(const mgi_tensors *f, const char *name, const char *layer)
{
    t_layers_rig r = {.name = name, .f = f};
    mgi_grads g;
    if (t_layers_open(&r, layer) && t_layers_run(&r) &&
        T_OK(mgi_grads_new(&g, r.net), NULL)) {
        t_layers_same(&r, "y", r.ny, r.y);
        t_layers_tape(&r, &g);
        if (t_layers_out(&r)->kind != MGI_EMBEDDING)
            t_layers_same(&r, "dx", r.nx, r.dx);
        for (int p = 0; p < r.net->n_params; p++)
            t_layers_same(&r, strstr(r.net->param[p].name, "bias") ? "db" : "dw",
                               r.net->param[p].count, g.of[p]);
        mgi_grads_free(&g);
    }
    t_layers_close(&r);
}

static void t_layers_golden(void)
{
    mgi_tensors f;
    mango_err e;
    const char *name, *layer;
    mango_idx n = 0;
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("conv_layers.safetensors"), NULL, &e), &e);
    for (; mgi_tensors_meta_at(&f, n, &name, &layer); n++)
        t_layers_one(&f, name, layer);
    T_CHECK(n >= 40);
    mgi_tensors_free(&f);
}

/* ---- in networks ------------------------------------------------------------------ */

static mango_net *t_layers_net(const char *text)
{
    mango_net *net = NULL;
    mango_err e;
    if (!T_OK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &e), &e))
        return NULL;
    T_OK(mango_net_fill(net, 5, 1.0), NULL);
    return net;
}

/* The value of the last layer for two inputs of the formula, or of levels 0 .. 3. */
static float *t_layers_value(const mango_net *net, mango_plan_options o, int levels)
{
    const mgi_node *in = &net->node[net->input], *out = &net->node[net->output];
    const mango_idx nx = 2 * in->C * in->H * in->W, ny = 2 * out->C * out->H * out->W;
    float *x = t_layers_room(nx), *y = t_layers_room(ny);
    const mango_reading read = {net->output, MANGO_READ_MEAN, y};
    mango_plan *p = NULL;
    mango_err e;
    mango_fill_u("input", 3, nx, x);
    for (mango_idx i = 0; levels && i < nx; i++)
        x[i] = (float)(i % 4);
    o.batch = 2;
    if (T_OK(mango_plan_create(&p, net, &o, 1, &read, NULL, &e), &e))
        T_STATUS(mango_plan_run(p, 2, x), MANGO_OK);
    mango_plan_destroy(p);
    free(x);
    return y;
}

static mango_idx t_layers_size(const mango_net *net)
{
    const mgi_node *out = &net->node[net->output];
    return 2 * out->C * out->H * out->W;
}

/* Batch-norm, sum and ReLU fused onto grouped, depth-wise and dilated convolutions, and a
 * reshape behind a grouped one, give what the layers give one by one. */
static void t_layers_fused(void)
{
    static const char *const body =
        "a conv in out=12 kernel=3 pad=1 groups=3\nan batchnorm a\nar relu an\n"
        "b conv ar out=12 kernel=3 pad=2 dilation=2 groups=12 bias=0\nbn batchnorm b\n"
        "s add bn,ar\nsr relu s\n"
        "t convt sr out=8 kernel=3 stride=2 pad=1 out_pad=1 groups=4\ntn batchnorm t\n"
        "tr relu tn\nu upsample tr mode=bilinear size=5x6\nv conv u out=6 kernel=5x6 groups=2\n"
        "w reshape v shape=1x2x3\n";
    static const char *const name[] = {"a", "an", "ar", "b", "bn", "s", "sr", "t",
                                       "tn", "tr", "u", "v", "w"};
    char text[1024];
    mango_plan_options o;
    mango_plan_defaults(&o);
    snprintf(text, sizeof text, "mango-graph 1\nnet arch=t\nin input - shape=6x7x5\n%s", body);
    mango_net *net = t_layers_net(text);
    T_REQUIRE(net);
    float *y = t_layers_value(net, o, 0);
    mango_reading r[13];
    float *all = calloc(13 * 4096, sizeof *all), *x = t_layers_room(2 * 6 * 7 * 5);
    mango_plan *p = NULL;
    mango_err e;
    for (int i = 0; i < 13; i++) {
        r[i].layer = mgi_net_find(net, name[i]);
        r[i].what = MANGO_READ_MEAN;
        r[i].out = all + 4096 * i;
    }
    mango_fill_u("input", 3, 2 * 6 * 7 * 5, x);
    o.batch = 2;
    /* what is read is not fused away */
    if (T_OK(mango_plan_create(&p, net, &o, 13, r, NULL, &e), &e) &&
        T_STATUS(mango_plan_run(p, 2, x), MANGO_OK))
        T_CHECK(!memcmp(all + 4096 * 12, y, (size_t)t_layers_size(net) * sizeof *y));
    mango_plan_destroy(p);
    /* a batch-norm that is read: scaled weights against scaled values */
    const mgi_node *bn = &net->node[mgi_net_find(net, "an")];
    float s[12], t[12];
    mgi_batchnorm_fold(12, net->param[bn->weight].v, net->param[bn->bias_p].v,
                       net->param[bn->mean_p].v, net->param[bn->var_p].v, bn->eps, s, t);
    for (int i = 0; i < 2 * 12 * 35; i++)
        all[4096 + i] -= s[i / 35 % 12] * all[i] + t[i / 35 % 12];
    for (int i = 0; i < 2 * 12 * 35; i++)
        T_CHECK(fabsf(all[4096 + i]) < 1e-5f);
    bn = &net->node[mgi_net_find(net, "tn")];
    mgi_batchnorm_fold(8, net->param[bn->weight].v, net->param[bn->bias_p].v,
                       net->param[bn->mean_p].v, net->param[bn->var_p].v, bn->eps, s, t);
    const float *before = all + 4096 * 7, *after = all + 4096 * 8;
    for (int i = 0; i < 2 * 8 * 140; i++)
        T_CHECK(fabsf(after[i] - (s[i / 140 % 8] * before[i] + t[i / 140 % 8])) < 1e-5f);
    free(all);
    free(x);
    free(y);
    mango_net_destroy(net);
}

/* Behind spikes: what cannot read bits is given values, with 8 bits and halves asked for
 * as well; the same as on the tape. */
static void t_layers_spikes(void)
{
    static const char text[] =
        "mango-graph 1\nnet arch=t T=6\nin input - shape=3x9x9\n"
        "c conv in out=20 kernel=3 pad=1\nl lif c preset=snntorch U_thr=0.2\n"
        "d conv l out=20 kernel=3 pad=1 groups=20\nm lif d preset=snntorch U_thr=0.1\n"
        "p maxpool m kernel=3 stride=2 pad=1 ceil=1 dilation=2\n"
        "e conv p out=9 kernel=2 dilation=2 pad=1\nn lif e preset=snntorch U_thr=0.1\n"
        "q avgpool n kernel=2 stride=2 pad=1 ceil=1 count_pad=0\n"
        "g conv q out=6 kernel=1 groups=3\no lif g preset=snntorch U_thr=0.05\n"
        "r sumpool o kernel=2\nz globalmax r\n";
    mango_plan_options o;
    mgi_tape_options to;
    mgi_tape *t = NULL;
    mango_err e;
    mango_net *net = t_layers_net(text);
    T_REQUIRE(net);
    float *x = t_layers_room(2 * 243), *h = t_layers_room(2 * 243), sum[12] = {0}, most = 0;
    mango_plan_defaults(&o);
    float *y = t_layers_value(net, o, 0);
    o.int8 = 1;
    float *eight = t_layers_value(net, o, 0);
    mgi_tape_defaults(&to);
    to.B = 2;
    to.T = 6;
    to.train = 0;
    mango_fill_u("input", 3, 2 * 243, x);
    mgi_to_nhwc(2, 3, 81, x, h);
    if (T_OK(mgi_tape_new(&t, net, &to, NULL, &e), &e) &&
        T_STATUS(mgi_tape_forward(t, 2, h), MANGO_OK)) {
        const float *v = mgi_tape_value(t, -1, NULL);
        for (int i = 0; i < 6 * 12; i++)
            sum[i % 12] += v[i] / 6;
        T_CLOSE(y, sum, 12, 1e-6);
    }
    for (int i = 0; i < 12; i++)
        most = MGI_MAX(most, y[i]);
    T_CHECK(most > 0); /* there are spikes to be wrong about */
    for (int i = 0; i < 12; i++)
        T_CHECK(mgi_is_finite((double)eight[i]));
    mgi_tape_free(t);
    free(x);
    free(h);
    free(y);
    free(eight);
    mango_net_destroy(net);
}

/* ---- text, numbers, refusals ----------------------------------------------------- */

static void t_layers_refused(const char *layer, const char *why)
{
    char text[256];
    mango_net *net = NULL;
    mango_err e = {""};
    snprintf(text, sizeof text, "mango-graph 1\nnet arch=t\nin input - shape=6x4x5\nop %s\n", layer);
    T_CHECK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &e) < 0 && !net);
    if (!T_CHECK(strstr(e.text, why) && strstr(e.text, "op")))
        printf("  %s: %s\n", layer, e.text);
    mango_net_destroy(net);
}

static void t_layers_refusals(void)
{
    t_layers_refused("conv in out=6 kernel=3 groups=4", "groups");
    t_layers_refused("conv in out=7 kernel=3 groups=6", "groups");
    t_layers_refused("conv in out=6 kernel=3 dilation=3", "empty");
    t_layers_refused("conv in out=6 kernel=3 out_pad=1", "out_pad");
    t_layers_refused("convt in out=6 kernel=3 stride=2 out_pad=2", "out_pad");
    t_layers_refused("maxpool in kernel=2 dilation=5 pad=1", "empty");
    t_layers_refused("maxpool in kernel=2 pad=2", "half");
    t_layers_refused("maxpool in kernel=1x2 dilation=1x6 pad=0x1", "empty"); /* all in padding */
    t_layers_refused("avgpool in kernel=2 dilation=2", "dilation");
    t_layers_refused("upsample in mode=nearest align_corners=1", "align_corners");
    t_layers_refused("upsample in mode=bilinear size=3x3 factor=2", "both");
    t_layers_refused("upsample in mode=bilinear factor=0.1", "empty");
    t_layers_refused("upsample in mode=bilinear factor=2x2x2", "factor");
    t_layers_refused("embedding in codes=4 dim=2", "1xHxW");
}

/* What is written is read again as the same; defaults are not written, so that texts of
 * before stay as they are. */
static void t_layers_text(void)
{
    static const char text[] =
        "mango-graph 1\nnet arch=t\nin input - shape=6x9x8\n"
        "a conv in out=6 kernel=3 stride=1 pad=1 dilation=1x2 groups=3 bias=1\n"
        "b maxpool a kernel=3 stride=2 pad=1 dilation=2 ceil=1\n"
        "c convt b out=4 kernel=3 stride=2 pad=1 out_pad=1x0 groups=2 bias=0\n"
        "d avgpool c kernel=2 stride=1 pad=1 ceil=1 count_pad=0\n"
        "e upsample d mode=bilinear factor=1.5x2 align_corners=1\n"
        "f upsample e mode=bicubic size=5x7\ng upsample f mode=nearest\n"
        "h conv g out=3 kernel=3 stride=1 pad=1 bias=1\ni avgpool h kernel=2 stride=2 pad=0\n"
        "j sumpool i kernel=2 stride=2 pad=0\nk adaptivemax j size=1x2\nl globalmax k\n";
    mango_net *net = t_layers_net(text);
    T_REQUIRE(net);
    mgi_str s;
    mgi_str_init(&s, &net->al);
    T_STATUS(mgi_graph_write(net, &s), MANGO_OK);
    T_STR(s.p, text);
    mgi_str_free(&s);
    mango_net_destroy(net);
}

/* Level numbers: each must be one of 0 .. codes-1. */
static void t_layers_levels(void)
{
    mango_net *net = t_layers_net("mango-graph 1\nnet arch=t\nin input - shape=1x2x3\n"
                                  "r reshape in shape=1x3x2\ne embedding r codes=4 dim=5\n");
    const float bad[] = {4.0f, -1.0f, 1.5f, 2e9f};
    float x[6] = {0, 1, 2, 3, 3, 0}, y[30];
    mango_plan *p = NULL;
    mango_plan_options o;
    T_REQUIRE(net);
    const mango_reading r = {net->output, MANGO_READ_MEAN, y};
    mango_plan_defaults(&o);
    o.batch = 1;
    T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, NULL), MANGO_OK);
    T_STATUS(mango_plan_run(p, 1, x), MANGO_OK);
    for (int i = 0; i < 30; i++)
        T_CHECK(y[i] == net->param[0].v[(int)x[i % 6] * 5 + i / 6]);
    for (int i = 0; i < MGI_COUNT(bad); i++) {
        x[2] = bad[i];
        T_STATUS(mango_plan_run(p, 1, x), MANGO_E_ARG);
    }
    mango_plan_destroy(p);
    mango_net_destroy(net);
}

static mango_status t_layers_give(void *ud, mango_idx i, float *out, mango_err *err)
{
    (void)err;
    (void)i;
    memcpy(out, ud, 30 * sizeof *out);
    return MANGO_OK;
}

/* Weights (O,C,k) of a 1-d convolution fit a kernel of 1xk, others of as many values do not. */
static void t_layers_line(void)
{
    const struct {
        int rank;
        mango_idx shape[4];
        mango_status want;
    } offer[] = {{3, {5, 2, 3}, MANGO_OK},      {4, {5, 2, 1, 3}, MANGO_OK},
                 {3, {2, 5, 3}, MANGO_E_SHAPE}, {2, {5, 6}, MANGO_E_SHAPE},
                 {1, {30}, MANGO_E_SHAPE},      {4, {5, 2, 3, 1}, MANGO_E_SHAPE}};
    float w[30];
    mango_fill_u("w", 1, 30, w);
    for (int i = 0; i < MGI_COUNT(offer); i++) {
        mango_net *net = t_layers_net("mango-graph 1\nnet arch=t\nin input - shape=2x1x9\n"
                                      "c conv in out=5 kernel=1x3 bias=0\n");
        mango_offer one = {0};
        mango_offers o;
        mango_match *m = NULL;
        mango_err e;
        one.name = "c.weight";
        one.rank = offer[i].rank;
        memcpy(one.shape, offer[i].shape, sizeof offer[i].shape);
        mango_offers_defaults(&o);
        o.n = 1;
        o.offer = &one;
        o.values = t_layers_give;
        o.ud = w;
        T_CHECK(mango_net_match(net, &o, &m, &e) == offer[i].want);
        T_CHECK((memcmp(net->param[0].v, w, sizeof w) == 0) == (offer[i].want == MANGO_OK));
        mango_match_destroy(m);
        mango_net_destroy(net);
    }
}

void t_layers(void)
{
    T_CASE(t_layers_golden);
    T_CASE(t_layers_fused);
    T_CASE(t_layers_spikes);
    T_CASE(t_layers_refusals);
    T_CASE(t_layers_text);
    T_CASE(t_layers_levels);
    T_CASE(t_layers_line);
}
