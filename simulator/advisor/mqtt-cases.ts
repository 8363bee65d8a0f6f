// The MQTT cases: connect, subscribe, publish, acknowledge, send again, keep alive, keep a session.
// @see AWS IoT developer guide, "device-advisor-tests-mqtt"
import type { Case } from "./case.js";
import { type Conversation, type Examiner, outlives } from "./examiner.js";
import { counted, fail, pass, seconds, type Verdict } from "./verdict.js";

const second = 1000;
const minute = 60 * second;
/** The largest payload AWS IoT carries. */
export const largestPayload = 131_072;
/** No answer is waited for longer than this where the documentation leaves it open. */
const patienceMs = 30 * second;

export async function untilOnline(x: Examiner, limitMs: number): Promise<Conversation | undefined> {
  await x.time.until(() => x.online !== undefined, limitMs);
  return x.online;
}

/** Online, and every subscription it asked for is granted: nothing more came for a while. */
export async function untilSubscribed(
  x: Examiner,
  limitMs: number,
): Promise<Conversation | undefined> {
  const isIt = () => x.online !== undefined && x.isSubscribed(x.online);
  if (!(await x.time.until(isIt, limitMs))) return undefined;
  await x.time.until(() => false, second);
  return x.online;
}

const notOnline = (x: Examiner) =>
  fail(x.conversations.length === 0 ? "never connected" : "never came as far as CONNACK");

async function connect(x: Examiner): Promise<Verdict> {
  const online = await untilOnline(x, 2 * minute);
  if (!online?.connect) return notOnline(x);
  const { keepalive } = online.connect;
  const kept = outlives(online.connect) ? "session kept" : "session not kept";
  return pass(`keep-alive ${keepalive} s, ${kept}`);
}

async function subscribe(x: Examiner): Promise<Verdict> {
  if (!(await x.time.until(() => (x.online?.all("subscribe").length ?? 0) > 0, 2 * minute)))
    return fail("no SUBSCRIBE");
  const asked = x.online!.all("subscribe").map(({ packet }) => packet.subscriptions);
  const filters = asked.flat();
  if (asked.some(({ length }) => length > 8)) return fail("more than 8 topics in a SUBSCRIBE");
  if (filters.some(({ qos }) => qos > 1)) return fail("asked for QoS 2, which AWS IoT has not");
  return pass(
    `${counted(filters.length, "topic")}, QoS ${Math.max(...filters.map(({ qos }) => qos))}`,
  );
}

async function publish(x: Examiner): Promise<Verdict> {
  if (!(await x.time.until(() => (x.online?.all("publish").length ?? 0) > 0, 2 * minute)))
    return fail("no PUBLISH");
  const { topic, qos } = x.online!.all("publish")[0]!.packet;
  return pass(`${topic}, QoS ${qos}`);
}

/** The least there is: nothing, or where AWS's own services speak, a text in JSON. */
const least = (topic: string) => (topic.startsWith("$aws/") ? messageOf(0) : new Uint8Array(0));

/** A text in JSON that takes `byteLength` bytes, or as few as it can. */
export function messageOf(byteLength: number): Uint8Array {
  const frame = '{"message":""}';
  return Buffer.from(
    frame.replace('""', `"${"x".repeat(Math.max(0, byteLength - frame.length))}"`),
  );
}

/** Sends messages of these sizes, one after the other; 0 is the least that makes sense on the topic. */
export async function acknowledges(
  x: Examiner,
  sizes: readonly number[],
  limitMs: number,
): Promise<Verdict> {
  const online = await untilSubscribed(x, limitMs);
  if (!online) return fail("subscribed to nothing");
  const topic = x.topicOf(online)!;
  const messages = sizes.map(size => (size === 0 ? least(topic) : messageOf(size)));
  for (const message of messages) {
    const size = message.length;
    const [delivery] = x.publish(topic, message);
    if (!delivery) return fail(`not subscribed to ${topic}`);
    if (!(await x.time.until(() => delivery.isAcknowledged, patienceMs)))
      return fail(`no PUBACK for ${size} bytes on ${topic}`);
    if (!online.isOpen) return fail(`left at the message of ${size} bytes`);
  }
  return pass(`PUBACK for ${messages.map(({ length }) => sizeName(length)).join(" ")}`);
}

