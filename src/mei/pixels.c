/* pixels.c - the generator that draws nothing: its code is the picture.
 * SPDX-License-Identifier: MIT */
#include "../base/text.h"
#include "mei.h"

mango_status mango_net_pixels(mango_net **gen, mango_idx C, mango_idx H, mango_idx W,
                              mango_idx levels, const mango_alloc *al, mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    char number[24];
    mango_idx n;
    mgi_str s;
    MGI_CHECK(err, gen, "mango_net_pixels: a place for the generator expected");
    *gen = NULL;
    const mango_idx side[3] = {C, H, W};
    const int fits = C >= 1 && H >= 1 && W >= 1 && mgi_prod(3, side, &n) && n <= 1 << 20;
    MGI_CHECK(err, fits && levels >= 2 && levels <= 65536,
              "pixels: %tdx%tdx%td with %td levels: up to 2^20 numbers, 2..65536 levels "
              "expected", C, H, W, levels);
    mgi_str_init(&s, &a);
    mgi_str_printf(&s,
                   "mango-graph 1\nnet arch=pixels\ninput input - shape=%tdx1x1\n"
                   "picture reshape input shape=%tdx%tdx%td\n", n, C, H, W);
    mango_status st = s.bad ? mgi_fail(err, MANGO_E_MEM, "pixels: out of memory")
                            : mango_net_parse(gen, s.p, s.n, al, err);
    mgi_str_free(&s);
    if (st < 0)
        return st;
    snprintf(number, sizeof number, "%td", levels);
    st = mango_net_meta_set(*gen, "mango.latent_range", "0,1");
    if (st == MANGO_OK)
        st = mango_net_meta_set(*gen, "mango.latent_levels", number);
    if (st == MANGO_OK)
        st = mango_net_meta_set(*gen, "mango.latent_prior", "uniform");
    if (st == MANGO_OK)
        return st;
    mango_net_destroy(*gen);
    *gen = NULL;
    return mgi_fail(err, st, "pixels: out of memory");
}
