// Why there is no network, in words that say what to do about it.
import { AgentError } from "../../../src/errors.js";
import { toUtf8 } from "../../../src/util/bytes.js";

export type Fault =
  /** Not in reach, or another name. */
  | "absent"
  | "password"
  /** It was there, and is not any more. */
  | "lost"
  /** It lets nobody in, for a reason of its own. */
  | "refused"
  | "address"
  | "time"
  | "portal";

/** Why a Wi-Fi could not be joined or held, or why the time is not known. */
export class NetworkError extends Error {
  // A field, not an assignment: built-in prototypes are frozen on XS.
  override readonly name = "NetworkError";
  readonly fault: Fault;

  constructor(fault: Fault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** Numbers of `wifi_err_reason_t`. */
const absent = Object.freeze([201, 211, 212]);
/** A handshake that does not end: the key is another one. 14 is a message whose check fails for it. */
const password = Object.freeze([14, 15, 202, 204]);
/**
 * @param reason    a `wifi_err_reason_t`, 0 where none is known
 * @param isJoined  whether the Wi-Fi had been joined before
 */
export function faultOf(reason: number, isJoined: boolean): Fault {
  if (absent.includes(reason)) return "absent";
  if (isJoined) return "lost";
  return password.includes(reason) ? "password" : "refused";
}

/** @param detail what is known besides: a reason's number, an address */
export function describeFault(fault: Fault, ssid: string, detail = ""): string {
  const wifi = `Wi-Fi ${JSON.stringify(ssid)}`;
  const more = detail === "" ? "" : ` (${detail})`;
  switch (fault) {
    case "absent":
      return `no ${wifi} in reach${more}: is the name right, is it a network of 2.4 GHz?`;
    case "password":
      return `${wifi} does not take the password${more}, or the signal is too weak for it`;
    case "lost":
      return `${wifi} is lost${more}`;
    case "refused":
      return `${wifi} does not let the device in${more}: too many stations, or another kind of security?`;
    case "address":
      return `${wifi} gives no address${more}: does its DHCP server run, has it addresses left?`;
    case "time":
      return `no time server answers${more}: without the time no certificate can be judged`;
    case "portal":
      return `every name leads to ${detail}: a sign-in page stands before the Internet; let the device through there, or use another Wi-Fi`;
  }
}

export interface Credentials {
  readonly ssid: string;
  /** Absent for an open network. */
  readonly password?: string | undefined;
}

/** @throws AgentError "agent/options" */
export function checkCredentials({ ssid, password }: Credentials): void {
  if (typeof ssid !== "string") throw wrong("ssid", "is no text");
  const bytes = toUtf8(ssid).length;
  if (bytes < 1 || bytes > 32) throw wrong("ssid", `has ${bytes} bytes, 1 to 32 are a name`);
  if (password === undefined) return;
  if (typeof password !== "string") throw wrong("password", "is no text");
  const length = toUtf8(password).length;
  // 64 are the key itself, in hexadecimal digits.
  const isKey = length === 64 && /^[0-9a-fA-F]{64}$/.test(password);
  if (isKey || (length >= 8 && length <= 63)) return;
  throw wrong("password", `has ${length} bytes, WPA takes 8 to 63; none at all is an open network`);
}

function wrong(name: string, why: string): AgentError {
  return new AgentError("agent/options", `network: ${name} ${why}`);
}
