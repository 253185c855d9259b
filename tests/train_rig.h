/* train_rig.h - small networks and pictures that the tests of trainers share
 * (test_train.c holds them). SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_TRAIN_RIG_H
#define MANGO_TEST_TRAIN_RIG_H
#include "test.h"

enum { T_TR_N = 96, T_TR_S = 8 }; /* pictures of a data set, their side */
extern const char t_train_ann[], t_train_snn[], t_train_vae[]; /* graphs */

typedef struct t_train_rig {
    mango_net *net, *dsc;
    mango_data *data, *val;
    mango_trainer *t;
    mango_train_options o;
    mango_err err;
} t_train_rig;

/* T_TR_N pictures (C,8,8): noise, and a bright bar whose place is the label modulo 3. */
mango_data *t_train_data(int seed, mango_idx C, int classes);
/* The graph with random first values; NULL after a failed check. */
mango_net *t_train_parse(const char *text, mango_train_kind kind);
/* Networks, data and options of one kind; the trainer is made by t_train_make. */
int t_train_open(t_train_rig *r, mango_train_kind kind, const char *text);
int t_train_make(t_train_rig *r, mango_train_kind kind);
/* All epochs from where it stands, then finish. */
int t_train_run(t_train_rig *r);
/* An epoch and its figures. */
mango_status t_train_epoch(mango_trainer *t, mango_train_row *row, mango_err *err);
void t_train_close(t_train_rig *r);
int t_train_equal(const mango_net *a, const mango_net *b); /* bit for bit */

#endif
