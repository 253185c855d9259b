/* mgi.h - private tools of the whole library: linkage words, checks, sizes.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_H
#define MGI_H

/* A few calls of POSIX (fsync, fileno), and madvise, must stay visible under
 * -std=c99: so private headers come before system headers. mango.h does the same
 * at its top. */
#if defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if defined(__STRICT_ANSI__) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE
#endif
#if !defined(_FILE_OFFSET_BITS) /* files over 2 GiB on 32-bit machines */
#define _FILE_OFFSET_BITS 64
#endif
#if defined(__MINGW32__) && !defined(__USE_MINGW_ANSI_STDIO)
#define __USE_MINGW_ANSI_STDIO 1 /* %zu and %td are C99, not Microsoft's */
#endif

#include "base.h"
#include <assert.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* The same bits everywhere: each + - * / of floats and doubles is rounded once, to its
 * own type, in the order written. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "the same bits everywhere are part of the contract: build without -ffast-math"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#if defined(__i386__)
#error "x87 arithmetic gives other digits: build with -msse2 -mfpmath=sse"
#else
#error "floats are evaluated in a wider type: build with -fexcess-precision=fast or -std=gnu99"
#endif
#endif

/* MGI_FN: private across files; extern in src/, static in mango.h. */
#ifndef MGI_FN
#define MGI_FN extern
#define MGI_DATA /* defines a table that is declared by MGI_FN */
#else
#define MGI_DATA MGI_FN
#endif

#if defined(__MINGW32__) && !defined(__clang__) /* there `printf` means Microsoft's */
#define MGI_PRINTF(f, a) __attribute__((format(gnu_printf, f, a)))
#elif defined(__GNUC__)
#define MGI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define MGI_PRINTF(f, a)
#endif
#if defined(__GNUC__)
#define MGI_UNUSED __attribute__((unused))
#else
#define MGI_UNUSED
#endif

/* MGI_O3 function: compiled as with -O3 whatever the file is compiled with. gcc makes
 * vectors of most loops only then; clang does so at -O2. */
#if defined(__GNUC__) && !defined(__clang__)
#define MGI_O3 __attribute__((optimize("O3")))
#else
#define MGI_O3
#endif

/* MGI_OMP(parallel for ...) is an OpenMP pragma, or nothing. Work split and
 * order of reduction never depend on the number of threads. */
#if defined(_OPENMP)
#define MGI_PRAGMA(x) _Pragma(#x)
#define MGI_OMP(x) MGI_PRAGMA(omp x)
#else
#define MGI_OMP(x)
#endif
/* MGI_TASK(task), MGI_TASK(taskgroup): for threads that wait at the end of a parallel
 * region while one works; nothing where OpenMP is older than 4.0. */
#if defined(_OPENMP) && _OPENMP >= 201307
#define MGI_TASK(x) MGI_PRAGMA(omp x)
#else
#define MGI_TASK(x)
#endif
#define MGI_GRAIN 8192 /* elements below which a loop stays on one thread */

#define MGI_COUNT(a) ((mango_idx)(sizeof(a) / sizeof((a)[0])))
#define MGI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MGI_MAX(a, b) ((a) > (b) ? (a) : (b))
/* A limit that may be beyond the range of mango_idx where that has 32 bits: then the
 * largest index there is. A constant, without overflow on the way. */
#define MGI_LIMIT(v)                                                                     \
    ((uint64_t)(v) < (uint64_t)PTRDIFF_MAX ? (mango_idx)(uint64_t)(v) : PTRDIFF_MAX)

/* n / parts and n up to a multiple of `to`, both rounded up; n >= 0, divisors > 0. */
static inline mango_idx mgi_ceil_div(mango_idx n, mango_idx parts)
{
    return (n + parts - 1) / parts;
}

static inline mango_idx mgi_round_up(mango_idx n, mango_idx to)
{
    return mgi_ceil_div(n, to) * to;
}

/* The one NaN, and the two tests: floats are widened, so they serve both types. */
#define MGI_NAN ((double)NAN)
static inline int mgi_is_nan(double x)
{
    return x != x;
}

static inline int mgi_is_finite(double x)
{
    return x - x == 0.0; /* infinity and NaN give NaN */
}

/* Inside a parallel region: the calling thread's number in its team, else 0; is
 * there such a region; and the thread's own part of a scratch of `each` floats a thread. */
MGI_FN mango_idx mgi_thread(void);
MGI_FN int mgi_in_parallel(void);
static inline float *mgi_thread_scratch(float *work, mango_idx each)
{
    return work + mgi_thread() * each;
}

/* MGI_TRY forwards an error; MGI_TRY_TO goes to the one `done:` label with the
 * status in `st`. */
