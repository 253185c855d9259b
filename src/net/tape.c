/* tape.c - the tape as an object: made, read, freed.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

void mgi_tape_defaults(mgi_tape_options *o)
{
    memset(o, 0, sizeof *o);
    o->B = 1;
    o->T = 1;
    o->output = o->from = -1;
    o->train = 1;
}

/* ---- create and free ----------------------------------------------------- */

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

/* What nodes keep between their steps, and VQ codes. */
static mango_status tape_state(mgi_tape *t)
{
    const mango_net *net = t->net;
    mango_idx at = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        const mgi_op *op = mgi_op_of(n->kind);
        t->n_stats += op->tape_keeps ? op->tape_keeps(n) : 0;
        if (n->kind == MGI_VQ && t->needed[i])
            t->n_codes = MGI_MAX(t->n_codes, mgi_tape_floats(t, i) / n->C);
    }
    t->stats = mgi_new(&t->al, t->n_stats, sizeof(float));
    t->codes = mgi_new(&t->al, t->n_codes, sizeof(int32_t));
    if (!t->stats || !t->codes)
        return MANGO_E_MEM;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_op *op = mgi_op_of(net->node[i].kind);
        t->stat[i] = t->stats + at;
        at += op->tape_keeps ? op->tape_keeps(&net->node[i]) : 0;
    }
    for (int p = 0; p < net->n_params; p++)
        t->w[p] = net->param[p].v;
    return MANGO_OK;
}

static mango_status tape_commit(mgi_tape *t, mango_err *err)
{
    const mango_idx bytes = (t->arena_count + 2 * MGI_TAPE_ALIGN) * (mango_idx)sizeof(float);
    t->raw = t->al.fn(t->al.ud, NULL, 0, (size_t)bytes);
    if (!t->raw)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a tape of %.1f MiB",
                        (double)bytes / 1048576);
    t->arena = (float *)(void *)(t->raw + (64 - (uintptr_t)t->raw % 64) % 64);
    return MANGO_OK;
}

static mango_status tape_make(mgi_tape *t, mango_err *err)
{
    MGI_TRY(tape_arrays(t));
    MGI_TRY(mgi_tape_plan(t, err));
    MGI_TRY(tape_state(t));
    return tape_commit(t, err);
}

mango_status mgi_tape_new(mgi_tape **out, const mango_net *net, const mgi_tape_options *o,
                          const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(out && net && o && net->n_nodes > 0 && o->B > 0 && o->T > 0);
    MGI_REQUIRE(o->output < net->n_nodes && o->from < net->n_nodes);
    MGI_REQUIRE(o->n_keep >= 0 && o->n_keep <= MGI_TAPE_KEEP);
    const mango_alloc a = mgi_alloc_get(al);
    mgi_tape *t = mgi_new(&a, 1, sizeof *t);
    mango_err own = {""};
    *out = NULL;
    if (!t)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a tape");
    t->al = a;
    t->net = net;
    t->o = *o;
    t->output = o->output < 0 ? net->output : o->output;
    t->momentum = -1;
    t->bad = -1;
    const mango_status st = tape_make(t, &own);
    if (st < 0) {
        mgi_tape_free(t);
        return mgi_fail(err, st, "%s", own.text[0] ? own.text : "no memory for a tape");
    }
    *out = t;
    return MANGO_OK;
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
    mgi_del(&a, t->raw, (t->arena_count + 2 * MGI_TAPE_ALIGN) * (mango_idx)sizeof(float), 1);
    mgi_del(&a, t, 1, sizeof *t);
}

mango_idx mgi_tape_bytes(const mgi_tape *t)
{
    return t->arena_count * (mango_idx)sizeof(float);
}

/* ---- read ----------------------------------------------------------------- */

const float *mgi_tape_value(const mgi_tape *t, int node, mango_idx *rows)
{
    const int i = node < 0 ? t->output : node;
    if (rows)
        *rows = mgi_tape_rows(t, i);
    return t->val[i];
}

float *mgi_tape_dout(mgi_tape *t)
{
    return t->o.train == 1 ? t->arena + t->buf[t->gbuf[t->output]].at : NULL;
}

const float *mgi_tape_input_grad(const mgi_tape *t)
{
    const int g = t->gbuf[t->o.from >= 0 ? t->o.from : t->net->input];
    return g >= 0 ? t->arena + t->buf[g].at : NULL;
}
