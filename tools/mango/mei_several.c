/* mei_several.c - `mango mei --several N`: N pictures that differ, one search after another.
 *
 * Each search has the whole budget and the next seed. From the second on a code whose picture
 * is nearer than D to one that was found before is told less than it gives,
 *
 *     y - S (1 + (D - d)/D)        d: distance to the nearest one found before        (1)
 *     S = |best - mean| of all values of the first search, 1 if that is 0
 *
 * (plus, when the least is wanted), so that it is below the mean and what leads away is
 * better. Distances are, of pictures, the root mean square of their differences in [0,1]; of
 * latents, that of the differences in shares of their range; of codes, the share of modes
 * that differ. What is reported is what a picture gives.
 * SPDX-License-Identifier: MIT */
#include "mei_job.h"
#include "html.h"
#include "image.h"
#include <math.h>
#include <stdlib.h>

/* Default distances; of latents two of N(0,1) on [-4,4] differ by 0.18, of codes nearly
 * all modes do. */
#define SEVERAL_PICTURE 0.15
#define SEVERAL_LATENT 0.1
#define SEVERAL_CODES 0.5

struct mei_several {
    int by_picture, minimize;
    double distance, S;
    mango_idx n, d, size, C, H, W; /* found so far; modes; a picture's floats and shape */
    mango_idx *code;               /* (N,d)    */
    float *rgb;                    /* (N,size) */
    float *now;                    /* (size)   */
    double *y, *apart;             /* (N) what each gives; how far from those before */
    int codes;                     /* levels are codes */
    mango_idx *levels;             /* (d) */
    char text[160];
    mango_note note;
};

int mei_several_opts(mei_differ *d, cli_opt *to)
{
    const cli_opt opt[] = {
        {"--several", CLI_INT, &d->n, 2, 100, "N",
         "N pictures that differ, each by a search of its own with the whole budget, in "
         "DIR/1, DIR/2, ..; DIR/sheet.png shows them",
         0},
        {"--different", CLI_REAL, &d->distance, 1e-6, 1, "D",
         "least distance of any two of them (default: of pictures 0.15, of latents 0.1, of "
         "codes 0.5)",
         0},
        {"--different-by", CLI_STR, &d->by, 0, 0, "WHAT",
         "picture: root mean square difference, of 1; latent: the same of latents, of their "
         "range, or the share of modes that differ of codes (default picture)",
         0},
    };
    memcpy(to, opt, sizeof opt);
    return (int)MGI_COUNT(opt);
}

/* ---- distances -------------------------------------------------------------- */

static double several_pictures(const mei_several *s, const float *a, const float *b)
{
    double sum = 0.0;
    for (mango_idx i = 0; i < s->size; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / (double)s->size);
}

static double several_latents(const mei_several *s, const mango_idx *a, const mango_idx *b)
{
    double sum = 0.0;
    for (mango_idx j = 0; j < s->d; j++) {
        const double far = (double)(a[j] - b[j]) / (double)MGI_MAX(s->levels[j] - 1, 1);
        sum += s->codes ? a[j] != b[j] : far * far;
    }
    return s->codes ? sum / (double)s->d : sqrt(sum / (double)s->d);
}

/* Of a code and its picture, to the nearest of the first n found. */
static double several_nearest(const mei_several *s, mango_idx n, const mango_idx *I,
                              const float *rgb)
{
    double least = INFINITY;
    for (mango_idx i = 0; i < n; i++) {
        const double far = s->by_picture ? several_pictures(s, rgb, s->rgb + i * s->size)
                                         : several_latents(s, I, s->code + i * s->d);
        least = MGI_MIN(least, far);
    }
    return least;
}

mango_status mei_several_values(mei_several *s, mango_objective *o, mango_idx K,
                                const mango_idx *I, double *y)
{
    for (mango_idx k = 0; k < K && s->n > 0; k++) {
        if (s->by_picture)
            MGI_TRY(mango_objective_picture(o, I + k * s->d, s->now));
        const double far = several_nearest(s, s->n, I + k * s->d, s->now);
        if (far >= s->distance)
            continue;
        const double less = s->S * (1.0 + (s->distance - far) / s->distance); /* (1) */
        y[k] += s->minimize ? less : -less;
    }
    return MANGO_OK;
}

const mango_note *mei_several_note(const mei_several *s)
{
    return s->n > 0 ? &s->note : NULL;
}

/* ---- from one search to the next -------------------------------------------- */

/* Room for N, when the first search tells what they are like. */
static mango_status several_room(mei_several *s, const mei_job *j, mango_idx N, mango_err *err)
{
    const mango_objective_info *f = &j->run.info;
    mango_space *space = NULL;
    mango_space_info info;
    MGI_TRY(mango_space_of(&space, j->gen, NULL, err));
    mango_space_get(space, &info);
    s->d = info.modes.d;
    s->codes = info.codebook;
    s->C = f->C, s->H = f->H, s->W = f->W;
    s->size = f->C * f->H * f->W;
    s->levels = malloc((size_t)s->d * sizeof *s->levels);
    s->code = malloc((size_t)(N * s->d) * sizeof *s->code);
    s->rgb = malloc((size_t)(N * s->size) * sizeof *s->rgb);
    s->now = malloc((size_t)s->size * sizeof *s->now);
    const int ok = s->levels && s->code && s->rgb && s->now;
    for (mango_idx m = 0; ok && m < s->d; m++)
        s->levels[m] = info.modes.n[m];
    mango_space_destroy(space);
    if (s->distance == 0.0)
        s->distance = s->by_picture ? SEVERAL_PICTURE
                      : s->codes    ? SEVERAL_CODES
                                    : SEVERAL_LATENT;
    return ok ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "--several: out of memory");
}

