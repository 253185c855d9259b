/* op.c - the table of operators, by kind and by name.
 * SPDX-License-Identifier: MIT */
#include "op.h"
#include "graph.h"

static const mgi_op *const op_table[MGI_KINDS] = {
#define MGI_ROW(KIND, name) &mgi_op_##name,
    MGI_OPS(MGI_ROW)
#undef MGI_ROW
};

MGI_FN const mgi_op *mgi_op_of(mgi_kind k)
{
    return op_table[k];
}

MGI_FN const char *mgi_kind_name(mgi_kind k)
{
    return op_table[k]->name;
}

MGI_FN int mgi_kind_find(const char *name, mgi_kind *k)
{
    for (int i = 0; i < MGI_KINDS; i++)
        if (!strcmp(op_table[i]->name, name)) {
            *k = (mgi_kind)i;
            return 1;
        }
    return 0;
}

MGI_FN int mgi_is_matmul(mgi_kind k)
{
    return k == MGI_CONV || k == MGI_CONVT || k == MGI_LINEAR;
}

MGI_FN mango_status mgi_shape_bad(const mgi_node *q, const mgi_node *x, const char *why,
                                  mango_err *err)
{
    return mgi_fail(err, MANGO_E_SHAPE, "node %s: input '%s' of shape %tdx%tdx%td: %s", q->name,
                    x->name, x->C, x->H, x->W, why);
}

MGI_FN void mgi_shape_copy(mgi_node *q, const mgi_node *x)
{
    q->C = x->C;
    q->H = x->H;
    q->W = x->W;
}
