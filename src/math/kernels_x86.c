/* kernels_x86.c - the kernel table's entries for this family of CPUs.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"
MGI_FN const mgi_kernels *mgi_kernels_sse2(void)
{
    return NULL;
}
MGI_FN const mgi_kernels *mgi_kernels_avx2(void)
{
    return NULL;
}
MGI_FN const mgi_kernels *mgi_kernels_avx512(void)
{
    return NULL;
}
