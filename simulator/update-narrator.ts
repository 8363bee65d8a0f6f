// The tour's updates, in words: a line for each event, and what each update took.
import type { UpdateFigures, UpdateStoryEvent } from "./fleet/update-story.js";
import type { Line } from "./narrator.js";

const grouped = (count: number): string => count.toLocaleString("en-US");
const tenths = (seconds: number): string => seconds.toFixed(1);

/** What happens in virtual time, while the rest goes on in the real one. */
export function lineOfUpdate(event: UpdateStoryEvent): Line {
  switch (event.type) {
    case "offered":
      return plain(`firmware ${event.version} is offered, ${event.what}`);
    case "fetched":
      return plain(
        `fetched ${grouped(event.bytes)} bytes in ${tenths(event.seconds)} s, over 1 Mbit/s and 100 ms there and back`,
      );
    case "restarted":
      return event.isOnTrial
        ? plain(`restarted into ${event.version}, on trial`)
        : trouble(`restarted into ${event.version}: the image on trial is given up`);
    case "ended": {
      const { status, reason, running, seconds } = event;
      const text = `job over after ${tenths(seconds)} s, ${status}: ${reason}; ${running} runs`;
      return status === "SUCCEEDED" ? milestone(text) : trouble(text);
    }
  }
}

const plain = (text: string): Line => ({ mark: "plain", text: `virtual time: ${text}` });
const milestone = (text: string): Line => ({ mark: "milestone", text: `virtual time: ${text}` });
const trouble = (text: string): Line => ({ mark: "trouble", text: `virtual time: ${text}` });

function flashOf({
  flashWrites,
  flashErases,
}: Pick<UpdateFigures, "flashWrites" | "flashErases">): string {
  return `${flashWrites} flash writes, ${flashErases} erases`;
}

export function describeConfirmed(figures: UpdateFigures): string {
  const { fetchedBytes, fetchSeconds, running, seconds } = figures;
  const fetched = `${grouped(fetchedBytes)} bytes in ${tenths(fetchSeconds)} s`;
  return `${fetched}, ${running} confirmed after ${tenths(seconds)} s; ${flashOf(figures)}`;
}

export function describeRefused(stranger: UpdateFigures, changed: UpdateFigures): string {
  const unread = `unknown signer: ${stranger.status}, ${grouped(stranger.fetchedBytes)} bytes fetched`;
  const unstarted = `a byte changed: ${changed.status} once read back, never started`;
  return `${unread}; ${unstarted}; ${changed.running} runs on`;
}

export function describeReverted({ starts, running, seconds, ...flash }: UpdateFigures): string {
  const back = `${starts[0]} did not last, ${running} runs again`;
  return `${back}, told after ${tenths(seconds)} s; ${flashOf(flash)}`;
}
