/* test.h - the whole test harness' interface.
 *
 * A new module: write tests/test_NAME.c with `void t_NAME(void)` that lists its
 * cases, and nothing else; make finds it. Build and run:
 *     make test                              everything, twice (src/ and mango.h)
 *     make test-src [ARGS="NAME [CASE]"]     on src/ objects: one module, cases named like CASE
 *     make test-header [ARGS=...]            on the generated header
 * While others are at work: make BUILD=/tmp/b_me TESTS=tests/test_NAME.c test-src
 * builds just your module and the library.
 *
 *     #include "test.h"                      // all headers of the library come with it
 *     static void t_lif_step(void)           // statics carry the prefix t_NAME_
 *     {
 *         T_REQUIRE(x != NULL);              // leaves the case when false
 *         T_NEAR(U[0], 0.5, 1e-6);
 *         T_STATUS(mango_lif_step(...), MANGO_E_ARG);
 *     }
 *     void t_lif(void)
 *     {
 *         T_CASE(t_lif_step);
 *     }
 *
 * Checks evaluate their arguments once, print what they got, and go on.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_H
#define MANGO_TEST_H

#ifndef MANGO_TEST_SINGLE /* with it, mango.h came first, in the same unit */
#include "all.h"          /* every header of src/FILES, made by make */
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T_CASE(fn) t_case(#fn, fn)
#define T_SKIP(why)                                                                      \
    do {                                                                                 \
        t_skip(why);                                                                     \
        return;                                                                          \
    } while (0)
/* First in a case of more than a few seconds: left out with MANGO_TEST_FAST=1
 * (sanitizers, emulators). */
#define T_SLOW()                                                                         \
    do {                                                                                 \
        if (t_fast())                                                                    \
            T_SKIP("slow");                                                              \
    } while (0)
#define T_CHECK(cond) t_check((cond) != 0, #cond, __FILE__, __LINE__)
#define T_REQUIRE(cond)                                                                  \
    do {                                                                                 \
        if (!t_check((cond) != 0, #cond, __FILE__, __LINE__))                            \
            return;                                                                      \
    } while (0)
#define T_EQ(got, want) t_eq((long long)(got), (long long)(want), #got, __FILE__, __LINE__)
/* |got - want| <= tol; T_REL: <= tol times the larger of |want| and 1e-30. NaN fails. */
#define T_NEAR(got, want, tol)                                                           \
    t_near((double)(got), (double)(want), (double)(tol), #got, __FILE__, __LINE__)
#define T_REL(got, want, tol)                                                            \
    t_rel((double)(got), (double)(want), (double)(tol), #got, __FILE__, __LINE__)
#define T_STR(got, want) t_str(got, want, #got, __FILE__, __LINE__)
#define T_MEM(got, want, n) t_mem(got, want, (size_t)(n), #got, __FILE__, __LINE__)
#define T_STATUS(call, want) t_status((call), (want), NULL, #call, __FILE__, __LINE__)
/* MANGO_OK, or print err (a mango_err *). T_OK_OR_RETURN leaves the case. */
#define T_OK(call, err) t_status((call), MANGO_OK, (err), #call, __FILE__, __LINE__)
#define T_OK_OR_RETURN(call, err)                                                        \
    do {                                                                                 \
        if (!t_status((call), MANGO_OK, (err), #call, __FILE__, __LINE__))               \
            return;                                                                      \
    } while (0)
/* n floats against n: max |got - want| <= tol * max(1e-30, max |want|). */
#define T_CLOSE(got, want, n, tol)                                                       \
    t_close(got, want, (mango_idx)(n), (double)(tol), #got, __FILE__, __LINE__)

void t_case(const char *name, void (*fn)(void));
void t_skip(const char *why);
int t_fast(void);
/* All return 1 when the check holds. */
int t_check(int ok, const char *what, const char *file, int line);
int t_eq(long long got, long long want, const char *what, const char *file, int line);
int t_near(double got, double want, double tol, const char *what, const char *file, int line);
int t_rel(double got, double want, double tol, const char *what, const char *file, int line);
int t_str(const char *got, const char *want, const char *what, const char *file, int line);
int t_mem(const void *got, const void *want, size_t n, const char *what, const char *file,
          int line);
int t_status(mango_status got, mango_status want, const mango_err *err, const char *what,
             const char *file, int line);
int t_close(const float *got, const float *want, mango_idx n, double tol, const char *what,
            const char *file, int line);

/* An allocator that counts. t_heap_value gives the mango_alloc; every block
 * must come back with the size it was given: anything else is a failed check. */
typedef struct t_heap {
    long calls;     /* requests for memory so far                   */
    long fail_at;   /* the request that fails, from 1; 0: none      */
    int stays_down; /* 1: all later requests fail too               */
    long live;      /* blocks not yet freed                         */
    size_t bytes;   /* in live blocks                               */
} t_heap;
mango_alloc t_heap_value(t_heap *h);

/* Out-of-memory sweep: run fn with an allocator whose k-th request fails, for
 * k = 1, 2, ... until fn succeeds. Each run must return MANGO_E_MEM, or
 * MANGO_OK in the end, and leave no block behind. fn creates, uses and
 * destroys. Returns the number of requests of the run that succeeded. */
long t_oom_sweep(mango_status (*fn)(void *ud, const mango_alloc *al), void *ud);

/* A tensor that a net carries along; NULL: none of this name. */
const mgi_tensor *t_net_extra(const mango_net *net, const char *name);

/* Paths, in static buffers that live until the 8th next call.
 * t_golden: tests/golden/NAME, or in the folder MANGO_GOLDEN names.
 * t_shared: in MANGO_SHARED (default ../shared); NULL when it is not there.
 * t_tmp: in a fresh folder that is removed at the end; NAME need not exist.
 * t_tool: the built command; NULL when it is not there. */
const char *t_golden(const char *name);
const char *t_shared(const char *name);
const char *t_tmp(const char *name);
const char *t_tool(void);
int t_exists(const char *path);
/* Write n bytes to path, plainly; 0 on failure (a failed check, too). */
int t_write(const char *path, const void *p, size_t n);

#endif
