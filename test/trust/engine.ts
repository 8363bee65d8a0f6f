// An XS engine with the guest of these tests in it.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createHost } from "../../hosts/node/host.js";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";

/** What JSON cannot say is said in the guest's words. */
export const toText = (value: object) =>
  JSON.stringify(value, (_, inner) => {
    if (inner instanceof Uint8Array) return { hex: Buffer.from(inner).toString("hex") };
    return typeof inner === "number" && !Number.isFinite(inner) ? { number: `${inner}` } : inner;
  });

export async function startGuest(worker: string, guest = new URL("guest.js", import.meta.url)) {
  // Small increments, so that the engine collects before it grows and peaks are those of a small device.
  const creation = { chunkBytes: 16384, chunkIncrementBytes: 1024, slots: 4600, slotIncrement: 64 };
  const machine = await Machine.start({ worker, creation });
  const host = createHost({ directory: mkdtempSync(join(tmpdir(), "skerry-trust-")), id: "xs-1" });
  let latest: unknown;
  const device = await startDevice({
    machine,
    host,
    bundle: await bundleModule(fileURLToPath(guest)),
    config: {},
    onEvent: event => {
      latest = event.type === "error" ? String(event.error) : event.value;
    },
  });
  const ask = async (name: string, ...args: unknown[]): Promise<unknown> => {
    latest = undefined;
    device.send(name, args);
    await device.idle();
    return latest;
  };
  const close = async () => {
    await device.close();
    await machine.close();
  };
  return { machine, ask, close };
}
