/* svg.c - line charts.
 * SPDX-License-Identifier: MIT */
#include "svg.h"
#include <float.h>
#include <math.h>
#include <stdio.h>

#define SVG_TICKS 32
#define SVG_COLOURS 8
#define SVG_NAMES 32   /* lines with a name at the end, at most */
#define SVG_COLUMN 6.6 /* pixels of a letter, about            */
#define SVG_LEADING 15 /* pixels between two names, at least   */

/* ---- text ---------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at p, 0 when it is none that XML has. */
static int svg_utf8(const unsigned char *p)
{
    const int n = mgi_utf8(p, 4);
    const int last = n < 3 ? 0 : p[n - 1] >= 0xbe && p[n - 2] == 0xbf;
    const int none = n == 3 ? p[0] == 0xef : (p[1] & 0xf) == 0xf; /* U+FFFE, U+nFFFF */
    return last && none ? 0 : n;
}

void svg_text(mgi_str *s, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        const int n = svg_utf8(p);
        if (*p == '&')
            mgi_str_puts(s, "&amp;");
        else if (*p == '<')
            mgi_str_puts(s, "&lt;");
        else if (*p == '>')
            mgi_str_puts(s, "&gt;");
        else if (*p == '"')
            mgi_str_puts(s, "&quot;");
        else if (*p == '\'')
            mgi_str_puts(s, "&#39;");
        else if (n == 0 || *p == 127 || (*p < 32 && *p != '\n' && *p != '\t'))
            mgi_str_puts(s, "?");
        else
            mgi_str_put(s, (const char *)p, n);
        p += n > 0 ? n : 1;
    }
}

