// One local cloud, one device, one network, in virtual time and with seeded chance.
import type { Board } from "../../examples/sensor-node/board.js";
import { type SensorNodeConfig, sensorNode } from "../../examples/sensor-node/sensor-node.js";
import { Cloud, type CloudEvent } from "../../simulator/cloud/cloud.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import type { Agent, AgentStatus } from "../../src/index.js";

export interface World {
  readonly cloud: Cloud;
  readonly clock: VirtualClock;
  readonly network: Network;
  readonly flash: Flash;
  /** What the cloud saw and what the device said, oldest first. */
  readonly events: CloudEvent[];
  readonly statuses: AgentStatus[];
  /** Powers a device on, with what the flash holds. */
  boot(
    power?: Power,
    serialNumber?: string,
    more?: Partial<SensorNodeConfig>,
    board?: Board,
  ): Agent;
  seen(type: AgentStatus["type"]): AgentStatus[];
  cloudSaw(type: CloudEvent["type"]): CloudEvent[];
}

export async function openWorld(seed = 1): Promise<World> {
  const random = new Random(seed);
  const events: CloudEvent[] = [];
  const statuses: AgentStatus[] = [];
  let cloud: Cloud | undefined;
  const clock = new VirtualClock({ idle: () => cloud?.idle() ?? Promise.resolve() });
  cloud = await Cloud.open({
    allow: ["SN-1"],
    clock,
    timer: clock,
    random: length => random.bytes(length),
    onEvent: event => events.push(event),
  });
  const opened = cloud;
  const network = new Network(clock, (link, peer) => opened.accept(link, peer));
  const flash = new Flash();
  const claim = opened.claim();
  return {
    cloud: opened,
    clock,
    network,
    flash,
    events,
    statuses,
    boot: (power = new Power(), serialNumber = "SN-1", more = {}, board) => {
      const host = virtualHost({ id: "board-1", clock, random, network, flash, power });
      const config = {
        endpoint: "cloud.test",
        port: 8883,
        trustAnchors: [claim.trustAnchor],
        claim,
        template: "sensor-node",
        serialNumber,
        ...more,
      };
      const agent = sensorNode(host, config, status => statuses.push(status), board);
      agent.start();
      return agent;
    },
    seen: type => statuses.filter(status => status.type === type),
    cloudSaw: type => events.filter(event => event.type === type),
  };
}