function sizeName(bytes: number): string {
  return bytes < 1024 ? `${bytes}` : `${bytes / 1024}K`;
}

/** The first packet of its kind and those with its identifier that followed it on the same link. */
function sentAgain(online: Conversation, cmd: "publish" | "subscribe") {
  const packets = online
    .all(cmd)
    .filter(({ packet }) => packet.cmd === "subscribe" || packet.qos === 1);
  const first = packets[0];
  const id = first?.packet.messageId;
  return {
    id,
    first,
    again: packets.slice(1).filter(({ packet }) => packet.messageId === id),
  };
}

/** MQTT 3.1.1: the same packet comes again on the same link. MQTT 5: on the next one only. */
async function sendsAgain(x: Examiner, cmd: "publish" | "subscribe"): Promise<Verdict> {
  x.withheld.add(cmd === "publish" ? "puback" : "suback");
  const limitMs = 4 * minute;
  let seenId: number | undefined;
  await x.time.until(() => {
    seenId = x.online && sentAgain(x.online, cmd).id;
    return seenId !== undefined;
  }, limitMs);
  const online = x.online;
  if (!online || seenId === undefined) {
    return fail(cmd === "publish" ? "no PUBLISH at QoS 1" : "no SUBSCRIBE");
  }
  return online.version === 5
    ? sendsAgainLater(x, online, cmd, seenId)
    : sendsAgainAtOnce(x, online, cmd, limitMs);
}

async function sendsAgainAtOnce(
  x: Examiner,
  online: Conversation,
  cmd: "publish" | "subscribe",
  limitMs: number,
): Promise<Verdict> {
  await x.time.until(() => sentAgain(online, cmd).again.length > 0 || !online.isOpen, limitMs);
  const { id, first, again } = sentAgain(online, cmd);
  const [second] = again;
  if (!second) {
    return fail(
      online.isOpen
        ? `${cmd} ${id} was not sent again in ${seconds(limitMs)}`
        : `left instead of sending ${cmd} ${id} again`,
    );
  }
  const after = seconds(second.at - first!.at);
  if (second.packet.cmd === "publish" && !second.packet.dup)
    return fail(`publish ${id} again after ${after}, without DUP`);
  return pass(`${cmd} ${id} again after ${after}, same link`);
}

/** @see MQTT 5 section 4.4 */
async function sendsAgainLater(
  x: Examiner,
  online: Conversation,
  cmd: "publish" | "subscribe",
  id: number,
): Promise<Verdict> {
  await x.time.until(() => !online.isOpen, patienceMs);
  if (sentAgain(online, cmd).again.length > 0)
    return fail(`${cmd} ${id} again on the same link, which MQTT 5 forbids`);
  const leftByItself = !online.isOpen;
  x.close(online);
  x.withheld.clear();
  const isBack = () => {
    const next = x.online;
    if (next === undefined || next === online) return false;
    return cmd === "subscribe"
      ? next.all("subscribe").length > 0
      : next.all("publish").some(({ packet }) => packet.messageId === id);
  };
  if (!(await x.time.until(isBack, 2 * minute)))
    return fail(`${cmd} ${id} did not come again after the reconnect`);
  const when = leftByItself ? "left, " : "";
  return pass(`${when}again on the next link only`);
}

async function noAnswer(x: Examiner): Promise<Verdict> {
  const online = await untilSubscribed(x, 2 * minute);
  if (!online?.connect) return notOnline(x);
  const keepAliveMs = (online.connect.keepalive ?? 0) * second;
  if (keepAliveMs === 0) return fail("keep-alive 0: a dead link would never be noticed");
  for (const answer of ["puback", "suback", "pingresp"] as const) x.withheld.add(answer);
  return noticesSilence(x, online, keepAliveMs);
}

