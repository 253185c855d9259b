/* zip.c - zip archives read through their central directory (APPNOTE 6.3),
 * every entry checked against its local header before anything is used.
 * SPDX-License-Identifier: MIT */
#include "zip.h"
#include <stdlib.h>

enum { ZIP_LOCAL = 30, ZIP_CENTRAL = 46, ZIP_END = 22, ZIP_END64 = 56, ZIP_LOCATOR = 20 };
enum { ZIP_AHEAD = 8 }; /* bytes of the directory that inflate may look at */

static mango_status zip_bad(mango_err *err, const char *what, mango_idx at, const char *why)
{
    return mgi_fail(err, MANGO_E_FORMAT, "%s: damaged zip archive at byte %ld: %s", what,
                    (long)at, why);
}

/* Is the signature "PK" a b at byte `at`, with room for `need` bytes? */
static int zip_sig(const mgi_zip *z, mango_idx at, mango_idx need, int a, int b)
{
    if (at < 0 || at > z->size - need)
        return 0;
    const unsigned char *p = z->bytes + at;
    return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

/* A 64-bit size as an index; -1 when it is larger than the file may be. */
static mango_idx zip_size(uint64_t v)
{
    return v > (uint64_t)MGI_FILE_MAX ? -1 : (mango_idx)v;
}

/* The directory: number of entries, first byte, first byte behind. */
static mango_status zip_end(const mgi_zip *z, mango_idx *count, mango_idx *from,
                            mango_idx *to, const char *what, mango_err *err)
{
    const mango_idx end = z->size - ZIP_END, locator = end - ZIP_LOCATOR;
    uint64_t n, size, offset;
    if (!zip_sig(z, end, ZIP_END, 5, 6) || mgi_le16(z->bytes + end + 20) != 0)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: no zip directory at its end (truncated, or bytes behind it)",
                        what);
    const unsigned char *p = z->bytes + end;
    if (mgi_le16(p + 4) || mgi_le16(p + 6) || mgi_le16(p + 8) != mgi_le16(p + 10))
        return zip_bad(err, what, end, "several disks");
    n = mgi_le16(p + 10);
    size = mgi_le32(p + 12);
    offset = mgi_le32(p + 16);
    *to = end;
    if (zip_sig(z, locator, ZIP_LOCATOR, 6, 7)) {
        *to = locator - ZIP_END64;
        if (!zip_sig(z, *to, ZIP_END64, 6, 6) ||
            mgi_le64(z->bytes + locator + 8) != (uint64_t)*to ||
            mgi_le64(z->bytes + *to + 4) != ZIP_END64 - 12)
            return zip_bad(err, what, locator, "zip64 locator and directory end disagree");
        const unsigned char *q = z->bytes + *to;
        if ((n != 0xffff && n != mgi_le64(q + 32)) ||
            mgi_le64(q + 24) != mgi_le64(q + 32) ||
            (size != 0xffffffffu && size != mgi_le64(q + 40)) ||
            (offset != 0xffffffffu && offset != mgi_le64(q + 48)))
            return zip_bad(err, what, *to, "zip64 and plain directory ends disagree");
        n = mgi_le64(q + 32);
        size = mgi_le64(q + 40);
        offset = mgi_le64(q + 48);
    }
    if (n < 1 || n > MGI_ZIP_ENTRIES)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %llu zip entries, 1 to %d expected", what,
                        (unsigned long long)n, MGI_ZIP_ENTRIES);
    if (size > (uint64_t)*to || offset != (uint64_t)*to - size || size < n * ZIP_CENTRAL)
        return zip_bad(err, what, end, "directory size and place disagree");
    *count = (mango_idx)n;
    *from = (mango_idx)offset;
    return MANGO_OK;
}

/* zip64 values of an extra field, in the order of v where v is 0xffffffff;
 * 0 when they are missing or a field runs over its end. */
static int zip_extra(const unsigned char *p, mango_idx n, int count, uint64_t **v)
{
    int missing = 0;
    for (int i = 0; i < count; i++)
        missing += *v[i] == 0xffffffffu;
    while (n >= 4) {
        mango_idx len = (mango_idx)mgi_le16(p + 2), at = 0;
        if (len > n - 4)
            return 0;
        for (int i = 0; mgi_le16(p) == 1 && i < count && missing; i++)
            if (*v[i] == 0xffffffffu) {
                if (at + 8 > len)
                    return 0;
                *v[i] = mgi_le64(p + 4 + at);
                at += 8;
                missing--;
            }
        p += 4 + len;
        n -= 4 + len;
    }
    return missing == 0;
}

