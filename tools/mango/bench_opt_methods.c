/* bench_opt_methods.c - the optimizers of `mango bench opt`: their list, the facts that
 * they are given, and what tells that one has changed.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include "../../src/base/hash.h"
#include <stdlib.h>

/* ---- the list ----------------------------------------------------------------- */

/* Bytes up to the comma that ends an item: not those within parentheses. */
static size_t bo_item(const char *p)
{
    int depth = 0;
    size_t n = 0;
    for (; p[n] && (p[n] != ',' || depth > 0); n++)
        depth += (p[n] == '(') - (p[n] == ')');
    return n;
}

/* One of the words in the parentheses: a fact withheld, or an option. */
static mango_status bo_method_word(bo_method *m, const char *word, mango_err *err)
{
    if (!strcmp(word, "no-references"))
        m->no_references = 1;
    else if (!strcmp(word, "no-classes"))
        m->no_classes = 1;
    else
        return mango_opt_parse(&m->o, word, err);
    return MANGO_OK;
}

static mango_status bo_method_read(const char *item, bo_method *m, mango_err *err)
{
    char text[BO_NAME];
    if (!mgi_copy(m->label, BO_NAME, item))
        return mgi_fail(err, MANGO_E_ARG, "--opts %.80s..: under %d bytes expected", item,
                        BO_NAME);
    strcpy(text, item);
    char *inside = strchr(text, '('), *end = text + strlen(text) - 1;
    if (inside && *end != ')')
        return mgi_fail(err, MANGO_E_ARG,
                        "--opts %s: NAME or NAME(OPTION=VALUE,..) expected", item);
    if (inside) {
        *inside = 0;
        *end = 0;
    }
    MGI_TRY(mango_opt_defaults(text, &m->o, err));
    m->white = mango_opt_white(text);
    for (char *p = inside ? inside + 1 : end + 1, *next; p < end; p = next) {
        const size_t n = strcspn(p, ",");
        next = p + n + 1;
        p[n] = 0;
        MGI_TRY(bo_method_word(m, p, err));
    }
    return MANGO_OK;
}

mango_status bo_methods_list(const char *list, bo_method *m, int *count, mango_err *err)
{
    char item[1024];
    *count = 0;
    for (const char *p = list; *p; p += *p == ',') {
        const size_t n = bo_item(p);
        snprintf(item, sizeof item, "%.*s", (int)MGI_MIN(n, sizeof item - 1), p);
        p += n;
        if (*count == BO_METHODS)
            return mgi_fail(err, MANGO_E_ARG, "--opts: at most %d expected", BO_METHODS);
        memset(m + *count, 0, sizeof *m);
        MGI_TRY(bo_method_read(item, m + *count, err));
        for (int i = 0; i < *count; i++)
            if (!strcmp(m[i].label, item))
                return mgi_fail(err, MANGO_E_ARG, "--opts: %s stands there twice", item);
        ++*count;
    }
    return *count ? MANGO_OK
                  : mgi_fail(err, MANGO_E_ARG, "--opts: one optimizer or more expected");
}

/* The one that others are compared with: by its label; else `auto`; else the first. */
static mango_status bo_reference(bo_all *a, mango_err *err)
{
    for (int m = a->n_method - 1; m >= 0; m--)
        if (!strcmp(a->method[m].label, a->reference ? a->reference : "auto"))
            a->ref = m;
    if (a->reference && strcmp(a->method[a->ref].label, a->reference))
        return mgi_fail(err, MANGO_E_NAME, "--reference %s: not one of --opts",
                        a->reference);
    return MANGO_OK;
}

mango_status bo_methods_read(bo_all *a, mango_err *err)
{
    MGI_TRY(bo_methods_list(a->methods, a->method, &a->n_method, err));
    for (int m = 0; m < a->n_method; m++) {
        a->method[m].no_references |= a->no_references;
        a->method[m].no_classes |= a->no_classes;
        a->method[m].noisy = a->noise != NULL;
    }
    MGI_TRY(bo_reference(a, err));
    if (!a->data)
        return MANGO_OK;
    if (a->n_method == BO_METHODS)
        return mgi_fail(err, MANGO_E_ARG, "--opts: at most %d expected with --data",
                        BO_METHODS - 1);
    bo_method *m = a->method + a->n_method++;
    memset(m, 0, sizeof *m);
    snprintf(m->label, BO_NAME, "pictures of %.100s", a->data);
    m->pictures = 1;
    return MANGO_OK;
}

mango_status bo_facts(const bo_gen *g, const bo_method *m, mango_facts *f)
{
    MGI_TRY(mango_space_facts(g->space, f));
    if (m->no_references) {
        f->n_codes = f->code_dim = 0;
        f->codes = NULL;
        f->code_features = NULL;
    }
    if (m->no_classes)
        f->classes = 0;
    f->noisy = m->noisy;
    return MANGO_OK;
}

