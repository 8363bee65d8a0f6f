// MQTT_Long_Duration: three phases over hours, and the summary it ends with.
// @see AWS IoT developer guide, "device-advisor-tests-long-duration"
import { type BackoffKind, backoffKind } from "./backoff.js";
import { endedLinks, judgeReconnects, waitsOf } from "./backoff-cases.js";
import type { Case } from "./case.js";
import { type Conversation, type Examiner, outlives } from "./examiner.js";
import {
  acknowledges,
  largestPayload,
  noticesSilence,
  persistentSession,
  untilOnline,
  untilSubscribed,
} from "./mqtt-cases.js";
import { counted, fail, pass, type Verdict, warn, worstOf } from "./verdict.js";

const second = 1000;
const minute = 60 * second;

export interface Summary {
  readonly keepAliveSeconds: readonly number[];
  readonly keepsSession: boolean;
  readonly connects: number;
  readonly backoff: BackoffKind;
  readonly published: readonly string[];
  readonly subscribed: readonly string[];
}

/** The numbers of the phases; the documentation's defaults. */
export const longDuration = Object.freeze({
  basicMs: 30 * minute,
  /** An answer to QoS 1 comes this late, in the basic phase. */
  heldMs: 15 * second,
  cutsMs: 30 * minute,
  reconnectMs: 40 * minute,
  awayMs: 60 * minute,
});

interface Part {
  readonly name: string;
  run(x: Examiner): Promise<Verdict>;
}

const isBack = async (x: Examiner, limitMs: number): Promise<Verdict> =>
  (await untilOnline(x, limitMs)) ? pass("") : fail("did not come back");

/** Connects, publishes and subscribes though answers come late, and comes back after a cut. */
async function basic(x: Examiner): Promise<Verdict> {
  const online = await untilOnline(x, 5 * minute);
  if (!online) return fail("never connected");
  x.delayMs = longDuration.heldMs;
  await x.time.until(() => !online.isOpen, longDuration.basicMs / 2);
  const stayed = online.isOpen;
  x.delayMs = 0;
  if (stayed) x.close(online, "abort");
  const back = await untilSubscribed(x, 5 * minute);
  if (!back) return fail("did not come back");
  await x.time.until(() => false, longDuration.basicMs / 2);
  const packets = x.conversations.flatMap(each => each.packets.map(({ packet }) => packet.cmd));
  for (const cmd of ["publish", "subscribe"] as const)
    if (!packets.includes(cmd)) return fail(`no ${cmd.toUpperCase()}`);
  if (online.version === 4 && !repeats(online))
    return warn("nothing was sent again while answers were late");
  return pass("");
}

/** Anything that asked for an answer and was sent again on the same link. */
function repeats(online: Conversation): boolean {
  const ids = new Set<string>();
  for (const { packet } of online.packets) {
    if (packet.cmd !== "publish" && packet.cmd !== "subscribe") continue;
    const id = `${packet.cmd} ${packet.messageId}`;
    if (packet.messageId !== undefined && ids.has(id)) return true;
    ids.add(id);
  }
  return false;
}

async function keepAlive(x: Examiner): Promise<Verdict> {
  const online = await untilSubscribed(x, 5 * minute);
  if (!online?.connect?.keepalive) return fail("no keep-alive");
  const keepAliveMs = online.connect.keepalive * second;
  const first = online.packets.length;
  await x.time.until(() => !online.isOpen, 3 * keepAliveMs);
  const moments = [online.openedAt, ...online.packets.slice(first - 1).map(({ at }) => at)].slice(
    1,
  );
  const gap = Math.max(...moments.slice(1).map((at, i) => at - moments[i]!), 0);
  if (moments.length < 2 || gap > keepAliveMs + second)
    return fail("was silent for longer than its keep-alive");
  for (const answer of ["puback", "suback", "pingresp"] as const) x.withheld.add(answer);
  const verdict = await noticesSilence(x, online, keepAliveMs);
  x.withheld.clear();
  return verdict;
}

