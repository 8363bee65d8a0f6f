// Every case lets a good device through, and finds the one habit that is wrong.
import test from "ava";
import mqtt, { type Packet } from "mqtt-packet";
import type { Case } from "../../../simulator/advisor/case.js";
import { linkCases, longCase } from "../../../simulator/advisor/catalog.js";
import type { Grade } from "../../../simulator/advisor/verdict.js";
import { examineVirtually, type VirtualDevice } from "../../../simulator/advisor/virtual.js";
import { Power } from "../../../simulator/world/power.js";
import { type Habits, scriptedDevice } from "./scripted-device.js";

const virtualCases = linkCases.filter(({ needsTls }) => !needsTls);
const caseOf = (name: string): Case =>
  [...virtualCases, longCase].find(each => each.name === name)!;

for (const version of [4, 5] as const) {
  test(`a device without bad habits passes every case, MQTT ${version === 5 ? "5" : "3.1.1"}`, async t => {
    for (const which of [...virtualCases, longCase]) {
      const device = scriptedDevice({ version, repeats: version === 4 });
      const { verdict } = await examineVirtually(which, device, { version });
      t.is(verdict?.grade, "pass", `${which.name}: ${verdict?.seen}`);
    }
  });
}

const found = test.macro({
  exec: async (t, name: string, habits: Partial<Habits>, grade: Grade, seen: RegExp) => {
    const { verdict } = await examineVirtually(caseOf(name), scriptedDevice(habits));
    t.is(verdict?.grade, grade, verdict?.seen);
    t.regex(verdict!.seen, seen);
  },
  title: (_, name: string, habits: Partial<Habits>, grade: Grade) =>
    `${name}: ${grade} for ${Object.keys(habits).join(", ")}: ${String(Object.values(habits)[0])}`,
});

const constant = () => 3000;
const linear = (attempt: number) => 2000 * attempt;
const doubling = (attempt: number) => 1000 * 2 ** (attempt - 1);
const noisyConstant = (_: number, chance: number) => 3000 + 2000 * chance;

test(found, "MQTT_Subscribe", { subscribes: false }, "fail", /no SUBSCRIBE/);
test(
  found,
  "MQTT_Publish",
  { publishes: false, reports: false, jobs: "none" },
  "fail",
  /no PUBLISH/,
);
for (const name of [
  "MQTT_Connect_Jitter_Backoff_Retries",
  "MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect",
  "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection",
]) {
  test(found, name, { backoff: constant }, "fail", /^constant/);
  test(found, name, { backoff: linear }, "fail", /^linear/);
  test(found, name, { backoff: doubling }, "warn", /^exponential without jitter/);
  test(found, name, { backoff: noisyConstant }, "warn", /^jitter that does not grow/);
}
const exponential = "MQTT_Connect_Exponential_Backoff_Retries";
test(found, exponential, { backoff: doubling }, "pass", /^exponential/);
test(found, exponential, { backoff: constant }, "fail", /^constant/);
test(found, exponential, { backoff: () => 600_000 }, "fail", /retries in 240 s/);
test(found, "MQTT_Client_Puback_Qos1", { longestMessage: 65_536 }, "fail", /no PUBACK for 131072/);
test(found, "MQTT_Client_Puback_Qos1", { shortestMessage: 1 }, "fail", /no PUBACK for 0 bytes/);
test(found, "MQTT_Client_Puback_Qos1", { subscribes: false }, "fail", /subscribed to nothing/);
test(
  found,
  "MQTT_Publish_Retry_No_Puback",
  { repeats: false },
  "fail",
  /left instead|not sent again/,
);
test(found, "MQTT_Publish_Retry_No_Puback", { repeatsWithDup: false }, "fail", /without DUP/);
test(found, "MQTT_Publish_Retry_No_Puback", { version: 5 }, "fail", /MQTT 5 forbids/);
test(
  found,
  "MQTT_Publish_Retry_No_Puback",
  { repeatsOnNextLink: false, repeats: false, version: 5 },
  "fail",
  /did not come again/,
);
test(
  found,
  "MQTT_Subscribe_Retry_No_Suback",
  { repeats: false },
  "fail",
  /left instead|not sent again/,
);
test(found, "MQTT_Subscribe_Retry_No_Suback", { version: 5 }, "fail", /MQTT 5 forbids/);
test(
  found,
  "MQTT_Subscribe_Retry_No_Suback",
  { subscribesAgain: "never", repeatsOnNextLink: false, repeats: false, version: 5 },
  "fail",
  /did not come again/,
);
test(found, "MQTT_No_Ack_PingResp", { leavesSilence: false }, "fail", /stayed for/);
test(found, "MQTT_No_Ack_PingResp", { keepAliveSeconds: 0 }, "fail", /keep-alive 0/);
const kept = "MQTT_Persistent_Session_Happy_Case";
test(found, kept, { keepsSession: false }, "fail", /clean session/);
test(found, kept, { subscribesAgain: "always" }, "fail", /subscribed again to 4 topics/);
test(found, kept, { longestMessage: 32 }, "fail", /not acknowledged/);
test(found, kept, { backoff: () => 600_000 }, "fail", /did not come back/);
const expired = "MQTT_Expired_Persistent_Session";
test(found, expired, { subscribesAgain: "never" }, "fail", /did not subscribe again/);
test(found, expired, { keepsSession: false }, "fail", /clean session/);
test(found, "Shadow_Publish_Reported_State", { reports: false }, "fail", /nothing was reported/);
test(found, "Shadow_Update_Reported_State", { follows: false }, "fail", /desired level/);
test(found, "Job_Execution", { jobs: "direct" }, "pass", /^from a document in/);
test(found, "Job_Execution", { jobs: "none" }, "fail", /asked for no jobs/);
test(
  found,
  "Job_Execution",
  { jobs: "silent" },
  "fail",
  /from a document: still QUEUED after 120 s/,
);
test(found, "Job_Execution", { jobs: "never ends" }, "fail", /still IN_PROGRESS/);
test(found, "Job_Execution", { jobs: "fails" }, "fail", /from a document: FAILED/);
test(
  found,
  "Job_Execution",
  { jobs: "hints", keepsSession: false },
  "fail",
  /made while it was away: still QUEUED/,
);
test(found, "Job_Rejection", { jobs: "none" }, "fail", /asked for no jobs/);
test(found, "Job_Rejection", { jobs: "silent" }, "fail", /^still QUEUED/);
test(found, "Job_Rejection", { jobs: "does anything" }, "fail", /does not exist/);
test(found, "Job_Rejection", { jobs: "passes over" }, "fail", /^still QUEUED/);
test(found, "Job_Rejection", { jobs: "fails at what it does not know" }, "warn", /^FAILED/);
test(found, "Job_Rejection", { jobs: "fails" }, "fail", /the job behind it: FAILED/);
test(found, "Job_Cancellation", { jobs: "none" }, "fail", /asked for no jobs/);
test(found, "Job_Cancellation", { jobs: "silent" }, "fail", /^still QUEUED/);
test(found, "Job_Cancellation", { jobs: "deaf" }, "fail", /the next job: still QUEUED/);
test(found, "Job_Cancellation", { jobs: "direct" }, "warn", /before it could be cancelled/);
test(found, "MQTT_Long_Duration", { repeats: false }, "warn", /BASIC: nothing was sent again/);
test(found, "MQTT_Long_Duration", { backoff: linear }, "fail", /RECONNECT_BACK_OFF: linear/);
test(found, "MQTT_Long_Duration", { pings: false }, "fail", /KEEP_ALIVE|BASIC/);
test(found, "MQTT_Long_Duration", { longestMessage: 1000 }, "fail", /RECEIVE_LARGE_PAYLOAD/);
test(
  found,
  "MQTT_Long_Duration",
  { backoff: (attempt: number, chance: number) => 1000 * chance * 2 ** (3 * attempt) },
  "fail",
  /3 retries in 2400 s/,
);

