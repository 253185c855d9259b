/* eval_compare.h - `mango eval --compare`: a network with its weights in fewer bits
 * beside the same network with its weights as they are, on the same pictures.
 * SPDX-License-Identifier: MIT */
#ifndef EVAL_COMPARE_H
#define EVAL_COMPARE_H

#include "cli.h"

typedef struct eval_compare eval_compare;

/* A plan of the weights as they are, of the same net, T and batch, which reads the
 * output and every spiking layer; and the readings that the plan under test needs:
 * `rd` (cap) gets one for each spiking layer, n counts on. */
mango_status eval_compare_create(eval_compare **k, const mango_net *net, mango_idx T,
                                 mango_idx batch, mango_reading *rd, mango_idx cap,
                                 mango_idx *n, mango_err *err);
/* The same B pictures x that the plan under test has seen, its answers y (B,classes). */
mango_status eval_compare_batch(eval_compare *k, mango_idx B, const float *x, const float *y,
                                const int *label);
/* Lines to read; and for JSON `,"compare":{...}`. */
void eval_compare_report(const eval_compare *k, cli *c, mgi_str *s);
void eval_compare_destroy(eval_compare *k);

#endif