/* The local header must say what the directory says; zeros with a descriptor. */
static mango_status zip_local(const mgi_zip *z, mgi_zip_entry *e, mango_idx limit,
                              const char *what, mango_err *err)
{
    if (e->start > limit - ZIP_LOCAL || !zip_sig(z, e->start, ZIP_LOCAL, 3, 4))
        return zip_bad(err, what, e->start, "no local header where the directory says");
    const unsigned char *p = z->bytes + e->start;
    mango_idx name = (mango_idx)mgi_le16(p + 26), extra = (mango_idx)mgi_le16(p + 28);
    uint64_t packed = mgi_le32(p + 18), size = mgi_le32(p + 22), *v[2] = {&size, &packed};
    e->data = e->start + ZIP_LOCAL + name + extra;
    if (e->data > limit || e->packed > limit - e->data)
        return zip_bad(err, what, e->start, "an entry runs into the directory");
    if (name != e->n || memcmp(p + ZIP_LOCAL, e->name, (size_t)name) ||
        (int)mgi_le16(p + 6) != e->flags || (int)mgi_le16(p + 8) != e->method)
        return zip_bad(err, what, e->start, "local header and directory disagree");
    const int later = (e->flags & 8) && mgi_le32(p + 14) == 0 && packed == 0 && size == 0;
    if (!later &&
        (!zip_extra(p + ZIP_LOCAL + name, extra, 2, v) || mgi_le32(p + 14) != e->crc ||
         packed != (uint64_t)e->packed || size != (uint64_t)e->size))
        return zip_bad(err, what, e->start,
                       "sizes or CRC of local header and directory disagree");
    e->end = e->data + e->packed;
    if (!(e->flags & 8))
        return MANGO_OK;
    p = z->bytes + e->end; /* data descriptor: sizes of 4 or of 8 bytes */
    if (zip_sig(z, e->end, 16, 7, 8) && mgi_le32(p + 4) == e->crc) {
        int plain =
            mgi_le32(p + 8) == (uint64_t)e->packed && mgi_le32(p + 12) == (uint64_t)e->size;
        int wide = e->end <= limit - 24 && mgi_le64(p + 8) == (uint64_t)e->packed &&
                   mgi_le64(p + 16) == (uint64_t)e->size;
        e->end += wide ? 24 : 16;
        if ((wide || plain) && e->end <= limit)
            return MANGO_OK;
    }
    return zip_bad(err, what, e->data + e->packed,
                   "data descriptor and directory disagree");
}

/* One record of the directory at *at, which moves on. */
static mango_status zip_central(const mgi_zip *z, mgi_zip_entry *e, mango_idx *at,
                                mango_idx to, const char *what, mango_err *err)
{
    if (*at > to - ZIP_CENTRAL || !zip_sig(z, *at, ZIP_CENTRAL, 1, 2))
        return zip_bad(err, what, *at, "no directory record");
    const unsigned char *p = z->bytes + *at;
    mango_idx extra = (mango_idx)mgi_le16(p + 30), note = (mango_idx)mgi_le16(p + 32);
    uint64_t packed = mgi_le32(p + 20), size = mgi_le32(p + 24), start = mgi_le32(p + 42);
    uint64_t *v[3] = {&size, &packed, &start};
    e->n = (mango_idx)mgi_le16(p + 28);
    if (e->n + extra + note > to - *at - ZIP_CENTRAL)
        return zip_bad(err, what, *at, "a directory record runs over its end");
    if (e->n < 1 || e->n > MGI_ZIP_NAME)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: a zip name of %ld bytes, 1 to %d expected",
                        what, (long)e->n, MGI_ZIP_NAME);
    if (!zip_extra(p + ZIP_CENTRAL + e->n, extra, 3, v))
        return zip_bad(err, what, *at, "malformed extra field");
    e->name = (const char *)p + ZIP_CENTRAL;
    e->flags = (int)mgi_le16(p + 8);
    e->method = (int)mgi_le16(p + 10);
    e->crc = mgi_le32(p + 16);
    e->packed = zip_size(packed);
    e->size = zip_size(size);
    e->start = zip_size(start);
    if (e->packed < 0 || e->size < 0 || e->start < 0)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: a zip entry beyond 1 GiB", what);
    if ((e->flags & 1) || (e->method != 0 && e->method != 8))
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: zip entry is %s; stored or deflated expected", what,
                        (e->flags & 1) ? "encrypted" : "packed by an unknown method");
    if (e->method == 0 ? e->packed != e->size : e->size / 1032 > e->packed)
        return zip_bad(err, what, *at, "an entry cannot unpack to the size it states");
    *at += ZIP_CENTRAL + e->n + extra + note;
    return MANGO_OK;
}

