/* losses.c - cross-entropy on the mean over time, squared error, hinge.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../base/real.h"

/* p = softmax(z) in place; returns log of the sum, the shift included. */
static double loss_softmax(mango_idx C, double *z)
{
    double top = z[0], sum = 0;
    for (mango_idx c = 1; c < C; c++)
        top = z[c] > top ? z[c] : top;
    for (mango_idx c = 0; c < C; c++) {
        z[c] = mgi_exp(z[c] - top);
        sum += z[c];
    }
    for (mango_idx c = 0; c < C; c++)
        z[c] /= sum;
    return top + mgi_log(sum);
}

static double loss_target(const mgi_labels *l, mango_idx r, mango_idx c, mango_idx C)
{
    double q = l->smoothing / (double)C;
    if (c == l->a[r])
        q += (1 - l->smoothing) * (l->b ? l->lam : 1);
    if (l->b && c == l->b[r])
        q += (1 - l->smoothing) * (1 - l->lam);
    return q;
}

/* Row r of a network's logits: scale times the mean over its T steps of v (T,R,C). */
static void loss_logits(mango_idx T, mango_idx R, mango_idx C, double scale, const float *v,
                        mango_idx r, double *z)
{
    for (mango_idx c = 0; c < C; c++) {
        double s = 0;
        for (mango_idx k = 0; k < T; k++)
            s += (double)v[(k * R + r) * C + c];
        z[c] = scale * s / (double)T;
    }
}

double mgi_loss_classes(mango_idx T, mango_idx R, mango_idx C, double scale, const float *v,
                        const mgi_labels *l, float *dv, mango_idx *hits, double *work)
{
    double loss = 0, *z = work, *q = work + C;
    for (mango_idx r = 0; r < R; r++) {
        double cross = 0;
        mango_idx top = 0;
        loss_logits(T, R, C, scale, v, r, z);
        for (mango_idx c = 0; c < C; c++) {
            q[c] = loss_target(l, r, c, C);
            cross += q[c] * z[c];
            top = z[c] > z[top] ? c : top;
        }
        *hits += top == l->a[r];
        loss += loss_softmax(C, z) - cross;
        for (mango_idx c = 0; dv && c < C; c++) {
            const float d = (float)((z[c] - q[c]) * scale / ((double)T * (double)R));
            for (mango_idx k = 0; k < T; k++)
                dv[(k * R + r) * C + c] = d;
        }
    }
    return loss / (double)R;
}

double mgi_loss_teacher(mango_idx T, mango_idx R, mango_idx C, double scale, const float *v,
                        mango_idx T_u, const float *u, double a, double tau, float *dv,
                        double *work)
{
    double loss = 0, *z = work, *p = z + C, *w = p + C, *q = w + C;
    for (mango_idx r = 0; r < R; r++) {
        loss_logits(T, R, C, scale / tau, v, r, z);
        loss_logits(T_u, R, C, 1 / tau, u, r, w);
        memcpy(p, z, (size_t)C * sizeof *p);
        memcpy(q, w, (size_t)C * sizeof *q);
        double kl = loss_softmax(C, p) - loss_softmax(C, q);
        for (mango_idx c = 0; c < C; c++) {
            const float d = (float)(a * tau * (p[c] - q[c]) * scale / ((double)T * (double)R));
            kl += q[c] * (w[c] - z[c]); /* sum of q (log q - log p) */
            for (mango_idx k = 0; k < T; k++) {
                float *x = &dv[(k * R + r) * C + c];
                *x = (float)(1 - a) * *x + d;
            }
        }
        loss += tau * tau * kl;
    }
    return loss / (double)R;
}

double mgi_loss_mse(mango_idx R, mango_idx C, const float *y, const float *x, double c,
                    float *dy, double *per)
{
    const float a = (float)c;
    double sum = 0;
    for (mango_idx k = 0; k < C; k++)
        per[k] = 0;
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx k = 0; k < C; k++) {
            const float d = y[r * C + k] - x[r * C + k];
            per[k] += (double)d * (double)d;
            if (dy)
                dy[r * C + k] = a * d;
        }
    for (mango_idx k = 0; k < C; k++) {
        sum += per[k];
        per[k] /= (double)R;
    }
    return sum / ((double)R * (double)C);
}

double mgi_loss_hinge(mango_idx n, mango_idx K, const int *y, const float *d, int real,
                      float *dd)
{
    const float sign = real ? -1.0f : 1.0f;
    double sum = 0;
    memset(dd, 0, (size_t)(n * K) * sizeof *dd);
    for (mango_idx i = 0; i < n; i++) {
        const mango_idx at = i * K + (K > 1 ? y[i] : 0);
        const float v = 1.0f + sign * d[at];
        sum += v > 0.0f || mgi_is_nan((double)v) ? (double)v : 0.0;
        dd[at] = v > 0.0f ? sign / (float)n : 0.0f;
    }
    return sum / (double)n;
}

double mgi_loss_mismatch(mango_idx n, mango_idx K, const int *y, double share, const float *d,
                         float *dd)
{
    const double each = K > 1 ? share / ((double)n * (double)(K - 1)) : 0;
    double sum = 0;
    for (mango_idx i = 0; i < n * K && K > 1; i++) {
        const float v = 1.0f + d[i];
        if (i % K == y[i / K] || v <= 0.0f)
            continue;
        sum += (double)v;
        dd[i] += (float)each;
    }
    return sum * each;
}
