// The board itself.
import {
  boardId,
  freeHeapBytes,
  resetReason,
  restart,
  retained,
  sleep,
} from "skerry/platform/machine";
import type { KeyValueProvider, Retained, System } from "../../src/host.js";
import { toHex } from "../../src/util/bytes.js";
import { randomBytes } from "./random.js";

/** Where a board without a number of its own keeps the one it has drawn. */
const domain = "skerry-host";
const key = "id";

export class Board implements System {
  readonly id: string;
  readonly resetReason: System["resetReason"];
  declare readonly sleep?: (delayMs: number) => void;
  declare readonly retained?: Retained;

  /** @throws when the board has no number and storage refuses to keep one */
  constructor(storage: KeyValueProvider) {
    this.id = boardId() ?? drawnId(storage);
    this.resetReason = resetReason();
    if (sleep) this.sleep = sleep;
    if (retained) this.retained = retained;
  }

  restart(): void {
    restart();
  }

  freeHeapBytes(): number | undefined {
    return freeHeapBytes();
  }
}

function drawnId(storage: KeyValueProvider): string {
  const values = storage.open({ path: domain });
  try {
    const stored = values.read(key);
    const bytes = stored === undefined ? randomBytes(8) : new Uint8Array(stored);
    if (stored === undefined) values.write(key, bytes);
    return toHex(bytes);
  } finally {
    values.close();
  }
}
