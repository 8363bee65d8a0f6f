// `npm run esp32` with an SDK, an ESP-IDF and ports of the test's own: what is called how, and what is said of what is missing.
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Cloud } from "../../simulator/cloud/cloud.js";
import { type BoardFlags, runStep, type Step } from "../../simulator/esp32/board.js";
import { gather } from "../../simulator/esp32/configuration.js";
import { configure } from "../../simulator/esp32/configure.js";
import { choosePort } from "../../simulator/esp32/port.js";
import { Problems } from "../../simulator/esp32/problem.js";
import { checkIdf, findSdk } from "../../simulator/esp32/tools.js";

const sensorNode = {
  endpoint: "192.168.1.20",
  port: 8883,
  trustAnchors: ["PEM"],
  serialNumber: "SN-0001",
};

const system = process.platform === "darwin" ? "mac" : "lin";
const mcconfig = `sdk/build/bin/${system}/release/mcconfig`;
/** Writes down how it was called, and what of its environment counts. */
const standIn = `#!/bin/sh
echo "$@" >> "$RECORD"
echo "$SKERRY_CONFIG|$PARTITIONS_FILE|$SDKCONFIGPATH|$UPLOAD_PORT|\${PATH%%:*}" >> "$RECORD.env"
build="$OUT/tmp/esp32/\${BOARD:-nodemcu}/\${MODE:-release}/sensor-node/xsProj-esp32/build"
mkdir -p "$build"
case "$*" in *"-t build"*)
  touch -t 200101010001 "$build/xs_esp32.a"
  [ -z "$IDF_FAILS" ] && touch -t 200101010002 "$build/xs_esp32.bin"
  [ "$IDF_FAILS" = "stale" ] && touch -t 200101010000 "$build/xs_esp32.bin"
esac
exit \${FAILS:-0}
`;

/** A machine on which everything is as it should be: files by their paths. */
const whole: Readonly<Record<string, string>> = {
  "sdk/tools/VERSION": "8.2.3\n",
  "sdk/build/devices/esp32/manifest.json": '{ "build": { "EXPECTED_ESP_IDF": "v6.0" } }',
  [mcconfig]: standIn,
  "idf/tools/cmake/version.cmake":
    "set(IDF_VERSION_MAJOR 6)\nset(IDF_VERSION_MINOR 0)\nset(IDF_VERSION_PATCH 1)\n",
  "idf/.git/HEAD": "ref",
  "idf/tools/idf.py": "",
  "skerry/dist/src/index.js": "",
  "skerry/dist/hosts/moddable/host.js": "",
  "skerry/dist/examples/sensor-node/sensor-node.js": "",
  "skerry/examples/sensor-node/manifest.json": "{}",
  "skerry/hosts/moddable/esp32/partitions.csv": "",
  "skerry/hosts/moddable/esp32/partitions-8mb.csv": "",
  "skerry/hosts/moddable/esp32/sdkconfig.defaults": "CONFIG_A=y\n",
  "skerry/hosts/moddable/esp32/sdkconfig.defaults.release": "CONFIG_B=y\n",
  "state/firmware.json": JSON.stringify({ config: { sensorNode } }),
  "state/bench.json": JSON.stringify({ wifi: { ssid: "Bench", password: "12345678" } }),
};

function machine(t: ExecutionContext, change: Readonly<Record<string, string | undefined>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "skerry-esp32-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries({ ...whole, ...change })) {
    if (text === undefined) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
    if (text.startsWith("#!")) chmodSync(join(folder, path), 0o755);
  }
  mkdirSync(join(folder, "dev"));
  const at = (path: string) => join(folder, path);
  const environment: Record<string, string | undefined> = {
    MODDABLE: at("sdk"),
    IDF_PATH: at("idf"),
    PATH: `${at("idf/tools")}:${process.env["PATH"]}`,
    RECORD: at("record"),
    OUT: at("out"),
  };
  const flags: BoardFlags = {
    config: at("state/firmware.json"),
    subplatform: "nodemcu",
    manifest: at("skerry/examples/sensor-node/manifest.json"),
    out: at("out"),
    flash: "4",
    firmware: "1.0.0",
  };
  const said: string[] = [];
  const go = (step: Step, more: Partial<BoardFlags> = {}) =>
    runStep(
      step,
      { ...flags, ...more },
      {
        root: at("skerry"),
        environment,
        devices: at("dev"),
        now: () => 1_700_000_000_999,
        say: line => said.push(line),
      },
    );
  const refused = async (step: Step, more: Partial<BoardFlags> = {}) => {
    const error = await t.throwsAsync(go(step, more), { instanceOf: Problems });
    t.throws(() => readFileSync(at("record")), { code: "ENOENT" }, "nothing is called");
    return error?.problems ?? [];
  };
  const read = (path: string) => readFileSync(at(path), "utf8");
  return { at, environment, go, refused, read };
}

