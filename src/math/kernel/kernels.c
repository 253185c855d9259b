/* kernels.c - chooses the kernel set once, at run time.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"
#include <stdlib.h>

/* The sets, worst to best. NULL: not compiled in, or the CPU lacks it. */
#define KERNELS_SETS 5

static const mgi_kernels *kernels_set(int i)
{
    switch (i) {
    case 0: return mgi_kernels_ref();
    case 1: return mgi_kernels_sse2();
    case 2: return mgi_kernels_avx2();
    case 3: return mgi_kernels_avx512();
    default: return mgi_kernels_neon();
    }
}

/* Best set not above index i. */
static const mgi_kernels *kernels_best(int i)
{
    const mgi_kernels *k = NULL;
    while (i >= 0 && !(k = kernels_set(i)))
        i--;
    return k;
}

MGI_FN const char *mgi_kernels_name(int i)
{
    static const char *const names[KERNELS_SETS] = {"ref", "sse2", "avx2", "avx512", "neon"};
    return i >= 0 && i < KERNELS_SETS ? names[i] : NULL;
}

static int kernels_index(const char *name)
{
    for (int i = 0; name && i < KERNELS_SETS; i++)
        if (strcmp(name, mgi_kernels_name(i)) == 0)
            return i;
    return -1;
}

/* The table in force. Every thread that finds it empty computes the same
 * pointer, so a race is harmless; the store is atomic. */
static const mgi_kernels *kernels_now;

#if defined(__GNUC__)
#define KERNELS_LOAD() __atomic_load_n(&kernels_now, __ATOMIC_ACQUIRE)
#define KERNELS_STORE(k) __atomic_store_n(&kernels_now, (k), __ATOMIC_RELEASE)
#else
#define KERNELS_LOAD() kernels_now
#define KERNELS_STORE(k) (kernels_now = (k))
#endif

MGI_FN const mgi_kernels *mgi_kernels_get(void)
{
    const mgi_kernels *k = KERNELS_LOAD();
    if (!k) {
        const int i = kernels_index(getenv("MANGO_SIMD"));
        k = kernels_best(i < 0 ? KERNELS_SETS - 1 : i);
        KERNELS_STORE(k);
    }
    return k;
}

MGI_FN const mgi_kernels *mgi_kernels_named(const char *name)
{
    const int i = kernels_index(name);
    return i < 0 ? NULL : kernels_set(i);
}

MGI_FN int mgi_kernels_force(const char *name)
{
    const mgi_kernels *k = mgi_kernels_named(name);
    if (!k)
        return 0;
    KERNELS_STORE(k);
    return 1;
}

#undef KERNELS_SETS
#undef KERNELS_LOAD
#undef KERNELS_STORE
