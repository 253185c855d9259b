/* distill.c - a classifier that learns from a trained one (Hinton et al. 2015).
 * SPDX-License-Identifier: MIT */
#include "trainer.h"

static mango_status distill_fits(const mango_trainer *t, const mango_net *u, mango_err *err)
{
    const mgi_node *in = &u->node[u->input], *out = &u->node[u->output];
    const mgi_node *want = &t->net->node[t->net->input], *read = &t->net->node[t->tape->output];
    if (in->C != want->C || in->H != want->H || in->W != want->W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "teacher %s reads pictures of %ldx%ldx%ld, expected %ldx%ldx%ld",
                        u->arch, (long)in->C, (long)in->H, (long)in->W, (long)want->C,
                        (long)want->H, (long)want->W);
    if (out->H * out->W != 1 || out->C != read->C)
        return mgi_fail(
            err, MANGO_E_SHAPE,
            "teacher %s answers with %ldx%ldx%ld values, expected %ld as layer %s", u->arch,
            (long)out->C, (long)out->H, (long)out->W, (long)read->C, read->name);
    for (int p = 0; p < u->n_params; p++)
        if (!u->param[p].v)
            return mgi_fail(err, MANGO_E_STATE, "teacher %s: parameter %s has no values",
                            u->arch, u->param[p].name);
    return MANGO_OK;
}

mango_status mango_trainer_teach(mango_trainer *t, const mango_net *teacher, mango_err *err)
{
    mgi_tape_options o;
    MGI_CHECK(err, t && teacher, "mango_trainer_teach: t or teacher is NULL");
    if (!t->kind->taught)
        return mgi_fail(err, MANGO_E_ARG, "a teacher is for classifiers only");
    if (t->teacher || t->update > 0)
        return mgi_fail(err, MANGO_E_STATE, "a teacher is set once, before the first step");
    MGI_TRY(distill_fits(t, teacher, err));
    mgi_tape_defaults(&o);
    o.B = t->o.batch;
    o.T = teacher->T;
    o.train = 0;
    o.memory = mgi_trainer_memory(t);
    if (!t->seen &&
        !(t->seen = mgi_new(&t->al, t->o.batch * t->batch.C * t->batch.H * t->batch.W,
                            sizeof(float))))
        return mgi_fail(err, MANGO_E_MEM, "no memory for a teacher");
    MGI_TRY(mgi_tape_new(&t->lesson, teacher, &o, &t->al, err));
    MGI_TRY(mango_net_digest(teacher, MANGO_DIGEST_HALVES, t->teacher_id));
    t->teacher = teacher;
    return MANGO_OK;
}

/* Pictures as the student sees them, x = rgb*scale + shift, in the teacher's way. */
static void distill_pictures(mango_trainer *t, mango_idx b)
{
    const mango_idx C = t->batch.C, n = b * t->batch.H * t->batch.W;
    float gain[3], add[3];
    for (int c = 0; c < 3; c++) {
        const float sd = t->teacher->std[c] != 0.0f ? t->teacher->std[c] : 1.0f;
        gain[c] = 1.0f / (t->scale[c] * sd);
        add[c] = -t->shift[c] * gain[c] - t->teacher->mean[c] / sd;
    }
    MGI_OMP(parallel for)
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx c = 0; c < C; c++)
            t->seen[i * C + c] = t->batch.x[i * C + c] * gain[c % 3] + add[c % 3];
}

mango_status mgi_distill_add(mango_trainer *t, mango_idx b, double *loss)
{
    const mango_idx C = t->net->node[t->tape->output].C;
    mango_idx rows, rows_u;
    distill_pictures(t, b);
    MGI_TRY(mgi_tape_forward(t->lesson, b, t->seen));
    const float *u = mgi_tape_value(t->lesson, -1, &rows_u);
    const float *v = mgi_tape_value(t->tape, -1, &rows);
    const double a = t->o.distill;
    *loss = (1 - a) * *loss +
            a * mgi_loss_teacher(rows / b, b, C, t->o.readout_scale, v, rows_u / b, u, a,
                                 t->o.temperature, mgi_tape_dout(t->tape), t->work);
    return MANGO_OK;
}
