/* op_upsample.c - another height and width: nearest, bilinear, bicubic; twice by default.
 * SPDX-License-Identifier: MIT */
#include "plan.h"
#include "tape.h"

static int upsample_by_factor(const mgi_node *q)
{
    return q->up.fh > 0 && (q->up.fh != 2 || q->up.fw != 2);
}

static int upsample_by_size(const mgi_node *q)
{
    return !(q->up.fh > 0);
}

static int upsample_is_aligned(const mgi_node *q)
{
    return q->up.align;
}

static const mgi_attr upsample_attr[] = {
    {"mode", MGI_ATTR_WORD, 1, MGI_ATTR_AT(up.mode), 0, 0, "nearest|bilinear|bicubic", 0},
    {"factor", MGI_ATTR_REALS, 0, MGI_ATTR_AT(up.fh), 1.0 / 64, 64, 0, upsample_by_factor},
    {"size", MGI_ATTR_SIZE, 0, MGI_ATTR_AT(up.OH), 1, 4096, 0, upsample_by_size},
    {"align_corners", MGI_ATTR_INT, 0, MGI_ATTR_AT(up.align), 0, 1, 0, upsample_is_aligned},
    {0},
};

static mango_status upsample_check(mgi_node *q, uint64_t seen, mango_err *err)
{
    const int size = mgi_attr_given(upsample_attr, seen, "size");
    const int factor = mgi_attr_given(upsample_attr, seen, "factor");
    if (size && factor)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: both size and factor are given",
                        q->name);
    if (q->up.align && q->up.mode == MGI_NEAREST)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "node %s: align_corners=1 is for mode=bilinear and mode=bicubic",
                        q->name);
    if (!size && !factor)
        q->up.fh = q->up.fw = 2;
    return MANGO_OK;
}

static mango_status upsample_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    mgi_resample *u = &q->up;
    u->C = x->C;
    u->H = x->H;
    u->W = x->W;
    if (u->fh > 0) {
        u->OH = (mango_idx)((double)x->H * u->fh);
        u->OW = (mango_idx)((double)x->W * u->fw);
    }
    if (u->OH < 1 || u->OW < 1)
        return mgi_shape_bad(q, x, "the upsampling's output would be empty", err);
    q->C = x->C;
    q->H = u->OH;
    q->W = u->OW;
    return MANGO_OK;
}

static void upsample_forward(const mgi_op_run *r)
{
    const mgi_resample *u = &r->g->up;
    if (!mgi_resample_doubles(u))
        mgi_resample_forward(u, r->N, r->x[0], r->y, r->work);
    else if (u->mode == MGI_BILINEAR)
        mgi_bilinear2x(r->N, u->H, u->W, u->C, r->x[0], r->y);
    else
        mgi_nearest2x(r->N, u->H, u->W, u->C, r->x[0], r->y);
}

static mango_idx upsample_work(const mango_net *n, const mgi_node *q, mango_idx N)
{
    (void)n;
    (void)N;
    return mgi_resample_doubles(&q->up) ? 0 : mgi_resample_work(&q->up);
}

static void upsample_gradient(const mgi_op_grad *r)
{
    const mgi_resample *u = &r->g->up;
    if (!mgi_resample_doubles(u))
        mgi_resample_backward(u, r->N, r->dy, r->dx, r->work);
    else if (u->mode == MGI_BILINEAR)
        mgi_bilinear2x_backward(r->N, u->H, u->W, u->C, r->dy, r->dx);
    else
        mgi_nearest2x_backward(r->N, u->H, u->W, u->C, r->dy, r->dx);
}

static mango_idx upsample_backward_work(const mgi_tape *t, int node, mango_idx rows)
{
    return upsample_work(t->net, &t->net->node[node], rows);
}

/* x2 with the batch-norm and ReLU before it. */
static void upsample_step(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_resample *r = &p->net->node[s->op].up;
    const float *x = mgi_plan_value(p, p->net->node[s->head].in[0]);
    if (!mgi_resample_doubles(r)) {
        mgi_resample_forward(r, mgi_step_maps(p, s), x, y, mgi_step_scratch(p, s));
        return;
    }
    const mgi_up u = mgi_step_up(p, s);
    mgi_upsample(&u, mgi_step_maps(p, s), x, y, mgi_step_scratch(p, s));
}

static mango_idx upsample_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    const mgi_resample *r = &p->net->node[s->op].up;
    (void)maps;
    if (!mgi_resample_doubles(r))
        return mgi_resample_work(r);
    const mgi_up u = mgi_step_up(p, s);
    return mgi_upsample_work(&u);
}

MGI_DATA const mgi_op mgi_op_upsample = {
    .name = "upsample",
    .about = "The map at another size, as PyTorch's interpolate.",
    .shapes = "CxHxW -> Cx(factor H)x(factor W), or Cx(size)",
    .keys = "mode how values between pixels are made\n"
            "factor how many times larger; without it and size: 2\n"
            "size height and width of the output, in place of factor\n"
            "align_corners 1: corner pixels stay corners; not with nearest",
    .least = 1,
    .most = 1,
    .attr = upsample_attr,
    .check = upsample_check,
    .shape = upsample_shape,
    .work = upsample_work,
    .forward = upsample_forward,
    .step = upsample_step,
    .step_work = upsample_step_work,
    .gradient = upsample_gradient,
    .backward_work = upsample_backward_work};
