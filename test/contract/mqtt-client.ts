// What every MQTT client class must do that the session and the link build upon, in MQTT 3.1.1, against a broker that does as
// it is told by the client itself: see `test/hosts/obedient-broker.ts`.

import type { TestFn } from "ava";
import { AgentError } from "../../src/errors.js";
import type { Host } from "../../src/host.js";
import type {
  ControlMessage,
  MQTTClientConstructor,
  MQTTClientLike,
  MQTTClientOptions,
  ReadableInfo,
  WriteOptions,
} from "../../src/mqtt/client.js";
import {
  encodeConnect,
  encodeEmpty,
  encodePuback,
  encodePublishHeader,
  encodeSubscribe,
  operation,
  publishOverhead,
  type QoS,
} from "../../src/mqtt/packet.js";
import { concat, toUtf8 } from "../../src/util/bytes.js";
import { assert, type ContractCase, register, same, sameBytes, thrown } from "./case.js";

export interface MqttSubjectData {
  readonly address: string;
  /** In the broker's certificate. */
  readonly name: string;
  readonly port: number;
  readonly root: Uint8Array;
  readonly client: { readonly certificate: Uint8Array; readonly key: Uint8Array };
}

export interface MqttSubject extends MqttSubjectData {
  readonly host: Pick<Host, "tls" | "dns" | "timer" | "clock">;
  readonly mqtt: MQTTClientConstructor;
}

interface Message {
  readonly first: ReadableInfo;
  readonly pieces: number;
  readonly bytes: Uint8Array;
}

const nothing = new Uint8Array(0);
const numbers = (count: number) => Uint8Array.from({ length: count }, (_, i) => i % 251);

function publish(topic: string, payload: Uint8Array, fields: { QoS?: QoS; id?: number } = {}) {
  return concat([encodePublishHeader({ topic, ...fields }, payload.length), payload]);
}

