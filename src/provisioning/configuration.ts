// What the template's DeviceConfiguration said, kept in storage beside the identity.
import { readJson, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { toUtf8 } from "../util/bytes.js";
import { readPair, writePair } from "../util/sealed.js";
import type { Wiring } from "../wiring.js";

export type Configuration = ReadonlyMap<string, string>;

const key = "configuration";

export function readConfiguration(wiring: Wiring): Configuration {
  try {
    const stored = readPair(wiring.store, key);
    return (stored && readJson(stored, "strings", key)) ?? new Map();
  } catch (error) {
    wiring.emit({ type: "fault", error: error as AgentError });
    return new Map();
  }
}

/** What has not changed is not written again, what is too long is not kept. @returns what is kept now */
export function keepConfiguration(
  wiring: Wiring,
  before: Configuration,
  configuration: Configuration,
): Configuration {
  // Written member by member: on XS each name would stay for ever as a property's.
  const members = [...configuration].map(
    ([name, value]) => `${writeJson(name)}:${writeJson(value)}`,
  );
  const bytes = toUtf8(`{${members.join(",")}}`);
  if (bytes.length > limits.configurationBytes) {
    const message = `deviceConfiguration of ${bytes.length} bytes, at most ${limits.configurationBytes} are kept`;
    wiring.emit({ type: "fault", error: new AgentError("provisioning/response", message) });
    return before;
  }
  if (!isSame(before, configuration)) writePair(wiring.store, key, bytes);
  return configuration;
}

function isSame(one: Configuration, other: Configuration): boolean {
  return one.size === other.size && [...other].every(([name, value]) => one.get(name) === value);
}
