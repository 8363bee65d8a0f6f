// One cloud, and devices one after the other, each with a flash and a serial number of its own, in virtual time.
import { Cloud, type CloudEvent } from "../../simulator/cloud/cloud.js";
import type { HookRequest } from "../../simulator/cloud/hook.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import type { Host } from "../../src/host.js";
import type { AgentOptions, AgentStatus, OwnIdentity } from "../../src/index.js";
import { CredentialStore } from "../../src/provisioning/credentials.js";
import type { ProvisioningRecord, Slot } from "../../src/provisioning/provisioning.js";
import { toPem } from "../../src/trust/pem.js";
import { fromUtf8 } from "../../src/util/bytes.js";
import { unseal } from "../../src/util/sealed.js";

/** What the firmware was built with. */
export type Firmware = Omit<AgentOptions, "host" | "onStatus">;

/** A program that runs. */
export interface Device {
  /** `rotate`, `provisionAgain` or `moveTo` with a host name. */
  command(name: string, ...args: readonly string[]): void;
  /** Settles when nothing waits to be computed: the moment at which virtual time may move. */
  idle(): Promise<void>;
  /** Without a goodbye. */
  close(): Promise<void>;
}

/** Runs the firmware, on Node or elsewhere. */
export type Engine = (
  host: Host,
  firmware: Firmware,
  onStatus: (status: AgentStatus) => void,
) => Promise<Device>;

const template = "sensor-node";
const path = "skerry";
export const firstEndpoint = "first.test";

export class Site {
  readonly cloud: Cloud;
  readonly clock: VirtualClock;
  /** What the cloud saw, oldest first. */
  readonly events: CloudEvent[];
  /** How many times the hook refuses, by serial number. */
  readonly refusals: Map<string, number>;
  readonly #running: Running;
  #units = 0;

  private constructor(
    parts: Pick<Site, "cloud" | "clock" | "events" | "refusals">,
    running: Running,
  ) {
    this.cloud = parts.cloud;
    this.clock = parts.clock;
    this.events = parts.events;
    this.refusals = parts.refusals;
    this.#running = running;
  }

  static async open(): Promise<Site> {
    const random = new Random(1);
    const events: CloudEvent[] = [];
    const refusals = new Map<string, number>();
    const running: Running = { unit: undefined };
    let opened: Cloud | undefined;
    const clock = new VirtualClock({
      idle: async () => {
        await opened?.idle();
        await running.unit?.idle();
      },
    });
    const cloud = await Cloud.open({
      allow: [],
      hook: request => ({ allowProvisioning: isWelcome(request, refusals) }),
      clock,
      timer: clock,
      random: length => random.bytes(length),
      onEvent: event => events.push(event),
    });
    opened = cloud;
    return new Site({ cloud, clock, events, refusals }, running);
  }

  /** A blank device; the one before is done with. */
  unit(engine: Engine): Unit {
    const unit = new Unit(this, engine, `SN-${++this.#units}`);
    this.#running.unit = unit;
    return unit;
  }
}

interface Running {
  unit: Unit | undefined;
}

function isWelcome({ parameters }: HookRequest, refusals: Map<string, number>): boolean {
  const { SerialNumber: serial = "" } = parameters;
  const left = refusals.get(serial) ?? 0;
  refusals.set(serial, left - 1);
  return left <= 0;
}

export class Unit {
  readonly serial: string;
  readonly thingName: string;
  readonly site: Site;
  firmware: Firmware;
  /** What the next boot runs on: the flash is the same for all. */
  engine: Engine;
  /** Whether its clock was set when it started. */
  isClockSet = true;
  /** An endpoint that nobody answers at. */
  deadEndpoint: string | undefined;
  /** What it said while it had power, since it was made. */
  readonly statuses: AgentStatus[] = [];
  readonly #random: Random;
  readonly #network: Network;
  readonly #firstEvent: number;
  /** Private keys that ever were in its flash, in base64. */
  readonly #privateKeys = new Set<string>();
  #flash = new Flash();
  #power = new Power();
  #device: Device | undefined;
  #bootEvent = 0;
  #givenId: string | undefined;
  #rest = { at: "", is: false };

  constructor(site: Site, engine: Engine, serial: string) {
    this.site = site;
    this.engine = engine;
    this.serial = serial;
    this.thingName = `node-${serial}`;
    this.#random = new Random(7);
    this.#firstEvent = site.events.length;
    this.#network = new Network(site.clock, (link, peer) => site.cloud.accept(link, peer));
    this.#network.fate = ({ host }) => (host === this.deadEndpoint ? "refused" : "open");
    const claim = site.cloud.claim();
    this.firmware = {
      endpoint: firstEndpoint,
      trustAnchors: [claim.trustAnchor],
      identity: { ...this.enrolling, claim },
    };
  }

  get enrolling() {
    return { template, parameters: { SerialNumber: this.serial } };
  }

  /** From now on the identity in its flash came with the firmware, and the flash is blank. */
  giveIdentity(): void {
    const { identity } = this.record;
    const { keyPair, certificates } = this.#store.readCredential(identity!.slot as Slot);
    const own: OwnIdentity = {
      thingName: this.thingName,
      certificate: toPem(certificates[0]!, "CERTIFICATE"),
      key: toPem(keyPair.privateKey, "PRIVATE KEY"),
    };
    this.firmware = { ...this.firmware, identity: own, rotation: { enrolling: this.enrolling } };
    this.#givenId = identity!.certificateId;
    this.#flash = new Flash();
    this.#privateKeys.clear();
  }

