/* tape.c - planning of a tape: the program of steps, lifetimes, the arena.
 *
 * Cutting into segments trades memory for a second forward pass (Chen et al.,
 * "Training deep nets with sublinear memory cost", 2016): values that cross a
 * cut are held, the others are made again before the segment's backward steps.
 * SPDX-License-Identifier: MIT */
#include "../math/spikes_grad.h"
#include "tape.h"
#include <stdlib.h>

#define TAPE_ALIGN 16 /* floats */
#define TAPE_MOST (PTRDIFF_MAX / 8) /* floats, in one value and in all */

void mgi_tape_defaults(mgi_tape_options *o)
{
    memset(o, 0, sizeof *o);
    o->B = 1;
    o->T = 1;
    o->output = -1;
    o->train = 1;
}

mango_idx mgi_tape_rows(const mgi_tape *t, int node)
{
    return t->timed[node] ? t->o.T * t->b : t->b;
}

/* ---- the graph's flags --------------------------------------------------- */

static int tape_kept(const mgi_tape *t, int node)
{
    if (node == t->output)
        return 1;
    for (int k = 0; k < t->o.n_keep; k++)
        if (t->o.keep[k] == node)
            return 1;
    return 0;
}

static int tape_has_params(const mgi_node *n)
{
    return n->weight >= 0 && n->kind != MGI_VQ;
}

static void tape_mark(mgi_tape *t)
{
    const mango_net *net = t->net;
    t->needed[t->output] = 1;
    for (int k = 0; k < t->o.n_keep; k++)
        t->needed[t->o.keep[k]] = 1;
    for (int i = net->n_nodes - 1; i >= 0; i--)
        for (int k = 0; t->needed[i] && k < net->node[i].n_in; k++) {
            t->needed[net->node[i].in[k]] = 1;
            t->uses[net->node[i].in[k]]++;
        }
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        t->timed[i] = n->kind == MGI_LIF;
        t->wants[i] = t->o.train == 1 && (n->kind == MGI_INPUT ? t->o.input_grad : tape_has_params(n));
        for (int k = 0; k < n->n_in; k++) {
            t->timed[i] |= t->timed[n->in[k]];
            t->wants[i] |= t->wants[n->in[k]];
        }
    }
}

/* Floats of node i's value at the largest batch. */
static mango_idx tape_floats(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx f[5] = {t->timed[i] ? t->o.T : 1, t->o.B, n->C, n->H, n->W};
    mango_idx r;
    return mgi_prod(5, f, &r) && r < TAPE_MOST ? r : -1;
}

/* Cut positions: equal shares of the values' floats. */
static void tape_cut(mgi_tape *t, int K)
{
    double total = 0, sum = 0;
    for (int i = 0; i < t->net->n_nodes; i++)
        total += t->needed[i] ? (double)tape_floats(t, i) : 0;
    for (int i = 0; i < t->net->n_nodes; i++) {
        const int k = (int)(sum / (total + 1) * K);
        t->seg[i] = MGI_MIN(k, K - 1);
        sum += t->needed[i] ? (double)tape_floats(t, i) : 0;
    }
}

/* Values and gradients that may share a buffer with their only neighbour. */
static void tape_share(mgi_tape *t)
{
    for (int i = 0; i < t->net->n_nodes; i++) {
        const mgi_node *n = &t->net->node[i];
        t->inplace[i] = 0;
        t->galias[i] = -1;
        if (n->n_in == 0 || !t->needed[i])
            continue;
        const int j = n->in[0];
        const int alone = t->uses[j] == 1 && !tape_kept(t, j) && t->seg[i] == t->seg[j] &&
                          t->net->node[j].kind != MGI_INPUT;
        t->inplace[i] = mgi_op_of(n->kind)->in_place && alone &&
                        !(t->wants[j] && mgi_backward_reads_y(t, j));
        if (alone && t->timed[i] == t->timed[j] && !tape_kept(t, i) &&
            mgi_op_of(n->kind)->same_grad)
            t->galias[j] = i;
    }
}

/* ---- the program --------------------------------------------------------- */

static int tape_buf_new(mgi_tape *t, mango_idx count, int birth)
{
    if (t->n_bufs == t->cap_bufs || count < 0)
        return -1;
    mgi_tape_buf *b = &t->buf[t->n_bufs];
    b->count = mgi_round_up(count, TAPE_ALIGN);
    b->at = 0;
    b->birth = b->death = birth;
    return t->n_bufs++;
}

