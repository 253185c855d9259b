/* winograd_ref.c - the tile transforms in plain C.
 * SPDX-License-Identifier: MIT */
#include "winobody.h"

#define WINO_T float
#define WINO_W 1
#define WINO_GET(p) (*(p))
#define WINO_PUT(p, v) (*(p) = (v))
#define WINO_ADD(a, b) ((a) + (b))
#define WINO_SUB(a, b) ((a) - (b))
#define WINO_MAC(k, a, b) ((k) * (a) + (b)) /* k*a is exact: k is a power of 2 */
#define WINO_RELU(v) ((v) > 0.0f ? (v) : 0.0f)
#define WINO_ZERO 0.0f
MGI_WINO_SET(mgi_wino_ref, static);

MGI_FN const mgi_winograd_set *mgi_winograd_ref(void)
{
    return &mgi_wino_ref_set;
}

#undef WINO_T
#undef WINO_W
#undef WINO_GET
#undef WINO_PUT
#undef WINO_ADD
#undef WINO_SUB
#undef WINO_MAC
#undef WINO_RELU
#undef WINO_ZERO
