// A desktop has its network, and knows the time.
import type { Network } from "skerry/hosts/moddable/network/keeper";

const status = Object.freeze({ type: "online", address: "127.0.0.1", server: "the system" });

class DesktopNetwork implements Network {
  readonly status = status;
  onStatus = () => undefined;

  start(): void {}

  stop(): void {}

  keep(): void {}

  whenAddressed(go: () => void): void {
    go();
  }
}

export function openNetwork(_parts: object): Network {
  return new DesktopNetwork();
}
