// Maintenance windows, for a gate.

export interface MaintenanceWindow {
  /** Hours and minutes of the day, UTC: `02:00`. */
  readonly start: string;
  /** 1 to 1440; may pass midnight. */
  readonly minutes: number;
}

const dayMinutes = 1440;

/**
 * @param now epoch ms, or undefined while the wall clock is not set: no window is open then
 * @returns   whether a daily window is open; one that cannot be is never
 */
export function inWindow(now: number | undefined, { start, minutes }: MaintenanceWindow): boolean {
  const startAt = minuteOf(start);
  if (now === undefined || startAt === undefined) return false;
  const minute = Math.floor(now / 60_000) % dayMinutes;
  return (minute - startAt + dayMinutes) % dayMinutes < minutes;
}

function minuteOf(start: string): number | undefined {
  if (!/^([01][0-9]|2[0-3]):[0-5][0-9]$/.test(start)) return undefined;
  return Number(start.slice(0, 2)) * 60 + Number(start.slice(3));
}
