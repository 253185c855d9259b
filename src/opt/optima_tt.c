/* optima_tt.c - Optima-TT: the largest entries of a tensor train that interpolates what
 * was seen.
 *
 * A sweep to the right through the cores of a cross approximation (tt_cross.h) leaves at
 * each core the coefficients B_j by which its rows follow from those kept, so that
 *     A(i_1 .. i_d) = B_1[i_1] B_2[i_2] ... B_{d-1}[i_{d-1}] Z_d[i_d]                  (1)
 * agrees with the values where the sweep looked; values are y - y_worst, a missing one is 0.
 * Then the top-k of (1), approximately: make the cores from the right orthogonal,
 *     sum_i G_j[i] G_j[i]^T = 1,                                                       (2)
 * so that |G_1[i_1] .. G_j[i_j]| is the norm of all entries which begin with i_1 .. i_j.
 * Go through the modes, keep the k beginnings of largest norm (a beam). And the same from
 * the other side, as the beam is no exact search.
 * ask:  entries of the cores; after each sweep to the right the top-k not yet known.
 * tell: the best code since the sets were drawn goes into those of the next sweep. After
 *       a sweep that found nothing better all sets are drawn at random again.
 * Source: Chertkov, Ryzhakov, Novikov, Oseledets, "Optimization of functions given in the
 * tensor train format", 2022.
 * SPDX-License-Identifier: MIT */
#include "tt_cross.h"

static const mango_opt_spec optima_option[] = {
    MGI_TTC_OPTIONS(2),
    {"grow", "rows that a set may gain at a core", MANGO_OPT_INT, 0, 32, 1, 0, NULL, NULL},
    {"r_most", "largest rank", MANGO_OPT_INT, 1, 32, 8, 0, NULL, NULL},
    {"top", "codes proposed of each beam", MANGO_OPT_INT, 1, 4096, 10, 0, NULL, "beam"},
    {"beam", "beginnings kept", MANGO_OPT_INT, 1, 4096, 50, 0, NULL, NULL},
    {"quantized", "modes of 2^q levels become q modes of 2 (QTT)", MANGO_OPT_FLAG, 0, 1, 1,
     0, NULL, NULL},
};

/* A tensor train: core j is (n_j, r_j, r_{j+1}) at G + off[j]. */
typedef struct optima_train {
    double *G;
    mango_idx *off, *n, *r; /* (d+1) each */
} optima_train;

typedef struct mgi_optima {
    mgi_ttc c;
    mgi_arena arena;
    optima_train sweep, work; /* (1); a copy with (2), maybe read from the right */
    double shift, scale;      /* values are (y - shift) scale, within [0,1] */
    double *M, *Q, *R;        /* of (2): a core as a matrix, its QR */
    mango_idx top, beam;
    double *l, *l2, *norm;    /* (beam, most) products of the beginnings; (beam) */
    int32_t *from, *level;    /* (d, beam) the beginning it goes on from, and its level */
    mango_idx *item;          /* (2 top, o->d) codes to be proposed */
    mango_idx n_items, given; /* of these proposed; */
    mango_idx before;         /* so many of them by the last ask */
    double reached;           /* the best at the end of the last sweep with these sets */
} mgi_optima;

/* ---- the tensor train of a sweep ---------------------------------------------------- */

/* Values of this core as (1) wants them. */
static void optima_values(mgi_optima *p)
{
    mgi_ttc *c = &p->c;
    const mango_idx size = mgi_ttc_size(c);
    mgi_ttc_gather(c);
    for (mango_idx q = 0; q < size; q++) {
        const double y = c->Z[q];
        c->Z[q] = mgi_is_nan(y) ? 0.0 : 0.5 * y * p->scale - p->shift;
    }
}

/* What (y - worst)/(best - worst) needs, without overflow: half of each. */
static void optima_range(mgi_optima *p)
{
    const double range = 0.5 * p->c.best - 0.5 * p->c.worst;
    p->scale = range > 1e-300 ? 1.0 / range : 1.0;
    p->shift = 0.5 * p->c.worst * p->scale;
}

/* Core j of (1): the coefficients of its rows, of the last core its values. */
static void optima_store(mgi_optima *p)
{
    const mgi_ttc *c = &p->c;
    const mango_idx j = c->now.core, rows = c->rl[j] * c->n[j];
    const mango_idx r2 = j == c->d - 1 ? 1 : c->rl[j + 1];
    double *G = p->sweep.G + p->sweep.off[j];
    p->sweep.r[j] = c->rl[j];
    p->sweep.r[j + 1] = r2;
    for (mango_idx k = 0; k < rows; k++)
        for (mango_idx b = 0; b < r2; b++)
            G[k * r2 + b] = j == c->d - 1 ? c->Z[k] : c->B[k * c->most + b];
}

