// One device with two slots whose power goes where it is told, before a jobs service, a stream and a server of files that are no
// more than the protocol says: light enough for thousands of updates.
import { decode, encode } from "cborg";
import { isWhole } from "../../hosts/emulation/image.js";
import { EmulatedSlots } from "../../hosts/emulation/slots.js";
import { createCrypto } from "../../hosts/node/crypto.js";
import { hardware, nowhere, product } from "../../simulator/fleet/updatable.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { type Accept, Network, type ServerLink } from "../../simulator/world/network.js";
import { type Cut, type Operation, Power, PowerCut } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import {
  type Packet,
  ScriptedBroker,
  type ScriptedLink,
} from "../../simulator/world/scripted-broker.js";
import { Slots } from "../../simulator/world/slots.js";
import type { Host } from "../../src/host.js";
import { Agent, type AgentStatus } from "../../src/index.js";
import { JobsService } from "../jobs/service.js";
import { identity } from "../jobs/world.js";
import { release, type Signing } from "./update-images.js";

/** What one start of the machine ran. */
export interface Start {
  readonly version: string;
  readonly isOnTrial: boolean;
  readonly slot: string;
  readonly resetReason: Host["system"]["resetReason"];
}

/** Tells at once when the power goes. */
class WatchedPower extends Power {
  onCut: () => void = () => undefined;

  override spend(operation: Operation): void {
    const wasOn = this.isOn;
    try {
      super.spend(operation);
    } catch (error) {
      if (wasOn && !this.isOn) this.onCut();
      throw error;
    }
  }
}

const streams = "$aws/things/node-1/streams/";
const offMs = 500;
const blockBytes = 4096;

export class UpdateSite {
  readonly clock = new VirtualClock();
  readonly service = new JobsService(this.clock);
  readonly flash = new Flash();
  readonly slots: Slots;
  readonly starts: Start[] = [];
  /** Flash operations of each start. */
  readonly powers: Power[] = [];
  readonly statuses: AgentStatus[] = [];
  /** By start, counted from 0. */
  readonly cuts = new Map<number, Cut>();
  /** What a server has, by its stream's or its file's name. */
  readonly images = new Map<string, Uint8Array>();
  /** Called after each start. */
  onStart: (start: Start) => void = () => undefined;
  /** Called before the program runs. */
  onStarted: (host: Host) => void = () => undefined;
  /** Starts that ran what was not whole. */
  spoiled = 0;
  cutsMade = 0;
  agent: Agent | undefined;
  host: Host | undefined;
  readonly #signing: Signing;
  readonly #network: Network;
  readonly #random = new Random(1);
  #power = new WatchedPower();
  #isClosed = false;

  /** @param blocks of a slot */
  constructor(signing: Signing, blocks = 8) {
    this.#signing = signing;
    const broker = new ScriptedBroker(this.#script);
    this.#network = new Network(this.clock, (link, peer, dialed) =>
      dialed.host === "files.test"
        ? this.#files(link, peer, dialed)
        : broker.accept(link, peer, dialed),
    );
    this.#network.fate = ({ host }) => (host === nowhere ? "refused" : "open");
    this.slots = new Slots({ blocks, image: release("1.0.0").image });
    this.boot("powerOn");
  }

  get running(): Start {
    return this.starts.at(-1)!;
  }

  get isOnline(): boolean {
    return this.agent?.link.state === "online";
  }

  get isOn(): boolean {
    return this.#power.isOn;
  }

  // -- the machine --

  boot(resetReason: Host["system"]["resetReason"]): void {
    const power = new WatchedPower(this.cuts.get(this.powers.length));
    this.#power = power;
    this.powers.push(power);
    power.onCut = () => {
      this.cutsMade++;
      this.#again("powerOn");
    };
    const wasOnTrial = this.#onFlash.isOnTrial;
    try {
      this.#start(power, resetReason);
    } catch (error) {
      if (error instanceof PowerCut) this.#bootCut(wasOnTrial, resetReason);
      if (!power.isOn) return;
      // What a board does with a program that ends.
      power.cut();
      this.#again("other");
    }
  }

