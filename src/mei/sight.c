/* sight.c - what targets look at: each layer is read once, however many of them look there.
 * SPDX-License-Identifier: MIT */
#include "objective.h"

/* The reading `what` of a layer: one that is there already, or another. */
static int sight_look(mgi_sight *s, const mango_net *net, mango_idx layer, mango_read what)
{
    int i = 0;
    mango_layer l;
    while (i < s->n_looks && (s->look[i].layer != layer || s->look[i].what != what))
        i++;
    if (i < s->n_looks || mango_net_layer(net, layer, &l) < 0)
        return i;
    s->look[i].layer = layer;
    s->look[i].what = what;
    s->look[i].row = what == MANGO_READ_RATE ? l.C : l.C * l.H * l.W;
    s->n_looks++;
    return i;
}

/* What drives the neurons of a spiking layer, when ties are wanted; else -1. */
static int sight_current(mgi_sight *s, const mango_objective *o, mango_idx layer, int spiking)
{
    if (!o->opt.ties || !spiking)
        return -1;
    const mango_idx from = mango_net_layer_input(o->network, layer, 0);
    return sight_look(s, o->network, from, MANGO_READ_MEAN);
}

/* The readings that one unit needs. */
static mango_status sight_unit(mgi_sight *s, const mango_objective *o, mango_idx j,
                               mango_err *err)
{
    mgi_aim *a = s->aim + j;
    mango_target *t = &a->t;
    mango_layer l;
    const int whole = t->y < 0;
    const int known = mango_net_layer(o->network, t->layer, &l) == MANGO_OK;
    if (!known || t->unit < 0 || t->unit >= l.C || whole != (t->x < 0) || t->y >= l.H ||
        t->x >= l.W)
        return mgi_fail(err, MANGO_E_NAME, "target %td: no such layer, unit or place", j);
    t->C = l.C;
    t->H = l.H;
    t->W = l.W;
    t->spiking = l.spiking;
    a->look = sight_look(s, o->network, t->layer, whole ? MANGO_READ_RATE : MANGO_READ_MEAN);
    a->at = whole ? t->unit : (t->unit * l.H + t->y) * l.W + t->x;
    a->current = sight_current(s, o, t->layer, t->spiking && !t->softmax);
    return MANGO_OK;
}

/* ---- expressions ---------------------------------------------------------- */

/* The one like f that is there, or f. */
static int sight_follow(mgi_sight *s, const mgi_follow *f)
{
    for (int i = 0; i < s->n_follows; i++) {
        const mgi_follow *q = s->follow + i;
        if (q->kind == f->kind && q->look == f->look && q->row == f->row &&
            q->from == f->from && q->to == f->to)
            return i;
    }
    s->follow[s->n_follows] = *f;
    return s->n_follows++;
}

/* The readings that a leaf needs, and what is made of them over time. */
static void sight_leaf(mgi_sight *s, const mango_objective *o, const mgi_leaf *l, mgi_sees *v)
{
    const int neuron = mgi_leaf_by_neuron(l), latency = l->kind == MGI_LEAF_LATENCY,
              membrane = l->kind == MGI_LEAF_MEMBRANE, window = l->from >= 0 && l->timed;
    const mango_idx HW = l->H * l->W;
    const int every = neuron || (window && !latency);
    const mango_read what = membrane ? MANGO_READ_MEMBRANE
                            : every  ? MANGO_READ_MEAN
                                     : MANGO_READ_RATE;
    v->look = sight_look(s, o->network, l->layer, what);
    v->current = sight_current(s, o, l->layer, l->spiking && l->over != MGI_OVER_VECTOR);
    v->follow = -1;
    if (!latency && !membrane && !window)
        return;
    const mgi_follow f = {.kind = latency || membrane ? l->kind : MGI_LEAF_VALUE,
                          .look = v->look,
                          .counts = l->spiking,
                          .from = l->from >= 0 ? l->from : 0,
                          .to = l->from >= 0 ? l->to : o->T - 1,
                          .row = neuron ? l->C * HW : l->C,
                          .HW = neuron || latency ? 1 : HW};
    v->follow = sight_follow(s, &f);
}

static mango_status sight_aim(mgi_sight *s, const mango_objective *o, mango_idx j,
                              mango_err *err)
{
    mgi_aim *a = s->aim + j;
    if (!a->e)
        return sight_unit(s, o, j, err);
    MGI_TRY(mgi_expression_steps(a->e, o->T, err));
    a->t.text = a->e->text;
    a->look = a->current = -1;
    for (int i = 0; i < a->e->n_leaves; i++)
        sight_leaf(s, o, a->e->leaf + i, s->sees + a->first + i);
    return MANGO_OK;
}

/* ---- create and destroy --------------------------------------------------- */