test("flash builds for the board, then writes, with the configuration and the Wi-Fi in one fragment", async t => {
  const { at, go, read } = machine(t);
  await go("flash", { port: "/dev/null", firmware: "1.2.0" });
  const words = `builtAt=1700000000 firmwareVersion=1.2.0`;
  const manifest = at("skerry/examples/sensor-node/manifest.json");
  const call = (target: string) =>
    `-m -p esp32/nodemcu -t ${target} -o ${at("out")} ${manifest} ${words}`;
  t.deepEqual(read("record").trim().split("\n"), [call("build"), call("deploy")]);
  const fragment = at("out/configuration.json");
  const table = at("skerry/hosts/moddable/esp32/partitions.csv");
  const bin = dirname(at(mcconfig));
  t.is(
    read("record.env").split("\n")[1],
    `${fragment}|${table}|${at("out/sdkconfig")}|/dev/null|${bin}`,
  );
  t.deepEqual(JSON.parse(read("out/configuration.json")), {
    config: { sensorNode, ssid: "Bench", password: "12345678" },
  });
  t.is(statSync(fragment).mode & 0o777, 0o600);
  for (const name of ["tmp", "bin"]) t.is(statSync(at(`out/${name}`)).mode & 0o777, 0o700, name);
  t.is(
    read("out/sdkconfig/sdkconfig.defaults.release"),
    "CONFIG_B=y\nCONFIG_ESP_CONSOLE_NONE=n\nCONFIG_ESP_CONSOLE_UART_DEFAULT=y\n",
    "what a release build says is heard",
  );
});

test("an unchanged configuration is not written again, because the SDK goes by the times of files", async t => {
  const { at, go, read } = machine(t);
  await go("build");
  const before = statSync(at("out/configuration.json"), { bigint: true }).mtimeNs;
  const settings = statSync(at("out/sdkconfig/sdkconfig.defaults"), { bigint: true }).mtimeNs;
  await go("build");
  t.is(statSync(at("out/configuration.json"), { bigint: true }).mtimeNs, before);
  t.is(statSync(at("out/sdkconfig/sdkconfig.defaults"), { bigint: true }).mtimeNs, settings);
  await go("build", { serial: "SN-7" });
  t.is(JSON.parse(read("out/configuration.json")).config.sensorNode.serialNumber, "SN-7");
});

test("another board, flash of 8 MB, the debugger: as the SDK's options and ESP-IDF's settings", async t => {
  const { at, environment, go, read } = machine(t);
  Object.assign(environment, { BOARD: "esp32s3", MODE: "debug" });
  await go("build", { subplatform: "esp32s3", flash: "8", debug: true });
  t.regex(read("record"), /^-d -m -p esp32\/esp32s3 -t build /);
  t.is(read("record.env").split("|")[1], at("skerry/hosts/moddable/esp32/partitions-8mb.csv"));
  t.is(
    read("out/sdkconfig/sdkconfig.defaults"),
    'CONFIG_A=y\nCONFIG_ESPTOOLPY_FLASHSIZE_2MB=n\nCONFIG_ESPTOOLPY_FLASHSIZE_4MB=n\nCONFIG_ESPTOOLPY_FLASHSIZE_16MB=n\nCONFIG_ESPTOOLPY_FLASHSIZE_8MB=y\nCONFIG_ESPTOOLPY_FLASHSIZE="8MB"\n',
  );
});

test("monitor asks the SDK's tools to show what the board says, and wants something built before", async t => {
  const { go, refused, read } = machine(t);
  const [missing] = await refused("monitor", { port: "/dev/null" });
  t.regex(missing!.what, /^Nothing has been built in /);
  await go("build");
  await go("monitor", { port: "/dev/null" });
  t.regex(read("record").split("\n")[1]!, / -t xsbug /);
});