  #start(power: WatchedPower, resetReason: Host["system"]["resetReason"]): void {
    const { clock, flash, slots } = this;
    const host = virtualHost({
      ...{ id: "board-1", clock, random: this.#random, network: this.#network, flash, slots },
      ...{ power, resetReason },
      onRestart: () => {
        if (!power.isOn) return;
        power.cut();
        this.#again("restart");
      },
    });
    const { update } = host;
    const { running, isOnTrial } = update!;
    const image = slots.image(running);
    if (image === undefined) {
      this.spoiled++;
      return;
    }
    const { behaviour, version } = JSON.parse(Buffer.from(image.payload).toString());
    const start = { version, isOnTrial, slot: running, resetReason };
    this.starts.push(start);
    this.onStart(start);
    if (behaviour === "crashes") throw new Error("this image does not start");
    this.host = host;
    this.onStarted(host);
    const agent = new Agent({
      ...identity,
      ...(behaviour === "offline" ? { endpoint: nowhere } : {}),
      host,
      firmware: {
        ...{ version, product, hardware, trialSeconds: 60, settleSeconds: 2 },
        signers: [this.#signing.signer],
      },
      onStatus: status => {
        if (power.isOn) this.statuses.push(status);
      },
    });
    this.agent = agent;
    agent.health.check("sensor", () => behaviour !== "unhealthy");
    agent.start();
  }

  /** What stands in flash, which a bootloader would go on from. */
  get #onFlash(): EmulatedSlots {
    const [flash, crypto] = [this.slots.provider(), createCrypto()];
    return new EmulatedSlots({ flash, crypto, restart: () => undefined, isBooted: true });
  }

  /** Cut off in the bootloader, perhaps when it had written that the trial begins. */
  #bootCut(wasOnTrial: boolean, resetReason: Start["resetReason"]): void {
    const { running, isOnTrial } = this.#onFlash;
    const version = this.slots.image(running)?.version ?? "";
    const isNew = isOnTrial && !wasOnTrial;
    this.starts.push({ version, slot: running, resetReason, isOnTrial: isNew });
  }

  #again(resetReason: Host["system"]["resetReason"]): void {
    this.agent = undefined;
    this.#network.cutAll();
    this.service.lost();
    if (!this.#isClosed) this.clock.set(() => this.boot(resetReason), offMs);
  }

  /** As the reset button does. */
  restart(): void {
    this.#power.cut();
    this.#again("other");
  }

  close(): void {
    this.#isClosed = true;
    this.#power.cut();
  }

  // -- what there is to be looked at --

  /** Whether the slot that runs is whole, and would start again as it is. */
  get isSettled(): boolean {
    const { update } = this.host ?? {};
    return this.isOn && this.isOnline && update !== undefined && !update.isOnTrial;
  }

  isWholeSlot(label: string): boolean {
    return isWhole(this.slots.provider().open({ path: label, mode: "r" }), createCrypto());
  }

  /** The floor that is in force after a restart, as text. */
  get floor(): string {
    const values = [...this.flash.values("skerry.floor").values()];
    return values.map(value => Buffer.from(value.subarray(8)).toString()).join();
  }

  // -- stream and files --

  readonly #script = (packet: Packet, link: ScriptedLink): void => {
    const isStream = packet.cmd === "publish" && packet.topic.startsWith(streams);
    if (isStream) this.#onStream(packet.topic, packet.payload as Buffer, link);
    else this.service.script(packet, link);
  };

  #onStream(topic: string, payload: Buffer, link: ScriptedLink): void {
    const name = topic.slice(streams.length).split("/")[0]!;
    const image = this.images.get(name)!;
    const { c, f, o, n, b } = decode(payload) as StreamRequest;
    let left = n;
    for (let bit = 0; bit < b.length * 8 && left > 0; bit++) {
      if (!(b[bit >> 3]! & (1 << (bit & 7)))) continue;
      left--;
      const index = o + bit;
      const p = image.subarray(index * blockBytes, (index + 1) * blockBytes);
      const answer = Buffer.from(encode({ c, f, l: p.length, i: index, p }));
      const head = { cmd: "publish", topic: `${streams}${name}/data/cbor` } as const;
      link.reply({ ...head, payload: answer, qos: 0, dup: false, retain: false });
    }
  }

  readonly #files: Accept = server => {
    let text = "";
    return {
      receive: bytes => {
        text += Buffer.from(bytes).toString("latin1");
        for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
          this.#onRange(text.slice(0, end), server);
          text = text.slice(end + 4);
        }
      },
      closed: () => undefined,
    };
  };

  #onRange(head: string, server: ServerLink): void {
    const [, name, from, to] = /^GET \/(\S+?)\?[\s\S]*\r\nRange: bytes=(\d+)-(\d+)/.exec(head)!;
    const image = this.images.get(name!)!;
    const body = image.subarray(Number(from), Number(to) + 1);
    const lines = [
      "HTTP/1.1 206 Partial",
      `Content-Length: ${body.length}`,
      `Content-Range: bytes ${from}-${to}/${image.length}`,
    ];
    server.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`));
    server.write(body);
  }
}

interface StreamRequest {
  readonly c: string;
  readonly f: number;
  readonly o: number;
  readonly n: number;
  readonly b: Uint8Array;
}
