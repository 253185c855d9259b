/* import.c - matches names, checks shapes, fills parameters, reports the rest.
 * SPDX-License-Identifier: MIT */
#include "import.h"
#include "image.h"
#include "../../src/data/data.h"
#include "../../src/net/safetensors.h"
#include <stdlib.h>

enum { IMPORT_LINES = 40, IMPORT_PREFIXES = 48, IMPORT_PREFIX = 128 };

/* A tensor of the file. */
typedef struct import_item {
    const char *name;
    int rank;
    mango_idx shape[8], count;
    int done; /* 1 used, 2 ignored, 3 of the wrong shape */
} import_item;

/* The file, of either kind, and its tensors. */
typedef struct import_source {
    mango_checkpoint *pt;
    mgi_tensors st;
    int is_st;
    import_item *item;
    mango_idx n;
} import_source;

typedef struct import_job {
    mango_net *net;
    import_source src;
    import_report *r;
    const char **sorted; /* names of the net's parameters */
    unsigned char *filled;
    mango_err *err;
    const char *path;
} import_job;

static int import_ends(const char *z, const char *tail)
{
    const size_t n = strlen(z), k = strlen(tail);
    return n >= k && !strcmp(z + n - k, tail);
}

/* ---- the file ---------------------------------------------------------------- */

static mango_status import_open(import_source *s, const char *path, import_report *r,
                                mango_err *err)
{
    memset(s, 0, sizeof *s);
    s->is_st = import_ends(path, ".safetensors");
    if (s->is_st) {
        s->is_st = 0; /* nothing to close when it cannot be read */
        MGI_TRY(mgi_tensors_read(&s->st, path, NULL, err));
        s->is_st = 1;
        mgi_copy(r->format, (mango_idx)sizeof r->format, "safetensors");
    } else {
        MGI_TRY(mango_checkpoint_open(&s->pt, path, image_codecs(), NULL, err));
        mgi_copy(r->format, (mango_idx)sizeof r->format, mango_checkpoint_format(s->pt));
        mgi_copy(r->under, (mango_idx)sizeof r->under, mango_checkpoint_under(s->pt));
    }
    s->n = s->is_st ? s->st.n : mango_checkpoint_count(s->pt);
    s->item = (import_item *)calloc((size_t)s->n + 1, sizeof *s->item);
    if (!s->item)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path);
    for (mango_idx i = 0; i < s->n; i++) {
        import_item *t = &s->item[i];
        if (s->is_st) {
            const mgi_tensor *f = &s->st.t[i];
            t->name = f->name, t->rank = f->rank, t->count = f->count;
            memcpy(t->shape, f->shape, sizeof t->shape);
        } else {
            mango_checkpoint_tensor f;
            mango_checkpoint_get(s->pt, i, &f);
            t->name = f.name, t->rank = f.rank, t->count = f.count;
            memcpy(t->shape, f.shape, sizeof t->shape);
        }
    }
    return MANGO_OK;
}

static void import_close(import_source *s)
{
    if (s->is_st)
        mgi_tensors_free(&s->st);
    mango_checkpoint_destroy(s->pt);
    free(s->item);
}

static mango_status import_floats(const import_source *s, mango_idx i, float *out,
                                  mango_err *err)
{
    return s->is_st ? mgi_tensor_floats(&s->st.t[i], 1, out, err)
                    : mango_checkpoint_floats(s->pt, i, out, err);
}

/* ---- names ------------------------------------------------------------------- */

static int import_by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* strip + name -> add + name; names without the prefix keep theirs. */
static int import_rename(const char *name, const char *strip, const char *add, char *out,
                         mango_idx cap)
{
    const size_t n = strlen(strip), k = strlen(add);
    if (n && !strncmp(name, strip, n) && name[n])
        name += n;
    return mgi_copy(out, cap, add) && mgi_copy(out + k, cap - (mango_idx)k, name);
}

/* Add the first `bytes` of name to the list, unless it is there or full. */
static void import_prefix_add(char (*list)[IMPORT_PREFIX], int *n, const char *name,
                              size_t bytes)
{
    if (bytes >= IMPORT_PREFIX || *n >= IMPORT_PREFIXES)
        return;
    for (int i = 0; i < *n; i++)
        if (strlen(list[i]) == bytes && !memcmp(list[i], name, bytes))
            return;
    memcpy(list[*n], name, bytes);
    list[(*n)++][bytes] = 0;
}

