/* train_job.h - one run of `mango train`, and the files that it leaves.
 * SPDX-License-Identifier: MIT */
#ifndef TRAIN_JOB_H
#define TRAIN_JOB_H

#include "cli.h"
#include "train_speed.h"
#include "../../src/base/file.h"

enum { TRAIN_NUMBERS_MOST = 48 };
typedef struct train_job {
    cli *c;
    mango_train_kind kind;
    mango_train_kind_info is; /* of this kind */
    const char *data_name, *root, *arch, *dsc_arch, *out, *from, *from_dsc, *teacher_path,
        *track, *features;
    const char *optimizer, *schedule;
    const char *readout, *dtype;
    int resume, no_val, widen;
    double v[TRAIN_NUMBERS_MOST]; /* options of the trainer that are numbers; NaN: not given */
    double memory;                /* MiB */
    mango_train_options o;
    mango_net *net, *dsc, *teacher;
    mango_data *data, *val;
    mango_trainer *t;
    char weights[4096]; /* what --out names, through a link: `out` from then on */
    char ckpt[4096], tsv[4096], svg[4096], png[4096], dsc_out[4096], command[1024];
    mgi_applog curves;   /* W.tsv, held for this process alone */
    double *seconds;     /* (epochs) taken; 0: not known       */
    double since, mark;  /* start of the run; of this epoch */
    double done0;        /* updates made before this run */
    train_speed speed;
} train_job;

/* Where it stands; the figures of epoch e, from 0. */
mango_trainer_info train_at(const train_job *j);
mango_train_row train_row(const train_job *j, mango_idx e);

/* ---- train_curves.c: W.tsv, a line an epoch ------------------------------------- */
/* Opens it for this process alone, so that one training at a time works on a W:
 * MANGO_E_ARG when another one does. */
mango_status train_curves_open(train_job *j, mango_err *err);
/* On resume: the seconds that it knows of the first `epochs` epochs. */
mango_status train_curves_seconds(train_job *j, mango_idx epochs, mango_err *err);
/* Makes it the head and a line for each epoch that is done, whatever it held. */
mango_status train_curves_write(train_job *j, mango_err *err);
/* The line of the last epoch that is done. */
mango_status train_curves_add(train_job *j, mango_err *err);
void train_curves_close(train_job *j);

/* ---- train_files.c ---------------------------------------------------------------- */
/* Their names, from --out; two links to one W have one set of files. */
mango_status train_files_name(train_job *j, mango_err *err);
/* What belongs to the end of an epoch: chart, sheet, the weights that --track keeps. */
mango_status train_files_epoch(train_job *j, const mango_train_row *r, mango_err *err);
/* The weights that --track keeps of this epoch, if it does. */
mango_status train_files_track(train_job *j, const mango_train_row *r, mango_err *err);
/* Into the network's metadata: how it came about, and its figures of epoch r. */
mango_status train_files_provenance(train_job *j, const mango_train_row *r);

#endif
