/* pickle.c - the opcodes: a stack machine over plain values (protocols 0 to 5,
 * as far as checkpoints use them). Nothing is imported, called or executed.
 * SPDX-License-Identifier: MIT */
#include "pickle.h"

MGI_FN void mgi_pickle_init(mgi_pickle *k, const char *what, const mango_alloc *al)
{
    memset(k, 0, sizeof *k);
    k->al = mgi_alloc_get(al);
    k->what = what;
}

MGI_FN void mgi_pickle_free(mgi_pickle *k)
{
    mgi_del(&k->al, k->v, k->cap_v, sizeof *k->v);
    mgi_del(&k->al, k->cell, k->cap_cell, sizeof *k->cell);
    mgi_del(&k->al, k->view, k->cap_view, sizeof *k->view);
    mgi_del(&k->al, k->memo, k->cap_memo, sizeof *k->memo);
    mgi_del(&k->al, k->stack, k->cap_stack, sizeof *k->stack);
    mgi_del(&k->al, k->mark, k->cap_mark, sizeof *k->mark);
    memset(k, 0, sizeof *k);
}

MGI_FN mango_status mgi_pickle_bad(mgi_pickle *k, mango_status st, const char *why)
{
    return mgi_fail(k->err, st, "%s: pickle, byte %ld: %s", k->what, (long)k->at, why);
}

/* Room for `need` elements in *(void **)array, doubled up to max. */
MGI_FN mango_status mgi_pickle_grow(mgi_pickle *k, void *array, mango_idx *cap,
                                    mango_idx need, mango_idx max, size_t size,
                                    const char *too_many)
{
    void *p;
    if (need <= *cap)
        return MANGO_OK;
    if (need > max)
        return mgi_pickle_bad(k, MANGO_E_LIMIT, too_many);
    mango_idx want = MGI_MIN(MGI_MAX(MGI_MAX(need, 2 * *cap), 64), max);
    memcpy(&p, array, sizeof p);
    p = mgi_resize(&k->al, p, *cap, want, size);
    if (!p)
        return mgi_pickle_bad(k, MANGO_E_MEM, "out of memory");
    memcpy(array, &p, sizeof p);
    *cap = want;
    return MANGO_OK;
}

MGI_FN mango_status mgi_pickle_new(mgi_pickle *k, mgi_pk_kind kind, int32_t *out)
{
    MGI_TRY(mgi_pickle_grow(k, &k->v, &k->cap_v, k->n_v + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->v, "too many values"));
    memset(&k->v[k->n_v], 0, sizeof *k->v);
    k->v[k->n_v].kind = kind;
    k->v[k->n_v].head = k->v[k->n_v].tail = -1;
    *out = (int32_t)k->n_v++;
    return MANGO_OK;
}

MGI_FN mango_status mgi_pickle_link(mgi_pickle *k, int32_t container, int32_t key,
                                    int32_t v)
{
    MGI_TRY(mgi_pickle_grow(k, &k->cell, &k->cap_cell, k->n_cell + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->cell, "too many items"));
    mgi_pk_cell *c = &k->cell[k->n_cell];
    mgi_pk_value *to = &k->v[container];
    c->k = key;
    c->v = v;
    c->next = -1;
    if (to->head < 0)
        to->head = (int32_t)k->n_cell;
    else
        k->cell[to->tail].next = (int32_t)k->n_cell;
    to->tail = (int32_t)k->n_cell++;
    to->n++;
    return MANGO_OK;
}

MGI_FN int mgi_pickle_is(const mgi_pickle *k, int32_t v, const char *z)
{
    return v >= 0 && k->v[v].kind == MGI_PK_STRING && k->v[v].n == (mango_idx)strlen(z) &&
           !memcmp(k->v[v].s, z, strlen(z));
}

MGI_FN int32_t mgi_pickle_get(const mgi_pickle *k, int32_t dict, const char *key)
{
    int32_t found = -1;
    if (dict < 0 || k->v[dict].kind != MGI_PK_DICT)
        return -1;
    for (int32_t c = k->v[dict].head; c >= 0; c = k->cell[c].next)
        if (mgi_pickle_is(k, k->cell[c].k, key))
            found = k->cell[c].v;
    return found;
}

MGI_FN int32_t mgi_pickle_item(const mgi_pickle *k, int32_t list, mango_idx i)
{
    if (list < 0 || (k->v[list].kind != MGI_PK_TUPLE && k->v[list].kind != MGI_PK_LIST))
        return -1;
    int32_t c = k->v[list].head;
    while (c >= 0 && i-- > 0)
        c = k->cell[c].next;
    return c >= 0 ? k->cell[c].v : -1;
}