/* Room for what the readings of a batch of B fill. */
static mango_status sight_buffers(mgi_sight *s, mango_idx B, mango_err *err)
{
    mango_idx act;
    for (int i = 0; i < s->n_looks; i++)
        mgi_arena_plan(&s->arena, mgi_mul(B, s->look[i].row, &act) ? act : PTRDIFF_MAX,
                       sizeof(float));
    for (int i = 0; i < s->n_follows; i++) {
        const mgi_follow *f = s->follow + i;
        const int fits = mgi_mul(B, f->row * f->HW, &act);
        mgi_arena_plan(&s->arena, fits ? act : PTRDIFF_MAX, sizeof *f->sum);
        mgi_arena_plan(&s->arena, fits ? B * f->row : PTRDIFF_MAX, sizeof *f->act);
    }
    if (mgi_arena_commit(&s->arena) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory for a batch of %td", B);
    for (int i = 0; i < s->n_looks; i++)
        s->look[i].act = mgi_arena_take(&s->arena, B * s->look[i].row, sizeof(float));
    for (int i = 0; i < s->n_follows; i++) {
        mgi_follow *f = s->follow + i;
        f->sum = mgi_arena_take(&s->arena, B * f->row * f->HW, sizeof *f->sum);
        f->act = mgi_arena_take(&s->arena, B * f->row, sizeof *f->act);
    }
    return MANGO_OK;
}

/* The targets, expressions parsed: how many leaves there are. */
static mango_status sight_targets(mgi_sight *s, const mango_objective *o, mango_idx n,
                                  const mango_target *t, mango_err *err)
{
    s->aim = mgi_new(&o->al, n, sizeof *s->aim);
    if (!s->aim)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory for %td targets", n);
    s->n = n;
    for (mango_idx j = 0; j < n; j++) {
        s->aim[j].t = t[j];
        s->aim[j].first = s->n_leaves;
        if (t[j].text)
            MGI_TRY(mgi_expression_parse(&s->aim[j].e, o->network, t[j].text, &o->al, err));
        s->n_leaves += s->aim[j].e ? s->aim[j].e->n_leaves : 0;
    }
    return MANGO_OK;
}

MGI_FN mango_status mgi_sight_new(mgi_sight *s, const mango_objective *o, mango_idx n,
                                  const mango_target *t, mango_err *err)
{
    memset(s, 0, sizeof *s);
    mgi_arena_init(&s->arena, &o->al);
    MGI_CHECK(err, t && n >= 1 && n <= (mango_idx)1 << 20,
              "objective: 1..2^20 targets expected");
    MGI_TRY(sight_targets(s, o, n, t, err));
    const mango_idx leaves = s->n_leaves;
    s->look = mgi_new(&o->al, 2 * (n + leaves), sizeof *s->look);
    s->follow = mgi_new(&o->al, leaves, sizeof *s->follow);
    s->sees = mgi_new(&o->al, leaves, sizeof *s->sees);
    s->y = mgi_new(&o->al, leaves, sizeof *s->y);
    s->dy = mgi_new(&o->al, leaves, sizeof *s->dy);
    if (!s->look || !s->follow || !s->sees || !s->y || !s->dy)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory for %td targets", n);
    for (mango_idx j = 0; j < n; j++)
        MGI_TRY(sight_aim(s, o, j, err));
    return sight_buffers(s, o->batch, err);
}

MGI_FN void mgi_sight_free(mgi_sight *s, const mango_alloc *al)
{
    mgi_arena_free(&s->arena);
    for (mango_idx j = 0; s->aim && j < s->n; j++)
        mgi_expression_free(s->aim[j].e);
    mgi_del(al, s->look, 2 * (s->n + s->n_leaves), sizeof *s->look);
    mgi_del(al, s->follow, s->n_leaves, sizeof *s->follow);
    mgi_del(al, s->sees, s->n_leaves, sizeof *s->sees);
    mgi_del(al, s->y, s->n_leaves, sizeof *s->y);
    mgi_del(al, s->dy, s->n_leaves, sizeof *s->dy);
    mgi_del(al, s->aim, s->n, sizeof *s->aim);
    memset(s, 0, sizeof *s);
}

/* ---- values --------------------------------------------------------------- */

/* Of leaf i of an expression. */
static double sight_leaf_value(const mgi_sight *s, const mgi_aim *a, int i, mango_idx k)
{
    const mgi_sees *v = s->sees + a->first + i;
    const mgi_look *l = s->look + v->look;
    if (v->follow < 0)
        return mgi_leaf_value(a->e->leaf + i, l->row, l->act + k * l->row);
    const mgi_follow *f = s->follow + v->follow;
    return mgi_leaf_value(a->e->leaf + i, f->row, f->act + k * f->row);
}

MGI_FN double mgi_sight_value(mgi_sight *s, mango_idx j, mango_idx k)
{
    const mgi_aim *a = s->aim + j;
    if (a->e) {
        for (int i = 0; i < a->e->n_leaves; i++)
            s->y[i] = sight_leaf_value(s, a, i, k);
        return mgi_expression_value(a->e, s->y);
    }
    const mgi_look *l = s->look + a->look;
    const float *v = l->act + k * l->row;
    const mgi_leaf classes = {.kind = MGI_LEAF_SOFTMAX, .unit = a->t.unit};
    return a->t.softmax ? mgi_leaf_value(&classes, l->row, v) : (double)v[a->at];
}
