// `--lan`: what is listened on, for whom the certificate is, and what firmware is told. Only loopback is bound here.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { type NetworkInterfaceInfo, tmpdir } from "node:os";
import { join } from "node:path";

import test from "ava";
import type { SensorNodeConfig } from "../../examples/sensor-node/sensor-node.js";
import { Cloud } from "../../simulator/cloud/cloud.js";
import { startDevice } from "../../simulator/fleet/device.js";
import { describePlace, type Machine, placeOf, thisMachine } from "../../simulator/lan.js";
import { anyPort, start } from "./start-command.js";

const at = (address: string, internal = false): NetworkInterfaceInfo =>
  ({
    address,
    family: address.includes(":") ? "IPv6" : "IPv4",
    internal,
    netmask: "255.255.255.0",
    mac: "00:00:00:00:00:00",
    cidr: null,
    ...(address.includes(":") ? { scopeid: 0 } : {}),
  }) as NetworkInterfaceInfo;

const bench: Machine = {
  hostname: "bench",
  interfaces: {
    lo: [at("127.0.0.1", true)],
    docker0: [at("172.17.0.1")],
    usb0: [at("169.254.3.4")],
    eth0: [at("192.168.1.20"), at("fe80::1")],
  },
};

test("without the flag nothing but this machine is listened to", t => {
  t.deepEqual(thisMachine, { host: "127.0.0.1", endpoint: "localhost", names: [] });
});

test("without names it is the machine's own addresses, the bench's before a container bridge's, then its name", t => {
  t.deepEqual(placeOf([], bench), {
    host: "0.0.0.0",
    endpoint: "192.168.1.20",
    names: ["192.168.1.20", "172.17.0.1", "bench", "bench.local"],
  });
  t.deepEqual(placeOf([], { ...bench, hostname: "no_name" }).names, ["192.168.1.20", "172.17.0.1"]);
});

for (const [given, host] of [
  [["192.168.1.20"], "192.168.1.20"],
  [["127.0.0.2"], "127.0.0.2"],
  [["203.0.113.7"], "0.0.0.0"],
  [["cloud.lab"], "0.0.0.0"],
  [["192.168.1.20", "cloud.lab"], "0.0.0.0"],
  [["cloud.lab", "2001:db8::1"], "::"],
] as const)
  test(`--lan ${given.join(" ")} listens on ${host}`, t => {
    t.deepEqual(placeOf(given, bench), { host, endpoint: given[0], names: [...given] });
  });

for (const [given, message] of [
  ["https://bench", /^--lan https:\/\/bench: .* without scheme and port\.$/],
  ["192.168.1.20:8883", /without scheme and port/],
  ["192.168.1.300", /^--lan 192\.168\.1\.300: not an address/],
  ["0.0.0.0", /no board can connect/],
  ["::", /no board can connect/],
  ["fe80::1%eth0", /^--lan fe80::1%eth0: an address with a zone/],
  ["under_score", /neither an address nor a host name/],
  ["-bench", /neither an address nor a host name/],
  ["", /neither an address nor a host name/],
] as const)
  test(`--lan "${given}" is refused in words`, t => {
    t.throws(() => placeOf(["bench", given], bench), { message });
  });

test("a machine without a network is told so, and too many names are counted", t => {
  const alone = { hostname: "bench", interfaces: { lo: [at("127.0.0.1", true)] } };
  t.throws(() => placeOf([], alone), { message: /no IPv4 address but its own loopback/ });
  const many = Array.from({ length: 17 }, (_, i) => `board-${i}`);
  t.throws(() => placeOf(many, bench), { message: /17 names and addresses, at most 16/ });
});

test("the commands that come next name the configuration, where it is not in its usual place", t => {
  const place = placeOf(["192.168.1.20"], bench);
  const said = (firmware: string) =>
    describePlace(place, { port: 8883, downloads: 8443, firmware }).match(/npm run esp32 .*/g);
  t.deepEqual(said(join(".skerry", "firmware.json"))?.slice(0, 2), [
    'npm run esp32 -- configure --ssid "YOUR WI-FI"',
    "npm run esp32 -- flash --port /dev/ttyUSB0",
  ]);
  t.deepEqual(said("/tmp/my bench's/firmware.json")?.slice(0, 2), [
    `npm run esp32 -- configure --config '/tmp/my bench'\\''s/firmware.json' --ssid "YOUR WI-FI"`,
    "npm run esp32 -- flash --config '/tmp/my bench'\\''s/firmware.json' --port /dev/ttyUSB0",
  ]);
});

test("downloads are presigned for the name that was given", async t => {
  const cloud = await Cloud.open({
    objects: { downloads: { host: "127.0.0.2", port: 0, name: "127.0.0.2" } },
    serverNames: ["127.0.0.2"],
    allow: [],
  });
  t.teardown(() => cloud.close());
  const { port, endpoint } = cloud.files.downloads;
  t.is(endpoint, `https://127.0.0.2:${port}`);
});

test("a start with it listens there only, has a certificate for it, and its firmware.json takes a device there", async t => {
  const state = await mkdtemp(join(tmpdir(), "skerry-lan-"));
  t.teardown(() => rm(state, { recursive: true, force: true }));
  const cloud = start(t, "--state", state, ...anyPort, "--allow", "SN-2", "--lan", "127.0.0.2");
  const ports = /MQTT on port (\d+) and firmware downloads on port (\d+), on 127\.0\.0\.2 of/;
  const [, mqtt, downloads] = await cloud.until(ports);
  await cloud.until(/certificate is for localhost, 127\.0\.0\.1, 127\.0\.0\.2\./);
  await cloud.until(/npm run esp32 -- flash/);
  const firmware = JSON.parse(await readFile(join(state, "firmware.json"), "utf8"));
  const config: SensorNodeConfig = firmware.config.sensorNode;
  t.is(config.endpoint, "127.0.0.2");
  t.is(config.port, Number(mqtt));
  for (const port of [mqtt, downloads]) {
    t.is(await codeOf("127.0.0.1", Number(port)), "ECONNREFUSED");
    t.is(await codeOf("127.0.0.2", Number(port)), undefined);
  }
  const { endpoint } = JSON.parse(await readFile(join(state, "rest.json"), "utf8"));
  t.is(new URL(endpoint).hostname, "127.0.0.1");
  t.is(await codeOf("127.0.0.2", Number(new URL(endpoint).port)), "ECONNREFUSED");

  const thingName = await new Promise<string>((resolve, reject) => {
    startDevice({
      engine: "node",
      directory: join(state, "board"),
      config: { ...config, serialNumber: "SN-2" },
      onStatus: status => {
        if (status.type === "provisioned") resolve(status.thingName);
      },
      onCrash: reject,
    }).then(device => t.teardown(() => device.stop()), reject);
  });
  t.is(thingName, "node-SN-2");
  await cloud.stop();
});

/** @returns why nobody can be connected to there, undefined where somebody can */
function codeOf(host: string, port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", error => resolve((error as NodeJS.ErrnoException).code));
  });
}
