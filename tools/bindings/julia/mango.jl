# mango.jl - optimizers of MANGO for Julia, by ccall: ask for codes, tell what they gave.
# An example to build on: nothing to install but libmango. MANGO_LIBRARY names the library.
# SPDX-License-Identifier: MIT
module Mango

export Optimizer, ask, tell, best, MangoError

const LIB = get(ENV, "MANGO_LIBRARY", "libmango")

struct MangoError <: Exception
    status::Cint
    text::String
end
Base.showerror(io::IO, e::MangoError) = print(io, "mango: ", e.text)

function check(status::Cint, text::String)
    status >= 0 && return status
    isempty(text) && (text = unsafe_string(ccall((:mango_status_text, LIB), Cstring, (Cint,), status)))
    throw(MangoError(status, text))
end

# Sizes of structs come from the library.
size_of(name) = Int(ccall((:mango_struct_size, LIB), Csize_t, (Cstring,), name))

# Where a member of a struct lies.
function offset_of(name, member)
    field, offset = Ref{Cstring}(C_NULL), Ref{Csize_t}(0)
    i = 0
    while ccall((:mango_struct_field, LIB), Cint,
                (Cstring, Cssize_t, Ref{Cstring}, Ref{Csize_t}, Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}),
                name, i, field, offset, C_NULL, C_NULL, C_NULL) == 0
        unsafe_string(field[]) == member && return Int(offset[])
        i += 1
    end
    error("$name has no member $member")
end

text(bytes::Vector{UInt8}) = unsafe_string(pointer(bytes))

mutable struct Optimizer
    p::Ptr{Cvoid}
    d::Int
end

# Optimizer([16, 16], "protes", 7; k = 20): numbers of levels, preset, seed, its options.
function Optimizer(modes::Vector{<:Integer}, preset::String = "auto", seed::Integer = 0; options...)
    err, o = zeros(UInt8, size_of("mango_err")), zeros(UInt8, size_of("mango_opt_options"))
    n, m = Vector{Cssize_t}(modes), zeros(UInt8, size_of("mango_modes"))
    out = Ref{Ptr{Cvoid}}(C_NULL)
    GC.@preserve err o n m begin
        check(ccall((:mango_opt_defaults_sized, LIB), Cint, (Cstring, Ptr{UInt8}, Csize_t, Ptr{UInt8}),
                    preset, o, length(o), err), text(err))
        for (name, value) in options
            check(ccall((:mango_opt_set, LIB), Cint, (Ptr{UInt8}, Cstring, Cdouble, Ptr{UInt8}),
                        o, String(name), value, err), text(err))
        end
        unsafe_store!(Ptr{Cssize_t}(pointer(m) + offset_of("mango_modes", "d")), length(n))
        unsafe_store!(Ptr{Ptr{Cssize_t}}(pointer(m) + offset_of("mango_modes", "n")), pointer(n))
        check(ccall((:mango_opt_create, LIB), Cint,
                    (Ref{Ptr{Cvoid}}, Ptr{UInt8}, Ptr{Cvoid}, Ptr{UInt8}, UInt64, Ptr{Cvoid}, Ptr{UInt8}),
                    out, m, C_NULL, o, seed, C_NULL, err), text(err))
    end
    opt = Optimizer(out[], length(n))
    finalizer(x -> ccall((:mango_opt_destroy, LIB), Cvoid, (Ptr{Cvoid},), x.p), opt)
    return opt
end

message(opt) = unsafe_string(ccall((:mango_opt_error, LIB), Cstring, (Ptr{Cvoid},), opt.p))

# d x K levels, counted from 0: a code is a column.
function ask(opt::Optimizer, K::Integer)
    K >= 1 || throw(ArgumentError("one code at least"))
    I, got = zeros(Cssize_t, opt.d, K), Ref{Cssize_t}(K)
    GC.@preserve opt check(ccall((:mango_opt_ask, LIB), Cint,
        (Ptr{Cvoid}, Cssize_t, Ref{Cssize_t}, Ptr{Cssize_t}), opt.p, K, got, I), message(opt))
    return I[:, 1:got[]]
end

function tell(opt::Optimizer, codes::AbstractMatrix{<:Integer}, values::AbstractVector{<:Real})
    size(codes) == (opt.d, length(values)) || throw(DimensionMismatch("one value for each column"))
    I, y = Matrix{Cssize_t}(codes), Vector{Cdouble}(values)
    GC.@preserve opt check(ccall((:mango_opt_tell, LIB), Cint,
        (Ptr{Cvoid}, Cssize_t, Ptr{Cssize_t}, Ptr{Cdouble}), opt.p, length(y), I, y), message(opt))
    return nothing
end

function best(opt::Optimizer)
    y, I = Ref{Cdouble}(0), zeros(Cssize_t, opt.d)
    GC.@preserve opt check(ccall((:mango_opt_best, LIB), Cint,
        (Ptr{Cvoid}, Ref{Cdouble}, Ptr{Cssize_t}), opt.p, y, I), "best: nothing finite was told yet")
    return y[], I
end

end
