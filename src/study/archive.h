/* archive.h - a file of named tensors, of our own kind, of PyTorch, NumPy or ONNX: read once,
 * recognized by its content, put into a network; and the writer of such files. It stands
 * here and not in data as it sees all readers: safetensors is net's, the others are data's.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_ARCHIVE_H
#define MANGO_ARCHIVE_H

#include "../data/data.h"
#include "../net/match.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mango_archive mango_archive;
typedef struct mango_archive_info {
    const char *format;  /* "safetensors", "npy", "npz", "onnx", or torch.save's "zip",
                            "legacy"                                               */
    const char *under;   /* PyTorch: key of the state dict; "": at the top         */
    const char *sha256;  /* of the bytes that were read, in hexadecimal            */
    mango_idx tensors;
    int has_graph;       /* 1: graph is not NULL                                   */
    const char *graph;   /* text form of the network that the file holds beside its
                            tensors, which are its parameters by name; NULL: none   */
    const char *beside;  /* PyTorch: keys beside the state dict, passed over        */
    int open;            /* 1: several state dicts, and none is chosen: no tensors  */
} mango_archive_info;

/* mango_archive_open - the file is read once, into memory, whether it is a regular file
 * or a pipe, then hashed and parsed; nothing in it is run. Its content decides what it is,
 * not its name. Tensors of an .npz are named as its arrays; that of an .npy is "array".
 * Limits: those of mango_pytorch_open, and for safetensors 1 GiB, a header of 1 MiB,
 * 4096 tensors.
 *   codecs  in  to inflate compressed entries; NULL: refuse them */
MANGO_API mango_status mango_archive_open(mango_archive **a, const char *path,
                                          const mango_codecs *codecs, const mango_alloc *al,
                                          mango_err *err);
/* mango_archive_open_shape - the same, with the input's (C,H,W) said for files that leave it
 * open: ONNX models of any size. NULL: not said. */
MANGO_API mango_status mango_archive_open_shape(mango_archive **a, const char *path,
                                                const mango_idx in[3],
                                                const mango_codecs *codecs,
                                                const mango_alloc *al, mango_err *err);
MANGO_API mango_status mango_archive_get_sized(const mango_archive *a,
                                               mango_archive_info *info, size_t size);
#define mango_archive_get(a, info) mango_archive_get_sized((a), (info), sizeof *(info))
/* The sets of tensors that the file offers, by the keys that lead to them ("": its own):
 * how many, 0 when it holds one set and no more can be said, -1 for NULL. */
MANGO_API mango_idx mango_archive_choices(const mango_archive *a);
MANGO_API const char *mango_archive_choice(const mango_archive *a, mango_idx i);
/* mango_archive_select - take the set at these keys, or the only one below them; names that
 * were handed out before are gone. MANGO_E_NAME lists what there is. */
MANGO_API mango_status mango_archive_select(mango_archive *a, const char *key, mango_err *err);
/* How many tensors, -1 for NULL; tensor i, MANGO_E_ARG when there is none. Order:
 * safetensors and .npz by name, PyTorch as in the file. Index of a name, -1: none. */
MANGO_API mango_idx mango_archive_tensors(const mango_archive *a);
MANGO_API mango_status mango_archive_tensor_sized(const mango_archive *a, mango_idx i,
                                                  mango_tensor *t, size_t size);
#define mango_archive_tensor(a, i, t) mango_archive_tensor_sized((a), (i), (t), sizeof *(t))
MANGO_API mango_idx mango_archive_find(const mango_archive *a, const char *name);
/* All values of tensor i as floats, as mango_pytorch_floats does. */
MANGO_API mango_status mango_archive_floats(const mango_archive *a, mango_idx i, float *out,
                                            mango_err *err);
/* mango_archive_import - mango_net_match with the tensors of this file; a message begins
 * with its path. prefix: NULL, what fits best. */
MANGO_API mango_status mango_archive_import(const mango_archive *a, mango_net *net,
                                            const char *prefix, mango_match **match,
                                            mango_err *err);
/* mango_archive_offers - the tensors as they are offered to mango_net_match, into *o, which
 * mango_offers_defaults set before; prefix, rename and ignore are the caller's to set. They
 * last until another set is selected. */
MANGO_API mango_status mango_archive_offers(const mango_archive *a, mango_offers *o);
MANGO_API void mango_archive_destroy(mango_archive *a); /* NULL is fine */

/* mango_archive_write - n tensors of floats as F32 into a safetensors file, atomically.
 *   offers  in  (n) name, each once, rank and shape
 *   values  in  (n) pointers to the values, C order, finite or not */
MANGO_API mango_status mango_archive_write(const char *path, mango_idx n,
                                           const mango_offer *offers,
                                           const float *const *values, mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