/* ---- orthogonal cores --------------------------------------------------------------- */

/* The train as it is, or from right to left: core j becomes core d-1-j, transposed. */
static void optima_copy(mgi_optima *p, int reverse)
{
    const optima_train *s = &p->sweep;
    optima_train *w = &p->work;
    const mango_idx d = p->c.d;
    w->r[d] = w->off[d] = 0;
    for (mango_idx j = 0, off = 0; j < d; j++) {
        const mango_idx from = reverse ? d - 1 - j : j, n = s->n[from];
        const mango_idx r1 = s->r[from], r2 = s->r[from + 1];
        const double *G = s->G + s->off[from];
        w->off[j] = off;
        w->n[j] = n;
        w->r[j] = reverse ? r2 : r1;
        w->r[j + 1] = reverse ? r1 : r2;
        for (mango_idx i = 0; i < n; i++)
            for (mango_idx a = 0; a < r1; a++)
                for (mango_idx b = 0; b < r2; b++)
                    w->G[off + i * r1 * r2 + (reverse ? b * r1 + a : a * r2 + b)] =
                        G[(i * r1 + a) * r2 + b];
        off += n * p->c.most * p->c.most;
    }
}

/* Core j, as the matrix M of rows (i, b) and columns a, is Q R: Q stays, with its columns as
 * rows of the core; R (C,r1) goes to the core before. C is its new rank. */
static mango_idx optima_split(mgi_optima *p, mango_idx j)
{
    optima_train *w = &p->work;
    const mango_idx n = w->n[j], r1 = w->r[j], r2 = w->r[j + 1], rows = n * r2;
    const mango_idx C = MGI_MIN(rows, r1);
    double *G = w->G + w->off[j];
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx b = 0; b < r2; b++)
            for (mango_idx a = 0; a < r1; a++)
                p->M[(i * r2 + b) * r1 + a] = G[(i * r1 + a) * r2 + b];
    for (mango_idx k = 0; rows < r1 && k < rows * rows; k++)
        p->Q[k] = k / rows == k % rows ? 1.0 : 0.0;
    if (rows >= r1) {
        memcpy(p->c.A, p->M, (size_t)(rows * r1) * sizeof *p->M);
        mgi_qr(rows, r1, p->c.A, p->Q);
    }
    for (mango_idx c = 0; c < C; c++)
        for (mango_idx a = 0; a < r1; a++) {
            double s = 0.0;
            for (mango_idx k = 0; k < rows; k++)
                s += p->Q[k * C + c] * p->M[k * r1 + a];
            p->R[c * r1 + a] = s;
        }
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx c = 0; c < C; c++)
            for (mango_idx b = 0; b < r2; b++)
                G[(i * C + c) * r2 + b] = p->Q[(i * r2 + b) * C + c];
    return C;
}

/* Core j (n, r1, r2) times R^T (r2,C), R scaled to 1: only ratios count. */
static void optima_absorb(mgi_optima *p, mango_idx j, mango_idx C)
{
    optima_train *w = &p->work;
    const mango_idx rows = w->n[j] * w->r[j], r2 = w->r[j + 1];
    double *G = w->G + w->off[j], most = 0.0;
    for (mango_idx k = 0; k < C * r2; k++)
        most = MGI_MAX(most, fabs(p->R[k]));
    const double scale = most > 1e-300 ? 1.0 / most : 1.0;
    memcpy(p->M, G, (size_t)(rows * r2) * sizeof *G);
    for (mango_idx k = 0; k < rows; k++)
        for (mango_idx c = 0; c < C; c++) {
            double s = 0.0;
            for (mango_idx b = 0; b < r2; b++)
                s += p->M[k * r2 + b] * p->R[c * r2 + b];
            G[k * C + c] = s * scale;
        }
    w->r[j + 1] = C;
}

/* (2) for all cores but the first. */
static void optima_orthogonal(mgi_optima *p)
{
    for (mango_idx j = p->c.d - 1; j > 0; j--)
        optima_absorb(p, j - 1, optima_split(p, j));
}

/* ---- the beam ----------------------------------------------------------------------- */

/* l G_j[i], for one level; its norm squared. */
static double optima_extend(const optima_train *w, mango_idx j, mango_idx i, const double *l,
                            double *to)
{
    const mango_idx r1 = w->r[j], r2 = w->r[j + 1];
    const double *G = w->G + w->off[j] + i * r1 * r2;
    double norm = 0.0;
    for (mango_idx b = 0; b < r2; b++) {
        double s = 0.0;
        for (mango_idx a = 0; a < r1; a++)
            s += l[a] * G[a * r2 + b];
        to[b] = s;
        norm += s * s;
    }
    return norm;
}

