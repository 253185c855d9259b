/* bytes.h - what the readers of src/data share: little- and big-endian loads,
 * gzip, IDX, zip, pickle.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_BYTES_H
#define MGI_BYTES_H

#include "../base/hash.h"
#include "../base/os.h"
#include "../base/real.h"
#include "../base/text.h"
#include "data.h"

#define MGI_FILE_MAX ((mango_idx)1 << 30) /* largest file that is read at all */
#define MGI_DIM_MAX ((mango_idx)1 << 24)  /* largest dimension                */
#define MGI_RANK_MAX 8

MGI_FN uint32_t mgi_le16(const unsigned char *p);
MGI_FN uint32_t mgi_le32(const unsigned char *p);
MGI_FN uint64_t mgi_le64(const unsigned char *p);
MGI_FN uint32_t mgi_be32(const unsigned char *p);
MGI_FN int mgi_little_endian(void); /* this machine */

/* mgi_gunzip - the gzip members that fill in[0..n), at most 65,536, zeros behind them or
 * not. The size that the last one states must lie in [0, limit] and be possible for n
 * bytes (deflate: at most 1032 to 1), and so must the whole; size and CRC-32 of each are
 * checked. *out: *n_out + 1 bytes, as those of
 * mgi_file_read. */
MGI_FN mango_status mgi_gunzip(const unsigned char *in, mango_idx n, mango_idx limit,
                               const char *what, const mango_codecs *codecs,
                               const mango_alloc *al, unsigned char **out, mango_idx *n_out,
                               mango_err *err);

/* mgi_idx_array - an IDX file of unsigned bytes, big-endian sizes, data that
 * fill the file exactly. data points into the bytes given. */
typedef struct mgi_idx_array {
    int rank;
    mango_idx shape[4], count;
    const unsigned char *data;
} mgi_idx_array;
MGI_FN mango_status mgi_idx_parse(mgi_idx_array *a, const unsigned char *bytes, mango_idx n,
                                  const char *what, mango_err *err);

/* mgi_pytorch_take - mango_pytorch_parse of an image (size + 1 bytes from al), which it
 * takes over, on failure too. */
MGI_FN mango_status mgi_pytorch_take(mango_pytorch **out, unsigned char *image,
                                     mango_idx size, const char *what,
                                     const mango_codecs *codecs, const mango_alloc *al,
                                     mango_err *err);

/* mgi_onnx_take - mango_onnx_parse of an image, taken over in the same way. has_folder: `what`
 * is its path, beside which its data may lie. */
MGI_FN mango_status mgi_onnx_take(mango_onnx **out, unsigned char *image, mango_idx size,
                                  const char *what, int has_folder, const mango_alloc *al,
                                  mango_err *err);

/* mgi_name_ok - are these 1 to max bytes of UTF-8 without control bytes? */
MGI_FN int mgi_name_ok(const unsigned char *s, mango_idx n, mango_idx max);

/* mgi_path_ends - MANGO_E_IO when path is a pipe, device or socket: files that a folder
 * brings along are asked before they are opened, as nobody may be writing. */
MGI_FN mango_status mgi_path_ends(const char *path, mango_err *err);

#endif
