// A TLS 1.2 server that can be wrong in one place: ECDHE on P-256 with AES-128-GCM, one connection after the other, told by a script.

import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  type ECDH,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { concat, toUtf8 } from "../../src/util/bytes.js";

/** Each is refused as soon as it is seen. */
export const handshakeFaults = [
  // ServerHello chooses TLS 1.1.
  "version",
  // One bit of the key exchange's signature.
  "signature",
  // Made by a key that is not the certificate's.
  "strangersSignature",
  // Over another client's random: a recording.
  "recordedSignature",
  // Ed25519, and a hash there is not.
  "unknownSignatureAlgorithm",
  "unknownHash",
  // The signature is what the other kind of key would have made, by its name.
  "otherSignatureAlgorithm",
  // Application data in the clear, before ServerHelloDone.
  "plainData",
  "earlyChangeCipherSpec",
  // Encrypted as it should be, before Finished.
  "dataBeforeFinished",
  // A Finished that nobody has encrypted.
  "plainFinished",
  "finished",
  // ServerHelloDone, as long as Finished and encrypted like it.
  "doneAgain",
] as const;

/** With the last two a client waits: nothing is ever said, or nothing after ServerHello. */
export type Fault = (typeof handshakeFaults)[number] | "silence" | "stall";

export interface Script {
  readonly key: KeyObject;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly fault?: Fault;
  /** Description of the alert that is the answer to the client's certificate. */
  readonly refusal?: number;
  /** Signs in the place of `key`, for "strangersSignature". */
  readonly stranger?: KeyObject;
  /** Whether a certificate is asked for; one that comes is not looked at. */
  readonly asks?: boolean;
}

const type = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;
const number16 = (value: number) => Uint8Array.of(value >> 8, value);
const vector8 = (bytes: Uint8Array) => concat([Uint8Array.of(bytes.length), bytes]);
const vector16 = (bytes: Uint8Array) => concat([number16(bytes.length), bytes]);
const vector24 = (bytes: Uint8Array) =>
  concat([Uint8Array.of(bytes.length >> 16), number16(bytes.length), bytes]);
const message = (kind: number, ...parts: readonly Uint8Array[]) =>
  concat([Uint8Array.of(kind), vector24(concat(parts))]);

export interface Flight {
  readonly random: Uint8Array;
  readonly exchange: ECDH;
  /** ServerHello, Certificate, ServerKeyExchange, CertificateRequest if asked, ServerHelloDone. */
  readonly messages: readonly Uint8Array[];
}

/**
 * What a server answers to ClientHello.
 *
 * @param extensions  of ServerHello, each with its header
 */
export function serverFlight(
  script: Script,
  clientRandom: Uint8Array,
  extensions: Uint8Array = new Uint8Array(0),
): Flight {
  const { chain, fault, key } = script;
  const random = new Uint8Array(randomBytes(32));
  const exchange = createECDH("prime256v1");
  exchange.generateKeys();
  const suite = Uint8Array.of(0xc0, key.asymmetricKeyType === "ec" ? 0x2b : 0x2f);
  const version = number16(fault === "version" ? 0x0302 : 0x0303);
  const tail = extensions.length === 0 ? extensions : vector16(extensions);
  const request = [Uint8Array.of(2, 1, 64), vector16(Uint8Array.of(4, 1, 4, 3)), number16(0)];
  return {
    random,
    exchange,
    messages: [
      message(2, version, random, Uint8Array.of(0), suite, Uint8Array.of(0), tail),
      message(11, vector24(concat(chain.map(vector24)))),
      message(12, keyExchange(script, clientRandom, random, exchange)),
      ...(script.asks === true ? [message(13, ...request)] : []),
      message(14),
    ],
  };
}

