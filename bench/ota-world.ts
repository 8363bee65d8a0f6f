// A device that downloads, a broker with a stream and a server with a file, all of them as wrong as a test wants; in virtual time.
import { createHash } from "node:crypto";
import { decode, encode } from "cborg";
import { VirtualClock } from "../simulator/world/clock.js";
import { Flash } from "../simulator/world/flash.js";
import { virtualHost } from "../simulator/world/host.js";
import { type Accept, Network, type ServerLink } from "../simulator/world/network.js";
import { NorFlash } from "../simulator/world/nor.js";
import { Power } from "../simulator/world/power.js";
import { Random } from "../simulator/world/random.js";
import {
  obliging,
  type Script,
  ScriptedBroker,
  type ScriptedLink,
} from "../simulator/world/scripted-broker.js";
import type { Host, TLSSocketOptions } from "../src/host.js";
import type { OfferSource } from "../src/ota/offer.js";
import { Device } from "./ota-device.js";

export const blockBytes = 4096;
export const stream: OfferSource = { stream: "fw-1", fileId: 0 };
export const link: OfferSource = { url: "https://files.test/fw.bin?signature=secret" };
const prefix = "$aws/things/node-1/streams/fw-1/";

/** As a device asks for blocks. */
export interface StreamRequest {
  readonly c: string;
  readonly f: number;
  readonly l: number;
  readonly o: number;
  readonly n: number;
  readonly b: Uint8Array;
}

export interface StreamReply {
  /** A block as it should be. */
  block(index: number): void;
  /** A message of any content. */
  data(message: unknown): void;
  raw(suffix: string, payload: Uint8Array): void;
  /** Of another stream. */
  other(suffix: string, message: unknown): void;
  rejected(message: unknown): void;
  readonly image: Uint8Array;
  /** Counts from 0. */
  readonly number: number;
}

export type StreamScript = (
  wanted: readonly number[],
  reply: StreamReply,
  request: StreamRequest,
) => void;

export const honest: StreamScript = (wanted, { block }) => {
  for (const index of wanted) block(index);
};

export interface FileRequest {
  readonly path: string;
  readonly host: string;
  readonly first: number;
  readonly last: number;
  /** Counts from 0. */
  readonly number: number;
}

export interface FileReply {
  /** 206 as it should be, with these fields in place of its own. */
  range(more?: Readonly<Record<string, string>>): void;
  /** Any status with any body. */
  answer(status: number, fields: Readonly<Record<string, string>>, body?: Uint8Array): void;
  write(bytes: Uint8Array | string): void;
  close(): void;
  /** Of the connection; counts from 0. */
  readonly connection: number;
  readonly image: Uint8Array;
}

export type FileScript = (request: FileRequest, reply: FileReply) => void;

export const ranges: FileScript = (_, reply) => reply.range();

/** The blocks a bitmap names. */
export function wantedOf({ o, n, b }: StreamRequest): number[] {
  const wanted: number[] = [];
  for (let bit = 0; bit < b.length * 8 && wanted.length < n; bit++)
    if (b[bit >> 3]! & (1 << (bit & 7))) wanted.push(o + bit);
  return wanted;
}

interface WorldOptions {
  readonly size?: number;
  readonly seed?: number;
  readonly nor?: NorFlash;
  readonly stream?: StreamScript;
  readonly file?: FileScript;
  /** Answers all that is nothing of the stream; default `obliging`. */
  readonly rest?: Script;
}

export class DownloadWorld {
  readonly clock = new VirtualClock({ idle: () => this.idle() });
  /** Another thread's work that has to end before time goes on. */
  idle: () => Promise<void> = () => Promise.resolve();
  readonly random: Random;
  readonly image: Uint8Array;
  readonly nor: NorFlash;
  readonly broker: ScriptedBroker;
  readonly cloud: Network;
  readonly files: Network;
  readonly requests: StreamRequest[] = [];
  readonly fileRequests: FileRequest[] = [];
  readonly dials: TLSSocketOptions[] = [];
  stream: StreamScript;
  file: FileScript;
  #connections = 0;

