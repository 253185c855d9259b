/* drawing.c - codes or latents to pictures: space -> generator -> 8 bits.
 *
 *   rgb = round(255 clamp(y out_scale + out_shift, 0, 1))/255                (1)
 *
 * and, where that is asked for, controls.c between clamp and round.
 * SPDX-License-Identifier: MIT */
#include "../net/graph.h"
#include "controls.h"
#include "objective.h"
#include <math.h>

struct mango_drawing {
    mango_alloc al;
    mango_space *space;
    mango_plan *plan;
    mango_idx d, batch;
    mango_idx C, H, W, size; /* of the picture; C*H*W          */
    float out_scale, out_shift;
    float *z;                /* (batch,d)                      */
    mgi_controls *controls;  /* NULL: nothing is to be done    */
    mango_idx drawn;         /* floats of the generator's picture */
    float *raw;              /* (batch,drawn) with controls    */
    mango_err err;
};

mango_status mango_drawing_defaults_sized(mango_drawing_options *o, size_t size)
{
    mango_drawing_options own;
    memset(&own, 0, sizeof own);
    own.batch = 10;
    return mgi_options_out(o, size, &own, sizeof own);
}

static mango_status drawing_plan(mango_drawing *x, const mango_net *gen,
                                 const mango_drawing_options *o, mango_err *err)
{
    const mango_reading picture = {gen->output, MANGO_READ_MEAN, NULL};
    mango_space_info space;
    mango_plan_options p;
    MGI_TRY(mango_space_get(x->space, &space));
    MGI_TRY(mango_plan_defaults(&p));
    p.batch = o->batch;
    p.half = o->half;
    p.memory = o->memory;
    p.from = space.layer;
    p.raw = 1;
    return mango_plan_create(&x->plan, gen, &p, 1, &picture, &x->al, err);
}

/* What stands between the generator `out` and the pictures that are wanted. */
static mango_status drawing_controls(mango_drawing *x, const mgi_node *out,
                                     const mango_controls *controls, mango_err *err)
{
    mango_controls c;
    mango_idx raw;
    MGI_TRY(mango_controls_defaults(&c));
    if (controls)
        MGI_TRY(mgi_options_in(&c, sizeof c, controls, "mango_controls", err));
    if (mgi_controls_none(&c, out->C, out->H, out->W, x->C, x->H, x->W))
        return MANGO_OK;
    MGI_TRY(mgi_controls_new(&x->controls, &c, out->C, out->H, out->W, x->C, x->H, x->W, &x->al,
                             err));
    if (!mgi_mul(x->batch, x->drawn, &raw))
        return mgi_fail(err, MANGO_E_MEM, "drawing: batch %td is too large", x->batch);
    x->raw = mgi_new(&x->al, raw, sizeof *x->raw);
    return x->raw ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "drawing: out of memory");
}

static mango_status drawing_build(mango_drawing *x, const mango_net *gen,
                                  const mango_drawing_options *o, mango_err *err)
{
    const mgi_node *out = gen->node + gen->output;
    mango_space_info space;
    mango_idx cells;
    MGI_TRY(mango_space_of(&x->space, gen, &x->al, err));
    MGI_TRY(mango_space_get(x->space, &space));
    x->d = space.modes.d;
    x->batch = o->batch;
    x->C = o->C > 0 ? o->C : out->C;
    x->H = o->H > 0 ? o->H : out->H;
    x->W = o->W > 0 ? o->W : out->W;
    x->size = x->C * x->H * x->W;
    x->drawn = out->C * out->H * out->W;
    x->out_scale = gen->out_scale;
    x->out_shift = gen->out_shift;
    if (!mgi_mul(x->batch, x->d, &cells))
        return mgi_fail(err, MANGO_E_MEM, "drawing: batch %td is too large", x->batch);
    x->z = mgi_new(&x->al, cells, sizeof *x->z);
    if (!x->z)
        return mgi_fail(err, MANGO_E_MEM, "drawing: out of memory");
    MGI_TRY(drawing_controls(x, out, o->controls, err));
    return drawing_plan(x, gen, o, err);
}

mango_status mango_drawing_create(mango_drawing **d, const mango_net *gen,
                                  const mango_drawing_options *options,
                                  const mango_alloc *al, mango_err *err)
{
    mango_drawing_options o;
    MGI_CHECK(err, d, "mango_drawing_create: a place for the drawing expected");
    *d = NULL;
    MGI_CHECK(err, gen, "mango_drawing_create: a generator expected");
    MGI_TRY(mango_drawing_defaults(&o));
    if (options)
        MGI_TRY(mgi_options_in(&o, sizeof o, options, "mango_drawing_create", err));
    MGI_CHECK(err, o.batch >= 1 && o.batch <= 4096 && o.memory >= 0,
              "drawing: batch 1..4096, memory >= 0 expected");
    MGI_CHECK(err, o.C >= 0 && o.H >= 0 && o.W >= 0 && o.C <= 4096 && o.H <= 65536 &&
                       o.W <= 65536,
              "drawing: pictures of 0..4096 channels and sides of 0..65536 expected");
    const mango_alloc a = mgi_alloc_get(al);
    mango_drawing *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "drawing: out of memory");
    x->al = a;
    const mango_status st = drawing_build(x, gen, &o, err);
    if (st < 0)
        mango_drawing_destroy(x);
    else
        *d = x;
    return st;
}

