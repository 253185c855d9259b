/* verb_train.c - `mango train`: classifiers (spiking or not), VQ-VAE, SN-GAN.
 * SPDX-License-Identifier: MIT */
#include "image.h"
#include "reference.h"
#include "train_job.h"
#include "train_start.h"
#include "system.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

static const cli_doc train_doc = {
    "train", "train a network, a VQ-VAE or an SN-GAN",
    "mango train net|vqvae|sngan --data NAME --root DIR --out W [options]",
    "Leaves the weights W (float16, with graph and provenance), the curves W.tsv and W.svg,\n"
    "for generators a sheet W.png (SN-GAN: and the discriminator W.dsc, see --from-dsc), and\n"
    "after each epoch the checkpoint W.ckpt, from which --resume goes on bit for bit. ^C and\n"
    "the signals TERM, HUP, USR1 and USR2 save in the middle of an epoch. One training at a\n"
    "time works on a W; if it is a link, all stands beside what it leads to. Options that\n"
    "are not given follow a recipe for the kind and architecture, printed at the start. An\n"
    "SN-GAN with classes (--arch sngan,classes=10) draws the class that stands at the place\n"
    "of the largest of a latent's first values.\n",
    "  mango train net --arch spiking_resnet18 --data cifar10 --root data/cifar10 --T 2 \\\n"
    "    --out sr18.safetensors\n"
    "  mango train vqvae --data cifar10 --root data/cifar10 --epochs 20 --out vae.safetensors\n"
    "  mango train sngan --arch sngan,width=0.25,classes=10 --data cifar10 \\\n"
    "    --root data/cifar10 --out gan.safetensors\n"
    "  mango train net --arch snn_conv ... --out snn.safetensors --resume\n"};

