/* text.c - growing strings, strict numbers, name lists.
 * SPDX-License-Identifier: MIT */
#include "text.h"
#include <stdio.h>
#include <stdlib.h>

#define TEXT_NUMBER 400 /* longest number, in bytes */
#define TEXT_NAME 128   /* names are compared up to here */
#define TEXT_NEAR 4

/* ---- growing strings ---- */
void mgi_str_init(mgi_str *s, const mango_alloc *al)
{
    memset(s, 0, sizeof *s);
    s->al = mgi_alloc_get(al);
}

void mgi_str_free(mgi_str *s)
{
    mgi_del(&s->al, s->p, s->cap, 1);
    s->p = NULL;
    s->n = s->cap = 0;
    s->bad = 0;
}

mango_idx mgi_str_out(mgi_str *s, mango_status st, char *out, mango_idx cap)
{
    mango_idx n = st < 0 || s->bad ? -1 : s->n;
    if (cap > 0)
        out[0] = 0;
    if (cap > 0 && n > 0)
        mgi_copy(out, cap, s->p);
    mgi_str_free(s);
    return n;
}

/* Room for n more bytes and the NUL. */
static int text_room(mgi_str *s, mango_idx n)
{
    mango_idx need, cap;
    if (s->bad || !mgi_add(s->n, n, &need) || !mgi_add(need, 1, &need)) {
        s->bad = 1;
        return 0;
    }
    if (need <= s->cap)
        return 1;
    if (!mgi_mul(s->cap, 2, &cap)) /* doubling, but the first request is met exactly */
        cap = need;
    cap = MGI_MAX(MGI_MAX(cap, need), 64);
    char *p = mgi_resize(&s->al, s->p, s->cap, cap, 1);
    if (!p) {
        s->bad = 1;
        return 0;
    }
    s->p = p;
    s->cap = cap;
    return 1;
}

void mgi_str_put(mgi_str *s, const char *bytes, mango_idx n)
{
    if (!text_room(s, n))
        return;
    if (n > 0)
        memcpy(s->p + s->n, bytes, (size_t)n);
    s->n += n;
    s->p[s->n] = '\0';
}

void mgi_str_puts(mgi_str *s, const char *z)
{
    mgi_str_put(s, z, (mango_idx)strlen(z));
}

