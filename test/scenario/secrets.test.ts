// A private key never leaves the device: not in a status, an error, its cause or stack, an event of the cloud or a packet.
import { inspect } from "node:util";
import test from "ava";
import { Power } from "../../simulator/world/power.js";
import { toBase64, toUtf8 } from "../../src/util/bytes.js";
import { heldIn } from "./identity.js";
import { openWorld } from "./world.js";

/** The ways a key could be written out: the scalar alone and the whole PKCS#8, as hex, base64 or a list of numbers. */
function spellingsOf(privateKey: Uint8Array): string[] {
  const scalar = privateKey.subarray(36, 68);
  const spellings: string[] = [];
  for (const bytes of [privateKey, scalar]) {
    const hex = Buffer.from(bytes).toString("hex");
    const list = Array.from(bytes);
    spellings.push(
      hex,
      hex.toUpperCase(),
      hex.replace(/(..)(?=.)/g, "$1 "),
      list.join(","),
      list.join(", "),
    );
    // Within longer base64 the text shifts: the middle of each of the three alignments.
    for (let shift = 0; shift < 3; shift++) {
      spellings.push(toBase64(bytes.subarray(shift)).slice(0, 40));
    }
  }
  return spellings;
}

function isIn(text: string, spellings: readonly string[]): boolean {
  return spellings.some(spelling => text.includes(spelling));
}

test("the scan finds a key in every spelling it knows", t => {
  const key = Uint8Array.from({ length: 138 }, (_, i) => (i * 73 + 11) & 255);
  for (const spelling of spellingsOf(key)) t.true(isIn(`x${spelling}y`, spellingsOf(key)));
  t.true(isIn(`{"privateKey":"${toBase64(key)}"}`, spellingsOf(key)));
  t.true(isIn(Buffer.concat([toUtf8("ab"), key]).toString("hex"), spellingsOf(key)));
  t.false(isIn("nothing of it", spellingsOf(key)));
});

test("no status, error, cloud event, packet or shadow holds a private key, whatever fails on the way", async t => {
  for (let cutAt = 0; cutAt <= 10; cutAt++) {
    const world = await openWorld(cutAt + 1);
    const sent: Buffer[] = [];
    world.network.onSent = bytes => sent.push(Buffer.from(bytes));
    world.boot(new Power(cutAt));
    await world.clock.run(10_000);
    world.network.isUp = false;
    await world.clock.run(10_000);
    world.network.isUp = true;
    const damaged = new Power();
    const store = world.flash.provider(damaged).open({ path: "skerry" });
    const stored = store.read("identity");
    // A record that is cut off is reported with the reason: not with its content.
    if (stored && cutAt % 2) store.write("identity", new Uint8Array(stored).subarray(0, -5));
    world.boot();
    await world.clock.run(300_000);
    const { privateKeys } = heldIn(world.flash);
    t.true(privateKeys.length > 0);
    const spellings = privateKeys.flatMap(spellingsOf);
    const heard = inspect(
      { statuses: world.statuses, events: world.events, shadow: world.cloud.shadow("node-SN-1") },
      { depth: 12, maxStringLength: null, maxArrayLength: null },
    );
    t.false(isIn(heard, spellings), `cut ${cutAt}: statuses and events`);
    const wire = Buffer.concat(sent);
    t.true(wire.length > 1000);
    t.false(isIn(wire.toString("hex"), spellings), `cut ${cutAt}: on the wire, as bytes`);
    t.false(isIn(wire.toString("latin1"), spellings), `cut ${cutAt}: on the wire, as text`);
  }
});
