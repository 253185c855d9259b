/* reference.c - codes of real pictures, and numbers that describe their pictures, that a
 * generator carries in its file: where an optimizer may start.
 *
 *   reference_codes     (n,h,w) or (n,d) whole numbers: level of each mode
 *   reference_features  (n,dim) numbers of each of them
 * SPDX-License-Identifier: MIT */
#include "reference.h"
#include "../base/real.h"
#include "../net/graph.h"

#define REFERENCE_CODES "reference_codes"
#define REFERENCE_FEATURES "reference_features"
#define REFERENCE_MOST 100000              /* codes             */
#define REFERENCE_CELLS ((mango_idx)1 << 26) /* numbers of either */
#define REFERENCE_DIM 4096

/* ---- reading -------------------------------------------------------------- */

/* n rows of the same size; *row is that size. */
static mango_status reference_rows(const mgi_tensor *t, mango_idx *row, mango_err *err)
{
    if (t->rank < 2)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "tensor '%s': rank %d, expected a row for each code", t->name,
                        t->rank);
    if (t->shape[0] > REFERENCE_MOST || t->count > REFERENCE_CELLS)
        return mgi_fail(err, MANGO_E_LIMIT, "tensor '%s': %td codes, expected at most %d",
                        t->name, t->shape[0], REFERENCE_MOST);
    *row = t->shape[0] > 0 ? t->count / t->shape[0] : 0;
    return MANGO_OK;
}

/* Whole numbers of a tensor as levels, each within its mode. */
static mango_status reference_levels(const mgi_tensor *t, mango_idx d, const mango_idx *n,
                                     const float *v, mango_idx *code, mango_err *err)
{
    for (mango_idx i = 0; i < t->count; i++) {
        const mango_idx top = n[i % d] - 1;
        if (!(v[i] >= 0.0f && (double)v[i] <= (double)top))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "tensor '%s': code %td has level %g in mode %td, expected 0..%td",
                            t->name, i / d, (double)v[i], i % d, top);
        code[i] = (mango_idx)v[i];
    }
    return MANGO_OK;
}

static mango_status reference_read_codes(mgi_references *r, const mgi_tensor *t, mango_idx d,
                                    const mango_idx *n, const mango_alloc *al,
                                    mango_err *err)
{
    mango_idx row = 0;
    MGI_TRY(reference_rows(t, &row, err));
    if (t->dtype < MGI_I8 || t->dtype == MGI_BOOL)
        return mgi_fail(err, MANGO_E_FORMAT, "tensor '%s': %s, expected whole numbers",
                        t->name, mgi_dtype_name(t->dtype));
    if (t->count == 0)
        return MANGO_OK;
    if (row != d)
        return mgi_fail(err, MANGO_E_SHAPE, "tensor '%s': %td levels a code, expected %td",
                        t->name, row, d);
    float *v = mgi_new(al, t->count, sizeof *v);
    r->codes = mgi_new(al, t->count, sizeof *r->codes);
    r->n = t->shape[0];
    mango_status st = MANGO_OK;
    if (!v || !r->codes)
        st = mgi_fail(err, MANGO_E_MEM, "space: out of memory for %td reference codes", r->n);
    if (st == MANGO_OK)
        st = mgi_tensor_floats(t, 1, v, err);
    if (st == MANGO_OK)
        st = reference_levels(t, d, n, v, r->codes, err);
    mgi_del(al, v, t->count, sizeof *v);
    return st;
}

static mango_status reference_read_features(mgi_references *r, const mgi_tensor *t,
                                       const mango_alloc *al, mango_err *err)
{
    mango_idx row = 0;
    MGI_TRY(reference_rows(t, &row, err));
    if (t->dtype >= MGI_I8)
        return mgi_fail(err, MANGO_E_FORMAT, "tensor '%s': %s, expected F16, BF16 or F32",
                        t->name, mgi_dtype_name(t->dtype));
    if (t->rank != 2 || t->shape[0] != r->n || row > REFERENCE_DIM)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "tensor '%s': %td rows of %td, expected one of up to %d for each of "
                        "%td reference codes",
                        t->name, t->shape[0], row, REFERENCE_DIM, r->n);
    if (t->count == 0)
        return MANGO_OK;
    r->dim = row;
    r->features = mgi_new(al, t->count, sizeof *r->features);
    if (!r->features)
        return mgi_fail(err, MANGO_E_MEM, "space: out of memory for reference features");
    return mgi_tensor_floats(t, 1, r->features, err);
}

MGI_FN mango_status mgi_references_read(mgi_references *r, const mango_net *gen, mango_idx d,
                                        const mango_idx *n_level, const mango_alloc *al,
                                        mango_err *err)
{
    const mgi_tensor *codes = mgi_net_extra_get(gen, REFERENCE_CODES);
    const mgi_tensor *features = mgi_net_extra_get(gen, REFERENCE_FEATURES);
    memset(r, 0, sizeof *r);
    if (codes)
        MGI_TRY(reference_read_codes(r, codes, d, n_level, al, err));
    return features ? reference_read_features(r, features, al, err) : MANGO_OK;
}

