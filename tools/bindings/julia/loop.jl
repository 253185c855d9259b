# loop.jl - the closed loop in twenty lines: julia loop.jl
# The optimizer asks, a function of ours answers, the optimizer is told; the same seed asks
# the same codes in every language.  SPDX-License-Identifier: MIT
include(joinpath(@__DIR__, "mango.jl"))
using .Mango

near = [mod(7j, 16) for j in 0:7]  # ours: how near is a code to 0 7 14 5 12 3 10 1?
answer(codes) = [-float(sum((codes[:, k] .- near) .^ 2)) for k in 1:size(codes, 2)]

optimizer = Optimizer(fill(16, 8), "protes", 7)
for batch in 1:40
    codes = ask(optimizer, 10)
    for k in 1:size(codes, 2)
        println(join(codes[:, k], " "))
    end
    tell(optimizer, codes, answer(codes))
end
value, code = best(optimizer)
println("best ", Int(value), " at ", join(code, " "))