/* Columns that a text takes: UTF-8 characters, not bytes. */
static mango_idx svg_columns(const char *text)
{
    mango_idx n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* ---- axes ------------------------------------------------------------------------------ */

/* One axis: data from lo to hi (their logarithms when log) lie on pixels a..b. */
typedef struct svg_axis {
    int log, n;
    double lo, hi, a, b;
    double tick[SVG_TICKS];
} svg_axis;

static int svg_shown(const svg_axis *k, double v)
{
    return mgi_is_finite(v) && (!k->log || v > 0.0);
}

static double svg_pixel(const svg_axis *k, double v)
{
    const double u = k->log ? log10(v) : v;
    return k->a + (u - k->lo) / (k->hi - k->lo) * (k->b - k->a);
}

static void svg_widen(svg_axis *k, double v)
{
    if (svg_shown(k, v)) {
        const double u = k->log ? log10(v) : v;
        k->lo = fmin(k->lo, u);
        k->hi = fmax(k->hi, u);
    }
}

static void svg_add_tick(svg_axis *k, double v)
{
    const double u = k->log ? log10(v) : v, slack = 1e-9 * (k->hi - k->lo);
    if (k->n < SVG_TICKS && u >= k->lo - slack && u <= k->hi + slack)
        k->tick[k->n++] = v;
}

/* The least of 1, 2, 5 times a power of ten that is at least `step`. */
static double svg_round_step(double step)
{
    const double power = pow(10.0, floor(log10(step)));
    const double f = step / power;
    return power * (f <= 1.0 + 1e-9   ? 1.0
                    : f <= 2.0 + 1e-9 ? 2.0
                    : f <= 5.0 + 1e-9 ? 5.0
                                      : 10.0);
}

static void svg_ticks_linear(svg_axis *k, int wanted)
{
    const double step = svg_round_step((k->hi - k->lo) / wanted);
    for (double i = ceil(k->lo / step - 1e-9); i * step <= k->hi + 1e-9 * step; i += 1.0)
        svg_add_tick(k, i * step + 0.0); /* no -0 */
}

/* Powers of ten, every second or third when there are many; with the 2 and 5
 * between them when they are few. */
static void svg_ticks_log(svg_axis *k, int wanted)
{
    const int first = (int)floor(k->lo), last = (int)ceil(k->hi);
    const int every = MGI_MAX(1, (last - first) / wanted);
    for (int e = first; e <= last; e += every) {
        const double power = pow(10.0, e);
        svg_add_tick(k, power);
        if (k->hi - k->lo < 2.0 || 3.0 * (k->hi - k->lo) <= wanted + 2) {
            svg_add_tick(k, 2.0 * power);
            svg_add_tick(k, 5.0 * power);
        }
    }
}

/* Fix the range, with some room, and the ticks. Empty data shows 0..1. */
static void svg_axis_finish(svg_axis *k, int wanted, double room)
{
    if (k->lo > k->hi) {
        k->lo = 0.0;
        k->hi = 1.0;
    }
    const double least = 1e-12 * fmax(fabs(k->lo), fabs(k->hi));
    if (k->hi - k->lo <= least || k->hi - k->lo < DBL_MIN * 1e6) {
        const double half = k->lo == 0.0 ? 0.5 : 0.05 * fabs(k->lo);
        k->lo -= half;
        k->hi += half;
    }
    const double margin = room * (k->hi - k->lo);
    k->lo -= !k->log && k->lo >= 0.0 && k->lo < margin ? k->lo : margin;
    k->hi += margin;
    if (k->log && k->hi - k->lo >= 0.7)
        svg_ticks_log(k, wanted);
    else if (!k->log)
        svg_ticks_linear(k, wanted);
    if (k->n < 2 && k->log) { /* less than one round number: the ends say it */
        k->n = 0;
        svg_add_tick(k, pow(10.0, k->lo));
        svg_add_tick(k, pow(10.0, 0.5 * (k->lo + k->hi)));
        svg_add_tick(k, pow(10.0, k->hi));
    }
}

/* Ticks where the chart wants them. */
static void svg_given_ticks(svg_axis *k, mango_idx n, const double *v)
{
    if (n > 0)
        k->n = 0;
    for (mango_idx i = 0; i < n; i++)
        svg_add_tick(k, v[i]);
}

/* A tick's text: as many digits as tell neighbours apart. */
static void svg_tick_text(const svg_axis *k, double v, char out[32])
{
    const double step = k->n > 1 ? fabs(k->tick[1] - k->tick[0]) : fabs(v);
    const double most = fmax(fabs(k->tick[0]), fabs(k->tick[k->n - 1]));
    if (k->log || most >= 1e6 || most < 1e-3 || step <= 0.0) {
        snprintf(out, 32, k->log && v < 999.5 ? "%.3g" : "%.6g", v);
        return;
    }
    const int digits = (int)ceil(-log10(step) - 1e-9);
    snprintf(out, 32, "%.*f", digits < 0 ? 0 : MGI_MIN(digits, 12), v);
}

/* ---- frame ----------------------------------------------------------------------------- */

typedef struct svg_plot {
    const svg_chart *c;
    int width, height;
    svg_axis x, y;
} svg_plot;

static double svg_x_of(const svg_series *r, mango_idx i)
{
    return r->x ? r->x[i] : (double)(i + 1);
}

static int svg_colour(const svg_chart *c, mango_idx i)
{
    const int k = c->series[i].colour;
    return k >= 1 && k <= SVG_COLOURS ? k : (int)(i % SVG_COLOURS) + 1;
}

static void svg_ranges(svg_plot *p)
{
    p->x.lo = p->y.lo = DBL_MAX;
    p->x.hi = p->y.hi = -DBL_MAX;
    for (mango_idx i = 0; i < p->c->n; i++) {
        const svg_series *r = &p->c->series[i];
        for (mango_idx j = 0; j < r->n; j++) {
            if (!svg_shown(&p->x, svg_x_of(r, j)) || !svg_shown(&p->y, r->y[j]))
                continue;
            svg_widen(&p->x, svg_x_of(r, j));
            svg_widen(&p->y, r->y[j]);
            if (r->lo && r->hi) {
                svg_widen(&p->y, r->lo[j]);
                svg_widen(&p->y, r->hi[j]);
            }
        }
    }
}

/* Legend: swatch and name, one after the other, wrapping. Returns its height;
 * draws when s is not NULL. */
static double svg_legend(mgi_str *s, const svg_plot *p, double left, double top)
{
    double x = left, y = top;
    int any = 0;
    for (mango_idx i = 0; i < p->c->n; i++) {
        const svg_series *r = &p->c->series[i];
        if (!r->name || p->c->print)
            continue;
        const double w = 34.0 + SVG_COLUMN * (double)svg_columns(r->name);
        if (any && x + w > p->width - 10) {
            x = left;
            y += 18.0;
        }
        any = 1;
        if (s) {
            mgi_str_printf(s, "<%s class=\"c%d %s\" ",
                           r->style == SVG_POINTS ? "circle" : "path", svg_colour(p->c, i),
                           r->style == SVG_POINTS ? "p" : "l");
            if (r->style == SVG_POINTS)
                mgi_str_printf(s, "cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", x + 9.0, y);
            else
                mgi_str_printf(s, "d=\"M%.1f %.1fh18\"/>", x, y);
            mgi_str_printf(s, "<text x=\"%.1f\" y=\"%.1f\">", x + 23.0, y + 4.0);
            svg_text(s, r->name);
            mgi_str_puts(s, "</text>\n");
        }
        x += w;
    }
    return any ? y - top + 20.0 : 0.0;
}

/* Where the plot lies within the picture. */
static void svg_layout(svg_plot *p, double *legend_top)
{
    const svg_chart *c = p->c;
    const double top = (c->title ? 40.0 : 16.0) + (c->note ? 16.0 : 0.0);
    mango_idx longest = 0; /* of the names at the lines' ends */
    for (mango_idx i = 0; i < c->n && c->print; i++)
        if (c->series[i].name && c->series[i].style != SVG_DASH)
            longest = MGI_MAX(longest, svg_columns(c->series[i].name));
    *legend_top = top;
    p->x.a = c->y_label ? 76.0 : 60.0;
    p->x.b = p->width - 24.0 - SVG_COLUMN * (double)longest;
    p->y.b = top + svg_legend(NULL, p, p->x.a, top) - 4.0;
    p->y.a = p->height - (c->x_label ? 48.0 : 30.0);
}

static void svg_grid(mgi_str *s, const svg_plot *p)
{
    char text[32];
    for (int i = 0; i < p->y.n; i++) {
        const double y = svg_pixel(&p->y, p->y.tick[i]);
        svg_tick_text(&p->y, p->y.tick[i], text);
        mgi_str_printf(s,
                       "<path class=\"g\" d=\"M%.1f %.1fH%.1f\"/>"
                       "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                       p->x.a, y, p->x.b, p->x.a - 8.0, y + 4.0, text);
    }
    for (int i = 0; i < p->x.n; i++) {
        const double x = svg_pixel(&p->x, p->x.tick[i]);
        svg_tick_text(&p->x, p->x.tick[i], text);
        mgi_str_printf(s,
                       "<path class=\"a\" d=\"M%.1f %.1fv5\"/>"
                       "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                       x, p->y.a, x, p->y.a + 19.0, text);
    }
    mgi_str_printf(s, "<path class=\"a\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", p->x.a, p->y.b,
                   p->y.a, p->x.b);
}

static void svg_labels(mgi_str *s, const svg_plot *p)
{
    const double middle = 0.5 * (p->y.a + p->y.b);
    if (p->c->title) {
        mgi_str_printf(s, "<text class=\"t\" x=\"%.1f\" y=\"22\">", p->x.a);
        svg_text(s, p->c->title);
        mgi_str_puts(s, "</text>\n");
    }
    if (p->c->note) {
        mgi_str_printf(s, "<text class=\"s\" x=\"%.1f\" y=\"41\">", p->x.a);
        svg_text(s, p->c->note);
        mgi_str_puts(s, "</text>\n");
    }
    if (p->c->x_label) {
        mgi_str_printf(s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                       0.5 * (p->x.a + p->x.b), p->height - 10.0);
        svg_text(s, p->c->x_label);
        mgi_str_puts(s, "</text>\n");
    }
    if (p->c->y_label) {
        mgi_str_printf(s,
                       "<text x=\"18\" y=\"%.1f\" text-anchor=\"middle\" "
                       "transform=\"rotate(-90 18 %.1f)\">",
                       middle, middle);
        svg_text(s, p->c->y_label);
        mgi_str_puts(s, "</text>\n");
    }
}

/* ---- series ----------------------------------------------------------------------------- */

/* Coordinates in tenths of a pixel; a point on its predecessor is left out. */
typedef struct svg_pen {
    long x, y;
    int down; /* a line is begun */
} svg_pen;

static void svg_to(mgi_str *s, svg_pen *pen, double x, double y, int step)
{
    const long nx = lround(10.0 * x), ny = lround(10.0 * y);
    if (pen->down && nx == pen->x && ny == pen->y)
        return;
    if (!pen->down)
        mgi_str_printf(s, "M%.1f %.1fh0", (double)nx / 10.0, (double)ny / 10.0);
    else if (!step)
        mgi_str_printf(s, "L%.1f %.1f", (double)nx / 10.0, (double)ny / 10.0);
    else if (ny != pen->y)
        mgi_str_printf(s, "H%.1fV%.1f", (double)nx / 10.0, (double)ny / 10.0);
    else
        return; /* a step that stays: the line is drawn when it ends */
    *pen = (svg_pen){nx, ny, 1};
}

static void svg_line(mgi_str *s, const svg_plot *p, const svg_series *r, int colour)
{
    svg_pen pen = {0, 0, 0};
    double last = 0.0;
    const int step = r->style == SVG_STEP;
    mgi_str_printf(s, "<path class=\"c%d l%s\" d=\"", colour,
                   r->style == SVG_DASH ? " h" : "");
    for (mango_idx i = 0; i < r->n; i++) {
        if (!svg_shown(&p->x, svg_x_of(r, i)) || !svg_shown(&p->y, r->y[i])) {
            if (pen.down && step)
                mgi_str_printf(s, "H%.1f", last);
            pen.down = 0;
            continue;
        }
        last = svg_pixel(&p->x, svg_x_of(r, i));
        svg_to(s, &pen, last, svg_pixel(&p->y, r->y[i]), step);
    }
    if (pen.down && step)
        mgi_str_printf(s, "H%.1f", last);
    mgi_str_puts(s, "\"/>\n");
}

static void svg_points(mgi_str *s, const svg_plot *p, const svg_series *r, int colour)
{
    svg_pen pen = {0, 0, 0};
    mgi_str_printf(s, "<path class=\"c%d %s\" d=\"", colour,
                   r->style == SVG_MARKS ? "m" : "d");
    for (mango_idx i = 0; i < r->n; i++) {
        if (!svg_shown(&p->x, svg_x_of(r, i)) || !svg_shown(&p->y, r->y[i]))
            continue;
        const double x = svg_pixel(&p->x, svg_x_of(r, i)), y = svg_pixel(&p->y, r->y[i]);
        if (pen.down && lround(10.0 * x) == pen.x && lround(10.0 * y) == pen.y)
            continue;
        pen = (svg_pen){lround(10.0 * x), lround(10.0 * y), 1};
        mgi_str_printf(s, "M%.1f %.1fh0", x, y); /* a dot by its round cap */
    }
    mgi_str_puts(s, "\"/>\n");
}

/* From i on, as far as band and line are shown without a gap: the area between
 * lo and hi. Returns where it ended. */
static mango_idx svg_band_run(mgi_str *s, const svg_plot *p, const svg_series *r,
                              mango_idx i)
{
    svg_pen pen = {0, 0, 0};
    mango_idx j = i;
    for (; j < r->n && svg_shown(&p->x, svg_x_of(r, j)) && svg_shown(&p->y, r->lo[j]) &&
           svg_shown(&p->y, r->hi[j]);
         j++)
        svg_to(s, &pen, svg_pixel(&p->x, svg_x_of(r, j)), svg_pixel(&p->y, r->hi[j]), 0);
    for (mango_idx k = j - 1; k >= i; k--)
        svg_to(s, &pen, svg_pixel(&p->x, svg_x_of(r, k)), svg_pixel(&p->y, r->lo[k]), 0);
    if (j > i)
        mgi_str_puts(s, "Z");
    return j;
}

static void svg_band(mgi_str *s, const svg_plot *p, const svg_series *r, int colour)
{
    mgi_str_printf(s, "<path class=\"c%d b\" d=\"", colour);
    for (mango_idx i = 0; i < r->n;)
        i = svg_band_run(s, p, r, i) + 1;
    mgi_str_puts(s, "\"/>\n");
}

/* Names beside the ends of the lines, at y (n): top to bottom as they are drawn,
 * moved apart where they would touch, then up again when the last left the plot. */
static void svg_spread(const svg_plot *p, int n, double *y, int *order)
{
    for (int i = 0; i < n; i++) {
        int k = i;
        for (; k > 0 && y[order[k - 1]] > y[i]; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
    for (int i = 1; i < n; i++)
        y[order[i]] = fmax(y[order[i]], y[order[i - 1]] + SVG_LEADING);
    double most = p->y.a;
    for (int i = n - 1; i >= 0; i--, most -= SVG_LEADING)
        y[order[i]] = fmin(y[order[i]], most);
}

static void svg_name(mgi_str *s, const svg_plot *p, mango_idx i, double x, double y,
                     const char *anchor)
{
    mgi_str_printf(s,
                   "<g class=\"c%d\"><text class=\"n\" x=\"%.1f\" y=\"%.1f\" "
                   "text-anchor=\"%s\">",
                   svg_colour(p->c, i), x, y, anchor);
    svg_text(s, p->c->series[i].name);
    mgi_str_puts(s, "</text></g>\n");
}

/* A guide's name: over its start when it is level, left of its middle when it rises. */
static void svg_guide_name(mgi_str *s, const svg_plot *p, mango_idx i)
{
    const svg_series *r = &p->c->series[i];
    const double x0 = svg_pixel(&p->x, svg_x_of(r, 0)), y0 = svg_pixel(&p->y, r->y[0]);
    const double x1 = svg_pixel(&p->x, svg_x_of(r, r->n - 1));
    const double y1 = svg_pixel(&p->y, r->y[r->n - 1]);
    if (fabs(y1 - y0) < SVG_LEADING)
        svg_name(s, p, i, x0 + 6.0, y0 - 7.0, "start");
    else
        svg_name(s, p, i, 0.5 * (x0 + x1) - 8.0, 0.5 * (y0 + y1) - 3.0, "end");
}

static void svg_names(mgi_str *s, const svg_plot *p)
{
    double y[SVG_NAMES], x[SVG_NAMES];
    int order[SVG_NAMES], n = 0;
    mango_idx of[SVG_NAMES];
    for (mango_idx i = 0; i < p->c->n && n < SVG_NAMES; i++) {
        const svg_series *r = &p->c->series[i];
        mango_idx last = r->n - 1;
        while (last >= 0 &&
               !(svg_shown(&p->x, svg_x_of(r, last)) && svg_shown(&p->y, r->y[last])))
            last--;
        if (!r->name || last < 0)
            continue;
        if (r->style == SVG_DASH) {
            svg_guide_name(s, p, i);
            continue;
        }
        x[n] = svg_pixel(&p->x, svg_x_of(r, last));
        y[n] = svg_pixel(&p->y, r->y[last]);
        of[n++] = i;
    }
    svg_spread(p, n, y, order);
    for (int i = 0; i < n; i++)
        svg_name(s, p, of[i], x[i] + 9.0, y[i] + 4.0, "start");
}

/* ---- the whole ------------------------------------------------------------- */

/* Colours as plain values, not variables: many viewers of SVG know no variables. */
#define SVG_LIGHT                                                                          \
    ".mango text{fill:#3c4043}.mango .t{fill:#111418}.mango .bg{fill:#fff}"                \
    ".mango .g{stroke:#e4e6ea}.mango .a{stroke:#9aa0a8}"                                   \
    ".c1{stroke:#2458b8;fill:#2458b8}.c2{stroke:#d0521f;fill:#d0521f}"                     \
    ".c3{stroke:#12805c;fill:#12805c}.c4{stroke:#8a3fa8;fill:#8a3fa8}"                     \
    ".c5{stroke:#a87808;fill:#a87808}.c6{stroke:#0e86a0;fill:#0e86a0}"                     \
    ".c7{stroke:#c22f5e;fill:#c22f5e}.c8{stroke:#62686f;fill:#62686f}"
#define SVG_DARK                                                                           \
    ".mango text{fill:#b9bfc8}.mango .t{fill:#f1f3f5}.mango .bg{fill:#15181d}"             \
    ".mango .g{stroke:#2a2f37}.mango .a{stroke:#69707b}"                                   \
    ".c1{stroke:#7aa7ff;fill:#7aa7ff}.c2{stroke:#ff9566;fill:#ff9566}"                     \
    ".c3{stroke:#4fd0a0;fill:#4fd0a0}.c4{stroke:#d395f0;fill:#d395f0}"                     \
    ".c5{stroke:#ecc04e;fill:#ecc04e}.c6{stroke:#57cbe6;fill:#57cbe6}"                     \
    ".c7{stroke:#ff7fa5;fill:#ff7fa5}.c8{stroke:#a9b0b9;fill:#a9b0b9}"

/* On paper: colours that are told apart whatever cones one has (after Okabe and
 * Ito, some darker so that names in them can be read). */
#define SVG_PRINT                                                                          \
    ".mango text{fill:#222}.mango .t{fill:#000}.mango .bg{fill:#fff}"                      \
    ".mango .g{stroke:#e6e6e6}.mango .a{stroke:#888}"                                      \
    ".c1{stroke:#0072b2;fill:#0072b2}.c2{stroke:#d55e00;fill:#d55e00}"                     \
    ".c3{stroke:#00875f;fill:#00875f}.c4{stroke:#aa4f86;fill:#aa4f86}"                     \
    ".c5{stroke:#222;fill:#222}.c6{stroke:#2a8fc4;fill:#2a8fc4}"                           \
    ".c7{stroke:#9c6a00;fill:#9c6a00}.c8{stroke:#777;fill:#777}"                           \
    ".mango .n{fill:inherit;stroke:none}.mango .s{fill:#666;font-size:11px}"
#define SVG_SHAPES                                                                         \
    ".mango text{font:12px system-ui,sans-serif}"                                          \
    ".mango .t{font-size:15px;font-weight:600}"                                            \
    ".mango .g,.mango .a,.mango .l,.mango .d,.mango .m{fill:none}"                         \
    ".mango .b,.mango .p{stroke:none}"                                                     \
    ".mango .l{stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"                 \
    ".mango .b{fill-opacity:.16}"                                                          \
    ".mango .d{stroke-width:4;stroke-linecap:round;stroke-opacity:.4}"                     \
    ".mango .m{stroke-width:7;stroke-linecap:round}"                                       \
    ".mango .h{stroke-width:1.5;stroke-dasharray:6 4;stroke-linecap:butt}"                 \
    ".mango .p{fill-opacity:.6}"

const char *svg_css(void)
{
    return SVG_SHAPES SVG_LIGHT "@media(prefers-color-scheme:dark){" SVG_DARK "}";
}

static void svg_head(mgi_str *s, const svg_plot *p)
{
    mgi_str_printf(s,
                   "<svg class=\"mango\" xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
                   "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n",
                   p->width, p->height, p->width, p->height);
    if (p->c->title) {
        mgi_str_puts(s, "<title>");
        svg_text(s, p->c->title);
        mgi_str_puts(s, "</title>\n");
    }
    if (!p->c->inside) {
        mgi_str_printf(s, "<style>%s</style>\n",
                       p->c->print ? SVG_SHAPES SVG_PRINT : svg_css());
        mgi_str_printf(s, "<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n", p->width,
                       p->height);
    }
}

void svg_put(mgi_str *s, const svg_chart *chart)
{
    svg_plot p = {.c = chart,
                  .width = chart->width > 0 ? chart->width : 720,
                  .height = chart->height > 0 ? chart->height : 400,
                  .x = {.log = chart->log_x},
                  .y = {.log = chart->log_y}};
    double legend_top;
    svg_ranges(&p);
    svg_layout(&p, &legend_top);
    svg_axis_finish(&p.x, MGI_MAX(2, p.width / 90), 0.0);
    svg_axis_finish(&p.y, MGI_MAX(2, p.height / 60), 0.04);
    svg_given_ticks(&p.x, chart->n_x_tick, chart->x_tick);
    svg_given_ticks(&p.y, chart->n_y_tick, chart->y_tick);
    svg_head(s, &p);
    svg_grid(s, &p);
    svg_labels(s, &p);
    for (mango_idx i = 0; i < chart->n; i++)
        if (chart->series[i].lo && chart->series[i].hi)
            svg_band(s, &p, &chart->series[i], svg_colour(chart, i));
    for (mango_idx i = 0; i < chart->n; i++) {
        if (chart->series[i].style == SVG_POINTS)
            svg_points(s, &p, &chart->series[i], svg_colour(chart, i));
        else
            svg_line(s, &p, &chart->series[i], svg_colour(chart, i));
        if (chart->series[i].style == SVG_MARKS)
            svg_points(s, &p, &chart->series[i], svg_colour(chart, i));
    }
    if (chart->print)
        svg_names(s, &p);
    svg_legend(s, &p, p.x.a, legend_top);
    mgi_str_puts(s, "</svg>\n");
}

mango_status svg_save(const char *path, const svg_chart *chart, mango_err *err)
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    svg_put(&s, chart);
    const mango_status st = s.bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path)
                                  : mgi_file_write(path, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}

#undef SVG_TICKS
#undef SVG_COLOURS
#undef SVG_LIGHT
#undef SVG_DARK
#undef SVG_PRINT
#undef SVG_SHAPES
#undef SVG_NAMES
#undef SVG_COLUMN
#undef SVG_LEADING
