// What a device's flash holds of its identity, for a test to look at.
import type { Flash } from "../../simulator/world/flash.js";
import { Power } from "../../simulator/world/power.js";
import { type Credential, CredentialStore } from "../../src/provisioning/credentials.js";
import type { ProvisioningRecord, Slot } from "../../src/provisioning/provisioning.js";

export interface Held {
  readonly record: ProvisioningRecord;
  /** Of the identity in force; undefined when there is none. */
  readonly credential: Credential | undefined;
  /** Private keys in any place. */
  readonly privateKeys: readonly Uint8Array[];
}

export function heldIn(flash: Flash): Held {
  const store = new CredentialStore(flash.provider(new Power()).open({ path: "skerry" }));
  const record = store.read() ?? {};
  const slot = record.identity?.slot;
  const places: readonly Slot[] = [0, 1];
  const credentials = places.flatMap(place => {
    try {
      return [store.readCredential(place)];
    } catch {
      return [];
    }
  });
  return {
    record,
    credential: slot === undefined || slot === "given" ? undefined : store.readCredential(slot),
    privateKeys: credentials.map(({ keyPair }) => keyPair.privateKey),
  };
}
