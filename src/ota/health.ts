// What must hold before an image on trial is confirmed, as the product says.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";

/** @returns true when all is well; a throw is the same as false, with a reason */
export type HealthCheck = () => boolean;

export class Health {
  readonly #checks: { readonly name: string; readonly isWell: HealthCheck }[] = [];

  /**
   * While an image is on trial the check is asked once a second; it is confirmed when all of them hold for a while.
   *
   * @param name  1 to 32 visible ASCII characters, for the job that tells why an image was taken back
   * @throws      AgentError "agent/options" for a name that is taken or cannot be, and for too many checks
   */
  check(name: string, isWell: HealthCheck): void {
    if (!/^[!-~]{1,32}$/.test(name)) fail(`health check "${name}" is not a name`);
    if (this.#checks.some(other => other.name === name))
      fail(`health check "${name}" is there already`);
    if (this.#checks.length >= limits.healthChecks)
      fail(`health check "${name}": at most ${limits.healthChecks} are taken`);
    this.#checks.push({ name, isWell });
  }

  /** @returns what does not hold, or undefined */
  trouble(): string | undefined {
    for (const { name, isWell } of this.#checks) {
      try {
        if (isWell() !== true) return `health check ${name}`;
      } catch (cause) {
        return `health check ${name}: ${cause instanceof Error ? cause.message : "threw"}`;
      }
    }
    return undefined;
  }
}

function fail(reason: string): never {
  throw new AgentError("agent/options", reason);
}
