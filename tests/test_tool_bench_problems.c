/* test_tool_bench_problems.c - `mango bench problems` from outside.
 * SPDX-License-Identifier: MIT */
#include "tool.h"

/* Two problems: one whose originals are far better than anybody, far worse, and one whose
 * sample value is wrong when `y` is not 4. */
static void t_bp_write(const char *name, const char *y)
{
    FILE *f = fopen(t_work(name), "wb");
    T_REQUIRE(f != NULL);
    fprintf(f,
            "{\"qing\":{\"d\":2,\"n\":3,\"a\":[0,0],\"b\":[2,2],\"samples\":"
            "[{\"i\":[1,2],\"y\":%s}],\"results\":{"
            "\"protes k=100 k_top=10 m=200\":{\"best\":[0.999995,1,1,1,1,1]},"
            "\"ttopt rank=4 m=200\":{\"best\":[-5,-5,-5,-5,-5,-5]},"
            "\"nevergrad OnePlusOne TransitionChoice m=200\":{\"best\":[7,8,9,7,8,9]}}},"
            "\"qubo_x\":{\"d\":2,\"n\":2,\"Q\":[[1,2],[3,-8]],\"samples\":"
            "[{\"i\":[1,1],\"y\":-2}]}}",
            y);
    fclose(f);
}

/* A row of the object. */
static const mgi_json_value *t_bp_row(const mgi_json *j, const char *problem,
                                      const char *opt)
{
    const mgi_json_value *rows = mgi_json_get(j, j->v, "rows");
    for (mango_idx i = 0; rows && i < rows->n; i++) {
        const mgi_json_value *r = mgi_json_at(j, rows, i);
        if (!strcmp(mgi_json_get(j, r, "problem")->str, problem) &&
            !strcmp(mgi_json_get(j, r, "opt")->str, opt))
            return r;
    }
    return NULL;
}

static int t_bp_says(const mgi_json *j, const mgi_json_value *row, const char *key,
                     const char *text)
{
    const mgi_json_value *v = row ? mgi_json_get(j, row, key) : NULL;
    return v && v->kind == MGI_JSON_STRING && !strcmp(v->str, text);
}

/* Nine codes: all methods find the least value, (1 - 1)^2 + (1 - 2)^2 = 1. */
static void t_bp_rows(void)
{
    mgi_json j;
    t_bp_write("pb.json", "4");
    t_ran r = t_tool_run("bench problems --problems pb.json --opts protes,one-plus-one "
                         "--budgets 200 --seeds 6 --out pb --json --quiet");
    T_CHECK(r.rc == 0 && r.n_err == 0);
    if (T_CHECK(t_json(&r, &j))) {
        const mgi_json_value *p = t_bp_row(&j, "qing", "protes");
        const mgi_json_value *o = t_bp_row(&j, "qing", "one-plus-one");
        T_NEAR(p ? mgi_json_get(&j, p, "mean")->d : 0, 1.0, 1e-12);
        T_CHECK(t_bp_says(&j, p, "is", "level"));
        T_CHECK(t_bp_says(&j, p, "peer", "ttopt rank=4"));
        T_CHECK(t_bp_says(&j, p, "peer_is", "worse"));
        T_CHECK(t_bp_says(&j, o, "is", "better"));
        p = t_bp_row(&j, "qubo_x", "protes");
        T_NEAR(p ? mgi_json_get(&j, p, "mean")->d : 0, -8.0, 1e-12);
        T_CHECK(p && !mgi_json_get(&j, p, "is"));
        mgi_json_free(&j);
    }
    t_ran_free(&r);
    T_CHECK(t_tool_is("bench problems --problems pb.json --opts protes(k=5) --budgets 20 "
                      "--seeds 2 --only qubo_x --quiet", 0, "protes(k=5)"));
}

static void t_bp_check(void)
{
    t_bp_write("right.json", "4");
    t_bp_write("wrong.json", "4.001");
    T_CHECK(t_tool_is("bench problems --problems right.json --check", 0, "agrees"));
    t_ran r = t_tool_run("bench problems --problems wrong.json --check");
    T_CHECK(r.rc == 1 && strstr(r.out, "DIFFERS"));
    t_ran_free(&r);
    T_CHECK(t_tool_refuses("bench problems --problems wrong.json --opts random --budgets 5",
                           3, "sample value"));
    T_CHECK(t_tool_refuses("bench problems --problems none.json", 3, "none.json"));
    T_CHECK(t_tool_refuses("bench problems --problems right.json --opts nobody", 3, "near"));
    T_CHECK(t_tool_refuses("bench problems --problems right.json --budgets 0", 2, "whole"));
}

void t_tool_bench_problems(void)
{
    if (!t_tool_works()) {
        t_tool_absent();
        return;
    }
    T_CASE(t_bp_rows);
    T_CASE(t_bp_check);
}
