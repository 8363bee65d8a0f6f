// The identity's place in flash: a journal written to two places in turn, and two places for key and certificate. What is
// in force is never written over; every value has a checksum, so that a torn one counts as not written.
import { type Json, readJson, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { KeyPair, KeyValue } from "../host.js";
import { limits } from "../limits.js";
import { fromBase64, fromUtf8, toBase64, toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import { readPair, seal, unseal, writePair } from "../util/sealed.js";
import type { Enrollment, Identity, ProvisioningRecord, Slot } from "./provisioning.js";
import { enrollmentTable } from "./table.js";

/** What a place holds. A key that the cloud makes comes with its certificate, and has no public half here. */
export interface Credential {
  readonly keyPair: KeyPair;
  /** DER, own certificate first; empty until there is one. */
  readonly certificates: readonly Uint8Array[];
}

const credentialShape = deepFreeze({
  privateKey: "string",
  publicKey: "string",
  certificates: "string",
} as const);

const recordShape = deepFreeze({
  identity: { slot: "scalar", certificateId: "string", thingName: "string" },
  enrollment: {
    state: "string",
    via: "string",
    slot: "integer",
    certificateId: "string",
    ownershipToken: "string",
    tokenUntil: "integer",
    thingName: "string",
    refusals: "integer",
  },
  retired: "string",
} as const);

export class CredentialStore {
  readonly #store: KeyValue;

  constructor(store: KeyValue) {
    this.#store = store;
  }

  /** @returns the record; undefined when nothing was ever written. @throws AgentError "storage/damaged" */
  read(): ProvisioningRecord | undefined {
    const stored = readPair(this.#store, "identity");
    return stored && parseRecord(stored);
  }

  /** @throws what the store throws, or AgentError for what could not be read again: the record before it still holds */
  write(record: ProvisioningRecord): void {
    const content = toUtf8(writeJson({ ...record } as Json));
    parseRecord(content);
    writePair(this.#store, "identity", content);
  }

  /** @throws AgentError "storage/damaged" */
  readCredential(slot: Slot): Credential {
    const stored = unseal(this.#store.read(nameOf(slot)));
    if (stored === undefined) throw damaged(`${nameOf(slot)} is not whole`);
    const { privateKey, publicKey, certificates } = readJson(
      stored.content,
      credentialShape,
      nameOf(slot),
    );
    return {
      keyPair: { privateKey: bytesOf(privateKey), publicKey: bytesOf(publicKey) },
      certificates: certificates ? certificates.split(" ").map(bytesOf) : [],
    };
  }

  /** @throws what the store throws */
  writeCredential(slot: Slot, { keyPair, certificates }: Credential): void {
    this.put(slot, keyPair, certificates.map(toBase64).join(" "));
  }

  /** Finds out whether the place takes a certificate, before one is asked for; `keyPair` is there afterwards. */
  probe(slot: Slot, keyPair: KeyPair): void {
    this.put(slot, keyPair, "", "x".repeat(limits.probeBytes));
  }

  erase(slot: Slot): void {
    if (this.#store.read(nameOf(slot)) !== undefined) this.#store.delete(nameOf(slot));
  }

  /** Nothing is thrown away: what cannot be read is kept under another name. @throws what the store throws */
  keepAside(): void {
    for (const name of ["identity.0", "identity.1", nameOf(0), nameOf(1)]) {
      const stored = this.#store.read(name);
      if (stored !== undefined) this.#store.write(`bad.${name}`, new Uint8Array(stored));
    }
  }

  private put(slot: Slot, keyPair: KeyPair, certificates: string, filler?: string): void {
    const content = writeJson({
      privateKey: toBase64(keyPair.privateKey),
      publicKey: toBase64(keyPair.publicKey),
      certificates,
      filler,
    });
    this.#store.write(nameOf(slot), seal(0, toUtf8(content)));
  }
}

function nameOf(slot: Slot): string {
  return `key.${slot}`;
}

/** @throws AgentError "storage/damaged" when a member is missing that the state needs */
function parseRecord(content: Uint8Array): ProvisioningRecord {
  const stored = readJson(content, recordShape, "identity");
  const { identity, enrollment, retired } = stored;
  const isWhole =
    (identity === undefined || isIdentity(identity)) &&
    (enrollment === undefined || isEnrollment(enrollment));
  if (!isWhole) throw damaged(fromUtf8(content).slice(0, 64));
  return {
    ...(identity ? { identity: identity as Identity } : {}),
    ...(enrollment ? { enrollment: known(enrollment) as unknown as Enrollment } : {}),
    ...(retired ? { retired } : {}),
  };
}

type StoredIdentity = { slot: unknown; certificateId: unknown; thingName: unknown };

function isIdentity({ slot, certificateId, thingName }: StoredIdentity): boolean {
  return (slot === "given" || isSlot(slot)) && Boolean(certificateId && thingName);
}

type StoredEnrollment = { [name in keyof (typeof recordShape)["enrollment"]]: unknown };

function isEnrollment(enrollment: StoredEnrollment): boolean {
  const { state, via, slot, certificateId, ownershipToken, thingName } = enrollment;
  if (!isSlot(slot) || (via !== "claim" && via !== "identity") || state === "none") return false;
  if (state === "certified") return Boolean(certificateId && ownershipToken);
  if (state === "registered") return Boolean(certificateId && thingName);
  return typeof state === "string" && Object.hasOwn(enrollmentTable, state);
}

function isSlot(slot: unknown): boolean {
  return slot === 0 || slot === 1;
}

/** Without the members that are not there. */
function known(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function bytesOf(text: string | undefined): Uint8Array {
  return (text && fromBase64(text)) || new Uint8Array(0);
}

function damaged(reason: string): AgentError {
  return new AgentError("storage/damaged", `the stored identity cannot be read: ${reason}`);
}
