/* fuzz_idx.c - any bytes as an IDX file, and as a gzip file around one, with an
 * inflate that hands the data through.
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"

static mango_idx fuzz_idx_copy(void *ud, const unsigned char *in, mango_idx n_in,
                               mango_idx *used, unsigned char *out, mango_idx n_out)
{
    (void)ud;
    const mango_idx n = n_in - 8 < n_out ? n_in - 8 : n_out;
    memcpy(out, in, (size_t)n);
    *used = n;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const mango_codecs codecs = {fuzz_idx_copy, NULL, NULL};
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *out = NULL;
    mango_idx n_out = 0;
    mgi_idx_array a;
    mango_err err;
    volatile unsigned char sum = 0;
    if (mgi_idx_parse(&a, p, (mango_idx)n, "fuzz", &err) >= 0)
        for (mango_idx i = 0; i < a.count; i++)
            sum = (unsigned char)(sum + a.data[i]);
    if (mgi_gunzip(p, (mango_idx)n, 1 << 20, "fuzz", &codecs, &al, &out, &n_out, &err) >=
        0) {
        mgi_idx_parse(&a, out, n_out, "fuzz", &err);
        mgi_del(&al, out, n_out + 1, 1);
    }
    return 0;
}