/* All "a.", "a.b.", "a.b.c." that names begin with, shortest first, "" before. */
static void import_prefixes(char (*list)[IMPORT_PREFIX], int *n, const char *const *names,
                            mango_idx count, int depth)
{
    *n = 0;
    import_prefix_add(list, n, "", 0);
    for (int d = 1; d <= depth; d++)
        for (mango_idx i = 0; i < count; i++) {
            const char *dot = names[i];
            for (int k = 0; k < d && dot; k++)
                dot = strchr(dot + (k > 0), '.');
            if (dot)
                import_prefix_add(list, n, names[i], (size_t)(dot - names[i]) + 1);
        }
}

/* How many of the net's parameters are there under this pair of prefixes. */
static mango_idx import_score(const import_job *j, const char *strip, const char *add)
{
    char name[600];
    const char *p = name;
    mango_idx hits = 0;
    for (mango_idx i = 0; i < j->src.n; i++)
        hits +=
            import_rename(j->src.item[i].name, strip, add, name, (mango_idx)sizeof name) &&
            bsearch(&p, (const void *)j->sorted, (size_t)j->net->n_params, sizeof p,
                    import_by_name) != NULL;
    return hits;
}

/* The pair of prefixes under which most names fit; the simplest of equals. */
static mango_status import_fit(import_job *j, const char *prefix)
{
    static char strips[IMPORT_PREFIXES][IMPORT_PREFIX],
        adds[IMPORT_PREFIXES][IMPORT_PREFIX];
    int n_strip = 0, n_add = 0;
    mango_idx best = -1;
    const char **names = (const char **)calloc((size_t)j->src.n + 1, sizeof *names);
    if (!names)
        return MANGO_E_MEM;
    for (mango_idx i = 0; i < j->src.n; i++)
        names[i] = j->src.item[i].name;
    import_prefixes(strips, &n_strip, names, j->src.n, 3);
    import_prefixes(adds, &n_add, j->sorted, j->net->n_params, 2);
    free((void *)names);
    if (prefix) { /* the user's, and no other */
        n_strip = 1;
        mgi_copy(strips[0], IMPORT_PREFIX - 1, prefix);
        if (*prefix && !import_ends(prefix, "."))
            memcpy(strips[0] + strlen(strips[0]), ".", 2);
    }
    for (int a = 0; a < n_add; a++)
        for (int s = 0; s < n_strip; s++) {
            mango_idx hits = import_score(j, strips[s], adds[a]);
            if (hits <= best)
                continue;
            best = hits;
            mgi_copy(j->r->strip, (mango_idx)sizeof j->r->strip, strips[s]);
            mgi_copy(j->r->add, (mango_idx)sizeof j->r->add, adds[a]);
        }
    return MANGO_OK;
}

/* ---- the report -------------------------------------------------------------- */

static void import_shape(mgi_str *s, int rank, const mango_idx *shape)
{
    mgi_str_puts(s, "(");
    for (int i = 0; i < rank; i++)
        mgi_str_printf(s, "%s%td", i ? "," : "", shape[i]);
    mgi_str_puts(s, ")");
}

/* One line, up to a screen of them. */
static void import_line(import_report *r, const char *what, const char *name, int rank,
                        const mango_idx *shape, int want_rank, const mango_idx *want)
{
    const mango_idx lines = r->missing + r->left + r->shape;
    if (lines == IMPORT_LINES + 1)
        mgi_str_puts(&r->detail, "...\n");
    if (lines > IMPORT_LINES)
        return;
    mgi_str_printf(&r->detail, "%s: %s ", what, name);
    import_shape(&r->detail, rank, shape);
    if (want) {
        mgi_str_puts(&r->detail, ", ");
        import_shape(&r->detail, want_rank, want);
        mgi_str_puts(&r->detail, " expected");
    }
    mgi_str_puts(&r->detail, "\n");
}

/* ---- filling ----------------------------------------------------------------- */

/* Known to be of no use here. */
static int import_useless(const char *name)
{
    static const char *const tail[] = {"num_batches_tracked", "_vq_vae._ema_w",
                                       "_vq_vae._ema_cluster_size",
                                       ".graded_spikes_factor"};
    for (mango_idx i = 0; i < MGI_COUNT(tail); i++)
        if (import_ends(name, tail[i]))
            return 1;
    return 0;
}

