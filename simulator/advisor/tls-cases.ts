// The TLS cases, on real sockets. @see AWS IoT developer guide, "device-advisor-tests-tls", "transport-security"
import type { Case } from "./case.js";
import type { ServerName } from "./certificates.js";
import { isNotGrease } from "./client-hello.js";
import type { Examiner } from "./examiner.js";
import type { Handshake } from "./front.js";
import { messageOf, untilSubscribed } from "./mqtt-cases.js";
import { counted, fail, pass, type Verdict, warn } from "./verdict.js";

const minute = 60_000;
const limitMs = 2 * minute;
/** A record's content at most. RFC 8446 section 5.1 */
const fullRecord = 16_384;
const fragmentsPayload = 65_536;

const lastOf = (x: Examiner): Handshake | undefined => x.handshakes.at(-1);

/** The first handshake that came to an end, one way or the other, since `from`. */
async function ended(x: Examiner, from = 0): Promise<Handshake | undefined> {
  const find = () =>
    x.handshakes.slice(from).find(({ isComplete, isOver }) => isComplete || isOver);
  await x.time.until(() => find() !== undefined, limitMs);
  return find();
}

function notComplete(handshake: Handshake | undefined): Verdict {
  if (!handshake) return fail("never connected");
  return fail(`no handshake, ${endOf(handshake)}`);
}

function endOf({ alert }: Handshake): string {
  return alert ? `alert ${alert}` : "closed without an alert";
}

function completed(handshake: Handshake, more = ""): Verdict {
  const { hasClientCertificate, hello, protocol, suite } = handshake;
  const text = `${protocol?.replace("v", " ")}, ${suite}${more}`;
  if (!hasClientCertificate) return fail(`${text}, but no client certificate of ours`);
  if (handshake.alert) return warn(`${text}, alert ${handshake.alert}`);
  if (hello?.serverName === undefined) return warn(`${text}, without SNI`);
  return pass(text);
}

async function connect(x: Examiner): Promise<Verdict> {
  const handshake = await ended(x);
  if (!handshake?.isComplete) return notComplete(handshake);
  return completed(handshake);
}

async function fragments(x: Examiner): Promise<Verdict> {
  const online = await untilSubscribed(x, limitMs);
  if (!online) return fail("subscribed to nothing");
  const topic = x.topicOf(online)!;
  const [delivery] = x.publish(topic, messageOf(fragmentsPayload));
  if (!delivery) return fail(`not subscribed to ${topic}`);
  await x.time.until(() => delivery.isAcknowledged || !online.isOpen, limitMs);
  const { longestRecord } = lastOf(x)!;
  if (longestRecord < fullRecord) return warn(`records of ${longestRecord} bytes only were sent`);
  if (!delivery.isAcknowledged) return fail(`no PUBACK for ${fragmentsPayload / 1024} KB`);
  return pass(`${fragmentsPayload / 1024} KB in full records, acknowledged`);
}

const suiteNames: Readonly<Record<number, string>> = Object.freeze({
  4865: "TLS_AES_128_GCM_SHA256",
  4866: "TLS_AES_256_GCM_SHA384",
  4867: "TLS_CHACHA20_POLY1305_SHA256",
  49195: "ECDHE-ECDSA-AES128-GCM-SHA256",
  49196: "ECDHE-ECDSA-AES256-GCM-SHA384",
  49199: "ECDHE-RSA-AES128-GCM-SHA256",
  49200: "ECDHE-RSA-AES256-GCM-SHA384",
  49187: "ECDHE-ECDSA-AES128-SHA256",
  49161: "ECDHE-ECDSA-AES128-SHA",
  49188: "ECDHE-ECDSA-AES256-SHA384",
  49162: "ECDHE-ECDSA-AES256-SHA",
  49191: "ECDHE-RSA-AES128-SHA256",
  49171: "ECDHE-RSA-AES128-SHA",
  49192: "ECDHE-RSA-AES256-SHA384",
  49172: "ECDHE-RSA-AES256-SHA",
  156: "AES128-GCM-SHA256",
  157: "AES256-GCM-SHA384",
  60: "AES128-SHA256",
  61: "AES256-SHA256",
  47: "AES128-SHA",
  53: "AES256-SHA",
});
/** Forward secret and authenticated; the rest of what AWS takes is for old devices. */
const recommended = new Set([4865, 4866, 4867, 49195, 49196, 49199, 49200]);
/** Values that are signals, not suites. RFC 5746, RFC 7507 */
const signals = new Set([0x00ff, 0x5600]);
const tls12 = 0x0303;

