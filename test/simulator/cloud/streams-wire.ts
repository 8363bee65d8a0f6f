// A stream asked over raw MQTT, in either format, for the tests of its rules.

import type { ExecutionContext } from "ava";
import { decode, encode } from "cborg";
import type { CloudOptions } from "../../../simulator/cloud/cloud.js";
import { claimPolicyName } from "../../../simulator/cloud/defaults.js";
import type { TestClient, TestCloud } from "./harness.js";
import { image, open } from "./objects-rig.js";
import { idOf } from "./provisioning-rig.js";

export type Format = "json" | "cbor";

/** One message that came back. */
export interface Reply {
  /** Without the stream's prefix and the format. */
  readonly kind: string;
  readonly qos: number;
  readonly body: Record<string, unknown>;
}

export interface StreamWire {
  readonly world: TestCloud;
  readonly client: TestClient;
  readonly format: Format;
  /** The two files of stream `fw`. */
  readonly files: readonly Uint8Array[];
  /** Bytes go as they are, anything else in the format. */
  ask(operation: string, body: object | Uint8Array, stream?: string): Promise<Reply[]>;
  /** What a bitmap is in this format. */
  bitmap(...bytes: number[]): unknown;
  /** The bytes of a data message's payload. */
  bytesOf(reply: Reply): Uint8Array;
}

export const fileBytes = 10_000;

/** A stream of two files, and a client that may do anything but subscribes to nothing. */
export async function streamWire(
  t: ExecutionContext,
  format: Format,
  options: Partial<CloudOptions> = {},
  version: 4 | 5 = 4,
): Promise<StreamWire> {
  const world = await open(t, options);
  const { cloud } = world;
  const Statement = { Effect: "Allow", Action: "*", Resource: "*" };
  cloud.putPolicy(claimPolicyName, { Version: "2012-10-17", Statement });
  const files = [image(fileBytes, 1), image(300, 2)];
  for (const [index, bytes] of files.entries()) {
    await cloud.files.objects.put("images", `${index}`, bytes);
  }
  cloud.files.streams.create("fw", {
    description: "two files",
    files: files.map((_, fileId) => ({
      fileId,
      s3Location: { bucket: "images", key: `${fileId}` },
    })),
  });
  const client = world.client(idOf(cloud.claim().certificate), version).connect("device");
  const ask: StreamWire["ask"] = async (operation, body, stream = "fw") => {
    const before = client.messages().length;
    const prefix = `$aws/things/device/streams/${stream}`;
    const payload = Buffer.from(body instanceof Uint8Array ? body : bytesIn(format, body));
    const topic = `${prefix}/${operation}/${format}`;
    client.send({ cmd: "publish", topic, payload, qos: 0, retain: false, dup: false });
    await cloud.idle();
    return client
      .messages()
      .slice(before)
      .map(message => {
        if (!message.topic.startsWith(prefix) || !message.topic.endsWith(`/${format}`)) {
          throw new Error(`a reply on ${message.topic}`);
        }
        const kind = message.topic.slice(prefix.length + 1, -format.length - 1);
        const bytes = new Uint8Array(Buffer.from(message.payload));
        const read = format === "json" ? JSON.parse(Buffer.from(bytes).toString()) : decode(bytes);
        return { kind, qos: message.qos, body: read };
      });
  };
  return {
    ...{ world, client, format, files, ask },
    bitmap: (...bytes) =>
      format === "json" ? Buffer.from(bytes).toString("hex") : Uint8Array.from(bytes),
    bytesOf: ({ body: { p } }) =>
      format === "json" ? Uint8Array.from(Buffer.from(String(p), "base64")) : (p as Uint8Array),
  };
}

function bytesIn(format: Format, body: object): Uint8Array {
  return format === "json" ? Buffer.from(JSON.stringify(body)) : encode(body);
}
