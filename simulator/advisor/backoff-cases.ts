// The backoff cases: servers that do not answer, that end the link, that let in and throw out.
// @see AWS IoT developer guide, "device-advisor-tests-mqtt"
import { type BackoffKind, backoffKind, leastWaits } from "./backoff.js";
import type { Case } from "./case.js";
import type { Conversation, Examiner } from "./examiner.js";
import { fail, pass, seconds, type Verdict, warn } from "./verdict.js";

const second = 1000;
const minute = 60 * second;
const limitMs = 4 * minute;
/** Twelve connects and the success between them need the default, not the advised 4 minutes. */
const jitterLimitMs = 5 * minute;
/** A link that held this long is a success to most devices: their backoff starts anew. */
export const stableMs = 62 * second;
/** Retries looked at where there is time for them; five have to be. */
const retries = 10;

/** From the end of each attempt to the beginning of the next. */
export function waitsOf(attempts: readonly Conversation[]): number[] {
  return attempts
    .slice(1)
    .map(({ openedAt }, i) => openedAt - Math.min(attempts[i]!.closedAt ?? openedAt, openedAt))
    .map((wait, i) => (wait > 0 ? wait : attempts[i + 1]!.openedAt - attempts[i]!.openedAt));
}

const names: Readonly<Record<BackoffKind, string>> = Object.freeze({
  jitter: "jitter",
  exponential: "exponential without jitter",
  linear: "linear",
  constant: "constant",
  random: "jitter that does not grow",
  unknown: "too few to tell",
});

function describe(kind: BackoffKind, waits: readonly number[]): string {
  const shown = waits.map(wait =>
    wait < 10 * second ? (wait / second).toFixed(1) : Math.round(wait / second),
  );
  return `${names[kind]}: ${shown.join(" ")} s`;
}

function tooFew(waits: readonly number[], withinMs: number): Verdict {
  return fail(`${waits.length} retries in ${seconds(withinMs)}, ${leastWaits} are needed`);
}

/** Gives no CONNACK until there were `count` CONNECTs. @returns the waits before each of them but the first, and after the last */
async function silentConnects(x: Examiner, count: number, endAt: number): Promise<number[]> {
  const first = x.connects.length;
  x.withheld.add("connack");
  const leftMs = () => Math.max(0, endAt - x.time.ticks());
  await x.time.until(() => x.connects.length >= first + count, leftMs());
  x.withheld.delete("connack");
  await x.time.until(() => x.connects.length > first + count, leftMs());
  return waitsOf(x.connects.slice(first, first + count + 1));
}

/** Five silences, one success, and all of it again: twelve connects. */
async function jitterCase(x: Examiner): Promise<Verdict> {
  const endAt = x.time.ticks() + jitterLimitMs;
  const once = await silentConnects(x, leastWaits, endAt);
  await x.time.until(() => x.online !== undefined, endAt - x.time.ticks());
  const online = x.online;
  await x.time.until(() => !online?.isOpen, Math.min(stableMs, endAt - x.time.ticks()));
  if (online) x.close(online);
  const twice = await silentConnects(x, leastWaits, endAt);
  if (twice.length < leastWaits)
    return fail(`${x.connects.length} connects in ${seconds(jitterLimitMs)}, 12 are needed`);
  const kinds = [once, twice].map(backoffKind);
  const kind = kinds.includes("jitter") ? "jitter" : kinds[1]!;
  const text = describe(kind, [...once, ...twice]);
  if (kind === "jitter") return pass(text);
  return kind === "exponential" || kind === "random" ? warn(text) : fail(text);
}

async function exponentialCase(x: Examiner): Promise<Verdict> {
  const waits = await silentConnects(x, 8, x.time.ticks() + limitMs);
  const kind = backoffKind(waits);
  if (kind === "unknown") return tooFew(waits, limitMs);
  const text = describe(kind, waits);
  return kind === "jitter" || kind === "exponential" ? pass(text) : fail(text);
}

/** Lets the device in and ends the link again and again. */
export async function endedLinks(
  x: Examiner,
  count: number,
  withinMs: number,
  end: (online: Conversation) => Promise<void>,
): Promise<readonly number[]> {
  const first = x.connects.length;
  const endAt = x.time.ticks() + withinMs;
  const leftMs = () => Math.max(0, endAt - x.time.ticks());
  for (let i = 0; i <= count; i++) {
    if (!(await x.time.until(() => x.online !== undefined, leftMs()))) break;
    if (i < count) await end(x.online!);
  }
  return waitsOf(x.connects.slice(first));
}

export function judgeReconnects(waits: readonly number[], withinMs: number): Verdict {
  const kind = backoffKind(waits);
  if (kind === "unknown") return tooFew(waits, withinMs);
  const text = describe(kind, waits);
  if (kind === "jitter") return pass(text);
  return kind === "exponential" || kind === "random" ? warn(text) : fail(text);
}

async function serverDisconnect(x: Examiner): Promise<Verdict> {
  const waits = await endedLinks(x, retries, limitMs, async online => {
    await x.time.until(() => !online.isOpen, second);
    x.disconnect(online);
  });
  return judgeReconnects(waits, limitMs);
}

async function unstableConnection(x: Examiner): Promise<Verdict> {
  const waits = await endedLinks(x, retries, limitMs, async online => x.close(online, "abort"));
  return judgeReconnects(waits, limitMs);
}

const backoffCase = (
  name: string,
  examine: Case["examine"],
  ms = limitMs,
  isQualification = false,
): Case => ({ name, isQualification, limitMs: ms, isAboutBackoff: true, examine });

export const backoffCases: readonly Case[] = Object.freeze([
  backoffCase("MQTT_Connect_Jitter_Backoff_Retries", jitterCase, jitterLimitMs, true),
  backoffCase("MQTT_Connect_Exponential_Backoff_Retries", exponentialCase),
  backoffCase("MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect", serverDisconnect),
  backoffCase("MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection", unstableConnection),
]);
