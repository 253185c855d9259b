/* idx.c - the IDX format of MNIST: two zero bytes, type, rank, big-endian
 * sizes, then the values.
 * SPDX-License-Identifier: MIT */
#include "bytes.h"

MGI_FN mango_status mgi_idx_parse(mgi_idx_array *a, const unsigned char *bytes, mango_idx n,
                                  const char *what, mango_err *err)
{
    memset(a, 0, sizeof *a);
    if (n < 4 || bytes[0] || bytes[1])
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: not an IDX file (two zero bytes expected at its start)", what);
    if (bytes[2] != 0x08)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: IDX type 0x%02x, unsigned bytes (0x08) expected", what,
                        (unsigned)bytes[2]);
    if (bytes[3] < 1 || bytes[3] > 4)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: IDX rank %d, 1 to 4 expected", what,
                        (int)bytes[3]);
    a->rank = bytes[3];
    if (n < 4 + 4 * a->rank)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: cut off in its header, after %ld bytes",
                        what, (long)n);
    for (int i = 0; i < a->rank; i++) {
        uint32_t size = mgi_be32(bytes + 4 + 4 * i);
        if (size < 1 || size > (uint32_t)MGI_DIM_MAX)
            return mgi_fail(err, MANGO_E_LIMIT,
                            "%s: size %lu in dimension %d, 1 to 2^24 expected", what,
                            (unsigned long)size, i);
        a->shape[i] = (mango_idx)size;
    }
    if (!mgi_prod(a->rank, a->shape, &a->count) || a->count != n - 4 - 4 * a->rank)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: its sizes do not match its %ld bytes of data; truncated?",
                        what, (long)(n - 4 - 4 * a->rank));
    a->data = bytes + 4 + 4 * a->rank;
    return MANGO_OK;
}
