// test.cpp - mango.hpp: the search through it, its errors, its functions.
// SPDX-License-Identifier: MIT
#include "mango.hpp"
#include <cstdio>
#include <type_traits>

static int failed, passed;
#define CHECK(x)                                                                           \
    do {                                                                                   \
        (x) ? passed++ : failed++;                                                         \
        if (!(x))                                                                          \
            std::printf("test.cpp:%d: %s\n", __LINE__, #x);                                \
    } while (0)

static std::vector<double> answers(const mango::codes &c)
{
    std::vector<double> y;
    for (mango_idx k = 0; k < c.size(); k++) {
        double far = 0;
        for (mango_idx j = 0; j < c.d; j++)
            far += double((c.row(k)[j] - j) * (c.row(k)[j] - j));
        y.push_back(-far);
    }
    return y;
}

template <class F> static mango_status status_of(F f, const char *word)
{
    try {
        f();
    } catch (const mango::error &e) {
        CHECK(std::string(e.what()).find(word) != std::string::npos);
        return e.status();
    }
    return MANGO_OK;
}

static void optimizers()
{
    static_assert(!std::is_copy_constructible<mango::optimizer>::value, "copied");
    static_assert(std::is_nothrow_move_constructible<mango::optimizer>::value, "not moved");
    const std::vector<mango_idx> n(8, 16);
    mango::optimizer a(n, mango::opt_options("protes").set("k", 20), 3);
    mango::optimizer b = std::move(a);
    CHECK(!a.get() && b.get());
    for (int i = 0; i < 60; i++) {
        const mango::codes c = b.ask();
        CHECK(c.size() > 0);
        b.tell(c, answers(c));
    }
    const mango::found best = b.best();
    mango::codes one(8);
    one.levels = best.code;
    CHECK(answers(one)[0] == best.value);
    CHECK(status_of([&] { mango::optimizer(n, "protesx"); }, "protes") == MANGO_E_NAME);
    CHECK(status_of([&] { mango::opt_options("protes").set("kk", 1); }, "k") == MANGO_E_NAME);
    one.levels[0] = 16;
    CHECK(status_of([&] { b.tell(one, {1.0}); }, "16") == MANGO_E_ARG);
    mango::optimizer fresh(n, "protes");
    CHECK(status_of([&] { fresh.tell(one, {1.0}); }, "16") == MANGO_E_ARG);
    CHECK(status_of([&] { fresh.best(); }, "told yet") == MANGO_E_STATE);
    try {
        b.tell(one, {1.0, 2.0});
        CHECK(false); // two values for one code
    } catch (const std::invalid_argument &) {
        CHECK(true);
    }
}

static void sessions()
{
    const std::vector<mango_idx> n(8, 16);
    mango_session_options o = mango::session_options("protes");
    o.budget = 200;
    mango::session s(n, o, answers);
    CHECK(s.run() == MANGO_STOP_BUDGET);
    mango::session t(n, o);
    std::vector<uint64_t> id;
    mango::codes c;
    while (t.ask(7, id, c) == MANGO_OK)
        t.tell(id, answers(c));
    CHECK(s.best().value == t.best().value && s.best().code == t.best().code);
    CHECK(t.info().queries == 200);
    mango::session bad(n, o, [](const mango::codes &) -> std::vector<double> {
        throw std::out_of_range("mine");
    });
    mango::session moved = std::move(bad);
    try {
        moved.run();
        CHECK(false); // it throws
    } catch (const std::out_of_range &e) {
        CHECK(std::string(e.what()) == "mine");
    }
}

static void searches()
{
    mango::net gen = mango::net::zoo("vqvae,width=0.125"), net =
               mango::net::zoo("snn_conv,width=0.125,T=4");
    gen.fill(7, 1.5);
    net.fill(7);
    mango_session_options o = mango::session_options("protes");
    o.budget = 60;
    mango::search s(gen, net, "spiking1:3", o);
    CHECK(s.run() == MANGO_STOP_BUDGET);
    const mango::search::result r = s.best();
    CHECK(r.picture.size() == 3 * 32 * 32);
    mango::codes c(mango_idx(r.code.size()));
    c.levels = r.code;
    CHECK(mango::objective(gen, net, "spiking1:3").eval(c)[0] == r.value);
    CHECK(status_of([&] { mango::objective(gen, net, "spikin1:3"); }, "spiking1") ==
          MANGO_E_NAME);
    CHECK(status_of([] { mango::net::load("/nosuch"); }, "nosuch") == MANGO_E_IO);
}

int main()
{
    optimizers();
    sessions();
    searches();
    std::printf("mango.hpp: %d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
