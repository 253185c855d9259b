/* tesalocs.c - TESALOCS: samples of a tensor train, each improved by local search.
 *
 * A round, with the distribution p of the cores of tt.h:
 *   1. k codes are drawn from p; the best of them become starts.
 *   2. Local search: each start gets `tries` neighbours, which differ from it in one mode,
 *      by one level or by any other, one as likely as the other. It moves to the best of
 *      them if that is better. Again, at most `steps` times, while any start moves.
 *   3. The cores take k_gd steps of Adam that make the places reached more likely: down
 *          -(1/s) sum_e log p(x_e),   x_1 .. x_s where the starts have come to          (1)
 * In the paper 2. follows a gradient between the points of the grid; here there is none to
 * follow and the search stays on the grid.
 * Told values of other codes: the best of them takes the place of the worst start if it
 * is better.
 * Source: Sozykin, Chertkov, Phan, Oseledets, Ryzhakov, "High-dimensional optimization with
 * low rank tensor sampling and local search", 2025.
 * SPDX-License-Identifier: MIT */
#include "method.h"
#include "seen.h"
#include "tt.h"

#define TESA_RNG 0x54455301u
#define TESA_LEVELS ((mango_idx)1 << 24) /* most of a mode that is not quantized */
#define TESA_SEEN ((mango_idx)1 << 16)
#define TESA_DRAWS 8 /* neighbours drawn until one was not asked before */

static const mango_opt_spec tesa_option[] = {
    {"k", "codes drawn in a round", MANGO_OPT_INT, 1, 4096, 20, 0, NULL, NULL},
    {"starts", "of these improved by local search", MANGO_OPT_INT, 1, 4096, 2, 0, NULL, "k"},
    {"tries", "neighbours of a start at a step", MANGO_OPT_INT, 1, 4096, 5, 0, NULL, NULL},
    {"steps", "steps of local search at most", MANGO_OPT_INT, 0, 1 << 20, 20, 0, NULL, NULL},
    {"k_gd", "gradient steps a round", MANGO_OPT_INT, 1, 10000, 1, 0, NULL, NULL},
    {"lr", "learning rate of Adam", MANGO_OPT_REAL, 0, 1e6, 0.1, 1, NULL, NULL},
    {"r", "rank of the tensor train", MANGO_OPT_INT, 1, 256, 5, 0, NULL, NULL},
    {"quantized", "modes of 2^q levels become q modes of 2 (QTT)", MANGO_OPT_FLAG, 0, 1, 1,
     0, NULL, NULL},
};

/* Codes (cap,d) with what was told of them; y NaN: nothing. */
typedef struct tesa_codes {
    mango_idx *I, *of; /* (cap,d); (cap) of a neighbour: its start */
    uint64_t *key;
    mango_told *told;  /* y and tie count */
} tesa_codes;

typedef struct mgi_tesalocs {
    mgi_tt tt;
    mgi_arena arena, room[3];
    mgi_seen seen;
    mango_idx k, starts, tries, steps, k_gd, dq, cap, free;
    double lr;
    int quantized;
    tesa_codes slot;      /* (cap) what this step asked            */
    tesa_codes start;     /* (starts) best first in step 0          */
    tesa_codes guest;     /* (1) the best told of any other code   */
    mango_idx n_starts, given, step; /* given: of this step; step 0: drawn from p */
    mango_idx *Iq;        /* (max(starts, MGI_TT_BLOCK), dq) */
    mango_idx last, rounds; /* step of the last ask; rounds learnt from */
} mgi_tesalocs;

/* ---- codes ------------------------------------------------------------------------- */

/* Row `from` of a onto row `to` of b. */
static void tesa_copy(mango_idx d, const tesa_codes *a, mango_idx from, tesa_codes *b,
                      mango_idx to)
{
    memcpy(b->I + to * d, a->I + from * d, (size_t)d * sizeof *a->I);
    b->key[to] = a->key[from];
    b->told[to] = a->told[from];
}

static void tesa_write(mango_idx d, tesa_codes *a, mango_idx to, uint64_t key,
                       const mango_idx *I, const mango_told *told)
{
    memcpy(a->I + to * d, I, (size_t)d * sizeof *I);
    a->key[to] = key;
    a->told[to] = *told;
}

static mango_idx tesa_find(const tesa_codes *a, mango_idx n, uint64_t key)
{
    for (mango_idx i = 0; i < n; i++)
        if (a->key[i] == key)
            return i;
    return -1;
}

/* ---- a step's end ------------------------------------------------------------------ */

