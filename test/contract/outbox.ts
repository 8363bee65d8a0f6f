// The outbox on a machine's own flash: what goes in comes out, over restarts too.

import type { TestFn } from "ava";
import type { FlashStatus } from "../../src/host.js";
import { Outbox, type OutboxRecord } from "../../src/outbox/outbox.js";
import { fromUtf8, toUtf8 } from "../../src/util/bytes.js";
import { assert, type ContractCase, register, same } from "./case.js";
import type { FlashSubject } from "./flash.js";

const generation = 7;
const telemetry = 1;
const time = 1_767_225_600_000;

const record = (text: string, more: Partial<OutboxRecord> = {}): OutboxRecord => ({
  priority: telemetry,
  topic: "dt/node-1/climate",
  payload: toUtf8(text),
  time,
  isTimeCertain: true,
  ...more,
});

function blank({ flash, path }: FlashSubject): void {
  const partition = flash.open({ path });
  partition.eraseBlock(0, partition.status().blocks);
  partition.close();
}

/** As after a restart. */
function mount({ flash, path }: FlashSubject): Outbox {
  return new Outbox(flash.open({ path }), { generation });
}

function textsOf(outbox: Outbox, priority: number): string[] {
  const texts: string[] = [];
  for (let after = 0; ; ) {
    const entry = outbox.peek(priority, after);
    if (entry === undefined) return texts;
    texts.push(fromUtf8(entry.payload));
    after = entry.id;
  }
}

export const outboxCases: readonly ContractCase<FlashSubject>[] = [
  {
    title: "records are kept, found again after a restart, and gone when they are acknowledged",
    run(subject) {
      blank(subject);
      const first = mount(subject);
      const texts = Array.from({ length: 60 }, (_, i) => `reading ${i}`);
      for (const text of texts) first.append(record(text));
      first.append(record("fire", { priority: 0, topic: "alerts" }));
      first.close();

      const second = mount(subject);
      same(textsOf(second, 0).join(), "fire", "alerts");
      same(textsOf(second, telemetry).join(), texts.join(), "readings");
      for (let i = 0; i < 25; i++) second.acknowledge(second.peek(telemetry)!);
      second.close();

      const third = mount(subject);
      same(textsOf(third, telemetry).join(), texts.slice(25).join(), "what is left");
      for (const priority of [0, telemetry])
        for (let entry = third.peek(priority); entry; entry = third.peek(priority))
          same(third.acknowledge(entry), true, "acknowledged");
      third.close();

      const fourth = mount(subject);
      for (const priority of [0, telemetry])
        same(fourth.peek(priority), undefined, `what is left of class ${priority}`);
      same(fourth.gaps().length, 0, "gaps");
      fourth.close();
    },
  },
  {
    title: "a full partition keeps the newest and counts what it dropped",
    run(subject) {
      blank(subject);
      const { blocks, blockLength } = statusOf(subject);
      const count = 2 * blocks;
      const first = mount(subject);
      // Two to a sector.
      const filler = "x".repeat(blockLength / 2 - 100);
      for (let i = 0; i < count; i++) first.append(record(`${i} ${filler}`));
      first.close();

      const second = mount(subject);
      const kept = textsOf(second, telemetry).map(text => Number.parseInt(text, 10));
      assert(kept.length > 0, "nothing was kept");
      kept.forEach((number, i) => {
        same(number, count - kept.length + i, "which is kept");
      });
      const dropped = second.gaps().reduce((sum, gap) => sum + gap.count, 0);
      same(dropped + kept.length, count, "kept and dropped together");
      second.close();
    },
  },
];

function statusOf({ flash, path }: FlashSubject): FlashStatus {
  const partition = flash.open({ path, mode: "r" });
  const status = partition.status();
  partition.close();
  return status;
}

export function outboxContract(
  test: TestFn,
  label: string,
  open: () => FlashSubject | Promise<FlashSubject>,
): void {
  register(test, label, outboxCases, open);
}
