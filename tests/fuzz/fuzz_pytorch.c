/* fuzz_pytorch.c - any bytes as a PyTorch checkpoint: as they are (zip or
 * legacy), and as the data.pkl of an archive whose CRCs are right, so that the
 * fuzzer gets past them.
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"
#include <stdlib.h>

static void fuzz_pytorch_read(const unsigned char *p, mango_idx n)
{
    mango_pytorch *c;
    mango_err err;
    if (mango_pytorch_parse(&c, p, n, "fuzz", NULL, NULL, &err) < 0)
        return;
    if (mango_pytorch_choices(c) > 1) /* the last of several dicts */
        mango_pytorch_select(c, mango_pytorch_choice(c, mango_pytorch_choices(c) - 1), &err);
    for (mango_idx i = 0; i < mango_pytorch_tensors(c); i++) {
        mango_tensor t;
        if (mango_pytorch_tensor(c, i, &t) < 0 || t.count > 1 << 16)
            continue;
        float *v = (float *)malloc((size_t)t.count * sizeof *v + 1);
        if (v)
            mango_pytorch_floats(c, i, v, &err);
        free(v);
    }
    mango_pytorch_destroy(c);
}

static unsigned char *fuzz_pytorch_le(unsigned char *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *to++ = (unsigned char)(v >> (8 * i));
    return to;
}

/* One header, local (30 bytes) or of the directory (46). */
static unsigned char *fuzz_pytorch_head(unsigned char *to, int central, const char *name,
                                           const void *p, size_t n, size_t at)
{
    memset(to, 0, 46);
    memcpy(to, central ? "PK\1\2" : "PK\3\4", 4);
    unsigned char *q = to + (central ? 16 : 14);
    q = fuzz_pytorch_le(q, mgi_crc32(0, p, (mango_idx)n), 4);
    q = fuzz_pytorch_le(q, n, 4);
    q = fuzz_pytorch_le(q, n, 4);
    fuzz_pytorch_le(q, strlen(name), 2);
    if (central)
        fuzz_pytorch_le(to + 42, at, 4);
    to += central ? 46 : 30;
    memcpy(to, name, strlen(name));
    return to + strlen(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const unsigned char data[64] = {0, 0, 128, 63};
    if (n > 1 << 20)
        return 0;
    fuzz_pytorch_read(p, (mango_idx)n);
    unsigned char *z = (unsigned char *)malloc(n + 512), *q = z;
    if (!z)
        return 0;
    q = fuzz_pytorch_head(q, 0, "a/data.pkl", p, n, 0);
    if (n)
        memcpy(q, p, n);
    q += n;
    const size_t second = (size_t)(q - z);
    q = fuzz_pytorch_head(q, 0, "a/data/0", data, sizeof data, 0);
    memcpy(q, data, sizeof data);
    q += sizeof data;
    const size_t dir = (size_t)(q - z);
    q = fuzz_pytorch_head(q, 1, "a/data.pkl", p, n, 0);
    q = fuzz_pytorch_head(q, 1, "a/data/0", data, sizeof data, second);
    const size_t size = (size_t)(q - z) - dir;
    memset(q, 0, 22);
    memcpy(q, "PK\5\6", 4);
    fuzz_pytorch_le(q + 8, 2, 2);
    fuzz_pytorch_le(q + 10, 2, 2);
    fuzz_pytorch_le(q + 12, size, 4);
    fuzz_pytorch_le(q + 16, dir, 4);
    fuzz_pytorch_read(z, (mango_idx)(q + 22 - z));
    free(z);
    return 0;
}
