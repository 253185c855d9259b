/* mei_codes.c - sets of codes: those that a search begins with, those that it may draw,
 * and its elites.
 * SPDX-License-Identifier: MIT */
#include "mei_files.h"
#include <stdlib.h>

/* The codes of a file: DIR/elites.npy for the folder of another search. */
static mango_status codes_path(const char *what, char path[4096], mango_err *err)
{
    mango_npy a;
    MGI_TRY(cli_join(path, 4096, what, "elites.npy", err));
    if (mango_npy_read(&a, path, NULL, NULL) >= 0) {
        mango_npy_free(&a);
        return MANGO_OK;
    }
    if (mgi_copy(path, 4096, what))
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_LIMIT, "%.80s...: the path is too long", what);
}

mango_status mei_codes_read(mei_codes *c, const char *what, const mango_net *gen,
                            mango_err *err)
{
    char path[4096];
    mango_npy a;
    mango_space *space = NULL;
    mango_space_info info;
    memset(c, 0, sizeof *c);
    MGI_TRY(codes_path(what, path, err));
    MGI_TRY(mango_npy_read(&a, path, NULL, err));
    mango_status st = mango_space_of(&space, gen, NULL, err);
    if (st >= 0)
        st = mango_space_get(space, &info);
    const mango_idx d = st >= 0 ? info.modes.d : 0;
    if (st >= 0 && (a.rank < 1 || a.rank > 2 || a.shape[a.rank - 1] != d || a.count < 1))
        st = mgi_fail(err, MANGO_E_SHAPE, "%.200s: codes (n,%td) of this generator expected",
                      path, d);
    if (st >= 0) {
        c->n = a.count / d;
        c->I = malloc((size_t)a.count * sizeof *c->I);
        st = c->I ? mango_npy_ints(&a, c->I, err)
                  : mgi_fail(err, MANGO_E_MEM, "no memory for %td codes", c->n);
    }
    mango_space_destroy(space);
    mango_npy_free(&a);
    return st;
}

void mei_codes_free(mei_codes *c)
{
    free(c->I);
    c->I = NULL;
}

/* ---- allowed levels ------------------------------------------------------------- */

/* "J=L,J=L": of mode J level L alone. */
static mango_status masks_fix(mei_masks *m, const char *text, const mango_modes *modes,
                              mango_err *err)
{
    for (const char *p = text;;) {
        char one[64];
        int64_t j = -1, l = -1;
        const size_t n = strcspn(p, ",");
        snprintf(one, sizeof one, "%.*s", (int)MGI_MIN(n, sizeof one - 1), p);
        char *is = strchr(one, '=');
        if (is)
            *is = 0;
        if (!is || !mgi_parse_int(one, 0, modes->d - 1, &j) ||
            !mgi_parse_int(is + 1, 0, modes->n[j] - 1, &l))
            return mgi_fail(err, MANGO_E_ARG,
                            "--fix '%.40s': MODE=LEVEL expected, modes 0..%td, levels of a "
                            "mode from 0", p, modes->d - 1);
        mango_idx at = 0;
        for (mango_idx k = 0; k < (mango_idx)j; k++)
            at += modes->n[k];
        for (mango_idx i = 0; i < modes->n[j]; i++)
            m->allowed[at + i] = m->allowed[at + i] && i == (mango_idx)l;
        if (p[n] == 0)
            return MANGO_OK;
        p += n + 1;
    }
}

/* A .npy of 0 and 1: all levels one mode after the other, (d,n) say, or the n of a mode,
 * for every mode. */
static mango_status masks_file(mei_masks *m, const char *path, const mango_modes *modes,
                               mango_err *err)
{
    mango_npy a;
    MGI_TRY(mango_npy_read(&a, path, NULL, err));
    mango_idx *v = malloc((size_t)a.count * sizeof *v + 1);
    mango_status st = v ? mango_npy_ints(&a, v, err)
                        : mgi_fail(err, MANGO_E_MEM, "no memory for %td levels", a.count);
    int alike = 1;
    for (mango_idx j = 0; j < modes->d; j++)
        alike &= modes->n[j] == a.count;
    if (st >= 0 && a.count != m->n && !alike)
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%.200s: %td numbers, expected one for each of the %td levels of all "
                      "modes, or of a mode", path, a.count, m->n);
    for (mango_idx i = 0; st >= 0 && i < m->n; i++)
        m->allowed[i] = v[i % a.count] != 0;
    free(v);
    mango_npy_free(&a);
    return st;
}

