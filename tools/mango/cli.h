/* cli.h - what all verbs of the command share: options, errors, progress, nets.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_H
#define CLI_H

#include "../../src/base/json.h"
#include "../../src/base/rng.h"
#include "../../src/data/data.h"
#include "../../src/math/compute.h"
#include "../../src/mei/mei.h"
#include "../../src/net/net.h"
#include "../../src/opt/opt.h"
#include "../../src/study/archive.h"
#include "../../src/study/fid.h"
#include "../../src/study/selftest.h"
#include "../../src/train/train.h"
#include <stdio.h>

/* Metadata of a generator that draws by class: over how many of a latent's first
 * values the largest is looked for (mango_trainer_create). */
#define CLI_LATENT_CLASSES "train.latent_classes"
#define CLI_NAME 96 /* bytes of a layer's name, more than it can have */

/* Exit codes of every verb. */
enum {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_USAGE = 2,
    CLI_REFUSED = 3,
    CLI_TIMEOUT = 4,
    CLI_INTERRUPTED = 130
};

/* One option of a verb. CLI_INT and CLI_REAL are checked against [lo, hi] (a
 * number out of range is refused input, a word is a usage error); CLI_MULTI
 * may be given up to 16 times (const char *to[17], NULL-terminated). */
typedef enum cli_kind { CLI_FLAG, CLI_STR, CLI_INT, CLI_REAL, CLI_MULTI } cli_kind;
typedef struct cli_opt {
    const char *name; /* with its dashes: "--budget"        */
    cli_kind kind;
    void *to; /* int *, const char **, int64_t *, double * */
    double lo, hi;
    const char *arg;  /* "M" in help; NULL for flags        */
    const char *help; /* default and unit included          */
    int required;
} cli_opt;

/* A verb's page of help: summary on one line, synopsis, text, examples. */
typedef struct cli_doc {
    const char *verb, *summary, *synopsis, *text, *examples;
} cli_doc;

/* The state of one command. The first five fields are set by the options that
 * every verb has: --json --quiet --threads N --seed S (and --help). */
typedef struct cli {
    int json, quiet;
    int64_t threads, seed;
    const cli_doc *doc;
    const char *pos[64]; /* positional arguments */
    int n_pos;
    double progress_at; /* time of the last progress line */
    int progress_open;  /* a \r line stands on the terminal */
} cli;

/* cli_parse - read the options. Returns -1 to go on, else the exit code
 * (--help: 0, usage errors: 2, numbers out of range: 3). max_pos: positional
 * arguments allowed. */
int cli_parse(cli *c, const cli_doc *doc, const cli_opt *opt, int n, int max_pos, int argc,
              char **argv);
/* Print `mango VERB: message` on stderr and return the exit code. */
int cli_usage(cli *c, const char *fmt, ...) MGI_PRINTF(2, 3);
int cli_fail(cli *c, mango_status st, const mango_err *err);
int cli_failf(cli *c, int code, const char *fmt, ...) MGI_PRINTF(3, 4);
int cli_exit_code(mango_status st);
/* A remark on stderr, unless --quiet. */
void cli_note(cli *c, const char *fmt, ...) MGI_PRINTF(2, 3);
/* Result text on stdout; nothing with --json, where the verb prints one object
 * on the last line by cli_json. Only the format itself ends lines and holds tabs. */
void cli_print(cli *c, const char *fmt, ...) MGI_PRINTF(2, 3);
/* A text of several lines; within a line nothing is obeyed. */
void cli_print_lines(cli *c, const char *text);
void cli_json(cli *c, mgi_str *object);
/* "key":"value" of such an object; whatever the value holds, the object stays JSON. */
void cli_quote(mgi_str *s, const char *key, const char *value);
/* What a terminal would obey or hide (controls, marks of direction, of zero width,
 * broken UTF-8) becomes '?', byte for byte. All messages and results pass through it. */
void cli_escape(char *text);
/* Flush stdout: CLI_FAILURE instead of CLI_OK, with a message, when it is full. */
int cli_close(cli *c, int code);

