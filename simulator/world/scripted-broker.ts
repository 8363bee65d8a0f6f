// A broker whose answers whoever makes it decides: it parses with mqtt-packet, an implementation that is not ours.
import mqtt from "mqtt-packet";
import type { Accept, ServerLink } from "./network.js";

export type Packet = mqtt.Packet;

/** Called for each packet; answers with `reply`, or with bytes that are no packet through `raw`. */
export type Script = (packet: Packet, link: ScriptedLink) => void;

export interface ScriptedLink {
  /** Counts links from 0. */
  readonly index: number;
  /** As the last CONNECT has it: 4 or 5. */
  readonly protocolVersion: number;
  reply(packet: Packet): void;
  raw(bytes: Uint8Array): void;
  close(): void;
}

export class ScriptedBroker {
  /** Everything received, with the link it came over. */
  readonly received: { readonly link: number; readonly packet: Packet }[] = [];
  /** The link accepted last. */
  link: ScriptedLink | undefined;
  readonly #script: Script;
  #links = 0;

  constructor(script: Script) {
    this.#script = script;
  }

  readonly accept: Accept = server => {
    const link = new Scripted(server, this.#links++);
    this.link = link;
    const parser = mqtt.parser();
    parser.on("packet", (packet: Packet) => {
      if (packet.cmd === "connect") link.protocolVersion = packet.protocolVersion ?? 4;
      this.received.push({ link: link.index, packet });
      this.#script(packet, link);
    });
    parser.on("error", error => {
      throw error;
    });
    return { receive: bytes => parser.parse(Buffer.from(bytes)), closed: () => undefined };
  };

  /** Packets of one kind, in order. */
  all<C extends Packet["cmd"]>(cmd: C): Extract<Packet, { cmd: C }>[] {
    return this.received
      .map(({ packet }) => packet)
      .filter(packet => packet.cmd === cmd) as Extract<Packet, { cmd: C }>[];
  }
}

class Scripted implements ScriptedLink {
  readonly index: number;
  protocolVersion = 4;
  readonly #server: ServerLink;

  constructor(server: ServerLink, index: number) {
    this.#server = server;
    this.index = index;
  }

  reply(packet: Packet): void {
    const { protocolVersion } = this;
    this.#server.write(mqtt.generate(spoken(packet, protocolVersion), { protocolVersion }));
  }

  raw(bytes: Uint8Array): void {
    this.#server.write(bytes);
  }

  close(): void {
    this.#server.close();
  }
}

const reasonOfReturnCode = [0, 0x84, 0x85, 0x88, 0x86, 0x87];

/** A script says `returnCode` whatever the version; in MQTT 5 it goes out as the reason code of that meaning. */
function spoken(packet: Packet, protocolVersion: number): Packet {
  if (packet.cmd !== "connack" || protocolVersion !== 5) return packet;
  const { returnCode = 0, ...rest } = packet;
  return { reasonCode: reasonOfReturnCode[returnCode]!, ...rest };
}

/** Accepts, grants and acknowledges everything. */
export const obliging: Script = (packet, link) => {
  if (packet.cmd === "connect")
    link.reply({ cmd: "connack", returnCode: 0, sessionPresent: false });
  if (packet.cmd === "subscribe") {
    link.reply({
      cmd: "suback",
      messageId: packet.messageId!,
      granted: packet.subscriptions.map(() => 1),
    });
  }
  if (packet.cmd === "publish" && packet.qos === 1)
    link.reply({ cmd: "puback", messageId: packet.messageId! });
  if (packet.cmd === "pingreq") link.reply({ cmd: "pingresp" });
  if (packet.cmd === "disconnect") link.close();
};
