// mango.hpp - mango.h for C++11: objects that release themselves, errors as exceptions.
//
//     #include "mango.hpp"            // link with libmango, or compile mango.c beside it
//     mango::optimizer o({16, 16, 16}, "protes", 7);
//     mango::codes c = o.ask(10);
//     o.tell(c, values);
//
// Objects move, they are not copied. get() is the C object, for what is not wrapped here;
// a function that was handed in lives in the object and may throw: the exception comes out
// of the call that it was made from. Threads: as for the C object.
// SPDX-License-Identifier: MIT
#ifndef MANGO_HPP
#define MANGO_HPP

#include "mango.h"
#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mango {

// A call failed: what() is the library's message, status() how.
class error : public std::runtime_error {
public:
    error(mango_status st, const char *text)
        : std::runtime_error(text && text[0] ? text : mango_status_text(st)), st_(st)
    {
    }
    mango_status status() const { return st_; }

private:
    mango_status st_;
};

// Throws for an error; else the status: MANGO_OK, or why a search stopped.
inline mango_status check(mango_status st, const char *text = "")
{
    if (st < 0)
        throw error(st, text);
    return st;
}

// K codes of d levels, row by row; row(k) is one of them.
struct codes {
    mango_idx d;
    std::vector<mango_idx> levels; // (K,d)

    explicit codes(mango_idx d_ = 1, mango_idx K = 0) : d(d_), levels(std::size_t(d_ * K)) {}
    mango_idx size() const { return d > 0 ? mango_idx(levels.size()) / d : 0; }
    const mango_idx *row(mango_idx k) const { return levels.data() + k * d; }
};

struct found {
    double value;
    std::vector<mango_idx> code; // (d)
};

typedef std::function<std::vector<double>(const codes &)> function; // values (K) of codes

namespace detail {
template <class T, void (*destroy)(T *)> struct deleter {
    void operator()(T *p) const { destroy(p); }
};
template <class T, void (*destroy)(T *)> using handle = std::unique_ptr<T, deleter<T, destroy>>;

inline void same_count(mango_idx got, mango_idx want)
{
    if (got != want)
        throw std::invalid_argument("mango: one value for each code expected");
}

// A function and what it threw, at an address that does not change.
struct call {
    function f;
    mango_idx d;
    std::exception_ptr thrown;
    call(function f_, mango_idx d_) : f(std::move(f_)), d(d_), thrown() {}

    void again()
    {
        std::exception_ptr e;
        std::swap(e, thrown);
        if (e)
            std::rethrow_exception(e);
    }
    static mango_status eval(void *ud, mango_idx K, const mango_idx *I, double *y)
    {
        call *me = static_cast<call *>(ud);
        try {
            codes c(me->d);
            c.levels.assign(I, I + K * me->d);
            const std::vector<double> v = me->f(c);
            same_count(mango_idx(v.size()), K);
            std::copy(v.begin(), v.end(), y);
            return MANGO_OK;
        } catch (...) {
            me->thrown = std::current_exception();
            return MANGO_E_CALLBACK;
        }
    }
};
} // namespace detail

// An optimizer's options: preset, then set("k", 20) or parse("k=20,minimize=1").
class opt_options {
public:
    explicit opt_options(const std::string &preset = "auto")
    {
        mango_err err = {""};
        check(mango_opt_defaults(preset.c_str(), &o_, &err), err.text);
    }
    opt_options &set(const std::string &name, double value)
    {
        mango_err err = {""};
        check(mango_opt_set(&o_, name.c_str(), value, &err), err.text);
        return *this;
    }
    opt_options &parse(const std::string &text)
    {
        mango_err err = {""};
        check(mango_opt_parse(&o_, text.c_str(), &err), err.text);
        return *this;
    }
    const mango_opt_options *get() const { return &o_; }

private:
    mango_opt_options o_;
};

