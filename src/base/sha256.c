/* sha256.c - the rounds of SHA-256 (FIPS 180-4, section 6.2), n blocks a call,
 * in plain C; math/kernel/sha256.c has the instructions of newer x86 processors.
 *
 *   T1 = h + S1(e) + Ch(e,f,g) + K[i] + W[i]      T2 = S0(a) + Maj(a,b,c)     (1)
 *   W[i] = s1(W[i-2]) + W[i-7] + s0(W[i-15]) + W[i-16]                        (2)
 * SPDX-License-Identifier: MIT */
#include "hash.h"

/* K: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha_k[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u,
    0x923f82a4u, 0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u,
    0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u,
    0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u,
    0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u,
    0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
    0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au,
    0x5b9cca4fu, 0x682e6ff3u, 0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u,
    0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

#define SHA_ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* (1): instead of moving eight words along, the caller moves their names. */
#define SHA_ROUND(a, b, c, d, e, f, g, h, i)                                             \
    do {                                                                                 \
        const uint32_t t1 = h + (SHA_ROTR(e, 6) ^ SHA_ROTR(e, 11) ^ SHA_ROTR(e, 25)) +   \
                            (g ^ (e & (f ^ g))) + sha_k[i] + w[(i) & 15];                \
        d += t1;                                                                         \
        h = t1 + (SHA_ROTR(a, 2) ^ SHA_ROTR(a, 13) ^ SHA_ROTR(a, 22)) +                  \
            ((a & b) | (c & (a | b)));                                                   \
    } while (0)

/* (2), in a ring of 16 words. */
static void sha_schedule(uint32_t w[16])
{
    for (int i = 0; i < 16; i++) {
        const uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
        w[i] += (SHA_ROTR(x, 7) ^ SHA_ROTR(x, 18) ^ x >> 3) + w[(i + 9) & 15] +
                (SHA_ROTR(y, 17) ^ SHA_ROTR(y, 19) ^ y >> 10);
    }
}

MGI_FN void mgi_sha256_ref(uint32_t H[8], const unsigned char *p, mango_idx n)
{
    for (; n > 0; n--) {
        uint32_t a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6],
                 h = H[7], w[16];
        for (int i = 0; i < 16; i++, p += 4)
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
                   (uint32_t)p[3];
        for (int i = 0; i < 64; i += 8) {
            if (i > 0 && i % 16 == 0)
                sha_schedule(w);
            SHA_ROUND(a, b, c, d, e, f, g, h, i);
            SHA_ROUND(h, a, b, c, d, e, f, g, i + 1);
            SHA_ROUND(g, h, a, b, c, d, e, f, i + 2);
            SHA_ROUND(f, g, h, a, b, c, d, e, i + 3);
            SHA_ROUND(e, f, g, h, a, b, c, d, i + 4);
            SHA_ROUND(d, e, f, g, h, a, b, c, i + 5);
            SHA_ROUND(c, d, e, f, g, h, a, b, i + 6);
            SHA_ROUND(b, c, d, e, f, g, h, a, i + 7);
        }
        H[0] += a;
        H[1] += b;
        H[2] += c;
        H[3] += d;
        H[4] += e;
        H[5] += f;
        H[6] += g;
        H[7] += h;
    }
}

MGI_FN const uint32_t *mgi_sha256_k(void)
{
    return sha_k;
}

#undef SHA_ROTR
#undef SHA_ROUND
