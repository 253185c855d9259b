/* eval_compare.c - `mango eval --compare`: what weights in fewer bits do to the rates
 * of a spiking network.
 *
 * a is a unit's activation (spikes per step, mean over its places) with the weights as
 * they are, b with those under test, for each picture:
 *     change       mean of |b - a| over pictures and units
 *     correlation  Pearson's of a and b over the pictures, for each unit whose
 *                  activation is not always the same; the mean and the least of a layer
 * SPDX-License-Identifier: MIT */
#include "eval_compare.h"
#include <math.h>
#include <stdlib.h>

/* Sums of one unit. */
typedef struct compare_unit {
    double a, b, aa, bb, ab, change;
} compare_unit;

typedef struct compare_layer {
    mango_layer l;
    float *a, *b; /* (batch, C) */
    compare_unit *unit; /* (C) */
} compare_layer;

/* What is told of a layer. */
typedef struct compare_figures {
    double a, b, change, mean, least;
    mango_idx units; /* that have a correlation */
} compare_figures;

struct eval_compare {
    mango_plan *plan;
    compare_layer layer[MANGO_LAYERS_MAX];
    mango_idx n, outputs, pictures, right, right_as_is, agree;
    float *y; /* (batch, outputs) */
};

static mango_status compare_plan(eval_compare *k, const mango_net *net, mango_idx T,
                                 mango_idx batch, mango_reading *rd, mango_idx cap,
                                 mango_idx *n, mango_err *err)
{
    static const char text[] = "no memory to compare %td layers";
    mango_reading own[MANGO_LAYERS_MAX + 1];
    mango_layer l;
    mango_idx m = 0, last = mango_net_layers(net) - 1;
    for (mango_idx i = 0; i <= last && k->n < MANGO_LAYERS_MAX && *n < cap; i++) {
        compare_layer *q = &k->layer[k->n];
        MGI_TRY(mango_net_layer(net, i, &l));
        if (!l.spiking)
            continue;
        q->l = l;
        q->a = calloc((size_t)(2 * batch * l.C), sizeof *q->a);
        q->unit = calloc((size_t)l.C, sizeof *q->unit);
        k->n++;
        if (!q->a || !q->unit)
            return mgi_fail(err, MANGO_E_MEM, text, k->n);
        q->b = q->a + batch * l.C;
        own[m++] = (mango_reading){i, MANGO_READ_RATE, q->a};
        rd[(*n)++] = (mango_reading){i, MANGO_READ_RATE, q->b};
    }
    if (k->n == 0)
        return mgi_fail(err, MANGO_E_ARG, "--compare: this network has no spiking layer");
    MGI_TRY(mango_net_layer(net, last, &l));
    k->outputs = l.C;
    k->y = calloc((size_t)(batch * l.C), sizeof *k->y);
    if (!k->y)
        return mgi_fail(err, MANGO_E_MEM, text, k->n);
    own[m++] = (mango_reading){last, MANGO_READ_MEAN, k->y};
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = T;
    o.batch = batch;
    return mango_plan_create(&k->plan, net, &o, m, own, NULL, err);
}

mango_status eval_compare_create(eval_compare **out, const mango_net *net, mango_idx T,
                                 mango_idx batch, mango_reading *rd, mango_idx cap,
                                 mango_idx *n, mango_err *err)
{
    eval_compare *k = *out = calloc(1, sizeof *k);
    if (!k)
        return mgi_fail(err, MANGO_E_MEM, "no memory to compare");
    return compare_plan(k, net, T, batch, rd, cap, n, err);
}

static mango_idx compare_best(mango_idx n, const float *y)
{
    mango_idx best = 0;
    for (mango_idx i = 1; i < n; i++)
        if (y[i] > y[best])
            best = i;
    return best;
}

static void compare_add(compare_unit *u, double a, double b)
{
    u->a += a, u->b += b;
    u->aa += a * a, u->bb += b * b, u->ab += a * b;
    u->change += fabs(b - a);
}

