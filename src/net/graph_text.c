/* graph_text.c - the text form of a network: writer and strict parser.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

#define TEXT_LINE 8192 /* bytes of a line; 64 inputs of 95 bytes fit */

/* ---- writing --------------------------------------------------------------- */

static int text_unset(const float *v, float unset)
{
    return v[0] == unset && v[1] == unset && v[2] == unset;
}

static void text_three(mgi_str *s, const char *key, const float *v)
{
    for (int c = 0; c < 3; c++) {
        mgi_str_printf(s, c ? "," : " %s=", key);
        mgi_str_f32(s, v[c]);
    }
}

static void text_write_net(const mango_net *n, mgi_str *s)
{
    mgi_str_puts(s, "mango-graph 1\nnet");
    if (n->arch[0])
        mgi_str_printf(s, " arch=%s", n->arch);
    if (n->T > 1)
        mgi_str_printf(s, " T=%td", n->T);
    if (!text_unset(n->mean, 0) || !text_unset(n->std, 1)) {
        text_three(s, "mean", n->mean);
        text_three(s, "std", n->std);
    }
    if (n->out_scale != 1 || n->out_shift != 0) {
        mgi_str_puts(s, " out_scale=");
        mgi_str_f32(s, n->out_scale);
        mgi_str_puts(s, " out_shift=");
        mgi_str_f32(s, n->out_shift);
    }
    mgi_str_puts(s, "\n");
}

MGI_FN mango_status mgi_graph_write(const mango_net *n, mgi_str *s)
{
    text_write_net(n, s);
    for (int i = 0; i < n->n_nodes; i++) {
        const mgi_node *q = &n->node[i];
        mgi_str_printf(s, "%s %s ", q->name, mgi_kind_name(q->kind));
        for (int k = 0; k < q->n_in; k++)
            mgi_str_printf(s, "%s%s", k ? "," : "", n->node[q->in[k]].name);
        if (q->n_in == 0)
            mgi_str_puts(s, "-");
        mgi_node_write_attrs(q, s);
        mgi_str_puts(s, "\n");
    }
    return s->bad ? MANGO_E_MEM : MANGO_OK;
}

/* ---- reading --------------------------------------------------------------- */

/* Cuts the next word off *z; NULL at the end of the line. */
static char *text_word(char **z)
{
    char *w = *z + strspn(*z, " \t");
    if (!*w)
        return NULL;
    char *end = w + strcspn(w, " \t");
    *z = *end ? end + 1 : end;
    *end = 0;
    return w;
}

/* One or three comma-separated numbers; one stands for all. */
static int text_read_three(char *z, float *v, double lo)
{
    for (int c = 0; c < 3; c++) {
        double d;
        char *comma = strchr(z, ',');
        if (comma)
            *comma = 0;
        if (!mgi_parse_real(z, &d) || !(d >= lo && d <= 1e30))
            return 0;
        v[c] = (float)d;
        if (!comma) {
            if (c == 0)
                v[1] = v[2] = v[0];
            return c != 1;
        }
        z = comma + 1;
    }
    return 0;
}

static int text_net_value(mango_net *n, int which, char *value)
{
    int64_t t;
    double d;
    float *one = which == 4 ? &n->out_scale : &n->out_shift;
    if (which == 0) {
        for (const char *p = value; *p; p++)
            if ((unsigned char)*p <= 32 || (unsigned char)*p >= 127 || strchr(",=#", *p))
                return 0;
        return mgi_copy(n->arch, (mango_idx)sizeof n->arch, value);
    }
    if (which == 1) {
        const int ok = mgi_parse_int(value, 1, MGI_MAX_T, &t);
        n->T = ok ? (mango_idx)t : 1;
        return ok;
    }
    if (which < 4)
        return text_read_three(value, which == 2 ? n->mean : n->std,
                               which == 2 ? -1e30 : 1e-30);
    if (!mgi_parse_real(value, &d) || !(d >= -1e30 && d <= 1e30))
        return 0;
    *one = (float)d;
    return 1;
}

/* net KEY=VALUE ... */
static mango_status text_read_net(mango_net *n, char *z, mango_err *err)
{
    static const char *const keys[] = {"arch", "T", "mean", "std", "out_scale", "out_shift"};
    unsigned seen = 0;
    char *w = text_word(&z);
    if (!w || strcmp(w, "net"))
        return mgi_fail(err, MANGO_E_FORMAT, "expected 'net KEY=VALUE ...'");
    while ((w = text_word(&z)) != NULL) {
        char *eq = strchr(w, '=');
        int which = 0;
        if (!eq || !eq[1])
            return mgi_fail(err, MANGO_E_FORMAT, "net: '%.60s' is not key=value", w);
        *eq = 0;
        while (which < (int)MGI_COUNT(keys) && strcmp(keys[which], w))
            which++;
        if (which == (int)MGI_COUNT(keys))
            return mgi_fail(err, MANGO_E_FORMAT, "net: unknown key '%.60s'", w);
        if (seen >> which & 1)
            return mgi_fail(err, MANGO_E_FORMAT, "net: key '%s' is given twice", w);
        seen |= 1u << which;
        if (!text_net_value(n, which, eq + 1))
            return mgi_fail(err, MANGO_E_FORMAT, "net: %s=%.60s is out of range", w, eq + 1);
    }
    return MANGO_OK;
}

