import { type Check, type Finding, mayBeWrong, orRight, wrong } from "../check.ts";

/** Signatures are good for 300 s either way; half of it is used up by then. */
const RED_MS = 150_000;
const AMBER_MS = 10_000;

/** The clocks of database, function and this machine. */
export const clocks: Check = {
  name: "clocks",
  title: "clocks",
  timeout: 20_000,
  async look(context) {
    await context.sql`select 1`; // opening the connection is not to count
    const askedAt = Date.now();
    const [row] = await context.sql<{ now: Date }[]>`select clock_timestamp() as now`;
    const database = (row?.now ?? new Date(0)).getTime() - (askedAt + Date.now()) / 2;
    const beside: [string, number, number][] = [
      ["the database\u2019s clock", database, Date.now() - askedAt],
    ];
    const trip = await context.roundTrip();
    if (trip.is === "answered") {
      const middle = trip.answeredAt - trip.took / 2;
      beside.push(["the functions\u2019 clock", Date.parse(trip.report.clock) - middle, trip.took]);
    }
    const findings = beside.flatMap(([whose, ahead, uncertainty]): Finding[] => {
      const apart = Math.abs(ahead) - uncertainty;
      if (apart < AMBER_MS) return [];
      const says = `${whose} is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? "ahead of" : "behind"} this machine\u2019s`;
      const cure =
        "set this machine\u2019s clock by a time server; if it is right, tell Supabase\u2019s support";
      return [apart < RED_MS ? mayBeWrong(says, cure) : wrong(`${says}: signatures are refused`, cure)];
    });
    return orRight(
      findings,
      `${beside.length === 2 ? "database, functions" : "database"} and this machine agree`,
    );
  },
};