/* The LIF layer that "X.threshold" belongs to: named X, or the end of X. */
static mgi_node *import_neuron(const import_job *j, const char *name, const char *tail)
{
    const size_t n = strlen(name) - strlen(tail);
    for (int i = 0; i < j->net->n_nodes; i++) {
        mgi_node *q = &j->net->node[i];
        const size_t k = strlen(q->name);
        if (q->kind == MGI_LIF && k <= n && !memcmp(name + n - k, q->name, k) &&
            (k == n || name[n - k - 1] == '.'))
            return q;
    }
    return NULL;
}

/* threshold, beta, reset_mechanism_val of snnTorch into the neuron's rule.
 * Returns 1 when the tensor was one of them, 0 when not, < 0 on error. */
static int import_rule(import_job *j, mango_idx i, const char *name)
{
    static const char *const tails[] = {".threshold", ".beta", ".reset_mechanism_val"};
    const import_item *t = &j->src.item[i];
    mgi_node *q = NULL;
    float v;
    int k = 0;
    while (k < 3 &&
           !(import_ends(name, tails[k]) && (q = import_neuron(j, name, tails[k]))))
        k++;
    if (k == 3)
        return 0;
    if (t->count != 1)
        return (int)mgi_fail(
            j->err, MANGO_E_UNSUPPORTED,
            "%s: %s has %td values; one a layer expected, not one a neuron", j->path,
            t->name, t->count);
    MGI_TRY(import_floats(&j->src, i, &v, j->err));
    if (k == 0)
        q->lif.U_thr = v;
    else if (k == 1)
        q->lif.beta = v, q->lif.tau = 0;
    else if (v == 0 || v == 1 || v == 2)
        q->lif.reset = v == 0   ? MANGO_RESET_SUBTRACT
                       : v == 1 ? MANGO_RESET_ZERO
                                : MANGO_RESET_NONE;
    if (mango_lif_check(&q->lif, NULL) < 0)
        return (int)mgi_fail(j->err, MANGO_E_FORMAT, "%s: %s is %g, no usable neuron rule",
                             j->path, t->name, (double)v);
    j->r->rules++;
    return 1;
}

/* Trailing sizes of 1 may be there or not: (1,C) is not (C), but () is (1). */
static int import_same_shape(const import_item *t, const mgi_param *p)
{
    if (t->rank == 0 && p->count == 1)
        return 1;
    if (t->rank != p->rank)
        return 0;
    for (int r = 0; r < t->rank; r++)
        if (t->shape[r] != p->shape[r])
            return 0;
    return 1;
}

/* One tensor of the file: into its parameter, its rule, or the report. */
static mango_status import_one(import_job *j, mango_idx i)
{
    import_item *t = &j->src.item[i];
    char name[600];
    int k = -1, rule;
    if (import_rename(t->name, j->r->strip, j->r->add, name, (mango_idx)sizeof name))
        k = mgi_param_find(j->net, name);
    if (k >= 0 && j->filled[k])
        return mgi_fail(j->err, MANGO_E_FORMAT,
                        "%s: two tensors for %s after prefixes were fitted", j->path, name);
    if (k >= 0 && !import_same_shape(t, &j->net->param[k])) {
        j->r->shape++;
        j->filled[k] = 2;
        import_line(j->r, "wrong shape", t->name, t->rank, t->shape, j->net->param[k].rank,
                    j->net->param[k].shape);
        return MANGO_OK;
    }
    if (k >= 0) {
        j->filled[k] = 1;
        j->r->filled++;
        return import_floats(&j->src, i, j->net->param[k].v, j->err);
    }
    if (import_useless(t->name)) {
        j->r->ignored++;
        return MANGO_OK;
    }
    rule = import_rule(j, i, name);
    if (rule == 0) {
        j->r->left++;
        import_line(j->r, "left over", t->name, t->rank, t->shape, 0, NULL);
    }
    return rule < 0 ? (mango_status)rule : MANGO_OK;
}