/* The comma-separated inputs of node `name`; "-" is none. */
static mango_status text_inputs(const mango_net *n, const char *name, char *list, int *in,
                                int *n_in, mango_err *err)
{
    *n_in = 0;
    if (!strcmp(list, "-"))
        return MANGO_OK;
    for (char *next; list; list = next) {
        next = strchr(list, ',');
        if (next)
            *next++ = 0;
        if (*n_in == MGI_MAX_INPUTS)
            return mgi_fail(err, MANGO_E_LIMIT, "node %s: over %d inputs", name,
                            MGI_MAX_INPUTS);
        in[*n_in] = mgi_net_find(n, list);
        if (in[(*n_in)++] < 0)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "node %s: input '%.96s' is not defined before it", name, list);
    }
    return MANGO_OK;
}

/* NAME KIND INPUTS [KEY=VALUE ...] */
static mango_status text_read_node(mango_net *n, char *z, mango_err *err)
{
    int in[MGI_MAX_INPUTS], n_in;
    mgi_kind kind;
    char *name = text_word(&z), *word = text_word(&z), *list = text_word(&z);
    if (!list)
        return mgi_fail(err, MANGO_E_FORMAT, "expected NAME KIND INPUTS, found '%.60s'", name);
    if (!mgi_kind_find(word, &kind))
        return mgi_fail(err, MANGO_E_FORMAT, "node %.96s: unknown kind '%.40s'", name, word);
    MGI_TRY(text_inputs(n, name, list, in, &n_in, err));
    if (mgi_net_node(n, name, kind, n_in, in, z) < 0)
        return mgi_fail(err, n->failed, "%s", n->err.text);
    return MANGO_OK;
}

/* One line without its end; *line counts those that are not empty. */
static mango_status text_read_line(mango_net *n, char *z, int *line, mango_err *err)
{
    for (char *p = z; *p; p++) {
        if (*p == '#' && (p == z || p[-1] == ' ' || p[-1] == '\t')) {
            *p = 0;
            break;
        }
        if (((unsigned char)*p < 32 && *p != '\t') || *p == 127)
            return mgi_fail(err, MANGO_E_FORMAT, "a control byte at column %d",
                            (int)(p - z) + 1);
    }
    if (!z[strspn(z, " \t")])
        return MANGO_OK;
    if ((*line)++ == 0) {
        char *a = text_word(&z), *b = text_word(&z);
        return b && !strcmp(a, "mango-graph") && !strcmp(b, "1") && !text_word(&z)
                   ? MANGO_OK
                   : mgi_fail(err, MANGO_E_FORMAT, "expected 'mango-graph 1'");
    }
    return *line == 2 ? text_read_net(n, z, err) : text_read_node(n, z, err);
}

static mango_status text_read(mango_net *n, const char *text, mango_idx len, char *buf,
                              mango_err *err)
{
    int line = 0, number = 0;
    mango_err sub;
    for (mango_idx at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', (size_t)(len - at));
        const mango_idx size = end ? end - (text + at) : len - at;
        number++;
        if (size >= TEXT_LINE)
            return mgi_fail(err, MANGO_E_LIMIT, "graph line %d: over %d bytes", number,
                            TEXT_LINE - 1);
        memcpy(buf, text + at, (size_t)size);
        buf[size] = 0;
        if ((mango_idx)strlen(buf) != size)
            return mgi_fail(err, MANGO_E_FORMAT, "graph line %d: a NUL byte", number);
        sub.text[0] = 0;
        const mango_status st = text_read_line(n, buf, &line, &sub);
        if (st < 0)
            return mgi_fail(err, st, "graph line %d: %s", number, sub.text);
        at += size + 1;
    }
    if (line < 2)
        return mgi_fail(err, MANGO_E_FORMAT, "graph: ends before its 'net' line");
    return MANGO_OK;
}

MGI_FN mango_status mgi_graph_parse(mango_net **out, const char *text, mango_idx len,
                                    const mango_alloc *al, mango_err *err)
{
    mango_net *n = NULL;
    char *buf = NULL;
    mango_status st;
    *out = NULL;
    if (len < 0 || len > MGI_WEIGHTS_HEADER_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "graph: %td bytes, at most 1 MiB is read", len);
    MGI_TRY(mgi_net_new(&n, "", al));
    buf = mgi_new(&n->al, TEXT_LINE, 1);
    if (!buf) {
        st = mgi_fail(err, MANGO_E_MEM, "graph: no memory");
        goto done;
    }
    MGI_TRY_TO(text_read(n, text, len, buf, err));
    MGI_TRY_TO(mgi_net_finish(n, err));
    *out = n;
    n = NULL;
done:
    if (buf)
        mgi_del(n ? &n->al : &(*out)->al, buf, TEXT_LINE, 1);
    mango_net_destroy(n);
    return st;
}

#undef TEXT_LINE