static mango_idx tape_forward_work(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx rows = tape_floats(t, i) / (n->C * n->H * n->W);
    const mgi_node *in = n->n_in ? &t->net->node[n->in[0]] : n;
    const mgi_op *op = mgi_op_of(n->kind);
    if (op->tape_work)
        return op->tape_work(t, i, rows);
    if (op->work)
        return op->work(t->net, n, rows);
    switch (n->kind) {
    case MGI_CONV:
    case MGI_CONVT: {
        const mgi_conv c = mgi_tape_conv(n);
        return mgi_conv_either_work(&c, rows);
    }
    case MGI_LINEAR: {
        const mango_idx K = in->C * in->H * in->W;
        return n->C * K + TAPE_ALIGN + mgi_gemm_work(rows, n->C, K, 'n', 't');
    }
    case MGI_BATCHNORM:
        return 2 * n->C;
    case MGI_VQ:
        return 2 * n->codes + MGI_MIN(rows * n->H * n->W, 1024) * n->codes +
               mgi_gemm_work(1024, n->codes, n->C, 'n', 't') + 4 * TAPE_ALIGN;
    default:
        return 0;
    }
}

/* Append one step; `cur` holds each node's present buffer. */
static void tape_step(mgi_tape *t, mgi_tape_what what, int i, int *cur)
{
    const int s = t->n_ops++;
    mgi_tape_op *op = &t->op[s];
    const mgi_node *n = &t->net->node[i];
    op->what = what;
    op->node = i;
    op->y = op->work = -1;
    if (what == MGI_FORWARD || what == MGI_AGAIN) {
        for (int k = 0; k < n->n_in; k++)
            if (cur[n->in[k]] >= 0)
                t->buf[cur[n->in[k]]].death = s;
        if (t->inplace[i])
            cur[i] = cur[n->in[0]];
        else
            cur[i] = op->y = tape_buf_new(t, tape_floats(t, i), s);
        const mango_idx work = tape_forward_work(t, i);
        if (work > 0)
            op->work = tape_buf_new(t, work, s);
        return;
    }
    for (int k = 0; k < n->n_in; k++) {
        const int j = n->in[k];
        if (cur[j] >= 0 && mgi_backward_reads_x(t, i))
            t->buf[cur[j]].death = s;
        if (t->wants[j] && t->gbuf[j] < 0)
            t->gbuf[j] = t->galias[j] == i ? t->gbuf[i] : tape_buf_new(t, tape_floats(t, j), s);
        if (t->wants[j])
            t->buf[t->gbuf[j]].death = s;
    }
    if (mgi_backward_reads_y(t, i))
        t->buf[cur[i]].death = s;
    t->buf[t->gbuf[i]].death = s;
    const mango_idx work =
        mgi_backward_work(t, i, tape_floats(t, i) / (n->C * n->H * n->W));
    if (work > 0)
        op->work = tape_buf_new(t, work, s);
}

/* Which nodes of segment k must be made again: what its backward steps read
 * and what that is made of, but for values that are still held. */
static void tape_again(const mgi_tape *t, int k, const int *held, int *again)
{
    const mango_net *net = t->net;
    for (int i = 0; i < net->n_nodes; i++)
        again[i] = 0;
    for (int i = net->n_nodes - 1; i >= 0; i--) {
        if (t->seg[i] != k || !t->needed[i])
            continue;
        const mgi_node *n = &net->node[i];
        if (t->wants[i] && n->kind != MGI_INPUT && mgi_backward_reads_y(t, i) && !held[i])
            again[i] = 1;
        const int reads =
            again[i] || (t->wants[i] && n->kind != MGI_INPUT && mgi_backward_reads_x(t, i));
        for (int m = 0; reads && m < n->n_in; m++)
            if (t->seg[n->in[m]] == k && !held[n->in[m]] && net->node[n->in[m]].kind != MGI_INPUT)
                again[n->in[m]] = 1;
    }
}

