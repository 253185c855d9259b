/* onnx_view.c - maps in ONNX's axes: views that cost nothing, and the layers that bring
 * values into the order that an operator needs.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

static const char oxv_letters[] = "nchw";

/* Number of the layer's axis c, h or w. */
static int oxv_axis(char letter)
{
    return (int)(strchr(oxv_letters, letter) - oxv_letters) - 1;
}

static const mgi_ox_layer *oxv_layer(const mango_onnx *m, const mgi_ox_map *v)
{
    return &m->layer[v->layer];
}

MGI_FN mango_idx mgi_ox_dim(const mgi_ox_map *v, int axis)
{
    mango_idx n = 1;
    for (int k = v->cut[axis]; k < v->cut[axis + 1]; k++)
        n *= v->size[v->seq[k]];
    return n;
}

MGI_FN void mgi_ox_dims(const mgi_ox_map *v, mango_idx dim[MGI_RANK_MAX])
{
    for (int r = 0; r < v->rank; r++)
        dim[r] = mgi_ox_dim(v, r);
}

MGI_FN void mgi_ox_see(const mango_onnx *m, int layer, const char *axes, mango_idx batch,
                       mgi_ox_map *v)
{
    const mgi_ox_layer *l = &m->layer[layer];
    const mango_idx size[4] = {batch, l->C, l->H, l->W};
    int atom[4], n_seq = 0;
    memset(v, 0, sizeof *v);
    v->layer = layer;
    for (int k = 0; k < 4; k++) {
        atom[k] = k == 0 || size[k] > 1 ? v->atoms : -1;
        if (atom[k] >= 0)
            v->size[v->atoms++] = size[k];
    }
    for (; axes[v->rank]; v->rank++) {
        const char *which = strchr(oxv_letters, axes[v->rank]);
        v->cut[v->rank] = n_seq;
        if (which && atom[which - oxv_letters] >= 0)
            v->seq[n_seq++] = atom[which - oxv_letters];
    }
    v->cut[v->rank] = n_seq;
}

MGI_FN void mgi_ox_permute(mgi_ox_map *v, const int *order)
{
    const mgi_ox_map old = *v;
    int n = 0;
    for (int r = 0; r < v->rank; r++) {
        v->cut[r] = n;
        for (int k = old.cut[order[r]]; k < old.cut[order[r] + 1]; k++)
            v->seq[n++] = old.seq[k];
    }
    v->cut[v->rank] = n;
}

/* Atom a becomes two, the slower of size `first`. */
static int oxv_split(mgi_ox_map *v, int a, mango_idx first)
{
    int n = 0;
    const mgi_ox_map old = *v;
    if (v->atoms == MGI_OX_ATOMS)
        return 0;
    for (int i = v->atoms++; i > a + 1; i--)
        v->size[i] = v->size[i - 1];
    v->size[a + 1] = old.size[a] / first;
    v->size[a] = first;
    for (int r = 0; r < old.rank; r++) {
        v->cut[r] = n;
        for (int k = old.cut[r]; k < old.cut[r + 1]; k++) {
            v->seq[n++] = old.seq[k] + (old.seq[k] > a);
            if (old.seq[k] == a)
                v->seq[n++] = a + 1;
        }
    }
    v->cut[v->rank] = n;
    return 1;
}

/* Atoms that follow each other in both orders become one; axes are forgotten: rank 1. */
static void oxv_join(mgi_ox_map *v)
{
    v->rank = 1;
    v->cut[0] = 0;
    for (int k = 0; k + 1 < v->atoms;) {
        const int a = v->seq[k];
        if (a == 0 || v->seq[k + 1] != a + 1) {
            k++;
            continue;
        }
        v->size[a] *= v->size[a + 1];
        for (int i = a + 1; i + 1 < v->atoms; i++)
            v->size[i] = v->size[i + 1];
        for (int i = k + 1; i + 1 < v->atoms; i++)
            v->seq[i] = v->seq[i + 1];
        v->atoms--;
        for (int i = 0; i < v->atoms; i++)
            v->seq[i] -= v->seq[i] > a;
    }
    v->cut[1] = v->atoms;
}

/* ---- another shape of the layer, another order of its values ---- */

