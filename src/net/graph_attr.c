/* graph_attr.c - the attributes of nodes: one table that reads and writes them.
 * SPDX-License-Identifier: MIT */
#include "graph.h"
#include <stdio.h>

/* How a value is spelled, and what it is stored as at `offset` of mgi_node. */
typedef enum attr_type {
    ATTR_INT,    /* int                                   */
    ATTR_IDX,    /* mango_idx                             */
    ATTR_REAL,   /* double                                */
    ATTR_FLOAT,  /* float                                 */
    ATTR_PAIR,   /* two ints: "3", or "3x5" (height first) */
    ATTR_SIZE,   /* two mango_idx: "6x6"                  */
    ATTR_SHAPE,  /* three mango_idx: "3x32x32", or "128"  */
    ATTR_WORD,   /* int-sized index into `words`          */
    ATTR_NAME,   /* char[MGI_NAME]                        */
    ATTR_PRESET  /* the whole LIF rule                    */
} attr_type;

typedef struct attr_row {
    const char *key;
    unsigned kinds;     /* bit of each kind that has it */
    attr_type type;
    int needed;         /* must be given                */
    size_t offset;
    double lo, hi;      /* range, ends included         */
    const char *words;  /* "a|b|c"                      */
} attr_row;

#define ATTR_K(kind) (1u << (kind))
#define ATTR_AT(field) offsetof(mgi_node, field)
#define ATTR_CONVS (ATTR_K(MGI_CONV) | ATTR_K(MGI_CONVT))
#define ATTR_MATMUL (ATTR_CONVS | ATTR_K(MGI_LINEAR))
#define ATTR_POOLS (ATTR_K(MGI_MAXPOOL) | ATTR_K(MGI_AVGPOOL))
#define ATTR_LIF ATTR_K(MGI_LIF)
#define ATTR_NAMED (ATTR_MATMUL | ATTR_K(MGI_BATCHNORM) | ATTR_LIF | ATTR_K(MGI_VQ))
#define ATTR_BIG 1e30

static const attr_row attr_table[] = {
    {"shape", ATTR_K(MGI_INPUT) | ATTR_K(MGI_RESHAPE), ATTR_SHAPE, 1, ATTR_AT(C), 1, 1 << 20, 0},
    {"out", ATTR_MATMUL, ATTR_IDX, 1, ATTR_AT(conv.O), 1, 1 << 20, 0},
    {"kernel", ATTR_CONVS, ATTR_PAIR, 1, ATTR_AT(conv.kh), 1, 256, 0},
    {"stride", ATTR_CONVS, ATTR_PAIR, 0, ATTR_AT(conv.sh), 1, 256, 0},
    {"pad", ATTR_CONVS, ATTR_PAIR, 0, ATTR_AT(conv.ph), 0, 255, 0},
    {"bias", ATTR_MATMUL, ATTR_INT, 0, ATTR_AT(bias), 0, 1, 0},
    {"sn", ATTR_K(MGI_CONV) | ATTR_K(MGI_LINEAR), ATTR_INT, 0, ATTR_AT(spectral), 0, 1, 0},
    {"eps", ATTR_K(MGI_BATCHNORM), ATTR_REAL, 0, ATTR_AT(eps), 1e-30, 1, 0},
    {"momentum", ATTR_K(MGI_BATCHNORM), ATTR_REAL, 0, ATTR_AT(momentum), 0, 1, 0},
    {"kernel", ATTR_POOLS, ATTR_PAIR, 1, ATTR_AT(pool.kh), 1, 256, 0},
    {"stride", ATTR_POOLS, ATTR_PAIR, 0, ATTR_AT(pool.sh), 1, 256, 0},
    {"pad", ATTR_POOLS, ATTR_PAIR, 0, ATTR_AT(pool.ph), 0, 255, 0},
    {"size", ATTR_K(MGI_ADAPTIVEAVG), ATTR_SIZE, 1, ATTR_AT(pool.OH), 1, 4096, 0},
    {"mode", ATTR_K(MGI_UPSAMPLE), ATTR_WORD, 1, ATTR_AT(bilinear), 0, 0, "nearest|bilinear"},
    {"codes", ATTR_K(MGI_VQ), ATTR_IDX, 1, ATTR_AT(codes), 1, 1 << 20, 0},
    {"preset", ATTR_LIF, ATTR_PRESET, 0, ATTR_AT(lif), 0, 0, 0},
    {"beta", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.beta), 0, 1, 0},
    {"tau", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.tau), 1, ATTR_BIG, 0},
    {"decay_input", ATTR_LIF, ATTR_INT, 0, ATTR_AT(lif.decay_input), 0, 1, 0},
    {"input_gain", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.input_gain), -ATTR_BIG, ATTR_BIG, 0},
    {"U_thr", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.U_thr), 1e-30, ATTR_BIG, 0},
    {"fires_on", ATTR_LIF, ATTR_WORD, 0, ATTR_AT(lif.fires_on_equal), 0, 0, ">|>="},
    {"reset", ATTR_LIF, ATTR_WORD, 0, ATTR_AT(lif.reset), 0, 0, "subtract|value|zero|none"},
    {"U_reset", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.U_reset), -ATTR_BIG, ATTR_BIG, 0},
    {"reset_delay", ATTR_LIF, ATTR_INT, 0, ATTR_AT(lif.reset_delay), 0, 1, 0},
    {"detach_reset", ATTR_LIF, ATTR_INT, 0, ATTR_AT(lif.detach_reset), 0, 1, 0},
    {"surrogate", ATTR_LIF, ATTR_WORD, 0, ATTR_AT(lif.surrogate), 0, 0, "fast_sigmoid|atan"},
    {"slope", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.slope), 1e-30, ATTR_BIG, 0},
    {"param", ATTR_NAMED, ATTR_NAME, 0, ATTR_AT(prefix), 0, 0, 0},
};

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

