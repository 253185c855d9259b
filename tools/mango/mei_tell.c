/* mei_tell.c - what is printed of a search.
 * SPDX-License-Identifier: MIT */
#include "mei_job.h"

static void mei_tell_noise(mei_job *j, cli *c)
{
    mango_estimate e;
    if (mango_session_found(j->run.session, &e) < 0)
        return;
    if (!mgi_is_finite(e.se))
        cli_print(c, "the best was shown %td times: too few to say how sure it is\n", e.n);
    else
        cli_print(c,
              "the best was shown %td times: mean %.6g, standard error %.3g, 95%% from %.6g "
              "to %.6g\n",
              e.n, e.again, e.se, e.lo, e.hi);
    cli_print(c, "without noise it gives %.6g (evaluated beyond the budget)\n", j->run.truth);
}

void mei_tell(mei_job *j, cli *c)
{
    mango_session_info si;
    mgi_str s;
    mango_session_get(mango_search_session(j->search), &si);
    mgi_str_init(&s, NULL);
    mei_json(&j->run, &s);
    mgi_str_puts(&s, "}");
    cli_print(c,
              "%s  best %.6g  after %td queries (%td more from the cache)  %.2f s, "
              "optimizer %.2f s\nreport: %s/report.html\n",
              j->target, si.best, si.queries, si.cached, j->run.seconds, j->run.opt_seconds,
              j->out);
    if (j->noise)
        mei_tell_noise(j, c);
    if (mgi_is_finite(j->run.as_is))
        cli_print(c, "with the weights as they are the best picture gives %.6g\n",
                  j->run.as_is);
    if (j->early > 0)
        cli_print(c, "stopped early: %td queries; %.1f%% of the network's steps saved\n",
                  j->run.info.stopped,
                  100.0 - 100.0 * j->run.info.steps / MGI_MAX(j->run.info.steps_all, 1.0));
    if (j->run.before[0])
        cli_print(c, "resumed after query %td; the process before: %s\n", si.replayed,
                  j->run.before);
    if (j->stagnate > 0 && !strcmp(j->run.state, "stagnation"))
        cli_note(c, "stopped: %lld queries without an improvement; --resume goes on",
                 (long long)j->stagnate);
    if (j->seconds > 0 && !strcmp(j->run.state, "time is up"))
        cli_note(c, "stopped: %g seconds are up; --resume goes on", j->seconds);
    if (!strcmp(j->run.state, "interrupted"))
        cli_note(c,
                 "interrupted, everything saved; the same command with --resume goes on");
    cli_json(c, &s);
    mgi_str_free(&s);
}

/* The command as a shell takes it: quotes where they are needed. */
void mei_command(mei_run *r, int argc, char **argv)
{
    char *to = r->command, *end = to + sizeof r->command - 8;
    to += sprintf(to, "mango");
    for (int i = 0; i < argc; i++) {
        const char *z = argv[i];
        int plain =
            *z &&
            !z[strspn(
                z,
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:=/_+-")];
        *to++ = ' ';
        to += plain ? 0 : sprintf(to, "'");
        for (; *z && to < end; z++)
            to += *z == '\'' ? sprintf(to, "'\\''") : sprintf(to, "%c", *z);
        to += plain ? 0 : sprintf(to, "'");
        if (to >= end)
            break;
    }
    *to = 0;
}
