/* bench_opt_store.c - results of `mango bench opt`: one line of JSON a run, in a file that
 * only grows. A line is written when its run is done, so a process that is killed loses
 * the run under way alone. Each shard has a file of its own; all are read.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include "../../src/base/hash.h"
#include "../../src/base/os.h"
#include "../../src/base/real.h"
#include <stdlib.h>

#define BO_FORMAT 1

/* ---- keys ------------------------------------------------------------------------ */

static void bo_short(const mgi_str *s, char key[BO_KEY])
{
    char hex[65];
    mgi_sha256(s->p ? s->p : "", s->n, hex);
    memcpy(key, hex, BO_KEY - 1);
    key[BO_KEY - 1] = 0;
}

/* Both nets to the bit, the unit, the steps. */
static void bo_scene_text(const bo_all *a, int gen, int unit, mgi_str *s)
{
    const bo_unit *u = a->unit + unit;
    const bo_net *n = a->net + u->net;
    mgi_str_printf(s, "%d %s %s %s T%td", BO_FORMAT, a->gen[gen].digest, n->digest,
                   u->target, n->T);
    if (u->t.vectors[0])
        mgi_str_printf(s, " %s", u->t.vectors);
}

void bo_scene(const bo_all *a, int gen, int unit, char scene[BO_KEY])
{
    mgi_str s;
    mgi_str_init(&s, NULL);
    bo_scene_text(a, gen, unit, &s);
    bo_short(&s, scene);
    mgi_str_free(&s);
}

void bo_key(const bo_all *a, int gen, int unit, int method, uint64_t seed, char key[BO_KEY])
{
    const bo_method *m = a->method + method;
    char options[1024];
    mgi_str s;
    mgi_str_init(&s, NULL);
    bo_scene_text(a, gen, unit, &s);
    if (m->pictures) {
        mgi_str_printf(&s, " %s test %td", m->label, bo_pictures_count(a));
        bo_short(&s, key);
        mgi_str_free(&s);
        return;
    }
    mango_opt_text(&m->o, options, (mango_idx)sizeof options);
    mgi_str_printf(&s, " %s %s %s references %d classes %d seed %llu", m->o.preset, options,
                   a->gen[gen].behaviour[method], !m->no_references, !m->no_classes,
                   (unsigned long long)seed);
    mgi_str_puts(&s, a->gen[gen].ties[method] ? " ties" : "");
    if (a->noise) /* the race at the end depends on the budget */
        mgi_str_printf(&s, " noise %s budget %td", a->noise, a->budget[0]);
    bo_short(&s, key);
    mgi_str_free(&s);
}

/* ---- lines ------------------------------------------------------------------------ */

static void bo_line(const bo_result *r, mgi_str *s)
{
    mgi_str_printf(s, "{\"bench_opt\":%d,\"key\":\"%s\",\"scene\":\"%s\",", BO_FORMAT,
                   r->key, r->scene);
    cli_quote(s, "gen", r->gen);
    mgi_str_puts(s, ",");
    cli_quote(s, "net", r->net);
    mgi_str_puts(s, ",");
    cli_quote(s, "target", r->target);
    mgi_str_puts(s, ",");
    cli_quote(s, "method", r->method);
    mgi_str_printf(s,
                   ",\"T\":%td,\"seed\":%llu,\"budget\":%td,\"queries\":%td,"
                   "\"version\":\"" MANGO_VERSION "\",\"best\":",
                   r->T, (unsigned long long)r->seed, r->budget, r->queries);
    mgi_str_float(s, r->best);
    mgi_str_puts(s, ",\"curve\":[");
    for (mango_idx i = 0; i < r->n; i++) {
        mgi_str_printf(s, "%s[%td,", i ? "," : "", r->q[i]);
        mgi_str_float(s, r->y[i]);
        mgi_str_puts(s, "]");
    }
    mgi_str_puts(s, "],\"seconds\":[");
    for (int i = 0; i < r->n_mark; i++)
        mgi_str_printf(s, "%s[%td,%.5f,%.4f]", i ? "," : "", r->mark[i].q, r->mark[i].opt,
                       r->mark[i].eval);
    mgi_str_puts(s, "]}\n");
}

static int bo_get_text(const mgi_json *j, const char *key, char *to, mango_idx cap)
{
    const mgi_json_value *v = mgi_json_get(j, j->v, key);
    return v && v->kind == MGI_JSON_STRING && mgi_copy(to, cap, v->str);
}