static int attr_set_sizes(const attr_row *r, const char *z, void *at)
{
    int64_t v[3] = {1, 1, 1};
    const int shape = r->type == ATTR_SHAPE;
    const int n = attr_sizes(z, shape ? 3 : 2, r->lo, r->hi, v);
    if (n == 0 || (n == 2 && shape) || (n == 1 && r->type == ATTR_SIZE))
        return 0;
    if (r->type == ATTR_PAIR) {
        ((int *)at)[0] = (int)v[0];
        ((int *)at)[1] = (int)v[n - 1];
        return 1;
    }
    for (int i = 0; i < (shape ? 3 : 2); i++)
        ((mango_idx *)at)[i] = (mango_idx)v[i];
    return 1;
}

/* The index of a word of "a|b|c"; -1: none of them. */
static int attr_word(const char *words, const char *z)
{
    const size_t n = strlen(z);
    for (int i = 0; words; i++) {
        const size_t len = strcspn(words, "|");
        if (len == n && !memcmp(words, z, n))
            return i;
        words = words[len] ? words + len + 1 : NULL;
    }
    return -1;
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

static int attr_set(const attr_row *r, const char *z, mgi_node *q)
{
    void *at = (char *)q + r->offset;
    int64_t v = 0;
    double d = 0;
    switch (r->type) {
    case ATTR_INT:
    case ATTR_IDX:
        if (!mgi_parse_int(z, (int64_t)r->lo, (int64_t)r->hi, &v))
            return 0;
        if (r->type == ATTR_INT)
            *(int *)at = (int)v;
        else
            *(mango_idx *)at = (mango_idx)v;
        return 1;
    case ATTR_REAL:
    case ATTR_FLOAT:
        if (!mgi_parse_real(z, &d) || !(d >= r->lo && d <= r->hi))
            return 0;
        if (r->type == ATTR_REAL)
            *(double *)at = d;
        else
            *(float *)at = (float)d;
        return 1;
    case ATTR_WORD: {
        const int w = attr_word(r->words, z);
        memcpy(at, &w, sizeof w);
        return w >= 0;
    }
    case ATTR_NAME:
        return attr_is_name(z) && mgi_copy(at, MGI_NAME, z);
    case ATTR_PRESET:
        return mango_lif_preset(z, at) == MANGO_OK;
    default:
        return attr_set_sizes(r, z, at);
    }
}

static int attr_find(const char *key, mgi_kind kind)
{
    for (int i = 0; i < (int)MGI_COUNT(attr_table); i++)
        if ((attr_table[i].kinds & ATTR_K(kind)) && !strcmp(attr_table[i].key, key))
            return i;
    return -1;
}

/* What a value should have been, for the message. */
static void attr_expected(const attr_row *r, char *out, size_t cap)
{
    const int real = r->type == ATTR_REAL || r->type == ATTR_FLOAT;
    const char *form = r->type == ATTR_SHAPE ? "CxHxW of " : r->type == ATTR_SIZE ? "HxW of " : "";
    if (r->type == ATTR_WORD || r->type == ATTR_PRESET || r->type == ATTR_NAME)
        snprintf(out, cap, "%s",
                 r->words ? r->words : r->type == ATTR_NAME ? "a name" : "snntorch|spikingjelly");
    else
        snprintf(out, cap, real ? "%snumber %g..%g" : "%swhole numbers %.0f..%.0f", form, r->lo,
                 r->hi);
}

/* One "key=value"; seen has a bit for each row of the table. */
static mango_status attr_one(mgi_node *q, char *item, uint64_t *seen, mango_err *err)
{
    char want[80];
    char *eq = strchr(item, '=');
    if (!eq || eq == item || !eq[1])
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: '%.60s' is not key=value", q->name, item);
    *eq = 0;
    const int i = attr_find(item, q->kind);
    if (i < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s has no attribute '%.60s'", q->name,
                        mgi_kind_name(q->kind), item);
    if (*seen >> i & 1)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: attribute '%s' is given twice", q->name,
                        item);
    if (attr_table[i].type == ATTR_PRESET && *seen)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: preset comes before other attributes",
                        q->name);
    *seen |= (uint64_t)1 << i;
    if (attr_set(&attr_table[i], eq + 1, q))
        return MANGO_OK;
    attr_expected(&attr_table[i], want, sizeof want);
    return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s=%.60s, expected %s", q->name, item, eq + 1,
                    want);
}

