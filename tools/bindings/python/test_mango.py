"""Tests of the package: python3 -m unittest test_mango (MANGO_LIBRARY names the library).

SPDX-License-Identifier: MIT
"""
import gc
import math
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import weakref
from pathlib import Path

if os.environ.get("WITHOUT_NUMPY"):
    sys.modules["numpy"] = None

import mango
from mango import _structs
from mango._library import lib

MODES = [16] * 8
TINY_GEN, TINY_NET = "vqvae,width=0.125", "snn_conv,width=0.125,T=4"


def answer(codes):
    return [-float(sum((int(i) - 7 * j % 16) ** 2 for j, i in enumerate(c))) for c in codes]


def rows(codes):
    return [tuple(map(int, c)) for c in codes]


def nets():
    return mango.Net.zoo(TINY_GEN).fill(7, 1.5), mango.Net.zoo(TINY_NET).fill(7)


class Folder(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.folder = Path(self._folder.name)


class Structs(unittest.TestCase):
    def test_every_struct_of_the_library_is_read(self):
        i, names = 0, []
        while lib.mango_struct_name(i):
            names.append(lib.mango_struct_name(i).decode())
            size, fields = _structs.layout(names[-1])
            self.assertTrue(all(f.offset + f.size * f.many <= size for f in fields.values()))
            i += 1
        self.assertIn("mango_session_options", names)

    def test_numbers_are_checked(self):
        s = _structs.Struct("mango_controls")
        s.grey = 1
        s.contrast = 0.25
        self.assertEqual((s.grey, s.contrast, s.H), (1, 0.25, 0))
        with self.assertRaises(OverflowError):
            s.grey = 1 << 40
        self.assertEqual(s.grey, 1)
        with self.assertRaises(TypeError):
            s.H = 1.5
        with self.assertRaisesRegex(TypeError, "contrast"):
            s.fill({"contrasts": 1})


class Asking(unittest.TestCase):
    def test_it_finds_the_best_and_repeats(self):
        seen = []
        for _ in range(2):
            opt = mango.Optimizer(MODES, "protes", seed=7)
            seen.append([])
            for _ in range(100):
                codes = opt.ask(20)
                seen[-1] += rows(codes)
                opt.tell(codes, answer(codes))
        self.assertEqual(*seen)
        value, code = opt.best
        self.assertEqual([value], answer([code]))
        self.assertEqual(value, max(answer(seen[0])))
        self.assertEqual(opt.info["asked"], 2000)

    def test_options_and_their_faults(self):
        opt = mango.Optimizer(MODES, "protes", k=20, minimize=1)
        self.assertEqual(opt.info["minimize"], 1)
        self.assertIn("minimize", mango.options_of("protes"))
        self.assertIn("protes", mango.presets())
        with self.assertRaisesRegex(mango.Error, "protes"):
            mango.Optimizer(MODES, "protesx")
        with self.assertRaises(mango.Error) as e:
            mango.Optimizer(MODES, "protes", kk=20)
        self.assertEqual(e.exception.status, mango.Status.E_NAME)
        with self.assertRaises(mango.Error):
            mango.Optimizer([], "protes")
        with self.assertRaises(OverflowError):
            mango.Optimizer(MODES, "protes", seed=1 << 64)

    def test_wrong_codes_and_values(self):
        opt = mango.Optimizer(MODES, "random")
        codes = opt.ask(4)
        for bad in ([[1.5] * 8], [[0] * 7], "text"):
            with self.assertRaises((TypeError, ValueError)):
                opt.tell(bad, [1])
        with self.assertRaises(ValueError):
            opt.tell(codes, [1, 2])
        with self.assertRaises(mango.Error) as e:
            opt.tell([[16] + [0] * 7], [1])
        self.assertEqual(e.exception.status, mango.Status.E_ARG)
        with self.assertRaisesRegex(mango.Error, "told yet"):
            opt.best
        with self.assertRaises(ValueError):
            opt.ask(0)
        opt.tell(codes, [None, 1, math.nan, -1])
        self.assertEqual(opt.best[0], 1)

    def test_constraints_by_a_function(self):
        def even(code):
            return sum(map(int, code)) % 2 == 0
        opt = mango.Optimizer(MODES, "random", facts={"allows": even, "allows_name": "even"})
        self.assertTrue(all(even(c) for c in opt.ask(50)))
        with self.assertRaisesRegex(ValueError, "128 marks"):
            mango.Optimizer(MODES, "random", facts={"allowed": [1] * 16})
        mask = [i < 4 for _ in range(8) for i in range(16)]
        opt = mango.Optimizer(MODES, "random", facts={"allowed": mask})
        self.assertTrue(all(max(c) < 4 for c in rows(opt.ask(50))))

    def test_a_rule_that_raises(self):
        def bad(code):
            raise KeyError("mine")
        with self.assertRaisesRegex(KeyError, "mine"):
            mango.Optimizer(MODES, "random", facts={"allows": bad, "allows_name": "b"}).ask(5)

    def test_closed(self):
        with mango.Optimizer(MODES, "random") as opt:
            opt.ask(1)
        opt.close()
        with self.assertRaisesRegex(mango.Error, "closed"):
            opt.ask(1)


class Sessions(Folder):
    def test_function_equals_ask_and_tell(self):
        s = mango.Session(MODES, "protes", answer, budget=200, seed=3)
        self.assertEqual(s.run(), mango.Status.STOP_BUDGET)
        t = mango.Session(MODES, "protes", budget=200, seed=3)
        while not t.stopped:
            ids, codes = t.ask(7)
            t.tell(ids, answer(codes))
        self.assertEqual(s.best[0], t.best[0])
        self.assertEqual(rows([s.best[1]]), rows([t.best[1]]))
        self.assertEqual([s.query(q)[0] for q in range(200)],
                         [t.query(q)[0] for q in range(200)])
        self.assertEqual(s.found()["y"], s.best[0])
        for wrong in (lambda: s.query(200), lambda: s.code(10 ** 6), lambda: s.value(-1)):
            with self.assertRaisesRegex(mango.Error, "no "):
                wrong()
        elites = s.elites(3, 2)
        self.assertEqual(elites[0]["y"], s.best[0])
        self.assertEqual(answer([s.code(elites[1]["id"])]), [elites[1]["y"]])

    def test_a_journal_is_resumed(self):
        journal = self.folder / "a.jsonl"
        whole = mango.Session(MODES, "protes", answer, budget=300, seed=5)
        whole.run()
        with mango.Session(MODES, "protes", answer, budget=120, seed=5, journal=journal) as s:
            s.run()
        t = mango.Session(MODES, "protes", answer, budget=300, seed=5, journal=journal,
                          resume=1)
        self.assertGreater(t.info["replayed"], 100)
        t.run()
        self.assertEqual(t.best[0], whole.best[0])
        self.assertEqual([t.query(q)[0] for q in range(300)],
                         [whole.query(q)[0] for q in range(300)])
        t.close()
        header, lines = mango.read_journal(journal)
        self.assertTrue(header and lines)
        with self.assertRaisesRegex(mango.Error, "seed"):
            mango.Session(MODES, "protes", answer, budget=300, seed=6, journal=journal,
                          resume=1)

    @unittest.skipUnless(hasattr(os, "fork"), "no signals here")
    def test_a_killed_process_is_resumed(self):
        journal = self.folder / "k.jsonl"
        killed = (f"import mango, os, signal, test_mango\nn = 0\n"
                  f"def f(codes):\n    global n\n    n += len(codes)\n"
                  f"    if n > 150: os.kill(os.getpid(), signal.SIGKILL)\n"
                  f"    return test_mango.answer(codes)\n"
                  f"mango.Session([16] * 8, 'protes', f, budget=300, seed=5,"
                  f" journal={str(journal)!r}).run()")
        r = subprocess.run([sys.executable, "-B", "-c", killed], cwd=Path(__file__).parent)
        self.assertEqual(r.returncode, -9)
        t = mango.Session(MODES, "protes", answer, budget=300, seed=5, journal=journal,
                          resume=1)
        self.assertTrue(0 < t.info["replayed"] <= 150)
        t.run()
        whole = mango.Session(MODES, "protes", answer, budget=300, seed=5)
        whole.run()
        self.assertEqual([t.query(q)[0] for q in range(300)],
                         [whole.query(q)[0] for q in range(300)])

    def test_exceptions_come_through_and_it_goes_on(self):
        calls = []

        def fails_once(codes):
            calls.append(1)
            if len(calls) == 2:
                raise KeyError("mine")
            return answer(codes)
        s = mango.Session(MODES, "protes", fails_once, budget=200, seed=3)
        with self.assertRaisesRegex(KeyError, "mine"):
            s.run()
        s.run()
        self.assertEqual(s.info["queries"], 200)
        s = mango.Session(MODES, "protes", lambda c: [1.0], budget=200)
        with self.assertRaisesRegex(ValueError, "values expected"):
            s.run()

    def test_stop_and_observe(self):
        def stops(codes):
            raise mango.Stop
        s = mango.Session(MODES, "protes", stops)
        self.assertEqual(s.run(), mango.Status.STOP_USER)
        seen = []

        def watch(session):
            seen.append(session.info["queries"])
            return len(seen) == 2
        s = mango.Session(MODES, "protes", answer, budget=1000, observe=watch)
        self.assertEqual(s.run(), mango.Status.STOP_USER)
        self.assertEqual(len(seen), 2)
        with self.assertRaisesRegex(mango.Error, "within"):
            s = mango.Session(MODES, "protes", lambda c: s.close(), budget=9)
            s.run()

    def test_settings_by_name(self):
        with self.assertRaisesRegex(TypeError, "budget"):
            mango.Session(MODES, "protes", budgets=3)
        with self.assertRaises(mango.Error):
            mango.Session(MODES, "protes", budget=0)
        with self.assertRaises(TypeError):
            mango.Session(MODES, "protes", ties=1)
        s = mango.Session(MODES, "random", noise="normal:1", budget=40, start=[[1] * 8],
                          notes={"who": "me"})
        self.assertEqual(rows(s.ask(1)[1]), [(1,) * 8])

    def test_nothing_is_left(self):
        s = mango.Session(MODES, "protes", answer, budget=50)
        s.run()
        gone, shared = weakref.ref(s), s._shared
        del s
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual(shared.users, 0)

    def test_threads_wait_for_each_other(self):
        s = mango.Session(MODES, "random", budget=2000)

        def work():
            while not s.stopped:
                ids, codes = s.ask(10)
                s.tell(ids, answer(codes))
        workers = [threading.Thread(target=work) for _ in range(3)]
        [w.start() for w in workers]
        [w.join() for w in workers]
        self.assertEqual(s.info["queries"], 2000)


class Networks(Folder):
    def test_built_saved_loaded(self):
        net = nets()[1]
        path = self.folder / "net.safetensors"
        net.set_meta("note", "mine")
        net.save(path)
        again = mango.Net.load(path)
        self.assertEqual(again.digest(), net.digest())
        self.assertEqual(again.meta["note"], "mine")
        self.assertIn("spiking1", [l["name"] for l in net.layers])
        name, shape = next(iter(net.params.items()))
        values = net.get(name)
        net.set(name, [0] * len(values) if not hasattr(values, "shape") else values * 0)
        self.assertNotEqual(again.digest(), net.digest())
        self.assertEqual(len(shape), 4)
        with self.assertRaisesRegex(mango.Error, "nosuch"):
            mango.Net.load(self.folder / "nosuch")
        with self.assertRaises(mango.Error):
            net.find("spiking11")
        self.assertEqual(mango.Net.parse(net.text).text, net.text)

    def test_weights_of_others(self):
        net = nets()[1]
        path = self.folder / "net.weights"
        net.save(path)
        for way in ({}, {"zoo": TINY_NET}, {"graph": net.text}):
            self.assertEqual(mango.Net.read(path, **way).digest(), net.digest())
        with self.assertRaisesRegex(mango.Error, "(?s)conv0.*\n"):
            mango.Net.read(path, zoo=TINY_GEN)
        (self.folder / "text").write_text("no tensors")
        with self.assertRaisesRegex(mango.Error, "text"):
            mango.Net.read(self.folder / "text", zoo=TINY_NET)
        with self.assertRaises(mango.Error):
            mango.Net.read(path, key="nosuch")

    def test_run(self):
        net = nets()[1]
        x = [((k * 37) % 101) / 101 for k in range(5 * 3 * 32 * 32)]
        if mango._arrays.np is not None:
            x = mango._arrays.np.array(x, dtype="f4").reshape(5, 3, 32, 32)
        what = {"spiking1": "spikes", "conv0": "mean"}
        one, many = net.run(x, what, batch=2), net.run(x, what)
        for name in what:
            self.assertEqual(bytes(memoryview(one[name]).cast("B")),
                             bytes(memoryview(many[name]).cast("B")))
        layer = net.layer("spiking1")
        T = net.info["T"]
        self.assertEqual(memoryview(many["spiking1"]).nbytes,
                         4 * T * 5 * layer["C"] * layer["H"] * layer["W"])
        with self.assertRaises(ValueError):
            net.run(x, {"conv0": "means"})


class Searches(Folder):
    def test_the_whole_search(self):
        gen, net = nets()
        with mango.Search(gen, net, "spiking1:3", "protes", budget=60, seed=2,
                          objective={"batch": 20}) as search:
            self.assertEqual(search.run(), mango.Status.STOP_BUDGET)
            value, code, picture = search.best
            self.assertEqual(search.session.info["queries"], 60)
        f = mango.Objective(gen, net, "spiking1:3")
        self.assertEqual(f([code])[0], value)
        self.assertEqual(f.look(picture)[0], value)
        self.assertEqual(bytes(memoryview(f.picture(code)).cast("B")),
                         bytes(memoryview(picture).cast("B")))
        self.assertEqual(bytes(memoryview(mango.Drawing(gen).draw([code])).cast("B")),
                         bytes(memoryview(picture).cast("B")))
        self.assertEqual(f.info["target"]["unit"], 3)
        with self.assertRaisesRegex(mango.Error, "spiking"):
            mango.Objective(gen, net, "spikin1:3")

    def test_several_targets(self):
        gen, net = nets()
        texts = ["spiking1:3", "spiking1:1 - 0.5*spiking1:2", "conv0:0"]
        many = mango.Objective(gen, net, texts)
        codes = [[(k * j) % 512 for j in range(len(many.modes))] for k in range(3)]
        table = many(codes)
        self.assertEqual(len(table), 3)
        for n, text in enumerate(texts):
            one = mango.Objective(gen, net, text)
            self.assertEqual([row[n] for row in table], list(one(codes)))
        elite = mango.Objective(gen, net, "spiking1:3", elite=1, batch=3)(codes)
        self.assertEqual(max(y for y in elite if y == y), max(row[0] for row in table))
        seen = many.look(many.picture(codes[1]))
        self.assertEqual(list(seen[0]), list(table[1]))
        with self.assertRaises(mango.Error):
            mango.Objective(gen, net, [])

    def test_nets_live_as_long_as_they_are_needed(self):
        gen, net = nets()
        f = mango.Objective(gen, net, "spiking1:3")
        with self.assertRaisesRegex(mango.Error, "must not change"):
            net.fill(1)
        shared = net._shared
        gen.close()
        net.close()
        codes = [[0] * len(f.modes)]
        self.assertEqual(len(f(codes)), 1)
        f.close()
        self.assertEqual(shared.users, 0)

    def test_a_function_of_pictures(self):
        gen = nets()[0]

        def bright(pictures):
            if hasattr(pictures, "mean"):
                return pictures.reshape(len(pictures), -1).astype("f8").mean(1)
            n = 3 * 32 * 32
            return [math.fsum(pictures[k:k + n]) / n for k in range(0, len(pictures), n)]
        s = mango.Search(gen, bright, "brightness", "random", budget=30, seed=1)
        s.run()
        session, (value, code, _) = s.session, s.best
        self.assertAlmostEqual(list(bright(mango.Drawing(gen).draw([code])))[0], value, 6)
        s.close()
        self.assertEqual(session.best[0], value)

        def bad(pictures):
            raise KeyError("mine")
        with self.assertRaisesRegex(KeyError, "mine"):
            mango.Search(gen, bad, "bad", "random", budget=30).run()

    def test_controls_and_observe(self):
        gen, net = nets()
        seen = []
        s = mango.Search(gen, net, "spiking1:3", "random", budget=20,
                         objective={"controls": {"grey": 1}},
                         observe=lambda session: seen.append(session.info["queries"]))
        s.run()
        self.assertEqual(seen[-1], 20)
        picture = s.best[2]
        flat = list(memoryview(picture).cast("B").cast("f"))
        self.assertEqual(flat[:1024], flat[1024:2048])


class Tables(Folder):
    def test_tables(self):
        (self.folder / "a.csv").write_text("name,y\na,1\nb,2.5\n")
        self.assertEqual(mango.read_table(self.folder / "a.csv"),
                         [{"name": "a", "y": 1}, {"name": "b", "y": 2.5}])
        (self.folder / "a.jsonl").write_text('{"y":1}\n{"y":2}\n{"y":')
        self.assertEqual(mango.read_table(self.folder), [{"y": 1}, {"y": 2}])
        (self.folder / "a.jsonl").write_text('{"y":1}\n{"y":\n')
        with self.assertRaisesRegex(ValueError, "line 2"):
            mango.read_table(self.folder / "a.jsonl")


class Library(unittest.TestCase):
    def test_python_runs_while_the_library_computes(self):
        gen = mango.Net.zoo("vqvae,width=0.125").fill(7, 1.5)
        net = mango.Net.zoo("snn_conv,width=0.25,T=100").fill(7)
        f = mango.Objective(gen, net, "spiking1:3")
        done, seen = threading.Event(), []
        codes = [[k] * len(f.modes) for k in range(40)]

        def compute():
            f(codes)
            done.set()
        worker = threading.Thread(target=compute)
        worker.start()
        while not done.wait(0.001):
            seen.append(1)
        worker.join()
        self.assertGreater(len(seen), 1)

    def test_a_library_that_is_not_there(self):
        env = dict(os.environ, MANGO_LIBRARY="/nosuch/libmango.so")
        r = subprocess.run([sys.executable, "-c", "import mango"], env=env,
                           cwd=Path(__file__).parent, capture_output=True, text=True)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("/nosuch/libmango.so", r.stderr)


if __name__ == "__main__":
    unittest.main()