function keyExchange(
  { fault, key, stranger }: Script,
  clientRandom: Uint8Array,
  random: Uint8Array,
  exchange: ECDH,
): Uint8Array {
  const parameters = concat([Uint8Array.of(3, 0, 23), vector8(exchange.getPublicKey())]);
  const first = fault === "recordedSignature" ? new Uint8Array(32) : clientRandom;
  const signer = fault === "strangersSignature" ? stranger! : key;
  const signature = new Uint8Array(sign("sha256", concat([first, random, parameters]), signer));
  if (fault === "signature") signature[signature.length - 1]! ^= 1;
  const kind = key.asymmetricKeyType === "ec" ? 3 : 1;
  const algorithm =
    fault === "unknownSignatureAlgorithm"
      ? 7
      : fault === "otherSignatureAlgorithm"
        ? 4 - kind
        : kind;
  const hash = fault === "unknownHash" ? 9 : 4;
  return concat([parameters, Uint8Array.of(hash, algorithm), vector16(signature)]);
}

/** An empty renegotiation_info for a client that asks for it by its cipher suites, as OpenSSL insists. @see RFC 5746 3.6 */
function extensionsFor(hello: Uint8Array): Uint8Array {
  const at = 39 + hello[38]!;
  const end = at + 2 + hello[at]! * 256 + hello[at + 1]!;
  for (let i = at + 2; i < end; i += 2) {
    if (hello[i] === 0 && hello[i + 1] === 0xff) return Uint8Array.of(0xff, 1, 0, 1, 0);
  }
  return new Uint8Array(0);
}

/** @see RFC 5246 5 */
function expand(secret: Uint8Array, label: string, seed: Uint8Array, length: number): Uint8Array {
  const mac = (bytes: Uint8Array) =>
    new Uint8Array(createHmac("sha256", secret).update(bytes).digest());
  const labelled = concat([toUtf8(label), seed]);
  const parts: Uint8Array[] = [];
  for (let a = mac(labelled); parts.length * 32 < length; a = mac(a)) {
    parts.push(mac(concat([a, labelled])));
  }
  return concat(parts).subarray(0, length);
}

/** One direction of AES-128-GCM. @see RFC 5288 3 */
class Seal {
  readonly #key: Uint8Array;
  readonly #salt: Uint8Array;
  #count = 0;

  constructor(key: Uint8Array, salt: Uint8Array) {
    this.#key = key;
    this.#salt = salt;
  }