/* Row i of a among the starts, best first, if it is one of the best. */
static void tesa_rank(mgi_tesalocs *p, mango_idx d, const tesa_codes *a, mango_idx i)
{
    mango_idx at = p->n_starts;
    if (mgi_is_nan(a->told[i].y))
        return;
    while (at > 0 && mgi_told_better(a->told + i, p->start.told + at - 1))
        at--;
    if (at == p->starts || tesa_find(&p->start, p->n_starts, a->key[i]) >= 0)
        return;
    p->n_starts = MGI_MIN(p->n_starts + 1, p->starts);
    for (mango_idx k = p->n_starts - 1; k > at; k--)
        tesa_copy(d, &p->start, k - 1, &p->start, k);
    tesa_copy(d, a, i, &p->start, at);
}

/* Starts go to the best of their neighbours that are better; how many do. */
static mango_idx tesa_move(mgi_tesalocs *p, mango_idx d)
{
    mango_idx moved = 0;
    for (mango_idx i = 0; i < MGI_MIN(p->given, p->cap); i++) {
        const mango_idx to = p->slot.of[i];
        if (!mgi_told_better(p->slot.told + i, p->start.told + to))
            continue;
        tesa_copy(d, &p->slot, i, &p->start, to);
        moved++;
    }
    return moved;
}

/* The best of other codes in the place of the worst start. */
static void tesa_welcome(mgi_tesalocs *p, mango_idx d)
{
    mango_idx worst = 0;
    for (mango_idx i = 1; i < p->n_starts; i++)
        if (mgi_told_better(p->start.told + worst, p->start.told + i))
            worst = i;
    if (mgi_told_better(p->guest.told, p->start.told + worst) &&
        tesa_find(&p->start, p->n_starts, p->guest.key[0]) < 0)
        tesa_copy(d, &p->guest, 0, &p->start, worst);
}

/* (1): Adam towards the places that the starts have reached. */
static void tesa_learn(mango_opt *o)
{
    mgi_tesalocs *p = o->state;
    for (mango_idx i = 0; i < p->n_starts; i++) {
        mango_idx *to = p->Iq + i * p->dq;
        if (p->quantized)
            mgi_qtt_split(o->d, o->n, p->start.I + i * o->d, to);
        else
            memcpy(to, p->start.I + i * o->d, (size_t)o->d * sizeof *to);
    }
    mgi_tt_learn(&p->tt, p->k_gd, p->lr, p->n_starts, p->Iq);                          /* (1) */
    p->n_starts = 0;
    p->rounds++;
}

/* All of this step was asked: what comes now? */
static void tesa_advance(mango_opt *o)
{
    mgi_tesalocs *p = o->state;
    mango_idx moved = 1;
    if (p->step == 0) {
        for (mango_idx i = 0; i < MGI_MIN(p->given, p->cap); i++)
            tesa_rank(p, o->d, &p->slot, i);
        tesa_rank(p, o->d, &p->guest, 0);
    } else {
        moved = tesa_move(p, o->d);
        tesa_welcome(p, o->d);
    }
    p->given = 0;
    p->guest.told[0].y = MGI_NAN;
    if (p->n_starts == 0)
        return; /* no value: draw others */
    p->step++;
    if (moved && p->step <= p->steps)
        return;
    tesa_learn(o);
    p->step = 0;
}

/* ---- ask --------------------------------------------------------------------------- */

static mango_idx tesa_quota(const mgi_tesalocs *p)
{
    return p->step == 0 ? p->k : p->n_starts * p->tries;
}

/* K codes of p; the stream of each is its number. */
static void tesa_draw(const mango_opt *o, uint64_t first, mango_idx K, mango_idx *I)
{
    mgi_tesalocs *p = o->state;
    if (!p->quantized) {
        mgi_tt_sample(&p->tt, K, o->seed, first, I);
        return;
    }
    for (mango_idx k = 0; k < K; k += MGI_TT_BLOCK) {
        const mango_idx kn = MGI_MIN(MGI_TT_BLOCK, K - k);
        mgi_tt_sample(&p->tt, kn, o->seed, first + (uint64_t)k, p->Iq);
        for (mango_idx i = 0; i < kn; i++)
            mgi_qtt_join(o->d, o->n, p->Iq + i * p->dq, I + (k + i) * o->d);
    }
}

