/* test_tool_opt.c - what the command knows of optimizers follows from the tables: help,
 * `info --presets`, --opt-set, and resume of each.
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#define T_OPT_MEI "mei --gen " T_GEN " --net " T_NET " --fill 7,1 --target spiking1:3 --T 4"

static void t_opt_tool_help(void)
{
    mango_opt_preset_info p;
    t_ran help = t_tool_run("mei --help"), list = t_tool_run("info --presets");
    T_CHECK(help.rc == 0 && list.rc == 0 && help.out && list.out);
    T_REQUIRE(help.out && list.out);
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        mango_opt_spec o;
        T_STATUS(mango_opt_preset(i, &p), MANGO_OK);
        T_CHECK(strstr(help.out, p.name) != NULL);
        T_CHECK(strstr(list.out, p.name) && strstr(list.out, p.meaning));
        for (mango_idx j = 0; j < mango_opt_option_count(p.name); j++) {
            T_STATUS(mango_opt_option(p.name, j, &o), MANGO_OK);
            T_CHECK(strstr(list.out, o.name) && strstr(list.out, o.meaning));
        }
    }
    T_CHECK(strstr(list.out, "k=25,k_top=5,k_gd=1,lr=0.05,r=5,quantized=1") != NULL);
    T_CHECK(strstr(list.out, "the paper's TT exactly as published") != NULL);
    t_ran_free(&help);
    t_ran_free(&list);
    t_tool_refuses("info --presets x", 2, "without a FILE");
}

static void t_opt_tool_json(void)
{
    mgi_json j;
    t_ran r = t_tool_run("info --presets --json");
    T_REQUIRE(t_json(&r, &j));
    const mgi_json_value *list = mgi_json_get(&j, j.v, "presets");
    T_CHECK(list && list->kind == MGI_JSON_ARRAY && list->n == mango_opt_presets());
    for (mango_idx i = 0; list && i < list->n; i++) {
        const mgi_json_value *p = mgi_json_at(&j, list, i);
        const mgi_json_value *o = mgi_json_get(&j, p, "options");
        const mgi_json_value *name = mgi_json_get(&j, p, "name");
        T_REQUIRE(name && name->kind == MGI_JSON_STRING && o);
        T_EQ(o->n, mango_opt_option_count(name->str));
        T_CHECK(mgi_json_get(&j, o, "minimize") != NULL);
    }
    mgi_json_free(&j);
    t_ran_free(&r);
}

/* --opt-set says what --k and the like say, and more; whatever is wrong is named. */
static void t_opt_tool_set(void)
{
    t_tool_is(T_OPT_MEI " --opt tt-b --budget 40 --k 8 --k-top 2 --lr 0.2 --rank 3 --out set1",
              0, "report");
    t_tool_is(T_OPT_MEI " --opt tt-b --budget 40 --opt-set k=8,k_top=2,lr=0.2,r=3 --out set2",
              0, "report");
    t_same("set1", "set2", "codes.npy");
    t_same("set1", "set2", "journal.jsonl");
    t_tool_refuses(T_OPT_MEI " --opt tt-b --opt-set kk=8 --out no", 3, "no option 'kk'");
    t_tool_refuses(T_OPT_MEI " --opt tt-b --opt-set k=0 --out no", 3, "k is 0");
    t_tool_refuses(T_OPT_MEI " --opt tt-b --opt-set k --out no", 3, "NAME=VALUE");
    t_tool_refuses(T_OPT_MEI " --opt random --lr 0.1 --out no", 3, "no option 'lr'");
    t_tool_refuses(T_OPT_MEI " --opt tt-b --out set2 --resume --opt-set k=8", 3, "another");
}

/* Every optimizer there is: stopped and resumed, the journal is the one of a single
 * run but for where the stops cut the lines of values; codes and scores are the same. */
static void t_opt_tool_resume(void)
{
    mango_opt_preset_info p;
    char command[400];
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        T_STATUS(mango_opt_preset(i, &p), MANGO_OK);
        snprintf(command, sizeof command, T_OPT_MEI " --opt %s --budget 60 --out whole-%s",
                 p.name, p.name);
        t_tool_is(command, 0, "report");
        for (int budget = 23; budget <= 60; budget += 37) {
            snprintf(command, sizeof command,
                     T_OPT_MEI " --opt %s --budget %d --out parts-%s%s", p.name, budget,
                     p.name, budget > 23 ? " --resume" : "");
            t_tool_is(command, 0, "report");
        }
        char whole[64], parts[64];
        snprintf(whole, sizeof whole, "whole-%s", p.name);
        snprintf(parts, sizeof parts, "parts-%s", p.name);
        t_same(whole, parts, "codes.npy");
        t_same(whole, parts, "scores.tsv");
    }
}

void t_tool_opt(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_opt_tool_help);
    T_CASE(t_opt_tool_json);
    T_CASE(t_opt_tool_set);
    T_CASE(t_opt_tool_resume);
}
