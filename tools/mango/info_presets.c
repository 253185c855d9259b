/* info_presets.c - the optimizers, their numbers and what these mean: all of it from
 * the library's own tables.
 * SPDX-License-Identifier: MIT */
#include "info_presets.h"

/* "0..1", "more than 0, at most 1e6", "1..k", "a|b". */
static void presets_range(const mango_opt_spec *o, char *text, size_t cap)
{
    if (o->words)
        snprintf(text, cap, "%s", o->words);
    else if (o->most)
        snprintf(text, cap, "%.10g..%s", o->lo, o->most);
    else
        snprintf(text, cap, "%s%.10g..%.10g", o->above ? ">" : "", o->lo, o->hi);
}

static void presets_json(const mango_opt_preset_info *p, mgi_str *s)
{
    mango_opt_spec o;
    char range[64];
    mgi_str_puts(s, "{");
    cli_quote(s, "name", p->name);
    mgi_str_puts(s, ",");
    cli_quote(s, "method", p->method);
    mgi_str_puts(s, ",");
    cli_quote(s, "meaning", p->meaning);
    mgi_str_puts(s, ",\"options\":{");
    for (mango_idx i = 0; i < mango_opt_option_count(p->name); i++) {
        mango_opt_option(p->name, i, &o);
        presets_range(&o, range, sizeof range);
        mgi_str_printf(s, "%s\"%s\":{\"value\":", i ? "," : "", o.name);
        mgi_str_float(s, o.value);
        mgi_str_puts(s, ",");
        cli_quote(s, "range", range);
        mgi_str_puts(s, ",");
        cli_quote(s, "meaning", o.meaning);
        mgi_str_puts(s, "}");
    }
    mgi_str_puts(s, "}}");
}

/* The options of a method, once: with the first preset that it is behind. */
static void presets_method(cli *c, mango_idx first)
{
    mango_opt_preset_info p, q;
    mango_opt_spec o;
    char range[64];
    mango_opt_preset(first, &p);
    for (mango_idx i = 0; i < first; i++) {
        mango_opt_preset(i, &q);
        if (strcmp(q.method, p.method) == 0)
            return;
    }
    cli_print(c, "\noptions of method %s:\n", p.method);
    for (mango_idx i = 0; i < mango_opt_option_count(p.name); i++) {
        mango_opt_option(p.name, i, &o);
        presets_range(&o, range, sizeof range);
        cli_print(c, "  %-12s %-14s %s\n", o.name, range, o.meaning);
    }
}

void info_presets(cli *c, mgi_str *s)
{
    mango_opt_preset_info p;
    mango_opt_options o;
    char text[512];
    mgi_str_puts(s, "{\"presets\":[");
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        mango_opt_preset(i, &p);
        mango_opt_defaults(p.name, &o, NULL);
        mango_opt_text(&o, text, sizeof text);
        cli_print(c, "%-14s %s\n%-14s method %s: %s\n", p.name, p.meaning, "", p.method, text);
        mgi_str_puts(s, i ? "," : "");
        presets_json(&p, s);
    }
    mgi_str_puts(s, "]}");
    for (mango_idx i = 0; i < mango_opt_presets(); i++)
        presets_method(c, i);
}
