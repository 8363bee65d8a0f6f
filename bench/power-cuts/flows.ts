// What a device may be doing when its power goes.
import type { Unit } from "./unit.js";

export interface Flow {
  readonly name: string;
  /** In how many ways each operation is torn; at most 5. */
  readonly tears: number;
  /** What came before, with whole power. */
  prepare(unit: Unit): Promise<void>;
  /** What the boot is about whose power goes. */
  act(unit: Unit): Promise<void>;
  /** While the power is off. */
  meanwhile?(unit: Unit): void;
  /** What the owner does after a cut that came before anything was noted. */
  again?(unit: Unit): Promise<void>;
  /** Whether another certificate may be in force in the end; otherwise it has to be the one before. */
  readonly changes?: boolean;
  /** What has to be true in the end, beside a device that is online as its thing. */
  isDone?(unit: Unit): boolean;
}

const nothing = () => Promise.resolve();
const dayMs = 86_400_000;

async function provisioned(unit: Unit): Promise<void> {
  await unit.boot();
  if (!(await unit.until(() => unit.isAtRest))) throw new Error(`${unit.serial}: not provisioned`);
  await unit.site.clock.run(5000);
}

async function provisionedAndOff(unit: Unit): Promise<void> {
  await provisioned(unit);
  await unit.off();
}

const enrolls = (name: string, tears: number, more: object): Flow => ({
  name,
  tears,
  prepare: async unit => {
    const { identity } = unit.firmware;
    unit.firmware = { ...unit.firmware, identity: { ...identity, ...more } };
  },
  act: nothing,
});

const desire = ({ site, thingName }: Unit, desired: { led: string; sampleSeconds: number }) => {
  site.cloud.updateDesired(thingName, desired);
};

function follows({ site, thingName }: Unit): boolean {
  const { state } = (site.cloud.shadow(thingName) ?? {}) as {
    state?: { reported?: object; desired?: object; delta?: object };
  };
  return state?.delta === undefined && state?.reported !== undefined;
}

async function rotates(unit: Unit): Promise<void> {
  await unit.until(() => unit.isOnline);
  unit.command("rotate");
}

async function asksAgain(unit: Unit): Promise<void> {
  await unit.until(() => unit.seen("offline"));
  unit.command("provisionAgain");
}

export const byCsr = enrolls("provisioning by CSR, JSON", 5, {});

export const rotation: Flow = {
  name: "rotation by CSR",
  tears: 5,
  prepare: provisionedAndOff,
  act: rotates,
  changes: true,
};

export const flows: readonly Flow[] = [
  byCsr,
  enrolls("provisioning by CSR, CBOR", 3, { format: "cbor" }),
  // RSA keys take their time.
  enrolls("provisioning, the cloud makes the key", 1, { keys: "cloud" }),
  {
    ...byCsr,
    name: "provisioning, refused once by the hook",
    tears: 3,
    prepare: async unit => {
      unit.site.refusals.set(unit.serial, 1);
    },
  },
  rotation,
  {
    name: "rotation of an identity from the factory",
    tears: 3,
    prepare: async unit => {
      await provisionedAndOff(unit);
      unit.giveIdentity();
    },
    act: rotates,
    changes: true,
  },
  {
    name: "rotation, settings changed meanwhile",
    tears: 3,
    prepare: async unit => {
      await provisioned(unit);
      desire(unit, { led: "blue", sampleSeconds: 15 });
      await unit.site.clock.run(5000);
      await unit.off();
    },
    act: async unit => {
      await rotates(unit);
      desire(unit, { led: "red", sampleSeconds: 59 });
    },
    meanwhile: unit => desire(unit, { led: "off", sampleSeconds: 3600 }),
    changes: true,
    isDone: follows,
  },
  {
    name: "another identity after revocation",
    tears: 3,
    prepare: async unit => {
      await provisionedAndOff(unit);
      unit.site.cloud.setCertificateStatus(unit.inForce!, "REVOKED");
      unit.statuses.length = 0;
    },
    act: asksAgain,
    again: async unit => {
      const { identity, enrollment } = unit.record;
      const { certificates } = unit.site.cloud;
      if (identity === undefined || enrollment !== undefined) return;
      const isRevoked = certificates.get(identity.certificateId)?.status === "REVOKED";
      if (isRevoked) await asksAgain(unit);
    },
    changes: true,
  },
  {
    name: "move to a third endpoint, the first is gone",
    tears: 5,
    prepare: async unit => {
      await provisioned(unit);
      unit.command("moveTo", "second.test");
      await unit.until(() => unit.seen("moved"));
      await unit.off();
      unit.deadEndpoint = unit.firmware.endpoint;
    },
    act: async unit => {
      await unit.until(() => unit.isOnline);
      unit.command("moveTo", "third.test");
    },
  },
  {
    name: "a day later; the clock is not set after the cut",
    tears: 5,
    prepare: async unit => {
      await provisionedAndOff(unit);
      await unit.site.clock.run(dayMs);
    },
    act: nothing,
    meanwhile: unit => {
      unit.isClockSet = false;
    },
  },
];
