/* qtt.c - quantized modes: a mode of 2^q levels as q modes of two.
 * Bits are little-endian within each mode: i = b_0 + 2 b_1 + 4 b_2 + ...
 * SPDX-License-Identifier: MIT */
#include "method.h"

/* q when n = 2^q with q >= 1, else 0: the mode stays as it is. */
static mango_idx qtt_bits(mango_idx n)
{
    mango_idx q = 0;
    if (n < 2 || (n & (n - 1)) != 0)
        return 0;
    for (; n > 1; n >>= 1)
        q++;
    return q;
}

mango_idx mgi_qtt_modes(mango_idx d, const mango_idx *n, mango_idx *nq)
{
    mango_idx m = 0;
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx q = qtt_bits(n[j]);
        for (mango_idx s = 0; s < MGI_MAX(q, 1); s++, m++)
            if (nq)
                nq[m] = q ? 2 : n[j];
    }
    return m;
}

void mgi_qtt_split(mango_idx d, const mango_idx *n, const mango_idx *I, mango_idx *Iq)
{
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx q = qtt_bits(n[j]);
        if (q == 0)
            *Iq++ = I[j];
        for (mango_idx s = 0; s < q; s++)
            *Iq++ = (I[j] >> s) & 1;
    }
}

void mgi_qtt_join(mango_idx d, const mango_idx *n, const mango_idx *Iq, mango_idx *I)
{
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx q = qtt_bits(n[j]);
        I[j] = q == 0 ? *Iq++ : 0;
        for (mango_idx s = 0; s < q; s++)
            I[j] |= *Iq++ << s;
    }
}
