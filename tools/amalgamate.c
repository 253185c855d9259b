/* amalgamate.c - src/ -> mango.h, or the pair mango.h + mango.c.
 *     amalgamate [-l] [-h|-c] SRC OUT
 * -h, -c: only the interface half, only the implementation; else both in one.
 * -l: with #line, so that debuggers show src/
 * Copies SRC/mango.h.in, where @public@ @private@ @source@ stand for the files
 * of SRC/FILES of that kind, @MANUAL@ and @LICENSE@ for texts, and in the
 * manual @INDEX@ for the public functions. What follows a line @header@ is for
 * the interface half, @code@ for the implementation, @pair@ for it where it is a
 * file of its own. Of the sources only quoted includes and repeated SPDX lines
 * are dropped; nothing depends on date, host or path.
 * SPDX-License-Identifier: MIT */
#include "amalgamate_names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 4096, PATH_BYTES = 256, MAX_FILES = 512, INDEX_WIDTH = 92 };

static struct {
    char kind[16], path[PATH_BYTES];
    int written;
} file[MAX_FILES]; /* what FILES lists */
static int files, with_lines;
static const char *parts = "header code"; /* those that are written */
static const char *src_dir;
static FILE *out;

static void die(const char *path, long line, const char *what, const char *which)
{
    fprintf(stderr, "amalgamate: %s, line %ld: %s %s\n", path, line, what, which);
    exit(1);
}

static FILE *open_in(const char *name)
{
    char path[LINE_BYTES];
    snprintf(path, sizeof path, "%s/%s", src_dir, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path, 0, "cannot be opened", "");
    return f;
}

/* One line without its end and trailing blanks; 0 at the end of the file. */
static int get_line(FILE *f, char *line, const char *name, long no)
{
    if (!fgets(line, LINE_BYTES, f))
        return 0;
    size_t n = strlen(line);
    if (n + 1 == LINE_BYTES)
        die(name, no, "longer than a line may be", "");
    while (n > 0 && strchr(" \t\r\n", line[n - 1]))
        line[--n] = '\0';
    return 1;
}

static void read_files(void)
{
    char line[LINE_BYTES], more[2];
    FILE *f = open_in("FILES");
    for (long no = 1; get_line(f, line, "FILES", no); no++) {
        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (files == MAX_FILES ||
            sscanf(line, "%15s %255s %1s", file[files].kind, file[files].path, more) != 2)
            die("FILES", no, "expected `public|private|source PATH`, got", line);
        file[files].written = /* in the other half of a pair */
            strcmp(file[files].kind, "public") == 0 && !strstr(parts, "header");
        files++;
    }
    fclose(f);
}

/* If the line is `#word rest`, blanks allowed, return rest; else NULL. */
static const char *directive(const char *line, const char *word)
{
    const size_t n = strlen(word);
    line += strspn(line, " \t");
    if (*line != '#')
        return NULL;
    line += 1 + strspn(line + 1, " \t");
    return strncmp(line, word, n) == 0 ? line + n + strspn(line + n, " \t") : NULL;
}

/* `"../base/mgi.h"...` seen from `net/x.c` is base/mgi.h, which must have come. */
static void check_include(const char *from, long no, const char *quoted)
{
    char path[2 * PATH_BYTES];
    size_t dir = strrchr(from, '/') ? (size_t)(strrchr(from, '/') - from) + 1 : 0;
    quoted++;
    for (; strncmp(quoted, "../", 3) == 0 && dir > 0; quoted += 3)
        for (dir--; dir > 0 && from[dir - 1] != '/';)
            dir--;
    snprintf(path, sizeof path, "%.*s%.*s", (int)dir, from, (int)strcspn(quoted, "\""), quoted);
    for (int i = 0; i < files; i++)
        if (strcmp(file[i].path, path) == 0 && file[i].written)
            return;
    die(from, no, "FILES lists later, or not at all, the included", path);
}

static void banner(const char *mark, const char *name)
{
    fprintf(out, "/* ---- %s %s ", mark, name);
    for (size_t i = strlen(mark) + strlen(name); i < 78; i++)
        fputc('-', out);
    fputs(" */\n", out);
}

static void read_names(const char *name, names_what what)
{
    char line[LINE_BYTES];
    FILE *f = open_in(name);
    names_file();
    for (long no = 1; get_line(f, line, name, no); no++)
        names_add(line, what);
    fclose(f);
}

/* What all files share: the macros, and what headers declare. */
static void read_shared_names(void)
{
    for (int i = 0; i < files; i++) {
        const char *name = file[i].path;
        read_names(name, name[strlen(name) - 1] == 'h' ? NAMES_OF_HEADER : NAMES_OF_MACROS);
    }
}

