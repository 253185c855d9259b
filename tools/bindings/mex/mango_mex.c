/* mango_mex.c - MANGO for Octave and MATLAB: optimizers by ask and tell, and the whole search.
 *     mkoctfile --mex mango_mex.c -I../../../build -L../../../build -lmango     (Octave)
 *     mex -R2018a mango_mex.c -I../../../build -L../../../build -lmango         (MATLAB)
 *
 *     h = mango_mex('create', modes, preset, seed, 'k', 20, ...)   options by name
 *     I = mango_mex('ask', h, K)          K x d levels, counted from 0; K 0: as it likes
 *     mango_mex('tell', h, I, y)          y: K values; NaN: missing
 *     [y, I] = mango_mex('best', h)
 *     mango_mex('destroy', h)             'clear mex' destroys all
 *     [y, I, rgb] = mango_mex('search', gen, net, target, preset, budget, seed, ...)
 *                                         gen, net: weights files; rgb: H x W x C in [0,1];
 *                                         options by name: batch, T, those of the preset
 *     s = mango_mex('presets')            their names
 *
 * A fault is an error with the library's message, its id mango:status. Between two batches of
 * a search the interpreter sees Ctrl-C.
 * SPDX-License-Identifier: MIT */
#include "mango.h"
#include "mex.h"
#include <math.h>
#include <string.h>

enum { MEX_MOST = 64, MEX_TEXT = 4096 };

/* Optimizers by handle, h = 1 + place. */
static struct {
    mango_opt *opt;
    mango_idx d;
} mex_table[MEX_MOST];

/* What a search owns, so that an error finds it to release. */
typedef struct mex_work {
    mango_net *gen, *net;
    mango_search *search;
} mex_work;
static mex_work mex_now; /* of the search under way; after Ctrl-C until the next one */
static unsigned mex_serial; /* times that mex_now was released */

static void mex_release(void)
{
    mex_serial++;
    mango_search_destroy(mex_now.search);
    mango_net_destroy(mex_now.gen);
    mango_net_destroy(mex_now.net);
    memset(&mex_now, 0, sizeof mex_now);
}

static void mex_all_gone(void)
{
    mex_release();
    for (int i = 0; i < MEX_MOST; i++) {
        mango_opt_destroy(mex_table[i].opt);
        mex_table[i].opt = NULL;
    }
}

/* Leaves the function, as all of MATLAB's errors do: `text` may belong to what is released. */
static void mex_check(mango_status st, const char *text)
{
    char said[512];
    if (st >= 0)
        return;
    strncpy(said, text && text[0] ? text : mango_status_text(st), sizeof said - 1);
    said[sizeof said - 1] = 0;
    mex_release();
    mexErrMsgIdAndTxt("mango:status", "%s", said);
}

static void mex_need(int ok, const char *expected)
{
    if (!ok) {
        mex_release();
        mexErrMsgIdAndTxt("mango:argument", "mango_mex: %s expected", expected);
    }
}

/* ---- arguments --------------------------------------------------------------------- */

static char *mex_text(const mxArray *a, const char *what)
{
    mex_need(a && mxIsChar(a), what);
    char *text = mxArrayToString(a); /* MATLAB frees it at the end of the call */
    mex_need(text != NULL, what);
    return text;
}

static double mex_number(const mxArray *a, const char *what)
{
    mex_need(a && (mxIsNumeric(a) || mxIsLogical(a)) && !mxIsComplex(a) &&
                 mxGetNumberOfElements(a) == 1,
             what);
    return mxGetScalar(a);
}

static mango_idx mex_whole(const mxArray *a, double lo, double hi, const char *what)
{
    const double v = mex_number(a, what);
    mex_need(v >= lo && v <= hi && v == floor(v), what);
    return (mango_idx)v;
}

/* A seed is a number up to 2^53, or a uint64. */
static uint64_t mex_seed(const mxArray *a)
{
    static const char what[] = "a seed, 0 .. 2^53 or uint64,";
    mex_need(a && mxGetNumberOfElements(a) == 1, what);
    if (mxIsUint64(a)) {
        uint64_t seed;
        memcpy(&seed, mxGetData(a), sizeof seed);
        return seed;
    }
    return (uint64_t)mex_whole(a, 0, 9007199254740992.0, what);
}

static const double *mex_doubles(const mxArray *a, const char *what)
{
    mex_need(a && mxIsDouble(a) && !mxIsComplex(a) && !mxIsSparse(a), what);
    return mxGetPr(a);
}

/* Levels as doubles, (rows,d) column by column, to (rows,d) row by row; freed by MATLAB. */
static mango_idx *mex_levels(const mxArray *a, mango_idx rows, mango_idx d)
{
    const double *v = mex_doubles(a, "codes as a matrix of doubles");
    mango_idx *I = mxMalloc((size_t)(rows * d + 1) * sizeof *I);
    for (mango_idx k = 0; k < rows; k++)
        for (mango_idx j = 0; j < d; j++) {
            const double x = v[j * rows + k];
            mex_need(x >= 0 && x < MANGO_REAL && x == floor(x), "levels, whole and from 0,");
            I[k * d + j] = (mango_idx)x;
        }
    return I;
}

