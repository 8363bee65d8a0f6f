// What every machine with two slots for firmware must do, over its starts.

import type { TestFn } from "ava";
import { makeImage } from "../../hosts/emulation/image.js";
import type { Flash, Host } from "../../src/host.js";
import { assert, type ContractCase, register, same, thrown } from "./case.js";

export type UpdatableHost = Pick<Host, "crypto" | "flash" | "update">;

/** A machine of slots of at least 8 KB that take `makeImage`, with nothing in them: the program that runs needs no image. */
export interface UpdateSubject {
  /** Starts the machine, again after the first. */
  start(): UpdatableHost;
}

/** A machine on which `revert` returns, after it has called for a restart. */
export interface RevertSubject extends UpdateSubject {
  restarts(): number;
}

const version = (number: number) => `1.${number}.0`;

/** Writes an image as a download does. */
function stage(host: UpdatableHost, number: number, change?: (image: Uint8Array) => void): void {
  const payload = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31 + number) & 0xff);
  const image = makeImage(host.crypto, { product: "kettle", version: version(number), payload });
  change?.(image);
  withNext(host, flash => {
    const { blockLength, writeAlign = 1 } = flash.status();
    const padded = new Uint8Array(Math.ceil(image.length / writeAlign) * writeAlign).fill(0xff);
    padded.set(image);
    flash.eraseBlock(0, Math.ceil(padded.length / blockLength));
    for (let at = 0; at < padded.length; at += 1024) {
      flash.write(padded.slice(at, at + 1024), at);
    }
  });
}

function withNext(host: UpdatableHost, work: (flash: Flash) => void): void {
  const flash = host.flash!.open({ path: "nextota" });
  try {
    work(flash);
  } finally {
    flash.close();
  }
}

interface Standing {
  readonly running: string;
  readonly isOnTrial?: boolean;
  readonly hasReverted?: boolean;
}

function stands({ update }: UpdatableHost, expected: Standing, when: string): void {
  const { running, isOnTrial = false, hasReverted = false } = expected;
  same(update!.running, running, `${when}: the slot that runs`);
  same(update!.isOnTrial, isOnTrial, `${when}: isOnTrial`);
  same(update!.hasReverted, hasReverted, `${when}: hasReverted`);
}

/** A machine whose slot `first` runs, and the name of the other, told by a trial that is given up. */
function twoSlots({ start }: UpdateSubject): { first: string; second: string } {
  let host = start();
  const first = host.update!.running;
  stage(host, 1);
  host.update!.complete();
  host = start();
  const second = host.update!.running;
  assert(first !== second, `${first} runs again`);
  stands(host, { running: second, isOnTrial: true }, "the first trial");
  return { first, second };
}

