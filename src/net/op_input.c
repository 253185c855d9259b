/* op_input.c - what the caller gives; the executors fill it.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

static const mgi_attr input_attr[] = {
    {"shape", MGI_ATTR_SHAPE, 1, MGI_ATTR_AT(C), 1, 1 << 20, 0, 0},
    {0},
};

static mango_status input_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    if (n->input >= 0)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "node %s: a second input beside '%s'",
                        q->name, n->node[n->input].name);
    return MANGO_OK; /* the attribute is the shape */
}

MGI_DATA const mgi_op mgi_op_input = {
    .name = "input",
    .about = "What the network is given: a picture, a vector, a sequence.",
    .shapes = "- -> CxHxW; a vector is Nx1x1, a sequence Cx1xL",
    .keys = "shape channels, height, width",
    .attr = input_attr,
    .shape = input_shape};