  constructor(options: WorldOptions = {}) {
    const { size = 10 * blockBytes + 100, seed = 1, stream = honest, file = ranges } = options;
    this.random = new Random(seed);
    this.image = new Random(seed + 1000).bytes(size);
    this.nor = options.nor ?? new NorFlash({ blocks: Math.ceil(size / blockBytes) + 2 });
    this.stream = stream;
    this.file = file;
    const { rest = obliging } = options;
    this.broker = new ScriptedBroker((packet, link) => {
      if (packet.cmd === "publish" && packet.topic.startsWith(prefix))
        this.#onGet(packet.topic, packet.payload as Buffer, link);
      else rest(packet, link);
    });
    this.cloud = new Network(this.clock, this.broker.accept);
    this.files = new Network(this.clock, this.#accept);
    this.files.onDial = options => this.dials.push(options);
  }

  get identity(): Uint8Array {
    return new Uint8Array(createHash("sha256").update(this.image).digest());
  }

  boot(power = new Power()): Device {
    return new Device(this.host(power), this.identity, this.image.length);
  }

  host(power = new Power()): Host {
    const { clock, random, nor } = this;
    const flash = new Flash();
    const base = virtualHost({ id: "board-1", clock, random, network: this.cloud, flash, power });
    const cloud = this.cloud.classes(power).socket;
    const files = this.files.classes(power).socket;
    const io = class {
      constructor(options: TLSSocketOptions) {
        // biome-ignore lint/correctness/noConstructorReturn: either of two classes
        return new (options.host === "cloud.test" ? cloud : files)(options);
      }
    } as unknown as Host["tls"]["io"];
    return { ...base, tls: { io }, flash: nor.provider("nextota", power) };
  }

  /** Both lines: 100 ms there and back, and so many bytes a second. */
  slow(bytesPerSecond: number): void {
    for (const network of [this.cloud, this.files]) {
      network.latencyMs = 50;
      network.faults = { toDevice: { bytesPerSecond }, toServer: { bytesPerSecond } };
    }
  }

  #onGet(topic: string, payload: Buffer, link: ScriptedLink): void {
    if (topic !== `${prefix}get/cbor`) throw new Error(`nobody listens to ${topic}`);
    const request = decode(payload) as StreamRequest;
    const number = this.requests.push(request) - 1;
    const send = (topic: string, payload: Uint8Array) =>
      link.reply({
        cmd: "publish",
        topic,
        payload: Buffer.from(payload),
        qos: 0,
        dup: false,
        retain: false,
      });
    const raw = (suffix: string, payload: Uint8Array) => send(prefix + suffix, payload);
    const other = (suffix: string, message: unknown) =>
      send(`$aws/things/node-1/streams/fw-2/${suffix}`, encode(message));
    const { image } = this;
    const data = (message: unknown) => raw("data/cbor", encode(message));
    const block = (index: number) => {
      const p = image.subarray(index * blockBytes, (index + 1) * blockBytes);
      data({ c: request.c, f: request.f, l: p.length, i: index, p });
    };
    const rejected = (message: unknown) => raw("rejected/cbor", encode(message));
    this.stream(wantedOf(request), { block, data, raw, other, rejected, image, number }, request);
  }

  readonly #accept: Accept = server => {
    const connection = this.#connections++;
    let text = "";
    return {
      receive: bytes => {
        text += Buffer.from(bytes).toString("latin1");
        for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
          const head = text.slice(0, end);
          text = text.slice(end + 4);
          this.#onRequest(head, server, connection);
        }
      },
      closed: () => undefined,
    };
  };

  #onRequest(head: string, server: ServerLink, connection: number): void {
    const [, path] = /^GET (\S+) HTTP\/1\.1\r\n/.exec(head)!;
    const [, host] = /\r\nHost: (\S+)/.exec(head)!;
    const [, first, last] = /\r\nRange: bytes=(\d+)-(\d+)/.exec(head)!;
    const number = this.fileRequests.length;
    const request = { path: path!, host: host!, first: Number(first), last: Number(last), number };
    this.fileRequests.push(request);
    const { image } = this;
    const write = (bytes: Uint8Array | string) =>
      server.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    const answer = (
      status: number,
      fields: Readonly<Record<string, string>>,
      body: Uint8Array = new Uint8Array(0),
    ) => {
      const all = { "Content-Length": String(body.length), ...fields };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
      write(`HTTP/1.1 ${status} Any\r\n${lines.join("")}\r\n`);
      if (body.length > 0) write(body);
    };
    const range = (more = {}) => {
      const { first, last } = request;
      const fields = { "Content-Range": `bytes ${first}-${last}/${image.length}`, ...more };
      answer(206, fields, image.subarray(first, last + 1));
    };
    this.file(request, {
      range,
      answer,
      write,
      close: () => server.close(),
      connection,
      image,
    });
  }
}

/** Downloads from these sources until it is over. @returns "complete", or the code and message of the failure */
export async function downloaded(
  world: DownloadWorld,
  sources: readonly OfferSource[],
  limitMs = 7_200_000,
): Promise<string> {
  const device = world.boot();
  return ended(world, device, sources, limitMs);
}

export async function ended(
  world: DownloadWorld,
  device: Device,
  sources: readonly OfferSource[],
  limitMs = 7_200_000,
): Promise<string> {
  device.download.sources(sources);
  device.connect();
  await world.clock.runUntil(() => device.outcome !== undefined, limitMs);
  const { outcome } = device;
  device.disconnect();
  if (outcome === undefined) return "neither complete nor failed";
  if (outcome !== "complete") return `${outcome.code}: ${outcome.message}`;
  const { image } = world;
  const isSame = Buffer.compare(world.nor.bytes.subarray(0, image.length), image) === 0;
  return isSame ? "complete" : "complete, and wrong";
}
