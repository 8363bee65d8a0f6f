// What the sensor node needs of a board. Which pins and sensors it has is the board's own business.
import type { Host } from "../../src/index.js";

export type Colour = "off" | "red" | "blue";

export interface Board {
  /** One moment's readings; what the board has no sensor for is absent. */
  read(): Measured;
  light(colour: Colour): void;
  /** Called once for each press of the button. */
  onPress: (() => void) | undefined;
}

export interface Measured {
  /** °C. */
  readonly temperature?: number;
  /** Percent. */
  readonly humidity?: number;
}

/** In the place of sensors: a room that warms by a tenth of a degree a minute and is aired every hour. */
export function roomAt(ticks: number): Measured {
  const minute = (ticks / 60_000) % 60;
  return { temperature: 21.5 + Math.round(minute) / 10, humidity: 40 };
}

/** Where there is no board: the room's readings, a lamp nobody sees, a button nobody presses. */
export function noBoard({ clock }: Host): Board {
  return { read: () => roomAt(clock.ticks()), light: () => undefined, onPress: undefined };
}
