/* tape_plan.c - the program of a tape: its steps, lifetimes, the arena.
 *
 * Cutting into segments trades memory for a second forward pass (Chen et al.,
 * "Training deep nets with sublinear memory cost", 2016): values that cross a
 * cut are held, the others are made again before the segment's backward steps.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

#define TAPE_MOST (PTRDIFF_MAX / 8) /* floats, in one value and in all */
#define TAPE_SEGMENTS 48

static const mgi_op *tape_op(const mgi_tape *t, int i)
{
    return mgi_op_of(t->net->node[i].kind);
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
    int some = (n->weight >= 0 || n->bias_p >= 0) && n->kind != MGI_VQ;
    for (int c = 0; c < MGI_CELLS; c++)
        some |= n->cell[c] >= 0;
    return some;
}

static void tape_mark(mgi_tape *t)
{
    const mango_net *net = t->net;
    t->needed[t->output] = 1;
    for (int k = 0; k < t->o.n_keep; k++)
        t->needed[t->o.keep[k]] = 1;
    for (int i = net->n_nodes - 1; i >= 0; i--)
        for (int k = 0; t->needed[i] && i != t->o.from && k < net->node[i].n_in; k++) {
            t->needed[net->node[i].in[k]] = 1;
            t->uses[net->node[i].in[k]]++;
        }
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        t->timed[i] = n->kind == MGI_LIF;
        t->wants[i] = t->o.train == 1 &&
                      (mgi_tape_given(t, i) ? t->o.input_grad : tape_has_params(n));
        for (int k = 0; k < n->n_in && i != t->o.from; k++) {
            t->timed[i] |= t->timed[n->in[k]];
            t->wants[i] |= t->wants[n->in[k]];
        }
    }
}

/* Floats of node i's value at the largest batch. */
mango_idx mgi_tape_floats(const mgi_tape *t, int i)
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
        total += t->needed[i] ? (double)mgi_tape_floats(t, i) : 0;
    for (int i = 0; i < t->net->n_nodes; i++) {
        const int k = (int)(sum / (total + 1) * K);
        t->seg[i] = MGI_MIN(k, K - 1);
        sum += t->needed[i] ? (double)mgi_tape_floats(t, i) : 0;
    }
}

/* Values and gradients that may share a buffer with their only neighbour. */
static void tape_share(mgi_tape *t)
{
    for (int i = 0; i < t->net->n_nodes; i++) {
        const mgi_node *n = &t->net->node[i];
        t->inplace[i] = 0;
        t->galias[i] = -1;
        if (n->n_in == 0 || !t->needed[i] || mgi_tape_given(t, i))
            continue;
        const int j = n->in[0];
        const int alone = t->uses[j] == 1 && !tape_kept(t, j) && t->seg[i] == t->seg[j] &&
                          !mgi_tape_given(t, j);
        t->inplace[i] = tape_op(t, i)->in_place && alone &&
                        !(t->wants[j] && (tape_op(t, j)->reads_y || tape_op(t, i)->reads_x));
        if (alone && t->timed[i] == t->timed[j] && !tape_kept(t, i) &&
            tape_op(t, i)->same_grad && mgi_tape_floats(t, i) == mgi_tape_floats(t, j))
            t->galias[j] = i;
    }
}

/* ---- the program --------------------------------------------------------- */

static int tape_buf_new(mgi_tape *t, mango_idx count, int first)
{
    if (t->n_bufs == t->cap_bufs || count < 0)
        return -1;
    mgi_place *b = &t->buf[t->n_bufs];
    b->size = mgi_round_up(count, MGI_TAPE_ALIGN);
    b->at = 0;
    b->first = b->last = first;
    return t->n_bufs++;
}

static mango_idx tape_maps(const mgi_tape *t, int i)
{
    return t->o.B * (t->timed[i] ? t->o.T : 1);
}