test("what fails in the SDK's tools ends in words, and nothing is written to the board", async t => {
  const { environment, go, read } = machine(t);
  environment["FAILS"] = "2";
  await t.throwsAsync(go("flash", { port: "/dev/null" }), {
    message: /mcconfig has ended with 2/,
  });
  t.is(read("record").trim().split("\n").length, 1);
});

for (const [fails, message] of [
  ["yes", /^ESP-IDF has made no image of this firmware: see above why\. There is none in /],
  ["stale", /An older one lies in /],
] as const)
  test(`an ESP-IDF that fails behind the SDK's back (${fails}) is noticed, and no older image is written`, async t => {
    const { environment, go, read } = machine(t);
    environment["IDF_FAILS"] = fails;
    await t.throwsAsync(go("flash", { port: "/dev/null" }), { message });
    t.is(read("record").trim().split("\n").length, 1);
  });

for (const [title, change, what] of [
  ["no SDK version", { "sdk/tools/VERSION": undefined }, /has no tools\/VERSION/],
  ["an SDK that is too old", { "sdk/tools/VERSION": "7.1.0" }, /is 7\.1\.0; 8\.2 is the oldest/],
  ["an SDK that is not built", { [mcconfig]: undefined }, /is not built/],
  [
    "another ESP-IDF",
    { "idf/tools/cmake/version.cmake": "set(IDF_VERSION_MAJOR 5)\nset(IDF_VERSION_MINOR 5)\n" },
    /is v5\.5\.0; this Moddable SDK builds with v6\.0/,
  ],
  [
    "no ESP-IDF there",
    { "idf/tools/cmake/version.cmake": undefined },
    /has no tools\/cmake\/version/,
  ],
  ["an ESP-IDF from an archive", { "idf/.git/HEAD": undefined }, /is no git clone/],
  ["ESP-IDF's terminal", { "idf/tools/idf.py": undefined }, /^idf\.py is not on the PATH/],
  ["nothing compiled", { "skerry/dist/src/index.js": undefined }, /dist is not built/],
  ["no manifest", { "skerry/examples/sensor-node/manifest.json": undefined }, /no manifest/],
  [
    "no table",
    { "skerry/hosts/moddable/esp32/partitions.csv": undefined },
    /no partition table for 4 MB/,
  ],
  ["no configuration", { "state/firmware.json": undefined }, /^There is no configuration /],
  ["a configuration that is none", { "state/firmware.json": "{" }, /firmware\.json is no JSON/],
  ["a configuration of something else", { "state/firmware.json": "{}" }, /no config\.sensorNode\./],
  [
    "a configuration without an endpoint",
    { "state/firmware.json": '{"config":{"sensorNode":{"port":1,"trustAnchors":["PEM"]}}}' },
    /no config\.sensorNode\.endpoint/,
  ],
  [
    "a cloud that only this machine reaches",
    {
      "state/firmware.json": JSON.stringify({
        config: { sensorNode: { ...sensorNode, endpoint: "localhost" } },
      }),
    },
    /endpoint .* is localhost: on a board that is the board itself/,
  ],
  ["no Wi-Fi", { "state/bench.json": undefined }, /^There is no Wi-Fi/],
] as const)
  test(`${title}: it is said in words, with what to do, before anything is called`, async t => {
    const problems = await machine(t, change).refused("build");
    t.is(problems.length, 1, JSON.stringify(problems));
    t.regex(problems[0]!.what, what);
    t.true(problems[0]!.mend.length > 10);
  });

test("variables that are not set, or lead nowhere, are named; all problems are told at once", async t => {
  const { at, environment, refused } = machine(t, { "state/bench.json": undefined });
  t.like(findSdk({}), { problems: { length: 1, 0: { what: "MODDABLE is not set." } } });
  t.regex(findSdk({ MODDABLE: "sdk" }).problems[0]!.what, /^MODDABLE is sdk, which is no folder/);
  t.regex(findSdk(environment, "win32").problems[0]!.what, /on Linux and macOS, not on win32/);
  t.regex(checkIdf({}, at("sdk"))[0]!.mend, /Install ESP-IDF v6\.0/);
  t.regex(checkIdf({ IDF_PATH: at("none") }, undefined)[0]!.what, /none, which is no folder/);
  delete environment["MODDABLE"];
  delete environment["IDF_PATH"];
  const problems = await refused("flash");
  t.deepEqual(
    problems.map(({ what }) => what.split(" ").slice(0, 3).join(" ")),
    ["MODDABLE is not", "IDF_PATH is not", "There is no", "No board is"],
  );
});