static void attr_defaults(mgi_node *q)
{
    mgi_copy(q->prefix, MGI_NAME, q->name);
    q->conv.sh = q->conv.sw = 1;
    q->conv.transposed = q->kind == MGI_CONVT;
    q->bias = q->kind == MGI_CONV || q->kind == MGI_CONVT || q->kind == MGI_LINEAR;
    q->eps = 1e-5;
    q->momentum = 0.1;
    if (q->kind == MGI_LIF)
        mango_lif_preset("snntorch", &q->lif);
}

static int attr_given(uint64_t seen, const char *key, mgi_kind kind)
{
    return (int)(seen >> attr_find(key, kind) & 1);
}

/* What only holds for all attributes of a node together. */
static mango_status attr_together(mgi_node *q, uint64_t seen, mango_err *err)
{
    mango_err sub;
    for (int i = 0; i < (int)MGI_COUNT(attr_table); i++)
        if ((attr_table[i].kinds & ATTR_K(q->kind)) && attr_table[i].needed && !(seen >> i & 1))
            return mgi_fail(err, MANGO_E_FORMAT, "node %s: attribute '%s' is missing", q->name,
                            attr_table[i].key);
    if (q->pool.kh && !q->pool.sh) {
        q->pool.sh = q->pool.kh;
        q->pool.sw = q->pool.kw;
    }
    if (q->kind != MGI_LIF)
        return MANGO_OK;
    const int beta = attr_given(seen, "beta", MGI_LIF), tau = attr_given(seen, "tau", MGI_LIF);
    if (beta && tau)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: beta and tau exclude each other", q->name);
    if (!beta && !tau && !attr_given(seen, "preset", MGI_LIF))
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: a lif needs preset, beta or tau", q->name);
    if (beta)
        q->lif.tau = 0;
    if (q->lif.tau > 0)
        q->lif.beta = 0;
    else
        q->lif.decay_input = 0;
    return mango_lif_check(&q->lif, &sub) < 0
               ? mgi_fail(err, MANGO_E_FORMAT, "node %s: %s", q->name, sub.text)
               : MANGO_OK;
}

