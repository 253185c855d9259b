/* target.c - which number of a network is wanted: "layer:unit[:y:x]", "class:k".
 * SPDX-License-Identifier: MIT */
#include "../base/text.h"
#include "mei.h"

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

/* A number 0 .. n-1, or an error that says what the layer has. */
static mango_status target_number(const char *z, mango_idx n, const char *layer,
                                  const char *what, mango_idx *v, mango_err *err)
{
    int64_t i;
    if (!mgi_parse_int(z, INT64_MIN, INT64_MAX, &i))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "target: '%.40s' is not a number, expected %s 0..%td", z, what,
                        n - 1);
    if (i < 0 || i >= n)
        return mgi_fail(err, MANGO_E_NAME, "target: layer '%s' has %s 0..%td, got %lld",
                        layer, what, n - 1, (long long)i);
    *v = (mango_idx)i;
    return MANGO_OK;
}

mango_status mango_target_parse(mango_target *t, const mango_net *net, const char *text,
                                mango_err *err)
{
    char buf[256], *field[4];
    mango_layer l;
    MGI_CHECK(err, t && net, "mango_target_parse: a network and room expected");
    const int n = text ? target_split(text, buf, field) : 0;
    memset(t, 0, sizeof *t);
    t->y = t->x = -1;
    if (n != 2 && n != 4)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "target '%.80s': expected layer:unit, layer:unit:y:x or class:k",
                        text ? text : "");
    const int is_class = strcmp(field[0], "class") == 0 && n == 2 &&
                         mango_net_find(net, "class", &t->layer, NULL) < 0;
    if (is_class)
        t->layer = mango_net_layers(net) - 1;
    else
        MGI_TRY(mango_net_find(net, field[0], &t->layer, err));
    MGI_TRY(mango_net_layer(net, t->layer, &l));
    t->C = l.C;
    t->H = l.H;
    t->W = l.W;
    t->spiking = l.spiking;
    if (is_class && (l.H != 1 || l.W != 1))
        return mgi_fail(err, MANGO_E_SHAPE,
                        "target: the network's output '%s' is a map of "
                        "%tdx%tdx%td, not classes",
                        l.name, l.C, l.H, l.W);
    MGI_TRY(target_number(field[1], l.C, l.name, is_class ? "classes" : "units",
                          &t->unit, err));
    t->softmax = is_class && strcmp(l.kind, "softmax") != 0;
    if (n == 4) {
        MGI_TRY(target_number(field[2], l.H, l.name, "rows", &t->y, err));
        MGI_TRY(target_number(field[3], l.W, l.name, "columns", &t->x, err));
    }
    return MANGO_OK;
}