export const updateCases: readonly ContractCase<UpdateSubject>[] = [
  {
    title: "a new machine runs one slot, not on trial, and starts it again and again",
    run({ start }) {
      const { running } = start().update!;
      assert(/^[\x21-\x7e]{1,16}$/.test(running), `"${running}" is no name`);
      for (let i = 0; i < 3; i++) stands(start(), { running }, `start ${i}`);
      same(start().update!.describe(), undefined, "what an empty slot says");
    },
  },
  {
    title:
      "a completed image runs from the next start on, on trial, and stays once it is confirmed",
    run({ start }) {
      let host = start();
      const first = host.update!.running;
      stage(host, 1);
      stands(host, { running: first }, "staged");
      host.update!.complete();
      stands(host, { running: first }, "completed");
      host = start();
      const { running } = host.update!;
      assert(running !== first, `${first} runs again`);
      stands(host, { running, isOnTrial: true }, "on trial");
      host.update!.confirm();
      stands(host, { running }, "confirmed");
      host.update!.confirm();
      for (let i = 0; i < 3; i++) stands(start(), { running }, `start ${i}`);
    },
  },
  {
    title: "an image that is not completed never runs",
    run({ start }) {
      const host = start();
      const { running } = host.update!;
      stage(host, 1);
      stands(start(), { running }, "started again");
      same(start().update!.describe()?.version, version(1), "what stands in the other slot");
    },
  },
  {
    title:
      "a trial that any start finds unconfirmed is over: the image before runs, and the other is told",
    run(subject) {
      const { first } = twoSlots(subject);
      for (let i = 0; i < 3; i++) {
        stands(subject.start(), { running: first, hasReverted: true }, `start ${i}`);
      }
    },
  },
  {
    title: "an image that was given up runs again when it is completed again",
    run(subject) {
      const { first, second } = twoSlots(subject);
      let host = subject.start();
      stands(host, { running: first, hasReverted: true }, "given up");
      host.update!.complete();
      same(host.update!.hasReverted, false, "hasReverted of what is to run");
      host = subject.start();
      stands(host, { running: second, isOnTrial: true }, "another trial");
      host.update!.confirm();
      stands(subject.start(), { running: second }, "confirmed");
    },
  },
  {
    title: "updates follow each other, in turns",
    run(subject) {
      const { first, second } = twoSlots(subject);
      let host = subject.start();
      for (let number = 2; number < 6; number++) {
        stage(host, number);
        host.update!.complete();
        host = subject.start();
        const running = number % 2 === 0 ? second : first;
        stands(host, { running, isOnTrial: true }, `update ${number}`);
        host.update!.confirm();
        stands(subject.start(), { running }, `update ${number} confirmed`);
        host = subject.start();
        assert(host.update!.describe() !== undefined || number === 2, "nothing of the one before");
      }
    },
  },
  {
    title: "an image says what it is, before it is completed and after a trial",
    run(subject) {
      const host = subject.start();
      stage(host, 7);
      const said = host.update!.describe();
      same(said?.version, version(7), "version");
      same(said?.product, "kettle", "product");
      withNext(host, flash => flash.eraseBlock(0));
      same(host.update!.describe(), undefined, "what an erased slot says");
    },
  },
  {
    title: "what is not a whole image is refused, and what runs stays",
    run({ start }) {
      const host = start();
      const { running } = host.update!;
      const refused = (what: string) => {
        const { code } = thrown(() => host.update!.complete(), what);
        same(code, "ota/image", `${what}: the code`);
        stands(host, { running }, what);
        stands(start(), { running }, `${what}, started again`);
      };
      withNext(host, flash => flash.eraseBlock(0));
      refused("an empty slot");
      const changes: readonly [string, (image: Uint8Array) => void][] = [
        ["a wrong first byte", image => image.fill(0xe8, 0, 1)],
        ["a changed byte", image => image.fill(image[3000]! ^ 1, 3000, 3001)],
        ["a changed digest", image => image.fill(image.at(-1)! ^ 0x80, image.length - 1)],
        ["an image without its end", image => image.fill(0xff, 4096)],
        ["a length beyond the slot", image => image.fill(0x7f, 7, 8)],
      ];
      for (const [what, change] of changes) {
        stage(host, 1, change);
        refused(what);
      }
      stage(host, 2);
      host.update!.complete();
      same(start().update!.isOnTrial, true, "a whole one runs");
    },
  },
  {
    title: "an image that is damaged after it was completed does not run",
    run({ start }) {
      const host = start();
      const { running } = host.update!;
      stage(host, 1);
      host.update!.complete();
      withNext(host, flash => flash.write(new Uint8Array(16), 2048));
      stands(start(), { running, hasReverted: true }, "started again");
    },
  },
  {
    title: "an image on trial is confirmed before another is completed",
    run(subject) {
      const { second } = twoSlots(subject);
      subject.start().update!.complete();
      const host = subject.start();
      stands(host, { running: second, isOnTrial: true }, "on trial");
      const { code } = thrown(() => host.update!.complete(), "complete on trial");
      same(code, "agent/illegal-event", "the code");
      host.update!.confirm();
      stands(subject.start(), { running: second }, "confirmed");
    },
  },
  {
    title: "without a trial there is nothing to confirm, and nothing to give up",
    run({ start }) {
      const host = start();
      const { running } = host.update!;
      host.update!.confirm();
      const { code } = thrown(() => host.update!.revert(), "revert without a trial");
      same(code, "agent/illegal-event", "the code");
      stands(start(), { running }, "started again");
    },
  },
  {
    title: "the partition nextota is the slot that does not run",
    run(subject) {
      const { first } = twoSlots(subject);
      let host = subject.start();
      stage(host, 3);
      host.update!.complete();
      host = subject.start();
      host.update!.confirm();
      // The image of the first slot is gone, so there is nothing to go back to, and nothing wants to.
      withNext(host, flash => flash.eraseBlock(0, flash.status().blocks));
      host = subject.start();
      assert(host.update!.running !== first, "the erased slot runs");
      const reader = host.flash!.open({ path: "nextota", mode: "r" });
      thrown(() => reader.eraseBlock(0), "an erase of what was opened to read");
      reader.close();
    },
  },
];

export const revertCases: readonly ContractCase<RevertSubject>[] = [
  {
    title: "a trial that is given up restarts into the image before",
    run(subject) {
      const { first } = twoSlots(subject);
      subject.start().update!.complete();
      const host = subject.start();
      const before = subject.restarts();
      host.update!.revert();
      same(subject.restarts(), before + 1, "restarts");
      for (let i = 0; i < 2; i++) {
        stands(subject.start(), { running: first, hasReverted: true }, `start ${i}`);
      }
    },
  },
];

export function updateContract(test: TestFn, label: string, open: () => RevertSubject): void {
  register(test, label, updateCases, open);
  register(test, label, revertCases, open);
}