/* S of the first search. */
static double several_scale(const mango_session *session)
{
    mango_session_info si;
    double sum = 0.0, y;
    mango_idx n = 0;
    mango_session_get(session, &si);
    for (mango_idx q = 0; q < si.queries; q++)
        if (mango_session_query(session, q, &y, NULL) >= 0 && mgi_is_finite(y)) {
            sum += y;
            n++;
        }
    const double S = n > 0 ? fabs(si.best - sum / (double)n) : 0.0;
    return S > 0.0 ? S : 1.0;
}

/* What is kept away from, for the journals of the searches to come. */
static void several_describe(mei_several *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (mango_idx e = 0; e < s->n * s->d; e++)
        h = (h ^ (uint64_t)s->code[e]) * 0x100000001b3u;
    snprintf(s->text, sizeof s->text, "%s %.17g, less %.17g, of %td codes %016llx",
             s->by_picture ? "picture" : "latent", s->distance, s->S, s->n,
             (unsigned long long)h);
    s->note.key = "different";
    s->note.value = s->text;
}

/* The best of a search that ran, and what it gives. */
static mango_status several_keep(mei_several *s, mei_job *j, mango_idx N, mango_err *err)
{
    mango_objective *o = mango_search_objective(j->search);
    if (s->n == 0)
        MGI_TRY(several_room(s, j, N, err));
    mango_idx *I = s->code + s->n * s->d;
    float *rgb = s->rgb + s->n * s->size;
    if (mango_session_best(j->run.session, NULL, I) < 0)
        return mgi_fail(err, MANGO_E_STATE, "--several: search %td found nothing", s->n + 1);
    if (mango_objective_picture(o, I, rgb) < 0 ||
        mango_objective_eval(o, 1, I, s->y + s->n) < 0)
        return mgi_fail(err, MANGO_E_STATE, "%s", mango_objective_error(o));
    s->apart[s->n] = several_nearest(s, s->n, I, rgb);
    if (s->n == 0)
        s->S = several_scale(j->run.session);
    s->n++;
    several_describe(s);
    return MANGO_OK;
}

/* ---- files ------------------------------------------------------------------ */

static void several_caption(const mei_several *s, mango_idx i, char text[64])
{
    if (i == 0)
        snprintf(text, 64, "%.4g", s->y[i]);
    else
        snprintf(text, 64, "%.4g, %.2g away%s", s->y[i], s->apart[i],
                 s->apart[i] < s->distance ? " (nearer)" : "");
}

static mango_status several_sheet(const mei_several *s, const char *out, mango_err *err)
{
    char path[4096], text[100][64];
    const char *caption[100];
    unsigned char *rgb = malloc((size_t)(s->n * s->H * s->W * 3)), *sheet = NULL;
    mango_idx W, H;
    for (mango_idx i = 0; rgb && i < s->n; i++) {
        image_from_planes(s->C, s->H, s->W, s->rgb + i * s->size, rgb + i * s->H * s->W * 3);
        several_caption(s, i, text[i]);
        caption[i] = text[i];
    }
    const image_sheet_options o = {MGI_MIN(s->n, 5), MGI_MAX(1, 128 / MGI_MAX(s->W, s->H)), 8,
                                   caption};
    mango_status st = rgb ? image_sheet(&o, s->n, s->W, s->H, rgb, &sheet, &W, &H)
                          : MANGO_E_MEM;
    if (st >= 0)
        st = cli_join(path, 4096, out, "sheet.png", err);
    if (st >= 0)
        st = image_save(path, W, H, sheet, err);
    free(sheet);
    free(rgb);
    return st;
}

static mango_status several_table(const mei_several *s, const char *out, mango_err *err)
{
    char path[4096];
    mgi_str t;
    mgi_str_init(&t, NULL);
    mgi_str_puts(&t, "picture\tactivation\tdistance\n");
    for (mango_idx i = 0; i < s->n; i++) {
        mgi_str_printf(&t, "%td\t", i + 1);
        mgi_str_float(&t, s->y[i]);
        mgi_str_puts(&t, "\t");
        mgi_str_float(&t, i ? s->apart[i] : MGI_NAN);
        mgi_str_puts(&t, "\n");
    }
    mango_status st = t.bad ? MANGO_E_MEM : cli_join(path, 4096, out, "several.tsv", err);
    if (st >= 0)
        st = mgi_file_write(path, t.p, t.n, err);
    mgi_str_free(&t);
    return st;
}