static int bo_get_int(const mgi_json *j, const char *key, mango_idx *to)
{
    const mgi_json_value *v = mgi_json_get(j, j->v, key);
    if (!v || !v->is_int || v->i < 0 || v->i > (int64_t)1 << 40)
        return 0;
    *to = (mango_idx)v->i;
    return 1;
}

/* Number k of row i of an array of arrays; NaN where there is none. */
static double bo_get_cell(const mgi_json *j, const mgi_json_value *rows, mango_idx i,
                          mango_idx k)
{
    const mgi_json_value *row = mgi_json_at(j, rows, i);
    const mgi_json_value *v =
        row && row->kind == MGI_JSON_ARRAY ? mgi_json_at(j, row, k) : NULL;
    return v && v->kind == MGI_JSON_NUMBER ? v->d : MGI_NAN;
}

static int bo_get_curve(const mgi_json *j, bo_result *r)
{
    const mgi_json_value *c = mgi_json_get(j, j->v, "curve");
    const mgi_json_value *s = mgi_json_get(j, j->v, "seconds");
    if (!c || c->kind != MGI_JSON_ARRAY || !s || s->kind != MGI_JSON_ARRAY)
        return 0;
    r->q = calloc((size_t)c->n + 1, sizeof *r->q);
    r->y = calloc((size_t)c->n + 1, sizeof *r->y);
    for (r->n = 0; r->q && r->y && r->n < c->n; r->n++) {
        const double q = bo_get_cell(j, c, r->n, 0);
        r->y[r->n] = bo_get_cell(j, c, r->n, 1);
        if (!(q >= 1 && q <= 1e12 && mgi_is_finite(r->y[r->n])))
            return 0;
        r->q[r->n] = (mango_idx)q;
    }
    for (; r->n_mark < BO_MARKS && r->n_mark < s->n; r->n_mark++) {
        bo_mark *m = r->mark + r->n_mark;
        const double q = bo_get_cell(j, s, r->n_mark, 0);
        m->opt = bo_get_cell(j, s, r->n_mark, 1);
        m->eval = bo_get_cell(j, s, r->n_mark, 2);
        if (!(q >= 1 && q <= 1e12 && mgi_is_finite(m->opt) && mgi_is_finite(m->eval)))
            return 0;
        m->q = (mango_idx)q;
    }
    return r->q && r->y;
}

static int bo_get(const mgi_json *j, bo_result *r)
{
    mango_idx seed = 0, format = 0;
    const mgi_json_value *best = mgi_json_get(j, j->v, "best");
    if (!bo_get_int(j, "bench_opt", &format) || format != BO_FORMAT ||
        !bo_get_text(j, "key", r->key, BO_KEY) ||
        !bo_get_text(j, "scene", r->scene, BO_KEY) ||
        !bo_get_text(j, "gen", r->gen, BO_NAME) ||
        !bo_get_text(j, "net", r->net, BO_NAME) ||
        !bo_get_text(j, "target", r->target, BO_NAME) ||
        !bo_get_text(j, "method", r->method, BO_NAME) || !bo_get_int(j, "T", &r->T) ||
        !bo_get_int(j, "seed", &seed) || !bo_get_int(j, "budget", &r->budget) ||
        !bo_get_int(j, "queries", &r->queries) || !best)
        return 0;
    r->seed = (uint64_t)seed;
    r->best = best->kind == MGI_JSON_NUMBER ? best->d : MGI_NAN;
    return bo_get_curve(j, r);
}

/* ---- the store ---------------------------------------------------------------------- */

static void bo_result_free(bo_result *r)
{
    free(r->q);
    free(r->y);
}

static mango_status bo_keep(bo_store *s, bo_result *r, mango_err *err)
{
    if (s->n == s->cap) {
        const mango_idx cap = 2 * s->cap + 64;
        bo_result *more = realloc(s->r, sizeof *more * (size_t)cap);
        if (!more) {
            bo_result_free(r);
            return mgi_fail(err, MANGO_E_MEM, "results: out of memory");
        }
        s->r = more;
        s->cap = cap;
    }
    s->r[s->n++] = *r;
    return MANGO_OK;
}

