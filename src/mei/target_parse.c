/* target_parse.c - the grammar of targets.
 *
 *   sum      product {(+|-) product}
 *   product  factor {(*|/) factor}
 *   factor   [-] (NUMBER | "(" sum ")" | reading | function)
 *   function (max|min|mean) "(" part {"," part} ")"     part: LAYER [window], or sum
 *            latency "(" unit ")"    membrane "(" unit [window] ")"
 *            rate "(" unit "," FROM "," TO ")"
 *   reading  unit [window]           LAYER [window] "@" FILE
 *   unit     LAYER ":" UNIT [":" Y ":" X]    class ":" K    logit ":" K
 *   window   "[" FROM ".." TO "]"
 *
 * A LAYER is a run of letters, digits, "_" and ".", or any text in "..." or '...'. What
 * begins with a digit is a LAYER where one of : @ [ follows, else a NUMBER. A FILE ends at
 * its first ".npy", or is quoted. Operators are those of C in rank and order.
 * SPDX-License-Identifier: MIT */
#include "expression.h"
#include "../base/hash.h"
#include "../base/text.h"

#define TPARSE_TEXT 4095
#define TPARSE_DEPTH 64
#define TPARSE_WORD 512

typedef struct mgi_tparse {
    const char *text, *p; /* p: what comes next */
    const mango_net *net;
    mgi_expression *e;
    mango_err *err;
    int depth;
    mgi_hash hash;        /* of all vectors */
    int hashed;
} mgi_tparse;

static mango_status tparse_sum(mgi_tparse *q, int *at);

/* ---- words ---------------------------------------------------------------- */

static int tparse_column(const mgi_tparse *q, const char *p)
{
    return (int)(p - q->text) + 1;
}

static void tparse_space(mgi_tparse *q)
{
    while (*q->p == ' ' || *q->p == '\t')
        q->p++;
}

/* What stands at q->p is not what is expected. */
static mango_status tparse_wants(mgi_tparse *q, const char *what)
{
    char here[16] = "the end";
    if (*q->p)
        snprintf(here, sizeof here, "'%.10s'", q->p);
    return mgi_fail(q->err, MANGO_E_FORMAT, "target, column %d: %s stands where %s is expected",
                    tparse_column(q, q->p), here, what);
}

/* An error of another's, with the column where it came up. */
static mango_status tparse_why(mgi_tparse *q, const char *p, mango_status st,
                               const mango_err *why)
{
    return mgi_fail(q->err, st, "target, column %d: %s", tparse_column(q, p), why->text);
}

static mango_status tparse_deeper(mgi_tparse *q)
{
    if (q->depth++ < TPARSE_DEPTH)
        return MANGO_OK;
    return mgi_fail(q->err, MANGO_E_FORMAT,
                    "target, column %d: parentheses nested deeper than %d",
                    tparse_column(q, q->p), TPARSE_DEPTH);
}

static int tparse_take(mgi_tparse *q, char c)
{
    tparse_space(q);
    if (*q->p != c)
        return 0;
    q->p++;
    return 1;
}

static mango_status tparse_need(mgi_tparse *q, char c)
{
    const char what[4] = {'\'', c, '\'', 0};
    return tparse_take(q, c) ? MANGO_OK : tparse_wants(q, what);
}

static int tparse_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.';
}

/* Behind the word at p, quoted or not; p when there is none. */
static const char *tparse_end(const char *p)
{
    if (*p == '"' || *p == '\'') {
        const char *end = strchr(p + 1, *p);
        return end ? end + 1 : p;
    }
    while (tparse_letter(*p))
        p++;
    return p;
}

/* The word from p to end without its quotes. */
static mango_status tparse_word(mgi_tparse *q, const char *p, const char *end,
                                char word[TPARSE_WORD])
{
    const int quoted = *p == '"' || *p == '\'';
    const mango_idx n = (mango_idx)(end - p) - 2 * quoted;
    if (n < 1 || n >= TPARSE_WORD)
        return mgi_fail(q->err, MANGO_E_FORMAT,
                        "target, column %d: a name of 1 to %d bytes expected",
                        tparse_column(q, p), TPARSE_WORD - 1);
    memcpy(word, p + quoted, (size_t)n);
    word[n] = 0;
    return MANGO_OK;
}