/** Cuts at random moments, of random length. Chance without a seed would not be the same twice. */
async function intermittent(x: Examiner): Promise<Verdict> {
  const endAt = x.time.ticks() + longDuration.cutsMs;
  let chance = 1;
  const below = (bound: number) => {
    chance = (chance * 48_271) % 0x7fff_ffff;
    return chance % bound;
  };
  let cuts = 0;
  while (x.time.ticks() < endAt) {
    const online = await untilOnline(x, 6 * minute);
    if (!online) return fail(`did not come back after cut ${cuts}`);
    await x.time.until(() => !online.isOpen, below(4 * minute));
    cuts++;
    x.isAway = true;
    x.close(online, "abort");
    await x.time.until(() => false, below(minute));
    x.isAway = false;
  }
  const verdict = await isBack(x, 6 * minute);
  return verdict.grade === "pass" ? pass(`${cuts} cuts`) : verdict;
}

async function reconnects(x: Examiner): Promise<Verdict> {
  // A backoff that is still long from what came before says nothing about growth.
  const online = await untilOnline(x, 6 * minute);
  await x.time.until(() => !online?.isOpen, 2 * minute);
  const waits = await endedLinks(x, 10, longDuration.reconnectMs, async each => x.close(each));
  return judgeReconnects(waits, longDuration.reconnectMs);
}

async function longDisconnect(x: Examiner): Promise<Verdict> {
  const online = await untilOnline(x, 6 * minute);
  if (!online) return fail("was not there to be disconnected");
  x.isAway = true;
  x.close(online);
  await x.time.until(() => false, longDuration.awayMs);
  x.isAway = false;
  const since = x.time.ticks();
  if (!(await untilOnline(x, 15 * minute))) return fail("did not come back in 15 minutes");
  return pass(`back after ${Math.round((x.time.ticks() - since) / second)} s`);
}

const parts: readonly Part[] = Object.freeze([
  { name: "BASIC", run: basic },
  { name: "PUBACK_QOS_1", run: (x: Examiner) => acknowledges(x, [256], 5 * minute) },
  {
    name: "RECEIVE_LARGE_PAYLOAD",
    run: (x: Examiner) => acknowledges(x, [largestPayload], 5 * minute),
  },
  { name: "PERSISTENT_SESSION", run: persistentSession },
  { name: "KEEP_ALIVE", run: keepAlive },
  { name: "INTERMITTENT_CONNECTIVITY", run: intermittent },
  { name: "RECONNECT_BACK_OFF", run: reconnects },
  { name: "LONG_SERVER_DISCONNECT", run: longDisconnect },
]);

export const longParts: readonly string[] = parts.map(({ name }) => name);

async function longRun(x: Examiner): Promise<Verdict> {
  const verdicts: Verdict[] = [];
  for (const { name, run } of parts) {
    const { grade, seen } = await run(x);
    verdicts.push({ grade, seen: `${name}: ${seen}` });
    x.withheld.clear();
    x.isAway = false;
  }
  const worst = worstOf(verdicts)!;
  const hours = (x.time.ticks() / (60 * minute)).toFixed(1);
  return worst.grade === "pass"
    ? pass(`${counted(parts.length, "part")} in ${hours} hours`)
    : worst;
}

/** What Device Advisor's log ends with. */
export function summaryOf(x: Examiner): Summary {
  const { connects } = x;
  const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];
  const packets = connects.flatMap(each => each.packets.map(({ packet }) => packet));
  return {
    keepAliveSeconds: distinct(connects.map(({ connect }) => connect!.keepalive ?? 0)),
    keepsSession: connects.every(({ connect }) => outlives(connect!)),
    connects: connects.length,
    backoff: backoffKind(longestRun(connects)),
    published: distinct(
      packets.flatMap(packet => (packet.cmd === "publish" && packet.topic ? [packet.topic] : [])),
    ),
    subscribed: distinct(
      packets.flatMap(packet =>
        packet.cmd === "subscribe" ? packet.subscriptions.map(({ topic }) => topic) : [],
      ),
    ),
  };
}

/** Waits between the links that ended as soon as they had begun, the longest row of them. */
function longestRun(connects: readonly Conversation[]): readonly number[] {
  let best: readonly Conversation[] = [];
  let run: Conversation[] = [];
  for (const each of connects) {
    run.push(each);
    if (run.length > best.length) best = [...run];
    const isShort = each.closedAt !== undefined && each.closedAt - each.openedAt < 5 * second;
    if (!isShort) run = [];
  }
  return waitsOf(best);
}

export const longCase: Case = Object.freeze({
  name: "MQTT_Long_Duration",
  isQualification: false,
  limitMs: 300 * minute,
  examine: longRun,
});
