/* problems.h - classic problems for optimizers: functions on a grid and quadratic forms of
 * bits, read from a file that also holds sample values and what others found.
 *
 *     x_j = a_j + i_j (b_j - a_j)/(n - 1),  y = f(x), one of ten functions by name      (1)
 *     y = f0 + i' Q i for the names qubo_*                                              (2)
 * All of them are to be minimized.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_PROBLEMS_H
#define MANGO_PROBLEMS_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mango_problems mango_problems;

/* mango_problems_open - read a file: one object {name: problem}, a problem being
 *     {"d", "n", "a": [d], "b": [d], "samples": [{"i": [d], "y"}], "results": {..}}
 * or with "f0" and "Q": [d][d] in place of a and b; a result is "METHOD m=QUERIES" with
 * {"best": [one for each seed], "seconds_per_run"}. d 1 .. 1024, n 2 .. 2^20.
 * The values of samples are not judged here: see mango_problem_info.
 * Returns MANGO_OK; MANGO_E_IO, MANGO_E_FORMAT with the problem named, MANGO_E_NAME for a
 * function that is not known, MANGO_E_MEM. */
MANGO_API mango_status mango_problems_open(mango_problems **p, const char *path,
                                           const mango_alloc *al, mango_err *err);
MANGO_API mango_idx mango_problems_count(const mango_problems *p); /* -1 for NULL */
MANGO_API void mango_problems_destroy(mango_problems *p);          /* NULL is legal */

typedef struct mango_problem_info {
    const char *name;
    mango_idx d, n;     /* d modes of n levels                              */
    mango_idx samples;  /* values in the file ...                           */
    double error;       /* ... and how far ours are from them at most, divided
                           by 1 + |y|: about 1e-12 where formulas agree     */
    mango_idx results;  /* what others found                                */
} mango_problem_info;
MANGO_API mango_status mango_problem_get_sized(const mango_problems *p, mango_idx i,
                                               mango_problem_info *info, size_t size);
#define mango_problem_get(p, i, info)                                                      \
    mango_problem_get_sized((p), (i), (info), sizeof *(info))

/* mango_problem_eval - y (K) of codes I (K,d) of problem i; the same bits on every
 * machine. MANGO_E_ARG for a level out of range. Threads: any number at once. */
MANGO_API mango_status mango_problem_eval(const mango_problems *p, mango_idx i, mango_idx K,
                                          const mango_idx *I, double *y);

/* mango_problem_result - number k of what others found on problem i. */
typedef struct mango_problem_found {
    const char *method;     /* "ttopt rank=4": the key before its " m="      */
    mango_idx queries;
    mango_idx n;            /* seeds                                         */
    const double *best;     /* (n), owned by p                               */
    double seconds;         /* a run; NaN: not known                         */
} mango_problem_found;
MANGO_API mango_status mango_problem_result_sized(const mango_problems *p, mango_idx i,
                                                  mango_idx k, mango_problem_found *found,
                                                  size_t size);
#define mango_problem_result(p, i, k, found)                                               \
    mango_problem_result_sized((p), (i), (k), (found), sizeof *(found))

#ifdef __cplusplus
}
#endif
#endif
