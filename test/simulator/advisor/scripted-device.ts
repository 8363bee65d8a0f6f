// A device of habits, for the examiner to find fault with; with none changed there is nothing to find.
import mqtt, { type Packet } from "mqtt-packet";
import type { VirtualDevice, VirtualWorld } from "../../../simulator/advisor/virtual.js";
import { Power } from "../../../simulator/world/power.js";
import type { TLSSocket } from "../../../src/host.js";
import { type JobHabit, ScriptedJobs } from "./scripted-jobs.js";

export interface Habits {
  readonly version: 4 | 5;
  readonly keepAliveSeconds: number;
  readonly keepsSession: boolean;
  readonly subscribes: boolean;
  readonly publishes: boolean;
  readonly reports: boolean;
  readonly follows: boolean;
  readonly pings: boolean;
  /** After one and a half keep-alives. */
  readonly leavesSilence: boolean;
  /** On the same link, after ten seconds. */
  readonly repeats: boolean;
  readonly repeatsWithDup: boolean;
  readonly repeatsOnNextLink: boolean;
  readonly subscribesAgain: "when lost" | "always" | "never";
  /** Bytes; shorter and longer messages are not acknowledged. */
  readonly shortestMessage: number;
  readonly longestMessage: number;
  readonly jobs: JobHabit;
  /** Milliseconds before attempt 1, 2, …; attempts start anew after a minute online. */
  backoff(attempt: number, chance: number): number;
}

export const good: Habits = {
  version: 4,
  keepAliveSeconds: 30,
  keepsSession: true,
  subscribes: true,
  publishes: true,
  reports: true,
  follows: true,
  pings: true,
  leavesSilence: true,
  repeats: true,
  repeatsWithDup: true,
  repeatsOnNextLink: true,
  subscribesAgain: "when lost",
  shortestMessage: 0,
  longestMessage: 131_072,
  jobs: "good",
  backoff: (attempt, chance) => chance * Math.min(120_000, 1000 * 2 ** (attempt - 1)),
};

export function scriptedDevice(habits: Partial<Habits>): VirtualDevice {
  return world => {
    new ScriptedDevice(world, { ...good, ...habits }).dial();
  };
}

const shadow = "$aws/things/scripted/shadow/update";
const topic = "commands/scripted";
const repeatMs = 10_000;
const connackMs = 5000;

class ScriptedDevice {
  readonly #world: VirtualWorld;
  readonly #habits: Habits;
  #socket: TLSSocket | undefined;
  #links = 0;
  #attempts = 0;
  #onlineAt = 0;
  #receivedAt = 0;
  #hasSubscribed = false;
  #lastId = 0;
  readonly #pending = new Map<number, Packet & { messageId?: number }>();
  #values: Record<string, unknown> = { level: 1 };
  readonly #jobs: ScriptedJobs;

