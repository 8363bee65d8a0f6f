// What every clock and timer must do. The subject's time may be real or virtual: only its own ticks are looked at.

import type { TestFn } from "ava";
import type { Clock, Timer } from "../../src/host.js";
import { assert, type ContractCase, register, same } from "./case.js";

export type TimeSubject = { readonly clock: Clock; readonly timer: Timer };

const later = (timer: Timer, delayMs: number) =>
  new Promise<void>(resolve => {
    timer.set(resolve, delayMs);
  });

export const timerCases: readonly ContractCase<TimeSubject>[] = [
  {
    title: "a callback comes once, never early, never from inside the call that set it",
    async run({ clock, timer }) {
      for (const delayMs of [0, 1, 7, 20]) {
        let calls = 0;
        const from = clock.ticks();
        timer.set(() => calls++, delayMs);
        same(calls, 0, "calls inside set");
        await later(timer, delayMs + 1);
        assert(
          clock.ticks() - from >= delayMs,
          `${delayMs} ms passed after ${clock.ticks() - from}`,
        );
        same(calls, 1, "calls when due");
      }
    },
  },
  {
    title: "timers fire in the order they are due",
    async run({ clock, timer }) {
      // Where time is real, a slow machine may set the last so late that another order is right: then again.
      for (let elapsedMs = 10; elapsedMs >= 10; ) {
        const order: number[] = [];
        const from = clock.ticks();
        for (const delayMs of [30, 10, 20]) timer.set(() => order.push(delayMs), delayMs);
        elapsedMs = clock.ticks() - from;
        await later(timer, 60);
        if (elapsedMs < 10) same(order.join(), "10,20,30", "order");
      }
    },
  },
  {
    title: "timers that are late fire in the order they were due",
    async run({ clock, timer }) {
      for (let settingMs = 10; settingMs >= 10; ) {
        const order: number[] = [];
        const from = clock.ticks();
        for (const delayMs of [30, 10, 20]) timer.set(() => order.push(delayMs), delayMs);
        settingMs = clock.ticks() - from;
        // Virtual time stands still meanwhile.
        for (let i = 0; i < 1_000_000 && clock.ticks() - from < 60; i++);
        await later(timer, 60);
        if (settingMs < 10) same(order.join(), "10,20,30", "order");
      }
    },
  },
  {
    title: "a repeat goes on until it is cleared, also from inside its own callback",
    async run({ timer }) {
      let calls = 0;
      await new Promise<void>(resolve => {
        const handle = timer.repeat(() => {
          calls++;
          if (calls < 3) return;
          timer.clear(handle);
          resolve();
        }, 5);
      });
      await later(timer, 20);
      same(calls, 3, "calls");
    },
  },
  {
    title: "a cleared timer never fires, and clearing anything is harmless",
    async run({ timer }) {
      let calls = 0;
      const handle = timer.set(() => calls++, 5);
      const fired = timer.set(() => undefined, 0);
      timer.clear(handle);
      timer.clear(handle);
      timer.clear(undefined);
      await later(timer, 20);
      timer.clear(fired);
      same(calls, 0, "calls");
    },
  },
  {
    title: "a delay of 30 days does not fire at once",
    async run({ timer }) {
      let calls = 0;
      const handle = timer.set(() => calls++, 30 * 86_400_000);
      await later(timer, 10);
      timer.clear(handle);
      same(calls, 0, "calls");
    },
  },
];

export const clockCases: readonly ContractCase<TimeSubject>[] = [
  {
    title: "ticks are finite and never go back, and the wall clock is a date or undefined",
    async run({ clock, timer }) {
      let last = clock.ticks();
      for (let round = 0; round < 50; round++) {
        const ticks = clock.ticks();
        assert(Number.isFinite(ticks) && ticks >= last, `${ticks} after ${last}`);
        last = ticks;
      }
      await later(timer, 5);
      assert(clock.ticks() >= last + 5, "five milliseconds count");
      const now = clock.now();
      assert(now === undefined || now > Date.UTC(2020, 0), `now is ${now}`);
    },
  },
];

export function timerContract(test: TestFn, label: string, open: () => TimeSubject): void {
  register(test, label, timerCases, open);
}

export function clockContract(test: TestFn, label: string, open: () => TimeSubject): void {
  register(test, label, clockCases, open);
}
