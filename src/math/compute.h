/* compute.h - the arithmetic below the networks, for programs that measure it or want
 * the same bits in numbers of their own.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_COMPUTE_H
#define MANGO_COMPUTE_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* exp and log of the library: the same bits on every machine, within 1 ulp. */
MANGO_API double mango_exp(double x);
MANGO_API double mango_log(double x);

/* The kernels in use: chosen once, by the processor, or MANGO_SIMD where it names a set
 * that this machine has. Results do not depend on them. */
typedef struct mango_kernels_info {
    const char *name; /* ref, sse2, avx2, avx512 or neon                 */
    int rows, columns; /* outputs of a product that are kept in registers */
} mango_kernels_info;
MANGO_API mango_status mango_kernels_get_sized(mango_kernels_info *info, size_t size);
#define mango_kernels_get(info) mango_kernels_get_sized((info), sizeof *(info))
/* The i-th name that MANGO_SIMD may have, whether or not this machine has it; NULL
 * behind the last. */
MANGO_API const char *mango_kernels_name(mango_idx i);

/* mango_peak - as many multiply-adds as the kernels can do: `rounds` products of 128
 * columns with 128 rows on every thread in force, out of the first cache.
 * Returns how many multiply-adds that were; -1: rounds < 1, or no memory. */
MANGO_API double mango_peak(mango_idx rounds);

/* mango_gemm - C = A B, of single precision, rows one after another.
 *   A  in   (M,K);  B  in  (K,N);  C  out  (M,N)
 *   work  scratch of mango_gemm_work(M, N, K) floats, for the threads in force;
 *         mango_gemm_work is -1 when a size is < 1 or all of it would not fit
 * Every output is summed over k ascending by fused multiply-adds. */
MANGO_API mango_idx mango_gemm_work(mango_idx M, mango_idx N, mango_idx K);
MANGO_API mango_status mango_gemm(mango_idx M, mango_idx N, mango_idx K, const float *A,
                                  const float *B, float *C, float *work);

/* mango_conv - a convolution of N maps by weights (O,C,kh,kw), over floats or over spikes.
 * Maps are (N,H,W,C), channels last; maps of spikes are (N,H,W,ceil(C/64)) words, channel c
 * of a place at bit c mod 64 of its word c/64. Both give the same bits. */
typedef struct mango_conv mango_conv;
typedef struct mango_conv_shape {
    mango_idx C, H, W, O;         /* input channels and map, output channels */
    int kh, kw, sh, sw, ph, pw;   /* window, stride, padding                 */
} mango_conv_shape;
typedef struct mango_conv_info {
    mango_idx H, W; /* of the output                                         */
    double macs;    /* multiply-adds of one map, zeros of padding not counted */
} mango_conv_info;
/* Memory: packed weights and scratch from al, for the threads in force, until destroy. */
MANGO_API mango_status mango_conv_create(mango_conv **c, const mango_conv_shape *shape,
                                         mango_idx N, const float *weights,
                                         const mango_alloc *al, mango_err *err);
MANGO_API mango_status mango_conv_get_sized(const mango_conv *c, mango_conv_info *info,
                                            size_t size);
#define mango_conv_get(c, info) mango_conv_get_sized((c), (info), sizeof *(info))
MANGO_API mango_status mango_conv_run(mango_conv *c, const float *x, float *y);
MANGO_API mango_status mango_conv_spikes(mango_conv *c, const uint64_t *x, float *y);
MANGO_API void mango_conv_destroy(mango_conv *c);

#ifdef __cplusplus
}
#endif
#endif
