// One device whose firmware is replaced, in virtual time: the local cloud, the network between, a machine with two slots that starts
// again and again. What runs is read from the slot that runs.
import { createHash, generateKeyPairSync } from "node:crypto";
import type { Agent, AgentStatus, Host } from "../../src/index.js";
import { Cloud, type CloudEvent } from "../cloud/cloud.js";
import type { JobRequest } from "../cloud/jobs.js";
import type { JsonObject } from "../cloud/json.js";
import { arnPrefix } from "../cloud/policy.js";
import { manifestDocument, type UpdateSource } from "../signing/job-document.js";
import { type ManifestFields, type SignedManifest, signManifest } from "../signing/manifest.js";
import { readSigningKey, type SigningKey } from "../signing/signing-key.js";
import { VirtualClock } from "../world/clock.js";
import { Flash } from "../world/flash.js";
import { virtualHost } from "../world/host.js";
import { Network } from "../world/network.js";
import type { NorFlash } from "../world/nor.js";
import { type Cut, Power, PowerCut } from "../world/power.js";
import { Random } from "../world/random.js";
import { Slots, type SlotsOptions, virtualImage } from "../world/slots.js";
import {
  type Firmware,
  hardware,
  nowhere,
  product,
  type UpdatableConfig,
  updatable,
} from "./updatable.js";
import { XsProgram } from "./updatable-xs.js";

export interface UpdateWorldOptions {
  readonly seed?: number;
  /** Path of the XS engine's worker that runs the device's program; Node when absent. */
  readonly worker?: string;
  /** What runs first; default 1.0.0, good. */
  readonly first?: Partial<Firmware>;
  readonly slots?: Omit<SlotsOptions, "image">;
  readonly config?: Partial<UpdatableConfig>;
  /** Whose signatures count beside that of the world's own signer. */
  readonly coSigners?: readonly Signer[];
  onEvent?(event: CloudEvent): void;
  onStatus?(status: AgentStatus): void;
}

/** What one start of the machine was. */
export interface Boot extends Firmware {
  readonly slot: string;
  readonly isOnTrial: boolean;
  /** Ticks. */
  readonly at: number;
}

export const serialNumber = "SN-UPDATE";
export const bucket = "firmware";
const downloads = "downloads.test";
/** Between a restart and the first line of the program. */
const bootMs = 500;

export interface Signer {
  readonly name: string;
  readonly key: SigningKey;
  /** PKCS#8, PEM. */
  readonly pem: string;
}

/** A key that nobody else has. */
export function makeSigner(name: string, kind: "ec" | "rsa" = "ec"): Signer {
  const { privateKey } =
    kind === "ec"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { name, key: readSigningKey(pem, name), pem };
}

export class UpdateWorld {
  readonly signer = makeSigner("signer");
  readonly clock: VirtualClock;
  readonly network: Network;
  readonly flash = new Flash();
  readonly slots: Slots;
  readonly statuses: AgentStatus[] = [];
  readonly events: CloudEvent[] = [];
  readonly boots: Boot[] = [];
  /** Where the power goes, by boot, counted from 0; it is back at once. */
  readonly cuts = new Map<number, Cut | number>();
  /** Flash operations of each boot. */
  readonly powers: Power[] = [];
  /** On Node. */
  agent: Agent | undefined;
  host: Host | undefined;
  readonly #options: UpdateWorldOptions;
  readonly #random: Random;
  #cloud: Cloud | undefined;
  #power = new Power();
  /** On XS. */
  #program: XsProgram | undefined;
  #isProgramOnline = false;
  #closing: Promise<unknown> = Promise.resolve();
  #isStarting = false;
  #isOff = false;

  private constructor(options: UpdateWorldOptions) {
    this.#options = options;
    this.#random = new Random(options.seed ?? 1);
    this.clock = new VirtualClock({ idle: () => this.#idle() });
    this.network = new Network(this.clock, (link, peer, { host }) =>
      host === downloads ? this.cloud.acceptDownload(link) : this.cloud.accept(link, peer),
    );
    this.network.fate = ({ host }) => (host === nowhere ? "refused" : "open");
    const image = this.image({ version: "1.0.0", behaviour: "good", ...options.first });
    this.slots = new Slots({ ...options.slots, image });
  }

  /** The machine is on, its identity earned. */
  static async open(options: UpdateWorldOptions = {}): Promise<UpdateWorld> {
    const world = new UpdateWorld(options);
    world.#cloud = await Cloud.open({
      allow: [serialNumber],
      clock: world.clock,
      timer: world.clock,
      random: length => world.#random.bytes(length),
      objects: { endpoint: `https://${downloads}` },
      onEvent: event => {
        world.events.push(event);
        options.onEvent?.(event);
      },
    });
    world.cloud.codeSigning.putProfile("signer", {
      key: world.signer.pem,
      certificatePathOnDevice: world.signer.name,
      hashAlgorithm: "SHA256",
      signatureAlgorithm: "ECDSA",
    });
    world.boot();
    await world.until(() => world.cloud.things().length > 0 && world.isOnline, 60_000);
    return world;
  }

