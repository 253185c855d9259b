/* bench_opt_plot.c - convergence: the mean norm against queries on a logarithmic axis,
 * with standard errors over units, a figure for each generator.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include "svg.h"
#include <math.h>
#include <stdlib.h>

#define BO_POINTS 97

typedef struct bo_line_of {
    double x[BO_POINTS], y[BO_POINTS], lo[BO_POINTS], hi[BO_POINTS];
} bo_line_of;

/* Places evenly on the logarithmic axis from 1 to the largest budget; how many. */
static int bo_places(mango_idx most, mango_idx *q)
{
    int n = 0;
    for (int i = 0; i < BO_POINTS; i++) {
        const double at = pow((double)most, (double)i / (BO_POINTS - 1));
        const mango_idx k = i == BO_POINTS - 1 ? most : (mango_idx)(at + 0.5);
        if (n == 0 || k > q[n - 1])
            q[n++] = k;
    }
    return n;
}

/* Mean and standard error; as many points as units stay the same ones. */
static mango_idx bo_curve(const bo_all *a, int scope, int method, int n, const mango_idx *q,
                          bo_line_of *line)
{
    static double v[BO_GENS * BO_UNITS];
    mango_idx m = 0;
    int units = 0;
    for (int i = 0; i < n; i++) {
        double sum = 0.0, square = 0.0;
        const int k = bo_norms(a, scope, method, q[i], v);
        if (k == 0 || k < units)
            break;
        units = k;
        for (int u = 0; u < k; u++)
            sum += v[u];
        const double mean = sum / k;
        for (int u = 0; u < k; u++)
            square += (v[u] - mean) * (v[u] - mean);
        const double se = k > 1 ? sqrt(square / (k - 1) / k) : 0.0;
        line->x[m] = (double)q[i];
        line->y[m] = mean;
        line->lo[m] = mean - se;
        line->hi[m] = mean + se;
        m++;
    }
    return m;
}

static mango_status bo_plot(const bo_all *a, int scope, const char *name, bo_line_of *line,
                            mango_err *err)
{
    svg_series series[BO_METHODS];
    mango_idx q[BO_POINTS];
    char path[4096], title[BO_NAME + 64];
    const int n = bo_places(a->budget[a->n_budget - 1], q);
    memset(series, 0, sizeof series);
    for (int m = 0; m < a->n_method; m++) {
        series[m].name = a->method[m].label;
        series[m].n = bo_curve(a, scope, m, n, q, line + m);
        series[m].x = line[m].x;
        series[m].y = line[m].y;
        series[m].lo = line[m].lo;
        series[m].hi = line[m].hi;
        series[m].style = SVG_LINE;
    }
    snprintf(title, sizeof title, "%s, %d units, %d seeds", bo_scope(a, scope), a->n_unit,
             (int)a->seeds);
    const svg_chart chart = {.title = title,
                             .x_label = "queries",
                             .y_label = "activation / best found",
                             .n = a->n_method,
                             .series = series,
                             .log_x = 1,
                             .height = 460};
    MGI_TRY(cli_join(path, (mango_idx)sizeof path, a->out, name, err));
    return svg_save(path, &chart, err);
}

mango_status bo_plots(bo_all *a, mango_err *err)
{
    char name[2 * BO_NAME];
    bo_line_of *line = malloc(sizeof *line * (size_t)a->n_method);
    if (!line)
        return mgi_fail(err, MANGO_E_MEM, "figures: out of memory");
    mango_status st = MANGO_OK;
    for (int s = 0; s < a->n_gen + (a->n_gen > 1) && st >= 0; s++) {
        snprintf(name, sizeof name, "convergence-%s.svg",
                 s < a->n_gen ? a->gen[s].name : "all");
        for (char *p = name; *p; p++)
            if (strchr("/\\:,= ", *p))
                *p = '-';
        st = bo_plot(a, s, name, line, err);
    }
    free(line);
    return st;
}

#undef BO_POINTS
