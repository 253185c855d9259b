/* kernels_neon.c - the kernel table's entries for this family of CPUs.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"
MGI_FN const mgi_kernels *mgi_kernels_neon(void)
{
    return NULL;
}
