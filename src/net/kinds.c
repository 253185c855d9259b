/* kinds.c - the kinds of layers and their attributes, told from the operators' own tables.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

mango_idx mango_kinds(void)
{
    return MGI_KINDS;
}

static mango_idx kinds_keys(const mgi_op *op)
{
    mango_idx n = 0;
    while (op->attr && op->attr[n].key)
        n++;
    return n;
}

mango_status mango_kind_sized(mango_idx i, mango_kind *out, size_t size)
{
    MGI_REQUIRE(out && i >= 0 && i < MGI_KINDS);
    const mgi_op *op = mgi_op_of((mgi_kind)i);
    const mango_kind k = {.name = op->name,
                          .about = op->about ? op->about : "",
                          .shapes = op->shapes ? op->shapes : "",
                          .least = op->least,
                          .most = op->most,
                          .keys = kinds_keys(op)};
    mgi_info_out(out, size, &k, sizeof k);
    return MANGO_OK;
}

static const char *kinds_type(const mgi_attr *r)
{
    switch (r->type) {
    case MGI_ATTR_INT:
    case MGI_ATTR_IDX: return "whole number";
    case MGI_ATTR_REAL:
    case MGI_ATTR_FLOAT: return "number";
    case MGI_ATTR_PAIR: return "N or HxW";
    case MGI_ATTR_SIZE: return "HxW";
    case MGI_ATTR_SHAPE: return "CxHxW or N";
    case MGI_ATTR_PER: return "number or word";
    case MGI_ATTR_REALS: return "number, or two: HxW";
    case MGI_ATTR_NAME: return "name";
    default: return "word";
    }
}

/* The line of op->keys that begins with this key, without it. */
static void kinds_meaning(const mgi_op *op, const mgi_attr *r, char *out, mango_idx cap)
{
    const size_t len = strlen(r->key);
    out[0] = 0;
    if (r->type == MGI_ATTR_NAME)
        mgi_copy(out, cap, "the parameters' names begin with it, not with the layer's");
    for (const char *z = op->keys; z && *z;) {
        const char *end = strchr(z, '\n');
        const mango_idx n = end ? end - z : (mango_idx)strlen(z);
        if (!strncmp(z, r->key, len) && z[len] == ' ') {
            mgi_copy(out, MGI_MIN(cap, n - (mango_idx)len), z + len + 1);
            return;
        }
        z = end ? end + 1 : NULL;
    }
}

/* Is the number that defaults left within the range? If not, a rule chooses it. */
static int kinds_chosen(const mgi_attr *r, const mgi_node *q)
{
    const void *at = (const char *)q + r->offset;
    double v;
    switch (r->type) {
    case MGI_ATTR_INT:
    case MGI_ATTR_PAIR: v = (double)*(const int *)at; break;
    case MGI_ATTR_IDX:
    case MGI_ATTR_SIZE:
    case MGI_ATTR_SHAPE: v = (double)*(const mango_idx *)at; break;
    case MGI_ATTR_REAL:
    case MGI_ATTR_REALS: v = *(const double *)at; break;
    case MGI_ATTR_FLOAT:
    case MGI_ATTR_PER: v = (double)*(const float *)at; break;
    case MGI_ATTR_WORD: return 1;
    default: return 0;
    }
    return v >= r->lo && v <= r->hi;
}

/* The value when it is not given, as the writer spells it. */
static void kinds_standard(const mgi_op *op, mgi_kind kind, const mgi_attr *r, char *out,
                           mango_idx cap)
{
    mgi_str s;
    mgi_node q;
    memset(&q, 0, sizeof q);
    q.kind = kind;
    if (op->defaults)
        op->defaults(&q);
    out[0] = 0;
    if (r->needed || !kinds_chosen(r, &q))
        return;
    mgi_str_init(&s, NULL);
    mgi_attr_write(r, &q, &s);
    if (!s.bad)
        mgi_copy(out, cap, s.p);
    mgi_str_free(&s);
}

mango_status mango_kind_key_sized(mango_idx i, mango_idx k, mango_kind_key *out, size_t size)
{
    MGI_REQUIRE(out && i >= 0 && i < MGI_KINDS);
    const mgi_op *op = mgi_op_of((mgi_kind)i);
    mango_kind_key o = {0};
    MGI_REQUIRE(k >= 0 && k < kinds_keys(op));
    const mgi_attr *r = &op->attr[k];
    o.name = r->key;
    o.type = kinds_type(r);
    o.words = r->type == MGI_ATTR_PRESET ? "snntorch|spikingjelly" : r->words;
    o.needed = r->needed;
    o.lo = r->lo;
    o.hi = r->hi;
    kinds_standard(op, (mgi_kind)i, r, o.standard, (mango_idx)sizeof o.standard);
    kinds_meaning(op, r, o.meaning, (mango_idx)sizeof o.meaning);
    mgi_info_out(out, size, &o, sizeof o);
    return MANGO_OK;
}
