/* merge.c - several maps into one: sums, and channels side by side.
 * SPDX-License-Identifier: MIT */
#include "ops.h"

#define MERGE_GRAIN (8 * MGI_GRAIN)
#define MERGE_BLOCK 16384

/* All maps of both inputs follow one another: as if they were one long map. */
static void merge_add_flat(mango_idx n, const float *x, const float *y, float *z)
{
    const mgi_kernels *k = mgi_kernels_get();
    MGI_OMP(parallel for schedule(static) if (n >= MERGE_GRAIN))
    for (mango_idx i = 0; i < n; i += MERGE_BLOCK)
        k->add(MGI_MIN(MERGE_BLOCK, n - i), x + i, y + i, z + i);
}

MGI_FN void mgi_add_maps(mango_idx N, mango_idx n, const float *x, mango_idx nx, const float *y,
                         mango_idx ny, float *z)
{
    const mgi_kernels *k = mgi_kernels_get();
    if (nx == N && ny == N) {
        merge_add_flat(N * n, x, y, z);
        return;
    }
    MGI_OMP(parallel for schedule(static) if (N * n >= MERGE_GRAIN))
    for (mango_idx i = 0; i < N; i++)
        k->add(n, x + i % nx * n, y + i % ny * n, z + i * n);
}

MGI_FN void mgi_concat(mango_idx N, mango_idx HW, int n, const mango_idx *C,
                       const float *const *x, const mango_idx *nx, float *y)
{
    mango_idx all = 0;
    for (int j = 0; j < n; j++)
        all += C[j];
    MGI_OMP(parallel for schedule(static) if (N * HW * all >= MERGE_GRAIN))
    for (mango_idx i = 0; i < N; i++) {
        float *at = y + i * HW * all;
        for (int j = 0; j < n; j++) {
            const float *in = x[j] + i % nx[j] * HW * C[j];
            for (mango_idx q = 0; q < HW; q++)
                memcpy(at + q * all, in + q * C[j], (size_t)C[j] * sizeof *y);
            at += C[j];
        }
    }
}

#undef MERGE_GRAIN
#undef MERGE_BLOCK
