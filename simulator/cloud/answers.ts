// What the cloud says to one client besides messages, in the words of the client's version.

import type { Link } from "./broker-types.js";
import { type ConnectRequest, connackProperties } from "./connect-rules.js";
import { encode, type ProtocolVersion, UnsupportedVersion } from "./frames.js";
import type { BrokerLimits } from "./limits.js";
import { type ConnectRefused, type Fault, reason, reasonString, returnCode } from "./reasons.js";

interface Explanation {
  readonly properties?: { readonly reasonString: string };
}

export class Answers {
  readonly #link: Link;
  #version: ProtocolVersion = 4;
  #wantsReasons = true;

  constructor(link: Link) {
    this.#link = link;
  }

  /** @param wantsReasons request problem information of CONNECT; yes when the client does not say */
  speak(version: ProtocolVersion, wantsReasons = true): void {
    this.#version = version;
    this.#wantsReasons = wantsReasons;
  }

  accept(
    request: ConnectRequest,
    sessionPresent: boolean,
    assigned: string | undefined,
    limits: BrokerLimits,
  ): void {
    const packet = { cmd: "connack", sessionPresent } as const;
    if (request.version === 4) return this.#link.write(encode({ ...packet, returnCode: 0 }, 4));
    const properties = connackProperties(request, assigned, limits);
    this.#link.write(encode({ ...packet, reasonCode: reason.success, properties }, 5));
  }

  /** Says nothing when there is no code for it. */
  refuse(refusal: ConnectRefused): void {
    const version = refusal instanceof UnsupportedVersion ? refusal.answerIn : this.#version;
    const { code, message } = refusal;
    const packet = { cmd: "connack", sessionPresent: false } as const;
    if (code === undefined) return;
    if (version === 5) {
      const explained = { ...packet, reasonCode: code, ...this.#explain(message) };
      return this.#link.write(encode(explained, 5));
    }
    const old = returnCode(code);
    if (old !== undefined) this.#link.write(encode({ ...packet, returnCode: old }, 4));
  }

  puback(messageId: number, fault?: Fault): void {
    const packet = { cmd: "puback", messageId } as const;
    if (this.#version === 4) return this.#link.write(encode(packet, 4));
    const { code = reason.success, detail = "" } = fault ?? {};
    this.#link.write(encode({ ...packet, reasonCode: code, ...this.#explain(detail) }, 5));
  }

  suback(messageId: number, granted: number[]): void {
    this.#link.write(encode({ cmd: "suback", messageId, granted }, this.#version));
  }

  unsuback(messageId: number, granted: number[]): void {
    this.#link.write(encode({ cmd: "unsuback", messageId, granted }, this.#version));
  }

  pingresp(): void {
    this.#link.write(encode({ cmd: "pingresp" }, this.#version));
  }

  /** Only MQTT 5 has a DISCONNECT from the server. */
  disconnect(code: number, detail: string): void {
    if (this.#version === 4) return;
    this.#link.write(encode({ cmd: "disconnect", reasonCode: code, ...this.#explain(detail) }, 5));
  }

  #explain(detail: string): Explanation {
    if (!this.#wantsReasons || detail === "") return {};
    return { properties: { reasonString: reasonString(detail) } };
  }
}
