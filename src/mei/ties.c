/* ties.c - which of two codes with the same count of spikes is nearer to one more.
 *
 * A neuron under the constant current X approaches the membrane X/(1-beta), or, in the
 * tau form, X, and fires where that passes its threshold U_thr: so the mean current over
 * time orders what never fires. Over the n neurons of a target a soft maximum,
 *
 *     tie = log( 1/n sum_i exp(a_i) ),  a_i = 4 gain X_i/U_thr                 (1)
 *
 * since the first spike comes from the neuron that is driven most, and the others count a
 * little. Of 590 random pictures on which layer4.1.sn2:17 of the spiking ResNet-18 is silent
 * 73 fire at 0.7 of the threshold: (1) puts a random one of them before a random other one
 * in 84 of 100 cases, the membrane after the last step in 68.
 *
 * Own thresholds of neurons take the place of U_thr. Neurons with a synaptic current are
 * driven by X/(1-alpha), which is of the same order; of a recurrence only what comes from
 * outside counts, as nothing comes back of a silent layer.
 *
 * Of an expression E of units u, sum_u dE/du tie_u                                       (2)
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../net/graph.h"
#include "objective.h"

#define TIES_SHARP 4.0

/* What drives neurons, and what it is to reach. */
typedef struct mgi_driven {
    const float *X, *thr; /* currents; thresholds, those not above 0 count as nearly
                             so, or NULL: `scale` has the one of all            */
    mango_idx per, first; /* neurons of a threshold; the number of the first one    */
    double scale;
} mgi_driven;

static double ties_at(const mgi_driven *q, mango_idx i)
{
    const double a = q->scale * (double)q->X[i];
    return q->thr ? a / MGI_MAX((double)q->thr[(q->first + i) / q->per], 1e-3) : a;
}

/* (1) of n neurons. */
static double ties_soft(mango_idx n, const mgi_driven *q)
{
    double sum = 0.0, top = ties_at(q, 0);
    for (mango_idx i = 1; i < n; i++)
        top = MGI_MAX(top, ties_at(q, i));
    for (mango_idx i = 0; i < n; i++)
        sum += mgi_exp(ties_at(q, i) - top);
    return top + mgi_log(sum / (double)n);                                      /* (1) */
}

/* Of unit `unit` of a layer, or of all of them, from the reading `current`; -1: none. */
static double ties_unit(const mango_objective *o, mango_idx k, int current, mango_idx layer,
                        mango_idx unit, mango_idx at)
{
    if (current < 0)
        return 0.0;
    const mgi_look *l = o->see.look + current;
    const mgi_node *node = o->network->node + layer;
    const mango_idx HW = node->H * node->W, n = unit < 0 ? l->row : at < 0 ? HW : 1;
    const int own = node->cell[MGI_CELL_THR];
    const mgi_param *p = own >= 0 ? o->network->param + own : NULL;
    mgi_driven q = {.first = MGI_MAX(unit, 0) * HW + MGI_MAX(at, 0)};
    q.X = l->act + k * l->row + q.first;
    q.thr = p ? p->v : NULL;
    q.per = p ? node->C * HW / p->count : 1;
    q.scale = TIES_SHARP * (double)node->lif.input_gain / (p ? 1.0 : (double)node->lif.U_thr);
    return ties_soft(n, &q);
}

/* (2), of an expression: the slopes are those at the picture's own values. */
static double ties_expression(mango_objective *o, mango_idx k)
{
    mgi_sight *s = &o->see;
    const mgi_aim *a = s->aim;
    double sum = 0.0;
    (void)mgi_sight_value(s, 0, k);
    mgi_expression_slopes(a->e, s->dy);
    for (int i = 0; i < a->e->n_leaves; i++) {
        const mgi_leaf *l = a->e->leaf + i;
        const mango_idx at = l->y < 0 ? -1 : l->y * l->W + l->x;
        if (mgi_is_finite(s->dy[i]) && s->dy[i] != 0.0)
            sum += s->dy[i] * ties_unit(o, k, s->sees[a->first + i].current, l->layer,
                                        l->unit, at);
    }
    return sum;
}

/* Of picture k among those that the network has just seen. */
static double ties_of(mango_objective *o, mango_idx k)
{
    const mgi_aim *a = o->see.aim;
    const mango_target *t = &a->t;
    if (a->e)
        return ties_expression(o, k);
    return ties_unit(o, k, a->current, t->layer, t->unit, t->y < 0 ? -1 : t->y * t->W + t->x);
}

MGI_FN mango_status mgi_ties_room(mango_objective *o, mango_idx K)
{
    o->n_tie = 0;
    if (!o->opt.ties || K <= o->cap_tie)
        return MANGO_OK;
    double *more = mgi_new(&o->al, K, sizeof *more);
    if (!more)
        return mgi_fail(&o->err, MANGO_E_MEM, "objective: out of memory for %td ties", K);
    mgi_del(&o->al, o->tie, o->cap_tie, sizeof *o->tie);
    o->tie = more;
    o->cap_tie = K;
    return MANGO_OK;
}

MGI_FN void mgi_ties_add(mango_objective *o, mango_idx K)
{
    if (!o->opt.ties || o->see.n != 1)
        return;
    for (mango_idx k = 0; k < K; k++)
        o->tie[o->n_tie++] = ties_of(o, k);
}

mango_status mango_objective_ties(mango_objective *o, mango_idx K, double *tie)
{
    MGI_REQUIRE(o);
    MGI_CHECK(&o->err, K >= 0 && (K == 0 || tie), "mango_objective_ties: room expected");
    if (!o->opt.ties || o->see.n != 1 || K != o->n_tie)
        return mgi_fail(&o->err, MANGO_E_STATE,
                        "mango_objective_ties: of %td codes, %td were evaluated%s", K,
                        o->n_tie, o->opt.ties ? "" : " without option ties");
    if (K)
        memcpy(tie, o->tie, (size_t)K * sizeof *tie);
    o->n_tie = 0;
    return MANGO_OK;
}

#undef TIES_SHARP
