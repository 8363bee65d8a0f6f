// What an update takes of a device on a 32-bit XS engine, as a whole agent: from the notification to the image that is verified.
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { fileURLToPath } from "node:url";
import { bundleModule } from "../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../hosts/xs/engine/device.js";
import { Machine, type MemoryCounters } from "../hosts/xs/engine/machine.js";
import type { JsonObject } from "../simulator/cloud/json.js";
import { UpdateWorld } from "../simulator/fleet/update-world.js";
import { manifestDocument } from "../simulator/signing/job-document.js";
import { signManifest } from "../simulator/signing/manifest.js";
import { readSigningKey, type SigningKey } from "../simulator/signing/signing-key.js";
import { type NorCounts, NorFlash } from "../simulator/world/nor.js";
import { Power } from "../simulator/world/power.js";
import { obliging, type Script, type ScriptedLink } from "../simulator/world/scripted-broker.js";
import type { OfferSource } from "../src/ota/offer.js";
import type { Row } from "./budget.js";
import { blockBytes, DownloadWorld, link, stream } from "./ota-world.js";

const guest = fileURLToPath(new URL("./update-guest.js", import.meta.url));
const jobs = "$aws/things/node-1/jobs/";

/** A key like any other: signatures of it are as long as they get, so that every run counts the same. */
export function makeKey(): SigningKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const key = readSigningKey(pem, "signer");
  return {
    ...key,
    sign: bytes => {
      let signature: Uint8Array;
      do signature = sign("sha256", bytes, privateKey);
      while (signature.length !== 72);
      return signature;
    },
  };
}

const timestamp = 1_767_225_600;

/** The services of shadows and of jobs: one job, whose beginning waits until the figures are taken. */
class Services {
  job: object | undefined;
  readonly told: string[] = [];
  /** Answers the first update; from then on all are answered but the last. */
  answer: () => void = () => undefined;
  #shadowVersion = -1;
  #version = 1;
  #status = "QUEUED";

  readonly script: Script = (packet, link) => {
    obliging(packet, link);
    if (packet.cmd !== "publish" || !/\/(shadow|jobs)\//.test(packet.topic)) return;
    const message = JSON.parse(String(packet.payload)) as Message;
    if (packet.topic.includes("/shadow/")) return this.#shadow(packet.topic, message, link);
    if (packet.topic.endsWith("/get")) return this.#get(packet.topic, message, link);
    this.#status = message.status!;
    const { reason, ...rest } = message.statusDetails ?? {};
    this.told.push([message.status, reason, ...Object.values(rest)].join(" ").trim());
    const { clientToken } = message;
    const answer = () => {
      const executionState = { status: message.status, versionNumber: ++this.#version };
      reply(link, `${packet.topic}/accepted`, { executionState, timestamp, clientToken });
    };
    if (this.told.length === 1) this.answer = answer;
    else if (!this.told.at(-1)!.includes("ready")) answer();
  };

  get isAsked(): boolean {
    return this.told.length > 0;
  }

  #shadow(topic: string, { clientToken }: Message, link: ScriptedLink): void {
    if (topic.endsWith("/update")) this.#shadowVersion += 2;
    const version = Math.max(this.#shadowVersion, 1);
    reply(link, `${topic}/accepted`, { state: {}, version, timestamp, clientToken });
  }

  #get(topic: string, { clientToken }: Message, link: ScriptedLink): void {
    const isOpen = this.#status === "QUEUED" || this.#status === "IN_PROGRESS";
    const execution = isOpen && this.job ? this.#execution : undefined;
    reply(link, `${topic}/accepted`, { execution, timestamp, clientToken });
  }

  get #execution(): object {
    return {
      jobId: "update-1",
      jobDocument: this.job,
      status: this.#status,
      queuedAt: timestamp,
      lastUpdatedAt: timestamp,
      versionNumber: this.#version,
      executionNumber: 1,
    };
  }

