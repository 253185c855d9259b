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
    return facts_check_codes(f, m, err);
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
    const mango_idx cells = f.n_codes * m->d, numbers = f.n_codes * f.code_dim;
    mango_idx *codes = cells ? mgi_new(al, cells, sizeof *codes) : NULL;
    float *features = numbers ? mgi_new(al, numbers, sizeof *features) : NULL;
    if (cells && codes)
        memcpy(codes, f.codes, (size_t)cells * sizeof *codes);
    if (numbers && features)
        memcpy(features, f.code_features, (size_t)numbers * sizeof *features);
    f.codes = codes;
    f.code_features = features;
    *to = f;
    if ((cells && !codes) || (numbers && !features))
        return mgi_fail(err, MANGO_E_MEM, "facts: out of memory for %td reference codes",
                        f.n_codes);
    return MANGO_OK;
}

MGI_FN void mgi_facts_free(mango_facts *f, mango_idx d, const mango_alloc *al)
{
    mgi_del(al, (void *)(uintptr_t)f->codes, f->codes ? f->n_codes * d : 0, sizeof *f->codes);
    mgi_del(al, (void *)(uintptr_t)f->code_features,
            f->code_features ? f->n_codes * f->code_dim : 0, sizeof *f->code_features);
}
