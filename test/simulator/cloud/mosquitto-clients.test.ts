// Clients that are not ours against the TLS front: Debian's mosquitto_pub and mosquitto_sub, in both versions.
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Authority } from "../../../simulator/cloud/authority.js";
import { Broker } from "../../../simulator/cloud/broker.js";
import { systemClock, systemRandom, systemTimer } from "../../../simulator/cloud/environment.js";
import { Front } from "../../../simulator/cloud/front.js";
import { Store } from "../../../simulator/cloud/store.js";

const isInstalled = ["mosquitto_sub", "mosquitto_pub", "stdbuf"].every(
  program => spawnSync(program, ["--help"]).error === undefined,
);
if (!isInstalled) {
  if (process.env["CI"] === "true")
    test("mosquitto's clients are installed", t => t.fail("mosquitto's clients are missing"));
  else
    test("mosquitto's clients are not installed: the cloud is not tried with them", t => t.pass());
}

type Version = "mqttv5" | "mqttv311";

/** What one client prints, on either channel. */
interface Client {
  until(pattern: RegExp): Promise<RegExpExecArray>;
  stop(): void;
}

interface World {
  readonly broker: Broker;
  run(program: "mosquitto_pub" | "mosquitto_sub", version: Version, ...args: string[]): Client;
}