static mango_idx tape_forward_work(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    const mgi_op *op = tape_op(t, i);
    if (op->tape_forward)
        return op->tape_work ? op->tape_work(t, i, tape_maps(t, i)) : 0;
    return op->work ? op->work(t->net, n, tape_maps(t, i)) : 0;
}

mango_idx mgi_tape_spare(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    mango_idx most = 0;
    for (int k = 0; k < n->n_in && !tape_op(t, i)->adds; k++)
        if (t->uses[n->in[k]] > 1 && t->wants[n->in[k]])
            most = MGI_MAX(most, mgi_tape_floats(t, n->in[k]));
    return mgi_round_up(most, MGI_TAPE_ALIGN);
}

static mango_idx tape_backward_work(const mgi_tape *t, int i)
{
    const mgi_op *op = tape_op(t, i);
    return mgi_tape_spare(t, i) +
           (op->backward_work ? op->backward_work(t, i, tape_maps(t, i)) : 0);
}

/* Append one step. */
static mgi_tape_op *tape_op_new(mgi_tape *t, mgi_tape_what what, int node)
{
    mgi_tape_op *op = &t->op[t->n_ops++];
    op->what = what;
    op->node = node;
    op->y = op->work = -1;
    return op;
}

static void tape_scratch(mgi_tape *t, mgi_tape_op *op, mango_idx floats)
{
    if (floats > 0)
        op->work = tape_buf_new(t, floats, t->n_ops - 1);
}

/* A step that makes node i's value; `cur` holds each node's present buffer. */
static void tape_step_forward(mgi_tape *t, mgi_tape_what what, int i, int *cur)
{
    const int s = t->n_ops;
    const mgi_node *n = &t->net->node[i];
    mgi_tape_op *op = tape_op_new(t, what, i);
    for (int k = 0; k < n->n_in; k++)
        if (cur[n->in[k]] >= 0)
            t->buf[cur[n->in[k]]].last = s;
    if (t->inplace[i])
        cur[i] = cur[n->in[0]];
    else
        cur[i] = op->y = tape_buf_new(t, mgi_tape_floats(t, i), s);
    tape_scratch(t, op, tape_forward_work(t, i));
}

static void tape_step_backward(mgi_tape *t, int i, const int *cur)
{
    const int s = t->n_ops;
    const mgi_node *n = &t->net->node[i];
    mgi_tape_op *op = tape_op_new(t, MGI_BACKWARD, i);
    for (int k = 0; k < n->n_in; k++) {
        const int j = n->in[k];
        if (cur[j] >= 0 && tape_op(t, i)->reads_x)
            t->buf[cur[j]].last = s;
        if (t->wants[j] && t->gbuf[j] < 0)
            t->gbuf[j] = t->galias[j] == i ? t->gbuf[i]
                                           : tape_buf_new(t, mgi_tape_floats(t, j), s);
        if (t->wants[j])
            t->buf[t->gbuf[j]].last = s;
    }
    if (tape_op(t, i)->reads_y)
        t->buf[cur[i]].last = s;
    t->buf[t->gbuf[i]].last = s;
    tape_scratch(t, op, tape_backward_work(t, i));
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
        if (mgi_tape_given(t, i))
            continue;
        if (t->wants[i] && tape_op(t, i)->reads_y && !held[i])
            again[i] = 1;
        const int reads =
            again[i] || (t->wants[i] && tape_op(t, i)->reads_x);
        for (int m = 0; reads && m < n->n_in; m++)
            if (t->seg[n->in[m]] == k && !held[n->in[m]] &&
                !mgi_tape_given(t, n->in[m]))
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
        if (t->needed[i] && !mgi_tape_given(t, i))
            tape_step_forward(t, MGI_FORWARD, i, cur);
    t->loss_step = t->n_ops;
    tape_op_new(t, MGI_LOSS, t->output);
    t->buf[cur[t->output]].last = t->loss_step;
    if (t->o.train == 1) {
        t->gbuf[t->output] = tape_buf_new(t, mgi_tape_floats(t, t->output), t->loss_step);
        for (int k = K - 1; k >= 0; k--) {
            tape_again(t, k, held, again);
            for (int i = 0; k < K - 1 && i < n; i++)
                if (again[i])
                    tape_step_forward(t, MGI_AGAIN, i, cur);
            for (int i = n - 1; i >= 0; i--)
                if (t->needed[i] && t->seg[i] == k && t->wants[i] && t->gbuf[i] >= 0 &&
                    !mgi_tape_given(t, i))
                    tape_step_backward(t, i, cur);
        }
    }
    for (int i = 0; i < n; i++)
        if (tape_kept(t, i) && cur[i] >= 0)
            t->buf[cur[i]].last = t->n_ops;
    const int given = t->o.from >= 0 ? t->o.from : t->net->input;
    if (t->o.input_grad && t->gbuf[given] >= 0)
        t->buf[t->gbuf[given]].last = t->n_ops;
}