static mango_status several_report(const mei_several *s, const mei_job *job, mango_err *err)
{
    char path[4096], text[64];
    unsigned char *rgb = malloc((size_t)(s->H * s->W * 3));
    mgi_str t;
    mgi_str_init(&t, NULL);
    html_begin(&t, "Pictures that differ", job->target);
    html_row_begin(&t);
    for (mango_idx i = 0; rgb && i < s->n; i++) {
        image_from_planes(s->C, s->H, s->W, s->rgb + i * s->size, rgb);
        several_caption(s, i, text);
        html_picture(&t, s->W, s->H, MGI_MAX(1, 128 / MGI_MAX(s->W, s->H)), rgb, text);
    }
    html_row_end(&t);
    html_paragraph(&t, "Each by a search of its own with the whole budget, kept away from "
                       "those before. Distance:");
    html_code(&t, s->text);
    html_end(&t);
    mango_status st = rgb ? cli_join(path, 4096, job->out, "report.html", err) : MANGO_E_MEM;
    if (st >= 0)
        st = html_save(path, &t, err);
    mgi_str_free(&t);
    free(rgb);
    return st;
}

static void several_tell(const mei_several *s, const mei_job *job, cli *c)
{
    char text[64];
    mgi_str t;
    mgi_str_init(&t, NULL);
    mgi_str_puts(&t, "{");
    cli_quote(&t, "target", job->target);
    mgi_str_puts(&t, ",\"several\":[");
    for (mango_idx i = 0; i < s->n; i++) {
        several_caption(s, i, text);
        cli_print(c, "%td: %s  %s/%td/best.png\n", i + 1, text, job->out, i + 1);
        mgi_str_puts(&t, i ? ",{\"best\":" : "{\"best\":");
        mgi_str_float(&t, s->y[i]);
        mgi_str_puts(&t, ",\"distance\":");
        mgi_str_float(&t, i ? s->apart[i] : MGI_NAN);
        mgi_str_puts(&t, "}");
    }
    cli_print(c, "sheet: %s/sheet.png, report: %s/report.html\n", job->out, job->out);
    mgi_str_puts(&t, "]}");
    cli_json(c, &t);
    mgi_str_free(&t);
}

/* ---- all of it -------------------------------------------------------------- */

static void several_free(mei_several *s)
{
    free(s->levels);
    free(s->code);
    free(s->rgb);
    free(s->now);
    free(s->y);
    free(s->apart);
}

/* Search i of N, from its options to what it found. */
static mango_status several_one(mei_several *s, const mei_job *job, mango_idx i, mango_idx N,
                                mango_err *err)
{
    char out[4096];
    mei_job j = *job;
    snprintf(out, sizeof out, "%.4000s/%td", job->out, i + 1);
    j.out = out;
    j.others = s;
    j.seed_more = i;
    mango_status st = mei_search(&j, err);
    if (st >= 0 && st != MANGO_STOP_USER) {
        const mango_status kept = several_keep(s, &j, N, err);
        st = kept < 0 ? kept : st;
    }
    mei_end(&j);
    return st;
}

static mango_status several_all(mei_several *s, const mei_job *job, mango_idx N, mango_err *err)
{
    mango_status st = MANGO_OK;
    for (mango_idx i = 0; i < N && st >= 0 && st != MANGO_STOP_USER; i++)
        st = several_one(s, job, i, N, err);
    if (st < 0 || s->n == 0)
        return st;
    MGI_TRY(several_sheet(s, job->out, err));
    MGI_TRY(several_table(s, job->out, err));
    MGI_TRY(several_report(s, job, err));
    return st;
}

int mei_several_run(const mei_job *job, const mei_differ *d, cli *c)
{
    mango_err err = {""};
    mei_several s;
    const int by = mgi_word("picture|latent", d->by);
    if (by < 0)
        return cli_usage(c, "--different-by picture or latent expected");
    if (!job->out)
        return cli_usage(c, "--several needs --out");
    if (job->noise || job->early > 0 || job->steps > 0 || job->half || job->int8 ||
        !strcmp(job->opt, "gradient"))
        return cli_usage(c, "--several goes with none of --noise, --early-stop, --explain, "
                            "--half-weights, --int8-weights, --opt gradient");
    memset(&s, 0, sizeof s);
    s.by_picture = by == 0;
    s.minimize = job->minimize;
    s.distance = d->distance;
    s.y = calloc((size_t)d->n, sizeof *s.y);
    s.apart = calloc((size_t)d->n, sizeof *s.apart);
    mango_status st = s.y && s.apart ? MANGO_OK : mgi_fail(&err, MANGO_E_MEM, "out of memory");
    if (st >= 0)
        st = several_all(&s, job, (mango_idx)d->n, &err);
    if (st >= 0 && s.n > 0)
        several_tell(&s, job, c);
    several_free(&s);
    return st < 0 ? cli_fail(c, st, &err) : st == MANGO_STOP_USER ? CLI_INTERRUPTED : CLI_OK;
}

#undef SEVERAL_PICTURE
#undef SEVERAL_LATENT
#undef SEVERAL_CODES
