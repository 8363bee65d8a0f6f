// A device that was examined before is let come to peace, so that the next case sees its backoff from the beginning.
import test from "ava";
import type { Examiner } from "../../../simulator/advisor/examiner.js";
import { rest } from "../../../simulator/advisor/sockets.js";
import { virtualTime } from "../../../simulator/advisor/time.js";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { Network } from "../../../simulator/world/network.js";
import { Random } from "../../../simulator/world/random.js";
import { scriptedDevice } from "./scripted-device.js";

function world() {
  const clock = new VirtualClock();
  const front: { examiner: Examiner | undefined } = { examiner: undefined };
  const network = new Network(clock, link => {
    const handlers = front.examiner?.take(link);
    if (!handlers) link.close();
    return handlers ?? { receive: () => undefined, closed: () => undefined };
  });
  return { clock, front, network, options: { front, time: virtualTime(clock) } };
}

test("a device deep in its backoff is waited for, and dials soon after its rest", async t => {
  const { clock, front, network, options } = world();
  scriptedDevice({ backoff: attempt => 1000 * 2 ** attempt })({
    clock,
    network,
    random: new Random(1),
  });
  await clock.run(100_000);
  t.true(await rest({ ...options, patienceMs: 600_000 }));
  t.is(front.examiner, undefined);
  const dialed = network.dialed;
  await clock.run(3000);
  t.is(network.dialed, dialed + 1);
});

test("a device that never comes is given up", async t => {
  const { clock, options } = world();
  t.false(await rest({ ...options, patienceMs: 600_000 }));
  t.is(clock.ticks(), 600_000);
});
