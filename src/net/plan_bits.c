/* plan_bits.c - which values are held as bits: spikes of a LIF layer, and
 * max-pools of such, when everything that uses them has a form for bits; and
 * which LIF layers run in the same pass as the convolution before them.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

/* The step that leaves a node's value. */
static mgi_step *spikes_source(const mango_plan *p, int node)
{
    return &p->step[p->node[mgi_plan_source(p, node)].step];
}

/* A view keeps the order of values, but words are cut by channels. */
static int spikes_same_shape(const mango_plan *p, int node)
{
    const mgi_node *a = &p->net->node[node], *b = &p->net->node[mgi_plan_source(p, node)];
    return a->C == b->C && a->H == b->H && a->W == b->W;
}

/* Can step s take bits as input `node` of its chain's node e? */
static int spikes_taken(const mango_plan *p, const mgi_step *s, int e, int node)
{
    const mgi_node *g = &p->net->node[s->head];
    if (s->head == p->from || !spikes_same_shape(p, node))
        return 0;
    if (e != s->head) /* the residual of a convolution over bits */
        return (g->kind == MGI_CONV || g->kind == MGI_LINEAR) && s->residual == node &&
               mgi_plan_is_bits(p, g->in[0]);
    if (g->kind == MGI_CONV && !mgi_conv_is_plain(&g->conv))
        return 0;
    return mgi_op_of(g->kind)->step_bits && (g->kind != MGI_MAXPOOL || s->bits);
}

/* Takes the bits from the sources of step s that it cannot use; true: some. */
static int spikes_refuse(mango_plan *p, const mgi_step *s)
{
    int changed = 0;
    for (int e = s->end; e >= 0 && s->head != p->from; e = p->node[e].link)
        for (int j = 0; j < p->net->node[e].n_in; j++) {
            const int node = p->net->node[e].in[j];
            if (node == p->node[e].link || !mgi_plan_is_bits(p, node) ||
                spikes_taken(p, s, e, node))
                continue;
            spikes_source(p, node)->bits = 0;
            changed = 1;
        }
    return changed;
}

/* ---- convolution and LIF in one pass ------------------------------------------- */

static int spikes_is_read(const mango_plan *p, int node)
{
    for (int r = 0; r < p->n_readings; r++)
        if (mgi_plan_source(p, p->reading[r].node) == node)
            return 1;
    return 0;
}

/* The step whose currents LIF step s can take without anybody storing them; -1. */
static int spikes_currents(const mango_plan *p, const mgi_step *s)
{
    const mgi_node *g = &p->net->node[s->head];
    if (g->kind != MGI_LIF || !s->bits || !mango_lif_is_plain(&g->lif) ||
        p->node[g->in[0]].view >= 0 ||
        p->node[g->in[0]].uses != 1 || spikes_is_read(p, g->in[0]))
        return -1;
    const int i = p->node[g->in[0]].step;
    const mgi_step *c = &p->step[i];
    const mgi_kind k = p->net->node[c->head].kind;
    if (c->head == p->from || (k != MGI_CONV && k != MGI_LINEAR) || c->relu ||
        c->up != MGI_UP_NONE || c->after >= 0 || c->reshape >= 0 ||
        !mgi_plan_is_bits(p, p->net->node[c->head].in[0]))
        return -1;
    return i;
}

/* A LIF layer whose current is constant and that is set to a value by a spike
 * fires with a period; so do max-pools of it. */
static int spikes_repeat(const mango_plan *p, int node)
{
    const mgi_node *g = &p->net->node[mgi_plan_source(p, node)];
    while (g->kind == MGI_MAXPOOL)
        g = &p->net->node[mgi_plan_source(p, g->in[0])];
    return g->kind == MGI_LIF && mango_lif_is_plain(&g->lif) && !p->node[g->in[0]].dynamic &&
           (g->lif.reset == MANGO_RESET_ZERO || g->lif.reset == MANGO_RESET_VALUE);
}

static void spikes_fuse(mango_plan *p)
{
    for (int i = 0; i < p->n_steps; i++) {
        mgi_step *s = &p->step[i];
        const int c = spikes_currents(p, s);
        if (c < 0)
            continue;
        s->fused = c;
        p->step[c].fused = i;
        s->repeats = spikes_repeat(p, p->net->node[p->step[c].head].in[0]);
    }
}

MGI_FN void mgi_plan_spikes(mango_plan *p)
{
    int changed = 1;
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_node *g = &p->net->node[p->step[i].head];
        p->step[i].bits = p->step[i].dynamic && p->step[i].head != p->from &&
                          (mgi_node_spikes(g) || g->kind == MGI_MAXPOOL);
    }
    for (int r = 0; r < p->n_readings; r++)
        if (!spikes_same_shape(p, p->reading[r].node))
            spikes_source(p, p->reading[r].node)->bits = 0;
    while (changed) {
        changed = 0;
        for (int i = p->n_steps - 1; i >= 0; i--) {
            mgi_step *s = &p->step[i];
            const mgi_node *g = &p->net->node[s->head];
            if (s->bits && g->kind == MGI_MAXPOOL && !mgi_plan_is_bits(p, g->in[0])) {
                s->bits = 0;
                changed = 1;
            }
            changed |= spikes_refuse(p, s);
        }
    }
    spikes_fuse(p);
}
