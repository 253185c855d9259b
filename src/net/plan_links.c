/* plan_links.c - the planner's view of the graph: which nodes join whose step,
 * which depend on time, which are needed.
 * SPDX-License-Identifier: MIT */
#include "op_merge.h"
#include "plan.h"

/* A reshape keeps (C,H,W) order; in memory maps are channels last. The two
 * agree when one of C and H*W is 1, before and after. */
static int plan_same_layout(const mgi_node *a, const mgi_node *b)
{
    const mango_idx hwa = a->H * a->W, hwb = b->H * b->W;
    if (a->C == b->C && a->H == b->H && a->W == b->W)
        return 1;
    return (hwa == 1 || a->C == 1) && (hwb == 1 || b->C == 1);
}

/* ---- fusing --------------------------------------------------------------- */

/* May an add be fused onto node i: does a chain with only weights in it end there? */
static int plan_takes_add(const mango_plan *p, int i)
{
    const mgi_kind k = p->net->node[i].kind;
    if (p->node[i].uses != 1)
        return 0;
    const int link = p->node[i].link;
    return mgi_is_matmul(k) || (k == MGI_RESHAPE && link >= 0) ||
           (k == MGI_BATCHNORM && link >= 0 && p->net->node[link].kind != MGI_ADD);
}

static int plan_link_add(const mango_plan *p, const mgi_node *g)
{
    int best = -1;
    if (g->n_in != 2 || !mgi_op_merge_alike(p->net, g))
        return -1;
    for (int j = 0; j < g->n_in; j++)
        if (plan_takes_add(p, g->in[j]) && g->in[j] > best)
            best = g->in[j];
    return best;
}

/* May upsampling i, behind node a, take over a's batch-norm and ReLU? Not when
 * it merges with its convolution. */
static int plan_takes_before(const mango_plan *p, int i, int a)
{
    const int r = p->node[a].link;
    const mgi_kind k = p->net->node[a].kind;
    if (!mgi_resample_doubles(&p->net->node[i].up))
        return 0;
    if (p->node[i].uses == 1 && mgi_plan_up_form(p->net, p->node[i].user) != MGI_UP_NONE)
        return 0;
    if (k == MGI_RELU && r >= 0)
        return p->net->node[r].kind == MGI_BATCHNORM && p->node[r].link < 0;
    return (k == MGI_RELU || k == MGI_BATCHNORM) && r < 0;
}

/* May the outputs of the chain that ends at node a take another order? Those of a
 * matrix product may, where each sees every input. */
static int plan_takes_order(const mango_plan *p, int a)
{
    const mgi_node *g = &p->net->node[a];
    if (g->kind == MGI_BATCHNORM)
        return p->node[a].link >= 0 && plan_takes_order(p, p->node[a].link);
    return g->kind == MGI_LINEAR || (g->kind == MGI_CONV && g->conv.groups <= 1);
}

/* The node that i is fused onto, by the graph alone; -1: i starts a step. */
static int plan_link(const mango_plan *p, int i)
{
    const mgi_node *g = &p->net->node[i];
    if (g->n_in < 1)
        return -1;
    if (g->kind == MGI_ADD)
        return plan_link_add(p, g);
    const int a = g->in[0];
    const mgi_kind k = p->net->node[a].kind;
    if (p->node[a].uses != 1)
        return -1;
    switch (g->kind) {
    case MGI_BATCHNORM:
        return mgi_is_matmul(k) || (k == MGI_ADD && mgi_plan_up_after(p, a)) ? a : -1;
    case MGI_CONV: return mgi_plan_up_form(p->net, i) != MGI_UP_NONE ? a : -1;
    case MGI_UPSAMPLE: return plan_takes_before(p, i, a) ? a : -1;
    case MGI_RESHAPE:
        if (plan_same_layout(&p->net->node[a], g) || p->net->node[a].H != 1 ||
            p->net->node[a].W != 1)
            return -1;
        return plan_takes_order(p, a) ? a : -1;
    case MGI_RELU:
        if (mgi_is_matmul(k) || k == MGI_BATCHNORM || k == MGI_ADD)
            return a;
        return k == MGI_RESHAPE && p->node[a].link >= 0 ? a : -1;
    default: return -1;
    }
}

