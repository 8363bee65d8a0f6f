// A local cloud with REST and objects on real sockets, and a virtual device that starts again by itself, as `npm start` has them.

import { EventEmitter, once } from "node:events";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { Cloud, type CloudEvent } from "../../../simulator/cloud/cloud.js";
import { arnPrefix } from "../../../simulator/cloud/policy.js";
import {
  type BootEvent,
  type DeviceOptions,
  startDevice,
  type VirtualDevice,
} from "../../../simulator/fleet/device.js";
import { packBehaviour } from "../../../simulator/fleet/images.js";
import type { Firmware } from "../../../simulator/fleet/updatable.js";
import { makeSigner } from "../../../simulator/fleet/update-world.js";
import type { AgentStatus } from "../../../src/index.js";

/** What was seen, in the order in which it was. */
export type Seen =
  | { readonly from: "device"; readonly status: AgentStatus }
  | { readonly from: "machine"; readonly boot: BootEvent }
  | { readonly from: "cloud"; readonly event: CloudEvent };

export const serialNumber = "SN-1";
export const thingName = "node-SN-1";
export const bucket = "images";
export const profile = "skerry";

export async function updateRig(
  t: ExecutionContext,
  options: Partial<Pick<DeviceOptions, "engine" | "bootMs">> & {
    readonly allow?: readonly string[];
  } = {},
) {
  t.timeout(110_000, "the cloud or the device is silent");
  const directory = await mkdtemp(join(tmpdir(), "skerry-update-"));
  const seen: Seen[] = [];
  const changes = new EventEmitter();
  const see = (what: Seen): void => {
    seen.push(what);
    changes.emit("change");
  };
  const listen = { host: "127.0.0.1", port: 0 } as const;
  const cloud = await Cloud.open({
    ...{ listen, rest: listen, objects: { uploads: listen, downloads: listen } },
    allow: [serialNumber, ...(options.allow ?? [])],
    onEvent: event => see({ from: "cloud", event }),
  });
  const signer = makeSigner(profile);
  cloud.codeSigning.putProfile(profile, {
    key: signer.pem,
    certificatePathOnDevice: profile,
    hashAlgorithm: "SHA256",
    signatureAlgorithm: "ECDSA",
  });
  const { trustAnchor, ...claim } = cloud.claim();
  let device: VirtualDevice | undefined;
  const start = async (): Promise<void> => {
    device = await startDevice({
      ...{ engine: "node", ...options },
      directory,
      config: {
        ...{ endpoint: "localhost", port: cloud.port!, trustAnchors: [trustAnchor] },
        ...{ claim, template: "sensor-node", serialNumber },
        signers: [{ name: profile, publicKey: signer.key.publicKey }],
        trial: { trialSeconds: 600, settleSeconds: 1 },
      },
      onStatus: status => see({ from: "device", status }),
      onBoot: boot => see({ from: "machine", boot }),
      onCrash: error => t.fail(error.message),
    });
  };
  const stop = async (): Promise<void> => {
    await device?.stop();
    device = undefined;
  };
  t.teardown(async () => {
    if (!t.passed) t.log(...seen);
    await stop();
    await cloud.close();
    await rm(directory, { recursive: true });
  });
  /** The first of what was seen, from `from` on, that is so. */
  const until = async <S>(find: (what: Seen) => S | false | undefined, from = 0): Promise<S> => {
    for (;;) {
      for (const what of seen.slice(from)) {
        const found = find(what);
        if (found !== false && found !== undefined) return found;
      }
      await once(changes, "change");
    }
  };
  const until_ = {
    online: (from = 0) =>
      until(what => what.from === "device" && what.status.type === "reported", from),
    /** @returns how much had been seen before the next start of the machine was told */
    bootedAfter: (from: number) =>
      until(
        what => what.from === "machine" && what.boot.type === "started" && seen.indexOf(what) + 1,
        from,
      ),
    /** How the execution of a job has ended, and what was told of it. */
    ended: (jobId: string) =>
      until(({ from, ...what }) => {
        if (from !== "cloud" || !("event" in what)) return false;
        const { event } = what;
        if (event.type !== "jobExecutionChanged" || event.jobId !== jobId) return false;
        const { status, statusDetails } = event;
        return status !== "QUEUED" && status !== "IN_PROGRESS" && { status, statusDetails };
      }),
  };
  return {
    ...{ cloud, directory, seen, signer, start, stop, until },
    ...until_,
    target: `${arnPrefix}thing/${thingName}`,
    /** `ota_0 1.0.0`, `ota_1 1.1.0 on trial`, `crashed`, in their order. */
    get boots(): readonly string[] {
      return seen.flatMap(what => (what.from === "machine" ? [bootText(what.boot)] : []));
    },
    /** What the device says of itself. */
    get reportedVersion(): unknown {
      const found = cloud.shadow(thingName, "device") as
        | { state: { reported?: { firmwareVersion?: unknown } } }
        | undefined;
      return found?.state.reported?.firmwareVersion;
    },
    image: (firmware: Firmware) => packBehaviour(firmware),
    /** The signer's, PEM. */
    writeKey: (path: string) => writeFileSync(path, signer.pem),
  };
}

export type UpdateRig = Awaited<ReturnType<typeof updateRig>>;

function bootText(boot: BootEvent): string {
  if (boot.type === "crashed") return "crashed";
  const { slot, version, isOnTrial, after } = boot;
  return `${slot} ${version}${isOnTrial ? " on trial" : ""}${after === "revert" ? " again" : ""}`;
}
