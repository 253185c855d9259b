/* bytes.c - loads of any alignment and byte order, and gzip (RFC 1952).
 * SPDX-License-Identifier: MIT */
#include "bytes.h"

MGI_FN uint32_t mgi_le16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

MGI_FN uint32_t mgi_le32(const unsigned char *p)
{
    return mgi_le16(p) | mgi_le16(p + 2) << 16;
}

MGI_FN uint64_t mgi_le64(const unsigned char *p)
{
    return (uint64_t)mgi_le32(p) | (uint64_t)mgi_le32(p + 4) << 32;
}

MGI_FN uint32_t mgi_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           (uint32_t)p[3];
}

MGI_FN int mgi_little_endian(void)
{
    const uint16_t one = 1;
    unsigned char b[2];
    memcpy(b, &one, 2);
    return b[0] == 1;
}

MGI_FN mango_status mgi_path_ends(const char *path, mango_err *err)
{
    if (mgi_os_kind(path) != 3)
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_IO, "%s: a pipe or device, a regular file was expected", path);
}

/* Offset of the deflate data behind the gzip header, or -1. */
static mango_idx bytes_gz_header(const unsigned char *in, mango_idx n)
{
    enum { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, RESERVED = 0xE0 };
    mango_idx at = 10;
    if (n < 18 || in[0] != 0x1f || in[1] != 0x8b || in[2] != 8 || (in[3] & RESERVED))
        return -1;
    if (in[3] & FEXTRA) {
        at += 2 + (mango_idx)mgi_le16(in + 10);
        if (at > n)
            return -1;
    }
    for (int text = FNAME; text <= FCOMMENT; text *= 2)
        if (in[3] & text) {
            while (at < n && in[at])
                at++;
            at++;
        }
    if (in[3] & FHCRC)
        at += 2;
    return at <= n - 8 ? at : -1;
}

MGI_FN mango_status mgi_gunzip(const unsigned char *in, mango_idx n, mango_idx limit,
                               const char *what, const mango_codecs *codecs,
                               const mango_alloc *al, unsigned char **out, mango_idx *n_out,
                               mango_err *err)
{
    mango_idx at = bytes_gz_header(in, n), size, got;
    *out = NULL;
    if (at < 0)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: not a gzip file, or cut off in its header", what);
    if (!codecs || !codecs->inflate)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: compressed, and this build cannot inflate; unpack it by hand",
                        what);
    if (mgi_le32(in + n - 4) > (uint64_t)limit || limit > (mango_idx)INT_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: says it unpacks to %lu bytes, at most %ld expected", what,
                        (unsigned long)mgi_le32(in + n - 4), (long)limit);
    size = (mango_idx)mgi_le32(in + n - 4);
    if (size / 1032 > n)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: %ld bytes cannot hold the %ld it claims; truncated?", what,
                        (long)n, (long)size);
    *out = (unsigned char *)mgi_new(al, size + 1, 1);
    if (!*out)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what,
                        (long)size);
    got = codecs->inflate(codecs->ud, in + at, n - at, *out, size); /* and the trailer */
    *n_out = size;
    if (got == size && mgi_crc32(0, *out, size) == mgi_le32(in + n - 8))
        return MANGO_OK;
    mgi_del(al, *out, size + 1, 1);
    *out = NULL;
    return mgi_fail(err, MANGO_E_FORMAT, "%s: %s; truncated or damaged", what,
                    got == size ? "CRC-32 does not match"
                                : "does not unpack to the size it states");
}

MGI_FN int mgi_name_ok(const unsigned char *s, mango_idx n, mango_idx max)
{
    for (mango_idx i = 0, len = 0; i < n; i += len) {
        len = mgi_utf8(s + i, n - i);
        if (len == 0 || s[i] < 32 || s[i] == 127)
            return 0;
    }
    return n >= 1 && n <= max;
}

mango_status mango_gunzip(const unsigned char *in, mango_idx n, mango_idx limit,
                          const char *what, const mango_codecs *codecs, const mango_alloc *al,
                          unsigned char **out, mango_idx *n_out, mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    MGI_CHECK(err, in && n >= 0 && out && n_out, "mango_gunzip: bytes or results are NULL");
    return mgi_gunzip(in, n, limit, what ? what : "gzip", codecs, &a, out, n_out, err);
}
