/* match.c - do tensors and parameters agree, name by name? And the scalars of snnTorch's
 * and SpikingJelly's neurons, put into the rules of LIF layers. Files of other programs,
 * whose names differ, are match_fit.c's.
 * SPDX-License-Identifier: MIT */
#include "match.h"
#include "../base/real.h"
#include "graph.h"
#include "neurons.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- scalars of neurons ------------------------------------------------------ */

/* What a tensor LAYER.FIELD of a LIF layer is. */
typedef enum match_field {
    MATCH_THRESHOLD, /* snnTorch                                              */
    MATCH_BETA,
    MATCH_ALPHA,
    MATCH_V,
    MATCH_GRADED,
    MATCH_RESET,     /* 0 subtract, 1 zero, 2 none                            */
    MATCH_PLIF,      /* SpikingJelly's ParametricLIFNode: tau = 1 + exp(-w)   */
    MATCH_STATE,     /* the membrane of the last batch: of no use             */
    MATCH_FIELDS
} match_field;
static const struct {
    const char *tail;
    match_field field;
} match_fields[] = {
    {"threshold", MATCH_THRESHOLD},         {"beta", MATCH_BETA}, {"w", MATCH_PLIF},
    {"graded_spikes_factor", MATCH_GRADED}, {"mem", MATCH_STATE},
    {"reset_mechanism_val", MATCH_RESET},   {"alpha", MATCH_ALPHA}, {"V", MATCH_V},
};

/* The LIF layer whose field `name` is: that with this prefix of parameters, or, when
 * foreign, that with the longest name which this one ends in. -1: none. */
static int match_neuron(const mango_net *n, const char *name, int foreign, match_field *field)
{
    const char *dot = strrchr(name, '.');
    *field = MATCH_FIELDS;
    for (mango_idx k = 0; dot && k < MGI_COUNT(match_fields); k++)
        if (!strcmp(dot + 1, match_fields[k].tail))
            *field = match_fields[k].field;
    if (*field == MATCH_FIELDS)
        return -1;
    const size_t stem = (size_t)(dot - name);
    size_t longest = 0;
    int best = -1;
    for (int i = 0; i < n->n_nodes; i++) {
        const mgi_node *q = &n->node[i];
        const size_t p = strlen(q->prefix), k = strlen(q->name);
        if (q->kind != MGI_LIF)
            continue;
        if (p == stem && !memcmp(q->prefix, name, p))
            return i;
        if (foreign && k > longest && k <= stem && !memcmp(name + stem - k, q->name, k) &&
            (k == stem || name[stem - k - 1] == '.')) {
            longest = k;
            best = i;
        }
    }
    return best;
}

MGI_FN int mgi_is_rule(const mango_net *n, const char *name)
{
    match_field field;
    return match_neuron(n, name, 1, &field) >= 0 && field != MATCH_STATE;
}

MGI_FN int mgi_param_foreign(const mango_net *n, const char *name)
{
    static const char *const unused[] = {"num_batches_tracked", "_ema_w", "_ema_cluster_size"};
    const char *dot = strrchr(name, '.');
    const char *tail = dot ? dot + 1 : name;
    match_field field;
    for (int k = 0; k < (int)MGI_COUNT(unused); k++)
        if (!strcmp(tail, unused[k]))
            return 1;
    return match_neuron(n, name, 0, &field) >= 0;
}

static double match_clamp(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* One scalar into a rule, a decay clamped as snnTorch does at each step; a message
 * without the name when that cannot be. */
static mango_status match_set(mango_lif *r, match_field field, double v, mango_err *err)
{
    static const mango_lif_reset resets[3] = {MANGO_RESET_SUBTRACT, MANGO_RESET_ZERO,
                                              MANGO_RESET_NONE};
    switch (field) {
    case MATCH_THRESHOLD: r->U_thr = (float)v; break;
    case MATCH_BETA:
        r->beta = (float)match_clamp(v);
        r->tau = 0;
        break;
    case MATCH_ALPHA:
        if (r->order != 2)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is the decay of a current, and this layer has none");
        r->alpha = (float)match_clamp(v);
        break;
    case MATCH_V:
        if (r->recurrent != MANGO_RECURRENT_ONE)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is a recurrent weight, and this layer has none");
        r->V = (float)v;
        r->V_per = MANGO_PER_RULE;
        break;
    case MATCH_GRADED:
        if (v != 1)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is %g, only spikes of size 1 are supported", v);
        break;
    case MATCH_RESET:
        if (v != 0 && v != 1 && v != 2)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is %g; 0 (subtract), 1 (zero) or 2 (none) expected", v);
        r->reset = resets[(int)v];
        break;
    case MATCH_PLIF:
        if (r->tau <= 0)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "is a time constant, and this layer decays by beta");
        r->tau = (float)(1.0 + mgi_exp(-v));
        break;
    default: break;
    }
    return mango_lif_check(r, err);
}

