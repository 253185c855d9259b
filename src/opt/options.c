/* options.c - the options of a method, by name: one table says what they are.
 * SPDX-License-Identifier: MIT */
#include "../base/text.h"
#include "method.h"
#include <stdio.h>
#include <stdlib.h>

#define OPTIONS_TEXT 64 /* bytes of a name, of a value */

/* What every method has, after its own. */
static const mango_opt_spec options_common[] = {
    {"minimize", "look for the smallest value", MANGO_OPT_FLAG, 0, 1, 0, 0, NULL, NULL},
};

static mango_idx options_count(const mgi_method *m)
{
    assert(m->n_options + MGI_COUNT(options_common) <= MANGO_OPT_VALUES);
    return m->n_options + MGI_COUNT(options_common);
}

static const mango_opt_spec *options_spec(const mgi_method *m, mango_idx i)
{
    return i < m->n_options ? m->option + i : options_common + (i - m->n_options);
}

static mango_idx options_find(const mgi_method *m, const char *name)
{
    for (mango_idx i = 0; i < options_count(m); i++)
        if (strcmp(options_spec(m, i)->name, name) == 0)
            return i;
    return -1;
}

/* The method that o belongs to; NULL, with a message, unless defaults filled o. */
static const mgi_method *options_method(const mango_opt_options *o, mango_err *err)
{
    if (!o || o->size != sizeof *o || !memchr(o->preset, 0, sizeof o->preset)) {
        mgi_fail(err, MANGO_E_ARG,
                 "optimizer: options that mango_opt_defaults has filled expected");
        return NULL;
    }
    const mgi_preset *p = mgi_preset_find(o->preset, err);
    return p ? p->method() : NULL;
}

/* ---- one value ------------------------------------------------------------ */

/* The value in force: one that was not set gives way to the option it may not exceed. */
static double options_value(const mgi_method *m, const mango_opt_options *o, mango_idx i)
{
    const mango_opt_spec *s = options_spec(m, i);
    if (!s->most || (o->given >> i & 1))
        return o->value[i];
    const double most = options_value(m, o, options_find(m, s->most));
    return MGI_MIN(o->value[i], most);
}

static int options_whole(double v)
{
    return v >= -9007199254740992.0 && v <= 9007199254740992.0 && v == (double)(int64_t)v;
}

/* Is v one that option i may have, `most` being the other option's? */
static mango_status options_in_range(const mango_opt_options *o, const mango_opt_spec *s,
                                     double v, double most, mango_err *err)
{
    const double hi = MGI_MIN(s->hi, most);
    if (v <= hi && (s->above ? v > s->lo : v >= s->lo) &&
        (s->kind == MANGO_OPT_REAL || options_whole(v)))
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_ARG, "optimizer %s: %s is %g, expected %s%.10g..%.10g",
                    o->preset, s->name, v,
                    s->above                     ? "more than "
                    : s->kind == MANGO_OPT_REAL ? ""
                                                : "a whole number ",
                    s->lo, hi);
}

MGI_FN mango_status mgi_opt_check(const mango_opt_options *o, mango_err *err)
{
    const mgi_method *m = options_method(o, err);
    if (!m)
        return o && o->size == sizeof *o ? MANGO_E_NAME : MANGO_E_ARG;
    for (mango_idx i = 0; i < options_count(m); i++) {
        const mango_opt_spec *s = options_spec(m, i);
        const double most = s->most ? options_value(m, o, options_find(m, s->most)) : s->hi;
        MGI_TRY(options_in_range(o, s, options_value(m, o, i), most, err));
    }
    return MANGO_OK;
}

/* No such option: say which are near. */
static mango_status options_unknown(const mgi_method *m, const char *preset,
                                    const char *name, mango_err *err)
{
    const char *names[MANGO_OPT_VALUES];
    char near[128];
    for (mango_idx i = 0; i < options_count(m); i++)
        names[i] = options_spec(m, i)->name;
    mgi_near(name, options_count(m), names, near, sizeof near);
    return mgi_fail(err, MANGO_E_NAME, "optimizer %s has no option '%.40s'; near: %s",
                    preset, name, near);
}

/* ---- by name -------------------------------------------------------------- */

mango_status mango_opt_set(mango_opt_options *o, const char *name, double value,
                           mango_err *err)
{
    MGI_CHECK(err, name, "mango_opt_set: name is NULL");
    const mgi_method *m = options_method(o, err);
    if (!m)
        return MANGO_E_ARG;
    const mango_idx i = options_find(m, name);
    if (i < 0)
        return options_unknown(m, o->preset, name, err);
    const mango_opt_spec *s = options_spec(m, i);
    MGI_TRY(options_in_range(o, s, value, s->hi, err));
    o->value[i] = value;
    o->given |= (uint32_t)1 << i;
    return MANGO_OK;
}

mango_status mango_opt_value(const mango_opt_options *o, const char *name, double *value,
                             mango_err *err)
{
    MGI_CHECK(err, name && value, "mango_opt_value: name and value expected");
    const mgi_method *m = options_method(o, err);
    if (!m)
        return MANGO_E_ARG;
    const mango_idx i = options_find(m, name);
    if (i < 0)
        return options_unknown(m, o->preset, name, err);
    *value = options_value(m, o, i);
    return MANGO_OK;
}

MGI_FN double mgi_opt_real(const mango_opt *o, const char *name)
{
    double v = 0.0;
    const mango_status st = mango_opt_value(&o->opt, name, &v, NULL);
    assert(st == MANGO_OK);
    (void)st;
    return v;
}