/* A beginning into the list of n best, largest norm first; of equal ones the first. */
static mango_idx optima_insert(mgi_optima *p, mango_idx j, mango_idx n, double norm,
                               mango_idx from, mango_idx level)
{
    int32_t *f = p->from + j * p->beam, *l = p->level + j * p->beam;
    mango_idx at = n;
    if (n == p->beam && !(norm > p->norm[n - 1]))
        return n;
    while (at > 0 && norm > p->norm[at - 1])
        at--;
    n = MGI_MIN(n + 1, p->beam);
    for (mango_idx k = n - 1; k > at; k--) {
        p->norm[k] = p->norm[k - 1];
        f[k] = f[k - 1];
        l[k] = l[k - 1];
    }
    p->norm[at] = norm;
    f[at] = (int32_t)from;
    l[at] = (int32_t)level;
    return n;
}

/* The whole beam; how many codes it ends with. */
static mango_idx optima_search(mgi_optima *p)
{
    const mango_idx most = p->c.most;
    mango_idx n = 1;
    p->l[0] = 1.0;
    for (mango_idx j = 0; j < p->c.d; j++) {
        mango_idx m = 0;
        for (mango_idx k = 0; k < n; k++)
            for (mango_idx i = 0; i < p->work.n[j]; i++) {
                const double norm = optima_extend(&p->work, j, i, p->l + k * most, p->l2);
                m = optima_insert(p, j, m, norm, k, i);
            }
        const double scale = p->norm[0] > 1e-300 ? 1.0 / sqrt(p->norm[0]) : 1.0;
        for (mango_idx k = 0; k < m; k++) {
            const mango_idx at = j * p->beam + k;
            double *to = p->l2 + k * most;
            optima_extend(&p->work, j, p->level[at], p->l + p->from[at] * most, to);
            for (mango_idx b = 0; b < p->work.r[j + 1]; b++)
                to[b] *= scale; /* only ratios count */
        }
        memcpy(p->l, p->l2, (size_t)(m * most) * sizeof *p->l);
        n = m;
    }
    return n;
}

/* The beam's best codes that were not seen yet become items. */
static void optima_items(mgi_optima *p, mango_idx n, int reverse)
{
    const mango_idx d = p->c.d, end = p->n_items + p->top;
    for (mango_idx k = 0; k < n && p->n_items < end; k++) {
        mango_idx *I = p->item + p->n_items * p->c.o->d;
        for (mango_idx j = d - 1, at = k; j >= 0; j--) {
            p->c.Iq[reverse ? d - 1 - j : j] = p->level[j * p->beam + at];
            at = p->from[j * p->beam + at];
        }
        mgi_ttc_code(&p->c, I);
        const uint64_t key = mgi_seen_key(p->c.o->d, I);
        if (mgi_seen_find(&p->c.seen, key))
            continue;
        mgi_seen_put(&p->c.seen, key);
        p->n_items++;
    }
}

/* A sweep that found nothing better was the last with these sets. */
static void optima_patience(mgi_optima *p)
{
    p->c.renew = p->c.best <= p->reached;
    p->reached = p->c.renew ? MGI_NAN : p->c.best;
}

static void optima_propose(mgi_optima *p)
{
    p->n_items = p->given = 0;
    for (int reverse = 0; reverse < 2; reverse++) {
        optima_copy(p, reverse);
        optima_orthogonal(p);
        optima_items(p, optima_search(p), reverse);
    }
}

/* ---- ask and tell ------------------------------------------------------------------- */

/* The entries of a core were all asked: its rows; at the end of a sweep to the right the
 * top-k; where the direction turns the best code joins the sets to come. */
static void optima_learn(mango_opt *o)
{
    mgi_optima *p = o->state;
    mgi_ttc *c = &p->c;
    const mango_idx last = c->now.right ? c->d - 1 : 0;
    if (c->d < 2 || c->told == 0)
        return;
    if (c->now.core == (c->now.right ? 0 : c->d - 1))
        optima_range(p);
    optima_values(p);
    if (c->now.core != last)
        mgi_ttc_choose(c);
    if (c->now.right)
        optima_store(p);
    if (c->now.right && c->now.core == last)
        optima_propose(p);
    if (c->now.right && c->now.core == last)
        optima_patience(p);
    if (c->now.core == last)
        mgi_ttc_plant(c);
}

