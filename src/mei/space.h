/* space.h - codes and what they mean to a generator.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_SPACE_H
#define MANGO_SPACE_H

#include "../net/net.h"
#include "../opt/opt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_space - d modes with n[j] levels, and what a multi-index means to a
 * generator: level i of mode j is lo + i (hi - lo)/(n[j] - 1) in the latent
 * (the middle when n[j] = 1), or, for a codebook, the code i itself. */
typedef struct mango_space mango_space;

/* mango_space_create - a grid on [lo, hi]; n (d) is copied. lo <= hi, finite. */
MANGO_API mango_status mango_space_create(mango_space **s, mango_idx d, const mango_idx *n,
                                          double lo, double hi, const mango_alloc *al,
                                          mango_err *err);
/* mango_space_of - the space of a generator: the codes of its vector quantizer
 * in row-major order when it has one (vqvae: 64 modes of 512); else its input
 * vector, 64 levels each on [-4,4] (sngan: 128 modes of 64). It holds copies of the
 * codebook and of the reference codes that the generator carries;
 * MANGO_E_FORMAT, MANGO_E_SHAPE, MANGO_E_NONFINITE name the tensor when these are damaged.
 * Other latents:
 *   an embedding of the input (kind embedding): its codes, in row-major order
 *   metadata of the file (mango_net_meta_set, mango_net_save):
 *     mango.latent_range   "-2,2": ends of the levels, within 1e6       (-4,4)
 *     mango.latent_levels  "256": places on them, 2 .. 65536              (64)
 *     mango.latent_prior   "normal": N(0,1); "uniform"; "none"        (normal)
 *   A uniform prior is told to optimizers (mango_space_facts) as a normal one cut at one
 *   standard deviation, so that they take levels for places on a line; none: levels are
 *   names. With any of the three the input may be a map (C,H,W): a mode for each number.
 * MANGO_E_FORMAT also when one of them is not of this form. */
MANGO_API mango_status mango_space_of(mango_space **s, const mango_net *gen,
                                      const mango_alloc *al, mango_err *err);
typedef struct mango_space_info {
    mango_modes modes;  /* the space owns modes.n                           */
    mango_idx layer;    /* that takes the latent: -1 the input, else the
                           quantizer's index                                */
    int codebook;       /* 1: levels are codes; 0: places on [lo, hi]       */
    mango_idx H, W;     /* grid of the codes, modes row by row; 0: none     */
    double lo, hi;
    mango_idx classes;  /* > 0: the largest of the first so many latents
                           names the class that is drawn                    */
} mango_space_info;
MANGO_API mango_status mango_space_get_sized(const mango_space *s, mango_space_info *info,
                                             size_t size);
#define mango_space_get(s, info) mango_space_get_sized((s), (info), sizeof *(info))
/* mango_space_facts - what an optimizer may know of it: grid, prior, classes, codebook
 * (levels) and reference codes with their features (codes, code_features). The arrays
 * are the space's own: they live as long as it does. */
MANGO_API mango_status mango_space_facts_sized(const mango_space *s, mango_facts *f,
                                               size_t size);
#define mango_space_facts(s, f) mango_space_facts_sized((s), (f), sizeof *(f))
/* mango_space_latent - z (K,d) of codes I (K,d). MANGO_E_ARG when out of range. */
MANGO_API mango_status mango_space_latent(const mango_space *s, mango_idx K,
                                          const mango_idx *I, float *z);
MANGO_API void mango_space_destroy(mango_space *s);

/* mango_net_pixels - a generator whose code is the picture itself: a mode for each of C H W
 * numbers, with `levels` (2 .. 65536) places on [0,1], prior uniform. No weights.
 * MANGO_E_ARG for other sizes; at most 2^20 modes. */
MANGO_API mango_status mango_net_pixels(mango_net **gen, mango_idx C, mango_idx H, mango_idx W,
                                        mango_idx levels, const mango_alloc *al,
                                        mango_err *err);

/* mango_reference_set - give a generator reference codes, such as the codes of real
 * pictures: it carries them from then on, also into its file (mango_net_save), as the
 * tensors reference_codes (n,h,w) or (n,d), whole numbers, and reference_features
 * (n,dim), which is rounded to half precision. Those that it had are gone, damaged ones
 * too. They change neither its pictures nor its digest.
 *   n       in  0 .. 100,000 codes; 0: none any more
 *   I       in  (n,d) levels in mango_space_of(gen)
 *   dim, f  in  (n,dim) numbers that describe the picture of each code, so that alike
 *               pictures have near ones; dim 0 .. 4096; 0: none
 * Returns  MANGO_E_ARG (a level out of range), MANGO_E_NONFINITE (a feature beyond
 *          half precision), MANGO_E_LIMIT, MANGO_E_MEM; it has no references then. */
MANGO_API mango_status mango_reference_set(mango_net *gen, mango_idx n, const mango_idx *I,
                                           mango_idx dim, const float *f, mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
