/* backend_cpu.c - the CPU's backend: arena, packed weights, the run of steps.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

static mango_status cpu_open(mango_plan *p, mango_err *err)
{
    p->cpu = mgi_new(&p->al, 1, sizeof *p->cpu);
    if (!p->cpu)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan");
    p->cpu->k = mgi_kernels_get();
    mgi_arena_init(&p->cpu->maps, &p->al);
    return MANGO_OK;
}

static void cpu_close(mango_plan *p)
{
    mgi_cpu *c = p->cpu;
    if (!c)
        return;
    for (int i = 0; i < c->n_blocks; i++)
        mgi_arena_free(&c->block[i]);
    mgi_arena_free(&c->maps);
    if (c->block)
        mgi_del(&p->al, c->block, c->n_blocks, sizeof *c->block);
    if (c->packed)
        mgi_del(&p->al, c->packed, c->n_packed, sizeof *c->packed);
    mgi_del(&p->al, c, 1, sizeof *c);
    p->cpu = NULL;
}

/* The arena at hand when it is large enough, else another one. */
static mango_status cpu_arena(mango_plan *p, mango_err *err)
{
    mgi_cpu *c = p->cpu;
    mgi_arena a;
    if (c->maps.base && c->maps.planned >= p->arena_bytes)
        return MANGO_OK;
    mgi_arena_init(&a, &p->al);
    mgi_arena_plan(&a, p->arena_bytes, 1);
    if (mgi_arena_commit(&a) < 0 || !mgi_arena_take(&a, p->arena_bytes, 1)) {
        mgi_arena_free(&a);
        return mgi_fail(err, MANGO_E_MEM, "no memory for an arena of %lld bytes",
                        (long long)p->arena_bytes);
    }
    mgi_arena_free(&c->maps);
    c->maps = a;
    return MANGO_OK;
}

static mango_status cpu_prepare(mango_plan *p, mango_err *err)
{
    MGI_TRY(mgi_plan_pack(p, err));
    return cpu_arena(p, err);
}

static mango_status cpu_ready(mango_plan *p, mango_err *err)
{
    if (p->cpu->k != mgi_kernels_get())
        return mgi_fail(err, MANGO_E_STATE,
                        "the plan's weights were packed for another kernel set");
    return MANGO_OK;
}

static void cpu_run(mango_plan *p, int first, int last)
{
    for (int i = first; i < last; i++) {
        mgi_step_run(p, &p->step[i]);
        for (int r = 0; r < p->n_readings; r++)
            if (p->reading[r].step == i)
                mgi_reading_take(p, &p->reading[r]);
    }
}

static void cpu_keep(mango_plan *p, mango_idx n, const mango_idx *which)
{
    for (int j = 0; j < p->n_bufs; j++) {
        const mgi_buf *u = &p->buf[j];
        const size_t each = (size_t)u->n * mgi_elem_size(u->elem);
        unsigned char *at = mgi_plan_at(p, j);
        for (mango_idx i = 0; u->carried && i < n; i++)
            if (which[i] != i)
                memmove(at + (size_t)i * each, at + (size_t)which[i] * each, each);
    }
}

static mango_idx cpu_weights(const mango_plan *p)
{
    mango_idx sum = 0;
    for (int i = 0; i < p->cpu->n_blocks; i++)
        sum += mgi_arena_bytes(&p->cpu->block[i]);
    return sum;
}

MGI_DATA const mgi_backend mgi_backend_cpu = {"cpu",    cpu_open, cpu_prepare, cpu_ready,
                                              cpu_run,  cpu_keep, cpu_weights, cpu_close};
