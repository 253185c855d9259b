/* test_conv_layers.c - grouped, depth-wise and dilated convolutions, pools, resampling and
 * embeddings as layers of a network: values and gradients of PyTorch
 * (tests/golden/conv_layers.safetensors), the same bits from plan and tape.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* ---- one layer against PyTorch -------------------------------------------------- */

typedef struct t_conv_layers_rig {
    const char *name;
    const mgi_tensors *f;
    mango_net *net;
    mango_idx N, nx, ny;
    float *x, *y, *dy, *dx; /* (N,C,H,W); x of levels in the embedding's case */
    float *maps;            /* room for one of them, channels last            */
} t_conv_layers_rig;

static const mgi_node *t_conv_layers_in(const t_conv_layers_rig *r)
{
    return &r->net->node[r->net->input];
}

static const mgi_node *t_conv_layers_out(const t_conv_layers_rig *r)
{
    return &r->net->node[r->net->output];
}

/* "CxHxW KIND ATTRIBUTES" as a network. */
static int t_conv_layers_parse(t_conv_layers_rig *r, const char *layer)
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
static void t_conv_layers_fill(const t_conv_layers_rig *r, const char *what, mango_idx n, float *v)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", r->name, what);
    mango_fill_u(name, 7, n, v);
}

static float *t_conv_layers_room(mango_idx n)
{
    float *p = malloc((size_t)(n + 1) * sizeof *p);
    for (mango_idx i = 0; p && i < n; i++)
        p[i] = 7e7f;
    return p;
}

static int t_conv_layers_open(t_conv_layers_rig *r, const char *layer)
{
    if (!t_conv_layers_parse(r, layer))
        return 0;
    const mgi_node *in = t_conv_layers_in(r), *out = t_conv_layers_out(r);
    r->N = 2;
    r->nx = r->N * in->C * in->H * in->W;
    r->ny = r->N * out->C * out->H * out->W;
    r->x = t_conv_layers_room(r->nx);
    r->dx = t_conv_layers_room(r->nx);
    r->y = t_conv_layers_room(r->ny);
    r->dy = t_conv_layers_room(r->ny);
    r->maps = t_conv_layers_room(MGI_MAX(r->nx, r->ny));
    if (mgi_net_alloc_params(r->net) < 0)
        return 0;
    for (int p = 0; p < r->net->n_params; p++)
        t_conv_layers_fill(r, strchr(r->net->param[p].name, '.') + 1, r->net->param[p].count,
                           r->net->param[p].v);
    t_conv_layers_fill(r, "input", r->nx, r->x);
    t_conv_layers_fill(r, "dy", r->ny, r->dy);
    for (mango_idx i = 0; out->kind == MGI_EMBEDDING && i < r->nx; i++)
        r->x[i] = (float)(mango_idx)((0.5f + 0.5f * r->x[i]) * (float)out->codes);
    return 1;
}

static void t_conv_layers_close(t_conv_layers_rig *r)
{
    free(r->x);
    free(r->y);
    free(r->dx);
    free(r->dy);
    free(r->maps);
    mango_net_destroy(r->net);
}

/* n values against those of the file; a tensor that is not there is a failure. */
static void t_conv_layers_same(const t_conv_layers_rig *r, const char *what, mango_idx n,
                               const float *got)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", r->name, what);
    const mgi_tensor *t = mgi_tensors_find(r->f, name);
    T_REQUIRE(t && t->count == n);
    float *want = t_conv_layers_room(n);
    if (T_OK(mgi_tensor_floats(t, 1, want, NULL), NULL) && !T_CLOSE(got, want, n, 2e-6))
        printf("  %s\n", name);
    free(want);
}

static int t_conv_layers_run(t_conv_layers_rig *r)
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
static int t_conv_layers_tape(t_conv_layers_rig *r, mgi_grads *g)
{
    const mgi_node *in = t_conv_layers_in(r), *out = t_conv_layers_out(r);
    mgi_tape *t = NULL;
    mgi_tape_options o;
    mango_err e;
    mgi_tape_defaults(&o);
    o.B = r->N;
    o.input_grad = 1;
    if (!T_OK(mgi_tape_new(&t, r->net, &o, NULL, &e), &e))
        return 0;
    mgi_tape_set_grads(t, g);
    float *x = t_conv_layers_room(r->nx);
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

static void t_conv_layers_one(const mgi_tensors *f, const char *name, const char *layer)
{
    t_conv_layers_rig r = {.name = name, .f = f};
    mgi_grads g;
    if (t_conv_layers_open(&r, layer) && t_conv_layers_run(&r) &&
        T_OK(mgi_grads_new(&g, r.net), NULL)) {
        t_conv_layers_same(&r, "y", r.ny, r.y);
        t_conv_layers_tape(&r, &g);
        if (t_conv_layers_out(&r)->kind != MGI_EMBEDDING)
            t_conv_layers_same(&r, "dx", r.nx, r.dx);
        for (int p = 0; p < r.net->n_params; p++)
            t_conv_layers_same(&r, strstr(r.net->param[p].name, "bias") ? "db" : "dw",
                               r.net->param[p].count, g.of[p]);
        mgi_grads_free(&g);
    }
    t_conv_layers_close(&r);
}

static void t_conv_layers_golden(void)
{
    mgi_tensors f;
    mango_err e;
    const char *name, *layer;
    mango_idx n = 0;
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("conv_layers.safetensors"), NULL, &e), &e);
    for (; mgi_tensors_meta_at(&f, n, &name, &layer); n++)
        t_conv_layers_one(&f, name, layer);
    T_CHECK(n >= 40);
    mgi_tensors_free(&f);
}

void t_conv_layers(void)
{
    T_CASE(t_conv_layers_golden);
}