static int zip_compare(const char *a, mango_idx na, const char *b, mango_idx nb)
{
    int c = memcmp(a, b, (size_t)MGI_MIN(na, nb));
    return c ? c : na < nb ? -1 : na > nb;
}

static int zip_by_name(const void *x, const void *y)
{
    const mgi_zip_entry *a = (const mgi_zip_entry *)x, *b = (const mgi_zip_entry *)y;
    return zip_compare(a->name, a->n, b->name, b->n);
}

static int zip_by_start(const void *x, const void *y)
{
    const mgi_zip_entry *a = (const mgi_zip_entry *)x, *b = (const mgi_zip_entry *)y;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* No two entries share a byte or a name; unpacked, all stay under the cap. */
static mango_status zip_disjoint(mgi_zip *z, const char *what, mango_err *err)
{
    mango_idx total = 0;
    qsort(z->e, (size_t)z->n, sizeof *z->e, zip_by_start);
    for (mango_idx i = 0; i < z->n; i++) {
        if (i == 0 ? z->e[0].start != 0 : z->e[i].start < z->e[i - 1].end)
            return zip_bad(err, what, z->e[i].start,
                           i ? "two entries overlap" : "bytes before the first entry");
        if (z->e[i].size > MGI_FILE_MAX - total)
            return mgi_fail(err, MANGO_E_LIMIT, "%s: unpacks to more than 1 GiB", what);
        total += z->e[i].size;
    }
    qsort(z->e, (size_t)z->n, sizeof *z->e, zip_by_name);
    for (mango_idx i = 1; i < z->n; i++)
        if (zip_by_name(&z->e[i - 1], &z->e[i]) == 0)
            return zip_bad(err, what, z->e[i].start, "two entries of one name");
    return MANGO_OK;
}

MGI_FN mango_status mgi_zip_open(mgi_zip *z, const unsigned char *bytes, mango_idx size,
                                 const char *what, const mango_alloc *al, mango_err *err)
{
    mango_idx from = 0, to = 0, at;
    mango_status st;
    memset(z, 0, sizeof *z);
    z->al = mgi_alloc_get(al);
    z->bytes = bytes;
    z->size = size;
    MGI_TRY(zip_end(z, &z->n, &from, &to, what, err));
    z->e = (mgi_zip_entry *)mgi_new(&z->al, z->n, sizeof *z->e);
    if (!z->e)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    at = from;
    for (mango_idx i = 0; i < z->n; i++) {
        MGI_TRY_TO(zip_central(z, &z->e[i], &at, to, what, err));
        MGI_TRY_TO(zip_local(z, &z->e[i], from, what, err));
    }
    st = at == to ? zip_disjoint(z, what, err)
                  : zip_bad(err, what, at, "directory and number of entries disagree");
done:
    if (st < 0)
        mgi_zip_free(z);
    return st;
}

MGI_FN void mgi_zip_free(mgi_zip *z)
{
    mgi_del(&z->al, z->e, z->n, sizeof *z->e);
    z->e = NULL;
    z->n = 0;
}

MGI_FN const mgi_zip_entry *mgi_zip_find(const mgi_zip *z, const char *name)
{
    mango_idx lo = 0, hi = z->n, n = (mango_idx)strlen(name);
    while (lo < hi) {
        mango_idx mid = lo + (hi - lo) / 2;
        int c = zip_compare(z->e[mid].name, z->e[mid].n, name, n);
        if (c == 0)
            return &z->e[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

MGI_FN mango_status mgi_zip_data(const mgi_zip *z, const mgi_zip_entry *e, const char *what,
                                 const mango_codecs *codecs, const unsigned char **p,
                                 unsigned char **owned, mango_err *err)
{
    const unsigned char *data = z->bytes + e->data;
    *owned = NULL;
    if (e->method == 8) {
        if (!codecs || !codecs->inflate)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "%s: compressed, and this build cannot inflate", what);
        *owned = (unsigned char *)mgi_new(&z->al, e->size + 1, 1);
        if (!*owned)
            return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what,
                            (long)e->size);
        mango_idx used;
        if (codecs->inflate(codecs->ud, data, e->packed + ZIP_AHEAD, &used, *owned,
                            e->size) == e->size)
            data = *owned;
    }
    *p = data;
    if ((e->method == 0 || *owned == data) && mgi_crc32(0, data, e->size) == e->crc)
        return MANGO_OK;
    mgi_del(&z->al, *owned, e->size + 1, 1);
    *owned = NULL;
    return zip_bad(err, what, e->data, "an entry's CRC-32 does not match");
}