/* Options of the trainer that are numbers. Not given: NaN, as the recipe says. */
typedef enum train_type { TRAIN_REAL, TRAIN_INT, TRAIN_WHOLE } train_type;
typedef struct train_number {
    const char *name;
    train_type type;
    size_t at; /* in mango_train_options */
    double lo, hi;
    const char *help;
} train_number;
#define TRAIN_AT(field) offsetof(mango_train_options, field)
static const train_number train_numbers[] = {
    {"--epochs", TRAIN_WHOLE, TRAIN_AT(epochs), 1, 100000, "epochs"},
    {"--batch", TRAIN_WHOLE, TRAIN_AT(batch), 1, 4096, "pictures an update"},
    {"--T", TRAIN_WHOLE, TRAIN_AT(T), 1, 4096, "steps while training"},
    {"--bn-T", TRAIN_WHOLE, TRAIN_AT(bn_T), 0, 4096,
     "estimate running statistics again at X steps"},
    {"--limit", TRAIN_WHOLE, TRAIN_AT(limit), 0, 1e9, "pictures an epoch (all)"},
    {"--test-limit", TRAIN_WHOLE, TRAIN_AT(val_limit), 0, 1e9,
     "test pictures looked at (all)"},
    {"--lr", TRAIN_REAL, TRAIN_AT(lr), 0, 1000, "learning rate"},
    {"--warmup", TRAIN_REAL, TRAIN_AT(warmup), 0, 1e5, "epochs of linear rise"},
    {"--lr-every", TRAIN_REAL, TRAIN_AT(lr_every), 1e-3, 1e6, "step schedule: epochs"},
    {"--lr-factor", TRAIN_REAL, TRAIN_AT(lr_factor), 0, 1, "step schedule: factor"},
    {"--momentum", TRAIN_REAL, TRAIN_AT(momentum), 0, 0.9999, "of SGD"},
    {"--nesterov", TRAIN_INT, TRAIN_AT(nesterov), 0, 1, "0 or 1"},
    {"--beta1", TRAIN_REAL, TRAIN_AT(beta1), 0, 0.99999, "of Adam"},
    {"--beta2", TRAIN_REAL, TRAIN_AT(beta2), 0, 0.999999, "of Adam"},
    {"--weight-decay", TRAIN_REAL, TRAIN_AT(weight_decay), 0, 10,
     "not on norms and biases"},
    {"--clip", TRAIN_REAL, TRAIN_AT(clip), 0, 1e9, "largest norm of the gradient; 0: none"},
    {"--smoothing", TRAIN_REAL, TRAIN_AT(smoothing), 0, 0.99, "of labels"},
    {"--distill", TRAIN_REAL, TRAIN_AT(distill), 0, 1,
     "share of the teacher in the loss (0.5)"},
    {"--temperature", TRAIN_REAL, TRAIN_AT(temperature), 0.1, 100,
     "both logits are divided by X where they are compared (2)"},
    {"--ema", TRAIN_REAL, TRAIN_AT(ema), 0, 0.999999, "decay of averaged weights; 0: none"},
    {"--crop-pad", TRAIN_WHOLE, TRAIN_AT(crop_pad), 0, 64,
     "random crop after padding by X"},
    {"--flip", TRAIN_INT, TRAIN_AT(flip), 0, 1, "mirror at random, 0 or 1"},
    {"--cutout", TRAIN_WHOLE, TRAIN_AT(cutout), 0, 256, "side of a zeroed square"},
    {"--mixup", TRAIN_REAL, TRAIN_AT(mixup), 0, 1, "blend pictures, Beta(X,X)"},
    {"--readout-scale", TRAIN_REAL, TRAIN_AT(readout_scale), 1e-6, 1e6,
     "logits = X times the readout's mean over T"},
    {"--commitment", TRAIN_REAL, TRAIN_AT(commitment), 0, 100, "VQ-VAE (0.25)"},
    {"--decay", TRAIN_REAL, TRAIN_AT(decay), 0, 0.99999,
     "VQ-VAE: of the codebook's averages (0.99)"},
    {"--revive", TRAIN_REAL, TRAIN_AT(revive), 0, 1,
     "VQ-VAE: codes used less than X of the mean"},
    {"--reference", TRAIN_WHOLE, TRAIN_AT(reference), 0, 100000,
     "VQ-VAE: encoded pictures in the file (1000)"},
    {"--n-dis", TRAIN_WHOLE, TRAIN_AT(n_dis), 1, 100,
     "SN-GAN: updates of D for one of G (5)"},
    {"--lr-dis", TRAIN_REAL, TRAIN_AT(lr_dis), 0, 1000,
     "SN-GAN: learning rate of D (that of G)"},
    {"--grid", TRAIN_REAL, TRAIN_AT(grid), 0, 1,
     "SN-GAN: share of latents drawn evenly from [-4,4], as codes are, not from N(0,1)"},
};
#undef TRAIN_AT
enum { TRAIN_NUMBERS = sizeof train_numbers / sizeof train_numbers[0] };
typedef char train_numbers_fit[(int)TRAIN_NUMBERS <= (int)TRAIN_NUMBERS_MOST ? 1 : -1];

/* ---- set-up ---------------------------------------------------------------- */

static int train_word(const char *const *words, int n, const char *z)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(words[i], z))
            return i;
    return -1;
}

static mango_status train_options(train_job *j, mango_err *err)
{
    static const char *const optimizers[] = {"sgd", "adam", "adamw"};
    static const char *const schedules[] = {"constant", "cosine", "linear", "step"};
    mango_train_options *o = &j->o;
    MGI_TRY(mango_train_defaults(j->kind, j->net, o, err));
    for (int k = 0; k < TRAIN_NUMBERS; k++) {
        unsigned char *at = (unsigned char *)o + train_numbers[k].at;
        const mango_idx whole = j->v[k] == j->v[k] ? (mango_idx)j->v[k] : 0;
        const int small = (int)whole;
        if (j->v[k] != j->v[k])
            continue;
        if (train_numbers[k].type == TRAIN_REAL)
            memcpy(at, &j->v[k], sizeof(double));
        else if (train_numbers[k].type == TRAIN_WHOLE)
            memcpy(at, &whole, sizeof whole);
        else
            memcpy(at, &small, sizeof small);
    }
    o->memory = (mango_idx)MGI_MIN(j->memory * 1048576.0, (double)(PTRDIFF_MAX / 2));
    const int opt = j->optimizer ? train_word(optimizers, 3, j->optimizer) : (int)o->optimizer;
    const int sch = j->schedule ? train_word(schedules, 4, j->schedule) : (int)o->schedule;
    if (opt < 0)
        return mgi_fail(err, MANGO_E_ARG, "--optimizer %.40s; expected sgd, adam or adamw",
                        j->optimizer);
    if (sch < 0)
        return mgi_fail(err, MANGO_E_ARG,
                        "--schedule %.40s; expected constant, cosine, linear or step",
                        j->schedule);
    o->optimizer = (mango_optimizer)opt;
    o->schedule = (mango_schedule)sch;
    o->seed = (uint64_t)j->c->seed;
    if (j->readout && !mgi_copy(o->readout, (mango_idx)sizeof o->readout, j->readout))
        return mgi_fail(err, MANGO_E_NAME, "--readout: the name is too long");
    return mango_train_check(o, j->kind, err);
}