class optimizer {
public:
    optimizer(const std::vector<mango_idx> &n, const std::string &preset, uint64_t seed = 0,
              const mango_facts *facts = nullptr)
        : optimizer(n, opt_options(preset), seed, facts)
    {
    }
    optimizer(const std::vector<mango_idx> &n, const opt_options &o, uint64_t seed = 0,
              const mango_facts *facts = nullptr)
        : d_(mango_idx(n.size()))
    {
        mango_err err = {""};
        mango_opt *made = nullptr;
        const mango_modes modes = {d_, n.data()};
        check(mango_opt_create(&made, &modes, facts, o.get(), seed, nullptr, &err), err.text);
        p_.reset(made);
    }
    // K proposals; 0: as many as the method likes.
    codes ask(mango_idx K = 0)
    {
        codes c(d_, K > 0 ? K : info().batch);
        const mango_idx cap = K > 0 ? K : c.size();
        done(mango_opt_ask(get(), cap, &K, c.levels.data()));
        c.levels.resize(std::size_t(K * d_));
        return c;
    }
    void tell(const codes &c, const std::vector<double> &y)
    {
        detail::same_count(mango_idx(y.size()), same_modes(c).size());
        done(mango_opt_tell(get(), c.size(), c.levels.data(), y.data()));
    }
    void restart() { done(mango_opt_restart(get())); }
    found best() const
    {
        found f = {0, std::vector<mango_idx>(std::size_t(d_))};
        check(mango_opt_best(get(), &f.value, f.code.data()),
              "best: nothing finite was told yet");
        return f;
    }
    mango_opt_info info() const
    {
        mango_opt_info i;
        done(mango_opt_get(get(), &i));
        return i;
    }
    mango_opt *get() const { return p_.get(); }

private:
    void done(mango_status st) const { check(st, mango_opt_error(get())); }
    const codes &same_modes(const codes &c) const
    {
        if (c.d != d_ || mango_idx(c.levels.size()) % d_ != 0)
            throw std::invalid_argument("mango: codes of another number of modes");
        return c;
    }
    mango_idx d_;
    detail::handle<mango_opt, mango_opt_destroy> p_;
};

class net {
public:
    static net load(const std::string &path) { return net(mango_net_load, path); }
    static net zoo(const std::string &spec) { return net(mango_net_zoo, spec); }
    static net parse(const std::string &text)
    {
        mango_err err = {""};
        mango_net *made = nullptr;
        check(mango_net_parse(&made, text.data(), mango_idx(text.size()), nullptr, &err),
              err.text);
        return net(made);
    }
    net &fill(uint64_t seed, double gain = 1)
    {
        check(mango_net_fill(get(), seed, gain), mango_net_error(get()));
        return *this;
    }
    void save(const std::string &path, const std::string &dtype = "F32") const
    {
        mango_err err = {""};
        check(mango_net_save(get(), path.c_str(), dtype.c_str(), &err), err.text);
    }
    mango_net *get() const { return p_.get(); }

private:
    typedef mango_status (*maker)(mango_net **, const char *, const mango_alloc *, mango_err *);
    explicit net(mango_net *p) : p_(p) {}
    net(maker make, const std::string &text)
    {
        mango_err err = {""};
        mango_net *made = nullptr;
        check(make(&made, text.c_str(), nullptr, &err), err.text);
        p_.reset(made);
    }
    detail::handle<mango_net, mango_net_destroy> p_;
};

// Session options: a struct of mango.h with its defaults; strings in it must outlive create.
inline mango_session_options session_options(const std::string &preset = "auto")
{
    mango_err err = {""};
    mango_session_options o;
    check(mango_session_defaults(preset.c_str(), &o, &err), err.text);
    return o;
}