/* ---- stack, memo, bytes ---- */

static mango_status pk_push(mgi_pickle *k, int32_t v)
{
    MGI_TRY(mgi_pickle_grow(k, &k->stack, &k->cap_stack, k->n_stack + 1, MGI_PK_STACK_MAX,
                            sizeof *k->stack, "stack too deep"));
    k->stack[k->n_stack++] = v;
    return MANGO_OK;
}

/* A pop may not reach below the topmost mark. */
static mango_status pk_pop(mgi_pickle *k, int32_t *v)
{
    if (k->n_stack <= (k->n_mark ? k->mark[k->n_mark - 1] : 0))
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "takes from an empty stack");
    *v = k->stack[--k->n_stack];
    return MANGO_OK;
}

static mango_status pk_push_new(mgi_pickle *k, mgi_pk_kind kind, int64_t i)
{
    int32_t v;
    MGI_TRY(mgi_pickle_new(k, kind, &v));
    k->v[v].i = i;
    return pk_push(k, v);
}

/* The next `n` bytes of the pickle; NULL when it ends before. */
static const unsigned char *pk_take(mgi_pickle *k, mango_idx n)
{
    if (n < 0 || n > k->n - k->at)
        return NULL;
    k->at += n;
    return k->p + k->at - n;
}

/* A line of text without its newline. */
static mango_status pk_line(mgi_pickle *k, const unsigned char **s, mango_idx *n)
{
    const unsigned char *from = k->p + k->at;
    const unsigned char *end =
        (const unsigned char *)memchr(from, '\n', (size_t)(k->n - k->at));
    if (!end)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends inside a line of text; truncated?");
    *s = from;
    *n = end - from;
    k->at += *n + 1;
    return MANGO_OK;
}

/* A length of 1, 4 or 8 bytes, then as many bytes: a string or bytes. */
static mango_status pk_counted(mgi_pickle *k, int width, mgi_pk_kind kind)
{
    int32_t v;
    const unsigned char *p = pk_take(k, width), *s;
    if (!p)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
    uint64_t n = width == 1 ? *p : width == 4 ? mgi_le32(p) : mgi_le64(p);
    if (n > (uint64_t)(k->n - k->at))
        return mgi_pickle_bad(k, MANGO_E_FORMAT,
                              "a string longer than what is left; truncated?");
    s = pk_take(k, (mango_idx)n);
    MGI_TRY(mgi_pickle_new(k, kind, &v));
    k->v[v].s = s;
    k->v[v].n = (mango_idx)n;
    return pk_push(k, v);
}

/* Two's complement of n little-endian bytes. */
static mango_status pk_long(mgi_pickle *k, int width)
{
    const unsigned char *p = pk_take(k, width), *s;
    uint64_t n = p ? width == 1 ? *p : mgi_le32(p) : 0, u = 0;
    if (!p || n > 256 || (s = pk_take(k, (mango_idx)n)) == NULL)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a number of over 256 bytes, or cut off");
    if (n > 8) {
        MGI_TRY(pk_push_new(k, MGI_PK_LONG, 0));
        k->v[k->n_v - 1].s = s;
        k->v[k->n_v - 1].n = (mango_idx)n;
        return MANGO_OK;
    }
    for (int b = 0; b < 8; b++) {
        uint64_t sign = n > 0 && (s[n - 1] & 0x80) ? 0xff : 0;
        u |= ((uint64_t)b < n ? (uint64_t)s[b] : sign) << (8 * b);
    }
    int64_t i;
    memcpy(&i, &u, sizeof i);
    return pk_push_new(k, MGI_PK_INT, i);
}

/* Decimal text: I, L, F. 01 and 00 are booleans. Floats are not needed. */
static mango_status pk_text_number(mgi_pickle *k, int op)
{
    const unsigned char *s = NULL;
    mango_idx n = 0;
    char z[32];
    int64_t i;
    MGI_TRY(pk_line(k, &s, &n));
    if (op == 'F')
        return pk_push_new(k, MGI_PK_FLOAT, 0);
    if (op == 'I' && n == 2 && s[0] == '0' && (s[1] == '0' || s[1] == '1'))
        return pk_push_new(k, MGI_PK_BOOL, s[1] - '0');
    if (op == 'L' && n > 0 && s[n - 1] == 'L')
        n--;
    if (n < 1 || n > 20)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "an unreadable number");
    memcpy(z, s, (size_t)n);
    z[n] = 0;
    if (!mgi_parse_int(z, INT64_MIN, INT64_MAX, &i))
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "an unreadable number");
    return pk_push_new(k, MGI_PK_INT, i);
}

