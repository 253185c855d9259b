/* fuzz_npy.c - any bytes as a .npy file; what is accepted must read and write.
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    mango_npy a;
    mango_err err;
    if (n > 1 << 20 || mango_npy_parse(&a, p, (mango_idx)n, "fuzz", NULL, &err) < 0)
        return 0;
    void *out = malloc((size_t)a.count * sizeof(mango_idx) + 1);
    if (out) {
        mango_npy_floats(&a, (float *)out, &err);
        mango_npy_ints(&a, (mango_idx *)out, &err);
    }
    free(out);
    mango_npy_free(&a);
    return 0;
}
