/* zip.h - a zip archive in memory, as torch.save writes them, checked whole.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_ZIP_H
#define MGI_ZIP_H

#include "bytes.h"

#define MGI_ZIP_ENTRIES 16384
#define MGI_ZIP_NAME 512

typedef struct mgi_zip_entry {
    const char *name; /* n bytes, not terminated */
    mango_idx n;
    int flags, method; /* method 0 stored, 8 deflated */
    uint32_t crc;
    mango_idx packed, size;     /* bytes in the file, bytes unpacked */
    mango_idx start, data, end; /* local header, its data, first byte behind */
} mgi_zip_entry;
typedef struct mgi_zip {
    mango_alloc al;
    const unsigned char *bytes; /* borrowed */
    mango_idx size, n;
    mgi_zip_entry *e; /* (n), sorted by name */
} mgi_zip;

/* mgi_zip_open - read the directory and check it against the local headers:
 * names, methods, sizes and CRCs agree; entries neither overlap nor repeat a
 * name; everything lies before the directory; zip64 fields where sizes need
 * them. Refused: encryption, comments and bytes before or behind the archive. */
MGI_FN mango_status mgi_zip_open(mgi_zip *z, const unsigned char *bytes, mango_idx size,
                                 const char *what, const mango_alloc *al, mango_err *err);
MGI_FN void mgi_zip_free(mgi_zip *z);
/* The entry `name`, or NULL. */
MGI_FN const mgi_zip_entry *mgi_zip_find(const mgi_zip *z, const char *name);
/* mgi_zip_data - an entry's bytes, CRC checked: *p points into the archive, or
 * to *owned (e->size + 1 bytes, the caller's) when it had to be inflated. */
MGI_FN mango_status mgi_zip_data(const mgi_zip *z, const mgi_zip_entry *e, const char *what,
                                 const mango_codecs *codecs, const unsigned char **p,
                                 unsigned char **owned, mango_err *err);

#endif
