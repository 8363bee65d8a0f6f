// The agent against a broker that is not ours: Debian's mosquitto, over mutual TLS.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { createHost } from "../hosts/node/host.js";
import { Authority } from "../simulator/cloud/authority.js";
import { systemClock, systemRandom } from "../simulator/cloud/environment.js";
import { Store } from "../simulator/cloud/store.js";
import { Agent, type AgentStatus } from "../src/index.js";

const isInstalled = ["mosquitto", "mosquitto_sub", "mosquitto_pub", "stdbuf"].every(
  program => spawnSync(program, ["--help"]).error === undefined,
);
if (!isInstalled) {
  if (process.env["CI"] === "true")
    test("mosquitto is installed", t => t.fail("mosquitto or its clients are missing"));
  else test("mosquitto is not installed: the agent is not tried against it", t => t.pass());
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise(resolve => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function startMosquitto(
  directory: string,
  authority: Authority,
): Promise<{ port: number; broker: ChildProcess }> {
  const file = async (name: string, text: string) => {
    await writeFile(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  await file("client.pem", authority.claim.certificate);
  await file("client.key", authority.claim.key);
  const port = await freePort();
  const config = [
    `listener ${port} 127.0.0.1`,
    `cafile ${await file("ca.pem", authority.trustAnchor)}`,
    `certfile ${await file("server.pem", authority.server.certificate)}`,
    `keyfile ${await file("server.key", authority.server.key)}`,
    "require_certificate true",
    "use_identity_as_username true",
    "persistence false",
    "log_dest stderr",
    ...(process.getuid?.() === 0 ? ["user root"] : []),
  ].join("\n");
  const broker = spawn("mosquitto", ["-v", "-c", await file("mosquitto.conf", `${config}\n`)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await new Promise<void>((resolve, reject) => {
    broker.once("exit", code => reject(new Error(`mosquitto ended with ${code}`)));
    broker.stderr?.on("data", (text: Buffer) => text.includes("running") && resolve());
  });
  return { port, broker };
}

/** What a mosquitto client needs to connect as the same certificate's owner. */
interface Tools {
  readonly directory: string;
  readonly port: number;
}

function argumentsOf({ directory, port }: Tools): string[] {
  const file = (name: string) => join(directory, name);
  const secure = [
    "--cafile",
    file("ca.pem"),
    "--cert",
    file("client.pem"),
    "--key",
    file("client.key"),
  ];
  return ["-h", "localhost", "-p", String(port), "-q", "1", ...secure];
}

/** Lines of `topic payload`, from mosquitto_sub. */
class Listener {
  readonly #process: ChildProcess;
  #text = "";
  #wake = () => {};

  constructor(tools: Tools, filters: readonly string[]) {
    const args = [...argumentsOf(tools), "-d", "-v", ...filters.flatMap(filter => ["-t", filter])];
    this.#process = spawn("stdbuf", ["-oL", "mosquitto_sub", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process.stdout?.on("data", (text: Buffer) => {
      this.#text += text;
      this.#wake();
    });
  }

  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found) return found[1] ?? found[0];
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#process.kill();
  }
}

const withMosquitto = isInstalled ? test : test.skip;
const versions = [
  { name: "MQTT 5, by itself", mqtt: {}, expected: 5 },
  { name: "MQTT 5", mqtt: { protocolVersion: 5 }, expected: 5 },
  { name: "MQTT 3.1.1", mqtt: { protocolVersion: 4 }, expected: 4 },
] as const;
for (const { name, mqtt, expected } of versions) {
  withMosquitto(
    `${name}: the agent and mosquitto, mutual TLS, shadow, telemetry, session and will`,
    async t => {
      t.timeout(30_000, "mosquitto, the agent or a client of mosquitto's is silent");
      const directory = await mkdtemp(join(tmpdir(), "skerry-mosquitto-"));
      t.teardown(() => rm(directory, { recursive: true, force: true }));
      const store = await Store.open({ schemas: {}, onFailure: error => t.fail(error.message) });
      const authority = await Authority.open({
        store,
        clock: systemClock,
        random: systemRandom,
        serverNames: [],
      });
      const { port, broker } = await startMosquitto(directory, authority);
      t.teardown(() => broker.kill());
      const tools = { directory, port };
      const listener = new Listener(tools, [
        "dt/#",
        "status/#",
        "$aws/things/node-1/shadow/get",
        "$aws/things/node-1/shadow/update",
      ]);
      t.teardown(() => listener.close());
      await listener.line(/Subscribed/);

      let onStopped = () => {};
      const sessions: boolean[] = [];
      const agent = new Agent({
        host: createHost({ directory: join(directory, "device"), id: "node-1" }),
        endpoint: "localhost",
        port,
        trustAnchors: [authority.trustAnchor],
        identity: { thingName: "node-1", ...authority.claim },
        mqtt: { ...mqtt, will: { topic: "status/{thing}", message: "gone", QoS: 1 } },
        onStatus: (status: AgentStatus) => {
          t.not(status.type, "fault");
          if (status.type === "stopped") onStopped();
          if (status.type === "online") {
            t.is(status.protocolVersion, expected);
            sessions.push(status.sessionPresent);
          }
        },
      });
      const settings = agent.settings({
        seconds: { type: "integer", min: 1, max: 60, default: 5 },
      });
      agent.telemetry.send("climate", { temperature: 21.5 });
      agent.start();

      t.regex(await listener.line(/dt\/node-1\/climate (.*)/), /"temperature":21.5/);
      const clientToken = await listener.line(/shadow\/get \{"clientToken":"([^"]+)"\}/);
      // Answers as the shadow service would: mosquitto only carries.
      const answer = JSON.stringify({
        state: { desired: { seconds: 9 } },
        version: 3,
        clientToken,
      });
      spawnSync("mosquitto_pub", [
        ...argumentsOf(tools),
        "-t",
        "$aws/things/node-1/shadow/get/accepted",
        "-m",
        answer,
      ]);
      t.regex(await listener.line(/shadow\/update (.*)/), /"reported":\{"seconds":9\}/);
      t.is(settings.values.seconds, 9);

      const stop = async () => {
        const stopped = new Promise<void>(resolve => {
          onStopped = resolve;
        });
        agent.stop();
        await stopped;
      };
      await stop();
      agent.start();
      agent.telemetry.send("climate", { temperature: 22 });
      await listener.line(/dt\/node-1\/climate (.*"temperature":22\}.*)/);
      // Taken over by another client of its name: the will speaks for it.
      const other = ["-i", "node-1", "-t", "other", "-m", "x"];
      spawnSync("mosquitto_pub", [...argumentsOf(tools), ...other]);
      await listener.line(/status\/node-1 gone/);
      t.deepEqual(sessions, [false, true]);
      await stop();
    },
  );
}
