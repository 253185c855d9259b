/* backend.h - what computes the steps of a plan. The planner decides steps, buffers and
 * chunks; a backend owns the arena that the buffers lie in and the packed weights, and
 * runs the steps. Kernel tables and register tiles are the CPU's own business.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_BACKEND_H
#define MGI_BACKEND_H

#include "../math/kernel/kernels.h"
#include "op.h"

typedef struct mgi_backend {
    const char *name;
    /* What it keeps, empty; nothing after a failure. */
    mango_status (*open)(mango_plan *p, mango_err *err);
    /* An arena for the buffers as planned, and the weights of all steps; what was
     * packed for an earlier aim is used again. After a failure a plan that was ready
     * before is still. */
    mango_status (*prepare)(mango_plan *p, mango_err *err);
    /* May it run, with the machine set as it is now? */
    mango_status (*ready)(mango_plan *p, mango_err *err);
    /* Steps first..last-1 on the chunk under way, and the readings that follow them. */
    void (*run)(mango_plan *p, int first, int last);
    /* The inputs at which[0..n-1] move to the front of every value that lasts. */
    void (*keep)(mango_plan *p, mango_idx n, const mango_idx *which);
    mango_idx (*weights)(const mango_plan *p); /* bytes of packed ones */
    void (*close)(mango_plan *p);              /* NULL device: nothing */
} mgi_backend;

MGI_FN const mgi_backend mgi_backend_cpu;

/* What the CPU's backend keeps for a plan. */
typedef struct mgi_cpu {
    const mgi_kernels *k;   /* packed for these                                   */
    mgi_arena maps;         /* the arena                                          */
    mgi_arena *block;       /* (n_blocks) packed weights, one a plan or aim       */
    int n_blocks;
    mgi_step *packed;       /* (n_packed) steps whose weights are in the blocks   */
    int n_packed;
} mgi_cpu;

#endif
