/* pytorch_choice.c - which of the dicts of a checkpoint holds the weights.
 *
 * Every dict that holds tensors, under keys that are text, is a choice; what belongs to an
 * optimizer or a scheduler is none. net, model, state_dict and model_state_dict are
 * followed, as far as they lead to tensors; the only choice is taken; of several none.
 * SPDX-License-Identifier: MIT */
#include "pytorch.h"
#include <stdio.h>

enum { PTH_DEPTH = 5, PTH_VISITS = 1 << 16 };

/* Keys under which no weights are. */
static int pth_state_of_training(const mgi_pk_value *key)
{
    static const char *const begins[] = {"optim",  "sched",       "lr_sched",
                                         "scaler", "grad_scaler", "rng"};
    for (mango_idx i = 0; i < MGI_COUNT(begins); i++) {
        const mango_idx n = (mango_idx)strlen(begins[i]);
        if (key->n >= n && !memcmp(key->s, begins[i], (size_t)n))
            return 1;
    }
    return 0;
}

/* path + "." + key; 0 when that is no text, or too long. */
static int pth_join(char *out, const char *path, const mgi_pk_value *key)
{
    const size_t used = strlen(path) + (*path != 0);
    if (!mgi_name_ok(key->s, key->n, MGI_PTC_PATH) ||
        used + (size_t)key->n >= (size_t)MGI_PTC_PATH)
        return 0;
    snprintf(out, MGI_PTC_PATH, "%s%s%.*s", path, *path ? "." : "", (int)key->n,
             (const char *)key->s);
    return 1;
}

/* Dict d and those inside it, as long as there is room. */
static void pth_visit(mango_pytorch *c, int32_t d, const char *path, int depth, int *visits)
{
    char inner[MGI_PTC_PATH];
    if (d < 0 || c->pk.v[d].kind != MGI_PK_DICT)
        return;
    if (mgi_ptc_holds(c, d) != MGI_PK_NONE && c->n_choice < MGI_PTC_CHOICES) {
        c->choice[c->n_choice].dict = d;
        mgi_copy(c->choice[c->n_choice++].path, MGI_PTC_PATH, path);
    }
    for (int32_t i = c->pk.v[d].head; i >= 0 && depth < PTH_DEPTH; i = c->pk.cell[i].next) {
        const mgi_pk_value *key = &c->pk.v[c->pk.cell[i].k];
        if (++*visits > PTH_VISITS)
            return;
        if (key->kind == MGI_PK_STRING && !pth_state_of_training(key) &&
            pth_join(inner, path, key))
            pth_visit(c, c->pk.cell[i].v, inner, depth + 1, visits);
    }
}

/* A tuple or list that was saved, (model, epoch): its dicts by their number. */
static void pth_visit_list(mango_pytorch *c, int *visits)
{
    char path[32];
    for (int i = 0; i < 16; i++) {
        const int32_t v = mgi_pickle_item(&c->pk, c->root, i);
        snprintf(path, sizeof path, "%d", i);
        if (v >= 0)
            pth_visit(c, v, path, 1, visits);
    }
}

/* Is choice i at the keys `path`, or below them? */
static int pth_below(const mango_pytorch *c, int i, const char *path)
{
    const char *p = c->choice[i].path;
    const size_t n = strlen(path);
    return n == 0 || (!strncmp(p, path, n) && (p[n] == 0 || p[n] == '.'));
}

/* Is choice i's dict there under other keys below path before? */
static int pth_again(const mango_pytorch *c, int i, const char *path)
{
    for (int k = 0; k < i; k++)
        if (c->choice[k].dict == c->choice[i].dict && pth_below(c, k, path))
            return 1;
    return 0;
}

/* The dicts below path: how many; *at the first keys of the last of them, or path itself. */
static int pth_count(const mango_pytorch *c, const char *path, int *at)
{
    int n = 0;
    for (int i = 0; i < c->n_choice; i++)
        if (pth_below(c, i, path) && !pth_again(c, i, path)) {
            *at = i;
            n++;
        }
    for (int i = 0; i < c->n_choice; i++)
        if (!strcmp(c->choice[i].path, path))
            *at = i;
    return n;
}

/* Where the usual keys lead to. */
static void pth_usual(const mango_pytorch *c, char path[MGI_PTC_PATH])
{
    static const char *const keys[] = {"net", "model", "state_dict", "model_state_dict"};
    path[0] = 0;
    for (int depth = 0; depth < 3; depth++) {
        char inner[MGI_PTC_PATH + 24];
        int at = -1;
        mango_idx k = 0;
        for (; k < MGI_COUNT(keys); k++) {
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", keys[k]);
            if (pth_count(c, inner, &at))
                break;
        }
        if (k == MGI_COUNT(keys))
            return;
        mgi_copy(path, MGI_PTC_PATH, inner);
    }
}

