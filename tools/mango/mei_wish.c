/* mei_wish.c - what pictures are kept to, and what a generator's latents are.
 * SPDX-License-Identifier: MIT */
#include "mei_wish.h"

void mei_wish_begin(mei_wish *w)
{
    memset(w, 0, sizeof *w);
    mango_controls_defaults(&w->c);
}

int mei_wish_opts(mei_wish *w, cli_opt *to)
{
    const cli_opt opt[] = {
        {"--grey", CLI_FLAG, &w->c.grey, 0, 0, NULL,
         "pictures without colour, by luminance", 0},
        {"--luminance", CLI_REAL, &w->c.luminance, 0, 1, "X",
         "mean luminance of every picture, 0.299 R + 0.587 G + 0.114 B", 0},
        {"--contrast", CLI_REAL, &w->c.contrast, 0, 0.5, "X",
         "RMS contrast: standard deviation of the luminance", 0},
        {"--tv", CLI_REAL, &w->c.tv, 1e-6, 2, "X",
         "limit of the total variation, mean of |right - here| + |below - here|; kept by "
         "blurring", 0},
        {"--mask", CLI_REAL, &w->c.mask, 1e-3, 2, "R",
         "a disc of radius R times half the shorter side, on --surround", 0},
        {"--surround", CLI_REAL, &w->c.surround, 0, 1, "X",
         "grey around mask and size (default 0.5)", 0},
        {"--size", CLI_STR, &w->size, 0, 0, "HxW",
         "size of the picture, in the middle of the network's field", 0},
        {"--latent-range", CLI_STR, &w->range, 0, 0, "LO,HI",
         "ends of the latents' levels (default: the generator's mango.latent_range, or -4,4)",
         0},
        {"--levels", CLI_INT, &w->levels, 2, 65536, "N",
         "places on that range (default: mango.latent_levels, or 64)", 0},
        {"--prior", CLI_STR, &w->prior, 0, 0, "P",
         "of a latent: normal, uniform, none (default: mango.latent_prior, or normal)", 0},
    };
    memcpy(to, opt, sizeof opt);
    return (int)MGI_COUNT(opt);
}

/* "24" or "24x32" */
static mango_status wish_size(mei_wish *w, mango_err *err)
{
    char buf[64];
    int64_t H = 0, W = 0;
    if (mgi_copy(buf, (mango_idx)sizeof buf, w->size)) {
        char *x = strchr(buf, 'x');
        if (x)
            *x = 0;
        if (mgi_parse_int(buf, 1, 4096, &H) && mgi_parse_int(x ? x + 1 : buf, 1, 4096, &W)) {
            w->c.H = (mango_idx)H;
            w->c.W = (mango_idx)W;
            return MANGO_OK;
        }
    }
    return mgi_fail(err, MANGO_E_ARG, "--size %.40s: HxW expected, such as 24x24", w->size);
}

mango_status mei_wish_read(mei_wish *w, mango_err *err)
{
    if (w->size)
        MGI_TRY(wish_size(w, err));
    if (mango_controls_text(&w->c, w->text, (mango_idx)sizeof w->text) < 0)
        return mgi_fail(err, MANGO_E_MEM, "no memory for the controls' text");
    return MANGO_OK;
}

const mango_controls *mei_wish_controls(const mei_wish *w)
{
    return w->text[0] ? &w->c : NULL;
}

mango_status mei_wish_latents(const mei_wish *w, mango_net *gen, mango_err *err)
{
    char levels[24];
    snprintf(levels, sizeof levels, "%lld", (long long)w->levels);
    const char *const meta[3][2] = {{"mango.latent_range", w->range},
                                    {"mango.latent_levels", w->levels ? levels : NULL},
                                    {"mango.latent_prior", w->prior}};
    mango_space *space = NULL;
    mango_space_info info = {.codebook = 0};
    if (!w->range && !w->levels && !w->prior)
        return MANGO_OK;
    if (mango_space_of(&space, gen, NULL, NULL) == MANGO_OK)
        mango_space_get(space, &info);
    mango_space_destroy(space);
    if (info.codebook)
        return mgi_fail(err, MANGO_E_ARG, "--latent-range, --levels, --prior: this generator "
                        "has a codebook, its levels are codes");
    for (int i = 0; i < 3; i++)
        if (meta[i][1] && mango_net_meta_set(gen, meta[i][0], meta[i][1]) < 0)
            return mgi_fail(err, MANGO_E_MEM, "%s: %s", meta[i][0], mango_net_error(gen));
    return MANGO_OK;
}
