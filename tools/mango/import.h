/* import.h - fits a foreign checkpoint's tensors to a network of the zoo.
 * SPDX-License-Identifier: MIT */
#ifndef IMPORT_H
#define IMPORT_H

#include "cli.h"

/* What was done, and what did not fit. */
typedef struct import_report {
    char format[24];                /* "zip", "legacy", "safetensors"              */
    char under[32];                 /* key of the state dict, "" at the top        */
    char strip[128], add[128];      /* prefix taken from, put before, every name   */
    mango_idx filled;               /* parameters                                  */
    mango_idx rules;                /* neuron rules changed by threshold and beta  */
    mango_idx ignored;              /* counters, averages: known to be of no use   */
    mango_idx missing, left, shape; /* what does not fit, in number               */
    mgi_str detail;                 /* one line each, up to a screen               */
} import_report;

/* import_weights - read `path` (.safetensors, or anything of torch.save) and
 * fill every parameter of the net. Names are matched as they are, or after one
 * prefix was stripped from and one was put before all of them: the pair under
 * which most names fit; `prefix` (NULL: none) is stripped first. Scalars
 * LAYER.threshold, .beta and .reset_mechanism_val set the neuron rule of LAYER.
 * MANGO_E_SHAPE when anything is missing, left over or of the wrong shape: the
 * report says what. The report's text is the caller's to free. */
mango_status import_weights(mango_net *net, const char *path, const char *prefix,
                            import_report *r, mango_err *err);

/* import_settings - "mean=a,b,c,std=a,b,c,KEY=V": mean, std, out_scale and
 * out_shift go into the net; the other pairs are appended to `spec` (before the
 * net exists: net NULL) as ",KEY=V". Called once for each purpose. */
mango_status import_settings(const char *text, mango_net *net, mgi_str *spec,
                             mango_err *err);

#endif
