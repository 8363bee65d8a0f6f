// `npm start` as a person has it: the local cloud, one device, and the first things to try.
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { SensorNodeConfig } from "../../examples/sensor-node/sensor-node.js";
import { keepRestEndpoint, restListen, shadowCommand } from "../../simulator/rest-endpoint.js";
import { openLocalSigner } from "../../simulator/signing/local-signer.js";
import { anyPort, main, start } from "./start-command.js";

async function newState(t: ExecutionContext): Promise<string> {
  const state = await mkdtemp(join(tmpdir(), "skerry-start-"));
  t.teardown(() => rm(state, { recursive: true, force: true }));
  return state;
}

/** A command that ends by itself. @param folder where it is run */
async function skerry(t: ExecutionContext, folder: string, command: string) {
  const child = spawn(process.execPath, [main, ...command.split(" ")], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", text => {
      out += text;
    });
  const [code] = await once(child, "close");
  return { code, out };
}

test("the command that is printed changes the running device, on the next start too", async t => {
  const state = await newState(t);
  const first = start(t, "--state", state, "--port", "0", "--rest-port", "0");
  const command = /curl -X POST (\S+\/things\/node-SN-0001\/shadow) -d '(.+)'/;
  const [, url = "", body = ""] = await first.until(command);
  const posted = request(url, { method: "POST", agent: false }).end(body);
  const [response] = await once(posted, "response");
  t.is(response.statusCode, 200);
  response.resume();
  await first.until(/settings changed by the cloud: sampleSeconds=5/);
  await first.until(/reported .*sampleSeconds=5/);
  await first.stop();
  const { origin } = new URL(url);
  const kept = JSON.parse(await readFile(join(state, "rest.json"), "utf8"));
  t.deepEqual(Object.keys(kept), ["endpoint", "objects"]);
  t.is(kept.endpoint, origin);
});

test("the commands that are printed replace the running device's firmware, and tell how it went", async t => {
  const state = await newState(t);
  const cloud = start(t, "--state", state, ...anyPort);
  const commands = /npm run --silent skerry -- (image .+)\n.+ skerry -- (update .+)\n/;
  const [, image = "", update = ""] = await cloud.until(commands);
  await cloud.until(/reports sampleSeconds/);
  t.is((await skerry(t, state, image)).code, 0);
  const good = await skerry(t, state, update);
  t.regex(good.out, /^job AFR_OTA-good-bin-\S+\n[\s\S]*SUCCEEDED {2}reason: accepted v1\.1\.0/m);
  t.is(good.code, 0, good.out);
  await cloud.until(/restarted into slot ota_1, version 1\.1\.0, on trial/);

  const key = join(state, "signing-key.pem");
  const file = join(state, "good.bin");
  const sign = `sign --key ${key} --product sensor-node --hardware devkit --version 1.2.0 ${file}`;
  t.is((await skerry(t, state, sign)).code, 0);
  const other = await skerry(t, state, `${update} --manifest ${file}.manifest.json`);
  t.regex(other.out, /FAILED {2}reason: .*1\.1\.0.*1\.2\.0/, "the image says 1.1.0");
  t.is(other.code, 1);
  await cloud.stop();
  const again = start(t, "--state", state, ...anyPort);
  const [, next = ""] = await again.until(commands);
  t.is(next, image.replace("1.1.0", "1.2.0"), "newer than what runs");
  await again.stop();
});

test("firmware for this cloud knows who signs updates: a key that is made once, for its owner to read", async t => {
  const state = await newState(t);
  const run = async (): Promise<SensorNodeConfig> => {
    const cloud = start(t, "--state", state, "--no-device", ...anyPort);
    await cloud.until(/mutual TLS\n/);
    await cloud.stop();
    const firmware = JSON.parse(await readFile(join(state, "firmware.json"), "utf8"));
    return firmware.config.sensorNode;
  };
  const config = await run();
  const { mode } = await stat(join(state, "signing-key.pem"));
  t.is(mode & 0o777, 0o600);
  const { publicKey } = openLocalSigner(state).key;
  t.like(config, { product: "sensor-node", hardware: "devkit", threshold: 1 });
  t.deepEqual(config.signers, [{ name: "skerry", publicKey }]);
  t.deepEqual((await run()).signers, config.signers);
});

test("another signing key may be put in the place of the one that was made; what is none is named, and kept", async t => {
  const state = await newState(t);
  const made = openLocalSigner(state);
  t.is(made.profile.signatureAlgorithm, "ECDSA");
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await writeFile(made.path, pem);
  const other = openLocalSigner(state);
  t.is(other.profile.signatureAlgorithm, "RSA");
  t.not(other.key.keyId, made.key.keyId);
  await writeFile(made.path, "no key");
  t.throws(() => openLocalSigner(state), { message: new RegExp(`^${made.path} holds no PEM`) });
  t.is(await readFile(made.path, "utf8"), "no key");
});

test("an update says that no cloud runs, and what is no image", async t => {
  const state = await newState(t);
  await writeFile(join(state, "good.bin"), "an image");
  const none = await skerry(t, state, `update --state ${state} good.bin`);
  t.regex(none.out, /says of no cloud where it listens/);
  keepRestEndpoint(state, 1, 1);
  const silent = await skerry(t, state, `update --state ${state} good.bin`);
  t.regex(silent.out, /Nobody answers at http:\/\/127\.0\.0\.1:1: is npm start running\?/);
  const missing = await skerry(t, state, `update --state ${state} other.bin`);
  t.regex(missing.out, /There is no file other\.bin/);
  t.deepEqual([none.code, silent.code, missing.code], [1, 1, 1]);
});

test("a start that finds its port taken says so, and keeps no address of its own", async t => {
  const state = await newState(t);
  const other = createServer().listen(0, "127.0.0.1");
  t.teardown(() => other.close());
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const { code, out } = await skerry(t, state, `--state ${state} --port ${port} --rest-port 0`);
  t.is(code, 1);
  t.true(out.includes(`${port}`), out);
  await t.throwsAsync(stat(join(state, "rest.json")), { code: "ENOENT" });
});

test("the port of the last start is taken again, the default without one", async t => {
  const state = await newState(t);
  t.deepEqual(restListen(state, undefined), { host: "127.0.0.1", port: 8880, orAny: true });
  keepRestEndpoint(state, 4711);
  t.like(restListen(state, undefined), { port: 4711, orAny: true });
  t.true(shadowCommand(state, "node-1").includes(" http://127.0.0.1:4711/things/node-1/shadow "));
  t.deepEqual(restListen(state, 5), { host: "127.0.0.1", port: 5 });
});

for (const text of ["", "{", "null", "[]", '{"endpoint":"http://127.0.0.1"}', '{"endpoint":7}']) {
  test(`${text || "nothing"} in rest.json counts as no port`, async t => {
    const state = await newState(t);
    await writeFile(join(state, "rest.json"), text);
    t.is(restListen(state, undefined).port, 8880);
  });
}
