/* mei_search.c - one search: its options, nets and journal, the run, its files.
 * SPDX-License-Identifier: MIT */
#include "mei_job.h"
#include <math.h>
#include <stdlib.h>

/* The objective, timed. */
static mango_status mei_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mei_job *j = ud;
    mei_explain_ask(&j->explain, j->run.session);
    double t0 = cli_now();
    mango_status st = mango_objective_eval(mango_search_objective(j->search), K, I, y);
    if (st == MANGO_OK && j->others)
        st = mei_several_values(j->others, mango_search_objective(j->search), K, I, y);
    j->eval_seconds += cli_now() - t0;
    return st;
}

static int mei_observe(void *ud, const mango_session *s)
{
    mei_job *j = ud;
    mango_session_info si;
    char text[96];
    mango_session_get(s, &si);
    double fresh = (double)(si.queries - si.replayed);
    snprintf(text, sizeof text, "queries  best %.5g  %.0f/s", si.best,
             fresh / MGI_MAX(cli_now() - j->since, 1e-9));
    mei_explain_tell(&j->explain, s);
    cli_progress(j->c, j->since, (double)si.replayed, (double)si.queries, (double)si.budget,
                 text);
    return cli_interrupted();
}

static mango_status mei_open(mei_job *j, mango_err *err)
{
    const int blank_gen = cli_is_blank(j->gen_name), blank_net = cli_is_blank(j->net_name);
    if (j->fill && !blank_gen && !blank_net)
        return mgi_fail(err, MANGO_E_ARG,
                        "--fill goes with zoo:NAME or a graph's text only");
    MGI_TRY(cli_net_open(&j->gen, j->gen_name, blank_gen ? j->fill : NULL, err));
    return cli_net_open(&j->net, j->net_name, blank_net ? j->fill : NULL, err);
}

/* What becomes of the generator's pictures, for the files. */
static mango_status mei_pictures(mei_job *j, mango_err *err)
{
    mango_space *space = NULL;
    mango_space_info s;
    const mango_layer out = cli_layer(j->gen, -1);
    const mango_layer in = cli_layer(j->net, cli_info(j->net).input);
    MGI_TRY(mango_space_of(&space, j->gen, NULL, err));
    mango_space_get(space, &s);
    if (!s.codebook)
        snprintf(j->run.latents, sizeof j->run.latents, "%td of %td levels on [%g, %g]",
                 s.modes.d, s.modes.n[0], s.lo, s.hi);
    mango_space_destroy(space);
    if (out.C != in.C || out.H != in.H || out.W != in.W)
        snprintf(j->run.resized, sizeof j->run.resized, "%tdx%tdx%td made %tdx%tdx%td", out.C,
                 out.H, out.W, in.C, in.H, in.W);
    j->run.controls = j->wish.text;
    return MANGO_OK;
}

/* Options of the objective from the command line. */
static mango_status mei_looking(mei_job *j)
{
    mango_objective_options *oo = &j->oo;
    MGI_TRY(mango_objective_defaults(oo));
    oo->T = (mango_idx)j->T;
    oo->batch = (mango_idx)j->batch;
    oo->memory = MGI_LIMIT((uint64_t)j->memory << 20);
    oo->half = j->half;
    oo->int8 = j->int8;
    oo->controls = mei_wish_controls(&j->wish);
    if (j->early > 0) {
        oo->elite = MANGO_ELITE_AUTO;
        oo->believed = j->early;
    }
    return MANGO_OK;
}

