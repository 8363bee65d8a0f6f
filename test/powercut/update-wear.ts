// What an update writes and erases, of each part of flash.
import type { NorFlash } from "../../simulator/world/nor.js";
import { job, runJob } from "./update-flows.js";
import { ownDocument, type Release, release, signing } from "./update-images.js";
import { UpdateSite } from "./update-site.js";

export interface Wear {
  /** Of the image. */
  readonly blocks: number;
  /** The slot, the bootloader's record, and by name what is kept as values. */
  readonly parts: ReadonlyMap<string, PartWear>;
  readonly status: string;
}

export interface PartWear {
  readonly writes: number;
  readonly erases: number;
  /** Of a partition: given to be written. */
  readonly bytes?: number;
}

/** From the offer until the job has ended. */
export async function wearOf(offered: Release, slotBlocks = 8): Promise<Wear> {
  const site = new UpdateSite(signing, slotBlocks);
  await site.clock.runUntil(() => site.isSettled, 60_000);
  const { ota_1: slot, otadata } = site.slots.partitions;
  const powers = site.powers.length;
  const before = site.powers.at(-1)!.operations;
  for (const partition of [slot, otadata]) partition.resetCounts();
  await runJob(site, job, offered, ownDocument(offered, { minimumVersion: "1.5.0" }));
  const names = site.powers.slice(powers - 1).flatMap(power => power.names);
  const parts = new Map([
    ["slot", wearOfPartition(slot)],
    ["otadata", wearOfPartition(otadata)],
  ]);
  for (const name of names.slice(before)) {
    const [, what, key] = /^(write|erase) ([a-z]+)\.[01]$/.exec(name) ?? [];
    if (key === undefined) continue;
    const { writes, erases } = parts.get(key) ?? { writes: 0, erases: 0 };
    const isWrite = what === "write";
    parts.set(key, { writes: writes + (isWrite ? 1 : 0), erases: erases + (isWrite ? 0 : 1) });
  }
  const status = site.service.status(job);
  site.close();
  return { blocks: Math.ceil(offered.image.length / 4096), parts, status };
}

function wearOfPartition({ counts }: NorFlash): PartWear {
  const { writes, erases, programmed } = counts;
  return { writes, erases, bytes: programmed };
}

/** Of the table. */
export async function wears(): Promise<readonly (Wear & { readonly name: string })[]> {
  const all = [
    ["3 blocks", release("2.0.0"), 8],
    ["84 blocks", release("2.0.0", "good", 340_000), 96],
    ["84 blocks, it crashes", release("2.0.0", "crashes", 340_000), 96],
    ["84 blocks, it is not well", release("2.0.0", "unhealthy", 340_000), 96],
  ] as const;
  const found: (Wear & { readonly name: string })[] = [];
  for (const [name, offered, slotBlocks] of all)
    found.push({ name, ...(await wearOf(offered, slotBlocks)) });
  return found;
}

const partitions = ["slot", "otadata"];

export function tableOfWear(all: Awaited<ReturnType<typeof wears>>): string {
  const lines = all.flatMap(({ name, parts }) =>
    [...parts].map(([part, { writes, erases, bytes }]) => {
      const where = partitions.includes(part) ? part : `value \`${part}\``;
      return `| ${name} | ${where} | ${writes} | ${bytes ?? ""} | ${erases} |`;
    }),
  );
  const head = ["| image | where | writes | bytes | erases |", "|---|---|---:|---:|---:|"];
  return [...head, ...lines].join("\n");
}