/* Progress: on a terminal one line rewritten in place (at most 10 a second),
 * elsewhere a plain line every 10 s; nothing with --quiet. done of total units,
 * `text` says the rest; time left is worked out from `since` (cli_now at start)
 * and `done0` (units that were done before, on resume). */
double cli_now(void); /* seconds, monotonic */
void cli_progress(cli *c, double since, double done0, double done, double total,
                  const char *text);
void cli_progress_end(cli *c);

/* ^C, a terminal that is gone, whatever asks the process to end: a flag that long work
 * polls, to end with everything saved; ^C and SIGTERM kill when they come again. */
void cli_catch_signals(void);
void cli_ignore_signals(void); /* for the whole command: limits of files */
int cli_interrupted(void);

/* cli_net - open --net or --gen: a file, NAME or NAME.safetensors in the
 * working folder or in a weights folder (MANGO_WEIGHTS, weights/ here or
 * beside the program, the installed one), a short name (vae, snn, gan); or what has no
 * weights, zoo:NAME,k=v or a graph's text, filled by `fill` = "SEED,GAIN" (NULL: refused). */
mango_status cli_net(mango_net **net, const char *what, const char *fill, mango_err *err);
/* Has `what` no weights: zoo:NAME, or a file that is a graph's text? And such one. */
int cli_is_blank(const char *what);
mango_status cli_net_blank(mango_net **net, const char *what, mango_err *err);
/* The same for a net that is planned once: it gives its weights away, see mango_net_open. */
mango_status cli_net_open(mango_net **net, const char *what, const char *fill, mango_err *err);
/* Steps that are run: --T, if given (else 0), or the network's own; one, with a remark on
 * --T, when no layer spikes. */
mango_idx cli_steps(cli *c, const mango_net *net, int64_t T);
/* Where a name resolves to, for messages and hashes; cap >= 4096. */
mango_status cli_net_path(const char *what, char *path, mango_idx cap, mango_err *err);
extern const char cli_datadir[]; /* the installed weights: a folder */
/* A layer (-1: the output) and the whole net, which cannot fail for a net that is there. */
mango_layer cli_layer(const mango_net *net, mango_idx i);
mango_net_info cli_info(const mango_net *net);
mango_idx cli_vq(const mango_net *net); /* the layer that has a codebook; -1: none */
const char *cli_kernels(void);          /* name of the kernel set in use */
/* What its first bytes say: 'p' PyTorch checkpoint, 'n' .npy, 'o' ONNX, 's' anything else. */
char cli_kind_of(const char *path);
/* cli_onnx.c: an ONNX model as a net with its weights, from an archive or a path; what it
 * is and becomes, for `mango info`. */
mango_status cli_onnx_net(mango_net **net, const mango_archive *file, mango_err *err);
mango_status cli_onnx_open(mango_net **net, const char *path, mango_err *err);
mango_status cli_onnx_info(cli *c, const char *path, mgi_str *s, mango_err *err);
/* "SEED,GAIN" -> numbers; MANGO_E_ARG with a message. */
mango_status cli_fill(const char *text, uint64_t *seed, double *gain, mango_err *err);
/* Make a folder (and its parents) that can be written to. */
mango_status cli_mkdir(const char *path, mango_err *err);
/* Undo it: `from` = cli_missing(path), asked before cli_mkdir, is the length of the
 * first part of path that was not there (0: all was). Folders with content stay. */
mango_idx cli_missing(const char *path);
void cli_rmdir(const char *path, mango_idx from);
/* dir + "/" + name into buf. */
mango_status cli_join(char *buf, mango_idx cap, const char *dir, const char *name,
                      mango_err *err);

/* The verbs, one file each. */
int verb_mei(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_decode(int argc, char **argv);
int verb_encode(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_eval(int argc, char **argv);
int verb_data(int argc, char **argv);
int verb_train(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_version(int argc, char **argv);

#endif
