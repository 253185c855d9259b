// loop.cpp - the closed loop in twenty lines: the optimizer asks, a function of ours answers,
// the optimizer is told; the same seed asks the same codes in every language.
//     c++ -std=c++11 loop.cpp -lmango && ./a.out
// SPDX-License-Identifier: MIT
#include "mango.hpp"
#include <cstdio>

static double answer(const mango_idx *code) // how near is it to 0 7 14 5 12 3 10 1?
{
    double far = 0;
    for (int j = 0; j < 8; j++)
        far += double((code[j] - 7 * j % 16) * (code[j] - 7 * j % 16));
    return -far;
}

static void print(const mango_idx *code)
{
    for (int j = 0; j < 8; j++)
        std::printf("%d%c", int(code[j]), j < 7 ? ' ' : '\n');
}

int main()
{
    mango::optimizer optimizer(std::vector<mango_idx>(8, 16), "protes", 7);
    for (int batch = 0; batch < 40; batch++) {
        const mango::codes codes = optimizer.ask(10);
        std::vector<double> values;
        for (mango_idx k = 0; k < codes.size(); k++) {
            print(codes.row(k));
            values.push_back(answer(codes.row(k)));
        }
        optimizer.tell(codes, values);
    }
    const mango::found best = optimizer.best();
    std::printf("best %d at ", int(best.value));
    print(best.code.data());
}