  close(kind: number, plain: Uint8Array): Uint8Array {
    const nonce = this.#number();
    const cipher = createCipheriv("aes-128-gcm", this.#key, concat([this.#salt, nonce]));
    cipher.setAAD(this.#additional(nonce, kind, plain.length));
    const sealed = [cipher.update(plain), cipher.final()];
    return concat([nonce, ...sealed, cipher.getAuthTag()]);
  }

  open(kind: number, sealed: Uint8Array): Uint8Array {
    const nonce = sealed.subarray(0, 8);
    const decipher = createDecipheriv("aes-128-gcm", this.#key, concat([this.#salt, nonce]));
    decipher.setAAD(this.#additional(this.#number(), kind, sealed.length - 24));
    decipher.setAuthTag(sealed.subarray(-16));
    return concat([decipher.update(sealed.subarray(8, -16)), decipher.final()]);
  }

  #number(): Uint8Array {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(4, this.#count++);
    return bytes;
  }

  #additional(count: Uint8Array, kind: number, length: number): Uint8Array {
    return concat([count, Uint8Array.of(kind, 3, 3), number16(length)]);
  }
}

/** One connection. */
class Conversation {
  readonly #script: Script;
  readonly #socket: Socket;
  readonly #said: Uint8Array[] = [];
  #pending: Uint8Array = new Uint8Array(0);
  #clientRandom: Uint8Array = new Uint8Array(0);
  #flight: Flight | undefined;
  #master: Uint8Array = new Uint8Array(0);
  #mine: Seal | undefined;
  #theirs: Seal | undefined;
  #isSealed = false;
  readonly #onEnd: (ending: string) => void;
  #ending = "closed without an alert";

  constructor(script: Script, socket: Socket, onEnd: (ending: string) => void) {
    this.#script = script;
    this.#socket = socket;
    this.#onEnd = onEnd;
    socket.on("data", bytes => this.#receive(bytes));
    // A client that breaks off is part of the tests.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#onEnd(this.#ending));
  }

  #receive(bytes: Uint8Array): void {
    this.#pending = concat([this.#pending, bytes]);
    for (;;) {
      const length = 5 + this.#pending[3]! * 256 + this.#pending[4]!;
      if (!(this.#pending.length >= length)) return;
      const [kind] = this.#pending;
      const fragment = this.#pending.slice(5, length);
      this.#pending = this.#pending.slice(length);
      this.#record(kind!, this.#isSealed ? this.#theirs!.open(kind!, fragment) : fragment);
    }
  }

  #record(kind: number, content: Uint8Array): void {
    if (kind === type.alert) this.#ending = `alert ${content[1]}`;
    else if (kind === type.changeCipherSpec) this.#isSealed = true;
    else if (kind === type.applicationData) this.#send(kind, content);
    else this.#handshake(content);
  }

  #handshake(content: Uint8Array): void {
    // The client's flight may share records.
    for (let at = 0; at < content.length; ) {
      const length = 4 + content[at + 2]! * 256 + content[at + 3]!;
      const one = content.subarray(at, at + length);
      at += length;
      this.#said.push(one);
      if (one[0] === 11 && this.#script.refusal !== undefined) return this.#refuse();
      if (one[0] === 1) this.#answer(one);
      else if (one[0] === 16) this.#agree(one);
      else if (one[0] === 20) this.#finish();
    }
  }

  #answer(hello: Uint8Array): void {
    const { fault } = this.#script;
    if (fault === "silence") return;
    this.#clientRandom = hello.slice(6, 38);
    this.#flight = serverFlight(this.#script, this.#clientRandom, extensionsFor(hello));
    for (const one of this.#flight.messages) {
      if (one[0] === 14 && fault === "plainData") this.#send(type.applicationData, toUtf8("early"));
      if (one[0] === 14 && fault === "earlyChangeCipherSpec") {
        this.#send(type.changeCipherSpec, Uint8Array.of(1));
      }
      this.#said.push(one);
      this.#send(type.handshake, one);
      if (fault === "stall") return;
    }
  }

  #agree(clientKeyExchange: Uint8Array): void {
    const { exchange, random } = this.#flight!;
    const secret = exchange.computeSecret(clientKeyExchange.subarray(5));
    const seed = concat([this.#clientRandom, random]);
    this.#master = expand(secret, "master secret", seed, 48);
    const keys = expand(this.#master, "key expansion", concat([random, this.#clientRandom]), 40);
    this.#theirs = new Seal(keys.subarray(0, 16), keys.subarray(32, 36));
    this.#mine = new Seal(keys.subarray(16, 32), keys.subarray(36, 40));
  }

  #refuse(): void {
    this.#send(type.alert, Uint8Array.of(2, this.#script.refusal!));
    this.#socket.removeAllListeners("data").resume().end();
  }

  #finish(): void {
    const { fault } = this.#script;
    const hash = new Uint8Array(createHash("sha256").update(concat(this.#said)).digest());
    const data = expand(this.#master, "server finished", hash, 12);
    if (fault === "finished") data[11]! ^= 1;
    this.#send(type.changeCipherSpec, Uint8Array.of(1), false);
    const seal = this.#mine!;
    if (fault === "dataBeforeFinished") this.#write(23, seal.close(23, toUtf8("early")));
    const finished = message(fault === "doneAgain" ? 14 : 20, data);
    this.#write(22, fault === "plainFinished" ? finished : seal.close(22, finished));
  }

  #send(kind: number, content: Uint8Array, isSealed = this.#isSealed): void {
    this.#write(kind, isSealed ? this.#mine!.close(kind, content) : content);
  }

  #write(kind: number, fragment: Uint8Array): void {
    this.#socket.write(concat([Uint8Array.of(kind, 3, 3), vector16(fragment)]));
  }
}

export interface ScriptedServer {
  readonly port: number;
  /** How each connection has ended: the alert that came, or that none did. */
  readonly endings: readonly string[];
  close(): Promise<void>;
}

/** Echoes what a client says after a handshake in which nothing is wrong. */
export async function startScriptedServer(script: Script, wanted = 0): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const endings: string[] = [];
  const server = createServer(socket => {
    sockets.add(socket);
    new Conversation(script, socket, ending => {
      sockets.delete(socket);
      endings.push(ending);
    });
  });
  server.listen(wanted, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    endings,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
