import { Cron } from "croner";

/** When a job runs, as pg_cron understands its schedule. */
export interface Schedule {
  /** Seconds between runs, for schedules like `30 seconds`; undefined for the five cron fields. */
  everySeconds: number | undefined;
  /** Whether the job is due in the minute that `instant` lies in. Always false for intervals. */
  isDueIn(instant: Date): boolean;
}

/**
 * Reads a pg_cron schedule: five cron fields in UTC, where `$` is the last day of the month, or `N seconds`.
 *
 * @throws TypeError when it is neither
 */
export function readSchedule(text: string): Schedule {
  const seconds = /^\s*(\d{1,2})\s+seconds?\s*$/i.exec(text)?.[1];
  if (seconds) return { everySeconds: Number(seconds), isDueIn: () => false };
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) throw new TypeError(`invalid schedule: ${text}`);
  if (fields[2] === "$") fields[2] = "L";
  const cron = new Cron(fields.join(" "), { timezone: "UTC", paused: true, mode: "5-part" });
  return {
    everySeconds: undefined,
    isDueIn(instant) {
      const minute = new Date(instant);
      minute.setUTCSeconds(0, 0);
      return cron.nextRun(new Date(minute.getTime() - 1000))?.getTime() === minute.getTime();
    },
  };
}