static void tape_program(mgi_tape *t, int K, int *cur, int *held, int *again)
{
    const int n = t->net->n_nodes;
    t->n_ops = t->n_bufs = 0;
    t->segments = K;
    tape_cut(t, K);
    tape_share(t);
    for (int i = 0; i < n; i++) {
        cur[i] = t->gbuf[i] = -1;
        held[i] = tape_kept(t, i) || t->seg[i] == K - 1;
    }
    for (int i = 0; i < n; i++)
        for (int m = 0; t->needed[i] && m < t->net->node[i].n_in; m++)
            held[t->net->node[i].in[m]] |= t->seg[i] > t->seg[t->net->node[i].in[m]];
    for (int i = 0; i < n; i++)
        if (t->needed[i] && t->net->node[i].kind != MGI_INPUT)
            tape_step(t, MGI_FORWARD, i, cur);
    t->loss_step = t->n_ops;
    t->op[t->n_ops].what = MGI_LOSS;
    t->op[t->n_ops++].node = t->output;
    t->buf[cur[t->output]].death = t->loss_step;
    if (t->o.train == 1) {
        t->gbuf[t->output] = tape_buf_new(t, tape_floats(t, t->output), t->loss_step);
        for (int k = K - 1; k >= 0; k--) {
            tape_again(t, k, held, again);
            for (int i = 0; k < K - 1 && i < n; i++)
                if (again[i])
                    tape_step(t, MGI_AGAIN, i, cur);
            for (int i = n - 1; i >= 0; i--)
                if (t->needed[i] && t->seg[i] == k && t->wants[i] && t->gbuf[i] >= 0 &&
                    t->net->node[i].kind != MGI_INPUT)
                    tape_step(t, MGI_BACKWARD, i, cur);
        }
    }
    for (int i = 0; i < n; i++)
        if (tape_kept(t, i) && cur[i] >= 0)
            t->buf[cur[i]].death = t->n_ops;
    if (t->o.input_grad && t->gbuf[t->net->input] >= 0)
        t->buf[t->gbuf[t->net->input]].death = t->n_ops;
}

/* ---- the arena ----------------------------------------------------------- */

typedef struct tape_order {
    mango_idx count;
    int buf;
} tape_order;

static int tape_larger(const void *a, const void *b)
{
    const tape_order *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->buf - y->buf;
}

/* The lowest place where buffer b fits between those already placed that live
 * at the same time. placed: indices by rising offset. */
static mango_idx tape_fit(const mgi_tape *t, const mgi_tape_buf *b, int n, const int *placed)
{
    mango_idx at = 0;
    for (int k = 0; k < n; k++) {
        const mgi_tape_buf *p = &t->buf[placed[k]];
        if (p->death < b->birth || p->birth > b->death)
            continue;
        if (at + b->count <= p->at)
            break;
        at = MGI_MAX(at, p->at + p->count);
    }
    return at;
}

/* Offsets: largest first, lowest free place. Returns the total in floats. */
static mango_idx tape_place(mgi_tape *t, tape_order *order, int *placed)
{
    mango_idx total = 0;
    for (int i = 0; i < t->n_bufs; i++) {
        order[i].count = t->buf[i].count;
        order[i].buf = i;
    }
    qsort(order, (size_t)t->n_bufs, sizeof *order, tape_larger);
    for (int i = 0; i < t->n_bufs; i++) {
        mgi_tape_buf *b = &t->buf[order[i].buf];
        b->at = tape_fit(t, b, i, placed);
        int k = i;
        while (k > 0 && t->buf[placed[k - 1]].at > b->at) {
            placed[k] = placed[k - 1];
            k--;
        }
        placed[k] = order[i].buf;
        total = MGI_MAX(total, b->at + b->count);
    }
    return total;
}

/* Raise the number of segments until the arena fits the cap. */
static mango_status tape_plan(mgi_tape *t, int *tmp, tape_order *order, int *placed,
                              mango_err *err)
{
    const int n = t->net->n_nodes;
    const mango_idx cap = t->o.memory;
    mango_idx least = -1;
    int best = 1, Kmax = t->o.train == 1 ? MGI_MIN(n, 48) : 1;
    for (int K = 1; K <= Kmax; K++) {
        tape_program(t, K, tmp, tmp + n, tmp + 2 * n);
        t->arena_count = tape_place(t, order, placed);
        if (cap <= 0 || t->arena_count * (mango_idx)sizeof(float) <= cap)
            return MANGO_OK;
        if (least < 0 || t->arena_count < least) {
            least = t->arena_count;
            best = K;
        }
    }
    return mgi_fail(err, MANGO_E_MEM,
                    "training needs %.1f MiB at batch %ld and %ld steps (%d segments); "
                    "the memory cap is %.1f MiB",
                    (double)least * 4 / 1048576, (long)t->o.B, (long)t->o.T, best,
                    (double)cap / 1048576);
}

