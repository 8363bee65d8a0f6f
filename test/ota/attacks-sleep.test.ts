// An image on trial on a device that sleeps: a start is the end of a trial, and so is the end of a sleep.
import test from "ava";
import { makeSigner } from "../../simulator/fleet/update-world.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { Sleep } from "../../simulator/world/sleep.js";
import { Slots, virtualImage } from "../../simulator/world/slots.js";
import { Agent } from "../../src/index.js";
import { identity, World } from "../jobs/world.js";

const policy = {
  sampleSeconds: 60,
  connectEverySeconds: 7200,
  maxWaitingRecords: 100,
  maxWaitingBytes: 50_000,
  budgetConnectsPerDay: 500,
  linkSeconds: 20,
};
const signers = [{ publicKey: makeSigner("any").key.publicKey }];
const imageOf = (version: string) =>
  virtualImage({ product: "node", version, payload: Buffer.from(version) });

/** Runs what is in the slot that runs; wakes up, samples, and sleeps. */
class Sleeper {
  readonly world = new World();
  readonly slots = new Slots({ image: imageOf("1.0.0"), blocks: 4 });
  readonly starts: string[] = [];
  readonly #flash = new Flash();
  readonly #nor = new NorFlash({ blocks: 16 });
  readonly #sleep: Sleep;
  #power = new Power();
  #isInstalling = false;

  readonly #sleeps: boolean;

  constructor(sleeps = true) {
    this.#sleeps = sleeps;
    this.#sleep = new Sleep(this.world.clock, () => this.boot("deepSleep"));
  }

  boot(resetReason: "deepSleep" | "restart" | "powerOn"): void {
    this.#power.cut();
    const power = new Power();
    this.#power = power;
    const { clock, network } = this.world;
    const host = virtualHost({
      ...{ id: "board-1", clock, network, power, resetReason, slots: this.slots },
      ...{ flash: this.#flash, nor: this.#nor, sleep: this.#sleep },
      random: new Random(this.starts.length + 1),
      onRestart: () => {
        power.cut();
        this.world.network.cutAll();
        this.world.service.lost();
        clock.set(() => this.boot("restart"), 500);
      },
    });
    if (this.#isInstalling) {
      this.#isInstalling = false;
      host.update!.complete();
      return host.system.restart();
    }
    const { running, isOnTrial } = host.update!;
    const { version } = this.slots.image(running)!;
    this.starts.push(`${version}${isOnTrial ? " on trial" : ""} ${resetReason}`);
    const agent = new Agent({
      ...identity,
      ...{ host, outbox: {}, onStatus: this.world.onStatus },
      telemetry: { channels: { level: { windowSeconds: 3600 } } },
      firmware: { version, signers, trialSeconds: 300, settleSeconds: 60 },
    });
    const cycle = this.#sleeps ? agent.cycle(policy) : undefined;
    agent.telemetry.send("level", { mm: this.starts.length });
    if (cycle) cycle.sleep();
    else agent.start();
  }

  /** An image that came by another way, so that no job keeps the device awake. */
  install(version: string): void {
    this.slots.partitions.ota_1.bytes.set(imageOf(version));
    this.#isInstalling = true;
    this.#sleep.wake();
  }
}

test("a device that sleeps stays awake, and connects, until the image on trial is confirmed", async t => {
  const sleeper = new Sleeper();
  const { world, slots, starts } = sleeper;
  sleeper.boot("powerOn");
  await world.run(600_000);
  t.true(starts.length > 3);
  t.true(world.seen("sleeping").length > 2);
  sleeper.install("1.1.0");
  const from = starts.length;
  await world.run(1_200_000);
  t.is(starts[from], "1.1.0 on trial restart");
  t.true(starts.slice(from + 1).every(start => start === "1.1.0 deepSleep"));
  t.is(slots.image("ota_1")?.version, "1.1.0");
  t.is(world.seen("firmwareConfirmed").length, 1);
});

test("one whose image on trial finds no cloud goes back to the one before, and sleeps", async t => {
  const sleeper = new Sleeper();
  const { world, starts } = sleeper;
  sleeper.boot("powerOn");
  await world.run(600_000);
  world.unplug();
  sleeper.install("1.1.0");
  const from = starts.length;
  await world.run(1_200_000);
  t.is(starts[from], "1.1.0 on trial restart");
  t.is(starts[from + 1], "1.0.0 restart");
  t.true(starts.length > from + 5);
  t.is(world.seen("firmwareReverted").length, 1);
});

test("what an image has measured is on flash before it is taken back", async t => {
  const awake = new Sleeper(false);
  const { world, starts } = awake;
  awake.boot("powerOn");
  await world.run(60_000);
  world.unplug();
  awake.install("1.1.0");
  await world.run(310_000);
  t.is(starts.at(-1), "1.0.0 restart");
  const told: number[] = [];
  world.service.onOther = (topic, payload) => {
    if (topic.endsWith("/level")) told.push(JSON.parse(payload).mm.last);
  };
  world.plug();
  await world.run(600_000);
  t.deepEqual(told, [2]);
});