static void put_file(int index)
{
    char line[LINE_BYTES];
    const char *name = file[index].path, *rest;
    read_names(name, NAMES_OF_SOURCE);
    FILE *f = open_in(name);
    int skipped = 1; /* #line is due */
    banner("begin", name);
    for (long no = 1; get_line(f, line, name, no); no++) {
        const char *spdx = line + strspn(line, " *");
        if ((rest = directive(line, "include")) != NULL && *rest == '"') {
            check_include(name, no, rest);
            skipped = 1;
        } else if (name[strlen(name) - 1] == 'c' && /* asked for at the top of mango.h */
                   (rest = directive(line, "define")) != NULL &&
                   strncmp(rest, "_POSIX_C_SOURCE", 15) == 0) {
            skipped = 1;
        } else {
            if (with_lines && skipped)
                fprintf(out, "#line %ld \"src/%s\"\n", no, name);
            skipped = 0;
            if (strncmp(spdx, "SPDX-License-Identifier", 23) != 0)
                names_put(out, line);
            else if (strstr(spdx, "*/")) /* the tag goes, the end of its comment stays */
                names_put(out, " */");
        }
    }
    fclose(f);
    banner("end", name);
    fputc('\n', out);
    file[index].written = 1;
}

/* The function that a line of a header declares; its length, or 0. A declaration
 * may go on in the next line: *open says that MANGO_API stood before. */
static int declared(const char *line, int *open, const char **name)
{
    const int api = strncmp(line, "MANGO_API ", 10) == 0;
    const char *end = api || *open ? strchr(line, '(') : NULL;
    *open = (api || *open) && !end;
    *name = end;
    while (*name && *name > line && (*name)[-1] != ' ' && (*name)[-1] != '*')
        --*name;
    return (int)(end - *name);
}

/* The names that one public header declares with MANGO_API, wrapped. */
static void put_index(int index)
{
    char line[LINE_BYTES];
    const char *path = file[index].path, *name;
    FILE *f = open_in(path);
    int column = fprintf(out, "     %s:", path), open = 0;
    for (long no = 1; get_line(f, line, path, no); no++) {
        int n = declared(line, &open, &name);
        if (n == 0)
            continue;
        if (n > 6 &&
            strncmp(name + n - 6, "_sized", 6) == 0) /* called by the macro without */
            n -= 6;
        if (column + 1 + n > INDEX_WIDTH)
            column = fprintf(out, "\n      ") - 1;
        column += fprintf(out, " %.*s", n, name);
    }
    fputc('\n', out);
    fclose(f);
}

static void put_kind(const char *kind, void (*put)(int))
{
    for (int i = 0; i < files; i++)
        if (strcmp(file[i].kind, kind) == 0)
            put(i);
}

/* What a line of a text stands for; false when for itself. */
static void put_text(const char *name, const char *margin);
static int put_mark(const char *line)
{
    char kind[16];
    if (strcmp(line, "@INDEX@") == 0)
        put_kind("public", put_index);
    else if (strcmp(line, "@MANUAL@") == 0)
        put_text("manual.txt", "   ");
    else if (strcmp(line, "@LICENSE@") == 0)
        put_text("../LICENSE", "   ");
    else if (sscanf(line, "@%15[a-z]@", kind) == 1)
        put_kind(kind, put_file);
    else
        return 0;
    return 1;
}

static int is_part(const char *word)
{
    return strcmp(word, "header") == 0 || strcmp(word, "code") == 0 ||
           strcmp(word, "pair") == 0;
}

/* A text inside a comment, or with margin "" the frame of mango.h itself. */
static void put_text(const char *name, const char *margin)
{
    char line[LINE_BYTES], part[16];
    int wanted = 1;
    FILE *f = open_in(name);
    for (long no = 1; get_line(f, line, name, no); no++) {
        if (sscanf(line, "@%15[a-z]@", part) == 1 && is_part(part))
            wanted = strstr(parts, part) != NULL;
        else if (wanted && !put_mark(line))
            fprintf(out, "%s%s\n", *line ? margin : "", line);
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    int at = 1;
    with_lines = at < argc && strcmp(argv[at], "-l") == 0;
    at += with_lines;
    if (at < argc && strcmp(argv[at], "-h") == 0)
        parts = "header", at++;
    else if (at < argc && strcmp(argv[at], "-c") == 0)
        parts = "pair code", at++;
    if (argc != at + 2) {
        fputs("usage: amalgamate [-l] [-h|-c] SRC OUT\n", stderr);
        return 2;
    }
    const char *name = argv[at + 1];
    src_dir = argv[at];
    read_files();
    read_shared_names();
    out = fopen(name, "wb");
    if (!out)
        die(name, 0, "cannot be written", "");
    put_text("mango.h.in", "");
    if (ferror(out) || fclose(out) != 0)
        die(name, 0, "could not be written whole", "");
    return 0;
}
