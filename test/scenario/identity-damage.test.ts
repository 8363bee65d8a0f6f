// A medium that fails while the device is running: nothing is given up that is still there.
import test from "ava";
import { heldIn } from "./identity.js";
import { openWorld } from "./world.js";

test("flash that cannot be read for a while: the identity is kept, and used as soon as it can be read", async t => {
  for (const isRestart of [false, true]) {
    const world = await openWorld();
    const agent = world.boot();
    await world.clock.run(10_000);
    const before = heldIn(world.flash).record.identity;
    const domain = world.flash.values("skerry") as Map<string, Uint8Array>;
    const get = domain.get.bind(domain);
    domain.get = key => {
      throw new Error(`bus error at ${key}`);
    };
    world.statuses.length = 0;
    if (isRestart) {
      agent.stop();
      await world.clock.run(5000);
      world.boot();
    } else world.network.cutAll();
    await world.clock.run(300_000);
    domain.get = get;
    await world.clock.run(300_000);
    t.deepEqual(heldIn(world.flash).record.identity, before);
    const dials = world.seen("connecting").map(each => each.type === "connecting" && each.as);
    t.false(dials.includes("claim"), `${isRestart}: ${dials}`);
    t.is(world.statuses.filter(each => each.type === "online").length > 0, true);
  }
});

test("an identity that is damaged while the device runs is earned again with the claim, without a restart", async t => {
  const world = await openWorld();
  const agent = world.boot();
  await world.clock.run(10_000);
  const domain = world.flash.values("skerry") as Map<string, Uint8Array>;
  const { slot } = heldIn(world.flash).record.identity!;
  domain.set(`key.${slot}`, Uint8Array.of(1, 2, 3));
  world.network.cutAll();
  await world.clock.run(300_000);
  t.is(agent.link.state, "online");
  t.is(world.seen("provisioned").length, 2);
});
