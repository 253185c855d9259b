/* fuzz_weights.c - any bytes as a safetensors file, and its header as JSON.
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_tensors f;
    mgi_json j;
    mango_err err;
    if (n > 1 << 16)
        return 0;
    if (mgi_json_parse(&j, (const char *)p, (mango_idx)n, NULL, &err) >= 0)
        mgi_json_free(&j);
    unsigned char *image = mgi_new(&al, (mango_idx)n + 1, 1);
    if (!image)
        return 0;
    memcpy(image, p, n);
    if (mgi_tensors_parse(&f, image, (mango_idx)n, "fuzz", NULL, &err) < 0) {
        mgi_del(&al, image, (mango_idx)n + 1, 1);
        return 0;
    }
    for (mango_idx i = 0; i < f.n; i++) {
        float *v = malloc((size_t)f.t[i].count * sizeof *v + 1);
        if (v)
            mgi_tensor_floats(&f.t[i], 1, v, &err);
        free(v);
    }
    mgi_tensors_free(&f);
    return 0;
}
