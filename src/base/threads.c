/* threads.c - how many threads the library uses; serial without OpenMP.
 * SPDX-License-Identifier: MIT */
#include "mgi.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

void mango_set_threads(int n)
{
#if defined(_OPENMP)
    omp_set_num_threads(n >= 1 ? n : omp_get_num_procs());
#else
    (void)n;
#endif
}

int mango_threads(void)
{
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

MGI_FN mango_idx mgi_thread(void)
{
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

MGI_FN int mgi_in_parallel(void)
{
#if defined(_OPENMP)
    return omp_in_parallel();
#else
    return 0;
#endif
}