MGI_FN mango_status mgi_ox_fold_to(mango_onnx *m, mgi_ox_map *v, mango_idx C, mango_idx H,
                                   mango_idx W)
{
    const mgi_ox_layer l = *oxv_layer(m, v);
    const int in = v->layer;
    if (l.C == C && l.H == H && l.W == W)
        return MANGO_OK;
    return mgi_ox_emit(m, ".fold", "reshape", 1, &in, C, H, W, &v->layer,
                       "shape=%tdx%tdx%td", C, H, W);
}

/* From which atom on the axes C, H and W of the layer begin; 0: one begins within one. */
static int oxv_bounds(const mango_onnx *m, const mgi_ox_map *v, int from[4])
{
    const mgi_ox_layer *l = oxv_layer(m, v);
    const mango_idx size[3] = {l->C, l->H, l->W};
    int a = 1;
    for (int k = 0; k < 3; k++) {
        mango_idx n = 1;
        from[k] = a;
        while (n < size[k] && a < v->atoms)
            n *= v->size[a++];
        if (n != size[k])
            return 0;
    }
    from[3] = a;
    return a == v->atoms;
}

MGI_FN int mgi_ox_c_atoms(const mango_onnx *m, const mgi_ox_map *v)
{
    const mango_idx C = oxv_layer(m, v)->C;
    mango_idx n = 1;
    int a = 1;
    while (n < C && a < v->atoms)
        n *= v->size[a++];
    return n == C ? a - 1 : -1;
}

/* Atoms take the places that t lists. */
static void oxv_renumber(mgi_ox_map *v, const int *t)
{
    int place[MGI_OX_ATOMS] = {0};
    mango_idx size[MGI_OX_ATOMS];
    size[0] = v->size[0];
    for (int i = 1; i < v->atoms; i++) {
        place[t[i - 1]] = i;
        size[i] = v->size[t[i - 1]];
    }
    memcpy(v->size, size, (size_t)v->atoms * sizeof *size);
    for (int k = 0; k < v->atoms; k++)
        v->seq[k] = place[v->seq[k]];
}

/* The layer's axes in order `axes` ("hwc"): t is what its atoms become. */
static mango_status oxv_transpose(mango_onnx *m, mgi_ox_map *v, const char *axes,
                                  const int *t)
{
    const mgi_ox_layer l = *oxv_layer(m, v);
    const mango_idx size[3] = {l.C, l.H, l.W};
    mango_idx to[3];
    const int in = v->layer;
    for (int k = 0; k < 3; k++)
        to[k] = size[oxv_axis(axes[k])];
    oxv_renumber(v, t);
    return mgi_ox_emit(m, ".order", "transpose", 1, &in, to[0], to[1], to[2], &v->layer,
                       "order=%s", axes);
}

/* Is t a permutation of the layer's own axes? Then one transposition does it. */
static const char *oxv_axes(const mango_onnx *m, const mgi_ox_map *v, const int *t)
{
    static const char *const orders[] = {"chw", "cwh", "hcw", "hwc", "wch", "whc"};
    int from[4];
    if (!oxv_bounds(m, v, from))
        return NULL;
    for (int i = 0; i < MGI_COUNT(orders); i++) {
        int n = 0, same = 1;
        for (int k = 0; k < 3; k++) {
            const int axis = oxv_axis(orders[i][k]);
            for (int a = from[axis]; a < from[axis + 1]; a++)
                same &= t[n++] == a;
        }
        if (same)
            return orders[i];
    }
    return NULL;
}

/* Up to 3 runs of atoms, first..first + count - 1 each, in physical order: as C, H, W. */
static mango_status oxv_runs(mango_onnx *m, mgi_ox_map *v, int n, const int *first)
{
    mango_idx size[3] = {1, 1, 1};
    for (int k = 0; k < n; k++)
        for (int a = first[k]; a < (k + 1 < n ? first[k + 1] : v->atoms); a++)
            size[k] *= v->size[a];
    return mgi_ox_fold_to(m, v, size[0], size[1], size[2]);
}

/* One step to t where it has over 3 runs: the run a..b goes to the end. */
static mango_status oxv_to_end(mango_onnx *m, mgi_ox_map *v, int a, int b, int *t)
{
    int first[3] = {1, a, b + 1}, step[MGI_OX_ATOMS], n = 0, place[MGI_OX_ATOMS];
    int *f = a == 1 ? first + 1 : first;
    const int runs = (a > 1) + 1 + (b + 1 < v->atoms);
    MGI_TRY(oxv_runs(m, v, runs, f));
    for (int i = 1; i < v->atoms; i++)
        if (i < a || i > b)
            step[n++] = i;
    for (int i = a; i <= b; i++)
        step[n++] = i;
    const char *axes = oxv_axes(m, v, step);
    for (int i = 0; i < n; i++)
        place[step[i]] = i + 1;
    for (int i = 0; i < n; i++)
        t[i] = place[t[i]];
    return axes ? oxv_transpose(m, v, axes, step) : MANGO_E_STATE;
}