MGI_FN int mgi_rule_scalar(mango_net *n, const char *name, double value, mango_status *st,
                           mango_err *err)
{
    mango_err sub = {""};
    match_field field;
    const int i = match_neuron(n, name, 1, &field);
    if (i < 0)
        return 0;
    mango_lif rule = n->node[i].lif;
    *st = match_set(&rule, field, value, &sub);
    if (*st == MANGO_E_ARG)
        *st = MANGO_E_FORMAT;
    if (*st < 0)
        mgi_fail(err, *st, "%s: %s", name, sub.text);
    else
        n->node[i].lif = rule;
    return 1;
}

/* What of a neuron such a field is; MGI_CELLS: nothing. */
static mgi_cell match_cell(match_field field)
{
    switch (field) {
    case MATCH_BETA: return MGI_CELL_LEAK;
    case MATCH_ALPHA: return MGI_CELL_ALPHA;
    case MATCH_THRESHOLD: return MGI_CELL_THR;
    case MATCH_V: return MGI_CELL_V;
    default: return MGI_CELLS;
    }
}

/* Sizes of 1 left out, at most 3 left; how many, -1: more. */
static int match_squeeze(int rank, const mango_idx *shape, mango_idx out[3])
{
    int n = 0;
    for (int r = 0; r < rank; r++) {
        if (shape[r] != 1 && n == 3)
            return -1;
        if (shape[r] != 1)
            out[n++] = shape[r];
    }
    return n;
}

/* One value a channel, or one a neuron? MANGO_PER_RULE: neither. */
static mango_lif_per match_per(const mgi_node *q, int rank, const mango_idx *shape)
{
    const mango_idx own[3] = {q->C, q->H, q->W}, channel[3] = {q->C, 1, 1};
    mango_idx a[3], b[3];
    const int n = match_squeeze(rank, shape, a);
    if (n == match_squeeze(3, channel, b) && !memcmp(a, b, (size_t)MGI_MAX(n, 0) * sizeof *a))
        return MANGO_PER_CHANNEL;
    if (n == match_squeeze(3, own, b) && !memcmp(a, b, (size_t)MGI_MAX(n, 0) * sizeof *a))
        return MANGO_PER_NEURON;
    return MANGO_PER_RULE;
}

MGI_FN mango_status mgi_rule_widen(mango_net *n, const char *name, int foreign, int rank,
                                   const mango_idx *shape, int *param, mango_err *err)
{
    match_field field;
    const int i = match_neuron(n, name, foreign, &field);
    const mgi_cell cell = i < 0 ? MGI_CELLS : match_cell(field);
    *param = -1;
    if (cell == MGI_CELLS || n->node[i].cell[cell] >= 0)
        return MANGO_OK;
    mgi_node *q = &n->node[i];
    const mango_lif_per per = match_per(q, rank, shape);
    if (per == MANGO_PER_RULE)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: one value expected, or one a channel, %td, or a neuron, "
                        "%tdx%tdx%td",
                        name, q->C, q->C, q->H, q->W);
    *param = mgi_neurons_own(n, q, cell, per, err);
    return *param < 0 ? MANGO_E_UNSUPPORTED : MANGO_OK;
}

/* ---- name by name ------------------------------------------------------------ */

/* The next size that is not 1, from *k on; 0: none. */
static mango_idx match_next(int rank, const mango_idx *shape, int *k)
{
    while (*k < rank && shape[*k] == 1)
        ++*k;
    return *k < rank ? shape[(*k)++] : 0;
}

/* Is it a constant of neurons, whose sizes of 1 may be there or not? */
static int match_is_constant(const char *name)
{
    static const char *const tail[] = {"beta", "alpha", "tau", "threshold", "V"};
    const char *dot = strrchr(name, '.');
    for (mango_idx k = 0; dot && k < MGI_COUNT(tail); k++)
        if (!strcmp(dot + 1, tail[k]))
            return 1;
    return 0;
}

MGI_FN int mgi_param_takes(const mgi_param *p, int rank, const mango_idx *shape)
{
    int same = rank == p->rank, i = 0, k = 0;
    for (int j = 0; same && j < rank; j++)
        same = shape[j] == p->shape[j];
    const int map = p->rank == 4 && rank >= 1 && rank <= 3;
    if (same || (!map && !match_is_constant(p->name)))
        return same;
    for (;;) {
        const mango_idx a = match_next(rank, shape, &i), b = match_next(p->rank, p->shape, &k);
        if (a != b || a == 0)
            return a == b;
    }
}

static int match_fits(const mgi_param *p, const mgi_offer *o)
{
    if (o->rank == 0 && p->rank == 1)
        return p->shape[0] == 1;
    return mgi_param_takes(p, o->rank, o->shape);
}

/* A list under way: the first three names, then only a count. */
typedef struct match_list {
    char text[96];
    int n, used;
} match_list;

