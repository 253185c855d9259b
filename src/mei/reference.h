/* reference.h - what a generator's file says of its codes: reference codes (tensors
 * reference_codes and reference_features), and the space of its latents.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_REFERENCE_H
#define MGI_REFERENCE_H

#include "../base/text.h"
#include "mei.h"

typedef struct mgi_references {
    mango_idx n, dim;  /* 0: none                      */
    mango_idx *codes;  /* (n,d), NULL for none         */
    float *features;   /* (n,dim), NULL for none       */
} mgi_references;

/* mgi_references_read - those of a generator of d modes with n_level (d) levels; r is
 * zeros where there are none. MANGO_E_FORMAT, MANGO_E_SHAPE, MANGO_E_NONFINITE with the
 * tensor's name in err; then, too, r may be freed. */
MGI_FN mango_status mgi_references_read(mgi_references *r, const mango_net *gen, mango_idx d,
                                        const mango_idx *n_level, const mango_alloc *al,
                                        mango_err *err);
MGI_FN void mgi_references_free(mgi_references *r, mango_idx d, const mango_alloc *al);

/* space.c: "range -2..2, prior uniform", appended; nothing for the space that a latent has
 * where nothing is said. */
MGI_FN void mgi_space_text(const mango_space *s, mgi_str *text);

#endif
