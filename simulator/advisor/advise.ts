// `npm run advise`: examines the agent, or whatever device connects, and prints what came of it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { parsePolicy } from "../cloud/policy.js";
import { configOf, examineAgent } from "./agent.js";
import type { Case } from "./case.js";
import { caseNames, linkCases, longCase, policyCase } from "./catalog.js";
import { type Identities, identitiesSchema, makeIdentities } from "./certificates.js";
import { Front } from "./front.js";
import { judgePolicies } from "./policy-case.js";
import { duration, summaryOf, tableOf, totalOf } from "./report.js";
import { countOf, notYet, type Row } from "./row.js";
import { examineOnSocket, rest, type SocketOptions } from "./sockets.js";
import { RealTime } from "./time.js";

export interface AdviseOptions {
  /** Of `catalog`; all when absent. */
  readonly cases?: readonly string[];
  /** Chance in virtual time. */
  readonly seed?: number;
  /** Wait for a device on this port, 0 for any, instead of examining the agent. */
  readonly listen?: number;
  /** Where the certificates for `listen` live. */
  readonly directory: string;
  /** Refuse MQTT 5, so that a device shows how it speaks 3.1.1. */
  readonly isOld?: boolean;
  readonly topic?: string;
  readonly desired?: object;
  /** A job's document that the device can do. */
  readonly job?: object;
  /** A file with the device's policy. */
  readonly policy?: string;
  readonly columns: number;
  say(text: string): void;
}

/** A device may be in a long backoff when a case begins. */
const patienceMs = 600_000;
const renewalMs = 30 * 86_400_000;

/** @returns whether nothing failed. @throws Error naming a case that does not exist, or a file that cannot be used */
export async function advise(options: AdviseOptions): Promise<boolean> {
  for (const name of options.cases ?? []) {
    if (!caseNames.includes(name)) throw new Error(`there is no case ${name}: see --list`);
  }
  const rows =
    options.listen === undefined ? await onTheAgent(options) : await onWhoConnects(options);
  const { say, columns } = options;
  say(`\n${tableOf(rows, columns)}`);
  for (const row of rows) if (row.summary) say(`\n${summaryOf(row, columns)}`);
  say(`\n${totalOf(rows)}`);
  return countOf(rows, "fail") === 0;
}

async function onTheAgent({ cases, seed, say }: AdviseOptions): Promise<readonly Row[]> {
  say("Examines the agent: TLS on sockets of this machine, all else in virtual time.");
  return examineAgent({
    ...(cases === undefined ? {} : { cases }),
    ...(seed === undefined ? {} : { seed }),
    onRow: () => undefined,
  });
}

async function onWhoConnects(options: AdviseOptions): Promise<readonly Row[]> {
  const { say, cases } = options;
  const identities = await keptIdentities(options.directory);
  const time = new RealTime();
  const onChange = () => time.wake();
  const front = await Front.listen({
    host: "127.0.0.1",
    port: options.listen!,
    identities,
    onChange,
  });
  try {
    say(instructions(options.directory, identities, front.port));
    const { topic, desired, job, isOld } = options;
    const version = isOld ? 4 : undefined;
    const socket: SocketOptions = { front, time, version, topic, desired, job, patienceMs };
    const isWanted = (name: string) => cases === undefined || cases.includes(name);
    const rows: Row[] = [];
    for (const which of linkCases.filter(({ name }) => isWanted(name))) {
      rows.push(await examined(which, socket, rows.length === 0, say));
    }
    if (isWanted(policyCase)) rows.push(policyRow(options));
    if (cases?.includes(longCase.name))
      rows.push(await examined(longCase, socket, rows.length === 0, say));
    else if (cases === undefined) {
      rows.push(notYet(longCase.name, false, `takes hours: --case ${longCase.name}`));
    }
    return rows;
  } finally {
    await front.close();
  }
}

async function examined(
  which: Case,
  socket: SocketOptions,
  isFirst: boolean,
  say: (text: string) => void,
): Promise<Row> {
  if (which.isAboutBackoff && !isFirst) {
    say("  a minute in peace, so that the device's backoff starts anew");
    await rest(socket);
  }
  say(`· ${which.name}, up to ${duration(which.limitMs)}`);
  const row = await examineOnSocket(which, socket);
  say(`  ${row.verdict!.grade}: ${row.verdict!.seen}`);
  return row;
}

function policyRow({ policy }: AdviseOptions): Row {
  if (policy === undefined) {
    return notYet(policyCase, false, "the policy is in your account: --policy <file>");
  }
  const document = parsePolicy(policy, readJson(policy));
  const verdict = judgePolicies([document]);
  return { ...notYet(policyCase, false, ""), verdict };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${path} cannot be used: ${reason}`, { cause });
  }
}

/** The same on every run, so that a device is told once. */
async function keptIdentities(directory: string): Promise<Identities> {
  const path = join(directory, "identities.json");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const kept = readKept(path);
  if (kept) return kept;
  const made = await makeIdentities(["localhost", "127.0.0.1"]);
  writeFileSync(path, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  return made;
}

/** @returns undefined when there are none, or when they end soon */
function readKept(path: string): Identities | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), identitiesSchema), text);
  if (!read.success) throw new Error(`${path} is damaged: remove it to have new certificates made`);
  return read.output.endsAt - Date.now() > renewalMs ? read.output : undefined;
}

/** Writes what a device needs beside the identities. @returns the words for the person who sets it up */
function instructions(directory: string, identities: Identities, port: number): string {
  const files = {
    "anchor.pem": identities.trustAnchor,
    "device.pem": identities.device.certificate,
    "device.key": identities.device.key,
    "firmware.json": `${JSON.stringify({ config: { sensorNode: configOf(identities, port) } }, null, 2)}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  }
  const lines = [
    ["endpoint", "localhost"],
    ["port", String(port)],
    ["trust anchor", join(directory, "anchor.pem")],
    ["certificate", join(directory, "device.pem")],
    ["key", `${join(directory, "device.key")} (PKCS#8)`],
    ["all in one", `${join(directory, "firmware.json")} (for the sensor node)`],
  ];
  return [
    "Put this into the device; client id and thing name are as you like:",
    ...lines.map(([name, value]) => `  ${name!.padEnd(12)}  ${value}`),
    "Waiting for it to connect. Ctrl-C ends.",
  ].join("\n");
}