export async function noticesSilence(
  x: Examiner,
  online: Conversation,
  keepAliveMs: number,
): Promise<Verdict> {
  const silentAt = x.time.ticks();
  await x.time.until(() => !online.isOpen, 2 * keepAliveMs + 10 * second);
  if (online.isOpen) return fail(`stayed for ${seconds(x.time.ticks() - silentAt)} of silence`);
  const afterMs = online.closedAt! - silentAt;
  return pass(`left after ${seconds(afterMs)}, keep-alive ${keepAliveMs / second} s`);
}

/** Cuts the link of a device whose session is to be kept. @returns why there is none */
async function cutKept(x: Examiner): Promise<Conversation | Verdict> {
  const online = await untilSubscribed(x, 4 * minute);
  if (!online?.connect) return fail("subscribed to nothing");
  if (!outlives(online.connect)) return fail("asks for a clean session: nothing is stored for it");
  x.close(online, "abort");
  return online;
}

const isVerdict = (value: Conversation | Verdict): value is Verdict => "grade" in value;

export async function persistentSession(x: Examiner): Promise<Verdict> {
  const before = await cutKept(x);
  if (isVerdict(before)) return before;
  const [stored] = x.publish(x.topicOf(before)!, messageOf(64));
  const back = await untilOnline(x, 4 * minute);
  if (!back) return fail("did not come back");
  if (back.connect!.clean) return fail("came back with a clean session");
  const taken = await x.time.until(() => stored!.isAcknowledged, patienceMs);
  await x.time.until(() => false, 10 * second);
  const asked = back.all("subscribe").flatMap(({ packet }) => packet.subscriptions).length;
  if (asked > 0) return fail(`subscribed again to ${counted(asked, "topic")} that were kept`);
  if (!taken) return fail("the stored message was not acknowledged");
  return pass("stored message taken, no SUBSCRIBE");
}

async function expiredSession(x: Examiner): Promise<Verdict> {
  const before = await cutKept(x);
  if (isVerdict(before)) return before;
  x.forgets = true;
  const back = await untilOnline(x, 4 * minute);
  if (!back) return fail("did not come back");
  await x.time.until(() => x.isSubscribed(back), patienceMs);
  await x.time.until(() => false, second);
  const asked = back.all("subscribe").flatMap(({ packet }) => packet.subscriptions).length;
  if (asked === 0) return fail("did not subscribe again, though the session was gone");
  return pass(`subscribed again to ${counted(asked, "topic")}`);
}

export const mqttCases: readonly Case[] = Object.freeze([
  { name: "MQTT_Connect", isQualification: true, limitMs: 2 * minute, examine: connect },
  { name: "MQTT_Subscribe", isQualification: true, limitMs: 2 * minute, examine: subscribe },
  { name: "MQTT_Publish", isQualification: true, limitMs: 2 * minute, examine: publish },
  {
    name: "MQTT_Client_Puback_Qos1",
    isQualification: false,
    limitMs: 2 * minute,
    examine: (x: Examiner) =>
      acknowledges(x, [0, 1024, 16_384, 65_536, largestPayload], 2 * minute),
  },
  {
    name: "MQTT_Publish_Retry_No_Puback",
    isQualification: false,
    limitMs: 4 * minute,
    examine: (x: Examiner) => sendsAgain(x, "publish"),
  },
  {
    name: "MQTT_Subscribe_Retry_No_Suback",
    isQualification: false,
    limitMs: 4 * minute,
    examine: (x: Examiner) => sendsAgain(x, "subscribe"),
  },
  { name: "MQTT_No_Ack_PingResp", isQualification: false, limitMs: 5 * minute, examine: noAnswer },
  {
    name: "MQTT_Persistent_Session_Happy_Case",
    isQualification: false,
    limitMs: 4 * minute,
    examine: persistentSession,
  },
  {
    name: "MQTT_Expired_Persistent_Session",
    isQualification: false,
    limitMs: 4 * minute,
    examine: expiredSession,
  },
]);