/* Bring the atoms into the order of t, the layer into (C,H,W). */
static mango_status oxv_arrange(mango_onnx *m, mgi_ox_map *v, int *t, mango_idx C,
                                mango_idx H, mango_idx W)
{
    const int n = v->atoms - 1;
    int first[MGI_OX_ATOMS], runs = 0, ends[MGI_OX_ATOMS];
    int starts[MGI_OX_ATOMS + 1] = {0};
    for (int i = 0; i < n; i++)
        if (i == 0 || t[i] != t[i - 1] + 1)
            starts[t[i]] = ++runs;
    if (runs <= 1)
        return mgi_ox_fold_to(m, v, C, H, W);
    if (!oxv_axes(m, v, t) && runs <= 3) {
        int k = 0;
        for (int a = 1; a < v->atoms; a++)
            if (starts[a])
                first[k++] = a;
        MGI_TRY(oxv_runs(m, v, k, first));
    }
    const char *axes = oxv_axes(m, v, t);
    if (axes) {
        MGI_TRY(oxv_transpose(m, v, axes, t));
        return mgi_ox_fold_to(m, v, C, H, W);
    }
    for (int i = 0; i < n; i = ends[0]) { /* each run of t to the end, in its order */
        int j = i;
        while (j + 1 < n && t[j + 1] == t[j] + 1)
            j++;
        ends[0] = j + 1;
        if (t[j] != n) /* else it is there */
            MGI_TRY(oxv_to_end(m, v, t[i], t[j], t));
    }
    return mgi_ox_fold_to(m, v, C, H, W);
}

/* ---- what operators ask for ---- */

static mango_status oxv_batch(mango_onnx *m, const mgi_ox_node *n)
{
    return mgi_ox_refuse(m, n,
                         "works along the batch axis; it must be the first axis, and be "
                         "left alone");
}

MGI_FN mango_status mgi_ox_bring(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                 int n_order, const int *order, int n_c, int n_h)
{
    mango_idx size[3] = {1, 1, 1};
    int t[MGI_OX_ATOMS], count = 0;
    if (v->seq[0] != 0)
        return oxv_batch(m, n);
    for (int i = 0; i < n_order; i++)
        for (int k = v->cut[order[i]]; k < v->cut[order[i] + 1]; k++)
            if (v->seq[k] != 0) {
                t[count++] = v->seq[k];
                size[i < n_c ? 0 : i < n_c + n_h ? 1 : 2] *= v->size[v->seq[k]];
            }
    if (count != v->atoms - 1) /* others share the batch's axis */
        return oxv_batch(m, n);
    return oxv_arrange(m, v, t, size[0], size[1], size[2]);
}

/* H and W of what is not `axis`: the layer's other two axes where these are left whole. */
static void oxv_rest(const mango_onnx *m, const mgi_ox_map *v, int axis, mango_idx size[3])
{
    const mgi_ox_layer *l = oxv_layer(m, v);
    const mango_idx all[3] = {l->C, l->H, l->W};
    int from[4];
    const int lo = v->cut[axis], k = v->cut[axis + 1] - lo;
    size[0] = mgi_ox_dim(v, axis);
    size[1] = 1;
    size[2] = l->C * l->H * l->W / size[0];
    if (k == 0 && l->C == 1) { /* an axis of size 1 */
        size[1] = l->H;
        size[2] = l->W;
    }
    if (k == 0 || !oxv_bounds(m, v, from))
        return;
    for (int g = 0; g < 3; g++)
        if (v->seq[lo] == from[g] && from[g + 1] - from[g] == k && all[g] == size[0]) {
            size[1] = all[g == 0 ? 1 : 0];
            size[2] = all[g == 2 ? 1 : 2];
            return;
        }
}

