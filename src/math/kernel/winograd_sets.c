/* winograd_sets.c - which tile transforms go with which kernel table.
 * SPDX-License-Identifier: MIT */
#include "../winograd.h"

MGI_FN const mgi_winograd_set *mgi_winograd_get(const mgi_kernels *k)
{
    const mgi_winograd_set *s = NULL;
    if (k == mgi_kernels_avx512())
        s = mgi_winograd_avx512();
    else if (k == mgi_kernels_avx2())
        s = mgi_winograd_avx2();
    else if (k == mgi_kernels_sse2())
        s = mgi_winograd_sse2();
    else if (k == mgi_kernels_neon())
        s = mgi_winograd_neon();
    return s ? s : mgi_winograd_ref();
}