class session {
public:
    // Without a function, values come by tell.
    session(const std::vector<mango_idx> &n, const mango_session_options &o,
            function f = function())
        : d_(mango_idx(n.size())), call_(f ? new detail::call(std::move(f), d_) : nullptr)
    {
        mango_err err = {""};
        mango_session *made = nullptr;
        const mango_modes modes = {d_, n.data()};
        check(mango_session_create(&made, &modes, &o, call_ ? detail::call::eval : nullptr,
                                   call_.get(), nullptr, &err),
              err.text);
        p_.reset(made);
    }
    // What is to be shown next; the status is MANGO_OK or why the search is over.
    mango_status ask(mango_idx cap, std::vector<uint64_t> &id, codes &c)
    {
        mango_idx K = 0;
        const std::size_t rows = std::size_t(cap > 0 ? cap : 0);
        id.resize(rows);
        c = codes(d_, mango_idx(rows));
        const mango_status st = done(mango_session_ask(get(), cap, &K, id.data(),
                                                       c.levels.data()));
        id.resize(std::size_t(K));
        c.levels.resize(std::size_t(K * d_));
        return st;
    }
    void tell(const std::vector<uint64_t> &id, const std::vector<double> &y)
    {
        detail::same_count(mango_idx(y.size()), mango_idx(id.size()));
        done(mango_session_tell(get(), mango_idx(id.size()), id.data(), y.data()));
    }
    mango_status step() { return done(mango_session_step(get())); }
    mango_status run() { return done(mango_session_run(get())); }
    found best() const
    {
        found f = {0, std::vector<mango_idx>(std::size_t(d_))};
        check(mango_session_best(get(), &f.value, f.code.data()),
              "best: no finite value was told yet");
        return f;
    }
    mango_session_info info() const
    {
        mango_session_info i;
        done(mango_session_get(get(), &i));
        return i;
    }
    mango_session *get() const { return p_.get(); }

private:
    mango_status done(mango_status st) const
    {
        if (call_)
            call_->again();
        return check(st, mango_session_error(get()));
    }
    mango_idx d_;
    std::unique_ptr<detail::call> call_; // outlives p_
    detail::handle<mango_session, mango_session_destroy> p_;
};

inline mango_objective_options objective_options()
{
    mango_objective_options o;
    check(mango_objective_defaults(&o));
    return o;
}

// A target's value as a function of codes. Both nets must outlive it and stay as they are.
class objective {
public:
    objective(const net &gen, const net &network, const std::string &target,
              const mango_objective_options &o = objective_options())
    {
        mango_err err = {""};
        mango_objective *made = nullptr;
        check(mango_objective_create(&made, gen.get(), network.get(), target.c_str(), &o,
                                     nullptr, &err),
              err.text);
        p_.reset(made);
    }
    std::vector<double> eval(const codes &c)
    {
        mango_space_info s;
        check(mango_space_get(info().space, &s));
        if (c.d != s.modes.d)
            throw std::invalid_argument("mango: codes of another number of modes");
        std::vector<double> y(std::size_t(c.size()));
        done(mango_objective_eval(get(), c.size(), c.levels.data(), y.data()));
        return y;
    }
    mango_objective_info info() const
    {
        mango_objective_info i;
        done(mango_objective_get(get(), &i));
        return i;
    }
    mango_objective *get() const { return p_.get(); }

private:
    void done(mango_status st) const { check(st, mango_objective_error(get())); }
    detail::handle<mango_objective, mango_objective_destroy> p_;
};

// The whole search. Both nets must outlive it and stay as they are.
class search {
public:
    struct result {
        double value;
        std::vector<mango_idx> code; // (d)
        std::vector<float> picture;  // (C,H,W) in [0,1]
        mango_idx C, H, W;
    };
    search(const net &gen, const net &network, const std::string &target,
           const mango_session_options &so, const mango_objective_options &oo = objective_options())
    {
        mango_err err = {""};
        mango_search *made = nullptr;
        check(mango_search_create(&made, gen.get(), network.get(), target.c_str(), &oo, &so,
                                  nullptr, &err),
              err.text);
        p_.reset(made);
    }
    mango_status step() { return done(mango_search_step(get())); }
    mango_status run() { return done(mango_search_run(get())); }
    result best() const
    {
        mango_objective_info o;
        mango_session_info s;
        check(mango_objective_get(mango_search_objective(get()), &o));
        check(mango_session_get(mango_search_session(get()), &s));
        result r = {0, std::vector<mango_idx>(std::size_t(s.d)),
                    std::vector<float>(std::size_t(o.C * o.H * o.W)), o.C, o.H, o.W};
        done(mango_search_best(get(), &r.value, r.code.data(), r.picture.data()));
        return r;
    }
    mango_search *get() const { return p_.get(); }

private:
    mango_status done(mango_status st) const { return check(st, mango_search_error(get())); }
    detail::handle<mango_search, mango_search_destroy> p_;
};

} // namespace mango
#endif
