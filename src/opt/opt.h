/* opt.h - black-box optimizers over multi-indices: ask a batch, tell its values.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_OPT_H
#define MANGO_OPT_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* MANGO_REAL - the number of levels of a mode that is a real interval: level i
 * stands for x = i/(MANGO_REAL - 1) in [0,1]. To a method that works with real
 * numbers it is that interval; any other sees a mode of very many levels. */
#define MANGO_REAL ((mango_idx)1 << 30)

/* mango_modes - the space an optimizer sees: d modes, mode j has levels n[j],
 * a multi-index I has 0 <= I[j] < n[j]. Copied at create. */
typedef struct mango_modes {
    mango_idx d;        /* 1 .. 2^20 */
    const mango_idx *n; /* (d), each 1 .. MANGO_REAL */
} mango_modes;

/* ---- facts of the space --------------------------------------------------- */

/* What the levels of a mode are like before anything is known. */
typedef enum mango_prior { MANGO_PRIOR_NONE, MANGO_PRIOR_NORMAL } mango_prior;

/* mango_features - cheap numbers that describe codes: f (K, dim) of I (K,d). */
typedef mango_status (*mango_features)(void *ud, mango_idx K, const mango_idx *I, float *f);

/* mango_gradient - values y (K) of codes I (K,d), and dy (K, d, m): their derivatives by
 * the m = level_dim numbers of each mode's level (levels below), or, where there are no
 * such, m = 1, by the number of the level. */
typedef mango_status (*mango_gradient)(void *ud, mango_idx K, const mango_idx *I, double *y,
                                       float *dy);

/* mango_facts - what is known of a space besides its modes. A method uses what
 * it can. All of it is optional: what defaults leaves is "not known". */
typedef struct mango_facts {
    size_t size;
    mango_idx H, W;           /* modes 0 .. H W - 1 are the cells of a grid, row by row */
    mango_prior prior;        /* NORMAL: level i stands for z = prior_lo + i (prior_hi -   */
    double prior_lo, prior_hi; /* prior_lo)/(n - 1), and z is drawn from N(0,1)            */
    mango_idx class_first;    /* modes class_first .. class_first + classes - 1 name a     */
    mango_idx classes;        /* class: the place of the highest level among them          */
    mango_idx n_codes;        /* reference codes: good ones of their kind, for a start     */
    const mango_idx *codes;   /* (n_codes, d)                                              */
    mango_idx code_dim;       /* numbers stored with each of them; may be 0                */
    const float *code_features; /* (n_codes, code_dim)                                     */
    mango_features features;  /* features of any codes; no method asks for them so far:   */
                              /* measured, they told a surrogate nothing it did not know  */
    void *features_ud;
    mango_idx features_dim;
    mango_idx level_dim;        /* the levels of the grid's modes (of all, without a grid)  */
    const float *levels;        /* are the same points: (n[0], level_dim), as of a codebook */
    mango_gradient gradient;    /* called during ask and tell                               */
    void *gradient_ud;
    int noisy;                  /* 1: a code has another value each time                    */
    /* Constraints: proposals keep to them, told codes that do not are ignored. */
    const unsigned char *allowed; /* of the levels of mode 0, of mode 1, ...: 0 or 1, their
                                   sum of n[j] bytes; NULL: all. Not with MANGO_REAL.       */
    int (*allows)(void *ud, const mango_idx *I); /* is the code allowed? A pure function,
                                   called during ask and tell; NULL: yes                    */
    void *allows_ud;
    const char *allows_name;    /* its name, of at most 63 bytes: journals keep it          */
} mango_facts;
MANGO_API mango_status mango_facts_defaults_sized(mango_facts *f, size_t size);
#define mango_facts_defaults(f) mango_facts_defaults_sized((f), sizeof *(f))

/* ---- options -------------------------------------------------------------- */

/* Each method has options of its own, known by name. `minimize` is one of all. */
typedef enum mango_opt_kind {
    MANGO_OPT_INT,   /* a whole number               */
    MANGO_OPT_REAL,
    MANGO_OPT_FLAG,  /* 0 or 1                       */
    MANGO_OPT_CHOICE /* one of words, as its number  */
} mango_opt_kind;

/* mango_opt_spec - one option: what it is called, may be, is, and means. */
typedef struct mango_opt_spec {
    const char *name, *meaning;
    mango_opt_kind kind;
    double lo, hi;     /* range, ends included                               */
    double value;      /* default                                            */
    int above;         /* 1: more than lo, not lo itself                     */
    const char *words; /* of a choice: "a|b|c", else NULL                    */
    const char *most;  /* another option that it may not exceed, else NULL:
                          where it was not set it gives way to it            */
} mango_opt_spec;

