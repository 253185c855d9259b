/* graph_attr.c - the attributes of nodes, read and written by the tables of op_<kind>.c.
 * SPDX-License-Identifier: MIT */
#include "graph.h"
#include <stdio.h>

/* ---- reading --------------------------------------------------------------- */

/* "AxBxC" into at most `most` whole numbers in lo..hi; how many, 0: malformed. */
static int attr_sizes(const char *z, int most, double lo, double hi, int64_t v[3])
{
    char part[24];
    for (int n = 0; n < most; n++) {
        const size_t len = strcspn(z, "x");
        if (len >= sizeof part)
            return 0;
        memcpy(part, z, len);
        part[len] = 0;
        if (!mgi_parse_int(part, (int64_t)lo, (int64_t)hi, &v[n]))
            return 0;
        if (!z[len])
            return n + 1;
        z += len + 1;
    }
    return 0;
}

/* "A" or "AxB": two numbers in lo..hi. */
static int attr_set_reals(const mgi_attr *r, const char *z, double *v)
{
    char part[32];
    const size_t len = strcspn(z, "x");
    if (len >= sizeof part)
        return 0;
    memcpy(part, z, len);
    part[len] = 0;
    if (!mgi_parse_real(part, &v[0]))
        return 0;
    v[1] = v[0];
    if (z[len] && !mgi_parse_real(z + len + 1, &v[1]))
        return 0;
    return v[0] >= r->lo && v[0] <= r->hi && v[1] >= r->lo && v[1] <= r->hi;
}

static int attr_set_sizes(const mgi_attr *r, const char *z, void *at)
{
    int64_t v[3] = {1, 1, 1};
    const int shape = r->type == MGI_ATTR_SHAPE;
    const int n = attr_sizes(z, shape ? 3 : 2, r->lo, r->hi, v);
    if (n == 0 || (n == 2 && shape) || (n == 1 && r->type == MGI_ATTR_SIZE))
        return 0;
    if (r->type == MGI_ATTR_PAIR) {
        ((int *)at)[0] = (int)v[0];
        ((int *)at)[1] = (int)v[n - 1];
        return 1;
    }
    for (int i = 0; i < (shape ? 3 : 2); i++)
        ((mango_idx *)at)[i] = (mango_idx)v[i];
    return 1;
}

/* A parameter prefix: a name without separators of the text form. */
static int attr_is_name(const char *z)
{
    const size_t n = strlen(z);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)z[i] <= 32 || z[i] == 127 || strchr(",=#", z[i]))
            return 0;
    return n > 0 && n < MGI_NAME;
}

/* A number, or a word in its place. */
static int attr_set_per(const mgi_attr *r, const char *z, float *v)
{
    double d = 0;
    const int per = mgi_word(r->words, z) + 1;
    memcpy(v + 1, &per, sizeof per);
    if (per > 0)
        return 1;
    if (!mgi_parse_real(z, &d) || !(d >= r->lo && d <= r->hi))
        return 0;
    *v = (float)d;
    return 1;
}

static int attr_set(const mgi_attr *r, const char *z, mgi_node *q)
{
    void *at = (char *)q + r->offset;
    int64_t v = 0;
    double d = 0;
    switch (r->type) {
    case MGI_ATTR_INT:
    case MGI_ATTR_IDX:
        if (!mgi_parse_int(z, (int64_t)r->lo, (int64_t)r->hi, &v))
            return 0;
        if (r->type == MGI_ATTR_INT)
            *(int *)at = (int)v;
        else
            *(mango_idx *)at = (mango_idx)v;
        return 1;
    case MGI_ATTR_REAL:
    case MGI_ATTR_FLOAT:
        if (!mgi_parse_real(z, &d) || !(d >= r->lo && d <= r->hi))
            return 0;
        if (r->type == MGI_ATTR_REAL)
            *(double *)at = d;
        else
            *(float *)at = (float)d;
        return 1;
    case MGI_ATTR_WORD: {
        const int w = mgi_word(r->words, z);
        memcpy(at, &w, sizeof w);
        return w >= 0;
    }
    case MGI_ATTR_NAME:
        return attr_is_name(z) && mgi_copy(at, MGI_NAME, z);
    case MGI_ATTR_REALS:
        return attr_set_reals(r, z, at);
    case MGI_ATTR_PRESET:
        return mango_lif_preset(z, at) == MANGO_OK;
    case MGI_ATTR_PER:
        return attr_set_per(r, z, at);
    default:
        return attr_set_sizes(r, z, at);
    }
}

/* What a value should have been, for the message. */
static void attr_expected(const mgi_attr *r, char *out, size_t cap)
{
    const int real = r->type == MGI_ATTR_REAL || r->type == MGI_ATTR_FLOAT ||
                     r->type == MGI_ATTR_REALS;
    const char *form = r->type == MGI_ATTR_SHAPE  ? "CxHxW of "
                       : r->type == MGI_ATTR_SIZE ? "HxW of "
                                                  : "";
    if (r->type == MGI_ATTR_PER)
        snprintf(out, cap, "%s or a number %g..%g", r->words, r->lo, r->hi);
    else if (r->type == MGI_ATTR_WORD || r->type == MGI_ATTR_PRESET || r->type == MGI_ATTR_NAME)
        snprintf(out, cap, "%s",
                 r->words                   ? r->words
                 : r->type == MGI_ATTR_NAME ? "a name"
                                            : "snntorch|spikingjelly");
    else
        snprintf(out, cap, real ? "%snumber %g..%g" : "%swhole numbers %.0f..%.0f", form, r->lo,
                 r->hi);
}

