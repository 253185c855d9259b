/* train_sheet.c - what a generator in training draws, on one sheet.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "image.h"
#include "train_sheet.h"
#include <stdlib.h>

/* Pictures i of n from planes, with `pairs` the i-th copy below its original. */
static void sheet_fill(const mango_layer *p, mango_idx n, int pairs, const float *x,
                       unsigned char *rgb)
{
    const mango_idx e = p->C * p->H * p->W, px = 3 * p->H * p->W;
    for (mango_idx i = 0; i < n; i++) {
        const mango_idx at = 2 * 8 * (i / 8) + i % 8;
        if (pairs) {
            image_from_planes(p->C, p->H, p->W, x + (n + i) * e, rgb + at * px);
            image_from_planes(p->C, p->H, p->W, x + i * e, rgb + (at + 8) * px);
        } else {
            image_from_planes(p->C, p->H, p->W, x + i * e, rgb + i * px);
        }
    }
}

mango_status train_sheet(mango_trainer *t, const mango_net *net, const mango_net *dsc,
                         mango_idx batch, const char *path, mango_err *err)
{
    const mango_layer out = cli_layer(net, -1), *p = &out;
    const mango_idx e = p->C * p->H * p->W, px = 3 * p->H * p->W;
    const mango_idx classes = dsc ? cli_layer(dsc, -1).C : 1; /* a column each */
    const mango_idx columns = classes > 1 && classes <= 16 ? classes : 8;
    const mango_idx most = MGI_MIN(batch, dsc ? 64 : 32),
                    n = most > columns ? most / columns * columns : most;
    const int pairs = !dsc && n % 8 == 0;
    const image_sheet_options so = {MGI_MIN(n, columns), 2, 2, NULL};
    float *x = calloc((size_t)(2 * n * e), sizeof *x);
    unsigned char *rgb = calloc((size_t)(2 * n * px), 1), *sheet = NULL;
    mango_idx W = 0, H = 0;
    mango_status st = MANGO_E_MEM;
    if (!x || !rgb)
        goto done;
    MGI_TRY_TO(mango_trainer_sample(t, n, x, dsc ? NULL : x + n * e, err));
    sheet_fill(p, n, pairs, x, rgb);
    MGI_TRY_TO(image_sheet(&so, pairs ? 2 * n : n, p->W, p->H, rgb, &sheet, &W, &H));
    MGI_TRY_TO(image_save(path, W, H, sheet, err));
done:
    free(x);
    free(rgb);
    free(sheet);
    return st;
}
