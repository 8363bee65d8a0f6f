// Documents of updates that are none: members that are missing, of another type or out of range. Each is rejected before a byte is
// fetched or written, saying which member it is; what runs goes on running, and the next good update is taken.
import test, { type ExecutionContext } from "ava";
import type { JsonObject } from "../../simulator/cloud/json.js";
import type { UpdateWorld } from "../../simulator/fleet/update-world.js";
import { manifestDocument } from "../../simulator/signing/job-document.js";
import {
  base64,
  createAfrJob,
  firmware,
  openWorld,
  recovers,
  untouched,
  watchTraffic,
} from "./updates.js";

const image = (world: UpdateWorld) => world.image(firmware());

const texts = [7, true, {}, [], null];
const numbers = ["seven", true, {}, [], null, 1.5, -1, 1e300];

/** Members of AWS's document, and what each may not be; undefined is absent. */
const afrFile: readonly (readonly [member: string, values: readonly unknown[]])[] = [
  ["filepath", [undefined, "", "x".repeat(257), ...texts]],
  ["filesize", [undefined, "", ...numbers, "99999999999"]],
  ["fileid", [undefined, 256, ...numbers]],
  ["certfile", ["", ...texts.slice(0, 4)]],
  ["fileType", [256, ...numbers.filter(value => value !== null)]],
  ["sig-sha256-ecdsa", ["", "!", "A".repeat(3000), ...texts.slice(0, 4)]],
  [
    "update_data_url",
    [
      undefined,
      "",
      "http://a.test/x",
      "https://",
      `https://a.test/${"x".repeat(2048)}`,
      "https://a.test/\n",
      ...texts,
    ],
  ],
  ["auth_scheme", ["", "basic", ...texts.slice(0, 4)]],
];
const afrMembers: typeof afrFile = [
  ["protocols", [undefined, [], ["BLE"], [7], "MQTT", ...texts]],
  ["streamname", [undefined, "", "a/b", "x".repeat(129), ...texts]],
  ["files", [undefined, [], [7], [{}, {}], "file", ...texts]],
];
const ownMembers: typeof afrFile = [
  ["operation", [undefined, "", ...texts]],
  ["manifest", [undefined, "", "!", "A".repeat(8000), ...texts]],
  [
    "signatures",
    [
      [7],
      [{}],
      [{ keyId: "0", signature: "AAAA" }],
      [{ keyId: "0123456789abcdef" }],
      Array(9).fill({ keyId: "0123456789abcdef", signature: "AAAA" }),
      "x",
      ...texts.slice(0, 3),
    ],
  ],
  [
    "sources",
    [
      undefined,
      [],
      [7],
      [{}],
      [{ stream: "a", fileId: 0, url: "https://a.test" }],
      [{ stream: "a" }],
      [{ stream: "a", fileId: 256 }],
      [{ url: "ftp://a" }],
      Array(5).fill({ stream: "a", fileId: 0 }),
      "x",
      ...texts,
    ],
  ],
];

/** Each as a job of its own, one after the other. */
async function rejectAll(
  t: ExecutionContext,
  members: typeof afrFile,
  create: (
    world: UpdateWorld,
    id: string,
    change: Readonly<Record<string, unknown>>,
  ) => Promise<unknown>,
): Promise<void> {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  for (const [member, values] of members) {
    for (const [i, value] of values.entries()) {
      const id = `${member}-${i}`;
      await create(world, id, { [member]: value });
      const outcome = await world.ended(id);
      const what = `${member}: ${JSON.stringify(value)?.slice(0, 60)}: ${outcome}`;
      t.regex(outcome, /^REJECTED /, what);
      t.true(outcome.includes(member.slice(0, 10)), what);
      t.true(outcome.length < 250, what);
    }
  }
  untouched(t, world, traffic);
  t.is(world.boots.length, 1);
  await recovers(t, world);
}

test("afr_ota, a member of a file missing, of another type or out of range: rejected before anything is fetched", t =>
  rejectAll(t, afrFile, (world, id, file) =>
    createAfrJob(world, id, image(world), { protocols: ["MQTT", "HTTP"], file }),
  ));

test("afr_ota, a member of the update missing, of another type or out of range: rejected before anything is fetched", t =>
  rejectAll(t, afrMembers, (world, id, update) =>
    createAfrJob(world, id, image(world), { update }),
  ));

test("manifest, a member of the document missing, of another type or out of range: rejected before anything is fetched", t =>
  rejectAll(t, ownMembers, async (world, id, change) => {
    const bytes = image(world);
    const sources = await world.sources(id, bytes);
    const { skerry } = manifestDocument(world.manifest(bytes, {}), sources);
    world.createJob(id, { skerry: { ...skerry, ...change } } as unknown as JsonObject);
  }));

test("documents of two kinds, of none, and signed bytes that are no manifest: rejected before anything is fetched", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  const bytes = image(world);
  const sources = await world.sources("fw", bytes);
  const { skerry } = manifestDocument(world.manifest(bytes, {}), sources);
  const signed = (text: string) => {
    const manifest = Buffer.from(text);
    const signature = base64(world.signer.key.sign(manifest));
    const { keyId } = world.signer.key;
    return { ...skerry, manifest: base64(manifest), signatures: [{ keyId, signature }] };
  };
  const right = Buffer.from(skerry.manifest, "base64").toString();
  const documents: readonly (readonly [string, object])[] = [
    ["both afr_ota and skerry", { afr_ota: {}, skerry }],
    ["neither|operation", {}],
    ["not honoured", { operation: "update-firmware" }],
    ["not honoured on this device: script", { skerry: { ...skerry, operation: "script" } }],
    ["manifest", { skerry: signed("no JSON") }],
    ["manifest", { skerry: signed("{}") }],
    ["manifest.format is 2", { skerry: signed(right.replace('"format":1', '"format":2')) }],
    ["two members", { skerry: signed(right.replace("{", '{"version":"2.0.0",')) }],
    ["manifest.sha256", { skerry: signed(right.replace(/"sha256":"./, '"sha256":"g')) }],
    ["manifest.sha256", { skerry: signed(right.replace(/"sha256":"../, '"sha256":"')) }],
    ["manifest.size", { skerry: signed(right.replace(/"size":\d+/, '"size":0')) }],
    ["manifest.size", { skerry: signed(right.replace(/"size":\d+/, '"size":"1"')) }],
    [
      "manifest.minimumVersion",
      { skerry: signed(right.replace("}", ',"minimumVersion":"9.0.0"}')) },
    ],
  ];
  for (const [i, [reason, document]] of documents.entries()) {
    world.createJob(`${i}`, document as JsonObject);
    t.regex(await world.ended(`${i}`), new RegExp(`^REJECTED .*(${reason})`));
  }
  untouched(t, world, traffic);
  await recovers(t, world);
});