/* All whole lines of a file; *good: their bytes. */
static mango_status bo_read(bo_store *s, const char *path, int64_t *good, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *text = NULL;
    mango_idx n = 0, line = 1, from = 0;
    mango_status st = mgi_file_read(path, MGI_LIMIT(1u << 30), &al, &text, &n, err);
    for (mango_idx i = 0; st >= 0 && i < n; i++) {
        mgi_json j;
        bo_result r;
        if (text[i] != '\n')
            continue;
        memset(&r, 0, sizeof r);
        int ok = mgi_json_parse(&j, (const char *)text + from, i - from, &al, NULL) >= 0;
        if (ok) {
            ok = bo_get(&j, &r);
            mgi_json_free(&j);
        }
        if (!ok)
            bo_result_free(&r);
        st = ok ? bo_keep(s, &r, err)
                : mgi_fail(err, MANGO_E_FORMAT, "%.150s line %td: no result of bench opt",
                           path, line);
        from = i + 1;
        line++;
    }
    *good = from;
    if (text)
        mgi_del(&al, text, n + 1, 1);
    return st;
}

static int bo_by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The other files of the folder, sorted by name. */
static mango_status bo_read_others(bo_store *s, const char *dir, const char *own,
                                   mango_err *err)
{
    enum { FILES = 256, LENGTH = 64 };
    char(*name)[LENGTH] = calloc(FILES, sizeof *name), path[4096];
    const char *each;
    int n = 0;
    int64_t good;
    mgi_os_folder *d = mgi_os_folder_open(dir);
    while (name && d && n < FILES && (each = mgi_os_folder_next(d)) != NULL)
        if (mgi_glob("results*.jsonl", each) && strcmp(each, own) && strlen(each) < LENGTH)
            strcpy(name[n++], each);
    mgi_os_folder_close(d);
    if (!name)
        return mgi_fail(err, MANGO_E_MEM, "results: out of memory");
    qsort(name, (size_t)n, sizeof *name, bo_by_name);
    mango_status st = MANGO_OK;
    for (int i = 0; st >= 0 && i < n; i++) {
        st = cli_join(path, (mango_idx)sizeof path, dir, name[i], err);
        if (st >= 0)
            st = bo_read(s, path, &good, err);
    }
    free(name);
    return st;
}

/* This process's own file: locked, read, its unfinished last line cut off. */
static mango_status bo_own(bo_store *s, mango_err *err)
{
    int64_t good = 0;
    MGI_TRY(mgi_applog_open(&s->log, s->path, 0, err));
    if (!s->log.f)
        return mgi_applog_open(&s->log, s->path, 1, err);
    MGI_TRY(bo_read(s, s->path, &good, err));
    return mgi_applog_cut(&s->log, good, err);
}

mango_status bo_store_open(bo_all *a, mango_err *err)
{
    char own[64] = "results.jsonl";
    if (a->of > 1)
        snprintf(own, sizeof own, "results.%d-of-%d.jsonl", a->at, a->of);
    bo_store *s = &a->store;
    MGI_TRY(cli_join(s->path, (mango_idx)sizeof s->path, a->out, own, err));
    MGI_TRY(bo_read_others(s, a->out, a->report ? "" : own, err));
    return a->report ? MANGO_OK : bo_own(s, err);
}

const bo_result *bo_store_find(const bo_store *s, const char *key)
{
    const bo_result *found = NULL;
    for (mango_idx i = 0; i < s->n; i++)
        if (!strcmp(s->r[i].key, key) && (!found || s->r[i].budget > found->budget))
            found = s->r + i;
    return found;
}

mango_status bo_store_add(bo_store *s, bo_result *r, mango_err *err)
{
    mgi_str line;
    mgi_str_init(&line, NULL);
    bo_line(r, &line);
    const int bad = line.bad;
    mango_status st = bo_keep(s, r, err);
    if (st >= 0 && bad)
        st = mgi_fail(err, MANGO_E_MEM, "results: out of memory");
    if (st >= 0)
        st = mgi_applog_append(&s->log, line.p, line.n, 0, err);
    mgi_str_free(&line);
    return st;
}

void bo_store_close(bo_store *s)
{
    mgi_applog_close(&s->log);
    for (mango_idx i = 0; i < s->n; i++)
        bo_result_free(s->r + i);
    free(s->r);
    s->r = NULL;
    s->n = s->cap = 0;
}

#undef BO_FORMAT