/* ---- what it does --------------------------------------------------------------- */

/* Results stay good as long as the optimizer does the same. Its version number does not
 * tell; what it asks does: the digest of the codes of some batches, whose values are
 * those of a plain function. Same seed, same bits: it is the same on every machine. */
#define BO_LOOK 400 /* queries */
#define BO_ROOM 4096

/* Nearness to a code with levels all over the range, by the middle of the table. */
static double bo_plain(mango_idx d, const mango_idx *n, const mango_idx *I)
{
    double far = 0.0;
    for (mango_idx j = 0; j < d; j++) {
        const double want = (double)(j * 37 % 64) / 64.0;
        const double x = ((double)I[j] + 0.5) / (double)n[j] - want;
        far += x * x;
    }
    return 1.0 - far / (double)d;
}

/* Its derivative, by the number of the level or as the first number of its point. */
static mango_status bo_slope(void *ud, mango_idx K, const mango_idx *I, double *y,
                             float *dy)
{
    const bo_gen *g = ud;
    const mango_modes m = g->info.modes;
    mango_facts f;
    MGI_TRY(mango_space_facts(g->space, &f));
    const mango_idx dim = MGI_MAX(f.level_dim, 1);
    for (mango_idx k = 0; k < K; k++) {
        y[k] = bo_plain(m.d, m.n, I + k * m.d);
        for (mango_idx e = 0; e < m.d * dim; e++) {
            const mango_idx j = e / dim;
            const double want = (double)(j * 37 % 64) / 64.0;
            const double x = ((double)I[k * m.d + j] + 0.5) / (double)m.n[j] - want;
            dy[k * m.d * dim + e] = e % dim ? 0.0f : (float)(-2.0 * x / (double)m.d);
        }
    }
    return MANGO_OK;
}

static mango_status bo_look(mango_opt *opt, const mango_modes *m, mango_idx *I, double *y,
                            mgi_hash *hash)
{
    mango_idx total = 0;
    for (int ask = 0; total < BO_LOOK && ask < BO_LOOK; ask++) {
        mango_idx K = 0;
        MGI_TRY(mango_opt_ask(opt, BO_ROOM, &K, I));
        for (mango_idx k = 0; k < K; k++) {
            y[k] = bo_plain(m->d, m->n, I + k * m->d);
            for (mango_idx j = 0; j < m->d; j++) {
                const uint32_t i = (uint32_t)I[k * m->d + j];
                const unsigned char b[4] = {(unsigned char)i, (unsigned char)(i >> 8),
                                            (unsigned char)(i >> 16),
                                            (unsigned char)(i >> 24)};
                mgi_hash_add(hash, b, 4);
            }
        }
        MGI_TRY(mango_opt_tell(opt, K, I, y));
        total += K;
    }
    return MANGO_OK;
}

static mango_status bo_behaviour(bo_gen *g, const bo_method *m, char key[BO_KEY],
                                 int *oblivious, int *ties, mango_err *err)
{
    const mango_modes modes = g->info.modes;
    mango_facts facts;
    mango_opt *opt = NULL;
    mango_opt_info info;
    mgi_hash hash;
    char hex[65];
    mango_idx *I = malloc(sizeof *I * (size_t)(BO_ROOM * modes.d));
    double *y = malloc(sizeof *y * BO_ROOM);
    mango_status st = MANGO_E_MEM;
    mgi_sha256_init(&hash);
    if (!I || !y)
        goto done;
    MGI_TRY_TO(bo_facts(g, m, &facts));
    if (m->white) {
        facts.gradient = bo_slope;
        facts.gradient_ud = g;
    }
    MGI_TRY_TO(mango_opt_create(&opt, &modes, &facts, &m->o, 1, NULL, err));
    MGI_TRY_TO(mango_opt_get(opt, &info));
    MGI_TRY_TO(bo_look(opt, &modes, I, y, &hash));
    *ties = info.ties && !m->noisy;
    *oblivious = info.oblivious && !m->noisy; /* a race at the end looks at values */
    mgi_hash_end(&hash, hex);
    memcpy(key, hex, BO_KEY - 1);
    key[BO_KEY - 1] = 0;
done:
    mango_opt_destroy(opt);
    free(I);
    free(y);
    return st;
}

mango_status bo_behaviours(bo_all *a, bo_gen *g, mango_err *err)
{
    for (int m = 0; m < a->n_method; m++)
        if (!a->method[m].pictures)
            MGI_TRY(bo_behaviour(g, a->method + m, g->behaviour[m], g->oblivious + m,
                                 g->ties + m, err));
    return MANGO_OK;
}

#undef BO_LOOK
#undef BO_ROOM
