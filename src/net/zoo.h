/* zoo.h - the architectures: what a specification may set, and one builder each.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_ZOO_H
#define MGI_ZOO_H

#include "graph.h"

/* The values of "NAME,key=value,...", filled with the architecture's own
 * before the keys are read. Builders derive every other size from these. */
typedef struct mgi_zoo {
    double width;            /* scales channel counts                          */
    mango_idx C, H, W;       /* in=CxHxW; of a generator: the picture, out=CxHxW */
    mango_idx classes, T;
    mango_idx hidden;        /* vqvae: channels inside; snn_conv: linear1's outputs;
                                taken as it is; 0: the architecture's own, scaled */
    mango_idx codes, dim;    /* vqvae: the codebook (codes,dim)                */
    mango_idx latent;        /* sngan                                          */
    mango_idx stem;          /* resnet, densenet: 3, or 7 (with a pool), torchvision's */
    mango_idx pool;          /* vgg: side of the maps before its linear layers */
    int norm;                /* vgg: 1 with batch-norm                         */
    int divide;              /* sngan_dsc, sn=0: 0 takes weights as they are   */
    const int *plan;         /* of a family: how deep, how wide; see its file  */
    char lif[256];           /* " key=value ..." appended to every LIF's attributes */
} mgi_zoo;

/* c channels scaled by width: a multiple of 8 and at least 8; c when width is 1. */
MGI_FN mango_idx mgi_zoo_wide(const mgi_zoo *z, mango_idx c);

/* A layer's name, printed into b: mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), ...). */
typedef struct mgi_zoo_label {
    char z[MGI_NAME];
} mgi_zoo_label;
MGI_FN const char *mgi_zoo_name(mgi_zoo_label *b, const char *fmt, ...) MGI_PRINTF(2, 3);
/* Two nodes into one: MGI_ADD or MGI_CONCAT. */
MGI_FN int mgi_zoo_join(mango_net *n, const char *name, mgi_kind kind, int a, int b);

MGI_FN void mgi_zoo_sngan(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_sngan_dsc(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_vqvae(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_snn_conv(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_spiking_resnet(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_resnet(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_densenet(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_alexnet(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_vgg(mango_net *n, const mgi_zoo *z);

/* All architectures by name; NULL out of range. */
MGI_FN const char *mgi_zoo_at(mango_idx i);

#endif
