// Why a broker refuses or ends: MQTT 5 reason codes (section 2.4) and MQTT 3.1.1 return codes, as errors to act upon.
import { AgentError, type ErrorCode } from "../errors.js";
import type { Properties } from "./properties.js";

const names: { readonly [code: number]: string } = Object.freeze({
  128: "unspecified error",
  129: "malformed packet",
  130: "protocol error",
  132: "unsupported protocol version",
  133: "client identifier not valid",
  134: "bad user name or password",
  135: "not authorized",
  136: "server unavailable",
  137: "server busy",
  138: "banned",
  139: "server shutting down",
  141: "keep alive timeout",
  142: "session taken over",
  143: "topic filter invalid",
  144: "topic name invalid",
  145: "packet identifier in use",
  147: "receive maximum exceeded",
  148: "topic alias invalid",
  149: "packet too large",
  150: "message rate too high",
  151: "quota exceeded",
  152: "administrative action",
  155: "QoS not supported",
  156: "use another server",
  157: "server moved",
  159: "connection rate exceeded",
  161: "subscription identifiers not supported",
});

/** MQTT 3.1.1 return codes 1 to 5 (section 3.2.2.3), by the MQTT 5 code of the same meaning. */
const returnCodes = Object.freeze([0, 132, 133, 136, 134, 135]);

export function reasonOfReturnCode(returnCode: number): number {
  return returnCodes[returnCode]!;
}

/** "0x87 not authorized", and the server's own words where it gave some. */
export function describeReason(code: number, properties: Properties = {}): string {
  const words = [`0x${code.toString(16)}`, names[code], properties.reasonString];
  return words.filter(word => word !== undefined).join(" ");
}

/** What a refused CONNECT or a DISCONNECT from the server means for the next dial. */
export function reasonError(what: string, code: number, properties?: Properties): AgentError {
  return new AgentError(codeOf(what, code), `MQTT: ${what} ${describeReason(code, properties)}`);
}

function codeOf(what: string, code: number): ErrorCode {
  switch (code) {
    case 132:
      return "mqtt/version";
    case 142:
      return "mqtt/taken-over";
    case 136:
    case 137:
    case 139:
    case 150:
    case 151:
    case 159:
      return "mqtt/busy";
    case 133:
    case 134:
    case 135:
    case 138:
      return "mqtt/refused";
    default:
      return what === "CONNACK" ? "mqtt/refused" : "mqtt/disconnected";
  }
}