/** A client whose callbacks can be awaited; it notes when one comes where none may. */
class Dialog {
  readonly client: MQTTClientLike;
  readonly controls: ControlMessage[] = [];
  readonly messages: Message[] = [];
  readonly errors: unknown[] = [];
  writableBytes = 0;
  misplaced = 0;
  /** Set to look at what comes before it is read. */
  onPiece: ((count: number, info: ReadableInfo) => void) | undefined;
  onControl: (() => void) | undefined;
  onWritable: (() => void) | undefined;
  readonly #pieces: Uint8Array[] = [];
  #first: ReadableInfo | undefined;
  #inside = true;
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(subject: MqttSubject, options: Partial<MQTTClientOptions> = {}) {
    const { host, address, name, port, root, client } = subject;
    const secure = {
      trustAnchors: [root],
      clientCertificates: [client.certificate],
      clientKey: client.key,
      serverName: name,
      now: host.clock.now()!,
    };
    this.client = new subject.mqtt({
      host: address,
      port,
      id: "contract",
      clean: true,
      keepAlive: 60_000,
      socket: { ...host.tls, secure },
      dns: host.dns,
      clock: host.clock,
      timer: host.timer,
      ...options,
      onControl: message =>
        this.#enter(() => {
          this.controls.push(message);
          this.onControl?.();
        }),
      onReadable: (count, info) => this.#enter(() => this.#readable(count, info)),
      onWritable: count =>
        this.#enter(() => {
          this.writableBytes = count;
          this.onWritable?.();
        }),
      onError: error => this.#enter(() => this.errors.push(error)),
    });
    this.#inside = false;
  }

  /** @throws when the link ends before that */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      assert(this.errors.length === 0, `ended early: ${String(this.errors[0])}`);
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  async end(): Promise<void> {
    while (this.errors.length === 0) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  async online(): Promise<this> {
    await this.until(() => this.writableBytes > 0);
    return this;
  }

  write(bytes: Uint8Array | undefined, options?: WriteOptions): void {
    this.writableBytes = this.client.write(bytes, options);
  }

  /** Has the broker send these bytes, all at once. */
  say(bytes: Uint8Array): void {
    this.write(bytes, { topic: "say" });
  }

  /** @returns the packets the broker has had from a client, in order, without the orders; by default from this one. */
  async heard(id?: string): Promise<Uint8Array> {
    const before = this.messages.length;
    this.write(toUtf8(id ?? ""), { topic: "tell" });
    await this.until(() => this.messages.slice(before).some(({ first }) => first.topic === "told"));
    return this.messages.pop()!.bytes;
  }

  async message(): Promise<Message> {
    await this.until(() => this.messages.length > 0);
    return this.messages.shift()!;
  }

  close(): void {
    this.#closed = true;
    this.client.close();
  }

  take(count: number, info: ReadableInfo): void {
    this.#first ??= info;
    const bytes = count > 0 ? new Uint8Array(this.client.read(count)!) : nothing;
    same(bytes.length, count, "bytes read of those announced");
    this.#pieces.push(bytes);
    if (info.more) return;
    const pieces = this.#pieces.splice(0);
    this.messages.push({ first: this.#first, pieces: pieces.length, bytes: concat(pieces) });
    this.#first = undefined;
  }

  #readable(count: number, info: ReadableInfo): void {
    if (this.onPiece === undefined) this.take(count, info);
    else this.onPiece(count, info);
  }

  #enter(work: () => void): void {
    if (this.#inside || this.#closed) this.misplaced++;
    try {
      work();
    } finally {
      this.#wake();
    }
  }
}

const online = (subject: MqttSubject, options?: Partial<MQTTClientOptions>) =>
  new Dialog(subject, options).online();
const pause = ({ host }: MqttSubject, delayMs: number) =>
  new Promise<void>(resolve => {
    host.timer.set(resolve, delayMs);
  });

export const mqttClientCases: readonly ContractCase<MqttSubject>[] = [
  {
    title: "CONNECT says what the options say, and CONNACK is told before there is room",
    async run(subject) {
      const will = {
        topic: "gone",
        message: Uint8Array.of(0, 200, 7),
        QoS: 1,
        retain: true,
      } as const;
      const fields = { id: "fields", clean: false, keepAlive: 30_000, will };
      const dialog = new Dialog(subject, fields);
      let controls = 0;
      dialog.onWritable = () => {
        controls ||= dialog.controls.length;
      };
      await dialog.online();
      same(controls, 1, "control messages before there was room");
      same(dialog.controls[0]?.operation, operation.CONNACK, "operation");
      sameBytes(await dialog.heard(), encodeConnect(fields), "CONNECT");
      dialog.close();
    },
  },
  {
    title: "CONNACK tells whether the broker has found the session",
    async run(subject) {
      for (const [id, expected] of [
        ["contract", false],
        ["present", true],
      ] as const) {
        const dialog = await online(subject, { id, clean: false });
        const connack = dialog.controls[0] as { readonly sessionPresent?: boolean };
        same(connack.sessionPresent ?? false, expected, `session of ${id}`);
        dialog.close();
      }
    },
  },
  {
    title: "a CONNECT that is refused ends in one error and no room",
    async run(subject) {
      const dialog = new Dialog(subject, { id: "refused" });
      await dialog.end();
      await pause(subject, 30);
      same(dialog.errors.length, 1, "errors");
      same(dialog.writableBytes, 0, "writable bytes");
      same(dialog.controls.length, 0, "control messages");
      dialog.close();
    },
  },
  {
    title: "a CONNECT that is refused is told as a refusal",
    async run(subject) {
      const dialog = new Dialog(subject, { id: "refused" });
      await dialog.end();
      const [error] = dialog.errors;
      same(error instanceof AgentError ? error.kind : String(error), "refused", "kind");
      dialog.close();
    },
  },
  {
    title:
      "a server that is not believed and a port nobody listens on each end in an error that says so",
    async run(subject) {
      for (const [code, dialog] of [
        ["connection/untrusted", new Dialog({ ...subject, name: "other.example" })],
        ["connection/lost", new Dialog({ ...subject, port: 1 })],
      ] as const) {
        await dialog.end();
        await pause(subject, 20);
        same(dialog.errors.length, 1, "errors");
        const [error] = dialog.errors;
        same(error instanceof AgentError ? error.code : String(error), code, "code");
        dialog.close();
      }
    },
  },
  {
    title: "SUBSCRIBE has its items and identifier, and SUBACK a code for each",
    async run(subject) {
      const dialog = await online(subject);
      const items = [{ topic: "a/+", QoS: 1 as const }, { topic: "b/#" }];
      dialog.write(undefined, { operation: operation.SUBSCRIBE, id: 513, items });
      const packets = concat([encodeConnect(plain), encodeSubscribe(513, items)]);
      sameBytes(await dialog.heard(), packets, "packets");
      dialog.say(Uint8Array.of(0x90, 4, 2, 1, 1, 0x80));
      await dialog.until(() => dialog.controls.length === 2);
      const suback = dialog.controls[1] as { id?: number; payload?: readonly number[] };
      same(dialog.controls[1]?.operation, operation.SUBACK, "operation");
      same(suback.id, 513, "identifier");
      same(suback.payload?.join(), "1,128", "codes");
      dialog.close();
    },
  },
  {
    title: "PUBLISH goes out whole with its flags and identifier, and its PUBACK is told",
    async run(subject) {
      const dialog = await online(subject);
      const fields = { topic: "a", QoS: 1, id: 65_535, duplicate: true, retain: true } as const;
      const payload = Uint8Array.of(0, 255, 128);
      dialog.write(payload, fields);
      dialog.write(nothing, { topic: "empty" });
      const packets = [
        encodeConnect(plain),
        encodePublishHeader(fields, 3),
        payload,
        publish("empty", nothing),
      ];
      sameBytes(await dialog.heard(), concat(packets), "packets");
      dialog.say(encodePuback(65_535));
      await dialog.until(() => dialog.controls.length === 2);
      const puback = dialog.controls[1] as { id?: number };
      same(dialog.controls[1]?.operation, operation.PUBACK, "operation");
      same(puback.id, 65_535, "identifier");
      dialog.close();
    },
  },
  {
    title: "PUBLISH goes out in pieces, each within the room there is",
    async run(subject) {
      const dialog = await online(subject);
      const payload = numbers(20_000);
      let sent = Math.min(dialog.writableBytes - publishOverhead("long", undefined), 1000);
      const fields = { topic: "long", QoS: 1, id: 2, byteLength: payload.length } as const;
      dialog.write(payload.subarray(0, sent), fields);
      while (sent < payload.length) {
        await dialog.until(() => dialog.writableBytes > 0);
        const piece = payload.subarray(sent, sent + Math.min(dialog.writableBytes, 3000));
        dialog.write(piece);
        sent += piece.length;
      }
      await dialog.until(() => dialog.writableBytes > 100);
      const packets = [encodeConnect(plain), encodePublishHeader(fields, payload.length), payload];
      sameBytes(await dialog.heard(), concat(packets), "packets");
      dialog.close();
    },
  },
  {
    title: "a write of more than there is room for throws and sends nothing, and the link goes on",
    async run(subject) {
      const dialog = await online(subject);
      const tooMuch = new Uint8Array(dialog.writableBytes + 64);
      thrown(() => dialog.client.write(tooMuch, { topic: "a" }), "a PUBLISH");
      sameBytes(await dialog.heard(), encodeConnect(plain), "packets");
      dialog.close();
    },
  },
  {
    title: "a write before CONNACK or after close throws",
    async run(subject) {
      const dialog = new Dialog(subject);
      const early = () => dialog.client.write(nothing, { topic: "a" });
      thrown(early, "a write before CONNACK");
      await dialog.online();
      dialog.close();
      thrown(early, "a write after close");
    },
  },
  {
    title: "a message comes in pieces, the first of which says its topic, length and quality",
    async run(subject) {
      const dialog = await online(subject);
      for (const [length, QoS] of [
        [3, 0],
        [3000, 1],
      ] as const) {
        const payload = numbers(length);
        dialog.say(publish("täglich", payload, QoS === 0 ? {} : { QoS, id: 300 }));
        const { first, bytes, pieces } = await dialog.message();
        same(first.topic, "täglich", "topic");
        same(first.byteLength, length, "length");
        same(first.QoS, QoS, "quality");
        same(first.more, pieces > 1, "more");
        sameBytes(bytes, payload, "payload");
      }
      dialog.close();
    },
  },
  {
    title: "a message of no bytes is told, and what follows it",
    async run(subject) {
      const dialog = await online(subject);
      dialog.say(concat([publish("none", nothing), publish("one", Uint8Array.of(1))]));
      const none = await dialog.message();
      same(none.first.topic, "none", "topic");
      same(none.first.byteLength, 0, "length");
      same(none.first.more, false, "more");
      same((await dialog.message()).first.topic, "one", "next topic");
      dialog.close();
    },
  },
  {
    title: "packets that come in one piece are told one by one, in order",
    async run(subject) {
      const dialog = await online(subject);
      const packets = [
        publish("a", Uint8Array.of(1)),
        encodePuback(9),
        publish("b", numbers(200)),
        publish("c", Uint8Array.of(3)),
        encodePuback(10),
      ];
      dialog.say(concat(packets));
      await dialog.until(() => dialog.controls.length === 3 && dialog.messages.length === 3);
      same(dialog.messages.map(({ first }) => first.topic).join(), "a,b,c", "topics");
      sameBytes(dialog.messages[1]!.bytes, numbers(200), "payload");
      const [, ...pubacks] = dialog.controls as { id?: number }[];
      same(pubacks.map(({ id }) => id).join(), "9,10", "identifiers");
      dialog.close();
    },
  },
  {
    title: "a packet that comes byte by byte is whole in the end",
    async run(subject) {
      const dialog = await online(subject);
      const suback = Uint8Array.of(0x90, 3, 0, 5, 1);
      const packets = concat([publish("slow", numbers(40)), suback, publish("b", numbers(2))]);
      dialog.write(packets, { topic: "drip" });
      await dialog.until(() => dialog.controls.length === 2 && dialog.messages.length === 2);
      const [slow, after] = dialog.messages;
      same(slow!.first.topic, "slow", "topic");
      same(slow!.first.byteLength, 40, "length");
      sameBytes(slow!.bytes, numbers(40), "payload");
      sameBytes(after!.bytes, numbers(2), "next payload");
      dialog.close();
    },
  },
  {
    title: "a payload that is read late, and in parts, holds back what follows and is not lost",
    async run(subject) {
      const dialog = await online(subject);
      const told: string[] = [];
      dialog.onPiece = (_, info) => told.push(info.topic ?? "");
      dialog.say(concat([publish("a", numbers(5)), publish("b", numbers(2))]));
      await dialog.until(() => told.length > 0);
      await pause(subject, 50);
      same(told.join(), "a", "topics before the payload is read");
      const parts = [dialog.client.read(2)!, dialog.client.read()!].map(
        part => new Uint8Array(part),
      );
      sameBytes(concat(parts), numbers(5), "payload");
      await dialog.until(() => told.length > 1);
      same(told.join(), "a,b", "topics");
      dialog.close();
    },
  },
  {
    title: "a message of quality 1 is acknowledged when the caller does so, by its identifier",
    async run(subject) {
      const dialog = await online(subject);
      dialog.say(publish("kept", Uint8Array.of(1), { QoS: 1, id: 77 }));
      const { first } = await dialog.message();
      same(first.id, 77, "identifier");
      sameBytes(await dialog.heard(), encodeConnect(plain), "packets before");
      dialog.write(undefined, { operation: operation.PUBACK, id: 77 });
      const packets = concat([encodeConnect(plain), encodePuback(77)]);
      sameBytes(await dialog.heard(), packets, "packets after");
      dialog.close();
    },
  },
  {
    title: "DISCONNECT leaves, also when the client is closed at once",
    async run(subject) {
      const leaving = await online(subject, { id: "leaving" });
      leaving.write(undefined, { operation: operation.DISCONNECT });
      leaving.close();
      leaving.close();
      const dialog = await online(subject);
      const expected = concat([
        encodeConnect({ ...plain, id: "leaving" }),
        encodeEmpty(operation.DISCONNECT),
      ]);
      let heard = await dialog.heard("leaving");
      for (let i = 0; i < 40 && heard.length < expected.length; i++) {
        await pause(subject, 50);
        heard = await dialog.heard("leaving");
      }
      sameBytes(heard, expected, "packets");
      same(leaving.misplaced, 0, "callbacks after close");
      dialog.close();
    },
  },
  {
    title: "a client closed at once, or inside any of its callbacks, calls back no more",
    async run(subject) {
      const dialogs = [new Dialog(subject), new Dialog(subject), new Dialog(subject)] as const;
      const [atOnce, onControl, onWritable] = dialogs;
      atOnce.close();
      onControl.onControl = () => onControl.close();
      onWritable.onWritable = () => onWritable.close();
      const onReadable = await online(subject);
      const isRead = { done: false };
      onReadable.onPiece = () => {
        isRead.done = true;
        onReadable.close();
      };
      onReadable.say(concat([publish("a", numbers(5)), publish("b", numbers(2))]));
      await onReadable.until(() => isRead.done);
      await pause(subject, 200);
      for (const [i, dialog] of [...dialogs, onReadable].entries()) {
        same(dialog.misplaced, 0, `callbacks of client ${i}`);
        same(dialog.errors.length, 0, `errors of client ${i}`);
        dialog.close();
      }
    },
  },
  {
    title: "what a callback throws ends the link with that error",
    async run(subject) {
      const dialog = await online(subject);
      const error = new AgentError("agent/fault", "thrown by the owner");
      dialog.onPiece = () => {
        throw error;
      };
      dialog.say(publish("a", numbers(5)));
      await dialog.end();
      await pause(subject, 30);
      same(dialog.errors.length, 1, "errors");
      same(dialog.errors[0], error, "the error");
      dialog.close();
    },
  },
  {
    title: "a link that the broker ends is told once, after the last message",
    async run(subject) {
      const dialog = await online(subject);
      dialog.write(publish("last", numbers(9)), { topic: "farewell" });
      await dialog.end();
      await pause(subject, 30);
      same(dialog.messages[0]?.first.topic, "last", "topic");
      same(dialog.errors.length, 1, "errors");
      dialog.close();
    },
  },
  {
    title: "a quiet link is kept alive by PINGREQ",
    async run(subject) {
      const fields = { ...plain, keepAlive: 1000 };
      const dialog = await online(subject, fields);
      await pause(subject, 2500);
      const heard = await dialog.heard();
      const ping = encodeEmpty(operation.PINGREQ);
      sameBytes(heard.slice(-2), ping, "the last packet");
      dialog.close();
    },
  },
  {
    title: "a broker that falls silent is told within two keep-alives",
    async run(subject) {
      const dialog = await online(subject, { id: "mute", keepAlive: 2000 });
      const { clock } = subject.host;
      const since = clock.ticks();
      await dialog.end();
      const waitedMs = clock.ticks() - since;
      // Twice 2 s, and what a busy machine takes.
      assert(waitedMs > 1900 && waitedMs < 5500, `waited ${waitedMs} ms`);
      same(dialog.errors.length, 1, "errors");
      dialog.close();
    },
  },
];

/** What `Dialog` connects with when a case says nothing else. */
const plain = Object.freeze({ id: "contract", clean: true, keepAlive: 60_000 });

export function mqttClientContract(
  test: TestFn,
  label: string,
  open: () => MqttSubject | Promise<MqttSubject>,
): void {
  register(test, label, mqttClientCases, open);
}