/* I with one mode of two or more levels changed, by one level or to any other. */
static void tesa_change(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    const mgi_tesalocs *p = o->state;
    mango_idx at = mango_rng_int(rng, p->free), j = 0;
    for (; o->n[j] < 2 || at > 0; j++)
        at -= o->n[j] >= 2;
    const mango_idx n = o->n[j];
    if (mango_rng_int(rng, 2)) {
        const mango_idx to = mango_rng_int(rng, n - 1);
        I[j] = to + (to >= I[j]);
        return;
    }
    const mango_idx up = mango_rng_int(rng, 2);
    I[j] += I[j] == 0 || (up && I[j] < n - 1) ? 1 : -1;
}

/* A neighbour of start i that was not asked yet, if one is found. */
static void tesa_neighbour(const mango_opt *o, uint64_t number, mango_idx i, mango_idx *I)
{
    const mgi_tesalocs *p = o->state;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, TESA_RNG, number);
    for (int draw = 0; draw < TESA_DRAWS; draw++) {
        memcpy(I, p->start.I + i * o->d, (size_t)o->d * sizeof *I);
        if (p->free > 0)
            tesa_change(o, &rng, I);
        if (!mgi_seen_find(&p->seen, mgi_seen_key(o->d, I)))
            return;
    }
}

/* What was asked is remembered, with its start; more than cap of one step are not. */
static void tesa_note(mango_opt *o, const mango_idx *I)
{
    mgi_tesalocs *p = o->state;
    const mango_told none = {0, NULL, MGI_NAN, MGI_NAN, 1, 0.0};
    const uint64_t key = mgi_seen_key(o->d, I);
    mgi_seen_put(&p->seen, key);
    if (p->given < p->cap) {
        tesa_write(o->d, &p->slot, p->given, key, I, &none);
        p->slot.of[p->given] = p->step == 0 ? 0 : p->given % p->n_starts;
    }
    p->given++;
}

static mango_status tesa_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_tesalocs *p = o->state;
    if (p->given >= tesa_quota(p))
        tesa_advance(o);
    p->last = p->step;
    *K = mgi_opt_wanted(tesa_quota(p) - p->given, cap, *K);
    if (p->step == 0)
        tesa_draw(o, o->asked, *K, I);
    for (mango_idx k = 0; k < *K; k++) {
        if (p->step > 0)
            tesa_neighbour(o, o->asked + (uint64_t)k, p->given % p->n_starts, I + k * o->d);
        tesa_note(o, I + k * o->d);
    }
    return MANGO_OK;
}

/* ---- tell -------------------------------------------------------------------------- */

static void tesa_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_tesalocs *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        const uint64_t key = mgi_seen_key(o->d, row.I);
        if (mgi_is_nan(row.y))
            continue;
        const mango_idx of = tesa_find(&p->start, p->n_starts, key);
        const mango_idx at = tesa_find(&p->slot, MGI_MIN(p->given, p->cap), key);
        if (of >= 0)
            p->start.told[of] = row;
        if (at >= 0)
            p->slot.told[at] = row;
        else if (of < 0 && mgi_told_better(&row, p->guest.told))
            tesa_write(o->d, &p->guest, 0, key, row.I, &row);
    }
}

static void tesa_restart(mango_opt *o, uint64_t epoch)
{
    mgi_tesalocs *p = o->state;
    mgi_tt_uniform(&p->tt, o->seed, epoch << 32);
    mgi_seen_clear(&p->seen);
    p->n_starts = p->given = p->step = p->rounds = 0;
    p->guest.told[0].y = MGI_NAN;
}

/* ---- words ------------------------------------------------------------------------- */

static void tesa_explain(const mango_opt *o, mgi_str *s)
{
    mgi_tesalocs *p = o->state;
    mgi_str_printf(s, "round %td, %s %td; %td starts:", p->rounds + 1,
                   p->step ? "local search, step" : "samples of the tensor train, step",
                   p->step, p->n_starts);
    for (mango_idx i = 0; i < MGI_MIN(p->n_starts, 10); i++)
        mgi_str_printf(s, " %.6g", p->start.told[i].y);
    mgi_str_puts(s, "\n");
    mgi_tt_explain(&p->tt, s);
}

static void tesa_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_tesalocs *p = o->state;
    (void)k;
    if (p->last == 0)
        mgi_str_printf(s, "a sample of the tensor train after %td rounds", p->rounds);
    else
        mgi_str_printf(s, "a neighbour of one of %td starts, step %td of local search",
                       p->n_starts, p->last);
}

/* ---- life -------------------------------------------------------------------------- */

