"""The closed loop in twenty lines: python3 loop.py

The optimizer asks, a function of ours answers, the optimizer is told; the same seed asks the
same codes in every language.  SPDX-License-Identifier: MIT
"""
import mango


def answer(codes):  # ours: how near is a code to 0 7 14 5 12 3 10 1? A rig would show it
    return [-sum((int(i) - 7 * j % 16) ** 2 for j, i in enumerate(code)) for code in codes]


optimizer = mango.Optimizer([16] * 8, "protes", seed=7)
for _ in range(40):
    codes = optimizer.ask(10)
    for code in codes:
        print(*map(int, code))
    optimizer.tell(codes, answer(codes))
value, code = optimizer.best
print("best", int(value), "at", *map(int, code))