/* ---- containers ---- */

/* Pop the topmost mark; *from is the first stack place above it. */
static mango_status pk_mark(mgi_pickle *k, mango_idx *from)
{
    if (k->n_mark < 1)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "no mark on the stack");
    *from = k->mark[--k->n_mark];
    return MANGO_OK;
}

/* A container of the stack from `from` on; pairs for dicts. */
static mango_status pk_collect(mgi_pickle *k, mgi_pk_kind kind, mango_idx from)
{
    int32_t v;
    MGI_TRY(mgi_pickle_new(k, kind, &v));
    if (kind == MGI_PK_DICT && (k->n_stack - from) % 2)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a key without a value");
    for (mango_idx i = from; i < k->n_stack; i += kind == MGI_PK_DICT ? 2 : 1)
        MGI_TRY(kind == MGI_PK_DICT ? mgi_pickle_link(k, v, k->stack[i], k->stack[i + 1])
                                    : mgi_pickle_link(k, v, -1, k->stack[i]));
    k->n_stack = from;
    return pk_push(k, v);
}

/* Add the stack from `from` on to the container below it. */
static mango_status pk_extend(mgi_pickle *k, mgi_pk_kind kind, mango_idx from)
{
    if (from < 1 || (k->n_mark && k->mark[k->n_mark - 1] >= from))
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "takes from an empty stack");
    const int32_t to = k->stack[from - 1];
    if (kind == MGI_PK_DICT && (k->n_stack - from) % 2)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a key without a value");
    if (k->v[to].kind != kind && k->v[to].kind != MGI_PK_OPAQUE)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "adds items to something that holds none");
    for (mango_idx i = from; i < k->n_stack && k->v[to].kind == kind;
         i += kind == MGI_PK_DICT ? 2 : 1)
        MGI_TRY(kind == MGI_PK_DICT ? mgi_pickle_link(k, to, k->stack[i], k->stack[i + 1])
                                    : mgi_pickle_link(k, to, -1, k->stack[i]));
    k->n_stack = from;
    return MANGO_OK;
}

/* ---- groups of opcodes; 1 means: not one of mine ---- */

static mango_status pk_op_number(mgi_pickle *k, int op)
{
    const unsigned char *p;
    switch (op) {
    case 'N': return pk_push_new(k, MGI_PK_NONE, 0);
    case 0x88:
    case 0x89: return pk_push_new(k, MGI_PK_BOOL, op == 0x88);
    case 'I':
    case 'L':
    case 'F': return pk_text_number(k, op);
    case 0x8a: return pk_long(k, 1);
    case 0x8b: return pk_long(k, 4);
    case 'G':
        return pk_take(k, 8) ? pk_push_new(k, MGI_PK_FLOAT, 0)
                             : mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
    case 'K':
    case 'M':
    case 'J':
        p = pk_take(k, op == 'K' ? 1 : op == 'M' ? 2 : 4);
        if (!p)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
        if (op == 'J') {
            int64_t i = (int64_t)mgi_le32(p);
            return pk_push_new(k, MGI_PK_INT,
                               i >= INT64_C(0x80000000) ? i - INT64_C(0x100000000) : i);
        }
        return pk_push_new(k, MGI_PK_INT, op == 'K' ? *p : (int64_t)mgi_le16(p));
    default: return (mango_status)1;
    }
}

static mango_status pk_op_string(mgi_pickle *k, int op)
{
    switch (op) {
    case 'X':
    case 'T': return pk_counted(k, 4, MGI_PK_STRING);
    case 0x8c:
    case 'U': return pk_counted(k, 1, MGI_PK_STRING);
    case 0x8d: return pk_counted(k, 8, MGI_PK_STRING);
    case 'B': return pk_counted(k, 4, MGI_PK_BYTES);
    case 'C': return pk_counted(k, 1, MGI_PK_BYTES);
    case 0x8e:
    case 0x96: return pk_counted(k, 8, MGI_PK_BYTES);
    default: return (mango_status)1;
    }
}

