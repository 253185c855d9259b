/* search.c - generator, network, target and optimizer, made to fit each other.
 * SPDX-License-Identifier: MIT */
#include "../base/text.h"
#include "../net/graph.h"
#include "controls.h"
#include "objective.h"
#include "reference.h"

#define SEARCH_OPT "auto"
#define SEARCH_NOTES 32
#define SEARCH_BATCH 4096 /* a race holds a whole batch, up to this */

struct mango_search {
    mango_alloc al;
    mango_objective *objective;
    mango_derivative *derivative; /* for an optimizer that looks inside; else NULL */
    mango_session *session;
    mango_sketch *sketch;    /* NULL: nobody asked */
    mango_drawing *drawing;  /* of a search without a network, else NULL */
    mango_picture_values look;
    void *look_ud;
    float *rgb;              /* (n_rgb) a batch of its pictures */
    mango_idx n_rgb, batch, size;
    mango_evaluator f;
    void *ud;
    mango_idx d;             /* modes */
    mango_err err;
};

/* What goes into the two: options, checked and completed. */
typedef struct mgi_search_setup {
    const char *target;
    mango_objective_options oo;
    mango_session_options so;
    mango_facts facts;
    mango_space *space;
    mango_modes modes;
    mango_note note[SEARCH_NOTES];
    mango_idx n_notes;
    mgi_str T, early, controls, latents, resized;
} mgi_search_setup;

static mango_status search_eval(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_search *s = ud;
    return s->f(s->ud, K, I, y);
}

/* Values of codes by their pictures, without a network. */
static mango_status search_look(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_search *s = ud;
    for (mango_idx k = 0; k < K; k += s->batch) {
        const mango_idx m = MGI_MIN(s->batch, K - k);
        mango_status st = mango_drawing_codes(s->drawing, m, I + k * s->d, s->rgb);
        if (st < 0)
            return mgi_fail(&s->err, st, "%s", mango_drawing_error(s->drawing));
        st = s->look(s->look_ud, m, s->rgb, y + k);
        if (st != MANGO_OK)
            return st;
    }
    return MANGO_OK;
}

/* Of values that the objective gave in one call; of others nothing is known. */
static mango_status search_ties(void *ud, mango_idx K, double *tie)
{
    mango_search *s = ud;
    if (s->objective && s->objective->n_tie == K)
        return mango_objective_ties(s->objective, K, tie);
    for (mango_idx k = 0; k < K; k++)
        tie[k] = 0.0;
    return MANGO_OK;
}

/* ---- options -------------------------------------------------------------- */

static mango_status search_options(mgi_search_setup *u, const mango_objective_options *oo,
                                   const mango_session_options *so, mango_err *err)
{
    MGI_TRY(mango_objective_defaults(&u->oo));
    MGI_TRY(mango_session_defaults(SEARCH_OPT, &u->so, err));
    if (oo)
        MGI_TRY(mgi_options_in(&u->oo, sizeof u->oo, oo, "mango_search_create", err));
    if (so)
        MGI_TRY(mgi_options_in(&u->so, sizeof u->so, so, "mango_search_create", err));
    MGI_CHECK(err, u->so.n_notes >= 0 && (u->so.n_notes == 0 || u->so.notes),
              "mango_search_create: notes expected");
    return MANGO_OK;
}

/* The space and what the optimizer may know of it. */
static mango_status search_space(mgi_search_setup *u, const mango_net *gen,
                                 const mango_alloc *al, mango_err *err)
{
    mango_space_info info;
    MGI_TRY(mango_space_of(&u->space, gen, al, err));
    MGI_TRY(mango_space_get(u->space, &info));
    u->modes = info.modes;
    MGI_TRY(mango_space_facts(u->space, &u->facts));
    if (!u->so.facts)
        u->so.facts = &u->facts;
    return MANGO_OK;
}

/* For an optimizer that looks inside: the facts with a derivative. It copies weights, so
 * it comes before an objective takes them. */
static mango_status search_inside(mango_search *s, mgi_search_setup *u, const mango_net *gen,
                                  const mango_net *net, mango_err *err)
{
    if (!mango_opt_white(u->so.o.preset) || u->so.facts != &u->facts)
        return MANGO_OK;
    MGI_TRY(mango_derivative_create(&s->derivative, gen, net, u->target, &u->oo, &s->al, err));
    u->facts.gradient = mango_derivative_eval;
    u->facts.gradient_ud = s->derivative;
    return MANGO_OK;
}

