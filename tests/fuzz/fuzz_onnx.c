/* fuzz_onnx.c - any bytes as an ONNX model: read, translated, its tensors read out.
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    mango_onnx *m = NULL;
    mango_onnx_info info;
    mango_err err;
    if (n > 1 << 20 || mango_onnx_parse(&m, p, (mango_idx)n, "fuzz", NULL, &err) < 0)
        return 0;
    mango_onnx_translate(m, NULL, &err);
    mango_onnx_get(m, &info);
    for (mango_idx i = 0; i < mango_onnx_tensors(m); i++) {
        mango_tensor t;
        if (mango_onnx_tensor(m, i, &t) < 0 || t.count > 1 << 16)
            continue;
        float *v = (float *)malloc((size_t)t.count * sizeof *v + 1);
        if (v)
            mango_onnx_floats(m, i, v, &err);
        free(v);
    }
    mango_onnx_destroy(m);
    return 0;
}
