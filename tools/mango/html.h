/* html.h - report pages in one file: style, charts and pictures are inside.
 *
 * Append to one mgi_str: html_begin, then any of the others, then html_end. Texts
 * are plain and escaped here. Nothing is loaded from anywhere; no scripts.
 * SPDX-License-Identifier: MIT */
#ifndef HTML_H
#define HTML_H

#include "../../src/base/text.h"
#include "svg.h"

/*   title     in  of the page, and its heading
 *   subtitle  in  the line below; NULL: none */
void html_begin(mgi_str *s, const char *title, const char *subtitle);
void html_end(mgi_str *s);

void html_heading(mgi_str *s, const char *text);
void html_paragraph(mgi_str *s, const char *text);
/* Text as it stands, in a typewriter face: a command, a graph. */
void html_code(mgi_str *s, const char *text);

/* Key figures side by side: n pairs, text[2*i] the name, text[2*i+1] the value. */
void html_facts(mgi_str *s, mango_idx n, const char *const *text);
/* A table: cell is (rows,columns), its first row the head. Columns whose cells
 * all begin like numbers are set to the right. */
void html_table(mgi_str *s, mango_idx rows, mango_idx columns, const char *const *cell);

/* Figures stand side by side between html_row_begin and html_row_end. */
void html_row_begin(mgi_str *s);
void html_row_end(mgi_str *s);
/* A picture, shown with every pixel `scale` wide; caption NULL: none. */
void html_picture(mgi_str *s, mango_idx W, mango_idx H, mango_idx scale,
                  const unsigned char *rgb, const char *caption);
/* A picture file of `n` bytes, for example type "image/gif", shown W x H. */
void html_file(mgi_str *s, const char *type, const void *bytes, mango_idx n, mango_idx W,
               mango_idx H, const char *caption);
void html_chart(mgi_str *s, const svg_chart *chart);

mango_status html_save(const char *path, mgi_str *s, mango_err *err);

#endif