MGI_FN mango_status mgi_ox_channels(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                    int axis)
{
    int t[MGI_OX_ATOMS], count = 0;
    unsigned taken = 0;
    mango_idx size[3];
    for (int k = v->cut[axis]; k < v->cut[axis + 1]; k++) {
        if (v->seq[k] == 0)
            return oxv_batch(m, n);
        t[count++] = v->seq[k];
        taken |= 1u << v->seq[k];
    }
    for (int a = 1; a < v->atoms; a++)
        if (!(taken >> a & 1))
            t[count++] = a;
    oxv_rest(m, v, axis, size);
    return oxv_arrange(m, v, t, size[0], size[1], size[2]);
}

MGI_FN mango_status mgi_ox_picture(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v)
{
    static const int order[3] = {1, 2, 3};
    if (v->rank != 3 && v->rank != 4)
        return mgi_ox_refuse(m, n, "of a map of %d axes; 3 (N,C,L) or 4 (N,C,H,W) expected",
                             v->rank);
    return mgi_ox_bring(m, n, v, v->rank - 1, order, 1, v->rank == 4);
}

MGI_FN mango_status mgi_ox_straight(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v)
{
    int t[MGI_OX_ATOMS];
    int same = 1;
    if (v->seq[0] != 0)
        return oxv_batch(m, n);
    for (int k = 1; k < v->atoms; k++) {
        t[k - 1] = v->seq[k];
        same &= v->seq[k] == k;
    }
    if (same)
        return MANGO_OK;
    const mgi_ox_layer *l = oxv_layer(m, v);
    const mango_idx all = l->C * l->H * l->W, C = v->rank > 1 ? mgi_ox_dim(v, 1) : 1;
    const mango_idx W = v->rank > 2 ? mgi_ox_dim(v, v->rank - 1) : 1;
    return oxv_arrange(m, v, t, C, all / C / W, W);
}

/* Atoms of both are split until each axis has the same sizes. */
static int oxv_refine(mgi_ox_map *a, mgi_ox_map *b)
{
    for (int k = 0; k < a->atoms && k < b->atoms; k++) {
        const int x = a->seq[k], y = b->seq[k];
        const mango_idx p = a->size[x], q = b->size[y];
        if ((x == 0) != (y == 0))
            return 0;
        if (x == 0 || p == q)
            continue;
        if (p > q && (p % q || !oxv_split(a, x, q)))
            return 0;
        if (q > p && (q % p || !oxv_split(b, y, p)))
            return 0;
    }
    return a->atoms == b->atoms &&
           !memcmp(a->cut, b->cut, (size_t)(a->rank + 1) * sizeof *a->cut);
}

/* b in the order of a's atoms, as a layer of (C,H,W); *done 0: they are folded apart. */
static mango_status oxv_follow(mango_onnx *m, mgi_ox_map *a, mgi_ox_map *b, mango_idx C,
                               mango_idx H, mango_idx W, int *done)
{
    int t[MGI_OX_ATOMS];
    *done = oxv_refine(a, b);
    if (!*done)
        return MANGO_OK;
    for (int k = 0; k < a->atoms; k++)
        if (a->seq[k] > 0)
            t[a->seq[k] - 1] = b->seq[k];
    return oxv_arrange(m, b, t, C, H, W);
}

MGI_FN mango_status mgi_ox_align(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *a,
                                 mgi_ox_map *b)
{
    int done;
    const mgi_ox_layer l = *oxv_layer(m, a);
    MGI_TRY(oxv_follow(m, a, b, l.C, l.H, l.W, &done));
    if (done)
        return MANGO_OK;
    MGI_TRY(mgi_ox_straight(m, n, a));
    MGI_TRY(mgi_ox_straight(m, n, b));
    return mgi_ox_fold_to(m, b, oxv_layer(m, a)->C, oxv_layer(m, a)->H, oxv_layer(m, a)->W);
}