static mango_status import_all(import_job *j, const char *prefix)
{
    const mango_net *net = j->net;
    j->sorted = (const char **)calloc((size_t)net->n_params + 1, sizeof *j->sorted);
    j->filled = (unsigned char *)calloc((size_t)net->n_params + 1, 1);
    if (!j->sorted || !j->filled || mgi_net_alloc_params(j->net) < 0)
        return mgi_fail(j->err, MANGO_E_MEM, "%s: out of memory", j->path);
    for (int i = 0; i < net->n_params; i++)
        j->sorted[i] = net->param[i].name;
    qsort((void *)j->sorted, (size_t)net->n_params, sizeof *j->sorted, import_by_name);
    MGI_TRY(import_fit(j, prefix));
    for (mango_idx i = 0; i < j->src.n; i++)
        MGI_TRY(import_one(j, i));
    for (int k = 0; k < net->n_params; k++)
        if (!j->filled[k]) {
            j->r->missing++;
            import_line(j->r, "missing", net->param[k].name, net->param[k].rank,
                        net->param[k].shape, 0, NULL);
        }
    if (!j->r->missing && !j->r->left && !j->r->shape)
        return MANGO_OK;
    return mgi_fail(
        j->err, MANGO_E_SHAPE,
        "%s does not fit %s: of %d parameters %td missing and %td of the wrong shape, "
        "%td tensors left over",
        j->path, net->arch, net->n_params, j->r->missing, j->r->shape, j->r->left);
}

mango_status import_weights(mango_net *net, const char *path, const char *prefix,
                            import_report *r, mango_err *err)
{
    import_job j;
    mango_status st;
    memset(&j, 0, sizeof j);
    memset(r, 0, sizeof *r);
    mgi_str_init(&r->detail, NULL);
    j.net = net;
    j.r = r;
    j.err = err;
    j.path = path;
    st = import_open(&j.src, path, r, err);
    if (st >= 0)
        st = import_all(&j, prefix);
    import_close(&j.src);
    free((void *)j.sorted);
    free(j.filled);
    return st;
}

/* ---- --set ------------------------------------------------------------------- */

/* Three numbers, or one for all three. */
static int import_three(const char *v, float out[3])
{
    char part[64];
    double d = 0;
    for (int i = 0; i < 3; i++) {
        const size_t n = strcspn(v, ",");
        if (n >= sizeof part)
            return 0;
        memcpy(part, v, n);
        part[n] = 0;
        if (!mgi_parse_real(part, &d))
            return 0;
        out[i] = (float)d;
        if (!v[n] && i == 0)
            out[1] = out[2] = out[0], i = 2;
        else if ((v[n] == ',') != (i < 2))
            return 0;
        v += n + (v[n] == ',');
    }
    return 1;
}

/* One pair; -1 when its value cannot be read. */
static int import_pair(const char *key, const char *v, mango_net *net, mgi_str *spec)
{
    double d;
    if (!strcmp(key, "mean"))
        return !net || import_three(v, net->mean) ? 0 : -1;
    if (!strcmp(key, "std")) {
        if (net && (!import_three(v, net->std) ||
                    !(net->std[0] > 0 && net->std[1] > 0 && net->std[2] > 0)))
            return -1;
        return 0;
    }
    if (!strcmp(key, "out_scale") || !strcmp(key, "out_shift")) {
        if (!mgi_parse_real(v, &d))
            return -1;
        if (net)
            *(key[6] == 'c' ? &net->out_scale : &net->out_shift) = (float)d;
        return 0;
    }
    if (spec)
        mgi_str_printf(spec, ",%s=%s", key, v);
    return 0;
}

mango_status import_settings(const char *text, mango_net *net, mgi_str *spec,
                             mango_err *err)
{
    char key[64], v[256];
    while (*text) { /* a value reaches up to the next comma that a KEY= follows */
        const char *eq = strchr(text, '='), *end = eq;
        while (end && *end) {
            const char *comma = strchr(end, ',');
            end = comma ? comma + 1 : end + strlen(end);
            if (strcspn(end, "=") < strcspn(end, ","))
                break;
        }
        const size_t n = eq ? (size_t)(eq - text) : 0;
        const size_t m =
            eq ? (size_t)(end - eq - 1) - (size_t)(end > eq + 1 && end[-1] == ',') : 0;
        if (!eq || n < 1 || n >= sizeof key || m < 1 || m >= sizeof v)
            return mgi_fail(err, MANGO_E_ARG, "--set %s: KEY=VALUE expected", text);
        memcpy(key, text, n);
        memcpy(v, eq + 1, m);
        key[n] = v[m] = 0;
        if (import_pair(key, v, net, spec) < 0)
            return mgi_fail(err, MANGO_E_ARG, "--set %s=%s: numbers expected (std above 0)",
                            key, v);
        text = end;
    }
    return spec && spec->bad ? MANGO_E_MEM : MANGO_OK;
}