static mxArray *mex_matrix(mango_idx rows, mango_idx d, const mango_idx *I)
{
    mxArray *a = mxCreateDoubleMatrix((mwSize)rows, (mwSize)d, mxREAL);
    double *v = mxGetPr(a);
    for (mango_idx k = 0; k < rows; k++)
        for (mango_idx j = 0; j < d; j++)
            v[j * rows + k] = (double)I[k * d + j];
    return a;
}

/* One option by name: a number, or a word of a choice. */
static void mex_option(mango_opt_options *o, const char *name, const mxArray *value)
{
    mango_err err = {""};
    char text[MEX_TEXT];
    if (!mxIsChar(value)) {
        mex_check(mango_opt_set(o, name, mex_number(value, name), &err), err.text);
        return;
    }
    const char *word = mex_text(value, name);
    mex_need(strlen(name) + strlen(word) + 2 < sizeof text, "a shorter option");
    strcpy(text, name);
    strcat(strcat(text, "="), word);
    mex_check(mango_opt_parse(o, text, &err), err.text);
}

/* ---- ask and tell -------------------------------------------------------------------- */

static int mex_handle(int n, const mxArray *a[])
{
    mex_need(n > 1, "a handle");
    const int h = (int)mex_whole(a[1], 1, MEX_MOST, "a handle of 'create'");
    mex_need(mex_table[h - 1].opt != NULL, "a handle that is not destroyed");
    return h - 1;
}

static void mex_create(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    int h = 0;
    mango_err err = {""};
    mango_opt_options o;
    (void)n_out;
    mex_need(n >= 4 && n % 2 == 0, "'create', modes, preset, seed and pairs of options");
    const mango_idx d = (mango_idx)mxGetNumberOfElements(a[1]);
    const mango_modes modes = {d, mex_levels(a[1], 1, d)};
    while (h < MEX_MOST && mex_table[h].opt)
        h++;
    mex_need(h < MEX_MOST, "at most 64 optimizers at a time: 'destroy' one;");
    mex_check(mango_opt_defaults(mex_text(a[2], "a preset"), &o, &err), err.text);
    for (int i = 4; i + 1 < n; i += 2)
        mex_option(&o, mex_text(a[i], "an option's name"), a[i + 1]);
    out[0] = mxCreateDoubleScalar(h + 1);
    mex_check(mango_opt_create(&mex_table[h].opt, &modes, NULL, &o, mex_seed(a[3]), NULL, &err),
              err.text);
    mex_table[h].d = d;
}

static void mex_ask(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    const int h = mex_handle(n, a);
    mango_opt *opt = mex_table[h].opt;
    mango_opt_info info;
    (void)n_out;
    mex_check(mango_opt_get(opt, &info), mango_opt_error(opt));
    mango_idx K = n > 2 ? mex_whole(a[2], 0, 1e6, "how many codes, 0 .. 10^6,") : 0;
    const mango_idx cap = K > 0 ? K : info.batch;
    mango_idx *I = mxMalloc((size_t)(cap * mex_table[h].d) * sizeof *I);
    mex_check(mango_opt_ask(opt, cap, &K, I), mango_opt_error(opt));
    out[0] = mex_matrix(K, mex_table[h].d, I);
    mxFree(I);
}

static void mex_tell(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    const int h = mex_handle(n, a);
    mango_opt *opt = mex_table[h].opt;
    (void)n_out;
    (void)out;
    mex_need(n == 4, "'tell', handle, codes, values");
    const mango_idx K = (mango_idx)mxGetM(a[2]);
    mex_need((mango_idx)mxGetN(a[2]) == mex_table[h].d, "codes with a column for each mode");
    mex_need((mango_idx)mxGetNumberOfElements(a[3]) == K, "one value for each code");
    mango_idx *I = mex_levels(a[2], K, mex_table[h].d);
    mex_check(mango_opt_tell(opt, K, I, mex_doubles(a[3], "values as doubles")),
              mango_opt_error(opt));
    mxFree(I);
}

static void mex_best(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    const int h = mex_handle(n, a);
    double y = 0;
    mango_idx *I = mxMalloc((size_t)mex_table[h].d * sizeof *I);
    mex_check(mango_opt_best(mex_table[h].opt, &y, I), "best: nothing finite was told yet");
    out[0] = mxCreateDoubleScalar(y);
    if (n_out > 1)
        out[1] = mex_matrix(1, mex_table[h].d, I);
    mxFree(I);
}

static void mex_destroy(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    const int h = mex_handle(n, a);
    (void)n_out;
    (void)out;
    mango_opt_destroy(mex_table[h].opt);
    mex_table[h].opt = NULL;
}

