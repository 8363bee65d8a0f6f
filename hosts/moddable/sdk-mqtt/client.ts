// The SDK's own MQTT client as the agent's `mqtt.io`, over this host's TLS. See README.md for what is lost with it.
import Client from "embedded:network/mqtt/client";
import type {
  MQTTClientConstructor,
  MQTTClientLike,
  MQTTClientOptions,
  WriteOptions,
} from "../../../src/mqtt/client.js";
import { FormattedSocket } from "./socket.js";

/** Of MQTT 3.1.1. @see src/mqtt/client.ts */
export const SDKClient: MQTTClientConstructor = class implements MQTTClientLike {
  readonly #client: Client;

  constructor(options: MQTTClientOptions) {
    const { host, port, id, clean, keepAlive, user, password, will, dns, socket } = options;
    /** The SDK's client says that the link is over, not why; the socket does. */
    let reason: unknown;
    this.#client = new Client({
      host,
      port,
      id,
      clean,
      keepAlive,
      dns,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password: bufferOf(password) }),
      ...(will === undefined ? {} : { will: { ...will, message: bufferOf(will.message) } }),
      socket: {
        ...socket,
        io: FormattedSocket,
        stream: socket.io,
        onReason: (error: unknown) => {
          reason = error;
        },
      },
      onControl: message => options.onControl(message),
      onReadable: (count, info) => options.onReadable(count, info),
      onWritable: count => options.onWritable(count),
      onError: () => options.onError(reason),
    });
  }

  read(count?: number): ArrayBuffer | undefined {
    return this.#client.read(count);
  }

  write(bytes: Uint8Array | undefined, options?: WriteOptions): number {
    return this.#client.write(bytes, options);
  }

  close(): void {
    this.#client.close();
  }
};

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
