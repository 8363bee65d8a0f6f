// A broker for the contract of MQTT clients, over mutual TLS. It knows what a packet is and otherwise does as it is told: by the
// client's identifier, and by messages to topics of its own.
//
// say       sends the payload as it is, all at once
// drip      the same, a byte at a time
// farewell  the same, and ends the link
// tell      answers under `told` with the packets of the client that the payload names, or of this one; orders are left out
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { encodePublishHeader, operation } from "../../src/mqtt/packet.js";
import { concat, fromUtf8 } from "../../src/util/bytes.js";
import type { MqttSubjectData } from "../contract/mqtt-client.js";
import { createAuthority, toPem } from "./certificates.js";

export interface ObedientBroker {
  readonly data: MqttSubjectData;
  close(): Promise<void>;
}

export async function startObedientBroker(): Promise<ObedientBroker> {
  const authority = await createAuthority("Broker root");
  const name = "broker.example";
  const [own, client] = await Promise.all([
    authority.issueServer([name]),
    authority.issueClient("contract"),
  ]);
  const server = createServer({
    cert: toPem("CERTIFICATE", own.certificate),
    key: toPem("PRIVATE KEY", own.key),
    ca: toPem("CERTIFICATE", authority.root),
    requestCert: true,
  });
  const sockets = new Set<TLSSocket>();
  const heard = new Map<string, Uint8Array[]>();
  server.on("secureConnection", socket => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    new Conversation(socket, heard);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    data: { address: "127.0.0.1", name, port, root: authority.root, client },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

class Conversation {
  readonly #socket: TLSSocket;
  readonly #heard: Map<string, Uint8Array[]>;
  readonly #packets: Uint8Array[] = [];
  #pending: Uint8Array = new Uint8Array(0);
  #id = "";

  constructor(socket: TLSSocket, heard: Map<string, Uint8Array[]>) {
    this.#socket = socket;
    this.#heard = heard;
    socket.on("data", bytes => {
      this.#pending = concat([this.#pending, bytes]);
      for (let length = wholeLength(this.#pending); length > 0; ) {
        this.#take(this.#pending.slice(0, length));
        this.#pending = this.#pending.slice(length);
        length = wholeLength(this.#pending);
      }
    });
  }

  #take(packet: Uint8Array): void {
    const body = packet.subarray(headerLength(packet));
    const kind = packet[0]! >> 4;
    if (kind === operation.PUBLISH && this.#obey(packet[0]!, body)) return;
    if (kind === operation.CONNECT) this.#connect(body);
    this.#packets.push(packet);
    if (kind === operation.PINGREQ && this.#id !== "mute") this.#send(Uint8Array.of(0xd0, 0));
  }

  /** Protocol name, level, flags and keep-alive are 10 bytes. */
  #connect(body: Uint8Array): void {
    this.#id = fromUtf8(prefixed(body.subarray(10)));
    this.#heard.set(this.#id, this.#packets);
    const present = this.#id === "present" ? 1 : 0;
    this.#send(Uint8Array.of(0x20, 2, present, this.#id === "refused" ? 5 : 0));
  }

  #obey(flags: number, body: Uint8Array): boolean {
    const topic = prefixed(body);
    const payload = body.slice(2 + topic.length + ((flags & 6) > 0 ? 2 : 0));
    switch (fromUtf8(topic)) {
      case "say":
        this.#send(payload);
        return true;
      case "drip":
        this.#drip(payload);
        return true;
      case "farewell":
        this.#socket.end(payload);
        return true;
      case "tell": {
        const packets = concat(this.#heard.get(fromUtf8(payload)) ?? this.#packets);
        this.#send(concat([encodePublishHeader({ topic: "told" }, packets.length), packets]));
        return true;
      }
      default:
        return false;
    }
  }

  #drip(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#socket.destroyed) return;
    this.#socket.write(bytes.subarray(0, 1), () => {
      setTimeout(() => this.#drip(bytes.subarray(1)), 2);
    });
  }

  #send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }
}

function prefixed(bytes: Uint8Array): Uint8Array {
  return bytes.slice(2, 2 + bytes[0]! * 256 + bytes[1]!);
}

/** Of the first byte and the remaining length. */
function headerLength(bytes: Uint8Array): number {
  let at = 1;
  while (bytes[at]! >= 0x80) at++;
  return at + 1;
}

/** @returns the length of the first packet; 0 when it has not all come */
function wholeLength(bytes: Uint8Array): number {
  const header = headerLength(bytes);
  if (header > bytes.length) return 0;
  let remaining = 0;
  for (let at = header - 1; at > 0; at--) remaining = remaining * 128 + (bytes[at]! & 0x7f);
  return header + remaining <= bytes.length ? header + remaining : 0;
}