/* ---- the arena ----------------------------------------------------------- */

static mango_status tape_too_large(const mgi_tape *t, mango_idx least, int segments,
                                   mango_err *err)
{
    if (least < 0)
        return mgi_fail(err, MANGO_E_LIMIT, "batch %ld and %ld steps are too large here",
                        (long)t->o.B, (long)t->o.T);
    return mgi_fail(err, MANGO_E_MEM,
                    "training needs %.1f MiB at batch %ld and %ld steps (%d segments); "
                    "the memory cap is %.1f MiB",
                    (double)least * 4 / 1048576, (long)t->o.B, (long)t->o.T, segments,
                    (double)t->o.memory / 1048576);
}

/* Raise the number of segments until the arena fits the cap. tmp: (3 nodes). */
static mango_status tape_fit(mgi_tape *t, int *tmp, mgi_place_order *order, mango_err *err)
{
    const int n = t->net->n_nodes, most = t->o.train == 1 ? MGI_MIN(n, TAPE_SEGMENTS) : 1;
    const mango_idx cap = t->o.memory > 0 ? t->o.memory / (mango_idx)sizeof(float) : TAPE_MOST;
    mango_idx least = -1;
    int best = 1;
    for (int K = 1; K <= most; K++) {
        tape_program(t, K, tmp, tmp + n, tmp + 2 * n);
        t->arena_count = mgi_place_all(t->n_bufs, t->buf, order);
        if (t->arena_count < 0)
            continue;
        if (t->arena_count <= cap)
            return MANGO_OK;
        if (least < 0 || t->arena_count < least) {
            least = t->arena_count;
            best = K;
        }
    }
    t->arena_count = 0;
    return tape_too_large(t, least, best, err);
}

static mango_status tape_sizes(const mgi_tape *t, mango_err *err)
{
    for (int i = 0; i < t->net->n_nodes; i++)
        if (mgi_tape_floats(t, i) < 0)
            return mgi_fail(err, MANGO_E_LIMIT, "%s: too large for batch %ld, %ld steps",
                            t->net->node[i].name, (long)t->o.B, (long)t->o.T);
    return MANGO_OK;
}

mango_status mgi_tape_plan(mgi_tape *t, mango_err *err)
{
    const mango_idx n = 3 * (mango_idx)t->net->n_nodes;
    mango_status st = MANGO_E_MEM;
    if (mgi_tape_given(t, t->output))
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "node '%s' is what goes in and what comes out: no gradient passes it",
                        t->net->node[t->output].name);
    int *tmp = mgi_new(&t->al, n, sizeof *tmp);
    mgi_place_order *order = mgi_new(&t->al, t->cap_bufs, sizeof *order);
    if (!tmp || !order)
        goto done;
    tape_mark(t);
    MGI_TRY_TO(tape_sizes(t, err));
    MGI_TRY_TO(tape_fit(t, tmp, order, err));
done:
    mgi_del(&t->al, tmp, n, sizeof *tmp);
    mgi_del(&t->al, order, t->cap_bufs, sizeof *order);
    return st;
}
#undef TAPE_MOST
#undef TAPE_SEGMENTS