/** What a ClientHello offers, judged. */
export function judgeHello(hello: NonNullable<Handshake["hello"]>): Verdict {
  const suites = hello.suites.filter(suite => isNotGrease(suite) && !signals.has(suite));
  const supported = suites.filter(suite => suite in suiteNames);
  const best = suites.filter(suite => recommended.has(suite));
  const strange = suites.filter(suite => !(suite in suiteNames));
  if (supported.length === 0) return fail("none of the suites AWS IoT takes");
  if (Math.max(...hello.versions) < tls12) return fail("no TLS 1.2 or later");
  if (best.length === 0) return warn(`none recommended; ${suiteNames[supported[0]!]} is taken`);
  if (strange.length > 0) {
    const first = `0x${strange[0]!.toString(16).padStart(4, "0")}`;
    return warn(`${counted(strange.length, "suite")} not supported, as ${first}`);
  }
  if (Math.min(...hello.versions) < tls12) return warn("offers TLS older than 1.2 too");
  if (hello.serverName === undefined) return warn("no SNI");
  return pass(`${counted(supported.length, "suite")}, first ${suiteNames[suites[0]!]}, SNI`);
}

async function cipherSuites(x: Examiner): Promise<Verdict> {
  await x.time.until(() => lastOf(x)?.hello !== undefined || (lastOf(x)?.isOver ?? false), limitMs);
  const hello = lastOf(x)?.hello;
  return hello ? judgeHello(hello) : fail("no ClientHello");
}

/** A fifth larger than usual, then about three times. */
async function largeCertificate(x: Examiner): Promise<Verdict> {
  const first = await ended(x);
  if (!first?.isComplete) return notComplete(first);
  const count = x.handshakes.length;
  x.presents = "larger";
  await x.time.until(() => x.conversations.length > 0, limitMs);
  for (const each of x.conversations) x.close(each);
  const second = await ended(x, count);
  if (!second?.isComplete) return warn("20 % larger taken, larger still not");
  return second.alert ? completed(second) : pass("20 % larger; 3 intermediates");
}

/** The server is not to be believed: nothing may be said to it. */
async function refused(x: Examiner, needsAlert: boolean): Promise<Verdict> {
  const handshake = await ended(x);
  if (!handshake) return fail("never connected");
  if (handshake.isComplete) {
    // Whether it goes on to speak, for the record.
    await x.time.until(() => handshake.hasSpoken || handshake.isOver, 1000);
    return fail(
      `handshake completed${handshake.hasSpoken ? ", and MQTT spoken" : ", then closed"}`,
    );
  }
  if (needsAlert && !handshake.alert) return warn("refused, but without an alert");
  return pass(`refused, ${endOf(handshake)}`);
}

const tlsCase = (name: string, presents: ServerName, examine: Case["examine"]): Case => ({
  name,
  isQualification: true,
  limitMs,
  needsTls: true,
  presents,
  examine,
});

export const tlsCases: readonly Case[] = Object.freeze([
  tlsCase("TLS_Connect", "good", connect),
  tlsCase("TLS_Receive_Maximum_Size_Fragments", "good", fragments),
  tlsCase("TLS_Support_AWS_IoT_Cipher_Suites", "good", cipherSuites),
  tlsCase("TLS_Large_Size_Server_Cert", "large", largeCertificate),
  tlsCase("TLS_Unsecure_Server_Cert", "strange", x => refused(x, false)),
  tlsCase("TLS_Incorrect_Subject_Name_Server_Cert", "wrongName", x => refused(x, false)),
  tlsCase("TLS_Expired_Server_Cert", "expired", x => refused(x, true)),
]);