static mango_status train_data(train_job *j, mango_err *err)
{
    mango_data_options o;
    const mango_net_info info = cli_info(j->net);
    const mango_layer in = cli_layer(j->net, j->is.draws ? info.output : info.input);
    mango_data_defaults(&o);
    o.codecs = *image_codecs();
    if (!strcmp(j->data_name, "folder")) {
        o.channels = in.C == 1 ? 1 : 3;
        o.crop = in.H;
        o.resize = in.H == 224 ? 256 : in.H;
    }
    MGI_TRY(mango_data_open(&j->data, j->data_name, j->root, "train", &o, NULL, err));
    if (j->no_val)
        return MANGO_OK;
    return mango_data_open(&j->val, j->data_name, j->root, "test", &o, NULL, err);
}

static mango_status train_teach(train_job *j, mango_err *err)
{
    for (int k = 0; k < TRAIN_NUMBERS; k++)
        if (!j->teacher_path && j->v[k] == j->v[k] &&
            (train_numbers[k].at == offsetof(mango_train_options, distill) ||
             train_numbers[k].at == offsetof(mango_train_options, temperature)))
            return mgi_fail(err, MANGO_E_ARG, "%s is of no use without --teacher",
                            train_numbers[k].name);
    if (!j->teacher_path)
        return MANGO_OK;
    MGI_TRY(train_trained(&j->teacher, "--teacher", j->teacher_path, err));
    MGI_TRY(mango_trainer_teach(j->t, j->teacher, err));
    cli_note(j->c, "teacher %s: %g of the loss, at temperature %g",
             cli_info(j->teacher).arch, j->o.distill, j->o.temperature);
    return MANGO_OK;
}

/* A new run does not write over the checkpoint of another one; an old one has one. */
static mango_status train_has_checkpoint(const train_job *j, mango_err *err)
{
    const int there = sys_kind(j->ckpt) != 0;
    if (!there && j->resume)
        return mgi_fail(err, MANGO_E_IO, "%.150s: there is no checkpoint to go on from",
                        j->ckpt);
    if (!there || j->resume)
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_ARG,
                    "%.150s is there already: --resume goes on with it; to begin anew "
                    "remove it or name another --out",
                    j->ckpt);
}

/* The discriminator; nothing said: one with an answer for each class that is drawn. */
static mango_status train_judge(train_job *j, mango_err *err)
{
    char own[64] = "sngan_dsc";
    const mango_idx s = cli_info(j->net).latent_classes;
    if (s >= 0)
        snprintf(own, sizeof own, "sngan_dsc,classes=%td", cli_layer(j->net, s).C);
    MGI_TRY(train_start(&j->dsc, j->dsc_arch || j->from_dsc ? j->dsc_arch : own, j->from_dsc,
                        j->widen && j->dsc_arch, j->kind, (uint64_t)j->c->seed + 1, j->c, err));
    train_classes(j->net, j->dsc, j->c);
    return MANGO_OK;
}

/* Where the training stands: at the start, or where its checkpoint says; then all
 * files that belong to that place are written, for a stop may have come before them. */
static mango_status train_begin(train_job *j, mango_err *err)
{
    MGI_TRY(train_curves_open(j, err)); /* refuses what cannot be written, too */
    MGI_TRY(train_has_checkpoint(j, err));
    if (!j->resume)
        return train_curves_write(j, err);
    const mango_status st = mango_trainer_resume(j->t, j->ckpt, err);
    if (st < 0) {
        mgi_applog_drop(&j->curves, j->tsv);
        return st;
    }
    MGI_TRY(train_curves_seconds(j, mango_trainer_rows(j->t), err));
    MGI_TRY(train_curves_write(j, err));
    const mango_train_row r = train_row(j, mango_trainer_rows(j->t) - 1);
    return r.epoch > 0 && train_at(j).step == 0 ? train_files_epoch(j, &r, err) : MANGO_OK;
}