/** Sends these, one after the other, and listens to nothing. */
function talker(...packets: readonly (Packet | Uint8Array)[]): VirtualDevice {
  return ({ network }) => {
    const { socket: Socket } = network.classes(new Power());
    let hasSpoken = false;
    const socket = new Socket({
      address: "127.0.0.1",
      host: "localhost",
      port: 8883,
      secure: { trustAnchors: [], clientCertificates: [], clientKey: new Uint8Array(0), now: 0 },
      onWritable: () => {
        if (hasSpoken) return;
        hasSpoken = true;
        for (const each of packets) {
          socket.write(each instanceof Uint8Array ? each : mqtt.generate(each));
        }
      },
    });
  };
}

const hello: Packet = {
  cmd: "connect",
  clientId: "a",
  protocolId: "MQTT",
  clean: true,
  keepalive: 60,
};
const toTopics = (count: number, qos: 1 | 2): Packet => ({
  cmd: "subscribe",
  messageId: 1,
  subscriptions: Array.from({ length: count }, (_, i) => ({ topic: `a/${i}`, qos })),
});
const data = { cmd: "publish", topic: "a/b", payload: "", dup: false, retain: false } as const;

const caught = test.macro({
  exec: async (t, name: string, device: VirtualDevice, seen: RegExp) => {
    const { verdict } = await examineVirtually(caseOf(name), device);
    t.is(verdict?.grade, "fail");
    t.regex(verdict!.seen, seen);
  },
  title: (title = "") => title,
});

test("a device that never dials fails", caught, "MQTT_Connect", () => undefined, /never connected/);
test(
  "a device that dials and says nothing fails",
  caught,
  "MQTT_Connect",
  talker(),
  /never came as far/,
);
test(
  "a device that sends what is no packet fails, whatever the case is about",
  caught,
  "MQTT_Connect",
  talker(Uint8Array.of(0x00, 0x00)),
  /a packet that is none/,
);
test(
  "a device that publishes before it has connected fails",
  caught,
  "MQTT_Publish",
  talker({ ...data, qos: 0 }),
  /publish before CONNECT/,
);
test(
  "a device that connects twice on a link fails",
  caught,
  "MQTT_Publish",
  talker(hello, hello),
  /second CONNECT/,
);
test(
  "a device that publishes at QoS 2 fails",
  caught,
  "MQTT_Publish",
  talker(hello, { ...data, qos: 2, messageId: 1 }),
  /QoS 2/,
);
test(
  "a device that asks for nine topics at once fails",
  caught,
  "MQTT_Subscribe",
  talker(hello, toTopics(9, 1)),
  /more than 8 topics/,
);
test(
  "a device that asks for QoS 2 fails",
  caught,
  "MQTT_Subscribe",
  talker(hello, toTopics(1, 2)),
  /QoS 2/,
);