  constructor(world: VirtualWorld, habits: Habits) {
    this.#world = world;
    this.#habits = habits;
    this.#jobs = new ScriptedJobs(habits.jobs, {
      publish: (to, value) => this.#publish(to, value),
      after: (delayMs, work) => this.#after(delayMs, this.#links, work),
    });
  }

  dial(): void {
    const link = ++this.#links;
    const { socket: Socket } = this.#world.network.classes(new Power());
    const parser = mqtt.parser({ protocolVersion: this.#habits.version });
    parser.on("packet", packet => {
      if (link === this.#links) this.#received(packet);
    });
    this.#onlineAt = Number.POSITIVE_INFINITY;
    let isConnected = false;
    const socket = new Socket({
      address: "127.0.0.1",
      host: "localhost",
      port: 8883,
      secure: { trustAnchors: [], clientCertificates: [], clientKey: new Uint8Array(0), now: 0 },
      onWritable: () => {
        if (!isConnected) this.#connect(link);
        isConnected = true;
      },
      onReadable: () => parser.parse(Buffer.from(socket.read()!)),
      onError: () => this.#lost(link),
    });
    this.#socket = socket;
  }

  #connect(link: number): void {
    const { version, keepAliveSeconds, keepsSession } = this.#habits;
    this.#send({
      cmd: "connect",
      clientId: "scripted",
      protocolId: "MQTT",
      protocolVersion: version,
      keepalive: keepAliveSeconds,
      clean: version === 4 ? !keepsSession : false,
      ...(version === 5 && { properties: { sessionExpiryInterval: keepsSession ? 3600 : 0 } }),
    });
    this.#after(connackMs, link, () => {
      if (this.#onlineAt === Number.POSITIVE_INFINITY) this.#lost(link);
    });
  }

  #lost(link: number): void {
    if (link !== this.#links) return;
    this.#links++;
    this.#socket?.close();
    if (this.#world.clock.ticks() - this.#onlineAt > 60_000) this.#attempts = 0;
    const chance = this.#world.random.next() / 2 ** 32;
    const delayMs = this.#habits.backoff(++this.#attempts, chance);
    this.#world.clock.set(() => this.dial(), delayMs);
  }

  #after(delayMs: number, link: number, work: () => void): void {
    this.#world.clock.set(() => {
      if (link === this.#links) work();
    }, delayMs);
  }

  #send(packet: Packet): void {
    this.#socket!.write(mqtt.generate(packet, { protocolVersion: this.#habits.version }));
  }

  #received(packet: Packet): void {
    this.#receivedAt = this.#world.clock.ticks();
    if (packet.cmd === "connack") this.#online(packet.sessionPresent);
    if (packet.cmd === "puback" || packet.cmd === "suback") this.#pending.delete(packet.messageId!);
    if (packet.cmd !== "publish") return;
    const { shortestMessage, longestMessage } = this.#habits;
    const { length } = packet.payload;
    if (length >= shortestMessage && length <= longestMessage && packet.qos === 1)
      this.#send({ cmd: "puback", messageId: packet.messageId! });
    this.#jobs.received(packet.topic, String(packet.payload));
    if (packet.topic.endsWith("/update/delta") && this.#habits.follows) {
      const { state } = JSON.parse(String(packet.payload)) as { state: Record<string, unknown> };
      this.#values = { ...this.#values, ...state };
      this.#report();
    }
  }

  #online(sessionPresent: boolean): void {
    const link = this.#links;
    const { subscribes, subscribesAgain, publishes, reports, repeatsOnNextLink } = this.#habits;
    this.#onlineAt = this.#world.clock.ticks();
    const again = [...this.#pending.values()];
    this.#pending.clear();
    if (repeatsOnNextLink) for (const each of again) this.#ask({ ...each });
    const isMissing =
      subscribesAgain === "always" ||
      !this.#hasSubscribed ||
      (subscribesAgain === "when lost" && !sessionPresent);
    if (subscribes && isMissing) this.#subscribe();
    if (publishes) this.#publish("data/scripted", { value: 1 });
    if (reports) this.#report();
    this.#jobs.online();
    this.#keepAlive(link);
  }

  #subscribe(): void {
    this.#hasSubscribed = true;
    const filters = [topic, `${shadow}/accepted`, `${shadow}/delta`, ...this.#jobs.filters];
    this.#ask({
      cmd: "subscribe",
      messageId: this.#nextId(),
      subscriptions: filters.map(each => ({ topic: each, qos: 1 as const })),
    });
  }

  #report(): void {
    this.#publish(shadow, { state: { reported: this.#values } });
  }

  #publish(to: string, value: object): void {
    const payload = Buffer.from(JSON.stringify(value));
    const messageId = this.#nextId();
    this.#ask({ cmd: "publish", topic: to, payload, qos: 1, dup: false, retain: false, messageId });
  }

  /** Sends what waits for an answer. */
  #ask(packet: Packet & { messageId?: number }): void {
    const { messageId } = packet;
    this.#pending.set(messageId!, packet);
    this.#send(packet);
    if (!this.#habits.repeats) return;
    const repeat = () => {
      if (!this.#pending.has(messageId!)) return;
      const dup = this.#habits.repeatsWithDup;
      this.#send(packet.cmd === "publish" ? { ...packet, dup } : packet);
      this.#after(repeatMs, link, repeat);
    };
    const link = this.#links;
    this.#after(repeatMs, link, repeat);
  }

  #nextId(): number {
    this.#lastId = (this.#lastId % 0xffff) + 1;
    return this.#lastId;
  }

  #keepAlive(link: number): void {
    const { keepAliveSeconds, pings, leavesSilence } = this.#habits;
    if (keepAliveSeconds === 0) return;
    this.#receivedAt = this.#world.clock.ticks();
    const check = () => {
      const silentMs = this.#world.clock.ticks() - this.#receivedAt;
      if (leavesSilence && silentMs > keepAliveSeconds * 1400) return this.#lost(link);
      if (pings) this.#send({ cmd: "pingreq" });
      this.#after(keepAliveSeconds * 300, link, check);
    };
    this.#after(keepAliveSeconds * 300, link, check);
  }
}