static mango_status train_open(train_job *j, mango_err *err)
{
    MGI_TRY(train_files_name(j, err));
    MGI_TRY(train_has_checkpoint(j, err));
    MGI_TRY(train_start(&j->net, j->arch || j->from ? j->arch : j->is.arch, j->from,
                        j->widen, j->kind, (uint64_t)j->c->seed, j->c, err));
    if (j->is.judged)
        MGI_TRY(train_judge(j, err));
    MGI_TRY(train_options(j, err));
    if (j->features)
        MGI_TRY(reference_check(j->net, j->features, err));
    MGI_TRY(train_data(j, err));
    MGI_TRY(mango_trainer_create(&j->t, j->kind, j->net, j->dsc, j->data, j->val, &j->o,
                                 NULL, err));
    MGI_TRY(train_teach(j, err));
    j->seconds = calloc((size_t)j->o.epochs, sizeof *j->seconds);
    if (!j->seconds)
        return MANGO_E_MEM;
    MGI_TRY(train_begin(j, err));
    const mango_trainer_info s = train_at(j);
    cli_note(
        j->c,
        "%s on %s: %td epochs of %td updates, batch %td, T %td, lr %g, memory %.0f MiB%s",
        cli_info(j->net).arch, j->data_name, s.epochs, s.steps, j->o.batch, j->o.T, j->o.lr,
        (double)s.tape_bytes / 1048576, s.segments > 1 ? ", parts computed twice" : "");
    j->done0 = (double)(s.epoch * s.steps + s.step);
    return MANGO_OK;
}

/* ---- the run ------------------------------------------------------------------- */

static int train_watch(void *ud, const mango_trainer *t)
{
    train_job *j = ud;
    const mango_trainer_info s = train_at(j);
    char text[96];
    train_speed_step(&j->speed);
    (void)t;
    snprintf(text, sizeof text, "updates  epoch %td of %td  loss %.4f", s.epoch + 1,
             s.epochs, s.loss);
    cli_progress(j->c, j->since, j->done0, (double)(s.epoch * s.steps + s.step),
                 (double)(s.epochs * s.steps), text);
    return cli_interrupted();
}

static void train_line(train_job *j, const mango_train_row *r)
{
    const char *const *name = j->is.column;
    const double took = j->seconds[r->epoch - 1];
    const double left = took * (double)(j->o.epochs - r->epoch);
    const int digits = j->is.rising ? 4 : 5;
    char test[64] = "", extra[64] = "";
    cli_progress_end(j->c);
    if (!j->is.judged)
        snprintf(test, sizeof test, "  test %.*f", digits, r->val_score);
    if (j->is.samples)
        snprintf(extra, sizeof extra, "  %s %.4g", name[5], r->extra);
    cli_print(j->c, "epoch %td/%td  %s %.4f  %s %.*f%s  lr %.4g%s  %.0f s, %.0f s left\n",
              r->epoch, j->o.epochs, name[0], r->loss, name[1], digits, r->score, test,
              r->lr, extra, took, left);
    fflush(stdout);
}

static mango_status train_epochs(train_job *j, mango_err *err)
{
    mango_trainer_info s = train_at(j);
    j->since = cli_now();
    if (s.epoch == 0 && s.step == 0) {
        const mango_train_row zero = {0, NAN, NAN, NAN, NAN, j->o.lr, 0};
        MGI_TRY(train_files_track(j, &zero, err));
    }
    while (s.epoch < s.epochs) {
        j->mark = cli_now();
        train_speed_begin(&j->speed);
        const mango_status st = mango_trainer_epoch(j->t, train_watch, j, err);
        if (st == MANGO_STOP_USER) {
            cli_progress_end(j->c);
            MGI_TRY(mango_trainer_save(j->t, j->ckpt, err));
            return MANGO_STOP_USER;
        }
        if (st == MANGO_E_NONFINITE) {
            mango_err e = *err;
            return s.epoch > 0 ? mgi_fail(err, st,
                                          "%.150s; last good checkpoint: %.80s (epoch %td)",
                                          e.text, j->ckpt, s.epoch)
                               : mgi_fail(err, st, "%.180s; no checkpoint yet", e.text);
        }
        MGI_TRY(st);
        s = train_at(j);
        const mango_train_row row = train_row(j, s.epoch - 1);
        j->seconds[s.epoch - 1] = cli_now() - j->mark;
        MGI_TRY(mango_trainer_save(j->t, j->ckpt, err));
        MGI_TRY(train_curves_add(j, err));
        MGI_TRY(train_files_epoch(j, &row, err));
        train_line(j, &row);
        if (cli_interrupted())
            return MANGO_STOP_USER;
    }
    return MANGO_OK;
}

