/* target.c - which number of a network is wanted: "layer:unit[:y:x]", "class:k", or an
 * expression over such ones.
 * SPDX-License-Identifier: MIT */
#include "../base/text.h"
#include "expression.h"

/* Cut text at its colons into at most 4 fields; 0 when there are more or one
 * is empty. */
static int target_split(const char *text, char buf[256], char *field[4])
{
    int n = 0;
    if (!mgi_copy(buf, 256, text))
        return 0;
    for (char *p = buf;; p++) {
        if (n == 4)
            return 0;
        field[n++] = p;
        p = p + strcspn(p, ":");
        if (p == field[n - 1])
            return 0;
        if (*p == '\0')
            return n;
        *p = '\0';
    }
}

/* A number 0 .. n-1? */
static int target_number(const char *z, mango_idx n, mango_idx *v)
{
    int64_t i;
    if (!mgi_parse_int(z, 0, n - 1, &i))
        return 0;
    *v = (mango_idx)i;
    return 1;
}

/* Is it one unit, of a layer with a name of any bytes, all in range? Whatever else it may
 * be is for the grammar to say. */
static int target_unit(mango_target *t, const mango_net *net, const char *text)
{
    char buf[256], *field[4];
    mango_layer l;
    const int n = target_split(text, buf, field);
    if (n != 2 && n != 4)
        return 0;
    const int is_class = strcmp(field[0], "class") == 0 && n == 2 &&
                         mango_net_find(net, "class", &t->layer, NULL) < 0;
    if (is_class)
        t->layer = mango_net_layers(net) - 1;
    else if (mango_net_find(net, field[0], &t->layer, NULL) < 0)
        return 0;
    if (mango_net_layer(net, t->layer, &l) < 0 || (is_class && (l.H != 1 || l.W != 1)))
        return 0;
    t->C = l.C;
    t->H = l.H;
    t->W = l.W;
    t->spiking = l.spiking;
    t->softmax = is_class && strcmp(l.kind, "softmax") != 0;
    return target_number(field[1], l.C, &t->unit) &&
           (n == 2 || (target_number(field[2], l.H, &t->y) &&
                       target_number(field[3], l.W, &t->x)));
}

/* What can be said of an expression by these fields: its first leaf's. */
static void target_first(mango_target *t, const mgi_expression *e, const char *text)
{
    const mgi_leaf *l = e->leaf;
    const int plain = mgi_expression_plain(e);
    t->layer = l->layer;
    t->unit = l->unit;
    t->y = l->y;
    t->x = l->x;
    t->softmax = l->kind == MGI_LEAF_SOFTMAX;
    t->C = l->C;
    t->H = l->H;
    t->W = l->W;
    t->spiking = l->spiking;
    t->text = plain ? NULL : text;
    memcpy(t->vectors, e->vectors, sizeof t->vectors);
}

static void target_clear(mango_target *t)
{
    memset(t, 0, sizeof *t);
    t->y = t->x = -1;
}

mango_status mango_target_parse(mango_target *t, const mango_net *net, const char *text,
                                mango_err *err)
{
    mgi_expression *e;
    MGI_CHECK(err, t && net, "mango_target_parse: a network and room expected");
    target_clear(t);
    if (text && target_unit(t, net, text))
        return MANGO_OK;
    target_clear(t);
    MGI_TRY(mgi_expression_parse(&e, net, text ? text : "", NULL, err));
    target_first(t, e, text);
    mgi_expression_free(e);
    return MANGO_OK;
}

MGI_FN mango_status mgi_expression_unit(mgi_expression **e, const mango_net *net,
                                        const mango_target *t, const mango_alloc *al,
                                        mango_err *err)
{
    const mgi_leaf leaf = {.kind = t->softmax ? MGI_LEAF_SOFTMAX : MGI_LEAF_VALUE,
                           .over = MGI_OVER_UNIT,
                           .layer = t->layer,
                           .unit = t->unit,
                           .y = t->y,
                           .x = t->x,
                           .from = -1};
    mgi_expression *x = mgi_expression_new(1, al);
    *e = NULL;
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "target: out of memory");
    x->leaf[0] = leaf;
    x->n_leaves = 1;
    x->doing[0].what = MGI_DO_LEAF;
    x->n_doings = 1;
    const mango_status st = mgi_leaf_layer(x->leaf, net, err);
    if (st < 0)
        mgi_expression_free(x);
    else
        *e = x;
    return st;
}
