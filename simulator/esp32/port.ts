// The serial port a board is on: the one that was named, or the only one there is.
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "./problem.js";

/** What boards and their USB bridges are called, on Linux and on macOS. */
const names = /^(ttyUSB\d+|ttyACM\d+|cu\.(usb|SLAB|wchusb).*)$/;

export interface PortChoice {
  readonly port?: string;
  readonly problem?: Problem;
}

/**
 * @param devices  the folder that devices are in
 * @param mayUse   throws for a port that this person may not read and write
 */
export function choosePort(
  named: string | undefined,
  devices = "/dev",
  mayUse = (port: string) => accessSync(port, constants.R_OK | constants.W_OK),
): PortChoice {
  const found = portsIn(devices);
  const there =
    found.length === 0 ? "No other board is connected." : `There is ${found.join(", ")}.`;
  if (named === undefined) {
    if (found.length === 1) return usable(found[0]!, mayUse);
    const many = `There are several serial ports: ${found.join(", ")}.`;
    return found.length === 0
      ? problem(
          `No board is connected: there is no serial port in ${devices}.`,
          "Plug it in, with a cable that carries data, or name its port: --port …",
        )
      : problem(many, "Say which one: --port …");
  }
  const status = statSync(named, { throwIfNoEntry: false });
  if (status === undefined)
    return problem(`There is no port ${named}.`, `Is the board plugged in? ${there}`);
  if (!status.isCharacterDevice()) return problem(`${named} is no serial port.`, there);
  return usable(named, mayUse);
}

function usable(port: string, mayUse: (port: string) => void): PortChoice {
  try {
    mayUse(port);
    return { port };
  } catch {
    return problem(
      `You may not use ${port}.`,
      'Join the group it belongs to and log in again: sudo usermod -aG "$(stat -c %G ' +
        `${port})" "$USER"`,
    );
  }
}

function portsIn(devices: string): string[] {
  try {
    return readdirSync(devices)
      .filter(name => names.test(name))
      .map(name => join(devices, name))
      .sort();
  } catch {
    return [];
  }
}

function problem(what: string, mend: string): PortChoice {
  return { problem: { what, mend } };
}
