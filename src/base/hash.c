/* hash.c - CRC-32 (eight bytes a round), MD5 (RFC 1321), SHA-256 around sha256.c.
 * SPDX-License-Identifier: MIT */
#include "hash.h"

/* ---- CRC-32 ---------------------------------------------------------------- */

/* Four bits a step: a table of 16 that needs no set-up. */
static const uint32_t hash_crc4[16] = {
    0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
    0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
    0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
};

/* T[k][b]: the CRC of byte b followed by k zero bytes. */
static void hash_crc_tables(uint32_t T[8][256])
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t c = b;
        c = (c >> 4) ^ hash_crc4[c & 15];
        c = (c >> 4) ^ hash_crc4[c & 15];
        T[0][b] = c;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++)
            T[k][b] = (T[k - 1][b] >> 8) ^ T[0][T[k - 1][b] & 255];
}

MGI_FN uint32_t mgi_crc32(uint32_t crc, const void *p, mango_idx n)
{
    const unsigned char *b = (const unsigned char *)p;
    uint32_t c = ~crc;
    if (n >= 4096) { /* tables on the stack: no mutable globals, worth it from here on */
        uint32_t T[8][256];
        hash_crc_tables(T);
        for (; n >= 8; n -= 8, b += 8) {
            c ^= (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                 (uint32_t)b[3] << 24;
            c = T[7][c & 255] ^ T[6][c >> 8 & 255] ^ T[5][c >> 16 & 255] ^ T[4][c >> 24] ^
                T[3][b[4]] ^ T[2][b[5]] ^ T[1][b[6]] ^ T[0][b[7]];
        }
    }
    for (; n > 0; n--, b++) {
        c ^= *b;
        c = (c >> 4) ^ hash_crc4[c & 15];
        c = (c >> 4) ^ hash_crc4[c & 15];
    }
    return ~c;
}

/* ---- MD5 and SHA-256 --------------------------------------------------------- */

static uint32_t hash_rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

/* floor(2^32 |sin(i + 1)|) */
static const uint32_t hash_md5_k[64] = {
    0xd76aa478u, 0xe8c7b756u, 0x242070dbu, 0xc1bdceeeu, 0xf57c0fafu, 0x4787c62au,
    0xa8304613u, 0xfd469501u, 0x698098d8u, 0x8b44f7afu, 0xffff5bb1u, 0x895cd7beu,
    0x6b901122u, 0xfd987193u, 0xa679438eu, 0x49b40821u, 0xf61e2562u, 0xc040b340u,
    0x265e5a51u, 0xe9b6c7aau, 0xd62f105du, 0x02441453u, 0xd8a1e681u, 0xe7d3fbc8u,
    0x21e1cde6u, 0xc33707d6u, 0xf4d50d87u, 0x455a14edu, 0xa9e3e905u, 0xfcefa3f8u,
    0x676f02d9u, 0x8d2a4c8au, 0xfffa3942u, 0x8771f681u, 0x6d9d6122u, 0xfde5380cu,
    0xa4beea44u, 0x4bdecfa9u, 0xf6bb4b60u, 0xbebfbc70u, 0x289b7ec6u, 0xeaa127fau,
    0xd4ef3085u, 0x04881d05u, 0xd9d4d039u, 0xe6db99e5u, 0x1fa27cf8u, 0xc4ac5665u,
    0xf4292244u, 0x432aff97u, 0xab9423a7u, 0xfc93a039u, 0x655b59c3u, 0x8f0ccc92u,
    0xffeff47du, 0x85845dd1u, 0x6fa87e4fu, 0xfe2ce6e0u, 0xa3014314u, 0x4e0811a1u,
    0xf7537e82u, 0xbd3af235u, 0x2ad7d2bbu, 0xeb86d391u,
};

static void hash_md5_block(uint32_t h[8], const unsigned char *p)
{
    static const unsigned char shift[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], w[16];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
               (uint32_t)p[3] << 24;
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), g = i; break;
        case 1: f = (d & b) | (~d & c), g = (5 * i + 1) % 16; break;
        case 2: f = b ^ c ^ d, g = (3 * i + 5) % 16; break;
        default: f = c ^ (b | ~d), g = 7 * i % 16; break;
        }
        f += a + hash_md5_k[i] + w[g];
        a = d;
        d = c;
        c = b;
        b += hash_rotl(f, shift[i / 16][i % 4]);
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
}

MGI_FN void mgi_md5_init(mgi_hash *s)
{
    static const uint32_t h[4] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u};
    memset(s, 0, sizeof *s);
    memcpy(s->h, h, sizeof h);
    s->is_md5 = 1;
}

MGI_FN void mgi_sha256_init(mgi_hash *s)
{
    static const uint32_t h[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                  0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    memset(s, 0, sizeof *s);
    memcpy(s->h, h, sizeof h);
    s->sha256 = mgi_sha256_ref;
}

/* n blocks of 64 bytes */
static void hash_blocks(mgi_hash *s, const unsigned char *p, mango_idx n)
{
    if (!s->is_md5)
        s->sha256(s->h, p, n);
    for (; s->is_md5 && n > 0; n--, p += 64)
        hash_md5_block(s->h, p);
}

MGI_FN void mgi_hash_add(mgi_hash *s, const void *p, mango_idx n)
{
    const unsigned char *b = (const unsigned char *)p;
    mango_idx have = (mango_idx)(s->bytes % 64);
    s->bytes += (uint64_t)n;
    while (n > 0) {
        mango_idx m = MGI_MIN(64 - have, n);
        if (m == 64) {
            m = n / 64 * 64;
            hash_blocks(s, b, m / 64);
        } else {
            memcpy(s->block + have, b, (size_t)m);
            have += m;
            if (have == 64)
                hash_blocks(s, s->block, 1);
            have %= 64;
        }
        b += m;
        n -= m;
    }
}

MGI_FN void mgi_hash_end(mgi_hash *s, char hex[65])
{
    static const char digit[] = "0123456789abcdef";
    unsigned char tail[72] = {0x80};
    uint64_t bits = s->bytes * 8;
    mango_idx pad =
        (mango_idx)(s->bytes % 64 < 56 ? 56 - s->bytes % 64 : 120 - s->bytes % 64);
    int words = s->is_md5 ? 4 : 8;
    for (int i = 0; i < 8; i++)
        tail[pad + i] = (unsigned char)(bits >> (s->is_md5 ? 8 * i : 56 - 8 * i));
    mgi_hash_add(s, tail, pad + 8);
    for (int i = 0; i < 4 * words; i++) {
        uint32_t b = s->h[i / 4] >> (s->is_md5 ? 8 * (i % 4) : 24 - 8 * (i % 4)) & 255;
        hex[2 * i] = digit[b >> 4];
        hex[2 * i + 1] = digit[b & 15];
    }
    hex[8 * words] = 0;
}

MGI_FN void mgi_sha256(const void *p, mango_idx n, char hex[65])
{
    mgi_hash s;
    mgi_sha256_init(&s);
    mgi_hash_add(&s, p, n);
    mgi_hash_end(&s, hex);
}