static mango_status train_finish(train_job *j, mango_err *err)
{
    const mango_train_row r = train_row(j, mango_trainer_rows(j->t) - 1);
    MGI_TRY(mango_trainer_finish(j->t, err));
    if (j->features)
        MGI_TRY(reference_features(j->c, j->net, j->features, err));
    MGI_TRY(train_files_provenance(j, &r));
    if (j->dsc) { /* what a further training starts from, with --from and --from-dsc */
        MGI_TRY(mango_net_meta_set(j->dsc, "train.command", j->command));
        MGI_TRY(mango_net_save(j->dsc, j->dsc_out, j->dtype, err));
    }
    return mango_net_save(j->net, j->out, j->dtype, err);
}

static mango_status train_report(train_job *j, mango_err *err)
{
    mgi_str s;
    const mango_trainer_info st = train_at(j);
    const mango_train_row r = train_row(j, st.epoch - 1);
    mgi_str_init(&s, NULL);
    mgi_str_printf(&s, "{\"epochs\":%td,\"loss\":", st.epoch);
    mgi_str_float(&s, r.loss);
    const char *const name[] = {"score", "val_score", "best"};
    const double v[] = {r.score, r.val_score, st.best};
    for (int k = 0; k < 3; k++) {
        mgi_str_printf(&s, ",\"%s\":", name[k]);
        if (v[k] == v[k])
            mgi_str_float(&s, v[k]);
        else
            mgi_str_puts(&s, "null");
    }
    mgi_str_puts(&s, ",\"weights\":");
    mgi_json_quote(&s, j->out, (mango_idx)strlen(j->out));
    cli_print(j->c, "weights: %s\n", j->out);
    const mango_idx seen = j->o.batch * (j->is.judged ? j->o.n_dis : 1);
    const mango_status rc = train_speed_report(&j->speed, j->c, j->t, seen, &s, err);
    mgi_str_puts(&s, "}");
    cli_json(j->c, &s);
    mgi_str_free(&s);
    return rc;
}

static void train_free(train_job *j)
{
    train_curves_close(j);
    mango_trainer_destroy(j->t);
    mango_data_destroy(j->data);
    mango_data_destroy(j->val);
    mango_net_destroy(j->net);
    mango_net_destroy(j->dsc);
    mango_net_destroy(j->teacher);
    free(j->seconds);
}

static void train_remember(train_job *j, int argc, char **argv)
{
    size_t n = (size_t)snprintf(j->command, sizeof j->command, "mango");
    for (int i = 0; i < argc && n < sizeof j->command; i++)
        n += (size_t)snprintf(j->command + n, sizeof j->command - n, " %s", argv[i]);
}

static int train_run(train_job *j)
{
    mango_err err = {""};
    mango_status st = train_open(j, &err);
    if (st >= 0)
        st = train_epochs(j, &err);
    if (st == MANGO_OK)
        st = train_finish(j, &err);
    if (st == MANGO_OK)
        st = train_report(j, &err);
    if (st < 0)
        return cli_fail(j->c, st, &err);
    if (st == MANGO_STOP_USER) {
        cli_note(j->c, "interrupted; saved in %s, go on with --resume", j->ckpt);
        return CLI_INTERRUPTED;
    }
    return CLI_OK;
}

/* The kind that a word names; false: none. */
static int train_kind(train_job *j, const char *word)
{
    for (int k = 0; mango_train_kind_get((mango_train_kind)k, &j->is) >= 0; k++)
        if (!strcmp(j->is.name, word)) {
            j->kind = (mango_train_kind)k;
            return 1;
        }
    return 0;
}

