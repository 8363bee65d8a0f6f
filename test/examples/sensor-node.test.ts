// The sensor node on a board of the test's own: lamp, button, thermometer, against the local cloud in virtual time.
import test from "ava";
import type { Board, Colour, Measured } from "../../examples/sensor-node/board.js";
import { openWorld, type World } from "../scenario/world.js";

class Bench implements Board {
  onPress: (() => void) | undefined;
  readonly lamp: Colour[] = [];
  measured: Measured = { temperature: 20 };

  read(): Measured {
    return this.measured;
  }

  light(colour: Colour): void {
    this.lamp.push(colour);
  }
}

/** What was sent on a channel, without the times. */
function sent(world: World, channel: string): object[] {
  return world.cloudSaw("message").flatMap(event => {
    if (event.type !== "message" || event.topic !== `dt/node-SN-1/${channel}`) return [];
    const { time: _time, id: _id, ...readings } = JSON.parse(Buffer.from(event.payload).toString());
    return [readings];
  });
}

const stateOf = (world: World) =>
  world.cloud.shadow("node-SN-1")?.["state"] as { reported: { led: Colour }; delta?: object };

test("the button turns the lamp, tells the cloud so, and counts for more than what the cloud wanted", async t => {
  const world = await openWorld();
  const board = new Bench();
  world.boot(undefined, undefined, {}, board);
  await world.clock.run(10_000);
  world.cloud.updateDesired("node-SN-1", { led: "red" });
  await world.clock.run(2000);
  t.deepEqual(board.lamp, ["off", "red"]);
  board.onPress!();
  await world.clock.run(2000);
  t.is(board.lamp.at(-1), "blue");
  t.deepEqual(sent(world, "button"), [{ led: "blue" }]);
  t.is(stateOf(world).reported.led, "blue");
  t.is(stateOf(world).delta, undefined);
  board.onPress!();
  await world.clock.run(2000);
  t.deepEqual(board.lamp, ["off", "red", "blue", "off"]);
});

test("the lamp is as it was after a restart, and a press before the cloud is reached is not lost", async t => {
  const world = await openWorld();
  const first = new Bench();
  const agent = world.boot(undefined, undefined, {}, first);
  await world.clock.run(10_000);
  first.onPress!();
  await world.clock.run(2000);
  agent.stop();
  await world.clock.run(2000);
  world.network.isUp = false;
  const second = new Bench();
  world.boot(undefined, undefined, {}, second);
  t.is(second.lamp.at(-1), "red");
  second.onPress!();
  world.network.isUp = true;
  t.true(await world.clock.runUntil(() => stateOf(world).reported.led === "blue", 120_000));
  t.is(second.lamp.at(-1), "blue");
});

test("the alert's threshold is a setting: it goes for the next reading, up as well as down", async t => {
  const world = await openWorld();
  const board = new Bench();
  world.boot(undefined, undefined, {}, board);
  await world.clock.run(10_000);
  world.cloud.updateDesired("node-SN-1", { alertAbove: 19.5, sampleSeconds: 5 });
  await world.clock.run(7000);
  const alerts = () => sent(world, "climate").filter(message => "alert" in message);
  const raised = {
    alert: "temperature",
    state: "raised",
    side: "above",
    threshold: 19.5,
    value: 20,
  };
  t.deepEqual(alerts(), [raised]);
  world.cloud.updateDesired("node-SN-1", { alertAbove: 30 });
  await world.clock.run(7000);
  t.deepEqual(alerts(), [raised, { ...raised, state: "cleared", threshold: 30 }]);
});

test("with a window a minute's readings are one message, and an alert does not wait for its end", async t => {
  const world = await openWorld();
  const board = new Bench();
  world.boot(undefined, undefined, { windowSeconds: 60 }, board);
  await world.clock.run(10_000);
  world.cloud.updateDesired("node-SN-1", { sampleSeconds: 5 });
  await world.clock.run(20_000);
  t.deepEqual(sent(world, "climate"), []);
  board.measured = { temperature: 28 };
  await world.clock.run(10_000);
  t.like(sent(world, "climate"), { length: 1, 0: { alert: "temperature", value: 28 } });
  await world.clock.run(30_000);
  const [, window] = sent(world, "climate") as { temperature: { min: number; max: number } }[];
  t.like(window, { windowSeconds: 60, temperature: { min: 20, max: 28, last: 28 } });
});

test("a board without a thermometer sends what it has, and nothing of it is a fault", async t => {
  const world = await openWorld();
  const board = new Bench();
  board.measured = {};
  world.boot(undefined, undefined, {}, board);
  await world.clock.run(10_000);
  t.deepEqual(world.seen("fault"), []);
  t.deepEqual(stateOf(world).reported.led, "off");
});

test("a job blinks the lamp as often as it says, and leaves it as it was", async t => {
  const world = await openWorld();
  const board = new Bench();
  world.boot(undefined, undefined, {}, board);
  await world.clock.run(10_000);
  world.cloud.jobs.create({
    jobId: "hello",
    targets: ["arn:aws:iot:eu-west-1:000000000000:thing/node-SN-1"],
    document: JSON.stringify({ operation: "blink", times: 2 }),
  });
  const done = () =>
    world
      .seen("job")
      .some(
        status =>
          status.type === "job" && status.state === "ended" && status.status === "SUCCEEDED",
      );
  await world.clock.run(10_000);
  t.deepEqual(board.lamp, ["off", "red", "off", "red", "off"]);
  t.true(done(), JSON.stringify(world.seen("job")));
});
