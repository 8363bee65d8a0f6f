// The shadow cases, classic and named. @see AWS IoT developer guide, "device-advisor-tests-shadow"
import type { Case } from "./case.js";
import type { Examiner } from "./examiner.js";
import { fail, pass, type Verdict } from "./verdict.js";

const minute = 60_000;

interface Report {
  readonly topic: string;
  readonly reported: Readonly<Record<string, unknown>>;
}

const updateTopic = /^\$aws\/things\/[^/]+\/shadow(\/name\/[^/]+)?\/update$/;

/** What the device has reported, oldest first. */
function reportsOf(x: Examiner): readonly Report[] {
  return x.conversations
    .flatMap(each => each.all("publish"))
    .filter(({ packet }) => updateTopic.test(packet.topic))
    .flatMap(({ packet }) => {
      const reported = reportedIn(String(packet.payload));
      return reported ? [{ topic: packet.topic, reported }] : [];
    });
}

function reportedIn(text: string): Report["reported"] | undefined {
  try {
    const reported = (JSON.parse(text) as { state?: { reported?: unknown } }).state?.reported;
    return isObject(reported) ? reported : undefined;
  } catch (_notJson) {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

async function publishReported(x: Examiner): Promise<Verdict> {
  if (!(await x.time.until(() => reportsOf(x).length > 0, 2 * minute)))
    return fail("nothing was reported");
  return pass(JSON.stringify(reportsOf(x)[0]!.reported));
}

/** Other numbers, other truth values: what a device is likely to take without knowing it. */
function otherThan(reported: Report["reported"]): Record<string, unknown> {
  const desired: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(reported)) {
    if (typeof value === "number") desired[name] = value + 1;
    if (typeof value === "boolean") desired[name] = !value;
  }
  return desired;
}

async function updateReported(x: Examiner): Promise<Verdict> {
  if (!(await x.time.until(() => reportsOf(x).length > 0, 2 * minute)))
    return fail("nothing was reported");
  await x.time.until(() => false, 1000);
  const before = reportsOf(x);
  const { topic, reported } = before.at(-1)!;
  const desired = x.desired ?? otherThan(reported);
  if (Object.keys(desired).length === 0)
    return fail("no number and no truth value is reported: say what to ask for with --desired");
  x.updateShadow(topic, { state: { desired }, clientToken: "DeviceAdvisorShadowTestCaseSetup" });
  const missing = () => {
    const later = Object.assign(
      {},
      ...reportsOf(x)
        .slice(before.length)
        .map(each => each.reported),
    );
    return Object.entries(desired).filter(([name, value]) => !isSame(later[name], value));
  };
  await x.time.until(() => missing().length === 0, 2 * minute);
  if (missing().length > 0)
    return fail(
      `desired ${missing()
        .map(([name]) => name)
        .join(", ")} was not reported`,
    );
  return pass(`followed ${JSON.stringify(desired)}`);
}

const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

export const shadowCases: readonly Case[] = Object.freeze([
  {
    name: "Shadow_Publish_Reported_State",
    isQualification: false,
    limitMs: 2 * minute,
    examine: publishReported,
  },
  {
    name: "Shadow_Update_Reported_State",
    isQualification: false,
    limitMs: 2 * minute,
    examine: updateReported,
  },
]);