/* What the optimizer is like, on this space. */
static mango_status search_optimizer(const mgi_search_setup *u, mango_opt_info *info,
                                     const mango_alloc *al, mango_err *err)
{
    mango_opt *opt = NULL;
    MGI_TRY(mango_opt_create(&opt, &u->modes, u->so.facts, &u->so.o, 0, al, err));
    const mango_status st = mango_opt_get(opt, info);
    mango_opt_destroy(opt);
    info->preset = u->so.o.preset; /* the optimizer's own went with it */
    return st;
}

/* Early stop: a race is one batch's own, of all its codes, for the optimizer's elite. */
static mango_status search_race(mgi_search_setup *u, const mango_opt_info *info,
                                mango_err *err)
{
    if (u->oo.elite == MANGO_ELITE_AUTO && info->elite == 0)
        return mgi_fail(err, MANGO_E_ARG,
                        "early stop: optimizer %s learns from every value", info->preset);
    if (u->oo.elite != 0 && (u->so.noise || u->so.repeat))
        return mgi_fail(err, MANGO_E_ARG, "early stop compares values of one presentation; "
                        "it does not go with noise");
    if (u->oo.elite == MANGO_ELITE_AUTO)
        u->oo.elite = info->elite;
    if (u->oo.elite > 0 && u->oo.batch == 0)
        u->oo.batch = MGI_MIN(info->batch, SEARCH_BATCH);
    if (u->oo.elite > 0)
        u->so.ahead = 0;
    return MANGO_OK;
}

static void search_note(mgi_search_setup *u, const char *key, const char *value)
{
    u->note[u->n_notes].key = key;
    u->note[u->n_notes].value = value;
    u->n_notes++;
}

/* What else may make the pictures others, in words; "" where it is as it always was. */
static mango_status search_drawn(mgi_search_setup *u, const mango_net *gen,
                                 const mango_objective_info *info, mango_err *err)
{
    const mgi_node *out = gen->node + gen->output;
    mango_controls c;
    MGI_TRY(mango_controls_defaults(&c));
    if (u->oo.controls)
        MGI_TRY(mgi_options_in(&c, sizeof c, u->oo.controls, "mango_controls", err));
    mgi_controls_text(&c, &u->controls);
    mgi_space_text(u->space, &u->latents);
    if (out->C != info->C || out->H != info->H || out->W != info->W)
        mgi_str_printf(&u->resized, "%tdx%tdx%td to %tdx%tdx%td", out->C, out->H, out->W,
                       info->C, info->H, info->W);
    if (u->controls.bad || u->latents.bad || u->resized.bad)
        return mgi_fail(err, MANGO_E_MEM, "search: out of memory");
    return MANGO_OK;
}

/* The facts that a resumed run must share with the journal. */
static mango_status search_notes(mgi_search_setup *u, const mango_objective_info *info,
                                 mango_err *err)
{
    mgi_str_printf(&u->T, "%td", info->T);
    mgi_str_float(&u->early, u->oo.believed);
    if (u->T.bad || u->early.bad)
        return mgi_fail(err, MANGO_E_MEM, "search: out of memory");
    search_note(u, "target", u->target);
    if (info->T > 0)
        search_note(u, "T", u->T.p);
    search_note(u, "gen", info->gen);
    if (info->T > 0)
        search_note(u, "net", info->net);
    search_note(u, "pixels", "8 bit");
    if (u->controls.n > 0)
        search_note(u, "controls", u->controls.p);
    if (u->latents.n > 0)
        search_note(u, "latents", u->latents.p);
    if (u->resized.n > 0)
        search_note(u, "resized", u->resized.p);
    if (info->vectors[0])
        search_note(u, "vectors", info->vectors);
    if (u->oo.elite > 0)
        search_note(u, "early_stop", u->early.p);
    if (u->oo.half || u->oo.int8)
        search_note(u, "weights",
                    !u->oo.int8 ? "half" : u->oo.half ? "half,int8" : "int8");
    MGI_CHECK(err, u->so.n_notes <= SEARCH_NOTES - u->n_notes,
              "search: %td notes, expected at most %td", u->so.n_notes,
              SEARCH_NOTES - u->n_notes);
    for (mango_idx i = 0; i < u->so.n_notes; i++)
        search_note(u, u->so.notes[i].key, u->so.notes[i].value);
    u->so.notes = u->note;
    u->so.n_notes = u->n_notes;
    return MANGO_OK;
}

/* ---- create and destroy --------------------------------------------------- */

/* Features of pictures among the facts, when they are asked for. */
static mango_status search_sketch(mango_search *s, mgi_search_setup *u, mango_err *err)
{
    if (!u->oo.sketch || u->so.facts != &u->facts)
        return MANGO_OK;
    MGI_TRY(mango_sketch_create(&s->sketch, s->objective->drawing, &s->al, err));
    u->facts.features = mango_sketch_codes;
    u->facts.features_ud = s->sketch;
    u->facts.features_dim = mango_sketch_dim(s->sketch);
    return MANGO_OK;
}

