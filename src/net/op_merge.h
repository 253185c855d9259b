/* op_merge.h - what add, sub and mul share: inputs of which an axis of size 1 is repeated.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_OP_MERGE_H
#define MGI_OP_MERGE_H

#include "../math/rearrange.h"
#include "tape.h"

/* Each axis is that of all inputs, or 1 in some. */
MGI_FN mango_status mgi_op_merge_shape(const mango_net *n, mgi_node *q, mango_err *err);
/* Are all inputs, and so the output, of one shape? */
MGI_FN int mgi_op_merge_alike(const mango_net *n, const mgi_node *q);
MGI_FN void mgi_op_merge(mgi_merge_op op, const mgi_op_run *r);
/* Each input that wants one gets its gradient, the first last. */
MGI_FN void mgi_op_merge_backward(mgi_merge_op op, mgi_tape *t, int i);

#endif
