/* bytes.c - loads of any alignment and byte order, and gzip (RFC 1952).
 * SPDX-License-Identifier: MIT */
#include "bytes.h"

#define BYTES_GZ_MEMBERS 65536 /* bgzip makes one of each 64 KiB */

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

/* Where unpacking stands: what is left of the file, what is done of the bytes out. */
typedef struct bytes_gz {
    const unsigned char *in;
    unsigned char *out;
    mango_idx n, cap, done, members;
} bytes_gz;

/* The next member; NULL, or what is wrong with it. */
static const char *bytes_gz_member(bytes_gz *g, const mango_codecs *codecs)
{
    const mango_idx head = bytes_gz_header(g->in, g->n), room = g->cap - g->done;
    mango_idx used = -1;
    if (g->members == BYTES_GZ_MEMBERS)
        return "more than 65536 members";
    if (head < 0)
        return "no gzip data, or cut off in its header";
    const mango_idx got = codecs->inflate(codecs->ud, g->in + head, g->n - head, &used,
                                          g->out + g->done, room);
    const mango_idx end = head + used;
    if (got < 0 || got > room || used < 0 || end > g->n - 8)
        return "truncated, damaged, or larger than expected";
    if ((uint64_t)got != mgi_le32(g->in + end + 4))
        return "does not unpack to the size it states; truncated or damaged";
    if (mgi_crc32(0, g->out + g->done, got) != mgi_le32(g->in + end))
        return "CRC-32 does not match; truncated or damaged";
    g->in += end + 8;
    g->n -= end + 8;
    g->done += got;
    g->members++;
    return NULL;
}

/* Zeros fill the last block of a tape or a disk. */
static int bytes_gz_end(const bytes_gz *g)
{
    mango_idx i = 0;
    while (i < g->n && g->in[i] == 0)
        i++;
    return i == g->n;
}

/* All members of in[0..n) into `cap` new bytes, *out NULL when they do not fit or are
 * damaged; then cut to what there was. */
static mango_status bytes_gz_unpack(const unsigned char *in, mango_idx n, mango_idx cap,
                                    const char *what, const mango_codecs *codecs,
                                    const mango_alloc *al, unsigned char **out,
                                    mango_idx *n_out, mango_err *err)
{
    bytes_gz g = {in, NULL, n, cap, 0, 0};
    const char *flaw = NULL;
    g.out = (unsigned char *)mgi_new(al, cap + 1, 1);
    if (!g.out)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what, (long)cap);
    while (!flaw && (g.members == 0 || !bytes_gz_end(&g)))
        flaw = bytes_gz_member(&g, codecs);
    *n_out = g.done;
    *out = flaw ? NULL : (unsigned char *)mgi_resize(al, g.out, cap + 1, g.done + 1, 1);
    if (*out) {
        (*out)[g.done] = 0;
        return MANGO_OK;
    }
    mgi_del(al, g.out, cap + 1, 1);
    if (!flaw)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    return mgi_fail(err, MANGO_E_FORMAT,
                    "%s, byte %ld, gzip member %ld: %s (%ld bytes unpacked, at most %ld)", what,
                    (long)(g.in - in), (long)g.members + 1, flaw, (long)g.done, (long)cap);
}

MGI_FN mango_status mgi_gunzip(const unsigned char *in, mango_idx n, mango_idx limit,
                               const char *what, const mango_codecs *codecs,
                               const mango_alloc *al, unsigned char **out, mango_idx *n_out,
                               mango_err *err)
{
    *out = NULL;
    if (bytes_gz_header(in, n) < 0)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: not a gzip file, or cut off in its header", what);
    if (!codecs || !codecs->inflate)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: compressed, and this build cannot inflate; unpack it by hand",
                        what);
    if (mgi_le32(in + n - 4) > (uint64_t)limit || limit > (mango_idx)INT_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: its end says %lu bytes unpacked, at most %ld expected; larger, "
                        "truncated, or other bytes behind it",
                        what, (unsigned long)mgi_le32(in + n - 4), (long)limit);
    const mango_idx last = (mango_idx)mgi_le32(in + n - 4);
    if (last / 1032 > n)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: %ld bytes cannot hold the %ld it claims; truncated?", what,
                        (long)n, (long)last);
    const mango_idx most = n > limit / 1032 ? limit : n * 1032;
    mango_err why = {""};
    mango_status st = bytes_gz_unpack(in, n, last, what, codecs, al, out, n_out, &why);
    if (st == MANGO_E_FORMAT && last < most) /* it is not the only member, perhaps */
        st = bytes_gz_unpack(in, n, most, what, codecs, al, out, n_out, &why);
    return st < 0 ? mgi_fail(err, st, "%s", why.text) : st;
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

#undef BYTES_GZ_MEMBERS