/* One "key=value"; seen has a bit for each row of the table. */
static mango_status attr_one(mgi_node *q, char *item, uint64_t *seen, mango_err *err)
{
    char want[80];
    const mgi_attr *table = mgi_op_of(q->kind)->attr;
    char *eq = strchr(item, '=');
    if (!eq || eq == item || !eq[1])
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: '%.60s' is not key=value", q->name,
                        item);
    *eq = 0;
    const int i = mgi_attr_find(table, item);
    if (i < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s has no attribute '%.60s'", q->name,
                        mgi_kind_name(q->kind), item);
    if (*seen >> i & 1)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: attribute '%s' is given twice", q->name,
                        item);
    if (table[i].type == MGI_ATTR_PRESET && *seen)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: preset comes before other attributes",
                        q->name);
    *seen |= (uint64_t)1 << i;
    if (attr_set(&table[i], eq + 1, q))
        return MANGO_OK;
    attr_expected(&table[i], want, sizeof want);
    return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s=%.60s, expected %s", q->name, item,
                    eq + 1, want);
}

/* What is given must do; then what holds for all attributes together. */
static mango_status attr_together(mgi_node *q, uint64_t seen, mango_err *err)
{
    const mgi_op *op = mgi_op_of(q->kind);
    for (int i = 0; op->attr && op->attr[i].key; i++)
        if (op->attr[i].needed && !(seen >> i & 1))
            return mgi_fail(err, MANGO_E_FORMAT, "node %s: attribute '%s' is missing", q->name,
                            op->attr[i].key);
    return op->check ? op->check(q, seen, err) : MANGO_OK;
}

MGI_FN mango_status mgi_node_attrs(mgi_node *q, const char *attrs, mango_err *err)
{
    char item[MGI_NAME + 64];
    uint64_t seen = 0;
    mgi_copy(q->prefix, MGI_NAME, q->name);
    if (mgi_op_of(q->kind)->defaults)
        mgi_op_of(q->kind)->defaults(q);
    for (attrs += strspn(attrs, " \t"); *attrs; attrs += strspn(attrs, " \t")) {
        const size_t n = strcspn(attrs, " \t");
        if (n >= sizeof item)
            return mgi_fail(err, MANGO_E_LIMIT, "node %s: '%.40s...' is too long", q->name,
                            attrs);
        memcpy(item, attrs, n);
        item[n] = 0;
        attrs += n;
        MGI_TRY(attr_one(q, item, &seen, err));
    }
    return attr_together(q, seen, err);
}

/* ---- writing --------------------------------------------------------------- */

MGI_FN void mgi_attr_write(const mgi_attr *r, const mgi_node *q, mgi_str *s)
{
    const void *at = (const char *)q + r->offset;
    const int *i = at;
    const mango_idx *n = at;
    const double *d = at;
    int w;
    switch (r->type) {
    case MGI_ATTR_INT:
        mgi_str_printf(s, "%d", *i);
        return;
    case MGI_ATTR_IDX:
        mgi_str_printf(s, "%td", *n);
        return;
    case MGI_ATTR_REAL:
        mgi_str_float(s, *(const double *)at);
        return;
    case MGI_ATTR_FLOAT:
        mgi_str_f32(s, *(const float *)at);
        return;
    case MGI_ATTR_PAIR:
        mgi_str_printf(s, i[0] == i[1] ? "%d" : "%dx%d", i[0], i[1]);
        return;
    case MGI_ATTR_SIZE:
        mgi_str_printf(s, "%tdx%td", n[0], n[1]);
        return;
    case MGI_ATTR_REALS:
        mgi_str_float(s, d[0]);
        if (d[1] != d[0]) {
            mgi_str_puts(s, "x");
            mgi_str_float(s, d[1]);
        }
        return;
    case MGI_ATTR_SHAPE:
        mgi_str_printf(s, n[1] == 1 && n[2] == 1 ? "%td" : "%tdx%tdx%td", n[0], n[1], n[2]);
        return;
    case MGI_ATTR_WORD:
        memcpy(&w, at, sizeof w);
        mgi_str_word(s, r->words, w);
        return;
    case MGI_ATTR_PER:
        memcpy(&w, (const float *)at + 1, sizeof w);
        if (w > 0)
            mgi_str_word(s, r->words, w - 1);
        else
            mgi_str_f32(s, *(const float *)at);
        return;
    default:
        mgi_str_puts(s, at);
    }
}

MGI_FN void mgi_node_write_attrs(const mgi_node *q, mgi_str *s)
{
    for (const mgi_attr *r = mgi_op_of(q->kind)->attr; r && r->key; r++)
        if (!r->shown || r->shown(q)) {
            mgi_str_printf(s, " %s=", r->key);
            mgi_attr_write(r, q, s);
        }
}
