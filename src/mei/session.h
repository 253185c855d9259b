/* session.h - the inside of a session, shared by session.c and session_open.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_SESSION_H
#define MGI_SESSION_H

#include "cache.h"
#include "journal.h"
#include "mei.h"

struct mango_session {
    mango_alloc al;
    mango_idx d, total;       /* modes; codes of the space, PTRDIFF_MAX: many */
    mango_opt *opt;
    mango_evaluator f;
    void *ud;
    int (*observe)(void *ud, const mango_session *s);
    void *observe_ud;
    int minimize;
    mango_idx budget, stall;
    double stop_at;           /* NaN: never */
    mgi_cache cache;          /* every query in order; pending ones at its end */
    mgi_journal journal;
    mgi_str line;
    /* the batch under way */
    int open;                 /* asked and not yet told */
    mango_idx cap, K;
    mango_idx *I, *J;         /* (cap,d) proposals; codes to evaluate */
    mango_idx *row;           /* (cap) their rows in the cache */
    double *y;                /* (cap) */
    /* codes of batches to come, evaluated with an earlier one (ahead.c) */
    mango_idx ahead;          /* codes of one evaluation, wanted; 0: none ahead */
    mango_idx n_ahead;        /* waiting: aI (n_ahead,d) in the order to come, ay */
    mango_idx *aI, *peek;     /* (ahead,d), (cap,d) */
    double *ay;               /* (ahead) */
    /* counters */
    mango_idx asks, restarts, cached, missing, replayed;
    mango_idx stalled, dry;   /* batches, restarts without a new code */
    mango_idx *better, n_better, cap_better; /* queries that improved the best */
    double best;
    mango_status dead;        /* the journal failed: no further step */
    mango_err err;
};

/* ahead.c: values into s->y of the m codes in s->J, the next pending rows; with them
 * codes of batches to come. As s->f, and its statuses. */
MGI_FN mango_status mgi_session_values(mango_session *s, mango_idx m);

/* Take all steps that the journal holds. */
MGI_FN mango_status mgi_session_replay(mango_session *s);

#endif