/* ---- create and free ----------------------------------------------------- */

static mango_status tape_sizes(const mgi_tape *t, mango_err *err)
{
    for (int i = 0; i < t->net->n_nodes; i++)
        if (tape_floats(t, i) < 0)
            return mgi_fail(err, MANGO_E_LIMIT, "%s: too large for batch %ld, %ld steps",
                            t->net->node[i].name, (long)t->o.B, (long)t->o.T);
    return MANGO_OK;
}

static mango_status tape_arrays(mgi_tape *t)
{
    const mango_idx n = t->net->n_nodes, p = MGI_MAX(t->net->n_params, 1);
    int **ints[] = {&t->timed, &t->needed, &t->wants, &t->uses, &t->seg, &t->inplace,
                    &t->galias, &t->gbuf, &t->written};
    for (mango_idx k = 0; k < MGI_COUNT(ints); k++)
        if (!(*ints[k] = mgi_new(&t->al, n, sizeof(int))))
            return MANGO_E_MEM;
    t->cap_ops = (int)(3 * n + 2);
    t->cap_bufs = (int)(8 * n + 8);
    t->op = mgi_new(&t->al, t->cap_ops, sizeof *t->op);
    t->buf = mgi_new(&t->al, t->cap_bufs, sizeof *t->buf);
    t->val = mgi_new(&t->al, n, sizeof *t->val);
    t->grad = mgi_new(&t->al, n, sizeof *t->grad);
    t->stat = mgi_new(&t->al, n, sizeof *t->stat);
    t->w = mgi_new(&t->al, p, sizeof *t->w);
    t->dw = mgi_new(&t->al, p, sizeof *t->dw);
    return t->op && t->buf && t->val && t->grad && t->stat && t->w && t->dw ? MANGO_OK
                                                                           : MANGO_E_MEM;
}

/* Batch-norm statistics and VQ codes, which outlive single steps. */
static mango_status tape_state(mgi_tape *t)
{
    mango_idx at = 0;
    for (int i = 0; i < t->net->n_nodes; i++) {
        const mgi_node *n = &t->net->node[i];
        t->n_stats += n->kind == MGI_BATCHNORM ? 4 * n->C : 0;
        t->n_codes = n->kind == MGI_VQ && t->needed[i]
                         ? MGI_MAX(t->n_codes, tape_floats(t, i) / n->C)
                         : t->n_codes;
    }
    t->stats = mgi_new(&t->al, t->n_stats, sizeof(float));
    t->codes = mgi_new(&t->al, t->n_codes, sizeof(int32_t));
    if (!t->stats || !t->codes)
        return MANGO_E_MEM;
    for (int i = 0; i < t->net->n_nodes; i++)
        if (t->net->node[i].kind == MGI_BATCHNORM) {
            t->stat[i] = t->stats + at;
            at += 4 * t->net->node[i].C;
        }
    for (int p = 0; p < t->net->n_params; p++)
        t->w[p] = t->net->param[p].v;
    return MANGO_OK;
}

static mango_status tape_commit(mgi_tape *t, mango_err *err)
{
    const mango_idx bytes = (t->arena_count + 2 * TAPE_ALIGN) * (mango_idx)sizeof(float);
    t->raw = t->al.fn(t->al.ud, NULL, 0, (size_t)bytes);
    if (!t->raw)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a tape of %.1f MiB",
                        (double)bytes / 1048576);
    t->arena = (float *)(void *)(t->raw + (64 - (uintptr_t)t->raw % 64) % 64);
    return MANGO_OK;
}

