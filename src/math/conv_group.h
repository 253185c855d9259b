/* conv_group.h - convolutions of several groups, c->groups > 1: output o sees the
 * C/groups channels of its group alone. What the functions of ops.h do for them.
 * Sizes in floats.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CONV_GROUP_H
#define MGI_CONV_GROUP_H

#include "conv_geometry.h"

MGI_FN mango_idx mgi_group_packed(const mgi_conv *c);
MGI_FN void mgi_group_pack(const mgi_conv *c, const float *w, float *packed);
MGI_FN mango_idx mgi_group_work(const mgi_conv *c, mango_idx N);
MGI_FN void mgi_group_forward(const mgi_conv *c, mango_idx N, const float *x,
                              const float *packed, const mgi_epilogue *e, float *y,
                              float *work);
/* Of mgi_conv_backward_weights, without the bias; N >= 1. */
MGI_FN mango_idx mgi_group_backward_work(const mgi_conv *c, mango_idx N);
MGI_FN void mgi_group_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                       const float *dy, float *dw, float *work);

/* conv_lanes.c: groups of 1, 2, 4 or 8 channels, with as many outputs. Forward needs no
 * scratch. The gradient by the weights is for groups of 1. */
MGI_FN int mgi_lanes_fit(const mgi_conv *c);
MGI_FN mango_idx mgi_lanes_packed(const mgi_conv *c);
MGI_FN void mgi_lanes_pack(const mgi_conv *c, const float *w, float *packed);
MGI_FN void mgi_lanes_forward(const mgi_conv *c, mango_idx N, const float *x,
                              const float *packed, const mgi_epilogue *e, float *y);
MGI_FN void mgi_lanes_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                       const float *dy, float *dw, float *work);
MGI_FN mango_idx mgi_lanes_backward_work(const mgi_conv *c);

#endif