MGI_FN void mgi_references_free(mgi_references *r, mango_idx d, const mango_alloc *al)
{
    mgi_del(al, r->codes, r->codes ? r->n * d : 0, sizeof *r->codes);
    mgi_del(al, r->features, r->features ? r->n * r->dim : 0, sizeof *r->features);
    memset(r, 0, sizeof *r);
}

/* ---- writing -------------------------------------------------------------- */

/* n levels as little-endian numbers of `size` bytes. */
static void reference_pack(mango_idx n, const mango_idx *I, mango_idx size,
                           unsigned char *raw)
{
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx b = 0; b < size; b++)
            raw[i * size + b] = (unsigned char)((uint64_t)I[i] >> (8 * b) & 255);
}

static mango_status reference_put_codes(mango_net *gen, const mango_space_info *s, mango_idx n,
                                        const mango_idx *I)
{
    const mango_idx d = s->modes.d, shape[3] = {n, s->H ? s->H : d, s->W};
    mgi_dtype type = MGI_I16;
    for (mango_idx i = 0; i < n * d; i++)
        if (I[i] < 0 || I[i] >= s->modes.n[i % d])
            return mgi_fail(&gen->err, MANGO_E_ARG, "reference code %td: level %td of mode %td",
                            i / d, I[i], i % d);
        else if (I[i] > INT16_MAX)
            type = MGI_I32;
    const mango_idx size = mgi_dtype_size(type);
    unsigned char *raw = mgi_new(&gen->al, n * d, (size_t)size);
    if (!raw)
        return MANGO_E_MEM;
    reference_pack(n * d, I, size, raw);
    const mango_status st =
        mgi_net_extra_set(gen, REFERENCE_CODES, type, s->H ? 3 : 2, shape, raw);
    mgi_del(&gen->al, raw, n * d, (size_t)size);
    return st;
}

static mango_status reference_put_features(mango_net *gen, mango_idx n, mango_idx dim,
                                           const float *f)
{
    const mango_idx shape[2] = {n, dim};
    unsigned char *raw = mgi_new(&gen->al, n * dim, 2);
    mango_status st = raw ? MANGO_OK : MANGO_E_MEM;
    for (mango_idx i = 0; raw && i < n * dim; i++) {
        const uint16_t h = mgi_to_f16(f[i]);
        if ((h & 0x7c00) == 0x7c00)
            st = mgi_fail(&gen->err, MANGO_E_NONFINITE,
                          "feature %td of reference code %td does not fit half precision",
                          i % dim, i / dim);
        raw[2 * i] = (unsigned char)(h & 255);
        raw[2 * i + 1] = (unsigned char)(h >> 8);
    }
    if (st == MANGO_OK)
        st = mgi_net_extra_set(gen, REFERENCE_FEATURES, MGI_F16, 2, shape, raw);
    mgi_del(&gen->al, raw, n * dim, 2);
    return st;
}

mango_status mango_reference_set(mango_net *gen, mango_idx n, const mango_idx *I,
                                 mango_idx dim, const float *f, mango_err *err)
{
    mango_space *space = NULL;
    mango_space_info s = {0};
    mango_idx cells;
    MGI_CHECK(err, gen, "mango_reference_set: a generator expected");
    MGI_CHECK(err, n >= 0 && n <= REFERENCE_MOST && (n == 0 || I),
              "mango_reference_set: %td codes, expected 0..%d", n, REFERENCE_MOST);
    MGI_CHECK(err, dim >= 0 && dim <= REFERENCE_DIM && (dim == 0 || f),
              "mango_reference_set: %td features, expected 0..%d", dim, REFERENCE_DIM);
    mgi_net_extra_drop(gen, REFERENCE_CODES);
    mgi_net_extra_drop(gen, REFERENCE_FEATURES);
    if (n == 0)
        return MANGO_OK;
    MGI_TRY(mango_space_of(&space, gen, &gen->al, err));
    mango_space_get(space, &s);
    mango_status st = MANGO_E_LIMIT;
    gen->err.text[0] = '\0';
    if (mgi_mul(n, s.modes.d, &cells) && cells <= REFERENCE_CELLS &&
        n * dim <= REFERENCE_CELLS)
        st = reference_put_codes(gen, &s, n, I);
    if (st == MANGO_OK && dim > 0)
        st = reference_put_features(gen, n, dim, f);
    if (st < 0)
        mgi_net_extra_drop(gen, REFERENCE_CODES);
    mango_space_destroy(space);
    return st < 0 ? mgi_fail(err, st, "reference codes: %s",
                             gen->err.text[0] ? gen->err.text : mango_status_text(st))
                  : st;
}

#undef REFERENCE_CODES
#undef REFERENCE_FEATURES
#undef REFERENCE_MOST
#undef REFERENCE_CELLS
#undef REFERENCE_DIM
