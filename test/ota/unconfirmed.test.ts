// An image on trial whose platform does not do what it is asked for: the trial ends all the same.
import test from "ava";
import { AgentError } from "../../src/errors.js";
import type { Update } from "../../src/host.js";
import { isOver } from "../powercut/update-flows.js";
import { nameOf, ownDocument, release, signing } from "../powercut/update-images.js";
import { UpdateSite } from "../powercut/update-site.js";

/** Of every image that is tried. */
async function offered(refuses: readonly ("confirm" | "revert")[], seconds: number) {
  const site = new UpdateSite(signing);
  await site.clock.runUntil(() => site.isSettled, 60_000);
  const good = release("2.0.0");
  site.onStarted = ({ update }) => {
    if (update!.isOnTrial) for (const name of refuses) refuse(update!, name);
  };
  site.images.set(nameOf(good.version), good.image);
  site.service.create("update", ownDocument(good));
  await site.clock.runUntil(() => isOver(site, "update"), seconds * 1000);
  const { running, service, starts, statuses } = site;
  const faults = statuses.flatMap(status =>
    status.type === "fault" ? [status.error.message] : [],
  );
  site.close();
  return {
    version: running.version,
    status: service.status("update"),
    reason: service.reason("update"),
    starts: starts.length,
    faults: [...new Set(faults)],
  };
}

function refuse(update: Update, name: "confirm" | "revert"): void {
  Object.assign(update, {
    [name]: () => {
      throw new AgentError("storage/write", "worn");
    },
  });
}

test("an image that cannot be confirmed is given up when its time is over", async t => {
  t.deepEqual(await offered(["confirm"], 120), {
    version: "1.0.0",
    status: "FAILED",
    reason: "reverted: it cannot be confirmed",
    starts: 3,
    faults: ["ota: the image cannot be confirmed"],
  });
});

test("nor can it be taken back: the machine restarts, and its bootloader does it", async t => {
  t.deepEqual(await offered(["confirm", "revert"], 120), {
    version: "1.0.0",
    status: "FAILED",
    reason: "reverted: it cannot be confirmed",
    starts: 3,
    faults: ["ota: the image cannot be confirmed", "ota: the image cannot be taken back"],
  });
});