/* The first byte behind p that is no blank. */
static char tparse_next(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return *p;
}

/* A whole number; a sign is read so that it can be said to be out of range. */
static mango_status tparse_int(mgi_tparse *q, const char *what, mango_idx *v)
{
    char word[32];
    int64_t i;
    tparse_space(q);
    const char *p = q->p;
    mango_idx n = *p == '-';
    while (p[n] >= '0' && p[n] <= '9')
        n++;
    if (n == (*p == '-'))
        return tparse_wants(q, what);
    snprintf(word, sizeof word, "%.*s", (int)MGI_MIN(n, 31), p);
    if (n > 31 || !mgi_parse_int(word, -((int64_t)1 << 31), ((int64_t)1 << 31) - 1, &i))
        return tparse_wants(q, what);
    *v = (mango_idx)i;
    q->p = p + n;
    return MANGO_OK;
}

/* ---- operations ----------------------------------------------------------- */

static int tparse_do(mgi_tparse *q, mgi_do what, int a, int b, double v)
{
    const mgi_doing one = {what, a, b, v};
    q->e->doing[q->e->n_doings] = one;
    return q->e->n_doings++;
}

static mango_status tparse_leaf(mgi_tparse *q, const char *p, const mgi_leaf *l, int *at)
{
    mango_err why = {""};
    q->e->leaf[q->e->n_leaves] = *l;
    mgi_leaf *own = q->e->leaf + q->e->n_leaves++;
    const mango_status st = mgi_leaf_layer(own, q->net, &why);
    if (st < 0)
        return tparse_why(q, p, st, &why);
    *at = tparse_do(q, MGI_DO_LEAF, q->e->n_leaves - 1, -1, 0.0);
    return MANGO_OK;
}

/* ---- leaves --------------------------------------------------------------- */

static mango_status tparse_range(mgi_tparse *q, mgi_leaf *l)
{
    const char *p = q->p;
    MGI_TRY(tparse_int(q, "a step", &l->from));
    tparse_space(q);
    if (strncmp(q->p, "..", 2) == 0)
        q->p += 2;
    else
        MGI_TRY(tparse_need(q, ','));
    MGI_TRY(tparse_int(q, "a step", &l->to));
    if (l->from < 0 || l->to < l->from)
        return mgi_fail(q->err, MANGO_E_FORMAT,
                        "target, column %d: steps %td..%td: 0 or more, rising, expected",
                        tparse_column(q, p), l->from, l->to);
    return MANGO_OK;
}

static mango_status tparse_window(mgi_tparse *q, mgi_leaf *l)
{
    if (!tparse_take(q, '['))
        return MANGO_OK;
    MGI_TRY(tparse_range(q, l));
    return tparse_need(q, ']');
}

/* The layer that a name means, "class" and "logit" among them. */
static mango_status tparse_layer(mgi_tparse *q, const char *p, const char *name, mgi_leaf *l)
{
    mango_err why = {""};
    const int is_class = strcmp(name, "class") == 0, is_logit = strcmp(name, "logit") == 0;
    if (mango_net_find(q->net, name, &l->layer, &why) >= 0)
        return MANGO_OK;
    if (!is_class && !is_logit)
        return tparse_why(q, p, MANGO_E_NAME, &why);
    mango_net_info info;
    MGI_TRY(mango_net_get(q->net, &info));
    l->layer = info.output;
    l->kind = is_class ? MGI_LEAF_SOFTMAX : MGI_LEAF_VALUE;
    return MANGO_OK;
}

/* LAYER ":" UNIT [":" Y ":" X] */
static mango_status tparse_unit(mgi_tparse *q, mgi_leaf *l, const char **from)
{
    char name[TPARSE_WORD];
    tparse_space(q);
    const char *p = *from = q->p, *end = tparse_end(p);
    if (end == p)
        return tparse_wants(q, "layer:unit");
    MGI_TRY(tparse_word(q, p, end, name));
    q->p = end;
    if (!tparse_take(q, ':'))
        return tparse_wants(q, "':' and a unit (layer:unit, layer:unit:y:x or class:k)");
    MGI_TRY(tparse_int(q, "the number of a unit", &l->unit));
    if (tparse_take(q, ':')) {
        MGI_TRY(tparse_int(q, "a row", &l->y));
        MGI_TRY(tparse_need(q, ':'));
        MGI_TRY(tparse_int(q, "a column", &l->x));
        if (l->y < 0 || l->x < 0)
            return mgi_fail(q->err, MANGO_E_NAME, "target, column %d: rows and columns from "
                            "0 expected, got %td and %td", tparse_column(q, p), l->y, l->x);
    }
    return tparse_layer(q, p, name, l);
}