static mango_status pk_op_container(mgi_pickle *k, int op)
{
    mango_idx from = 0;
    if (op && strchr("tldeu1\x90\x91", op)) /* those that take all above a mark */
        MGI_TRY(pk_mark(k, &from));
    switch (op) {
    case '(':
        MGI_TRY(mgi_pickle_grow(k, &k->mark, &k->cap_mark, k->n_mark + 1, MGI_PK_DEPTH_MAX,
                                sizeof *k->mark, "nested too deep"));
        k->mark[k->n_mark++] = (int32_t)k->n_stack;
        return MANGO_OK;
    case ')': return pk_collect(k, MGI_PK_TUPLE, k->n_stack);
    case ']':
    case 0x8f: return pk_collect(k, MGI_PK_LIST, k->n_stack);
    case '}': return pk_collect(k, MGI_PK_DICT, k->n_stack);
    case 't': return pk_collect(k, MGI_PK_TUPLE, from);
    case 'l':
    case 0x91: return pk_collect(k, MGI_PK_LIST, from);
    case 'd': return pk_collect(k, MGI_PK_DICT, from);
    case 'e':
    case 0x90: return pk_extend(k, MGI_PK_LIST, from);
    case 'u': return pk_extend(k, MGI_PK_DICT, from);
    case '1': k->n_stack = from; return MANGO_OK;
    case 0x85:
    case 0x86:
    case 0x87:
    case 'a':
    case 's':
        from = k->n_stack - (op == 'a' ? 1 : op == 's' ? 2 : op - 0x84);
        if (from < (k->n_mark ? k->mark[k->n_mark - 1] : 0))
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "takes from an empty stack");
        return op > 0x80 ? pk_collect(k, MGI_PK_TUPLE, from)
                         : pk_extend(k, op == 'a' ? MGI_PK_LIST : MGI_PK_DICT, from);
    default: return (mango_status)1;
    }
}

/* A memo slot: the number in the opcode's argument. */
static mango_status pk_slot(mgi_pickle *k, int op, mango_idx *slot)
{
    const unsigned char *p;
    if (op == 'p' || op == 'g') {
        int32_t v = 0;
        MGI_TRY(pk_text_number(k, 'L'));
        MGI_TRY(pk_pop(k, &v));
        *slot = k->v[v].i < 0 || k->v[v].i >= MGI_PK_VALUES_MAX ? -1 : (mango_idx)k->v[v].i;
    } else {
        const int wide = op == 'r' || op == 'j';
        p = pk_take(k, wide ? 4 : 1);
        if (!p)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
        uint32_t u = wide ? mgi_le32(p) : *p;
        *slot = u < MGI_PK_VALUES_MAX ? (mango_idx)u : -1;
    }
    return *slot < 0 ? mgi_pickle_bad(k, MANGO_E_LIMIT, "memo slot out of range")
                     : MANGO_OK;
}

static mango_status pk_op_memo(mgi_pickle *k, int op)
{
    mango_idx slot = k->n_memo;
    int32_t v = 0;
    if (op == 'g' || op == 'h' || op == 'j') {
        MGI_TRY(pk_slot(k, op, &slot));
        if (slot >= k->n_memo || k->memo[slot] < 0)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "an empty memo slot");
        return pk_push(k, k->memo[slot]);
    }
    if (op == 'p' || op == 'q' || op == 'r') {
        MGI_TRY(pk_slot(k, op, &slot));
    } else if (op != 0x94) {
        return (mango_status)1;
    }
    MGI_TRY(pk_pop(k, &v));
    k->n_stack++; /* it stays where it was */
    MGI_TRY(mgi_pickle_grow(k, &k->memo, &k->cap_memo, slot + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->memo, "memo too large"));
    while (k->n_memo <= slot)
        k->memo[k->n_memo++] = -1;
    k->memo[slot] = v;
    return MANGO_OK;
}