/* What the options' table cannot check; -1: nothing to say. */
static int train_usage(cli *c, train_job *j)
{
    if (c->n_pos != 1 || !train_kind(j, c->pos[0]))
        return cli_usage(c, "what to train? net, vqvae or sngan");
    if (strcmp(j->dtype, "F16") && strcmp(j->dtype, "F32"))
        return cli_usage(c, "--dtype is F16 or F32");
    if (j->features && j->kind != MANGO_TRAIN_VQVAE)
        return cli_usage(c, "--features describes the reference codes of a vqvae");
    return -1;
}

int verb_train(int argc, char **argv)
{
    cli c;
    train_job j;
    memset(&j, 0, sizeof j);
    j.c = &c;
    j.dtype = "F16";
    train_remember(&j, argc, argv);
    const cli_opt word[] = {
        {"--data", CLI_STR, &j.data_name, 0, 0, "NAME",
         "cifar10, mnist, fashion-mnist or folder", 1},
        {"--root", CLI_STR, &j.root, 0, 0, "DIR", "where the data set lies", 1},
        {"--out", CLI_STR, &j.out, 0, 0, "W", "weights file to write", 1},
        {"--arch", CLI_STR, &j.arch, 0, 0, "SPEC",
         "zoo specification, for example snn_conv,width=0.5", 0},
        {"--dsc", CLI_STR, &j.dsc_arch, 0, 0, "SPEC",
         "discriminator (sngan_dsc, with the classes of the generator)", 0},
        {"--from", CLI_STR, &j.from, 0, 0, "W",
         "start from these weights; with --arch: where name and shape agree", 0},
        {"--from-dsc", CLI_STR, &j.from_dsc, 0, 0, "W",
         "SN-GAN: discriminator to start from, an earlier W.dsc", 0},
        {"--widen", CLI_FLAG, &j.widen, 0, 0, NULL,
         "spread the values of --from over a wider --arch, which then answers alike", 0},
        {"--teacher", CLI_STR, &j.teacher_path, 0, 0, "W",
         "classifier: learn from the answers of this trained network too", 0},
        {"--resume", CLI_FLAG, &j.resume, 0, 0, NULL, "go on from the checkpoint W.ckpt",
         0},
        {"--track", CLI_STR, &j.track, 0, 0, "LIST",
         "keep weights of these epochs, 0,1,2-5", 0},
        {"--report-speed", CLI_FLAG, &j.speed.on, 0, 0, NULL,
         "at the end: pictures/s, GFLOP/s of the updates, their part of SGEMM's", 0},
        {"--no-test", CLI_FLAG, &j.no_val, 0, 0, NULL, "do not look at the test pictures",
         0},
        {"--dtype", CLI_STR, &j.dtype, 0, 0, "D", "F16 (default) or F32", 0},
        {"--optimizer", CLI_STR, &j.optimizer, 0, 0, "O", "sgd, adam or adamw", 0},
        {"--schedule", CLI_STR, &j.schedule, 0, 0, "S", "constant, cosine, linear or step",
         0},
        {"--readout", CLI_STR, &j.readout, 0, 0, "L",
         "layer that the loss reads (the output)", 0},
        {"--features", CLI_STR, &j.features, 0, 0, "NET,..",
         "VQ-VAE: networks that describe the pictures of the reference codes", 0},
        {"--memory", CLI_REAL, &j.memory, 1, 1e6, "MIB",
         "cap (4096); parts are computed twice to fit", 0},
    };
    cli_opt opt[MGI_COUNT(word) + TRAIN_NUMBERS];
    memcpy(opt, word, sizeof word);
    for (int k = 0; k < TRAIN_NUMBERS; k++) {
        const train_number *t = &train_numbers[k];
        const cli_opt o = {t->name, CLI_REAL, &j.v[k], t->lo, t->hi, "X", t->help, 0};
        j.v[k] = NAN;
        opt[MGI_COUNT(word) + k] = o;
    }
    int rc = cli_parse(&c, &train_doc, opt, (int)MGI_COUNT(opt), 1, argc, argv);
    if (rc < 0)
        rc = train_usage(&c, &j);
    if (rc >= 0)
        return rc;
    cli_catch_signals();
    rc = train_run(&j);
    train_free(&j);
    return rc;
}
