/* hash.h - CRC-32, MD5 and SHA-256, to recognize files. Not for secrets.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_HASH_H
#define MGI_HASH_H

#include "mgi.h"

/* CRC-32 of zip and gzip (reflected, 0xEDB88320): start with crc 0, feed the
 * pieces in order. */
MGI_FN uint32_t mgi_crc32(uint32_t crc, const void *p, mango_idx n);

/* The rounds of SHA-256 over n blocks of 64 bytes, in plain C, and their 64 constants.
 * math/kernel/sha256.h has faster ones. */
typedef void (*mgi_sha256_fn)(uint32_t H[8], const unsigned char *p, mango_idx n);
MGI_FN void mgi_sha256_ref(uint32_t H[8], const unsigned char *p, mango_idx n);
MGI_FN const uint32_t *mgi_sha256_k(void);

/* A running MD5 (RFC 1321) or SHA-256 (FIPS 180-4): init, add any number of
 * pieces, then end writes the lower-case hex digest, NUL-terminated. */
typedef struct mgi_hash {
    uint32_t h[8];
    uint64_t bytes;
    unsigned char block[64];
    int is_md5;
    mgi_sha256_fn sha256; /* set by init */
} mgi_hash;
MGI_FN void mgi_md5_init(mgi_hash *s);
MGI_FN void mgi_sha256_init(mgi_hash *s);
MGI_FN void mgi_hash_add(mgi_hash *s, const void *p, mango_idx n);
MGI_FN void mgi_hash_end(mgi_hash *s, char hex[65]); /* 32 or 64 digits */

/* One call for bytes that lie in memory. */
MGI_FN void mgi_sha256(const void *p, mango_idx n, char hex[65]);

#endif