#define MGI_TRY(call)                                                                    \
    do {                                                                                 \
        mango_status mgi_st_ = (call);                                                   \
        if (mgi_st_ < 0)                                                                 \
            return mgi_st_;                                                              \
    } while (0)
#define MGI_TRY_TO(call)                                                                 \
    do {                                                                                 \
        st = (call);                                                                     \
        if (st < 0)                                                                      \
            goto done;                                                                   \
    } while (0)
#define MGI_REQUIRE(cond)                                                                \
    do {                                                                                 \
        if (!(cond))                                                                     \
            return MANGO_E_ARG;                                                          \
    } while (0)

/* MGI_CHECK(err, cond, "who: what is expected") - leave with MANGO_E_ARG and a
 * message unless cond holds: the form for calls that have an err. */
#define MGI_CHECK(err, cond, ...)                                                        \
    do {                                                                                 \
        if (!(cond))                                                                     \
            return mgi_fail(err, MANGO_E_ARG, __VA_ARGS__);                              \
    } while (0)

/* mgi_fail - write a message into err (NULL allowed; control bytes become '?')
 * and return st, so that `return mgi_fail(err, MANGO_E_FORMAT, "...")` reads. */
MGI_FN mango_status mgi_fail(mango_err *err, mango_status st, const char *fmt, ...)
    MGI_PRINTF(3, 4);

/* Checked size arithmetic: *r = a op b; false when it would overflow
 * PTRDIFF_MAX or an operand is negative. mgi_prod multiplies n numbers. */
MGI_FN int mgi_mul(mango_idx a, mango_idx b, mango_idx *r);
MGI_FN int mgi_add(mango_idx a, mango_idx b, mango_idx *r);
MGI_FN int mgi_prod(int n, const mango_idx *a, mango_idx *r);

/* Allocation through a mango_alloc value (already resolved by mgi_alloc_get).
 * mgi_new: count elements of size bytes, zeroed; NULL on overflow or failure,
 * and for count 0 a valid pointer of one byte. mgi_del: size as allocated. */
MGI_FN mango_alloc mgi_alloc_get(const mango_alloc *al);
MGI_FN void *mgi_new(const mango_alloc *al, mango_idx count, size_t size);
MGI_FN void *mgi_resize(const mango_alloc *al, void *p, mango_idx old_count,
                        mango_idx count, size_t size); /* NULL: p is still valid */
MGI_FN void mgi_del(const mango_alloc *al, void *p, mango_idx count, size_t size);

/* Arena: sizes are planned first, allocated once, then carved. Every piece is
 * aligned to 64 bytes. Use: mgi_arena_plan(a, bytes) for each piece, in order;
 * mgi_arena_commit; mgi_arena_take for each piece, in the same order.
 * mgi_arena_bytes: planned total; checked, so -1 after an overflow. */
typedef struct mgi_arena {
    mango_alloc al;
    unsigned char *raw, *base;
    mango_idx planned, used, raw_size;
} mgi_arena;
MGI_FN void mgi_arena_init(mgi_arena *a, const mango_alloc *al);
MGI_FN void mgi_arena_plan(mgi_arena *a, mango_idx count, size_t size);
MGI_FN mango_idx mgi_arena_bytes(const mgi_arena *a);
MGI_FN mango_status mgi_arena_commit(mgi_arena *a);
MGI_FN void *mgi_arena_take(mgi_arena *a, mango_idx count, size_t size);
MGI_FN void mgi_arena_free(mgi_arena *a);
/* All at one go: plan, commit and take; `to` is the address of each pointer. */
typedef struct mgi_piece {
    void *to;
    mango_idx count;
    size_t size;
} mgi_piece;
MGI_FN mango_status mgi_arena_all(mgi_arena *a, mango_idx n, const mgi_piece *piece);

/* Structs of the caller, who may have been compiled against an older or newer
 * header: such a struct has `size` bytes, of which the first so many are known here.
 * mgi_info_out - the first min(size, own_size) bytes of own into out.
 * mgi_options_out - the same for defaults; out, whose first member is its size_t size,
 * gets that set. MANGO_E_ARG unless out has room for it.
 * mgi_options_in - over `own`, which holds defaults, the caller's bytes; what the caller
 * does not know keeps its default. MANGO_E_ARG, with `who` named, unless defaults
 * filled it; MANGO_E_UNSUPPORTED when a newer caller asks for something by a
 * member that is not known here. own->size becomes own_size. */
MGI_FN void mgi_info_out(void *out, size_t size, const void *own, size_t own_size);
MGI_FN mango_status mgi_options_out(void *out, size_t size, const void *own, size_t own_size);
MGI_FN mango_status mgi_options_in(void *own, size_t own_size, const void *options,
                                   const char *who, mango_err *err);

/* Bounded string copy: always terminated; false when src was cut. */
MGI_FN int mgi_copy(char *dst, mango_idx cap, const char *src);

#endif
