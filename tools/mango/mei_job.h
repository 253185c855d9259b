/* mei_job.h - one search of `mango mei`: what was asked for, and what runs.
 *
 * verb_mei.c     help and options
 * mei_search.c   a search from its options to its files
 * mei_tell.c     what is printed of it
 * mei_wish.c     controls of the pictures, latents of the generator
 * mei_several.c  several searches, for pictures that differ
 * SPDX-License-Identifier: MIT */
#ifndef MEI_JOB_H
#define MEI_JOB_H

#include "mei_explain.h"
#include "mei_files.h"
#include "mei_wish.h"

typedef struct mei_several mei_several;

typedef struct mei_job {
    const char *gen_name, *net_name, *fill, *target, *opt, *opt_set, *out, *noise, *start,
        *fix, *allow;
    int64_t budget, T, batch, k, k_top, k_gd, rank, memory, leaders, elites, apart,
        stagnate;
    double lr, stop_at, early, race, seconds;
    mei_masks masks;
    int resume, minimize, half, int8;
    mango_net *gen, *net;
    mango_search *search;
    mango_objective_options oo;
    mango_session_options so;
    mei_codes codes; /* to begin with */
    mei_run run;
    mei_explain explain;
    mei_wish wish;      /* of the pictures and the latents */
    int64_t seed_more;  /* added to --seed */
    mei_several *others; /* NULL: this search is the only one */
    char out_dir[512], journal[4096];
    double since, eval_seconds;
    int64_t steps; /* to be explained */
    cli *c;
} mei_job;

/* ---- mei_search.c: MANGO_OK or why it stopped, all files written; nets, search and files
 * are freed by mei_end. */
mango_status mei_search(mei_job *j, mango_err *err);
void mei_end(mei_job *j);

/* ---- mei_tell.c */
void mei_tell(mei_job *j, cli *c);
/* The command as a shell takes it: quotes where they are needed. */
void mei_command(mei_run *r, int argc, char **argv);

/* ---- mei_several.c: --several N, and how far apart by what */
typedef struct mei_differ {
    int64_t n;          /* 0: one search            */
    double distance;    /* 0: the default           */
    const char *by;     /* picture or latent        */
} mei_differ;
int mei_several_opts(mei_differ *d, cli_opt *to);
/* All the searches of a job that was not begun, and what is printed; an exit code. */
int mei_several_run(const mei_job *job, const mei_differ *d, cli *c);
/* Values y (K) of codes I (K,d) of a search that keeps away from what was found before. */
mango_status mei_several_values(mei_several *s, mango_objective *o, mango_idx K,
                                const mango_idx *I, double *y);
/* A note on what is kept away from, for the journal. */
const mango_note *mei_several_note(const mei_several *s);

#endif
