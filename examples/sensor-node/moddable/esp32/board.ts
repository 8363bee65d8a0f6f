// An ESP32 as it comes: the chip's own thermometer, one lamp and the BOOT button.
import Digital from "embedded:io/digital";
import FFI from "mc/ffi";
import type { Host } from "../../../../src/index.js";
import type { Board, Colour } from "../../board.js";
import type { BoardConfig } from "../config.js";

interface Native {
  sensor_node_celsius(): number;
}

/** A contact chatters for some milliseconds. */
const bounceMs = 200;

/** @throws what the SDK throws for a pin that the chip does not have */
export function openBoard(host: Host, config: BoardConfig): Board {
  const board: Board = { read: readChip, light: lamp(config), onPress: undefined };
  if (config.buttonPin !== undefined) watch(host, config.buttonPin, () => board.onPress?.());
  return board;
}

/** What the chip measures of itself is some degrees more than what is around it. */
function readChip(): { temperature?: number } {
  const celsius = (new FFI() as Native).sensor_node_celsius();
  return Number.isFinite(celsius) ? { temperature: Math.round(celsius * 10) / 10 } : {};
}

/** One lamp: every colour lights it. */
function lamp({ ledPin, ledOn = 1 }: BoardConfig): (colour: Colour) => void {
  if (ledPin === undefined) return colour => trace(`board: no lamp, it would be ${colour}\n`);
  const led = new Digital({ pin: ledPin, mode: Digital.Output });
  return colour => void led.write(colour === "off" ? 1 - ledOn : ledOn);
}

function watch(host: Host, pin: number, onPress: () => void): void {
  let last = -bounceMs;
  const button = new Digital({
    pin,
    mode: Digital.InputPullUp,
    edge: Digital.Falling,
    onReadable: () => {
      const now = host.clock.ticks();
      if (button.read() !== 0 || now - last < bounceMs) return;
      last = now;
      // An exception that leaves a native callback restarts the board; the host's timers stop it.
      host.timer.set(onPress, 0);
    },
  });
}
