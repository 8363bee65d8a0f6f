// Requests of fleet provisioning, in either format, for the tests of this folder.

import "reflect-metadata";
import { createHash, webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { ExecutionContext } from "ava";
import { decode, encode } from "cborg";
import type { TestClient, TestCloud } from "./harness.js";

x509.cryptoProvider.set(webcrypto);

export type Format = "json" | "cbor";

export const createTopic = "$aws/certificates/create-from-csr/json";
export const keysTopic = "$aws/certificates/create/json";
export const registerTopic = "$aws/provisioning-templates/sensor-node/provision/json";

export const inFormat = (topic: string, format: Format): string =>
  topic.replace(/json$/, () => format);

export function idOf(pem: string): string {
  return createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
}

type KeyAlgorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;

export async function newCsr(
  algorithm: KeyAlgorithm = { name: "ECDSA", namedCurve: "P-256" },
): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const signingAlgorithm = { ...algorithm, hash: "SHA-256" };
  const name = "CN=device";
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm });
  return csr.toString("pem");
}

export function claimClient(world: TestCloud, version: 4 | 5 = 4): TestClient {
  return world.client(idOf(world.cloud.claim().certificate), version).connect("claim-1");
}

export type Reply = Record<string, unknown> & { readonly topic: string };

/** The first reply after `work`, read in the format of its topic. */
export async function replyTo(
  world: TestCloud,
  client: TestClient,
  work: () => void,
): Promise<Reply> {
  const before = client.messages().length;
  work();
  await world.cloud.idle();
  const reply = client.messages()[before];
  if (reply === undefined) throw new Error("no reply");
  const { topic, qos } = reply;
  const payload = Buffer.from(reply.payload);
  const body = topic.includes("/cbor/")
    ? decode(new Uint8Array(payload), { strict: true })
    : JSON.parse(payload.toString());
  return { topic, qos, ...body };
}

/** Bytes and texts go as they are, anything else in the format of the topic. */
export function request(
  world: TestCloud,
  client: TestClient,
  topic: string,
  body: object | string,
): Promise<Reply> {
  const isBytes = body instanceof Uint8Array;
  const text = typeof body === "string" || isBytes ? body : undefined;
  const payload = Buffer.from(
    text ?? (topic.endsWith("cbor") ? encode(body) : JSON.stringify(body)),
  );
  return replyTo(world, client, () =>
    client.send({ cmd: "publish", topic, payload, qos: 0, retain: false, dup: false }),
  );
}

export interface Created {
  readonly id: string;
  readonly token: string;
  readonly reply: Reply;
}

export async function createFromCsr(world: TestCloud, client: TestClient): Promise<Created> {
  const certificateSigningRequest = await newCsr();
  const reply = await request(world, client, createTopic, { certificateSigningRequest });
  return {
    id: String(reply.certificateId),
    token: String(reply.certificateOwnershipToken),
    reply,
  };
}

export function registerThing(
  world: TestCloud,
  client: TestClient,
  token: string,
  parameters: object,
  template = "sensor-node",
): Promise<Reply> {
  const topic = registerTopic.replace("sensor-node", template);
  return request(world, client, topic, { certificateOwnershipToken: token, parameters });
}

/** A device with this serial number, from the claim to its thing. */
export async function provision(
  t: ExecutionContext,
  world: TestCloud,
  serial: string,
): Promise<{ id: string; token: string }> {
  const client = claimClient(world);
  const { id, token, reply } = await createFromCsr(world, client);
  t.is(reply.topic, `${createTopic}/accepted`);
  const registered = await registerThing(world, client, token, { SerialNumber: serial });
  t.like(registered, {
    topic: `${registerTopic}/accepted`,
    qos: 0,
    thingName: `node-${serial}`,
    deviceConfiguration: {},
  });
  client.send({ cmd: "disconnect" });
  return { id, token };
}
