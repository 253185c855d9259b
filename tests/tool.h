/* tool.h - runs the built command in tests. Its working folder is t_tmp("w"), so
 * commands name plain files; t_work("x") is such a file as the test sees it.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_TOOL_H
#define MANGO_TEST_TOOL_H
#include "test.h"

/* The networks of these tests: a generator and a spiking network that take
 * milliseconds, with values that vary. */
#define T_GEN "zoo:vqvae,width=0.125"
#define T_NET "zoo:snn_conv,width=0.125"
#define T_MEI                                                                              \
    "mei --gen " T_GEN " --net " T_NET " --fill 7,1 --target spiking1:3 --T 6 --opt tt-b"

typedef struct t_ran {
    int rc;          /* exit code; -signal when it was killed */
    char *out, *err; /* what it wrote; free with t_ran_free  */
    mango_idx n_out, n_err;
} t_ran;

/* Start `NAME=VALUE ... VERB arguments` (split at spaces; no quoting, but ~ stands
 * for a space and @ for an empty word); -1 on failure. LIMIT=BYTES
 * caps the files it writes, CLOSE=N closes a descriptor, IGNORE=N has a signal
 * ignored, STDOUT=PATH is where its output goes. */
long t_tool_start(const char *command);
void t_tool_signal(long pid, int sig);
/* Wait for it; the output of the last started one is read. */
t_ran t_tool_end(long pid);
t_ran t_tool_run(const char *command);
void t_ran_free(t_ran *r);
/* Run it: exit code rc, and `says` (NULL: anything) in stderr when rc is not 0,
 * where stderr is one line and stdout is empty, else in stdout. */
int t_tool_is(const char *command, int rc, const char *says);
/* The same, and no file or folder has come, gone or changed. */
int t_tool_refuses(const char *command, int rc, const char *says);
/* 0: the tool runs on Windows (MANGO_TOOL_SYSTEM=windows, as in wine), which has no
 * /dev, no limits of file sizes, short paths. t_tool_is passes what needs those. */
int t_tool_posix(void);
/* Does this machine run the tool at all? */
int t_tool_works(void);
void t_tool_absent(void); /* the case to list when not */
const char *t_work(const char *name);
/* A path of the test as the tool sees it; in a static buffer. */
const char *t_here(const char *path);
/* A number that changes with any file below the working folder. */
uint32_t t_work_state(void);
/* Are both there, and the same bytes? t_same: the file `name` of two folders. */
int t_same_file(const char *a, const char *b);
int t_same(const char *a, const char *b, const char *name);
/* The JSON object that is all of r->out; false when it is not one line of it. */
int t_json(const t_ran *r, mgi_json *j);
/* Number under a key; NaN when there is none. */
double t_json_number(const mgi_json *j, const char *key);
#endif
