import {
  type Device,
  judge,
  judgeDescription,
  judgeSize,
  raiseFloor,
} from "../../../src/ota/decide.js";
import type { Manifest } from "../../../src/ota/manifest.js";
import { check, equal } from "../harness.js";

const seconds = 1_900_000_000;
const manifest: Manifest = {
  type: "firmware",
  product: "buoy",
  hardware: ["rev-a", "rev-b"],
  version: "1.4.0",
  size: 340_000,
  sha256: new Uint8Array(32),
};
const device: Device = {
  product: "buoy",
  hardware: "rev-b",
  version: "1.3.9",
  floor: undefined,
  now: seconds * 1000,
  capacity: 1_000_000,
};
const late = { expires: seconds };
const floor = (text: string) => ({ floor: text });

type Row = readonly [Partial<Manifest>, Partial<Device>, string, ...(readonly string[])];

const rows: readonly Row[] = [
  [{}, {}, "taken"],
  [{ expires: seconds + 1 }, {}, "taken"],
  [late, { now: seconds * 1000 - 1 }, "taken"],
  [late, {}, "ota/expired", "expired at 1900000000 s, it is 1900000000 s"],
  [{ expires: 0 }, { now: 0 }, "ota/expired"],
  [late, { now: 5, timeFloor: seconds * 1000 }, "ota/expired", "it is 1900000000 s"],
  [late, { now: undefined, timeFloor: seconds * 1000 - 1 }, "taken"],
  [late, { now: undefined, timeFloor: seconds * 1000 }, "ota/expired", "the clock is not set"],
  [late, { now: undefined }, "ota/expired", "no time is known"],
  [{}, { now: undefined }, "taken"],
  [{ type: "script" }, {}, "ota/incompatible", "a script"],
  [{ product: "float" }, {}, "ota/incompatible", 'product "float", not "buoy"'],
  [{ product: "Buoy" }, {}, "ota/incompatible"],
  [{}, { product: undefined }, "ota/incompatible", "does not tell"],
  [{ hardware: ["rev-a"] }, {}, "ota/incompatible", 'hardware "rev-a", not "rev-b"'],
  [{}, { hardware: undefined }, "ota/incompatible", "does not tell"],
  [{ hardware: [] }, { hardware: undefined }, "taken"],
  [{ version: "1.3.9" }, {}, "ota/version", '"1.3.9" is running already'],
  [{ version: "1.3.9+other" }, {}, "ota/version", "running already"],
  [{ version: "1.3.9-rc.1" }, {}, "ota/version", "not newer"],
  [{ version: "1.3.8" }, {}, "ota/version", 'not newer than "1.3.9"'],
  [{ version: "1.3.8" }, { allowDowngrade: true }, "taken"],
  [{ version: "1.3.9" }, { allowDowngrade: true }, "ota/version", "running already"],
  [{}, floor("1.4.0"), "taken"],
  [{}, floor("1.4.1"), "ota/version", 'none below "1.4.1"'],
  [{ version: "1.3.8" }, { ...floor("1.3.8"), allowDowngrade: true }, "taken"],
  [{ version: "1.3.7" }, { ...floor("1.3.8"), allowDowngrade: true }, "ota/version", "none below"],
  [{ version: "2026-11" }, {}, "ota/version", "no semantic version"],
  [{ version: "2026-11" }, { allowDowngrade: true }, "taken"],
  [{ version: "2026-11" }, { ...floor("1.0.0"), allowDowngrade: true }, "ota/version", "semantic"],
  [{}, { version: "unknown" }, "ota/version", "no semantic version"],
  [{}, { version: "unknown", allowDowngrade: true }, "taken"],
  [{ version: "x" }, { version: "x", allowDowngrade: true }, "ota/version", "running already"],
  [{ size: 1_000_000 }, {}, "taken"],
  [{ size: 1_000_001 }, {}, "ota/incompatible", "room for 1000000"],
];

check("ota decide: what is for this device, now", () => {
  for (const [i, [change, changeDevice, expected, ...parts]] of rows.entries()) {
    const error = judge({ ...manifest, ...change }, { ...device, ...changeDevice });
    equal(error?.code ?? "taken", expected, `row ${i}: ${error?.message}`);
    for (const part of parts)
      equal(error?.message.includes(part), true, `"${part}" in "${error?.message}"`);
  }
});

check("ota decide: the first reason is told", () => {
  const worst: Manifest = {
    ...manifest,
    ...late,
    product: "float",
    hardware: ["rev-z"],
    version: "1.0.0",
    size: 2_000_000,
  };
  const codes = [
    worst,
    { ...worst, expires: seconds + 1 },
    { ...worst, expires: seconds + 1, product: "buoy" },
    { ...worst, expires: seconds + 1, product: "buoy", hardware: [] },
    { ...worst, expires: seconds + 1, product: "buoy", hardware: [], version: "2.0.0" },
  ].map(each => judge(each, device)?.message.split(" ").slice(0, 4).join(" "));
  equal(
    codes.join("|"),
    'manifest has expired at|image is for product|image is for hardware|image has version "1.0.0",|image of 2000000 bytes:',
  );
});

check("ota decide: an image without a manifest, by what it says of itself", () => {
  const code = (about: { version?: string; product?: string }, change: Partial<Device> = {}) =>
    judgeDescription(about, { ...device, ...change })?.code ?? "taken";
  equal(code({}), "taken");
  equal(code({}, floor("1.0.0")), "ota/version");
  equal(code({ version: "1.4.0" }), "taken");
  equal(code({ version: "1.3.9" }), "ota/version");
  equal(code({ version: "1.3.8" }), "ota/version");
  equal(code({ version: "1.3.8" }, { allowDowngrade: true }), "taken");
  equal(code({ version: "1.4.0" }, floor("1.5.0")), "ota/version");
  equal(code({ product: "buoy" }), "taken");
  equal(code({ product: "float" }), "ota/incompatible");
  equal(code({ product: "float" }, { product: undefined }), "taken");
  equal(judgeSize(7, 7), undefined);
  equal(judgeSize(8, 7)?.code, "ota/incompatible");
});

check("ota decide: the floor never sinks", () => {
  equal(raiseFloor(undefined, undefined), undefined);
  equal(raiseFloor("1.0.0", undefined), "1.0.0");
  equal(raiseFloor(undefined, "1.0.0"), "1.0.0");
  equal(raiseFloor("1.0.0", "1.0.1"), "1.0.1");
  equal(raiseFloor("1.0.1", "1.0.0"), "1.0.1");
  equal(raiseFloor("1.0.1", "1.0.1+x"), "1.0.1");
  equal(raiseFloor("1.0.1", "nonsense"), "1.0.1");
});