enum { MANGO_OPT_NAME = 32, MANGO_OPT_VALUES = 32 };

/* mango_opt_options - the options of one preset: a value, copied as any other.
 * They are read and set by name, so that the struct is the same for all. */
typedef struct mango_opt_options {
    size_t size;
    char preset[MANGO_OPT_NAME];
    uint32_t given;                 /* bit i: value[i] was set */
    double value[MANGO_OPT_VALUES]; /* in the order of mango_opt_option */
} mango_opt_options;

/* mango_opt_defaults - the options of a preset (see mango_opt_preset): tt, protes ...
 * Returns MANGO_OK; MANGO_E_NAME with near matches. */
MANGO_API mango_status mango_opt_defaults_sized(const char *preset, mango_opt_options *o,
                                                size_t size, mango_err *err);
#define mango_opt_defaults(preset, o, err)                                                 \
    mango_opt_defaults_sized((preset), (o), sizeof *(o), (err))
/* mango_opt_set - one option by name. MANGO_E_NAME: this optimizer has no such
 * option, near matches in err; MANGO_E_ARG: out of range. o is unchanged then.
 * mango_opt_parse - "k=25,lr=0.05": several, or, after a fault, none of them.
 * mango_opt_value - what one is. err may be NULL.
 * mango_opt_text - all of them, as parse reads them, into text of cap bytes. Returns
 * the length without the final zero, also when cap is too small; -1 unless filled. */
MANGO_API mango_status mango_opt_set(mango_opt_options *o, const char *name, double value,
                                     mango_err *err);
MANGO_API mango_status mango_opt_parse(mango_opt_options *o, const char *text,
                                       mango_err *err);
MANGO_API mango_status mango_opt_value(const mango_opt_options *o, const char *name,
                                       double *value, mango_err *err);
MANGO_API mango_idx mango_opt_text(const mango_opt_options *o, char *text, mango_idx cap);

/* mango_opt_option_count - how many options a preset has; -1 for an unknown one.
 * mango_opt_option - number i of them, 0 .. count-1; spec.value is the preset's own.
 * Pure lookups, as are those below: no message with MANGO_E_ARG. */
MANGO_API mango_idx mango_opt_option_count(const char *preset);
MANGO_API mango_status mango_opt_option_sized(const char *preset, mango_idx i,
                                              mango_opt_spec *spec, size_t size);
#define mango_opt_option(preset, i, spec)                                                  \
    mango_opt_option_sized((preset), (i), (spec), sizeof *(spec))

/* mango_opt_presets, mango_opt_preset - the optimizers that there are: a name, the
 * method behind it, and what it is in one line. */
typedef struct mango_opt_preset_info {
    const char *name, *method, *meaning;
} mango_opt_preset_info;
MANGO_API mango_idx mango_opt_presets(void);
MANGO_API mango_status mango_opt_preset_sized(mango_idx i, mango_opt_preset_info *p,
                                              size_t size);
#define mango_opt_preset(i, p) mango_opt_preset_sized((i), (p), sizeof *(p))

/* mango_opt_white - does a preset look inside what it searches: is it of no use without
 * facts.gradient? 1 or 0; 0 for an unknown one. */
MANGO_API int mango_opt_white(const char *preset);

/* ---- the optimizer -------------------------------------------------------- */

typedef struct mango_opt mango_opt;

/* mango_opt_create - an optimizer ready for its first ask.
 *   opt    out  the new object; NULL on failure
 *   modes  in   the space
 *   facts  in   what else is known of it, copied; NULL: nothing
 *   o      in   options, filled by mango_opt_defaults: they name the method
 *   seed   in   same seed, same proposals, on every machine
 * Returns  MANGO_OK; MANGO_E_NAME, MANGO_E_ARG with the option named, MANGO_E_MEM.
 * Memory   all of it is allocated here: ask and tell allocate nothing (under constraints
 *          a call of more codes than any before makes room for them).
 * Threads  one object belongs to one thread at a time. */
MANGO_API mango_status mango_opt_create(mango_opt **opt, const mango_modes *modes,
                                        const mango_facts *facts,
                                        const mango_opt_options *o, uint64_t seed,
                                        const mango_alloc *al, mango_err *err);

