/* plan_spikes.c - which values are held as bits: spikes of a LIF layer, and
 * max-pools of such, when everything that uses them has a form for bits.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

/* The step that leaves a node's value. */
static mgi_step *spikes_source(const mango_plan *p, int node)
{
    return &p->step[p->node[mgi_plan_source(p, node)].step];
}

MGI_FN int mgi_plan_is_bits(const mango_plan *p, int node)
{
    return spikes_source(p, node)->bits;
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
    switch (g->kind) {
    case MGI_CONV:
    case MGI_LINEAR:
    case MGI_AVGPOOL:
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG: return 1;
    case MGI_MAXPOOL: return s->bits;
    default: return 0;
    }
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

MGI_FN void mgi_plan_spikes(mango_plan *p)
{
    int changed = 1;
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_kind k = p->net->node[p->step[i].head].kind;
        p->step[i].bits = p->step[i].dynamic && p->step[i].head != p->from &&
                          (k == MGI_LIF || k == MGI_MAXPOOL);
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
}