MGI_FN mango_status mgi_node_attrs(mgi_node *q, const char *attrs, mango_err *err)
{
    char item[MGI_NAME + 64];
    uint64_t seen = 0;
    assert(MGI_COUNT(attr_table) <= 64);
    attr_defaults(q);
    for (attrs += strspn(attrs, " \t"); *attrs; attrs += strspn(attrs, " \t")) {
        const size_t n = strcspn(attrs, " \t");
        if (n >= sizeof item)
            return mgi_fail(err, MANGO_E_LIMIT, "node %s: '%.40s...' is too long", q->name, attrs);
        memcpy(item, attrs, n);
        item[n] = 0;
        attrs += n;
        MGI_TRY(attr_one(q, item, &seen, err));
    }
    return attr_together(q, seen, err);
}

/* ---- writing --------------------------------------------------------------- */

static void attr_put_word(mgi_str *s, const char *words, int i)
{
    for (; i > 0; i--)
        words += strcspn(words, "|") + 1;
    mgi_str_put(s, words, (mango_idx)strcspn(words, "|"));
}

static void attr_put(const attr_row *r, const mgi_node *q, mgi_str *s)
{
    const void *at = (const char *)q + r->offset;
    const int *i = at;
    const mango_idx *n = at;
    int w;
    mgi_str_printf(s, " %s=", r->key);
    switch (r->type) {
    case ATTR_INT:
        mgi_str_printf(s, "%d", *i);
        return;
    case ATTR_IDX:
        mgi_str_printf(s, "%td", *n);
        return;
    case ATTR_REAL:
        mgi_str_float(s, *(const double *)at);
        return;
    case ATTR_FLOAT:
        mgi_str_f32(s, *(const float *)at);
        return;
    case ATTR_PAIR:
        mgi_str_printf(s, i[0] == i[1] ? "%d" : "%dx%d", i[0], i[1]);
        return;
    case ATTR_SIZE:
        mgi_str_printf(s, "%tdx%td", n[0], n[1]);
        return;
    case ATTR_SHAPE:
        mgi_str_printf(s, n[1] == 1 && n[2] == 1 ? "%td" : "%tdx%tdx%td", n[0], n[1], n[2]);
        return;
    case ATTR_WORD:
        memcpy(&w, at, sizeof w);
        attr_put_word(s, r->words, w);
        return;
    default:
        mgi_str_puts(s, at);
    }
}

/* Is this row part of how q is written? */
static int attr_shown(const attr_row *r, const mgi_node *q)
{
    if (!(r->kinds & ATTR_K(q->kind)) || r->type == ATTR_PRESET)
        return 0;
    if (r->type == ATTR_NAME)
        return strcmp(q->prefix, q->name) != 0;
    if (r->offset == ATTR_AT(spectral) && r->type == ATTR_INT)
        return q->spectral;
    if (r->offset == ATTR_AT(lif.beta))
        return q->lif.tau <= 0;
    if (r->offset == ATTR_AT(lif.tau) || r->offset == ATTR_AT(lif.decay_input))
        return q->lif.tau > 0;
    return 1;
}

MGI_FN void mgi_node_write_attrs(const mgi_node *q, mgi_str *s)
{
    for (int i = 0; i < (int)MGI_COUNT(attr_table); i++)
        if (attr_shown(&attr_table[i], q))
            attr_put(&attr_table[i], q, s);
}

#undef ATTR_K
#undef ATTR_AT
#undef ATTR_CONVS
#undef ATTR_MATMUL
#undef ATTR_POOLS
#undef ATTR_LIF
#undef ATTR_NAMED
#undef ATTR_BIG