mango_status eval_compare_batch(eval_compare *k, mango_idx B, const float *x, const float *y,
                                const int *label)
{
    MGI_TRY(mango_plan_run(k->plan, B, x));
    for (mango_idx b = 0; b < B; b++) {
        const mango_idx p = compare_best(k->outputs, k->y + b * k->outputs);
        const mango_idx q = compare_best(k->outputs, y + b * k->outputs);
        k->right_as_is += p == label[b];
        k->right += q == label[b];
        k->agree += p == q;
    }
    for (mango_idx i = 0; i < k->n; i++) {
        compare_layer *q = &k->layer[i];
        for (mango_idx j = 0; j < B * q->l.C; j++)
            compare_add(&q->unit[j % q->l.C], (double)q->a[j], (double)q->b[j]);
    }
    k->pictures += B;
    return MANGO_OK;
}

static compare_figures compare_layer_figures(const compare_layer *q, double N)
{
    compare_figures f = {0, 0, 0, 0, 1, 0};
    const double all = N * (double)q->l.C;
    for (mango_idx c = 0; c < q->l.C; c++) {
        const compare_unit *u = &q->unit[c];
        const double va = u->aa - u->a * u->a / N, vb = u->bb - u->b * u->b / N;
        f.a += u->a / all, f.b += u->b / all, f.change += u->change / all;
        if (va <= 1e-9 || vb <= 1e-9) /* always the same: no correlation */
            continue;
        const double r = (u->ab - u->a * u->b / N) / sqrt(va * vb);
        f.mean += r;
        f.least = fmin(f.least, r);
        f.units++;
    }
    f.mean = f.units ? f.mean / (double)f.units : NAN;
    f.least = f.units ? f.least : NAN;
    return f;
}

static void compare_key(mgi_str *s, const char *key, double v)
{
    mgi_str_printf(s, ",\"%s\":", key);
    mgi_str_float(s, v);
}

void eval_compare_report(const eval_compare *k, cli *c, mgi_str *s)
{
    const double N = (double)k->pictures;
    cli_print(c, "with the weights as they are: accuracy %.4f; the same answer for %.4f\n",
              (double)k->right_as_is / N, (double)k->agree / N);
    cli_print(c, "  %-20s %9s %9s %9s %12s %9s\n", "layer", "rate as is", "rate", "change",
              "correlation", "least");
    mgi_str_puts(s, ",\"compare\":{\"accuracy\":");
    mgi_str_float(s, (double)k->right_as_is / N);
    compare_key(s, "agreement", (double)k->agree / N);
    mgi_str_puts(s, ",\"layers\":[");
    for (mango_idx i = 0; i < k->n; i++) {
        const compare_figures f = compare_layer_figures(&k->layer[i], N);
        const char *name = k->layer[i].l.name;
        cli_print(c, "  %-20s  %9.5f %9.5f %9.5f %12.5f %9.5f\n", name, f.a, f.b, f.change,
                  f.mean, f.least);
        mgi_str_puts(s, i ? ",{\"name\":" : "{\"name\":");
        mgi_json_quote(s, name, (mango_idx)strlen(name));
        compare_key(s, "rate_as_is", f.a);
        compare_key(s, "rate", f.b);
        compare_key(s, "change", f.change);
        compare_key(s, "correlation", f.mean); /* null when no unit varies */
        compare_key(s, "correlation_least", f.least);
        mgi_str_printf(s, ",\"units\":%td,\"units_that_vary\":%td}", k->layer[i].l.C, f.units);
    }
    mgi_str_puts(s, "]}");
}

void eval_compare_destroy(eval_compare *k)
{
    if (!k)
        return;
    for (mango_idx i = 0; i < k->n; i++) {
        free(k->layer[i].a);
        free(k->layer[i].unit);
    }
    mango_plan_destroy(k->plan);
    free(k->y);
    free(k);
}
