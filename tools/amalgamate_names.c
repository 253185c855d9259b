/* amalgamate_names.c - gives file-private names the library's prefix.
 *
 * A light reading of C: tokens, depth of braces and parentheses, one declaration
 * at a time. It relies on what holds in src/: definitions begin in column 0, and
 * what several files share is called mgi_ or mango_ there already.
 * SPDX-License-Identifier: MIT */
#include "amalgamate_names.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 4096, NAME_BYTES = 64 };

static char known[NAMES_MAX][NAME_BYTES]; /* to be given the prefix */
static int n_known, n_shared;
static char taken[NAMES_MAX][NAME_BYTES]; /* mgi_ names of all files */
static int n_taken;

/* Where the reader stands in the present file. */
static struct {
    int comment, braces, parens, skip;
    int is_static, is_type, is_enum, done; /* of the declaration under way */
    int opened, pointer; /* `(`, `(*` stands before */
    char last[NAME_BYTES], tag[NAME_BYTES];
} at;

void names_file(void)
{
    n_known = n_shared;
    memset(&at, 0, sizeof at);
}

static int ours(const char *name)
{
    static const char *const prefix[] = {"mgi_", "MGI_", "mango_", "MANGO_"};
    for (int i = 0; i < 4; i++)
        if (strncmp(name, prefix[i], strlen(prefix[i])) == 0)
            return 1;
    return strcmp(name, "main") == 0 || name[0] == '_' || name[0] == '\0';
}

static void too_many(void)
{
    fputs("amalgamate: too many names\n", stderr);
    exit(1);
}

static int is_known(const char *name)
{
    for (int i = 0; i < n_known; i++)
        if (strcmp(known[i], name) == 0)
            return 1;
    return 0;
}

/* A known name that ends in _ stands for all that begin so: made by tt_##name. */
static int is_private(const char *name)
{
    for (int i = 0; i < n_known; i++) {
        const size_t n = strlen(known[i]);
        if (known[i][n - 1] == '_' && strncmp(known[i], name, n) == 0)
            return 1;
    }
    return is_known(name);
}

static void learn(const char *name, int shared)
{
    if (ours(name) || is_known(name))
        return;
    if (n_known == NAMES_MAX)
        too_many();
    strcpy(known[n_known++], name);
    if (shared)
        n_shared = n_known;
}

/* Length of the token at p, at least 1; *word: it is a name. Strings are one token. */
static size_t token(const char *p, int *word)
{
    size_t n = 1;
    *word = isalpha((unsigned char)*p) || *p == '_';
    if (*word || isdigit((unsigned char)*p)) {
        while (isalnum((unsigned char)p[n]) || p[n] == '_')
            n++;
    } else if (*p == '"' || *p == '\'') {
        while (p[n] && p[n] != *p)
            n += p[n] == '\\' && p[n + 1] ? 2 : 1;
        n += p[n] != '\0';
    }
    return n;
}

/* Does a comment begin or go on at p? Its length, 0 if none. */
static size_t comment(const char *p, int *open)
{
    if (!*open && p[0] == '/' && p[1] == '/')
        return strlen(p);
    if (!*open && !(p[0] == '/' && p[1] == '*'))
        return 0;
    const char *end = strstr(p + (*open ? 0 : 2), "*/");
    *open = end == NULL;
    return end ? (size_t)(end - p) + 2 : strlen(p);
}

static void word_at(const char *name, int shared)
{
    if (at.is_enum && at.braces == 1 && at.parens == 0 && !at.skip) {
        learn(name, shared);
        at.skip = 1; /* until the next comma */
    }
    if (at.pointer && at.braces == 0 && at.parens == 1 && !at.done) {
        learn(name, shared); /* of a function pointer */
        at.done = 1;
    }
    if (at.braces > 0 || at.parens > 0)
        return;
    if (strcmp(name, "static") == 0)
        at.is_static = 1;
    else if (strcmp(name, "typedef") == 0)
        at.is_type = 1;
    else if (strcmp(name, "enum") == 0)
        at.is_enum = 1;
    else if (strcmp(at.last, "struct") == 0 || strcmp(at.last, "enum") == 0 ||
             strcmp(at.last, "union") == 0)
        strcpy(at.tag, name);
    strcpy(at.last, name);
}