mango_status mgi_tape_new(mgi_tape **out, const mango_net *net, const mgi_tape_options *o,
                          const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(out && net && o && net->n_nodes > 0 && o->B > 0 && o->T > 0);
    MGI_REQUIRE(o->output < net->n_nodes && o->n_keep >= 0 && o->n_keep <= MGI_TAPE_KEEP);
    const mango_alloc a = mgi_alloc_get(al);
    mango_status st = MANGO_E_MEM;
    int *tmp = NULL, *placed = NULL;
    tape_order *order = NULL;
    mgi_tape *t = mgi_new(&a, 1, sizeof *t);
    if (!t)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a tape");
    t->al = a;
    t->net = net;
    t->o = *o;
    t->output = o->output < 0 ? net->output : o->output;
    t->momentum = -1;
    t->bad = -1;
    MGI_TRY_TO(tape_arrays(t));
    tape_mark(t);
    MGI_TRY_TO(tape_sizes(t, err));
    MGI_TRY_TO(tape_state(t));
    st = MANGO_E_MEM;
    tmp = mgi_new(&a, 3 * (mango_idx)net->n_nodes, sizeof *tmp);
    order = mgi_new(&a, t->cap_bufs, sizeof *order);
    placed = mgi_new(&a, t->cap_bufs, sizeof *placed);
    if (!tmp || !order || !placed)
        goto done;
    MGI_TRY_TO(tape_plan(t, tmp, order, placed, err));
    MGI_TRY_TO(tape_commit(t, err));
done:
    mgi_del(&a, tmp, 3 * (mango_idx)net->n_nodes, sizeof *tmp);
    mgi_del(&a, order, t->cap_bufs, sizeof *order);
    mgi_del(&a, placed, t->cap_bufs, sizeof *placed);
    if (st < 0) {
        if (st == MANGO_E_MEM && err && !err->text[0])
            mgi_fail(err, st, "no memory for a tape");
        mgi_tape_free(t);
        t = NULL;
    }
    *out = t;
    return st;
}

void mgi_tape_free(mgi_tape *t)
{
    if (!t)
        return;
    const mango_alloc a = t->al;
    const mango_idx n = t->net->n_nodes, p = MGI_MAX(t->net->n_params, 1);
    int *ints[] = {t->timed, t->needed, t->wants, t->uses, t->seg, t->inplace,
                   t->galias, t->gbuf, t->written};
    for (mango_idx k = 0; k < MGI_COUNT(ints); k++)
        mgi_del(&a, ints[k], n, sizeof(int));
    mgi_del(&a, t->op, t->cap_ops, sizeof *t->op);
    mgi_del(&a, t->buf, t->cap_bufs, sizeof *t->buf);
    mgi_del(&a, t->val, n, sizeof *t->val);
    mgi_del(&a, t->grad, n, sizeof *t->grad);
    mgi_del(&a, t->stat, n, sizeof *t->stat);
    mgi_del(&a, (void *)t->w, p, sizeof *t->w);
    mgi_del(&a, t->dw, p, sizeof *t->dw);
    mgi_del(&a, t->stats, t->n_stats, sizeof(float));
    mgi_del(&a, t->codes, t->n_codes, sizeof(int32_t));
    mgi_del(&a, t->raw, (t->arena_count + 2 * TAPE_ALIGN) * (mango_idx)sizeof(float), 1);
    mgi_del(&a, t, 1, sizeof *t);
}

mango_idx mgi_tape_bytes(const mgi_tape *t)
{
    return t->arena_count * (mango_idx)sizeof(float);
}

/* ---- gradients ----------------------------------------------------------- */

mango_status mgi_grads_new(mgi_grads *g, const mango_net *net)
{
    memset(g, 0, sizeof *g);
    g->al = net->al;
    g->n_params = MGI_MAX(net->n_params, 1);
    for (int p = 0; p < net->n_params; p++)
        g->n += net->param[p].is_buffer ? 0 : net->param[p].count;
    g->flat = mgi_new(&g->al, g->n, sizeof(float));
    g->of = mgi_new(&g->al, g->n_params, sizeof *g->of);
    if (!g->flat || !g->of) {
        mgi_grads_free(g);
        return MANGO_E_MEM;
    }
    float *at = g->flat;
    for (int p = 0; p < net->n_params; p++)
        if (!net->param[p].is_buffer) {
            g->of[p] = at;
            at += net->param[p].count;
        }
    return MANGO_OK;
}

void mgi_grads_free(mgi_grads *g)
{
    if (!g->al.fn)
        return;
    mgi_del(&g->al, g->flat, g->n, sizeof(float));
    mgi_del(&g->al, g->of, g->n_params, sizeof *g->of);
    memset(g, 0, sizeof *g);
}

void mgi_grads_zero(mgi_grads *g)
{
    memset(g->flat, 0, (size_t)g->n * sizeof(float));
}

void mgi_tape_set_grads(mgi_tape *t, const mgi_grads *g)
{
    for (int p = 0; p < t->net->n_params; p++)
        t->dw[p] = g ? g->of[p] : NULL;
}
#undef TAPE_ALIGN
#undef TAPE_MOST
