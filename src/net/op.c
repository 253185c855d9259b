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
