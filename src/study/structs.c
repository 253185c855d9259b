/* structs.c - the members of public structs, one row each.
 *
 * A row that names another type than the struct's does not compile without a warning; a
 * member without a row is found by the test, as a hole.
 * SPDX-License-Identifier: MIT */
#include "structs.h"
#include "../base/mgi.h"
#include "../mei/mei.h"
#include "archive.h"

typedef struct structs_field {
    const char *name, *type;
    size_t offset, size;
    mango_idx count;
    mango_field_kind kind;
} structs_field;

typedef struct structs_row {
    const char *name;
    size_t size;
    const structs_field *fields;
    mango_idx n;
} structs_row;

/* 0, and a warning unless member m of struct s is a T; an array of T. */
#define FIELD_IS(s, m, T) (0 * sizeof(1 ? &((s *)0)->m : (T *)0))
#define FIELD_ONE(s, m, T, k)                                                              \
    {#m, #T, offsetof(s, m), sizeof(T) + FIELD_IS(s, m, T), 1, MANGO_FIELD_##k}
#define FIELD_MANY(s, m, T, k)                                                             \
    {#m, #T, offsetof(s, m), sizeof(T) + FIELD_IS(s, m[0], T),                             \
     (mango_idx)(sizeof ((s *)0)->m / sizeof(T)), MANGO_FIELD_##k}
#define FIELD_CALL(s, m)                                                                   \
    {#m, "function", offsetof(s, m), sizeof ((s *)0)->m, 1, MANGO_FIELD_POINTER}
#define FIELDS_OF(s, fields) {#s, sizeof(s), fields, MGI_COUNT(fields)}

static const structs_field structs_err[] = {
    FIELD_MANY(mango_err, text, char, CHARS),
};

static const structs_field structs_kind[] = {
    FIELD_ONE(mango_kind, name, const char *, TEXT),
    FIELD_ONE(mango_kind, about, const char *, TEXT),
    FIELD_ONE(mango_kind, shapes, const char *, TEXT),
    FIELD_ONE(mango_kind, least, mango_idx, INT),
    FIELD_ONE(mango_kind, most, mango_idx, INT),
    FIELD_ONE(mango_kind, keys, mango_idx, INT),
};

static const structs_field structs_kind_key[] = {
    FIELD_ONE(mango_kind_key, name, const char *, TEXT),
    FIELD_ONE(mango_kind_key, type, const char *, TEXT),
    FIELD_ONE(mango_kind_key, words, const char *, TEXT),
    FIELD_ONE(mango_kind_key, needed, int, INT),
    FIELD_ONE(mango_kind_key, lo, double, REAL),
    FIELD_ONE(mango_kind_key, hi, double, REAL),
    FIELD_MANY(mango_kind_key, standard, char, CHARS),
    FIELD_MANY(mango_kind_key, meaning, char, CHARS),
};

static const structs_field structs_lif[] = {
    FIELD_ONE(mango_lif, beta, float, REAL),
    FIELD_ONE(mango_lif, beta_per, int, INT),
    FIELD_ONE(mango_lif, tau, float, REAL),
    FIELD_ONE(mango_lif, tau_per, int, INT),
    FIELD_ONE(mango_lif, order, int, INT),
    FIELD_ONE(mango_lif, alpha, float, REAL),
    FIELD_ONE(mango_lif, alpha_per, int, INT),
    FIELD_ONE(mango_lif, decay_input, int, INT),
    FIELD_ONE(mango_lif, input_gain, float, REAL),
    FIELD_ONE(mango_lif, U_thr, float, REAL),
    FIELD_ONE(mango_lif, U_thr_per, int, INT),
    FIELD_ONE(mango_lif, fires_on_equal, int, INT),
    FIELD_ONE(mango_lif, reset, mango_lif_reset, INT),
    FIELD_ONE(mango_lif, U_reset, float, REAL),
    FIELD_ONE(mango_lif, leak_apart, int, INT),
    FIELD_ONE(mango_lif, U_leak, float, REAL),
    FIELD_ONE(mango_lif, reset_delay, int, INT),
    FIELD_ONE(mango_lif, reset_after, int, INT),
    FIELD_ONE(mango_lif, detach_reset, int, INT),
    FIELD_ONE(mango_lif, recurrent, mango_lif_recurrent, INT),
    FIELD_ONE(mango_lif, V, float, REAL),
    FIELD_ONE(mango_lif, V_per, int, INT),
    FIELD_ONE(mango_lif, readout_membrane, int, INT),
    FIELD_ONE(mango_lif, surrogate, mango_surrogate, INT),
    FIELD_ONE(mango_lif, slope, float, REAL),
};

static const structs_field structs_net_info[] = {
    FIELD_ONE(mango_net_info, arch, const char *, TEXT),
    FIELD_ONE(mango_net_info, layers, mango_idx, INT),
    FIELD_ONE(mango_net_info, params, mango_idx, INT),
    FIELD_ONE(mango_net_info, metas, mango_idx, INT),
    FIELD_ONE(mango_net_info, input, mango_idx, INT),
    FIELD_ONE(mango_net_info, output, mango_idx, INT),
    FIELD_ONE(mango_net_info, latent_classes, mango_idx, INT),
    FIELD_ONE(mango_net_info, T, mango_idx, INT),
    FIELD_ONE(mango_net_info, spiking, int, INT),
    FIELD_MANY(mango_net_info, mean, float, REAL),
    FIELD_MANY(mango_net_info, std, float, REAL),
    FIELD_ONE(mango_net_info, out_scale, float, REAL),
    FIELD_ONE(mango_net_info, out_shift, float, REAL),
    FIELD_ONE(mango_net_info, macs, double, REAL),
};

static const structs_field structs_layer[] = {
    FIELD_ONE(mango_layer, name, const char *, TEXT),
    FIELD_ONE(mango_layer, kind, const char *, TEXT),
    FIELD_ONE(mango_layer, C, mango_idx, INT),
    FIELD_ONE(mango_layer, H, mango_idx, INT),
    FIELD_ONE(mango_layer, W, mango_idx, INT),
    FIELD_ONE(mango_layer, spiking, int, INT),
    FIELD_ONE(mango_layer, params, mango_idx, INT),
    FIELD_ONE(mango_layer, timed, int, INT),
    FIELD_ONE(mango_layer, inputs, mango_idx, INT),
    FIELD_ONE(mango_layer, macs, double, REAL),
    FIELD_ONE(mango_layer, macs_inside, double, REAL),
    FIELD_ONE(mango_layer, lif, const mango_lif *, POINTER),
    FIELD_ONE(mango_layer, codes, mango_idx, INT),
};

static const structs_field structs_param[] = {
    FIELD_ONE(mango_param, name, const char *, TEXT),
    FIELD_ONE(mango_param, rank, int, INT),
    FIELD_MANY(mango_param, shape, mango_idx, INT),
    FIELD_ONE(mango_param, count, mango_idx, INT),
    FIELD_ONE(mango_param, trained, int, INT),
    FIELD_ONE(mango_param, values, const float *, POINTER),
};

static const structs_field structs_reading[] = {
    FIELD_ONE(mango_reading, layer, mango_idx, INT),
    FIELD_ONE(mango_reading, what, mango_read, INT),
    FIELD_ONE(mango_reading, out, float *, POINTER),
};

static const structs_field structs_plan_options[] = {
    FIELD_ONE(mango_plan_options, size, size_t, UINT),
    FIELD_ONE(mango_plan_options, T, mango_idx, INT),
    FIELD_ONE(mango_plan_options, batch, mango_idx, INT),
    FIELD_ONE(mango_plan_options, memory, mango_idx, INT),
    FIELD_ONE(mango_plan_options, from, mango_idx, INT),
    FIELD_ONE(mango_plan_options, raw, int, INT),
    FIELD_ONE(mango_plan_options, slice, mango_idx, INT),
    FIELD_ONE(mango_plan_options, half, int, INT),
    FIELD_ONE(mango_plan_options, int8, int, INT),
};

static const structs_field structs_plan_info[] = {
    FIELD_ONE(mango_plan_info, T, mango_idx, INT),
    FIELD_ONE(mango_plan_info, steps, mango_idx, INT),
    FIELD_ONE(mango_plan_info, batch, mango_idx, INT),
    FIELD_ONE(mango_plan_info, readings, mango_idx, INT),
    FIELD_ONE(mango_plan_info, bytes, mango_idx, INT),
    FIELD_ONE(mango_plan_info, weights, mango_idx, INT),
    FIELD_ONE(mango_plan_info, macs, double, REAL),
};

static const structs_field structs_modes[] = {
    FIELD_ONE(mango_modes, d, mango_idx, INT),
    FIELD_ONE(mango_modes, n, const mango_idx *, POINTER),
};

static const structs_field structs_facts[] = {
    FIELD_ONE(mango_facts, size, size_t, UINT),
    FIELD_ONE(mango_facts, H, mango_idx, INT),
    FIELD_ONE(mango_facts, W, mango_idx, INT),
    FIELD_ONE(mango_facts, prior, mango_prior, INT),
    FIELD_ONE(mango_facts, prior_lo, double, REAL),
    FIELD_ONE(mango_facts, prior_hi, double, REAL),
    FIELD_ONE(mango_facts, class_first, mango_idx, INT),
    FIELD_ONE(mango_facts, classes, mango_idx, INT),
    FIELD_ONE(mango_facts, n_codes, mango_idx, INT),
    FIELD_ONE(mango_facts, codes, const mango_idx *, POINTER),
    FIELD_ONE(mango_facts, code_dim, mango_idx, INT),
    FIELD_ONE(mango_facts, code_features, const float *, POINTER),
    FIELD_ONE(mango_facts, features, mango_features, POINTER),
    FIELD_ONE(mango_facts, features_ud, void *, POINTER),
    FIELD_ONE(mango_facts, features_dim, mango_idx, INT),
    FIELD_ONE(mango_facts, level_dim, mango_idx, INT),
    FIELD_ONE(mango_facts, levels, const float *, POINTER),
    FIELD_ONE(mango_facts, gradient, mango_gradient, POINTER),
    FIELD_ONE(mango_facts, gradient_ud, void *, POINTER),
    FIELD_ONE(mango_facts, noisy, int, INT),
    FIELD_ONE(mango_facts, allowed, const unsigned char *, POINTER),
    FIELD_CALL(mango_facts, allows),
    FIELD_ONE(mango_facts, allows_ud, void *, POINTER),
    FIELD_ONE(mango_facts, allows_name, const char *, TEXT),
};

static const structs_field structs_opt_spec[] = {
    FIELD_ONE(mango_opt_spec, name, const char *, TEXT),
    FIELD_ONE(mango_opt_spec, meaning, const char *, TEXT),
    FIELD_ONE(mango_opt_spec, kind, mango_opt_kind, INT),
    FIELD_ONE(mango_opt_spec, lo, double, REAL),
    FIELD_ONE(mango_opt_spec, hi, double, REAL),
    FIELD_ONE(mango_opt_spec, value, double, REAL),
    FIELD_ONE(mango_opt_spec, above, int, INT),
    FIELD_ONE(mango_opt_spec, words, const char *, TEXT),
    FIELD_ONE(mango_opt_spec, most, const char *, TEXT),
};

static const structs_field structs_opt_options[] = {
    FIELD_ONE(mango_opt_options, size, size_t, UINT),
    FIELD_MANY(mango_opt_options, preset, char, CHARS),
    FIELD_ONE(mango_opt_options, given, uint32_t, UINT),
    FIELD_MANY(mango_opt_options, value, double, REAL),
};

static const structs_field structs_opt_preset_info[] = {
    FIELD_ONE(mango_opt_preset_info, name, const char *, TEXT),
    FIELD_ONE(mango_opt_preset_info, method, const char *, TEXT),
    FIELD_ONE(mango_opt_preset_info, meaning, const char *, TEXT),
};

static const structs_field structs_told[] = {
    FIELD_ONE(mango_told, id, uint64_t, UINT),
    FIELD_ONE(mango_told, I, const mango_idx *, POINTER),
    FIELD_ONE(mango_told, y, double, REAL),
    FIELD_ONE(mango_told, var, double, REAL),
    FIELD_ONE(mango_told, n, mango_idx, INT),
    FIELD_ONE(mango_told, tie, double, REAL),
};

static const structs_field structs_opt_info[] = {
    FIELD_ONE(mango_opt_info, preset, const char *, TEXT),
    FIELD_ONE(mango_opt_info, method, const char *, TEXT),
    FIELD_ONE(mango_opt_info, d, mango_idx, INT),
    FIELD_ONE(mango_opt_info, batch, mango_idx, INT),
    FIELD_ONE(mango_opt_info, elite, mango_idx, INT),
    FIELD_ONE(mango_opt_info, retell, int, INT),
    FIELD_ONE(mango_opt_info, ties, int, INT),
    FIELD_ONE(mango_opt_info, oblivious, int, INT),
    FIELD_ONE(mango_opt_info, minimize, int, INT),
    FIELD_ONE(mango_opt_info, asked, uint64_t, UINT),
    FIELD_ONE(mango_opt_info, restarts, uint64_t, UINT),
};

static const structs_field structs_space_info[] = {
    FIELD_ONE(mango_space_info, modes, mango_modes, STRUCT),
    FIELD_ONE(mango_space_info, layer, mango_idx, INT),
    FIELD_ONE(mango_space_info, codebook, int, INT),
    FIELD_ONE(mango_space_info, H, mango_idx, INT),
    FIELD_ONE(mango_space_info, W, mango_idx, INT),
    FIELD_ONE(mango_space_info, lo, double, REAL),
    FIELD_ONE(mango_space_info, hi, double, REAL),
    FIELD_ONE(mango_space_info, classes, mango_idx, INT),
};

static const structs_field structs_target[] = {
    FIELD_ONE(mango_target, layer, mango_idx, INT),
    FIELD_ONE(mango_target, unit, mango_idx, INT),
    FIELD_ONE(mango_target, y, mango_idx, INT),
    FIELD_ONE(mango_target, x, mango_idx, INT),
    FIELD_ONE(mango_target, softmax, int, INT),
    FIELD_ONE(mango_target, C, mango_idx, INT),
    FIELD_ONE(mango_target, H, mango_idx, INT),
    FIELD_ONE(mango_target, W, mango_idx, INT),
    FIELD_ONE(mango_target, spiking, int, INT),
    FIELD_ONE(mango_target, text, const char *, TEXT),
    FIELD_MANY(mango_target, vectors, char, CHARS),
};

static const structs_field structs_controls[] = {
    FIELD_ONE(mango_controls, size, size_t, UINT),
    FIELD_ONE(mango_controls, grey, int, INT),
    FIELD_ONE(mango_controls, luminance, double, REAL),
    FIELD_ONE(mango_controls, contrast, double, REAL),
    FIELD_ONE(mango_controls, tv, double, REAL),
    FIELD_ONE(mango_controls, mask, double, REAL),
    FIELD_ONE(mango_controls, surround, double, REAL),
    FIELD_ONE(mango_controls, H, mango_idx, INT),
    FIELD_ONE(mango_controls, W, mango_idx, INT),
};

static const structs_field structs_drawing_options[] = {
    FIELD_ONE(mango_drawing_options, size, size_t, UINT),
    FIELD_ONE(mango_drawing_options, batch, mango_idx, INT),
    FIELD_ONE(mango_drawing_options, memory, mango_idx, INT),
    FIELD_ONE(mango_drawing_options, half, int, INT),
    FIELD_ONE(mango_drawing_options, controls, const mango_controls *, POINTER),
    FIELD_ONE(mango_drawing_options, C, mango_idx, INT),
    FIELD_ONE(mango_drawing_options, H, mango_idx, INT),
    FIELD_ONE(mango_drawing_options, W, mango_idx, INT),
};

static const structs_field structs_drawing_info[] = {
    FIELD_ONE(mango_drawing_info, C, mango_idx, INT),
    FIELD_ONE(mango_drawing_info, H, mango_idx, INT),
    FIELD_ONE(mango_drawing_info, W, mango_idx, INT),
    FIELD_ONE(mango_drawing_info, batch, mango_idx, INT),
    FIELD_ONE(mango_drawing_info, bytes, mango_idx, INT),
    FIELD_ONE(mango_drawing_info, macs, double, REAL),
    FIELD_ONE(mango_drawing_info, space, const mango_space *, POINTER),
};

static const structs_field structs_objective_options[] = {
    FIELD_ONE(mango_objective_options, size, size_t, UINT),
    FIELD_ONE(mango_objective_options, T, mango_idx, INT),
    FIELD_ONE(mango_objective_options, batch, mango_idx, INT),
    FIELD_ONE(mango_objective_options, memory, mango_idx, INT),
    FIELD_ONE(mango_objective_options, elite, mango_idx, INT),
    FIELD_ONE(mango_objective_options, minimize, int, INT),
    FIELD_ONE(mango_objective_options, believed, double, REAL),
    FIELD_ONE(mango_objective_options, half, int, INT),
    FIELD_ONE(mango_objective_options, int8, int, INT),
    FIELD_ONE(mango_objective_options, ties, int, INT),
    FIELD_ONE(mango_objective_options, sketch, int, INT),
    FIELD_ONE(mango_objective_options, controls, const mango_controls *, POINTER),
};

static const structs_field structs_objective_info[] = {
    FIELD_ONE(mango_objective_info, C, mango_idx, INT),
    FIELD_ONE(mango_objective_info, H, mango_idx, INT),
    FIELD_ONE(mango_objective_info, W, mango_idx, INT),
    FIELD_ONE(mango_objective_info, T, mango_idx, INT),
    FIELD_ONE(mango_objective_info, bytes, mango_idx, INT),
    FIELD_ONE(mango_objective_info, batch, mango_idx, INT),
    FIELD_ONE(mango_objective_info, macs, double, REAL),
    FIELD_ONE(mango_objective_info, space, const mango_space *, POINTER),
    FIELD_ONE(mango_objective_info, n_targets, mango_idx, INT),
    FIELD_ONE(mango_objective_info, target, mango_target, STRUCT),
    FIELD_ONE(mango_objective_info, stopped, mango_idx, INT),
    FIELD_ONE(mango_objective_info, steps, double, REAL),
    FIELD_ONE(mango_objective_info, steps_all, double, REAL),
    FIELD_MANY(mango_objective_info, gen, char, CHARS),
    FIELD_MANY(mango_objective_info, net, char, CHARS),
    FIELD_MANY(mango_objective_info, vectors, char, CHARS),
};

static const structs_field structs_note[] = {
    FIELD_ONE(mango_note, key, const char *, TEXT),
    FIELD_ONE(mango_note, value, const char *, TEXT),
};

static const structs_field structs_session_options[] = {
    FIELD_ONE(mango_session_options, size, size_t, UINT),
    FIELD_ONE(mango_session_options, o, mango_opt_options, STRUCT),
    FIELD_ONE(mango_session_options, seed, uint64_t, UINT),
    FIELD_ONE(mango_session_options, budget, mango_idx, INT),
    FIELD_ONE(mango_session_options, stop_at, double, REAL),
    FIELD_ONE(mango_session_options, stall, mango_idx, INT),
    FIELD_ONE(mango_session_options, repeat, int, INT),
    FIELD_ONE(mango_session_options, shows, mango_idx, INT),
    FIELD_ONE(mango_session_options, ahead, mango_idx, INT),
    FIELD_ONE(mango_session_options, facts, const mango_facts *, POINTER),
    FIELD_ONE(mango_session_options, journal, const char *, TEXT),
    FIELD_ONE(mango_session_options, resume, int, INT),
    FIELD_ONE(mango_session_options, sync, int, INT),
    FIELD_ONE(mango_session_options, notes, const mango_note *, POINTER),
    FIELD_ONE(mango_session_options, n_notes, mango_idx, INT),
    FIELD_CALL(mango_session_options, observe),
    FIELD_ONE(mango_session_options, observe_ud, void *, POINTER),
    FIELD_ONE(mango_session_options, noise, const char *, TEXT),
    FIELD_ONE(mango_session_options, race, double, REAL),
    FIELD_ONE(mango_session_options, race_leaders, mango_idx, INT),
    FIELD_ONE(mango_session_options, start, const mango_idx *, POINTER),
    FIELD_ONE(mango_session_options, n_start, mango_idx, INT),
    FIELD_CALL(mango_session_options, ties),
    FIELD_ONE(mango_session_options, ties_ud, void *, POINTER),
    FIELD_ONE(mango_session_options, stagnate, mango_idx, INT),
    FIELD_ONE(mango_session_options, seconds, double, REAL),
};

static const structs_field structs_session_info[] = {
    FIELD_ONE(mango_session_info, d, mango_idx, INT),
    FIELD_ONE(mango_session_info, budget, mango_idx, INT),
    FIELD_ONE(mango_session_info, queries, mango_idx, INT),
    FIELD_ONE(mango_session_info, cached, mango_idx, INT),
    FIELD_ONE(mango_session_info, missing, mango_idx, INT),
    FIELD_ONE(mango_session_info, asks, mango_idx, INT),
    FIELD_ONE(mango_session_info, restarts, mango_idx, INT),
    FIELD_ONE(mango_session_info, replayed, mango_idx, INT),
    FIELD_ONE(mango_session_info, improvements, mango_idx, INT),
    FIELD_ONE(mango_session_info, best, double, REAL),
    FIELD_ONE(mango_session_info, asked, mango_idx, INT),
    FIELD_ONE(mango_session_info, told, mango_idx, INT),
    FIELD_ONE(mango_session_info, out, mango_idx, INT),
    FIELD_ONE(mango_session_info, open, mango_idx, INT),
    FIELD_ONE(mango_session_info, format, int, INT),
};

static const structs_field structs_value[] = {
    FIELD_ONE(mango_value, id, uint64_t, UINT),
    FIELD_ONE(mango_value, y, double, REAL),
    FIELD_ONE(mango_value, var, double, REAL),
    FIELD_ONE(mango_value, n, mango_idx, INT),
    FIELD_ONE(mango_value, shown, mango_idx, INT),
};

static const structs_field structs_improvement[] = {
    FIELD_ONE(mango_improvement, query, mango_idx, INT),
    FIELD_ONE(mango_improvement, queries, mango_idx, INT),
    FIELD_ONE(mango_improvement, told, mango_idx, INT),
    FIELD_ONE(mango_improvement, y, double, REAL),
};

static const structs_field structs_estimate[] = {
    FIELD_ONE(mango_estimate, id, uint64_t, UINT),
    FIELD_ONE(mango_estimate, n, mango_idx, INT),
    FIELD_ONE(mango_estimate, y, double, REAL),
    FIELD_ONE(mango_estimate, mean, double, REAL),
    FIELD_ONE(mango_estimate, again, double, REAL),
    FIELD_ONE(mango_estimate, se, double, REAL),
    FIELD_ONE(mango_estimate, lo, double, REAL),
    FIELD_ONE(mango_estimate, hi, double, REAL),
    FIELD_ONE(mango_estimate, posterior, double, REAL),
};

static const structs_field structs_archive_info[] = {
    FIELD_ONE(mango_archive_info, format, const char *, TEXT),
    FIELD_ONE(mango_archive_info, under, const char *, TEXT),
    FIELD_ONE(mango_archive_info, sha256, const char *, TEXT),
    FIELD_ONE(mango_archive_info, tensors, mango_idx, INT),
    FIELD_ONE(mango_archive_info, has_graph, int, INT),
    FIELD_ONE(mango_archive_info, graph, const char *, TEXT),
    FIELD_ONE(mango_archive_info, beside, const char *, TEXT),
    FIELD_ONE(mango_archive_info, open, int, INT),
};

static const structs_field structs_tensor[] = {
    FIELD_ONE(mango_tensor, name, const char *, TEXT),
    FIELD_ONE(mango_tensor, dtype, const char *, TEXT),
    FIELD_ONE(mango_tensor, rank, int, INT),
    FIELD_MANY(mango_tensor, shape, mango_idx, INT),
    FIELD_ONE(mango_tensor, count, mango_idx, INT),
};

static const structs_row structs_all[] = {
    FIELDS_OF(mango_err, structs_err),
    FIELDS_OF(mango_kind, structs_kind),
    FIELDS_OF(mango_kind_key, structs_kind_key),
    FIELDS_OF(mango_lif, structs_lif),
    FIELDS_OF(mango_net_info, structs_net_info),
    FIELDS_OF(mango_layer, structs_layer),
    FIELDS_OF(mango_param, structs_param),
    FIELDS_OF(mango_reading, structs_reading),
    FIELDS_OF(mango_plan_options, structs_plan_options),
    FIELDS_OF(mango_plan_info, structs_plan_info),
    FIELDS_OF(mango_modes, structs_modes),
    FIELDS_OF(mango_facts, structs_facts),
    FIELDS_OF(mango_opt_spec, structs_opt_spec),
    FIELDS_OF(mango_opt_options, structs_opt_options),
    FIELDS_OF(mango_opt_preset_info, structs_opt_preset_info),
    FIELDS_OF(mango_told, structs_told),
    FIELDS_OF(mango_opt_info, structs_opt_info),
    FIELDS_OF(mango_space_info, structs_space_info),
    FIELDS_OF(mango_target, structs_target),
    FIELDS_OF(mango_controls, structs_controls),
    FIELDS_OF(mango_drawing_options, structs_drawing_options),
    FIELDS_OF(mango_drawing_info, structs_drawing_info),
    FIELDS_OF(mango_objective_options, structs_objective_options),
    FIELDS_OF(mango_objective_info, structs_objective_info),
    FIELDS_OF(mango_note, structs_note),
    FIELDS_OF(mango_session_options, structs_session_options),
    FIELDS_OF(mango_session_info, structs_session_info),
    FIELDS_OF(mango_value, structs_value),
    FIELDS_OF(mango_improvement, structs_improvement),
    FIELDS_OF(mango_estimate, structs_estimate),
    FIELDS_OF(mango_archive_info, structs_archive_info),
    FIELDS_OF(mango_tensor, structs_tensor),
};

#undef FIELD_IS
#undef FIELD_ONE
#undef FIELD_MANY
#undef FIELD_CALL
#undef FIELDS_OF

/* NULL: it is not in the table */
static const structs_row *structs_find(const char *name)
{
    for (mango_idx i = 0; name && i < MGI_COUNT(structs_all); i++)
        if (strcmp(structs_all[i].name, name) == 0)
            return &structs_all[i];
    return NULL;
}

const char *mango_struct_name(mango_idx i)
{
    return i >= 0 && i < MGI_COUNT(structs_all) ? structs_all[i].name : NULL;
}

size_t mango_struct_size(const char *name)
{
    const structs_row *row = structs_find(name);
    return row ? row->size : 0;
}

mango_status mango_struct_field(const char *name, mango_idx index, const char **field,
                                size_t *offset, size_t *size, mango_idx *count,
                                mango_field_kind *kind)
{
    const structs_row *row = structs_find(name);
    if (!row)
        return MANGO_E_NAME;
    MGI_REQUIRE(field && index >= 0 && index < row->n);
    const structs_field *f = &row->fields[index];
    *field = f->name;
    if (offset)
        *offset = f->offset;
    if (size)
        *size = f->size;
    if (count)
        *count = f->count;
    if (kind)
        *kind = f->kind;
    return MANGO_OK;
}

const char *mango_struct_type(const char *name, mango_idx index)
{
    const structs_row *row = structs_find(name);
    return row && index >= 0 && index < row->n ? row->fields[index].type : NULL;
}
