// What kind of backoff a series of waits is, told from series made for it.
import test from "ava";
import { type BackoffKind, backoffKind } from "../../../simulator/advisor/backoff.js";
import { Random } from "../../../simulator/world/random.js";

const series = (count: number, wait: (i: number) => number) =>
  Array.from({ length: count }, (_, i) => wait(i));

const called = test.macro({
  exec: (t, wanted: BackoffKind, wait: (i: number) => number) => {
    for (const count of [5, 6, 8, 10]) t.is(backoffKind(series(count, wait)), wanted, `${count}`);
  },
  title: (title, wanted) => `${title} is ${wanted}`,
});

test("the same wait every time", called, "constant", () => 5000);
test("no wait at all", called, "constant", () => 0);
test("a wait that a clock makes uneven", called, "constant", i => 1000 + (i % 3) * 60);
test("one second more each time", called, "linear", i => 1000 * (i + 1));
test("half a second more each time", called, "linear", i => 3000 + 500 * i);
test("doubled each time", called, "exponential", i => 1000 * 2 ** i);
test("doubled up to a cap", called, "exponential", i => Math.min(16_000, 1000 * 2 ** i));
test("half as much again each time", called, "exponential", i => 2000 * 1.5 ** i);
test(
  "doubled, uneven by some milliseconds",
  called,
  "exponential",
  i => 1000 * 2 ** i + (i % 4) * 20,
);

test("fewer than five waits tell nothing", t => {
  t.is(backoffKind([1, 2, 4, 8]), "unknown");
  t.is(backoffKind([]), "unknown");
});

/** How often each kind is found among `seeds` series. */
function kindsOf(seeds: number, count: number, wait: (i: number, chance: number) => number) {
  const kinds = new Map<BackoffKind, number>();
  for (let seed = 1; seed <= seeds; seed++) {
    const random = new Random(seed);
    const kind = backoffKind(series(count, i => wait(i, random.next() / 2 ** 32)));
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return (kind: BackoffKind) => (kinds.get(kind) ?? 0) / seeds;
}

test("full jitter under a doubling ceiling is jitter, in 995 of 1000 series of ten", t => {
  const share = kindsOf(2000, 10, (i, chance) => chance * Math.min(120_000, 1000 * 2 ** i));
  t.true(share("jitter") >= 0.995, `${share("jitter")}`);
  t.is(share("exponential") + share("linear") + share("constant"), 0);
});

test("full jitter is jitter in 95 of 100 series of five", t => {
  const share = kindsOf(2000, 5, (i, chance) => chance * 1000 * 2 ** i);
  t.true(share("jitter") >= 0.95, `${share("jitter")}`);
});

test("half jitter under a doubling ceiling is jitter", t => {
  const share = kindsOf(2000, 10, (i, chance) => 500 * 2 ** i * (1 + chance));
  t.true(share("jitter") >= 0.95, `${share("jitter")}`);
});

test("chance under a ceiling that does not grow is rarely taken for growth", t => {
  const share = kindsOf(2000, 10, (_, chance) => 30_000 * chance);
  t.true(share("random") >= 0.94, `${share("random")}`);
  t.true(share("linear") + share("exponential") + share("constant") < 0.005);
});
