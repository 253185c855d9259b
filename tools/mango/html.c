/* html.c - report pages.
 * SPDX-License-Identifier: MIT */
#include "html.h"
#include "image.h"

static const char html_css[] =
    ":root{color-scheme:light dark;--ink:#1d2126;--soft:#5c646e;--bg:#fff;--card:#f5f6f8;"
    "--line:#e0e3e8}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#98a1ad;--bg:#15181d;"
    "--card:#1d2128;--line:#2f353e}}\n"
    "body{margin:0 auto;padding:2.2rem 1.2rem 4rem;max-width:60rem;background:var(--bg);"
    "color:var(--ink);font:16px/1.55 system-ui,sans-serif}\n"
    "h1{margin:0;font-size:1.7rem;line-height:1.2;letter-spacing:-.01em}\n"
    "h2{margin:2.4rem 0 .7rem;padding-top:1.1rem;border-top:1px solid var(--line);"
    "font-size:1.15rem}\n"
    "p{margin:.6rem 0;max-width:44rem}.sub{margin:.3rem 0 1.4rem;color:var(--soft)}\n"
    "pre{overflow-x:auto;padding:.7rem .9rem;border-radius:8px;background:var(--card);"
    "font:13px/1.5 ui-monospace,monospace}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.7rem;"
    "margin:1rem 0}\n"
    "dl div{padding:.6rem .8rem;border-radius:8px;background:var(--card)}\n"
    "dt{color:var(--soft);font-size:.8rem}\n"
    "dd{margin:0;font-size:1.15rem;font-weight:600;overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.32rem .9rem .32rem 0;border-bottom:1px solid "
    "var(--line);text-align:left}\n"
    "th{color:var(--soft);font-weight:600}.n{text-align:right}\n"
    ".row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-end}figure{margin:0}\n"
    "figcaption{margin-top:.3rem;color:var(--soft);font-size:.85rem}\n"
    "img{display:block;max-width:100%;border-radius:4px;image-rendering:pixelated}\n"
    "svg{display:block;max-width:100%;height:auto;margin:.8rem 0}\n";

void html_begin(mgi_str *s, const char *title, const char *subtitle)
{
    mgi_str_puts(s,
                 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    svg_text(s, title);
    mgi_str_printf(s, "</title>\n<style>\n%s%s\n</style>\n</head>\n<body>\n<h1>", html_css,
                   svg_css());
    svg_text(s, title);
    mgi_str_puts(s, "</h1>\n");
    if (subtitle) {
        mgi_str_puts(s, "<p class=\"sub\">");
        svg_text(s, subtitle);
        mgi_str_puts(s, "</p>\n");
    }
}

void html_end(mgi_str *s)
{
    mgi_str_puts(s, "</body>\n</html>\n");
}

static void html_element(mgi_str *s, const char *tag, const char *text)
{
    mgi_str_printf(s, "<%s>", tag);
    svg_text(s, text);
    mgi_str_printf(s, "</%s>\n", tag);
}

void html_heading(mgi_str *s, const char *text)
{
    html_element(s, "h2", text);
}

void html_paragraph(mgi_str *s, const char *text)
{
    html_element(s, "p", text);
}

void html_code(mgi_str *s, const char *text)
{
    html_element(s, "pre", text);
}

void html_facts(mgi_str *s, mango_idx n, const char *const *text)
{
    mgi_str_puts(s, "<dl>\n");
    for (mango_idx i = 0; i < n; i++) {
        mgi_str_puts(s, "<div>");
        html_element(s, "dt", text[2 * i]);
        html_element(s, "dd", text[2 * i + 1]);
        mgi_str_puts(s, "</div>\n");
    }
    mgi_str_puts(s, "</dl>\n");
}

/* Does every cell of column c below the head begin like a number, or stand empty? */
static int html_is_numeric(mango_idx rows, mango_idx columns, const char *const *cell,
                           mango_idx c)
{
    int any = 0;
    for (mango_idx r = 1; r < rows; r++) {
        const char *z = cell[r * columns + c];
        if (!z || !*z || strcmp(z, "-") == 0)
            continue;
        z += *z == '-' || *z == '+' || *z == '.';
        if (*z < '0' || *z > '9')
            return 0;
        any = 1;
    }
    return any;
}

void html_table(mgi_str *s, mango_idx rows, mango_idx columns, const char *const *cell)
{
    mgi_str_puts(s, "<div class=\"wide\"><table>\n");
    for (mango_idx r = 0; r < rows; r++) {
        mgi_str_puts(s, "<tr>");
        for (mango_idx c = 0; c < columns; c++) {
            const char *z = cell[r * columns + c], *tag = r == 0 ? "th" : "td";
            mgi_str_printf(s, "<%s%s>", tag,
                           html_is_numeric(rows, columns, cell, c) ? " class=\"n\"" : "");
            svg_text(s, z ? z : "");
            mgi_str_printf(s, "</%s>", tag);
        }
        mgi_str_puts(s, "</tr>\n");
    }
    mgi_str_puts(s, "</table></div>\n");
}

void html_row_begin(mgi_str *s)
{
    mgi_str_puts(s, "<div class=\"row\">\n");
}

void html_row_end(mgi_str *s)
{
    mgi_str_puts(s, "</div>\n");
}

static void html_base64(mgi_str *s, const unsigned char *p, mango_idx n)
{
    static const char digit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (mango_idx i = 0; i < n; i += 3) {
        const mango_idx left = n - i;
        const uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)(left > 1 ? p[i + 1] : 0) << 8 |
                           (uint32_t)(left > 2 ? p[i + 2] : 0);
        const char four[4] = {digit[v >> 18], digit[v >> 12 & 63],
                              left > 1 ? digit[v >> 6 & 63] : '=',
                              left > 2 ? digit[v & 63] : '='};
        mgi_str_put(s, four, 4);
    }
}

void html_file(mgi_str *s, const char *type, const void *bytes, mango_idx n, mango_idx W,
               mango_idx H, const char *caption)
{
    mgi_str_printf(s, "<figure><img width=\"%td\" height=\"%td\" alt=\"", W, H);
    svg_text(s, caption ? caption : "");
    mgi_str_printf(s, "\" src=\"data:%s;base64,", type);
    html_base64(s, (const unsigned char *)bytes, n);
    mgi_str_puts(s, "\">");
    if (caption)
        html_element(s, "figcaption", caption);
    mgi_str_puts(s, "</figure>\n");
}

void html_picture(mgi_str *s, mango_idx W, mango_idx H, mango_idx scale,
                  const unsigned char *rgb, const char *caption)
{
    mgi_str file;
    mgi_str_init(&file, NULL);
    const char *type = image_encode(&file, W, H, rgb);
    html_file(s, type, file.p, file.n, W * scale, H * scale, caption);
    s->bad |= file.bad;
    mgi_str_free(&file);
}

void html_chart(mgi_str *s, const svg_chart *chart)
{
    svg_chart c = *chart;
    c.inside = 1;
    svg_put(s, &c);
}

mango_status html_save(const char *path, mgi_str *s, mango_err *err)
{
    if (s->bad)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path);
    return mgi_file_write(path, s->p, s->n, err);
}