test("a folder that the SDK's make files would take apart is named before they do", async t => {
  const { at, refused } = machine(t);
  const [problem, ...others] = await refused("build", { out: at("my out") });
  t.regex(problem!.what, /^--out is \S+my out: the SDK's make files do not take " "/);
  t.is(others.length, 0);
});

test("a port is the one that was named, or the only one there is", t => {
  const { at } = machine(t);
  const dev = at("dev");
  t.regex(choosePort(undefined, dev).problem!.what, /^No board is connected/);
  t.regex(choosePort(join(dev, "ttyUSB9"), dev).problem!.mend, /No other board is connected/);
  symlinkSync("/dev/null", join(dev, "ttyUSB0"));
  t.deepEqual(choosePort(undefined, dev), { port: join(dev, "ttyUSB0") });
  t.regex(choosePort(join(dev, "ttyUSB9"), dev).problem!.mend, /There is \S+ttyUSB0\./);
  symlinkSync("/dev/null", join(dev, "cu.usbserial-1"));
  t.regex(choosePort(undefined, dev).problem!.what, /cu\.usbserial-1, \S+ttyUSB0/);
  writeFileSync(join(dev, "file"), "");
  t.regex(choosePort(join(dev, "file"), dev).problem!.what, /is no serial port/);
  const denied = choosePort(join(dev, "ttyUSB0"), dev, () => {
    throw new Error("EACCES");
  });
  t.regex(denied.problem!.what, /^You may not use .*ttyUSB0/);
});

const quiet = { ssid: "Bench", password: "correct horse" };

test("Wi-Fi, pins and window are kept beside the configuration, for their owner to read, and stay when another cloud starts", async t => {
  const { at } = machine(t, { "state/bench.json": undefined });
  const config = at("state/firmware.json");
  await configure({ config, ...quiet });
  await configure({ config, led: 5, window: 60 });
  await configure({ config, button: 9, ledOn: 0, timeServer: ["192.168.1.1"] });
  t.is(statSync(at("state/bench.json")).mode & 0o777, 0o600);
  t.deepEqual(gather({ config }).fragment?.config, {
    ssid: "Bench",
    password: "correct horse",
    board: { ledPin: 5, buttonPin: 9, ledOn: 0 },
    sntp: ["192.168.1.1"],
    sensorNode: { ...sensorNode, windowSeconds: 60 },
  });
  chmodSync(at("state/bench.json"), 0o644);
  writeFileSync(at("password"), "from a file\nand nothing of this\n");
  await configure({ config, ssid: "Bench", passwordFile: at("password") });
  t.is(gather({ config }).fragment?.config["password"], "from a file");
  t.is(statSync(at("state/bench.json")).mode & 0o777, 0o600, "a file that others could read");
  await configure({ config, ssid: "Open", open: true });
  t.false("password" in (gather({ config }).fragment?.config ?? {}));
});

for (const [flags, message] of [
  [{ ...quiet, ssid: "" }, /0 bytes; the name of a Wi-Fi has 1 to 32/],
  [{ ...quiet, ssid: "é".repeat(17) }, /34 bytes/],
  [{ ...quiet, password: "short" }, /has 5 characters; WPA takes 8 to 63/],
  [{ ...quiet, password: "é".repeat(10) }, /WPA takes/],
  [
    { ssid: "Bench", passwordFile: "/nowhere/x" },
    /--password-file \/nowhere\/x cannot be read: ENOENT/,
  ],
  [{ timeServer: ["ntp://x"] }, /--time-server ntp:\/\/x: a host name is wanted/],
  [{}, /There is nothing to configure/],
  [{ led: 2, password: "correct horse" }, /--password counts only with --ssid/],
  [{ led: 2, passwordFile: "pw" }, /--password-file counts only with --ssid/],
  [{ led: 2, open: true }, /--open counts only with --ssid/],
  [{ led: 2, serial: "SN-2" }, /--serial counts only with --endpoint/],
  [{ ...quiet, claimKey: "key" }, /--claim-key counts only with --endpoint/],
  [{ ...quiet, passwordFile: "pw" }, /Either --password or --password-file/],
  [{ endpoint: "https://x" }, /--endpoint https:\/\/x: a host name is wanted/],
  [{ endpoint: "a1b2.iot.eu-west-1.amazonaws.com" }, /AWS has retired the authority/],
  [{ endpoint: "a1b2-ats.iot.eu-west-1.amazonaws.com" }, /--anchor is missing/],
] as const)
  test(`configure ${JSON.stringify(flags).slice(0, 60)} is refused in words, and nothing is written`, async t => {
    const { at } = machine(t, { "state/bench.json": undefined });
    await t.throwsAsync(configure({ ...flags, config: at("state/firmware.json") }), { message });
    t.throws(() => statSync(at("state/bench.json")), { code: "ENOENT" });
  });

test("a cloud such as AWS is its endpoint, its root, and a claim, whose key is made PKCS#8 from whatever PEM it is in", async t => {
  const { at } = machine(t);
  const cloud = await Cloud.open({ allow: [] });
  t.teardown(() => cloud.close());
  const { certificate, key, trustAnchor } = cloud.claim();
  const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const weak = generateKeyPairSync("ed25519");
  const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  for (const [name, text] of Object.entries({
    root: trustAnchor,
    claim: certificate,
    key: createPrivateKey(key).export({ type: "sec1", format: "pem" }).toString(),
    other: other.export({ type: "pkcs1", format: "pem" }).toString(),
    signer: signer.publicKey.export({ type: "spki", format: "pem" }).toString(),
    private: signer.privateKey.export({ type: "sec1", format: "pem" }).toString(),
    weak: weak.publicKey.export({ type: "spki", format: "pem" }).toString(),
    words: "PEM",
  }))
    writeFileSync(at(name), text);
  const config = at("state/aws.json");
  const endpoint = "a1b2-ats.iot.eu-west-1.amazonaws.com";
  const place = { config, endpoint, anchor: [at("root")], template: "fleet" };
  const pair = { claim: at("claim"), claimKey: at("key") };
  await configure({ ...place, ...pair, signer: at("signer") });
  const written = gather({ config }).fragment?.config.sensorNode;
  t.like(written, { endpoint, port: 8883, template: "fleet", threshold: 1 });
  const [known] = written!["signers"] as { name: string; publicKey: string }[];
  t.deepEqual(known, { name: "release", publicKey: readFileSync(at("signer"), "utf8") });
  t.false("serialNumber" in written!, "the chip's own number");
  t.regex((written!["claim"] as { key: string }).key, /^-----BEGIN PRIVATE KEY-----/);
  await configure({
    config,
    endpoint,
    anchor: [at("root")],
    thing: "one",
    certificate: at("claim"),
    key: at("key"),
  });
  t.like(gather({ config }).fragment?.config.sensorNode, {
    thingName: "one",
    certificate: `${certificate.trim()}\n`,
  });

  const wrong = (more: object, message: RegExp) =>
    t.throwsAsync(configure({ ...place, ...pair, ...more }), { message });
  await wrong({ claimKey: at("other") }, /--claim-key \S+other does not belong to \S+claim/);
  await wrong({ claimKey: at("claim") }, /no private key in PEM/);
  await wrong({ claim: at("key") }, /--claim \S+key: no certificate in PEM/);
  await wrong({ anchor: [at("claim")] }, /--anchor \S+claim is no certificate of an authority/);
  await wrong({ claimKey: undefined }, /needs a claim/);
  await wrong({ thing: "one" }, /Either a claim or an identity of its own/);
  await wrong({ template: "sensor node" }, /--template sensor node: it is not 1 to 36/);
  await wrong({ signer: at("private") }, /--signer \S+private is a private key, which must not/);
  await wrong({ signer: at("words") }, /--signer \S+words: no public key in PEM/);
  await wrong({ signer: at("root") }, /--signer \S+root: no public key in PEM/);
  await wrong({ signer: at("weak") }, /--signer \S+weak: neither P-256, P-384 nor RSA/);
  const own = { thing: "my board", certificate: at("claim"), key: at("key") };
  const none = { claim: undefined, claimKey: undefined, template: undefined };
  await wrong({ ...none, ...own }, /--thing my board: it is not 1 to 128/);
  t.deepEqual(readdirSync(at("state")).sort(), ["aws.json", "bench.json", "firmware.json"]);
});
