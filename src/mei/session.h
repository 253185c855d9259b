/* session.h - the inside of a session, shared by the session_*.c files.
 *
 * session.c        ask, tell, step: what a caller does
 * session_batch.c  batches: opened, handed out, filled, told to the optimizer
 * session_lines.c  the journal's lines: written, and read again at resume
 * session_open.c   create, the header and its check, destroy
 * session_final.c  the last share of the budget under noise: a race of the leaders
 * session_found.c  what it found
 * SPDX-License-Identifier: MIT */
#ifndef MGI_SESSION_H
#define MGI_SESSION_H

#include "cache.h"
#include "journal.h"
#include "mei.h"
#include "noise.h"
#include "posterior.h"

/* The proposals of one ask of the optimizer, or codes that the caller offers, until the
 * optimizer is told all their values. */
typedef struct mgi_proposals {
    int offered;          /* 1: by the caller                                  */
    mango_idx first, end; /* rows of the cache that are new with it            */
    mango_idx waiting;    /* of these: not whole yet                           */
    mango_idx shared;     /* proposals whose rows, of batches before, are not  */
    mango_idx round, at;  /* handing out: the presentation, the next row       */
    mango_idx K;
    mango_idx *I, *row;   /* (cap,d) proposals; (cap) their rows in the cache  */
    uint64_t *id;         /* (cap) their numbers at the optimizer              */
} mgi_proposals;

/* A round of the final race: its codes and how often each is to have been shown. */
typedef struct mgi_final {
    mango_idx K;          /* codes; 0: no race is on                           */
    mango_idx *row, *want; /* (leaders) rows of the cache; presentations in all */
    double *mean;         /* (leaders) scratch                                 */
} mgi_final;

struct mango_session {
    mango_alloc al;
    mango_idx d, total;       /* modes; codes of the space, PTRDIFF_MAX: many */
    mango_idx *n;             /* (d) levels */
    mango_opt *opt;
    mango_evaluator f;
    void *ud;
    int (*observe)(void *ud, const mango_session *s);
    void *observe_ud;
    int minimize;
    mango_idx budget, stall;
    mango_idx stagnate, since; /* presentations; when they began to count */
    double seconds;
    time_t began;
    mango_status closing;     /* not OK: the search is at its end before the budget's, */
    mango_idx close_at, close_end; /* these are its presentations without the race, with */
    double stop_at;           /* NaN: never */
    uint64_t seed;
    mango_noise noise;        /* put on the function's values; n = 0: none */
    int noisy;                /* 1: values of a code differ, the best is an estimate */
    struct { int noisy, retell, ties; } rule; /* that the journal was begun with */
    int found;                /* there was a journal */
    int retell;               /* 1: the optimizer is told again of codes shown again */
    double race;              /* share of the budget; 0: none */
    mango_idx leaders;
    mgi_final final;
    mango_status (*ties)(void *ud, mango_idx K, double *tie);
    void *ties_ud;
    mango_idx n_offered;      /* codes, so far */
    mgi_cache cache;          /* every code asked; a row's number is its id */
    mgi_journal journal;
    int format;               /* of the journal */
    mgi_str line;
    /* batches: the first n_open are under way, in the order of their asks; the others
     * keep their memory for later ones */
    mango_idx cap;            /* proposals of a batch at most */
    mgi_proposals *batch;
    mango_idx n_open, n_batch;
    mango_told *told;         /* (cap) what the optimizer is told */
    /* a step */
    mango_idx width;          /* codes of one evaluation at most, >= cap */
    uint64_t *id;             /* (width) */
    mango_idx *J;             /* (width,d) codes to evaluate */
    double *y, *tie;          /* (width) */
    /* codes of batches to come, evaluated with an earlier one (ahead.c) */
    mango_idx ahead;          /* codes of one evaluation, wanted; 0: none ahead */
    mango_idx n_ahead;        /* waiting: aI (n_ahead,d) in the order to come, ay */
    mango_idx *aI, *peek;     /* (ahead,d), (cap,d); of peek one row is scratch, too */
    double *ay;               /* (ahead) */
    /* counters */
    mango_idx shown, out;     /* presentations told; handed out and not yet told */
    mango_idx asks, restarts, cached, missing, replayed;
    mango_idx stalled, dry;   /* batches, restarts without a new code */
    mango_idx silent;         /* asks since the last line that brought no new code */
    mango_improvement *better; /* (cap_better) */
    mango_idx n_better, cap_better;
    mango_idx again;          /* of the best: presentations, finite */
    double best;
    int stop;                 /* the observer of a tell wants an end */
    mango_status dead;        /* the journal failed: no further step */
    mango_err err;
};

/* ---- session_batch.c */
MGI_FN int mgi_session_better(const mango_session *s, double y, double than);
/* Memory for one more batch, taken before anything changes. */
MGI_FN mango_status mgi_session_reserve(mango_session *s);
/* Ask the optimizer for one more batch. A batch without new codes is told at once. */
MGI_FN mango_status mgi_session_batch(mango_session *s);
/* The same with K <= s->cap codes of the caller's own; ids (K) of them, may be NULL. */
MGI_FN mango_status mgi_session_offer(mango_session *s, mango_idx K, const mango_idx *I,
                                      uint64_t *id);
/* Presentations to be had from the open batches, at most `most`: ids, codes (K,d). */
MGI_FN mango_idx mgi_session_hand(mango_session *s, mango_idx most, uint64_t *id,
                                  mango_idx *I);
/* Hand out anew what was handed out and not told; of one row, or, -1, of all. */
MGI_FN void mgi_session_again(mango_session *s, mango_idx row);
/* Room to take n more values; then they are taken one by one: the only place where
 * values enter. */
MGI_FN mango_status mgi_session_room(mango_session *s, mango_idx n);
MGI_FN mango_status mgi_session_take(mango_session *s, mango_idx row, double y, double tie);
/* After the values of one tell: under noise, which code is the best now? */
MGI_FN void mgi_session_judge(mango_session *s);
MGI_FN void mgi_session_free_batches(mango_session *s);

/* ---- session_lines.c */
MGI_FN mango_status mgi_session_write_ask(mango_session *s, mango_idx first);
MGI_FN mango_status mgi_session_write_offer(mango_session *s, mango_idx K,
                                            const mango_idx *I);
MGI_FN mango_status mgi_session_write_tell(mango_session *s, mango_idx n, const uint64_t *id,
                                           const double *y, const double *tie);
MGI_FN mango_status mgi_session_write_race(mango_session *s);
MGI_FN mango_status mgi_session_write_note(mango_session *s, const char *key,
                                           const char *value);
/* Do all that the journal tells. */
MGI_FN mango_status mgi_session_replay(mango_session *s);

/* ---- session_final.c */
/* Presentations in all, and those that are not the race's. */
MGI_FN mango_idx mgi_session_end(const mango_session *s);
MGI_FN mango_idx mgi_session_limit(const mango_session *s);
MGI_FN int mgi_session_racing(const mango_session *s); /* a round is not at its end */
MGI_FN mango_idx mgi_session_final_next(mango_session *s); /* the row to show next, or -1 */
/* The next round and its line; nothing is out. MANGO_STOP_BUDGET: there is no leader. */
MGI_FN mango_status mgi_session_final_open(mango_session *s);
MGI_FN mango_status mgi_session_final_memory(mango_session *s);
MGI_FN void mgi_session_final_free(mango_session *s);

/* ---- ahead.c: values into s->y of the m codes in s->J, the next to be told; with
 * them codes of batches to come. As s->f, and its statuses. */
MGI_FN mango_status mgi_session_values(mango_session *s, mango_idx m);

#endif