/* Optimizer options from the preset and the command line. */
static mango_status mei_options(mei_job *j, mango_err *err)
{
    mango_session_options *so = &j->so;
    MGI_TRY(mango_session_defaults(j->opt, so, err));
    const struct { const char *name; double value; } set[] = {
        {"k", (double)j->k}, {"k_top", (double)j->k_top}, {"k_gd", (double)j->k_gd},
        {"lr", j->lr}, {"r", (double)j->rank}, {"minimize", j->minimize}};
    for (mango_idx i = 0; i < MGI_COUNT(set); i++)
        if (set[i].value > 0)
            MGI_TRY(mango_opt_set(&so->o, set[i].name, set[i].value, err));
    if (j->opt_set)
        MGI_TRY(mango_opt_parse(&so->o, j->opt_set, err));
    so->seed = (uint64_t)(j->c->seed + j->seed_more);
    so->budget = j->budget;
    so->stop_at = j->stop_at;
    so->observe = mei_observe;
    so->observe_ud = j;
    so->resume = j->resume;
    so->noise = j->noise;
    so->race = j->race;
    so->race_leaders = j->leaders;
    so->stagnate = j->stagnate;
    so->seconds = j->seconds;
    if (j->others) {
        so->notes = mei_several_note(j->others);
        so->n_notes = so->notes != NULL;
    }
    so->sync = 2; /* the networks would give the same values again */
    return MANGO_OK;
}

static void mei_default_out(mei_job *j)
{
    snprintf(j->out_dir, sizeof j->out_dir, "mei-%.100s-%s-%lld", j->target, j->opt,
             (long long)j->c->seed);
    for (char *p = j->out_dir; *p; p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
                    *p))
            *p = '-';
    j->out = j->out_dir;
}

/* Make the folder, the search with its journal, and a first run.json. */
static mango_status mei_start(mei_job *j, mango_err *err)
{
    MGI_TRY(cli_mkdir(j->out, err));
    if (j->resume)
        mei_last_state(j->out, j->run.before, (mango_idx)sizeof j->run.before);
    MGI_TRY(mango_search_create(&j->search, j->gen, j->net, j->target, &j->oo, &j->so, NULL,
                                err));
    MGI_TRY(mango_search_values(j->search, mei_evaluate, j));
    j->run.session = mango_search_session(j->search);
    MGI_TRY(mango_objective_get(mango_search_objective(j->search), &j->run.info));
    return mei_save_run(&j->run, err);
}

/* Open and check everything; whatever is refused leaves no trace. */
static mango_status mei_begin(mei_job *j, mango_err *err)
{
    MGI_TRY(mei_options(j, err));
    MGI_TRY(mei_wish_read(&j->wish, err));
    MGI_TRY(mei_looking(j));
    MGI_TRY(mei_open(j, err));
    MGI_TRY(mei_wish_latents(&j->wish, j->gen, err));
    MGI_TRY(mei_pictures(j, err));
    if (j->start)
        MGI_TRY(mei_codes_read(&j->codes, j->start, j->gen, err));
    if (j->fix || j->allow) {
        MGI_TRY(mei_masks_read(&j->masks, j->fix, j->allow, j->gen, err));
        j->so.facts = &j->masks.facts;
    }
    j->so.start = j->codes.I;
    j->so.n_start = j->codes.n;
    if (!j->out)
        mei_default_out(j);
    MGI_TRY(
        cli_join(j->journal, (mango_idx)sizeof j->journal, j->out, "journal.jsonl", err));
    j->so.journal = j->journal;
    j->run.gen = j->gen_name;
    j->run.net = j->net_name;
    j->run.target = j->target;
    j->run.opt = j->opt;
    j->run.out = j->out;
    j->run.noise = j->noise;
    j->run.truth = NAN;
    j->run.elites = j->elites;
    j->run.apart = j->apart;
    j->run.narrow = j->half || j->int8;
    j->run.as_is = NAN;
    j->run.options = &j->so.o;
    j->run.seed = j->so.seed;
    j->run.state = "running";
    const mango_idx new_folder = cli_missing(j->out);
    mango_status st = mei_start(j, err);
    if (st >= 0)
        return st;
    mango_search_destroy(j->search);
    j->search = NULL;
    cli_rmdir(j->out, new_folder); /* with a journal in it, it stays */
    return st == MANGO_E_STATE ? MANGO_E_ARG : st; /* refused input, not a failure of ours */
}

/* The value of a picture for the network in its file, which must be the one that was
 * searched. */
