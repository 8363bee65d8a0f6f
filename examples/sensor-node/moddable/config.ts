// What the build is told about the board, beside `sensorNode`.

/** Pins are GPIO numbers. `npm run esp32 -- configure` writes them; what nobody says is as the manifest has it for the chip. */
export interface BoardConfig {
  /** Absent: no lamp. */
  readonly ledPin?: number;
  /** The level that lights it; default 1. */
  readonly ledOn?: 0 | 1;
  /** To ground, with the chip's own pull-up. Absent: no button. */
  readonly buttonPin?: number;
  /** In the simulator: how often the button presses itself. */
  readonly pressSeconds?: number;
}
