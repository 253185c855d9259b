/* mei_files.h - what a search leaves in its folder.
 * SPDX-License-Identifier: MIT */
#ifndef MEI_FILES_H
#define MEI_FILES_H

#include "cli.h"
#include "../../src/mei/mei.h"

/* Facts of a search that its files tell. */
typedef struct mei_run {
    const char *gen, *net, *target, *opt, *out, *state; /* state: running, done, ... */
    mango_objective_info info;
    const mango_opt_options *options;
    uint64_t seed;
    const mango_session *session;
    double seconds, opt_seconds, eval_seconds; /* of this process */
    int narrow;      /* weights in fewer bits: the best picture is also looked at with   */
    double as_is;    /* them as they are; NaN: not yet                                   */
    const char *noise; /* NULL: none */
    double truth;      /* the best code's value without noise; NaN: not yet, or no noise */
    mango_idx elites, apart; /* how many, modes in which they differ; apart 0: an eighth */
    char before[32]; /* how the process before ended, when this one resumes; "": first */
    const char *controls;         /* of the pictures, "": none  */
    char latents[96], resized[64]; /* "": codes; as drawn       */
    char command[1024];
} mei_run;

/* run.json: options, hashes, versions, and the result so far. */
mango_status mei_save_run(const mei_run *r, mango_err *err);
/* The state that DIR/run.json tells, "" without one. "running" of a process that is
 * no more: it was killed. */
void mei_last_state(const char *dir, char *state, mango_idx cap);
/* scores.tsv, codes.npy, elites.npy, elites.tsv, best.png, best.npy, progress.gif, curve.svg,
 * report.html; each is written beside its target, then renamed. */
mango_status mei_save_all(const mei_run *r, mango_objective *o, mango_err *err);
/* The object that --json prints, without the closing brace. */
void mei_json(const mei_run *r, mgi_str *s);

/* ---- mei_codes.c */
typedef struct mei_codes {
    mango_idx n, *I; /* (n,d) */
} mei_codes;
/* Codes of a .npy, or the elites in the folder of another search, of any levels. */
mango_status mei_codes_read(mei_codes *c, const char *what, const mango_net *gen,
                            mango_err *err);
void mei_codes_free(mei_codes *c);
/* Levels that the codes may have: the facts of the space with masks. Zeros before. */
typedef struct mei_masks {
    mango_space *space;
    mango_facts facts;
    mango_idx n; /* levels of all modes */
    unsigned char *allowed;
} mei_masks;
/* --fix and --allow, each may be NULL. Free is legal after a failure. */
mango_status mei_masks_read(mei_masks *m, const char *fix, const char *file,
                            const mango_net *gen, mango_err *err);
void mei_masks_free(mei_masks *m);
mango_status mei_save_elites(const mei_run *r, mango_err *err);

#endif
