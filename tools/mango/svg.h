/* svg.h - line charts as SVG: axes with round ticks, legend, bands, points.
 *
 * The text is XML that stands alone or inside an HTML page; it follows the
 * reader's light or dark colours. Points that are not finite (or not positive
 * on a logarithmic axis) break the line. Same input, same bytes.
 * SPDX-License-Identifier: MIT */
#ifndef SVG_H
#define SVG_H

#include "../../src/base/text.h"

typedef enum svg_style {
    SVG_LINE,  /* straight lines from point to point          */
    SVG_STEP,  /* the value holds until the next point        */
    SVG_MARKS, /* straight lines, and a dot at each point     */
    SVG_DASH,  /* straight lines, dashed: a guide; in print, its name stands by it */
    SVG_POINTS /* a faint dot for each point                  */
} svg_style;

typedef struct svg_series {
    const char *name; /* in the legend; NULL: not there            */
    mango_idx n;
    const double *x, *y;   /* (n), x ascending; x NULL: 1, 2, ... n      */
    const double *lo, *hi; /* (n) a band around the line, or both NULL   */
    svg_style style;
    int colour; /* 1..8, 0: by its place in the chart         */
} svg_series;

typedef struct svg_chart {
    const char *title, *x_label, *y_label; /* NULL: none                  */
    mango_idx n;
    const svg_series *series;
    int log_x, log_y;
    int width, height; /* in pixels; 0: 720 x 400                    */
    int inside;        /* 1: within an HTML page that has svg_css    */
    int print;         /* 1: always on white; names beside the lines' ends, no legend */
    const char *note;  /* a small line under the title; NULL: none   */
    mango_idx n_x_tick, n_y_tick;
    const double *x_tick, *y_tick; /* where ticks stand; NULL: at round numbers */
} svg_chart;

/* svg_put - append the chart to s. */
void svg_put(mgi_str *s, const svg_chart *chart);
/* svg_save - write it to a file, atomically. */
mango_status svg_save(const char *path, const svg_chart *chart, mango_err *err);

/* The style rules that charts need, once a page (html.c puts them there). */
const char *svg_css(void);
/* svg_text - append text to XML or HTML: & < > " ' escaped, control bytes and
 * what is not UTF-8 shown as '?'. */
void svg_text(mgi_str *s, const char *text);

#endif
