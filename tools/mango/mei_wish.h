/* mei_wish.h - what pictures are kept to, and what a generator's latents are: the options of
 * `mango mei` and `mango decode`.
 * SPDX-License-Identifier: MIT */
#ifndef MEI_WISH_H
#define MEI_WISH_H

#include "cli.h"

typedef struct mei_wish {
    mango_controls c;
    const char *size, *range, *prior;
    int64_t levels;
    char text[200]; /* the controls in words */
} mei_wish;
void mei_wish_begin(mei_wish *w);
int mei_wish_opts(mei_wish *w, cli_opt *to);
/* The options, checked as far as they can be without a network. */
mango_status mei_wish_read(mei_wish *w, mango_err *err);
/* What they say of the latents, put into the generator. */
mango_status mei_wish_latents(const mei_wish *w, mango_net *gen, mango_err *err);
/* The controls, or NULL when none was asked for. */
const mango_controls *mei_wish_controls(const mei_wish *w);

#endif
