/* json.c - a strict, bounded JSON reader (RFC 8259).
 * Recursive descent to depth 32 over an owned copy of the text, in which
 * strings are unescaped in place; duplicate keys are found by sorting an object's keys.
 * SPDX-License-Identifier: MIT */
#include "json.h"

#define JSON_DEPTH 32

typedef struct json_parser {
    mgi_json *j;
    char *p;              /* the text */
    mango_idx at, n;      /* position, length */
    mango_idx *keys;      /* (cap) children of the object that is checked */
    mango_idx cap;
    mango_err *err;
} json_parser;

static mango_status json_value(json_parser *s, int depth, mango_idx parent, const char *key,
                               mango_idx *index);

static mango_status json_fail(json_parser *s, const char *expected)
{
    return mgi_fail(s->err, MANGO_E_FORMAT, "JSON, byte %lld: expected %s", (long long)s->at,
                    expected);
}

static void json_space(json_parser *s)
{
    while (s->at < s->n && s->p[s->at] != '\0' && strchr(" \t\n\r", s->p[s->at]))
        s->at++;
}

/* The next byte, or -1 at the end. */
static int json_peek(const json_parser *s)
{
    return s->at < s->n ? (unsigned char)s->p[s->at] : -1;
}

static int json_accept(json_parser *s, int c)
{
    if (json_peek(s) != c)
        return 0;
    s->at++;
    return 1;
}

/* A new value; grows by doubling. */
static mango_status json_push(json_parser *s, mango_idx parent, const char *key,
                              mango_idx *index)
{
    mgi_json *j = s->j;
    if (j->n == j->cap) {
        const mango_idx cap = j->cap > 0 ? 2 * j->cap : 16; /* cap <= 2 bytes of text */
        mgi_json_value *v = mgi_resize(&j->al, j->v, j->cap, cap, sizeof *v);
        if (!v)
            return mgi_fail(s->err, MANGO_E_MEM, "JSON: out of memory");
        j->v = v;
        j->cap = cap;
    }
    mgi_json_value *v = &j->v[j->n];
    memset(v, 0, sizeof *v);
    v->key = key;
    v->child = v->next = -1;
    v->parent = parent;
    *index = j->n++;
    return MANGO_OK;
}

/* ---- keys: an object's are sorted, so that no choice of keys makes this slow ---- */
/* By name, then by place. */
static int json_key_after(const json_parser *s, mango_idx a, mango_idx b)
{
    const int c = strcmp(s->j->v[a].key, s->j->v[b].key);
    return c > 0 || (c == 0 && a > b);
}

/* Value `at` of the heap sinks to its place among the first n. */
static void json_sink(const json_parser *s, mango_idx at, mango_idx n)
{
    mango_idx *v = s->keys;
    for (mango_idx child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && json_key_after(s, v[child + 1], v[child]))
            child++;
        if (!json_key_after(s, v[child], v[at]))
            return;
        const mango_idx up = v[child];
        v[child] = v[at];
        v[at] = up;
        at = child;
    }
}

static void json_heapsort(const json_parser *s, mango_idx n)
{
    for (mango_idx i = n / 2 - 1; i >= 0; i--)
        json_sink(s, i, n);
    for (mango_idx i = n - 1; i > 0; i--) {
        const mango_idx last = s->keys[i];
        s->keys[i] = s->keys[0];
        s->keys[0] = last;
        json_sink(s, 0, i);
    }
}

/* Refuses object `self` when one of its keys is there twice: names the first. */
static mango_status json_unique(json_parser *s, mango_idx self)
{
    const mgi_json *j = s->j;
    const mango_idx n = j->v[self].n;
    mango_idx k = 0, twice = -1;
    if (n > s->cap) {
        mgi_del(&j->al, s->keys, s->cap, sizeof *s->keys);
        s->cap = 2 * n;
        s->keys = mgi_new(&j->al, s->cap, sizeof *s->keys);
        if (!s->keys) {
            s->cap = 0;
            return mgi_fail(s->err, MANGO_E_MEM, "JSON: out of memory");
        }
    }
    for (mango_idx i = j->v[self].child; i >= 0; i = j->v[i].next)
        s->keys[k++] = i;
    json_heapsort(s, n);
    for (mango_idx i = 1; i < n; i++)
        if (!strcmp(j->v[s->keys[i - 1]].key, j->v[s->keys[i]].key) &&
            (twice < 0 || s->keys[i] < twice))
            twice = s->keys[i];
    if (twice < 0)
        return MANGO_OK;
    return mgi_fail(s->err, MANGO_E_FORMAT, "JSON, byte %lld: key \"%.80s\" appears twice",
                    (long long)(j->v[twice].key - s->p), j->v[twice].key);
}

/* ---- strings ---- */
/* Four hex digits; -1 when they are not. */
static long json_hex4(json_parser *s)
{
    long u = 0;
    for (int i = 0; i < 4; i++) {
        static const char hex[] = "0123456789abcdefABCDEF";
        const int c = json_peek(s);
        const char *at = c > 0 ? strchr(hex, c) : NULL;
        if (!at)
            return -1;
        u = u * 16 + (long)(at - hex < 16 ? at - hex : at - hex - 6);
        s->at++;
    }
    return u;
}