void mgi_str_printf(mgi_str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        s->bad = 1;
    if (n < 0 || !text_room(s, n))
        return;
    va_start(ap, fmt);
    vsnprintf(s->p + s->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->n += n;
}

/* What the C library prints between integer and fraction, in this locale. */
static void text_point(char point[8])
{
    char probe[16];
    const int n = snprintf(probe, sizeof probe, "%.1f", 0.5); /* "0" point "5" */
    const int k = n > 2 && n < 9 ? n - 2 : 0;
    memcpy(point, probe + 1, (size_t)k);
    point[k] = '\0';
}

/* v with `digits` significant digits and '.'; out holds 64 bytes. */
static void text_digits(double v, int digits, char *out)
{
    char raw[64];
    int k = 0;
    snprintf(raw, sizeof raw, "%.*g", digits, v);
    for (const char *c = raw; *c; c++) {
        const int plain = (*c >= '0' && *c <= '9') || strchr("+-e", *c) != NULL;
        if (plain)
            out[k++] = *c;
        else if (k > 0 && out[k - 1] != '.')
            out[k++] = '.';
    }
    out[k] = '\0';
}

static void text_shortest(mgi_str *s, double v, int first, int last, int as_float)
{
    char z[64];
    double back = 0.0;
    if (!mgi_is_finite(v)) {
        mgi_str_puts(s, "null");
        return;
    }
    if (v < 1e-290 && v > -1e-290)
        first = 1; /* subnormals hold fewer digits */
    for (int digits = first; digits <= last; digits++) {
        text_digits(v, digits, z);
        if (mgi_parse_real(z, &back) && (as_float ? (float)back == (float)v : back == v))
            break;
    }
    mgi_str_puts(s, z);
}

void mgi_str_float(mgi_str *s, double v)
{
    text_shortest(s, v, 15, 17, 0); /* %g drops trailing zeros: 0.1 stays 0.1 */
}

void mgi_str_f32(mgi_str *s, float v)
{
    text_shortest(s, (double)v, 6, 9, 1);
}

/* ---- lists of words ---- */
int mgi_word(const char *words, const char *z)
{
    const size_t n = strlen(z);
    for (int i = 0; words; i++) {
        const size_t len = strcspn(words, "|");
        if (len == n && memcmp(words, z, n) == 0)
            return i;
        words = words[len] ? words + len + 1 : NULL;
    }
    return -1;
}

void mgi_str_word(mgi_str *s, const char *words, int i)
{
    for (; i > 0; i--)
        words += strcspn(words, "|") + 1;
    mgi_str_put(s, words, (mango_idx)strcspn(words, "|"));
}

/* ---- strict numbers ---- */
static int text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int mgi_parse_int(const char *z, int64_t lo, int64_t hi, int64_t *v)
{
    const int minus = *z == '-';
    uint64_t u = 0;
    const uint64_t most = minus ? (uint64_t)1 << 63 : (uint64_t)INT64_MAX;
    z += minus;
    if (!*z)
        return 0;
    for (; *z; z++) {
        if (!text_is_digit(*z))
            return 0;
        const uint64_t d = (uint64_t)(*z - '0');
        if (u > (most - d) / 10)
            return 0;
        u = u * 10 + d;
    }
    const int64_t x = !minus ? (int64_t)u : u == most ? INT64_MIN : -(int64_t)u;
    if (x < lo || x > hi)
        return 0;
    *v = x;
    return 1;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the exponent;
 * *point: where the '.' is, or -1. */
static int text_is_real(const char *p, mango_idx n, mango_idx *point)
{
    mango_idx i = n > 0 && (p[0] == '+' || p[0] == '-'), digits = 0, k = 0;
    *point = -1;
    for (; i < n && text_is_digit(p[i]); i++)
        digits++;
    if (i < n && p[i] == '.')
        for (*point = i++; i < n && text_is_digit(p[i]); i++)
            digits++;
    if (digits == 0)
        return 0;
    if (i == n)
        return 1;
    if (p[i] != 'e' && p[i] != 'E')
        return 0;
    i++;
    i += i < n && (p[i] == '+' || p[i] == '-');
    for (; i < n && text_is_digit(p[i]); i++)
        k++;
    return i == n && k > 0;
}

int mgi_parse_real_n(const char *p, mango_idx n, double *v)
{
    char z[TEXT_NUMBER + 16], point[8];
    mango_idx at, k = 0;
    if (n > TEXT_NUMBER || !text_is_real(p, n, &at))
        return 0;
    text_point(point);
    for (mango_idx i = 0; i < n; i++) {
        if (i == at)
            for (const char *c = point; *c; c++)
                z[k++] = *c;
        else
            z[k++] = p[i];
    }
    z[k] = '\0';
    const double x = strtod(z, NULL);
    if (!mgi_is_finite(x))
        return 0;
    *v = x;
    return 1;
}

int mgi_parse_real(const char *z, double *v)
{
    return mgi_parse_real_n(z, (mango_idx)strlen(z), v);
}

/* ---- names ---- */
/* One [...] at p against c: *ok tells; returns what follows the ']', or NULL
 * when there is none (then '[' is an ordinary byte). */
static const char *text_class(const char *p, char c, int *ok)
{
    const int inverse = p[1] == '!' || p[1] == '^';
    const char *q = p + 1 + inverse;
    int in = 0;
    for (const char *first = q; *q && (*q != ']' || q == first); q++) {
        if (q[1] == '-' && q[2] && q[2] != ']') {
            in |= q[0] <= c && c <= q[2];
            q += 2;
        } else {
            in |= *q == c;
        }
    }
    *ok = in != inverse;
    return *q ? q + 1 : NULL;
}

int mgi_glob(const char *pattern, const char *name)
{
    const char *p = pattern, *z = name, *star = NULL, *mark = name;
    while (*z) {
        int ok = *p == *z || *p == '?';
        const char *next = p + 1;
        if (*p == '*') {
            star = p++;
            mark = z;
            continue;
        }
        if (*p == '[') {
            const char *after = text_class(p, *z, &ok);
            next = after ? after : p + 1;
            ok = after ? ok : *z == '[';
        }
        if (*p && ok) {
            p = next;
            z++;
        } else if (star) { /* let the last star take one byte more */
            p = star + 1;
            z = ++mark;
        } else {
            return 0;
        }
    }
    while (*p == '*')
        p++;
    return *p == '\0';
}

static int text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Levenshtein distance of the first TEXT_NAME bytes, case ignored. */
static int text_distance(const char *a, const char *b)
{
    int row[TEXT_NAME + 1];
    int nb = 0;
    while (nb < TEXT_NAME && b[nb])
        nb++;
    for (int j = 0; j <= nb; j++)
        row[j] = j;
    for (int i = 0; i < TEXT_NAME && a[i]; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 0; j < nb; j++) {
            const int swap = diagonal + (text_lower(a[i]) != text_lower(b[j]));
            const int gap = MGI_MIN(row[j], row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = MGI_MIN(swap, gap);
        }
    }
    return row[nb];
}

void mgi_near(const char *name, mango_idx n, const char *const *names, char *out, mango_idx cap)
{
    mango_idx best[TEXT_NEAR], found = 0, k = 0;
    int dist[TEXT_NEAR];
    for (mango_idx i = 0; i < n; i++) {
        const int d = text_distance(name, names[i]);
        mango_idx at = found;
        while (at > 0 && dist[at - 1] > d)
            at--;
        if (at == TEXT_NEAR)
            continue;
        found = MGI_MIN(found + 1, TEXT_NEAR);
        for (mango_idx j = found - 1; j > at; j--) {
            best[j] = best[j - 1];
            dist[j] = dist[j - 1];
        }
        best[at] = i;
        dist[at] = d;
    }
    if (cap > 0)
        out[0] = '\0';
    for (mango_idx i = 0; i < found && k < cap; i++) {
        if (i > 0 && !mgi_copy(out + k, cap - k, ", "))
            return;
        k += i > 0 ? 2 : 0;
        if (!mgi_copy(out + k, cap - k, names[best[i]]))
            return;
        k += (mango_idx)strlen(names[best[i]]);
    }
}

MGI_FN int mgi_utf8(const unsigned char *p, mango_idx n)
{
    const unsigned c = p[0];
    const int len = c < 0x80   ? 1
                    : c < 0xc2 ? 0
                    : c < 0xe0 ? 2
                    : c < 0xf0 ? 3
                    : c < 0xf5 ? 4
                               : 0;
    if (len > n)
        return 0;
    for (int i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || /* overlong, surrogate */
        (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))   /* overlong, > 10FFFF */
        return 0;
    return len;
}

MGI_FN int mgi_utf8_shown(const unsigned char *p, mango_idx n)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
                  {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
                  {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
    static const uint32_t lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const int len = n > 0 ? mgi_utf8(p, n) : 0;
    uint32_t code = p[0] & lead[len];
    for (int i = 1; i < len; i++)
        code = code << 6 | (p[i] & 0x3f);
    for (mango_idx i = 0; i < MGI_COUNT(hidden); i++)
        if (code >= hidden[i].first && code <= hidden[i].last)
            return 0;
    return len;
}

#undef TEXT_NUMBER
#undef TEXT_NAME
#undef TEXT_NEAR