/* An imported name, from two lines of text or two strings of the stack. */
static mango_status pk_import(mgi_pickle *k, int from_stack)
{
    const unsigned char *module = NULL, *name = NULL;
    mango_idx n_module = 0, n_name = 0;
    mgi_pk_name id = MGI_PK_OF_OPAQUE;
    int32_t a = 0, b = 0, dtype = -1, v;
    if (from_stack) {
        MGI_TRY(pk_pop(k, &b));
        MGI_TRY(pk_pop(k, &a));
        if (k->v[a].kind != MGI_PK_STRING || k->v[b].kind != MGI_PK_STRING)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "an import whose name is no string");
        module = k->v[a].s;
        n_module = k->v[a].n;
        name = k->v[b].s;
        n_name = k->v[b].n;
    } else {
        MGI_TRY(pk_line(k, &module, &n_module));
        MGI_TRY(pk_line(k, &name, &n_name));
    }
    MGI_TRY(mgi_pickle_name(k, module, n_module, name, n_name, &id, &dtype));
    MGI_TRY(mgi_pickle_new(k, MGI_PK_STRING, &a));
    MGI_TRY(mgi_pickle_new(k, MGI_PK_NAME, &v));
    k->v[a].s = module;
    k->v[a].n = n_module;
    k->v[v].s = name;
    k->v[v].n = n_name;
    k->v[v].i = (int64_t)id;
    k->v[v].what = dtype;
    k->v[v].tail = a;
    return pk_push(k, v);
}

static mango_status pk_op_object(mgi_pickle *k, int op)
{
    int32_t a = 0, f = 0, v = 0;
    switch (op) {
    case 'c': return pk_import(k, 0);
    case 0x93: return pk_import(k, 1);
    case 'R':
    case 0x81: /* call, or a new object: symbols both */
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(pk_pop(k, &f));
        MGI_TRY(mgi_pickle_call(k, f, a, &v));
        return pk_push(k, v);
    case 0x92: /* a new object with named arguments, which no symbol here has */
        MGI_TRY(pk_pop(k, &v));
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(pk_pop(k, &f));
        MGI_TRY(mgi_pickle_call(k, f, a, &v));
        return pk_push(k, v);
    case 'b':
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(pk_pop(k, &v));
        MGI_TRY(mgi_pickle_state(k, v, a));
        return pk_push(k, v);
    case 'Q':
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(mgi_pickle_storage(k, a, &v));
        return pk_push(k, v);
    case '0': /* POP takes a mark, too */
        if (k->n_mark && k->mark[k->n_mark - 1] == k->n_stack) {
            k->n_mark--;
            return MANGO_OK;
        }
        return pk_pop(k, &a);
    case '2':
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(pk_push(k, a));
        return pk_push(k, a);
    default: return (mango_status)1;
    }
}

/* PROTO, FRAME: framing only, checked and skipped. */
static mango_status pk_op_frame(mgi_pickle *k, int op)
{
    const unsigned char *p;
    if (op == 0x80) {
        p = pk_take(k, 1);
        return p && *p <= 5
                   ? MANGO_OK
                   : mgi_pickle_bad(k, MANGO_E_UNSUPPORTED, "protocol 0 to 5 expected");
    }
    if (op != 0x95)
        return (mango_status)1;
    p = pk_take(k, 8);
    return p && mgi_le64(p) <= (uint64_t)(k->n - k->at)
               ? MANGO_OK
               : mgi_pickle_bad(k, MANGO_E_FORMAT,
                                "a frame longer than what is left; truncated?");
}

/* Every group is asked in turn. */
static mango_status pk_step(mgi_pickle *k, int op)
{
    static mango_status (*const group[])(mgi_pickle *, int) = {
        pk_op_memo, pk_op_number, pk_op_string, pk_op_container, pk_op_object, pk_op_frame};
    for (mango_idx g = 0; g < MGI_COUNT(group); g++) {
        mango_status st = group[g](k, op);
        if (st != 1)
            return st;
    }
    k->at--;
    return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                    "%s: pickle, byte %ld: opcode 0x%02x is none that a checkpoint needs; "
                    "nothing is run",
                    k->what, (long)k->at, (unsigned)op);
}

MGI_FN mango_status mgi_pickle_run(mgi_pickle *k, const unsigned char *p, mango_idx n,
                                   int32_t *root, mango_idx *used, mango_err *err)
{
    k->p = p;
    k->n = n;
    k->at = 0;
    k->err = err;
    k->n_stack = k->n_mark = k->n_memo = 0;
    while (k->at < n && k->at < MGI_PK_BYTES_MAX) {
        int op = p[k->at++];
        if (op != '.') {
            MGI_TRY(pk_step(k, op));
            continue;
        }
        MGI_TRY(pk_pop(k, root));
        if (k->n_stack || k->n_mark)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends with values left over");
        *used = k->at;
        return MANGO_OK;
    }
    return k->at < n ? mgi_pickle_bad(k, MANGO_E_LIMIT, "a pickle of over 64 MiB")
                     : mgi_pickle_bad(k, MANGO_E_FORMAT, "ends without STOP; truncated?");
}