/* Keys of the file's own dict that are passed over, for a message. */
static void pth_beside(mango_pytorch *c, const char *path)
{
    mango_idx at = 0;
    const mango_idx room = (mango_idx)sizeof c->beside;
    const mgi_pk_value *v = &c->pk.v[c->root];
    c->beside[0] = 0;
    for (int32_t i = v->kind == MGI_PK_DICT ? v->head : -1; i >= 0;
         i = c->pk.cell[i].next) {
        const mgi_pk_value *k = &c->pk.v[c->pk.cell[i].k], *x = &c->pk.v[c->pk.cell[i].v];
        const int taken = *path ? strlen(path) >= (size_t)k->n &&
                                      !memcmp(path, k->s, (size_t)k->n) &&
                                      (!path[k->n] || path[k->n] == '.')
                                : x->kind == MGI_PK_TENSOR || x->kind == MGI_PK_ARRAY;
        if (k->kind != MGI_PK_STRING || taken || !mgi_name_ok(k->s, k->n, 40) ||
            at + k->n + 3 > room)
            continue;
        at += snprintf(c->beside + at, (size_t)(room - at), "%s%.*s", at ? ", " : "",
                       (int)k->n, (const char *)k->s);
    }
}

static mango_status pth_take(mango_pytorch *c, int i)
{
    MGI_TRY(mgi_ptc_collect(c, c->choice[i].dict));
    c->chosen = i;
    mgi_copy(c->under, MGI_PTC_PATH, c->choice[i].path);
    pth_beside(c, c->under);
    return MANGO_OK;
}

/* An object that only its code could rebuild: where weights were expected. */
static int32_t pth_object(const mango_pytorch *c)
{
    int32_t v = c->root;
    static const char *const keys[] = {"model", "net", "state_dict", "model_state_dict"};
    for (mango_idx i = 0; i < MGI_COUNT(keys) && c->pk.v[v].kind == MGI_PK_DICT; i++) {
        const int32_t inner = mgi_pickle_get(&c->pk, c->root, keys[i]);
        if (inner >= 0 && c->pk.v[inner].kind == MGI_PK_OPAQUE)
            v = inner;
    }
    for (int32_t i = c->pk.v[v].head; c->pk.v[v].kind == MGI_PK_DICT && i >= 0;
         i = c->pk.cell[i].next) {
        const mgi_pk_value *x = &c->pk.v[c->pk.cell[i].v];
        if (x->kind == MGI_PK_OPAQUE && x->head >= 0)
            return c->pk.cell[i].v;
    }
    return c->pk.v[v].kind == MGI_PK_OPAQUE && c->pk.v[v].head >= 0 ? v : -1;
}

/* The file holds no state dict: say what it holds. */
static mango_status pth_nothing(mango_pytorch *c)
{
    const mgi_pk_kind kind = c->pk.v[c->root].kind;
    const int32_t object = pth_object(c);
    if (kind == MGI_PK_TENSOR)
        return mgi_ptc_bad(c, MANGO_E_FORMAT,
                           "holds one bare tensor, a dict of named ones expected");
    if (object >= 0) {
        const mgi_pk_value *f = &c->pk.v[c->pk.v[object].head], *m = &c->pk.v[f->tail];
        return mgi_fail(
            c->err, MANGO_E_UNSUPPORTED,
            "%s: holds a whole pickled module or object (%.*s.%.*s), which only "
            "its code could rebuild; save its state_dict() with torch.save, or "
            "use mango_export.py",
            c->what, (int)MGI_MIN(m->n, 60), (const char *)m->s, (int)MGI_MIN(f->n, 60),
            (const char *)f->s);
    }
    pth_beside(c, "\n");
    return mgi_fail(c->err, MANGO_E_FORMAT, "%s: no dict of named tensors in it%s%s",
                    c->what, *c->beside ? "; it has " : "", c->beside);
}

MGI_FN mango_status mgi_ptc_choose(mango_pytorch *c)
{
    int visits = 0, at = -1;
    char path[MGI_PTC_PATH];
    const mgi_pk_kind kind = c->pk.v[c->root].kind;
    if (kind == MGI_PK_TUPLE || kind == MGI_PK_LIST)
        pth_visit_list(c, &visits);
    else
        pth_visit(c, c->root, "", 0, &visits);
    if (!c->n_choice)
        return pth_nothing(c);
    pth_usual(c, path);
    const int n = pth_count(c, path, &at);
    const int itself = at >= 0 && !strcmp(c->choice[at].path, path);
    if (n == 1 || (itself && *path))
        return pth_take(c, at);
    return MANGO_OK; /* left open */
}

/* All choices in one line, for messages. */
static void pth_list(const mango_pytorch *c, char *out, size_t cap)
{
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < c->n_choice && at + MGI_PTC_PATH + 4 < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? ", " : "",
                               *c->choice[i].path ? c->choice[i].path : "'' (the top)");
}

mango_status mango_pytorch_select(mango_pytorch *c, const char *key, mango_err *err)
{
    int at = -1;
    char all[600];
    MGI_CHECK(err, c && key, "mango_pytorch_select: a checkpoint and a key expected");
    c->err = c->pk.err = err;
    const int n = pth_count(c, key, &at);
    mango_status st = MANGO_OK;
    if (n == 1 || (at >= 0 && !strcmp(c->choice[at].path, key))) {
        st = pth_take(c, at);
    } else {
        pth_list(c, all, sizeof all);
        st = mgi_fail(err, MANGO_E_NAME, "%s: %s tensors under '%.60s'; there are: %s",
                      c->what, n ? "several dicts of" : "no", key, all);
    }
    c->err = c->pk.err = NULL;
    return st;
}