void mango_drawing_destroy(mango_drawing *d)
{
    if (!d)
        return;
    const mango_alloc al = d->al;
    mango_plan_destroy(d->plan);
    mgi_del(&al, d->z, d->batch * d->d, sizeof *d->z);
    mgi_del(&al, d->raw, d->batch * d->drawn, sizeof *d->raw);
    mgi_controls_free(d->controls);
    mango_space_destroy(d->space);
    mgi_del(&al, d, 1, sizeof *d);
}

/* ---- pictures ------------------------------------------------------------- */

static float drawing_eight(float c)
{
    return floorf(255.0f * c + 0.5f) / 255.0f;
}

/* What the generator says, as numbers in [0,1]. */
static float drawing_clamp(const mango_drawing *d, float y)
{
    const float x = y * d->out_scale + d->out_shift;
    return !(x > 0.0f) ? 0.0f : x > 1.0f ? 1.0f : x;
}

/* (1), in place. */
static void drawing_round(const mango_drawing *d, mango_idx n, float *rgb)
{
    for (mango_idx i = 0; i < n; i++)
        rgb[i] = drawing_eight(drawing_clamp(d, rgb[i]));
}

/* (1) with controls, from d->raw. */
static void drawing_control(mango_drawing *d, mango_idx K, float *rgb)
{
    for (mango_idx i = 0; i < K * d->drawn; i++)
        d->raw[i] = drawing_clamp(d, d->raw[i]);
    for (mango_idx k = 0; k < K; k++)
        mgi_controls_apply(d->controls, d->raw + k * d->drawn, rgb + k * d->size);
    for (mango_idx i = 0; i < K * d->size; i++)
        rgb[i] = drawing_eight(rgb[i]);
}

/* K <= batch of them. */
static mango_status drawing_batch(mango_drawing *d, mango_idx K, const float *z, float *rgb)
{
    mango_status st = mango_plan_output(d->plan, 0, d->controls ? d->raw : rgb);
    if (st == MANGO_OK)
        st = mango_plan_run(d->plan, K, z);
    if (st < 0)
        return mgi_fail(&d->err, st, "drawing: %s", mango_plan_error(d->plan));
    if (d->controls)
        drawing_control(d, K, rgb);
    else
        drawing_round(d, K * d->size, rgb);                                     /* (1) */
    return MANGO_OK;
}

mango_status mango_drawing_latents(mango_drawing *d, mango_idx K, const float *z, float *rgb)
{
    MGI_REQUIRE(d);
    MGI_CHECK(&d->err, K >= 0 && (K == 0 || (z && rgb)),
              "mango_drawing_latents: latents and room for pictures expected");
    for (mango_idx k = 0; k < K; k += d->batch)
        MGI_TRY(drawing_batch(d, MGI_MIN(d->batch, K - k), z + k * d->d, rgb + k * d->size));
    return MANGO_OK;
}

mango_status mango_drawing_codes(mango_drawing *d, mango_idx K, const mango_idx *I, float *rgb)
{
    MGI_REQUIRE(d);
    MGI_CHECK(&d->err, K >= 0 && (K == 0 || (I && rgb)),
              "mango_drawing_codes: codes and room for pictures expected");
    for (mango_idx k = 0; k < K; k += d->batch) {
        const mango_idx m = MGI_MIN(d->batch, K - k);
        const mango_status st = mango_space_latent(d->space, m, I + k * d->d, d->z);
        if (st < 0)
            return mgi_fail(&d->err, st, "drawing: codes %td to %td: a level out of range",
                            k, k + m - 1);
        MGI_TRY(drawing_batch(d, m, d->z, rgb + k * d->size));
    }
    return MANGO_OK;
}

mango_status mango_drawing_get_sized(const mango_drawing *d, mango_drawing_info *info,
                                     size_t size)
{
    MGI_REQUIRE(d && info);
    const mango_drawing_info own = {
        .C = d->C,
        .H = d->H,
        .W = d->W,
        .batch = d->batch,
        .bytes = mango_plan_bytes(d->plan),
        .macs = mango_plan_macs(d->plan),
        .space = d->space,
    };
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

const char *mango_drawing_error(const mango_drawing *d)
{
    return d ? d->err.text : "";
}