static mango_status search_build(mango_search *s, mgi_search_setup *u, const mango_net *gen,
                                 const mango_net *net, mango_err *err)
{
    mango_opt_info opt;
    mango_objective_info info;
    MGI_TRY(search_space(u, gen, &s->al, err));
    MGI_TRY(search_inside(s, u, gen, net, err));
    MGI_TRY(search_optimizer(u, &opt, &s->al, err));
    MGI_TRY(search_race(u, &opt, err));
    u->oo.minimize = opt.minimize;
    u->oo.ties = opt.ties && u->oo.elite == 0 && !u->so.noise;
    if (u->oo.ties && !u->so.ties) {
        u->so.ties = search_ties;
        u->so.ties_ud = s;
    }
    MGI_TRY(mango_objective_create(&s->objective, gen, net, u->target, &u->oo, &s->al, err));
    MGI_TRY(search_sketch(s, u, err));
    MGI_TRY(mango_objective_get(s->objective, &info));
    if (u->oo.elite == 0 && u->so.ahead == 0)
        u->so.ahead = info.batch;
    s->d = u->modes.d;
    MGI_TRY(search_drawn(u, gen, &info, err));
    MGI_TRY(search_notes(u, &info, err));
    return mango_session_create(&s->session, &u->modes, &u->so, search_eval, s, &s->al, err);
}

/* A search without anything yet, and the texts of its set-up. */
static mango_search *search_new(mgi_search_setup *u, const mango_alloc *al, mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    mango_search *x = mgi_new(&a, 1, sizeof *x);
    if (!x) {
        mgi_fail(err, MANGO_E_MEM, "search: out of memory");
        return NULL;
    }
    x->al = a;
    mgi_str *text[] = {&u->T, &u->early, &u->controls, &u->latents, &u->resized};
    for (mango_idx i = 0; i < MGI_COUNT(text); i++)
        mgi_str_init(text[i], &a);
    return x;
}

/* The end of a set-up that came to st. */
static mango_status search_made(mango_search **s, mango_search *x, mgi_search_setup *u,
                                mango_status st)
{
    mgi_str *text[] = {&u->T, &u->early, &u->controls, &u->latents, &u->resized};
    for (mango_idx i = 0; i < MGI_COUNT(text); i++)
        mgi_str_free(text[i]);
    mango_space_destroy(u->space);
    if (st < 0)
        mango_search_destroy(x);
    else
        *s = x;
    return st;
}

mango_status mango_search_create(mango_search **s, const mango_net *gen, const mango_net *net,
                                 const char *target, const mango_objective_options *oo,
                                 const mango_session_options *so, const mango_alloc *al,
                                 mango_err *err)
{
    mgi_search_setup u;
    MGI_CHECK(err, s, "mango_search_create: a place for the search expected");
    *s = NULL;
    MGI_CHECK(err, gen && net && target,
              "mango_search_create: generator, network and target expected");
    memset(&u, 0, sizeof u);
    u.target = target;
    MGI_TRY(search_options(&u, oo, so, err));
    mango_search *x = search_new(&u, al, err);
    if (!x)
        return MANGO_E_MEM;
    const mango_status st = search_build(x, &u, gen, net, err);
    x->f = mango_objective_eval;
    x->ud = x->objective;
    return search_made(s, x, &u, st);
}

/* ---- without a network ------------------------------------------------------ */

static mango_status search_draw(mango_search *x, mgi_search_setup *u, const mango_net *gen,
                                const mango_drawing_options *d, mango_err *err)
{
    mango_drawing_info drawn;
    mango_objective_info info;
    memset(&info, 0, sizeof info);
    MGI_TRY(search_space(u, gen, &x->al, err));
    MGI_TRY(mango_net_digest(gen, MANGO_DIGEST_ALL, info.gen));
    MGI_TRY(mango_drawing_create(&x->drawing, gen, d, &x->al, err));
    MGI_TRY(mango_drawing_get(x->drawing, &drawn));
    info.C = drawn.C;
    info.H = drawn.H;
    info.W = drawn.W;
    x->d = u->modes.d;
    x->batch = drawn.batch;
    x->size = drawn.C * drawn.H * drawn.W;
    x->n_rgb = x->batch * x->size;
    x->rgb = mgi_new(&x->al, x->n_rgb, sizeof *x->rgb);
    if (!x->rgb)
        return mgi_fail(err, MANGO_E_MEM, "search: out of memory");
    MGI_TRY(search_drawn(u, gen, &info, err));
    MGI_TRY(search_notes(u, &info, err));
    return mango_session_create(&x->session, &u->modes, &u->so, search_eval, x, &x->al, err);
}

