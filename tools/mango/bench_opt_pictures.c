/* bench_opt_pictures.c - what is not a search: the best of the first pictures of a data
 * set's test half, as a row beside the optimizers. The networks see them as they are.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include "input.h"
#include <stdlib.h>

#define BO_AT_ONCE 50

typedef struct bo_album {
    bo_all *a;
    int net, n;      /* units of this network ... */
    int u[BO_UNITS]; /* ... that have no line yet */
    mango_data *data;
    mango_data_info info;
    mango_idx count;      /* pictures that are looked at */
    mango_objective *o;   /* without a generator         */
    unsigned char *bytes; /* one picture                 */
    float *rgb;           /* (BO_AT_ONCE,C,H,W)          */
    double *y;            /* (BO_AT_ONCE, n)             */
    bo_result *r;         /* (n)                         */
} bo_album;

mango_idx bo_pictures_count(const bo_all *a)
{
    return (mango_idx)a->pictures;
}

static mango_status bo_album_open(bo_album *b, mango_err *err)
{
    const bo_all *a = b->a;
    const bo_net *n = a->net + b->net;
    const mango_layer in = cli_layer(n->net, 0);
    mango_objective_options oo;
    mango_target t[BO_UNITS];
    MGI_TRY(input_data(&b->data, &b->info, a->data, a->root, "test", &in, err));
    const mango_idx size = b->info.C * b->info.H * b->info.W;
    b->count = MGI_MIN(bo_pictures_count(a), b->info.count);
    b->bytes = malloc((size_t)size);
    b->rgb = malloc(sizeof *b->rgb * (size_t)(BO_AT_ONCE * size));
    b->y = malloc(sizeof *b->y * (size_t)(BO_AT_ONCE * b->n));
    b->r = calloc((size_t)b->n, sizeof *b->r);
    if (!b->bytes || !b->rgb || !b->y || !b->r)
        return mgi_fail(err, MANGO_E_MEM, "pictures: out of memory");
    for (int i = 0; i < b->n; i++)
        t[i] = a->unit[b->u[i]].t;
    MGI_TRY(mango_objective_defaults(&oo));
    oo.T = n->T;
    oo.batch = (mango_idx)a->batch;
    return mango_objective_create_many(&b->o, NULL, n->net, b->n, t, &oo, NULL, err);
}

/* Values of pictures from .. from + K - 1. */
static mango_status bo_album_look(bo_album *b, mango_idx from, mango_idx K, mango_err *err)
{
    const mango_idx size = b->info.C * b->info.H * b->info.W;
    for (mango_idx k = 0; k < K; k++) {
        MGI_TRY(mango_data_picture(b->data, from + k, b->bytes, NULL, err));
        for (mango_idx e = 0; e < size; e++)
            b->rgb[k * size + e] = (float)b->bytes[e] / 255.0f;
    }
    if (mango_objective_look(b->o, K, b->rgb, b->y) < 0)
        return mgi_fail(err, MANGO_E_STATE, "pictures: %.150s",
                        mango_objective_error(b->o));
    for (int i = 0; i < b->n; i++)
        for (mango_idx k = 0; k < K; k++)
            MGI_TRY(bo_improve(b->r + i, from + k + 1, b->y[k * b->n + i]));
    return MANGO_OK;
}

static mango_status bo_album_all(bo_album *b, mango_err *err)
{
    for (mango_idx at = 0; at < b->count; at += BO_AT_ONCE) {
        MGI_TRY(bo_album_look(b, at, MGI_MIN(BO_AT_ONCE, b->count - at), err));
        cli_progress(&b->a->c, b->a->since, 0, (double)at, (double)b->count, "pictures");
        if (cli_interrupted())
            return MANGO_STOP_USER;
    }
    return MANGO_OK;
}

/* A line for each unit and generator: values of pictures are the same for all of these. */
static mango_status bo_album_keep(bo_album *b, int method, mango_err *err)
{
    bo_all *a = b->a;
    for (int i = 0; i < b->n; i++)
        for (int g = 0; g < a->n_gen; g++) {
            bo_result r;
            char key[BO_KEY];
            bo_key(a, g, b->u[i], method, 0, key);
            if (!bo_active(a, g, b->u[i]) || bo_store_find(&a->store, key))
                continue;
            bo_describe(a, g, b->u[i], method, 0, &r);
            r.budget = r.queries = b->count;
            r.best = b->r[i].best;
            r.q = malloc(sizeof *r.q * (size_t)(b->r[i].n + 1));
            r.y = malloc(sizeof *r.y * (size_t)(b->r[i].n + 1));
            if (!r.q || !r.y) {
                free(r.q);
                free(r.y);
                return mgi_fail(err, MANGO_E_MEM, "pictures: out of memory");
            }
            for (r.n = 0; r.n < b->r[i].n; r.n++) {
                r.q[r.n] = b->r[i].q[r.n];
                r.y[r.n] = b->r[i].y[r.n];
            }
            MGI_TRY(bo_store_add(&a->store, &r, err));
        }
    return MANGO_OK;
}

static void bo_album_close(bo_album *b)
{
    for (int i = 0; b->r && i < b->n; i++) {
        free(b->r[i].q);
        free(b->r[i].y);
    }
    mango_objective_destroy(b->o);
    mango_data_destroy(b->data);
    free(b->bytes);
    free(b->rgb);
    free(b->y);
    free(b->r);
}

/* Is a line of this unit missing for any generator? */
static int bo_album_wants(const bo_all *a, int unit, int method)
{
    char key[BO_KEY];
    for (int g = 0; g < a->n_gen; g++) {
        bo_key(a, g, unit, method, 0, key);
        if (bo_active(a, g, unit) && !bo_store_find(&a->store, key))
            return 1;
    }
    return 0;
}

mango_status bo_pictures(bo_all *a, mango_err *err)
{
    const int method = a->n_method - 1;
    static bo_album b;
    mango_status st = MANGO_OK;
    if (!a->data || a->at != 1) /* the first shard sees to it */
        return MANGO_OK;
    a->since = cli_now();
    for (int n = 0; n < a->n_net && st == MANGO_OK; n++) {
        memset(&b, 0, sizeof b);
        b.a = a;
        b.net = n;
        for (int u = 0; u < a->n_unit; u++)
            if (a->unit[u].net == n && bo_album_wants(a, u, method))
                b.u[b.n++] = u;
        if (b.n == 0)
            continue;
        st = bo_album_open(&b, err);
        if (st == MANGO_OK)
            st = bo_album_all(&b, err);
        if (st == MANGO_OK)
            st = bo_album_keep(&b, method, err);
        bo_album_close(&b);
    }
    return st;
}

#undef BO_AT_ONCE
