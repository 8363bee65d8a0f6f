// The desktop's board: a room for a sensor, a lamp that says its colour, and the simulator's button or one that presses itself.
import type { Host } from "../../../../src/index.js";
import { type Board, type Colour, roomAt } from "../../board.js";
import type { BoardConfig } from "../config.js";

export function openBoard(host: Host, { pressSeconds }: BoardConfig): Board {
  const board: Board = {
    read: () => roomAt(host.clock.ticks()),
    light: (colour: Colour) => {
      trace(`board: lamp ${colour}\n`);
      tell({ led: colour === "off" ? 0 : 1, variant: 0 });
    },
    onPress: undefined,
  };
  const press = (how: string) => {
    trace(`board: button pressed ${how}\n`);
    board.onPress?.();
  };
  if (pressSeconds !== undefined)
    host.timer.repeat(() => press("by itself"), Math.max(1, pressSeconds) * 1000);
  const { screen } = globalThis as { screen?: SimulatorScreen };
  // The board on the simulator's screen, where it has a button: nodemcu and Moddable's own have.
  if (screen)
    screen.onMessage = text => {
      if (text === '{"button":1}') host.timer.set(() => press("on the screen"), 0);
    };
  return board;
}

interface SimulatorScreen {
  onMessage?: (text: string) => void;
  postMessage?(text: string): void;
}

function tell(state: object): void {
  const { screen } = globalThis as { screen?: SimulatorScreen };
  screen?.postMessage?.(JSON.stringify(state));
}