/* The words that a type may end with: what follows in parentheses is a pointer. */
static int is_type_word(const char *name)
{
    static const char *const word[] = {"void", "int", "double", "float", "char", "long"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (strcmp(word[i], name) == 0)
            return 1;
    return 0;
}

/* An attribute or a macro of ours ends in parentheses, too, and names nothing. */
static int names_something(const char *name)
{
    return !ours(name) && islower((unsigned char)name[0]) && !is_type_word(name);
}

static void mark_at(char c, int shared)
{
    at.pointer = c == '*' && at.opened && (at.is_static || at.is_type);
    at.opened = c == '(';
    if (c == '(' && at.braces == 0 && at.parens == 0 && !at.is_type && !at.done &&
        names_something(at.last)) {
        learn(at.last, shared);
        at.done = 1;
    }
    if ((c == '=' || c == ';' || c == '[') && at.braces == 0 && at.parens == 0 && !at.done &&
        (at.is_static || at.is_type)) {
        learn(at.last, shared);
        at.done = 1;
    }
    if (c == '{' && at.braces == 0 && at.tag[0])
        learn(at.tag, shared);
    at.parens += (c == '(') - (c == ')');
    at.braces += (c == '{') - (c == '}');
    if (c == '{' || c == ',')
        at.skip = 0;
    if (at.braces == 0 && at.parens == 0 &&
        (c == ';' || (c == '}' && at.done && !at.is_type))) {
        at.is_static = at.is_type = at.is_enum = at.done = at.skip = 0;
        at.last[0] = at.tag[0] = '\0';
    }
}

/* `#define NAME`: the line and those that it goes on in name nothing else. */
static int directive_at(const char *line, int shared)
{
    static int goes_on;
    char name[NAME_BYTES];
    const int is = goes_on || line[strspn(line, " \t")] == '#';
    if (!goes_on && is && sscanf(line, " # define %63[A-Za-z0-9_]", name) == 1 && shared)
        learn(name, 1);
    const size_t n = strlen(line);
    goes_on = is && n > 0 && line[n - 1] == '\\';
    return is;
}

static void take(const char *name)
{
    for (int i = 0; i < n_taken; i++)
        if (strcmp(taken[i], name) == 0)
            return;
    if (n_taken == NAMES_MAX)
        too_many();
    strcpy(taken[n_taken++], name);
}

/* The mgi_ and MGI_ names of a line, which no private name may become, and the beginnings of
 * names that a macro makes: tt_##name. */
static void words_at(const char *line, names_what what)
{
    char name[NAME_BYTES];
    for (size_t n; *line; line += n) {
        int word;
        n = token(line, &word);
        if (!word || n >= NAME_BYTES)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)n, line);
        const int ours = strncmp(name, "mgi_", 4) == 0 || strncmp(name, "MGI_", 4) == 0;
        if (ours && what != NAMES_OF_SOURCE)
            take(name);
        if (n > 2 && line[n - 1] == '_' && strncmp(line + n, "##", 2) == 0 &&
            what != NAMES_OF_MACROS)
            learn(name, what == NAMES_OF_HEADER);
    }
}

void names_add(const char *line, names_what what)
{
    char name[NAME_BYTES];
    const int shared = what == NAMES_OF_HEADER;
    words_at(line, what);
    if ((!at.comment && directive_at(line, what != NAMES_OF_SOURCE)) || what == NAMES_OF_MACROS)
        return;
    for (size_t n; *line; line += n) {
        int word;
        n = comment(line, &at.comment);
        if (n > 0)
            continue;
        n = token(line, &word);
        if (word && n < NAME_BYTES) {
            snprintf(name, sizeof name, "%.*s", (int)n, line);
            word_at(name, shared);
        } else if (n == 1) {
            mark_at(*line, shared);
        }
    }
}

/* What stands before a private name in mango.h: mgi_ or MGI_, or mgi_own_, MGI_OWN_ where
 * another file has such a name that is otherwise the same. */
static const char *prefix_of(const char *name)
{
    const int upper = isupper((unsigned char)name[0]) != 0;
    char long_name[NAME_BYTES + 4];
    snprintf(long_name, sizeof long_name, "%s%s", upper ? "MGI_" : "mgi_", name);
    for (int i = 0; i < n_taken; i++)
        if (strcmp(taken[i], long_name) == 0)
            return upper ? "MGI_OWN_" : "mgi_own_";
    return upper ? "MGI_" : "mgi_";
}

/* The token at p, with the prefix if it is a known name; its length. In a comment
 * an apostrophe opens no string. */
static size_t put_token(FILE *out, const char *p, int in_comment)
{
    static char before[2]; /* the last two characters: behind . and -> stands a member */
    char name[NAME_BYTES];
    int word;
    const size_t n = in_comment && strchr("'\"", *p) ? 1 : token(p, &word);
    snprintf(name, sizeof name, "%.*s", (int)n, p);
    const int member = before[1] == '.' || (before[0] == '-' && before[1] == '>');
    if (is_private(name) && !member)
        fputs(prefix_of(name), out);
    fwrite(p, 1, n, out);
    before[0] = n > 1 ? p[n - 2] : before[1];
    before[1] = p[n - 1];
    return n;
}

void names_put(FILE *out, const char *line)
{
    static int open;
    while (*line) {
        const size_t n = comment(line, &open);
        if (n == 0)
            line += put_token(out, line, 0);
        for (const char *end = line + n; n > 0 && line < end;)
            line += put_token(out, line, 1);
    }
    fputc('\n', out);
}
