// Updates whose power is cut: what is offered, and what may come of it.
import { afrDocument, nameOf, ownDocument, type Release, release } from "./update-images.js";
import type { UpdateSite } from "./update-site.js";

export interface UpdateFlow {
  readonly name: string;
  readonly offered: Release;
  readonly document: unknown;
  /** What the device may run in the end; `new` also allows the old one where a trial was cut off. */
  readonly ends: "new" | "old";
  /** Uncut, where `ends` does not say it. */
  readonly status?: string;
  /** Lived through before, uncut. */
  prepare?(site: UpdateSite): Promise<void>;
  /** When the job is there. */
  act?(site: UpdateSite): void;
  /** Raised with the new image. */
  readonly floor?: string;
  /** What the server has instead of the image. */
  readonly served?: Uint8Array;
}

export const job = "update";
const good = release("2.0.0");
const floorOfGood = "1.5.0";

function ofBehaviour(behaviour: "unhealthy" | "crashes" | "offline"): UpdateFlow {
  const offered = release("2.0.0", behaviour);
  const name = { unhealthy: "is not well", crashes: "crashes", offline: "never connects" };
  return {
    name: `an image that ${name[behaviour]}`,
    offered,
    document: ownDocument(offered),
    ends: "old",
  };
}

const damaged = good.image.slice();
damaged[5000]! ^= 4;

export const byStream: UpdateFlow = {
  name: "update by stream",
  offered: good,
  document: ownDocument(good, { minimumVersion: floorOfGood }),
  floor: floorOfGood,
  ends: "new",
};

export const updateFlows: readonly UpdateFlow[] = [
  byStream,
  {
    name: "update by link",
    offered: good,
    document: ownDocument(good, { source: "link", minimumVersion: floorOfGood }),
    floor: floorOfGood,
    ends: "new",
  },
  {
    name: "update as AWS offers it, by stream",
    offered: good,
    document: afrDocument(good),
    ends: "new",
  },
  {
    name: "update as AWS offers it, by link",
    offered: good,
    document: afrDocument(good, "link"),
    ends: "new",
  },
  {
    name: "update after one that was taken back",
    offered: good,
    document: ownDocument(good, { minimumVersion: floorOfGood }),
    floor: floorOfGood,
    ends: "new",
    prepare: async site => {
      const bad = release("1.9.0", "crashes");
      await runJob(site, "before", bad, ownDocument(bad));
    },
  },
  ofBehaviour("unhealthy"),
  ofBehaviour("crashes"),
  ofBehaviour("offline"),
  {
    name: "an image that crashes, after one that was taken back",
    offered: release("2.0.0", "crashes"),
    document: ownDocument(release("2.0.0", "crashes")),
    ends: "old",
    prepare: async site => {
      const bad = release("1.9.0", "crashes");
      await runJob(site, "before", bad, ownDocument(bad));
    },
  },
  {
    name: "an image of another version than its manifest says",
    offered: good,
    document: ownDocument(good, { says: "2.1.0" }),
    ends: "old",
  },
  {
    name: "a whole image that is not what was signed",
    offered: good,
    document: ownDocument(good),
    served: release("2.0.0", "good", 9000, " ").image,
    ends: "old",
  },
  {
    name: "an image that is not what was signed",
    offered: good,
    document: ownDocument(good),
    served: damaged,
    ends: "old",
  },
  {
    name: "cancelled on trial",
    offered: good,
    document: ownDocument(good),
    ends: "old",
    status: "CANCELED",
    act: site => {
      site.onStart = ({ isOnTrial, version }) => {
        if (isOnTrial && version === good.version)
          site.clock.set(() => site.service.cancel(job, true), 1500);
      };
    },
  },
];

/** Offers an update and waits for its end. @returns whether it came in time */
export async function runJob(
  site: UpdateSite,
  id: string,
  offered: Release,
  document: unknown,
  limitMs = 900_000,
): Promise<boolean> {
  site.images.set(nameOf(offered.version), offered.image);
  site.service.create(id, document);
  return site.clock.runUntil(() => isOver(site, id), limitMs);
}

/** The job has ended, and the device is at rest. */
export function isOver(site: UpdateSite, id: string): boolean {
  const status = site.service.status(id);
  return status !== "QUEUED" && status !== "IN_PROGRESS" && site.isSettled;
}