/* Its numbers into the digest, least significant byte first. */
static void tparse_digest(mgi_tparse *q, const mgi_leaf *l)
{
    if (!q->hashed)
        mgi_sha256_init(&q->hash);
    q->hashed = 1;
    for (mango_idx i = 0; i < l->n_vector; i++) {
        uint32_t bits;
        memcpy(&bits, l->vector + i, sizeof bits);
        const unsigned char b[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                    (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        mgi_hash_add(&q->hash, b, 4);
    }
}

/* FILE: quoted, or up to its ".npy". */
static mango_status tparse_file(mgi_tparse *q, mgi_leaf *l)
{
    char path[TPARSE_WORD];
    mango_err why = {""};
    tparse_space(q);
    const char *p = q->p, *npy = strstr(p, ".npy");
    const int quoted = *p == '"' || *p == '\'';
    const char *end = quoted ? tparse_end(p) : npy ? npy + 4 : p;
    if (end == p)
        return tparse_wants(q, "a file, .npy or quoted");
    MGI_TRY(tparse_word(q, p, end, path));
    q->p = end;
    const mango_status st = mgi_leaf_vector(l, path, &q->e->al, &why);
    if (st < 0)
        return tparse_why(q, p, st, &why);
    tparse_digest(q, l);
    return MANGO_OK;
}

/* LAYER [window] "@" FILE */
static mango_status tparse_vector(mgi_tparse *q, int *at)
{
    char name[TPARSE_WORD];
    mgi_leaf l = {.over = MGI_OVER_VECTOR, .y = -1, .x = -1, .from = -1};
    tparse_space(q);
    const char *p = q->p, *end = tparse_end(p);
    MGI_TRY(tparse_word(q, p, end, name));
    MGI_TRY(tparse_layer(q, p, name, &l));
    l.kind = MGI_LEAF_VALUE;
    q->p = end;
    MGI_TRY(tparse_window(q, &l));
    MGI_TRY(tparse_need(q, '@'));
    MGI_TRY(tparse_leaf(q, p, &l, at));
    return tparse_file(q, q->e->leaf + q->e->n_leaves - 1);
}

/* Behind the window at p, if one begins there. */
static const char *tparse_behind(const char *p)
{
    const char *close = tparse_next(p) == '[' ? strchr(p, ']') : NULL;
    return close ? close + 1 : p;
}

/* unit [window], or a vector */
static mango_status tparse_reading(mgi_tparse *q, int *at)
{
    mgi_leaf l = {.over = MGI_OVER_UNIT, .y = -1, .x = -1, .from = -1};
    const char *p;
    if (tparse_next(tparse_behind(tparse_end(q->p))) == '@')
        return tparse_vector(q, at);
    MGI_TRY(tparse_unit(q, &l, &p));
    MGI_TRY(tparse_window(q, &l));
    return tparse_leaf(q, p, &l, at);
}

/* ---- functions ------------------------------------------------------------ */

/* All channels of a layer, where one alone stands at q->p as a part; else 0 in *is. */
static mango_status tparse_whole(mgi_tparse *q, mgi_leaf_over over, int *at, int *is)
{
    char name[TPARSE_WORD];
    double number;
    mgi_leaf l = {.over = over, .unit = -1, .y = -1, .x = -1, .from = -1};
    tparse_space(q);
    const char *p = q->p, *end = tparse_end(p);
    const char next = tparse_next(tparse_behind(end));
    *is = 0;
    if (end == p || (next != ',' && next != ')'))
        return MANGO_OK;
    MGI_TRY(tparse_word(q, p, end, name));
    if (mgi_parse_real(name, &number) && mango_net_find(q->net, name, &l.layer, NULL) < 0)
        return MANGO_OK;
    *is = 1;
    MGI_TRY(tparse_layer(q, p, name, &l));
    l.kind = MGI_LEAF_VALUE;
    q->p = end;
    MGI_TRY(tparse_window(q, &l));
    return tparse_leaf(q, p, &l, at);
}

/* (max|min|mean) "(" part {"," part} ")", behind its "(" */
static mango_status tparse_parts(mgi_tparse *q, mgi_leaf_over over, int *at)
{
    const mgi_do what = over == MGI_OVER_MAX   ? MGI_DO_MAX
                        : over == MGI_OVER_MIN ? MGI_DO_MIN
                                               : MGI_DO_ADD;
    int n = 0, one = 0, is;
    do {
        MGI_TRY(tparse_whole(q, over, &one, &is));
        if (!is)
            MGI_TRY(tparse_sum(q, &one));
        *at = n ? tparse_do(q, what, *at, one, 0.0) : one;
        n++;
    } while (tparse_take(q, ','));
    if (over == MGI_OVER_MEAN && n > 1)
        *at = tparse_do(q, MGI_DO_DIV, *at, tparse_do(q, MGI_DO_NUMBER, -1, -1, n), 0.0);
    return tparse_need(q, ')');
}

/* (latency|membrane|rate) "(" unit ..., behind its "(" */
static mango_status tparse_of_unit(mgi_tparse *q, mgi_leaf_kind kind, int window, int *at)
{
    mgi_leaf l = {.over = MGI_OVER_UNIT, .y = -1, .x = -1, .from = -1};
    const char *p;
    MGI_TRY(tparse_unit(q, &l, &p));
    if (l.kind == MGI_LEAF_SOFTMAX && kind != MGI_LEAF_VALUE)
        return tparse_wants(q, "the unit of a layer that spikes");
    l.kind = kind == MGI_LEAF_VALUE ? l.kind : kind;
    if (kind == MGI_LEAF_MEMBRANE)
        MGI_TRY(tparse_window(q, &l));
    if (window) {
        MGI_TRY(tparse_need(q, ','));
        MGI_TRY(tparse_range(q, &l));
    }
    MGI_TRY(tparse_leaf(q, p, &l, at));
    return tparse_need(q, ')');
}

static mango_status tparse_function(mgi_tparse *q, const char *name, int *at)
{
    const int f = mgi_word("max|min|mean|latency|membrane|rate", name);
    const char *p = q->p;
    q->p = strchr(q->p, '(') + 1;
    MGI_TRY(tparse_deeper(q));
    mango_status st = MANGO_OK;
    switch (f) {
    case 0: st = tparse_parts(q, MGI_OVER_MAX, at); break;
    case 1: st = tparse_parts(q, MGI_OVER_MIN, at); break;
    case 2: st = tparse_parts(q, MGI_OVER_MEAN, at); break;
    case 3: st = tparse_of_unit(q, MGI_LEAF_LATENCY, 0, at); break;
    case 4: st = tparse_of_unit(q, MGI_LEAF_MEMBRANE, 0, at); break;
    case 5: st = tparse_of_unit(q, MGI_LEAF_VALUE, 1, at); break;
    default:
        q->p = p;
        st = tparse_wants(q, "max, min, mean, latency, membrane or rate");
    }
    q->depth--;
    return st;
}

/* ---- numbers and operators ------------------------------------------------ */

/* Behind the digits at p. */
static const char *tparse_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Behind the number at p, "2", "0.5", "1e-3"; p when there is none. */
static const char *tparse_number(const char *p)
{
    const char *end = tparse_digits(p);
    if (*end == '.')
        end = tparse_digits(end + 1);
    if (end == p || (end == p + 1 && *p == '.'))
        return p;
    const char *power = end + (*end == 'e' || *end == 'E');
    if (power > end)
        power += *power == '+' || *power == '-';
    return power > end && tparse_digits(power) > power ? tparse_digits(power) : end;
}

static mango_status tparse_primary(mgi_tparse *q, int *at)
{
    char name[TPARSE_WORD];
    double v;
    tparse_space(q);
    const char *p = q->p, *end = tparse_end(p), *digits = tparse_number(p);
    const char next = tparse_next(end);
    if (end > p && next == '(' && *p != '"' && *p != '\'') {
        MGI_TRY(tparse_word(q, p, end, name));
        return tparse_function(q, name, at);
    }
    if (digits > p && !(end > p && (next == ':' || next == '@' || next == '['))) {
        if (!mgi_parse_real_n(p, (mango_idx)(digits - p), &v))
            return tparse_wants(q, "a number");
        q->p = digits;
        *at = tparse_do(q, MGI_DO_NUMBER, -1, -1, v);
        return MANGO_OK;
    }
    if (end > p)
        return tparse_reading(q, at);
    if (!tparse_take(q, '('))
        return tparse_wants(q, "layer:unit, a number, a function or '('");
    MGI_TRY(tparse_sum(q, at));
    return tparse_need(q, ')');
}

static mango_status tparse_factor(mgi_tparse *q, int *at)
{
    if (!tparse_take(q, '-'))
        return tparse_primary(q, at);
    const int zero = tparse_do(q, MGI_DO_NUMBER, -1, -1, 0.0);
    MGI_TRY(tparse_primary(q, at));
    *at = tparse_do(q, MGI_DO_SUB, zero, *at, 0.0);
    return MANGO_OK;
}

static mango_status tparse_product(mgi_tparse *q, int *at)
{
    int more;
    MGI_TRY(tparse_factor(q, at));
    for (;;) {
        const int times = tparse_take(q, '*');
        if (!times && !tparse_take(q, '/'))
            return MANGO_OK;
        MGI_TRY(tparse_factor(q, &more));
        *at = tparse_do(q, times ? MGI_DO_MUL : MGI_DO_DIV, *at, more, 0.0);
    }
}

static mango_status tparse_sum(mgi_tparse *q, int *at)
{
    int more;
    MGI_TRY(tparse_deeper(q));
    MGI_TRY(tparse_product(q, at));
    for (;;) {
        const int plus = tparse_take(q, '+');
        if (!plus && !tparse_take(q, '-'))
            break;
        MGI_TRY(tparse_product(q, &more));
        *at = tparse_do(q, plus ? MGI_DO_ADD : MGI_DO_SUB, *at, more, 0.0);
    }
    q->depth--;
    return MANGO_OK;
}

static mango_status tparse_all(mgi_tparse *q)
{
    int at;
    MGI_TRY(tparse_sum(q, &at));
    tparse_space(q);
    if (*q->p)
        return tparse_wants(q, "an operator or the end");
    if (q->e->n_leaves == 0)
        return mgi_fail(q->err, MANGO_E_FORMAT,
                        "target '%.80s': no unit in it, expected layer:unit", q->text);
    if (q->hashed)
        mgi_hash_end(&q->hash, q->e->vectors);
    const mango_idx n = (mango_idx)strlen(q->text) + 1;
    q->e->text = mgi_new(&q->e->al, n, 1);
    if (!q->e->text)
        return mgi_fail(q->err, MANGO_E_MEM, "target: out of memory");
    memcpy(q->e->text, q->text, (size_t)n);
    return MANGO_OK;
}

MGI_FN mango_status mgi_expression_parse(mgi_expression **e, const mango_net *net,
                                         const char *text, const mango_alloc *al,
                                         mango_err *err)
{
    mgi_tparse q;
    const size_t n = strlen(text);
    *e = NULL;
    if (n < 1 || n > TPARSE_TEXT)
        return mgi_fail(err, MANGO_E_FORMAT, "target '%.80s': 1 to %d bytes expected: "
                        "layer:unit, layer:unit:y:x, class:k or an expression of these",
                        text, TPARSE_TEXT);
    memset(&q, 0, sizeof q);
    q.text = q.p = text;
    q.net = net;
    q.err = err;
    q.e = mgi_expression_new(2 * (int)n + 8, al);
    if (!q.e)
        return mgi_fail(err, MANGO_E_MEM, "target: out of memory");
    const mango_status st = tparse_all(&q);
    if (st < 0)
        mgi_expression_free(q.e);
    else
        *e = q.e;
    return st;
}

#undef TPARSE_TEXT
#undef TPARSE_DEPTH
#undef TPARSE_WORD
