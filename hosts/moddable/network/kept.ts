// The Wi-Fi that a product was told after it was built, in the host's own domain of storage.
import { AgentError } from "../../../src/errors.js";
import type { KeyValue, KeyValueProvider } from "../../../src/host.js";
import { concat, fromUtf8, toUtf8 } from "../../../src/util/bytes.js";
import { readPair, writePair } from "../../../src/util/sealed.js";
import { type Credentials, checkCredentials } from "./fault.js";

const domain = "skerry-host";
const key = "wifi";

/** @throws AgentError "storage/damaged" for what cannot be read or was not written by `keep`, "storage/write" for storage that does not open */
export function readKept(storage: KeyValueProvider): Credentials | undefined {
  const stored = within(storage, values => readPair(values, key));
  // Nothing, since it was taken back.
  if (stored === undefined || stored.length === 0) return undefined;
  try {
    const credentials = decode(stored);
    checkCredentials(credentials);
    return credentials;
  } catch (cause) {
    throw new AgentError("storage/damaged", `${domain}/${key}: is no Wi-Fi`, { cause });
  }
}

/** @param credentials undefined takes back what was kept. @throws AgentError "storage/write": what was kept still is */
export function keep(storage: KeyValueProvider, credentials: Credentials | undefined): void {
  const bytes = credentials ? encode(credentials) : new Uint8Array(0);
  within(storage, values => {
    writePair(values, key, bytes);
    if (credentials === undefined) overwriteOther(values, bytes);
  });
}

/** A password that was taken back is not to lie in the older place, nor to be read where the newer is damaged later. */
function overwriteOther(values: KeyValue, bytes: Uint8Array): void {
  try {
    writePair(values, key, bytes);
  } catch (_refused) {
    // What counts has been written.
  }
}

function within<Result>(storage: KeyValueProvider, work: (values: KeyValue) => Result): Result {
  const values = storage.open({ path: domain });
  try {
    return work(values);
  } finally {
    values.close();
  }
}

/** Length and bytes of the name; then the password, if there is one. */
function encode({ ssid, password = "" }: Credentials): Uint8Array {
  const name = toUtf8(ssid);
  return concat([Uint8Array.of(name.length), name, toUtf8(password)]);
}

function decode(bytes: Uint8Array): Credentials {
  const end = 1 + bytes[0]!;
  const ssid = fromUtf8(bytes, 1, end);
  return end < bytes.length ? { ssid, password: fromUtf8(bytes, end) } : { ssid };
}
