/* cli.c - options, errors, progress and signals of the command.
 * SPDX-License-Identifier: MIT */
#include "cli.h"
#include "system.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static volatile sig_atomic_t cli_signal_seen;

/* ---- messages ------------------------------------------------------------ */

void cli_escape(char *text)
{
    unsigned char *p = (unsigned char *)text;
    while (*p) {
        const int n = mgi_utf8_shown(p, 4);
        const int whole = MGI_MAX(mgi_utf8(p, 4), 1);
        if (!n)
            memset(p, '?', (size_t)whole);
        p += whole;
    }
}

static void cli_vsay(cli *c, const char *fmt, va_list ap)
{
    char text[1024];
    cli_progress_end(c);
    vsnprintf(text, sizeof text, fmt, ap);
    cli_escape(text);
    fprintf(stderr, "mango%s%s: %s\n", c->doc ? " " : "", c->doc ? c->doc->verb : "", text);
}

int cli_failf(cli *c, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cli_vsay(c, fmt, ap);
    va_end(ap);
    return code;
}

int cli_usage(cli *c, const char *fmt, ...)
{
    char text[800];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return cli_failf(c, CLI_USAGE, "%s (see `mango %s --help`)", text, c->doc->verb);
}

int cli_exit_code(mango_status st)
{
    switch (st) {
    case MANGO_E_MEM:
    case MANGO_E_SYSTEM:
    case MANGO_E_STATE:
    case MANGO_E_CALLBACK: return CLI_FAILURE;
    default: return st < 0 ? CLI_REFUSED : CLI_OK;
    }
}

int cli_fail(cli *c, mango_status st, const mango_err *err)
{
    const char *text = err && err->text[0] ? err->text : mango_status_text(st);
    return cli_failf(c, cli_exit_code(st), "%s", text);
}

void cli_note(cli *c, const char *fmt, ...)
{
    va_list ap;
    if (c->quiet)
        return;
    va_start(ap, fmt);
    cli_vsay(c, fmt, ap);
    va_end(ap);
}

/* The reason why standard output failed first; later calls may have others, or none. */
static int cli_out_errno;

static void cli_out(const char *text)
{
    errno = 0;
    if (fputs(text, stdout) < 0 && !cli_out_errno)
        cli_out_errno = errno ? errno : EIO;
}

/* As vsprintf into new memory; *n its length. NULL: none. */
static char *cli_format(const char *fmt, va_list ap, int *n)
{
    va_list again;
    va_copy(again, ap);
    *n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = *n < 0 ? NULL : malloc((size_t)*n + 1);
    if (text)
        vsnprintf(text, (size_t)*n + 1, fmt, ap);
    return text;
}