/* \uXXXX, surrogate pairs joined, as UTF-8 at out; returns bytes, 0: invalid. */
static int json_unicode(json_parser *s, char *out)
{
    long u = json_hex4(s);
    if (u >= 0xd800 && u < 0xdc00) {
        if (!json_accept(s, '\\') || !json_accept(s, 'u'))
            return 0;
        const long low = json_hex4(s);
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    } else if (u < 0 || (u >= 0xdc00 && u < 0xe000)) {
        return 0;
    }
    const int len = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (u & 0x3f));
        u >>= 6;
    }
    out[0] = (char)(lead[len] | u);
    return len;
}

/* The escape after a backslash, into out; bytes written, 0: invalid. */
static int json_escape(json_parser *s, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const int c = json_peek(s);
    if (json_accept(s, 'u'))
        return json_unicode(s, out);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    if (!at)
        return 0;
    s->at++;
    *out = to[at - from];
    return 1;
}

/* A string with s->at on its opening quote. Unescaped text is never longer
 * than the escaped, so it replaces it in place and ends before the quote. */
static mango_status json_string(json_parser *s, const char **str, mango_idx *n)
{
    if (!json_accept(s, '"'))
        return json_fail(s, "a string");
    char *start = s->p + s->at, *out = start;
    for (;;) {
        const int c = json_peek(s);
        if (c < 0)
            return json_fail(s, "the end of a string");
        if (c < 32)
            return json_fail(s, "no raw control byte in a string");
        int len;
        if (c == '"') {
            s->at++;
            break;
        } else if (c == '\\') {
            s->at++;
            len = json_escape(s, out);
            if (len == 0)
                return json_fail(s, "a valid escape");
        } else {
            len = mgi_utf8((const unsigned char *)s->p + s->at, s->n - s->at);
            if (len == 0)
                return json_fail(s, "valid UTF-8");
            memmove(out, s->p + s->at, (size_t)len);
            s->at += len;
        }
        out += len;
    }
    *out = '\0';
    *str = start;
    *n = out - start;
    return MANGO_OK;
}

/* ---- numbers ---- */
static mango_idx json_digits(json_parser *s)
{
    const mango_idx from = s->at;
    while (json_peek(s) >= '0' && json_peek(s) <= '9')
        s->at++;
    return s->at - from;
}

static mango_status json_number(json_parser *s, mgi_json_value *v)
{
    const mango_idx from = s->at;
    int whole = 1;
    json_accept(s, '-');
    if (!json_accept(s, '0') && json_digits(s) == 0)
        return json_fail(s, "a value");
    if (json_accept(s, '.')) {
        whole = 0;
        if (json_digits(s) == 0)
            return json_fail(s, "a digit after the point");
    }
    if (json_accept(s, 'e') || json_accept(s, 'E')) {
        whole = 0;
        if (!json_accept(s, '-'))
            json_accept(s, '+');
        if (json_digits(s) == 0)
            return json_fail(s, "a digit in the exponent");
    }
    v->kind = MGI_JSON_NUMBER;
    if (!mgi_parse_real_n(s->p + from, s->at - from, &v->d))
        return json_fail(s, "a number within the range of double, in 400 bytes");
    char z[24];
    const mango_idx n = s->at - from;
    if (whole && n < MGI_COUNT(z)) {
        memcpy(z, s->p + from, (size_t)n);
        z[n] = '\0';
        v->is_int = mgi_parse_int(z, INT64_MIN, INT64_MAX, &v->i);
    }
    return MANGO_OK;
}

/* ---- structure ---- */
/* Members of the array or object `self`, after its opening bracket. */
static mango_status json_members(json_parser *s, int depth, mango_idx self, int object)
{
    const int close = object ? '}' : ']';
    mango_idx last = -1, child, n = 0;
    json_space(s);
    while (n > 0 || !json_accept(s, close)) {
        const char *key = NULL;
        mango_idx key_size;
        json_space(s);
        if (object) {
            MGI_TRY(json_string(s, &key, &key_size));
            if (strlen(key) != (size_t)key_size)
                return json_fail(s, "a key without a NUL byte");
            json_space(s);
            if (!json_accept(s, ':'))
                return json_fail(s, "':'");
        }
        MGI_TRY(json_value(s, depth + 1, self, key, &child));
        *(last < 0 ? &s->j->v[self].child : &s->j->v[last].next) = child;
        last = child;
        s->j->v[self].n = ++n;
        json_space(s);
        if (json_accept(s, close))
            break;
        if (!json_accept(s, ','))
            return json_fail(s, object ? "',' or '}'" : "',' or ']'");
    }
    return object ? json_unique(s, self) : MANGO_OK;
}

static int json_word(json_parser *s, const char *word)
{
    const mango_idx n = (mango_idx)strlen(word);
    if (s->n - s->at < n || memcmp(s->p + s->at, word, (size_t)n) != 0)
        return 0;
    s->at += n;
    return 1;
}