/* mango_opt_ask - K proposals into I (K,d), row-major.
 *   cap  in      rows that I has room for, >= 1
 *   K    in,out  proposals wanted, <= cap; 0: as many as the method likes, at most
 *                cap. *K tells how many there are.
 * Under `allows` some may be mended by opt.c, not proposed: their id is MANGO_UNASKED; and
 * MANGO_E_STATE says that no allowed code was found.
 * A batch may hold the same code twice. What was told since the last ask is
 * learnt now or earlier, as the method likes. Told nothing finite, the next
 * batch is drawn from the same distribution, with new random numbers.
 * mango_opt_ask_ids - the same, and id (K) of each: the number of the proposal,
 * counted from 0 through all asks. */
MANGO_API mango_status mango_opt_ask(mango_opt *opt, mango_idx cap, mango_idx *K,
                                     mango_idx *I);
MANGO_API mango_status mango_opt_ask_ids(mango_opt *opt, mango_idx cap, mango_idx *K,
                                         mango_idx *I, uint64_t *id);

#define MANGO_UNASKED UINT64_MAX /* the id of a code that was not proposed */

/* mango_told - the value of one code. */
typedef struct mango_told {
    uint64_t id;        /* of the proposal, or MANGO_UNASKED                      */
    const mango_idx *I; /* (d) the code                                           */
    double y;           /* mean over its presentations; NaN, infinite: missing    */
    double var;         /* variance of one presentation about it; NaN: not known  */
    mango_idx n;        /* presentations, >= 1                                    */
    double tie;         /* orders equal values as y orders others; 0: nothing     */
} mango_told;

/* mango_opt_tell - K values y (K) of codes I (K,d): any number, order and
 * origin, in one call or many, those never asked included; NaN and infinite
 * values mean missing. A code out of range is MANGO_E_ARG and then nothing of
 * the call is taken.
 * mango_opt_tell_all - the same with all that is known of n values. One call is
 * one generation to methods that rank a generation as a whole.
 * A code may be told again, with the mean of all its presentations: to a method of trait
 * `retell` that replaces what it knew of the code, others see one more value.
 * The state is a pure function of (modes, facts, options, seed, sequence of asks,
 * tells and restarts). */
MANGO_API mango_status mango_opt_tell(mango_opt *opt, mango_idx K, const mango_idx *I,
                                      const double *y);
MANGO_API mango_status mango_opt_tell_all(mango_opt *opt, mango_idx n, const mango_told *told);

/* mango_opt_allows - is code I (d) within the levels and the constraints? 1 or 0. */
MANGO_API int mango_opt_allows(const mango_opt *opt, const mango_idx *I);

/* mango_opt_restart - forget what was learnt but keep the best: for a search
 * whose distribution has collapsed onto codes already known. */
MANGO_API mango_status mango_opt_restart(mango_opt *opt);

/* Best told so far, of equal ones the first: value and code (d), either may be
 * NULL; MANGO_E_STATE before the first finite tell, without a message. A code told again
 * (info.retell) has its new value here too; where that fell below what another code had,
 * it stays the best until a better one is told: the optimizer keeps no list of all codes.
 * mango_session, under noise, does: ask it for its best. */
MANGO_API mango_status mango_opt_best(const mango_opt *opt, double *y, mango_idx *I);

typedef struct mango_opt_info {
    const char *preset, *method;
    mango_idx d;
    mango_idx batch;   /* codes that an ask of the method's own size holds at most     */
    mango_idx elite;   /* of the values told between two asks it looks at so many of the
                          best: any other may as well be told as missing, as long as it
                          is smaller (minimize: larger) than these; 0: at all of them  */
    int retell;        /* 1: a code may be told again when its mean has changed        */
    int ties;          /* 1: it looks at mango_told.tie                                */
    int oblivious;     /* 1: what it asks does not depend on what it is told, so that
                          any number of batches can be asked ahead                     */
    int minimize;
    uint64_t asked;    /* proposals so far: the id of the next one                     */
    uint64_t restarts;
} mango_opt_info;
MANGO_API mango_status mango_opt_get_sized(const mango_opt *opt, mango_opt_info *info,
                                           size_t size);
#define mango_opt_get(opt, info) mango_opt_get_sized((opt), (info), sizeof *(info))
/* mango_opt_explain - what it has learnt, for people to read, as text of several lines;
 * mango_opt_why - how proposal k of the last ask came about, in one phrase. Text of cap
 * bytes and return value as of mango_opt_text; empty where a method says nothing. */
MANGO_API mango_idx mango_opt_explain(const mango_opt *opt, char *text, mango_idx cap);
MANGO_API mango_idx mango_opt_why(const mango_opt *opt, mango_idx k, char *text,
                                  mango_idx cap);
MANGO_API const char *mango_opt_error(const mango_opt *opt); /* last message, "" if none */
MANGO_API void mango_opt_destroy(mango_opt *opt);            /* NULL is legal */

#ifdef __cplusplus
}
#endif
#endif