static mango_status optima_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_optima *p = o->state;
    const size_t row = (size_t)o->d * sizeof *I;
    const mango_idx wanted = *K;
    mgi_ttc_advance(&p->c);
    const mango_idx n = MGI_MIN(p->n_items - p->given, mgi_opt_wanted(o->batch, cap, wanted));
    memcpy(I, p->item + p->given * o->d, (size_t)n * row);
    p->given += n;
    p->before = *K = n;
    if (n > 0 && (wanted == 0 || wanted == n))
        return MANGO_OK;
    mango_idx more = wanted - n;
    if (wanted == 0)
        more = 0;
    mgi_ttc_ask(&p->c, cap - n, &more, I + n * o->d);
    *K = n + more;
    return MANGO_OK;
}

static void optima_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_optima *p = o->state;
    mgi_ttc_tell(&p->c, t);
}

static void optima_restart(mango_opt *o, uint64_t epoch)
{
    mgi_optima *p = o->state;
    p->n_items = p->given = 0;
    p->reached = MGI_NAN;
    mgi_ttc_restart(&p->c, epoch << 32);
}

static void optima_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_optima *p = o->state;
    mgi_ttc_explain(&p->c, s);
    mgi_str_printf(s, "%td of the %td codes that the last tensor train promised most were "
                   "proposed\n", p->given, p->n_items);
}

static void optima_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_optima *p = o->state;
    if (k >= p->before)
        mgi_ttc_why(&p->c, k - p->before, s);
    else
        mgi_str_printf(s, "number %td of the codes that the tensor train of the last sweep "
                       "promises most", p->given - p->before + k + 1);
}

/* ---- life --------------------------------------------------------------------------- */

static void optima_destroy(mango_opt *o)
{
    mgi_optima *p = o->state;
    if (!p)
        return;
    mgi_ttc_free(&p->c);
    mgi_arena_free(&p->arena);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status optima_alloc(mango_opt *o, mgi_optima *p)
{
    const mgi_ttc *c = &p->c;
    const mango_idx d = c->d, most = c->most;
    mango_idx levels = 0, path, items;
    if (!mgi_mul(d + 1, p->beam, &path) || !mgi_mul(2 * p->top, o->d, &items))
        return MANGO_E_MEM;
    for (mango_idx j = 0; j < d; j++)
        levels += c->n[j];
    const mango_idx size = levels * most * most, beam = p->beam * most;
    const mgi_piece piece[] = {
        {&p->sweep.G, size, sizeof(double)},         {&p->work.G, size, sizeof(double)},
        {&p->sweep.off, d + 1, sizeof(mango_idx)},   {&p->work.off, d + 1, sizeof(mango_idx)},
        {&p->sweep.n, d + 1, sizeof(mango_idx)},     {&p->work.n, d + 1, sizeof(mango_idx)},
        {&p->sweep.r, d + 1, sizeof(mango_idx)},     {&p->work.r, d + 1, sizeof(mango_idx)},
        {&p->M, c->size, sizeof(double)},            {&p->Q, c->size, sizeof(double)},
        {&p->R, most * most, sizeof(double)},        {&p->l, beam, sizeof(double)},
        {&p->l2, beam, sizeof(double)},              {&p->norm, p->beam, sizeof(double)},
        {&p->from, path, sizeof(int32_t)},           {&p->level, path, sizeof(int32_t)},
        {&p->item, items, sizeof(mango_idx)},
    };
    return mgi_arena_all(&p->arena, MGI_COUNT(piece), piece);
}

static mango_status optima_create(mango_opt *o, mango_err *err)
{
    mgi_optima *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", o->opt.preset);
    mgi_arena_init(&p->arena, &o->al);
    p->c.learn = optima_learn;
    p->c.grow = mgi_opt_int(o, "grow");
    p->top = mgi_opt_int(o, "top");
    p->beam = mgi_opt_int(o, "beam");
    const mango_idx most = MGI_MAX(mgi_opt_int(o, "r"), mgi_opt_int(o, "r_most"));
    MGI_TRY(mgi_ttc_init(&p->c, o, most, (int)mgi_opt_int(o, "quantized"), 1, err));
    if (optima_alloc(o, p) < 0)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for a beam of %td",
                        o->opt.preset, p->beam);
    for (mango_idx j = 0, off = 0; j < p->c.d; j++) {
        p->sweep.off[j] = off;
        p->sweep.n[j] = p->c.n[j];
        off += p->c.n[j] * p->c.most * p->c.most;
    }
    optima_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_optima_tt(void)
{
    static const mgi_method method = {
        .name = "optima-tt",
        .option = optima_option,
        .n_options = MGI_COUNT(optima_option),
        .create = optima_create,
        .ask = optima_ask,
        .tell = optima_tell,
        .restart = optima_restart,
        .destroy = optima_destroy,
        .explain = optima_explain,
        .why = optima_why,
    };
    return &method;
}