static mango_status json_value(json_parser *s, int depth, mango_idx parent, const char *key,
                               mango_idx *index)
{
    json_space(s);
    MGI_TRY(json_push(s, parent, key, index));
    mgi_json_value *v = &s->j->v[*index];
    const int c = json_peek(s);
    if (c == '{' || c == '[') {
        if (depth > JSON_DEPTH)
            return mgi_fail(s->err, MANGO_E_LIMIT, "JSON, byte %lld: nested deeper than %d",
                            (long long)s->at, JSON_DEPTH);
        v->kind = c == '{' ? MGI_JSON_OBJECT : MGI_JSON_ARRAY;
        s->at++;
        return json_members(s, depth, *index, c == '{');
    }
    if (c == '"') {
        v->kind = MGI_JSON_STRING;
        return json_string(s, &v->str, &v->n);
    }
    if (json_word(s, "null"))
        v->kind = MGI_JSON_NULL;
    else if (json_word(s, "true"))
        v->kind = MGI_JSON_TRUE;
    else if (json_word(s, "false"))
        v->kind = MGI_JSON_FALSE;
    else
        return json_number(s, v);
    return MANGO_OK;
}

mango_status mgi_json_parse(mgi_json *j, const char *bytes, mango_idx n, const mango_alloc *al,
                            mango_err *err)
{
    json_parser s;
    mango_idx root, size;
    memset(j, 0, sizeof *j);
    j->al = mgi_alloc_get(al);
    if (!mgi_add(n, 1, &size))
        return MANGO_E_ARG;
    j->text = mgi_new(&j->al, size, 1);
    if (!j->text)
        return mgi_fail(err, MANGO_E_MEM, "JSON: out of memory");
    j->text_size = size;
    if (n > 0)
        memcpy(j->text, bytes, (size_t)n);
    memset(&s, 0, sizeof s);
    s.j = j;
    s.p = j->text;
    s.n = n;
    s.err = err;
    mango_status st = json_value(&s, 1, -1, NULL, &root);
    json_space(&s);
    if (st == MANGO_OK && s.at < s.n)
        st = json_fail(&s, "nothing after the value");
    mgi_del(&j->al, s.keys, s.cap, sizeof *s.keys);
    if (st < 0)
        mgi_json_free(j);
    return st;
}

void mgi_json_free(mgi_json *j)
{
    mgi_del(&j->al, j->v, j->cap, sizeof *j->v);
    mgi_del(&j->al, j->text, j->text_size, 1);
    j->v = NULL;
    j->text = NULL;
    j->n = j->cap = j->text_size = 0;
}

const mgi_json_value *mgi_json_get(const mgi_json *j, const mgi_json_value *obj,
                                   const char *key)
{
    if (!obj || obj->kind != MGI_JSON_OBJECT)
        return NULL;
    for (mango_idx i = obj->child; i >= 0; i = j->v[i].next)
        if (strcmp(j->v[i].key, key) == 0)
            return &j->v[i];
    return NULL;
}

const mgi_json_value *mgi_json_at(const mgi_json *j, const mgi_json_value *arr, mango_idx i)
{
    if (!arr || (arr->kind != MGI_JSON_ARRAY && arr->kind != MGI_JSON_OBJECT) || i < 0)
        return NULL;
    mango_idx k = arr->child;
    while (k >= 0 && i-- > 0)
        k = j->v[k].next;
    return k >= 0 ? &j->v[k] : NULL;
}

/* A character by its number, beyond 16 bits as a pair. */
static void json_code(mgi_str *s, const unsigned char *p, int len)
{
    uint32_t c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
    for (int i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3f);
    if (c >= 0x10000) {
        mgi_str_printf(s, "\\u%04lx", (unsigned long)(0xd7c0 + (c >> 10)));
        c = 0xdc00 + (c & 0x3ff);
    }
    mgi_str_printf(s, "\\u%04lx", (unsigned long)c);
}

void mgi_json_quote(mgi_str *s, const char *bytes, mango_idx n)
{
    mgi_str_puts(s, "\"");
    for (mango_idx i = 0; i < n;) {
        const unsigned char c = (unsigned char)bytes[i];
        const int len = mgi_utf8((const unsigned char *)bytes + i, n - i);
        if (c == '"' || c == '\\')
            mgi_str_printf(s, "\\%c", c);
        else if (c == '\n')
            mgi_str_puts(s, "\\n");
        else if (c == '\t')
            mgi_str_puts(s, "\\t");
        else if (len == 0)
            mgi_str_puts(s, "\\ufffd"); /* not UTF-8: the replacement character */
        else if (mgi_utf8_shown((const unsigned char *)bytes + i, len) == 0)
            json_code(s, (const unsigned char *)bytes + i, len);
        else
            mgi_str_put(s, bytes + i, len);
        i += len > 0 ? len : 1;
    }
    mgi_str_puts(s, "\"");
}

#undef JSON_DEPTH