static mango_status mei_look_again(mei_job *j, const float *rgb, mango_err *err)
{
    mango_objective_options oo;
    mango_objective_info now;
    mango_objective *o = NULL;
    MGI_TRY(mango_objective_defaults(&oo));
    oo.T = j->oo.T;
    oo.batch = 1;
    oo.memory = j->oo.memory;
    MGI_TRY(cli_net_open(&j->net, j->net_name,
                         cli_is_blank(j->net_name) ? j->fill : NULL, err));
    mango_status st = mango_objective_create(&o, NULL, j->net, j->target, &oo, NULL, err);
    if (st >= 0)
        st = mango_objective_get(o, &now);
    if (st >= 0 && strcmp(now.net, j->run.info.net))
        st = mgi_fail(err, MANGO_E_STATE,
                      "%.100s: was replaced by another network while the search ran; what "
                      "the best picture gives with the weights as they are is not known",
                      j->net_name);
    if (st >= 0)
        st = mango_objective_look(o, 1, rgb, &j->run.as_is);
    mango_objective_destroy(o);
    return st;
}

/* With weights in fewer bits: what the best picture gives with the weights as they are. The
 * network is read again, since they were given away, when the search needs its own no more. */
static mango_status mei_as_is(mei_job *j, mango_err *err)
{
    const mango_objective_info *f = &j->run.info;
    float *rgb = calloc((size_t)(f->C * f->H * f->W), sizeof *rgb);
    if (!rgb)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a picture");
    const int found = mango_search_best(j->search, NULL, NULL, rgb) >= 0;
    mango_search_rest(j->search);
    mango_net_destroy(j->net);
    j->net = NULL;
    const mango_status st = found ? mei_look_again(j, rgb, err) : MANGO_OK;
    free(rgb);
    return st;
}

/* How it ended, in a word or two. */
static const char *mei_state(mango_status st)
{
    switch (st) {
    case MANGO_STOP_USER: return "interrupted";
    case MANGO_STOP_TARGET: return "target reached";
    case MANGO_STOP_SPACE: return "nothing new";
    case MANGO_STOP_STAGNATION: return "stagnation";
    case MANGO_STOP_TIME: return "time is up";
    default: return "done";
    }
}

/* What the best code gives without noise: one evaluation beyond the budget. */
static mango_status mei_truth(mei_job *j, mango_objective *o, mango_err *err)
{
    mango_session_info si;
    mango_session_get(j->run.session, &si);
    mango_idx *I = calloc((size_t)si.d, sizeof *I);
    mango_status st = I ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "no memory for a code");
    if (st >= 0 && mango_session_best(j->run.session, NULL, I) >= 0)
        st = mango_objective_eval(o, 1, I, &j->run.truth);
    free(I);
    return st;
}

mango_status mei_search(mei_job *j, mango_err *err)
{
    mango_status st = mei_begin(j, err);
    if (st < 0)
        return st;
    (void)cli_steps(j->c, j->net, j->T);
    if (j->run.resized[0])
        cli_note(j->c, "the generator's pictures are %s (bilinear, antialiased; 3 channels to "
                       "1 by luminance)", j->run.resized);
    j->since = cli_now();
    st = mango_search_run(j->search);
    cli_progress_end(j->c);
    if (st < 0) {
        j->run.state = "failed";
        (void)mei_save_run(&j->run, NULL); /* a full disk may have no room for it either */
        return mgi_fail(err, st, "%s", mango_search_error(j->search));
    }
    j->run.seconds = cli_now() - j->since;
    j->run.eval_seconds = j->eval_seconds;
    j->run.opt_seconds = j->run.seconds - j->eval_seconds;
    j->run.state = mei_state(st);
    mango_objective *o = mango_search_objective(j->search);
    mango_objective_get(o, &j->run.info); /* how many were stopped early */
    if (j->noise)
        MGI_TRY(mei_truth(j, o, err));
    j->run.info.space = NULL; /* it goes with the objective */
    MGI_TRY(mei_save_all(&j->run, o, err));
    const mango_status as_is = j->run.narrow ? mei_as_is(j, err) : MANGO_OK;
    MGI_TRY(mei_save_run(&j->run, as_is < 0 ? NULL : err));
    return as_is < 0 ? as_is : st;
}

void mei_end(mei_job *j)
{
    mei_explain_end(&j->explain);
    mango_search_destroy(j->search);
    mei_codes_free(&j->codes);
    mei_masks_free(&j->masks);
    mango_net_destroy(j->net);
    mango_net_destroy(j->gen);
}