mango_status mei_masks_read(mei_masks *m, const char *fix, const char *file,
                            const mango_net *gen, mango_err *err)
{
    mango_space_info info;
    MGI_TRY(mango_space_of(&m->space, gen, NULL, err));
    MGI_TRY(mango_space_get(m->space, &info));
    MGI_TRY(mango_space_facts(m->space, &m->facts));
    m->n = 0;
    for (mango_idx j = 0; j < info.modes.d; j++)
        m->n += info.modes.n[j];
    m->allowed = malloc((size_t)m->n);
    if (!m->allowed)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %td levels", m->n);
    memset(m->allowed, 1, (size_t)m->n);
    m->facts.allowed = m->allowed;
    if (file)
        MGI_TRY(masks_file(m, file, &info.modes, err));
    return fix ? masks_fix(m, fix, &info.modes, err) : MANGO_OK;
}

void mei_masks_free(mei_masks *m)
{
    mango_space_destroy(m->space);
    free(m->allowed);
    memset(m, 0, sizeof *m);
}

/* ---- elites ------------------------------------------------------------------- */

static mango_status elites_table(const mei_run *r, mango_idx n, const mango_estimate *e,
                                 mango_err *err)
{
    char path[4096];
    mgi_str s;
    mgi_str_init(&s, NULL);
    mgi_str_puts(&s, "code\tactivation\tposterior\tse\tshown\n");
    for (mango_idx i = 0; i < n; i++) {
        const double number[3] = {e[i].y, e[i].posterior, e[i].se};
        mgi_str_printf(&s, "%llu\t", (unsigned long long)e[i].id);
        for (int k = 0; k < 3; k++) {
            mgi_str_float(&s, number[k]);
            mgi_str_puts(&s, "\t");
        }
        mgi_str_printf(&s, "%td\n", e[i].n);
    }
    mango_status st = s.bad ? MANGO_E_MEM : cli_join(path, 4096, r->out, "elites.tsv", err);
    if (st >= 0)
        st = mgi_file_write(path, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}

static mango_status elites_codes(const mei_run *r, mango_idx n, const mango_estimate *e,
                                 mango_idx d, mango_err *err)
{
    char path[4096];
    const mango_idx shape[2] = {n, d};
    int32_t *codes = calloc((size_t)(n * d) + 1, sizeof *codes);
    mango_idx *I = calloc((size_t)d, sizeof *I);
    mango_status st = MANGO_OK;
    if (!codes || !I)
        st = mgi_fail(err, MANGO_E_MEM, "no memory for %td codes", n);
    for (mango_idx i = 0; i < n && st >= 0; i++) {
        st = mango_session_code(r->session, e[i].id, I);
        for (mango_idx j = 0; j < d; j++)
            codes[i * d + j] = (int32_t)I[j];
    }
    if (st >= 0)
        st = cli_join(path, 4096, r->out, "elites.npy", err);
    if (st >= 0)
        st = mango_npy_write(path, MANGO_NPY_I4, 2, shape, codes, err);
    free(codes);
    free(I);
    return st;
}

mango_status mei_save_elites(const mei_run *r, mango_err *err)
{
    mango_session_info si;
    mango_idx n = 0;
    mango_session_get(r->session, &si);
    const mango_idx apart = r->apart > 0 ? r->apart : MGI_MAX(si.d / 8, 1);
    mango_estimate *e = calloc((size_t)r->elites + 1, sizeof *e);
    mango_status st = e ? mango_session_elites(r->session, r->elites, apart, &n, e)
                        : mgi_fail(err, MANGO_E_MEM, "no memory for %td elites", r->elites);
    if (st >= 0 && n > 0)
        st = elites_codes(r, n, e, si.d, err);
    if (st >= 0 && n > 0)
        st = elites_table(r, n, e, err);
    free(e);
    return st;
}
