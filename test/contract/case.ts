// A contract case needs nothing but what it is given, so that it also runs inside a guest engine.

import type { TestFn } from "ava";

export interface ContractCase<Subject> {
  readonly title: string;
  run(subject: Subject): void | Promise<void>;
}

/** Registers each case with AVA. @param open makes a fresh subject for one case. */
export function register<Subject>(
  test: TestFn,
  label: string,
  cases: readonly ContractCase<Subject>[],
  open: () => Subject | Promise<Subject>,
): void {
  for (const { title, run } of cases) {
    test(`${label}: ${title}`, async t => {
      await run(await open());
      t.pass();
    });
  }
}

export function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

export function same(actual: unknown, expected: unknown, what: string): void {
  assert(Object.is(actual, expected), `${what} is ${String(actual)}, expected ${String(expected)}`);
}

export function sameBytes(
  actual: ArrayBuffer | Uint8Array | undefined,
  expected: Uint8Array,
  what: string,
): void {
  assert(actual !== undefined, `${what} is absent`);
  same([...new Uint8Array(actual!)].join(), [...expected].join(), what);
}

/** @returns what `work` throws; it must throw. */
export function thrown(work: () => unknown, what: string): { code?: string; message?: string } {
  try {
    work();
  } catch (error) {
    return error as { code?: string; message?: string };
  }
  throw new Error(`${what}: nothing thrown`);
}
