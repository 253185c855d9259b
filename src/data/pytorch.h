/* pytorch.h - a checkpoint from inside: its pickle as values, its storages, the tensors of
 * the state dict that is chosen.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_PYTORCH_H
#define MGI_PYTORCH_H

#include "pickle.h"
#include "zip.h"

#define MGI_PTC_TENSORS 4096 /* of one state dict                      */
#define MGI_PTC_CHOICES 64   /* state dicts that a file may offer      */
#define MGI_PTC_PATH 160     /* bytes of the keys that lead to one     */

/* A tensor: `count` elements of the storage's bytes from `first` on. */
typedef struct mgi_ptc_tensor {
    mango_idx name; /* offset into names */
    int dtype, rank;
    mango_idx shape[MGI_RANK_MAX], stride[MGI_RANK_MAX], count, first;
    const unsigned char *p; /* the storage, all of it in range */
} mgi_ptc_tensor;

/* A storage that was looked up: its bytes, owned when they were inflated. */
typedef struct mgi_ptc_storage {
    const unsigned char *key, *p;
    mango_idx n_key, bytes, n_owned;
    unsigned char *owned;
} mgi_ptc_storage;

/* A dict that holds tensors: its value, and the keys that lead to it. */
typedef struct mgi_ptc_choice {
    int32_t dict;
    char path[MGI_PTC_PATH];
} mgi_ptc_choice;

struct mango_pytorch {
    mango_alloc al;
    unsigned char *image; /* size + 1 bytes */
    mango_idx size;
    int legacy;
    char under[MGI_PTC_PATH]; /* keys of the state dict that is chosen          */
    int32_t root;             /* what the file holds                             */
    mgi_ptc_choice choice[MGI_PTC_CHOICES];
    int n_choice, chosen; /* chosen -1: several, and none is the one to take */
    char beside[240];     /* keys of the file's dict that are passed over    */
    mgi_str names;
    mgi_ptc_tensor *t;
    mango_idx n, cap;
    mgi_ptc_storage *storage;
    mango_idx n_storage, cap_storage;
    char what[1024]; /* names the file in messages */
    mango_codecs codecs;
    mgi_pickle pk;
    mgi_zip zip;
    char prefix[MGI_ZIP_NAME + 1]; /* of the archive's names, "archive/" */
    unsigned char *pkl_owned;
    mango_idx pkl_size;
    mango_err *err;
};

MGI_FN mango_status mgi_ptc_bad(mango_pytorch *c, mango_status st, const char *why);
/* pytorch_tensors.c: a storage of n_key bytes of key whose content is p. */
MGI_FN mgi_ptc_storage *mgi_ptc_known(mango_pytorch *c, const unsigned char *key,
                                      mango_idx n);
MGI_FN mango_status mgi_ptc_add_storage(mango_pytorch *c, const unsigned char *key,
                                        mango_idx n_key, const unsigned char *p,
                                        mango_idx bytes);
/* The tensors of dict value d, in its order; those of before are forgotten. */
MGI_FN mango_status mgi_ptc_collect(mango_pytorch *c, int32_t d);
/* Does dict value d hold tensors itself, of torch or, when it holds none, of NumPy? */
MGI_FN mgi_pk_kind mgi_ptc_holds(const mango_pytorch *c, int32_t d);
/* pytorch_choice.c: lists the state dicts of c->root and takes one, or leaves it open. */
MGI_FN mango_status mgi_ptc_choose(mango_pytorch *c);
/* pytorch_file.c: reads the image, whatever it is, up to c->root. */
MGI_FN mango_status mgi_ptc_read(mango_pytorch *c);

#endif
