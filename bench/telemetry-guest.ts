// The program whose cost is measured: channels of three readings, with a window and a threshold.
import { Bridge } from "../hosts/xs/bridge.js";
import { writeJson } from "../src/codec/json.js";
import type { Channel, ChannelMessage } from "../src/telemetry/channel.js";
import { Channels } from "../src/telemetry/channels.js";
import {
  decide,
  decodeDutyCycle,
  encodeDutyCycle,
  newDutyCycle,
  step,
} from "../src/telemetry/duty-cycle.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", () => {
  let channels: Channels | undefined;
  let messages: readonly ChannelMessage[] = [];
  let ticks = 0;
  let now = 1_767_268_800_000;
  const tell = (readings: unknown) => bridge.event("message", readings);
  const add = (channel: Channel) => {
    ticks += 5;
    now += 5;
    const temperature = 20 + (ticks % 700) / 100;
    const humidity = 40 + (ticks % 1300) / 100;
    const messages = channel.add({ temperature, humidity, door: "shut" }, ticks, now);
    for (const { readings } of messages) tell(writeJson(readings));
  };
  const optionsOf = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `channel${i}`,
        { windowSeconds: 60, thresholds: { temperature: { above: 30, hysteresis: 1 } } },
      ]),
    );
  bridge.on("make", ([count]) => {
    channels = new Channels(optionsOf(count as number));
  });
  bridge.on("add", ([name, count]) => {
    const channel = channels!.get(name as string)!;
    for (let i = 0; i < (count as number); i++) add(channel);
  });
  bridge.on("flush", ([name]) => {
    messages = channels!.get(name as string)!.flush(ticks, now);
  });
  bridge.on("tell", () => {
    for (const { readings } of messages) tell(writeJson(readings));
  });
  const policy = {
    sampleSeconds: 60,
    connectEverySeconds: 3600,
    maxWaitingRecords: 100,
    maxWaitingBytes: 5000,
    budgetConnectsPerDay: 48,
  };
  let retained = encodeDutyCycle(newDutyCycle);
  bridge.on("wake", () => {
    let state = decodeDutyCycle(retained) ?? newDutyCycle;
    state = step(state, { type: "appended", priority: 1, bytes: 64 });
    const { sleepMs } = decide(policy, state);
    retained = encodeDutyCycle(step(state, { type: "passed", ms: sleepMs }));
  });
});