  async boot(power = new Power()): Promise<void> {
    this.#power = power;
    this.#rest = { at: "", is: false };
    this.#bootEvent = this.site.events.length;
    const { clock } = this.site;
    const host = virtualHost({
      id: `board-${this.serial}`,
      clock,
      random: this.#random,
      network: this.#network,
      flash: this.#flash,
      power,
    });
    const bootClock = { ticks: () => clock.ticks(), now: () => undefined };
    this.#device = await this.engine(
      { ...host, clock: this.isClockSet ? clock : bootClock, keyValue: this.#watched(host) },
      this.firmware,
      status => {
        if (power.isOn) this.statuses.push(status);
      },
    );
  }

  /** Keeps the private keys that are written, so that they can be looked for. */
  #watched({ keyValue }: Host): Host["keyValue"] {
    return {
      open: options => {
        const store = keyValue.open(options);
        const write = (key: string, value: Uint8Array) => {
          const privateKey = key.startsWith("key.") ? privateKeyIn(value) : "";
          if (privateKey) this.#privateKeys.add(privateKey);
          store.write(key, value);
        };
        return { ...store, write };
      },
    };
  }

  /** The power goes, if it has not gone yet. */
  async off(): Promise<void> {
    this.#power.cut();
    await this.#device?.close();
    this.#device = undefined;
  }

  idle(): Promise<void> {
    return this.#device?.idle() ?? Promise.resolve();
  }

  command(name: string, ...args: readonly string[]): void {
    this.#device!.command(name, ...args);
  }

  get isOn(): boolean {
    return this.#power.isOn;
  }

  /** Lets time pass until `isDone`, the limit or the end of the power. @returns whether it is done */
  async until(isDone: () => boolean, limitMs = 1_800_000): Promise<boolean> {
    await this.site.clock.runUntil(() => !this.isOn || isDone(), limitMs);
    return this.isOn && isDone();
  }

  seen(type: AgentStatus["type"]): boolean {
    return this.statuses.some(status => status.type === type);
  }

  // -- what can be found out about it --

  get #store(): CredentialStore {
    return new CredentialStore(this.#flash.provider(new Power()).open({ path }));
  }

  /** Empty when it cannot be read. */
  get record(): ProvisioningRecord {
    try {
      return this.#store.read() ?? {};
    } catch {
      return {};
    }
  }

  /** Certificate id of the identity in force, which can be read; undefined when there is none. */
  get inForce(): string | undefined {
    const { identity } = this.record;
    if (identity === undefined || identity.slot === "given") return this.#givenId;
    try {
      const { certificates } = this.#store.readCredential(identity.slot);
      return certificates.length > 0 ? identity.certificateId : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether it has connected since it was switched on, as the thing and with the identity in force. */
  get isOnline(): boolean {
    const { cloud, events } = this.site;
    for (let i = events.length - 1; i >= this.#bootEvent; i--) {
      const event = events[i]!;
      if (event.type !== "clientConnected") continue;
      const isOwn = event.certificateId === this.inForce && event.thingName === this.thingName;
      return isOwn && cloud.clients().includes(this.thingName);
    }
    return false;
  }

  /** Online, and nothing about its identity is under way. Looked at anew when the cloud saw something or the flash changed. */
  get isAtRest(): boolean {
    const at = `${this.site.events.length} ${this.#power.operations}`;
    if (this.#rest.at !== at) this.#rest = { at, is: this.#findRest() };
    return this.#rest.is;
  }

  #findRest(): boolean {
    if (!this.isOnline) return false;
    const { enrollment, retired } = this.record;
    return enrollment === undefined && retired === undefined;
  }

  /** Ids of certificates that were made for it, and are nobody's identity: not in force, not retired. */
  get orphans(): readonly string[] {
    const events = this.site.events.slice(this.#firstEvent);
    const retired = events.flatMap(each =>
      each.type === "certificateRetired" ? [each.retired] : [],
    );
    const { certificates } = this.site.cloud;
    return events
      .flatMap(each => (each.type === "certificateIssued" ? [each.certificateId] : []))
      .filter(id => id !== this.inForce && !retired.includes(id))
      .filter(id => certificates.get(id)?.status !== "REVOKED");
  }

  /** Things that came to be since it was made. */
  get things(): number {
    const events = this.site.events.slice(this.#firstEvent);
    const names = events.flatMap(each => (each.type === "thingRegistered" ? [each.thingName] : []));
    return new Set(names).size;
  }

  /** Values in flash that hold, even in part, a private key other than that of the identity in force, or that one twice. */
  get strayKeys(): readonly string[] {
    const stray: string[] = [];
    const slot = this.record.identity?.slot;
    for (const [name, value] of this.#flash.values(path)) {
      const text = Buffer.from(value).toString("latin1");
      for (const key of this.#privateKeys) {
        // Past what all keys of a kind begin with.
        if (text.includes(key.slice(48, 64)) && name !== `key.${slot}`) stray.push(name);
      }
    }
    return stray;
  }
}

function privateKeyIn(value: Uint8Array): string {
  const { content } = unseal(value.slice().buffer) ?? {};
  if (content === undefined) return "";
  return (JSON.parse(fromUtf8(content)) as { privateKey?: string }).privateKey ?? "";
}