static void plan_links(mango_plan *p)
{
    const mango_net *net = p->net;
    for (int i = 0; i < net->n_nodes; i++)
        for (int j = 0; j < net->node[i].n_in; j++) {
            p->node[net->node[i].in[j]].uses++;
            p->node[net->node[i].in[j]].user = i;
        }
    for (int i = 0; i < net->n_nodes; i++) {
        mgi_plan_node *q = &p->node[i];
        q->step = q->view = -1;
        q->link = plan_link(p, i);
    }
}

/* ---- time ----------------------------------------------------------------- */

/* Feeding a node can leave a chain without its matrix product. What needs one
 * to join then starts a step of its own. */
static int plan_still_joins(const mango_plan *p, int i)
{
    const int a = p->node[i].link;
    if (a < 0 || a == p->from || i == p->from)
        return 0;
    const mgi_kind k = p->net->node[a].kind, own = p->net->node[i].kind;
    if (own == MGI_UPSAMPLE)
        return 1;
    if (own == MGI_BATCHNORM && k == MGI_ADD)
        return mgi_plan_up_after(p, a);
    if (k == MGI_RESHAPE || (k == MGI_BATCHNORM && own != MGI_RELU))
        return p->node[a].link >= 0;
    return 1;
}

/* Marks dynamic nodes, cuts the graph at the fed node, and takes apart an add
 * of a static and a dynamic value (which changes no bits). */
static void plan_dynamics(mango_plan *p)
{
    for (int i = 0; i < p->net->n_nodes; i++) {
        const mgi_node *g = &p->net->node[i];
        mgi_plan_node *q = &p->node[i];
        if (!plan_still_joins(p, i))
            q->link = -1;
        if (i == p->from)
            continue;
        q->dynamic = g->kind == MGI_LIF;
        for (int j = 0; j < g->n_in; j++)
            q->dynamic |= p->node[g->in[j]].dynamic;
        if (g->kind == MGI_ADD && q->link >= 0)
            for (int j = 0; j < g->n_in; j++)
                if (p->node[g->in[j]].dynamic != q->dynamic)
                    q->link = -1;
        if (g->kind == MGI_RESHAPE && q->link < 0 &&
            plan_same_layout(&p->net->node[g->in[0]], g))
            q->view = g->in[0];
    }
}

/* ---- needs ---------------------------------------------------------------- */

static mango_status plan_need_inputs(mango_plan *p, int i, mango_err *err)
{
    const mgi_node *g = &p->net->node[i];
    if (i == p->from)
        return MANGO_OK;
    if (g->kind == MGI_INPUT && p->from >= 0)
        return mgi_fail(
            err, MANGO_E_ARG,
            "layer '%s' cannot be fed alone: a layer that is read also needs '%s'",
            p->net->node[p->from].name, g->name);
    if (g->kind == MGI_INPUT && i != p->net->input)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "input '%s' is needed: a plan feeds one input, '%s'", g->name,
                        p->net->node[p->net->input].name);
    for (int e = i; e >= 0; e = p->node[e].link)
        for (int j = 0; j < p->net->node[e].n_in; j++)
            if (p->net->node[e].in[j] != p->node[e].link)
                p->node[p->net->node[e].in[j]].need = 1;
    return MANGO_OK;
}

static mango_status plan_check_reading(const mango_plan *p, const mgi_plan_reading *r,
                                       mango_err *err)
{
    const mgi_node *g = &p->net->node[r->node];
    if (r->what == MANGO_READ_MEMBRANE && g->kind != MGI_LIF)
        return mgi_fail(err, MANGO_E_ARG, "layer '%s' has no membranes: only a lif layer has",
                        g->name);
    if (r->what != MANGO_READ_CODES)
        return MANGO_OK;
    if (g->kind != MGI_VQ)
        return mgi_fail(err, MANGO_E_ARG, "layer '%s' has no codes: only a vq layer has",
                        g->name);
    if (p->node[r->node].dynamic)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "codes of '%s' change over time",
                        g->name);
    return MANGO_OK;
}

MGI_FN mango_status mgi_plan_graph(mango_plan *p, mango_err *err)
{
    plan_links(p);
    plan_dynamics(p);
    for (int r = 0; r < p->n_readings; r++) {
        MGI_TRY(plan_check_reading(p, &p->reading[r], err));
        p->node[p->reading[r].node].need = 1;
    }
    for (int i = p->net->n_nodes - 1; i >= 0; i--)
        if (p->node[i].need)
            MGI_TRY(plan_need_inputs(p, i, err));
    return MANGO_OK;
}