static void tesa_destroy(mango_opt *o)
{
    mgi_tesalocs *p = o->state;
    if (!p)
        return;
    mgi_tt_free(&p->tt);
    mgi_seen_free(&p->seen);
    mgi_arena_free(&p->arena);
    for (int i = 0; i < 3; i++)
        mgi_arena_free(p->room + i);
    mgi_del(&o->al, p, 1, sizeof *p);
}

/* Room for n codes. */
static mango_status tesa_room(mango_opt *o, mgi_arena *a, tesa_codes *c, mango_idx n)
{
    mango_idx levels;
    if (!mgi_mul(n, o->d, &levels))
        return MANGO_E_MEM;
    const mgi_piece piece[] = {
        {&c->I, levels, sizeof *c->I},
        {&c->of, n, sizeof *c->of},
        {&c->key, n, sizeof *c->key},
        {&c->told, n, sizeof *c->told},
    };
    mgi_arena_init(a, &o->al);
    return mgi_arena_all(a, MGI_COUNT(piece), piece);
}

static mango_status tesa_alloc(mango_opt *o, mgi_tesalocs *p)
{
    mango_idx rows;
    if (!mgi_mul(MGI_MAX(p->starts, MGI_TT_BLOCK), p->dq, &rows))
        return MANGO_E_MEM;
    const mgi_piece piece = {&p->Iq, rows, sizeof *p->Iq};
    MGI_TRY(mgi_seen_init(&p->seen, TESA_SEEN, &o->al));
    MGI_TRY(mgi_arena_all(&p->arena, 1, &piece));
    MGI_TRY(tesa_room(o, p->room, &p->slot, p->cap));
    MGI_TRY(tesa_room(o, p->room + 1, &p->start, p->starts));
    return tesa_room(o, p->room + 2, &p->guest, 1);
}

static void tesa_options(mango_opt *o, mgi_tesalocs *p)
{
    p->k = mgi_opt_int(o, "k");
    p->starts = mgi_opt_int(o, "starts");
    p->tries = mgi_opt_int(o, "tries");
    p->steps = mgi_opt_int(o, "steps");
    p->k_gd = mgi_opt_int(o, "k_gd");
    p->lr = mgi_opt_real(o, "lr");
    p->quantized = mgi_opt_int(o, "quantized") != 0;
    p->dq = p->quantized ? mgi_qtt_modes(o->d, o->n, NULL) : o->d;
    p->cap = MGI_MAX(p->k, MGI_MIN(p->starts * p->tries, 4096));
    for (mango_idx j = 0; j < o->d; j++)
        p->free += o->n[j] >= 2;
    o->batch = MGI_MAX(p->k, p->starts * p->tries);
    o->retell = o->ties = 1;
}

static mango_status tesa_cores(mango_opt *o, mgi_tesalocs *p)
{
    mango_idx *n = mgi_new(&o->al, p->dq, sizeof *n);
    if (!n)
        return MANGO_E_MEM;
    if (p->quantized)
        mgi_qtt_modes(o->d, o->n, n);
    else
        memcpy(n, o->n, (size_t)o->d * sizeof *n);
    const mango_status st = mgi_tt_init(&p->tt, p->dq, n, mgi_opt_int(o, "r"), p->starts,
                                        &o->al);
    mgi_del(&o->al, n, p->dq, sizeof *n);
    return st;
}

static mango_status tesa_create(mango_opt *o, mango_err *err)
{
    mgi_tesalocs *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "tesalocs: out of memory");
    mgi_arena_init(&p->arena, &o->al);
    tesa_options(o, p);
    for (mango_idx j = 0; j < o->d; j++)
        MGI_CHECK(err, o->n[j] <= TESA_LEVELS || (p->quantized && !(o->n[j] & (o->n[j] - 1))),
                  "tesalocs: mode %td has %td levels; more than 2^24 must be 2^q and "
                  "quantized=1", j, o->n[j]);
    mango_status st = tesa_cores(o, p);
    if (st == MANGO_OK)
        st = tesa_alloc(o, p);
    if (st < 0)
        return mgi_fail(err, st, "tesalocs: out of memory for %td cores", p->dq);
    tesa_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_tesalocs(void)
{
    static const mgi_method method = {
        .name = "tesalocs",
        .option = tesa_option,
        .n_options = MGI_COUNT(tesa_option),
        .create = tesa_create,
        .ask = tesa_ask,
        .tell = tesa_tell,
        .restart = tesa_restart,
        .destroy = tesa_destroy,
        .explain = tesa_explain,
        .why = tesa_why,
    };
    return &method;
}

#undef TESA_RNG
#undef TESA_LEVELS
#undef TESA_SEEN
#undef TESA_DRAWS
