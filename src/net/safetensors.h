/* safetensors.h - safetensors files: a bounded reader, an atomic writer.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_WEIGHTS_H
#define MGI_WEIGHTS_H

#include "../base/json.h"

typedef enum mgi_dtype {
    MGI_F32, MGI_F16, MGI_BF16, MGI_F64, MGI_I8, MGI_U8, MGI_I16, MGI_I32, MGI_I64, MGI_BOOL,
    MGI_DTYPES
} mgi_dtype;
typedef struct mgi_tensor {
    char name[257];
    mgi_dtype dtype;
    int rank;                /* 0..8 */
    mango_idx shape[8], count;
    const unsigned char *raw; /* little-endian bytes inside the file image */
} mgi_tensor;
typedef struct mgi_tensors {
    mango_alloc al;
    unsigned char *image;    /* the whole file */
    mango_idx size, room;    /* its bytes; bytes allocated */
    mgi_json header;
    const mgi_json_value *meta; /* its metadata; NULL: none */
    mango_idx n;
    mgi_tensor *t;           /* in order of their names' bytes */
} mgi_tensors;

#define MGI_WEIGHTS_FILE_MAX ((mango_idx)1 << 30)
#define MGI_WEIGHTS_HEADER_MAX ((mango_idx)1 << 20)
#define MGI_WEIGHTS_META_MAX 4096 /* strings of metadata */
#define MGI_WEIGHTS_TENSORS_MAX 4096
#define MGI_WEIGHTS_DIM_MAX ((mango_idx)1 << 24)

MGI_FN const char *mgi_dtype_name(mgi_dtype d);             /* "F32", ... */
MGI_FN mango_idx mgi_dtype_size(mgi_dtype d);               /* bytes of one value */
MGI_FN int mgi_dtype_find(const char *name, mgi_dtype *d);  /* false: no such type */

/* Limits: file 1 GiB, header 1 MiB, 4096 tensors, 4096 strings of metadata, rank 8,
 * dimension 2^24, name 256 bytes of UTF-8 without control bytes; data must tile the file
 * exactly. */
MGI_FN mango_status mgi_tensors_read(mgi_tensors *f, const char *path, const mango_alloc *al,
                                     mango_err *err);
/* `what` names the source in messages. Takes over image (allocated from al,
 * size bytes) on success only. */
MGI_FN mango_status mgi_tensors_parse(mgi_tensors *f, unsigned char *image, mango_idx size,
                                      const char *what, const mango_alloc *al, mango_err *err);
MGI_FN void mgi_tensors_free(mgi_tensors *f);
MGI_FN const mgi_tensor *mgi_tensors_find(const mgi_tensors *f, const char *name);
MGI_FN const char *mgi_tensors_meta(const mgi_tensors *f, const char *key); /* NULL: none */
/* The i-th metadata pair; false when there are no more. */
MGI_FN int mgi_tensors_meta_at(const mgi_tensors *f, mango_idx i, const char **key,
                               const char **value);
/* Widened values; integers must be exact in float, doubles are rounded. finite:
 * refuse NaN and Inf. Messages name the tensor and the index, not the file. */
MGI_FN mango_status mgi_tensor_floats(const mgi_tensor *t, int finite, float *out,
                                      mango_err *err);
/* n halves as they lie in a file, at any alignment: are all finite? If so, as
 * floats, which is what mgi_tensor_floats makes of them. */
MGI_FN int mgi_file_halves_finite(mango_idx n, const unsigned char *raw);
MGI_FN void mgi_file_halves(mango_idx n, const unsigned char *raw, float *out);

/* Writing: add metadata and tensors (data is copied on add), then save once,
 * which empties the writer. The first failing call is remembered, so callers
 * may check the result of save alone; keys and names must differ from each
 * other. add stores v as F32, F16 or BF16; a finite value that would overflow
 * the narrow type is MANGO_E_NONFINITE. */
typedef struct mgi_tensor_writer mgi_tensor_writer;
MGI_FN mango_status mgi_writer_new(mgi_tensor_writer **w, const mango_alloc *al);
MGI_FN mango_status mgi_writer_meta(mgi_tensor_writer *w, const char *key, const char *value);
MGI_FN mango_status mgi_writer_add(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                   int rank, const mango_idx *shape, const float *v);
/* Bytes already in the file's form, for tensors that are only carried along. */
MGI_FN mango_status mgi_writer_add_raw(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                       int rank, const mango_idx *shape, const void *raw);
MGI_FN mango_status mgi_writer_save(mgi_tensor_writer *w, const char *path, mango_err *err);
MGI_FN void mgi_writer_free(mgi_tensor_writer *w);

#endif