MGI_FN mango_idx mgi_opt_int(const mango_opt *o, const char *name)
{
    return (mango_idx)mgi_opt_real(o, name);
}

/* ---- as text -------------------------------------------------------------- */

/* "name=value", cut in two: item is changed. */
static mango_status options_item(const mgi_method *m, mango_opt_options *o, char *item,
                                 uint32_t *seen, mango_err *err)
{
    double v;
    char *eq = strchr(item, '=');
    if (!eq || eq == item || !eq[1])
        return mgi_fail(err, MANGO_E_ARG, "optimizer %s: '%.40s' is not NAME=VALUE",
                        o->preset, item);
    *eq = 0;
    const mango_idx i = options_find(m, item);
    if (i < 0)
        return options_unknown(m, o->preset, item, err);
    if (*seen >> i & 1)
        return mgi_fail(err, MANGO_E_ARG, "optimizer %s: %s is given twice", o->preset, item);
    *seen |= (uint32_t)1 << i;
    const mango_opt_spec *s = options_spec(m, i);
    if (s->kind == MANGO_OPT_CHOICE) {
        v = mgi_word(s->words, eq + 1);
        return v >= 0 ? mango_opt_set(o, item, v, err)
                      : mgi_fail(err, MANGO_E_ARG, "optimizer %s: %s is '%.40s', expected %s",
                                 o->preset, item, eq + 1, s->words);
    }
    if (!mgi_parse_real(eq + 1, &v))
        return mgi_fail(err, MANGO_E_ARG, "optimizer %s: %s is '%.40s', expected a number",
                        o->preset, item, eq + 1);
    return mango_opt_set(o, item, v, err);
}

mango_status mango_opt_parse(mango_opt_options *o, const char *text, mango_err *err)
{
    MGI_CHECK(err, text, "mango_opt_parse: text is NULL");
    const mgi_method *m = options_method(o, err);
    if (!m)
        return MANGO_E_ARG;
    mango_opt_options to = *o;
    uint32_t seen = 0;
    while (*text) {
        char item[2 * OPTIONS_TEXT];
        const size_t n = strcspn(text, ",");
        if (n >= sizeof item || (text[n] && !text[n + 1]))
            return mgi_fail(err, MANGO_E_ARG, "optimizer %s: '%.40s' is not NAME=VALUE,...",
                            o->preset, text);
        memcpy(item, text, n);
        item[n] = 0;
        MGI_TRY(options_item(m, &to, item, &seen, err));
        text += n + (text[n] == ',');
    }
    *o = to;
    return MANGO_OK;
}

static void options_put(const mango_opt_spec *s, double v, mgi_str *out)
{
    mgi_str_printf(out, "%s=", s->name);
    if (s->kind == MANGO_OPT_CHOICE)
        mgi_str_word(out, s->words, (int)v);
    else
        mgi_str_float(out, v);
}

mango_idx mango_opt_text(const mango_opt_options *o, char *text, mango_idx cap)
{
    const mgi_method *m = options_method(o, NULL);
    mgi_str s;
    if (!m || cap < 0 || (cap > 0 && !text))
        return -1;
    mgi_str_init(&s, NULL);
    for (mango_idx i = 0; i < options_count(m); i++) {
        mgi_str_puts(&s, i ? "," : "");
        options_put(options_spec(m, i), options_value(m, o, i), &s);
    }
    const mango_idx n = s.bad ? -1 : s.n;
    if (n >= 0 && cap > 0)
        mgi_copy(text, cap, s.p);
    mgi_str_free(&s);
    return n;
}

/* ---- defaults, listing ---------------------------------------------------- */

MGI_FN void mgi_opt_fill(const mgi_preset *p, mango_opt_options *o)
{
    const mgi_method *m = p->method();
    memset(o, 0, sizeof *o);
    o->size = sizeof *o;
    mgi_copy(o->preset, sizeof o->preset, p->name);
    for (mango_idx i = 0; i < options_count(m); i++)
        o->value[i] = options_spec(m, i)->value;
    const mango_status st = mango_opt_parse(o, p->options, NULL);
    assert(st == MANGO_OK);
    (void)st;
    o->given = 0;
}

mango_status mango_opt_defaults_sized(const char *preset, mango_opt_options *o, size_t size,
                                      mango_err *err)
{
    mango_opt_options own;
    const mgi_preset *p = mgi_preset_find(preset, err);
    if (!p)
        return MANGO_E_NAME;
    MGI_CHECK(err, o && size == sizeof own, "mango_opt_defaults: o of %td bytes expected",
              (mango_idx)sizeof own);
    mgi_opt_fill(p, &own);
    *o = own;
    return MANGO_OK;
}

mango_idx mango_opt_option_count(const char *preset)
{
    const mgi_preset *p = mgi_preset_find(preset, NULL);
    return p ? options_count(p->method()) : -1;
}

mango_status mango_opt_option_sized(const char *preset, mango_idx i, mango_opt_spec *spec,
                                    size_t size)
{
    mango_opt_options o;
    const mgi_preset *p = mgi_preset_find(preset, NULL);
    MGI_REQUIRE(p && spec && i >= 0 && i < options_count(p->method()));
    mgi_opt_fill(p, &o);
    mango_opt_spec own = *options_spec(p->method(), i);
    own.value = o.value[i];
    mgi_info_out(spec, size, &own, sizeof own);
    return MANGO_OK;
}

#undef OPTIONS_TEXT
