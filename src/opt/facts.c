/* facts.c - what is known of a space: checked and copied for the optimizer.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "method.h"

mango_status mango_facts_defaults_sized(mango_facts *f, size_t size)
{
    static const mango_facts none = {0};
    return mgi_options_out(f, size, &none, sizeof none);
}

static mango_status facts_check_codes(const mango_facts *f, const mango_modes *m,
                                      mango_err *err)
{
    mango_idx cells, numbers;
    MGI_CHECK(err, f->n_codes >= 0 && f->code_dim >= 0, "facts: n_codes, code_dim >= 0");
    if (f->n_codes == 0)
        return MANGO_OK;
    MGI_CHECK(err, f->codes && (f->code_dim == 0 || f->code_features),
              "facts: %td reference codes with %td features each expected", f->n_codes,
              f->code_dim);
    MGI_CHECK(err,
              mgi_mul(f->n_codes, m->d, &cells) &&
                  mgi_mul(f->n_codes, f->code_dim, &numbers),
              "facts: %td reference codes are too many", f->n_codes);
    for (mango_idx i = 0; i < cells; i++)
        MGI_CHECK(err, f->codes[i] >= 0 && f->codes[i] < m->n[i % m->d],
                  "facts: reference code %td has level %td in mode %td, expected 0..%td",
                  i / m->d, f->codes[i], i % m->d, m->n[i % m->d] - 1);
    for (mango_idx i = 0; i < numbers; i++)
        MGI_CHECK(err, mgi_is_finite((double)f->code_features[i]),
                  "facts: feature %td of reference code %td is not finite", i % f->code_dim,
                  i / f->code_dim);
    return MANGO_OK;
}

/* The same points in every mode that they are of. */
static mango_status facts_check_levels(const mango_facts *f, const mango_modes *m,
                                       mango_err *err)
{
    mango_idx numbers;
    MGI_CHECK(err, f->level_dim >= 0, "facts: level_dim >= 0");
    if (f->level_dim == 0)
        return MANGO_OK;
    MGI_CHECK(err, f->levels, "facts: %td numbers of each level expected", f->level_dim);
    const mango_idx modes = f->H ? f->H * f->W : m->d;
    for (mango_idx j = 1; j < modes; j++)
        MGI_CHECK(err, m->n[j] == m->n[0], "facts: mode %td has %td levels, mode 0 has %td",
                  j, m->n[j], m->n[0]);
    MGI_CHECK(err, mgi_mul(m->n[0], f->level_dim, &numbers),
              "facts: %td levels of %td numbers are too many", m->n[0], f->level_dim);
    for (mango_idx i = 0; i < numbers; i++)
        MGI_CHECK(err, mgi_is_finite((double)f->levels[i]),
                  "facts: number %td of level %td is not finite", i % f->level_dim,
                  i / f->level_dim);
    return MANGO_OK;
}

static mango_status facts_check(const mango_facts *f, const mango_modes *m, mango_err *err)
{
    mango_idx cells;
    MGI_CHECK(err, f->H >= 0 && f->W >= 0 && mgi_mul(f->H, f->W, &cells) && cells <= m->d,
              "facts: a grid of %tdx%td does not fit %td modes", f->H, f->W, m->d);
    MGI_CHECK(err, (f->H == 0) == (f->W == 0), "facts: a grid of %tdx%td", f->H, f->W);
    MGI_CHECK(err, f->prior == MANGO_PRIOR_NONE || f->prior == MANGO_PRIOR_NORMAL,
              "facts: prior is %d, expected a mango_prior", (int)f->prior);
    MGI_CHECK(err,
              f->prior == MANGO_PRIOR_NONE ||
                  (f->prior_lo < f->prior_hi && mgi_is_finite(f->prior_hi - f->prior_lo)),
              "facts: prior_lo < prior_hi expected, finite");
    MGI_CHECK(err, f->classes >= 0 && f->classes <= m->d && f->class_first >= 0 &&
                       f->class_first <= m->d - f->classes,
              "facts: modes %td.. of %td classes, there are %td modes", f->class_first,
              f->classes, m->d);
    MGI_CHECK(err, f->features ? f->features_dim >= 1 : f->features_dim == 0,
              "facts: features_dim is %td, expected 1 or more with a callback, else 0",
              f->features_dim);
    MGI_CHECK(err, !f->allows || (f->allows_name && strlen(f->allows_name) < 64),
              "facts: a name for 'allows' expected, of at most 63 bytes");
    MGI_TRY(facts_check_levels(f, m, err));
    return facts_check_codes(f, m, err);
}

/* A copy of n numbers at *p of size bytes each, which takes its place; NULL for none. */
static mango_status facts_own(const void **p, mango_idx n, size_t size,
                              const mango_alloc *al, mango_err *err)
{
    const void *from = *p;
    void *to = n ? mgi_new(al, n, size) : NULL;
    *p = to;
    if (n && !to)
        return mgi_fail(err, MANGO_E_MEM, "facts: out of memory for %td numbers", n);
    if (n)
        memcpy(to, from, (size_t)n * size);
    return MANGO_OK;
}

static mango_idx facts_levels(const mango_facts *f, mango_idx n)
{
    return f->level_dim ? n * f->level_dim : 0;
}

MGI_FN mango_status mgi_facts_copy(mango_facts *to, const mango_facts *from,
                                   const mango_modes *m, const mango_alloc *al,
                                   mango_err *err)
{
    mango_facts f;
    mango_facts_defaults(&f);
    *to = f;
    if (!from)
        return MANGO_OK;
    MGI_TRY(mgi_options_in(&f, sizeof f, from, "facts", err));
    MGI_TRY(facts_check(&f, m, err));
    const void *codes = f.codes, *features = f.code_features, *levels = f.levels;
    f.codes = NULL;
    f.code_features = f.levels = NULL;
    *to = f;
    mango_status st = facts_own(&codes, f.n_codes * m->d, sizeof *f.codes, al, err);
    to->codes = codes;
    if (st < 0)
        return st;
    st = facts_own(&features, f.n_codes * f.code_dim, sizeof *f.code_features, al, err);
    to->code_features = features;
    if (st < 0)
        return st;
    st = facts_own(&levels, facts_levels(&f, m->n[0]), sizeof *f.levels, al, err);
    to->levels = levels;
    return st;
}

/* What copy allocated, and nothing that it did not come to. */
MGI_FN void mgi_facts_free(mango_facts *f, const mango_modes *m, const mango_alloc *al)
{
    mgi_del(al, (void *)(uintptr_t)f->codes, f->codes ? f->n_codes * m->d : 0,
            sizeof *f->codes);
    mgi_del(al, (void *)(uintptr_t)f->code_features,
            f->code_features ? f->n_codes * f->code_dim : 0, sizeof *f->code_features);
    mgi_del(al, (void *)(uintptr_t)f->levels, f->levels ? facts_levels(f, m->n[0]) : 0,
            sizeof *f->levels);
}