static void mex_presets(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    mango_opt_preset_info p;
    const mango_idx count = mango_opt_presets();
    (void)n_out;
    (void)n;
    (void)a;
    out[0] = mxCreateCellMatrix((mwSize)count, 1);
    for (mango_idx i = 0; i < count; i++)
        if (mango_opt_preset(i, &p) == MANGO_OK)
            mxSetCell(out[0], (mwIndex)i, mxCreateString(p.name));
}

/* ---- the whole search ---------------------------------------------------------------- */

static void mex_search_options(int n, const mxArray *a[], mango_session_options *so,
                               mango_objective_options *oo)
{
    mango_err err = {""};
    mex_check(mango_session_defaults(mex_text(a[4], "a preset"), so, &err), err.text);
    mex_check(mango_objective_defaults(oo), "");
    so->budget = mex_whole(a[5], 1, 1e9, "a budget");
    so->seed = mex_seed(a[6]);
    for (int i = 7; i + 1 < n; i += 2) {
        const char *name = mex_text(a[i], "an option's name");
        if (strcmp(name, "batch") == 0)
            oo->batch = mex_whole(a[i + 1], 1, 4096, "batch, 1 .. 4096,");
        else if (strcmp(name, "T") == 0)
            oo->T = mex_whole(a[i + 1], 1, 4096, "T, 1 .. 4096,");
        else
            mex_option(&so->o, name, a[i + 1]);
    }
}

/* (C,H,W) by rows to H x W x C by columns */
static mxArray *mex_picture(const mango_objective_info *o, const float *rgb)
{
    const mwSize size[3] = {(mwSize)o->H, (mwSize)o->W, (mwSize)o->C};
    mxArray *a = mxCreateNumericArray(3, size, mxDOUBLE_CLASS, mxREAL);
    double *v = mxGetPr(a);
    for (mango_idx c = 0; c < o->C; c++)
        for (mango_idx y = 0; y < o->H; y++)
            for (mango_idx x = 0; x < o->W; x++)
                v[(c * o->W + x) * o->H + y] = rgb[(c * o->H + y) * o->W + x];
    return a;
}

static void mex_found(int n_out, mxArray *out[])
{
    mango_objective_info o;
    mango_session_info s;
    double y = 0;
    mex_check(mango_objective_get(mango_search_objective(mex_now.search), &o), "");
    mex_check(mango_session_get(mango_search_session(mex_now.search), &s), "");
    mango_idx *I = mxMalloc((size_t)s.d * sizeof *I);
    float *rgb = mxMalloc((size_t)(o.C * o.H * o.W) * sizeof *rgb);
    mex_check(mango_search_best(mex_now.search, &y, I, rgb),
              mango_search_error(mex_now.search));
    out[0] = mxCreateDoubleScalar(y);
    if (n_out > 1)
        out[1] = mex_matrix(1, s.d, I);
    if (n_out > 2)
        out[2] = mex_picture(&o, rgb);
    mxFree(I);
    mxFree(rgb);
}

static void mex_search(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    mango_session_options so;
    mango_objective_options oo;
    mango_err err = {""};
    mango_status st = MANGO_OK;
    mex_release();
    const unsigned mine = mex_serial;
    mex_need(n >= 7 && n % 2 == 1,
             "'search', generator, network, target, preset, budget, seed, then options");
    mex_search_options(n, a, &so, &oo);
    const char *target = mex_text(a[3], "a target");
    mex_check(mango_net_load(&mex_now.gen, mex_text(a[1], "a generator's file"), NULL, &err),
              err.text);
    mex_check(mango_net_load(&mex_now.net, mex_text(a[2], "a network's file"), NULL, &err),
              err.text);
    mex_check(mango_search_create(&mex_now.search, mex_now.gen, mex_now.net, target, &oo, &so,
                                  NULL, &err),
              err.text);
    while (st == MANGO_OK) {
        st = mango_search_step(mex_now.search);
        mex_check(st, mango_search_error(mex_now.search));
        mexEvalString("drawnow;"); /* Ctrl-C is seen here, and callbacks of figures run */
        mex_need(mex_serial == mine, "no other search, and no fault, in a callback meanwhile:");
    }
    mex_found(n_out, out);
    mex_release();
}

/* ---- commands ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*run)(int n_out, mxArray *out[], int n, const mxArray *a[]);
} mex_commands[] = {{"create", mex_create},   {"ask", mex_ask},         {"tell", mex_tell},
                    {"best", mex_best},       {"destroy", mex_destroy}, {"search", mex_search},
                    {"presets", mex_presets}};

void mexFunction(int n_out, mxArray *out[], int n, const mxArray *a[])
{
    const char *name = n > 0 ? mex_text(a[0], "a command") : "";
    mexAtExit(mex_all_gone);
    for (size_t i = 0; i < sizeof mex_commands / sizeof mex_commands[0]; i++)
        if (strcmp(mex_commands[i].name, name) == 0) {
            mex_commands[i].run(n_out, out, n, a);
            return;
        }
    mex_need(0, "create, ask, tell, best, destroy, search or presets");
}