  get cloud(): Cloud {
    return this.#cloud!;
  }

  get thingName(): string {
    return this.cloud.things()[0]!.name;
  }

  get isOnline(): boolean {
    return this.agent ? this.agent.link.state === "online" : this.#isProgramOnline;
  }

  get running(): Boot {
    return this.boots.at(-1)!;
  }

  /** The slot that an update is written to. */
  get spare(): NorFlash {
    return this.slots.partitions[this.running.slot === "ota_0" ? "ota_1" : "ota_0"];
  }

  // -- the machine --

  /** Starts what is in the slot that runs. */
  boot(resetReason: Host["system"]["resetReason"] = "restart"): void {
    this.#isStarting = false;
    const power = new Power(this.cuts.get(this.powers.length));
    this.#power = power;
    this.powers.push(power);
    try {
      this.#start(power, resetReason);
    } catch (error) {
      this.#crash(error);
    }
  }

  /** What a board does with a program that ends. */
  #crash(error: unknown): void {
    this.#off();
    this.#again(error instanceof PowerCut ? "powerOn" : "other");
  }

  #start(power: Power, resetReason: Host["system"]["resetReason"]): void {
    const { clock, network, flash, slots } = this;
    const host = virtualHost({
      ...{ id: "board-1", clock, random: this.#random, network, flash, slots, power, resetReason },
      onRestart: () => this.restart("restart"),
    });
    const { update } = host;
    const { payload } = slots.image(update!.running)!;
    const firmware = JSON.parse(Buffer.from(payload).toString().trimEnd()) as Firmware;
    this.boots.push({
      ...firmware,
      ...{ slot: update!.running, isOnTrial: update!.isOnTrial, at: clock.ticks() },
    });
    this.host = host;
    const config = this.#config(firmware);
    const onStatus = (status: AgentStatus) => this.#onStatus(status);
    const { worker } = this.#options;
    if (worker === undefined) this.agent = updatable(host, config, onStatus);
    else {
      const onCrash = (error: Error) => this.#crash(error);
      this.#program = new XsProgram({ worker, host, config, onStatus, onCrash });
    }
    this.#watch();
  }

  #onStatus(status: AgentStatus): void {
    this.#isProgramOnline =
      status.type === "online" || (this.#isProgramOnline && status.type !== "offline");
    this.statuses.push(status);
    this.#options.onStatus?.(status);
    this.#watch();
  }

  async #idle(): Promise<void> {
    await this.#cloud?.idle();
    await this.#program?.idle();
    await this.#closing;
  }

  #config(firmware: Firmware): UpdatableConfig {
    const claim = this.cloud.claim();
    return {
      ...firmware,
      ...{ endpoint: "cloud.test", trustAnchors: [claim.trustAnchor], claim, serialNumber },
      signers: [this.signer, ...(this.#options.coSigners ?? [])].map(({ name, key }) => ({
        name,
        publicKey: key.publicKey,
      })),
      ...this.#options.config,
    };
  }

  /** A cut is seen by whoever writes; the agent goes on as if flash had refused, and is switched off here. */
  #watch(): void {
    if (!this.#power.isOn && !this.#isStarting && !this.#isOff) this.restart("powerOn");
  }

  /** Ends what runs and starts again. */
  restart(resetReason: Host["system"]["resetReason"]): void {
    this.#off();
    this.#again(resetReason);
  }

  #off(): void {
    this.#power.cut();
    this.agent = undefined;
    const program = this.#program;
    this.#program = undefined;
    this.#isProgramOnline = false;
    if (program) this.#closing = Promise.all([this.#closing, program.close()]);
  }

  #again(resetReason: Host["system"]["resetReason"]): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    this.clock.set(() => this.boot(resetReason), bootMs);
  }

  async close(): Promise<void> {
    this.#isOff = true;
    this.#off();
    await this.#closing;
    await this.cloud.close();
  }

  // -- what is offered to it --

  /** @param payloadBytes at least as long as the description of what it does */
  image(firmware: Firmware, payloadBytes = 20_000): Uint8Array {
    const text = JSON.stringify(firmware);
    const payload = Buffer.from(text.padEnd(payloadBytes));
    return virtualImage({ product, version: firmware.version, payload });
  }

  put(key: string, image: Uint8Array): Promise<unknown> {
    return this.cloud.files.objects.put(bucket, key, image);
  }

  /** An update as AWS's CreateOTAUpdate makes it, signed by the cloud's profile. @returns the job's id */
  async createOtaUpdate(
    id: string,
    firmware: Firmware,
    protocols: readonly ("MQTT" | "HTTP")[] = ["MQTT"],
  ): Promise<string> {
    await this.put(`${id}.bin`, this.image(firmware));
    this.cloud.otaUpdates.create(id, {
      targets: [this.target],
      protocols: [...protocols],
      files: [
        {
          fileName: "firmware.bin",
          fileLocation: { s3Location: { bucket, key: `${id}.bin` } },
          codeSigning: { startSigningJobParameter: { signingProfileName: "signer" } },
        },
      ],
    });
    await this.cloud.idle();
    return `AFR_OTA-${id}`;
  }

  get target(): string {
    return `${arnPrefix}thing/${this.thingName}`;
  }

  manifest(
    image: Uint8Array,
    fields: Partial<ManifestFields>,
    signers: readonly Signer[] = [this.signer],
  ): SignedManifest {
    const sha256 = createHash("sha256").update(image).digest("hex");
    return signManifest(
      {
        ...{ type: "firmware", product, hardware: [hardware], version: "1.1.0" },
        ...{ size: image.length, sha256 },
        ...fields,
      },
      signers.map(({ key }) => key),
    );
  }

  /** An update with a signed manifest, over a stream and a link. @returns the job's id */
  async createManifestUpdate(
    id: string,
    firmware: Firmware,
    fields: Partial<ManifestFields> = {},
    signers?: readonly Signer[],
  ): Promise<string> {
    const image = this.image(firmware);
    const manifest = this.manifest(image, { version: firmware.version, ...fields }, signers);
    const sources = await this.sources(id, image);
    this.createJob(id, manifestDocument(manifest, sources) as unknown as JsonObject);
    return id;
  }

  /** Puts an image where devices can get it: over a stream, and by a link that is made anew with each document. */
  async sources(id: string, image: Uint8Array): Promise<readonly UpdateSource[]> {
    const key = `${id}.bin`;
    await this.put(key, image);
    this.cloud.files.streams.create(id, { files: [{ fileId: 0, s3Location: { bucket, key } }] });
    const address = `https://s3.eu-west-1.amazonaws.com/${bucket}/${key}`;
    return [{ stream: id, fileId: 0 }, { url: `\${aws:iot:s3-presigned-url:${address}}` }];
  }

  createJob(jobId: string, document: JsonObject, more: Partial<JobRequest> = {}): void {
    this.cloud.jobs.create({
      jobId,
      targets: [this.target],
      document: JSON.stringify(document),
      presignedUrlConfig: { roleArn: "arn:aws:iam::123456789012:role/ota", expiresInSec: 3600 },
      ...more,
    });
  }

  // -- time --

  /** The latest execution of a job on this device. */
  execution(jobId: string) {
    return this.cloud.jobs.execution(this.thingName, jobId);
  }

  /** `SUCCEEDED accepted v1.1.0` */
  outcome(jobId: string): string {
    const execution = this.execution(jobId);
    const { reason = "" } = (execution?.statusDetails ?? {}) as { readonly reason?: string };
    return `${execution?.status ?? "none"} ${reason}`.trim();
  }

  /** @returns whether it came true in time */
  async until(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const end = this.clock.ticks() + withinMs;
    while (!isSo() && this.clock.ticks() < end) {
      await this.clock.run(250);
      this.#watch();
    }
    return isSo();
  }

  async ended(jobId: string, withinMs = 1_200_000): Promise<string> {
    const isOver = () => !/^(none|QUEUED|IN_PROGRESS)/.test(this.outcome(jobId));
    await this.until(isOver, withinMs);
    return this.outcome(jobId);
  }
}
