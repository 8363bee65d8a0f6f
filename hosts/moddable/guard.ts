// The one place where an exception that would leave a native callback is stopped: past it the engine aborts.

/** Calls `action`; what it throws goes to `otherwise`, and what that throws is traced. */
export function guard(action: () => void, otherwise: (error: unknown) => void): void {
  try {
    action();
  } catch (error) {
    try {
      otherwise(error);
    } catch (second) {
      report("handler", second);
    }
  }
}

/** Last resort: says on the debug console what went wrong where. */
export function report(where: string, error: unknown): void {
  trace(`skerry: ${where}: ${String(error)}\n`);
}