  notify(link: ScriptedLink): void {
    reply(link, `${jobs}notify-next`, { timestamp, execution: this.#execution });
  }
}

interface Message {
  readonly clientToken: string;
  readonly status?: string;
  readonly statusDetails?: Readonly<Record<string, string>>;
}

function reply(link: ScriptedLink, topic: string, message: object): void {
  const payload = JSON.stringify(message);
  link.reply({ cmd: "publish", topic, payload, qos: 0, dup: false, retain: false });
}

interface UpdateCost {
  /** Slots and chunks, online and idle, jobs and signers known. */
  readonly idle: number;
  /** Bytes beyond idle, garbage apart, while the document is judged. */
  readonly judging: number;
}

const firmware = { version: "1.0.0", product: "sensor-node", hardware: "board-a" };

/** An agent on a machine of its own that has been offered an update, and has begun with it. */
export class UpdateRun {
  readonly #services = new Services();
  readonly #world: DownloadWorld;
  readonly #machine: Machine;
  readonly #nor: NorFlash;
  readonly #seen: unknown[] = [];
  #device: Device | undefined;
  #loaded: MemoryCounters | undefined;
  #idle: MemoryCounters | undefined;

  private constructor(machine: Machine, blocks: number) {
    this.#machine = machine;
    this.#nor = new NorFlash();
    this.#world = new DownloadWorld({ size: blocks * blockBytes, rest: this.#services.script });
  }

  /** Online and idle. */
  static async start(
    worker: string,
    options: object,
    key: SigningKey,
    blocks = 2,
  ): Promise<UpdateRun> {
    const run = new UpdateRun(await Machine.start({ worker }), blocks);
    await run.bringOnline({
      schema: {
        sampleSeconds: { type: "integer", min: 1, max: 3600, default: 60 },
        led: { type: "enum", values: ["off", "red", "blue"], default: "off" },
      },
      ...options,
      blocks: blocks + 1,
      firmware: { ...firmware, signers: [{ name: "signer", publicKey: key.publicKey }] },
    });
    return run;
  }

  get idleBytes(): number {
    return bytesOf(this.#idle!) - bytesOf(this.#loaded!);
  }

  private async bringOnline(config: object): Promise<void> {
    const machine = this.#machine;
    const device = await startDevice({
      machine,
      host: { ...this.#world.host(), flash: this.#nor.provider("outbox", new Power()) },
      bundle: await bundleModule(guest),
      config,
      onEvent: event => this.#seen.push(event.type === "event" ? event.value : event.error),
    });
    this.#device = device;
    this.#world.idle = () => device.idle();
    this.#loaded = await machine.memory();
    device.send("make");
    device.send("go");
    await this.#world.clock.run(5000);
    device.send("publish");
    await this.#world.clock.run(1000);
    // Once before: to count adds a slot and a name.
    await machine.memory();
    this.#idle = await machine.memory();
  }

  /** Until the service is asked to mark the job as begun. */
  async judge(source: OfferSource, key: SigningKey): Promise<void> {
    const services = this.#services;
    const { image, broker } = this.#world;
    const { product, hardware } = firmware;
    const sha256 = createHash("sha256").update(image).digest("hex");
    const size = image.length;
    const fields = { product, hardware: [hardware], version: "1.1.0", size, sha256 };
    const manifest = signManifest({ type: "firmware", ...fields }, [key]);
    services.job = manifestDocument(manifest, [source]);
    services.notify(broker.link!);
    await this.until(() => services.isAsked);
  }

  /** Until the first block was asked for. */
  async begin(): Promise<void> {
    this.#services.answer();
    const { requests, fileRequests } = this.#world;
    await this.until(() => requests.length + fileRequests.length > 0);
  }

  /** Until the image is verified. */
  async fetch(): Promise<void> {
    await this.until(() => this.#services.told.some(text => text.includes("ready")));
  }

  /** @returns bytes beyond idle, garbage left out: the engine collects before every allocation */
  async peakOf(work: () => Promise<void>): Promise<number> {
    const machine = this.#machine;
    await machine.collectAlways(true);
    await machine.memory({ resetPeaks: true });
    await work();
    const after = await machine.memory();
    await machine.collectAlways(false);
    const { slots, chunkBytes } = this.#idle!;
    return (after.slotPeak - slots) * after.slotBytes + after.chunkPeak - chunkBytes;
  }

  /** Of the program. */
  send(name: string): void {
    this.#device!.send(name);
  }

  /** As a shadow's service does. */
  tell(topic: string, message: object): void {
    reply(this.#world.broker.link!, topic, message);
  }

  get world(): DownloadWorld {
    return this.#world;
  }

  async until(isSo: () => boolean): Promise<void> {
    const isThere = await this.#world.clock.runUntil(isSo, 600_000);
    const { told } = this.#services;
    if (!isThere || this.#seen.length > 0)
      throw new Error(`update: ${[...told, ...this.#seen].join()}`);
  }

  async close(): Promise<void> {
    this.#world.idle = () => Promise.resolve();
    await this.#device?.close();
    await this.#machine.close();
  }
}

/** Flash is an array in the guest, so that nothing of it crosses the bridge; what comes over sockets does. */
async function updateCost(worker: string, options: object): Promise<UpdateCost> {
  const key = makeKey();
  const run = await UpdateRun.start(worker, options, key);
  try {
    const judging = await run.peakOf(() => run.judge(stream, key));
    return { idle: run.idleBytes, judging };
  } finally {
    await run.close();
  }
}

/** @returns bytes beyond idle, from the first block to the verified image */
async function fetchPeak(worker: string, options: object, source: OfferSource): Promise<number> {
  const key = makeKey();
  const run = await UpdateRun.start(worker, options, key);
  try {
    await run.judge(source, key);
    await run.begin();
    return await run.peakOf(() => run.fetch());
  } finally {
    await run.close();
  }
}

interface UpdateFlash {
  /** Bytes, all of them. */
  readonly image: number;
  /** Of both slots and what chooses between them, from the job to the confirmed image, a bootloader's included. */
  readonly programmed: number;
  readonly erased: number;
  /** Until the restart. */
  readonly read: number;
}

async function updateFlash(): Promise<UpdateFlash> {
  const world = await UpdateWorld.open({ slots: { blocks: 66 } });
  try {
    const next = { version: "1.1.0", behaviour: "good" } as const;
    const { ota_0, ota_1, otadata } = world.slots.partitions;
    const parts = [ota_0, ota_1, otadata];
    const image = world.image(next, 262_144);
    const sources = await world.sources("update", image);
    for (const part of parts) part.resetCounts();
    const document = manifestDocument(world.manifest(image, {}), sources);
    world.createJob("update", document as unknown as JsonObject);
    const sum = (of: (counts: NorCounts) => number) =>
      parts.map(({ counts }) => of(counts)).reduce((one, other) => one + other);
    await world.until(() => world.agent === undefined, 600_000);
    const read = sum(({ readBytes }) => readBytes);
    const outcome = await world.ended("update");
    if (outcome !== "SUCCEEDED accepted v1.1.0") throw new Error(`update: ${outcome}`);
    return {
      image: image.length,
      programmed: sum(({ programmed }) => programmed),
      erased: sum(({ erases }) => erases) * blockBytes,
      read,
    };
  } finally {
    await world.close();
  }
}

const bytesOf = ({ slots, slotBytes, chunkBytes }: MemoryCounters) =>
  slots * slotBytes + chunkBytes;

export async function updateRamRows(worker: string, options: object): Promise<readonly Row[]> {
  const { idle, judging } = await updateCost(worker, options);
  const byStream = await fetchPeak(worker, options, stream);
  const byLink = await fetchPeak(worker, options, link);
  const unit = "bytes";
  return [
    {
      what: "RAM, the same, and a signer of firmware: slots + chunks",
      ...{ value: idle, unit, goal: 12_288 },
    },
    {
      what: "RAM, an update's signed manifest is judged: peak beyond idle, garbage and arithmetic apart",
      ...{ value: judging, unit },
    },
    {
      what: "RAM, its image comes over a stream and is verified: the same",
      ...{ value: byStream, unit },
    },
    { what: "RAM, it comes by a link: the same", ...{ value: byLink, unit } },
    {
      what: "RAM, an update at its peak, the idle agent with it",
      ...{ value: idle + Math.max(judging, byStream, byLink), unit, goal: 32_768 },
    },
  ];
}

export async function updateFlashRows(): Promise<readonly Row[]> {
  const { image, programmed, erased, read } = await updateFlash();
  const unit = "bytes";
  return [
    { what: `flash, an update of ${image} bytes: programmed`, value: programmed, unit },
    { what: "flash, the same: erased", value: erased, unit },
    { what: "flash, the same: read until the restart", value: read, unit },
  ];
}
