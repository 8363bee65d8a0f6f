// Brokers, flash, clocks and products that do anything at any time, seeded; then they stop, and all has to be well again.
import test from "ava";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import {
  obliging,
  type Packet,
  ScriptedBroker,
  type ScriptedLink,
} from "../../simulator/world/scripted-broker.js";
import { Agent, AgentError, type AgentStatus } from "../../src/index.js";
import { heldIn } from "./identity.js";

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
const certificateAndKey = { certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") };

/** Everything an obliging cloud says to what a device asks. */
function oblige(packet: Packet, link: ScriptedLink, ids: () => number): void {
  obliging(packet, link);
  if (packet.cmd !== "publish") return;
  const reply = (payload: object, topic = `${packet.topic}/accepted`) =>
    link.reply({
      cmd: "publish",
      qos: 1,
      messageId: 1 + (ids() % 60_000),
      dup: false,
      retain: false,
      topic,
      payload: JSON.stringify(payload),
    });
  if (packet.topic.startsWith("$aws/certificates/")) {
    const { certificateSigningRequest } = JSON.parse(String(packet.payload));
    reply({
      certificateId: `c${ids()}`,
      certificatePem: certificateSigningRequest.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"),
      certificateOwnershipToken: "token",
    });
  }
  if (packet.topic.startsWith("$aws/provisioning-templates/")) reply({ thingName: "node-1" });
  if (packet.topic.includes("/shadow/")) {
    const { clientToken, state } = JSON.parse(String(packet.payload) || "{}");
    reply({ clientToken, version: ids(), state: state ?? { desired: {}, reported: {} } });
  }
}

interface Life {
  readonly bugs: string[];
  readonly wasProvisioned: boolean;
  readonly claimsAfter: number;
  readonly state: string;
  readonly rotated: boolean;
  readonly pending: number;
  readonly end: string;
}

async function live(seed: number, isClaimed: boolean): Promise<Life> {
  const random = new Random(seed);
  const unit = () => random.next() / 4_294_967_296;
  const chance = (part: number) => unit() < part;
  const one = <T>(...of: readonly T[]) => of[random.below(of.length)]!;
  const clock = new VirtualClock();
  let isHostile = true;
  let id = 0;
  const ids = () => ++id;
  const broker = new ScriptedBroker((packet, link) => {
    const good = () => oblige(packet, link, ids);
    if (!isHostile || chance(0.75)) return good();
    const messageId = "messageId" in packet ? packet.messageId! : 1;
    one(
      () => undefined,
      () => link.close(),
      () => {
        good();
        good();
      },
      () => clock.set(good, unit() * 90_000),
      () => {
        if (packet.cmd === "publish" && packet.qos === 1)
          link.reply({ cmd: "puback", messageId, reasonCode: 0x87 });
        if (packet.cmd === "subscribe") {
          const granted = packet.subscriptions.map(() => one(0x87, 1));
          link.reply({ cmd: "suback", messageId, granted });
        }
        if (packet.cmd === "connect")
          link.reply({ cmd: "connack", returnCode: one(1, 2, 3, 5), sessionPresent: false });
      },
      () => {
        if (packet.cmd !== "publish") return good();
        link.reply({ cmd: "puback", messageId });
        const payload = one('{"statusCode":400}', "{}", "[", '{"thingName":"other"}');
        const topic = `${packet.topic}/${one("accepted", "rejected")}`;
        link.reply({ cmd: "publish", qos: 0, dup: false, retain: false, topic, payload });
      },
      () => {
        if (packet.cmd === "connect")
          link.reply({ cmd: "connack", returnCode: 0, sessionPresent: true });
        else if (link.protocolVersion === 5)
          link.reply({ cmd: "disconnect", reasonCode: one(0x8e, 0x87, 0x89, 0x82) });
      },
    )();
  });
  const network = new Network(clock, broker.accept);
  const flash = new Flash();
  const statuses: AgentStatus[] = [];
  const bugs: string[] = [];
  const anything = (agent: Agent, settings: { set(values: object): void }) => {
    try {
      one(
        () => agent.rotate(),
        () => agent.moveTo({ endpoint: one("first.test", "second.test") }),
        () => agent.stop(),
        () => agent.start(),
        () => settings.set({ led: one("off", "red") }),
        () => agent.telemetry.send("count", { i: 1 }),
        () => isClaimed && agent.provisionAgain(),
      )();
    } catch {
      // What a product may be told: not before start, or flash refuses.
    }
  };
  const boot = () => {
    const power = new Power();
    let depth = 0;
    const host = virtualHost({ id: "b", clock, random: new Random(seed), network, flash, power });
    const store = host.keyValue.open({ path: "skerry" });
    const agent = new Agent({
      host: {
        ...host,
        clock: {
          ticks: () => clock.ticks(),
          now: () => (isHostile && chance(0.05) ? clock.now() + 40 * 86_400_000 : clock.now()),
        },
        keyValue: {
          open: () => ({
            ...store,
            write: (key, value) => {
              if (isHostile && chance(0.1)) throw new AgentError("storage/write", "flash refuses");
              store.write(key, value);
            },
          }),
        },
      },
      endpoint: "first.test",
      trustAnchors: [pem("CERTIFICATE")],
      ...(isClaimed
        ? { identity: { claim: certificateAndKey, template: "t", parameters: {} } }
        : {
            identity: { thingName: "node-1", ...certificateAndKey },
            rotation: { enrolling: { template: "t", parameters: {} } },
          }),
      onStatus: status => {
        if (!power.isOn) return;
        statuses.push(status);
        const { error } = status as { error?: Error & { kind?: string } };
        if (error?.kind === "bug") bugs.push(`${error.message} ${error.cause ?? ""}`);
        if (!isHostile || depth > 2 || !chance(0.05)) return;
        depth++;
        anything(agent, settings as never);
        depth--;
      },
    });
    const settings = agent.settings({
      led: { type: "enum", values: ["off", "red"], default: "off" },
    });
    agent.start();
    return { agent, power, settings };
  };
  let cuts = 0;
  let device = boot();
  for (let i = 0; i < 60; i++) {
    await clock.run(unit() * 30_000);
    if (chance(0.1)) network.cutAll();
    if (chance(0.2)) anything(device.agent, device.settings as never);
    if (chance(0.05)) {
      device.power.cut();
      cuts++;
      network.cutAll();
      device = boot();
    }
  }
  isHostile = false;
  const wasProvisioned = heldIn(flash).record.identity !== undefined;
  await clock.run(600_000);
  device.agent.start();
  await clock.run(1_800_000);
  const { state } = device.agent.link;
  const from = statuses.length;
  device.agent.rotate();
  await clock.run(600_000);
  const rest = statuses.slice(from);
  const rotated = rest.some(each => each.type === "rotated");
  const end = rest.map(each => each.type).join(" ");
  device.agent.stop();
  await clock.run(100_000);
  const claimsAfter = rest.filter(each => each.type === "connecting" && each.as === "claim").length;
  // A machine whose power was cut leaves its timers to the world.
  const pending = cuts === 0 ? clock.pending : 0;
  return { bugs, wasProvisioned, claimsAfter, state, rotated, pending, end };
}

for (const isClaimed of [false, true]) {
  test(`after any mischief a device ${isClaimed ? "with a claim" : "with an identity"} is online and can change its identity`, async t => {
    const seeds = Number(process.env["SEEDS"] ?? 40);
    for (let seed = 1; seed <= seeds; seed++) {
      const life = await live(seed, isClaimed);
      const { bugs, state, rotated, pending } = life;
      const good = { bugs: [], state: "online", rotated: true, pending: 0 };
      t.deepEqual({ bugs, state, rotated, pending }, good, `seed ${seed}: ${life.end}`);
    }
  });
}
