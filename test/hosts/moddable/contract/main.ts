// Runs the contract suites and the portable checks on the host of this firmware, and counts.
import config from "mc/config";
import { host as machine } from "skerry/host";
import { SDKClient } from "skerry/hosts/moddable/sdk-mqtt/client";
import { openPartition } from "skerry/platform/flash";
import { paths, signatures } from "skerry/test/hosts/moddable/contract/questions";
import { BoundedFlash } from "../../../../hosts/bounded-flash.js";
import { EmulatedSlots } from "../../../../hosts/emulation/slots.js";
import type { Host } from "../../../../src/host.js";
import { MQTTClient, type MQTTClientConstructor } from "../../../../src/mqtt/client.js";
import { isSignature } from "../../../../src/trust/signature.js";
import { fromBase64 } from "../../../../src/util/bytes.js";
import { type ContractCase, same, thrown } from "../../../contract/case.js";
import { cryptoCases } from "../../../contract/crypto.js";
import { dnsCases } from "../../../contract/dns.js";
import { flashCases } from "../../../contract/flash.js";
import { keyValueCases } from "../../../contract/key-value.js";
import { type MqttSubject, mqttClientCases } from "../../../contract/mqtt-client.js";
import { outboxCases } from "../../../contract/outbox.js";
import { clockCases, timerCases } from "../../../contract/time.js";
import { tlsCases } from "../../../contract/tls.js";
import { type RevertSubject, revertCases, updateCases } from "../../../contract/update.js";
import "../../../portable/cases/bytes.js";
import "../../../portable/cases/duty-cycle.js";
import "../../../portable/cases/errors.js";
import "../../../portable/cases/jobs.js";
import "../../../portable/cases/json.js";
import "../../../portable/cases/machines.js";
import "../../../portable/cases/mqtt.js";
import "../../../portable/cases/network.js";
import "../../../portable/cases/network-keeper.js";
import "../../../portable/cases/network-time.js";
import "../../../portable/cases/ota-decide.js";
import "../../../portable/cases/ota-document.js";
import "../../../portable/cases/ota-manifest.js";
import "../../../portable/cases/ota-version.js";
import "../../../portable/cases/ota-download.js";
import "../../../portable/cases/outbox.js";
import "../../../portable/cases/shadow.js";
import "../../../portable/cases/telemetry.js";
import "../../../portable/cases/topics.js";
import { cases } from "../../../portable/harness.js";
import { outcomeOf, outcomesOfMutants, type Vector } from "../../../trust/judge.js";
import { type SignatureVector, verdictOf } from "../../../trust/signature-judge.js";

const host: Host = machine;
const caseMs = 20_000;
let passed = 0;
let failed = 0;
let media = 0;

async function suite<Subject>(
  label: string,
  list: readonly ContractCase<Subject>[],
  open: () => Subject,
): Promise<void> {
  for (const { title, run } of list) {
    try {
      await Promise.race([Promise.resolve(run(open())), tooLate()]);
      passed++;
    } catch (error) {
      failed++;
      trace(`FAIL ${label}: ${title}: ${String(error)}\n`);
    }
  }
}

function tooLate(): Promise<never> {
  return new Promise((_, reject) => {
    host.timer.set(() => reject(new Error(`not over after ${caseMs} ms`)), caseMs);
  });
}

/** The machine has one medium: every case gets names of its own in it, as long as they fit. */
function freshMedium(): Pick<Host, "keyValue"> {
  const prefix = `${media++}`;
  const open = ({ path }: { readonly path: string }) =>
    host.keyValue.open({ path: path === "identity" ? `${path}-${prefix}` : path });
  return { keyValue: { open } };
}

/** Slots as this machine has them, emptied: the firmware that runs is in none of them. */
function freshSlots(): RevertSubject {
  const flash = new BoundedFlash(openPartition, ["ota_0", "ota_1", "otadata"]);
  for (const path of ["ota_0", "ota_1", "otadata"]) {
    const partition = flash.open({ path });
    partition.eraseBlock(0, 2);
    partition.close();
  }
  const { crypto } = host;
  let restarts = 0;
  const restart = () => void restarts++;
  return {
    restarts: () => restarts,
    start: () => {
      const update = new EmulatedSlots({ flash, crypto, restart, isProgramElsewhere: true });
      return { crypto, update, flash: update.provider() };
    },
  };
}

const bytes = (text: string): Uint8Array => fromBase64(text)!;
const identity = ({ certificate, key }: { certificate: string; key: string }) => ({
  certificate: bytes(certificate),
  key: bytes(key),
});

