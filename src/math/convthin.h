/* convthin.h - private to conv.c: convolutions with few outputs.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CONVTHIN_H
#define MGI_CONVTHIN_H

#include "convgeo.h"

/* Is the thin form the faster one for this phase? It changes no bits. */
MGI_FN int mgi_thin_fits(const mgi_convgeo *g);
MGI_FN mango_idx mgi_thin_work(const mgi_convgeo *g); /* floats, all threads */
/* One phase over N maps; packed: its weights as mgi_conv_pack leaves them. */
MGI_FN void mgi_thin_phase(const mgi_convgeo *g, mango_idx N, const float *x,
                           const float *packed, const mgi_epilogue *e, float *y, float *work);

#endif
