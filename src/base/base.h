/* base.h - what every part of MANGO shares: status codes, errors, memory, sizes.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_BASE_H
#define MANGO_BASE_H

#include <stddef.h>
#include <stdint.h>

#define MANGO_VERSION "0.2.0"
#define MANGO_VERSION_NUMBER 200 /* 10000 major + 100 minor + patch: #if compares it */

/* MANGO_API marks what programs may call. In mango.h it can be redefined, for
 * example to `static`, before the header is included. */
#ifndef MANGO_API
#if defined(__GNUC__)
#define MANGO_API extern __attribute__((visibility("default")))
#else
#define MANGO_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes, counts and indices: signed, so that loops can run down to zero. */
typedef ptrdiff_t mango_idx;

/* mango_status - what every call that can fail returns.
 * 0 is success, < 0 an error, > 0 the reason why an optimizer stopped. */
typedef enum mango_status {
    MANGO_OK = 0,
    MANGO_E_ARG = -1,         /* an argument is out of its documented range  */
    MANGO_E_MEM = -2,         /* the allocator returned NULL, or a cap is hit */
    MANGO_E_IO = -3,          /* a file could not be opened, read or written */
    MANGO_E_FORMAT = -4,      /* input is malformed                          */
    MANGO_E_LIMIT = -5,       /* input exceeds a documented limit            */
    MANGO_E_SHAPE = -6,       /* sizes do not fit together                   */
    MANGO_E_NAME = -7,        /* no such layer, parameter, unit or option    */
    MANGO_E_STATE = -8,       /* called in the wrong order                   */
    MANGO_E_NONFINITE = -9,   /* NaN or infinity where none may be           */
    MANGO_E_CALLBACK = -10,   /* a caller's callback reported failure        */
    MANGO_E_UNSUPPORTED = -11,/* valid, but not provided by this build       */
    MANGO_E_SYSTEM = -12,     /* disk full, I/O error, no descriptors left   */
    MANGO_STOP_BUDGET = 1,    /* the budget of queries is spent              */
    MANGO_STOP_TARGET = 2,    /* the wanted value was reached                */
    MANGO_STOP_SPACE = 3,     /* every code of the space was tried           */
    MANGO_STOP_USER = 4,      /* the caller asked to stop                    */
    MANGO_STOP_STAGNATION = 5,/* no improvement for as long as was allowed   */
    MANGO_STOP_TIME = 6       /* the time is up                              */
} mango_status;

/* mango_version_number - MANGO_VERSION_NUMBER of the library that is linked, which a
 * program may compare with that of the header it was compiled with. */
MANGO_API int mango_version_number(void);

/* mango_status_text - one short sentence for any status; never NULL. */
MANGO_API const char *mango_status_text(mango_status st);

/* mango_err - where a failing call leaves its message: what, where, and what
 * was expected, on one line without a newline. Calls accept NULL. Only failing
 * calls write it. */
typedef struct mango_err {
    char text[256];
} mango_err;

/* mango_alloc - an allocator value, shaped like realloc.
 *   fn(ud, NULL, 0, n)   allocates n bytes, aligned as malloc; NULL on failure
 *   fn(ud, p, old, n)    resizes;  fn(ud, p, old, 0) frees and returns NULL
 * A NULL mango_alloc pointer means the C library's. The value is copied. */
typedef struct mango_alloc {
    void *(*fn)(void *ud, void *ptr, size_t old_size, size_t new_size);
    void *ud;
} mango_alloc;

/* mango_set_threads - threads the library may use from now on in calls of this thread.
 *   n  in  >= 1; 0 means all. Without OpenMP always 1.
 * Results do not depend on it. mango_threads returns the number in force. After fork()
 * the child calls mango_set_threads(1) first: see THREADS in the manual. */
MANGO_API void mango_set_threads(int n);
MANGO_API int mango_threads(void);

#ifdef __cplusplus
}
#endif
#endif
