/* spikes.h - feature maps of 0 and 1 held as bits, and what can be done on them.
 *
 * A map (N,H,W,C) is (N,H,W,ceil(C/64)) words: channel c of a pixel is bit
 * c%64 of its word c/64; bits beyond C are 0. Every function gives bit for bit
 * what its float form gives on the same map: a sum of fma(w, x, acc) over
 * 0/1 inputs is the sum of the w of active inputs in the same order, because a
 * chain that starts at +0 never becomes -0, and adding a zero changes nothing.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_SPIKES_H
#define MGI_SPIKES_H

#include "ops.h"

/* ---- int8.c: weights in 8 bits ---------------------------------------------- */
/* On request (conv.int8), for convolutions over bits. Each output o has a scale:
 *     Q_o = max |W_o| / 127,   q = W/Q_o to the nearest integer, -127 .. 127   (1)
 *     y_o = fma(Q_o, sum of the q of active inputs, bias_o) [+ residual]       (2)
 * The sums are integers: exact in any order, so the same bits everywhere. They
 * are made in 16 bits, for as long as these suffice, and then added to floats,
 * which hold integers to 2^24: enough for MGI_INT8_MOST inputs. */
#define MGI_INT8_OUT 64     /* outputs of a panel: row k is (64) bytes          */
#define MGI_INT8_MOST 132104 /* inputs of an output: 2^24/127                    */
#define MGI_INT8_ADDS 258   /* additions that 16 bits hold: (2^15 - 1)/127      */
/* Q of n weights, per = 1/Q, both 0 for weights that are all 0; and q of one. */
MGI_FN float mgi_int8_scale(mango_idx n, const float *w, float *per);
MGI_FN int8_t mgi_int8_round(float w, float per);
/* What mgi_conv_packed and mgi_conv_pack do: Q of all outputs, then the panels. */
MGI_FN mango_idx mgi_int8_packed(const mgi_conv *c);
MGI_FN void mgi_int8_pack(const mgi_conv *c, const float *w, float *packed);
MGI_FN const int8_t *mgi_int8_panels(const mgi_conv *c, const float *packed);
/* (1) and (2) term by term, x of 0 and 1, w as the net has them. The oracle. */
MGI_FN void mgi_int8_forward_ref(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *w, const mgi_epilogue *e, float *y);

/* ---- spikes.c -------------------------------------------------------------- */
MGI_FN mango_idx mgi_bits_words(mango_idx C); /* words of a pixel */
/* rows pixels of C channels: y = bits; y += bits; how many bits of n words are set. */
MGI_FN void mgi_bits_expand(mango_idx rows, mango_idx C, const uint64_t *x, float *y);
MGI_FN void mgi_bits_from(mango_idx rows, mango_idx C, const float *x,
                          uint64_t *y); /* x != 0 */
MGI_FN void mgi_bits_add(mango_idx rows, mango_idx C, const uint64_t *x, float *y);
MGI_FN mango_idx mgi_bits_total(mango_idx n, const uint64_t *x);
/* The pools of ops.h: the largest bit; the mean, as a float map. */
MGI_FN void mgi_bits_maxpool(const mgi_pool *p, mango_idx N, const uint64_t *x, uint64_t *y);
MGI_FN void mgi_bits_avgpool(const mgi_pool *p, mango_idx N, const uint64_t *x, float *y);
MGI_FN void mgi_bits_adaptiveavg(const mgi_pool *p, mango_idx N, const uint64_t *x, float *y);

/* ---- spikes_conv.c ----------------------------------------------------------- */
/* mgi_epilogue, whose residual may be a map of bits: y = act(acc + bias + residual).
 * At most one of the two residuals. */
typedef struct mgi_bits_epilogue {
    const float *bias, *residual;
    const uint64_t *bits; /* (N,OH,OW,ceil(O/64)) or NULL */
    int relu;
} mgi_bits_epilogue;
/* The convolution of ops.h over bits, from the weights that mgi_conv_pack packed.
 * Gathers the weights of active inputs, or widens the bits and goes the dense
 * way when so many are active that this is faster: the same bits. */
MGI_FN mango_idx mgi_bits_conv_work(const mgi_conv *c, mango_idx N); /* floats, all threads */
MGI_FN void mgi_bits_conv(const mgi_conv *c, mango_idx N, const uint64_t *x,
                          const float *packed, const mgi_bits_epilogue *e, float *y,
                          float *work);
/* The LIF layer behind a convolution: N = T*B maps, t slowest. */
typedef struct mgi_bits_lif {
    mgi_lif_rule rule;
    mango_idx B;
    float *U;    /* (B,OH,OW,O) membranes, in and out      */
    uint64_t *S; /* (T,B,OH,OW,ceil(O/64)) spikes, out     */
    int repeats; /* 1: look for windows that repeat over time: worth it for inputs
                    that do, as the spikes of a LIF layer with a constant current */
} mgi_bits_lif;
/* The same with the LIF layer in the same pass: its currents are not stored.
 * e->relu must be 0. The work of mgi_bits_conv_work. */
MGI_FN void mgi_bits_conv_lif(const mgi_conv *c, mango_idx N, const uint64_t *x,
                              const float *packed, const mgi_bits_epilogue *e,
                              const mgi_bits_lif *lif, float *work);

#endif
