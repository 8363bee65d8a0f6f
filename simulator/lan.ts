// `--lan`: where the local cloud listens for boards on the bench, what its certificate says, and what firmware calls it.
import { isIP } from "node:net";
import { hostname, type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { join } from "node:path";

/** Where MQTT and downloads listen; REST and uploads ask nobody who he is, and stay on loopback whatever this says. */
export interface Place {
  /** The address to bind. */
  readonly host: string;
  /** What firmware connects to; `names` has it too. */
  readonly endpoint: string;
  /** Names and addresses in the server's certificate beside localhost and 127.0.0.1. */
  readonly names: readonly string[];
}

/** Without the flag. */
export const thisMachine: Place = { host: "127.0.0.1", endpoint: "localhost", names: [] };

/** What this machine is called, and where it can be reached. */
export interface Machine {
  readonly hostname: string;
  readonly interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
}

/** A certificate with more of them would no longer be a small message. */
const maxNames = 16;
/** Every address: IPv4, and IPv6 with IPv4. */
const anyHosts: readonly string[] = ["0.0.0.0", "::"];
/** What `npm run esp32` takes when nothing is said. */
const ownFirmware = join(".skerry", "firmware.json");
const label = /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$/;

/**
 * @param given names and addresses, the first of them being what firmware connects to; none: this machine's own
 * @throws      Error saying which name cannot be taken, and why
 */
export function placeOf(given: readonly string[], machine: Machine = self()): Place {
  const names = [...new Set(given.length === 0 ? namesOf(machine) : given)];
  for (const name of names) checkName(name);
  if (names.length > maxNames)
    throw new Error(`--lan: ${names.length} names and addresses, at most ${maxNames} are taken.`);
  const [endpoint = ""] = names;
  if (given.length === 0 && isIP(endpoint) === 0)
    throw new Error(
      "--lan: this machine has no IPv4 address but its own loopback. Connect it, or say how boards reach it: --lan 192.168.1.20",
    );
  return { host: hostOf(given, machine), endpoint, names };
}

/** What a person does next, once the ports are known. */
export function describePlace(
  { host, endpoint, names }: Place,
  { port, downloads, firmware }: { port: number; downloads: number; firmware: string },
): string {
  const config = firmware === ownFirmware ? "" : ` --config ${quoted(firmware)}`;
  const where = anyHosts.includes(host) ? "every address" : host;
  return `
For boards: MQTT on port ${port} and firmware downloads on port ${downloads}, on ${where} of this machine.
REST and uploads stay on 127.0.0.1. Let both ports through a firewall, if there is one.
The server's certificate is for ${["localhost", "127.0.0.1", ...names].join(", ")}.
Firmware connects to ${endpoint}${isIP(endpoint) === 0 ? ", a name that boards have to be able to resolve" : ""}; another one: --lan NAME-OR-ADDRESS.

All of it is in ${firmware}: endpoint, port, trust anchor, claim and serial number. Now, with ESP-IDF set up:
  npm run esp32 -- configure${config} --ssid "YOUR WI-FI"
  npm run esp32 -- flash${config} --port /dev/ttyUSB0
  npm run esp32 -- monitor --port /dev/ttyUSB0
Who has the claim that is in it can have a certificate from this cloud: treat the file, and boards, like a key.
`;
}

function self(): Machine {
  return { hostname: hostname(), interfaces: networkInterfaces() };
}

/** Addresses first: not every network has a server for names, and boards ask none for `.local`. */
function namesOf({ hostname, interfaces }: Machine): string[] {
  const addresses = Object.values(interfaces)
    .flatMap(list => list ?? [])
    .filter(
      ({ family, internal, address }) => family === "IPv4" && !internal && !isLinkLocal(address),
    )
    .map(({ address }) => address)
    .sort((one, other) => rank(one) - rank(other))
    .slice(0, maxNames - 2);
  const isName = hostname !== "localhost" && faultOf(hostname) === undefined;
  const called = !isName
    ? []
    : hostname.includes(".")
      ? [hostname]
      : [hostname, `${hostname}.local`];
  return [...addresses, ...called];
}

/** Bridges of virtual machines and containers tend to have 172.16.0.0/12; benches do not. */
function rank(address: string): number {
  if (address.startsWith("192.168.")) return 0;
  if (address.startsWith("10.")) return 1;
  return /^172\.(1[6-9]|2\d|3[01])\./.test(address) ? 3 : 2;
}

/** One address of this machine is all that is listened on; a name, or several of them, may stand for any. */
function hostOf(given: readonly string[], { interfaces }: Machine): string {
  const own = Object.values(interfaces).flatMap(list => (list ?? []).map(({ address }) => address));
  const [only = ""] = given;
  if (given.length === 1 && (own.includes(only) || /^127\./.test(only) || only === "::1"))
    return only;
  return anyHosts[given.some(name => isIP(name) === 6) ? 1 : 0]!;
}

function checkName(name: string): void {
  const fault = faultOf(name);
  if (fault !== undefined) throw new Error(`--lan ${name}: ${fault}.`);
}

function faultOf(name: string): string | undefined {
  if (isIP(name) !== 0 && name.includes("%"))
    return "an address with a zone means something on this machine only, no board can connect to it";
  if (isIP(name) !== 0)
    return anyHosts.includes(name) ? "no board can connect to that address" : undefined;
  if (name.includes("://") || /:\d+$/.test(name))
    return "a name or an address is wanted, without scheme and port";
  if (/^[\d.]+$/.test(name)) return "not an address: four numbers from 0 to 255 are wanted";
  return name.length <= 253 && name.split(".").every(part => label.test(part))
    ? undefined
    : "neither an address nor a host name";
}

/** For a shell; what needs no quotes stays as it is. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.");
}