mango_status mango_search_create_pictures(mango_search **s, const mango_net *gen,
                                          mango_picture_values f, void *ud, const char *name,
                                          const mango_drawing_options *d,
                                          const mango_session_options *so,
                                          const mango_alloc *al, mango_err *err)
{
    mgi_search_setup u;
    mango_drawing_options own;
    MGI_CHECK(err, s, "mango_search_create_pictures: a place for the search expected");
    *s = NULL;
    MGI_CHECK(err, gen && f && name,
              "mango_search_create_pictures: generator, function and name expected");
    memset(&u, 0, sizeof u);
    u.target = name;
    MGI_TRY(search_options(&u, NULL, so, err));
    MGI_TRY(mango_drawing_defaults(&own));
    if (d)
        MGI_TRY(mgi_options_in(&own, sizeof own, d, "mango_search_create_pictures", err));
    u.oo.controls = own.controls;
    mango_search *x = search_new(&u, al, err);
    if (!x)
        return MANGO_E_MEM;
    x->look = f;
    x->look_ud = ud;
    const mango_status st = search_draw(x, &u, gen, &own, err);
    x->f = search_look;
    x->ud = x;
    return search_made(s, x, &u, st);
}

void mango_search_rest(mango_search *s)
{
    if (!s)
        return;
    mango_objective_destroy(s->objective);
    mango_drawing_destroy(s->drawing);
    s->objective = NULL;
    s->drawing = NULL;
}

void mango_search_destroy(mango_search *s)
{
    if (!s)
        return;
    const mango_alloc al = s->al;
    mango_session_destroy(s->session);
    mango_sketch_destroy(s->sketch);
    mango_objective_destroy(s->objective);
    mango_derivative_destroy(s->derivative);
    mango_drawing_destroy(s->drawing);
    mgi_del(&al, s->rgb, s->n_rgb, sizeof *s->rgb);
    mgi_del(&al, s, 1, sizeof *s);
}

/* ---- run ------------------------------------------------------------------ */

mango_status mango_search_values(mango_search *s, mango_evaluator f, void *ud)
{
    MGI_REQUIRE(s);
    MGI_CHECK(&s->err, f, "mango_search_values: a function expected");
    s->f = f;
    s->ud = ud;
    return MANGO_OK;
}

/* A failure of the session, and what the objective says about it. */
static mango_status search_told(mango_search *s, mango_status st)
{
    if (st >= 0)
        return st;
    const char *why = s->objective ? mango_objective_error(s->objective)
                                   : mango_drawing_error(s->drawing);
    return mgi_fail(&s->err, st, "%.150s%s%.90s", mango_session_error(s->session),
                    why[0] ? ": " : "", why);
}

static mango_status search_awake(mango_search *s)
{
    if (s->objective || s->drawing)
        return MANGO_OK;
    return mgi_fail(&s->err, MANGO_E_STATE, "search: its objective was given up");
}

mango_status mango_search_step(mango_search *s)
{
    MGI_REQUIRE(s);
    MGI_TRY(search_awake(s));
    return search_told(s, mango_session_step(s->session));
}

mango_status mango_search_run(mango_search *s)
{
    MGI_REQUIRE(s);
    MGI_TRY(search_awake(s));
    return search_told(s, mango_session_run(s->session));
}

mango_status mango_search_best(mango_search *s, double *y, mango_idx *I, float *rgb)
{
    MGI_REQUIRE(s);
    if (mango_session_best(s->session, y, I) < 0)
        return mgi_fail(&s->err, MANGO_E_STATE, "search: nothing was found yet");
    if (!rgb)
        return MANGO_OK;
    MGI_TRY(search_awake(s));
    mango_idx *code = mgi_new(&s->al, s->d, sizeof *code);
    if (!code)
        return mgi_fail(&s->err, MANGO_E_MEM, "search: out of memory");
    mango_status st = mango_session_best(s->session, NULL, code);
    if (st == MANGO_OK && s->objective)
        st = mango_objective_picture(s->objective, code, rgb);
    else if (st == MANGO_OK)
        st = mango_drawing_codes(s->drawing, 1, code, rgb);
    mgi_del(&s->al, code, s->d, sizeof *code);
    if (st < 0)
        return mgi_fail(&s->err, st, "%s", s->objective ? mango_objective_error(s->objective)
                                                        : mango_drawing_error(s->drawing));
    return st;
}

mango_objective *mango_search_objective(mango_search *s)
{
    return s ? s->objective : NULL;
}

mango_session *mango_search_session(mango_search *s)
{
    return s ? s->session : NULL;
}

const char *mango_search_error(const mango_search *s)
{
    return s ? s->err.text : "";
}

#undef SEARCH_OPT
#undef SEARCH_NOTES
#undef SEARCH_BATCH