/* The same with spaces in place of the format's own line ends and tabs. */
static char *cli_format_flat(const char *fmt, va_list ap)
{
    int n;
    char *flat = malloc(strlen(fmt) + 1);
    if (!flat)
        return NULL;
    strcpy(flat, fmt);
    for (char *p = flat; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    char *text = cli_format(flat, ap, &n);
    free(flat);
    return text;
}

/* Line ends and tabs of the format stay, those of what it shows, a file's name say, do not:
 * they stand where the flat text has no space. */
void cli_print(cli *c, const char *fmt, ...)
{
    va_list ap;
    int n = 0;
    if (c->json)
        return;
    cli_progress_end(c);
    va_start(ap, fmt);
    char *text = cli_format(fmt, ap, &n);
    va_end(ap);
    va_start(ap, fmt);
    char *flat = cli_format_flat(fmt, ap);
    va_end(ap);
    if (!text || !flat)
        cli_out_errno = ENOMEM;
    else
        cli_escape(flat);
    for (int i = 0; text && flat && i < n; i++)
        if (flat[i] == ' ')
            flat[i] = text[i];
    if (text && flat)
        cli_out(flat);
    free(text);
    free(flat);
}

void cli_print_lines(cli *c, const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n");
        cli_print(c, "%.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

int cli_close(cli *c, int code)
{
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && !cli_out_errno)
        cli_out_errno = errno ? errno : EIO;
    if (!cli_out_errno || code != CLI_OK)
        return code;
    return cli_failf(c, CLI_FAILURE, "standard output: %s", strerror(cli_out_errno));
}

void cli_json(cli *c, mgi_str *object)
{
    if (!c->json)
        return;
    mgi_str_puts(object, "\n");
    if (object->bad && !cli_out_errno)
        cli_out_errno = ENOMEM;
    else if (!object->bad)
        cli_out(object->p);
}

void cli_quote(mgi_str *s, const char *key, const char *value)
{
    mgi_str_printf(s, "\"%s\":", key);
    mgi_json_quote(s, value, (mango_idx)strlen(value));
}

/* ---- options ------------------------------------------------------------- */

static void cli_help(const cli_doc *d, const cli_opt *opt, int n)
{
    char left[64];
    printf("mango %s - %s\n\nusage: %s\n\n%s\n", d->verb, d->summary, d->synopsis, d->text);
    printf("options:\n");
    for (int i = 0; i < n; i++) {
        snprintf(left, sizeof left, "%s%s%s", opt[i].name, opt[i].arg ? " " : "",
                 opt[i].arg ? opt[i].arg : "");
        printf("  %-24s %s%s\n", left, opt[i].help, opt[i].required ? " (required)" : "");
    }
    printf("  %-24s one JSON object on the last line of stdout, nothing else there\n"
           "  %-24s no progress, no remarks\n"
           "  %-24s threads to use; 0: all (default). Results do not depend on it\n"
           "  %-24s seed of everything random (default 0)\n"
           "  %-24s this page\nOf an option that comes twice the last counts; --opt=VALUE "
           "is the same as --opt VALUE.\n",
           "--json", "--quiet", "--threads N", "--seed S", "--help");
    printf("\nexamples:\n%s", d->examples);
}

/* A whole number of more digits than any range has: it stands for the largest. */
static int cli_huge(const char *val, int64_t *i)
{
    const char *digits = val + (*val == '-');
    if (!*digits || digits[strspn(digits, "0123456789")])
        return 0;
    *i = *val == '-' ? INT64_MIN : INT64_MAX;
    return 1;
}

/* A whole number written as 1e3 or 2.0; beyond 2^53 it would not be exact. */
static int cli_whole(const char *val, int64_t *i)
{
    double v;
    if (!mgi_parse_real(val, &v) || v < -9007199254740992.0 || v > 9007199254740992.0)
        return 0;
    *i = (int64_t)v;
    return (double)*i == v;
}

static int cli_number(cli *c, const cli_opt *o, const char *val)
{
    double v = 0;
    int64_t i = 0;
    int whole = o->kind == CLI_INT;
    int ok = whole ? mgi_parse_int(val, INT64_MIN, INT64_MAX, &i) || cli_huge(val, &i) ||
                         cli_whole(val, &i)
                   : mgi_parse_real(val, &v);
    if (!ok)
        return cli_usage(c, "%s wants %s, not '%s'", o->name,
                         whole ? "a whole number" : "a number", val);
    if (whole)
        v = (double)i;
    if (v < o->lo || v > o->hi)
        return cli_failf(c, CLI_REFUSED, "%s %s is out of range: %.16g to %.16g expected",
                         o->name, val, o->lo, o->hi);
    if (o->kind == CLI_INT)
        *(int64_t *)o->to = i;
    else
        *(double *)o->to = v;
    return -1;
}

static int cli_take(cli *c, const cli_opt *o, const char *val)
{
    const char **list = o->to;
    int k = 0;
    switch (o->kind) {
    case CLI_FLAG: *(int *)o->to = 1; return -1;
    case CLI_STR: *(const char **)o->to = val; return -1;
    case CLI_MULTI:
        while (list[k])
            k++;
        if (k == 16)
            return cli_usage(c, "%s may be given 16 times at most", o->name);
        list[k] = val;
        list[k + 1] = NULL;
        return -1;
    default: return cli_number(c, o, val);
    }
}

static const cli_opt *cli_find(const cli_opt *opt, int n, const char *word, size_t len)
{
    for (int i = 0; i < n; i++)
        if (strlen(opt[i].name) == len && !strncmp(opt[i].name, word, len))
            return &opt[i];
    return NULL;
}

static int cli_unknown(cli *c, const cli_opt *opt, int n, const char *word)
{
    const char *names[64];
    char near[256];
    int k = 0;
    for (int i = 0; i < n && k < 64; i++)
        names[k++] = opt[i].name;
    mgi_near(word, k, names, near, (mango_idx)sizeof near);
    return cli_usage(c, "no option '%s'; near: %s", word, near);
}

/* One argument; *i moves on over a value that stands apart. */
static int cli_arg(cli *c, const cli_opt *opt, int n, const cli_opt *com, int nc,
                   int max_pos, int argc, char **argv, int *i)
{
    const char *w = argv[*i], *eq = strchr(w, '=');
    size_t len = eq ? (size_t)(eq - w) : strlen(w);
    if (w[0] != '-' || !w[1]) {
        if (c->n_pos >= max_pos || c->n_pos >= 63)
            return cli_usage(c, "unexpected argument '%s'", w);
        c->pos[c->n_pos++] = w;
        return -1;
    }
    const cli_opt *o = cli_find(opt, n, w, len);
    if (!o)
        o = cli_find(com, nc, w, len);
    if (!o)
        return cli_unknown(c, opt, n, w);
    if (o->kind == CLI_FLAG)
        return eq ? cli_usage(c, "%s takes no value", o->name) : cli_take(c, o, NULL);
    if (!eq && *i + 1 >= argc)
        return cli_usage(c, "%s wants a value", o->name);
    if (!eq && !strncmp(argv[*i + 1], "--", 2))
        return cli_usage(c, "%s wants a value; to mean '%s', write %s=%s", o->name,
                         argv[*i + 1], o->name, argv[*i + 1]);
    return cli_take(c, o, eq ? eq + 1 : argv[++*i]);
}

static int cli_required(cli *c, const cli_opt *opt, int n)
{
    for (int i = 0; i < n; i++)
        if (opt[i].required && opt[i].kind == CLI_STR && !*(const char **)opt[i].to)
            return cli_usage(c, "%s is missing", opt[i].name);
    return -1;
}

int cli_parse(cli *c, const cli_doc *doc, const cli_opt *opt, int n, int max_pos, int argc,
              char **argv)
{
    memset(c, 0, sizeof *c);
    c->doc = doc;
    const cli_opt com[] = {
        {"--json", CLI_FLAG, &c->json, 0, 0, NULL, NULL, 0},
        {"--quiet", CLI_FLAG, &c->quiet, 0, 0, NULL, NULL, 0},
        {"--threads", CLI_INT, &c->threads, 0, 1024, "N", NULL, 0},
        {"--seed", CLI_INT, &c->seed, 0, 9007199254740992.0, "S", NULL, 0},
    };
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            cli_help(doc, opt, n);
            return CLI_OK;
        }
    for (int i = 1; i < argc; i++) {
        int rc = cli_arg(c, opt, n, com, (int)MGI_COUNT(com), max_pos, argc, argv, &i);
        if (rc >= 0)
            return rc;
    }
    int rc = cli_required(c, opt, n);
    if (rc < 0)
        mango_set_threads((int)c->threads);
    return rc;
}

/* ---- progress ------------------------------------------------------------ */

double cli_now(void)
{
    return sys_now();
}

static void cli_left(double seconds, char *buf, size_t cap)
{
    long s = seconds < 3.6e6 ? (long)(seconds + 0.5) : 3600000;
    if (s < 60)
        snprintf(buf, cap, "%ld s", s);
    else if (s < 3600)
        snprintf(buf, cap, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(buf, cap, "%ld h %02ld min", s / 3600, s / 60 % 60);
}

void cli_progress(cli *c, double since, double done0, double done, double total,
                  const char *text)
{
    int tty = sys_terminal();
    double now = cli_now(), rate = (done - done0) / MGI_MAX(now - since, 1e-9);
    char left[48] = "";
    if (c->quiet || now - MGI_MAX(c->progress_at, since) < (tty ? 0.1 : 10.0))
        return;
    c->progress_at = now;
    if (done > done0 && total > done)
        cli_left((total - done) / rate, left, sizeof left);
    fprintf(stderr, "%s%.0f/%.0f  %s%s%s%s", tty ? "\r\033[K" : "", done, total, text,
            left[0] ? "  left " : "", left, tty ? "" : "\n");
    fflush(stderr);
    c->progress_open = tty;
}

void cli_progress_end(cli *c)
{
    if (c->progress_open)
        fprintf(stderr, "\r\033[K");
    c->progress_open = 0;
}

/* ---- signals ------------------------------------------------------------- */

static void cli_on_signal(int sig)
{
    (void)sig;
    cli_signal_seen = 1;
}

void cli_catch_signals(void)
{
    sys_on_stop(cli_on_signal);
}

void cli_ignore_signals(void)
{
    sys_file_limit();
}

int cli_interrupted(void)
{
    return cli_signal_seen != 0;
}