/** A broker behind mutual TLS that allows everything, except where a name holds "secret". */
async function openWorld(t: ExecutionContext): Promise<World> {
  t.timeout(30_000, "a client of mosquitto's is silent");
  const directory = await mkdtemp(join(tmpdir(), "skerry-clients-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const environment = { clock: systemClock, random: systemRandom };
  const store = await Store.open({ schemas: {}, onFailure: error => t.fail(error.message) });
  const authority = await Authority.open({ store, ...environment, serverNames: [] });
  const broker = new Broker({
    ...environment,
    timer: systemTimer,
    refusal: () => undefined,
    identify: certificateId => ({
      certificateId,
      kind: "device",
      attachedThing: undefined,
      exclusiveThing: undefined,
      allows: (_action, resource) => !resource.includes("secret"),
    }),
    onPublish: () => "route",
    onEvent: () => undefined,
  });
  const front = await Front.listen({
    host: "127.0.0.1",
    port: 0,
    server: authority.server,
    trustAnchors: [authority.trustAnchor],
    refusal: () => undefined,
    accept: (link, peer) => broker.accept(link, peer),
    onRefused: (reason, detail) => t.log(reason, detail),
  });
  t.teardown(async () => {
    broker.close();
    await front.close();
    await store.close();
  });
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const secure = ["--cafile", await file("ca.pem", authority.trustAnchor)];
  secure.push("--cert", await file("client.pem", authority.claim.certificate));
  secure.push("--key", await file("client.key", authority.claim.key));
  const base = ["-h", "localhost", "-p", String(front.port), ...secure];
  return {
    broker,
    run: (program, version, ...args) => start(t, program, [...base, "-V", version, ...args]),
  };
}

function start(t: ExecutionContext, program: string, args: readonly string[]): Client {
  const child = spawn("stdbuf", ["-oL", program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  let wake = (): void => {};
  const add = (chunk: Buffer): void => {
    text += chunk;
    wake();
  };
  child.stdout.on("data", add);
  child.stderr.on("data", add);
  const stop = (): void => void child.kill();
  t.teardown(() => {
    stop();
    if (!t.passed) t.log(`${program}: ${text}`);
  });
  return {
    stop,
    until: async pattern => {
      for (;;) {
        const found = pattern.exec(text);
        if (found) return found;
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
    },
  };
}

const withClients = isInstalled ? test : test.skip;

withClients("either version hears the other, and MQTT 5 hears what was said beside", async t => {
  const { run } = await openWorld(t);
  const format = ["-F", "got %t|%p|%C|%R|%D|%E|%F|%P|%A"];
  const five = run("mosquitto_sub", "mqttv5", "-d", "-q", "1", "-t", "a/#", ...format, "-i", "s5");
  const three = run(
    "mosquitto_sub",
    "mqttv311",
    "-d",
    "-q",
    "1",
    "-t",
    "a/#",
    ...format,
    "-i",
    "s3",
  );
  await Promise.all([five.until(/Subscribed/), three.until(/Subscribed/)]);
  const say = ["-q", "1", "-t", "a/b", "-m", "hello", "-D", "publish"];
  const said = run(
    "mosquitto_pub",
    "mqttv5",
    ...["-d", ...say, "content-type", "text/plain", "-D", "publish", "response-topic", "r"],
    ...[
      "-D",
      "publish",
      "correlation-data",
      "id-1",
      "-D",
      "publish",
      "payload-format-indicator",
      "1",
    ],
    ...["-D", "publish", "message-expiry-interval", "60"],
    ...["-D", "publish", "user-property", "k", "v", "-D", "publish", "user-property", "k", "w"],
  );
  await said.until(/received PUBACK \(Mid: 1, RC:0\)/);
  const heard = await five.until(/^got (.*)$/m);
  t.regex(heard[1] ?? "", /^a\/b\|hello\|text\/plain\|r\|id-1\|(60|59|58)\|1\|k:v k:w\|$/);
  const plain = await three.until(/^got (.*)$/m);
  t.regex(plain[1] ?? "", /^a\/b\|hello\|/);
  run("mosquitto_pub", "mqttv311", "-i", "p3", "-q", "1", "-t", "a/c", "-m", "old");
  await Promise.all([five.until(/^got a\/c\|old\|/m), three.until(/^got a\/c\|old\|/m)]);
});

withClients("an MQTT 5 client reads why: CONNACK, PUBACK, SUBACK and DISCONNECT", async t => {
  const { run, broker } = await openWorld(t);
  const refused = run("mosquitto_pub", "mqttv5", "-i", "secret", "-t", "a", "-m", "");
  await refused.until(/not authori[sz]ed/i);
  const denied = run("mosquitto_pub", "mqttv5", "-d", "-q", "1", "-t", "secret", "-m", "");
  await denied.until(/received PUBACK \(Mid: 1, RC:135\)/);
  const deaf = run("mosquitto_sub", "mqttv5", "-d", "-t", "secret");
  await deaf.until(/All subscription requests were denied/);
  const twice = run("mosquitto_sub", "mqttv5", "-d", "-t", "a", "-q", "2");
  await twice.until(/Received DISCONNECT \(155\)/);
  const sitting = run("mosquitto_sub", "mqttv5", "-d", "-t", "a", "-i", "s");
  await sitting.until(/Subscribed/);
  t.true(broker.deleteConnection("s"));
  await sitting.until(/Received DISCONNECT \(152\)/);
  const last = run("mosquitto_sub", "mqttv5", "-d", "-t", "a", "-i", "s");
  await last.until(/Subscribed/);
  broker.close();
  await last.until(/Received DISCONNECT \(139\)/);
});

withClients("a persistent session of MQTT 5 keeps messages; aliases count from 1", async t => {
  const { run, broker } = await openWorld(t);
  const session = ["-i", "keeper", "-c", "-x", "60", "-q", "1", "-t", "a/#"];
  const first = run("mosquitto_sub", "mqttv5", "-d", ...session);
  await first.until(/Subscribed/);
  first.stop();
  while (broker.clients().length > 0) await new Promise(resolve => setTimeout(resolve, 5));
  const payload = Buffer.from("stored");
  for (const topic of ["a/1", "a/2"]) broker.publish({ topic, payload, qos: 1, retain: false });
  const aliases = ["-D", "connect", "topic-alias-maximum", "5"];
  const back = run("mosquitto_sub", "mqttv5", "-d", ...session, ...aliases, "-F", "got %t|%p|%A");
  // It learns aliases only: a message that has nothing but its alias is more than it understands.
  await back.until(/^got a\/1\|stored\|1[\s\S]*^got a\/2\|stored\|2/m);
  t.deepEqual(broker.clients(), ["keeper"]);
});