/** Byte strings have come as `{ "hex": … }`, numbers that JSON does not know as `{ "number": … }`. */
function revive(_: string, value: unknown): unknown {
  const { hex, number } = (value ?? {}) as { hex?: string; number?: string };
  if (typeof number === "string") return Number(number);
  if (typeof hex !== "string") return value;
  return Uint8Array.from(hex.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
}

/** Parsed when it is their turn: all at once they would fill the memory. */
const pathCases = paths.map(
  (text, i): ContractCase<undefined> => ({
    title: `path ${i}`,
    run() {
      const vector = JSON.parse(text, revive) as Vector;
      same(outcomeOf(vector, host.crypto), vector.expected, vector.title);
    },
  }),
);
const signatureCases = signatures.map(
  (text, i): ContractCase<undefined> => ({
    title: `signature ${i}`,
    run() {
      const vector = JSON.parse(text, revive) as SignatureVector;
      same(verdictOf(vector, host.crypto), vector.expected, vector.title);
    },
  }),
);

/** Of the first path's certificates, which are a leaf and an intermediate. */
const neighbourCases = [0, 1].map(
  (index): ContractCase<undefined> => ({
    title: `no cut and no changed bit of certificate ${index} is accepted`,
    run() {
      const vector = JSON.parse(paths[0]!, revive) as Vector;
      same(vector.expected, "accepted", vector.title);
      const to = vector.chain[index]!.length;
      const range = { index, from: 0, to, extent: "one bit" } as const;
      const outcomes = Object.keys(outcomesOfMutants(vector, host.crypto, range));
      same(outcomes.filter(outcome => !outcome.startsWith("trust/")).join(), "", "other outcomes");
    },
  }),
);

const onlyP256Signs = (rsaKey: Uint8Array): ContractCase<undefined> => ({
  title: "only keys on P-256 sign: those of other kinds are for TLS",
  run() {
    const { code } = thrown(() => host.crypto.sign(rsaKey, Uint8Array.of(1)), "an RSA key");
    same(code, "trust/algorithm", "the code");
  },
});

/** What the SDK's MQTT client leaves out. @see hosts/moddable/README.md */
const notHeldBySDK: readonly string[] = [
  "CONNACK tells whether the broker has found the session",
  "a CONNECT that is refused is told as a refusal",
  "a message of no bytes is told, and what follows it",
  "a message of quality 1 is acknowledged when the caller does so, by its identifier",
];

async function all(): Promise<void> {
  const { root, strangeRoot, client, rsaClient, stranger, broker, ...server } = config.contract;
  const mqttSubject = (mqtt: MQTTClientConstructor): MqttSubject => ({
    ...broker,
    host,
    mqtt,
    root: bytes(broker.root),
    client: identity(broker.client),
  });
  const portable = cases.map(({ name, run }) => ({ title: name, run }));
  const verify = (point: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
    isSignature(host.crypto, {
      key: { kind: "ec", curve: "P-256", point },
      scheme: { kind: "ecdsa", hash: "SHA-256" },
      message,
      signature,
    });
  await suite("portable", portable, () => undefined);
  await suite("crypto", cryptoCases, () => ({ crypto: host.crypto, verify }));
  await suite("trust", [...pathCases, ...signatureCases, ...neighbourCases], () => undefined);
  await suite("crypto", [onlyP256Signs(bytes(rsaClient.key))], () => undefined);
  await suite("dns", dnsCases, () => host);
  await suite("timer", timerCases, () => host);
  await suite("clock", clockCases, () => host);
  await suite("key-value", keyValueCases, freshMedium);
  const partition = () => ({ flash: host.flash!, path: "outbox" });
  await suite("flash", flashCases, partition);
  await suite("outbox", outboxCases, partition);
  const other = () => ({ flash: host.flash!, path: "nextota" });
  await suite("flash", flashCases, other);
  await suite("update", updateCases, freshSlots);
  await suite("update", revertCases, freshSlots);
  await suite("tls", tlsCases, () => ({
    ...server,
    host,
    root: bytes(root),
    strangeRoot: bytes(strangeRoot),
    client: identity(client),
    rsaClient: identity(rsaClient),
    stranger: identity(stranger),
  }));
  await suite("mqtt", mqttClientCases, () => mqttSubject(MQTTClient));
  const isHeld = ({ title }: { readonly title: string }) => !notHeldBySDK.includes(title);
  const held = mqttClientCases.filter(isHeld);
  same(held.length, mqttClientCases.length - notHeldBySDK.length, "cases that the SDK holds");
  for (const title of notHeldBySDK) trace(`not held by this class: mqtt of the SDK: ${title}\n`);
  await suite("mqtt of the SDK", held, () => mqttSubject(SDKClient));
  trace(`contract: ${passed} passed, ${failed} failed\n`);
}

all().catch((error: unknown) => trace(`contract: ${String(error)}\n`));