MGI_FN mango_status mgi_ox_align_part(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *a,
                                      mgi_ox_map *b)
{
    unsigned wide = 0, c_set = 0,
             w_set = 0; /* atoms of a where b has more than one value */
    mgi_ox_map part;
    int order[MGI_RANK_MAX], n_order = 0, n_wide = 0, done;
    for (int pass = 0; pass < 2; pass++)
        for (int r = 1; r < a->rank; r++)
            if ((mgi_ox_dim(b, r) > 1) == !pass) {
                order[n_order++] = r;
                n_wide += !pass;
            }
    for (int i = 0; i < n_wide; i++)
        for (int k = a->cut[order[i]]; k < a->cut[order[i] + 1]; k++)
            wide |= 1u << a->seq[k];
    const int c = mgi_ox_c_atoms(m, a);
    for (int k = 1; k < a->atoms; k++)
        *(k <= c ? &c_set : &w_set) |= 1u << k;
    if (wide && (c < 0 || (wide != c_set && wide != w_set))) {
        MGI_TRY(mgi_ox_bring(m, n, a, n_order, order, n_wide, 1));
        wide = c_set = 1;
    }
    part = *a;
    for (int i = n_wide; i < n_order; i++)
        MGI_TRY(mgi_ox_resize(m, n, &part, order[i], 1, 1));
    const mgi_ox_layer l = *oxv_layer(m, a);
    const int as_c = wide && wide == c_set, as_w = wide && !as_c;
    MGI_TRY(oxv_follow(m, &part, b, as_c ? l.C : 1, as_w ? l.H : 1, as_w ? l.W : 1, &done));
    return done ? MANGO_OK : mgi_ox_refuse(m, n, "its inputs are folded in different ways");
}

MGI_FN mango_status mgi_ox_resize(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                  int axis, mango_idx size, int at)
{
    const mgi_ox_map old = *v;
    const int lo = v->cut[axis], k = v->cut[axis + 1] - lo, first = k ? v->seq[lo] : at;
    const int keep = size > 1, shift = keep - k;
    int count = 0;
    if (old.atoms + shift > MGI_OX_ATOMS)
        return mgi_ox_refuse(m, n, "axes that are folded too often");
    for (int a = first + k; a < old.atoms; a++)
        v->size[a + shift] = old.size[a];
    v->atoms = old.atoms + shift;
    if (keep)
        v->size[first] = size;
    for (int r = 0; r < old.rank; r++) {
        v->cut[r] = count;
        for (int i = old.cut[r]; i < old.cut[r + 1] && r != axis; i++)
            v->seq[count++] = old.seq[i] + (old.seq[i] >= first + k ? shift : 0);
        if (r == axis && keep)
            v->seq[count++] = first;
    }
    v->cut[v->rank] = count;
    return MANGO_OK;
}

MGI_FN void mgi_ox_drop_axes(mgi_ox_map *v, unsigned mask)
{
    int rank = 0;
    for (int r = 0; r < v->rank; r++)
        if (!(mask >> r & 1))
            v->cut[rank++] = v->cut[r];
    v->cut[rank] = v->cut[v->rank];
    v->rank = rank;
}

MGI_FN void mgi_ox_add_axes(mgi_ox_map *v, int rank, unsigned mask)
{
    const mgi_ox_map old = *v;
    int from = 0;
    for (int r = 0; r < rank; r++) {
        v->cut[r] = old.cut[from];
        from += !(mask >> r & 1);
    }
    v->cut[rank] = old.cut[old.rank];
    v->rank = rank;
}

/* Axes of sizes dim over the atoms as they follow each other; 0: one would be cut unevenly,
 * -1: the batch would be. */
static int oxv_cut(mgi_ox_map *v, int rank, const mango_idx *dim)
{
    int k = 0, cut[MGI_RANK_MAX + 1];
    for (int r = 0; r < rank; r++) {
        mango_idx left = dim[r];
        cut[r] = k;
        while (k < v->atoms) {
            const int a = v->seq[k];
            const mango_idx size = v->size[a];
            if (left % size == 0 && (left > 1 || size == 1)) {
                left /= size;
            } else if (left == 1) {
                break;
            } else if (a == 0) {
                return -1;
            } else if (size % left == 0) {
                if (!oxv_split(v, a, left))
                    return 0;
                left = 1;
            } else {
                return 0;
            }
            k++;
        }
        if (left != 1)
            return 0;
    }
    cut[rank] = k;
    if (k != v->atoms)
        return 0;
    v->rank = rank;
    memcpy(v->cut, cut, sizeof cut[0] * (size_t)(rank + 1));
    return 1;
}

MGI_FN mango_status mgi_ox_view(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                int rank, const mango_idx *dim)
{
    mgi_ox_map w = *v;
    oxv_join(&w);
    int done = oxv_cut(&w, rank, dim);
    if (done == 0) {
        w = *v;
        MGI_TRY(mgi_ox_straight(m, n, &w));
        oxv_join(&w);
        done = oxv_cut(&w, rank, dim);
    }
    if (done != 1)
        return mgi_ox_refuse(m, n, "mixes the inputs of a batch, or makes too many axes");
    *v = w;
    return MANGO_OK;
}
