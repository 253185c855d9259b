/* child.c - several optimizers as the parts of one.
 * SPDX-License-Identifier: MIT */
#include "child.h"
#include "elite.h"

#define CHILD_SEED 0x9e3779b97f4a7c15u /* between the seeds of two parts */

/* ---- life ----------------------------------------------------------------- */

static mango_status child_create(mgi_children *c, const mango_opt *o,
                                 const mango_facts *facts, const mgi_part *part,
                                 mango_err *err)
{
    mango_opt_options own;
    const mango_modes modes = {o->d, o->n};
    const uint64_t seed = o->seed + (uint64_t)(c->n + 1) * CHILD_SEED;
    MGI_TRY(mango_opt_defaults(part->preset, &own, err));
    if (part->options)
        MGI_TRY(mango_opt_parse(&own, part->options, err));
    MGI_TRY(mango_opt_create(&c->opt[c->n], &modes, facts, &own, seed, &o->al, err));
    c->shares[c->n] = part->shares;
    c->n++;
    return MANGO_OK;
}

MGI_FN mango_status mgi_children_create(mgi_children *c, const mango_opt *o,
                                        const mango_facts *facts, int n,
                                        const mgi_part *part, mango_err *err)
{
    assert(n >= 1 && n <= MGI_CHILDREN);
    c->n = 0;
    c->route = mgi_new(&o->al, MGI_ROUTES, sizeof *c->route);
    c->latest = mgi_new(&o->al, MGI_ROUTES, sizeof *c->latest);
    c->id = mgi_new(&o->al, MGI_CHILD_ROWS, sizeof *c->id);
    c->told = mgi_new(&o->al, MGI_CHILD_ROWS, sizeof *c->told);
    if (!c->route || !c->latest || !c->id || !c->told)
        return mgi_fail(err, MANGO_E_MEM, "optimizer: out of memory for its parts");
    for (int i = 0; i < n; i++)
        MGI_TRY(child_create(c, o, facts, part + i, err));
    return MANGO_OK;
}

MGI_FN void mgi_children_destroy(mgi_children *c, const mango_alloc *al)
{
    for (int i = 0; i < c->n; i++)
        mango_opt_destroy(c->opt[i]);
    mgi_del(al, c->route, MGI_ROUTES, sizeof *c->route);
    mgi_del(al, c->latest, MGI_ROUTES, sizeof *c->latest);
    mgi_del(al, c->id, MGI_CHILD_ROWS, sizeof *c->id);
    mgi_del(al, c->told, MGI_CHILD_ROWS, sizeof *c->told);
    memset(c, 0, sizeof *c);
}

MGI_FN void mgi_children_restart(mgi_children *c)
{
    for (int i = 0; i < c->n; i++)
        mango_opt_restart(c->opt[i]);
}

/* ---- ask ------------------------------------------------------------------ */

MGI_FN mango_status mgi_children_ask(mgi_children *c, int who, uint64_t first, mango_idx K,
                                     mango_idx *I)
{
    mango_opt *part = c->opt[who];
    for (mango_idx done = 0; done < K;) {
        mango_idx n = MGI_MIN(K - done, MGI_CHILD_ROWS);
        MGI_TRY(mango_opt_ask_ids(part, n, &n, I + done * part->d, c->id));
        for (mango_idx k = 0; k < n; k++) {
            const uint64_t id = first + (uint64_t)(done + k);
            mgi_route *r = c->route + id % MGI_ROUTES;
            r->id = id + 1;
            r->own = c->id[k];
            r->who = who;
            r->hash = mgi_code_hash(part->d, I + (done + k) * part->d);
            c->latest[r->hash % MGI_ROUTES] = id + 1;
        }
        done += n;
    }
    return MANGO_OK;
}

static const mgi_route *child_route(const mgi_children *c, uint64_t id)
{
    const mgi_route *r = c->route + id % MGI_ROUTES;
    return id != MANGO_UNASKED && r->id == id + 1 ? r : NULL;
}

/* The route of what is told; NULL: none is known. */
static const mgi_route *child_found(const mgi_children *c, const mango_told *t, mango_idx d)
{
    if (t->id != MANGO_UNASKED)
        return child_route(c, t->id);
    const uint64_t hash = mgi_code_hash(d, t->I), id = c->latest[hash % MGI_ROUTES];
    const mgi_route *r = id ? child_route(c, id - 1) : NULL;
    return r && r->hash == hash ? r : NULL;
}

MGI_FN int mgi_children_whose(const mgi_children *c, const mango_told *t, mango_idx d)
{
    const mgi_route *r = child_found(c, t, d);
    return r ? r->who : -1;
}

/* ---- tell ----------------------------------------------------------------- */

/* What part `who` is told of row k; 0: nothing. */
static int child_row(const mgi_children *c, int who, const mgi_tells *t, mango_idx k,
                     mango_told *to)
{
    *to = mgi_told_at(t, k);
    const mgi_route *r = child_found(c, to, t->d);
    if ((!r || r->who != who) && !c->shares[who])
        return 0;
    to->id = r && r->who == who ? r->own : MANGO_UNASKED;
    return 1;
}

MGI_FN void mgi_children_tell(mgi_children *c, const mgi_tells *t)
{
    for (int i = 0; i < c->n; i++) {
        mango_idx n = 0;
        for (mango_idx k = 0; k < t->n; k++) {
            n += child_row(c, i, t, k, c->told + n);
            if (n == MGI_CHILD_ROWS || (k == t->n - 1 && n > 0)) {
                const mango_status st = mango_opt_tell_all(c->opt[i], n, c->told);
                assert(st == MANGO_OK);
                (void)st;
                n = 0;
            }
        }
    }
}

/* ---- for people ----------------------------------------------------------- */

MGI_FN void mgi_children_explain(const mgi_children *c, mgi_str *s)
{
    for (int i = 0; i < c->n; i++) {
        const mango_opt *part = c->opt[i];
        if (!part->method->explain)
            continue;
        mgi_str_printf(s, "%s:\n", part->opt.preset);
        part->method->explain(part, s);
    }
}

MGI_FN void mgi_children_why(const mgi_children *c, uint64_t id, mgi_str *s)
{
    const mgi_route *r = child_route(c, id);
    if (!r)
        return;
    const mango_opt *part = c->opt[r->who];
    const uint64_t first = part->asked - (uint64_t)part->last;
    mgi_str_puts(s, part->opt.preset);
    if (!part->method->why || r->own < first || r->own >= part->asked)
        return;
    mgi_str_puts(s, ": ");
    part->method->why(part, (mango_idx)(r->own - first), s);
}

#undef CHILD_SEED