static void match_note(match_list *l, const char *fmt, ...) MGI_PRINTF(2, 3);
static void match_note(match_list *l, const char *fmt, ...)
{
    va_list ap;
    const int room = (int)sizeof l->text - l->used;
    if (l->n++ >= 3 || room < 8)
        return;
    if (l->used)
        l->used += snprintf(l->text + l->used, (size_t)room, ", ");
    va_start(ap, fmt);
    l->used += vsnprintf(l->text + l->used, sizeof l->text - (size_t)l->used, fmt, ap);
    va_end(ap);
    l->used = MGI_MIN(l->used, (int)sizeof l->text - 1);
}

static void match_shape(char out[48], int rank, const mango_idx *shape)
{
    int used = snprintf(out, 48, rank ? "" : "scalar");
    for (int k = 0; k < rank && used < 40; k++)
        used += snprintf(out + used, (size_t)(48 - used), k ? "x%td" : "%td", shape[k]);
}

static void match_param(const mgi_param *p, mango_idx at, const mgi_offer *o,
                        match_list *missing, match_list *wrong)
{
    char have[48], want[48];
    if (at < 0) {
        match_note(missing, "%s", p->name);
        return;
    }
    if (match_fits(p, o))
        return;
    match_shape(have, o->rank, o->shape);
    match_shape(want, p->rank, p->shape);
    match_note(wrong, "%s is %s, expected %s", p->name, have, want);
}

MGI_FN mango_status mgi_params_match(const mango_net *n, mango_idx count,
                                     const mgi_offer *offer, mango_idx *map, mango_err *err)
{
    match_list missing = {"", 0, 0}, left = {"", 0, 0}, wrong = {"", 0, 0};
    for (mango_idx k = 0; k < count; k++)
        if (mgi_param_find(n, offer[k].name) < 0 && !mgi_param_foreign(n, offer[k].name))
            match_note(&left, "%s", offer[k].name);
    for (int p = 0; p < n->n_params; p++) {
        mango_idx at = -1;
        for (mango_idx k = 0; at < 0 && k < count; k++)
            if (!strcmp(offer[k].name, n->param[p].name))
                at = k;
        match_param(&n->param[p], at, at < 0 ? NULL : &offer[at], &missing, &wrong);
        if (map)
            map[p] = at;
    }
    if (!missing.n && !left.n && !wrong.n)
        return MANGO_OK;
    char text[3][128] = {"", "", ""};
    if (missing.n)
        snprintf(text[0], sizeof text[0], "%d missing (%s); ", missing.n, missing.text);
    if (wrong.n)
        snprintf(text[1], sizeof text[1], "%d of wrong shape (%s); ", wrong.n, wrong.text);
    if (left.n)
        snprintf(text[2], sizeof text[2], "%d left over (%s); ", left.n, left.text);
    return mgi_fail(err, MANGO_E_SHAPE, "parameters differ: %s%s%sexpected %d of %s", text[0],
                    text[1], text[2], n->n_params, n->arch[0] ? n->arch : "the graph");
}

/* ---- a tensor of another program that is no parameter ------------------------------ */

/* Values of a rule: one for all neurons, or one that all have in common, into it; others
 * become a parameter. */
static mango_status match_values(mango_net *net, const char *name, const mango_offer *t,
                                 mango_idx count, const float *v, mango_err *err)
{
    mango_status st = MANGO_OK;
    int same = 1, p;
    for (mango_idx k = 1; k < count; k++)
        same &= v[k] == v[0];
    if (!same) {
        MGI_TRY(mgi_rule_widen(net, name, 1, t->rank, t->shape, &p, err));
        if (p < 0)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "%s has %td values; one a layer expected, not one a neuron",
                            t->name, count);
        memcpy(net->param[p].v, v, (size_t)count * sizeof *v);
        return MANGO_OK;
    }
    mgi_rule_scalar(net, name, (double)v[0], &st, err);
    return st;
}

MGI_FN mango_status mgi_rule_offer(mango_net *net, const char *name, const mango_offers *o,
                                   mango_idx i, mgi_beside *what, mango_err *err)
{
    const mango_offer *t = &o->offer[i];
    match_field field;
    mango_idx count = 1;
    mango_status st = MANGO_OK;
    const int at = match_neuron(net, name, 1, &field);
    *what = at < 0                 ? MGI_BESIDE_LEFT
            : field == MATCH_STATE ? MGI_BESIDE_STATE
                                   : MGI_BESIDE_RULE;
    if (*what != MGI_BESIDE_RULE)
        return MANGO_OK;
    float *v = mgi_prod(t->rank, t->shape, &count) && count > 0
                   ? mgi_new(&net->al, count, sizeof *v)
                   : NULL;
    if (!v)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %s, %td values", t->name, count);
    st = o->values(o->ud, i, v, err);
    if (st == MANGO_OK)
        st = match_values(net, name, t, count, v, err);
    mgi_del(&net->al, v, count, sizeof *v);
    if (field == MATCH_GRADED)
        *what = MGI_BESIDE_STATE;
    return st;
}
