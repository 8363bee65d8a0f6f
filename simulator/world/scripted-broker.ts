// A broker whose answers whoever makes it decides: it parses with mqtt-packet, an implementation that is not ours.
import mqtt from "mqtt-packet";
import type { Accept, ServerLink } from "./network.js";

export type Packet = mqtt.Packet;

/** Called for each packet; answers with `reply`, or with bytes that are no packet through `raw`. */
export type Script = (packet: Packet, link: ScriptedLink) => void;

export interface ScriptedLink {
  /** Counts links from 0. */
  readonly index: number;
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
    const link = scripted(server, this.#links++);
    this.link = link;
    const parser = mqtt.parser({ protocolVersion: 4 });
    parser.on("packet", (packet: Packet) => {
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

function scripted(server: ServerLink, index: number): ScriptedLink {
  return {
    index,
    reply: packet => server.write(mqtt.generate(packet)),
    raw: bytes => server.write(bytes),
    close: () => server.close(),
  };
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
